/* load.c: start-up: all files of the manifest in order, into the running server through `run`.
 *
 * Nothing on disk changes until everything has loaded. Only then a bad tail is cut off, or an old single file
 * is moved into its folder. A tail can only be bad in the file that was being written, which is the last one
 * that is not empty (a rewrite names the next file in the manifest before it goes over to it); damage
 * anywhere else is refused. What may be cut off, and it takes load_truncated for all of it:
 *
 *   the file ends in a record or a transaction         always
 *   zeros up to the end                                within corrupt_tail_max, or if that is 0
 *   a wrong checksum, something else than a record     within corrupt_tail_max, so by default (0) never */
#include "aof_private.h"
#include "trivet/base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define LLU(n) (unsigned long long)(n)

/* A file to load. */
struct part {
    const char *path; /* owned by the caller */
    const char *name; /* for the log */
    const char *kind; /* "base", "incr", or NULL for an old single file */
    bool is_last;     /* of those that are not empty */
};

struct loading {
    const struct aof_load *how;
    uint64_t done, total; /* bytes */
};

/* ---- what a bad tail means ---- */

static bool may_cut(const struct aof_read *read, enum aof_read_end end) {
    uint64_t lost = read->size - read->good;
    bool within = lost <= aof_settings.corrupt_tail_max;
    if (!aof_settings.load_truncated) return false;
    if (end == AOF_READ_TORN) return !read->zeros || aof_settings.corrupt_tail_max == 0 || within;
    return within;
}

static const char *what_is_cut(const struct aof_read *read, enum aof_read_end end) {
    if (end == AOF_READ_BAD) return "damaged bytes";
    if (read->zeros) return "zeros, with what they stand for";
    return read->in_transaction ? "an unfinished transaction" : "an unfinished command";
}

static bool cut(const struct part *part, const struct aof_read *read, enum aof_read_end end) {
    int fd = file_io.open(part->path, O_WRONLY, 0);
    bool done = fd >= 0 && file_io.ftruncate(fd, (off_t)read->good) == 0 && file_io.fsync(fd) == 0;
    if (done) {
        LOG_WARNING("Truncating the AOF %s at offset %llu", part->name, LLU(read->good));
        LOG_WARNING("AOF file %s: cut at offset %llu: the last %llu bytes were %s", part->name,
                    LLU(read->good), LLU(read->size - read->good), what_is_cut(read, end));
        LOG_WARNING("AOF loaded anyway because aof-load-truncated is enabled");
    } else {
        LOG_WARNING("AOF file %s: its last %llu bytes are %s, and cutting them off failed: %s", part->name,
                    LLU(read->size - read->good), what_is_cut(read, end), file_errno_text(errno));
    }
    if (fd >= 0) close(fd);
    return done;
}

static void refuse_tail(const struct part *part, const struct aof_read *read, enum aof_read_end end) {
    const char *advice = !part->is_last                ? "only the last file may end so"
                         : aof_settings.load_truncated ? "see aof-load-corrupt-tail-max-size"
                                                       : "aof-load-truncated is 'no'";
    LOG_WARNING("Unexpected end of file reading the append only file: %s", part->name);
    LOG_WARNING("AOF file %s, offset %llu: it ends with %llu bytes of %s; not loaded: %s", part->name,
                LLU(read->good), LLU(read->size - read->good), what_is_cut(read, end), advice);
}

static void refuse_damage(const struct part *part, const struct aof_read *read) {
    LOG_WARNING("Bad file format reading the append only file: %s", part->name);
    LOG_WARNING(
        "AOF file %s, offset %llu: damaged: %.*s. The last whole command ends at offset %llu of %llu. "
        "Not loaded: make a backup of all AOF files; then %s",
        part->name, LLU(read->offset), SLICE_ARG(buf_slice(&read->reason)), LLU(read->good), LLU(read->size),
        part->is_last ? "'trivet-check-aof --fix' on the manifest (or on an old single file) can cut "
                        "off what is behind it"
                      : "bring back the file from an older backup: more files follow, so nothing can "
                        "be cut off here");
}

static void refuse_file(const struct part *part, const struct aof_read *read, enum aof_read_end end) {
    struct slice reason = buf_slice(&read->reason);
    switch (end) {
    case AOF_READ_WHOLE: return;
    case AOF_READ_TORN: refuse_tail(part, read, end); return;
    case AOF_READ_BAD: refuse_damage(part, read); return;
    case AOF_READ_RDB:
        LOG_WARNING(
            "AOF file %s, offset 0: it begins as an RDB file, and the loader was given no reader for those",
            part->name);
        return;
    case AOF_READ_REFUSED:
        LOG_WARNING("AOF file %s, offset %llu: %.*s", part->name, LLU(read->offset), SLICE_ARG(reason));
        return;
    case AOF_READ_FAILED: LOG_WARNING("AOF file %s: %.*s", part->name, SLICE_ARG(reason)); return;
    }
}

/* ---- one file ---- */

static void log_loaded(const struct part *part, int64_t took_us) {
    double seconds = (double)took_us / 1e6;
    if (part->kind)
        LOG_NOTICE("DB loaded from %s file %s: %.3f seconds", part->kind, part->name, seconds);
    else
        LOG_NOTICE("DB loaded from append only file %s: %.3f seconds", part->name, seconds);
}

static bool load_part(struct loading *l, const struct part *part) {
    int64_t begin = file_io.now_us();
    struct aof_read read;
    enum aof_read_end end = aof_read_file(part->path, l->how, l->done, l->total, &read);
    l->done += read.size;
    bool loaded = end == AOF_READ_WHOLE;
    bool bad_tail = end == AOF_READ_TORN || end == AOF_READ_BAD;
    if (bad_tail && part->is_last && may_cut(&read, end))
        loaded = cut(part, &read, end);
    else if (!loaded)
        refuse_file(part, &read, end);
    if (loaded && read.errors > 0)
        LOG_WARNING("AOF file %s: loaded, but %llu of its %llu commands failed", part->name, LLU(read.errors),
                    LLU(read.commands));
    if (loaded) log_loaded(part, file_io.now_us() - begin);
    buf_release(&read.reason);
    return loaded;
}

/* Every file begins in database 0, whatever database the file before ended in. */
static bool begin_in_db_0(const struct aof_load *how) {
    struct slice argv[2] = { LIT("SELECT"), LIT("0") };
    struct buf error = { 0 };
    bool done = how->run(how->arg, argv, 2, &error);
    if (!done) LOG_WARNING("Cannot load the AOF: SELECT 0 failed: %.*s", SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
    return done;
}

/* ---- an old single file ---- */

/* Moves it into the folder, whose manifest names it as the base already. */
static bool move_old_file(struct buf *error) {
    struct buf from = { 0 }, to = { 0 };
    aof_path_of_old_file(&from);
    aof_path_in_folder(&to, aof_settings.filename);
    bool done = file_io.rename(from.ptr, to.ptr) == 0;
    if (!done) buf_printf(error, "cannot move %s to %s: %s", from.ptr, to.ptr, file_errno_text(errno));
    buf_release(&from);
    if (done)
        done = file_sync_folder(aof_path_of_folder(&to), error) && file_sync_folder(aof_settings.dir, error);
    buf_release(&to);
    return done;
}

/* First the manifest, then the move: after a crash in between, the manifest names a file that is still
 * outside the folder. The next start notices that and moves it (is_half_upgraded). */
static bool upgrade(void) {
    struct aof_manifest m = { 0 };
    aof_manifest_add(&m, slice_of(aof_settings.filename), 1, AOF_FILE_BASE);
    struct buf error = { 0 };
    bool done = aof_folder_make(&error) && aof_manifest_write(&m, &error) && move_old_file(&error);
    if (done)
        LOG_NOTICE("Moved the append only file %s into the folder %s", aof_settings.filename,
                   aof_settings.dirname);
    else
        LOG_WARNING("Cannot move the append only file into its folder: %.*s", SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
    aof_manifest_release(&m);
    return done;
}

static bool load_old_file(struct loading *l) {
    struct buf path = { 0 };
    struct part part = { aof_path_of_old_file(&path), aof_settings.filename, NULL, true };
    if (!file_size(part.path, &l->total)) l->total = 0; /* opening it will say why */
    bool loaded = load_part(l, &part);
    buf_release(&path);
    return loaded;
}

static bool is_half_upgraded(const struct aof_manifest *m) {
    if (m->count != 1 || m->files[0].type != AOF_FILE_BASE) return false;
    if (strcmp(m->files[0].name, aof_settings.filename) != 0) return false;
    struct buf path = { 0 };
    uint64_t size;
    bool half = !file_size(aof_path_in_folder(&path, m->files[0].name), &size) &&
                file_size(aof_path_of_old_file(&path), &size);
    buf_release(&path);
    return half;
}

static enum aof_loaded finish_upgrade(struct loading *l) {
    struct buf error = { 0 };
    bool done = load_old_file(l) && move_old_file(&error);
    if (error.len > 0)
        LOG_WARNING("Cannot finish the upgrade of the AOF: %.*s", SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
    return done ? AOF_LOADED : AOF_REFUSED;
}

/* There is no manifest. */
static enum aof_loaded load_without_manifest(struct loading *l) {
    struct buf text = { 0 };
    enum aof_loaded result = AOF_EMPTY;
    if (aof_folder_has_incr(&text)) {
        LOG_WARNING(
            "The folder %s holds the AOF file %.*s but no manifest; not started, so that nothing is lost",
            aof_settings.dirname, SLICE_ARG(buf_slice(&text)));
        result = AOF_REFUSED;
    } else if (file_size(aof_path_of_old_file(&text), &l->total)) {
        uint64_t size;
        if (file_size(aof_path_in_folder(&text, aof_settings.filename), &size)) {
            LOG_WARNING("There is an append only file %s both in %s and in its folder %s",
                        aof_settings.filename, aof_settings.dir, aof_settings.dirname);
            result = AOF_REFUSED;
        } else {
            result = load_old_file(l) && upgrade() ? AOF_LOADED : AOF_REFUSED;
        }
    }
    buf_release(&text);
    return result;
}

/* ---- all files ---- */

/* Adds up the sizes; false if a file that the manifest names is not there. */
static bool measure(const struct aof_manifest *m, uint64_t *total) {
    struct buf path = { 0 };
    bool all = true;
    for (size_t i = 0; i < m->count && all; i++) {
        uint64_t size = 0;
        if (m->files[i].type == AOF_FILE_HISTORY) continue;
        all = file_size(aof_path_in_folder(&path, m->files[i].name), &size);
        *total += size;
        if (!all)
            LOG_WARNING("AOF file %s is named by the manifest but does not exist: %s", m->files[i].name,
                        file_errno_text(ENOENT));
    }
    buf_release(&path);
    return all;
}

/* The last file that is not empty; the first one if all are. */
static size_t last_written(const struct aof_manifest *m) {
    struct buf path = { 0 };
    size_t last = 0;
    for (size_t i = 0; i < m->count; i++) {
        uint64_t size = 0;
        if (m->files[i].type == AOF_FILE_HISTORY) continue;
        if (file_size(aof_path_in_folder(&path, m->files[i].name), &size) && size > 0) last = i;
    }
    buf_release(&path);
    return last;
}

static enum aof_loaded load_parts(struct loading *l, const struct aof_manifest *m) {
    if (!measure(m, &l->total)) return AOF_REFUSED;
    struct buf path = { 0 };
    bool loaded = true, first = true;
    size_t last = last_written(m);
    for (size_t i = 0; i < m->count && loaded; i++) {
        const struct aof_file *f = &m->files[i];
        if (f->type == AOF_FILE_HISTORY) continue;
        struct part part = { aof_path_in_folder(&path, f->name), f->name,
                             f->type == AOF_FILE_BASE ? "base" : "incr", i == last };
        loaded = (first || begin_in_db_0(l->how)) && load_part(l, &part);
        first = false;
    }
    buf_release(&path);
    return loaded ? AOF_LOADED : AOF_REFUSED;
}

enum aof_loaded aof_load(const struct aof_load *how) {
    struct loading l = { .how = how };
    struct aof_manifest m;
    struct buf error = { 0 };
    enum aof_loaded result = AOF_REFUSED;
    switch (aof_manifest_read(&m, &error)) {
    case MANIFEST_BROKEN: LOG_WARNING("Cannot load the AOF: %.*s", SLICE_ARG(buf_slice(&error))); break;
    case MANIFEST_ABSENT: result = load_without_manifest(&l); break;
    case MANIFEST_READ: result = is_half_upgraded(&m) ? finish_upgrade(&l) : load_parts(&l, &m); break;
    }
    buf_release(&error);
    aof_manifest_release(&m);
    return result;
}
