/* database.c: commands on whole databases: counting, emptying, swapping. */
#include "trivet/keyspace/database.h"
#include "dump.h"
#include "trivet/commands/arguments/database_argument.h"
#include "trivet/commands/arguments/flush_mode.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/hidden.h"
#include "trivet/keyspace/scan.h"

/* DBSIZE */
static void cmd_dbsize(struct call *c) { reply_int(c->out, (int64_t)keyspace_count_seen(c->view.db)); }

/* FLUSHDB [ASYNC | SYNC] */
static void cmd_flushdb(struct call *c) {
    bool lazily;
    if (!flush_mode(c, 1, &lazily)) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    changing_databases(c, c->view.db, c->view.db);
    keyspace_flush(c->view.db, lazily);
    changed_database(c, c->view.db, 1, EFFECT_SAME(c));
    reply_ok(c->out);
}

/* FLUSHALL [ASYNC | SYNC] */
static void cmd_flushall(struct call *c) {
    bool lazily;
    if (!flush_mode(c, 1, &lazily)) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        if (db == c->view.db || keyspace_count(db) == 0) continue;
        changing_databases(c, db, db);
        keyspace_flush(db, lazily);
        changed_database(c, db, 1, EFFECT_NONE);
    }
    changing_databases(c, c->view.db, c->view.db);
    keyspace_flush(c->view.db, lazily);
    changed_database(c, c->view.db, 1, EFFECT_SAME(c));
    if (!c->origin->is_replay) saving_all_flushed();
    reply_ok(c->out);
}

static bool journal_entry(void *arg, struct entry *e) {
    struct call *c = arg;
    journal_value(c, c->view.db, e);
    return true;
}

/* The primary has swapped what the files of this replica hold with what they do not: they get it all, after a
 * FLUSHDB. */
static void journal_database(struct call *c, uint32_t db) {
    struct call there = *c;
    there.view.db = db;
    journal_effect_in(c, db, EFFECT(LIT("FLUSHDB")));
    (void)keyspace_each(db, journal_entry, &there);
}

/* Clients are refused it: such a swap would take time and memory for all the data. */
static void swap_unlike(struct call *c, uint32_t a, uint32_t b) {
    if (!c->origin->is_replay) {
        reply_error_text(c->out, LIT("ERR SWAPDB of a database that files hold with one that they do not "
                                     "(db-persistence) is not possible"));
        return;
    }
    uint32_t saved = database_is_volatile(a) ? b : a;
    changing_databases(c, a, b);
    keyspace_swap(a, b);
    eviction_swapped(a, b, c->view.now_ms);
    changed_database(c, a, 1, EFFECT_NONE);
    changed_database(c, b, 1, EFFECT_NONE);
    journal_database(c, saved);
    reply_ok(c->out);
}

/* SWAPDB index1 index2 */
static void cmd_swapdb(struct call *c) {
    int64_t first, second;
    uint32_t a, b;
    if (options.cluster_enabled) {
        reply_error_text(c->out, LIT("ERR SWAPDB is not allowed in cluster mode"));
        return;
    }
    if (!database_number_parse(c->argv[1], &first)) {
        reply_error_text(c->out, LIT("ERR invalid first DB index"));
        return;
    }
    if (!database_number_parse(c->argv[2], &second)) {
        reply_error_text(c->out, LIT("ERR invalid second DB index"));
        return;
    }
    if (!database_check(c, first, &a) || !database_check(c, second, &b)) return;
    if (UNLIKELY(database_is_volatile(a) != database_is_volatile(b))) {
        swap_unlike(c, a, b);
        return;
    }
    if (a != b) {
        changing_databases(c, a, b);
        keyspace_swap(a, b);
        eviction_swapped(a, b, c->view.now_ms);
        changed_database(c, a, 1, EFFECT_SAME(c));
        changed_database(c, b, 0, EFFECT_NONE);
    }
    reply_ok(c->out);
}

static size_t both_databases(const struct slice *argv, size_t argc, size_t at[DATABASE_ARGUMENTS_MAX]) {
    (void)argv, (void)argc;
    at[0] = 1;
    at[1] = 2;
    return 2;
}

const struct command database_commands[] = {
    { .name = "DBSIZE", .run = cmd_dbsize, .arity = 1, .kind = LOCAL, .flags = READS | FAST,
      .categories = CAT_KEYSPACE, .since = "1.0.0", .summary = "Returns the number of keys in the database.",
      .complexity = "O(1)", .tips = "request_policy:all_shards,response_policy:agg_sum" },
    { .name = "FLUSHALL", .run = cmd_flushall, .arity = -1, .kind = EXCLUSIVE,
      .flags = WRITES | ALL_DATABASES, .categories = CAT_KEYSPACE | CAT_DANGEROUS, .since = "1.0.0",
      .summary = "Removes all keys of all databases.",
      .complexity = "O(N) where N is the number of keys, in the background unless SYNC.",
      .syntax = "[ASYNC | SYNC]", .tips = "request_policy:all_shards,response_policy:all_succeeded" },
    { .name = "FLUSHDB", .run = cmd_flushdb, .arity = -1, .kind = EXCLUSIVE, .flags = WRITES,
      .categories = CAT_KEYSPACE | CAT_DANGEROUS, .since = "1.0.0",
      .summary = "Removes all keys of the database.",
      .complexity = "O(N) where N is the number of keys, in the background unless SYNC.",
      .syntax = "[ASYNC | SYNC]", .tips = "request_policy:all_shards,response_policy:all_succeeded" },
    { .name = "SWAPDB", .run = cmd_swapdb, .arity = 3, .kind = EXCLUSIVE,
      .flags = WRITES | FAST | NAMES_ITS_DATABASES, .database_arguments = both_databases,
      .categories = CAT_KEYSPACE | CAT_DANGEROUS, .since = "4.0.0",
      .summary = "Swaps two databases, for all connections at once.",
      .complexity = "O(1); O(N) where N is the number of keys of both if one has an LFU policy and one not.",
      .syntax = "index1 index2" },
    { .name = NULL },
};
