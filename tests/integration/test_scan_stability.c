/* test_scan_stability.c: SCAN finds every key that stays, whatever others add and delete meanwhile, while the
 * tables grow and shrink under it. */
#include "../harness/fixture.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TRIVET_SANITIZE
#define STAYING 500
#define MOVING 4000
#define SCANS 2
#else
#define STAYING 3000
#define MOVING 60000
#define SCANS 6
#endif
#define CHURNERS 3
#define PIPELINE 500

static struct server *server_of(void **state) { return ((struct fixture *)*state)->server; }

/* ---- those who add and delete ---- */

struct churner {
    pthread_t thread;
    struct client *client; /* the thread's own while it runs */
    int number;
    atomic_bool *stop;
    bool failed;
};

/* One pass over this churner's keys with one command for each, pipelined. */
static void pass(struct churner *ch, const char *command) {
    for (int at = 0; at < MOVING && !ch->failed; at += PIPELINE) {
        for (int i = at; i < at + PIPELINE; i++)
            client_queue(ch->client, "%s moving:%d:%d%s", command, ch->number, i,
                         command[0] == 'S' ? " v" : "");
        ch->failed |= !client_flush(ch->client);
        for (int i = 0; i < PIPELINE && !ch->failed; i++) {
            struct node *reply = client_read_or_end(ch->client);
            ch->failed |= !reply || node_is_error(reply);
            node_free(reply);
        }
        if (atomic_load(ch->stop)) return;
    }
}

/* Waves: the tables grow by all keys, then shrink to none. */
static void *churn(void *arg) {
    struct churner *ch = arg;
    while (!atomic_load(ch->stop) && !ch->failed) {
        pass(ch, "SET");
        pass(ch, "UNLINK");
    }
    return NULL;
}

static void churn_begin(struct churner *ch, struct server *s, int db, atomic_bool *stop) {
    for (int i = 0; i < CHURNERS; i++) {
        ch[i] = (struct churner){ .client = server_connect(s), .number = i, .stop = stop };
        client_ask(ch[i].client, "SELECT %d", db);
        assert_int_equal(pthread_create(&ch[i].thread, NULL, churn, &ch[i]), 0);
    }
}

static void churn_end(struct churner *ch, atomic_bool *stop) {
    atomic_store(stop, true);
    for (int i = 0; i < CHURNERS; i++) {
        pthread_join(ch[i].thread, NULL);
        assert_false(ch[i].failed);
        client_close(ch[i].client);
    }
}

/* ---- scanning ---- */

static void add_staying(struct client *c) {
    for (int i = 0; i < STAYING; i++) client_queue(c, "SET staying:%d v", i);
    client_skip(c, STAYING);
}

/* Marks the staying keys of one answer; returns the next cursor. */
static uint64_t take_answer(const struct node *answer, bool *seen) {
    assert_int_equal(answer->count, 2);
    const struct node *keys = answer->items[1];
    for (size_t i = 0; i < keys->count; i++) {
        const char *key = text_str(&keys->items[i]->bytes);
        if (strncmp(key, "staying:", 8) != 0) continue;
        int number = atoi(key + 8);
        assert_in_range(number, 0, STAYING - 1);
        seen[number] = true;
    }
    return strtoull(text_str(&answer->items[0]->bytes), NULL, 10);
}

/* A whole iteration sees all that stays. `between` runs after each step, may be NULL. */
static void scan_sees_all(struct client *c, const char *options,
                          void (*between)(struct client *c, int step)) {
    static bool seen[STAYING];
    memset(seen, 0, sizeof seen);
    uint64_t cursor = 0;
    int step = 0;
    do {
        struct node *answer = client_ask_node(c, "SCAN %llu %s", (unsigned long long)cursor, options);
        cursor = take_answer(answer, seen);
        node_free(answer);
        if (between) between(c, step);
        step++;
        assert_true(step < 10000000);
    } while (cursor != 0);
    for (int i = 0; i < STAYING; i++)
        if (!seen[i]) fail_msg("SCAN %s missed staying:%d", options, i);
}

static const char *const ways[] = { "", "COUNT 1000", "COUNT 100 MATCH staying:*", "COUNT 37 TYPE string",
                                    "COUNT 5000" };
#define WAYS (sizeof ways / sizeof ways[0])

static void scan_sees_every_key_that_stays_while_others_come_and_go(void **state) {
    for (int db = 0; db <= 3; db += 3) {
        struct churner churners[CHURNERS];
        atomic_bool stop = false;
        struct client *c = server_connect(server_of(state));
        client_ask(c, "SELECT %d", db);
        add_staying(c);
        churn_begin(churners, server_of(state), db, &stop);
        for (size_t i = 1; i < SCANS; i++) scan_sees_all(c, ways[i % WAYS], NULL);
        churn_end(churners, &stop);
        client_close(c);
    }
}

/* One grows or shrinks the tables by hand, between every two steps: each order of sizes is met. */
static void grow(struct client *c, int step) {
    if (step > MOVING / PIPELINE) return;
    for (int i = 0; i < PIPELINE; i++) client_queue(c, "SET moving:%d:%d v", step, i);
    client_skip(c, PIPELINE);
}

static void shrink(struct client *c, int step) {
    if (step > MOVING / PIPELINE) return;
    for (int i = 0; i < PIPELINE; i++) client_queue(c, "DEL moving:%d:%d", step, i);
    client_skip(c, PIPELINE);
}

static void scan_sees_every_key_while_the_tables_grow_and_shrink(void **state) {
    struct client *c = fixture_client(state);
    add_staying(c);
    for (size_t i = 0; i < WAYS; i++) {
        scan_sees_all(c, ways[i], grow);
        scan_sees_all(c, ways[i], shrink);
        scan_sees_all(c, ways[i], NULL);
    }
}

/* With nobody changing anything, no key comes twice. */
static void scan_returns_each_key_once_when_nothing_changes(void **state) {
    struct client *c = fixture_client(state);
    add_staying(c);
    static int times[STAYING];
    memset(times, 0, sizeof times);
    uint64_t cursor = 0;
    do {
        struct node *answer = client_ask_node(c, "SCAN %llu COUNT 50", (unsigned long long)cursor);
        for (size_t i = 0; i < answer->items[1]->count; i++)
            times[atoi(text_str(&answer->items[1]->items[i]->bytes) + sizeof "staying:" - 1)]++;
        cursor = strtoull(text_str(&answer->items[0]->bytes), NULL, 10);
        node_free(answer);
    } while (cursor != 0);
    for (int i = 0; i < STAYING; i++) assert_int_equal(times[i], 1);
}

static void any_cursor_is_answered(void **state) {
    struct client *c = fixture_client(state);
    add_staying(c);
    static const char *const cursors[] = { "1", "12345678901", "9223372036854775807", "18446744073709551615",
                                           "4096" };
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
        struct node *answer = client_ask_node(c, "SCAN %s COUNT 10", cursors[i]);
        assert_false(node_is_error(answer));
        node_free(answer);
    }
    assert_reply(c, "SCAN a", "-ERR invalid cursor");
    assert_reply(c, "SCAN -1", "-ERR invalid cursor");
    assert_reply(c, "SCAN 18446744073709551616", "-ERR invalid cursor");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(scan_sees_every_key_that_stays_while_others_come_and_go),
        FIXTURE_TEST(scan_sees_every_key_while_the_tables_grow_and_shrink),
        FIXTURE_TEST(scan_returns_each_key_once_when_nothing_changes),
        FIXTURE_TEST(any_cursor_is_answered),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
