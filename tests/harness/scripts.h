/* scripts.h: scripts in tests over the wire: sent as they stand in C, without another layer of quotes.
 *
 * EVAL gets the keys "k1" and "k2" and the arguments "a1" and "a2". In what is expected "<sha>" stands for
 * the SHA1 of the script, and "..." for anything. */
#ifndef TESTS_HARNESS_SCRIPTS_H
#define TESTS_HARNESS_SCRIPTS_H

#include "check.h"

/* What follows the text of an error that a script did not catch. */
#define AT(line) " script: <sha>, on @user_script:" #line "."
/* The same in a function. */
#define IN_FUNCTION(name, line) " script: " name ", on @user_function:" #line "."

struct script_row {
    const char *script, *reply;
};

#define assert_eval(client, script, expected) \
    check_script((client), "EVAL", (script), "2 k1 k2 a1 a2", (expected), __FILE__, __LINE__)
/* A table of scripts, ended by a row without one. */
#define assert_evals(client, rows) check_evals((client), (rows), __FILE__, __LINE__)
/* FUNCTION LOAD [REPLACE] of this code. */
#define assert_load(client, code, expected) \
    check_script((client), "FUNCTION LOAD", (code), "", (expected), __FILE__, __LINE__)
#define assert_reload(client, code, expected) \
    check_script((client), "FUNCTION LOAD REPLACE", (code), "", (expected), __FILE__, __LINE__)
#define assert_loads(client, rows) check_loads((client), (rows), __FILE__, __LINE__)
/* Any command with a script in the middle. */
#define assert_script(client, before, script, after, expected) \
    check_script((client), (before), (script), (after), (expected), __FILE__, __LINE__)

/* Queues the words of `before`, the script as one, and the words of `after`. */
void script_queue(struct client *c, const char *before, const char *script, const char *after);
void check_script(struct client *c, const char *before, const char *script, const char *after,
                  const char *expected, const char *file, int line);
void check_evals(struct client *c, const struct script_row *rows, const char *file, int line);
void check_loads(struct client *c, const struct script_row *rows, const char *file, int line);
/* In hex; valid until the next call. */
const char *script_sha(const char *script);

#endif
