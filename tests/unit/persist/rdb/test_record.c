/* test_record.c: whole RDB files: what is read from them, and that no damage goes unseen. The values are
 * put together byte by byte from the descriptions of their forms. */
#include "../aof/folder.h"
#include "trivet/base/crc64.h"
#include "trivet/base/hashing.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/persist/rdb/file.h"

/* ---- files in memory ---- */

#define ZIPLIST "\x16\x16\x00\x00\x00\x13\x00\x00\x00\x04\x00\x00\x01\x66\x03\x01\x76\x03\x01\x6e\x03\xfd\xff"
#define LISTPACK "\x0d\x0d\x00\x00\x00\x02\x00\x81\x66\x02\x81\x76\x02\xff"

/* A value of each form that there ever was, and the first version that has it. */
static const struct form {
    enum rdb_type type;
    int version;
    enum value_type becomes;
    struct slice body;
} forms[] = {
    { RDB_STRING, 1, TYPE_STRING, LIT_INIT("\x05hello") },
    { RDB_STRING, 1, TYPE_STRING, LIT_INIT("\xc0\x2a") },
    { RDB_STRING, 1, TYPE_STRING, LIT_INIT("\xc1\x39\x30") },
    { RDB_STRING, 1, TYPE_STRING, LIT_INIT("\xc2\x15\xcd\x5b\x07") },
    { RDB_STRING, 1, TYPE_STRING, LIT_INIT("\xc3\x05\x0c\x00\x61\xe0\x02\x00") }, /* 12 times "a" */
    { RDB_LIST, 1, TYPE_LIST, LIT_INIT("\x02\x01\x61\xc0\x05") },
    { RDB_SET, 1, TYPE_SET, LIT_INIT("\x02\x01\x61\x01\x62") },
    { RDB_ZSET, 1, TYPE_ZSET, LIT_INIT("\x02\x01\x61\x01\x35\x01\x62\xfe") },
    { RDB_HASH, 1, TYPE_HASH, LIT_INIT("\x01\x01\x66\x01\x76") },
    { RDB_HASH_ZIPMAP, 2, TYPE_HASH, LIT_INIT("\x07\x01\x01\x66\x01\x00\x76\xff") },
    { RDB_LIST_ZIPLIST, 2, TYPE_LIST, LIT_INIT(ZIPLIST) },
    { RDB_SET_INTSET, 2, TYPE_SET, LIT_INIT("\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x05\x00") },
    { RDB_ZSET_ZIPLIST, 2, TYPE_ZSET,
      LIT_INIT("\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01\x6d\x03\xf2\xff") },
    { RDB_HASH_ZIPLIST, 4, TYPE_HASH, LIT_INIT(ZIPLIST) },
    { RDB_LIST_QUICKLIST, 7, TYPE_LIST,
      LIT_INIT("\x02\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01\x61\x03\xf2\xff"
               "\x0e\x0e\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x01\x62\xff") },
    { RDB_ZSET_2, 8, TYPE_ZSET, LIT_INIT("\x01\x01\x6d\x00\x00\x00\x00\x00\x00\xf8\x3f") },
    { RDB_STREAM, 9, TYPE_STREAM, LIT_INIT("\x00\x00\x05\x01\x00") },
    { RDB_HASH_LISTPACK, 10, TYPE_HASH, LIT_INIT(LISTPACK) },
    { RDB_ZSET_LISTPACK, 10, TYPE_ZSET, LIT_INIT("\x0c\x0c\x00\x00\x00\x02\x00\x81\x6d\x02\x01\x01\xff") },
    { RDB_LIST_QUICKLIST_2, 10, TYPE_LIST, LIT_INIT("\x02\x01\x01\x78\x02" LISTPACK) },
    { RDB_STREAM_2, 10, TYPE_STREAM, LIT_INIT("\x00\x00\x05\x01\x00\x00\x00\x00\x00\x00") },
    { RDB_SET_LISTPACK, 11, TYPE_SET, LIT_INIT(LISTPACK) },
    { RDB_STREAM_3, 11, TYPE_STREAM,
      LIT_INIT("\x00\x00\x05\x01\x00\x00\x00\x00\x00\x01\x01\x67\x00\x00\x00\x00\x01\x01\x63"
               "\x01\x02\x03\x04\x05\x00\x00\x00\x01\x02\x03\x04\x05\x00\x00\x00\x00") },
    { RDB_HASH_2, 80, TYPE_HASH, LIT_INIT("\x01\x01\x66\x01\x76\x00\x00\x00\x00\x00\x01\x00\x00") },
};

static void add_header(struct buf *file, int version) {
    if (version >= RDB_VERSION_VALKEY)
        buf_printf(file, "VALKEY%03d", version);
    else
        buf_printf(file, "REDIS%04d", version);
}

static void add_text(struct buf *file, struct slice text) {
    struct rdb_out out = { 0 };
    rdb_put_string(&out, text);
    buf_append(file, buf_slice(&out.bytes));
    buf_release(&out.bytes);
}

static void add_record(struct buf *file, unsigned type, const char *key, struct slice body) {
    buf_append_byte(file, (char)type);
    add_text(file, slice_of(key));
    buf_append(file, body);
}

static void add_aux(struct buf *file, const char *name, const char *value) {
    buf_append_byte(file, (char)RDB_OP_AUX);
    add_text(file, slice_of(name));
    add_text(file, slice_of(value));
}

static void add_end(struct buf *file, int version) {
    buf_append_byte(file, (char)RDB_OP_EOF);
    if (version < RDB_VERSION_WITH_CHECKSUM) return;
    struct rdb_out out = { 0 };
    rdb_put_u64(&out, crc64(0, file->ptr, file->len));
    buf_append(file, buf_slice(&out.bytes));
    buf_release(&out.bytes);
}

/* Something of all that a file of this version can hold. Returns how many keys. */
static size_t fill_file(struct buf *file, int version) {
    size_t keys = 0;
    add_header(file, version);
    if (version >= 7) {
        add_aux(file, "redis-ver", "7.2.4");
        add_aux(file, "ctime", "1700000000");
        add_aux(file, "used-mem", "1048576");
        add_aux(file, "something-new", "x");
    }
    if (version >= 10) {
        buf_append_byte(file, (char)RDB_OP_FUNCTION2);
        add_text(file, LIT("#!lua name=mylib\nreturn 1"));
    }
    buf_append(file, LIT("\xfe\x03"));
    if (version >= 7) buf_append(file, LIT("\xfb\x40\x40\x02"));
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if (forms[i].version > version) continue;
        char key[16];
        snprintf(key, sizeof key, "key:%zu", i);
        if (version >= 9 && i == 1) buf_append(file, LIT("\xf9\x07"));
        if (version >= 9 && i == 2) buf_append(file, LIT("\xf8\x41\x00"));
        if (version >= 3 && i == 3) buf_append(file, LIT("\xfc\x00\x00\x00\x00\x00\x01\x00\x00"));
        if (i == 4) buf_append(file, LIT("\xfd\x00\x00\x00\x70"));
        add_record(file, forms[i].type, key, forms[i].body);
        keys++;
    }
    add_end(file, version);
    return keys;
}

/* Reads and decodes everything. What went wrong stands in `why`. */
struct tally {
    size_t keys, libraries, others;
    uint64_t end;
};
static bool read_file(struct rdb_reader *r, struct tally *t, struct buf *why) {
    struct rdb_error error = { .type = -1 };
    struct rdb_item item;
    bool good = true;
    *t = (struct tally){ 0 };
    for (enum rdb_event event = RDB_EVENT_AUX; good && event != RDB_EVENT_END;) {
        event = rdb_reader_next(r, &item);
        struct entry *e = NULL;
        if (event == RDB_EVENT_RECORD)
            good = rdb_record_decode(&item.record, 1000, &e, &error) != RDB_DECODED_BROKEN;
        if (event == RDB_EVENT_BROKEN) good = false;
        if (event == RDB_EVENT_LIBRARY) t->libraries++;
        if (e) t->keys++;
        if (e) entry_free(e);
        if (!good && why) rdb_error_describe(event == RDB_EVENT_BROKEN ? rdb_reader_error(r) : &error, why);
    }
    t->end = rdb_reader_offset(r);
    rdb_error_release(&error);
    return good;
}

static bool read_bytes(struct slice bytes, struct rdb_rules rules, struct tally *t, struct buf *why) {
    struct rdb_reader *r = rdb_reader_over(bytes, rules);
    bool good = read_file(r, t, why);
    rdb_reader_close(r);
    return good;
}

static const struct rdb_rules strict;

static void assert_refused(struct slice bytes, const char *why) {
    struct buf found = { 0 };
    struct tally t;
    assert_false(read_bytes(bytes, strict, &t, &found));
    buf_append_byte(&found, '\0');
    if (why && !strstr(found.ptr, why)) fail_msg("'%s' should say '%s'", found.ptr, why);
    buf_release(&found);
}

/* The first record of a file of one key. */
static struct rdb_reader *one_record(struct buf *file, struct rdb_record *record) {
    struct rdb_item item;
    struct rdb_reader *r = rdb_reader_over(buf_slice(file), strict);
    enum rdb_event event;
    do event = rdb_reader_next(r, &item);
    while (event != RDB_EVENT_RECORD && event != RDB_EVENT_BROKEN);
    assert_int_equal(event, RDB_EVENT_RECORD);
    *record = item.record;
    return r;
}

/* ---- what is there is read ---- */

static void files_of_every_version_are_read(void **state) {
    (void)state;
    static const int versions[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 80 };
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct buf file = { 0 };
        struct tally t;
        size_t keys = fill_file(&file, versions[i]);
        assert_true(read_bytes(buf_slice(&file), strict, &t, NULL));
        assert_int_equal(t.keys, keys);
        assert_int_equal(t.end, file.len);
        assert_int_equal(t.libraries, versions[i] >= 10);
        buf_release(&file);
    }
}

static void every_form_becomes_its_type(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct buf file = { 0 };
        struct rdb_record record;
        struct rdb_error error = { .type = -1 };
        struct entry *e;
        add_header(&file, 80);
        add_record(&file, forms[i].type, "k", forms[i].body);
        add_end(&file, 80);
        struct rdb_reader *r = one_record(&file, &record);
        assert_int_equal(rdb_record_decode(&record, 1000, &e, &error), RDB_DECODED);
        assert_int_equal(e->type, forms[i].becomes);
        assert_true(slice_equal(entry_key(e), LIT("k")));
        entry_free(e);
        rdb_reader_close(r);
        buf_release(&file);
    }
}

static void marks_before_a_key_belong_to_it_alone(void **state) {
    (void)state;
    struct buf file = { 0 };
    struct rdb_item item;
    add_header(&file, 9);
    buf_append(&file, LIT("\xfe\x07\xfc\x01\x02\x00\x00\x00\x00\x00\x00\xf9\x08"));
    size_t first = RDB_HEADER_BYTES + 2;
    add_record(&file, RDB_STRING, "a", LIT("\x01x"));
    buf_append(&file, LIT("\xfd\x0a\x00\x00\x00\xf8\x40\x64"));
    add_record(&file, RDB_STRING, "b", LIT("\x01x"));
    add_record(&file, RDB_STRING, "c", LIT("\x01x"));
    add_end(&file, 9);
    static const struct {
        int64_t expiry_ms, idle_s;
        int frequency;
    } expected[] = { { 0x201, -1, 8 }, { 10000, 100, -1 }, { NO_EXPIRY, -1, -1 } };
    struct rdb_reader *r = rdb_reader_over(buf_slice(&file), strict);
    assert_int_equal(rdb_reader_next(r, &item), RDB_EVENT_DATABASE);
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_int_equal(rdb_reader_next(r, &item), RDB_EVENT_RECORD);
        if (i == 0) assert_int_equal(item.record.offset, first);
        assert_int_equal(item.record.db, 7);
        assert_int_equal(item.record.expiry_ms, expected[i].expiry_ms);
        assert_int_equal(item.record.idle_s, expected[i].idle_s);
        assert_int_equal(item.record.frequency, expected[i].frequency);
    }
    assert_int_equal(rdb_reader_next(r, &item), RDB_EVENT_END);
    assert_int_equal(rdb_reader_sum(r), RDB_SUM_RIGHT);
    rdb_reader_close(r);
    buf_release(&file);
}

static void the_hint_that_the_policy_knows_is_used(void **state) {
    (void)state;
    const int64_t now = 3600 * 1000;
    struct rdb_record record = {
        .body = LIT("\x01k\x01v"), .expiry_ms = NO_EXPIRY, .type = RDB_STRING, .idle_s = 100, .frequency = 77
    };
    struct rdb_error error = { .type = -1 };
    struct entry *e;
    assert_int_equal(rdb_record_decode(&record, now, &e, &error), RDB_DECODED);
    assert_int_equal(eviction_idle_ms(e->access, now) / 1000, 100);
    entry_free(e);
    eviction_settings.policy = POLICY_ALLKEYS_LFU;
    assert_int_equal(rdb_record_decode(&record, now, &e, &error), RDB_DECODED);
    assert_int_equal(eviction_frequency(e->access, now), 77);
    entry_free(e);
    eviction_settings.policy = POLICY_NOEVICTION;
}

static void facts_are_kept_and_unknown_ones_skipped(void **state) {
    (void)state;
    struct buf file = { 0 };
    struct rdb_item item;
    add_header(&file, 80);
    add_aux(&file, "valkey-ver", "9.0.0");
    add_aux(&file, "ctime", "1700000000");
    add_aux(&file, "used-mem", "77");
    add_aux(&file, "repl-id", "0123456789012345678901234567890123456789");
    add_aux(&file, "repl-offset", "123");
    add_aux(&file, "repl-stream-db", "4");
    add_aux(&file, "aof-base", "1");
    add_aux(&file, "of-the-future", "what?");
    add_end(&file, 80);
    struct rdb_reader *r = rdb_reader_over(buf_slice(&file), strict);
    for (int i = 0; i < 8; i++) assert_int_equal(rdb_reader_next(r, &item), RDB_EVENT_AUX);
    assert_true(slice_equal(item.name, LIT("of-the-future")) && slice_equal(item.value, LIT("what?")));
    assert_int_equal(rdb_reader_next(r, &item), RDB_EVENT_END);
    const struct rdb_facts *f = rdb_reader_facts(r);
    assert_string_equal(f->valkey_version, "9.0.0");
    assert_string_equal(f->redis_version, "");
    assert_true(f->position.known && f->position.offset == 123 && f->position.db == 4);
    assert_string_equal(f->position.id, "0123456789012345678901234567890123456789");
    assert_true(f->written_s == 1700000000 && f->used_memory == 77 && f->is_aof_base);
    rdb_reader_close(r);
    buf_release(&file);
}

/* Whoever trusts a wrong position would ask for the wrong part of a history. */
static void a_position_that_cannot_be_is_left_out(void **state) {
    (void)state;
    static const char good[] = "0123456789abcdef0123456789abcdef01234567";
    static const struct {
        const char *id, *offset, *db;
        bool known;
        int64_t db_read;
    } rows[] = {
        { good, "5", "2147483647", true, INT32_MAX },
        { good, "9223372036854775807", "0", true, 0 },
        { good, "0", "2147483648", true, -1 },
        { good, "0", "-1", true, -1 },
        { good, "0", "x", true, -1 },
        { good, "-1", "0", false, 0 },
        { good, "9223372036854775808", "0", false, 0 },
        { good, "", "0", false, 0 },
        { "", "5", "0", false, 0 },
        { "0123456789abcdef0123456789abcdef0123456", "5", "0", false, 0 },
        { "0123456789abcdef0123456789abcdef012345678", "5", "0", false, 0 },
        { "0123456789abcdef0123456789abcdef0123456g", "5", "0", false, 0 },
        { "0123456789abcdef0123456789abcdef012345 7", "5", "0", false, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf file = { 0 };
        struct rdb_item item;
        add_header(&file, 11);
        add_aux(&file, "repl-stream-db", rows[i].db);
        add_aux(&file, "repl-id", rows[i].id);
        add_aux(&file, "repl-offset", rows[i].offset);
        add_end(&file, 11);
        struct rdb_reader *r = rdb_reader_over(buf_slice(&file), strict);
        for (int aux = 0; aux < 3; aux++) assert_int_equal(rdb_reader_next(r, &item), RDB_EVENT_AUX);
        assert_int_equal(rdb_reader_next(r, &item), RDB_EVENT_END);
        assert_int_equal(rdb_reader_facts(r)->position.known, rows[i].known);
        assert_true(rdb_reader_facts(r)->position.db == rows[i].db_read);
        rdb_reader_close(r);
        buf_release(&file);
    }
}

/* Words of modules and slots of clusters: "example-1", version 3. */
#define MODULE_ID "\x81\x78\xc6\xa6\xa6\xe5\xad\x3f\xf5" /* only its framing matters */
#define IMPORT_NAME \
    "\x28"          \
    "0123456789012345678901234567890123456789"

static void what_others_put_between_keys_is_skipped(void **state) {
    (void)state;
    struct buf file = { 0 };
    struct tally t;
    add_header(&file, 80);
    buf_append(&file, LIT("\xf7" MODULE_ID "\x02\x02\x01\x41\x00\x02\x05\x03\x00\x00\x00\x00\x04"
                          "\x00\x00\x00\x00\x00\x00\x00\x00\x05\x03xyz\x00"));
    buf_append(&file, LIT("\xf4\x41\x00\x02\x01"));
    buf_append(&file, LIT("\xf3" IMPORT_NAME "\x02\x01\x02\x41\x00\x41\x05"));
    add_record(&file, RDB_STRING, "k", LIT("\x01v"));
    add_end(&file, 80);
    assert_true(read_bytes(buf_slice(&file), strict, &t, NULL));
    assert_int_equal(t.keys, 1);
    buf_release(&file);
}

static void slots_on_their_way_are_told(void **state) {
    (void)state;
    static const uint16_t expected[] = { 1, 2, 256, 261 };
    struct buf file = { 0 };
    struct rdb_item item;
    add_header(&file, 80);
    buf_append(&file, LIT("\xf3" IMPORT_NAME "\x02\x01\x02\x41\x00\x41\x05"));
    add_end(&file, 80);
    struct rdb_reader *r = rdb_reader_over(buf_slice(&file), strict);
    assert_int_equal(rdb_reader_next(r, &item), RDB_EVENT_IMPORT);
    assert_int_equal(item.name.len, RDB_IMPORT_NAME_LEN);
    assert_int_equal(item.value.len, sizeof expected);
    assert_memory_equal(item.value.ptr, expected, sizeof expected);
    assert_int_equal(rdb_reader_next(r, &item), RDB_EVENT_END);
    rdb_reader_close(r);
    buf_release(&file);
}

static void slots_that_cannot_be_are_refused(void **state) {
    (void)state;
    static const struct slice wrong[] = {
        LIT_INIT("\xf3\x03job\x01\x01\x02"),                       /* no name */
        LIT_INIT("\xf3" IMPORT_NAME "\x01\x02\x01"),              /* backwards */
        LIT_INIT("\xf3" IMPORT_NAME "\x01\x01\x80\x00\x00\x40\x00"), /* beyond the last */
        LIT_INIT("\xf3" IMPORT_NAME "\x80\x00\x00\x40\x01"),      /* too many */
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct buf file = { 0 };
        struct tally t;
        add_header(&file, 80);
        buf_append(&file, wrong[i]);
        add_end(&file, 80);
        assert_false(read_bytes(buf_slice(&file), strict, &t, NULL));
        buf_release(&file);
    }
}

static void a_collection_without_elements_is_no_key(void **state) {
    (void)state;
    static const struct {
        unsigned type;
        struct slice body;
    } empty[] = { { RDB_LIST, LIT_INIT("\x00") },
                  { RDB_SET, LIT_INIT("\x00") },
                  { RDB_ZSET_2, LIT_INIT("\x00") },
                  { RDB_HASH, LIT_INIT("\x00") },
                  { RDB_HASH_LISTPACK, LIT_INIT("\x07\x07\x00\x00\x00\x00\x00\xff") } };
    for (size_t i = 0; i < COUNT_OF(empty); i++) {
        struct buf file = { 0 };
        struct tally t;
        add_header(&file, 11);
        add_record(&file, empty[i].type, "e", empty[i].body);
        add_record(&file, RDB_STRING, "k", LIT("\x01v"));
        add_end(&file, 11);
        assert_true(read_bytes(buf_slice(&file), strict, &t, NULL));
        assert_int_equal(t.keys, 1);
        buf_release(&file);
    }
}

static void bytes_behind_the_end_are_left_to_the_caller(void **state) {
    (void)state;
    struct buf file = { 0 };
    struct tally t;
    fill_file(&file, 11);
    size_t end = file.len;
    buf_append(&file, LIT("*1\r\n$4\r\nPING\r\n"));
    assert_true(read_bytes(buf_slice(&file), strict, &t, NULL));
    assert_int_equal(t.end, end);
    buf_release(&file);
}

/* ---- damage ---- */

static void each_flipped_bit_is_refused(void **state) {
    (void)state;
    static const int versions[] = { 5, 9, 11, 80 };
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct buf file = { 0 };
        fill_file(&file, versions[v]);
        for (size_t bit = 0; bit < file.len * 8; bit++) {
            file.ptr[bit / 8] ^= (char)(1 << bit % 8);
            struct tally t;
            if (read_bytes(buf_slice(&file), strict, &t, NULL))
                fail_msg("version %d, bit %zu of byte %zu went unseen", versions[v], bit % 8, bit / 8);
            file.ptr[bit / 8] ^= (char)(1 << bit % 8);
        }
        buf_release(&file);
    }
}

static void each_truncation_is_refused(void **state) {
    (void)state;
    static const int versions[] = { 1, 4, 5, 11, 80 };
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct buf file = { 0 };
        fill_file(&file, versions[v]);
        for (size_t len = 0; len < file.len; len++) {
            char *exact = mem_alloc(len ? len : 1); /* no larger, so that asan sees a byte too many */
            memcpy(exact, file.ptr, len);
            assert_refused(slice_make(exact, len), "Unexpected EOF");
            mem_free(exact);
        }
        buf_release(&file);
    }
}

static void a_checksum_of_zero_was_not_taken(void **state) {
    (void)state;
    struct buf file = { 0 };
    struct rdb_item item;
    fill_file(&file, 11);
    memset(file.ptr + file.len - 8, 0, 8);
    struct rdb_reader *r = rdb_reader_over(buf_slice(&file), strict);
    while (rdb_reader_next(r, &item) != RDB_EVENT_END) continue;
    assert_int_equal(rdb_reader_sum(r), RDB_SUM_NONE);
    rdb_reader_close(r);
    buf_release(&file);
}

static void the_checksum_is_not_looked_at_if_told_so(void **state) {
    (void)state;
    struct buf file = { 0 };
    struct tally t;
    fill_file(&file, 11);
    file.ptr[file.len - 3] ^= 1;
    assert_refused(buf_slice(&file), "CRC error");
    assert_true(read_bytes(buf_slice(&file), (struct rdb_rules){ .no_checksum = true }, &t, NULL));
    buf_release(&file);
}

static void versions_are_refused_or_taken(void **state) {
    (void)state;
    static const struct {
        const char *header;
        bool strict, relaxed;
    } rows[] = {
        { "REDIS0001", true, true },   { "REDIS0011", true, true },   { "REDIS0012", false, true },
        { "REDIS0079", false, true },  { "REDIS0080", false, false }, { "REDIS0000", false, false },
        { "VALKEY080", true, true },   { "VALKEY081", false, true },  { "VALKEY079", false, false },
        { "VALKEY011", false, false }, { "REDIS00x1", false, false }, { "RADIS0011", false, false },
        { "REDIS001", false, false },  { "", false, false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf file = { 0 };
        struct tally t;
        buf_append(&file, slice_of(rows[i].header));
        add_end(&file, strstr(rows[i].header, "0001") ? 1 : 11);
        assert_int_equal(read_bytes(buf_slice(&file), strict, &t, NULL), rows[i].strict);
        assert_int_equal(read_bytes(buf_slice(&file), (struct rdb_rules){ .relaxed = true }, &t, NULL),
                         rows[i].relaxed);
        buf_release(&file);
    }
}

static void errors_say_where_and_what(void **state) {
    (void)state;
    static const struct {
        int version;
        struct slice bytes; /* behind the header */
        const char *says;
    } rows[] = {
        { 11, LIT_INIT("\x63\x01k\x01v"), "offset 9: Invalid object type: 99" },
        { 11, LIT_INIT("\xfc\x00\x00\x00\x00\x00\x00\x00\x00\xfa"), "offset 18: Invalid object type: 250" },
        { 11, LIT_INIT("\x16\x01k\x00"), "offset 9: Invalid object type: 22" }, /* only Valkey's is known */
        { 11, LIT_INIT("\x00\x01k\xc7"),
          "offset 12, key 'k', type 0 (string): The bytes here make no sense" },
        { 11, LIT_INIT("\x00\x01k\x05hell"), "offset 17, key 'k', type 0 (string): Unexpected EOF" },
        { 11, LIT_INIT("\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff"), "type 0 (string): Unexpected EOF" },
        { 11, LIT_INIT("\x02\x01k\x02\x01\x61\x01\x61\xff"),
          "offset 17, key 'k', type 2 (set-hashtable): The value" },
        { 11, LIT_INIT("\x10\x02\x09k\x05hello\xff"),
          "key '?k', type 16 (hash-listpack): The value is damaged (integrity check failed)" },
        { 11, LIT_INIT("\x06\x01k\x00"), "offset 9: Old modules format (type 6)" },
        { 10, LIT_INIT("\xf6\x03lib"), "Pre-release function format" },
        { 11, LIT_INIT("\xfe\x81\x00\x00\x00\x01\x00\x00\x00\x00"), "make no sense" },
        { 11, LIT_INIT("\x07\x01k" MODULE_ID "\x05\x01x\x00"),
          "key 'k', type 7 (module-value): The file holds a "
          "value of the module type '" },
        { 11, LIT_INIT("\x07\x01k" MODULE_ID "\x09"), "make no sense" },
        { 4, LIT_INIT("\xff\x00"), "offset 10: A file of version 4 ends here, but 1 bytes follow" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf file = { 0 };
        add_header(&file, rows[i].version);
        buf_append(&file, rows[i].bytes);
        assert_refused(buf_slice(&file), rows[i].says);
        buf_release(&file);
    }
}

/* ---- files on disk ---- */

/* Bigger than the window through which a file is read, so that records lie across its edges. */
static void records_across_the_edges_of_the_window_are_whole(void **state) {
    (void)state;
    struct buf file = { 0 }, error = { 0 };
    struct rdb_out big = { 0 };
    struct tally t;
    memset(buf_reserve(&big.bytes, 20 << 20), 'x', 20 << 20);
    big.bytes.len = 20 << 20;
    add_header(&file, 11);
    struct rdb_out body = { 0 };
    rdb_put_string(&body, buf_slice(&big.bytes));
    for (int i = 0; i < 300000; i++) {
        char key[32];
        snprintf(key, sizeof key, "a-key-of-some-length:%d", i);
        if (i == 150000) add_record(&file, RDB_STRING, "big", buf_slice(&body.bytes));
        add_record(&file, RDB_STRING, key,
                   LIT("\x0a"
                       "0123456789"));
    }
    add_end(&file, 11);
    put_file("big.rdb", buf_slice(&file));
    struct rdb_reader *r = rdb_reader_open(path_of("big.rdb"), strict, &error);
    assert_non_null(r);
    assert_true(read_file(r, &t, &error));
    assert_int_equal(t.keys, 300001);
    assert_int_equal(t.end, file.len);
    rdb_reader_close(r);
    assert_true(rdb_verify(path_of("big.rdb"), strict, &error));
    file.ptr[file.len / 2] ^= 4;
    put_file("big.rdb", buf_slice(&file));
    assert_false(rdb_verify(path_of("big.rdb"), strict, &error));
    buf_release(&file);
    buf_release(&big.bytes);
    buf_release(&body.bytes);
    buf_release(&error);
}

static void files_that_cannot_be_opened_are_refused(void **state) {
    (void)state;
    struct buf error = { 0 };
    assert_null(rdb_reader_open(path_of("absent.rdb"), strict, &error));
    assert_true(slice_equal(buf_slice(&error), LIT("No such file or directory")));
    buf_clear(&error);
    assert_null(rdb_reader_open(folder, strict, &error));
    assert_true(slice_equal(buf_slice(&error), LIT("it is no regular file")));
    buf_release(&error);
    put_file("empty.rdb", LIT(""));
    assert_false(rdb_verify(path_of("empty.rdb"), strict, &error));
    buf_release(&error);
}

/* ---- checking, and libraries ---- */

static void collect_line(void *arg, const char *line) { buf_printf(arg, "%s\n", line); }

static void checking_says_what_operators_know(void **state) {
    (void)state;
    struct buf file = { 0 }, said = { 0 };
    add_header(&file, 11);
    add_aux(&file, "redis-ver", "7.2.4");
    buf_append(&file, LIT("\xfe\x03\xfc\x01\x00\x00\x00\x00\x00\x00\x00"));
    add_record(&file, RDB_STRING, "old", LIT("\x01v"));
    add_record(&file, RDB_STRING, "k", LIT("\x01v"));
    size_t broken_at = file.len - 2;
    add_end(&file, 11);
    put_file("f.rdb", buf_slice(&file));
    uint64_t end = 0;
    assert_true(rdb_check(path_of("f.rdb"), collect_line, &said, &end));
    assert_int_equal(end, file.len);
    struct buf expected = { 0 };
    buf_printf(
        &expected,
        "[offset 0] Checking RDB file %s\n[offset 26] AUX FIELD redis-ver = '7.2.4'\n"
        "[offset 28] Selecting DB ID 3\n[offset %zu] Checksum OK\n[offset %zu] \\o/ RDB looks OK! \\o/\n"
        "[info] 2 keys read\n[info] 1 expires\n[info] 1 already expired\n",
        path_of("f.rdb"), file.len, file.len);
    assert_true(slice_equal(buf_slice(&said), buf_slice(&expected)));
    file.ptr[broken_at] = (char)0xc9;
    put_file("f.rdb", buf_slice(&file));
    buf_clear(&said);
    assert_false(rdb_check(path_of("f.rdb"), collect_line, &said, NULL));
    buf_append_byte(&said, '\0');
    assert_non_null(strstr(said.ptr, "--- RDB ERROR DETECTED ---\n[offset "));
    assert_non_null(strstr(said.ptr, "[additional info] While doing: read-object-value\n"
                                     "[additional info] Reading key 'k'\n"
                                     "[additional info] Reading type 0 (string)\n[info] 1 keys read\n"));
    buf_release(&file);
    buf_release(&said);
    buf_release(&expected);
}

int main(void) {
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_every_version_are_read),
        cmocka_unit_test(every_form_becomes_its_type),
        cmocka_unit_test(marks_before_a_key_belong_to_it_alone),
        cmocka_unit_test(the_hint_that_the_policy_knows_is_used),
        cmocka_unit_test(facts_are_kept_and_unknown_ones_skipped),
        cmocka_unit_test(a_position_that_cannot_be_is_left_out),
        cmocka_unit_test(what_others_put_between_keys_is_skipped),
        cmocka_unit_test(slots_on_their_way_are_told),
        cmocka_unit_test(slots_that_cannot_be_are_refused),
        cmocka_unit_test(a_collection_without_elements_is_no_key),
        cmocka_unit_test(bytes_behind_the_end_are_left_to_the_caller),
        cmocka_unit_test(each_flipped_bit_is_refused),
        cmocka_unit_test(each_truncation_is_refused),
        cmocka_unit_test(a_checksum_of_zero_was_not_taken),
        cmocka_unit_test(the_checksum_is_not_looked_at_if_told_so),
        cmocka_unit_test(versions_are_refused_or_taken),
        cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(records_across_the_edges_of_the_window_are_whole),
        cmocka_unit_test(files_that_cannot_be_opened_are_refused),
        cmocka_unit_test(checking_says_what_operators_know),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
