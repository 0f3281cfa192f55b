/* test_slowlog.c: SLOWLOG and COMMANDLOG over the wire. */
#include "../harness/fixture.h"

/* Every command is slow, nothing is large. */
static void watch_everything(struct client *c) {
    assert_reply(c, "CONFIG SET slowlog-log-slower-than -1", "+OK");
    assert_reply(c, "SLOWLOG RESET", "+OK");
    assert_reply(c, "CONFIG SET slowlog-log-slower-than 0", "+OK");
}

static void stop_watching(struct client *c) {
    assert_reply(c, "CONFIG SET slowlog-log-slower-than 10000", "+OK");
    assert_reply(c, "SLOWLOG RESET", "+OK");
}

static void slow_commands_are_told_newest_first(void **state) {
    struct client *c = fixture_client(state);
    watch_everything(c);
    assert_reply(c, "CLIENT SETNAME me", "+OK");
    assert_reply(c, "SET k \"a b\"", "+OK");
    assert_reply(c, "SLOWLOG GET 2",
                 "*[*[:..., :..., :..., *[$\"SET\", $\"k\", $\"a b\"], $\"...\", $\"me\"], "
                 "*[:..., :..., :..., *[$\"CLIENT\", $\"SETNAME\", $\"me\"], $\"...\", $\"...\"]]");
    assert_reply(c, "SLOWLOG LEN", ":4"); /* CONFIG SET itself, SETNAME, SET, GET */
    assert_reply(c, "SLOWLOG GET 0", "*[]");
    stop_watching(c);
    assert_reply(c, "SLOWLOG GET", "*[]");
    assert_reply(c, "SLOWLOG LEN", ":0");
}

static void passwords_do_not_show(void **state) {
    struct client *c = fixture_client(state);
    watch_everything(c);
    assert_reply(c, "AUTH hush", "-...");
    assert_reply(c, "SLOWLOG GET 1",
                 "*[*[:..., :..., :..., *[$\"AUTH\", $\"(redacted)\"], $\"...\", $\"\"]]");
    assert_reply(c, "CONFIG SET requirepass hush requirepass hush", "-...");
    assert_reply(c, "SLOWLOG GET 1",
                 "...$\"requirepass\", $\"(redacted)\", $\"requirepass\", $\"(redacted)\"]...");
    stop_watching(c);
}

static void queued_commands_are_logged_one_by_one(void **state) {
    struct client *c = fixture_client(state);
    watch_everything(c);
    static const struct exchange rows[] = {
        { "MULTI", "+OK" }, { "SET k v", "+QUEUED" }, { "EXEC", "*[+OK]" }, { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_reply(c, "SLOWLOG GET 1", "*[*[:..., :..., :..., *[$\"SET\", $\"k\", $\"v\"], ...]]");
    stop_watching(c);
}

static void the_log_keeps_as_many_as_told(void **state) {
    struct client *c = fixture_client(state);
    watch_everything(c);
    assert_reply(c, "CONFIG SET slowlog-max-len 5", "+OK");
    for (int i = 0; i < 20; i++) assert_reply(c, "PING", "+PONG");
    assert_reply(c, "SLOWLOG LEN", ":5");
    assert_reply(c, "CONFIG SET slowlog-max-len 2", "+OK");
    assert_reply(c, "SLOWLOG LEN", ":2");
    assert_reply(c, "CONFIG SET slowlog-max-len 128", "+OK");
    stop_watching(c);
}

static void large_requests_and_replies_have_their_logs(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG SET commandlog-request-larger-than 2000 commandlog-reply-larger-than 2000",
                 "+OK");
    client_queue(c, "SET big %03000d", 1);
    client_flush(c);
    assert_string_equal(client_read_text(c), "+OK");
    assert_reply(c, "GET big", "$\"000...1\"");
    assert_reply(c, "COMMANDLOG LEN large-request", ":1");
    assert_reply(c, "COMMANDLOG LEN large-reply", ":1");
    assert_reply(c, "COMMANDLOG GET -1 large-request",
                 "*[*[:..., :..., :3..., *[$\"SET\", $\"big\", $\"000...0... (2872 more bytes)\"], ...]]");
    assert_reply(c, "COMMANDLOG GET 10 LARGE-REPLY", "*[*[:..., :..., :3009, *[$\"GET\", $\"big\"], ...]]");
    assert_reply(c, "COMMANDLOG RESET large-request", "+OK");
    assert_reply(c, "COMMANDLOG LEN large-request", ":0");
    assert_reply(c, "COMMANDLOG LEN large-reply", ":1");
    assert_reply(c, "COMMANDLOG RESET large-reply", "+OK");
    assert_reply(c, "CONFIG SET commandlog-request-larger-than 1048576 commandlog-reply-larger-than 1048576",
                 "+OK");
}

static void arguments_are_checked(void **state) {
    static const struct exchange rows[] = {
        { "SLOWLOG GET a", "-ERR count should be greater than or equal to -1" },
        { "SLOWLOG GET -2", "-ERR count should be greater than or equal to -1" },
        { "SLOWLOG GET 1 2", "-ERR wrong number of arguments for 'slowlog|get' command" },
        { "SLOWLOG FOO", "-ERR unknown subcommand 'FOO'. Try SLOWLOG HELP." },
        { "SLOWLOG HELP", "*[+SLOWLOG <subcommand> ..." },
        { "COMMANDLOG GET 10 FOO",
          "-ERR type should be one of the following: slow, large-request, large-reply" },
        { "COMMANDLOG GET a slow", "-ERR count should be greater than or equal to -1" },
        { "COMMANDLOG LEN", "-ERR wrong number of arguments for 'commandlog|len' command" },
        { "COMMANDLOG LEN foo",
          "-ERR type should be one of the following: slow, large-request, large-reply" },
        { "COMMANDLOG RESET foo",
          "-ERR type should be one of the following: slow, large-request, large-reply" },
        { "COMMANDLOG HELP", "*[+COMMANDLOG <subcommand> ..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(slow_commands_are_told_newest_first),
        FIXTURE_TEST(passwords_do_not_show),
        FIXTURE_TEST(queued_commands_are_logged_one_by_one),
        FIXTURE_TEST(the_log_keeps_as_many_as_told),
        FIXTURE_TEST(large_requests_and_replies_have_their_logs),
        FIXTURE_TEST(arguments_are_checked),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
