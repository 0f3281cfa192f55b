/* zset.h: sorted sets: members with scores, in the order of score, then of the member's bytes.
 *
 * A small one is a listpack of member, score, member, score ... in that order (ENCODING_LISTPACK); above
 * encoding_limits.zset_entries members, or with a member longer than zset_value, it becomes a table of
 * members beside a B+tree (ENCODING_BTREE) and stays one. An empty one is allowed here; keys never hold it.
 *
 * Places are ranks, counted from the lowest, from 0. Ranges are found by asking how many members are before
 * their two ends. Scores are never NaN. Thread: the owner's. */
#ifndef TRIVET_TYPES_ZSET_H
#define TRIVET_TYPES_ZSET_H

#include "trivet/base/compiler.h"
#include "trivet/base/number.h"
#include "trivet/types/structures/btree.h"
#include "trivet/types/value.h"

extern const struct value_ops zset_value_ops;

struct value zset_new(void);
/* Takes over a listpack of pairs in order, as an RDB file holds them; big ones are converted. Its form must
 * have been checked. */
struct value zset_of_listpack(unsigned char *owned);

size_t zset_count(struct value v);
MUST_CHECK bool zset_score(struct value v, struct slice member, double *score);
/* False if it is not there; `score` may be NULL. */
MUST_CHECK bool zset_rank(struct value v, struct slice member, size_t *rank, double *score);

/* ---- changing ---- */

enum zset_condition {
    ZSET_IF_MISSING = 1 << 0, /* NX */
    ZSET_IF_PRESENT = 1 << 1, /* XX */
    ZSET_IF_GREATER = 1 << 2, /* GT: of those that are there */
    ZSET_IF_LESS = 1 << 3,    /* LT */
    ZSET_ADD_TO = 1 << 4,     /* INCR: the score is added to the one it has */
};

enum zset_outcome {
    ZSET_REFUSED, /* a condition did not hold */
    ZSET_SAME,    /* it has this score already */
    ZSET_UPDATED,
    ZSET_ADDED,
    ZSET_NAN, /* the sum would not be a number; nothing changed */
};

/* Gives a member a score; `conditions` is a set of enum zset_condition. *score is what it has after, unless
 * the outcome is REFUSED or NAN. */
enum zset_outcome zset_put(struct value *v, struct slice member, double *score, unsigned conditions);
/* For loaders and copies: a member that may be there already gets the score. Cheapest in order. */
void zset_add(struct value *v, struct slice member, double score);
/* Room for so many members of at most this length, before a big load into an empty one. */
void zset_reserve(struct value *v, size_t count, size_t longest);
bool zset_remove(struct value *v, struct slice member);
void zset_remove_range(struct value *v, size_t rank, size_t count);

/* ---- ends of ranges ---- */

/* How many members have a score below this one (or equal to it, if `equal_too`). */
size_t zset_before_score(struct value v, double score, bool equal_too);
/* The same by the members' bytes: for sets in which all scores are equal. */
size_t zset_before_text(struct value v, struct slice text, bool equal_too);

/* ---- walking ---- */

/* Up to `count` members from `rank` on, upwards or downwards. The set must not change meanwhile, nor the
 * struct move. */
struct zset_walk {
    struct slice member; /* the current one; valid until the next step */
    double score;
    struct value of;
    bool down;
    size_t left;
    unsigned char *at;
    struct btree_place place;
    char scratch[INT64_TEXT_MAX];
};
void zset_walk_begin(struct zset_walk *w, struct value v, size_t rank, size_t count, bool down);
/* The next one (the first by the first call); false at the end. */
bool zset_walk_next(struct zset_walk *w);
/* All, from the lowest. */
static inline void zset_walk_all(struct zset_walk *w, struct value v) {
    zset_walk_begin(w, v, 0, zset_count(v), false);
}

/* SCAN: visits about `count` members (all of a small set) and returns the next cursor, 0 at the end. */
uint64_t zset_scan(struct value v, uint64_t cursor, size_t count,
                   void (*visit)(void *arg, struct slice member, double score), void *arg);

/* Asserts every invariant; for tests. */
void zset_check(struct value v);

#endif
