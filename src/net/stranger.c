/* stranger.c: see stranger.h. */
#include "stranger.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/stats.h"

static _Thread_local struct chain strangers; /* this worker's, in order of arrival */

static void leave(struct conn *conn) {
    if (!chain_link_is_linked(&conn->in_strangers)) return;
    chain_remove(&strangers, &conn->in_strangers);
    atomic_fetch_sub_explicit(&client_strangers, 1, memory_order_relaxed);
}

static bool are_too_many(void) {
    int64_t max = options.max_unauthenticated_clients;
    return max > 0 && atomic_load_explicit(&client_strangers, memory_order_relaxed) > max;
}

/* Keeps the newest, so that a newcomer is never closed for being one. */
static void make_room(void) {
    while (are_too_many() && strangers.first != strangers.last) {
        struct conn *oldest = CHAIN_FIRST(&strangers, struct conn, in_strangers);
        leave(oldest);
        COUNTER_ADD(stats_mine()->strangers_evicted, 1);
        conn_close_soon(&oldest->client, "too many clients that have not authenticated");
    }
}

void stranger_arrives(struct conn *conn) {
    if (!client_must_log_in(&conn->client)) return;
    chain_insert_last(&strangers, &conn->in_strangers);
    atomic_fetch_add_explicit(&client_strangers, 1, memory_order_relaxed);
    make_room();
}

void stranger_may_be_known(struct conn *conn) {
    if (client_must_log_in(&conn->client)) return;
    conn->trusted = true;
    leave(conn);
}

void stranger_goes(struct conn *conn) { leave(conn); }

void strangers_cron(int64_t now_ms) {
    int64_t limit_ms = options.unauthenticated_timeout_s * 1000;
    make_room(); /* the limit may have been lowered */
    CHAIN_EACH(&strangers, struct conn, in_strangers, conn) {
        stranger_may_be_known(conn); /* by its certificate, or because nobody has to log in any more */
        if (conn->trusted) continue;
        if (limit_ms == 0 || now_ms - conn->client.created_ms <= limit_ms) return;
        leave(conn);
        COUNTER_ADD(stats_mine()->strangers_timed_out, 1);
        conn_close_soon(&conn->client, "not authenticated within unauthenticated-timeout");
    }
}
