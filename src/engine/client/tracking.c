/* tracking.c: the table of keys that clients may have cached, the prefixes of broadcast mode, and the
 * invalidations on their way.
 *
 * A *reader* is a client that is to be told about a key: its id and its worker in one word, so that sorted
 * readers are grouped by worker. A key's readers are taken out of the table when it changes (a client is told
 * once), and a notice with them goes to each worker concerned. The worker writes to the clients it finds: at
 * the end of a turn or between two reads, so never inside a reply and always behind the reply that the client
 * may have cached. A client that redirects has its notice forwarded to the other client's worker. */
#include "trivet/engine/client/tracking.h"
#include "trivet/base/background.h"
#include "trivet/base/hashing.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
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
    size_t len;
    char *bytes;
};

/* A client's own part; its worker's, or with the gate closed. */
struct tracking {
    struct tracking_options options; /* its prefixes are not used */
    bool caching;                    /* CLIENT CACHING was said for the next command */
    struct slice *prefixes;          /* owned, sorted */
    size_t prefix_count;
};

atomic_size_t tracking_clients;

static struct lock table_lock = LOCK_INIT(LOCK_RANK_TRACKING);
/* Under table_lock. */
static struct table *keys; /* NULL until the first is remembered */
static size_t items;       /* readers of all keys */
static struct prefix *prefixes;
static size_t prefix_count;

static struct slice tracked_key_text(const void *item) {
    const struct tracked_key *k = item;
    return slice_make(k->bytes, k->len);
}
static const struct table_ops tracked_ops = { .key = tracked_key_text };

/* ---- readers ---- */

static uint64_t reader_of(const struct client *c) { return (uint64_t)c->worker << WORKER_SHIFT | c->id; }
static int reader_worker(uint64_t reader) { return (int)(reader >> WORKER_SHIFT); }
static uint64_t reader_id(uint64_t reader) { return reader & (((uint64_t)1 << WORKER_SHIFT) - 1); }

/* Where the reader is, or belongs. */
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
    if (r->count == r->room) {
        r->room = r->room ? r->room * 2 : 1;
        r->at = mem_realloc(r->at, r->room * sizeof *r->at);
    }
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
    return (c->flags & CLIENT_TRACKING) && c->tracking->options.broadcast == broadcast;
}

/* `key` is NULL if everything is invalid. In RESP2 the client must be a subscriber; it sees a message. */
static void write_invalidation(struct client *c, const struct slice *key, bool redirected) {
    struct reply *r = &c->reply;
    if (c->flags & (CLIENT_CLOSING | CLIENT_CLOSE_AFTER)) return;
    if (r->protocol == 2 && !(redirected && (c->flags & CLIENT_SUBSCRIBED))) return;
    if (r->protocol == 2)
        reply_raw(r, LIT("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"));
    else
        reply_raw(r, LIT(">2\r\n$10\r\ninvalidate\r\n"));
    if (key) {
        reply_array(r, 1);
        reply_bulk(r, *key);
    } else {
        reply_null(r);
    }
    client_hooks.output(c);
}

/* An invalidation on its way to another client than the one that tracks. */
struct forwarded {
    uint64_t from, to;
    int from_worker;
    bool everything;
    size_t key_len;
    char key[];
};

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
    if (!c) {
        client_post(f->from_worker, f->from, redirect_is_broken, f);
        return;
    }
    struct slice key = slice_make(f->key, f->key_len);
    write_invalidation(c, f->everything ? NULL : &key, true);
    mem_free(f);
}

static void forward(const struct client *c, const struct slice *key) {
    size_t len = key ? key->len : 0;
    struct forwarded *f = mem_alloc(sizeof *f + len);
    *f = (struct forwarded){ .from = c->id,
                             .to = c->tracking->options.redirect,
                             .from_worker = c->worker,
                             .everything = !key,
                             .key_len = len };
    if (len) memcpy(f->key, key->ptr, len);
    client_post(c->tracking->options.redirect_worker, f->to, arrive_redirected, f);
}

static void tell(struct client *c, const struct slice *key) {
    if (c->tracking->options.redirect)
        forward(c, key);
    else
        write_invalidation(c, key, false);
}

/* ---- notices ---- */

/* One key is invalid for some clients of a worker. */
struct notice {
    struct letter letter;
    bool broadcast;
    size_t count, key_len;
    uint64_t readers[]; /* then the key's bytes */
};

static void open_notice(struct letter *self) {
    struct notice *n = CONTAINER_OF(self, struct notice, letter);
    struct slice key = slice_make(n->readers + n->count, n->key_len);
    for (size_t i = 0; i < n->count; i++) {
        struct client *c = client_find_here(reader_id(n->readers[i]));
        if (c && wants(c, n->broadcast)) tell(c, &key);
    }
    mem_free(n);
}

static void post_notice(const uint64_t *readers, size_t count, struct slice key, bool broadcast) {
    struct notice *n = mem_alloc(sizeof *n + count * sizeof *readers + key.len);
    *n = (struct notice){
        .letter = { .run = open_notice }, .broadcast = broadcast, .count = count, .key_len = key.len
    };
    memcpy(n->readers, readers, count * sizeof *readers);
    if (key.len) memcpy(n->readers + count, key.ptr, key.len);
    worker_post(reader_worker(readers[0]), &n->letter);
}

/* Posts to each worker; `but` (0: nobody) is left out. Changes `r`. */
static void post_notices(struct readers *r, struct slice key, bool broadcast, uint64_t but) {
    if (but) readers_remove(r, but);
    size_t begin = 0;
    for (size_t i = 1; i <= r->count; i++) {
        if (i < r->count && reader_worker(r->at[i]) == reader_worker(r->at[begin])) continue;
        post_notice(r->at + begin, i - begin, key, broadcast);
        begin = i;
    }
}

/* ---- the table ---- */

static struct tracked_key *take_out(struct tracked_key *k, uint64_t hash) NEEDS(table_lock) {
    table_remove_item(keys, k, hash);
    items -= k->readers.count;
    return k;
}

static struct tracked_key *find_key(struct slice key, uint64_t hash) NEEDS(table_lock) {
    return keys ? table_find(keys, key, hash) : NULL;
}

static bool is_over_limit(void) NEEDS(table_lock) {
    int64_t max = options.tracking_table_max_keys;
    return max > 0 && keys && table_count(keys) > (size_t)max;
}

/* Drops up to `most` keys over the limit, any ones: their readers are told that they are invalid. */
static void trim(size_t most) {
    while (most-- > 0) {
        struct tracked_key *k = NULL;
        lock_take(&table_lock);
        if (is_over_limit()) {
            k = table_random(keys, random_u64());
            take_out(k, hash_bytes(tracked_key_text(k)));
        }
        lock_drop(&table_lock);
        if (!k) return;
        post_notices(&k->readers, tracked_key_text(k), false, 0);
        tracked_key_free(k);
    }
}

void tracking_trim(void) { trim(TRIM_PER_CALL); }

static void remember_key(const struct keyref *ref, uint64_t reader) {
    struct slice key = ref->key;
    uint64_t hash = ref->hash;
    lock_take(&table_lock);
    if (!keys) {
        keys = mem_alloc(sizeof *keys);
        table_init(keys, &tracked_ops);
    }
    struct tracked_key *k = table_find(keys, key, hash);
    if (!k) {
        k = mem_alloc(sizeof *k + key.len);
        *k = (struct tracked_key){ .len = key.len };
        if (key.len) memcpy(k->bytes, key.ptr, key.len);
        table_insert(keys, k, hash);
    }
    items += readers_add(&k->readers, reader);
    bool over = is_over_limit();
    lock_drop(&table_lock);
    if (UNLIKELY(over)) trim(2);
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
    struct table *old = keys;
    keys = NULL;
    items = 0;
    return old;
}

static void discard(struct table *old) {
    if (old) background_post(free_keys, old, table_count(old));
}

/* The clients whose prefixes the key has. A client's own prefixes do not overlap, but "" may stand beside
 * others. */
static void find_broadcast(struct slice key, struct readers *out) NEEDS(table_lock) {
    for (size_t i = 0; i < prefix_count; i++) {
        const struct prefix *p = &prefixes[i];
        if (!slice_starts_with(key, slice_make(p->bytes, p->len))) continue;
        for (size_t k = 0; k < p->readers.count; k++) readers_add(out, p->readers.at[k]);
    }
}

void tracking_invalidate(const struct client *by, struct slice key) {
    uint64_t hash = hash_bytes(key);
    struct readers broadcast = { 0 };
    lock_take(&table_lock);
    struct tracked_key *k = find_key(key, hash);
    if (k) take_out(k, hash);
    find_broadcast(key, &broadcast);
    lock_drop(&table_lock);
    uint64_t but = by && by->tracking && by->tracking->options.no_loop ? reader_of(by) : 0;
    if (k) {
        post_notices(&k->readers, key, false, but);
        tracked_key_free(k);
    }
    post_notices(&broadcast, key, true, but);
    mem_free(broadcast.at);
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
        *p = (struct prefix){ .len = text.len, .bytes = slice_to_cstr(text) };
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
    join_prefix(text, reader_of(c));
}

/* ---- on and off ---- */

void tracking_start(struct client *c, const struct tracking_options *wanted) {
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

void tracking_stop(struct client *c) {
    struct tracking *t = c->tracking;
    if (!t) return;
    lock_take(&table_lock);
    for (size_t i = 0; i < t->prefix_count; i++) leave_prefix(t->prefixes[i], reader_of(c));
    /* Keys stay remembered for a client that is gone until they change; with nobody left, all go now. */
    bool last = atomic_fetch_sub_explicit(&tracking_clients, 1, memory_order_relaxed) == 1;
    struct table *old = last ? forget_keys() : NULL;
    lock_drop(&table_lock);
    discard(old);
    for (size_t i = 0; i < t->prefix_count; i++) mem_free((char *)(uintptr_t)t->prefixes[i].ptr);
    mem_free(t->prefixes);
    mem_free(t);
    c->tracking = NULL;
    c->flags &= ~(uint32_t)(CLIENT_TRACKING | CLIENT_TRACKING_BROKEN_REDIRECT);
}

void tracking_caching(struct client *c, bool yes) {
    assert(c->tracking && (yes ? c->tracking->options.opt_in : c->tracking->options.opt_out));
    c->tracking->caching = true;
}

/* The word counts for the next command, whatever CLIENT commands come between, or for a whole
 * transaction. */
void tracking_command_done(struct client *c) {
    const struct command *last = c->last_command;
    if (!c->tracking || (c->flags & CLIENT_IN_MULTI)) return;
    if (last && last->parent && strcmp(last->parent->full_name, "client") == 0) return;
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
    size_t value = keys ? table_count(keys) : 0;
    lock_drop(&table_lock);
    return value;
}

size_t tracking_total_items(void) { return read_number(&items); }
size_t tracking_total_prefixes(void) { return read_number(&prefix_count); }
