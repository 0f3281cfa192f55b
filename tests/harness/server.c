/* server.c: child processes with a deadline for everything and a list of all, for the end of the program. */
#include "server.h"
#include "await.h"
#include "fail.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_PATIENCE_MS 120000
#define STOP_PATIENCE_MS 120000
#define PAUSE_MS 5
#define LOG_TAIL 6000 /* bytes of each log that a failed program prints */

struct server {
    struct server *next;
    struct words args; /* program first */
    char folder[64];
    char path[PATH_MAX];
    char socket[96];
    pid_t pid; /* 0: not running */
    int port;  /* 0: no TCP */
    int tls_port;
    struct text log;
};

static struct server *all_servers; /* kept until the program ends, for their logs */

/* ---- the program under test ---- */

/* The build folder of this test program: the part of its path before "/tests/". */
static const char *default_program(void) {
    static char path[PATH_MAX];
    const char *named = getenv("TRIVET_SERVER");
    if (named && *named) return named;
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 32);
    if (len < 0) HARNESS_FAIL("cannot read /proc/self/exe");
    path[len] = '\0';
    char *tests = strstr(path, "/tests/");
    if (!tests) return "build/release/trivet-server";
    strcpy(tests, "/trivet-server");
    return path;
}

/* Below those that the system gives to outgoing connections: a server that is down for a while finds its port
 * free when it comes back, and nobody who tries to reach it meanwhile can be connected with himself. */
#define FIRST_PORT 10000
#define LAST_PORT 32000

static bool port_is_free(int port) {
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) HARNESS_FAIL("no socket: %s", strerror(errno));
    bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_free;
}

/* Random, so that test programs that run beside each other seldom want the same one. */
int server_free_port(void) {
    for (int tries = 0; tries < 1000; tries++) {
        uint32_t random;
        if (getentropy(&random, sizeof random) != 0) HARNESS_FAIL("no randomness: %s", strerror(errno));
        int port = FIRST_PORT + (int)(random % (LAST_PORT - FIRST_PORT + 1));
        if (port_is_free(port)) return port;
    }
    HARNESS_FAIL("no free port between %d and %d", FIRST_PORT, LAST_PORT);
}

/* ---- the end of the program ---- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)type, (void)where;
    return remove(path);
}

/* The line on which the log's first report begins, of a sanitizer or of an assertion; NULL if it has none. */
static const char *first_report(const char *log) {
    static const char *const signs[] = { "ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                                         "WARNING: ThreadSanitizer", "runtime error:", "Assertion" };
    const char *first = NULL;
    for (size_t i = 0; i < COUNT_OF(signs); i++) {
        const char *at = strstr(log, signs[i]);
        if (at && (!first || at < first)) first = at;
    }
    while (first && first > log && first[-1] != '\n') first--;
    return first;
}

static void print_log(struct server *s) {
    const char *log = server_log(s), *report = first_report(log), *program = text_str(&s->args.items[0]);
    size_t len = strlen(log);
    const char *tail = len > LOG_TAIL ? log + len - LOG_TAIL : log;
    if (report && report < tail)
        fprintf(stderr, "---- report in the log of %s (%s)\n%.*s\n----\n", program, s->folder, LOG_TAIL,
                report);
    fprintf(stderr, "---- log of %s (%s)\n%s----\n", program, s->folder, tail);
}

/* cmocka passes over what fails at the end of a group, as in fixture_stop: so the status is set here. */
static void reap_everything(int status, void *unused) {
    bool failed = status != 0 || harness_has_failed();
    (void)unused;
    for (struct server *s = all_servers, *next; s; s = next) {
        next = s->next;
        if (s->pid) {
            kill(s->pid, SIGKILL);
            waitpid(s->pid, NULL, 0);
        }
        if (failed) print_log(s);
        nftw(s->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        words_release(&s->args);
        text_release(&s->log);
        free(s);
    }
    all_servers = NULL;
    if (!failed || status != 0) return;
    fflush(NULL);
    _exit(EXIT_FAILURE);
}

/* Only calls that a signal handler may make: hence rm, and not nftw. */
static void end_on_signal(int signal_number) {
    for (struct server *s = all_servers; s; s = s->next) {
        if (s->pid) kill(s->pid, SIGKILL);
        pid_t remover = fork();
        if (remover == 0) {
            execl("/bin/rm", "rm", "-rf", "--", s->folder, (char *)NULL);
            _exit(127);
        }
        if (remover > 0) waitpid(remover, NULL, 0);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void watch_the_end(void) {
    static bool watching;
    if (watching) return;
    watching = true;
    on_exit(reap_everything, NULL);
    signal(SIGINT, end_on_signal);
    signal(SIGTERM, end_on_signal);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- starting ---- */

static void write_conf(struct server *s, const char *conf) {
    FILE *file = fopen(server_path(s, "server.conf"), "w");
    if (!file || fputs(conf, file) == EOF || fclose(file) != 0) HARNESS_FAIL("cannot write the config file");
    words_add_str(&s->args, server_path(s, "server.conf"));
}

static void add_pairs(struct words *words, const char *const *args) {
    for (; args && *args; args++) words_add_str(words, *args);
}

static struct server *server_new(const struct server_plan *plan) {
    watch_the_end();
    struct server *s = calloc(1, sizeof(*s));
    if (!s) abort();
    const char *tmp = getenv("TMPDIR");
    snprintf(s->folder, sizeof(s->folder), "%s/trivet-test-XXXXXX", tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    if (!mkdtemp(s->folder)) HARNESS_FAIL("cannot make %s: %s", s->folder, strerror(errno));
    snprintf(s->socket, sizeof(s->socket), "%s/socket", s->folder);
    s->next = all_servers;
    all_servers = s;

    const char *workers = getenv("TRIVET_IO_THREADS");
    words_add_str(&s->args, plan->program ? plan->program : default_program());
    if (plan->conf) write_conf(s, plan->conf);
    if (plan->tcp) s->port = plan->port ? plan->port : server_free_port();
    words_add_str(&s->args, "--port");
    words_printf(&s->args, "%d", s->port);
    const char *const listeners[] = { "--unixsocket", s->socket, "--dir", s->folder, NULL };
    add_pairs(&s->args, listeners);
    if (plan->tls) {
        s->tls_port = server_free_port();
        words_add_str(&s->args, "--tls-port");
        words_printf(&s->args, "%d", s->tls_port);
    }
    const char *const usual[] = { "--save",
                                  "",
                                  "--io-threads",
                                  workers && *workers ? workers : "4",
                                  "--enable-debug-command",
                                  "yes",
                                  "--enable-protected-configs",
                                  "yes",
                                  NULL };
    if (!plan->bare) add_pairs(&s->args, usual);
    add_pairs(&s->args, plan->args);
    return s;
}

/* In the child: never returns. */
NORETURN static void become_server(const struct server *s, char **argv, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    int log = open(s->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || null < 0) _exit(127);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    /* A command on many keys holds many shards' locks; ThreadSanitizer's deadlock detector gives up at 64.
     * The order of locks is asserted by the server itself in these builds. */
    setenv("TSAN_OPTIONS", "detect_deadlocks=0", 0);
    execvp(argv[0], argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void server_spawn(struct server *s) {
    char **argv = calloc(s->args.count + 1, sizeof(argv[0]));
    if (!argv) abort();
    for (size_t i = 0; i < s->args.count; i++) argv[i] = s->args.items[i].ptr;
    server_path(s, "server.log");
    fflush(NULL);
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid == 0) become_server(s, argv, parent);
    free(argv);
    if (s->pid < 0) HARNESS_FAIL("fork: %s", strerror(errno));
}

/* Does it answer PING by anything that says it is up? */
static bool answers_ping(struct server *s) {
    struct client *c = client_open_unix(s->socket);
    if (!c) return false;
    client_send(c, "PING");
    bool up = strncmp(client_read_text(c), "-LOADING", 8) != 0;
    client_close(c);
    return up;
}

void server_await(struct server *s) {
    for (long waited = 0; waited < START_PATIENCE_MS; waited += PAUSE_MS) {
        if (answers_ping(s)) return;
        int status;
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            s->pid = 0;
            HARNESS_FAIL("the server ended while starting (status 0x%x)\n%s", (unsigned)status,
                         server_log(s));
        }
        pause_ms(PAUSE_MS);
    }
    HARNESS_FAIL("the server was not ready within %d ms", START_PATIENCE_MS);
}

struct server *server_launch_unready(const struct server_plan *plan) {
    struct server *s = server_new(plan);
    server_spawn(s);
    return s;
}

struct server *server_launch(const struct server_plan *plan) {
    struct server *s = server_launch_unready(plan);
    server_await(s);
    return s;
}

struct server *server_start(const char *first, ...) {
    const char *args[64];
    size_t count = 0;
    va_list rest;
    va_start(rest, first);
    for (const char *arg = first; arg && count < COUNT_OF(args) - 1; arg = va_arg(rest, const char *))
        args[count++] = arg;
    va_end(rest);
    args[count] = NULL;
    return server_launch(&(struct server_plan){ .args = args });
}

/* ---- ending ---- */

static void check_for_reports(struct server *s) {
    const char *report = first_report(server_log(s));
    if (report) HARNESS_FAIL("the server's log has a report: %.*s", (int)strcspn(report, "\n"), report);
}

/* The exit status of a process that is about to end. */
static int await_exit(struct server *s) {
    int status;
    for (long waited = 0; waited < STOP_PATIENCE_MS; waited += PAUSE_MS) {
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            s->pid = 0;
            return status;
        }
        pause_ms(PAUSE_MS);
    }
    HARNESS_FAIL("the server did not end within %d ms", STOP_PATIENCE_MS);
}

void server_await_end(struct server *s) {
    int status = await_exit(s);
    check_for_reports(s);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        HARNESS_FAIL("the server did not end cleanly: %s %d", WIFEXITED(status) ? "status" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

void server_stop(struct server *s) {
    if (!s->pid) HARNESS_FAIL("the server does not run");
    kill(s->pid, SIGTERM);
    server_await_end(s);
}

int server_await_signal(struct server *s) {
    int status = await_exit(s);
    if (!WIFSIGNALED(status))
        HARNESS_FAIL("the server did not die by a signal: status 0x%x", (unsigned)status);
    return WTERMSIG(status);
}

int server_await_failure(struct server *s) {
    int status = await_exit(s);
    check_for_reports(s);
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 0)
        HARNESS_FAIL("the server did not give up: status 0x%x", (unsigned)status);
    return WEXITSTATUS(status);
}

void server_kill(struct server *s) {
    if (!s->pid) HARNESS_FAIL("the server does not run");
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
    check_for_reports(s);
}

void server_restart(struct server *s) {
    if (s->pid) HARNESS_FAIL("the server still runs");
    unlink(s->socket);
    server_spawn(s);
    server_await(s);
}

void server_free(struct server *s) {
    if (s && s->pid) server_stop(s);
}

int server_run_to_end(const struct server_plan *plan, struct text *log) {
    struct server *s = server_launch_unready(plan);
    int status = await_exit(s);
    text_append_str(log, server_log(s));
    check_for_reports(s);
    if (!WIFEXITED(status)) HARNESS_FAIL("the server died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* ---- looking at it ---- */

struct client *server_connect(struct server *s) {
    struct client *c = client_open_unix(s->socket);
    if (!c) HARNESS_FAIL("cannot connect to %s: %s", s->socket, strerror(errno));
    return c;
}

struct client *server_connect_early(struct server *s) {
    struct client *c;
    assert_soon((c = client_open_unix(s->socket)) != NULL);
    return c;
}

struct client *server_connect_tcp(struct server *s) {
    struct client *c = client_open_tcp("127.0.0.1", s->port);
    if (!c) HARNESS_FAIL("cannot connect to port %d: %s", s->port, strerror(errno));
    return c;
}

const char *server_path(struct server *s, const char *name) {
    snprintf(s->path, sizeof(s->path), "%s/%s", s->folder, name);
    return s->path;
}

const char *server_folder(const struct server *s) { return s->folder; }
int server_port(const struct server *s) { return s->port; }
int server_tls_port(const struct server *s) { return s->tls_port; }
pid_t server_pid(const struct server *s) { return s->pid; }

int server_open_files(const struct server *s) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)s->pid);
    DIR *dir = opendir(path);
    if (!dir) HARNESS_FAIL("cannot read %s", path);
    int count = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

const char *server_log(struct server *s) {
    text_clear(&s->log);
    int fd = open(server_path(s, "server.log"), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return "";
    for (ssize_t got = 1; got > 0;) {
        got = read(fd, text_reserve(&s->log, 65536), 65536);
        if (got > 0) s->log.len += (size_t)got;
    }
    close(fd);
    text_append(&s->log, "", 0);
    return text_str(&s->log);
}

static size_t occurrences(const char *text, const char *needle) {
    size_t count = 0;
    for (const char *at = strstr(text, needle); at; at = strstr(at + 1, needle)) count++;
    return count;
}

void server_await_log(struct server *s, const char *needle, size_t times) {
    for (long waited = 0; waited < CLIENT_PATIENCE_MS; waited += PAUSE_MS) {
        if (occurrences(server_log(s), needle) >= times) return;
        pause_ms(PAUSE_MS);
    }
    HARNESS_FAIL("the log never said: %s", needle);
}
