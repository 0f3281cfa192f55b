/* test_hyperloglog.c: the commands of group hyperloglog over the wire. The bytes and estimates are those of
 * Redis 7.0. */
#include "../harness/fixture.h"
#include <math.h>
#include <stdlib.h>

#define NOT_ONE "-WRONGTYPE Key is not a valid HyperLogLog string value."
#define BROKEN "-INVALIDOBJ Corrupted HLL object detected"
#define EMPTY "HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x7f\\xff"

static void pfadd_tells_whether_something_was_counted(void **state) {
    static const struct exchange rows[] = {
        { "PFADD k", ":1" },
        { "PFADD k", ":0" },
        { "PFCOUNT k", ":0" },
        { "PFADD k a b c d e f g", ":1" },
        { "PFADD k a b c", ":0" },
        { "PFCOUNT k", ":7" },
        { "PFADD k h", ":1" },
        { "PFCOUNT k", ":8" },
        { "PFCOUNT none", ":0" },
        { "TYPE k", "+string" },
        { "OBJECT ENCODING k", "$\"raw\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void the_bytes_are_those_of_the_public_format(void **state) {
    static const struct exchange rows[] = {
        { "PFADD k foo bar zap", ":1" },
        { "GET k",
          "$\"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80"
          "\\\\\\xb3\\x90B\\x07\\x84HX\\x80X\\xe7\"" },
        { "PFCOUNT k", ":3" },
        { "GET k",
          "$\"HYLL\\x01\\x00\\x00\\x00\\x03\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
          "\\\\\\xb3\\x90B\\x07\\x84HX\\x80X\\xe7\"" },
        { "PFDEBUG DECODE k", "$\"Z:7348 v:5,1 Z:520 v:2,1 Z:2137 v:1,1 Z:6376\"" },
        { "SET k2 \"" EMPTY "\"", "+OK" },
        { "PFADD k2 a", ":1" },
        { "PFCOUNT k2", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void several_keys_count_what_is_in_any_of_them(void **state) {
    static const struct exchange rows[] = {
        { "PFADD a 1 2 3", ":1" },
        { "PFADD b 3 4 5 6", ":1" },
        { "PFCOUNT a b none", ":6" },
        { "PFMERGE m a b none", "+OK" },
        { "PFCOUNT m", ":6" },
        { "PFMERGE a", "+OK" },
        { "PFCOUNT a", ":3" },
        { "PFMERGE fresh", "+OK" },
        { "PFCOUNT fresh", ":0" },
        { "PFDEBUG TODENSE b", ":1" },
        { "PFDEBUG TODENSE b", ":0" },
        { "PFMERGE a b", "+OK" },
        { "PFDEBUG ENCODING a", "+dense" },
        { "STRLEN a", ":12304" },
        { "PFCOUNT a", ":6" },
        { "PFDEBUG DECODE a", "-ERR HLL encoding is not sparse" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void what_is_no_hyperloglog_is_refused_and_stays(void **state) {
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "PFADD k x", NOT_ONE },
        { "PFCOUNT k", NOT_ONE },
        { "PFCOUNT none k", NOT_ONE },
        { "PFMERGE m k", NOT_ONE },
        { "EXISTS m", ":0" },
        { "PFDEBUG ENCODING k", NOT_ONE },
        { "PFDEBUG ENCODING none", "-ERR The specified key does not exist" },
        { "SET k HYLLxxxxxxxxxxxxxxxx", "+OK" },
        { "PFCOUNT k", NOT_ONE },
        { "SET k \"HYLL\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00short\"", "+OK" },
        { "PFADD k x", NOT_ONE },
        { "RPUSH l x", ":1" },
        { "PFADD l x", "-WRONGTYPE Operation against a key holding the wrong kind of value" },
        { "PFADD h a", ":1" },
        { "PFDEBUG FOO h", "-ERR Unknown PFDEBUG subcommand 'FOO'" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* Runs that are too many, too few, or cut off. */
static void broken_runs_are_noticed_and_nothing_is_written(void **state) {
    static const char *const runs[] = {
        "", "\\x00", "\\x7f", "\\x7f\\xff\\x00", "\\x7f\\xff\\x7f\\xff", "\\x7f\\xfe", "\\x80\\x80\\x7f"
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(runs); i++) {
        client_ask(c, "SET k \"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80%s\"",
                   runs[i]);
        assert_reply(c, "PFCOUNT k", BROKEN);
        assert_reply(c, "PFCOUNT k none", BROKEN);
        assert_reply(c, "PFMERGE m k", BROKEN);
        assert_reply(c, "PFDEBUG TODENSE k", BROKEN);
        assert_reply(c, "PFDEBUG GETREG k", BROKEN);
        assert_reply(c, "EXISTS m", ":0");
    }
    client_ask(c, "SET k \"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x00\"");
    assert_reply(c, "PFADD k a b c d e f g h i j", BROKEN);
    assert_reply(c, "STRLEN k", ":17");
}

static void many_elements_make_it_dense_at_the_limit(void **state) {
    struct client *c = fixture_client(state);
    size_t longest = 0, counted = 0;
    for (int i = 0; i < 5000; i++) client_queue(c, "PFADD k element:%d", i), client_queue(c, "STRLEN k");
    client_flush(c);
    for (int i = 0; i < 5000; i++) {
        struct node *added = client_read(c), *len = client_read(c);
        counted += (size_t)added->number;
        if (len->number < 12304 && (size_t)len->number > longest) longest = (size_t)len->number;
        node_free(added);
        node_free(len);
    }
    assert_in_range(longest, 2990, 3000);
    assert_in_range(counted, 4000, 5000);
    assert_reply(c, "PFDEBUG ENCODING k", "+dense");
    assert_true(llabs((long long)client_ask_int(c, "PFCOUNT k") - 5000) < 200);
    assert_reply(c, "CONFIG SET hll-sparse-max-bytes 40", "+OK");
    assert_reply(c, "PFADD small a b c d", ":1");
    assert_reply(c, "PFDEBUG ENCODING small", "+sparse");
    assert_reply(c, "PFADD small e f g h i j k l m n o p", ":1");
    assert_reply(c, "PFDEBUG ENCODING small", "+dense");
    assert_reply(c, "PFCOUNT small", ":16");
    assert_reply(c, "CONFIG SET hll-sparse-max-bytes 3000", "+OK");
}

static void the_self_test_passes(void **state) { assert_reply(fixture_client(state), "PFSELFTEST", "+OK"); }

static void counts_survive_a_kill(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "PFADD a 1 2 3", ":1");
    assert_reply(c, "PFADD b 3 4", ":1");
    assert_reply(c, "PFMERGE m a b", "+OK");
    assert_reply(c, "PFCOUNT m", ":4");
    assert_reply(c, "PFDEBUG TODENSE b", ":1");
    struct text before = { 0 };
    text_append_str(&before, client_ask(c, "DEBUG DIGEST"));
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "DEBUG DIGEST", text_str(&before));
    text_release(&before);
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(pfadd_tells_whether_something_was_counted),
        FIXTURE_TEST(the_bytes_are_those_of_the_public_format),
        FIXTURE_TEST(several_keys_count_what_is_in_any_of_them),
        FIXTURE_TEST(what_is_no_hyperloglog_is_refused_and_stays),
        FIXTURE_TEST(broken_runs_are_noticed_and_nothing_is_written),
        FIXTURE_TEST(many_elements_make_it_dense_at_the_limit),
        FIXTURE_TEST(the_self_test_passes),
        cmocka_unit_test(counts_survive_a_kill),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
