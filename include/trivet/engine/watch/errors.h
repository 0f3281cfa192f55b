/* errors.h: error replies by their first word, at most 128 different ones (INFO errorstats). Thread: any. */
#ifndef TRIVET_ENGINE_WATCH_ERRORS_H
#define TRIVET_ENGINE_WATCH_ERRORS_H

#include <stdint.h>

/* One more error reply, of this code ("ERR"). */
void stats_error(const char *code);
/* In alphabetical order. */
void stats_each_error(void (*visit)(void *arg, const char *code, uint64_t count), void *arg);
void errors_reset(void); /* CONFIG RESETSTAT */

#endif
