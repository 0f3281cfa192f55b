/* latency_probe.c: how long a server takes to answer while something else goes on in it.
 *
 * Usage: latency_probe SOCKET|PORT KEYS REQUESTS_A_SECOND SECONDS [GET|SET]
 *
 * Sends GET and SET in turn, or only one of them, of random keys "key:000000000000" ..., at a steady rate
 * over sixteen connections, without waiting for earlier answers. The time of an answer counts from the moment
 * its request was due. So a server that stops for a tenth of a second is late for all requests of that time,
 * not for one only. SIGTERM ends it early. Prints a line for each that was sent: how many, and the median,
 * the 99th and the 99.9th percentile and the maximum in microseconds. Not part of the tests. */
#include "trivet/base/mem.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 16
#define UNDERWAY_MAX 65536 /* requests of a connection without an answer; a power of two */

enum kind { GET, SET, KINDS };
static const char *const kind_name[KINDS] = { "GET", "SET" };

struct connection {
    int fd;
    unsigned sent, answered;
    double due[UNDERWAY_MAX];      /* of request i in slot i mod UNDERWAY_MAX */
    char line_start[2];            /* of the line that is being read */
    unsigned line_len;             /* so far */
    bool in_bulk;                  /* that line is the text of a bulk string */
    enum kind kinds[UNDERWAY_MAX]; /* as due */
};

struct samples {
    double *us;
    size_t count, room;
};

static struct connection connections[CONNECTIONS];
static struct samples samples[KINDS];
static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
    (void)signal_number;
    stopped = 1;
}

static void give_up(const char *what) {
    fprintf(stderr, "latency_probe: %s\n", what);
    exit(1);
}

static double now_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static uint64_t chance(void) {
    static uint64_t state = 88172645463325252ULL;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static int connect_to(const char *where) {
    struct sockaddr_un local = { .sun_family = AF_UNIX };
    struct sockaddr_in port = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    bool is_path = strchr(where, '/') != NULL;
    if (is_path && strlen(where) >= sizeof local.sun_path) give_up("the socket's path is too long");
    if (is_path) strcpy(local.sun_path, where);
    port.sin_port = htons((uint16_t)atoi(where));
    int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    int failed = is_path ? connect(fd, (struct sockaddr *)&local, sizeof local)
                         : connect(fd, (struct sockaddr *)&port, sizeof port);
    if (fd < 0 || failed) give_up(strerror(errno));
    int yes = 1;
    if (!is_path) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void note(enum kind kind, double us) {
    struct samples *s = &samples[kind];
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 65536;
        s->us = mem_realloc(s->us, s->room * sizeof *s->us);
    }
    s->us[s->count++] = us;
}

/* An answer is a line, and after "$<length>" another one. */
static void line_ended(struct connection *c, double now) {
    bool bulk_follows = !c->in_bulk && c->line_start[0] == '$' && c->line_start[1] != '-';
    if (!c->in_bulk && c->line_start[0] == '-') give_up("the server answered an error");
    c->in_bulk = bulk_follows;
    if (bulk_follows) return;
    assert(c->answered != c->sent);
    note(c->kinds[c->answered % UNDERWAY_MAX], now - c->due[c->answered % UNDERWAY_MAX]);
    c->answered++;
}

static void read_answers(struct connection *c) {
    char bytes[65536];
    ssize_t len = read(c->fd, bytes, sizeof bytes);
    if (len == 0) give_up("the server closed a connection");
    double now = now_us();
    for (ssize_t i = 0; i < len; i++) {
        if (c->line_len < 2) c->line_start[c->line_len] = bytes[i];
        c->line_len++;
        if (bytes[i] != '\n') continue;
        line_ended(c, now);
        c->line_len = 0;
    }
}

/* Sleeps until something is to be read or the time has come. */
static void wait_until(double us, struct pollfd *fds) {
    double left = us - now_us();
    if (left < 0) left = 0;
    struct timespec ts = { .tv_sec = (time_t)(left / 1e6), .tv_nsec = (long)(left * 1e3) % 1000000000 };
    if (ppoll(fds, CONNECTIONS, &ts, NULL) <= 0) return;
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (fds[i].revents) read_answers(&connections[i]);
}

/* If the socket is full or too much underway, the server stands still: this waits, and the requests that
 * become due meanwhile are late. */
static void send_request(struct connection *c, double due, enum kind kind, unsigned long keys,
                         struct pollfd *fds) {
    char text[128];
    unsigned long key = chance() % keys;
    int len = kind == GET ? sprintf(text, "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012lu\r\n", key)
                          : sprintf(text, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012lu\r\n$32\r\nvalue:%026lu\r\n",
                                    key, key);
    while (c->sent - c->answered == UNDERWAY_MAX) wait_until(now_us() + 100, fds);
    for (int done = 0; done < len;) {
        ssize_t n = write(c->fd, text + done, (size_t)(len - done));
        if (n < 0 && errno != EAGAIN) give_up(strerror(errno));
        if (n < 0)
            wait_until(now_us() + 100, fds);
        else
            done += (int)n;
    }
    c->due[c->sent % UNDERWAY_MAX] = due;
    c->kinds[c->sent++ % UNDERWAY_MAX] = kind;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(enum kind kind) {
    struct samples *s = &samples[kind];
    if (s->count == 0) return;
    qsort(s->us, s->count, sizeof *s->us, by_size);
    printf("%s %zu %.0f %.0f %.0f %.0f\n", kind_name[kind], s->count, s->us[s->count / 2],
           s->us[s->count - 1 - s->count / 100], s->us[s->count - 1 - s->count / 1000], s->us[s->count - 1]);
}

/* What is sent in turn n of a connection. */
static enum kind kind_at(unsigned n, const char *wanted) {
    if (!wanted) return n % 2 ? SET : GET;
    return strcmp(wanted, kind_name[SET]) == 0 ? SET : GET;
}

int main(int argc, char **argv) {
    const char *wanted = argc == 6 ? argv[5] : NULL; /* NULL: both */
    if (argc != 5 && argc != 6) give_up("SOCKET|PORT KEYS REQUESTS_A_SECOND SECONDS [GET|SET]");
    if (wanted && strcmp(wanted, "GET") != 0 && strcmp(wanted, "SET") != 0) give_up("GET or SET, not others");
    unsigned long keys = strtoul(argv[2], NULL, 10);
    double step = 1e6 / strtod(argv[3], NULL), length = 1e6 * strtod(argv[4], NULL);
    if (keys == 0 || !(step > 0)) give_up("keys and rate are numbers above 0");
    struct pollfd fds[CONNECTIONS];
    for (size_t i = 0; i < CONNECTIONS; i++) {
        connections[i].fd = connect_to(argv[1]);
        fds[i] = (struct pollfd){ .fd = connections[i].fd, .events = POLLIN };
    }
    signal(SIGTERM, stop);
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); /* or each sleep would last 50 us longer */
    double start = now_us(), due = start;
    for (unsigned n = 0; !stopped && due < start + length; n++, due += step) {
        do wait_until(due, fds);
        while (now_us() < due && !stopped);
        send_request(&connections[n % CONNECTIONS], due, kind_at(n / CONNECTIONS, wanted), keys, fds);
    }
    /* What is still underway counts too. */
    for (double end = now_us() + 10e6; now_us() < end;) {
        size_t waiting = 0;
        for (size_t i = 0; i < CONNECTIONS; i++) waiting += connections[i].sent - connections[i].answered;
        if (waiting == 0) break;
        wait_until(end, fds);
    }
    if (samples[GET].count + samples[SET].count == 0) give_up("no answer at all");
    report(GET);
    report(SET);
    return 0;
}
