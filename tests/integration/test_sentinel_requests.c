/* test_sentinel_requests.c: what Sentinel sends, sent by hand: each packet as Sentinel builds it and every
 * reply looked at, which Sentinel itself does not do. Those of its version 7.0, and the ones that Valkey 9's
 * adds for coordinated failovers. */
#include "../harness/fixture.h"
#include "files.h"
#include <stdio.h>
#include <stdlib.h>

#define HELLO "127.0.0.1,26379,451d41afb7a0bcadfe7bb498b638aaf36ce9cfb4,0,sessions,127.0.0.1,6381,0"

/* With a conf file that it can write. */
static struct server *start_configured(void) {
    return server_launch(&(struct server_plan){ .conf = "# a conf file\n", .tcp = true });
}

static bool conf_has(struct server *s, const char *line) {
    struct text conf = { 0 };
    file_read(server_path(s, "server.conf"), &conf);
    bool found = strstr(text_str(&conf), line) != NULL;
    text_release(&conf);
    return found;
}

/* Sentinel's transaction in one packet, and the replies before that of EXEC. */
static void send_transaction(struct client *c, const char *slaveof) {
    client_queue(c, "MULTI");
    client_queue_line(c, slaveof);
    client_queue(c, "CONFIG REWRITE");
    client_queue(c, "CLIENT KILL TYPE normal");
    client_queue(c, "CLIENT KILL TYPE pubsub");
    client_queue(c, "EXEC");
    client_flush(c);
    assert_next(c, "+OK");
    for (int i = 0; i < 4; i++) assert_next(c, "+QUEUED");
}

static void publish_hello(struct client *c, const char *expected) {
    assert_reply(c, "PUBLISH __sentinel__:hello " HELLO, expected);
}

/* ---- looking ---- */

static void the_links_begin_as_sentinel_opens_them(void **state) {
    (void)state;
    struct server *s = start_configured();
    struct client *command = server_connect_tcp(s), *pubsub = server_connect_tcp(s);
    client_queue(command, "CLIENT SETNAME sentinel-451d41af-cmd");
    client_queue(command, "PING");
    client_queue(command, "INFO");
    client_flush(command);
    assert_next(command, "+OK");
    assert_next(command, "+PONG");
    struct node *info = client_read(command);
    const char *text = text_str(&info->bytes), *role = strstr(text, "\r\nrole:master\r\n"),
               *run_id = strstr(text, "\r\nrun_id:");
    assert_true(role && run_id);
    assert_int_equal(strcspn(run_id + strlen("\r\nrun_id:"), "\r"), 40);
    node_free(info);
    client_queue(pubsub, "CLIENT SETNAME sentinel-451d41af-pubsub");
    client_queue(pubsub, "SUBSCRIBE __sentinel__:hello");
    client_flush(pubsub);
    assert_next(pubsub, "+OK");
    assert_next(pubsub, "*[$\"subscribe\", $\"__sentinel__:hello\", :1]");
    publish_hello(command, ":1");
    assert_next(pubsub, "*[$\"message\", $\"__sentinel__:hello\", $\"" HELLO "\"]");
    assert_reply(command, "SCRIPT KILL", "-NOTBUSY No scripts in execution right now.");
    client_close(command);
    client_close(pubsub);
    server_free(s);
}

static void run_id_is_another_after_a_restart(void **state) {
    (void)state;
    struct server *s = start_configured();
    struct client *c = server_connect(s);
    char before[64];
    snprintf(before, sizeof before, "%s", info_field(c, "server", "run_id"));
    client_close(c);
    server_stop(s);
    server_restart(s);
    c = server_connect(s);
    assert_string_not_equal(before, info_field(c, "server", "run_id"));
    client_close(c);
    server_free(s);
}

/* `role` must stand before the lines about the primary: they are read only after it. */
static void a_replica_says_what_sentinel_reads(void **state) {
    (void)state;
    struct server *primary = start_configured();
    char conf[200];
    snprintf(conf, sizeof conf, "replicaof localhost %d\nreplica-priority 7\nreplica-announced no\n",
             server_port(primary));
    struct server *replica = server_launch(&(struct server_plan){ .conf = conf, .tcp = true });
    struct client *c = server_connect(replica), *p = server_connect(primary);
    assert_reply_soon(c, "INFO replication", "...\\r\\nmaster_link_status:up\\r\\n...");
    char expected[200];
    snprintf(expected, sizeof expected,
             "...\\r\\nrole:slave\\r\\nmaster_host:localhost\\r\\nmaster_port:%d\\r\\nmaster_link_status:"
             "up\\r\\n..."
             "\\r\\nslave_repl_offset:...\\r\\nslave_priority:7\\r\\n...\\r\\nreplica_announced:0\\r\\n...",
             server_port(primary));
    assert_reply(c, "INFO", expected);
    snprintf(expected, sizeof expected, "...\\r\\nslave0:ip=127.0.0.1,port=%d,state=online,...",
             server_port(replica));
    assert_reply_soon(p, "INFO", expected);
    assert_reply(p, "INFO", "...\\r\\nmaster_failover_state:no-failover\\r\\n...");
    client_close(p);
    server_kill(primary);
    assert_reply_soon(
        c, "INFO",
        "...\\r\\nmaster_link_status:down\\r\\n...\\r\\nmaster_link_down_since_seconds:1\\r\\n...");
    client_close(c);
    server_free(replica);
    server_free(primary);
}

/* A replica takes hellos from Sentinels and gives them to its subscribers, and passes on those of its
 * primary. */
static void hellos_pass_a_read_only_replica(void **state) {
    (void)state;
    struct server *primary = start_configured();
    char conf[64];
    snprintf(conf, sizeof conf, "replicaof 127.0.0.1 %d\n", server_port(primary));
    struct server *replica = server_launch(&(struct server_plan){ .conf = conf, .tcp = true });
    struct client *c = server_connect(replica), *p = server_connect(primary),
                  *subscriber = server_connect(replica);
    assert_reply_soon(c, "INFO replication", "...\\r\\nmaster_link_status:up\\r\\n...");
    assert_reply(subscriber, "SUBSCRIBE __sentinel__:hello",
                 "*[$\"subscribe\", $\"__sentinel__:hello\", :1]");
    publish_hello(c, ":1");
    assert_next(subscriber, "*[$\"message\", $\"__sentinel__:hello\", $\"" HELLO "\"]");
    publish_hello(p, ":0");
    assert_next(subscriber, "*[$\"message\", $\"__sentinel__:hello\", $\"" HELLO "\"]");
    client_close(subscriber);
    client_close(c);
    client_close(p);
    server_free(replica);
    server_free(primary);
}

/* ---- turning ---- */

/* To a replica and back: the transaction's own connection lives on, all others are closed, and the conf file
 * follows. */
static void the_transaction_turns_a_server_and_closes_its_clients(void **state) {
    (void)state;
    struct server *primary = start_configured(), *s = start_configured();
    char slaveof[64], line[64];
    snprintf(slaveof, sizeof slaveof, "SLAVEOF 127.0.0.1 %d", server_port(primary));
    snprintf(line, sizeof line, "\nreplicaof 127.0.0.1 %d\n", server_port(primary));
    struct client *sentinel = server_connect_tcp(s);
    for (int i = 0; i < 2; i++) {
        bool to_replica = i == 0;
        struct client *normal = server_connect(s), *other = server_connect_tcp(s),
                      *pubsub = server_connect(s);
        assert_reply(normal, "PING", "+PONG");
        assert_reply(other, "PING", "+PONG");
        assert_reply(pubsub, "SUBSCRIBE __sentinel__:hello", "*[...");
        send_transaction(sentinel, to_replica ? slaveof : "SLAVEOF NO ONE");
        assert_next(sentinel, "*[+OK, +OK, :2, :1]");
        assert_ended(normal);
        assert_ended(other);
        assert_ended(pubsub);
        assert_reply(sentinel, "INFO",
                     to_replica ? "...\\r\\nrole:slave\\r\\n..." : "...\\r\\nrole:master\\r\\n...");
        assert_int_equal(conf_has(s, line), to_replica);
        client_close(normal);
        client_close(other);
        client_close(pubsub);
    }
    client_close(sentinel);
    server_free(s);
    server_free(primary);
}

/* One that was a replica when it was killed, by Sentinel's word, is one again. */
static void the_role_outlives_a_restart(void **state) {
    (void)state;
    struct server *primary = start_configured(), *s = start_configured();
    char slaveof[64];
    snprintf(slaveof, sizeof slaveof, "SLAVEOF 127.0.0.1 %d", server_port(primary));
    struct client *c = server_connect(s);
    send_transaction(c, slaveof);
    assert_next(c, "*[+OK, +OK, :0, :0]");
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "INFO replication", "...role:slave\\r\\nmaster_host:127.0.0.1\\r\\n...");
    server_await_log(s, ":S ", 1); /* each line of the log says it as well */
    send_transaction(c, "SLAVEOF NO ONE");
    assert_next(c, "*[+OK, +OK, :0, :0]");
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "INFO replication", "...role:master\\r\\n...");
    client_close(c);
    server_free(s);
    server_free(primary);
}

/* What is repeated does nothing more, and a clientless server without a conf file says so in its place only.
 */
static void the_transaction_may_be_repeated_and_need_no_conf_file(void **state) {
    (void)state;
    struct server *primary = start_configured(), *s = server_launch(&(struct server_plan){ .tcp = true });
    char slaveof[64];
    snprintf(slaveof, sizeof slaveof, "SLAVEOF 127.0.0.1 %d", server_port(primary));
    struct client *c = server_connect(s);
    static const char no_file[] = "*[+OK, -ERR The server is running without a config file, :0, :0]";
    send_transaction(c, "SLAVEOF NO ONE");
    assert_next(c, no_file);
    send_transaction(c, slaveof);
    assert_next(c, no_file);
    send_transaction(c, slaveof);
    assert_next(c, "*[+OK Already connected to specified master, "
                   "-ERR The server is running without a config file, :0, :0]");
    client_close(c);
    server_free(s);
    server_free(primary);
}

/* Clients that wait in a command are among those that are closed. */
static void who_waits_is_closed_too(void **state) {
    (void)state;
    struct server *primary = start_configured(), *s = start_configured();
    char slaveof[64];
    snprintf(slaveof, sizeof slaveof, "SLAVEOF 127.0.0.1 %d", server_port(primary));
    struct client *sentinel = server_connect(s), *waiter = server_connect(s), *other = server_connect(s);
    client_send(waiter, "BLPOP list 0");
    client_send(other, "WAIT 1 0");
    assert_reply_soon(sentinel, "INFO clients", "...\\r\\nblocked_clients:2\\r\\n...");
    send_transaction(sentinel, slaveof);
    assert_next(sentinel, "*[+OK, +OK, ...");
    for (int i = 0; i < 2; i++) {
        struct client *c = i ? other : waiter;
        const char *last = client_read_text(c);
        if (strncmp(last, "-UNBLOCKED", 10) == 0) last = client_read_text(c);
        assert_string_equal(last, CONNECTION_CLOSED);
        client_close(c);
    }
    client_close(sentinel);
    server_free(s);
    server_free(primary);
}

/* While writes are paused Sentinel sees a server that is alive, and can turn it. */
static void a_pause_of_writes_lets_sentinel_look_and_turn(void **state) {
    (void)state;
    struct server *primary = start_configured(), *s = start_configured();
    char slaveof[64];
    snprintf(slaveof, sizeof slaveof, "SLAVEOF 127.0.0.1 %d", server_port(primary));
    struct client *c = server_connect(s);
    assert_reply(c, "CLIENT PAUSE 600000 WRITE", "+OK");
    assert_reply(c, "PING", "+PONG");
    assert_reply(c, "INFO", "...\\r\\nrole:master\\r\\n...");
    send_transaction(c, slaveof);
    assert_next(c, "*[+OK, +OK, :0, :0]");
    assert_reply(c, "INFO", "...\\r\\nrole:slave\\r\\n...");
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    client_close(c);
    server_free(s);
    server_free(primary);
}

/* ---- coordinated failovers, as Valkey 9's Sentinel asks for them ---- */

static void run_transaction(struct client *c, const char *const *commands, const char *expected) {
    assert_reply(c, "MULTI", "+OK");
    for (; *commands; commands++) assert_reply(c, *commands, "+QUEUED");
    assert_reply(c, "EXEC", expected);
}

/* After it, to both servers. */
static void settle(struct server *s) {
    static const char *const commands[] = { "CONFIG REWRITE", "CLIENT KILL TYPE normal",
                                            "CLIENT KILL TYPE pubsub", "CLIENT UNPAUSE", NULL };
    struct client *c = server_connect(s);
    run_transaction(c, commands, "*[+OK, :..., :..., +OK]");
    client_close(c);
}

static void a_coordinated_failover_is_asked_for_in_a_transaction(void **state) {
    (void)state;
    struct server *old = start_configured();
    char conf[64], failover[100], line[64];
    snprintf(conf, sizeof conf, "replicaof 127.0.0.1 %d\n", server_port(old));
    struct server *new = server_launch(&(struct server_plan){ .conf = conf, .tcp = true });
    struct client *o = server_connect(old), *n = server_connect(new);
    assert_reply_soon(n, "INFO replication", "...\\r\\nmaster_link_status:up\\r\\n...");
    assert_reply(o, "SET k v", "+OK");
    snprintf(failover, sizeof failover, "FAILOVER TO 127.0.0.1 %d TIMEOUT 30000", server_port(new));
    const char *const commands[] = { "CLIENT PAUSE 30000 WRITE", failover, NULL };
    run_transaction(o, commands, "*[+OK, +OK]");
    assert_reply_soon(n, "INFO replication", "...role:master\\r\\n...");
    assert_reply_soon(o, "INFO replication",
                      "...role:slave\\r\\n...master_failover_state:no-failover\\r\\n...");
    client_close(o);
    client_close(n);
    settle(old);
    settle(new);
    snprintf(line, sizeof line, "\nreplicaof 127.0.0.1 %d\n", server_port(new));
    assert_true(conf_has(old, line));
    assert_false(conf_has(new, "\nreplicaof "));
    n = server_connect(new);
    assert_reply(n, "GET k", "$\"v\"");
    assert_reply(n, "SET k w", "+OK");
    assert_int_equal(client_ask_int(n, "WAIT 1 30000"), 1);
    client_close(n);
    server_free(old);
    server_free(new);
}

static void calling_off_a_failover_that_is_none_hinders_nothing(void **state) {
    (void)state;
    struct server *s = start_configured();
    struct client *c = server_connect(s);
    static const char *const commands[] = { "FAILOVER ABORT", "SLAVEOF NO ONE", "CONFIG REWRITE", NULL };
    run_transaction(c, commands, "*[-ERR No failover in progress., +OK, +OK]");
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_links_begin_as_sentinel_opens_them),
        cmocka_unit_test(run_id_is_another_after_a_restart),
        cmocka_unit_test(a_replica_says_what_sentinel_reads),
        cmocka_unit_test(hellos_pass_a_read_only_replica),
        cmocka_unit_test(the_transaction_turns_a_server_and_closes_its_clients),
        cmocka_unit_test(the_role_outlives_a_restart),
        cmocka_unit_test(the_transaction_may_be_repeated_and_need_no_conf_file),
        cmocka_unit_test(who_waits_is_closed_too),
        cmocka_unit_test(a_pause_of_writes_lets_sentinel_look_and_turn),
        cmocka_unit_test(a_coordinated_failover_is_asked_for_in_a_transaction),
        cmocka_unit_test(calling_off_a_failover_that_is_none_hinders_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
