/* files.h: whole files in one call, for tests that look into or damage what a server wrote. */
#ifndef TESTS_INTEGRATION_FILES_H
#define TESTS_INTEGRATION_FILES_H

#include "../harness/fail.h"
#include "../harness/text.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static inline bool file_exists(const char *path) { return access(path, F_OK) == 0; }

static inline void file_read(const char *path, struct text *out) {
    text_clear(out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) HARNESS_FAIL("cannot open %s: %s", path, strerror(errno));
    for (ssize_t got = 1; got > 0;) {
        got = read(fd, text_reserve(out, 65536), 65536);
        if (got > 0) out->len += (size_t)got;
    }
    text_append(out, "", 0);
    close(fd);
}

static inline void file_write(const char *path, const struct text *bytes) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) HARNESS_FAIL("cannot create %s: %s", path, strerror(errno));
    for (size_t at = 0; at < bytes->len;) {
        ssize_t wrote = write(fd, bytes->ptr + at, bytes->len - at);
        if (wrote < 0) HARNESS_FAIL("cannot write %s: %s", path, strerror(errno));
        at += (size_t)wrote;
    }
    close(fd);
}

static inline void file_cut(const char *path, size_t size) {
    if (truncate(path, (off_t)size) != 0) HARNESS_FAIL("cannot cut %s: %s", path, strerror(errno));
}

static inline size_t file_size(const char *path) {
    struct stat facts;
    if (stat(path, &facts) != 0) HARNESS_FAIL("no file %s: %s", path, strerror(errno));
    return (size_t)facts.st_size;
}

#endif
