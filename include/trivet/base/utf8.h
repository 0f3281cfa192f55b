/* utf8.h: which bytes are text in UTF-8 (RFC 3629). Thread: any. */
#ifndef TRIVET_BASE_UTF8_H
#define TRIVET_BASE_UTF8_H

#include "trivet/base/slice.h"
#include <stddef.h>

/* The length of the character that `bytes` begin with; 0 if that is none: a stray byte, one that is cut, a
 * longer form than needed, a surrogate, or beyond U+10FFFF. There is at least one byte. */
size_t utf8_length(struct slice bytes);

#endif
