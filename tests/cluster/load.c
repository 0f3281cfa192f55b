/* load.c: see load.h. */
#include "load.h"
#include "../harness/fail.h"
#include "asker.h"
#include "watch.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS 4
#define KEYS_MOST 400000
#define ANSWER_MS 1000
#define WAIT_MS 300
#define HOPS_MOST 5

struct writer {
    pthread_t thread;
    int number;
    size_t written; /* keys, of which the first may be written again */
    unsigned char *covered;
    struct asker *askers[NODES_MAX];
};

static struct writer writers[WRITERS];
static struct fleet *group;
static char tags[NODES_MAX][64]; /* of keys in the slots of that node */
static atomic_bool over;
static atomic_size_t covered;
static atomic_size_t acknowledged[NODES_MAX]; /* by the node whose slots they were at first */

/* ---- one write ---- */

/* The n-th key of a writer lies in the slots of the node n % primaries. */
static void key_of(const struct writer *w, size_t n, char *key, size_t size) {
    snprintf(key, size, "%s:%d:%zu", tags[n % group->primaries], w->number, n);
}

/* Where a reply sends its client; `at` if it does not. */
static size_t sent_to(const struct node *reply, size_t at) {
    const char *text = text_str(&reply->bytes), *port = strrchr(text, ':');
    if (reply->kind != '-' || strncmp(text, "MOVED ", 6) != 0 || !port) return at;
    size_t to = fleet_at_port(group, atoi(port + 1));
    return to < group->nodes.count ? to : at;
}

static bool is_ok(const struct node *reply) { return reply->kind == '+'; }

/* Sets a key at the node that takes it; *at is where it was sent to at last. */
static bool set(struct writer *w, const char *key, size_t n, size_t *at) {
    for (int hops = 0; hops < HOPS_MOST; hops++) {
        struct node *reply = asker_ask(w->askers[*at], ANSWER_MS, "SET %s %zu", key, n);
        size_t next = reply ? sent_to(reply, *at) : *at;
        bool done = reply && is_ok(reply), moved = next != *at;
        node_free(reply);
        if (done || !moved) return done;
        *at = next;
    }
    return false;
}

static bool is_covered(struct writer *w, size_t at) {
    struct node *reply = asker_ask(w->askers[at], ANSWER_MS, "WAIT 1 %d", WAIT_MS);
    bool yes = reply && reply->kind == ':' && reply->number >= 1;
    node_free(reply);
    return yes;
}

static void *write_until_the_end(void *arg) {
    struct writer *w = arg;
    char key[96];
    size_t at = 0;
    while (!atomic_load(&over) && w->written < KEYS_MOST) {
        size_t n = w->written;
        key_of(w, n, key, sizeof key);
        if (!set(w, key, n, &at)) {
            /* The next one may know more; but a slot that is down must not hold up the writes to others. */
            at = (at + 1) % group->nodes.count;
            pause_ms(5);
            w->written++;
            continue;
        }
        atomic_fetch_add(&acknowledged[n % group->primaries], 1);
        w->written++;
        if (!is_covered(w, at)) continue;
        w->covered[n] = 1;
        atomic_fetch_add(&covered, 1);
    }
    return NULL;
}

/* ---- all of them ---- */

void load_start(struct fleet *g) {
    group = g;
    atomic_store(&over, false);
    atomic_store(&covered, 0);
    for (size_t i = 0; i < NODES_MAX; i++) atomic_store(&acknowledged[i], 0);
    for (size_t i = 0; i < g->primaries; i++) fleet_key(g, i, "", tags[i]);
    watch_start(g);
    for (int i = 0; i < WRITERS; i++) {
        struct writer *w = &writers[i];
        *w = (struct writer){ .number = i, .covered = calloc(KEYS_MOST, 1) };
        if (!w->covered) abort();
        for (size_t k = 0; k < g->nodes.count; k++) w->askers[k] = asker_new(g->nodes.at[k].server);
        if (pthread_create(&w->thread, NULL, write_until_the_end, w) != 0)
            HARNESS_FAIL("cannot start a thread");
    }
}

void load_await(size_t more) {
    size_t wanted = atomic_load(&covered) + more;
    assert_soon(atomic_load(&covered) >= wanted);
}

void load_await_all_slots(void) {
    size_t wanted[NODES_MAX];
    for (size_t i = 0; i < group->primaries; i++) wanted[i] = atomic_load(&acknowledged[i]) + 1;
    for (size_t i = 0; i < group->primaries; i++) assert_soon(atomic_load(&acknowledged[i]) >= wanted[i]);
}

/* Reads a key where it is, with patience: the cluster is well again. */
static bool is_there(struct writer *w, const char *key, size_t n, size_t *at) {
    char value[32];
    snprintf(value, sizeof value, "%zu", n);
    for (int tries = 0; tries < 100; tries++) {
        struct node *reply = asker_ask(w->askers[*at], ANSWER_MS * 10, "GET %s", key);
        size_t next = reply ? sent_to(reply, *at) : *at;
        bool answered = reply && reply->kind == '$',
             same = answered && strcmp(text_str(&reply->bytes), value) == 0;
        node_free(reply);
        if (answered) return same;
        if (next == *at) pause_ms(20);
        *at = next;
    }
    return false;
}

static size_t check_writer(struct writer *w) {
    char key[96];
    size_t at = 0, count = 0;
    for (size_t n = 0; n < w->written; n++) {
        if (!w->covered[n]) continue;
        key_of(w, n, key, sizeof key);
        if (!is_there(w, key, n, &at)) HARNESS_FAIL("%s was covered by WAIT 1 and is not there", key);
        count++;
    }
    return count;
}

void load_end(void) {
    size_t owed = 0, all = 0;
    atomic_store(&over, true);
    for (int i = 0; i < WRITERS; i++) pthread_join(writers[i].thread, NULL);
    watch_end();
    for (int i = 0; i < WRITERS; i++) {
        struct writer *w = &writers[i];
        owed += check_writer(w);
        for (size_t k = 0; k < group->nodes.count; k++) asker_free(w->askers[k]);
        free(w->covered);
    }
    for (size_t i = 0; i < NODES_MAX; i++) all += atomic_load(&acknowledged[i]);
    printf("%zu writes acknowledged, %zu of them covered and there\n", all, owed);
}

/* ---- and the fleet ---- */

void load_start_fleet(struct fleet *g, const struct fleet_plan *plan, size_t writes) {
    fleet_start(g, plan);
    load_start(g);
    load_await(writes);
}

void load_end_fleet(struct fleet *g) {
    fleet_assert_well(g);
    load_end();
    fleet_end(g);
}
