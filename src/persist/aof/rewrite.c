/* rewrite.c: which files the AOF consists of, and the steps that change it: opening, a new base, history.
 *
 * A rewrite replaces base and incrementals by one new base, in four steps:
 *
 *   prepare   the next incremental is made, empty, and named in the manifest            background thread
 *   switch    from here on the journal goes into it; at the same instant a snapshot
 *             begins, which holds all that came before                                  gate closed
 *   (write)   the snapshot writes the base under a temporary name                       its thread
 *   publish   the base gets its name and its place in the manifest; what it replaces
 *             becomes history, and is removed in the background                         the snapshot's thread
 *
 * After a crash at any step the manifest names files that load: before publish the old base and incrementals
 * with the new incremental behind them, after it the new base and the new incremental. */
#include "aof_private.h"
#include "trivet/base/background.h"
#include "trivet/base/lock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/persist/journal_sink.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

/* Held while the manifest on disk changes. Not needed for writing into the open file. */
static struct lock manifest_lock = LOCK_INIT(LOCK_RANK_MANIFEST);

/* Under manifest_lock. */
static struct {
    uint64_t open_seq; /* of the incremental that is written to */
    int prepared;      /* the next one, -1 if there is none */
    uint64_t prepared_seq;
    /* The open one is not in the manifest on disk: there is no base for it yet. Any thread reads it without a
     * lock: a cron must not wait for the disk. */
    atomic_bool lacks_base;
} now = { .prepared = -1 };

/* ---- history files ---- */

static bool is_named(const struct aof_manifest *m, const struct aof_file *f) {
    for (size_t i = 0; i < m->count; i++)
        if (m->files[i].type == f->type && strcmp(m->files[i].name, f->name) == 0) return true;
    return false;
}

/* Files to remove, with their folder: `dir` may have changed when they are removed. */
struct history {
    struct aof_manifest files;
    struct buf folder;
};

static bool is_present_folder(const struct buf *folder) {
    struct buf now_path = { 0 };
    aof_path_of_folder(&now_path);
    bool same = slice_equal(buf_slice(folder), buf_slice(&now_path));
    buf_release(&now_path);
    return same;
}

/* Takes the removed files out of the manifest, which may have changed since. */
static void forget_history(const struct history *h) {
    struct aof_manifest m;
    struct buf error = { 0 };
    lock_take(&manifest_lock);
    bool present = is_present_folder(&h->folder);
    if (!present) buf_append(&error, LIT("'dir' is another folder by now"));
    bool done = present && aof_manifest_read(&m, &error) == MANIFEST_READ;
    for (size_t i = done ? m.count : 0; i > 0; i--)
        if (is_named(&h->files, &m.files[i - 1])) aof_manifest_remove(&m, i - 1);
    if (done) {
        done = aof_manifest_write(&m, &error);
        aof_manifest_release(&m);
    }
    lock_drop(&manifest_lock);
    /* Nothing is lost: the next start finds the entries and tries again. */
    if (!done) LOG_WARNING("AOF: history files stay in the manifest: %.*s", SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
}

/* A background job; it owns its argument. */
static void remove_history(void *arg) {
    struct history *h = arg;
    struct buf path = { 0 };
    for (size_t i = h->files.count; i > 0; i--) {
        const char *name = h->files.files[i - 1].name;
        buf_clear(&path);
        buf_printf(&path, "%.*s/%s", SLICE_ARG(buf_slice(&h->folder)), name);
        LOG_NOTICE("Removing the history file %s in the background", name);
        if (file_io.unlink(buf_cstr(&path)) == 0 || errno == ENOENT) continue;
        LOG_WARNING("AOF: cannot remove the history file %s: %s", name, file_errno_text(errno));
        aof_manifest_remove(&h->files, i - 1);
    }
    buf_release(&path);
    if (h->files.count > 0) forget_history(h);
    aof_manifest_release(&h->files);
    buf_release(&h->folder);
    mem_free(h);
}

/* Not under manifest_lock: without a background thread the job runs here. */
static void post_history(const struct aof_manifest *m) {
    struct history *h = mem_alloc_zero(sizeof *h);
    for (size_t i = 0; i < m->count; i++) {
        const struct aof_file *f = &m->files[i];
        if (f->type == AOF_FILE_HISTORY) aof_manifest_add(&h->files, slice_of(f->name), f->seq, f->type);
    }
    if (h->files.count == 0) {
        mem_free(h);
        return;
    }
    aof_path_of_folder(&h->folder);
    background_post(remove_history, h, 1);
}

/* ---- opening ---- */

/* Opens a file of the folder for appending; -1 with the reason in `error`. `size` gets its length. */
static int open_file(const char *name, int flags, uint64_t *size, struct buf *error) {
    struct buf path = { 0 };
    struct stat facts;
    int fd = file_io.open(aof_path_in_folder(&path, name), O_WRONLY | O_APPEND | flags, 0644);
    if (fd >= 0 && fstat(fd, &facts) != 0) {
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        buf_printf(error, "cannot open %s: %s", path.ptr, file_errno_text(errno));
    else
        *size = (uint64_t)facts.st_size;
    buf_release(&path);
    return fd;
}

/* Makes an incremental file: durable, empty; -1 with the reason in `error`. */
static int create_file(const char *name, struct buf *error) {
    struct buf folder = { 0 };
    uint64_t size;
    LOG_NOTICE("Creating AOF incr file %s", name);
    int fd = open_file(name, O_CREAT | O_TRUNC, &size, error);
    if (fd >= 0 && !file_sync_folder(aof_path_of_folder(&folder), error)) {
        close(fd);
        fd = -1;
    }
    buf_release(&folder);
    return fd;
}

/* The next incremental, named in `m`, not yet in the manifest on disk. */
static int create_incr(struct aof_manifest *m, struct buf *error) {
    return create_file(aof_manifest_add_next(m, AOF_FILE_INCR, "incr.aof")->name, error);
}

/* Bytes of all files but history and the last incremental. */
static uint64_t others_size(const struct aof_manifest *m) {
    struct buf path = { 0 };
    uint64_t sum = 0;
    for (size_t i = 0; i < m->count; i++) {
        uint64_t size;
        if (m->files[i].type == AOF_FILE_HISTORY || &m->files[i] == aof_manifest_last_incr(m)) continue;
        if (file_size(aof_path_in_folder(&path, m->files[i].name), &size)) sum += size;
    }
    buf_release(&path);
    return sum;
}

/* From now on the journal goes into `fd`, the last incremental of `m`. Closes it on failure. */
static bool begin_appending(int fd, uint64_t size, const struct aof_manifest *m, struct buf *error)
    NEEDS(manifest_lock);
static bool begin_appending(int fd, uint64_t size, const struct aof_manifest *m, struct buf *error) {
    if (!aof_begin_appending(fd, size, others_size(m), error)) {
        close(fd);
        return false;
    }
    now.open_seq = aof_manifest_last_incr(m)->seq;
    now.lacks_base = false;
    return true;
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

/* Syncs the existing files and their folder. A process that was killed may have left names and bytes
 * unsynced: a power cut could lose them and keep what is appended after them. */
static bool settle_folder(const struct aof_manifest *m, struct buf *error) {
    struct buf path = { 0 };
    bool done = file_sync_folder(aof_path_of_folder(&path), error);
    for (size_t i = 0; i < m->count && done; i++) {
        if (m->files[i].type != AOF_FILE_INCR) continue;
        int fd = file_io.open(aof_path_in_folder(&path, m->files[i].name), O_RDONLY, 0);
        done = fd >= 0 && file_io.fdatasync(fd) == 0;
        if (!done) buf_printf(error, "cannot fsync %s: %s", path.ptr, file_errno_text(errno));
        if (fd >= 0) close(fd);
    }
    buf_release(&path);
    return done;
}

/* A rewrite that did not finish left it there; it would take space until the next rewrite. */
static void remove_unfinished_base(void) {
    struct buf path = { 0 };
    uint64_t size;
    if (file_size(aof_path_of_new_base(&path), &size) && file_io.unlink(path.ptr) == 0)
        LOG_NOTICE("AOF: removed %s, which a rewrite did not finish", path.ptr);
    buf_release(&path);
}

bool aof_open(struct buf *error) {
    struct aof_manifest m;
    uint64_t size;
    int fd = -1;
    lock_take(&manifest_lock);
    bool readable = aof_manifest_read(&m, error) != MANIFEST_BROKEN;
    if (readable && aof_folder_make(error) && settle_folder(&m, error)) fd = open_last_incr(&m, &size, error);
    bool opened = fd >= 0 && begin_appending(fd, size, &m, error);
    lock_drop(&manifest_lock);
    if (opened) remove_unfinished_base();
    if (opened) post_history(&m);
    aof_manifest_release(&m);
    return opened;
}

/* ---- a new base ---- */

/* Renames the new base (synced, at a temporary path in the folder) to the name of the next base of `m`, and
 * syncs the folder. */
static bool adopt_base(struct aof_manifest *m, const char *written, bool is_rdb, struct buf *error) {
    struct buf path = { 0 };
    const struct aof_file *f = aof_manifest_add_next(m, AOF_FILE_BASE, is_rdb ? "base.rdb" : "base.aof");
    bool done = file_io.rename(written, aof_path_in_folder(&path, f->name)) == 0;
    if (!done)
        buf_printf(error, "cannot rename to %s: %s", path.ptr, file_errno_text(errno));
    else
        done = file_sync_folder(aof_path_of_folder(&path), error);
    buf_release(&path);
    return done;
}

static void make_history(struct aof_manifest *m, uint64_t before_incr) {
    for (size_t i = 0; i < m->count; i++)
        if (m->files[i].type == AOF_FILE_BASE || m->files[i].seq < before_incr)
            m->files[i].type = AOF_FILE_HISTORY;
}

bool aof_start_anew(aof_write_base *write_base, void *arg, bool is_rdb, struct buf *error) {
    struct aof_manifest m;
    struct buf path = { 0 };
    int fd = -1;
    lock_take(&manifest_lock);
    bool done = aof_manifest_read(&m, error) != MANIFEST_BROKEN && aof_folder_make(error);
    make_history(&m, UINT64_MAX);
    /* The lock is dropped because shards are locked before files, never after. Meanwhile the manifest on disk
     * can only lose history entries. Our manifest brings them back, and the next removal finds that the files
     * do not exist. */
    lock_drop(&manifest_lock);
    done = done && write_base(arg, aof_path_of_new_base(&path), error);
    lock_take(&manifest_lock);
    done = done && adopt_base(&m, path.ptr, is_rdb, error);
    /* A leftover is overwritten by the next try; removing it only saves space. */
    if (!done && path.len > 0) (void)file_io.unlink(path.ptr);
    if (done) fd = create_incr(&m, error);
    done = fd >= 0 && aof_manifest_write(&m, error);
    if (fd >= 0 && !done) close(fd);
    done = done && begin_appending(fd, 0, &m, error);
    lock_drop(&manifest_lock);
    if (done) post_history(&m);
    aof_manifest_release(&m);
    buf_release(&path);
    return done;
}

/* The temporary name of an incremental without a base: no start loads such a file. */
static const char *unnamed(struct buf *out, uint64_t seq) {
    buf_clear(out);
    buf_printf(out, "temp-%s.%llu.incr.aof", aof_settings.filename, (unsigned long long)seq);
    return buf_cstr(out);
}

/* No number is used twice while the process lives, so a late base is never taken for another's. */
static int create_unnamed(struct aof_manifest *m, uint64_t *seq, struct buf *error) NEEDS(manifest_lock);
static int create_unnamed(struct aof_manifest *m, uint64_t *seq, struct buf *error) {
    struct buf name = { 0 };
    aof_manifest_add(m, LIT("the last one"), now.open_seq, AOF_FILE_INCR);
    *seq = aof_manifest_add_next(m, AOF_FILE_INCR, "incr.aof")->seq;
    int fd = create_file(unnamed(&name, *seq), error);
    buf_release(&name);
    return fd;
}

/* It is in `m` from now on. */
static bool give_name(struct aof_manifest *m, uint64_t seq, struct buf *error) {
    struct buf from = { 0 }, to = { 0 }, name = { 0 };
    aof_path_in_folder(&from, unnamed(&name, seq));
    buf_clear(&name);
    buf_printf(&name, "%s.%llu.incr.aof", aof_settings.filename, (unsigned long long)seq);
    aof_manifest_add(m, buf_slice(&name), seq, AOF_FILE_INCR);
    bool done = file_io.rename(from.ptr, aof_path_in_folder(&to, buf_cstr(&name))) == 0;
    if (!done) buf_printf(error, "cannot rename %s to %s: %s", from.ptr, to.ptr, file_errno_text(errno));
    buf_release(&from);
    buf_release(&to);
    buf_release(&name);
    return done;
}

static void unlink_path(void *arg) {
    if (file_io.unlink(arg) != 0 && errno != ENOENT)
        LOG_WARNING("AOF: cannot remove %s: %s", (char *)arg, file_errno_text(errno));
    mem_free(arg);
}

/* Gives up an incremental that will never get a base. */
static void remove_unnamed(uint64_t seq) {
    struct buf path = { 0 }, name = { 0 };
    aof_path_in_folder(&path, unnamed(&name, seq));
    background_post(unlink_path, mem_strdup(path.ptr), 0);
    buf_release(&path);
    buf_release(&name);
}

bool aof_begin_anew(struct buf *error) {
    struct aof_manifest m;
    int fd = -1;
    lock_take(&manifest_lock);
    uint64_t before = now.open_seq, seq;
    if (aof_manifest_read(&m, error) != MANIFEST_BROKEN && aof_folder_make(error))
        fd = create_unnamed(&m, &seq, error);
    bool begun = fd >= 0 && aof_begin_appending(fd, 0, 0, error);
    if (fd >= 0 && !begun) {
        close(fd);
        remove_unnamed(seq);
    }
    if (begun) {
        if (now.lacks_base) remove_unnamed(before);
        now.open_seq = seq;
        now.lacks_base = true;
    }
    aof_manifest_release(&m);
    lock_drop(&manifest_lock);
    return begun;
}

bool aof_lacks_base(void) { return atomic_load_explicit(&now.lacks_base, memory_order_relaxed); }

/* ---- rewriting ---- */

const char *aof_path_of_new_base(struct buf *out) { return aof_path_in_folder(out, "temp-rewrite.aof"); }

/* Syncs the rename: the thread or process that did it may have failed, or died, before its sync. */
static int open_named_incr(const struct aof_file *f, struct buf *error) {
    struct buf path = { 0 };
    uint64_t size;
    int fd = file_sync_folder(aof_path_of_folder(&path), error) ? open_file(f->name, 0, &size, error) : -1;
    buf_release(&path);
    return fd;
}

/* An earlier rewrite that failed before its switch may have left the next incremental, empty. */
static int open_next_incr(struct aof_manifest *m, struct buf *error) NEEDS(manifest_lock);
static int open_next_incr(struct aof_manifest *m, struct buf *error) {
    const struct aof_file *last = aof_manifest_last_incr(m);
    if (last && last->seq > now.open_seq) {
        now.prepared_seq = last->seq;
        return open_named_incr(last, error);
    }
    int fd = create_incr(m, error);
    if (fd < 0) return fd;
    now.prepared_seq = aof_manifest_last_incr(m)->seq;
    if (aof_manifest_write(m, error)) return fd;
    close(fd);
    return -1;
}

/* Reads the manifest on disk; a missing one is an error, except where this call makes it. */
static bool read_manifest(struct aof_manifest *m, struct buf *error) NEEDS(manifest_lock);
static bool read_manifest(struct aof_manifest *m, struct buf *error) {
    enum aof_manifest_read got = aof_manifest_read(m, error);
    if (got == MANIFEST_ABSENT && !now.lacks_base) buf_append(error, LIT("the manifest of the AOF is gone"));
    return got == MANIFEST_READ || (got == MANIFEST_ABSENT && now.lacks_base);
}

bool aof_rewrite_prepare(struct buf *error) {
    struct aof_manifest m;
    lock_take(&manifest_lock);
    assert(now.prepared < 0);
    /* Without a base for the open one, the next has no name either. */
    if (read_manifest(&m, error))
        now.prepared =
            now.lacks_base ? create_unnamed(&m, &now.prepared_seq, error) : open_next_incr(&m, error);
    bool done = now.prepared >= 0;
    aof_manifest_release(&m);
    lock_drop(&manifest_lock);
    /* Syncs now what would otherwise be synced at the switch, while commands wait. A failure is reported
     * there. */
    if (done) (void)aof_sync_written();
    return done;
}

void aof_rewrite_drop(void) {
    lock_take(&manifest_lock);
    if (now.prepared >= 0) close(now.prepared);
    now.prepared = -1;
    lock_drop(&manifest_lock);
}

bool aof_rewrite_switch(struct buf *error) {
    lock_take(&manifest_lock);
    assert(now.prepared >= 0);
    uint64_t before = now.open_seq;
    bool done = aof_switch_file(now.prepared);
    if (done) {
        now.open_seq = now.prepared_seq;
        now.prepared = -1;
        if (now.lacks_base) remove_unnamed(before);
    }
    lock_drop(&manifest_lock);
    if (!done) {
        aof_failure(error);
        aof_rewrite_drop();
    }
    return done;
}

uint64_t aof_incr_in_use(void) {
    lock_take(&manifest_lock);
    uint64_t seq = now.open_seq;
    lock_drop(&manifest_lock);
    return seq;
}

/* The base got its name, but the manifest could not be replaced: remove it, it only takes room. It stays if
 * the manifest on disk does name it, because only the folder's fsync failed. */
static void remove_unnamed_base(const struct aof_file *base) {
    struct aof_manifest m;
    struct buf path = { 0 }, error = { 0 };
    bool unnamed = aof_manifest_read(&m, &error) != MANIFEST_BROKEN && !is_named(&m, base);
    if (unnamed)
        (void)file_io.unlink(aof_path_in_folder(&path, base->name)); /* else the next try replaces it */
    aof_manifest_release(&m);
    buf_release(&path);
    buf_release(&error);
}

static bool put_base(struct aof_manifest *m, bool is_rdb, struct buf *error) NEEDS(manifest_lock);
static bool put_base(struct aof_manifest *m, bool is_rdb, struct buf *error) {
    struct buf path = { 0 };
    make_history(m, now.lacks_base ? UINT64_MAX : now.open_seq);
    bool adopted = adopt_base(m, aof_path_of_new_base(&path), is_rdb, error);
    bool done = adopted && aof_manifest_write(m, error);
    if (adopted && !done) remove_unnamed_base(aof_manifest_base(m));
    buf_release(&path);
    /* The manifest is written twice. The first one names the base alone, then the incremental gets its name,
     * then the second one names it too. After a crash in between, the base loads, and the incremental is a
     * file that no manifest names. If the incremental got its name first, a crash would leave that file
     * in a folder that may have no manifest at all, and a start refuses such a folder. */
    if (done && now.lacks_base) done = give_name(m, now.open_seq, error) && aof_manifest_write(m, error);
    return done;
}

bool aof_rewrite_publish(uint64_t first_incr, bool is_rdb, struct buf *error) {
    struct aof_manifest m = { 0 };
    lock_take(&manifest_lock);
    bool done = now.open_seq == first_incr;
    if (!done) buf_append(error, LIT("the append only file was turned off and on meanwhile"));
    done = done && read_manifest(&m, error) && put_base(&m, is_rdb, error);
    if (done) {
        now.lacks_base = false;
        aof_set_others_size(others_size(&m));
    }
    lock_drop(&manifest_lock);
    if (done) post_history(&m);
    aof_manifest_release(&m);
    return done;
}

/* ---- a base alone ---- */

bool aof_base_prepare(struct buf *error) {
    lock_take(&manifest_lock);
    bool done = aof_folder_make(error);
    lock_drop(&manifest_lock);
    return done;
}

bool aof_base_publish(bool is_rdb, struct buf *error) {
    struct aof_manifest m;
    struct buf path = { 0 };
    lock_take(&manifest_lock);
    bool done = aof_manifest_read(&m, error) != MANIFEST_BROKEN;
    make_history(&m, UINT64_MAX);
    bool adopted = done && adopt_base(&m, aof_path_of_new_base(&path), is_rdb, error);
    done = adopted && aof_manifest_write(&m, error);
    if (adopted && !done) remove_unnamed_base(aof_manifest_base(&m));
    lock_drop(&manifest_lock);
    if (done) post_history(&m);
    aof_manifest_release(&m);
    buf_release(&path);
    return done;
}

bool aof_is_there(void) {
    struct aof_manifest m;
    struct buf path = { 0 }, error = { 0 };
    uint64_t size;
    bool there =
        aof_manifest_read(&m, &error) != MANIFEST_ABSENT || file_size(aof_path_of_old_file(&path), &size);
    aof_manifest_release(&m);
    buf_release(&path);
    buf_release(&error);
    return there;
}
