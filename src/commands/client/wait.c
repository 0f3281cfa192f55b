/* wait.c: waiting until earlier writes of this connection have reached replicas (there are none yet) or the
 * disk.
 *
 * WAITAOF does not sit out the next fsync of appendfsync everysec: it asks the background thread for one,
 * which serves everybody who waits at that moment. If that fsync fails the wait ends at once with 0, because
 * the reply is a count and the client has to look at it anyway. */
#include "trivet/base/background.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"

/* ---- WAIT ---- */

static void wait_end(struct client *c, enum unblock_reason reason, void *arg) {
    (void)arg;
    if (reason == UNBLOCK_ERROR)
        blocking_reply_unblocked(&c->reply);
    else
        reply_int(&c->reply, 0);
}

/* WAIT numreplicas timeout */
static void cmd_wait(struct call *c) {
    int64_t replicas, timeout_ms;
    if (!integer_argument(c, 1, &replicas)) return;
    if (!blocking_parse_ms(c, c->argv[2], &timeout_ms)) return;
    if (replicas <= 0 || !c->origin->may_wait) {
        reply_int(c->out, 0);
        return;
    }
    blocking_begin(c, timeout_ms, wait_end, NULL);
}

/* ---- WAITAOF ---- */

static bool is_synced_to(uint64_t offset) { return aof_synced_offset() >= offset; }
static bool is_synced(uint64_t offset) { return journal_on && is_synced_to(offset); }

/* How many local files (0 or 1) and replicas have it. */
static void reply_waitaof(struct reply *out, uint64_t offset) {
    reply_array(out, 2);
    reply_int(out, is_synced(offset));
    reply_int(out, 0);
}

static void waitaof_end(struct client *c, enum unblock_reason reason, void *arg) {
    const uint64_t *offset = arg;
    if (reason == UNBLOCK_ERROR)
        blocking_reply_unblocked(&c->reply);
    else
        reply_waitaof(&c->reply, *offset);
}

/* An fsync that one client waits for. Client and worker may be gone on to other things when it is done. */
struct sync_job {
    uint64_t client;
    uint64_t command; /* client->commands when it began to wait: tells this wait from a later one */
    uint64_t offset;
    int worker;
};

/* On the client's worker. */
static void sync_done(struct client *c, void *arg) {
    struct sync_job *job = arg;
    if (c && c->blocked && c->commands == job->command) blocking_finish(c, UNBLOCK_SERVED);
    mem_free(job);
}

/* On the background thread. Whether it worked is seen from aof_synced_offset. */
static void sync_for_client(void *arg) {
    struct sync_job *job = arg;
    if (!is_synced_to(job->offset)) (void)aof_sync_written();
    client_post(job->worker, job->client, sync_done, job);
}

static void begin_sync(const struct client *client, uint64_t offset) {
    struct sync_job *job = mem_alloc(sizeof *job);
    *job = (struct sync_job){ client->id, client->commands, offset, client->worker };
    background_post(sync_for_client, job, 0);
}

/* True if it is written but not synced. Writing is a worker's business, so it is not left to the background.
 */
static bool can_be_synced(uint64_t offset) {
    return aof_commit(offset) == COMMITTED && !is_synced_to(offset);
}

/* Reads numlocal and numreplicas; false after replying what is wrong. */
static bool read_counts(struct call *c, int64_t *local, int64_t *replicas) {
    if (!integer_argument(c, 1, local)) return false;
    if (*local < 0 || *local > 1) {
        reply_error_text(c->out, LIT("ERR value is out of range, value must between 0 and 1"));
        return false;
    }
    if (int64_parse(c->argv[2], replicas) && *replicas >= 0) return true;
    reply_error(c->out, ERR_NOT_POSITIVE);
    return false;
}

/* WAITAOF numlocal numreplicas timeout */
static void cmd_waitaof(struct call *c) {
    struct client *client = c->client;
    int64_t local, replicas, timeout_ms;
    if (!read_counts(c, &local, &replicas) || !blocking_parse_ms(c, c->argv[3], &timeout_ms)) return;
    if (local > 0 && !journal_on) {
        reply_error_text(c->out,
                         LIT("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."));
        return;
    }
    uint64_t offset = client->journal_offset;
    bool waits = c->origin->may_wait && (replicas > 0 || (local > 0 && can_be_synced(offset)));
    if (!waits) {
        reply_waitaof(c->out, offset);
        return;
    }
    uint64_t *waits_for = mem_alloc(sizeof *waits_for);
    *waits_for = offset;
    blocking_begin(c, timeout_ms, waitaof_end, waits_for);
    if (replicas == 0) begin_sync(client, offset); /* else only the timeout ends it */
}

/* clang-format off */
const struct command wait_commands[] = {
    { .name = "WAIT", .run = cmd_wait, .arity = 3, .kind = LOCAL, .flags = BLOCKS,
      .categories = CAT_CONNECTION, .since = "3.0.0",
      .summary = "Waits until replicas have this connection's writes.", .complexity = "O(1)",
      .syntax = "numreplicas timeout", .tips = "request_policy:all_shards,response_policy:agg_min" },
    { .name = "WAITAOF", .run = cmd_waitaof, .arity = 4, .kind = LOCAL, .flags = BLOCKS,
      .categories = CAT_CONNECTION, .since = "7.2.0",
      .summary = "Waits until this connection's writes are synced to the disk here and on replicas.",
      .complexity = "O(1)", .syntax = "numlocal numreplicas timeout",
      .tips = "request_policy:all_shards,response_policy:agg_min" },
    { .name = NULL },
};
/* clang-format on */
