/* test_acl_log.c: ACL LOG and the counters of denials in INFO. How time parts entries is tested with a clock
 * of its own in tests/unit/engine/access/test_access_log.c. */
#include "acl_support.h"

#define ENTRY(count, reason, context, object, user)                                     \
    "*[$\"count\", :" count ", $\"reason\", $\"" reason "\", $\"context\", $\"" context \
    "\", $\"object\", $\"" object "\", $\"username\", $\"" user "\", ..."

static void every_kind_of_denial_has_an_entry(void **state) {
    struct client *c = fixture_client(state);
    static const struct permission_row rows[] = {
        { "+get +mset +publish +psubscribe +select +eval +multi +set ~a &c db=0", "DEL a",
          NO_COMMAND("del") },
        { NULL, "CONFIG GET hz", NO_COMMAND("config|get") },
        { NULL, "MSET a 1 secret 2", NO_KEY },
        { NULL, "PUBLISH chan m", NO_CHANNEL },
        { NULL, "PSUBSCRIBE c ch*", NO_CHANNEL },
        { NULL, "SELECT 7", NO_DATABASE },
        { NULL, "EVAL \"return redis.call('get', 'x')\" 0", "-ERR ACL failure in script..." },
        { NULL, "MULTI", "+OK" },
        { NULL, "SET \"odd\\xff\\nkey\" 1", NO_KEY },
        { NULL, "RESET", "+RESET" },
        { NULL, "MULTI", "+OK" },
        { NULL, "AUTH nosuch pw", "+QUEUED" },
        { NULL, "EXEC", "*[" WRONGPASS "]" },
        { NULL, "auth u", "-ERR AUTH <password>..." },
        { NULL, "HELLO 3 AUTH nosuch2 pw", WRONGPASS },
        { NULL, "auth nosuch3 pw", WRONGPASS },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
    struct node *log = client_ask_node(c, "ACL LOG 100");
    struct text shown = { 0 };
    static const char *const wanted[] = {
        ENTRY("1", "auth", "toplevel", "auth", "nosuch3"),
        ENTRY("1", "auth", "toplevel", "HELLO", "nosuch2"),
        ENTRY("1", "auth", "multi", "AUTH", "nosuch"),
        ENTRY("1", "key", "multi", "odd\\xff\\nkey", "u"),
        ENTRY("1", "key", "lua", "x", "u"),
        ENTRY("1", "database", "toplevel", "7", "u"),
        ENTRY("1", "channel", "toplevel", "ch*", "u"),
        ENTRY("1", "channel", "toplevel", "chan", "u"),
        ENTRY("1", "key", "toplevel", "secret", "u"),
        ENTRY("1", "command", "toplevel", "config|get", "u"),
        ENTRY("1", "command", "toplevel", "del", "u"),
    };
    assert_int_equal(log->count, COUNT_OF(wanted));
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        text_clear(&shown);
        node_describe(log->items[i], &shown);
        if (!text_matches(wanted[i], text_str(&shown)))
            fail_msg("entry %zu\n expected %s\n got      %s", i, wanted[i], text_str(&shown));
    }
    text_release(&shown);
    node_free(log);
}

static void an_entry_tells_who_and_when(void **state) {
    struct client *c = fixture_client(state);
    questioner = connect_with(state, "");
    assert_reply(questioner, "GET k", NO_COMMAND("get"));
    assert_reply(c, "ACL LOG",
                 "*[*[$\"count\", :1, $\"reason\", $\"command\", $\"context\", $\"toplevel\", $\"object\", "
                 "$\"get\", $\"username\", $\"u\", $\"age-seconds\", $\"0...\", $\"client-info\", $\"id=... "
                 "cmd=get user=u ...\", $\"entry-id\", :..., $\"timestamp-created\", :1..., "
                 "$\"timestamp-last-updated\", :1...]]");
    assert_reply(c, "HELLO 3", "...");
    assert_reply(c, "ACL LOG",
                 "*[%{$\"count\": :1, $\"reason\": $\"command\", $\"context\": $\"toplevel\", $\"object\": "
                 "$\"get\", $\"username\": $\"u\", $\"age-seconds\": ,0..., $\"client-info\": $\"id=...\", "
                 "$\"entry-id\": :..., $\"timestamp-created\": :1..., $\"timestamp-last-updated\": :1...}]");
}

static int64_t number_in(const struct node *entry, const char *field) {
    return node_lookup(entry, field)->number;
}

static void the_same_again_raises_the_count_and_comes_to_the_front(void **state) {
    struct client *c = fixture_client(state), *other;
    questioner = connect_with(state, "+ping +eval +multi");
    other = connect_another(state);
    assert_reply(other, "AUTH u x", "+OK");
    assert_reply(questioner, "GET a", NO_COMMAND("get"));
    assert_reply(questioner, "SET a 1", NO_COMMAND("set"));
    assert_reply(other, "GET b", NO_COMMAND("get"));
    struct node *log = client_ask_node(c, "ACL LOG");
    assert_int_equal(log->count, 2);
    const struct node *get = log->items[0], *set = log->items[1];
    assert_string_equal(text_str(&node_lookup(get, "object")->bytes), "get");
    assert_int_equal(number_in(get, "count"), 2);
    assert_int_equal(number_in(set, "count"), 1);
    assert_int_equal(number_in(set, "entry-id"), number_in(get, "entry-id") + 1);
    assert_true(number_in(get, "timestamp-last-updated") >= number_in(get, "timestamp-created"));
    char mark[32];
    snprintf(mark, sizeof mark, "id=%lld ", (long long)client_ask_int(c, "CLIENT ID") + 2);
    assert_non_null(strstr(text_str(&node_lookup(get, "client-info")->bytes), mark)); /* of `other` */
    node_free(log);
    /* Another context is another entry. */
    assert_reply(other, "MULTI", "+OK");
    assert_reply(other, "GET b", NO_COMMAND("get"));
    assert_reply(c, "ACL LOG 1", "*[" ENTRY("1", "command", "multi", "get", "u") "]");
    client_close(other);
}

static void only_the_ten_newest_are_looked_at_for_the_same(void **state) {
    struct client *c = fixture_client(state);
    questioner = connect_with(state, "+get");
    for (int i = 0; i <= 10; i++) {
        client_send(questioner, "GET k%d", i);
        assert_next(questioner, NO_KEY);
    }
    assert_reply(questioner, "GET k1", NO_KEY);
    assert_reply(c, "ACL LOG 1", "*[" ENTRY("2", "key", "toplevel", "k1", "u") "]");
    assert_reply(questioner, "GET k0", NO_KEY);
    assert_reply(c, "ACL LOG 1", "*[" ENTRY("1", "key", "toplevel", "k0", "u") "]");
}

static size_t shown_by(struct client *c, const char *command) {
    struct node *log = client_ask_node(c, "%s", command);
    assert_false(node_is_error(log));
    size_t count = log->count;
    node_free(log);
    return count;
}

static void ten_are_shown_or_as_many_as_are_asked_for(void **state) {
    struct client *c = fixture_client(state);
    questioner = connect_with(state, "+get");
    assert_int_equal(shown_by(c, "ACL LOG"), 0);
    for (int i = 0; i < 30; i++) {
        client_send(questioner, "GET k%d", i);
        assert_next(questioner, NO_KEY);
    }
    assert_int_equal(shown_by(c, "ACL LOG"), 10);
    assert_int_equal(shown_by(c, "ACL LOG 1"), 1);
    assert_int_equal(shown_by(c, "ACL LOG 25"), 25);
    assert_int_equal(shown_by(c, "ACL LOG 31"), 30);
    assert_int_equal(shown_by(c, "ACL LOG 9223372036854775807"), 30);
    assert_int_equal(shown_by(c, "ACL LOG 0"), 0);
    assert_int_equal(shown_by(c, "ACL LOG -1"), 0);
    static const struct exchange rows[] = {
        { "ACL LOG FOO", "-ERR value is not an integer or out of range" },
        { "ACL LOG 9223372036854775808", "-ERR value is not an integer or out of range" },
        { "ACL LOG 1 2", "-ERR unknown subcommand or wrong number of arguments for 'LOG'. Try ACL HELP." },
        { "ACL LOG reset", "+OK" },
        { "ACL LOG", "*[]" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void the_log_is_as_long_as_the_setting_says(void **state) {
    struct client *c = fixture_client(state);
    questioner = connect_with(state, "+get");
    assert_reply(c, "CONFIG SET acllog-max-len 3", "+OK");
    for (int i = 0; i < 5; i++) {
        client_send(questioner, "GET k%d", i);
        assert_next(questioner, NO_KEY);
    }
    assert_int_equal(shown_by(c, "ACL LOG 100"), 3);
    assert_reply(c, "ACL LOG 1", "*[" ENTRY("1", "key", "toplevel", "k4", "u") "]");
    assert_reply(c, "CONFIG SET acllog-max-len 1", "+OK");
    assert_int_equal(shown_by(c, "ACL LOG 100"), 1);
    assert_reply(questioner, "GET k4", NO_KEY);
    assert_reply(c, "ACL LOG", "*[" ENTRY("2", "key", "toplevel", "k4", "u") "]");
    assert_reply(c, "CONFIG SET acllog-max-len 0", "+OK");
    assert_reply(c, "ACL LOG", "*[]");
    int64_t before = info_number(c, "stats", "acl_access_denied_key");
    assert_reply(questioner, "GET k", NO_KEY);
    assert_reply(c, "ACL LOG", "*[]");
    assert_int_equal(info_number(c, "stats", "acl_access_denied_key"), before + 1); /* counted all the same */
    assert_reply(c, "CONFIG SET acllog-max-len -1", "-ERR CONFIG SET failed...");
}

static void info_counts_denials_by_their_reason(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    static const struct permission_row rows[] = {
        { "+get +publish +select ~a db=0", "DEL a", NO_COMMAND("del") },
        { NULL, "DEL a", NO_COMMAND("del") },
        { NULL, "GET x", NO_KEY },
        { NULL, "GET x", NO_KEY },
        { NULL, "GET x", NO_KEY },
        { NULL, "PUBLISH c m", NO_CHANNEL },
        { NULL, "SELECT 1", NO_DATABASE },
        { NULL, "AUTH u2 x", WRONGPASS },
        { NULL, "HELLO 2 AUTH u2 x", WRONGPASS },
        { NULL, NULL, NULL },
    };
    check_permissions(state, rows);
    assert_int_equal(info_number(c, "stats", "acl_access_denied_cmd"), 2);
    assert_int_equal(info_number(c, "stats", "acl_access_denied_key"), 3);
    assert_int_equal(info_number(c, "stats", "acl_access_denied_channel"), 1);
    assert_int_equal(info_number(c, "stats", "acl_access_denied_db"), 1);
    assert_int_equal(info_number(c, "stats", "acl_access_denied_auth"), 2);
    assert_string_equal(info_field(c, "errorstats", "errorstat_NOPERM"), "count=7");
    assert_string_equal(info_field(c, "errorstats", "errorstat_WRONGPASS"), "count=2");
    assert_non_null(strstr(info_field(c, "commandstats", "cmdstat_del"), "calls=0,"));
    assert_non_null(strstr(info_field(c, "commandstats", "cmdstat_del"), "rejected_calls=2,"));
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    assert_int_equal(info_number(c, "stats", "acl_access_denied_cmd"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ACL_TEST(every_kind_of_denial_has_an_entry),
        ACL_TEST(an_entry_tells_who_and_when),
        ACL_TEST(the_same_again_raises_the_count_and_comes_to_the_front),
        ACL_TEST(only_the_ten_newest_are_looked_at_for_the_same),
        ACL_TEST(ten_are_shown_or_as_many_as_are_asked_for),
        ACL_TEST(the_log_is_as_long_as_the_setting_says),
        ACL_TEST(info_counts_denials_by_their_reason),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
