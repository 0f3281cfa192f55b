/* test_pause.c: CLIENT PAUSE: whom it holds, and that the data stands still meanwhile; with four workers
 * and with one. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct server *server_of(void **state) { return ((struct fixture *)*state)->server; }
/* A connection of that name, and its id. */
static struct client *connect_named(struct server *s, const char *name, int64_t *id) {
    struct client *c = server_connect(s);
    assert_string_equal(client_ask(c, "CLIENT SETNAME %s", name), "+OK");
    *id = client_ask_int(c, "CLIENT ID");
    return c;
}

/* A client that is held counts as blocked, by a command that is parsed. */
static void assert_held(struct client *watcher, int64_t id, const char *command) {
    char ask[64], reply[64];
    snprintf(ask, sizeof ask, "CLIENT LIST ID %lld FLAGS b", (long long)id);
    snprintf(reply, sizeof reply, "$\"... qbuf=0 ... %s ...\"", command);
    assert_reply_soon(watcher, ask, reply);
}

/* ---- who is held ---- */

static void pause_holds_writes_until_unpause(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *writer = connect_named(server_of(state), "writer", &id);
    assert_reply(c, "SET k 1", "+OK");
    assert_reply(c, "CLIENT PAUSE 100000 WRITE", "+OK");
    assert_reply(writer, "GET k", "$\"1\"");
    client_send(writer, "SET k 2");
    assert_held(c, id, "cmd=set");
    assert_reply(c, "GET k", "$\"1\"");
    assert_false(client_has_reply(writer));
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_next(writer, "+OK");
    assert_reply(c, "GET k", "$\"2\"");
    client_close(writer);
}

static void pause_holds_exec_with_writes_and_lets_one_with_reads_pass(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *writer = connect_named(server_of(state), "writer", &id);
    assert_reply(c, "CLIENT PAUSE 100000 WRITE", "+OK");
    assert_reply(writer, "MULTI", "+OK");
    assert_reply(writer, "GET k", "+QUEUED");
    assert_reply(writer, "EXEC", "*[$-1]");
    assert_reply(writer, "MULTI", "+OK");
    assert_reply(writer, "SET k 2", "+QUEUED");
    client_send(writer, "EXEC");
    assert_held(c, id, "cmd=exec");
    assert_reply(c, "EXISTS k", ":0");
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_next(writer, "*[+OK]");
    client_close(writer);
}

static void pause_of_all_holds_reads_and_the_pausing_client_too(void **state) {
    struct client *c = fixture_client(state), *reader = connect_another(state);
    assert_reply(c, "SET k 1", "+OK");
    assert_reply(c, "CLIENT PAUSE 100000", "+OK");
    client_send(reader, "GET k");
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_next(reader, "$\"1\"");
    assert_reply(c, "CLIENT PAUSE 20 ALL", "+OK");
    assert_reply(c, "GET k", "$\"1\""); /* after the pause has ended by itself */
    client_close(reader);
}

static void pause_refuses_what_makes_no_sense(void **state) {
    static const struct exchange rows[] = {
        { "CLIENT PAUSE a", "-ERR timeout is not an integer or out of range" },
        { "CLIENT PAUSE -1", "-ERR timeout is negative" },
        { "CLIENT PAUSE 1 WRITE x",
          "-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP." },
        { "CLIENT PAUSE 1 FOO", "-ERR CLIENT PAUSE mode must be WRITE or ALL" },
        { "CLIENT UNPAUSE", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_held_client_counts_as_blocked_and_shows_its_command(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *held = connect_named(server_of(state), "held", &id);
    assert_reply(c, "CLIENT PAUSE 100000 WRITE", "+OK");
    assert_int_equal(info_number(c, "clients", "blocked_clients"), 0);
    client_queue(held, "SET k v");
    client_queue(held, "SET k longer");
    assert_true(client_flush(held));
    char list[64];
    snprintf(list, sizeof list, "CLIENT LIST ID %lld", (long long)id);
    assert_reply_soon(c, list, "$\"... flags=bU ... qbuf=32 ... argv-mem=5 ... cmd=set ...\"");
    assert_int_equal(info_number(c, "clients", "blocked_clients"), 1);
    assert_int_equal(client_ask_int(c, "CLIENT UNBLOCK %lld", (long long)id), 0);
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_next(held, "+OK");
    assert_next(held, "+OK");
    assert_int_equal(info_number(c, "clients", "blocked_clients"), 0);
    assert_reply(c, list, "$\"... flags=U ... qbuf=0 ... argv-mem=0 ...\"");

    assert_reply(c, "CLIENT PAUSE 100000 WRITE", "+OK");
    client_send(held, "SET k v");
    assert_held(c, id, "cmd=set");
    client_close(held);
    assert_reply_soon(c, list, "$\"\"");
    assert_int_equal(info_number(c, "clients", "blocked_clients"), 0);
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
}

static void what_may_write_a_cache_is_held_like_a_write(void **state) {
    static const char *const commands[] = { "PFCOUNT hll", "PUBLISH c m", "SPUBLISH c m" };
    static const char *const names[] = { "cmd=pfcount", "cmd=publish", "cmd=spublish" };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        int64_t id;
        struct client *c = fixture_client(state), *held = connect_named(server_of(state), "held", &id);
        assert_reply(c, "CLIENT PAUSE 100000 WRITE", "+OK");
        client_send(held, "%s", commands[i]);
        assert_held(c, id, names[i]);
        assert_reply(c, "CLIENT UNPAUSE", "+OK");
        assert_next(held, ":0");
        client_close(held);
    }
}

static void info_gives_the_reason(void **state) {
    struct client *c = fixture_client(state);
    assert_string_equal(info_field(c, "clients", "paused_reason"), "none");
    assert_reply(c, "CLIENT PAUSE 10000 WRITE", "+OK");
    assert_string_equal(info_field(c, "clients", "paused_reason"), "client_pause");
    assert_string_equal(info_field(c, "clients", "paused_actions"), "write");
    assert_in_range(info_number(c, "clients", "paused_timeout_milliseconds"), 1, 10000);
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_string_equal(info_field(c, "clients", "paused_reason"), "none");
}

static int64_t steady_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void a_pause_never_ends_early(void **state) {
    struct client *c = fixture_client(state);
    for (int i = 0; i < 40; i++) {
        int64_t began_us = steady_us();
        assert_reply(c, "CLIENT PAUSE 7", "+OK");
        assert_reply(c, "PING", "+PONG");
        assert_true(steady_us() - began_us >= 7000);
    }
}

/* ---- the data stands still ---- */

static void nothing_is_evicted_before_the_end(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "CONFIG RESETSTAT", "+OK" },
        { "SET foo bar", "+OK" },
        { "CLIENT PAUSE 50000 WRITE", "+OK" },
        { "CONFIG SET maxmemory-policy allkeys-lru", "+OK" },
        { "CONFIG SET maxmemory 1", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    usleep(250000); /* some turns of the cron: it would evict */
    assert_reply(c, "GET foo", "$\"bar\"");
    assert_int_equal(info_number(c, "stats", "evicted_keys"), 0);
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_reply_soon(c, "DBSIZE", ":0");
    assert_int_equal(info_number(c, "stats", "evicted_keys"), 1);
    assert_reply(c, "CONFIG SET maxmemory 0", "+OK");
    assert_reply(c, "CONFIG SET maxmemory-policy noeviction", "+OK");
}

static void what_is_over_is_hidden_and_goes_at_the_end(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange before[] = {
        { "CONFIG RESETSTAT", "+OK" },
        { "HSET h f v g w", ":2" },
        { "MULTI", "+OK" },
        { "SET a 1 PX 10", "+QUEUED" },
        { "SET b 1 PX 10", "+QUEUED" },
        { "HPEXPIRE h 10 FIELDS 1 f", "+QUEUED" },
        { "CLIENT PAUSE 50000 WRITE", "+QUEUED" },
        { "EXEC", "*[+OK, +OK, *[:1], +OK]" },
        { NULL, NULL },
    };
    static const struct exchange during[] = {
        { "EXISTS a b", ":0" },   { "TTL a", ":-2" },       { "KEYS *", "*[$\"h\"]" },
        { "SCAN 0 COUNT 5000", "*[$\"0\", *[$\"h\"]]" }, { "HGET h f", "$-1" }, { "HLEN h", ":2" },
        { "RANDOMKEY", "$\"h\"" }, { "DBSIZE", ":3" },      { NULL, NULL },
    };
    assert_exchanges(c, before);
    assert_reply_soon(c, "GET a", "$-1");
    usleep(250000); /* some turns of the cron: it would delete */
    assert_exchanges(c, during);
    assert_int_equal(info_number(c, "stats", "expired_keys"), 0);
    assert_int_equal(info_number(c, "stats", "expired_fields"), 0);
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_reply(c, "GET a", "$-1");
    assert_reply(c, "GET b", "$-1");
    assert_int_equal(info_number(c, "stats", "expired_keys"), 2);
    assert_reply_soon(c, "HLEN h", ":1");
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(pause_holds_writes_until_unpause),
        FIXTURE_TEST(pause_holds_exec_with_writes_and_lets_one_with_reads_pass),
        FIXTURE_TEST(pause_of_all_holds_reads_and_the_pausing_client_too),
        FIXTURE_TEST(pause_refuses_what_makes_no_sense),
        FIXTURE_TEST(a_held_client_counts_as_blocked_and_shows_its_command),
        FIXTURE_TEST(what_may_write_a_cache_is_held_like_a_write),
        FIXTURE_TEST(info_gives_the_reason),
        FIXTURE_TEST(a_pause_never_ends_early),
        FIXTURE_TEST(nothing_is_evicted_before_the_end),
        FIXTURE_TEST(what_is_over_is_hidden_and_goes_at_the_end),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
