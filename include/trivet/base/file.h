/* file.h: files for data that must survive a power cut: written whole, synced, replaced in one step.
 *
 * Every system call that changes the disk goes through one table, so that a test can make each call fail
 * once, or end the process there. A function that fails leaves the reason in errno, and as text in `error`
 * if that is not NULL: "cannot <what> <path>: <errno's text>". Thread: any. */
#ifndef TRIVET_BASE_FILE_H
#define TRIVET_BASE_FILE_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Set before the first use, never while another thread is at work. */
struct file_io {
    int (*open)(const char *path, int flags, mode_t mode); /* adds O_CLOEXEC */
    ssize_t (*write)(int fd, const void *bytes, size_t len);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t length);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    int64_t (*now_us)(void); /* the clock that measures how long a call takes */
};
extern struct file_io file_io;

/* The text of an errno value: a constant, where strerror shares a buffer between threads. */
const char *file_errno_text(int error);
/* Appends the text of errno, see above; always false, for `return`. */
bool file_failed(struct buf *error, const char *what, const char *path);

/* write(2) until all is written; false on the first error. */
MUST_CHECK bool file_write_all(int fd, struct slice bytes);
/* Appends the rest of the file; false on an error, or if it is longer than `most` (EFBIG). */
MUST_CHECK bool file_read_all(int fd, size_t most, struct buf *out);
/* The length of a regular file; false if there is none. */
MUST_CHECK bool file_size(const char *path, uint64_t *size);

/* Syncs a folder, so that files created, renamed or removed in it stay so. */
MUST_CHECK bool file_sync_folder(const char *path, struct buf *error);
/* Renames a synced file within its folder, and syncs the folder. */
MUST_CHECK bool file_rename(const char *from, const char *to, struct buf *error);
/* Gives the file these bytes and rights in one step: even after a power cut, either the old file is there or
 * the new one. Writes to `temporary` in the same folder first; after a failure, nothing is left there. */
MUST_CHECK bool file_replace(const char *path, const char *temporary, struct slice bytes, mode_t rights,
                             struct buf *error);

#endif
