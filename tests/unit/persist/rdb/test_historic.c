/* test_historic.c: values in the forms of old servers, and old forms that lie. */
#include "rdb_fixtures.h"

static void old_forms_hold_what_they_held(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
        const struct fixture *f = &fixtures[i];
        struct buf payload = fixture_payload(f), text = { 0 };
        bool empty;
        struct entry *e = entry_of(buf_slice(&payload), &empty);
        if (!e) fail_msg("%s was refused", f->what);
        check_entry(e);
        describe(e, &text);
        if (!slice_equal(buf_slice(&text), slice_of(f->text)))
            fail_msg("%s holds\n%.*s", f->what, SLICE_ARG(buf_slice(&text)));
        if (e->type != f->value_type || entry_encoding(e) != f->encoding)
            fail_msg("%s has type %d and encoding %d", f->what, e->type, entry_encoding(e));
        entry_free(e);
        buf_release(&payload);
        buf_release(&text);
    }
}

static void old_forms_are_written_in_todays(void **state) {
    static const int versions[] = { 10, 11, RDB_VERSION_VALKEY };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
        struct buf payload = fixture_payload(&fixtures[i]);
        bool empty;
        struct entry *e = entry_of(buf_slice(&payload), &empty);
        assert_non_null(e);
        for (size_t k = 0; k < COUNT_OF(versions); k++) {
            if (fixtures[i].type == RDB_STREAM_3 && versions[k] == 10)
                continue; /* loses when one was active */
            struct buf fresh = payload_of(e, versions[k], true);
            struct entry *again = entry_of(buf_slice(&fresh), &empty);
            assert_non_null(again);
            assert_true(same_contents(e, again));
            entry_free(again);
            buf_release(&fresh);
        }
        entry_free(e);
        buf_release(&payload);
    }
}

/* ---- long ziplists and zipmaps ---- */

static void put_le(struct buf *b, uint64_t n, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) buf_append_byte(b, (char)(n >> 8 * i & 0xff));
}

struct ziplist {
    struct buf bytes;
    size_t last, previous, count;
};

static struct ziplist ziplist_new(void) {
    struct ziplist z = { .last = 10 };
    buf_append(&z.bytes, LIT("\0\0\0\0\0\0\0\0\0\0")); /* the header, filled in at the end */
    return z;
}

/* A text with its length in 6, 14 or 32 bits. */
static void ziplist_add(struct ziplist *z, struct slice text, int bits) {
    z->last = z->bytes.len;
    if (z->previous < 254)
        put_le(&z->bytes, z->previous, 1);
    else
        put_le(&z->bytes, 0xfe, 1), put_le(&z->bytes, z->previous, 4);
    if (bits == 6) put_le(&z->bytes, text.len, 1);
    if (bits == 14) put_le(&z->bytes, 0x40 | text.len >> 8, 1), put_le(&z->bytes, text.len, 1);
    if (bits == 32) {
        put_le(&z->bytes, 0x80, 1);
        for (int shift = 24; shift >= 0; shift -= 8) put_le(&z->bytes, text.len >> shift, 1);
    }
    buf_append(&z->bytes, text);
    z->previous = z->bytes.len - z->last;
    z->count++;
}

/* The payload of a list, a hash or a sorted set; `stated`: how many entries it says it has. */
static struct buf ziplist_payload(struct ziplist *z, enum rdb_type type, size_t stated) {
    struct rdb_out out = { 0 };
    struct buf header = { 0 };
    put_le(&z->bytes, 0xff, 1);
    put_le(&header, z->bytes.len, 4);
    put_le(&header, z->last, 4);
    put_le(&header, stated, 2);
    memcpy(z->bytes.ptr, header.ptr, header.len);
    buf_append_byte(&out.bytes, (char)type);
    rdb_put_string(&out, buf_slice(&z->bytes));
    buf_release(&header);
    buf_release(&z->bytes);
    return out.bytes;
}

static void long_entries_of_a_ziplist_are_read(void **state) {
    (void)state;
    struct buf long_text = noise(300), longer = noise(20000), got = { 0 }, wanted = { 0 };
    struct ziplist z = ziplist_new();
    ziplist_add(&z, LIT("first"), 6);
    ziplist_add(&z, buf_slice(&long_text), 14);
    ziplist_add(&z, LIT("after a long one"), 6);
    ziplist_add(&z, buf_slice(&longer), 32);
    ziplist_add(&z, LIT("last"), 6);
    struct buf payload = ziplist_payload(&z, RDB_LIST_ZIPLIST, 5);
    bool empty;
    struct entry *e = entry_of(buf_slice(&payload), &empty);
    assert_non_null(e);
    describe(e, &got);
    const struct slice texts[] = { LIT("first"), buf_slice(&long_text), LIT("after a long one"),
                                   buf_slice(&longer), LIT("last") };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        buf_append(&wanted, texts[i]), buf_append_byte(&wanted, '\n');
    assert_true(slice_equal(buf_slice(&got), buf_slice(&wanted)));
    struct buf *const bufs[] = { &long_text, &longer, &got, &wanted, &payload };
    for (size_t i = 0; i < COUNT_OF(bufs); i++) buf_release(bufs[i]);
    entry_free(e);
}

static void big_ziplists_become_big_values(void **state) {
    static const struct {
        enum rdb_type type;
        size_t entries, stated;
        enum encoding encoding;
    } rows[] = {
        { RDB_LIST_ZIPLIST, 5000, 5000, ENCODING_DEQUE },
        { RDB_LIST_ZIPLIST, 70000, 65535, ENCODING_DEQUE }, /* which means: count them */
        { RDB_LIST_ZIPLIST, 10, 65535, ENCODING_LISTPACK },
        { RDB_HASH_ZIPLIST, 2000, 2000, ENCODING_TABLE },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ziplist z = ziplist_new();
        char room[40];
        for (size_t n = 0; n < rows[i].entries; n++)
            ziplist_add(&z, sample_text(room, "", rows[i].entries > 65535 ? n % 10 : n), 6);
        struct buf payload = ziplist_payload(&z, rows[i].type, rows[i].stated);
        bool empty;
        struct entry *e = entry_of(buf_slice(&payload), &empty);
        assert_non_null(e);
        check_entry(e);
        assert_int_equal(entry_encoding(e), rows[i].encoding);
        if (e->type == TYPE_LIST)
            assert_int_equal(list_count(entry_value(e)), rows[i].entries);
        else
            assert_int_equal(hash_count(entry_value(e)), rows[i].entries / 2);
        entry_free(e);
        buf_release(&payload);
    }
}

/* ---- lies ---- */

static bool is_taken(enum rdb_type type, struct slice packed) {
    struct rdb_out out = { 0 };
    buf_append_byte(&out.bytes, (char)type);
    rdb_put_string(&out, packed);
    bool empty;
    struct entry *e = entry_of(buf_slice(&out.bytes), &empty);
    assert_false(empty);
    buf_release(&out.bytes);
    if (e) entry_free(e);
    return e;
}

/* Each beside an honest one from which it differs in the lie alone. */
static void old_forms_that_lie_are_refused(void **state) {
    static const struct {
        const char *what;
        enum rdb_type type;
        struct slice honest, lie; /* what stands in the string */
    } rows[] = {
        { "wrong total", RDB_LIST_ZIPLIST, LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xff"),
          LIT_INIT("\x0f\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xff") },
        { "wrong last entry", RDB_LIST_ZIPLIST, LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xff"),
          LIT_INIT("\x0e\0\0\0\x0b\0\0\0\x01\0\x00\x01\x62\xff") },
        { "wrong count", RDB_LIST_ZIPLIST, LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xff"),
          LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x02\0\x00\x01\x62\xff") },
        { "no end", RDB_LIST_ZIPLIST, LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xff"),
          LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xfe") },
        { "text beyond the end", RDB_LIST_ZIPLIST, LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xff"),
          LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x02\x62\xff") },
        { "wrong length of the one before", RDB_LIST_ZIPLIST,
          LIT_INIT("\x10\0\0\0\x0d\0\0\0\x02\0\x00\x01\x62\x03\xf2\xff"),
          LIT_INIT("\x10\0\0\0\x0d\0\0\0\x02\0\x00\x01\x62\x04\xf2\xff") },
        { "no such encoding", RDB_LIST_ZIPLIST, LIT_INIT("\x0d\0\0\0\x0a\0\0\0\x01\0\x00\xf2\xff"),
          LIT_INIT("\x0d\0\0\0\x0a\0\0\0\x01\0\x00\xc1\xff") },
        { "an integer cut off", RDB_LIST_ZIPLIST, LIT_INIT("\x0f\0\0\0\x0a\0\0\0\x01\0\x00\xc0\x01\x02\xff"),
          LIT_INIT("\x0f\0\0\0\x0a\0\0\0\x01\0\x00\xd0\x01\x02\xff") },
        { "too short for a header", RDB_LIST_ZIPLIST, LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xff"),
          LIT_INIT("\x0a\0\0\0\x0a\0\0\0\0\xff") },
        { "an end in the middle", RDB_LIST_ZIPLIST,
          LIT_INIT("\x12\0\0\0\x0f\0\0\0\x03\0\x00\x01\x62\x03\xf2\x02\xf2\xff"),
          LIT_INIT("\x12\0\0\0\x0f\0\0\0\x03\0\x00\x01\x62\xff\xf2\x02\xf2\xff") },
        { "a field without a value", RDB_HASH_ZIPLIST,
          LIT_INIT("\x10\0\0\0\x0d\0\0\0\x02\0\x00\x01\x62\x03\xf2\xff"),
          LIT_INIT("\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xff") },
        { "a field twice", RDB_HASH_ZIPLIST,
          LIT_INIT("\x15\0\0\0\x12\0\0\0\x04\0\x00\x01\x61\x03\xf2\x02\x01\x62\x03\xf3\xff"),
          LIT_INIT("\x15\0\0\0\x12\0\0\0\x04\0\x00\x01\x62\x03\xf2\x02\x01\x62\x03\xf3\xff") },
        { "a score that is none", RDB_ZSET_ZIPLIST,
          LIT_INIT("\x11\0\0\0\x0d\0\0\0\x02\0\x00\x01\x62\x03\x01\x37\xff"),
          LIT_INIT("\x11\0\0\0\x0d\0\0\0\x02\0\x00\x01\x62\x03\x01\x78\xff") },
        { "a score that is not a number", RDB_ZSET_ZIPLIST,
          LIT_INIT("\x13\0\0\0\x0d\0\0\0\x02\0\x00\x01\x62\x03\x03inf\xff"),
          LIT_INIT("\x13\0\0\0\x0d\0\0\0\x02\0\x00\x01\x62\x03\x03nan\xff") },
        { "a zipmap without an end", RDB_HASH_ZIPMAP, LIT_INIT("\x01\x01\x66\x01\x00\x76\xff"),
          LIT_INIT("\x01\x01\x66\x01\x00\x76") },
        { "a zipmap with a wrong count", RDB_HASH_ZIPMAP, LIT_INIT("\x01\x01\x66\x01\x00\x76\xff"),
          LIT_INIT("\x02\x01\x66\x01\x00\x76\xff") },
        { "a zipmap's name beyond the end", RDB_HASH_ZIPMAP, LIT_INIT("\x01\x01\x66\x01\x00\x76\xff"),
          LIT_INIT("\x01\x09\x66\x01\x00\x76\xff") },
        { "a zipmap's value beyond the end", RDB_HASH_ZIPMAP, LIT_INIT("\x01\x01\x66\x01\x00\x76\xff"),
          LIT_INIT("\x01\x01\x66\x02\x00\x76\xff") },
        { "a zipmap's free bytes beyond the end", RDB_HASH_ZIPMAP, LIT_INIT("\x01\x01\x66\x01\x00\x76\xff"),
          LIT_INIT("\x01\x01\x66\x01\x01\x76\xff") },
        { "a zipmap's name of 4 GB", RDB_HASH_ZIPMAP, LIT_INIT("\x01\xfe\x01\0\0\0\x66\x01\x00\x76\xff"),
          LIT_INIT("\x01\xfe\xff\xff\xff\xff\x66\x01\x00\x76\xff") },
        { "a zipmap's field twice", RDB_HASH_ZIPMAP,
          LIT_INIT("\x02\x01\x66\x01\x00\x76\x01\x67\x01\x00\x76\xff"),
          LIT_INIT("\x02\x01\x66\x01\x00\x76\x01\x66\x01\x00\x76\xff") },
        { "an intset of a width that does not exist", RDB_SET_INTSET, LIT_INIT("\x02\0\0\0\x01\0\0\0\x01\0"),
          LIT_INIT("\x01\0\0\0\x02\0\0\0\x01\x02") },
        { "an intset in no order", RDB_SET_INTSET, LIT_INIT("\x02\0\0\0\x02\0\0\0\x04\0\x05\0"),
          LIT_INIT("\x02\0\0\0\x02\0\0\0\x05\0\x04\0") },
        { "an intset with an integer twice", RDB_SET_INTSET, LIT_INIT("\x02\0\0\0\x02\0\0\0\x04\0\x05\0"),
          LIT_INIT("\x02\0\0\0\x02\0\0\0\x05\0\x05\0") },
        { "an intset of 2^31 integers", RDB_SET_INTSET, LIT_INIT("\x02\0\0\0\x02\0\0\0\x04\0\x05\0"),
          LIT_INIT("\x02\0\0\0\x02\0\0\x80\x04\0\x05\0") },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!is_taken(rows[i].type, rows[i].honest)) fail_msg("%s: the honest one is refused", rows[i].what);
        if (is_taken(rows[i].type, rows[i].lie)) fail_msg("%s: taken", rows[i].what);
    }
}

#define GROUP "\x01g\x02\x00\x03"
#define NO_TIMES "\0\0\0\0\0\0\0\0"
#define ONE_PENDING "\x01" RAW_1_1 SEEN "\x01"
#define CONSUMER \
    "\x02"       \
    "c1" NO_TIMES "\x01" RAW_1_1

static void streams_that_lie_are_refused(void **state) {
    static const struct {
        const char *what;
        bool honest;
        struct slice bytes; /* of a stream of form 2, behind its node */
    } rows[] = {
        { "no group", true, LIT_INIT("\x03\x03\x05\x01\x01\x01\x02\x04\x00") },
        { "another length", false, LIT_INIT("\x02\x03\x05\x01\x01\x01\x02\x04\x00") },
        { "the last id before the last entry", false, LIT_INIT("\x03\x03\x04\x01\x01\x01\x02\x04\x00") },
        { "the last id behind the last entry", true, LIT_INIT("\x03\x03\x06\x01\x01\x01\x02\x04\x00") },
        { "deleted beyond the last id", false, LIT_INIT("\x03\x03\x05\x01\x01\x03\x06\x04\x00") },
        { "fewer added than there are", false, LIT_INIT("\x03\x03\x05\x01\x01\x01\x02\x02\x00") },
        { "a group", true, LIT_INIT(STREAM_NUMBERS STREAM_MORE_NUMBERS "\x01" GROUP "\x00\x00") },
        { "a group twice", false,
          LIT_INIT(STREAM_NUMBERS STREAM_MORE_NUMBERS "\x02" GROUP "\x00\x00" GROUP "\x00\x00") },
        { "a pending entry", true,
          LIT_INIT(STREAM_NUMBERS STREAM_MORE_NUMBERS "\x01" GROUP ONE_PENDING "\x01" CONSUMER) },
        { "a pending entry that nobody has", false,
          LIT_INIT(STREAM_NUMBERS STREAM_MORE_NUMBERS "\x01" GROUP ONE_PENDING "\x00") },
        { "a pending entry twice", false,
          LIT_INIT(STREAM_NUMBERS STREAM_MORE_NUMBERS "\x01" GROUP "\x02" RAW_1_1 SEEN "\x01" RAW_1_1 SEEN
                                                      "\x01\x01" CONSUMER) },
        { "a consumer who has what is not pending", false,
          LIT_INIT(STREAM_NUMBERS STREAM_MORE_NUMBERS "\x01" GROUP "\x00\x01" CONSUMER) },
        { "two who have the same", false,
          LIT_INIT(STREAM_NUMBERS STREAM_MORE_NUMBERS "\x01" GROUP ONE_PENDING "\x02" CONSUMER "\x02"
                                                      "c2" NO_TIMES "\x01" RAW_1_1) },
        { "a consumer twice", false,
          LIT_INIT(STREAM_NUMBERS STREAM_MORE_NUMBERS "\x01" GROUP ONE_PENDING "\x02" CONSUMER "\x02"
                                                      "c1" NO_TIMES "\x00") },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf payload = { 0 };
        bool empty;
        buf_append_byte(&payload, RDB_STREAM_2);
        buf_append(&payload, LIT(STREAM_NODE));
        buf_append(&payload, rows[i].bytes);
        struct entry *e = entry_of(buf_slice(&payload), &empty);
        if (!e == rows[i].honest) fail_msg("%s: %s", rows[i].what, e ? "taken" : "refused");
        if (e) entry_free(e);
        buf_release(&payload);
    }
}

static void values_without_elements_are_told_apart(void **state) {
    static const struct slice rows[] = {
        LIT_INIT("\x01\x00"),                                           /* list */
        LIT_INIT("\x02\x00"),                                           /* set */
        LIT_INIT("\x03\x00"),                                           /* sorted set */
        LIT_INIT("\x04\x00"),                                           /* hash */
        LIT_INIT("\x05\x00"),                                           /* sorted set, binary scores */
        LIT_INIT("\x09\x02\x00\xff"),                                   /* zipmap */
        LIT_INIT("\x0a\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"),               /* ziplist */
        LIT_INIT("\x0b\x08\x02\0\0\0\0\0\0\0"),                         /* intset */
        LIT_INIT("\x0c\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"),               /* sorted set in a ziplist */
        LIT_INIT("\x0d\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"),               /* hash in a ziplist */
        LIT_INIT("\x0e\x00"),                                           /* quicklist */
        LIT_INIT("\x0e\x01\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"),           /* with an empty node */
        LIT_INIT("\x10\x07\x07\0\0\0\0\0\xff"),                         /* hash in a listpack */
        LIT_INIT("\x11\x07\x07\0\0\0\0\0\xff"),                         /* sorted set in a listpack */
        LIT_INIT("\x12\x00"),                                           /* quicklist 2 */
        LIT_INIT("\x12\x01\x02\x07\x07\0\0\0\0\0\xff"),                 /* with an empty node */
        LIT_INIT("\x14\x07\x07\0\0\0\0\0\xff"),                         /* set in a listpack */
        LIT_INIT("\x16\x00"),                                           /* hash with dates */
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool empty = false;
        assert_null(entry_of(rows[i], &empty));
        if (!empty) fail_msg("row %zu is not called empty", i);
    }
}

static void types_that_do_not_exist_are_refused(void **state) {
    (void)state;
    for (int type = 0; type < 256; type++) {
        bool known = type <= RDB_ZSET_2 || (type >= RDB_HASH_ZIPMAP && type <= RDB_HASH_2);
        char payload[] = { (char)type, 0 };
        bool empty;
        struct entry *e = entry_of(slice_make(payload, sizeof payload), &empty);
        assert_int_equal(e != NULL, type == RDB_STRING); /* the empty string */
        if (!known) assert_false(empty);
        if (e) entry_free(e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_forms_hold_what_they_held),
        cmocka_unit_test(old_forms_are_written_in_todays),
        cmocka_unit_test(long_entries_of_a_ziplist_are_read),
        cmocka_unit_test(big_ziplists_become_big_values),
        cmocka_unit_test(old_forms_that_lie_are_refused),
        cmocka_unit_test(streams_that_lie_are_refused),
        cmocka_unit_test(values_without_elements_are_told_apart),
        cmocka_unit_test(types_that_do_not_exist_are_refused),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
