/* await.h: waiting for what happens by itself, each time with a deadline.
 *
 * A test waits for a state and never for a time; if the state does not come, it fails and names it.
 * Thread: any. */
#ifndef TESTS_HARNESS_AWAIT_H
#define TESTS_HARNESS_AWAIT_H

#include <stdbool.h>
#include <stdint.h>

#define AWAIT_PATIENCE_MS 60000

/* Evaluates the condition again and again, with short pauses, until it is true. */
#define assert_soon(condition)                                                 \
    for (int64_t until_ms_ = deadline_after(AWAIT_PATIENCE_MS); !(condition);) \
    await_pause(until_ms_, #condition, __FILE__, __LINE__)

/* A pause between two looks; past the deadline the test fails with `what`. */
void await_pause(int64_t deadline_ms, const char *what, const char *file, int line);

/* A moment of the monotonic clock, in milliseconds, so far from now. */
int64_t deadline_after(int64_t ms);
bool deadline_has_passed(int64_t deadline_ms);
void pause_ms(long ms);

#endif
