/* aof.c: the open append-only file: writing, group commit, syncing, and what happens when the disk fails.
 *
 * A worker that needs its bytes on disk takes the file's lock; if another worker has written them meanwhile
 * it is done, else it swaps the journal's buffer for an empty one and writes all of it, for everybody who
 * waits. Under `always` one fdatasync follows, for everybody too. The offset up to which that is done is
 * published in `written`, so asking costs one atomic read.
 *
 * When a write fails, or under `always` its fdatasync, the file is cut back to where it ended before, and the
 * bytes are kept: the next commit writes the same bytes again. So the file never holds half a record followed
 * by a good one, and after a failed fdatasync the bytes go into fresh dirty pages (the kernel may have
 * dropped the old ones and would report success for nothing). If even the cutting fails, it comes first at
 * the next try.
 *
 * Under `everysec` the bytes are gone from memory when the sync thread's fdatasync fails, and what was
 * written since the last good one may be lost on disk though a later fdatasync succeeds. We cannot write it
 * again; what we do is say so, refuse writes until an fdatasync succeeds, and leave it to a rewrite to make
 * the file whole. */
#include "aof_private.h"
#include "journal_private.h"
#include "trivet/base/background.h"
#include "trivet/base/lock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_KEPT ((size_t)1024 * 1024) /* a bigger buffer gives its memory back after the write */
#define LOG_EVERY_US (1000 * 1000)        /* a failing disk fills no log */
#define SLOW_SYNC_US (2 * 1000 * 1000)    /* an fdatasync that takes longer counts as delayed */

static struct lock file_lock = LOCK_INIT(LOCK_RANK_FILE);

/* Under file_lock; `opened` and `fd` change only with the gate closed. */
static struct {
    bool opened;
    int fd;
    uint64_t size;        /* of the file, to the end of the last whole append */
    bool must_cut;        /* bytes of a failed append lie behind `size`: cut them before the next append */
    struct buf pending;   /* taken from the journal, not written yet */
    uint64_t pending_end; /* the journal's offset at the end of `pending` */
    unsigned syncs;       /* threads in fdatasync with no lock: the file must stay open */
    pthread_cond_t synced_all;
    int64_t logged_us;    /* when the last failure was logged */
    uint64_t others_size; /* bytes of the manifest's other files */
} file = { .fd = -1, .synced_all = PTHREAD_COND_INITIALIZER };

/* Written under file_lock, read by anybody. */
static _Atomic uint64_t written;    /* journal offset: acknowledged up to here */
static _Atomic uint64_t synced;     /* journal offset: fsynced up to here */
static _Atomic int write_error;     /* errno of the last append, 0 if it went well */
static _Atomic int sync_error;      /* errno of the last fdatasync of the sync thread */
static _Atomic uint64_t files_size; /* bytes of all files of the manifest */
static _Atomic uint64_t base_size;  /* the same when it was opened */
static _Atomic uint64_t delayed_fsyncs;
static atomic_bool enabled, syncing;
static _Atomic enum fsync_policy policy = FSYNC_EVERYSEC;

static struct {
    struct lock lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    pthread_t thread;
} syncer = { .lock = LOCK_INIT(LOCK_RANK_LEAF) };

void aof_set_fsync(enum fsync_policy now) { atomic_store(&policy, now); }

static enum fsync_policy policy_now(void) { return atomic_load_explicit(&policy, memory_order_relaxed); }

/* ---- failure and recovery ---- */

/* Always false, for `return`. */
static bool append_failed(const char *what, int error) NEEDS(file_lock);
static bool append_failed(const char *what, int error) {
    int before = atomic_exchange(&write_error, error);
    int64_t now = aof_io.now_us();
    if (before == 0 || now - file.logged_us >= LOG_EVERY_US) {
        LOG_WARNING("AOF: %s failed: %s. %zu bytes wait in memory and writes are refused until it succeeds",
                    what, aof_errno_text(error), file.pending.len);
        file.logged_us = now;
    }
    return false;
}

static void append_succeeded(void) {
    if (atomic_load_explicit(&write_error, memory_order_relaxed) == 0) return;
    atomic_store(&write_error, 0);
    LOG_WARNING("AOF: writing succeeds again; writes are accepted");
}

static void sync_succeeded(void) {
    if (atomic_load_explicit(&sync_error, memory_order_relaxed) == 0) return;
    atomic_store(&sync_error, 0);
    LOG_WARNING(
        "AOF: fsync succeeds again; writes are accepted. What was written between the last good fsync and "
        "the failed one may be missing on disk until the file is rewritten");
}

/* Removes what a failed append left behind. */
static bool cut_back(void) NEEDS(file_lock);
static bool cut_back(void) {
    file.must_cut = aof_io.ftruncate(file.fd, (off_t)file.size) != 0;
    return !file.must_cut;
}

/* ---- writing ---- */

static void publish_size(void) {
    atomic_store_explicit(&files_size, file.others_size + file.size, memory_order_relaxed);
}

static void raise_synced(uint64_t to) {
    if (to > atomic_load_explicit(&synced, memory_order_relaxed))
        atomic_store_explicit(&synced, to, memory_order_release);
}

/* Writes `pending` whole, and syncs it under `always`; or leaves file and `pending` as they were. */
static bool append_pending(void) NEEDS(file_lock);
static bool append_pending(void) {
    if (file.must_cut && !cut_back()) return append_failed("cutting off an unfinished write", errno);
    bool sync = policy_now() == FSYNC_ALWAYS;
    bool wrote = aof_write_all(file.fd, buf_slice(&file.pending));
    if (!wrote || (sync && aof_io.fdatasync(file.fd) != 0)) {
        int error = errno;
        if (!cut_back())
            LOG_WARNING("AOF: cutting off an unfinished write failed too: %s", aof_errno_text(errno));
        return append_failed(wrote ? "fsync" : "write", error);
    }
    file.size += file.pending.len;
    if (file.pending.room > BUFFER_KEPT) buf_release(&file.pending);
    buf_clear(&file.pending);
    publish_size();
    append_succeeded();
    if (sync) {
        raise_synced(file.pending_end);
        sync_succeeded();
    }
    atomic_store_explicit(&written, file.pending_end, memory_order_release);
    return true;
}

static bool write_up_to(uint64_t offset) NEEDS(file_lock);
static bool write_up_to(uint64_t offset) {
    while (!aof_is_committed(offset)) {
        if (file.pending.len == 0) file.pending_end = journal_swap(&file.pending);
        assert(file.pending.len > 0); /* nobody waits for an offset that was not appended */
        if (!append_pending()) return false;
    }
    return true;
}

bool aof_is_committed(uint64_t offset) {
    return atomic_load_explicit(&written, memory_order_acquire) >= offset;
}

enum commit aof_commit(uint64_t offset) {
    if (aof_is_committed(offset)) return COMMITTED;
    lock_take(&file_lock);
    bool done = write_up_to(offset);
    lock_drop(&file_lock);
    return done ? COMMITTED : COMMIT_PENDING;
}

/* ---- syncing ---- */

static void finish_sync(uint64_t target, int error, int64_t took_us) NEEDS(file_lock);
static void finish_sync(uint64_t target, int error, int64_t took_us) {
    if (took_us > SLOW_SYNC_US) atomic_fetch_add_explicit(&delayed_fsyncs, 1, memory_order_relaxed);
    if (error == 0) {
        raise_synced(target);
        sync_succeeded();
    } else if (atomic_exchange(&sync_error, error) == 0) {
        LOG_WARNING("AOF: fsync failed: %s. Up to %llu bytes that were written may be lost on disk; writes "
                    "are refused "
                    "until an fsync succeeds",
                    aof_errno_text(error), (unsigned long long)(target - atomic_load(&synced)));
    }
    if (--file.syncs > 0) return;
    atomic_store(&syncing, false);
    pthread_cond_broadcast(&file.synced_all);
}

/* One fdatasync without the lock, so that commits go on meanwhile. False if it failed. */
static bool sync_file(void) {
    lock_take(&file_lock);
    uint64_t target = atomic_load(&written);
    bool needed = file.opened && (atomic_load(&synced) < target || atomic_load(&sync_error) != 0);
    int fd = file.fd;
    if (needed) {
        file.syncs++;
        atomic_store(&syncing, true);
    }
    lock_drop(&file_lock);
    if (!needed) return true;
    int64_t begin = aof_io.now_us();
    int error = aof_io.fdatasync(fd) == 0 ? 0 : errno;
    lock_take(&file_lock);
    finish_sync(target, error, aof_io.now_us() - begin);
    lock_drop(&file_lock);
    return error == 0;
}

bool aof_sync_now(void) { return aof_commit(journal_offset()) == COMMITTED && sync_file(); }

bool aof_sync_written(void) { return sync_file(); }

uint64_t aof_synced_offset(void) { return atomic_load_explicit(&synced, memory_order_acquire); }

/* Sleeps a second, or less when it is time to stop; false then. */
static bool sleep_a_second(void) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    lock_take(&syncer.lock);
    int slept = 0;
    while (!syncer.stopping && slept != ETIMEDOUT)
        slept = pthread_cond_timedwait(&syncer.wake, &syncer.lock.mutex, &until);
    bool go_on = !syncer.stopping;
    lock_drop(&syncer.lock);
    return go_on;
}

/* A failed fsync is tried again whatever the policy is by now: nobody else would clear the failure. */
static void *sync_each_second(void *arg) {
    while (sleep_a_second())
        if (policy_now() == FSYNC_EVERYSEC || atomic_load(&sync_error) != 0) (void)sync_file();
    return arg;
}

static void start_syncer(void) {
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&syncer.wake, &steady);
    pthread_condattr_destroy(&steady);
    syncer.stopping = false;
    syncer.thread = thread_start("aof-sync", sync_each_second, NULL);
}

static void stop_syncer(void) {
    lock_take(&syncer.lock);
    syncer.stopping = true;
    pthread_cond_signal(&syncer.wake);
    lock_drop(&syncer.lock);
    pthread_join(syncer.thread, NULL);
    pthread_cond_destroy(&syncer.wake);
}

/* ---- history files ---- */

static bool is_named(const struct aof_manifest *m, const struct aof_file *f) {
    for (size_t i = 0; i < m->count; i++)
        if (m->files[i].type == f->type && strcmp(m->files[i].name, f->name) == 0) return true;
    return false;
}

/* Takes what was removed out of the manifest, which may have changed since. */
static void forget_history(const struct aof_manifest *removed) {
    struct aof_manifest m;
    struct buf error = { 0 };
    lock_take(&file_lock);
    bool done = aof_manifest_read(&m, &error) == MANIFEST_READ;
    for (size_t i = m.count; i > 0; i--)
        if (is_named(removed, &m.files[i - 1])) aof_manifest_remove(&m, i - 1);
    if (done) done = aof_manifest_write(&m, &error);
    lock_drop(&file_lock);
    /* Nothing is lost: the next start finds the entries and tries again. */
    if (!done) LOG_WARNING("AOF: history files stay in the manifest: %.*s", SLICE_ARG(buf_slice(&error)));
    aof_manifest_release(&m);
    buf_release(&error);
}

/* A background job; `arg` is a manifest with history files only, owned by the job. */
static void remove_history(void *arg) {
    struct aof_manifest *m = arg;
    struct buf path = { 0 };
    for (size_t i = m->count; i > 0; i--) {
        if (aof_io.unlink(aof_path_in_folder(&path, m->files[i - 1].name)) == 0 || errno == ENOENT) continue;
        LOG_WARNING("AOF: cannot remove the history file %s: %s", m->files[i - 1].name,
                    aof_errno_text(errno));
        aof_manifest_remove(m, i - 1);
    }
    buf_release(&path);
    if (m->count > 0) forget_history(m);
    aof_manifest_release(m);
    mem_free(m);
}

/* Not under file_lock: without a background thread the job runs here. */
static void post_history(const struct aof_manifest *m) {
    struct aof_manifest *history = mem_alloc_zero(sizeof *history);
    for (size_t i = 0; i < m->count; i++) {
        const struct aof_file *f = &m->files[i];
        if (f->type == AOF_FILE_HISTORY) aof_manifest_add(history, slice_of(f->name), f->seq, f->type);
    }
    if (history->count > 0)
        background_post(remove_history, history, 1);
    else
        mem_free(history);
}

/* ---- opening and closing ---- */

/* Opens a file of the folder for appending; -1 with the reason in `error`. `size` gets its length. */
static int open_file(const char *name, int flags, uint64_t *size, struct buf *error) {
    struct buf path = { 0 };
    struct stat facts;
    int fd = aof_io.open(aof_path_in_folder(&path, name), O_WRONLY | O_APPEND | flags, 0644);
    if (fd >= 0 && fstat(fd, &facts) != 0) {
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        buf_printf(error, "cannot open %s: %s", path.ptr, aof_errno_text(errno));
    else
        *size = (uint64_t)facts.st_size;
    buf_release(&path);
    return fd;
}

/* Makes the next incremental file: durable, empty, named in `m`, not yet in the manifest on disk. */
static int create_incr(struct aof_manifest *m, struct buf *error) {
    const struct aof_file *f = aof_manifest_add_next(m, AOF_FILE_INCR);
    uint64_t size = 0;
    int fd = open_file(f->name, O_CREAT, &size, error);
    if (fd < 0) return -1;
    struct buf folder = { 0 };
    bool done = size == 0;
    /* A crash may have left an empty one; bytes in it are somebody's data that no manifest speaks of. */
    if (!done)
        buf_printf(error, "%s exists, is not empty, and is not named by the manifest", f->name);
    else
        done = aof_folder_sync(aof_path_of_folder(&folder), error);
    buf_release(&folder);
    if (done) return fd;
    close(fd);
    return -1;
}

/* From here on `fd`, the last incremental of `m`, takes what is appended to the journal. */
static void begin_appending(int fd, uint64_t size, const struct aof_manifest *m) NEEDS(file_lock);
static void begin_appending(int fd, uint64_t size, const struct aof_manifest *m) {
    struct buf path = { 0 };
    file.others_size = 0;
    for (size_t i = 0; i < m->count; i++) {
        uint64_t other;
        if (m->files[i].type == AOF_FILE_HISTORY || &m->files[i] == aof_manifest_last_incr(m)) continue;
        if (aof_file_size(aof_path_in_folder(&path, m->files[i].name), &other)) file.others_size += other;
    }
    buf_release(&path);
    journal_restart();
    file.fd = fd;
    file.size = size;
    file.must_cut = false;
    file.opened = true;
    publish_size();
    atomic_store(&base_size, atomic_load(&files_size));
    atomic_store(&written, journal_offset());
    atomic_store(&synced, journal_offset());
    atomic_store(&write_error, 0);
    atomic_store(&sync_error, 0);
    atomic_store(&enabled, true);
    journal_on = true;
}

/* The last incremental, made if there is none yet; -1 with the reason in `error`. */
static int open_last_incr(struct aof_manifest *m, uint64_t *size, struct buf *error) {
    const struct aof_file *last = aof_manifest_last_incr(m);
    *size = 0;
    if (last) return open_file(last->name, 0, size, error);
    int fd = create_incr(m, error);
    if (fd >= 0 && !aof_manifest_write(m, error)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool aof_open(struct buf *error) {
    struct aof_manifest m;
    uint64_t size;
    int fd = -1;
    lock_take(&file_lock);
    assert(!file.opened);
    bool readable = aof_manifest_read(&m, error) != MANIFEST_BROKEN;
    if (readable && aof_folder_make(error)) fd = open_last_incr(&m, &size, error);
    if (fd >= 0) begin_appending(fd, size, &m);
    lock_drop(&file_lock);
    if (fd >= 0) {
        start_syncer();
        post_history(&m);
    }
    aof_manifest_release(&m);
    return fd >= 0;
}

/* The last writes, the last fsync. False if bytes are lost. */
static bool flush_and_close(void) NEEDS(file_lock);
static bool flush_and_close(void) {
    while (file.syncs > 0) pthread_cond_wait(&file.synced_all, &file_lock.mutex);
    bool done = write_up_to(journal_offset());
    if (!done && file.must_cut && !cut_back()) LOG_WARNING("AOF: the file ends with an unfinished write");
    if (aof_io.fdatasync(file.fd) != 0) {
        LOG_WARNING("AOF: the last fsync failed: %s", aof_errno_text(errno));
        done = false;
    }
    if (done) raise_synced(journal_offset());
    close(file.fd);
    file.fd = -1;
    file.opened = false;
    buf_release(&file.pending);
    return done;
}

bool aof_close(void) {
    lock_take(&file_lock);
    bool opened = file.opened;
    lock_drop(&file_lock);
    if (!opened) return true;
    stop_syncer();
    lock_take(&file_lock);
    bool done = flush_and_close();
    journal_on = false;
    journal_restart();
    /* Nobody waits for a file that is not there any more. */
    atomic_store(&written, journal_offset());
    atomic_store(&write_error, 0);
    atomic_store(&sync_error, 0);
    atomic_store(&enabled, false);
    atomic_store(&files_size, 0);
    atomic_store(&base_size, 0);
    lock_drop(&file_lock);
    return done;
}

/* ---- a new base ---- */

struct base_writer {
    int fd;
    struct buf bytes;
    int error; /* errno of the first failed write; nothing is written after it */
};

static void base_flush(struct base_writer *w) {
    if (w->error == 0 && !aof_write_all(w->fd, buf_slice(&w->bytes))) w->error = errno;
    buf_clear(&w->bytes);
}

static void base_emit(void *arg, const struct slice *argv, size_t argc) {
    struct base_writer *w = arg;
    wire_command(&w->bytes, argv, argc);
    if (w->bytes.len >= BUFFER_KEPT) base_flush(w);
}

/* Writes and syncs the base under a temporary path. */
static bool write_base_to(const char *path, void (*write_base)(aof_emit *emit, void *arg),
                          struct buf *error) {
    struct base_writer w = { .fd = aof_io.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644) };
    if (w.fd < 0) {
        buf_printf(error, "cannot create %s: %s", path, aof_errno_text(errno));
        return false;
    }
    write_base(base_emit, &w);
    base_flush(&w);
    if (w.error == 0 && aof_io.fsync(w.fd) != 0) w.error = errno;
    if (w.error != 0) buf_printf(error, "cannot write %s: %s", path, aof_errno_text(w.error));
    close(w.fd);
    buf_release(&w.bytes);
    return w.error == 0;
}

/* Makes the next base file: durable but for its name (create_incr syncs the folder), named in `m`. */
static bool create_base(struct aof_manifest *m, void (*write_base)(aof_emit *emit, void *arg),
                        struct buf *error) {
    struct buf name = { 0 }, path = { 0 }, fresh = { 0 };
    const struct aof_file *f = aof_manifest_add_next(m, AOF_FILE_BASE);
    buf_printf(&name, "temp-%s%c", f->name, '\0');
    aof_path_in_folder(&fresh, name.ptr);
    aof_path_in_folder(&path, f->name);
    bool done = write_base_to(fresh.ptr, write_base, error);
    if (done && aof_io.rename(fresh.ptr, path.ptr) != 0) {
        buf_printf(error, "cannot rename to %s: %s", path.ptr, aof_errno_text(errno));
        done = false;
    }
    /* A leftover is overwritten by the next try; removing it only saves space. */
    if (!done) (void)aof_io.unlink(fresh.ptr);
    buf_release(&name);
    buf_release(&path);
    buf_release(&fresh);
    return done;
}

bool aof_start_anew(void (*write_base)(aof_emit *emit, void *arg), struct buf *error) {
    struct aof_manifest m;
    int fd = -1;
    lock_take(&file_lock);
    assert(!file.opened);
    bool done = aof_manifest_read(&m, error) != MANIFEST_BROKEN && aof_folder_make(error);
    for (size_t i = 0; i < m.count; i++) m.files[i].type = AOF_FILE_HISTORY;
    /* Shards are locked before files, never after. Meanwhile only history entries can leave the manifest on
     * disk; they come back with ours and are found to be gone. */
    lock_drop(&file_lock);
    done = done && create_base(&m, write_base, error);
    lock_take(&file_lock);
    if (done) fd = create_incr(&m, error);
    done = fd >= 0 && aof_manifest_write(&m, error);
    if (done)
        begin_appending(fd, 0, &m);
    else if (fd >= 0)
        close(fd);
    lock_drop(&file_lock);
    if (done) {
        start_syncer();
        post_history(&m);
    }
    aof_manifest_release(&m);
    return done;
}

/* ---- what others want to know ---- */

static int error_now(void) {
    int error = atomic_load_explicit(&write_error, memory_order_relaxed);
    return error ? error : atomic_load_explicit(&sync_error, memory_order_relaxed);
}

bool aof_is_failing(void) { return error_now() != 0; }

void aof_failure(struct buf *out) {
    int error = error_now();
    buf_clear(out);
    if (error != 0) buf_append(out, slice_of(aof_errno_text(error)));
}

void aof_info(struct aof_info *out) {
    bool on = atomic_load(&enabled);
    uint64_t done = atomic_load(&written), end = journal_offset();
    *out = (struct aof_info){
        .enabled = on,
        .last_write_ok = !aof_is_failing(),
        .fsync_pending = atomic_load(&syncing),
        .current_size = atomic_load(&files_size),
        .base_size = atomic_load(&base_size),
        .buffer_length = on && end > done ? end - done : 0,
        .delayed_fsyncs = atomic_load(&delayed_fsyncs),
    };
}
