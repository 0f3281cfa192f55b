/* test_snapshot.c: a dump holds the data of one instant, whatever happens while it is written.
 *
 * Threads change everything all the time. For a moment writers are paused: the fingerprint of then is that of
 * the dump, which another server loads at the end. rdb-key-save-delay makes writing slow, so that the changes
 * hit what is not written yet; that they did is seen from the memory the images took. */
#include "../harness/await.h"
#include "../harness/churn.h"
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include "files.h"
#include <stdio.h>

#define BETWEEN (CHURN_KEYS / 4) /* changes before a snapshot, and in the middle of it */

struct stage {
    struct server *server;
    struct client *client;
    struct churn churn;
    const char *workers;
};

static void stage_open(struct stage *st, const char *workers, const char *const *more) {
    const char *args[20] = { "--io-threads",          workers, "--rdb-key-save-delay", "10",
                             "--list-compress-depth", "1" };
    size_t count = 6;
    for (; more && *more; more++) args[count++] = *more;
    st->server = server_launch(&(struct server_plan){ .args = args });
    st->client = server_connect(st->server);
    churn_fill(st->client);
    for (int db = 1; db < 4; db++) {
        client_ask(st->client, "COPY h0 h0 DB %d", db);
        client_ask(st->client, "SELECT %d", db);
        client_ask(st->client, "DEBUG POPULATE 1000 str 40");
    }
    assert_reply(st->client, "SELECT 0", "+OK");
    st->churn.server = st->server;
}

static void stage_close(struct stage *st) {
    churn_stop(&st->churn);
    client_close(st->client);
    server_free(st->server);
}

/* In the middle of the walk. */
static void await_some_saved(struct client *c) {
    assert_soon(!info_number(c, "persistence", "rdb_bgsave_in_progress") ||
                info_number(c, "persistence", "current_save_keys_processed") >= CHURN_KEYS / 10);
    assert_int_equal(info_number(c, "persistence", "rdb_bgsave_in_progress"), 1);
}

/* Keys may be gone, or of another type, by now. */
static void run_all(struct client *c, const char *const *commands) {
    for (; commands && *commands; commands++) client_ask(c, "%s", *commands);
}

/* One snapshot under change with `upheaval` in its middle. */
static void save_and_compare(struct stage *st, const char *const *upheaval) {
    char digest[DIGEST_TEXT];
    churn_await(&st->churn, BETWEEN);
    saves_begin(st->client, digest);
    await_some_saved(st->client);
    run_all(st->client, upheaval);
    saves_await(st->client);
    assert_string_equal(info_field(st->client, "persistence", "rdb_last_bgsave_status"), "ok");
    assert_true(info_number(st->client, "persistence", "rdb_last_cow_size") > 0);
    saves_assert_loads(st->server, digest);
}

/* What random changes do too seldom, on whole values and databases. */
static const char *const moves[] = {
    "RENAME h0 h9",
    "RENAME h9 other",
    "RENAME z1 z0",
    "MOVE l0 2",
    "COPY s0 s9 REPLACE",
    "COPY s9 s0 DB 3 REPLACE",
    "RENAME blob0 blob9",
    "SET blob1 short",
    "DEL h1 z2 l1",
    "COPY x0 x8",
    "XTRIM x8 MAXLEN 3",
    "UNLINK s1 x0",
    "SET l2 string",
    "RENAME x1 x9",
    "XTRIM x9 MAXLEN 70",
    "XGROUP DESTROY x9 g",
    "SPOP s2 100000000",
    "LTRIM pl0 1 0",
    "HPEXPIRE h2 1 FIELDS 2 e5 e6",
    NULL,
};
static const char *const swaps[] = {
    "SWAPDB 0 1", "HSET h0 e1 swapped", "SWAPDB 1 2", "FLUSHDB",
    "SWAPDB 0 2", "SWAPDB 3 1",         "SET new v",  NULL,
};
static const char *const flush[] = { "FLUSHDB ASYNC", "HSET h0 a b", "SWAPDB 0 1",
                                     "FLUSHDB SYNC",  "RPUSH l0 a",  NULL };

static void is_of_one_instant(const char *workers, const char *const *const *upheavals, size_t count) {
    struct stage st = { 0 };
    stage_open(&st, workers, NULL);
    churn_start(&st.churn);
    for (size_t i = 0; i < count; i++) {
        save_and_compare(&st, upheavals[i]);
        churn_fill(st.client);
    }
    stage_close(&st);
}

static void with_one_worker_a_dump_is_of_one_instant(void **state) {
    (void)state;
    is_of_one_instant("1", (const char *const *const[]){ moves, swaps }, 2);
}

static void with_four_workers_a_dump_is_of_one_instant(void **state) {
    (void)state;
    is_of_one_instant("4", (const char *const *const[]){ NULL, moves, swaps, flush }, 4);
}

/* FLUSHALL gives up a running snapshot, as an old one must not come back; FLUSHDB of all databases does not.
 */
static void what_is_flushed_everywhere_is_still_saved(void **state) {
    (void)state;
    struct stage st = { 0 };
    char digest[DIGEST_TEXT];
    stage_open(&st, "4", NULL);
    saves_begin(st.client, digest);
    await_some_saved(st.client);
    run_all(st.client,
            (const char *const[]){ "FLUSHDB", "SELECT 1", "FLUSHDB", "SELECT 0", "SET k v", NULL });
    assert_int_equal(client_ask_int(st.client, "DBSIZE"), 1);
    saves_await(st.client);
    saves_assert_loads(st.server, digest);
    client_close(st.client);
    server_free(st.server);
}

static void a_cancelled_snapshot_leaves_the_next_one_whole(void **state) {
    (void)state;
    struct stage st = { 0 };
    char digest[DIGEST_TEXT];
    stage_open(&st, "4", NULL);
    churn_start(&st.churn);
    saves_save(st.client);
    struct text first = { 0 }, now = { 0 };
    file_read(server_path(st.server, "dump.rdb"), &first);
    for (int i = 0; i < 4; i++) {
        saves_begin(st.client, digest);
        if (i % 2) await_some_saved(st.client);
        churn_await(&st.churn, 100);
        assert_reply(st.client, "BGSAVE CANCEL", "+Background saving cancelled");
    }
    saves_begin(st.client, digest); /* as soon as it is allowed */
    file_read(server_path(st.server, "dump.rdb"), &now);
    assert_int_equal(now.len, first.len);
    assert_memory_equal(now.ptr, first.ptr, first.len);
    saves_await(st.client);
    saves_assert_loads(st.server, digest);
    text_release(&first);
    text_release(&now);
    stage_close(&st);
}

/* ---- what goes by itself ---- */

static bool is_evicting(struct client *c, int64_t before) {
    client_ask(c, "CONFIG SET maxmemory %lld", (long long)info_number(c, "memory", "used_memory") * 8 / 10);
    return info_number(c, "stats", "evicted_keys") > before;
}

/* Nothing is evicted between fingerprint and instant; a pause would not prevent it. */
static void evicted_keys_are_saved(void **state) {
    (void)state;
    struct stage st = { 0 };
    char digest[DIGEST_TEXT];
    stage_open(&st, "4", NULL);
    struct client *c = st.client;
    assert_reply(c, "CONFIG SET maxmemory-policy allkeys-lru", "+OK");
    churn_start(&st.churn);
    churn_await(&st.churn, BETWEEN);
    saves_begin(c, digest);
    int64_t before = info_number(c, "stats", "evicted_keys");
    /* Once may not be enough: what the background thread frees just now counts as used memory still. */
    assert_soon(is_evicting(c, before));
    saves_await(c);
    assert_true(info_number(c, "stats", "evicted_keys") > before);
    assert_reply(c, "CONFIG SET maxmemory 0", "+OK");
    saves_assert_loads(st.server, digest);
    stage_close(&st);
}

/* Keys and fields whose time comes while the dump is written are in it. Who loads it later finds them
 * expired, so the keys are counted, and the fields that stay are looked at. */
static void expired_keys_and_fields_are_saved(void **state) {
    (void)state;
    struct stage st = { 0 };
    char digest[DIGEST_TEXT];
    stage_open(&st, "4", NULL);
    st.churn.with_expiry = true;
    churn_start(&st.churn);
    struct client *c = st.client;
    assert_reply(c, "SELECT 7", "+OK");
    for (int i = 0; i < 2000; i++) {
        client_queue(c, "SET soon%d v PX %d", i, i % 500 + 1);
        client_queue(c, "HSET mixed%d stays %d goes %d", i % 100, i % 100, i);
    }
    client_flush(c);
    client_skip(c, 4000);
    for (int i = 0; i < 100; i++) client_ask(c, "HPEXPIRE mixed%d %d FIELDS 1 goes", i, i * 5 + 1);
    saves_begin(c, digest);
    saves_await(c);
    int64_t total = info_number(c, "persistence", "rdb_last_cow_size");
    assert_true(total > 0);
    struct server *other = saves_load(st.server);
    struct client *o = server_connect(other);
    client_ask(o, "SELECT 7");
    for (int i = 0; i < 100; i++) {
        char stays[16];
        snprintf(stays, sizeof stays, "$\"%d\"", i);
        assert_string_equal(client_ask(o, "HGET mixed%d stays", i), stays);
    }
    client_close(o);
    server_free(other);
    stage_close(&st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_one_worker_a_dump_is_of_one_instant),
        cmocka_unit_test(with_four_workers_a_dump_is_of_one_instant),
        cmocka_unit_test(what_is_flushed_everywhere_is_still_saved),
        cmocka_unit_test(a_cancelled_snapshot_leaves_the_next_one_whole),
        cmocka_unit_test(evicted_keys_are_saved),
        cmocka_unit_test(expired_keys_and_fields_are_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
