/* random.c: xoshiro256** (Blackman and Vigna) for speed, getrandom(2) for secrets. */
#include "trivet/base/random.h"
#include "trivet/base/compiler.h"
#include "trivet/base/log.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static _Thread_local uint64_t state[4];
static _Thread_local bool seeded;

static uint64_t rotate_left(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

uint64_t random_u64(void) {
    if (UNLIKELY(!seeded)) {
        /* The state of all zeros would stay all zeros for ever. */
        do random_secret(state, sizeof state);
        while ((state[0] | state[1] | state[2] | state[3]) == 0);
        seeded = true;
    }
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t random_below(uint64_t bound) {
    assert(bound > 0);
    /* Lemire: the high half of a product is even over the bound once the low half's first
     * 2^64 mod bound values are refused. */
    unsigned __int128 product = (unsigned __int128)random_u64() * bound;
    if (UNLIKELY((uint64_t)product < bound)) {
        uint64_t refused = (0 - bound) % bound;
        while ((uint64_t)product < refused) product = (unsigned __int128)random_u64() * bound;
    }
    return (uint64_t)(product >> 64);
}

void random_secret(void *out, size_t len) {
    char *to = out;
    while (len > 0) {
        ssize_t got = getrandom(to, len, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            /* A guessable secret would be worse than not starting. */
            LOG_WARNING("The system gives no random bytes: %s", strerror(errno));
            abort();
        }
        to += got;
        len -= (size_t)got;
    }
}

void random_hex(char *out, size_t len) {
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[32];
    for (size_t i = 0; i < len; i++) {
        if (i % (2 * sizeof bytes) == 0) random_secret(bytes, sizeof bytes);
        unsigned char byte = bytes[i / 2 % sizeof bytes];
        out[i] = digits[i % 2 ? byte & 15 : byte >> 4];
    }
    out[len] = '\0';
}
