/* loopback.h: clients without connections, for unit tests of the engine's rooms: the whole server but its
 * sockets, with one worker, in the test's own process.
 *
 * The test is the event loop: a command runs when it is asked, letters are opened and clients that were
 * resumed go on in loopback_turn, time passes when loopback_advance says so. Thread: the test's. */
#ifndef TESTS_HARNESS_LOOPBACK_H
#define TESTS_HARNESS_LOOPBACK_H

#include "trivet/engine/client/client.h"
#include "trivet/engine/run/dispatch.h"

struct loopback;

/* For cmocka_run_group_tests; the settings are those of a server started with `save ""`. */
int loopback_start(void **state);
int loopback_stop(void **state);
/* For each test: the databases are emptied, and no client may be left. */
int loopback_empty(void **state);
#define LOOPBACK_TEST(name) cmocka_unit_test_setup(name, loopback_empty)

struct loopback *loopback_open(void);
void loopback_close(struct loopback *l);
struct client *loopback_client(struct loopback *l);

/* Runs one command, written as for redis-cli, and a turn after it; returns all replies and pushes that wait,
 * as the compact text of node.h, separated by line ends ("" if there is none). Valid until the next call for
 * this client. */
const char *loopback_ask(struct loopback *l, const char *format, ...) PRINTF_LIKE(2, 3);
/* What waits without asking. */
const char *loopback_next(struct loopback *l);
#define assert_says(l, command, expected) assert_string_equal(loopback_ask((l), "%s", (command)), (expected))
#define assert_hears(l, expected) assert_string_equal(loopback_next(l), (expected))

/* The end of a turn. */
void loopback_turn(void);
/* The clock of the turns goes on by this much; timers that are due come true. */
void loopback_advance(int64_t ms);
/* The client is to be closed at the end of the turn. */
bool loopback_is_closing(const struct loopback *l);
/* How the last command it was asked to run ended. */
enum dispatched loopback_dispatched(const struct loopback *l);

/* From now on, or not any more, effects go to a journal that nobody but the test reads. */
void loopback_keep_journal(bool on);
/* What was appended since the last look: a line for each command, in plain words. Valid until the next call.
 */
const char *loopback_journal(void);

#endif
