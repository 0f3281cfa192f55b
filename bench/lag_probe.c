/* lag_probe.c: how long after a write was answered its effect is there on a replica.
 *
 * Usage: lag_probe PRIMARY_PORT REPLICA_PORT WRITES_A_SECOND SECONDS
 *
 * Sends HSET of the key "lag" to the primary at a steady rate, without waiting for earlier answers. The
 * replica tells when it has applied each, by a keyspace notification (it needs `notify-keyspace-events Kh`),
 * so that it is not kept busy with questions. Prints two lines: "lag", from the primary's answer to the
 * notification (0 if that was not later), and "answer", from when the write was due to its answer. Each: how
 * many, and the median, the 99th percentile and the maximum in microseconds. Not part of the tests. */
#include "trivet/base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SUBSCRIBE "SUBSCRIBE __keyspace@0__:lag\r\n"
#define WRITE "HSET lag field value\r\n"
#define LAST_WAIT_US 60e6 /* for what is underway at the end */

enum { PRIMARY, REPLICA, PEERS };

static struct peer {
    const char *sign; /* a line that begins so tells of one write */
    char line[16];    /* the beginning of the one that is being read, with a null byte */
    size_t line_len;
    size_t told; /* writes */
    double *at;  /* when, of each */
} peers[PEERS] = { [PRIMARY] = { .sign = ":" }, [REPLICA] = { .sign = "hset" } };

static struct pollfd fds[PEERS];

static void give_up(const char *what) {
    fprintf(stderr, "lag_probe: %s\n", what);
    exit(1);
}

static double now_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int connect_to(const char *port) {
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to.sin_port = htons((uint16_t)atoi(port));
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) give_up(strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void send_line(int peer, const char *line) {
    if (write(fds[peer].fd, line, strlen(line)) != (ssize_t)strlen(line)) give_up("cannot send");
}

/* The answer ends in the number of subscriptions. */
static void subscribe(void) {
    char answer[256] = "";
    size_t len = 0;
    send_line(REPLICA, SUBSCRIBE);
    while (!strstr(answer, ":1\r\n")) {
        ssize_t n = read(fds[REPLICA].fd, answer + len, sizeof answer - 1 - len);
        if (n <= 0 || answer[0] == '-') give_up("the replica does not take a subscription");
        len += (size_t)n;
        answer[len] = '\0';
    }
}

static void line_ended(struct peer *p, size_t writes, double now) {
    if (p->line[0] == '-') give_up("a server answered an error");
    if (strncmp(p->line, p->sign, strlen(p->sign)) == 0) {
        if (p->told == writes) give_up("somebody else writes the key");
        p->at[p->told++] = now;
    }
    p->line_len = 0;
    p->line[0] = '\0';
}

static void read_lines(int peer, size_t writes, double now) {
    struct peer *p = &peers[peer];
    char bytes[65536];
    ssize_t len = read(fds[peer].fd, bytes, sizeof bytes);
    if (len <= 0) give_up("a server closed its connection");
    for (ssize_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            line_ended(p, writes, now);
        } else if (p->line_len < sizeof p->line - 1) {
            p->line[p->line_len++] = bytes[i];
            p->line[p->line_len] = '\0';
        }
    }
}

static void wait_until(double us, size_t writes) {
    double left = us - now_us();
    if (left < 0) left = 0;
    struct timespec ts = { .tv_sec = (time_t)(left / 1e6), .tv_nsec = (long)(left * 1e3) % 1000000000 };
    if (ppoll(fds, PEERS, &ts, NULL) <= 0) return;
    double now = now_us();
    for (int peer = 0; peer < PEERS; peer++)
        if (fds[peer].revents) read_lines(peer, writes, now);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double *us, size_t count) {
    qsort(us, count, sizeof *us, by_size);
    printf("%s %zu %.0f %.0f %.0f\n", name, count, us[count / 2], us[count - 1 - count / 100], us[count - 1]);
}

static void report_all(size_t writes, double start, double step) {
    double *lag = mem_alloc(writes * sizeof *lag), *answer = mem_alloc(writes * sizeof *answer);
    for (size_t i = 0; i < writes; i++) {
        double behind = peers[REPLICA].at[i] - peers[PRIMARY].at[i];
        lag[i] = behind > 0 ? behind : 0;
        answer[i] = peers[PRIMARY].at[i] - (start + (double)i * step);
    }
    report("lag", lag, writes);
    report("answer", answer, writes);
    mem_free(lag);
    mem_free(answer);
}

int main(int argc, char **argv) {
    if (argc != 5) give_up("PRIMARY_PORT REPLICA_PORT WRITES_A_SECOND SECONDS");
    double rate = strtod(argv[3], NULL), step = 1e6 / rate, writes_wanted = rate * strtod(argv[4], NULL);
    if (!(rate > 0) || !(writes_wanted >= 1)) give_up("rate and seconds are numbers above 0");
    size_t writes = (size_t)writes_wanted;
    for (int peer = 0; peer < PEERS; peer++) {
        fds[peer] = (struct pollfd){ .fd = connect_to(argv[1 + peer]), .events = POLLIN };
        peers[peer].at = mem_alloc(writes * sizeof(double));
    }
    subscribe();
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); /* or each sleep would last 50 us longer */
    double start = now_us();
    for (size_t i = 0; i < writes; i++) {
        double due = start + (double)i * step;
        do wait_until(due, writes);
        while (now_us() < due);
        send_line(PRIMARY, WRITE);
    }
    for (double end = now_us() + LAST_WAIT_US;
         peers[PRIMARY].told < writes || peers[REPLICA].told < writes;) {
        if (now_us() > end) give_up("the replica has not told of all writes");
        wait_until(end, writes);
    }
    report_all(writes, start, step);
    return 0;
}
