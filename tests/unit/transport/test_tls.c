/* TLS over a pair of sockets whose buffers are small: whatever is written, in whatever pieces, is what is
 * read. */
#include "../../harness/tls.h"
#include "trivet/base/mem.h"
#include "trivet/transport/socket.h"
#include "trivet/transport/tls_contexts.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct tls_settings usual(void) {
    return (struct tls_settings){ .cert_file = tls_path("server.crt"),
                                  .key_file = tls_path("server.key"),
                                  .key_file_pass = "",
                                  .client_cert_file = "",
                                  .client_key_file = "",
                                  .client_key_file_pass = "",
                                  .ca_cert_file = tls_path("ca.crt"),
                                  .ca_cert_dir = "",
                                  .dh_params_file = "",
                                  .protocols = "",
                                  .ciphers = "",
                                  .ciphersuites = "",
                                  .clients = TLS_CLIENTS_YES,
                                  .links = true,
                                  .session_caching = true,
                                  .session_cache_size = 100,
                                  .session_cache_timeout_s = 60 };
}

static void install(const struct tls_settings *s) {
    struct buf error = { 0 };
    struct tls_contexts *c = tls_contexts_build(s, &error);
    if (!c) fail_msg("%.*s", SLICE_ARG(buf_slice(&error)));
    tls_contexts_install_take(c);
}

static int start(void **state) {
    (void)state;
    tls_make_usual();
    return 0;
}

static int stop(void **state) {
    (void)state;
    tls_contexts_release();
    tls_thread_release();
    return 0;
}

struct pair {
    struct socket server, link;
};

/* Both ends, hands shaken. */
static void open_pair(struct pair *p) {
    int fds[2], small = 8192;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < 2; i++) setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    p->server = (struct socket){ fds[0], tls_new_server(fds[0]) };
    p->link = (struct socket){ fds[1], tls_new_client(fds[1], "localhost") };
    assert_non_null(p->server.tls);
    assert_non_null(p->link.tls);
    enum tls_step a = TLS_WANTS_READ, b = TLS_WANTS_READ;
    while (a != TLS_DONE || b != TLS_DONE) {
        if (b != TLS_DONE) b = tls_handshake(p->link.tls);
        if (a != TLS_DONE) a = tls_handshake(p->server.tls);
        assert_true(a != TLS_FAILED && b != TLS_FAILED);
    }
}

static void close_pair(struct pair *p) {
    socket_close(&p->server);
    socket_close(&p->link);
}

/* A stream of numbered bytes: where it is written from, and how far. */
static char byte_at(size_t at) { return (char)(at * 131 + (at >> 10) * 17); }

/* Writes a few vectors of random sizes from `at` on; returns how many bytes went. What did not go is offered
 * again by the next call, cut in other pieces but not shorter. */
static size_t write_randomly(struct socket *to, const char *stream, size_t at, size_t *offered) {
    struct iovec vectors[6];
    size_t sum = 0;
    int count = 0;
    while (count < 6) {
        size_t len = (size_t)rand() % (rand() % 4 ? 300 : 40000);
        if (count == 5 && sum + len < *offered) len = *offered - sum;
        vectors[count++] = (struct iovec){ unconst(stream + at + sum), len };
        sum += len;
    }
    ssize_t n = socket_write_vectors(to, vectors, count);
    if (n < 0) assert_int_equal(errno, EAGAIN);
    size_t sent = n > 0 ? (size_t)n : 0;
    *offered = sum - sent;
    return sent;
}

static void any_pieces_come_out_as_the_same_stream(void **state) {
    (void)state;
    enum { TOTAL = 8 << 20, SPARE = 1 << 20 };
    struct tls_settings s = usual();
    static const char *const protocols[] = { "TLSv1.2", "TLSv1.3" };
    char *stream = mem_alloc(TOTAL + SPARE), room[70000];
    for (size_t i = 0; i < TOTAL + SPARE; i++) stream[i] = byte_at(i);
    for (size_t i = 0; i < COUNT_OF(protocols); i++) {
        struct pair p;
        size_t written = 0, read = 0, offered = 0;
        s.protocols = protocols[i];
        install(&s);
        open_pair(&p);
        srand(7);
        while (read < TOTAL) {
            if (rand() % 3 && written < TOTAL)
                written += write_randomly(&p.server, stream, written, &offered);
            size_t len = 1 + (size_t)rand() % (rand() % 2 ? sizeof room : 100);
            ssize_t got = socket_read(&p.link, room, len);
            if (got < 0) {
                assert_int_equal(errno, EAGAIN);
                continue;
            }
            assert_true(got > 0 && memcmp(room, stream + read, (size_t)got) == 0);
            read += (size_t)got;
            if (written >= TOTAL && read == written) break;
        }
        close_pair(&p);
    }
    mem_free(stream);
}

/* A poll would not tell of what is pending; whoever asks for it gets it without another system call. */
static void what_is_pending_is_told_and_can_be_read(void **state) {
    (void)state;
    struct tls_settings s = usual();
    struct pair p;
    char room[4096];
    install(&s);
    open_pair(&p);
    struct iovec one = { memset(room, 'x', sizeof room), sizeof room };
    for (int i = 0; i < 4; i++) assert_int_equal(socket_write_vectors(&p.server, &one, 1), sizeof room);
    size_t read = 0;
    assert_int_equal(socket_read(&p.link, room, 10), 10);
    for (read = 10; socket_has_pending(&p.link);) {
        ssize_t got = socket_read(&p.link, room, 1000);
        assert_true(got > 0);
        read += (size_t)got;
    }
    assert_int_equal(read, 4 * sizeof room);
    assert_int_equal(socket_read(&p.link, room, 10), -1);
    assert_int_equal(errno, EAGAIN);
    close_pair(&p);
}

static void the_end_and_errors_are_told_behind_the_last_bytes(void **state) {
    (void)state;
    struct tls_settings s = usual();
    struct pair p;
    char room[100];
    struct iovec bye = { unconst("bye"), 3 };
    install(&s);
    open_pair(&p);
    assert_int_equal(socket_write_vectors(&p.server, &bye, 1), 3);
    socket_close(&p.server);
    assert_int_equal(socket_read(&p.link, room, sizeof room), 3);
    assert_int_equal(socket_read(&p.link, room, sizeof room), 0);
    socket_close(&p.link);

    open_pair(&p);
    assert_int_equal(socket_write_vectors(&p.server, &bye, 1), 3);
    assert_int_equal(send(p.server.fd, "no record of TLS", 16, MSG_NOSIGNAL), 16);
    assert_int_equal(socket_read(&p.link, room, sizeof room), 3);
    for (int i = 0; i < 2; i++) { /* and again */
        assert_int_equal(socket_read(&p.link, room, sizeof room), -1);
        assert_int_equal(errno, EPROTO);
        assert_non_null(strstr(socket_error(&p.link), "wrong version number"));
    }
    assert_int_equal(socket_write_vectors(&p.link, &bye, 1), -1);
    assert_int_equal(errno, EPROTO);
    close_pair(&p);
}

/* ---- contexts ---- */

static void stale_contexts_do_not_replace_newer_ones(void **state) {
    (void)state;
    struct tls_settings s = usual();
    struct buf error = { 0 };
    install(&s);
    uint64_t before = tls_contexts_generation();
    struct tls_contexts *slow = tls_contexts_build(&s, &error);
    install(&s);
    assert_false(tls_contexts_renew_take(slow, before));
    assert_true(tls_contexts_renew_take(tls_contexts_build(&s, &error), tls_contexts_generation()));
}

static void changed_files_look_different(void **state) {
    (void)state;
    struct tls_settings s = usual();
    tls_replace("live.crt", "server.crt");
    s.cert_file = tls_path("live.crt");
    uint64_t before = tls_files_look(&s);
    assert_int_equal(before, tls_files_look(&s));
    install(&s);
    assert_int_equal(tls_files_used(), before);
    tls_replace("live.crt", "server.crt");
    assert_int_not_equal(before, tls_files_look(&s));
    unlink(tls_path("live.crt"));
    assert_int_not_equal(before, tls_files_look(&s));
}

static bool take_name(void *arg, struct slice name) {
    struct buf *names = arg;
    buf_printf(names, "%.*s ", SLICE_ARG(name));
    return false;
}

static void names_of_a_certificate_are_read(void **state) {
    (void)state;
    struct tls_settings s = usual();
    struct pair p;
    struct buf names = { 0 };
    tls_make(&(struct tls_wish){ .name = "named",
                                 .issuer = "ca",
                                 .cn = "bob",
                                 .alt_names = "URI:spiffe://a,DNS:x.test,URI:spiffe://b" });
    s.client_cert_file = tls_path("named.crt");
    s.client_key_file = tls_path("named.key");
    install(&s);
    open_pair(&p);
    assert_false(tls_peer_names(p.server.tls, TLS_NAME_CN, take_name, &names));
    assert_false(tls_peer_names(p.server.tls, TLS_NAME_URI, take_name, &names));
    assert_string_equal(buf_cstr(&names), "bob spiffe://a spiffe://b ");
    buf_release(&names);
    close_pair(&p);
}

static void certificates_tell_their_number_and_their_end(void **state) {
    (void)state;
    struct tls_settings s = usual();
    struct tls_certificates found;
    tls_contexts_release();
    tls_certificates_describe(&found);
    assert_string_equal(found.server.serial, "none");
    assert_int_equal(found.server.expires_s, 0);
    install(&s);
    tls_certificates_describe(&found);
    assert_string_not_equal(found.server.serial, "none");
    assert_string_not_equal(found.server.serial, found.ca.serial);
    assert_string_equal(found.client.serial, "none");
    int64_t days = (found.server.expires_s - time(NULL)) / 86400;
    assert_in_range(days, 29, 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_pieces_come_out_as_the_same_stream),
        cmocka_unit_test(what_is_pending_is_told_and_can_be_read),
        cmocka_unit_test(the_end_and_errors_are_told_behind_the_last_bytes),
        cmocka_unit_test(stale_contexts_do_not_replace_newer_ones),
        cmocka_unit_test(changed_files_look_different),
        cmocka_unit_test(names_of_a_certificate_are_read),
        cmocka_unit_test(certificates_tell_their_number_and_their_end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
