/* churn.h: a data set of every type and size, and threads that change it in every way, for tests of what is
 * written to disk meanwhile.
 *
 * The commands' numbers come from a generator with a fixed seed for each thread; how the threads' commands
 * interleave does not repeat. Replies are not looked at, except that the server must answer. */
#ifndef TESTS_HARNESS_CHURN_H
#define TESTS_HARNESS_CHURN_H

#include "server.h"
#include <pthread.h>
#include <stdatomic.h>

#ifdef TRIVET_SANITIZE
#define CHURN_KEYS 2000 /* strings str:0 ... */
#define CHURN_ELEMENTS 2000
#else
#define CHURN_KEYS 5000
#define CHURN_ELEMENTS 6000 /* of each big value */
#endif
#define CHURN_BIG 2     /* big values of each type */
#define CHURN_SMALL 200 /* small ones */
#define CHURN_BLOB 200000
#define CHURN_THREADS 2

/* Puts the data set into the selected database. What is there already gains what is missing. */
void churn_fill(struct client *c);

struct churn {
    struct server *server;
    bool with_expiry; /* keys and fields that go by themselves come and go in database 5 */
    bool old;         /* only commands that Redis 7.0 knows */
    pthread_t threads[CHURN_THREADS];
    atomic_bool stop;
    atomic_size_t commands; /* answered so far */
    atomic_uint next_seed;
};

/* `with_expiry`, `old` and `server` are set by the caller; the rest is zero. */
void churn_start(struct churn *churn);
/* Waits until that many more commands were answered. */
void churn_await(struct churn *churn, size_t commands);
void churn_stop(struct churn *churn);

#endif
