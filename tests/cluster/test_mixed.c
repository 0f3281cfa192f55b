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
static const struct fleet_plan both_kinds = {
    .primaries = PRIMARIES,
    .count = COUNT,
    .kinds = { PEER_REDIS, PEER_TRIVET, PEER_REDIS, PEER_TRIVET, PEER_REDIS, PEER_TRIVET },
};

/* A primary of each kind goes this way, is replaced by its replica of the other kind, and follows it when it
 * has come back. */
static void assert_replaced(void (*goes)(size_t), void (*comes_back)(size_t)) {
    load_start_fleet(&g, &both_kinds, 0);
    for (size_t lost = 0; lost < 2; lost++) {
        load_await(WRITES);
        goes(lost);
        assert_soon(cnode_is_primary(&node[REPLICA_OF(lost)]));
        load_await_all_slots();
        comes_back(lost);
        assert_soon(cnode_is_linked_replica_of(&node[lost], &node[REPLICA_OF(lost)]));
    }
    load_end_fleet(&g);
}

static void cut_off(size_t i) {
    network_part(g.network, 1u << i, 0x3fu & ~(1u << i));
    assert_soon(cnode_says(&node[i], "CLUSTER INFO", "cluster_state:fail"));
}

static void mend(size_t i) {
    (void)i;
    network_heal(g.network);
}

static void freeze(size_t i) { fleet_freeze(&g, i); }
static void thaw(size_t i) { fleet_thaw(&g, i); }
static void die(size_t i) { cnode_kill(&node[i]); }
static void restart(size_t i) { cnode_restart(&node[i]); }

static void a_primary_that_is_alone_is_replaced_by_the_other_kind(void **state) {
    (void)state;
    assert_replaced(cut_off, mend);
}

static void a_primary_that_hangs_is_replaced_by_the_other_kind(void **state) {
    (void)state;
    assert_replaced(freeze, thaw);
}

static void a_killed_primary_comes_back_as_a_replica_of_the_other_kind(void **state) {
    (void)state;
    assert_replaced(die, restart);
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
