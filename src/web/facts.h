/* facts.h: all that /metrics tells, in the text format of Prometheus. */
#ifndef WEB_FACTS_H
#define WEB_FACTS_H

#include "trivet/base/buf.h"
#include <stdint.h>

/* Appends all families. Worker 0, gate held; it stops no other worker. */
void facts_write(int64_t now_ms, struct buf *out);

#endif
