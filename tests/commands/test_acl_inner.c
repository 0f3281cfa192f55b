/* test_acl_inner.c: permission of commands that do not come straight from a connection: of transactions, of
 * scripts, and of clients that waited. */
#include "../harness/scripts.h"
#include "acl_support.h"
#include <stdlib.h>

#define ABORTED "-EXECABORT Transaction discarded because of previous errors."
#define CHANGED(reason)                                                                                      \
    "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This " \
    "command is no longer allowed for the following reason: " reason
#define LOST_COMMAND CHANGED("no permission to execute the command or subcommand")
#define LOST_KEY CHANGED("no permission to touch the specified keys")
#define LOST_CHANNEL CHANGED("no permission to access one of the channels used as arguments")
#define LOST_DATABASE CHANGED("no permission to access the database")

/* ---- transactions ---- */

static void a_denial_while_queueing_aborts_the_transaction(void **state) {
    static const struct permission_row rows[] = {
        { "+multi +exec +get +set +publish +ping ~a*", "MULTI", "+OK" },
        { NULL, "SET a 1", "+QUEUED" },
        { NULL, "DEL a", NO_COMMAND("del") },
        { NULL, "SET a 2", "+QUEUED" },
        { NULL, "EXEC", ABORTED },
        { NULL, "GET a", "$-1" },
        { NULL, "MULTI", "+OK" },
        { NULL, "GET b", NO_KEY },
        { NULL, "EXEC", ABORTED },
        { NULL, "MULTI", "+OK" },
        { NULL, "PUBLISH c m", NO_CHANNEL },
        { NULL, "EXEC", ABORTED },
        { NULL, "MULTI", "+OK" },
        { NULL, "DISCARD", NO_COMMAND("discard") },
        { NULL, "EXEC", ABORTED },
        { NULL, "MULTI", "+OK" },
        { NULL, "SET a 1", "+QUEUED" },
        { NULL, "EXEC", "*[+OK]" },
        { "+multi +set ~*", "MULTI", "+OK" },
        { NULL, "SET a 2", "+QUEUED" },
        { NULL, "EXEC",
          "-EXECABORT Transaction discarded because of: NOPERM User u has no permissions to run the 'exec' "
          "command" },
        { "+exec +get ~*", "EXEC", "-ERR EXEC without MULTI" },
        { NULL, "GET a", "$\"1\"" },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

static void a_right_that_is_lost_before_exec_fails_its_commands_only(void **state) {
    struct client *c = fixture_client(state);
    static const struct permission_row rows[] = {
        { "+@all ~* &*", "MULTI", "+OK" },
        { NULL, "SET a 1", "+QUEUED" },
        { NULL, "SET b 1", "+QUEUED" },
        { NULL, "GET a", "+QUEUED" },
        { NULL, "PUBLISH c m", "+QUEUED" },
        { NULL, "CONFIG GET hz", "+QUEUED" },
        { NULL, "SET a2 3", "+QUEUED" },
        { "+@all -get -config|get ~a* &d", "EXEC",
          "*[+OK, " LOST_KEY ", " LOST_COMMAND ", " LOST_CHANNEL ", " LOST_COMMAND ", +OK]" },
        { "+multi +set +exec ~*", "MULTI", "+OK" },
        { NULL, "SET a 2", "+QUEUED" },
        { "+multi +exec", "EXEC", "*[" LOST_COMMAND "]" },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
    assert_reply(c, "MGET a a2 b", "*[$\"1\", $\"3\", $-1]");
    assert_reply(c, "ACL LOG 1",
                 "*[*[$\"count\", :1, $\"reason\", $\"command\", $\"context\", $\"multi\", "
                 "$\"object\", $\"set\", $\"username\", $\"u\", ...");
}

static void databases_are_those_that_the_queued_selects_lead_to(void **state) {
    static const struct permission_row rows[] = {
        { "+@all ~* db=0,1", "MULTI", "+OK" },
        { NULL, "SELECT 1", "+QUEUED" },
        { NULL, "SET k 1", "+QUEUED" },
        { NULL, "SELECT 0", "+QUEUED" },
        { NULL, "SET k 0", "+QUEUED" },
        { NULL, "EXEC", "*[+OK, +OK, +OK, +OK]" },
        { NULL, "MULTI", "+OK" },
        { NULL, "SELECT 2", NO_DATABASE },
        { NULL, "EXEC", ABORTED },
        { "+@all ~* db=1", "SET k v", NO_DATABASE },
        { NULL, "MULTI", "+OK" },
        { NULL, "SELECT 1", "+QUEUED" },
        { NULL, "GET k", "+QUEUED" },
        { NULL, "EXEC", "*[+OK, $\"1\"]" },
        { NULL, "MULTI", "+OK" },
        { NULL, "GET k", "+QUEUED" },
        { "+@all ~* db=0", "EXEC", "*[" LOST_DATABASE "]" },
        { "+@all ~* db=0,1", "SELECT 0", "+OK" },
        { NULL, "MULTI", "+OK" },
        { NULL, "SELECT 1", "+QUEUED" },
        { NULL, "SET k 2", "+QUEUED" },
        { "+@all ~* db=0", "EXEC", "*[" LOST_DATABASE ", +OK]" },
        { NULL, "GET k", "$\"2\"" },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

/* ---- scripts ---- */

#define FAILURE(why) "-ERR ACL failure in script: " why
#define FAILS(why) FAILURE(why) AT(1)

struct script_permission {
    const char *rules, *script, *after, *reply;
};

static void each_command_of_a_script_is_asked_about(void **state) {
    static const struct script_permission rows[] = {
        { "+eval ~*", "return redis.call('set', 'a', '1')", "0",
          FAILS("User u has no permissions to run the 'set' command") },
        { "+eval +get ~a*", "return redis.call('get', 'b')", "0", FAILS("No permissions to access a key") },
        { "+eval +get ~a*", "return redis.call('get', 'a')", "0", "$-1" },
        { "+eval +get ~a*", "return redis.call('get', KEYS[1])", "1 a", "$-1" },
        { "+eval +get ~a*", "return 1", "1 b", NO_KEY },
        { "+get ~a*", "return 1", "0", NO_COMMAND("eval") },
        { "+eval +publish &c", "return redis.call('publish', 'd', 'm')", "0",
          FAILS("No permissions to access a channel") },
        { "+eval +config ~*", "return redis.call('config', 'get', 'hz')", "0",
          "-ERR This Redis command is not allowed from script" AT(1) },
        { "+eval +select +set +get ~* db=0", "return redis.call('select', '1')", "0",
          FAILS("No permissions to access database") },
        { "+eval +select +get ~* db=0,1", "redis.call('select', '1') return redis.call('get', 'a')", "0",
          "$-1" },
        { "+eval ~*", "return redis.pcall('set', 'a', '1')", "0",
          FAILURE("User u has no permissions to run the 'set' command") },
        { "+eval ~*", "return redis.pcall('set', 'a', '1').err", "0",
          "$\"ERR ACL failure in script: User u has no permissions to run the 'set' command\"" },
        { "+eval +set ~a", "redis.call('set', 'a', '1') redis.pcall('set', 'b', '1') return 7", "0", ":7" },
        { "+eval +exists ~*", "return redis.call('exists', 'a', 'b')", "0", ":1" },
        { "+eval +object|help", "return redis.call('object', 'encoding', 'a')", "0",
          FAILS("User u has no permissions to run the 'object|encoding' command") },
    };
    struct client *c = fixture_client(state);
    questioner = connect_with(state, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        set_rules(c, rows[i].rules);
        assert_script(questioner, "EVAL", rows[i].script, rows[i].after, rows[i].reply);
    }
}

static void a_denial_in_a_script_is_logged_as_lua(void **state) {
    struct client *c = fixture_client(state);
    questioner = connect_with(state, "+eval ~*");
    assert_script(questioner, "EVAL", "return redis.call('set', 'a', '1')", "0", "-ERR ACL failure...");
    assert_reply(c, "ACL LOG",
                 "*[*[$\"count\", :1, $\"reason\", $\"command\", $\"context\", $\"lua\", "
                 "$\"object\", $\"set\", $\"username\", $\"u\", ...cmd=eval user=u ...]]");
}

static void functions_have_the_rights_of_who_calls_them(void **state) {
    struct client *c = fixture_client(state);
    assert_load(c,
                "#!lua name=l\n"
                "redis.register_function('f', function(keys) return redis.call('get', keys[1] or 'b') end)",
                "$\"l\"");
    static const struct permission_row rows[] = {
        { "+fcall +get ~a", "FCALL f 1 a", "$-1" },
        { NULL, "FCALL f 0", FAILURE("No permissions to access a key") IN_FUNCTION("f", 2) },
        { NULL, "FCALL f 1 b", NO_KEY },
        { NULL, "FCALL_RO f 1 a", NO_COMMAND("fcall_ro") },
        { "+fcall ~*", "FCALL f 1 a",
          FAILURE("User u has no permissions to run the 'get' command") IN_FUNCTION("f", 2) },
        { "+get ~*", "FCALL f 1 a", NO_COMMAND("fcall") },
        { "+function|list", "FUNCTION FLUSH", NO_COMMAND("function|flush") },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
    assert_reply(c, "FUNCTION FLUSH", "+OK");
}

static void acl_check_cmd_tells_a_script_what_it_may(void **state) {
    static const struct script_permission rows[] = {
        { "+eval +get +publish +psubscribe +select +copy +migrate ~a &c db=0",
          "return redis.acl_check_cmd('get', 'a')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('GET', 'a')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('get', 'b')", "0", "$-1" },
        { NULL, "return redis.acl_check_cmd('set', 'a', 1)", "0", "$-1" },
        { NULL, "return redis.acl_check_cmd('publish', 'd', 'm')", "0", "$-1" },
        { NULL, "return redis.acl_check_cmd('config', 'get', 'x')", "0", "$-1" },
        { NULL, "return redis.acl_check_cmd('auth', 'x')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('nosuch')", "0",
          "-ERR Invalid command passed to server.acl_check_cmd()" AT(1) },
        { NULL, "return redis.acl_check_cmd()", "0",
          "-ERR Please specify at least one argument for this call" AT(1) },
        { NULL, "return redis.acl_check_cmd({})", "0",
          "-ERR Command arguments must be strings or integers" AT(1) },
        { NULL, "return redis.acl_check_cmd('get', 'a', 'b')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('get')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('set')", "0", "$-1" },
        { NULL, "return redis.acl_check_cmd('publish')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('psubscribe')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('select')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('copy', 'a')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('eval')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('eval', 'x')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('eval', 'x', '1', 'b')", "0", "$-1" },
        { NULL, "return redis.acl_check_cmd('migrate')", "0", ":1" },
        { NULL, "return redis.acl_check_cmd('config')", "0", "$-1" },
        { NULL, "return redis.acl_check_cmd('config', 'nosuch')", "0",
          "-ERR Invalid command passed to server.acl_check_cmd()" AT(1) },
    };
    struct client *c = fixture_client(state);
    questioner = connect_with(state, rows[0].rules);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_script(questioner, "EVAL", rows[i].script, rows[i].after, rows[i].reply);
    assert_reply(c, "ACL LOG", "*[]");
}

/* ---- clients that waited ---- */

struct waiting_row {
    const char *wait;   /* what "u" waits in, for a key named "key" */
    const char *lost;   /* rules that take the right away */
    const char *write;  /* what would serve it */
    const char *reply;  /* what "u" hears */
    const char *logged; /* reason and object in ACL LOG */
};

#define REASON_KEY(key) "$\"reason\", $\"key\", $\"context\", $\"toplevel\", $\"object\", $\"" key "\""
#define REASON_COMMAND(name) \
    "$\"reason\", $\"command\", $\"context\", $\"toplevel\", $\"object\", $\"" name "\""

static const struct waiting_row waiting_rows[] = {
    { "BLPOP other key 0", "%R~key ~other", "RPUSH key a", NO_KEY, REASON_KEY("key") },
    { "BRPOP key 0", "~other", "RPUSH key a", NO_KEY, REASON_KEY("key") },
    { "BLPOP key 0", "~* -blpop", "RPUSH key a", NO_COMMAND("blpop"), REASON_COMMAND("blpop") },
    { "BLMPOP 0 1 key LEFT", "~other", "RPUSH key a", NO_KEY, REASON_KEY("key") },
    { "BLMOVE key to LEFT LEFT 0", "~to", "RPUSH key a", NO_KEY, REASON_KEY("key") },
    { "BLMOVE key to LEFT LEFT 0", "~key %R~to", "RPUSH key a", NO_KEY, REASON_KEY("to") },
    { "BRPOPLPUSH key to 0", "~key", "RPUSH key a", NO_KEY, REASON_KEY("to") },
    { "BZPOPMIN key 0", "~other", "ZADD key 1 a", NO_KEY, REASON_KEY("key") },
    { "BZPOPMAX key 0", "%R~key", "ZADD key 1 a", NO_KEY, REASON_KEY("key") },
    { "BZMPOP 0 1 key MIN", "%W~key", "ZADD key 1 a", NO_KEY, REASON_KEY("key") },
    { "XREAD BLOCK 0 STREAMS key $", "%W~key", "XADD key 1-1 f v", NO_KEY, REASON_KEY("key") },
    { "BLPOP key 0", "~* db=1", "RPUSH key a", NO_DATABASE,
      "$\"reason\", $\"database\", $\"context\", $\"toplevel\", $\"object\", $\"BLPOP\"" },
};

static void who_waited_and_may_not_any_more_is_denied_when_served(void **state) {
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(waiting_rows); i++) {
        const struct waiting_row *row = &waiting_rows[i];
        char text[512];
        assert_reply(c, "FLUSHALL", "+OK");
        assert_reply(c, "ACL LOG RESET", "+OK");
        questioner = connect_with(state, "+@all ~*");
        assert_reply(questioner, "CLIENT SETNAME waiter", "+OK");
        send_and_wait(c, questioner, row->wait);
        snprintf(text, sizeof text, "+@all %s", row->lost);
        set_rules(c, text);
        client_send(c, "%s", row->write);
        client_skip(c, 1);
        assert_next(questioner, row->reply);
        assert_reply(c, "EXISTS key to", ":1"); /* nothing was taken */
        snprintf(text, sizeof text,
                 "*[*[$\"count\", :1, %s, $\"username\", $\"u\", $\"age-seconds\", ..., "
                 "$\"client-info\", $\"id=... name=waiter ... user=u ...",
                 row->logged);
        assert_reply(c, "ACL LOG", text);
        assert_reply(questioner, "PING", "+PONG");
        client_close(questioner);
        questioner = NULL;
    }
}

static void the_next_in_line_gets_what_the_denied_one_may_not_have(void **state) {
    struct client *c = fixture_client(state), *next = connect_another(state);
    questioner = connect_with(state, "+@all ~*");
    send_and_wait(c, questioner, "BLPOP key 0");
    send_and_wait(c, next, "BLPOP key 0");
    set_rules(c, "+@all ~other");
    assert_reply(c, "RPUSH key a", ":1");
    assert_next(questioner, NO_KEY);
    assert_next(next, "*[$\"key\", $\"a\"]");
    client_close(next);
}

static void who_waited_in_a_group_is_denied_too(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "XGROUP CREATE key g $ MKSTREAM", "+OK");
    questioner = connect_with(state, "+@all ~*");
    send_and_wait(c, questioner, "XREADGROUP GROUP g one BLOCK 0 STREAMS key >");
    set_rules(c, "+@all %W~key");
    assert_reply(c, "XADD key 1-1 f v", "$\"1-1\"");
    assert_next(questioner, NO_KEY);
    assert_reply(c, "XPENDING key g", "*[:0, $-1, $-1, *-1]");
}

/* Rights that come back before anything happens were never gone. */
static void who_may_again_is_served(void **state) {
    struct client *c = fixture_client(state);
    questioner = connect_with(state, "+@all ~*");
    send_and_wait(c, questioner, "BLPOP key 0");
    set_rules(c, "+@all ~other");
    set_rules(c, "+@all ~key");
    assert_reply(c, "RPUSH key a", ":1");
    assert_next(questioner, "*[$\"key\", $\"a\"]");
    assert_reply(c, "ACL LOG", "*[]");
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        ACL_TEST(a_denial_while_queueing_aborts_the_transaction),
        ACL_TEST(a_right_that_is_lost_before_exec_fails_its_commands_only),
        ACL_TEST(databases_are_those_that_the_queued_selects_lead_to),
        ACL_TEST(each_command_of_a_script_is_asked_about),
        ACL_TEST(a_denial_in_a_script_is_logged_as_lua),
        ACL_TEST(functions_have_the_rights_of_who_calls_them),
        ACL_TEST(acl_check_cmd_tells_a_script_what_it_may),
        ACL_TEST(who_waited_and_may_not_any_more_is_denied_when_served),
        ACL_TEST(the_next_in_line_gets_what_the_denied_one_may_not_have),
        ACL_TEST(who_waited_in_a_group_is_denied_too),
        ACL_TEST(who_may_again_is_served),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
