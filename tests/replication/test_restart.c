/* test_restart.c: primaries and replicas that end and come back, and change places: where ids and offsets
 * allow it they go on where they were, without a full transfer; and always with the same data. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/saves.h"
#include "load.h"
#include <stdio.h>

#define COMMANDS 3000

static void write_some(struct server *s) {
    struct load *load =
        load_start(&(struct load_plan){ .server = s, .seed = load_seed(), .empties = true, .lasting = true });
    load_await(load, COMMANDS);
    load_stop(load);
}

static void write_one(struct server *s, const char *key) {
    struct client *c = server_connect(s);
    client_ask(c, "SET %s 1", key);
    client_close(c);
}

static int64_t exists(struct server *s, const char *key) {
    struct client *c = server_connect(s);
    int64_t found = client_ask_int(c, "EXISTS %s", key);
    client_close(c);
    return found;
}

/* A replica that is one from its start on, so after a restart too. */
static struct server *start_replica(enum peer kind, struct server *primary) {
    char place[32];
    snprintf(place, sizeof place, "127.0.0.1 %d", server_port(primary));
    const char *args[] = { "--replicaof", place, NULL };
    return peer_start(kind, args);
}

static void shut_down(struct server *s) {
    struct client *c = server_connect(s);
    client_send(c, "SHUTDOWN SAVE");
    server_await_end(s);
    client_close(c);
}

static void save(struct server *s) {
    struct client *c = server_connect(s);
    saves_save(c);
    client_close(c);
}

struct counts {
    int64_t full, partial;
};

static struct counts counts_of(struct server *s) {
    struct replication now;
    replication_look(s, &now);
    return (struct counts){ now.full, now.partial };
}

/* What happened at this primary since `before`. */
static void assert_only_partial(struct server *s, struct counts before) {
    struct counts now = counts_of(s);
    if (now.full == before.full && now.partial > before.partial) return;
    HARNESS_FAIL("%lld full transfers and %lld partial ones, not only partial ones",
                 (long long)(now.full - before.full), (long long)(now.partial - before.partial));
}

static void name_pair(const char *what, enum peer primary, enum peer replica) {
    printf("%s: %s -> %s\n", what, peer_name(primary), peer_name(replica));
    fflush(stdout);
}

/* ---- restarts ---- */

/* By SHUTDOWN, or by SIGKILL with a dump from before. */
static void restart_replica(enum peer primary_kind, enum peer replica_kind, bool orderly) {
    name_pair(orderly ? "SHUTDOWN" : "SIGKILL", primary_kind, replica_kind);
    struct server *primary = peer_start(primary_kind, NULL), *replica = start_replica(replica_kind, primary);
    replication_await_link(replica);
    write_some(primary);
    replication_await(primary, replica);
    if (!orderly) {
        save(replica);
        write_some(primary);
        replication_await(primary, replica);
        server_kill(replica);
    } else {
        shut_down(replica);
    }
    struct counts before = counts_of(primary);
    write_some(primary);
    server_restart(replica);
    replication_assert_same(primary, replica);
    assert_only_partial(primary, before);
    server_free(replica);
    server_free(primary);
}

static void a_restarted_replica_goes_on(void **state) {
    (void)state;
    restart_replica(PEER_TRIVET, PEER_TRIVET, true);
    restart_replica(PEER_TRIVET, PEER_TRIVET, false);
    restart_replica(PEER_REDIS, PEER_TRIVET, true);
    restart_replica(PEER_REDIS, PEER_TRIVET, false);
    restart_replica(PEER_TRIVET, PEER_REDIS, true);
}

static void restart_primary(enum peer primary_kind, enum peer replica_kind) {
    name_pair("SHUTDOWN of the primary", primary_kind, replica_kind);
    struct server *primary = peer_start(primary_kind, NULL), *replica = start_replica(replica_kind, primary);
    struct replication before, after, follower;
    replication_await_link(replica);
    write_some(primary);
    replication_await(primary, replica);
    replication_look(primary, &before);
    shut_down(primary);
    server_restart(primary);
    write_one(primary, "after");
    replication_assert_same(primary, replica);
    replication_look(primary, &after);
    replication_look(replica, &follower);
    assert_int_equal(after.full, 0);
    assert_int_equal(after.partial, 1);
    assert_string_not_equal(after.id, before.id);
    assert_string_equal(after.second_id, before.id);
    assert_string_equal(follower.second_id, before.id);
    assert_int_equal(after.second_offset, follower.second_offset);
    server_free(replica);
    server_free(primary);
}

static void replicas_follow_a_restarted_primary(void **state) {
    (void)state;
    restart_primary(PEER_TRIVET, PEER_TRIVET);
    restart_primary(PEER_REDIS, PEER_TRIVET);
    restart_primary(PEER_TRIVET, PEER_REDIS);
}

/* What the primary lost is lost on the replica too. */
static void kill_primary(enum peer primary_kind, enum peer replica_kind, const char *appendonly) {
    name_pair("SIGKILL of the primary", primary_kind, replica_kind);
    const char *args[] = { "--appendonly", appendonly, NULL };
    struct server *primary = peer_start(primary_kind, args), *replica = start_replica(replica_kind, primary);
    replication_await_link(replica);
    write_some(primary);
    if (appendonly[0] == 'n') save(primary);
    write_some(primary);
    write_one(primary, "late");
    replication_await(primary, replica);
    server_kill(primary);
    server_restart(primary);
    replication_assert_same(primary, replica);
    if (appendonly[0] == 'n') assert_int_equal(exists(replica, "late"), 0);
    server_free(replica);
    server_free(primary);
}

static void a_killed_primary_makes_replicas_like_itself(void **state) {
    (void)state;
    kill_primary(PEER_TRIVET, PEER_TRIVET, "no");
    kill_primary(PEER_TRIVET, PEER_TRIVET, "yes");
    kill_primary(PEER_REDIS, PEER_TRIVET, "no");
    kill_primary(PEER_TRIVET, PEER_REDIS, "yes");
}

/* ---- changing places ---- */

/* Two replicas; one is promoted, the other follows it, then the old primary does; and all go back. */
static void promote(enum peer old, enum peer promoted, enum peer sibling) {
    printf("%s <- %s, %s\n", peer_name(old), peer_name(promoted), peer_name(sibling));
    struct server *a = peer_start(old, NULL), *b = peer_start(promoted, NULL), *c = peer_start(sibling, NULL);
    struct replication before, after;
    replication_follow(b, server_port(a));
    replication_follow(c, server_port(a));
    replication_await_link(b);
    replication_await_link(c);
    write_some(a);
    replication_await(a, b);
    replication_await(a, c);
    replication_look(a, &before);

    replication_promote(b);
    replication_look(b, &after);
    assert_string_equal(after.second_id, before.id);
    assert_string_not_equal(after.id, before.id);
    assert_int_equal(after.second_offset, before.offset + 1);
    write_some(b);
    replication_follow(c, server_port(b));
    replication_assert_same(b, c);
    replication_follow(a, server_port(b));
    replication_assert_same(b, a);
    replication_look(b, &after);
    assert_int_equal(after.full, 0);
    assert_int_equal(after.partial, 2);

    struct counts counts = counts_of(a);
    replication_promote(a);
    replication_follow(b, server_port(a));
    replication_follow(c, server_port(a));
    write_some(a);
    replication_assert_same(a, b);
    replication_assert_same(a, c);
    assert_only_partial(a, counts);
    server_free(c);
    server_free(b);
    server_free(a);
}

static void siblings_follow_a_promoted_replica(void **state) {
    (void)state;
    promote(PEER_TRIVET, PEER_TRIVET, PEER_TRIVET);
    promote(PEER_REDIS, PEER_TRIVET, PEER_REDIS);
    promote(PEER_TRIVET, PEER_REDIS, PEER_TRIVET);
}

/* What only the old primary has is given up. */
static void part(enum peer old, enum peer promoted) {
    name_pair("parted", old, promoted);
    struct server *a = peer_start(old, NULL), *b = peer_start(promoted, NULL);
    replication_follow(b, server_port(a));
    replication_await_link(b);
    write_some(a);
    replication_await(a, b);
    replication_promote(b);
    write_one(a, "only-on-the-old");
    write_one(b, "only-on-the-new");
    replication_follow(a, server_port(b));
    replication_assert_same(b, a);
    assert_int_equal(exists(a, "only-on-the-old"), 0);
    assert_int_equal(exists(a, "only-on-the-new"), 1);
    assert_int_equal(counts_of(b).full, 1);
    server_free(b);
    server_free(a);
}

static void writes_after_the_parting_are_given_up(void **state) {
    (void)state;
    part(PEER_TRIVET, PEER_TRIVET);
    part(PEER_REDIS, PEER_TRIVET);
    part(PEER_TRIVET, PEER_REDIS);
}

/* The top of a chain comes back with another id: those in the middle and at the end hear of it. */
static void restart_top(enum peer top, enum peer middle, enum peer end) {
    printf("%s <- %s <- %s\n", peer_name(top), peer_name(middle), peer_name(end));
    struct server *a = peer_start(top, NULL), *b = start_replica(middle, a), *c = start_replica(end, b);
    replication_await_link(b);
    replication_await_link(c);
    write_some(a);
    replication_await(a, c);
    struct counts before = counts_of(b);
    shut_down(a);
    server_restart(a);
    write_some(a);
    replication_assert_same(a, b);
    replication_assert_same(a, c);
    assert_only_partial(a, (struct counts){ 0, 0 });
    assert_only_partial(b, before);
    server_free(c);
    server_free(b);
    server_free(a);
}

static void a_chain_hears_of_a_new_id(void **state) {
    (void)state;
    restart_top(PEER_TRIVET, PEER_TRIVET, PEER_TRIVET);
    restart_top(PEER_REDIS, PEER_TRIVET, PEER_REDIS);
    restart_top(PEER_TRIVET, PEER_REDIS, PEER_TRIVET);
}

/* An argument, such as "*_survives_*", selects tests. */
int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restarted_replica_goes_on),
        cmocka_unit_test(replicas_follow_a_restarted_primary),
        cmocka_unit_test(a_killed_primary_makes_replicas_like_itself),
        cmocka_unit_test(siblings_follow_a_promoted_replica),
        cmocka_unit_test(writes_after_the_parting_are_given_up),
        cmocka_unit_test(a_chain_hears_of_a_new_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
