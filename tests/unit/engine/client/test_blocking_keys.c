/* Clients that wait for keys: who is served, in which order, by what, and what is left behind. */
#include "../../../harness/loopback.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/interest.h"
#include "trivet/keyspace/keyspace.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct interests *interests_of(const char *key) {
    return shards[keyref_of(slice_of(key)).shard].interests;
}

static bool is_waiting(struct loopback *l) { return loopback_client(l)->flags & CLIENT_BLOCKED; }

/* What serves whom: the last command of a writer ends the wait, or does not. */
static void a_wait_ends_with_what_the_command_can_use(void **state) {
    (void)state;
    static const struct {
        const char *waits, *writes[3], *hears; /* "": it waits on */
    } rows[] = {
        { "BLPOP k 0", { "RPUSH k a b" }, "*[$\"k\", $\"a\"]" },
        { "BRPOP k 0", { "RPUSH k a b" }, "*[$\"k\", $\"b\"]" },
        { "BLPOP j k 0", { "RPUSH k a" }, "*[$\"k\", $\"a\"]" },
        { "BLPOP k 0", { "RPUSH other a" }, "" },
        { "BLPOP k 0", { "SET k v" }, "" },
        { "BLPOP k 0", { "SET k v", "DEL k", "RPUSH k a" }, "*[$\"k\", $\"a\"]" },
        { "BLPOP k 0", { "RPUSH other a", "RENAME other k" }, "*[$\"k\", $\"a\"]" },
        { "BLPOP k 0", { "RPUSH other a", "COPY other k" }, "*[$\"k\", $\"a\"]" },
        { "BLPOP k 0", { "SELECT 1", "RPUSH k a" }, "" },
        { "BLPOP k 0", { "SELECT 1", "RPUSH k a", "MOVE k 0" }, "*[$\"k\", $\"a\"]" },
        { "BLPOP k 0", { "SELECT 1", "RPUSH k a", "SWAPDB 0 1" }, "*[$\"k\", $\"a\"]" },
        { "BLMOVE k to LEFT LEFT 0", { "RPUSH k a" }, "$\"a\"" },
        { "BLMPOP 0 2 j k LEFT COUNT 2", { "RPUSH k a b c" }, "*[$\"k\", *[$\"a\", $\"b\"]]" },
        { "BZPOPMIN k 0", { "ZADD k 2 b 1 a" }, "*[$\"k\", $\"a\", $\"1\"]" },
        { "BZPOPMIN k 0", { "RPUSH k a" }, "" },
        { "XREAD BLOCK 0 STREAMS k $",
          { "XADD k 1-1 f v" },
          "*[*[$\"k\", *[*[$\"1-1\", *[$\"f\", $\"v\"]]]]]" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open(), *writer = loopback_open();
        assert_says(l, rows[i].waits, "");
        assert_true(is_waiting(l));
        for (size_t w = 0; w < 3 && rows[i].writes[w]; w++) loopback_ask(writer, "%s", rows[i].writes[w]);
        assert_hears(l, rows[i].hears);
        assert_int_equal(is_waiting(l), rows[i].hears[0] == '\0');
        assert_says(writer, "FLUSHALL", "+OK");
        loopback_close(l);
        loopback_close(writer);
        assert_int_equal(blocking_keys_count(), 0);
    }
}

static void who_came_first_is_served_first(void **state) {
    (void)state;
    struct loopback *first = loopback_open(), *second = loopback_open(), *third = loopback_open(),
                    *writer = loopback_open();
    assert_says(first, "BLPOP k 0", "");
    assert_says(second, "BLPOP other k 0", "");
    assert_says(third, "BLPOP k 0", "");
    assert_says(writer, "RPUSH k a b", ":2");
    assert_hears(first, "*[$\"k\", $\"a\"]");
    assert_hears(second, "*[$\"k\", $\"b\"]");
    assert_hears(third, "");
    assert_says(first, "BLPOP k 0", ""); /* behind the third now */
    assert_says(writer, "RPUSH k c", ":1");
    assert_hears(first, "");
    assert_hears(third, "*[$\"k\", $\"c\"]");
    loopback_close(first);
    loopback_close(second);
    loopback_close(third);
    loopback_close(writer);
}

static void one_wait_is_served_once(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *writer = loopback_open();
    assert_says(l, "BLPOP a b a 0", "");
    assert_int_equal(blocking_keys_count(), 2);
    assert_says(writer, "MULTI", "+OK");
    assert_says(writer, "RPUSH b 1", "+QUEUED");
    assert_says(writer, "RPUSH a 2", "+QUEUED");
    assert_says(writer, "EXEC", "*[:1, :1]");
    assert_hears(l, "*[$\"b\", $\"1\"]"); /* the key that changed first, not the one that is named first */
    assert_says(writer, "LLEN a", ":1");
    assert_int_equal(blocking_keys_count(), 0);
    loopback_close(l);
    loopback_close(writer);
}

/* What a transaction leaves counts, not what was there in between. */
static void nothing_is_served_before_the_whole_command_is_done(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *writer = loopback_open();
    assert_says(l, "BLPOP k 0", "");
    assert_says(writer, "MULTI", "+OK");
    assert_says(writer, "RPUSH k a", "+QUEUED");
    assert_says(writer, "DEL k", "+QUEUED");
    assert_says(writer, "EXEC", "*[:1, :1]");
    assert_hears(l, "");
    assert_true(is_waiting(l));
    loopback_close(l);
    loopback_close(writer);
}

static void serving_one_may_serve_another(void **state) {
    (void)state;
    struct loopback *mover = loopback_open(), *popper = loopback_open(), *writer = loopback_open();
    assert_says(popper, "BLPOP b 0", "");
    assert_says(mover, "BLMOVE a b LEFT RIGHT 0", "");
    assert_says(writer, "RPUSH a x", ":1");
    assert_hears(mover, "$\"x\"");
    assert_hears(popper, "*[$\"b\", $\"x\"]");
    assert_says(writer, "EXISTS a b", ":0");
    loopback_close(mover);
    loopback_close(popper);
    loopback_close(writer);
}

static void a_reply_depends_on_the_journal_that_has_its_effects(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *writer = loopback_open();
    assert_says(l, "BLPOP k 0", "");
    loopback_keep_journal(true);
    assert_says(writer, "RPUSH k a", ":1");
    assert_true(loopback_client(l)->journal_offset > 0);
    assert_int_equal(loopback_client(l)->journal_offset, loopback_client(writer)->journal_offset);
    assert_string_equal(loopback_journal(), "SELECT 0\nMULTI\nRPUSH k a\nLPOP k\nEXEC");
    loopback_keep_journal(false);
    loopback_close(l);
    loopback_close(writer);
}

static void the_time_being_up_gives_the_null_of_the_command(void **state) {
    (void)state;
    static const struct {
        const char *waits, *null;
    } rows[] = {
        { "BLPOP k 0.1", "*-1" },
        { "BLMOVE k to LEFT LEFT 0.1", "*-1" },
        { "BZPOPMIN k 0.1", "*-1" },
        { "BLMPOP 0.1 1 k LEFT", "*-1" },
        { "XREAD BLOCK 100 STREAMS k $", "*-1" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        assert_says(l, rows[i].waits, "");
        loopback_advance(99);
        assert_hears(l, "");
        loopback_advance(1);
        assert_hears(l, rows[i].null);
        assert_int_equal(blocking_keys_count(), 0);
        loopback_close(l);
    }
}

static void clients_that_go_leave_the_queue_whole(void **state) {
    (void)state;
    enum { CLIENTS = 5 };
    struct loopback *l[CLIENTS], *writer = loopback_open();
    for (int i = 0; i < CLIENTS; i++) {
        l[i] = loopback_open();
        assert_says(l[i], "BLPOP k 0", "");
    }
    loopback_close(l[2]);
    loopback_close(l[0]);
    loopback_close(l[4]);
    assert_says(writer, "RPUSH k a b c", ":3");
    assert_hears(l[1], "*[$\"k\", $\"a\"]");
    assert_hears(l[3], "*[$\"k\", $\"b\"]");
    assert_says(writer, "LRANGE k 0 -1", "*[$\"c\"]");
    assert_null(interests_of("k"));
    loopback_close(l[1]);
    loopback_close(l[3]);
    loopback_close(writer);
}

/* Being served takes more than this key's lock: the changer has to know before it begins. */
static void a_shard_says_if_its_waiters_need_the_gate(void **state) {
    (void)state;
    static const struct {
        const char *waits;
        bool needs_gate;
    } rows[] = { { "BLPOP k 0", false }, { "BLMOVE k to LEFT LEFT 0", true }, { "BRPOPLPUSH k to 0", true } };
    const struct shard *s = &shards[keyref_of(LIT("k")).shard];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        assert_says(l, rows[i].waits, "");
        assert_int_equal(s->interests->exclusive_waiters, rows[i].needs_gate);
        assert_false(blocking_needs_gate(s)); /* with one worker nobody is to be locked out */
        shards_are_shared = true;
        assert_int_equal(blocking_needs_gate(s), rows[i].needs_gate);
        shards_are_shared = false;
        loopback_close(l);
        assert_false(blocking_needs_gate(s));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(a_wait_ends_with_what_the_command_can_use),
        LOOPBACK_TEST(who_came_first_is_served_first),
        LOOPBACK_TEST(one_wait_is_served_once),
        LOOPBACK_TEST(nothing_is_served_before_the_whole_command_is_done),
        LOOPBACK_TEST(serving_one_may_serve_another),
        LOOPBACK_TEST(a_reply_depends_on_the_journal_that_has_its_effects),
        LOOPBACK_TEST(the_time_being_up_gives_the_null_of_the_command),
        LOOPBACK_TEST(clients_that_go_leave_the_queue_whole),
        LOOPBACK_TEST(a_shard_says_if_its_waiters_need_the_gate),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
