/* Which error a client sees when several are due, and which half of the checks an inner command goes through.
 */
#include "../../../harness/loopback.h"
#include "trivet/engine/access/users.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/stats.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What stands in the way. */
enum state {
    STRANGER = 1, /* not authenticated */
    IN_MULTI = 2,
    SUBSCRIBER = 4,
    STARTING = 8, /* the data set is being loaded */
    FULL = 16,    /* of memory */
    UNSAVED = 32, /* the last background save failed */
};

static void make_stranger(struct client *c) {
    users_set_default_password(LIT("secret"));
    c->authenticated = false;
}

static void enter(struct loopback *l, unsigned state) {
    struct client *c = loopback_client(l);
    if (state & SUBSCRIBER) loopback_ask(l, "SUBSCRIBE channel");
    if (state & IN_MULTI) transaction_begin(c);
    if (state & FULL) {
        struct loopback *other = loopback_open();
        assert_says(other, "CONFIG SET maxmemory 1", "+OK");
        loopback_close(other);
    }
    if (state & UNSAVED) {
        options.save.point[0] = (struct save_point){ .seconds = 3600, .changes = 1 };
        options.save.count = 1;
    }
    if (state & STRANGER) make_stranger(c);
    obstacle_set(OBSTACLE_SAVE, state & UNSAVED);
    obstacle_set(OBSTACLE_LOADING, state & STARTING);
}

static void leave(void) {
    struct loopback *l = loopback_open();
    options.save.count = 0;
    users_set_default_password(LIT(""));
    obstacle_set(OBSTACLE_SAVE, false);
    obstacle_set(OBSTACLE_LOADING, false);
    assert_says(l, "CONFIG SET maxmemory 0", "+OK");
    loopback_close(l);
}

static void starts_with(const char *text, const char *beginning) {
    if (beginning[0] == '\0')
        assert_string_equal(text, "");
    else if (strncmp(text, beginning, strlen(beginning)) != 0)
        assert_string_equal(text, beginning);
}

#define UNKNOWN "-ERR unknown command 'NOSUCH', with args beginning with: 'a' "
#define ARITY "-ERR wrong number of arguments for 'get' command"
#define NOAUTH "-NOAUTH Authentication required."
#define IN_TRANSACTION(command) "-ERR Command '" command "' not allowed inside a transaction"
#define SUBSCRIBED                                                                                        \
    "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed " \
    "in this context"
#define IS_LOADING "-LOADING Redis is loading the dataset in memory"
#define OOM "-OOM command not allowed when used memory > 'maxmemory'."
#define MISCONF "-MISCONF Valkey is configured to save RDB snapshots, but"

static void the_first_thing_wrong_is_what_the_client_hears(void **state) {
    (void)state;
    static const struct {
        unsigned state;
        const char *command, *reply;
    } rows[] = {
        /* Known, then arity, then who asks. */
        { STRANGER | STARTING, "NOSUCH a", UNKNOWN },
        { STRANGER | STARTING, "GET", ARITY },
        { STRANGER | STARTING, "GET k", NOAUTH },
        { STRANGER, "PING", NOAUTH },
        { STRANGER, "QUIT", "+OK" },
        { STRANGER, "AUTH", "-ERR wrong number of arguments for 'auth' command" },
        { STRANGER | IN_MULTI, "WATCH k", NOAUTH },
        /* Then what the conversation is in. */
        { IN_MULTI | STARTING, "WATCH k", IN_TRANSACTION("watch") },
        { IN_MULTI | STARTING, "MULTI", IN_TRANSACTION("multi") },
        { IN_MULTI | SUBSCRIBER, "WATCH k", IN_TRANSACTION("watch") },
        { IN_MULTI | SUBSCRIBER, "GET k", SUBSCRIBED },
        { SUBSCRIBER | STARTING, "GET k", SUBSCRIBED },
        { SUBSCRIBER, "NOSUCH a", UNKNOWN },
        { SUBSCRIBER, "PING", "*[$\"pong\", $\"\"]" },
        /* Then what the server is in. */
        { STARTING | FULL | UNSAVED, "SET k v", IS_LOADING },
        { STARTING, "ECHO hello", "$\"hello\"" },
        { FULL | UNSAVED, "SET k v", OOM },
        { FULL | UNSAVED, "DEL k", MISCONF },
        { FULL | UNSAVED, "GET k", "$-1" },
        { FULL, "DEL k", ":0" },
        { UNSAVED, "SET k v", MISCONF },
        { UNSAVED, "PING", MISCONF },
        { UNSAVED, "ECHO hello", "$\"hello\"" },
        { UNSAVED | IN_MULTI, "SET k v", MISCONF },
        { 0, "GET k", "$-1" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        enter(l, rows[i].state);
        starts_with(loopback_ask(l, "%s", rows[i].command), rows[i].reply);
        leave();
        loopback_close(l);
    }
}

static void settings_decide_whether_a_failed_save_counts(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    enter(l, UNSAVED);
    options.stop_writes_on_bgsave_error = false;
    assert_says(l, "SET k v", "+OK");
    options.stop_writes_on_bgsave_error = true;
    options.save.count = 0;
    assert_says(l, "SET k v", "+OK");
    options.save.count = 1;
    starts_with(loopback_ask(l, "SET k v"), MISCONF);
    leave();
    loopback_close(l);
}

static void resp3_subscribers_may_do_anything(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    loopback_ask(l, "HELLO 3");
    loopback_ask(l, "SUBSCRIBE c");
    assert_says(l, "GET k", "_");
    loopback_close(l);
}

/* ---- transactions ---- */

static void a_refusal_breaks_the_transaction_being_queued(void **state) {
    (void)state;
    static const char *const refused[] = { "NOSUCH", "GET", "WATCH k", "MULTI", "CONFIG NOSUCH" };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct loopback *l = loopback_open();
        assert_says(l, "MULTI", "+OK");
        starts_with(loopback_ask(l, "%s", refused[i]), "-ERR ");
        assert_true(loopback_client(l)->flags & CLIENT_MULTI_BROKEN);
        assert_says(l, "SET k v", "+QUEUED");
        assert_says(l, "EXEC", "-EXECABORT Transaction discarded because of previous errors.");
        assert_says(l, "EXISTS k", ":0");
        loopback_close(l);
    }
}

#define ABORTED "-EXECABORT Transaction discarded because of: "

static void a_refused_exec_says_why_and_ends_the_transaction(void **state) {
    (void)state;
    static const struct {
        unsigned state;
        const char *queued, *exec, *reply;
    } rows[] = {
        { 0, "SET k v", "EXEC x", ABORTED "wrong number of arguments for 'exec' command" },
        { FULL, "SET k v", "EXEC", ABORTED "OOM command not allowed when used memory > 'maxmemory'." },
        { UNSAVED, "SET k v", "EXEC", ABORTED "MISCONF Valkey is configured to save RDB snapshots, but" },
        { FULL | UNSAVED, "DEL k", "EXEC", ABORTED "MISCONF Valkey is" },
        { FULL | UNSAVED, "GET k", "EXEC", "*[$-1]" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        assert_says(l, "WATCH k", "+OK");
        assert_says(l, "MULTI", "+OK");
        assert_says(l, rows[i].queued, "+QUEUED");
        enter(l, rows[i].state);
        starts_with(loopback_ask(l, "%s", rows[i].exec), rows[i].reply);
        leave();
        assert_false(loopback_client(l)->flags & (CLIENT_IN_MULTI | CLIENT_MULTI_BROKEN));
        assert_int_equal(transaction_watched(loopback_client(l)), 0);
        assert_says(l, "EXEC", "-ERR EXEC without MULTI");
        loopback_close(l);
    }
}

/* ---- the texts of unknown commands ---- */

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void an_unknown_command_is_shown_but_not_at_any_length(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        { "CONFIG NOSUCH x", "-ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP." },
        { "foo", "-ERR unknown command 'foo', with args beginning with: " },
        { "foo a 'b c'", "-ERR unknown command 'foo', with args beginning with: 'a' 'b c' " },
        { HUNDRED HUNDRED, "-ERR unknown command '" HUNDRED TEN TEN "01234567', with args beginning with: " },
        /* Quotes and the space count: 103 bytes for the first leave 25 for the second. */
        { "foo " HUNDRED " " HUNDRED " gone",
          "-ERR unknown command 'foo', with args beginning with: '" HUNDRED "' '" TEN TEN "01234' " },
    };
    struct loopback *l = loopback_open();
    for (size_t i = 0; i < COUNT_OF(rows); i++) assert_says(l, rows[i][0], rows[i][1]);
    loopback_close(l);
}

static void a_refusal_is_counted_by_command_and_by_code(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    const struct command *get = registry_find(LIT("get"));
    struct command_stats before = stats_command(get);
    uint64_t errors = STATS_SUM(error_replies);
    assert_says(l, "GET", ARITY);
    make_stranger(loopback_client(l));
    assert_says(l, "GET k", NOAUTH);
    users_set_default_password(LIT(""));
    assert_int_equal(stats_command(get).rejected - before.rejected, 2);
    assert_int_equal(stats_command(get).calls - before.calls, 0);
    assert_int_equal(STATS_SUM(error_replies) - errors, 2);
    loopback_close(l);
}

/* ---- the second half ---- */

static bool admits(struct loopback *l, const struct origin *origin, const struct slice *argv, size_t argc) {
    struct call call;
    call_init(&call, loopback_client(l), origin);
    call.command = registry_find(argv[0]);
    call.argv = argv;
    call.argc = argc;
    return command_admit(&call);
}

static void an_inner_command_is_not_asked_about_the_conversation(void **state) {
    (void)state;
    static const struct slice set[] = { LIT_INIT("SET"), LIT_INIT("k"), LIT_INIT("v") };
    static const struct {
        unsigned state;
        const struct origin *origin;
        size_t argc;
        const char *error; /* "": admitted */
    } rows[] = {
        { STRANGER | SUBSCRIBER | IN_MULTI, &origin_transaction, 3, "" },
        { STRANGER | SUBSCRIBER | IN_MULTI, &origin_connection, 3, "" },
        { 0, &origin_transaction, 2, "-ERR wrong number of arguments for 'set' command" },
        { FULL, &origin_transaction, 3, "" }, /* it has its locks: room was made before them */
        { FULL, &origin_waiter, 3, "" },
        { FULL, &origin_connection, 3, OOM },
        { UNSAVED, &origin_connection, 3, MISCONF },
        { UNSAVED, &origin_transaction, 3, "" },
        { STARTING | FULL, &origin_journal, 3, "" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        enter(l, rows[i].state & ~(unsigned)SUBSCRIBER);
        if (rows[i].state & SUBSCRIBER) loopback_client(l)->flags |= CLIENT_SUBSCRIBED;
        assert_int_equal(admits(l, rows[i].origin, set, rows[i].argc), rows[i].error[0] == '\0');
        starts_with(loopback_next(l), rows[i].error);
        loopback_client(l)->flags &= ~(uint32_t)CLIENT_SUBSCRIBED;
        leave();
        loopback_close(l);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(the_first_thing_wrong_is_what_the_client_hears),
        LOOPBACK_TEST(settings_decide_whether_a_failed_save_counts),
        LOOPBACK_TEST(resp3_subscribers_may_do_anything),
        LOOPBACK_TEST(a_refusal_breaks_the_transaction_being_queued),
        LOOPBACK_TEST(a_refused_exec_says_why_and_ends_the_transaction),
        LOOPBACK_TEST(an_unknown_command_is_shown_but_not_at_any_length),
        LOOPBACK_TEST(a_refusal_is_counted_by_command_and_by_code),
        LOOPBACK_TEST(an_inner_command_is_not_asked_about_the_conversation),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
