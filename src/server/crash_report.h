/* crash_report.h: the parts of the report of a crash, and the means to write it. Each part may crash or hang
 * itself: crash.c calls it so that it can go on without it.
 *
 * Thread: the one that crashed. From crash_tell_other_threads on all others stand still. */
#ifndef SERVER_CRASH_REPORT_H
#define SERVER_CRASH_REPORT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* A whole line with date and process, as every other of the log. */
#define crash_line(...) log_crash_line(crash_fd, __VA_ARGS__)
extern int crash_fd; /* the log */

/* Bytes as they are. */
void crash_write(const char *bytes, size_t len);

void crash_tell_registers(const void *context); /* of the signal handler */
void crash_tell_own_stack(void);
/* Stops all other threads for good and writes where each was. */
void crash_tell_other_threads(void);
void crash_tell_commands(void);
void crash_tell_current_client(void);
void crash_tell_info(void);
void crash_tell_clients(void);

/* Installs what stops the other threads. At start-up. */
void crash_install_stop(void);

#endif
