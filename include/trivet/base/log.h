/* log.h: the server's log, in Valkey's form: "pid:role day month year time mark message".
 *
 * role is M (primary), S (replica), X (a tool or sentinel), C (a child); the marks . - * # stand for
 * debug, verbose, notice, warning. LOGFMT and JSON are lines of named fields, for machines: pid, role,
 * timestamp, level, message, all texts but the pid. To stdout, a file (opened for each line, so that log
 * rotation needs no signal) or syslog. Thread: any; one line is one write(2). Lines are cut at LOG_LINE_MAX
 * bytes, and are whole all the same. */
#ifndef TRIVET_BASE_LOG_H
#define TRIVET_BASE_LOG_H

#include "trivet/base/compiler.h"
#include <stdbool.h>

#define LOG_LINE_MAX 1024

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING, LOG_LEVEL_NOTHING };
enum log_format { LOG_FORMAT_LEGACY, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum log_timestamp { LOG_TIMESTAMP_LEGACY, LOG_TIMESTAMP_ISO8601, LOG_TIMESTAMP_MILLISECONDS };

/* All of these may be called again at run time; the strings are copied. */
void log_set_level(enum log_level level);
void log_set_form(enum log_format format, enum log_timestamp timestamp);
/* "" is stdout. False (and errno) if the file cannot be opened for appending; nothing changes then. */
MUST_CHECK bool log_set_file(const char *path);
/* Also to syslog under `ident`; facility is LOG_LOCAL0 and its like. NULL turns it off. */
void log_set_syslog(const char *ident, int facility);
void log_set_role(char role);

bool log_wants(enum log_level level);
void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* For a process that is about to die by a signal: takes no lock and hopes that the settings are whole.
 * Returns the log file, or stdout; it stays open. */
int log_crash_open(void);
void log_crash_line(int fd, const char *format, ...) PRINTF_LIKE(2, 3);

/* <syslog.h> has three of these names for its priorities: if you need both, include it before this. */
#undef LOG_DEBUG
#undef LOG_NOTICE
#undef LOG_WARNING
#define LOG_DEBUG(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LOG_VERBOSE(...) log_at(LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define LOG_NOTICE(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define LOG_WARNING(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_at(level, ...)                                    \
    do {                                                      \
        if (log_wants(level)) log_line((level), __VA_ARGS__); \
    } while (0)

#endif
