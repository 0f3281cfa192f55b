/* test_mixed.c: nodes of Trivet and of redis-server 7.0 in one cluster under the same faults, each kind as
 * primary, as replica and as voter. */
#include "../harness/check.h"
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
#define WRITES 100

static struct fleet g; /* threads look at it, also if a test fails */
static struct cnode *const node = g.nodes.at;

/* Trivet replicates from redis-server, and the other way round; the voters are one of each kind. */
static void both_kinds(void) {
    static const struct fleet_plan plan = {
        .primaries = PRIMARIES,
        .count = COUNT,
        .kinds = { PEER_REDIS, PEER_TRIVET, PEER_REDIS, PEER_TRIVET, PEER_REDIS, PEER_TRIVET },
    };
    fleet_start(&g, &plan);
}

static void a_primary_that_is_alone_is_replaced_by_the_other_kind(void **state) {
    (void)state;
    both_kinds();
    load_start(&g);
    for (size_t alone = 0; alone < 2; alone++) {
        load_await(WRITES);
        network_part(g.network, 1u << alone, 0x3fu & ~(1u << alone));
        assert_soon(cnode_says(&node[alone], "CLUSTER INFO", "cluster_state:fail"));
        assert_soon(cnode_is_primary(&node[REPLICA_OF(alone)]));
        load_await_all_slots();
        network_heal(g.network);
        assert_soon(cnode_is_linked_replica_of(&node[alone], &node[REPLICA_OF(alone)]));
    }
    fleet_assert_well(&g);
    load_end();
    fleet_end(&g);
}

static void a_primary_that_hangs_is_replaced_by_the_other_kind(void **state) {
    (void)state;
    both_kinds();
    load_start(&g);
    for (size_t hangs = 0; hangs < 2; hangs++) {
        load_await(WRITES);
        fleet_freeze(&g, hangs);
        assert_soon(cnode_is_primary(&node[REPLICA_OF(hangs)]));
        load_await_all_slots();
        fleet_thaw(&g, hangs);
        assert_soon(cnode_is_linked_replica_of(&node[hangs], &node[REPLICA_OF(hangs)]));
    }
    fleet_assert_well(&g);
    load_end();
    fleet_end(&g);
}

static void a_killed_primary_comes_back_as_a_replica_of_the_other_kind(void **state) {
    (void)state;
    both_kinds();
    load_start(&g);
    for (size_t killed = 0; killed < 2; killed++) {
        load_await(WRITES);
        cnode_kill(&node[killed]);
        assert_soon(cnode_is_primary(&node[REPLICA_OF(killed)]));
        load_await_all_slots();
        cnode_restart(&node[killed]);
        assert_soon(cnode_is_linked_replica_of(&node[killed], &node[REPLICA_OF(killed)]));
    }
    fleet_assert_well(&g);
    load_end();
    fleet_end(&g);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_that_is_alone_is_replaced_by_the_other_kind),
        cmocka_unit_test(a_primary_that_hangs_is_replaced_by_the_other_kind),
        cmocka_unit_test(a_killed_primary_comes_back_as_a_replica_of_the_other_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
