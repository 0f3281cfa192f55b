/* pubsub.c: names, their audiences, and messages on their way.
 *
 * A *name* is a channel, pattern or sharded channel with subscribers; it lives in the registry under
 * registry_lock and knows how many subscribers it has and on which workers. An *audience* is one worker's
 * subscribers to a name, reached only by that worker. A *delivery* is one message for one worker: the bytes
 * all forms of it share (its tail: channel and text) and the names it was matched by, so that no name is
 * looked up again. Deliveries queue up at the worker's station in the order in which the messages got their
 * numbers. What the worker itself publishes it delivers at the end of its turn; another worker posts a
 * letter, which only says that some wait. They may also be fetched early: pubsub_deliver, before a
 * subscription ends.
 *
 * On the wire a message is a head ("*3 message" or "*4 pmessage <pattern>", '>' instead of '*' in RESP3) and
 * the tail. What comes one after the other for the same names is a *run*: its bytes are put together once
 * for each name, and each subscriber gets them in one piece, by reference if they are many. */
#include "trivet/engine/client/pubsub.h"
#include "trivet/base/chain.h"
#include "trivet/base/counter.h"
#include "trivet/base/glob.h"
#include "trivet/base/hashing.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/keyspace/slot_stats.h"
#include "trivet/types/structures/table.h"

#define BIG_MESSAGE 4096    /* from here on the tail is built before the lock is taken */
#define RUN_MAX (64 * 1024) /* bytes of a run of several messages, or a little more */
#define NAMES_INSIDE 16
#define GATHERED_FIRST 64 /* subscriptions; more if a bucket has them */

struct name {
    atomic_uint references; /* one held by the registry, one by each delivery with this name */
    uint32_t len;
    enum pubsub_kind kind;
    uint64_t hash;
    uint64_t workers;   /* bit i: worker i has an audience; under registry_lock like the next */
    size_t subscribers; /* of all workers */
    /* One for each worker, which alone uses it: chains of struct subscription, newest first. The text of the
     * name lies behind them. */
    struct chain audiences[];
};
_Static_assert(WORKERS_MAX <= 64, "a name's workers are the bits of one word");

/* Owned by the client's worker; in the table of its client and in an audience. */
struct subscription {
    struct client *client;
    struct name *name;
    uint64_t since; /* the number of the last message it does not get */
    struct chain_link in_audience;
};

struct subscriptions {
    struct table of[PUBSUB_KINDS];
    uint64_t leaving_at; /* where who leaves them bit by bit goes on: a cursor of table_scan */
};

struct delivery {
    struct delivery *next;
    struct blob *tail;
    uint64_t number;
    size_t count;
    struct name *names[];
};

/* A worker's part. */
struct station {
    struct delivery *first, *last; /* under registry_lock like the next */
    bool called;                   /* the letter is in the mailbox */
    struct letter call;
    bool has_own; /* its worker has queued some itself since it last delivered; only it uses this */
    atomic_uint_fast64_t delivered, dropped; /* counted by the worker */
} CACHE_ALIGNED;

static struct station stations[WORKERS_MAX];
static struct lock registry_lock = LOCK_INIT(LOCK_RANK_PUBSUB);
static struct table registry[PUBSUB_KINDS];
static uint64_t last_number;                    /* of the last message; under registry_lock */
static atomic_size_t name_counts[PUBSUB_KINDS]; /* so that publishing to nobody at all takes no lock */
static atomic_size_t client_total;
static _Thread_local struct buf head; /* of the run in hand, for RESP2 */

/* ---- tables ---- */

static char *name_bytes(struct name *n) { return (char *)(n->audiences + thread_worker_count); }
static struct slice name_text(const struct name *n) {
    return slice_make((const char *)(n->audiences + thread_worker_count), n->len);
}
static struct slice name_key(const void *item) { return name_text(item); }
static struct slice subscription_key(const void *item) {
    return name_text(((const struct subscription *)item)->name);
}
static const struct table_ops name_ops = { .key = name_key };
static const struct table_ops subscription_ops = { .key = subscription_key };

static void insert_first_time(struct table *t, const struct table_ops *ops, void *item, uint64_t hash) {
    if (!t->ops) table_init(t, ops);
    table_insert(t, item, hash);
}

/* A table has no ops before its first item. */
static void *find_in(const struct table *t, struct slice key, uint64_t hash) {
    return table_count(t) > 0 ? table_find(t, key, hash) : NULL;
}

/* ---- names ---- */

static struct name *name_new(enum pubsub_kind kind, struct slice text, uint64_t hash) {
    size_t audiences = (size_t)thread_worker_count * sizeof(struct chain);
    struct name *n = mem_alloc(sizeof *n + audiences + text.len);
    *n = (struct name){ .references = 1, .len = (uint32_t)text.len, .kind = kind, .hash = hash };
    memset(n->audiences, 0, audiences);
    if (text.len) memcpy(name_bytes(n), text.ptr, text.len);
    return n;
}

static struct name *name_ref(struct name *n) {
    atomic_fetch_add_explicit(&n->references, 1, memory_order_relaxed);
    return n;
}

static void name_unref(struct name *n) {
    unsigned before = atomic_fetch_sub_explicit(&n->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) mem_free(n);
}

static void note_name_count(enum pubsub_kind kind) {
    atomic_store_explicit(&name_counts[kind], table_count(&registry[kind]), memory_order_release);
}

/* Adds a subscriber of that worker. It gets the messages after number *since. */
static struct name *name_join(enum pubsub_kind kind, struct slice text, uint64_t hash, int worker,
                              uint64_t *since) {
    lock_take(&registry_lock);
    struct name *n = find_in(&registry[kind], text, hash);
    if (!n) {
        n = name_new(kind, text, hash);
        insert_first_time(&registry[kind], &name_ops, n, hash);
        note_name_count(kind);
    }
    n->subscribers++;
    n->workers |= (uint64_t)1 << worker;
    *since = last_number;
    lock_drop(&registry_lock);
    return n;
}

static void name_leave(struct name *n, int worker, bool audience_is_gone) {
    lock_take(&registry_lock);
    assert(n->subscribers > 0 && (n->workers >> worker & 1));
    if (audience_is_gone) n->workers &= ~((uint64_t)1 << worker);
    if (--n->subscribers == 0) {
        assert(n->workers == 0);
        table_remove_item(&registry[n->kind], n, n->hash);
        note_name_count(n->kind);
        name_unref(n);
    }
    lock_drop(&registry_lock);
}

/* ---- subscriptions of a client ---- */

static struct subscriptions *subscriptions_of(struct client *c) {
    assert(!(c->flags & CLIENT_SUBSCRIBED) == !c->subscriptions);
    if (c->subscriptions) return c->subscriptions;
    c->subscriptions = mem_alloc_zero(sizeof *c->subscriptions);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        table_init(&c->subscriptions->of[kind], &subscription_ops);
    c->flags |= CLIENT_SUBSCRIBED;
    atomic_fetch_add_explicit(&client_total, 1, memory_order_relaxed);
    return c->subscriptions;
}

static void release_if_none(struct client *c) {
    struct subscriptions *s = c->subscriptions;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        if (table_count(&s->of[kind]) > 0) return;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) table_release(&s->of[kind], NULL);
    mem_free(s);
    c->subscriptions = NULL;
    c->flags &= ~(uint32_t)CLIENT_SUBSCRIBED;
    size_t clients = atomic_fetch_sub_explicit(&client_total, 1, memory_order_relaxed);
    assert(clients > 0);
}

static void join_audience(struct client *c, enum pubsub_kind kind, struct slice text, uint64_t hash) {
    struct subscription *s = mem_alloc(sizeof *s);
    *s = (struct subscription){ .client = c };
    s->name = name_join(kind, text, hash, c->worker, &s->since);
    chain_insert_first(&s->name->audiences[c->worker], &s->in_audience);
    table_insert(&c->subscriptions->of[kind], s, hash);
    client_recount_soon(c);
}

static void leave_audience(struct subscription *s) {
    struct client *c = s->client;
    struct name *n = s->name;
    struct chain *audience = &n->audiences[c->worker];
    table_remove_item(&c->subscriptions->of[n->kind], s, n->hash);
    chain_remove(audience, &s->in_audience);
    mem_free(s);
    client_recount_soon(c);
    name_leave(n, c->worker, chain_is_empty(audience));
}

static size_t count_of(const struct client *c, enum pubsub_kind kind) {
    return c->subscriptions ? table_count(&c->subscriptions->of[kind]) : 0;
}

struct pubsub_counts pubsub_counts(const struct client *c) {
    return (struct pubsub_counts){ count_of(c, PUBSUB_CHANNEL), count_of(c, PUBSUB_PATTERN),
                                   count_of(c, PUBSUB_SHARD) };
}

struct visiting {
    void (*visit)(void *arg, enum pubsub_kind kind, struct slice name);
    void *arg;
    enum pubsub_kind kind;
};

static bool visit_subscription(void *arg, void *item) {
    const struct visiting *v = arg;
    v->visit(v->arg, v->kind, subscription_key(item));
    return true;
}

void pubsub_each_of(const struct client *c,
                    void (*visit)(void *arg, enum pubsub_kind kind, struct slice name), void *arg) {
    struct visiting v = { .visit = visit, .arg = arg };
    for (v.kind = PUBSUB_CHANNEL; v.kind < PUBSUB_KINDS; v.kind++)
        if (c->subscriptions && table_count(&c->subscriptions->of[v.kind]) > 0)
            table_each(&c->subscriptions->of[v.kind], visit_subscription, &v);
}

/* Confirmations are pushes: CLIENT REPLY OFF does not suppress them. */
static void confirm(struct client *c, enum pubsub_kind kind, bool joined, const struct slice *name) {
    static const char *const words[PUBSUB_KINDS][2] = {
        [PUBSUB_CHANNEL] = { "unsubscribe", "subscribe" },
        [PUBSUB_PATTERN] = { "punsubscribe", "psubscribe" },
        [PUBSUB_SHARD] = { "sunsubscribe", "ssubscribe" },
    };
    struct pubsub_counts now = pubsub_counts(c);
    struct reply *r = &c->reply;
    bool muted = r->muted;
    r->muted = false;
    reply_push(r, 3);
    reply_bulk(r, slice_of(words[kind][joined]));
    if (name)
        reply_bulk(r, *name);
    else
        reply_null(r);
    reply_int(r, (int64_t)(kind == PUBSUB_SHARD ? now.shard_channels : now.channels + now.patterns));
    r->muted = muted;
}

void pubsub_subscribe(struct client *c, enum pubsub_kind kind, struct slice name) {
    assert(kind < PUBSUB_KINDS && (c->worker == worker_self() || exclusive_is_mine()));
    struct subscriptions *s = subscriptions_of(c);
    uint64_t hash = hash_bytes(name);
    if (!table_find(&s->of[kind], name, hash)) join_audience(c, kind, name, hash);
    confirm(c, kind, true, &name);
}

void pubsub_unsubscribe(struct client *c, enum pubsub_kind kind, struct slice name) {
    assert(kind < PUBSUB_KINDS && (c->worker == worker_self() || exclusive_is_mine()));
    struct subscription *s = NULL;
    if (c->subscriptions) s = table_find(&c->subscriptions->of[kind], name, hash_bytes(name));
    if (s) {
        leave_audience(s);
        release_if_none(c);
    }
    confirm(c, kind, false, &name);
}

struct gathering {
    struct subscription **at;
    size_t count, room;
};

static void gather_subscription(void *arg, void *item) {
    struct gathering *g = arg;
    if (g->count == g->room) {
        g->room = g->room ? 2 * g->room : GATHERED_FIRST;
        g->at = mem_realloc(g->at, g->room * sizeof(struct subscription *));
    }
    g->at[g->count++] = item;
}

static void leave(struct client *c, struct subscription *s, bool aloud) {
    struct name *n = name_ref(s->name);
    struct slice text = name_text(n);
    enum pubsub_kind kind = n->kind;
    leave_audience(s);
    if (aloud) confirm(c, kind, false, &text);
    name_unref(n);
}

/* Leaves about `most` of one kind, or all; returns how many that were. The next call goes on where this one
 * ended, so that it does not meet the emptied buckets once more. */
static size_t leave_kind(struct client *c, enum pubsub_kind kind, bool aloud, size_t most) {
    struct gathering g = { 0 };
    size_t left = 0;
    while (left < most && count_of(c, kind) > 0) {
        struct subscriptions *all = c->subscriptions;
        all->leaving_at = table_scan(&all->of[kind], all->leaving_at, gather_subscription, &g);
        for (size_t i = 0; i < g.count; i++) leave(c, g.at[i], aloud);
        left += g.count;
        g.count = 0;
    }
    mem_free(g.at);
    if (left > 0) release_if_none(c);
    return left;
}

bool pubsub_unsubscribe_all(struct client *c, enum pubsub_kind kind, size_t most) {
    if (leave_kind(c, kind, true, most) == 0) confirm(c, kind, false, NULL);
    return count_of(c, kind) == 0;
}

bool pubsub_leave_some(struct client *c, size_t most) {
    size_t left = 0;
    for (int kind = 0; kind < PUBSUB_KINDS && left < most; kind++)
        left += leave_kind(c, (enum pubsub_kind)kind, false, most - left);
    return !c->subscriptions;
}

void pubsub_leave_all(struct client *c) {
    bool left = pubsub_leave_some(c, SIZE_MAX);
    assert(left);
}

/* ---- publishing ---- */

static char *put_bulk(char *at, struct slice text) {
    *at++ = '$';
    at += uint64_format(at, text.len);
    *at++ = '\r';
    *at++ = '\n';
    if (text.len) memcpy(at, text.ptr, text.len);
    at += text.len;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

/* "$<len>\r\n<channel>\r\n$<len>\r\n<message>\r\n" */
static struct blob *tail_new(struct slice channel, struct slice message) {
    const size_t around = sizeof "$\r\n\r\n" + INT64_TEXT_MAX;
    struct blob *b = blob_new(0, channel.len + message.len + 2 * around);
    b->len = (size_t)(put_bulk(put_bulk(b->bytes, channel), message) - b->bytes);
    assert(b->len <= b->room);
    return b;
}

/* The names that a message goes to. */
struct matches {
    struct slice channel;
    uint64_t hash;
    struct name **names;
    size_t count, room;
    size_t receivers;
    uint64_t workers;
    struct name *inside[NAMES_INSIDE];
};

static void matches_add(struct matches *m, struct name *n) {
    if (m->count == m->room) {
        struct name **more = mem_alloc(m->room * 2 * sizeof *more);
        memcpy(more, m->names, m->count * sizeof *more);
        if (m->names != m->inside) mem_free(m->names);
        m->names = more;
        m->room *= 2;
    }
    m->names[m->count++] = n;
    m->receivers += n->subscribers;
    m->workers |= n->workers;
}

/* As in Redis and Valkey, only the empty pattern matches the empty channel; not even "*" does. */
static bool match_pattern(void *arg, void *item) {
    struct matches *m = arg;
    const struct name *pattern = item;
    bool fits = glob_match(name_text(pattern), m->channel);
    if (fits) matches_add(m, item);
    return true;
}

static void find_matches(enum pubsub_kind kind, struct matches *m) NEEDS(registry_lock) {
    struct name *n = find_in(&registry[kind], m->channel, m->hash);
    if (n) matches_add(m, n);
    if (kind == PUBSUB_CHANNEL && table_count(&registry[PUBSUB_PATTERN]) > 0)
        table_each(&registry[PUBSUB_PATTERN], match_pattern, m);
}

static void deliver_call(struct letter *self);

/* Queues the message for one worker. True if its letter has to be posted. */
static bool enqueue(int worker, const struct matches *m, struct blob *tail) NEEDS(registry_lock) {
    struct station *st = &stations[worker];
    struct delivery *d = mem_alloc(sizeof *d + m->count * sizeof(struct name *));
    *d = (struct delivery){ .tail = blob_ref(tail), .number = last_number };
    for (size_t i = 0; i < m->count; i++)
        if (m->names[i]->workers >> worker & 1) d->names[d->count++] = name_ref(m->names[i]);
    assert(d->count > 0);
    if (st->first)
        st->last->next = d;
    else
        st->first = d;
    st->last = d;
    if (worker == worker_self()) {
        st->has_own = true;
        return false;
    }
    if (st->called) return false;
    st->called = true;
    st->call.run = deliver_call;
    return true;
}

static bool is_heard(enum pubsub_kind kind) {
    if (atomic_load_explicit(&name_counts[kind], memory_order_acquire) > 0) return true;
    return kind == PUBSUB_CHANNEL &&
           atomic_load_explicit(&name_counts[PUBSUB_PATTERN], memory_order_acquire) > 0;
}

#define SHARD_HEAD "*3\r\n$8\r\nsmessage\r\n"

/* Of a sharded channel: what its subscribers here get. */
static void count_for_slot(enum pubsub_kind kind, struct slice channel, size_t tail, size_t receivers) {
    if (kind == PUBSUB_SHARD)
        slot_stats_add(slot_of_key(channel), SLOT_BYTES_OUT, (sizeof SHARD_HEAD - 1 + tail) * receivers);
}

size_t pubsub_publish(enum pubsub_kind kind, struct slice channel, struct slice message) {
    assert(kind != PUBSUB_PATTERN);
    if (!is_heard(kind)) return 0;
    struct matches m = { .channel = channel, .hash = hash_bytes(channel), .room = NAMES_INSIDE };
    m.names = m.inside;
    struct blob *tail = message.len >= BIG_MESSAGE ? tail_new(channel, message) : NULL;
    uint64_t to_call = 0;
    lock_take(&registry_lock);
    find_matches(kind, &m);
    if (m.count > 0) {
        if (!tail) tail = tail_new(channel, message);
        last_number++;
    }
    for (uint64_t left = m.workers; left; left &= left - 1) {
        int worker = __builtin_ctzll(left);
        if (enqueue(worker, &m, tail)) to_call |= (uint64_t)1 << worker;
    }
    lock_drop(&registry_lock);
    /* The order is fixed now. Waking a worker is a system call, so do it without the lock. */
    for (; to_call; to_call &= to_call - 1)
        worker_post(__builtin_ctzll(to_call), &stations[__builtin_ctzll(to_call)].call);
    if (UNLIKELY(slot_stats_on) && m.receivers > 0) count_for_slot(kind, channel, tail->len, m.receivers);
    blob_unref(tail);
    if (m.names != m.inside) mem_free(m.names);
    return m.receivers;
}

/* ---- delivering ---- */

/* Of a message for this name; its first byte is to be changed for RESP3. */
static void write_head(const struct name *n) {
    buf_clear(&head);
    switch (n->kind) {
    case PUBSUB_CHANNEL: buf_append(&head, LIT("*3\r\n$7\r\nmessage\r\n")); return;
    case PUBSUB_SHARD: buf_append(&head, LIT(SHARD_HEAD)); return;
    case PUBSUB_PATTERN:
        buf_printf(&head, "*4\r\n$8\r\npmessage\r\n$%u\r\n", n->len);
        buf_append(&head, name_text(n));
        buf_append(&head, LIT("\r\n"));
        return;
    case PUBSUB_KINDS: break;
    }
    assert(false);
}

/* Messages that an audience gets one after the other: from `first` to before `end`. */
struct run {
    const struct name *name;
    const struct delivery *first, *end;
    size_t count, bytes;   /* heads included */
    struct blob *forms[2]; /* all of them for RESP2, for RESP3; NULL until somebody needs it */
};

static struct run run_of(const struct name *n, const struct delivery *first, const struct delivery *end) {
    write_head(n);
    struct run r = { .name = n, .first = first, .end = end };
    for (const struct delivery *d = first; d != end; d = d->next) {
        r.count++;
        r.bytes += head.len + d->tail->len;
    }
    return r;
}

/* With any of its names as head, about. */
static size_t longest_form(const struct delivery *d) {
    size_t longest = 0;
    for (size_t i = 0; i < d->count; i++)
        if (d->names[i]->len > longest) longest = d->names[i]->len;
    return d->tail->len + longest;
}

static bool is_for_the_same(const struct delivery *a, const struct delivery *b) {
    return a->count == b->count && memcmp(a->names, b->names, a->count * sizeof a->names[0]) == 0;
}

/* The end of the messages from `first` on that go to the same names, and are not too long to be joined. */
static const struct delivery *end_of_run(const struct delivery *first) {
    size_t bytes = longest_form(first);
    const struct delivery *d = first->next;
    for (; d && is_for_the_same(first, d); d = d->next) {
        bytes += longest_form(d);
        if (bytes > RUN_MAX) break;
    }
    return d;
}

static char mark_of(uint8_t protocol) { return protocol == 2 ? '*' : '>'; }

static struct blob *form_of(struct run *r, uint8_t protocol) {
    struct blob **form = &r->forms[protocol - 2];
    if (*form) return *form;
    *form = blob_new(r->bytes, r->bytes);
    char *at = (*form)->bytes;
    head.ptr[0] = mark_of(protocol);
    for (const struct delivery *d = r->first; d != r->end; d = d->next) {
        memcpy(at, head.ptr, head.len);
        memcpy(at + head.len, d->tail->bytes, d->tail->len);
        at += head.len + d->tail->len;
    }
    assert(at == (*form)->bytes + r->bytes);
    return *form;
}

static size_t count_after(const struct run *r, uint64_t since) {
    if (LIKELY(since < r->first->number)) return r->count;
    size_t count = 0;
    for (const struct delivery *d = r->first; d != r->end; d = d->next) count += d->number > since;
    return count;
}

static void write_each(struct reply *to, const struct run *r, uint64_t since) {
    head.ptr[0] = mark_of(to->protocol);
    for (const struct delivery *d = r->first; d != r->end; d = d->next) {
        if (d->number <= since) continue;
        reply_raw(to, buf_slice(&head));
        reply_raw_blob(to, d->tail);
    }
}

/* What the subscriber gets of the run, `count` messages. `joined`: in one piece, if it gets all of them. */
static void write_run(const struct subscription *s, struct run *r, size_t count, bool joined) {
    struct client *c = s->client;
    struct reply *to = &c->reply;
    bool muted = to->muted;
    to->muted = false;
    if (LIKELY(joined && count == r->count))
        reply_raw_shared(to, form_of(r, to->protocol));
    else
        write_each(to, r, s->since);
    to->muted = muted;
    c->messages_waiting += count;
    client_hooks.output(c);
}

enum who { EVERYBODY, WITH_ONE_SUBSCRIPTION, WITH_SEVERAL };

static bool is_meant(enum who who, const struct client *c) {
    if (LIKELY(who == EVERYBODY)) return true;
    struct pubsub_counts counts = pubsub_counts(c);
    bool several = counts.channels + counts.patterns + counts.shard_channels > 1;
    return several == (who == WITH_SEVERAL);
}

/* True if it left somebody out. */
static bool deliver_run(struct station *st, struct run *r, enum who who) {
    const struct chain *audience = &r->name->audiences[worker_self()];
    /* A single subscriber gets its copy at once. Big tails are never copied. */
    bool joined = audience->first != audience->last && r->first->tail->len < REPLY_SHARE, left_out = false;
    uint64_t delivered = 0, dropped = 0;
    CHAIN_EACH(audience, struct subscription, in_audience, s) {
        if (s_next) __builtin_prefetch(s_next->client);
        size_t count = count_after(r, s->since);
        if (UNLIKELY(count == 0)) continue;
        if (UNLIKELY(!is_meant(who, s->client))) {
            left_out = true;
            continue;
        }
        if (UNLIKELY(s->client->flags & (CLIENT_CLOSING | CLIENT_CLOSE_AFTER))) {
            dropped += count; /* it gets nothing any more */
            continue;
        }
        write_run(s, r, count, joined);
        delivered += count;
    }
    for (size_t i = 0; i < COUNT_OF(r->forms); i++) blob_unref(r->forms[i]);
    COUNTER_ADD(st->delivered, delivered);
    if (UNLIKELY(dropped > 0)) COUNTER_ADD(st->dropped, dropped);
    return left_out;
}

/* Where the messages have several names, a client may have subscribed to more than one of them: it gets
 * message by message what others get as a whole. */
static void deliver_between(struct station *st, const struct delivery *first, const struct delivery *end) {
    enum who who = first->count > 1 && first->next != end ? WITH_ONE_SUBSCRIPTION : EVERYBODY;
    bool left_out = false;
    for (size_t i = 0; i < first->count; i++) {
        struct run r = run_of(first->names[i], first, end);
        left_out |= deliver_run(st, &r, who);
    }
    if (LIKELY(!left_out)) return;
    for (const struct delivery *d = first; d != end; d = d->next) {
        for (size_t i = 0; i < d->count; i++) {
            struct run r = run_of(d->names[i], d, d->next);
            deliver_run(st, &r, WITH_SEVERAL);
        }
    }
}

static void delivery_free(struct delivery *d) {
    for (size_t i = 0; i < d->count; i++) name_unref(d->names[i]);
    blob_unref(d->tail);
    mem_free(d);
}

static void deliver_all(struct station *st, struct delivery *d) {
    while (d) {
        const struct delivery *end = end_of_run(d);
        deliver_between(st, d, end);
        while (d != end) {
            struct delivery *next = d->next;
            delivery_free(d);
            d = next;
        }
    }
}

/* Delivers what waits at the time of the call. */
static void deliver_waiting(struct station *st, bool from_letter) {
    lock_take(&registry_lock);
    struct delivery *d = st->first;
    assert(!st->first == !st->last);
    st->first = st->last = NULL;
    if (from_letter) st->called = false;
    lock_drop(&registry_lock);
    st->has_own = false;
    deliver_all(st, d);
}

static void deliver_call(struct letter *self) {
    deliver_waiting(CONTAINER_OF(self, struct station, call), true);
}

void pubsub_deliver(void) { deliver_waiting(&stations[worker_self()], false); }

bool pubsub_has_own(void) { return stations[worker_self()].has_own; }

/* ---- numbers ---- */

void pubsub_note_cut(const struct client *c) {
    COUNTER_ADD(stations[worker_self()].dropped, c->messages_waiting);
}

struct pubsub_messages pubsub_messages(void) {
    struct pubsub_messages sum = { 0 };
    for (int i = 0; i < WORKERS_MAX; i++) {
        sum.delivered += counter_read(&stations[i].delivered);
        sum.dropped += counter_read(&stations[i].dropped);
    }
    return sum;
}

void pubsub_messages_reset(void) {
    for (int i = 0; i < WORKERS_MAX; i++) {
        counter_clear(&stations[i].delivered);
        counter_clear(&stations[i].dropped);
    }
}

size_t pubsub_memory(const struct client *c) {
    if (!c->subscriptions) return 0;
    size_t sum = sizeof *c->subscriptions;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        const struct table *t = &c->subscriptions->of[kind];
        sum += table_memory(t) + table_count(t) * sizeof(struct subscription);
    }
    return sum;
}

size_t pubsub_names(enum pubsub_kind kind) {
    return atomic_load_explicit(&name_counts[kind], memory_order_relaxed);
}

size_t pubsub_subscribers(enum pubsub_kind kind, struct slice name) {
    lock_take(&registry_lock);
    const struct name *n = find_in(&registry[kind], name, hash_bytes(name));
    size_t count = n ? n->subscribers : 0;
    lock_drop(&registry_lock);
    return count;
}

size_t pubsub_clients(void) { return atomic_load_explicit(&client_total, memory_order_relaxed); }

struct visitor {
    void (*visit)(void *arg, struct slice name);
    void *arg;
};

static bool visit_name(void *arg, void *item) {
    const struct visitor *v = arg;
    v->visit(v->arg, name_text(item));
    return true;
}

void pubsub_each(enum pubsub_kind kind, void (*visit)(void *arg, struct slice name), void *arg) {
    struct visitor v = { visit, arg };
    lock_take(&registry_lock);
    if (table_count(&registry[kind]) > 0) table_each(&registry[kind], visit_name, &v);
    lock_drop(&registry_lock);
}

void pubsub_thread_release(void) {
    pubsub_deliver(); /* to nobody */
    buf_release(&head);
    lock_take(&registry_lock);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        if (registry[kind].ops && table_count(&registry[kind]) == 0) table_release(&registry[kind], NULL);
    }
    lock_drop(&registry_lock);
}
