/* test_memory.c: MEMORY over the wire. */
#include "../harness/fixture.h"

static void usage_grows_with_key_and_value(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "MEMORY USAGE none", "$-1");
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "DEBUG POPULATE 1 big 100000", "+OK");
    int64_t small = client_ask_int(c, "MEMORY USAGE k");
    int64_t big = client_ask_int(c, "MEMORY USAGE big:0 SAMPLES 0");
    assert_true(small > 10 && small < 100);
    assert_true(big >= 100000 && big < 150000);
    assert_reply(c, "PEXPIRE k 100000", ":1");
    assert_true(client_ask_int(c, "MEMORY USAGE k") >= small);
}

/* Elements of very different sizes, of which a few would tell little. */
static void usage_is_exact_however_many_samples(void **state) {
    static const struct {
        const char *key, *add, *between;
    } rows[] = {
        { "h", "HSET h f", " " }, { "s", "SADD s m", "" },     { "z", "ZADD z 1 m", "" },
        { "l", "RPUSH l e", "" }, { "x", "XADD x * f v", "" },
    };
    struct client *c = fixture_client(state);
    for (size_t k = 0; k < COUNT_OF(rows); k++) {
        for (int i = 0; i < 600; i++)
            client_ask(c, "%s%d%s%0*d", rows[k].add, i, rows[k].between, i % 40 == 7 ? 3000 : 1 + i % 50, 0);
        int64_t all = client_ask_int(c, "MEMORY USAGE %s", rows[k].key);
        assert_true(all > 15 * 3000 && all < 3 * 15 * 3000);
        assert_int_equal(client_ask_int(c, "MEMORY USAGE %s SAMPLES 1", rows[k].key), all);
    }
}

static void usage_checks_its_arguments(void **state) {
    static const struct exchange rows[] = {
        { "MEMORY USAGE", "-ERR wrong number of arguments for 'memory|usage' command" },
        { "MEMORY USAGE k SAMPLES a", "-ERR value is not an integer or out of range" },
        { "MEMORY USAGE k SAMPLES -1", "-ERR syntax error" },
        { "MEMORY USAGE k SAMPLES", "-ERR syntax error" },
        { "MEMORY USAGE k FOO 1", "-ERR syntax error" },
        { "MEMORY USAGE k SAMPLES 1 SAMPLES 2", "$-1" },
        { "MEMORY FOO", "-ERR unknown subcommand 'FOO'. Try MEMORY HELP." },
        { "MEMORY HELP", "*[+MEMORY <subcommand> ..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static int64_t number_of(const struct node *stats, const char *name) {
    const struct node *n = node_lookup(stats, name);
    if (!n) fail_msg("MEMORY STATS has no %s", name);
    return n->number;
}

static void stats_add_up(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "HELLO 3", "...");
    assert_reply(c, "DEBUG POPULATE 1000 x 1000", "+OK");
    struct node *stats = client_ask_node(c, "MEMORY STATS");
    assert_int_equal(stats->kind, '%');
    int64_t total = number_of(stats, "total.allocated"), startup = number_of(stats, "startup.allocated");
    assert_int_equal(number_of(stats, "keys.count"), 1000);
    assert_int_equal(number_of(stats, "keys.bytes-per-key"), (total - startup) / 1000);
    assert_int_equal(number_of(stats, "dataset.bytes"), total - number_of(stats, "overhead.total"));
    assert_true(number_of(stats, "dataset.bytes") > 1000000);
    assert_true(number_of(stats, "peak.allocated") >= total);
    assert_true(number_of(stats, "clients.normal") > 0);
    const struct node *db = node_lookup(stats, "db.0");
    assert_non_null(db);
    assert_true(number_of(db, "overhead.hashtable.main") >= 1000 * 8);
    assert_null(node_lookup(stats, "db.1"));
    assert_int_equal(node_lookup(stats, "dataset.percentage")->kind, ',');
    node_free(stats);
}

static void doctor_purge_and_malloc_stats_answer(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "MEMORY PURGE", "+OK");
    assert_reply(c, "MEMORY DOCTOR", "$\"...\"");
    assert_reply(c, "HELLO 3", "...");
    assert_reply(c, "MEMORY DOCTOR", "=\"txt:...\"");
    assert_reply(c, "MEMORY MALLOC-STATS", "=\"txt:...\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(usage_grows_with_key_and_value),
        FIXTURE_TEST(usage_is_exact_however_many_samples),
        FIXTURE_TEST(usage_checks_its_arguments),
        FIXTURE_TEST(stats_add_up),
        FIXTURE_TEST(doctor_purge_and_malloc_stats_answer),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
