/* snapshot_stall.c: how much longer a command on one big value takes while that value is being saved.
 *
 * Usage: snapshot_stall SOCKET [ELEMENTS]
 *
 * For each type it makes one value of ELEMENTS elements (1000000) in an empty server. Then it changes the
 * value at random places with one command after the other: for some seconds without a snapshot, then from the
 * beginning of a BGSAVE to its end, several times. Prints the median, the 99.9th percentile and the maximum
 * of both, in microseconds, and the time of the first command after the beginning, which must freeze or copy.
 * Not part of the tests. */
#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 2000000
#define IDLE_COMMANDS 50000
#define SNAPSHOTS 5
#define PIPELINE 100

/* %1$u: a random element that is there; %2$u: a fresh one. */
static const struct kind {
    const char *name, *make, *change;
} kinds[] = {
    { "hash", "HSET big f%1$u value-of-%1$u", "HSET big f%1$u changed-%2$u" },
    { "set", "SADD big m%1$u", "SADD big new%2$u" },
    { "sorted set", "ZADD big %1$u m%1$u", "ZADD big %2$u m%1$u" },
    { "list", "RPUSH big element-%1$u", "LPUSH big new-%2$u" },
    { "list, middle", "RPUSH big element-%1$u", "LSET big %1$u changed-%2$u" },
    { "stream", "XADD big * field value-%1$u", "XADD big * field new-%2$u" },
    { "string 100 MB", "SETRANGE big 100000000 x", "SETRANGE big %1$u y" },
};

static int server;
static char input[1 << 16];
static size_t input_len;
static double samples[SAMPLES_MAX];
static unsigned elements = 1000000;

static void give_up(const char *what) {
    fprintf(stderr, "snapshot_stall: %s\n", what);
    exit(1);
}

static double now_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void connect_to(const char *path) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) give_up("the socket's path is too long");
    strcpy(address.sun_path, path);
    server = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(server, (struct sockaddr *)&address, sizeof address) != 0) give_up("cannot connect");
}

static void send_all(const char *bytes, size_t len) {
    for (size_t at = 0; at < len;) {
        ssize_t wrote = write(server, bytes + at, len - at);
        if (wrote <= 0) give_up("the server is gone");
        at += (size_t)wrote;
    }
}

static void drop_input(size_t len) {
    input_len -= len;
    memmove(input, input + len, input_len);
}

static char *find_line_end(void) {
    char *end;
    while (!(end = memmem(input, input_len, "\r\n", 2))) {
        ssize_t got = read(server, input + input_len, sizeof input - input_len);
        if (got <= 0) give_up("the server is gone");
        input_len += (size_t)got;
    }
    return end;
}

/* The first line of a reply, and the second if that is a bulk string's. Valid until the next call. */
static const char *read_reply(void) {
    static char line[1 << 16];
    char *end = find_line_end();
    bool bulk = input[0] == '$';
    size_t len = bulk ? strtoul(input + 1, NULL, 10) : (size_t)(end - input);
    if (bulk) {
        drop_input((size_t)(end - input) + 2);
        while (input_len < len + 2) {
            ssize_t got = read(server, input + input_len, sizeof input - input_len);
            if (got <= 0) give_up("the server is gone");
            input_len += (size_t)got;
        }
    }
    memcpy(line, input, len);
    line[len] = '\0';
    drop_input(len + 2);
    if (line[0] == '-') give_up(line);
    return line;
}

/* An inline command; its words have no spaces. */
static const char *ask(const char *command) {
    send_all(command, strlen(command));
    send_all("\r\n", 2);
    return read_reply();
}

static uint64_t chance(void) {
    static uint64_t state = 88172645463325252ULL;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static size_t format(char *out, size_t room, const char *pattern, unsigned a, unsigned b) {
    return (size_t)snprintf(out, room, pattern, a, b);
}
#pragma GCC diagnostic pop

static void make(const struct kind *k) {
    static char batch[PIPELINE * 128];
    ask("FLUSHALL");
    for (unsigned done = 0; done < elements;) {
        size_t len = 0, count = 0;
        for (; count < PIPELINE && done < elements; count++) {
            len += format(batch + len, sizeof batch - len, k->make, done++, 0);
            len += format(batch + len, sizeof batch - len, "\r\n", 0, 0);
        }
        send_all(batch, len);
        for (; count > 0; count--) read_reply();
        if (strncmp(k->make, "SET", 3) == 0) break;
    }
}

static double change_once(const struct kind *k) {
    char command[128];
    size_t len = format(command, sizeof command - 2, k->change, (unsigned)(chance() % elements),
                        (unsigned)(chance() >> 33));
    memcpy(command + len, "\r\n", 2);
    double begin = now_us();
    send_all(command, len + 2);
    read_reply();
    return now_us() - begin;
}

static bool is_saving(void) { return strstr(ask("INFO persistence"), "rdb_bgsave_in_progress:1") != NULL; }

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(size_t count) {
    qsort(samples, count, sizeof *samples, by_size);
    printf(" %8.0f %8.0f %8.0f", samples[count / 2], samples[count - 1 - count / 1000], samples[count - 1]);
}

static void measure(const struct kind *k) {
    double first = 0;
    size_t count = 0;
    make(k);
    for (; count < IDLE_COMMANDS; count++) samples[count] = change_once(k);
    printf("%-14s", k->name);
    print(count);
    count = 0;
    for (int i = 0; i < SNAPSHOTS; i++) {
        ask("BGSAVE");
        double took = samples[count++] = change_once(k);
        if (took > first) first = took;
        do {
            for (int j = 0; j < PIPELINE && count < SAMPLES_MAX; j++) samples[count++] = change_once(k);
        } while (is_saving());
    }
    printf("  ");
    print(count);
    printf("   %8.0f\n", first);
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc < 2) give_up("usage: snapshot_stall SOCKET [ELEMENTS]");
    if (argc > 2) elements = (unsigned)strtoul(argv[2], NULL, 10);
    connect_to(argv[1]);
    printf("%-14s %8s %8s %8s   %8s %8s %8s   %8s\n", "microseconds", "idle", "99.9 %", "maximum", "saving",
           "99.9 %", "maximum", "first");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) measure(&kinds[i]);
    return 0;
}
