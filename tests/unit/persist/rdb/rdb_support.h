/* rdb_support.h: for the tests of RDB values: entries of every type and encoding, their payloads (the type,
 * then the value), and what is in an entry as text, so that two can be compared. */
#ifndef TRIVET_TESTS_PERSIST_RDB_SUPPORT_H
#define TRIVET_TESTS_PERSIST_RDB_SUPPORT_H

#include "../../chance.h"
#include "trivet/base/mem.h"
#include "trivet/persist/rdb/values.h"
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/stream.h"
#include "trivet/types/zset.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FAR_MS INT64_C(5000000000000)

/* ---- an entry as text ---- */

/* Lines that have no order of their own. */
struct lines {
    struct buf *items;
    size_t count, room;
};

static inline struct buf *new_line(struct lines *l) {
    if (l->count == l->room) {
        l->room = l->room ? 2 * l->room : 16;
        l->items = mem_realloc(l->items, l->room * sizeof *l->items);
    }
    struct buf *line = &l->items[l->count++];
    *line = (struct buf){ 0 };
    return line;
}

static inline int compare_lines(const void *a, const void *b) {
    return slice_compare(buf_slice(a), buf_slice(b));
}

static inline void end_lines(struct lines *l, struct buf *out) {
    if (l->count) qsort(l->items, l->count, sizeof *l->items, compare_lines);
    for (size_t i = 0; i < l->count; i++) {
        buf_append(out, buf_slice(&l->items[i]));
        buf_release(&l->items[i]);
    }
    mem_free(l->items);
}

static inline void put_item(struct buf *out, struct listpack_item item) {
    if (item.text.ptr)
        buf_append(out, item.text);
    else
        buf_append_int(out, item.number);
}

static inline void describe_list(struct value v, struct buf *out) {
    struct list_walk w;
    struct listpack_item item;
    list_walk_begin(&w, v, 0, false);
    while (list_walk_next(&w, &item)) {
        put_item(out, item);
        buf_append_byte(out, '\n');
    }
    list_walk_end(&w);
}

static inline bool describe_member(void *arg, struct slice member) {
    struct buf *line = new_line(arg);
    buf_append(line, member);
    buf_append_byte(line, '\n');
    return true;
}

static inline bool describe_field(void *arg, const struct hash_field *f) {
    struct buf *line = new_line(arg);
    buf_append(line, f->name);
    buf_append_byte(line, '=');
    buf_append(line, f->value);
    if (f->expiry_ms != HASH_NO_EXPIRY) buf_printf(line, " until %lld", (long long)f->expiry_ms);
    buf_append_byte(line, '\n');
    return true;
}

static inline void describe_zset(struct value v, struct buf *out) {
    struct zset_walk w;
    zset_walk_all(&w, v);
    while (zset_walk_next(&w)) {
        buf_append(out, w.member);
        buf_printf(out, "=%.17g\n", w.score);
    }
}

static inline void put_id(struct buf *out, const char *what, struct stream_id id) {
    char digits[STREAM_ID_TEXT_MAX];
    buf_printf(out, "%s", what);
    buf_append(out, slice_make(digits, stream_id_format(digits, id)));
}

static inline void describe_entries(const struct stream *s, struct buf *out) {
    struct stream_walk w;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_walk_next(&w)) {
        put_id(out, "", w.id);
        for (size_t i = 0; i < w.pairs; i++) {
            struct listpack_item field, value;
            stream_walk_pair(&w, &field, &value);
            buf_append_byte(out, ' ');
            put_item(out, field);
            buf_append_byte(out, '=');
            put_item(out, value);
        }
        buf_append_byte(out, '\n');
    }
}

static inline void describe_group(const struct stream_group *g, struct buf *out) {
    buf_append(out, LIT("group "));
    buf_append(out, name_text(&g->name));
    put_id(out, " at ", g->last_id);
    buf_printf(out, " read %lld\n", (long long)g->entries_read);
    struct id_cursor at = id_map_first(&g->pending);
    for (; id_map_has(&g->pending, at); at = id_map_next(&g->pending, at)) {
        const struct stream_pending *p = id_map_payload(&g->pending, at);
        put_id(out, "pending ", id_map_id(&g->pending, at));
        buf_append(out, LIT(" with "));
        buf_append(out, name_text(&p->owner->name));
        buf_printf(out, " since %lld times %llu\n", (long long)p->delivered_ms,
                   (unsigned long long)p->deliveries);
    }
    for (size_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *c = stream_consumer_at(g, i);
        buf_append(out, LIT("consumer "));
        buf_append(out, name_text(&c->name));
        buf_printf(out, " seen %lld active %lld has %zu\n", (long long)c->seen_ms, (long long)c->active_ms,
                   c->pending.count);
    }
}

static inline void describe_stream(const struct stream *s, struct buf *out) {
    put_id(out, "last ", s->last_id);
    put_id(out, " first ", s->first_id);
    put_id(out, " deleted ", s->max_deleted_id);
    buf_printf(out, " added %llu\n", (unsigned long long)s->entries_added);
    describe_entries(s, out);
    for (size_t i = 0; i < s->groups.count; i++) describe_group(stream_group_at(s, i), out);
}

/* Appends it. The order of sets and hashes is that of the text. */
static inline void describe(const struct entry *e, struct buf *out) {
    char scratch[INT64_TEXT_MAX];
    struct lines lines = { 0 };
    switch (e->type) {
    case TYPE_STRING: buf_append(out, entry_text(e, scratch)); return;
    case TYPE_LIST: describe_list(entry_value(e), out); return;
    case TYPE_ZSET: describe_zset(entry_value(e), out); return;
    case TYPE_STREAM: describe_stream(stream_of(entry_value(e)), out); return;
    case TYPE_SET: set_each(entry_value(e), describe_member, &lines); break;
    default: hash_each(entry_value(e), describe_field, &lines);
    }
    end_lines(&lines, out);
}

static inline void check_entry(const struct entry *e) {
    switch (e->type) {
    case TYPE_LIST: list_check(entry_value(e)); break;
    case TYPE_SET: set_check(entry_value(e)); break;
    case TYPE_ZSET: zset_check(entry_value(e)); break;
    case TYPE_HASH: hash_check(entry_value(e)); break;
    case TYPE_STREAM: stream_check(stream_of(entry_value(e))); break;
    default: break;
    }
}

static inline bool same_contents(const struct entry *a, const struct entry *b) {
    struct buf first = { 0 }, second = { 0 };
    describe(a, &first);
    describe(b, &second);
    bool same = a->type == b->type && slice_equal(buf_slice(&first), buf_slice(&second));
    buf_release(&first);
    buf_release(&second);
    return same;
}

/* ---- payloads ---- */

static inline struct buf payload_of(const struct entry *e, int version, bool compress) {
    struct rdb_out out = { .compress = compress };
    buf_append_byte(&out.bytes, (char)rdb_type_of(e, version));
    rdb_put_value(&out, e, version, 0);
    return out.bytes;
}

/* NULL if the payload is not one whole value. */
static inline struct entry *entry_of(struct slice payload, bool *empty) {
    assert_true(payload.len > 0);
    struct rdb_in in = { (const unsigned char *)payload.ptr + 1,
                         (const unsigned char *)payload.ptr + payload.len };
    struct entry *e = rdb_take_value(&in, (unsigned char)payload.ptr[0], LIT("key"), NO_EXPIRY, empty);
    if (!e || rdb_left(&in) == 0) return e;
    entry_free(e);
    return NULL;
}

/* ---- samples: one of every type in every encoding ---- */

static inline struct slice sample_text(char room[40], const char *prefix, size_t n) {
    return slice_make(room, (size_t)snprintf(room, 40, "%s%zu", prefix, n));
}

/* `len` bytes that LZF cannot make shorter. */
static inline struct buf noise(size_t len) {
    struct buf b = { 0 };
    while (b.len < len) buf_append_byte(&b, (char)(chance() >> 30));
    return b;
}

static inline struct entry *string_of(struct slice text) {
    return entry_new_string(LIT("key"), text, NO_EXPIRY);
}

static inline struct entry *entry_with(enum value_type type, struct value v) {
    return entry_new_value(LIT("key"), type, v, NO_EXPIRY);
}

static inline struct entry *sample_small_number(void) { return string_of(LIT("-42")); }
static inline struct entry *sample_big_number(void) { return string_of(LIT("-9223372036854775808")); }
static inline struct entry *sample_empty_text(void) { return string_of(LIT("")); }
static inline struct entry *sample_text_of_digits(void) { return string_of(LIT("007")); }

static inline struct entry *sample_repeating_text(void) {
    struct buf b = { 0 };
    while (b.len < 300) buf_append(&b, LIT("again and "));
    struct entry *e = string_of(buf_slice(&b));
    buf_release(&b);
    return e;
}

static inline struct entry *sample_blob(void) {
    struct buf b = noise(STRING_EMBED_MAX + 100);
    struct entry *e = string_of(buf_slice(&b));
    buf_release(&b);
    return e;
}

static inline struct value list_with(size_t count) {
    struct value v = list_new();
    char room[40];
    for (size_t i = 0; i < count; i++)
        list_push(&v, LIST_TAIL, sample_text(room, i % 2 ? "item " : "", i * i));
    return v;
}

static inline struct entry *sample_small_list(void) { return entry_with(TYPE_LIST, list_with(20)); }
static inline struct entry *sample_big_list(void) { return entry_with(TYPE_LIST, list_with(3000)); }

static inline struct entry *sample_list_of_big_texts(void) {
    struct value v = list_with(3);
    struct buf big = noise(20000);
    list_push(&v, LIST_HEAD, buf_slice(&big));
    list_push(&v, LIST_TAIL, buf_slice(&big));
    list_push(&v, LIST_TAIL, LIT("last"));
    buf_release(&big);
    return entry_with(TYPE_LIST, v);
}

/* Nodes inside are kept compressed. */
static inline struct entry *sample_compressed_list(void) {
    encoding_limits.list_compress_depth = 1;
    struct entry *e = entry_with(TYPE_LIST, list_with(6000));
    encoding_limits.list_compress_depth = 0;
    return e;
}

static inline struct value set_with(size_t count, const char *prefix, size_t factor) {
    char room[40];
    struct value v = set_new_empty();
    for (size_t i = 0; i < count; i++) set_add(&v, sample_text(room, prefix, (i + 1) * factor));
    return v;
}

static inline struct entry *sample_short_integers(void) {
    return entry_with(TYPE_SET, set_with(10, "-", 300));
}
static inline struct entry *sample_integers(void) { return entry_with(TYPE_SET, set_with(40, "", 70000)); }
static inline struct entry *sample_wide_integers(void) {
    return entry_with(TYPE_SET, set_with(10, "-", 1000000000000));
}
static inline struct entry *sample_small_set(void) {
    return entry_with(TYPE_SET, set_with(20, "member ", 7));
}
static inline struct entry *sample_big_set(void) { return entry_with(TYPE_SET, set_with(600, "m", 3)); }

static inline struct value zset_with(size_t count) {
    static const double scores[] = { -INFINITY, INFINITY, 0, 1.5, -1e300, 1e-300, 17, 0.1, 1e17, -3 };
    char room[40];
    struct value v = zset_new();
    for (size_t i = 0; i < count; i++)
        zset_add(&v, sample_text(room, i % 3 ? "m" : "", i), scores[i % COUNT_OF(scores)] + (double)(i / 10));
    return v;
}

static inline struct entry *sample_small_zset(void) { return entry_with(TYPE_ZSET, zset_with(30)); }
static inline struct entry *sample_big_zset(void) { return entry_with(TYPE_ZSET, zset_with(500)); }

static inline struct value hash_with(size_t count, bool dated) {
    char name[40], value[40];
    struct value v = hash_new();
    for (size_t i = 0; i < count; i++) {
        int64_t expiry_ms = dated && i % 2 ? FAR_MS + (int64_t)i : HASH_NO_EXPIRY;
        hash_set(&v, sample_text(name, i % 3 ? "f" : "", i),
                 sample_text(value, i % 2 ? "value " : "", i * 1000), expiry_ms);
    }
    return v;
}

static inline struct entry *sample_small_hash(void) { return entry_with(TYPE_HASH, hash_with(20, false)); }
static inline struct entry *sample_big_hash(void) { return entry_with(TYPE_HASH, hash_with(700, false)); }
static inline struct entry *sample_dated_hash(void) { return entry_with(TYPE_HASH, hash_with(12, true)); }
static inline struct entry *sample_big_dated_hash(void) {
    return entry_with(TYPE_HASH, hash_with(700, true));
}

/* Entries with the same fields and with others, some deleted. */
static inline struct stream *stream_with(size_t count) {
    struct stream *s = stream_new();
    for (size_t i = 0; i < count; i++) {
        char value[40], other[40];
        struct slice pairs[] = { LIT("field"), sample_text(value, "", i), LIT("other"),
                                 sample_text(other, "v", i) };
        if (i % 5 == 4) pairs[0] = LIT("only");
        struct stream_id id = { 1000 + i / 3, i % 3 + 1 };
        assert_true(stream_add(s, id, pairs, i % 5 == 4 ? 1 : 2));
        if (i % 7 == 2) assert_true(stream_delete(s, id));
    }
    return s;
}

static inline struct entry *sample_stream(void) {
    return entry_with(TYPE_STREAM, stream_value(stream_with(10)));
}
static inline struct entry *sample_long_stream(void) {
    return entry_with(TYPE_STREAM, stream_value(stream_with(1000)));
}

static inline struct entry *sample_stream_without_entries(void) {
    struct stream *s = stream_with(3);
    for (size_t i = 0; i < 3; i++) (void)stream_delete(s, (struct stream_id){ 1000, i + 1 });
    assert_non_null(stream_group_create(s, LIT("waiting"), s->last_id, 3));
    return entry_with(TYPE_STREAM, stream_value(s));
}

static inline struct entry *sample_stream_with_groups(void) {
    struct stream *s = stream_with(12);
    struct stream_group *g = stream_group_create(s, LIT("group"), (struct stream_id){ 1002, 1 }, 5);
    struct stream_group *h =
        stream_group_create(s, LIT(""), (struct stream_id){ 0, 0 }, ENTRIES_READ_UNKNOWN);
    assert_true(g && h);
    struct stream_consumer *busy = stream_consumer_create(g, LIT("busy"), 1700000000000);
    struct stream_consumer *idle = stream_consumer_create(g, LIT("idle"), 1600000000000);
    idle->active_ms = idle->seen_ms; /* old forms know no other */
    busy->active_ms = busy->seen_ms;
    for (size_t i = 0; i < 4; i++) {
        struct stream_pending *p =
            stream_pending_give(g, (struct stream_id){ 1000 + i / 3, i % 3 + 1 }, i == 3 ? idle : busy);
        p->delivered_ms = 1650000000000 + (int64_t)i;
        p->deliveries = i + 1;
    }
    return entry_with(TYPE_STREAM, stream_value(s));
}

struct sample {
    const char *what;
    struct entry *(*make)(void);
    enum encoding encoding;
    enum rdb_type types[3]; /* in versions 10, 11 and 80 */
};

#define IN_ALL(type) \
    { type, type, type }
static const struct sample samples[] = {
    { "a small number", sample_small_number, ENCODING_INT, IN_ALL(RDB_STRING) },
    { "a big number", sample_big_number, ENCODING_INT, IN_ALL(RDB_STRING) },
    { "no text", sample_empty_text, ENCODING_EMBEDDED, IN_ALL(RDB_STRING) },
    { "text of digits", sample_text_of_digits, ENCODING_EMBEDDED, IN_ALL(RDB_STRING) },
    { "repeating text", sample_repeating_text, ENCODING_EMBEDDED, IN_ALL(RDB_STRING) },
    { "a small list", sample_small_list, ENCODING_LISTPACK, IN_ALL(RDB_LIST_QUICKLIST_2) },
    { "short integers", sample_short_integers, ENCODING_INTSET, IN_ALL(RDB_SET_INTSET) },
    { "integers", sample_integers, ENCODING_INTSET, IN_ALL(RDB_SET_INTSET) },
    { "wide integers", sample_wide_integers, ENCODING_INTSET, IN_ALL(RDB_SET_INTSET) },
    { "a small set", sample_small_set, ENCODING_LISTPACK, { RDB_SET, RDB_SET_LISTPACK, RDB_SET_LISTPACK } },
    { "a small sorted set", sample_small_zset, ENCODING_LISTPACK, IN_ALL(RDB_ZSET_LISTPACK) },
    { "a small hash", sample_small_hash, ENCODING_LISTPACK, IN_ALL(RDB_HASH_LISTPACK) },
    { "a dated hash", sample_dated_hash, ENCODING_TABLE, { RDB_HASH, RDB_HASH, RDB_HASH_2 } },
    { "a stream", sample_stream, ENCODING_STREAM, { RDB_STREAM_2, RDB_STREAM_3, RDB_STREAM_3 } },
    { "a stream without entries", sample_stream_without_entries, ENCODING_STREAM,
      { RDB_STREAM_2, RDB_STREAM_3, RDB_STREAM_3 } },
    { "a stream with groups", sample_stream_with_groups, ENCODING_STREAM,
      { RDB_STREAM_2, RDB_STREAM_3, RDB_STREAM_3 } },
    /* From here on big ones. */
    { "a blob", sample_blob, ENCODING_BLOB, IN_ALL(RDB_STRING) },
    { "a big list", sample_big_list, ENCODING_DEQUE, IN_ALL(RDB_LIST_QUICKLIST_2) },
    { "a list of big texts", sample_list_of_big_texts, ENCODING_DEQUE, IN_ALL(RDB_LIST_QUICKLIST_2) },
    { "a compressed list", sample_compressed_list, ENCODING_DEQUE, IN_ALL(RDB_LIST_QUICKLIST_2) },
    { "a big set", sample_big_set, ENCODING_TABLE, IN_ALL(RDB_SET) },
    { "a big sorted set", sample_big_zset, ENCODING_BTREE, IN_ALL(RDB_ZSET_2) },
    { "a big hash", sample_big_hash, ENCODING_TABLE, IN_ALL(RDB_HASH) },
    { "a big dated hash", sample_big_dated_hash, ENCODING_TABLE, { RDB_HASH, RDB_HASH, RDB_HASH_2 } },
    { "a long stream", sample_long_stream, ENCODING_STREAM, { RDB_STREAM_2, RDB_STREAM_3, RDB_STREAM_3 } },
};
#define SMALL_SAMPLES 16 /* the first ones */

#endif
