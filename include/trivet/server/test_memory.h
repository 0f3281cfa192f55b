/* test_memory.h: --test-memory: writes patterns into a block of memory, and reads them back.
 *
 * It finds memory that forgets or mixes up addresses, in the part of it that the kernel gives. Main thread.
 */
#ifndef TRIVET_SERVER_TEST_MEMORY_H
#define TRIVET_SERVER_TEST_MEMORY_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_test {
    uint64_t *words; /* borrowed */
    size_t count;
    /* Called now and then, and always between the writing of a pattern (100 %) and its reading back. False:
     * stop. */
    bool (*step)(void *arg, const char *pattern, bool reading, unsigned percent);
    void *arg;
};

struct memory_fault {
    const char *pattern;
    size_t word; /* which of the block */
    uint64_t expected, found;
};

enum memory_result { MEMORY_FINE, MEMORY_BROKEN, MEMORY_STOPPED };

/* Every pattern once: addresses, random numbers, all bits off and on, every other bit off and on. BROKEN:
 * *fault tells of the first one. */
MUST_CHECK enum memory_result memory_test_pass(const struct memory_test *t, uint64_t seed,
                                               struct memory_fault *fault);

/* The whole answer to --test-memory `megabytes`. The exit status: 0 no fault, 1 a fault or no such amount of
 * memory, 128 and a signal's number if that signal ended it. */
int test_memory(const char *megabytes);

#endif
