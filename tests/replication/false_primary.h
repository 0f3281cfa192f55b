/* false_primary.h: replicas of a primary that the test plays, for the tests of what a replica does with one
 * that is broken, or lies.
 *
 * A replica that could not become one tries again after a second. So where a test has many cases, some
 * replicas take turns: while one case is looked at, the others wait. Thread: the test's. */
#ifndef TESTS_REPLICATION_FALSE_PRIMARY_H
#define TESTS_REPLICATION_FALSE_PRIMARY_H

#include "../harness/replication.h"
#include "../harness/wire.h"

#define ID WIRE_ID
#define TURNS 4

/* A replica with data of its own, and its false primary. */
struct scene {
    struct server *replica;
    struct client *client;
    struct wire_listener *listener;
    struct text rdb; /* a dump that is right: SET new 1, and some more */
    struct text psync;
};

void scene_open(struct scene *scene, const char *diskless_load);
void scene_close(struct scene *scene);

/* Its PSYNC is in `psync`. */
struct wire *scene_await_psync(struct scene *scene);
/* It has the dump, and is in the stream at `offset`. */
struct wire *scene_feed(struct scene *scene, int64_t offset);

/* Those that take turns, each with its repl-diskless-load. When they are closed, each must be as willing as
 * ever: it tries again and is served well. */
void scenes_open(struct scene scenes[TURNS], const char *const diskless_loads[TURNS]);
void scenes_close(struct scene scenes[TURNS]);

/* It has nothing of what was sent, and is well. */
void scene_assert_unharmed(struct scene *scene);
/* Waits for its next try and serves it well. */
void scene_assert_comes_back(struct scene *scene);

#endif
