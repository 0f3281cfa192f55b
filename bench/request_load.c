/* request_load.c: GETs and SETs in pipelines, in the protocol of Redis or that of memcached, so that servers
 * of both can be asked the same by the same program.
 *
 * Usage: request_load SOCKET resp|memcached get|set|fill KEYS PIPELINE REQUESTS
 *
 * Fifty connections over a unix socket; each sends a pipeline of requests for keys "key:<number>" drawn at
 * random below KEYS, values have 32 bytes, and sends the next one when all of that is answered. fill: sets
 * every key once. All keys must be there: all answers are equally long, and one that is not as expected ends
 * the program. Prints requests a second. Not part of the tests. */
#include "trivet/base/buf.h"
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 50
#define PATIENCE_MS 10000

/* %1$ is the number of the key, which the answer of memcached repeats. */
static const struct form {
    const char *protocol, *what, *request, *answer;
} forms[] = {
    { "resp", "get", "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012lu\r\n", "$32\r\n" },
    { "resp", "set", "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012lu\r\n$32\r\nvalue:00000000000000000000000000\r\n",
      "+OK\r\n" },
    { "memcached", "get", "get key:%012lu\r\n", "VALUE key:" },
    { "memcached", "set", "set key:%012lu 0 0 32\r\nvalue:00000000000000000000000000\r\n", "STORED\r\n" },
};

static struct connection {
    int fd;
    size_t unread; /* bytes of answers */
} connections[CONNECTIONS];
static struct pollfd fds[CONNECTIONS];
static const struct form *form;
static size_t answer_len;
static unsigned long keys, pipeline, sent, wanted;
static bool in_order; /* fill */
static struct buf out;

static void give_up(const char *what) {
    fprintf(stderr, "request_load: %s\n", what);
    exit(1);
}

static double now_s(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned long draw(void) {
    static unsigned long state = 88172645463325252UL;
    state ^= state << 13;
    state ^= state >> 7;
    return (state ^= state << 17) % keys;
}

static int connect_to(const char *path) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof at.sun_path) give_up("the socket's path is too long");
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0) give_up(strerror(errno));
    return fd;
}

static void choose_form(const char *protocol, const char *what) {
    in_order = strcmp(what, "fill") == 0;
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        if (strcmp(forms[i].protocol, protocol) == 0 && strcmp(forms[i].what, in_order ? "set" : what) == 0)
            form = &forms[i];
    if (!form) give_up("resp or memcached; get, set or fill");
    bool is_get = strcmp(form->what, "get") == 0;
    answer_len = strlen(form->answer);
    if (is_get)
        answer_len = strcmp(protocol, "resp") == 0 ? 39 : strlen("VALUE key:000000000000 0 32\r\n") + 39;
}

/* The next pipeline, if requests are left. */
static void send_some(struct connection *c) {
    unsigned long count = wanted - sent < pipeline ? wanted - sent : pipeline;
    buf_clear(&out);
    for (unsigned long i = 0; i < count; i++) {
        unsigned long key = in_order ? sent + i : draw();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        char *at = buf_reserve(&out, 128);
        int len = snprintf(at, 128, form->request, key);
#pragma GCC diagnostic pop
        out.len += (size_t)len;
    }
    if (count > 0 && write(c->fd, out.ptr, out.len) != (ssize_t)out.len) give_up("the socket takes no more");
    sent += count;
    c->unread = count * answer_len;
}

static void read_some(struct connection *c) {
    char bytes[65536];
    ssize_t got = read(c->fd, bytes, sizeof bytes);
    if (got <= 0) give_up("the server closed a connection");
    bool is_start = c->unread % answer_len == 0 && (size_t)got >= strlen(form->answer);
    if (is_start && memcmp(bytes, form->answer, strlen(form->answer)) != 0)
        give_up("an answer is not as expected");
    if ((size_t)got > c->unread) give_up("an answer is too long");
    c->unread -= (size_t)got;
    if (c->unread == 0) send_some(c);
}

int main(int argc, char **argv) {
    if (argc != 7) give_up("SOCKET resp|memcached get|set|fill KEYS PIPELINE REQUESTS");
    choose_form(argv[2], argv[3]);
    keys = strtoul(argv[4], NULL, 10);
    pipeline = strtoul(argv[5], NULL, 10);
    wanted = in_order ? keys : strtoul(argv[6], NULL, 10);
    if (keys == 0 || pipeline == 0) give_up("keys and pipeline are numbers above 0");
    double start = now_s();
    size_t busy = 0;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        connections[i].fd = connect_to(argv[1]);
        fds[i] = (struct pollfd){ .fd = connections[i].fd, .events = POLLIN };
    }
    for (size_t i = 0; i < CONNECTIONS; i++) send_some(&connections[i]);
    do {
        if (poll(fds, CONNECTIONS, PATIENCE_MS) <= 0) give_up("the server does not answer");
        busy = 0;
        for (size_t i = 0; i < CONNECTIONS; i++) {
            if (fds[i].revents && connections[i].unread > 0) read_some(&connections[i]);
            busy += connections[i].unread > 0;
        }
    } while (busy > 0);
    printf("%.0f\n", (double)wanted / (now_s() - start));
    buf_release(&out);
    return 0;
}
