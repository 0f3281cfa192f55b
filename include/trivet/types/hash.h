/* hash.h: the value of a hash: a listpack of names and values in turn while they are few and short, else a
 * table in which each field is one allocation: its name, its value and, if it has one, the time at which it
 * expires.
 *
 * A hash in which any field has an expiry is a table, whatever its size; it never goes back to a listpack.
 * Fields that have expired stay until somebody takes them out: who reads looks at expiry_ms. Times are
 * wall-clock milliseconds. Slices that are handed out are borrowed until the hash changes; numbers of a
 * listpack are written out into the scratch. Calls that take a pointer to the value may change its encoding
 * and address. Thread: the owner's. */
#ifndef TRIVET_TYPES_HASH_H
#define TRIVET_TYPES_HASH_H

#include "trivet/base/compiler.h"
#include "trivet/base/number.h"
#include "trivet/types/value.h"
#include <stdbool.h>

#define HASH_NO_EXPIRY ((int64_t)-1)
#define HASH_KEEP_EXPIRY ((int64_t)-2) /* to set a value and leave the time as it is */

struct hash_field {
    struct slice name, value;
    int64_t expiry_ms; /* HASH_NO_EXPIRY: none */
};

/* Where numbers are written out. */
struct hash_scratch {
    char name[INT64_TEXT_MAX], value[INT64_TEXT_MAX];
};

static inline bool hash_field_is_expired(const struct hash_field *f, int64_t now_ms) {
    return f->expiry_ms != HASH_NO_EXPIRY && f->expiry_ms < now_ms;
}

extern const struct value_ops hash_value_ops;

struct value hash_new(void);
/* `count` fields are about to be set, whose names and values stand in turn in `pairs`: a listpack that could
 * not hold them becomes a table at once. */
void hash_expect(struct value *v, const struct slice *pairs, size_t count);

/* All fields, expired ones too. */
size_t hash_count(struct value v);
bool hash_find(struct value v, struct slice name, struct hash_field *out, struct hash_scratch *scratch);
/* Sets or adds a field; true if it was not there. `expiry_ms` is a time, HASH_NO_EXPIRY or HASH_KEEP_EXPIRY.
 * `value` may not lie in the hash. */
bool hash_set(struct value *v, struct slice name, struct slice value, int64_t expiry_ms);
/* Gives a field that is there another time to expire, or none; false if it is not there. */
bool hash_set_expiry(struct value *v, struct slice name, int64_t expiry_ms);
bool hash_remove(struct value *v, struct slice name); /* false: it was not there */

/* Every field once, a listpack's in order of arrival. False if the visit stopped it. */
bool hash_each(struct value v, bool (*visit)(void *arg, const struct hash_field *f), void *arg);
/* SCAN: visits about `count` fields (all of a listpack) and returns the next cursor, 0 at the end. */
uint64_t hash_scan(struct value v, uint64_t cursor, size_t count,
                   void (*visit)(void *arg, const struct hash_field *f), void *arg);

/* A random field of a hash that is not empty. */
void hash_random(struct value v, struct hash_field *out, struct hash_scratch *scratch);
/* Visits `count` different random fields, at most all. */
void hash_sample(struct value v, size_t count, void (*visit)(void *arg, const struct hash_field *f),
                 void *arg);

/* How many fields have an expiry. */
size_t hash_dated(struct value v);
/* No field expires before this time; INT64_MAX if none ever does. It may be earlier than the first that does.
 */
int64_t hash_due_ms(struct value v);
/* See value_ops.take_due. */
void hash_take_due(struct value *v, int64_t now_ms, struct gone *out);

/* A listpack from outside that may be a hash: well formed, pairs, no name twice, not empty. */
MUST_CHECK bool hash_listpack_is_valid(const unsigned char *bytes, size_t len);

/* Asserts what must hold of every hash; for tests. */
void hash_check(struct value v);

#endif
