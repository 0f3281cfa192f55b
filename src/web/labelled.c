/* labelled.c: see labelled.h. A family's samples stand together, so each is a loop of its own. */
#include "labelled.h"
#include "exposition.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/answers.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/persist/backlog.h"
#include <stdio.h>

static void label_number(struct buf *out, const char *name, uint64_t n) {
    char digits[INT64_TEXT_MAX];
    exposition_label(out, name, slice_make(digits, uint64_format(digits, n)));
}

/* ---- memory ---- */

/* Where each part is told. Two rows may be one part. */
static const struct {
    const char *row;
    size_t offset;
} memory_rows[] = {
    { "used_memory", offsetof(struct memory_parts, used) },
    { "used_memory_dataset", offsetof(struct memory_parts, dataset) },
    { "mem_clients_normal", offsetof(struct memory_parts, clients) },
    { "mem_aof_buffer", offsetof(struct memory_parts, aof_buffer) },
    { "mem_replication_backlog", offsetof(struct memory_parts, backlog) },
    { "mem_clients_slaves", offsetof(struct memory_parts, replicas) },
    { "used_memory_scripts", offsetof(struct memory_parts, scripts) },
    { "used_memory_vm_total", offsetof(struct memory_parts, scripts) },
};

void memory_parts_note(struct memory_parts *parts, const struct metric *m, union metric_value v) {
    for (size_t i = 0; i < COUNT_OF(memory_rows); i++)
        if (strcmp(memory_rows[i].row, m->name) == 0)
            *(uint64_t *)(void *)((char *)parts + memory_rows[i].offset) += v.number;
}

/* Takes `wanted` away from what is left, or as much as there is: the rows are not of one moment. */
static uint64_t part_of(uint64_t *left, uint64_t wanted) {
    uint64_t part = wanted < *left ? wanted : *left;
    *left -= part;
    return part;
}

void labelled_memory(const struct memory_parts *parts, struct buf *out) {
    static const char name[] = "trivet_memory_held_bytes";
    uint64_t left = parts->used;
    const struct {
        const char *by;
        uint64_t bytes;
    } rows[] = {
        { "clients", part_of(&left, parts->clients) },
        { "aof_buffer", part_of(&left, parts->aof_buffer) },
        { "replication", part_of(&left, parts->backlog + parts->replicas) },
        { "scripts", part_of(&left, parts->scripts) },
        /* What INFO calls the dataset is all that nothing else is known to hold. */
        { "data", part_of(&left, parts->dataset > parts->scripts ? parts->dataset - parts->scripts : 0) },
        { "overhead", left },
    };
    exposition_family(out, name, "gauge",
                      "Who holds the memory that is in use; overhead is the server itself and its tables.");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        exposition_begin(out, name);
        exposition_label(out, "by", slice_of(rows[i].by));
        exposition_number(out, rows[i].bytes);
    }
}

/* ---- the keyspace ---- */

static void write_databases(struct buf *out, const char *name, const char *help,
                            size_t (*count)(uint32_t db)) {
    exposition_family(out, name, "gauge", help);
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        if (db > 0 && keyspace_count(db) == 0) continue;
        exposition_begin(out, name);
        label_number(out, "db", db);
        exposition_number(out, count(db));
    }
}

/* What an operator asked for by a setting, what holds keys, and what is read. */
static bool is_told(uint32_t db) {
    bool is_named = database_value_of(&options.db_maxmemory, db) ||
                    database_value_of(&options.db_maxmemory_policy, db) ||
                    database_value_of(&options.db_name, db);
    return db == 0 || is_named || keyspace_count(db) > 0 || COUNTER_SUM_USES(hits, db) > 0 ||
           COUNTER_SUM_USES(misses, db) > 0;
}

static void write_uses(struct buf *out, const char *name, const char *help, size_t offset) {
    exposition_family(out, name, "counter", help);
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        if (!is_told(db)) continue;
        exposition_begin(out, name);
        label_number(out, "db", db);
        exposition_number(out, counters_sum_uses(offset, db));
    }
}

static void write_limits(struct buf *out) {
    static const char name[] = "trivet_db_maxmemory_bytes";
    if (options.db_maxmemory.count == 0) return;
    exposition_family(out, name, "gauge", "What a database with a limit of its own may hold.");
    for (size_t i = 0; i < options.db_maxmemory.count; i++) {
        exposition_begin(out, name);
        label_number(out, "db", (uint64_t)options.db_maxmemory.value[i].db);
        exposition_number(out, options.db_maxmemory.value[i].number);
    }
}

static void write_database_facts(struct buf *out) {
    static const char family[] = "trivet_db_info";
    exposition_family(out, family, "gauge", "The name of a database, and its policy of eviction; always 1.");
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        if (!is_told(db)) continue;
        const struct database_value *name = database_value_of(&options.db_name, db);
        exposition_begin(out, family);
        label_number(out, "db", db);
        exposition_label(out, "name", slice_of(name ? name->text : ""));
        exposition_label(out, "policy", slice_of(option_policy_name(eviction_policy(db))));
        exposition_number(out, 1);
    }
}

static void write_own_databases(struct buf *out) {
    write_uses(out, "trivet_db_hits_total", "Reads of a database that found a key.",
               offsetof(struct database_uses, hits));
    write_uses(out, "trivet_db_misses_total", "Reads of a database that found none.",
               offsetof(struct database_uses, misses));
    write_uses(out, "trivet_db_evicted_total", "Keys of a database that made room.",
               offsetof(struct database_uses, evicted));
    write_uses(out, "trivet_db_refused_total", "Commands that a database refused for want of memory.",
               offsetof(struct database_uses, refused));
    write_limits(out);
    write_database_facts(out);
}

/* Before the first read there is none. */
static void write_hit_ratio(struct buf *out) {
    uint64_t hits = COUNTER_SUM_ALL_USES(hits), reads = hits + COUNTER_SUM_ALL_USES(misses);
    if (reads == 0) return;
    exposition_family(out, "trivet_keyspace_hit_ratio", "gauge",
                      "Of the reads since the start, or since CONFIG RESETSTAT, those that found a key.");
    exposition_begin(out, "trivet_keyspace_hit_ratio");
    exposition_real(out, (double)hits / (double)reads);
}

void labelled_keyspace(struct buf *out) {
    write_hit_ratio(out);
    write_databases(out, "trivet_db_keys", "Keys of a database; of empty ones only database 0 is told.",
                    keyspace_count);
    write_databases(out, "trivet_db_expires", "Keys of a database that expire.", keyspace_expires);
    write_databases(out, "trivet_db_bytes", "What the entries of a database take, keys and values.",
                    keyspace_bytes);
    write_own_databases(out);
}

/* ---- workers ---- */

static void write_workers(struct buf *out, const char *name, const char *type, const char *help,
                          void (*write)(struct buf *out, int worker)) {
    exposition_family(out, name, type, help);
    for (int worker = 0; worker < thread_worker_count; worker++) {
        exposition_begin(out, name);
        label_number(out, "worker", (uint64_t)worker);
        write(out, worker);
    }
}

static void write_busy(struct buf *out, int worker) {
    exposition_real(out, (double)counter_read(&worker_stats[worker].turn_us) / 1000000);
}
static void write_turns(struct buf *out, int worker) {
    exposition_number(out, counter_read(&worker_stats[worker].turns));
}
static void write_worker_commands(struct buf *out, int worker) {
    exposition_number(out, counter_read(&worker_stats[worker].commands));
}
static void write_clients(struct buf *out, int worker) { exposition_number(out, client_count_on(worker)); }

void labelled_workers(struct buf *out) {
    write_workers(out, "trivet_worker_busy_seconds_total", "counter",
                  "Time of a worker's turns, that is without its sleep.", write_busy);
    write_workers(out, "trivet_worker_turns_total", "counter", "Turns of a worker's event loop.",
                  write_turns);
    write_workers(out, "trivet_worker_commands_total", "counter", "Commands that a worker ran or queued.",
                  write_worker_commands);
    write_workers(out, "trivet_worker_clients", "gauge", "Connections of a worker, replicas among them.",
                  write_clients);
}

/* ---- replicas ---- */

struct lag {
    char replica[288]; /* "host:port" */
    uint64_t bytes;
    double seconds;
};

struct lags {
    struct lag *at; /* owned */
    size_t count, room;
    uint64_t offset;
    int64_t now_ms;
};

/* Two connections of one replica may be there for a while, until the older is missed: the newer counts. */
static struct lag *lag_of(struct lags *all, const char *replica) {
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->at[i].replica, replica) == 0) return &all->at[i];
    GROW(all->at, all->count, &all->room, 4);
    return &all->at[all->count++];
}

/* Only who is online and acknowledges: of others nobody knows how far they are. */
static void add_lag(void *arg, struct replica *r) {
    struct lags *all = arg;
    if (atomic_load(&r->state) != REPLICA_ONLINE || r->speaks_sync || !atomic_load(&r->has_acked)) return;
    char room[64], name[288];
    snprintf(name, sizeof name, "%s:%d", replica_ip(r, room), r->port);
    uint64_t acked = atomic_load(&r->acked);
    int64_t since_ms = all->now_ms - atomic_load(&r->acked_ms);
    struct lag *lag = lag_of(all, name);
    *lag = (struct lag){ .bytes = all->offset > acked ? all->offset - acked : 0,
                         .seconds = since_ms > 0 ? (double)since_ms / 1000 : 0 };
    memcpy(lag->replica, name, sizeof name);
}

void labelled_replicas(int64_t now_ms, struct buf *out) {
    struct lags all = { .offset = backlog_offset(), .now_ms = now_ms };
    if (replicas_count() > 0) replicas_each(add_lag, &all);
    if (all.count > 0)
        exposition_family(out, "trivet_replication_lag_bytes", "gauge",
                          "Bytes of the history that a replica has not acknowledged.");
    for (size_t i = 0; i < all.count; i++) {
        exposition_begin(out, "trivet_replication_lag_bytes");
        exposition_label(out, "replica", slice_of(all.at[i].replica));
        exposition_number(out, all.at[i].bytes);
    }
    if (all.count > 0)
        exposition_family(out, "trivet_replication_lag_seconds", "gauge",
                          "Time since a replica has acknowledged, which it does once a second.");
    for (size_t i = 0; i < all.count; i++) {
        exposition_begin(out, "trivet_replication_lag_seconds");
        exposition_label(out, "replica", slice_of(all.at[i].replica));
        exposition_real(out, all.at[i].seconds);
    }
    mem_free(all.at);
}

/* ---- errors ---- */

/* Codes that alerts ask for. They are told before they occur: for Prometheus a sample that begins with 1 has
 * not risen. */
static const char *const awaited_codes[] = { "OOM", "MISCONF" };

struct errors_writing {
    struct buf *out;
    bool has[COUNT_OF(awaited_codes)];
};

static void write_error(void *arg, const char *code, uint64_t count) {
    struct errors_writing *w = arg;
    for (size_t i = 0; i < COUNT_OF(awaited_codes); i++) w->has[i] |= strcmp(code, awaited_codes[i]) == 0;
    exposition_begin(w->out, "trivet_errors_total");
    exposition_label(w->out, "code", slice_of(code));
    exposition_number(w->out, count);
}

void labelled_errors(struct buf *out) {
    struct errors_writing w = { .out = out };
    exposition_family(out, "trivet_errors_total", "counter", "Error replies by their first word.");
    stats_each_error(write_error, &w);
    for (size_t i = 0; i < COUNT_OF(awaited_codes); i++)
        if (!w.has[i]) write_error(&w, awaited_codes[i], 0);
}

/* ---- commands ---- */

/* The commands that were asked for since the start: of some hundred, mostly a few. */
struct used {
    struct one {
        const struct command *command;
        struct command_stats stats;
    } * at; /* owned */
    size_t count, room;
};

static struct used used_commands(void) {
    struct used u = { .count = 0 };
    for (uint32_t id = 0; id < registry_ids(); id++) {
        const struct command *command = registry_by_id(id);
        struct command_stats s = command ? stats_command(command) : (struct command_stats){ 0 };
        if (s.calls == 0 && s.rejected == 0 && s.failed == 0) continue;
        GROW(u.at, u.count, &u.room, 32);
        u.at[u.count++] = (struct one){ command, s };
    }
    return u;
}

static void write_commands(struct buf *out, const struct used *u, const char *name, const char *help,
                           void (*write)(struct buf *out, const struct command_stats *s)) {
    exposition_family(out, name, "counter", help);
    for (size_t i = 0; i < u->count; i++) {
        exposition_begin(out, name);
        exposition_label(out, "command", slice_of(u->at[i].command->full_name));
        write(out, &u->at[i].stats);
    }
}

static void write_calls(struct buf *out, const struct command_stats *s) { exposition_number(out, s->calls); }
static void write_failed(struct buf *out, const struct command_stats *s) {
    exposition_number(out, s->failed);
}
static void write_rejected(struct buf *out, const struct command_stats *s) {
    exposition_number(out, s->rejected);
}
static void write_seconds(struct buf *out, const struct command_stats *s) {
    exposition_real(out, (double)s->us / 1000000);
}

/* `series`: the family's name and "_bucket", "_sum" or "_count". */
static void begin_latency(struct buf *out, const char *series, const struct command *command) {
    exposition_begin(out, series);
    exposition_label(out, "command", slice_of(command->full_name));
}

/* The texts of `le`: the same for all commands, so they are formatted once. */
struct bounds {
    char text[ANSWERS_ROWS][DOUBLE_TEXT_MAX];
    size_t count;
};

static void format_bounds(struct bounds *b, const struct histogram_row *rows, size_t count) {
    for (; b->count < count; b->count++) {
        char *text = b->text[b->count];
        if (rows[b->count].us == UINT64_MAX)
            strcpy(text, "+Inf");
        else
            text[double_format(text, (double)rows[b->count].us / 1000000)] = '\0';
    }
}

static void write_latency(struct buf *out, const struct command *command, struct bounds *bounds) {
    struct histogram_row rows[ANSWERS_ROWS];
    uint64_t sum_us;
    size_t count = answers_histogram(command, rows, &sum_us);
    if (count == 0) return;
    format_bounds(bounds, rows, count);
    for (size_t i = 0; i < count; i++) {
        begin_latency(out, "trivet_command_latency_seconds_bucket", command);
        exposition_label(out, "le", slice_of(bounds->text[i]));
        exposition_number(out, rows[i].count);
    }
    begin_latency(out, "trivet_command_latency_seconds_sum", command);
    exposition_real(out, (double)sum_us / 1000000);
    begin_latency(out, "trivet_command_latency_seconds_count", command);
    exposition_number(out, rows[count - 1].count);
}

void labelled_commands(struct buf *out) {
    struct used u = used_commands();
    struct bounds bounds = { .count = 0 };
    write_commands(out, &u, "trivet_command_calls_total", "Calls of a command that ran.", write_calls);
    write_commands(out, &u, "trivet_command_seconds_total", "Time that a command's calls ran.",
                   write_seconds);
    write_commands(out, &u, "trivet_command_failed_total",
                   "Calls of a command that ran and ended with an error.", write_failed);
    write_commands(out, &u, "trivet_command_rejected_total",
                   "Calls of a command that were refused before it ran.", write_rejected);
    exposition_family(
        out, "trivet_command_latency_seconds", "histogram",
        "Time from when a command's bytes came to when its reply was written, as its client sees "
        "it but for the network.");
    for (size_t i = 0; i < u.count; i++) write_latency(out, u.at[i].command, &bounds);
    mem_free(u.at);
}
