/* The manifest: what it accepts and writes, and that replacing it can be interrupted anywhere. */
#include "folder.h"

/* ---- text ---- */

static void manifests_of_others_are_understood(void **state) {
    (void)state;
    static const struct {
        const char *text, *again;
    } cases[] = {
        { "file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\n", NULL },
        { "file a.aof.7.incr.aof seq 7 type i\n", NULL },
        { "file a.aof seq 1 type b\n", NULL },
        { "file a.aof.2.base.rdb seq 2 type b\nfile a.aof.1.base.rdb seq 1 type h\n"
          "file a.aof.1.incr.aof seq 1 type h\nfile a.aof.2.incr.aof seq 2 type i\n"
          "file a.aof.3.incr.aof seq 3 type i\n",
          NULL },
        { "# a comment\nfile a.aof.1.incr.aof seq 1 type i\n#\n", "file a.aof.1.incr.aof seq 1 type i\n" },
        { "type i file a.aof.1.incr.aof startoffset 10 seq 1 endoffset 20\n",
          "file a.aof.1.incr.aof seq 1 type i\n" },
        { "file x seq 4 type i\nfile y seq 1 type b\n", "file y seq 1 type b\nfile x seq 4 type i\n" },
        { "file \"my \\\"db\\\".aof \\x01\\\\\" seq 1 type b\r\n",
          "file \"my \\\"db\\\".aof \\x01\\\\\" seq 1 type b\n" },
        { "file 'my db' seq 1 type b\n", "file \"my db\" seq 1 type b\n" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct aof_manifest m;
        struct buf error = { 0 }, out = { 0 };
        assert_true(aof_manifest_parse(slice_of(cases[i].text), &m, &error));
        aof_manifest_format(&m, &out);
        buf_append_byte(&out, '\0');
        assert_string_equal(out.ptr, cases[i].again ? cases[i].again : cases[i].text);
        aof_manifest_release(&m);
        buf_release(&out);
    }
}

static void broken_manifests_are_refused_with_their_line(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t line;
    } cases[] = {
        { "", 0 },
        { "# only a comment\n", 1 },
        { "file a seq 1 type b", 1 },
        { "\n", 1 },
        { "file a seq 1 type b\n\n", 2 },
        { "file a seq 1 type x\n", 1 },
        { "file a seq 1 type bi\n", 1 },
        { "file a seq 1\n", 1 },
        { "file a seq 1 type\n", 1 },
        { "file a seq one type i\n", 1 },
        { "file a seq -1 type i\n", 1 },
        { "file ../a seq 1 type i\n", 1 },
        { "file .. seq 1 type i\n", 1 },
        { "file \"\" seq 1 type i\n", 1 },
        { "file \"a\\x00\" seq 1 type i\n", 1 },
        { "file \"a seq 1 type i\n", 1 },
        { "file a seq 1 type b\nfile b seq 2 type b\n", 2 },
        { "file a seq 1 type i\nfile a seq 2 type i\n", 2 },
        { "file a seq 2 type i\nfile b seq 2 type i\n", 2 },
        { "file a seq 2 type i\nfile b seq 1 type i\n", 2 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct aof_manifest m;
        struct buf error = { 0 };
        char expected[96];
        assert_false(aof_manifest_parse(slice_of(cases[i].text), &m, &error));
        snprintf(expected, sizeof expected,
                 "Invalid AOF manifest file format: line %zu of the manifest: ", cases[i].line);
        assert_true(slice_starts_with(buf_slice(&error), slice_of(expected)));
        assert_int_equal(m.count, 0);
        buf_release(&error);
    }
}

static void a_new_file_gets_a_name_that_no_other_has(void **state) {
    (void)state;
    static const struct {
        const char *text, *incr, *base;
    } cases[] = {
        { "file a.aof seq 1 type b\n", "a.aof.1.incr.aof", "a.aof.2.base.aof" },
        { "file a.aof.4.incr.aof seq 4 type i\n", "a.aof.5.incr.aof", "a.aof.1.base.aof" },
        { "file a.aof.4.incr.aof seq 4 type h\n", "a.aof.5.incr.aof", "a.aof.5.base.aof" },
        { "file a.aof.2.incr.aof seq 1 type b\n", "a.aof.1.incr.aof", "a.aof.2.base.aof" },
        { "file a.aof.2.incr.aof seq 1 type i\n", "a.aof.3.incr.aof", "a.aof.1.base.aof" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct aof_manifest m;
        struct buf error = { 0 };
        assert_true(aof_manifest_parse(slice_of(cases[i].text), &m, &error));
        assert_string_equal(aof_manifest_add_next(&m, AOF_FILE_BASE, "base.aof")->name, cases[i].base);
        assert_string_equal(aof_manifest_add_next(&m, AOF_FILE_INCR, "incr.aof")->name, cases[i].incr);
        aof_manifest_release(&m);
    }
}

/* ---- replacing it ---- */

static void make_list(struct aof_manifest *m, size_t files) {
    *m = (struct aof_manifest){ 0 };
    for (size_t i = 0; i < files; i++) (void)aof_manifest_add_next(m, AOF_FILE_INCR, "incr.aof");
}

static bool write_list(size_t files) {
    struct aof_manifest m;
    struct buf error = { 0 };
    make_list(&m, files);
    bool done = aof_manifest_write(&m, &error);
    assert_int_equal(done, error.len == 0);
    aof_manifest_release(&m);
    buf_release(&error);
    return done;
}

static size_t files_on_disk(void) {
    struct aof_manifest m;
    struct buf error = { 0 };
    assert_int_equal(aof_manifest_read(&m, &error), MANIFEST_READ);
    size_t files = m.count;
    aof_manifest_release(&m);
    return files;
}

static void write_three(void) { (void)write_list(3); }

static void make_folder(void) {
    struct buf error = { 0 };
    assert_true(aof_folder_make(&error));
    assert_true(aof_folder_make(&error)); /* it is there already */
}

static void a_killed_update_leaves_the_old_or_the_new_manifest(void **state) {
    (void)state;
    make_folder();
    faults_install();
    int n = 0;
    size_t found = 2;
    do {
        assert_true(write_list(2));
        if (!killed_at(n++, write_three)) break;
        size_t before = found;
        found = files_on_disk();
        assert_true(found == 2 || found == 3);
        assert_true(found >= before); /* once the rename is done, later steps find the new one */
    } while (n < 100);
    assert_int_equal(files_on_disk(), 3);
    assert_int_equal(found, 3);
    assert_int_equal(n, 7); /* open, write, fsync, rename, open the folder, fsync it, and then none */
}

static void each_failing_call_is_reported_and_leaves_a_whole_manifest(void **state) {
    (void)state;
    make_folder();
    faults_install();
    faults.fault = FAULT_ERROR;
    int n = 0;
    for (;; n++) {
        assert_true(write_list(2));
        atomic_store(&faults.countdown, n);
        bool done = write_list(3);
        bool failed = atomic_exchange(&faults.countdown, -1) < 0;
        size_t found = files_on_disk();
        assert_int_equal(done, !failed);
        if (done) break;
        assert_true(found == 2 || (found == 3 && n >= 4));
        assert_false(has_file("aofdir/temp-a.aof.manifest"));
    }
    assert_int_equal(n, 6);
    assert_int_equal(files_on_disk(), 3);
}

static void a_manifest_that_cannot_be_read_is_not_an_absent_one(void **state) {
    (void)state;
    struct aof_manifest m;
    struct buf error = { 0 };
    assert_int_equal(aof_manifest_read(&m, &error), MANIFEST_ABSENT);
    make_folder();
    assert_int_equal(aof_manifest_read(&m, &error), MANIFEST_ABSENT);
    assert_int_equal(error.len, 0);
    assert_int_equal(mkdir(path_of("aofdir/a.aof.manifest"), 0755), 0);
    assert_int_equal(aof_manifest_read(&m, &error), MANIFEST_BROKEN);
    assert_true(error.len > 0);
    buf_release(&error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(manifests_of_others_are_understood, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(broken_manifests_are_refused_with_their_line, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(a_new_file_gets_a_name_that_no_other_has, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_killed_update_leaves_the_old_or_the_new_manifest, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(each_failing_call_is_reported_and_leaves_a_whole_manifest,
                                        folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_manifest_that_cannot_be_read_is_not_an_absent_one, folder_make,
                                        folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
