/* notify.h: what systemd is told of the server, if it started it (Type=notify): that it is ready or ends,
 * what it is doing (STATUS=), that it is alive (WATCHDOG=1), and that a start or an end which takes long gets
 * on (EXTEND_TIMEOUT_USEC=). Without systemd, or with `supervised no`, all of this does nothing.
 *
 * Signs of life come from a timer of worker 0, at a quarter of the interval that systemd asks for: three
 * quarters are left to a command that closes the gate. While worker 0 takes no turns, watchdog_touch() gives
 * them. */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

/* The timer and watchdog_hook. False with the reason logged. Main thread, after workers_start and before data
 * is loaded. */
MUST_CHECK bool notify_begin(void);
/* Data is loaded: at the start, or later from a primary or by DEBUG. At most once a second something is sent.
 * Worker 0, or who closed the gate. */
void notify_loading(const char *what, uint64_t loaded, uint64_t total);
/* That is over; it may serve again. As above. */
void notify_loaded(void);
/* The server serves: its start is over. Main thread. */
void notify_ready(void);
/* A shutdown is under way that may still fail, and what it does now takes `at_most_s` seconds, or 0 if it
 * gives signs of life. Gate closed. */
void notify_shutdown(const char *doing, int64_t at_most_s);
/* The shutdown failed. Gate closed. */
void notify_goes_on(void);
/* No way back. Main thread, after the workers' loops have ended. */
void notify_stopping(void);

#endif
