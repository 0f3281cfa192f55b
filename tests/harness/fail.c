/* fail.c: the one place where the harness meets cmocka's way to fail. */
#include "fail.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static atomic_bool has_failed; /* threads of a test may fail too */

bool harness_has_failed(void) { return atomic_load(&has_failed); }

void harness_fail(const char *file, int line, const char *format, ...) {
    va_list args;
    atomic_store(&has_failed, true);
    va_start(args, format);
    fflush(stdout);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _fail(file, line);
    exit(EXIT_FAILURE); /* outside of a cmocka test _fail comes back */
}
