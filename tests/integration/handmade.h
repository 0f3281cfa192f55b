/* handmade.h: servers in replication, and one side of a link made by hand: a replica that says what the test
 * wants, and a place where a server finds a primary that the test plays. Each test file includes it once. */
#ifndef TESTS_INTEGRATION_HANDMADE_H
#define TESTS_INTEGRATION_HANDMADE_H

#include "../harness/fail.h"
#include "../harness/fixture.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELP __attribute__((unused)) static
#define REFERENCE "redis-server"

/* ---- servers ---- */

/* NULL: the server under test. */
HELP struct server *start_member_with(const char *program, const char *const *more) {
    const char *args[32] = { "--repl-diskless-sync-delay", "0" };
    size_t count = 2;
    while (more && *more) args[count++] = *more++;
    return server_launch(&(struct server_plan){ .program = program, .tcp = true, .args = args });
}
HELP struct server *start_member(const char *program) { return start_member_with(program, NULL); }

HELP void follow(struct server *replica, struct server *primary) {
    struct client *c = server_connect(replica);
    assert_string_equal(client_ask(c, "REPLICAOF 127.0.0.1 %d", server_port(primary)), "+OK");
    client_close(c);
}

/* Asks until INFO has this value. */
HELP void await_info(struct client *c, const char *section, const char *field, const char *value) {
    char expected[128], command[64];
    snprintf(command, sizeof command, "INFO %s", section);
    snprintf(expected, sizeof expected, "$\"...\\r\\n%s:%s\\r\\n...", field, value);
    assert_reply_soon(c, command, expected);
}

HELP void await_link(struct server *replica) {
    struct client *c = server_connect(replica);
    await_info(c, "replication", "master_link_status", "up");
    client_close(c);
}

HELP void assert_state(struct client *c, const char *state) {
    assert_string_equal(info_field(c, "replication", "master_failover_state"), state);
}
HELP void await_state(struct client *c, const char *state) {
    await_info(c, "replication", "master_failover_state", state);
}
HELP void assert_role(struct client *c, const char *role) {
    assert_string_equal(info_field(c, "replication", "role"), role);
}

/* Until both have the same data; nobody may write. */
HELP void assert_same(struct server *a, struct server *b) {
    struct client *one = server_connect(a), *other = server_connect(b);
    char expected[128];
    snprintf(expected, sizeof expected, "%s", client_ask(one, "DEBUG DIGEST"));
    assert_reply_soon(other, "DEBUG DIGEST", expected);
    client_close(one);
    client_close(other);
}

/* ---- a replica by hand ---- */

/* It gets all data by way of the disk, reads nothing, and says how far it is only by acknowledge(). */
HELP struct client *join_by_hand(struct server *primary, int port) {
    char expected[128];
    struct client *r = server_connect_tcp(primary), *c = server_connect(primary);
    assert_string_equal(client_ask(r, "REPLCONF listening-port %d", port), "+OK");
    client_send(r, "PSYNC ? -1");
    snprintf(expected, sizeof expected, "$\"...port=%d,state=online...", port);
    assert_reply_soon(c, "INFO replication", expected);
    client_close(c);
    return r;
}

HELP int64_t offset_of(struct client *c) { return info_number(c, "replication", "master_repl_offset"); }

/* It has everything. `c`: of the primary. */
HELP void acknowledge(struct client *r, struct client *c) {
    client_send(r, "REPLCONF ACK %lld", (long long)offset_of(c));
}

/* ---- a primary by hand ---- */

struct stage {
    int listener, port;
    int fd; /* of the visitor; -1: none */
    struct text bytes;
};

HELP struct stage stage_open(void) {
    struct stage s = { .fd = -1 };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    s.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool open = s.listener >= 0 && bind(s.listener, (struct sockaddr *)&at, len) == 0 &&
                listen(s.listener, 16) == 0 && getsockname(s.listener, (struct sockaddr *)&at, &len) == 0;
    if (!open) HARNESS_FAIL("no port to listen on");
    s.port = ntohs(at.sin_port);
    return s;
}

HELP void stage_drop_visitor(struct stage *s) {
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
    text_clear(&s->bytes);
}

HELP void stage_close(struct stage *s) {
    stage_drop_visitor(s);
    if (s->listener >= 0) close(s->listener);
    s->listener = -1;
    text_release(&s->bytes);
}

static void stage_wait(int fd, const char *what) {
    if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, CLIENT_PATIENCE_MS) <= 0)
        HARNESS_FAIL("nobody %s", what);
}

/* The visitor's next command in the compact text of node.h; valid until the next call. */
HELP const char *stage_read(struct stage *s) {
    static struct text said;
    struct node *n;
    size_t used;
    while (node_parse(text_slice(&s->bytes), &n, &used) != NODE_READY) {
        char piece[4096];
        stage_wait(s->fd, "says anything");
        ssize_t got = read(s->fd, piece, sizeof piece);
        if (got <= 0) return CONNECTION_CLOSED;
        text_append(&s->bytes, piece, (size_t)got);
    }
    text_clear(&said);
    node_describe(n, &said);
    node_free(n);
    text_drop_front(&s->bytes, used);
    return text_str(&said);
}

HELP void stage_say(struct stage *s, const char *line) {
    size_t len = strlen(line);
    if (write(s->fd, line, len) != (ssize_t)len || write(s->fd, "\r\n", 2) != 2)
        HARNESS_FAIL("the visitor has gone");
}

/* Somebody comes, and is answered up to PSYNC; returns that. */
HELP const char *stage_receive(struct stage *s) {
    stage_drop_visitor(s);
    stage_wait(s->listener, "comes");
    s->fd = accept(s->listener, NULL, NULL);
    if (s->fd < 0) HARNESS_FAIL("a visitor went away");
    for (;;) {
        const char *command = stage_read(s);
        if (!strstr(command, "PING") && !strstr(command, "REPLCONF")) return command;
        stage_say(s, strstr(command, "PING") ? "+PONG" : "+OK");
    }
}

#endif
