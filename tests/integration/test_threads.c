/* test_threads.c: many connections on four workers at once must behave as if one after the other: nothing is
 * lost, nothing half-done is seen, while exclusive commands come in between and connections open and close
 * all the time. */
#include "../harness/game.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 16

/* ---- counting ---- */

static void count_up(struct player *p) {
    int64_t last = 0;
    for (int i = 0; i < ROUNDS; i++) {
        client_queue_line(p->client, "INCR n");
        client_queue_line(p->client, "INCRBY m 3");
        client_queue(p->client, "APPEND log x");
        client_flush(p->client);
        struct node *n = client_read(p->client);
        game_expect(p, n->number > last, "INCR never goes back", "it did");
        last = n->number;
        node_free(n);
        client_skip(p->client, 2);
    }
}
static void *counter(void *arg) { return game_play(arg, count_up); }

static void concurrent_increments_add_up(void **state) {
    game_run(state, counter, NULL);
    game_assert_number(fixture_client(state), "n", TEAM * ROUNDS);
    game_assert_number(fixture_client(state), "m", 3 * TEAM * ROUNDS);
    assert_int_equal(client_ask_int(fixture_client(state), "STRLEN log"), TEAM * ROUNDS);
}

/* What is acknowledged is seen by everybody who asks later. */
static void pass_the_baton(struct player *p) {
    struct client *other = server_connect(p->game->server);
    for (int i = 0; i < ROUNDS; i++) {
        client_ask(p->client, "SET baton:%d %d", p->number, i);
        char expected[32];
        snprintf(expected, sizeof expected, "$\"%d\"", i);
        const char *got = client_ask(other, "GET baton:%d", p->number);
        game_expect(p, strcmp(got, expected) == 0, "a write is seen at once on another connection", got);
    }
    client_close(other);
}
static void *runner(void *arg) { return game_play(arg, pass_the_baton); }

static void an_acknowledged_write_is_seen_by_every_later_read(void **state) { game_run(state, runner, NULL); }

/* ---- several keys at once ---- */

static void queue_keys(struct client *c, const char *command, const char *value) {
    struct words words = { 0 };
    words_add_str(&words, command);
    for (int k = 0; k < KEYS; k++) {
        words_printf(&words, "key:%d", k);
        if (value) words_add_str(&words, value);
    }
    client_queue_words(c, &words);
    words_release(&words);
}

static void write_all(struct player *p) {
    char value[32];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(value, sizeof value, "%d-%d", p->number, i);
        queue_keys(p->client, "MSET", value);
        if (i % 7 == 0) queue_keys(p->client, "DEL", NULL);
        client_skip(p->client, i % 7 == 0 ? 2 : 1);
    }
}

/* All values of an answer are one. */
static void expect_equal_values(struct player *p, const struct node *values) {
    for (size_t k = 1; k < values->count; k++) {
        bool same = values->items[k]->null == values->items[0]->null &&
                    strcmp(text_str(&values->items[k]->bytes), text_str(&values->items[0]->bytes)) == 0;
        game_expect(p, same, "all values are of one writer", text_str(&values->items[k]->bytes));
    }
}

static void read_all(struct player *p) {
    for (int i = 0; i < ROUNDS; i++) {
        queue_keys(p->client, "MGET", NULL);
        queue_keys(p->client, "EXISTS", NULL);
        client_flush(p->client);
        struct node *values = client_read(p->client), *count = client_read(p->client);
        expect_equal_values(p, values);
        game_expect(p, count->number == 0 || count->number == KEYS, "all keys exist or none", "some");
        node_free(values);
        node_free(count);
    }
}
static void *writer(void *arg) { return game_play(arg, write_all); }
static void *reader(void *arg) { return game_play(arg, read_all); }

static void mset_and_mget_are_one_step_across_shards(void **state) { game_run(state, writer, reader); }

/* ---- transactions ---- */

static void write_in_transaction(struct player *p) {
    for (int i = 0; i < ROUNDS / 4; i++) {
        client_queue_line(p->client, "MULTI");
        for (int k = 0; k < KEYS; k++) client_queue(p->client, "SET key:%d %d-%d", k, p->number, i);
        if (i % 5 == 0)
            client_queue_line(p->client, "CONFIG GET maxmemory"); /* not KEYED: another way to run */
        client_queue_line(p->client, "EXEC");
        client_skip(p->client, 2 + KEYS + (i % 5 == 0));
    }
}

static void read_in_transaction(struct player *p) {
    for (int i = 0; i < ROUNDS / 4; i++) {
        client_queue_line(p->client, "MULTI");
        for (int k = 0; k < KEYS; k++) client_queue(p->client, "GET key:%d", k);
        client_queue_line(p->client, "EXEC");
        client_skip(p->client, 1 + KEYS);
        struct node *values = client_read(p->client);
        expect_equal_values(p, values);
        node_free(values);
    }
}
static void *transaction_writer(void *arg) { return game_play(arg, write_in_transaction); }
static void *transaction_reader(void *arg) { return game_play(arg, read_in_transaction); }

static void transactions_are_one_step(void **state) {
    game_run(state, transaction_writer, transaction_reader);
}

/* Reads two counters, then writes both, if nobody was faster. */
static void increment_optimistically(struct player *p) {
    for (int done = 0; done < ROUNDS / 10;) {
        game_expect_reply(p, "WATCH a b", "+OK");
        struct node *values = client_ask_node(p->client, "MGET a b");
        int a = atoi(text_str(&values->items[0]->bytes)), b = atoi(text_str(&values->items[1]->bytes));
        node_free(values);
        game_expect(p, b == 2 * a, "b is twice a", "it is not");
        client_queue_line(p->client, "MULTI");
        client_queue(p->client, "SET a %d", a + 1);
        client_queue(p->client, "SET b %d", 2 * (a + 1));
        client_queue_line(p->client, "EXEC");
        client_skip(p->client, 3);
        struct node *result = client_read(p->client);
        done += !result->null;
        node_free(result);
    }
}
static void *optimist(void *arg) { return game_play(arg, increment_optimistically); }

static void watched_increments_add_up(void **state) {
    game_run(state, optimist, NULL);
    game_assert_number(fixture_client(state), "a", TEAM * (ROUNDS / 10));
    game_assert_number(fixture_client(state), "b", 2 * TEAM * (ROUNDS / 10));
}

/* ---- exclusive commands ---- */

/* Databases 6 and 7 hold one value each; SWAPDB of the disturber may come at any time, but never within a
 * command. */
static void read_swapped(struct player *p) {
    game_expect_reply(p, "SELECT 6", "+OK");
    for (int i = 0; i < ROUNDS; i++) {
        queue_keys(p->client, "MGET", NULL);
        client_flush(p->client);
        struct node *values = client_read(p->client);
        expect_equal_values(p, values);
        game_expect(p, !values->items[0]->null, "the swapped databases are never empty", "nil");
        node_free(values);
    }
}
static void *swapped_reader(void *arg) { return game_play(arg, read_swapped); }

static void swapdb_comes_between_commands_only(void **state) {
    struct client *c = fixture_client(state);
    for (int db = 6; db <= 7; db++) {
        client_ask(c, "SELECT %d", db);
        queue_keys(c, "MSET", db == 6 ? "six" : "seven");
        client_skip(c, 1);
    }
    game_run(state, swapped_reader, NULL);
}

/* Every step of this needs all workers to stand still, as the pause does. */
static void count_alone(struct player *p) {
    while (!atomic_load(&p->game->over)) {
        client_queue_line(p->client, "MULTI");
        client_queue_line(p->client, "SWAPDB 6 7");
        client_queue_line(p->client, "INCR n");
        client_queue_line(p->client, "EXEC");
        client_queue_line(p->client, "FLUSHDB");
        client_flush(p->client);
        client_skip(p->client, 5);
    }
}
static void *exclusive_writer(void *arg) { return game_play(arg, count_alone); }

/* What waits its turn to run alone while a pause begins waits on: after the pause's OK nothing is written. */
static void a_pause_holds_what_waits_to_run_alone(void **state) {
    struct game game = { .server = ((struct fixture *)*state)->server };
    struct client *c = fixture_client(state);
    pthread_t writers[TEAM];
    for (int i = 0; i < TEAM; i++) pthread_create(&writers[i], NULL, exclusive_writer, &game);
    for (int i = 0; i < ROUNDS / 25; i++) {
        assert_reply(c, "CLIENT PAUSE 100000 WRITE", "+OK");
        int64_t changes = info_number(c, "persistence", "rdb_changes_since_last_save");
        assert_soon(info_number(c, "clients", "blocked_clients") >= TEAM);
        assert_int_equal(info_number(c, "persistence", "rdb_changes_since_last_save"), changes);
        assert_reply(c, "CLIENT UNPAUSE", "+OK");
    }
    atomic_store(&game.over, true);
    for (int i = 0; i < TEAM; i++) pthread_join(writers[i], NULL);
}

/* The names of clients are set by themselves and read by everybody with CLIENT LIST. */
static void list_each_other(struct player *p) {
    for (int i = 0; i < ROUNDS / 10; i++) {
        client_queue(p->client, "CLIENT SETNAME player-%d-%d", p->number, i);
        client_queue_line(p->client, "CLIENT LIST");
        client_skip(p->client, 1);
        struct node *list = client_read(p->client);
        char own[48];
        snprintf(own, sizeof own, " name=player-%d-%d ", p->number, i);
        game_expect(p, strstr(text_str(&list->bytes), own), "CLIENT LIST shows oneself", own);
        node_free(list);
    }
}
static void *lister(void *arg) { return game_play(arg, list_each_other); }

static void client_list_is_whole_at_any_time(void **state) { game_run(state, lister, counter); }

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(concurrent_increments_add_up),
        FIXTURE_TEST(an_acknowledged_write_is_seen_by_every_later_read),
        FIXTURE_TEST(mset_and_mget_are_one_step_across_shards),
        FIXTURE_TEST(transactions_are_one_step),
        FIXTURE_TEST(watched_increments_add_up),
        FIXTURE_TEST(swapdb_comes_between_commands_only),
        FIXTURE_TEST(client_list_is_whole_at_any_time),
        FIXTURE_TEST(a_pause_holds_what_waits_to_run_alone),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
