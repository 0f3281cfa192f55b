/* interest.h: keys that some client must be told about: watched by WATCH, or waited for by a blocked client.
 *
 * Each shard has one table of them, NULL while there is none, so a write to a shard without interests costs
 * one test of a pointer. Thread: everything under the shard's lock, or with the gate closed. */
#ifndef TRIVET_ENGINE_CLIENT_INTEREST_H
#define TRIVET_ENGINE_CLIENT_INTEREST_H

#include "trivet/base/chain.h"
#include "trivet/base/slice.h"
#include "trivet/keyspace/shard.h"

/* One key of one database. Freed when both lists are empty (interest_drop). */
struct interest {
    struct chain watchers;    /* of struct watcher (transaction.c) */
    struct chain waiting;     /* of struct waiting_link (blocking_keys.c), in order of arrival */
    uint32_t absence_waiters; /* the waiting ones that must be told when the key is deleted (XREADGROUP) */
    uint64_t hash;            /* of id */
    uint32_t shard;
    uint32_t id_len;
    char id[]; /* database number (4 bytes), key */
};

struct interests {
    struct table keys;
    uint32_t exclusive_waiters; /* waiting clients that need more than this key's lock to be served */
};

struct interest *interest_find(const struct shard *s, uint32_t db, struct slice key);
struct interest *interest_make(uint32_t shard, uint32_t db, struct slice key);
/* Frees it if nobody is interested any more. */
void interest_drop(struct interest *i);
struct slice interest_key(const struct interest *i, uint32_t *db);
/* Every interest of the shard; the callback must not make or drop any. */
void interest_each(const struct shard *s, void (*visit)(void *arg, struct interest *i), void *arg);

#endif
