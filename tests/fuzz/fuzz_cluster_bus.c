/* Feeds the cluster's bus any bytes: a link that brings packets in pieces, packets one by one, nodes.conf,
 * and a node that knows others and gets them as its messages. A packet that is read comes out of the writer
 * with the same length; the tables of the node agree after each; what it wants to send can be read.
 *
 * Input: a byte that says what to feed; then the bytes. Packets are too long for a fuzzer's mutations to
 * find, so the input is a list of changes to good ones: type, then places and values.
 *
 * Built with clang -fsanitize=fuzzer,address,undefined -DTRIVET_SANITIZE from src/cluster and src/base. */
#include "../unit/cluster/reencode.h"
#include "trivet/base/mem.h"
#include "trivet/cluster/rules/cluster.h"
#include "trivet/cluster/state/nodes_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define NOW_MS INT64_C(1700000000000)
#define NODES 4

static uint64_t chance;
static uint64_t hook_random(void *arg) {
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (void)arg, chance >> 33; /* the low bits repeat soon, and names that are drawn must not */
}
static uint64_t hook_offset(void *arg) { return (void)arg, 5; }
static int64_t hook_data_age(void *arg) { return (void)arg, 0; }
static bool hook_has_keys(void *arg, unsigned slot) { return (void)arg, slot % 2; }
static void hook_published(void *arg, bool sharded, struct slice channel, struct slice payload) {
    (void)arg, (void)sharded, (void)channel, (void)payload;
}

/* In a block of exactly its bytes, so that the address sanitizer sees every step outside. */
static void read_packet(struct slice bytes) {
    char *copy = mem_alloc(bytes.len + 1);
    struct buf again = { 0 };
    struct message m;
    size_t length;
    memmove(copy + 1, bytes.ptr, bytes.len);
    struct slice packet = slice_make(copy + 1, bytes.len);
    if (message_frame(packet, &length) == FRAME_READY &&
        !message_decode(slice_make(packet.ptr, length), &m)) {
        reencode(&m, &again);
        assert(again.len == length);
    }
    buf_release(&again);
    mem_free(copy);
}

static void read_nodes_file(struct slice bytes) {
    struct cluster_state s, again;
    struct buf error = { 0 }, text = { 0 };
    struct nodes_file_rules rules = { 0 };
    if (nodes_file_read(&s, bytes, rules, NOW_MS, &error)) {
        cluster_state_check(&s);
        nodes_file_write(&text, &s, rules);
        if (!node_is_in_handshake(s.self)) {
            bool good = nodes_file_read(&again, buf_slice(&text), rules, NOW_MS, &error);
            assert(good);
            cluster_state_release(&again);
        }
        cluster_state_release(&s);
    } else {
        assert(error.len > 0);
    }
    buf_release(&error);
    buf_release(&text);
}

/* ---- a node ---- */

static struct node_id id_of(unsigned n) {
    struct node_id id;
    memset(id.text, (int)('a' + n % 26), sizeof id.text);
    return id;
}

static void node_init(struct cluster *c) {
    struct cluster_state s;
    struct cluster_settings settings = cluster_settings_default;
    struct cluster_hooks hooks = { hook_random,   hook_offset,    hook_data_age,
                                   hook_has_keys, hook_published, NULL };
    struct node_id self = id_of(0);
    cluster_state_init(&s, &self, &self, NOW_MS);
    for (unsigned i = 1; i < NODES; i++) {
        struct node_id id = id_of(i);
        struct cluster_node *n = cluster_node_add(&s, &id, NODE_PRIMARY, NOW_MS);
        n->ip = node_ip_make(LIT("10.0.0.1"));
        n->port = n->cport = (uint16_t)i;
    }
    for (unsigned slot = 0; slot < 64; slot++) cluster_slot_give(&s, slot, s.nodes[slot % NODES]);
    settings.port = settings.cport = 9;
    cluster_init(c, &s, &settings, &hooks, NOW_MS);
}

/* Takes all actions; links open at once. */
static void take_actions(struct cluster *c, int64_t now_ms) {
    struct cluster_action a;
    uint64_t opened[64];
    size_t count = 0;
    while (cluster_next_action(c, &a)) {
        struct message m;
        if (a.kind == ACTION_OPEN && count < COUNT_OF(opened)) opened[count++] = a.link;
        if (a.kind == ACTION_SEND) assert(!message_decode(a.bytes, &m));
    }
    for (size_t i = 0; i < count; i++) {
        cluster_link_opened(c, opened[i], now_ms);
        while (cluster_next_action(c, &a)) {
        }
    }
    cluster_state_check(&c->state);
}

/* A good packet of the type, from one of the nodes, about another one. */
static void write_packet(struct buf *out, uint8_t kind, uint8_t who) {
    enum message_type type = (enum message_type)(kind % MESSAGE_TYPE_COUNT);
    struct slot_set slots = { { who, kind } };
    struct message_header h = { .type = type,
                                .port = who,
                                .cport = who,
                                .flags = NODE_PRIMARY | NODE_SELF,
                                .current_epoch = kind,
                                .config_epoch = who,
                                .sender = id_of(who % (NODES + 1)),
                                .slots = &slots };
    struct node_id other = id_of(who / 8u % (NODES + 1));
    if (who & 0x80) h.primary = other;
    size_t at = message_begin(out, &h);
    struct gossip g = {
        .id = other, .ip = node_ip_make(LIT("10.0.0.2")), .port = 1, .cport = who, .flags = kind
    };
    if (type <= MESSAGE_MEET) {
        message_put_gossip(out, at, &g);
        char data[48];
        memcpy(data, out->ptr + at + 40, sizeof data);
        message_put_extension(out, at, kind % 9, slice_make(data, sizeof data));
    }
    if (type == MESSAGE_FAIL) message_put_failed(out, &other);
    if (type == MESSAGE_PUBLISH || type == MESSAGE_PUBLISHSHARD) message_put_publish(out, LIT("a"), LIT("b"));
    if (type == MESSAGE_UPDATE) message_put_update(out, kind, &other, &slots);
    if (type == MESSAGE_MODULE) message_put_module(out, slots.bits, 1, LIT("x"));
    message_end(out, at);
}

/* A link brings packets and, with the third of a step's bytes, a changed byte in one of them. However much of
 * it has come, the first packet is the same: before its end there is none, and what is no packet never is
 * one. */
static void feed_link(const uint8_t *input, size_t size) {
    struct buf all = { 0 };
    for (; size >= 4; input += 4, size -= 4) {
        size_t at = all.len;
        write_packet(&all, input[0], input[1]);
        size_t place = at + input[2] % (MESSAGE_FRAME_SIZE + 1);
        if (input[2] < 128 && place < all.len) all.ptr[place] = (char)input[3];
    }
    struct slice rest = buf_slice(&all);
    for (size_t whole = 0; rest.len > 0; rest = slice_from(rest, whole)) {
        enum frame frame = message_frame(rest, &whole);
        for (size_t have = 0; have < rest.len; have += have < 2 * MESSAGE_FRAME_SIZE ? 1 : 509) {
            size_t length;
            enum frame early = message_frame(slice_make(rest.ptr, have), &length);
            assert(early != FRAME_READY || (frame == FRAME_READY && length == whole && length <= have));
            assert(early != FRAME_MORE || (length > have && (frame == FRAME_BROKEN || length <= whole)));
            assert(early != FRAME_BROKEN || frame == FRAME_BROKEN);
        }
        if (frame != FRAME_READY) break;
        assert(whole > 0 && whole <= rest.len);
        read_packet(slice_make(rest.ptr, whole));
    }
    buf_release(&all);
}

/* Each packet: type, sender, link and time, and a change: a place of two bytes and a value. */
static void feed_node(const uint8_t *input, size_t size) {
    struct cluster c;
    struct node_ip ip = node_ip_make(LIT("10.0.0.3"));
    int64_t now_ms = NOW_MS;
    chance = 1;
    node_init(&c);
    uint64_t inbound = cluster_link_accepted(&c, ip, ip, now_ms);
    for (; size >= 6; input += 6, size -= 6) {
        struct buf packet = { 0 };
        now_ms += input[2] / 16 * 300;
        write_packet(&packet, input[0], input[1]);
        size_t place = (size_t)(input[3] << 8 | input[4]);
        if (place < packet.len) packet.ptr[place] = (char)input[5];
        read_packet(buf_slice(&packet));
        const struct bus_link *l = c.link_count > 0 ? c.links[input[2] % c.link_count] : NULL;
        cluster_receive(&c, l ? l->id : inbound, buf_slice(&packet), now_ms);
        take_actions(&c, now_ms);
        cluster_tick(&c, now_ms);
        take_actions(&c, now_ms);
        if (!l) inbound = cluster_link_accepted(&c, ip, ip, now_ms);
        buf_release(&packet);
    }
    cluster_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size == 0) return 0;
    struct slice rest = slice_make(input + 1, size - 1);
    switch (input[0] % 4) {
    case 0: read_packet(rest); break;
    case 1: read_nodes_file(rest); break;
    case 2: feed_node(input + 1, size - 1); break;
    case 3: feed_link(input + 1, size - 1); break;
    }
    return 0;
}
