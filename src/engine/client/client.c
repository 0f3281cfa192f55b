/* client.c: the workers' lists of clients, their birth and end, and their one-line description. */
#include "trivet/engine/client/client.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/client/monitor.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/types/structures/table.h"

struct client_hooks client_hooks;
const char *client_redirect_text;

/* The clients of one worker. */
struct roster {
    struct chain clients;
    struct table by_id;
    atomic_size_t count; /* for others to read */
} CACHE_ALIGNED;

static struct roster rosters[WORKERS_MAX];
static atomic_uint_fast64_t next_id = 1;
static atomic_size_t total;

static struct slice client_id_key(const void *item) {
    return slice_make(&((const struct client *)item)->id, sizeof(uint64_t));
}
static const struct table_ops client_table_ops = { .key = client_id_key };

static uint64_t id_hash(uint64_t id) { return hash_bytes(slice_make(&id, sizeof id)); }

void client_init(struct client *c, uint32_t flags) {
    assert(!c->transaction && !c->subscriptions && !c->tracking && !c->blocked);
    c->id = flags & CLIENT_INTERNAL ? 0 : atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    c->worker = worker_self();
    c->flags = flags;
    client_log_out(c);
    c->fd = -1;
    c->created_ms = c->active_ms = turn_now_ms;
    reply_init(&c->reply, 2);
    if (flags & CLIENT_INTERNAL) return;
    assert(c->worker >= 0 && c->worker < thread_worker_count);
    struct roster *r = &rosters[c->worker];
    if (!r->by_id.ops) table_init(&r->by_id, &client_table_ops);
    table_insert(&r->by_id, c, id_hash(c->id));
    chain_insert_first(&r->clients, &c->in_roster);
    atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&total, 1, memory_order_relaxed);
}

static void leave_roster(struct client *c) {
    struct roster *r = &rosters[c->worker];
    table_remove_item(&r->by_id, c, id_hash(c->id));
    chain_remove(&r->clients, &c->in_roster);
    atomic_fetch_sub_explicit(&r->count, 1, memory_order_relaxed);
    size_t clients = atomic_fetch_sub_explicit(&total, 1, memory_order_relaxed);
    assert(clients > 0);
    if (chain_is_empty(&r->clients)) table_release(&r->by_id, NULL);
}

/* The marks of a client that is tied to keys, channels or other clients. */
#define TAKES_PART                                                                                    \
    (CLIENT_IN_MULTI | CLIENT_MULTI_BROKEN | CLIENT_MONITORING | CLIENT_SUBSCRIBED | CLIENT_BLOCKED | \
     CLIENT_POSTPONED | CLIENT_TRACKING)
static void leave_everything(struct client *c) {
    blocking_forget(c);
    transaction_release(c);
    pubsub_leave_all(c);
    tracking_stop(c);
    monitor_stop(c);
    assert(!(c->flags & TAKES_PART));
}

void client_release(struct client *c) {
    leave_everything(c);
    if (!(c->flags & CLIENT_INTERNAL)) {
        client_uncount(c);
        leave_roster(c);
    }
    reply_release(&c->reply);
    mem_free(c->name);
    mem_free(c->lib_name);
    mem_free(c->lib_version);
}

void client_reset(struct client *c) {
    leave_everything(c);
    client_set_text(&c->name, LIT(""));
    c->flags &= CLIENT_UNIX_SOCKET | CLIENT_TLS | CLIENT_INTERNAL | CLIENT_CLOSE_AFTER | CLIENT_CLOSING;
    c->db = 0;
    c->reply.protocol = 2;
    client_log_out(c);
}

enum client_class client_class(const struct client *c) {
    if (UNLIKELY(c->flags & CLIENT_REPLICA)) return CLASS_REPLICA;
    return c->flags & CLIENT_SUBSCRIBED ? CLASS_PUBSUB : CLASS_NORMAL;
}

/* States that have a letter but no flag. */
#define LETTER_BROADCAST (1u << 30)
#define LETTER_WATCH_BROKEN (1u << 31)

static uint32_t states_of(const struct client *c) {
    uint32_t states = c->flags;
    if (tracking_is_broadcast(c)) states |= LETTER_BROADCAST;
    if (transaction_is_broken(c)) states |= LETTER_WATCH_BROKEN;
    return states;
}

/* In the order in which they are shown. */
static void describe_flags(const struct client *c, struct buf *out) {
    static const struct {
        uint32_t states;
        char letter;
    } letters[] = {
        { CLIENT_REPLICA, 'S' },       { CLIENT_PRIMARY, 'M' },
        { CLIENT_MONITORING, 'O' },    { CLIENT_SUBSCRIBED, 'P' },
        { CLIENT_IN_MULTI, 'x' },      { CLIENT_BLOCKED | CLIENT_POSTPONED, 'b' },
        { CLIENT_TRACKING, 't' },      { CLIENT_TRACKING_BROKEN_REDIRECT, 'R' },
        { LETTER_BROADCAST, 'B' },     { LETTER_WATCH_BROKEN, 'd' },
        { CLIENT_CLOSE_AFTER, 'c' },   { CLIENT_CLOSING, 'A' },
        { CLIENT_UNIX_SOCKET, 'U' },   { CLIENT_READONLY_SLOT, 'r' },
        { CLIENT_NO_EVICT, 'e' },      { CLIENT_NO_TOUCH, 'T' },
        { CLIENT_IMPORT_SOURCE, 'I' }, { CLIENT_SLOT_IMPORT, 'i' },
        { CLIENT_SLOT_EXPORT, 'E' },
    };
    uint32_t states = states_of(c);
    size_t before = out->len;
    for (size_t i = 0; i < COUNT_OF(letters); i++)
        if (states & letters[i].states) buf_append_byte(out, letters[i].letter);
    if (out->len == before) buf_append_byte(out, 'N');
}

static const char *text_or_empty(const char *text) { return text ? text : ""; }

static void describe_memory(const struct client *c, struct buf *out) {
    size_t input_free = c->input_room > c->input_pending ? c->input_room - c->input_pending : 0;
    size_t behind = client_hooks.behind ? client_hooks.behind(c) : 0;
    struct reply_shape r = reply_shape(&c->reply);
    buf_printf(out, " qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=%zu", c->input_pending - c->held_input,
               input_free, client_argument_bytes(c), client_queued_bytes(c));
    buf_printf(out, " rbs=%zu rbp=%zu obl=%zu oll=%u omem=%zu tot-mem=%zu", r.first_size, c->reply_peak,
               r.first_bytes, r.rest_blocks, r.rest_memory + behind, client_memory(c) + behind);
}

void client_describe(const struct client *c, int64_t now_ms, struct buf *out) {
    struct pubsub_counts subs = pubsub_counts(c);
    buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s", (unsigned long long)c->id, c->peer, c->local,
               c->fd, text_or_empty(c->name));
    buf_printf(out, " age=%lld idle=%lld flags=", (long long)(now_ms - c->created_ms) / 1000,
               (long long)(now_ms - c->active_ms) / 1000);
    describe_flags(c, out);
    buf_printf(out, " capa=%s db=%u sub=%zu psub=%zu ssub=%zu", c->flags & CLIENT_CAPA_REDIRECT ? "r" : "",
               c->db, subs.channels, subs.patterns, subs.shard_channels);
    long long queued = c->flags & CLIENT_IN_MULTI ? (long long)transaction_length(c) : -1;
    buf_printf(out, " multi=%lld watch=%zu", queued, transaction_watched(c));
    describe_memory(c, out);
    buf_printf(out, " events=%s cmd=%s", c->reply.bytes ? "rw" : "r",
               c->last_command ? c->last_command->full_name : "NULL");
    const char *user = c->flags & CLIENT_PRIMARY ? "(superuser)" : c->user->name;
    long long redirect = tracking_redirect(c);
    buf_printf(out, " user=%s redir=%lld resp=%d lib-name=%s lib-ver=%s", user, redirect, c->reply.protocol,
               text_or_empty(c->lib_name), text_or_empty(c->lib_version));
    buf_printf(out, " tot-net-in=%llu tot-net-out=%llu tot-cmds=%llu", (unsigned long long)c->bytes_in,
               (unsigned long long)c->bytes_out, (unsigned long long)c->commands);
}

bool client_name_is_valid(struct slice name) {
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < '!' || name.ptr[i] > '~') return false;
    return true;
}

void client_set_text(char **field, struct slice text) {
    mem_free(*field);
    *field = text.len ? slice_to_cstr(text) : NULL;
}

struct client *client_first_standing_still(int worker) {
    return CHAIN_FIRST(&rosters[worker].clients, struct client, in_roster);
}

struct client *client_first(int worker) {
    assert(worker == worker_self() || exclusive_is_mine());
    return client_first_standing_still(worker);
}

static struct client *find_on(int worker, uint64_t id) {
    struct roster *r = &rosters[worker];
    if (chain_is_empty(&r->clients)) return NULL;
    return table_find(&r->by_id, slice_make(&id, sizeof id), id_hash(id));
}

struct client *client_find_here(uint64_t id) {
    return find_on(worker_self(), id);
}

struct client *client_find_anywhere(uint64_t id) {
    assert(exclusive_is_mine());
    for (int worker = 0; worker < thread_worker_count; worker++) {
        struct client *c = find_on(worker, id);
        if (c) return c;
    }
    return NULL;
}

atomic_int client_strangers;

size_t client_count(void) { return atomic_load_explicit(&total, memory_order_relaxed); }

size_t client_count_on(int worker) {
    assert(worker >= 0 && worker < thread_worker_count);
    return atomic_load_explicit(&rosters[worker].count, memory_order_relaxed);
}

/* ---- letters to a client ---- */

struct client_letter {
    struct letter letter;
    uint64_t id;
    void (*fn)(struct client *c, void *arg);
    void *arg;
};

static void open_letter(struct letter *self) {
    struct client_letter *l = CONTAINER_OF(self, struct client_letter, letter);
    l->fn(client_find_here(l->id), l->arg);
    mem_free(l);
}

void client_post(int worker, uint64_t id, void (*fn)(struct client *c, void *arg), void *arg) {
    struct client_letter *l = mem_alloc(sizeof *l);
    *l = (struct client_letter){ .letter = { .run = open_letter }, .id = id, .fn = fn, .arg = arg };
    worker_post(worker, &l->letter);
}

/* ---- the end of a client, wherever it lives ---- */

/* On the client's worker. */
static void close_letter(struct client *c, void *why) {
    if (c) client_hooks.close(c, why);
}

void client_kill(struct client *target, struct client *caller, const char *why) {
    assert(exclusive_is_mine());
    if (target == caller) {
        target->flags |= CLIENT_CLOSE_AFTER;
        return;
    }
    target->flags |= CLIENT_CLOSING;
    blocking_cancel(target); /* the dead take no elements */
    client_post(target->worker, target->id, close_letter, unconst(why));
}
