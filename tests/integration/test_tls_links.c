/* test_tls_links.c: links that go out under TLS: MIGRATE with tls-cluster. */
#include "tls_server.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNREACHABLE "-IOERR error or timeout connecting to the client"
#define WRITING "-IOERR error or timeout writing to target instance"

static struct server *from_server, *to_server;
static struct client *from, *to;

static int start(void **state) {
    make_certificates(state);
    tls_make(&(struct tls_wish){ .name = "link", .issuer = "ca", .cn = "mover", .pass = "sesame" });
    tls_make(&(struct tls_wish){ .name = "elsewhere", .issuer = "ca", .alt_names = "DNS:elsewhere.test" });
    tls_make(&(struct tls_wish){ .name = "other-ca" });
    tls_make(&(struct tls_wish){ .name = "foreign", .issuer = "other-ca", .alt_names = "IP:127.0.0.1" });
    from_server = LAUNCH("--tls-cluster", "yes");
    to_server = LAUNCH("--tls-auth-clients", "yes");
    return 0;
}

static int stop(void **state) {
    (void)state;
    server_free(from_server);
    server_free(to_server);
    return 0;
}

static int open_both(void **state) {
    (void)state;
    from = server_connect(from_server);
    to = server_connect(to_server);
    assert_reply(from, "FLUSHALL", "+OK");
    assert_reply(to, "FLUSHALL", "+OK");
    return 0;
}

static int close_both(void **state) {
    (void)state;
    client_close(from);
    client_close(to);
    return 0;
}

static void assert_migrates(const char *host, int port, const char *rest, const char *expected) {
    char command[256];
    snprintf(command, sizeof command, "MIGRATE %s %d %s", host, port, rest);
    assert_reply(from, command, expected);
}

static void keys_move_under_tls(void **state) {
    (void)state;
    struct words words = { 0 };
    struct text value = { 0 };
    for (int i = 0; i < 300000; i++) text_printf(&value, "%d,", i);
    words_add_str(&words, "SET");
    words_add_str(&words, "big");
    words_add(&words, value.ptr, value.len);
    client_queue_words(from, &words);
    client_flush(from);
    assert_next(from, "+OK");
    assert_reply(from, "RPUSH list a b c", ":3");
    assert_reply(from, "HSET hash f v g w", ":2");
    char digest[64];
    snprintf(digest, sizeof digest, "%s", client_ask(from, "DEBUG DIGEST"));
    assert_migrates("127.0.0.1", server_tls_port(to_server), "\"\" 0 60000 KEYS big list hash none", "+OK");
    assert_reply(from, "DBSIZE", ":0");
    assert_reply(to, "DEBUG DIGEST", digest);
    words_release(&words);
    text_release(&value);
}

static void ten_thousand_keys_move_in_one_go(void **state) {
    (void)state;
    assert_reply(from, "DEBUG POPULATE 10000 key 200", "+OK");
    struct text line = { 0 };
    text_printf(&line, "MIGRATE 127.0.0.1 %d \"\" 0 60000 KEYS", server_tls_port(to_server));
    for (int i = 0; i < 10000; i++) text_printf(&line, " key:%d", i);
    client_queue_line(from, text_str(&line));
    client_flush(from);
    assert_next(from, "+OK");
    assert_reply(from, "DBSIZE", ":0");
    assert_reply(to, "DBSIZE", ":10000");
    text_release(&line);
}

static int64_t connections(void) { return info_number(to, "stats", "total_connections_received"); }

static void link_is_kept(void) {
    int64_t before = connections();
    for (int i = 0; i < 20; i++) {
        assert_reply(from, "SET k v", "+OK");
        assert_migrates("127.0.0.1", server_tls_port(to_server), "k 0 60000 REPLACE", "+OK");
    }
    assert_true(connections() - before <= 1);
}

static void a_link_is_kept_for_the_next_keys(void **state) {
    (void)state;
    link_is_kept();
    assert_reply(from, "SET k other", "+OK");
    assert_migrates("127.0.0.1", server_tls_port(to_server), "k 3 60000", "+OK");
    assert_reply(from, "SET k third", "+OK");
    assert_migrates("127.0.0.1", server_tls_port(to_server), "k 0 60000 REPLACE", "+OK");
    assert_reply(to, "GET k", "$\"third\"");
    assert_reply(to, "SELECT 3", "+OK");
    assert_reply(to, "GET k", "$\"other\"");

    /* A refused database is asked for again. */
    assert_reply(from, "SET k v", "+OK");
    for (int i = 0; i < 2; i++)
        assert_migrates("127.0.0.1", server_tls_port(to_server), "k 99 60000",
                        "-ERR Target instance replied with error: ERR DB index is out of range");
    assert_migrates("127.0.0.1", server_tls_port(to_server), "k 0 60000 REPLACE", "+OK");
}

static void a_kept_link_that_ended_is_noticed_and_an_old_one_closed(void **state) {
    (void)state;
    link_is_kept();
    assert_reply(to, "CLIENT KILL TYPE normal SKIPME yes", ":1");
    link_is_kept();
    assert_info(to, "clients", "connected_clients", "2");
    assert_info_soon(to, "clients", "connected_clients", "1");
}

/* Whoever may not log in gets nothing from a link of somebody who did. */
static void a_kept_link_is_for_one_user(void **state) {
    (void)state;
    assert_reply(to, "ACL SETUSER mover on >sesame ~* +@all", "+OK");
    assert_reply(from, "SET k v", "+OK");
    assert_migrates("127.0.0.1", server_tls_port(to_server), "k 0 60000 AUTH2 mover sesame", "+OK");
    assert_reply(from, "SET k v", "+OK");
    assert_migrates("127.0.0.1", server_tls_port(to_server), "k 0 60000 REPLACE AUTH2 mover wrong",
                    "-ERR Target instance replied with error: WRONGPASS ...");
    assert_reply(to, "ACL SETUSER default -restore", "+OK");
    assert_migrates("127.0.0.1", server_tls_port(to_server), "k 0 60000 REPLACE",
                    "-ERR Target instance replied with error: NOPERM ...");
    assert_migrates("127.0.0.1", server_tls_port(to_server), "k 0 60000 REPLACE AUTH2 mover sesame", "+OK");
    assert_reply(to, "ACL SETUSER default +restore", "+OK");
    assert_reply(to, "ACL DELUSER mover", ":1");
}

static void without_tls_cluster_links_are_plain(void **state) {
    (void)state;
    struct server *plain = server_launch(&(struct server_plan){ .tcp = true });
    assert_reply(from, "SET k v", "+OK");
    assert_migrates("127.0.0.1", server_port(plain), "k 0 1000", UNREACHABLE);
    assert_reply(from, "CONFIG SET tls-cluster no", "+OK");
    assert_migrates("127.0.0.1", server_tls_port(to_server), "k 0 1000", "-IOERR error or timeout ...");
    assert_migrates("127.0.0.1", server_port(plain), "k 0 60000", "+OK");
    assert_reply(from, "CONFIG SET tls-cluster yes", "+OK");
    server_await_log(from_server, "TLS handshake with 127.0.0.1 failed: error:", 1);
    server_free(plain);
}

/* The target's certificate: by another authority; for another host. */
static void the_targets_certificate_is_checked(void **state) {
    (void)state;
    struct server *s =
        LAUNCH("--tls-cert-file", tls_path("foreign.crt"), "--tls-key-file", tls_path("foreign.key"));
    struct client *c = server_connect(s);
    assert_reply(from, "SET k v", "+OK");
    assert_migrates("127.0.0.1", server_tls_port(s), "k 0 60000", UNREACHABLE);
    server_await_log(from_server, "certificate verify failed (unable to get local issuer certificate)", 1);

    assert_config_set(c, "+OK", "tls-cert-file %s tls-key-file %s", tls_path("elsewhere.crt"),
                      tls_path("elsewhere.key"));
    assert_migrates("127.0.0.1", server_tls_port(s), "k 0 60000 COPY", "+OK"); /* its authority does */
    assert_reply(from, "CONFIG SET tls-verify-host yes", "+OK");
    assert_migrates("127.0.0.1", server_tls_port(s), "k 0 60000 REPLACE", UNREACHABLE);
    assert_migrates("localhost", server_tls_port(s), "k 0 60000 REPLACE", UNREACHABLE);
    server_await_log(from_server, "(IP address mismatch)", 1);
    server_await_log(from_server, "(hostname mismatch)", 1);
    assert_migrates("127.0.0.1", server_tls_port(to_server), "k 0 60000 COPY", "+OK");
    assert_migrates("localhost", server_tls_port(to_server), "k 0 60000 REPLACE", "+OK");
    assert_reply(from, "CONFIG SET tls-verify-host no", "+OK");
    client_close(c);
    server_free(s);
}

/* ---- what the target sees ---- */

/* A target of this test's own: shakes hands, says which name and certificate came, and closes. */
struct seen {
    char server_name[64], common_name[64];
};

static int listen_somewhere(int *port) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static struct seen look_at_a_link(const char *host) {
    struct seen seen = { 0 };
    int port, listener = listen_somewhere(&port);
    SSL_CTX *rules = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_file(rules, tls_path("server.crt"), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(rules, tls_path("server.key"), SSL_FILETYPE_PEM);
    SSL_CTX_load_verify_locations(rules, tls_path("ca.crt"), NULL);
    SSL_CTX_set_verify(rules, SSL_VERIFY_PEER, NULL);
    client_send(from, "MIGRATE %s %d k 0 60000", host, port);
    int fd = accept(listener, NULL, NULL);
    SSL *ssl = SSL_new(rules);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_accept(ssl), 1);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(seen.server_name, sizeof seen.server_name, "%s", name ? name : "");
    X509 *cert = SSL_get0_peer_certificate(ssl);
    if (cert)
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, seen.common_name,
                                  sizeof seen.common_name);
    SSL_free(ssl);
    close(fd);
    close(listener);
    SSL_CTX_free(rules);
    assert_next(from, "-IOERR error or timeout ...");
    return seen;
}

static void links_name_the_host_and_show_their_own_certificate(void **state) {
    (void)state;
    assert_reply(from, "SET k v", "+OK");
    struct seen seen = look_at_a_link("localhost");
    assert_string_equal(seen.server_name, "localhost");
    assert_string_equal(seen.common_name, "server"); /* the server's, if there is no other */
    assert_string_equal(look_at_a_link("127.0.0.1").server_name, "");
    assert_config_set(from, "+OK",
                      "tls-client-cert-file %s tls-client-key-file %s tls-client-key-file-pass sesame",
                      tls_path("link.crt"), tls_path("link.key"));
    assert_string_equal(look_at_a_link("localhost").common_name, "mover");
    assert_config_set(
        from,
        "-ERR CONFIG SET failed (possibly related to argument 'tls-client-key-file') - Unable to "
        "update TLS configuration. Failed to load private key: ...",
        "tls-client-key-file %s", tls_path("server.key"));
    assert_config_set(from, "+OK",
                      "tls-client-cert-file \"\" tls-client-key-file \"\" tls-client-key-file-pass \"\"");
    assert_reply(from, "EXISTS k", ":1");
}

static void a_target_that_says_nothing_costs_no_more_than_the_timeout(void **state) {
    (void)state;
    int port, listener = listen_somewhere(&port);
    assert_reply(from, "SET k v", "+OK");
    assert_migrates("127.0.0.1", port, "k 0 200", UNREACHABLE);
    server_await_log(from_server, "TLS handshake with 127.0.0.1 failed: timeout", 1);
    close(listener);
    assert_migrates("127.0.0.1", port, "k 0 200", WRITING);
    assert_reply(from, "EXISTS k", ":1");
}

static void without_a_certificate_links_are_refused_and_tls_cluster_too(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .args = NULL });
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET tls-cluster yes",
                 "-ERR CONFIG SET failed (possibly related to argument 'tls-cluster') - Unable to update TLS "
                 "configuration. No tls-cert-file configured!");
    assert_reply(
        c, "CONFIG SET tls-replication yes",
        "-ERR CONFIG SET failed (possibly related to argument 'tls-replication') - Unable to update TLS "
        "configuration. No tls-cert-file configured!");
    assert_reply(c, "CONFIG GET tls-cluster", "*[$\"tls-cluster\", $\"no\"]");
    client_close(c);
    server_free(s);
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)

int main(void) {
    const struct CMUnitTest tests[] = {
        LINK_TEST(keys_move_under_tls),
        LINK_TEST(ten_thousand_keys_move_in_one_go),
        LINK_TEST(a_link_is_kept_for_the_next_keys),
        LINK_TEST(a_kept_link_that_ended_is_noticed_and_an_old_one_closed),
        LINK_TEST(a_kept_link_is_for_one_user),
        LINK_TEST(without_tls_cluster_links_are_plain),
        LINK_TEST(the_targets_certificate_is_checked),
        LINK_TEST(links_name_the_host_and_show_their_own_certificate),
        LINK_TEST(a_target_that_says_nothing_costs_no_more_than_the_timeout),
        LINK_TEST(without_a_certificate_links_are_refused_and_tls_cluster_too),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
