/* scenario.h: what is played through with each of several types: a walk by SCAN, the events of changes,
 * random changes, and whether a server that is killed comes back with the same keys. What fails fails the
 * running test. */
#ifndef TESTS_HARNESS_SCENARIO_H
#define TESTS_HARNESS_SCENARIO_H

#include "server.h"

/* Sends one command, `head` and then the elements "<prefix><number>", each followed by its number if `pairs`,
 * which must not fail. Releases `head`. */
void scenario_send_range(struct client *c, struct words *head, const char *prefix, int from, int to,
                         bool pairs);

/* Walks by "<command> <cursor> COUNT 20" to the end. The elements are a letter and a number below `count`,
 * and each stands at the front of `stride` items of the reply; all must be met, and no page but the last
 * may have fewer than 20. */
void scenario_scan(struct client *c, const char *command, size_t count, size_t stride);

/* With notify-keyspace-events `classes`, these commands make just these events ("hset h"), in this order.
 * Both lists end with NULL. */
void scenario_events(struct server *s, const char *classes, const char *const *commands,
                     const char *const *events);

struct random_changes {
    const char *const *templates; /* printf formats with up to three %u, ended by NULL */
    unsigned below[3];            /* what the numbers stay below */
    size_t count;
};

/* Sends the same commands in each run, and does not care for the replies. */
void scenario_change(struct client *c, const struct random_changes *changes);

/* SIGKILL and restart: what `describe` says of the data is as before, and not less than `least` bytes. The
 * server runs at the end. */
void scenario_kill(struct server *s, void (*describe)(struct client *c, struct text *out), size_t least);

#endif
