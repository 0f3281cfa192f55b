/* watch.h: the watcher of load.h. */
#ifndef TESTS_CLUSTER_WATCH_H
#define TESTS_CLUSTER_WATCH_H

#include "fleet.h"

void watch_start(struct fleet *g);
/* Fails the test if something was seen that must not be. */
void watch_end(void);

#endif
