/* run.h: one run of a script, as the rest of the server sees it: who called it, what it may do, and the
 * commands that it calls.
 *
 * A script runs inside a command (EVAL, FCALL). Each command that it calls is a call of its own, made for the
 * same client, whose reply goes into a struct reply of the interpreter's. This room knows nothing of Lua.
 * Owner: whoever runs the script, on its stack. Thread: the client's worker. */
#ifndef TRIVET_SCRIPT_RUN_RUN_H
#define TRIVET_SCRIPT_RUN_RUN_H

#include "trivet/engine/run/dispatch.h"
#include <stdatomic.h>

enum script_flag {
    SCRIPT_NO_WRITES = 1 << 0,
    SCRIPT_ALLOW_OOM = 1 << 1,
    SCRIPT_ALLOW_STALE = 1 << 2,
    SCRIPT_NO_CLUSTER = 1 << 3,
    SCRIPT_CROSS_SLOT_KEYS = 1 << 4,
    SCRIPT_DECLARED_KEYS = 1 << 5, /* Trivet's own: it touches no key but those that the caller named */
    SCRIPT_COMPATIBLE =
        1 << 6, /* without a first line "#!": none of the others is set, nothing is promised */
};

/* The bits of redis.set_repl: where the effects of what follows go. */
enum script_effects { EFFECTS_NONE = 0, EFFECTS_TO_AOF = 1, EFFECTS_TO_REPLICAS = 2, EFFECTS_TO_ALL = 3 };

/* What is run, as errors and FUNCTION STATS name it. */
struct script_subject {
    const char *name; /* the SHA1 of a script, or a function's name */
    unsigned flags;   /* enum script_flag */
    bool is_function;
    atomic_bool wanders; /* it once used a key that it was not called with: it runs alone from then on */
};

/* Thread: any. */
static inline bool script_wanders(const struct script_subject *s) {
    return atomic_load_explicit(&s->wanders, memory_order_relaxed);
}

struct script_run {
    const struct call *caller;
    struct script_subject *subject;
    struct origin origin;     /* of its commands */
    uint8_t protocol;         /* of the replies that it sees: 2, or 3 after setresp(3) */
    unsigned effects;         /* enum script_effects */
    bool is_read_only;        /* it may not write: flag no-writes, EVAL_RO */
    bool heeds_memory;        /* its writes are refused where there is none left */
    bool is_full;             /* there was no memory left when it began: it may not write the first time */
    bool wrote;               /* it called a command that writes */
    int32_t slot;             /* in a cluster: of the keys that it uses; -1: none yet */
    uint32_t db_before;       /* of the client: SELECT in a script counts for the run only */
    int64_t began_ns;         /* by the steady clock */
    int gate_depth;           /* above 0: it is busy, and the gate open (busy.h) */
    struct prepared prepared; /* the command that it calls; its memory is used again */
};

/* May this script run now, called like this? If not, the error reply was written. `reads_only`: the command
 * is one of the *_RO forms. */
MUST_CHECK bool script_admit(struct call *caller, const struct script_subject *subject, bool reads_only);

void script_run_begin(struct script_run *run, const struct call *caller, struct script_subject *subject,
                      bool reads_only);
void script_run_end(struct script_run *run);

enum script_ran {
    SCRIPT_RAN,     /* its reply may be an error all the same */
    SCRIPT_REFUSED, /* it did not run; the error's text is in `why` */
    SCRIPT_STOPPED, /* the script must end at once, with the error in `why` */
};
/* Runs one command of the script; the reply goes to `out`, whose protocol is the run's. */
enum script_ran script_run_command(struct script_run *run, const struct slice *argv, size_t argc,
                                   struct reply *out, struct buf *why);

#endif
