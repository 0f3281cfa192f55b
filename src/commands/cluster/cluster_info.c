/* cluster_info.c: what CLUSTER tells: INFO, NODES, SLOTS, SHARDS, LINKS, REPLICAS. */
#include "cluster.h"
#include "trivet/cluster/state/nodes_file.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"

static bool is_tls(const struct call *c) { return c->client->flags & CLIENT_TLS; }

/* ---- NODES ---- */

static void node_line(const struct call *c, struct buf *out, const struct cluster_node *n) {
    struct nodes_file_rules rules = { .ports_are_tls = options.tls_cluster };
    enum node_line_form form = is_tls(c) ? NODE_LINE_TLS_CLIENT : NODE_LINE_CLIENT;
    node_line_write(out, &member->state, n, form, rules);
}

/* CLUSTER NODES */
void cmd_cluster_nodes(struct call *c) {
    struct buf text = { 0 };
    if (!is_node(c)) return;
    for (size_t i = 0; i < member->state.node_count; i++) {
        node_line(c, &text, member->state.nodes[i]);
        buf_append(&text, LIT("\n"));
    }
    reply_verbatim(c->out, "txt", buf_slice(&text));
    buf_release(&text);
}

/* CLUSTER REPLICAS id */
void cmd_cluster_replicas(struct call *c) {
    struct buf line = { 0 };
    if (!is_node(c)) return;
    const struct cluster_node *n = node_argument(c, 2);
    if (!n) return;
    if (!node_is_primary(n)) {
        reply_error_text(c->out, LIT("ERR The specified node is not a master"));
        return;
    }
    reply_array(c->out, n->replica_count);
    for (size_t i = 0; i < n->replica_count; i++) {
        buf_clear(&line);
        node_line(c, &line, n->replicas[i]);
        reply_bulk(c->out, buf_slice(&line));
    }
    buf_release(&line);
}

/* ---- INFO ---- */

struct counts {
    unsigned ok, pfail, fail; /* slots, by their owners */
    size_t nodes_pfail, nodes_fail, voting_pfail, voting_fail;
};

static void count_nodes(struct counts *n) {
    const struct cluster_state *s = &member->state;
    for (size_t i = 0; i < s->node_count; i++) {
        const struct cluster_node *node = s->nodes[i];
        bool failed = node_is_failed(node), suspected = !failed && node_is_suspected(node);
        n->fail += failed ? node->slot_count : 0;
        n->pfail += suspected ? node->slot_count : 0;
        n->ok += failed || suspected ? 0 : node->slot_count;
        n->nodes_fail += failed;
        n->nodes_pfail += suspected;
        n->voting_fail += failed && node_votes(node);
        n->voting_pfail += suspected && node_votes(node);
    }
}

static void print_messages(struct buf *out, const uint64_t *counts, const char *way) {
    uint64_t sum = 0;
    for (unsigned type = 0; type < MESSAGE_TYPE_COUNT; type++) {
        sum += counts[type];
        if (counts[type] > 0)
            buf_printf(out, "cluster_stats_messages_%s_%s:%llu\r\n",
                       message_type_name((enum message_type)type), way, (unsigned long long)counts[type]);
    }
    buf_printf(out, "cluster_stats_messages_%s:%llu\r\n", way, (unsigned long long)sum);
}

/* CLUSTER INFO */
void cmd_cluster_info(struct call *c) {
    struct counts n = { 0 };
    struct bus_facts bus = { 0 };
    struct buf out = { 0 };
    if (!is_node(c)) return;
    const struct cluster_state *s = &member->state;
    const struct cluster_node *self = s->self,
                              *shown = node_is_replica(self) && self->primary ? self->primary : self;
    count_nodes(&n);
    if (bus_hooks.facts) bus_hooks.facts(&bus);
    buf_printf(
        &out,
        "cluster_state:%s\r\ncluster_slots_assigned:%u\r\ncluster_slots_ok:%u\r\ncluster_slots_pfail:%u\r\n"
        "cluster_slots_fail:%u\r\n",
        member->is_sound ? "ok" : "fail", s->slots_assigned, n.ok, n.pfail, n.fail);
    buf_printf(&out,
               "cluster_nodes_pfail:%zu\r\ncluster_nodes_fail:%zu\r\ncluster_voting_nodes_pfail:%zu\r\n"
               "cluster_voting_nodes_fail:%zu\r\n",
               n.nodes_pfail, n.nodes_fail, n.voting_pfail, n.voting_fail);
    buf_printf(&out,
               "cluster_known_nodes:%zu\r\ncluster_size:%zu\r\ncluster_current_epoch:%llu\r\ncluster_my_"
               "epoch:%llu\r\n",
               s->node_count, cluster_size(s), (unsigned long long)s->current_epoch,
               (unsigned long long)shown->config_epoch);
    print_messages(&out, member->sent, "sent");
    print_messages(&out, member->received, "received");
    buf_printf(&out, "total_cluster_links_buffer_limit_exceeded:%llu\r\n",
               (unsigned long long)bus.over_limit);
    reply_verbatim(c->out, "txt", buf_slice(&out));
    buf_release(&out);
}

/* ---- SLOTS ---- */

static void reply_endpoint(struct call *c, const struct cluster_node *n) {
    bool known;
    struct slice host = member_endpoint(n, &known);
    if (known)
        reply_bulk(c->out, host);
    else
        reply_null(c->out);
}

/* What the endpoint does not say already. */
static void reply_metadata(struct call *c, const struct cluster_node *n) {
    struct slice hostname = node_text(n, NODE_HOSTNAME);
    bool tells_ip = options.cluster_preferred_endpoint_type != ENDPOINT_IP;
    bool tells_name = hostname.len > 0 && options.cluster_preferred_endpoint_type != ENDPOINT_HOSTNAME;
    reply_map(c->out, (size_t)tells_ip + (size_t)tells_name);
    if (tells_ip) {
        reply_bulk(c->out, LIT("ip"));
        reply_bulk(c->out, node_ip_slice(&n->ip));
    }
    if (tells_name) {
        reply_bulk(c->out, LIT("hostname"));
        reply_bulk(c->out, hostname);
    }
}

static void reply_node_of_slot(struct call *c, const struct cluster_node *n) {
    reply_array(c->out, 4);
    reply_endpoint(c, n);
    reply_int(c->out, member_port(n, is_tls(c)));
    reply_bulk(c->out, node_id_slice(&n->id));
    reply_metadata(c, n);
}

static uint64_t offset_of(const struct cluster_node *n) {
    return n == member->state.self ? member->hooks.offset(member->hooks.arg) : n->offset;
}

/* A replica that has nothing yet, or has failed, serves nobody. */
static bool serves(const struct cluster_node *replica) {
    return !node_is_failed(replica) && offset_of(replica) > 0;
}

static void reply_range(struct call *c, const struct cluster_node *owner, unsigned first, unsigned last) {
    size_t count = 0;
    for (size_t i = 0; i < owner->replica_count; i++) count += serves(owner->replicas[i]);
    reply_array(c->out, 3 + count);
    reply_int(c->out, first);
    reply_int(c->out, last);
    reply_node_of_slot(c, owner);
    for (size_t i = 0; i < owner->replica_count; i++)
        if (serves(owner->replicas[i])) reply_node_of_slot(c, owner->replicas[i]);
}

/* The end of the run of slots of one owner. */
static unsigned run_end(unsigned first) {
    unsigned last = first;
    while (last + 1 < SLOT_COUNT && member->state.owners[last + 1] == member->state.owners[first]) last++;
    return last;
}

/* CLUSTER SLOTS */
void cmd_cluster_slots(struct call *c) {
    size_t ranges = 0;
    if (!is_node(c)) return;
    struct cluster_node *const *owners = member->state.owners;
    for (unsigned slot = 0; slot < SLOT_COUNT; slot = run_end(slot) + 1) ranges += owners[slot] != NULL;
    reply_array(c->out, ranges);
    for (unsigned slot = 0, last; slot < SLOT_COUNT; slot = last + 1) {
        last = run_end(slot);
        if (owners[slot]) reply_range(c, owners[slot], slot, last);
    }
}

/* ---- SHARDS ---- */

static const char *health_of(const struct cluster_node *n) {
    if (node_is_failed(n) || node_is_suspected(n)) return "fail";
    if (n == member->state.self) return obstacle_is_set(OBSTACLE_LOADING) ? "loading" : "online";
    return node_is_replica(n) && offset_of(n) == 0 ? "loading" : "online";
}

static void reply_pair(struct call *c, const char *name, struct slice text) {
    reply_bulk(c->out, slice_of(name));
    reply_bulk(c->out, text);
}

static void reply_port(struct call *c, const char *name, uint16_t port) {
    if (!port) return;
    reply_bulk(c->out, slice_of(name));
    reply_int(c->out, port);
}

static void reply_node_of_shard(struct call *c, const struct cluster_node *n) {
    struct slice hostname = node_text(n, NODE_HOSTNAME), zone = node_text(n, NODE_ZONE);
    uint16_t plain = member_port(n, false), tls = member_port(n, true);
    size_t more =
        (plain > 0 ? 1u : 0) + (tls > 0 ? 1u : 0) + (hostname.len > 0 ? 1u : 0) + (zone.len > 0 ? 1u : 0);
    reply_map(c->out, 6 + more);
    reply_pair(c, "id", node_id_slice(&n->id));
    reply_port(c, "port", plain);
    reply_port(c, "tls-port", tls);
    reply_pair(c, "ip", node_ip_slice(&n->ip));
    reply_bulk(c->out, LIT("endpoint"));
    reply_endpoint(c, n);
    if (hostname.len > 0) reply_pair(c, "hostname", hostname);
    reply_pair(c, "role", node_is_replica(n) ? LIT("replica") : LIT("master"));
    reply_bulk(c->out, LIT("replication-offset"));
    reply_int(c->out, (int64_t)offset_of(n));
    reply_pair(c, "health", slice_of(health_of(n)));
    if (zone.len > 0) reply_pair(c, "availability-zone", zone);
}

/* Is it the first node of its shard? So each shard is told once. */
static bool is_first_of_shard(size_t index) {
    const struct cluster_state *s = &member->state;
    for (size_t i = 0; i < index; i++)
        if (cluster_same_shard(s->nodes[i], s->nodes[index])) return false;
    return true;
}

static const struct cluster_node *owner_in_shard(const struct cluster_node *of) {
    const struct cluster_state *s = &member->state;
    for (size_t i = 0; i < s->node_count; i++)
        if (cluster_same_shard(s->nodes[i], of) && s->nodes[i]->slot_count > 0) return s->nodes[i];
    return NULL;
}

static void reply_ranges(struct call *c, const struct cluster_node *owner) {
    size_t ranges = 0;
    unsigned from = 0, first, last;
    while (owner && slot_set_next_range(&owner->slots, from, &first, &last)) {
        ranges++;
        from = last + 1;
    }
    reply_array(c->out, 2 * ranges);
    for (from = 0; owner && slot_set_next_range(&owner->slots, from, &first, &last); from = last + 1) {
        reply_int(c->out, first);
        reply_int(c->out, last);
    }
}

static void reply_shard(struct call *c, const struct cluster_node *of) {
    const struct cluster_state *s = &member->state;
    size_t count = 0;
    for (size_t i = 0; i < s->node_count; i++) count += cluster_same_shard(s->nodes[i], of);
    reply_map(c->out, 3);
    reply_bulk(c->out, LIT("slots"));
    reply_ranges(c, owner_in_shard(of));
    reply_bulk(c->out, LIT("nodes"));
    reply_array(c->out, count);
    for (size_t i = 0; i < s->node_count; i++)
        if (cluster_same_shard(s->nodes[i], of)) reply_node_of_shard(c, s->nodes[i]);
    reply_pair(c, "id", node_id_slice(&of->shard_id));
}

/* CLUSTER SHARDS */
void cmd_cluster_shards(struct call *c) {
    size_t count = 0;
    if (!is_node(c)) return;
    const struct cluster_state *s = &member->state;
    for (size_t i = 0; i < s->node_count; i++) count += is_first_of_shard(i);
    reply_array(c->out, count);
    for (size_t i = 0; i < s->node_count; i++)
        if (is_first_of_shard(i)) reply_shard(c, s->nodes[i]);
}

/* ---- LINKS ---- */

static void reply_link(struct call *c, const struct bus_link *l, const struct bus_link_facts *f) {
    reply_map(c->out, 6);
    reply_pair(c, "direction", l->outbound ? LIT("to") : LIT("from"));
    reply_pair(c, "node", node_id_slice(&l->node->id));
    reply_bulk(c->out, LIT("create-time"));
    reply_int(c->out, f->made_ms);
    reply_pair(c, "events", f->writes ? LIT("rw") : LIT("r"));
    reply_bulk(c->out, LIT("send-buffer-allocated"));
    reply_int(c->out, (int64_t)f->room);
    reply_bulk(c->out, LIT("send-buffer-used"));
    reply_int(c->out, (int64_t)f->used);
}

/* The link at a place of the rules' table, if there is one whose node is known. */
static const struct bus_link *link_at(size_t place, struct bus_link_facts *facts) {
    const struct bus_link *l = member->links[place];
    return l && l->node && bus_hooks.link_facts && bus_hooks.link_facts(l->id, facts) ? l : NULL;
}

/* CLUSTER LINKS */
void cmd_cluster_links(struct call *c) {
    struct bus_link_facts facts;
    const struct bus_link *l;
    size_t count = 0;
    if (!is_node(c)) return;
    for (size_t i = 0; i < member->link_count; i++) count += link_at(i, &facts) != NULL;
    reply_array(c->out, count);
    for (size_t i = 0; i < member->link_count; i++)
        if ((l = link_at(i, &facts)) != NULL) reply_link(c, l, &facts);
}
