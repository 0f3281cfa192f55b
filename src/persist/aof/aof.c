/* aof.c: the open append-only file: writing, group commit, syncing, and what happens when the disk fails.
 *
 * A worker that needs its bytes on disk takes the file's lock. If another worker has written them meanwhile,
 * it is done. Else it swaps the journal's buffer for an empty one and writes all of it, for all workers that
 * wait. Under `always`, one fdatasync follows, for all of them too. The offset up to which that is done is
 * published in `written`, so asking costs one atomic read.
 *
 * If replicas read the stream, each append ends with its position behind the bytes (note.h). When only the
 * stream has moved (PING, PUBLISH), the append is that note alone, and takes the place of one before it that
 * was alone too; nobody has to sync it, because it is no data.
 *
 * When a write fails, or under `always` its fdatasync, the file is cut back to where it ended before, and the
 * bytes are kept: the next commit writes the same bytes again. So the file never holds half a record followed
 * by a good one, and after a failed fdatasync the bytes go into fresh dirty pages (the kernel may have
 * dropped the old ones and would report success for nothing). If even that fails, the next try begins with
 * it.
 *
 * Under `everysec` the bytes are gone from memory when the sync thread's fdatasync fails, and what was
 * written since the last good one may be lost on disk though a later fdatasync succeeds. It cannot be written
 * again. So the server logs it, refuses writes until an fdatasync succeeds, and leaves it to a rewrite to
 * make the file whole. */
#include "aof_private.h"
#include "note.h"
#include "trivet/base/background.h"
#include "trivet/base/lock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal_sink.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_KEPT ((size_t)1024 * 1024) /* a bigger buffer gives its memory back after the write */
#define NOWHERE UINT64_MAX
#define LOG_EVERY_US (1000 * 1000)     /* between two log lines about a failing disk */
#define SLOW_SYNC_US (2 * 1000 * 1000) /* an fdatasync that takes longer counts as delayed */

static struct lock file_lock = LOCK_INIT(LOCK_RANK_FILE);

/* Under file_lock; `opened` and `fd` change only with the gate closed. */
static struct {
    bool opened;
    int fd;
    uint64_t size;      /* of the file, to the end of the last whole append */
    bool must_cut;      /* bytes of a failed append follow `size`: cut them off before the next append */
    struct buf pending; /* taken from the journal, not written yet */
    struct journal_piece piece;      /* what belongs to `pending` */
    bool has_data;                   /* `pending` is more than notes */
    uint64_t note_at;                /* where the last append begins, if it was a note alone; or NOWHERE */
    char noted_id[REPLID_CHARS + 1]; /* of the last position in this file; "": there is none */
    uint64_t written_position;       /* of the stream, at `written` */
    unsigned syncs;                  /* threads in fdatasync with no lock: the file must stay open */
    pthread_cond_t synced_all;
    int64_t logged_us;    /* when the last failure was logged */
    uint64_t others_size; /* bytes of the manifest's other files */
    int retired; /* the file before this one: synced and closed before this one gets its first byte */
} file = { .fd = -1, .retired = -1, .note_at = NOWHERE, .synced_all = PTHREAD_COND_INITIALIZER };

/* Written under file_lock, read by anybody. */
static _Atomic uint64_t written;         /* journal offset: acknowledged up to here */
static _Atomic uint64_t synced;          /* journal offset: fsynced up to here */
static _Atomic uint64_t synced_position; /* the same in the stream */
static _Atomic int write_error;          /* errno of the last append, 0 if it succeeded */
static _Atomic int sync_error;           /* errno of the last fdatasync of the sync thread */
static _Atomic uint64_t files_size;      /* bytes of all files of the manifest */
static _Atomic uint64_t base_size;       /* the same when it was opened */
static _Atomic uint64_t delayed_fsyncs;
static _Atomic uint64_t last_fsync_us;
static atomic_bool enabled, syncing, paused;
static _Atomic int64_t write_delay_us;
static _Atomic enum fsync_policy policy = FSYNC_EVERYSEC;

static struct {
    struct lock lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    pthread_t thread;
} syncer = { .lock = LOCK_INIT(LOCK_RANK_LEAF) };

void aof_set_write_delay(int64_t us) { atomic_store(&write_delay_us, us); }

void aof_set_fsync(enum fsync_policy now) { atomic_store(&policy, now); }

static enum fsync_policy policy_now(void) { return atomic_load_explicit(&policy, memory_order_relaxed); }

/* ---- failure and recovery ---- */

/* Always false, for `return`. */
static bool append_failed(const char *what, int error) NEEDS(file_lock);
static bool append_failed(const char *what, int error) {
    int before = atomic_exchange(&write_error, error);
    int64_t now = file_io.now_us();
    if (before == 0 || now - file.logged_us >= LOG_EVERY_US) {
        LOG_WARNING("%s: %s. %zu bytes wait in memory and writes are refused until it succeeds", what,
                    file_errno_text(error), file.pending.len);
        file.logged_us = now;
    }
    return false;
}

/* Always false, for `return`. `unsure` says in words which bytes are written but may not be on disk. */
static bool sync_failed(int error, const char *unsure, uint64_t bytes) {
    if (atomic_exchange(&sync_error, error) != 0) return false;
    LOG_WARNING("Fail to fsync the AOF file: %s. Up to %llu bytes %s may be lost on disk; writes are refused "
                "until an "
                "fsync succeeds",
                file_errno_text(error), (unsigned long long)bytes, unsure);
    return false;
}

static void append_succeeded(void) {
    if (atomic_load_explicit(&write_error, memory_order_relaxed) == 0) return;
    atomic_store(&write_error, 0);
    LOG_WARNING("AOF write error looks solved. The server can write again.");
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
    file.must_cut = file_io.ftruncate(file.fd, (off_t)file.size) != 0;
    return !file.must_cut;
}

/* ---- writing ---- */

static void publish_size(void) {
    atomic_store_explicit(&files_size, file.others_size + file.size, memory_order_relaxed);
}

/* An end in the journal and in the stream. */
struct reached {
    uint64_t offset, position;
};

static void raise_synced(struct reached to) NEEDS(file_lock);
static void raise_synced(struct reached to) {
    if (to.offset <= atomic_load_explicit(&synced, memory_order_relaxed)) return;
    atomic_store_explicit(&synced, to.offset, memory_order_release);
    atomic_store_explicit(&synced_position, to.position, memory_order_release);
}

/* `pending` is in the file, or there was nothing to write. */
static void raise_written(bool is_synced) NEEDS(file_lock);
static void raise_written(bool is_synced) {
    struct reached to = { file.piece.end, (uint64_t)file.piece.position.offset };
    bool was_synced = atomic_load(&synced) >= atomic_load(&written);
    if (is_synced || (was_synced && !file.has_data)) raise_synced(to);
    file.written_position = to.position;
    atomic_store_explicit(&written, to.offset, memory_order_release);
}

/* Only the last file of the manifest that is not empty may end with a torn record: so the one before is
 * durable before the next gets a byte. */
static bool settle_retired(void) NEEDS(file_lock);
static bool settle_retired(void) {
    while (UNLIKELY(file.retired >= 0) && file.syncs > 0)
        pthread_cond_wait(&file.synced_all, &file_lock.mutex);
    if (file.retired < 0) return true; /* another thread may have done it while this one waited */
    if (file_io.fdatasync(file.retired) != 0) {
        /* Does not report a failed append: if no byte waits, no later append would clear that error. */
        return sync_failed(errno, "of the file before", atomic_load(&written) - atomic_load(&synced));
    }
    close(file.retired);
    file.retired = -1;
    return true;
}

/* DEBUG AOF-FLUSH-SLEEP */
static void wait_before_write(void) {
    int64_t us = atomic_load_explicit(&write_delay_us, memory_order_relaxed);
    if (UNLIKELY(us > 0)) usleep((useconds_t)us);
}

/* A write that failed may have been begun. Leaves errno alone. */
static const char *what_failed(void) NEEDS(file_lock);
static const char *what_failed(void) {
    int error = errno;
    struct stat facts;
    bool some = fstat(file.fd, &facts) == 0 && (uint64_t)facts.st_size > file.size;
    errno = error;
    return some ? "Short write while writing to the AOF file" : "Error writing to the AOF file";
}

/* A position alone takes the place of the last one. If that cannot be cut off it stays, and does no harm. */
static void cut_old_note(void) NEEDS(file_lock);
static void cut_old_note(void) {
    if (file.has_data || file.note_at == NOWHERE) return;
    if (file_io.ftruncate(file.fd, (off_t)file.note_at) == 0) file.size = file.note_at;
}

/* Writes `pending` whole, and syncs it under `always`; or leaves file and `pending` as they were. Nothing is
 * left of it if another thread wrote it while this one waited for the file before. */
static void note_sync_took(int64_t us) {
    atomic_store_explicit(&last_fsync_us, us > 0 ? (uint64_t)us : 0, memory_order_relaxed);
}

/* appendfsync always. */
static bool sync_now(void) NEEDS(file_lock);
static bool sync_now(void) {
    int64_t begin = file_io.now_us();
    bool done = file_io.fdatasync(file.fd) == 0;
    note_sync_took(file_io.now_us() - begin);
    return done;
}

static bool append_pending(void) NEEDS(file_lock);
static bool append_pending(void) {
    if (!settle_retired()) return false;
    if (file.pending.len == 0) return true;
    if (file.must_cut && !cut_back())
        return append_failed("Error writing to the AOF file: cutting off an unfinished write", errno);
    cut_old_note();
    bool sync = policy_now() == FSYNC_ALWAYS && file.has_data;
    size_t batch = file.pending.len; /* the sum is written too, but is not part of `pending` */
    if (aof_notes_have_sums()) aof_note_add_sum(&file.pending);
    wait_before_write();
    bool wrote = file_write_all(file.fd, buf_slice(&file.pending));
    const char *what = wrote ? "Fail to fsync the AOF file" : what_failed();
    if (!wrote || (sync && !sync_now())) {
        int error = errno;
        if (!cut_back())
            LOG_WARNING("AOF: cutting off an unfinished write failed too: %s", file_errno_text(errno));
        file.pending.len = batch;
        return append_failed(what, error);
    }
    file.note_at = file.has_data ? NOWHERE : file.size;
    file.size += file.pending.len;
    if (file.pending.room > BUFFER_KEPT) buf_release(&file.pending);
    buf_clear(&file.pending);
    publish_size();
    append_succeeded();
    if (sync) sync_succeeded();
    raise_written(sync);
    return true;
}

static void add_position(void) NEEDS(file_lock);
static void add_position(void) {
    const struct stream_position *p = &file.piece.position;
    if (!p->known || !aof_notes_have_sums() || !aof_notes_have_positions()) return;
    bool with_id = !file.has_data || strcmp(p->id, file.noted_id) != 0;
    aof_note_add_position(&file.pending, p, with_id, file.piece.in_stream);
    memcpy(file.noted_id, p->id, sizeof file.noted_id);
}

/* Takes what the journal has, with its notes; only the sum is still to be added. */
static void take_piece(void) NEEDS(file_lock);
static void take_piece(void) {
    file.piece = journal_swap(&file.pending);
    file.has_data = file.pending.len > 0;
    add_position();
    if (file.has_data) aof_note_stamp(&file.pending, file.size == 0 || file.note_at == 0);
}

static bool write_up_to(uint64_t offset) NEEDS(file_lock);
static bool write_up_to(uint64_t offset) {
    while (!aof_is_committed(offset)) {
        if (file.pending.len == 0) {
            take_piece();
            assert(file.piece.end >= offset); /* an offset beyond the journal's end would wait for ever */
        }
        if (file.pending.len == 0)
            raise_written(false);
        else if (!append_pending())
            return false;
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

static void finish_sync(struct reached target, int error, int64_t took_us) NEEDS(file_lock);
static void finish_sync(struct reached target, int error, int64_t took_us) {
    note_sync_took(took_us);
    if (took_us > SLOW_SYNC_US) {
        atomic_fetch_add_explicit(&delayed_fsyncs, 1, memory_order_relaxed);
        LOG_NOTICE("Asynchronous AOF fsync is taking too long (disk is busy?): it took %lld ms",
                   (long long)took_us / 1000);
    }
    if (error == 0) {
        raise_synced(target);
        sync_succeeded();
    } else {
        (void)sync_failed(error, "that were written", target.offset - atomic_load(&synced));
    }
    if (--file.syncs > 0) return;
    atomic_store(&syncing, false);
    pthread_cond_broadcast(&file.synced_all);
}

/* One fdatasync without the lock, so that commits go on meanwhile. False if it failed. */
static bool sync_file(void) {
    lock_take(&file_lock);
    struct reached target = { atomic_load(&written), file.written_position };
    if (file.opened && !settle_retired()) {
        lock_drop(&file_lock);
        return false;
    }
    bool needed = file.opened && (atomic_load(&synced) < target.offset || atomic_load(&sync_error) != 0);
    int fd = file.fd;
    if (needed) {
        file.syncs++;
        atomic_store(&syncing, true);
    }
    lock_drop(&file_lock);
    if (!needed) return true;
    int64_t begin = file_io.now_us();
    int error = file_io.fdatasync(fd) == 0 ? 0 : errno;
    lock_take(&file_lock);
    finish_sync(target, error, file_io.now_us() - begin);
    lock_drop(&file_lock);
    return error == 0;
}

bool aof_sync_now(void) { return aof_commit(journal_offset()) == COMMITTED && sync_file(); }

bool aof_sync_written(void) { return sync_file(); }

uint64_t aof_synced_offset(void) { return atomic_load_explicit(&synced, memory_order_acquire); }
uint64_t aof_synced_position(void) { return atomic_load_explicit(&synced_position, memory_order_acquire); }

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

/* Recovers when the disk works again but no client asks for anything. Writes only `pending`; the workers take
 * what is still in the journal. */
static void append_again(void) {
    lock_take(&file_lock);
    if (file.opened && file.pending.len > 0) (void)append_pending();
    lock_drop(&file_lock);
}

/* A failed fsync is tried again under any policy: nothing else would clear the failure. */
static void *sync_each_second(void *arg) {
    while (sleep_a_second()) {
        if (atomic_load_explicit(&write_error, memory_order_relaxed) != 0) append_again();
        bool due = policy_now() == FSYNC_EVERYSEC && !atomic_load(&paused);
        if (due || atomic_load(&sync_error) != 0) (void)sync_file();
    }
    return arg;
}

void aof_pause_sync(bool now) { atomic_store(&paused, now); }

static bool start_syncer(struct buf *error) {
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&syncer.wake, &steady);
    pthread_condattr_destroy(&steady);
    syncer.stopping = false;
    if (thread_start(&syncer.thread, "aof-sync", sync_each_second, NULL)) return true;
    buf_printf(error, "cannot start a thread: %s", file_errno_text(errno));
    pthread_cond_destroy(&syncer.wake);
    return false;
}

static void stop_syncer(void) {
    lock_take(&syncer.lock);
    syncer.stopping = true;
    pthread_cond_signal(&syncer.wake);
    lock_drop(&syncer.lock);
    pthread_join(syncer.thread, NULL);
    pthread_cond_destroy(&syncer.wake);
}

/* ---- opening and closing ---- */

bool aof_begin_appending(int fd, uint64_t size, uint64_t others_size, struct buf *error) {
    if (!start_syncer(error)) return false;
    lock_take(&file_lock);
    assert(!file.opened);
    file.fd = fd;
    file.size = size;
    file.others_size = others_size;
    file.must_cut = false;
    file.note_at = NOWHERE;
    file.noted_id[0] = '\0';
    file.opened = true;
    publish_size();
    atomic_store(&base_size, atomic_load(&files_size));
    atomic_store(&written, journal_offset());
    atomic_store(&synced, journal_offset());
    file.written_position = backlog_offset();
    atomic_store(&synced_position, file.written_position);
    atomic_store(&write_error, 0);
    atomic_store(&sync_error, 0);
    atomic_store(&enabled, true);
    journal_set_on(true);
    journal_restart();
    lock_drop(&file_lock);
    return true;
}

/* ---- another file ---- */

bool aof_switch_file(int fd) {
    lock_take(&file_lock);
    assert(file.opened);
    bool done = settle_retired() && write_up_to(journal_offset());
    if (done) {
        file.retired = file.fd;
        file.fd = fd;
        file.others_size += file.size;
        file.size = 0;
        file.note_at = NOWHERE;
        file.noted_id[0] = '\0';
        journal_begin_file();
    }
    lock_drop(&file_lock);
    return done;
}

void aof_set_others_size(uint64_t bytes) {
    lock_take(&file_lock);
    file.others_size = bytes;
    publish_size();
    atomic_store(&base_size, atomic_load(&files_size));
    lock_drop(&file_lock);
}

/* The last writes, the last fsync. False if bytes are lost. */
static bool flush_and_close(void) NEEDS(file_lock);
static bool flush_and_close(void) {
    while (file.syncs > 0) pthread_cond_wait(&file.synced_all, &file_lock.mutex);
    bool done = settle_retired() && write_up_to(journal_offset());
    if (!done && file.must_cut && !cut_back()) LOG_WARNING("AOF: the file ends with an unfinished write");
    if (file_io.fdatasync(file.fd) != 0) {
        LOG_WARNING("AOF: the last fsync failed: %s", file_errno_text(errno));
        done = false;
    }
    if (done) raise_synced((struct reached){ journal_offset(), file.written_position });
    close(file.fd);
    if (file.retired >= 0) close(file.retired);
    file.fd = file.retired = -1;
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
    journal_set_on(false);
    journal_restart();
    /* No reply waits for a file that is closed. */
    atomic_store(&written, journal_offset());
    atomic_store(&write_error, 0);
    atomic_store(&sync_error, 0);
    atomic_store(&enabled, false);
    atomic_store(&files_size, 0);
    atomic_store(&base_size, 0);
    lock_drop(&file_lock);
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
    if (error != 0) buf_append(out, slice_of(file_errno_text(error)));
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
        .last_fsync_us = atomic_load(&last_fsync_us),
    };
}
