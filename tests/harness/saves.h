/* saves.h: for tests of snapshots and rewrites: waiting for their end, and comparing whole data sets by their
 * fingerprint (DEBUG DIGEST). What goes wrong fails the running test. */
#ifndef TESTS_HARNESS_SAVES_H
#define TESTS_HARNESS_SAVES_H

#include "server.h"

#define DIGEST_TEXT 48 /* "+" and forty digits, with room */

/* Waits until nothing is being saved or rewritten, nor is about to be. */
void saves_await(struct client *c);
/* Waits until a number of INFO persistence is at least this. */
void saves_await_count(struct client *c, const char *field, int64_t least);
/* BGSAVE to its good end. */
void saves_save(struct client *c);
/* BGREWRITEAOF to its good end. */
void saves_rewrite(struct client *c);
/* Begins a BGSAVE between two writes of all others; the fingerprint is that of its instant. */
void saves_begin(struct client *c, char digest[DIGEST_TEXT]);

void saves_digest(struct client *c, char digest[DIGEST_TEXT]);
/* Starts a server that loads dump.rdb of this one's folder (without an AOF). */
struct server *saves_load(struct server *s);
/* A server that loads the dump has this fingerprint. */
void saves_assert_loads(struct server *s, const char *digest);
/* SIGKILL and restart: the fingerprint is the same. Nobody else may write. The client is not valid after. */
void saves_assert_survives(struct server *s);

#endif
