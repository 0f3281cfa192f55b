/* set.h: the value of a set: an intset while all members are integers and few, a listpack while they are few
 * and short, else a table in which each member is one allocation.
 *
 * The limits are those of encoding_limits; a set never goes back to a smaller form. Members are handed out as
 * text, borrowed for the time of the call; integers are written out for it. Calls that take a pointer to the
 * value may change its encoding and address. Chance comes from base/random.h. Thread: the owner's. */
#ifndef TRIVET_TYPES_SET_H
#define TRIVET_TYPES_SET_H

#include "trivet/base/compiler.h"
#include "trivet/base/number.h"
#include "trivet/types/value.h"
#include <stdbool.h>

extern const struct value_ops set_value_ops;

/* An empty set in the form that suits `expected` members of which this is the first. */
struct value set_new(struct slice first, size_t expected);
/* An empty set that takes its form from what comes. */
struct value set_new_empty(void);
/* About to be added: that many, so a small form that cannot hold them is left at once. */
void set_expect(struct value *v, size_t coming);

size_t set_count(struct value v);
bool set_contains(struct value v, struct slice member);
bool set_add(struct value *v, struct slice member);    /* false: it was there */
bool set_remove(struct value *v, struct slice member); /* false: it was not; `member` may be the set's own */
/* Gives back memory that is not needed, after a set was built. */
void set_shrink(struct value *v);

/* Every member once, integers in rising order, a listpack's in order of arrival. False if the visit stopped
 * it. */
bool set_each(struct value v, bool (*visit)(void *arg, struct slice member), void *arg);
/* SCAN: visits about `count` members (all of a small form) and returns the next cursor, 0 at the end. The
 * visit must not change the set. */
uint64_t set_scan(struct value v, uint64_t cursor, size_t count,
                  void (*visit)(void *arg, struct slice member), void *arg);

/* A random member of a set that is not empty; `scratch` (INT64_TEXT_MAX bytes) may hold it. */
struct slice set_random(struct value v, char *scratch);
/* Visits `count` different random members, at most all. */
void set_sample(struct value v, size_t count, void (*visit)(void *arg, struct slice member), void *arg);
/* The same, and takes them out. */
void set_take(struct value *v, size_t count, void (*visit)(void *arg, struct slice member), void *arg);

/* A listpack from outside that may be a set: well formed, nothing twice, not empty. */
MUST_CHECK bool set_listpack_is_valid(const unsigned char *bytes, size_t len);

/* Asserts what must hold of every set; for tests. */
void set_check(struct value v);

#endif
