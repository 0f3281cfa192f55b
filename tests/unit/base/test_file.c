/* Files that are replaced in one step, whatever call fails. */
#include "trivet/base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/trivet-file-XXXXXX";
static char path[64], temporary[64];

static int setup(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(temporary, sizeof temporary, "%s/temp", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* ---- calls that fail ---- */

static int countdown = -1; /* the call that counts it to 0 fails */

static bool fails(void) {
    errno = EIO;
    return countdown >= 0 && countdown-- == 0;
}

static int faulty_open(const char *p, int flags, mode_t mode) {
    return fails() ? -1 : open(p, flags | O_CLOEXEC, mode);
}
static ssize_t faulty_write(int fd, const void *bytes, size_t len) {
    /* A signal in between, and never all at once. */
    static int times;
    if (fails()) return -1;
    errno = EINTR;
    return ++times % 2 ? -1 : write(fd, bytes, len > 2 ? 2 : len);
}
static int faulty_fsync(int fd) { return fails() ? -1 : fsync(fd); }
static int faulty_rename(const char *from, const char *to) { return fails() ? -1 : rename(from, to); }

/* ---- tests ---- */

static void assert_content(const char *expected) {
    struct buf out = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && file_read_all(fd, SIZE_MAX, &out));
    assert_string_equal(buf_cstr(&out), expected);
    close(fd);
    buf_release(&out);
}

static void a_file_is_replaced_whole_or_not_at_all(void **state) {
    (void)state;
    struct file_io real = file_io;
    struct buf error = { 0 };
    assert_true(file_replace(path, temporary, LIT("old"), 0640, &error));
    file_io.open = faulty_open;
    file_io.write = faulty_write;
    file_io.fsync = faulty_fsync;
    file_io.rename = faulty_rename;
    int failures = 0;
    for (;; failures++) {
        countdown = failures;
        if (file_replace(path, temporary, LIT("new bytes"), 0640, &error)) break;
        assert_int_equal(errno, EIO);
        assert_non_null(strstr(buf_cstr(&error), "Input/output error"));
        assert_int_equal(access(temporary, F_OK), -1);
        buf_clear(&error);
        /* Once it has its name, only the folder may still fail. */
        struct stat facts;
        assert_int_equal(stat(path, &facts), 0);
        assert_content(facts.st_size == 3 ? "old" : "new bytes");
        assert_int_equal(facts.st_mode & 0777, 0640);
    }
    assert_true(failures > 8);
    assert_content("new bytes");
    file_io = real;
    countdown = -1;
    buf_release(&error);
}

static void reading_stops_at_its_limit(void **state) {
    (void)state;
    struct buf out = { 0 };
    assert_true(file_replace(path, temporary, LIT("12345"), 0600, NULL));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_false(file_read_all(fd, 4, &out));
    assert_int_equal(errno, EFBIG);
    buf_clear(&out);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_true(file_read_all(fd, 5, &out));
    assert_int_equal(out.len, 5);
    close(fd);
    buf_release(&out);
}

static void only_regular_files_have_a_size(void **state) {
    (void)state;
    uint64_t size = 7;
    assert_true(file_replace(path, temporary, LIT("12345"), 0600, NULL));
    assert_true(file_size(path, &size));
    assert_int_equal(size, 5);
    assert_false(file_size(folder, &size));
    assert_false(file_size(temporary, &size));
}

static void a_failure_names_what_and_where(void **state) {
    (void)state;
    struct buf error = { 0 };
    assert_false(file_rename("/nonexistent/a", "/nonexistent/b", &error));
    assert_string_equal(buf_cstr(&error), "cannot rename to /nonexistent/b: No such file or directory");
    buf_clear(&error);
    assert_false(file_sync_folder("/nonexistent", &error));
    assert_string_equal(buf_cstr(&error), "cannot open folder /nonexistent: No such file or directory");
    assert_string_equal(file_errno_text(-1), "unknown error");
    buf_release(&error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_whole_or_not_at_all),
        cmocka_unit_test(reading_stops_at_its_limit),
        cmocka_unit_test(only_regular_files_have_a_size),
        cmocka_unit_test(a_failure_names_what_and_where),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
