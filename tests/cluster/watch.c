/* watch.c: see load.h. */
#include "watch.h"
#include "../harness/fail.h"
#include "asker.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANSWER_MS 100
#define TAKEN_MOST 1024
/* An owner that is cut off sees it by an unanswered ping, which goes out every half a timeout; its replica
 * may have been elected as soon as the first ping is a timeout old. The rest is for a busy machine. */
#define BOTH_MOST_MS (NODE_TIMEOUT_MS + 1000)

/* Who took a write in which epoch. */
struct taken {
    size_t primary, node;
    long long epoch;
};

static struct fleet *group;
static struct asker *askers[NODES_MAX];
static char keys[NODES_MAX][64];
static struct taken taken[TAKEN_MOST];
static size_t taken_count;
static int64_t both_since_ms[NODES_MAX], both_longest_ms;
static char problem[256];
static atomic_bool over;
static pthread_t thread;

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* -1: it does not answer, or has no epoch. */
static long long epoch_of(size_t node) {
    struct node *reply = asker_ask(askers[node], ANSWER_MS, "CLUSTER INFO");
    const char *at = reply ? strstr(text_str(&reply->bytes), "cluster_my_epoch:") : NULL;
    long long epoch = at ? atoll(at + strlen("cluster_my_epoch:")) : -1;
    node_free(reply);
    return epoch;
}

static void remember(size_t primary, size_t node, long long epoch) {
    for (size_t i = 0; i < taken_count; i++) {
        const struct taken *t = &taken[i];
        if (t->primary != primary || t->epoch != epoch) continue;
        if (t->node != node && !problem[0])
            snprintf(problem, sizeof problem, "nodes %zu and %zu both took writes of %s in epoch %lld",
                     t->node, node, keys[primary], epoch);
        return;
    }
    if (taken_count < TAKEN_MOST)
        taken[taken_count++] = (struct taken){ .primary = primary, .node = node, .epoch = epoch };
}

/* Did this node take a write? In which epoch is remembered, if that is sure. */
static bool takes(size_t primary, size_t node) {
    long long before = epoch_of(node);
    if (before < 0) return false;
    struct node *reply = asker_ask(askers[node], ANSWER_MS, "SET %s x", keys[primary]);
    bool took = reply && reply->kind == '+';
    node_free(reply);
    if (took && epoch_of(node) == before) remember(primary, node, before);
    return took;
}

static void look_at(size_t primary) {
    size_t count = 0;
    for (size_t i = 0; i < group->nodes.count; i++) count += takes(primary, i);
    int64_t now = now_ms();
    if (count < 2) {
        both_since_ms[primary] = 0;
        return;
    }
    if (!both_since_ms[primary]) both_since_ms[primary] = now;
    int64_t for_ms = now - both_since_ms[primary];
    if (for_ms > both_longest_ms) both_longest_ms = for_ms;
}

static void *watch(void *arg) {
    while (!atomic_load(&over)) {
        for (size_t i = 0; i < group->primaries; i++) look_at(i);
        pause_ms(10);
    }
    return arg;
}

void watch_start(struct fleet *g) {
    group = g;
    taken_count = 0;
    both_longest_ms = 0;
    problem[0] = '\0';
    memset(both_since_ms, 0, sizeof both_since_ms);
    atomic_store(&over, false);
    for (size_t i = 0; i < g->primaries; i++) fleet_key(g, i, "watched:", keys[i]);
    for (size_t i = 0; i < g->nodes.count; i++) askers[i] = asker_new(g->nodes.at[i].server);
    if (pthread_create(&thread, NULL, watch, NULL) != 0) HARNESS_FAIL("cannot start a thread");
}

void watch_end(void) {
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < group->nodes.count; i++) asker_free(askers[i]);
    printf("%zu owners in their epochs; two at a time for at most %lld ms\n", taken_count,
           (long long)both_longest_ms);
    if (problem[0]) HARNESS_FAIL("%s", problem);
    if (both_longest_ms > BOTH_MOST_MS)
        HARNESS_FAIL("two nodes took writes of one slot for %lld ms", (long long)both_longest_ms);
}
