/* stall_load.c: makes the events during which `latency_probe` looks at how long other clients wait.
 *
 * Usage: stall_load SOCKET keys FIRST COUNT A_SECOND [EXPIRE_AT_MS]
 *        stall_load SOCKET set|hash|zset|list|stream NAME COUNT
 *        stall_load SOCKET subscribe CHANNELS SECONDS
 *
 * keys: sets "big:<number>" to values of 32 bytes, so many a second (0: as fast as it goes), all with the
 * same time of expiry if one is given. set, hash, ...: fills one value. subscribe: a connection subscribes to
 * all channels in one command and closes when it has every confirmation, over and over until the time is up;
 * prints how often. An error in an answer ends the program. Not part of the tests. */
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BURST_FAST 256      /* SETs in one write(2) */
#define BURST_PACED 8       /* the same where a rate is kept: others shall not wait for the burst itself */
#define ELEMENTS 250        /* of one value, added by one command */
#define COMMANDS_A_BURST 8  /* of those */
#define ANSWER_BYTES 262144 /* read at once */

static const char *socket_path;

static void give_up(const char *what) {
    fprintf(stderr, "stall_load: %s\n", what);
    exit(1);
}

static double now_s(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned long number_of(const char *text) {
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0') give_up("a number is no number");
    return n;
}

static int connect_to_server(void) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(socket_path) >= sizeof at.sun_path) give_up("the socket's path is too long");
    strcpy(at.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0) give_up(strerror(errno));
    return fd;
}

static void send_all(int fd, struct buf *bytes) {
    for (size_t done = 0; done < bytes->len;) {
        ssize_t n = write(fd, bytes->ptr + done, bytes->len - done);
        if (n < 0) give_up(strerror(errno));
        done += (size_t)n;
    }
    buf_clear(bytes);
}

/* Reads until so many lines beginning with one of `heads` have come. No text that is sent here begins so. */
static void await_lines(int fd, const char *heads, unsigned long lines) {
    static char bytes[ANSWER_BYTES];
    bool at_start = true;
    while (lines > 0) {
        ssize_t len = read(fd, bytes, sizeof bytes);
        if (len <= 0) give_up(len == 0 ? "the server closed the connection" : strerror(errno));
        for (ssize_t i = 0; i < len; i++) {
            if (at_start && bytes[i] == '-') give_up("the server answered an error");
            if (at_start && strchr(heads, bytes[i])) lines--;
            at_start = bytes[i] == '\n';
        }
    }
}

static void sleep_until(double due_s) {
    double left = due_s - now_s();
    if (left <= 0) return;
    struct timespec ts = { .tv_sec = (time_t)left, .tv_nsec = (long)((left - (double)(time_t)left) * 1e9) };
    nanosleep(&ts, NULL);
}

/* ---- many keys ---- */

static void append_set(struct buf *out, unsigned long key, const char *expire_at) {
    buf_printf(out, "*%d\r\n$3\r\nSET\r\n$16\r\nbig:%012lu\r\n$32\r\nvalue:%026lu\r\n", expire_at ? 5 : 3,
               key, key);
    if (expire_at) buf_printf(out, "$4\r\nPXAT\r\n$%zu\r\n%s\r\n", strlen(expire_at), expire_at);
}

static void fill_keys(unsigned long first, unsigned long count, double rate, const char *expire_at) {
    struct buf out = { 0 };
    int fd = connect_to_server();
    double start = now_s();
    unsigned long burst = rate > 0 ? BURST_PACED : BURST_FAST;
    for (unsigned long done = 0; done < count;) {
        unsigned long n = count - done < burst ? count - done : burst;
        for (unsigned long i = 0; i < n; i++) append_set(&out, first + done + i, expire_at);
        if (rate > 0) sleep_until(start + (double)done / rate);
        send_all(fd, &out);
        await_lines(fd, "+", n);
        done += n;
    }
    buf_release(&out);
}

/* ---- one big value ---- */

static void append_bulk(struct buf *out, const char *format, unsigned long n) {
    char text[64];
    int len = snprintf(text, sizeof text, format, n);
    buf_printf(out, "$%d\r\n%s\r\n", len, text);
}

static void append_head(struct buf *out, unsigned long args, const char *command, const char *name) {
    buf_printf(out, "*%lu\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", args + 2, strlen(command), command, strlen(name),
               name);
}

/* Adds elements `first` to `first + count` by one command. */
static void append_elements(struct buf *out, const char *kind, const char *name, unsigned long first,
                            unsigned long count) {
    static const struct {
        const char *kind, *command, *before, *element;
    } kinds[] = {
        { "set", "SADD", NULL, "member:%012lu" },
        { "hash", "HSET", "field:%012lu", "value:%lu" },
        { "zset", "ZADD", "%lu", "member:%012lu" },
        { "list", "RPUSH", NULL, "element:%012lu" },
    };
    size_t k = 0;
    while (k < COUNT_OF(kinds) && strcmp(kinds[k].kind, kind) != 0) k++;
    if (k == COUNT_OF(kinds)) give_up("set, hash, zset, list or stream, not others");
    append_head(out, count * (kinds[k].before ? 2 : 1), kinds[k].command, name);
    for (unsigned long i = first; i < first + count; i++) {
        if (kinds[k].before) append_bulk(out, kinds[k].before, i);
        append_bulk(out, kinds[k].element, i);
    }
}

static void append_entry(struct buf *out, const char *name, unsigned long n) {
    append_head(out, 3, "XADD", name);
    append_bulk(out, "%lu-1", n + 1);
    append_bulk(out, "field", n);
    append_bulk(out, "value:%lu", n);
}

static void fill_value(const char *kind, const char *name, unsigned long count) {
    bool is_stream = strcmp(kind, "stream") == 0;
    struct buf out = { 0 };
    int fd = connect_to_server();
    for (unsigned long done = 0; done < count;) {
        unsigned long commands = 0;
        for (; commands < (is_stream ? BURST_FAST : COMMANDS_A_BURST) && done < count; commands++) {
            unsigned long n = count - done < ELEMENTS ? count - done : ELEMENTS;
            if (is_stream) n = 1;
            if (is_stream)
                append_entry(&out, name, done);
            else
                append_elements(&out, kind, name, done, n);
            done += n;
        }
        send_all(fd, &out);
        await_lines(fd, is_stream ? "$" : ":", commands);
    }
    buf_release(&out);
}

/* ---- many channels ---- */

static void subscribe(unsigned long channels, double seconds) {
    double end = now_s() + seconds;
    unsigned long times = 0;
    struct buf out = { 0 };
    for (; now_s() < end; times++) {
        int fd = connect_to_server();
        buf_printf(&out, "*%lu\r\n$9\r\nSUBSCRIBE\r\n", channels + 1);
        for (unsigned long i = 0; i < channels; i++) append_bulk(&out, "channel:%lu", i);
        send_all(fd, &out);
        await_lines(fd, ":", channels);
        close(fd);
    }
    buf_release(&out);
    printf("%lu\n", times);
}

int main(int argc, char **argv) {
    if (argc < 5) give_up("see the usage in its source");
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    socket_path = argv[1];
    if (strcmp(argv[2], "keys") == 0 && (argc == 6 || argc == 7))
        fill_keys(number_of(argv[3]), number_of(argv[4]), strtod(argv[5], NULL), argv[6]);
    else if (strcmp(argv[2], "subscribe") == 0 && argc == 5)
        subscribe(number_of(argv[3]), strtod(argv[4], NULL));
    else if (argc == 5)
        fill_value(argv[2], argv[3], number_of(argv[4]));
    else
        give_up("see the usage in its source");
    return 0;
}
