/* test_publish.c: messages over the bus between nodes of both kinds: who hears what, in which form it
 * travels, and what becomes of a link that does not take it. */
#include "../harness/check.h"
#include "fleet.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PRIMARIES 3
#define COUNT 6
#define BIG (3 * 1024 * 1024)
#define MANY 1000

/* Two of each kind of pair: Trivet and its replica of Trivet, and each kind with a replica of the other. */
static const struct fleet_plan both_kinds = {
    .primaries = PRIMARIES,
    .count = COUNT,
    .kinds = { PEER_TRIVET, PEER_REDIS, PEER_TRIVET, PEER_TRIVET, PEER_TRIVET, PEER_REDIS },
};

static struct fleet g;
static struct cnode *const node = g.nodes.at;
static struct client *listeners[NODES_MAX];

static void listen_everywhere(const char *command, const char *reply) {
    for (size_t i = 0; i < g.nodes.count; i++) {
        listeners[i] = server_connect(node[i].server);
        assert_reply(listeners[i], command, reply);
    }
}

static void stop_listening(void) {
    for (size_t i = 0; i < g.nodes.count; i++) client_close(listeners[i]);
}

static bool all_hear(size_t from) {
    size_t heard = 0;
    assert_reply(node[from].client, "PUBLISH warm x", ":1");
    for (size_t i = 0; i < g.nodes.count; i++) heard += client_has_reply(listeners[i]);
    return heard == g.nodes.count;
}

/* Links may be made anew while nodes still learn of each other, and what is published then may be lost. */
static void start_and_await_links(void) {
    fleet_start(&g, &both_kinds);
    for (size_t from = 0; from < g.nodes.count; from++) {
        listen_everywhere("SUBSCRIBE warm", "*[$\"subscribe\", $\"warm\", :1]");
        assert_soon(all_hear(from));
        stop_listening();
    }
}

static void a_message_is_heard_at_every_node(void **state) {
    (void)state;
    char command[64], expected[128];
    start_and_await_links();
    listen_everywhere("PSUBSCRIBE ne?s", "*[$\"psubscribe\", $\"ne?s\", :1]");
    for (size_t from = 0; from < COUNT; from++) {
        snprintf(command, sizeof command, "PUBLISH news from-%zu", from);
        snprintf(expected, sizeof expected, "*[$\"pmessage\", $\"ne?s\", $\"news\", $\"from-%zu\"]", from);
        assert_reply(node[from].client, command, ":1"); /* local ones are counted */
        for (size_t i = 0; i < COUNT; i++) assert_next(listeners[i], expected);
    }
    stop_listening();
    fleet_end(&g);
}

/* Only a shard's nodes hear it: its primary and its replica. */
static void a_message_of_a_shard_stays_in_it(void **state) {
    (void)state;
    char channel[64], command[128], expected[192];
    start_and_await_links();
    for (size_t shard = 0; shard < PRIMARIES; shard++) {
        size_t members[] = { shard, shard + PRIMARIES };
        struct client *hear[2];
        fleet_key(&g, shard, "news:", channel);
        for (int i = 0; i < 2; i++) {
            hear[i] = server_connect(node[members[i]].server);
            snprintf(command, sizeof command, "SSUBSCRIBE %s", channel);
            snprintf(expected, sizeof expected, "*[$\"ssubscribe\", $\"%s\", :1]", channel);
            assert_reply(hear[i], command, expected);
        }
        for (int from = 0; from < 2; from++) {
            snprintf(command, sizeof command, "SPUBLISH %s from-%d", channel, from);
            snprintf(expected, sizeof expected, "*[$\"smessage\", $\"%s\", $\"from-%d\"]", channel, from);
            assert_reply(node[members[from]].client, command, ":1");
            for (int i = 0; i < 2; i++) assert_next(hear[i], expected);
        }
        for (int i = 0; i < 2; i++) client_close(hear[i]);
    }
    /* It would have come before this one. */
    listen_everywhere("SUBSCRIBE all", "*[$\"subscribe\", $\"all\", :1]");
    assert_reply(node[0].client, "PUBLISH all x", ":1");
    for (size_t i = 0; i < COUNT; i++) assert_next(listeners[i], "*[$\"message\", $\"all\", $\"x\"]");
    stop_listening();
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(cnode_says(&node[i], "CLUSTER INFO", "messages_publishshard_received:1\\r"));
        assert_true(cnode_says(&node[i], "CLUSTER INFO", "messages_publishshard_sent:1\\r"));
    }
    fleet_end(&g);
}

static void publish_words(struct client *c, const char *channel, const struct text *payload) {
    struct words words = { 0 };
    words_add_str(&words, "PUBLISH");
    words_add_str(&words, channel);
    words_add(&words, payload->ptr, payload->len);
    client_queue_words(c, &words);
    words_release(&words);
    assert_true(client_flush(c));
    assert_string_equal(client_read_text(c), ":1");
}

static void assert_hears(struct client *c, const struct text *payload) {
    struct node *message = client_read(c);
    assert_int_equal(message->count, 3);
    assert_int_equal(message->items[2]->bytes.len, payload->len);
    assert_memory_equal(message->items[2]->bytes.ptr, payload->ptr, payload->len);
    node_free(message);
}

static void big_messages_arrive_whole(void **state) {
    (void)state;
    struct text big = { 0 }, none = { 0 };
    uint32_t chance = 1;
    start_and_await_links();
    for (size_t i = 0; i < BIG; i++)
        text_append_char(&big, (char)((chance = chance * 1664525 + 1013904223) >> 24));
    text_append_str(&none, "");
    listen_everywhere("SUBSCRIBE big", "*[$\"subscribe\", $\"big\", :1]");
    for (size_t from = 0; from < COUNT; from++) {
        publish_words(node[from].client, "big", &big);
        publish_words(node[from].client, "big", &none);
        for (size_t i = 0; i < COUNT; i++) {
            assert_hears(listeners[i], &big);
            assert_hears(listeners[i], &none);
        }
    }
    fleet_assert_well(&g);
    stop_listening();
    text_release(&big);
    text_release(&none);
    fleet_end(&g);
}

/* Between nodes that know it, a message has a header of 16 bytes; redis-server 7.0 gets one of 2256. */
static void nodes_that_know_it_get_a_light_header(void **state) {
    (void)state;
    start_and_await_links();
    listen_everywhere("SUBSCRIBE news", "*[$\"subscribe\", $\"news\", :1]");
    uint64_t to_trivet = network_carried(g.network, 0, 2), to_redis = network_carried(g.network, 0, 1);
    for (int i = 0; i < MANY; i++) client_queue(node[0].client, "PUBLISH news %d", i);
    assert_true(client_flush(node[0].client));
    client_skip(node[0].client, MANY);
    for (size_t i = 0; i < COUNT; i++) client_skip(listeners[i], MANY);
    to_trivet = network_carried(g.network, 0, 2) - to_trivet;
    to_redis = network_carried(g.network, 0, 1) - to_redis;
    assert_true(to_redis > (uint64_t)MANY * 2256);
    assert_true(to_trivet < to_redis / 3); /* PINGs too, which have full headers */
    stop_listening();
    fleet_end(&g);
}

static int64_t links_over_limit(size_t i) {
    static const char name[] = "total_cluster_links_buffer_limit_exceeded:";
    const char *at = strstr(client_ask(node[i].client, "CLUSTER INFO"), name);
    assert_non_null(at);
    return atoll(at + sizeof name - 1);
}

static bool hears(size_t from, size_t to) {
    assert_reply(node[from].client, "PUBLISH news again", ":0");
    return client_has_reply(listeners[to]);
}

/* What a node does not take waits only up to the limit; then the link is closed, counted, and made anew. */
static void a_link_that_takes_nothing_is_closed_at_its_limit(void **state) {
    (void)state;
    static const char *const args[] = { "--cluster-link-sendbuf-limit", "1mb", NULL };
    struct fleet_plan plan = { .primaries = 2, .count = 2, .args = args };
    struct text payload = { 0 };
    fleet_start(&g, &plan);
    for (int i = 0; i < 256 * 1024; i++) text_append_char(&payload, 'x');
    listeners[1] = server_connect(node[1].server);
    assert_int_equal(links_over_limit(0), 0);
    int64_t memory = info_number(node[0].client, "memory", "used_memory");
    network_silence(g.network, 0, 1, true);
    for (int64_t until_ms = deadline_after(AWAIT_PATIENCE_MS); links_over_limit(0) == 0;) {
        assert_false(deadline_has_passed(until_ms));
        assert_int_equal(client_ask_int(node[0].client, "PUBLISH news %s", text_str(&payload)), 0);
        assert_true(info_number(node[0].client, "memory", "used_memory") < memory + 16 * 1024 * 1024);
    }
    server_await_log(node[0].server, "Freeing outbound cluster link", 1);
    network_heal(g.network);
    fleet_assert_well(&g);
    assert_reply(listeners[1], "SUBSCRIBE news", "*[$\"subscribe\", $\"news\", :1]");
    assert_soon(hears(0, 1));
    client_close(listeners[1]);
    text_release(&payload);
    fleet_end(&g);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_heard_at_every_node),
        cmocka_unit_test(a_message_of_a_shard_stays_in_it),
        cmocka_unit_test(big_messages_arrive_whole),
        cmocka_unit_test(nodes_that_know_it_get_a_light_header),
        cmocka_unit_test(a_link_that_takes_nothing_is_closed_at_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
