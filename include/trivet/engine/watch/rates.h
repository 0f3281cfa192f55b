/* rates.h: rates over the last samples, taken by worker 0's cron ten times a second. Any thread reads. */
#ifndef TRIVET_ENGINE_WATCH_RATES_H
#define TRIVET_ENGINE_WATCH_RATES_H

#include <stdint.h>

enum rate {
    RATE_COMMANDS,
    RATE_NET_IN,
    RATE_NET_OUT,
    RATE_REPL_IN,
    RATE_REPL_OUT,
    RATE_TURNS,
    RATE_TURN_US,
    RATE_COUNT
};
void stats_sample(int64_t steady_us);
uint64_t stats_rate(enum rate which); /* per second; RATE_TURN_US: the mean time of one turn */
void rates_reset(void);               /* CONFIG RESETSTAT; gate closed */

#endif
