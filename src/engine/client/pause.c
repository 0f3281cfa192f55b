/* pause.c: see pause.h. */
#include "trivet/engine/client/pause.h"
#include "trivet/base/clock.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"

/* In microseconds: in whole milliseconds, a pause could end up to one millisecond early. */
static enum pause_mode mode = PAUSE_OFF;
static int64_t paused_until_us;

static atomic_size_t postponed_total;
/* This worker's clients whose command waits for the end of the pause. */
static _Thread_local uint64_t *postponed;
static _Thread_local size_t postponed_count, postponed_room;

/* ---- the pause ---- */

static int64_t instant_after_us(int64_t for_ms) {
    int64_t us;
    if (__builtin_mul_overflow(for_ms, 1000, &us) || __builtin_add_overflow(us, clock_wall_us(), &us))
        return INT64_MAX;
    return us;
}

void pause_begin(enum pause_mode wanted, int64_t for_ms) {
    assert(exclusive_is_mine() && wanted != PAUSE_OFF && for_ms >= 0);
    enum pause_mode old = pause_mode_now(clock_wall_ms());
    int64_t until_us = instant_after_us(for_ms);
    mode = old > wanted ? old : wanted;
    if (old == PAUSE_OFF || until_us > paused_until_us) paused_until_us = until_us;
    obstacle_set(OBSTACLE_PAUSE, true);
}

static void check_letter(struct letter *self) {
    mem_free(self);
    pause_check(turn_now_ms);
}

void pause_end(void) {
    assert(exclusive_is_mine());
    mode = PAUSE_OFF;
    obstacle_set(OBSTACLE_PAUSE, false);
    for (int i = 0; i < thread_worker_count; i++) {
        struct letter *l = mem_alloc(sizeof *l);
        l->run = check_letter;
        worker_post(i, l);
    }
}

enum pause_mode pause_mode_now(int64_t now_ms) {
    return now_ms < paused_until_us / 1000 + (paused_until_us % 1000 > 0) ? mode : PAUSE_OFF;
}

int64_t pause_left_ms(int64_t now_ms) {
    return pause_mode_now(now_ms) == PAUSE_OFF ? 0 : paused_until_us / 1000 - now_ms;
}

/* ---- clients that are held ---- */

bool pause_holds(const struct client *c, const struct command *command, int64_t now_ms) {
    enum pause_mode now_mode = pause_mode_now(now_ms);
    if (now_mode == PAUSE_OFF || (command->flags & RUNS_PAUSED) || (c->flags & CLIENT_INTERNAL)) return false;
    if (now_mode == PAUSE_ALL) return true;
    uint32_t flags = command->flags;
    if (flags & RUNS_QUEUE) flags |= transaction_flags(c);
    return flags & (WRITES | MAY_REPLICATE);
}

void pause_postpone(const struct call *call) {
    struct client *c = call->client;
    assert(!(c->flags & (CLIENT_POSTPONED | CLIENT_BLOCKED | CLIENT_INTERNAL)));
    c->flags |= CLIENT_POSTPONED;
    c->last_command = call->command;
    c->held_arguments = 0;
    for (size_t i = 0; i < call->argc; i++) c->held_arguments += call->argv[i].len;
    atomic_fetch_add_explicit(&postponed_total, 1, memory_order_relaxed);
    GROW(postponed, postponed_count, &postponed_room, 16);
    postponed[postponed_count++] = c->id;
    client_hooks.timer(c, pause_left_ms(turn_now_ms) + 1);
}

void pause_forget(struct client *c) {
    if (!(c->flags & CLIENT_POSTPONED)) return;
    c->flags &= ~(uint32_t)CLIENT_POSTPONED;
    c->held_input = c->held_arguments = 0;
    size_t before = atomic_fetch_sub_explicit(&postponed_total, 1, memory_order_relaxed);
    assert(before > 0);
}

void pause_check(int64_t now_ms) {
    if (postponed_count == 0 || pause_mode_now(now_ms) != PAUSE_OFF) return;
    uint64_t *ids = postponed;
    size_t count = postponed_count;
    postponed = NULL; /* a resumed client may be postponed again at once */
    postponed_count = postponed_room = 0;
    for (size_t i = 0; i < count; i++) {
        struct client *c = client_find_here(ids[i]);
        if (!c || !(c->flags & CLIENT_POSTPONED)) continue;
        pause_forget(c);
        client_hooks.timer(c, -1);
        client_hooks.resume(c);
    }
    mem_free(ids);
}

size_t pause_postponed_count(void) { return atomic_load_explicit(&postponed_total, memory_order_relaxed); }

/* ---- data that stands still ---- */

bool data_stands_still(int64_t now_ms) { return options.import_mode || pause_mode_now(now_ms) != PAUSE_OFF; }

enum expiry expiry_for_client(const struct client *c, int64_t now_ms) {
    if (options.import_mode && (c->flags & CLIENT_IMPORT_SOURCE)) return EXPIRY_KEEPS;
    return data_stands_still(now_ms) ? EXPIRY_HIDES : EXPIRY_DELETES;
}
