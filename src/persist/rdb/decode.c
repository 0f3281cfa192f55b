/* decode.c: reading values in the RDB format; see values.h.
 *
 * A small form is taken over as it is if it is sound and within today's limits; else the value is built anew
 * from its elements, in the form that suits. A name or member that comes twice makes a payload unsound. */
#include "trivet/base/mem.h"
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/structures/intset.h"
#include "trivet/types/zset.h"
#include "values_private.h"
#include <math.h>

/* One value being read. The scratch buffers hold strings that are not in the input as they are. */
struct taking {
    struct rdb_in *in;
    struct value value; /* ptr NULL: nothing yet */
    bool empty;
    struct buf first, second;
};

static bool take_first(struct taking *t, struct slice *out) { return rdb_take_string(t->in, &t->first, out); }
static bool take_second(struct taking *t, struct slice *out) {
    return rdb_take_string(t->in, &t->second, out);
}

static struct slice listpack_slice(const unsigned char *lp) { return slice_make(lp, listpack_bytes(lp)); }

/* True, with *lp a copy for the caller to free, if the bytes are a sound listpack. */
static bool copy_listpack(struct slice bytes, unsigned char **lp) {
    if (!listpack_is_valid((const unsigned char *)bytes.ptr, bytes.len, NULL, NULL)) return false;
    *lp = listpack_copy((const unsigned char *)bytes.ptr);
    return true;
}

/* Are all texts at most that long? */
static bool texts_fit(const unsigned char *lp, size_t longest) {
    for (const unsigned char *at = listpack_first(lp); at; at = listpack_next(lp, at)) {
        struct listpack_item item = listpack_get(at);
        if (item.text.ptr && item.text.len > longest) return false;
    }
    return true;
}

/* ---- lists ---- */

enum { NODE_PLAIN = 1, NODE_PACKED = 2 };

/* Takes the listpack over. */
static void append_node(struct taking *t, unsigned char *lp) {
    if (listpack_first(lp))
        list_append_packed(&t->value, lp);
    else
        listpack_free(lp);
}

static bool take_node(struct taking *t, enum rdb_type type) {
    uint64_t form = NODE_PACKED;
    struct slice bytes;
    if (type == RDB_LIST_QUICKLIST_2 && !rdb_take_length(t->in, &form)) return false;
    if (!take_first(t, &bytes)) return false;
    if (type == RDB_LIST || form == NODE_PLAIN) {
        list_push(&t->value, LIST_TAIL, bytes);
        return true;
    }
    unsigned char *lp = NULL;
    if (form != NODE_PACKED) return false;
    if (type == RDB_LIST_QUICKLIST_2) {
        if (!copy_listpack(bytes, &lp)) return false;
    } else {
        lp = rdb_listpack_of_ziplist(bytes);
        if (!lp) return false;
    }
    append_node(t, lp);
    return true;
}

static bool take_list(struct taking *t, enum rdb_type type) {
    size_t nodes = 1;
    if (type != RDB_LIST_ZIPLIST && !rdb_take_count(t->in, 1, &nodes)) return false;
    t->value = list_new();
    for (; nodes > 0; nodes--)
        if (!take_node(t, type)) return false;
    t->empty = list_count(t->value) == 0;
    if (!t->empty) list_settle(&t->value);
    return !t->empty;
}

/* ---- sets ---- */

static bool take_members(struct taking *t) {
    size_t count;
    if (!rdb_take_count(t->in, 1, &count)) return false;
    t->empty = count == 0;
    for (size_t i = 0; i < count; i++) {
        struct slice member;
        if (!take_first(t, &member)) return false;
        if (i == 0) t->value = set_new(member, count);
        if (!set_add(&t->value, member)) return false;
    }
    return count > 0;
}

static bool take_intset(struct taking *t) {
    struct slice bytes;
    if (!take_first(t, &bytes)) return false;
    const unsigned char *is = (const unsigned char *)bytes.ptr;
    if (!intset_is_valid(is, bytes.len)) return false;
    size_t count = intset_count(is);
    t->empty = count == 0;
    if (t->empty) return false;
    if (count <= encoding_limits.set_ints) {
        t->value = (struct value){ intset_copy(is), ENCODING_INTSET };
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        char digits[INT64_TEXT_MAX];
        struct slice member = slice_make(digits, int64_format(digits, intset_at(is, i)));
        if (i == 0) t->value = set_new(member, count);
        set_add(&t->value, member);
    }
    return true;
}

static bool take_set_listpack(struct taking *t) {
    struct slice bytes;
    if (!take_first(t, &bytes)) return false;
    const unsigned char *lp = (const unsigned char *)bytes.ptr;
    if (!listpack_is_valid(lp, bytes.len, NULL, NULL)) return false;
    t->empty = listpack_count(lp) == 0;
    if (t->empty || !set_listpack_is_valid(lp, bytes.len)) return false;
    size_t count = listpack_count(lp);
    if (count <= encoding_limits.set_entries && texts_fit(lp, encoding_limits.set_value)) {
        t->value = (struct value){ listpack_copy(lp), ENCODING_LISTPACK };
        return true;
    }
    char scratch[INT64_TEXT_MAX];
    const unsigned char *at = listpack_first(lp);
    t->value = set_new(listpack_text(at, scratch), count);
    for (; at; at = listpack_next(lp, at)) set_add(&t->value, listpack_text(at, scratch));
    return true;
}

/* ---- sorted sets ---- */

static bool is_score(const unsigned char *at, double *score) {
    struct listpack_item item = listpack_get(at);
    if (item.text.ptr) return double_parse(item.text, score) && !isnan(*score);
    *score = (double)item.number;
    return true;
}

/* Do the scores make sense, and are the pairs in order? */
static bool check_pairs(const unsigned char *lp, bool *ordered) {
    char scratch[2][INT64_TEXT_MAX];
    struct slice last = { NULL, 0 };
    double last_score = -INFINITY;
    *ordered = true;
    unsigned i = 0;
    for (const unsigned char *at = listpack_first(lp); at; at = listpack_next(lp, at)) {
        struct slice member = listpack_text(at, scratch[i++ % 2]);
        double score;
        at = listpack_next(lp, at);
        if (!is_score(at, &score)) return false;
        if (score < last_score || (score == last_score && last.ptr && slice_compare(member, last) < 0))
            *ordered = false;
        last = member;
        last_score = score;
    }
    return true;
}

static void add_pairs(struct value *v, const unsigned char *lp) {
    for (const unsigned char *at = listpack_first(lp); at; at = listpack_next(lp, at)) {
        char scratch[INT64_TEXT_MAX];
        struct slice member = listpack_text(at, scratch);
        double score = 0;
        at = listpack_next(lp, at);
        bool readable = is_score(at, &score);
        assert(readable); /* checked before */
        zset_add(v, member, score);
    }
}

/* `bytes` are a listpack of pairs, if all is well. */
static bool zset_of_bytes(struct taking *t, struct slice bytes) {
    const unsigned char *lp = (const unsigned char *)bytes.ptr;
    bool ordered;
    if (!listpack_is_valid(lp, bytes.len, NULL, NULL)) return false;
    t->empty = listpack_count(lp) == 0;
    /* the rule for hashes is the same: pairs, and no duplicate name */
    if (t->empty || !hash_listpack_is_valid(lp, bytes.len) || !check_pairs(lp, &ordered)) return false;
    if (ordered) {
        t->value = zset_of_listpack(listpack_copy(lp));
    } else {
        t->value = zset_new();
        add_pairs(&t->value, lp);
    }
    return true;
}

static bool take_score(struct taking *t, enum rdb_type type, struct slice *member, double *score) {
    if (!take_first(t, member)) return false;
    bool read = type == RDB_ZSET_2 ? rdb_take_double(t->in, score) : rdb_take_old_double(t->in, score);
    return read && !isnan(*score);
}

/* The longest member, so that the form is right from the beginning (a listpack would make 0 of -0); the input
 * stays where it is. False if something is broken. */
static bool find_longest(struct taking *t, enum rdb_type type, size_t count, size_t *longest) {
    struct rdb_in begin = *t->in;
    struct slice member;
    double score;
    *longest = 0;
    for (size_t i = 0; i < count && *longest <= encoding_limits.zset_value; i++) {
        if (!take_score(t, type, &member, &score)) return false;
        if (member.len > *longest) *longest = member.len;
    }
    *t->in = begin;
    return true;
}

static bool take_scores(struct taking *t, enum rdb_type type) {
    size_t count, longest = 0;
    if (!rdb_take_count(t->in, 2, &count)) return false;
    t->empty = count == 0;
    if (count <= encoding_limits.zset_entries && !find_longest(t, type, count, &longest)) return false;
    t->value = zset_new();
    zset_reserve(&t->value, count, longest);
    for (size_t i = 0; i < count; i++) {
        struct slice member;
        double score;
        if (!take_score(t, type, &member, &score)) return false;
        zset_add(&t->value, member, score);
    }
    return count > 0 && zset_count(t->value) == count;
}

/* ---- hashes ---- */

static bool hash_of_bytes(struct taking *t, struct slice bytes) {
    const unsigned char *lp = (const unsigned char *)bytes.ptr;
    if (!listpack_is_valid(lp, bytes.len, NULL, NULL)) return false;
    t->empty = listpack_count(lp) == 0;
    if (t->empty || !hash_listpack_is_valid(lp, bytes.len)) return false;
    if (listpack_count(lp) / 2 <= encoding_limits.hash_entries && texts_fit(lp, encoding_limits.hash_value)) {
        t->value = (struct value){ listpack_copy(lp), ENCODING_LISTPACK };
        return true;
    }
    t->value = hash_new();
    for (const unsigned char *at = listpack_first(lp); at; at = listpack_next(lp, at)) {
        char name[INT64_TEXT_MAX], value[INT64_TEXT_MAX];
        struct slice field = listpack_text(at, name);
        at = listpack_next(lp, at);
        hash_set(&t->value, field, listpack_text(at, value), HASH_NO_EXPIRY);
    }
    return true;
}

static bool take_fields(struct taking *t, enum rdb_type type) {
    size_t count;
    if (!rdb_take_count(t->in, 2, &count)) return false;
    t->empty = count == 0;
    t->value = hash_new();
    for (size_t i = 0; i < count; i++) {
        struct slice pair[2];
        int64_t expiry_ms = HASH_NO_EXPIRY;
        if (!take_first(t, &pair[0]) || !take_second(t, &pair[1])) return false;
        if (type == RDB_HASH_2) {
            uint64_t at;
            if (!rdb_take_u64(t->in, &at) || (int64_t)at < HASH_NO_EXPIRY) return false;
            expiry_ms = (int64_t)at;
        }
        if (!hash_set(&t->value, pair[0], pair[1], expiry_ms)) return false;
    }
    return count > 0;
}

/* ---- what comes as one string ---- */

static bool take_packed(struct taking *t, bool (*make)(struct taking *t, struct slice bytes),
                        unsigned char *(*convert)(struct slice bytes)) {
    struct slice bytes;
    if (!take_first(t, &bytes)) return false;
    if (!convert) return make(t, bytes);
    unsigned char *lp = convert(bytes);
    bool good = lp && make(t, listpack_slice(lp));
    if (lp) listpack_free(lp);
    return good;
}

static bool take_stream(struct taking *t, int form) {
    struct stream *s = rdb_take_stream(t->in, form);
    if (s) t->value = stream_value(s);
    return s;
}

/* ---- all together ---- */

static bool take_collection(struct taking *t, unsigned type) {
    switch (type) {
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2: return take_list(t, (enum rdb_type)type);
    case RDB_SET: return take_members(t);
    case RDB_SET_INTSET: return take_intset(t);
    case RDB_SET_LISTPACK: return take_set_listpack(t);
    case RDB_ZSET:
    case RDB_ZSET_2: return take_scores(t, (enum rdb_type)type);
    case RDB_ZSET_ZIPLIST: return take_packed(t, zset_of_bytes, rdb_listpack_of_ziplist);
    case RDB_ZSET_LISTPACK: return take_packed(t, zset_of_bytes, NULL);
    case RDB_HASH:
    case RDB_HASH_2: return take_fields(t, (enum rdb_type)type);
    case RDB_HASH_ZIPMAP: return take_packed(t, hash_of_bytes, rdb_listpack_of_zipmap);
    case RDB_HASH_ZIPLIST: return take_packed(t, hash_of_bytes, rdb_listpack_of_ziplist);
    case RDB_HASH_LISTPACK: return take_packed(t, hash_of_bytes, NULL);
    case RDB_STREAM: return take_stream(t, 1);
    case RDB_STREAM_2: return take_stream(t, 2);
    case RDB_STREAM_3: return take_stream(t, 3);
    default: return false;
    }
}

static enum value_type value_type_of(unsigned type) {
    switch (type) {
    case RDB_STRING: return TYPE_STRING;
    case RDB_SET:
    case RDB_SET_INTSET:
    case RDB_SET_LISTPACK: return TYPE_SET;
    case RDB_ZSET:
    case RDB_ZSET_2:
    case RDB_ZSET_ZIPLIST:
    case RDB_ZSET_LISTPACK: return TYPE_ZSET;
    case RDB_HASH:
    case RDB_HASH_2:
    case RDB_HASH_ZIPMAP:
    case RDB_HASH_ZIPLIST:
    case RDB_HASH_LISTPACK: return TYPE_HASH;
    case RDB_STREAM:
    case RDB_STREAM_2:
    case RDB_STREAM_3: return TYPE_STREAM;
    default: return TYPE_LIST;
    }
}

struct entry *rdb_take_value(struct rdb_in *in, unsigned type, struct slice key, int64_t expiry_ms,
                             bool *empty) {
    struct taking t = { .in = in };
    struct entry *e = NULL;
    struct slice text;
    if (type == RDB_STRING) {
        if (take_first(&t, &text)) e = entry_new_string(key, text, expiry_ms);
    } else if (take_collection(&t, type)) {
        e = entry_new_value(key, value_type_of(type), t.value, expiry_ms);
    } else if (t.value.ptr) {
        value_ops[value_type_of(type)]->free(t.value);
    }
    buf_release(&t.first);
    buf_release(&t.second);
    *empty = t.empty;
    return e;
}
