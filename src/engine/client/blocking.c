/* blocking.c: waiting clients and CLIENT PAUSE. See blocking.h. */
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "waiting.h"
#include <math.h>

struct blocking_hooks blocking_hooks;

struct blocked {
    blocked_end *end;
    void *arg;               /* owned, unless `waiting` is set: then it is that */
    struct waiting *waiting; /* NULL: not for keys */
    struct kept *kept;       /* the command */
    int64_t ns;              /* time it has taken so far */
    uint64_t request_bytes;
    bool has_timeout;
    bool muted; /* CLIENT REPLY OFF or SKIP were in force when it began */
};

static atomic_size_t blocked_clients, blocked_with_timeout;

static void begin(struct call *call, int64_t timeout_ms, struct blocked b) {
    struct client *c = call->client;
    assert(!c->blocked && call->origin->may_wait);
    b.has_timeout = timeout_ms > 0;
    b.muted = call->out->muted;
    b.request_bytes = call->request_bytes;
    b.kept = kept_new(call);
    if (b.waiting) waiting_set_command(b.waiting, b.kept);
    c->blocked = mem_alloc(sizeof *c->blocked);
    *c->blocked = b;
    c->flags |= CLIENT_BLOCKED;
    atomic_fetch_add_explicit(&blocked_clients, 1, memory_order_relaxed);
    if (!b.has_timeout) return;
    atomic_fetch_add_explicit(&blocked_with_timeout, 1, memory_order_relaxed);
    client_hooks.timer(c, timeout_ms);
}

void blocking_begin(struct call *call, int64_t timeout_ms, blocked_end *end, void *arg) {
    begin(call, timeout_ms, (struct blocked){ .end = end, .arg = arg });
}

void blocking_begin_on(struct call *call, int64_t timeout_ms, blocked_end *end, struct waiting *w) {
    begin(call, timeout_ms, (struct blocked){ .end = end, .arg = w, .waiting = w });
}

void blocking_has_begun(const struct call *call) {
    assert(call->client->blocked);
    call->client->blocked->ns += call->ns;
}

/* Out of the waiting state; what the wait was about is the caller's from now on. */
static struct blocked leave(struct client *c) {
    struct blocked b = *c->blocked;
    mem_free(c->blocked);
    c->blocked = NULL;
    c->flags &= ~(uint32_t)CLIENT_BLOCKED;
    atomic_fetch_sub_explicit(&blocked_clients, 1, memory_order_relaxed);
    if (b.has_timeout) {
        atomic_fetch_sub_explicit(&blocked_with_timeout, 1, memory_order_relaxed);
        client_hooks.timer(c, -1);
    }
    return b;
}

static void release(struct blocked *b) {
    if (b->waiting)
        waiting_free(b->waiting);
    else
        mem_free(b->arg);
    kept_free(b->kept);
}

/* The command is done: the client has `bytes` of reply for it, with or without an error in `from`. */
static void finish(struct client *c, struct blocked *b, struct reply *from, uint64_t bytes) {
    struct call call = { .client = c,
                         .origin = &origin_connection,
                         .out = from,
                         .command = b->kept->command,
                         .argv = b->kept->argv,
                         .argc = b->kept->argc,
                         .keys = &b->kept->keys,
                         .request_bytes = b->request_bytes,
                         .ns = b->ns,
                         .reply_bytes = bytes };
    blocking_hooks.done(&call);
    release(b);
    client_hooks.resume(c);
}

bool blocking_finish(struct client *c, enum unblock_reason reason) {
    if (!c->blocked) return false;
    /* Somebody was faster: the reply is in a letter to this worker. */
    if (c->blocked->waiting && !waiting_withdraw(c->blocked->waiting)) return false;
    struct blocked b = leave(c);
    struct reply *out = &c->reply;
    uint64_t before = out->total;
    out->failed = false;
    out->muted = b.muted;
    b.end(c, reason, b.arg);
    out->muted = false;
    finish(c, &b, out, out->total - before);
    return true;
}

bool blocking_cancel(struct client *c) {
    return c->blocked && (!c->blocked->waiting || waiting_cancel(c->blocked->waiting));
}

void blocking_served(struct client *c, struct reply *reply, int64_t ns) {
    uint64_t bytes = reply->total;
    waiting_withdraw(c->blocked->waiting);
    struct blocked b = leave(c);
    b.ns += ns;
    c->reply.muted = b.muted;
    reply_move(&c->reply, reply);
    c->reply.muted = false;
    finish(c, &b, reply, bytes);
}

size_t blocking_arguments(const struct client *c) { return c->blocked ? c->blocked->kept->bytes : 0; }

size_t blocking_memory(const struct client *c) {
    const struct blocked *b = c->blocked;
    if (!b) return 0;
    return sizeof *b + sizeof *b->kept + b->kept->memory + (b->waiting ? waiting_memory(b->waiting) : 0);
}

void blocking_reply_unblocked(struct reply *out) {
    reply_error_text(out, LIT("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
}

void blocking_timeout(struct client *c) {
    if (c->flags & CLIENT_POSTPONED)
        pause_check(turn_now_ms);
    else
        blocking_finish(c, UNBLOCK_TIMEOUT);
}

size_t blocking_count(void) { return atomic_load_explicit(&blocked_clients, memory_order_relaxed); }
size_t blocking_timeout_count(void) {
    return atomic_load_explicit(&blocked_with_timeout, memory_order_relaxed);
}

/* ---- timeouts as arguments ---- */

bool blocking_parse_seconds(struct call *c, struct slice text, int64_t *timeout_ms) {
    long double seconds;
    if (!long_double_parse(text, &seconds)) {
        reply_error_text(c->out, LIT("ERR timeout is not a float or out of range"));
        return false;
    }
    if (seconds < 0) {
        reply_error(c->out, ERR_TIMEOUT_NEGATIVE);
        return false;
    }
    long double ms = ceill(seconds * 1000);
    if (ms > (long double)(INT64_MAX - c->view.now_ms)) {
        reply_error_text(c->out, LIT("ERR timeout is out of range"));
        return false;
    }
    *timeout_ms = (int64_t)ms;
    return true;
}

bool blocking_parse_ms(struct call *c, struct slice text, int64_t *timeout_ms) {
    int64_t ms;
    if (!int64_parse(text, &ms)) {
        reply_error_text(c->out, LIT("ERR timeout is not an integer or out of range"));
        return false;
    }
    if (ms < 0) {
        reply_error(c->out, ERR_TIMEOUT_NEGATIVE);
        return false;
    }
    if (ms > INT64_MAX - c->view.now_ms) {
        reply_error_text(c->out, LIT("ERR timeout is out of range"));
        return false;
    }
    *timeout_ms = ms;
    return true;
}

/* ---- the pause ---- */

static enum pause_mode mode = PAUSE_OFF;
static int64_t paused_until_ms;

/* This worker's clients whose command waits for the end of the pause. */
static _Thread_local uint64_t *postponed;
static _Thread_local size_t postponed_count, postponed_room;

void pause_begin(enum pause_mode wanted, int64_t until_ms) {
    int64_t now = turn_now_ms;
    enum pause_mode old = pause_mode_now(now);
    mode = old > wanted ? old : wanted;
    paused_until_ms = old != PAUSE_OFF && paused_until_ms > until_ms ? paused_until_ms : until_ms;
    obstacle_set(OBSTACLE_PAUSE, true);
}

static void check_letter(struct letter *self) {
    mem_free(self);
    pause_check(turn_now_ms);
}

void pause_end(void) {
    mode = PAUSE_OFF;
    obstacle_set(OBSTACLE_PAUSE, false);
    for (int i = 0; i < thread_worker_count; i++) {
        struct letter *l = mem_alloc(sizeof *l);
        l->run = check_letter;
        worker_post(i, l);
    }
}

enum pause_mode pause_mode_now(int64_t now_ms) { return now_ms < paused_until_ms ? mode : PAUSE_OFF; }

int64_t pause_left_ms(int64_t now_ms) {
    return pause_mode_now(now_ms) == PAUSE_OFF ? 0 : paused_until_ms - now_ms;
}

bool pause_holds(const struct client *c, const struct command *command, int64_t now_ms) {
    enum pause_mode now_mode = pause_mode_now(now_ms);
    if (now_mode == PAUSE_OFF || (command->flags & RUNS_PAUSED) || (c->flags & CLIENT_INTERNAL)) return false;
    if (now_mode == PAUSE_ALL) return true;
    uint32_t flags = command->flags;
    if (flags & RUNS_QUEUE) flags |= transaction_flags(c);
    return flags & (WRITES | MAY_REPLICATE);
}

void pause_postpone(struct client *c) {
    c->flags |= CLIENT_POSTPONED;
    if (postponed_count == postponed_room) {
        postponed_room = postponed_room ? postponed_room * 2 : 16;
        postponed = mem_realloc(postponed, postponed_room * sizeof *postponed);
    }
    postponed[postponed_count++] = c->id;
    client_hooks.timer(c, pause_left_ms(turn_now_ms) + 1);
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
        c->flags &= ~(uint32_t)CLIENT_POSTPONED;
        client_hooks.timer(c, -1);
        client_hooks.resume(c);
    }
    mem_free(ids);
}

void blocking_forget(struct client *c) {
    c->flags &= ~(uint32_t)CLIENT_POSTPONED;
    if (!c->blocked) return;
    if (c->blocked->waiting) waiting_withdraw(c->blocked->waiting);
    struct blocked b = leave(c);
    release(&b);
}
