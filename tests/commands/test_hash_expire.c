/* test_hash_expire.c: fields with a time to live of their own.
 *
 * Times are far away (a count of seconds begins with the same digits for a while) or past; a field that has
 * expired but is still there is made with active expiry switched off and a time of one millisecond, and
 * waited for until it is hidden. */
#include "../harness/fixture.h"
#include "../harness/scenario.h"
#include <stdlib.h>

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INT "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"
#define NUMFIELDS "-ERR numfields should be greater than 0 and match the provided number of fields"
#define FAR "4102444800"
#define FAR_MS "4102444800000"

static void times_are_set_asked_for_and_taken_away(void **state) {
    static const struct exchange rows[] = {
        { "HSET h a 1 b 2 c 3", ":3" },
        { "HTTL h FIELDS 2 a x", "*[:-1, :-2]" },
        { "OBJECT ENCODING h", "$\"listpack\"" },
        { "HEXPIRE h 1999999 FIELDS 3 a b x", "*[:1, :1, :-2]" },
        { "OBJECT ENCODING h", "$\"hashtable\"" },
        { "HTTL h FIELDS 4 a b c x", "*[:19999..., :19999..., :-1, :-2]" },
        { "HPTTL h fields 1 a", "*[:19999...]" },
        { "HPEXPIRE h 2999999000 FIELDS 1 a", "*[:1]" },
        { "HTTL h FIELDS 1 a", "*[:2999...]" },
        { "HEXPIREAT h " FAR " FIELDS 1 b", "*[:1]" },
        { "HEXPIRETIME h FIELDS 1 b", "*[:" FAR "]" },
        { "HPEXPIRETIME h FIELDS 2 b c", "*[:" FAR_MS ", :-1]" },
        { "HPEXPIREAT h 4102444800600 FIELDS 1 b", "*[:1]" },
        { "HPEXPIRETIME h FIELDS 1 b", "*[:4102444800600]" },
        { "HEXPIRETIME h FIELDS 1 b", "*[:4102444801]" },
        { "HPERSIST h FIELDS 3 b c x", "*[:1, :-1, :-2]" },
        { "HTTL h FIELDS 1 b", "*[:-1]" },
        { "HGETALL h", "*..." },
        { "HLEN h", ":3" },
        { "HTTL none FIELDS 2 a b", "*[:-2, :-2]" },
        { "HPERSIST none FIELDS 1 a", "*[:-2]" },
        { "HEXPIRE none 10 FIELDS 1 a", "*[:-2]" },
        { "EXISTS none", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void conditions_decide_field_by_field(void **state) {
    static const struct exchange rows[] = {
        { "HSET h a 1 b 2", ":2" },
        { "HPEXPIREAT h 5000000000000 FIELDS 1 a", "*[:1]" },
        { "HPEXPIREAT h 5000000000001 NX FIELDS 2 a b", "*[:0, :1]" },
        { "HPERSIST h FIELDS 1 b", "*[:1]" },
        { "HPEXPIREAT h 5000000000002 XX FIELDS 2 a b", "*[:1, :0]" },
        { "HPEXPIREAT h 5000000000001 GT FIELDS 2 a b", "*[:0, :0]" },
        { "HPEXPIREAT h 5000000000003 gt FIELDS 2 a b", "*[:1, :0]" },
        { "HPEXPIREAT h 5000000000004 LT FIELDS 2 a b", "*[:0, :1]" },
        { "HPEXPIREAT h 5000000000002 XX LT FIELDS 2 a b", "*[:1, :1]" },
        { "HPEXPIRETIME h FIELDS 2 a b", "*[:5000000000002, :5000000000002]" },
        { "HEXPIRE h 10 NX XX FIELDS 1 a",
          "-ERR NX and XX, GT or LT options at the same time are not compatible" },
        { "HEXPIRE h 10 GT LT FIELDS 1 a", "-ERR GT and LT options at the same time are not compatible" },
        { "HEXPIRE h 10 FOO FIELDS 1 a", "-ERR Unsupported option FOO" },
        { "HSET p f v g w", ":2" },
        { "HEXPIRE p 0 GT FIELDS 2 f x", "*[:0, :-2]" }, /* a past time is judged like any other */
        { "HPEXPIREAT p 1 XX FIELDS 1 f", "*[:0]" },
        { "HLEN p", ":2" },
        { "HEXPIRE p 100 FIELDS 1 f", "*[:1]" },
        { "HEXPIRE p 0 GT FIELDS 1 f", "*[:0]" },
        { "HEXPIRE p 0 NX FIELDS 2 f g", "*[:0, :2]" },
        { "HEXPIRE p 0 LT FIELDS 1 f", "*[:2]" },
        { "EXISTS p", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_past_time_deletes(void **state) {
    static const struct exchange rows[] = {
        { "HSET h a 1 b 2 c 3 d 4 e 5", ":5" },
        { "HEXPIRE h 0 FIELDS 2 a x", "*[:2, :-2]" },
        { "HPEXPIREAT h 1 NX FIELDS 1 b", "*[:2]" },
        { "HGETEX h EX 0 FIELDS 2 c x", "*[$\"3\", $-1]" },
        { "HGETEX h PXAT 1 FIELDS 1 d", "*[$\"4\"]" },
        { "HGETALL h", "*[$\"e\", $\"5\"]" },
        { "HSETEX h EX 0 FIELDS 1 e 6", ":1" },
        { "EXISTS h", ":0" },
        { "HSETEX h EX 0 FIELDS 1 e 6", ":1" },
        { "EXISTS h", ":0" },
        { "HSET h f v g w", ":2" },
        { "HSETEX h PXAT 1 FIELDS 2 f v z v", ":1" },
        { "HGETALL h", "*[$\"g\", $\"w\"]" },
        { "HSETEX h FXX PX 0 FIELDS 1 z v", ":0" },
        { "HSETEX h EXAT 0 FIELDS 2 q 1 r 2", ":1" },
        { "HLEN h", ":1" },
        { "HDEL h g", ":1" },
        { "HSET h a 1", ":1" },
        { "HEXPIREAT h 1 FIELDS 1 a", "*[:2]" },
        { "EXISTS h", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void setting_a_value_keeps_or_clears_the_time(void **state) {
    static const struct exchange rows[] = {
        { "HSETEX h PXAT " FAR_MS " FIELDS 4 a 1 b 2 c 3 d 4", ":1" },
        { "HPEXPIRETIME h FIELDS 2 a d", "*[:" FAR_MS ", :" FAR_MS "]" },
        { "HSET h a 2", ":0" },
        { "HINCRBY h b 1", ":3" },
        { "HINCRBYFLOAT h c 0.5", "$\"3.5\"" },
        { "HMSET h d 5", "+OK" },
        { "HPEXPIRETIME h FIELDS 4 a b c d", "*[:-1, :" FAR_MS ", :" FAR_MS ", :-1]" },
        { "HSETEX h KEEPTTL FIELDS 2 b 7 e 8", ":1" },
        { "HPEXPIRETIME h FIELDS 2 b e", "*[:" FAR_MS ", :-1]" },
        { "HSETEX h FIELDS 1 b 7", ":1" },
        { "HPEXPIRETIME h FIELDS 1 b", "*[:-1]" },
        { "HSETNX h c 1", ":0" },
        { "HPEXPIRETIME h FIELDS 1 c", "*[:" FAR_MS "]" },
        { "HMGET h a b c d e", "*[$\"2\", $\"7\", $\"3.5\", $\"5\", $\"8\"]" },
        { "COPY h i", ":1" },
        { "RENAME h j", "+OK" },
        { "HPEXPIRETIME i FIELDS 1 c", "*[:" FAR_MS "]" },
        { "HPEXPIRETIME j FIELDS 1 c", "*[:" FAR_MS "]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void hsetex_writes_all_or_nothing(void **state) {
    static const struct exchange rows[] = {
        { "HSETEX h XX FIELDS 1 a 1", ":0" },
        { "HSETEX h FXX FIELDS 1 a 1", ":0" },
        { "EXISTS h", ":0" },
        { "HSETEX h NX FNX EX 1999999 FIELDS 2 a 1 b 2", ":1" },
        { "HTTL h FIELDS 2 a b", "*[:19999..., :19999...]" },
        { "HSETEX h NX FIELDS 1 c 1", ":0" },
        { "HSETEX h FNX FIELDS 2 c 1 a 9", ":0" },
        { "HSETEX h FXX FIELDS 2 a 9 c 1", ":0" },
        { "HMGET h a b c", "*[$\"1\", $\"2\", $-1]" },
        { "HSETEX h XX FXX PX 2999999000 FIELDS 2 a 9 b 8", ":1" },
        { "HTTL h FIELDS 1 a", "*[:2999...]" },
        { "HSETEX h EXAT " FAR " FNX FIELDS 1 c 1", ":1" },
        { "HEXPIRETIME h FIELDS 1 c", "*[:" FAR "]" },
        { "HSETEX h FNX FXX FIELDS 1 a 1", SYNTAX },
        { "HSETEX h NX XX FIELDS 1 a 1", SYNTAX },
        { "HSETEX h EX 10 PX 10 FIELDS 1 a 1", SYNTAX },
        { "HSETEX h EX FIELDS 1 a 1", SYNTAX },
        { "HSETEX h PERSIST FIELDS 1 a 1", SYNTAX },
        { "HSETEX h FOO FIELDS 1 a 1", SYNTAX },
        { "HSETEX h EX a FIELDS 1 a 1", NOT_INT },
        { "HSETEX h EX -1 FIELDS 1 a 1", "-ERR invalid expire time in 'hsetex' command" },
        { "HSETEX h EX 9223372036854775807 FIELDS 1 a 1", "-ERR invalid expire time in 'hsetex' command" },
        { "HSETEX h FIELDS 2 a 1 b", NUMFIELDS },
        { "HSETEX h FIELDS 1 a 1 b 2", NUMFIELDS },
        { "HSETEX h FIELDS 0 a 1", NUMFIELDS },
        { "HSETEX h FIELDS x a 1", NOT_INT },
        { "HSETEX h EX 10 a 1", NUMFIELDS },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void hgetex_and_hgetdel_reply_before_they_change(void **state) {
    static const struct exchange rows[] = {
        { "HSET h a 1 b 2 c 3", ":3" },
        { "HGETEX h FIELDS 2 a x", "*[$\"1\", $-1]" },
        { "HGETEX h EX 1999999 FIELDS 2 a x", "*[$\"1\", $-1]" },
        { "HTTL h FIELDS 2 a b", "*[:19999..., :-1]" },
        { "HGETEX h FIELDS 1 a", "*[$\"1\"]" },
        { "HTTL h FIELDS 1 a", "*[:19999...]" },
        { "HGETEX h PERSIST FIELDS 2 a b", "*[$\"1\", $\"2\"]" },
        { "HTTL h FIELDS 1 a", "*[:-1]" },
        { "HGETEX h PXAT " FAR_MS " FIELDS 1 b", "*[$\"2\"]" },
        { "HPEXPIRETIME h FIELDS 1 b", "*[:" FAR_MS "]" },
        { "HGETEX h KEEPTTL FIELDS 1 b", SYNTAX },
        { "HGETEX h EX -1 FIELDS 1 b", "-ERR invalid expire time in 'hgetex' command" },
        { "HGETEX h EX a FIELDS 1 b", NOT_INT },
        { "HGETEX h FIELDS 2 b", NUMFIELDS },
        { "HGETEX none EX 10 FIELDS 2 b c", "*[$-1, $-1]" },
        { "EXISTS none", ":0" },
        { "HGETDEL h FIELDS 3 b x b", "*[$\"2\", $-1, $-1]" },
        { "HGETDEL h FIELDS 1 b x", NUMFIELDS },
        { "HGETDEL none FIELDS 1 a", "*[$-1]" },
        { "HGETDEL h FIELDS 2 a c", "*[$\"1\", $\"3\"]" },
        { "EXISTS h", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void bad_input_is_refused(void **state) {
    static const char *const commands[] = {
        "HEXPIRE k 10 FIELDS 1 a",    "HPEXPIRE k 10 FIELDS 1 a", "HEXPIREAT k 10 FIELDS 1 a",
        "HPEXPIREAT k 10 FIELDS 1 a", "HTTL k FIELDS 1 a",        "HPTTL k FIELDS 1 a",
        "HEXPIRETIME k FIELDS 1 a",   "HPERSIST k FIELDS 1 a",    "HPEXPIRETIME k FIELDS 1 a",
        "HGETEX k FIELDS 1 a",        "HGETDEL k FIELDS 1 a",     "HSETEX k FIELDS 1 a v",
        NULL,
    };
    static const struct exchange rows[] = {
        { "HSET h a 1", ":1" },
        { "HEXPIRE h 10 FIELDS 2 a", NUMFIELDS },
        { "HEXPIRE h 10 FIELDS 1 a b", NUMFIELDS },
        { "HEXPIRE h 10 FIELDS 0 a", NUMFIELDS },
        { "HEXPIRE h 10 FIELDS -1 a", NUMFIELDS },
        { "HEXPIRE h 10 FIELDS a a", NOT_INT },
        { "HEXPIRE h 10 NX 1 a", NUMFIELDS },
        { "HEXPIRE h a FIELDS 1 a", NOT_INT },
        { "HEXPIRE h -1 FIELDS 1 a", "-ERR invalid expire time in 'hexpire' command" },
        { "HEXPIRE h 9223372036854775807 FIELDS 1 a", "-ERR invalid expire time in 'hexpire' command" },
        { "HPEXPIRE h 9223372036854775807 FIELDS 1 a", "-ERR invalid expire time in 'hpexpire' command" },
        { "HEXPIREAT h 9223372036854775807 FIELDS 1 a", "-ERR invalid expire time in 'hexpireat' command" },
        { "HEXPIRE h 10 FIELDS 1", "-ERR wrong number of arguments for 'hexpire' command" },
        { "HTTL h FIELDS 2 a", NUMFIELDS },
        { "HTTL h FIELDS x a", NOT_INT },
        { "HTTL h FOO 1 a", NUMFIELDS },
        { "HTTL h FIELDS 1", "-ERR wrong number of arguments for 'httl' command" },
        { "HPERSIST h FIELDS 2 a", NUMFIELDS },
        { "HGETALL h", "*[$\"a\", $\"1\"]" },
        { NULL, NULL },
    };
    assert_reply(fixture_client(state), "SET k v", "+OK");
    for (size_t i = 0; commands[i]; i++) assert_reply(fixture_client(state), commands[i], WRONGTYPE);
    assert_exchanges(fixture_client(state), rows);
}

/* ---- fields that have expired ---- */

/* A hash of a live field and a hidden one, which nobody takes out. */
static void make_hidden(struct client *c) {
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    assert_reply(c, "DEL h", ":...");
    assert_reply(c, "HSET h old 1 live 2", ":2");
    assert_reply(c, "HPEXPIRE h 1 FIELDS 1 old", "*[:1]");
    assert_reply_soon(c, "HEXISTS h old", ":0");
}

static void expired_fields_are_hidden_but_counted(void **state) {
    static const struct exchange rows[] = {
        { "HLEN h", ":2" },
        { "HGET h old", "$-1" },
        { "HMGET h old live", "*[$-1, $\"2\"]" },
        { "HGETALL h", "*[$\"live\", $\"2\"]" },
        { "HKEYS h", "*[$\"live\"]" },
        { "HVALS h", "*[$\"2\"]" },
        { "HSTRLEN h old", ":0" },
        { "HSCAN h 0", "*[$\"0\", *[$\"live\", $\"2\"]]" },
        { "HRANDFIELD h", "$\"live\"" },
        { "HRANDFIELD h 5", "*[$\"live\"]" },
        { "HRANDFIELD h -2", "*[$\"live\", $\"live\"]" },
        { "HTTL h FIELDS 2 old live", "*[:-2, :-1]" },
        { "HLEN h", ":2" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    make_hidden(c);
    assert_exchanges(c, rows);
    assert_reply(c, "HDEL h live", ":1");
    assert_reply(c, "HRANDFIELD h", "$-1");
    assert_reply(c, "HRANDFIELD h -2", "*[]");
    assert_reply(c, "HGETALL h", "*[]");
    assert_reply(c, "EXISTS h", ":1");
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
    assert_reply_soon(c, "EXISTS h", ":0");
}

static void expired_fields_are_as_good_as_gone_for_writers(void **state) {
    static const struct {
        const char *command, *reply, *after;
    } cases[] = {
        { "HSET h old 5", ":1", "*[$\"5\", :-1]" },
        { "HSETNX h old 5", ":1", "*[$\"5\", :-1]" },
        { "HINCRBY h old 5", ":5", "*[$\"5\", :-1]" },
        { "HINCRBYFLOAT h old 1.5", "$\"1.5\"", "*[$\"1.5\", :-1]" },
        { "HDEL h old", ":0", "*[$-1, :-2]" },
        { "HGETDEL h FIELDS 1 old", "*[$-1]", "*[$-1, :-2]" },
        { "HEXPIRE h 100 FIELDS 1 old", "*[:-2]", "*[$-1, :-2]" },
        { "HPERSIST h FIELDS 1 old", "*[:-2]", "*[$-1, :-2]" },
        { "HGETEX h PERSIST FIELDS 1 old", "*[$-1]", "*[$-1, :-2]" },
        { "HSETEX h FNX FIELDS 1 old 5", ":1", "*[$\"5\", :-1]" },
        { "HSETEX h FXX FIELDS 1 old 5", ":0", "*[$-1, :-2]" },
        { "HSETEX h KEEPTTL FIELDS 1 old 5", ":1", "*[$\"5\", :-1]" },
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        make_hidden(c);
        assert_reply(c, cases[i].command, cases[i].reply);
        struct text got = { 0 };
        text_printf(&got, "*[%s, ", client_ask(c, "HGET h old"));
        struct node *ttl = client_ask_node(c, "HTTL h FIELDS 1 old");
        text_printf(&got, ":%lld]", (long long)ttl->items[0]->number);
        assert_string_equal(text_str(&got), cases[i].after);
        node_free(ttl);
        text_release(&got);
    }
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
}

static void set_range(struct client *c, const char *key, int count, const char *option) {
    struct words head = { 0 };
    words_add_str(&head, "HSETEX");
    words_add_str(&head, key);
    words_add_str(&head, "PX");
    words_add_str(&head, option);
    words_add_str(&head, "FIELDS");
    words_printf(&head, "%d", count);
    scenario_send_range(c, &head, "f", 0, count, true);
}

static void expired_fields_are_reclaimed_in_the_background(void **state) {
    struct client *c = fixture_client(state);
    int64_t before = info_number(c, "stats", "expired_fields");
    set_range(c, "gone", 3000, "1");
    set_range(c, "stays", 3000, "1");
    assert_reply(c, "HSET stays f0 v g v", ":...");
    set_range(c, "far", 3000, "100000000");
    assert_reply(c, "SELECT 3", "+OK");
    set_range(c, "other", 100, "1");
    assert_reply_soon(c, "EXISTS other", ":0");
    assert_reply(c, "SELECT 0", "+OK");
    assert_reply_soon(c, "EXISTS gone", ":0");
    assert_reply_soon(c, "HLEN stays", ":2");
    assert_reply(c, "HMGET stays f0 g", "*[$\"v\", $\"v\"]");
    assert_reply(c, "HLEN far", ":3000");
    assert_int_equal(info_number(c, "stats", "expired_fields") - before >= 6000, true);
    assert_reply(c, "HPEXPIRE far 1 FIELDS 2 f7 f8", "*[:1, :1]");
    assert_reply_soon(c, "HLEN far", ":2998");
    assert_reply(c, "RENAME far moved", "+OK");
    assert_reply(c, "HPEXPIRE moved 1 FIELDS 1 f9", "*[:1]");
    assert_reply_soon(c, "HLEN moved", ":2997");
}

static void events_tell_of_each_change(void **state) {
    static const char *const wanted[] = { "hset h",     "hexpire h",  "hexpire h",  "hpersist h", "hexpire h",
                                          "hexpired h", "hpersist h", "hexpired h", "hdel h",     "del h",
                                          "hset i",     "hexpire i",  "hexpired i", "del i",      NULL };
    static const char *const commands[] = {
        "HSETEX h EX 100 FIELDS 4 a 1 b 2 c 3 d 4",
        "HEXPIRE h 100 FIELDS 2 a x", "HEXPIRE h 100 NX FIELDS 1 a",
        "HPERSIST h FIELDS 2 a x",   "HPERSIST h FIELDS 1 a",
        "HGETEX h EX 10 FIELDS 1 a", "HEXPIRE h 0 FIELDS 1 a",
        "HGETEX h PERSIST FIELDS 1 b", "HGETEX h EX 0 FIELDS 1 b", "HGETEX h EX 0 FIELDS 1 b",
        "HGETDEL h FIELDS 2 c d",    "HSETEX i PX 1 FIELDS 1 a 1", NULL };
    scenario_events(((struct fixture *)*state)->server, "Egh", commands, wanted);
}

/* ---- the journal ---- */

static void read_back(struct client *c, struct text *out) {
    for (int i = 0; i < 6; i++) {
        struct node *names = client_ask_node(c, "HKEYS h%d", i);
        node_sort(names);
        for (size_t f = 0; f < names->count; f++) {
            const char *name = text_str(&names->items[f]->bytes);
            text_printf(out, "%d %s %s", i, name, client_ask(c, "HGET h%d %s", i, name));
            text_printf(out, " %s\n", client_ask(c, "HPEXPIRETIME h%d FIELDS 1 %s", i, name));
        }
        node_free(names);
    }
}

/* Random changes, some of them on fields that expire meanwhile, then SIGKILL: the same fields with the same
 * times. */
static void the_journal_replays_to_the_same_fields_and_times(void **state) {
    static const char *const commands[] = {
        "HSET h%u f%u %u",
        "HSETEX h%u PX 1 FIELDS 1 f%u %u",
        "HSETEX h%u EX %u FIELDS 1 f%u 17",
        "HSETEX h%u FNX EX 1%u FIELDS 1 f%u 5",
        "HSETEX h%u KEEPTTL FIELDS 2 f%u 5 f%u 6",
        "HEXPIRE h%u 1%u FIELDS 2 f%u f1",
        "HPEXPIRE h%u 1 FIELDS 2 f%u f%u",
        "HEXPIRE h%u 0 FIELDS 2 f%u f%u",
        "HGETEX h%u PX %u FIELDS 2 f%u f2",
        "HGETEX h%u PERSIST FIELDS 2 f%u f%u",
        "HPERSIST h%u FIELDS 2 f%u f%u",
        "HGETDEL h%u FIELDS 2 f%u f%u",
        "HINCRBY h%u f%u %u",
        "HINCRBYFLOAT h%u f%u 1.%u",
        "HSETNX h%u f%u %u",
        "HDEL h%u f%u f%u",
        NULL,
    };
    static const struct random_changes changes = { commands, { 6, 30, 30 }, 4000 };
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    scenario_change(c, &changes);
    /* What expires soon is made to stay: the comparison must not depend on the clock. */
    for (int i = 0; i < 6; i++)
        for (int f = 0; f < 30; f++) client_ask(c, "HPEXPIREAT h%d 5000000000000 XX FIELDS 1 f%d", i, f);
    client_close(c);
    scenario_kill(s, read_back, 500);
    server_free(s);
}

/* ---- counts ---- */

static void a_past_time_of_hsetex_looks_as_if_the_field_had_lived(void **state) {
    static const char *const wanted[] = { "hset h",     "hset h",     "hexpire h", "hexpired h", "hset h",
                                          "hexpire h",  "hexpired h", "del h",     "hset n",     "hexpire n",
                                          "hexpired n", "del n",      NULL };
    static const char *const commands[] = { "HSET h f v g w", "HSETEX h EX 0 FIELDS 1 f v",
                                            "HSETEX h EX 0 FIELDS 1 g v", "HSETEX n EX 0 FIELDS 1 g v",
                                            NULL };
    scenario_events(((struct fixture *)*state)->server, "Egh", commands, wanted);
}

static void every_field_that_went_by_its_time_is_counted(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "CONFIG RESETSTAT", "+OK" },
        { "HSET h a 1 b 2 c 3 d 4 e 5", ":5" },
        { "HGETEX h EX 0 FIELDS 1 a", "*[$\"1\"]" },
        { "HEXPIRE h 0 FIELDS 1 b", "*[:2]" },
        { "HSETEX h EX 0 FIELDS 1 c 9", ":1" },
        { "DEBUG SET-ACTIVE-EXPIRE 0", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_int_equal(info_number(c, "stats", "expired_fields"), 3);
    assert_reply(c, "HPEXPIRE h 1 FIELDS 1 d", "*[:1]");
    assert_reply_soon(c, "HEXISTS h d", ":0");
    assert_int_equal(info_number(c, "stats", "expired_fields"), 3); /* hidden is not gone */
    assert_reply(c, "HSET h d 7", ":1");
    assert_int_equal(info_number(c, "stats", "expired_fields"), 4);
    assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
}

static void assert_volatile(struct client *c, const char *db, int64_t wanted) {
    const char *line = info_field(c, "keyspace", db), *at = strstr(line, "keys_with_volatile_items=");
    int64_t found = at ? strtoll(strchr(at, '=') + 1, NULL, 10) : 0;
    if (found != wanted) print_error("%s: %s, wanted %lld\n", db, line, (long long)wanted);
    assert_int_equal(found, wanted);
}

/* After each command so many hashes of databases 0 and 1 have fields with a time. */
static void keys_with_such_fields_are_counted_wherever_they_go(void **state) {
    static const struct {
        const char *command;
        int64_t in_0, in_1;
    } rows[] = {
        { "HSET h f v g w", 0, 0 },
        { "HEXPIRE h 1000 FIELDS 1 f", 1, 0 },
        { "HEXPIRE h 1000 FIELDS 1 g", 1, 0 },
        { "RENAME h h2", 1, 0 },
        { "COPY h2 h3", 2, 0 },
        { "COPY h2 h3 REPLACE", 2, 0 },
        { "COPY h2 h3 DB 1", 2, 1 },
        { "HPERSIST h2 FIELDS 2 f g", 1, 1 },
        { "EXPIRE h3 1000", 1, 1 },
        { "PERSIST h3", 1, 1 },
        { "SET h3 text", 0, 1 },
        { "APPEND h3 more", 0, 1 },
        { "SETRANGE h3 2 x", 0, 1 },
        { "SWAPDB 0 1", 1, 0 },
        { "MOVE h3 1", 1, 0 }, /* refused: a string is there */
        { "RENAME h3 h4", 1, 0 },
        { "MOVE h4 1", 0, 1 },
        { "HSETEX h EX 100 FIELDS 2 a 1 b 2", 1, 1 },
        { "HSETEX n EX 100 FIELDS 1 a 1", 2, 1 },
        { "HDEL h a", 2, 1 },
        { "HSET h b 3", 1, 1 },
        { "HGETDEL n FIELDS 1 a", 0, 1 },
        { "HSETEX n EX 100 FIELDS 1 a 1", 1, 1 },
        { "HEXPIRE n 0 FIELDS 1 a", 0, 1 },
        { "HSETEX n EX 100 FIELDS 1 a 1", 1, 1 },
        { "RENAME h n", 0, 1 },
        { "HEXPIRE n 100 FIELDS 1 b", 1, 1 },
        { "DEBUG RELOAD", 1, 1 },
        { "SUNIONSTORE n s", 0, 1 }, /* of nothing: it deletes */
        { "HSETEX n EX 100 FIELDS 1 a 1", 1, 1 },
        { "UNLINK n", 0, 1 },
        { "HSETEX n EX 100 FIELDS 1 a 1", 1, 1 },
        { "FLUSHDB", 0, 1 },
        { "FLUSHALL", 0, 0 },
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)client_ask(c, "%s", rows[i].command);
        assert_volatile(c, "db0", rows[i].in_0);
        assert_volatile(c, "db1", rows[i].in_1);
    }
    assert_reply(c, "HSETEX h PX 1 FIELDS 1 a 1", ":1");
    assert_reply_soon(c, "EXISTS h", ":0");
    assert_volatile(c, "db0", 0);
    assert_reply(c, "HSET h a 1 b 2", ":2");
    assert_reply(c, "HPEXPIRE h 1 FIELDS 1 a", "*[:1]");
    assert_reply_soon(c, "HLEN h", ":1");
    assert_volatile(c, "db0", 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(times_are_set_asked_for_and_taken_away),
        FIXTURE_TEST(conditions_decide_field_by_field),
        FIXTURE_TEST(a_past_time_deletes),
        FIXTURE_TEST(setting_a_value_keeps_or_clears_the_time),
        FIXTURE_TEST(hsetex_writes_all_or_nothing),
        FIXTURE_TEST(hgetex_and_hgetdel_reply_before_they_change),
        FIXTURE_TEST(bad_input_is_refused),
        FIXTURE_TEST(expired_fields_are_hidden_but_counted),
        FIXTURE_TEST(expired_fields_are_as_good_as_gone_for_writers),
        FIXTURE_TEST(expired_fields_are_reclaimed_in_the_background),
        FIXTURE_TEST(events_tell_of_each_change),
        FIXTURE_TEST(a_past_time_of_hsetex_looks_as_if_the_field_had_lived),
        FIXTURE_TEST(every_field_that_went_by_its_time_is_counted),
        FIXTURE_TEST(keys_with_such_fields_are_counted_wherever_they_go),
        cmocka_unit_test(the_journal_replays_to_the_same_fields_and_times),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
