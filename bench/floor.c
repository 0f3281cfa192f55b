/* floor.c: the least that a server of this protocol can do: what of a request's cost is the kernel's, and
 * what it takes to see where a command ends.
 *
 * Usage: floor SOCKET
 *
 * One thread and an epoll; reads what has come, up to 64 KB, finds the ends of the commands by the lengths in
 * them, and answers all of them with one write: a GET by a value of 32 bytes, everything else by +OK. It
 * keeps nothing. A command that is cut off by the end of a read is put together with the next one. Not part
 * of the tests. */
#include "trivet/base/mem.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE ((size_t)64 * 1024)
#define ANSWER_MAX 64  /* bytes of one answer */
#define COMMAND_MIN 14 /* bytes of the shortest command: "*1\r\n$4\r\nPING\r\n" */
#define EVENTS 64

static const char ok[] = "+OK\r\n";
static const char value[] = "$32\r\nvalue:00000000000000000000000000\r\n";

struct connection {
    int fd;
    size_t len; /* of a command's beginning */
    char bytes[2 * READ_SIZE];
};

static char answers[2 * READ_SIZE / COMMAND_MIN * ANSWER_MAX];

static void give_up(const char *what) {
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

/* The number of a line that begins with `mark`, and *at behind it. False if it is not all there. */
static bool read_number(const char **at, const char *end, char mark, size_t *out) {
    const char *p = *at;
    size_t n = 0;
    if (p < end && *p != mark) give_up("this is not the protocol");
    for (p++; p < end && *p != '\r'; p++) n = 10 * n + (size_t)(*p - '0');
    if (end - p < 2) return false;
    *at = p + 2;
    *out = n;
    return true;
}

/* The end of the command that begins at `at`, NULL if it has not come yet; *name is where its name begins. */
static const char *command_end(const char *at, const char *end, const char **name) {
    size_t words, len;
    if (!read_number(&at, end, '*', &words)) return NULL;
    for (size_t i = 0; i < words; i++) {
        if (!read_number(&at, end, '$', &len)) return NULL;
        if (i == 0) *name = at;
        if ((size_t)(end - at) < len + 2) return NULL;
        at += len + 2;
    }
    return at;
}

static void write_all(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0) give_up(strerror(errno));
        bytes += n;
        len -= (size_t)n;
    }
}

/* False at the connection's end. */
static bool serve(struct connection *c) {
    ssize_t got = read(c->fd, c->bytes + c->len, READ_SIZE);
    if (got <= 0) return false;
    const char *at = c->bytes, *end = at + c->len + (size_t)got, *next, *name = at;
    size_t answered = 0;
    while (at < end && (next = command_end(at, end, &name)) != NULL) {
        bool is_get = (*name | 0x20) == 'g';
        memcpy(answers + answered, is_get ? value : ok, is_get ? sizeof value : sizeof ok);
        answered += is_get ? sizeof value - 1 : sizeof ok - 1;
        at = next;
    }
    c->len = (size_t)(end - at);
    if (c->len > READ_SIZE) give_up("a command is too long");
    if (at != c->bytes) memmove(c->bytes, at, c->len);
    write_all(c->fd, answers, answered);
    return true;
}

static void watch(int poll_fd, int fd, void *data) {
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0) give_up(strerror(errno));
}

static void welcome(int poll_fd, int listener) {
    struct connection *c = mem_alloc(sizeof *c);
    c->len = 0;
    c->fd = accept(listener, NULL, NULL);
    if (c->fd < 0) give_up(strerror(errno));
    watch(poll_fd, c->fd, c);
}

int main(int argc, char **argv) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (argc != 2 || strlen(argv[1]) >= sizeof at.sun_path) give_up("SOCKET");
    strcpy(at.sun_path, argv[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), poll_fd = epoll_create1(0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 128) != 0)
        give_up(strerror(errno));
    watch(poll_fd, listener, NULL);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                welcome(poll_fd, listener);
            } else if (!serve(c)) {
                close(c->fd);
                mem_free(c);
            }
        }
    }
}
