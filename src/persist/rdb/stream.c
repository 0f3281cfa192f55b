/* stream.c: streams in the RDB format.
 *
 *     nodes | (master id as a string of 16 bytes | listpack) ... | entries | last id
 *     | first id, greatest deleted id, entries ever added                                        form 2 and 3
 *     | groups | (name | last id | entries read: form 2 and 3
 *                 | pending | (id, 16 bytes | time | deliveries) ...
 *                 | consumers | (name | seen | active: form 3 | pending | id ...) ...) ...
 *
 * Ids in 16 bytes are big endian, so that they sort as bytes; elsewhere an id is two lengths. Times are 8
 * bytes. */
#include "trivet/base/mem.h"
#include "values_private.h"
#include <endian.h>

#define ID_BYTES 16

/* ---- writing ---- */

static void write_id(char out[ID_BYTES], struct stream_id id) {
    uint64_t parts[2] = { htobe64(id.ms), htobe64(id.seq) };
    memcpy(out, parts, sizeof parts);
}

static void put_raw_id(struct rdb_out *out, struct stream_id id) {
    char bytes[ID_BYTES];
    write_id(bytes, id);
    buf_append(&out->bytes, slice_make(bytes, sizeof bytes));
}

static void put_id(struct rdb_out *out, struct stream_id id) {
    rdb_put_length(out, id.ms);
    rdb_put_length(out, id.seq);
}

void rdb_put_stream_node(struct rdb_out *out, struct stream_id master, struct slice listpack) {
    char id[ID_BYTES];
    write_id(id, master);
    rdb_put_string(out, slice_make(id, sizeof id));
    rdb_put_string(out, listpack);
    rdb_may_drain(out);
}

static void put_nodes(struct rdb_out *out, const struct stream *s) {
    rdb_put_length(out, s->nodes.count);
    struct id_cursor at = id_map_first(&s->nodes);
    for (; id_map_has(&s->nodes, at); at = id_map_next(&s->nodes, at)) {
        const unsigned char *lp = stream_node(s, at);
        rdb_put_stream_node(out, id_map_id(&s->nodes, at), slice_make(lp, listpack_bytes(lp)));
    }
}

static void put_pending(struct rdb_out *out, const struct stream_group *g) {
    rdb_put_length(out, g->pending.count);
    struct id_cursor at = id_map_first(&g->pending);
    for (; id_map_has(&g->pending, at); at = id_map_next(&g->pending, at)) {
        const struct stream_pending *p = id_map_payload(&g->pending, at);
        char fixed[ID_BYTES + 8];
        uint64_t delivered_ms = htole64((uint64_t)p->delivered_ms);
        write_id(fixed, id_map_id(&g->pending, at));
        memcpy(fixed + ID_BYTES, &delivered_ms, sizeof delivered_ms);
        buf_append(&out->bytes, slice_make(fixed, sizeof fixed));
        rdb_put_length(out, p->deliveries);
        rdb_may_drain(out);
    }
}

static void put_consumer(struct rdb_out *out, const struct stream_consumer *c, int form) {
    rdb_put_string(out, name_text(&c->name));
    rdb_put_u64(out, (uint64_t)c->seen_ms);
    if (form >= 3) rdb_put_u64(out, (uint64_t)c->active_ms);
    rdb_put_length(out, c->pending.count);
    struct id_cursor at = id_map_first(&c->pending);
    for (; id_map_has(&c->pending, at); at = id_map_next(&c->pending, at)) {
        put_raw_id(out, id_map_id(&c->pending, at));
        rdb_may_drain(out);
    }
}

static void put_group(struct rdb_out *out, const struct stream_group *g, int form) {
    rdb_put_string(out, name_text(&g->name));
    put_id(out, g->last_id);
    if (form >= 2) rdb_put_length(out, (uint64_t)g->entries_read);
    put_pending(out, g);
    rdb_put_length(out, g->consumers.count);
    for (uint32_t i = 0; i < g->consumers.count; i++) put_consumer(out, stream_consumer_at(g, i), form);
}

/* The bytes of the pending entries, in the groups and at their consumers, at the least. */
static size_t pending_bytes(const struct stream *s) {
    size_t count = 0;
    for (uint32_t i = 0; i < s->groups.count; i++) count += stream_group_at(s, i)->pending.count;
    return count * (ID_BYTES + 8 + 1 + ID_BYTES);
}

void rdb_put_stream_rest(struct rdb_out *out, const struct stream *s, int form) {
    if (!out->drain) buf_reserve(&out->bytes, pending_bytes(s)); /* growing copies what is there */
    rdb_put_length(out, s->length);
    put_id(out, s->last_id);
    if (form >= 2) {
        put_id(out, s->first_id);
        put_id(out, s->max_deleted_id);
        rdb_put_length(out, s->entries_added);
    }
    rdb_put_length(out, s->groups.count);
    for (uint32_t i = 0; i < s->groups.count; i++) put_group(out, stream_group_at(s, i), form);
}

void rdb_put_stream(struct rdb_out *out, const struct stream *s, int form) {
    put_nodes(out, s);
    rdb_put_stream_rest(out, s, form);
}

/* ---- reading ---- */

static struct stream_id read_id(struct slice bytes) {
    uint64_t parts[2];
    memcpy(parts, bytes.ptr, sizeof parts);
    return (struct stream_id){ be64toh(parts[0]), be64toh(parts[1]) };
}

static bool take_raw_id(struct rdb_in *in, struct stream_id *id) {
    struct slice bytes;
    if (!rdb_take_bytes(in, ID_BYTES, &bytes)) return false;
    *id = read_id(bytes);
    return true;
}

static bool take_id(struct rdb_in *in, struct stream_id *id) {
    return rdb_take_length(in, &id->ms) && rdb_take_length(in, &id->seq);
}

static bool take_time(struct rdb_in *in, int64_t *ms) {
    uint64_t n;
    if (!rdb_take_u64(in, &n)) return false;
    *ms = (int64_t)n;
    return true;
}

static bool take_node(struct rdb_in *in, struct stream *s, struct buf *scratch, struct stream_id *master) {
    struct slice id, bytes;
    if (!rdb_take_string(in, scratch, &id) || id.len != ID_BYTES) return false;
    *master = read_id(id);
    if (!rdb_take_string(in, scratch, &bytes)) return false;
    const unsigned char *lp = (const unsigned char *)bytes.ptr;
    if (!stream_node_is_valid(lp, bytes.len, *master)) return false;
    unsigned char *owned = listpack_copy(lp);
    if (stream_load_node(s, *master, owned)) return true;
    listpack_free(owned);
    return false;
}

static bool take_nodes(struct rdb_in *in, struct stream *s, struct buf *scratch,
                       struct stream_id *last_master) {
    size_t nodes;
    if (!rdb_take_count(in, 2, &nodes)) return false;
    *last_master = STREAM_ID_MIN;
    for (; nodes > 0; nodes--)
        if (!take_node(in, s, scratch, last_master)) return false;
    return true;
}

/* Other servers let a counter overflow into negative numbers: here such a counter is at its limit. */
static uint64_t within_counter(uint64_t n) { return n > STREAM_COUNTER_MAX ? STREAM_COUNTER_MAX : n; }

/* Reads the numbers of the whole stream; they must agree with what is known already. */
static bool take_numbers(struct rdb_in *in, struct stream *s, int form, struct stream_id last_master) {
    uint64_t length;
    struct stream_id first;
    if (!rdb_take_length(in, &length) || length != s->length || !take_id(in, &s->last_id)) return false;
    stream_find_first(s);
    s->max_deleted_id = STREAM_ID_MIN;
    s->entries_added = s->length;
    if (form >= 2 &&
        (!take_id(in, &first) || !take_id(in, &s->max_deleted_id) || !rdb_take_length(in, &s->entries_added)))
        return false;
    s->entries_added = within_counter(s->entries_added);
    return stream_id_compare(s->last_id, last_master) >= 0 &&
           stream_id_compare(s->last_id, stream_last_entry(s)) >= 0 &&
           stream_id_compare(s->last_id, s->max_deleted_id) >= 0 && s->entries_added >= s->length;
}

/* What is pending in a group, as long as nobody knows whose it is: of the type of a group's own. */
static bool take_pending(struct rdb_in *in, struct id_map *out) {
    size_t count;
    if (!rdb_take_count(in, ID_BYTES + 9, &count)) return false;
    for (; count > 0; count--) {
        struct stream_id id;
        bool fresh;
        if (!take_raw_id(in, &id)) return false;
        struct stream_pending *p = id_map_put(out, id, &fresh);
        if (!fresh || !take_time(in, &p->delivered_ms) || !rdb_take_length(in, &p->deliveries)) return false;
        p->deliveries = within_counter(p->deliveries);
    }
    return true;
}

/* Each id must be pending in the group and nobody else's. */
static bool take_possessions(struct rdb_in *in, struct stream_group *g, struct stream_consumer *c,
                             const struct id_map *pending) {
    size_t count;
    if (!rdb_take_count(in, ID_BYTES, &count)) return false;
    for (; count > 0; count--) {
        struct stream_id id;
        if (!take_raw_id(in, &id) || stream_pending_find(g, id)) return false;
        const struct stream_pending *known = id_map_find(pending, id);
        if (!known) return false;
        struct stream_pending *p = stream_pending_give(g, id, c);
        p->delivered_ms = known->delivered_ms;
        p->deliveries = known->deliveries;
    }
    return true;
}

static bool take_consumer(struct rdb_in *in, struct stream_group *g, int form, struct buf *scratch,
                          const struct id_map *pending) {
    struct slice name;
    int64_t seen_ms;
    if (!rdb_take_string(in, scratch, &name)) return false;
    struct stream_consumer *c = stream_consumer_create(g, name, 0);
    if (!c || !take_time(in, &seen_ms)) return false;
    c->seen_ms = c->active_ms = seen_ms;
    if (form >= 3 && !take_time(in, &c->active_ms)) return false;
    return take_possessions(in, g, c, pending);
}

static bool take_consumers(struct rdb_in *in, struct stream_group *g, int form, struct buf *scratch,
                           const struct id_map *pending) {
    size_t consumers;
    if (!rdb_take_count(in, 10, &consumers)) return false;
    for (; consumers > 0; consumers--)
        if (!take_consumer(in, g, form, scratch, pending)) return false;
    return g->pending.count == pending->count; /* everything has an owner */
}

/* Works out the count that old forms lack, where the ids allow it. */
static int64_t guess_entries_read(const struct stream *s, struct stream_id last_id) {
    if (s->entries_added == 0 || stream_id_compare(last_id, s->first_id) < 0) return 0;
    if (stream_id_equal(last_id, s->last_id)) return (int64_t)s->entries_added;
    return stream_id_equal(last_id, s->first_id) ? 1 : ENTRIES_READ_UNKNOWN;
}

static bool take_group(struct rdb_in *in, struct stream *s, int form, struct buf *scratch) {
    struct slice name;
    struct stream_id last_id;
    uint64_t read;
    if (!rdb_take_string(in, scratch, &name) || !take_id(in, &last_id)) return false;
    int64_t entries_read = guess_entries_read(s, last_id);
    if (form >= 2) {
        if (!rdb_take_length(in, &read)) return false;
        entries_read =
            (int64_t)read == ENTRIES_READ_UNKNOWN ? ENTRIES_READ_UNKNOWN : (int64_t)within_counter(read);
    }
    struct stream_group *g = stream_group_create(s, name, last_id, entries_read);
    if (!g) return false;
    struct id_map pending;
    size_t held = 0;
    id_map_init(&pending, sizeof(struct stream_pending), &held);
    bool good = take_pending(in, &pending) && take_consumers(in, g, form, scratch, &pending);
    id_map_release(&pending);
    return good;
}

static bool take_stream(struct rdb_in *in, struct stream *s, int form, struct buf *scratch) {
    struct stream_id last_master;
    size_t groups;
    if (!take_nodes(in, s, scratch, &last_master) || !take_numbers(in, s, form, last_master)) return false;
    if (!rdb_take_count(in, 5, &groups)) return false;
    for (; groups > 0; groups--)
        if (!take_group(in, s, form, scratch)) return false;
    return true;
}

struct stream *rdb_take_stream(struct rdb_in *in, int form) {
    struct buf scratch = { 0 };
    struct stream *s = stream_new();
    bool good = take_stream(in, s, form, &scratch);
    buf_release(&scratch);
    if (good) return s;
    stream_free(s);
    return NULL;
}
