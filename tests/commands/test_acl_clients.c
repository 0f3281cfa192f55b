/* test_acl_clients.c: who a connection is: AUTH, HELLO, RESET and requirepass; and what becomes of
 * connections when users change. */
#include "acl_support.h"
#include <stdlib.h>

/* More connections than workers, so that some are on each. */
#define CROWD 8

static void connect_crowd(void **state, struct client *crowd[CROWD], const char *login) {
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = connect_another(state);
        assert_reply(crowd[i], login, "+OK");
    }
}

static void ask_crowd(struct client *crowd[CROWD], const char *command, const char *reply) {
    for (int i = 0; i < CROWD; i++) assert_reply(crowd[i], command, reply);
}

static void close_crowd(struct client *crowd[CROWD]) {
    for (int i = 0; i < CROWD; i++) client_close(crowd[i]);
}

static void expect_ends(struct client *crowd[CROWD]) {
    for (int i = 0; i < CROWD; i++) assert_ended(crowd[i]);
    close_crowd(crowd);
}

/* ---- logging in ---- */

#define NO_PASSWORD_SET                                                                                    \
    "-ERR AUTH <password> called without any password configured for the default user. Are you sure your " \
    "configuration is correct?"
#define HELLO_NOAUTH                                                                                        \
    "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH " \
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "  \
    "the same time"

static void auth_takes_a_user_with_the_right_password(void **state) {
    struct client *c = fixture_client(state), *u = connect_another(state);
    assert_reply(c, "ACL SETUSER u on >one >two +acl|whoami", "+OK");
    assert_reply(c, "ACL SETUSER off off nopass +@all", "+OK");
    assert_reply(c, "ACL SETUSER locked on +@all", "+OK");
    static const struct exchange rows[] = {
        { "ACL WHOAMI", "$\"default\"" },
        { "AUTH x", NO_PASSWORD_SET },
        { "AUTH default x", "+OK" }, /* needs none, so takes any */
        { "AUTH u wrong", WRONGPASS },
        { "AUTH u \"\"", WRONGPASS },
        { "AUTH u one\\x00", WRONGPASS },
        { "AUTH nosuch one", WRONGPASS },
        { "AUTH U one", WRONGPASS },
        { "AUTH off x", WRONGPASS },
        { "AUTH locked x", WRONGPASS },
        { "AUTH locked \"\"", WRONGPASS },
        { "ACL WHOAMI", "$\"default\"" },
        { "AUTH u one", "+OK" },
        { "ACL WHOAMI", "$\"u\"" },
        { "PING", NO_COMMAND("ping") },
        { "AUTH u two", "+OK" },
        { "AUTH u three", WRONGPASS },
        { "ACL WHOAMI", "$\"u\"" }, /* a failure changes nothing */
        { "AUTH a b c", "-ERR syntax error" },
        { "AUTH", "-ERR wrong number of arguments for 'auth' command" },
        { "AUTH default anything", "+OK" },
        { "ACL WHOAMI", "$\"default\"" },
        { NULL, NULL },
    };
    assert_exchanges(u, rows);
    client_close(u);
}

static void hello_logs_in_or_changes_nothing(void **state) {
    struct client *c = fixture_client(state), *u = connect_another(state);
    assert_reply(c, "ACL SETUSER u on >pw +acl|whoami +client|getname", "+OK");
    static const struct exchange rows[] = {
        { "HELLO 3 AUTH u wrong", WRONGPASS },
        { "HELLO 3 AUTH nosuch pw SETNAME me", WRONGPASS },
        { "HELLO 2 AUTH u", "-ERR Syntax error in HELLO option 'AUTH'" },
        { "HELLO 2 auth u", "-ERR Syntax error in HELLO option 'auth'" },
        { "HELLO 4 AUTH u pw", "-NOPROTO unsupported protocol version" },
        { "HELLO x AUTH u pw", "-ERR Protocol version is not an integer or out of range" },
        { "HELLO 3 AUTH u pw SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'" },
        { "HELLO 3 AUTH u pw SETNAME \"a b\"",
          "-ERR Client names cannot contain spaces, newlines or special characters." },
        { "CLIENT GETNAME", "$-1" },
        { "ACL WHOAMI", "$\"default\"" },
        { "HELLO 3 AUTH u pw SETNAME me", "%{$\"server\": ...$\"proto\": :3, ..." },
        { "ACL WHOAMI", "$\"u\"" },
        { "CLIENT GETNAME", "$\"me\"" },
        { "HELLO 2 AUTH u wrong", WRONGPASS },
        { "CLIENT GETNAME", "$\"me\"" },
        { "HELLO", "%{$\"server\": ...$\"proto\": :3, ..." },
        { "HELLO 2 AUTH default x", "*[$\"server\", ..." },
        { "ACL WHOAMI", "$\"default\"" },
        { NULL, NULL },
    };
    assert_exchanges(u, rows);
    client_close(u);
}

static void a_stranger_may_only_log_in_or_leave(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "ACL SETUSER u on >pw +acl|whoami", "+OK");
    assert_reply(c, "ACL SETUSER default resetpass >secret", "+OK");
    struct client *u = connect_another(state);
    static const struct exchange rows[] = {
        { "PING", NOAUTH },
        { "GET k", NOAUTH },
        { "ACL WHOAMI", NOAUTH },
        { "MULTI", NOAUTH },
        { "EXEC", "-EXECABORT Transaction discarded because of: NOAUTH Authentication required." },
        { "NOSUCH", "-ERR unknown command..." },
        { "GET", "-ERR wrong number of arguments for 'get' command" },
        { "HELLO", HELLO_NOAUTH },
        { "HELLO 3", HELLO_NOAUTH },
        { "HELLO 3 SETNAME x", HELLO_NOAUTH },
        { "RESET", "+RESET" },
        { "PING", NOAUTH },
        { "AUTH wrong", WRONGPASS },
        { "AUTH default wrong", WRONGPASS },
        { "AUTH secret", "+OK" },
        { "PING", "+PONG" },
        { "RESET", "+RESET" },
        { "PING", NOAUTH },
        { "HELLO 3 AUTH default secret", "%{..." },
        { "PING", "+PONG" },
        { "AUTH u pw", "+OK" },
        { "RESET", "+RESET" },
        { "ACL WHOAMI", NOAUTH },
        { "AUTH u pw", "+OK" },
        { "ACL WHOAMI", "$\"u\"" },
        { "QUIT", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(u, rows);
    assert_ended(u);
    client_close(u);
}

static void reset_goes_back_to_the_default_user(void **state) {
    struct client *u = connect_with(state, "+@all ~* &*");
    static const struct exchange rows[] = {
        { "SELECT 3", "+OK" },
        { "MULTI", "+OK" },
        { "ACL WHOAMI", "+QUEUED" },
        { "RESET", "+RESET" },
        { "ACL WHOAMI", "$\"default\"" },
        { "PING", "+PONG" },
        { NULL, NULL },
    };
    assert_exchanges(u, rows);
    client_close(u);
}

/* Whoever was let in without a password stays in. */
static void a_default_user_who_is_off_or_needs_a_password_stops_newcomers(void **state) {
    struct client *c = fixture_client(state), *before = connect_another(state);
    assert_reply(before, "PING", "+PONG");
    assert_reply(c, "ACL SETUSER default off", "+OK");
    struct client *after = connect_another(state);
    assert_reply(after, "PING", NOAUTH);
    assert_reply(after, "AUTH default x", WRONGPASS);
    assert_reply(after, "AUTH x", NO_PASSWORD_SET);
    assert_reply(before, "PING", "+PONG");
    assert_reply(before, "ACL SETUSER default on", "+OK");
    assert_reply(after, "PING", "+PONG");
    assert_reply(c, "ACL SETUSER default -ping", "+OK");
    assert_reply(after, "PING", "-NOPERM User default has no permissions to run the 'ping' command");
    assert_reply(before, "PING", "-NOPERM User default has no permissions to run the 'ping' command");
    client_close(before);
    client_close(after);
}

/* ---- requirepass ---- */

#define PASSWORD_IS(text) "*[$\"requirepass\", $\"" text "\"]"

static void requirepass_is_the_only_password_of_the_default_user(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG GET requirepass", PASSWORD_IS("") },
        { "CONFIG SET requirepass one", "+OK" },
        { "CONFIG GET requirepass", PASSWORD_IS("one") },
        { "ACL GETUSER default",
          "*[$\"flags\", *[$\"on\", $\"sanitize-payload\"], $\"passwords\", "
          "*[$\"7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed\"], ..." },
        { "AUTH two", WRONGPASS },
        { "AUTH one", "+OK" },
        { "AUTH default one", "+OK" },
        { "ACL SETUSER default >three", "+OK" },
        { "AUTH three", "+OK" },
        { "CONFIG GET requirepass", PASSWORD_IS("one") },
        { "CONFIG SET requirepass two", "+OK" },
        { "AUTH one", WRONGPASS },
        { "AUTH three", WRONGPASS },
        { "AUTH two", "+OK" },
        { "ACL SETUSER default nopass", "+OK" },
        { "CONFIG GET requirepass", PASSWORD_IS("two") },
        { "ACL SETUSER default >x resetpass foo", "-ERR Error in ACL SETUSER modifier 'foo': Syntax error" },
        { "CONFIG GET requirepass", PASSWORD_IS("two") },
        { "ACL SETUSER u resetpass", "+OK" },
        { "CONFIG GET requirepass", PASSWORD_IS("two") },
        { "ACL SETUSER default resetpass", "+OK" },
        { "CONFIG GET requirepass", PASSWORD_IS("") },
        { "AUTH two", WRONGPASS },
        { "CONFIG SET requirepass \"\"", "+OK" },
        { "ACL GETUSER default", "*[$\"flags\", *[$\"on\", $\"nopass\", $\"sanitize-payload\"], ..." },
        { "CONFIG SET requirepass four", "+OK" },
        { "ACL SETUSER default reset on ~* &* +@all nopass", "+OK" },
        { "CONFIG GET requirepass", PASSWORD_IS("") },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void requirepass_leaves_the_rest_of_the_default_user(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "ACL SETUSER default resetkeys ~a -flushall", "+OK");
    assert_reply(c, "CONFIG SET requirepass one", "+OK");
    assert_reply(c, "GET b", NO_KEY);
    assert_reply(
        c, "ACL LIST",
        "*[$\"user default on sanitize-payload "
        "#7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed ~a &* +@all -flushall\"]");
    struct client *next = connect_another(state);
    assert_reply(next, "GET a", NOAUTH);
    assert_reply(next, "AUTH one", "+OK");
    assert_reply(next, "GET a", "$-1");
    assert_reply(c, "CONFIG SET requirepass \"\"", "+OK");
    client_close(next);
}

/* ---- users change under live connections ---- */

static void rights_change_at_once_on_all_workers(void **state) {
    struct client *c = fixture_client(state), *crowd[CROWD];
    set_rules(c, "+get ~*");
    connect_crowd(state, crowd, "AUTH u x");
    ask_crowd(crowd, "GET a", "$-1");
    for (int round = 0; round < 20; round++) {
        set_rules(c, "+set ~a");
        ask_crowd(crowd, "GET a", NO_COMMAND("get"));
        ask_crowd(crowd, "SET b 1", NO_KEY);
        set_rules(c, "+get ~*");
        ask_crowd(crowd, "SET a 1", NO_COMMAND("set"));
        ask_crowd(crowd, "GET b", "$-1");
    }
    close_crowd(crowd);
}

static void off_and_new_passwords_leave_live_connections(void **state) {
    struct client *c = fixture_client(state), *crowd[CROWD];
    set_rules(c, "+ping &c");
    assert_reply(c, "ACL SETUSER u +subscribe", "+OK");
    connect_crowd(state, crowd, "AUTH u x");
    assert_reply(crowd[0], "SUBSCRIBE c", "*[$\"subscribe\", $\"c\", :1]");
    assert_reply(c, "ACL SETUSER u off resetpass >new", "+OK");
    assert_reply(crowd[0], "PING", "*[$\"pong\", $\"\"]");
    for (int i = 1; i < CROWD; i++) assert_reply(crowd[i], "PING", "+PONG");
    assert_reply(crowd[1], "AUTH u new", WRONGPASS);
    assert_reply(crowd[1], "PING", "+PONG");
    close_crowd(crowd);
}

struct subscription_row {
    const char *command, *reply;
    const char *rules; /* that end it */
};

static void subscriptions_that_are_not_allowed_any_more_are_closed(void **state) {
    static const struct subscription_row rows[] = {
        { "SUBSCRIBE c1", "*[$\"subscribe\", $\"c1\", :1]", "resetchannels &c2" },
        { "PSUBSCRIBE c*", "*[$\"psubscribe\", $\"c*\", :1]", "resetchannels &c1 &c2 &c" },
        { "SSUBSCRIBE c1", "*[$\"ssubscribe\", $\"c1\", :1]", "resetchannels" },
        { "SUBSCRIBE c1", "*[$\"subscribe\", $\"c1\", :1]", "reset" },
    };
    struct client *c = fixture_client(state), *crowd[CROWD];
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        char command[128];
        set_rules(c, "+@all &c*");
        connect_crowd(state, crowd, "AUTH u x");
        struct client *quiet = connect_another(state);
        assert_reply(quiet, "AUTH u x", "+OK");
        ask_crowd(crowd, rows[row].command, rows[row].reply);
        assert_reply(c, "ACL SETUSER u -get ~x &d*", "+OK");
        for (int i = 0; i < CROWD; i++) assert_reply(crowd[i], "PING", "*[$\"pong\", $\"\"]");
        snprintf(command, sizeof command, "ACL SETUSER u %s", rows[row].rules);
        assert_reply(c, command, "+OK");
        expect_ends(crowd);
        assert_reply(c, "ACL SETUSER u +ping", "+OK");
        assert_reply(quiet, "PING", "+PONG");
        client_close(quiet);
    }
}

/* A connection may have subscribed as somebody else. */
static void subscriptions_of_other_users_are_left_alone(void **state) {
    struct client *c = fixture_client(state), *was_default = connect_another(state);
    assert_reply(c, "ACL SETUSER v on nopass +ping", "+OK");
    set_rules(c, "+ping");
    assert_reply(was_default, "HELLO 3", "...");
    assert_reply(was_default, "SUBSCRIBE c", ">[$\"subscribe\", $\"c\", :1]");
    assert_reply(was_default, "AUTH v x", "+OK");
    assert_reply(c, "ACL SETUSER u &d", "+OK");
    assert_reply(was_default, "PING", "+PONG");
    assert_reply(c, "ACL SETUSER v &d", "+OK");
    assert_ended(was_default);
    client_close(was_default);
}

static void who_ends_its_own_subscription_gets_the_reply_first(void **state) {
    struct client *u = connect_with(state, "+@all ~* &*");
    assert_reply(u, "HELLO 3", "...");
    assert_reply(u, "SUBSCRIBE c", ">[$\"subscribe\", $\"c\", :1]");
    assert_reply(u, "ACL SETUSER u resetchannels", "+OK");
    assert_ended(u);
    client_close(u);
}

static void deluser_closes_all_connections_of_the_user(void **state) {
    struct client *c = fixture_client(state), *crowd[CROWD], *other = connect_another(state);
    set_rules(c, "+@all ~* &*");
    assert_reply(c, "ACL SETUSER v on nopass +@all ~*", "+OK");
    assert_reply(other, "AUTH v x", "+OK");
    connect_crowd(state, crowd, "AUTH u x");
    assert_reply(crowd[0], "MULTI", "+OK");
    assert_reply(crowd[0], "SET k v", "+QUEUED");
    assert_reply(crowd[1], "SUBSCRIBE c", "*[$\"subscribe\", $\"c\", :1]");
    assert_reply(crowd[2], "MONITOR", "+OK");
    send_and_wait(c, crowd[3], "BLPOP list 0");
    send_and_wait(c, crowd[4], "XREAD BLOCK 0 STREAMS stream $");
    send_and_wait(c, crowd[5], "WAIT 1 0");
    assert_reply(crowd[6], "CLIENT TRACKING ON BCAST REDIRECT 0", "...");
    assert_reply(c, "ACL DELUSER u", ":1");
    /* The dead take nothing. */
    assert_reply(c, "RPUSH list a", ":1");
    assert_reply(c, "LLEN list", ":1");
    for (int i = 0; i < CROWD; i++)
        while (!client_ended(crowd[i])) (void)client_read_text(crowd[i]); /* what the monitor saw */
    close_crowd(crowd);
    assert_reply(c, "GET k", "$-1");
    assert_reply(other, "PING", "+PONG");
    client_close(other);
}

static void who_removes_itself_gets_the_reply_first(void **state) {
    struct client *u = connect_with(state, "+@all ~*"), *twin = connect_another(state);
    assert_reply(twin, "AUTH u x", "+OK");
    client_queue(u, "ACL DELUSER u");
    client_queue(u, "SET k v");
    client_flush(u);
    assert_next(u, ":1");
    assert_ended(u);
    assert_ended(twin);
    client_close(u);
    client_close(twin);
    assert_reply(fixture_client(state), "GET k", "$-1");
    assert_reply(fixture_client(state), "ACL USERS", "*[$\"default\"]");
}

/* With the rights of the default user, as elsewhere: the user is no more. */
static void who_removes_itself_in_a_transaction_gets_all_replies(void **state) {
    struct client *u = connect_with(state, "+@all ~*");
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },
        { "ACL DELUSER u", "+QUEUED" },
        { "ACL WHOAMI", "+QUEUED" },
        { "EXEC", "*[:1, $\"default\"]" },
        { NULL, NULL },
    };
    assert_exchanges(u, rows);
    assert_ended(u);
    client_close(u);
}

/* Users come, change and go while their connections work: nothing is to break, and nobody who is not allowed
 * anything may write. */
static void users_come_and_go_under_load(void **state) {
    enum { ROUNDS = 30, COMMANDS = 50 };
    struct client *c = fixture_client(state), *crowd[CROWD];
    for (int round = 0; round < ROUNDS; round++) {
        set_rules(c, "+@all -set ~a &c*");
        connect_crowd(state, crowd, "AUTH u x");
        for (int i = 0; i < CROWD; i++) {
            for (int k = 0; k < COMMANDS; k++) client_queue(crowd[i], k % 3 ? "SET a 1" : "INCR b");
            client_queue(crowd[i], i % 2 ? "BLPOP a 0" : "PSUBSCRIBE c*");
            client_flush(crowd[i]);
        }
        assert_reply(c, "ACL SETUSER u -get &d*", "+OK");
        assert_reply(c, "ACL DELUSER u", ":1");
        assert_reply(c, "LPUSH a 1", ":1");
        assert_reply(c, "DBSIZE", ":1");
        assert_reply(c, "DEL a", ":1");
        close_crowd(crowd);
    }
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        ACL_TEST(auth_takes_a_user_with_the_right_password),
        ACL_TEST(hello_logs_in_or_changes_nothing),
        ACL_TEST(a_stranger_may_only_log_in_or_leave),
        ACL_TEST(reset_goes_back_to_the_default_user),
        ACL_TEST(a_default_user_who_is_off_or_needs_a_password_stops_newcomers),
        ACL_TEST(requirepass_is_the_only_password_of_the_default_user),
        ACL_TEST(requirepass_leaves_the_rest_of_the_default_user),
        ACL_TEST(rights_change_at_once_on_all_workers),
        ACL_TEST(off_and_new_passwords_leave_live_connections),
        ACL_TEST(subscriptions_that_are_not_allowed_any_more_are_closed),
        ACL_TEST(subscriptions_of_other_users_are_left_alone),
        ACL_TEST(who_ends_its_own_subscription_gets_the_reply_first),
        ACL_TEST(deluser_closes_all_connections_of_the_user),
        ACL_TEST(who_removes_itself_gets_the_reply_first),
        ACL_TEST(who_removes_itself_in_a_transaction_gets_all_replies),
        ACL_TEST(users_come_and_go_under_load),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
