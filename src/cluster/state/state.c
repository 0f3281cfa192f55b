/* state.c: the tables of nodes, slots and bans, and that they agree with each other. */
#include "trivet/cluster/state/state.h"
#include "trivet/base/grow.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"

static uint64_t hash_of(const struct node_id *id) { return hash_bytes(node_id_slice(id)); }

void cluster_state_init(struct cluster_state *s, const struct node_id *self, const struct node_id *shard,
                        int64_t now_ms) {
    memset(s, 0, sizeof *s);
    s->self = cluster_node_add(s, self, NODE_SELF | NODE_PRIMARY, now_ms);
    s->self->shard_id = *shard;
}

static void node_free(struct cluster_node *n) {
    for (unsigned i = 0; i < NODE_TEXT_COUNT; i++) mem_free(n->texts[i]);
    mem_free(n->replicas);
    mem_free(n->reports);
    mem_free(n);
}

void cluster_state_release(struct cluster_state *s) {
    for (size_t i = 0; i < s->node_count; i++) node_free(s->nodes[i]);
    mem_free(s->nodes);
    mem_free(s->open);
    mem_free(s->bans);
    map_release(&s->ids);
    memset(s, 0, sizeof *s);
}

/* ---- nodes ---- */

struct cluster_node *cluster_node_find(const struct cluster_state *s, const struct node_id *id) {
    MAP_EACH_OF(&s->ids, hash_of(id), struct cluster_node, by_id, n) if (node_id_equal(&n->id, id)) return n;
    return NULL;
}

struct cluster_node *cluster_node_add(struct cluster_state *s, const struct node_id *id, unsigned flags,
                                      int64_t now_ms) {
    assert(!cluster_node_find(s, id));
    struct cluster_node *n = mem_alloc_zero(sizeof *n);
    n->id = n->shard_id = *id;
    n->flags = flags;
    n->made_ms = n->no_inbound_ms = now_ms;
    GROW(s->nodes, s->node_count, &s->node_room, 8);
    n->index = s->node_count;
    s->nodes[s->node_count++] = n;
    map_insert(&s->ids, &n->by_id, hash_of(id));
    return n;
}

void cluster_node_rename(struct cluster_state *s, struct cluster_node *n, const struct node_id *id) {
    assert(!cluster_node_find(s, id));
    map_remove(&s->ids, &n->by_id);
    n->id = *id;
    map_insert(&s->ids, &n->by_id, hash_of(id));
}

static void detach_from_primary(struct cluster_node *n) {
    struct cluster_node *p = n->primary;
    if (!p) return;
    for (size_t i = 0; i < p->replica_count; i++) {
        if (p->replicas[i] != n) continue;
        p->replicas[i] = p->replicas[--p->replica_count];
        n->primary = NULL;
        if (p->replica_count == 0) p->flags &= ~NODE_MIGRATE_TO;
        return;
    }
    assert(!"a primary knows its replicas");
}

static void forget_open_slots_with(struct cluster_state *s, const struct cluster_node *n) {
    for (size_t i = 0; i < s->open_count;) {
        if (s->open[i].other == n)
            s->open[i] = s->open[--s->open_count];
        else
            i++;
    }
}

void cluster_node_remove(struct cluster_state *s, struct cluster_node *n) {
    assert(n != s->self && s->nodes[n->index] == n);
    cluster_slots_give_all(s, n, NULL);
    detach_from_primary(n);
    while (n->replica_count > 0) detach_from_primary(n->replicas[0]);
    forget_open_slots_with(s, n);
    for (size_t i = 0; i < s->node_count; i++) (void)cluster_report_remove(s->nodes[i], n);
    s->nodes[n->index] = s->nodes[--s->node_count];
    s->nodes[n->index]->index = n->index;
    map_remove(&s->ids, &n->by_id);
    node_free(n);
}

void cluster_node_make_primary(struct cluster_state *s, struct cluster_node *n) {
    if (node_is_primary(n)) return;
    bool was_replica = n->primary != NULL;
    detach_from_primary(n);
    n->flags = (n->flags & ~(NODE_REPLICA | NODE_MY_PRIMARY_FAILS)) | NODE_PRIMARY;
    /* Its siblings come after it; until then it may get one from elsewhere. */
    if (was_replica && n != s->self) n->flags |= NODE_MIGRATE_TO;
}

void cluster_node_make_replica(struct cluster_state *s, struct cluster_node *n,
                               struct cluster_node *primary) {
    assert(n != primary);
    if (node_is_primary(n)) {
        cluster_slots_give_all(s, n, NULL);
        n->flags = (n->flags & ~(NODE_PRIMARY | NODE_MIGRATE_TO)) | NODE_REPLICA;
    }
    n->flags |= NODE_REPLICA;
    if (n != s->self) n->config_epoch = 0;
    if (n->primary == primary) return;
    detach_from_primary(n);
    n->primary = primary;
    if (!primary) return;
    GROW(primary->replicas, primary->replica_count, &primary->replica_room, 2);
    primary->replicas[primary->replica_count++] = n;
    primary->flags |= NODE_MIGRATE_TO;
}

bool cluster_node_set_shard(struct cluster_node *n, const struct node_id *shard) {
    bool changed = !node_id_equal(&n->shard_id, shard);
    n->shard_id = *shard;
    for (size_t i = 0; i < n->replica_count; i++) {
        changed |= !node_id_equal(&n->replicas[i]->shard_id, shard);
        n->replicas[i]->shard_id = *shard;
    }
    return changed;
}

size_t cluster_size(const struct cluster_state *s) {
    size_t size = 0;
    for (size_t i = 0; i < s->node_count; i++) size += node_votes(s->nodes[i]);
    return size;
}

/* ---- reports ---- */

bool cluster_report_add(struct cluster_node *n, struct cluster_node *by, int64_t now_ms) {
    for (size_t i = 0; i < n->report_count; i++) {
        if (n->reports[i].by != by) continue;
        n->reports[i].at_ms = now_ms;
        return false;
    }
    GROW(n->reports, n->report_count, &n->report_room, 4);
    n->reports[n->report_count++] = (struct failure_report){ by, now_ms };
    return true;
}

bool cluster_report_remove(struct cluster_node *n, const struct cluster_node *by) {
    for (size_t i = 0; i < n->report_count; i++) {
        if (n->reports[i].by != by) continue;
        n->reports[i] = n->reports[--n->report_count];
        return true;
    }
    return false;
}

size_t cluster_report_count(struct cluster_node *n, int64_t since_ms) {
    size_t votes = 0;
    for (size_t i = 0; i < n->report_count;) {
        if (n->reports[i].at_ms < since_ms) {
            n->reports[i] = n->reports[--n->report_count];
            continue;
        }
        votes += node_votes(n->reports[i].by);
        i++;
    }
    return votes;
}

/* ---- slots ---- */

void cluster_slot_give(struct cluster_state *s, unsigned slot, struct cluster_node *owner) {
    assert(slot < SLOT_COUNT && (!owner || node_is_primary(owner)));
    struct cluster_node *before = s->owners[slot];
    slot_set_remove(&s->unclaimed, slot);
    if (before == owner) return;
    if (before) {
        slot_set_remove(&before->slots, slot);
        before->slot_count--;
        s->slots_assigned--;
    }
    s->owners[slot] = owner;
    if (!owner) return;
    slot_set_add(&owner->slots, slot);
    owner->slot_count++;
    s->slots_assigned++;
}

void cluster_slots_give_all(struct cluster_state *s, struct cluster_node *from, struct cluster_node *to) {
    struct slot_set all = from->slots;
    SLOT_SET_EACH(&all, slot) cluster_slot_give(s, slot, to);
}

static struct open_slot *find_open(const struct cluster_state *s, unsigned slot, bool importing) {
    for (size_t i = 0; i < s->open_count; i++)
        if (s->open[i].slot == slot && s->open[i].importing == importing) return &s->open[i];
    return NULL;
}

struct cluster_node *cluster_slot_importing(const struct cluster_state *s, unsigned slot) {
    struct open_slot *o = find_open(s, slot, true);
    return o ? o->other : NULL;
}

struct cluster_node *cluster_slot_migrating(const struct cluster_state *s, unsigned slot) {
    struct open_slot *o = find_open(s, slot, false);
    return o ? o->other : NULL;
}

void cluster_slot_open(struct cluster_state *s, unsigned slot, bool importing, struct cluster_node *other) {
    assert(slot < SLOT_COUNT && other != s->self);
    struct open_slot *o = find_open(s, slot, importing);
    if (!other) {
        if (o) *o = s->open[--s->open_count];
        return;
    }
    if (!o) {
        GROW(s->open, s->open_count, &s->open_room, 4);
        o = &s->open[s->open_count++];
    }
    *o = (struct open_slot){ slot, importing, other };
}

/* ---- bans ---- */

static void forget_bans_that_are_over(struct cluster_state *s, int64_t now_ms) {
    for (size_t i = 0; i < s->ban_count;) {
        if (s->bans[i].until_ms <= now_ms)
            s->bans[i] = s->bans[--s->ban_count];
        else
            i++;
    }
}

void cluster_ban_add(struct cluster_state *s, const struct node_id *id, int64_t until_ms) {
    for (size_t i = 0; i < s->ban_count; i++) {
        if (!node_id_equal(&s->bans[i].id, id)) continue;
        if (s->bans[i].until_ms < until_ms) s->bans[i].until_ms = until_ms;
        return;
    }
    GROW(s->bans, s->ban_count, &s->ban_room, 4);
    s->bans[s->ban_count++] = (struct ban){ *id, until_ms };
}

bool cluster_is_banned(struct cluster_state *s, const struct node_id *id, int64_t now_ms) {
    if (s->ban_count == 0) return false;
    forget_bans_that_are_over(s, now_ms);
    for (size_t i = 0; i < s->ban_count; i++)
        if (node_id_equal(&s->bans[i].id, id)) return true;
    return false;
}

/* ---- checking ---- */

static void check_node(const struct cluster_state *s, const struct cluster_node *n) {
    assert(s->nodes[n->index] == n && cluster_node_find(s, &n->id) == n);
    assert(slot_set_count(&n->slots) == n->slot_count);
    assert(!(node_is_primary(n) && node_is_replica(n)));
    assert(node_is_primary(n) || n->slot_count == 0);
    assert(!n->primary || (node_is_replica(n) && n->primary != n));
    for (size_t i = 0; i < n->replica_count; i++) assert(n->replicas[i]->primary == n);
    for (size_t i = 0; i < n->report_count; i++)
        assert(n->reports[i].by->index < s->node_count &&
               s->nodes[n->reports[i].by->index] == n->reports[i].by);
}

void cluster_state_check(const struct cluster_state *s) {
    assert(s->self && (s->self->flags & NODE_SELF));
    for (size_t i = 0; i < s->node_count; i++) check_node(s, s->nodes[i]);
    unsigned assigned = 0;
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        if (!s->owners[slot]) continue;
        assert(slot_set_has(&s->owners[slot]->slots, slot));
        assigned++;
    }
    assert(assigned == s->slots_assigned);
    for (size_t i = 0; i < s->open_count; i++)
        assert(cluster_node_find(s, &s->open[i].other->id) == s->open[i].other);
}
