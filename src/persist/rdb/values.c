/* values.c: writing values in the RDB format; see values.h. Small forms are written as the bytes they are. */
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/structures/intset.h"
#include "trivet/types/zset.h"
#include "values_private.h"

static bool has_dated_fields(const struct entry *e) {
    return e->type == TYPE_HASH && entry_encoding(e) != ENCODING_LISTPACK && hash_dated(entry_value(e)) > 0;
}

int rdb_version_of(const struct entry *e) {
    return has_dated_fields(e) ? RDB_VERSION_VALKEY : RDB_VERSION_MAX;
}

enum rdb_type rdb_type_of(const struct entry *e, int version) {
    bool small = entry_encoding(e) == ENCODING_LISTPACK;
    switch (e->type) {
    case TYPE_STRING: return RDB_STRING;
    case TYPE_LIST: return RDB_LIST_QUICKLIST_2;
    case TYPE_SET:
        if (entry_encoding(e) == ENCODING_INTSET) return RDB_SET_INTSET;
        return small && version >= 11 ? RDB_SET_LISTPACK : RDB_SET;
    case TYPE_ZSET: return small ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
    case TYPE_HASH:
        if (small) return RDB_HASH_LISTPACK;
        return version >= RDB_VERSION_VALKEY && has_dated_fields(e) ? RDB_HASH_2 : RDB_HASH;
    case TYPE_STREAM: return version >= 11 ? RDB_STREAM_3 : RDB_STREAM_2;
    default: assert(!"every type can be saved"); return RDB_STRING;
    }
}

static void put_listpack(struct rdb_out *out, struct value v) {
    rdb_put_string(out, slice_make(v.ptr, listpack_bytes(v.ptr)));
}

static void put_string(struct rdb_out *out, const struct entry *e) {
    char scratch[INT64_TEXT_MAX];
    if (e->encoding == ENCODING_INT)
        rdb_put_number_string(out, entry_int(e));
    else
        rdb_put_string(out, entry_text(e, scratch));
}

/* ---- lists: nodes, each a listpack (2) or one plain element (1) ---- */

enum { NODE_PLAIN = 1, NODE_PACKED = 2 };

void rdb_put_list_node(struct rdb_out *out, struct slice bytes, bool plain) {
    rdb_put_length(out, plain ? NODE_PLAIN : NODE_PACKED);
    rdb_put_string(out, bytes);
    rdb_may_drain(out);
}

static bool put_node(void *arg, const struct list_node *node) {
    rdb_put_list_node(arg, node->bytes, node->plain);
    return true;
}

static void put_list(struct rdb_out *out, struct value v) {
    rdb_put_length(out, list_node_count(v));
    list_nodes(v, put_node, out);
}

/* ---- sets ---- */

static bool put_member(void *arg, struct slice member) {
    struct rdb_out *out = arg;
    rdb_put_string(out, member);
    rdb_may_drain(out);
    return true;
}

static void put_set(struct rdb_out *out, struct value v, enum rdb_type type) {
    if (type == RDB_SET_INTSET) {
        rdb_put_string(out, slice_make(v.ptr, intset_bytes(v.ptr)));
    } else if (type == RDB_SET_LISTPACK) {
        put_listpack(out, v);
    } else {
        rdb_put_length(out, set_count(v));
        set_each(v, put_member, out);
    }
}

/* ---- sorted sets: from the highest down, as others write them ---- */

static void put_zset(struct rdb_out *out, struct value v, enum rdb_type type) {
    if (type == RDB_ZSET_LISTPACK) {
        put_listpack(out, v);
        return;
    }
    size_t count = zset_count(v);
    struct zset_walk w;
    rdb_put_length(out, count);
    zset_walk_begin(&w, v, count ? count - 1 : 0, count, true);
    while (zset_walk_next(&w)) {
        rdb_put_string(out, w.member);
        rdb_put_double(out, w.score);
        rdb_may_drain(out);
    }
}

/* ---- hashes ---- */

struct hash_saving {
    struct rdb_out *out;
    bool with_expiry;
    int64_t now_ms; /* without: fields that expired before it are left out */
    size_t count;
};

static bool is_left_out(const struct hash_saving *s, const struct hash_field *f) {
    return !s->with_expiry && hash_field_is_expired(f, s->now_ms);
}

static bool count_field(void *arg, const struct hash_field *f) {
    struct hash_saving *s = arg;
    if (!is_left_out(s, f)) s->count++;
    return true;
}

static bool put_field(void *arg, const struct hash_field *f) {
    struct hash_saving *s = arg;
    if (is_left_out(s, f)) return true;
    rdb_put_string(s->out, f->name);
    rdb_put_string(s->out, f->value);
    if (s->with_expiry) rdb_put_u64(s->out, (uint64_t)f->expiry_ms);
    rdb_may_drain(s->out);
    return true;
}

static void put_hash(struct rdb_out *out, struct value v, enum rdb_type type, int64_t now_ms) {
    if (type == RDB_HASH_LISTPACK) {
        put_listpack(out, v);
        return;
    }
    struct hash_saving s = { .out = out, .with_expiry = type == RDB_HASH_2, .now_ms = now_ms };
    hash_each(v, count_field, &s);
    rdb_put_length(out, s.count);
    hash_each(v, put_field, &s);
}

void rdb_put_value(struct rdb_out *out, const struct entry *e, int version, int64_t now_ms) {
    enum rdb_type type = rdb_type_of(e, version);
    switch (e->type) {
    case TYPE_STRING: put_string(out, e); break;
    case TYPE_LIST: put_list(out, entry_value(e)); break;
    case TYPE_SET: put_set(out, entry_value(e), type); break;
    case TYPE_ZSET: put_zset(out, entry_value(e), type); break;
    case TYPE_HASH: put_hash(out, entry_value(e), type, now_ms); break;
    case TYPE_STREAM: rdb_put_stream(out, stream_of(entry_value(e)), rdb_stream_form(type)); break;
    default: assert(!"every type can be saved");
    }
}
