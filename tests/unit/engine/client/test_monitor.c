/* MONITOR: the lines, what they hide, and who gets them. */
#include "../../../harness/loopback.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/monitor.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/run.h"
#include "trivet/resp/parser.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* As if `l` had run it at 1234.567890 s. */
static void feed(struct loopback *l, const char *line) {
    struct slice *argv;
    char *text;
    size_t argc;
    const struct command *container;
    assert_true(split_line(slice_of(line), &argv, &argc, &text));
    const struct command *command = registry_resolve(argv, argc, &container);
    assert_non_null(command);
    struct call call;
    call_init(&call, loopback_client(l), &origin_connection);
    call.command = command;
    call.argv = argv;
    call.argc = argc;
    monitor_feed(&call, 1234567890);
    loopback_turn();
    mem_free(argv);
    mem_free(text);
}

static void a_line_says_when_who_and_what(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        { "GET k", "\"GET\" \"k\"" },
        { "set K \"\"", "\"set\" \"K\" \"\"" },
        { "SET k \"a\\\"b\\\\c\"", "\"SET\" \"k\" \"a\\\"b\\\\c\"" },
        { "SET k \"\\n\\r\\t\\a\\b\"", "\"SET\" \"k\" \"\\n\\r\\t\\a\\b\"" },
        { "SET k \"\\x00\\x1f\\x7f\\xff ~\"", "\"SET\" \"k\" \"\\x00\\x1f\\x7f\\xff ~\"" },
        /* Passwords are nobody's business. */
        { "AUTH secret", "\"AUTH\" \"(redacted)\"" },
        { "AUTH user secret", "\"AUTH\" \"(redacted)\" \"(redacted)\"" },
        { "HELLO 3", "\"HELLO\" \"3\"" },
        { "HELLO 3 auth user secret SETNAME me",
          "\"HELLO\" \"3\" \"auth\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"me\"" },
    };
    struct loopback *l = loopback_open(), *other = loopback_open();
    strcpy(loopback_client(other)->peer, "/tmp/a.sock:0");
    loopback_client(other)->db = 3;
    monitor_start(loopback_client(l));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char expected[256];
        snprintf(expected, sizeof expected, "+1234.567890 [3 unix:/tmp/a.sock] %s", rows[i][1]);
        feed(other, rows[i][0]);
        assert_hears(l, expected);
    }
    loopback_client(other)->db = 0;
    loopback_client(other)->flags &= ~(uint32_t)CLIENT_UNIX_SOCKET;
    strcpy(loopback_client(other)->peer, "127.0.0.1:5000");
    feed(other, "PING");
    assert_hears(l, "+1234.567890 [0 127.0.0.1:5000] \"PING\"");
    loopback_close(l);
    loopback_close(other);
}

static void commands_of_the_administrator_are_not_shown(void **state) {
    (void)state;
    static const char *const hidden[] = { "CONFIG GET port", "SHUTDOWN", "MONITOR", "DEBUG SLEEP 0" };
    struct loopback *l = loopback_open(), *other = loopback_open();
    monitor_start(loopback_client(l));
    for (size_t i = 0; i < COUNT_OF(hidden); i++) {
        feed(other, hidden[i]);
        assert_hears(l, "");
    }
    loopback_close(l);
    loopback_close(other);
}

static void every_monitor_gets_each_line_until_it_stops(void **state) {
    (void)state;
    enum { MONITORS = 6 };
    struct loopback *l[MONITORS], *other = loopback_open();
    assert_false(obstacle_is_set(OBSTACLE_MONITOR));
    for (int i = 0; i < MONITORS; i++) {
        l[i] = loopback_open();
        monitor_start(loopback_client(l[i]));
        monitor_start(loopback_client(l[i])); /* once is enough */
    }
    assert_true(obstacle_is_set(OBSTACLE_MONITOR));
    monitor_stop(loopback_client(l[0]));
    monitor_stop(loopback_client(l[0]));
    loopback_client(l[1])->flags |= CLIENT_CLOSE_AFTER;
    assert_says(other, "PING", "+PONG");
    for (int i = 0; i < MONITORS; i++)
        assert_int_equal(strstr(loopback_next(l[i]), "\"PING\"") != NULL, i > 1);
    for (int i = 0; i < MONITORS; i++) loopback_close(l[i]);
    assert_false(obstacle_is_set(OBSTACLE_MONITOR));
    loopback_close(other);
}

/* EXEC stands after what it ran; what is queued has not run. */
static void lines_come_in_the_order_in_which_commands_ran(void **state) {
    (void)state;
    static const char *const order[] = { "\"MULTI\"", "\"SET\" \"k\"", "\"INCR\" \"k\"", "\"EXEC\"" };
    struct loopback *l = loopback_open(), *other = loopback_open();
    monitor_start(loopback_client(l));
    assert_says(other, "MULTI", "+OK");
    assert_says(other, "SET k 1", "+QUEUED");
    assert_says(other, "INCR k", "+QUEUED");
    assert_says(other, "EXEC", "*[+OK, :2]");
    const char *at = loopback_next(l);
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        at = strstr(at, order[i]);
        assert_non_null(at);
        assert_null(strstr(at + 1, order[i])); /* once each */
    }
    loopback_close(l);
    loopback_close(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(a_line_says_when_who_and_what),
        LOOPBACK_TEST(commands_of_the_administrator_are_not_shown),
        LOOPBACK_TEST(every_monitor_gets_each_line_until_it_stops),
        LOOPBACK_TEST(lines_come_in_the_order_in_which_commands_ran),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
