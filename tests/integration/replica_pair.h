/* replica_pair.h: a primary and a replica, and a primary that the test plays itself. */
#ifndef TESTS_INTEGRATION_REPLICA_PAIR_H
#define TESTS_INTEGRATION_REPLICA_PAIR_H

#include "../harness/fixture.h"
#include "files.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef HELP
#define HELP __attribute__((unused)) static
#endif
#define LOADING_REPLY "-LOADING ..."
#define ARGS_MAX 32

/* ---- servers ---- */

HELP struct server *launch(const char *program, const char *const *more) {
    const char *args[ARGS_MAX] = { "--repl-diskless-sync-delay", "0", "--save", "" };
    size_t count = 4;
    while (more && *more) args[count++] = *more++;
    if (program) args[count++] = "--enable-debug-command", args[count++] = "yes";
    return server_launch(
        &(struct server_plan){ .program = program, .args = args, .tcp = true, .bare = program != NULL });
}
#define TRIVET(...) launch(NULL, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
#define REDIS(...) launch("redis-server", (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

HELP void follow_port(struct client *replica, int port) {
    assert_string_equal(client_ask(replica, "REPLICAOF 127.0.0.1 %d", port), "+OK");
}

/* Returns when the replica has what the primary has now. */
HELP void await_sync(struct client *replica, struct client *primary) {
    static int mark;
    char expected[32];
    snprintf(expected, sizeof expected, "$\"%d\"", ++mark);
    assert_string_equal(client_ask(primary, "SET sync-mark %d", mark), "+OK");
    assert_reply_soon(replica, "GET sync-mark", expected);
}

HELP void follow(struct client *replica, struct server *primary, struct client *to_primary) {
    follow_port(replica, server_port(primary));
    await_sync(replica, to_primary);
}

HELP void fill(struct client *c, int keys) {
    for (int i = 0; i < keys; i++) client_queue(c, "SET key:%d value:%d", i, i);
    client_flush(c);
    client_skip(c, (size_t)keys);
}

/* The replica's history goes on under another name, so it must get all data when it comes back; but it still
 * knows the name that the primary's has. */
HELP void part(struct client *replica) { assert_reply(replica, "REPLICAOF NO ONE", "+OK"); }

/* ---- a primary that the test plays ---- */

#define PATIENCE_MS 60000

HELP int stage_open(int *port) {
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, len) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&here, &len) != 0)
        fail_msg("no socket: %s", strerror(errno));
    *port = ntohs(here.sin_port);
    return fd;
}

HELP void await_readable(int fd, const char *what) {
    struct pollfd p = { .fd = fd, .events = POLLIN };
    if (poll(&p, 1, PATIENCE_MS) != 1) fail_msg("%s does not come", what);
}

HELP int stage_accept(int listener) {
    await_readable(listener, "a connection");
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) fail_msg("no connection: %s", strerror(errno));
    return fd;
}

/* Reads until `needle` has come, or the connection ends: false. What came is in `got`. */
HELP bool stage_read(int fd, const char *needle, struct text *got) {
    text_clear(got);
    while (!strstr(text_str(got), needle)) {
        await_readable(fd, needle);
        ssize_t n = read(fd, text_reserve(got, 65536), 65536);
        if (n <= 0) return false;
        got->len += (size_t)n;
        got->ptr[got->len] = '\0';
    }
    return true;
}

HELP void stage_write(int fd, const void *bytes, size_t len) {
    for (const char *at = bytes; len > 0;) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0) fail_msg("the replica takes nothing: %s", strerror(errno));
        at += n;
        len -= (size_t)n;
    }
}
#define stage_say(fd, text) stage_write((fd), (text), strlen(text))

HELP void stage_greet(int fd, struct text *got) {
    static const char *const words[] = { "PING", "listening-port", "capa", "version" };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (!stage_read(fd, words[i], got)) fail_msg("the replica goes away before %s", words[i]);
        stage_say(fd, i == 0 ? "+PONG\r\n" : "+OK\r\n");
    }
    if (!stage_read(fd, "PSYNC", got)) fail_msg("the replica goes away before PSYNC");
}

#define STAGE_ID "0123456789012345678901234567890123456789"

/* The answer to PSYNC, and a file. */
HELP void stage_send_all(int fd, const char *id, const void *rdb, size_t len) {
    char head[128];
    snprintf(head, sizeof head, "+FULLRESYNC %s 1000\r\n$%zu\r\n", id, len);
    stage_say(fd, head);
    stage_write(fd, rdb, len);
}

/* A command of the stream, written as for redis-cli. */
HELP void stage_command(int fd, const char *line) {
    struct words words = { 0 };
    struct text wire = { 0 };
    if (!words_split(&words, line)) fail_msg("an open quote: %s", line);
    text_printf(&wire, "*%zu\r\n", words.count);
    for (size_t i = 0; i < words.count; i++) {
        text_printf(&wire, "$%zu\r\n", words.items[i].len);
        text_append(&wire, words.items[i].ptr, words.items[i].len);
        text_append_str(&wire, "\r\n");
    }
    stage_write(fd, wire.ptr, wire.len);
    text_release(&wire);
    words_release(&words);
}

/* Files: an empty one; one that is sound as a whole (no checksum), but whose one value makes no sense; one
 * that ends too early. */
#define RDB_EMPTY "REDIS0010\xff\0\0\0\0\0\0\0\0"
#define RDB_BAD_VALUE "REDIS0010\xfe\0\x10\x01k\x05xxxxx\xff\0\0\0\0\0\0\0\0"
#define RDB_CUT "REDIS0010\xfe\0\0\x01k\x05val"
#define BYTES(literal) (literal), (sizeof(literal) - 1)

/* The replica comes and has no data now; the link. */
HELP int stage_begin(struct client *replica, int *listener) {
    int port;
    struct text got = { 0 };
    *listener = stage_open(&port);
    follow_port(replica, port);
    int link = stage_accept(*listener);
    stage_greet(link, &got);
    stage_send_all(link, STAGE_ID, RDB_EMPTY, sizeof RDB_EMPTY - 1);
    if (!stage_read(link, "ACK", &got)) fail_msg("no acknowledgement: %s", text_str(&got));
    text_release(&got);
    return link;
}

#endif
