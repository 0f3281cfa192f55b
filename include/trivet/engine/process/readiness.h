/* readiness.h: would this server serve a client now? For probes of orchestrators, which send traffic only to
 * servers that are ready.
 *
 * The words are the same wherever they are said. What a client is refused only because of its role, its
 * permissions or a full memory does not count: nobody else could do better for it. Nor does
 * min-replicas-to-write: replicas that are found through probes would never come. */
#ifndef TRIVET_ENGINE_PROCESS_READINESS_H
#define TRIVET_ENGINE_PROCESS_READINESS_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdint.h>

#define UNREADY_LOADING "loading the data"
#define UNREADY_BUSY "a script or function is running for longer than busy-reply-threshold"
#define UNREADY_STALE "the link to the primary is down, and replica-serve-stale-data is no"
#define UNREADY_LINK "the link to the primary is down"
#define UNREADY_ENDING "shutting down"
#define UNREADY_DISK "writes are refused: " /* and the text of MISCONF */

/* False, and the reason in `why`, if it would not. `with_link`: a replica whose link is down is not ready
 * either, though it may serve old data. Any worker, gate held. */
MUST_CHECK bool readiness_ask(bool with_link, int64_t now_ms, struct buf *why);

#endif
