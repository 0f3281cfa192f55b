/* fail.h: how the harness fails the running cmocka test (in a plain program: ends it with an error). */
#ifndef TESTS_HARNESS_FAIL_H
#define TESTS_HARNESS_FAIL_H

#include "trivet/base/compiler.h"
#include <stdbool.h>

#define HARNESS_FAIL(...) harness_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Prints the message, then fails. The servers' logs are printed when the program ends (server.h). */
NORETURN void harness_fail(const char *file, int line, const char *format, ...) PRINTF_LIKE(3, 4);
/* Anything that ran so far, on any thread. */
bool harness_has_failed(void);

#endif
