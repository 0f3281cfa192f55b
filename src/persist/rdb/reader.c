/* reader.c: reads a file, event by event; see file.h.
 *
 * The file is mapped and read through a window that grows as needed. Before the reader touches the next pages
 * it asks the kernel for them (MADV_POPULATE_READ). That reads ahead, and fails where touching them would end
 * the process with SIGBUS. An event that is not complete within the window is read again from its start once
 * the window has grown. The window doubles, so bytes are read a few times at most. Pages far behind are given
 * back, so that the file does not count as memory of this process. */
#include "scan.h"
#include "trivet/base/crc64.h"
#include "trivet/base/file.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

#define WINDOW ((size_t)8 * 1024 * 1024)
#define BEHIND (4 * WINDOW) /* bytes kept mapped behind the reader: other threads decode records there */
#define SUM_STEP ((ptrdiff_t)64 * 1024) /* the checksum follows in such steps, while they are cached */
#define PAGE ((uintptr_t)4096)

struct rdb_reader {
    struct rdb_scan scan;
    const unsigned char *begin;
    const unsigned char *summed;  /* up to here `crc` goes */
    const unsigned char *dropped; /* up to here pages were given back */
    uint64_t crc;
    struct rdb_rules rules;
    struct rdb_facts facts;
    struct rdb_error error;
    enum rdb_sum sum;
    int version;
    uint32_t db;
    bool is_mapped, is_valkey, has_begun, has_ended;
    struct buf name, value; /* scratch of AUX, IMPORT and LIBRARY */
};

/* The result of one step in the window. */
enum look { LOOK_DONE, LOOK_AGAIN /* with a larger window */, LOOK_BROKEN };

/* ---- the window ---- */

static uintptr_t page_of(const unsigned char *at) { return (uintptr_t)at & ~(PAGE - 1); }

/* False if the system cannot read the pages. Kernels that do not know the request give no such protection. */
static bool ask_for(const unsigned char *from, const unsigned char *to) {
    uintptr_t first = page_of(from);
    if (madvise((void *)first, (uintptr_t)to - first, MADV_POPULATE_READ) == 0) return true;
    return errno != EFAULT && errno != EHWPOISON;
}

static void drop_behind(struct rdb_reader *r) {
    if (r->scan.in.at - r->dropped < (ptrdiff_t)(2 * BEHIND)) return;
    uintptr_t first = page_of(r->dropped), last = page_of(r->scan.in.at - BEHIND);
    /* Only a hint: pages that a thread still reads come back from the page cache. */
    (void)madvise((void *)first, last - first, MADV_DONTNEED);
    r->dropped = (const unsigned char *)last;
}

static bool broken_file(struct rdb_reader *r, const char *doing, const char *what) {
    rdb_error_set(&r->error, rdb_reader_offset(r), doing, "%s", what);
    return false;
}

/* Makes the window reach beyond its end. */
static bool widen(struct rdb_reader *r) {
    struct rdb_scan *s = &r->scan;
    size_t held = rdb_left(&s->in), left = (size_t)(s->end - s->in.end);
    size_t more = held > WINDOW ? held : WINDOW;
    if (more > left) more = left;
    if (!ask_for(s->in.end, s->in.end + more))
        return broken_file(r, "read-file", "the system cannot read the file here");
    s->in.end += more;
    if (r->is_mapped) drop_behind(r);
    return true;
}

static void add_up(struct rdb_reader *r) {
    if (r->rules.no_checksum) return;
    r->crc = crc64(r->crc, r->summed, (size_t)(r->scan.in.at - r->summed));
    r->summed = r->scan.in.at;
}

/* ---- opening and closing ---- */

atomic_bool rdb_checksums_are_skipped;

static struct rdb_reader *reader_new(const unsigned char *bytes, size_t len, struct rdb_rules rules) {
    if (atomic_load(&rdb_checksums_are_skipped)) rules.no_checksum = true;
    struct rdb_reader *r = mem_alloc_zero(sizeof *r);
    r->begin = r->summed = r->dropped = r->scan.in.at = r->scan.in.end = bytes;
    r->scan.end = len ? bytes + len : bytes;
    r->rules = rules;
    r->facts =
        (struct rdb_facts){ .position = { .offset = -1, .db = -1 }, .written_s = -1, .used_memory = -1 };
    r->error.type = -1;
    return r;
}

struct rdb_reader *rdb_reader_over(struct slice bytes, struct rdb_rules rules) {
    struct rdb_reader *r = reader_new((const unsigned char *)bytes.ptr, bytes.len, rules);
    r->scan.in.end = r->scan.end;
    return r;
}

static struct rdb_reader *map_file(int fd, struct rdb_rules rules, struct buf *error) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        buf_append(error, LIT("it is no regular file"));
        return NULL;
    }
    if (st.st_size == 0) return rdb_reader_over(LIT(""), rules);
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        buf_append(error, slice_of(file_errno_text(errno)));
        return NULL;
    }
    (void)madvise(bytes, (size_t)st.st_size, MADV_SEQUENTIAL); /* a hint */
    struct rdb_reader *r = reader_new(bytes, (size_t)st.st_size, rules);
    r->is_mapped = true;
    return r;
}

struct rdb_reader *rdb_reader_open(const char *path, struct rdb_rules rules, struct buf *error) {
    int fd = file_io.open(path, O_RDONLY, 0);
    if (fd < 0) {
        buf_append(error, slice_of(file_errno_text(errno)));
        return NULL;
    }
    struct rdb_reader *r = map_file(fd, rules, error);
    close(fd);
    return r;
}

void rdb_reader_close(struct rdb_reader *r) {
    if (!r) return;
    if (r->is_mapped) munmap(unconst(r->begin), rdb_reader_size(r));
    buf_release(&r->name);
    buf_release(&r->value);
    rdb_error_release(&r->error);
    mem_free(r);
}

uint64_t rdb_reader_offset(const struct rdb_reader *r) { return (uint64_t)(r->scan.in.at - r->begin); }
uint64_t rdb_reader_size(const struct rdb_reader *r) { return (uint64_t)(r->scan.end - r->begin); }
int rdb_reader_version(const struct rdb_reader *r) { return r->version; }
const struct rdb_facts *rdb_reader_facts(const struct rdb_reader *r) { return &r->facts; }
enum rdb_sum rdb_reader_sum(const struct rdb_reader *r) { return r->sum; }
const struct rdb_error *rdb_reader_error(const struct rdb_reader *r) { return &r->error; }

/* ---- the header ---- */

static bool read_version(struct rdb_reader *r, struct slice digits) {
    r->version = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9') return false;
        r->version = r->version * 10 + (digits.ptr[i] - '0');
    }
    return true;
}

static bool version_is_known(const struct rdb_reader *r) {
    if (r->version < 1) return false;
    if (r->is_valkey) {
        if (r->version <= RDB_VERSION_FOREIGN_MAX) return false;
        return r->version <= RDB_VERSION_VALKEY || r->rules.relaxed;
    }
    return r->version <= RDB_VERSION_MAX || (r->rules.relaxed && r->version <= RDB_VERSION_FOREIGN_MAX);
}

static enum look read_header(struct rdb_reader *r) {
    struct slice head;
    if (!rdb_scan_bytes(&r->scan, RDB_HEADER_BYTES)) {
        if (!r->scan.bad) return LOOK_AGAIN;
        broken_file(r, "start", "Unexpected EOF reading RDB file");
        return LOOK_BROKEN;
    }
    head = slice_make(r->scan.in.at - RDB_HEADER_BYTES, RDB_HEADER_BYTES);
    r->is_valkey = slice_starts_with(head, RDB_MAGIC_VALKEY);
    size_t magic = r->is_valkey ? RDB_MAGIC_VALKEY.len : RDB_MAGIC_REDIS.len;
    if ((!r->is_valkey && !slice_starts_with(head, RDB_MAGIC_REDIS)) ||
        !read_version(r, slice_make(head.ptr + magic, head.len - magic))) {
        broken_file(r, "start", "Wrong signature trying to load DB from file");
        return LOOK_BROKEN;
    }
    if (!version_is_known(r)) {
        rdb_error_set(&r->error, rdb_reader_offset(r), "start", "Can't handle RDB format version %d",
                      r->version);
        return LOOK_BROKEN;
    }
    r->has_begun = true;
    return LOOK_DONE;
}

/* ---- what stands between the records ---- */

/* A string as it is decoded; false as the rdb_scan_ functions. */
static bool take_text(struct rdb_scan *s, struct buf *scratch, struct slice *out) {
    const unsigned char *begin = s->in.at;
    if (!rdb_scan_string(s)) return false;
    struct rdb_in in = { begin, s->in.at };
    if (rdb_take_string(&in, scratch, out)) return true;
    s->in.at = begin;
    s->bad = true;
    return false;
}

static void copy_text(char *out, size_t room, struct slice text) {
    size_t len = text.len < room - 1 ? text.len : room - 1;
    memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static bool is_history_id(struct slice text) {
    bool good = text.len == REPLID_CHARS;
    for (size_t i = 0; i < text.len && good; i++) good = isxdigit((unsigned char)text.ptr[i]);
    return good;
}

static void note_position(struct stream_position *p, struct slice name, struct slice value) {
    int64_t number = -1;
    bool is_count = int64_parse(value, &number) && number >= 0;
    if (slice_equal(name, LIT("repl-id")) && is_history_id(value)) copy_text(p->id, sizeof p->id, value);
    if (slice_equal(name, LIT("repl-offset")) && is_count) p->offset = number;
    if (slice_equal(name, LIT("repl-stream-db")) && is_count && number <= INT32_MAX) p->db = number;
    p->known = p->id[0] && p->offset >= 0;
}

static void note_fact(struct rdb_facts *f, struct slice name, struct slice value) {
    int64_t number = -1;
    bool is_number = int64_parse(value, &number);
    if (slice_equal(name, LIT("redis-ver"))) copy_text(f->redis_version, sizeof f->redis_version, value);
    if (slice_equal(name, LIT("valkey-ver"))) copy_text(f->valkey_version, sizeof f->valkey_version, value);
    note_position(&f->position, name, value);
    if (!is_number) return;
    if (slice_equal(name, LIT("ctime"))) f->written_s = number;
    if (slice_equal(name, LIT("used-mem"))) f->used_memory = number;
    if (slice_equal(name, LIT("aof-base")) || slice_equal(name, LIT("aof-preamble")))
        f->is_aof_base = number != 0;
}

static bool read_aux(struct rdb_reader *r, struct rdb_item *item) {
    if (!take_text(&r->scan, &r->name, &item->name) || !take_text(&r->scan, &r->value, &item->value))
        return false;
    note_fact(&r->facts, item->name, item->value);
    return true;
}

static bool read_database(struct rdb_reader *r, struct rdb_item *item) {
    if (!rdb_scan_length(&r->scan, &item->number)) return false;
    r->scan.bad = item->number > UINT32_MAX;
    if (r->scan.bad) return false;
    r->db = (uint32_t)item->number;
    return true;
}

/* The words of a module; the first one tells when it would be loaded. */
static bool skip_module(struct rdb_reader *r, struct rdb_item *item) {
    uint64_t id;
    char name[RDB_MODULE_NAME_LEN + 1];
    if (!rdb_scan_length(&r->scan, &id) || !rdb_scan_module(&r->scan)) return false;
    rdb_module_name(id, name);
    buf_clear(&r->name);
    buf_append(&r->name, slice_of(name));
    item->name = buf_slice(&r->name);
    return true;
}

static bool skip_numbers(struct rdb_scan *s, uint64_t count) {
    uint64_t n;
    for (; count > 0; count--)
        if (!rdb_scan_length(s, &n)) return false;
    return true;
}

static bool take_range(struct rdb_scan *s, struct buf *ends) {
    uint64_t first, last;
    if (!rdb_scan_length(s, &first) || !rdb_scan_length(s, &last)) return false;
    s->bad = first > last || last >= RDB_IMPORT_SLOTS;
    if (s->bad) return false;
    const uint16_t pair[2] = { (uint16_t)first, (uint16_t)last };
    buf_append(ends, slice_make((const char *)pair, sizeof pair));
    return true;
}

static bool read_slot_import(struct rdb_reader *r, struct rdb_item *item) {
    struct rdb_scan *s = &r->scan;
    uint64_t ranges;
    if (!take_text(s, &r->name, &item->name) || !rdb_scan_length(s, &ranges)) return false;
    s->bad = item->name.len != RDB_IMPORT_NAME_LEN || ranges > RDB_IMPORT_SLOTS;
    if (s->bad) return false;
    buf_clear(&r->value);
    for (; ranges > 0; ranges--)
        if (!take_range(s, &r->value)) return false;
    item->value = buf_slice(&r->value);
    return true;
}

/* ---- the end ---- */

/* Versions without a checksum are older than files that go on with an AOF. So a file that does go on has a
 * damaged version number, and must not skip the checksum. */
static bool ends_here(struct rdb_reader *r) {
    if (r->scan.in.at == r->scan.end) return true;
    rdb_error_set(&r->error, rdb_reader_offset(r), "check-sum",
                  "A file of version %d ends here, but %llu bytes follow", r->version,
                  (unsigned long long)(r->scan.end - r->scan.in.at));
    r->scan.bad = true;
    return false;
}

static bool read_end(struct rdb_reader *r) {
    r->has_ended = true;
    r->sum = RDB_SUM_NONE;
    if (r->version < RDB_VERSION_WITH_CHECKSUM) return ends_here(r);
    add_up(r);
    if (!rdb_scan_bytes(&r->scan, RDB_CHECKSUM_BYTES)) return false;
    uint64_t stated;
    memcpy(&stated, r->scan.in.at - RDB_CHECKSUM_BYTES, sizeof stated);
    stated = le64toh(stated);
    if (stated == 0) return true;
    r->sum = r->rules.no_checksum ? RDB_SUM_NOT_LOOKED_AT : RDB_SUM_RIGHT;
    if (r->rules.no_checksum || stated == r->crc) return true;
    rdb_error_set(&r->error, rdb_reader_offset(r), "check-sum",
                  "RDB CRC error: the file says %016llx, its bytes give %016llx", (unsigned long long)stated,
                  (unsigned long long)r->crc);
    r->scan.bad = true;
    return false;
}

/* ---- records ---- */

static bool read_expiry(struct rdb_scan *s, unsigned opcode, int64_t *expiry_ms) {
    size_t size = opcode == RDB_OP_EXPIRETIME_MS ? 8 : 4;
    if (!rdb_scan_bytes(s, size)) return false;
    uint64_t ms = 0;
    uint32_t seconds = 0;
    if (size == 8)
        memcpy(&ms, s->in.at - size, size);
    else
        memcpy(&seconds, s->in.at - size, size);
    *expiry_ms = size == 8 ? (int64_t)le64toh(ms) : (int64_t)(int32_t)le32toh(seconds) * 1000;
    return true;
}

static bool read_idle(struct rdb_scan *s, int64_t *idle_s) {
    uint64_t n;
    if (!rdb_scan_length(s, &n)) return false;
    *idle_s = n < INT64_MAX ? (int64_t)n : INT64_MAX;
    return true;
}

static bool read_frequency(struct rdb_scan *s, int16_t *frequency) {
    if (!rdb_scan_bytes(s, 1)) return false;
    *frequency = s->in.at[-1];
    return true;
}

/* False as the rdb_scan_ functions; *type is then what was read last. */
static bool read_marks(struct rdb_scan *s, struct rdb_record *record, unsigned *type) {
    for (;;) {
        bool read;
        switch (*type) {
        case RDB_OP_EXPIRETIME_MS:
        case RDB_OP_EXPIRETIME: read = read_expiry(s, *type, &record->expiry_ms); break;
        case RDB_OP_IDLE: read = read_idle(s, &record->idle_s); break;
        case RDB_OP_FREQ: read = read_frequency(s, &record->frequency); break;
        default: return true;
        }
        if (!read || !rdb_scan_bytes(s, 1)) return false;
        *type = s->in.at[-1];
    }
}

/* Other servers use the numbers from Valkey's newest type on for other things. */
static bool type_is_known(const struct rdb_reader *r, unsigned type) {
    if (type == RDB_MODULE_2) return true;
    return type == RDB_HASH_2 ? r->is_valkey : rdb_type_name(type)[0] != '?' && type != RDB_MODULE_OLD;
}

static bool read_record(struct rdb_reader *r, const unsigned char *begin, unsigned type,
                        struct rdb_record *record, const char **doing) {
    struct rdb_scan *s = &r->scan;
    *record = (struct rdb_record){ .offset = (uint64_t)(begin - r->begin),
                                   .expiry_ms = NO_EXPIRY,
                                   .idle_s = -1,
                                   .frequency = -1,
                                   .db = r->db };
    *doing = "read-expire";
    if (!read_marks(s, record, &type)) return false;
    *doing = "read-type";
    record->type = (uint8_t)type;
    if (!type_is_known(r, type)) {
        s->in.at--;
        rdb_error_set(&r->error, rdb_reader_offset(r), *doing,
                      type == RDB_MODULE_OLD ? "Old modules format (type %u) is not supported"
                                             : "Invalid object type: %u",
                      type);
        s->bad = true;
        return false;
    }
    *doing = "read-key";
    record->body.ptr = (const char *)s->in.at;
    record->body_offset = rdb_reader_offset(r);
    if (!rdb_scan_string(s)) return false;
    *doing = "read-object-value";
    record->body.len = (size_t)(s->in.at - (const unsigned char *)record->body.ptr);
    if (!rdb_scan_value(s, type)) return false;
    record->body.len = (size_t)(s->in.at - (const unsigned char *)record->body.ptr);
    return true;
}

/* ---- events ---- */

/* All but records. *doing NULL: the opcode is another. */
static bool read_opcode(struct rdb_reader *r, unsigned opcode, struct rdb_item *item, enum rdb_event *event,
                        const char **doing) {
    struct rdb_scan *s = &r->scan;
    *doing = "read-opcode";
    switch (opcode) {
    case RDB_OP_AUX:
        *event = RDB_EVENT_AUX;
        *doing = "read-aux";
        return read_aux(r, item);
    case RDB_OP_SELECTDB: *event = RDB_EVENT_DATABASE; return read_database(r, item);
    case RDB_OP_RESIZEDB:
        *event = RDB_EVENT_SIZES;
        return rdb_scan_length(s, &item->keys) && rdb_scan_length(s, &item->expires);
    case RDB_OP_FUNCTION2:
        *event = RDB_EVENT_LIBRARY;
        *doing = "read-functions";
        return take_text(s, &r->value, &item->value);
    case RDB_OP_FUNCTION_PRE_GA:
        *doing = "read-functions";
        broken_file(r, *doing, "Pre-release function format not supported");
        s->bad = true;
        return false;
    case RDB_OP_MODULE_AUX:
        *event = RDB_EVENT_MODULE;
        *doing = "read-module-aux";
        return skip_module(r, item);
    case RDB_OP_SLOT_INFO: *event = RDB_EVENT_SLOTS; return skip_numbers(s, 3);
    case RDB_OP_SLOT_IMPORT: *event = RDB_EVENT_IMPORT; return read_slot_import(r, item);
    case RDB_OP_EOF:
        *event = RDB_EVENT_END;
        *doing = "check-sum";
        return read_end(r);
    default: *doing = NULL; return false;
    }
}

/* Sets the error that says why the scan stopped, unless one is set. `record` is NULL outside of records. */
static void explain(struct rdb_reader *r, const char *doing, const struct rdb_record *record) {
    struct rdb_error *e = &r->error;
    if (e->what.len == 0 && r->scan.short_of)
        rdb_error_set(e, rdb_reader_size(r), doing, "Unexpected EOF reading RDB file");
    else if (e->what.len == 0)
        rdb_error_set(e, rdb_reader_offset(r), doing, "The bytes here make no sense");
    if (record && record->body.ptr) e->type = record->type;
    if (record && record->body.len > 0) rdb_record_describe_key(record, &e->key);
}

static enum look look(struct rdb_reader *r, struct rdb_item *item, enum rdb_event *event) {
    if (!r->has_begun) {
        enum look header = read_header(r);
        if (header != LOOK_DONE) return header;
    }
    struct rdb_scan *s = &r->scan;
    const unsigned char *begin = s->in.at;
    const char *doing = "read-type";
    item->record.body = (struct slice){ NULL, 0 };
    *event = RDB_EVENT_RECORD;
    bool read = rdb_scan_bytes(s, 1);
    if (read) {
        unsigned opcode = s->in.at[-1];
        if (opcode > RDB_HASH_2) read = read_opcode(r, opcode, item, event, &doing);
        if (opcode <= RDB_HASH_2 || !doing) read = read_record(r, begin, opcode, &item->record, &doing);
    }
    if (read) return LOOK_DONE;
    if (s->bad) {
        explain(r, doing, *event == RDB_EVENT_RECORD ? &item->record : NULL);
        return LOOK_BROKEN;
    }
    s->in.at = begin;
    return LOOK_AGAIN;
}

enum rdb_event rdb_reader_next(struct rdb_reader *r, struct rdb_item *item) {
    enum rdb_event event = RDB_EVENT_BROKEN;
    assert(!r->has_ended && r->error.what.len == 0);
    for (;;) {
        switch (look(r, item, &event)) {
        case LOOK_BROKEN: return RDB_EVENT_BROKEN;
        case LOOK_DONE:
            if (event != RDB_EVENT_END && r->scan.in.at - r->summed >= SUM_STEP) add_up(r);
            return event;
        case LOOK_AGAIN:
            r->has_ended = false;
            if (!widen(r)) return RDB_EVENT_BROKEN;
        }
    }
}

/* ---- a whole file ---- */

bool rdb_verify(const char *path, struct rdb_rules rules, struct buf *error) {
    struct rdb_reader *r = rdb_reader_open(path, rules, error);
    if (!r) return false;
    struct rdb_item item;
    enum rdb_event event;
    do event = rdb_reader_next(r, &item);
    while (event != RDB_EVENT_END && event != RDB_EVENT_BROKEN);
    if (event == RDB_EVENT_BROKEN) rdb_error_describe(rdb_reader_error(r), error);
    rdb_reader_close(r);
    return event == RDB_EVENT_END;
}
