/* Reading one file: every byte at which it may be cut, what damage is and where it is said to be. */
#include "folder.h"

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n12\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$0\r\n\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"
#define NOTE "#TS:1700000000\r\n"
#define LEN(s) (sizeof(s) - 1)

/* ---- one record ---- */

static void a_record_waits_for_its_last_byte(void **state) {
    (void)state;
    struct aof_record r = { 0 };
    struct slice whole = LIT(SET_A);
    for (size_t cut = 0; cut < whole.len; cut++) {
        assert_int_equal(aof_parse_record(&r, slice_make(whole.ptr, cut)), AOF_MORE);
        assert_true(r.need > cut && r.need <= whole.len);
    }
    assert_int_equal(aof_parse_record(&r, whole), AOF_RECORD);
    assert_int_equal(r.used, whole.len);
    assert_int_equal(r.argc, 3);
    assert_true(slice_equal(r.argv[2], LIT("12")));
    aof_record_release(&r);
}

static void a_bad_byte_is_named(void **state) {
    (void)state;
    static const struct {
        struct slice bytes;
        size_t bad;
    } cases[] = {
        { LIT_INIT("GET a\r\n"), 0 },
        { LIT_INIT("\0"), 0 },
        { LIT_INIT("*\r\n"), 1 },
        { LIT_INIT("*0\r\n"), 1 },
        { LIT_INIT("*-1\r\n"), 1 },
        { LIT_INIT("*01\r\n"), 1 },
        { LIT_INIT("*1x\r\n"), 2 },
        { LIT_INIT("*1\n$"), 2 },
        { LIT_INIT("*1\rx"), 3 },
        { LIT_INIT("*9999999999\r\n"), 1 },
        { LIT_INIT("*99999999999999999999999\r\n"), 19 },
        { LIT_INIT("*1\r\n+3\r\nGET\r\n"), 4 },
        { LIT_INIT("*1\r\n$-1\r\n"), 5 },
        { LIT_INIT("*1\r\n$2\r\nGET\r\n"), 10 },
        { LIT_INIT("*1\r\n$4\r\nGET\r\n*1"), 12 },
        { LIT_INIT("*2\r\n$3\r\nGET\r\n*1\r\n"), 13 },
        { LIT_INIT("#TS:\0\0\0"), 4 },
    };
    struct aof_record r = { 0 };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(aof_parse_record(&r, cases[i].bytes), AOF_BAD);
        assert_int_equal(r.bad, cases[i].bad);
        assert_non_null(r.why);
    }
    aof_record_release(&r);
}

/* ---- a file ---- */

static enum aof_read_end read_bytes(struct slice bytes, struct aof_read *out, struct ran *ran) {
    put_file("file", bytes);
    struct aof_load how = loader(ran);
    return aof_read_file(path_of("file"), &how, 0, bytes.len, out);
}

/* Reads and checks end, offsets and commands. */
static void check_read(struct slice bytes, enum aof_read_end end, uint64_t good, const char *commands) {
    struct ran ran = { 0 };
    struct aof_read out;
    assert_int_equal(read_bytes(bytes, &out, &ran), end);
    assert_int_equal(out.good, good);
    assert_int_equal(out.size, bytes.len);
    assert_ran(&ran, commands);
    buf_release(&out.reason);
}

static void whole_files_run_to_their_end(void **state) {
    (void)state;
    static const struct {
        struct slice bytes;
        const char *commands;
    } cases[] = {
        { LIT_INIT(""), "" },
        { LIT_INIT(SET_A SET_B), "SET a 12;SET b ;" },
        { LIT_INIT(NOTE SET_A NOTE "# any text\n" SET_B NOTE), "SET a 12;SET b ;" },
        { LIT_INIT(SET_A MULTI SET_B NOTE SET_A EXEC SET_B), "SET a 12;SET b ;SET a 12;SET b ;" },
        { LIT_INIT(MULTI EXEC), "" },
        { LIT_INIT("*1\r\n$5\r\nmulti\r\n" SET_A "*1\r\n$4\r\nexec\r\n"), "SET a 12;" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_read(cases[i].bytes, AOF_READ_WHOLE, cases[i].bytes.len, cases[i].commands);
}

/* Three pieces; the end of each is where a cut file is whole. */
#define PIECES SET_A NOTE MULTI SET_B NOTE SET_A EXEC SET_B
static const struct slice pieces = LIT_INIT(PIECES);
static const struct {
    size_t end;
    const char *commands;
} steps[] = {
    { 0, "" },
    { LEN(SET_A), "SET a 12;" },
    { LEN(SET_A NOTE), "SET a 12;" },
    { LEN(SET_A NOTE MULTI SET_B NOTE SET_A EXEC), "SET a 12;SET b ;SET a 12;" },
    { LEN(SET_A NOTE MULTI SET_B NOTE SET_A EXEC SET_B), "SET a 12;SET b ;SET a 12;SET b ;" },
};

static size_t step_at(size_t cut) {
    size_t step = 0;
    while (step + 1 < COUNT_OF(steps) && steps[step + 1].end <= cut) step++;
    return step;
}

static void a_file_cut_anywhere_ends_at_its_last_whole_piece(void **state) {
    (void)state;
    for (size_t cut = 0; cut <= pieces.len; cut++) {
        size_t step = step_at(cut);
        enum aof_read_end end = steps[step].end == cut ? AOF_READ_WHOLE : AOF_READ_TORN;
        check_read(slice_make(pieces.ptr, cut), end, steps[step].end, steps[step].commands);
    }
}

static void zeros_behind_any_cut_are_a_torn_tail(void **state) {
    (void)state;
    char bytes[LEN(PIECES) + 9000];
    for (size_t cut = 0; cut < pieces.len; cut++) {
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, pieces.ptr, cut);
        size_t step = step_at(cut);
        check_read(slice_make(bytes, sizeof bytes), AOF_READ_TORN, steps[step].end, steps[step].commands);
        /* Something behind the zeros: then it is not a tail. */
        bytes[sizeof bytes - 1] = 'x';
        check_read(slice_make(bytes, sizeof bytes), AOF_READ_BAD, steps[step].end, steps[step].commands);
    }
}

/* A flipped bit in a mark, a length or a line end is found in its record or right behind it, as long as
 * enough of the file follows. (A length may by chance reach to another line end, so the record before the
 * offset may be wrong too, and bytes of an argument change unseen: that is what the checksums of
 * test_aof_note are for.) */
static void a_flipped_bit_in_the_frame_is_refused(void **state) {
    (void)state;
    char bytes[LEN(SET_A SET_B) + 2000];
    for (size_t at = 0; at < LEN(SET_A); at++) {
        if ((at >= 8 && at < 11) || at == 17 || at == 24 || at == 25) continue; /* SET, a, 12 */
        for (int bit = 0; bit < 8; bit++) {
            memset(bytes, 'y', sizeof bytes);
            memcpy(bytes, SET_A SET_B, LEN(SET_A SET_B));
            bytes[at] = (char)(bytes[at] ^ (1 << bit));
            struct ran ran = { 0 };
            struct aof_read out;
            assert_int_equal(read_bytes(slice_make(bytes, sizeof bytes), &out, &ran), AOF_READ_BAD);
            assert_true(out.offset >= at && out.offset < LEN(SET_A SET_B) + 12);
            assert_true(out.reason.len > 0);
            buf_release(&ran.text);
            buf_release(&out.reason);
        }
    }
}

static void misplaced_transaction_words_are_damage(void **state) {
    (void)state;
    static const struct {
        struct slice bytes;
        size_t offset;
    } cases[] = {
        { LIT_INIT(SET_A EXEC), LEN(SET_A) },
        { LIT_INIT(SET_A MULTI SET_B MULTI SET_B EXEC), LEN(SET_A MULTI SET_B) },
        { LIT_INIT(SET_A MULTI SET_B "oops" EXEC), LEN(SET_A MULTI SET_B) },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ran ran = { 0 };
        struct aof_read out;
        assert_int_equal(read_bytes(cases[i].bytes, &out, &ran), AOF_READ_BAD);
        assert_int_equal(out.offset, cases[i].offset);
        assert_int_equal(out.good, LEN(SET_A));
        assert_ran(&ran, "SET a 12;");
        buf_release(&out.reason);
    }
}

static void a_refused_command_is_named_with_its_offset(void **state) {
    (void)state;
    static const struct slice cases[] = {
        LIT_INIT(SET_A NOTE "*2\r\n$5\r\nMO\nVE\r\n$1\r\na\r\n"),
        LIT_INIT(SET_A MULTI "*2\r\n$5\r\nMO\nVE\r\n$1\r\na\r\n" EXEC),
    };
    static const size_t offsets[] = { LEN(SET_A NOTE), LEN(SET_A MULTI) };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ran ran = { .refuse = "MO\nVE" };
        struct aof_read out;
        assert_int_equal(read_bytes(cases[i], &out, &ran), AOF_READ_REFUSED);
        assert_int_equal(out.offset, offsets[i]);
        assert_true(slice_equal(buf_slice(&out.reason), LIT("command 'MO?VE a' failed: no such thing")));
        assert_ran(&ran, "SET a 12;");
        buf_release(&out.reason);
    }
}

static void rdb_files_and_missing_files_are_told_apart(void **state) {
    (void)state;
    check_read(LIT("REDIS0011xyz"), AOF_READ_RDB, 0, "");
    check_read(LIT("VALKEY080xyz"), AOF_READ_RDB, 0, "");
    struct ran ran = { 0 };
    struct aof_load how = loader(&ran);
    struct aof_read out;
    assert_int_equal(aof_read_file(path_of("nothing"), &how, 0, 0, &out), AOF_READ_FAILED);
    assert_true(slice_equal(buf_slice(&out.reason), LIT("cannot open: No such file or directory")));
    buf_release(&out.reason);
}

/* ---- an RDB part ---- */

#define RDB_PART "REDIS0011xyz"

/* As the loader of such files does, it writes down that it was there. */
static bool take_rdb(void *arg, const char *path, uint64_t *end, struct buf *error) {
    struct ran *ran = arg;
    assert_string_equal(path, path_of("file"));
    buf_append(&ran->text, LIT("rdb;"));
    if (ran->refuse) buf_append(error, LIT("wrong checksum"));
    *end = LEN(RDB_PART);
    return !ran->refuse;
}

static enum aof_read_end read_with_rdb(struct slice bytes, struct aof_read *out, struct ran *ran) {
    put_file("file", bytes);
    struct aof_load how = { .run = note_command, .progress = note_progress, .rdb = take_rdb, .arg = ran };
    return aof_read_file(path_of("file"), &how, 0, bytes.len, out);
}

static void commands_follow_the_rdb_part(void **state) {
    (void)state;
    static const struct {
        struct slice bytes;
        enum aof_read_end end;
        uint64_t good;
        const char *commands;
    } cases[] = {
        { LIT_INIT(RDB_PART), AOF_READ_WHOLE, LEN(RDB_PART), "rdb;" },
        { LIT_INIT(RDB_PART SET_A MULTI SET_B EXEC), AOF_READ_WHOLE, LEN(RDB_PART SET_A MULTI SET_B EXEC),
          "rdb;SET a 12;SET b ;" },
        { LIT_INIT(RDB_PART SET_A "*3"), AOF_READ_TORN, LEN(RDB_PART SET_A), "rdb;SET a 12;" },
        { LIT_INIT(RDB_PART SET_A "x"), AOF_READ_BAD, LEN(RDB_PART SET_A), "rdb;SET a 12;" },
        { LIT_INIT(RDB_PART "#SUM:1:0123456789abcdef\r\n"), AOF_READ_BAD, LEN(RDB_PART), "rdb;" },
        { LIT_INIT(SET_A RDB_PART), AOF_READ_BAD, LEN(SET_A), "SET a 12;" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ran ran = { 0 };
        struct aof_read out;
        assert_int_equal(read_with_rdb(cases[i].bytes, &out, &ran), cases[i].end);
        assert_int_equal(out.good, cases[i].good);
        assert_ran(&ran, cases[i].commands);
        buf_release(&out.reason);
    }
}

static void an_rdb_part_that_does_not_load_refuses_the_file(void **state) {
    (void)state;
    struct ran ran = { .refuse = "all" };
    struct aof_read out;
    assert_int_equal(read_with_rdb(LIT(RDB_PART SET_A), &out, &ran), AOF_READ_REFUSED);
    assert_int_equal(out.offset, 0);
    assert_true(slice_equal(buf_slice(&out.reason), LIT("its RDB part was not loaded: wrong checksum")));
    assert_ran(&ran, "rdb;");
    buf_release(&out.reason);
}

/* ---- records beyond the window ---- */

struct sums {
    uint64_t commands, arguments, bytes;
    struct ran progress;
};

static bool sum_command(void *arg, const struct slice *argv, size_t argc, struct buf *error) {
    (void)error;
    struct sums *sums = arg;
    sums->commands++;
    sums->arguments += argc;
    for (size_t i = 0; i < argc; i++)
        for (size_t k = 0; k < argv[i].len; k++) sums->bytes += (unsigned char)argv[i].ptr[k];
    return true;
}

static void sum_progress(void *arg, uint64_t loaded, uint64_t total) {
    note_progress(&((struct sums *)arg)->progress, loaded, total);
}

static void put_command(struct buf *out, struct sums *sums, size_t argc, size_t len, char fill) {
    buf_printf(out, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        buf_printf(out, "$%zu\r\n", len);
        memset(buf_reserve(out, len), fill, len);
        out->len += len;
        buf_append(out, LIT("\r\n"));
    }
    sums->commands++;
    sums->arguments += argc;
    sums->bytes += argc * len * (unsigned char)fill;
}

static void records_may_be_bigger_than_the_window(void **state) {
    (void)state;
    struct buf wire = { 0 };
    struct sums expected = { 0 }, found = { 0 };
    for (size_t i = 0; i < 3000; i++) put_command(&wire, &expected, 3, i, 'x');
    put_command(&wire, &expected, 1, 5000000, 'y');
    buf_append(&wire, LIT(MULTI));
    for (size_t i = 0; i < 3000; i++) put_command(&wire, &expected, 2, 700, 'z');
    buf_append(&wire, LIT(EXEC));
    put_command(&wire, &expected, 300000, 5, 'w');
    for (size_t i = 0; i < 3000; i++) put_command(&wire, &expected, 1, 1, 'v');
    put_file("file", buf_slice(&wire));
    struct aof_load how = { .run = sum_command, .progress = sum_progress, .arg = &found };
    struct aof_read out;
    assert_int_equal(aof_read_file(path_of("file"), &how, 100, 100 + wire.len, &out), AOF_READ_WHOLE);
    assert_int_equal(out.good, wire.len);
    assert_int_equal(out.commands, expected.commands);
    assert_int_equal(found.commands, expected.commands);
    assert_int_equal(found.arguments, expected.arguments);
    assert_int_equal(found.bytes, expected.bytes);
    assert_int_equal(found.progress.last_progress, 100 + wire.len);
    buf_release(&wire);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_waits_for_its_last_byte),
        cmocka_unit_test(a_bad_byte_is_named),
        cmocka_unit_test(whole_files_run_to_their_end),
        cmocka_unit_test(a_file_cut_anywhere_ends_at_its_last_whole_piece),
        cmocka_unit_test(zeros_behind_any_cut_are_a_torn_tail),
        cmocka_unit_test(a_flipped_bit_in_the_frame_is_refused),
        cmocka_unit_test(misplaced_transaction_words_are_damage),
        cmocka_unit_test(a_refused_command_is_named_with_its_offset),
        cmocka_unit_test(rdb_files_and_missing_files_are_told_apart),
        cmocka_unit_test(commands_follow_the_rdb_part),
        cmocka_unit_test(an_rdb_part_that_does_not_load_refuses_the_file),
        cmocka_unit_test(records_may_be_bigger_than_the_window),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
