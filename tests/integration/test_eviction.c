/* test_eviction.c: what users of allkeys-lru and volatile-lru may count on, on a server of four workers: used
 * keys stay, a scan flushes nothing, idle times are true, and what is remembered of the evicted is small. */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#ifdef TRIVET_SANITIZE
#define ROUNDS 10
#else
#define ROUNDS 30
#endif
#define WORKERS 4
#define HOT 1000  /* keys of each worker's connection */
#define ONCE 1000 /* keys that come once, in a round; 30,000 keys fit */
#define VALUE 400

static char value[VALUE + 1];

static struct server *start(const char *policy) {
    memset(value, 'v', VALUE);
    return server_start("--io-threads", "4", "--maxmemory", "16mb", "--maxmemory-policy", policy, NULL);
}

static int64_t evicted(struct client *c) { return info_number(c, "stats", "evicted_keys"); }

/* GET of `count` keys, SET of those that are missing; returns how many were there. */
static size_t read_through(struct client *c, const char *prefix, int first, int count, const char *expiry) {
    char missing[ONCE > HOT ? ONCE : HOT] = { 0 };
    size_t misses = 0;
    for (int i = 0; i < count; i++) client_queue(c, "GET %s:%d", prefix, first + i);
    client_flush(c);
    for (int i = 0; i < count; i++) {
        struct node *reply = client_read(c);
        if (node_is_error(reply)) HARNESS_FAIL("GET: %s", text_str(&reply->bytes));
        missing[i] = reply->null;
        misses += (size_t)missing[i];
        node_free(reply);
    }
    for (int i = 0; i < count; i++)
        if (missing[i]) client_queue(c, "SET %s:%d %s %s", prefix, first + i, value, expiry);
    client_skip(c, misses);
    return (size_t)count - misses;
}

struct reader {
    struct client *client;
    int number;
    const char *expiry;
    size_t hits, asked;
    pthread_t thread;
};

/* Between two uses of a hot key, the four together bring more keys than fit after some rounds. */
static void *use_and_scan(void *arg) {
    struct reader *r = arg;
    char hot[16], once[16];
    snprintf(hot, sizeof hot, "hot%d", r->number);
    snprintf(once, sizeof once, "once%d", r->number);
    for (int round = 0; round < ROUNDS; round++) {
        size_t hits = read_through(r->client, hot, 0, HOT, r->expiry);
        for (int i = 0; i < 8; i++)
            (void)read_through(r->client, once, (round * 8 + i) * ONCE, ONCE, r->expiry);
        if (round < ROUNDS / 2) continue;
        r->hits += hits;
        r->asked += HOT;
    }
    return NULL;
}

static void scan_flushes_nothing(const char *policy, const char *expiry) {
    struct server *s = start(policy);
    struct client *c = server_connect(s);
    struct reader readers[WORKERS];
    size_t hits = 0, asked = 0;
    for (int i = 0; i < WORKERS; i++) {
        readers[i] = (struct reader){ .client = server_connect(s), .number = i, .expiry = expiry };
        assert_int_equal(pthread_create(&readers[i].thread, NULL, use_and_scan, &readers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        client_close(readers[i].client);
        hits += readers[i].hits;
        asked += readers[i].asked;
    }
    print_message("%s: %zu of %zu found, %lld evicted\n", policy, hits, asked, (long long)evicted(c));
    assert_true(evicted(c) > (int64_t)ROUNDS * 8 * ONCE * WORKERS / 2);
    assert_true(hits > asked / 10 * 9);
    assert_true(info_number(c, "memory", "used_memory") < 17 * 1024 * 1024);
    client_close(c);
    server_free(s);
}

static void a_scan_does_not_flush_what_is_used(void **state) {
    (void)state;
    scan_flushes_nothing("allkeys-lru", "");
}

static void nor_does_it_among_keys_with_a_time_to_live(void **state) {
    (void)state;
    scan_flushes_nothing("volatile-lru", "EX 100000");
}

static void under_volatile_lru_keys_without_expiry_stay(void **state) {
    (void)state;
    struct server *s = start("volatile-lru");
    struct client *c = server_connect(s);
    (void)read_through(c, "forever", 0, HOT, "");
    for (int i = 0; i < 60; i++) (void)read_through(c, "once", i * ONCE, ONCE, "EX 100000");
    assert_true(evicted(c) > 10000);
    assert_int_equal(read_through(c, "forever", 0, HOT, ""), HOT);
    client_close(c);
    server_free(s);
}

static void idle_times_are_true(void **state) {
    (void)state;
    struct server *s = start("allkeys-lru");
    struct client *c = server_connect(s);
    for (int uses = 0; uses < 6; uses++) {
        assert_string_equal(client_ask(c, "SET k%d %s", uses, value), "+OK");
        for (int i = 0; i < uses; i++) assert_true(client_ask(c, "GET k%d", uses)[0] == '$');
    }
    assert_reply_soon(c, "OBJECT IDLETIME k0", ":2");
    for (int uses = 0; uses < 6; uses++) {
        int64_t idle_s = client_ask_int(c, "OBJECT IDLETIME k%d", uses);
        assert_in_range(idle_s, 1, 3);
    }
    assert_true(client_ask(c, "GET k3")[0] == '$');
    assert_reply(c, "OBJECT IDLETIME k3", ":0..1");
    assert_reply(
        c, "OBJECT FREQ k3",
        "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
        "when switching between policies at runtime LRU and LFU data will take some time to adjust.");
    client_close(c);
    server_free(s);
}

static void what_is_remembered_takes_less_than_a_hundredth(void **state) {
    (void)state;
    struct server *s = server_start("--io-threads", "4", NULL);
    struct client *c = server_connect(s);
    static const char *const policies[] = { "allkeys-lfu", "volatile-ttl", "allkeys-random", "noeviction" };
    const int64_t limit = INT64_C(1) << 30, slack = 200 * 1024; /* buffers of this connection */
    int64_t before = info_number(c, "memory", "used_memory");
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        assert_reply(c, "CONFIG SET maxmemory 1gb maxmemory-policy allkeys-lru", "+OK");
        int64_t ghosts = info_number(c, "memory", "used_memory") - before;
        assert_in_range(ghosts, limit / 200, limit / 100);
        assert_string_equal(client_ask(c, "CONFIG SET maxmemory-policy %s", policies[i]), "+OK");
        assert_true(info_number(c, "memory", "used_memory") - before < slack);
    }
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_does_not_flush_what_is_used),
        cmocka_unit_test(nor_does_it_among_keys_with_a_time_to_live),
        cmocka_unit_test(under_volatile_lru_keys_without_expiry_stay),
        cmocka_unit_test(idle_times_are_true),
        cmocka_unit_test(what_is_remembered_takes_less_than_a_hundredth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
