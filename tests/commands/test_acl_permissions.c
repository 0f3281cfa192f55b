/* test_acl_permissions.c: what a user may do, over the wire: commands, keys, channels, databases, selectors.
 * Transactions, scripts and waiting clients are in test_acl_inner.c. */
#include "acl_support.h"

#define SORT_DENIED(option) "-ERR " option " option of SORT denied due to insufficient ACL permissions."

/* ---- commands ---- */

static void a_new_user_may_only_log_in_and_out(void **state) {
    static const struct permission_row rows[] = {
        { "", "PING", NO_COMMAND("ping") },
        { NULL, "GET a", NO_COMMAND("get") },
        { NULL, "MULTI", NO_COMMAND("multi") },
        { NULL, "ACL WHOAMI", NO_COMMAND("acl|whoami") },
        { NULL, "CONFIG", "-ERR wrong number of arguments for 'config' command" },
        { NULL, "CONFIG FOO", "-ERR unknown subcommand 'FOO'. Try CONFIG HELP." },
        { NULL, "NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: " },
        { NULL, "GET", "-ERR wrong number of arguments for 'get' command" },
        { NULL, "HELLO 2", "*[$\"server\", ..." },
        { NULL, "AUTH u y", "+OK" },
        { NULL, "AUTH u y z", "-ERR syntax error" },
        { NULL, "RESET", "+RESET" },
        { NULL, "AUTH u x", "+OK" },
        { "-@all -@connection -auth -hello -reset -quit", "HELLO 2", "*[$\"server\", ..." },
        { NULL, "AUTH u x", "+OK" },
        { NULL, "QUIT", "+OK" },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

static void commands_are_allowed_one_by_one_by_category_and_by_subcommand(void **state) {
    static const struct permission_row rows[] = {
        { "~* +get", "GET a", "$-1" },
        { NULL, "get a", "$-1" },
        { NULL, "SET a 1", NO_COMMAND("set") },
        { "~* +@read", "GET a", "$-1" },
        { NULL, "SET a 1", NO_COMMAND("set") },
        { "~* +@write", "SET a 1", "+OK" },
        { NULL, "GET a", NO_COMMAND("get") },
        { "~* +@all -@write", "GET a", "$\"1\"" },
        { NULL, "SET a 1", NO_COMMAND("set") },
        { NULL, "DEL a", NO_COMMAND("del") },
        { "~* +@all -@dangerous +keys", "KEYS a", "*[$\"a\"]" },
        { NULL, "CONFIG GET port", NO_COMMAND("config|get") },
        { NULL, "INFO", NO_COMMAND("info") },
        { "+@string -@write", "GET a", NO_KEY },
        { NULL, "SET a 1", NO_COMMAND("set") },
        { "+config", "CONFIG GET hz", "*[..." },
        { NULL, "CONFIG RESETSTAT", "+OK" },
        { "+config|get", "CONFIG GET hz", "*[..." },
        { NULL, "config SET hz 10", NO_COMMAND("config|set") },
        { "+config -config|set", "CONFIG GET hz", "*[..." },
        { NULL, "CONFIG SET hz 10", NO_COMMAND("config|set") },
        { "+@all -config|get", "CONFIG GET hz", NO_COMMAND("config|get") },
        { NULL, "CONFIG SET hz 10", "+OK" },
        { "+@all -config", "CONFIG GET hz", NO_COMMAND("config|get") },
        { "-config +config|get", "CONFIG GET hz", "*[..." },
        { "+@admin", "CONFIG GET hz", "*[..." },
        { NULL, "PING", NO_COMMAND("ping") },
        { "+@admin -config|get", "CONFIG GET hz", NO_COMMAND("config|get") },
        { "+command", "COMMAND COUNT", ":..." },
        { NULL, "COMMAND", "*[..." },
        { "+command|count", "COMMAND COUNT", ":..." },
        { NULL, "COMMAND", NO_COMMAND("command") },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

static void a_command_may_be_allowed_for_a_first_argument_only(void **state) {
    static const struct permission_row rows[] = {
        { "+select|0 +select|2", "SELECT 0", "+OK" },
        { NULL, "SELECT 2", "+OK" },
        { NULL, "SELECT 1", NO_COMMAND("select") },
        { NULL, "SELECT 02", NO_COMMAND("select") },
        { NULL, "SELECT", "-ERR wrong number of arguments for 'select' command" },
        { "+SET|Foo ~*", "SET foo 1", "+OK" },
        { NULL, "SET FOO 1", "+OK" },
        { NULL, "SET fo 1", NO_COMMAND("set") },
        { NULL, "SET fooo 1", NO_COMMAND("set") },
        { "+set|foo ~f", "SET foo 1", NO_KEY },
        { "+select|0 -select", "SELECT 0", NO_COMMAND("select") },
        { "+select|0 -@connection", "SELECT 0", NO_COMMAND("select") },
        { "-select +select|0", "SELECT 0", "+OK" },
        { "+select|1 +select", "SELECT 0", "+OK" },
        { "+ping|x", "PING", NO_COMMAND("ping") },
        { NULL, "PING x", "$\"x\"" },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

/* ---- keys ---- */

static void each_key_must_match_a_pattern(void **state) {
    static const struct permission_row rows[] = {
        { "+@all ~a* ~b?c", "SET a 1", "+OK" },
        { NULL, "SET abc 1", "+OK" },
        { NULL, "SET bxc 1", "+OK" },
        { NULL, "SET bc 1", NO_KEY },
        { NULL, "SET ba 1", NO_KEY },
        { NULL, "SET \"\" 1", NO_KEY },
        { NULL, "MSET a 1 abc 2", "+OK" },
        { NULL, "MSET a 1 x 2", NO_KEY },
        { NULL, "MGET x a", NO_KEY },
        { NULL, "EXISTS a x", NO_KEY },
        { NULL, "DEL a x", NO_KEY },
        { NULL, "RENAME a x", NO_KEY },
        { NULL, "RENAME x a", NO_KEY },
        { NULL, "LMPOP 2 a x LEFT", NO_KEY },
        { NULL, "ZUNIONSTORE a 1 x", NO_KEY },
        { NULL, "XREAD STREAMS ab x 0 0", NO_KEY },
        { NULL, "MEMORY USAGE x", NO_KEY },
        { NULL, "OBJECT ENCODING x", NO_KEY },
        { NULL, "BITOP AND a x a", NO_KEY },
        { NULL, "WATCH x", NO_KEY },
        { NULL, "GET a", "$\"1\"" },
        { "+@all", "GET a", NO_KEY },
        { NULL, "PING", "+PONG" },
        { "+@all ~", "SET \"\" 1", "+OK" },
        { NULL, "SET a 1", NO_KEY },
        { "+@all &* %RW~*", "SET \"\" 1", NO_KEY },
        { NULL, "SET a 1", "+OK" },
        { "+@all ~[a-c]", "GET b", "$-1" },
        { NULL, "GET d", NO_KEY },
        { "+@all ~\\*", "GET \"*\"", "$-1" },
        { NULL, "GET a", NO_KEY },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

static void names_of_all_keys_are_listed_to_everybody(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SET secret 1", "+OK");
    static const struct permission_row rows[] = {
        { "+keys +scan +randomkey +dbsize ~a", "KEYS *", "*[$\"secret\"]" },
        { NULL, "SCAN 0", "*[$\"0\", *[$\"secret\"]]" },
        { NULL, "RANDOMKEY", "$\"secret\"" },
        { NULL, "DBSIZE", ":1" },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

static void reading_and_writing_of_keys_are_allowed_apart(void **state) {
    static const struct permission_row rows[] = {
        { "+@all %R~r* %W~w* ~b*", "SET w 1", "+OK" },
        { NULL, "GET w", NO_KEY },
        { NULL, "SET r 1", NO_KEY },
        { NULL, "GET r", "$-1" },
        { NULL, "SET w 1 GET", NO_KEY },
        { NULL, "SET b 1 GET", "$-1" },
        { NULL, "SET w 1 IFEQ 1", NO_KEY },
        { NULL, "GETDEL w", NO_KEY },
        { NULL, "DEL w", ":1" },
        { NULL, "DEL r", NO_KEY },
        { NULL, "INCR w", NO_KEY },
        { NULL, "INCR b", ":2" },
        { NULL, "APPEND w x", ":1" },
        { NULL, "BITFIELD r GET u8 0", "*[:0]" },
        { NULL, "BITFIELD r SET u8 0 1", NO_KEY },
        { NULL, "BITFIELD w SET u8 0 1", NO_KEY },
        { NULL, "EXISTS w r b", ":2" },
        { NULL, "TYPE w", "+string" },
        { NULL, "STRLEN w", ":1" },
        { NULL, "TYPE r", "+none" },
        { NULL, "TTL r", ":-2" },
        { NULL, "EXPIRE w 100", ":1" },
        { NULL, "EXPIRE r 100", NO_KEY },
        { NULL, "COPY r w2", ":0" },
        { NULL, "COPY w r", NO_KEY },
        { NULL, "COPY w w2", NO_KEY },
        { NULL, "COPY b r", NO_KEY },
        { NULL, "SUNIONSTORE w r b2", ":0" },
        { NULL, "SUNIONSTORE r b2", NO_KEY },
        { NULL, "SORT r STORE w", ":0" },
        { NULL, "SORT w STORE w", NO_KEY },
        { NULL, "SORT r STORE r", NO_KEY },
        { NULL, "GEORADIUS r 1 1 1 m STORE w", ":0" },
        { NULL, "GEORADIUS r 1 1 1 m STORE r", NO_KEY },
        { NULL, "GEORADIUS r 1 1 1 m STOREDIST r", NO_KEY },
        { "+@all %R~k %W~k", "INCR k", ":1" },
        { "+@all %R~k* %W~k", "SET k 1 GET", NO_KEY }, /* both must come from one pattern */
        { NULL, "SET k 1", "+OK" },
        { NULL, "GET k", "$\"1\"" },
        { "+@all %R~*", "GET x", "$-1" },
        { NULL, "SET x 1", NO_KEY },
        { "+@all %W~*", "SET x 1", "+OK" },
        { NULL, "GET x", NO_KEY },
        { "+@all %RW~*", "INCR x", ":2" },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

static void patterns_of_sort_need_all_keys(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "RPUSH a 2 1", ":2");
    assert_reply(c, "MSET w_1 1 w_2 2 d_1 one d_2 two", "+OK");
    static const struct permission_row rows[] = {
        { "+sort +sort_ro ~a* ~w_* ~d_*", "SORT a", "*[$\"1\", $\"2\"]" },
        { NULL, "SORT a BY w_*", SORT_DENIED("BY") },
        { NULL, "SORT a GET d_*", SORT_DENIED("GET") },
        { NULL, "SORT a GET #", SORT_DENIED("GET") },
        { NULL, "SORT_RO a BY w_*", SORT_DENIED("BY") },
        { NULL, "SORT a BY nosort", "*[$\"2\", $\"1\"]" },
        { "+sort %R~*", "SORT a BY w_* GET d_*", "*[$\"one\", $\"two\"]" },
        { "+sort %W~* ~a", "SORT a BY w_*", SORT_DENIED("BY") },
        { "+sort ~*", "SORT a BY w_* GET d_*", "*[$\"one\", $\"two\"]" },
        { "+sort ~a (+sort ~*)", "SORT a BY w_*", "*[$\"1\", $\"2\"]" },
        { "+sort ~a (+get ~*)", "SORT a BY w_*", SORT_DENIED("BY") },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

/* Whether the target is there does not matter: permission comes first. */
static void migrate_needs_its_keys(void **state) {
    static const struct permission_row rows[] = {
        { "+migrate ~a*", "MIGRATE 127.0.0.1 1 a 0 100", "+NOKEY" },
        { NULL, "MIGRATE 127.0.0.1 1 x 0 100", NO_KEY },
        { NULL, "MIGRATE 127.0.0.1 1 \"\" 0 100 KEYS a ab", "+NOKEY" },
        { NULL, "MIGRATE 127.0.0.1 1 \"\" 0 100 KEYS a x", NO_KEY },
        { NULL, "MIGRATE 127.0.0.1 1 \"\" 0 100 COPY AUTH2 keys x KEYS a", "+NOKEY" },
        { "+migrate %R~a", "MIGRATE 127.0.0.1 1 a 0 100", NO_KEY },
        { "+migrate %W~a", "MIGRATE 127.0.0.1 1 a 0 100", NO_KEY },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

/* ---- channels ---- */

static void channels_match_by_glob_and_patterns_must_be_the_very_same(void **state) {
    static const struct permission_row rows[] = {
        { "+@all &c*", "PUBLISH c1 m", ":0" },
        { NULL, "PUBLISH d m", NO_CHANNEL },
        { NULL, "SPUBLISH d m", NO_CHANNEL },
        { NULL, "SPUBLISH c m", ":0" },
        { NULL, "SUBSCRIBE d", NO_CHANNEL },
        { NULL, "SUBSCRIBE c d", NO_CHANNEL },
        { NULL, "SSUBSCRIBE d", NO_CHANNEL },
        { NULL, "PSUBSCRIBE *", NO_CHANNEL },
        { NULL, "PSUBSCRIBE cx*", NO_CHANNEL },
        { NULL, "PSUBSCRIBE c", NO_CHANNEL },
        { NULL, "PUBSUB CHANNELS", "*[]" },
        { NULL, "SUBSCRIBE cc", "*[$\"subscribe\", $\"cc\", :1]" },
        { NULL, "PSUBSCRIBE c*", "*[$\"psubscribe\", $\"c*\", :2]" },
        { NULL, "SSUBSCRIBE c", "*[$\"ssubscribe\", $\"c\", :1]" },
        { NULL, "SUBSCRIBE d", NO_CHANNEL },
        { NULL, "UNSUBSCRIBE d", "*[$\"unsubscribe\", $\"d\", :2]" },
        { NULL, "PUNSUBSCRIBE d*", "*[$\"punsubscribe\", $\"d*\", :2]" },
        { NULL, "SUNSUBSCRIBE d", "*[$\"sunsubscribe\", $\"d\", :1]" },
        { NULL, "RESET", "+RESET" },
        { NULL, "AUTH u x", "+OK" },
        { "+@all &*", "PSUBSCRIBE anything*", "*[$\"psubscribe\", $\"anything*\", :1]" },
        { NULL, "RESET", "+RESET" },
        { NULL, "AUTH u x", "+OK" },
        { "+@all", "PUBLISH c m", NO_CHANNEL },
        { "+@all &", "PUBLISH \"\" m", ":0" },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

/* ---- selectors ---- */

static void one_selector_must_permit_the_whole_command(void **state) {
    static const struct permission_row rows[] = {
        { "+get ~a (+set ~b)", "GET a", "$-1" },
        { NULL, "SET b 1", "+OK" },
        { NULL, "GET b", NO_KEY },
        { NULL, "SET a 1", NO_KEY },
        { NULL, "DEL a", NO_COMMAND("del") },
        { "(+mget ~a) (+mget ~b)", "MGET a", "*[$-1]" },
        { NULL, "MGET b", "*[$\"1\"]" },
        { NULL, "MGET a b", NO_KEY },
        { "+set %R~k (+set %W~k)", "SET k 1", "+OK" },
        { NULL, "SET k 1 GET", NO_KEY },
        { "+@all ~* (+publish &c)", "PUBLISH c m", ":0" },
        { NULL, "SUBSCRIBE c", NO_CHANNEL },
        { "(+get ~* db=1) (+select)", "GET a", NO_COMMAND("get") }, /* the closest denial is told */
        { NULL, "SELECT 1", "+OK" },
        { NULL, "GET a", "$-1" },
        { "(+@all ~* &*)", "FLUSHALL", "+OK" },
        { "+@all ~* &* clearselectors -get", "GET a", NO_COMMAND("get") },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

/* ---- databases ---- */

static void databases_are_allowed_by_number(void **state) {
    static const struct permission_row rows[] = {
        { "+@all ~* &* db=0,2", "SELECT 2", "+OK" },
        { NULL, "SELECT 1", NO_DATABASE },
        { NULL, "SELECT 3000000000", NO_DATABASE },
        { NULL, "SELECT -1", "-ERR DB index is out of range" },
        { NULL, "SELECT x", "-ERR value is not an integer or out of range" },
        { NULL, "SELECT 0", "+OK" },
        { NULL, "SET k v", "+OK" },
        { NULL, "MOVE k 1", NO_DATABASE },
        { NULL, "MOVE k 2", ":1" },
        { NULL, "SET k v", "+OK" },
        { NULL, "COPY k j DB 1", NO_DATABASE },
        { NULL, "COPY k j REPLACE DB 1", NO_DATABASE },
        { NULL, "COPY k j DB 2", ":1" },
        { NULL, "COPY k db", ":1" },
        { NULL, "SWAPDB 0 1", NO_DATABASE },
        { NULL, "SWAPDB 1 0", NO_DATABASE },
        { NULL, "SWAPDB 0 2", "+OK" },
        { NULL, "FLUSHDB", "+OK" },
        { NULL, "FLUSHALL", NO_DATABASE },
        { NULL, "PING", "+PONG" },
        { "+@all ~* &* alldbs", "FLUSHALL", "+OK" },
        { NULL, "SELECT 1", "+OK" },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

/* After the user lost the database that its connection is in. */
static void a_forbidden_current_database_stops_what_works_on_data(void **state) {
    static const struct permission_row rows[] = {
        { "+@all ~* &* db=1", "PING", "+PONG" },
        { NULL, "ECHO a", "$\"a\"" },
        { NULL, "PUBLISH c m", ":0" },
        { NULL, "MULTI", "+OK" },
        { NULL, "DISCARD", "+OK" },
        { NULL, "CONFIG GET hz", "*[..." },
        { NULL, "GET k", NO_DATABASE },
        { NULL, "SET k v", NO_DATABASE },
        { NULL, "EXISTS k", NO_DATABASE },
        { NULL, "KEYS *", NO_DATABASE },
        { NULL, "SCAN 0", NO_DATABASE },
        { NULL, "DBSIZE", NO_DATABASE },
        { NULL, "RANDOMKEY", NO_DATABASE },
        { NULL, "FLUSHDB", NO_DATABASE },
        { NULL, "WATCH k", NO_DATABASE },
        { NULL, "OBJECT ENCODING k", NO_DATABASE },
        { NULL, "MEMORY USAGE k", NO_DATABASE },
        { NULL, "MIGRATE 127.0.0.1 1 k 1 100", NO_DATABASE },
        { NULL, "SORT k", NO_DATABASE },
        { NULL, "EVAL \"return 1\" 0", NO_DATABASE },
        { NULL, "SELECT 1", "+OK" },
        { NULL, "GET k", "$-1" },
        { NULL, "DBSIZE", ":0" },
        { "+@all ~* &* resetdbs", "GET k", NO_DATABASE },
        { NULL, "SELECT 1", NO_DATABASE },
        { NULL, "PING", "+PONG" },
        { NULL, "FLUSHALL", NO_DATABASE },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ACL_TEST(a_new_user_may_only_log_in_and_out),
        ACL_TEST(commands_are_allowed_one_by_one_by_category_and_by_subcommand),
        ACL_TEST(a_command_may_be_allowed_for_a_first_argument_only),
        ACL_TEST(each_key_must_match_a_pattern),
        ACL_TEST(names_of_all_keys_are_listed_to_everybody),
        ACL_TEST(reading_and_writing_of_keys_are_allowed_apart),
        ACL_TEST(patterns_of_sort_need_all_keys),
        ACL_TEST(migrate_needs_its_keys),
        ACL_TEST(channels_match_by_glob_and_patterns_must_be_the_very_same),
        ACL_TEST(one_selector_must_permit_the_whole_command),
        ACL_TEST(databases_are_allowed_by_number),
        ACL_TEST(a_forbidden_current_database_stops_what_works_on_data),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
