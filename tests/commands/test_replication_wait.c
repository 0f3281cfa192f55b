/* test_replication_wait.c: WAIT and WAITAOF with replicas: of ours, of Redis, and played by hand. */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/wire.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define UNBLOCKED \
    "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"

/* ---- real replicas ---- */

static const enum peer kinds[] = { PEER_TRIVET, PEER_REDIS };

static void a_write_is_waited_for(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct replica_pair p = replica_pair_start(PEER_TRIVET, kinds[i], NULL);
        static const struct exchange rows[] = {
            { "SET k 1", "+OK" },         { "WAIT 1 0", ":1" },
            { "WAIT 2 30", ":1" },        { "WAIT 0 0", ":1" },
            { "WAIT -3 0", ":1" },        { "MULTI", "+OK" },
            { "SET k 2", "+QUEUED" },     { "WAIT 5 0", "+QUEUED" },
            { "EXEC", "*[+OK, :1]" },     { "WAIT 1 0", ":1" },
            { "WAITAOF 0 1 30", "*[:0, :0]" }, { "EVAL \"return redis.call('wait', 7, 0)\" 0", ":1" },
            { NULL, NULL },
        };
        assert_exchanges(p.primary, rows);
        assert_reply(p.replica, "GET k", "$\"2\"");
        replica_pair_close(&p);
    }
}

static void each_of_many_clients_gets_its_answer(void **state) {
    (void)state;
    enum { CLIENTS = 8, ROUNDS = 50 };
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    struct client *c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        c[i] = server_connect(p.primary_server);
        for (int round = 0; round < ROUNDS; round++) {
            client_queue(c[i], "SET k:%d %d", i, round);
            client_queue(c[i], "WAIT 1 0");
        }
        assert_true(client_flush(c[i]));
    }
    for (int i = 0; i < CLIENTS; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            assert_next(c[i], "+OK");
            assert_next(c[i], ":1");
        }
        client_close(c[i]);
    }
    assert_reply(p.replica, "DBSIZE", ":8");
    replica_pair_close(&p);
}

static void a_replica_that_sleeps_is_waited_for(void **state) {
    (void)state;
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    struct client *waiter = server_connect(p.primary_server);
    kill(server_pid(p.replica_server), SIGSTOP);
    assert_reply(waiter, "SET k 1", "+OK");
    assert_reply(waiter, "WAIT 1 30", ":0");
    send_and_wait(p.primary, waiter, "WAIT 1 0");
    assert_reply(p.primary, "GET k", "$\"1\"");
    kill(server_pid(p.replica_server), SIGCONT);
    assert_next(waiter, ":1");
    client_close(waiter);
    replica_pair_close(&p);
}

static void a_replica_waits_for_nobody(void **state) {
    (void)state;
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    static const struct exchange rows[] = {
        { "WAIT 1 0",
          "-ERR WAIT cannot be used with replica instances. Please also note that if a replica is "
          "configured to be writable (which is not the default) writes to replicas are just local "
          "and are not propagated." },
        { "WAITAOF 0 0 0",
          "-ERR WAITAOF cannot be used with replica instances. Please also note that writes to "
          "replicas are just local and are not propagated." },
        { NULL, NULL },
    };
    assert_exchanges(p.replica, rows);
    replica_pair_close(&p);
}

static void who_waits_when_the_role_changes_is_told(void **state) {
    (void)state;
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    struct client *waiter = server_connect(p.primary_server);
    struct client *other = server_connect(p.primary_server);
    send_and_wait(p.primary, waiter, "WAIT 9 0");
    send_and_wait(p.primary, other, "WAITAOF 0 9 0");
    assert_reply(p.primary, "REPLICAOF 127.0.0.1 1", "+OK");
    assert_next(waiter, UNBLOCKED);
    assert_ended(waiter);
    assert_next(other, UNBLOCKED);
    assert_ended(other);
    client_close(waiter);
    client_close(other);
    replica_pair_close(&p);
}

/* ---- played by hand ---- */

/* Reads the stream up to the next GETACK; returns how many commands came before it. */
static size_t read_to_getack(struct wire *replica) {
    for (size_t before = 0;; before++) {
        const char *command = wire_next(replica);
        if (!command) HARNESS_FAIL("the link ended, and nobody asked for an acknowledgement");
        if (strcmp(command, "REPLCONF GETACK *") == 0) return before;
    }
}

static void replicas_are_asked_when_somebody_waits(void **state) {
    struct client *c = fixture_client(state), *waiter[4];
    struct server *s = ((struct fixture *)*state)->server;
    replication_open_backlog(s);
    struct wire *r = wire_continue(s);
    assert_reply(c, "SET k 1", "+OK");
    for (size_t i = 0; i < COUNT_OF(waiter); i++) {
        waiter[i] = connect_another(state);
        client_queue(waiter[i], "SET k %zu", i);
        client_queue(waiter[i], "WAIT 1 0");
        assert_true(client_flush(waiter[i]));
        assert_next(waiter[i], "+OK");
        (void)read_to_getack(r);
    }
    assert_false(client_has_reply(waiter[0]));
    wire_tell(r, "REPLCONF ACK %lld", (long long)replication_offset(c));
    for (size_t i = 0; i < COUNT_OF(waiter); i++) {
        assert_next(waiter[i], ":1");
        client_close(waiter[i]);
    }
    assert_reply(c, "PUBLISH end x", ":0");
    assert_string_equal(wire_next(r), "PUBLISH end x"); /* nobody asked again */
    wire_close(r);
}

static void an_acknowledgement_of_less_is_not_enough(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    struct server *s = ((struct fixture *)*state)->server;
    replication_open_backlog(s);
    struct wire *r = wire_continue(s);
    assert_reply(waiter, "SET k 1", "+OK");
    long long offset = (long long)replication_offset(c);
    send_and_wait(c, waiter, "WAIT 1 0");
    wire_tell(r, "REPLCONF ACK %lld", offset - 1);
    char field[64];
    snprintf(field, sizeof field, "$\"...offset=%lld,...\"", offset - 1);
    assert_reply_soon(c, "INFO replication", field);
    assert_false(client_has_reply(waiter));
    wire_tell(r, "REPLCONF ACK %lld", offset);
    assert_next(waiter, ":1");
    client_close(waiter);
    wire_close(r);
}

static void waitaof_counts_what_replicas_have_on_disk(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    struct server *s = ((struct fixture *)*state)->server;
    replication_open_backlog(s);
    struct wire *r = wire_continue(s);
    assert_reply(waiter, "SET k 1", "+OK");
    long long offset = (long long)replication_offset(c);
    send_and_wait(c, waiter, "WAITAOF 0 1 0");
    wire_tell(r, "REPLCONF ACK %lld FACK %lld", offset, offset - 1);
    char field[64];
    snprintf(field, sizeof field, "$\"...offset=%lld,...\"", offset);
    assert_reply_soon(c, "INFO replication", field);
    assert_false(client_has_reply(waiter));
    wire_tell(r, "REPLCONF ACK %lld FACK %lld", offset, offset);
    assert_next(waiter, "*[:0, :1]");
    client_close(waiter);
    wire_close(r);
}

static void who_waits_for_the_file_hears_that_it_is_turned_off(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s), *waiter = server_connect(s), *other = server_connect(s);
    assert_reply(waiter, "SET k 1", "+OK");
    send_and_wait(c, waiter, "WAITAOF 1 3 0");
    send_and_wait(c, other, "WAITAOF 0 3 0");
    assert_reply(c, "CONFIG SET appendonly no", "+OK");
    assert_next(waiter, "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
    assert_reply(waiter, "PING", "+PONG");
    assert_false(client_has_reply(other));
    client_close(waiter);
    client_close(other);
    client_close(c);
    server_free(s);
}

/* Its item is forgotten, and a later wait of another client is answered all the same. */
static void who_waits_and_goes_leaves_nothing(void **state) {
    struct client *c = fixture_client(state);
    struct server *s = ((struct fixture *)*state)->server;
    replication_open_backlog(s);
    struct wire *r = wire_continue(s);
    for (int i = 0; i < 20; i++) {
        struct client *gone = connect_another(state);
        send_and_wait(c, gone, "WAIT 2 0");
        client_close(gone);
    }
    struct client *waiter = connect_another(state);
    assert_reply(waiter, "SET k 1", "+OK");
    send_and_wait(c, waiter, "WAIT 1 0");
    wire_tell(r, "REPLCONF ACK %lld", (long long)replication_offset(c));
    assert_next(waiter, ":1");
    client_close(waiter);
    wire_close(r);
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_waited_for),
        cmocka_unit_test(each_of_many_clients_gets_its_answer),
        cmocka_unit_test(a_replica_that_sleeps_is_waited_for),
        cmocka_unit_test(a_replica_waits_for_nobody),
        cmocka_unit_test(who_waits_when_the_role_changes_is_told),
        FIXTURE_TEST(replicas_are_asked_when_somebody_waits),
        FIXTURE_TEST(an_acknowledgement_of_less_is_not_enough),
        FIXTURE_TEST(waitaof_counts_what_replicas_have_on_disk),
        cmocka_unit_test(who_waits_for_the_file_hears_that_it_is_turned_off),
        FIXTURE_TEST(who_waits_and_goes_leaves_nothing),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
