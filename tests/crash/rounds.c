/* rounds.c: see rounds.h. */
#include "rounds.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t now_ms(void) { return now_ns() / 1000000; }

void nap(long us) { nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL); }

int rounds_wanted(int usual) {
    const char *said = getenv("TRIVET_ROUNDS");
    return said && *said ? atoi(said) : usual;
}

void rounds_print(const char *what, int round, int rounds) {
    const char *said = getenv("TRIVET_ROUNDS");
    if (said && *said && (round % 10 == 0 || round == rounds)) printf("%s: %d of %d\n", what, round, rounds);
    fflush(stdout);
}
