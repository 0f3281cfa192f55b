/* slot_stats.h: what each slot of a cluster costs, for CLUSTER SLOT-STATS: time of commands, bytes that came
 * for them and that went out.
 *
 * Each worker adds to counters of its own, so nobody waits for anybody; who asks sums them up. While it is
 * off a command pays for one look at slot_stats_on. Owner: the process. Thread: a worker, unless said. */
#ifndef TRIVET_KEYSPACE_SLOT_STATS_H
#define TRIVET_KEYSPACE_SLOT_STATS_H

#include "trivet/keyspace/slot.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum slot_metric { SLOT_CPU_NS, SLOT_BYTES_IN, SLOT_BYTES_OUT, SLOT_METRICS };

/* Changed with the gate closed. */
extern bool slot_stats_on;

/* Gate closed, or before clients are served. What was counted stays when it is turned off. */
void slot_stats_turn(bool on);
void slot_stats_release(void);
/* `slot` -1: it is of none. */
void slot_stats_add(int32_t slot, enum slot_metric metric, uint64_t amount);
uint64_t slot_stats_get(uint16_t slot, enum slot_metric metric);
/* Gate closed. */
void slot_stats_reset(uint16_t slot);
void slot_stats_reset_all(void);

/* How many replicas get the stream. Any thread. */
extern atomic_size_t slot_stats_replicas;

/* A script that was called without keys counts for the slot of those that it uses, if they are of one slot.
 * Begin remembers what a call around it has used; end returns the slot (-1: none, or several). */
int32_t slot_stats_uses_begin(void);
void slot_stats_note_use(uint16_t slot);
int32_t slot_stats_uses_end(int32_t outer);

#endif
