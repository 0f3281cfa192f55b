/* random.h: chance. random_u64 is fast and per thread (xoshiro256**, seeded from the system);
 * random_secret is the system's own generator, for secrets and ids. */
#ifndef TRIVET_BASE_RANDOM_H
#define TRIVET_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

uint64_t random_u64(void);
/* Even over 0..bound-1; bound is at least 1. */
uint64_t random_below(uint64_t bound);
void random_secret(void *out, size_t len);
/* `len` lower-case hex digits and a NUL. */
void random_hex(char *out, size_t len);

#endif
