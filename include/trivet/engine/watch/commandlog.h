/* commandlog.h: the slow log and its siblings: commands that took long, came large or answered large.
 * Thread: any worker adds, under a lock of its own; the thresholds are options. */
#ifndef TRIVET_ENGINE_WATCH_COMMANDLOG_H
#define TRIVET_ENGINE_WATCH_COMMANDLOG_H

#include "trivet/base/slice.h"
#include "trivet/engine/command/call.h"
#include "trivet/engine/settings/options.h"
#include <stdint.h>

enum commandlog_type { COMMANDLOG_SLOW, COMMANDLOG_LARGE_REQUEST, COMMANDLOG_LARGE_REPLY, COMMANDLOG_TYPES };

/* Adds the command to each log whose threshold it exceeds. Arguments are cut to 32, each to 128 bytes ("...
 * (12 more bytes)"); secrets are left out. */
void commandlog_note(const struct call *c, int64_t us, uint64_t reply_bytes);
/* A cheap test first: is one of the three over its threshold? */
static inline bool commandlog_wants(int64_t us, uint64_t request_bytes, uint64_t reply_bytes) {
    return (us >= options.slow_execution_us && options.slow_execution_us >= 0) ||
           ((int64_t)request_bytes >= options.large_request_bytes && options.large_request_bytes >= 0) ||
           ((int64_t)reply_bytes >= options.large_reply_bytes && options.large_reply_bytes >= 0);
}

struct commandlog_entry {
    uint64_t id;
    int64_t time_s; /* unix time */
    int64_t value;  /* microseconds or bytes */
    struct slice *argv;
    size_t argc;
    const char *peer, *name; /* NUL-terminated, "" if there is none */
};
/* The newest first, at most `max`; under the log's lock. */
void commandlog_each(enum commandlog_type type, size_t max,
                     void (*visit)(void *arg, const struct commandlog_entry *entry), void *arg);
size_t commandlog_length(enum commandlog_type type);
void commandlog_reset(enum commandlog_type type);
void commandlog_trim(void); /* a length option changed */

#endif
