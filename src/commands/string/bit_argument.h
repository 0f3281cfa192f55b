/* bit_argument.h: offsets in bits as arguments. */
#ifndef COMMANDS_STRING_BIT_ARGUMENT_H
#define COMMANDS_STRING_BIT_ARGUMENT_H

#include "trivet/engine/command/call.h"

/* A bit's offset, within what a string may hold; "#n" is n times `width` if `width` is not 0. False after
 * replying the error. */
bool bit_offset_parse(struct call *c, struct slice text, unsigned width, uint64_t *offset);

#endif
