/* transaction.h: MULTI, EXEC, WATCH.
 *
 * Queued commands own copies of their arguments. A watched key is registered in its shard (under the shard's
 * lock); whoever changes the key marks its watchers broken under the same lock, so EXEC, which holds the
 * locks of all its keys and all watched keys, sees every change that came before it and none after. Thread:
 * the client's own worker; transaction_touch under the key's shard lock. */
#ifndef TRIVET_ENGINE_CLIENT_TRANSACTION_H
#define TRIVET_ENGINE_CLIENT_TRANSACTION_H

#include "trivet/engine/client/client.h"
#include "trivet/engine/command/kept.h"
#include "trivet/engine/turn/locks.h"

void transaction_begin(struct client *c);
/* Keeps a copy of the call's command; big arguments are shared. */
void transaction_queue(struct call *call);
size_t transaction_length(const struct client *c);
const struct kept *transaction_at(const struct client *c, size_t index);
/* OR of the flags of the queued commands, and whether EXEC must close the gate: one of them is EXCLUSIVE, or
 * is LOCAL and locks shards by itself. */
uint32_t transaction_flags(const struct client *c);
/* Is there a queued command without this flag? */
bool transaction_lacks(const struct client *c, uint32_t flag);
bool transaction_is_exclusive(const struct client *c);
/* The database in which the client's next command would run: a queued SELECT counts. */
uint32_t transaction_db(const struct client *c);
/* Drops the queue and leaves MULTI; keeps the watched keys (DISCARD and EXEC call transaction_unwatch too).
 */
void transaction_end(struct client *c);

/* All data is replaced by other data: every watched key counts as changed. Gate closed. */
void transaction_touch_everything(void);
/* True if a watched key was changed or flushed since. */
bool transaction_is_broken(const struct client *c);
/* True if it was, or if a watched key has expired meanwhile. Under the locks of transaction_shards, or the
 * gate. */
bool transaction_must_fail(struct call *call);
/* WATCH: under the key's shard lock. */
void transaction_watch(struct call *call, struct slice key);
/* Takes shard locks itself, but not those of `locked` (NULL: none) and none with the gate closed. */
void transaction_unwatch(struct client *c, const struct shard_set *locked);
size_t transaction_watched(const struct client *c);
/* Adds the shards of the KEYED commands' keys and of all watched keys: what EXEC locks if it does not close
 * the gate. */
void transaction_shards(const struct client *c, struct shard_set *out);

/* A key of this shard changed: its watchers' EXEC will fail. Under the shard's lock. */
void transaction_touch(struct shard *s, uint32_t db, struct slice key);
/* The same for all keys of the shard. Gate closed. */
void transaction_touch_shard(const struct shard *s);
/* A database is flushed or swapped (with `other`, or itself): watchers of keys that are in either. The gate
 * is closed. */
void transaction_touch_database(const struct keyspace_view *view, uint32_t db, uint32_t other);

size_t transaction_memory(const struct client *c);
size_t transaction_arguments(const struct client *c); /* bytes of the queued arguments */
/* All of it goes: the client leaves or RESETs. */
void transaction_release(struct client *c);
/* Numbers for INFO, any thread: clients with watches, keys watched. */
size_t transaction_watching_clients(void);
size_t transaction_watched_keys(void);

#endif
