/* A conversation: what is queued, muted, postponed, what ends the connection, and the journal read again. */
#include "../../../harness/loopback.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/resp/parser.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define RESET_REPLY "+RESET"

struct step {
    const char *command, *reply;
    enum dispatched dispatched;
};

static void assert_steps(struct loopback *l, const struct step *steps, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_says(l, steps[i].command, steps[i].reply);
        assert_int_equal(loopback_dispatched(l), steps[i].dispatched);
    }
}
#define ASSERT_STEPS(l, steps) assert_steps((l), (steps), COUNT_OF(steps))

/* ---- queueing ---- */

static void in_multi_all_is_queued_but_what_ends_or_leaves_it(void **state) {
    (void)state;
    static const struct {
        const char *command, *reply;
        size_t queued; /* after it */
    } rows[] = {
        { "SET k v", "+QUEUED", 2 },   { "SELECT 3", "+QUEUED", 2 }, { "SUBSCRIBE channel", "+QUEUED", 2 },
        { "BLPOP k 0", "+QUEUED", 2 }, { "FLUSHALL", "+QUEUED", 2 }, { "UNWATCH", "+QUEUED", 2 },
        { "DISCARD", "+OK", 0 },       { "RESET", RESET_REPLY, 0 },  { "EXEC", "*[+PONG]", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        assert_says(l, "MULTI", "+OK");
        assert_says(l, "PING", "+QUEUED");
        assert_says(l, rows[i].command, rows[i].reply);
        assert_int_equal(transaction_length(loopback_client(l)), rows[i].queued);
        assert_int_equal(loopback_dispatched(l), DISPATCH_DONE);
        loopback_close(l);
    }
}

static void a_queued_command_has_not_run(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *other = loopback_open();
    assert_says(l, "MULTI", "+OK");
    assert_says(l, "SET k v", "+QUEUED");
    assert_says(other, "GET k", "$-1");
    assert_says(l, "EXEC", "*[+OK]");
    assert_says(other, "GET k", "$\"v\"");
    loopback_close(l);
    loopback_close(other);
}

/* ---- CLIENT REPLY ---- */

static void off_mutes_replies_and_errors_until_on(void **state) {
    (void)state;
    static const struct step steps[] = {
        { "CLIENT REPLY OFF", "", DISPATCH_DONE }, { "PING", "", DISPATCH_DONE },
        { "NOSUCH", "", DISPATCH_DONE },           { "MULTI", "", DISPATCH_DONE },
        { "SET k v", "", DISPATCH_DONE },          { "EXEC", "", DISPATCH_DONE },
        { "CLIENT REPLY ON", "+OK", DISPATCH_DONE }, { "GET k", "$\"v\"", DISPATCH_DONE },
    };
    struct loopback *l = loopback_open();
    ASSERT_STEPS(l, steps);
    loopback_close(l);
}

static void skip_mutes_the_next_command_only(void **state) {
    (void)state;
    static const char *const muted[] = { "PING", "NOSUCH", "GET", "SET k v" };
    struct loopback *l = loopback_open();
    for (size_t i = 0; i < COUNT_OF(muted); i++) {
        assert_says(l, "CLIENT REPLY SKIP", "");
        assert_says(l, muted[i], "");
        assert_says(l, "PING", "+PONG");
    }
    loopback_close(l);
}

static void a_push_passes_a_muted_client(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *other = loopback_open();
    assert_says(l, "CLIENT REPLY OFF", "");
    assert_says(l, "SUBSCRIBE c", "*[$\"subscribe\", $\"c\", :1]");
    assert_says(other, "PUBLISH c m", ":1");
    assert_hears(l, "*[$\"message\", $\"c\", $\"m\"]");
    loopback_close(l);
    loopback_close(other);
}

static void a_skipped_command_that_is_postponed_is_skipped_when_it_runs(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *other = loopback_open();
    assert_says(l, "CLIENT REPLY SKIP", "");
    assert_says(other, "CLIENT PAUSE 1000 WRITE", "+OK");
    assert_says(l, "SET k v", "");
    assert_int_equal(loopback_dispatched(l), DISPATCH_POSTPONED);
    assert_says(other, "CLIENT UNPAUSE", "+OK");
    loopback_turn();
    assert_hears(l, "");
    assert_says(other, "GET k", "$\"v\"");
    assert_says(l, "PING", "+PONG");
    loopback_close(l);
    loopback_close(other);
}

/* ---- CLIENT PAUSE ---- */

/* What a command of a client does while writes are paused. */
static void a_pause_postpones_what_it_holds_and_nothing_else(void **state) {
    (void)state;
    static const struct {
        const char *before, *command, *reply; /* `before` is said while there is no pause */
        enum dispatched dispatched;
    } rows[] = {
        { NULL, "GET k", "$-1", DISPATCH_DONE },
        { NULL, "SET k v", "", DISPATCH_POSTPONED },
        { NULL, "PUBLISH c m", "", DISPATCH_POSTPONED },
        { NULL, "SET k", "-ERR wrong number of arguments for 'set' command", DISPATCH_DONE },
        { "MULTI", "SET k v", "+QUEUED", DISPATCH_DONE },
        { "MULTI", "EXEC", "*[]", DISPATCH_DONE },
    };
    struct loopback *other = loopback_open();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        if (rows[i].before) assert_says(l, rows[i].before, "+OK");
        assert_says(other, "CLIENT PAUSE 1000 WRITE", "+OK");
        assert_says(l, rows[i].command, rows[i].reply);
        assert_int_equal(loopback_dispatched(l), rows[i].dispatched);
        assert_int_equal(!!(loopback_client(l)->flags & CLIENT_POSTPONED),
                         rows[i].dispatched == DISPATCH_POSTPONED);
        assert_says(other, "CLIENT UNPAUSE", "+OK");
        loopback_turn();
        loopback_close(l);
    }
    loopback_close(other);
}

static void exec_is_held_for_what_it_would_run(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *other = loopback_open();
    assert_says(l, "MULTI", "+OK");
    assert_says(l, "SET k v", "+QUEUED");
    assert_says(other, "CLIENT PAUSE 1000 WRITE", "+OK");
    assert_says(l, "EXEC", "");
    assert_int_equal(loopback_dispatched(l), DISPATCH_POSTPONED);
    assert_says(other, "CLIENT UNPAUSE", "+OK");
    loopback_turn();
    assert_hears(l, "*[+OK]");
    assert_int_equal(loopback_dispatched(l), DISPATCH_DONE);
    loopback_close(l);
    loopback_close(other);
}

/* ---- the end of a turn ---- */

static void the_connection_is_told_how_a_command_ended(void **state) {
    (void)state;
    static const struct step rows[] = {
        { "PING", "+PONG", DISPATCH_DONE },
        { "NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: ", DISPATCH_DONE },
        { "BLPOP k 0", "", DISPATCH_BLOCKED },
        { "QUIT", "+OK", DISPATCH_CLOSE },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        assert_steps(l, &rows[i], 1);
        loopback_close(l);
    }
}

static void the_last_command_is_what_was_asked_for_last(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    assert_null(loopback_client(l)->last_command);
    assert_says(l, "PING", "+PONG");
    assert_string_equal(loopback_client(l)->last_command->full_name, "ping");
    loopback_ask(l, "GET"); /* refused or not */
    assert_string_equal(loopback_client(l)->last_command->full_name, "get");
    assert_says(l, "MULTI", "+OK");
    assert_says(l, "GET k", "+QUEUED");
    assert_string_equal(loopback_client(l)->last_command->full_name, "get");
    loopback_close(l);
}

/* ---- the journal, read again ---- */

static struct client *journal_client(void) {
    struct client *c = mem_alloc_zero(sizeof *c);
    client_init(c, CLIENT_INTERNAL);
    c->authenticated = true;
    c->reply.muted = true;
    return c;
}

static void assert_told(struct client *c, const char *line, bool runs, const char *told) {
    struct slice *argv;
    char *text;
    size_t argc;
    struct buf error = { 0 };
    assert_true(split_line(slice_of(line), &argv, &argc, &text));
    assert_int_equal(dispatch_replay(c, argv, argc, &error), runs);
    buf_append_byte(&error, '\0');
    assert_string_equal(error.ptr, told);
    buf_release(&error);
    mem_free(argv);
    mem_free(text);
}

static void assert_replays(struct client *c, const char *line) { assert_told(c, line, true, ""); }

/* What another server wrote is loaded, whatever it answers here: only what is no command stops it. */
static void a_replayed_command_runs_or_says_why_not(void **state) {
    (void)state;
    static const struct {
        const char *line;
        bool runs;
        const char *told;
    } rows[] = {
        { "SET k v", true, "" },
        { "NOSUCH k", false, "Unknown command 'NOSUCH' reading the append only file" },
        { "SET k", false, "wrong number of arguments for 'set'" },
        { "INCR k", true, "ERR value is not an integer or out of range" },
        { "LPUSH k x", true, "WRONGTYPE Operation against a key holding the wrong kind of value" },
        { "CONFIG NOSUCH", false, "Unknown command 'CONFIG' reading the append only file" },
        { "APPEND k w", true, "" },
    };
    struct client *c = journal_client();
    for (size_t i = 0; i < COUNT_OF(rows); i++) assert_told(c, rows[i].line, rows[i].runs, rows[i].told);
    assert_int_equal(c->reply.bytes, 0);
    client_release(c);
    mem_free(c);
    struct loopback *l = loopback_open();
    assert_says(l, "GET k", "$\"vw\"");
    loopback_close(l);
}

static void a_replayed_transaction_runs_with_its_exec(void **state) {
    (void)state;
    struct client *c = journal_client();
    struct loopback *l = loopback_open();
    assert_replays(c, "MULTI");
    assert_replays(c, "SET a 1");
    assert_says(l, "EXISTS a", ":0");
    assert_replays(c, "INCR a");
    assert_replays(c, "EXEC");
    assert_says(l, "GET a", "$\"2\"");
    loopback_close(l);
    client_release(c);
    mem_free(c);
}

static void what_is_replayed_is_not_journaled_again(void **state) {
    (void)state;
    struct client *c = journal_client();
    struct loopback *l = loopback_open();
    loopback_keep_journal(true);
    assert_replays(c, "SET k v");
    assert_string_equal(loopback_journal(), "");
    assert_says(l, "SET k v", "+OK");
    assert_string_equal(loopback_journal(), "SELECT 0\nSET k v");
    loopback_keep_journal(false);
    loopback_close(l);
    client_release(c);
    mem_free(c);
}

/* No effect may depend on the moment of the replay: what has expired meanwhile goes later. */
static void nothing_expires_while_the_journal_is_read(void **state) {
    (void)state;
    struct client *c = journal_client();
    struct loopback *l = loopback_open();
    assert_says(l, "SET k v PX 10", "+OK");
    loopback_advance(11);
    assert_replays(c, "APPEND k w");
    assert_says(l, "OBJECT ENCODING k", "$-1");
    assert_says(l, "EXISTS k", ":0");
    loopback_close(l);
    client_release(c);
    mem_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(in_multi_all_is_queued_but_what_ends_or_leaves_it),
        LOOPBACK_TEST(a_queued_command_has_not_run),
        LOOPBACK_TEST(off_mutes_replies_and_errors_until_on),
        LOOPBACK_TEST(skip_mutes_the_next_command_only),
        LOOPBACK_TEST(a_push_passes_a_muted_client),
        LOOPBACK_TEST(a_skipped_command_that_is_postponed_is_skipped_when_it_runs),
        LOOPBACK_TEST(a_pause_postpones_what_it_holds_and_nothing_else),
        LOOPBACK_TEST(exec_is_held_for_what_it_would_run),
        LOOPBACK_TEST(the_connection_is_told_how_a_command_ended),
        LOOPBACK_TEST(the_last_command_is_what_was_asked_for_last),
        LOOPBACK_TEST(a_replayed_command_runs_or_says_why_not),
        LOOPBACK_TEST(a_replayed_transaction_runs_with_its_exec),
        LOOPBACK_TEST(what_is_replayed_is_not_journaled_again),
        LOOPBACK_TEST(nothing_expires_while_the_journal_is_read),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
