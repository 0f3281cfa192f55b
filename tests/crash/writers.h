/* writers.h: clients that write at the same time, and know what the server owes them when it has died.
 *
 * What each of them knows is in writer.h. A counter that they raise together is checked by its bounds.
 *
 * One more client asks for snapshots and rewrites all the time. Some writers have databases of their own and
 * empty them now and then. */
#ifndef TESTS_CRASH_WRITERS_H
#define TESTS_CRASH_WRITERS_H

#include "../harness/server.h"
#include "rounds.h"
#include <stdint.h>

/* Forgets everything; for a server without data. What was acknowledged more than `young_ms` before the end
 * must not be lost; 0: nothing that was acknowledged. */
void writers_begin(int young_ms);
/* Lets them write until there were so many answers and the time has passed, then kills the server. */
void writers_run(struct server *s, unsigned long answers, int ms);
/* The server was started again: fails if it lost what it owed. From then on it owes what it has. */
void writers_check(struct server *s);
/* For what comes by chance; the same in each run. */
uint64_t writers_draw(uint64_t below);

/* The log since `from`, of which nothing may sound like trouble, but what is `allowed`; returns its length.
 */
size_t log_check(struct server *s, size_t from);

#endif
