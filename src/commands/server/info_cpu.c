/* info_cpu.c: INFO cpu: the time that the process, its children and its main thread took. */
#include "info.h"
#include "trivet/base/lock.h"
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

struct cpu_sample {
    uint64_t system_us, user_us, children_system_us, children_user_us;
};

static uint64_t in_us(struct timeval t) { return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec; }

static bool sample_process(int64_t now_ms, void *into) {
    struct cpu_sample *s = into;
    struct rusage self = { 0 }, children = { 0 };
    (void)now_ms;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    s->system_us = in_us(self.ru_stime);
    s->user_us = in_us(self.ru_utime);
    s->children_system_us = in_us(children.ru_stime);
    s->children_user_us = in_us(children.ru_utime);
    return true;
}

#define TIME(field) "seconds", METRIC_COUNTER, FORM_SECONDS, SAMPLED(struct cpu_sample, field)

static const struct metric process_rows[] = {
    { "used_cpu_sys", "CPU time of this process in the kernel.", TIME(system_us) },
    { "used_cpu_user", "CPU time of this process in user mode.", TIME(user_us) },
    { "used_cpu_sys_children", "CPU time of ended child processes in the kernel.", TIME(children_system_us) },
    { "used_cpu_user_children", "CPU time of ended child processes in user mode.", TIME(children_user_us) },
    { NULL },
};
#undef TIME

const struct metric_table info_cpu = { "CPU", process_rows, sizeof(struct cpu_sample), sample_process, NULL };

/* ---- the main thread ---- */

struct main_sample {
    uint64_t system_us, user_us;
};

/* Its own times, which only it could ask for directly: from its file in /proc. */
static bool read_main_thread(struct main_sample *out) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
    FILE *f = fopen(path, "r");
    if (!f) return false;
    size_t len = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[len] = '\0';
    /* Field 2 is the name in parentheses and may hold anything; fields 14 and 15 are the times. */
    const char *behind_name = strrchr(line, ')');
    unsigned long user, system;
    if (!behind_name ||
        sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return false;
    unsigned long ticks = (unsigned long)sysconf(_SC_CLK_TCK);
    *out = (struct main_sample){ .system_us = system * 1000000 / ticks, .user_us = user * 1000000 / ticks };
    return true;
}

#define MAX_AGE_MS 100

/* The last reading, for clients that ask all at once. */
static struct {
    struct lock lock;
    int64_t read_ms;
    struct main_sample sample;
    bool known;
} recent = { .lock = LOCK_INIT(LOCK_RANK_LEAF) };

static bool sample_main_thread(int64_t now_ms, void *into) {
    lock_take(&recent.lock);
    if (now_ms - recent.read_ms >= MAX_AGE_MS || now_ms < recent.read_ms) {
        recent.known = read_main_thread(&recent.sample);
        recent.read_ms = now_ms;
    }
    *(struct main_sample *)into = recent.sample;
    bool known = recent.known;
    lock_drop(&recent.lock);
    return known;
}

#define TIME(field) "seconds", METRIC_COUNTER, FORM_SECONDS, SAMPLED(struct main_sample, field)

static const struct metric main_rows[] = {
    { "used_cpu_sys_main_thread", "CPU time of the main thread in the kernel.", TIME(system_us) },
    { "used_cpu_user_main_thread", "CPU time of the main thread in user mode.", TIME(user_us) },
    { NULL },
};
#undef TIME

const struct metric_table info_cpu_main = { "CPU", main_rows, sizeof(struct main_sample), sample_main_thread,
                                            NULL };

static bool sample_active(int64_t now_ms, void *into) {
    (void)now_ms;
    *(uint64_t *)into = stats_active_us();
    return true;
}

static const struct metric active_rows[] = {
    { "used_active_time_main_thread", "Time of the main thread's turns, without its sleep.", "seconds",
      METRIC_COUNTER, FORM_SECONDS, FROM_SAMPLE, 0 },
    { NULL },
};

const struct metric_table info_cpu_active = { "CPU", active_rows, sizeof(uint64_t), sample_active, NULL };
