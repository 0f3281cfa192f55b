/* test_cuts.c: clusters whose network is cut: into a node and the rest, into two halves, one way only, and
 * again and again; while clients write. When it is mended the cluster becomes well by itself, and nothing is
 * lost that a replica had. */
#include "../harness/check.h"
#include "../harness/fail.h"
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
#define ALL 0x3fu
#define NODE(i) (1u << (i))
#define WRITES 200
/* A ping goes out every half a timeout and must be answered within one; the rest is for a busy machine. */
#define ALONE_MOST_MS (NODE_TIMEOUT_MS * 3 / 2 + 4000)

static struct fleet g; /* threads look at it, also if a test fails */
static struct cnode *const node = g.nodes.at;

static const struct fleet_plan trivets = { .primaries = PRIMARIES, .count = COUNT };

/* A write to a slot that node i had at first, at that node. */
static const char *write_at(size_t i) {
    char key[64];
    fleet_key(&g, i, "probe:", key);
    return client_ask(node[i].client, "SET %s x", key);
}

static bool takes_writes(size_t i) { return strcmp(write_at(i), "+OK") == 0; }

static bool refuses_as_down(size_t i) { return strcmp(write_at(i), "-CLUSTERDOWN The cluster is down") == 0; }

static bool sends_elsewhere(size_t i) { return strncmp(write_at(i), "-MOVED ", 7) == 0; }

static void a_primary_that_is_alone_stops_and_comes_back_as_a_replica(void **state) {
    (void)state;
    load_start_fleet(&g, &trivets, WRITES);
    network_part(g.network, NODE(0), ALL & ~NODE(0));
    int64_t until_ms = deadline_after(ALONE_MOST_MS);
    assert_soon(refuses_as_down(0));
    assert_false(deadline_has_passed(until_ms));
    assert_soon(cnode_is_primary(&node[REPLICA_OF(0)]));
    load_await_all_slots();
    assert_true(refuses_as_down(0));
    network_heal(g.network);
    assert_soon(cnode_is_linked_replica_of(&node[0], &node[REPLICA_OF(0)]));
    assert_soon(sends_elsewhere(0));
    load_await_all_slots();
    load_end_fleet(&g);
}

/* Two primaries of three are the majority; the third one's replica is with them, and one of theirs is not. */
static void the_half_with_the_majority_goes_on(void **state) {
    (void)state;
    load_start_fleet(&g, &trivets, WRITES);
    unsigned minority = NODE(2) | NODE(REPLICA_OF(1));
    network_part(g.network, minority, ALL & ~minority);
    assert_soon(refuses_as_down(2));
    assert_soon(cnode_is_primary(&node[REPLICA_OF(2)]));
    assert_soon(cnode_has_flags(&node[0], &node[REPLICA_OF(1)], "slave,fail"));
    assert_soon(takes_writes(0));
    assert_soon(takes_writes(1));
    network_heal(g.network);
    assert_soon(cnode_is_linked_replica_of(&node[2], &node[REPLICA_OF(2)]));
    assert_soon(cnode_is_linked_replica_of(&node[REPLICA_OF(1)], &node[1]));
    load_await_all_slots();
    load_end_fleet(&g);
}

/* What it hears is not what others hear of it: they replace it, and tell it so. */
static void a_primary_that_nobody_hears_is_replaced(void **state) {
    (void)state;
    load_start_fleet(&g, &trivets, WRITES);
    for (size_t i = 1; i < COUNT; i++) network_silence(g.network, 0, i, true);
    assert_soon(cnode_is_primary(&node[REPLICA_OF(0)]));
    assert_soon(sends_elsewhere(0));
    load_await_all_slots();
    network_heal(g.network);
    assert_soon(cnode_is_linked_replica_of(&node[0], &node[REPLICA_OF(0)]));
    load_end_fleet(&g);
}

/* It knows of nobody who lives, and so must not serve. */
static void a_primary_that_hears_nobody_stops(void **state) {
    (void)state;
    load_start_fleet(&g, &trivets, WRITES);
    for (size_t i = 1; i < COUNT; i++) network_silence(g.network, i, 0, true);
    assert_soon(refuses_as_down(0));
    network_heal(g.network);
    load_await_all_slots();
    load_end_fleet(&g);
}

/* Two nodes lose their link, a third way is slow, and every second time a whole node is cut off: sometimes
 * until it is replaced, sometimes for a moment only. */
static void a_network_that_comes_and_goes_does_no_harm(void **state) {
    (void)state;
    load_start_fleet(&g, &trivets, WRITES);
    for (int round = 0; round < 10; round++) {
        size_t one = (size_t)round % COUNT, other = (one + 1 + (size_t)round / COUNT) % COUNT;
        network_refuse(g.network, one, other, true);
        network_delay(g.network, other, (one + 3) % COUNT, 50);
        if (round % 2 == 0) network_part(g.network, NODE(one), ALL & ~NODE(one));
        pause_ms(NODE_TIMEOUT_MS * 2 / 3 * (1 + round % 4));
        network_heal(g.network);
        load_await(20);
    }
    load_await_all_slots();
    load_end_fleet(&g);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_that_is_alone_stops_and_comes_back_as_a_replica),
        cmocka_unit_test(the_half_with_the_majority_goes_on),
        cmocka_unit_test(a_primary_that_nobody_hears_is_replaced),
        cmocka_unit_test(a_primary_that_hears_nobody_stops),
        cmocka_unit_test(a_network_that_comes_and_goes_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
