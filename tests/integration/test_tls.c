/* test_tls.c: who may speak TLS with the server, by which rules; and what it tells of itself. */
#include "tls_server.h"
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- who is let in ---- */

static void clients_show_a_certificate_unless_they_need_not(void **state) {
    (void)state;
    static const struct {
        const char *setting;
        bool none, good, foreign, expired;
    } rows[] = { { "yes", false, true, false, false },
                 { "optional", true, true, false, false },
                 { "no", true, true, true, true } };
    tls_make(&(struct tls_wish){ .name = "other-ca" });
    tls_make(&(struct tls_wish){ .name = "foreign", .issuer = "other-ca" });
    tls_make(&(struct tls_wish){ .name = "expired", .issuer = "ca", .begins_in_days = -10, .days = 5 });
    struct server *s = LAUNCH("--tls-auth-clients", "yes");
    struct client *c = server_connect(s);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_config_set(c, "+OK", "tls-auth-clients %s", rows[i].setting);
        assert_int_equal(is_served(s, tls_rules("ca", NULL)), rows[i].none);
        assert_int_equal(is_served(s, tls_rules("ca", "client")), rows[i].good);
        assert_int_equal(is_served(s, tls_rules("ca", "foreign")), rows[i].foreign);
        assert_int_equal(is_served(s, tls_rules("ca", "expired")), rows[i].expired);
    }
    server_await_log(s, "Error accepting a client connection: error:", 5);
    server_await_log(s, "peer did not return a certificate", 1);
    server_await_log(s, "(certificate has expired)", 2);
    server_await_log(s, "(addr=127.0.0.1:", 5);
    client_close(c);
    server_free(s);
}

static void the_server_shows_the_certificate_of_its_authority(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    tls_make(&(struct tls_wish){ .name = "stranger" });
    assert_true(is_served(s, tls_rules("ca", NULL)));
    assert_false(is_served(s, tls_rules("stranger", NULL)));
    assert_non_null(strstr(tls_failure(), "certificate verify failed"));
    server_await_log(s, "unknown ca", 1);
    server_free(s);
}

static void authorities_may_lie_in_a_folder(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "yes");
    struct client *c = server_connect(s);
    X509 *ca = NULL;
    FILE *file = fopen(tls_path("ca.crt"), "r");
    assert_true(file && (ca = PEM_read_X509(file, NULL, NULL, NULL)));
    fclose(file);
    char link[256];
    snprintf(link, sizeof link, "%s/%08lx.0", server_folder(s), X509_subject_name_hash(ca));
    X509_free(ca);
    assert_config_set(c, "+OK", "tls-ca-cert-dir %s tls-ca-cert-file \"\"", server_folder(s));
    assert_false(is_served(s, tls_usual_rules())); /* the folder has none */
    assert_int_equal(symlink(tls_path("ca.crt"), link), 0);
    assert_true(is_served(s, tls_usual_rules()));
    client_close(c);
    server_free(s);
}

static void a_plain_client_gets_no_answer_from_the_tls_port(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    struct client *c = client_open_tcp("127.0.0.1", server_tls_port(s));
    client_send_raw(c, "PING\r\nSET stolen 1\r\n");
    check_ended(c, __FILE__, __LINE__);
    client_close(c);
    server_await_log(s, "Error accepting a client connection: error:", 1);
    c = connect_tls(s);
    assert_reply(c, "EXISTS stolen", ":0");
    client_close(c);
    server_free(s);
}

static void a_key_that_others_can_read_is_warned_about(void **state) {
    (void)state;
    static const char words[] =
        "server.key' holds a private key, and other users of this machine can read it";
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    assert_null(strstr(server_log(s), words));
    assert_int_equal(chmod(tls_path("server.key"), 0644), 0);
    server_stop(s);
    server_restart(s);
    assert_non_null(strstr(server_log(s), words));
    assert_int_equal(chmod(tls_path("server.key"), 0600), 0);
    server_free(s);
}

/* ---- users by certificate ---- */

/* Who is a client that shows this certificate? The caller frees the client. */
static struct client *assert_is(struct server *s, const char *certificate, const char *user) {
    SSL_CTX *rules = tls_rules("ca", certificate);
    struct client *c = client_open_tls(server_tls_port(s), rules);
    SSL_CTX_free(rules);
    assert_non_null(c);
    assert_string_equal(client_ask(c, "ACL WHOAMI"), user);
    return c;
}

static void a_certificate_names_the_user(void **state) {
    (void)state;
    tls_make(&(struct tls_wish){ .name = "named",
                                 .issuer = "ca",
                                 .cn = "bob",
                                 .alt_names = "URI:spiffe://x/none,URI:spiffe://x/carol" });
    struct server *s = LAUNCH("--tls-auth-clients", "optional", "--requirepass", "secret");
    struct client *admin = server_connect(s);
    assert_reply(admin, "AUTH secret", "+OK");
    assert_reply(admin, "ACL SETUSER bob on >never +acl|whoami +auth", "+OK");
    assert_reply(admin, "ACL SETUSER spiffe://x/carol on +acl|whoami", "+OK");
    client_close(assert_is(s, "named", "-NOAUTH Authentication required.")); /* it is off by default */
    assert_config_set(admin, "+OK", "tls-auth-clients-user CN");
    client_close(assert_is(s, "named", "$\"bob\""));
    client_close(assert_is(s, NULL, "-NOAUTH Authentication required."));
    assert_config_set(admin, "+OK", "tls-auth-clients-user URI");
    struct client *c = assert_is(s, "named", "$\"spiffe://x/carol\"");
    assert_reply(c, "AUTH bob never", "+OK"); /* it may be somebody else later */
    assert_reply(c, "ACL WHOAMI", "$\"bob\"");
    client_close(c);
    client_close(admin);
    server_free(s);
}

static const char *said(const struct node *entry, const char *name) {
    return text_str(&node_lookup(entry, name)->bytes);
}

static void a_certificate_of_no_user_is_noted(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "yes", "--tls-auth-clients-user", "CN");
    struct client *c = server_connect(s);
    client_close(assert_is(s, "client", "$\"default\"")); /* there is no alice */
    assert_reply(c, "ACL SETUSER alice off +@all", "+OK");
    client_close(assert_is(s, "client", "$\"default\""));
    struct node *log = client_ask_node(c, "ACL LOG");
    assert_int_equal(log->count, 1);
    assert_int_equal(node_lookup(log->items[0], "count")->number, 2);
    assert_string_equal(said(log->items[0], "reason"), "tls-cert");
    assert_string_equal(said(log->items[0], "username"), "alice");
    node_free(log);
    assert_reply(c, "ACL SETUSER alice on", "+OK");
    client_close(assert_is(s, "client", "$\"alice\""));
    assert_int_equal(info_number(c, "stats", "acl_access_denied_tls_cert"), 2);
    client_close(c);
    server_free(s);
}

/* ---- protocols and ciphers ---- */

static bool speaks(struct server *s, int version, const char *cipher) {
    SSL_CTX *rules = tls_usual_rules();
    SSL_CTX_set_security_level(rules, 0);
    SSL_CTX_set_min_proto_version(rules, version);
    SSL_CTX_set_max_proto_version(rules, version);
    if (cipher && version == TLS1_3_VERSION) assert_true(SSL_CTX_set_ciphersuites(rules, cipher));
    if (cipher && version != TLS1_3_VERSION) assert_true(SSL_CTX_set_cipher_list(rules, cipher));
    return is_served(s, rules);
}

static void only_the_protocols_that_are_named_are_spoken(void **state) {
    (void)state;
    static const struct {
        const char *setting;
        bool old, v12, v13;
    } rows[] = { { "", false, true, true },
                 { "TLSv1.2", false, true, false },
                 { "TLSv1.3", false, false, true },
                 { "tlsv1.2 TLSv1.3", false, true, true } };
    struct server *s = LAUNCH("--tls-auth-clients", "yes");
    struct client *c = server_connect(s);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_config_set(c, "+OK", "tls-protocols \"%s\"", rows[i].setting);
        assert_int_equal(speaks(s, TLS1_1_VERSION, NULL), rows[i].old);
        assert_int_equal(speaks(s, TLS1_2_VERSION, NULL), rows[i].v12);
        assert_int_equal(speaks(s, TLS1_3_VERSION, NULL), rows[i].v13);
    }
    assert_config_set(c,
                      "-ERR CONFIG SET failed (possibly related to argument 'tls-protocols') - Unable to "
                      "update TLS configuration. Invalid tls-protocols...",
                      "tls-protocols SSLv3");
    assert_reply(c, "CONFIG GET tls-protocols", "*[$\"tls-protocols\", $\"tlsv1.2 TLSv1.3\"]");
    client_close(c);
    server_free(s);
}

static void only_the_ciphers_that_are_named_are_used(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384", "--tls-ciphersuites",
                              "TLS_AES_256_GCM_SHA384");
    assert_true(speaks(s, TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"));
    assert_false(speaks(s, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"));
    assert_true(speaks(s, TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"));
    assert_false(speaks(s, TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"));
    server_free(s);
}

/* The client prefers the first, the server the second. */
static void the_servers_order_of_ciphers_wins_if_it_shall(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-protocols", "TLSv1.2", "--tls-ciphers",
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256");
    struct client *c = server_connect(s);
    static const char *const chosen[] = { "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384" };
    for (int prefer = 0; prefer < 2; prefer++) {
        assert_config_set(c, "+OK", "tls-prefer-server-ciphers %s", prefer ? "yes" : "no");
        SSL_CTX *rules = tls_usual_rules();
        SSL_CTX_set_cipher_list(rules, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384");
        struct client *t = client_open_tls(server_tls_port(s), rules);
        assert_non_null(t);
        assert_string_equal(SSL_get_cipher(client_ssl(t)), chosen[prefer]);
        client_close(t);
        SSL_CTX_free(rules);
    }
    client_close(c);
    server_free(s);
}

static void dh_parameters_come_from_a_file(void **state) {
    (void)state;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_DH, NULL);
    EVP_PKEY *params = NULL;
    assert_true(EVP_PKEY_paramgen_init(ctx) > 0 && EVP_PKEY_CTX_set_dh_nid(ctx, NID_ffdhe2048) > 0);
    assert_true(EVP_PKEY_paramgen(ctx, &params) > 0);
    BIO *file = BIO_new_file(tls_path("dh.pem"), "w");
    assert_true(PEM_write_bio_Parameters(file, params));
    BIO_free(file);
    EVP_PKEY_free(params);
    EVP_PKEY_CTX_free(ctx);
    struct server *s = LAUNCH("--tls-dh-params-file", tls_path("dh.pem"));
    struct client *c = server_connect(s);
    assert_true(is_served(s, tls_usual_rules()));
    assert_config_set(
        c,
        "-ERR CONFIG SET failed (possibly related to argument 'tls-dh-params-file') - Unable to "
        "update TLS configuration. Failed to load DH params file: ...",
        "tls-dh-params-file %s", tls_path("ca.crt"));
    client_close(c);
    server_free(s);
}

/* ---- sessions ---- */

/* Does a second connection resume the session of the first? */
static bool resumes(struct server *s, int version) {
    SSL_CTX *rules = tls_usual_rules();
    SSL_CTX_set_min_proto_version(rules, version);
    SSL_CTX_set_max_proto_version(rules, version);
    struct client *first = client_open_tls(server_tls_port(s), rules);
    assert_non_null(first);
    assert_reply(first, "PING", "+PONG"); /* by then TLS 1.3 has sent the session */
    SSL_SESSION *session = SSL_get1_session(client_ssl(first));
    client_close(first);
    struct client *c = client_open_tcp("127.0.0.1", server_tls_port(s));
    assert_int_equal(client_start_tls(c, rules, session), SSL_ERROR_NONE);
    bool resumed = SSL_session_reused(client_ssl(c));
    assert_reply(c, "PING", "+PONG");
    client_close(c);
    SSL_SESSION_free(session);
    SSL_CTX_free(rules);
    return resumed;
}

static void sessions_are_resumed_unless_that_is_off(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-session-cache-size", "10", "--tls-session-cache-timeout", "60");
    struct client *c = server_connect(s);
    assert_true(resumes(s, TLS1_2_VERSION));
    assert_true(resumes(s, TLS1_3_VERSION));
    assert_config_set(c, "+OK", "tls-session-caching no");
    assert_false(resumes(s, TLS1_2_VERSION));
    assert_false(resumes(s, TLS1_3_VERSION));
    client_close(c);
    server_free(s);
}

/* ---- starting ---- */

static void assert_refuses_to_start(const char *const *args, const char *why) {
    struct text log = { 0 };
    assert_int_equal(server_run_to_end(&(struct server_plan){ .tls = true, .args = args }, &log), 1);
    if (!strstr(text_str(&log), why)) fail_msg("no '%s' in:\n%s", why, text_str(&log));
    text_release(&log);
}

static void it_does_not_start_with_certificates_that_cannot_be_used(void **state) {
    (void)state;
    tls_make(&(struct tls_wish){ .name = "late", .issuer = "ca", .begins_in_days = 5 });
    tls_make(&(struct tls_wish){ .name = "stale", .issuer = "ca", .begins_in_days = -9, .days = 3 });
    tls_make(&(struct tls_wish){ .name = "locked", .issuer = "ca", .pass = "sesame" });
    FILE *empty = fopen(tls_path("empty"), "w");
    assert_non_null(empty);
    fclose(empty);
    const struct {
        const char *cert, *key, *ca, *why;
    } rows[] = {
        { "", "", "", "No tls-cert-file configured!" },
        { tls_path("server.crt"), "", "", "No tls-key-file configured!" },
        { tls_path("server.crt"), tls_path("server.key"), "", "Either tls-ca-cert-file or tls-ca-cert-dir" },
        { "/nonexistent", tls_path("server.key"), tls_path("ca.crt"),
          "Failed to load certificate: /nonexistent: error:" },
        { tls_path("empty"), tls_path("server.key"), tls_path("ca.crt"), "Failed to load certificate: " },
        { tls_path("server.crt"), tls_path("empty"), tls_path("ca.crt"), "Failed to load private key: " },
        { tls_path("server.crt"), tls_path("locked.key"), tls_path("ca.crt"),
          "Failed to load private key: " },
        { tls_path("server.crt"), tls_path("client.key"), tls_path("ca.crt"), "key values mismatch" },
        { tls_path("server.crt"), tls_path("server.key"), tls_path("empty"),
          "Failed to configure CA certificate(s) file/directory: " },
        { tls_path("stale.crt"), tls_path("stale.key"), tls_path("ca.crt"), "stale.crt: it has expired" },
        { tls_path("late.crt"), tls_path("late.key"), tls_path("ca.crt"), "late.crt: it is not valid yet" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_refuses_to_start((const char *const[]){ "--tls-cert-file", rows[i].cert, "--tls-key-file",
                                                       rows[i].key, "--tls-ca-cert-file", rows[i].ca, NULL },
                                rows[i].why);
}

static void a_key_may_have_a_passphrase(void **state) {
    (void)state;
    tls_make(&(struct tls_wish){ .name = "locked", .issuer = "ca", .pass = "sesame" });
    struct server *s = LAUNCH("--tls-cert-file", tls_path("locked.crt"), "--tls-key-file",
                              tls_path("locked.key"), "--tls-key-file-pass", "sesame");
    struct client *c = server_connect(s);
    assert_true(is_served(s, tls_usual_rules()));
    assert_config_set(c,
                      "-ERR CONFIG SET failed (possibly related to argument 'tls-key-file-pass') - Unable to "
                      "update TLS configuration. Failed to load private key: ...",
                      "tls-key-file-pass open");
    assert_true(is_served(s, tls_usual_rules()));
    client_close(c);
    server_free(s);
}

/* ---- what it tells ---- */

static void the_tls_port_is_told_like_the_others(void **state) {
    (void)state;
    struct server *s = LAUNCH("--bind", "127.0.0.1");
    struct client *c = connect_tls(s);
    char expected[160];
    snprintf(expected, sizeof expected, "name=tls,bind=127.0.0.1,port=%d", server_tls_port(s));
    assert_string_equal(info_field(c, "server", "listener2"), expected);
    assert_int_equal(info_number(c, "server", "tcp_port"), server_tls_port(s));
    snprintf(expected, sizeof expected, "$\"id=... addr=127.0.0.1:... laddr=127.0.0.1:%d ... flags=N ...",
             server_tls_port(s));
    assert_reply(c, "CLIENT INFO", expected);
    server_await_log(s, "Ready to accept connections tls", 1);
    client_close(c);
    server_free(s);
}

static void the_end_of_certificates_is_told(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    struct client *c = server_connect(s);
    assert_in_range(info_number(c, "tls", "tls_server_cert_expires_in_seconds"), 29 * 86400, 30 * 86400);
    assert_in_range(info_number(c, "tls", "tls_ca_cert_expires_in_seconds"), 29 * 86400, 30 * 86400);
    assert_string_not_equal(info_field(c, "tls", "tls_server_cert_serial"), "none");
    assert_string_equal(info_field(c, "tls", "tls_client_cert_serial"), "none");
    assert_int_equal(info_number(c, "tls", "tls_client_cert_expires_in_seconds"), 0);
    client_close(c);
    server_free(s);
}

static void the_port_can_be_opened_moved_and_closed_while_it_runs(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .tcp = true });
    struct client *c = server_connect(s);
    int port = server_port(s);
    assert_config_set(
        c,
        "-ERR CONFIG SET failed (possibly related to argument 'tls-port') - Unable to update TLS "
        "configuration. No tls-cert-file configured!",
        "tls-port %d", port);
    /* The port that spoke plainly speaks TLS from now on, without closing in between. */
    assert_config_set(c, "+OK", "port 0 tls-port %d tls-cert-file %s tls-key-file %s tls-ca-cert-file %s",
                      port, tls_path("server.crt"), tls_path("server.key"), tls_path("ca.crt"));
    SSL_CTX *rules = tls_usual_rules();
    struct client *t = client_open_tls(port, rules);
    assert_non_null(t);
    assert_reply(t, "PING", "+PONG");
    assert_config_set(
        c,
        "-ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this "
        "port. Check server logs.",
        "port %d", port);
    assert_config_set(c, "+OK", "tls-port 0");
    assert_reply(t, "PING", "+PONG"); /* who is connected stays */
    for (struct client *more; (more = client_open_tcp("127.0.0.1", port));) client_close(more);
    client_close(t);
    SSL_CTX_free(rules);
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_show_a_certificate_unless_they_need_not),
        cmocka_unit_test(the_server_shows_the_certificate_of_its_authority),
        cmocka_unit_test(authorities_may_lie_in_a_folder),
        cmocka_unit_test(a_plain_client_gets_no_answer_from_the_tls_port),
        cmocka_unit_test(a_key_that_others_can_read_is_warned_about),
        cmocka_unit_test(a_certificate_names_the_user),
        cmocka_unit_test(a_certificate_of_no_user_is_noted),
        cmocka_unit_test(only_the_protocols_that_are_named_are_spoken),
        cmocka_unit_test(only_the_ciphers_that_are_named_are_used),
        cmocka_unit_test(the_servers_order_of_ciphers_wins_if_it_shall),
        cmocka_unit_test(dh_parameters_come_from_a_file),
        cmocka_unit_test(sessions_are_resumed_unless_that_is_off),
        cmocka_unit_test(it_does_not_start_with_certificates_that_cannot_be_used),
        cmocka_unit_test(a_key_may_have_a_passphrase),
        cmocka_unit_test(the_tls_port_is_told_like_the_others),
        cmocka_unit_test(the_end_of_certificates_is_told),
        cmocka_unit_test(the_port_can_be_opened_moved_and_closed_while_it_runs),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
