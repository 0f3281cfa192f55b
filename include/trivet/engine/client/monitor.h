/* monitor.h: MONITOR: every command that runs, as a line to each monitoring client.
 * Thread: feed from any worker; delivery by the monitors' own workers through their mailboxes. */
#ifndef TRIVET_ENGINE_CLIENT_MONITOR_H
#define TRIVET_ENGINE_CLIENT_MONITOR_H

#include "trivet/engine/client/client.h"
#include "trivet/engine/turn/turn.h"

void monitor_start(struct client *c); /* on its worker */
void monitor_stop(struct client *c);  /* if it is one */
/* The line goes to all monitors; call it only while OBSTACLE_MONITOR is set. Passwords are left out, and
 * all commands of the administrator. */
void monitor_feed(const struct call *c, int64_t now_us);

#endif
