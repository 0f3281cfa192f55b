/* bench.h: one node without network, for tests of the rules: it gets packets made by hand, and what it wants
 * to do is kept for a look. */
#ifndef TESTS_UNIT_CLUSTER_RULES_BENCH_H
#define TESTS_UNIT_CLUSTER_RULES_BENCH_H

#include "trivet/cluster/rules/cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START_MS INT64_C(1700000000000)
#define TIMEOUT_MS 1000

/* 'a' is the node itself, with slots 0-99; 'b' has 100-199 and the replica 'r'; 'c' has 200-299. */
struct bench {
    struct cluster c;
    struct node_ip ip, local; /* of the others, and where they found this node */
    int64_t now_ms;
    uint64_t offset;     /* of this node */
    int64_t data_age_ms; /* of this node's data, as a replica */
    size_t published;
    struct cluster_action actions[64];
    size_t action_count;
    /* Of the packets that were sent since settle() began. */
    size_t told_paused, told_bans;
    uint64_t ban_left_s;
};

static inline uint64_t hook_random(void *arg) { return (void)arg, 0; }
static inline uint64_t hook_offset(void *arg) { return ((struct bench *)arg)->offset; }
static inline int64_t hook_data_age(void *arg) { return ((struct bench *)arg)->data_age_ms; }
static inline bool hook_has_keys(void *arg, unsigned slot) { return (void)arg, slot == 5; }
static inline void hook_published(void *arg, bool sharded, struct slice channel, struct slice payload) {
    (void)sharded, (void)channel, (void)payload;
    ((struct bench *)arg)->published++;
}

static inline struct node_id named(char letter) {
    struct node_id id;
    memset(id.text, letter, sizeof id.text);
    return id;
}

static inline struct cluster_node *node(struct bench *b, char letter) {
    struct node_id id = named(letter);
    return cluster_node_find(&b->c.state, &id);
}

static inline void note_packet(struct bench *b, struct slice packet) {
    struct message m;
    struct extension e;
    struct node_id id;
    assert_null(message_decode(packet, &m));
    if (m.light) return;
    b->told_paused += (m.header.message_flags[0] & MESSAGE_PAUSED) != 0;
    for (size_t at = 0; extension_next(&m, &at, &e);)
        b->told_bans += e.type == EXTENSION_FORGOTTEN && extension_forgotten(&e, &id, &b->ban_left_s);
}

/* Takes the actions, and opens links at once. */
static inline void settle(struct bench *b) {
    struct cluster_action a;
    uint64_t opens[16];
    size_t count = 0;
    b->action_count = b->told_paused = b->told_bans = 0;
    while (cluster_next_action(&b->c, &a)) {
        if (a.kind == ACTION_OPEN) opens[count++] = a.link;
        if (a.kind == ACTION_SEND) note_packet(b, a.bytes);
        if (b->action_count < COUNT_OF(b->actions)) b->actions[b->action_count++] = a;
    }
    for (size_t i = 0; i < count; i++) {
        cluster_link_opened(&b->c, opens[i], b->now_ms);
        while (cluster_next_action(&b->c, &a)) {
        }
    }
}

static inline int bench_open(void **state) {
    static struct bench bench;
    struct bench *b = &bench;
    memset(b, 0, sizeof *b);
    b->now_ms = START_MS;
    b->offset = 7;
    b->ip = node_ip_make(LIT("10.0.0.1"));
    struct cluster_settings settings = cluster_settings_default;
    struct cluster_hooks hooks = {
        hook_random, hook_offset, hook_data_age, hook_has_keys, hook_published, b
    };
    struct cluster_state s;
    struct node_id self = named('a');
    cluster_state_init(&s, &self, &self, b->now_ms);
    for (const char *l = "bcr"; *l; l++) {
        struct node_id id = named(*l);
        struct cluster_node *n = cluster_node_add(&s, &id, NODE_PRIMARY, b->now_ms);
        n->ip = b->ip;
        n->port = n->cport = (uint16_t)*l;
        n->config_epoch = *l == 'r' ? 0 : (uint64_t)(*l - 'a');
    }
    for (unsigned slot = 0; slot < 300; slot++) cluster_slot_give(&s, slot, s.nodes[slot / 100]);
    cluster_node_make_replica(&s, s.nodes[3], s.nodes[1]);
    s.self->config_epoch = 9;
    s.current_epoch = 9;
    settings.node_timeout_ms = TIMEOUT_MS;
    settings.port = settings.cport = 'a';
    settings.require_full_coverage = false;
    cluster_init(&b->c, &s, &settings, &hooks, b->now_ms);
    settle(b);
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    *state = b;
    return 0;
}

static inline int bench_close(void **state) {
    struct bench *b = *state;
    cluster_state_check(&b->c.state);
    cluster_release(&b->c);
    return 0;
}

/* The header that such a node would send now. */
static inline struct message_header header(struct bench *b, char letter, enum message_type type) {
    struct cluster_node *n = node(b, letter);
    struct message_header h = { .type = type,
                                .port = (uint16_t)letter,
                                .cport = (uint16_t)letter,
                                .flags = NODE_SELF | NODE_PRIMARY,
                                .current_epoch = b->c.state.current_epoch,
                                .sender = named(letter),
                                .ip = b->ip };
    if (!n) return h;
    const struct cluster_node *owner = n->primary ? n->primary : n;
    if (n->primary) {
        h.primary = n->primary->id;
        h.flags = NODE_SELF | NODE_REPLICA;
    }
    h.config_epoch = owner->config_epoch;
    h.slots = &owner->slots;
    return h;
}

static inline void give_on(struct bench *b, uint64_t link, const struct message_header *h,
                           struct slice body) {
    struct buf out = { 0 };
    size_t at = message_begin(&out, h);
    buf_append(&out, body);
    message_end(&out, at);
    cluster_receive(&b->c, link, buf_slice(&out), b->now_ms);
    settle(b);
    buf_release(&out);
}

/* On a link that comes in. */
static inline void give(struct bench *b, const struct message_header *h, struct slice body) {
    give_on(b, cluster_link_accepted(&b->c, b->ip, b->local, b->now_ms), h, body);
}

static inline size_t count_of(const struct bench *b, enum cluster_action_kind kind) {
    size_t count = 0;
    for (size_t i = 0; i < b->action_count; i++) count += b->actions[i].kind == kind;
    return count;
}

static inline void b_fails(struct bench *b) {
    struct message_header h = header(b, 'c', MESSAGE_FAIL);
    struct node_id failed = named('b');
    give(b, &h, node_id_slice(&failed));
    assert_true(node_is_failed(node(b, 'b')));
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)

#endif
