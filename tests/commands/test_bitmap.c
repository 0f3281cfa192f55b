/* test_bitmap.c: the commands of group bitmap over the wire: what they do, and which mistake is told first.
 */
#include "../harness/fixture.h"

#define NOT_INT "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"

static void bits_are_counted_and_found_in_ranges(void **state) {
    static const struct exchange rows[] = {
        { "SET b \"\\x00\\xff\\xf0\"", "+OK" },
        { "BITCOUNT b", ":12" },
        { "BITCOUNT b 1", ":12" },
        { "BITCOUNT b 2 -1", ":4" },
        { "BITCOUNT b 8 10 BIT", ":3" },
        { "BITPOS b 1", ":8" },
        { "BITPOS b 0 1", ":20" },
        { "BITPOS b 0 1 1", ":-1" },
        { "BITPOS b 1 20 23 BIT", ":-1" },
        { "BITPOS none 0", ":0" },
        { "BITPOS none 1", ":-1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void the_shape_of_a_range_is_judged_before_its_numbers(void **state) {
    static const struct exchange rows[] = {
        { "BITPOS none 0 1 hello hello2", SYNTAX },
        { "BITPOS none 0 1 2 BIT more", SYNTAX },
        { "SET b 1", "+OK" },
        { "BITPOS b 0 1 hello hello2", SYNTAX },
        { "BITPOS b 0 hello", NOT_INT },
        { "BITPOS b 0 1 hello BYTE", NOT_INT },
        { "BITPOS b hello", NOT_INT },
        { "BITPOS b 2", "-ERR The bit argument must be 1 or 0." },
        { "BITCOUNT b 0 hello hello2", SYNTAX },
        { "BITCOUNT b 0 1 BIT more", SYNTAX },
        { "BITCOUNT b hello 1", NOT_INT },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(bits_are_counted_and_found_in_ranges),
        FIXTURE_TEST(the_shape_of_a_range_is_judged_before_its_numbers),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
