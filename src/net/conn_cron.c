/* conn_cron.c: what is done for connections now and then, whether they say something or not. */
#include "conn_private.h"
#include "stranger.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/net/conn.h"
#include <assert.h>

#define PEAK_EVERY_MS 5000 /* the peak of the first block of replies covers this time */

static bool is_idle_too_long(const struct client *c, int64_t now_ms) {
    uint32_t spared = CLIENT_SUBSCRIBED | CLIENT_BLOCKED | CLIENT_MONITORING | CLIENT_POSTPONED |
                      CLIENT_REPLICA | CLIENT_PRIMARY | CLIENT_SLOT_EXPORT | CLIENT_SLOT_IMPORT;
    return options.timeout_s > 0 && !(c->flags & spared) && !c->running &&
           now_ms - c->active_ms > options.timeout_s * 1000;
}

/* A connection at rest owns no input buffer. */
static void drop_empty_input(struct conn *conn) {
    if (conn->in.len > 0 || !conn->in.ptr || conn->client.running) return;
    assert(args_is_idle(&conn->args)); /* else its arguments are there */
    buf_release(&conn->in);
    conn->client.input_room = 0;
}

void conns_cron(int64_t now_ms) {
    static _Thread_local int64_t peaks_ms;
    bool new_peaks = now_ms - peaks_ms >= PEAK_EVERY_MS || now_ms < peaks_ms;
    if (new_peaks) peaks_ms = now_ms;
    clients_forget_peaks(now_ms);
    strangers_cron(now_ms);
    CLIENTS_OF(worker_self(), c) {
        if (is_idle_too_long(c, now_ms)) conn_close_soon(c, "idle for longer than timeout");
        conn_check_output(conn_of(c));
        drop_empty_input(conn_of(c));
        socket_rest(&conn_of(c)->socket);
        client_recount(c);
        if (new_peaks) c->reply_peak = 0;
    }
}

void conns_keepalive(void) {
    CLIENTS_OF(worker_self(), c)
    if (!(c->flags & CLIENT_UNIX_SOCKET)) socket_keepalive(c->fd, options.tcp_keepalive_s);
}
