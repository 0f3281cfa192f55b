/* pause.c: see pause.h. */
#include "trivet/engine/client/pause.h"
#include "trivet/base/clock.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"

/* Of each purpose. In microseconds: in whole milliseconds, a pause could end up to one millisecond early. */
static struct pause {
    enum pause_mode mode;
    int64_t until_us;
} pauses[PAUSE_PURPOSES];

static atomic_size_t postponed_total;
/* This worker's clients whose command waits for the end of the pause. */
static _Thread_local uint64_t *postponed;
static _Thread_local size_t postponed_count, postponed_room;
static _Thread_local enum pause_mode postponed_by; /* the strictest mode that held one of them */

/* ---- the pauses ---- */

static int64_t instant_after_us(int64_t for_ms) {
    int64_t us;
    if (__builtin_mul_overflow(for_ms, 1000, &us) || __builtin_add_overflow(us, clock_wall_us(), &us))
        return INT64_MAX;
    return us;
}

static int64_t end_ms(const struct pause *p) { return p->until_us / 1000 + (p->until_us % 1000 > 0); }
static bool is_on(const struct pause *p, int64_t now_ms) {
    return p->mode != PAUSE_OFF && now_ms < end_ms(p);
}

void pause_begin(enum pause_purpose purpose, enum pause_mode mode, int64_t for_ms) {
    struct pause *p = &pauses[purpose];
    assert(exclusive_is_mine() && mode != PAUSE_OFF && for_ms >= 0);
    bool was_on = is_on(p, clock_wall_ms());
    int64_t until_us = instant_after_us(for_ms);
    if (!was_on || mode > p->mode) p->mode = mode;
    if (!was_on || until_us > p->until_us) p->until_us = until_us;
    obstacle_set(OBSTACLE_PAUSE, true);
}

static void check_letter(struct letter *self) {
    mem_free(self);
    pause_check(turn_now_ms);
}

void pause_end(enum pause_purpose purpose) {
    assert(exclusive_is_mine());
    pauses[purpose].mode = PAUSE_OFF;
    if (pause_mode_now(clock_wall_ms()) == PAUSE_OFF) obstacle_set(OBSTACLE_PAUSE, false);
    for (int i = 0; i < thread_worker_count; i++) {
        struct letter *l = mem_alloc(sizeof *l);
        l->run = check_letter;
        worker_post(i, l);
    }
}

bool pause_is_for(enum pause_purpose purpose, int64_t now_ms) { return is_on(&pauses[purpose], now_ms); }

enum pause_mode pause_mode_now(int64_t now_ms) {
    enum pause_mode mode = PAUSE_OFF;
    for (size_t i = 0; i < PAUSE_PURPOSES; i++)
        if (is_on(&pauses[i], now_ms) && pauses[i].mode > mode) mode = pauses[i].mode;
    return mode;
}

/* The pause that ends last among those of this mode or a stricter one; PAUSE_PURPOSES: none. */
static enum pause_purpose last_of(enum pause_mode mode, int64_t now_ms) {
    enum pause_purpose last = PAUSE_PURPOSES;
    for (enum pause_purpose i = 0; i < PAUSE_PURPOSES; i++) {
        if (!is_on(&pauses[i], now_ms) || pauses[i].mode < mode) continue;
        if (last == PAUSE_PURPOSES || pauses[i].until_us > pauses[last].until_us) last = i;
    }
    return last;
}

enum pause_purpose pause_purpose_now(int64_t now_ms) { return last_of(PAUSE_WRITES, now_ms); }

/* How long the mode of now holds. */
static int64_t left_of_ms(enum pause_mode mode, int64_t now_ms) {
    enum pause_purpose last = last_of(mode, now_ms);
    return last == PAUSE_PURPOSES ? 0 : pauses[last].until_us / 1000 - now_ms;
}

int64_t pause_left_ms(int64_t now_ms) { return left_of_ms(PAUSE_WRITES, now_ms); }

/* ---- clients that are held ---- */

/* What has its own order: a pause must not stop what a primary sends, nor what replicas acknowledge. */
#define NEVER_HELD (CLIENT_INTERNAL | CLIENT_PRIMARY | CLIENT_REPLICA)

bool pause_holds(const struct call *call, int64_t now_ms) {
    const struct client *c = call->client;
    const struct command *command = call->command;
    enum pause_mode now_mode = pause_mode_now(now_ms);
    if (now_mode == PAUSE_OFF || (command->flags & RUNS_PAUSED) || (c->flags & NEVER_HELD)) return false;
    if (now_mode == PAUSE_ALL) return true;
    uint32_t flags = command_flags(command, call->argv, call->argc);
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
    enum pause_mode mode = pause_mode_now(turn_now_ms);
    if (mode > postponed_by) postponed_by = mode;
    client_hooks.timer(c, left_of_ms(mode, turn_now_ms) + 1);
}

void pause_forget(struct client *c) {
    if (!(c->flags & CLIENT_POSTPONED)) return;
    c->flags &= ~(uint32_t)CLIENT_POSTPONED;
    c->held_input = c->held_arguments = 0;
    size_t before = atomic_fetch_sub_explicit(&postponed_total, 1, memory_order_relaxed);
    assert(before > 0);
}

void pause_check(int64_t now_ms) {
    if (postponed_count == 0) return;
    enum pause_mode mode = pause_mode_now(now_ms);
    if (mode != PAUSE_OFF && mode >= postponed_by) return;
    uint64_t *ids = postponed;
    size_t count = postponed_count;
    postponed = NULL; /* a resumed client may be postponed again at once */
    postponed_count = postponed_room = 0;
    postponed_by = PAUSE_OFF;
    for (size_t i = 0; i < count; i++) {
        struct client *c = client_find_here(ids[i]);
        if (!c || !(c->flags & CLIENT_POSTPONED)) continue;
        pause_forget(c);
        client_hooks.timer(c, -1);
        client_hooks.resume(c);
    }
    mem_free(ids);
}

void pause_thread_release(void) {
    mem_free(postponed);
    postponed = NULL;
    postponed_count = postponed_room = 0;
}

size_t pause_postponed_count(void) { return atomic_load_explicit(&postponed_total, memory_order_relaxed); }

/* ---- data that stands still ---- */

bool data_stands_still(int64_t now_ms) {
    return options.import_mode || (obstacles_now() & (OBSTACLE_BUSY | OBSTACLE_REPLICA)) ||
           pause_mode_now(now_ms) != PAUSE_OFF;
}

enum expiry expiry_for_client(const struct client *c, int64_t now_ms) {
    if (options.import_mode && (c->flags & CLIENT_IMPORT_SOURCE)) return EXPIRY_KEEPS;
    return data_stands_still(now_ms) ? EXPIRY_HIDES : EXPIRY_DELETES;
}
