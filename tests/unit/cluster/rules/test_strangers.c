/* Links on which nobody known has spoken: how many there may be, for how long, and what may come on them; and
 * a primary that starts among nodes which it has not heard yet. */
#include "trivet/cluster/rules/cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START_MS INT64_C(1700000000000)
#define TIMEOUT_MS 1000
#define MANY 1000

static struct cluster c;
static int64_t now_ms;
static uint64_t closed[MANY * 2], opened[16];
static size_t closed_count, opened_count;

static uint64_t hook_random(void *arg) { return (void)arg, 0; }
static uint64_t hook_offset(void *arg) { return (void)arg, 7; }
static int64_t hook_data_age(void *arg) { return (void)arg, 0; }
static bool hook_has_keys(void *arg, unsigned slot) { return (void)arg, (void)slot, false; }
static void hook_published(void *arg, bool sharded, struct slice channel, struct slice payload) {
    (void)arg, (void)sharded, (void)channel, (void)payload;
}

static struct node_id named(char letter) {
    struct node_id id;
    memset(id.text, letter, sizeof id.text);
    return id;
}

static void settle(void) {
    struct cluster_action a;
    while (cluster_next_action(&c, &a)) {
        if (a.kind == ACTION_CLOSE) closed[closed_count++] = a.link;
        if (a.kind == ACTION_OPEN) opened[opened_count++] = a.link;
    }
}

static void tick_until(int64_t ms) {
    for (; now_ms < ms; now_ms += CLUSTER_TICK_MS) {
        cluster_tick(&c, now_ms);
        settle();
    }
}

/* 'a' is the node itself; 'b' and 'c' have slots too, and all have been given away. */
static int open_cluster(void **state) {
    static const struct cluster_hooks hooks = { .random = hook_random,
                                                .offset = hook_offset,
                                                .data_age_ms = hook_data_age,
                                                .slot_has_keys = hook_has_keys,
                                                .published = hook_published };
    struct cluster_settings settings = cluster_settings_default;
    struct cluster_state s;
    struct node_id self = named('a');
    (void)state;
    now_ms = START_MS;
    closed_count = opened_count = 0;
    settings.node_timeout_ms = TIMEOUT_MS * 20;
    cluster_state_init(&s, &self, &self, now_ms);
    for (const char *l = "bc"; *l; l++) {
        struct node_id id = named(*l);
        struct cluster_node *n = cluster_node_add(&s, &id, NODE_PRIMARY, now_ms);
        n->ip = node_ip_make(LIT("10.0.0.1"));
        n->port = n->cport = (uint16_t)*l;
        n->pong_received_ms = now_ms; /* as after reading nodes.conf */
    }
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) cluster_slot_give(&s, slot, s.nodes[slot % 3]);
    cluster_init(&c, &s, &settings, &hooks, now_ms);
    settle();
    return 0;
}

static int close_cluster(void **state) {
    (void)state;
    cluster_release(&c);
    return 0;
}

static uint64_t accept_one(void) {
    uint64_t link =
        cluster_link_accepted(&c, node_ip_make(LIT("10.0.0.9")), node_ip_make(LIT("10.0.0.1")), now_ms);
    settle();
    return link;
}

/* A packet of this node, with nothing in it. */
static void hear(uint64_t link, char letter, enum message_type type) {
    struct slot_set slots = { { 0 } };
    struct node_id id = named(letter);
    struct cluster_node *n = cluster_node_find(&c.state, &id);
    struct buf packet = { 0 };
    struct message_header h = { .type = type, .flags = NODE_PRIMARY, .sender = id };
    h.slots = n ? &n->slots : &slots;
    h.port = h.cport = (uint16_t)letter;
    h.ip = node_ip_make(LIT("10.0.0.1"));
    message_end(&packet, message_begin(&packet, &h));
    cluster_receive(&c, link, buf_slice(&packet), now_ms);
    buf_release(&packet);
    settle();
}

static void the_oldest_strangers_make_room(void **state) {
    (void)state;
    static uint64_t links[MANY];
    uint64_t known = accept_one();
    hear(known, 'b', MESSAGE_PING);
    for (size_t i = 0; i < MANY; i++) links[i] = accept_one();
    assert_in_range(closed_count, MANY - 256, MANY - 256);
    for (size_t i = 0; i < closed_count; i++) assert_int_equal(closed[i], links[i]);
}

static void strangers_do_not_stay(void **state) {
    (void)state;
    uint64_t known = accept_one(), silent = accept_one(), greets = accept_one();
    hear(known, 'b', MESSAGE_PING);
    hear(greets, 'z', MESSAGE_PING);
    tick_until(START_MS + TIMEOUT_MS * 20 * 2);
    assert_int_equal(closed_count, 0);
    tick_until(START_MS + TIMEOUT_MS * 20 * 2 + 300);
    bool silent_went = false, greeting_went = false;
    for (size_t i = 0; i < closed_count; i++) {
        silent_went |= closed[i] == silent;
        greeting_went |= closed[i] == greets;
        assert_true(closed[i] != known);
    }
    assert_true(silent_went && greeting_went);
}

static void strangers_say_little_at_a_time(void **state) {
    (void)state;
    uint64_t link = accept_one();
    assert_in_range(cluster_link_packet_most(&c, link), MESSAGE_HEADER_SIZE + 104 * 1000, 1024 * 1024);
    hear(link, 'z', MESSAGE_PING);
    assert_in_range(cluster_link_packet_most(&c, link), MESSAGE_HEADER_SIZE + 104 * 1000, 1024 * 1024);
    hear(link, 'b', MESSAGE_PING);
    assert_int_equal(cluster_link_packet_most(&c, link), MESSAGE_SIZE_MAX);
    assert_true(cluster_link_packet_most(&c, 12345) < MESSAGE_SIZE_MAX);
}

/* Loading took longer than the pause at the start; then each node it dials keeps silent, or answers. */
static void a_primary_serves_when_it_has_heard_the_majority(void **state) {
    (void)state;
    now_ms = START_MS + 60000;
    tick_until(START_MS + 70000);
    assert_false(c.is_sound);
    assert_int_equal(opened_count, 2);
    cluster_link_opened(&c, opened[0], now_ms);
    settle();
    tick_until(START_MS + 75000);
    assert_false(c.is_sound);
    hear(opened[0], 'b', MESSAGE_PONG); /* it and this one are two of three */
    tick_until(now_ms + 1000);
    assert_false(c.is_sound); /* it may have more to tell */
    tick_until(now_ms + 5000);
    assert_true(c.is_sound);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_oldest_strangers_make_room, open_cluster, close_cluster),
        cmocka_unit_test_setup_teardown(strangers_do_not_stay, open_cluster, close_cluster),
        cmocka_unit_test_setup_teardown(strangers_say_little_at_a_time, open_cluster, close_cluster),
        cmocka_unit_test_setup_teardown(a_primary_serves_when_it_has_heard_the_majority, open_cluster,
                                        close_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
