/* folder.c: the AOF's folder: which files there are, under which names, and how that list is replaced.
 *
 * The manifest decides: a file that it does not name is ignored. So every change makes the new files first,
 * makes them durable, then replaces the manifest in one rename. Whenever a crash happens, the manifest is the
 * old one or the new one, and all files that it names exist.
 *
 * A line of it is "file <name> seq <number> type <b|h|i>": base, history, incremental. Names that need it are
 * quoted as in a config file; unknown words come in pairs and are skipped.
 * Source of the format: Valkey's public description of multi-part AOF. */
#include "aof_private.h"
#include "trivet/base/clock.h"
#include "trivet/base/grow.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/resp/parser.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST_MAX (1024 * 1024) /* a bigger one is not a manifest */

struct aof_settings aof_settings;

/* Guards `dir`: threads make paths while another worker may set a new `dir` and turn the AOF on. The other
 * two texts never change. */
static struct lock settings_lock = LOCK_INIT(LOCK_RANK_LEAF);

static void replace_text(const char **text, const char *with) {
    if (*text && strcmp(*text, with) == 0) return;
    char *copy = mem_strdup(with);
    mem_free(unconst(*text));
    *text = copy;
}

void aof_configure(const struct aof_settings *settings) {
    lock_take(&settings_lock);
    replace_text(&aof_settings.dir, settings->dir);
    replace_text(&aof_settings.dirname, settings->dirname);
    replace_text(&aof_settings.filename, settings->filename);
    aof_settings.fsync = settings->fsync;
    aof_settings.load_truncated = settings->load_truncated;
    aof_settings.corrupt_tail_max = settings->corrupt_tail_max;
    aof_settings.timestamps = settings->timestamps;
    aof_settings.checksums = settings->checksums;
    lock_drop(&settings_lock);
    aof_set_fsync(settings->fsync);
    aof_set_timestamps(settings->timestamps);
    aof_set_checksums(settings->checksums);
}

/* ---- paths ---- */

static const char *join_path(struct buf *out, const char *b, const char *c) {
    buf_clear(out);
    lock_take(&settings_lock);
    buf_printf(out, c ? "%s/%s/%s" : "%s/%s", aof_settings.dir, b, c);
    lock_drop(&settings_lock);
    return buf_cstr(out);
}

const char *aof_path_in_folder(struct buf *out, const char *name) {
    return join_path(out, aof_settings.dirname, name);
}

const char *aof_path_of_folder(struct buf *out) { return join_path(out, aof_settings.dirname, NULL); }

const char *aof_path_of_old_file(struct buf *out) { return join_path(out, aof_settings.filename, NULL); }

static const char *path_of_manifest(struct buf *out, const char *prefix) {
    struct buf name = { 0 };
    buf_printf(&name, "%s%s.manifest", prefix, aof_settings.filename);
    aof_path_in_folder(out, buf_cstr(&name));
    buf_release(&name);
    return out->ptr;
}

/* ---- the folder ---- */

bool aof_folder_make(struct buf *error) {
    struct buf path = { 0 };
    bool done = file_io.mkdir(aof_path_of_folder(&path), 0755) == 0 || errno == EEXIST;
    if (!done) file_failed(error, "make folder", path.ptr);
    /* Sync the parent even if the folder was there: the process that made it may have failed, or died, before
     * its sync. */
    if (done) done = file_sync_folder(aof_settings.dir, error);
    buf_release(&path);
    return done;
}

/* "<appendfilename>.<digits>.incr.aof". */
static bool is_incr_name(struct slice name) {
    struct slice start = slice_of(aof_settings.filename), end = LIT(".incr.aof");
    if (name.len < start.len + end.len + 2 || !slice_starts_with(name, start)) return false;
    if (!slice_equal(slice_make(name.ptr + name.len - end.len, end.len), end)) return false;
    uint64_t seq;
    return name.ptr[start.len] == '.' &&
           uint64_parse(slice_make(name.ptr + start.len + 1, name.len - start.len - end.len - 1), &seq);
}

bool aof_folder_has_incr(struct buf *name) {
    struct buf path = { 0 };
    DIR *folder = opendir(aof_path_of_folder(&path));
    bool found = false;
    struct dirent *entry;
    while (folder && !found && (entry = readdir(folder)) != NULL) {
        uint64_t size;
        if (!is_incr_name(slice_of(entry->d_name))) continue;
        found = file_size(aof_path_in_folder(&path, entry->d_name), &size) && size > 0;
        if (found) buf_append(name, slice_of(entry->d_name));
    }
    if (folder) closedir(folder);
    buf_release(&path);
    return found;
}

/* ---- the list ---- */

void aof_manifest_release(struct aof_manifest *m) {
    for (size_t i = 0; i < m->count; i++) mem_free(m->files[i].name);
    mem_free(m->files);
    *m = (struct aof_manifest){ 0 };
}

void aof_manifest_add(struct aof_manifest *m, struct slice name, uint64_t seq, enum aof_file_type type) {
    GROW(m->files, m->count, &m->room, 4);
    m->files[m->count++] = (struct aof_file){ .name = slice_to_cstr(name), .seq = seq, .type = type };
}

void aof_manifest_remove(struct aof_manifest *m, size_t index) {
    assert(index < m->count);
    mem_free(m->files[index].name);
    m->count--;
    memmove(m->files + index, m->files + index + 1, (m->count - index) * sizeof *m->files);
}

static bool has_name(const struct aof_manifest *m, struct slice name) {
    for (size_t i = 0; i < m->count; i++)
        if (slice_equal(slice_of(m->files[i].name), name)) return true;
    return false;
}

/* History files keep their numbers but not their type, so a new number is above all of them: no name is used
 * twice, even while old files wait for their removal. */
static uint64_t next_seq(const struct aof_manifest *m, enum aof_file_type type) {
    uint64_t highest = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct aof_file *f = &m->files[i];
        if (f->type != type && f->type != AOF_FILE_HISTORY) continue;
        if (f->seq > highest) highest = f->seq;
    }
    return highest + 1;
}

/* An incremental with bytes that the manifest does not name may be somebody's data: its name is not used
 * again. */
static bool is_taken(const char *name, enum aof_file_type type) {
    struct buf path = { 0 };
    uint64_t size;
    bool taken = type == AOF_FILE_INCR && file_size(aof_path_in_folder(&path, name), &size) && size > 0;
    buf_release(&path);
    return taken;
}

const struct aof_file *aof_manifest_add_next(struct aof_manifest *m, enum aof_file_type type,
                                             const char *suffix) {
    uint64_t seq = next_seq(m, type);
    struct buf name = { 0 };
    /* A manifest from elsewhere may use our names with other numbers. */
    for (;; seq++) {
        buf_clear(&name);
        buf_printf(&name, "%s.%llu.%s", aof_settings.filename, (unsigned long long)seq, suffix);
        if (!has_name(m, buf_slice(&name)) && !is_taken(buf_cstr(&name), type)) break;
    }
    aof_manifest_add(m, buf_slice(&name), seq, type);
    buf_release(&name);
    return &m->files[m->count - 1];
}

const struct aof_file *aof_manifest_base(const struct aof_manifest *m) {
    for (size_t i = 0; i < m->count; i++)
        if (m->files[i].type == AOF_FILE_BASE) return &m->files[i];
    return NULL;
}

const struct aof_file *aof_manifest_last_incr(const struct aof_manifest *m) {
    const struct aof_file *last = NULL;
    for (size_t i = 0; i < m->count; i++)
        if (m->files[i].type == AOF_FILE_INCR) last = &m->files[i];
    return last;
}

/* ---- text to list ---- */

/* The values of one line; NULL if the line lacks it. */
struct line {
    struct slice name, seq, type;
};

static bool line_from_words(const struct slice *words, size_t count, struct line *out) {
    *out = (struct line){ 0 };
    if (count % 2 != 0) return false;
    for (size_t i = 0; i < count; i += 2) {
        if (slice_equal_nocase(words[i], LIT("file")))
            out->name = words[i + 1];
        else if (slice_equal_nocase(words[i], LIT("seq")))
            out->seq = words[i + 1];
        else if (slice_equal_nocase(words[i], LIT("type")))
            out->type = words[i + 1];
    }
    return out->name.ptr && out->seq.ptr && out->type.ptr;
}

static bool is_plain_name(struct slice name) {
    if (name.len == 0 || slice_equal(name, LIT(".")) || slice_equal(name, LIT(".."))) return false;
    return !memchr(name.ptr, '/', name.len) && !memchr(name.ptr, '\0', name.len);
}

static bool is_type(struct slice type) { return type.len == 1 && strchr("bhi", type.ptr[0]) != NULL; }

/* NULL, or the reason why this file cannot follow those read before. */
static const char *objection(const struct aof_manifest *m, const struct line *line, uint64_t seq) {
    if (!is_plain_name(line->name)) return "a file's name must not be empty or a path";
    if (!is_type(line->type)) return "Unknown AOF file type: it is b, h or i";
    if (has_name(m, line->name)) return "a file is named twice";
    if (line->type.ptr[0] == AOF_FILE_BASE && aof_manifest_base(m))
        return "Found duplicate base file information";
    const struct aof_file *last = aof_manifest_last_incr(m);
    if (line->type.ptr[0] == AOF_FILE_INCR && last && seq <= last->seq)
        return "Found a non-monotonic sequence number";
    return NULL;
}

static const char *add_words(struct aof_manifest *m, const struct slice *words, size_t count) {
    struct line line;
    if (!line_from_words(words, count, &line)) return "expected 'file <name> seq <number> type <b|h|i>'";
    uint64_t seq;
    if (!uint64_parse(line.seq, &seq)) return "the number of a file is not a number";
    const char *wrong = objection(m, &line, seq);
    if (!wrong) aof_manifest_add(m, line.name, seq, (enum aof_file_type)line.type.ptr[0]);
    return wrong;
}

static const char *add_line(struct aof_manifest *m, struct slice text) {
    struct slice *words;
    size_t count;
    char *store;
    if (!split_line(text, &words, &count, &store)) return "unbalanced quotes";
    const char *wrong = add_words(m, words, count);
    mem_free(words);
    mem_free(store);
    return wrong;
}

static bool broken_manifest(struct aof_manifest *m, struct buf *error, size_t line, const char *why) {
    aof_manifest_release(m);
    buf_printf(error, "Invalid AOF manifest file format: line %zu of the manifest: %s", line, why);
    return false;
}

/* Base before incrementals: the order of loading, whatever the order in the file. */
static void base_first(struct aof_manifest *m) {
    const struct aof_file *base = aof_manifest_base(m);
    if (!base) return;
    struct aof_file moved = *base;
    size_t at = (size_t)(base - m->files);
    memmove(m->files + 1, m->files, at * sizeof *m->files);
    m->files[0] = moved;
}

bool aof_manifest_parse(struct slice text, struct aof_manifest *m, struct buf *error) {
    *m = (struct aof_manifest){ 0 };
    const char *at = text.ptr, *end = text.ptr + text.len;
    size_t number = 0;
    while (at < end) {
        number++;
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) return broken_manifest(m, error, number, "the line does not end");
        struct slice line = slice_between(at, stop);
        at = stop + 1;
        if (slice_starts_with(line, LIT("#"))) continue;
        const char *wrong = line.len == 0 ? "an empty line" : add_line(m, line);
        if (wrong) return broken_manifest(m, error, number, wrong);
    }
    if (m->count == 0) return broken_manifest(m, error, number, "Found an empty AOF manifest");
    base_first(m);
    return true;
}

/* ---- list to text ---- */

static bool needs_quotes(const char *name) {
    for (; *name; name++)
        if (*name <= ' ' || *name > '~' || strchr("\"'\\", *name)) return true;
    return false;
}

static void put_name(struct buf *out, const char *name) {
    if (!needs_quotes(name)) {
        buf_append(out, slice_of(name));
        return;
    }
    buf_append_byte(out, '"');
    for (; *name; name++) {
        if (*name == '"' || *name == '\\')
            buf_printf(out, "\\%c", *name);
        else if (*name >= ' ' && *name <= '~')
            buf_append_byte(out, *name);
        else
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)*name);
    }
    buf_append_byte(out, '"');
}

/* The base first, then history, then incrementals, as Redis and Valkey write it. */
void aof_manifest_format(const struct aof_manifest *m, struct buf *out) {
    static const char order[] = { AOF_FILE_BASE, AOF_FILE_HISTORY, AOF_FILE_INCR };
    for (size_t k = 0; k < COUNT_OF(order) * m->count; k++) {
        const struct aof_file *f = &m->files[k % m->count];
        if ((char)f->type != order[k / m->count]) continue;
        buf_append(out, LIT("file "));
        put_name(out, f->name);
        buf_printf(out, " seq %llu type %c\n", (unsigned long long)f->seq, (char)f->type);
    }
}

/* ---- on disk ---- */

enum aof_manifest_read aof_manifest_read(struct aof_manifest *m, struct buf *error) {
    *m = (struct aof_manifest){ 0 };
    struct buf path = { 0 }, text = { 0 };
    enum aof_manifest_read result = MANIFEST_BROKEN;
    int fd = file_io.open(path_of_manifest(&path, ""), O_RDONLY, 0);
    if (fd < 0 && errno == ENOENT) {
        result = MANIFEST_ABSENT;
    } else if (fd < 0) {
        file_failed(error, "open", path.ptr);
    } else {
        if (!file_read_all(fd, MANIFEST_MAX, &text))
            file_failed(error, "read", path.ptr);
        else if (aof_manifest_parse(buf_slice(&text), m, error))
            result = MANIFEST_READ;
        close(fd);
    }
    buf_release(&path);
    buf_release(&text);
    return result;
}

bool aof_manifest_write(const struct aof_manifest *m, struct buf *error) {
    struct buf text = { 0 }, path = { 0 }, fresh = { 0 };
    aof_manifest_format(m, &text);
    path_of_manifest(&path, "");
    path_of_manifest(&fresh, "temp-");
    bool done = file_replace(path.ptr, fresh.ptr, buf_slice(&text), 0644, error);
    buf_release(&text);
    buf_release(&path);
    buf_release(&fresh);
    return done;
}
