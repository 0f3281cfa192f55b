/* questions.h: what the program is asked for instead of serving: its version, its usage, a look at the
 * machine, a test of memory, the health of another server. Also what it is asked for and is not: Sentinel, a
 * check tool.
 *
 * The words are those of redis-server and valkey-server, so that links of these names to this program serve
 * scripts that know them. Main thread, before anything else. */
#ifndef TRIVET_SERVER_QUESTIONS_H
#define TRIVET_SERVER_QUESTIONS_H

#define QUESTION_NONE (-1)

/* The exit status, if there was a question; it was answered on standard output, or refused on standard error.
 * QUESTION_NONE: the arguments are settings of a server. */
int questions_answer(int argc, char **argv);

#endif
