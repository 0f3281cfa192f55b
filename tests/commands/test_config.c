/* test_config.c: CONFIG over the wire: asking, setting, and writing the file. What each setting accepts is
 * tested in tests/unit/engine. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <unistd.h>

static void get_answers_names_and_patterns(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG GET maxmemory", "*[$\"maxmemory\", $\"0\"]" },
        { "CONFIG GET maxmemory-s* maxmemory-samples appendfsync",
          "*[$\"appendfsync\", $\"everysec\", $\"maxmemory-samples\", $\"5\"]" },
        { "CONFIG GET nosuch", "*[]" },
        { "CONFIG GET", "-ERR wrong number of arguments for 'config|get' command" },
        { "CONFIG", "-ERR wrong number of arguments for 'config' command" },
        { "CONFIG FOO", "-ERR unknown subcommand 'FOO'. Try CONFIG HELP." },
        { "CONFIG HELP", "*[+CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, ..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
    assert_reply(fixture_client(state), "HELLO 3", "...");
    assert_reply(fixture_client(state), "CONFIG GET maxmemory", "%{$\"maxmemory\": $\"0\"}");
}

static void set_takes_several_or_none(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG SET maxmemory-samples 7 slowlog-max-len 99", "+OK" },
        { "CONFIG GET maxmemory-samples", "*[$\"maxmemory-samples\", $\"7\"]" },
        { "CONFIG GET slowlog-max-len", "*[$\"slowlog-max-len\", $\"99\"]" },
        { "CONFIG SET maxmemory-samples 9 maxmemory abc",
          "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory "
          "value" },
        { "CONFIG GET maxmemory-samples", "*[$\"maxmemory-samples\", $\"7\"]" },
        { "CONFIG SET maxmemory-samples 5 nosuch 1",
          "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'" },
        { "CONFIG SET maxmemory 1 maxmemory 2",
          "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - duplicate parameter" },
        { "CONFIG SET databases 10",
          "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config" },
        { "CONFIG SET maxmemory", "-ERR wrong number of arguments for 'config|set' command" },
        { "CONFIG SET maxmemory 0 hz", "-ERR syntax error" },
        { "CONFIG SET maxmemory-samples 5 slowlog-max-len 128", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void set_takes_effect(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG SET maxmemory 1", "+OK" },
        { "SET k v", "-OOM command not allowed when used memory > 'maxmemory'." },
        { "CONFIG SET maxmemory 0", "+OK" },
        { "SET k v", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void rewrite_without_a_file_is_refused(void **state) {
    assert_reply(fixture_client(state), "CONFIG REWRITE", "-ERR The server is running without a config file");
}

static void rewrite_keeps_settings_over_a_restart(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .conf = "# kept\nmaxmemory-samples 6\n" });
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET maxmemory-samples 8 slowlog-max-len 77", "+OK");
    assert_reply(c, "CONFIG REWRITE", "+OK");
    client_close(c);
    server_stop(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "CONFIG GET maxmemory-samples", "*[$\"maxmemory-samples\", $\"8\"]");
    assert_reply(c, "CONFIG GET slowlog-max-len", "*[$\"slowlog-max-len\", $\"77\"]");
    client_close(c);
    server_free(s);
}

static void resetstat_starts_the_numbers_again(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "GET none", "$-1");
    assert_reply(c, "NOSUCH", "-ERR unknown command...");
    assert_true(info_number(c, "stats", "keyspace_misses") > 0);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    assert_int_equal(info_number(c, "stats", "keyspace_misses"), 0);
    assert_int_equal(info_number(c, "stats", "total_error_replies"), 0);
    assert_true(info_number(c, "stats", "total_commands_processed") < 10);
    assert_string_equal(info_field(c, "commandstats", "cmdstat_get"), "");
    assert_string_equal(info_field(c, "errorstats", "errorstat_ERR"), "");
    assert_reply(c, "CONFIG RESETSTAT x", "-ERR wrong number of arguments for 'config|resetstat' command");
}

static void protected_settings_need_leave(void **state) {
    (void)state;
    struct server *s = server_start("--enable-protected-configs", "no", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET dir /",
                 "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected "
                 "config");
    client_close(c);
    server_free(s);
    s = server_start("--enable-protected-configs", "local", NULL);
    c = server_connect(s);
    assert_reply(c, "CONFIG SET dir /", "+OK");
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(get_answers_names_and_patterns),
        FIXTURE_TEST(set_takes_several_or_none),
        FIXTURE_TEST(set_takes_effect),
        FIXTURE_TEST(rewrite_without_a_file_is_refused),
        FIXTURE_TEST(rewrite_keeps_settings_over_a_restart),
        FIXTURE_TEST(resetstat_starts_the_numbers_again),
        FIXTURE_TEST(protected_settings_need_leave),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
