/* test_kill.c: SIGKILL under load, again and again in one folder: no acknowledged write is lost.
 *
 * Writers on threads of their own, each with its own keys, remember two things: the state that all
 * acknowledged commands make (`acked`), and in order the commands that were sent but not answered (`flying`).
 * Because one connection's commands have one order, what the server has after the restart must be `acked`
 * with the first n of `flying` on top, for one n and all keys of the writer at once. That n also says that
 * transactions are whole, for a transaction is one step. A counter that all writers raise is checked by its
 * bounds.
 *
 * When to kill is decided by counting answers, not by a clock. */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef TRIVET_SANITIZE
#define KILLS_PER_POLICY 2
#define ANSWERS_MOST 2000
#else
#define KILLS_PER_POLICY 8
#define ANSWERS_MOST 25000
#endif
#define ANSWERS_LEAST 200

#define WRITERS 6
#define KEYS 32
#define MSET_KEYS 4  /* the first ones, written by MSET only */
#define PAIR 4       /* this key and the next have equal values, the third goes: by transactions only */
#define FREE_KEYS 8  /* from this one on any command comes */
#define LONG_KEYS 24 /* from this one on values are long and INCR does not come */
#define LONG_MOST 9000
#define DEPTH_MOST 100
#define SOME_TIME (-1) /* the expiry that EX made: only the server knows it */

enum kind { SET_PLAIN, SET_EX, SET_PXAT, INCR, DEL, PERSIST, MSET, TRANSACTION, INCR_SHARED, KINDS };

struct step {
    enum kind kind;
    size_t key;
    int64_t value, expiry_ms;
};

struct value {
    bool there;
    int64_t number;
    int64_t expiry_ms; /* 0: none */
};

struct state {
    struct value keys[KEYS];
};

struct writer {
    int index;
    size_t depth; /* commands sent before the answers are read */
    struct client *client;
    pthread_t thread;
    uint64_t random;
    int64_t next;
    struct state acked;
    int64_t raises; /* of the common counter, acknowledged since the start of the server */
    struct step flying[DEPTH_MOST];
    size_t flying_count;
    struct text problem; /* what went wrong on this thread, for the main thread to report */
};

static const size_t depths[WRITERS] = { 1, 1, 4, 16, 50, DEPTH_MOST };
static struct writer writers[WRITERS];
static atomic_ulong answers;

/* ---- what a step does ---- */

static uint64_t draw(struct writer *w, uint64_t below) {
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

static void apply(struct state *s, const struct step *step) {
    struct value *v = &s->keys[step->key];
    switch (step->kind) {
    case SET_PLAIN:
    case SET_EX:
    case SET_PXAT: *v = (struct value){ true, step->value, step->expiry_ms }; break;
    case INCR:
        v->number = v->there ? v->number + 1 : 1;
        v->expiry_ms = v->there ? v->expiry_ms : 0;
        v->there = true;
        break;
    case DEL: *v = (struct value){ 0 }; break;
    case PERSIST: v->expiry_ms = 0; break;
    case MSET:
        for (size_t i = 0; i < MSET_KEYS; i++) s->keys[i] = (struct value){ true, step->value, 0 };
        break;
    case TRANSACTION:
        s->keys[PAIR] = s->keys[PAIR + 1] = (struct value){ true, step->value, 0 };
        s->keys[PAIR + 2] = (struct value){ 0 };
        break;
    case INCR_SHARED:
    case KINDS: break;
    }
}

/* A long value is its number and a filling whose length follows from it. */
static void print_value(struct text *out, size_t key, int64_t number) {
    text_printf(out, "%lld", (long long)number);
    if (key < LONG_KEYS) return;
    size_t filling = 1 + (size_t)(number * 7919 % LONG_MOST);
    text_append_char(out, ':');
    for (size_t i = 0; i < filling; i++) text_append_char(out, 'x');
}

/* Queues the step's command; a transaction is four of them. */
static void queue(struct writer *w, const struct step *step) {
    struct client *c = w->client;
    struct text value = { 0 };
    int me = w->index;
    long long n = step->value;
    print_value(&value, step->key, step->value);
    const char *text = text_str(&value);
    switch (step->kind) {
    case SET_PLAIN: client_queue(c, "SET w%d:%zu %s", me, step->key, text); break;
    case SET_EX: client_queue(c, "SET w%d:%zu %s EX 100000", me, step->key, text); break;
    case SET_PXAT:
        client_queue(c, "SET w%d:%zu %s PXAT %lld", me, step->key, text, (long long)step->expiry_ms);
        break;
    case INCR: client_queue(c, "INCR w%d:%zu", me, step->key); break;
    case DEL: client_queue(c, "DEL w%d:%zu", me, step->key); break;
    case PERSIST: client_queue(c, "PERSIST w%d:%zu", me, step->key); break;
    case MSET:
        client_queue(c, "MSET w%d:0 %lld w%d:1 %lld w%d:2 %lld w%d:3 %lld", me, n, me, n, me, n, me, n);
        break;
    case TRANSACTION:
        client_queue(c, "MULTI");
        client_queue(c, "SET w%d:4 %lld", me, n);
        client_queue(c, "SET w%d:5 %lld", me, n);
        client_queue(c, "DEL w%d:6", me);
        client_queue(c, "EXEC");
        break;
    case INCR_SHARED: client_queue(c, "INCR shared"); break;
    case KINDS: break;
    }
    text_release(&value);
}

static size_t replies_of(const struct step *step) { return step->kind == TRANSACTION ? 5 : 1; }

static struct step next_step(struct writer *w) {
    struct step step = { .kind = (enum kind)draw(w, KINDS), .value = ++w->next };
    step.key = FREE_KEYS + (size_t)draw(w, (step.kind == INCR ? LONG_KEYS : KEYS) - FREE_KEYS);
    if (step.kind == MSET || step.kind == TRANSACTION) step.key = 0;
    if (step.kind == SET_EX) step.expiry_ms = SOME_TIME;
    if (step.kind == SET_PXAT) step.expiry_ms = 4102444800000 + step.value;
    return step;
}

/* ---- the writers ---- */

static bool read_replies(struct writer *w, const struct step *step) {
    for (size_t i = 0; i < replies_of(step); i++) {
        struct node *reply = client_read_or_end(w->client);
        if (!reply) return false;
        if (node_is_error(reply))
            text_printf(&w->problem, "writer %d got -%s", w->index, text_str(&reply->bytes));
        node_free(reply);
    }
    return w->problem.len == 0;
}

/* Takes the first flying step as done. */
static void acknowledge(struct writer *w) {
    apply(&w->acked, &w->flying[0]);
    w->raises += w->flying[0].kind == INCR_SHARED;
    memmove(w->flying, w->flying + 1, --w->flying_count * sizeof w->flying[0]);
    atomic_fetch_add(&answers, 1);
}

static void *write_until_the_end(void *arg) {
    struct writer *w = arg;
    for (bool alive = true; alive;) {
        while (w->flying_count < w->depth) {
            w->flying[w->flying_count] = next_step(w);
            queue(w, &w->flying[w->flying_count++]);
        }
        /* Even if not everything could be sent, answers to the part that was may be there. */
        (void)client_flush(w->client);
        while (alive && w->flying_count > 0) {
            alive = read_replies(w, &w->flying[0]);
            if (alive) acknowledge(w);
        }
    }
    return arg;
}

static void load_until_killed(struct server *s, unsigned long wanted) {
    atomic_store(&answers, 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].client = server_connect(s);
        if (pthread_create(&writers[i].thread, NULL, write_until_the_end, &writers[i]) != 0)
            HARNESS_FAIL("cannot start a thread");
    }
    struct timespec pause = { .tv_nsec = 200000 }, now, deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    do {
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (atomic_load(&answers) < wanted && now.tv_sec - deadline.tv_sec < 60);
    server_kill(s);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        client_close(writers[i].client);
        if (writers[i].problem.len > 0) HARNESS_FAIL("%s", text_str(&writers[i].problem));
    }
    if (atomic_load(&answers) < wanted)
        HARNESS_FAIL("the writers did not get on: %lu answers", atomic_load(&answers));
}

/* ---- looking at what is there ---- */

/* What the server has of one writer's keys. A long value must have its filling. */
static void observe(struct client *c, const struct writer *w, struct state *out) {
    *out = (struct state){ 0 };
    for (size_t i = 0; i < KEYS; i++) {
        client_queue(c, "GET w%d:%zu", w->index, i);
        client_queue(c, "PEXPIRETIME w%d:%zu", w->index, i);
    }
    client_flush(c);
    for (size_t i = 0; i < KEYS; i++) {
        struct node *value = client_read(c), *expiry = client_read(c);
        struct value *v = &out->keys[i];
        v->there = !value->null;
        v->number = strtoll(text_str(&value->bytes), NULL, 10);
        v->expiry_ms = expiry->number > 0 ? expiry->number : 0;
        struct text wanted = { 0 };
        print_value(&wanted, i, v->number);
        if (v->there && strcmp(text_str(&wanted), text_str(&value->bytes)) != 0)
            HARNESS_FAIL("w%d:%zu holds something that was never written", w->index, i);
        text_release(&wanted);
        node_free(value);
        node_free(expiry);
    }
}

static bool same_value(const struct value *model, const struct value *real) {
    if (model->there != real->there || (model->there && model->number != real->number)) return false;
    if (model->expiry_ms == SOME_TIME) return real->expiry_ms > 0;
    return model->expiry_ms == real->expiry_ms;
}

/* The first key that differs; KEYS if none. */
static size_t first_difference(const struct state *model, const struct state *real) {
    size_t i = 0;
    while (i < KEYS && same_value(&model->keys[i], &real->keys[i])) i++;
    return i;
}

static NORETURN void report_loss(const struct writer *w, const struct state *real) {
    size_t key = first_difference(&w->acked, real);
    const struct value *model = &w->acked.keys[key], *got = &real->keys[key];
    HARNESS_FAIL(
        "writer %d (depth %zu, %zu in flight): no point in its history fits what is there. Acknowledged "
        "w%d:%zu there=%d %lld expiry %lld; found there=%d %lld expiry %lld",
        w->index, w->depth, w->flying_count, w->index, key, model->there, (long long)model->number,
        (long long)model->expiry_ms, got->there, (long long)got->number, (long long)got->expiry_ms);
}

/* Moves `acked` to the point in the writer's history that the server has. */
static void settle(struct client *c, struct writer *w) {
    struct state real, model = w->acked;
    observe(c, w, &real);
    for (size_t i = 1; i < MSET_KEYS; i++)
        if (!same_value(&real.keys[0], &real.keys[i]))
            HARNESS_FAIL("writer %d: half an MSET is there", w->index);
    if (!same_value(&real.keys[PAIR], &real.keys[PAIR + 1]))
        HARNESS_FAIL("writer %d: half a transaction is there", w->index);
    for (size_t done = 0; first_difference(&model, &real) < KEYS; done++) {
        if (done == w->flying_count) report_loss(w, &real);
        apply(&model, &w->flying[done]);
    }
    w->acked = model;
}

/* The counter that all raise: all acknowledged raises are there, and of those in flight any. */
static void check_shared(struct client *c, int64_t *shared) {
    int64_t least = *shared, most;
    for (int i = 0; i < WRITERS; i++) least += writers[i].raises;
    most = least;
    for (int i = 0; i < WRITERS; i++)
        for (size_t k = 0; k < writers[i].flying_count; k++) most += writers[i].flying[k].kind == INCR_SHARED;
    *shared = client_ask_int(c, "INCRBY shared 0");
    if (*shared < least || *shared > most)
        HARNESS_FAIL("the common counter is %lld, not within %lld..%lld", (long long)*shared,
                     (long long)least, (long long)most);
}

/* A torn tail may be cut, and the log says so; all else that sounds like trouble is one. */
static void check_log(struct server *s) {
    static const char *const bad[] = { "damaged", "annot ",  "Can't load", "Can't open",
                                       "failed",  "refused", "Not loaded" };
    const char *log = server_log(s);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (strstr(log, bad[i])) HARNESS_FAIL("the log says '%s':\n%s", bad[i], log);
}

static void check_after_restart(struct server *s, int64_t *shared) {
    struct client *c = server_connect(s);
    check_log(s);
    assert_reply(c, "PING", "+PONG");
    check_shared(c, shared);
    for (int i = 0; i < WRITERS; i++) {
        struct writer *w = &writers[i];
        settle(c, w);
        w->flying_count = 0;
        w->raises = 0;
    }
    client_close(c);
}

/* ---- the tests ---- */

static void start_writers(void) {
    for (int i = 0; i < WRITERS; i++) {
        text_release(&writers[i].problem);
        writers[i] =
            (struct writer){ .index = i, .depth = depths[i], .random = 88172645463325252u + (uint64_t)i };
    }
}

static void kill_again_and_again(const char *policy) {
    struct server *s =
        server_start("--io-threads", "4", "--appendonly", "yes", "--appendfsync", policy, NULL);
    int64_t shared = 0;
    start_writers();
    for (int i = 0; i < KILLS_PER_POLICY; i++) {
        load_until_killed(s, ANSWERS_LEAST + draw(&writers[0], ANSWERS_MOST));
        server_restart(s);
        check_after_restart(s, &shared);
    }
    server_stop(s);
    server_restart(s);
    check_after_restart(s, &shared);
    server_free(s);
}

static void no_acknowledged_write_is_lost_with_appendfsync_always(void **state) {
    (void)state;
    kill_again_and_again("always");
}

static void no_acknowledged_write_is_lost_with_appendfsync_everysec(void **state) {
    (void)state;
    kill_again_and_again("everysec");
}

static void no_acknowledged_write_is_lost_with_appendfsync_no(void **state) {
    (void)state;
    kill_again_and_again("no");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_acknowledged_write_is_lost_with_appendfsync_always),
        cmocka_unit_test(no_acknowledged_write_is_lost_with_appendfsync_everysec),
        cmocka_unit_test(no_acknowledged_write_is_lost_with_appendfsync_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
