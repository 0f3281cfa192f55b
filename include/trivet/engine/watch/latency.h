/* latency.h: the latency monitor: events that took at least latency-monitor-threshold milliseconds.
 * Thread: any, under a lock of its own. */
#ifndef TRIVET_ENGINE_WATCH_LATENCY_H
#define TRIVET_ENGINE_WATCH_LATENCY_H

#include "trivet/base/buf.h"
#include "trivet/base/slice.h"
#include <stdint.h>

#define LATENCY_SAMPLES 160

/* `event` is a literal: "command", "fast-command", "expire-cycle", "eviction-cycle", "aof-write",
 * "aof-fsync-always". */
void latency_note(const char *event, int64_t ms);
/* The same at a time given (unix seconds). */
void latency_note_at(const char *event, int64_t ms, int64_t now_s);

struct latency_sample {
    int64_t time_s, ms;
};
struct latency_event {
    const char *name;
    struct latency_sample samples[LATENCY_SAMPLES]; /* oldest first */
    size_t count;
    int64_t max_ms, sum_ms; /* all time */
    uint64_t total;         /* all time */
};
/* Copies the event; false if it never happened. */
bool latency_get(struct slice event, struct latency_event *out);
/* Names in alphabetical order. */
void latency_each(void (*visit)(void *arg, const struct latency_event *event), void *arg);
/* One event, or all if the name is empty; returns how many went. */
size_t latency_reset(struct slice event);
/* The texts of LATENCY DOCTOR and LATENCY GRAPH. */
void latency_doctor(struct buf *out);
bool latency_graph(struct slice event, int64_t now_s, struct buf *out);

#endif
