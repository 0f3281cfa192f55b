/* test_monitor.c: MONITOR over the wire: what is shown, in which form, and what is kept secret. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>

static struct client *connect_to(void **state) { return server_connect(((struct fixture *)*state)->server); }

static struct client *monitor_of(void **state) {
    struct client *m = connect_to(state);
    assert_reply(m, "MONITOR", "+OK");
    return m;
}

static void commands_are_shown_with_time_database_client_and_quoted_words(void **state) {
    static const struct {
        const char *command, *shown;
    } rows[] = {
        { "SET k v", "\"SET\" \"k\" \"v\"" },
        { "set k \"a b\"", "\"set\" \"k\" \"a b\"" },
        { "SET k \"\"", "\"SET\" \"k\" \"\"" },
        { "SET k \"\\n\\r\\t\\a\\b\\\\\\\"\"", "\"SET\" \"k\" \"\\n\\r\\t\\a\\b\\\\\\\"\"" },
        { "SET k \"\\x00\\x1f~\\x7f\\xc3\\xa9\"", "\"SET\" \"k\" \"\\x00\\x1f~\\x7f\\xc3\\xa9\"" },
        { "PUBLISH c x", "\"PUBLISH\" \"c\" \"x\"" },
    };
    struct client *c = fixture_client(state), *m = monitor_of(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char expected[160];
        snprintf(expected, sizeof expected, "+1...... [0 unix:/...] %s", rows[i].shown);
        client_ask(c, "%s", rows[i].command);
        assert_next(m, expected);
    }
    client_close(m);
}

static void the_database_is_the_one_of_the_client(void **state) {
    struct client *c = fixture_client(state), *m = monitor_of(state);
    assert_reply(c, "SELECT 3", "+OK");
    assert_next(m, "+... [3 ...] \"SELECT\" \"3\"");
    assert_reply(c, "GET k", "$-1");
    assert_next(m, "+...... [3 unix:/...] \"GET\" \"k\"");
    client_close(m);
}

static void a_tcp_client_is_shown_by_its_address(void **state) {
    (void)state;
    struct server *server = server_launch(&(struct server_plan){ .tcp = true });
    struct client *c = server_connect_tcp(server), *m = server_connect(server);
    assert_reply(m, "MONITOR", "+OK");
    assert_reply(c, "GET k", "$-1");
    assert_next(m, "+...... [0 127.0.0.1:...] \"GET\" \"k\"");
    client_close(c);
    client_close(m);
    server_free(server);
}

/* Of what is written here only the PING and the redacted lines show. */
static void secrets_and_administration_are_not_shown(void **state) {
    struct client *c = fixture_client(state), *m = monitor_of(state);
    client_ask(c, "AUTH secret");
    assert_next(m, "+... \"AUTH\" \"(redacted)\"");
    client_ask(c, "AUTH default secret");
    assert_next(m, "+... \"AUTH\" \"(redacted)\" \"(redacted)\"");
    client_ask(c, "HELLO 2 SETNAME me AUTH default secret");
    assert_next(m, "+... \"HELLO\" \"2\" \"SETNAME\" \"me\" \"AUTH\" \"(redacted)\" \"(redacted)\"");
    client_ask(c, "CLIENT LIST"); /* an ADMIN command */
    client_ask(c, "NONSENSE");
    client_ask(c, "GET");
    assert_reply(c, "PING", "+PONG");
    assert_next(m, "+... \"PING\"");
    client_close(m);
}

static void queued_commands_show_when_they_run(void **state) {
    struct client *c = fixture_client(state), *m = monitor_of(state);
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "SET k v", "+QUEUED");
    assert_reply(c, "EXEC", "*[+OK]");
    assert_next(m, "+... \"MULTI\"");
    assert_next(m, "+... \"SET\" \"k\" \"v\"");
    assert_next(m, "+... \"EXEC\"");
    client_close(m);
}

static void all_monitors_see_commands_of_all_workers(void **state) {
    enum { MONITORS = 6, SENDERS = 6, COMMANDS = 200 };
    struct client *monitors[MONITORS], *senders[SENDERS];
    for (int i = 0; i < MONITORS; i++) monitors[i] = monitor_of(state);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = connect_to(state);
        for (int k = 0; k < COMMANDS; k++) client_queue(senders[i], "INCR counter");
    }
    for (int i = 0; i < SENDERS; i++) client_flush(senders[i]);
    for (int i = 0; i < SENDERS; i++) client_skip(senders[i], COMMANDS);
    for (int i = 0; i < MONITORS; i++)
        for (int k = 0; k < SENDERS * COMMANDS; k++) assert_next(monitors[i], "+... \"INCR\" \"counter\"");
    for (int i = 0; i < SENDERS; i++) client_close(senders[i]);
    for (int i = 0; i < MONITORS; i++) client_close(monitors[i]);
}

static void a_monitor_can_run_commands_and_reset(void **state) {
    struct client *c = fixture_client(state), *m = monitor_of(state);
    assert_reply(m, "ECHO a", "$\"a\"");
    assert_next(m, "+... \"ECHO\" \"a\"");
    assert_reply(m, "RESET", "+RESET");
    assert_reply(c, "PING", "+PONG");
    assert_reply(m, "ECHO b", "$\"b\"");
    client_close(m);
}

static void monitor_is_refused_in_a_transaction_and_with_arguments(void **state) {
    static const struct exchange rows[] = {
        { "MONITOR x", "-ERR wrong number of arguments for 'monitor' command" },
        { "MULTI", "+OK" },
        { "MONITOR", "+QUEUED" },
        { "EXEC", "*[-ERR MONITOR isn't allowed for DENY BLOCKING client]" },
        { "PING", "+PONG" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(commands_are_shown_with_time_database_client_and_quoted_words),
        FIXTURE_TEST(the_database_is_the_one_of_the_client),
        FIXTURE_TEST(a_tcp_client_is_shown_by_its_address),
        FIXTURE_TEST(secrets_and_administration_are_not_shown),
        FIXTURE_TEST(queued_commands_show_when_they_run),
        FIXTURE_TEST(all_monitors_see_commands_of_all_workers),
        FIXTURE_TEST(a_monitor_can_run_commands_and_reset),
        FIXTURE_TEST(monitor_is_refused_in_a_transaction_and_with_arguments),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
