/* test_matrix.c: every kind of primary feeds every kind of replica: by a file and without one, with nothing
 * and with data of every type and encoding, while clients write. Afterwards both have the same.
 *
 * Trivet and Debian's redis-server 7.0; both of them redis-server too, which shows that the test itself is
 * right. TRIVET_REPLICATION_KEYS: so many keys more. */
#include "../harness/check.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "load.h"
#include <stdio.h>

#define MEANWHILE 4000 /* commands while the link comes up, and after it */

struct way {
    const char *name, *diskless, *load;
};

static const struct way ways[] = {
    { "disk", "no", "disabled" },
    { "diskless", "yes", "disabled" },
    { "diskless to memory", "yes", "swapdb" },
};

static struct server *start(enum peer kind, const struct way *way) {
    const char *args[] = { "--repl-diskless-sync", way->diskless, "--repl-diskless-load", way->load, NULL };
    return peer_start(kind, args);
}

static void fill(struct server *s) {
    struct client *c = server_connect(s);
    load_fill(c);
    load_populate(c, load_keys(0));
    client_close(c);
}

static void play(enum peer primary_kind, enum peer replica_kind, const struct way *way, bool full) {
    printf("%s -> %s, %s, %s\n", peer_name(primary_kind), peer_name(replica_kind), way->name,
           full ? "full" : "empty");
    struct server *primary = start(primary_kind, way), *replica = start(replica_kind, way);
    if (full) fill(primary);
    struct load *load =
        load_start(&(struct load_plan){ .server = primary,
                                        .seed = load_seed(),
                                        .newer = primary_kind == PEER_TRIVET && replica_kind == PEER_TRIVET,
                                        .empties = !full,
                                        .churns = full });
    replication_follow(replica, server_port(primary));
    replication_await_link(replica);
    load_await(load, MEANWHILE);
    load_stop(load);
    replication_assert_same(primary, replica);
    server_free(replica);
    server_free(primary);
}

static void play_all(enum peer primary, enum peer replica) {
    for (size_t way = 0; way < COUNT_OF(ways); way++)
        for (int full = 0; full < 2; full++) play(primary, replica, &ways[way], full);
}

static void redis_feeds_redis(void **state) {
    (void)state;
    play(PEER_REDIS, PEER_REDIS, &ways[0], true);
    play(PEER_REDIS, PEER_REDIS, &ways[2], false);
}

static void redis_feeds_trivet(void **state) {
    (void)state;
    play_all(PEER_REDIS, PEER_TRIVET);
}

static void trivet_feeds_redis(void **state) {
    (void)state;
    play_all(PEER_TRIVET, PEER_REDIS);
}

static void trivet_feeds_trivet(void **state) {
    (void)state;
    play_all(PEER_TRIVET, PEER_TRIVET);
}

/* An argument, such as "*_survives_*", selects tests. */
int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_feeds_redis),
        cmocka_unit_test(redis_feeds_trivet),
        cmocka_unit_test(trivet_feeds_redis),
        cmocka_unit_test(trivet_feeds_trivet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
