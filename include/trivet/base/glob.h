/* glob.h: the patterns of KEYS, SCAN, PSUBSCRIBE, CONFIG GET: * ? [abc] [^a] [a-z] and \ escapes.
 * Work is bounded: a hostile pattern with many stars takes at most length times length steps. */
#ifndef TRIVET_BASE_GLOB_H
#define TRIVET_BASE_GLOB_H

#include "trivet/base/slice.h"

bool glob_match(struct slice pattern, struct slice text);
bool glob_match_nocase(struct slice pattern, struct slice text);

#endif
