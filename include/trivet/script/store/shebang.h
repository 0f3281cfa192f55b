/* shebang.h: the first line of a script or of a library: "#!lua flags=no-writes", "#!lua name=mylib".
 * Pure functions. */
#ifndef TRIVET_SCRIPT_STORE_SHEBANG_H
#define TRIVET_SCRIPT_STORE_SHEBANG_H

#include "trivet/base/buf.h"

struct shebang {
    struct slice name; /* of a library; the caller frees it */
    unsigned flags;    /* of a script: enum script_flag */
    size_t len;        /* bytes of the line, without its end: what follows is the code */
};

/* Of a script. Without "#!" all flags but SCRIPT_COMPATIBLE are clear, and `len` is 0. False with the error's
 * text, code word first. */
MUST_CHECK bool shebang_of_script(struct slice source, struct shebang *out, struct buf *error);
/* Of a library, which must have one. `out` is set only if it is good. */
MUST_CHECK bool shebang_of_library(struct slice code, struct shebang *out, struct buf *error);
/* Letters, digits and underscores, at least one: names of libraries and functions. */
bool script_name_is_valid(struct slice name);

#endif
