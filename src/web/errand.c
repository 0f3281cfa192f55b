/* errand.c: see errand.h.
 *
 * Formatting the metrics costs worker 0 some hundred microseconds. So that nobody can keep it busy with
 * them, a pause lies between two times: who asks in it waits, and gets fresh numbers together with all others
 * that did. */
#include "errand.h"
#include "facts.h"
#include "trivet/base/clock.h"
#include "trivet/base/grow.h"
#include "trivet/base/log.h"
#include "trivet/base/mailbox.h"
#include "trivet/base/mem.h"
#include "trivet/engine/process/readiness.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include <event2/event.h>
#include <stdatomic.h>

#define METRICS_PAUSE_MS 50

struct errand {
    struct letter letter;
    struct question *questions;
    size_t count, room;
    bool wants_metrics;
    struct buf metrics;
    int64_t took_us;
};

static struct mailbox home; /* the web thread's */
static struct event *letters, *pause_over;
static errand_done *on_done;
static atomic_bool stopped;
static bool has_box, is_under_way;
static struct errand waiting; /* questions that nobody has taken along */
static int64_t metrics_after_ms;
static size_t usual_length; /* of the metrics' text */

static void release(struct errand *e) {
    for (size_t i = 0; i < e->count; i++) {
        credentials_release(&e->questions[i].credentials);
        buf_release(&e->questions[i].why);
    }
    mem_free(e->questions);
    buf_release(&e->metrics);
    *e = (struct errand){ .count = 0 };
}

static void add(struct errand *e, const struct question *taken) {
    GROW(e->questions, e->count, &e->room, 8);
    e->questions[e->count++] = *taken;
    e->wants_metrics |= taken->kind == ASKS_METRICS;
}

/* ---- on worker 0 ---- */

static void answer(struct question *q) {
    bool is_health = q->kind == ASKS_LIVE || q->kind == ASKS_READY;
    q->admission = is_health ? ADMITTED : admission_ask(&q->credentials, q->peer, q->is_local, turn_now_ms);
    if (q->kind == ASKS_READY) q->is_ready = readiness_ask(q->with_primary, turn_now_ms, &q->why);
}

static bool metrics_are_seen(const struct errand *e) {
    for (size_t i = 0; i < e->count; i++)
        if (e->questions[i].kind == ASKS_METRICS && e->questions[i].admission == ADMITTED) return true;
    return false;
}

static void come_home(struct letter *self);

static void visit_worker(struct letter *self) {
    struct errand *e = CONTAINER_OF(self, struct errand, letter);
    if (!atomic_load(&stopped)) {
        int64_t began_ns = clock_ticks_ns();
        for (size_t i = 0; i < e->count; i++) answer(&e->questions[i]);
        if (metrics_are_seen(e)) facts_write(turn_now_ms, &e->metrics);
        e->took_us = (clock_ticks_ns() - began_ns) / 1000;
    }
    e->letter.run = come_home;
    mailbox_post(&home, &e->letter);
}

/* ---- on the web thread ---- */

static void send_waiting(void);

static void come_home(struct letter *self) {
    struct errand *e = CONTAINER_OF(self, struct errand, letter);
    is_under_way = false;
    if (!atomic_load(&stopped)) {
        struct blob *text = e->metrics.len > 0 ? blob_of(buf_slice(&e->metrics)) : NULL;
        if (text) {
            usual_length = text->len;
            LOG_DEBUG("Metrics: %zu bytes for %zu requests, %lld us of worker 0", text->len, e->count,
                      (long long)e->took_us);
        }
        for (size_t i = 0; i < e->count; i++) on_done(&e->questions[i], text);
        blob_unref(text);
        send_waiting();
    }
    release(e);
    mem_free(e);
}

static bool may_go(const struct question *q, int64_t now_ms) {
    return q->kind != ASKS_METRICS || now_ms >= metrics_after_ms;
}

static void look_again_in(int64_t ms) {
    struct timeval in = { 0, (suseconds_t)(ms * 1000) };
    if (event_add(pause_over, &in) != 0)
        metrics_after_ms = 0; /* then without the pause, at the next chance */
}

/* Moves what may go from `waiting` to a letter. */
static void send_waiting(void) {
    int64_t now_ms = clock_steady_us() / 1000;
    if (is_under_way || waiting.count == 0) return;
    struct errand *e = mem_alloc_zero(sizeof *e), kept = { .count = 0 };
    for (size_t i = 0; i < waiting.count; i++)
        add(may_go(&waiting.questions[i], now_ms) ? e : &kept, &waiting.questions[i]);
    mem_free(waiting.questions);
    waiting = kept;
    if (waiting.count > 0) look_again_in(metrics_after_ms - now_ms);
    if (e->count == 0) {
        mem_free(e);
        return;
    }
    if (e->wants_metrics) {
        metrics_after_ms = now_ms + METRICS_PAUSE_MS;
        buf_reserve(&e->metrics, usual_length + usual_length / 8 + 1);
    }
    is_under_way = true;
    e->letter.run = visit_worker;
    worker_post(0, &e->letter);
}

void errand_ask(const struct question *taken) {
    add(&waiting, taken);
    send_waiting();
}

static void on_letters(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    mailbox_drain(&home);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    send_waiting();
}

/* ---- start and end ---- */

bool errands_init(struct event_base *base, errand_done *done) {
    has_box = mailbox_init(&home);
    if (!has_box) return false;
    on_done = done;
    atomic_store(&stopped, false);
    letters = event_new(base, home.wake_fd, EV_READ | EV_PERSIST, on_letters, NULL);
    pause_over = event_new(base, -1, 0, on_pause_over, NULL);
    return letters && pause_over && event_add(letters, NULL) == 0;
}

void errands_post(struct letter *letter) { mailbox_post(&home, letter); }

void errands_stop(void) { atomic_store(&stopped, true); }

void errands_release(void) {
    if (has_box) mailbox_drain(&home);
    assert(!is_under_way);
    release(&waiting);
    if (letters) event_free(letters);
    if (pause_over) event_free(pause_over);
    letters = pause_over = NULL;
    if (has_box) mailbox_release(&home);
    has_box = false;
}
