/* cluster_migrate.c: CLUSTER MIGRATESLOTS and its family: slots that go to another node as a whole. What the
 * nodes say to each other is SYNCSLOTS. */
#include "cluster.h"
#include "trivet/base/buf.h"
#include "trivet/base/number.h"
#include "trivet/engine/cluster/migrations.h"

/* ---- MIGRATESLOTS ---- */

struct wanted {
    struct slot_set slots;
    struct node_id target;
};

static bool refuse(struct call *c, const char *text) {
    reply_error_printf(c->out, "ERR %s", text);
    return false;
}

static bool add_range(struct call *c, struct slot_set *set, unsigned first, unsigned last) {
    if (first > last) {
        reply_error_printf(c->out, "ERR Start slot number %u is greater than end slot number %u.", first,
                           last);
        return false;
    }
    for (unsigned slot = first; slot <= last; slot++) {
        unsigned other_first, other_last;
        if (!slot_set_has(set, slot)) continue;
        (void)slot_set_next_range(set, slot, &other_first, &other_last);
        while (other_first > 0 && slot_set_has(set, other_first - 1)) other_first--;
        reply_error_printf(c->out, "ERR Slot range %u-%u overlaps with previous range %u-%u.", first, last,
                           other_first, other_last);
        return false;
    }
    for (unsigned slot = first; slot <= last; slot++) slot_set_add(set, slot);
    return true;
}

/* "first last ..." up to another word. */
static bool read_ranges(struct call *c, size_t *at, struct slot_set *set) {
    size_t begin = *at;
    int64_t ignored;
    while (*at < c->argc && int64_parse(c->argv[*at], &ignored)) {
        unsigned first, last;
        if (!slot_argument(c, *at, &first)) return false;
        if (*at + 1 == c->argc || !int64_parse(c->argv[*at + 1], &ignored))
            return refuse(c, "No end slot for final slot range");
        if (!slot_argument(c, *at + 1, &last) || !add_range(c, set, first, last)) return false;
        *at += 2;
    }
    return *at > begin || refuse(c, "No slot ranges specified");
}

static bool read_target(struct call *c, size_t at, struct node_id *id) {
    struct slice name = c->argv[at];
    if (!node_id_parse(name, id)) {
        reply_error_printf(c->out, "ERR Invalid node name: %.*s", SLICE_ARG(name));
        return false;
    }
    const struct cluster_node *n = cluster_node_find(&member->state, id);
    if (!n || node_is_in_handshake(n)) {
        reply_error_printf(c->out, "ERR Unknown node name: %.*s", SLICE_ARG(name));
        return false;
    }
    if (n == member->state.self) return refuse(c, "Target node can not be this node.");
    return node_is_primary(n) || refuse(c, "Slot migration can only be used on primary nodes.");
}

/* SLOTSRANGE first last ... NODE id */
static bool read_one(struct call *c, size_t *at, struct wanted *w) {
    if (!call_is(c, *at, "slotsrange")) {
        reply_error(c->out, ERR_SYNTAX);
        return false;
    }
    ++*at;
    if (!read_ranges(c, at, &w->slots)) return false;
    if (*at + 1 >= c->argc || !call_is(c, *at, "node")) {
        reply_error(c->out, ERR_SYNTAX);
        return false;
    }
    if (!read_target(c, *at + 1, &w->target)) return false;
    *at += 2;
    return true;
}

static bool may_leave(struct call *c, unsigned slot) {
    const struct cluster_state *s = &member->state;
    if (!s->owners[slot]) {
        reply_error_printf(c->out, "ERR Slot %u has no node served.", slot);
        return false;
    }
    if (s->owners[slot] != s->self) return refuse(c, "Slots are not served by this node.");
    if (migrations_export(slot)) {
        reply_error_printf(c->out, "ERR I am already migrating slot %u.", slot);
        return false;
    }
    if (cluster_slot_importing(s, slot)) return refuse(c, "Slots are being manually imported");
    return !cluster_slot_migrating(s, slot) || refuse(c, "Slots are being manually migrated");
}

static bool are_apart(struct call *c, const struct wanted *wanted, size_t count) {
    const struct slot_set *last = &wanted[count - 1].slots;
    SLOT_SET_EACH(last, slot) {
        if (!may_leave(c, slot)) return false;
        for (size_t i = 0; i + 1 < count; i++)
            if (slot_set_has(&wanted[i].slots, slot)) return refuse(c, "Slot ranges in migrations overlap");
    }
    return true;
}

/* CLUSTER MIGRATESLOTS SLOTSRANGE first last [first last ...] NODE id [SLOTSRANGE ... NODE id ...] */
void cmd_cluster_migrateslots(struct call *c) {
    struct buf all = { 0 };
    size_t count = 0, at = 2;
    bool good = is_node(c);
    if (good && !node_is_primary(member->state.self))
        good = refuse(c, "Slot migration can only be used on primary nodes.");
    while (good && at < c->argc) {
        struct wanted w = { 0 };
        good = read_one(c, &at, &w);
        buf_append(&all, slice_make((const char *)&w, sizeof w));
        count++;
        good = good && are_apart(c, (const struct wanted *)(const void *)all.ptr, count);
    }
    const struct wanted *wanted = (const struct wanted *)(const void *)all.ptr;
    for (size_t i = 0; i < count && good; i++) migrations_begin(&wanted[i].slots, &wanted[i].target);
    buf_release(&all);
    if (good) reply_ok(c->out);
}

/* CLUSTER CANCELSLOTMIGRATIONS */
void cmd_cluster_cancelslotmigrations(struct call *c) {
    if (!is_node(c)) return;
    if (migrations_cancel())
        reply_ok(c->out);
    else
        reply_error_text(c->out, LIT("ERR No migrations ongoing"));
}

/* ---- GETSLOTMIGRATIONS ---- */

static void reply_field(struct reply *out, const char *name, struct slice value) {
    reply_bulk(out, slice_of(name));
    reply_bulk(out, value);
}

static void reply_number(struct reply *out, const char *name, int64_t value) {
    reply_bulk(out, slice_of(name));
    reply_int(out, value);
}

/* "1-5 7-7" */
static void reply_ranges(struct reply *out, const struct slot_set *slots) {
    struct buf text = { 0 };
    unsigned first, last;
    for (unsigned from = 0; slot_set_next_range(slots, from, &first, &last); from = last + 1)
        buf_printf(&text, text.len > 0 ? " %u-%u" : "%u-%u", first, last);
    reply_field(out, "slot_ranges", buf_slice(&text));
    buf_release(&text);
}

static void reply_migration(void *arg, const struct migration_facts *f) {
    struct reply *out = arg;
    reply_map(out, f->is_primarys ? 9 : 11);
    reply_field(out, "name", f->name);
    reply_field(out, "operation", f->is_import ? LIT("IMPORT") : LIT("EXPORT"));
    reply_ranges(out, f->slots);
    if (!f->is_primarys) {
        reply_field(out, "target_node", node_id_slice(&f->target));
        reply_field(out, "source_node", node_id_slice(&f->source));
    }
    reply_number(out, "create_time", f->created_s);
    reply_number(out, "last_update_time", f->updated_s);
    reply_number(out, "last_ack_time", f->acknowledged_s);
    reply_field(out, "state", slice_of(f->state));
    reply_field(out, "message", f->message);
    reply_number(out, "cow_size", 0); /* nothing is copied */
}

static void count_one(void *arg, const struct migration_facts *f) {
    (void)f;
    ++*(size_t *)arg;
}

/* CLUSTER GETSLOTMIGRATIONS */
void cmd_cluster_getslotmigrations(struct call *c) {
    size_t count = 0;
    if (!is_node(c)) return;
    migrations_each(count_one, &count);
    reply_array(c->out, count);
    migrations_each(reply_migration, c->out);
}

/* ---- SYNCSLOTS ---- */

static bool is_from_stream(const struct call *c) { return c->origin->is_replay; }

/* ESTABLISH SOURCE id NAME name SLOTSRANGE first last [first last ...] */
static void establish(struct call *c) {
    struct node_id source;
    struct slot_set slots = { { 0 } };
    size_t at = 8;
    bool well_formed = c->argc >= 10 && call_is(c, 3, "source") && call_is(c, 5, "name") &&
                       call_is(c, 7, "slotsrange") && c->argv[6].len == NODE_ID_LEN;
    if (!well_formed) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!node_id_parse(c->argv[4], &source)) {
        reply_error_printf(c->out, "ERR Invalid node name: %.*s", SLICE_ARG(c->argv[4]));
        return;
    }
    if (!read_ranges(c, &at, &slots)) return;
    if (at < c->argc) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (is_from_stream(c)) {
        migrations_note_begin(&source, c->argv[6], &slots);
        return;
    }
    const char *error = migrations_accept(c->client, &source, c->argv[6], &slots);
    if (error)
        (void)refuse(c, error);
    else
        reply_ok(c->out);
    c->out->muted = !error; /* from now on only words of the migration are sent */
}

/* FINISH NAME name STATE state [MESSAGE message] */
static void finish(struct call *c) {
    bool well_formed = (c->argc == 7 || (c->argc == 9 && call_is(c, 7, "message"))) &&
                       call_is(c, 3, "name") && call_is(c, 5, "state");
    if (!well_formed)
        reply_error(c->out, ERR_SYNTAX);
    else if (!is_from_stream(c))
        (void)refuse(c, "CLUSTER SYNCSLOTS FINISH should only be used by slot migration clients");
    else
        migrations_note_end(c->argv[4], c->argv[6], c->argc == 9 ? c->argv[8] : LIT(""));
}

static const struct word {
    const char *text;
    uint32_t on; /* links on which it is said */
} words[WORD_COUNT] = {
    [WORD_SNAPSHOT_EOF] = { "SNAPSHOT-EOF", CLIENT_SLOT_IMPORT },
    [WORD_REQUEST_PAUSE] = { "REQUEST-PAUSE", CLIENT_SLOT_EXPORT },
    [WORD_PAUSED] = { "PAUSED", CLIENT_SLOT_IMPORT },
    [WORD_REQUEST_FAILOVER] = { "REQUEST-FAILOVER", CLIENT_SLOT_EXPORT },
    [WORD_FAILOVER_GRANTED] = { "FAILOVER-GRANTED", CLIENT_SLOT_IMPORT },
    [WORD_ACK] = { "ACK", CLIENT_SLOT_IMPORT | CLIENT_SLOT_EXPORT },
};

static void hear(struct call *c, enum migration_word word) {
    if (c->client->flags & words[word].on)
        migrations_hear(c->client, word);
    else
        reply_error_printf(c->out, "ERR CLUSTER SYNCSLOTS %s should only be used by slot migration clients",
                           words[word].text);
}

/* CLUSTER SYNCSLOTS word [argument ...] */
void cmd_cluster_syncslots(struct call *c) {
    if (!is_node(c)) return;
    if (c->argc > 3 && call_is(c, 2, "establish")) {
        establish(c);
        return;
    }
    if (c->argc > 3 && call_is(c, 2, "finish")) {
        finish(c);
        return;
    }
    for (enum migration_word word = 0; word < WORD_COUNT; word++) {
        if (c->argc != 3 || !call_is(c, 2, words[word].text)) continue;
        hear(c, word);
        return;
    }
    reply_error(c->out, ERR_SYNTAX);
}
