/* file_sink.c: see file_sink.h. */
#include "trivet/persist/snapshot/file_sink.h"
#include "trivet/base/file.h"
#include "trivet/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SYNC_BYTES ((uint64_t)4 * 1024 * 1024)

static struct file_sink *file_of(struct snapshot_sink *s) { return CONTAINER_OF(s, struct file_sink, sink); }

static bool fail(const struct file_sink *f, const char *what, struct buf *error) {
    int number = errno;
    const char *precedes = f->fd < 0 ? f->plan.not_opened : f->plan.not_written;
    if (precedes) buf_append(error, slice_of(precedes));
    errno = number;
    return file_failed(error, what, f->path);
}

static bool open_file(struct file_sink *f, struct buf *error) {
    if (f->fd >= 0) return true;
    int access = f->plan.stays_open ? O_RDWR : O_WRONLY;
    f->fd = file_io.open(f->path, access | O_CREAT | O_TRUNC, 0644);
    return f->fd >= 0 || fail(f, "create", error);
}

static bool sync_some(struct file_sink *f, struct buf *error) {
    if (!f->plan.incremental_sync || f->written - f->synced < SYNC_BYTES) return true;
    f->synced = f->written;
    return file_io.fdatasync(f->fd) == 0 || fail(f, "fsync", error);
}

static bool put(struct snapshot_sink *s, struct slice bytes, struct buf *error) {
    struct file_sink *f = file_of(s);
    if (!open_file(f, error)) return false;
    if (!file_write_all(f->fd, bytes)) return fail(f, "write", error);
    f->written += bytes.len;
    return sync_some(f, error);
}

static void close_file(struct file_sink *f) {
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

static void forget_path(struct file_sink *f) {
    mem_free(f->path);
    f->path = NULL;
}

/* Of no bytes at all, an empty file is made. */
static bool end(struct snapshot_sink *s, struct buf *error) {
    struct file_sink *f = file_of(s);
    if (!open_file(f, error)) return false;
    if (file_io.fsync(f->fd) != 0) return fail(f, "fsync", error);
    if (f->plan.publish && !f->plan.publish(f->plan.arg, error)) return false;
    if (!f->plan.stays_open) close_file(f);
    forget_path(f);
    return true;
}

static void drop(struct snapshot_sink *s) {
    struct file_sink *f = file_of(s);
    if (f->fd >= 0) (void)file_io.unlink(f->path); /* a leftover is overwritten by the next try */
    close_file(f);
    forget_path(f);
}

void file_sink_init(struct file_sink *f, const struct file_sink_plan *plan) {
    *f = (struct file_sink){ .sink = { .put = put, .end = end, .drop = drop },
                             .plan = *plan,
                             .path = mem_strdup(plan->path),
                             .fd = -1 };
    f->plan.path = f->path;
}

int file_sink_detach(struct file_sink *f) {
    int fd = f->fd;
    f->fd = -1;
    return fd;
}
