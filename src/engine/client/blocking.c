/* blocking.c: clients that wait. See blocking.h. */
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
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
    assert(!c->blocked && call->origin->may_wait && timeout_ms >= 0);
    assert(!(c->flags & (CLIENT_BLOCKED | CLIENT_POSTPONED | CLIENT_INTERNAL)));
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

bool blocking_is_by(const struct client *c, blocked_end *end) { return c->blocked && c->blocked->end == end; }

const struct kept *blocked_command(const struct client *c) {
    assert(c->blocked);
    return c->blocked->kept;
}

void blocking_has_begun(const struct call *call) {
    assert(call->client->blocked);
    call->client->blocked->ns += call->ns;
}

/* Out of the waiting state; what the wait was about is the caller's from now on. */
static struct blocked leave(struct client *c) {
    assert(c->blocked && (c->flags & CLIENT_BLOCKED));
    struct blocked b = *c->blocked;
    mem_free(c->blocked);
    c->blocked = NULL;
    c->flags &= ~(uint32_t)CLIENT_BLOCKED;
    size_t blocked = atomic_fetch_sub_explicit(&blocked_clients, 1, memory_order_relaxed);
    assert(blocked > 0);
    if (b.has_timeout) {
        size_t timed = atomic_fetch_sub_explicit(&blocked_with_timeout, 1, memory_order_relaxed);
        assert(timed > 0);
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

/* True if the connection goes on: it is told where the primary is, and can ask there. */
static bool reply_role_changed(struct client *c, const struct blocked *b) {
    bool redirects = b->waiting && (c->flags & CLIENT_CAPA_REDIRECT) && client_redirect_text;
    if (redirects)
        reply_error_text(&c->reply, slice_of(client_redirect_text));
    else
        reply_error_text(&c->reply,
                         LIT("UNBLOCKED force unblock from blocking operation, instance state changed "
                             "(master -> replica?)"));
    return redirects;
}

/* False if it does not wait, or if somebody was faster: then the reply is in a letter to this worker. */
static bool withdraw(struct client *c) {
    assert(!(c->flags & CLIENT_BLOCKED) == !c->blocked);
    if (!c->blocked) return false;
    assert(c->worker == thread_worker_index);
    return !c->blocked->waiting || waiting_withdraw(c->blocked->waiting);
}

/* Ends the wait: with this error, or if there is none by the reason. False: see withdraw. */
static bool end_wait(struct client *c, enum unblock_reason reason, struct slice error) {
    if (!withdraw(c)) return false;
    struct blocked b = leave(c);
    struct reply *out = &c->reply;
    uint64_t before = out->total;
    out->failed = false;
    out->muted = b.muted;
    if (error.len > 0)
        reply_error_text(out, error);
    else if (UNLIKELY(reason == UNBLOCK_ROLE))
        c->flags |= reply_role_changed(c, &b) ? 0 : CLIENT_CLOSE_AFTER;
    else
        b.end(c, reason, b.arg);
    out->muted = false;
    finish(c, &b, out, out->total - before);
    return true;
}

bool blocking_finish(struct client *c, enum unblock_reason reason) {
    return end_wait(c, reason, (struct slice){ 0 });
}

bool blocking_refuse(struct client *c, struct slice error) { return end_wait(c, UNBLOCK_ERROR, error); }

bool blocking_cancel(struct client *c) {
    assert(c->worker == thread_worker_index || exclusive_is_mine());
    return c->blocked && (!c->blocked->waiting || waiting_cancel(c->blocked->waiting));
}

void blocking_served(struct client *c, struct reply *reply, int64_t ns) {
    uint64_t bytes = reply->total;
    assert(c->worker == thread_worker_index && c->blocked->waiting);
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
        pause_check(clock_wall_ms()); /* the turn may have begun before the end */
    else
        blocking_finish(c, UNBLOCK_TIMEOUT);
}

size_t blocking_count(void) {
    return atomic_load_explicit(&blocked_clients, memory_order_relaxed) + pause_postponed_count();
}
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

void blocking_forget(struct client *c) {
    pause_forget(c);
    assert(!(c->flags & CLIENT_BLOCKED) == !c->blocked);
    if (!c->blocked) return;
    if (c->blocked->waiting) waiting_withdraw(c->blocked->waiting);
    struct blocked b = leave(c);
    release(&b);
}
