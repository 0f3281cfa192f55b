/* compaction.h: moves entries out of slabs that are nearly empty, so that these go back to the system.
 *
 * A pass: worker 0 condemns the emptiest slabs; each worker puts back the free blocks it has at hand; then
 * each walks its share of the shards and moves the entries that lie in condemned slabs; at last the slabs
 * that are still in use, because somebody holds an entry that is in no table, are slabs like others again.
 * All this is done in bites, a small part of a worker's time, so no client waits for it.
 *
 * A pass begins when it is worth it. `activedefrag yes` says when and how hard by its settings. With `no` a
 * pass begins only when much is to be had, and goes slowly: what a big deletion leaves free is given back in
 * any case. Thread: workers, with their gate held and no shard locked. */
#ifndef TRIVET_KEYSPACE_COMPACTION_H
#define TRIVET_KEYSPACE_COMPACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The settings active-defrag-*. Changes with the gate closed. */
struct compaction_settings {
    bool active;
    size_t ignore_bytes; /* what could be had is less: leave it */
    int64_t lower,
        upper; /* what could be had, in percent of what is needed: from where on, and the full effort */
    int64_t cycle_min, cycle_max; /* percent of a worker's time at both */
    int64_t bite_us;              /* the time of one bite */
};
extern struct compaction_settings compaction_settings;

/* Begins a pass if it is worth it, and gives empty slabs back to the system. Worker 0, some times a second.
 */
void compaction_cron(int64_t now_ms);
/* One bite of the pass that is under way. Returns after how many microseconds this worker should take the
 * next; 0: there is no pass. */
int64_t compaction_step(int64_t now_ms);

/* ---- any thread ---- */

/* Percent of their time that workers spend with it now; 0: there is no pass. */
int compaction_effort(void);
/* How long passes took, all together, and the one under way. */
int64_t compaction_total_ms(int64_t now_ms);
int64_t compaction_current_ms(int64_t now_ms);
/* CONFIG RESETSTAT. */
void compaction_reset(void);

#endif
