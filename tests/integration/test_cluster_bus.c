/* The packets of the bus against redis-server: every packet that it sends must come out of our reader and
 * writer as it came in, byte for byte, and it must understand ours.
 *
 * The test plays nodes of a cluster by hand. Each listens; the server dials it after a MEET, and both talk on
 * a link of their own. */
#include "../harness/check.h"
#include "../harness/replication.h"
#include "../harness/wire.h"
#include "../unit/cluster/reencode.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* A node that the test plays. */
struct peer_node {
    struct message_header self;
    struct slot_set slots;
    struct wire_listener *listener;
    struct wire *to, *from; /* dialled by us, and by the server */
    struct text packet;     /* the last one on `from` */
};

struct bus {
    struct server *server;
    struct client *client;
    int port; /* of the server's bus */
    struct node_id id;
};

static void bus_open(struct bus *b, const char *timeout_ms) {
    char port[16];
    b->port = server_free_port();
    snprintf(port, sizeof port, "%d", b->port);
    b->server = REDIS("--cluster-enabled", "yes", "--cluster-port", port, "--cluster-node-timeout",
                      timeout_ms, "--cluster-announce-hostname", "host.example");
    b->client = server_connect(b->server);
    struct node *id = client_ask_node(b->client, "CLUSTER MYID");
    assert_true(node_id_parse(text_slice(&id->bytes), &b->id));
    node_free(id);
}

static void bus_close(struct bus *b) {
    client_close(b->client);
    server_free(b->server);
}

/* ---- packets ---- */

static void read_packet(struct wire *w, struct text *packet, struct message *m) {
    size_t length;
    text_clear(packet);
    while (message_frame(text_slice(packet), &length) == FRAME_MORE)
        wire_take(w, length - packet->len, packet);
    assert_int_equal(message_frame(text_slice(packet), &length), FRAME_READY);
    assert_null(message_decode(text_slice(packet), m));
    struct buf again = { 0 };
    reencode(m, &again);
    assert_int_equal(again.len, packet->len);
    assert_memory_equal(again.ptr, packet->ptr, again.len);
    buf_release(&again);
}

/* A message that has a header and no body. */
static void say(struct peer_node *n, struct wire *w, enum message_type type) {
    struct buf out = { 0 };
    n->self.type = type;
    size_t at = message_begin(&out, &n->self);
    message_end(&out, at);
    wire_send(w, out.ptr, out.len);
    buf_release(&out);
}

/* Reads what the server says, answering its PINGs, until it is of this type. Valid until the next call. */
static struct message await_message(struct peer_node *n, enum message_type type) {
    struct message m;
    do {
        read_packet(n->from, &n->packet, &m);
        if (m.header.type == MESSAGE_PING) say(n, n->from, MESSAGE_PONG);
    } while (m.header.type != type);
    return m;
}

/* ---- nodes ---- */

/* Makes a node and has the server know it: MEET, its PONG, its own link with a PING, our PONG. */
static void join(struct bus *b, struct peer_node *n, char letter, const struct peer_node *primary) {
    *n = (struct peer_node){ .listener = wire_listen() };
    n->self = (struct message_header){ .port = 1, .flags = NODE_SELF | NODE_PRIMARY, .slots = &n->slots };
    n->self.cport = (uint16_t)wire_port(n->listener);
    memset(&n->self.sender, letter, sizeof n->self.sender);
    if (primary) {
        n->self.flags = NODE_SELF | NODE_REPLICA;
        n->self.primary = primary->self.sender;
    }
    n->to = wire_connect(b->port);
    say(n, n->to, MESSAGE_MEET);
    struct message m;
    read_packet(n->to, &n->packet, &m);
    assert_int_equal(m.header.type, MESSAGE_PONG);
    assert_true(node_id_equal(&m.header.sender, &b->id));
    n->from = wire_accept(n->listener);
    await_message(n, MESSAGE_PING);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%.*s 127.0.0.1:1@", NODE_ID_ARG(&n->self.sender));
    assert_soon(strstr(client_ask(b->client, "CLUSTER NODES"), wanted));
}

static void leave(struct peer_node *n) {
    wire_close(n->to);
    wire_close(n->from);
    wire_listener_close(n->listener);
    text_release(&n->packet);
}

/* Tells the server what the node is now; its PONG says that it knows. */
static void announce(struct peer_node *n) {
    struct message m;
    say(n, n->to, MESSAGE_PING);
    read_packet(n->to, &n->packet, &m);
    assert_int_equal(m.header.type, MESSAGE_PONG);
}

/* ---- tests ---- */

static bool has_gossip_about(const struct message *m, const struct peer_node *n) {
    for (unsigned i = 0; i < m->gossip_count; i++) {
        struct gossip g = gossip_at(m, i);
        if (node_id_equal(&g.id, &n->self.sender) && g.cport == n->self.cport) return true;
    }
    return false;
}

static void greetings_and_pings_are_understood(void **state) {
    (void)state;
    struct bus b;
    struct peer_node one, two;
    bus_open(&b, "4000");
    assert_reply(b.client, "CLUSTER ADDSLOTSRANGE 0 3 16383 16383", "+OK");
    join(&b, &one, 'a', NULL);
    join(&b, &two, 'b', NULL);
    struct message m = await_message(&one, MESSAGE_PING);
    assert_int_equal(m.header.port, server_port(b.server));
    assert_int_equal(m.header.cport, b.port);
    assert_int_equal(m.header.flags, NODE_SELF | NODE_PRIMARY);
    assert_int_equal(slot_set_count(m.header.slots), 5);
    size_t at = 0;
    struct extension e;
    assert_true(extension_next(&m, &at, &e));
    assert_true(e.type == EXTENSION_HOSTNAME && slice_equal(extension_text(&e), LIT("host.example")));
    while (!has_gossip_about(&m, &two)) m = await_message(&one, MESSAGE_PING);
    leave(&one);
    leave(&two);
    bus_close(&b);
}

static void published_messages_go_both_ways(void **state) {
    (void)state;
    struct bus b;
    struct peer_node one;
    bus_open(&b, "4000");
    join(&b, &one, 'a', NULL);
    assert_reply(b.client, "PUBLISH channel hello", ":0");
    struct message m = await_message(&one, MESSAGE_PUBLISH);
    assert_true(slice_equal(m.channel, LIT("channel")) && slice_equal(m.payload, LIT("hello")));

    struct client *subscriber = server_connect(b.server);
    assert_reply(subscriber, "SUBSCRIBE back", "*[$\"subscribe\", $\"back\", :1]");
    struct buf out = { 0 };
    one.self.type = MESSAGE_PUBLISH;
    size_t at = message_begin(&out, &one.self);
    message_put_publish(&out, LIT("back"), LIT("world"));
    message_end(&out, at);
    wire_send(one.to, out.ptr, out.len);
    assert_next(subscriber, "*[$\"message\", $\"back\", $\"world\"]");
    client_close(subscriber);
    buf_release(&out);
    leave(&one);
    bus_close(&b);
}

static void messages_of_a_shard_go_to_its_replica(void **state) {
    (void)state;
    struct bus b;
    struct peer_node one;
    bus_open(&b, "4000");
    join(&b, &one, 'a', NULL);
    assert_reply(b.client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    one.self.flags = NODE_SELF | NODE_REPLICA;
    one.self.primary = b.id;
    announce(&one);
    assert_reply_soon(b.client, "SPUBLISH channel hello", ":0");
    struct message m = await_message(&one, MESSAGE_PUBLISHSHARD);
    assert_true(slice_equal(m.channel, LIT("channel")) && slice_equal(m.payload, LIT("hello")));
    leave(&one);
    bus_close(&b);
}

static void old_claims_are_answered_with_an_update(void **state) {
    (void)state;
    struct bus b;
    struct peer_node one;
    bus_open(&b, "4000");
    assert_reply(b.client, "CLUSTER SET-CONFIG-EPOCH 5", "+OK");
    assert_reply(b.client, "CLUSTER ADDSLOTS 7 8", "+OK");
    join(&b, &one, 'a', NULL);
    slot_set_add(&one.slots, 7);
    one.self.config_epoch = 4;
    announce(&one);
    struct message m = await_message(&one, MESSAGE_UPDATE);
    assert_true(node_id_equal(&m.about, &b.id));
    assert_true(m.update_epoch == 5);
    assert_true(slot_set_has(m.update_slots, 8) && slot_set_count(m.update_slots) == 2);

    struct buf out = { 0 };
    struct slot_set taken = { { 0 } };
    slot_set_add(&taken, 8);
    one.self.type = MESSAGE_UPDATE;
    size_t at = message_begin(&out, &one.self);
    message_put_update(&out, 6, &one.self.sender, &taken);
    message_end(&out, at);
    wire_send(one.to, out.ptr, out.len);
    assert_soon(strstr(client_ask(b.client, "CLUSTER NODES"), " 6 connected 8"));
    buf_release(&out);
    leave(&one);
    bus_close(&b);
}

/* A PING of a primary with slots, which says that another node does not answer. */
static void report(struct peer_node *by, const struct peer_node *failing) {
    struct buf out = { 0 };
    struct message m;
    struct gossip g = { .id = failing->self.sender,
                        .port = 1,
                        .cport = failing->self.cport,
                        .flags = NODE_PRIMARY | NODE_PFAIL };
    by->self.type = MESSAGE_PING;
    size_t at = message_begin(&out, &by->self);
    message_put_gossip(&out, at, &g);
    message_end(&out, at);
    wire_send(by->to, out.ptr, out.len);
    read_packet(by->to, &by->packet, &m);
    buf_release(&out);
}

/* Does the server suspect the silent one? The other one goes on answering. */
static bool is_suspected(struct bus *b, const struct peer_node *silent, struct peer_node *alive) {
    struct message m;
    while (wire_has_more(alive->from)) {
        read_packet(alive->from, &alive->packet, &m);
        if (m.header.type == MESSAGE_PING) say(alive, alive->from, MESSAGE_PONG);
    }
    char line[128];
    snprintf(line, sizeof line, "%.*s 127.0.0.1:1@%u master,fail?", NODE_ID_ARG(&silent->self.sender),
             silent->self.cport);
    return strstr(client_ask(b->client, "CLUSTER NODES"), line) != NULL;
}

static void a_failed_node_is_told_of(void **state) {
    (void)state;
    struct bus b;
    struct peer_node silent, alive;
    bus_open(&b, "1000");
    assert_reply(b.client, "CLUSTER ADDSLOTS 1", "+OK");
    join(&b, &silent, 'a', NULL);
    join(&b, &alive, 'b', NULL);
    slot_set_add(&alive.slots, 2);
    announce(&alive);
    assert_soon(is_suspected(&b, &silent, &alive));
    report(&alive, &silent);
    struct message m = await_message(&alive, MESSAGE_FAIL);
    assert_true(node_id_equal(&m.about, &silent.self.sender));
    leave(&silent);
    leave(&alive);
    bus_close(&b);
}

static void a_vote_is_asked_for_and_given(void **state) {
    (void)state;
    struct bus b;
    struct peer_node primary, replica;
    bus_open(&b, "4000");
    assert_reply(b.client, "CLUSTER ADDSLOTS 1", "+OK");
    join(&b, &primary, 'a', NULL);
    slot_set_add(&primary.slots, 2);
    primary.self.config_epoch = primary.self.current_epoch = 3;
    announce(&primary);
    join(&b, &replica, 'b', &primary);
    replica.slots = primary.slots;
    replica.self.config_epoch = 3;
    replica.self.current_epoch = 4;
    announce(&replica);

    struct buf out = { 0 };
    replica.self.type = MESSAGE_FAIL;
    size_t at = message_begin(&out, &replica.self);
    message_put_failed(&out, &primary.self.sender);
    message_end(&out, at);
    wire_send(replica.to, out.ptr, out.len);
    say(&replica, replica.to, MESSAGE_AUTH_REQUEST);
    struct message m = await_message(&replica, MESSAGE_AUTH_ACK);
    assert_true(m.header.current_epoch == 4);
    buf_release(&out);
    leave(&primary);
    leave(&replica);
    bus_close(&b);
}

/* The server as the replica of a node that the test plays. */
static void a_manual_failover_is_led_to_its_end(void **state) {
    (void)state;
    struct bus b;
    struct peer_node primary;
    bus_open(&b, "4000");
    join(&b, &primary, 'a', NULL);
    slot_set_add(&primary.slots, 2);
    primary.self.config_epoch = primary.self.current_epoch = 3;
    announce(&primary);
    char command[64];
    snprintf(command, sizeof command, "CLUSTER REPLICATE %.*s", NODE_ID_ARG(&primary.self.sender));
    assert_reply_soon(b.client, command, "+OK");
    assert_reply_soon(b.client, "CLUSTER FAILOVER", "+OK");
    await_message(&primary, MESSAGE_MFSTART);
    primary.self.message_flags[0] = MESSAGE_PAUSED;
    announce(&primary);
    primary.self.message_flags[0] = 0;
    struct message m = await_message(&primary, MESSAGE_AUTH_REQUEST);
    assert_int_equal(m.header.message_flags[0] & MESSAGE_FORCE_ACK, MESSAGE_FORCE_ACK);
    assert_true(node_id_equal(&m.header.primary, &primary.self.sender));
    primary.self.current_epoch = m.header.current_epoch;
    say(&primary, primary.to, MESSAGE_AUTH_ACK);
    assert_soon(strstr(client_ask(b.client, "CLUSTER NODES"), "myself,master - 0 0 4 connected 2"));
    leave(&primary);
    bus_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greetings_and_pings_are_understood),
        cmocka_unit_test(published_messages_go_both_ways),
        cmocka_unit_test(messages_of_a_shard_go_to_its_replica),
        cmocka_unit_test(old_claims_are_answered_with_an_update),
        cmocka_unit_test(a_failed_node_is_told_of),
        cmocka_unit_test(a_vote_is_asked_for_and_given),
        cmocka_unit_test(a_manual_failover_is_led_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
