/* The calls on sockets report and do not kill, and both ends have names. */
#include "trivet/base/compiler.h"
#include "trivet/transport/socket.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int pair_setup(void **state) {
    static int fds[2];
    *state = fds;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);
}

static int pair_teardown(void **state) {
    const int *fds = *state;
    if (fds[0] >= 0) close(fds[0]);
    close(fds[1]);
    return 0;
}

static void what_is_written_in_pieces_is_read_in_pieces(void **state) {
    const int *fds = *state;
    char one[] = "abc", two[] = "defgh", head[2], rest[100];
    struct iovec from[2] = { { one, 3 }, { two, 5 } }, to[2] = { { head, 2 }, { rest, sizeof rest } };
    assert_int_equal(socket_write_vectors(&(struct socket){ .fd = fds[0] }, from, 2), 8);
    assert_int_equal(socket_write_vectors(&(struct socket){ .fd = fds[0] }, from, 1), 3);
    assert_int_equal(socket_read_vectors(&(struct socket){ .fd = fds[1] }, to, 2), 11);
    assert_memory_equal(head, "ab", 2);
    assert_memory_equal(rest, "cdefghabc", 9);
}

static void an_empty_and_a_full_socket_say_try_again(void **state) {
    const int *fds = *state;
    char block[65536] = { 0 };
    struct iovec v = { block, sizeof block };
    assert_int_equal(socket_read(&(struct socket){ .fd = fds[1] }, block, sizeof block), -1);
    assert_int_equal(errno, EAGAIN);
    while (socket_write_vectors(&(struct socket){ .fd = fds[0] }, &v, 1) > 0) continue;
    assert_int_equal(errno, EAGAIN);
}

/* SIGPIPE would end this program. */
static void writing_to_nobody_is_an_error_and_no_signal(void **state) {
    int *fds = *state;
    char byte = 'x';
    struct iovec v[2] = { { &byte, 1 }, { &byte, 1 } };
    close(fds[0]);
    fds[0] = -1;
    assert_int_equal(socket_read(&(struct socket){ .fd = fds[1] }, &byte, 1), 0);
    for (int count = 1; count <= 2; count++) {
        assert_int_equal(socket_write_vectors(&(struct socket){ .fd = fds[1] }, v, count), -1);
        assert_int_equal(errno, EPIPE);
    }
}

/* A connected pair over the loopback of this family. False if the machine has none. */
static bool connect_pair(int family, int fds[2], int *listener) {
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t len = family == AF_INET ? sizeof v4 : sizeof v6;
    *listener = socket(family, SOCK_STREAM, 0);
    if (*listener < 0) return false;
    if (bind(*listener, address, len) != 0) {
        close(*listener);
        return false;
    }
    assert_int_equal(listen(*listener, 1), 0);
    assert_int_equal(getsockname(*listener, address, &len), 0);
    fds[0] = socket(family, SOCK_STREAM, 0);
    assert_int_equal(connect(fds[0], address, len), 0);
    fds[1] = accept(*listener, NULL, NULL);
    assert_true(fds[1] >= 0);
    return true;
}

static void both_ends_have_names(void **state) {
    (void)state;
    static const struct {
        int family;
        const char *head;
    } rows[] = { { AF_INET, "127.0.0.1:" }, { AF_INET6, "[::1]:" } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int fds[2], listener;
        char peer[64], local[64], peer_there[64], local_there[64];
        if (!connect_pair(rows[i].family, fds, &listener)) continue;
        socket_addresses(fds[0], NULL, peer, local);
        socket_addresses(fds[1], NULL, peer_there, local_there);
        assert_memory_equal(peer, rows[i].head, strlen(rows[i].head));
        assert_string_equal(peer, local_there);
        assert_string_equal(local, peer_there);
        assert_string_not_equal(peer, local);
        close(fds[0]);
        close(fds[1]);
        close(listener);
    }
}

static void ends_without_an_address_have_names_too(void **state) {
    const int *fds = *state;
    char peer[64], local[64], path[200], expected[64];
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    socket_addresses(fds[0], "/run/x.sock", peer, local);
    assert_string_equal(peer, "/run/x.sock:0");
    assert_string_equal(local, "/run/x.sock:0");
    socket_addresses(fds[0], path, peer, local);
    snprintf(expected, sizeof expected, "%.60s:0", path);
    assert_string_equal(peer, expected);
    socket_addresses(-1, NULL, peer, local);
    assert_string_equal(peer, "?:0");
    assert_string_equal(local, "?:0");
}

static int option_of(int fd, int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void keepalive_probes_begin_after_the_time_asked_for(void **state) {
    (void)state;
    static const struct {
        int seconds, on, idle, every;
    } rows[] = { { 300, 1, 300, 100 }, { 2, 1, 2, 1 }, { 0, 0, -1, -1 } };
    int fds[2], listener;
    assert_true(connect_pair(AF_INET, fds, &listener));
    socket_set_delay(fds[0], false);
    assert_true(option_of(fds[0], IPPROTO_TCP, TCP_NODELAY));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        socket_keepalive(fds[0], rows[i].seconds);
        assert_int_equal(option_of(fds[0], SOL_SOCKET, SO_KEEPALIVE), rows[i].on);
        if (!rows[i].on) continue;
        assert_int_equal(option_of(fds[0], IPPROTO_TCP, TCP_KEEPIDLE), rows[i].idle);
        assert_int_equal(option_of(fds[0], IPPROTO_TCP, TCP_KEEPINTVL), rows[i].every);
    }
    close(fds[0]);
    close(fds[1]);
    close(listener);
}

#define PAIR_TEST(function) cmocka_unit_test_setup_teardown(function, pair_setup, pair_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        PAIR_TEST(what_is_written_in_pieces_is_read_in_pieces),
        PAIR_TEST(an_empty_and_a_full_socket_say_try_again),
        PAIR_TEST(writing_to_nobody_is_an_error_and_no_signal),
        cmocka_unit_test(both_ends_have_names),
        PAIR_TEST(ends_without_an_address_have_names_too),
        cmocka_unit_test(keepalive_probes_begin_after_the_time_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
