/* check.c: what trivet-check-rdb, and trivet-check-aof on a base file, say about an RDB file.
 *
 * It prints the lines that operators and their scripts know from redis-check-rdb. */
#include "scan.h"
#include "trivet/base/clock.h"
#include <stdarg.h>
#include <string.h>

struct check {
    struct rdb_reader *reader;
    void (*print)(void *arg, const char *line);
    void *arg;
    int64_t now_ms;
    uint64_t keys, expires, expired;
    struct buf line;
};

static void say(struct check *c, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct check *c, const char *format, ...) {
    va_list args;
    buf_clear(&c->line);
    va_start(args, format);
    buf_vprintf(&c->line, format, args);
    va_end(args);
    for (size_t i = 0; i < c->line.len; i++)
        if ((unsigned char)c->line.ptr[i] < ' ') c->line.ptr[i] = '?'; /* a file may hold anything */
    buf_append_byte(&c->line, '\0');
    c->print(c->arg, c->line.ptr);
}

static unsigned long long here(const struct check *c) {
    return (unsigned long long)rdb_reader_offset(c->reader);
}

static void say_counts(struct check *c) {
    say(c, "[info] %llu keys read", (unsigned long long)c->keys);
    say(c, "[info] %llu expires", (unsigned long long)c->expires);
    say(c, "[info] %llu already expired", (unsigned long long)c->expired);
}

static bool report(struct check *c, const struct rdb_error *e) {
    say(c, "--- RDB ERROR DETECTED ---");
    say(c, "[offset %llu] %.*s", (unsigned long long)e->offset, SLICE_ARG(buf_slice(&e->what)));
    say(c, "[additional info] While doing: %s", e->doing);
    if (e->key.len > 0) say(c, "[additional info] Reading key '%.*s'", SLICE_ARG(buf_slice(&e->key)));
    if (e->type >= 0)
        say(c, "[additional info] Reading type %d (%s)", e->type, rdb_type_name((unsigned)e->type));
    say_counts(c);
    return false;
}

/* A module's value is sound if its framing is: only the module could check more. */
static bool check_record(struct check *c, const struct rdb_record *record) {
    struct rdb_error error = { .type = -1 };
    struct entry *e = NULL;
    bool good = record->type == RDB_MODULE_2 ||
                rdb_record_decode(record, c->now_ms, &e, &error) != RDB_DECODED_BROKEN;
    if (good) {
        c->keys++;
        if (record->expiry_ms != NO_EXPIRY) c->expires++;
        if (record->expiry_ms != NO_EXPIRY && record->expiry_ms < c->now_ms) c->expired++;
    } else {
        report(c, &error);
    }
    if (e) entry_free(e);
    rdb_error_release(&error);
    return good;
}

static bool check_end(struct check *c) {
    switch (rdb_reader_sum(c->reader)) {
    case RDB_SUM_RIGHT: say(c, "[offset %llu] Checksum OK", here(c)); break;
    case RDB_SUM_NONE:
        if (rdb_reader_version(c->reader) >= RDB_VERSION_WITH_CHECKSUM)
            say(c, "[offset %llu] RDB file was saved with checksum disabled: no check performed", here(c));
        break;
    case RDB_SUM_NOT_LOOKED_AT: break;
    }
    say(c, "[offset %llu] \\o/ RDB looks OK! \\o/", here(c));
    say_counts(c);
    return true;
}

static bool check_all(struct check *c) {
    struct rdb_item item;
    for (;;) {
        switch (rdb_reader_next(c->reader, &item)) {
        case RDB_EVENT_RECORD:
            if (!check_record(c, &item.record)) return false;
            break;
        case RDB_EVENT_AUX:
            say(c, "[offset %llu] AUX FIELD %.*s = '%.*s'", here(c), SLICE_ARG(item.name),
                SLICE_ARG(item.value));
            break;
        case RDB_EVENT_DATABASE:
            say(c, "[offset %llu] Selecting DB ID %llu", here(c), (unsigned long long)item.number);
            break;
        case RDB_EVENT_MODULE:
            say(c, "[offset %llu] MODULE AUX for: %.*s", here(c), SLICE_ARG(item.name));
            break;
        case RDB_EVENT_SIZES:
        case RDB_EVENT_LIBRARY:
        case RDB_EVENT_SLOTS:
        case RDB_EVENT_IMPORT: break;
        case RDB_EVENT_END: return check_end(c);
        case RDB_EVENT_BROKEN: return report(c, rdb_reader_error(c->reader));
        }
    }
}

bool rdb_check(const char *path, void (*print)(void *arg, const char *line), void *arg, uint64_t *end) {
    struct check c = { .print = print, .arg = arg, .now_ms = clock_wall_ms() };
    struct buf error = { 0 };
    bool good = false;
    c.reader = rdb_reader_open(path, (struct rdb_rules){ 0 }, &error);
    if (c.reader) {
        say(&c, "[offset 0] Checking RDB file %s", path);
        good = check_all(&c);
        if (end) *end = rdb_reader_offset(c.reader);
    } else {
        say(&c, "Cannot open file %s: %.*s", path, SLICE_ARG(buf_slice(&error)));
    }
    rdb_reader_close(c.reader);
    buf_release(&error);
    buf_release(&c.line);
    return good;
}
