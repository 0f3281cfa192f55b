/* file.c: see file.h. */
#include "trivet/base/file.h"
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 4096

static int open_plainly(const char *path, int flags, mode_t mode) {
    return open(path, flags | O_CLOEXEC, mode);
}

struct file_io file_io = {
    .open = open_plainly,
    .write = write,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .rename = rename,
    .unlink = unlink,
    .mkdir = mkdir,
    .now_us = clock_steady_us,
};

const char *file_errno_text(int error) {
    const char *text = strerrordesc_np(error);
    return text ? text : "unknown error";
}

bool file_failed(struct buf *error, const char *what, const char *path) {
    int number = errno;
    if (error) buf_printf(error, "cannot %s %s: %s", what, path, file_errno_text(number));
    errno = number;
    return false;
}

/* Closes, and removes, the file after a failure. Further errors do not matter, so errno stays. */
static void close_quietly(int fd) {
    int number = errno;
    close(fd);
    errno = number;
}

static void unlink_quietly(const char *path) {
    int number = errno;
    (void)file_io.unlink(path);
    errno = number;
}

/* ---- bytes ---- */

bool file_write_all(int fd, struct slice bytes) {
    while (bytes.len > 0) {
        ssize_t count = file_io.write(fd, bytes.ptr, bytes.len);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        bytes.ptr += count;
        bytes.len -= (size_t)count;
    }
    return true;
}

bool file_read_all(int fd, size_t most, struct buf *out) {
    for (;;) {
        ssize_t count = read(fd, buf_reserve(out, READ_BYTES), READ_BYTES);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return count == 0;
        out->len += (size_t)count;
        if (out->len <= most) continue;
        errno = EFBIG;
        return false;
    }
}

bool file_size(const char *path, uint64_t *size) {
    struct stat facts;
    if (stat(path, &facts) != 0 || !S_ISREG(facts.st_mode)) return false;
    *size = (uint64_t)facts.st_size;
    return true;
}

/* ---- names ---- */

bool file_sync_folder(const char *path, struct buf *error) {
    int fd = file_io.open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return file_failed(error, "open folder", path);
    bool done = file_io.fsync(fd) == 0;
    if (!done) file_failed(error, "fsync folder", path);
    close_quietly(fd);
    return done;
}

static bool sync_folder_of(const char *path, struct buf *error) {
    const char *slash = strrchr(path, '/');
    if (!slash) return file_sync_folder(".", error);
    char *folder = slice_to_cstr(slice_between(path, slash));
    bool done = file_sync_folder(folder[0] ? folder : "/", error);
    int number = errno;
    mem_free(folder);
    errno = number;
    return done;
}

bool file_rename(const char *from, const char *to, struct buf *error) {
    if (file_io.rename(from, to) != 0) return file_failed(error, "rename to", to);
    return sync_folder_of(to, error);
}

static bool write_durably(int fd, const char *path, struct slice bytes, mode_t rights, struct buf *error) {
    if (!file_write_all(fd, bytes)) return file_failed(error, "write", path);
    if (fchmod(fd, rights) != 0) return file_failed(error, "set the rights of", path);
    if (file_io.fsync(fd) != 0) return file_failed(error, "fsync", path);
    return true;
}

bool file_replace(const char *path, const char *temporary, struct slice bytes, mode_t rights,
                  struct buf *error) {
    /* Nobody else may read it before its rights are set. */
    int fd = file_io.open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) return file_failed(error, "create", temporary);
    bool written = write_durably(fd, temporary, bytes, rights, error);
    close_quietly(fd);
    bool renamed = written && file_io.rename(temporary, path) == 0;
    if (written && !renamed) file_failed(error, "rename to", path);
    if (!renamed) unlink_quietly(temporary);
    return renamed && sync_folder_of(path, error);
}
