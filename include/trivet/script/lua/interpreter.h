/* interpreter.h: a Lua 5.1 interpreter with everything that scripts see in it, and nothing that leads out.
 *
 * There is one for EVAL's scripts and one for functions. Owner: the process. Thread: whoever has the script
 * turn (engine/run/keeping.h), or has closed the gate. Memory of the interpreter is counted like all other. A
 * script that wants more than script-memory-limit gets Lua's error "not enough memory". */
#ifndef TRIVET_SCRIPT_LUA_INTERPRETER_H
#define TRIVET_SCRIPT_LUA_INTERPRETER_H

#include "trivet/base/buf.h"
#include "trivet/script/run/run.h"

struct interpreter;

enum interpreter_kind { INTERPRETER_EVAL, INTERPRETER_FUNCTIONS };

struct interpreter *interpreter_new(enum interpreter_kind kind);
void interpreter_free(struct interpreter *in);
size_t interpreter_memory(const struct interpreter *in); /* bytes. Any thread */

/* A function that an interpreter keeps has a handle, an int; this is none. */
#define NO_HANDLE (-2)

/* Compiles the source of a script. NO_HANDLE, with the interpreter's text in `error`, if it is no Lua. */
MUST_CHECK int interpreter_compile(struct interpreter *in, struct slice source, struct buf *error);
void interpreter_forget(struct interpreter *in, int function);

/* Runs it with these keys and arguments; what it returns, or its error, is the reply to the run's caller. */
void interpreter_run(struct interpreter *in, int function, struct script_run *run, const struct slice *keys,
                     size_t key_count, const struct slice *args, size_t arg_count);

/* ---- loading a library of functions ---- */

/* What register_function says of a function. */
struct registered_function {
    struct slice name, description; /* the description's ptr is NULL if there is none */
    unsigned flags;
    int function;
};
/* Takes a function that the code registers; false with the reason, without a code word, in `error`. The
 * slices are borrowed. The taker owns the handle if it takes it. */
typedef bool register_hook(void *arg, const struct registered_function *f, struct buf *error);
/* Runs the code of a library once. False with the whole text of the error, without its code word. What was
 * registered until then stays with the taker. */
MUST_CHECK bool interpreter_load(struct interpreter *in, struct slice code, register_hook *take, void *arg,
                                 struct buf *error);

/* The flag of that name ("no-writes"), or 0; and the name of a flag by its position, NULL behind the last. */
unsigned script_flag_of(struct slice name);
const char *script_flag_name(size_t position, unsigned *flag);

#endif
