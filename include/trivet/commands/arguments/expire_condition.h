/* expire_condition.h: what EXPIRE and HEXPIRE, in their four units each, have in common: the time,
 * and the words that say when it applies (NX, XX, GT, LT). */
#ifndef TRIVET_COMMANDS_ARGUMENTS_EXPIRE_CONDITION_H
#define TRIVET_COMMANDS_ARGUMENTS_EXPIRE_CONDITION_H

#include "trivet/base/compiler.h"
#include "trivet/engine/command/call.h"

/* Reads the arguments from `first` to before `end` into a set of conditions; false after replying what is
 * wrong. */
MUST_CHECK bool expire_conditions_read(struct call *c, size_t first, size_t end, unsigned *conditions);
/* `old_ms` is NO_EXPIRY if there is none: that is later than every time. */
MUST_CHECK bool expire_conditions_hold(unsigned conditions, int64_t old_ms, int64_t new_ms);

struct expire_unit {
    bool in_seconds, relative;
};

/* The instant, in ms since 1970, that the text means; false after replying that it is none. */
MUST_CHECK bool expire_instant_read(struct call *c, struct slice text, struct expire_unit unit,
                                    int64_t *at_ms);

#endif
