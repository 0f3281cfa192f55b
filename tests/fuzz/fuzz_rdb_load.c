/* fuzz_rdb_load.c: random bytes as a whole RDB file: read to its end or refused, never a crash.
 *
 * Bytes that do not begin as a file get a header, so that the fuzzer need not find one; the checksum is not
 * looked at, or it would find nothing else. */
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/persist/rdb/file.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_init();
    return 0;
}

/* What was taken can be described, and belongs to the file. */
static void take_record(const struct rdb_record *record, struct slice file) {
    struct rdb_error error = { .type = -1 };
    struct buf text = { 0 };
    struct entry *e = NULL;
    if (record->body.ptr < file.ptr || record->body.ptr + record->body.len > file.ptr + file.len) abort();
    if (rdb_record_decode(record, 1000, &e, &error) == RDB_DECODED_BROKEN) {
        rdb_error_describe(&error, &text);
        if (text.len == 0) abort();
    }
    rdb_record_describe_key(record, &text);
    if (e) entry_free(e);
    buf_release(&text);
    rdb_error_release(&error);
}

static void read_all(struct slice file) {
    struct rdb_reader *r = rdb_reader_over(file, (struct rdb_rules){ .no_checksum = true });
    struct rdb_item item;
    for (enum rdb_event event = RDB_EVENT_AUX; event != RDB_EVENT_END && event != RDB_EVENT_BROKEN;) {
        event = rdb_reader_next(r, &item);
        if (event == RDB_EVENT_RECORD) take_record(&item.record, file);
        if (event == RDB_EVENT_BROKEN && rdb_reader_error(r)->what.len == 0) abort();
        if (rdb_reader_offset(r) > file.len) abort();
    }
    rdb_reader_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf file = { 0 };
    struct slice bytes = slice_make(data, size);
    bool is_file = slice_starts_with(bytes, RDB_MAGIC_REDIS) || slice_starts_with(bytes, RDB_MAGIC_VALKEY);
    if (!is_file) buf_append(&file, LIT("VALKEY080"));
    buf_append(&file, bytes);
    char *exact = mem_alloc(file.len ? file.len : 1); /* no larger, so that a byte too many is seen */
    if (file.len) memcpy(exact, file.ptr, file.len);
    read_all(slice_make(exact, file.len));
    mem_free(exact);
    buf_release(&file);
    return 0;
}
