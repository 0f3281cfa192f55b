/* eviction_load.c: a read-through cache on a real server: how many requests does it answer?
 *
 * Usage: eviction_load SOCKET TRACE [REQUESTS [A_SECOND]]
 *
 * Sends the trace (eviction/traces.h; 2,000,000 requests) over a unix socket as GETs, 32 in a pipeline, and a
 * SET for each that misses, like an application in front of a database. A_SECOND (0: as fast as the answers
 * come) holds it to a pace. What lives for a time gets a PX that is as many requests at that pace. Prints the
 * share of hits, and of their bytes, after the first fifth. An error ends it. Not part of the tests. */
#include "eviction/traces.h"
#include "trivet/base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BATCH ((size_t)32)
#define VALUE_MAX ((size_t)64 * 1024)
#define PACE_ASSUMED 100000 /* requests a second, for times to live without a pace */

static struct {
    int fd;
    char *out;
    size_t out_len;
    char in[VALUE_MAX];
    size_t in_at, in_len;
} wire;

static void give_up(const char *what) {
    fprintf(stderr, "eviction_load: %s\n", what);
    exit(1);
}

static void connect_to(const char *path) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) give_up("the socket's path is too long");
    strcpy(address.sun_path, path);
    wire.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (wire.fd < 0 || connect(wire.fd, (struct sockaddr *)&address, sizeof address) != 0)
        give_up(strerror(errno));
    wire.out = mem_alloc(BATCH * (VALUE_MAX + 256));
}

static void flush(void) {
    for (size_t sent = 0; sent < wire.out_len;) {
        ssize_t n = send(wire.fd, wire.out + sent, wire.out_len - sent, MSG_NOSIGNAL);
        if (n < 0) give_up(strerror(errno));
        sent += (size_t)n;
    }
    wire.out_len = 0;
}

static char next_byte(void) {
    if (wire.in_at == wire.in_len) {
        ssize_t n = recv(wire.fd, wire.in, sizeof wire.in, 0);
        if (n <= 0) give_up(n == 0 ? "the server closed the connection" : strerror(errno));
        wire.in_at = 0;
        wire.in_len = (size_t)n;
    }
    return wire.in[wire.in_at++];
}

/* The line of an answer without its CR LF. */
static void read_line(char *line, size_t room) {
    size_t len = 0;
    for (char c; (c = next_byte()) != '\n';)
        if (c != '\r' && len < room - 1) line[len++] = c;
    line[len] = '\0';
    if (line[0] == '-') give_up(line);
}

/* A bulk string of this many bytes; false if it is null. */
static bool read_value(size_t wanted) {
    char line[256];
    read_line(line, sizeof line);
    if (strcmp(line, "$-1") == 0) return false;
    if (line[0] != '$' || strtoull(line + 1, NULL, 10) != wanted) give_up("an answer is not the value");
    for (size_t i = 0; i < wanted + 2; i++) (void)next_byte();
    return true;
}

static void put_get(uint32_t key) {
    wire.out_len += (size_t)sprintf(wire.out + wire.out_len, "*2\r\n$3\r\nGET\r\n$12\r\nkey:%08x\r\n", key);
}

static void put_set(const struct trace *t, uint32_t key, size_t ttl_ms) {
    size_t size = trace_value_size(t, key);
    char *at = wire.out + wire.out_len;
    at += sprintf(at, "*%d\r\n$3\r\nSET\r\n$12\r\nkey:%08x\r\n$%zu\r\n", ttl_ms > 0 ? 5 : 3, key, size);
    memset(at, 'v', size);
    at += size;
    at += sprintf(at, "\r\n");
    if (ttl_ms > 0) at += sprintf(at, "$2\r\nPX\r\n$%d\r\n%zu\r\n", snprintf(NULL, 0, "%zu", ttl_ms), ttl_ms);
    wire.out_len = (size_t)(at - wire.out);
}

struct tally {
    size_t requests, hits;
    double bytes, bytes_hit;
};

/* One pipeline of GETs, then one of SETs. */
static void run_batch(const struct trace *t, size_t from, size_t count, size_t ttl_ms, struct tally *tally) {
    uint32_t missed[BATCH];
    size_t misses = 0;
    for (size_t i = 0; i < count; i++) put_get(t->requests[from + i]);
    flush();
    for (size_t i = 0; i < count; i++) {
        uint32_t key = t->requests[from + i], size = trace_value_size(t, key);
        bool hit = read_value(size);
        if (!hit) missed[misses++] = key;
        tally->requests++;
        tally->hits += hit;
        tally->bytes += size;
        tally->bytes_hit += hit ? size : 0;
    }
    for (size_t i = 0; i < misses; i++) put_set(t, missed[i], t->brief && t->brief[missed[i]] ? ttl_ms : 0);
    flush();
    for (size_t i = 0; i < misses; i++) {
        char line[256];
        read_line(line, sizeof line);
    }
}

static double now_s(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void keep_pace(double started, size_t done, size_t a_second) {
    double wait = started + (double)done / (double)a_second - now_s();
    if (wait <= 0) return;
    struct timespec ts = { (time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9) };
    nanosleep(&ts, NULL);
}

static size_t number(const char *text) {
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || n > 100000000) give_up("not a number up to 100000000");
    return (size_t)n;
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 5) give_up("usage: eviction_load SOCKET TRACE [REQUESTS [A_SECOND]]");
    size_t requests = argc > 3 ? number(argv[3]) : 2000000, a_second = argc > 4 ? number(argv[4]) : 0;
    struct trace t = trace_make(argv[2], requests);
    size_t ttl_ms = t.ttl * 1000 / (a_second > 0 ? a_second : PACE_ASSUMED);
    struct tally tally = { 0 };
    connect_to(argv[1]);
    double started = now_s();
    size_t warm_up = t.count / 5;
    for (size_t at = 0, count; at < t.count; at += count) {
        count = t.count - at < BATCH ? t.count - at : BATCH;
        if (at < warm_up && at + count > warm_up) count = warm_up - at;
        if (at == warm_up) tally = (struct tally){ 0 };
        run_batch(&t, at, count, ttl_ms > 0 ? ttl_ms : 1, &tally);
        if (a_second > 0) keep_pace(started, at + count, a_second);
    }
    printf("%.4f %.4f\n", (double)tally.hits / (double)tally.requests, tally.bytes_hit / tally.bytes);
    fprintf(stderr, "eviction_load: %s: %.0f requests a second\n", t.name,
            (double)t.count / (now_s() - started));
    mem_free(wire.out);
    trace_release(&t);
    return 0;
}
