/* test_acl_effects.c: what rules permit: commands, keys, channels. tests/differential compares random rules
 * with another server; here are those with an idea of their own. */
#include "../harness/fixture.h"

#define DENIED(key) "$\"User u has no permissions to access the '" key "' key\""

static void an_empty_rule_changes_nothing(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u \"\" +get \"\"", "+OK" },
        { "ACL SETUSER u (+set \"\" ~a)", "+OK" },
        { "ACL LIST",
          "*[..., $\"user u off sanitize-payload resetchannels -@all +get (~a resetchannels -@all +set)\"]" },
        { "ACL DELUSER u", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* "~*" would end the list of patterns for whoever reads it: "%RW~*" does not. */
static void a_printed_user_can_be_read_again(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u ~a %RW~* %R~b", "+OK" },
        { "ACL LIST", "*[..., $\"user u off sanitize-payload ~a %RW~* %R~b resetchannels -@all\"]" },
        { "ACL SETUSER u reset off sanitize-payload ~a %RW~* %R~b resetchannels -@all", "+OK" },
        { "ACL SETUSER u reset %R~* %W~*", "+OK" },
        { "ACL LIST", "*[..., $\"user u off sanitize-payload ~* resetchannels -@all\"]" },
        { "ACL DELUSER u", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void patterns_of_every_form_match_whole_keys(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u +@all ~cache:* ~one ~?x* ~\\a* ~[pq]*", "+OK" },
        { "ACL DRYRUN u GET cache:", "+OK" },
        { "ACL DRYRUN u GET cache:1", "+OK" },
        { "ACL DRYRUN u GET cache", DENIED("cache") },
        { "ACL DRYRUN u GET xcache:1", DENIED("xcache:1") },
        { "ACL DRYRUN u GET one", "+OK" },
        { "ACL DRYRUN u GET one1", DENIED("one1") },
        { "ACL DRYRUN u GET yx", "+OK" },
        { "ACL DRYRUN u GET a1", "+OK" },
        { "ACL DRYRUN u GET p1", "+OK" },
        { "ACL DRYRUN u GET \"\"", DENIED("") },
        { "ACL DRYRUN u MGET one cache:1 b", DENIED("b") },
        { "ACL DELUSER u", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* SET reads only with GET: its key's access is that of its arguments. */
static void access_is_that_of_the_arguments(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u +@all ~rw* %W~w* %R~r*", "+OK" },
        { "ACL DRYRUN u SET rw 1", "+OK" },
        { "ACL DRYRUN u SET w 1", "+OK" },
        { "ACL DRYRUN u SET w 1 GET", DENIED("w") },
        { "ACL DRYRUN u SET rw 1 GET", "+OK" },
        { "ACL DRYRUN u SET r 1", DENIED("r") },
        { "ACL DRYRUN u BITFIELD r GET u4 0", "+OK" },
        { "ACL DRYRUN u BITFIELD r SET u4 0 1", DENIED("r") },
        { "ACL DELUSER u", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* One selector has to permit all of a command. */
static void a_later_selector_permits_what_the_first_does_not(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u +get ~a (+set ~b) (+publish +spublish &c)", "+OK" },
        { "ACL DRYRUN u GET a", "+OK" },
        { "ACL DRYRUN u SET b 1", "+OK" },
        { "ACL DRYRUN u SET a 1", DENIED("a") },
        { "ACL DRYRUN u GET b", DENIED("b") },
        { "ACL DRYRUN u PUBLISH c x", "+OK" },
        { "ACL DRYRUN u SPUBLISH d x", "$\"User u has no permissions to access the 'd' channel\"" },
        { "ACL DRYRUN u PING", "$\"User u has no permissions to run the 'ping' command\"" },
        { "ACL DELUSER u", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(an_empty_rule_changes_nothing),
        FIXTURE_TEST(a_printed_user_can_be_read_again),
        FIXTURE_TEST(patterns_of_every_form_match_whole_keys),
        FIXTURE_TEST(access_is_that_of_the_arguments),
        FIXTURE_TEST(a_later_selector_permits_what_the_first_does_not),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
