/* record.c: from records to entries; what there is to say about files that are no good. */
#include "scan.h"
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include "trivet/keyspace/eviction.h"
#include <stdarg.h>

#define KEY_SHOWN_MAX 128

/* ---- errors ---- */

void rdb_error_release(struct rdb_error *e) {
    buf_release(&e->what);
    buf_release(&e->key);
}

void rdb_error_set(struct rdb_error *e, uint64_t offset, const char *doing, const char *format, ...) {
    va_list args;
    e->offset = offset;
    e->doing = doing;
    buf_clear(&e->what);
    va_start(args, format);
    buf_vprintf(&e->what, format, args);
    va_end(args);
}

void rdb_error_describe(const struct rdb_error *e, struct buf *out) {
    buf_printf(out, "offset %llu", (unsigned long long)e->offset);
    if (e->key.len > 0) buf_printf(out, ", key '%.*s'", SLICE_ARG(buf_slice(&e->key)));
    if (e->type >= 0) buf_printf(out, ", type %d (%s)", e->type, rdb_type_name((unsigned)e->type));
    buf_printf(out, ": %.*s", SLICE_ARG(buf_slice(&e->what)));
}

const char *rdb_type_name(unsigned type) {
    static const char *const names[] = {
        [RDB_STRING] = "string",
        [RDB_LIST] = "list-linked",
        [RDB_SET] = "set-hashtable",
        [RDB_ZSET] = "zset-v1",
        [RDB_HASH] = "hash-hashtable",
        [RDB_ZSET_2] = "zset-v2",
        [RDB_MODULE_OLD] = "module-pre-release",
        [RDB_MODULE_2] = "module-value",
        [RDB_HASH_ZIPMAP] = "hash-zipmap",
        [RDB_LIST_ZIPLIST] = "list-ziplist",
        [RDB_SET_INTSET] = "set-intset",
        [RDB_ZSET_ZIPLIST] = "zset-ziplist",
        [RDB_HASH_ZIPLIST] = "hash-ziplist",
        [RDB_LIST_QUICKLIST] = "quicklist",
        [RDB_STREAM] = "stream",
        [RDB_HASH_LISTPACK] = "hash-listpack",
        [RDB_ZSET_LISTPACK] = "zset-listpack",
        [RDB_LIST_QUICKLIST_2] = "quicklist-v2",
        [RDB_STREAM_2] = "stream-v2",
        [RDB_SET_LISTPACK] = "set-listpack",
        [RDB_STREAM_3] = "stream-v3",
        [RDB_HASH_2] = "hash-expiring-fields",
    };
    return type < COUNT_OF(names) && names[type] ? names[type] : "?";
}

/* ---- records ---- */

void rdb_record_describe_key(const struct rdb_record *record, struct buf *out) {
    const unsigned char *begin = (const unsigned char *)record->body.ptr;
    struct rdb_in in = { begin, begin + record->body.len };
    struct buf scratch = { 0 };
    struct slice key;
    if (rdb_take_string(&in, &scratch, &key)) {
        size_t shown = key.len < KEY_SHOWN_MAX ? key.len : KEY_SHOWN_MAX;
        for (size_t i = 0; i < shown; i++)
            buf_append_byte(out, key.ptr[i] >= ' ' && key.ptr[i] <= '~' ? key.ptr[i] : '?');
        if (shown < key.len) buf_append(out, LIT("..."));
    }
    buf_release(&scratch);
}

/* The hint that the present policy has a use for, or a fresh start. */
static uint32_t access_of(const struct rdb_record *record, int64_t now_ms) {
    bool frequencies = eviction_settings.policy & EVICT_LFU;
    if (frequencies && record->frequency >= 0)
        return eviction_access_frequency((uint8_t)record->frequency, now_ms);
    if (frequencies || record->idle_s < 0) return eviction_access_new(now_ms);
    int64_t most = INT64_MAX / 1000;
    return eviction_access_idle((record->idle_s < most ? record->idle_s : most) * 1000, now_ms);
}

static enum rdb_decoded refuse(const struct rdb_record *record, const struct rdb_in *in,
                               struct rdb_error *e) {
    e->type = record->type;
    buf_clear(&e->key);
    rdb_record_describe_key(record, &e->key);
    uint64_t id;
    struct rdb_in at = *in;
    if (record->type == RDB_MODULE_2 && rdb_take_length(&at, &id)) {
        char name[RDB_MODULE_NAME_LEN + 1];
        rdb_module_name(id, name);
        rdb_error_set(e, record->offset, "read-object-value",
                      "The file holds a value of the module type '%s', and this server has no modules", name);
    } else {
        uint64_t found = record->body_offset + (uint64_t)(in->at - (const unsigned char *)record->body.ptr);
        rdb_error_set(e, found, "read-object-value", "The value is damaged (integrity check failed)");
    }
    return RDB_DECODED_BROKEN;
}

enum rdb_decoded rdb_record_decode(const struct rdb_record *record, int64_t now_ms, struct entry **out,
                                   struct rdb_error *error) {
    const unsigned char *begin = (const unsigned char *)record->body.ptr;
    struct rdb_in in = { begin, begin + record->body.len };
    struct buf scratch = { 0 };
    struct slice key;
    bool empty = false;
    *out = NULL;
    if (rdb_take_string(&in, &scratch, &key) && record->type != RDB_MODULE_2)
        *out = rdb_take_value(&in, record->type, key, record->expiry_ms, access_of(record, now_ms), &empty);
    buf_release(&scratch);
    if (*out && rdb_left(&in) == 0) return RDB_DECODED;
    if (*out) entry_free(*out);
    return empty ? RDB_DECODED_NOTHING : refuse(record, &in, error);
}

/* ---- libraries of functions ---- */

static struct {
    struct slice *codes; /* their bytes are owned */
    size_t count, room;
} libraries;

/* "#!lua name=mylib": engine and name. */
static struct slice first_line(struct slice code) {
    const char *end = code.len ? memchr(code.ptr, '\n', code.len) : NULL;
    return end ? slice_between(code.ptr, end) : code;
}

/* The place of the library of that name, made if there is none. */
static struct slice *place_of(struct slice code) {
    for (size_t i = 0; i < libraries.count; i++)
        if (slice_equal(first_line(libraries.codes[i]), first_line(code))) return &libraries.codes[i];
    if (libraries.count == libraries.room) {
        libraries.room = libraries.room ? libraries.room * 2 : 4;
        libraries.codes = mem_realloc(libraries.codes, libraries.room * sizeof *libraries.codes);
    }
    libraries.codes[libraries.count] = (struct slice){ NULL, 0 };
    return &libraries.codes[libraries.count++];
}

void rdb_libraries_add(struct slice code) {
    char *bytes = mem_alloc(code.len + 1);
    memcpy(bytes, code.ptr, code.len);
    struct slice *place = place_of(code);
    mem_free((void *)(uintptr_t)place->ptr);
    *place = slice_make(bytes, code.len);
}

size_t rdb_libraries_count(void) { return libraries.count; }

struct slice rdb_libraries_get(size_t index) {
    assert(index < libraries.count);
    return libraries.codes[index];
}

void rdb_libraries_clear(void) {
    for (size_t i = 0; i < libraries.count; i++) mem_free((void *)(uintptr_t)libraries.codes[i].ptr);
    mem_free(libraries.codes);
    libraries.codes = NULL;
    libraries.count = libraries.room = 0;
}

/* ---- a whole file ---- */

bool rdb_verify(const char *path, struct rdb_rules rules, struct buf *error) {
    struct rdb_reader *r = rdb_reader_open(path, rules, error);
    if (!r) return false;
    struct rdb_item item;
    enum rdb_event event;
    do event = rdb_reader_next(r, &item);
    while (event != RDB_EVENT_END && event != RDB_EVENT_BROKEN);
    if (event == RDB_EVENT_BROKEN) rdb_error_describe(rdb_reader_error(r), error);
    rdb_reader_close(r);
    return event == RDB_EVENT_END;
}
