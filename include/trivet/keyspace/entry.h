/* entry.h: a key and its value: one allocation, one pointer in the table.
 *
 *     byte 0     4          5            6
 *     +----------+----------+-----------+------------+---------------+-----------+-------------+
 *     | access,  | encoding,| key       | expiry_ms  | key length    | key bytes | value       |
 *     | type     | marks    | length    | (8, if any)| (4, if long)  |           |             |
 *     +----------+----------+-----------+------------+---------------+-----------+-------------+
 *
 * The value is, by encoding: an int64 (8 bytes); the bytes of a string up to STRING_EMBED_MAX with their
 * length before them (1 byte, or 0xff and 4 bytes); the bytes of a listpack or an intset up to
 * ENTRY_INSIDE_MAX, which say themselves how many they are; or a pointer (8 bytes) to memory of its own: a
 * blob for big strings, a structure of the types layer for the rest. Nothing after the sixth byte is aligned,
 * so it is read and written with memcpy, which costs nothing on the processors this runs on.
 *
 * The expiry and the value are inside, so changing them may move the entry: such functions return the entry
 * to use from then on, and the caller puts it in the table (keyspace_replace). Owner: the table it is in.
 * Thread: under the lock of the key's shard. */
#ifndef TRIVET_KEYSPACE_ENTRY_H
#define TRIVET_KEYSPACE_ENTRY_H

#include "trivet/base/blob.h"
#include "trivet/base/compiler.h"
#include "trivet/base/number.h"
#include "trivet/base/slice.h"
#include "trivet/types/value.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRING_EMBED_MAX ((size_t)(16 * 1024))
/* A listpack or an intset of more bytes is a block of its own: beyond, the pointer and the rounding up of a
 * second block are a small part of it, and copying it for a change begins to cost. */
#define ENTRY_INSIDE_MAX ((size_t)512)
/* Added to the encoding of a listpack or an intset whose bytes lie inside. */
#define ENTRY_INSIDE 8
#define EMBSTR_MAX 44 /* up to here OBJECT ENCODING says "embstr", above "raw", as clients know it */
#define NO_EXPIRY ((int64_t)-1)
#define ENTRY_NOT_STAMPED 0 /* in `access`, until the keyspace takes the entry */
#define ENTRY_ACCESS_BITS 29
#define ENTRY_ACCESS_MASK ((1u << ENTRY_ACCESS_BITS) - 1)
static_assert(ENCODING_LISTPACK + ENTRY_INSIDE >= ENCODING_COUNT, "encodings inside are different ones");
static_assert(ENCODING_INTSET + ENTRY_INSIDE < 16, "the encoding has four bits");
static_assert(TYPE_COUNT <= 1 << (32 - ENTRY_ACCESS_BITS), "the type has what the access field leaves");

struct entry {
    uint32_t access : ENTRY_ACCESS_BITS; /* when it was used, and how often: see eviction.h */
    uint32_t type : 32 - ENTRY_ACCESS_BITS;
    uint8_t encoding : 4; /* of a value that is no string: see entry_encoding */
    uint8_t epoch : 1;    /* equals keyspace_epoch unless a running snapshot still has to save this entry */
    uint8_t has_expiry : 1;
    uint8_t long_key : 1;
    /* Of a short string: it was changed in place, and OBJECT ENCODING says raw. Of another value: it is
     * counted among those whose elements expire by themselves (see note_elements in keyspace.c). */
    uint8_t raw_or_dated : 1;
    uint8_t key_len; /* 0 if long_key */
    char data[];
};
#define ENTRY_HEADER 6
static_assert(offsetof(struct entry, data) == ENTRY_HEADER, "the header is six bytes");

static inline const char *entry_key_at(const struct entry *e) {
    return e->data + (e->has_expiry ? sizeof(int64_t) : 0) + (e->long_key ? sizeof(uint32_t) : 0);
}

static inline size_t entry_key_len(const struct entry *e) {
    if (LIKELY(!e->long_key)) return e->key_len;
    uint32_t len;
    memcpy(&len, entry_key_at(e) - sizeof len, sizeof len);
    return len;
}

static inline struct slice entry_key(const struct entry *e) {
    return (struct slice){ entry_key_at(e), entry_key_len(e) };
}

static inline char *entry_value_at(const struct entry *e) {
    return unconst(entry_key_at(e) + entry_key_len(e));
}

static inline int64_t entry_expiry_ms(const struct entry *e) {
    if (!e->has_expiry) return NO_EXPIRY;
    int64_t at;
    memcpy(&at, e->data, sizeof at);
    return at;
}

/* Expired means strictly later than its time, as clients expect. */
static inline bool entry_is_expired(const struct entry *e, int64_t now_ms) {
    return e->has_expiry && entry_expiry_ms(e) < now_ms;
}

/* No element of the value expires by itself before this time; INT64_MAX: none ever does. */
int64_t entry_due_ms(const struct entry *e);

static inline void *entry_pointer(const struct entry *e) {
    void *p;
    memcpy(&p, entry_value_at(e), sizeof p);
    return p;
}

/* A string entry; text that is the canonical form of an int64 is kept as one. Entries
 * are made without a stamp of their last use: the keyspace gives it when it takes them. */
struct entry *entry_new_string(struct slice key, struct slice text, int64_t expiry_ms);
/* Takes over one reference of `big` (of more than STRING_EMBED_MAX bytes). */
struct entry *entry_new_blob(struct slice key, struct blob *big, int64_t expiry_ms);
struct entry *entry_new_int(struct slice key, int64_t n, int64_t expiry_ms);

/* An entry of another type, which owns the value from now on: a small one is copied and its block freed. */
struct entry *entry_new_value(struct slice key, enum value_type type, struct value v, int64_t expiry_ms);

static inline bool entry_is_inside(const struct entry *e) { return e->encoding >= ENCODING_COUNT; }
static inline enum encoding entry_encoding(const struct entry *e) {
    return (enum encoding)(entry_is_inside(e) ? e->encoding - ENTRY_INSIDE : e->encoding);
}
/* The value of an entry that is not a string. To look at only, and while the entry does not move: its pointer
 * may be an address inside the entry. Who changes a value opens it (change.h). */
static inline struct value entry_value(const struct entry *e) {
    void *at = entry_is_inside(e) ? entry_value_at(e) : entry_pointer(e);
    return (struct value){ at, entry_encoding(e) };
}

/* Storing a value back after it was changed. What the entry had before belongs to the caller.
 *
 * In the place of a pointer: the entry owns what is stored from now on. */
void entry_set_value(struct entry *e, struct value v);
/* In the place of a value inside: tries to copy a small one there; false if it does not fit well. */
MUST_CHECK bool entry_overwrite_inside(struct entry *e, struct value v);
/* The same entry with a copy of the small value inside. It moves. */
struct entry *entry_with_inside(struct entry *e, struct value v);
/* The same entry, which had its value inside, with a pointer to `v`, which it owns from now on. It moves. */
struct entry *entry_with_pointer(struct entry *e, struct value v);

/* A string's text; `scratch` has INT64_TEXT_MAX bytes and holds it if the value is an int. Valid while
 * the entry is not changed. */
struct slice entry_text(const struct entry *e, char *scratch);
size_t entry_text_len(const struct entry *e);
/* The number in ENCODING_INT; sets it in place. */
int64_t entry_int(const struct entry *e);
void entry_set_int(struct entry *e, int64_t n);
/* The blob of ENCODING_BLOB: borrowed. */
static inline struct blob *entry_blob(const struct entry *e) { return (struct blob *)entry_pointer(e); }

/* Tries to put `text` in the place of the string, keeping the allocation; false if it does not fit well.
 * Has the effect of entry_new_string with the same key. The expiry's presence must stay as it is. */
bool entry_overwrite(struct entry *e, struct slice text, int64_t expiry_ms);

/* A string made `len` bytes long (new bytes are zero), its bytes writable at the returned address until
 * the next call on the entry; *entry may move. The string counts as raw from now on. `room` hints at
 * what will be needed soon. */
char *entry_make_writable(struct entry **entry, size_t len, size_t room);

/* The same entry with this expiry (or NO_EXPIRY); moves unless the presence of one stays the same. */
struct entry *entry_with_expiry(struct entry *e, int64_t expiry_ms);
/* The same value under another key: a new entry, `e` is used up. Keeps the expiry. */
struct entry *entry_renamed(struct entry *e, struct slice key);
/* A deep copy under `key` with the expiry given. */
struct entry *entry_copy(const struct entry *e, struct slice key, int64_t expiry_ms);

void entry_free(struct entry *e);
/* Frees the entry: on the background thread if it takes long, else at once. */
void entry_free_lazily(struct entry *e);
/* Bytes handed to the background thread this way and not freed yet. Thread: any. */
size_t entry_leaving_bytes(void);
/* How much work freeing it is: 1 for what is one or two allocations, else the number of its elements. */
size_t entry_free_effort(const struct entry *e);
/* The bytes of the entry's own allocation. */
size_t entry_block_size(const struct entry *e);
/* The exact bytes that the entry holds, those outside its own allocation included; costs no walk. */
size_t entry_memory(const struct entry *e);
/* The same without what the allocator adds: cheaper, for comparisons. */
size_t entry_rough_size(const struct entry *e);
/* "string", "list", ... and what OBJECT ENCODING answers. */
const char *entry_type_name(enum value_type type);
const char *entry_encoding_name(const struct entry *e);

#endif
