/* test_script_numbers.c: numbers as arguments of the commands that scripts call. */
#include "../harness/fixture.h"

static void many_numbers_stay_until_the_command_has_run(void **state) {
    static const struct exchange rows[] = {
        { "EVAL \"local t = {} for i = 1, 2000 do t[i] = i + 0.5 end return redis.call('RPUSH', 'l', "
          "unpack(t))\" 0",
          ":2000" },
        { "EVAL \"for i, x in ipairs(redis.call('LRANGE', 'l', 0, -1)) do if x ~= tostring(i + 0.5) then "
          "return i end end return 'good'\" 0",
          "$\"good\"" },
        { "LRANGE l 1998 -1", "*[$\"1999.5\", $\"2000.5\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void numbers_and_texts_mix(void **state) {
    static const struct exchange rows[] = {
        { "EVAL \"return redis.call('RPUSH', 'm', 'a', 1, 'b', 2.25, 1e15, -3, 'c', 0.1)\" 0", ":8" },
        { "LRANGE m 0 -1", "*[$\"a\", $\"1\", $\"b\", $\"2.25\", "
          "$\"1000000000000000\", $\"-3\", $\"c\", $\"0.1\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(many_numbers_stay_until_the_command_has_run),
        FIXTURE_TEST(numbers_and_texts_mix),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
