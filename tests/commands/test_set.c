/* test_set.c: the commands of group set over the wire. */
#include "../harness/fixture.h"
#include "../harness/scenario.h"
#include <stdlib.h>

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INT "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"
#define NOT_POSITIVE "-ERR value is out of range, must be positive"

static void members_come_and_go(void **state) {
    static const struct exchange rows[] = {
        { "SADD s a b a", ":2" },
        { "SADD s b c", ":1" },
        { "SCARD s", ":3" },
        { "SISMEMBER s a", ":1" },
        { "SISMEMBER s x", ":0" },
        { "SMISMEMBER s a x c a", "*[:1, :0, :1, :1]" },
        { "SREM s a x a", ":1" },
        { "SREM s x", ":0" },
        { "SREM s b c", ":2" },
        { "EXISTS s", ":0" },
        { "SREM s b", ":0" },
        { "SCARD s", ":0" },
        { "SISMEMBER s a", ":0" },
        { "SMISMEMBER s a b", "*[:0, :0]" },
        { "SMEMBERS s", "*[]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void members_are_compared_byte_for_byte(void **state) {
    static const struct exchange rows[] = {
        { "SADD s 1 01 \"1\\x00\" \"\" +1 1.0 9223372036854775807 9223372036854775808", ":8" },
        { "SISMEMBER s 1", ":1" },
        { "SISMEMBER s 001", ":0" },
        { "SISMEMBER s \"\"", ":1" },
        { "SREM s 01", ":1" },
        { "SISMEMBER s 1", ":1" },
        { "SISMEMBER s 9223372036854775808", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
    assert_reply_sorted(fixture_client(state), "SMEMBERS s",
                        "*[$\"\", $\"+1\", $\"1\", $\"1.0\", $\"1\\x00\", $\"9223372036854775807\", "
                        "$\"9223372036854775808\"]");
}

static void other_types_are_refused(void **state) {
    static const char *const commands[] = {
        "SADD k a",         "SREM k a",          "SCARD k",           "SISMEMBER k a", "SMISMEMBER k a b",
        "SMEMBERS k",       "SMOVE k s a",       "SMOVE s k a",       "SPOP k",        "SPOP k 2",
        "SRANDMEMBER k",    "SRANDMEMBER k 2",   "SSCAN k 0",         "SINTER k",      "SINTER none k",
        "SINTER s k",       "SUNION s k",        "SDIFF s k",         "SDIFF k",       "SINTERCARD 2 s k",
        "SINTERSTORE d k",  "SUNIONSTORE d s k", "SDIFFSTORE d none k", NULL,
    };
    assert_reply(fixture_client(state), "SET k v", "+OK");
    assert_reply(fixture_client(state), "SADD s a", ":1");
    for (size_t i = 0; commands[i]; i++) assert_reply(fixture_client(state), commands[i], WRONGTYPE);
    assert_reply(fixture_client(state), "SMOVE none k a", ":0");
    assert_reply(fixture_client(state), "EXISTS d", ":0");
    assert_reply(fixture_client(state), "GET k", "$\"v\"");
}

static void smove_moves_one_member(void **state) {
    static const struct exchange rows[] = {
        { "SADD a 1 2", ":2" },
        { "SADD b 2 x", ":2" },
        { "SMOVE a b 9", ":0" },
        { "SMOVE a a 1", ":1" },
        { "SMOVE a a 9", ":0" },
        { "SCARD a", ":2" },
        { "SMOVE a b 2", ":1" },
        { "SCARD b", ":2" },
        { "SMOVE a c 1", ":1" },
        { "EXISTS a", ":0" },
        { "SMEMBERS c", "*[$\"1\"]" },
        { "SMOVE none c 1", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void add_range(struct client *c, const char *key, const char *prefix, int from, int to) {
    struct words head = { 0 };
    words_add_str(&head, "SADD");
    words_add_str(&head, key);
    scenario_send_range(c, &head, prefix, from, to, false);
}

static void encodings_follow_size_and_contents(void **state) {
    struct client *c = fixture_client(state);
    add_range(c, "i", "", 0, 512);
    assert_reply(c, "OBJECT ENCODING i", "$\"intset\"");
    add_range(c, "i", "", 512, 513);
    assert_reply(c, "OBJECT ENCODING i", "$\"hashtable\"");
    add_range(c, "l", "m", 0, 128);
    assert_reply(c, "OBJECT ENCODING l", "$\"listpack\"");
    add_range(c, "l", "m", 128, 129);
    assert_reply(c, "OBJECT ENCODING l", "$\"hashtable\"");
    add_range(c, "m", "", 0, 127);
    assert_reply(c, "SADD m text", ":1");
    assert_reply(c, "OBJECT ENCODING m", "$\"listpack\"");
    assert_reply(c, "SADD m 1000", ":1");
    assert_reply(c, "OBJECT ENCODING m", "$\"hashtable\"");
    assert_reply(c, "SADD w 12345678901234567890123456789012345678901234567890123456789012345", ":1");
    assert_reply(c, "OBJECT ENCODING w", "$\"hashtable\"");
    assert_reply(c, "SREM i 512", ":1");
    assert_reply(c, "OBJECT ENCODING i", "$\"hashtable\"");
    assert_reply(c, "CONFIG SET set-max-intset-entries 2 set-max-listpack-entries 3 set-max-listpack-value 4",
                 "+OK");
    assert_reply(c, "SADD x 1 2", ":2");
    assert_reply(c, "OBJECT ENCODING x", "$\"intset\"");
    assert_reply(c, "SADD x a", ":1");
    assert_reply(c, "OBJECT ENCODING x", "$\"listpack\"");
    assert_reply(c, "SADD x abcde", ":1");
    assert_reply(c, "OBJECT ENCODING x", "$\"hashtable\"");
    assert_reply(c, "SADD y 1 2 3", ":3");
    assert_reply(c, "OBJECT ENCODING y", "$\"listpack\"");
    assert_reply(c, "SADD z 1 2 3 4", ":4");
    assert_reply(c, "OBJECT ENCODING z", "$\"hashtable\"");
    assert_reply(
        c, "CONFIG SET set-max-intset-entries 512 set-max-listpack-entries 128 set-max-listpack-value 64",
        "+OK");
}

static void spop_takes_what_it_replies(void **state) {
    static const struct exchange rows[] = {
        { "SPOP none", "$-1" },
        { "SPOP none 3", "*[]" },
        { "SPOP none 0", "*[]" },
        { "SPOP none -1", NOT_POSITIVE },
        { "SPOP none a", NOT_POSITIVE },
        { "SPOP none 1 2", SYNTAX },
        { "SADD s a", ":1" },
        { "SPOP s 0", "*[]" },
        { "SPOP s", "$\"a\"" },
        { "EXISTS s", ":0" },
        { "SADD s a", ":1" },
        { "SPOP s 2", "*[$\"a\"]" },
        { "EXISTS s", ":0" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    static const char *const prefixes[] = { "", "m" };
    for (int p = 0; p < 2; p++) {
        for (int count = 1; count <= 1000; count = count * 3 + 7) {
            add_range(c, "s", prefixes[p], 0, 1000);
            struct node *popped = client_ask_node(c, "SPOP s %d", count);
            assert_int_equal(popped->count, count);
            for (size_t i = 0; i < popped->count; i++)
                assert_int_equal(client_ask_int(c, "SISMEMBER s %s", text_str(&popped->items[i]->bytes)), 0);
            assert_int_equal(client_ask_int(c, "SCARD s"), 1000 - count);
            node_free(popped);
        }
        assert_int_equal(client_ask_int(c, "DEL s"), 1);
    }
}

static void srandmember_leaves_the_set_alone(void **state) {
    static const struct exchange rows[] = {
        { "SRANDMEMBER none", "$-1" },
        { "SRANDMEMBER none 3", "*[]" },
        { "SRANDMEMBER none a", NOT_INT },
        { "SRANDMEMBER none -9223372036854775808",
          "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807" },
        { "SRANDMEMBER none 1 2", SYNTAX },
        { "SADD s a", ":1" },
        { "SRANDMEMBER s", "$\"a\"" },
        { "SRANDMEMBER s 5", "*[$\"a\"]" },
        { "SRANDMEMBER s 0", "*[]" },
        { "SRANDMEMBER s -3", "*[$\"a\", $\"a\", $\"a\"]" },
        { "SCARD s", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void sets_combine(void **state) {
    static const struct exchange rows[] = {
        { "SADD a 1 2 3 x", ":4" },
        { "SADD b 2 3 4 x", ":4" },
        { "SADD c 3 x y", ":3" },
        { "SINTER a none", "*[]" },
        { "SDIFF none a", "*[]" },
        { "SDIFF a a", "*[]" },
        { "SUNION none", "*[]" },
        { "SINTERCARD 3 a b c", ":2" },
        { "SINTERCARD 3 a b c LIMIT 1", ":1" },
        { "SINTERCARD 2 a b LIMIT 0", ":3" },
        { "SINTERCARD 2 a b limit 100", ":3" },
        { "SINTERCARD 2 a none", ":0" },
        { "SINTERCARD 0 a", "-ERR numkeys should be greater than 0" },
        { "SINTERCARD a a", "-ERR numkeys should be greater than 0" },
        { "SINTERCARD 2 a", "-ERR Number of keys can't be greater than number of args" },
        { "SINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative" },
        { "SINTERCARD 1 a LIMIT x", "-ERR LIMIT can't be negative" },
        { "SINTERCARD 1 a LIMIT", SYNTAX },
        { "SINTERCARD 1 a FOO 1", SYNTAX },
        { "SINTERSTORE d a b c", ":2" },
        { "SUNIONSTORE e a b", ":5" },
        { "SDIFFSTORE f b a", ":1" },
        { "SMEMBERS f", "*[$\"4\"]" },
        { "OBJECT ENCODING f", "$\"intset\"" },
        { "SDIFFSTORE f a a", ":0" },
        { "EXISTS f", ":0" },
        { "SINTERSTORE f a none", ":0" },
        { "SET str v EX 100", "+OK" },
        { "SUNIONSTORE str a", ":4" },
        { "TTL str", ":-1" },
        { "SUNIONSTORE a a b", ":5" },
        { "SDIFFSTORE a a b", ":1" },
        { "SMEMBERS a", "*[$\"1\"]" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    assert_reply_sorted(c, "SMEMBERS d", "*[$\"3\", $\"x\"]");
    assert_reply_sorted(c, "SMEMBERS e", "*[$\"1\", $\"2\", $\"3\", $\"4\", $\"x\"]");
    assert_reply_sorted(c, "SINTER b c", "*[$\"3\", $\"x\"]");
    assert_reply_sorted(c, "SUNION b c", "*[$\"2\", $\"3\", $\"4\", $\"x\", $\"y\"]");
    assert_reply_sorted(c, "SDIFF b c none", "*[$\"2\", $\"4\"]");
}

static void sscan_walks_over_all_members(void **state) {
    static const struct exchange rows[] = {
        { "SSCAN none 0", "*[$\"0\", *[]]" },
        { "SSCAN none x", "-ERR invalid cursor" },
        { "SSCAN none 0 FOO", "*[$\"0\", *[]]" },
        { "SADD s 1 2 3", ":3" },
        { "SSCAN s 0", "*[$\"0\", *[$\"1\", $\"2\", $\"3\"]]" },
        { "SSCAN s 0 MATCH [12] COUNT 1", "*[$\"0\", *[$\"1\", $\"2\"]]" },
        { "SSCAN s 0 COUNT 0", SYNTAX },
        { "SSCAN s 0 COUNT a", NOT_INT },
        { "SSCAN s 0 FOO", SYNTAX },
        { "SSCAN s 0 MATCH", SYNTAX },
        { "SSCAN s 0 NOVALUES", "-ERR NOVALUES option can only be used in HSCAN" },
        { "SSCAN s 0 NOSCORES", "-ERR NOSCORES option can only be used in ZSCAN" },
        { "SSCAN s 0 TYPE set", SYNTAX },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    add_range(c, "big", "m", 0, 1000);
    scenario_scan(c, "SSCAN big", 1000, 1);
}

static void resp3_has_sets(void **state) {
    static const struct exchange rows[] = {
        { "SADD s a", ":1" },
        { "HELLO 3", "%{...}" },
        { "SMEMBERS s", "~[$\"a\"]" },
        { "SMEMBERS none", "~[]" },
        { "SINTER s", "~[$\"a\"]" },
        { "SUNION s", "~[$\"a\"]" },
        { "SDIFF s", "~[$\"a\"]" },
        { "SDIFF none", "~[]" },
        { "SRANDMEMBER s 1", "*[$\"a\"]" },
        { "SRANDMEMBER none", "_" },
        { "SPOP none 1", "~[]" },
        { "SPOP none", "_" },
        { "SMISMEMBER s a", "*[:1]" },
        { "SSCAN s 0", "*[$\"0\", *[$\"a\"]]" },
        { "SPOP s 1", "~[$\"a\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void events_tell_of_each_change(void **state) {
    static const char *const wanted[] = {
        "sadd a",        "srem a",       "srem a", "del a",  "sadd b", "srem b",
        "del b",         "sadd c",       "spop c", "del c",  "sadd d", "sunionstore e",
        "sinterstore e", "sdiffstore e", "del e",  "spop d", "del d",  NULL
    };
    static const char *const commands[] = {
        "SADD a 1 2",          "SREM a 1",         "SREM a 9", "SREM a 2",        "SADD b 1",
        "SMOVE b c 1",         "SPOP c",           "SADD d 1", "SUNIONSTORE e d", "SINTERSTORE e d",
        "SDIFFSTORE e d none", "SDIFFSTORE e d d", "SPOP d 5", NULL };
    scenario_events(((struct fixture *)*state)->server, "Egs", commands, wanted);
}

static void read_back(struct client *c, struct text *out) {
    for (int i = 0; i < 6; i++) {
        struct node *n = client_ask_node(c, "SMEMBERS s%d", i);
        node_sort(n);
        node_describe(n, out);
        node_free(n);
    }
}

/* Random changes, then SIGKILL: the same members must come back. */
static void the_journal_replays_to_the_same_sets(void **state) {
    static const char *const commands[] = {
        "SADD s%u m%u %u",  "SADD s%u %u %u",  "SREM s%u m%u %u", "SPOP s%u",         "SPOP s%u %u",
        "SMOVE s%u s%u %u", "SADD s%u %u m%u", "SADD s%u m%u %u", "SUNIONSTORE s%u s%u s2",
        "SDIFFSTORE s%u s%u s3", NULL,
    };
    static const struct random_changes changes = { commands, { 6, 40, 6 }, 3000 };
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    scenario_change(c, &changes);
    add_range(c, "s4", "x", 0, 50);
    add_range(c, "s5", "x", 0, 4000);
    node_free(client_ask_node(c, "SPOP s4 7"));
    node_free(client_ask_node(c, "SPOP s5 2500"));
    client_close(c);
    scenario_kill(s, read_back, 100);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(members_come_and_go),
        FIXTURE_TEST(members_are_compared_byte_for_byte),
        FIXTURE_TEST(other_types_are_refused),
        FIXTURE_TEST(smove_moves_one_member),
        FIXTURE_TEST(encodings_follow_size_and_contents),
        FIXTURE_TEST(spop_takes_what_it_replies),
        FIXTURE_TEST(srandmember_leaves_the_set_alone),
        FIXTURE_TEST(sets_combine),
        FIXTURE_TEST(sscan_walks_over_all_members),
        FIXTURE_TEST(resp3_has_sets),
        FIXTURE_TEST(events_tell_of_each_change),
        cmocka_unit_test(the_journal_replays_to_the_same_sets),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
