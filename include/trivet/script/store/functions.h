/* functions.h: libraries of functions: FUNCTION LOAD's code and what it registered.
 *
 * A library is replaced or removed as a whole. Libraries belong to no database; they go into RDB files as
 * their code, and into the journal as FUNCTION LOAD. Names of functions match in any case.
 * Thread: found and read with the worker's gate held; changed with the gate closed, or while loading at
 * start-up. */
#ifndef TRIVET_SCRIPT_STORE_FUNCTIONS_H
#define TRIVET_SCRIPT_STORE_FUNCTIONS_H

#include "trivet/base/chain.h"
#include "trivet/base/map.h"
#include "trivet/script/lua/interpreter.h"
#include "trivet/script/store/scripts.h"

struct library {
    struct chain_link in_all;
    struct chain functions;  /* in the order of registration */
    struct slice name, code; /* owned */
};

struct function {
    struct map_link by_name;
    struct chain_link in_library;
    struct script_subject subject;
    struct library *library;
    char *name;               /* NUL-terminated; the subject's */
    struct slice description; /* ptr is NULL if there is none */
    int function;             /* the interpreter's handle */
};

void functions_init(void);
void functions_release(void);

struct function *functions_find(struct slice name);
struct library *functions_first(void);
static inline struct library *functions_after(const struct library *l) {
    return CHAIN_NEXT(l, struct library, in_all);
}
#define FUNCTIONS_OF(library_, f) CHAIN_EACH(&(library_)->functions, struct function, in_library, f)

/* Loads a library; its name goes to *name. False with the error's text, code word first, and nothing changed.
 */
MUST_CHECK bool functions_load(struct slice code, bool replace, struct slice *name, struct buf *error);
bool functions_delete(struct slice name); /* false: no such library */
void functions_flush(bool later);

void function_run(struct function *f, struct call *caller, const struct script_arguments *with,
                  bool reads_only);

/* ---- as a payload (payload.c) ---- */

enum restore_policy { RESTORE_APPEND, RESTORE_FLUSH, RESTORE_REPLACE };
/* All libraries as FUNCTION DUMP gives them: opcode and code of each, the RDB version, a checksum. */
void functions_dump(struct buf *out);
/* All of the payload, or nothing: false with the error's text. */
MUST_CHECK bool functions_restore(struct slice payload, enum restore_policy policy, struct buf *error);
/* Several at once, for payload.c: loads all and makes them take the place of what the policy says. */
MUST_CHECK bool functions_load_all(const struct slice *codes, size_t count, enum restore_policy policy,
                                   struct buf *error);

struct functions_info {
    size_t libraries, functions, memory; /* bytes, without the interpreter's */
    size_t interpreter;
};
void functions_info(struct functions_info *out);

#endif
