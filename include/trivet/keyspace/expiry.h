/* expiry.h: active expiry: removes entries whose time is over even if nobody asks for them.
 *
 * Each worker walks its share of the shards (those with shard % workers == worker), looking only at
 * buckets that are marked as holding an expiry, in slices: a slow cycle (hz times a second) and, when
 * much is stale, more of it.
 * Thread: workers, with their gate held and no shard locked. */
#ifndef TRIVET_KEYSPACE_EXPIRY_H
#define TRIVET_KEYSPACE_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

/* One slice of at most `budget_us` over this worker's shards. `flush` (may be NULL) is called before each
 * shard is unlocked, so that what expired goes into the journal. Returns true if it ran out of time with much
 * left to do. */
bool expiry_cycle(int64_t now_ms, int64_t budget_us, void (*flush)(void));
/* DEBUG SET-ACTIVE-EXPIRE. */
void expiry_set_active(bool on);
/* Estimated share of expired entries among those with an expiry, in percent, and the average TTL of a
 * database in ms. */
double expiry_stale_percent(void);
/* The same of values whose elements expire: those with expired ones in them. */
double expiry_fields_stale_percent(void);
int64_t expiry_average_ttl_ms(uint32_t db);

#endif
