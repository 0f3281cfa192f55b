/* test_transaction.c: MULTI, EXEC, DISCARD, WATCH and UNWATCH over the wire, with four workers and with one.
 */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include <stdlib.h>

#define NOT_INSIDE(name) "-ERR Command '" name "' not allowed inside a transaction"
#define ABORTED "-EXECABORT Transaction discarded because of previous errors."

/* Connections are spread over the workers: with this many, each worker has one at least. */
#define OTHERS 4

static void a_transaction_queues_and_then_runs_in_order(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },     { "SET a 1", "+QUEUED" }, { "INCRBY a 41", "+QUEUED" },
        { "GET a", "+QUEUED" }, { "PING", "+QUEUED" },    { "EXEC", "*[+OK, :42, $\"42\", +PONG]" },
        { "MULTI", "+OK" },     { "EXEC", "*[]" },        { "EXEC", "-ERR EXEC without MULTI" },
        { "GET a", "$\"42\"" }, { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void nothing_of_a_queue_is_seen_before_exec(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "SET k v", "+QUEUED");
    assert_reply(other, "GET k", "$-1");
    assert_reply(c, "EXEC", "*[+OK]");
    assert_reply(other, "GET k", "$\"v\"");
    client_close(other);
}

static void errors_inside_a_run_do_not_stop_it(void **state) {
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },
        { "SET k v", "+QUEUED" },
        { "INCR k", "+QUEUED" },
        { "SET k w", "+QUEUED" },
        { "EXEC", "*[+OK, -ERR value is not an integer or out of range, +OK]" },
        { "GET k", "$\"w\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void errors_while_queueing_abort_all_of_it(void **state) {
    static const char *const bad[] = { "FOO", "GET", "MULTI", "WATCH k", "CLIENT REPLY OFF" };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_reply(c, "MULTI", "+OK");
        assert_reply(c, "SET k v", "+QUEUED");
        assert_reply(c, bad[i], "-ERR ...");
        assert_reply(c, "SET k w", "+QUEUED");
        assert_reply(c, "EXEC", ABORTED);
        assert_reply(c, "EXISTS k", ":0");
    }
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "MULTI", NOT_INSIDE("multi"));
    assert_reply(c, "wAtCh k", NOT_INSIDE("watch"));
    assert_reply(c, "EXEC x",
                 "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command");
    assert_reply(c, "EXEC", "-ERR EXEC without MULTI");
}

static void discard_forgets_queue_and_watches(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    static const struct exchange rows[] = {
        { "DISCARD", "-ERR DISCARD without MULTI" },
        { "WATCH k", "+OK" },
        { "MULTI", "+OK" },
        { "SET k v", "+QUEUED" },
        { "DISCARD", "+OK" },
        { "EXISTS k", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_reply(other, "SET k other", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "GET k", "+QUEUED");
    assert_reply(c, "EXEC", "*[$\"other\"]");
    client_close(other);
}

/* ---- watching ---- */

static void exec_is_null_if_a_watched_key_was_changed_by_anybody(void **state) {
    struct client *c = fixture_client(state);
    for (int i = 0; i < OTHERS; i++) {
        struct client *other = connect_another(state);
        assert_reply(c, "SET k 1", "+OK");
        assert_reply(c, "WATCH j k", "+OK");
        assert_reply(c, "MULTI", "+OK");
        assert_reply(c, "SET k mine", "+QUEUED");
        assert_reply(other, "SET k theirs", "+OK");
        assert_reply(c, "EXEC", "*-1");
        assert_reply(c, "GET k", "$\"theirs\"");
        assert_reply(c, "EXEC", "-ERR EXEC without MULTI");
        client_close(other);
    }
    (void)client_ask(c, "HELLO 3");
    assert_reply(c, "WATCH k", "+OK");
    assert_reply(c, "SET k self", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "EXEC", "_");
}

static void other_keys_databases_and_reads_do_not_break_a_watch(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    assert_reply(c, "SET k 1", "+OK");
    assert_reply(c, "WATCH k", "+OK");
    assert_reply(other, "SET j 1", "+OK");
    assert_reply(other, "GET k", "$\"1\"");
    assert_reply(other, "SELECT 1", "+OK");
    assert_reply(other, "SET k 2", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "INCR k", "+QUEUED");
    assert_reply(c, "EXEC", "*[:2]");
    client_close(other);
}

struct watch_case {
    const char *before, *by_other;
    bool breaks;
};

static void what_counts_as_a_change_of_a_watched_key(void **state) {
    static const struct watch_case cases[] = {
        { "SET k 1", "DEL k", true },       { "SET k 1", "EXPIRE k 100", true },
        { "SET k 1", "APPEND k x", true },  { "SET k 1", "FLUSHALL", true },
        { "SET k 1", "FLUSHDB", true },     { "SET k 1", "RENAME k j", true },
        { "SET k 1", "SWAPDB 0 1", true },  { "DEL k", "SET k 1", true },
        { "DEL k", "FLUSHALL", false },     { "DEL k", "DEL k", false },
        { "SET k 1", "SET k 2 NX", false }, { "SET k 1", "PERSIST k", false },
    };
    struct client *c = fixture_client(state), *other = connect_another(state);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_reply(c, "FLUSHALL", "+OK");
        (void)client_ask(c, "%s", cases[i].before);
        assert_reply(c, "WATCH k", "+OK");
        (void)client_ask(other, "%s", cases[i].by_other);
        assert_reply(c, "MULTI", "+OK");
        const char *reply = client_ask(c, "EXEC");
        if ((strcmp(reply, "*-1") == 0) != cases[i].breaks)
            HARNESS_FAIL("%s, then %s: EXEC replied %s", cases[i].before, cases[i].by_other, reply);
    }
    client_close(other);
}

/* What lies in databases 1 (watched) and 2 when they are swapped. A stale key is over, but nobody has met it.
 */
static void swapped_databases_spoil_only_what_differs(void **state) {
    static const struct {
        const char *in_1, *in_2; /* NULL: no such key */
        bool breaks;
    } cases[] = {
        { NULL, NULL, false },
        { NULL, "SET x a PX 1", false },
        { "SET x b PX 1", "SET x a PX 1", false },
        { "SET x b PX 1", NULL, false },
        { "SET x b PX 1", "SET x a", true },
        { "SET x b", "SET x a PX 1", true },
        { NULL, "SET x a", true },
        { "SET x b", NULL, true },
    };
    struct client *c = fixture_client(state);
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_reply(c, "FLUSHALL", "+OK");
        assert_reply(c, "SELECT 2", "+OK");
        if (cases[i].in_2) assert_reply(c, cases[i].in_2, "+OK");
        assert_reply(c, "SELECT 1", "+OK");
        if (cases[i].in_1) assert_reply(c, cases[i].in_1, "+OK");
        assert_reply(c, "DEBUG SLEEP 0.003", "+OK");
        assert_reply(c, "WATCH x", "+OK");
        assert_reply(c, "SWAPDB 1 2", "+OK");
        assert_reply(c, "MULTI", "+OK");
        assert_reply(c, "PING", "+QUEUED");
        if (strcmp(client_ask(c, "EXEC"), cases[i].breaks ? "*-1" : "*[+PONG]") != 0)
            HARNESS_FAIL("case %zu: EXEC should %s", i, cases[i].breaks ? "fail" : "work");
    }
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
}

static void unwatch_and_exec_forget_the_watches(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    assert_reply(c, "UNWATCH", "+OK");
    assert_reply(c, "WATCH k", "+OK");
    assert_reply(other, "SET k 1", "+OK");
    assert_reply(c, "UNWATCH", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "INCR k", "+QUEUED");
    assert_reply(c, "EXEC", "*[:2]");
    assert_reply(c, "WATCH k", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "UNWATCH", "+QUEUED");
    assert_reply(c, "EXEC", "*[+OK]");
    assert_reply(other, "SET k 5", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "EXEC", "*[]");
    client_close(other);
}

static void its_own_writes_do_not_break_the_next_transaction(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "WATCH k", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "SET k 1", "+QUEUED");
    assert_reply(c, "EXEC", "*[+OK]");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "GET k", "+QUEUED");
    assert_reply(c, "EXEC", "*[$\"1\"]");
}

/* Perhaps not, where the machine is busy. */
static bool lives_when_it_is_watched(struct client *c) {
    assert_reply(c, "UNWATCH", "+OK");
    assert_reply(c, "SET k v PX 50", "+OK");
    assert_reply(c, "WATCH k", "+OK");
    return client_ask_int(c, "EXISTS k") == 1;
}

static void a_watched_key_that_expires_breaks_the_watch(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SET k v PX 1", "+OK");
    assert_reply(c, "SET j v", "+OK");
    assert_reply_soon(c, "EXISTS k", ":0"); /* gone before it was watched: that is no change */
    assert_reply(c, "WATCH k", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "EXEC", "*[]");
    struct client *other = connect_another(state);
    assert_soon(lives_when_it_is_watched(c));
    assert_reply_soon(other, "EXISTS k", ":0");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "EXEC", "*-1");
    client_close(other);
}

/* ---- what may stand in a queue ---- */

static void select_inside_changes_the_database_of_what_follows(void **state) {
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },         { "SET k zero", "+QUEUED" },    { "SELECT 1", "+QUEUED" },
        { "SET k one", "+QUEUED" }, { "EXEC", "*[+OK, +OK, +OK]" }, { "GET k", "$\"one\"" },
        { "SELECT 0", "+OK" },      { "GET k", "$\"zero\"" },       { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void commands_on_everything_run_inside_too(void **state) {
    static const struct exchange rows[] = {
        { "SET old 1", "+OK" },
        { "MULTI", "+OK" },
        { "FLUSHALL", "+QUEUED" },
        { "MSET a 1 b 2 c 3", "+QUEUED" },
        { "DBSIZE", "+QUEUED" },
        { "SWAPDB 0 1", "+QUEUED" },
        { "EXISTS a b c", "+QUEUED" },
        { "SELECT 1", "+QUEUED" },
        { "MGET a b c", "+QUEUED" },
        { "EXEC", "*[+OK, +OK, :3, +OK, :0, +OK, *[$\"1\", $\"2\", $\"3\"]]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* INFO looks at all shards while the transaction holds some of them. */
static void reports_on_everything_run_inside_too(void **state) {
    static const char *const reports[] = { "INFO memory", "INFO everything", "MEMORY DOCTOR",
                                           "MEMORY STATS" };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(reports); i++) {
        assert_reply(c, "MULTI", "+OK");
        assert_reply(c, "SET k v", "+QUEUED");
        assert_reply(c, reports[i], "+QUEUED");
        assert_reply(c, "EXEC", "*[+OK, ...");
    }
}

static void hello_inside_changes_the_protocol_of_what_follows(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "GET none", "+QUEUED");
    assert_reply(c, "HELLO 3", "+QUEUED");
    assert_reply(c, "GET none", "+QUEUED");
    assert_reply(c, "EXEC", "*[$-1, %{...}, _]");
}

static void many_keys_and_big_values_survive_the_queue(void **state) {
    enum { SIZE = 300 * 1000, COUNT = 50 };
    struct client *c = fixture_client(state);
    struct words w = { 0 };
    char *big = malloc(SIZE);
    memset(big, 'x', SIZE);
    assert_reply(c, "MULTI", "+OK");
    for (int round = 0; round < 3; round++) {
        words_clear(&w);
        words_add_str(&w, "MSET");
        for (int i = 0; i < COUNT; i++) {
            words_printf(&w, "key:%d", i);
            words_printf(&w, "%d", i + round);
        }
        words_add_str(&w, "big");
        words_add(&w, big, SIZE);
        client_queue_words(c, &w);
        assert_true(client_flush(c));
        assert_next(c, "+QUEUED");
    }
    assert_reply(c, "STRLEN big", "+QUEUED");
    assert_reply(c, "EXEC", "*[+OK, +OK, +OK, :300000]");
    assert_reply(c, "GET key:49", "$\"51\"");
    assert_reply(c, "STRLEN big", ":300000");
    words_release(&w);
    free(big);
}

static void client_info_shows_the_queue(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "WATCH a b", "+OK");
    assert_reply(c, "CLIENT INFO", "$\"... multi=-1 watch=2 ... cmd=client|info ...\"");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "GET a", "+QUEUED");
    assert_reply(c, "CLIENT INFO", "+QUEUED");
    assert_reply(c, "EXEC", "*[$-1, $\"... flags=xU ... multi=2 watch=0 ...\"]");
    assert_reply(c, "CLIENT INFO", "$\"... multi=-1 watch=0 ... multi-mem=...");
}

/* ---- at the same time ---- */

/* Each transaction moves one unit between two keys; every look must find the sum unchanged. */
static void transactions_of_many_clients_are_seen_whole(void **state) {
    enum { ROUNDS = 200, MOVERS = 6 };
    struct client *c = fixture_client(state), *mover[MOVERS];
    assert_reply(c, "MSET a 1000 b 1000", "+OK");
    for (int i = 0; i < MOVERS; i++) mover[i] = connect_another(state);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < MOVERS; i++) {
            client_queue(mover[i], "MULTI");
            client_queue(mover[i], i % 2 ? "INCR a" : "DECR a");
            client_queue(mover[i], "MGET a b");
            client_queue(mover[i], i % 2 ? "DECR b" : "INCR b");
            client_queue(mover[i], "EXEC");
            assert_true(client_flush(mover[i]));
        }
        struct node *look = client_ask_node(c, "MGET a b");
        assert_int_equal(look->count, 2);
        assert_int_equal(atoi(text_str(&look->items[0]->bytes)) + atoi(text_str(&look->items[1]->bytes)),
                         2000);
        node_free(look);
    }
    for (int i = 0; i < MOVERS; i++) {
        client_skip(mover[i], 5 * ROUNDS);
        client_close(mover[i]);
    }
    assert_reply(c, "MGET a b", "*[$\"1000\", $\"1000\"]");
}

/* The classic use of WATCH: no increment of many clients gets lost. */
static void optimistic_increments_of_many_clients_all_count(void **state) {
    enum { CLIENTS = 4, EACH = 100 };
    struct client *c = fixture_client(state), *adder[CLIENTS];
    int left[CLIENTS], total = CLIENTS * EACH;
    assert_reply(c, "SET n 0", "+OK");
    for (int i = 0; i < CLIENTS; i++) {
        adder[i] = connect_another(state);
        left[i] = EACH;
    }
    while (total > 0) {
        int64_t seen[CLIENTS];
        for (int i = 0; i < CLIENTS; i++) {
            assert_reply(adder[i], "WATCH n", "+OK");
            const char *text = client_ask(adder[i], "GET n");
            seen[i] = atoll(text + 2);
        }
        for (int i = 0; i < CLIENTS; i++) {
            client_queue(adder[i], "MULTI");
            client_queue(adder[i], left[i] > 0 ? "SET n %lld" : "PING %lld", (long long)seen[i] + 1);
            client_queue(adder[i], "EXEC");
            assert_true(client_flush(adder[i]));
        }
        for (int i = 0; i < CLIENTS; i++) {
            assert_next(adder[i], "+OK");
            assert_next(adder[i], "+QUEUED");
            bool won = strcmp(client_read_text(adder[i]), "*[+OK]") == 0;
            if (won && left[i]-- > 0) total--;
        }
    }
    for (int i = 0; i < CLIENTS; i++) client_close(adder[i]);
    assert_reply(c, "GET n", "$\"400\"");
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_transaction_queues_and_then_runs_in_order),
        FIXTURE_TEST(nothing_of_a_queue_is_seen_before_exec),
        FIXTURE_TEST(errors_inside_a_run_do_not_stop_it),
        FIXTURE_TEST(errors_while_queueing_abort_all_of_it),
        FIXTURE_TEST(discard_forgets_queue_and_watches),
        FIXTURE_TEST(exec_is_null_if_a_watched_key_was_changed_by_anybody),
        FIXTURE_TEST(other_keys_databases_and_reads_do_not_break_a_watch),
        FIXTURE_TEST(what_counts_as_a_change_of_a_watched_key),
        FIXTURE_TEST(swapped_databases_spoil_only_what_differs),
        FIXTURE_TEST(unwatch_and_exec_forget_the_watches),
        FIXTURE_TEST(its_own_writes_do_not_break_the_next_transaction),
        FIXTURE_TEST(a_watched_key_that_expires_breaks_the_watch),
        FIXTURE_TEST(select_inside_changes_the_database_of_what_follows),
        FIXTURE_TEST(commands_on_everything_run_inside_too),
        FIXTURE_TEST(reports_on_everything_run_inside_too),
        FIXTURE_TEST(hello_inside_changes_the_protocol_of_what_follows),
        FIXTURE_TEST(many_keys_and_big_values_survive_the_queue),
        FIXTURE_TEST(client_info_shows_the_queue),
        FIXTURE_TEST(transactions_of_many_clients_are_seen_whole),
        FIXTURE_TEST(optimistic_increments_of_many_clients_all_count),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
