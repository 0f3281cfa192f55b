/* run.c: the commands of a script: what is checked of each, and how it is run; see run.h.
 *
 * The checks of a single command and their order are those of Valkey, because scripts catch the errors and
 * read them. */
#include "trivet/script/run/run.h"
#include "slots.h"
#include "trivet/base/clock.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/keeping.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/script/run/busy.h"

#define MAY_WRITE (WRITES | MAY_REPLICATE)

/* ---- a script begins ---- */

static bool refuse(struct call *caller, struct slice text) {
    reply_error_text(caller->out, text);
    return false;
}

/* For the command that calls the script, much of this was looked at already: script_command_flags() made the
 * script's flags its own. Here it is looked at for a script inside a transaction too. */
static bool admit_flags(struct call *caller, unsigned flags, bool reads_only) {
    bool binds = !caller->origin->is_replay; /* limits for clients */
    if (options.cluster_enabled && binds && flags & SCRIPT_NO_CLUSTER)
        return refuse(caller, LIT("ERR Can not run script on cluster, 'no-cluster' flag is set."));
    const char *stale = binds ? command_stale_refuses() : NULL, *role = binds ? command_role_refuses() : NULL;
    if (stale && ((flags & SCRIPT_COMPATIBLE) || !(flags & SCRIPT_ALLOW_STALE)))
        return refuse(caller, slice_of(stale));
    if (flags & (SCRIPT_COMPATIBLE | SCRIPT_NO_WRITES)) return true;
    if (role && obstacle_is_set(OBSTACLE_REPLICA))
        return refuse(caller, LIT("READONLY Can not run script with write flag on readonly replica."));
    if (reads_only)
        return refuse(caller, LIT("ERR Can not execute a script with write flag using *_ro command."));
    struct buf text = { 0 };
    bool disk_fails = binds && command_disk_refuses(&text);
    buf_release(&text);
    if (disk_fails)
        return refuse(
            caller, LIT("MISCONF Valkey is configured to persist data, but it's currently unable to persist "
                        "to disk. Writable scripts are blocked. Use 'no-writes' flag for read only "
                        "scripts."));
    if (role) return refuse(caller, slice_of(role));
    bool is_full = command_memory_is_full() || command_database_is_full(caller->client->db);
    if (!(flags & SCRIPT_ALLOW_OOM) && binds && is_full)
        return refuse(caller,
                      LIT("OOM allow-oom flag is not set on the script, can not run it when used memory > "
                          "'maxmemory'"));
    return true;
}

bool script_admit(struct call *caller, const struct script_subject *subject, bool reads_only) {
    return admit_flags(caller, subject->flags, reads_only);
}

void script_run_begin(struct script_run *run, const struct call *caller, struct script_subject *subject,
                      bool reads_only) {
    bool is_replay = caller->origin->is_replay;
    *run = (struct script_run){
        .caller = caller,
        .subject = subject,
        .origin = { .is_nested = true,
                    .has_locks = !caller->keeping,
                    .is_replay = is_replay,
                    .is_journaled = caller->origin->is_journaled,
                    .is_silent = caller->origin->is_silent,
                    .frozen_us = caller->origin->frozen_us ? caller->origin->frozen_us : clock_wall_us(),
                    .speaker = "lua" },
        .protocol = 2,
        .effects = EFFECTS_TO_ALL,
        .is_read_only = reads_only || (subject->flags & SCRIPT_NO_WRITES),
        .heeds_memory = !is_replay && !(subject->flags & SCRIPT_ALLOW_OOM),
        .is_full = !is_replay && !(subject->flags & SCRIPT_ALLOW_OOM) && command_memory_is_full(),
        .slot = caller->keys->count > 0 ? (int32_t)caller->keys->at[0].shard : -1,
        .db_before = caller->client->db,
        .began_ns = clock_ticks_ns(),
    };
}

void script_run_end(struct script_run *run) {
    script_busy_end(run);
    run->caller->client->db = run->db_before;
    prepared_release(&run->prepared);
}

/* ---- its commands ---- */

static bool say(struct buf *why, const char *text) {
    buf_append(why, slice_of(text));
    return false;
}

static bool say_if(struct buf *why, const char *text) { return !text || say(why, text); }

/* A write may fail only before the script's first one: half a script would be worse. */
static bool may_write(const struct script_run *run, const struct command *command, struct buf *why) {
    if (!(command->flags & MAY_WRITE)) return true;
    if (run->is_read_only) return say(why, "ERR Write commands are not allowed from read-only scripts.");
    if (!(command->flags & WRITES) || run->wrote || run->origin.is_replay) return true;
    return !command_disk_refuses(why) && say_if(why, command_role_refuses());
}

/* Has the caller's user the permission? */
static bool is_permitted(const struct script_run *run, const struct slice *argv, size_t argc,
                         struct buf *why) {
    const struct client *c = run->caller->client;
    const struct command *command = run->prepared.command;
    if (LIKELY(c->user->is_unlimited) || run->origin.is_replay) return true;
    struct verdict v = client_ask_permission(c, command, argv, argc, c->db, ACCESS_LUA);
    if (!v.denial) return true;
    buf_append(why, LIT("ERR ACL failure in script: "));
    denial_tell(c->user, command, v, why);
    return false;
}

static bool may_run(const struct script_run *run, const struct slice *argv, size_t argc, struct buf *why) {
    const struct command *command = run->prepared.command;
    if (!command) return say(why, "ERR Unknown command called from script");
    if (!command_arity_fits(command, argc) || !command->run)
        return say(why, "ERR Wrong number of args calling command from script");
    if (command->flags & NOSCRIPT) return say(why, "ERR This Redis command is not allowed from script");
    if (obstacle_is_set(OBSTACLE_STALE) && !(command->flags & STALE) && !run->origin.is_replay)
        return say(why, "ERR Can not execute the command on a stale replica");
    if (!is_permitted(run, argv, argc, why)) return false;
    if (!may_write(run, command, why)) return false;
    if (run->wrote) return true;
    bool is_full = run->is_full && (command->flags & GROWS);
    if (is_full || (run->heeds_memory && command_meets_limit(command, argv, argc, run->caller->client->db))) {
        buf_append(why, error_text(ERR_OOM));
        return false;
    }
    return true;
}

static void count_refusal(const struct command *command, const struct buf *why) {
    if (command) stats_command_rejected(command);
    char code[32];
    size_t len = 0;
    while (len < why->len && why->ptr[len] != ' ' && len < sizeof code - 1) len++;
    memcpy(code, why->ptr, len);
    code[len] = '\0';
    stats_error(code);
}

/* Does the command keep to the shards that the script keeps? One that is not KEYED must touch no key at all.
 */
static bool keeps_to_its_keys(const struct script_run *run) {
    const struct command *command = run->prepared.command;
    if (command->kind != KEYED) return command->kind == LOCAL && !(command->flags & (READS | WRITES));
    const struct command_keys *keys = &run->prepared.keys;
    for (size_t i = 0; i < keys->count; i++)
        if (!shard_set_has(&run->caller->keeping->set, keys->at[i].shard)) return false;
    return true;
}

/* From now on it runs alone. */
void script_widen(struct script_run *run) {
    if (run->origin.has_locks) return;
    keeping_widen(run->caller->keeping);
    run->origin.has_locks = true;
}

static void run_now(struct script_run *run, struct call *call) {
    if (!run->origin.has_locks && !keeps_to_its_keys(run)) {
        atomic_store_explicit(&run->subject->wanders, true, memory_order_relaxed);
        script_widen(run);
    }
    if (run->prepared.command->flags & WRITES) run->wrote = true;
    run->origin.is_silent = run->caller->origin->is_silent || !(run->effects & EFFECTS_TO_AOF);
    command_run(call);
}

static enum script_ran run_prepared(struct script_run *run, const struct slice *argv, size_t argc,
                                    struct reply *out, struct buf *why) {
    const char *stopped = script_was_killed(run);
    if (stopped) {
        buf_append(why, slice_of(stopped));
        return SCRIPT_STOPPED;
    }
    struct call call;
    call_init(&call, run->caller->client, &run->origin);
    call.view.now_ms = run->origin.frozen_us / 1000;
    call.out = out;
    call.command = run->prepared.command;
    call.argv = argv;
    call.argc = argc;
    call_set_keys(&call, &run->prepared.keys);
    if (!may_run(run, argv, argc, why) || !script_slots_admit(run, &call, why)) {
        count_refusal(run->prepared.command, why);
        return SCRIPT_REFUSED;
    }
    run_now(run, &call);
    return SCRIPT_RAN;
}

enum script_ran script_run_command(struct script_run *run, const struct slice *argv, size_t argc,
                                   struct reply *out, struct buf *why) {
    dispatch_prepare(argv, argc, &run->prepared);
    script_close_gate(run);
    enum script_ran ran = run_prepared(run, argv, argc, out, why);
    script_open_gate(run);
    return ran;
}
