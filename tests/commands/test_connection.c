/* test_connection.c: PING, ECHO, SELECT, HELLO, AUTH, RESET and QUIT over the wire, with four workers and
 * with one. */
#include "../harness/fixture.h"
#include <stdlib.h>

#define NAME_ERROR "-ERR Client names cannot contain spaces, newlines or special characters."
#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled."
#define NOAUTH "-NOAUTH Authentication required."
#define NOAUTH_HELLO                                                                                        \
    "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH " \
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "  \
    "the same time"

static void ping_and_echo_answer_what_they_got(void **state) {
    static const struct exchange rows[] = {
        { "PING", "+PONG" },
        { "ping hello", "$\"hello\"" },
        { "PING \"\"", "$\"\"" },
        { "PING a b", "-ERR wrong number of arguments for 'ping' command" },
        { "ECHO \"a\\x00b\\r\\n\"", "$\"a\\x00b\\r\\n\"" },
        { "ECHO", "-ERR wrong number of arguments for 'echo' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void ping_of_a_resp2_subscriber_looks_like_a_message(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SUBSCRIBE c", "*[$\"subscribe\", $\"c\", :1]");
    assert_reply(c, "PING", "*[$\"pong\", $\"\"]");
    assert_reply(c, "PING x", "*[$\"pong\", $\"x\"]");
    assert_reply(c, "PING x y", "-ERR wrong number of arguments for 'ping' command");
    assert_reply(c, "UNSUBSCRIBE c", "*[$\"unsubscribe\", $\"c\", :0]");
    assert_reply(c, "PING", "+PONG");
    (void)client_ask(c, "HELLO 3");
    assert_reply(c, "SUBSCRIBE c", ">[$\"subscribe\", $\"c\", :1]");
    assert_reply(c, "PING", "+PONG");
}

static void select_changes_the_database_of_one_connection(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "SET k zero", "+OK" },
        { "SELECT 1", "+OK" },
        { "GET k", "$-1" },
        { "SET k one", "+OK" },
        { "SELECT 15", "+OK" },
        { "SELECT 16", "-ERR DB index is out of range" },
        { "SELECT -1", "-ERR DB index is out of range" },
        { "SELECT a", "-ERR value is not an integer or out of range" },
        { "SELECT 99999999999", "-ERR value is out of range, value must between -2147483648 and 2147483647" },
        { "GET k", "$-1" },
        { "SELECT 0", "+OK" },
        { "GET k", "$\"zero\"" },
        { "SELECT 1", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    struct client *other = server_connect(((struct fixture *)*state)->server);
    assert_reply(other, "GET k", "$\"zero\"");
    assert_reply(c, "GET k", "$\"one\"");
    client_close(other);
}

/* ---- HELLO ---- */

static void hello_introduces_the_server_in_both_protocols(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "HELLO",
                 "*[$\"server\", $\"redis\", $\"version\", $\"7.2.4\", $\"proto\", :2, $\"id\", :..., "
                 "$\"mode\", $\"standalone\", $\"role\", $\"master\", $\"modules\", *[]]");
    assert_reply(c, "HELLO 3",
                 "%{$\"server\": $\"redis\", $\"version\": $\"7.2.4\", $\"proto\": :3, $\"id\": :..., "
                 "$\"mode\": $\"standalone\", $\"role\": $\"master\", $\"modules\": *[]}");
    assert_reply(c, "HELLO", "%{$\"server\": $\"redis\", $\"version\": $\"7.2.4\", $\"proto\": :3, ...");
    assert_reply(c, "GET none", "_");
    assert_reply(c, "HELLO 2", "*[$\"server\", ...");
    assert_reply(c, "GET none", "$-1");
}

static void hello_refuses_and_then_nothing_has_changed(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "HELLO 4", "-NOPROTO unsupported protocol version" },
        { "HELLO 1 FOO", "-NOPROTO unsupported protocol version" },
        { "HELLO a", "-ERR Protocol version is not an integer or out of range" },
        { "HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'" },
        { "HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'" },
        { "HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'" },
        { "HELLO 3 SETNAME bob AUTH", "-ERR Syntax error in HELLO option 'AUTH'" },
        { "HELLO 3 SETNAME bob AUTH nouser badpass", WRONGPASS },
        { "HELLO 3 SETNAME \"a b\"", NAME_ERROR },
        { "CLIENT GETNAME", "$-1" },
        { "GET none", "$-1" },
        { "HELLO 3 AUTH default any SETNAME bob", "%{..." },
        { "CLIENT GETNAME", "$\"bob\"" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

/* ---- passwords ---- */

static void without_a_password_everybody_is_the_default_user(void **state) {
    static const struct exchange rows[] = {
        { "AUTH x",
          "-ERR AUTH <password> called without any password configured for the default user. Are you "
          "sure your configuration is correct?" },
        { "AUTH default whatever", "+OK" },
        { "AUTH nouser x", WRONGPASS },
        { "AUTH \"\" x", WRONGPASS },
        { "AUTH a b c", "-ERR syntax error" },
        { "GET none", "$-1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void with_a_password_nothing_runs_before_it_is_given(void **state) {
    (void)state;
    static const struct exchange rows[] = {
        { "GET k", NOAUTH },
        { "PING", NOAUTH },
        { "MULTI", NOAUTH },
        { "SELECT 1", NOAUTH },
        { "CLIENT ID", NOAUTH },
        { "HELLO 3", NOAUTH_HELLO },
        { "HELLO 3 AUTH default wrong", WRONGPASS },
        { "AUTH wrong", WRONGPASS },
        { "AUTH secre", WRONGPASS },
        { "AUTH secret1", WRONGPASS },
        { "AUTH \"\"", WRONGPASS },
        { "AUTH default wrong", WRONGPASS },
        { "AUTH nouser secret", WRONGPASS },
        { "AUTH \"\" secret", WRONGPASS },
        { "FOO", "-ERR unknown command 'FOO', with args beginning with: " },
        { "GET", "-ERR wrong number of arguments for 'get' command" },
        { "GET none", NOAUTH },
        { "RESET", "+RESET" },
        { "AUTH secret", "+OK" },
        { "GET none", "$-1" },
        { "AUTH wrong", WRONGPASS },
        { "GET none", "$-1" },
        { "RESET", "+RESET" },
        { "GET none", NOAUTH },
        { "HELLO 3 AUTH default secret SETNAME bob", "%{$\"server\": ..." },
        { "CLIENT GETNAME", "$\"bob\"" },
        { NULL, NULL },
    };
    struct server *s = server_start("--requirepass", "secret", NULL);
    struct client *c = server_connect(s);
    assert_exchanges(c, rows);
    assert_int_equal(info_number(c, "stats", "acl_access_denied_auth"), 9);
    client_close(c);
    server_free(s);
}

/* ---- RESET and QUIT ---- */

static void reset_brings_back_the_state_of_a_new_connection(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "SELECT 3", "+OK" },
        { "CLIENT SETNAME bob", "+OK" },
        { "CLIENT SETINFO LIB-NAME lib", "+OK" },
        { "CLIENT NO-EVICT ON", "+OK" },
        { "HELLO 3", "%{..." },
        { "WATCH k", "+OK" },
        { "MULTI", "+OK" },
        { "SET k w", "+QUEUED" },
        { "RESET", "+RESET" },
        { "EXEC", "-ERR EXEC without MULTI" },
        { "CLIENT GETNAME", "$-1" },
        { "GET none", "$-1" },
        { "GET k", "$\"v\"" },
        { "CLIENT INFO",
          "$\"id=... flags=U ... db=0 sub=0 ... multi=-1 watch=0 ... resp=2 lib-name=lib ...\"" },
        { "RESET x", "-ERR wrong number of arguments for 'reset' command" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    client_send(c, "CLIENT REPLY OFF");
    assert_reply(c, "RESET", "+RESET");
    assert_reply(c, "PING", "+PONG");
}

static void reset_leaves_all_channels(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SUBSCRIBE a b", "*[$\"subscribe\", $\"a\", :1]");
    assert_next(c, "*[$\"subscribe\", $\"b\", :2]");
    assert_reply(c, "RESET", "+RESET");
    assert_reply(c, "PUBLISH a x", ":0");
}

static void quit_answers_what_came_before_and_then_closes(void **state) {
    struct client *c = fixture_client(state);
    client_queue(c, "SET k v");
    client_queue(c, "GET k");
    client_queue(c, "QUIT");
    client_queue(c, "SET k after");
    assert_true(client_flush(c));
    assert_next(c, "+OK");
    assert_next(c, "$\"v\"");
    assert_next(c, "+OK");
    assert_ended(c);
    struct client *other = server_connect(((struct fixture *)*state)->server);
    assert_reply(other, "GET k", "$\"v\"");
    assert_reply(other, "MULTI", "+OK");
    assert_reply(other, "QUIT", "+OK");
    assert_ended(other);
    client_close(other);
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(ping_and_echo_answer_what_they_got),
        FIXTURE_TEST(ping_of_a_resp2_subscriber_looks_like_a_message),
        FIXTURE_TEST(select_changes_the_database_of_one_connection),
        FIXTURE_TEST(hello_introduces_the_server_in_both_protocols),
        FIXTURE_TEST(hello_refuses_and_then_nothing_has_changed),
        FIXTURE_TEST(without_a_password_everybody_is_the_default_user),
        FIXTURE_TEST(with_a_password_nothing_runs_before_it_is_given),
        FIXTURE_TEST(reset_brings_back_the_state_of_a_new_connection),
        FIXTURE_TEST(reset_leaves_all_channels),
        FIXTURE_TEST(quit_answers_what_came_before_and_then_closes),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
