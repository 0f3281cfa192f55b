/* chance.h: random numbers that are the same in each run, so that what fails once fails again. */
#ifndef TESTS_UNIT_CHANCE_H
#define TESTS_UNIT_CHANCE_H

#include "trivet/base/hashing.h"

static uint64_t chance_state = 0x9e3779b97f4a7c15ULL;

/* xorshift; the low bits are the worst, so callers that want few take them from further up. */
static inline uint64_t chance(void) {
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    return chance_state ^= chance_state << 17;
}

/* 0..bound-1. */
static inline size_t chance_below(size_t bound) { return (size_t)(chance() >> 20) % bound; }

/* 0..1 */
static inline double chance_share(void) { return (double)(chance() >> 11) / (double)(UINT64_C(1) << 53); }

/* A group's set-up: tables have their elements in the same places each time. */
static inline int fix_the_secret(void **state) {
    (void)state;
    for (size_t i = 0; i < HASH_SECRET_SIZE; i++) hash_secret[i] = (unsigned char)(chance() >> 32);
    return 0;
}

#endif
