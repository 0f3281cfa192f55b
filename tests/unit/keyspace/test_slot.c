/* Slots: checked against values that redis-server 7.0 answers to CLUSTER KEYSLOT. */
#include "fixture.h"
#include "trivet/keyspace/shard.h"
#include "trivet/keyspace/slot.h"

static const char filler[] = "0123456789abcdefghijklmnopqrstuvwxyzABCD";
static const char *const no_tags[] = { "{}", "{", "}", "}{", "{}{tag}", NULL };

static void a_hash_tag_decides_if_there_is_one(void **state) {
    (void)state;
    static const struct {
        const char *key;
        int slot;
    } rows[] = {
        { "", 0 },
        { "foo", 12182 },
        { "{foo}", 12182 },
        { "123456789", 0x31C3 },
        { "{foo}bar", 12182 },
        { "a{foo}{bar}", 12182 },
        { "{}foo", 9500 },
        { "a}{foo}", 12182 },
        { "a{b", 13340 },
        { "a}b{", 6027 },
        { "{{foo}}", 13308 },
        { "foo}{bar}", 5061 },
        { "bar", 5061 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(slot_of_key(slice_of(rows[i].key)), rows[i].slot);
    /* What is no tag is a part of the key like any other. */
    assert_int_equal(slot_of_key(LIT("{{bar}}")), slot_of_key(LIT("x{{bar}y")));
    assert_true(slot_of_key(LIT("foo{}bar")) != slot_of_key(LIT("foo{}baz")));
    assert_true(slot_of_key(LIT("foo{bar")) != slot_of_key(LIT("bar")));
}

/* With a tag, and with what only looks like one, before, in, behind and after what is read at once. */
static void a_tag_counts_wherever_it_is(void **state) {
    (void)state;
    static const char binary[] = "\0}\xff{\0\xff}\0{foo}", no_end[] = "\0{\0\xff";
    assert_int_equal(slot_of_key(LIT(binary)), slot_of_key(LIT("\0\xff")));
    assert_int_equal(slot_of_key(LIT(no_end)), crc16(LIT(no_end)) % SLOT_COUNT);
    for (size_t before = 0; before < 40; before++) {
        for (size_t after = 0; after < 40; after++) {
            char key[128];
            int len = snprintf(key, sizeof key, "%.*s{tag}%.*s", (int)before, filler, (int)after, filler);
            assert_int_equal(slot_of_key(slice_make(key, (size_t)len)), slot_of_key(LIT("tag")));
            for (const char *const *form = no_tags; *form; form++) {
                len = snprintf(key, sizeof key, "%.*s%s%.*s", (int)before, filler, *form, (int)after, filler);
                struct slice all = slice_make(key, (size_t)len);
                assert_int_equal(slot_of_key(all), crc16(all) % SLOT_COUNT);
            }
        }
    }
}

static void a_pattern_has_a_slot_if_its_tag_is_fixed(void **state) {
    (void)state;
    assert_int_equal(slot_of_pattern(LIT("{foo}*")), slot_of_key(LIT("foo")));
    assert_int_equal(slot_of_pattern(LIT("foo")), slot_of_key(LIT("foo")));
    assert_int_equal(slot_of_pattern(LIT("user:{foo}:?")), slot_of_key(LIT("foo")));
    static const char *const several[] = { "*",      "foo*",   "*{foo}",  "{f*o}",
                                           "{f?o}x", "{f[o]}", "\\{foo}", "{}*" };
    for (size_t i = 0; i < sizeof several / sizeof several[0]; i++)
        assert_int_equal(slot_of_pattern(slice_of(several[i])), -1);
}

static void by_slot_a_shard_is_a_slot(void **state) {
    (void)state;
    static const char *const keys[] = { "",       "foo", "{foo}1",
                                        "{foo}2", "bar", "a longer key than the others {x}" };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct slice key = slice_of(keys[i]);
        shards_init(true);
        uint64_t hash = key_hash(key);
        assert_int_equal(shard_count, SLOT_COUNT);
        assert_int_equal(SHARD_OF(hash), slot_of_key(key));
        /* Bucket and tag are those of the plain hash: tables find a key by either. */
        assert_true((hash >> 54) == (hash_bytes(key) >> 54));
        assert_true((hash & 0xffffffffff) == (hash_bytes(key) & 0xffffffffff));
        shards_release();
        shards_init(false);
        assert_true(key_hash(key) == hash_bytes(key));
        assert_int_equal(shard_count, SHARDS_WITHOUT_SLOTS);
        shards_release();
    }
}

int main(void) {
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_tag_decides_if_there_is_one),
        cmocka_unit_test(a_tag_counts_wherever_it_is),
        cmocka_unit_test(a_pattern_has_a_slot_if_its_tag_is_fixed),
        cmocka_unit_test(by_slot_a_shard_is_a_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
