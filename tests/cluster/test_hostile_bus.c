/* test_hostile_bus.c: what strangers, and nodes gone mad, may send to the bus: the server goes on answering,
 * its memory and its descriptors are bounded, and what is no packet ends its link while a packet that is
 * wrong is dropped. */
#include "../harness/fail.h"
#include "played_node.h"
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MEGABYTE (1024 * 1024)
#define AT_LENGTH 4
#define AT_VERSION 8
#define AT_TYPE 12
#define AT_COUNT 14
#define AT_EXTENSIONS 2214
#define AT_MESSAGE_FLAGS 2253

static uint64_t draw(uint64_t *chance, uint64_t below) {
    uint64_t z = *chance += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

/* Of the running test. */
static struct played_bus b;
static struct text packet;

static int open_trivet(void **state) {
    static const char *const args[] = { "--cluster-node-timeout", "20000", NULL };
    (void)state;
    played_bus_open(&b, PEER_TRIVET, args);
    return 0;
}

static int close_trivet(void **state) {
    (void)state;
    text_release(&packet);
    played_bus_close(&b);
    return 0;
}

static int64_t memory(void) { return info_number(b.node.client, "memory", "used_memory"); }

/* The links of strangers have ended, and it answers. */
static void assert_nothing_left(int files) {
    assert_soon(server_open_files(b.node.server) <= files);
    assert_reply(b.node.client, "PING", "+PONG");
}

/* ---- bytes that are no packets ---- */

static void put(size_t at, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) packet.ptr[at + i] = (char)(value >> 8 * (size - 1 - i));
}

static void set_packet(const struct buf *bytes) {
    text_clear(&packet);
    text_append(&packet, bytes->ptr, bytes->len);
}

/* A PING of nobody. */
static void stranger_packet(void) {
    struct buf ping = { 0 };
    struct message_header h = { .type = MESSAGE_PING, .flags = NODE_SELF | NODE_PRIMARY };
    memset(&h.sender, 'z', sizeof h.sender);
    message_end(&ping, message_begin(&ping, &h));
    set_packet(&ping);
    buf_release(&ping);
}

static void assert_ends_link(const void *bytes, size_t len) {
    struct wire *w = wire_connect(b.node.bus_port);
    wire_send(w, bytes, len);
    wire_expect_end(w);
    wire_close(w);
}

static void what_is_no_packet_ends_the_link(void **state) {
    (void)state;
    int before = server_open_files(b.node.server);
    assert_ends_link("GET / HTTP/1.1\r\n\r\n", 18);
    assert_ends_link("*1\r\n$4\r\nPING\r\n", 14);
    assert_ends_link("RCmc", 4);
    static const uint32_t lengths[] = { 0, 13, 16, 2255, 0x40000001, 0x80000000, 0xffffffff };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        stranger_packet();
        put(AT_LENGTH, lengths[i], 4);
        assert_ends_link(packet.ptr, packet.len);
    }
    stranger_packet();
    put(AT_TYPE, 0x8000 | MESSAGE_PUBLISH, 2);
    put(AT_LENGTH, 15, 4);
    assert_ends_link(packet.ptr, 16);
    uint64_t chance = 1;
    for (int i = 0; i < 100; i++) {
        text_clear(&packet);
        for (uint64_t n = 16 + draw(&chance, 4000); n > 0; n--)
            text_append_char(&packet, (char)draw(&chance, 256));
        assert_ends_link(packet.ptr, packet.len);
    }
    assert_nothing_left(before);
}

/* A packet that ends in its middle, wherever that is, leaves nothing behind. */
static void a_packet_may_end_anywhere(void **state) {
    (void)state;
    int before = server_open_files(b.node.server);
    stranger_packet();
    for (size_t len = 0; len < packet.len; len += len < 20 ? 1 : 97) {
        struct wire *w = wire_connect(b.node.bus_port);
        wire_send(w, packet.ptr, len);
        wire_finish(w);
    }
    assert_nothing_left(before);
}

static void a_light_header_as_the_first_message_ends_the_link(void **state) {
    (void)state;
    struct buf light = { 0 };
    struct client *listens = server_connect(b.node.server);
    assert_reply(listens, "SUBSCRIBE news", "*[$\"subscribe\", $\"news\", :1]");
    size_t at = message_begin_light(&light, MESSAGE_PUBLISH);
    message_put_publish(&light, LIT("news"), LIT("from nobody"));
    message_end(&light, at);
    assert_ends_link(light.ptr, light.len);
    assert_reply(b.node.client, "PUBLISH news real", ":1");
    assert_next(listens, "*[$\"message\", $\"news\", $\"real\"]");
    client_close(listens);
    buf_release(&light);
}

/* ---- packets that are wrong ---- */

struct damage {
    size_t at, size;
    uint64_t value;
    size_t more; /* zero bytes at the end */
};

static const struct damage damages[] = {
    { AT_VERSION, 2, 0, 0 },
    { AT_VERSION, 2, 2, 0 },
    { AT_TYPE, 2, MESSAGE_TYPE_COUNT, 0 },
    { AT_TYPE, 2, 0x7fff, 0 },
    { AT_TYPE, 2, 0x8000 | MESSAGE_PING, 0 },
    { AT_TYPE, 2, 0x8000 | MESSAGE_MODULE, 0 },
    { AT_TYPE, 2, MESSAGE_FAIL, 39 },
    { AT_TYPE, 2, MESSAGE_FAIL, 41 },
    { AT_TYPE, 2, MESSAGE_PUBLISH, 0 },
    { AT_TYPE, 2, MESSAGE_PUBLISH, 9 },
    { AT_TYPE, 2, MESSAGE_PUBLISHSHARD, 7 },
    { AT_TYPE, 2, MESSAGE_AUTH_REQUEST, 1 },
    { AT_TYPE, 2, MESSAGE_AUTH_ACK, 1 },
    { AT_TYPE, 2, MESSAGE_UPDATE, 2095 },
    { AT_TYPE, 2, MESSAGE_MFSTART, 8 },
    { AT_TYPE, 2, MESSAGE_MODULE, 12 },
    { AT_COUNT, 2, 1, 103 },
    { AT_COUNT, 2, 0xffff, 0 },
    { AT_EXTENSIONS, 2, 1, 0 },  /* past the end */
    { AT_EXTENSIONS, 2, 1, 4 },  /* its head does not fit */
    { AT_EXTENSIONS, 2, 1, 8 },  /* of length 0 */
    { AT_EXTENSIONS, 2, 0, 8 },  /* bytes that nobody announced */
    { AT_EXTENSIONS, 2, 0xffff, 8 },
};

static void wrong_packet(struct played_node *n, const struct damage *d) {
    struct buf ping = { 0 };
    n->self.type = MESSAGE_PING;
    n->self.message_flags[0] = MESSAGE_EXTENSIONS;
    message_end(&ping, message_begin(&ping, &n->self));
    n->self.message_flags[0] = 0;
    set_packet(&ping);
    for (size_t i = 0; i < d->more; i++) text_append_char(&packet, '\0');
    put(AT_LENGTH, packet.len, 4);
    put(d->at, d->value, d->size);
    buf_release(&ping);
}

static void a_packet_that_is_wrong_is_dropped_and_its_link_lives(void **state) {
    (void)state;
    struct played_node n;
    played_join(&b, &n, 'a', NULL);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        wrong_packet(&n, &damages[i]);
        wire_send(n.to, packet.ptr, packet.len);
        played_announce(&n); /* the answer to this one comes first */
    }
    server_await_log(b.node.server, "A packet of the bus from 127.0.0.1 was dropped", 1);
    played_leave(&n);
}

/* A message of modules, of which there are none here. */
static void a_message_of_modules_is_passed_over(void **state) {
    (void)state;
    struct played_node n;
    struct buf message = { 0 };
    static const uint8_t id[8] = "module";
    played_join(&b, &n, 'a', NULL);
    n.self.type = MESSAGE_MODULE;
    size_t at = message_begin(&message, &n.self);
    message_put_module(&message, id, 1, LIT("payload"));
    message_end(&message, at);
    wire_send(n.to, message.ptr, message.len);
    played_announce(&n);
    buf_release(&message);
    played_leave(&n);
}

/* ---- a node gone mad ---- */

/* A packet of any type that is good. */
static void good_packet(struct played_node *n, uint64_t *chance, struct buf *out) {
    static const uint8_t id[8] = "module";
    n->self.type = (enum message_type)draw(chance, MESSAGE_TYPE_COUNT);
    struct gossip g = { .id = n->self.sender, .port = 1, .cport = 1, .flags = NODE_PRIMARY };
    size_t at = message_begin(out, &n->self);
    switch (n->self.type) {
    case MESSAGE_PING:
    case MESSAGE_PONG:
    case MESSAGE_MEET: message_put_gossip(out, at, &g); break;
    case MESSAGE_FAIL: message_put_failed(out, &n->self.sender); break;
    case MESSAGE_PUBLISH:
    case MESSAGE_PUBLISHSHARD: message_put_publish(out, LIT("channel"), LIT("payload")); break;
    case MESSAGE_UPDATE: message_put_update(out, 1, &n->self.sender, &n->slots); break;
    case MESSAGE_MODULE: message_put_module(out, id, 1, LIT("payload")); break;
    case MESSAGE_AUTH_REQUEST:
    case MESSAGE_AUTH_ACK:
    case MESSAGE_MFSTART:
    case MESSAGE_TYPE_COUNT: break;
    }
    message_end(out, at);
}

/* All but what makes it a packet may change, and the name of the sender mostly stays. */
static void spoil(struct buf *bytes, uint64_t *chance) {
    for (uint64_t changes = draw(chance, 6); changes > 0; changes--) {
        size_t at = AT_VERSION + draw(chance, bytes->len - AT_VERSION);
        if (at >= 40 && at < 80 && draw(chance, 8) != 0) continue;
        bytes->ptr[at] = (char)draw(chance, 256);
    }
}

static void packets_with_changes_anywhere_do_no_harm(void **state) {
    (void)state;
    enum { PACKETS = 20000, AT_ONCE = 200 };
    struct played_node n;
    uint64_t chance = 7;
    played_join(&b, &n, 'a', NULL);
    for (int sent = 0; sent < PACKETS; sent += AT_ONCE) {
        struct wire *w = wire_connect(b.node.bus_port);
        struct buf all = { 0 };
        for (int i = 0; i < AT_ONCE; i++) {
            struct buf one = { 0 };
            good_packet(&n, &chance, &one);
            spoil(&one, &chance);
            buf_append(&all, buf_slice(&one));
            buf_release(&one);
        }
        wire_send(w, all.ptr, all.len);
        buf_release(&all);
        wire_finish(w);
        assert_reply(b.node.client, "PING", "+PONG");
    }
    played_leave(&n);
}

/* ---- too much ---- */

static int dial(int port) {
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        HARNESS_FAIL("cannot connect to the bus: %s", strerror(errno));
    return fd;
}

/* Sends the packet again and again: the server closes before so many bytes went out, and keeps few of them.
 */
static void assert_stopped_within(size_t most) {
    int64_t before = memory();
    int fd = dial(b.node.bus_port);
    bool stopped = false;
    for (size_t sent = 0; sent < most && !stopped; sent += packet.len)
        stopped = send(fd, packet.ptr, packet.len, MSG_NOSIGNAL) < 0;
    assert_true(memory() < before + 20 * MEGABYTE);
    assert_true(stopped);
    close(fd);
}

/* The head of a packet of 900 MB, which would be legal for a known node that publishes something. */
static void a_stranger_may_not_send_a_long_packet(void **state) {
    (void)state;
    stranger_packet();
    put(AT_TYPE, MESSAGE_PUBLISH, 2);
    put(AT_LENGTH, 900 * MEGABYTE, 4);
    assert_stopped_within(100 * MEGABYTE);
}

/* Each PING is answered; who does not read the answers is left. */
static void a_stranger_may_not_ask_without_reading(void **state) {
    (void)state;
    stranger_packet();
    assert_stopped_within(200 * MEGABYTE);
}

static void allow_many_descriptors(void) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void thousands_of_silent_connections_keep_nobody_out(void **state) {
    (void)state;
    enum { CONNECTIONS = 3000, MORE_FILES = 600 };
    static int fds[CONNECTIONS];
    struct played_node early, late;
    allow_many_descriptors();
    played_join(&b, &early, 'a', NULL);
    played_announce(&early); /* its link has said now whose it is */
    int files = server_open_files(b.node.server);
    int64_t before = memory();
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = dial(b.node.bus_port);
        if (i % 500 == 0) assert_reply(b.node.client, "PING", "+PONG");
    }
    played_join(&b, &late, 'b', NULL);
    played_announce(&early);
    assert_true(server_open_files(b.node.server) < files + MORE_FILES);
    assert_true(memory() < before + 20 * MEGABYTE);
    for (int i = 0; i < CONNECTIONS; i++) close(fds[i]);
    played_leave(&early);
    played_leave(&late);
}

static void a_connection_that_says_nothing_is_closed_in_time(void **state) {
    (void)state;
    assert_reply(b.node.client, "CONFIG SET cluster-node-timeout 1000", "+OK");
    struct wire *silent = wire_connect(b.node.bus_port), *half = wire_connect(b.node.bus_port);
    stranger_packet();
    wire_send(half, packet.ptr, packet.len - 1);
    wire_expect_end(silent);
    wire_expect_end(half);
    wire_close(silent);
    wire_close(half);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_trivet, close_trivet)

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_packet_ends_the_link),
        TEST(a_packet_may_end_anywhere),
        TEST(a_light_header_as_the_first_message_ends_the_link),
        TEST(a_packet_that_is_wrong_is_dropped_and_its_link_lives),
        TEST(a_message_of_modules_is_passed_over),
        TEST(packets_with_changes_anywhere_do_no_harm),
        TEST(a_stranger_may_not_send_a_long_packet),
        TEST(a_stranger_may_not_ask_without_reading),
        TEST(thousands_of_silent_connections_keep_nobody_out),
        TEST(a_connection_that_says_nothing_is_closed_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
