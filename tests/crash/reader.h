/* reader.h: a client that reads from a replica what writers write to the primary (model.h), and sees their
 * steps in order and whole.
 *
 * Numbers that only rise never fall, as long as the replica's data come from primaries that had at least as
 * much; keys that are written together are equal. Thread: its own between reader_start and reader_stop. */
#ifndef TESTS_CRASH_READER_H
#define TESTS_CRASH_READER_H

#include "../harness/client.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define READ_WRITERS 4 /* of the writers 0 to ... the database is the common one */
#define READ_KEYS 9    /* of each: those that are written together; and the common counter */

struct reader {
    struct client *client; /* NULL: it does not run */
    pthread_t thread;
    uint64_t random;
    atomic_bool over;
    unsigned long reads;
    int64_t floors[READ_WRITERS][READ_KEYS];
    struct text problem;
};

/* Takes the client. */
void reader_start(struct reader *r, struct client *c, uint64_t seed);
/* Fails the test if it saw what must not be; the node must answer or be dead. Nothing if it does not run. */
void reader_stop(struct reader *r);

#endif
