/* test_tls_handshake.c: handshakes that go wrong, and many of them: they cost little and hold nobody up. */
#include "tls_server.h"
#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef TRIVET_SANITIZE
#define SCALE 10
#else
#define SCALE 1
#endif

static void await_files(struct server *s, int count) { assert_soon(server_open_files(s) <= count); }

/* The server's open files when `c` is its only client: the one that asked whether it runs has gone. */
static int files_at_rest(struct server *s, struct client *c) {
    assert_info_soon(c, "clients", "connected_clients", "1");
    return server_open_files(s);
}

static struct client *connect_raw(struct server *s) {
    struct client *c = client_open_tcp("127.0.0.1", server_tls_port(s));
    if (!c) fail_msg("cannot connect: %s", strerror(errno));
    return c;
}

/* ---- broken ones ---- */

/* The bytes with which a client of OpenSSL begins. */
static size_t make_hello(char *out, size_t room) {
    SSL_CTX *rules = tls_usual_rules();
    SSL *ssl = SSL_new(rules);
    BIO *in = BIO_new(BIO_s_mem()), *written = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, written);
    assert_int_equal(SSL_connect(ssl), -1);
    int len = BIO_read(written, out, (int)room);
    assert_in_range(len, 100, room - 1);
    SSL_free(ssl);
    SSL_CTX_free(rules);
    return (size_t)len;
}

static void a_handshake_that_is_cut_off_anywhere_leaves_nothing_behind(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    struct client *c = connect_tls(s);
    char hello[2048];
    size_t len = make_hello(hello, sizeof hello);
    int files = files_at_rest(s, c);
    int64_t memory = 0;
    for (int i = 0; i < 3000 / SCALE; i++) {
        struct client *cut = connect_raw(s);
        client_queue_raw(cut, hello, (size_t)i % (len + 1));
        client_flush(cut);
        if (i % 2 == 0)
            client_close(cut);
        else
            client_abandon(cut);
        if (i == 300 / SCALE) {
            await_files(s, files);
            memory = info_number(c, "memory", "used_memory");
        }
    }
    await_files(s, files);
    /* What OpenSSL keeps does not depend on how many there were. */
    assert_in_range(info_number(c, "memory", "used_memory"), 1, memory + 256 * 1024);
    assert_int_equal(info_number(c, "clients", "connected_clients"), 1);
    assert_reply(c, "PING", "+PONG");
    client_close(c);
    server_free(s);
}

static void garbage_ends_the_connection_that_sent_it(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    struct client *c = connect_tls(s);
    int files = files_at_rest(s, c);
    char hello[2048];
    size_t len = make_hello(hello, sizeof hello);
    srand(1);
    for (int i = 0; i < 1000 / SCALE; i++) {
        char bytes[2048];
        struct client *bad = connect_raw(s);
        memcpy(bytes, hello, len);
        /* The hello with some bytes changed, or noise from its first byte on. */
        for (int change = 0; change < 4; change++) bytes[rand() % (int)len] = (char)rand();
        for (size_t at = 0; i % 2 == 1 && at < len; at++) bytes[at] = (char)rand();
        client_queue_raw(bad, bytes, len);
        client_flush(bad);
        client_close(bad);
    }
    await_files(s, files);
    server_await_log(s, "Error accepting a client connection: error:", 1);
    assert_reply(c, "PING", "+PONG");
    client_close(c);
    server_free(s);
}

/* A record that was tampered with, when the handshake is long over. */
static void garbage_later_on_ends_the_connection_too(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    struct client *c = connect_tls(s), *other = connect_tls(s);
    static const char record[] = "\x17\x03\x03\x00\x20 this was not encrypted by anyone";
    assert_reply(c, "SET k v", "+OK");
    assert_int_equal(send(client_fd(c), record, 37, MSG_NOSIGNAL), 37);
    check_ended(c, __FILE__, __LINE__);
    assert_reply(other, "GET k", "$\"v\"");
    client_close(c);
    client_close(other);
    server_free(s);
}

static void renegotiation_is_refused(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    SSL_CTX *rules = tls_usual_rules();
    SSL_CTX_set_max_proto_version(rules, TLS1_2_VERSION);
    struct client *c = client_open_tls(server_tls_port(s), rules);
    assert_non_null(c);
    assert_reply(c, "PING", "+PONG");
    assert_int_equal(SSL_renegotiate(client_ssl(c)), 1);
    (void)SSL_do_handshake(client_ssl(c)); /* sends the wish */
    check_ended(c, __FILE__, __LINE__);
    client_close(c);
    SSL_CTX_free(rules);
    server_free(s);
}

/* TLS 1.3 has new keys instead; in the middle of a conversation, and answered by the server. */
static void new_keys_are_taken_at_any_time(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    struct client *c = connect_tls(s);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(SSL_key_update(client_ssl(c), SSL_KEY_UPDATE_REQUESTED), 1);
        assert_reply(c, "PING", "+PONG");
    }
    client_close(c);
    server_free(s);
}

/* ---- slow ones ---- */

static void a_handshake_that_does_not_end_is_cut_off(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-handshake-timeout", "200");
    struct client *silent = connect_raw(s), *slow = connect_raw(s);
    char hello[2048];
    size_t len = make_hello(hello, sizeof hello), sent = 0;
    /* One that trickles wins no time by it. */
    while (sent < len && send(client_fd(slow), hello + sent, 1, MSG_NOSIGNAL) == 1) {
        sent++;
        pause_ms(5);
    }
    check_ended(silent, __FILE__, __LINE__);
    check_ended(slow, __FILE__, __LINE__);
    assert_true(sent < len);
    server_await_log(
        s, "Error accepting a client connection: the TLS handshake took too long (addr=127.0.0.1:", 2);
    assert_true(is_served(s, tls_usual_rules()));
    client_close(silent);
    client_close(slow);
    server_free(s);
}

static void handshakes_are_bounded_in_number_and_give_way_in_a_crowd(void **state) {
    (void)state;
    enum { MANY = 12 };
    struct server *s = LAUNCH("--tls-max-handshakes", "5", "--tls-handshake-timeout", "600000");
    struct client *plain = server_connect(s), *silent[MANY];
    int files = files_at_rest(s, plain);
    for (int i = 0; i < MANY; i++) silent[i] = connect_raw(s);
    /* In spite of ten minutes of patience this one gets its turn: each of the crowd has a second. */
    assert_true(is_served(s, tls_usual_rules()));
    assert_in_range(server_open_files(s), files, files + 5 + 1); /* the one that was served may be closing */
    server_await_log(s, "the TLS handshake took too long", 1);
    assert_reply(plain, "PING", "+PONG");
    for (int i = 0; i < MANY; i++) client_close(silent[i]);
    await_files(s, files);
    client_close(plain);
    server_free(s);
}

static void slow_handshakes_hold_up_nobody(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no", "--io-threads", "1");
    struct client *c = connect_tls(s), *silent[100];
    for (size_t i = 0; i < COUNT_OF(silent); i++) {
        silent[i] = connect_raw(s);
        client_send_raw(silent[i], "\x16\x03\x01"); /* the begin of a record */
    }
    for (int i = 0; i < 100; i++) assert_reply(c, "INCR n", "...");
    assert_reply(c, "GET n", "$\"100\"");
    assert_true(is_served(s, tls_usual_rules()));
    for (size_t i = 0; i < COUNT_OF(silent); i++) client_close(silent[i]);
    client_close(c);
    server_stop(s); /* also with handshakes under way */
}

static void a_server_ends_with_handshakes_under_way(void **state) {
    (void)state;
    struct server *s = LAUNCH("--tls-auth-clients", "no");
    struct client *c = connect_tls(s), *silent[20];
    int files = files_at_rest(s, c);
    for (size_t i = 0; i < COUNT_OF(silent); i++) silent[i] = connect_raw(s);
    for (int tries = 0; server_open_files(s) < files + (int)COUNT_OF(silent); tries++) {
        assert_true(tries < 4000);
        pause_ms(5);
    }
    client_close(c);
    server_stop(s);
    for (size_t i = 0; i < COUNT_OF(silent); i++) {
        check_ended(silent[i], __FILE__, __LINE__);
        client_close(silent[i]);
    }
}

static void maxclients_counts_handshakes_too(void **state) {
    (void)state;
    struct server *s = LAUNCH("--maxclients", "3");
    struct client *plain = server_connect(s), *silent[2];
    assert_reply(plain, "PING", "+PONG");
    for (int i = 0; i < 2; i++) silent[i] = connect_raw(s);
    assert_false(is_served(s, tls_usual_rules()));
    for (int i = 0; i < 2; i++) client_close(silent[i]);
    bool served = false;
    for (int tries = 0; !served && tries < 4000; tries++) {
        served = is_served(s, tls_usual_rules());
        pause_ms(5);
    }
    assert_true(served);
    assert_in_range(info_number(plain, "stats", "rejected_connections"), 1, INT32_MAX);
    client_close(plain);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_that_is_cut_off_anywhere_leaves_nothing_behind),
        cmocka_unit_test(garbage_ends_the_connection_that_sent_it),
        cmocka_unit_test(garbage_later_on_ends_the_connection_too),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(new_keys_are_taken_at_any_time),
        cmocka_unit_test(a_handshake_that_does_not_end_is_cut_off),
        cmocka_unit_test(handshakes_are_bounded_in_number_and_give_way_in_a_crowd),
        cmocka_unit_test(slow_handshakes_hold_up_nobody),
        cmocka_unit_test(a_server_ends_with_handshakes_under_way),
        cmocka_unit_test(maxclients_counts_handshakes_too),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
