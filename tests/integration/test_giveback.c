/* test_giveback.c: after big deletions memory goes back to the system, while four workers serve writers,
 * while a snapshot runs, and without a change of the data. Under a sanitizer there are no slabs: entries move
 * all the same, and it sees who uses one that was moved. */
#include "../harness/await.h"
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#ifdef TRIVET_SANITIZE
#define KEYS 20000
#else
#define KEYS 400000
#endif
#define BATCH 1000

static bool is_kept(int i) { return (unsigned)i * 2654435761u >> 28 == 0; }

/* SET of all keys, or of those that stay; then, with `all`, DEL of the others: a server that went through a
 * big deletion and one that never had those keys hold the same. */
static void load(struct client *c, bool all) {
    size_t queued = 0;
    for (int i = 0; i < KEYS; i++) {
        if (!all && !is_kept(i)) continue;
        client_queue(c, "SET key:%012d value:%026d", i, i);
        if (++queued % BATCH == 0) client_skip(c, BATCH);
    }
    for (int i = 0; all && i < KEYS; i++) {
        if (is_kept(i)) continue;
        client_queue(c, "DEL key:%012d", i);
        if (++queued % BATCH == 0) client_skip(c, BATCH);
    }
    client_skip(c, queued % BATCH);
}

static void hurry(struct client *c) {
    assert_reply(c, "CONFIG SET activedefrag yes active-defrag-ignore-bytes 1mb active-defrag-cycle-max 75",
                 "+OK");
}

static int64_t moved(struct client *c) { return info_number(c, "stats", "active_defrag_hits"); }

static bool is_running(struct client *c) { return info_number(c, "memory", "active_defrag_running") > 0; }

static void what_is_left_takes_little_more_than_loaded_fresh(void **state) {
    (void)state;
    char fresh_digest[DIGEST_TEXT], digest[DIGEST_TEXT];
    struct server *fresh = server_start("--io-threads", "4", NULL);
    struct client *f = server_connect(fresh);
    load(f, false);
    assert_reply(f, "MEMORY PURGE", "+OK");
    saves_digest(f, fresh_digest);
    int64_t needed = info_number(f, "memory", "used_memory_rss");
    client_close(f);
    server_free(fresh);

    struct server *s = server_start("--io-threads", "4", NULL); /* with activedefrag no */
    struct client *c = server_connect(s);
    load(c, true);
    int64_t used = info_number(c, "memory", "used_memory");
    assert_soon(moved(c) > KEYS / 16 / 8 && !is_running(c));
#ifndef TRIVET_SANITIZE
    assert_soon(info_number(c, "memory", "used_memory_rss") * 10 <= needed * 16);
#endif
    assert_true(needed > 0);
    saves_digest(c, digest);
    assert_string_equal(digest, fresh_digest);
    /* Moving adds nothing; what INFO and the digest needed meanwhile is little. */
    assert_true(info_number(c, "memory", "used_memory") < used + used / 10 + (1 << 20));
    assert_true(info_number(c, "stats", "total_active_defrag_time") > 0);
    assert_true(info_number(c, "stats", "active_defrag_key_hits") == moved(c));
    client_close(c);
    server_free(s);
}

/* ---- beside writers ---- */

struct writer {
    struct client *client;
    pthread_t thread;
    int number;
};
static atomic_bool stop;

/* Each has keys of its own, makes them longer and shorter, deletes some, and knows what is in them. */
static void *write_and_check(void *arg) {
    struct writer *w = arg;
    char expected[64];
    for (int round = 0; !atomic_load(&stop); round++) {
        for (int i = 0; i < 200; i++)
            client_queue(w->client, "SET w%d:%d round-%d-%0*d", w->number, i, round, 1 + (i + round) % 40, i);
        for (int i = 0; i < 200; i += 3) client_queue(w->client, "APPEND w%d:%d +", w->number, i);
        for (int i = 1; i < 200; i += 3) client_queue(w->client, "DEL w%d:%d", w->number, i);
        client_skip(w->client, 200 + 67 + 67);
        for (int i = 0; i < 200; i += 29) {
            client_queue(w->client, "GET w%d:%d", w->number, i);
            client_flush(w->client);
            struct node *reply = client_read(w->client);
            snprintf(expected, sizeof expected, "round-%d-%0*d%s", round, 1 + (i + round) % 40, i,
                     i % 3 == 0 ? "+" : "");
            if (i % 3 == 1 ? !reply->null : strcmp(text_str(&reply->bytes), expected) != 0)
                HARNESS_FAIL("w%d:%d is '%s', not '%s'", w->number, i, text_str(&reply->bytes), expected);
            node_free(reply);
        }
    }
    return NULL;
}

static void writers_start(struct writer *writers, int count, struct server *s) {
    atomic_store(&stop, false);
    for (int i = 0; i < count; i++) {
        writers[i] = (struct writer){ .client = server_connect(s), .number = i };
        if (pthread_create(&writers[i].thread, NULL, write_and_check, &writers[i]) != 0)
            HARNESS_FAIL("no thread");
    }
}

static void writers_end(struct writer *writers, int count) {
    atomic_store(&stop, true);
    for (int i = 0; i < count; i++) {
        pthread_join(writers[i].thread, NULL);
        client_close(writers[i].client);
    }
}

#define WRITERS 4

static void writers_and_a_snapshot_work_while_entries_move(void **state) {
    (void)state;
    struct writer writers[WRITERS];
    char digest[DIGEST_TEXT];
    struct server *s = server_start("--io-threads", "4", "--rdb-key-save-delay", "20", NULL);
    struct client *c = server_connect(s);
    load(c, true);
    writers_start(writers, WRITERS, s);
    saves_begin(c, digest);
    int64_t before = moved(c);
    hurry(c);
    assert_soon(moved(c) > before + KEYS / 16 / 8);
    saves_await(c);
    writers_end(writers, WRITERS);
    saves_assert_loads(s, digest);
    client_close(c);
    server_free(s);
}

static void settings_and_purge_are_taken(void **state) {
    (void)state;
    struct server *s = server_start("--io-threads", "2", NULL);
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "CONFIG GET activedefrag", "*[$\"activedefrag\", $\"no\"]" },
        { "CONFIG SET activedefrag yes", "+OK" },
        { "CONFIG SET active-defrag-cycle-max 0",
          "-ERR CONFIG SET failed (possibly related to argument 'active-defrag-cycle-max') - "
          "argument must be between 1 and 99 inclusive" },
        { "SET key value", "+OK" },
        { "MEMORY PURGE", "+OK" },
        { "GET key", "$\"value\"" },
        { "CONFIG RESETSTAT", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
#ifndef TRIVET_SANITIZE
    struct node *reply = client_ask_node(c, "MEMORY MALLOC-STATS");
    if (!strstr(text_str(&reply->bytes), "Slabs: ")) fail_msg("no word of slabs in the report");
    node_free(reply);
    int64_t allocated = info_number(c, "memory", "allocator_allocated");
    int64_t active = info_number(c, "memory", "allocator_active");
    assert_true(info_number(c, "memory", "used_memory") <= allocated + (1 << 20) && allocated <= active);
#endif
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_takes_little_more_than_loaded_fresh),
        cmocka_unit_test(writers_and_a_snapshot_work_while_entries_move),
        cmocka_unit_test(settings_and_purge_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
