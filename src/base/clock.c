/* clock.c: three clocks.
 *
 * clock_ticks_ns reads the processor's counter where CPUID promises that it runs at one rate in every power
 * state and on every core ("invariant TSC"). clock_init measures that rate once against CLOCK_MONOTONIC.
 * Elsewhere, and before clock_init, the function reads CLOCK_MONOTONIC itself. */
#include "trivet/base/clock.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

static struct {
    bool by_ticks;
    uint64_t first_ticks;
    int64_t first_ns;
    uint64_t ns_per_tick; /* fixed point: times 2^32 */
    char source[64];
} ticks = { .source = "POSIX clock_gettime" };

static int64_t read_clock_ns(clockid_t id) {
    struct timespec t;
    int error = clock_gettime(id, &t);
    assert(error == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_wall_us(void) { return read_clock_ns(CLOCK_REALTIME) / 1000; }
int64_t clock_wall_ms(void) { return read_clock_ns(CLOCK_REALTIME) / 1000000; }
int64_t clock_steady_us(void) { return read_clock_ns(CLOCK_MONOTONIC) / 1000; }
const char *clock_source(void) { return ticks.source; }

#if defined(__x86_64__)
#define CALIBRATION_NS 10000000

struct reading {
    uint64_t ticks;
    int64_t ns;
};

static bool ticks_are_invariant(void) {
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx)) return false;
    return (edx >> 8) & 1;
}

/* Reads both clocks at one moment: takes the fastest of a few tries. */
static struct reading read_both(void) {
    struct reading best = { 0 };
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 16; i++) {
        uint64_t before = __rdtsc();
        int64_t ns = read_clock_ns(CLOCK_MONOTONIC);
        uint64_t passed = __rdtsc() - before;
        if (passed >= least) continue;
        least = passed;
        best = (struct reading){ before + passed / 2, ns };
    }
    return best;
}

void clock_init(void) {
    if (ticks.by_ticks || !ticks_are_invariant()) return;
    struct reading first = read_both(), last;
    do last = read_both();
    while (last.ns - first.ns < CALIBRATION_NS);
    uint64_t passed_ns = (uint64_t)(last.ns - first.ns), passed_ticks = last.ticks - first.ticks;
    if (passed_ticks == 0) return; /* a machine that hides the counter */
    ticks.ns_per_tick = (uint64_t)(((unsigned __int128)passed_ns << 32) / passed_ticks);
    ticks.first_ticks = last.ticks;
    ticks.first_ns = last.ns;
    snprintf(ticks.source, sizeof ticks.source, "X86 TSC @ %llu ticks/us",
             (unsigned long long)(passed_ticks * 1000 / passed_ns));
    ticks.by_ticks = true;
}

int64_t clock_ticks_ns(void) {
    if (UNLIKELY(!ticks.by_ticks)) return read_clock_ns(CLOCK_MONOTONIC);
    /* Signed: another core's counter may be a little behind the one that was calibrated. */
    int64_t passed = (int64_t)(__rdtsc() - ticks.first_ticks);
    return ticks.first_ns + (int64_t)(((__int128)passed * (__int128)ticks.ns_per_tick) >> 32);
}
#else
void clock_init(void) {}
int64_t clock_ticks_ns(void) { return read_clock_ns(CLOCK_MONOTONIC); }
#endif
