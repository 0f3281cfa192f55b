/* migration_import.c: slots that come to this node, or to the primary of this replica. */
#include "migration.h"
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include "trivet/engine/cluster/lost_slots.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/hidden.h"

#define FIRST_TO_KNOW 9 /* the version of Valkey whose replicas understand SYNCSLOTS */

/* ---- beginning ---- */

static void note_old(void *any, struct replica *r) { *(bool *)any |= !replica_is_of(r, FIRST_TO_KNOW, 0); }

/* The stream is one for all: while some replica would take it for an error, nobody hears of migrations. */
static void tell_replicas(void *arg, const struct slice *argv, size_t argc) {
    bool any_old = false;
    (void)arg;
    if (replicas_count() > 0) replicas_each(note_old, &any_old);
    if (!any_old) change_for_replicas(argv, argc);
}

static void hide(const struct migration *m) {
    SLOT_SET_EACH(&m->slots, slot) slot_hide((uint16_t)slot, SLOT_ARRIVES);
}

static bool source_owns_all(const struct node_id *source, const struct slot_set *slots) {
    SLOT_SET_EACH(slots, slot) {
        const struct cluster_node *owner = member->state.owners[slot];
        if (!owner || !node_id_equal(&owner->id, source)) return false;
    }
    return true;
}

static bool is_taken(const struct slot_set *slots) {
    CHAIN_EACH(&migrations, struct migration, in_all, m)
    if (!migration_is_over(m) && migration_touches(m, slots)) return true;
    return false;
}

const char *migrations_accept(struct client *c, const struct node_id *source, struct slice name,
                              const struct slot_set *slots) {
    const struct cluster_node *self = member->state.self;
    if (!node_is_primary(self)) return "Slot migration can only be used on primary nodes.";
    if (!cluster_node_find(&member->state, source)) return "Unknown source node";
    if (!source_owns_all(source, slots)) return "Slots are not served by the source node.";
    if (is_taken(slots)) return "Slot import in progress.";
    struct migration *m = migration_new(true, source, &self->id, slots, name);
    m->worker = c->worker;
    m->client = c->id;
    lost_slots_clear(slots); /* what was left of an earlier time */
    hide(m);
    c->flags |= CLIENT_SLOT_IMPORT;
    migration_establish(m, tell_replicas, NULL);
    migration_go_to(m, IMPORT_SNAPSHOT);
    return NULL;
}

/* ---- the conversation ---- */

/* Everything is here, and nobody writes at the source. */
static void take_over(struct migration *m) {
    migration_go_to(m, IMPORT_GRANTED);
    if (m->was_flushed) {
        migration_end(m, MIGRATION_FAILED, "The data was flushed");
        return;
    }
    const char *why_not = cluster_take_over_slots(member, &m->slots, clock_wall_ms());
    cluster_save_changes(member);
    if (why_not) migration_end(m, MIGRATION_FAILED, why_not);
    member_act(); /* the routes change, and that ends it */
}

void import_hear(struct migration *m, struct client *c, enum migration_word word) {
    if (word == WORD_ACK) return;
    if (word == WORD_SNAPSHOT_EOF && m->state == IMPORT_SNAPSHOT) {
        migration_go_to(m, IMPORT_WAITING_FOR_PAUSED);
        migration_say(c, "REQUEST-PAUSE");
    } else if (word == WORD_PAUSED && m->state == IMPORT_WAITING_FOR_PAUSED) {
        migration_go_to(m, IMPORT_REQUESTED);
        migration_say(c, "REQUEST-FAILOVER");
    } else if (word == WORD_FAILOVER_GRANTED && m->state == IMPORT_REQUESTED) {
        take_over(m);
    } else {
        migration_end(m, MIGRATION_FAILED, "The source said something that does not belong here");
    }
}

static void say_ack(struct client *c, void *arg) {
    (void)arg;
    if (c) migration_say(c, "ACK");
}

/* Replicas that came meanwhile hear of it, too. One that hears no more of it was not told the end. */
void import_tick(struct migration *m, bool speaks) {
    bool is_primarys = m->state == IMPORT_OF_PRIMARY;
    if (is_primarys && turn_now_ms - m->heard_ms > options.repl_timeout_s * 1000)
        migration_fail(m, "The primary told nothing of it for repl-timeout");
    if (!speaks || is_primarys) return;
    if (m->client) client_post(m->worker, m->client, say_ack, NULL);
    migration_establish(m, tell_replicas, NULL);
    change_flush_quietly();
}

void import_owners_changed(struct migration *m) {
    bool is_primary = node_is_primary(member->state.self);
    if (m->state == IMPORT_OF_PRIMARY && is_primary)
        migration_end(m, MIGRATION_FAILED, "The primary failed meanwhile");
    if (migration_is_over(m) || m->state == IMPORT_OF_PRIMARY) return;
    if (source_owns_all(&member->state.self->id, &m->slots))
        migration_end(m, MIGRATION_SUCCESS, "");
    else if (!is_primary)
        migration_end(m, MIGRATION_FAILED, "This node is a replica now");
    else if (!source_owns_all(&m->source, &m->slots))
        migration_end(m, MIGRATION_FAILED, "Slots went to another node");
}

/* ---- the end ---- */

static struct slice name_of_end(const struct migration *m) {
    if (m->state == MIGRATION_SUCCESS) return LIT("success");
    return m->state == MIGRATION_CANCELLED ? LIT("cancelled") : LIT("failed");
}

/* CLUSTER SYNCSLOTS FINISH NAME name STATE state [MESSAGE message] */
static void tell_end(const struct migration *m) {
    const struct slice argv[] = { LIT_INIT("CLUSTER"),
                                  LIT_INIT("SYNCSLOTS"),
                                  LIT_INIT("FINISH"),
                                  LIT_INIT("NAME"),
                                  slice_make(m->name, MIGRATION_NAME_LEN),
                                  LIT_INIT("STATE"),
                                  name_of_end(m),
                                  LIT_INIT("MESSAGE"),
                                  buf_slice(&m->message) };
    tell_replicas(NULL, argv, m->message.len > 0 ? COUNT_OF(argv) : COUNT_OF(argv) - 2);
    change_flush_quietly();
}

/* Keys of slots that did not come are nobody's here. */
void import_release(struct migration *m) {
    bool is_primary = node_is_primary(member->state.self);
    if (m->state != MIGRATION_SUCCESS) lost_slots_leave(&m->slots);
    SLOT_SET_EACH(&m->slots, slot) slot_show((uint16_t)slot, SLOT_ARRIVES);
    if (is_primary) tell_end(m);
}

/* ---- a replica's part ---- */

static struct migration *named(struct slice name) {
    CHAIN_EACH(&migrations, struct migration, in_all, m)
    if (m->is_import && slice_equal(slice_make(m->name, MIGRATION_NAME_LEN), name)) return m;
    return NULL;
}

void migrations_note_begin(const struct node_id *source, struct slice name, const struct slot_set *slots) {
    static const struct node_id nobody;
    struct migration *known = named(name);
    if (known) known->heard_ms = clock_wall_ms();
    if (known) return;
    struct migration *m = migration_new(true, source, &nobody, slots, name);
    lost_slots_arrive(slots);
    hide(m);
    migration_go_to(m, IMPORT_OF_PRIMARY);
}

void migrations_note_end(struct slice name, struct slice state, struct slice message) {
    struct migration *m = named(name);
    enum migration_state how = MIGRATION_FAILED;
    if (!m || m->state != IMPORT_OF_PRIMARY) return;
    if (slice_equal_nocase(state, LIT("success"))) how = MIGRATION_SUCCESS;
    if (slice_equal_nocase(state, LIT("cancelled"))) how = MIGRATION_CANCELLED;
    struct buf text = { 0 };
    buf_append(&text, message);
    migration_end(m, how, buf_cstr(&text));
    buf_release(&text);
}
