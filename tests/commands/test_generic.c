/* test_generic.c: the commands of group generic over the wire, on strings: deleting, times to live, renaming,
 * copying, iterating, and what they refuse. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>

#define NOT_INT "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"
#define FAR "4102444800" /* the year 2100 in seconds */

/* ---- existence ---- */

static void del_unlink_exists_and_touch_count_keys(void **state) {
    static const struct exchange rows[] = {
        { "MSET a 1 b 2 c 3 d 4", "+OK" },
        { "EXISTS a", ":1" },
        { "EXISTS a a none b", ":3" },
        { "TOUCH a none a", ":2" },
        { "DEL a none a", ":1" },
        { "UNLINK b c none", ":2" },
        { "EXISTS a b c", ":0" },
        { "DBSIZE", ":1" },
        { "DEL", "-ERR wrong number of arguments for 'del' command" },
        { "UNLINK", "-ERR wrong number of arguments for 'unlink' command" },
        { "EXISTS", "-ERR wrong number of arguments for 'exists' command" },
        { "TOUCH", "-ERR wrong number of arguments for 'touch' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* A thousand keys live in hundreds of shards, all locked at once. */
static void one_command_takes_a_thousand_keys(void **state) {
    static const struct {
        const char *name;
        const char *reply;
        bool values;
    } commands[] = {
        { "MSET", "+OK", true },      { "EXISTS", ":1000", false }, { "MSETNX", ":0", true },
        { "UNLINK", ":1000", false }, { "MSETNX", ":1", true },     { "DEL", ":1000", false },
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        struct words words = { 0 };
        words_add_str(&words, commands[i].name);
        for (int key = 0; key < 1000; key++) {
            words_printf(&words, "key:%d", key);
            if (commands[i].values) words_add_str(&words, "value");
        }
        client_queue_words(fixture_client(state), &words);
        client_flush(fixture_client(state));
        assert_next(fixture_client(state), commands[i].reply);
        words_release(&words);
    }
}

static void type_names_the_type_or_none(void **state) {
    static const struct exchange rows[] = {
        { "TYPE k", "+none" },   { "SET k 1", "+OK" },
        { "TYPE k", "+string" }, { "TYPE", "-ERR wrong number of arguments for 'type' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- times to live ---- */

static void expire_sets_a_relative_time(void **state) {
    static const struct exchange rows[] = {
        { "EXPIRE k 100", ":0" },
        { "TTL k", ":-2" },
        { "PTTL k", ":-2" },
        { "EXPIRETIME k", ":-2" },
        { "PEXPIRETIME k", ":-2" },
        { "SET k v", "+OK" },
        { "TTL k", ":-1" },
        { "PTTL k", ":-1" },
        { "EXPIRETIME k", ":-1" },
        { "PEXPIRETIME k", ":-1" },
        { "EXPIRE k 1000", ":1" },
        { "TTL k", ":900..1000" },
        { "PTTL k", ":900000..1000000" },
        { "PEXPIRE k 2000000", ":1" },
        { "TTL k", ":1900..2000" },
        { "PERSIST k", ":1" },
        { "PERSIST k", ":0" },
        { "TTL k", ":-1" },
        { "PERSIST none", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void expireat_sets_an_absolute_time(void **state) {
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "EXPIREAT k " FAR, ":1" },
        { "EXPIRETIME k", ":" FAR },
        { "PEXPIRETIME k", ":" FAR "000" },
        { "PEXPIREAT k " FAR "567", ":1" },
        { "PEXPIRETIME k", ":" FAR "567" },
        { "EXPIRETIME k", ":4102444801" }, /* rounded to the nearest second */
        { "EXPIREAT none " FAR, ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_time_in_the_past_deletes_at_once(void **state) {
    static const struct exchange rows[] = {
        { "MSET a 1 b 2 c 3 d 4 e 5", "+OK" },
        { "EXPIRE a -1", ":1" },
        { "PEXPIRE b 0", ":1" },
        { "EXPIREAT c 1", ":1" },
        { "PEXPIREAT d 1", ":1" },
        { "EXPIREAT e -5", ":1" },
        { "EXISTS a b c d e", ":0" },
        { "DBSIZE", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void expire_conditions_compare_with_the_time_there_is(void **state) {
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "EXPIREAT k 4102444800 XX", ":0" },
        { "EXPIREAT k 4102444800 GT", ":0" }, /* no time is later than any time */
        { "EXPIREAT k 4102444800 NX", ":1" },
        { "EXPIREAT k 4102444801 NX", ":0" },
        { "EXPIREAT k 4102444800 GT", ":0" },
        { "EXPIREAT k 4102444900 GT", ":1" },
        { "EXPIREAT k 4102444900 LT", ":0" },
        { "EXPIREAT k 4102444850 LT", ":1" },
        { "EXPIREAT k 4102444850 XX GT", ":0" },
        { "EXPIREAT k 4102444860 xx gt", ":1" },
        { "EXPIRETIME k", ":4102444860" },
        { "PERSIST k", ":1" },
        { "EXPIREAT k 4102444800 LT", ":1" },
        { "EXPIRE k -1 GT", ":0" },
        { "EXPIRE k -1 LT", ":1" },
        { "EXISTS k", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void expire_refuses_bad_times_and_options(void **state) {
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "EXPIRE k a", NOT_INT },
        { "EXPIRE k 1.5", NOT_INT },
        { "EXPIRE none a", NOT_INT },
        { "EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command" },
        { "PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command" },
        { "EXPIREAT k -9223372036854775808", "-ERR invalid expire time in 'expireat' command" },
        { "EXPIRE k 10 FOO", "-ERR Unsupported option FOO" },
        { "EXPIRE k 10 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible" },
        { "EXPIRE k 10 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible" },
        { "EXPIRE k 10 GT LT", "-ERR GT and LT options at the same time are not compatible" },
        { "EXPIRE k", "-ERR wrong number of arguments for 'expire' command" },
        { "PEXPIREAT k", "-ERR wrong number of arguments for 'pexpireat' command" },
        { "TTL", "-ERR wrong number of arguments for 'ttl' command" },
        { "TTL k", ":-1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void an_expired_key_is_gone_for_every_command(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    assert_reply(c, "SET k v PX 1", "+OK");
    assert_reply_soon(c, "GET k", "$-1");
    static const struct exchange rows[] = {
        { "EXISTS k", ":0" },
        { "TTL k", ":-2" },
        { "TYPE k", "+none" },
        { "KEYS *", "*[]" },
        { "RENAME k b", "-ERR no such key" },
        { "COPY k b", ":0" },
        { "PERSIST k", ":0" },
        { "DEL k", ":0" },
        { "RANDOMKEY", "$-1" },
        { "SET k v XX", "$-1" },
        { "SETNX k w", ":1" },
        { "TTL k", ":-1" },
        { "DEBUG SET-ACTIVE-EXPIRE 1", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void expired_keys_leave_without_being_asked_for(void **state) {
    struct client *c = fixture_client(state);
    for (int i = 0; i < 500; i++) client_queue(c, "SET key:%d v PX 1", i);
    client_skip(c, 500);
    assert_reply_soon(c, "DBSIZE", ":0");
}

/* ---- renaming, copying, moving ---- */

static void rename_moves_value_and_ttl(void **state) {
    static const struct exchange rows[] = {
        { "SET a 1 EXAT " FAR, "+OK" },
        { "SET b 2", "+OK" },
        { "RENAME a b", "+OK" },
        { "GET b", "$\"1\"" },
        { "EXPIRETIME b", ":" FAR },
        { "EXISTS a", ":0" },
        { "SET c 3", "+OK" },
        { "RENAME c b", "+OK" },
        { "TTL b", ":-1" },
        { "RENAME b b", "+OK" },
        { "GET b", "$\"3\"" },
        { "RENAME none b", "-ERR no such key" },
        { "RENAME none none", "-ERR no such key" },
        { "RENAMENX none b", "-ERR no such key" },
        { "SET a 1", "+OK" },
        { "RENAMENX a b", ":0" },
        { "RENAMENX a a", ":0" },
        { "RENAMENX a new", ":1" },
        { "MGET a b new", "*[$-1, $\"3\", $\"1\"]" },
        { "RENAME a", "-ERR wrong number of arguments for 'rename' command" },
        { "RENAMENX a", "-ERR wrong number of arguments for 'renamenx' command" },
        { "DBSIZE", ":2" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void rename_keeps_values_of_every_size(void **state) {
    struct client *c = fixture_client(state);
    static const int sizes[] = { 1, 44, 45, 1000, 20000, 100000 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        client_queue(c, "SETRANGE a %d xyz", sizes[i]);
        client_queue(c, "RENAME a a-much-longer-name-than-before-so-that-the-entry-must-move");
        client_queue(c, "RENAME a-much-longer-name-than-before-so-that-the-entry-must-move b");
        client_queue(c, "STRLEN b");
        client_queue(c, "GETRANGE b -3 -1");
        client_queue(c, "DEL b");
        client_flush(c);
        client_skip(c, 3);
        struct node *len = client_read(c);
        assert_int_equal(len->number, sizes[i] + 3);
        node_free(len);
        assert_next(c, "$\"xyz\"");
        assert_next(c, ":1");
    }
}

static void copy_makes_an_independent_key(void **state) {
    static const struct exchange rows[] = {
        { "SET a 1 EXAT " FAR, "+OK" },
        { "COPY a b", ":1" },
        { "EXPIRETIME b", ":" FAR },
        { "INCR b", ":2" },
        { "GET a", "$\"1\"" },
        { "COPY a b", ":0" },
        { "COPY a b REPLACE", ":1" },
        { "GET b", "$\"1\"" },
        { "COPY none c", ":0" },
        { "COPY a a DB 1", ":1" },
        { "COPY a a DB 1", ":0" },
        { "COPY a a DB 1 REPLACE", ":1" },
        { "SELECT 1", "+OK" },
        { "GET a", "$\"1\"" },
        { "SELECT 0", "+OK" },
        { "SETRANGE big 30000 x", ":30001" },
        { "COPY big big2", ":1" },
        { "SETRANGE big2 30000 y", ":30001" },
        { "GETRANGE big 30000 -1", "$\"x\"" },
        { "COPY a a", "-ERR source and destination objects are the same" },
        { "COPY a b DB 99", "-ERR DB index is out of range" },
        { "COPY a b DB -1", "-ERR DB index is out of range" },
        { "COPY a b DB a", NOT_INT },
        { "COPY a b FOO", SYNTAX },
        { "COPY a b DB", SYNTAX },
        { "COPY a", "-ERR wrong number of arguments for 'copy' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void move_takes_a_key_to_another_database(void **state) {
    static const struct exchange rows[] = {
        { "SET k v EXAT " FAR, "+OK" },
        { "MOVE k 1", ":1" },
        { "EXISTS k", ":0" },
        { "MOVE k 1", ":0" },
        { "SELECT 1", "+OK" },
        { "GET k", "$\"v\"" },
        { "EXPIRETIME k", ":" FAR },
        { "SELECT 0", "+OK" },
        { "SET k w", "+OK" },
        { "MOVE k 1", ":0" },
        { "GET k", "$\"w\"" },
        { "MOVE k 0", "-ERR source and destination objects are the same" },
        { "MOVE k 16", "-ERR DB index is out of range" },
        { "MOVE k -1", "-ERR DB index is out of range" },
        { "MOVE k a", NOT_INT },
        { "MOVE k", "-ERR wrong number of arguments for 'move' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void databases_are_apart_and_can_be_swapped_and_flushed(void **state) {
    static const struct exchange rows[] = {
        { "SET k zero", "+OK" },
        { "SELECT 1", "+OK" },
        { "GET k", "$-1" },
        { "SET k one", "+OK" },
        { "SWAPDB 0 1", "+OK" },
        { "GET k", "$\"zero\"" },
        { "SELECT 0", "+OK" },
        { "GET k", "$\"one\"" },
        { "SWAPDB 0 0", "+OK" },
        { "FLUSHDB", "+OK" },
        { "DBSIZE", ":0" },
        { "SELECT 1", "+OK" },
        { "DBSIZE", ":1" },
        { "FLUSHALL ASYNC", "+OK" },
        { "DBSIZE", ":0" },
        { "SET k v", "+OK" },
        { "FLUSHDB SYNC", "+OK" },
        { "DBSIZE", ":0" },
        { "FLUSHDB FOO", SYNTAX },
        { "FLUSHALL SYNC ASYNC", SYNTAX },
        { "SWAPDB 0 16", "-ERR DB index is out of range" },
        { "SWAPDB a 0", "-ERR invalid first DB index" },
        { "SWAPDB 0 a", "-ERR invalid second DB index" },
        { "SELECT 16", "-ERR DB index is out of range" },
        { "SELECT -1", "-ERR DB index is out of range" },
        { "SELECT a", NOT_INT },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- finding keys ---- */

static void keys_matches_patterns(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "MSET hello 1 hallo 2 hxllo 3 hllo 4 heeeello 5 a*b 6 \"\" 7", "+OK");
    assert_reply_sorted(c, "KEYS h?llo", "*[$\"hallo\", $\"hello\", $\"hxllo\"]");
    assert_reply_sorted(c, "KEYS h*llo", "*[$\"hallo\", $\"heeeello\", $\"hello\", $\"hllo\", $\"hxllo\"]");
    assert_reply_sorted(c, "KEYS h[ae]llo", "*[$\"hallo\", $\"hello\"]");
    assert_reply_sorted(c, "KEYS h[^e]llo", "*[$\"hallo\", $\"hxllo\"]");
    assert_reply_sorted(c, "KEYS h[a-e]llo", "*[$\"hallo\", $\"hello\"]");
    assert_reply(c, "KEYS a\\*b", "*[$\"a*b\"]");
    assert_reply(c, "KEYS hello", "*[$\"hello\"]");
    assert_reply(c, "KEYS none*", "*[]");
    assert_reply(c, "KEYS \"\"", "*[$\"\"]");
    assert_reply(c, "KEYS", "-ERR wrong number of arguments for 'keys' command");
    struct node *all = client_ask_node(c, "KEYS *");
    assert_int_equal(all->count, 7);
    node_free(all);
}

static void randomkey_returns_an_existing_key(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "RANDOMKEY", "$-1");
    assert_reply(c, "SET only v", "+OK");
    assert_reply(c, "RANDOMKEY", "$\"only\"");
    assert_reply(c, "RANDOMKEY x", "-ERR wrong number of arguments for 'randomkey' command");
    for (int i = 0; i < 100; i++) client_queue(c, "SET key:%d v", i);
    client_skip(c, 100);
    bool seen[101] = { false };
    size_t different = 0;
    for (int i = 0; i < 200; i++) {
        struct node *reply = client_ask_node(c, "RANDOMKEY");
        int at = strncmp(reply->bytes.ptr, "key:", 4) == 0 ? atoi(reply->bytes.ptr + 4) : 100;
        node_free(reply);
        assert_in_range(at, 0, 100);
        different += !seen[at];
        seen[at] = true;
    }
    assert_true(different > 10);
}

/* Runs a whole iteration and counts, for keys named key:<n>, how often each came. */
static size_t scan_all(struct client *c, const char *options, unsigned char *times, size_t room) {
    struct text cursor = { 0 };
    size_t total = 0;
    text_append_str(&cursor, "0");
    do {
        struct node *reply = client_ask_node(c, "SCAN %s %s", text_str(&cursor), options);
        assert_int_equal(reply->count, 2);
        text_clear(&cursor);
        text_append_str(&cursor, text_str(&reply->items[0]->bytes));
        for (size_t i = 0; i < reply->items[1]->count; i++, total++) {
            size_t n = (size_t)atoi(text_str(&reply->items[1]->items[i]->bytes) + 4);
            assert_true(n < room);
            times[n]++;
        }
        node_free(reply);
    } while (strcmp(text_str(&cursor), "0") != 0);
    text_release(&cursor);
    return total;
}

static void scan_returns_every_key_of_a_resting_keyspace(void **state) {
    enum { KEYS = 3000 };
    static unsigned char times[KEYS];
    static const char *const options[] = { "",
                                           "COUNT 1",
                                           "COUNT 100",
                                           "COUNT 100000",
                                           "MATCH key:* COUNT 50",
                                           "TYPE string COUNT 500",
                                           "count 70 match k* type STRING" };
    struct client *c = fixture_client(state);
    for (int i = 0; i < KEYS; i++) client_queue(c, "SET key:%d v", i);
    client_skip(c, KEYS);
    for (size_t o = 0; o < sizeof(options) / sizeof(options[0]); o++) {
        memset(times, 0, sizeof(times));
        assert_int_equal(scan_all(c, options[o], times, KEYS), KEYS);
        for (size_t i = 0; i < KEYS; i++) assert_int_equal(times[i], 1);
    }
    memset(times, 0, sizeof(times));
    assert_int_equal(scan_all(c, "MATCH key:1?9 COUNT 1000", times, KEYS), 10);
    assert_int_equal(scan_all(c, "TYPE hash COUNT 1000", times, KEYS), 0);
}

/* The promise: what is there from the first call to the last is returned, however the table grows and
 * shrinks. */
static void scan_misses_no_lasting_key_while_the_keyspace_grows_and_shrinks(void **state) {
    enum { LASTING = 1000, PASSING = 40000 };
    static unsigned char times[LASTING + PASSING];
    struct client *c = fixture_client(state);
    memset(times, 0, sizeof(times));
    for (int i = 0; i < LASTING; i++) client_queue(c, "SET key:%d v", i);
    client_skip(c, LASTING);

    struct text cursor = { 0 };
    text_append_str(&cursor, "0");
    int step = 0;
    do {
        struct node *reply = client_ask_node(c, "SCAN %s COUNT 20", text_str(&cursor));
        text_clear(&cursor);
        text_append_str(&cursor, text_str(&reply->items[0]->bytes));
        for (size_t i = 0; i < reply->items[1]->count; i++)
            times[atoi(text_str(&reply->items[1]->items[i]->bytes) + 4)] = 1;
        node_free(reply);
        for (int i = 0; i < 1000; i++) {
            int at = LASTING + (step * 1000 + i) % PASSING;
            client_queue(c, step / (PASSING / 1000) % 2 == 0 ? "SET key:%d v" : "DEL key:%d", at);
        }
        client_skip(c, 1000);
        step++;
    } while (strcmp(text_str(&cursor), "0") != 0 && step < 5000);
    assert_string_equal(text_str(&cursor), "0");
    text_release(&cursor);
    for (size_t i = 0; i < LASTING; i++) assert_int_equal(times[i], 1);
}

static void scan_refuses_bad_cursors_and_options(void **state) {
    static const struct exchange rows[] = {
        { "SCAN 0", "*[$\"0\", *[]]" },
        { "SCAN a", "-ERR invalid cursor" },
        { "SCAN -1", "-ERR invalid cursor" },
        { "SCAN 18446744073709551616", "-ERR invalid cursor" },
        { "SCAN 0 COUNT 0", SYNTAX },
        { "SCAN 0 COUNT -5", SYNTAX },
        { "SCAN 0 COUNT a", NOT_INT },
        { "SCAN 0 FOO x", SYNTAX },
        { "SCAN 0 TYPE", SYNTAX },
        { "SCAN 0 MATCH", SYNTAX },
        { "SCAN", "-ERR wrong number of arguments for 'scan' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- OBJECT ---- */

static void object_tells_of_an_entry(void **state) {
    static const struct exchange rows[] = {
        { "OBJECT ENCODING none", "$-1" },
        { "OBJECT FREQ none", "$-1" },
        { "OBJECT IDLETIME none", "$-1" },
        { "OBJECT REFCOUNT none", "$-1" },
        { "SET k hello", "+OK" },
        { "OBJECT ENCODING k", "$\"embstr\"" },
        { "OBJECT REFCOUNT k", ":1" },
        { "OBJECT IDLETIME k", ":0..60" },
        { "OBJECT FREQ k",
          "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
          "that when switching between policies at runtime LRU and LFU data will take some time to "
          "adjust." },
        { "CONFIG SET maxmemory-policy allkeys-lfu", "+OK" },
        { "SET f v", "+OK" },
        { "OBJECT FREQ f", ":0..255" },
        { "OBJECT IDLETIME f",
          "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that "
          "when switching between policies at runtime LRU and LFU data will take some time to "
          "adjust." },
        { "CONFIG SET maxmemory-policy noeviction", "+OK" },
        { "OBJECT FOO a", "-ERR unknown subcommand 'FOO'. Try OBJECT HELP." },
        { "OBJECT", "-ERR wrong number of arguments for 'object' command" },
        { "OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command" },
        { "OBJECT HELP x", "-ERR wrong number of arguments for 'object|help' command" },
        { "OBJECT HELP", "*[+OBJECT <subcommand> ..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- WAIT ---- */

static void wait_counts_replicas_and_there_are_none(void **state) {
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "WAIT 0 0", ":0" },
        { "WAIT 1 1", ":0" },
        { "WAIT a 0", NOT_INT },
        { "WAIT 1", "-ERR wrong number of arguments for 'wait' command" },
        { "WAIT 0 -1", "-ERR timeout is negative" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(del_unlink_exists_and_touch_count_keys),
        FIXTURE_TEST(one_command_takes_a_thousand_keys),
        FIXTURE_TEST(type_names_the_type_or_none),
        FIXTURE_TEST(expire_sets_a_relative_time),
        FIXTURE_TEST(expireat_sets_an_absolute_time),
        FIXTURE_TEST(a_time_in_the_past_deletes_at_once),
        FIXTURE_TEST(expire_conditions_compare_with_the_time_there_is),
        FIXTURE_TEST(expire_refuses_bad_times_and_options),
        FIXTURE_TEST(an_expired_key_is_gone_for_every_command),
        FIXTURE_TEST(expired_keys_leave_without_being_asked_for),
        FIXTURE_TEST(rename_moves_value_and_ttl),
        FIXTURE_TEST(rename_keeps_values_of_every_size),
        FIXTURE_TEST(copy_makes_an_independent_key),
        FIXTURE_TEST(move_takes_a_key_to_another_database),
        FIXTURE_TEST(databases_are_apart_and_can_be_swapped_and_flushed),
        FIXTURE_TEST(keys_matches_patterns),
        FIXTURE_TEST(randomkey_returns_an_existing_key),
        FIXTURE_TEST(scan_returns_every_key_of_a_resting_keyspace),
        FIXTURE_TEST(scan_misses_no_lasting_key_while_the_keyspace_grows_and_shrinks),
        FIXTURE_TEST(scan_refuses_bad_cursors_and_options),
        FIXTURE_TEST(object_tells_of_an_entry),
        FIXTURE_TEST(wait_counts_replicas_and_there_are_none),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
