/* scripts.h: the scripts that EVAL and SCRIPT LOAD brought, by their SHA1.
 *
 * Those that came by EVAL alone are kept as long as they are among the 500 used last; SCRIPT LOAD's stay
 * until SCRIPT FLUSH. They are neither saved nor replicated.
 * Thread: found and read with the worker's gate held; added and dropped with the gate closed. */
#ifndef TRIVET_SCRIPT_STORE_SCRIPTS_H
#define TRIVET_SCRIPT_STORE_SCRIPTS_H

#include "trivet/base/buf.h"
#include "trivet/script/lua/interpreter.h"

#define SCRIPTS_BY_EVAL_MAX 500

struct script;

void scripts_init(void);
void scripts_release(void);

/* NULL if there is none. `sha` in any case. */
struct script *scripts_find(struct slice sha);
struct script *scripts_find_source(struct slice source);
/* Adds it, or finds it; `stays`: SCRIPT LOAD. NULL with the error's text, code word first. */
struct script *scripts_add(struct slice source, bool stays, struct buf *error);
/* SCRIPT FLUSH; `later`: the interpreter is freed in the background. */
void scripts_flush(bool later);

const struct script_subject *script_subject_of(const struct script *s);
struct slice script_source(const struct script *s);

/* What follows the script in the command. */
struct script_arguments {
    const struct slice *keys, *args;
    size_t key_count, arg_count;
};
/* Runs it for this call; what it returns is the reply. `reads_only`: by one of the *_RO commands. */
void script_run(struct script *s, struct call *caller, const struct script_arguments *with, bool reads_only);

/* For INFO. Any thread: approximate while others change it. */
struct scripts_info {
    size_t count, memory; /* of the scripts themselves, in bytes */
    size_t interpreter;   /* its memory, bytes */
    uint64_t evicted;     /* dropped for the bound */
};
void scripts_info(struct scripts_info *out);

#endif
