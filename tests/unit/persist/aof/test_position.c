/* Positions of the replication stream in an append-only file: how they are written, and what is read back. */
#include "folder.h"
#include "persist/aof/note.h"
#include "trivet/base/thread.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal_sink.h"

#define ID "0123456789abcdef0123456789abcdef01234567"
#define ID_2 "fedcba9876543210fedcba9876543210fedcba98"
#define INCR_1 "aofdir/a.aof.1.incr.aof"
#define SELECT_0 "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define DEL_A "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"
#define DEL_B "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n"
#define PING "*1\r\n$4\r\nping\r\n"

/* ---- the lines ---- */

static void positions_are_written_and_read(void **state) {
    (void)state;
    struct stream_position p = { true, ID, 1234, -1 };
    struct buf batch = { 0 };
    aof_note_add_position(&batch, &p, true, 7);
    aof_note_add_position(&batch, &p, false, 0);
    assert_true(slice_equal(buf_slice(&batch), LIT("#POS:" ID ":1234:-1:7\r\n#POS::1234:-1:0\r\n")));
    buf_release(&batch);
    struct aof_note note = aof_note_read(LIT("#POS:" ID ":1234:15:7\r\n"));
    assert_int_equal(note.kind, NOTE_POSITION);
    assert_string_equal(note.position.id, ID);
    assert_int_equal(note.position.offset, 1234);
    assert_int_equal(note.position.db, 15);
    assert_int_equal(note.bytes, 7);
    assert_string_equal(aof_note_read(LIT("#POS::0:0:0\r\n")).position.id, "");
}

static void what_is_no_position_is_no_damage(void **state) {
    (void)state;
    static const struct slice lines[] = {
        LIT_INIT("#POS:\r\n"),
        LIT_INIT("#POS:\n"),
        LIT_INIT("#POS::1:0:0\n"),
        LIT_INIT("#POS::1:0\r\n"),
        LIT_INIT("#POS::1:0:0:0\r\n"),
        LIT_INIT("#POS::-1:0:0\r\n"),
        LIT_INIT("#POS::1:-2:0\r\n"),
        LIT_INIT("#POS::1:99999999999:0\r\n"),
        LIT_INIT("#POS::1:0:2\r\n"), /* more bytes than there ever were */
        LIT_INIT("#POS:abc:1:0:0\r\n"),
        LIT_INIT("#POS:g123456789abcdef0123456789abcdef01234567:1:0:0\r\n"),
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) assert_int_equal(aof_note_read(lines[i]).kind, NOTE_OTHER);
}

/* ---- reading ---- */

/* "<id's first letter>@<offset>/<db>=<bytes of the stream>;" or "unnoted=<bytes>;" among the commands. */
static void note_position(void *arg, const struct stream_position *p, struct slice stream) {
    struct ran *ran = arg;
    assert_true(p->known);
    buf_printf(&ran->text, "%c@%lld/%lld=%zu;", p->id[0], (long long)p->offset, (long long)p->db, stream.len);
}

static void note_unnoted(void *arg, struct slice commands) {
    struct ran *ran = arg;
    buf_printf(&ran->text, "unnoted=%zu;", commands.len);
}

/* A piece of a file; summed: its sum follows. */
struct piece {
    const char *text;
    bool is_summed;
};

static void a_position_counts_if_its_sum_follows(void **state) {
    (void)state;
    static const struct {
        struct piece pieces[4];
        const char *ran;
    } cases[] = {
        { { { DEL_A "#POS:" ID ":100:0:20\r\n", true } }, "DEL a;0@100/0=0;" },
        { { { DEL_A "#POS:" ID ":100:0:20\r\n", false } }, "DEL a;" },
        { { { DEL_A "#POS:" ID ":100:0:20\r\n" DEL_B, true } }, "DEL a;DEL b;" },
        { { { DEL_A "#POS::100:0:20\r\n", true } }, "DEL a;" }, /* of an id that the file does not tell */
        { { { "#POS:" ID ":80:0:0\r\n", true }, { DEL_A "#POS::100:3:20\r\n", true } },
          "0@80/0=0;DEL a;0@100/3=20;" },
        { { { "#POS:" ID ":80:0:0\r\n", true }, { DEL_A DEL_B "#POS::100:3:20\r\n", true } },
          "0@80/0=0;DEL a;DEL b;0@100/3=20;" },
        { { { "#POS:" ID ":80:0:0\r\n", true }, { DEL_A "#POS::100:3:21\r\n", true } }, /* not there */
          "0@80/0=0;DEL a;0@100/3=0;" },
        { { { "#POS:" ID ":80:0:0\r\n", true }, { "#POS:" ID_2 ":80:0:0\r\n", true }, { DEL_A, false } },
          "0@80/0=0;f@80/0=0;DEL a;unnoted=20;" },
        { { { "#POS:" ID ":80:0:0\r\n", true }, { DEL_A "#POS::100:0:0\r\n", false } },
          "0@80/0=0;DEL a;unnoted=20;" },
        { { { "#POS:" ID ":80:0:0\r\n", true }, { DEL_A, true }, { DEL_B "#POS::120:0:40\r\n", true } },
          "0@80/0=0;DEL a;DEL b;0@120/0=40;" },
        { { { "#POS:" ID ":80:0:0\r\n", true }, { DEL_A "*2\r\n$3\r\nDE", false } },
          "0@80/0=0;DEL a;unnoted=20;" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf bytes = { 0 };
        struct ran ran = { 0 };
        struct aof_load how = {
            .run = note_command, .position = note_position, .unnoted = note_unnoted, .arg = &ran
        };
        struct aof_read out;
        for (const struct piece *p = cases[i].pieces; p->text; p++) {
            struct buf batch = { 0 };
            buf_append(&batch, slice_of(p->text));
            if (p->is_summed) aof_note_add_sum(&batch);
            buf_append(&bytes, buf_slice(&batch));
            buf_release(&batch);
        }
        put_file("file", buf_slice(&bytes));
        enum aof_read_end end = aof_read_file(path_of("file"), &how, 0, 0, &out);
        assert_true(end == AOF_READ_WHOLE || end == AOF_READ_TORN);
        assert_ran(&ran, cases[i].ran);
        buf_release(&bytes);
        buf_release(&out.reason);
    }
}

/* ---- writing ---- */

static int setup(void **state) {
    thread_worker_count = 1;
    faults_install();
    atomic_store(&faults.countdown, -1);
    atomic_store(&faults.broken, 0);
    assert_int_equal(folder_make(state), 0);
    struct stream_position p = { true, ID, 1000, -1 };
    backlog_resume(&p, LIT(""));
    return 0;
}

static int teardown(void **state) {
    backlog_close();
    return folder_remove(state);
}

static void open_it(enum fsync_policy fsync_policy) {
    struct buf error = { 0 };
    configure(fsync_policy, true, 0);
    assert_true(aof_open(&error));
}

static void append_del(const char *key) {
    struct effects e = { 0 };
    struct slice argv[2] = { LIT("DEL"), slice_of(key) };
    effects_add(&e, 0, argv, 2);
    journal_append(&e, (struct copied){ 0 });
    effects_release(&e);
}

static void commit(void) { assert_int_equal(aof_commit(journal_offset()), COMMITTED); }

/* The file without its sums. */
static void assert_noted(const char *name, const char *expected) {
    struct buf found = get_file(name), rest = { 0 };
    for (size_t at = 0; at < found.len;) {
        const char *line = found.ptr + at, *end = memchr(line, '\n', found.len - at);
        assert_non_null(end);
        size_t len = (size_t)(end + 1 - line);
        if (!slice_starts_with(slice_make(line, len), LIT("#SUM:"))) buf_append(&rest, slice_make(line, len));
        at += len;
    }
    assert_string_equal(buf_cstr(&rest), expected);
    buf_release(&found);
    buf_release(&rest);
}

static void each_write_ends_with_its_position(void **state) {
    (void)state;
    open_it(FSYNC_NO);
    append_del("a");
    commit();
    append_del("b");
    append_del("a");
    commit();
    assert_noted(INCR_1, SELECT_0 DEL_A "#POS:" ID ":1043:0:43\r\n" DEL_B DEL_A "#POS::1083:0:40\r\n");
    replication_ids_shift(LIT(ID_2));
    append_del("a");
    commit();
    assert_noted(INCR_1, SELECT_0 DEL_A "#POS:" ID ":1043:0:43\r\n" DEL_B DEL_A "#POS::1083:0:40\r\n" DEL_A
                                        "#POS:" ID_2 ":1103:0:20\r\n");
    assert_true(aof_close());
}

/* Bytes for replicas alone: a line, which the next one of that kind replaces. */
static void a_step_of_the_stream_alone_is_noted_once(void **state) {
    (void)state;
    open_it(FSYNC_ALWAYS);
    append_del("a");
    commit();
    int syncs = atomic_load(&faults.syncs);
    for (int i = 0; i < 3; i++) {
        backlog_append(LIT(PING));
        commit();
    }
    assert_noted(INCR_1, SELECT_0 DEL_A "#POS:" ID ":1043:0:43\r\n#POS:" ID ":1085:0:0\r\n");
    assert_int_equal(atomic_load(&faults.syncs), syncs); /* it is no data */
    assert_int_equal(aof_synced_position(), 1085);
    append_del("b");
    backlog_append(LIT(PING));
    append_del("a");
    commit();
    backlog_append(LIT(PING));
    commit();
    assert_noted(INCR_1, SELECT_0 DEL_A "#POS:" ID ":1043:0:43\r\n#POS:" ID ":1085:0:0\r\n" DEL_B DEL_A
                                        "#POS::1139:0:20\r\n#POS:" ID ":1153:0:0\r\n");
    assert_true(aof_close());
}

static void a_new_file_begins_with_the_whole_position(void **state) {
    (void)state;
    struct buf error = { 0 };
    open_it(FSYNC_NO);
    commit();
    assert_noted(INCR_1, "#POS:" ID ":1000:-1:0\r\n");
    append_del("a");
    commit();
    assert_true(aof_rewrite_prepare(&error));
    assert_true(aof_rewrite_switch(&error));
    append_del("b");
    commit();
    /* The file says its database, the stream need not. */
    assert_noted("aofdir/a.aof.2.incr.aof", SELECT_0 DEL_B "#POS:" ID ":1063:0:0\r\n");
    assert_true(aof_close());
}

static void what_is_synced_is_known_by_its_place_in_the_stream(void **state) {
    (void)state;
    open_it(FSYNC_NO);
    assert_int_equal(aof_synced_position(), 1000);
    append_del("a");
    commit();
    assert_int_equal(aof_synced_position(), 1000);
    append_del("b");
    atomic_store(&faults.broken, CALL_SYNC);
    assert_false(aof_sync_written());
    assert_int_equal(aof_synced_position(), 1000);
    atomic_store(&faults.broken, 0);
    assert_true(aof_sync_written());
    assert_int_equal(aof_synced_position(), 1043);
    assert_true(aof_sync_now());
    assert_int_equal(aof_synced_position(), 1063);
    assert_true(aof_close());
}

static void without_sums_nothing_vouches_for_a_position(void **state) {
    (void)state;
    open_it(FSYNC_ALWAYS);
    aof_set_checksums(false);
    append_del("a");
    backlog_append(LIT(PING));
    commit();
    assert_file(INCR_1, LIT(SELECT_0 DEL_A));
    assert_int_equal(aof_synced_position(), 1057);
    assert_true(aof_close());
}

/* A write that failed in the middle is written again with its position; a note that stood alone is cut off
 * before that. */
static void a_failing_disk_keeps_positions_right(void **state) {
    (void)state;
    open_it(FSYNC_ALWAYS);
    append_del("a");
    commit();
    backlog_append(LIT(PING));
    commit();
    atomic_store(&faults.broken, CALL_WRITE);
    backlog_append(LIT(PING));
    assert_int_equal(aof_commit(journal_offset()), COMMIT_PENDING);
    append_del("b");
    assert_int_equal(aof_commit(journal_offset()), COMMIT_PENDING);
    atomic_store(&faults.broken, 0);
    commit();
    assert_noted(INCR_1, SELECT_0 DEL_A "#POS:" ID ":1043:0:43\r\n#POS:" ID ":1071:0:0\r\n" DEL_B
                                        "#POS::1091:0:20\r\n");
    assert_true(aof_close());
}

/* ---- a copied stream ---- */

static void a_replica_notes_where_its_primary_was(void **state) {
    (void)state;
    backlog_set_copied(true);
    open_it(FSYNC_NO);
    struct effects e = { 0 };
    struct slice argv[2] = { LIT("DEL"), LIT("a") };
    effects_add(&e, 3, argv, 2);
    journal_append(&e, (struct copied){ LIT("0123456789"), 5 });
    backlog_copy((struct copied){ LIT("01234"), 6 });
    effects_add(&e, 3, argv, 2); /* of a writable replica's own */
    journal_append(&e, (struct copied){ 0 });
    commit();
    struct stream_position p;
    backlog_position(&p);
    assert_int_equal(p.offset, 1015);
    assert_int_equal(p.db, 6);
    backlog_forget_database(); /* only a primary may say it anew */
    assert_int_equal(backlog_database(), 6);
    assert_noted(INCR_1, "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" DEL_A DEL_A "#POS:" ID ":1015:6:0\r\n");
    assert_true(aof_close());
    backlog_set_copied(false);
    effects_release(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_are_written_and_read),
        cmocka_unit_test(what_is_no_position_is_no_damage),
        cmocka_unit_test_setup_teardown(a_position_counts_if_its_sum_follows, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(each_write_ends_with_its_position, setup, teardown),
        cmocka_unit_test_setup_teardown(a_step_of_the_stream_alone_is_noted_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_file_begins_with_the_whole_position, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_synced_is_known_by_its_place_in_the_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(without_sums_nothing_vouches_for_a_position, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_disk_keeps_positions_right, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replica_notes_where_its_primary_was, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
