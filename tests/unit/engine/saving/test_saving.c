/* When the data set is written as a whole, and what is known of it afterwards. */
#include "../../../harness/loopback.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/trivet-saving-XXXXXX";
static struct loopback *client;

static void set_folder(void) {
    struct loopback *l = loopback_open();
    options.enable_protected_configs = GUARD_YES;
    assert_string_equal(loopback_ask(l, "CONFIG SET dir %s", folder), "+OK");
    loopback_close(l);
}

static int begin_all(void **state) {
    if (loopback_start(state) != 0 || !mkdtemp(folder)) return -1;
    set_folder();
    return 0;
}

static int end_all(void **state) {
    int failed = chdir("/") + rmdir(folder);
    return loopback_stop(state) + failed;
}

/* Till what is under way has reported its end. */
static void let_it_end(void) {
    struct pollfd letters = { .fd = worker_mailboxes[0].wake_fd, .events = POLLIN };
    while (saving_status.snapshot.began_ms != 0) {
        assert_true(poll(&letters, 1, 10000) >= 0);
        loopback_turn();
    }
}

static bool is_running(void) { return saving_status.snapshot.began_ms != 0; }
static bool file_is_there(void) { return access("dump.rdb", F_OK) == 0; }

static int begin_one(void **state) {
    if (loopback_empty(state) != 0) return -1;
    struct buf text = { 0 };
    client = loopback_open();
    bool saved = saving_save(&text); /* a known beginning: everything is saved, successfully */
    buf_release(&text);
    return saved ? unlink("dump.rdb") : -1;
}

static int end_one(void **state) {
    (void)state;
    options.save.count = 0;
    options.rdb_key_save_delay_us = 0;
    let_it_end();
    unlink("dump.rdb");
    loopback_close(client);
    return 0;
}

static void change(int times) {
    for (int i = 0; i < times; i++) assert_string_equal(loopback_ask(client, "SET key:%d v", i), "+OK");
}

static void assert_text(bool (*what)(struct buf *text), bool result, const char *expected) {
    struct buf text = { 0 };
    assert_int_equal(what(&text), result);
    buf_append_byte(&text, '\0');
    assert_string_equal(text.ptr, expected);
    buf_release(&text);
}

static bool bgsave(struct buf *text) { return saving_begin(false, false, text); }
static bool bgsave_later(struct buf *text) { return saving_begin(false, true, text); }

/* ---- by itself ---- */

static void a_save_point_is_reached_by_changes_and_time(void **state) {
    (void)state;
    static const struct {
        int changes;
        int64_t quiet_s; /* since the last save */
        bool begins;
    } rows[] = {
        { 0, 1000, false }, { 1, 59, false },  { 1, 60, false }, { 1, 61, true },
        { 9, 11, false },   { 10, 10, false }, { 10, 11, true }, { 11, 1000, true },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        options.save.point[0] = (struct save_point){ .seconds = 60, .changes = 1 };
        options.save.point[1] = (struct save_point){ .seconds = 10, .changes = 10 };
        options.save.count = 2;
        change(rows[i].changes);
        assert_int_equal(saving_changes(), rows[i].changes);
        saving_cron((saving_status.last_save_s + rows[i].quiet_s) * 1000);
        assert_int_equal(is_running(), rows[i].begins);
        let_it_end();
        options.save.count = 0;
        assert_int_equal(saving_changes(), rows[i].begins ? 0 : rows[i].changes);
        assert_text(saving_save, true, "OK");
    }
}

static void without_save_points_nothing_is_saved_by_itself(void **state) {
    (void)state;
    change(100);
    saving_cron((saving_status.last_save_s + 1000000) * 1000);
    assert_false(is_running());
}

static void what_changes_while_it_is_written_is_not_saved(void **state) {
    (void)state;
    change(3);
    assert_text(bgsave, true, "Background saving started");
    change(2);
    let_it_end();
    assert_int_equal(saving_changes(), 2);
}

/* ---- failures ---- */

static void a_failure_is_remembered_and_tried_again_after_a_while(void **state) {
    (void)state;
    struct buf text = { 0 };
    change(1);
    assert_int_equal(rmdir(folder), 0);
    (void)saving_begin(false, false, &text); /* whether that sees it already is its own business */
    let_it_end();
    assert_false(saving_status.snapshot.last_ok);
    assert_int_equal(saving_status.snapshot.failures, 1);
    assert_true(obstacle_is_set(OBSTACLE_SAVE));
    assert_int_equal(saving_changes(), 1);
    assert_int_equal(mkdir(folder, 0700), 0);
    set_folder();

    options.save.point[0] = (struct save_point){ .seconds = 1, .changes = 1 };
    options.save.count = 1;
    saving_status.last_save_s -= 100;
    saving_cron(saving_status.snapshot.tried_ms + 4999);
    assert_false(is_running());
    saving_cron(saving_status.snapshot.tried_ms + 5000);
    assert_true(is_running());
    let_it_end();
    assert_true(saving_status.snapshot.last_ok);
    assert_int_equal(saving_status.snapshot.failures, 0);
    assert_false(obstacle_is_set(OBSTACLE_SAVE));
    buf_release(&text);
}

/* ---- by request ---- */

static void a_save_is_counted_with_its_time(void **state) {
    (void)state;
    uint64_t done = saving_status.snapshot.done;
    saving_status.last_save_s = 5;
    change(2);
    assert_text(saving_save, true, "OK");
    assert_true(file_is_there());
    assert_int_equal(saving_status.snapshot.done, done + 1);
    assert_true(saving_status.last_save_s > 5);
    assert_int_equal(saving_changes(), 0);
}

static void one_snapshot_at_a_time(void **state) {
    (void)state;
    uint64_t done = saving_status.snapshot.done;
    change(20);
    options.rdb_key_save_delay_us = 1000000;
    assert_text(bgsave, true, "Background saving started");
    assert_text(bgsave, false, "ERR Background save already in progress");
    assert_text(saving_save, false, "ERR Background save already in progress");
    assert_text(saving_cancel, true, "Background saving cancelled");
    let_it_end();
    assert_int_equal(saving_status.snapshot.done, done);
    assert_true(saving_status.snapshot.last_ok); /* giving up is no failure */
    assert_false(file_is_there());
    assert_text(saving_cancel, false, "ERR Background saving is currently not in progress or scheduled");
}

static void what_is_scheduled_begins_with_the_next_cron(void **state) {
    (void)state;
    assert_text(bgsave_later, true, "Background saving scheduled");
    assert_true(saving_status.snapshot.scheduled);
    assert_false(is_running());
    saving_cron(turn_now_ms);
    assert_false(saving_status.snapshot.scheduled);
    assert_true(is_running());
    let_it_end();
    assert_true(file_is_there());
    assert_text(bgsave_later, true, "Background saving scheduled");
    assert_text(saving_cancel, true, "Scheduled background saving cancelled");
    saving_cron(turn_now_ms);
    assert_false(is_running());
}

static void nothing_begins_while_the_data_is_loaded(void **state) {
    (void)state;
    assert_text(bgsave_later, true, "Background saving scheduled");
    obstacle_set(OBSTACLE_LOADING, true);
    saving_cron(turn_now_ms);
    obstacle_set(OBSTACLE_LOADING, false);
    assert_false(is_running());
    assert_text(saving_cancel, true, "Scheduled background saving cancelled");
}

/* Turns for a while, in which a snapshot that nothing holds up has long ended. */
static void turn_for_a_while(void) {
    for (int i = 0; i < 20; i++) {
        usleep(5000);
        loopback_turn();
    }
}

/* A snapshot that began there would have half of what the script does. */
static void nothing_begins_in_the_middle_of_a_script(void **state) {
    (void)state;
    uint64_t done = saving_status.snapshot.done;
    assert_text(bgsave, true, "Background saving started");
    obstacle_set(OBSTACLE_BUSY, true);
    turn_for_a_while();
    saving_cron(turn_now_ms);
    assert_true(is_running()); /* its end has not been looked at: it might begin the next */
    obstacle_set(OBSTACLE_BUSY, false);
    saving_cron(turn_now_ms);
    assert_false(is_running());
    assert_int_equal(saving_status.snapshot.done, done + 1);
    assert_text(bgsave_later, true, "Background saving scheduled");
    obstacle_set(OBSTACLE_BUSY, true);
    saving_cron(turn_now_ms);
    assert_false(is_running());
    obstacle_set(OBSTACLE_BUSY, false);
    saving_cron(turn_now_ms);
    assert_true(is_running());
}

/* What was emptied must not come back with the next start. */
static void a_snapshot_of_what_was_flushed_takes_no_place(void **state) {
    (void)state;
    change(20);
    options.rdb_key_save_delay_us = 1000000;
    assert_text(bgsave, true, "Background saving started");
    assert_says(client, "FLUSHALL", "+OK");
    let_it_end();
    assert_false(file_is_there());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_one, end_one)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_save_point_is_reached_by_changes_and_time),
        TEST(without_save_points_nothing_is_saved_by_itself),
        TEST(what_changes_while_it_is_written_is_not_saved),
        TEST(a_failure_is_remembered_and_tried_again_after_a_while),
        TEST(a_save_is_counted_with_its_time),
        TEST(one_snapshot_at_a_time),
        TEST(what_is_scheduled_begins_with_the_next_cron),
        TEST(nothing_begins_while_the_data_is_loaded),
        TEST(nothing_begins_in_the_middle_of_a_script),
        TEST(a_snapshot_of_what_was_flushed_takes_no_place),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
