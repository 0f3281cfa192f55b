/* client.c: one socket, one buffer each way, poll() with a deadline. */
#include "client.h"
#include "fail.h"
#include "tls.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_STEP (256 * 1024)

struct client {
    int fd;
    SSL *ssl;          /* NULL: plain */
    bool ended;        /* the server closed: nothing more will come */
    struct text out;   /* queued, not yet written */
    struct text in;    /* read, not yet parsed */
    size_t in_at;      /* how much of `in` is parsed */
    struct text reply; /* what client_read_text returned */
};

static struct client *client_new(int fd) {
    struct client *c = calloc(1, sizeof(*c));
    if (!c) abort();
    c->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return c;
}

static struct client *connect_to(int family, const struct sockaddr *address, socklen_t len) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return NULL;
    if (connect(fd, address, len) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return NULL;
    }
    return client_new(fd);
}

struct client *client_open_unix(const char *path) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path)) HARNESS_FAIL("the socket's path is too long: %s", path);
    memcpy(address.sun_path, path, strlen(path));
    return connect_to(AF_UNIX, (const struct sockaddr *)&address, sizeof(address));
}

struct client *client_open_tcp(const char *host, int port) {
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    struct client *c;
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        c = connect_to(AF_INET, (const struct sockaddr *)&v4, sizeof(v4));
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        c = connect_to(AF_INET6, (const struct sockaddr *)&v6, sizeof(v6));
    else
        HARNESS_FAIL("not an address: %s", host);
    int on = 1;
    if (c) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return c;
}

void client_close(struct client *c) {
    if (!c) return;
    if (c->ssl && !c->ended) SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    text_release(&c->out);
    text_release(&c->in);
    text_release(&c->reply);
    free(c);
}

void client_abandon(struct client *c) {
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    c->ended = true; /* no farewell */
    client_close(c);
}

int client_fd(const struct client *c) { return c->fd; }
SSL *client_ssl(struct client *c) { return c->ssl; }

void client_queue_words(struct client *c, const struct words *words) {
    text_printf(&c->out, "*%zu\r\n", words->count);
    for (size_t i = 0; i < words->count; i++) {
        const struct text *word = &words->items[i];
        text_printf(&c->out, "$%zu\r\n", word->len);
        text_append(&c->out, word->ptr, word->len);
        text_append_str(&c->out, "\r\n");
    }
}

void client_queue_line(struct client *c, const char *line) {
    struct words words = { 0 };
    if (!words_split(&words, line)) HARNESS_FAIL("unbalanced quotes in the test's command: %s", line);
    client_queue_words(c, &words);
    words_release(&words);
}

static void queue_formatted(struct client *c, const char *format, va_list args) {
    struct text line = { 0 };
    text_vprintf(&line, format, args);
    client_queue_line(c, text_str(&line));
    text_release(&line);
}

void client_queue(struct client *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    queue_formatted(c, format, args);
    va_end(args);
}

void client_queue_raw(struct client *c, const void *bytes, size_t len) { text_append(&c->out, bytes, len); }

/* Waits until the socket can do what `events` says. */
static short wait_for(struct client *c, short events) {
    struct pollfd poll_fd = { .fd = c->fd, .events = events };
    int count;
    do {
        count = poll(&poll_fd, 1, CLIENT_PATIENCE_MS);
    } while (count < 0 && errno == EINTR);
    if (count == 0) HARNESS_FAIL("no answer from the server within %d ms", CLIENT_PATIENCE_MS);
    return poll_fd.revents;
}

int client_start_tls(struct client *c, SSL_CTX *rules, SSL_SESSION *resumed) {
    c->ssl = SSL_new(rules);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd)) HARNESS_FAIL("cannot make an SSL");
    if (resumed) SSL_set_session(c->ssl, resumed);
    for (;;) {
        int result = SSL_connect(c->ssl);
        int error = SSL_get_error(c->ssl, result);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return error;
        wait_for(c, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
    }
}

/* As the system calls: -1 and errno. */
static ssize_t ssl_result(struct client *c, int result) {
    if (result > 0) return result;
    int error = SSL_get_error(c->ssl, result);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

static ssize_t read_some(struct client *c, char *room, size_t size) {
    if (c->ssl) return ssl_result(c, SSL_read(c->ssl, room, (int)size));
    return recv(c->fd, room, size, 0);
}

static ssize_t write_some(struct client *c, const char *bytes, size_t len) {
    if (c->ssl) return ssl_result(c, SSL_write(c->ssl, bytes, len < (1 << 30) ? (int)len : 1 << 30));
    return send(c->fd, bytes, len, MSG_NOSIGNAL);
}

/* Takes in what the socket has; notes its end. */
static void take_in(struct client *c) {
    text_drop_front(&c->in, c->in_at);
    c->in_at = 0;
    do {
        char *room = text_reserve(&c->in, READ_STEP);
        ssize_t got = read_some(c, room, READ_STEP);
        if (got > 0) {
            c->in.len += (size_t)got;
            c->in.ptr[c->in.len] = '\0';
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            c->ended = true;
        }
    } while (c->ssl && !c->ended && SSL_pending(c->ssl) > 0);
}

bool client_flush(struct client *c) {
    size_t sent = 0;
    while (sent < c->out.len) {
        short ready = wait_for(c, POLLIN | POLLOUT);
        if (ready & POLLIN) take_in(c);
        if (c->ended) break;
        ssize_t wrote = write_some(c, c->out.ptr + sent, c->out.len - sent);
        if (wrote > 0)
            sent += (size_t)wrote;
        else if (errno != EAGAIN && errno != EINTR)
            break;
    }
    bool whole = sent == c->out.len;
    text_clear(&c->out);
    return whole;
}

void client_send(struct client *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    queue_formatted(c, format, args);
    va_end(args);
    client_flush(c);
}

void client_send_raw(struct client *c, const char *bytes) {
    client_queue_raw(c, bytes, strlen(bytes));
    client_flush(c);
}

/* A whole reply out of what was read; NULL if it is not there yet. */
static struct node *parse_next(struct client *c) {
    struct node *reply = NULL;
    size_t used;
    struct slice rest = { c->in.ptr + c->in_at, c->in.len - c->in_at };
    if (rest.len == 0) return NULL;
    enum node_result result = node_parse(rest, &reply, &used);
    if (result == NODE_BROKEN) {
        struct text shown = { 0 };
        text_append_quoted(&shown, (struct slice){ rest.ptr, rest.len > 200 ? 200 : rest.len });
        HARNESS_FAIL("the server sent something that is no reply: %s", text_str(&shown));
    }
    if (result == NODE_READY) c->in_at += used;
    return reply;
}

struct node *client_read_or_end(struct client *c) {
    for (;;) {
        struct node *reply = parse_next(c);
        if (reply || c->ended) return reply;
        wait_for(c, POLLIN);
        take_in(c);
    }
}

struct node *client_read(struct client *c) {
    struct node *reply = client_read_or_end(c);
    if (!reply) HARNESS_FAIL("the server closed the connection instead of answering");
    return reply;
}

const char *client_read_text(struct client *c) {
    struct node *reply = client_read_or_end(c);
    text_clear(&c->reply);
    if (reply)
        node_describe(reply, &c->reply);
    else
        text_append_str(&c->reply, CONNECTION_CLOSED);
    node_free(reply);
    return text_str(&c->reply);
}

const char *client_ask(struct client *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    queue_formatted(c, format, args);
    va_end(args);
    client_flush(c);
    return client_read_text(c);
}

struct node *client_ask_node(struct client *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    queue_formatted(c, format, args);
    va_end(args);
    client_flush(c);
    return client_read(c);
}

int64_t client_ask_int(struct client *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    queue_formatted(c, format, args);
    va_end(args);
    client_flush(c);
    const char *text = client_read_text(c);
    if (text[0] != ':') HARNESS_FAIL("expected an integer, got %s", text);
    return strtoll(text + 1, NULL, 10);
}

void client_skip(struct client *c, size_t count) {
    client_flush(c);
    for (size_t i = 0; i < count; i++) {
        struct node *reply = client_read(c);
        if (node_is_error(reply))
            HARNESS_FAIL("reply %zu of %zu: -%s", i + 1, count, text_str(&reply->bytes));
        node_free(reply);
    }
}

bool client_ended(struct client *c) {
    while (!c->ended && c->in_at == c->in.len) {
        wait_for(c, POLLIN);
        take_in(c);
    }
    return c->in_at == c->in.len;
}

bool client_has_reply(struct client *c) {
    take_in(c);
    struct node *reply = NULL;
    size_t used;
    struct slice rest = { c->in.ptr + c->in_at, c->in.len - c->in_at };
    bool whole = rest.len > 0 && node_parse(rest, &reply, &used) == NODE_READY;
    node_free(reply);
    return whole;
}
