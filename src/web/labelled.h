/* labelled.h: the families of /metrics that have labels, in groups. Worker 0, gate held. */
#ifndef WEB_LABELLED_H
#define WEB_LABELLED_H

#include "trivet/base/buf.h"
#include "trivet/engine/watch/metrics.h"
#include <stdint.h>

/* Rows of INFO memory from which the parts of all memory are worked out. */
struct memory_parts {
    uint64_t used, dataset, clients, aof_buffer, backlog, replicas, scripts;
};
/* Keeps the row's value if it is one of them. */
void memory_parts_note(struct memory_parts *parts, const struct metric *m, union metric_value v);

/* Parts that add up to all that is in use. */
void labelled_memory(const struct memory_parts *parts, struct buf *out);
void labelled_keyspace(struct buf *out);
void labelled_workers(struct buf *out);
void labelled_replicas(int64_t now_ms, struct buf *out);
void labelled_errors(struct buf *out);
void labelled_commands(struct buf *out);

#endif
