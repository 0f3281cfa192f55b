/* open_slots.c: see open_slots.h. */
#include "trivet/engine/cluster/open_slots.h"
#include "trivet/base/number.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal_sink.h"

#define UNDERSTANDS 8 /* Valkey's major version */

/* ---- who is there ---- */

struct audience_look {
    size_t old;     /* would not understand it */
    size_t ready;   /* has its data, and will acknowledge */
    size_t unaware; /* of those, who was never told anything */
};

static bool is_ready(const struct replica *r) {
    return atomic_load(&r->state) == REPLICA_ONLINE && !r->speaks_sync;
}

static void look_at(void *arg, struct replica *r) {
    struct audience_look *l = arg;
    if (r->is_rdb_only) return; /* it never gets the stream */
    l->old += !replica_is_of(r, UNDERSTANDS, 0);
    l->ready += is_ready(r);
    l->unaware += is_ready(r) && !r->knows_open_slots;
}

static void note_told(void *arg, struct replica *r) {
    (void)arg;
    if (is_ready(r)) r->knows_open_slots = true;
}

static struct audience_look look(void) {
    struct audience_look l = { 0 };
    if (replicas_count() > 0) replicas_each(look_at, &l);
    return l;
}

/* ---- telling them ---- */

static const char *word_of(enum slot_way way) {
    switch (way) {
    case SLOT_MIGRATES: return "MIGRATING";
    case SLOT_IMPORTS: return "IMPORTING";
    case SLOT_GOES_TO: return "NODE";
    default: return "STABLE";
    }
}

static void append(const struct slot_step *step) {
    char digits[INT64_TEXT_MAX];
    struct buf wire = { 0 };
    struct slice argv[] = { LIT("CLUSTER"),
                            LIT("SETSLOT"),
                            { digits, uint64_format(digits, step->slot) },
                            slice_of(word_of(step->way)),
                            node_id_slice(&step->node) };
    wire_command(&wire, argv, step->way == SLOT_IS_STABLE ? 4 : 5);
    backlog_append(buf_slice(&wire));
    buf_release(&wire);
}

size_t open_slots_tell(const struct slot_step *step) {
    assert(exclusive_is_mine());
    struct audience_look l = look();
    if (l.old > 0 || primary_is_set()) return 0;
    append(step);
    replicas_each(note_told, NULL);
    return l.ready;
}

/* ---- who comes later ---- */

static void tell_all(void) {
    const struct cluster_state *s = &member->state;
    for (size_t i = 0; i < s->open_count; i++) {
        const struct open_slot *o = &s->open[i];
        struct slot_step step = { .slot = o->slot,
                                  .way = o->importing ? SLOT_IMPORTS : SLOT_MIGRATES,
                                  .node = o->other->id };
        append(&step);
    }
}

/* A replica has acknowledged something, or is gone. Worker 0, its own gate. */
static void look_for_new_ones(void) {
    exclusive_begin();
    struct audience_look l = look();
    if (l.unaware > 0 && l.old == 0 && member && !primary_is_set()) {
        tell_all();
        replicas_each(note_told, NULL);
    }
    exclusive_end();
}

static struct acknowledgement_watch watch = { .look = look_for_new_ones };

void open_slots_changed(void) {
    bool must_watch = member->state.open_count > 0 && node_is_primary(member->state.self);
    if (must_watch) {
        replicas_watch(&watch);
        replicas_look_soon();
    } else {
        replicas_unwatch(&watch);
    }
}
