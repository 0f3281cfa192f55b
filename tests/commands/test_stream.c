/* test_stream.c: the entries of streams over the wire: adding, trimming, deleting, ranges, reading and
 * waiting, what XINFO STREAM tells, and what they refuse. */
#include "../harness/fixture.h"
#include <stdio.h>

#define BAD_ID "-ERR Invalid stream ID specified as stream command argument"
#define NOT_INT "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"
#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define TOO_SMALL "-ERR The ID specified in XADD is equal or smaller than the target stream top item"

/* ---- XADD ---- */

static void xadd_takes_ids_that_rise(void **state) {
    static const struct exchange rows[] = {
        { "XADD s 5-1 f v", "$\"5-1\"" },
        { "XADD s 5-1 f v", TOO_SMALL },
        { "XADD s 4 f v", TOO_SMALL },
        { "XADD s 5-* f v g w", "$\"5-2\"" },
        { "XADD s 6-* 12 34", "$\"6-0\"" },
        { "XADD s 7 \"\" \"\"", "$\"7-0\"" },
        { "XLEN s", ":4" },
        { "TYPE s", "+stream" },
        { "OBJECT ENCODING s", "$\"stream\"" },
        { "XRANGE s - +", "*[*[$\"5-1\", *[$\"f\", $\"v\"]], *[$\"5-2\", *[$\"f\", $\"v\", $\"g\", $\"w\"]], "
                          "*[$\"6-0\", *[$\"12\", $\"34\"]], *[$\"7-0\", *[$\"\", $\"\"]]]" },
        { "XADD t 0-* f v", "$\"0-1\"" },
        { "XADD u 007-01 f v", "$\"7-1\"" },
        { "XADD none NOMKSTREAM * f v", "$-1" },
        { "EXISTS none", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void xadd_makes_ids_from_the_clock_that_never_go_back(void **state) {
    static const struct exchange rows[] = {
        { "XADD s * f v", "$\"...-0\"" },
        { "XADD s 18446744073709551614-3 f v", "$\"18446744073709551614-3\"" },
        { "XADD s * f v", "$\"18446744073709551614-4\"" },
        { "XADD s 18446744073709551614-18446744073709551615 f v",
          "$\"18446744073709551614-18446744073709551615\"" },
        { "XADD s 18446744073709551614-* f v", TOO_SMALL },
        { "XADD s * f v", "$\"18446744073709551615-0\"" },
        { "XADD s 18446744073709551615-18446744073709551615 f v",
          "$\"18446744073709551615-18446744073709551615\"" },
        { "XADD s * f v", "-ERR The stream has exhausted the last possible ID, unable to add more items" },
        { "XLEN s", ":6" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void xadd_refuses_what_makes_no_sense(void **state) {
    static const struct exchange rows[] = {
        { "SET str v", "+OK" },
        { "XADD str * f v", WRONGTYPE },
        { "XADD s 0-0 f v", "-ERR The ID specified in XADD must be greater than 0-0" },
        { "XADD s a-b f v", BAD_ID },
        { "XADD s 1-a f v", BAD_ID },
        { "XADD s 1-2-3 f v", BAD_ID },
        { "XADD s - f v", BAD_ID },
        { "XADD s + f v", BAD_ID },
        { "XADD s -5 f v", BAD_ID },
        { "XADD s FOO * f v", BAD_ID },
        { "XADD s * f", "-ERR wrong number of arguments for 'xadd' command" },
        { "XADD s * f v g", "-ERR wrong number of arguments for 'xadd' command" },
        { "XADD s NOMKSTREAM MAXLEN 5", "-ERR wrong number of arguments for 'xadd' command" },
        { "XADD s MAXLEN a * f v", NOT_INT },
        { "XADD s MAXLEN -1 * f v", "-ERR The MAXLEN argument must be >= 0." },
        { "XADD s MAXLEN 10 LIMIT 5 * f v", "-ERR syntax error, LIMIT cannot be used without the special ~ "
          "option" },
        { "XADD s MAXLEN ~ 10 LIMIT -1 * f v", "-ERR The LIMIT argument must be >= 0." },
        { "XADD s LIMIT 5 * f v", "-ERR syntax error, LIMIT cannot be used without specifying a trimming "
          "strategy" },
        { "XADD s MAXLEN ~ 10 MINID 1 * f v",
          "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible" },
        { "XADD s MINID a * f v", BAD_ID },
        { "EXISTS s", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- trimming and deleting ---- */

/* Ids 1-0 to count-0, with equal fields. */
static void fill(struct client *c, const char *key, int count) {
    for (int i = 1; i <= count; i++) client_queue(c, "XADD %s %d-0 number %d", key, i, i);
    client_skip(c, (size_t)count);
}

static void trimming_takes_the_oldest(void **state) {
    static const struct exchange rows[] = {
        { "XTRIM s MAXLEN 240", ":10" },
        { "XRANGE s - + COUNT 1", "*[*[$\"11-0\", *[$\"number\", $\"11\"]]]" },
        { "XTRIM s MAXLEN ~ 200", ":0" },
        { "XTRIM s MAXLEN ~ 150", ":90" },
        { "XTRIM s MAXLEN ~ 10 LIMIT 50", ":0" },
        { "XTRIM s MINID 103", ":2" },
        { "XTRIM s MINID ~ 199", ":0" },
        { "XTRIM s MINID ~ 201", ":98" },
        { "XADD s MAXLEN = 3 251-0 number 251", "$\"251-0\"" },
        { "XRANGE s - +", "*[*[$\"249-0\", *[$\"number\", $\"249\"]], *[$\"250-0\", *[$\"number\", "
          "$\"250\"]], "
                          "*[$\"251-0\", *[$\"number\", $\"251\"]]]" },
        { "XADD s MINID 251-0 252-0 number 252", "$\"252-0\"" },
        { "XLEN s", ":2" },
        { "XADD s MAXLEN 0 253-0 number 253", "$\"253-0\"" },
        { "XLEN s", ":0" },
        { "EXISTS s", ":1" },
        { "XTRIM none MAXLEN 0", ":0" },
        { "XTRIM s MAXLEN", "-ERR wrong number of arguments for 'xtrim' command" },
        { "XTRIM s FOO 1", SYNTAX },
        { "XTRIM s LIMIT 1", "-ERR syntax error, LIMIT cannot be used without specifying a trimming "
          "strategy" },
        { "XTRIM s LIMIT 0", "-ERR syntax error, XTRIM must be called with a trimming strategy" },
        { NULL, NULL },
    };
    fill(fixture_client(state), "s", 250);
    assert_exchanges(fixture_client(state), rows);
}

static void deleted_entries_are_gone_and_remembered(void **state) {
    static const struct exchange rows[] = {
        { "XDEL s 1-0 3 9-9 3-0", ":2" },
        { "XDEL s 2-0 a", BAD_ID },
        { "XLEN s", ":3" },
        { "XINFO STREAM s",
          "*[$\"length\", :3, $\"radix-tree-keys\", :1, $\"radix-tree-nodes\", :2, $\"last-generated-id\", "
          "$\"5-0\", "
          "$\"max-deleted-entry-id\", $\"3-0\", $\"entries-added\", :5, $\"recorded-first-entry-id\", "
          "$\"2-0\", "
          "$\"groups\", :0, $\"first-entry\", *[$\"2-0\", *[$\"number\", $\"2\"]], $\"last-entry\", "
          "*[$\"5-0\", "
          "*[$\"number\", $\"5\"]]]" },
        { "XDEL s 2-0 4-0 5-0", ":3" },
        { "XLEN s", ":0" },
        { "EXISTS s", ":1" },
        { "XRANGE s - +", "*[]" },
        { "XADD s 5-0 f v", TOO_SMALL },
        { "XDEL none 1-1", ":0" },
        { "XDEL none a", ":0" },
        { "SET str v", "+OK" },
        { "XDEL str 1-1", WRONGTYPE },
        { "XLEN str", WRONGTYPE },
        { "XLEN none", ":0" },
        { NULL, NULL },
    };
    fill(fixture_client(state), "s", 5);
    assert_exchanges(fixture_client(state), rows);
}

static void xsetid_sets_the_numbers_it_is_given(void **state) {
    static const struct exchange rows[] = {
        { "XSETID none 1-1", "-ERR no such key" },
        { "XADD s 5-1 f v", "$\"5-1\"" },
        { "XSETID s 1-1", "-ERR The ID specified in XSETID is smaller than the target stream top item" },
        { "XSETID s 5-2 ENTRIESADDED -1", "-ERR entries_added must be positive" },
        { "XSETID s 5-2 ENTRIESADDED a", NOT_INT },
        { "XSETID s 5-2 ENTRIESADDED 0 MAXDELETEDID 0-0",
          "-ERR The entries_added specified in XSETID is smaller than the target stream length" },
        { "XSETID s 5-2 MAXDELETEDID 9-9",
          "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id" },
        { "XSETID s 5-2 FOO 1", SYNTAX },
        { "XSETID s 5-2 ENTRIESADDED", SYNTAX },
        { "XSETID s a", BAD_ID },
        { "XSETID s 9-2 ENTRIESADDED 10 MAXDELETEDID 8-1", "+OK" },
        { "XADD s 9-* f v", "$\"9-3\"" },
        { "XDEL s 9-3", ":1" },
        { "XSETID s 6", "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id" },
        { "XINFO STREAM s", "...$\"max-deleted-entry-id\", $\"9-3\", $\"entries-added\", :11..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- ranges ---- */

static void ranges_go_both_ways_and_may_leave_out_their_ends(void **state) {
    static const struct exchange rows[] = {
        { "XRANGE s 2 3", "*[*[$\"2-0\", ...]], *[$\"3-0\", ...]]]" },
        { "XRANGE s (2 3-0", "*[*[$\"3-0\", *[$\"number\", $\"3\"]]]" },
        { "XRANGE s 2-0 (3-0", "*[*[$\"2-0\", *[$\"number\", $\"2\"]]]" },
        { "XREVRANGE s + - COUNT 1", "*[*[$\"205-0\", *[$\"number\", $\"205\"]]]" },
        { "XREVRANGE s (101 99", "*[*[$\"101-0\", *[...]], *[$\"100-0\", *[...]], *[$\"99-0\", *[...]]]" },
        { "XREVRANGE s 99 101", "*[]" },
        { "XRANGE s 3 2", "*[]" },
        { "XRANGE s - + COUNT 0", "*-1" },
        { "XRANGE none - + COUNT 0", "*[]" },
        { "XRANGE s - + COUNT -3", "*-1" },
        { "XRANGE s a b", BAD_ID },
        { "XRANGE s (+ -", BAD_ID },
        { "XRANGE s - (0-0", "-ERR invalid end ID for the interval" },
        { "XRANGE s (18446744073709551615-18446744073709551615 +", "-ERR invalid start ID for the interval" },
        { "XRANGE s - + COUNT", SYNTAX },
        { "XRANGE s - + COUNT a", NOT_INT },
        { "XRANGE s - + FOO 1", SYNTAX },
        { "SET str v", "+OK" },
        { "XRANGE str - +", WRONGTYPE },
        { NULL, NULL },
    };
    fill(fixture_client(state), "s", 205);
    assert_exchanges(fixture_client(state), rows);
}

/* ---- XREAD ---- */

static void xread_returns_what_comes_after_an_id(void **state) {
    static const struct exchange rows[] = {
        { "XREAD STREAMS s 2", "*[*[$\"s\", *[*[$\"3-0\", *[$\"number\", $\"3\"]]]]]" },
        { "XREAD COUNT 1 STREAMS s t none 0 0-0 0",
          "*[*[$\"s\", *[*[$\"1-0\", *[...]]]], *[$\"t\", *[*[$\"1-0\", *[...]]]]]" },
        { "XREAD STREAMS s 3-0", "*-1" },
        { "XREAD STREAMS s $", "*-1" },
        { "XREAD BLOCK 1 STREAMS s none $ $", "*-1" },
        { "HELLO 3", "..." },
        { "XREAD STREAMS s 2", "%{$\"s\": *[*[$\"3-0\", *[$\"number\", $\"3\"]]]}" },
        { "XREAD STREAMS s 3-0", "_" },
        { "HELLO 2", "..." },
        { "XREAD COUNT a STREAMS s 0", NOT_INT },
        { "XREAD STREAMS s t 0",
          "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified." },
        { "XREAD BLOCK a STREAMS s 0", "-ERR timeout is not an integer or out of range" },
        { "XREAD BLOCK -1 STREAMS s 0", "-ERR timeout is negative" },
        { "XREAD STREAMS s >", "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP "
          "<group> "
                               "<consumer> option." },
        { "XREAD GROUP g c STREAMS s 0",
          "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead." },
        { "XREAD NOACK STREAMS s 0",
          "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead." },
        { "XREAD STREAMS s a", BAD_ID },
        { "XREAD COUNT 1 BLOCK 1", SYNTAX },
        { "SET str v", "+OK" },
        { "XREAD STREAMS s str 0 0", WRONGTYPE },
        { NULL, NULL },
    };
    fill(fixture_client(state), "s", 3);
    fill(fixture_client(state), "t", 1);
    assert_exchanges(fixture_client(state), rows);
}

static void await_blocked(struct client *c, int64_t count) {
    assert_soon(info_number(c, "clients", "blocked_clients") == count);
}

static struct client *another(void **state) { return server_connect(((struct fixture *)*state)->server); }

static void plus_reads_the_last_entry_there_is(void **state) {
    static const struct exchange rows[] = {
        { "XREAD STREAMS none +", "*-1" },
        { "XREAD STREAMS s +", "*[*[$\"s\", *[*[$\"3-0\", *[$\"number\", $\"3\"]]]]]" },
        { "XREAD COUNT 5 BLOCK 1000 STREAMS s none + +", "*[*[$\"s\", *[*[$\"3-0\", ...]]]]" },
        { "XREAD STREAMS s s 2 +", "*[*[$\"s\", *[*[$\"3-0\", ...]]], *[$\"s\", *[*[$\"3-0\", ...]]]]" },
        { "XDEL s 3-0", ":1" },
        { "XREAD STREAMS s +", "*[*[$\"s\", *[*[$\"2-0\", ..." },
        { "XGROUP CREATE s g 0", "+OK" },
        { "XREADGROUP GROUP g c STREAMS s +",
          "-ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this "
          "consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just "
          "return an empty result set." },
        { NULL, NULL },
    };
    fill(fixture_client(state), "s", 3);
    assert_exchanges(fixture_client(state), rows);
}

static void plus_waits_for_the_next_entry_where_there_is_none(void **state) {
    struct client *c = fixture_client(state), *waiter = another(state);
    client_send(waiter, "XREAD BLOCK 0 STREAMS none s + +");
    await_blocked(c, 1);
    assert_reply(c, "XADD s 9-0 k v", "$\"9-0\"");
    assert_next(waiter, "*[*[$\"s\", *[*[$\"9-0\", *[$\"k\", $\"v\"]]]]]");
    assert_reply(c, "XDEL s 9-0", ":1");
    client_send(waiter, "XREAD BLOCK 0 STREAMS s +");
    await_blocked(c, 1);
    assert_reply(c, "XADD s 10-0 k w", "$\"10-0\"");
    assert_next(waiter, "*[*[$\"s\", *[*[$\"10-0\", *[$\"k\", $\"w\"]]]]]");
    client_close(waiter);
}

static void a_waiting_xread_gets_the_next_entry(void **state) {
    struct client *c = fixture_client(state), *first = another(state), *second = another(state);
    assert_reply(c, "XADD s 5-0 f v", "$\"5-0\"");
    client_send(first, "XREAD BLOCK 0 STREAMS none s $ $");
    await_blocked(c, 1);
    assert_reply(second, "HELLO 3", "...");
    client_send(second, "XREAD COUNT 1 BLOCK 0 STREAMS s 6-0");
    await_blocked(c, 2);
    assert_reply(c, "XADD s 6-0 f w", "$\"6-0\"");
    assert_next(first, "*[*[$\"s\", *[*[$\"6-0\", *[$\"f\", $\"w\"]]]]]");
    await_blocked(c, 1);
    assert_reply(c, "DEL s", ":1");
    assert_reply(c, "SET s v", "+OK");
    assert_reply(c, "DEL s", ":1");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "XADD s 7-0 f x", "+QUEUED");
    assert_reply(c, "XADD s 8-0 f y", "+QUEUED");
    assert_reply(c, "XREAD BLOCK 0 STREAMS s $", "+QUEUED");
    assert_reply(c, "EXEC", "*[$\"7-0\", $\"8-0\", *-1]");
    assert_next(second, "%{$\"s\": *[*[$\"7-0\", *[$\"f\", $\"x\"]]]}");
    client_close(first);
    client_close(second);
}

/* ---- XINFO STREAM ---- */

static void xinfo_stream_full_shows_as_much_as_asked(void **state) {
    static const struct exchange rows[] = {
        { "XINFO STREAM s FULL COUNT 1",
          "*[$\"length\", :12, ...$\"entries\", *[*[$\"1-0\", *[$\"number\", $\"1\"]]], $\"groups\", *[]]" },
        { "XINFO STREAM s FULL", "...*[$\"10-0\", *[$\"number\", $\"10\"]]], $\"groups\", *[]]" },
        { "XINFO STREAM s FULL COUNT 0", "...*[$\"12-0\", *[$\"number\", $\"12\"]]], $\"groups\", *[]]" },
        { "XINFO STREAM s FULL COUNT -1", "...*[$\"10-0\", *[$\"number\", $\"10\"]]], $\"groups\", *[]]" },
        { "XINFO STREAM s FULL COUNT a", NOT_INT },
        { "XINFO STREAM s FOO",
          "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP." },
        { "XINFO STREAM s FULL COUNT",
          "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP." },
        { "XINFO STREAM none FOO", "-ERR no such key" },
        { "XINFO GROUPS none", "-ERR no such key" },
        { "XINFO CONSUMERS none g", "-ERR no such key" },
        { "XINFO FOO s", "-ERR unknown subcommand 'FOO'. Try XINFO HELP." },
        { "XINFO HELP", "*[+XINFO <subcommand> ..." },
        { "HELLO 3", "..." },
        { "XINFO STREAM s", "%{$\"length\": :12, ..." },
        { "XINFO STREAM s FULL", "%{$\"length\": :12, ..." },
        { NULL, NULL },
    };
    fill(fixture_client(state), "s", 12);
    assert_exchanges(fixture_client(state), rows);
}

static void node_limits_are_those_of_the_settings(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG SET stream-node-max-entries 10", "+OK" },
        { "XADD s * f v", "..." },
        { "XINFO STREAM s", "...$\"radix-tree-keys\", :3, ..." },
        { "CONFIG SET stream-node-max-entries 100", "+OK" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    fill(c, "s", 200);
    assert_reply(c, "XINFO STREAM s", "...$\"radix-tree-keys\", :2, ...");
    assert_exchanges(c, rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(xadd_takes_ids_that_rise),
        FIXTURE_TEST(xadd_makes_ids_from_the_clock_that_never_go_back),
        FIXTURE_TEST(xadd_refuses_what_makes_no_sense),
        FIXTURE_TEST(trimming_takes_the_oldest),
        FIXTURE_TEST(deleted_entries_are_gone_and_remembered),
        FIXTURE_TEST(xsetid_sets_the_numbers_it_is_given),
        FIXTURE_TEST(ranges_go_both_ways_and_may_leave_out_their_ends),
        FIXTURE_TEST(xread_returns_what_comes_after_an_id),
        FIXTURE_TEST(plus_reads_the_last_entry_there_is),
        FIXTURE_TEST(plus_waits_for_the_next_entry_where_there_is_none),
        FIXTURE_TEST(a_waiting_xread_gets_the_next_entry),
        FIXTURE_TEST(xinfo_stream_full_shows_as_much_as_asked),
        FIXTURE_TEST(node_limits_are_those_of_the_settings),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
