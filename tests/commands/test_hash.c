/* test_hash.c: the commands of group hash over the wire. (Fields with a time to live: test_hash_expire.c.) */
#include "../harness/fixture.h"
#include "../harness/scenario.h"
#include <stdlib.h>

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INT "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"

static void fields_come_and_go(void **state) {
    static const struct exchange rows[] = {
        { "HSET h a 1 b 2 a 3", ":2" },
        { "HSET h b 4 c 5", ":1" },
        { "HGET h a", "$\"3\"" },
        { "HGET h x", "$-1" },
        { "HMGET h a x b a", "*[$\"3\", $-1, $\"4\", $\"3\"]" },
        { "HLEN h", ":3" },
        { "HEXISTS h c", ":1" },
        { "HEXISTS h x", ":0" },
        { "HSTRLEN h a", ":1" },
        { "HSTRLEN h x", ":0" },
        { "HGETALL h", "*[$\"a\", $\"3\", $\"b\", $\"4\", $\"c\", $\"5\"]" },
        { "HKEYS h", "*[$\"a\", $\"b\", $\"c\"]" },
        { "HVALS h", "*[$\"3\", $\"4\", $\"5\"]" },
        { "HSETNX h a 9", ":0" },
        { "HSETNX h d 9", ":1" },
        { "HMSET h d 10 e \"\"", "+OK" },
        { "HGET h e", "$\"\"" },
        { "HDEL h a x a", ":1" },
        { "HDEL h b c d e", ":4" },
        { "EXISTS h", ":0" },
        { "HDEL h b", ":0" },
        { "HLEN h", ":0" },
        { "HGET h a", "$-1" },
        { "HMGET h a b", "*[$-1, $-1]" },
        { "HGETALL h", "*[]" },
        { "HKEYS h", "*[]" },
        { "HEXISTS h a", ":0" },
        { "HSTRLEN h a", ":0" },
        { "HSETNX h f v", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void names_and_values_are_bytes(void **state) {
    static const struct exchange rows[] = {
        { "HSET h 1 01 01 1 \"\" \"a\\x00\\r\\n\" \"\\xff\" -0", ":4" },
        { "HGET h 1", "$\"01\"" },
        { "HGET h 01", "$\"1\"" },
        { "HGET h \"\"", "$\"a\\x00\\r\\n\"" },
        { "HGET h \"\\xff\"", "$\"-0\"" },
        { "HSTRLEN h \"\"", ":4" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void bad_input_is_refused(void **state) {
    static const char *const commands[] = {
        "HSET k f v",  "HMSET k f v", "HSETNX k f v",   "HGET k f",       "HMGET k f",
        "HGETALL k",   "HKEYS k",     "HVALS k",        "HLEN k",         "HSTRLEN k f",
        "HEXISTS k f", "HDEL k f",    "HINCRBY k f 1",  "HRANDFIELD k",   "HINCRBYFLOAT k f 1",
        "HSCAN k 0",   "HRANDFIELD k 1", NULL,
    };
    static const struct exchange rows[] = {
        { "HSET h f", "-ERR wrong number of arguments for 'hset' command" },
        { "HSET h f v g", "-ERR wrong number of arguments for 'hset' command" },
        { "HMSET h f v g", "-ERR wrong number of arguments for 'hmset' command" },
        { "HSET k f v g", "-ERR wrong number of arguments for 'hset' command" },
        { "EXISTS h", ":0" },
        { "GET k", "$\"v\"" },
        { NULL, NULL },
    };
    assert_reply(fixture_client(state), "SET k v", "+OK");
    for (size_t i = 0; commands[i]; i++) assert_reply(fixture_client(state), commands[i], WRONGTYPE);
    assert_exchanges(fixture_client(state), rows);
}

static void counters_count_within_64_bits(void **state) {
    static const struct exchange rows[] = {
        { "HINCRBY h n 5", ":5" },
        { "HINCRBY h n -7", ":-2" },
        { "HGET h n", "$\"-2\"" },
        { "HSET h n 9223372036854775807 s v f 1.5", ":2" },
        { "HINCRBY h n 1", "-ERR increment or decrement would overflow" },
        { "HGET h n", "$\"9223372036854775807\"" },
        { "HINCRBY h n -9223372036854775808", ":-1" },
        { "HINCRBY h s 1", "-ERR hash value is not an integer" },
        { "HINCRBY h f 1", "-ERR hash value is not an integer" },
        { "HINCRBY h n a", NOT_INT },
        { "HINCRBY h n 1.0", NOT_INT },
        { "HINCRBY none n a", NOT_INT },
        { "EXISTS none", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void fractions_add_up(void **state) {
    static const struct exchange rows[] = {
        { "HINCRBYFLOAT h f 0.1", "$\"0.1\"" },
        { "HINCRBYFLOAT h f 0.2", "$\"0.3\"" },
        { "HINCRBYFLOAT h f -0.3", "$\"0\"" },
        { "HINCRBYFLOAT h f 5e3", "$\"5000\"" },
        { "HINCRBY h f 1", ":5001" },
        { "HSET h s v", ":1" },
        { "HINCRBYFLOAT h s 1", "-ERR hash value is not a float" },
        { "HINCRBYFLOAT h f a", "-ERR value is not a valid float" },
        { "HINCRBYFLOAT h f inf", "-ERR value is NaN or Infinity" },
        { "HINCRBYFLOAT h f -inf", "-ERR value is NaN or Infinity" },
        { "HINCRBYFLOAT h f nan", "-ERR value is not a valid float" },
        { "HINCRBYFLOAT none f inf", "-ERR value is NaN or Infinity" },
        { "EXISTS none", ":0" },
        { "HGET h f", "$\"5001\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void set_range(struct client *c, const char *key, int from, int to) {
    struct words head = { 0 };
    words_add_str(&head, "HSET");
    words_add_str(&head, key);
    scenario_send_range(c, &head, "f", from, to, true);
}

static void encodings_follow_size_and_lengths(void **state) {
    struct client *c = fixture_client(state);
    set_range(c, "h", 0, 300);
    set_range(c, "h", 300, 512);
    assert_reply(c, "OBJECT ENCODING h", "$\"listpack\"");
    assert_reply(c, "HSET h f0 again", ":0");
    assert_reply(c, "OBJECT ENCODING h", "$\"listpack\"");
    assert_reply(c, "HSET h more 1", ":1");
    assert_reply(c, "OBJECT ENCODING h", "$\"hashtable\"");
    assert_reply(c, "HDEL h more", ":1");
    assert_reply(c, "OBJECT ENCODING h", "$\"hashtable\"");
    assert_reply(c, "HGET h f0", "$\"again\"");
    assert_reply(c, "HGET h f511", "$\"511\"");
    assert_reply(c, "CONFIG SET hash-max-listpack-entries 2 hash-max-listpack-value 4", "+OK");
    assert_reply(c, "HSET x abcd 1234 e f", ":2");
    assert_reply(c, "OBJECT ENCODING x", "$\"listpack\"");
    assert_reply(c, "HSET x e 12345", ":0");
    assert_reply(c, "OBJECT ENCODING x", "$\"hashtable\"");
    assert_reply(c, "HSET y abcde 1", ":1");
    assert_reply(c, "OBJECT ENCODING y", "$\"hashtable\"");
    assert_reply(c, "HSET z a 1 b 2 c 3", ":3");
    assert_reply(c, "OBJECT ENCODING z", "$\"hashtable\"");
    assert_reply(c, "COPY x w", ":1");
    assert_reply(c, "HGET w e", "$\"12345\"");
    assert_reply(c, "CONFIG SET hash-max-listpack-entries 512 hash-max-listpack-value 64", "+OK");
}

static void big_values_pass_unchanged(void **state) {
    struct client *c = fixture_client(state);
    struct text big = { 0 };
    for (int i = 0; i < 200000; i++) text_append_char(&big, (char)(i * 7));
    for (int round = 0; round < 3; round++) {
        struct words w = { 0 };
        words_add_str(&w, "HSET");
        words_add_str(&w, "h");
        words_add_str(&w, "big");
        words_add(&w, big.ptr, big.len - (size_t)round * 254);
        client_queue_words(c, &w);
        client_flush(c);
        client_skip(c, 1);
        struct node *got = client_ask_node(c, "HGET h big");
        assert_int_equal(got->bytes.len, big.len - (size_t)round * 254);
        assert_memory_equal(got->bytes.ptr, big.ptr, got->bytes.len);
        node_free(got);
        words_release(&w);
    }
    text_release(&big);
}

static void hrandfield_takes_nothing(void **state) {
    static const struct exchange rows[] = {
        { "HRANDFIELD none", "$-1" },
        { "HRANDFIELD none 5", "*[]" },
        { "HRANDFIELD none a", NOT_INT },
        { "HRANDFIELD none 1 FOO", SYNTAX },
        { "HRANDFIELD none 1 WITHVALUES 2", SYNTAX },
        { "HRANDFIELD none -9223372036854775808",
          "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807" },
        { "HRANDFIELD none 9223372036854775807 WITHVALUES", "-ERR value is out of range" },
        { "HSET h f 1", ":1" },
        { "HRANDFIELD h", "$\"f\"" },
        { "HRANDFIELD h 0", "*[]" },
        { "HRANDFIELD h 3", "*[$\"f\"]" },
        { "HRANDFIELD h -3", "*[$\"f\", $\"f\", $\"f\"]" },
        { "HRANDFIELD h 3 withvalues", "*[$\"f\", $\"1\"]" },
        { "HRANDFIELD h -2 WITHVALUES", "*[$\"f\", $\"1\", $\"f\", $\"1\"]" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    set_range(c, "big", 0, 1000);
    for (int count = 1; count <= 2000; count = 3 * count + 1) {
        struct node *n = client_ask_node(c, "HRANDFIELD big %d WITHVALUES", count);
        assert_int_equal(n->count, 2 * (count < 1000 ? count : 1000));
        bool seen[1000] = { false };
        for (size_t i = 0; i < n->count; i += 2) {
            int id = atoi(text_str(&n->items[i]->bytes) + 1);
            assert_int_equal(atoi(text_str(&n->items[i + 1]->bytes)), id);
            assert_false(seen[id]);
            seen[id] = true;
        }
        node_free(n);
    }
}

static void hscan_walks_over_all_fields(void **state) {
    static const struct exchange rows[] = {
        { "HSCAN none 0", "*[$\"0\", *[]]" },
        { "HSCAN none x", "-ERR invalid cursor" },
        { "HSET h a 1 b 2", ":2" },
        { "HSCAN h 0", "*[$\"0\", *[$\"a\", $\"1\", $\"b\", $\"2\"]]" },
        { "HSCAN h 0 NOVALUES", "*[$\"0\", *[$\"a\", $\"b\"]]" },
        { "HSCAN h 0 MATCH b novalues COUNT 10", "*[$\"0\", *[$\"b\"]]" },
        { "HSCAN h 0 MATCH b", "*[$\"0\", *[$\"b\", $\"2\"]]" },
        { "HSCAN h 0 COUNT 0", SYNTAX },
        { "HSCAN h 0 COUNT a", NOT_INT },
        { "HSCAN h 0 FOO", SYNTAX },
        { "HSCAN h 0 NOSCORES", "-ERR NOSCORES option can only be used in ZSCAN" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    set_range(c, "big", 0, 1000);
    scenario_scan(c, "HSCAN big", 1000, 2);
}

static void resp3_has_maps(void **state) {
    static const struct exchange rows[] = {
        { "HSET h f 1", ":1" },
        { "HELLO 3", "%{...}" },
        { "HGETALL h", "%{$\"f\": $\"1\"}" },
        { "HGETALL none", "%{}" },
        { "HKEYS h", "*[$\"f\"]" },
        { "HVALS h", "*[$\"1\"]" },
        { "HGET h x", "_" },
        { "HMGET h x f", "*[_, $\"1\"]" },
        { "HRANDFIELD none", "_" },
        { "HRANDFIELD h 1", "*[$\"f\"]" },
        { "HRANDFIELD h 1 WITHVALUES", "*[*[$\"f\", $\"1\"]]" },
        { "HRANDFIELD h -2 WITHVALUES", "*[*[$\"f\", $\"1\"], *[$\"f\", $\"1\"]]" },
        { "HINCRBYFLOAT h f 0.5", "$\"1.5\"" },
        { "HSCAN h 0", "*[$\"0\", *[$\"f\", $\"1.5\"]]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void events_tell_of_each_change(void **state) {
    static const char *const wanted[] = { "hset h", "hset h", "hset h", "hincrby h", "hincrbyfloat h",
                                          "hdel h", "hdel h", "del h",  NULL };
    static const char *const commands[] = { "HSET h a 1 b 2", "HMSET h a 1",        "HSETNX h a 1",
                                            "HSETNX h c 1",   "HINCRBY h a 1",      "HSET h s",
                                            "HINCRBY h a x",  "HINCRBYFLOAT h a 1", "HDEL h x",
                                            "HDEL h a",       "HDEL h b c",         NULL };
    scenario_events(((struct fixture *)*state)->server, "Egh", commands, wanted);
}

static void read_back(struct client *c, struct text *out) {
    for (int i = 0; i < 6; i++) {
        struct node *n = client_ask_node(c, "HGETALL h%d", i);
        node_sort(n);
        node_describe(n, out);
        node_free(n);
    }
}

/* Random changes, then SIGKILL: the same fields must come back. */
static void the_journal_replays_to_the_same_hashes(void **state) {
    static const char *const commands[] = {
        "HSET h%u f%u %u", "HSET h%u %u %u", "HSETNX h%u f%u %u",       "HDEL h%u f%u %u",
        "HINCRBY h%u %u %u", "HINCRBYFLOAT h%u f%u 0.%u", "HMSET h%u %u v%u", NULL,
    };
    static const struct random_changes changes = { commands, { 6, 40, 600 }, 3000 };
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--hash-max-listpack-entries", "20", NULL);
    struct client *c = server_connect(s);
    scenario_change(c, &changes);
    client_close(c);
    scenario_kill(s, read_back, 500);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(fields_come_and_go),
        FIXTURE_TEST(names_and_values_are_bytes),
        FIXTURE_TEST(bad_input_is_refused),
        FIXTURE_TEST(counters_count_within_64_bits),
        FIXTURE_TEST(fractions_add_up),
        FIXTURE_TEST(encodings_follow_size_and_lengths),
        FIXTURE_TEST(big_values_pass_unchanged),
        FIXTURE_TEST(hrandfield_takes_nothing),
        FIXTURE_TEST(hscan_walks_over_all_fields),
        FIXTURE_TEST(resp3_has_maps),
        FIXTURE_TEST(events_tell_of_each_change),
        cmocka_unit_test(the_journal_replays_to_the_same_hashes),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
