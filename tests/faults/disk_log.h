/* disk_log.h: what a power cut would take away, kept as a log while a program writes.
 *
 * A program that changes files in a folder (the shim in disk_shim.c, or a unit test through file_io) calls
 * one of these functions after each call that changes something: a line goes to the log. power_cut.h reads
 * the log and puts the folder into a state that such a cut may leave.
 *
 *   C <inode> <path>     a new file, under this path
 *   S <inode> <bytes>    fsync or fdatasync has succeeded: so much of the file is safe
 *   T <inode> <bytes>    the file was cut to this length
 *   R <from> <to>        renamed
 *   U <path>             removed
 *   M <path>             a folder was made
 *   D <path>             a folder was fsynced: the names in it are safe ("." is the root itself)
 *
 * Paths begin at the root of what is watched and have no spaces. Each file gets a second name in the side
 * folder, its inode's number, so that its bytes stay when its name goes; and so that numbers are not used
 * again. A line is one write(2), made after the call and before its caller knows that it succeeded: so what
 * somebody was promised is in the log, whenever the process dies. */
#ifndef TESTS_FAULTS_DISK_LOG_H
#define TESTS_FAULTS_DISK_LOG_H

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct disk_log {
    char root[PATH_MAX]; /* no slash at its end */
    char side[PATH_MAX]; /* where the second names are; the log is its file "log" */
    int fd;              /* of the log, -1: nothing is logged */
};

/* The path behind the root; NULL if it lies elsewhere. */
static inline const char *disk_log_inside(const struct disk_log *d, const char *path) {
    size_t len = strlen(d->root);
    if (d->fd < 0 || strncmp(path, d->root, len) != 0) return NULL;
    if (path[len] == '\0') return ".";
    return path[len] == '/' ? path + len + 1 : NULL;
}

static inline void disk_log_line(const struct disk_log *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void disk_log_line(const struct disk_log *d, const char *format, ...) {
    char line[2 * PATH_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof line || write(d->fd, line, (size_t)len) != len) abort();
}

static inline void disk_log_open(struct disk_log *d, const char *root, const char *side) {
    char path[PATH_MAX + 8];
    snprintf(d->root, sizeof d->root, "%s", root);
    snprintf(d->side, sizeof d->side, "%s", side);
    snprintf(path, sizeof path, "%s/log", side);
    d->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (d->fd < 0) abort();
}

/* Before an open that may create. */
static inline bool disk_log_is_new(const char *path) { return access(path, F_OK) != 0; }

static inline void disk_log_opened(const struct disk_log *d, const char *path, int fd, bool is_new,
                                   bool truncated) {
    const char *inside = disk_log_inside(d, path);
    struct stat facts;
    if (!inside || fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return;
    unsigned long long inode = facts.st_ino;
    if (is_new) {
        char second[PATH_MAX + 32];
        snprintf(second, sizeof second, "%s/%llu", d->side, inode);
        if (link(path, second) != 0) return; /* renamed or removed already: by nobody but another thread */
        disk_log_line(d, "C %llu %s\n", inode, inside);
    } else if (truncated) {
        disk_log_line(d, "T %llu 0\n", inode);
    }
}

/* Before an fsync: how much it will make safe. */
static inline unsigned long long disk_log_size(int fd) {
    struct stat facts;
    return fstat(fd, &facts) == 0 ? (unsigned long long)facts.st_size : 0;
}

static inline void disk_log_synced(const struct disk_log *d, int fd, unsigned long long size) {
    struct stat facts;
    char link_name[64], path[PATH_MAX];
    if (d->fd < 0 || fstat(fd, &facts) != 0) return;
    if (S_ISREG(facts.st_mode)) disk_log_line(d, "S %llu %llu\n", (unsigned long long)facts.st_ino, size);
    if (!S_ISDIR(facts.st_mode)) return;
    snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link_name, path, sizeof path - 1);
    if (len < 0) return;
    path[len] = '\0';
    const char *inside = disk_log_inside(d, path);
    if (inside) disk_log_line(d, "D %s\n", inside);
}

static inline void disk_log_cut(const struct disk_log *d, int fd, long long length) {
    struct stat facts;
    if (d->fd < 0 || fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return;
    disk_log_line(d, "T %llu %lld\n", (unsigned long long)facts.st_ino, length);
}

static inline void disk_log_renamed(const struct disk_log *d, const char *from, const char *to) {
    const char *a = disk_log_inside(d, from), *b = disk_log_inside(d, to);
    if (a && b) disk_log_line(d, "R %s %s\n", a, b);
}

static inline void disk_log_removed(const struct disk_log *d, const char *path) {
    const char *inside = disk_log_inside(d, path);
    if (inside) disk_log_line(d, "U %s\n", inside);
}

static inline void disk_log_made(const struct disk_log *d, const char *path) {
    const char *inside = disk_log_inside(d, path);
    if (inside) disk_log_line(d, "M %s\n", inside);
}

#endif
