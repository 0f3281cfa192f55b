/* load.c: see load.h. The generators are not made for several threads: one thread writes for all connections,
 * a batch to each, and then reads the replies. */
#include "load.h"
#include "../differential/differential.h"
#include "../harness/check.h"
#include "../harness/churn.h"
#include "../harness/fail.h"
#include "../harness/replication.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CLIENTS 4
#define BATCH 24
#define SLOW_MS 50

struct load {
    struct load_plan plan;
    bool on_reference;
    struct churn churn;
    pthread_t thread;
    atomic_bool stop;
    atomic_size_t commands;
};

/* Of those about a connection, users or the server itself none takes part. */
static const struct generator *const groups[] = {
    string_generators,      generic_generators, transaction_generators, zset_generators,
    hash_generators,        sort_generators,    hyperloglog_generators, geo_generators,
    bitmap_generators,      set_generators,     list_generators,        stream_generators,
    wrapped_generators,     lua_generators,     function_generators,    NULL,
};

/* ---- the data set ---- */

/* What churn_fill does not have. */
static const char *const more[] = {
    "SET int 12345",
    "SET embedded text",
    "SET empty \"\"",
    "SET \"key \\x00\\xfe\" \"\\x00\\xff\\r\\n\"",
    "SET expiring v PXAT 99999999999999",
    "SET soon v PX 700",
    "SET later v EX 3600",
    "PFADD a-hll a b c",
    "PFADD b-hll d e f",
    "PFMERGE dense-hll a-hll b-hll",
    "RPUSH expiring-list a b \"\" 123456789012345 -70000",
    "EXPIRE expiring-list 5000",
    "SADD middle-ints 1 -70000",
    "SADD big-ints 1 5000000000",
    "SADD mixed a b \"\" 12 \"\\xfe\"",
    "HSET hash a 1 b text \"\" empty \"\\x00\" \"\\xff\"",
    "HSET wide-hash f %0200d",
    "PEXPIRE hash 900",
    "ZADD zset 1 a -2.5 b inf c -inf d 1e300 e 0.1 f -0 g 123456789 h",
    "ZADD wide-zset 1 %0200d",
    "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "XADD stream 1-1 a 1 b 2",
    "XADD stream 1-2 a 3 b 4",
    "XADD stream 2-0 other \"\"",
    "XDEL stream 1-2",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group alice COUNT 1 STREAMS stream >",
    "XREADGROUP GROUP group bob STREAMS stream >",
    "XGROUP CREATECONSUMER stream group idle",
    "XADD emptied 5-5 a 1",
    "XDEL emptied 5-5",
    "FUNCTION LOAD \"#!lua name=one\\nredis.register_function('one', function() return 1 end)\"",
    "FUNCTION LOAD \"#!lua name=set\\nredis.register_function('put', function(k, a) return "
    "redis.call('SET', k[1], a[1]) end)\"",
    "SELECT 3",
    "SET in-three 3",
    "SELECT 15",
    "SADD in-fifteen a",
    "SELECT 0",
};

void load_fill(struct client *c) {
    churn_fill(c);
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        const char *reply = client_ask(c, "%s", more[i]);
        if (reply[0] == '-') HARNESS_FAIL("%s: %s", more[i], reply);
    }
}

void load_populate(struct client *c, size_t keys) {
    if (keys > 0) assert_reply(c, "SELECT 7", "+OK");
    if (keys > 0 && client_ask(c, "DEBUG POPULATE %zu many 60", keys)[0] != '+') HARNESS_FAIL("no keys");
    assert_reply(c, "SELECT 0", "+OK");
}

/* ---- writing ---- */

static bool empties(const struct words *w) {
    static const char *const names[] = { "FLUSHALL", "FLUSHDB", "SWAPDB" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (command_is(w, names[i])) return true;
    return false;
}

static bool has_word(const struct words *w, const char *word) {
    for (size_t i = 0; i < w->count; i++)
        if (slice_equal_nocase(text_slice(&w->items[i]), slice_of(word))) return true;
    return false;
}

/* What Redis 7.0 does without telling its replicas: BITFIELD makes a string longer, and then fails. Also
 * inside of scripts. */
static bool is_kept_back(const struct words *w) { return has_word(w, "BITFIELD") && has_word(w, "FAIL"); }

/* Keys that expire soon. */
static void make_fleeting(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_KIND, "SET");
    words_printf(w, "fleeting%zu", chance_below(c, 50));
    add_small_value(c, w);
    words_add_str(w, "PX");
    words_printf(w, "%zu", 1 + chance_below(c, 400));
}

static void make_commands(const struct load *l, struct chance *c, struct script *s) {
    s->count = 0;
    while (s->count < BATCH) {
        if (!l->plan.lasting && chance_of(c, 5))
            make_fleeting(c, s);
        else if (l->plan.newer && chance_of(c, 15))
            newer_make(c, script_next(s, COMPARE_KIND));
        else
            script_any(s, c);
    }
}

/* Returns how many it queued. */
static size_t queue_batch(const struct load *l, struct chance *c, struct script *s, struct client *to) {
    size_t queued = 0;
    make_commands(l, c, s);
    for (size_t i = 0; i < s->count; i++) {
        struct words *w = &s->commands[i].words;
        if (empties(w) && (!l->plan.empties || !chance_of(c, 2))) continue;
        if (l->on_reference && is_kept_back(w)) continue;
        if (chance_of(c, 1)) spoil(c, w);
        client_queue_words(to, w);
        queued++;
    }
    client_flush(to);
    return queued;
}

static void *write_on(void *arg) {
    struct load *l = arg;
    struct chance chance = { l->plan.seed };
    struct script script = { 0 };
    struct client *clients[CLIENTS];
    size_t waiting[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) clients[i] = server_connect(l->plan.server);
    while (!atomic_load(&l->stop)) {
        for (size_t i = 0; i < CLIENTS; i++) waiting[i] = queue_batch(l, &chance, &script, clients[i]);
        if (l->plan.slow) pause_ms(SLOW_MS);
        for (size_t i = 0; i < CLIENTS; i++) {
            for (size_t j = 0; j < waiting[i]; j++) node_free(client_read(clients[i]));
            atomic_fetch_add(&l->commands, waiting[i]);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) client_close(clients[i]);
    script_release(&script);
    return NULL;
}

/* The generators need limits of the encodings; those that the servers have by default. */
static void use_usual_limits(void) {
    for (size_t i = 0; i < LIMITS; i++) limits[i].value = limits[i].choices[0];
}

static struct load *current;

/* A test that failed leaves its load behind. */
static void stop_current(void) {
    if (current) load_stop(current);
}

struct load *load_start(const struct load_plan *plan) {
    static bool watching;
    if (!watching) atexit(stop_current);
    watching = true;
    stop_current();
    struct load *l = calloc(1, sizeof *l);
    if (!l) abort();
    use_usual_limits();
    script_take(groups);
    l->plan = *plan;
    l->on_reference = peer_is_reference(plan->server);
    l->churn.server = plan->server;
    l->churn.old = !plan->newer;
    if (pthread_create(&l->thread, NULL, write_on, l) != 0) HARNESS_FAIL("no thread");
    if (plan->churns) churn_start(&l->churn);
    current = l;
    return l;
}

void load_await(struct load *l, size_t commands) {
    size_t until = atomic_load(&l->commands) + commands;
    for (int waited = 0; atomic_load(&l->commands) < until; waited++) {
        if (waited > CLIENT_PATIENCE_MS) HARNESS_FAIL("commands are not answered");
        nanosleep(&(struct timespec){ .tv_nsec = 1000 * 1000 }, NULL);
    }
}

size_t load_stop(struct load *l) {
    atomic_store(&l->stop, true);
    pthread_join(l->thread, NULL);
    if (l->plan.churns) churn_stop(&l->churn);
    size_t commands = atomic_load(&l->commands) + atomic_load(&l->churn.commands);
    current = NULL;
    free(l);
    return commands;
}

/* ---- how much ---- */

static uint64_t number_from(const char *variable, uint64_t usual) {
    const char *said = getenv(variable);
    return said && *said ? strtoull(said, NULL, 10) : usual;
}

size_t load_keys(size_t usual) { return (size_t)number_from("TRIVET_REPLICATION_KEYS", usual); }
size_t load_cuts(size_t usual) { return (size_t)number_from("TRIVET_REPLICATION_CUTS", usual); }

uint64_t load_seed(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = number_from("TRIVET_SEED", (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
    printf("TRIVET_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}
