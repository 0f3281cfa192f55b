/* stranger.h: connections whose client has not authenticated yet, where it must: how many there may be
 * (max-unauthenticated-clients) and for how long (unauthenticated-timeout). A client that authenticated once
 * is no stranger any more, not even after RESET.
 *
 * The limit holds for all workers together, but each closes only connections of its own, the oldest first. So
 * for a moment there may be as many too many as there are workers.
 * Thread: the connection's worker. */
#ifndef NET_STRANGER_H
#define NET_STRANGER_H

#include "conn_private.h"

/* A connection was opened. Closes the oldest strangers if there are too many now: a newcomer that knows the
 * password says it at once, so those who have been silent for longest are the ones to go. */
void stranger_arrives(struct conn *conn);
/* Its commands ran: has it authenticated? */
void stranger_may_be_known(struct conn *conn);
/* It is about to be freed. */
void stranger_goes(struct conn *conn);
/* Closes those whose time is up. */
void strangers_cron(int64_t now_ms);

#endif
