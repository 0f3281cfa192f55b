/* writers.c: see writers.h. */
#include "writers.h"
#include "../harness/check.h"
#include "../harness/fail.h"
#include "model.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WRITERS 6
#define OWN_DATABASE 4 /* from this writer on each has a database for itself */
#define DEPTH_MOST 100
#define PATIENCE_MS 60000

struct acknowledged {
    struct step step;
    int64_t at_ms;
};

struct writer {
    int index;
    size_t depth; /* commands sent before the answers are read */
    struct client *client;
    pthread_t thread;
    uint64_t random;
    int64_t next;
    struct state kept;
    int64_t raises;              /* of the common counter, within `kept`, since the start of the server */
    struct acknowledged *recent; /* a queue in an array: from first to first + count */
    size_t recent_first, recent_count, recent_room;
    struct step flying[DEPTH_MOST];
    size_t flying_count;
    struct text problem; /* what went wrong on this thread, for the main thread to report */
};

static const size_t depths[WRITERS] = { 1, 4, 16, DEPTH_MOST, 1, 50 };
static struct writer writers[WRITERS];
static atomic_ulong answers;
static int young;
static int64_t shared;
static uint64_t chance;

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void nap(long us) { nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL); }

uint64_t writers_draw(uint64_t below) { return model_random(&chance, below); }

void writers_begin(int young_ms) {
    young = young_ms;
    shared = 0;
    chance = 88172645463325252u;
    for (int i = 0; i < WRITERS; i++) {
        struct writer *w = &writers[i];
        text_release(&w->problem);
        free(w->recent);
        *w = (struct writer){ .index = i, .depth = depths[i], .random = chance + (uint64_t)i };
    }
}

/* ---- a writer's thread ---- */

static void keep(struct writer *w, const struct step *step) {
    model_apply(&w->kept, step);
    w->raises += step->kind == INCR_SHARED;
}

/* What is not young any more must stay. */
static void keep_old(struct writer *w, int64_t now) {
    while (w->recent_count > 0 && w->recent[w->recent_first].at_ms < now - young) {
        keep(w, &w->recent[w->recent_first++].step);
        w->recent_count--;
    }
}

static void remember(struct writer *w, const struct step *step) {
    int64_t now = now_ms();
    keep_old(w, now);
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

static bool read_replies(struct writer *w, const struct step *step) {
    for (size_t i = 0; i < model_replies(step); i++) {
        struct node *reply = client_read_or_end(w->client);
        if (!reply) return false;
        if (node_is_error(reply))
            text_printf(&w->problem, "writer %d got -%s", w->index, text_str(&reply->bytes));
        node_free(reply);
    }
    return w->problem.len == 0;
}

/* The first flying step was answered. */
static void acknowledge(struct writer *w) {
    if (young == 0)
        keep(w, &w->flying[0]);
    else
        remember(w, &w->flying[0]);
    memmove(w->flying, w->flying + 1, --w->flying_count * sizeof w->flying[0]);
    atomic_fetch_add(&answers, 1);
}

static void *write_until_the_end(void *arg) {
    struct writer *w = arg;
    for (bool alive = true; alive;) {
        while (w->flying_count < w->depth) {
            struct step step = model_draw(&w->random, ++w->next, w->index >= OWN_DATABASE);
            w->flying[w->flying_count++] = step;
            model_queue(w->client, w->index, &step);
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

/* ---- who asks for snapshots and rewrites ---- */

static struct client *operator_client;

/* Most requests come while something is under way and are refused. */
static void *save_until_the_end(void *arg) {
    static const char *const requests[] = { "BGREWRITEAOF", "BGREWRITEAOF", "BGSAVE SCHEDULE", "BGSAVE",
                                            "BGSAVE CANCEL" };
    uint64_t random = 7046029254386353131u + (uint64_t)now_ms();
    for (bool alive = true; alive;) {
        client_queue(operator_client, "%s", requests[model_random(&random, COUNT_OF(requests))]);
        alive = client_flush(operator_client);
        struct node *reply = alive ? client_read_or_end(operator_client) : NULL;
        alive = reply != NULL;
        node_free(reply);
        nap((long)model_random(&random, 20000));
    }
    return arg;
}

/* ---- until the kill ---- */

static void connect_writer(struct server *s, struct writer *w) {
    w->client = server_connect(s);
    if (w->index >= OWN_DATABASE) client_ask(w->client, "SELECT %d", w->index);
    if (pthread_create(&w->thread, NULL, write_until_the_end, w) != 0) HARNESS_FAIL("cannot start a thread");
}

void writers_run(struct server *s, unsigned long wanted, int ms) {
    pthread_t saver;
    atomic_store(&answers, 0);
    for (int i = 0; i < WRITERS; i++) connect_writer(s, &writers[i]);
    operator_client = server_connect(s);
    if (pthread_create(&saver, NULL, save_until_the_end, NULL) != 0) HARNESS_FAIL("cannot start a thread");
    int64_t began = now_ms();
    do nap(200);
    while ((atomic_load(&answers) < wanted || now_ms() - began < ms) && now_ms() - began < PATIENCE_MS);
    server_kill(s);
    int64_t killed = now_ms();
    pthread_join(saver, NULL);
    client_close(operator_client);
    for (int i = 0; i < WRITERS; i++) {
        struct writer *w = &writers[i];
        pthread_join(w->thread, NULL);
        client_close(w->client);
        if (w->problem.len > 0) HARNESS_FAIL("%s", text_str(&w->problem));
        keep_old(w, killed);
    }
    if (atomic_load(&answers) < wanted)
        HARNESS_FAIL("the writers did not get on: %lu answers", atomic_load(&answers));
}

/* ---- after the restart ---- */

static NORETURN void report_loss(const struct writer *w, const struct state *real) {
    struct text difference = { 0 };
    model_describe_difference(&w->kept, real, &difference);
    HARNESS_FAIL(
        "writer %d (depth %zu, %zu young, %zu in flight): no point in its history fits what is there. "
        "The last that must be there against what is: %s",
        w->index, w->depth, w->recent_count, w->flying_count, text_str(&difference));
}

/* The i-th step that may be there or not. */
static const struct step *open_step(const struct writer *w, size_t i) {
    return i < w->recent_count ? &w->recent[w->recent_first + i].step : &w->flying[i - w->recent_count];
}

/* Moves `kept` to the point in the writer's history that the server has. */
static void settle(struct client *c, struct writer *w) {
    struct state real, model = w->kept;
    client_ask(c, "SELECT %d", w->index >= OWN_DATABASE ? w->index : 0);
    model_observe(c, w->index, &real);
    for (size_t done = 0; !model_is_same(&model, &real); done++) {
        if (done == w->recent_count + w->flying_count) report_loss(w, &real);
        model_apply(&model, open_step(w, done));
    }
    w->kept = model;
    w->recent_first = w->recent_count = w->flying_count = 0;
    w->raises = 0;
}

/* All raises that must stay are there, and of the others any. */
static void check_shared(struct client *c) {
    int64_t least = shared, most;
    for (int i = 0; i < WRITERS; i++) least += writers[i].raises;
    most = least;
    for (int i = 0; i < WRITERS; i++)
        for (size_t k = 0; k < writers[i].recent_count + writers[i].flying_count; k++)
            most += open_step(&writers[i], k)->kind == INCR_SHARED;
    shared = client_ask_int(c, "INCRBY shared 0");
    if (shared < least || shared > most)
        HARNESS_FAIL("the common counter is %lld, not within %lld..%lld", (long long)shared, (long long)least,
                     (long long)most);
}

void writers_check(struct server *s) {
    struct client *c = server_connect(s);
    assert_reply(c, "PING", "+PONG");
    check_shared(c);
    for (int i = 0; i < WRITERS; i++) settle(c, &writers[i]);
    client_close(c);
}

/* ---- rounds ---- */

int rounds_wanted(int usual) {
    const char *said = getenv("TRIVET_ROUNDS");
    return said && *said ? atoi(said) : usual;
}

void rounds_print(const char *what, int round, int rounds) {
    const char *said = getenv("TRIVET_ROUNDS");
    if (said && *said && (round % 10 == 0 || round == rounds)) printf("%s: %d of %d\n", what, round, rounds);
    fflush(stdout);
}

/* A torn tail may be cut, and the log says so; all else that sounds like trouble is one. */
size_t log_check(struct server *s, size_t from) {
    static const char *const bad[] = { "damaged", "annot ",  "Can't load", "Can't open",
                                       "failed",  "refused", "Not loaded" };
    const char *log = server_log(s);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (strstr(log + from, bad[i])) HARNESS_FAIL("the log says '%s':\n%s", bad[i], log + from);
    return strlen(log);
}
