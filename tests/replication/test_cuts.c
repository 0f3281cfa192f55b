/* test_cuts.c: replicas behind a bad network: links that are cut at random bytes, stall, are slow, or deliver
 * one byte at a time, in chains of three of either kind of server and under load.
 *
 * After it all have the same data; and where the backlog has what was missed, no full transfer was made.
 * TRIVET_REPLICATION_CUTS: how many cuts. TRIVET_SEED repeats a run's cuts. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/proxy.h"
#include "../harness/replication.h"
#include "load.h"
#include <stdio.h>

#define CUTS 24
#define CUT_WITHIN 60000 /* bytes */
#define TRANSFER_CUTS 4

/* Top, middle and end, and what is between. */
struct chain {
    struct server *servers[3];
    struct proxy *proxies[2];
    struct replication before[3];
    bool newer;
};

static const char *const big_backlog[] = { "--repl-backlog-size", "64mb", NULL };

static void chain_open(struct chain *chain, const enum peer kinds[3], const char *const *args,
                       uint64_t seed) {
    printf("%s <- %s <- %s\n", peer_name(kinds[0]), peer_name(kinds[1]), peer_name(kinds[2]));
    chain->newer = true;
    for (int i = 0; i < 3; i++) {
        chain->servers[i] = peer_start(kinds[i], args);
        if (peer_is_reference(chain->servers[i])) chain->newer = false;
    }
    for (int i = 0; i < 2; i++) {
        chain->proxies[i] = proxy_start(server_port(chain->servers[i]), seed + (uint64_t)i);
        replication_follow(chain->servers[i + 1], proxy_port(chain->proxies[i]));
        replication_await_link(chain->servers[i + 1]);
    }
    for (int i = 0; i < 3; i++) replication_look(chain->servers[i], &chain->before[i]);
}

static struct load *chain_load(const struct chain *chain, uint64_t seed) {
    return load_start(&(struct load_plan){
        .server = chain->servers[0], .seed = seed, .newer = chain->newer, .empties = true, .slow = true });
}

static void chain_assert_same(const struct chain *chain) {
    replication_assert_same(chain->servers[0], chain->servers[1]);
    replication_assert_same(chain->servers[1], chain->servers[2]);
    replication_assert_same(chain->servers[0], chain->servers[2]);
}

static void chain_close(struct chain *chain) {
    for (int i = 2; i >= 0; i--) server_free(chain->servers[i]);
    for (int i = 0; i < 2; i++) proxy_stop(chain->proxies[i]);
}

/* ---- cuts in the stream ---- */

static void await_cuts(struct proxy *p, size_t wanted) {
    size_t seen = 0;
    for (int waited = 0; proxy_cuts(p) < wanted; waited++) {
        if (proxy_cuts(p) > seen) waited = 0;
        if (waited > REPLICATION_PATIENCE_MS) HARNESS_FAIL("after %zu cuts no more come", seen);
        seen = proxy_cuts(p);
        pause_ms(1);
    }
}

/* Redis 7.0 forgets its primary if it is cut off in the middle of the answer to PSYNC, and what follows it
 * has to begin anew too. */
static void assert_continued(const struct chain *chain, int at, size_t cuts) {
    struct replication now;
    replication_look(chain->servers[at], &now);
    printf("link %d: %zu cuts, %lld partial, %lld full\n", at, cuts, (long long)now.partial,
           (long long)now.full);
    if (now.partial <= chain->before[at].partial)
        HARNESS_FAIL("none of %zu cuts was followed by a partial synchronization", cuts);
    for (int i = 1; i <= at + 1; i++)
        if (peer_is_reference(chain->servers[i])) return;
    if (now.full != chain->before[at].full)
        HARNESS_FAIL("a full transfer was made, though the backlog had all");
}

static void cut_chain(const enum peer kinds[3]) {
    struct chain chain = { 0 };
    uint64_t seed = load_seed();
    size_t wanted = load_cuts(CUTS);
    chain_open(&chain, kinds, big_backlog, seed);
    struct load *load = chain_load(&chain, seed);
    for (int i = 0; i < 2; i++) proxy_cut_randomly(chain.proxies[i], CUT_WITHIN);
    for (int i = 0; i < 2; i++) proxy_cut(chain.proxies[i]);
    for (int i = 0; i < 2; i++) {
        await_cuts(chain.proxies[i], wanted);
        proxy_cut_randomly(chain.proxies[i], 0);
    }
    load_stop(load);
    chain_assert_same(&chain);
    for (int i = 0; i < 2; i++) assert_continued(&chain, i, wanted);
    chain_close(&chain);
}

static void a_chain_of_trivets_survives_cuts(void **state) {
    (void)state;
    cut_chain((const enum peer[]){ PEER_TRIVET, PEER_TRIVET, PEER_TRIVET });
}

static void trivet_between_redis_survives_cuts(void **state) {
    (void)state;
    cut_chain((const enum peer[]){ PEER_REDIS, PEER_TRIVET, PEER_REDIS });
}

static void redis_between_trivets_survives_cuts(void **state) {
    (void)state;
    cut_chain((const enum peer[]){ PEER_TRIVET, PEER_REDIS, PEER_TRIVET });
}

/* ---- cuts in the transfer ---- */

static void cut_transfer(enum peer primary_kind, enum peer replica_kind, const char *diskless) {
    printf("%s -> %s, diskless %s\n", peer_name(primary_kind), peer_name(replica_kind), diskless);
    const char *primary_args[] = { "--repl-diskless-sync", diskless, NULL };
    const char *replica_args[] = { "--repl-diskless-load", diskless[0] == 'y' ? "swapdb" : "disabled", NULL };
    uint64_t seed = load_seed();
    struct server *primary = peer_start(primary_kind, primary_args);
    struct server *replica = peer_start(replica_kind, replica_args);
    struct client *c = server_connect(primary);
    load_fill(c);
    load_populate(c, load_keys(0));
    client_close(c);
    struct proxy *proxy = proxy_start(server_port(primary), seed);
    struct load *load = load_start(&(struct load_plan){ .server = primary, .seed = seed, .slow = true });
    proxy_cut_randomly(proxy, 600000);
    replication_follow(replica, proxy_port(proxy));
    await_cuts(proxy, TRANSFER_CUTS);
    proxy_cut_randomly(proxy, 0);
    load_stop(load);
    replication_assert_same(primary, replica);
    server_free(replica);
    server_free(primary);
    proxy_stop(proxy);
}

static void a_broken_transfer_is_begun_anew(void **state) {
    (void)state;
    cut_transfer(PEER_TRIVET, PEER_TRIVET, "yes");
    cut_transfer(PEER_TRIVET, PEER_TRIVET, "no");
    cut_transfer(PEER_REDIS, PEER_TRIVET, "yes");
    cut_transfer(PEER_REDIS, PEER_TRIVET, "no");
    cut_transfer(PEER_TRIVET, PEER_REDIS, "yes");
    cut_transfer(PEER_TRIVET, PEER_REDIS, "no");
}

/* ---- slow and silent networks ---- */

static void link_byte_by_byte(enum peer primary_kind, enum peer replica_kind, const char *diskless) {
    const char *args[] = { "--repl-diskless-sync", diskless, NULL };
    struct server *primary = peer_start(primary_kind, args), *replica = peer_start(replica_kind, args);
    struct proxy *proxy = proxy_start(server_port(primary), 0);
    struct client *c = server_connect(primary);
    proxy_pace(proxy, 1, 0);
    client_ask(c, "SET before \"\\x00\\r\\n$5\\r\\n\"");
    replication_follow(replica, proxy_port(proxy));
    replication_await_link(replica);
    for (int i = 0; i < 50; i++) client_ask(c, "RPUSH list %d a%d", i, i);
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "INCR n", "+QUEUED");
    assert_reply(c, "SADD set a b c", "+QUEUED");
    assert_reply(c, "EXEC", "*[:1, :3]");
    replication_assert_same(primary, replica);
    client_close(c);
    server_free(replica);
    server_free(primary);
    proxy_stop(proxy);
}

static void bytes_may_come_one_by_one(void **state) {
    (void)state;
    link_byte_by_byte(PEER_TRIVET, PEER_TRIVET, "yes");
    link_byte_by_byte(PEER_TRIVET, PEER_TRIVET, "no");
    link_byte_by_byte(PEER_REDIS, PEER_TRIVET, "yes");
    link_byte_by_byte(PEER_REDIS, PEER_TRIVET, "no");
    link_byte_by_byte(PEER_TRIVET, PEER_REDIS, "yes");
}

static bool link_is_down(const struct replication *r) { return !r->link_up; }
static bool has_no_replica(const struct replication *r) { return r->replicas == 0; }
/* One that is dropped may be back before anybody looks: then it has asked for data once more. */
static bool has_dropped_one(const struct replication *r) {
    return r->replicas == 0 || r->full + r->partial > 1;
}

static void stall_link(enum peer primary_kind, enum peer replica_kind) {
    static const char *const args[] = { "--repl-timeout", "3", "--repl-ping-replica-period", "1", NULL };
    struct server *primary = peer_start(primary_kind, args), *replica = peer_start(replica_kind, args);
    struct proxy *proxy = proxy_start(server_port(primary), 0);
    struct replication before, after;
    replication_follow(replica, proxy_port(proxy));
    replication_await(primary, replica);
    replication_look(primary, &before);
    proxy_stall(proxy, true);
    replication_await_that(link_is_down, replica, "the replica misses its primary");
    replication_await_that(has_no_replica, primary, "the primary misses its replica");
    struct client *c = server_connect(primary);
    assert_reply(c, "SET meanwhile 1", "+OK");
    client_close(c);
    proxy_cut(proxy);
    proxy_stall(proxy, false);
    replication_assert_same(primary, replica);
    replication_look(primary, &after);
    assert_true(after.partial > before.partial);
    assert_true(after.full == before.full);
    server_free(replica);
    server_free(primary);
    proxy_stop(proxy);
}

static void a_silent_link_is_given_up_and_comes_back(void **state) {
    (void)state;
    stall_link(PEER_TRIVET, PEER_TRIVET);
    stall_link(PEER_REDIS, PEER_TRIVET);
    stall_link(PEER_TRIVET, PEER_REDIS);
}

/* The primary keeps no more for a slow replica than its limit says. */
static void be_slow(enum peer primary_kind, enum peer replica_kind) {
    static const char *const args[] = { "--repl-backlog-size", "1mb", "--client-output-buffer-limit",
                                        "replica 2mb 2mb 0", NULL };
    struct server *primary = peer_start(primary_kind, args), *replica = peer_start(replica_kind, NULL);
    struct proxy *proxy = proxy_start(server_port(primary), 0);
    replication_follow(replica, proxy_port(proxy));
    replication_await(primary, replica);
    proxy_pace(proxy, 1000, 50000);
    struct client *c = server_connect(primary);
    for (int i = 0; i < 200; i++) client_ask(c, "SET k%d %0100000d", i, i);
    replication_await_that(has_dropped_one, primary, "the primary drops a replica that takes nothing");
    proxy_pace(proxy, 0, 0);
    replication_assert_same(primary, replica);
    client_close(c);
    server_free(replica);
    server_free(primary);
    proxy_stop(proxy);
}

static void a_slow_replica_is_dropped_and_comes_back(void **state) {
    (void)state;
    be_slow(PEER_TRIVET, PEER_TRIVET);
    be_slow(PEER_TRIVET, PEER_REDIS);
}

/* An argument, such as "*_survives_*", selects tests. */
int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_of_trivets_survives_cuts),
        cmocka_unit_test(trivet_between_redis_survives_cuts),
        cmocka_unit_test(redis_between_trivets_survives_cuts),
        cmocka_unit_test(a_broken_transfer_is_begun_anew),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(a_silent_link_is_given_up_and_comes_back),
        cmocka_unit_test(a_slow_replica_is_dropped_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
