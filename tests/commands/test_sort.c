/* test_sort.c: SORT and SORT_RO over the wire. */
#include "../harness/fixture.h"

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define SYNTAX "-ERR syntax error"
#define NO_NUMBER "-ERR One or more scores can't be converted into double"

static void elements_are_sorted_as_numbers_or_as_texts(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH l 3 10 2.5 -1 1e1", ":5" },
        { "SORT l", "*[$\"-1\", $\"2.5\", $\"3\", $\"10\", $\"1e1\"]" },
        { "SORT l DESC", "*[$\"1e1\", $\"10\", $\"3\", $\"2.5\", $\"-1\"]" },
        { "SORT l ALPHA", "*[$\"-1\", $\"10\", $\"1e1\", $\"2.5\", $\"3\"]" },
        { "SORT_RO l LIMIT 1 2", "*[$\"2.5\", $\"3\"]" },
        { "SORT l LIMIT -5 2", "*[$\"-1\", $\"2.5\"]" },
        { "SORT l LIMIT 4 100", "*[$\"1e1\"]" },
        { "SORT l LIMIT 5 1", "*[]" },
        { "SORT l LIMIT 2 -1", "*[$\"3\", $\"10\", $\"1e1\"]" },
        { "SORT l BY nosort", "*[$\"3\", $\"10\", $\"2.5\", $\"-1\", $\"1e1\"]" },
        { "SORT l BY nosort DESC LIMIT 0 2", "*[$\"1e1\", $\"-1\"]" },
        { "SADD s c a b", ":3" },
        { "SORT s ALPHA DESC", "*[$\"c\", $\"b\", $\"a\"]" },
        { "SORT s", NO_NUMBER },
        { "ZADD z 1 9 2 8 3 7", ":3" },
        { "SORT z", "*[$\"7\", $\"8\", $\"9\"]" },
        { "SORT z BY nosort DESC", "*[$\"7\", $\"8\", $\"9\"]" },
        { "SORT none", "*[]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void patterns_read_strings_and_fields_of_other_keys(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH l 1 2 3", ":3" },
        { "MSET w1 30 w2 20 w3 10 n1 one n2 two", "+OK" },
        { "HSET h1 f 5 g x", ":2" },
        { "HSET h2 f 4", ":1" },
        { "SORT l BY w*", "*[$\"3\", $\"2\", $\"1\"]" },
        { "SORT l BY h*->f", "*[$\"3\", $\"2\", $\"1\"]" },
        { "SORT l BY w* GET # GET n* GET h*->g",
          "*[$\"3\", $-1, $-1, $\"2\", $\"two\", $-1, $\"1\", $\"one\", $\"x\"]" },
        { "SORT l GET nostar", "*[$-1, $-1, $-1]" },
        { "SORT l BY n* ALPHA", "*[$\"3\", $\"1\", $\"2\"]" },
        { "SORT l BY n*", NO_NUMBER },
        { "SORT l BY l* GET h*", "*[$-1, $-1, $-1]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_result_is_stored_as_a_list(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH l 3 1 2", ":3" },
        { "SET d x EX 1000", "+OK" },
        { "SORT l STORE d", ":3" },
        { "LRANGE d 0 -1", "*[$\"1\", $\"2\", $\"3\"]" },
        { "TTL d", ":-1" },
        { "SORT l GET none* STORE d", ":3" },
        { "LRANGE d 0 -1", "*[$\"\", $\"\", $\"\"]" },
        { "SORT l LIMIT 0 0 STORE d", ":0" },
        { "EXISTS d", ":0" },
        { "SORT l DESC STORE l", ":3" },
        { "LRANGE l 0 -1", "*[$\"3\", $\"2\", $\"1\"]" },
        { "SADD s b a c", ":3" },
        { "SORT s BY nosort STORE d", ":3" },
        { "LRANGE d 0 -1", "*[$\"a\", $\"b\", $\"c\"]" },
        { "COMMAND GETKEYS SORT k BY STORE GET a STORE d", "*[$\"k\", $\"d\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void what_is_wrong_is_refused(void **state) {
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "SORT k", WRONGTYPE },
        { "SORT k FOO", SYNTAX },
        { "SORT k LIMIT 0", SYNTAX },
        { "SORT k BY", SYNTAX },
        { "SORT k GET", SYNTAX },
        { "SORT k STORE", SYNTAX },
        { "SORT_RO k STORE d", SYNTAX },
        { "SORT k LIMIT a b", "-ERR value is not an integer or out of range" },
        { "SORT", "-ERR wrong number of arguments for 'sort' command" },
        { "RPUSH l a", ":1" },
        { "SORT l STORE d", NO_NUMBER },
        { "EXISTS d", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(elements_are_sorted_as_numbers_or_as_texts),
        FIXTURE_TEST(patterns_read_strings_and_fields_of_other_keys),
        FIXTURE_TEST(a_result_is_stored_as_a_list),
        FIXTURE_TEST(what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
