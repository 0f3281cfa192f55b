/* file.h: files as the durable things need them: written whole, made durable, replaced in one step.
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
    int64_t (*now_us)(void); /* how long a call took is told by it */
};
extern struct file_io file_io;

/* The text of an errno value: a constant, where strerror shares a buffer between threads. */
const char *file_errno_text(int error);
/* Appends the text of errno, see above; always false, for `return`. */
bool file_failed(struct buf *error, const char *what, const char *path);

/* write(2) until all is written; false on the first error. */
MUST_CHECK bool file_write_all(int fd, struct slice bytes);
/* Appends all that is to be read; false on an error, or if it is more than `most` (EFBIG). */
MUST_CHECK bool file_read_all(int fd, size_t most, struct buf *out);
/* The length of a regular file; false if there is none. */
MUST_CHECK bool file_size(const char *path, uint64_t *size);

/* Makes durable what was created, renamed and removed in a folder. */
MUST_CHECK bool file_sync_folder(const char *path, struct buf *error);
/* A durable file gets another name in the same folder, durably. */
MUST_CHECK bool file_rename(const char *from, const char *to, struct buf *error);
/* The file has these bytes and these rights: at any moment, a power cut included, the old file is there or
 * the new one. It is written at `temporary` first, in the same folder; after a failure nothing is left
 * there. */
MUST_CHECK bool file_replace(const char *path, const char *temporary, struct slice bytes, mode_t rights,
                             struct buf *error);

#endif
