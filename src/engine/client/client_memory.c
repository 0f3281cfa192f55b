/* client_memory.c: see client_memory.h. */
#include "trivet/engine/client/client_memory.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/resp/parser.h"
#include <stdlib.h>

#define PEAK_WINDOW_MS 4000 /* "the last seconds" are one to two of these */
#define PAUSE_MS 100        /* after a look that closed nobody */

/* One worker's sums. It writes them, anybody reads. */
struct held {
    atomic_size_t of[CLASS_COUNT];
    atomic_size_t shared;
    atomic_size_t input_peak[2], output_peak[2]; /* of this window and the one before */
    int64_t window_ms;                           /* when this window began */
} CACHE_ALIGNED;

static struct held held[WORKERS_MAX];

/* ---- one client ---- */

static size_t text_memory(const char *text) { return text ? mem_size(text) : 0; }

size_t client_memory(const struct client *c) {
    return mem_size(c) + c->reply.memory + c->input_room + c->arguments_memory + blocking_memory(c) +
           transaction_memory(c) + pubsub_memory(c) + tracking_memory(c) + text_memory(c->name) +
           text_memory(c->lib_name) + text_memory(c->lib_version);
}

size_t client_argument_bytes(const struct client *c) {
    if (c->running) return args_text_bytes(c->running);
    if (c->flags & CLIENT_POSTPONED) return c->held_arguments;
    return c->blocked ? blocking_arguments(c) : c->arguments_memory;
}

size_t client_queued_bytes(const struct client *c) { return transaction_arguments(c); }

/* ---- sums ---- */

/* The worker is the only one that writes, or the gate is closed: no need for an atomic addition. */
static void change(atomic_size_t *sum, size_t minus, size_t plus) {
    size_t before = atomic_load_explicit(sum, memory_order_relaxed);
    assert(before >= minus);
    atomic_store_explicit(sum, before - minus + plus, memory_order_relaxed);
}

static void raise(atomic_size_t *peak, size_t to) {
    if (to > atomic_load_explicit(peak, memory_order_relaxed))
        atomic_store_explicit(peak, to, memory_order_relaxed);
}

void client_recount(struct client *c) {
    assert(c->worker == worker_self() || exclusive_is_mine());
    assert(!(c->flags & CLIENT_BLOCKED) == !c->blocked);
    assert(!(c->flags & CLIENT_IN_MULTI) || c->transaction);
    struct held *h = &held[c->worker];
    struct client_counted now = {
        .memory = client_memory(c),
        .shared = c->reply.shared,
        .buffers = c->reply.memory + c->input_room + c->arguments_memory,
        .class = client_class(c),
    };
    change(&h->of[c->counted.class], c->counted.memory, 0);
    change(&h->of[now.class], 0, now.memory);
    change(&h->shared, c->counted.shared, now.shared);
    c->counted = now;
    raise(&h->input_peak[0], c->input_room + c->arguments_memory);
    raise(&h->output_peak[0], reply_shape(&c->reply).rest_memory);
}

void client_uncount(struct client *c) {
    struct held *h = &held[c->worker];
    change(&h->of[c->counted.class], c->counted.memory, 0);
    change(&h->shared, c->counted.shared, 0);
    c->counted = (struct client_counted){ 0 };
}

static size_t sum_of(size_t offset) {
    size_t sum = 0;
    for (int i = 0; i < thread_worker_count; i++) {
        atomic_size_t *one = (atomic_size_t *)(void *)((char *)&held[i] + offset);
        sum += atomic_load_explicit(one, memory_order_relaxed);
    }
    return sum;
}

size_t clients_memory(enum client_class class) {
    return sum_of(offsetof(struct held, of) + (size_t) class * sizeof(atomic_size_t));
}

size_t clients_memory_shared(void) { return sum_of(offsetof(struct held, shared)); }

/* ---- peaks ---- */

static size_t peak_of(size_t offset) {
    size_t peak = 0;
    for (int i = 0; i < thread_worker_count; i++) {
        atomic_size_t *two = (atomic_size_t *)(void *)((char *)&held[i] + offset);
        for (int window = 0; window < 2; window++) {
            size_t one = atomic_load_explicit(&two[window], memory_order_relaxed);
            if (one > peak) peak = one;
        }
    }
    return peak;
}

size_t clients_recent_max_input(void) { return peak_of(offsetof(struct held, input_peak)); }
size_t clients_recent_max_output(void) { return peak_of(offsetof(struct held, output_peak)); }

static void next_window(atomic_size_t peak[2]) {
    atomic_store_explicit(&peak[1], atomic_load_explicit(&peak[0], memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&peak[0], 0, memory_order_relaxed);
}

void clients_forget_peaks(int64_t now_ms) {
    struct held *h = &held[worker_self()];
    if (now_ms - h->window_ms < PEAK_WINDOW_MS && now_ms >= h->window_ms) return;
    h->window_ms = now_ms;
    next_window(h->input_peak);
    next_window(h->output_peak);
}

/* ---- the limit ---- */

size_t clients_memory_limit(void) {
    int64_t wanted = options.maxmemory_clients;
    if (wanted >= 0) return (size_t)wanted;
    return (size_t)((double)options.maxmemory * (double)-wanted / 100);
}

static size_t memory_under_limit(void) { return clients_memory(CLASS_NORMAL) + clients_memory(CLASS_PUBSUB); }

#define WHY "maxmemory-clients"

/* On the client's worker. */
static void close_letter(struct client *c, void *arg) {
    (void)arg;
    if (c) client_hooks.close(c, WHY);
}

static void evict(struct client *c) {
    struct buf line = { 0 };
    client_describe(c, turn_now_ms, &line);
    LOG_NOTICE("Evicting client: %.*s", SLICE_ARG(buf_slice(&line)));
    buf_release(&line);
    if (c->worker == worker_self()) {
        client_hooks.close(c, WHY);
    } else {
        c->flags |= CLIENT_CLOSING; /* it runs nothing more; its worker closes it */
        blocking_cancel(c);
        client_post(c->worker, c->id, close_letter, NULL);
    }
}

static int compare_by_memory(const void *a, const void *b) {
    const struct client *const *x = a, *const *y = b;
    size_t left = (*x)->counted.memory, right = (*y)->counted.memory;
    return left < right ? 1 : -(left > right);
}

/* Puts the clients that may be closed into `found`; returns how many. *sum: the memory of all clients. */
static size_t find_candidates(struct client **found, size_t *sum) {
    size_t count = 0;
    *sum = 0;
    for (int worker = 0; worker < thread_worker_count; worker++) {
        CLIENTS_OF(worker, c) {
            if ((c->flags & CLIENT_CLOSING) || client_class(c) == CLASS_REPLICA ||
                (c->flags & (CLIENT_PRIMARY | CLIENT_SLOT_EXPORT | CLIENT_SLOT_IMPORT)))
                continue;
            client_recount(c);
            *sum += c->counted.memory;
            if (!(c->flags & CLIENT_NO_EVICT)) found[count++] = c;
        }
    }
    return count;
}

/* Gate closed. Returns how many it closed. */
static size_t evict_biggest(size_t limit) {
    struct client **found = mem_alloc(client_count() * sizeof *found + sizeof *found);
    size_t sum, count = find_candidates(found, &sum), closed = 0;
    if (sum > limit) qsort(found, count, sizeof(struct client *), compare_by_memory);
    for (; closed < count && sum > limit; closed++) {
        sum -= found[closed]->counted.memory;
        evict(found[closed]);
    }
    mem_free(found);
    return closed;
}

size_t clients_keep_limit(void) {
    static atomic_int_fast64_t next_look_ms;
    if (LIKELY(options.maxmemory_clients == 0)) return 0;
    size_t limit = clients_memory_limit();
    if (limit == 0 || memory_under_limit() <= limit) return 0;
    int64_t next = atomic_load_explicit(&next_look_ms, memory_order_relaxed);
    if (turn_now_ms < next && next - turn_now_ms <= PAUSE_MS) return 0;
    exclusive_begin();
    size_t closed = evict_biggest(limit);
    exclusive_end();
    /* The clients chosen before are still closing, or none that is left may be closed. */
    if (closed == 0) atomic_store_explicit(&next_look_ms, turn_now_ms + PAUSE_MS, memory_order_relaxed);
    return closed;
}
