/* clock.h: the wall clock, for what users see, and a steady one, for measuring.
 * Leaves of the tree never call these: time is passed in, so that tests own it. Thread: any. */
#ifndef TRIVET_BASE_CLOCK_H
#define TRIVET_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_us(void); /* microseconds since 1970 */
int64_t clock_wall_ms(void);
int64_t clock_steady_us(void); /* microseconds since some start; never goes back */
/* Nanoseconds of the processor's own counter where that is steady (x86 with an invariant TSC,
 * scaled once by clock_init), else clock_gettime: cheap enough to read once a command. */
int64_t clock_ticks_ns(void);
void clock_init(void); /* once, before threads */
/* For INFO's monotonic_clock: "X86 TSC @ 2445 ticks/us" or "POSIX clock_gettime". */
const char *clock_source(void);

#endif
