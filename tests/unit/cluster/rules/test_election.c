/* A replica whose primary fails: when it asks for votes, and whether it may. */
#include "bench.h"

#define UNIT_MS (TIMEOUT_MS / 30)

/* This node has no slots and follows 'b', beside 'r'. */
static void become_replica(struct bench *b) {
    struct cluster_state *s = &b->c.state;
    struct node_id primary = named('b');
    cluster_slots_give_all(s, s->self, node(b, 'c'));
    assert_null(cluster_replicate(&b->c, &primary, true, b->now_ms));
    settle(b);
    node(b, 'r')->offset = 7;
}

/* How long this node waits before it asks for votes. */
static int64_t delay_of(struct bench *b) {
    b_fails(b);
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    assert_true(b->c.election.at_ms > 0);
    return b->c.election.at_ms - b->now_ms;
}

static void the_first_in_rank_waits_for_the_shortest_time(void **state) {
    struct bench *b = *state;
    become_replica(b); /* of equal offsets the smaller name is first */
    assert_int_equal(delay_of(b), UNIT_MS);
    assert_false(b->c.election.sent);
}

static void who_has_more_data_goes_first(void **state) {
    struct bench *b = *state;
    become_replica(b);
    node(b, 'r')->offset = 8;
    assert_int_equal(delay_of(b), UNIT_MS + 2 * UNIT_MS);
}

/* But not if it never stands. */
static void who_never_stands_has_no_rank(void **state) {
    struct bench *b = *state;
    become_replica(b);
    node(b, 'r')->offset = 8;
    node(b, 'r')->flags |= NODE_NOFAILOVER;
    assert_int_equal(delay_of(b), UNIT_MS);
}

static void elections_of_several_primaries_come_one_after_the_other(void **state) {
    struct bench *b = *state;
    struct node_id other = named('c');
    become_replica(b);
    assert_null(cluster_replicate(&b->c, &other, true, b->now_ms));
    settle(b);
    node(b, 'c')->flags |= NODE_FAIL;
    assert_int_equal(delay_of(b), UNIT_MS + UNIT_MS); /* 'b' has failed too, and comes before 'c' */
}

static void when_all_siblings_agree_nobody_waits(void **state) {
    struct bench *b = *state;
    become_replica(b);
    struct message_header h = header(b, 'r', MESSAGE_PING);
    h.flags |= NODE_MY_PRIMARY_FAILS;
    h.offset = 7;
    give(b, &h, LIT(""));
    assert_int_equal(delay_of(b), 0);
    assert_true(b->c.election.sent && b->c.sent[MESSAGE_AUTH_REQUEST] > 0);
    assert_true(b->c.state.self->flags & NODE_MY_PRIMARY_FAILS);
}

static void without_data_it_waits_for_longer(void **state) {
    struct bench *b = *state;
    become_replica(b);
    b->offset = 0;
    node(b, 'r')->offset = 0;
    assert_int_equal(delay_of(b), UNIT_MS + 500);
}

static void who_hears_of_better_data_waits_for_it(void **state) {
    struct bench *b = *state;
    become_replica(b);
    assert_int_equal(delay_of(b), UNIT_MS);
    struct message_header h = header(b, 'r', MESSAGE_PONG);
    h.offset = 100;
    give(b, &h, LIT(""));
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    assert_int_equal(b->c.election.at_ms - b->now_ms, UNIT_MS + 2 * UNIT_MS);
}

static void old_data_does_not_stand(void **state) {
    struct bench *b = *state;
    become_replica(b);
    const struct cluster_settings *set = &b->c.settings;
    int64_t most_ms = set->repl_ping_period_ms + set->replica_validity_factor * TIMEOUT_MS;
    b->data_age_ms = most_ms + TIMEOUT_MS + 1;
    b_fails(b);
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    assert_int_equal(b->c.election.at_ms, 0);
    b->data_age_ms = most_ms + TIMEOUT_MS;
    assert_int_equal(delay_of(b), UNIT_MS);
}

/* An attempt lasts for two seconds at least, the next one comes after twice that. */
static void attempts_come_at_intervals(void **state) {
    struct bench *b = *state;
    become_replica(b);
    (void)delay_of(b);
    int64_t first_ms = b->c.election.at_ms;
    size_t requests = 0;
    for (b->now_ms = first_ms; b->now_ms <= first_ms + 4000; b->now_ms += CLUSTER_TICK_MS) {
        cluster_tick(&b->c, b->now_ms);
        settle(b);
        requests += count_of(b, ACTION_SEND) > 0 && b->c.election.sent;
        assert_int_equal(b->c.election.at_ms, first_ms);
    }
    assert_true(requests > 0);
    uint64_t epoch = b->c.election.epoch;
    b->now_ms += CLUSTER_TICK_MS;
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    assert_true(b->c.election.at_ms > first_ms + 4000 && !b->c.election.sent && epoch > 0);
}

/* ---- votes ---- */

static void votes_are_counted_once_and_only_those_of_primaries(void **state) {
    struct bench *b = *state;
    become_replica(b);
    /* Three primaries with slots: two votes are a majority. */
    struct node_id d = named('d');
    struct cluster_node *fourth = cluster_node_add(&b->c.state, &d, NODE_PRIMARY, b->now_ms);
    fourth->ip = b->ip;
    fourth->port = fourth->cport = 'd';
    cluster_slot_give(&b->c.state, 900, fourth);
    (void)delay_of(b);
    b->now_ms = b->c.election.at_ms;
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    assert_true(b->c.election.sent);
    struct message_header h = header(b, 'c', MESSAGE_AUTH_ACK);
    h.current_epoch = b->c.election.epoch - 1; /* of another election */
    give(b, &h, LIT(""));
    assert_int_equal(b->c.election.votes, 0);
    h.current_epoch = b->c.election.epoch;
    give(b, &h, LIT(""));
    give(b, &h, LIT(""));
    struct message_header replica = header(b, 'r', MESSAGE_AUTH_ACK);
    replica.current_epoch = b->c.election.epoch;
    give(b, &replica, LIT(""));
    assert_true(b->c.election.votes == 1 && node_is_replica(b->c.state.self));
    uint64_t epoch = b->c.election.epoch;
    h = header(b, 'd', MESSAGE_AUTH_ACK);
    h.current_epoch = epoch;
    give(b, &h, LIT(""));
    const struct cluster_node *self = b->c.state.self;
    assert_true(node_is_primary(self) && self->slot_count == 100 && self->config_epoch == epoch);
    assert_int_equal(count_of(b, ACTION_LEAD), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_first_in_rank_waits_for_the_shortest_time),
        BENCH_TEST(who_has_more_data_goes_first),
        BENCH_TEST(who_never_stands_has_no_rank),
        BENCH_TEST(elections_of_several_primaries_come_one_after_the_other),
        BENCH_TEST(when_all_siblings_agree_nobody_waits),
        BENCH_TEST(without_data_it_waits_for_longer),
        BENCH_TEST(who_hears_of_better_data_waits_for_it),
        BENCH_TEST(old_data_does_not_stand),
        BENCH_TEST(attempts_come_at_intervals),
        BENCH_TEST(votes_are_counted_once_and_only_those_of_primaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
