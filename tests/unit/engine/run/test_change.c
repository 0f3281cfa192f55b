/* changed() and its like: who is told of a write, and what the journal gets. */
#include "../../../harness/loopback.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/run.h"
#include "trivet/keyspace/counters.h"
#include "trivet/persist/journal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A writer, with a call of its own, and somebody who listens. */
struct scene {
    struct loopback *writer, *listener;
    struct call call;
};

static const struct slice same[] = { LIT_INIT("SET"), LIT_INIT("k"), LIT_INIT("v") };

static struct scene begin(const struct origin *origin) {
    struct scene s = { .writer = loopback_open(), .listener = loopback_open() };
    call_init(&s.call, loopback_client(s.writer), origin);
    s.call.command = registry_find(LIT("SET"));
    s.call.argv = same;
    s.call.argc = COUNT_OF(same);
    return s;
}

static void end(struct scene *s) {
    change_flush();
    loopback_keep_journal(false);
    loopback_close(s->writer);
    loopback_close(s->listener);
}

/* ---- the journal ---- */

static void the_journal_gets_the_effect_in_its_database(void **state) {
    (void)state;
    struct scene s = begin(&origin_connection);
    loopback_keep_journal(true);
    uint64_t before = journal_offset();
    assert_int_equal(change_flush(), 0);
    changed(&s.call, LIT("k"), NOTIFY_STRING, "set", EFFECT_SAME(&s.call));
    assert_string_equal(loopback_journal(), ""); /* not before the locks go */
    assert_true(change_flush() > before);
    assert_int_equal(change_flush(), 0);
    assert_string_equal(loopback_journal(), "SELECT 0\nSET k v");
    s.call.view.db = 3;
    journal_effect(&s.call, EFFECT(LIT("DEL"), LIT("k")));
    change_flush();
    assert_string_equal(loopback_journal(), "SELECT 3\nDEL k");
    end(&s);
}

static void what_one_command_did_stands_together(void **state) {
    (void)state;
    struct scene s = begin(&origin_connection);
    loopback_keep_journal(true);
    changed(&s.call, LIT("a"), NOTIFY_GENERIC, "del", EFFECT(LIT("DEL"), LIT("a")));
    changed(&s.call, LIT("b"), NOTIFY_GENERIC, "del", EFFECT_NONE); /* another carries it */
    changed(&s.call, LIT("c"), NOTIFY_GENERIC, NULL, EFFECT(LIT("DEL"), LIT("c")));
    journal_effect(&s.call, EFFECT(LIT("DEL"), LIT("d")));
    change_flush();
    assert_string_equal(loopback_journal(), "SELECT 0\nMULTI\nDEL a\nDEL c\nDEL d\nEXEC");
    end(&s);
}

static void a_replayed_write_is_told_to_clients_but_not_to_the_journal(void **state) {
    (void)state;
    struct scene s = begin(&origin_journal);
    loopback_keep_journal(true);
    assert_says(s.listener, "WATCH k", "+OK");
    changed(&s.call, LIT("k"), NOTIFY_STRING, "set", EFFECT_SAME(&s.call));
    journal_effect(&s.call, EFFECT_SAME(&s.call));
    changed_database(&s.call, 0, 1, EFFECT(LIT("FLUSHDB")));
    assert_int_equal(change_flush(), 0);
    assert_true(transaction_is_broken(loopback_client(s.listener)));
    end(&s);
}

static void without_a_journal_nothing_gathers(void **state) {
    (void)state;
    struct scene s = begin(&origin_connection);
    changed(&s.call, LIT("k"), NOTIFY_STRING, "set", EFFECT_SAME(&s.call));
    loopback_keep_journal(true);
    assert_int_equal(change_flush(), 0);
    end(&s);
}

/* ---- who is told ---- */

static void watchers_of_the_key_in_its_database_are_broken(void **state) {
    (void)state;
    static const struct {
        uint32_t db;
        const char *key;
        bool broken;
    } rows[] = { { 0, "k", true }, { 0, "kk", false }, { 0, "", false }, { 1, "k", false } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scene s = begin(&origin_connection);
        assert_says(s.listener, "WATCH k", "+OK");
        assert_says(s.writer, "WATCH k", "+OK"); /* the writer itself is no exception */
        changed_in(&s.call, rows[i].db, slice_of(rows[i].key), 1, NOTIFY_GENERIC, NULL);
        assert_int_equal(transaction_is_broken(loopback_client(s.listener)), rows[i].broken);
        assert_int_equal(transaction_is_broken(loopback_client(s.writer)), rows[i].broken);
        end(&s);
    }
}

static void tracking_clients_are_told_of_keys_they_read(void **state) {
    (void)state;
    struct scene s = begin(&origin_connection);
    loopback_ask(s.listener, "HELLO 3");
    assert_says(s.listener, "CLIENT TRACKING ON", "+OK");
    assert_says(s.listener, "GET k", "_");
    changed(&s.call, LIT("other"), NOTIFY_STRING, NULL, EFFECT_NONE);
    loopback_turn();
    assert_hears(s.listener, "");
    changed(&s.call, LIT("k"), NOTIFY_STRING, NULL, EFFECT_NONE);
    loopback_turn();
    assert_hears(s.listener, ">[$\"invalidate\", *[$\"k\"]]");
    end(&s);
}

static void waiting_clients_are_noted_before_the_locks_go(void **state) {
    (void)state;
    struct scene s = begin(&origin_connection);
    assert_says(s.listener, "BLPOP k 0", "");
    changed(&s.call, LIT("other"), NOTIFY_LIST, NULL, EFFECT_NONE);
    assert_false(blocking_has_work());
    changed(&s.call, LIT("k"), NOTIFY_LIST, NULL, EFFECT_NONE);
    assert_true(blocking_has_work());
    change_flush_quietly(); /* there is no list: it waits on */
    assert_false(blocking_has_work());
    assert_true(loopback_client(s.listener)->flags & CLIENT_BLOCKED);
    end(&s);
}

/* Half a command must reach neither the journal nor a waiting client, whatever else is flushed meanwhile. */
static void what_is_set_aside_is_flushed_after_it_was_taken_back(void **state) {
    (void)state;
    struct scene s = begin(&origin_connection);
    assert_says(s.listener, "BLPOP k 0", "");
    loopback_keep_journal(true);
    changed(&s.call, LIT("k"), NOTIFY_LIST, NULL, EFFECT(LIT("DEL"), LIT("a")));
    struct change_aside *aside = change_set_aside();
    assert_false(blocking_has_work());
    change_flush_quietly();
    journal_effect(&s.call, EFFECT(LIT("DEL"), LIT("between")));
    change_flush_quietly();
    assert_string_equal(loopback_journal(), "SELECT 0\nDEL between");
    change_take_back(aside);
    assert_true(blocking_has_work());
    journal_effect(&s.call, EFFECT(LIT("DEL"), LIT("b")));
    change_flush_quietly();
    assert_string_equal(loopback_journal(), "MULTI\nDEL a\nDEL b\nEXEC");
    end(&s);
}

static void changes_are_counted_as_often_as_the_command_says(void **state) {
    (void)state;
    struct scene s = begin(&origin_connection);
    uint64_t before = (uint64_t)COUNTER_SUM(dirty);
    changed(&s.call, LIT("k"), NOTIFY_STRING, NULL, EFFECT_NONE);
    assert_int_equal((uint64_t)COUNTER_SUM(dirty) - before, 1);
    changed_times(&s.call, LIT("k"), 5, NOTIFY_SET, NULL, EFFECT_NONE);
    changed_times(&s.call, LIT("k"), 0, NOTIFY_SET, NULL, EFFECT_NONE); /* another key's change told of */
    assert_int_equal((uint64_t)COUNTER_SUM(dirty) - before, 6);
    changed_database(&s.call, 0, 1, EFFECT_NONE);
    assert_int_equal((uint64_t)COUNTER_SUM(dirty) - before, 7);
    end(&s);
}

/* ---- notifications ---- */

#define ON_KEYSPACE "*[$\"pmessage\", $\"*\", $\"__keyspace@3__:k\", $\"set\"]"
#define ON_KEYEVENT "*[$\"pmessage\", $\"*\", $\"__keyevent@3__:set\", $\"k\"]"

static void subscribers_hear_what_the_setting_lets_through(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        { "", "" },
        { "K$", ON_KEYSPACE },
        { "E$", ON_KEYEVENT },
        { "KE$", ON_KEYSPACE "\n" ON_KEYEVENT },
        { "KEA", ON_KEYSPACE "\n" ON_KEYEVENT },
        { "KElh", "" },
        { "$", "" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scene s = begin(&origin_connection);
        loopback_ask(s.writer, "CONFIG SET notify-keyspace-events '%s'", rows[i][0]);
        loopback_ask(s.listener, "PSUBSCRIBE *");
        changed_in(&s.call, 3, LIT("k"), 1, NOTIFY_STRING, "set");
        changed_in(&s.call, 3, LIT("k"), 1, NOTIFY_STRING, NULL); /* no event, no word */
        loopback_turn();
        assert_hears(s.listener, rows[i][1]);
        loopback_ask(s.writer, "CONFIG SET notify-keyspace-events ''");
        end(&s);
    }
}

/* ---- what no command did ---- */

static void what_vanishes_is_told_and_journaled_as_a_del(void **state) {
    (void)state;
    static const struct {
        enum vanish_reason reason;
        const char *event;
    } rows[] = { { VANISHED_EXPIRED, "expired" }, { VANISHED_EVICTED, "evicted" } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scene s = begin(&origin_connection);
        char heard[128];
        loopback_keep_journal(true);
        loopback_ask(s.writer, "CONFIG SET notify-keyspace-events EA");
        loopback_ask(s.listener, "SUBSCRIBE __keyevent@0__:%s", rows[i].event);
        assert_says(s.writer, "WATCH k", "+OK");
        change_vanished(&s.call.view, LIT("k"), rows[i].reason);
        change_flush_quietly();
        loopback_turn();
        snprintf(heard, sizeof heard, "*[$\"message\", $\"__keyevent@0__:%s\", $\"k\"]", rows[i].event);
        assert_hears(s.listener, heard);
        assert_true(transaction_is_broken(loopback_client(s.writer)));
        assert_string_equal(loopback_journal(), "SELECT 0\nDEL k");
        loopback_ask(s.writer, "CONFIG SET notify-keyspace-events ''");
        end(&s);
    }
}

static void vanished_fields_are_journaled_as_an_hdel(void **state) {
    (void)state;
    static const struct {
        bool emptied;
        const char *heard;
    } rows[] = {
        { false, "*[$\"pmessage\", $\"*\", $\"__keyevent@0__:hexpired\", $\"h\"]" },
        { true, "*[$\"pmessage\", $\"*\", $\"__keyevent@0__:hexpired\", $\"h\"]\n"
                "*[$\"pmessage\", $\"*\", $\"__keyevent@0__:del\", $\"h\"]" },
    };
    struct slice names[] = { LIT("a"), LIT("b") };
    struct gone gone = { .count = 2 };
    for (size_t i = 0; i < gone.count; i++) gone.names[i] = names[i];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scene s = begin(&origin_connection);
        loopback_keep_journal(true);
        loopback_ask(s.writer, "CONFIG SET notify-keyspace-events EA");
        loopback_ask(s.listener, "PSUBSCRIBE *");
        change_elements_vanished(&s.call.view, LIT("h"), &gone, rows[i].emptied);
        change_flush_quietly();
        loopback_turn();
        assert_hears(s.listener, rows[i].heard);
        assert_string_equal(loopback_journal(), "SELECT 0\nHDEL h a b");
        loopback_ask(s.writer, "CONFIG SET notify-keyspace-events ''");
        end(&s);
    }
}

/* ---- a whole database ---- */

static void a_flushed_database_is_told_to_all_who_wait_or_track(void **state) {
    (void)state;
    struct scene s = begin(&origin_connection);
    loopback_keep_journal(true);
    loopback_ask(s.listener, "HELLO 3");
    assert_says(s.listener, "CLIENT TRACKING ON", "+OK");
    assert_says(s.listener, "BLPOP k 0", "");
    changed_database(&s.call, 3, 1, EFFECT(LIT("FLUSHDB")));
    assert_false(blocking_has_work()); /* it waits in another database */
    changed_database(&s.call, 0, 1, EFFECT(LIT("FLUSHDB")));
    assert_true(blocking_has_work());
    change_flush_quietly();
    loopback_turn();
    assert_hears(s.listener, ">[$\"invalidate\", _]");
    assert_string_equal(loopback_journal(), "SELECT 0\nMULTI\nFLUSHDB\nFLUSHDB\nEXEC");
    end(&s);
}

static void flushing_breaks_watchers_of_keys_that_were_there(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *other = loopback_open();
    assert_says(other, "SET k v", "+OK");
    assert_says(l, "WATCH none", "+OK");
    assert_says(other, "FLUSHDB", "+OK");
    assert_false(transaction_is_broken(loopback_client(l)));
    assert_says(other, "SET k v", "+OK");
    assert_says(l, "WATCH k", "+OK");
    assert_says(other, "FLUSHDB", "+OK");
    assert_true(transaction_is_broken(loopback_client(l)));
    loopback_close(l);
    loopback_close(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(the_journal_gets_the_effect_in_its_database),
        LOOPBACK_TEST(what_one_command_did_stands_together),
        LOOPBACK_TEST(a_replayed_write_is_told_to_clients_but_not_to_the_journal),
        LOOPBACK_TEST(without_a_journal_nothing_gathers),
        LOOPBACK_TEST(watchers_of_the_key_in_its_database_are_broken),
        LOOPBACK_TEST(tracking_clients_are_told_of_keys_they_read),
        LOOPBACK_TEST(waiting_clients_are_noted_before_the_locks_go),
        LOOPBACK_TEST(what_is_set_aside_is_flushed_after_it_was_taken_back),
        LOOPBACK_TEST(changes_are_counted_as_often_as_the_command_says),
        LOOPBACK_TEST(subscribers_hear_what_the_setting_lets_through),
        LOOPBACK_TEST(what_vanishes_is_told_and_journaled_as_a_del),
        LOOPBACK_TEST(vanished_fields_are_journaled_as_an_hdel),
        LOOPBACK_TEST(a_flushed_database_is_told_to_all_who_wait_or_track),
        LOOPBACK_TEST(flushing_breaks_watchers_of_keys_that_were_there),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
