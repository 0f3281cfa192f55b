/* process.c: what the server needs from the operating system for its own process. */
#include "title.h"
#include "trivet/base/cgroup.h"
#include "trivet/base/log.h"
#include "trivet/base/slice.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/server/setup.h"
#include "trivet/web/server.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
    char **argv; /* owned copy */
    char folder[PATH_MAX];
} beginning;

static char **copy_texts(char **texts) {
    size_t count = 0;
    while (texts[count]) count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) copy[i] = strdup(texts[i]);
    return copy;
}

void process_remember(char **argv) {
    beginning.argv = copy_texts(argv);
    title_find_room(argv);
    if (!getcwd(beginning.folder, sizeof beginning.folder)) beginning.folder[0] = '\0';
}

/* The new program must not inherit open files: the sockets would hold its port. They are closed by exec
 * itself, because until then other workers wait on them; a kernel before 5.11 can only close them now. */
static void close_files_on_exec(void) {
    if (close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) != 0) close_range(3, UINT_MAX, 0);
}

void process_restart(int64_t delay_ms) {
    struct timespec delay = { .tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000 };
    if (chdir(beginning.folder) != 0 || access(server_facts.executable, X_OK) != 0) {
        LOG_WARNING("Can't restart %s in %s: %s", server_facts.executable, beginning.folder, strerror(errno));
        return;
    }
    close_files_on_exec();
    while (nanosleep(&delay, &delay) != 0 && errno == EINTR) continue;
    sigset_t none; /* the new program inherits the signals that this thread blocks */
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    execv(server_facts.executable, beginning.argv);
    _exit(1); /* this process cannot go on */
}

#define RESERVED_FILES 32 /* log, journal, event loops, listeners */

static rlim_t reserved_files(void) {
    return RESERVED_FILES + (options.metrics_port > 0 ? WEB_CONNECTIONS_MAX : 0);
}

bool process_daemonize(void) {
    pid_t child = fork();
    if (child < 0) return false;
    if (child > 0) _exit(0);
    if (setsid() < 0) return false;
    int null = open("/dev/null", O_RDWR);
    if (null < 0) return false;
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(null, fd) < 0) return false;
    if (null > 2) close(null);
    return true;
}

bool process_write_pidfile(void) {
    const char *path = options.pidfile;
    if (!path[0] && !options.daemonize) return true;
    if (!path[0]) path = "/var/run/trivet.pid";
    FILE *f = fopen(path, "w");
    if (f && fprintf(f, "%d\n", (int)getpid()) > 0 && fclose(f) == 0) return true;
    LOG_WARNING("Can't write the pid file %s: %s", path, strerror(errno));
    return !options.pidfile[0];
}

void process_remove_pidfile(void) {
    if (options.pidfile[0] && unlink(options.pidfile) != 0 && errno != ENOENT)
        LOG_WARNING("Can't remove the pid file %s: %s", options.pidfile, strerror(errno));
}

int64_t process_files_for_clients(int64_t clients) {
    struct rlimit limit;
    rlim_t reserved = reserved_files(), wanted = (rlim_t)clients + reserved;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return clients;
    struct rlimit more = { wanted, limit.rlim_max < wanted ? wanted : limit.rlim_max };
    if (setrlimit(RLIMIT_NOFILE, &more) == 0) return clients;
    more = (struct rlimit){ limit.rlim_max, limit.rlim_max };
    rlim_t files = setrlimit(RLIMIT_NOFILE, &more) == 0 ? limit.rlim_max : limit.rlim_cur;
    if (files >= wanted) return clients;
    return files > reserved ? (int64_t)(files - reserved) : 0;
}

bool process_fit_maxclients(void) {
    int64_t wanted = options.maxclients, fit = process_files_for_clients(wanted);
    if (fit == wanted) return true;
    if (fit == 0) {
        LOG_WARNING("The limit of open files is too low to serve clients. Raise it with 'ulimit -n'.");
        return false;
    }
    options.maxclients = fit;
    LOG_WARNING(
        "maxclients is lowered to %lld, because the limit of open files is %llu. For more, raise it with "
        "'ulimit -n %llu'.",
        (long long)fit, (unsigned long long)fit + reserved_files(),
        (unsigned long long)wanted + reserved_files());
    return true;
}

/* The first line of a small file of /proc or /sys; "" if it cannot be read. */
static const char *read_line(const char *path, char *line, int size) {
    FILE *f = fopen(path, "r");
    line[0] = '\0';
    if (!f) return line;
    if (!fgets(line, size, f)) line[0] = '\0';
    fclose(f);
    return line;
}

void process_warn_about_system(void) {
    char line[128];
    read_line("/proc/sys/net/core/somaxconn", line, sizeof line);
    long backlog = strtol(line, NULL, 10);
    if (backlog > 0 && backlog < options.tcp_backlog)
        LOG_WARNING("The TCP backlog of %lld cannot be enforced: /proc/sys/net/core/somaxconn is %ld.",
                    (long long)options.tcp_backlog, backlog);
    read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line);
    if (strstr(line, "[always]"))
        LOG_WARNING(
            "Transparent huge pages are set to 'always', which costs memory: consider 'echo madvise > "
            "/sys/kernel/mm/transparent_hugepage/enabled'.");
}

#define MEGABYTE ((uint64_t)1024 * 1024)

void process_warn_about_memory(void) {
    uint64_t most = cgroup_limits("").memory, wanted = options.maxmemory;
    if (most == 0 || wanted <= most / 10 * 9) return;
    LOG_WARNING(
        "maxmemory is %" PRIu64 " MB, %s the container's memory limit of %" PRIu64
        " MB, so the kernel may kill the server before it %s: it also takes memory that maxmemory does "
        "not count, for fragmentation, bytes on their way to disk and replicas, and the program itself. "
        "Set maxmemory to at most %" PRIu64 "mb, or raise the limit.",
        wanted / MEGABYTE, wanted > most ? "more than" : "more than 90 % of", most / MEGABYTE,
        options.maxmemory_policy == POLICY_NOEVICTION ? "refuses a write" : "evicts",
        most / 10 * 9 / MEGABYTE);
}

void process_warn_about_folder(void) {
    struct stat facts;
    if (stat(options.dir, &facts) != 0 || !(facts.st_mode & S_IWOTH)) return;
    LOG_WARNING(
        "All users of this machine can write to the folder '%s', and so put files in the place of the "
        "data. To keep them from it: chmod o-w '%s'",
        options.dir, options.dir);
}
