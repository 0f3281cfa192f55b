/* test_memory.c: see test_memory.h. A pattern is a function from a word's number to its contents, so that
 * reading back needs no second block to compare with. */
#include "trivet/server/test_memory.h"
#include "trivet/base/number.h"
#include "trivet/base/random.h"
#include "trivet/base/slice.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEGABYTE ((size_t)1 << 20)
#define PASSES 50
#define STEP_WORDS (32 * MEGABYTE / sizeof(uint64_t)) /* between two calls of `step` */

/* ---- patterns ---- */

/* Two addresses that are mixed up hold the same number. */
static uint64_t by_address(size_t i, uint64_t seed) {
    (void)seed;
    return i;
}

/* splitmix64: any word of the sequence without those before it. */
static uint64_t by_chance(size_t i, uint64_t seed) {
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t all_off(size_t i, uint64_t seed) {
    (void)i;
    (void)seed;
    return 0;
}

static uint64_t all_on(size_t i, uint64_t seed) { return ~all_off(i, seed); }

/* Neighbours differ, within a word and from word to word. */
static uint64_t even_bits(size_t i, uint64_t seed) {
    (void)seed;
    return i % 2 == 0 ? 0x5555555555555555u : 0xaaaaaaaaaaaaaaaau;
}

static uint64_t odd_bits(size_t i, uint64_t seed) { return ~even_bits(i, seed); }

static const struct pattern {
    const char *name;
    uint64_t (*word)(size_t i, uint64_t seed);
} patterns[] = {
    { "addressing", by_address }, { "random", by_chance },       { "solid", all_off },
    { "solid", all_on },          { "checkerboard", even_bits }, { "checkerboard", odd_bits },
};

static bool step(const struct memory_test *t, const struct pattern *p, bool reading, size_t done) {
    return !t->step || t->step(t->arg, p->name, reading, (unsigned)(done * 100 / t->count));
}

static size_t end_of_step(const struct memory_test *t, size_t at) {
    return t->count - at > STEP_WORDS ? at + STEP_WORDS : t->count;
}

static enum memory_result write_pattern(const struct memory_test *t, const struct pattern *p, uint64_t seed) {
    volatile uint64_t *words = t->words;
    for (size_t at = 0; at < t->count;) {
        for (size_t end = end_of_step(t, at); at < end; at++) words[at] = p->word(at, seed);
        if (!step(t, p, false, at)) return MEMORY_STOPPED;
    }
    return MEMORY_FINE;
}

static enum memory_result read_pattern(const struct memory_test *t, const struct pattern *p, uint64_t seed,
                                       struct memory_fault *fault) {
    const volatile uint64_t *words = t->words;
    for (size_t at = 0; at < t->count;) {
        for (size_t end = end_of_step(t, at); at < end; at++) {
            uint64_t expected = p->word(at, seed), found = words[at];
            if (LIKELY(found == expected)) continue;
            *fault = (struct memory_fault){ p->name, at, expected, found };
            return MEMORY_BROKEN;
        }
        if (!step(t, p, true, at)) return MEMORY_STOPPED;
    }
    return MEMORY_FINE;
}

enum memory_result memory_test_pass(const struct memory_test *t, uint64_t seed, struct memory_fault *fault) {
    enum memory_result result = MEMORY_FINE;
    for (size_t i = 0; result == MEMORY_FINE && i < COUNT_OF(patterns); i++) {
        result = write_pattern(t, &patterns[i], seed);
        if (result == MEMORY_FINE) result = read_pattern(t, &patterns[i], seed, fault);
    }
    return result;
}

/* ---- the command ---- */

static volatile sig_atomic_t interrupted_by; /* 0: not */

static void on_signal(int sig) { interrupted_by = sig; }

static bool show_progress(void *arg, const char *pattern, bool reading, unsigned percent) {
    const int *pass = arg;
    if (isatty(STDOUT_FILENO))
        printf("\r\033[KPass %d of %d: %s, %s %u %%", *pass, PASSES, pattern,
               reading ? "read back" : "written", percent);
    fflush(stdout);
    return interrupted_by == 0;
}

static const char *end_of_progress(void) { return isatty(STDOUT_FILENO) ? "\r\033[K" : ""; }

static void tell_fault(const struct memory_fault *f, int pass) {
    printf(
        "%sFAULT in pass %d, pattern %s: byte %zu of the block: written %016" PRIx64 ", read %016" PRIx64
        ", wrong bits %016" PRIx64 "\n"
        "This machine's memory, or what lies between it and the processor, is broken: keep no data on it.\n",
        end_of_progress(), pass, f->pattern, f->word * sizeof(uint64_t), f->expected, f->found,
        f->expected ^ f->found);
}

static int run_passes(struct memory_test *t) {
    int pass = 1;
    t->step = show_progress;
    t->arg = &pass;
    for (; pass <= PASSES; pass++) {
        struct memory_fault fault;
        switch (memory_test_pass(t, random_u64(), &fault)) {
        case MEMORY_BROKEN: tell_fault(&fault, pass); return 1;
        case MEMORY_STOPPED:
            printf("%sInterrupted in pass %d of %d. No fault was found until then.\n", end_of_progress(),
                   pass, PASSES);
            return 128 + interrupted_by;
        case MEMORY_FINE: printf("%sPass %d of %d: no fault\n", end_of_progress(), pass, PASSES); break;
        }
    }
    printf("No fault was found. Weak memory shows only when it is warm: for certainty test for minutes a "
           "gigabyte, and all "
           "of it by a program that the machine starts from, such as memtest86+.\n");
    return 0;
}

/* What could be had without swapping, in megabytes; UINT64_MAX if the kernel does not tell. */
static uint64_t available_megabytes(void) {
    unsigned long long kilobytes;
    char line[128];
    uint64_t found = UINT64_MAX;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && found == UINT64_MAX && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %llu kB", &kilobytes) == 1) found = kilobytes / 1024;
    if (f) fclose(f);
    return found;
}

static int refuse(const char *megabytes, const char *why) {
    fprintf(stderr, "Can't test %s megabytes of memory: %s\n", megabytes, why);
    return 1;
}

static void catch_signals(void) {
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int test_memory(const char *megabytes) {
    uint64_t wanted;
    char why[96];
    if (!uint64_parse(slice_of(megabytes), &wanted) || wanted == 0) {
        fprintf(stderr, "'%s' is no number of megabytes. Example: --test-memory 4096\n", megabytes);
        return 1;
    }
    uint64_t available = available_megabytes();
    snprintf(why, sizeof why, "%" PRIu64 " are free", available);
    if (wanted > available || wanted > SIZE_MAX / MEGABYTE) return refuse(megabytes, why);
    size_t bytes = (size_t)wanted * MEGABYTE;
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return refuse(megabytes, strerror(errno));
    catch_signals();
    printf("Testing %" PRIu64 " megabytes of memory, in %d passes. Ctrl-C ends it.\n", wanted, PASSES);
    struct memory_test t = { .words = block, .count = bytes / sizeof(uint64_t) };
    int status = run_passes(&t);
    munmap(block, bytes);
    return status;
}
