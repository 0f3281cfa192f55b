/* ending.h: how a server ends that cannot go on for a reason outside of itself: with status 1, and as it is.
 *
 * Nothing is freed. So exit() would have the leak sanitizer look for what is lost, and it does not understand
 * the packed addresses in tables. Thread: any; the log has said why. */
#ifndef TRIVET_BASE_ENDING_H
#define TRIVET_BASE_ENDING_H

#include "trivet/base/compiler.h"
#include <stdio.h>
#include <unistd.h>

static inline NORETURN void end_in_failure(void) {
    fflush(NULL);
    _exit(1);
}

#endif
