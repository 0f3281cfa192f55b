/* writers.h: clients that write at the same time, and know what the server owes them when it has died.
 *
 * A writer knows three things, in the order in which it sent them: the state that all steps made of which it
 * was promised that they stay (`kept`); the steps that were acknowledged since (`recent`: only in tests that
 * allow to lose what is young); the steps that were sent and not answered (`flying`). One connection's
 * commands have one order. So what the server has after a restart must be `kept` with the first n of recent
 * and flying on top, for one n and all keys of the writer at once. A counter that writers raise together is
 * checked by its bounds.
 *
 * One more client asks for snapshots and rewrites all the time. Some writers have databases of their own and
 * empty them now and then. */
#ifndef TESTS_CRASH_WRITERS_H
#define TESTS_CRASH_WRITERS_H

#include "../harness/server.h"
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

/* How many rounds a test makes: what TRIVET_ROUNDS says (then progress is printed), or as many as given. */
int rounds_wanted(int usual);
void rounds_print(const char *what, int round, int rounds);
/* The log since `from`, of which nothing may sound like trouble, but what is `allowed`; returns its length.
 */
size_t log_check(struct server *s, size_t from);

#endif
