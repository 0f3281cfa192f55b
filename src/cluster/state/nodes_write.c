/* nodes_write.c: the state as lines of text. */
#include "trivet/cluster/state/nodes_file.h"
#include <inttypes.h>

void node_flags_write(struct buf *out, unsigned flags) {
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {
        { NODE_SELF, "myself" },   { NODE_PRIMARY, "master" },
        { NODE_REPLICA, "slave" }, { NODE_PFAIL, "fail?" },
        { NODE_FAIL, "fail" },     { NODE_HANDSHAKE, "handshake" },
        { NODE_NOADDR, "noaddr" }, { NODE_NOFAILOVER, "nofailover" },
    };
    size_t before = out->len;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (flags & names[i].flag) buf_printf(out, "%s%s", out->len > before ? "," : "", names[i].name);
    if (out->len == before) buf_append(out, LIT("noflags"));
}

/* The fields that have a name, in the order of Valkey; the shard id comes last. */
static void write_aux(struct buf *out, const struct cluster_node *n, struct nodes_file_rules rules) {
    static const struct {
        enum node_text text;
        const char *name;
    } texts[] = { { NODE_CLIENT_IPV6, "client-ipv6" }, { NODE_CLIENT_IPV4, "client-ipv4" } };
    if (n->texts[NODE_ZONE]) buf_printf(out, ",availability-zone=%s", n->texts[NODE_ZONE]);
    if (n->client_tls_port) buf_printf(out, ",client-tls-port=%u", n->client_tls_port);
    if (n->client_port) buf_printf(out, ",client-tcp-port=%u", n->client_port);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (n->texts[texts[i].text]) buf_printf(out, ",%s=%s", texts[i].name, n->texts[texts[i].text]);
    buf_printf(out, ",%s=%u", rules.ports_are_tls ? "tcp-port" : "tls-port", n->pport);
    if (n->texts[NODE_HUMAN_NAME]) buf_printf(out, ",nodename=%s", n->texts[NODE_HUMAN_NAME]);
    buf_printf(out, ",shard-id=%.*s", NODE_ID_ARG(&n->shard_id));
}

static void write_address(struct buf *out, const struct cluster_node *n, enum node_line_form form,
                          struct nodes_file_rules rules) {
    bool other = form != NODE_LINE_FILE && (form == NODE_LINE_TLS_CLIENT) != rules.ports_are_tls;
    struct slice ip = node_ip_slice(&n->ip);
    buf_printf(out, "%.*s:%u@%u", SLICE_ARG(ip), other ? n->pport : n->port, n->cport);
    struct slice hostname = node_text(n, NODE_HOSTNAME);
    if (form == NODE_LINE_FILE || hostname.len > 0) buf_printf(out, ",%.*s", SLICE_ARG(hostname));
    if (form == NODE_LINE_FILE) write_aux(out, n, rules);
}

/* Most nodes have few slots, or none: the rest of the set is not looked at. */
static void write_slots(struct buf *out, const struct cluster_node *n) {
    unsigned first, last = 0, from = 0;
    for (unsigned left = n->slot_count; left > 0; left -= last + 1 - first, from = last + 1) {
        bool is_there = slot_set_next_range(&n->slots, from, &first, &last);
        assert(is_there);
        buf_printf(out, first == last ? " %u" : " %u-%u", first, last);
    }
}

static void write_open_slots(struct buf *out, const struct cluster_state *s) {
    for (size_t i = 0; i < s->open_count; i++) {
        const struct open_slot *o = &s->open[i];
        buf_printf(out, " [%u-%c-%.*s]", o->slot, o->importing ? '<' : '>', NODE_ID_ARG(&o->other->id));
    }
}

void node_line_write(struct buf *out, const struct cluster_state *s, const struct cluster_node *n,
                     enum node_line_form form, struct nodes_file_rules rules) {
    buf_printf(out, "%.*s ", NODE_ID_ARG(&n->id));
    write_address(out, n, form, rules);
    buf_append_byte(out, ' ');
    node_flags_write(out, n->flags);
    if (n->primary)
        buf_printf(out, " %.*s", NODE_ID_ARG(&n->primary->id));
    else
        buf_append(out, LIT(" -"));
    uint64_t epoch = n->primary ? n->primary->config_epoch : n->config_epoch;
    buf_printf(out, " %" PRId64 " %" PRId64 " %" PRIu64 " %s", n->ping_sent_ms, n->pong_received_ms, epoch,
               n == s->self || n->link_is_open ? "connected" : "disconnected");
    write_slots(out, n);
    if (n == s->self) write_open_slots(out, s);
}

void nodes_file_write(struct buf *out, const struct cluster_state *s, struct nodes_file_rules rules) {
    for (size_t i = 0; i < s->node_count; i++) {
        if (node_is_in_handshake(s->nodes[i])) continue;
        node_line_write(out, s, s->nodes[i], NODE_LINE_FILE, rules);
        buf_append_byte(out, '\n');
    }
    buf_printf(out, "vars currentEpoch %" PRIu64 " lastVoteEpoch %" PRIu64 "\n", s->current_epoch,
               s->last_vote_epoch);
}
