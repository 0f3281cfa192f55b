/* test_replica_link.c: how a replica reaches its primary: TLS, users and passwords, names and addresses,
 * silence, and where `replicaof` stands. */
#include "../harness/dataset.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/wire.h"
#include "tls_server.h"
#include <stdio.h>

#define COPIER "--user", "copier", "on", ">sesame", "+psync", "+replconf", "+ping"
#define WRONG_PASS "Unable to AUTH to MASTER"

/* ---- passwords ---- */

static void passwords(struct server *primary, const char *user) {
    struct server *replica = TRIVET();
    struct client *p = server_connect(primary), *r = server_connect(replica);
    replication_follow(replica, server_port(primary));
    server_await_log(replica, "NOAUTH", 1);
    assert_string_equal(client_ask(r, "CONFIG SET primaryuser '%s' primaryauth wrong", user), "+OK");
    server_await_log(replica, WRONG_PASS, 1);
    assert_reply(r, "CONFIG SET primaryauth sesame", "+OK");
    assert_reply(p, "AUTH sesame", "+OK");
    replication_await_write(p, r);
    client_close(p);
    client_close(r);
    server_free(replica);
    server_free(primary);
}

static void a_password_is_asked_for(void **state) {
    (void)state;
    passwords(TRIVET("--requirepass", "sesame"), "");
    passwords(REDIS("--requirepass", "sesame"), "");
}

static void a_user_needs_its_password(void **state) {
    (void)state;
    passwords(TRIVET("--requirepass", "sesame", COPIER), "copier");
    passwords(REDIS("--requirepass", "sesame", COPIER), "copier");
}

/* The link that is up stays; the next one needs it. */
static void a_primary_may_ask_for_a_password_later(void **state) {
    (void)state;
    struct server *primary = TRIVET(), *replica = TRIVET();
    struct client *p = server_connect(primary), *r = server_connect(replica);
    replication_sync(primary, replica);
    assert_reply(p, "CONFIG SET requirepass sesame", "+OK");
    replication_await_write(p, r);
    assert_reply(p, "CLIENT KILL TYPE replica", ":1");
    server_await_log(replica, "NOAUTH", 1);
    assert_reply(r, "CONFIG SET primaryauth sesame", "+OK");
    replication_await_write(p, r);
    client_close(p);
    client_close(r);
    server_free(replica);
    server_free(primary);
}

static void a_superfluous_password_stops_the_link(void **state) {
    (void)state;
    struct server *primary = TRIVET(),
                  *replica = TRIVET("--primaryauth", "sesame", "--primaryuser", "nobody");
    struct client *p = server_connect(primary), *r = server_connect(replica);
    replication_follow(replica, server_port(primary));
    server_await_log(replica, WRONG_PASS, 1);
    assert_reply(r, "CONFIG SET primaryauth ''", "+OK");
    replication_await_write(p, r);
    client_close(p);
    client_close(r);
    server_free(replica);
    server_free(primary);
}

/* ---- TLS ---- */

static void the_link_speaks_tls(void **state) {
    (void)state;
    struct server *primary = LAUNCH("--tls-replication", "yes", "--repl-diskless-sync-delay", "0"),
                  *replica = LAUNCH("--tls-replication", "yes");
    struct client *p = server_connect(primary), *r = server_connect(replica);
    dataset_fill(p, 5000);
    replication_follow(replica, server_tls_port(primary));
    replication_await_write(p, r);
    assert_reply(r, "DBSIZE", ":5001");
    dataset_fill(p, 5000);
    replication_await_write(p, r);
    assert_reply(r, "CONFIG SET tls-replication no", "+OK"); /* which the next link heeds */
    assert_reply(p, "CLIENT KILL TYPE replica", ":1");
    server_await_log(replica, "MASTER <-> REPLICA sync: ", 3);
    assert_reply(r, "CONFIG SET tls-replication yes", "+OK");
    replication_await_write(p, r);
    client_close(p);
    client_close(r);
    server_free(replica);
    server_free(primary);
}

/* ---- addresses ---- */

static void names_and_addresses_are_understood(void **state) {
    (void)state;
    static const char *const hosts[] = { "localhost", "127.0.0.1", "::1" };
    struct server *primary = TRIVET("--bind", "127.0.0.1", "-::1"), *replica = TRIVET();
    struct client *p = server_connect(primary), *r = server_connect(replica);
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct client *six = i == 2 ? client_open_tcp("::1", server_port(primary)) : NULL;
        if (i == 2 && !six) {
            print_message("no IPv6 on this machine\n");
            break;
        }
        client_close(six);
        assert_string_equal(client_ask(r, "REPLICAOF %s %d", hosts[i], server_port(primary)), "+OK");
        replication_await_write(p, r);
    }
    assert_reply(r, "REPLICAOF no-such-host.invalid 6379", "+OK");
    server_await_log(replica, "the host cannot be reached", 1);
    assert_reply(r, "REPLICAOF NO ONE", "+OK");
    client_close(p);
    client_close(r);
    server_free(replica);
    server_free(primary);
}

/* ---- silence ---- */

/* A primary that stops answering in each phase: the replica gives up and comes again. */
static void silence_ends_every_phase(void **state) {
    (void)state;
    struct wire_listener *listener = wire_listen();
    struct server *replica = TRIVET("--repl-timeout", "1");
    replication_follow(replica, wire_port(listener));
    static const char *const answers[] = { NULL, "+PONG\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n" };
    static const char *const awaited[] = { "PING", "listening-port", "capa", "version", "PSYNC" };
    for (size_t phase = 0; phase < COUNT_OF(awaited); phase++) {
        struct wire *link = wire_accept(listener);
        for (size_t i = 0; i <= phase; i++) {
            if (answers[i]) wire_say(link, "%s", answers[i]);
            const char *command = wire_next(link);
            assert_non_null(command);
            assert_non_null(strstr(command, awaited[i]));
        }
        wire_expect_end(link);
        wire_close(link);
    }
    static const char *const more[] = { "+FULLRESYNC " WIRE_ID " 7\r\n",
                                        "+FULLRESYNC " WIRE_ID " 7\r\n$100\r\nREDIS" };
    struct text psync = { 0 };
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        struct wire *link = wire_accept_psync(listener, &psync);
        wire_say(link, "%s", more[i]);
        wire_await_end(link);
        wire_close(link);
    }
    struct wire *link = wire_feed(listener, 1000); /* and when the link is up */
    wire_await_end(link);
    server_await_log(replica, "MASTER timeout: no data nor PING received", 1);
    wire_close(link);
    wire_listener_close(listener);
    server_free(replica);
    text_release(&psync);
}

/* ---- where it stands ---- */

static void replicaof_is_kept_in_the_conf_file(void **state) {
    (void)state;
    struct server *primary = TRIVET("--repl-disable-tcp-nodelay", "yes");
    struct server *replica = server_launch(&(struct server_plan){ .conf = "save \"\"\n", .tcp = true });
    struct client *p = server_connect(primary), *r = server_connect(replica);
    char shown[96];
    snprintf(shown, sizeof shown, "*[$\"replicaof\", $\"127.0.0.1 %d\"]", server_port(primary));
    assert_reply(r, "CONFIG GET replicaof", "*[$\"replicaof\", $\"\"]");
    replication_sync(primary, replica);
    assert_reply(r, "CONFIG GET replicaof", shown);
    assert_reply(r, "CONFIG SET replicaof 'a 1'", "-ERR ...immutable...");
    assert_reply(r, "CONFIG REWRITE", "+OK");
    client_close(r);
    server_kill(replica);
    server_restart(replica);
    r = server_connect(replica);
    replication_await_write(p, r);
    assert_reply(r, "CONFIG GET replicaof", shown);
    assert_reply(r, "REPLICAOF NO ONE", "+OK");
    assert_reply(r, "CONFIG REWRITE", "+OK");
    client_close(r);
    server_kill(replica);
    server_restart(replica);
    r = server_connect(replica);
    assert_reply(r, "CONFIG GET replicaof", "*[$\"replicaof\", $\"\"]");
    assert_reply(r, "SET mine v", "+OK");
    client_close(p);
    client_close(r);
    server_free(replica);
    server_free(primary);
}

static void replicaof_is_taken_from_the_command_line(void **state) {
    (void)state;
    struct server *primary = TRIVET();
    char port[16];
    snprintf(port, sizeof port, "%d", server_port(primary));
    struct server *replica = TRIVET("--replicaof", "127.0.0.1", port),
                  *old = TRIVET("--slaveof", "127.0.0.1", port);
    struct client *p = server_connect(primary), *r = server_connect(replica), *o = server_connect(old);
    replication_await_write(p, r);
    replication_await_write(p, o);
    client_close(p);
    client_close(r);
    client_close(o);
    server_free(old);
    server_free(replica);
    server_free(primary);
}

/* ---- the address it comes from ---- */

/* Linux has all of 127.0.0.0/8 on the loopback. */
static void a_link_comes_from_the_address_that_is_named(void **state) {
    (void)state;
    struct server *primary = TRIVET(), *replica = TRIVET("--bind-source-addr", "127.0.0.77");
    struct client *p = server_connect(primary), *r = server_connect(replica);
    replication_follow(replica, server_port(primary));
    replication_await_write(p, r);
    assert_non_null(strstr(info_field(p, "replication", "slave0"), "ip=127.0.0.77,"));
    replication_promote(replica);
    assert_reply(r, "CONFIG SET bind-source-addr 127.0.0.78", "+OK");
    replication_follow(replica, server_port(primary));
    replication_await_write(p, r);
    assert_non_null(strstr(info_field(p, "replication", "slave0"), "ip=127.0.0.78,"));
    client_close(p);
    client_close(r);
    server_free(replica);
    server_free(primary);
}

static void a_link_comes_from_elsewhere_if_that_address_will_not_do(void **state) {
    (void)state;
    static const char *const useless[] = { "192.0.2.1", "::1", "no-address" };
    for (size_t i = 0; i < COUNT_OF(useless); i++) {
        struct server *primary = TRIVET("--bind", "127.0.0.1"),
                      *replica = TRIVET("--bind-source-addr", useless[i]);
        struct client *p = server_connect(primary), *r = server_connect(replica);
        char warning[128];
        replication_follow(replica, server_port(primary));
        replication_await_write(p, r);
        assert_non_null(strstr(info_field(p, "replication", "slave0"), "ip=127.0.0.1,"));
        snprintf(warning, sizeof warning,
                 "Can't connect from %s, so the system chooses an address: ", useless[i]);
        server_await_log(replica, warning, 1);
        client_close(p);
        client_close(r);
        server_free(replica);
        server_free(primary);
    }
}

/* ---- what makes no sense ---- */

/* Nobody has data to give: they go on trying, answer their clients, and can be told better. */
static void replicas_in_a_ring_live_on(void **state) {
    (void)state;
    struct server *a = TRIVET(), *b = TRIVET();
    struct client *to_a = server_connect(a), *to_b = server_connect(b);
    assert_reply(to_a, "SET k v", "+OK");
    replication_follow(a, server_port(a)); /* itself */
    server_await_log(a, "Can't SYNC while not connected with my master", 1);
    assert_reply(to_a, "GET k", "$\"v\"");
    replication_follow(a, server_port(b));
    replication_follow(b, server_port(a));
    server_await_log(b, "Can't SYNC while not connected with my master", 1);
    assert_reply(to_a, "GET k", "$\"v\"");
    assert_reply(to_a, "REPLICAOF NO ONE", "+OK");
    replication_await_write(to_a, to_b);
    assert_reply(to_b, "GET k", "$\"v\"");
    client_close(to_a);
    client_close(to_b);
    server_free(b);
    server_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_is_asked_for),
        cmocka_unit_test(a_user_needs_its_password),
        cmocka_unit_test(a_primary_may_ask_for_a_password_later),
        cmocka_unit_test(a_superfluous_password_stops_the_link),
        cmocka_unit_test_setup(the_link_speaks_tls, make_certificates),
        cmocka_unit_test(names_and_addresses_are_understood),
        cmocka_unit_test(silence_ends_every_phase),
        cmocka_unit_test(replicaof_is_kept_in_the_conf_file),
        cmocka_unit_test(replicaof_is_taken_from_the_command_line),
        cmocka_unit_test(a_link_comes_from_the_address_that_is_named),
        cmocka_unit_test(a_link_comes_from_elsewhere_if_that_address_will_not_do),
        cmocka_unit_test(replicas_in_a_ring_live_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
