/* Connections: however their bytes come, and whatever stops them, each gets the answers to its commands. */
#include "fixture.h"

static void close_and_forget(int fd) {
    close(fd);
    fixture_settle();
    assert_int_equal(client_count(), 0);
}

static void a_command_may_come_byte_by_byte(void **state) {
    (void)state;
    static const char wire[] = "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\nPING\r\n";
    int fd = fixture_connect();
    for (size_t i = 0; i + 1 < sizeof wire; i++) {
        char byte[2] = { wire[i] };
        fixture_say(fd, byte);
    }
    assert_string_equal(fixture_hear(fd), "$5\r\nhello\r\n+PONG\r\n");
    close_and_forget(fd);
}

/* The worker's slots are shared; what a connection has begun is its own. */
static void unfinished_commands_of_several_connections_do_not_mix(void **state) {
    (void)state;
    enum { COUNT = 5 };
    int fds[COUNT];
    char text[64];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = fixture_connect();
        snprintf(text, sizeof text, "PING\r\n*2\r\n$4\r\nECHO\r\n$3\r\n%d", i);
        fixture_say(fds[i], text);
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        snprintf(text, sizeof text, "%d%d\r\nPING\r\n*1\r\n", i, i);
        fixture_say(fds[i], text);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "+PONG\r\n$3\r\n%d%d%d\r\n+PONG\r\n", i, i, i);
        assert_string_equal(fixture_hear(fds[i]), text);
        close(fds[i]);
    }
    fixture_settle();
    assert_int_equal(client_count(), 0);
}

static void a_pipeline_longer_than_a_batch_is_answered_in_order(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    static char wire[COUNT * 20], expected[COUNT * 20];
    size_t len = 0, expected_len = 0;
    for (int i = 0; i < COUNT; i++) {
        len += (size_t)sprintf(wire + len, "ECHO %03d\r\n", i % 1000);
        expected_len += (size_t)sprintf(expected + expected_len, "$3\r\n%03d\r\n", i % 1000);
    }
    int fd = fixture_connect();
    fixture_say(fd, wire);
    assert_string_equal(fixture_hear(fd), expected);
    close_and_forget(fd);
}

static void what_comes_behind_a_blocking_command_waits(void **state) {
    (void)state;
    int fd = fixture_connect(), other = fixture_connect();
    fixture_say(fd, "PING\r\nBLPOP k 0\r\nECHO behind\r\n*2\r\n$4\r\nECHO\r\n$4\r\nha");
    assert_string_equal(fixture_hear(fd), "+PONG\r\n");
    fixture_say(fd, "lf\r\n");
    assert_string_equal(fixture_hear(fd), "");
    fixture_say(other, "RPUSH k v\r\n");
    assert_string_equal(fixture_hear(other), ":1\r\n");
    assert_string_equal(fixture_hear(fd), "*2\r\n$1\r\nk\r\n$1\r\nv\r\n$6\r\nbehind\r\n$4\r\nhalf\r\n");
    close(other);
    close_and_forget(fd);
}

/* A held command with a big argument is kept as it is, since its bytes are not all in the input. */
static void a_held_command_with_a_big_argument_runs_when_the_pause_ends(void **state) {
    (void)state;
    enum { BIG = 200000 };
    char *big = mem_alloc(BIG + 1);
    memset(big, 'b', BIG);
    big[BIG] = '\0';
    int fd = fixture_connect(), other = fixture_connect();
    fixture_say(other, "CLIENT PAUSE 100000 WRITE\r\n");
    assert_string_equal(fixture_hear(other), "+OK\r\n");
    fixture_say(fd, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$200000\r\n");
    for (size_t at = 0; at < BIG; at += 50000) {
        assert_int_equal(send(fd, big + at, 50000, MSG_NOSIGNAL), 50000);
        fixture_settle();
    }
    fixture_say(fd, "\r\nSTRLEN big\r\n");
    assert_string_equal(fixture_hear(fd), "");
    fixture_say(other, "CLIENT UNPAUSE\r\n");
    assert_string_equal(fixture_hear(other), "+OK\r\n");
    assert_string_equal(fixture_hear(fd), "+OK\r\n:200000\r\n");
    mem_free(big);
    close(other);
    close_and_forget(fd);
}

static void what_breaks_the_protocol_ends_the_connection(void **state) {
    (void)state;
    static const struct {
        const char *wire, *heard;
    } rows[] = {
        { "PING\r\n*x\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n<end>" },
        { "*1\r\n$4\r\nPINGxxPING\r\n", "-ERR Protocol error: invalid CRLF in request\r\n<end>" },
        { "PING\r\nPOST / HTTP/1.1\r\nPING\r\n", "<end>" }, /* nothing that a browser could show */
        { "Host: x\r\nPING\r\n", "<end>" },
        { "QUIT\r\nPING\r\n", "+OK\r\n<end>" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int fd = fixture_connect();
        fixture_say(fd, rows[i].wire);
        assert_string_equal(fixture_hear(fd), rows[i].heard);
        close_and_forget(fd);
    }
}

/* The event loop refuses to wait for a plain file: so a connection that cannot be registered is closed. */
static void a_connection_that_cannot_be_waited_for_is_closed(void **state) {
    (void)state;
    char path[] = "/tmp/trivet-conn-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    fixture_adopt(fd);
    fixture_settle();
    assert_int_equal(client_count(), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* ---- several connections have something to read in one turn ---- */

static void commands_run_in_the_order_in_which_they_came(void **state) {
    (void)state;
    enum { COUNT = 5 };
    int fds[COUNT];
    char text[64];
    for (int i = 0; i < COUNT; i++) fds[i] = fixture_connect();
    for (int i = COUNT - 1; i >= 0; i--) {
        snprintf(text, sizeof text, "RPUSH order %d\r\n", i);
        fixture_send(fds[i], text);
    }
    workers_pump();
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, ":%d\r\n", COUNT - i);
        assert_string_equal(fixture_hear(fds[i]), text);
        close(fds[i]);
    }
    fixture_settle();
    assert_int_equal(client_count(), 0);
}

static long long id_of(int fd) {
    fixture_say(fd, "CLIENT ID\r\n");
    return atoll(fixture_hear(fd) + 1);
}

static void who_is_killed_before_its_turn_runs_nothing(void **state) {
    (void)state;
    int killer = fixture_connect(), victim = fixture_connect();
    char text[64];
    snprintf(text, sizeof text, "CLIENT KILL ID %lld\r\n", id_of(victim));
    fixture_send(killer, text);
    fixture_send(victim, "SET victim was-here\r\n");
    fixture_settle();
    assert_string_equal(fixture_hear(killer), ":1\r\n");
    assert_int_equal(client_count(), 1);
    fixture_say(killer, "EXISTS victim\r\n");
    assert_string_equal(fixture_hear(killer), ":0\r\n");
    close(victim);
    close_and_forget(killer);
}

static void who_is_served_before_its_turn_gets_that_first(void **state) {
    (void)state;
    int pusher = fixture_connect(), waiter = fixture_connect();
    fixture_say(waiter, "BLPOP served 0\r\n");
    fixture_send(pusher, "RPUSH served v\r\n");
    fixture_send(waiter, "ECHO behind\r\n");
    fixture_settle();
    assert_string_equal(fixture_hear(waiter), "*2\r\n$6\r\nserved\r\n$1\r\nv\r\n$6\r\nbehind\r\n");
    close(pusher);
    close_and_forget(waiter);
}

static void memory_of_clients_comes_back(void **state) {
    (void)state;
    enum { BIG = 100000 };
    char *part = mem_alloc(BIG);
    memset(part, 'p', BIG);
    assert_int_equal(clients_memory(CLASS_NORMAL), 0);
    int fd = fixture_connect();
    size_t idle = clients_memory(CLASS_NORMAL);
    assert_true(idle > 0);
    fixture_say(fd, "*2\r\n$4\r\nECHO\r\n$100000\r\n");
    assert_int_equal(send(fd, part, BIG, MSG_NOSIGNAL), BIG);
    fixture_settle();
    assert_in_range(clients_memory(CLASS_NORMAL), idle + BIG, idle + 3 * BIG);
    fixture_say(fd, "\r\n");
    assert_int_equal(strlen(fixture_hear(fd)), 9 + BIG + 2);
    assert_in_range(clients_memory(CLASS_NORMAL), idle,
                    idle + 20000); /* with a small buffer for a next rest */
    fixture_say(fd, "SUBSCRIBE x\r\n");
    assert_int_equal(clients_memory(CLASS_NORMAL), 0);
    assert_in_range(clients_memory(CLASS_PUBSUB), idle + 1, idle + 20000);
    close_and_forget(fd);
    assert_int_equal(clients_memory(CLASS_NORMAL) + clients_memory(CLASS_PUBSUB), 0);
    mem_free(part);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_may_come_byte_by_byte),
        cmocka_unit_test(unfinished_commands_of_several_connections_do_not_mix),
        cmocka_unit_test(a_pipeline_longer_than_a_batch_is_answered_in_order),
        cmocka_unit_test(what_comes_behind_a_blocking_command_waits),
        cmocka_unit_test(a_held_command_with_a_big_argument_runs_when_the_pause_ends),
        cmocka_unit_test(what_breaks_the_protocol_ends_the_connection),
        cmocka_unit_test(a_connection_that_cannot_be_waited_for_is_closed),
        cmocka_unit_test(commands_run_in_the_order_in_which_they_came),
        cmocka_unit_test(who_is_killed_before_its_turn_runs_nothing),
        cmocka_unit_test(who_is_served_before_its_turn_gets_that_first),
        cmocka_unit_test(memory_of_clients_comes_back),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
