/* replica_migration.c: a primary that lost its last replica gets one from a primary that has several. All
 * replicas that could go come to the same choice: the one with the smallest name goes. */
#include "rules.h"

#define ORPHAN_MS 5000

static bool is_orphan(const struct cluster_node *n) {
    return node_votes(n) && !node_is_failed(n) && (n->flags & NODE_MIGRATE_TO) &&
           node_working_replicas(n) == 0;
}

/* Since when primaries are without replicas; returns the orphan to help: the one that waits for longest. */
static struct cluster_node *look_at_orphans(struct cluster *c, size_t *most_replicas) {
    struct cluster_node *found = NULL;
    *most_replicas = 0;
    for (size_t i = 0; i < c->state.node_count; i++) {
        struct cluster_node *n = c->state.nodes[i];
        size_t replicas = node_is_primary(n) && !node_is_failed(n) ? node_working_replicas(n) : 0;
        if (replicas > *most_replicas) *most_replicas = replicas;
        if (!is_orphan(n)) {
            n->orphaned_ms = 0;
            continue;
        }
        if (!n->orphaned_ms) n->orphaned_ms = c->now_ms;
        if (!found || n->orphaned_ms < found->orphaned_ms ||
            (n->orphaned_ms == found->orphaned_ms && node_id_compare(&n->id, &found->id) < 0))
            found = n;
    }
    return found;
}

/* The smallest name among the working replicas of all primaries that have so many. */
static const struct cluster_node *who_goes(const struct cluster *c, size_t most_replicas) {
    const struct cluster_node *first = NULL;
    for (size_t i = 0; i < c->state.node_count; i++) {
        const struct cluster_node *n = c->state.nodes[i];
        if (!node_is_replica(n) || !n->primary || node_is_failed(n) || node_is_failed(n->primary)) continue;
        if (node_working_replicas(n->primary) != most_replicas) continue;
        if (!first || node_id_compare(&n->id, &first->id) < 0) first = n;
    }
    return first;
}

void rules_migrate_if_orphans(struct cluster *c) {
    struct cluster_node *self = c->state.self;
    size_t most;
    if (!node_is_replica(self) || !self->primary || !c->settings.allow_replica_migration) return;
    struct cluster_node *orphan = look_at_orphans(c, &most);
    if (!orphan || !c->is_sound || c->now_ms - orphan->orphaned_ms <= ORPHAN_MS) return;
    if (most < 2 || most <= c->settings.migration_barrier || node_working_replicas(self->primary) != most)
        return;
    if (c->manual.end_ms || who_goes(c, most) != self) return;
    action_log(c, "Migrating to the orphaned primary %.*s", NODE_ID_ARG(&orphan->id));
    rules_follow(c, orphan);
}
