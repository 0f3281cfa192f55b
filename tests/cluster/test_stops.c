/* test_stops.c: clusters whose nodes stop: for a while, as under a debugger or a hypervisor, or by SIGKILL.
 */
#include "../harness/check.h"
#include "../harness/saves.h"
#include "load.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define PRIMARIES 3
#define COUNT 6
#define REPLICA_OF(primary) ((primary) + PRIMARIES)
#define WRITES 200

static struct fleet g; /* threads look at it, also if a test fails */
static struct cnode *const node = g.nodes.at;

static void trivets(const char *const *args) {
    fleet_start(&g, &(struct fleet_plan){ .primaries = PRIMARIES, .count = COUNT, .args = args });
}

static void trivets_under_load(const char *const *args) {
    const struct fleet_plan plan = { .primaries = PRIMARIES, .count = COUNT, .args = args };
    load_start_fleet(&g, &plan, WRITES);
}

static void assert_value(size_t at, const char *key, const char *expected) {
    char command[96];
    snprintf(command, sizeof command, "GET %s", key);
    assert_reply_soon(node[at].client, command, expected);
}

/* ---- SIGSTOP ---- */

static void a_primary_that_hangs_comes_back_as_a_replica(void **state) {
    (void)state;
    char covered[64], lost[64], command[96];
    trivets_under_load(NULL);
    fleet_key(&g, 0, "covered:", covered);
    fleet_key(&g, 0, "lost:", lost);
    snprintf(command, sizeof command, "SET %s 1", covered);
    assert_reply(node[0].client, command, "+OK");
    assert_reply(node[0].client, "WAIT 1 0", ":1");
    /* The replica does not get this one, though it hears the bus. */
    network_silence(g.network, 0, REPLICA_OF(0), true);
    snprintf(command, sizeof command, "SET %s 1", lost);
    assert_reply(node[0].client, command, "+OK");
    fleet_freeze(&g, 0);
    assert_soon(cnode_is_primary(&node[REPLICA_OF(0)]));
    load_await_all_slots();
    fleet_thaw(&g, 0);
    network_heal(g.network);
    assert_soon(cnode_is_linked_replica_of(&node[0], &node[REPLICA_OF(0)]));
    assert_value(REPLICA_OF(0), covered, "$\"1\"");
    assert_value(REPLICA_OF(0), lost, "$-1");
    assert_reply(node[0].client, "READONLY", "+OK");
    assert_value(0, covered, "$\"1\"");
    assert_value(0, lost, "$-1");
    load_await_all_slots();
    load_end_fleet(&g);
}

/* Shorter than the timeout: nothing happens. Longer: all of them take each other for failed when they wake.
 */
static void nodes_that_hang_all_at_once_go_on(void **state) {
    (void)state;
    trivets_under_load(NULL);
    for (size_t i = 0; i < COUNT; i++) fleet_freeze(&g, i);
    pause_ms(NODE_TIMEOUT_MS * 2);
    for (size_t i = 0; i < COUNT; i++) fleet_thaw(&g, i);
    load_await_all_slots();
    load_end_fleet(&g);
}

/* ---- SIGKILL ---- */

static const char *const with_aof[] = { "--appendonly", "yes", NULL };

static void a_killed_primary_with_a_file_comes_back_as_what_it_has_become(void **state) {
    (void)state;
    trivets_under_load(with_aof);
    cnode_kill(&node[1]);
    assert_soon(cnode_is_primary(&node[REPLICA_OF(1)]));
    load_await_all_slots();
    cnode_restart(&node[1]);
    assert_soon(cnode_is_linked_replica_of(&node[1], &node[REPLICA_OF(1)]));
    cnode_kill(&node[REPLICA_OF(1)]);
    assert_soon(cnode_is_primary(&node[1]));
    load_await_all_slots();
    cnode_restart(&node[REPLICA_OF(1)]);
    assert_soon(cnode_is_linked_replica_of(&node[REPLICA_OF(1)], &node[1]));
    load_end_fleet(&g);
}

/* Under everysec, what was acknowledged is in the file before the reply: SIGKILL loses nothing of it. */
static void all_are_killed_at_once_and_nothing_is_lost(void **state) {
    (void)state;
    trivets_under_load(with_aof);
    for (size_t i = 0; i < COUNT; i++) cnode_kill(&node[i]);
    for (size_t i = 0; i < COUNT; i++) cnode_restart(&node[i]);
    load_await_all_slots();
    load_end_fleet(&g);
}

/* Its replica took over while it was down, and nobody can tell it so when it has loaded its data, which takes
 * longer than the pause that every start has. So it waits until it has heard the majority. */
static void a_primary_that_starts_alone_does_not_believe_its_file(void **state) {
    (void)state;
    static const char *const slow[] = { "--appendonly", "yes", "--key-load-delay", "1000", NULL };
    char key[64], command[96];
    trivets(slow);
    fleet_key(&g, 0, "probe:", key);
    snprintf(command, sizeof command, "SET %s x", key);
    for (int i = 0; i < 3000; i++) client_queue(node[0].client, "SET %s:%d x", key, i);
    assert_true(client_flush(node[0].client));
    client_skip(node[0].client, 3000);
    saves_rewrite(node[0].client); /* loading what stands in a base is slowed down */
    cnode_kill(&node[0]);
    assert_soon(cnode_is_primary(&node[REPLICA_OF(0)]));
    network_part(g.network, 1, 0x3e);
    cnode_restart(&node[0]);
    /* It has asked the others and got no answer for so long that it suspects them all. */
    do {
        assert_reply(node[0].client, command, "-CLUSTERDOWN The cluster is down");
    } while (!cnode_has_flags(&node[0], &node[1], "master,fail?") ||
             !cnode_has_flags(&node[0], &node[2], "master,fail?"));
    assert_reply(node[0].client, command, "-CLUSTERDOWN The cluster is down");
    network_heal(g.network);
    assert_soon(cnode_is_linked_replica_of(&node[0], &node[REPLICA_OF(0)]));
    fleet_assert_well(&g);
    fleet_end(&g);
}

/* ---- data that is too old ---- */

static bool has_been_cut_off_for(size_t i, int64_t seconds) {
    int64_t down = info_number(node[i].client, "replication", "master_link_down_since_seconds");
    return down >= seconds && cnode_says(&node[i], "INFO replication", "master_link_status:down");
}

/* Its link to the primary alone is cut. Whose data is older than the timeout and a second allow, does not
 * stand for election; an operator may tell it to all the same. */
static void a_replica_whose_data_is_too_old_waits_for_the_operator(void **state) {
    (void)state;
    static const char *const strict[] = { "--cluster-replica-validity-factor", "1", "--repl-timeout", "2",
                                          NULL };
    trivets(strict);
    network_refuse(g.network, 0, REPLICA_OF(0), true);
    assert_soon(has_been_cut_off_for(REPLICA_OF(0), 3 + NODE_TIMEOUT_MS * 2 / 1000));
    fleet_freeze(&g, 0);
    assert_soon(cnode_has_flags(&node[REPLICA_OF(0)], &node[0], "master,fail"));
    server_await_log(node[REPLICA_OF(0)].server, "Currently unable to failover: the data is older", 1);
    assert_true(cnode_has_flags(&node[REPLICA_OF(0)], &node[REPLICA_OF(0)], "myself,slave"));
    assert_soon(cnode_says(&node[1], "CLUSTER INFO", "cluster_state:fail"));
    assert_reply(node[REPLICA_OF(0)].client, "CLUSTER FAILOVER FORCE", "+OK");
    assert_soon(cnode_is_primary(&node[REPLICA_OF(0)]));
    fleet_thaw(&g, 0);
    network_heal(g.network);
    assert_soon(cnode_is_linked_replica_of(&node[0], &node[REPLICA_OF(0)]));
    fleet_assert_well(&g);
    fleet_end(&g);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_that_hangs_comes_back_as_a_replica),
        cmocka_unit_test(nodes_that_hang_all_at_once_go_on),
        cmocka_unit_test(a_killed_primary_with_a_file_comes_back_as_what_it_has_become),
        cmocka_unit_test(all_are_killed_at_once_and_nothing_is_lost),
        cmocka_unit_test(a_primary_that_starts_alone_does_not_believe_its_file),
        cmocka_unit_test(a_replica_whose_data_is_too_old_waits_for_the_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
