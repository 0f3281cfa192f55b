/* wait.c: waiting until earlier writes of this connection have reached replicas or the disk.
 *
 * WAITAOF does not sit out the next fsync of appendfsync everysec: it asks the background thread for one,
 * which serves everybody who waits at that moment. If that fsync fails, nobody waits for it any longer,
 * because the reply is a count and the client has to look at it anyway. */
#include "trivet/base/background.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/waiters.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal.h"

/* The offset after the client's last write. The history may be another one since, and shorter. */
static uint64_t stream_offset(const struct client *c) {
    uint64_t end = backlog_offset();
    return c->stream_offset < end ? c->stream_offset : end;
}

static bool must_wait(const struct call *c, const struct wait_goal *goal) {
    return c->origin->may_wait && !wait_goal_is_reached(goal);
}

/* ---- WAIT ---- */

static void wait_end(struct client *c, enum unblock_reason reason, void *arg) {
    if (reason == UNBLOCK_ERROR)
        blocking_reply_unblocked(&c->reply);
    else
        reply_int(&c->reply, wait_goal_replicas(arg));
}

/* WAIT numreplicas timeout */
static void cmd_wait(struct call *c) {
    struct wait_goal goal = { .stream = stream_offset(c->client) };
    int64_t timeout_ms;
    if (primary_is_set()) {
        reply_error_text(c->out,
                         LIT("ERR WAIT cannot be used with replica instances. Please also note that if a "
                             "replica is configured to be writable (which is not the default) writes to "
                             "replicas are just local and are not propagated."));
        return;
    }
    if (!integer_argument(c, 1, &goal.replicas)) return;
    if (!blocking_parse_ms(c, c->argv[2], &timeout_ms)) return;
    if (must_wait(c, &goal))
        waiters_begin(c, timeout_ms, &goal, wait_end);
    else
        reply_int(c->out, wait_goal_replicas(&goal));
}

/* ---- WAITAOF ---- */

#define NO_FILE_TEXT "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."

static bool is_synced_to(uint64_t offset) { return aof_synced_offset() >= offset; }

/* How many local files (0 or 1) and replicas have it. */
static void reply_waitaof(struct reply *out, const struct wait_goal *goal) {
    if (goal->here && !journal_on) {
        reply_error_text(out, LIT(NO_FILE_TEXT));
        return;
    }
    reply_array(out, 2);
    reply_int(out, journal_on && is_synced_to(goal->journal));
    reply_int(out, wait_goal_replicas(goal));
}

static void waitaof_end(struct client *c, enum unblock_reason reason, void *arg) {
    if (reason == UNBLOCK_ERROR)
        blocking_reply_unblocked(&c->reply);
    else
        reply_waitaof(&c->reply, arg);
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
    if (c && c->blocked && c->commands == job->command) waiters_note_sync(c, !is_synced_to(job->offset));
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

/* False after replying what is wrong. */
static bool read_waitaof(struct call *c, struct wait_goal *goal, int64_t *timeout_ms) {
    int64_t local;
    if (!read_counts(c, &local, &goal->replicas) || !blocking_parse_ms(c, c->argv[3], timeout_ms))
        return false;
    goal->here = local > 0;
    const char *wrong = NULL;
    if (primary_is_set())
        wrong =
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are "
            "just local and are not propagated.";
    else if (goal->here && !journal_on)
        wrong = NO_FILE_TEXT;
    if (wrong) reply_error_text(c->out, slice_of(wrong));
    return !wrong;
}

/* WAITAOF numlocal numreplicas timeout */
static void cmd_waitaof(struct call *c) {
    struct client *client = c->client;
    struct wait_goal goal = { .stream = stream_offset(client),
                              .journal = client->journal_offset,
                              .on_disk = true };
    int64_t timeout_ms;
    if (!read_waitaof(c, &goal, &timeout_ms)) return;
    /* Writing is a worker's business, so it is not left to the background. */
    if (goal.here && c->origin->may_wait) goal.sync_failed = aof_commit(goal.journal) != COMMITTED;
    if (!must_wait(c, &goal)) {
        reply_waitaof(c->out, &goal);
        return;
    }
    waiters_begin(c, timeout_ms, &goal, waitaof_end);
    if (goal.here && !goal.sync_failed) begin_sync(client, goal.journal);
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
