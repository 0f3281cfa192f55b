/* test_replay.c: what was written is loaded. Limits of clients are no limits of files, counters that are at
 * their end stay there, and an error on the way is no reason to give up all data. */
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include "files.h"
#include <stdlib.h>

#define FOLDER "appendonlydir/"
#define INCR FOLDER "appendonly.aof.1.incr.aof"

/* ---- how data goes to disk ---- */

enum way { BY_JOURNAL, BY_BASE_OF_COMMANDS, BY_RDB };
static const struct {
    const char *appendonly, *preamble;
} ways[] = { { "yes", "yes" }, { "yes", "no" }, { "no", "yes" } };

static struct server *start(enum way way) {
    return server_start("--appendonly", ways[way].appendonly, "--aof-use-rdb-preamble", ways[way].preamble,
                        "--save", "", NULL);
}

static void restart(struct server *s, struct client **c, enum way way) {
    if (way == BY_BASE_OF_COMMANDS) {
        assert_reply(*c, "BGREWRITEAOF", "+...");
        saves_await(*c);
    }
    if (way == BY_RDB) assert_reply(*c, "SAVE", "+OK");
    client_close(*c);
    server_stop(s);
    server_restart(s);
    *c = server_connect(s);
}

/* Runs `before`, writes, starts again and runs `after`; in each way. */
static void check_in_every_way(const struct exchange *before, const struct exchange *after) {
    for (enum way way = BY_JOURNAL; way <= BY_RDB; way++) {
        struct server *s = start(way);
        struct client *c = server_connect(s);
        assert_exchanges(c, before);
        restart(s, &c, way);
        assert_exchanges(c, after);
        client_close(c);
        server_free(s);
    }
}

/* ---- streams ---- */

#define MOST "9223372036854775807"

static const struct counter_case {
    struct exchange before[8], after[3];
} counters[] = {
    { { { "XADD x 1-0 f v", "..." },
        { "XGROUP CREATE x g $ ENTRIESREAD " MOST, "+OK" },
        { "XADD x 2-0 f v", "..." },
        { "XREADGROUP GROUP g c STREAMS x >", "..." } },
      { { "XINFO GROUPS x", "...\"entries-read\", :" MOST "..." } } },
    { { { "XADD x 1-0 f v", "..." },
        { "XSETID x 100-0 ENTRIESADDED " MOST " MAXDELETEDID 0-0", "+OK" },
        { "XADD x 200-0 a b", "..." } },
      { { "XINFO STREAM x", "...\"entries-added\", :" MOST "..." } } },
    { { { "XADD x 1-0 f v", "..." },
        { "XGROUP CREATE x g 0", "+OK" },
        { "XREADGROUP GROUP g c STREAMS x >", "..." },
        { "XCLAIM x g d 0 1-0 RETRYCOUNT " MOST, "..." },
        { "XCLAIM x g d 0 1-0", "..." },
        { "XAUTOCLAIM x g d 0 0", "..." },
        { "XREADGROUP GROUP g d STREAMS x 0", "..." } },
      { { "XPENDING x g - + 10", "...:" MOST "..." } } },
};

static void counters_of_streams_stay_at_their_limit(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(counters); i++) check_in_every_way(counters[i].before, counters[i].after);
}

/* Ids that come again after XSETID stand behind deleted ones no more. */
static void ids_that_come_again_are_loaded(void **state) {
    (void)state;
    static const struct exchange before[] = {
        { "XADD s 1-1 a b", "..." },
        { "XADD s 1-2 a b", "..." },
        { "XADD s 1-3 a b", "..." },
        { "XADD s 1-5 a b", "..." },
        { "XDEL s 1-3 1-5", ":2" },
        { "XSETID s 1-5 MAXDELETEDID 0-1", "+OK" },
        { "XSETID s 1-3 MAXDELETEDID 0-1", "+OK" },
        { "XSETID s 1-2", "+OK" },
        { "XADD s 1-3 c d", "..." },
        { "XRANGE s 1-3 1-3", "*[*[$\"1-3\", *[$\"c\", $\"d\"]]]" },
        { NULL, NULL },
    };
    static const struct exchange after[] = { { "XLEN s", ":3" },
                                             { "XRANGE s 1-3 1-4", "*[*[$\"1-3\", *[$\"c\", $\"d\"]]]" },
                                             { NULL, NULL } };
    check_in_every_way(before, after);
}

static void what_is_pending_stays_so_when_its_entry_was_deleted(void **state) {
    (void)state;
    static const struct exchange before[] = {
        { "XADD s 1-0 a b", "..." },     { "XADD s 2-0 a b", "..." },
        { "XGROUP CREATE s g 0", "+OK" }, { "XREADGROUP GROUP g c STREAMS s >", "..." },
        { "XDEL s 2-0", ":1" },           { NULL, NULL },
    };
    static const struct exchange after[] = { { "XPENDING s g", "*[:2, $\"1-0\", $\"2-0\", ..." },
                                             { "XCLAIM s g d 0 2-0", "*[]" },
                                             { "XPENDING s g", "*[:1, $\"1-0\", $\"1-0\", ..." },
                                             { NULL, NULL } };
    check_in_every_way(before, after);
}

/* ---- limits of clients ---- */

static void the_limit_of_clients_for_strings_is_none_for_a_replay(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--proto-max-bulk-len", "2mb", NULL);
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "SETRANGE k 999999 x", ":1000000" }, { "APPEND k x", ":1000001" },
        { "SETRANGE k 1500000 x", ":1500001" }, { "SETBIT bits 12582912 1", ":0" },
        { "BITFIELD field SET u8 12582912 7", "*[:0]" }, { NULL, NULL },
    };
    assert_exchanges(c, rows);
    client_close(c);
    server_stop(s);
    const char *args[] = { "--appendonly",   "yes", "--proto-max-bulk-len", "1mb", "--dir",
                           server_folder(s), NULL };
    struct server_plan plan = { .args = args };
    struct server *again = server_launch(&plan);
    c = server_connect(again);
    static const struct exchange after[] = { { "STRLEN k", ":1500001" },
                                             { "STRLEN bits", ":1572865" },
                                             { "STRLEN field", ":1572865" },
                                             { "SETRANGE new 1048576 x", "-ERR string exceeds..." },
                                             { NULL, NULL } };
    assert_exchanges(c, after);
    client_close(c);
    server_free(again);
    server_free(s);
}

/* A payload that was taken under 'relaxed' is loaded under 'strict'. */
static void a_payload_of_a_newer_version_is_replayed(void **state) {
    (void)state;
    static const struct exchange rows[] = {
        { "CONFIG SET rdb-version-check relaxed", "+OK" },
        { "RESTORE k 0 \"\\x00\\x03bar\\xde\\x00\\x0fYUza\\xd3\\xec\\xe0\"", "+OK" },
        { NULL, NULL },
    };
    static const struct exchange after[] = { { "GET k", "$\"bar\"" }, { NULL, NULL } };
    check_in_every_way(rows, after);
}

/* ---- errors ---- */

static void put_command(struct text *out, const char *line) {
    struct words words = { 0 };
    assert_true(words_split(&words, line));
    text_printf(out, "*%zu\r\n", words.count);
    for (size_t i = 0; i < words.count; i++)
        text_printf(out, "$%zu\r\n%s\r\n", words.items[i].len, text_str(&words.items[i]));
    words_release(&words);
}

/* A stopped server whose incremental file has these commands. */
static struct server *stopped_with(const char *const *lines) {
    struct text bytes = { 0 };
    struct server *s = server_start("--appendonly", "yes", NULL);
    server_stop(s);
    for (; *lines; lines++) put_command(&bytes, *lines);
    file_write(server_path(s, INCR), &bytes);
    text_release(&bytes);
    return s;
}

static void an_error_of_a_command_is_logged_and_loading_goes_on(void **state) {
    (void)state;
    static const char *const lines[] = { "SELECT 0", "HSET h f abc",   "HINCRBY h f 1",
                                         "SET k 1",  "LPUSH k secret", "INCR k",
                                         NULL };
    struct server *s = stopped_with(lines);
    server_restart(s);
    struct client *c = server_connect(s);
    assert_reply(c, "GET k", "$\"2\"");
    assert_reply(c, "HGET h f", "$\"abc\"");
    const char *log = server_log(s);
    assert_non_null(strstr(log, "command 'HINCRBY h ...' failed: ERR hash value is not an integer"));
    assert_non_null(strstr(log, "command 'LPUSH k ...' failed: WRONGTYPE Operation against a key"));
    assert_non_null(strstr(log, "2 of its 6 commands failed"));
    assert_null(strstr(log, "secret"));
    client_close(c);
    server_free(s);
}

static const struct fatal_case {
    const char *line, *log;
} fatal[] = {
    { "XET a 1", "command 'XET a ...' failed: Unknown command 'XET' reading the append only file" },
    { "GET", "command 'GET' failed: wrong number of arguments for 'get'" },
    { "SELECT 99", "command 'SELECT 99' failed: ERR DB index is out of range" },
};

static void what_would_lead_to_other_data_is_fatal(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fatal); i++) {
        const char *const lines[] = { "SELECT 0", fatal[i].line, "SET k 1", NULL };
        struct server *s = stopped_with(lines);
        const char *args[] = { "--appendonly", "yes", "--dir", server_folder(s), NULL };
        struct server_plan plan = { .args = args };
        struct text log = { 0 };
        assert_int_equal(server_run_to_end(&plan, &log), 1);
        if (!strstr(text_str(&log), fatal[i].log))
            fail_msg("'%s' is not in the log:\n%s", fatal[i].log, text_str(&log));
        text_release(&log);
        server_free(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_of_streams_stay_at_their_limit),
        cmocka_unit_test(ids_that_come_again_are_loaded),
        cmocka_unit_test(what_is_pending_stays_so_when_its_entry_was_deleted),
        cmocka_unit_test(the_limit_of_clients_for_strings_is_none_for_a_replay),
        cmocka_unit_test(a_payload_of_a_newer_version_is_replayed),
        cmocka_unit_test(an_error_of_a_command_is_logged_and_loading_goes_on),
        cmocka_unit_test(what_would_lead_to_other_data_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
