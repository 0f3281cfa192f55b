/* What the rules do in one case each, in a world without bad weather. */
#include "trivet/base/mem.h"
#include "trouble.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define LONG_MS 60000

/* Primaries first, each with its part of the slots; `replica_of` says whom each of the others follows. */
static struct world *world_make(size_t primaries, const size_t *replica_of, size_t replicas) {
    struct world *w = mem_alloc(sizeof *w);
    world_init(w, 1, primaries + replicas, getenv("TRIVET_SIM_TELL") != NULL);
    for (size_t i = 0; i < primaries; i++) {
        struct slot_set slots = { { 0 } };
        for (unsigned s = (unsigned)(i * SLOT_COUNT / primaries); s < (i + 1) * SLOT_COUNT / primaries; s++)
            slot_set_add(&slots, s);
        assert_null(cluster_add_slots(&w->nodes[i].rules, &slots, w->now_ms));
    }
    for (size_t i = 1; i < w->count; i++) {
        assert_null(cluster_meet(&w->nodes[i].rules, LIT("10.0.0.1"), 1, 1, w->now_ms));
        world_reply(w, &w->nodes[i]);
    }
    world_run(w, 10000);
    for (size_t i = 0; i < replicas; i++) {
        struct sim_node *n = &w->nodes[primaries + i];
        assert_null(cluster_replicate(&n->rules, &w->nodes[replica_of[i]].id, true, w->now_ms));
        world_reply(w, n);
    }
    if (!world_run_until(w, world_is_healed, LONG_MS)) world_fail(w, "%s", world_illness(w));
    return w;
}

static void world_free(struct world *w) {
    world_release(w);
    mem_free(w);
}

static bool sound(const struct world *w, size_t node) { return w->nodes[node].rules.is_sound; }

static struct cluster_node *seen(struct world *w, size_t by, size_t node) {
    return cluster_node_find(&w->nodes[by].rules.state, &w->nodes[node].id);
}

static const struct cluster_node *self_of(struct world *w, size_t node) {
    return w->nodes[node].rules.state.self;
}

static void a_dead_primary_is_replaced_by_its_replica(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    world_crash(w, &w->nodes[0]);
    world_run(w, 4 * SIM_NODE_TIMEOUT_MS);
    assert_true(node_votes(self_of(w, 3)) && sound(w, 1) && sound(w, 2) && sound(w, 3));
    world_start(w, &w->nodes[0]);
    assert_true(world_run_until(w, world_is_healed, LONG_MS));
    assert_true(self_of(w, 0)->primary == seen(w, 0, 3));
    world_free(w);
}

static void without_a_majority_nobody_serves(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0, 1 }, 2);
    w->nodes[0].group = w->nodes[3].group = 1;
    world_run(w, 2 * SIM_NODE_TIMEOUT_MS);
    assert_false(sound(w, 0));
    world_run(w, 4 * SIM_NODE_TIMEOUT_MS);
    /* The replica is on the side of its primary, so nobody took over and the others lack slots. */
    assert_true(node_votes(self_of(w, 0)) && !sound(w, 1) && !sound(w, 2));
    w->nodes[0].group = w->nodes[3].group = 0;
    assert_true(world_run_until(w, world_is_healed, LONG_MS));
    assert_true(w->elections == 0);
    world_free(w);
}

static void a_takeover_needs_no_votes(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0, 1, 2 }, 3);
    for (size_t i = 0; i < 3; i++) w->nodes[i].group = 1;
    world_run(w, 6 * SIM_NODE_TIMEOUT_MS);
    for (size_t i = 3; i < 5; i++) {
        assert_true(node_is_replica(self_of(w, i)));
        w->nodes[i].leads_unasked = true;
        assert_null(cluster_failover(&w->nodes[i].rules, FAILOVER_TAKEOVER, w->now_ms));
        world_reply(w, &w->nodes[i]);
        world_run(w, 1000);
    }
    /* These two are a majority, and elect the third one. */
    world_run(w, 6 * SIM_NODE_TIMEOUT_MS);
    for (size_t i = 3; i < 6; i++) assert_true(node_votes(self_of(w, i)) && sound(w, i));
    for (size_t i = 0; i < 3; i++) w->nodes[i].group = 0;
    assert_true(world_run_until(w, world_is_healed, LONG_MS));
    for (size_t i = 0; i < 3; i++) assert_true(node_is_replica(self_of(w, i)));
    world_free(w);
}

static void an_orphaned_primary_gets_a_replica(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0, 1, 1 }, 3);
    size_t first = node_id_compare(&w->nodes[4].id, &w->nodes[5].id) < 0 ? 4 : 5;
    world_crash(w, &w->nodes[3]);
    world_run(w, 5 * SIM_NODE_TIMEOUT_MS + 5000);
    assert_true(self_of(w, first)->primary == seen(w, first, 0));
    assert_true(self_of(w, 9 - first)->primary == seen(w, 9 - first, 1));
    /* The third primary never had a replica: nobody moves there. */
    assert_int_equal(seen(w, 0, 2)->replica_count, 0);
    world_free(w);
}

static void the_barrier_keeps_replicas_where_they_are(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0, 1, 1 }, 3);
    for (size_t i = 0; i < w->count; i++) w->nodes[i].rules.settings.migration_barrier = 2;
    world_crash(w, &w->nodes[3]);
    world_run(w, 5 * SIM_NODE_TIMEOUT_MS + 20000);
    assert_int_equal(seen(w, 0, 1)->replica_count, 2);
    world_free(w);
}

static void old_data_does_not_stand_for_election(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    w->nodes[3].group = 1;
    world_run(w, SIM_NODE_TIMEOUT_MS * 11 + 10000 + 2000);
    world_crash(w, &w->nodes[0]);
    w->nodes[3].group = 0;
    world_run(w, LONG_MS);
    assert_true(node_is_replica(self_of(w, 3)) && !sound(w, 1));
    w->nodes[3].rules.settings.replica_validity_factor = 0;
    world_run(w, 6 * SIM_NODE_TIMEOUT_MS);
    assert_true(node_votes(self_of(w, 3)) && sound(w, 1));
    world_free(w);
}

static void a_replica_may_be_told_never_to_stand(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0, 0 }, 2);
    struct cluster_settings settings = w->nodes[3].rules.settings;
    settings.replica_no_failover = true;
    cluster_configure(&w->nodes[3].rules, &settings, w->now_ms);
    world_reply(w, &w->nodes[3]);
    world_run(w, 1000);
    assert_true(seen(w, 1, 3)->flags & NODE_NOFAILOVER);
    world_crash(w, &w->nodes[0]);
    world_run(w, 6 * SIM_NODE_TIMEOUT_MS);
    assert_true(node_votes(self_of(w, 4)) && self_of(w, 3)->primary == seen(w, 3, 4));
    world_free(w);
}

/* The one with more data wins. */
static void ranks_follow_the_offsets(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0, 0, 0 }, 3);
    w->nodes[3].group = w->nodes[5].group = 1; /* they miss some writes */
    world_run(w, 1000);
    world_crash(w, &w->nodes[0]);
    w->nodes[3].group = w->nodes[5].group = 0;
    assert_true(w->nodes[4].offset > w->nodes[3].offset);
    world_run(w, 6 * SIM_NODE_TIMEOUT_MS);
    assert_true(node_votes(self_of(w, 4)));
    world_free(w);
}

static void a_forgotten_node_is_forgotten_by_all_and_stays_away(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    struct cluster_node *n = seen(w, 0, 3);
    assert_string_equal(cluster_forget(&w->nodes[0].rules, &self_of(w, 0)->id, w->now_ms),
                        "I tried hard but I can't forget myself...");
    assert_null(cluster_forget(&w->nodes[0].rules, &n->id, w->now_ms));
    world_reply(w, &w->nodes[0]);
    for (int i = 0; i < 50; i++) { /* nearly as long as the ban */
        world_run(w, 1000);
        for (size_t by = 0; by < 3; by++) assert_null(seen(w, by, 3));
    }
    assert_null(cluster_forget(&w->nodes[1].rules, &w->nodes[3].id, w->now_ms)); /* is banned already */
    /* It greets the others again and again, and is heard when the ban is over. */
    assert_true(world_run_until(w, world_is_healed, LONG_MS));
    world_free(w);
}

static void a_node_that_was_reset_joins_under_a_new_name(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    struct sim_node *n = &w->nodes[3];
    struct node_id before = n->id, id;
    memset(id.text, 'z', sizeof id.text);
    world_rename(w, n, &id);
    cluster_reset(&n->rules, &id, &id, w->now_ms);
    n->synced_vote = n->synced_epoch = 0;
    ledger_note_start(w, n);
    n->leads_unasked = true; /* it leads nobody, without votes */
    world_reply(w, n);
    assert_true(n->rules.state.node_count == 1 && n->rules.state.current_epoch == 0 &&
                n->follows == SIZE_MAX);
    for (size_t i = 0; i < 3; i++) {
        assert_null(cluster_forget(&w->nodes[i].rules, &before, w->now_ms));
        world_reply(w, &w->nodes[i]);
    }
    assert_null(cluster_meet(&n->rules, LIT("10.0.0.1"), 1, 1, w->now_ms));
    world_reply(w, n);
    world_run(w, 3000);
    assert_true(seen(w, 2, 3) && node_is_primary(seen(w, 2, 3)));
    world_free(w);
}

static void names_and_shards_are_told_to_all(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    struct cluster_settings settings = w->nodes[1].rules.settings;
    settings.texts[NODE_HOSTNAME] = "one.example";
    settings.texts[NODE_ZONE] = "zone-a";
    settings.texts[NODE_CLIENT_IPV4] = "1.2.3.4";
    settings.texts[NODE_CLIENT_IPV6] = "::7";
    settings.client_port = 77;
    settings.client_tls_port = 78;
    cluster_configure(&w->nodes[1].rules, &settings, w->now_ms);
    world_reply(w, &w->nodes[1]);
    world_run(w, 1000);
    assert_true(slice_equal(node_text(seen(w, 2, 1), NODE_HOSTNAME), LIT("one.example")));
    assert_true(slice_equal(node_text(seen(w, 0, 1), NODE_ZONE), LIT("zone-a")));
    assert_true(slice_equal(node_text(seen(w, 0, 1), NODE_CLIENT_IPV4), LIT("1.2.3.4")));
    assert_true(slice_equal(node_text(seen(w, 0, 1), NODE_CLIENT_IPV6), LIT("::7")));
    assert_true(seen(w, 3, 1)->client_port == 77 && seen(w, 3, 1)->client_tls_port == 78);
    assert_true(cluster_same_shard(seen(w, 2, 0), seen(w, 2, 3)));
    assert_true(node_id_equal(&seen(w, 2, 0)->shard_id, &w->nodes[0].shard_id));
    settings.texts[NODE_HOSTNAME] = NULL;
    cluster_configure(&w->nodes[1].rules, &settings, w->now_ms);
    world_reply(w, &w->nodes[1]);
    world_run(w, 1000);
    assert_int_equal(node_text(seen(w, 2, 1), NODE_HOSTNAME).len, 0);
    world_free(w);
}

static void writes_wait_while_a_replica_takes_over(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    assert_null(cluster_failover(&w->nodes[3].rules, FAILOVER_AGREED, w->now_ms));
    world_reply(w, &w->nodes[3]);
    w->nodes[1].frozen = w->nodes[2].frozen = true; /* no votes for now */
    w->nodes[1].wakes_ms = w->nodes[2].wakes_ms = INT64_MAX / 2;
    world_run(w, 1000);
    assert_true(w->nodes[0].paused_until_ms > w->now_ms + 8000);
    assert_true(w->nodes[0].offset == w->nodes[3].offset && node_is_replica(self_of(w, 3)));
    uint64_t offset = w->nodes[0].offset;
    world_run(w, 5000); /* the replica gives up, the primary waits for longer */
    assert_true(w->nodes[0].paused_until_ms > w->now_ms && w->nodes[0].offset == offset);
    assert_true(node_is_replica(self_of(w, 3)));
    world_run(w, 5000);
    assert_true(w->nodes[0].paused_until_ms == 0 && node_votes(self_of(w, 0)));
    world_free(w);
}

/* ---- what seeds have found ---- */

/* Who hears the old primary before the new one knows an owner of each slot all the same. */
static void a_handover_leaves_no_slot_to_nobody(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    w->covered = true;
    w->deaf[1][3] = true; /* the new primary will not be heard there for a while */
    operator_fails_over(w, &w->nodes[3], FAILOVER_AGREED);
    world_run(w, 500);
    assert_true(node_votes(self_of(w, 3)) && self_of(w, 0)->primary == seen(w, 0, 3));
    assert_true(sound(w, 1) && node_votes(seen(w, 1, 3)));
    w->deaf[1][3] = false;
    assert_true(world_run_until(w, world_is_healed, LONG_MS));
    world_free(w);
}

/* What is written while the pause begins comes over too: each one that was acknowledged. */
static void a_handover_loses_no_write(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    for (int round = 0; round < 20; round++) {
        size_t from = round % 2 ? 3 : 0, to = 3 - from;
        uint64_t before = w->nodes[from].offset;
        w->weather.delay_most_ms = 1 + round * 10;
        operator_fails_over(w, &w->nodes[to], FAILOVER_AGREED); /* world.c compares the offsets */
        world_run(w, 3000);
        assert_true(node_votes(self_of(w, to)) && w->nodes[to].offset >= before);
        assert_true(world_run_until(w, world_is_healed, LONG_MS));
    }
    world_free(w);
}

/* A file gives the epoch of its primary to a replica: read again, that must not outlive its role. */
static void who_read_of_a_replica_believes_it_as_a_primary(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0, 0 }, 2);
    uint64_t epoch;
    (void)cluster_bump_epoch(&w->nodes[0].rules, &epoch, w->now_ms);
    world_reply(w, &w->nodes[0]);
    world_run(w, 1000);
    world_crash(w, &w->nodes[1]);
    world_start(w, &w->nodes[1]); /* read: node 3 is a replica, in that epoch */
    w->nodes[3].leads_unasked = true;
    cluster_reset(&w->nodes[3].rules, NULL, &w->nodes[3].shard_id, w->now_ms);
    world_reply(w, &w->nodes[3]);
    world_run(w, 10000); /* the others greet it */
    assert_true(node_is_primary(seen(w, 1, 3)) && seen(w, 1, 3)->config_epoch <= self_of(w, 3)->config_epoch);
    operator_moves_slot(w, &w->nodes[0], &w->nodes[3], true);
    world_run(w, 2000);
    assert_true(node_votes(seen(w, 1, 3)));
    world_free(w);
}

static void a_dead_primary_is_replaced_though_clocks_were_put_back(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    for (size_t i = 0; i < w->count; i++) world_set_clock(w, &w->nodes[i], -3600000, 1000);
    world_run(w, 1000);
    world_crash(w, &w->nodes[0]);
    world_run(w, 5 * SIM_NODE_TIMEOUT_MS);
    assert_true(node_votes(self_of(w, 3)) && sound(w, 1) && sound(w, 2));
    world_free(w);
}

/* It was cut off when the others were told. */
static void a_ban_reaches_who_could_not_hear_it(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0, 0 }, 2);
    struct node_id forgotten = w->nodes[4].id;
    w->nodes[2].group = 1;
    assert_null(cluster_forget(&w->nodes[0].rules, &forgotten, w->now_ms));
    world_reply(w, &w->nodes[0]);
    world_run(w, 1000);
    assert_true(!seen(w, 1, 4) && seen(w, 2, 4));
    w->nodes[2].group = 0;
    world_run(w, 4000);
    for (size_t i = 0; i < 3; i++) assert_null(seen(w, i, 4));
    world_free(w);
}

/* It does not hear one of the primaries, which hears it. */
static void a_one_way_cut_heals(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0, 1, 2 }, 3);
    w->deaf[0][1] = w->deaf[3][1] = true;
    world_run(w, 10 * SIM_NODE_TIMEOUT_MS);
    w->deaf[0][1] = w->deaf[3][1] = false;
    assert_true(world_run_until(w, world_is_healed, LONG_MS));
    assert_int_equal(w->elections, 0); /* two of three heard it all the time */
    world_free(w);
}

static void a_node_without_its_disk_is_a_new_one(void **state) {
    (void)state;
    struct world *w = world_make(3, (const size_t[]){ 0 }, 1);
    struct node_id before = w->nodes[0].id;
    world_crash(w, &w->nodes[0]);
    world_wipe(w, &w->nodes[0]);
    world_start(w, &w->nodes[0]);
    world_run(w, 6 * SIM_NODE_TIMEOUT_MS);
    assert_true(node_votes(self_of(w, 3)) && !seen(w, 1, 0));
    assert_true(cluster_node_find(&w->nodes[1].rules.state, &before)->flags & NODE_FAIL);
    trouble_repair(w);
    assert_true(world_run_until(w, world_is_healed, LONG_MS));
    assert_true(self_of(w, 0)->slot_count == 0 && seen(w, 1, 0));
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_primary_is_replaced_by_its_replica),
        cmocka_unit_test(without_a_majority_nobody_serves),
        cmocka_unit_test(a_takeover_needs_no_votes),
        cmocka_unit_test(an_orphaned_primary_gets_a_replica),
        cmocka_unit_test(the_barrier_keeps_replicas_where_they_are),
        cmocka_unit_test(old_data_does_not_stand_for_election),
        cmocka_unit_test(a_replica_may_be_told_never_to_stand),
        cmocka_unit_test(ranks_follow_the_offsets),
        cmocka_unit_test(a_forgotten_node_is_forgotten_by_all_and_stays_away),
        cmocka_unit_test(a_node_that_was_reset_joins_under_a_new_name),
        cmocka_unit_test(names_and_shards_are_told_to_all),
        cmocka_unit_test(writes_wait_while_a_replica_takes_over),
        cmocka_unit_test(a_handover_leaves_no_slot_to_nobody),
        cmocka_unit_test(a_handover_loses_no_write),
        cmocka_unit_test(who_read_of_a_replica_believes_it_as_a_primary),
        cmocka_unit_test(a_dead_primary_is_replaced_though_clocks_were_put_back),
        cmocka_unit_test(a_ban_reaches_who_could_not_hear_it),
        cmocka_unit_test(a_one_way_cut_heals),
        cmocka_unit_test(a_node_without_its_disk_is_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
