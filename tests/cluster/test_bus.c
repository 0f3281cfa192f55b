/* The packets of the bus against redis-server: every packet that it sends must come out of our reader and
 * writer as it came in, byte for byte, and it must understand ours. */
#include "played_node.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void open_redis(struct played_bus *b, const char *timeout_ms) {
    const char *const args[] = { "--cluster-node-timeout", timeout_ms, "--cluster-announce-hostname",
                                 "host.example", NULL };
    played_bus_open(b, PEER_REDIS, args);
}

static bool has_gossip_about(const struct message *m, const struct played_node *n) {
    for (unsigned i = 0; i < m->gossip_count; i++) {
        struct gossip g = gossip_at(m, i);
        if (node_id_equal(&g.id, &n->self.sender) && g.cport == n->self.cport) return true;
    }
    return false;
}

static void greetings_and_pings_are_understood(void **state) {
    (void)state;
    struct played_bus b;
    struct played_node one, two;
    open_redis(&b, "4000");
    assert_reply(b.node.client, "CLUSTER ADDSLOTSRANGE 0 3 16383 16383", "+OK");
    played_join(&b, &one, 'a', NULL);
    played_join(&b, &two, 'b', NULL);
    struct message m = played_await(&one, MESSAGE_PING);
    assert_int_equal(m.header.port, server_port(b.node.server));
    assert_int_equal(m.header.cport, b.node.bus_port);
    assert_int_equal(m.header.flags, NODE_SELF | NODE_PRIMARY);
    assert_int_equal(slot_set_count(m.header.slots), 5);
    size_t at = 0;
    struct extension e;
    assert_true(extension_next(&m, &at, &e));
    assert_true(e.type == EXTENSION_HOSTNAME && slice_equal(extension_text(&e), LIT("host.example")));
    while (!has_gossip_about(&m, &two)) m = played_await(&one, MESSAGE_PING);
    played_leave(&one);
    played_leave(&two);
    played_bus_close(&b);
}

static void published_messages_go_both_ways(void **state) {
    (void)state;
    struct played_bus b;
    struct played_node one;
    open_redis(&b, "4000");
    played_join(&b, &one, 'a', NULL);
    assert_reply(b.node.client, "PUBLISH channel hello", ":0");
    struct message m = played_await(&one, MESSAGE_PUBLISH);
    assert_true(slice_equal(m.channel, LIT("channel")) && slice_equal(m.payload, LIT("hello")));

    struct client *subscriber = server_connect(b.node.server);
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
    played_leave(&one);
    played_bus_close(&b);
}

static void messages_of_a_shard_go_to_its_replica(void **state) {
    (void)state;
    struct played_bus b;
    struct played_node one;
    open_redis(&b, "4000");
    played_join(&b, &one, 'a', NULL);
    assert_reply(b.node.client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    one.self.flags = NODE_SELF | NODE_REPLICA;
    one.self.primary = b.id;
    played_announce(&one);
    assert_reply_soon(b.node.client, "SPUBLISH channel hello", ":0");
    struct message m = played_await(&one, MESSAGE_PUBLISHSHARD);
    assert_true(slice_equal(m.channel, LIT("channel")) && slice_equal(m.payload, LIT("hello")));
    played_leave(&one);
    played_bus_close(&b);
}

static void old_claims_are_answered_with_an_update(void **state) {
    (void)state;
    struct played_bus b;
    struct played_node one;
    open_redis(&b, "4000");
    assert_reply(b.node.client, "CLUSTER SET-CONFIG-EPOCH 5", "+OK");
    assert_reply(b.node.client, "CLUSTER ADDSLOTS 7 8", "+OK");
    played_join(&b, &one, 'a', NULL);
    slot_set_add(&one.slots, 7);
    one.self.config_epoch = 4;
    played_announce(&one);
    struct message m = played_await(&one, MESSAGE_UPDATE);
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
    assert_soon(cnode_says(&b.node, "CLUSTER NODES", " 6 connected 8"));
    buf_release(&out);
    played_leave(&one);
    played_bus_close(&b);
}

/* A PING of a primary with slots, which says that another node does not answer. */
static void report(struct played_node *by, const struct played_node *failing) {
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
    played_read(by->to, &by->packet, &m);
    buf_release(&out);
}

/* Does the server suspect the silent one? The other one goes on answering. */
static bool is_suspected(struct played_bus *b, const struct played_node *silent, struct played_node *alive) {
    struct message m;
    while (wire_has_more(alive->from)) {
        played_read(alive->from, &alive->packet, &m);
        if (m.header.type == MESSAGE_PING) played_say(alive, alive->from, MESSAGE_PONG);
    }
    char line[128];
    snprintf(line, sizeof line, "%.*s 127.0.0.1:1@%u master,fail?", NODE_ID_ARG(&silent->self.sender),
             silent->self.cport);
    return cnode_says(&b->node, "CLUSTER NODES", line);
}

static void a_failed_node_is_told_of(void **state) {
    (void)state;
    struct played_bus b;
    struct played_node silent, alive;
    open_redis(&b, "1000");
    assert_reply(b.node.client, "CLUSTER ADDSLOTS 1", "+OK");
    played_join(&b, &silent, 'a', NULL);
    played_join(&b, &alive, 'b', NULL);
    slot_set_add(&alive.slots, 2);
    played_announce(&alive);
    assert_soon(is_suspected(&b, &silent, &alive));
    report(&alive, &silent);
    struct message m = played_await(&alive, MESSAGE_FAIL);
    assert_true(node_id_equal(&m.about, &silent.self.sender));
    played_leave(&silent);
    played_leave(&alive);
    played_bus_close(&b);
}

static void a_vote_is_asked_for_and_given(void **state) {
    (void)state;
    struct played_bus b;
    struct played_node primary, replica;
    open_redis(&b, "4000");
    assert_reply(b.node.client, "CLUSTER ADDSLOTS 1", "+OK");
    played_join(&b, &primary, 'a', NULL);
    slot_set_add(&primary.slots, 2);
    primary.self.config_epoch = primary.self.current_epoch = 3;
    played_announce(&primary);
    played_join(&b, &replica, 'b', &primary);
    replica.slots = primary.slots;
    replica.self.config_epoch = 3;
    replica.self.current_epoch = 4;
    played_announce(&replica);

    struct buf out = { 0 };
    replica.self.type = MESSAGE_FAIL;
    size_t at = message_begin(&out, &replica.self);
    message_put_failed(&out, &primary.self.sender);
    message_end(&out, at);
    wire_send(replica.to, out.ptr, out.len);
    played_say(&replica, replica.to, MESSAGE_AUTH_REQUEST);
    struct message m = played_await(&replica, MESSAGE_AUTH_ACK);
    assert_true(m.header.current_epoch == 4);
    buf_release(&out);
    played_leave(&primary);
    played_leave(&replica);
    played_bus_close(&b);
}

/* The server as the replica of a node that the test plays. */
static void a_manual_failover_is_led_to_its_end(void **state) {
    (void)state;
    struct played_bus b;
    struct played_node primary;
    open_redis(&b, "4000");
    played_join(&b, &primary, 'a', NULL);
    slot_set_add(&primary.slots, 2);
    primary.self.config_epoch = primary.self.current_epoch = 3;
    played_announce(&primary);
    char command[64];
    snprintf(command, sizeof command, "CLUSTER REPLICATE %.*s", NODE_ID_ARG(&primary.self.sender));
    assert_reply_soon(b.node.client, command, "+OK");
    assert_reply_soon(b.node.client, "CLUSTER FAILOVER", "+OK");
    played_await(&primary, MESSAGE_MFSTART);
    primary.self.message_flags[0] = MESSAGE_PAUSED;
    played_announce(&primary);
    primary.self.message_flags[0] = 0;
    struct message m = played_await(&primary, MESSAGE_AUTH_REQUEST);
    assert_int_equal(m.header.message_flags[0] & MESSAGE_FORCE_ACK, MESSAGE_FORCE_ACK);
    assert_true(node_id_equal(&m.header.primary, &primary.self.sender));
    primary.self.current_epoch = m.header.current_epoch;
    played_say(&primary, primary.to, MESSAGE_AUTH_ACK);
    assert_soon(cnode_says(&b.node, "CLUSTER NODES", "myself,master - 0 0 4 connected 2"));
    played_leave(&primary);
    played_bus_close(&b);
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
