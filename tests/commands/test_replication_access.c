/* test_replication_access.c: what a server's role lets clients do: writes on replicas, old data, too few
 * replicas, redirections, and the connections that are replicas themselves. */
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/wire.h"
#include <stdio.h>

#define READONLY "-READONLY You can't write against a read only replica."
#define MASTERDOWN "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
#define NOREPLICAS "-NOREPLICAS Not enough good replicas to write."
#define IN_SCRIPT " script: d223ed8c7345b684e8ed044ed472601f536fa58b, on @user_script:1."
#define SET_IN_SCRIPT "EVAL \"return redis.call('set','k','v')\" 0"

/* ---- writes on a replica ---- */

/* The same on Redis 7.0. */
static const struct exchange refused_on_a_replica[] = {
    { "SET k v", READONLY },
    { "DEL k", READONLY },
    { "PFADD h x", READONLY },
    { "PFCOUNT h", ":0" },
    { "GETEX k EX 10", READONLY },
    { "SORT k STORE d", READONLY },
    { "BLPOP l 1", READONLY },
    { "FLUSHALL", READONLY },
    { "MULTI", "+OK" },
    { "SET k v", READONLY },
    { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
    { "MULTI", "+OK" },
    { "GET k", "+QUEUED" },
    { "EXEC", "*[$\"1\"]" },
    { SET_IN_SCRIPT, READONLY IN_SCRIPT },
    { "EVAL \"return redis.pcall('set','k','v').err\" 0",
      "$\"READONLY You can't write against a read only replica.\"" },
    { "EVAL \"return redis.call('get','k')\" 0", "$\"1\"" },
    { "EVAL \"return redis.call('publish','c','x')\" 0", ":0" },
    { "EVAL \"#!lua\\nreturn 1\" 0", READONLY },
    { "EVAL \"#!lua flags=no-writes\\nreturn 1\" 0", ":1" },
    { "EVAL_RO \"return redis.call('get','k')\" 0", "$\"1\"" },
    { "FUNCTION LOAD \"#!lua name=x\\nredis.register_function('g', function() return 1 end)\"", READONLY },
    { "FUNCTION FLUSH", READONLY },
    { "FCALL f 0", READONLY },
    { "FCALL f_ro 0", ":1" },
    { "FCALL_RO f_ro 0", ":1" },
    { "SCRIPT LOAD \"return 1\"", "$\"e0e1f9fabfc9d4800c877a703b823ac0578ff8db\"" },
    { "PUBLISH c x", ":0" },
    { "SPUBLISH c x", ":0" },
    { NULL, NULL },
};

static const enum peer kinds[] = { PEER_TRIVET, PEER_REDIS };

static void a_replica_refuses_writes(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct replica_pair p = replica_pair_start(PEER_TRIVET, kinds[i], NULL);
        assert_reply(p.primary, "SET k 1", "+OK");
        assert_reply(p.primary,
                     "FUNCTION LOAD \"#!lua name=lib\\n"
                     "redis.register_function('f', function() return 1 end)\\n"
                     "redis.register_function{function_name='f_ro', flags={'no-writes'}, "
                     "callback=function() return 1 end}\"",
                     "$\"lib\"");
        assert_reply(p.primary, "WAIT 1 0", ":1");
        assert_exchanges(p.replica, refused_on_a_replica);
        replica_pair_close(&p);
    }
}

static void a_transaction_from_before_the_change_of_role_is_refused(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "SET k v", "+QUEUED");
    assert_reply(other, "REPLICAOF 127.0.0.1 1", "+OK");
    assert_reply(c, "EXEC",
                 "-EXECABORT Transaction discarded because of: READONLY You can't write against a read only "
                 "replica.");
    assert_reply(other, "REPLICAOF NO ONE", "+OK");
    assert_reply(c, "GET k", "$-1");
    client_close(other);
}

/* Known only after it was queued. */
static void a_script_that_says_that_it_writes_is_refused_in_a_transaction_too(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    char sha[64], line[128];
    snprintf(sha, sizeof sha, "%s", client_ask(other, "SCRIPT LOAD \"#!lua\\nreturn 1\""));
    assert_reply(other, "SCRIPT FLUSH", "+OK");
    snprintf(line, sizeof line, "EVALSHA %.40s 0", sha + 2); /* $"..." */
    assert_reply(other, "REPLICAOF 127.0.0.1 1", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, line, "+QUEUED");
    assert_reply(other, "SCRIPT LOAD \"#!lua\\nreturn 1\"", "...");
    assert_reply(c, "EXEC", "*[-READONLY Can not run script with write flag on readonly replica.]");
    assert_reply(other, "REPLICAOF NO ONE", "+OK");
    assert_reply(c, line, ":1");
    client_close(other);
}

/* ---- old data ---- */

static const struct exchange with_old_data[] = {
    { "GET k", MASTERDOWN },
    { "SET k v", READONLY },
    { "PING", MASTERDOWN },
    { "INFO nosuch", "$\"\"" },
    { "MULTI", "+OK" },
    { "GET k", MASTERDOWN },
    { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
    { "EVAL \"return 1\" 0", MASTERDOWN },
    { "EVAL \"return redis.call('get','k')\" 0", MASTERDOWN },
    { "EVAL \"#!lua flags=no-writes\\nreturn 1\" 0", MASTERDOWN },
    { "EVAL \"#!lua flags=no-writes,allow-stale\\nreturn 1\" 0", ":1" },
    { "EVAL \"#!lua flags=no-writes,allow-stale\\nreturn redis.call('get','k')\" 0",
      "-ERR Can not execute the command on a stale replica script: ..." },
    { "FOO", "-ERR unknown command 'FOO', with args beginning with: " },
    { "GET", "-ERR wrong number of arguments for 'get' command" },
    { "SYNC", MASTERDOWN },
    { "PSYNC ? -1", MASTERDOWN },
    { "PUBLISH c x", ":0" },
    { "CONFIG SET replica-serve-stale-data yes", "+OK" },
    { "GET k", "$\"1\"" },
    { NULL, NULL },
};

static void old_data_is_not_served_if_that_is_forbidden(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct replica_pair p = replica_pair_start(PEER_TRIVET, kinds[i], NULL);
        assert_reply(p.primary, "SET k 1", "+OK");
        assert_reply(p.primary, "WAIT 1 0", ":1");
        assert_reply(p.replica, "CONFIG SET replica-serve-stale-data no", "+OK");
        assert_reply(p.replica, "GET k", "$\"1\"");
        server_kill(p.primary_server);
        assert_reply_soon(p.replica, "GET k", MASTERDOWN);
        assert_exchanges(p.replica, with_old_data);
        replica_pair_close(&p);
    }
}

/* ---- too few replicas ---- */

static const char *const names_of_setting[] = { "min-replicas-to-write", "min-slaves-to-write" };

static void writes_need_enough_good_replicas(void **state) {
    struct client *c = fixture_client(state);
    struct server *s = ((struct fixture *)*state)->server;
    replication_open_backlog(s);
    for (size_t i = 0; i < COUNT_OF(names_of_setting); i++) {
        char set[64], unset[64];
        snprintf(set, sizeof set, "CONFIG SET %s 1", names_of_setting[i]);
        snprintf(unset, sizeof unset, "CONFIG SET %s 0", names_of_setting[i]);
        const struct exchange none[] = { { set, "+OK" },
                                         { "SET k v", NOREPLICAS },
                                         { SET_IN_SCRIPT, NOREPLICAS IN_SCRIPT },
                                         { "EVAL \"#!lua\\nreturn 1\" 0", NOREPLICAS },
                                         { "GET k", "$-1" },
                                         { "MULTI", "+OK" },
                                         { "SET k v", NOREPLICAS },
                                         { "EXEC", "-EXECABORT..." },
                                         { NULL, NULL } };
        assert_exchanges(c, none);
        assert_int_equal(info_number(c, "replication", "min_slaves_good_slaves"), 0);
        struct wire *r = wire_continue(s);
        assert_reply(c, "SET k v", "+OK");
        assert_int_equal(info_number(c, "replication", "min_slaves_good_slaves"), 1);
        wire_close(r);
        assert_reply_soon(c, "SET k v", NOREPLICAS);
        assert_reply(c, unset, "+OK");
        assert_reply(c, "SET k v", "+OK");
        assert_string_equal(info_field(c, "replication", "min_slaves_good_slaves"), "");
        assert_reply(c, "DEL k", ":1");
    }
}

static void a_replica_that_lags_is_not_good(void **state) {
    struct client *c = fixture_client(state);
    struct server *s = ((struct fixture *)*state)->server;
    replication_open_backlog(s);
    struct wire *r = wire_continue(s);
    assert_reply(c, "CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 1", "+OK");
    assert_reply(c, "SET k v", "+OK");
    assert_reply_soon(c, "SET k v", NOREPLICAS); /* it says nothing for two seconds */
    wire_tell(r, "REPLCONF ACK 1");
    assert_reply_soon(c, "SET k v", "+OK");
    assert_reply_soon(c, "SET k v", NOREPLICAS);
    wire_say(r, "\n"); /* as good as an acknowledgement */
    assert_reply_soon(c, "SET k v", "+OK");
    assert_reply(c, "CONFIG SET min-replicas-to-write 0 min-replicas-max-lag 10", "+OK");
    wire_close(r);
}

/* ---- redirections ---- */

static void a_client_that_can_is_redirected(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    static const char *const expected = "-REDIRECT example.invalid:77";
    assert_reply(c, "SET k 1", "+OK");
    assert_reply(c, "CLIENT CAPA redirect", "+OK");
    assert_reply(c, "GET k", "$\"1\"");
    assert_reply(other, "REPLICAOF example.invalid 77", "+OK");
    const struct exchange rows[] = {
        { "GET k", expected },     { "SET k 2", expected },
        { "PING", "+PONG" },       { SET_IN_SCRIPT, "-READONLY..." },
        { "READONLY", "+OK" },     { "GET k", "$\"1\"" },
        { "SET k 2", expected },   { "MULTI", "+OK" },
        { "SET k 2", expected },   { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
        { "MULTI", "+OK" },        { "GET k", "+QUEUED" },
        { "EXEC", "*[$\"1\"]" },   { "READWRITE", "+OK" },
        { "GET k", expected },     { "READONLY", "+OK" },
        { "RESET", "+RESET" },     { "GET k", "$\"1\"" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_reply(other, "GET k", "$\"1\"");
    assert_reply(other, "REPLICAOF NO ONE", "+OK");
    assert_reply(c, "CLIENT CAPA redirect", "+OK");
    assert_reply(c, "SET k 2", "+OK");
    client_close(other);
}

static void a_queued_transaction_is_redirected_as_a_whole(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    assert_reply(c, "CLIENT CAPA redirect", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "SET k 2", "+QUEUED");
    assert_reply(other, "REPLICAOF example.invalid 77", "+OK");
    assert_reply(c, "EXEC", "-REDIRECT example.invalid:77");
    assert_reply(c, "EXEC", "-ERR EXEC without MULTI");
    assert_reply(other, "REPLICAOF NO ONE", "+OK");
    client_close(other);
}

static void who_waits_for_a_key_is_redirected_when_the_role_changes(void **state) {
    struct client *c = fixture_client(state), *waiter[3];
    for (size_t i = 0; i < COUNT_OF(waiter); i++) waiter[i] = connect_another(state);
    assert_reply(waiter[1], "CLIENT CAPA redirect", "+OK");
    assert_reply(waiter[2], "CLIENT CAPA redirect", "+OK");
    assert_reply(waiter[2], "READONLY", "+OK");
    send_and_wait(c, waiter[0], "BLPOP k 0");
    send_and_wait(c, waiter[1], "BLPOP k 0");
    send_and_wait(c, waiter[2], "XREAD BLOCK 0 STREAMS x 0");
    assert_reply(c, "REPLICAOF example.invalid 77", "+OK");
    assert_next(waiter[0],
                "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
                "replica?)");
    assert_ended(waiter[0]);
    assert_next(waiter[1], "-REDIRECT example.invalid:77");
    assert_reply(waiter[1], "PING", "+PONG");
    assert_reply(c, "REPLICAOF NO ONE", "+OK");
    assert_false(client_has_reply(waiter[2]));
    assert_reply(c, "XADD x 1-1 f v", "$\"1-1\"");
    assert_next(waiter[2], "*[*[$\"x\", *[*[$\"1-1\", *[$\"f\", $\"v\"]]]]]");
    for (size_t i = 0; i < COUNT_OF(waiter); i++) client_close(waiter[i]);
}

/* ---- a replica's own connection ---- */

static const char *const with_a_reply[] = {
    "PING",          "INFO",       "GET k",       "SET k forbidden", "MULTI",       "SUBSCRIBE c",
    "RESET",
    "REPLCONF capa eof", "REPLCONF", "WAIT 1 0",  "NOSUCH",          "REPLICAOF NO ONE", "CLIENT ID", "QUIT",
};

static void a_replica_that_asks_for_a_reply_is_cut_off(void **state) {
    struct client *c = fixture_client(state);
    struct server *s = ((struct fixture *)*state)->server;
    replication_open_backlog(s);
    for (size_t i = 0; i < COUNT_OF(with_a_reply); i++) {
        struct wire *r = wire_continue(s);
        wire_tell(r, "%s", with_a_reply[i]);
        wire_expect_end(r);
        wire_close(r);
    }
    assert_reply(c, "GET k", "$-1");
}

static void what_has_no_reply_leaves_a_replica_alone(void **state) {
    struct client *c = fixture_client(state);
    struct server *s = ((struct fixture *)*state)->server;
    replication_open_backlog(s);
    struct wire *r = wire_continue(s);
    wire_tell(r, "REPLCONF ACK 1");
    wire_tell(r, "REPLCONF GETACK *");
    wire_tell(r, "PSYNC ? -1");
    wire_tell(r, "SYNC");
    wire_say(r, "\n");
    wire_say(r, "\r\n");
    wire_tell(r, "REPLCONF ACK 2");
    assert_reply_soon(c, "INFO replication", "$\"...state=online,offset=2,...\"");
    assert_reply(c, "SET k v", "+OK");
    const char *next = wire_next(r);
    if (next && strcmp(next, "SELECT 0") == 0) next = wire_next(r);
    assert_non_null(next);
    assert_string_equal(next, "SET k v");
    wire_close(r);
}

static void an_acknowledgement_from_a_stranger_is_dropped(void **state) {
    struct client *c = fixture_client(state);
    client_queue_line(c, "REPLCONF ACK 100");
    client_queue_line(c, "REPLCONF GETACK *");
    client_queue_line(c, "PING");
    assert_true(client_flush(c));
    assert_next(c, "+PONG");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_refuses_writes),
        FIXTURE_TEST(a_transaction_from_before_the_change_of_role_is_refused),
        FIXTURE_TEST(a_script_that_says_that_it_writes_is_refused_in_a_transaction_too),
        cmocka_unit_test(old_data_is_not_served_if_that_is_forbidden),
        FIXTURE_TEST(writes_need_enough_good_replicas),
        FIXTURE_TEST(a_replica_that_lags_is_not_good),
        FIXTURE_TEST(a_client_that_can_is_redirected),
        FIXTURE_TEST(a_queued_transaction_is_redirected_as_a_whole),
        FIXTURE_TEST(who_waits_for_a_key_is_redirected_when_the_role_changes),
        FIXTURE_TEST(a_replica_that_asks_for_a_reply_is_cut_off),
        FIXTURE_TEST(what_has_no_reply_leaves_a_replica_alone),
        FIXTURE_TEST(an_acknowledgement_from_a_stranger_is_dropped),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
