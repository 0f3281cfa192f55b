/* rounds.h: the clock of the crash tests, how many rounds they make, and how they tell of them. */
#ifndef TESTS_CRASH_ROUNDS_H
#define TESTS_CRASH_ROUNDS_H

#include <stdint.h>

int64_t now_ns(void); /* since some time */
int64_t now_ms(void);
void nap(long us); /* at most a second */

/* How many rounds a test makes: what TRIVET_ROUNDS says (then progress is printed), or as many as given. */
int rounds_wanted(int usual);
void rounds_print(const char *what, int round, int rounds);

#endif
