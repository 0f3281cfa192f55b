/* check_system.c: see check_system.h. Each check looks at one setting of the kernel, and says what it costs.
 *
 * Names are those of redis-server where the check is the same. What matters there because of fork (memory for
 * a second copy, copy-on-write) matters less here, because snapshots are made without it. */
#include "trivet/server/check_system.h"
#include "trivet/base/buf.h"
#include "trivet/base/clock.h"
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define SLOW_CLOCK_NS 500 /* a clock that asks the kernel takes as long; one that does not, a tenth */
#define CLOCK_LOOKS 20000
#define USUAL_BACKLOG 511
#define USUAL_FILES (10000 + 32)

enum verdict { CHECK_OK, CHECK_WARN, CHECK_SKIP };

/* The first line of a small file below `root`, without its end. False if there is none. */
static bool read_line(const char *root, const char *path, char *line, int size) {
    char full[512];
    int len = snprintf(full, sizeof full, "%s%s", root, path);
    FILE *f = len < (int)sizeof full ? fopen(full, "re") : NULL;
    bool read = f && fgets(line, size, f) != NULL;
    if (f) fclose(f);
    if (read) line[strcspn(line, "\n")] = '\0';
    return read;
}

static enum verdict cannot_read(struct buf *say, const char *path) {
    buf_printf(say, "%s cannot be read", path);
    return CHECK_SKIP;
}

#define CLOCK_PATH "/sys/devices/system/clocksource/clocksource0/current_clocksource"

static int64_t ns_of_a_look(void) {
    struct timespec now;
    int64_t begin_us = clock_steady_us();
    for (int i = 0; i < CLOCK_LOOKS; i++) clock_gettime(CLOCK_MONOTONIC, &now);
    return (clock_steady_us() - begin_us) * 1000 / CLOCK_LOOKS;
}

/* Measured, not only read: the same source is fast or slow by machine. The time that another program took the
 * core away for must not count: the best of some rounds. */
static enum verdict check_clock(const char *root, struct buf *say) {
    char name[64];
    if (!read_line(root, CLOCK_PATH, name, sizeof name)) return cannot_read(say, CLOCK_PATH);
    int64_t best_ns = INT64_MAX;
    for (int round = 0; round < 5; round++) {
        int64_t ns = ns_of_a_look();
        if (ns < best_ns) best_ns = ns;
    }
    static const char *const slow[] = { "hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit" };
    bool is_slow = best_ns >= SLOW_CLOCK_NS;
    for (size_t i = 0; i < COUNT_OF(slow); i++) is_slow |= strcmp(name, slow[i]) == 0;
    buf_printf(say, "the clock is '%s', a look at it takes %lld ns", name, (long long)best_ns);
    if (is_slow)
        buf_append(
            say,
            LIT("; every command looks at it. Choose a faster one of available_clocksource, such as tsc, "
                "beside " CLOCK_PATH));
    return is_slow ? CHECK_WARN : CHECK_OK;
}

static enum verdict check_xen(const char *root, struct buf *say) {
    char name[64];
    if (!read_line(root, CLOCK_PATH, name, sizeof name)) return cannot_read(say, CLOCK_PATH);
    bool is_xen = strcmp(name, "xen") == 0;
    buf_printf(say, "the clock is %sthat of Xen", is_xen ? "" : "not ");
    if (is_xen)
        buf_append(say, LIT(", which asks the hypervisor each time. Change it: echo tsc > " CLOCK_PATH));
    return is_xen ? CHECK_WARN : CHECK_OK;
}

#define OVERCOMMIT_PATH "/proc/sys/vm/overcommit_memory"

static enum verdict check_overcommit(const char *root, struct buf *say) {
    char mode[16];
    if (!read_line(root, OVERCOMMIT_PATH, mode, sizeof mode)) return cannot_read(say, OVERCOMMIT_PATH);
    buf_printf(say, "vm.overcommit_memory is %s", mode);
    if (strcmp(mode, "2") != 0) {
        buf_append(
            say,
            LIT("; 0 and 1 are both good: snapshots are made without fork, so nothing is set aside for a "
                "second copy of the data"));
        return CHECK_OK;
    }
    buf_append(
        say, LIT(": memory can run out while some is free, because what is only reserved counts. Change it: "
                 "sysctl vm.overcommit_memory=0"));
    return CHECK_WARN;
}

#define THP_PATH "/sys/kernel/mm/transparent_hugepage/enabled"

static enum verdict check_huge_pages(const char *root, struct buf *say) {
    char modes[64];
    if (!read_line(root, THP_PATH, modes, sizeof modes)) return cannot_read(say, THP_PATH);
    bool always = strstr(modes, "[always]") != NULL;
    buf_printf(say, "transparent huge pages are %s", always ? "always on" : "not forced on programs");
    if (always)
        buf_append(say,
                   LIT(", which costs memory, and time when the kernel gathers them. Change it: echo madvise "
                       "> " THP_PATH));
    return always ? CHECK_WARN : CHECK_OK;
}

#define BACKLOG_PATH "/proc/sys/net/core/somaxconn"

static enum verdict check_backlog(const char *root, struct buf *say) {
    char number[32];
    if (!read_line(root, BACKLOG_PATH, number, sizeof number)) return cannot_read(say, BACKLOG_PATH);
    bool is_low = strtol(number, NULL, 10) < USUAL_BACKLOG;
    buf_printf(say, "net.core.somaxconn is %s", number);
    if (is_low)
        buf_printf(say,
                   ", less than the usual tcp-backlog: clients that come all at once are turned away. Change "
                   "it: sysctl net.core.somaxconn=%d",
                   USUAL_BACKLOG);
    return is_low ? CHECK_WARN : CHECK_OK;
}

static enum verdict check_files(const char *root, struct buf *say) {
    (void)root;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        buf_append(say, LIT("the limit cannot be read"));
        return CHECK_SKIP;
    }
    bool is_low = limit.rlim_max < USUAL_FILES;
    if (limit.rlim_max == RLIM_INFINITY)
        buf_append(say, LIT("as many as wanted may be open"));
    else
        buf_printf(say, "%llu may be open", (unsigned long long)limit.rlim_max);
    if (is_low)
        buf_printf(
            say,
            ", too few for the usual 10000 clients: maxclients is lowered at start. Raise it: ulimit -n %d, "
            "or LimitNOFILE= of systemd",
            USUAL_FILES);
    return is_low ? CHECK_WARN : CHECK_OK;
}

static const struct {
    const char *name;
    enum verdict (*check)(const char *root, struct buf *say);
} checks[] = {
    { "slow-clocksource", check_clock }, { "xen-clocksource", check_xen }, { "overcommit", check_overcommit },
    { "THP", check_huge_pages },         { "backlog", check_backlog },     { "open-files", check_files },
};

int check_system(FILE *out, const char *root) {
    static const char *const marks[] = {
        [CHECK_OK] = "[OK]  ", [CHECK_WARN] = "[WARN]", [CHECK_SKIP] = "[SKIP]"
    };
    int status = 0;
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        struct buf say = { 0 };
        enum verdict v = checks[i].check(root, &say);
        fprintf(out, "%s %s: %.*s\n", marks[v], checks[i].name, SLICE_ARG(buf_slice(&say)));
        buf_release(&say);
        if (v == CHECK_WARN) status = 1;
    }
    return status;
}
