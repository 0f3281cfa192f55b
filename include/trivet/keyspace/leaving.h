/* leaving.h: in a cluster, the keys of slots that have become another node's. They are hidden at once
 * (hidden.h), no count of a slot has them, and they are deleted by and by: each worker goes through its share
 * of these slots (slot % workers == worker) in slices, which clients do not wait for.
 *
 * Whoever serves such a slot again, or lets keys come to it, clears it before. On a replica they only stay
 * hidden: they go as the primary says. What is written to files meanwhile has them, so whoever reads a file
 * looks for keys of slots that are not its own. */
#ifndef TRIVET_KEYSPACE_LEAVING_H
#define TRIVET_KEYSPACE_LEAVING_H

#include "trivet/keyspace/hidden.h"
#include <stdbool.h>
#include <stdint.h>

static inline bool slot_is_leaving(uint32_t slot) { return slot_is_hidden_as(slot, SLOT_LEAVES); }

/* ---- gate closed ---- */

/* Its keys are to go. Returns how many there are; without any, nothing happens. */
size_t slot_leave(uint16_t slot);
/* They are to stay, and to be seen. */
void slot_stay(uint16_t slot);
/* Deletes them at once, whether it was leaving or not; returns how many went. `lazily`: big values are freed
 * on the background thread. */
size_t slot_clear(uint16_t slot, bool lazily, int64_t now_ms);

/* ---- in slices: a worker, its gate held, no shard locked ---- */

/* Has this worker something to do? Asked without the gate too. */
bool leaving_is_due(void);
/* One slice of about so long, at least a bite of some keys. `lazily` as above; `flush` (may be NULL) is
 * called before each shard is unlocked. */
void leaving_go_on(int64_t now_ms, int64_t slice_us, bool lazily, void (*flush)(void));
/* Data must stand still, until leaving_begin(). */
void leaving_give_up(void);
void leaving_begin(void);

/* ---- when they are gone ---- */

/* Is some leaving slot empty? Takes the locks of their shards. */
bool leaving_can_end(void);
/* Empty ones are slots like others again. Returns how many are still leaving. Gate closed. */
uint32_t leaving_end(void);

#endif
