/* busy.h: scripts that run for longer than busy-reply-threshold.
 *
 * From then on the gate is open while the script computes, and its own worker takes turns in between: all
 * clients are answered, with BUSY, except for the few commands that may end the script (obstacle BUSY). The
 * gate is closed again for each command of the script, and when it ends. One script can be busy at a time,
 * because one runs at a time. Thread: the fields that other workers read are set with the gate closed, or
 * atomic.
 */
#ifndef TRIVET_SCRIPT_RUN_BUSY_H
#define TRIVET_SCRIPT_RUN_BUSY_H

#include "trivet/script/run/run.h"

struct script_hooks {
    void (*take_turn)(void); /* runs a turn of the calling worker's loop, from inside a command */
    bool (*is_shutting_down)(void);
};
extern struct script_hooks script_hooks;

/* The script closes the gate, if it runs beside others. */
void script_widen(struct script_run *run);
/* Called by the interpreter now and then. NULL: go on. Else the script must stop with this error. */
const char *script_look_around(struct script_run *run);

/* The same without looking around. */
const char *script_was_killed(const struct script_run *run);

/* Around each command of a script that is busy: nobody else may run meanwhile. Nothing for others. */
void script_close_gate(struct script_run *run) UNCHECKED;
void script_open_gate(struct script_run *run) UNCHECKED;
/* It ends: the gate is closed as it was before. */
void script_busy_end(struct script_run *run) UNCHECKED;

/* SCRIPT KILL and FUNCTION KILL: the busy script stops at its next look around. False after replying why
 * not. */
bool script_kill(struct call *c, bool function);
/* The run that is busy, or NULL. Holding a gate: it stays so long. */
const struct script_run *script_busy(void);

#endif
