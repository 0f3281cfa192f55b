/* test_job.c: jobs of kinds that other rooms define: how they wait, begin, fail and end, and how they share
 * BGSAVE's file. */
#include "../../../harness/client.h"
#include "../../../harness/fixture.h"
#include "../../../harness/loopback.h"
#include "trivet/base/file.h"
#include "trivet/engine/saving/job.h"
#include "trivet/engine/saving/rdb_file.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/persist/snapshot/file_sink.h"
#include <poll.h>
#include <unistd.h>

#define HISTORY "0123456789abcdef0123456789abcdef01234567"
#define SOON_MS 10000

static char folder[] = "/tmp/trivet-job-XXXXXX";
static struct loopback *client;

/* ---- a kind that writes nowhere ---- */

static struct {
    bool begin_fails, put_fails, asks_again;
    int begun, dropped;
    struct buf told; /* a line for each time that a kind was told how its job went */
    int fd;          /* what the kind of a file was given; -1: nothing */
} world;

static void tell(const char *who, enum snapshot_end how) {
    static const char *const words[] = {
        [SNAPSHOT_SAVED] = "saved", [SNAPSHOT_FAILED] = "failed", [SNAPSHOT_CANCELLED] = "cancelled"
    };
    buf_printf(&world.told, "%s %s\n", who, words[how]);
}

static bool put(struct snapshot_sink *s, struct slice bytes, struct buf *error) {
    (void)s, (void)bytes;
    if (world.put_fails) buf_append(error, LIT("nobody reads"));
    return !world.put_fails;
}

static bool end(struct snapshot_sink *s, struct buf *error) {
    (void)s, (void)error;
    return true;
}

static void drop(struct snapshot_sink *s) {
    (void)s;
    world.dropped++;
}

static struct snapshot_sink nowhere = { .put = put, .end = end, .drop = drop };

static bool begin_foreign(struct save_job *job, struct buf *why) {
    world.begun++;
    job->plan = saving_plan();
    job->plan.sink = &nowhere;
    if (world.begin_fails) buf_append(why, LIT("no way"));
    return !world.begin_fails && save_job_write(job, why);
}

static void foreign_ended(struct save_job *job, enum snapshot_end how) {
    (void)job;
    tell("ended", how);
}

static const struct job_kind foreign;

static void foreign_failed(const struct job_kind *kind, enum snapshot_end how, struct slice why) {
    assert_ptr_equal(kind, &foreign);
    assert_true(slice_equal(why, LIT("no way")));
    assert_true(save_job_is_idle());
    tell("not begun,", how);
    if (world.asks_again) save_job_enqueue(kind);
}

static struct saving_kind foreign_status;
static const struct job_kind foreign = {
    .name = "Transfer",
    .failure = "Transfer failed",
    .status = &foreign_status,
    .begin = begin_foreign,
    .ended = foreign_ended,
    .failed = foreign_failed,
};

/* ---- a kind that writes BGSAVE's file ---- */

static bool begin_shared(struct save_job *job, struct buf *why) {
    job->plan = saving_plan();
    job->plan.version = 10;
    job->plan.position = (struct stream_position){ true, HISTORY, 77, 3 };
    return rdb_file_begin(job, true, why);
}

static void shared_ended(struct save_job *job, enum snapshot_end how) {
    world.fd = rdb_file_take(how);
    rdb_file_ended(job, how);
    tell("shared", how);
}

static const struct job_kind shared = {
    .name = "Background saving",
    .failure = "Background saving error",
    .status = &saving_status.snapshot,
    .begin = begin_shared,
    .ended = shared_ended,
};

/* ---- around each test ---- */

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

static void let_it_end(void) {
    struct pollfd letters = { .fd = worker_mailboxes[0].wake_fd, .events = POLLIN };
    while (!save_job_is_idle()) {
        assert_true(poll(&letters, 1, SOON_MS) > 0);
        loopback_turn();
    }
}

static int begin_one(void **state) {
    if (loopback_empty(state) != 0) return -1;
    memset(&world, 0, sizeof world);
    world.fd = -1;
    foreign_status = (struct saving_kind){ 0 };
    client = loopback_open();
    for (int i = 0; i < 20; i++) assert_string_equal(loopback_ask(client, "SET key:%d v", i), "+OK");
    return 0;
}

static int end_one(void **state) {
    (void)state;
    options.rdb_key_save_delay_us = 0;
    let_it_end();
    if (world.fd >= 0) close(world.fd);
    unlink("dump.rdb");
    buf_release(&world.told);
    loopback_close(client);
    return 0;
}

static void begin_next(void) {
    exclusive_begin();
    save_job_begin_next();
    exclusive_end();
}

static void assert_told(const char *expected) { assert_string_equal(buf_cstr(&world.told), expected); }

/* ---- kinds of other rooms ---- */

static void a_kind_of_another_room_waits_for_the_running_job(void **state) {
    (void)state;
    struct buf text = { 0 };
    uint64_t done = saving_status.snapshot.done;
    options.rdb_key_save_delay_us = 1000;
    assert_true(saving_begin(false, false, &text));
    save_job_enqueue(&foreign);
    save_job_enqueue(&foreign);
    assert_true(save_job_is_queued(&foreign) && foreign_status.scheduled);
    assert_null(save_job_of(&foreign));
    assert_int_equal(world.begun, 0);
    let_it_end();
    assert_int_equal(world.begun, 1);
    assert_told("ended saved\n");
    assert_false(foreign_status.scheduled);
    assert_int_equal(foreign_status.done, 1);
    assert_int_equal(saving_status.snapshot.done, done + 1);
    assert_int_equal(world.dropped, 0);
    buf_release(&text);
}

static void a_kind_is_told_that_its_job_could_not_begin(void **state) {
    (void)state;
    world.begin_fails = true;
    save_job_enqueue(&foreign);
    begin_next();
    assert_told("not begun, failed\n");
    assert_int_equal(foreign_status.failures, 1);
    assert_false(obstacle_is_set(OBSTACLE_SAVE));
    assert_true(saving_status.snapshot.last_ok);
}

static void one_that_asks_again_after_a_failure_waits_for_the_next_time(void **state) {
    (void)state;
    world.begin_fails = world.asks_again = true;
    save_job_enqueue(&foreign);
    begin_next();
    assert_int_equal(world.begun, 1);
    assert_true(save_job_is_queued(&foreign));
    world.begin_fails = false;
    saving_cron(turn_now_ms);
    let_it_end();
    assert_told("not begun, failed\nended saved\n");
}

static void its_failure_does_not_stop_writes(void **state) {
    (void)state;
    uint64_t failures = saving_status.snapshot.failures;
    world.put_fails = true;
    save_job_enqueue(&foreign);
    begin_next();
    assert_non_null(save_job_of(&foreign));
    let_it_end();
    assert_told("ended failed\n");
    assert_int_equal(world.dropped, 1);
    assert_int_equal(foreign_status.failures, 1);
    assert_false(obstacle_is_set(OBSTACLE_SAVE));
    assert_true(saving_status.snapshot.last_ok);
    assert_int_equal(saving_status.snapshot.failures, failures);
    assert_says(client, "SET key v", "+OK");
}

static void it_can_be_cancelled_whether_it_runs_or_waits(void **state) {
    (void)state;
    assert_false(save_job_cancel(&foreign));
    save_job_enqueue(&foreign);
    assert_true(save_job_cancel(&foreign));
    begin_next();
    assert_int_equal(world.begun, 0);
    options.rdb_key_save_delay_us = 10000000;
    save_job_enqueue(&foreign);
    begin_next();
    assert_false(save_job_cancel(&job_rdb_file)); /* another kind */
    assert_true(save_job_cancel(&foreign));
    let_it_end();
    assert_told("ended cancelled\n");
    assert_int_equal(world.dropped, 1);
    assert_int_equal(foreign_status.failures, 0);
}

/* ---- BGSAVE's file for somebody else ---- */

static void assert_refused(bool (*what)(struct buf *text)) {
    struct buf text = { 0 };
    assert_false(what(&text));
    assert_string_equal(buf_cstr(&text), "ERR Background save already in progress");
    buf_release(&text);
}

static bool bgsave(struct buf *text) { return saving_begin(false, false, text); }

static void the_file_of_another_kind_counts_as_a_bgsave(void **state) {
    (void)state;
    struct snapshot_progress p;
    uint64_t done = saving_status.snapshot.done;
    saving_status.last_save_s = 5;
    options.rdb_key_save_delay_us = 1000;
    save_job_enqueue(&shared);
    assert_true(saving_status.snapshot.scheduled);
    begin_next();
    assert_refused(bgsave);
    assert_refused(saving_save);
    snapshot_progress(&p);
    assert_int_equal(p.version, 10);
    assert_int_equal(save_job_of(&shared)->plan.version, 10);
    let_it_end();
    assert_told("shared saved\n");
    assert_int_equal(saving_status.snapshot.done, done + 1);
    assert_true(saving_status.last_save_s > 5);
    assert_int_equal(saving_changes(), 0);
    assert_false(rdb_file_is_being_written());
}

static void the_file_that_was_written_is_given_even_if_another_has_its_name(void **state) {
    (void)state;
    struct buf bytes = { 0 }, text = { 0 };
    struct rdb_item item;
    save_job_enqueue(&shared);
    begin_next();
    let_it_end();
    assert_says(client, "FLUSHALL", "+OK");
    assert_true(saving_save(&text));
    assert_true(world.fd >= 0);
    assert_int_equal(lseek(world.fd, 0, SEEK_SET), 0);
    assert_true(file_read_all(world.fd, SIZE_MAX / 2, &bytes));
    struct rdb_reader *r = rdb_reader_over(buf_slice(&bytes), (struct rdb_rules){ 0 });
    int keys = 0;
    enum rdb_event event;
    while ((event = rdb_reader_next(r, &item)) != RDB_EVENT_END) {
        assert_int_not_equal(event, RDB_EVENT_BROKEN);
        keys += event == RDB_EVENT_RECORD;
    }
    assert_int_equal(keys, 20);
    const struct stream_position *position = &rdb_reader_facts(r)->position;
    assert_true(position->known && position->offset == 77 && position->db == 3);
    assert_string_equal(position->id, HISTORY);
    rdb_reader_close(r);
    buf_release(&bytes);
    buf_release(&text);
}

static void bgsave_cancel_and_flushall_give_it_up(void **state) {
    (void)state;
    struct buf text = { 0 };
    options.rdb_key_save_delay_us = 10000000;
    for (int by_flush = 0; by_flush < 2; by_flush++) {
        save_job_enqueue(&shared);
        begin_next();
        if (by_flush)
            assert_says(client, "FLUSHALL", "+OK");
        else
            assert_true(saving_cancel(&text));
        let_it_end();
        assert_int_equal(world.fd, -1);
        assert_int_equal(access("dump.rdb", F_OK), -1);
    }
    assert_told("shared cancelled\nshared cancelled\n");
    assert_false(obstacle_is_set(OBSTACLE_SAVE));
    buf_release(&text);
}

/* Only BGSAVE itself can be taken out of the queue by BGSAVE CANCEL. */
static void bgsave_cancel_leaves_the_queue_of_others_alone(void **state) {
    (void)state;
    struct buf text = { 0 };
    save_job_enqueue(&shared);
    save_job_enqueue(&job_rdb_file);
    assert_true(saving_cancel(&text));
    assert_false(saving_cancel(&text));
    assert_true(save_job_is_queued(&shared) && saving_status.snapshot.scheduled);
    save_job_dequeue(&shared);
    assert_false(saving_status.snapshot.scheduled);
    buf_release(&text);
}

/* ---- parts of the contents, as another server sees them ---- */

static void write_part(enum snapshot_contents contents) {
    struct file_sink file;
    struct buf error = { 0 };
    file_sink_init(&file, &(struct file_sink_plan){ .path = "dump.rdb" });
    struct snapshot_plan plan = saving_plan();
    plan.sink = &file.sink;
    plan.version = 10;
    plan.contents = contents;
    plan.position = (struct stream_position){ true, HISTORY, 77, 3 };
    exclusive_begin();
    assert_true(snapshot_write_now(&plan, &error));
    exclusive_end();
}

static void redis_server_starts_with_a_part_of_the_contents(void **state) {
    (void)state;
    assert_says(client,
                "FUNCTION LOAD \"#!lua name=lib\n"
                "redis.register_function('f', function() return 42 end)\"",
                "$\"lib\"");
    for (int with_functions = 0; with_functions < 2; with_functions++) {
        write_part(with_functions ? SNAPSHOT_FUNCTIONS : SNAPSHOT_NOTHING);
        struct server *redis = server_launch(
            &(struct server_plan){ .program = "redis-server",
                                   .bare = true,
                                   .args = (const char *const[]){ "--dir", folder, "--save", "", NULL } });
        struct client *c = server_connect(redis);
        assert_reply(c, "DBSIZE", ":0");
        assert_reply(c, "FCALL f 0", with_functions ? ":42" : "-ERR Function not found");
        client_close(c);
        server_free(redis);
    }
    assert_says(client, "FUNCTION FLUSH", "+OK");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_one, end_one)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_kind_of_another_room_waits_for_the_running_job),
        TEST(a_kind_is_told_that_its_job_could_not_begin),
        TEST(one_that_asks_again_after_a_failure_waits_for_the_next_time),
        TEST(its_failure_does_not_stop_writes),
        TEST(it_can_be_cancelled_whether_it_runs_or_waits),
        TEST(the_file_of_another_kind_counts_as_a_bgsave),
        TEST(the_file_that_was_written_is_given_even_if_another_has_its_name),
        TEST(bgsave_cancel_and_flushall_give_it_up),
        TEST(bgsave_cancel_leaves_the_queue_of_others_alone),
        TEST(redis_server_starts_with_a_part_of_the_contents),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
