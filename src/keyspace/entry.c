/* entry.c: building, reading and moving entries. The layout is drawn in entry.h.
 *
 * Every builder goes through entry_shape(), the one place that knows how the parts follow each other, and
 * returns the address where the value goes. */
#include "trivet/keyspace/entry.h"
#include "trivet/base/background.h"
#include "trivet/base/mem.h"
#include "trivet/base/slab.h"
#include "trivet/keyspace/keyspace.h"
#include <stdatomic.h>
#include <string.h>

#define LONG_LENGTH 0xff /* first byte of an embedded string's length if four bytes follow */

static size_t length_size(size_t len) { return len < LONG_LENGTH ? 1 : 1 + sizeof(uint32_t); }

static char *write_length(char *at, size_t len) {
    if (len < LONG_LENGTH) {
        *at = (char)(unsigned char)len;
        return at + 1;
    }
    uint32_t wide = (uint32_t)len;
    *at = (char)(unsigned char)LONG_LENGTH;
    memcpy(at + 1, &wide, sizeof wide);
    return at + 1 + sizeof wide;
}

static struct slice read_embedded(const char *at) {
    size_t len = (unsigned char)*at;
    if (LIKELY(len != LONG_LENGTH)) return slice_make(at + 1, len);
    uint32_t wide;
    memcpy(&wide, at + 1, sizeof wide);
    return slice_make(at + 1 + sizeof wide, wide);
}

static size_t overhead(size_t key_len, bool has_expiry) {
    return ENTRY_HEADER + (has_expiry ? sizeof(int64_t) : 0) + (key_len > UINT8_MAX ? sizeof(uint32_t) : 0) +
           key_len;
}

/* Allocates an entry for this key with room for `value_size` bytes of value, and fills in all but the
 * value. */
static struct entry *entry_shape(struct slice key, int64_t expiry_ms, size_t value_size) {
    bool has_expiry = expiry_ms != NO_EXPIRY;
    assert(key.len <= UINT32_MAX);
    struct entry *e = slab_alloc(overhead(key.len, has_expiry) + value_size);
    e->access = ENTRY_NOT_STAMPED;
    e->type = TYPE_STRING;
    e->encoding = ENCODING_EMBEDDED;
    e->epoch = keyspace_epoch;
    e->has_expiry = has_expiry;
    e->long_key = key.len > UINT8_MAX;
    e->raw_or_dated = false;
    e->key_len = e->long_key ? 0 : (uint8_t)key.len;
    char *at = e->data;
    if (has_expiry) {
        memcpy(at, &expiry_ms, sizeof expiry_ms);
        at += sizeof expiry_ms;
    }
    if (e->long_key) {
        uint32_t len = (uint32_t)key.len;
        memcpy(at, &len, sizeof len);
        at += sizeof len;
    }
    if (key.len) memcpy(at, key.ptr, key.len);
    return e;
}

static void set_pointer(struct entry *e, void *p) { memcpy(entry_value_at(e), &p, sizeof p); }

struct entry *entry_new_int(struct slice key, int64_t n, int64_t expiry_ms) {
    struct entry *e = entry_shape(key, expiry_ms, sizeof n);
    e->encoding = ENCODING_INT;
    entry_set_int(e, n);
    return e;
}

struct entry *entry_new_blob(struct slice key, struct blob *big, int64_t expiry_ms) {
    assert(big->len > STRING_EMBED_MAX);
    struct entry *e = entry_shape(key, expiry_ms, sizeof big);
    e->encoding = ENCODING_BLOB;
    set_pointer(e, big);
    return e;
}

/* ---- values that are no strings ---- */

static void set_inside(struct entry *e, enum encoding encoding, struct slice bytes) {
    e->encoding = ((unsigned)encoding + ENTRY_INSIDE) & 0xf;
    memcpy(entry_value_at(e), bytes.ptr, bytes.len);
}

/* A packed value in a block that fits: while it was changed it may have had room. */
static struct value trimmed(struct value v) {
    if (!value_is_packed(v)) return v;
    size_t bytes = value_packed(v).len;
    if (mem_good_size(bytes) < mem_size(v.ptr)) v.ptr = mem_realloc(v.ptr, bytes);
    return v;
}

struct entry *entry_new_value(struct slice key, enum value_type type, struct value v, int64_t expiry_ms) {
    assert(type != TYPE_STRING && value_ops[type]);
    struct slice bytes = value_is_packed(v) ? value_packed(v) : (struct slice){ 0 };
    bool inside = value_is_packed(v) && bytes.len <= ENTRY_INSIDE_MAX;
    struct entry *e = entry_shape(key, expiry_ms, inside ? bytes.len : sizeof v.ptr);
    e->type = type;
    if (inside) {
        set_inside(e, v.encoding, bytes);
        mem_free(v.ptr);
    } else {
        entry_set_value(e, trimmed(v));
    }
    return e;
}

void entry_set_value(struct entry *e, struct value v) {
    assert(!entry_is_inside(e));
    e->encoding = v.encoding;
    set_pointer(e, v.ptr);
}

/* A shorter value is moved to a smaller block if that saves a quarter. */
bool entry_overwrite_inside(struct entry *e, struct value v) {
    assert(entry_is_inside(e));
    struct slice bytes = value_packed(v);
    if (UNLIKELY(bytes.len != value_packed(entry_value(e)).len)) {
        size_t need = (size_t)(entry_value_at(e) - (char *)e) + bytes.len, room = slab_size(e);
        if (need > room) return false;
        if (room - need > room / 4 && slab_good_size(need) <= room - room / 4) return false;
    }
    set_inside(e, v.encoding, bytes);
    return true;
}

/* The entry with room for so many bytes of value, which are yet to be written. */
static struct entry *resize_value(struct entry *e, size_t size) {
    return slab_realloc(e, (size_t)(entry_value_at(e) - (char *)e) + size);
}

struct entry *entry_with_inside(struct entry *e, struct value v) {
    struct slice bytes = value_packed(v);
    assert(bytes.len <= ENTRY_INSIDE_MAX);
    e = resize_value(e, bytes.len);
    set_inside(e, v.encoding, bytes);
    return e;
}

struct entry *entry_with_pointer(struct entry *e, struct value v) {
    assert(entry_is_inside(e));
    e = resize_value(e, sizeof v.ptr);
    e->encoding = v.encoding;
    set_pointer(e, trimmed(v).ptr);
    return e;
}

/* ---- strings ---- */

/* The cheap test of the length comes first: most strings are not numbers. */
static bool is_number(struct slice text, int64_t *n) {
    return text.len > 0 && text.len < INT64_TEXT_MAX && int64_parse(text, n);
}

struct entry *entry_new_string(struct slice key, struct slice text, int64_t expiry_ms) {
    int64_t n;
    if (is_number(text, &n)) return entry_new_int(key, n, expiry_ms);
    if (text.len > STRING_EMBED_MAX) return entry_new_blob(key, blob_of(text), expiry_ms);
    struct entry *e = entry_shape(key, expiry_ms, length_size(text.len) + text.len);
    char *at = write_length(entry_value_at(e), text.len);
    if (text.len) memcpy(at, text.ptr, text.len);
    return e;
}

int64_t entry_int(const struct entry *e) {
    int64_t n;
    memcpy(&n, entry_value_at(e), sizeof n);
    return n;
}

void entry_set_int(struct entry *e, int64_t n) { memcpy(entry_value_at(e), &n, sizeof n); }

struct slice entry_text(const struct entry *e, char *scratch) {
    assert(e->type == TYPE_STRING);
    if (LIKELY(e->encoding == ENCODING_EMBEDDED)) return read_embedded(entry_value_at(e));
    if (e->encoding == ENCODING_BLOB) return blob_slice(entry_blob(e));
    return slice_make(scratch, int64_format(scratch, entry_int(e)));
}

size_t entry_text_len(const struct entry *e) {
    char scratch[INT64_TEXT_MAX];
    return entry_text(e, scratch).len;
}

bool entry_overwrite(struct entry *e, struct slice text, int64_t expiry_ms) {
    if (e->type != TYPE_STRING || e->encoding == ENCODING_BLOB) return false;
    if (e->has_expiry != (expiry_ms != NO_EXPIRY)) return false;
    int64_t n;
    bool number = is_number(text, &n);
    size_t need =
        overhead(entry_key_len(e), e->has_expiry) + (number ? sizeof n : length_size(text.len) + text.len);
    if (text.len > STRING_EMBED_MAX || slab_good_size(need) != slab_size(e)) return false;
    if (e->has_expiry) memcpy(e->data, &expiry_ms, sizeof expiry_ms);
    e->raw_or_dated = false;
    if (number) {
        e->encoding = ENCODING_INT;
        entry_set_int(e, n);
        return true;
    }
    e->encoding = ENCODING_EMBEDDED;
    /* The text may be a part of the old value, so it moves before the length is written. */
    if (text.len) memmove(entry_value_at(e) + length_size(text.len), text.ptr, text.len);
    write_length(entry_value_at(e), text.len);
    return true;
}

/* Writable bytes of a string that is, or becomes, a blob of its own. */
static char *make_blob_writable(struct entry **entry, struct slice old, size_t len, size_t room) {
    struct entry *e = *entry;
    if (e->encoding == ENCODING_BLOB) {
        struct blob *b = entry_blob(e);
        if (!blob_is_sole(b)) {
            struct blob *own = blob_new(len, room);
            memcpy(own->bytes, b->bytes, b->len < len ? b->len : len);
            blob_unref(b);
            b = own;
        } else if (b->room < len) {
            b = blob_grow(b, room);
        }
        b->len = len;
        set_pointer(e, b);
        return b->bytes;
    }
    struct blob *b = blob_new(len, room);
    memcpy(b->bytes, old.ptr, old.len);
    struct entry *fresh = entry_new_blob(entry_key(e), b, entry_expiry_ms(e));
    fresh->access = e->access;
    fresh->epoch = e->epoch;
    slab_free(e);
    *entry = fresh;
    return b->bytes;
}

/* Writable bytes inside the entry, which grows if it must. */
static char *make_embedded_writable(struct entry **entry, struct slice old, size_t len) {
    struct entry *e = *entry;
    size_t before = overhead(entry_key_len(e), e->has_expiry);
    size_t need = before + length_size(len) + len;
    bool inside = e->encoding == ENCODING_EMBEDDED && length_size(old.len) == length_size(len);
    if (inside) {
        if (need > slab_size(e)) e = slab_realloc(e, need);
        char *at = write_length(entry_value_at(e), len);
        *entry = e;
        return at;
    }
    struct entry *fresh = entry_shape(entry_key(e), entry_expiry_ms(e), need - before);
    fresh->access = e->access;
    fresh->epoch = e->epoch;
    char *at = write_length(entry_value_at(fresh), len);
    memcpy(at, old.ptr, old.len < len ? old.len : len);
    slab_free(e);
    *entry = fresh;
    return at;
}

char *entry_make_writable(struct entry **entry, size_t len, size_t room) {
    char scratch[INT64_TEXT_MAX];
    struct slice old = entry_text(*entry, scratch);
    size_t old_len = old.len;
    char *at;
    if (len > STRING_EMBED_MAX || (*entry)->encoding == ENCODING_BLOB)
        at = make_blob_writable(entry, old, len, room > len ? room : len);
    else
        at = make_embedded_writable(entry, old, len);
    if (len > old_len) memset(at + old_len, 0, len - old_len);
    (*entry)->raw_or_dated = true;
    return at;
}

/* Bytes that the value takes inside the entry. */
static size_t value_size(const struct entry *e) {
    if (entry_is_inside(e)) return value_packed(entry_value(e)).len;
    if (e->type != TYPE_STRING || e->encoding != ENCODING_EMBEDDED) return sizeof(int64_t);
    struct slice text = read_embedded(entry_value_at(e));
    return length_size(text.len) + text.len;
}

size_t entry_rough_size(const struct entry *e) {
    const char *at = entry_value_at(e);
    size_t before = (size_t)(at - (const char *)e);
    if (LIKELY(e->encoding == ENCODING_EMBEDDED)) return before + read_embedded(at).len;
    if (entry_is_inside(e)) return before + value_packed(entry_value(e)).len;
    if (e->type != TYPE_STRING) return before + value_ops[e->type]->bytes(entry_value(e));
    return before + (e->encoding == ENCODING_BLOB ? blob_slice(entry_blob(e)).len : sizeof(int64_t));
}

/* A twin with another key or expiry; the value's bytes are copied as they are, a pointer too. */
static struct entry *reshape(const struct entry *e, struct slice key, int64_t expiry_ms) {
    size_t size = value_size(e);
    struct entry *fresh = entry_shape(key, expiry_ms, size);
    fresh->access = e->access;
    fresh->type = e->type;
    fresh->encoding = e->encoding;
    fresh->raw_or_dated = e->raw_or_dated;
    fresh->epoch = e->epoch;
    memcpy(entry_value_at(fresh), entry_value_at(e), size);
    return fresh;
}

struct entry *entry_with_expiry(struct entry *e, int64_t expiry_ms) {
    if (e->has_expiry && expiry_ms != NO_EXPIRY) {
        memcpy(e->data, &expiry_ms, sizeof expiry_ms);
        return e;
    }
    if (!e->has_expiry && expiry_ms == NO_EXPIRY) return e;
    struct entry *fresh = reshape(e, entry_key(e), expiry_ms);
    slab_free(e);
    return fresh;
}

struct entry *entry_renamed(struct entry *e, struct slice key) {
    struct entry *fresh = reshape(e, key, entry_expiry_ms(e));
    slab_free(e);
    return fresh;
}

struct entry *entry_copy(const struct entry *e, struct slice key, int64_t expiry_ms) {
    struct entry *fresh = reshape(e, key, expiry_ms);
    fresh->epoch = keyspace_epoch;
    if (e->type != TYPE_STRING) {
        fresh->raw_or_dated = false;
        if (!entry_is_inside(e)) entry_set_value(fresh, value_ops[e->type]->copy(entry_value(e)));
    } else if (e->encoding == ENCODING_BLOB) {
        blob_ref(entry_blob(e));
    }
    return fresh;
}

int64_t entry_due_ms(const struct entry *e) {
    const struct value_ops *ops = value_ops[e->type];
    return ops && ops->due_ms ? ops->due_ms(entry_value(e)) : INT64_MAX;
}

void entry_free(struct entry *e) {
    if (e->type != TYPE_STRING && !entry_is_inside(e))
        value_ops[e->type]->free(entry_value(e));
    else if (e->encoding == ENCODING_BLOB)
        blob_unref(entry_blob(e));
    slab_free(e);
}

size_t entry_free_effort(const struct entry *e) {
    return e->type == TYPE_STRING ? 1 : value_ops[e->type]->effort(entry_value(e));
}

/* From this many bytes on, the background thread frees: giving memory back to the system takes time. */
#define LAZY_BLOB_SIZE (256 * 1024)
#define LAZY_EFFORT 64

/* An entry on its way to the background thread, and its bytes. */
struct leaving {
    struct entry *entry;
    size_t bytes;
};
static atomic_size_t leaving_bytes;

static void free_job(void *arg) {
    struct leaving *l = arg;
    entry_free(l->entry);
    atomic_fetch_sub_explicit(&leaving_bytes, l->bytes, memory_order_relaxed);
    mem_free(l);
}

void entry_free_lazily(struct entry *e) {
    bool big =
        e->type == TYPE_STRING && e->encoding == ENCODING_BLOB && entry_blob(e)->room >= LAZY_BLOB_SIZE;
    if (!big && entry_free_effort(e) <= LAZY_EFFORT) {
        entry_free(e);
        return;
    }
    struct leaving *l = mem_alloc(sizeof *l);
    *l = (struct leaving){ e, entry_memory(e) };
    atomic_fetch_add_explicit(&leaving_bytes, l->bytes, memory_order_relaxed);
    background_post(free_job, l, 1);
}

size_t entry_leaving_bytes(void) { return atomic_load_explicit(&leaving_bytes, memory_order_relaxed); }

size_t entry_block_size(const struct entry *e) { return slab_size(e); }

size_t entry_memory(const struct entry *e) {
    size_t bytes = slab_size(e);
    if (entry_is_inside(e)) return bytes;
    if (e->type != TYPE_STRING) return bytes + value_ops[e->type]->bytes(entry_value(e));
    if (e->encoding == ENCODING_BLOB) bytes += mem_size(entry_blob(e));
    return bytes;
}

const char *entry_type_name(enum value_type type) {
    static const char *const names[TYPE_COUNT] = {
        "string", "list", "set", "zset", "hash", "module", "stream",
    };
    assert(type < TYPE_COUNT);
    return names[type];
}

const char *entry_encoding_name(const struct entry *e) {
    static const char *const names[ENCODING_COUNT] = {
        [ENCODING_INT] = "int",        [ENCODING_BLOB] = "raw",        [ENCODING_LISTPACK] = "listpack",
        [ENCODING_INTSET] = "intset",  [ENCODING_TABLE] = "hashtable", [ENCODING_DEQUE] = "quicklist",
        [ENCODING_BTREE] = "skiplist", [ENCODING_STREAM] = "stream",
    };
    if (e->encoding != ENCODING_EMBEDDED) return names[entry_encoding(e)];
    return !e->raw_or_dated && entry_text_len(e) <= EMBSTR_MAX ? "embstr" : "raw";
}
