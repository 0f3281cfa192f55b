/* asker.h: a client for servers that hang, die and come back: who does not answer in time is left, and
 * dialled anew by the next question.
 *
 * Thread: one at a time for each asker; made on the test's. */
#ifndef TESTS_CLUSTER_ASKER_H
#define TESTS_CLUSTER_ASKER_H

#include "../harness/server.h"

struct asker;

struct asker *asker_new(struct server *s);
void asker_free(struct asker *a); /* may be NULL */
/* One command, on the connection that there is. NULL: no answer in time, and the connection has ended. The
 * caller frees the reply. */
struct node *asker_ask(struct asker *a, int patience_ms, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
