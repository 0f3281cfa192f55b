/* test_import.c: import mode: nothing goes for its time or for memory, and the import's source sees all. */
#include "../harness/fixture.h"
#include <stdlib.h>
#include <unistd.h>

static void leaving_is_always_allowed(void **state) {
    static const struct exchange rows[] = {
        { "CLIENT IMPORT-SOURCE ON", "-ERR Server is not in import mode" },
        { "CLIENT IMPORT-SOURCE OFF", "+OK" },
        { "CONFIG SET import-mode yes", "+OK" },
        { "CLIENT IMPORT-SOURCE ON", "+OK" },
        { "CLIENT IMPORT-SOURCE FOO", "-ERR syntax error" },
        { "CONFIG SET import-mode no", "+OK" },
        { "CLIENT IMPORT-SOURCE OFF", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void nothing_expires_and_the_source_sees_everything(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange before[] = {
        { "CONFIG SET import-mode yes", "+OK" },
        { "CONFIG RESETSTAT", "+OK" },
        { "SET k 1 PX 20", "+OK" },
        { "HSET h f v g w", ":2" },
        { "HPEXPIRE h 20 FIELDS 1 f", "*[:1]" },
        { NULL, NULL },
    };
    static const struct exchange others[] = {
        { "GET k", "$-1" },  { "TTL k", ":-2" },     { "EXISTS k", ":0" },     { "KEYS *", "*[$\"h\"]" },
        { "DBSIZE", ":2" },  { "HGET h f", "$-1" },  { "HDEL h f", ":0" },     { "HLEN h", ":2" },
        { "HGETEX h PERSIST FIELDS 1 f", "*[$-1]" }, { "HPERSIST h FIELDS 1 f", "*[:-2]" },
        { "HEXPIRE h 100 FIELDS 1 f", "*[:-2]" },    { "PERSIST k", ":0" },    { NULL, NULL },
    };
    static const struct exchange source[] = {
        { "CLIENT IMPORT-SOURCE ON", "+OK" },
        { "GET k", "$\"1\"" },
        { "TTL k", ":0" },
        { "TYPE k", "+string" },
        { "SCAN 0 COUNT 5000", "*[$\"0\", *[$..., $...]]" },
        { "HGETALL h", "*..." },
        { "HMGET h f g", "*[$\"v\", $\"w\"]" },
        { "HTTL h FIELDS 1 f", "*[:0]" },
        { "APPEND k 0", ":2" },
        { "TTL k", ":0" },
        { "CLIENT IMPORT-SOURCE OFF", "+OK" },
        { "GET k", "$-1" },
        { "DBSIZE", ":2" },
        { NULL, NULL },
    };
    assert_exchanges(c, before);
    assert_reply_soon(c, "GET k", "$-1");
    assert_reply_soon(c, "HGET h f", "$-1");
    usleep(250000); /* some turns of the cron: it would delete */
    assert_exchanges(c, others);
    assert_exchanges(c, source);
    assert_int_equal(info_number(c, "stats", "expired_keys"), 0);
    assert_int_equal(info_number(c, "stats", "expired_fields"), 0);
    assert_reply(c, "CONFIG SET import-mode no", "+OK");
    assert_reply_soon(c, "DBSIZE", ":1");
    assert_reply_soon(c, "HLEN h", ":1");
}

static void past_times_are_kept_and_not_carried_out(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG SET import-mode yes", "+OK" },
        { "SET e 1", "+OK" },
        { "EXPIRE e -1", ":1" },
        { "SET e2 1 EXAT 1", "+OK" },
        { "SET e3 1", "+OK" },
        { "GETEX e3 EXAT 1", "$\"1\"" },
        { "DBSIZE", ":3" },
        { "HSET h f v", ":1" },
        { "HEXPIRE h 0 FIELDS 1 f", "*[:1]" },
        { "HSETEX h2 EXAT 1 FIELDS 1 f v", ":1" },
        { "HLEN h", ":1" },
        { "EXISTS e e2 e3", ":0" },
        { "DBSIZE", ":5" },
        { "CONFIG SET import-mode no", "+OK" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    assert_reply_soon(c, "DBSIZE", ":0");
}

static void nothing_is_evicted_and_writes_are_refused(void **state) {
    static const struct exchange rows[] = {
        { "SET k 1", "+OK" },
        { "CONFIG RESETSTAT", "+OK" },
        { "CONFIG SET import-mode yes", "+OK" },
        { "CONFIG SET maxmemory-policy allkeys-lru", "+OK" },
        { "CONFIG SET maxmemory 1", "+OK" },
        { "SET q 1", "-OOM command not allowed when used memory > 'maxmemory'." },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    usleep(250000); /* some turns of the cron: it would evict */
    assert_reply(c, "DBSIZE", ":1");
    assert_int_equal(info_number(c, "stats", "evicted_keys"), 0);
    assert_reply(c, "CONFIG SET maxmemory 0", "+OK");
    assert_reply(c, "CONFIG SET maxmemory-policy noeviction", "+OK");
    assert_reply(c, "CONFIG SET import-mode no", "+OK");
}

/* Ordinary clients find nothing there and write over it; so must the journal when it is replayed. */
static void what_is_hidden_can_be_written_over(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG SET import-mode yes", "+OK" },
        { "MSETEX 4 s 1 n 5 x 1 y 1 PX 1", ":1" },
        { "RPUSH l a b", ":2" },
        { "HSET h f 5 g w", ":2" },
        { "PEXPIRE l 1", ":1" },
        { "HPEXPIRE h 1 FIELDS 1 f", "*[:1]" },
        { NULL, NULL },
    };
    static const struct exchange over[] = {
        { "SET s 2", "+OK" },
        { "INCR n", ":1" },
        { "RPUSH l c", ":1" },
        { "RENAMENX s x", ":1" },
        { "COPY x y", ":1" },
        { "HINCRBY h f 1", ":1" },
        { "DBSIZE", ":5" },
        { NULL, NULL },
    };
    static const struct exchange after[] = {
        { "GET n", "$\"1\"" },         { "LRANGE l 0 -1", "*[$\"c\"]" }, { "MGET x y", "*[$\"2\", $\"2\"]" },
        { "HGET h f", "$\"1\"" },      { "HPTTL h FIELDS 1 f", "*[:-1]" }, { "TTL n", ":-1" },
        { "DBSIZE", ":5" },            { NULL, NULL },
    };
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_exchanges(c, rows);
    assert_reply_soon(c, "EXISTS s n x y l", ":0");
    assert_reply_soon(c, "HGET h f", "$-1");
    assert_exchanges(c, over);
    assert_exchanges(c, after);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_exchanges(c, after);
    client_close(c);
    server_free(s);
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(leaving_is_always_allowed),
        FIXTURE_TEST(nothing_expires_and_the_source_sees_everything),
        FIXTURE_TEST(past_times_are_kept_and_not_carried_out),
        FIXTURE_TEST(nothing_is_evicted_and_writes_are_refused),
        cmocka_unit_test(what_is_hidden_can_be_written_over),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
