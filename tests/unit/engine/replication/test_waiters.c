/* Clients that wait for replicas: what reaches a goal, what wakes them, and what is left of those that go.
 * The replicas are clients without connections, which acknowledge what the test says. */
#include "../../../harness/loopback.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/replication/waiters.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/persist/backlog.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct loopback *online(void) {
    struct loopback *l = loopback_open();
    replica_set_state(replica_of(loopback_client(l)), REPLICA_ONLINE);
    return l;
}

static void acknowledges(struct loopback *l, uint64_t offset, uint64_t synced) {
    replica_acknowledges(loopback_client(l)->replica, offset, synced);
    loopback_turn();
}

static void goes(struct loopback *l) {
    replica_release(loopback_client(l));
    loopback_client(l)->flags &= ~(uint32_t)CLIENT_REPLICA;
    loopback_close(l);
}

static void a_goal_counts_who_has_it(void **state) {
    (void)state;
    static const struct {
        struct wait_goal goal;
        int64_t replicas;
        bool is_reached;
    } rows[] = {
        { { .stream = 10, .replicas = 0 }, 2, true },
        { { .stream = 10, .replicas = -1 }, 2, true },
        { { .stream = 10, .replicas = 2 }, 2, true },
        { { .stream = 10, .replicas = 3 }, 2, false },
        { { .stream = 11, .replicas = 1 }, 1, true },
        { { .stream = 11, .replicas = 2 }, 1, false },
        { { .stream = 21, .replicas = 1 }, 0, false },
        { { .stream = 5, .replicas = 1, .on_disk = true }, 1, true },
        { { .stream = 6, .replicas = 1, .on_disk = true }, 0, false },
        { { .stream = 0, .replicas = 1, .here = true, .journal = 1 }, 2, true }, /* there is no file */
    };
    struct loopback *a = online(), *b = online(), *waits = loopback_open();
    replica_set_state(replica_of(loopback_client(waits)), REPLICA_WAITS);
    acknowledges(a, 10, 0);
    acknowledges(b, 20, 5);
    acknowledges(waits, 30, 30); /* it is not online, so it does not count */
    acknowledges(b, 3, 2);       /* nor does less than before */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(wait_goal_replicas(&rows[i].goal), rows[i].replicas);
        assert_int_equal(wait_goal_is_reached(&rows[i].goal), rows[i].is_reached);
    }
    goes(a);
    goes(b);
    goes(waits);
}

static void an_acknowledgement_wakes_those_whose_goal_it_reaches(void **state) {
    (void)state;
    struct loopback *r = online(), *early = loopback_open(), *late = loopback_open();
    backlog_open();
    loopback_ask(early, "SET k 1");
    uint64_t offset = loopback_client(early)->stream_offset;
    assert_true(offset > 0);
    loopback_ask(late, "SET k 2");
    assert_says(early, "WAIT 1 0", "");
    assert_says(late, "WAIT 1 0", "");
    acknowledges(r, offset - 1, 0);
    assert_hears(early, "");
    acknowledges(r, offset, 0);
    assert_hears(early, ":1");
    assert_hears(late, "");
    loopback_advance(1000);
    acknowledges(r, loopback_client(late)->stream_offset, 0);
    assert_hears(late, ":1");
    goes(r);
    loopback_close(early);
    loopback_close(late);
    backlog_close();
}

static void time_ends_a_wait_with_the_number_so_far(void **state) {
    (void)state;
    struct loopback *r = online(), *c = loopback_open();
    assert_says(c, "WAIT 2 100", "");
    loopback_advance(99);
    assert_hears(c, "");
    loopback_advance(1);
    assert_hears(c, ":1");
    assert_says(c, "WAITAOF 0 2 100", "");
    loopback_advance(100);
    assert_hears(c, "*[:0, :1]");
    goes(r);
    loopback_close(c);
}

/* The next look meets an item whose client is gone, and one whose client waits for something else by now. */
static void what_is_left_of_a_wait_disturbs_nobody(void **state) {
    (void)state;
    struct loopback *r = online(), *gone = loopback_open(), *other = loopback_open(), *asks = loopback_open();
    assert_says(gone, "WAIT 2 0", "");
    loopback_close(gone);
    assert_says(other, "WAIT 2 0", "");
    loopback_ask(asks, "CLIENT UNBLOCK %llu", (unsigned long long)loopback_client(other)->id);
    loopback_turn();
    assert_hears(other, ":1");
    assert_says(other, "BLPOP nothing 0", "");
    waiters_cron();
    acknowledges(r, 1, 1);
    assert_hears(other, "");
    loopback_close(other);
    loopback_close(asks);
    goes(r);
}

static void replicas_are_asked_once_a_turn(void **state) {
    (void)state;
    struct loopback *r = online(), *a = loopback_open(), *b = loopback_open();
    backlog_open();
    uint64_t before = backlog_offset();
    assert_says(a, "WAIT 2 0", "");
    assert_says(b, "WAIT 2 0", "");
    waiters_turn_ends();
    assert_int_equal(backlog_offset() - before, 37);
    waiters_turn_ends();
    assert_int_equal(backlog_offset() - before, 37); /* nobody has begun to wait since */
    goes(r);
    loopback_close(a);
    loopback_close(b);
    backlog_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(a_goal_counts_who_has_it),
        LOOPBACK_TEST(an_acknowledgement_wakes_those_whose_goal_it_reaches),
        LOOPBACK_TEST(time_ends_a_wait_with_the_number_so_far),
        LOOPBACK_TEST(what_is_left_of_a_wait_disturbs_nobody),
        LOOPBACK_TEST(replicas_are_asked_once_a_turn),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
