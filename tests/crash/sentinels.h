/* sentinels.h: three of redis-server's Sentinels that watch a fleet and do its failover. Thread: the test's.
 */
#ifndef TESTS_CRASH_SENTINELS_H
#define TESTS_CRASH_SENTINELS_H

#include "fleet.h"

void sentinels_start(const struct fleet *f);
void sentinels_free(void);
/* Waits until all of them know the fleet's primary and replicas, and think well of them. */
void sentinels_await_calm(const struct fleet *f);
/* Waits until all of them name another primary than `old`, and it is one; returns which. */
int sentinels_await_failover(const struct fleet *f, int old);

#endif
