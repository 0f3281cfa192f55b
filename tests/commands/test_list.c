/* test_list.c: the commands on lists that do not wait. (Those that do: test_list_blocking.c.) */
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include <stdio.h>
#include <stdlib.h>

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INT "-ERR value is not an integer or out of range"
#define NOT_POSITIVE "-ERR value is out of range, must be positive"

static void pushes_and_pops_work_at_both_ends(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH l a b", ":2" },
        { "LPUSH l c d", ":4" },
        { "LRANGE l 0 -1", "*[$\"d\", $\"c\", $\"a\", $\"b\"]" },
        { "LLEN l", ":4" },
        { "LPOP l", "$\"d\"" },
        { "RPOP l", "$\"b\"" },
        { "LPOP l 0", "*[]" },
        { "RPOP l 5", "*[$\"a\", $\"c\"]" },
        { "EXISTS l", ":0" },
        { "LPOP l", "$-1" },
        { "LPOP l 0", "*-1" },
        { "RPOP l 3", "*-1" },
        { "LPUSHX l a", ":0" },
        { "RPUSHX l a", ":0" },
        { "EXISTS l", ":0" },
        { "RPUSH l a", ":1" },
        { "LPUSHX l b c", ":3" },
        { "RPUSHX l d", ":4" },
        { "LRANGE l 0 -1", "*[$\"c\", $\"b\", $\"a\", $\"d\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void elements_come_back_byte_for_byte(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH l \"\" \"a\\x00b\\r\\n\" 12 -9223372036854775808 007 1.0 9223372036854775808 \" 1\"", ":8" },
        { "LRANGE l 0 -1",
          "*[$\"\", $\"a\\x00b\\r\\n\", $\"12\", $\"-9223372036854775808\", $\"007\", $\"1.0\", "
          "$\"9223372036854775808\", $\" 1\"]" },
        { "LPOS l 12", ":2" },
        { "LPOS l 7", "$-1" },
        { "LREM l 0 12", ":1" },
        { "LREM l 0 \"\"", ":1" },
        { "LLEN l", ":6" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void indexes_count_from_both_ends(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH l a b c d e", ":5" },
        { "LINDEX l 0", "$\"a\"" },
        { "LINDEX l -1", "$\"e\"" },
        { "LINDEX l 5", "$-1" },
        { "LINDEX l -6", "$-1" },
        { "LINDEX l a", NOT_INT },
        { "LINDEX none a", "$-1" },
        { "LRANGE l 1 2", "*[$\"b\", $\"c\"]" },
        { "LRANGE l -2 100", "*[$\"d\", $\"e\"]" },
        { "LRANGE l -100 0", "*[$\"a\"]" },
        { "LRANGE l 3 2", "*[]" },
        { "LRANGE l 5 9", "*[]" },
        { "LRANGE none 0 -1", "*[]" },
        { "LRANGE l 9223372036854775807 9223372036854775807", "*[]" },
        { "LRANGE l -9223372036854775808 -9223372036854775808", "*[]" },
        { "LRANGE l a 1", NOT_INT },
        { "LRANGE none 0 b", NOT_INT },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void elements_are_replaced_inserted_removed_and_trimmed(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH l a b a c a", ":5" },
        { "LSET l 1 B", "+OK" },
        { "LSET l -1 A", "+OK" },
        { "LSET l 5 x", "-ERR index out of range" },
        { "LSET l -6 x", "-ERR index out of range" },
        { "LSET l x x", NOT_INT },
        { "LSET none 0 x", "-ERR no such key" },
        { "LINSERT l BEFORE a 0", ":6" },
        { "LINSERT l after c 1", ":7" },
        { "LINSERT l AFTER A end", ":8" },
        { "LINSERT l BEFORE nowhere x", ":-1" },
        { "LINSERT none BEFORE a x", ":0" },
        { "LINSERT none BESIDE a x", "-ERR syntax error" },
        { "LRANGE l 0 -1", "*[$\"0\", $\"a\", $\"B\", $\"a\", $\"c\", $\"1\", $\"A\", $\"end\"]" },
        { "LREM l -1 a", ":1" },
        { "LRANGE l 0 3", "*[$\"0\", $\"a\", $\"B\", $\"c\"]" },
        { "LREM l x a", NOT_INT },
        { "LREM none x a", NOT_INT },
        { "LREM l 0 nothing", ":0" },
        { "LREM none 0 a", ":0" },
        { "LTRIM l 1 -2", "+OK" },
        { "LRANGE l 0 -1", "*[$\"a\", $\"B\", $\"c\", $\"1\", $\"A\"]" },
        { "LTRIM l a 1", NOT_INT },
        { "LTRIM l 0 -1", "+OK" },
        { "LLEN l", ":5" },
        { "LTRIM l 3 1", "+OK" },
        { "EXISTS l", ":0" },
        { "LTRIM l 0 1", "+OK" },
        { "RPUSH l x x", ":2" },
        { "LREM l 5 x", ":2" },
        { "EXISTS l", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void positions_are_found_by_rank_count_and_length(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH l a b c 1 2 3 c c", ":8" },
        { "LPOS l c", ":2" },
        { "LPOS l c RANK 2", ":6" },
        { "LPOS l c RANK -1", ":7" },
        { "LPOS l c RANK 4", "$-1" },
        { "LPOS l c COUNT 0", "*[:2, :6, :7]" },
        { "LPOS l c COUNT 2 RANK -1", "*[:7, :6]" },
        { "LPOS l c COUNT 0 MAXLEN 6", "*[:2]" },
        { "LPOS l c COUNT 0 MAXLEN 2 RANK -1", "*[:7, :6]" },
        { "LPOS l c MAXLEN 2", "$-1" },
        { "LPOS l zz COUNT 1", "*[]" },
        { "LPOS none c", "$-1" },
        { "LPOS none c COUNT 1", "*[]" },
        { "LPOS l c RANK 0", "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the "
                             "second ... or use negative to "
                             "start from the end of the list" },
        { "LPOS l c RANK -9223372036854775808",
          "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807" },
        { "LPOS l c RANK a", NOT_INT },
        { "LPOS l c COUNT -1", "-ERR COUNT can't be negative" },
        { "LPOS l c COUNT a", "-ERR COUNT can't be negative" },
        { "LPOS l c MAXLEN -1", "-ERR MAXLEN can't be negative" },
        { "LPOS l c FOO 1", "-ERR syntax error" },
        { "LPOS l c RANK", "-ERR syntax error" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void elements_move_between_lists_and_around_one(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH a 1 2 3", ":3" },
        { "LMOVE a b LEFT RIGHT", "$\"1\"" },
        { "LMOVE a b right left", "$\"3\"" },
        { "LRANGE b 0 -1", "*[$\"3\", $\"1\"]" },
        { "RPOPLPUSH a b", "$\"2\"" },
        { "EXISTS a", ":0" },
        { "LRANGE b 0 -1", "*[$\"2\", $\"3\", $\"1\"]" },
        { "LMOVE b b LEFT RIGHT", "$\"2\"" },
        { "RPOPLPUSH b b", "$\"2\"" },
        { "LMOVE b b LEFT LEFT", "$\"2\"" },
        { "LRANGE b 0 -1", "*[$\"2\", $\"3\", $\"1\"]" },
        { "RPUSH one x", ":1" },
        { "RPOPLPUSH one one", "$\"x\"" },
        { "LRANGE one 0 -1", "*[$\"x\"]" },
        { "LMOVE none b LEFT LEFT", "$-1" },
        { "RPOPLPUSH none b", "$-1" },
        { "LMOVE a b UP DOWN", "-ERR syntax error" },
        { "SET s x", "+OK" },
        { "LMOVE b s LEFT LEFT", WRONGTYPE },
        { "LMOVE s b LEFT LEFT", WRONGTYPE },
        { "LMOVE none s LEFT LEFT", "$-1" },
        { "RPOPLPUSH b s", WRONGTYPE },
        { "LLEN b", ":3" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void lmpop_takes_from_the_first_list_that_has_some(void **state) {
    static const struct exchange rows[] = {
        { "RPUSH b 1 2 3 4 5", ":5" },
        { "LMPOP 2 a b LEFT", "*[$\"b\", *[$\"1\"]]" },
        { "LMPOP 2 a b RIGHT COUNT 2", "*[$\"b\", *[$\"5\", $\"4\"]]" },
        { "LMPOP 1 b left count 10", "*[$\"b\", *[$\"2\", $\"3\"]]" },
        { "LMPOP 2 a b LEFT", "*-1" },
        { "LMPOP 0 k LEFT", "-ERR numkeys should be greater than 0" },
        { "LMPOP a k LEFT", "-ERR numkeys should be greater than 0" },
        { "LMPOP 1 k MIDDLE", "-ERR syntax error" },
        { "LMPOP 2 k LEFT", "-ERR syntax error" },
        { "LMPOP 9223372036854775807 k LEFT", "-ERR syntax error" },
        { "LMPOP 1 k LEFT COUNT", "-ERR syntax error" },
        { "LMPOP 1 k LEFT COUNT 0", "-ERR count should be greater than 0" },
        { "LMPOP 1 k LEFT COUNT a", "-ERR count should be greater than 0" },
        { "LMPOP 1 k LEFT COUNT 1 COUNT 1", "-ERR syntax error" },
        { "SET s x", "+OK" },
        { "LMPOP 2 k s LEFT", WRONGTYPE },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void other_types_are_refused(void **state) {
    static const char *const commands[] = {
        "LPUSH s a",  "RPUSH s a",   "LPUSHX s a",        "RPUSHX s a",       "LPOP s",
        "RPOP s 1",   "LLEN s",      "LINDEX s a",        "LRANGE s 0 1",     "LINSERT s BEFORE a b",
        "LSET s a b", "LREM s 0 a",  "LTRIM s 0 1",       "LPOS s a",         "LMPOP 1 s LEFT",
        "BLPOP s 0",  "BRPOP n s 0", "BLMPOP 0 1 s LEFT", "BRPOPLPUSH s n 0",
    };
    struct client *c = fixture_client(state);
    assert_reply(c, "SET s x", "+OK");
    for (size_t i = 0; i < COUNT_OF(commands); i++) assert_reply(c, commands[i], WRONGTYPE);
    assert_reply(c, "RPUSH l x", ":1");
    assert_reply(c, "GET l", WRONGTYPE);
    assert_reply(c, "LPOP l a", NOT_POSITIVE);
    assert_reply(c, "LPOP l -1", NOT_POSITIVE);
    assert_reply(c, "RPOP l 1 2", "-ERR wrong number of arguments for 'rpop' command");
    assert_reply(c, "TYPE l", "+list");
}

/* ---- forms ---- */

static void push_numbers(struct client *c, const char *key, int count) {
    for (int i = 0; i < count; i++) client_queue(c, "RPUSH %s element:%d", key, i);
    assert_true(client_flush(c));
    client_skip(c, (size_t)count);
}

static void a_list_changes_its_form_with_its_size(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange settings[] = {
        { "CONFIG SET list-max-listpack-size 10", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, settings);
    push_numbers(c, "l", 10);
    assert_reply(c, "OBJECT ENCODING l", "$\"listpack\"");
    push_numbers(c, "l", 1);
    assert_reply(c, "OBJECT ENCODING l", "$\"quicklist\"");
    (void)client_ask(c, "LTRIM l 0 5");
    assert_reply(c, "OBJECT ENCODING l", "$\"quicklist\"");
    (void)client_ask(c, "RPOP l");
    assert_reply(c, "OBJECT ENCODING l", "$\"listpack\"");
    assert_reply(c, "CONFIG SET list-max-listpack-size -1", "+OK");
    push_numbers(c, "big", 2000);
    assert_reply(c, "OBJECT ENCODING big", "$\"quicklist\"");
    assert_reply(c, "LINDEX big 1234", "$\"element:1234\"");
    assert_reply(c, "LINDEX big -1", "$\"element:1999\"");
    assert_reply(c, "CONFIG SET list-max-listpack-size -2", "+OK");
}

static void a_compressed_list_reads_like_any_other(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG SET list-compress-depth 1", "+OK");
    assert_reply(c, "CONFIG SET list-max-listpack-size 16", "+OK");
    push_numbers(c, "l", 1000);
    for (int i = 0; i < 1000; i += 37) {
        char command[64], reply[64];
        snprintf(command, sizeof command, "LINDEX l %d", i);
        snprintf(reply, sizeof reply, "$\"element:%d\"", i);
        assert_reply(c, command, reply);
    }
    assert_reply(c, "LPOS l element:500", ":500");
    assert_reply(c, "LSET l 500 here", "+OK");
    assert_reply(c, "LINSERT l AFTER here there", ":1001");
    assert_reply(c, "LRANGE l 499 502", "*[$\"element:499\", $\"here\", $\"there\", $\"element:501\"]");
    assert_reply(c, "LREM l 0 here", ":1");
    assert_reply(c, "LTRIM l 490 -490", "+OK");
    assert_reply(c, "LLEN l", ":21");
    assert_reply(c, "COPY l m", ":1");
    assert_reply(c, "LINDEX m 10", "$\"there\"");
    assert_reply(c, "CONFIG SET list-compress-depth 0", "+OK");
    assert_reply(c, "CONFIG SET list-max-listpack-size -2", "+OK");
}

static void resp3_differs_only_in_its_nulls(void **state) {
    struct client *c = fixture_client(state);
    (void)client_ask(c, "HELLO 3");
    static const struct exchange rows[] = {
        { "RPUSH l a 1", ":2" }, { "LRANGE l 0 -1", "*[$\"a\", $\"1\"]" },
        { "LPOP none", "_" },    { "LPOP none 1", "_" },
        { "LPOS l x", "_" },     { "LMPOP 1 none LEFT", "_" },
        { "LINDEX l 9", "_" },   { "BLPOP none 0.001", "_" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

/* ---- what others hear ---- */

static void events_are_told_as_clients_know_them(void **state) {
    struct client *c = fixture_client(state), *ear = server_connect(((struct fixture *)*state)->server);
    static const struct {
        const char *command, *events;
    } rows[] = {
        { "RPUSH l 1 2 3 4", "rpush:l" },
        { "LPUSH l 0", "lpush:l" },
        { "LPOP l", "lpop:l" },
        { "RPOP l 1", "rpop:l" },
        { "LSET l 0 x", "lset:l" },
        { "LINSERT l BEFORE x y", "linsert:l" },
        { "LREM l 0 y", "lrem:l" },
        { "LTRIM l 0 1", "ltrim:l" },
        { "LTRIM l 0 -1", "" },
        { "LREM l 0 nothing", "" },
        { "LPOP l 0", "" },
        { "LMOVE l m LEFT RIGHT", "rpush:m lpop:l" },
        { "RPOPLPUSH l m", "lpush:m rpop:l del:l" },
        { "LMOVE m m LEFT RIGHT", "rpush:m lpop:m" },
        { "LMPOP 1 m LEFT COUNT 9", "lpop:m del:m" },
        { "RPUSH l 1", "rpush:l" },
        { "LREM l 0 1", "lrem:l del:l" },
    };
    assert_reply(c, "CONFIG SET notify-keyspace-events Elg", "+OK");
    assert_reply(ear, "PSUBSCRIBE *", "*[$\"psubscribe\", $\"*\", :1]");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        (void)client_ask(c, "%s", rows[i].command);
        struct words events = { 0 };
        assert_true(words_split(&events, rows[i].events));
        for (size_t e = 0; e < events.count; e++) {
            char expected[128];
            const char *text = text_str(&events.items[e]), *colon = strchr(text, ':');
            snprintf(expected, sizeof expected, "*[$\"pmessage\", $\"*\", $\"__keyevent@0__:%.*s\", $\"%s\"]",
                     (int)(colon - text), text, colon + 1);
            assert_next(ear, expected);
        }
        words_release(&events);
    }
    assert_reply(c, "CONFIG SET notify-keyspace-events \"\"", "+OK");
    client_close(ear);
}

/* ---- the journal ---- */

static const char *const journaled[] = {
    "RPUSH a 1 2 3 4 5 6 7 8",
    "LPUSH a x y",
    "LPOP a",
    "RPOP a 2",
    "LSET a 1 changed",
    "LINSERT a BEFORE changed new",
    "LREM a 1 3",
    "LTRIM a 0 4",
    "LMOVE a b LEFT RIGHT",
    "RPOPLPUSH a b",
    "LMOVE b b LEFT RIGHT",
    "LMPOP 2 none a RIGHT COUNT 1",
    "BLPOP none a 1",
    "BLMOVE b c LEFT LEFT 1",
    "BRPOPLPUSH b c 1",
    "RPUSH d 1 2 3",
    "BLMPOP 1 1 d LEFT COUNT 2",
    "PEXPIREAT d 4102444800000",
    "RPUSH gone 1",
    "BRPOP gone 1",
};

static void fill(struct client *c) {
    for (size_t i = 0; i < COUNT_OF(journaled); i++) (void)client_ask(c, "%s", journaled[i]);
    push_numbers(c, "big", 3000);
    struct words w = { 0 };
    static char large[20000];
    memset(large, 'x', sizeof large);
    words_add_str(&w, "LPUSH");
    words_add_str(&w, "big");
    words_add(&w, large, sizeof large);
    client_queue_words(c, &w);
    assert_true(client_flush(c));
    client_skip(c, 1);
    words_release(&w);
}

static char *digest(struct client *c) { return strdup(client_ask(c, "DEBUG DIGEST")); }

static void a_replay_of_the_journal_gives_the_same_lists(void **state) {
    (void)state;
    struct server *s =
        server_start("--appendonly", "yes", "--appendfsync", "no", "--list-compress-depth", "1", NULL);
    struct client *c = server_connect(s);
    fill(c);
    char *before = digest(c);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "DEBUG DIGEST", before);
    assert_reply(c, "EXISTS gone", ":0");
    assert_reply(c, "PEXPIRETIME d", ":4102444800000");
    client_close(c);
    server_free(s);
    free(before);
}

static void a_journal_begun_anew_gives_the_same_lists(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET appendonly no", "+OK");
    fill(c);
    char *before = digest(c);
    assert_reply(c, "CONFIG SET appendonly yes", "+OK"); /* begins with all there is */
    saves_await(c);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "DEBUG DIGEST", before);
    client_close(c);
    server_free(s);
    free(before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(pushes_and_pops_work_at_both_ends),
        FIXTURE_TEST(elements_come_back_byte_for_byte),
        FIXTURE_TEST(indexes_count_from_both_ends),
        FIXTURE_TEST(elements_are_replaced_inserted_removed_and_trimmed),
        FIXTURE_TEST(positions_are_found_by_rank_count_and_length),
        FIXTURE_TEST(elements_move_between_lists_and_around_one),
        FIXTURE_TEST(lmpop_takes_from_the_first_list_that_has_some),
        FIXTURE_TEST(other_types_are_refused),
        FIXTURE_TEST(a_list_changes_its_form_with_its_size),
        FIXTURE_TEST(a_compressed_list_reads_like_any_other),
        FIXTURE_TEST(resp3_differs_only_in_its_nulls),
        FIXTURE_TEST(events_are_told_as_clients_know_them),
        cmocka_unit_test(a_replay_of_the_journal_gives_the_same_lists),
        cmocka_unit_test(a_journal_begun_anew_gives_the_same_lists),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
