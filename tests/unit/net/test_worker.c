/* A turn in the middle of a command: the others are served, and what the command has under way stays. */
#include "fixture.h"
#include "trivet/base/clock.h"
#include "trivet/engine/command/command_keys.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/persist/journal.h"
#include "trivet/persist/journal_sink.h"
#include <signal.h>

/* BUSY answers with an array, in the middle of which the test does what it wants to. */
static void (*in_the_middle)(struct call *c);

static void cmd_busy(struct call *c) {
    reply_array(c->out, 2);
    reply_bulk(c->out, c->argc > 1 ? c->argv[1] : LIT("begin"));
    if (in_the_middle) in_the_middle(c);
    reply_bulk(c->out, LIT("end"));
}
#define BUSY_REPLY "*2\r\n$5\r\nbegin\r\n$3\r\nend\r\n"

static const struct command rows[] = {
    { .name = "BUSY", .run = cmd_busy, .arity = -1, .kind = LOCAL },
    { .name = NULL },
};

static int begin_all(void **state) {
    if (fixture_begin(state) != 0 || !registry_add("test", rows)) return -1;
    return 0;
}

/* The connection that runs BUSY, and another of the same worker. */
static int busy, other;

static int begin_one(void **state) {
    (void)state;
    in_the_middle = NULL;
    busy = fixture_connect();
    other = fixture_connect();
    return 0;
}

static int end_one(void **state) {
    (void)state;
    if (busy >= 0) close(busy);
    close(other);
    fixture_settle();
    return (int)client_count();
}

/* What has come, without a turn. */
static const char *arrived(int fd) {
    static char text[1 << 16];
    ssize_t got = recv(fd, text, sizeof text - 1, 0);
    if (got == 0) return "<end>";
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void turn_some(void) {
    for (int i = 0; i < 5; i++) worker_turn_meanwhile();
}

static void ask_other(const char *say, const char *expected) {
    fixture_send(other, say);
    turn_some();
    assert_string_equal(arrived(other), expected);
}

static void run_busy(void (*what)(struct call *c)) {
    in_the_middle = what;
    fixture_say(busy, "BUSY\r\n");
}

/* ---- the others are served ---- */

static void ping(struct call *c) {
    assert_ptr_equal(command_running(0), c->command);
    ask_other("PING\r\n", "+PONG\r\n");
    assert_string_equal(arrived(busy), "");
    assert_ptr_equal(command_running(0), c->command);
    assert_true(gate_is_mine());
}

static void another_connection_is_answered_while_a_command_runs(void **state) {
    (void)state;
    run_busy(ping);
    assert_string_equal(fixture_hear(busy), BUSY_REPLY);
}

/* Its reply is queued already when the command begins. */
static void look_for_reply(struct call *c) {
    (void)c;
    worker_turn_meanwhile();
    assert_string_equal(arrived(other), "+PONG\r\n");
}

static void who_was_answered_before_in_the_same_turn_need_not_wait(void **state) {
    (void)state;
    in_the_middle = look_for_reply;
    fixture_send(other, "PING\r\n");
    fixture_send(busy, "BUSY\r\n");
    fixture_settle();
    assert_string_equal(fixture_hear(busy), BUSY_REPLY);
}

static void talk_much(struct call *c) {
    (void)c;
    static char wire[100 * 16], expected[100 * 16];
    size_t len = 0, expected_len = 0;
    for (int i = 0; i < 100; i++) {
        len += (size_t)sprintf(wire + len, "ECHO o%02d\r\n", i);
        expected_len += (size_t)sprintf(expected + expected_len, "$3\r\no%02d\r\n", i);
    }
    ask_other(wire, expected);
}

static void what_comes_behind_the_command_is_answered_behind_it(void **state) {
    (void)state;
    in_the_middle = talk_much;
    fixture_say(busy, "PING\r\nBUSY begin\r\nECHO one\r\nECHO two\r\n*2\r\n$4\r\nECHO\r\n$5\r\nth");
    assert_string_equal(fixture_hear(busy), "+PONG\r\n" BUSY_REPLY "$3\r\none\r\n$3\r\ntwo\r\n");
    fixture_say(busy, "ree\r\n");
    assert_string_equal(fixture_hear(busy), "$5\r\nthree\r\n");
}

static void send_more(struct call *c) {
    (void)c;
    fixture_send(busy, "tail\r\nPING\r\n");
    ask_other("*2\r\n$4\r\nECHO\r\n$5\r\nsp", "");
    assert_string_equal(arrived(busy), "");
}

static void what_comes_meanwhile_is_read_afterwards(void **state) {
    (void)state;
    in_the_middle = send_more;
    fixture_say(busy, "BUSY\r\n*2\r\n$4\r\nECHO\r\n$6\r\na-");
    assert_string_equal(fixture_hear(busy), BUSY_REPLY "$6\r\na-tail\r\n+PONG\r\n");
    fixture_say(other, "lit\r\n");
    assert_string_equal(fixture_hear(other), "$5\r\nsplit\r\n");
}

static void ping_after_push(struct call *c) {
    (void)c;
    ask_other("PING\r\n", ":1\r\n+PONG\r\n");
}

/* The second place where commands run: those that waited behind another. */
static void a_command_that_was_held_up_may_turn_too(void **state) {
    (void)state;
    in_the_middle = ping_after_push;
    fixture_say(busy, "BLPOP held 0\r\nBUSY\r\nECHO behind\r\n");
    fixture_say(other, "RPUSH held v\r\n");
    assert_string_equal(fixture_hear(busy), "*2\r\n$4\r\nheld\r\n$1\r\nv\r\n" BUSY_REPLY "$6\r\nbehind\r\n");
}

static void arrive_and_time_out(struct call *c) {
    (void)c;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    fixture_offer(fds[1]);
    fixture_send(fds[0], "PING\r\n");
    turn_some();
    assert_string_equal(arrived(fds[0]), "+PONG\r\n");
    close(fds[0]);
    ask_other("BLPOP nothing 0.02\r\n", "");
    usleep(30000);
    turn_some();
    assert_string_equal(arrived(other), "*-1\r\n");
    assert_int_equal(client_count(), 2);
}

static void connections_come_and_go_and_waits_end(void **state) {
    (void)state;
    run_busy(arrive_and_time_out);
    assert_string_equal(fixture_hear(busy), BUSY_REPLY);
}

/* ---- the connection of the command is left alone ---- */

static void kill_busy(struct call *c) {
    char text[64];
    snprintf(text, sizeof text, "CLIENT KILL ID %llu\r\n", (unsigned long long)c->client->id);
    ask_other(text, ":1\r\n");
    ask_other("PING\r\n", "+PONG\r\n");
    assert_true(c->client->flags & CLIENT_CLOSING);
    assert_string_equal(arrived(busy), "");
    assert_int_equal(client_count(), 2);
}

static void who_is_killed_meanwhile_is_closed_afterwards(void **state) {
    (void)state;
    in_the_middle = kill_busy;
    fixture_say(busy, "BUSY\r\nSET killed too-late\r\n");
    assert_string_equal(fixture_hear(busy), "<end>");
    assert_int_equal(client_count(), 1);
    fixture_say(other, "EXISTS killed\r\n");
    assert_string_equal(fixture_hear(other), ":0\r\n");
}

static void hang_up(struct call *c) {
    (void)c;
    close(busy);
    busy = -1;
    ask_other("PING\r\n", "+PONG\r\n");
    assert_int_equal(client_count(), 2);
}

static void who_hangs_up_meanwhile_is_closed_afterwards(void **state) {
    (void)state;
    run_busy(hang_up);
    fixture_settle();
    assert_int_equal(client_count(), 1);
}

/* Its array is half written. */
static void publish(struct call *c) {
    (void)c;
    ask_other("PUBLISH news one\r\n", ":1\r\n");
    ask_other("PUBLISH news two\r\n", ":1\r\n");
    assert_string_equal(arrived(busy), "");
}

static void messages_to_it_come_behind_its_reply(void **state) {
    (void)state;
    fixture_say(busy, "HELLO 3\r\nSUBSCRIBE news\r\n");
    (void)fixture_hear(busy);
    in_the_middle = publish;
    fixture_say(busy, "BUSY\r\n");
    assert_string_equal(fixture_hear(busy), BUSY_REPLY ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\none\r\n"
                                                       ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\ntwo\r\n");
}

/* ---- what it has changed so far ---- */

/* RPUSH waited v, as a part of the command. */
static void push(struct call *c) {
    static const struct slice argv[] = { LIT_INIT("RPUSH"), LIT_INIT("waited"), LIT_INIT("v") };
    const struct command *container;
    struct command_keys keys = { 0 };
    struct reply out;
    struct call inner;
    reply_init(&out, 2);
    call_init(&inner, c->client, &origin_transaction);
    inner.out = &out;
    inner.command = registry_resolve(argv, COUNT_OF(argv), &container);
    inner.argv = argv;
    inner.argc = COUNT_OF(argv);
    command_keys_resolve(&keys, inner.command, argv, COUNT_OF(argv));
    call_set_keys(&inner, &keys);
    command_run(&inner);
    command_keys_release(&keys);
    reply_release(&out);
}

/* Nothing here writes the journal anywhere: it ends after the command, before the turn would commit it. */
static void end_journal(struct letter *self) {
    (void)self;
    journal_set_on(false);
}
static struct letter journal_ends = { .run = end_journal };

/* Nothing that goes on in a turn flushes it: commands, letters, the cron. */
static void push_and_wait(struct call *c) {
    uint64_t before = journal_offset();
    journal_set_on(true);
    push(c);
    ask_other("PING\r\nPUBLISH nobody x\r\n", "+PONG\r\n:0\r\n");
    for (int64_t end_us = clock_steady_us() + 250000; clock_steady_us() < end_us; usleep(5000))
        worker_turn_meanwhile();
    assert_int_equal(journal_offset(), before);
    worker_post(0, &journal_ends);
}

static void its_effects_go_out_when_it_is_done(void **state) {
    (void)state;
    int waiter = fixture_connect();
    uint64_t before = journal_offset();
    fixture_say(waiter, "BLPOP waited 0\r\n");
    in_the_middle = push_and_wait;
    fixture_say(busy, "BUSY\r\n");
    assert_true(journal_offset() > before);
    assert_string_equal(fixture_hear(waiter), "*2\r\n$6\r\nwaited\r\n$1\r\nv\r\n");
    assert_string_equal(fixture_hear(busy), BUSY_REPLY);
    journal_restart();
    close(waiter);
    fixture_settle();
}

/* ---- data stands still while a script is busy ---- */

static void let_the_cron_run(void) {
    for (int64_t end_us = clock_steady_us() + 300000; clock_steady_us() < end_us; usleep(10000))
        workers_pump();
}

static void nothing_expires_in_the_middle_of_a_script(void **state) {
    (void)state;
    fixture_say(other, "SET dated v PX 1\r\n");
    assert_string_equal(fixture_hear(other), "+OK\r\n");
    size_t count = keyspace_count(0);
    obstacle_set(OBSTACLE_BUSY, true);
    let_the_cron_run();
    assert_int_equal(keyspace_count(0), count);
    obstacle_set(OBSTACLE_BUSY, false);
    let_the_cron_run();
    assert_int_equal(keyspace_count(0), count - 1);
}

/* The last test: it ends the workers. */
static void a_signal_in_the_middle_of_a_script_waits_for_its_end(void **state) {
    (void)state;
    options.shutdown_on_sigterm = SHUTDOWN_ON_NOSAVE;
    assert_true(signals_install());
    obstacle_set(OBSTACLE_BUSY, true);
    raise(SIGTERM);
    let_the_cron_run();
    assert_false(shutdown_has_begun());
    obstacle_set(OBSTACLE_BUSY, false);
    let_the_cron_run();
    assert_true(shutdown_has_begun());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_one, end_one)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(another_connection_is_answered_while_a_command_runs),
        TEST(who_was_answered_before_in_the_same_turn_need_not_wait),
        TEST(what_comes_behind_the_command_is_answered_behind_it),
        TEST(what_comes_meanwhile_is_read_afterwards),
        TEST(a_command_that_was_held_up_may_turn_too),
        TEST(connections_come_and_go_and_waits_end),
        TEST(who_is_killed_meanwhile_is_closed_afterwards),
        TEST(who_hangs_up_meanwhile_is_closed_afterwards),
        TEST(messages_to_it_come_behind_its_reply),
        TEST(its_effects_go_out_when_it_is_done),
        TEST(nothing_expires_in_the_middle_of_a_script),
        TEST(a_signal_in_the_middle_of_a_script_waits_for_its_end),
    };
    return cmocka_run_group_tests(tests, begin_all, fixture_end);
}
