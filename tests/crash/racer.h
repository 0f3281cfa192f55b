/* racer.h: one client among several that change the same keys, and the history of what it did and saw.
 *
 * It sends one command, script or transaction at a time. Thread: its own between racer_start and racer_join,
 * else the caller's. */
#ifndef TESTS_CRASH_RACER_H
#define TESTS_CRASH_RACER_H

#include "history.h"
#include "marks.h"
#include <pthread.h>
#include <stdatomic.h>

#define RACE_KEYS 24

struct racer {
    /* set by the caller */
    uint32_t number;
    uint64_t random;
    enum asking asking;
    const atomic_bool *over;
    atomic_ulong *answers;

    struct client *client;
    pthread_t thread;
    int64_t next;
    int64_t last[RACE_KEYS]; /* what it saw last */
    struct history history;  /* since racer_start */
    struct marks marks;      /* in `history` */
    struct text problem;
};

void racer_release(struct racer *r);
/* Races until it is over or the connection ends or refuses. Takes the client. */
void racer_start(struct racer *r, struct client *c);
void racer_join(struct racer *r);
/* Adds its history, with what is owed. What was only read after `demoted_ns` may come from a replica, and
 * does not count. */
void racer_tell(struct racer *r, enum owed owed, int64_t demoted_ns, struct history *out);

/* What the keys have now. */
void race_observe(struct client *c, int64_t *values);

#endif
