/* asker.c: see asker.h. */
#include "asker.h"
#include "../harness/await.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct asker {
    struct sockaddr_un address;
    int fd; /* -1: none */
    struct text in;
};

struct asker *asker_new(struct server *s) {
    struct asker *a = calloc(1, sizeof *a);
    if (!a) abort();
    a->address.sun_family = AF_UNIX;
    snprintf(a->address.sun_path, sizeof a->address.sun_path, "%s", server_path(s, "socket"));
    a->fd = -1;
    return a;
}

static struct node *asker_leave(struct asker *a) {
    if (a->fd >= 0) close(a->fd);
    a->fd = -1;
    text_clear(&a->in);
    return NULL;
}

void asker_free(struct asker *a) {
    if (!a) return;
    asker_leave(a);
    text_release(&a->in);
    free(a);
}

/* The queue of a server that hangs may be full: then this does not wait either. */
static bool asker_dial(struct asker *a) {
    if (a->fd >= 0) return true;
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return a->fd >= 0 && connect(a->fd, (struct sockaddr *)&a->address, sizeof a->address) == 0;
}

static bool asker_send(struct asker *a, const struct words *words) {
    struct text out = { 0 };
    text_printf(&out, "*%zu\r\n", words->count);
    for (size_t i = 0; i < words->count; i++) {
        text_printf(&out, "$%zu\r\n", words->items[i].len);
        text_append(&out, words->items[i].ptr, words->items[i].len);
        text_append_str(&out, "\r\n");
    }
    bool sent = send(a->fd, out.ptr, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
    text_release(&out);
    return sent;
}

static struct node *asker_read(struct asker *a, int64_t until_ms) {
    struct node *reply;
    size_t used;
    while (node_parse(text_slice(&a->in), &reply, &used) != NODE_READY) {
        struct pollfd readable = { .fd = a->fd, .events = POLLIN };
        if (deadline_has_passed(until_ms)) return NULL;
        if (poll(&readable, 1, 10) <= 0) continue;
        ssize_t got = recv(a->fd, text_reserve(&a->in, 4096), 4096, MSG_DONTWAIT);
        if (got <= 0) return NULL;
        a->in.len += (size_t)got;
    }
    text_drop_front(&a->in, used);
    return reply;
}

struct node *asker_ask(struct asker *a, int patience_ms, const char *format, ...) {
    struct text line = { 0 };
    struct words words = { 0 };
    va_list args;
    va_start(args, format);
    text_vprintf(&line, format, args);
    va_end(args);
    bool asked = words_split(&words, text_str(&line)) && asker_dial(a) && asker_send(a, &words);
    words_release(&words);
    text_release(&line);
    struct node *reply = asked ? asker_read(a, deadline_after(patience_ms)) : NULL;
    return reply ? reply : asker_leave(a);
}
