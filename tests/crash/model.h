/* model.h: what one writer does to its keys, and what a server has of them.
 *
 * Each writer has keys of its own: 32 strings and one big key of each other type. A step is what the server
 * does at one instant: a command, or a transaction. apply() does to a state what the step does to the server,
 * so states can be compared: what is observed after a restart must be a state that the writer's steps led
 * through. */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include "../harness/client.h"
#include <stdint.h>

#define KEYS 32
#define SLOTS 320 /* elements of a collection: more than one step of a snapshot takes */

enum kind {
    SET_PLAIN,
    SET_EX,
    SET_PXAT,
    INCR,
    DEL,
    PERSIST,
    MSET,
    TRANSACTION, /* two SET of one value, one DEL */
    HASH_SET,
    HASH_DELETE,
    SET_ADD,
    SET_REMOVE,
    ZSET_ADD,
    ZSET_REMOVE,
    LIST_PUSH, /* and a trim, in a transaction */
    LIST_POP,
    STREAM_ADD,
    STREAM_TRIM,
    DEL_COLLECTION,
    SCRIPT,             /* two counters that are equal, and a push of their value onto a list, by EVAL */
    SCRIPT_TRANSACTION, /* a SET of the third, and that script twice */
    INCR_SHARED,        /* a counter that all writers raise; see model_common */
    FLUSH,
    KINDS
};

struct step {
    enum kind kind;
    size_t key; /* of a string; or an element; or a collection */
    int64_t value, expiry_ms;
};

struct value {
    bool there;
    int64_t number;
    int64_t expiry_ms; /* 0: none */
};

enum { HASH, SET, ZSET, LIST, STREAM, COLLECTIONS };

/* Hash, set and sorted set: by element, 0 if it is not there. List and stream: the first `count` count. */
struct collection {
    size_t count;
    int64_t items[SLOTS];
};

struct state {
    struct value keys[KEYS];
    struct collection collections[COLLECTIONS];
};

/* Some step; `value` rises from step to step. `own`: the writer has a database for itself. */
struct step model_draw(uint64_t *random, int64_t value, bool own);
void model_apply(struct state *s, const struct step *step);
/* Queues the step's commands for writer `me`. */
void model_queue(struct client *c, int me, const struct step *step);
size_t model_replies(const struct step *step);

/* What the server has of a writer's keys. Fails the test if it is something that never was written. */
void model_observe(struct client *c, int me, struct state *out);
bool model_is_same(const struct state *model, const struct state *real);
/* The first difference, in words. */
void model_describe_difference(const struct state *model, const struct state *real, struct text *out);

uint64_t model_random(uint64_t *random, uint64_t below);

#endif
