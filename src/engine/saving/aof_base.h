/* aof_base.h: the base of an append-only file, as aof_base.c writes it. */
#ifndef ENGINE_SAVING_AOF_BASE_H
#define ENGINE_SAVING_AOF_BASE_H

#include "trivet/engine/saving/job.h"

extern const struct job_kind job_aof_base;

/* The journal just began with a new file, and this is the instant of its base. No job may be running. False
 * with the reason logged, and in `why`. */
MUST_CHECK bool aof_base_begin_now(struct buf *why);
/* The journal is about to end: gives up a running rewrite, which would have no journal. */
void aof_base_call_off(void);

#endif
