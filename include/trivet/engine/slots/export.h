/* export.h: what another node needs of slots that go there: their keys, and what is written to them
 * meanwhile, as commands, in one order.
 *
 * A walk reads the keys, slot after slot, in the order of their hashes. A write to a key that the walk has
 * met follows as the journal has it; what it has not met yet is read later, as it is then. So nothing is kept
 * for the walk before it changes, and any number of exports may run beside each other and beside a snapshot.
 * Keys that belong together may come out of step for a while; that is no harm, because the receiver serves
 * nothing before it has all.
 *
 * Owner: the maker. Thread: as each says; the gate is closed when an export begins and ends. */
#ifndef TRIVET_ENGINE_SLOTS_EXPORT_H
#define TRIVET_ENGINE_SLOTS_EXPORT_H

#include "trivet/base/buf.h"
#include "trivet/cluster/slots/slot_set.h"
#include "trivet/persist/journal.h"

struct slot_export;

/* Some export is under way. Read by workers under their gate. */
extern bool slot_exports_are_on;
/* Called when bytes wait that did not before, on the thread that added them, a shard's lock held. Set at
 * start-up. */
extern void (*slot_export_wakes)(void);

/* Gate closed. */
struct slot_export *slot_export_begin(const struct slot_set *slots);
void slot_export_end(struct slot_export *x);

/* Reads more keys for about so long. Returns false when all are read, and whenever that was so. One thread at
 * a time, a worker with its gate. */
bool slot_export_walk(struct slot_export *x, int64_t now_ms, int64_t for_us);
/* Adds a command of the caller's own behind what is there. Likewise. */
void slot_export_put(struct slot_export *x, const struct slice *argv, size_t argc);
/* The bytes that wait: `empty` (which must be) gets them. Likewise. */
void slot_export_take(struct slot_export *x, struct buf *empty);
bool slot_export_is_walking(const struct slot_export *x);
size_t slot_export_waiting(const struct slot_export *x); /* how many there are; any thread */
/* Why the receiver can never have all: the data was flushed. NULL: it can. Any thread. */
const char *slot_export_failure(const struct slot_export *x);

/* What is about to go into the journal goes to exports too. Under the locks of the keys concerned. */
void slot_exports_follow(const struct effects *e);

#endif
