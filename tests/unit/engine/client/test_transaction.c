/* The queue of MULTI and the watched keys, by their own functions. */
#include "../../../harness/loopback.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/turn/turn.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- the queue ---- */

static void the_queue_has_what_its_commands_need(void **state) {
    (void)state;
    static const struct {
        const char *commands[3];
        uint32_t some_of, none_of; /* flags */
        bool exclusive;
    } rows[] = {
        { { "PING" }, FAST, WRITES | READS, false },
        { { "GET k" }, READS, WRITES | GROWS, false },
        { { "GET k", "SET k v" }, READS | WRITES | GROWS, 0, false },
        { { "DEL k" }, WRITES, READS | GROWS, false },
        { { "GET k", "FLUSHALL", "PING" }, READS | WRITES, 0, true },
        { { "RANDOMKEY" }, READS, WRITES, true }, /* it locks shards by itself */
        { { "PUBLISH c m" }, MAY_REPLICATE, WRITES, false },
        { { NULL }, 0, ~0u, false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        struct client *c = loopback_client(l);
        size_t count = 0;
        assert_says(l, "MULTI", "+OK");
        for (; count < 3 && rows[i].commands[count]; count++)
            assert_says(l, rows[i].commands[count], "+QUEUED");
        assert_int_equal(transaction_length(c), count);
        assert_int_equal(transaction_flags(c) & rows[i].some_of, rows[i].some_of);
        assert_int_equal(transaction_flags(c) & rows[i].none_of, 0);
        assert_int_equal(transaction_is_exclusive(c), rows[i].exclusive);
        transaction_end(c);
        assert_int_equal(transaction_length(c), 0);
        assert_int_equal(transaction_flags(c), 0);
        assert_false(transaction_is_exclusive(c));
        assert_false(c->flags & CLIENT_IN_MULTI);
        loopback_close(l);
    }
}

static void the_queue_owns_its_arguments(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    struct client *c = loopback_client(l);
    char value[] = "before";
    const struct slice argv[] = { LIT("SET"), LIT("k"), slice_make(value, 6) };
    struct call call;
    call_init(&call, c, &origin_connection);
    call.command = registry_find(LIT("set"));
    call.argv = argv;
    call.argc = COUNT_OF(argv);
    transaction_begin(c);
    transaction_queue(&call);
    memcpy(value, "after.", 6);
    const struct kept *k = transaction_at(c, 0);
    assert_true(slice_equal(k->argv[2], LIT("before")));
    assert_int_equal(k->keys.count, 1);
    assert_ptr_equal(k->keys.at[0].key.ptr, k->argv[1].ptr);
    assert_int_equal(transaction_arguments(c), 10);
    loopback_close(l);
}

static void a_long_queue_keeps_its_order(void **state) {
    (void)state;
    enum { LENGTH = 100 };
    struct loopback *l = loopback_open();
    assert_says(l, "MULTI", "+OK");
    size_t empty = transaction_memory(loopback_client(l));
    for (int i = 0; i < LENGTH; i++) assert_string_equal(loopback_ask(l, "APPEND k %d", i % 10), "+QUEUED");
    assert_true(transaction_memory(loopback_client(l)) > empty + LENGTH * sizeof(struct kept));
    for (size_t i = 0; i < LENGTH; i++)
        assert_int_equal(transaction_at(loopback_client(l), i)->argv[2].ptr[0], '0' + (int)(i % 10));
    loopback_ask(l, "EXEC");
    assert_says(l, "GETRANGE k 88 99", "$\"890123456789\"");
    assert_int_equal(transaction_arguments(loopback_client(l)), 0);
    loopback_close(l);
}

/* ---- watching ---- */

static void a_key_is_watched_once_for_each_client(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *other = loopback_open();
    assert_says(l, "WATCH a b a", "+OK");
    assert_says(l, "WATCH a", "+OK");
    assert_says(other, "WATCH a", "+OK");
    assert_int_equal(transaction_watched(loopback_client(l)), 2);
    assert_int_equal(transaction_watched_keys(), 2);
    assert_int_equal(transaction_watching_clients(), 2);
    loopback_close(other);
    assert_int_equal(transaction_watched_keys(), 2);
    assert_int_equal(transaction_watching_clients(), 1);
    assert_says(l, "UNWATCH", "+OK");
    assert_int_equal(transaction_watched_keys(), 0);
    assert_int_equal(transaction_watching_clients(), 0);
    loopback_close(l);
}

static void ending_the_queue_keeps_the_watches(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *other = loopback_open();
    struct client *c = loopback_client(l);
    assert_says(l, "WATCH k", "+OK");
    assert_says(l, "MULTI", "+OK");
    transaction_end(c);
    assert_int_equal(transaction_watched(c), 1);
    assert_says(other, "SET k v", "+OK");
    assert_true(transaction_is_broken(c));
    transaction_unwatch(c, NULL);
    assert_false(transaction_is_broken(c));
    loopback_close(l);
    loopback_close(other);
}

static void the_shards_are_those_of_queue_and_watches(void **state) {
    (void)state;
    static const char *const keys[] = { "watched", "a", "b", "c" };
    struct loopback *l = loopback_open();
    struct shard_set set, expected;
    shard_set_init(&set);
    shard_set_init(&expected);
    transaction_shards(loopback_client(l), &set);
    assert_int_equal(set.count, 0);
    assert_says(l, "WATCH watched", "+OK");
    assert_says(l, "MULTI", "+OK");
    assert_says(l, "MGET a b", "+QUEUED");
    assert_says(l, "SET c v", "+QUEUED");
    assert_says(l, "PING unrelated", "+QUEUED");
    transaction_shards(loopback_client(l), &set);
    for (size_t i = 0; i < COUNT_OF(keys); i++) shard_set_add(&expected, keyref_of(slice_of(keys[i])).shard);
    assert_int_equal(set.count, expected.count);
    SHARD_SET_EACH(&expected, shard) assert_true(shard_set_has(&set, shard));
    loopback_close(l);
}

/* ---- what breaks a watch ---- */

static void expiring_breaks_a_watch_if_the_key_was_there(void **state) {
    (void)state;
    static const struct {
        const char *set;
        int64_t before_ms, after_ms; /* the time that goes by before and after WATCH */
        const char *exec;
    } rows[] = {
        { "SET k v PX 10", 0, 11, "*-1" },
        { "SET k v PX 10", 0, 9, "*[]" },
        { "SET k v PX 10", 11, 11, "*[]" }, /* it was gone already */
        { "SET other v PX 10", 0, 11, "*[]" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        assert_says(l, rows[i].set, "+OK");
        loopback_advance(rows[i].before_ms);
        assert_says(l, "WATCH k", "+OK");
        loopback_advance(rows[i].after_ms);
        assert_says(l, "MULTI", "+OK");
        assert_says(l, "EXEC", rows[i].exec);
        assert_says(l, "DEL k", i == 1 ? ":1" : ":0");
        loopback_close(l);
    }
}

static void a_touched_database_breaks_watches_of_keys_that_are_in_one_of_the_two(void **state) {
    (void)state;
    static const struct {
        uint32_t watched_in, key_in, db, other;
        bool broken;
    } rows[] = {
        { 0, 0, 0, 0, true },  /* flushed */
        { 0, 0, 1, 1, false }, /* another was */
        { 0, 1, 0, 0, false }, /* the key was not there */
        { 0, 0, 0, 1, true },  /* swapped: it goes */
        { 0, 1, 0, 1, true },  /* swapped: it comes */
        { 1, 0, 0, 1, true },  { 0, 2, 0, 1, false }, { 2, 2, 0, 1, false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        loopback_ask(l, "SELECT %u", rows[i].key_in);
        assert_says(l, "SET k v", "+OK");
        loopback_ask(l, "SELECT %u", rows[i].watched_in);
        assert_says(l, "WATCH k", "+OK");
        struct keyspace_view view = { .now_ms = turn_now_ms };
        transaction_touch_database(&view, rows[i].db, rows[i].other);
        assert_int_equal(transaction_is_broken(loopback_client(l)), rows[i].broken);
        assert_says(l, "FLUSHALL", "+OK");
        loopback_close(l);
    }
}

static void a_touched_key_breaks_all_its_watchers(void **state) {
    (void)state;
    enum { WATCHERS = 5 };
    struct loopback *l[WATCHERS];
    for (int i = 0; i < WATCHERS; i++) {
        l[i] = loopback_open();
        assert_says(l[i], i == 2 ? "WATCH other" : "WATCH other k", "+OK");
    }
    struct shard *s = &shards[keyref_of(LIT("k")).shard];
    transaction_touch(s, 1, LIT("k"));
    transaction_touch(s, 0, LIT("K"));
    for (int i = 0; i < WATCHERS; i++) assert_false(transaction_is_broken(loopback_client(l[i])));
    transaction_touch(s, 0, LIT("k"));
    for (int i = 0; i < WATCHERS; i++) assert_int_equal(transaction_is_broken(loopback_client(l[i])), i != 2);
    /* They leave in no particular order. */
    static const int order[WATCHERS] = { 3, 0, 4, 1, 2 };
    for (int i = 0; i < WATCHERS; i++) loopback_close(l[order[i]]);
    assert_int_equal(transaction_watched_keys(), 0);
}

static void a_released_transaction_leaves_nothing(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    struct client *c = loopback_client(l);
    assert_says(l, "WATCH a b", "+OK");
    assert_says(l, "MULTI", "+OK");
    assert_says(l, "SET a v", "+QUEUED");
    assert_true(transaction_memory(c) > 0);
    transaction_release(c);
    assert_null(c->transaction);
    assert_int_equal(transaction_memory(c), 0);
    assert_int_equal(transaction_watched(c), 0);
    assert_int_equal(transaction_watched_keys(), 0);
    assert_false(c->flags & CLIENT_IN_MULTI);
    transaction_release(c); /* twice does no harm */
    loopback_close(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(the_queue_has_what_its_commands_need),
        LOOPBACK_TEST(the_queue_owns_its_arguments),
        LOOPBACK_TEST(a_long_queue_keeps_its_order),
        LOOPBACK_TEST(a_key_is_watched_once_for_each_client),
        LOOPBACK_TEST(ending_the_queue_keeps_the_watches),
        LOOPBACK_TEST(the_shards_are_those_of_queue_and_watches),
        LOOPBACK_TEST(expiring_breaks_a_watch_if_the_key_was_there),
        LOOPBACK_TEST(a_touched_database_breaks_watches_of_keys_that_are_in_one_of_the_two),
        LOOPBACK_TEST(a_touched_key_breaks_all_its_watchers),
        LOOPBACK_TEST(a_released_transaction_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
