/* run.h: the one way to run a command.
 *
 * A connection, EXEC, serving a blocked client, the loader of the append-only file: each fills a struct call
 * and hands it to command_run. The call's origin says what is special about it. */
#ifndef TRIVET_ENGINE_RUN_RUN_H
#define TRIVET_ENGINE_RUN_RUN_H

#include "trivet/engine/client/client.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/command/call.h"
#include "trivet/engine/command/kept.h"
#include "trivet/engine/turn/turn.h"

/* What a call does with entries whose expiry has passed. */
static inline enum expiry expiry_of_call(const struct client *c, const struct origin *origin) {
    if (UNLIKELY(origin->is_replay)) return EXPIRY_KEEPS;
    return LIKELY(!data_may_stand_still()) ? EXPIRY_DELETES : expiry_for_client(c, turn_now_ms);
}

/* A call of this client; its reply goes to the client. The command is still to be set. */
static inline void call_init(struct call *call, struct client *c, const struct origin *origin) {
    call->client = c;
    call->origin = origin;
    call->out = &c->reply;
    call->command = NULL;
    call->argv = NULL;
    call->blobs = NULL;
    call->argc = 0;
    call->wire = (struct slice){ 0 };
    call->locked = NULL;
    call->keeping = NULL;
    call->view = (struct keyspace_view){ .db = c->db,
                                         .now_ms = turn_now_ms,
                                         .no_touch = c->flags & CLIENT_NO_TOUCH,
                                         .expiry = expiry_of_call(c, origin) };
    call_set_keys(call, &no_keys);
    call->request_bytes = 0;
    call->reply_bytes = 0;
    call->ns = 0;
    call->held = false;
}
/* Sets the call's command and arguments from a kept command. */
void call_set_kept(struct call *call, const struct kept *k);

/* May this command run for this client now? Arity, memory, disk. If not, the error reply was written. The
 * dispatcher has checked before what concerns the conversation (transaction, subscriptions). No shard is
 * locked, unless by the call's origin. */
bool command_admit(struct call *call);

/* Was the memory full, with nothing left to evict, when this worker last admitted a command? */
bool command_memory_is_full(void);
/* Is this database at a limit of its own, with nothing left to evict? */
bool command_database_is_full(uint32_t db);
/* Would this command make one bigger that is? Scripts ask, in whose middle nothing is evicted. */
bool command_meets_limit(const struct command *command, const struct slice *argv, size_t argc, uint32_t db);
/* Must writes be refused because the disk fails? Appends the error's text then. */
bool command_disk_refuses(struct buf *text);

/* Must writes be refused because of this server's role, or for want of replicas? The error's text, or NULL.
 */
const char *command_role_refuses(void);
/* Must commands be refused because the data is old? Likewise. */
const char *command_stale_refuses(void);

/* What clients are told while OBSTACLE_BUSY is set; changed with the gate closed. */
extern const char *command_busy_text;

/* Runs it under the locks that its kind asks for, unless its origin has them; or sets call->held. Before the
 * locks go, waiting clients are served and the journal takes the effects. The calling worker holds its gate.
 */
void command_run(struct call *call);

/* Records a finished command: statistics, slow log, latency. command_run does this itself; for a blocked
 * client, it is called when the wait ends. Thread: the client's worker. */
void command_done(const struct call *call);

/* A transaction has queued it, and answered with so many bytes: for its slot's statistics, while they are on.
 */
void command_note_queued(const struct call *call, uint64_t reply_bytes);

/* The command that this worker runs, or ran last in its present turn; NULL between turns. Any thread. */
const struct command *command_running(int worker);
/* The innermost call that this worker is in the middle of, or NULL. It lies on that worker's stack: only the
 * worker itself may look, or who has stopped it. */
const struct call *call_running(int worker);
void command_turn_ends(void);
/* The calling worker is back in this command, after a turn in the middle of it. */
void command_goes_on(const struct command *command);

#endif
