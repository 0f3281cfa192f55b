/* eviction.h: which entry goes when memory is full: the eight policies of maxmemory-policy.
 *
 * The entry's access field is, under LFU, 16 bits of minutes (last decay) above 8 bits of a logarithmic
 * counter; else 27 bits of time (the last use, in ticks of 128 ms) above two bits of uses (none to three,
 * since it came in). Candidates are sampled from random shards, one shard locked at a time, into a small pool
 * per worker that keeps the best seen; the best of the pool goes.
 *
 * A database may have a policy and a limit of its own (database.h). At its limit only its entries go. At the
 * limit of the whole those go whose databases have a policy that lets them; databases with one policy compete
 * with each other, and different policies give in proportion to the entries that may go.
 *
 * Under an LRU policy the best is the one with the longest idle time, weighted by what the evictions so far
 * have taught (ghosts.h) and by its size. docs/eviction.md compares this with other policies.
 * Thread: eviction_make_room runs on a worker with its gate held and no shard locked (or the gate closed). */
#ifndef TRIVET_KEYSPACE_EVICTION_H
#define TRIVET_KEYSPACE_EVICTION_H

#include "trivet/keyspace/database.h"
#include "trivet/keyspace/entry.h"
#include <stdbool.h>
#include <stdint.h>

/* Bits, so that a policy is tested with one AND. */
enum eviction_policy {
    EVICT_LRU = 1,
    EVICT_LFU = 2,
    EVICT_TTL = 4,
    EVICT_RANDOM = 8,
    EVICT_ALLKEYS = 16,
    EVICT_VARIES = 32, /* not of a policy, but of eviction_settings: some database has one of its own */
    POLICY_NOEVICTION = 0,
    POLICY_VOLATILE_LRU = EVICT_LRU,
    POLICY_VOLATILE_LFU = EVICT_LFU,
    POLICY_VOLATILE_TTL = EVICT_TTL,
    POLICY_VOLATILE_RANDOM = EVICT_RANDOM,
    POLICY_ALLKEYS_LRU = EVICT_LRU | EVICT_ALLKEYS,
    POLICY_ALLKEYS_LFU = EVICT_LFU | EVICT_ALLKEYS,
    POLICY_ALLKEYS_RANDOM = EVICT_RANDOM | EVICT_ALLKEYS,
};

/* Changed with the gate closed. */
struct eviction_settings {
    uint64_t maxmemory; /* bytes; 0: no limit */
    unsigned policy;
    int samples;
    int tenacity; /* 0..100: how long one call may go on */
    int lfu_log_factor;
    int lfu_decay_minutes;
    bool lazily; /* free evicted values on the background thread */
};
extern struct eviction_settings eviction_settings;

/* Sets all of it, and what databases have of their own (database.h; NULL: nothing). Where a database counts
 * uses from now on and did not before, or the other way round, its entries' access fields are translated, all
 * at once. Gate closed. */
void eviction_configure(const struct eviction_settings *settings, const struct database *rows,
                        int64_t now_ms);

static inline unsigned eviction_policy(uint32_t db) {
    unsigned policy = eviction_settings.policy;
    return LIKELY(!(policy & EVICT_VARIES)) ? policy : database_at(db)->policy;
}
/* Do access fields of this database hold a counter? Else they hold a time. */
static inline bool eviction_counts_uses(uint32_t db) { return eviction_policy(db) & EVICT_LFU; }

/* Returns the bytes in use that do not count against the limit (output for replicas, the AOF buffer); NULL:
 * all count. Set once before any thread. */
extern size_t (*eviction_not_counted)(void);

enum room { ROOM_ENOUGH, ROOM_WORKING, ROOM_NONE };
/* Evicts until used memory is under the limit. WORKING: the time slice is used up, memory is still over the
 * limit and more can be evicted; the command may run. NONE: nothing can be evicted. `flush` (may be NULL) is
 * called before a shard is unlocked. */
enum room eviction_make_room(int64_t now_ms, void (*flush)(void));
/* After it the calling worker is to make room ahead, for the writes that come next: a slice of about so many
 * microseconds, while that is due. */
bool eviction_is_due(void);
void eviction_begin(void); /* the same without a write that needs it, and in databases over their limits */
/* Is anything over its limit? Not asked of databases that have nothing to give. */
bool eviction_is_needed(void);
void eviction_go_on(int64_t now_ms, int64_t slice_us, void (*flush)(void));
void eviction_give_up(void); /* data must stand still */
/* Whether there is room, without evicting anything: ENOUGH or NONE. */
enum room eviction_look(void);
static inline bool eviction_has_limit(void) { return eviction_settings.maxmemory != 0; }

/* The same for the limit of one database, by its policy and among its entries. ENOUGH if it has none. */
enum room eviction_make_room_in(uint32_t db, int64_t now_ms, void (*flush)(void));
enum room eviction_look_in(uint32_t db);
/* Is the database over its limit, with nothing that may be evicted? Changes nothing, takes no lock. */
bool eviction_is_stuck(uint32_t db);
/* For the whole and for each database with a limit. */
void eviction_make_room_everywhere(int64_t now_ms, void (*flush)(void));

/* The access field, of an entry of a database. */
uint32_t eviction_access_new(uint32_t db, int64_t now_ms);
/* Of a new key: if it was evicted lately, it goes on with the uses it had. */
uint32_t eviction_access_back(uint32_t db, uint64_t hash, int64_t now_ms);
uint32_t eviction_access_used(uint32_t db, uint32_t access, int64_t now_ms); /* after a use */
/* Of an entry that goes from one database to another. */
uint32_t eviction_access_moved(uint32_t from, uint32_t to, uint32_t access, int64_t now_ms);
/* Two databases have changed places: the fields of their entries follow. Gate closed. */
void eviction_swapped(uint32_t a, uint32_t b, int64_t now_ms);
/* What it says, in a database of the right sort. */
int64_t eviction_idle_ms(uint32_t access, int64_t now_ms);
uint8_t eviction_frequency(uint32_t access, int64_t now_ms); /* decayed */
/* Setting it, as RESTORE's IDLETIME and FREQ do. */
uint32_t eviction_access_idle(int64_t idle_ms, int64_t now_ms);
uint32_t eviction_access_frequency(uint8_t frequency, int64_t now_ms);

/* A part of eviction_configure(): under an LRU policy with a limit, ghosts get 1/128 of it, a database with
 * a limit has its own, and what they had learned is forgotten if that changes. Without ghosts it is plain
 * LRU. */
void eviction_settings_changed(void);
/* Bytes that the ghosts take. */
size_t eviction_ghost_bytes(void);

/* Ends the ghosts of databases; at the end. */
void eviction_release(void);
/* Ends the worker's pools; at thread end. */
void eviction_thread_release(void);
/* Microseconds since used memory went over the limit, 0 if it is not (INFO's
 * current_eviction_exceeded_time is ms). */
int64_t eviction_exceeded_us(void);

#endif
