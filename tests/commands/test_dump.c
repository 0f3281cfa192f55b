/* test_dump.c: DUMP and RESTORE over the wire: values of all types there and back, payloads in forms that old
 * servers wrote, and payloads that lie. The payloads were put together byte by byte from the descriptions of
 * the formats. */
#include "../harness/fixture.h"
#include "../harness/saves.h"

#define BAD "-ERR Bad data format"
#define WRONG "-ERR DUMP payload version or checksum are wrong"

struct payload {
    const char *what, *bytes, *read, *reply;
};

/* RESTORE with what DUMP replied. */
static void send_restore(struct client *c, const char *key, const struct node *payload, const char *more) {
    struct words w = { 0 }, tail = { 0 };
    words_add_str(&w, "RESTORE");
    words_add_str(&w, key);
    words_add_str(&w, "0");
    words_add(&w, payload->bytes.ptr, payload->bytes.len);
    if (!words_split(&tail, more)) fail();
    for (size_t i = 0; i < tail.count; i++) words_add(&w, tail.items[i].ptr, tail.items[i].len);
    client_queue_words(c, &w);
    client_flush(c);
    words_release(&w);
    words_release(&tail);
}

static const struct payload old_forms[] = {
    { "a ziplist as a list",
      "\\x0a\\x40\\x75\\x75\\x00\\x00\\x00\\x2b\\x00\\x00\\x00\\x08\\x00\\x00\\x01\\x61\\x03\\xf6"
      "\\x02\\xfe\\xf9\\x03\\xc0\\xe8"
      "\\x03\\x04\\xf0\\x90\\xee\\xfe\\x05\\xd0\\x00\\x00\\x00\\x40\\x06\\xe0\\x00\\x00\\x00\\x00"
      "\\x00\\xff\\xff\\xff\\x0a\\x40"
      "\\x46\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78"
      "\\x78\\x78\\x78\\x78\\x78\\x78"
      "\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78"
      "\\x78\\x78\\x78\\x78\\x78\\x78"
      "\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78\\x78"
      "\\x78\\x78\\x78\\x78\\x78\\xff"
      "\\x06\\x00\\xb6\\xd5\\x0c\\x51\\x69\\x2d\\x86\\x7c",
      "LRANGE k 0 -1",
      "*[$\"a\", $\"5\", $\"-7\", $\"1000\", $\"-70000\", $\"1073741824\", $\"-1099511627776\", "
      "$\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]" },
    { "a quicklist of ziplists",
      "\\x0e\\x02\\x10\\x10\\x00\\x00\\x00\\x0d\\x00\\x00\\x00\\x02\\x00\\x00\\x01\\x61\\x03\\xf2"
      "\\xff\\x0e\\x0e\\x00\\x00\\x00"
      "\\x0a\\x00\\x00\\x00\\x01\\x00\\x00\\x01\\x62\\xff\\x07\\x00\\x9c\\x51\\x0c\\xb3\\x95\\x02\\xf6\\xce",
      "LRANGE k 0 -1",
      "*[$\"a\", $\"1\", $\"b\"]" },
    { "a list of strings",
      "\\x01\\x02\\x01\\x61\\xc0\\x05\\x06\\x00\\xd1\\x4e\\x1f\\x09\\x05\\x9a\\x87\\x04",
      "LRANGE k 0 -1",
      "*[$\"a\", $\"5\"]" },
    { "a ziplist as a hash",
      "\\x0d\\x16\\x16\\x00\\x00\\x00\\x13\\x00\\x00\\x00\\x04\\x00\\x00\\x01\\x66\\x03\\x01\\x76"
      "\\x03\\x01\\x6e\\x03\\xfd\\xff"
      "\\x06\\x00\\x24\\x30\\xc8\\x34\\x12\\xeb\\xfb\\x0a",
      "HGETALL k",
      "*[$\"f\", $\"v\", $\"n\", $\"12\"]" },
    { "a zipmap",
      "\\x09\\x11\\x02\\x01\\x66\\x01\\x00\\x76\\x02\\x67\\x67\\x03\\x02\\x77\\x77\\x77\\x2e\\x2e"
      "\\xff\\x02\\x00\\x22\\x15\\xf4"
      "\\x76\\xb1\\xac\\x82\\x13",
      "HGETALL k",
      "*[$\"f\", $\"v\", $\"gg\", $\"www\"]" },
    { "a ziplist as a sorted set",
      "\\x0c\\x18\\x18\\x00\\x00\\x00\\x12\\x00\\x00\\x00\\x04\\x00\\x00\\x01\\x61\\x03\\xf2\\x02"
      "\\x01\\x62\\x03\\x03\\x32\\x2e"
      "\\x35\\xff\\x06\\x00\\xca\\xba\\x75\\x1d\\x61\\x3a\\x92\\x24",
      "ZRANGE k 0 -1 WITHSCORES",
      "*[$\"a\", $\"1\", $\"b\", $\"2.5\"]" },
    { "scores as decimals",
      "\\x03\\x03\\x01\\x61\\x03\\x31\\x2e\\x35\\x01\\x62\\xfe\\x01\\x63\\xff\\x06\\x00\\x90\\x3b"
      "\\xdd\\x51\\xee\\x85\\x34\\xdc",
      "ZRANGE k 0 -1 WITHSCORES",
      "*[$\"c\", $\"-inf\", $\"a\", $\"1.5\", $\"b\", $\"inf\"]" },
    { "a quicklist of a plain node and a listpack",
      "\\x12\\x02\\x01\\x05\\x70\\x6c\\x61\\x69\\x6e\\x02\\x0c\\x0c\\x00\\x00\\x00\\x01\\x00\\x83"
      "\\x61\\x62\\x63\\x04\\xff\\x0a"
      "\\x00\\xdb\\x8e\\xa6\\x39\\x80\\x20\\xf4\\x43",
      "LRANGE k 0 -1",
      "*[$\"plain\", $\"abc\"]" },
};

static const struct payload lies[] = {
    { "fewer members than stated",
      "\\x02\\x3f\\x01\\x61\\x06\\x00\\xcc\\x62\\x89\\xd6\\x53\\x86\\xad\\xb5", NULL, NULL },
    { "a member twice",
      "\\x02\\x02\\x01\\x61\\x01\\x61\\x06\\x00\\xc1\\x53\\x1e\\xaf\\x37\\x83\\x6e\\xa9", NULL, NULL },
    { "a name without value",
      "\\x0d\\x0e\\x0e\\x00\\x00\\x00\\x0a\\x00\\x00\\x00\\x01\\x00\\x00\\x01\\x66\\xff\\x06\\x00"
      "\\x46\\x25\\x0e\\xcd\\x97\\xde"
      "\\x8e\\x5a", NULL, NULL },
    { "a score that is no number",
      "\\x03\\x01\\x01\\x61\\xfd\\x06\\x00\\x45\\x7e\\x0f\\xc9\\x1f\\x8a\\x02\\x46", NULL, NULL },
    { "bytes behind the value",
      "\\x00\\x01\\x61\\x78\\x06\\x00\\xfd\\x94\\x7e\\x74\\x11\\x5c\\x8c\\x8a", NULL, NULL },
    { "no such type",
      "\\x08\\x01\\x61\\x06\\x00\\xb2\\x68\\x26\\x9e\\x75\\x69\\x3f\\xa4", NULL, NULL },
    { "a module's value",
      "\\x07\\x01\\x61\\x09\\x00\\x35\\x1f\\xce\\x95\\x69\\x08\\x00\\x8e", NULL, NULL },
    { "a set without members",
      "\\x02\\x00\\x06\\x00\\xac\\x23\\x51\\x80\\x6e\\xdc\\x05\\x7b", NULL, NULL },
    { "a list without elements",
      "\\x0a\\x0b\\x0b\\x00\\x00\\x00\\x0a\\x00\\x00\\x00\\x00\\x00\\xff\\x06\\x00\\xe8\\xf7\\xa7"
      "\\x59\\xde\\x9f\\x7d\\xe2", NULL, NULL },
    { "broken compression",
      "\\x00\\xc3\\x04\\x40\\xff\\x01\\x02\\x03\\x04\\x06\\x00\\x78\\xd5\\xc0\\xc1\\xe7\\x61\\xba"
      "\\x8f", NULL, NULL },
    { "a length beyond all bytes",
      "\\x00\\x81\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x06\\x00\\x71\\x01\\x09\\x5c\\xc3\\x4f"
      "\\x23\\xc4", NULL, NULL },
    { "integers that do not rise",
      "\\x0b\\x0c\\x02\\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x05\\x00\\x05\\x00\\x06\\x00\\xbb\\xf0"
      "\\x50\\xd8\\xcd\\xe9\\xce\\x95", NULL, NULL },
    { "a wrong backward length",
      "\\x0a\\x11\\x11\\x00\\x00\\x00\\x0d\\x00\\x00\\x00\\x02\\x00\\x00\\x01\\x61\\x03\\x07\\x62"
      "\\xff\\x06\\x00\\xb0\\x48\\x19"
      "\\xf9\\x4c\\xa5\\x86\\x01", NULL, NULL },
    { "a score that is text",
      "\\x0c\\x11\\x11\\x00\\x00\\x00\\x0d\\x00\\x00\\x00\\x02\\x00\\x00\\x01\\x61\\x03\\x01\\x78"
      "\\xff\\x06\\x00\\x92\\x09\\xca"
      "\\xb8\\x32\\x28\\x49\\x0e", NULL, NULL },
    { "a field twice",
      "\\x0d\\x15\\x15\\x00\\x00\\x00\\x12\\x00\\x00\\x00\\x04\\x00\\x00\\x01\\x66\\x03\\xf2\\x02"
      "\\x01\\x66\\x03\\xf3\\xff\\x06"
      "\\x00\\x29\\x3a\\x88\\x6e\\xdb\\x0f\\xb6\\xff", NULL, NULL },
    { "a string that is cut off",
      "\\x00\\x05\\x61\\x62\\x63\\x06\\x00\\x61\\x0c\\x2e\\x66\\x27\\x02\\x62\\x6e", NULL, NULL },
};

#define FUTURE "\\x00\\x01\\x61\\x0c\\x00\\x74\\x88\\xdb\\x5b\\x75\\x1c\\xe3\\xfd"
#define DATED                                                                                                \
    "\\x16\\x02\\x01\\x66\\x01\\x76\\x00\\xd8\\xc3\\x2c\\xbb\\x03\\x00\\x00\\x01\\x67\\x01\\x77\\xff\\xff\\" \
    "xff\\xff\\xff\\xff"                                                                                     \
    "\\xff\\xff\\x50\\x00\\xe6\\x0a\\x2f\\x75\\xe1\\xb4\\x5a\\x59"

static void values_of_every_type_come_back_as_they_were(void **state) {
    static const char *const makers[] = {
        "SET k text", "SET k 12345", "RPUSH k a b 3", "SADD k 1 2 3", "SADD k a b c", "ZADD k 1 a 2.5 b",
        "HSET k f v g 2",
        "XADD k 1-1 f v", "PFADD k a b c",
    };
    struct client *c = fixture_client(state);
    for (size_t version = 0; version < 3; version++) {
        client_ask(c, "CONFIG SET rdb-write-version %s", version == 0 ? "auto" : version == 1 ? "10" : "11");
        for (size_t i = 0; i < COUNT_OF(makers); i++) {
            assert_reply(c, "FLUSHALL", "+OK");
            client_ask(c, "%s", makers[i]);
            struct node *payload = client_ask_node(c, "DUMP k");
            send_restore(c, "copy", payload, "");
            assert_next(c, "+OK");
            struct node *digests = client_ask_node(c, "DEBUG DIGEST-VALUE k copy");
            assert_int_equal(digests->count, 2);
            assert_string_equal(text_str(&digests->items[0]->bytes), text_str(&digests->items[1]->bytes));
            node_free(digests);
            node_free(payload);
        }
    }
    assert_reply(c, "CONFIG SET rdb-write-version auto", "+OK");
    assert_reply(c, "DUMP none", "$-1");
}

static void big_values_come_back_as_they_were(void **state) {
    struct client *c = fixture_client(state);
    for (int i = 0; i < 3000; i++) {
        client_queue(c, "RPUSH l element:%d", i);
        client_queue(c, "SADD s member:%d", i);
        client_queue(c, "ZADD z %d.5 member:%d", i % 100, i);
        client_queue(c, "HSET h field:%d value", i);
        client_queue(c, "XADD x %d-1 f %d", i + 1, i);
    }
    client_flush(c);
    client_skip(c, 5 * 3000);
    static const char *const keys[] = { "l", "s", "z", "h", "x" };
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct node *payload = client_ask_node(c, "DUMP %s", keys[i]);
        send_restore(c, "copy", payload, "REPLACE");
        assert_next(c, "+OK");
        struct node *digests = client_ask_node(c, "DEBUG DIGEST-VALUE %s copy", keys[i]);
        assert_string_equal(text_str(&digests->items[0]->bytes), text_str(&digests->items[1]->bytes));
        node_free(digests);
        node_free(payload);
    }
}

static void forms_of_old_servers_can_be_read(void **state) {
    struct client *c = fixture_client(state);
    struct text command = { 0 };
    for (size_t i = 0; i < COUNT_OF(old_forms); i++) {
        text_clear(&command);
        text_printf(&command, "RESTORE k 0 \"%s\" REPLACE", old_forms[i].bytes);
        print_message("%s\n", old_forms[i].what);
        assert_reply(c, text_str(&command), "+OK");
        assert_reply(c, old_forms[i].read, old_forms[i].reply);
    }
    text_release(&command);
    assert_reply(c, "RESTORE k 0 \"" DATED "\" REPLACE", "+OK");
    assert_reply(c, "HPEXPIRETIME k FIELDS 2 f g", "*[:4102444800000, :-1]");
}

static void payloads_that_lie_are_refused_and_change_nothing(void **state) {
    struct client *c = fixture_client(state);
    struct text command = { 0 };
    assert_reply(c, "SET k old", "+OK");
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        text_clear(&command);
        text_printf(&command, "RESTORE k 0 \"%s\" REPLACE", lies[i].bytes);
        print_message("%s\n", lies[i].what);
        assert_reply(c, text_str(&command), BAD);
    }
    text_release(&command);
    assert_reply(c, "GET k", "$\"old\"");
}

static void restore_checks_its_arguments_in_their_order(void **state) {
    static const struct exchange rows[] = {
        { "RESTORE k 0 x FOO", "-ERR syntax error" },
        { "RESTORE k -1 x", "-ERR Invalid TTL value, must be >= 0" },
        { "RESTORE k a x", "-ERR value is not an integer or out of range" },
        { "RESTORE k 0 x", WRONG },
        { "RESTORE k 0 \"\"", WRONG },
        { "RESTORE k 0 \"" FUTURE "\"", WRONG },
        { "RESTORE k 0 x IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0" },
        { "RESTORE k 0 x FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255" },
        { "RESTORE k 0 x FREQ 1 IDLETIME 1", "-ERR syntax error" },
        { "SET k v", "+OK" },
        { "RESTORE k a x", "-BUSYKEY Target key name already exists." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

#define NEWER "\"\\x00\\x03bar\\xde\\x00\\x0fYUza\\xd3\\xec\\xe0\"" /* version 222 */

static void a_newer_payload_is_tried_if_that_is_wanted(void **state) {
    static const struct exchange rows[] = {
        { "RESTORE k 0 " NEWER, WRONG },
        { "CONFIG SET rdb-version-check relaxed", "+OK" },
        { "RESTORE k 0 " NEWER, "+OK" },
        { "GET k", "$\"bar\"" },
        { "CONFIG SET rdb-version-check strict", "+OK" },
        { "RESTORE k 0 " NEWER " REPLACE", WRONG },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_payloads_checksum_is_skipped_if_that_is_wanted(void **state) {
    static const struct exchange rows[] = {
        { "RESTORE k 0 \"\\x00\\x03bar\\x0b\\x0012345678\"", WRONG },
        { "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1", "+OK" },
        { "RESTORE k 0 \"\\x00\\x03bar\\x0b\\x0012345678\"", "+OK" },
        { "GET k", "$\"bar\"" },
        { "RESTORE k 0 \"\\x00\\x09bar\\x0b\\x0012345678\" REPLACE", "-ERR Bad data format" },
        { "DEBUG SET-SKIP-CHECKSUM-VALIDATION 0", "+OK" },
        { "RESTORE k 0 \"\\x00\\x03bar\\x0b\\x0012345678\" REPLACE", WRONG },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void restore_sets_time_and_idleness(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SET k v", "+OK");
    struct node *payload = client_ask_node(c, "DUMP k");
    send_restore(c, "a", payload, "IDLETIME 1000");
    assert_next(c, "+OK");
    assert_reply(c, "OBJECT IDLETIME a", ":1000..1010");
    send_restore(c, "k", payload, "");
    assert_next(c, "-BUSYKEY Target key name already exists.");
    struct words w = { 0 };
    const char *const ttls[] = { "100000", "4102444800000", "1" };
    for (size_t i = 0; i < COUNT_OF(ttls); i++) {
        words_clear(&w);
        words_add_str(&w, "RESTORE");
        words_add_str(&w, "k");
        words_add_str(&w, ttls[i]);
        words_add(&w, payload->bytes.ptr, payload->bytes.len);
        words_add_str(&w, "REPLACE");
        if (i > 0) words_add_str(&w, "ABSTTL");
        client_queue_words(c, &w);
        client_flush(c);
        assert_next(c, "+OK");
        assert_reply(c, i == 0 ? "PTTL k" : "PEXPIRETIME k",
                     i == 0   ? ":90000..100000"
                     : i == 1 ? ":4102444800000"
                              : ":-2");
    }
    words_release(&w);
    node_free(payload);
}

/* The commands are replayed first, then a rewritten base. */
static void what_was_made_survives_a_kill_and_a_rewrite(void **state) {
    static const char *const makers[] = {
        "SADD s a b c", "SADD i 3 1 2", "HSET h f v g 2", "HSET dated f v g w",
        "HPEXPIREAT dated 4102444800000 FIELDS 1 f",
        "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
        "GEOSEARCHSTORE near geo FROMLONLAT 15 37 BYRADIUS 100 km",
        "GEORADIUS geo 15 37 300 km STOREDIST far", "RPUSH l 3 1 2", "SORT l STORE sorted", "PFADD p a b c",
        "ZADD z 1.5 a",
        "XADD x 1-1 f v", "SORT s BY nosort STORE members",
    };
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--aof-use-rdb-preamble", "no", NULL);
    struct client *c = server_connect(s);
    for (size_t i = 0; i < COUNT_OF(makers); i++) client_ask(c, "%s", makers[i]);
    for (int i = 0; i < 1000; i++)
        client_queue(c, "SADD many member:%d", i), client_queue(c, "HSET fields f:%d %d", i, i);
    client_flush(c);
    client_skip(c, 2000);
    struct node *payload = client_ask_node(c, "DUMP h");
    send_restore(c, "restored", payload, "");
    assert_next(c, "+OK");
    node_free(payload);
    struct text before = { 0 };
    text_append_str(&before, client_ask(c, "DEBUG DIGEST"));
    for (int round = 0; round < 2; round++) {
        client_close(c);
        server_kill(s);
        server_restart(s);
        c = server_connect(s);
        assert_reply(c, "DEBUG DIGEST", text_str(&before));
        assert_reply(c, "HPEXPIRETIME dated FIELDS 2 f g", "*[:4102444800000, :-1]");
        assert_reply(c, "CONFIG SET appendonly no", "+OK");
        assert_reply(c, "CONFIG SET appendonly yes", "+OK"); /* writes a base */
        saves_await(c);
        for (int i = 0; i < 10000 && info_number(c, "persistence", "aof_rewrite_in_progress") != 0; i++) {
        }
    }
    text_release(&before);
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(values_of_every_type_come_back_as_they_were),
        FIXTURE_TEST(big_values_come_back_as_they_were),
        FIXTURE_TEST(forms_of_old_servers_can_be_read),
        FIXTURE_TEST(payloads_that_lie_are_refused_and_change_nothing),
        FIXTURE_TEST(restore_checks_its_arguments_in_their_order),
        FIXTURE_TEST(a_newer_payload_is_tried_if_that_is_wanted),
        FIXTURE_TEST(a_payloads_checksum_is_skipped_if_that_is_wanted),
        FIXTURE_TEST(restore_sets_time_and_idleness),
        cmocka_unit_test(what_was_made_survives_a_kill_and_a_rewrite),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
