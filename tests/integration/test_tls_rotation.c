/* test_tls_rotation.c: certificates change while clients come and go: by CONFIG SET and by changed files. */
#include "tls_server.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#ifdef TRIVET_SANITIZE
#define ROTATIONS 10
#else
#define ROTATIONS 60
#endif

/* Two pairs of one authority: files rotate between them. */
static int make_pairs(void **state) {
    make_certificates(state);
    tls_make(&(struct tls_wish){ .name = "one", .issuer = "ca", .alt_names = "DNS:localhost" });
    tls_make(&(struct tls_wish){ .name = "two", .issuer = "ca", .alt_names = "DNS:localhost" });
    return 0;
}

/* The common name of the certificate that the server shows. */
static const char *shown_name(struct server *s) {
    static char name[64];
    struct client *c = connect_tls(s);
    X509 *cert = SSL_get0_peer_certificate(client_ssl(c));
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
    client_close(c);
    return name;
}

static void config_set_shows_new_certificates_and_drops_nobody(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "yes");
    struct client *c = server_connect(s), *old = connect_tls(s);
    assert_string_equal(shown_name(s), "server");
    assert_config_set(c, "+OK", "tls-cert-file %s tls-key-file %s", tls_path("one.crt"), tls_path("one.key"));
    assert_string_equal(shown_name(s), "one");
    assert_reply(old, "PING", "+PONG");
    /* The same names again read the files again. */
    tls_replace("live.crt", "one.crt");
    tls_replace("live.key", "one.key");
    assert_config_set(c, "+OK", "tls-cert-file %s tls-key-file %s", tls_path("live.crt"),
                      tls_path("live.key"));
    tls_replace("live.crt", "two.crt");
    tls_replace("live.key", "two.key");
    assert_string_equal(shown_name(s), "one");
    assert_config_set(c, "+OK", "tls-cert-file %s", tls_path("live.crt"));
    assert_string_equal(shown_name(s), "two");
    assert_reply(old, "PING", "+PONG");
    client_close(old);
    client_close(c);
    server_free(s);
}

static void a_pair_that_does_not_fit_is_refused_and_changes_nothing(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "yes");
    struct client *c = server_connect(s);
    char expected[256];
    assert_config_set(
        c,
        "-ERR CONFIG SET failed (possibly related to argument 'tls-cert-file') - Unable to update "
        "TLS configuration. Failed to load private key: ...key values mismatch",
        "tls-cert-file %s", tls_path("one.crt"));
    assert_config_set(c, "-ERR CONFIG SET failed (possibly related to argument 'tls-cert-file') - Unable...",
                      "maxmemory 1gb tls-cert-file %s", tls_path("one.crt"));
    assert_reply(c, "CONFIG GET maxmemory", "*[$\"maxmemory\", $\"0\"]");
    snprintf(expected, sizeof expected, "*[$\"tls-cert-file\", $\"%s\"]", tls_path("server.crt"));
    assert_reply(c, "CONFIG GET tls-cert-file", expected);
    assert_string_equal(shown_name(s), "server");
    client_close(c);
    server_free(s);
}

static void the_authority_of_clients_changes_too(void **state) {
    (void)state;
    tls_make(&(struct tls_wish){ .name = "new-ca" });
    tls_make(&(struct tls_wish){ .name = "new-client", .issuer = "new-ca" });
    struct server *s = LAUNCH("--tls-auth-clients", "yes");
    struct client *c = server_connect(s);
    assert_true(is_served(s, tls_rules("ca", "client")));
    assert_false(is_served(s, tls_rules("ca", "new-client")));
    assert_config_set(c, "+OK", "tls-ca-cert-file %s", tls_path("new-ca.crt"));
    assert_false(is_served(s, tls_rules("ca", "client")));
    assert_true(is_served(s, tls_rules("ca", "new-client")));
    client_close(c);
    server_free(s);
}

/* ---- under load ---- */

struct load {
    pthread_t thread;
    struct server *server;
    atomic_bool stop;
    int connections;
    const char *error;
};

/* One that stays, and one after the other that comes and goes. */
static void *come_and_go(void *arg) {
    struct load *load = arg;
    SSL_CTX *rules = tls_usual_rules();
    struct client *stays = client_open_tls(server_tls_port(load->server), rules);
    if (!stays) load->error = "the first connection failed";
    while (!load->error && !atomic_load(&load->stop)) {
        struct client *c = client_open_tls(server_tls_port(load->server), rules);
        if (!c)
            load->error = "a connection failed";
        else if (strcmp(client_ask(c, "PING"), "+PONG") != 0)
            load->error = "a new connection got no answer";
        else if (strcmp(client_ask(stays, "PING"), "+PONG") != 0)
            load->error = "an old connection got no answer";
        client_close(c);
        load->connections++;
    }
    client_close(stays);
    SSL_CTX_free(rules);
    return NULL;
}

static void begin_load(struct load *loads, size_t count, struct server *s) {
    for (size_t i = 0; i < count; i++) {
        loads[i].server = s;
        assert_int_equal(pthread_create(&loads[i].thread, NULL, come_and_go, &loads[i]), 0);
    }
}

static void end_load(struct load *loads, size_t count) {
    for (size_t i = 0; i < count; i++) {
        atomic_store(&loads[i].stop, true);
        pthread_join(loads[i].thread, NULL);
        if (loads[i].error) fail_msg("after %d connections: %s", loads[i].connections, loads[i].error);
        assert_in_range(loads[i].connections, 1, INT32_MAX);
    }
}

static void config_set_under_load_fails_no_connection(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "yes");
    struct client *c = server_connect(s);
    struct load loads[2] = { 0 };
    begin_load(loads, 2, s);
    for (int i = 0; i < ROTATIONS; i++) {
        const char *name = i % 2 ? "one" : "two";
        char cert[32], key[32];
        snprintf(cert, sizeof cert, "%s.crt", name);
        snprintf(key, sizeof key, "%s.key", name);
        assert_config_set(c, "+OK", "tls-cert-file %s tls-key-file %s", tls_path(cert), tls_path(key));
        assert_string_equal(shown_name(s), name);
    }
    end_load(loads, 2);
    client_close(c);
    server_free(s);
}

/* ---- files that change ---- */

static void await_name(struct server *s, const char *name) {
    for (int tries = 0; strcmp(shown_name(s), name) != 0; tries++) {
        if (tries > 2000) fail_msg("it still shows %s", shown_name(s));
        nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    }
}

static void changed_files_are_read_by_themselves_and_fail_no_connection(void **state) {
    (void)state;
    tls_replace("live.crt", "one.crt");
    tls_replace("live.key", "one.key");
    struct server *s = LAUNCH("--tls-cert-file", tls_path("live.crt"), "--tls-key-file", tls_path("live.key"),
                              "--tls-auto-reload-interval", "1");
    struct client *old = connect_tls(s);
    struct load loads[1] = { 0 };
    assert_string_equal(shown_name(s), "one");
    begin_load(loads, 1, s);
    for (int i = 0; i < 3; i++) {
        const char *name = i % 2 ? "one" : "two";
        char cert[32], key[32];
        snprintf(cert, sizeof cert, "%s.crt", name);
        snprintf(key, sizeof key, "%s.key", name);
        tls_replace("live.crt", cert);
        tls_replace("live.key", key);
        await_name(s, name);
    }
    end_load(loads, 1);
    server_await_log(s, "TLS certificates were read again", 3);
    assert_reply(old, "PING", "+PONG");
    client_close(old);
    server_free(s);
}

static void half_a_rotation_is_not_used(void **state) {
    (void)state;
    tls_replace("live.crt", "one.crt");
    tls_replace("live.key", "one.key");
    struct server *s = LAUNCH("--tls-cert-file", tls_path("live.crt"), "--tls-key-file", tls_path("live.key"),
                              "--tls-auto-reload-interval", "1");
    tls_replace("live.crt", "two.crt");
    server_await_log(s, "The changed TLS files are not used, the old certificates stay. Failed to", 1);
    assert_string_equal(shown_name(s), "one");
    tls_replace("live.key", "two.key");
    await_name(s, "two");
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_set_shows_new_certificates_and_drops_nobody),
        cmocka_unit_test(a_pair_that_does_not_fit_is_refused_and_changes_nothing),
        cmocka_unit_test(the_authority_of_clients_changes_too),
        cmocka_unit_test(config_set_under_load_fails_no_connection),
        cmocka_unit_test(changed_files_are_read_by_themselves_and_fail_no_connection),
        cmocka_unit_test(half_a_rotation_is_not_used),
    };
    return cmocka_run_group_tests(tests, make_pairs, NULL);
}
