/* wire.c: see wire.h. */
#include "wire.h"
#include "await.h"
#include "check.h"
#include "fail.h"
#include "replication.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MARK_LEN 40
#define ACK_MS 100

struct wire {
    int fd;
    bool ended, singly;
    bool acknowledges; /* this offset, again and again */
    int64_t offset;
    struct text in;
    size_t at;
    uint64_t dropped; /* bytes that were read and forgotten */
    struct text line;
};

struct wire_listener {
    int fd, port;
};

static struct wire *wire_new(int fd) {
    struct wire *w = calloc(1, sizeof *w);
    if (!w) abort();
    w->fd = fd;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return w;
}

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

struct wire *wire_connect(int port) {
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        HARNESS_FAIL("cannot connect to port %d: %s", port, strerror(errno));
    return wire_new(fd);
}

static struct wire *connect_unix(const char *path) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        HARNESS_FAIL("cannot connect to %s: %s", path, strerror(errno));
    return wire_new(fd);
}

void wire_close(struct wire *w) {
    if (!w) return;
    close(w->fd);
    text_release(&w->in);
    text_release(&w->line);
    free(w);
}

void wire_finish(struct wire *w) {
    shutdown(w->fd, SHUT_WR);
    wire_await_end(w);
    wire_close(w);
}

void wire_abandon(struct wire *w) {
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    wire_close(w);
}

/* ---- sending ---- */

/* The other side may have closed: then it is read by the test that nothing comes. */
void wire_send(struct wire *w, const void *bytes, size_t len) {
    const char *rest = bytes;
    while (len > 0) {
        ssize_t sent = send(w->fd, rest, w->singly ? 1 : len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return;
        rest += sent;
        len -= (size_t)sent;
    }
}

void wire_say(struct wire *w, const char *format, ...) {
    struct text text = { 0 };
    va_list args;
    va_start(args, format);
    text_vprintf(&text, format, args);
    va_end(args);
    wire_send(w, text.ptr, text.len);
    text_release(&text);
}

void wire_tell(struct wire *w, const char *format, ...) {
    struct text line = { 0 }, out = { 0 };
    struct words words = { 0 };
    va_list args;
    va_start(args, format);
    text_vprintf(&line, format, args);
    va_end(args);
    if (!words_split(&words, text_str(&line))) HARNESS_FAIL("unbalanced quotes: %s", text_str(&line));
    text_printf(&out, "*%zu\r\n", words.count);
    for (size_t i = 0; i < words.count; i++) {
        text_printf(&out, "$%zu\r\n", words.items[i].len);
        text_append(&out, words.items[i].ptr, words.items[i].len);
        text_append_str(&out, "\r\n");
    }
    wire_send(w, out.ptr, out.len);
    words_release(&words);
    text_release(&line);
    text_release(&out);
}

void wire_acknowledge(struct wire *w, int64_t offset) {
    w->acknowledges = true;
    w->offset = offset;
    wire_tell(w, "REPLCONF ACK %lld", (long long)offset);
}

void wire_send_together(struct wire *w, bool on) {
    int value = on;
    if (setsockopt(w->fd, IPPROTO_TCP, TCP_CORK, &value, sizeof value) != 0) HARNESS_FAIL("cannot hold back");
}

void wire_send_singly(struct wire *w) { w->singly = true; }

/* ---- reading ---- */

static size_t here(const struct wire *w) { return w->in.len - w->at; }

/* Until something comes; acknowledges meanwhile. */
static void await_bytes(struct wire *w) {
    struct pollfd poll_fd = { .fd = w->fd, .events = POLLIN };
    for (int waited = 0; waited < WIRE_PATIENCE_MS; waited += ACK_MS) {
        if (w->acknowledges) wire_tell(w, "REPLCONF ACK %lld", (long long)w->offset);
        if (poll(&poll_fd, 1, ACK_MS) != 0) return;
    }
    HARNESS_FAIL("nothing came within %d ms", WIRE_PATIENCE_MS);
}

/* Forgets what is behind, and reads more. False at the end. */
static bool read_more(struct wire *w) {
    if (w->ended) return false;
    text_drop_front(&w->in, w->at);
    w->dropped += w->at;
    w->at = 0;
    await_bytes(w);
    char *room = text_reserve(&w->in, 65536);
    ssize_t got = recv(w->fd, room, 65536, 0);
    if (got <= 0) w->ended = true;
    if (got > 0) w->in.len += (size_t)got;
    return got > 0;
}

static void need(struct wire *w, size_t len) {
    while (here(w) < len)
        if (!read_more(w)) HARNESS_FAIL("the link ended, and %zu bytes were missing", len - here(w));
}

/* False at the end of the link. */
static bool read_line(struct wire *w) {
    const char *end;
    while (!(end = here(w) ? memchr(w->in.ptr + w->at, '\n', here(w)) : NULL))
        if (!read_more(w)) return false;
    const char *begin = w->in.ptr + w->at;
    size_t len = (size_t)(end - begin);
    w->at += len + 1;
    if (len > 0 && end[-1] == '\r') len--;
    text_clear(&w->line);
    text_append(&w->line, begin, len);
    return true;
}

const char *wire_line(struct wire *w) {
    if (!read_line(w)) HARNESS_FAIL("the link ended where a line was expected");
    return text_str(&w->line);
}

size_t wire_newlines(struct wire *w) {
    for (size_t count = 0;; count++, w->at++) {
        need(w, 1);
        if (w->in.ptr[w->at] != '\n') return count;
    }
}

void wire_take(struct wire *w, size_t len, struct text *out) {
    while (len > 0) {
        need(w, 1);
        size_t some = here(w) < len ? here(w) : len;
        text_append(out, w->in.ptr + w->at, some);
        w->at += some;
        len -= some;
    }
}

static long number_after(const char *line, char sign) {
    char *end;
    long number = strtol(line + 1, &end, 10);
    if (line[0] != sign || end == line + 1 || *end || number < 0)
        HARNESS_FAIL("a command of the stream has the line: %s", line);
    return number;
}

const char *wire_next(struct wire *w) {
    struct text words = { 0 };
    int64_t deadline_ms = deadline_after(WIRE_PATIENCE_MS);
    do {
        if (deadline_has_passed(deadline_ms)) HARNESS_FAIL("nothing but signs of life came");
        if (!read_line(w)) return NULL;
    } while (w->line.len == 0);
    long count = number_after(text_str(&w->line), '*');
    for (long i = 0; i < count; i++) {
        size_t len = (size_t)number_after(wire_line(w), '$');
        if (i > 0) text_append_char(&words, ' ');
        wire_take(w, len, &words);
        if (*wire_line(w) != '\0') HARNESS_FAIL("a word is longer than it says");
    }
    text_release(&w->line);
    w->line = words;
    return text_str(&w->line);
}

uint64_t wire_taken(const struct wire *w) { return w->dropped + w->at; }

bool wire_has_more(struct wire *w) {
    return here(w) > 0 || poll(&(struct pollfd){ .fd = w->fd, .events = POLLIN }, 1, 0) > 0;
}

void wire_await_end(struct wire *w) {
    int64_t deadline_ms = deadline_after(WIRE_PATIENCE_MS);
    while (!w->ended) {
        if (deadline_has_passed(deadline_ms)) HARNESS_FAIL("the link does not end");
        w->at = w->in.len;
        read_more(w);
    }
}

void wire_expect_end(struct wire *w) {
    if (here(w) > 0 || read_more(w)) HARNESS_FAIL("in place of the end came: %s", text_str(&w->in) + w->at);
}

/* ---- a replica ---- */

void wire_read_fullresync(struct wire *w, struct wire_sync *sync) {
    long long offset;
    wire_newlines(w);
    const char *line = wire_line(w);
    int used = 0;
    if (sscanf(line, "+FULLRESYNC %40[0-9a-f] %lld%n", sync->id, &offset, &used) != 2 || line[used] ||
        strlen(sync->id) != 40)
        HARNESS_FAIL("in place of +FULLRESYNC came: %s", line);
    sync->offset = offset;
}

static void read_to_mark(struct wire *w, const char *mark, struct text *rdb) {
    do wire_take(w, 1, rdb);
    while (rdb->len < MARK_LEN || memcmp(rdb->ptr + rdb->len - MARK_LEN, mark, MARK_LEN) != 0);
    rdb->len -= MARK_LEN;
}

void wire_read_rdb(struct wire *w, struct wire_sync *sync) {
    char mark[MARK_LEN + 1] = "";
    text_clear(&sync->rdb);
    wire_newlines(w);
    snprintf(mark, sizeof mark, "%.40s", wire_line(w) + (strncmp(text_str(&w->line), "$EOF:", 5) ? 0 : 5));
    sync->by_mark = strncmp(text_str(&w->line), "$EOF:", 5) == 0;
    if (!sync->by_mark)
        wire_take(w, (size_t)number_after(text_str(&w->line), '$'), &sync->rdb);
    else if (strlen(mark) == MARK_LEN && w->line.len == 5 + MARK_LEN)
        read_to_mark(w, mark, &sync->rdb);
    else
        HARNESS_FAIL("the mark has not %d bytes: %s", MARK_LEN, text_str(&w->line));
}

void wire_sync_release(struct wire_sync *sync) { text_release(&sync->rdb); }

static void expect_line(struct wire *w, const char *expected) {
    const char *line = wire_line(w);
    if (!text_matches(expected, line)) HARNESS_FAIL("in place of %s came: %s", expected, line);
}

struct wire *wire_join(struct server *primary, int listening_port) {
    struct text online = { 0 };
    struct client *c = server_connect(primary);
    struct wire *w = wire_connect(server_port(primary));
    wire_tell(w, "REPLCONF listening-port %d", listening_port);
    expect_line(w, "+OK");
    wire_tell(w, "PSYNC ? -1");
    text_printf(&online, "$\"...port=%d,state=online...", listening_port);
    assert_reply_soon(c, "INFO replication", text_str(&online));
    text_release(&online);
    client_close(c);
    return w;
}

struct wire *wire_continue(struct server *primary) {
    struct replication now;
    struct wire *w = connect_unix(server_path(primary, "socket"));
    replication_look(primary, &now);
    wire_tell(w, "REPLCONF listening-port 7 capa psync2");
    expect_line(w, "+OK");
    wire_tell(w, "PSYNC %s %lld", now.id, (long long)now.offset + 1);
    expect_line(w, "+CONTINUE ...");
    return w;
}

/* ---- a primary ---- */

struct wire_listener *wire_listen(void) {
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    struct wire_listener *l = calloc(1, sizeof *l);
    if (!l) abort();
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || bind(l->fd, (struct sockaddr *)&address, len) != 0 || listen(l->fd, 16) != 0 ||
        getsockname(l->fd, (struct sockaddr *)&address, &len) != 0)
        HARNESS_FAIL("cannot listen: %s", strerror(errno));
    l->port = ntohs(address.sin_port);
    return l;
}

void wire_listener_close(struct wire_listener *l) {
    if (!l) return;
    close(l->fd);
    free(l);
}

int wire_port(const struct wire_listener *l) { return l->port; }

struct wire *wire_accept(struct wire_listener *l) {
    struct pollfd poll_fd = { .fd = l->fd, .events = POLLIN };
    int ready;
    do ready = poll(&poll_fd, 1, WIRE_PATIENCE_MS);
    while (ready < 0 && errno == EINTR);
    if (ready == 0) HARNESS_FAIL("the replica does not try again");
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) HARNESS_FAIL("accept: %s", strerror(errno));
    return wire_new(fd);
}

const char *wire_handshake(struct wire *w) {
    for (;;) {
        const char *command = wire_next(w);
        if (!command || strncasecmp(command, "PSYNC ", 6) == 0) return command;
        if (strcasecmp(command, "PING") == 0)
            wire_say(w, "+PONG\r\n");
        else if (strncasecmp(command, "REPLCONF ", 9) == 0 || strncasecmp(command, "AUTH ", 5) == 0)
            wire_say(w, "+OK\r\n");
        else
            HARNESS_FAIL("unexpected in a handshake: %s", command);
    }
}

struct wire *wire_accept_psync(struct wire_listener *l, struct text *psync) {
    struct wire *w = wire_accept(l);
    const char *command = wire_handshake(w);
    if (!command) HARNESS_FAIL("the replica ended its handshake");
    text_clear(psync);
    text_append_str(psync, command);
    return w;
}

void wire_send_rdb(struct wire *w, struct slice rdb) {
    wire_say(w, "$%zu\r\n", rdb.len);
    wire_send(w, rdb.ptr, rdb.len);
}

void wire_send_fullresync(struct wire *w, const char *id, int64_t offset, struct slice rdb) {
    wire_say(w, "+FULLRESYNC %s %lld\r\n", id, (long long)offset);
    wire_send_rdb(w, rdb);
}

/* What its file keeps may come behind it: FACK. */
void wire_await_ack(struct wire *w, int64_t offset) {
    struct text expected = { 0 };
    text_printf(&expected, "REPLCONF ACK %lld", (long long)offset);
    const char *came = wire_next(w);
    bool matches = came && strncmp(came, text_str(&expected), expected.len) == 0 &&
                   (came[expected.len] == '\0' || came[expected.len] == ' ');
    if (!matches) HARNESS_FAIL("in place of %s came: %s", text_str(&expected), came ? came : "the end");
    text_release(&expected);
}

struct wire *wire_feed(struct wire_listener *l, int64_t offset) {
    struct text psync = { 0 };
    struct wire *w = wire_accept_psync(l, &psync);
    wire_send_fullresync(w, WIRE_ID, offset, WIRE_RDB_EMPTY);
    wire_await_ack(w, offset);
    text_release(&psync);
    return w;
}
