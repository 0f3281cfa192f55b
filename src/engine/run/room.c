/* room.c: see room.h.
 *
 * The limit of the whole is asked for every command. The limit of a database is asked for those that name
 * keys in it: with MOVE and COPY in the database where the key comes to, in EXEC where any queued command
 * works. So a full database says nothing about the others. */
#include "room.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/leaving.h"

static bool limits_bind(void) {
    return !(obstacle_is_set(OBSTACLE_REPLICA) && options.replica_ignore_maxmemory);
}

/* While a pause is on, nothing is evicted and no write runs; nor in the middle of a script. */
static bool must_not_evict(int64_t now_ms) {
    return pause_mode_now(now_ms) != PAUSE_OFF || obstacle_is_set(OBSTACLE_BUSY) || !limits_bind();
}

#define LEAVING_US 50

/* Nothing is evicted in the place of what is to be deleted anyway. */
static void delete_leaving(int64_t now_ms) {
    if (LIKELY(!leaving_is_due()) || data_stands_still(now_ms) || eviction_look() == ROOM_ENOUGH) return;
    leaving_go_on(now_ms, LEAVING_US, options.lazyfree_lazy_server_del, change_flush_quietly);
}

/* An import must not lose what it brought. */
static enum room look_for_room(int64_t now_ms) {
    delete_leaving(now_ms);
    return options.import_mode ? eviction_look() : eviction_make_room(now_ms, change_flush_quietly);
}

static enum room look_for_room_in(uint32_t db, int64_t now_ms) {
    return options.import_mode ? eviction_look_in(db)
                               : eviction_make_room_in(db, now_ms, change_flush_quietly);
}

/* ---- databases ---- */

/* One command, alone or in a queue. */
struct demand {
    const struct command *command;
    const struct slice *argv;
    size_t argc;
    uint32_t db; /* in which it runs */
};

/* The database that it may make bigger. That of MOVE and COPY is named; the one where they find the key is
 * not, because it does not grow. */
static uint32_t database_of(const struct demand *d) {
    size_t at[DATABASE_ARGUMENTS_MAX];
    int64_t named;
    if (!d->command->database_arguments || d->command->database_arguments(d->argv, d->argc, at) == 0)
        return d->db;
    bool is_there = int64_parse(d->argv[at[0]], &named) && named >= 0 && named < keyspace_databases();
    return is_there ? (uint32_t)named : d->db; /* else it will be refused */
}

/* MOVE makes the whole no bigger, but that database. */
static bool grows(const struct demand *d) {
    return (command_flags(d->command, d->argv, d->argc) & GROWS) || database_of(d) != d->db;
}

static bool has_room(const struct demand *d, int64_t now_ms) {
    if (!d->command->names_keys) return true;
    uint32_t db = database_of(d);
    if (look_for_room_in(db, now_ms) != ROOM_NONE || !grows(d)) return true;
    COUNTER_ADD(uses_mine(db)->refused, 1);
    return false;
}

/* Each queued command has to find room where it runs. */
static bool queue_has_room(const struct client *c, int64_t now_ms) {
    uint32_t db = c->db;
    for (size_t i = 0; i < transaction_length(c); i++) {
        const struct kept *k = transaction_at(c, i);
        struct demand d = { k->command, k->argv, k->argc, db };
        int64_t chosen;
        bool selects = (k->command->flags & SWITCHES_DATABASE) && int64_parse(k->argv[1], &chosen);
        if (selects && chosen >= 0 && chosen < keyspace_databases()) db = (uint32_t)chosen;
        if (!has_room(&d, now_ms)) return false;
    }
    return true;
}

static bool databases_have_room(const struct call *call) {
    int64_t now_ms = call->view.now_ms;
    if (call->command->flags & RUNS_QUEUE) return queue_has_room(call->client, now_ms);
    struct demand d = { call->command, call->argv, call->argc, transaction_db(call->client) };
    return has_room(&d, now_ms);
}

static bool has_limits(void) {
    return UNLIKELY(database_differences & DATABASES_HAVE_LIMITS) && limits_bind();
}

bool command_database_is_full(uint32_t db) { return has_limits() && eviction_is_stuck(db); }

bool command_meets_limit(const struct command *command, const struct slice *argv, size_t argc, uint32_t db) {
    struct demand d = { command, argv, argc, db };
    if (LIKELY(!has_limits()) || !command->names_keys || !grows(&d)) return false;
    uint32_t full = database_of(&d);
    if (!eviction_is_stuck(full)) return false;
    COUNTER_ADD(uses_mine(full)->refused, 1);
    return true;
}

/* ---- the whole ---- */

static _Thread_local bool memory_was_full; /* at the last admission */

bool command_memory_is_full(void) { return obstacle_is_set(OBSTACLE_MEMORY_LIMIT) && memory_was_full; }

uint32_t flags_of_call(const struct call *call) {
    uint32_t flags = command_flags(call->command, call->argv, call->argc);
    return flags & RUNS_QUEUE ? flags | transaction_flags(call->client) : flags;
}

bool room_for_call(const struct call *call) {
    memory_was_full = false;
    if (must_not_evict(call->view.now_ms)) return true;
    memory_was_full = look_for_room(call->view.now_ms) == ROOM_NONE;
    bool refused = memory_was_full && (flags_of_call(call) & GROWS);
    if (refused) COUNTER_ADD(uses_mine(transaction_db(call->client))->refused, 1);
    if (!refused && UNLIKELY(database_differences & DATABASES_HAVE_LIMITS))
        refused = !databases_have_room(call);
    tracking_deliver(); /* what the client reads next must not be older than what it is told */
    return !refused;
}
