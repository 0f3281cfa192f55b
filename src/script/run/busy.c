/* busy.c: see busy.h. */
#include "trivet/script/run/busy.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"

struct script_hooks script_hooks;

/* Set with the gate closed. */
static struct script_run *busy;
/* Somebody asked the busy script to stop. */
static atomic_bool killed;

const struct script_run *script_busy(void) { return busy; }

static const char *text_of_kill(const struct script_run *run) {
    return run->subject->is_function ? "ERR Script killed by user with FUNCTION KILL."
                                     : "ERR Script killed by user with SCRIPT KILL.";
}

static const char *busy_text(const struct script_run *run) {
#define BUSY_TEXT(server, kind) \
    "BUSY " server " is busy running a script. You can only call " kind " KILL or SHUTDOWN NOSAVE."
    static const char *const texts[2][2] = { { BUSY_TEXT("Valkey", "SCRIPT"), BUSY_TEXT("Redis", "SCRIPT") },
                                             { BUSY_TEXT("Valkey", "FUNCTION"),
                                               BUSY_TEXT("Redis", "FUNCTION") } };
    return texts[run->subject->is_function][options.extended_redis_compatibility];
}

/* From now on others are answered while it computes. */
static void begin(struct script_run *run, int64_t ran_ms) {
    LOG_WARNING(
        "Slow script detected: still in execution after %lld milliseconds. You can try killing the script "
        "using the %s KILL command. Script name is: %s.",
        (long long)ran_ms, run->subject->is_function ? "FUNCTION" : "SCRIPT", run->subject->name);
    script_widen(run);
    assert(!busy && exclusive_is_mine());
    atomic_store_explicit(&killed, false, memory_order_relaxed);
    busy = run;
    command_busy_text = busy_text(run);
    obstacle_set(OBSTACLE_BUSY, true);
    run->gate_depth = exclusive_open();
}

const char *script_look_around(struct script_run *run) {
    int64_t threshold_ms = options.busy_reply_threshold_ms;
    int64_t ran_ms = (clock_ticks_ns() - run->began_ns) / 1000000;
    if (run->gate_depth == 0) {
        if (threshold_ms == 0 || ran_ms < threshold_ms || !script_hooks.take_turn || run->origin.is_replay)
            return NULL;
        begin(run, ran_ms);
    }
    script_hooks.take_turn();
    return script_was_killed(run);
}

const char *script_was_killed(const struct script_run *run) {
    if (run->gate_depth == 0) return NULL;
    if (script_hooks.is_shutting_down()) return "ERR The server is shutting down.";
    return atomic_load_explicit(&killed, memory_order_relaxed) ? text_of_kill(run) : NULL;
}

/* The busy script calls a command, or ends: what it does must be its own again. */
void script_close_gate(struct script_run *run) {
    if (run->gate_depth > 0) exclusive_close(run->gate_depth);
}

void script_open_gate(struct script_run *run) {
    if (run->gate_depth > 0) exclusive_open();
}

void script_busy_end(struct script_run *run) {
    if (run->gate_depth == 0) return;
    exclusive_close(run->gate_depth);
    run->gate_depth = 0;
    assert(busy == run);
    busy = NULL;
    obstacle_set(OBSTACLE_BUSY, false);
    /* SHUTDOWN NOSAVE ended it in the middle: half of its effects must not reach the journal. */
    if (script_hooks.is_shutting_down()) change_drop();
}

bool script_kill(struct call *c, bool function) {
    if (!busy) {
        reply_error_text(c->out, LIT("NOTBUSY No scripts in execution right now."));
    } else if (busy->subject->is_function != function) {
        reply_error_text(c->out, slice_of(command_busy_text));
    } else if (busy->wrote) {
        reply_error_text(
            c->out, LIT("UNKILLABLE Sorry the script already executed write commands against the dataset. "
                        "You can either wait the script termination or kill the server in a hard way "
                        "using the SHUTDOWN NOSAVE command."));
    } else {
        atomic_store_explicit(&killed, true, memory_order_relaxed);
        return true;
    }
    return false;
}
