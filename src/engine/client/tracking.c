/* tracking.c: the table of keys that clients may have cached, the prefixes of broadcast mode, and the
 * invalidations on their way.
 *
 * A *reader* is a client that must be told about a key: its id and its worker in one word, so that sorted
 * readers are grouped by worker. A key's readers are taken out of the table when it changes (a client is told
 * once), and a *notice* with them is made for each worker concerned. A client that redirects has its notice
 * forwarded to the other client's worker.
 *
 * Notices gather on the worker that made the change. They leave between two commands or at the end of the
 * turn (tracking_deliver), so they are never inside a reply and come after the reply of the command that made
 * the change. In broadcast mode the keys gather, by prefix, until the turn ends: one message names all keys
 * that changed in it. Both are sent before the replies of that turn leave. */
#include "trivet/engine/client/tracking.h"
#include "trivet/base/background.h"
#include "trivet/base/grow.h"
#include "trivet/base/hashing.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/types/structures/table.h"

#define TRIM_PER_CALL 1000 /* keys that one call of the cron may drop */
#define WORKER_SHIFT 58

_Static_assert(WORKERS_MAX <= 1 << (64 - WORKER_SHIFT), "a reader holds its worker in the upper bits");

/* A sorted set of readers. */
struct readers {
    uint64_t *at;
    size_t count, room;
};

struct tracked_key {
    struct readers readers;
    size_t len;
    char bytes[];
};

struct prefix {
    struct readers readers;
    uint64_t serial; /* identifies it in `gathered`: prefixes move in their array */
    size_t len;
    char *bytes;
};

/* A client's tracking state. Its own worker, or with the gate closed. */
struct tracking {
    struct tracking_options options; /* its prefixes are not used */
    bool caching;                    /* CLIENT CACHING was said for the next command */
    struct slice *prefixes;          /* owned, sorted */
    size_t prefix_count;
    size_t prefix_bytes;
};

atomic_size_t tracking_clients;

static struct lock table_lock = LOCK_INIT(LOCK_RANK_TRACKING);
/* Under table_lock. */
static struct table *tracked; /* NULL until the first is remembered */
static size_t items;          /* readers of all keys */
static struct prefix *prefixes;
static size_t prefix_count;
static uint64_t last_serial;

static struct slice tracked_key_text(const void *item) {
    const struct tracked_key *k = item;
    return slice_make(k->bytes, k->len);
}
static const struct table_ops tracked_ops = { .key = tracked_key_text };

/* ---- readers ---- */

static uint64_t reader_of(const struct client *c) {
    assert(c->id > 0 && c->id >> WORKER_SHIFT == 0);
    return (uint64_t)c->worker << WORKER_SHIFT | c->id;
}
static int reader_worker(uint64_t reader) { return (int)(reader >> WORKER_SHIFT); }
static uint64_t reader_id(uint64_t reader) { return reader & (((uint64_t)1 << WORKER_SHIFT) - 1); }

/* Where the reader is in the sorted set, or would be inserted. */
static size_t readers_place(const struct readers *r, uint64_t reader) {
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->at[middle] < reader)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool readers_have(const struct readers *r, size_t place, uint64_t reader) {
    return place < r->count && r->at[place] == reader;
}

/* False if it was there. */
static bool readers_add(struct readers *r, uint64_t reader) {
    size_t place = readers_place(r, reader);
    if (readers_have(r, place, reader)) return false;
    GROW(r->at, r->count, &r->room, 1);
    memmove(r->at + place + 1, r->at + place, (r->count - place) * sizeof *r->at);
    r->at[place] = reader;
    r->count++;
    return true;
}

static void readers_remove(struct readers *r, uint64_t reader) {
    size_t place = readers_place(r, reader);
    if (!readers_have(r, place, reader)) return;
    r->count--;
    memmove(r->at + place, r->at + place + 1, (r->count - place) * sizeof *r->at);
}

static void tracked_key_free(void *item) {
    struct tracked_key *k = item;
    mem_free(k->readers.at);
    mem_free(k);
}

/* ---- writing to a client, on its worker ---- */

/* Is it on, and in the mode that the notice was made for? */
static bool wants(const struct client *c, bool broadcast) {
    assert(!(c->flags & CLIENT_TRACKING) == !c->tracking);
    return (c->flags & CLIENT_TRACKING) && c->tracking->options.broadcast == broadcast;
}

/* `keys` is an array as it goes over the wire; NULL: everything is invalid. In RESP2 the client must be a
 * subscriber; it sees a message. */
static void write_invalidation(struct client *c, struct blob *keys, bool redirected) {
    struct reply *r = &c->reply;
    if (c->flags & (CLIENT_CLOSING | CLIENT_CLOSE_AFTER)) return;
    if (r->protocol == 2 && !(redirected && (c->flags & CLIENT_SUBSCRIBED))) return;
    if (r->protocol == 2)
        reply_raw(r, LIT("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"));
    else
        reply_raw(r, LIT(">2\r\n$10\r\ninvalidate\r\n"));
    if (keys)
        reply_raw_blob(r, keys);
    else
        reply_null(r);
    client_hooks.output(c);
}

/* An invalidation that goes to a client other than the one that tracks. */
struct forwarded {
    uint64_t from, to;
    int from_worker;
    struct blob *keys; /* NULL: everything */
};

/* Like client_post, but at once if the client is on this worker: a letter to itself would wait for the next
 * turn. */
static void run_where_it_lives(int worker, uint64_t id, void (*fn)(struct client *c, void *arg), void *arg) {
    if (worker == worker_self())
        fn(client_find_here(id), arg);
    else
        client_post(worker, id, fn, arg);
}

static void redirect_is_broken(struct client *c, void *arg) {
    struct forwarded *f = arg;
    if (c && (c->flags & CLIENT_TRACKING) && c->tracking->options.redirect == f->to) {
        c->flags |= CLIENT_TRACKING_BROKEN_REDIRECT;
        if (c->reply.protocol == 3 && !(c->flags & (CLIENT_CLOSING | CLIENT_CLOSE_AFTER))) {
            reply_raw(&c->reply, LIT(">2\r\n$21\r\ntracking-redir-broken\r\n"));
            reply_int(&c->reply, (int64_t)f->to);
            client_hooks.output(c);
        }
    }
    mem_free(f);
}

static void arrive_redirected(struct client *c, void *arg) {
    struct forwarded *f = arg;
    if (c) write_invalidation(c, f->keys, true);
    blob_unref(f->keys);
    f->keys = NULL;
    if (c)
        mem_free(f);
    else
        run_where_it_lives(f->from_worker, f->from, redirect_is_broken, f);
}

static void tell(struct client *c, struct blob *keys) {
    const struct tracking_options *o = &c->tracking->options;
    if (!o->redirect) {
        write_invalidation(c, keys, false);
        return;
    }
    struct forwarded *f = mem_alloc(sizeof *f);
    *f = (struct forwarded){
        .from = c->id, .to = o->redirect, .from_worker = c->worker, .keys = keys ? blob_ref(keys) : NULL
    };
    run_where_it_lives(o->redirect_worker, f->to, arrive_redirected, f);
}

/* ---- notices ---- */

/* Some keys are invalid for some clients of a worker. */
struct notice {
    struct letter letter;
    struct notice *next; /* in the outbox */
    bool broadcast;
    struct blob *keys; /* as an array on the wire */
    size_t count;
    uint64_t readers[];
};

/* What this worker has to tell, oldest first. */
static _Thread_local struct notice *outbox, *outbox_last;

static void notice_free(struct notice *n) {
    blob_unref(n->keys);
    mem_free(n);
}

static void open_notice(struct letter *self) {
    struct notice *n = CONTAINER_OF(self, struct notice, letter);
    assert(n->count > 0 && reader_worker(n->readers[0]) == worker_self());
    for (size_t i = 0; i < n->count; i++) {
        struct client *c = client_find_here(reader_id(n->readers[i]));
        if (c && wants(c, n->broadcast)) tell(c, n->keys);
    }
    notice_free(n);
}

/* To readers of one worker. */
static void add_notice(const uint64_t *readers, size_t count, struct blob *keys, bool broadcast) {
    struct notice *n = mem_alloc(sizeof *n + count * sizeof *readers);
    *n = (struct notice){
        .letter = { .run = open_notice }, .broadcast = broadcast, .keys = blob_ref(keys), .count = count
    };
    memcpy(n->readers, readers, count * sizeof *readers);
    if (outbox)
        outbox_last->next = n;
    else
        outbox = n;
    outbox_last = n;
}

static void add_notices(const struct readers *r, struct blob *keys, bool broadcast) {
    size_t begin = 0;
    for (size_t i = 1; i <= r->count; i++) {
        if (i < r->count && reader_worker(r->at[i]) == reader_worker(r->at[begin])) continue;
        add_notice(r->at + begin, i - begin, keys, broadcast);
        begin = i;
    }
}

static struct notice *take_notice(void) {
    struct notice *n = outbox;
    if (n) outbox = n->next;
    return n;
}

void tracking_deliver(void) {
    struct notice *n;
    while (UNLIKELY((n = take_notice()) != NULL)) {
        int worker = reader_worker(n->readers[0]);
        if (worker == worker_self())
            open_notice(&n->letter);
        else
            worker_post(worker, &n->letter);
    }
}

static void append_bulk(struct buf *out, struct slice text) {
    buf_printf(out, "$%zu\r\n", text.len);
    buf_append(out, text);
    buf_append(out, LIT("\r\n"));
}

/* Makes the notices of one key for its readers. Removes the reader `but` (0: nobody) from `r` first. */
static void add_notices_of_key(struct readers *r, struct slice key, uint64_t but) {
    if (but) readers_remove(r, but);
    if (r->count == 0) return;
    struct buf wire = { 0 };
    buf_append(&wire, LIT("*1\r\n"));
    append_bulk(&wire, key);
    struct blob *keys = blob_of(buf_slice(&wire));
    buf_release(&wire);
    add_notices(r, keys, false);
    blob_unref(keys);
}

/* ---- broadcast ---- */

struct changed_key {
    uint64_t but; /* the one client that changed it, if it set NOLOOP; else 0 */
    size_t len;
    char bytes[];
};

static struct slice changed_key_text(const void *item) {
    const struct changed_key *k = item;
    return slice_make(k->bytes, k->len);
}
static const struct table_ops changed_ops = { .key = changed_key_text };

/* What changed on this worker since its turn began, by prefix. */
struct gathered {
    uint64_t serial; /* the prefix */
    struct table keys;
};
static _Thread_local struct gathered *gathered;
static _Thread_local size_t gathered_count, gathered_room;

static struct gathered *gathered_of(uint64_t serial) {
    for (size_t i = 0; i < gathered_count; i++)
        if (gathered[i].serial == serial) return &gathered[i];
    GROW(gathered, gathered_count, &gathered_room, 4);
    struct gathered *g = &gathered[gathered_count++];
    g->serial = serial;
    table_init(&g->keys, &changed_ops);
    return g;
}

static void gather_key(struct gathered *g, struct slice key, uint64_t hash, uint64_t but) {
    struct changed_key *k = table_find(&g->keys, key, hash);
    if (k) {
        if (k->but != but) k->but = 0;
        return;
    }
    k = mem_alloc(sizeof *k + key.len);
    *k = (struct changed_key){ .but = but, .len = key.len };
    if (key.len) memcpy(k->bytes, key.ptr, key.len);
    table_insert(&g->keys, k, hash);
}

/* Adds the key to every registered prefix that it begins with. */
static void gather_broadcast(struct slice key, uint64_t hash, uint64_t but) NEEDS(table_lock) {
    for (size_t i = 0; i < prefix_count; i++)
        if (slice_starts_with(key, slice_make(prefixes[i].bytes, prefixes[i].len)))
            gather_key(gathered_of(prefixes[i].serial), key, hash, but);
}

/* The keys of one message, and for whom it is. */
struct broadcast {
    uint64_t reader; /* 0: for clients that changed none of the keys */
    struct buf body;
    size_t count;
    struct readers changers; /* clients that get a message of their own, without the keys they changed */
};

static bool add_changed_key(void *arg, void *item) {
    struct broadcast *b = arg;
    const struct changed_key *k = item;
    if (k->but) readers_add(&b->changers, k->but);
    if (k->but && k->but == b->reader) return true;
    append_bulk(&b->body, changed_key_text(k));
    b->count++;
    return true;
}

/* The array on the wire; NULL if there is nothing to tell this reader. */
static struct blob *message_for(const struct gathered *g, uint64_t reader, struct readers *changers) {
    struct broadcast b = { .reader = reader };
    table_each(&g->keys, add_changed_key, &b);
    struct buf wire = { 0 };
    buf_printf(&wire, "*%zu\r\n", b.count);
    if (b.count) buf_append(&wire, buf_slice(&b.body));
    struct blob *keys = b.count ? blob_of(buf_slice(&wire)) : NULL;
    buf_release(&wire);
    buf_release(&b.body);
    if (changers)
        *changers = b.changers;
    else
        mem_free(b.changers.at);
    return keys;
}

/* A copy of the prefix's readers; empty if the prefix is no longer registered. */
static struct readers readers_of_prefix(uint64_t serial) {
    struct readers copy = { 0 };
    lock_take(&table_lock);
    for (size_t i = 0; i < prefix_count; i++) {
        const struct readers *r = &prefixes[i].readers;
        if (prefixes[i].serial != serial) continue;
        copy = (struct readers){ .at = mem_alloc(r->count * sizeof *r->at), r->count, r->count };
        memcpy(copy.at, r->at, r->count * sizeof *r->at);
    }
    lock_drop(&table_lock);
    return copy;
}

static void send_gathered(const struct gathered *g) {
    struct readers readers = readers_of_prefix(g->serial), changers;
    struct blob *keys = message_for(g, 0, &changers);
    for (size_t i = 0; i < changers.count; i++) {
        uint64_t changer = changers.at[i];
        if (!readers_have(&readers, readers_place(&readers, changer), changer)) continue;
        struct blob *of_others = message_for(g, changer, NULL);
        if (of_others) add_notice(&changer, 1, of_others, true);
        blob_unref(of_others);
        readers_remove(&readers, changer);
    }
    if (readers.count) add_notices(&readers, keys, true);
    blob_unref(keys);
    mem_free(readers.at);
    mem_free(changers.at);
}

void tracking_turn_ends(void) {
    for (size_t i = 0; i < gathered_count; i++) {
        send_gathered(&gathered[i]);
        table_release(&gathered[i].keys, mem_free);
    }
    gathered_count = 0;
    tracking_deliver();
}

void tracking_thread_release(void) {
    struct notice *n;
    while ((n = take_notice()) != NULL) notice_free(n);
    for (size_t i = 0; i < gathered_count; i++) table_release(&gathered[i].keys, mem_free);
    mem_free(gathered);
    gathered = NULL;
    gathered_count = gathered_room = 0;
}

/* ---- the table ---- */

static struct tracked_key *take_out(struct tracked_key *k, uint64_t hash) NEEDS(table_lock) {
    table_remove_item(tracked, k, hash);
    assert(items >= k->readers.count);
    items -= k->readers.count;
    return k;
}

static struct tracked_key *find_key(struct slice key, uint64_t hash) NEEDS(table_lock) {
    return tracked ? table_find(tracked, key, hash) : NULL;
}

static bool is_over_limit(void) NEEDS(table_lock) {
    int64_t max = options.tracking_table_max_keys;
    return max > 0 && tracked && table_count(tracked) > (size_t)max;
}

/* Drops up to `most` random keys over the limit and tells their readers that the keys are invalid. */
static void trim_keys(size_t most) {
    while (most-- > 0) {
        struct tracked_key *k = NULL;
        lock_take(&table_lock);
        if (is_over_limit()) {
            k = table_random(tracked, random_u64());
            take_out(k, hash_bytes(tracked_key_text(k)));
        }
        lock_drop(&table_lock);
        if (!k) return;
        add_notices_of_key(&k->readers, tracked_key_text(k), 0);
        tracked_key_free(k);
    }
}

void tracking_trim(void) { trim_keys(TRIM_PER_CALL); }

static void remember_key(const struct keyref *ref, uint64_t reader) {
    struct slice key = ref->key;
    uint64_t hash = ref->hash;
    lock_take(&table_lock);
    if (!tracked) {
        tracked = mem_alloc(sizeof *tracked);
        table_init(tracked, &tracked_ops);
    }
    struct tracked_key *k = table_find(tracked, key, hash);
    if (!k) {
        k = mem_alloc(sizeof *k + key.len);
        *k = (struct tracked_key){ .len = key.len };
        if (key.len) memcpy(k->bytes, key.ptr, key.len);
        table_insert(tracked, k, hash);
    }
    items += readers_add(&k->readers, reader);
    bool over = is_over_limit();
    lock_drop(&table_lock);
    if (UNLIKELY(over)) trim_keys(2);
}

void tracking_remember(struct call *call) {
    const struct client *c = call->client;
    if (!(call->command->flags & READS) || !wants(c, false)) return;
    const struct tracking *t = c->tracking;
    if ((t->options.opt_in && !t->caching) || (t->options.opt_out && t->caching)) return;
    for (size_t i = 0; i < call->keys->count; i++)
        if (!(call->keys->at[i].access & KEY_NOT_KEY)) remember_key(&call->keys->at[i], reader_of(c));
}

static void free_keys(void *arg) {
    table_release(arg, tracked_key_free);
    mem_free(arg);
}

/* Detaches the table; it is freed in the background, without a lock. */
static struct table *forget_keys(void) NEEDS(table_lock) {
    struct table *old = tracked;
    tracked = NULL;
    items = 0;
    return old;
}

static void discard(struct table *old) {
    if (old) background_post(free_keys, old, table_count(old));
}

void tracking_invalidate(const struct client *by, struct slice key) {
    uint64_t hash = hash_bytes(key);
    uint64_t but = by && by->tracking && by->tracking->options.no_loop ? reader_of(by) : 0;
    lock_take(&table_lock);
    struct tracked_key *k = find_key(key, hash);
    if (k) take_out(k, hash);
    gather_broadcast(key, hash, but);
    lock_drop(&table_lock);
    if (!k) return;
    add_notices_of_key(&k->readers, key, but);
    tracked_key_free(k);
}

/* ---- everything ---- */

static struct {
    struct letter letter;
    atomic_bool posted; /* one is enough for a FLUSHALL of many databases */
} CACHE_ALIGNED all_invalid[WORKERS_MAX];

static void open_all_invalid(struct letter *self) {
    (void)self;
    atomic_store_explicit(&all_invalid[worker_self()].posted, false, memory_order_release);
    CLIENTS_OF(worker_self(), c) {
        if (c->flags & CLIENT_TRACKING) tell(c, NULL);
    }
}

void tracking_invalidate_all(void) {
    assert(exclusive_is_mine());
    lock_take(&table_lock);
    struct table *old = forget_keys();
    lock_drop(&table_lock);
    discard(old);
    for (int worker = 0; worker < thread_worker_count; worker++) {
        if (atomic_exchange_explicit(&all_invalid[worker].posted, true, memory_order_acq_rel)) continue;
        all_invalid[worker].letter.run = open_all_invalid;
        worker_post(worker, &all_invalid[worker].letter);
    }
}

/* ---- prefixes ---- */

static struct slice slice_copy(struct slice s) { return slice_make(slice_to_cstr(s), s.len); }

static struct prefix *find_prefix(struct slice text) NEEDS(table_lock) {
    for (size_t i = 0; i < prefix_count; i++)
        if (slice_equal(slice_make(prefixes[i].bytes, prefixes[i].len), text)) return &prefixes[i];
    return NULL;
}

static void join_prefix(struct slice text, uint64_t reader) {
    lock_take(&table_lock);
    struct prefix *p = find_prefix(text);
    if (!p) {
        prefixes = mem_realloc(prefixes, (prefix_count + 1) * sizeof *prefixes);
        p = &prefixes[prefix_count++];
        *p = (struct prefix){ .serial = ++last_serial, .len = text.len, .bytes = slice_to_cstr(text) };
    }
    readers_add(&p->readers, reader);
    lock_drop(&table_lock);
}

static void leave_prefix(struct slice text, uint64_t reader) NEEDS(table_lock) {
    struct prefix *p = find_prefix(text);
    assert(p);
    readers_remove(&p->readers, reader);
    if (p->readers.count > 0) return;
    mem_free(p->readers.at);
    mem_free(p->bytes);
    *p = prefixes[--prefix_count];
    if (prefix_count > 0) return;
    mem_free(prefixes);
    prefixes = NULL;
}

static void add_prefix(struct client *c, struct slice text) {
    struct tracking *t = c->tracking;
    size_t place = 0;
    while (place < t->prefix_count && slice_compare(t->prefixes[place], text) < 0) place++;
    if (place < t->prefix_count && slice_equal(t->prefixes[place], text)) return;
    t->prefixes = mem_realloc(t->prefixes, (t->prefix_count + 1) * sizeof *t->prefixes);
    memmove(t->prefixes + place + 1, t->prefixes + place, (t->prefix_count - place) * sizeof *t->prefixes);
    t->prefixes[place] = slice_copy(text);
    t->prefix_count++;
    t->prefix_bytes += text.len;
    join_prefix(text, reader_of(c));
}

/* ---- on and off ---- */

void tracking_start(struct client *c, const struct tracking_options *wanted) {
    assert(exclusive_is_mine() && !(c->flags & CLIENT_INTERNAL));
    assert(!(wanted->opt_in && wanted->opt_out) && (wanted->broadcast || wanted->prefix_count == 0));
    if (!c->tracking) {
        c->tracking = mem_alloc_zero(sizeof *c->tracking);
        atomic_fetch_add_explicit(&tracking_clients, 1, memory_order_relaxed);
    }
    c->flags |= CLIENT_TRACKING;
    c->flags &= ~(uint32_t)CLIENT_TRACKING_BROKEN_REDIRECT;
    c->tracking->options = *wanted;
    c->tracking->options.prefixes = NULL;
    c->tracking->options.prefix_count = 0;
    if (!wanted->broadcast) return;
    for (size_t i = 0; i < wanted->prefix_count; i++) add_prefix(c, wanted->prefixes[i]);
    if (wanted->prefix_count == 0) add_prefix(c, LIT(""));
}

size_t tracking_memory(const struct client *c) {
    const struct tracking *t = c->tracking;
    return t ? sizeof *t + t->prefix_count * sizeof *t->prefixes + t->prefix_bytes : 0;
}

void tracking_stop(struct client *c) {
    struct tracking *t = c->tracking;
    if (!t) return;
    assert(c->flags & CLIENT_TRACKING);
    lock_take(&table_lock);
    for (size_t i = 0; i < t->prefix_count; i++) leave_prefix(t->prefixes[i], reader_of(c));
    /* The keys of a client that stopped stay in the table until they change. When nobody tracks any more,
     * drop all of them now. */
    bool last = atomic_fetch_sub_explicit(&tracking_clients, 1, memory_order_relaxed) == 1;
    struct table *old = last ? forget_keys() : NULL;
    lock_drop(&table_lock);
    discard(old);
    for (size_t i = 0; i < t->prefix_count; i++) mem_free(unconst(t->prefixes[i].ptr));
    mem_free(t->prefixes);
    mem_free(t);
    c->tracking = NULL;
    c->flags &= ~(uint32_t)(CLIENT_TRACKING | CLIENT_TRACKING_BROKEN_REDIRECT);
}

void tracking_caching(struct client *c, bool yes) {
    assert(c->tracking && (yes ? c->tracking->options.opt_in : c->tracking->options.opt_out));
    c->tracking->caching = true;
}

/* CACHING holds for the next command (CLIENT commands do not count), or for a whole transaction. */
void tracking_command_done(struct client *c) {
    const struct command *last = c->last_command;
    if (!c->tracking || (c->flags & CLIENT_IN_MULTI)) return;
    if (last && (last->flags & KEEPS_CACHING)) return;
    c->tracking->caching = false;
}

/* ---- looking ---- */

bool tracking_is_broadcast(const struct client *c) { return c->tracking && c->tracking->options.broadcast; }

long long tracking_redirect(const struct client *c) {
    return c->tracking ? (long long)c->tracking->options.redirect : -1;
}

struct tracking_state tracking_state(const struct client *c) {
    const struct tracking *t = c->tracking;
    if (!t) return (struct tracking_state){ 0 };
    return (struct tracking_state){
        .on = true,
        .broadcast = t->options.broadcast,
        .opt_in = t->options.opt_in,
        .opt_out = t->options.opt_out,
        .no_loop = t->options.no_loop,
        .caching_yes = t->options.opt_in && t->caching,
        .caching_no = t->options.opt_out && t->caching,
        .broken_redirect = c->flags & CLIENT_TRACKING_BROKEN_REDIRECT,
    };
}

void tracking_prefixes(const struct client *c, void (*visit)(void *arg, struct slice prefix), void *arg) {
    for (size_t i = 0; c->tracking && i < c->tracking->prefix_count; i++)
        visit(arg, c->tracking->prefixes[i]);
}

/* One number of the table, read under its lock. */
static size_t read_number(const size_t *number) {
    lock_take(&table_lock);
    size_t value = *number;
    lock_drop(&table_lock);
    return value;
}

size_t tracking_total_keys(void) {
    lock_take(&table_lock);
    size_t value = tracked ? table_count(tracked) : 0;
    lock_drop(&table_lock);
    return value;
}

size_t tracking_total_items(void) { return read_number(&items); }
size_t tracking_total_prefixes(void) { return read_number(&prefix_count); }
