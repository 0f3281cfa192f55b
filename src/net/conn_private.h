/* conn_private.h: what the files of connections share: conn.c (birth, input, commands, end), conn_output.c
 * (output and its limits) and conn_cron.c (what is due now and then). Thread: the connection's worker. */
#ifndef NET_CONN_PRIVATE_H
#define NET_CONN_PRIVATE_H

#include "trivet/base/buf.h"
#include "trivet/engine/client/client.h"
#include "trivet/resp/parser.h"
#include "trivet/transport/socket.h"
#include <event2/event.h>
#include <event2/event_struct.h>

struct conn {
    struct client client;
    struct socket socket;
    struct event readable, writable;
    struct event timer;
    int64_t timer_due_us; /* by the steady clock */
    struct buf in;        /* bytes of a command that is not complete, or may not run yet */
    struct args args;     /* that command, as far as it is parsed; the worker's slots have it while a batch is
                             parsed and run */
    bool args_ready; /* args is complete: postponed (only for commands with big arguments), or unfinished */
    bool trusted;    /* it was authenticated once */
    bool reading;    /* `readable` is added */
    bool writing;    /* `writable` is added: the socket was full */
    bool output_waits_for_input;    /* TLS has to read before it can write more */
    bool ready;                     /* on one of the worker's lists of those that have something to read */
    bool queued;                    /* on the worker's list of connections with output */
    bool marked;                    /* on the worker's list of those to be closed */
    bool resumed;                   /* on the worker's list of those that go on with their input */
    struct chain_link in_strangers; /* stranger.h */
    struct conn *next_ready, *next_output, *next_marked, *next_resumed;
};

static inline struct conn *conn_of(struct client *c) { return CONTAINER_OF(c, struct conn, client); }

/* ---- conn.c ---- */

void conn_mark_for_closing(struct conn *conn);
/* client_hooks.close. */
void conn_close_soon(struct client *c, const char *why);
/* Waits for an event of the connection. If that fails, the connection could never be served again, so it is
 * closed. */
void conn_wait_for(struct conn *conn, struct event *event, const struct timeval *timeout);

/* It has something to read, as far as is known; to be called in the callbacks of a turn. */
void conn_read_soon(struct conn *conn);

/* ---- conn_output.c ---- */

/* It is written to at the end of the turn. */
void conn_queue_output(struct conn *conn);
void conn_leave_output(struct conn *conn);
/* Closes it for too much output: the hard limit at once, the soft limit once it has been passed for its time.
 */
void conn_check_output(struct conn *conn);
/* A client that has not authenticated gets its replies at once, or is closed: it must not fill the memory by
 * not reading them. Its commands changed no key, so there is no write to wait for. */
void conn_check_unauthenticated(struct conn *conn);
/* client_hooks.output. */
void conn_output_added(struct client *c);
/* client_hooks.may_delay. */
void conn_output_may_delay(struct client *c);
/* Writes as much as the socket takes, up to a fair share. False if the connection broke. */
bool conn_write_some(struct conn *conn);
void conn_on_writable(evutil_socket_t fd, short what, void *arg);

#endif
