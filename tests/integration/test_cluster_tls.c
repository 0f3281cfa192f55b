/* test_cluster_tls.c: clusters whose nodes speak TLS to each other, made by redis-cli: of Trivet alone, and
 * with redis-server among them. And who is not let in: nodes without a certificate, or with one that nobody
 * knows. */
#include "../harness/cluster.h"
#include "../harness/wire.h"
#include "tls_server.h"
#include <poll.h>

#define NODES 6
#define KEYS 60

static struct nodes nodes;
static struct cnode *const node = nodes.at; /* whose clients speak to it over its unix socket */

/* ---- starting ---- */

static void add_node(enum peer kind, const char *cert, const char *key, const char *const *more) {
    const char *args[48] = {
        "--tls-cert-file", cert,  "--tls-key-file",    key,   "--tls-ca-cert-file",     tls_path("ca.crt"),
        "--tls-cluster",   "yes", "--tls-replication", "yes", "--cluster-node-timeout", "3000"
    };
    size_t count = 12;
    while (more && *more) args[count++] = *more++;
    node[nodes.count++] = cnode_launch(kind, &(struct server_plan){ .args = args, .tls = true });
}
#define ADD_NODE(...)                                                     \
    add_node(PEER_TRIVET, tls_path("server.crt"), tls_path("server.key"), \
             (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static int end_all(void **state) {
    (void)state;
    nodes_end(&nodes);
    nodes = (struct nodes){ 0 };
    return 0;
}

/* A client of the cluster's TLS ports goes where it is sent. */
static const char *ask(const char *command) {
    static char reply[512];
    size_t first = 0;
    while (!node[first].client) first++;
    int port = server_tls_port(node[first].server);
    for (int hops = 0; hops < 5; hops++) {
        SSL_CTX *rules = tls_usual_rules();
        struct client *c = client_open_tls(port, rules);
        SSL_CTX_free(rules);
        if (!c) fail_msg("no TLS on port %d: %s", port, tls_failure());
        snprintf(reply, sizeof reply, "%s", client_ask(c, command));
        client_close(c);
        if (strncmp(reply, "-MOVED ", 7) != 0) break;
        port = atoi(strrchr(reply, ':') + 1);
    }
    return reply;
}

static void write_keys(void) {
    char command[64];
    for (int i = 0; i < KEYS; i++) {
        snprintf(command, sizeof command, "SET key:%d value:%d", i, i);
        assert_string_equal(ask(command), "+OK");
    }
}

static void assert_keys(void) {
    char command[64], expected[64];
    for (int i = 0; i < KEYS; i++) {
        snprintf(command, sizeof command, "GET key:%d", i);
        snprintf(expected, sizeof expected, "$\"value:%d\"", i);
        assert_string_equal(ask(command), expected);
    }
}

/* ---- whole clusters ---- */

static void play(const enum peer *kinds) {
    static char options[512];
    int len = snprintf(options, sizeof options, "--tls --cacert %s", tls_path("ca.crt"));
    len += snprintf(options + len, sizeof options - (size_t)len, " --cert %s", tls_path("client.crt"));
    snprintf(options + len, sizeof options - (size_t)len, " --key %s", tls_path("client.key"));
    for (size_t i = 0; i < NODES; i++)
        add_node(kinds[i], tls_path("server.crt"), tls_path("server.key"), NULL);
    nodes.cli_options = options;
    nodes_create(&nodes, 1);
    write_keys();
    nodes_move_slots(&nodes, 0, 1, 200);
    assert_keys();

    size_t heir = nodes_replica_of(&nodes, 0);
    cnode_kill(&node[0]);
    assert_soon(cnode_is_primary(&node[heir]));
    assert_soon(nodes_are_up(&nodes));
    assert_keys();
    cnode_restart(&node[0]);
    assert_soon(cnode_is_linked_replica(&node[0]));
    assert_reply_soon(node[0].client, "CLUSTER FAILOVER", "+OK"); /* when its link to the primary is up */
    assert_soon(cnode_is_primary(&node[0]));
    assert_soon(cnode_is_linked_replica(&node[heir]));
    assert_soon(nodes_are_up(&nodes));
    write_keys();
    assert_keys();
}

static void a_cluster_of_trivet(void **state) {
    (void)state;
    static const enum peer kinds[NODES] = { PEER_TRIVET, PEER_TRIVET, PEER_TRIVET,
                                            PEER_TRIVET, PEER_TRIVET, PEER_TRIVET };
    play(kinds);
}

static void trivet_among_nodes_of_redis(void **state) {
    (void)state;
    static const enum peer kinds[NODES] = { PEER_TRIVET, PEER_REDIS,  PEER_TRIVET,
                                            PEER_REDIS,  PEER_TRIVET, PEER_REDIS };
    play(kinds);
}

/* ---- ports ---- */

/* `from` is told of `to` once the bus has both ports of it. */
static void meet(size_t from, size_t to) {
    char command[128];
    snprintf(command, sizeof command, "CLUSTER MEET 127.0.0.1 %d %d", server_tls_port(node[to].server),
             node[to].bus_port);
    assert_reply(node[from].client, command, "+OK");
}

static void assert_sent_to(struct client *c, int port) {
    char expected[64];
    snprintf(expected, sizeof expected, "-MOVED 12182 127.0.0.1:%d", port);
    assert_reply_soon(c, "GET foo", expected);
}

static void each_client_is_sent_to_a_port_of_its_own_kind(void **state) {
    (void)state;
    char line[128];
    ADD_NODE();
    ADD_NODE();
    assert_reply(node[0].client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    meet(1, 0);
    assert_soon(nodes_are_up(&nodes));
    struct client *plain = server_connect_tcp(node[1].server), *tls = connect_tls(node[1].server);
    assert_sent_to(plain, server_port(node[0].server));
    assert_sent_to(tls, server_tls_port(node[0].server));

    snprintf(line, sizeof line, ":%d@%d myself,master", server_port(node[1].server), node[1].bus_port);
    assert_non_null(strstr(client_ask(plain, "CLUSTER NODES"), line));
    snprintf(line, sizeof line, ":%d@%d myself,master", server_tls_port(node[1].server), node[1].bus_port);
    assert_non_null(strstr(client_ask(tls, "CLUSTER NODES"), line));

    /* A port that changes is told. */
    int port = server_free_port();
    assert_config_set(node[0].client, "+OK", "port %d", port);
    assert_sent_to(plain, port);
    assert_sent_to(tls, server_tls_port(node[0].server));
    client_close(plain);
    client_close(tls);
}

/* With tls-replication no, a replica takes its primary's other port. */
static void replication_may_be_plain(void **state) {
    (void)state;
    char port[16];
    ADD_NODE("--tls-replication", "no");
    ADD_NODE("--tls-replication", "no");
    assert_reply(node[0].client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    meet(1, 0);
    assert_soon(nodes_are_up(&nodes));
    cnode_replicate(&node[1], &node[0]);
    assert_soon(cnode_is_linked_replica(&node[1]));
    snprintf(port, sizeof port, "%d", server_port(node[0].server));
    assert_info(node[1].client, "replication", "master_port", port);

    assert_reply(node[1].client, "CONFIG SET tls-replication yes", "+OK");
    snprintf(port, sizeof port, "%d", server_tls_port(node[0].server));
    assert_info_soon(node[1].client, "replication", "master_port", port);
    assert_soon(cnode_is_linked_replica(&node[1]));
}

/* ---- who is not let in ---- */

#define KNOWS_ONE "cluster_known_nodes:1"
#define KNOWS_TWO "cluster_known_nodes:2"

/* Both ends say what was wrong, and neither knows the other. */
static void a_certificate_of_somebody_else_is_refused(void **state) {
    (void)state;
    ADD_NODE();
    add_node(PEER_TRIVET, tls_path("foreign.crt"), tls_path("foreign.key"), NULL);
    meet(0, 1);
    server_await_log(node[0].server, "certificate verify failed (unable to get local issuer certificate)", 1);
    char line[96];
    snprintf(line, sizeof line, "TLS on the cluster bus to 127.0.0.1:%d failed: ", node[1].bus_port);
    server_await_log(node[0].server, line, 1);
    server_await_log(node[1].server, "TLS on the cluster bus from 127.0.0.1:", 1);
    meet(1, 0); /* it trusts the other one, but is not trusted */
    server_await_log(node[0].server, "TLS on the cluster bus from 127.0.0.1:", 1);
    assert_soon(cnode_says(&node[0], "CLUSTER INFO", KNOWS_ONE) &&
                cnode_says(&node[1], "CLUSTER INFO", KNOWS_ONE));
}

static void the_name_in_a_certificate_is_checked_on_request(void **state) {
    (void)state;
    ADD_NODE("--tls-verify-host", "yes");
    add_node(PEER_TRIVET, tls_path("elsewhere.crt"), tls_path("elsewhere.key"), NULL);
    meet(0, 1);
    server_await_log(node[0].server, "(IP address mismatch)", 1);
    assert_reply(node[0].client, "CONFIG SET tls-verify-host no", "+OK");
    meet(0, 1);
    assert_soon(cnode_says(&node[0], "CLUSTER INFO", KNOWS_TWO) &&
                cnode_says(&node[1], "CLUSTER INFO", KNOWS_TWO));
}

/* Has the bus taken the client in? Then it hears what it says, which is nonsense, and closes the connection
 * in good order. */
static bool is_taken(struct client *c) {
    char byte;
    SSL *ssl = client_ssl(c);
    for (int error = SSL_get_error(ssl, SSL_write(ssl, "nonsense", 8)); error == SSL_ERROR_NONE;) {
        struct pollfd readable = { .fd = SSL_get_fd(ssl), .events = POLLIN };
        assert_int_equal(poll(&readable, 1, AWAIT_PATIENCE_MS), 1);
        error = SSL_get_error(ssl, SSL_read(ssl, &byte, 1));
        if (error == SSL_ERROR_ZERO_RETURN) return true;
        if (error == SSL_ERROR_WANT_READ) error = SSL_ERROR_NONE;
    }
    return false;
}

/* The same for a new client. Frees the rules. */
static bool bus_takes(const struct cnode *m, SSL_CTX *rules) {
    struct client *c = client_open_tls(m->bus_port, rules);
    SSL_CTX_free(rules);
    bool taken = c && is_taken(c);
    client_close(c);
    return taken;
}

static void clients_may_do_without_a_certificate_and_nodes_may_not(void **state) {
    (void)state;
    ADD_NODE("--tls-auth-clients", "no");
    assert_true(is_served(node[0].server, tls_rules("ca", NULL)));
    assert_true(bus_takes(&node[0], tls_usual_rules()));
    assert_false(bus_takes(&node[0], tls_rules("ca", NULL)));
    server_await_log(node[0].server, "peer did not return a certificate", 1);
    assert_false(bus_takes(&node[0], tls_rules("ca", "foreign")));
}

/* Otherwise whoever may be a client were a node. */
static void a_clients_session_does_not_go_on_at_the_bus(void **state) {
    (void)state;
    ADD_NODE("--tls-auth-clients", "no");
    SSL_CTX *rules = tls_rules("ca", NULL);
    struct client *c = client_open_tls(server_tls_port(node[0].server), rules);
    assert_non_null(c);
    assert_reply(c, "PING", "+PONG");
    SSL_SESSION *session = SSL_get1_session(client_ssl(c));
    assert_true(SSL_SESSION_is_resumable(session));
    client_close(c);

    c = client_open_tcp("127.0.0.1", server_tls_port(node[0].server));
    assert_int_equal(client_start_tls(c, rules, session), SSL_ERROR_NONE);
    assert_true(SSL_session_reused(client_ssl(c)));
    assert_reply(c, "PING", "+PONG");
    SSL_SESSION_free(session);
    session = SSL_get1_session(client_ssl(c));
    client_close(c);

    c = client_open_tcp("127.0.0.1", node[0].bus_port);
    if (client_start_tls(c, rules, session) == SSL_ERROR_NONE) {
        assert_false(SSL_session_reused(client_ssl(c)));
        assert_false(is_taken(c));
    }
    server_await_log(node[0].server, "TLS on the cluster bus from 127.0.0.1:", 1);
    client_close(c);
    SSL_SESSION_free(session);
    SSL_CTX_free(rules);
}

static void plain_nodes_and_silent_ones_are_sent_away(void **state) {
    (void)state;
    ADD_NODE("--tls-handshake-timeout", "500");
    struct wire *silent = wire_connect(node[0].bus_port);
    wire_expect_end(silent);
    server_await_log(node[0].server, "failed: the handshake took too long", 1);
    wire_close(silent);
    struct wire *plain = wire_connect(node[0].bus_port);
    wire_send(plain, "RCmb\0\0\x08\xd0\0\1", 10);
    wire_await_end(plain);
    wire_close(plain);
}

static void too_many_handshakes_make_room_for_new_ones(void **state) {
    (void)state;
    struct wire *silent[3];
    ADD_NODE("--tls-max-handshakes", "2", "--tls-handshake-timeout", "600000");
    for (int i = 0; i < 3; i++) silent[i] = wire_connect(node[0].bus_port);
    wire_expect_end(silent[0]);
    assert_true(bus_takes(&node[0], tls_usual_rules())); /* and silent[1] went */
    wire_expect_end(silent[1]);
    for (int i = 0; i < 3; i++) wire_close(silent[i]);
}

/* ---- changes ---- */

/* The common name that the bus shows to a client with these rules. */
static void assert_shows(const struct cnode *m, SSL_CTX *rules, const char *name) {
    char common[64] = "";
    struct client *c = client_open_tls(m->bus_port, rules);
    SSL_CTX_free(rules);
    if (!c) fail_msg("no TLS on the bus: %s", tls_failure());
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(client_ssl(c))), NID_commonName,
                              common, sizeof common);
    assert_string_equal(common, name);
    client_close(c);
}

static void use(size_t i, const char *ca, const char *cert, const char *key) {
    assert_config_set(node[i].client, "+OK", "tls-ca-cert-file %s tls-cert-file %s tls-key-file %s",
                      tls_path(ca), tls_path(cert), tls_path(key));
}

/* New links have the new certificates, and the old ones go on. */
static void certificates_change_while_nodes_talk(void **state) {
    (void)state;
    ADD_NODE();
    ADD_NODE();
    assert_reply(node[0].client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    meet(1, 0);
    assert_soon(nodes_are_up(&nodes) && cnode_says(&node[0], "CLUSTER INFO", KNOWS_TWO));
    assert_shows(&node[0], tls_usual_rules(), "server");
    for (size_t i = 0; i < 2; i++) use(i, "other-ca.crt", "foreign.crt", "foreign.key");
    assert_false(bus_takes(&node[0], tls_rules("other-ca", "client")));
    assert_shows(&node[0], tls_rules("other-ca", "foreign"), "foreign");

    cnode_kill(&node[1]);
    cnode_restart(&node[1]); /* with the files of before, which are of no use now */
    server_await_log(node[1].server, "TLS on the cluster bus to 127.0.0.1:", 1);
    use(1, "other-ca.crt", "foreign.crt", "foreign.key");
    assert_soon(nodes_are_up(&nodes));
}

static void tls_cluster_changes_while_the_server_runs(void **state) {
    (void)state;
    ADD_NODE("--tls-cluster", "no");
    ADD_NODE("--tls-cluster", "no");
    assert_reply(node[0].client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    char command[128];
    for (int i = 0; i < 2; i++) assert_reply(node[i].client, "CONFIG SET tls-cluster yes", "+OK");
    struct wire *plain = wire_connect(node[0].bus_port);
    wire_send(plain, "RCmb\0\0\x08\xd0\0\1", 10);
    wire_await_end(plain);
    wire_close(plain);
    meet(1, 0);
    assert_soon(nodes_are_up(&nodes) && cnode_says(&node[0], "CLUSTER INFO", KNOWS_TWO));

    for (int i = 0; i < 2; i++) assert_reply(node[i].client, "CONFIG SET tls-cluster no", "+OK");
    snprintf(command, sizeof command, ":%d@%d myself,", server_port(node[0].server), node[0].bus_port);
    assert_true(cnode_says(&node[0], "CLUSTER NODES", command));
    assert_soon(nodes_are_up(&nodes));
}

#define TEST(name) cmocka_unit_test_teardown(name, end_all)

static int start(void **state) {
    make_certificates(state);
    tls_make(&(struct tls_wish){ .name = "other-ca" });
    tls_make(&(struct tls_wish){ .name = "foreign", .issuer = "other-ca", .alt_names = "IP:127.0.0.1" });
    tls_make(&(struct tls_wish){ .name = "elsewhere", .issuer = "ca", .alt_names = "DNS:elsewhere.test" });
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_cluster_of_trivet),
        TEST(trivet_among_nodes_of_redis),
        TEST(each_client_is_sent_to_a_port_of_its_own_kind),
        TEST(replication_may_be_plain),
        TEST(a_certificate_of_somebody_else_is_refused),
        TEST(the_name_in_a_certificate_is_checked_on_request),
        TEST(clients_may_do_without_a_certificate_and_nodes_may_not),
        TEST(a_clients_session_does_not_go_on_at_the_bus),
        TEST(plain_nodes_and_silent_ones_are_sent_away),
        TEST(too_many_handshakes_make_room_for_new_ones),
        TEST(certificates_change_while_nodes_talk),
        TEST(tls_cluster_changes_while_the_server_runs),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
