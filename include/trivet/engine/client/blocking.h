/* blocking.h: clients that wait: for a time, for replicas, for keys. (For the end of a pause: pause.h.)
 *
 * Thread: the client's own worker. */
#ifndef TRIVET_ENGINE_CLIENT_BLOCKING_H
#define TRIVET_ENGINE_CLIENT_BLOCKING_H

#include "trivet/engine/client/client.h"
#include "trivet/keyspace/shard.h"

enum unblock_reason {
    UNBLOCK_TIMEOUT,
    UNBLOCK_ERROR,
    UNBLOCK_SERVED,
    UNBLOCK_ROLE, /* this server has become a replica: its reply is an error, whatever it waits for, and the
                     connection is closed, unless the client follows redirections */
};

/* What blocking needs from the layer that runs commands (engine/run); filled at start-up. */
struct blocking_hooks {
    void (*run)(struct call *call);        /* command_run */
    void (*done)(const struct call *call); /* command_done */
};
extern struct blocking_hooks blocking_hooks;

/* What a blocked command does when its wait ends: writes its reply to c->reply. Its argument is freed with
 * mem_free. */
typedef void blocked_end(struct client *c, enum unblock_reason reason, void *arg);
/* Blocks the client of the running command; timeout 0 waits for ever. `end` is called once, on its worker,
 * when the time is up, by CLIENT UNBLOCK, or when it is served; not when the client just goes. Takes over
 * `arg`. The command counts as done when the wait ends. */
void blocking_begin(struct call *call, int64_t timeout_ms, blocked_end *end, void *arg);
/* Does it wait in a command that has this end? Its own worker, or any with the gate closed. */
bool blocking_is_by(const struct client *c, blocked_end *end);
/* The command that blocked its client has returned: adds the time it took to the time of serving it. */
void blocking_has_begun(const struct call *call);
/* Ends the wait of a blocked client and lets it go on. Its worker only. False if it was not blocked. */
bool blocking_finish(struct client *c, enum unblock_reason reason);
/* The same with this error as the reply. */
bool blocking_refuse(struct client *c, struct slice error);
/* The command in which it waits. Its own worker, or any with the gate closed. */
const struct kept *blocked_command(const struct client *c);
/* The client is about to be unblocked or closed: from now on no change of its keys serves it. False if it
 * does not wait, or if it was served already and its reply is on the way. Its own worker, or any with the
 * gate closed. */
bool blocking_cancel(struct client *c);
/* The error of a client unblocked by CLIENT UNBLOCK id ERROR. */
void blocking_reply_unblocked(struct reply *out);
/* client_hooks.timer came true. */
void blocking_timeout(struct client *c);
/* The client is gone: no reply. */
void blocking_forget(struct client *c);
size_t blocking_count(void);         /* blocked and postponed clients of all workers, any thread */
size_t blocking_timeout_count(void); /* the blocked ones that have a timeout */
size_t blocking_arguments(const struct client *c); /* bytes of the arguments that a blocked client keeps */
size_t blocking_memory(const struct client *c);    /* all that it keeps for its wait */

/* ---- for keys (blocking_keys.c) ----
 *
 * A blocking command (BLPOP, XREAD BLOCK) first does what it can. If it finds nothing, it calls
 * blocking_on_keys and returns without a reply. A later command that changes one of the keys runs the blocked
 * command again for the waiting clients, in the order of their arrival. It does so under the locks it holds,
 * before anybody else can see the key. The command runs with origin_waiter and may look only at the key that
 * call_may_touch() allows. If it writes a reply, that reply goes to the waiting client's worker and the wait
 * is over; if not, the client goes on waiting. In a transaction nobody waits: the command gets its null at
 * once. */
enum blocked_null { BLOCKED_NULL, BLOCKED_NULL_ARRAY }; /* the reply when the time is up */
struct key_range {
    size_t first, count;  /* arguments first, first + 1, ... are the keys to wait for */
    bool needs_others;    /* serving it needs other keys too (BLMOVE): the command that changes the key closes
                             the gate first */
    enum value_type only; /* run it again only if the key holds this type; TYPE_STRING (0): whatever it holds,
                             or nothing */
};
void blocking_on_keys(struct call *c, struct key_range keys, int64_t timeout_ms, enum blocked_null null);
/* True unless the command runs for a waiting client, because of another key than argument `index`. */
bool call_may_touch(const struct call *c, size_t index);

/* A key changed (under its shard's lock): its waiting clients will be looked at by blocking_serve. */
void blocking_key_changed(struct shard *s, uint32_t db, struct slice key);
/* All keys of two databases may have changed (SWAPDB, FLUSHDB: the same twice). The gate is closed. */
void blocking_databases_changed(uint32_t db, uint32_t other);
/* blocking_serve: before the locks of the changed keys are dropped. blocking_deliver: after the journal took
 * the effects, sends the replies. */
bool blocking_has_work(void);
void blocking_serve(void);
void blocking_deliver(uint64_t journal_offset);
/* True if a client waits in this shard that can only be served with the gate closed. Under its lock. */
bool blocking_needs_gate(const struct shard *s);
/* Sets the work aside until it is taken back, when there must be none again: see change_set_aside. */
struct blocking_work;
MUST_CHECK struct blocking_work *blocking_set_aside(void);
void blocking_take_back(struct blocking_work *aside);
void blocking_thread_release(void);
size_t blocking_keys_count(void); /* keys that clients wait for, any thread */
/* Those of them with a waiting client that must be told when the key is deleted. */
size_t blocking_absence_keys_count(void);

/* "<seconds>" with a fraction, as BLPOP and its like take it, or milliseconds as an integer (WAIT): the
 * timeout in ms (0: for ever). False after replying the error. */
bool blocking_parse_seconds(struct call *c, struct slice text, int64_t *timeout_ms);
bool blocking_parse_ms(struct call *c, struct slice text, int64_t *timeout_ms);

#endif
