/* expiry.h: active expiry: removes entries whose time is over even if nobody asks for them.
 *
 * Each worker walks its share of the shards (those with shard % workers == worker), looking only at
 * buckets that are marked as holding an expiry. It begins a cycle hz times a second and does it in slices, so
 * that no client waits for more than one. When little of what it meets has expired, the cycle ends.
 * Thread: workers, with their gate held and no shard locked. */
#ifndef TRIVET_KEYSPACE_EXPIRY_H
#define TRIVET_KEYSPACE_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

/* Begins this worker's next cycle, which may take so much time in all. */
void expiry_begin(int64_t now_ms, int64_t budget_us);
/* Is a cycle under way? */
bool expiry_is_due(void);
/* One slice of it of about `slice_us`, over this worker's shards; at least a bite of some buckets. `flush`
 * (may be NULL) is called before each shard is unlocked, so that what expired goes into the journal. Returns
 * true if the slice's time was up with much left to do. */
bool expiry_go_on(int64_t now_ms, int64_t slice_us, void (*flush)(void));
/* Data must stand still: no more of this cycle. */
void expiry_give_up(void);
/* DEBUG SET-ACTIVE-EXPIRE. */
void expiry_set_active(bool on);
/* Estimated share of expired entries among those with an expiry, in percent, and the average TTL of a
 * database in ms. */
double expiry_stale_percent(void);
/* The same of values whose elements expire: those with expired ones in them. */
double expiry_fields_stale_percent(void);
int64_t expiry_average_ttl_ms(uint32_t db);

#endif
