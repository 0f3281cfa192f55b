/* memory.c: MEMORY: how much a key takes, where the memory goes, what to do about it. */
#include "memory_overview.h"
#include "trivet/base/buf.h"
#include "trivet/base/number.h"
#include "trivet/base/slab.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/replication/replicas.h"
#include <stdio.h>

#define TABLE_SHARE 13 /* bytes of buckets that a key costs on average */

/* Reads [SAMPLES count]; false after replying the error. Nothing is sampled: every value knows its bytes. */
static bool check_samples(struct call *c) {
    for (size_t i = 3; i < c->argc; i += 2) {
        int64_t n;
        if (!call_is(c, i, "SAMPLES") || i + 1 == c->argc) {
            return refuse_syntax(c);
        }
        if (!integer_argument(c, i + 1, &n)) return false;
        if (n < 0) {
            return refuse_syntax(c);
        }
    }
    return true;
}

/* MEMORY USAGE key [SAMPLES count] */
static void cmd_memory_usage(struct call *c) {
    if (!check_samples(c)) return;
    struct entry *e = keyspace_peek(&c->view, c->argv[2]);
    if (e)
        reply_int(c->out, (int64_t)(entry_memory(e) + TABLE_SHARE));
    else
        reply_null(c->out);
}

/* ---- STATS ---- */

struct stats_writer {
    struct reply *out;
    size_t pairs;
};

static void add_size(struct stats_writer *w, const char *name, size_t bytes) {
    reply_bulk(w->out, slice_of(name));
    reply_int(w->out, (int64_t)bytes);
    w->pairs++;
}

static void add_double(struct stats_writer *w, const char *name, double value) {
    reply_bulk(w->out, slice_of(name));
    reply_double(w->out, value);
    w->pairs++;
}

/* "<name>.ratio" and "<name>.bytes". */
static void add_waste(struct stats_writer *w, const char *name, size_t taken, size_t needed) {
    char field[64];
    snprintf(field, sizeof field, "%s.ratio", name);
    add_double(w, field, memory_ratio(taken, needed));
    snprintf(field, sizeof field, "%s.bytes", name);
    reply_bulk(w->out, slice_of(field));
    reply_int(w->out, (int64_t)taken - (int64_t)needed);
    w->pairs++;
}

static void add_databases(struct stats_writer *w) {
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        if (keyspace_count(db) == 0) continue;
        reply_bulk_printf(w->out, "db.%u", db);
        reply_map(w->out, 2);
        reply_bulk(w->out, LIT("overhead.hashtable.main"));
        reply_int(w->out, (int64_t)keyspace_table_memory(db));
        reply_bulk(w->out, LIT("overhead.hashtable.expires")); /* times to live are inside the entries */
        reply_int(w->out, 0);
        w->pairs++;
    }
}

static void add_totals(struct stats_writer *w, const struct memory_overview *m) {
    size_t since_start = m->used > m->startup ? m->used - m->startup : 0;
    add_size(w, "overhead.total", m->overhead);
    add_size(w, "keys.count", m->keys);
    add_size(w, "keys.bytes-per-key", m->keys ? since_start / m->keys : 0);
    add_size(w, "dataset.bytes", m->dataset);
    add_double(w, "dataset.percentage", memory_percent(m->dataset, since_start));
    add_double(w, "peak.percentage", memory_percent(m->used, m->peak));
    add_size(w, "allocator.allocated", m->allocator.allocated);
    add_size(w, "allocator.active", m->allocator.active);
    add_size(w, "allocator.resident", m->allocator.resident);
    add_size(w, "allocator.muzzy", m->allocator.muzzy);
    add_waste(w, "allocator-fragmentation", m->allocator.active, m->allocator.allocated);
    add_waste(w, "allocator-rss", m->allocator.resident, m->allocator.active);
    add_waste(w, "rss-overhead", m->resident, m->allocator.resident);
    add_double(w, "fragmentation", memory_ratio(m->resident, m->used));
    reply_bulk(w->out, LIT("fragmentation.bytes"));
    reply_int(w->out, (int64_t)m->resident - (int64_t)m->used);
    w->pairs++;
}

/* MEMORY STATS */
static void cmd_memory_stats(struct call *c) {
    struct memory_overview m;
    memory_overview_exact(c->view.now_ms, &m);
    struct chunk *at = reply_later(c->out);
    struct stats_writer w = { .out = c->out };
    add_size(&w, "peak.allocated", m.peak);
    add_size(&w, "total.allocated", m.used);
    add_size(&w, "startup.allocated", m.startup);
    add_size(&w, "replication.backlog", m.backlog);
    add_size(&w, "clients.slaves", m.replicas);
    add_size(&w, "clients.normal", m.clients);
    add_size(&w, "cluster.links", 0);
    add_size(&w, "aof.buffer", m.aof_buffer);
    add_size(&w, "lua.caches", 0);
    add_size(&w, "functions.caches", 0);
    add_databases(&w);
    add_totals(&w, &m);
    reply_later_map(c->out, at, w.pairs);
}

/* ---- DOCTOR ---- */

#define BIG_REPLICA_BYTES ((size_t)10 << 20)
#define SMALL_BYTES ((size_t)5 << 20) /* below, ratios say nothing */

static void diagnose(const struct memory_overview *m, struct buf *out) {
    if (m->used < SMALL_BYTES) {
        buf_printf(out, "Less than 5 MB are in use: too little to judge by. Ask again when there is data.\n");
        return;
    }
    if (memory_ratio(m->peak, m->used) > 1.5)
        buf_printf(out,
                   "* Peak: %.1f times as much memory was in use once. The allocator may keep what is free "
                   "now; MEMORY PURGE gives it back.\n",
                   memory_ratio(m->peak, m->used));
    if (memory_ratio(m->resident, m->used) > 1.4 && m->resident - m->used > (size_t)10 << 20)
        buf_printf(out,
                   "* Fragmentation: the process holds %.2f times the memory that the data needs. Keys move "
                   "together by themselves; with CONFIG SET activedefrag yes sooner and faster. MEMORY PURGE "
                   "gives back what is free already; a restart with an append only file packs anew.\n",
                   memory_ratio(m->resident, m->used));
    if (m->clients > m->dataset / 2 && m->clients > (size_t)10 << 20)
        buf_printf(out,
                   "* Clients: connections and their buffers use %zu bytes. Look at CLIENT LIST for big omem "
                   "and qbuf, and at client-output-buffer-limit.\n",
                   m->clients);
    if (m->replicas > BIG_REPLICA_BYTES * (replicas_count() > 0 ? replicas_count() : 1))
        buf_printf(
            out,
            "* Replicas: %zu bytes beyond the backlog wait for them. Some are slower than the writes: look "
            "at their lag in INFO replication, and at client-output-buffer-limit.\n",
            m->replicas);
    if (m->resident && m->resident < m->used - m->used / 10)
        buf_printf(out, "* Swap: a part of the data is not in physical memory, so the system is swapping. "
                        "Give it more memory or set maxmemory.\n");
    if (out->len == 0) buf_printf(out, "Nothing is wrong with the use of memory.\n");
}

/* MEMORY DOCTOR */
static void cmd_memory_doctor(struct call *c) {
    struct memory_overview m;
    struct buf text = { 0 };
    memory_overview_estimate(c->view.now_ms, &m);
    diagnose(&m, &text);
    reply_verbatim(c->out, "txt", buf_slice(&text));
    buf_release(&text);
}

/* ---- the allocator ---- */

static void add_report(void *arg, const char *text) { buf_append(arg, slice_of(text)); }

/* MEMORY MALLOC-STATS */
static void cmd_memory_malloc_stats(struct call *c) {
    struct buf text = { 0 };
    slab_report(add_report, &text);
    mem_allocator_report(add_report, &text);
    if (text.len == 0) buf_printf(&text, "The allocator (%s) has nothing to say.\n", mem_allocator_name());
    reply_verbatim(c->out, "txt", buf_slice(&text));
    buf_release(&text);
}

/* MEMORY PURGE */
static void cmd_memory_purge(struct call *c) {
    slab_thread_flush();
    slab_purge();
    mem_purge();
    reply_ok(c->out);
}

static void cmd_memory_help(struct call *c) {
    static const char *const lines[] = {
        "DOCTOR",
        "    Say what is wrong with the use of memory.",
        "MALLOC-STATS",
        "    Return the allocator's own report.",
        "PURGE",
        "    Give memory that is free inside the allocator back to the system.",
        "STATS",
        "    Return where the memory goes.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return the bytes that a key and its value take. The answer is exact, whatever",
        "    <count> says.",
        NULL,
    };
    reply_help(c, lines);
}

#define MEMORY_TIPS "nondeterministic_output,request_policy:all_shards,response_policy:special"

static const struct command memory_subcommands[] = {
    { .name = "DOCTOR", .run = cmd_memory_doctor, .arity = 2, .kind = LOCAL, .since = "4.0.0",
      .summary = "Says what is wrong with the use of memory.", .complexity = "O(1)", .tips = MEMORY_TIPS },
    { .name = "HELP", .run = cmd_memory_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .since = "4.0.0", .summary = "Tells about the subcommands.", .complexity = "O(1)" },
    { .name = "MALLOC-STATS", .run = cmd_memory_malloc_stats, .arity = 2, .kind = LOCAL, .flags = LOADING,
      .since = "4.0.0", .summary = "Returns the allocator's own report.",
      .complexity = "Depends on how much memory is allocated.", .tips = MEMORY_TIPS },
    { .name = "PURGE", .run = cmd_memory_purge, .arity = 2, .kind = LOCAL, .flags = LOADING, .since = "4.0.0",
      .summary = "Gives free memory back to the system.", .complexity = "Depends on how much memory is free.",
      .tips = "request_policy:all_shards,response_policy:all_succeeded" },
    { .name = "STATS", .run = cmd_memory_stats, .arity = 2, .kind = EXCLUSIVE, .since = "4.0.0",
      .summary = "Returns where the memory goes.", .complexity = "O(N) where N is the number of clients.",
      .tips = MEMORY_TIPS },
    { .name = "USAGE", .run = cmd_memory_usage, .arity = -3, .kind = KEYED, .flags = READS,
      .keys = { KEY_AT(2, KEY_RO) }, .since = "4.0.0", .summary = "Returns the bytes that a key takes.",
      .complexity = "O(1)", .syntax = "key [SAMPLES count]" },
    { .name = NULL },
};

const struct command memory_commands[] = {
    { .name = "MEMORY", .arity = -2, .kind = LOCAL, .subcommands = memory_subcommands, .since = "4.0.0",
      .summary = "Holds the commands for memory.", .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
