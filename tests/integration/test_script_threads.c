/* test_script_threads.c: scripts on four workers at once, beside other commands. A script is one piece for
 * everybody else, whether it keeps to its keys (and runs beside others) or touches more (and closes the gate
 * in its middle). */
#include "../harness/game.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNTS 12
#define ALL_ACCOUNTS "a:0 a:1 a:2 a:3 a:4 a:5 a:6 a:7 a:8 a:9 a:10 a:11"
#define MONEY 1000 /* in each account at the beginning */
#define SCRIPT_ROUNDS (ROUNDS > 1000 ? ROUNDS / 5 : ROUNDS)

/* Every reader must find the same sum. Work between the two writes gives others the time to look. */
#define TRANSFER                              \
    "redis.call('decrby', KEYS[1], ARGV[1]) " \
    "for i = 1, tonumber(ARGV[2]) do end "    \
    "return redis.call('incrby', KEYS[2], ARGV[1])"
/* The same, but the second key is not declared: it is found after the first write. */
#define WANDER                                \
    "redis.call('decrby', KEYS[1], ARGV[1]) " \
    "for i = 1, tonumber(ARGV[2]) do end "    \
    "return redis.call('incrby', ARGV[3], ARGV[1])"
#define SUM                                                          \
    "local sum = 0 "                                                 \
    "for i = 0, 11 do sum = sum + redis.call('get', 'a:' .. i) end " \
    "return sum"
/* What nobody else may see: the account is empty in between. */
#define EMPTY_FOR_A_WHILE                     \
    "local had = redis.call('get', KEYS[1]) " \
    "redis.call('del', KEYS[1]) "             \
    "for i = 1, tonumber(ARGV[1]) do end "    \
    "redis.call('set', KEYS[1], had) "        \
    "return had"

static void open_accounts(void **state) {
    for (int i = 0; i < ACCOUNTS; i++) client_ask(fixture_client(state), "SET a:%d %d", i, MONEY);
}

static int other_than(int account, unsigned *seed) {
    return (account + 1 + rand_r(seed) % (ACCOUNTS - 1)) % ACCOUNTS;
}

static void expect_number(struct player *p, const char *what, const char *got) {
    game_expect(p, got[0] == ':', what, got);
}

static void transfer(struct player *p) {
    unsigned seed = (unsigned)p->number;
    for (int i = 0; i < SCRIPT_ROUNDS; i++) {
        int from = rand_r(&seed) % ACCOUNTS, to = other_than(from, &seed);
        expect_number(p, "a transfer",
                      client_ask(p->client, "EVAL \"" TRANSFER "\" 2 a:%d a:%d %d 200", from, to, i % 7));
    }
}

/* Each text is another script, so that it is not known yet that it wanders. */
static void wander(struct player *p) {
    unsigned seed = (unsigned)p->number;
    for (int i = 0; i < SCRIPT_ROUNDS; i++) {
        int from = rand_r(&seed) % ACCOUNTS, to = other_than(from, &seed);
        expect_number(p, "a wandering transfer",
                      client_ask(p->client, "EVAL \"" WANDER " -- %d %d\" 1 a:%d %d 200 a:%d", p->number,
                                 i / 3, from, i % 7, to));
    }
}

static void expect_sum(struct player *p, const struct node *all) {
    int64_t sum = 0;
    for (size_t i = 0; i < all->count; i++) sum += strtoll(text_str(&all->items[i]->bytes), NULL, 10);
    char text[64];
    snprintf(text, sizeof text, "%lld", (long long)sum);
    game_expect(p, all->count == ACCOUNTS && sum == ACCOUNTS * MONEY, "the sum of all accounts", text);
}

static void queue_reads(struct player *p) {
    for (int k = 0; k < ACCOUNTS; k++) client_queue(p->client, "GET a:%d", k);
}

static void read_by_mget(struct player *p) {
    struct node *all = client_ask_node(p->client, "MGET " ALL_ACCOUNTS);
    expect_sum(p, all);
    node_free(all);
}

static void read_by_exec(struct player *p) {
    client_queue(p->client, "MULTI");
    queue_reads(p);
    client_queue(p->client, "EXEC");
    client_flush(p->client);
    client_skip(p->client, ACCOUNTS + 1);
    struct node *all = client_read(p->client);
    expect_sum(p, all);
    node_free(all);
}

static void read_by_script(struct player *p) {
    game_expect_reply(p, "EVAL \"" SUM "\" 0", ":12000");
    game_expect_reply(p, "EVAL_RO \"" SUM "\" 12 " ALL_ACCOUNTS, ":12000");
}

static void add_up(struct player *p) {
    for (int i = 0; i < SCRIPT_ROUNDS; i++) {
        read_by_mget(p);
        read_by_exec(p);
        read_by_script(p);
    }
}

static void *transferrer(void *arg) { return game_play(arg, transfer); }
static void *wanderer(void *arg) { return game_play(arg, wander); }
static void *auditor(void *arg) { return game_play(arg, add_up); }

static void nobody_sees_half_a_script(void **state) {
    open_accounts(state);
    game_run(state, transferrer, auditor);
}

static void nobody_sees_half_a_script_that_uses_other_keys(void **state) {
    open_accounts(state);
    game_run(state, wanderer, auditor);
}

static void scripts_of_both_sorts_add_up(void **state) {
    open_accounts(state);
    game_run(state, wanderer, transferrer);
    assert_reply(fixture_client(state), "EVAL \"" SUM "\" 0", ":12000");
}

/* ---- walks over all keys ---- */

static void empty_for_a_while(struct player *p) {
    unsigned seed = (unsigned)p->number;
    for (int i = 0; i < SCRIPT_ROUNDS; i++)
        client_ask(p->client, "EVAL \"" EMPTY_FOR_A_WHILE "\" 1 a:%d 500", rand_r(&seed) % ACCOUNTS);
}

static void count_all(struct player *p) {
    for (int i = 0; i < SCRIPT_ROUNDS; i++) {
        game_expect_reply(p, "DBSIZE", ":12");
        struct node *keys = client_ask_node(p->client, "KEYS a:*");
        char text[32];
        snprintf(text, sizeof text, "%zu", keys->count);
        game_expect(p, keys->count == ACCOUNTS, "the number of keys", text);
        node_free(keys);
        game_expect_reply(p, "EXISTS " ALL_ACCOUNTS, ":12");
    }
}

static void *emptier(void *arg) { return game_play(arg, empty_for_a_while); }
static void *counter(void *arg) { return game_play(arg, count_all); }

static void walks_over_all_keys_see_no_half_script(void **state) {
    open_accounts(state);
    game_run(state, emptier, counter);
}

/* ---- clients that wait ---- */

static void push(struct player *p) {
    for (int i = 0; i < SCRIPT_ROUNDS; i++)
        expect_number(p, "a push",
                      client_ask(p->client,
                                 "EVAL \"redis.call('rpush', KEYS[1], 'x') "
                                 "return redis.call('incr', KEYS[2])\" 2 queue:%d pushed",
                                 i % 3));
}

static void pop(struct player *p) {
    for (int i = 0; i < SCRIPT_ROUNDS; i++)
        game_expect(p, client_ask(p->client, "BLPOP queue:0 queue:1 queue:2 0")[0] == '*', "a served wait",
                    "no pair");
}

static void *pusher(void *arg) { return game_play(arg, push); }
static void *popper(void *arg) { return game_play(arg, pop); }

static void scripts_serve_those_who_wait(void **state) {
    game_run(state, pusher, popper);
    game_assert_number(fixture_client(state), "pushed", TEAM * SCRIPT_ROUNDS);
    assert_reply(fixture_client(state), "EXISTS queue:0 queue:1 queue:2", ":0");
}

/* BLMOVE is served with the gate closed only. */
static void move(struct player *p) {
    for (int i = 0; i < SCRIPT_ROUNDS; i++)
        game_expect_reply(p, "BLMOVE queue:0 moved LEFT RIGHT 0", "$\"x\"");
}

static void push_one(struct player *p) {
    for (int i = 0; i < SCRIPT_ROUNDS; i++)
        expect_number(p, "a push",
                      client_ask(p->client, "EVAL \"return redis.call('rpush', KEYS[1], 'x')\" 1 queue:0"));
}

static void *mover(void *arg) { return game_play(arg, move); }
static void *single_pusher(void *arg) { return game_play(arg, push_one); }

static void scripts_serve_those_who_move(void **state) {
    game_run(state, single_pusher, mover);
    assert_int_equal(client_ask_int(fixture_client(state), "LLEN moved"), TEAM * SCRIPT_ROUNDS);
}

/* ---- watching, transactions, functions ---- */

static void increment_watched(struct player *p) {
    for (int done = 0; done < SCRIPT_ROUNDS / 4;) {
        client_ask(p->client, "WATCH n");
        int64_t n = strtoll(client_ask(p->client, "GET n") + 2, NULL, 10); /* $"5" */
        client_ask(p->client, "MULTI");
        client_ask(p->client, "SET n %lld", (long long)n + 1);
        done += client_ask(p->client, "EXEC")[1] != '-';
    }
}

static void increment_by_script(struct player *p) {
    for (int i = 0; i < SCRIPT_ROUNDS; i++)
        expect_number(p, "an increment",
                      client_ask(p->client,
                                 "EVAL \"local n = redis.call('get', KEYS[1]) for i = 1, 100 do end "
                                 "redis.call('set', KEYS[1], n + 1) return n + 1\" 1 n"));
}

static void *watcher(void *arg) { return game_play(arg, increment_watched); }
static void *incrementer(void *arg) { return game_play(arg, increment_by_script); }

static void watched_keys_and_scripts_lose_no_count(void **state) {
    assert_reply(fixture_client(state), "SET n 0", "+OK");
    game_run(state, watcher, incrementer);
    game_assert_number(fixture_client(state), "n", TEAM * (SCRIPT_ROUNDS + SCRIPT_ROUNDS / 4));
}

static void call_functions(struct player *p) {
    unsigned seed = (unsigned)p->number;
    for (int i = 0; i < SCRIPT_ROUNDS; i++) {
        int from = rand_r(&seed) % ACCOUNTS, to = other_than(from, &seed);
        expect_number(p, "a function", client_ask(p->client, "FCALL transfer 2 a:%d a:%d 3", from, to));
        client_queue(p->client, "MULTI");
        client_queue(p->client, "FCALL transfer 2 a:%d a:%d 2", to, from);
        client_queue(p->client, "EVAL \"" TRANSFER "\" 2 a:%d a:%d 1 100", to, from);
        client_queue(p->client, "EXEC");
        client_flush(p->client);
        client_skip(p->client, 3);
        expect_number(p, "a transaction", client_read_text(p->client) + 2);
    }
}
static void *function_caller(void *arg) { return game_play(arg, call_functions); }

static void functions_and_transactions_are_one_piece(void **state) {
    open_accounts(state);
    assert_reply(fixture_client(state),
                 "FUNCTION LOAD REPLACE \"#!lua name=bank\\n"
                 "redis.register_function('transfer', function(keys, args) "
                 "redis.call('decrby', keys[1], args[1]) for i = 1, 200 do end "
                 "return redis.call('incrby', keys[2], args[1]) end)\"",
                 "$\"bank\"");
    game_run(state, function_caller, auditor);
}

/* ---- scripts that go while others wait to run ---- */

static void run_the_same(struct player *p) {
    for (int i = 0; i < SCRIPT_ROUNDS; i++)
        expect_number(
            p, "a script",
            client_ask(p->client, "EVAL \"for i = 1, 2000 do end return redis.call('incr', KEYS[1])\" 1 n"));
}

static void flush_scripts(struct player *p) {
    for (int i = 0; i < SCRIPT_ROUNDS; i++) game_expect_reply(p, "SCRIPT FLUSH", "+OK");
}

static void *runner(void *arg) { return game_play(arg, run_the_same); }
static void *flusher(void *arg) { return game_play(arg, flush_scripts); }

static void a_script_that_is_flushed_before_its_turn_runs_all_the_same(void **state) {
    assert_reply(fixture_client(state), "SET n 0", "+OK");
    game_run(state, runner, flusher);
    game_assert_number(fixture_client(state), "n", TEAM * SCRIPT_ROUNDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(nobody_sees_half_a_script),
        FIXTURE_TEST(nobody_sees_half_a_script_that_uses_other_keys),
        FIXTURE_TEST(scripts_of_both_sorts_add_up),
        FIXTURE_TEST(walks_over_all_keys_see_no_half_script),
        FIXTURE_TEST(scripts_serve_those_who_wait),
        FIXTURE_TEST(scripts_serve_those_who_move),
        FIXTURE_TEST(watched_keys_and_scripts_lose_no_count),
        FIXTURE_TEST(functions_and_transactions_are_one_piece),
        FIXTURE_TEST(a_script_that_is_flushed_before_its_turn_runs_all_the_same),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
