/* rates.c: how fast some counters rise: the mean over the last samples. */
#include "trivet/engine/watch/rates.h"
#include "trivet/base/counter.h"
#include "trivet/engine/watch/stats.h"

#define RATE_SAMPLES 16
static struct {
    uint64_t last; /* the counter at the last sample */
    atomic_uint_fast64_t sample[RATE_SAMPLES];
} rates[RATE_COUNT];
static int64_t last_sample_us; /* 0: none yet */
static unsigned next_sample;

static uint64_t rate_counter(enum rate which) {
    switch (which) {
    case RATE_COMMANDS: return STATS_SUM(commands);
    case RATE_NET_IN: return STATS_SUM(net_in);
    case RATE_NET_OUT: return STATS_SUM(net_out);
    case RATE_REPL_IN: return STATS_SUM(repl_in);
    case RATE_REPL_OUT: return STATS_SUM(repl_out);
    case RATE_TURNS: return STATS_SUM(turns);
    case RATE_TURN_US: return STATS_SUM(turn_us);
    case RATE_COUNT: break;
    }
    return 0;
}

void stats_sample(int64_t steady_us) {
    uint64_t now[RATE_COUNT], delta[RATE_COUNT];
    for (int r = 0; r < RATE_COUNT; r++) {
        now[r] = rate_counter((enum rate)r);
        delta[r] = now[r] - rates[r].last;
        rates[r].last = now[r];
    }
    uint64_t elapsed = last_sample_us ? (uint64_t)(steady_us - last_sample_us) : 0;
    last_sample_us = steady_us;
    if (elapsed == 0) return;
    for (int r = 0; r < RATE_COUNT; r++) {
        uint64_t value = delta[r] * 1000000 / elapsed;
        if (r == RATE_TURN_US) value = delta[RATE_TURNS] ? delta[r] / delta[RATE_TURNS] : 0;
        atomic_store_explicit(&rates[r].sample[next_sample], value, memory_order_relaxed);
    }
    next_sample = (next_sample + 1) % RATE_SAMPLES;
}

uint64_t stats_rate(enum rate which) {
    assert(which < RATE_COUNT);
    uint64_t sum = 0;
    for (int i = 0; i < RATE_SAMPLES; i++) sum += counter_read(&rates[which].sample[i]);
    return sum / RATE_SAMPLES;
}

void rates_reset(void) {
    for (int r = 0; r < RATE_COUNT; r++) {
        rates[r].last = 0;
        for (int i = 0; i < RATE_SAMPLES; i++) counter_clear(&rates[r].sample[i]);
    }
}
