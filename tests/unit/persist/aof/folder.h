/* folder.h: for the tests of this layer: a folder of their own, whole files in and out of memory, a record
 * of the commands that a load ran, and system calls that fail, or end the process, at the n-th call. */
#ifndef TRIVET_TESTS_PERSIST_FOLDER_H
#define TRIVET_TESTS_PERSIST_FOLDER_H

#include "persist/aof/aof_private.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a folder ---- */

static char folder[64];

static inline int remove_one(const char *path, const struct stat *facts, int flag, struct FTW *ftw) {
    (void)facts, (void)flag, (void)ftw;
    return remove(path);
}

static inline int folder_remove(void **state) {
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void configure(enum fsync_policy fsync_policy, bool load_truncated, uint64_t corrupt_tail_max) {
    struct aof_settings s = { .dir = folder,
                              .dirname = "aofdir",
                              .filename = "a.aof",
                              .fsync = fsync_policy,
                              .load_truncated = load_truncated,
                              .corrupt_tail_max = corrupt_tail_max,
                              .checksums = true };
    aof_configure(&s);
}

static inline int folder_make(void **state) {
    (void)state;
    log_set_level(LOG_LEVEL_NOTHING);
    strcpy(folder, "/tmp/trivet-persist-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    configure(FSYNC_EVERYSEC, true, 0);
    return 0;
}

static inline const char *path_of(const char *name) {
    static _Thread_local char path[256]; /* until the next call */
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void put_file(const char *name, struct slice bytes) {
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_true(file_write_all(fd, bytes));
    close(fd);
}

/* The caller releases it. */
static inline struct buf get_file(const char *name) {
    struct buf out = { 0 };
    int fd = open(path_of(name), O_RDONLY);
    assert_true(fd >= 0);
    ssize_t got;
    while ((got = read(fd, buf_reserve(&out, 65536), 65536)) > 0) out.len += (size_t)got;
    assert_int_equal(got, 0);
    close(fd);
    return out;
}

static inline void assert_file(const char *name, struct slice expected) {
    struct buf found = get_file(name);
    assert_int_equal(found.len, expected.len);
    if (found.len > 0) assert_memory_equal(found.ptr, expected.ptr, found.len);
    buf_release(&found);
}

/* Without the checksum lines that aof.c adds to each append. No test writes a value that looks like one. */
static inline void assert_commands_in_file(const char *name, struct slice expected) {
    struct buf found = get_file(name), commands = { 0 };
    for (size_t at = 0; at < found.len;) {
        const char *line = found.ptr + at, *end = memchr(line, '\n', found.len - at);
        size_t len = end ? (size_t)(end + 1 - line) : found.len - at;
        if (line[0] != '#') buf_append(&commands, slice_make(line, len));
        at += len;
    }
    assert_int_equal(commands.len, expected.len);
    if (commands.len > 0) assert_memory_equal(commands.ptr, expected.ptr, commands.len);
    buf_release(&found);
    buf_release(&commands);
}

static inline bool has_file(const char *name) { return access(path_of(name), F_OK) == 0; }

/* ---- what a load ran: each command as its words and a ';' ---- */

struct ran {
    struct buf text;
    uint64_t last_progress, total;
    const char *refuse; /* the command that is refused */
};

static inline bool note_command(void *arg, const struct slice *argv, size_t argc, struct buf *error) {
    struct ran *ran = arg;
    if (ran->refuse && slice_equal(argv[0], slice_of(ran->refuse))) {
        buf_append(error, LIT("no such thing"));
        return false;
    }
    for (size_t i = 0; i < argc; i++) {
        if (i > 0) buf_append_byte(&ran->text, ' ');
        buf_append(&ran->text, argv[i]);
    }
    buf_append_byte(&ran->text, ';');
    return true;
}

static inline void note_progress(void *arg, uint64_t loaded, uint64_t total) {
    struct ran *ran = arg;
    assert_true(loaded >= ran->last_progress && loaded <= total);
    ran->last_progress = loaded;
    ran->total = total;
}

static inline struct aof_load loader(struct ran *ran) {
    return (struct aof_load){ .run = note_command, .progress = note_progress, .arg = ran };
}

static inline void assert_ran(struct ran *ran, const char *expected) {
    buf_append_byte(&ran->text, '\0');
    assert_string_equal(ran->text.ptr, expected);
    buf_release(&ran->text);
}

/* Loads the configured folder and checks the outcome and, if there is an expectation, the commands. */
static inline void assert_load(enum aof_loaded outcome, const char *expected) {
    struct ran ran = { 0 };
    struct aof_load how = loader(&ran);
    assert_int_equal(aof_load(&how), outcome);
    if (expected)
        assert_ran(&ran, expected);
    else
        buf_release(&ran.text);
}

/* ---- system calls that go wrong ---- */

enum fault { FAULT_ERROR, FAULT_EXIT };
#define EXIT_AT_FAULT 42

static struct {
    atomic_int countdown; /* the call that counts it down to 0 goes wrong; negative: none does */
    atomic_int calls;     /* all so far */
    enum fault fault;
    atomic_int broken; /* a bit for each CALL_ that fails each time */
    atomic_int syncs;  /* fdatasync calls */
} faults = { .countdown = -1 };

enum { CALL_OPEN = 1, CALL_WRITE = 2, CALL_SYNC = 4, CALL_TRUNCATE = 8, CALL_RENAME = 16, CALL_OTHER = 32 };

/* True if this call is to fail. */
static inline bool goes_wrong(int call) {
    atomic_fetch_add(&faults.calls, 1);
    errno = EIO;
    if (atomic_load(&faults.broken) & call) return true;
    if (atomic_load(&faults.countdown) < 0 || atomic_fetch_sub(&faults.countdown, 1) != 0) return false;
    if (faults.fault == FAULT_EXIT && call != CALL_WRITE) _exit(EXIT_AT_FAULT);
    return true;
}

static inline int faulty_open(const char *path, int flags, mode_t mode) {
    return goes_wrong(CALL_OPEN) ? -1 : open(path, flags | O_CLOEXEC, mode);
}

/* When it goes wrong, half is written all the same: the disk was full. */
static inline ssize_t faulty_write(int fd, const void *bytes, size_t len) {
    if (!goes_wrong(CALL_WRITE)) return write(fd, bytes, len);
    assert_int_equal(write(fd, bytes, len / 2), len / 2);
    if (faults.fault == FAULT_EXIT) _exit(EXIT_AT_FAULT);
    errno = EIO;
    return -1;
}

static inline int faulty_fdatasync(int fd) {
    atomic_fetch_add(&faults.syncs, 1);
    return goes_wrong(CALL_SYNC) ? -1 : fdatasync(fd);
}

static inline int faulty_fsync(int fd) { return goes_wrong(CALL_SYNC) ? -1 : fsync(fd); }

static inline int faulty_ftruncate(int fd, off_t length) {
    return goes_wrong(CALL_TRUNCATE) ? -1 : ftruncate(fd, length);
}

static inline int faulty_rename(const char *from, const char *to) {
    return goes_wrong(CALL_RENAME) ? -1 : rename(from, to);
}

static inline int faulty_unlink(const char *path) { return goes_wrong(CALL_OTHER) ? -1 : unlink(path); }

static inline int faulty_mkdir(const char *path, mode_t mode) {
    return goes_wrong(CALL_OTHER) ? -1 : mkdir(path, mode);
}

static inline void faults_install(void) {
    file_io.open = faulty_open;
    file_io.write = faulty_write;
    file_io.fdatasync = faulty_fdatasync;
    file_io.fsync = faulty_fsync;
    file_io.ftruncate = faulty_ftruncate;
    file_io.rename = faulty_rename;
    file_io.unlink = faulty_unlink;
    file_io.mkdir = faulty_mkdir;
}

/* Runs `body` in a process of its own that ends, as if killed, at its n-th system call (0: the first). False
 * if it came to its end before that. */
static inline bool killed_at(int n, void (*body)(void)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        faults.fault = FAULT_EXIT;
        atomic_store(&faults.countdown, n);
        body();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_AT_FAULT);
    return WEXITSTATUS(status) == EXIT_AT_FAULT;
}

#endif
