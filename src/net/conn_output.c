/* conn_output.c: the writing side of connections: what waits to be sent, its limits, and the writev. */
#include "conn_private.h"
#include "trivet/base/log.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/net/conn.h"
#include "trivet/net/worker.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"
#include <errno.h>
#include <string.h>

#define WRITE_VECTORS 64
#define WRITE_AT_ONCE (1024 * 1024) /* bytes for one connection before the others get their turn */
#define UNAUTHENTICATED_OUTPUT 1024 /* bytes that may wait for a client that has not authenticated */

/* This worker's connections that have something to write, newest first. */
static _Thread_local struct conn *output;

void conn_queue_output(struct conn *conn) {
    if (conn->queued || conn->writing) return;
    conn->queued = true;
    conn->next_output = output;
    output = conn;
}

void conn_leave_output(struct conn *conn) {
    for (struct conn **at = &output; conn->queued && *at; at = &(*at)->next_output)
        if (*at == conn) {
            *at = conn->next_output;
            break;
        }
}

static void set_writing(struct conn *conn, bool on) {
    if (conn->writing == on) return;
    conn->writing = on;
    if (on)
        conn_wait_for(conn, &conn->writable, NULL);
    else
        event_del(&conn->writable);
}

/* ---- output limits ---- */

static void close_for_output(struct conn *conn, const char *limit) {
    struct buf line = { 0 };
    client_describe(&conn->client, turn_now_ms, &line);
    LOG_WARNING("Client closed for overcoming of output buffer limits: the %s output buffer limit "
                "(client-output-buffer-limit): %.*s",
                limit, SLICE_ARG(buf_slice(&line)));
    buf_release(&line);
    COUNTER_ADD(stats_mine()->output_limit_closed, 1);
    pubsub_note_cut(&conn->client);
    conn_mark_for_closing(conn);
}

void conn_check_output(struct conn *conn) {
    struct client *c = &conn->client;
    const struct output_limit *limit = &options.client_output_buffer_limit[client_class(c)];
    size_t waiting = c->reply.memory;
    if (UNLIKELY(c->replica != NULL)) {
        if (replica_may_lag(c->replica)) return;
        waiting += replica_lag(c->replica);
    }
    if (c->flags & CLIENT_CLOSING) return;
    if (limit->hard_bytes && waiting >= limit->hard_bytes) {
        close_for_output(conn, "hard");
        return;
    }
    if (!limit->soft_bytes || waiting < limit->soft_bytes) {
        c->soft_limit_since_ms = 0;
    } else if (c->soft_limit_since_ms == 0) {
        c->soft_limit_since_ms = turn_now_ms;
    } else if (turn_now_ms - c->soft_limit_since_ms > limit->soft_seconds * 1000) {
        close_for_output(conn, "soft");
    }
}

void conn_output_added(struct client *c) {
    struct conn *conn = conn_of(c);
    conn_check_output(conn);
    conn_queue_output(conn);
    if (conn->writing) client_recount_if_changed(c); /* no flush will see it soon */
}

void conn_output_may_delay(struct client *c) {
    if (!(c->flags & CLIENT_UNIX_SOCKET)) socket_set_delay(conn_of(c)->socket.fd, true);
}

/* ---- writing ---- */

/* What comes next: the reply, then what a replica gets beside replies. */
static int next_vectors(struct conn *conn, struct iovec *vectors, int max) {
    struct client *c = &conn->client;
    if (LIKELY(!reply_is_empty(&c->reply))) return reply_vectors(&c->reply, vectors, max);
    if (LIKELY(!c->replica)) return 0;
    int count = replica_vectors(c->replica, vectors, max);
    if (count < 0) conn_close_soon(c, "the replica has all that it can get");
    return count;
}

static bool has_output(struct conn *conn) {
    struct iovec one;
    return next_vectors(conn, &one, 1) > 0;
}

/* So many bytes of the vectors went out. */
static void note_sent(struct conn *conn, size_t n) {
    struct client *c = &conn->client;
    c->bytes_out += n;
    if (LIKELY(!reply_is_empty(&c->reply))) {
        reply_sent(&c->reply, n);
        if (reply_is_empty(&c->reply)) c->messages_waiting = 0;
        COUNTER_ADD(stats_mine()->net_out, n);
    } else {
        replica_sent(c->replica, n);
        COUNTER_ADD(stats_mine()->repl_out, n);
    }
}

bool conn_write_some(struct conn *conn) {
    size_t written = 0;
    while (written < WRITE_AT_ONCE) {
        struct iovec vectors[WRITE_VECTORS];
        int count = next_vectors(conn, vectors, WRITE_VECTORS);
        if (count <= 0) return true;
        size_t offered = 0;
        for (int i = 0; i < count; i++) offered += vectors[i].iov_len;
        ssize_t n = socket_write_vectors(&conn->socket, vectors, count);
        COUNTER_ADD(stats_mine()->writes, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN;
        note_sent(conn, (size_t)n);
        written += (size_t)n;
        if ((size_t)n < offered) return true; /* the socket is full */
    }
    return true;
}

void conn_check_unauthenticated(struct conn *conn) {
    struct client *c = &conn->client;
    if (conn->trusted || c->reply.bytes <= UNAUTHENTICATED_OUTPUT || (c->flags & CLIENT_CLOSING)) return;
    if (!conn_write_some(conn))
        conn_close_soon(c, socket_error(&conn->socket));
    else if (c->reply.bytes > UNAUTHENTICATED_OUTPUT)
        close_for_output(conn, "unauthenticated");
}

/* CLIENT LIST shows how full the first block of replies was lately. */
static void note_reply_peak(struct client *c) {
    size_t waits = c->reply.bytes < REPLY_CHUNK ? c->reply.bytes : REPLY_CHUNK;
    if (waits > c->reply_peak) c->reply_peak = waits;
}

static void flush(struct conn *conn) {
    struct client *c = &conn->client;
    if (c->flags & CLIENT_CLOSING) return;
    note_reply_peak(c);
    if (!conn_write_some(conn)) {
        conn_close_soon(c, socket_error(&conn->socket));
        return;
    }
    bool more = has_output(conn);
    if (!more && (c->flags & CLIENT_CLOSE_AFTER)) conn_mark_for_closing(conn);
    if (UNLIKELY(c->soft_limit_since_ms != 0)) conn_check_output(conn); /* below it again? */
    client_recount_if_changed(c);
    conn->output_waits_for_input = more && socket_write_waits_to_read(&conn->socket);
    more &= !conn->output_waits_for_input;
    set_writing(conn, more || socket_read_waits_to_write(&conn->socket));
}

void conn_on_writable(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct conn *conn = arg;
    worker_begin_turn();
    assert(conn->writing);
    if (socket_read_waits_to_write(&conn->socket)) conn_read_soon(conn);
    /* Replies added since may depend on a write that is not durable yet, and the stream may have grown beyond
     * what may be sent. Then all wait for the flush. */
    bool is_committed = !journal_on || aof_is_committed(conn->client.journal_offset);
    if (!is_committed || (conn->client.replica && replicas_wait_for_flush())) {
        set_writing(conn, false);
        conn_queue_output(conn);
        return;
    }
    flush(conn);
}

bool conns_have_output(void) { return output != NULL; }

void conns_flush(uint64_t durable) {
    struct conn *list = output;
    output = NULL;
    while (list) {
        struct conn *conn = list;
        list = conn->next_output;
        assert(conn->queued);
        conn->queued = false;
        if (UNLIKELY(conn->client.running))
            conn_queue_output(conn); /* this turn is in the middle of its command */
        else if (conn->client.journal_offset <= durable || aof_is_committed(conn->client.journal_offset))
            flush(conn);
        else
            conn_queue_output(conn); /* tried again in each turn, at the latest by the cron */
        if (UNLIKELY(durable == 0 && conn->client.replica != NULL)) conn_queue_output(conn); /* likewise */
    }
}
