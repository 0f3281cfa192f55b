/* sync.c: see sync.h.
 *
 * A replica that needs everything waits until a job of one of two kinds begins: one writes into a transfer
 * that all waiting replicas read, the other writes the RDB file, which is sent when it is whole. At the
 * instant of the snapshot each gets its place in the stream, so that it misses nothing that comes after. */
#include "trivet/engine/replication/sync.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/monitor.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/replication/failover.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/transfer.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/saving/job.h"
#include "trivet/engine/saving/rdb_file.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/database.h"
#include "trivet/persist/backlog.h"
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#define VERSION_OF_7_0 10
#define VERSION_OF_7_2 11
#define VERSION_BY_CONTENT 0

static const struct job_kind job_transfer, job_replica_file;

/* Of the job that runs, if it is one of ours. */
static struct {
    struct snapshot_sink sink;
    struct transfer *transfer;
    bool waits;      /* for slow replicas */
    uint64_t offset; /* of the stream at the snapshot's instant */
} now;

/* ---- partial ---- */

static bool is_of_history(struct slice id, int64_t offset) {
    const struct replication_ids *ids = &replication_ids;
    if (slice_equal_nocase(id, slice_of(ids->now))) return true;
    return slice_equal_nocase(id, slice_of(ids->before)) && offset <= ids->before_until;
}

static bool can_continue(struct replica *r, struct slice id, int64_t offset) {
    return is_of_history(id, offset) && offset > 0 && backlog_read_from(&r->stream, (uint64_t)offset - 1);
}

static void go_on(struct call *c, struct replica *r) {
    if (r->capabilities & REPLICA_CAN_PSYNC2) {
        reply_raw(c->out, LIT("+CONTINUE "));
        reply_raw(c->out, slice_of(replication_ids.now));
        reply_raw(c->out, LIT("\r\n"));
    } else {
        reply_raw(c->out, LIT("+CONTINUE\r\n"));
    }
    atomic_store(&r->stream_sent, r->stream.at);
    replica_set_state(r, REPLICA_ONLINE);
    COUNTER_ADD(stats_mine()->sync_partial_ok, 1);
    LOG_NOTICE("Partial resynchronization request from %s accepted. Sending %zu bytes of backlog.",
               c->client->peer, replica_lag(r));
}

/* ---- who waits ---- */

static bool is_waiting(const struct replica *r) {
    return atomic_load(&r->state) == REPLICA_WAITS && !r->waits_for_file;
}

/* Is the RDB file written to disk for it? Not if it may hold less than a replica has to get, unless the
 * replica can take nothing else: then the file holds more than it should, until the next one is written. */
static bool needs_file(const struct replica *r) {
    bool by_disk = !options.repl_diskless_sync && !(database_differences & SOME_ARE_VOLATILE);
    return by_disk || !(r->capabilities & REPLICA_CAN_EOF);
}

struct waiting {
    bool from_disk; /* only those */
    size_t count;
    int64_t longest_ms;
    int version; /* of the RDB format that all can read */
};

/* What a replica that told nothing can read for sure: 7.0 tells nothing. */
static int version_for(const struct replica *r) {
    if (r->version[0] >= 9) return VERSION_BY_CONTENT;
    return r->version[0] >= 8 ? VERSION_OF_7_2 : VERSION_OF_7_0;
}

static int older_version(int a, int b) {
    if (a == VERSION_BY_CONTENT) return b;
    return b == VERSION_BY_CONTENT || a < b ? a : b;
}

static void count_waiting(void *arg, struct replica *r) {
    struct waiting *w = arg;
    if (!is_waiting(r) || needs_file(r) != w->from_disk) return;
    int64_t waits_ms = turn_now_ms - atomic_load(&r->since_ms);
    w->version = w->count == 0 ? version_for(r) : older_version(w->version, version_for(r));
    w->count++;
    if (waits_ms > w->longest_ms) w->longest_ms = waits_ms;
}

static struct waiting waiting_now(bool from_disk) {
    struct waiting w = { .from_disk = from_disk };
    replicas_each(count_waiting, &w);
    return w;
}

/* ---- the instant ---- */

static void tell_start(struct replica *r) {
    char line[128];
    int len = snprintf(line, sizeof line, "+FULLRESYNC %s %llu\r\n", replication_ids.now,
                       (unsigned long long)now.offset);
    if (!r->speaks_sync) reply_raw(&r->client->reply, slice_make(line, (size_t)len));
}

/* It gets the stream from the instant on, after the transfer. */
static void take_place(struct replica *r) {
    bool there = backlog_read_from(&r->stream, now.offset);
    assert(there); /* nothing was trimmed behind the end */
    atomic_store(&r->stream_sent, now.offset);
    r->lag_max = mem_used();
    tell_start(r);
}

static void begin_transfer_to(void *arg, struct replica *r) {
    (void)arg;
    if (!is_waiting(r) || needs_file(r)) return;
    take_place(r);
    transfer_attach(now.transfer, r);
    replica_set_state(r, REPLICA_RECEIVES);
}

static void begin_file_for(void *arg, struct replica *r) {
    (void)arg;
    if (!is_waiting(r) || !needs_file(r)) return;
    take_place(r);
    r->waits_for_file = true;
}

/* Replicas know no database at the instant: the next effect names it. */
static void note_instant(void) {
    change_flush_quietly();
    backlog_forget_database();
    now.offset = backlog_offset();
}

/* ---- into sockets ---- */

static bool put_bytes(struct snapshot_sink *s, struct slice bytes, struct buf *error) {
    (void)s;
    transfer_put(now.transfer, bytes);
    if (!now.waits || transfer_wait(now.transfer)) return true;
    buf_append(error, LIT("no replica is left to take it"));
    return false;
}

static bool end_bytes(struct snapshot_sink *s, struct buf *error) {
    (void)s;
    (void)error;
    transfer_finish(now.transfer);
    return true;
}

static void drop_bytes(struct snapshot_sink *s) {
    (void)s;
    transfer_fail(now.transfer);
}

static void open_sink(bool waits) {
    now.sink = (struct snapshot_sink){ put_bytes, end_bytes, drop_bytes, drop_bytes };
    now.transfer = transfer_new();
    now.waits = waits;
}

static void close_sink(void) {
    transfer_unref(now.transfer);
    now.transfer = NULL;
}

static bool begin_transfer(struct save_job *job, struct buf *why) {
    struct waiting w = waiting_now(false);
    if (w.count == 0) {
        buf_append(why, LIT("no replica waits any more"));
        return false;
    }
    note_instant();
    job->plan = saving_plan_for_replicas();
    job->plan.version = w.version;
    job->plan.no_pressure = true;
    open_sink(true);
    job->plan.sink = &now.sink;
    replicas_each(begin_transfer_to, NULL);
    LOG_NOTICE("Starting BGSAVE for SYNC with target: replicas sockets, for %zu of them", w.count);
    if (!save_job_write(job, why)) return false;
    replicas_wake();
    return true;
}

static void transfer_ended(struct save_job *job, enum snapshot_end how) {
    (void)job;
    if (how == SNAPSHOT_SAVED) LOG_NOTICE("Streamed RDB for replicas is complete");
    close_sink();
}

static void transfer_not_begun(const struct job_kind *kind, enum snapshot_end how, struct slice why) {
    (void)kind;
    (void)how;
    (void)why;
    if (now.transfer) close_sink(); /* its replicas see that it failed */
}

/* ---- by way of the disk ---- */

static bool begin_file(struct save_job *job, struct buf *why) {
    struct waiting w = waiting_now(true);
    if (w.count == 0) {
        buf_append(why, LIT("no replica waits any more"));
        return false;
    }
    note_instant();
    job->plan = saving_plan_for_replicas();
    job->plan.version = w.version;
    LOG_NOTICE("Starting BGSAVE for SYNC with target: disk, for %zu replicas", w.count);
    if (!rdb_file_begin(job, true, why)) return false;
    replicas_each(begin_file_for, NULL);
    replicas_wake();
    return true;
}

struct file_news {
    struct transfer *transfer; /* NULL: there will be no file */
};

static void tell_of_file(void *arg, struct replica *r) {
    const struct file_news *news = arg;
    if (!r->waits_for_file) return;
    r->waits_for_file = false;
    if (news->transfer) {
        transfer_attach(news->transfer, r);
        replica_set_state(r, REPLICA_RECEIVES);
        return;
    }
    tape_reader_close(&r->stream);
    reply_error_text(&r->client->reply, LIT("ERR BGSAVE failed, replication can't continue"));
    r->client->flags |= CLIENT_CLOSE_AFTER;
}

static void tell_all_of_file(struct transfer *t) {
    struct file_news news = { t };
    replicas_each(tell_of_file, &news);
    replicas_wake();
}

static void file_ended(struct save_job *job, enum snapshot_end how) {
    struct buf why = { 0 };
    int fd = rdb_file_take(how);
    struct transfer *t = fd >= 0 ? transfer_of_file(fd, &why) : NULL;
    if (fd >= 0) close(fd);
    if (why.len > 0) LOG_WARNING("SYNC failed: %.*s", SLICE_ARG(buf_slice(&why)));
    rdb_file_ended(job, how);
    tell_all_of_file(t);
    transfer_unref(t);
    buf_release(&why);
}

static void file_not_begun(const struct job_kind *kind, enum snapshot_end how, struct slice why) {
    (void)kind;
    (void)how;
    (void)why;
    tell_all_of_file(NULL);
}

static struct saving_kind transfer_status = { .last_ok = true };

static const struct job_kind job_transfer = {
    .name = "Background RDB transfer",
    .failure = "Background transfer error",
    .status = &transfer_status,
    .begin = begin_transfer,
    .ended = transfer_ended,
    .failed = transfer_not_begun,
};

static const struct job_kind job_replica_file = {
    .name = "Background saving",
    .failure = "Background saving error",
    .status = &saving_status.snapshot,
    .begin = begin_file,
    .ended = file_ended,
    .failed = file_not_begun,
};

/* ---- asking ---- */

/* A part of the data that is no keys: written at once. */
static void send_filtered(struct replica *r) {
    struct buf why = { 0 };
    note_instant();
    struct snapshot_plan plan = saving_plan_for_replicas();
    plan.version = version_for(r);
    plan.contents = r->filter == FILTER_FUNCTIONS_ONLY ? SNAPSHOT_FUNCTIONS : SNAPSHOT_NOTHING;
    struct transfer *running = now.transfer; /* another job may be under way */
    bool waits = now.waits;
    open_sink(false);
    plan.sink = &now.sink;
    take_place(r);
    transfer_attach(now.transfer, r);
    replica_set_state(r, REPLICA_RECEIVES);
    if (!snapshot_write_now(&plan, &why)) LOG_WARNING("SYNC failed: %.*s", SLICE_ARG(buf_slice(&why)));
    close_sink();
    now.transfer = running;
    now.waits = waits;
    buf_release(&why);
}

/* A file that is being written for replicas serves this one too, if the stream since then is still there. */
static bool join_running_file(struct replica *r) {
    if (!save_job_of(&job_replica_file) || !needs_file(r)) return false;
    if (!backlog_read_from(&r->stream, now.offset)) return false;
    atomic_store(&r->stream_sent, now.offset);
    r->lag_max = mem_used();
    tell_start(r);
    r->waits_for_file = true;
    LOG_NOTICE("Waiting for end of BGSAVE for SYNC");
    return true;
}

/* Starts the history of a server that had no replica so far. */
static void open_history(void) {
    if (backlog_is_open()) return;
    replication_ids_renew();
    backlog_open();
    LOG_NOTICE("Replication backlog created, my new replication IDs are '%s' and '%s'", replication_ids.now,
               replication_ids.before);
}

static void begin_if_due(void) {
    struct waiting disk = waiting_now(true), direct = waiting_now(false);
    int64_t most = options.repl_diskless_sync_max_replicas;
    bool is_due = direct.longest_ms >= options.repl_diskless_sync_delay_s * 1000 ||
                  (most > 0 && direct.count >= (size_t)most);
    if (disk.count > 0) save_job_enqueue(&job_replica_file);
    if (direct.count > 0 && is_due) save_job_enqueue(&job_transfer);
}

static void wait_for_all(struct client *client, struct replica *r) {
    open_history();
    COUNTER_ADD(stats_mine()->sync_full, 1);
    replica_set_state(r, REPLICA_WAITS);
    client->flags |= CLIENT_REPLICA;
    if (r->filter != FILTER_NOTHING_LEFT_OUT) {
        send_filtered(r);
    } else if (!join_running_file(r)) {
        begin_if_due();
        save_job_begin_next();
    }
}

/* True if the request was answered: it cannot be met now. */
static bool refuse(struct call *c) {
    struct replica *r = c->client->replica;
    if (failover_state() != NO_FAILOVER) {
        reply_error_text(c->out, LIT("NOMASTERLINK Can't SYNC while failing over"));
        return true;
    }
    if (primary_is_set() && primary_link() != LINK_CONNECTED) {
        reply_error_text(c->out, LIT("NOMASTERLINK Can't SYNC while not connected with my master"));
        return true;
    }
    if (r && r->filter != FILTER_NOTHING_LEFT_OUT && !(r->capabilities & REPLICA_CAN_EOF)) {
        reply_error_text(c->out, LIT("ERR Filtered replica requires EOF capability"));
        return true;
    }
    return false;
}

static bool is_replica_already(const struct client *c) { return c->flags & CLIENT_REPLICA; }

/* Its primary wants to be its replica. False after replying the error. */
static bool take_over(struct call *c, struct slice id) {
    const char *why = failover_accept(id, c->client->peer);
    if (why) reply_error_text(c->out, slice_of(why));
    return !why;
}

/* From now on the connection carries the stream, in which pushes would be taken for a part of it.
 * repl-disable-tcp-nodelay: fewer packets, each up to 40 ms later. */
static void turn_around(struct client *c) {
    pubsub_leave_all(c);
    tracking_stop(c);
    monitor_stop(c);
    if (options.repl_disable_tcp_nodelay) client_hooks.may_delay(c);
}

void sync_ask(struct call *c, struct slice id, int64_t offset, bool is_failover) {
    if (is_replica_already(c->client)) return;
    if (is_failover && failover_state() == NO_FAILOVER && !take_over(c, id)) return;
    if (refuse(c)) return;
    turn_around(c->client);
    struct replica *r = replica_of(c->client);
    LOG_NOTICE("Replica %s asks for synchronization", c->client->peer);
    if (can_continue(r, id, offset)) {
        go_on(c, r);
        return;
    }
    if (!slice_equal(id, LIT("?"))) {
        COUNTER_ADD(stats_mine()->sync_partial_err, 1);
        LOG_NOTICE("Partial resynchronization not accepted: the replica asked for %.*s at %lld, the history "
                   "is %s up to %llu",
                   (int)(id.len < REPLID_CHARS ? id.len : REPLID_CHARS), id.ptr, (long long)offset,
                   replication_ids.now, (unsigned long long)backlog_offset());
    }
    wait_for_all(c->client, r);
}

void sync_ask_all(struct call *c) {
    if (is_replica_already(c->client) || refuse(c)) return;
    turn_around(c->client);
    struct replica *r = replica_of(c->client);
    r->speaks_sync = true;
    LOG_NOTICE("Replica %s asks for synchronization", c->client->peer);
    wait_for_all(c->client, r);
}

/* ---- now and then ---- */

static void count_file_waiters(void *arg, struct replica *r) { *(size_t *)arg += r->waits_for_file; }

/* Nobody needs the file any more that was begun for replicas. */
static void give_up_unwanted(void) {
    size_t wanted = 0;
    if (!save_job_of(&job_replica_file) || options.save.count > 0) return;
    replicas_each(count_file_waiters, &wanted);
    if (wanted == 0) (void)save_job_cancel(&job_replica_file);
}

void sync_cron(int64_t now_ms) {
    static int64_t looked_ms;
    if (now_ms - looked_ms < 1000 && now_ms >= looked_ms) return;
    looked_ms = now_ms;
    bool may_be_due = waiting_now(true).count + waiting_now(false).count > 0;
    if (!may_be_due && !save_job_of(&job_replica_file)) return;
    exclusive_begin();
    begin_if_due();
    give_up_unwanted();
    exclusive_end();
}
