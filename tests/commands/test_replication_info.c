/* test_replication_info.c: what a primary and a replica tell of each other: INFO, ROLE, HELLO, CLIENT LIST,
 * MEMORY, MONITOR. */
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- INFO replication ---- */

#define OF_A_REPLICA                                                                                      \
    "role master_host master_port master_link_status master_last_io_seconds_ago master_sync_in_progress " \
    "slave_read_repl_offset slave_repl_offset replicas_repl_buffer_size replicas_repl_buffer_peak "
#define SETTINGS "slave_priority slave_read_only replica_announced "
#define HISTORY                                                                                     \
    "replicas_waiting_psync master_failover_state master_replid master_replid2 master_repl_offset " \
    "second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset "      \
    "repl_backlog_histlen "
#define TRANSFER                                                                              \
    "master_sync_total_bytes master_sync_read_bytes master_sync_left_bytes master_sync_perc " \
    "master_sync_last_io_seconds_ago "

/* The names of the fields, in their order. Valid until the next call. */
static const char *fields_of(struct client *c) {
    static struct text names;
    text_release(&names);
    struct node *n = client_ask_node(c, "INFO replication");
    char *rest = NULL;
    for (char *line = strtok_r(n->bytes.ptr, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
        if (line[0] != '#') text_printf(&names, "%.*s ", (int)strcspn(line, ":"), line);
    node_free(n);
    return text_str(&names);
}

static void the_fields_come_in_their_order(void **state) {
    (void)state;
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    assert_string_equal(fields_of(p.primary), "role connected_slaves slave0 " HISTORY);
    assert_string_equal(fields_of(p.replica), OF_A_REPLICA SETTINGS "connected_slaves " HISTORY);
    assert_reply(p.primary, "CONFIG SET min-replicas-to-write 1", "+OK");
    assert_string_equal(fields_of(p.primary), "role connected_slaves min_slaves_good_slaves slave0 " HISTORY);
    server_kill(p.primary_server);
    assert_info_soon(p.replica, "replication", "master_link_status", "down");
    assert_string_equal(fields_of(p.replica),
                        OF_A_REPLICA "master_link_down_since_seconds " SETTINGS "connected_slaves " HISTORY);
    replica_pair_close(&p);
}

/* The two servers agree about everything that concerns both. */
static void both_sides_tell_the_same(void **state) {
    (void)state;
    static const enum peer kinds[][2] = {
        { PEER_TRIVET, PEER_TRIVET }, { PEER_TRIVET, PEER_REDIS }, { PEER_REDIS, PEER_TRIVET } };
    static const char *const no_pings[] = { "--repl-ping-replica-period", "3600", NULL };
    static const char *const same[] = { "master_replid", "master_replid2", "master_repl_offset",
                                        "second_repl_offset" };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct replica_pair p = replica_pair_start(kinds[i][0], kinds[i][1], no_pings);
        /* The first ping comes at once. */
        assert_soon(info_number(p.primary, "server", "uptime_in_seconds") >= 2);
        assert_reply(p.primary, "SET k v", "+OK");
        assert_reply(p.primary, "WAIT 1 0", ":1");
        assert_soon(replication_offset(p.replica) >= replication_offset(p.primary));
        for (size_t f = 0; f < COUNT_OF(same); f++) {
            char text[64];
            snprintf(text, sizeof text, "%s", info_field(p.primary, "replication", same[f]));
            assert_string_equal(info_field(p.replica, "replication", same[f]), text);
        }
        int64_t offset = info_number(p.primary, "replication", "master_repl_offset");
        assert_true(offset > 0);
        assert_int_equal(info_number(p.replica, "replication", "slave_repl_offset"), offset);
        char line[128];
        snprintf(line, sizeof line, "$\"...slave0:ip=127.0.0.1,port=%d,state=online,offset=%lld,lag=...\"",
                 server_port(p.replica_server), (long long)offset);
        assert_reply_soon(p.primary, "INFO replication", line);
        assert_int_equal(info_number(p.primary, "replication", "repl_backlog_active"), 1);
        int64_t first = info_number(p.primary, "replication", "repl_backlog_first_byte_offset");
        assert_int_equal(first + info_number(p.primary, "replication", "repl_backlog_histlen"), offset + 1);
        replica_pair_close(&p);
    }
}

/* The replica is told of 500 keys, each of which its primary takes 10 ms for. */
static void a_transfer_is_followed(void **state) {
    (void)state;
    struct replica_pair p = replica_pair_of(REDIS(), TRIVET());
    assert_reply(p.primary, "CONFIG SET rdb-key-save-delay 10000", "+OK");
    for (int i = 0; i < 500; i++) client_queue(p.primary, "SET k:%d %0900d", i, i);
    assert_true(client_flush(p.primary));
    client_skip(p.primary, 500);
    replication_follow(p.replica_server, server_port(p.primary_server));
    assert_reply_soon(p.replica, "ROLE", "*[$\"slave\", $\"127.0.0.1\", :..., $\"sync\", :-1]");
    assert_reply_soon(
        p.replica, "INFO replication",
        "$\"...master_link_status:down...master_sync_in_progress:1...master_sync_total_bytes:0..."
        "master_sync_perc:0.00...\"");
    assert_string_equal(fields_of(p.replica), OF_A_REPLICA TRANSFER "master_link_down_since_seconds " SETTINGS
                                                                    "connected_slaves " HISTORY);
    assert_int_equal(info_number(p.replica, "replication", "master_link_down_since_seconds"), -1);
    assert_reply(p.primary, "CONFIG SET rdb-key-save-delay 0", "+OK");
    server_kill(p.primary_server);
    replica_pair_close(&p);
}

static void a_replica_that_waits_is_listed_as_such(void **state) {
    struct client *c = fixture_client(state), *r = connect_another(state);
    assert_reply(c, "CONFIG SET repl-diskless-sync-delay 1000", "+OK");
    assert_reply(r, "REPLCONF listening-port 7 ip-address 1.2.3.4 capa eof", "+OK");
    client_send(r, "PSYNC ? -1");
    assert_reply_soon(
        c, "INFO replication",
        "$\"...connected_slaves:1\\r\\nslave0:ip=1.2.3.4,port=7,state=wait_bgsave,offset=0,lag=0,"
        "type=replica\\r\\n...\"");
    assert_reply(c, "ROLE", "*[$\"master\", :..., *[]]");
    assert_int_equal(info_number(c, "clients", "connected_clients"), 1);
    client_close(r);
    assert_reply_soon(c, "INFO replication", "$\"...connected_slaves:0\\r\\nreplicas_waiting_psync...\"");
    assert_reply(c, "CONFIG SET repl-diskless-sync-delay 0", "+OK");
}

/* ---- ROLE, HELLO ---- */

static void each_side_knows_its_role(void **state) {
    (void)state;
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    char role[128];
    snprintf(role, sizeof role, "*[$\"master\", :..., *[*[$\"127.0.0.1\", $\"%d\", $\"...\"]]]",
             server_port(p.replica_server));
    assert_reply(p.primary, "ROLE", role);
    assert_reply(p.primary, "HELLO 2", "*[...$\"role\", $\"master\"...]");
    assert_reply(p.replica, "HELLO 2", "*[...$\"role\", $\"replica\"...]");
    assert_reply(p.replica, "REPLICAOF example.invalid 70", "+OK");
    assert_reply_soon(p.replica, "ROLE", "*[$\"slave\", $\"example.invalid\", :70, $\"connect...\", :-1]");
    assert_reply(p.replica, "REPLICAOF NO ONE", "+OK");
    assert_reply(p.replica, "ROLE", "*[$\"master\", :..., *[]]");
    replica_pair_close(&p);
}

/* ---- connections ---- */

static void both_ends_of_a_link_are_listed(void **state) {
    (void)state;
    static const char *const types[][2] = { { "replica", "primary" }, { "slave", "master" } };
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        char at_primary[64], at_replica[64];
        snprintf(at_primary, sizeof at_primary, "CLIENT LIST TYPE %s", types[i][0]);
        snprintf(at_replica, sizeof at_replica, "CLIENT LIST TYPE %s", types[i][1]);
        assert_reply_soon(p.primary, at_primary, "$\"...flags=S ...cmd=replconf user=default ...\"");
        assert_reply(p.primary, at_replica, "$\"\"");
        assert_reply(p.replica, at_replica, "$\"...flags=M ...user=(superuser) ...\"");
        assert_reply(p.replica, at_primary, "$\"\"");
    }
    assert_reply(p.replica, "CLIENT LIST TYPE normal", "$\"...cmd=client|list ...\"");
    assert_int_equal(info_number(p.primary, "clients", "connected_clients"), 1);
    replica_pair_close(&p);
}

static void the_link_comes_back_when_it_was_killed(void **state) {
    (void)state;
    static const char *const kills[] = { "CLIENT KILL TYPE primary", "CLIENT KILL TYPE master",
                                         "CLIENT KILL TYPE replica", "CLIENT KILL TYPE slave" };
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    for (size_t i = 0; i < COUNT_OF(kills); i++) {
        int64_t partial = info_number(p.primary, "stats", "sync_partial_ok");
        assert_reply(i < 2 ? p.replica : p.primary, kills[i], ":1");
        assert_soon(info_number(p.primary, "stats", "sync_partial_ok") > partial);
        replica_pair_await_link(&p);
        assert_reply(p.primary, "INCR n", ":...");
        assert_reply(p.primary, "WAIT 1 0", ":1");
    }
    assert_reply(p.replica, "GET n", "$\"4\"");
    assert_int_equal(info_number(p.primary, "stats", "sync_full"), 1);
    replica_pair_close(&p);
}

/* ---- memory ---- */

static int64_t omem_of_replica(struct client *c) {
    const char *at = strstr(client_ask(c, "CLIENT LIST TYPE replica"), " omem=");
    assert_non_null(at);
    return strtoll(at + 6, NULL, 10);
}

#define VALUE_BYTES 100000
#define VALUES 200

/* It sleeps, and what it has not taken is more than its socket holds. */
static void what_waits_for_a_slow_replica_is_counted(void **state) {
    (void)state;
    static const char *const small[] = { "--repl-backlog-size", "1mb", NULL };
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, small);
    assert_soon(omem_of_replica(p.primary) == 0); /* a PING may be on its way */
    kill(server_pid(p.replica_server), SIGSTOP);
    for (int i = 0; i < VALUES; i++) client_queue(p.primary, "SET k %0*d", VALUE_BYTES, i);
    assert_true(client_flush(p.primary));
    client_skip(p.primary, VALUES);
    assert_true(omem_of_replica(p.primary) > 4000000);
    int64_t all = info_number(p.primary, "memory", "mem_total_replication_buffers");
    assert_true(all > 4000000);
    assert_in_range(info_number(p.primary, "memory", "mem_replication_backlog"), 900000, 1048576);
    assert_true(info_number(p.primary, "memory", "mem_clients_slaves") > 3000000);
    assert_in_range(info_number(p.primary, "memory", "mem_not_counted_for_evict"), all - 1500000, all);
    assert_reply(p.primary, "MEMORY STATS",
                 "*[...$\"replication.backlog\", :1048576, $\"clients.slaves\", :...]");
    kill(server_pid(p.replica_server), SIGCONT);
    assert_reply(p.primary, "WAIT 1 0", ":1");
    assert_soon(omem_of_replica(p.primary) == 0); /* a PING may be on its way */
    replica_pair_close(&p);
}

/* A speed is that of the last seconds: so the traffic goes on until it is seen. */
static bool has_speed(struct replica_pair *p, struct client *c, const char *field) {
    client_ask(p->primary, "SET k %0*d", VALUE_BYTES, 1);
    return strtod(info_field(c, "stats", field), NULL) > 0;
}

static void traffic_is_counted(void **state) {
    (void)state;
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    int64_t before = info_number(p.primary, "stats", "total_net_repl_output_bytes");
    client_ask(p.primary, "SET k %0*d", VALUE_BYTES, 1);
    assert_reply(p.primary, "WAIT 1 0", ":1");
    assert_true(info_number(p.primary, "stats", "total_net_repl_output_bytes") >= before + VALUE_BYTES);
    assert_true(info_number(p.replica, "stats", "total_net_repl_input_bytes") >= VALUE_BYTES);
    assert_soon(has_speed(&p, p.replica, "instantaneous_input_repl_kbps"));
    assert_soon(has_speed(&p, p.primary, "instantaneous_output_repl_kbps"));
    replica_pair_close(&p);
}

/* ---- what is watched ---- */

static void a_monitor_sees_the_stream_and_not_its_upkeep(void **state) {
    (void)state;
    static const enum peer kinds[] = { PEER_TRIVET, PEER_REDIS };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct replica_pair p = replica_pair_start(PEER_TRIVET, kinds[i], NULL);
        struct client *monitor = server_connect(p.replica_server), *other = server_connect(p.primary_server);
        assert_reply(monitor, "MONITOR", "+OK");
        assert_reply(other, "MONITOR", "+OK");
        assert_reply(p.primary, "SET k v", "+OK");
        assert_reply(p.primary, "WAIT 1 0", ":1");
        assert_next(other, "+... [0 ...] \"SET\" \"k\" \"v\"");
        assert_next(other, "+... [0 ...] \"WAIT\" \"1\" \"0\"");
        assert_next(monitor, "+... [0 ...] \"SELECT\" \"0\"");
        assert_next(monitor, "+... [0 127.0.0.1:...] \"SET\" \"k\" \"v\"");
        assert_reply(p.replica, "ECHO end", "$\"end\"");
        assert_next(monitor, "+... [0 ...] \"ECHO\" \"end\"");
        client_close(monitor);
        client_close(other);
        replica_pair_close(&p);
    }
}

static void the_commands_of_replicas_are_counted(void **state) {
    (void)state;
    struct replica_pair p = replica_pair_start(PEER_TRIVET, PEER_TRIVET, NULL);
    assert_reply(p.primary, "INFO commandstats", "$\"...cmdstat_psync:calls=1,...\"");
    assert_reply(p.primary, "INFO commandstats",
                 "$\"...cmdstat_replconf:calls=...,rejected_calls=0,failed_calls=0...\"");
    replica_pair_close(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fields_come_in_their_order),
        cmocka_unit_test(both_sides_tell_the_same),
        cmocka_unit_test(a_transfer_is_followed),
        FIXTURE_TEST(a_replica_that_waits_is_listed_as_such),
        cmocka_unit_test(each_side_knows_its_role),
        cmocka_unit_test(both_ends_of_a_link_are_listed),
        cmocka_unit_test(the_link_comes_back_when_it_was_killed),
        cmocka_unit_test(what_waits_for_a_slow_replica_is_counted),
        cmocka_unit_test(traffic_is_counted),
        cmocka_unit_test(a_monitor_sees_the_stream_and_not_its_upkeep),
        cmocka_unit_test(the_commands_of_replicas_are_counted),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
