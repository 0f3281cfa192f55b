/* marks.h: clients that ask how safe their writes are, by WAIT and WAITAOF, and what they were told.
 *
 * A client counts its writes that were acknowledged. A mark says up to which of them something is promised.
 */
#ifndef TESTS_CRASH_MARKS_H
#define TESTS_CRASH_MARKS_H

#include "../harness/client.h"

enum asking { ASKS_NOTHING, ASKS_WAIT, ASKS_WAITAOF, ASKS_REPLICAS_DISK };

/* What a server owes that goes on with the data. */
enum owed {
    OWED_ALL,      /* everything that was acknowledged */
    OWED_ON_DISK,  /* what was fsynced by the primary */
    OWED_ONE_COPY, /* what a replica had (with WAITAOF: on disk) */
    OWED_TWO_COPIES,
    OWED_NOTHING
};

struct marks {
    size_t at[OWED_NOTHING];
};

/* Perhaps queues a question: true if it did. More seldom if the answer waits for the disk. */
bool marks_ask(struct client *c, enum asking asking, uint64_t *random);
/* Reads its answer, which is about the first `count` writes; false if the connection ended, or if the server
 * does not answer such questions any more. What is wrong with it goes to `problem`. */
MUST_CHECK bool marks_read(struct marks *m, struct client *c, size_t count, struct text *problem);
/* How many of `count` acknowledged writes are owed. */
size_t marks_owed(const struct marks *m, enum owed owed, size_t count);

/* An error by which a server that changes its role, or loads, refuses a client. */
bool is_refusal(const struct node *reply);

#endif
