/* heartbeat.c: see heartbeat.h. */
#include "trivet/engine/replication/heartbeat.h"
#include "trivet/base/log.h"
#include "trivet/engine/replication/failover.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/persist/backlog.h"

#define WIRE_PING LIT("*1\r\n$4\r\nping\r\n")
#define WIRE_GETACK LIT("*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n")

static struct {
    int64_t beat_ms, ping_ms; /* when each was done last */
    int64_t alone_ms;         /* since when there is no replica; 0: there are some */
} last;

/* ---- on the replica's worker ---- */

/* While it waits for a snapshot an empty line says that we are still here. */
static void send_newline(struct client *c, void *arg) {
    (void)arg;
    if (!c || !c->replica || atomic_load(&c->replica->state) != REPLICA_WAITS) return;
    reply_raw(&c->reply, LIT("\n"));
    client_hooks.output(c);
}

static void close_silent(struct client *c, void *arg) {
    (void)arg;
    if (!c || !c->replica) return;
    LOG_WARNING("Disconnecting timedout replica: %s", c->peer);
    client_hooks.close(c, "the replica is silent");
}

/* ---- each second ---- */

static bool is_silent(const struct replica *r, int64_t now_ms) {
    int64_t timeout_ms = options.repl_timeout_s * 1000;
    switch (atomic_load(&r->state)) {
    case REPLICA_ONLINE: return !r->speaks_sync && now_ms - atomic_load(&r->acked_ms) > timeout_ms;
    case REPLICA_RECEIVES: return now_ms - atomic_load(&r->rdb_moved_ms) > timeout_ms;
    default: return false;
    }
}

struct beat {
    int64_t now_ms;
    uint64_t slowest; /* the least offset that a replica has acknowledged */
};

static void beat_for(void *arg, struct replica *r) {
    struct beat *b = arg;
    const struct client *c = r->client;
    enum replica_state state = atomic_load(&r->state);
    if (state == REPLICA_WAITS) client_post(c->worker, c->id, send_newline, NULL);
    if (is_silent(r, b->now_ms)) client_post(c->worker, c->id, close_silent, NULL);
    if (state != REPLICA_ONLINE || r->speaks_sync) return;
    uint64_t acked = atomic_load(&r->acked);
    if (acked < b->slowest) b->slowest = acked;
}

/* The slowest of the replicas that have lost their links of late. */
static struct {
    _Atomic uint64_t acked;
    _Atomic int64_t until_ms;
} lost = { .acked = UINT64_MAX };

void heartbeat_note_lost(uint64_t acked) {
    uint64_t before = atomic_load(&lost.acked);
    while (acked < before && !atomic_compare_exchange_weak(&lost.acked, &before, acked)) continue;
    atomic_store(&lost.until_ms, turn_now_ms + options.repl_timeout_s * 1000);
}

static uint64_t slowest_lost(int64_t now_ms) {
    if (now_ms >= atomic_load(&lost.until_ms)) atomic_store(&lost.acked, UINT64_MAX);
    return atomic_load(&lost.acked);
}

/* A replica that lost its link may go on from what it acknowledged last, up to the limit of its output. */
static void keep_for_replicas(uint64_t slowest, int64_t now_ms) {
    uint64_t gone = slowest_lost(now_ms);
    if (gone < slowest) slowest = gone;
    uint64_t most = options.client_output_buffer_limit[CLASS_REPLICA].hard_bytes;
    backlog_keep(slowest, most ? most : UINT64_MAX, options.repl_backlog_size);
}

/* Nobody has asked for the stream for long: its memory is given back. Another history begins with the next
 * replica, because what happens meanwhile is not counted. */
static void forget_backlog_when_alone(int64_t now_ms) {
    if (replicas_count() > 0 || primary_is_set() || !backlog_is_open()) {
        last.alone_ms = 0;
        return;
    }
    if (last.alone_ms == 0) last.alone_ms = now_ms;
    int64_t ttl_ms = options.repl_backlog_ttl_s * 1000;
    if (ttl_ms == 0 || now_ms - last.alone_ms <= ttl_ms) return;
    exclusive_begin();
    if (replicas_count() == 0 && !primary_is_set() && backlog_is_open()) {
        replication_ids_renew();
        backlog_close();
        LOG_NOTICE("Replication backlog freed after %lld seconds without connected replicas.",
                   (long long)options.repl_backlog_ttl_s);
    }
    exclusive_end();
}

static void ping_replicas(int64_t now_ms) {
    if (last.ping_ms == 0) last.ping_ms = now_ms; /* the first one comes a period after the start */
    if (now_ms - last.ping_ms < options.repl_ping_replica_period_s * 1000) return;
    last.ping_ms = now_ms;
    /* During a failover the offset must stand still. */
    if (replicas_count() == 0 || primary_is_set() || failover_state() != NO_FAILOVER) return;
    backlog_append(WIRE_PING);
}

void heartbeat_ask_for_acknowledgements(void) {
    if (replicas_count() == 0 || primary_is_set() || failover_state() != NO_FAILOVER) return;
    backlog_append(WIRE_GETACK);
}

void heartbeat_check_replicas(void) {
    int64_t wanted = options.min_replicas_max_lag_s > 0 ? options.min_replicas_to_write : 0;
    bool few = wanted > 0 && !primary_is_set() && replicas_good(turn_now_ms) < (size_t)wanted;
    if (obstacle_is_set(OBSTACLE_REPLICAS) != few) obstacle_set(OBSTACLE_REPLICAS, few);
}

void heartbeat_cron(int64_t now_ms) {
    heartbeat_check_replicas();
    if (now_ms - last.beat_ms < 1000 && now_ms >= last.beat_ms) return;
    last.beat_ms = now_ms;
    struct beat b = { .now_ms = now_ms, .slowest = UINT64_MAX };
    if (replicas_count() > 0) replicas_each(beat_for, &b);
    ping_replicas(now_ms);
    keep_for_replicas(b.slowest, now_ms);
    forget_backlog_when_alone(now_ms);
}
