/* game.h: many connections at once, each on a thread of its own, among others that disturb: what they do must
 * add up as if one had come after the other.
 *
 * Thread: players on threads of their own; the test's thread waits for them in game_run. */
#ifndef HARNESS_GAME_H
#define HARNESS_GAME_H

#include "fixture.h"
#include <stdatomic.h>

#ifdef TRIVET_SANITIZE
#define ROUNDS 150
#else
#define ROUNDS 5000
#endif
#define TEAM 4 /* threads that do the same */

/* What all threads of a test share. */
struct game {
    struct server *server;
    atomic_bool over;
    atomic_int failures;
    atomic_int next_number;
};

struct player {
    struct game *game;
    struct client *client;
    int number; /* 0, 1, ... among all of the game */
};

/* Plays a part on the calling thread, with a connection of its own: the body of a thread's function. */
void *game_play(struct game *game, void (*part)(struct player *));
/* Fails the test, later, from any thread. */
void game_expect(struct player *p, bool holds, const char *what, const char *got);
void game_expect_reply(struct player *p, const char *command, const char *expected);
/* Runs TEAM threads of `part`, and of `other` if there is one, among disturbers; fails if anything was
 * not as expected. */
void game_run(void **state, void *(*part)(void *), void *(*other)(void *));
/* GET of this key is this number. */
void game_assert_number(struct client *c, const char *key, int expected);

#endif
