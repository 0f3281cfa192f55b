/* test_stream_group.c: groups of consumers over the wire: delivering, acknowledging, claiming, waiting, what
 * is told of them, what a replay of the journal makes of them, and what they refuse. */
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include <stdio.h>

#define BAD_ID "-ERR Invalid stream ID specified as stream command argument"
#define NOT_INT "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"
#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NEEDS_KEY                                                                                         \
    "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the " \
    "MKSTREAM "                                                                                           \
    "option to create an empty stream automatically."
#define NO_GROUP "-NOGROUP No such consumer group 'g' for key name 's'"
#define NO_GROUP_READ "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"

/* Entries 1-0 to 3-0 in s, and group g that has got none of them. */
static void fill(struct client *c) {
    static const struct exchange rows[] = {
        { "XADD s 1-0 f a", "$\"1-0\"" },
        { "XADD s 2-0 f b", "$\"2-0\"" },
        { "XADD s 3-0 f c", "$\"3-0\"" },
        { "XGROUP CREATE s g 0", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

/* ---- XGROUP ---- */

static void groups_and_consumers_are_made_and_deleted(void **state) {
    static const struct exchange rows[] = {
        { "XGROUP CREATE s g $", NEEDS_KEY },
        { "XGROUP CREATE s g $ MKSTREAM", "+OK" },
        { "XLEN s", ":0" },
        { "XGROUP CREATE s g 0", "-BUSYGROUP Consumer Group name already exists" },
        { "XGROUP CREATE s h a", BAD_ID },
        { "XGROUP CREATE s h -", BAD_ID },
        { "XGROUP CREATE s h 0 ENTRIESREAD -2", "-ERR value for ENTRIESREAD must be positive or -1" },
        { "XGROUP CREATE s h 0 ENTRIESREAD a", NOT_INT },
        { "XGROUP CREATE s h 0 FOO",
          "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP." },
        { "XGROUP CREATECONSUMER s g c", ":1" },
        { "XGROUP CREATECONSUMER s g c", ":0" },
        { "XGROUP CREATECONSUMER s none c", "-NOGROUP No such consumer group 'none' for key name 's'" },
        { "XGROUP DELCONSUMER s g nobody", ":0" },
        { "XGROUP DELCONSUMER s g c", ":0" },
        { "XGROUP SETID s g 5-1 ENTRIESREAD 3", "+OK" },
        { "XINFO GROUPS s", "*[*[$\"name\", $\"g\", $\"consumers\", :0, $\"pending\", :0, "
          "$\"last-delivered-id\", "
                            "$\"5-1\", $\"entries-read\", :3, $\"lag\", :0]]" },
        { "XGROUP SETID s none 0", "-NOGROUP No such consumer group 'none' for key name 's'" },
        { "XGROUP SETID none g 0", NEEDS_KEY },
        { "XGROUP DESTROY none g", NEEDS_KEY },
        { "XGROUP DESTROY s none", ":0" },
        { "XGROUP DESTROY s g", ":1" },
        { "XINFO GROUPS s", "*[]" },
        { "SET str v", "+OK" },
        { "XGROUP CREATE str g 0", WRONGTYPE },
        { "XGROUP CREATE s", "-ERR wrong number of arguments for 'xgroup|create' command" },
        { "XGROUP FOO a b", "-ERR unknown subcommand 'FOO'. Try XGROUP HELP." },
        { "XGROUP HELP", "*[+XGROUP <subcommand> ..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- XREADGROUP and XACK ---- */

static void each_entry_is_delivered_to_one_consumer(void **state) {
    static const struct exchange rows[] = {
        { "XREADGROUP GROUP g a COUNT 1 STREAMS s >", "*[*[$\"s\", *[*[$\"1-0\", *[$\"f\", $\"a\"]]]]]" },
        { "XREADGROUP GROUP g b STREAMS s >",
          "*[*[$\"s\", *[*[$\"2-0\", *[$\"f\", $\"b\"]], *[$\"3-0\", *[$\"f\", $\"c\"]]]]]" },
        { "XREADGROUP GROUP g b STREAMS s >", "*-1" },
        { "XREADGROUP GROUP g b STREAMS s 2", "*[*[$\"s\", *[*[$\"3-0\", *[$\"f\", $\"c\"]]]]]" },
        { "XREADGROUP GROUP g c STREAMS s 0", "*[*[$\"s\", *[]]]" },
        { "XPENDING s g", "*[:3, $\"1-0\", $\"3-0\", *[*[$\"a\", $\"1\"], *[$\"b\", $\"2\"]]]" },
        { "XPENDING s g - + 10 b", "*[*[$\"2-0\", $\"b\", :..., :1], *[$\"3-0\", $\"b\", :..., :2]]" },
        { "XINFO GROUPS s", "*[*[$\"name\", $\"g\", $\"consumers\", :3, $\"pending\", :3, "
          "$\"last-delivered-id\", "
                            "$\"3-0\", $\"entries-read\", :3, $\"lag\", :0]]" },
        { "XACK s g 1-0 2-0 9-9 2-0", ":2" },
        { "XDEL s 3-0", ":1" },
        { "XREADGROUP GROUP g b STREAMS s 0", "*[*[$\"s\", *[*[$\"3-0\", *-1]]]]" },
        { "XGROUP DELCONSUMER s g b", ":1" },
        { "XPENDING s g", "*[:0, $-1, $-1, *-1]" },
        { "XPENDING s g - + 10", "*[]" },
        { "XPENDING s g - + 10 nobody", "*[]" },
        { "XACK s g a", BAD_ID },
        { "XACK s none a", ":0" },
        { "XACK none g a", ":0" },
        { NULL, NULL },
    };
    fill(fixture_client(state));
    assert_exchanges(fixture_client(state), rows);
}

static void noack_delivers_without_pending_entries(void **state) {
    static const struct exchange rows[] = {
        { "XREADGROUP GROUP g a NOACK COUNT 2 STREAMS s >", "*[*[$\"s\", *[*[$\"1-0\", ...]], *[$\"2-0\", "
          "...]]]]]" },
        { "XPENDING s g", "*[:0, $-1, $-1, *-1]" },
        { "XINFO CONSUMERS s g", "*[*[$\"name\", $\"a\", $\"pending\", :0, $\"idle\", :..., $\"inactive\", "
                                 ":...]]" },
        { "HELLO 3", "..." },
        { "XREADGROUP GROUP g b STREAMS s >", "%{$\"s\": *[*[$\"3-0\", *[$\"f\", $\"c\"]]]}" },
        { "XREADGROUP GROUP g b STREAMS s >", "_" },
        { NULL, NULL },
    };
    fill(fixture_client(state));
    assert_exchanges(fixture_client(state), rows);
}

static void xreadgroup_refuses_what_makes_no_sense(void **state) {
    static const struct exchange rows[] = {
        { "XREADGROUP GROUP g c STREAMS s $",
          "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this "
          "consumer by "
          "specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty "
          "result "
          "set." },
        { "XREADGROUP GROUP none c STREAMS s >",
          "-NOGROUP No such key 's' or consumer group 'none' in XREADGROUP with GROUP option" },
        { "XREADGROUP GROUP g c STREAMS nos >",
          "-NOGROUP No such key 'nos' or consumer group 'g' in XREADGROUP with GROUP option" },
        { "XREADGROUP NOACK NOACK NOACK STREAMS s >", "-ERR Missing GROUP option for XREADGROUP" },
        { "XREADGROUP STREAMS s >", "-ERR wrong number of arguments for 'xreadgroup' command" },
        { "XREADGROUP GROUP g c STREAMS s t >",
          "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be "
          "specified." },
        { "XREADGROUP GROUP g c COUNT 1 FOO s >", SYNTAX },
        { "XREADGROUP GROUP g c STREAMS s a", BAD_ID },
        { "SET str v", "+OK" },
        { "XREADGROUP GROUP g c STREAMS str >", WRONGTYPE },
        /* A group may have the name of the word before the keys. */
        { "XGROUP CREATE s streams 0", "+OK" },
        { "XREADGROUP COUNT 1 GROUP streams streams STREAMS s >", "*[*[$\"s\", *[*[$\"1-0\", ...]]]]]" },
        { "COMMAND GETKEYS XREADGROUP COUNT 1 GROUP streams streams STREAMS s t > >", "*[$\"s\", $\"t\"]" },
        { NULL, NULL },
    };
    fill(fixture_client(state));
    assert_exchanges(fixture_client(state), rows);
}

static void await_blocked(struct client *c, int64_t count) {
    assert_soon(info_number(c, "clients", "blocked_clients") == count);
}

static struct client *another(void **state) { return server_connect(((struct fixture *)*state)->server); }

static void waiting_consumers_are_served_in_order_of_arrival(void **state) {
    struct client *c = fixture_client(state), *first = another(state), *second = another(state);
    assert_reply(c, "XGROUP CREATE s g $ MKSTREAM", "+OK");
    client_send(first, "XREADGROUP GROUP g a COUNT 1 BLOCK 0 STREAMS s >");
    await_blocked(c, 1);
    client_send(second, "XREADGROUP GROUP g b BLOCK 0 STREAMS s >");
    await_blocked(c, 2);
    assert_reply(c, "XADD s 1-0 f a", "$\"1-0\"");
    assert_next(first, "*[*[$\"s\", *[*[$\"1-0\", *[$\"f\", $\"a\"]]]]]");
    assert_reply(c, "XADD s 2-0 f b", "$\"2-0\"");
    assert_next(second, "*[*[$\"s\", *[*[$\"2-0\", *[$\"f\", $\"b\"]]]]]");
    assert_reply(c, "XPENDING s g", "*[:2, $\"1-0\", $\"2-0\", *[*[$\"a\", $\"1\"], *[$\"b\", $\"1\"]]]");
    client_close(first);
    client_close(second);
}

static void waiting_consumers_hear_when_their_group_goes(void **state) {
    static const struct {
        const char *command, *reply, *message;
    } rows[] = {
        { "DEL s", ":1", NO_GROUP_READ },       { "XGROUP DESTROY s g", ":1", NO_GROUP_READ },
        { "SET s x", "+OK", WRONGTYPE },        { "FLUSHALL", "+OK", NO_GROUP_READ },
        { "RENAME s t", "+OK", NO_GROUP_READ },
    };
    struct client *c = fixture_client(state), *waiting = another(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_reply(c, "DEL s", "...");
        assert_reply(c, "XGROUP CREATE s g $ MKSTREAM", "+OK");
        client_send(waiting, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
        await_blocked(c, 1);
        assert_reply(c, rows[i].command, rows[i].reply);
        assert_next(waiting, rows[i].message);
    }
    client_close(waiting);
}

/* ---- XPENDING, XCLAIM, XAUTOCLAIM ---- */

static void xpending_lists_by_interval_idle_time_and_consumer(void **state) {
    static const struct exchange rows[] = {
        { "XREADGROUP GROUP g a STREAMS s >", "..." },
        { "XCLAIM s g b 0 2-0 TIME 1000 RETRYCOUNT 7 JUSTID", "*[$\"2-0\"]" },
        { "XPENDING s g IDLE 1000000 - + 10", "*[*[$\"2-0\", $\"b\", :..., :7]]" },
        { "XPENDING s g IDLE 1000000 - + 10 a", "*[]" },
        { "XPENDING s g (1-0 (3-0 10", "*[*[$\"2-0\", ...]]" },
        { "XPENDING s g - + 1", "*[*[$\"1-0\", $\"a\", :..., :1]]" },
        { "XPENDING s g - + -1", "*[]" },
        { "XPENDING s g - +", SYNTAX },
        { "XPENDING s g IDLE a - + 1", NOT_INT },
        { "XPENDING s g IDLE 5 - +", SYNTAX },
        { "XPENDING s g - + a", NOT_INT },
        { "XPENDING s g a + 1", BAD_ID },
        { "XPENDING s none", "-NOGROUP No such key 's' or consumer group 'none'" },
        { "XPENDING none g - + 1", "-NOGROUP No such key 'none' or consumer group 'g'" },
        { NULL, NULL },
    };
    fill(fixture_client(state));
    assert_exchanges(fixture_client(state), rows);
}

static void xclaim_gives_entries_to_another_consumer(void **state) {
    static const struct exchange rows[] = {
        { "XREADGROUP GROUP g a COUNT 2 STREAMS s >", "..." },
        { "XCLAIM s g b 0 1-0 3-0 9-9", "*[*[$\"1-0\", *[$\"f\", $\"a\"]]]" },
        { "XCLAIM s g b 100000 2-0", "*[]" },
        { "XPENDING s g - + 10", "*[*[$\"1-0\", $\"b\", :..., :2], *[$\"2-0\", $\"a\", :..., :1]]" },
        { "XCLAIM s g b 0 2-0 3-0 FORCE JUSTID IDLE 500000 LASTID 2-5", "*[$\"2-0\", $\"3-0\"]" },
        { "XPENDING s g - + 10", "*[*[$\"1-0\", ...], *[$\"2-0\", $\"b\", :50..., :1], "
                                 "*[$\"3-0\", $\"b\", :50..., :1]]" },
        { "XINFO GROUPS s", "...$\"last-delivered-id\", $\"2-5\", ..." },
        { "XDEL s 1-0", ":1" },
        { "XCLAIM s g c 0 1-0", "*[]" },
        { "XPENDING s g", "*[:2, $\"2-0\", $\"3-0\", *[*[$\"b\", $\"2\"]]]" },
        { "XCLAIM s g c a 1-1", "-ERR Invalid min-idle-time argument for XCLAIM" },
        { "XCLAIM s g c 0 a", "-ERR Unrecognized XCLAIM option 'a'" },
        { "XCLAIM s g c 0 1-1 FOO", "-ERR Unrecognized XCLAIM option 'FOO'" },
        { "XCLAIM s g c 0 1-1 IDLE", "-ERR Unrecognized XCLAIM option 'IDLE'" },
        { "XCLAIM s g c 0 1-1 IDLE a", "-ERR Invalid IDLE option argument for XCLAIM" },
        { "XCLAIM s g c 0 1-1 TIME a", "-ERR Invalid TIME option argument for XCLAIM" },
        { "XCLAIM s g c 0 1-1 RETRYCOUNT a", "-ERR Invalid RETRYCOUNT option argument for XCLAIM" },
        { "XCLAIM s g c 0 1-1 LASTID a", BAD_ID },
        { "XCLAIM s none c 0 1-1", "-NOGROUP No such key 's' or consumer group 'none'" },
        { NULL, NULL },
    };
    fill(fixture_client(state));
    assert_exchanges(fixture_client(state), rows);
}

static void xautoclaim_walks_over_idle_entries(void **state) {
    static const struct exchange rows[] = {
        { "XREADGROUP GROUP g a STREAMS s >", "..." },
        { "XAUTOCLAIM s g b 0 0 COUNT 1", "*[$\"2-0\", *[*[$\"1-0\", *[$\"f\", $\"a\"]]], *[]]" },
        { "XAUTOCLAIM s g b 100000 0", "*[$\"0-0\", *[], *[]]" },
        { "XDEL s 2-0", ":1" },
        { "XAUTOCLAIM s g b 0 (1-0 JUSTID", "*[$\"0-0\", *[$\"3-0\"], *[$\"2-0\"]]" },
        { "XPENDING s g - + 10", "*[*[$\"1-0\", $\"b\", :..., :2], *[$\"3-0\", $\"b\", :..., :1]]" },
        { "XAUTOCLAIM s g c a 0", "-ERR Invalid min-idle-time argument for XAUTOCLAIM" },
        { "XAUTOCLAIM s g c 0 0 COUNT 0", "-ERR COUNT must be > 0" },
        { "XAUTOCLAIM s g c 0 0 COUNT 9223372036854775807", "-ERR COUNT must be > 0" },
        { "XAUTOCLAIM s g c 0 0 FOO", SYNTAX },
        { "XAUTOCLAIM s g c 0 a", BAD_ID },
        { "XAUTOCLAIM s none c 0 0", "-NOGROUP No such key 's' or consumer group 'none'" },
        { NULL, NULL },
    };
    fill(fixture_client(state));
    assert_exchanges(fixture_client(state), rows);
}

/* ---- what is told of groups ---- */

static void xinfo_shows_groups_consumers_and_lag(void **state) {
    static const struct exchange rows[] = {
        { "XINFO CONSUMERS s g", "*[]" },
        { "XINFO CONSUMERS s none", "-NOGROUP No such consumer group 'none' for key name 's'" },
        { "XREADGROUP GROUP g a COUNT 1 STREAMS s >", "..." },
        { "XGROUP CREATECONSUMER s g b", ":1" },
        { "XINFO CONSUMERS s g", "*[*[$\"name\", $\"a\", $\"pending\", :1, $\"idle\", :..., $\"inactive\", "
                                 ":...], *[$\"name\", $\"b\", $\"pending\", :0, $\"idle\", :..., "
                                 "$\"inactive\", :-1]]" },
        { "XINFO STREAM s FULL",
          "...$\"groups\", *[*[$\"name\", $\"g\", $\"last-delivered-id\", $\"1-0\", $\"entries-read\", :1, "
          "$\"lag\", :2, "
          "$\"pel-count\", :1, $\"pending\", *[*[$\"1-0\", $\"a\", :..., :1]], $\"consumers\", "
          "*[*[$\"name\", $\"a\", "
          "$\"seen-time\", :..., $\"active-time\", :..., $\"pel-count\", :1, $\"pending\", *[*[$\"1-0\", "
          ":..., :1]]], "
          "*[$\"name\", $\"b\", $\"seen-time\", :..., $\"active-time\", :-1, $\"pel-count\", :0, "
          "$\"pending\", "
          "*[]]]]]]" },
        { "XDEL s 2-0", ":1" },
        { "XINFO GROUPS s", "...$\"entries-read\", :1, $\"lag\", $-1]]" },
        { "XTRIM s MAXLEN 1", ":1" },
        { "XINFO GROUPS s", "...$\"entries-read\", :1, $\"lag\", :1]]" },
        { "XTRIM s MAXLEN 0", ":1" },
        { "XINFO GROUPS s", "...$\"entries-read\", :1, $\"lag\", :0]]" },
        { NULL, NULL },
    };
    fill(fixture_client(state));
    assert_exchanges(fixture_client(state), rows);
}

#define READ(key) "XREADGROUP GROUP g c COUNT 1 STREAMS " key " >"
#define PROGRESS(read, lag) "...$\"entries-read\", :" read ", $\"lag\", " lag "]]"

/* The place of the entry among all that were ever added, whatever was deleted and trimmed before it. */
static void entries_read_is_the_place_of_the_last_delivered_entry(void **state) {
    static const struct exchange rows[] = {
        { "XADD x 1-0 d a", "..." },
        { "XADD x 2-0 d a", "..." },
        { "XADD x 3-0 d a", "..." },
        { "XADD x 4-0 d a", "..." },
        { "XGROUP CREATE x g 0", "+OK" },
        { "COPY x y", ":1" },
        { "COPY x z", ":1" },
        /* deleted after the last delivered one */
        { READ("x"), "*[*[$\"x\", *[*[$\"1-0\", ..." },
        { "XINFO GROUPS x", PROGRESS("1", ":3") },
        { "XDEL x 2-0 3-0", ":2" },
        { "XINFO GROUPS x", PROGRESS("1", "$-1") },
        { READ("x"), "*[*[$\"x\", *[*[$\"4-0\", ..." },
        { "XINFO GROUPS x", PROGRESS("4", ":0") },
        /* trimmed */
        { READ("y"), "*[*[$\"y\", *[*[$\"1-0\", ..." },
        { "XTRIM y MAXLEN 2", ":2" },
        { "XINFO GROUPS y", PROGRESS("1", ":2") },
        { READ("y"), "*[*[$\"y\", *[*[$\"3-0\", ..." },
        { "XINFO GROUPS y", PROGRESS("3", ":1") },
        { "XTRIM y MAXLEN 1", ":1" },
        { READ("y"), "*[*[$\"y\", *[*[$\"4-0\", ..." },
        { "XINFO GROUPS y", PROGRESS("4", ":0") },
        /* it cannot be told in the middle */
        { READ("z"), "*[*[$\"z\", *[*[$\"1-0\", ..." },
        { "XDEL z 2-0", ":1" },
        { READ("z"), "*[*[$\"z\", *[*[$\"3-0\", ..." },
        { "XINFO GROUPS z", "...$\"entries-read\", $-1, $\"lag\", $-1]]" },
        { READ("z"), "*[*[$\"z\", *[*[$\"4-0\", ..." },
        { "XINFO GROUPS z", PROGRESS("4", ":0") },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void keys_whose_absence_somebody_waits_for_are_counted(void **state) {
    struct client *c = fixture_client(state), *popper = another(state), *first = another(state),
                  *second = another(state);
    client_send(popper, "BLPOP m 0");
    await_blocked(c, 1);
    assert_reply(c, "XGROUP CREATE m g $ MKSTREAM", "+OK");
    client_send(first, "XREADGROUP GROUP g c BLOCK 0 STREAMS m >");
    client_send(second, "XREADGROUP GROUP g d BLOCK 0 STREAMS m >");
    await_blocked(c, 3);
    assert_int_equal(info_number(c, "clients", "total_blocking_keys"), 1);
    assert_int_equal(info_number(c, "clients", "total_blocking_keys_on_nokey"), 1);
    assert_reply(c, "DEL m", ":1");
    assert_next(first, "-NOGROUP ...");
    assert_next(second, "-NOGROUP ...");
    assert_int_equal(info_number(c, "clients", "total_blocking_keys"), 1);
    assert_int_equal(info_number(c, "clients", "total_blocking_keys_on_nokey"), 0);
    client_close(popper);
    client_close(first);
    client_close(second);
    await_blocked(c, 0);
}

static void watchers_do_not_care_about_groups(void **state) {
    struct client *c = fixture_client(state), *other = another(state);
    fill(c);
    assert_reply(c, "WATCH s", "+OK");
    assert_reply(other, "XREADGROUP GROUP g a STREAMS s >", "...");
    assert_reply(other, "XACK s g 1-0", ":1");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "XLEN s", "+QUEUED");
    assert_reply(c, "EXEC", "*[:3]");
    assert_reply(c, "WATCH s", "+OK");
    assert_reply(other, "XADD s 4-0 f v", "$\"4-0\"");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "XLEN s", "+QUEUED");
    assert_reply(c, "EXEC", "*-1");
    client_close(other);
}

static void events_name_what_happened(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG SET notify-keyspace-events Et", "+OK" },
        { "XADD s 1-0 f v", "..." },
        { "XADD s MAXLEN 1 2-0 f v", "..." },
        { "XGROUP CREATE s g 0", "+OK" },
        { "XREADGROUP GROUP g a STREAMS s >", "..." },
        { "XGROUP SETID s g 0", "+OK" },
        { "XGROUP DELCONSUMER s g a", ":1" },
        { "XGROUP DESTROY s g", ":1" },
        { "XDEL s 2-0", ":1" },
        { "XDEL s 2-0", ":0" },
        { "XSETID s 3-0", "+OK" },
        { "CONFIG SET notify-keyspace-events \"\"", "+OK" },
        { NULL, NULL },
    };
    static const char *const events[] = {
        "xadd", "xadd", "xtrim", "xgroup-create", "xgroup-createconsumer", "xgroup-setid",
        "xgroup-delconsumer",
        "xgroup-destroy", "xdel", "xsetid",
    };
    struct client *listener = another(state);
    assert_reply(listener, "PSUBSCRIBE *", "...");
    assert_exchanges(fixture_client(state), rows);
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        char expected[128];
        snprintf(expected, sizeof expected, "*[$\"pmessage\", $\"*\", $\"__keyevent@0__:%s\", $\"s\"]",
                 events[i]);
        assert_next(listener, expected);
    }
    client_close(listener);
}

/* ---- after a crash ---- */

static void remember(struct client *c, struct words *out) {
    static const char *const questions[] = {
        "DEBUG DIGEST", "XINFO GROUPS s", "XINFO STREAM s", "XINFO STREAM t", "XPENDING s g",
        "XLEN empty",   "XINFO GROUPS empty", "XRANGE t - +", "XRANGE s - +",
    };
    struct text pending = { 0 };
    words_clear(out);
    for (size_t i = 0; i < COUNT_OF(questions); i++) words_add_str(out, client_ask(c, "%s", questions[i]));
    struct node *list = client_ask_node(c, "XPENDING s g - + 1000"); /* without the idle times */
    for (size_t i = 0; i < list->count; i++) list->items[i]->items[2]->number = 0;
    node_describe(list, &pending);
    words_add(out, pending.ptr, pending.len);
    node_free(list);
    text_release(&pending);
}

static void assert_as_before(struct client *c, const struct words *before) {
    struct words now = { 0 };
    remember(c, &now);
    for (size_t i = 0; i < now.count; i++)
        assert_string_equal(text_str(&before->items[i]), text_str(&now.items[i]));
    words_release(&now);
}

static void make_history(struct client *c, struct client *waiting) {
    static const struct exchange rows[] = {
        { "XREADGROUP GROUP g a COUNT 20 STREAMS s >", "..." },
        { "XREADGROUP GROUP g b COUNT 20 NOACK STREAMS s >", "..." },
        { "XREADGROUP GROUP g b COUNT 20 STREAMS s >", "..." },
        { "XREADGROUP GROUP g a COUNT 3 STREAMS s 105", "..." },
        { "XACK s g 101-0 103-0 145-0", ":3" },
        { "XCLAIM s g c 0 105-0 106-0", "..." },
        { "XDEL s 107-0 190-0", ":2" },
        { "XAUTOCLAIM s g d 0 106 COUNT 3", "..." },
        { "XGROUP CREATE s h $ ENTRIESREAD 4", "+OK" },
        { "XGROUP CREATECONSUMER s h lonely", ":1" },
        { "XTRIM s MINID 102", ":1" },
        { "XADD t * now 1", "..." },
        { "XADD t MAXLEN ~ 100 9999999999999-* later 2", "..." },
        { "XDEL t 9999999999999-0", ":1" },
        { "XSETID t 9999999999999-5 ENTRIESADDED 44", "+OK" },
        { "XGROUP CREATE empty g $ MKSTREAM", "+OK" },
        { NULL, NULL },
    };
    for (int i = 1; i <= 250; i++) client_queue(c, "XADD s MAXLEN ~ 200 %d-* n %d", i, i);
    client_skip(c, 250);
    assert_reply(c, "XTRIM s MAXLEN ~ 101", ":100");
    assert_reply(c, "XGROUP CREATE s g 0", "+OK");
    assert_reply(c, "XADD s 300-1 before wait", "...");
    client_send(waiting, "XREADGROUP GROUP waiters w BLOCK 0 STREAMS s >");
    assert_next(waiting, "-NOGROUP ...");
    assert_exchanges(c, rows);
    assert_reply(c, "XGROUP CREATE s waiters $", "+OK");
    client_send(waiting, "XREADGROUP GROUP waiters w BLOCK 0 STREAMS s >");
    await_blocked(c, 1);
    assert_reply(c, "XADD s 300-2 for waiter", "$\"300-2\"");
    assert_next(waiting, "*[*[$\"s\", *[*[$\"300-2\", *[$\"for\", $\"waiter\"]]]]]");
}

static void a_replay_of_the_journal_gives_the_same_streams(void **state) {
    (void)state;
    struct words before = { 0 };
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s), *waiting = server_connect(s);
    make_history(c, waiting);
    remember(c, &before);
    client_close(waiting);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_as_before(c, &before);
    /* The same once more from a base that is written anew, as no deleted entry is pending. */
    assert_reply(c, "CONFIG SET appendonly no", "+OK");
    assert_reply(c, "CONFIG SET appendonly yes", "+OK");
    saves_await(c);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_as_before(c, &before);
    client_close(c);
    server_free(s);
    words_release(&before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(groups_and_consumers_are_made_and_deleted),
        FIXTURE_TEST(each_entry_is_delivered_to_one_consumer),
        FIXTURE_TEST(noack_delivers_without_pending_entries),
        FIXTURE_TEST(xreadgroup_refuses_what_makes_no_sense),
        FIXTURE_TEST(waiting_consumers_are_served_in_order_of_arrival),
        FIXTURE_TEST(waiting_consumers_hear_when_their_group_goes),
        FIXTURE_TEST(xpending_lists_by_interval_idle_time_and_consumer),
        FIXTURE_TEST(xclaim_gives_entries_to_another_consumer),
        FIXTURE_TEST(xautoclaim_walks_over_idle_entries),
        FIXTURE_TEST(xinfo_shows_groups_consumers_and_lag),
        FIXTURE_TEST(entries_read_is_the_place_of_the_last_delivered_entry),
        FIXTURE_TEST(keys_whose_absence_somebody_waits_for_are_counted),
        FIXTURE_TEST(watchers_do_not_care_about_groups),
        FIXTURE_TEST(events_name_what_happened),
        cmocka_unit_test(a_replay_of_the_journal_gives_the_same_streams),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
