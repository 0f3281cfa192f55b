/* info_replication.c: INFO replication, for both roles. The order of the tables is the order of the lines. */
#include "info.h"
#include "trivet/engine/replication/failover.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/settings/options.h"
#include "trivet/persist/backlog.h"

#define TEXT(field) .kind = METRIC_TEXT, .form = FORM_STRING, SAMPLED(struct sample, field)
#define NUMBER(field) .kind = METRIC_GAUGE, .form = FORM_SIGNED, SAMPLED(struct sample, field)
#define NEVER .kind = METRIC_GAUGE, .source = FROM_NOTHING

/* What the rows of all tables read. */
struct sample {
    const char *role, *host, *link, *failover, *id, *id_before;
    int64_t port, io_s, is_syncing, read, processed, sync_total, sync_read, sync_left, sync_io_s, down_s;
    int64_t priority, is_read_only, is_announced, replicas, good;
    int64_t offset, before_until, has_backlog, backlog_size, backlog_first, backlog_length;
    double sync_percent;
};

static int64_t seconds_since(int64_t now_ms, int64_t then_ms) {
    return now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0;
}

/* ---- the role ---- */

static bool sample_role(int64_t now_ms, void *into) {
    struct sample *s = into;
    (void)now_ms;
    s->role = primary_is_set() ? "slave" : "master";
    return true;
}

static const struct metric role_rows[] = {
    { "role", "master or slave.", TEXT(role) },
    { NULL },
};

const struct metric_table info_role = { "Replication", role_rows, sizeof(struct sample), sample_role, NULL };

/* ---- of a replica: its primary ---- */

static bool sample_primary(int64_t now_ms, void *into) {
    struct sample *s = into;
    struct primary_facts facts;
    if (!primary_is_set()) return false;
    primary_facts(&facts);
    bool is_up = facts.link == LINK_CONNECTED;
    s->host = primary_host();
    s->port = primary_port();
    s->link = is_up ? "up" : "down";
    s->io_s = is_up ? seconds_since(now_ms, facts.io_ms) : -1;
    s->is_syncing = facts.link == LINK_SYNC;
    s->read = (int64_t)facts.received;
    s->processed = (int64_t)backlog_offset();
    return true;
}

static const struct metric primary_rows[] = {
    { "master_host", "The primary.", TEXT(host) },
    { "master_port", "The port of the primary.", NUMBER(port) },
    { "master_link_status", "up or down.", TEXT(link) },
    { "master_last_io_seconds_ago", "Time since the primary sent something; -1: link down.", "seconds",
      NUMBER(io_s) },
    { "master_sync_in_progress", "1 while the primary sends all data.", NUMBER(is_syncing) },
    { "slave_read_repl_offset", "Bytes of the history that came from the primary.", "bytes", NUMBER(read) },
    { "slave_repl_offset", "Bytes of the history that were applied.", "bytes", NUMBER(processed) },
    { "replicas_repl_buffer_size", "Received beside the transfer of all data.", "bytes", NEVER },
    { "replicas_repl_buffer_peak", "The most of that.", "bytes", NEVER },
    { NULL },
};

const struct metric_table info_primary = { "Replication", primary_rows, sizeof(struct sample), sample_primary,
                                           NULL };

/* While the primary sends all data. Of a diskless transfer nobody knows the size. */
static bool sample_sync(int64_t now_ms, void *into) {
    struct sample *s = into;
    struct primary_facts facts;
    if (!primary_is_set()) return false;
    primary_facts(&facts);
    if (facts.link != LINK_SYNC) return false;
    s->sync_total = (int64_t)facts.rdb_total;
    s->sync_read = (int64_t)facts.rdb_received;
    s->sync_left = s->sync_total - s->sync_read;
    s->sync_percent = s->sync_total ? 100.0 * (double)s->sync_read / (double)s->sync_total : 0;
    s->sync_io_s = seconds_since(now_ms, facts.rdb_io_ms);
    return true;
}

static const struct metric sync_rows[] = {
    { "master_sync_total_bytes", "Size of the transfer from the primary; 0: not known.",
      "bytes", NUMBER(sync_total) },
    { "master_sync_read_bytes", "What came of the transfer.", "bytes", NUMBER(sync_read) },
    { "master_sync_left_bytes", "What is still to come of the transfer.", "bytes", NUMBER(sync_left) },
    { "master_sync_perc", "The share of the transfer that came.",
      "percent", .kind = METRIC_GAUGE, .form = FORM_REAL,
      SAMPLED(struct sample, sync_percent) },
    { "master_sync_last_io_seconds_ago", "Time since something of the transfer came.",
      "seconds", NUMBER(sync_io_s) },
    { NULL },
};

const struct metric_table info_sync = { "Replication", sync_rows, sizeof(struct sample), sample_sync, NULL };

static bool sample_down(int64_t now_ms, void *into) {
    struct sample *s = into;
    struct primary_facts facts;
    if (!primary_is_set()) return false;
    primary_facts(&facts);
    s->down_s = facts.down_since_ms ? seconds_since(now_ms, facts.down_since_ms) : -1;
    return facts.link != LINK_CONNECTED;
}

static const struct metric down_rows[] = {
    { "master_link_down_since_seconds", "Time since the link to the primary broke; -1: it never was up.",
      "seconds",
      NUMBER(down_s) },
    { NULL },
};

const struct metric_table info_link_down = { "Replication", down_rows, sizeof(struct sample), sample_down,
                                             NULL };

static bool sample_replica(int64_t now_ms, void *into) {
    struct sample *s = into;
    (void)now_ms;
    s->priority = options.replica_priority;
    s->is_read_only = options.replica_read_only;
    s->is_announced = options.replica_announced;
    return primary_is_set();
}

static const struct metric replica_rows[] = {
    { "slave_priority", "The setting replica-priority.", NUMBER(priority) },
    { "slave_read_only", "The setting replica-read-only.", NUMBER(is_read_only) },
    { "replica_announced", "The setting replica-announced.", NUMBER(is_announced) },
    { NULL },
};

const struct metric_table info_replica = { "Replication", replica_rows, sizeof(struct sample), sample_replica,
                                           NULL };

/* ---- its replicas ---- */

static bool sample_replicas(int64_t now_ms, void *into) {
    struct sample *s = into;
    (void)now_ms;
    s->replicas = (int64_t)replicas_count();
    return true;
}

static const struct metric replicas_rows[] = {
    { "connected_slaves", "Replicas that are connected.", NUMBER(replicas) },
    { NULL },
};

const struct metric_table info_replicas = { "Replication", replicas_rows, sizeof(struct sample),
                                            sample_replicas, NULL };

static bool sample_good(int64_t now_ms, void *into) {
    struct sample *s = into;
    s->good = (int64_t)replicas_good(now_ms);
    return options.min_replicas_to_write > 0 && options.min_replicas_max_lag_s > 0;
}

struct lines {
    struct buf *out;
    int64_t now_ms;
    size_t count;
};

static const char *state_name(enum replica_state state) {
    static const char *const names[] = {
        [REPLICA_INTRODUCED] = "handshake", [REPLICA_WAITS] = "wait_bgsave",
        [REPLICA_RECEIVES] = "send_bulk",   [REPLICA_ONLINE] = "online",
        [REPLICA_SERVED] = "rdb_transmitted",
    };
    return names[state];
}

static void add_line(void *arg, struct replica *r) {
    struct lines *lines = arg;
    char room[64];
    enum replica_state state = atomic_load(&r->state);
    int64_t lag_s = state == REPLICA_ONLINE ? seconds_since(lines->now_ms, atomic_load(&r->acked_ms)) : 0;
    buf_printf(lines->out, "slave%zu:ip=%s,port=%d,state=%s,offset=%llu,lag=%lld,type=replica" CRLF,
               lines->count++, replica_ip(r, room), r->port, state_name(state),
               (unsigned long long)atomic_load(&r->acked), (long long)lag_s);
}

static void add_lines(int64_t now_ms, struct buf *out) {
    struct lines lines = { out, now_ms, 0 };
    if (replicas_count() > 0) replicas_each(add_line, &lines);
}

static const struct metric good_rows[] = {
    { "min_slaves_good_slaves", "Replicas that count for min-replicas-to-write.", NUMBER(good) },
    { NULL },
};

const struct metric_table info_good_replicas = { "Replication", good_rows, sizeof(struct sample), sample_good,
                                                 NULL };

static const struct metric no_rows[] = { { NULL } };

const struct metric_table info_each_replica = { "Replication", no_rows, .lines = add_lines };

/* ---- the history ---- */

static bool sample_history(int64_t now_ms, void *into) {
    struct sample *s = into;
    struct backlog_facts backlog;
    (void)now_ms;
    backlog_facts(&backlog);
    s->failover = failover_state_name();
    s->id = replication_ids.now;
    s->id_before = replication_ids.before;
    s->offset = (int64_t)backlog_offset();
    s->before_until = replication_ids.before_until;
    s->has_backlog = backlog.is_open;
    s->backlog_size = (int64_t)options.repl_backlog_size;
    s->backlog_first = backlog.is_open ? (int64_t)backlog.first + 1 : 0;
    s->backlog_length = (int64_t)backlog.length;
    return true;
}

static const struct metric history_rows[] = {
    { "replicas_waiting_psync", "Replicas whose second connection has not come.", NEVER },
    { "master_failover_state", "What FAILOVER does now.", TEXT(failover) },
    { "master_replid", "The id of the history.", TEXT(id) },
    { "master_replid2", "Its id before.", TEXT(id_before) },
    { "master_repl_offset", "Bytes of the replication history so far.", "bytes", NUMBER(offset) },
    { "second_repl_offset", "Up to where the id before is good; -1: there is none.",
      "bytes", NUMBER(before_until) },
    { "repl_backlog_active", "1 if there is a backlog for replicas.", NUMBER(has_backlog) },
    { "repl_backlog_size", "The setting repl-backlog-size.", "bytes", NUMBER(backlog_size) },
    { "repl_backlog_first_byte_offset", "Where in the history the backlog begins.",
      "bytes", NUMBER(backlog_first) },
    { "repl_backlog_histlen", "Bytes in the backlog.", "bytes", NUMBER(backlog_length) },
    { NULL },
};

const struct metric_table info_history = { "Replication", history_rows, sizeof(struct sample), sample_history,
                                           NULL };
