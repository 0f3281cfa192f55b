/* cluster_slots.c: CLUSTER and slots: whose they are, and what is in them. */
#include "cluster.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/flush_mode.h"
#include "trivet/engine/client/pause.h"
#include "trivet/keyspace/hidden.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/keyspace/scan.h"

bool slot_argument(struct call *c, size_t index, unsigned *slot) {
    int64_t n;
    if (!int64_parse(c->argv[index], &n) || n < 0 || n >= (int64_t)SLOT_COUNT) {
        reply_error_text(c->out, LIT("ERR Invalid or out of range slot"));
        return false;
    }
    *slot = (unsigned)n;
    return true;
}

/* ---- giving and taking ---- */

static bool add_to_set(struct call *c, struct slot_set *set, unsigned slot, bool wanted_free) {
    const struct cluster_node *owner = member->state.owners[slot];
    if (wanted_free && owner)
        reply_error_printf(c->out, "ERR Slot %u is already busy", slot);
    else if (!wanted_free && !owner)
        reply_error_printf(c->out, "ERR Slot %u is already unassigned", slot);
    else if (slot_set_has(set, slot))
        reply_error_printf(c->out, "ERR Slot %u specified multiple times", slot);
    else
        slot_set_add(set, slot);
    return slot_set_has(set, slot) && !c->out->failed;
}

static bool read_slots(struct call *c, struct slot_set *set, bool wanted_free) {
    for (size_t i = 2; i < c->argc; i++) {
        unsigned slot;
        if (!slot_argument(c, i, &slot) || !add_to_set(c, set, slot, wanted_free)) return false;
    }
    return true;
}

static bool read_ranges(struct call *c, struct slot_set *set, bool wanted_free) {
    if (c->argc % 2 != 0) {
        reply_error_printf(c->out, "ERR wrong number of arguments for '%s' command", c->command->full_name);
        return false;
    }
    for (size_t i = 2; i < c->argc; i += 2) {
        unsigned first, last;
        if (!slot_argument(c, i, &first) || !slot_argument(c, i + 1, &last)) return false;
        if (first > last) {
            reply_error_printf(c->out, "ERR start slot number %u is greater than end slot number %u", first,
                               last);
            return false;
        }
        for (unsigned slot = first; slot <= last; slot++)
            if (!add_to_set(c, set, slot, wanted_free)) return false;
    }
    return true;
}

static void give(struct call *c, bool (*read)(struct call *c, struct slot_set *set, bool wanted_free)) {
    struct slot_set set = { { 0 } };
    if (is_node(c) && read(c, &set, true)) reply_rules(c, cluster_add_slots(member, &set, c->view.now_ms));
}

static void take(struct call *c, bool (*read)(struct call *c, struct slot_set *set, bool wanted_free)) {
    struct slot_set set = { { 0 } };
    if (is_node(c) && read(c, &set, false))
        reply_rules(c, cluster_delete_slots(member, &set, c->view.now_ms));
}

/* CLUSTER ADDSLOTS slot [slot ...] */
void cmd_cluster_addslots(struct call *c) { give(c, read_slots); }
/* CLUSTER ADDSLOTSRANGE first last [first last ...] */
void cmd_cluster_addslotsrange(struct call *c) { give(c, read_ranges); }
/* CLUSTER DELSLOTS slot [slot ...] */
void cmd_cluster_delslots(struct call *c) { take(c, read_slots); }
/* CLUSTER DELSLOTSRANGE first last [first last ...] */
void cmd_cluster_delslotsrange(struct call *c) { take(c, read_ranges); }

/* CLUSTER FLUSHSLOTS */
void cmd_cluster_flushslots(struct call *c) {
    if (!is_node(c)) return;
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        if (keyspace_count_staying(db) == 0) continue;
        reply_error_text(c->out, LIT("ERR DB must be empty to perform CLUSTER FLUSHSLOTS."));
        return;
    }
    struct slot_set own = member->state.self->slots;
    reply_rules(c, cluster_delete_slots(member, &own, c->view.now_ms));
}

/* CLUSTER FLUSHSLOT slot [ASYNC | SYNC] */
void cmd_cluster_flushslot(struct call *c) {
    bool lazily;
    unsigned slot;
    if (!is_node(c)) return;
    if (!flush_mode(c, 3, &lazily)) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!slot_argument(c, 2, &slot)) return;
    (void)keyspace_slot_drop((uint16_t)slot, lazily, c->view.now_ms);
    reply_ok(c->out);
}

/* ---- keys ---- */

/* CLUSTER KEYSLOT key */
void cmd_cluster_keyslot(struct call *c) {
    if (is_node(c)) reply_int(c->out, slot_of_key(c->argv[2]));
}

/* CLUSTER COUNTKEYSINSLOT slot */
void cmd_cluster_countkeysinslot(struct call *c) {
    int64_t n;
    if (!is_node(c)) return;
    if (!int64_parse(c->argv[2], &n) || n < 0 || n >= (int64_t)SLOT_COUNT)
        reply_error_text(c->out, LIT("ERR Invalid slot"));
    else
        reply_int(c->out, (int64_t)keyspace_slot_count(c->view.db, (uint16_t)n));
}

struct listing {
    struct reply *out;
    size_t left;
};

static bool list_key(void *arg, const struct entry *e) {
    struct listing *l = arg;
    if (l->left == 0) return false;
    reply_bulk(l->out, entry_key(e));
    l->left--;
    return true;
}

/* CLUSTER GETKEYSINSLOT slot count */
void cmd_cluster_getkeysinslot(struct call *c) {
    int64_t slot, count;
    if (!is_node(c)) return;
    if (!int64_parse(c->argv[2], &slot) || !int64_parse(c->argv[3], &count) || slot < 0 ||
        slot >= (int64_t)SLOT_COUNT || count < 0) {
        reply_error_text(c->out, LIT("ERR Invalid slot or number of keys"));
        return;
    }
    size_t there = keyspace_slot_count(c->view.db, (uint16_t)slot);
    struct listing l = { c->out, (uint64_t)count < there ? (size_t)count : there };
    reply_array(c->out, l.left);
    keyspace_slot_each(c->view.db, (uint16_t)slot, list_key, &l);
}
