/* test_debug.c: DEBUG over the wire. */
#include "../harness/fixture.h"
#include <time.h>

static void the_guard_says_who_may(void **state) {
    (void)state;
    struct server *s = server_start("--enable-debug-command", "no", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG SLEEP 0",
                 "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
                 "you can run it from a local connection, otherwise you need to set this option in the "
                 "configuration file, and then restart the server.");
    client_close(c);
    server_free(s);
    s = server_start("--enable-debug-command", "local", NULL);
    c = server_connect(s);
    assert_reply(c, "DEBUG SLEEP 0", "+OK");
    client_close(c);
    server_free(s);
}

static void writing_the_aof_can_be_slowed_down(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG AOF-FLUSH-SLEEP -1", "-ERR value is out of range, must be positive");
    assert_reply(c, "DEBUG AOF-FLUSH-SLEEP 200000", "+OK");
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_reply(c, "SET k v", "+OK");
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 190);
    client_close(c);
    server_free(s);
}

/* Fingerprints computed by redis-server 7.0.15 for the same data. */
static void digests_are_those_of_other_servers(void **state) {
    static const struct exchange rows[] = {
        { "DEBUG DIGEST", "+0000000000000000000000000000000000000000" },
        { "SET a b", "+OK" },
        { "DEBUG DIGEST", "+479783d7290f02957dfbe3408a858ba13eea1709" },
        { "SET n 12345", "+OK" },
        { "SET e val EX 1000", "+OK" },
        { "SELECT 3", "+OK" },
        { "SET x \"\"", "+OK" },
        { "SELECT 9", "+OK" },
        { "SET x 1.50 PX 100000", "+OK" },
        { "SELECT 0", "+OK" },
        { "DEBUG POPULATE 1000", "+OK" },
        { "DEBUG POPULATE 10 p 20000", "+OK" },
        { "DEBUG DIGEST", "+d306b0e551f4c0eaf4248fce644e4249aff8dc76" },
        { "DEBUG DIGEST-VALUE a e n nokey",
          "*[+b78559cd22bce6e6df712eb99ce7f3b08e8f8f1f, +ac04a84d3fcd16162a871280160dabf4ef51f46f, "
          "+e1cf90774e995ae03de66e8109dc5cb9d9c2dc83, +0000000000000000000000000000000000000000]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void populate_makes_what_is_not_there(void **state) {
    static const struct exchange rows[] = {
        { "SET key:1 mine", "+OK" },
        { "DEBUG POPULATE 3", "+OK" },
        { "MGET key:0 key:1 key:2 key:3", "*[$\"value:0\", $\"mine\", $\"value:2\", $-1]" },
        { "DEBUG POPULATE 1 x 10", "+OK" },
        { "GET x:0", "$\"value:0\\x00\\x00\\x00\"" },
        { "DEBUG POPULATE 1 y 3", "+OK" },
        { "GET y:0", "$\"val\"" },
        { "DBSIZE", ":5" },
        { "DEBUG POPULATE a", "-ERR value is out of range, must be positive" },
        { "DEBUG POPULATE -1", "-ERR value is out of range, must be positive" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void populated_keys_outlive_a_restart(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG POPULATE 5000", "+OK");
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "DBSIZE", ":5000");
    assert_reply(c, "GET key:4999", "$\"value:4999\"");
    client_close(c);
    server_free(s);
}

static void object_tells_how_a_value_is_kept(void **state) {
    static const struct exchange rows[] = {
        { "SET a b", "+OK" },
        { "SET n 70000", "+OK" },
        { "DEBUG OBJECT a",
          "+Value at:0x... refcount:1 encoding:embstr serializedlength:2 lru:... lru_seconds_idle:0" },
        { "DEBUG OBJECT n",
          "+Value at:0x... refcount:1 encoding:int serializedlength:5 lru:... lru_seconds_idle:0" },
        { "DEBUG OBJECT none", "-ERR no such key" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void without_active_expiry_expired_keys_stay_until_asked_for(void **state) {
    static const struct exchange rows[] = {
        { "DEBUG SET-ACTIVE-EXPIRE 0", "+OK" },
        { "SET k v PX 1", "+OK" },
        { "DEBUG SLEEP 0.3", "+OK" },
        { "DBSIZE", ":1" },
        { "GET k", "$-1" },
        { "DBSIZE", ":0" },
        { "SET k v PX 1", "+OK" },
        { "DEBUG SET-ACTIVE-EXPIRE 1", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
    assert_reply_soon(fixture_client(state), "DBSIZE", ":0");
}

static void the_rest_answers(void **state) {
    static const struct exchange rows[] = {
        { "DEBUG STRINGMATCH-LEN a*c abbc", ":1" },
        { "DEBUG STRINGMATCH-LEN a*c abbd", ":0" },
        { "DEBUG HELP",
          "*[+DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, +AOF-FLUSH-SLEEP..." },
        { "DEBUG FOO", "-ERR unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP." },
        { "DEBUG OBJECT",
          "-ERR unknown subcommand or wrong number of arguments for 'OBJECT'. Try DEBUG HELP." },
        { "DEBUG", "-ERR wrong number of arguments for 'debug' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(the_guard_says_who_may),
        FIXTURE_TEST(writing_the_aof_can_be_slowed_down),
        FIXTURE_TEST(digests_are_those_of_other_servers),
        FIXTURE_TEST(populate_makes_what_is_not_there),
        FIXTURE_TEST(populated_keys_outlive_a_restart),
        FIXTURE_TEST(object_tells_how_a_value_is_kept),
        FIXTURE_TEST(without_active_expiry_expired_keys_stay_until_asked_for),
        FIXTURE_TEST(the_rest_answers),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
