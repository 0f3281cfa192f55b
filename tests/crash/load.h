/* load.h: what goes on while nodes of a fleet die: writers, racers, and readers on the replicas; and whether
 * what they know fits what is there afterwards.
 *
 * A period is the time from load_start to load_check, in which there was one primary. What the load knows is
 * kept from period to period. Thread: the test's. */
#ifndef TESTS_CRASH_LOAD_H
#define TESTS_CRASH_LOAD_H

#include "fleet.h"
#include "marks.h"

/* Forgets everything; for a fleet without data. */
void load_begin(enum asking asking, uint64_t seed);
/* Clients of the primary, and a reader on each replica. */
void load_start(const struct fleet *f);
/* Waits until there were so many more answers. */
void load_await(unsigned long answers);
unsigned long load_answers(void); /* in this period */

/* A reader that saw enough, or whose node is about to get older data; restarted by load_read. */
void load_read(const struct fleet *f, int node);
void load_stop_reading(int node);

/* The clients finish what they do: for a primary that lives. */
void load_finish(void);
/* The primary may be demoted from now on. */
void load_note_demotion(void);
/* The connections are cut, whatever is under way. */
void load_cut(void);

/* After load_finish or load_cut: what the primary of now has must fit. */
struct toll {
    size_t owed; /* steps of writers that must not be lost, and are not */
    size_t lost; /* that were acknowledged, and were not owed */
};
struct toll load_check(const struct fleet *f, enum owed owed);

#endif
