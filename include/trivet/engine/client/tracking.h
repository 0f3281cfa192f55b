/* tracking.h: client-side caching (CLIENT TRACKING): remembers who read which key, and tells them when it
 * changes.
 *
 * Default mode: the keys of each read command are remembered for the client, under the locks of those keys.
 * BCAST mode: prefixes. Invalidations gather on the worker that made the change and leave with
 * tracking_deliver and tracking_turn_ends, for the workers of the clients (or of the client they redirect
 * to). The table of keys is under one lock of rank LOCK_RANK_TRACKING; it is not touched at all
 * while nobody tracks. Thread: as said per function. */
#ifndef TRIVET_ENGINE_CLIENT_TRACKING_H
#define TRIVET_ENGINE_CLIENT_TRACKING_H

#include "trivet/engine/client/client.h"
#include <stdatomic.h>

struct tracking_options {
    bool broadcast, opt_in, opt_out, no_loop;
    uint64_t redirect; /* client id, 0: none */
    int redirect_worker;
    const struct slice *prefixes;
    size_t prefix_count;
};
extern atomic_size_t tracking_clients; /* how many have it on; any thread */

/* Gate closed (CLIENT TRACKING is EXCLUSIVE). Option errors were checked by the command. */
void tracking_start(struct client *c, const struct tracking_options *options);
void tracking_stop(struct client *c); /* on its worker or with the gate closed; a no-op if it is off */
/* CLIENT CACHING: for the next command. */
void tracking_caching(struct client *c, bool yes);

/* Call after a read command, before its locks are dropped: remembers its keys if this client wants that. */
void tracking_remember(struct call *c);
/* Call after any command but CLIENT CACHING itself: what CACHING said held for one command. */
void tracking_command_done(struct client *c);
/* A key changed (under its shard lock): `by` is the client that did it, or NULL. */
void tracking_invalidate(const struct client *by, struct slice key);
/* FLUSHALL, FLUSHDB: everything is invalid. Gate closed. */
void tracking_invalidate_all(void);
/* Keeps the table under tracking-table-max-keys, a thousand keys at a time; each worker's cron, and when the
 * limit changes. */
void tracking_trim(void);

/* Sends the invalidations that gathered on this worker, except broadcasts. Between two commands, no shard
 * locked. */
void tracking_deliver(void);
/* The same with broadcasts. At the end of a turn, after its letters and before its replies leave. */
void tracking_turn_ends(void);
void tracking_thread_release(void);

bool tracking_is_broadcast(const struct client *c);
long long tracking_redirect(const struct client *c); /* -1: tracking off, 0: none, else the id */
struct tracking_state {
    bool on, broadcast, opt_in, opt_out, no_loop, caching_yes, caching_no, broken_redirect;
};
struct tracking_state tracking_state(const struct client *c);
void tracking_prefixes(const struct client *c, void (*visit)(void *arg, struct slice prefix), void *arg);
/* What its prefixes take. */
size_t tracking_memory(const struct client *c);
/* For INFO: keys, (key, client) pairs, prefixes. */
size_t tracking_total_keys(void);
size_t tracking_total_items(void);
size_t tracking_total_prefixes(void);

#endif
