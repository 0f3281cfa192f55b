/* blocking_keys.c: clients that wait for keys, and serving them. The idea is told in blocking.h.
 *
 * A struct waiting knows a copy of the command and has one link for each key. A link is in the queue of its
 * key's interest, under that shard's lock. The struct belongs to its client's worker: only that worker frees
 * it, after it took all links out. It is served under the lock of a shard in which it has a link, so it
 * cannot be freed meanwhile. Two keys may change at once on two workers: `state` lets one of them serve. */
#include "trivet/base/clock.h"
#include "trivet/base/grow.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/interest.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/persist/backlog.h"
#include "waiting.h"
#include <sched.h>

enum waiting_state {
    WAITING,
    SERVING,   /* by somebody who will make it SERVED or WAITING again */
    SERVED,    /* the reply is on its way */
    CANCELLED, /* its worker is about to end the wait */
};

struct waiting_link {
    struct waiting *of;
    struct interest *on; /* NULL: taken out */
    uint32_t shard;
    size_t argument;          /* which argument is the key */
    struct chain_link at_key; /* in its interest's `waiting` */
};

struct waiting {
    atomic_int state;
    uint64_t client_id;
    int worker;
    uint32_t db;
    uint8_t protocol;
    bool needs_others;
    enum value_type only;
    enum blocked_null null;
    const struct user *user;
    const struct kept *kept; /* the command; owned by the client's struct blocked, which goes later */
    size_t link_count;
    struct waiting_link links[];
};

static atomic_size_t key_count, absence_key_count;

/* Whoever waits for any type is run again when the key goes. */
static bool waits_for_absence(const struct waiting *w) { return w->only == TYPE_STRING; }

/* ---- beginning ---- */

static void link_in(struct waiting *w, struct waiting_link *l) {
    assert(!l->on && l->of == w);
    struct interest *i = interest_make(l->shard, w->db, w->kept->argv[l->argument]);
    if (chain_is_empty(&i->waiting)) atomic_fetch_add_explicit(&key_count, 1, memory_order_relaxed);
    l->on = i;
    chain_insert_last(&i->waiting, &l->at_key);
    if (w->needs_others) shards[l->shard].interests->exclusive_waiters++;
    if (waits_for_absence(w) && i->absence_waiters++ == 0)
        atomic_fetch_add_explicit(&absence_key_count, 1, memory_order_relaxed);
}

static void link_out(struct waiting_link *l) {
    struct interest *i = l->on;
    if (!i) return;
    chain_remove(&i->waiting, &l->at_key);
    l->on = NULL;
    if (l->of->needs_others) {
        assert(shards[l->shard].interests->exclusive_waiters > 0);
        shards[l->shard].interests->exclusive_waiters--;
    }
    if (waits_for_absence(l->of)) {
        assert(i->absence_waiters > 0);
        if (--i->absence_waiters == 0) atomic_fetch_sub_explicit(&absence_key_count, 1, memory_order_relaxed);
    }
    if (chain_is_empty(&i->waiting)) {
        size_t keys = atomic_fetch_sub_explicit(&key_count, 1, memory_order_relaxed);
        assert(keys > 0);
    }
    interest_drop(i);
}

static void reply_nothing(struct reply *out, enum blocked_null null) {
    if (null == BLOCKED_NULL_ARRAY)
        reply_null_array(out);
    else
        reply_null(out);
}

static void end_wait(struct client *c, enum unblock_reason reason, void *arg) {
    const struct waiting *w = arg;
    if (reason == UNBLOCK_TIMEOUT) reply_nothing(&c->reply, w->null);
    if (reason == UNBLOCK_ERROR) blocking_reply_unblocked(&c->reply);
}

void blocking_on_keys(struct call *c, struct key_range keys, int64_t timeout_ms, enum blocked_null null) {
    if (c->origin->waits_already) return;
    if (!c->origin->may_wait) {
        reply_nothing(c->out, null);
        return;
    }
    assert(keys.first > 0 && keys.count > 0 && keys.first + keys.count <= c->argc);
    struct waiting *w = mem_alloc_zero(sizeof *w + keys.count * sizeof w->links[0]);
    w->client_id = c->client->id;
    w->worker = c->client->worker;
    w->db = c->view.db;
    w->protocol = c->out->protocol;
    w->needs_others = keys.needs_others;
    w->only = keys.only;
    w->null = null;
    w->user = c->client->user;
    w->link_count = keys.count;
    for (size_t i = 0; i < keys.count; i++) {
        struct waiting_link *l = &w->links[i];
        l->of = w;
        l->argument = keys.first + i;
        l->shard = keyspace_shard(&c->view, c->argv[l->argument]);
    }
    blocking_begin_on(c, timeout_ms, end_wait, w);
    for (size_t i = 0; i < keys.count; i++) link_in(w, &w->links[i]);
}

void waiting_set_command(struct waiting *w, const struct kept *kept) {
    assert(!w->kept);
    w->kept = kept;
}

size_t waiting_memory(const struct waiting *w) { return sizeof *w + w->link_count * sizeof w->links[0]; }

bool call_may_touch(const struct call *c, size_t index) {
    assert(index < c->argc);
    return !c->origin->waits_already || slice_equal(c->argv[index], c->argv[c->ready_key]);
}

/* ---- ending ---- */

bool waiting_withdraw(struct waiting *w) {
    for (size_t i = 0; i < w->link_count; i++) {
        struct shard *s = &shards[w->links[i].shard];
        bool lock = !exclusive_is_mine();
        if (lock) shard_lock(s);
        link_out(&w->links[i]);
        if (lock) shard_unlock(s);
    }
    /* Nobody can reach it any more, so the state is final. */
    return atomic_load_explicit(&w->state, memory_order_acquire) != SERVED;
}

bool waiting_cancel(struct waiting *w) {
    int state = WAITING;
    return atomic_compare_exchange_strong(&w->state, &state, CANCELLED) || state == CANCELLED;
}

void waiting_free(struct waiting *w) {
    for (size_t i = 0; i < w->link_count; i++) assert(!w->links[i].on);
    mem_free(w);
}

/* ---- serving ---- */

/* Keys of this worker's running command that changed and are waited for. */
struct ready {
    uint32_t db;
    uint32_t shard;
    struct buf key;
};

/* A reply on its way. */
struct served {
    struct letter letter;
    struct served *next;
    int worker;
    uint64_t client_id;
    uint64_t journal_offset;
    int64_t ns;             /* its command's time */
    struct verdict verdict; /* its user may not run the command any more */
    struct reply reply;
};

static _Thread_local struct blocking_work {
    struct ready *ready;
    size_t count, room;
    size_t next; /* those before it are being served, or have been */
    struct served *served, *last_served;
} work;

bool blocking_has_work(void) { return work.count > 0 || work.served; }

void blocking_key_changed(struct shard *s, uint32_t db, struct slice key) {
    struct interest *i = interest_find(s, db, key);
    if (!i || chain_is_empty(&i->waiting)) return;
    assert(&shards[i->shard] == s);
    for (size_t r = work.next; r < work.count; r++)
        if (work.ready[r].db == db && slice_equal(buf_slice(&work.ready[r].key), key)) return;
    GROW(work.ready, work.count, &work.room, 8);
    struct ready *r = &work.ready[work.count++];
    *r = (struct ready){ .db = db, .shard = i->shard };
    buf_append(&r->key, key);
}

struct database_change {
    struct shard *shard;
    uint32_t db, other;
};

static void note_if_concerned(void *arg, struct interest *i) {
    struct database_change *change = arg;
    uint32_t db;
    struct slice key = interest_key(i, &db);
    if (db == change->db || db == change->other) blocking_key_changed(change->shard, db, key);
}

void blocking_databases_changed(uint32_t db, uint32_t other) {
    assert(exclusive_is_mine());
    if (blocking_keys_count() == 0) return;
    for (uint32_t i = 0; i < shard_count; i++) {
        struct database_change change = { &shards[i], db, other };
        interest_each(&shards[i], note_if_concerned, &change);
    }
}

bool blocking_needs_gate(const struct shard *s) {
    return s->interests && s->interests->exclusive_waiters > 0 && !exclusive_is_mine();
}

size_t blocking_keys_count(void) { return atomic_load_explicit(&key_count, memory_order_relaxed); }
size_t blocking_absence_keys_count(void) {
    return atomic_load_explicit(&absence_key_count, memory_order_relaxed);
}

/* One of the two that may want to serve it at once wins; the other waits till it is known whether the first
 * could. */
static bool claim(struct waiting *w) {
    for (;;) {
        int state = WAITING;
        if (atomic_compare_exchange_strong(&w->state, &state, SERVING)) return true;
        if (state != SERVING) return false;
        sched_yield();
    }
}

/* The user's permissions may have changed since the client began to wait. */
static bool is_denied(const struct waiting *w, struct served *out) {
    const struct kept *k = w->kept;
    out->verdict = permission_ask(w->user, k->command, k->argv, k->argc, w->db);
    if (LIKELY(!out->verdict.denial)) return false;
    struct buf text = { 0 };
    buf_append(&text, LIT("NOPERM "));
    denial_tell(w->user, k->command, out->verdict, &text);
    reply_error_text(&out->reply, buf_slice(&text));
    buf_release(&text);
    return true;
}

/* Runs its command again. Returns the reply, or NULL if it still has none. The client itself is another
 * worker's: a stand-in has what a command may ask of it. */
static struct served *run_again(const struct waiting *w, size_t argument, int64_t now_ms) {
    assert(argument > 0 && argument < w->kept->argc);
    struct served *out = mem_alloc_zero(sizeof *out);
    struct client stand_in = {
        .flags = CLIENT_INTERNAL, .db = w->db, .authenticated = true, .user = unconst(w->user), .fd = -1
    };
    reply_init(&out->reply, w->protocol);
    if (is_denied(w, out)) return out;
    struct call call = {
        .client = &stand_in,
        .origin = &origin_waiter,
        .out = &out->reply,
        .command = w->kept->command,
        .argv = w->kept->argv,
        .argc = w->kept->argc,
        .view = { .db = w->db, .now_ms = now_ms, .expiry = expiry_for_client(&stand_in, now_ms) },
        .ready_key = argument,
    };
    call_set_keys(&call, &w->kept->keys);
    blocking_hooks.run(&call);
    out->ns = call.ns;
    if (!reply_is_empty(&out->reply)) return out;
    mem_free(out);
    return NULL;
}

/* True if the client got its reply; its link to this key is out then. */
static bool serve_one(struct waiting_link *l, int64_t now_ms) {
    struct waiting *w = l->of;
    if (!claim(w)) return false;
    struct served *out = run_again(w, l->argument, now_ms);
    if (!out) {
        atomic_store_explicit(&w->state, WAITING, memory_order_release);
        return false;
    }
    out->worker = w->worker;
    out->client_id = w->client_id;
    link_out(l);
    /* From here on its worker may free it as soon as it can lock this shard. */
    atomic_store_explicit(&w->state, SERVED, memory_order_release);
    if (work.last_served)
        work.last_served->next = out;
    else
        work.served = out;
    work.last_served = out;
    return true;
}

/* Of a thousand clients that wait for a list, all but the first few find it gone again: this is cheaper than
 * to run their commands. */
static bool may_serve(const struct waiting *w, const struct ready *r, uint64_t hash) {
    if (waits_for_absence(w)) return true;
    const struct keydb *kdb = shard_db(&shards[r->shard], r->db);
    const struct entry *e = kdb ? table_find(&kdb->table, buf_slice(&r->key), hash) : NULL;
    return e && e->type == w->only;
}

static void serve_key(const struct ready *r, int64_t now_ms) {
    struct interest *i = interest_find(&shards[r->shard], r->db, buf_slice(&r->key));
    if (!i) return;
    uint64_t hash = hash_bytes(buf_slice(&r->key));
    /* Serving the last client frees `i`. */
    CHAIN_EACH(&i->waiting, struct waiting_link, at_key, l)
    if (may_serve(l->of, r, hash)) serve_one(l, now_ms);
}

void blocking_serve(void) {
    assert(work.next == 0);           /* serving does not begin while it is under way */
    int64_t now_ms = clock_wall_ms(); /* what expired since the command began serves nobody */
    /* Serving may change further keys (BLMOVE's destination), which are appended. */
    while (work.next < work.count) {
        struct ready r = work.ready[work.next++]; /* a copy: the array may move */
        serve_key(&r, now_ms);
        buf_release(&r.key);
    }
    work.count = work.next = 0;
}

static void arrive(struct letter *self) {
    struct served *s = CONTAINER_OF(self, struct served, letter);
    assert(s->worker == worker_self());
    struct client *c = client_find_here(s->client_id);
    if (c && c->blocked) {
        const struct kept *k = blocked_command(c);
        if (s->journal_offset > c->journal_offset) c->journal_offset = s->journal_offset;
        c->stream_offset = backlog_offset();
        if (s->verdict.denial) client_note_denial(c, k->command, k->argv, s->verdict, ACCESS_TOPLEVEL);
        blocking_served(c, &s->reply, s->ns);
    }
    reply_release(&s->reply);
    mem_free(s);
}

void blocking_deliver(uint64_t journal_offset) {
    assert(work.count == 0);
    while (work.served) {
        struct served *s = work.served;
        work.served = s->next;
        s->letter.run = arrive;
        s->journal_offset = journal_offset;
        worker_post(s->worker, &s->letter);
    }
    work.last_served = NULL;
}

struct blocking_work *blocking_set_aside(void) {
    assert(work.next == 0 && !work.served); /* serving is not under way */
    struct blocking_work *aside = mem_alloc(sizeof *aside);
    *aside = work;
    work = (struct blocking_work){ 0 };
    return aside;
}

void blocking_take_back(struct blocking_work *aside) {
    blocking_thread_release();
    work = *aside;
    mem_free(aside);
}

void blocking_thread_release(void) {
    assert(!blocking_has_work());
    mem_free(work.ready);
    work.ready = NULL;
    work.room = 0;
}
