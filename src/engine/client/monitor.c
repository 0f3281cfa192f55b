/* monitor.c: the lines of MONITOR and who gets them.
 *
 * A line is built once, on the worker that runs the command, and sent by reference to each worker with
 * monitors. Two commands on one key are shown in the order in which they ran, because the line is posted
 * under the key's lock. */
#include "trivet/engine/client/monitor.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/engine/command/secret.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"

/* The monitors of one worker: its own list, and their number for the others. */
struct watchpost {
    struct client **at;
    size_t room;
    atomic_size_t count; /* written by the worker, or with the gate closed */
} CACHE_ALIGNED;

static struct watchpost watchposts[WORKERS_MAX];
static atomic_size_t total;

void monitor_start(struct client *c) {
    if (c->flags & CLIENT_MONITORING) return;
    assert(c->worker == worker_self() && !(c->flags & CLIENT_INTERNAL));
    struct watchpost *w = &watchposts[c->worker];
    size_t count = atomic_load_explicit(&w->count, memory_order_relaxed);
    GROW(w->at, count, &w->room, 4);
    w->at[count] = c;
    atomic_store_explicit(&w->count, count + 1, memory_order_relaxed);
    c->flags |= CLIENT_MONITORING;
    atomic_fetch_add_explicit(&total, 1, memory_order_relaxed);
    obstacle_set(OBSTACLE_MONITOR, true);
}

void monitor_stop(struct client *c) {
    if (!(c->flags & CLIENT_MONITORING)) return;
    c->flags &= ~(uint32_t)CLIENT_MONITORING;
    struct watchpost *w = &watchposts[c->worker];
    size_t count = atomic_load_explicit(&w->count, memory_order_relaxed), i = 0;
    while (i < count && w->at[i] != c) i++;
    assert(i < count);
    w->at[i] = w->at[--count];
    atomic_store_explicit(&w->count, count, memory_order_relaxed);
    if (count == 0) {
        mem_free(w->at);
        w->at = NULL;
        w->room = 0;
    }
    /* No MONITOR can begin meanwhile: it would need this worker's gate. */
    if (atomic_fetch_sub_explicit(&total, 1, memory_order_relaxed) == 1)
        obstacle_set(OBSTACLE_MONITOR, false);
}

/* ---- the line ---- */

/* Quoted as redis-cli does. */
static void append_quoted(struct buf *out, struct slice text) {
    static const char hex[] = "0123456789abcdef";
    static const char plain[] = "\\\"nrtab", special[] = "\\\"\n\r\t\a\b";
    buf_reserve(out, text.len + 3);
    buf_append(out, LIT(" \""));
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        const char *at = byte ? strchr(special, byte) : NULL;
        if (at) {
            buf_append(out, slice_make((char[]){ '\\', plain[at - special] }, 2));
        } else if (byte >= ' ' && byte <= '~') {
            buf_append_byte(out, (char)byte);
        } else {
            buf_append(out, slice_make((char[]){ '\\', 'x', hex[byte >> 4], hex[byte & 15] }, 4));
        }
    }
    buf_append_byte(out, '"');
}

static void append_origin(struct buf *out, const struct call *call) {
    const struct client *c = call->client;
    if (call->origin->speaker) {
        buf_printf(out, "[%u %s]", c->db, call->origin->speaker);
        return;
    }
    if (!(c->flags & CLIENT_UNIX_SOCKET)) {
        buf_printf(out, "[%u %s]", c->db, c->peer);
        return;
    }
    const char *colon = strrchr(c->peer, ':');
    size_t len = colon ? (size_t)(colon - c->peer) : strlen(c->peer);
    buf_printf(out, "[%u unix:%.*s]", c->db, (int)len, c->peer);
}

static struct blob *line_of(const struct call *c, int64_t now_us) {
    struct buf line = { 0 };
    buf_printf(&line, "+%lld.%06lld ", (long long)(now_us / 1000000), (long long)(now_us % 1000000));
    append_origin(&line, c);
    for (size_t i = 0; i < c->argc; i++)
        append_quoted(&line, argument_shown(c->command, c->argv, c->argc, i));
    buf_append(&line, LIT("\r\n"));
    struct blob *b = blob_of(buf_slice(&line));
    buf_release(&line);
    return b;
}

/* ---- its way ---- */

struct line_letter {
    struct letter letter;
    struct blob *line;
};

static void show_line(struct letter *self) {
    struct line_letter *l = CONTAINER_OF(self, struct line_letter, letter);
    struct watchpost *w = &watchposts[worker_self()];
    size_t count = atomic_load_explicit(&w->count, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        struct client *c = w->at[i];
        if (c->flags & (CLIENT_CLOSING | CLIENT_CLOSE_AFTER)) continue;
        reply_raw_blob(&c->reply, l->line);
        client_hooks.output(c);
    }
    blob_unref(l->line);
    mem_free(l);
}

void monitor_feed(const struct call *c, int64_t now_us) {
    assert(c->argc > 0);
    if (c->command->flags & ADMIN) return;
    struct blob *line = line_of(c, now_us);
    for (int worker = 0; worker < thread_worker_count; worker++) {
        if (atomic_load_explicit(&watchposts[worker].count, memory_order_relaxed) == 0) continue;
        struct line_letter *l = mem_alloc(sizeof *l);
        *l = (struct line_letter){ .letter = { .run = show_line }, .line = blob_ref(line) };
        worker_post(worker, &l->letter);
    }
    blob_unref(line);
}
