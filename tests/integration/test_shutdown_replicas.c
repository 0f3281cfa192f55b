/* test_shutdown_replicas.c: the end of a primary whose replicas lag: it waits for them, for a time; it can be
 * hurried and called back; and who asked for it hears how it went. */
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/wire.h"
#include <signal.h>
#include <sys/stat.h>

#define FAILED "-ERR Errors trying to SHUTDOWN. Check logs."
#define WAITS "Waiting for replicas before shutting down."

/* A primary, and a replica by hand that has everything, but does not say so. */
struct scene {
    struct server *server;
    struct client *c, *asker;
    struct wire *replica;
};

static void scene_open(struct scene *s, const char *timeout_s) {
    s->server = TRIVET("--shutdown-timeout", timeout_s);
    s->c = server_connect(s->server);
    s->asker = server_connect(s->server);
    s->replica = wire_join(s->server, 7);
    assert_reply(s->c, "SET k 1", "+OK");
}

static void scene_close(struct scene *s) {
    wire_close(s->replica);
    client_close(s->asker);
    client_close(s->c);
    server_free(s->server);
}

/* The replica has everything. */
static void acknowledge(struct scene *s) {
    wire_tell(s->replica, "REPLCONF ACK %lld", (long long)replication_offset(s->c));
}

/* What everybody who is connected sees of the end. */
static void assert_end(struct scene *s) {
    assert_ended(s->asker);
    assert_ended(s->c);
    server_await_end(s->server);
}

static void nobody_waits_for_replicas_that_have_everything(void **state) {
    (void)state;
    struct server *a = TRIVET(), *b = TRIVET();
    struct client *c = server_connect(a), *r = server_connect(b);
    replication_follow(b, server_port(a));
    replication_await_link(b);
    assert_reply(c, "SET k 1", "+OK");
    client_send(c, "SHUTDOWN");
    assert_ended(c);
    server_await_end(a);
    assert_reply(r, "GET k", "$\"1\"");
    server_await_log(a, "1 of 1 replicas are in sync when shutting down.", 1);
    client_close(c);
    client_close(r);
    server_free(b);
    server_free(a);
}

static void await_one_replica(struct server *a, struct server *b) {
    struct client *c = server_connect(a);
    replication_follow(b, server_port(a));
    replication_await_link(b);
    assert_reply(c, "SET k 0", "+OK");
    client_close(c);
}

/* The replica stands still, and goes on. */
static void a_replica_that_lags_is_waited_for_with(enum peer kind, bool by_signal) {
    struct server *a = TRIVET("--shutdown-timeout", "60");
    struct server *b = peer_start(kind, NULL);
    struct client *c = server_connect(a), *r = server_connect(b);
    await_one_replica(a, b);
    kill(server_pid(b), SIGSTOP);
    assert_reply(c, "SET k 1", "+OK");
    if (by_signal)
        kill(server_pid(a), SIGTERM);
    else
        client_send(c, "SHUTDOWN");
    server_await_log(a, WAITS, 1);
    kill(server_pid(b), SIGCONT);
    assert_ended(c);
    server_await_end(a);
    assert_reply(r, "GET k", "$\"1\"");
    client_close(c);
    client_close(r);
    server_free(b);
    server_free(a);
}

static void a_replica_that_lags_is_waited_for(void **state) {
    (void)state;
    a_replica_that_lags_is_waited_for_with(PEER_TRIVET, false);
    a_replica_that_lags_is_waited_for_with(PEER_TRIVET, true);
    a_replica_that_lags_is_waited_for_with(PEER_REDIS, false);
}

/* A replica's own replicas too, who cannot be asked and acknowledge each second. */
static void a_replica_waits_for_its_replicas(void **state) {
    (void)state;
    struct server *a = TRIVET(), *b = TRIVET(), *below = TRIVET();
    struct client *c = server_connect(a), *middle = server_connect(b), *r = server_connect(below);
    await_one_replica(a, b);
    await_one_replica(a, below);
    replication_follow(below, server_port(b));
    replication_await_link(below);
    kill(server_pid(below), SIGSTOP);
    assert_reply(c, "SET k 1", "+OK");
    assert_reply_soon(middle, "GET k", "$\"1\"");
    client_send(middle, "SHUTDOWN");
    server_await_log(b, WAITS, 1);
    kill(server_pid(below), SIGCONT);
    assert_ended(middle);
    server_await_end(b);
    assert_reply(r, "GET k", "$\"1\"");
    client_close(c);
    client_close(middle);
    client_close(r);
    server_free(below);
    server_free(b);
    server_free(a);
}

static void the_wait_has_an_end(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s, "1");
    client_send(s.asker, "SHUTDOWN");
    server_await_log(s.server, WAITS, 1);
    assert_end(&s);
    server_await_log(s.server, "Lagging replica", 1);
    server_await_log(s.server, "0 of 1 replicas are in sync when shutting down.", 1);
    scene_close(&s);
}

static void without_a_timeout_or_by_now_nobody_waits(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene s;
        scene_open(&s, i == 0 ? "0" : "1000");
        client_send(s.asker, i == 0 ? "SHUTDOWN" : "SHUTDOWN NOW");
        assert_end(&s);
        server_await_log(s.server, "0 of 1 replicas are in sync when shutting down.", 1);
        assert_null(strstr(server_log(s.server), WAITS));
        scene_close(&s);
    }
}

static void meanwhile_writes_are_held_and_reads_are_not(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s, "1000");
    struct client *writer = server_connect(s.server);
    assert_string_equal(info_field(s.c, "server", "shutdown_in_milliseconds"), "");
    send_and_wait(s.c, s.asker, "SHUTDOWN");
    int64_t left_ms = info_number(s.c, "server", "shutdown_in_milliseconds");
    assert_true(left_ms > 900000 && left_ms <= 1000000);
    assert_string_equal(info_field(s.c, "clients", "paused_reason"), "shutdown_in_progress");
    send_and_wait(s.c, writer, "SET k 2");
    assert_reply(s.c, "CLIENT UNPAUSE", "+OK");
    assert_reply(s.c, "GET k", "$\"1\"");
    assert_reply(s.c, "SHUTDOWN ABORT", "+OK");
    assert_next(s.asker, FAILED);
    assert_next(writer, "+OK");
    assert_reply(s.asker, "GET k", "$\"2\"");
    assert_reply(s.c, "SHUTDOWN ABORT", "-ERR No shutdown in progress.");
    assert_string_equal(info_field(s.c, "server", "shutdown_in_milliseconds"), "");
    client_close(writer);
    client_send(s.asker, "SHUTDOWN NOW");
    assert_end(&s);
    scene_close(&s);
}

static void who_asks_again_waits_too(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s, "1000");
    struct client *other = server_connect(s.server);
    send_and_wait(s.c, s.asker, "SHUTDOWN");
    send_and_wait(s.c, other, "SHUTDOWN SAVE");
    kill(server_pid(s.server), SIGTERM);
    server_await_log(s.server, "Received SIGTERM scheduling shutdown", 1);
    assert_reply(s.c, "SHUTDOWN ABORT", "+OK");
    assert_next(s.asker, FAILED);
    assert_next(other, FAILED);
    send_and_wait(s.c, s.asker, "SHUTDOWN");
    send_and_wait(s.c, other, "SHUTDOWN");
    acknowledge(&s);
    assert_ended(other);
    assert_end(&s);
    client_close(other);
    scene_close(&s);
}

static void who_asks_again_by_now_ends_the_wait(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s, "1000");
    struct client *other = server_connect(s.server);
    send_and_wait(s.c, s.asker, "SHUTDOWN");
    client_send(other, "SHUTDOWN NOW");
    assert_ended(other);
    assert_end(&s);
    client_close(other);
    scene_close(&s);
}

static void a_shutdown_by_signal_is_called_back_and_hurried(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s, "1000");
    kill(server_pid(s.server), SIGTERM);
    server_await_log(s.server, WAITS, 1);
    assert_reply(s.c, "SHUTDOWN ABORT", "+OK");
    assert_reply(s.c, "SET k 2", "+OK");
    kill(server_pid(s.server), SIGINT);
    server_await_log(s.server, WAITS, 2);
    kill(server_pid(s.server), SIGINT);
    assert_end(&s);
    scene_close(&s);
}

static void who_goes_away_meanwhile_changes_nothing(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s, "1000");
    send_and_wait(s.c, s.asker, "SHUTDOWN");
    client_abandon(s.asker);
    s.asker = server_connect(s.server);
    assert_info_soon(s.c, "clients", "blocked_clients", "0");
    struct client *other = server_connect(s.server);
    int64_t id = client_ask_int(other, "CLIENT ID");
    send_and_wait(s.c, other, "SHUTDOWN");
    assert_int_equal(client_ask_int(s.c, "CLIENT UNBLOCK %lld", (long long)id), 1);
    assert_next(other, "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    wire_close(s.replica); /* the last replica goes: nobody is left to wait for */
    s.replica = NULL;
    assert_ended(other);
    assert_end(&s);
    client_close(other);
    scene_close(&s);
}

/* The wait is over, and then the data cannot be saved: the server goes on, with writes. */
static void who_waited_hears_that_it_failed(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s, "1000");
    mkdir(server_path(s.server, "data"), 0755);
    client_ask(s.c, "CONFIG SET dir %s", server_path(s.server, "data"));
    rmdir(server_path(s.server, "data"));
    send_and_wait(s.c, s.asker, "SHUTDOWN SAVE");
    acknowledge(&s);
    assert_next(s.asker, FAILED);
    assert_reply(s.c, "SET k 2", "+OK");
    send_and_wait(s.c, s.asker, "SHUTDOWN SAVE FORCE");
    acknowledge(&s);
    assert_end(&s);
    scene_close(&s);
}

static void shutdown_with_failover_is_for_clusters(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s, "1");
    assert_reply(s.c, "SHUTDOWN FAILOVER", "-ERR SHUTDOWN FAILOVER is only supported in cluster mode");
    assert_reply(s.c, "SHUTDOWN SAVE FAILOVER", "-ERR SHUTDOWN FAILOVER is only supported in cluster mode");
    scene_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits_for_replicas_that_have_everything),
        cmocka_unit_test(a_replica_that_lags_is_waited_for),
        cmocka_unit_test(a_replica_waits_for_its_replicas),
        cmocka_unit_test(the_wait_has_an_end),
        cmocka_unit_test(without_a_timeout_or_by_now_nobody_waits),
        cmocka_unit_test(meanwhile_writes_are_held_and_reads_are_not),
        cmocka_unit_test(who_asks_again_waits_too),
        cmocka_unit_test(who_asks_again_by_now_ends_the_wait),
        cmocka_unit_test(a_shutdown_by_signal_is_called_back_and_hurried),
        cmocka_unit_test(who_goes_away_meanwhile_changes_nothing),
        cmocka_unit_test(who_waited_hears_that_it_failed),
        cmocka_unit_test(shutdown_with_failover_is_for_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
