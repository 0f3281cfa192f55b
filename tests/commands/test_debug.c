/* test_debug.c: DEBUG over the wire. */
#include "../harness/fixture.h"
#include <stdlib.h>
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
        { "DEBUG HELP", "*[+DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, ... +DIGEST, "
                        "..." },
        { "DEBUG FOO", "-ERR unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP." },
        { "DEBUG OBJECT",
          "-ERR unknown subcommand or wrong number of arguments for 'OBJECT'. Try DEBUG HELP." },
        { "DEBUG", "-ERR wrong number of arguments for 'debug' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void samples_of_every_type_of_reply(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange resp2[] = {
        { "DEBUG PROTOCOL string", "$\"Hello World\"" },
        { "DEBUG PROTOCOL integer", ":12345" },
        { "DEBUG PROTOCOL double", "$\"3.141\"" },
        { "DEBUG PROTOCOL bignum", "$\"1234567999999999999999999999999999999\"" },
        { "DEBUG PROTOCOL null", "$-1" },
        { "DEBUG PROTOCOL array", "*[:0, :1, :2]" },
        { "DEBUG PROTOCOL set", "*[:0, :1, :2]" },
        { "DEBUG PROTOCOL map", "*[:0, :0, :1, :1, :2, :0]" },
        { "DEBUG PROTOCOL attrib", "$\"Some real reply following the attribute\"" },
        { "DEBUG PROTOCOL push", "-ERR RESP2 is not supported by this command" },
        { "DEBUG PROTOCOL verbatim", "$\"This is a verbatim\\nstring\"" },
        { "DEBUG PROTOCOL true", ":1" },
        { "DEBUG PROTOCOL false", ":0" },
        { "DEBUG PROTOCOL other",
          "-ERR Wrong protocol type name. Please use one of the following: "
          "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false" },
        { NULL, NULL },
    };
    static const struct exchange resp3[] = {
        { "HELLO 3", "%{...}" },
        { "DEBUG PROTOCOL string", "$\"Hello World\"" },
        { "DEBUG PROTOCOL integer", ":12345" },
        { "DEBUG PROTOCOL double", ",3.141" },
        { "DEBUG PROTOCOL bignum", "(1234567999999999999999999999999999999" },
        { "DEBUG PROTOCOL null", "_" },
        { "DEBUG PROTOCOL array", "*[:0, :1, :2]" },
        { "DEBUG PROTOCOL set", "~[:0, :1, :2]" },
        { "DEBUG PROTOCOL map", "%{:0: #f, :1: #t, :2: #f}" },
        { "DEBUG PROTOCOL attrib",
          "|{$\"key-popularity\": *[$\"key:123\", :90]} $\"Some real reply following the attribute\"" },
        { "DEBUG PROTOCOL push", "$\"Some real reply following the push reply\"" },
        { NULL, NULL },
    };
    static const struct exchange rest[] = {
        { "DEBUG PROTOCOL verbatim", "=\"txt:This is a verbatim\\nstring\"" },
        { "DEBUG PROTOCOL true", "#t" },
        { "DEBUG PROTOCOL false", "#f" },
        { NULL, NULL },
    };
    assert_exchanges(c, resp2);
    assert_exchanges(c, resp3);
    assert_next(c, ">[$\"server-cpu-usage\", :42]");
    assert_exchanges(c, rest);
}

static void switches_are_taken_and_checked(void **state) {
    static const struct exchange rows[] = {
        { "DEBUG LOG hello", "+OK" },
        { "DEBUG ERROR \"FOO some text\"", "-FOO some text" },
        { "DEBUG QUICKLIST-PACKED-THRESHOLD 100b", "+OK" },
        { "DEBUG QUICKLIST-PACKED-THRESHOLD 1mb", "+OK" },
        { "DEBUG QUICKLIST-PACKED-THRESHOLD 4gb",
          "-ERR argument must be a memory value bigger than 1 and smaller than 4gb" },
        { "DEBUG QUICKLIST-PACKED-THRESHOLD -1",
          "-ERR argument must be a memory value bigger than 1 and smaller than 4gb" },
        { "DEBUG QUICKLIST-PACKED-THRESHOLD 0", "+OK" },
        { "DEBUG REPLYBUFFER PEAK-RESET-TIME 100", "+OK" },
        { "DEBUG REPLYBUFFER PEAK-RESET-TIME NEVER", "+OK" },
        { "DEBUG REPLYBUFFER PEAK-RESET-TIME RESET", "+OK" },
        { "DEBUG REPLYBUFFER RESIZING 0", "+OK" },
        { "DEBUG REPLYBUFFER RESIZING 1", "+OK" },
        { "DEBUG REPLYBUFFER RESIZING x", "-ERR syntax error" },
        { "DEBUG CLIENT-ENFORCE-REPLY-LIST 1", "+OK" },
        { "DEBUG CLIENT-ENFORCE-REPLY-LIST 0", "+OK" },
        { "DEBUG CLIENT-EVICTION", "-ERR maxmemory-clients is disabled." },
        { "CONFIG SET maxmemory-clients 1gb", "+OK" },
        { "DEBUG CLIENT-EVICTION", "$\"...clients\\n... 1\\n\"" },
        { "CONFIG SET maxmemory-clients 0", "+OK" },
        { "PFDEBUG SIMD ON", "+OK" },
        { "PFDEBUG SIMD OFF", "+OK" },
        { "PFDEBUG SIMD x", "-ERR Argument must be ON or OFF" },
        { "DEBUG DICT-RESIZING 2", "-ERR syntax error" },
        { "DEBUG PAUSE-CRON x", "-ERR syntax error" },
        { "DEBUG CONFIG-REWRITE-FORCE-ALL", "-ERR The server is running without a config file" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
    assert_non_null(strstr(server_log(((struct fixture *)*state)->server), "DEBUG LOG: hello"));
}

static void lists_tell_of_their_nodes(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG SET list-max-listpack-size 2 list-compress-depth 1", "+OK" },
        { "RPUSH l 1 2 3 4 5", ":5" },
        { "DEBUG OBJECT l FAST",
          "+Value at:0x... refcount:1 encoding:quicklist lru:... lru_seconds_idle:0 ql_nodes:3 "
          "ql_avg_node:1.67 ql_listpack_max:2 ql_compressed:1 ql_uncompressed_size:..." },
        { "SORT l STORE sorted", ":5" },
        { "DEBUG OBJECT sorted",
          "+Value at:0x... serializedlength:... ql_nodes:3 ... ql_listpack_max:2 ql_compressed:1 ..." },
        { "DEBUG OBJECT l SLOW", "-ERR syntax error" },
        { "CONFIG SET list-max-listpack-size -2 list-compress-depth 0", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_pause_of_the_cron_stops_expiry(void **state) {
    static const struct exchange rows[] = {
        { "DEBUG PAUSE-CRON 1", "+OK" },
        { "SET k v PX 1", "+OK" },
        { "DEBUG SLEEP 0.3", "+OK" },
        { "DBSIZE", ":1" },
        { "DEBUG PAUSE-CRON 0", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
    assert_reply_soon(fixture_client(state), "DBSIZE", ":0");
}

/* ---- tables ---- */

#define HT(size, items) \
    "Hash table 0 stats (main hash table):\\n table size: " size "\\n number of entries: " items "\\n"

/* The first number behind these words of the reply. */
static long number_in(struct client *c, const char *command, const char *words) {
    struct node *n = client_ask_node(c, "%s", command);
    const char *at = strstr(text_str(&n->bytes), words);
    if (!at) fail_msg("no \"%s\" in %s", words, text_str(&n->bytes));
    long number = strtol(at + strlen(words), NULL, 10);
    node_free(n);
    return number;
}

static void tables_of_a_database_shrink_when_its_keys_expire(void **state) {
    struct client *c = fixture_client(state);
    enum { KEYS = 30000 };
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    for (int i = 0; i < KEYS; i++) client_queue(c, "SET k:%d v PX %d", i, i < 100 ? 1000000 : 100);
    client_flush(c);
    client_skip(c, KEYS);
    long full = number_in(c, "DEBUG HTSTATS 0", "table size: ");
    assert_true(full >= KEYS);
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
    assert_reply_soon(c, "DBSIZE", ":100");
    for (int tries = 0; number_in(c, "DEBUG HTSTATS 0", "table size: ") > full / 3; tries++)
        assert_true(tries < 100000);
    assert_reply(c, "DEBUG HTSTATS 0",
                 "$\"[Dictionary HT]\\n" HT("...", "100") "...[Expires HT]\\n" HT(
                     "...", "100") " rehashing index: -1\\n\"");
    assert_reply(c, "DEBUG HTSTATS 3", "$\"[Dictionary HT]\\n" HT("0", "0") " rehashing index: -1\\n...\"");
    assert_reply(c, "DEBUG HTSTATS 0 FULL",
                 "$\"... different slots: ...Chain length distribution:\\n   1: ...\"");
    assert_reply(c, "DEBUG HTSTATS 99", "-ERR Out of range database");
    assert_reply(c, "DEBUG HTSTATS -1", "-ERR Out of range database");
    assert_reply(c, "DEBUG HTSTATS x", "-ERR value is not an integer or out of range");
    assert_reply(c, "DEBUG HTSTATS 0 x", "-ERR syntax error");
}

static void tables_of_values_are_told(void **state) {
    struct client *c = fixture_client(state);
    for (int i = 0; i < 1000; i++) client_queue(c, "HSET h f:%d v", i);
    for (int i = 0; i < 1000; i++) client_queue(c, "ZADD z %d m:%d", i, i);
    client_flush(c);
    client_skip(c, 2000);
    static const struct exchange rows[] = {
        { "DEBUG HTSTATS-KEY h", "$\"" HT("...", "1000") " rehashing index: ...\"" },
        { "DEBUG HTSTATS-KEY z FULL", "$\"" HT("...", "1000") "... different slots: ...\"" },
        { "DEBUG HTSTATS-KEY none", "-ERR no such key" },
        { "SADD small a", ":1" },
        { "DEBUG HTSTATS-KEY small",
          "-ERR The value stored at the specified key is not represented using an hash table" },
        { "SET s v", "+OK" },
        { "DEBUG HTSTATS-KEY s",
          "-ERR The value stored at the specified key is not represented using an hash table" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void tables_stay_as_they_are_while_resizing_is_off(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "DEBUG DICT-RESIZING 0", "+OK");
    assert_reply(c, "DEBUG POPULATE 20000", "+OK");
    long held = number_in(c, "DEBUG HTSTATS 0", "table size: ");
    assert_true(held <= 8 * 1024); /* one bucket a shard */
    assert_reply(c, "DBSIZE", ":20000");
    assert_reply(c, "GET key:19999", "$\"value:19999\"");
    assert_reply(c, "DEBUG DICT-RESIZING 1", "+OK");
    assert_reply(c, "DEBUG POPULATE 30000", "+OK");
    assert_true(number_in(c, "DEBUG HTSTATS 0", "table size: ") > held);
    assert_reply(c, "GET key:19999", "$\"value:19999\"");
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
        FIXTURE_TEST(samples_of_every_type_of_reply),
        FIXTURE_TEST(switches_are_taken_and_checked),
        FIXTURE_TEST(lists_tell_of_their_nodes),
        FIXTURE_TEST(a_pause_of_the_cron_stops_expiry),
        FIXTURE_TEST(tables_of_a_database_shrink_when_its_keys_expire),
        FIXTURE_TEST(tables_of_values_are_told),
        FIXTURE_TEST(tables_stay_as_they_are_while_resizing_is_off),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
