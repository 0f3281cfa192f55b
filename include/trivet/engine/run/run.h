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
    call->locked = NULL;
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

/* Runs it under the locks that its kind asks for, unless its origin has them; or sets call->held. Before the
 * locks go, waiting clients are served and the journal takes the effects. The calling worker holds its gate.
 */
void command_run(struct call *call);

/* Records a finished command: statistics, slow log, latency. command_run does this itself; for a blocked
 * client, it is called when the wait ends. Thread: the client's worker. */
void command_done(const struct call *call);

/* The command that this worker runs, or ran last in its present turn; NULL between turns. Any thread. */
const struct command *command_running(int worker);
void command_turn_ends(void);

#endif
