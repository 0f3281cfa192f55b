/* Start-up: all files in order, what is cut and what is refused, and the upgrade of an old single file. */
#include "folder.h"

#define BASE_1 "aofdir/a.aof.1.base.aof"
#define INCR_1 "aofdir/a.aof.1.incr.aof"
#define INCR_2 "aofdir/a.aof.2.incr.aof"
#define DEL_A "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"
#define DEL_B "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n"
#define DEL_C "*2\r\n$3\r\nDEL\r\n$1\r\nc\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"
#define MANIFEST_3                                                             \
    "file a.aof.1.base.aof seq 1 type b\nfile a.aof.0.incr.aof seq 0 type h\n" \
    "file a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\n"

static int setup(void **state) {
    faults_install();
    faults.fault = FAULT_ERROR;
    atomic_store(&faults.countdown, -1);
    return folder_make(state);
}

static int begin_again(void) {
    folder_remove(NULL);
    return setup(NULL);
}

static void put_manifest(const char *text) {
    (void)mkdir(path_of("aofdir"), 0755);
    put_file("aofdir/a.aof.manifest", slice_of(text));
}

static void put_three(struct slice base, struct slice first, struct slice second) {
    put_manifest(MANIFEST_3);
    put_file(BASE_1, base);
    put_file(INCR_1, first);
    put_file(INCR_2, second);
}

static void nothing_on_disk_is_empty(void **state) {
    (void)state;
    assert_load(AOF_EMPTY, "");
    assert_int_equal(mkdir(path_of("aofdir"), 0755), 0);
    put_file(INCR_1, LIT("")); /* a first start was killed before the manifest was there */
    assert_load(AOF_EMPTY, "");
    put_file(INCR_1, LIT(DEL_A));
    assert_load(AOF_REFUSED, "");
}

static void all_files_load_in_order_each_from_database_0(void **state) {
    (void)state;
    put_three(LIT(DEL_A), LIT(DEL_B), LIT(DEL_C));
    struct ran ran = { 0 };
    struct aof_load how = loader(&ran);
    assert_int_equal(aof_load(&how), AOF_LOADED);
    assert_int_equal(ran.total, 3 * (sizeof DEL_A - 1));
    assert_int_equal(ran.last_progress, ran.total);
    assert_ran(&ran, "DEL a;SELECT 0;DEL b;SELECT 0;DEL c;");
    assert_file("aofdir/a.aof.manifest", LIT(MANIFEST_3)); /* loading changes nothing */
}

static void a_missing_file_or_a_broken_manifest_is_refused(void **state) {
    (void)state;
    put_three(LIT(DEL_A), LIT(DEL_B), LIT(DEL_C));
    assert_int_equal(unlink(path_of(INCR_1)), 0);
    assert_load(AOF_REFUSED, "");
    put_manifest("file nonsense\n");
    assert_load(AOF_REFUSED, "");
}

/* The last file, the settings, and what is left of the file (NULL: refused). */
struct tail {
    struct slice bytes;
    bool load_truncated;
    uint64_t corrupt_tail_max;
    const char *left;
};

static const struct tail tails[] = {
    { LIT_INIT(DEL_C), false, 0, DEL_C },
    { LIT_INIT(DEL_C "*2\r\n$3\r\nDE"), true, 0, DEL_C },
    { LIT_INIT(DEL_C "*2\r\n$3\r\nDE"), true, 1, DEL_C },
    { LIT_INIT(DEL_C "*2\r\n$3\r\nDE"), false, 100, NULL },
    { LIT_INIT(DEL_C MULTI DEL_A), true, 0, DEL_C },
    { LIT_INIT(DEL_C MULTI DEL_A "*1\r\n$4\r\nEXEC\r"), true, 0, DEL_C },
    { LIT_INIT(DEL_C MULTI DEL_A), false, 0, NULL },
    { LIT_INIT("*"), true, 0, "" },
    { LIT_INIT(DEL_C "\0\0\0\0\0\0\0\0"), true, 0, DEL_C },
    { LIT_INIT(DEL_C "\0\0\0\0\0\0\0\0"), true, 8, DEL_C },
    { LIT_INIT(DEL_C "\0\0\0\0\0\0\0\0"), true, 7, NULL },
    { LIT_INIT(DEL_C "\0\0\0\0\0\0\0\0"), false, 8, NULL },
    { LIT_INIT(DEL_C "*2\r\n$3\r\nDE\0\0\0\0\0\0"), true, 0, DEL_C },
    { LIT_INIT(DEL_C "damage"), true, 0, NULL },
    { LIT_INIT(DEL_C "damage"), true, 5, NULL },
    { LIT_INIT(DEL_C "damage"), true, 6, DEL_C },
    { LIT_INIT(DEL_C "damage"), false, 6, NULL },
    { LIT_INIT(DEL_C DEL_A "#SUM:20:0123456789abcdef\r\n"), true, 0, NULL },
    { LIT_INIT(DEL_C DEL_A "#SUM:20:0123456789abcdef\r\n"), true, 45, NULL },
    { LIT_INIT(DEL_C DEL_A "#SUM:20:0123456789abcdef\r\n"), true, 46, DEL_C },
    { LIT_INIT(DEL_C DEL_A "#SUM:20:0123456789abcdef\r\n"), false, 46, NULL },
    { LIT_INIT(DEL_C DEL_A "#SUM:20:01234567"), true, 0, DEL_C DEL_A },
};

static void the_last_files_tail_is_cut_as_the_settings_say(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        const struct tail *t = &tails[i];
        configure(FSYNC_EVERYSEC, t->load_truncated, t->corrupt_tail_max);
        put_three(LIT(DEL_A), LIT(DEL_B), t->bytes);
        assert_load(t->left ? AOF_LOADED : AOF_REFUSED, NULL);
        assert_file(INCR_2, t->left ? slice_of(t->left) : t->bytes);
        if (t->left) assert_load(AOF_LOADED, NULL); /* and is whole now */
    }
}

static void a_bad_tail_before_the_last_file_is_refused(void **state) {
    (void)state;
    for (size_t i = 1; i < COUNT_OF(tails); i++) {
        configure(FSYNC_EVERYSEC, true, 1000);
        put_three(LIT(DEL_A), tails[i].bytes, LIT(DEL_B));
        assert_load(AOF_REFUSED, NULL);
        assert_file(INCR_1, tails[i].bytes);
    }
}

/* A rewrite names the next file before it goes over to it. */
static void empty_files_may_follow_the_one_that_was_written(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        const struct tail *t = &tails[i];
        if (t->bytes.len == 0) continue;
        configure(FSYNC_EVERYSEC, t->load_truncated, t->corrupt_tail_max);
        put_three(LIT(DEL_A), t->bytes, LIT(""));
        assert_load(t->left ? AOF_LOADED : AOF_REFUSED, NULL);
        assert_file(INCR_1, t->left ? slice_of(t->left) : t->bytes);
        assert_file(INCR_2, LIT(""));
    }
    configure(FSYNC_EVERYSEC, true, 0);
    put_three(LIT(DEL_A "*2"), LIT(""), LIT(""));
    assert_load(AOF_LOADED, "DEL a;SELECT 0;SELECT 0;");
    assert_file(BASE_1, LIT(DEL_A));
}

static void what_follows_a_cut_survives_the_next_start(void **state) {
    (void)state;
    struct buf error = { 0 };
    put_three(LIT(DEL_A), LIT(DEL_B), LIT(DEL_C MULTI DEL_A));
    assert_load(AOF_LOADED, "DEL a;SELECT 0;DEL b;SELECT 0;DEL c;");
    assert_true(aof_open(&error));
    assert_true(aof_close());
    put_file(INCR_2, LIT(DEL_C DEL_B));
    assert_load(AOF_LOADED, "DEL a;SELECT 0;DEL b;SELECT 0;DEL c;DEL b;");
}

static void a_cut_that_fails_refuses_the_start(void **state) {
    (void)state;
    for (int n = 0; n < 3; n++) {
        put_three(LIT(DEL_A), LIT(DEL_B), LIT(DEL_C "*"));
        atomic_store(&faults.countdown, n); /* open, ftruncate, fsync */
        assert_load(AOF_REFUSED, NULL);
        assert_true(atomic_exchange(&faults.countdown, -1) < 0);
    }
}

static void rdb_files_are_refused_untouched(void **state) {
    (void)state;
    put_three(LIT("REDIS0011abc"), LIT(DEL_B), LIT(DEL_C));
    assert_load(AOF_REFUSED, "");
    begin_again();
    put_file("a.aof", LIT("REDIS0009abc" DEL_A));
    assert_load(AOF_REFUSED, "");
    assert_file("a.aof", LIT("REDIS0009abc" DEL_A));
    assert_false(has_file("aofdir"));
}

static bool take_rdb(void *arg, const char *path, uint64_t *end, struct buf *error) {
    struct ran *ran = arg;
    (void)path, (void)error;
    buf_append(&ran->text, LIT("rdb;"));
    *end = 12;
    return true;
}

static void a_base_may_be_an_rdb_file_and_an_old_file_begin_as_one(void **state) {
    (void)state;
    struct ran ran = { 0 };
    struct aof_load how = { .run = note_command, .rdb = take_rdb, .arg = &ran };
    put_three(LIT("REDIS0011abc"), LIT(DEL_B), LIT(DEL_C));
    assert_int_equal(aof_load(&how), AOF_LOADED);
    assert_ran(&ran, "rdb;SELECT 0;DEL b;SELECT 0;DEL c;");
    begin_again();
    ran = (struct ran){ 0 };
    put_file("a.aof", LIT("VALKEY080abc" DEL_A "*1"));
    assert_int_equal(aof_load(&how), AOF_LOADED);
    assert_ran(&ran, "rdb;DEL a;");
    assert_file("aofdir/a.aof", LIT("VALKEY080abc" DEL_A));
}

static void a_refused_command_refuses_the_start(void **state) {
    (void)state;
    put_three(LIT(DEL_A), LIT("*1\r\n$2\r\nNO\r\n"), LIT(DEL_C));
    struct ran ran = { .refuse = "NO" };
    struct aof_load how = loader(&ran);
    assert_int_equal(aof_load(&how), AOF_REFUSED);
    assert_ran(&ran, "DEL a;SELECT 0;");
}

/* ---- the log ---- */

static void assert_logged(struct slice bytes, bool load_truncated, const char *line) {
    configure(FSYNC_EVERYSEC, load_truncated, 0);
    put_three(LIT(DEL_A), LIT(DEL_B), bytes);
    (void)unlink(path_of("log"));
    assert_true(log_set_file(path_of("log")));
    log_set_level(LOG_LEVEL_NOTICE);
    assert_load(load_truncated ? AOF_LOADED : AOF_REFUSED, NULL);
    log_set_level(LOG_LEVEL_NOTHING);
    assert_true(log_set_file(""));
    struct buf text = get_file("log");
    assert_non_null(memmem(text.ptr, text.len, line, strlen(line)));
    buf_release(&text);
}

static void the_log_names_file_and_offset(void **state) {
    (void)state;
    assert_logged(LIT(DEL_C), true, "DB loaded from base file a.aof.1.base.aof: ");
    assert_logged(LIT(DEL_C), true, "DB loaded from incr file a.aof.2.incr.aof: ");
    assert_logged(LIT(DEL_C "*2\r\n$3"), true,
                  "AOF file a.aof.2.incr.aof: cut at offset 20: the last 6 bytes were an unfinished command");
    assert_logged(
        LIT(DEL_C MULTI), true,
        "AOF file a.aof.2.incr.aof: cut at offset 20: the last 15 bytes were an unfinished transaction");
    assert_logged(
        LIT(DEL_C "*2\r\n$3\r\nDELx" DEL_A), false,
        "AOF file a.aof.2.incr.aof, offset 31: damaged: the end of a line should be here. The last whole "
        "command ends at offset 20 of 52.");
    assert_logged(LIT(DEL_C DEL_A "#SUM:20:0123456789abcdef\r\n"), false,
                  "AOF file a.aof.2.incr.aof, offset 20: damaged: the bytes from offset 20 to 40 have the "
                  "checksum ");
    assert_logged(LIT(DEL_C DEL_A "#SUM:20:0123456789abcdef\r\n"), false, "'trivet-check-aof --fix'");
    assert_logged(LIT(DEL_C "*"), false, "AOF file a.aof.2.incr.aof, offset 20: it ends with 1 bytes of");
}

/* ---- an old single file ---- */

static void an_old_file_becomes_the_base(void **state) {
    (void)state;
    struct buf error = { 0 };
    put_file("a.aof", LIT(DEL_A DEL_B "*2"));
    assert_load(AOF_LOADED, "DEL a;DEL b;");
    assert_false(has_file("a.aof"));
    assert_file("aofdir/a.aof", LIT(DEL_A DEL_B));
    assert_true(aof_open(&error));
    assert_true(aof_close());
    assert_file("aofdir/a.aof.manifest",
                LIT("file a.aof seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\n"));
    assert_load(AOF_LOADED, "DEL a;DEL b;SELECT 0;");
}

static void a_bad_old_file_is_left_alone(void **state) {
    (void)state;
    put_file("a.aof", LIT(DEL_A "damage"));
    assert_load(AOF_REFUSED, "DEL a;");
    assert_file("a.aof", LIT(DEL_A "damage"));
    assert_false(has_file("aofdir"));
}

static void two_files_of_one_name_are_not_guessed_about(void **state) {
    (void)state;
    put_file("a.aof", LIT(DEL_A));
    assert_int_equal(mkdir(path_of("aofdir"), 0755), 0);
    put_file("aofdir/a.aof", LIT(DEL_B));
    assert_load(AOF_REFUSED, "");
}

static void load_it(void) {
    struct ran ran = { 0 };
    struct aof_load how = loader(&ran);
    (void)aof_load(&how);
    buf_release(&ran.text);
}

static void an_upgrade_may_be_killed_anywhere(void **state) {
    (void)state;
    int n = 0;
    for (bool killed = true; killed; n++) {
        begin_again();
        put_file("a.aof", LIT(DEL_A DEL_B "*2"));
        killed = killed_at(n, load_it);
        assert_load(AOF_LOADED, "DEL a;DEL b;");
        assert_false(has_file("a.aof"));
        assert_file("aofdir/a.aof", LIT(DEL_A DEL_B));
        assert_true(n < 100);
    }
    assert_true(n > 10);
}

static void an_upgrade_may_fail_anywhere(void **state) {
    (void)state;
    for (int n = 0;; n++) {
        begin_again();
        put_file("a.aof", LIT(DEL_A DEL_B "*2"));
        atomic_store(&faults.countdown, n);
        load_it();
        if (atomic_exchange(&faults.countdown, -1) >= 0) break;
        assert_load(AOF_LOADED, "DEL a;DEL b;");
        assert_file("aofdir/a.aof", LIT(DEL_A DEL_B));
        assert_true(n < 100);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, folder_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_on_disk_is_empty),
        TEST(all_files_load_in_order_each_from_database_0),
        TEST(a_missing_file_or_a_broken_manifest_is_refused),
        TEST(the_last_files_tail_is_cut_as_the_settings_say),
        TEST(a_bad_tail_before_the_last_file_is_refused),
        TEST(empty_files_may_follow_the_one_that_was_written),
        TEST(what_follows_a_cut_survives_the_next_start),
        TEST(a_cut_that_fails_refuses_the_start),
        TEST(rdb_files_are_refused_untouched),
        TEST(a_base_may_be_an_rdb_file_and_an_old_file_begin_as_one),
        TEST(a_refused_command_refuses_the_start),
        TEST(the_log_names_file_and_offset),
        TEST(an_old_file_becomes_the_base),
        TEST(a_bad_old_file_is_left_alone),
        TEST(two_files_of_one_name_are_not_guessed_about),
        TEST(an_upgrade_may_be_killed_anywhere),
        TEST(an_upgrade_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
