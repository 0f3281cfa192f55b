/* test_memory.c: what memory is used for and given back: the accounting, the limit with each policy under
 * load from several connections, expiry, and freeing off the path of requests. */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef TRIVET_SANITIZE
#define SCALE(n) ((n) / 5)
#else
#define SCALE(n) (n)
#endif

#define MEGABYTE (1024 * 1024)
#define OOM "-OOM command not allowed when used memory > 'maxmemory'."

static int64_t used_memory(struct client *c) { return info_number(c, "memory", "used_memory"); }

static void config_set(struct client *c, const char *name, const char *value) {
    assert_string_equal(client_ask(c, "CONFIG SET %s %s", name, value), "+OK");
}

/* `count` keys "<prefix>:<n>" with values of `size` bytes. */
static void fill(struct client *c, const char *prefix, int count, size_t size) {
    char *value = calloc(1, size + 1);
    assert_non_null(value);
    memset(value, 'v', size);
    for (int done = 0; done < count;) {
        int end = done + 1000 < count ? done + 1000 : count;
        int begin = done;
        for (; done < end; done++) client_queue(c, "SET %s:%d %s", prefix, done, value);
        client_skip(c, (size_t)(end - begin));
    }
    free(value);
}

static int64_t count_keys(struct client *c, const char *prefix, int count) {
    int64_t there = 0;
    for (int i = 0; i < count; i++) client_queue(c, "EXISTS %s:%d", prefix, i);
    client_flush(c);
    for (int i = 0; i < count; i++) {
        struct node *reply = client_read(c);
        there += reply->number;
        node_free(reply);
    }
    return there;
}

/* ---- accounting ---- */

#ifndef TRIVET_SANITIZE
/* What the allocator keeps ready for each thread counts as handed out there: a fixed amount, so not in
 * proportion. */
#define THREAD_CACHES (700 * 1024)

/* Within 2 % and `slack`. The server looks at the allocator's numbers some times a second only. */
static void assert_allocator_agrees(struct client *c, const char *when, int64_t slack) {
    int64_t used = 0, handed_out = 0;
    for (int i = 0; i < 3000; i++) {
        used = used_memory(c);
        handed_out = info_number(c, "memory", "allocator_allocated");
        if (llabs(used - handed_out) <= handed_out / 50 + slack) return;
        usleep(1000);
    }
    HARNESS_FAIL("%s: used_memory %lld, allocated %lld", when, (long long)used, (long long)handed_out);
}
#endif

static void used_memory_is_what_the_allocator_handed_out(void **state) {
#ifdef TRIVET_SANITIZE
    (void)state;
    skip(); /* the sanitizers' allocator keeps no such number */
#else
    struct client *c = fixture_client(state);
    static const size_t sizes[] = { 32, 3, 200, 3000, 40000 };
    static const int counts[] = { 200000, 50000, 50000, 5000, 300 };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "size%zu", sizes[i]);
        fill(c, prefix, counts[i], sizes[i]);
        assert_allocator_agrees(c, prefix, THREAD_CACHES);
    }
    assert_reply(c, "DBSIZE", ":305300");
    assert_allocator_agrees(c, "all together", 0);
    assert_reply(c, "FLUSHALL SYNC", "+OK");
    assert_true(used_memory(c) < 2 * MEGABYTE);
    assert_allocator_agrees(c, "empty", THREAD_CACHES);
#endif
}

static void used_memory_goes_back_when_keys_go(void **state) {
    struct client *c = fixture_client(state);
    fill(c, "warm", SCALE(20000), 100);
    assert_reply(c, "FLUSHALL SYNC", "+OK");
    int64_t before = used_memory(c);
    fill(c, "k", SCALE(50000), 100);
    int64_t full = used_memory(c);
    assert_true(full - before > SCALE(50000) * 100);
    for (int i = 0; i < SCALE(50000); i++) client_queue(c, "DEL k:%d", i);
    client_skip(c, SCALE(50000));
    assert_reply(c, "DBSIZE", ":0");
    assert_true(used_memory(c) - before < (full - before) / 10);
    assert_true(info_number(c, "memory", "used_memory_peak") >= full);
}

/* ---- the limit ---- */

#define LOADERS 5

struct loader {
    struct client *client;
    int index, count;
    bool with_ttl;
    size_t oom, other_errors;
    pthread_t thread;
};

static void *load(void *arg) {
    struct loader *l = arg;
    char value[801];
    memset(value, 'x', sizeof value - 1);
    for (int done = 0; done < l->count;) {
        int begin = done;
        for (; done < l->count && done < begin + 50; done++) {
            const char *expiry = l->with_ttl ? "EX 100000" : "";
            client_queue(l->client, "SET l%d:%d %.*s %s", l->index, done, 50 + done % 750, value, expiry);
        }
        client_flush(l->client);
        for (int i = begin; i < done; i++) {
            struct node *reply = client_read_or_end(l->client);
            if (!reply) return NULL;
            if (node_is_error(reply)) {
                bool oom = text_matches("OOM command not allowed when used memory > 'maxmemory'.",
                                        text_str(&reply->bytes));
                l->oom += oom;
                l->other_errors += !oom;
            }
            node_free(reply);
        }
    }
    return arg;
}

/* Runs the loaders to their end; returns the most that used_memory ever was meanwhile. */
static int64_t load_from_all_sides(struct server *s, struct client *watcher, struct loader *loaders,
                                   bool with_ttl) {
    for (int i = 0; i < LOADERS; i++) {
        loaders[i] = (struct loader){
            .client = server_connect(s), .index = i, .count = SCALE(20000), .with_ttl = with_ttl
        };
        if (pthread_create(&loaders[i].thread, NULL, load, &loaders[i]) != 0)
            HARNESS_FAIL("cannot start a thread");
    }
    int64_t most = 0;
    size_t running = LOADERS;
    while (running > 0) {
        int64_t used = used_memory(watcher);
        if (used > most) most = used;
        void *result;
        if (pthread_tryjoin_np(loaders[running - 1].thread, &result) != 0) continue;
        running--;
        client_close(loaders[running].client);
        if (!result) HARNESS_FAIL("loader %zu was cut off", running);
        assert_int_equal(loaders[running].other_errors, 0);
    }
    return most;
}

struct limit_case {
    const char *policy;
    bool keeps_lasting; /* keys without time to live may not go */
    bool refuses;       /* writes get the OOM error */
};

static void check_limit(struct server *s, const struct limit_case *which) {
    struct client *c = server_connect(s);
    struct loader loaders[LOADERS];
    assert_reply(c, "FLUSHALL SYNC", "+OK");
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    int lasting = SCALE(2000);
    fill(c, "lasting", lasting, 100);
    int64_t limit = used_memory(c) + SCALE(20) * (int64_t)MEGABYTE;
    config_set(c, "maxmemory-policy", which->policy);
    assert_string_equal(client_ask(c, "CONFIG SET maxmemory %lld", (long long)limit), "+OK");
    int64_t most = load_from_all_sides(s, c, loaders, true);
    /* The timer may still be evicting, and the two numbers that are compared below come one after the other.
     * Without a limit nothing goes any more. */
    assert_reply(c, "CONFIG SET maxmemory 0", "+OK");
    /* Buffers of connections, and what each worker may have in hand between two looks at the limit. */
    if (most > limit + MEGABYTE)
        HARNESS_FAIL("%s: used_memory was %lld, the limit is %lld", which->policy, (long long)most,
                     (long long)limit);
    size_t oom = 0;
    for (int i = 0; i < LOADERS; i++) oom += loaders[i].oom;
    int64_t evicted = info_number(c, "stats", "evicted_keys");
    if (which->refuses) {
        assert_true(oom > 0);
        assert_int_equal(evicted, 0);
    } else {
        assert_int_equal(oom, 0);
        assert_int_equal(evicted, lasting + LOADERS * SCALE(20000) - client_ask_int(c, "DBSIZE"));
        assert_true(evicted > 0);
    }
    if (which->keeps_lasting) assert_int_equal(count_keys(c, "lasting", lasting), lasting);
    assert_true(used_memory(c) > limit - SCALE(10) * (int64_t)MEGABYTE);
    client_close(c);
}

static void the_limit_holds_under_load_with_every_policy(void **state) {
    static const struct limit_case cases[] = {
        { "noeviction", true, true },       { "allkeys-lru", false, false }, { "allkeys-lfu", false, false },
        { "allkeys-random", false, false }, { "volatile-lru", true, false }, { "volatile-lfu", true, false },
        { "volatile-random", true, false }, { "volatile-ttl", true, false },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) check_limit(f->server, &cases[i]);
}

/* A limit below what is used already. */
static void limit_to_nothing(struct client *c, const char *policy) {
    config_set(c, "maxmemory-policy", policy);
    assert_reply(c, "CONFIG SET maxmemory 1", "+OK");
}

static void noeviction_refuses_what_grows_and_serves_the_rest(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "MSET k v l w n 5", "+OK");
    limit_to_nothing(c, "noeviction");
    static const struct exchange rows[] = {
        { "SET k v", OOM },
        { "APPEND k v", OOM },
        { "INCR n", OOM },
        { "MSET a 1", OOM },
        { "COPY k m", OOM },
        { "GET k", "$\"v\"" },
        { "MGET k l", "*[$\"v\", $\"w\"]" },
        { "EXPIRE k 100", ":1" },
        { "GETDEL l", "$\"w\"" },
        { "DEL k", ":1" },
        { "EXISTS k l", ":0" },
        { "PUBLISH ch m", ":0" },
        { "PING", "+PONG" },
        { "CONFIG SET maxmemory 0", "+OK" },
        { "SET k v", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void a_transaction_that_would_grow_is_refused_as_a_whole(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SET k v", "+OK");
    limit_to_nothing(c, "noeviction");
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },
        { "DEL k", "+QUEUED" },
        { "SET l w", OOM },
        { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
        { "GET k", "$\"v\"" },
        { "MULTI", "+OK" },
        { "DEL k", "+QUEUED" },
        { "EXEC", "*[:1]" },
        { "CONFIG SET maxmemory 0", "+OK" },
        { "MULTI", "+OK" },
        { "SET k w", "+QUEUED" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    struct client *other = server_connect(((struct fixture *)*state)->server);
    limit_to_nothing(other, "noeviction");
    assert_reply(c, "EXEC",
                 "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > "
                 "'maxmemory'.");
    assert_reply(c, "EXISTS k", ":0");
    assert_reply(other, "CONFIG SET maxmemory 0", "+OK");
    client_close(other);
}

static void volatile_policies_refuse_when_nothing_has_a_time_to_live(void **state) {
    static const char *const policies[] = { "volatile-lru", "volatile-lfu", "volatile-random",
                                            "volatile-ttl" };
    struct client *c = fixture_client(state);
    assert_reply(c, "SET k v", "+OK");
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        limit_to_nothing(c, policies[i]);
        assert_reply(c, "SET l w", OOM);
        assert_reply(c, "GET k", "$\"v\"");
        assert_reply(c, "CONFIG SET maxmemory 0", "+OK");
    }
}

static void a_lower_limit_evicts_down_to_it(void **state) {
    struct client *c = fixture_client(state);
    fill(c, "k", SCALE(100000), 100);
    config_set(c, "maxmemory-policy", "allkeys-lru");
    int64_t used = used_memory(c), limit = used - SCALE(100000) * 60;
    assert_string_equal(client_ask(c, "CONFIG SET maxmemory %lld", (long long)limit), "+OK");
    for (int i = 0; i < 100000 && used > limit + 64 * 1024; i++) used = used_memory(c);
    assert_true(used <= limit + 64 * 1024);
    assert_true(client_ask_int(c, "DBSIZE") > SCALE(100000) / 10);
    assert_reply(c, "CONFIG SET maxmemory 0", "+OK");
}

/* Only the timer is left to do it: the one client sends nothing more and listens. */
static void a_lower_limit_evicts_though_no_command_comes(void **state) {
    struct client *c = fixture_client(state), *listener = server_connect(((struct fixture *)*state)->server);
    fill(c, "k", 100, 100);
    assert_reply(c, "CONFIG SET notify-keyspace-events Ee maxmemory-policy allkeys-lru", "+OK");
    assert_reply(listener, "SUBSCRIBE __keyevent@0__:evicted", "*[$\"subscribe\", ..., :1]");
    assert_reply(c, "CONFIG SET maxmemory 1", "+OK");
    for (int i = 0; i < 100; i++)
        assert_next(listener, "*[$\"message\", $\"__keyevent@0__:evicted\", $\"k:...\"]");
    client_close(listener);
}

/* In small pipelines: the buffers of big ones would count when memory is measured. */
static void read_often(struct client *c, const char *prefix, int count) {
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < count; i++) {
            client_queue(c, "GET %s:%d", prefix, i);
            if (i % 100 == 99) client_skip(c, 100);
        }
    }
}

/* Half the keys are asked for again and again; then memory for a bit less than half of all keys is taken
 * away. */
static void check_that_used_keys_stay(struct client *c, const char *policy) {
    int count = SCALE(20000);
    assert_reply(c, "FLUSHALL SYNC", "+OK");
    config_set(c, "maxmemory-policy", policy);
    int64_t empty = used_memory(c);
    fill(c, "cold", count, 100);
    /* The clock of LRU is coarse: the keys must differ in age at all. */
    if (strcmp(policy, "allkeys-lru") == 0) assert_reply_soon(c, "OBJECT IDLETIME cold:0", ":1..1000");
    fill(c, "hot", count, 100);
    int64_t limit = empty + (used_memory(c) - empty) * 6 / 10;
    read_often(c, "hot", count);
    assert_string_equal(client_ask(c, "CONFIG SET maxmemory %lld", (long long)limit), "+OK");
    for (int i = 0; i < 100000 && used_memory(c) > limit + 64 * 1024; i++) assert_reply(c, "PING", "+PONG");
    config_set(c, "maxmemory", "0");
    int64_t hot = count_keys(c, "hot", count), cold = count_keys(c, "cold", count);
    if (hot < count * 95 / 100 || cold > count / 2)
        HARNESS_FAIL("%s: of %d each there are %lld hot and %lld cold keys left", policy, count,
                     (long long)hot, (long long)cold);
}

static void lru_and_lfu_keep_what_is_used(void **state) {
    struct client *c = fixture_client(state);
    check_that_used_keys_stay(c, "allkeys-lru");
    check_that_used_keys_stay(c, "allkeys-lfu");
}

static void volatile_ttl_evicts_what_ends_first(void **state) {
    struct client *c = fixture_client(state);
    int count = SCALE(20000);
    config_set(c, "maxmemory-policy", "volatile-ttl");
    for (int i = 0; i < count; i++)
        client_queue(c, "SET k:%d xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx EX %d", i,
                     100000 + i);
    client_skip(c, (size_t)count);
    int64_t limit = used_memory(c) - count * 40;
    assert_string_equal(client_ask(c, "CONFIG SET maxmemory %lld", (long long)limit), "+OK");
    for (int i = 0; i < 100000 && used_memory(c) > limit + 64 * 1024; i++) assert_reply(c, "PING", "+PONG");
    config_set(c, "maxmemory", "0");
    int64_t left = client_ask_int(c, "DBSIZE"), early = 0;
    for (int i = 0; i < count / 10; i++) client_queue(c, "EXISTS k:%d", i);
    client_flush(c);
    for (int i = 0; i < count / 10; i++) {
        struct node *reply = client_read(c);
        early += reply->number;
        node_free(reply);
    }
    assert_true(left < count * 9 / 10);
    assert_true(early < count / 100);
}

static void frequency_and_idle_time_are_told_where_the_policy_counts_them(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "CONFIG SET maxmemory-policy allkeys-lfu", "+OK" },
        { "SET k v", "+OK" },
        { "OBJECT FREQ k", ":5" },
        { "OBJECT IDLETIME k",
          "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
          "switching between policies at runtime LRU and LFU data will take some time to adjust." },
        { "OBJECT FREQ none", "$-1" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    for (int i = 0; i < 2000; i++) client_queue(c, "GET k");
    client_skip(c, 2000);
    assert_reply(c, "OBJECT FREQ k", ":8..100");
    static const struct exchange lru[] = {
        { "CONFIG SET maxmemory-policy allkeys-lru", "+OK" },
        { "SET k v", "+OK" },
        { "OBJECT IDLETIME k", ":0..5" },
        { "OBJECT FREQ k",
          "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
          "when switching between policies at runtime LRU and LFU data will take some time to adjust." },
        { "OBJECT IDLETIME none", "$-1" },
        { NULL, NULL },
    };
    assert_exchanges(c, lru);
    assert_reply_soon(c, "OBJECT IDLETIME k", ":1..60");
    assert_reply(c, "GET k", "$\"v\"");
    assert_reply(c, "OBJECT IDLETIME k", ":0");
}

/* ---- expiry ---- */

static void expired_keys_vanish_without_being_read(void **state) {
    struct client *c = fixture_client(state);
    int count = SCALE(50000);
    fill(c, "lasting", 100, 10);
    int64_t before = used_memory(c);
    for (int i = 0; i < count; i++)
        client_queue(c, "SET k:%d xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx PX 1", i);
    client_skip(c, (size_t)count);
    assert_reply_soon(c, "DBSIZE", ":100");
    assert_true(info_number(c, "stats", "expired_keys") >= count);
    assert_true(used_memory(c) - before < count * 20 + MEGABYTE);
}

static void switched_off_active_expiry_leaves_it_to_readers(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    assert_reply(c, "MSET other 1 m 2", "+OK");
    assert_reply(c, "PEXPIRE m 1", ":1");
    assert_reply(c, "SET k v PX 1", "+OK");
    assert_reply_soon(c, "OBJECT IDLETIME other",
                      ":1..1000"); /* so long that an active cycle would have come */
    assert_reply(c, "DBSIZE", ":3");
    static const struct exchange rows[] = {
        { "GET k", "$-1" },
        { "DBSIZE", ":2" },
        { "EXISTS m", ":0" },
        { "DBSIZE", ":1" },
        { "SET again v PX 1", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
    assert_reply_soon(c, "DBSIZE", ":1");
}

static void events_tell_of_set_del_expired_and_evicted(void **state) {
    struct client *c = fixture_client(state), *listener = server_connect(((struct fixture *)*state)->server);
    assert_reply(c, "CONFIG SET notify-keyspace-events KEA", "+OK");
    assert_reply(listener, "PSUBSCRIBE __key*@0__:*", "*[$\"psubscribe\", $\"__key*@0__:*\", :1]");
    assert_reply(c, "SET k v", "+OK");
    assert_next(listener, "*[$\"pmessage\", $\"__key*@0__:*\", $\"__keyspace@0__:k\", $\"set\"]");
    assert_next(listener, "*[$\"pmessage\", $\"__key*@0__:*\", $\"__keyevent@0__:set\", $\"k\"]");
    assert_reply(c, "DEL k", ":1");
    assert_next(listener, "*[$\"pmessage\", $\"__key*@0__:*\", $\"__keyspace@0__:k\", $\"del\"]");
    assert_next(listener, "*[$\"pmessage\", $\"__key*@0__:*\", $\"__keyevent@0__:del\", $\"k\"]");
    assert_reply(c, "SET k v PX 1", "+OK");
    assert_next(listener, "*[..., $\"__keyspace@0__:k\", $\"set\"]");
    assert_next(listener, "*[..., $\"__keyevent@0__:set\", $\"k\"]");
    assert_next(listener, "*[..., $\"__keyspace@0__:k\", $\"expire\"]");
    assert_next(listener, "*[..., $\"__keyevent@0__:expire\", $\"k\"]");
    assert_next(listener, "*[..., $\"__keyspace@0__:k\", $\"expired\"]");
    assert_next(listener, "*[..., $\"__keyevent@0__:expired\", $\"k\"]");
    assert_reply(c, "CONFIG SET notify-keyspace-events Ee", "+OK");
    assert_reply(c, "SET k v", "+OK");
    limit_to_nothing(c, "allkeys-lru");
    assert_reply_soon(c, "EXISTS k", ":0");
    assert_next(listener, "*[..., $\"__keyevent@0__:evicted\", $\"k\"]");
    assert_reply(c, "CONFIG SET maxmemory 0 notify-keyspace-events \"\"", "+OK");
    client_close(listener);
}

/* ---- freeing off the path ---- */

static void await_used_below(struct client *c, int64_t bytes) {
    for (int i = 0; i < 60000; i++) {
        if (used_memory(c) < bytes) return;
        usleep(1000);
    }
    HARNESS_FAIL("used_memory stays at %lld, above %lld", (long long)used_memory(c), (long long)bytes);
}

static void asynchronous_freeing_answers_at_once_and_frees_all(void **state) {
    struct client *c = fixture_client(state);
    static const char *const ways[] = { "FLUSHALL ASYNC", "FLUSHDB ASYNC", "FLUSHALL SYNC", "FLUSHALL" };
    int count = SCALE(100000);
    int64_t before = used_memory(c);
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        fill(c, "k", count, 100);
        assert_true(used_memory(c) - before > count * 100);
        assert_reply(c, ways[i], "+OK");
        assert_reply(c, "DBSIZE", ":0");
        await_used_below(c, before + count * 10 + MEGABYTE);
    }
    assert_reply_soon(c, "INFO memory", "...lazyfree_pending_objects:0...");
    assert_true(info_number(c, "memory", "lazyfreed_objects") > 0);
}

static void big_values_are_freed_in_the_background(void **state) {
    struct client *c = fixture_client(state);
    int64_t before = used_memory(c);
    for (int i = 0; i < 8; i++)
        assert_string_equal(client_ask(c, "SETRANGE big:%d 3999999 x", i), ":4000000");
    int64_t each = (used_memory(c) - before) / 8;
    assert_true(each >= 4000000);
    assert_reply(c, "UNLINK big:0 big:1 big:2 none", ":3");
    await_used_below(c, before + 5 * each + MEGABYTE);
    assert_reply(c, "DEL big:3", ":1");
    assert_reply(c, "SET big:4 small", "+OK");
    struct node *big = client_ask_node(c, "GETDEL big:5");
    assert_int_equal(big->bytes.len, 4000000);
    node_free(big);
    assert_reply(c, "PEXPIRE big:6 1", ":1");
    assert_reply(c, "RENAME big:4 big:7", "+OK");
    assert_reply_soon(c, "DBSIZE", ":1");
    await_used_below(c, before + MEGABYTE);
}

/* What the test before left is freed in the background: wait for that, or it counts here. */
static int open_and_settle(void **state) {
    fixture_open(state);
    assert_reply_soon(fixture_client(state), "INFO memory", "...lazyfree_pending_objects:0...");
    return 0;
}

/* The settings that the tests change, back as they were. */
static int close_and_reset(void **state) {
    struct client *c = fixture_client(state);
    config_set(c, "maxmemory", "0");
    config_set(c, "maxmemory-policy", "noeviction");
    config_set(c, "notify-keyspace-events", "\"\"");
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
    return fixture_close(state);
}

#define MEMORY_TEST(name) cmocka_unit_test_setup_teardown(name, open_and_settle, close_and_reset)

int main(void) {
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(used_memory_is_what_the_allocator_handed_out),
        MEMORY_TEST(used_memory_goes_back_when_keys_go),
        MEMORY_TEST(the_limit_holds_under_load_with_every_policy),
        MEMORY_TEST(noeviction_refuses_what_grows_and_serves_the_rest),
        MEMORY_TEST(a_transaction_that_would_grow_is_refused_as_a_whole),
        MEMORY_TEST(volatile_policies_refuse_when_nothing_has_a_time_to_live),
        MEMORY_TEST(a_lower_limit_evicts_down_to_it),
        MEMORY_TEST(a_lower_limit_evicts_though_no_command_comes),
        MEMORY_TEST(lru_and_lfu_keep_what_is_used),
        MEMORY_TEST(volatile_ttl_evicts_what_ends_first),
        MEMORY_TEST(frequency_and_idle_time_are_told_where_the_policy_counts_them),
        MEMORY_TEST(expired_keys_vanish_without_being_read),
        MEMORY_TEST(switched_off_active_expiry_leaves_it_to_readers),
        MEMORY_TEST(events_tell_of_set_del_expired_and_evicted),
        MEMORY_TEST(asynchronous_freeing_answers_at_once_and_frees_all),
        MEMORY_TEST(big_values_are_freed_in_the_background),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
