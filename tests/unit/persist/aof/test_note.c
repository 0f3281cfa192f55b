/* Annotation lines: their form, and what the checksums are for: nothing that was changed is ever run. */
#include "folder.h"
#include "persist/aof/note.h"

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n12\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$0\r\n\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"
#define LEN(s) (sizeof(s) - 1)

/* ---- the lines ---- */

static void a_sum_speaks_of_the_whole_batch(void **state) {
    (void)state;
    struct buf batch = { 0 };
    buf_append(&batch, LIT("abc"));
    aof_note_add_sum(&batch);
    /* XXH3_64bits("abc"), from the library's own command line tool. */
    assert_true(slice_equal(buf_slice(&batch), LIT("abc#SUM:3:78af5f94892f3950\r\n")));
    struct aof_note note = aof_note_read(slice_make(batch.ptr + 3, batch.len - 3));
    assert_int_equal(note.kind, NOTE_SUM);
    assert_int_equal(note.bytes, 3);
    assert_true(note.sum == 0x78af5f94892f3950 && note.sum == aof_sum(LIT("abc")));
    buf_release(&batch);
}

static void a_time_goes_in_front(void **state) {
    (void)state;
    struct buf batch = { 0 };
    buf_append(&batch, LIT(SET_A));
    aof_note_add_time(&batch, 1700000000);
    assert_true(slice_equal(buf_slice(&batch), LIT("#TS:1700000000\r\n" SET_A)));
    struct aof_note note = aof_note_read(LIT("#TS:1700000000\r\n"));
    assert_int_equal(note.kind, NOTE_TIME);
    assert_int_equal(note.seconds, 1700000000);
    buf_release(&batch);
}

static void a_time_is_noted_once_a_second_if_that_is_wanted(void **state) {
    (void)state;
    struct buf batch = { 0 };
    buf_append(&batch, LIT(SET_A));
    aof_note_stamp(&batch, false);
    assert_true(slice_equal(buf_slice(&batch), LIT(SET_A)));
    aof_set_timestamps(true);
    aof_note_stamp(&batch, false);
    assert_true(slice_starts_with(buf_slice(&batch), LIT("#TS:")));
    size_t stamps = 0, before = 0;
    for (int i = 0; i < 1000; i++) {
        before = batch.len;
        aof_note_stamp(&batch, false);
        stamps += batch.len > before;
    }
    assert_true(stamps < 1000);
    before = batch.len;
    aof_note_stamp(&batch, true);
    assert_true(batch.len > before);
    aof_set_timestamps(false);
    buf_release(&batch);
}

static void lines_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        struct slice line;
        enum aof_note_kind kind;
    } cases[] = {
        { LIT_INIT("#\n"), NOTE_OTHER },
        { LIT_INIT("#SUM\r\n"), NOTE_OTHER },
        { LIT_INIT("# SUM:3:78af5f94892f3950\r\n"), NOTE_OTHER },
        { LIT_INIT("#SUM:3:78af5f94892f3950\r\n"), NOTE_SUM },
        { LIT_INIT("#SUM:3:78af5f94892f3950\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:3:78af5f94892f395\r\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:3:78AF5F94892F3950\r\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:3:78af5f94892f39501\r\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:0:78af5f94892f3950\r\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:03:78af5f94892f3950\r\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:-3:78af5f94892f3950\r\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:78af5f94892f3950\r\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:99999999999999999999:78af5f94892f3950\r\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:\r\n"), NOTE_BROKEN },
        { LIT_INIT("#SUM:\n"), NOTE_BROKEN },
        { LIT_INIT("#TS:17\n"), NOTE_BROKEN },
        { LIT_INIT("#TS:\r\n"), NOTE_BROKEN },
        { LIT_INIT("#TS:17x\r\n"), NOTE_BROKEN },
        { LIT_INIT("#TS:17\r\n"), NOTE_TIME },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(aof_note_read(cases[i].line).kind, cases[i].kind);
}

/* ---- a file with sums ---- */

/* A file of many batches, as the writer makes them. */
struct annotated {
    struct buf bytes;
    struct {
        size_t begin, note, end; /* the batch, its note, behind that */
        size_t ran;              /* bytes of what its end has run, as note_command writes them down */
    } batches[64];
    size_t count;
    struct buf ran;
};

static void add_batch(struct annotated *a, struct slice commands, struct slice ran) {
    struct buf batch = { 0 };
    buf_append(&batch, commands);
    a->batches[a->count].begin = a->bytes.len;
    a->batches[a->count].note = a->bytes.len + batch.len;
    aof_note_add_sum(&batch);
    buf_append(&a->bytes, buf_slice(&batch));
    buf_append(&a->ran, ran);
    a->batches[a->count].end = a->bytes.len;
    a->batches[a->count++].ran = a->ran.len;
    buf_release(&batch);
}

/* SET <key> <len times 'v'>, `times`. */
static void add_values(struct annotated *a, char key, size_t len, int times) {
    struct buf commands = { 0 }, ran = { 0 };
    for (int i = 0; i < times; i++) {
        buf_printf(&commands, "*3\r\n$3\r\nSET\r\n$1\r\n%c\r\n$%zu\r\n%0*d\r\n", key, len, (int)len, i);
        buf_printf(&ran, "SET %c %0*d;", key, (int)len, i);
    }
    add_batch(a, buf_slice(&commands), buf_slice(&ran));
    buf_release(&commands);
    buf_release(&ran);
}

static struct annotated make_annotated(void) {
    struct annotated a = { 0 };
    add_batch(&a, LIT(SET_A), LIT("SET a 12;"));
    add_batch(&a, LIT(SET_A MULTI SET_B SET_A EXEC SET_B), LIT("SET a 12;SET b ;SET a 12;SET b ;"));
    add_batch(&a, LIT("#TS:1700000000\r\n" SET_B), LIT("SET b ;"));
    for (size_t len = 1; len < 13; len++) add_values(&a, 'c', len, 1);
    add_values(&a, 'd', 100, 5);
    /* A value that looks like records and notes. */
    add_batch(&a, LIT("*2\r\n$3\r\nGET\r\n$54\r\n" SET_A "#SUM:28:0123456789abcdef\r\n\r\n"),
              LIT("GET " SET_A "#SUM:28:0123456789abcdef\r\n;"));
    for (int times = 1; times < 8; times++) add_values(&a, 'e', 9, times);
    add_values(&a, 'f', 40, 1);
    add_batch(&a, LIT(MULTI SET_A EXEC), LIT("SET a 12;"));
    add_values(&a, 'g', 1, 2);
    return a;
}

static void annotated_release(struct annotated *a) {
    buf_release(&a->bytes);
    buf_release(&a->ran);
}

static enum aof_read_end read_file(struct aof_read *out, struct ran *ran) {
    struct aof_load how = { .run = note_command, .arg = ran };
    return aof_read_file(path_of("file"), &how, 0, 0, out);
}

/* What was run is what the first `len` bytes of `a->ran` say. */
static void check_ran(const struct annotated *a, struct ran *ran, size_t len) {
    assert_int_equal(ran->text.len, len);
    if (len > 0) assert_memory_equal(ran->text.ptr, a->ran.ptr, len);
    buf_release(&ran->text);
}

static void files_with_sums_load(void **state) {
    (void)state;
    struct annotated a = make_annotated();
    struct ran ran = { 0 };
    struct aof_read out;
    put_file("file", buf_slice(&a.bytes));
    assert_int_equal(read_file(&out, &ran), AOF_READ_WHOLE);
    assert_int_equal(out.good, a.bytes.len);
    check_ran(&a, &ran, a.ran.len);
    annotated_release(&a);
}

/* The file with one bit changed: nothing of its batch may have run, and what ran before is what was written;
 * or, if the bit stands in a note, all may have run as it was written. */
static void check_flip(const struct annotated *a, size_t batch, size_t at) {
    struct ran ran = { 0 };
    struct aof_read out;
    enum aof_read_end end = read_file(&out, &ran);
    size_t before = batch > 0 ? a->batches[batch - 1].ran : 0;
    if (at < a->batches[batch].note) {
        assert_int_equal(end, AOF_READ_BAD);
        assert_true(out.offset >= a->batches[batch].begin);
        assert_int_equal(out.good, a->batches[batch].begin);
        check_ran(a, &ran, before);
    } else if (end == AOF_READ_BAD) {
        assert_true(ran.text.len <= a->ran.len && ran.text.len >= before);
        check_ran(a, &ran, ran.text.len);
    } else {
        check_ran(a, &ran, a->ran.len);
    }
    assert_int_equal(end == AOF_READ_BAD, out.reason.len > 0);
    buf_release(&out.reason);
}

static void flip(int fd, const struct annotated *a, size_t at, int bit) {
    char byte = (char)(a->bytes.ptr[at] ^ (bit < 8 ? 1 << bit : 0));
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

static void each_flipped_bit_is_named_or_harmless(void **state) {
    (void)state;
    struct annotated a = make_annotated();
    put_file("file", buf_slice(&a.bytes));
    int fd = open(path_of("file"), O_WRONLY);
    for (size_t at = 0, batch = 0; at < a.bytes.len; at++) {
        if (at == a.batches[batch].end) batch++;
        for (int bit = 0; bit < 8; bit++) {
            flip(fd, &a, at, bit);
            check_flip(&a, batch, at);
        }
        flip(fd, &a, at, 8);
    }
    assert_true(a.bytes.len > 3000);
    close(fd);
    annotated_release(&a);
}

/* Offsets between two records or transactions, and what was run up to there. */
static void expected_at(const struct annotated *a, size_t cut, uint64_t *good, size_t *ran) {
    struct ran commands = { 0 };
    struct aof_read out;
    put_file("file", slice_make(a->bytes.ptr, cut));
    enum aof_read_end end = read_file(&out, &commands);
    assert_true(end == AOF_READ_WHOLE || end == AOF_READ_TORN);
    assert_int_equal(end == AOF_READ_WHOLE, out.good == cut);
    *good = out.good;
    *ran = commands.text.len;
    check_ran(a, &commands, commands.text.len);
}

/* Counts on the test of each cut in test_aof_read for what a whole record is. */
static void a_file_cut_anywhere_loads_up_to_its_last_whole_record(void **state) {
    (void)state;
    struct annotated a = make_annotated();
    uint64_t good = 0;
    size_t ran = 0, batch = 0;
    for (size_t cut = 0; cut <= a.bytes.len; cut++) {
        uint64_t now_good;
        size_t now_ran;
        expected_at(&a, cut, &now_good, &now_ran);
        assert_true(now_good >= good && now_ran >= ran);
        good = now_good;
        ran = now_ran;
        if (cut == a.batches[batch].note) {
            assert_int_equal(good, cut); /* its commands are whole, whether they have a note or not */
            assert_int_equal(ran, a.batches[batch].ran);
        }
        if (cut == a.batches[batch].end) {
            assert_int_equal(good, cut);
            batch++;
        }
    }
    annotated_release(&a);
}

static void what_is_appended_behind_a_cut_has_sums_that_fit(void **state) {
    (void)state;
    struct annotated a = make_annotated();
    for (size_t cut = 0; cut <= a.bytes.len; cut += 7) {
        uint64_t good;
        size_t ran_before;
        expected_at(&a, cut, &good, &ran_before);
        struct buf file = { 0 }, batch = { 0 };
        buf_append(&file, slice_make(a.bytes.ptr, (size_t)good));
        buf_append(&batch, LIT(SET_B MULTI SET_B SET_B EXEC));
        aof_note_add_sum(&batch);
        buf_append(&file, buf_slice(&batch));
        put_file("file", buf_slice(&file));
        struct ran ran = { 0 };
        struct aof_read out;
        assert_int_equal(read_file(&out, &ran), AOF_READ_WHOLE);
        assert_int_equal(ran.text.len, ran_before + LEN("SET b ;SET b ;SET b ;"));
        buf_release(&ran.text);
        buf_release(&file);
        buf_release(&batch);
    }
    annotated_release(&a);
}

/* ---- damage that hides notes ---- */

static void check_bad(struct slice bytes, uint64_t good, uint64_t offset, const char *commands) {
    struct ran ran = { 0 };
    struct aof_read out;
    put_file("file", bytes);
    assert_int_equal(read_file(&out, &ran), AOF_READ_BAD);
    assert_int_equal(out.good, good);
    assert_int_equal(out.offset, offset);
    assert_ran(&ran, commands);
    buf_release(&out.reason);
}

#define FIFTY "01234567890123456789012345678901234567890123456789"

/* Four batches; the value in the first gets another length, so that it ends where the second batch's note
 * does, or the third's, or beyond the file. */
static void a_length_that_swallows_notes_is_found_out(void **state) {
    (void)state;
    struct annotated a = { 0 };
    add_batch(&a, LIT("*2\r\n$3\r\nGET\r\n$100\r\n" FIFTY FIFTY "\r\n"), LIT(""));
    add_batch(&a, LIT(SET_A), LIT(""));
    add_batch(&a, LIT(SET_A), LIT(""));
    add_batch(&a, LIT(SET_B), LIT(""));
    char *head = a.bytes.ptr + LEN("*2\r\n$3\r\nGET\r\n");
    for (size_t i = 1; i < a.count; i++) {
        char text[16];
        snprintf(text, sizeof text, "$%zu\r\n", a.batches[i].end - LEN("*2\r\n$3\r\nGET\r\n$100\r\n\r\n"));
        assert_int_equal(strlen(text), 6);
        memcpy(head, text, 6);
        struct ran ran = { 0 };
        struct aof_read out;
        put_file("file", buf_slice(&a.bytes));
        enum aof_read_end end = read_file(&out, &ran);
        /* If it swallows all notes of the file, nothing is left to tell. */
        assert_int_equal(end, i + 1 < a.count ? AOF_READ_BAD : AOF_READ_WHOLE);
        if (end == AOF_READ_BAD) assert_int_equal(ran.text.len, 0);
        buf_release(&ran.text);
        buf_release(&out.reason);
    }
    memcpy(head, "$900\r\n", 6);
    check_bad(buf_slice(&a.bytes), 0, 0, "");
    /* And if the last batch of all is the damaged one, the file ends with its note. */
    memcpy(head, "$900\r\n", 6);
    check_bad(slice_make(a.bytes.ptr, a.batches[0].end), 0, 0, "");
    annotated_release(&a);
}

static void notes_that_do_not_fit_are_named(void **state) {
    (void)state;
    check_bad(LIT(SET_A "#SUM:27:0123456789abcdef\r\n"), 0, LEN(SET_A), "");
    check_bad(LIT(SET_A "#SUM:29:0123456789abcdef\r\n"), 0, LEN(SET_A), "");
    check_bad(LIT(SET_A "#SUM:28:0123456789abcdef\r\n"), 0, 0, "");
    check_bad(LIT(SET_A SET_A "#SUM:28:0123456789abcdef\r\n"), LEN(SET_A), LEN(SET_A), "SET a 12;");
    check_bad(LIT(SET_A "#SUM:28:0123456789abcde\r\n"), LEN(SET_A), LEN(SET_A), "SET a 12;");
    check_bad(LIT("#SUM:1:0123456789abcdef\r\n"), 0, 0, "");
}

static void a_wrong_sum_says_what_was_expected_where(void **state) {
    (void)state;
    struct buf expected = { 0 };
    struct ran ran = { 0 };
    struct aof_read out;
    put_file("file", LIT("*1\r\n$3\r\nabc\r\n" SET_A "#SUM:28:0123456789abcdef\r\n"));
    assert_int_equal(read_file(&out, &ran), AOF_READ_BAD);
    buf_printf(&expected,
               "the bytes from offset 13 to 41 have the checksum %016llx, but the note behind them says "
               "0123456789abcdef",
               (unsigned long long)aof_sum(LIT(SET_A)));
    assert_true(slice_equal(buf_slice(&out.reason), buf_slice(&expected)));
    assert_ran(&ran, "abc;");
    buf_release(&out.reason);
    buf_release(&expected);
}

#define BIG_RECORDS 2000

/* A batch far bigger than the window, and a file without notes before it. */
static void a_wrong_byte_in_a_big_batch_keeps_all_of_it_from_running(void **state) {
    (void)state;
    struct buf file = { 0 }, batch = { 0 };
    while (file.len < 3000000) buf_append(&file, LIT(SET_B));
    size_t before = file.len;
    for (int i = 0; i < BIG_RECORDS; i++) buf_printf(&batch, "*2\r\n$3\r\nGET\r\n$4000\r\n%04000d\r\n", i);
    aof_note_add_sum(&batch);
    buf_append(&file, buf_slice(&batch));
    for (int damaged = 0; damaged < 2; damaged++) {
        if (damaged) file.ptr[file.len - 100] ^= 1;
        put_file("file", buf_slice(&file));
        struct ran ran = { 0 };
        struct aof_read out;
        assert_int_equal(read_file(&out, &ran), damaged ? AOF_READ_BAD : AOF_READ_WHOLE);
        assert_int_equal(out.good, damaged ? before : file.len);
        assert_int_equal(out.commands, before / LEN(SET_B) + (damaged ? 0 : BIG_RECORDS));
        buf_release(&ran.text);
        buf_release(&out.reason);
    }
    buf_release(&file);
    buf_release(&batch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sum_speaks_of_the_whole_batch),
        cmocka_unit_test(a_time_goes_in_front),
        cmocka_unit_test(a_time_is_noted_once_a_second_if_that_is_wanted),
        cmocka_unit_test(lines_are_read_strictly),
        cmocka_unit_test(files_with_sums_load),
        cmocka_unit_test(each_flipped_bit_is_named_or_harmless),
        cmocka_unit_test(a_file_cut_anywhere_loads_up_to_its_last_whole_record),
        cmocka_unit_test(what_is_appended_behind_a_cut_has_sums_that_fit),
        cmocka_unit_test(a_length_that_swallows_notes_is_found_out),
        cmocka_unit_test(notes_that_do_not_fit_are_named),
        cmocka_unit_test(a_wrong_sum_says_what_was_expected_where),
        cmocka_unit_test(a_wrong_byte_in_a_big_batch_keeps_all_of_it_from_running),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
