/* writer.c: see writer.h. */
#include "writer.h"
#include "../harness/fail.h"
#include "rounds.h"
#include <stdlib.h>

void writer_release(struct writer *w) {
    text_release(&w->problem);
    free(w->recent);
    w->recent = NULL;
}

/* ---- its thread ---- */

static void keep(struct writer *w, const struct step *step) {
    model_apply(&w->kept, step);
    w->raises += step->kind == INCR_SHARED;
}

static void keep_first(struct writer *w) {
    keep(w, &w->recent[w->recent_first++].step);
    w->recent_count--;
}

void writer_keep_old(struct writer *w, int64_t now) {
    while (w->recent_count > 0 && w->recent[w->recent_first].at_ms < now - w->young_ms) keep_first(w);
}

static void remember(struct writer *w, const struct step *step) {
    int64_t now = now_ms();
    writer_keep_old(w, now);
    if (w->recent_first + w->recent_count == w->recent_room) {
        if (w->recent_count > 0)
            memmove(w->recent, w->recent + w->recent_first, w->recent_count * sizeof w->recent[0]);
        w->recent_first = 0;
        if (w->recent_count * 2 >= w->recent_room) {
            w->recent_room = w->recent_room ? w->recent_room * 2 : 1024;
            w->recent = realloc(w->recent, w->recent_room * sizeof w->recent[0]);
            if (!w->recent) abort();
        }
    }
    w->recent[w->recent_first + w->recent_count++] = (struct acknowledged){ *step, now };
}

/* A client that asks is used to servers that change their roles. */
static bool read_replies(struct writer *w, const struct step *step) {
    bool good = true;
    for (size_t i = 0; good && i < model_replies(step); i++) {
        struct node *reply = client_read_or_end(w->client);
        good = reply && !node_is_error(reply);
        if (reply && !good && !(w->asking != ASKS_NOTHING && is_refusal(reply)))
            text_printf(&w->problem, "writer %d got -%s", w->index, text_str(&reply->bytes));
        node_free(reply);
    }
    return good;
}

/* The first flying step was answered. */
static void acknowledge(struct writer *w) {
    if (w->young_ms == 0)
        keep(w, &w->flying[0]);
    else
        remember(w, &w->flying[0]);
    memmove(w->flying, w->flying + 1, --w->flying_count * sizeof w->flying[0]);
    atomic_fetch_add(w->answers, 1);
}

/* As many steps as may be under way, and a question behind them. */
static bool queue_turn(struct writer *w) {
    while (w->flying_count < w->depth) {
        struct step step = model_draw(&w->random, ++w->next, w->own);
        w->flying[w->flying_count++] = step;
        model_queue(w->client, w->index, &step);
    }
    return marks_ask(w->client, w->asking, &w->random);
}

static void *write_until_the_end(void *arg) {
    struct writer *w = arg;
    for (bool alive = true; alive && !(w->over && atomic_load(w->over));) {
        bool asks = queue_turn(w);
        /* Even if not everything could be sent, answers to the part that was may be there. */
        (void)client_flush(w->client);
        while (alive && w->flying_count > 0) {
            alive = read_replies(w, &w->flying[0]);
            if (alive) acknowledge(w);
        }
        if (asks && alive) alive = marks_read(&w->marks, w->client, w->recent_count, &w->problem);
    }
    return arg;
}

void writer_start(struct writer *w, struct client *c) {
    w->client = c;
    if (w->own) client_ask(c, "SELECT %d", w->index);
    if (pthread_create(&w->thread, NULL, write_until_the_end, w) != 0) HARNESS_FAIL("cannot start a thread");
}

void writer_join(struct writer *w) {
    pthread_join(w->thread, NULL);
    client_close(w->client);
    w->client = NULL;
    if (w->problem.len > 0) HARNESS_FAIL("%s", text_str(&w->problem));
}

/* ---- what is owed ---- */

size_t writer_keep(struct writer *w, enum owed owed) {
    size_t count = marks_owed(&w->marks, owed, w->recent_count);
    for (size_t i = 0; i < count; i++) keep_first(w);
    w->marks = (struct marks){ 0 };
    return count;
}

static NORETURN void report_loss(const struct writer *w, const struct state *real) {
    struct text difference = { 0 };
    model_describe_difference(&w->kept, real, &difference);
    HARNESS_FAIL(
        "writer %d (depth %zu, %zu may be lost, %zu in flight): no point in its history fits what is there. "
        "The last that must be there against what is: %s",
        w->index, w->depth, w->recent_count, w->flying_count, text_str(&difference));
}

/* The i-th step that may be there or not. */
static const struct step *open_step(const struct writer *w, size_t i) {
    return i < w->recent_count ? &w->recent[w->recent_first + i].step : &w->flying[i - w->recent_count];
}

void writer_raises(const struct writer *w, int64_t *least, int64_t *most) {
    *least += w->raises;
    *most += w->raises;
    for (size_t i = 0; i < w->recent_count + w->flying_count; i++)
        *most += open_step(w, i)->kind == INCR_SHARED;
}

size_t writer_settle(struct writer *w, struct client *c) {
    struct state real, model = w->kept;
    size_t done = 0;
    client_ask(c, "SELECT %d", w->own ? w->index : 0);
    model_observe(c, w->index, &real);
    for (; !model_is_same(&model, &real); done++) {
        if (done == w->recent_count + w->flying_count) report_loss(w, &real);
        model_apply(&model, open_step(w, done));
    }
    size_t lost = done < w->recent_count ? w->recent_count - done : 0;
    w->kept = model;
    w->recent_first = w->recent_count = w->flying_count = 0;
    w->raises = 0;
    return lost;
}
