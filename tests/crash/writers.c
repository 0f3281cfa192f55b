/* writers.c: see writers.h. */
#include "writers.h"
#include "../harness/check.h"
#include "../harness/fail.h"
#include "writer.h"
#include <stdlib.h>

#define WRITERS 6
#define OWN_DATABASE 4 /* from this writer on each has a database for itself */
#define PATIENCE_MS 60000

static const size_t depths[WRITERS] = { 1, 4, 16, DEPTH_MOST, 1, 50 };
static struct writer writers[WRITERS];
static atomic_ulong answers;
static int64_t shared;
static uint64_t chance;

uint64_t writers_draw(uint64_t below) { return model_random(&chance, below); }

void writers_begin(int young_ms) {
    shared = 0;
    chance = 88172645463325252u;
    for (int i = 0; i < WRITERS; i++) {
        writer_release(&writers[i]);
        writers[i] = (struct writer){ .index = i,
                                      .depth = depths[i],
                                      .own = i >= OWN_DATABASE,
                                      .random = chance + (uint64_t)i,
                                      .young_ms = young_ms,
                                      .answers = &answers };
    }
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

void writers_run(struct server *s, unsigned long wanted, int ms) {
    pthread_t saver;
    atomic_store(&answers, 0);
    for (int i = 0; i < WRITERS; i++) writer_start(&writers[i], server_connect(s));
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
        writer_join(&writers[i]);
        writer_keep_old(&writers[i], killed);
    }
    if (atomic_load(&answers) < wanted)
        HARNESS_FAIL("the writers did not get on: %lu answers", atomic_load(&answers));
}

/* ---- after the restart ---- */

/* All raises that must stay are there, and of the others any. */
static void check_shared(struct client *c) {
    int64_t least = shared, most = shared;
    for (int i = 0; i < WRITERS; i++) writer_raises(&writers[i], &least, &most);
    shared = client_ask_int(c, "INCRBY shared 0");
    if (shared < least || shared > most)
        HARNESS_FAIL("the common counter is %lld, not within %lld..%lld", (long long)shared, (long long)least,
                     (long long)most);
}

void writers_check(struct server *s) {
    struct client *c = server_connect(s);
    assert_reply(c, "PING", "+PONG");
    check_shared(c);
    for (int i = 0; i < WRITERS; i++) (void)writer_settle(&writers[i], c);
    client_close(c);
}

/* ---- the log ---- */

/* A torn tail may be cut, and the log says so; all else that sounds like trouble is one. */
size_t log_check(struct server *s, size_t from) {
    static const char *const bad[] = { "damaged", "annot ",  "Can't load", "Can't open",
                                       "failed",  "refused", "Not loaded" };
    const char *log = server_log(s);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (strstr(log + from, bad[i])) HARNESS_FAIL("the log says '%s':\n%s", bad[i], log + from);
    return strlen(log);
}
