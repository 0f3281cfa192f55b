/* scan_option.h: what SSCAN, HSCAN and ZSCAN have in common: the cursor, the options behind it, and a
 * reply whose second half must be written first. */
#ifndef TRIVET_COMMANDS_ARGUMENTS_SCAN_OPTION_H
#define TRIVET_COMMANDS_ARGUMENTS_SCAN_OPTION_H

#include "trivet/base/compiler.h"
#include "trivet/base/glob.h"
#include "trivet/engine/command/call.h"

struct collection_scan {
    uint64_t cursor;
    size_t count; /* how many elements a call should look at */
    bool has_pattern;
    bool only_names; /* NOVALUES of HSCAN, NOSCORES of ZSCAN */
    struct slice pattern;
    struct reply elements; /* between begin and end */
    struct chunk *header;
    size_t found; /* bulks in `elements` */
};

/* Argument 2 as a cursor; false after replying that it is none. */
MUST_CHECK bool collection_scan_cursor(struct call *c, struct collection_scan *s);
/* The options from argument 3 on, for a value of this type; false after replying what is wrong. */
MUST_CHECK bool collection_scan_options(struct call *c, enum value_type type, struct collection_scan *s);

/* Then the elements are written to s->elements and counted in s->found, and the end replies with all. */
void collection_scan_begin(struct call *c, struct collection_scan *s);
void collection_scan_end(struct call *c, struct collection_scan *s, uint64_t next);
/* The reply for a key that is not there. */
void collection_scan_nothing(struct call *c);

static inline bool collection_scan_wants(const struct collection_scan *s, struct slice name) {
    return !s->has_pattern || glob_match(s->pattern, name);
}

#endif
