/* await.c: see await.h. */
#include "await.h"
#include "fail.h"
#include <time.h>

#define PAUSE_US 200

void pause_ms(long ms) {
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t deadline_after(int64_t ms) { return now_ms() + ms; }
bool deadline_has_passed(int64_t deadline_ms) { return now_ms() > deadline_ms; }

void await_pause(int64_t deadline_ms, const char *what, const char *file, int line) {
    if (deadline_has_passed(deadline_ms)) harness_fail(file, line, "does not come true: %s", what);
    nanosleep(&(struct timespec){ .tv_nsec = PAUSE_US * 1000 }, NULL);
}
