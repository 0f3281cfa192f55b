/* test_expire.c: keys that go by their time: past times, what SCAN meets, and the average of INFO. */
#include "../harness/fixture.h"
#include "../harness/scenario.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void a_past_time_is_an_expiry(void **state) {
    static const char *const wanted[] = { "set k", "expired k", "set k",     "expired k",
                                          "set k", "expired k", "set k",     "expired k",
                                          "set k", "expired k", "expired k", NULL };
    static const char *const commands[] = { "SET k v",
                                            "EXPIRE k -1",
                                            "SET k v",
                                            "PEXPIREAT k 1",
                                            "SET k v",
                                            "GETEX k EXAT 1",
                                            "SET k v",
                                            "SET k w PXAT 1",
                                            "SET n v EXAT 1",
                                            "SET k v",
                                            "SET k w EXAT 1 GET",
                                            "RPUSH k 1",
                                            "SET k v EXAT 1",
                                            NULL };
    struct fixture *f = *state;
    assert_reply(f->client, "CONFIG RESETSTAT", "+OK");
    scenario_events(f->server, "E$gx", commands, wanted);
    assert_int_equal(info_number(f->client, "stats", "expired_keys"), 6);
}

static void set_with_a_past_time_obeys_its_conditions_and_replies_as_ever(void **state) {
    static const struct exchange rows[] = {
        { "SET n v EXAT 1", "+OK" },
        { "SET n v XX EXAT 1", "$-1" },
        { "SET k v", "+OK" },
        { "SET k w NX PXAT 1", "$-1" },
        { "GET k", "$\"v\"" },
        { "SET k w IFEQ x PXAT 1", "$-1" },
        { "SET k w GET PXAT 1", "$\"v\"" },
        { "EXISTS k n", ":0" },
        { "RPUSH l 1", ":1" },
        { "SET l w GET PXAT 1", "-WRONGTYPE..." },
        { "SET l w PXAT 1", "+OK" },
        { "DBSIZE", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_key_that_never_comes_to_be_leaves_no_trace_in_the_journal(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    int64_t size = info_number(c, "persistence", "aof_current_size");
    assert_reply(c, "SET n v EXAT 1", "+OK");
    assert_int_equal(info_number(c, "persistence", "aof_current_size"), size);
    assert_reply(c, "SET k w EXAT 1", "+OK");
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "DBSIZE", ":0");
    client_close(c);
    server_free(s);
}

static void scan_removes_what_is_over_and_wanted(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG RESETSTAT", "+OK" },
        { "DEBUG SET-ACTIVE-EXPIRE 0", "+OK" },
        { "SET p 1", "+OK" },
        { "SET a 1 PX 1", "+OK" },
        { "SET b 1 PX 1", "+OK" },
        { "RPUSH l 1", ":1" },
        { "PEXPIRE l 1", ":1" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    usleep(5000); /* the times pass; nothing may look meanwhile */
    assert_reply(c, "DBSIZE", ":4");
    assert_reply(c, "SCAN 0 MATCH a COUNT 5000", "*[$\"0\", *[]]");
    assert_reply(c, "DBSIZE", ":3");
    assert_reply(c, "SCAN 0 TYPE STRING COUNT 5000", "*[$\"0\", *[$\"p\"]]");
    assert_reply(c, "DBSIZE", ":2");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "SCAN 0 COUNT 5000", "+QUEUED");
    assert_reply(c, "EXEC", "*[*[$\"0\", *[$\"p\"]]]");
    assert_reply(c, "DBSIZE", ":1");
    assert_int_equal(info_number(c, "stats", "expired_keys"), 3);
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
}

static void scan_journals_what_it_removes(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    assert_reply(c, "SET a 1 PX 1", "+OK");
    usleep(5000);
    assert_reply(c, "SCAN 0 COUNT 5000", "*[$\"0\", *[]]");
    int64_t size = info_number(c, "persistence", "aof_current_size");
    assert_reply(c, "SCAN 0 COUNT 5000", "*[$\"0\", *[]]");
    assert_int_equal(info_number(c, "persistence", "aof_current_size"), size);
    const char del[] = "DEL\r\n$1\r\na\r\n";
    client_close(c);
    server_kill(s);
    FILE *f = fopen(server_path(s, "appendonlydir/appendonly.aof.1.incr.aof"), "rb");
    assert_non_null(f);
    char text[4096];
    size_t len = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[len] = '\0';
    assert_non_null(strstr(text, del));
    server_free(s);
}

static void scan_refuses_a_type_that_is_none(void **state) {
    static const struct exchange rows[] = {
        { "SET p 1", "+OK" },
        { "SCAN 0 TYPE nosuch", "-ERR unknown type name 'nosuch'" },
        { "SCAN 0 COUNT 5000 TYPE StRiNg", "*[$\"0\", *[$\"p\"]]" },
        { "SCAN 0 COUNT 5000 TYPE stream", "*[$\"0\", *[]]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static int64_t average_ttl_ms(struct client *c) {
    const char *at = strstr(info_field(c, "keyspace", "db0"), "avg_ttl=");
    return at ? strtoll(at + 8, NULL, 10) : -1;
}

static void fill(struct client *c, const char *seconds) {
    for (int i = 0; i < 100; i++) client_queue(c, "SET k%d v EX %s", i, seconds);
    assert_true(client_flush(c));
    client_skip(c, 100);
}

static void the_average_of_times_is_that_of_now(void **state) {
    struct client *c = fixture_client(state);
    fill(c, "1000000");
    usleep(400000);
    assert_in_range(average_ttl_ms(c), 999990000, 1000000000);
    fill(c, "1000");
    sleep(2);
    assert_in_range(average_ttl_ms(c), 900000, 20000000); /* a fiftieth of what was before */
    assert_reply(c, "FLUSHALL", "+OK");
    fill(c, "10");
    usleep(400000);
    assert_in_range(average_ttl_ms(c), 1000, 10000);
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_past_time_is_an_expiry),
        FIXTURE_TEST(set_with_a_past_time_obeys_its_conditions_and_replies_as_ever),
        cmocka_unit_test(a_key_that_never_comes_to_be_leaves_no_trace_in_the_journal),
        FIXTURE_TEST(scan_removes_what_is_over_and_wanted),
        cmocka_unit_test(scan_journals_what_it_removes),
        FIXTURE_TEST(scan_refuses_a_type_that_is_none),
        FIXTURE_TEST(the_average_of_times_is_that_of_now),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
