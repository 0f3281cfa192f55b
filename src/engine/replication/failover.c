/* failover.c: see failover.h. */
#include "trivet/engine/replication/failover.h"
#include "trivet/base/log.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/persist/backlog.h"
#include <stdio.h>
#include <string.h>

/* Changed with the gate closed. */
static struct {
    _Atomic enum failover_state state;
    char host[256]; /* "": any replica */
    int port;
    bool is_forced;
    bool may_be_primary; /* the target was asked, and its answer got lost */
    int64_t until_ms;    /* 0: no timeout */
} failover;

static atomic_bool process_ends;

enum failover_state failover_state(void) { return atomic_load(&failover.state); }

const char *failover_state_name(void) {
    static const char *const names[] = { [NO_FAILOVER] = "no-failover",
                                         [FAILOVER_WAITS_FOR_SYNC] = "waiting-for-sync",
                                         [FAILOVER_IN_PROGRESS] = "failover-in-progress" };
    return names[failover_state()];
}

/* "host:port", for the log. */
static const char *target(char room[300]) {
    if (!failover.host[0]) return "any replica";
    snprintf(room, 300, "%s:%d", failover.host, failover.port);
    return room;
}

/* ---- the end ---- */

static void look(void);
static struct acknowledgement_watch watch = { .look = look };

/* Writes go on, or are refused from now on, as the server's role has it. */
static void end(void) {
    atomic_store(&failover.state, NO_FAILOVER);
    replicas_unwatch(&watch);
    primary_check_stale();
    pause_end(PAUSE_FOR_FAILOVER);
}

static void give_up(const char *why) {
    char room[300];
    LOG_NOTICE("Aborting failover to %s while in state %s: %s", target(room), failover_state_name(), why);
    if (failover_state() == FAILOVER_IN_PROGRESS) primary_leave_unchanged();
    end();
}

void failover_succeeded(void) {
    if (failover_state() != FAILOVER_IN_PROGRESS) return;
    LOG_NOTICE("Failover to %s:%d is done: this server is its replica now", failover.host, failover.port);
    primary_end_waits();
    end();
}

/* Who has taken over already says so too: then this is no refusal. */
void failover_refused(bool is_primary_already) {
    if (failover_state() != FAILOVER_IN_PROGRESS) return;
    if (is_primary_already && failover.may_be_primary)
        failover_succeeded();
    else
        give_up("Failover target rejected psync request");
}

static bool time_is_up(void) { return failover.until_ms > 0 && turn_now_ms >= failover.until_ms; }

void failover_unanswered(bool may_be_answered) {
    if (failover_state() != FAILOVER_IN_PROGRESS) return;
    failover.may_be_primary |= may_be_answered;
    if (!failover.may_be_primary && time_is_up()) give_up("The target can't be reached");
}

/* ---- the target takes over ---- */

static bool is_target(const struct replica *r) {
    char room[64];
    return failover.host[0] && r->port == failover.port && strcmp(replica_ip(r, room), failover.host) == 0;
}

static void set_target(const char *host, int port) {
    size_t len = strlen(host);
    assert(len < sizeof failover.host);
    memcpy(failover.host, host, len + 1);
    failover.port = port;
}

struct choice {
    uint64_t offset;
    bool found;
};

/* A replica that has told no port cannot be connected to. */
static void choose(void *arg, struct replica *r) {
    struct choice *choice = arg;
    char room[64];
    if (choice->found || r->port <= 0 || !replica_is_in_sync(r, choice->offset)) return;
    if (failover.host[0] && !is_target(r)) return;
    choice->found = true;
    set_target(replica_ip(r, room), r->port);
}

static bool find_in_sync(void) {
    struct choice choice = { .offset = backlog_offset() };
    replicas_each(choose, &choice);
    return choice.found;
}

static void hand_over(void) {
    atomic_store(&failover.state, FAILOVER_IN_PROGRESS);
    replicas_unwatch(&watch);
    failover.may_be_primary = false;
    primary_follow_for_failover(failover.host, failover.port);
}

/* Gate closed, outside of commands: what they did is in the stream. */
static void go_on_if_possible(void) {
    change_flush_quietly();
    if (find_in_sync()) {
        LOG_NOTICE("Failover target %s:%d is synced, failing over.", failover.host, failover.port);
        hand_over();
    } else if (time_is_up() && failover.is_forced) {
        LOG_NOTICE("Failover to %s:%d time out exceeded, failing over.", failover.host, failover.port);
        hand_over();
    } else if (time_is_up()) {
        give_up("Replica never caught up before timeout");
    }
}

/* On worker 0, its own gate. */
static void look(void) {
    if (failover_state() != FAILOVER_WAITS_FOR_SYNC || atomic_load(&process_ends)) return;
    exclusive_begin();
    if (failover_state() == FAILOVER_WAITS_FOR_SYNC) go_on_if_possible();
    exclusive_end();
}

/* All data is on its way from the target, so it has taken over; nobody needs to wait for the end of that. */
static bool target_sends_all(void) {
    return failover_state() == FAILOVER_IN_PROGRESS && primary_link() == LINK_SYNC;
}

static void settle(void) {
    if (target_sends_all()) failover_succeeded();
}

void failover_cron(int64_t now_ms) {
    (void)now_ms;
    look();
    if (!target_sends_all()) return;
    exclusive_begin();
    settle();
    exclusive_end();
}

void failover_stop(void) { atomic_store(&process_ends, true); }

/* ---- what users ask ---- */

struct search {
    bool found, is_online;
};

static void search(void *arg, struct replica *r) {
    struct search *s = arg;
    if (!is_target(r)) return;
    s->found = true;
    s->is_online |= atomic_load(&r->state) == REPLICA_ONLINE;
}

/* NULL, or why it is not one. */
static const char *refuse_target(void) {
    struct search s = { 0 };
    replicas_each(search, &s);
    if (!s.found) return "ERR FAILOVER target HOST and PORT is not a replica.";
    return s.is_online ? NULL : "ERR FAILOVER target replica is not online.";
}

static const char *refuse_now(const struct failover_plan *plan) {
    settle();
    if (failover_state() != NO_FAILOVER) return "ERR FAILOVER already in progress.";
    if (primary_is_set()) return "ERR FAILOVER is not valid when server is a replica.";
    if (replicas_count() == 0) return "ERR FAILOVER requires connected replicas.";
    if (plan->is_forced && (plan->timeout_ms == 0 || plan->host.len == 0))
        return "ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
    if (plan->host.len >= sizeof failover.host) return "ERR FAILOVER target HOST and PORT is not a replica.";
    return NULL;
}

const char *failover_begin(const struct failover_plan *plan) {
    const char *why = refuse_now(plan);
    if (why) return why;
    failover.host[0] = '\0';
    failover.port = 0;
    if (plan->host.len > 0) {
        memcpy(failover.host, plan->host.ptr, plan->host.len);
        failover.host[plan->host.len] = '\0';
        failover.port = plan->port;
        why = refuse_target();
        if (why) return why;
    }
    failover.is_forced = plan->is_forced;
    failover.until_ms = plan->timeout_ms > 0 ? turn_now_ms + plan->timeout_ms : 0;
    if (plan->timeout_ms > INT64_MAX - turn_now_ms) failover.until_ms = INT64_MAX;
    char room[300];
    LOG_NOTICE("FAILOVER requested to %s.", target(room));
    pause_begin(PAUSE_FOR_FAILOVER, PAUSE_WRITES, PAUSE_UNTIL_ENDED);
    atomic_store(&failover.state, FAILOVER_WAITS_FOR_SYNC);
    replicas_watch(&watch);
    replicas_look_soon(); /* perhaps one has everything already */
    return NULL;
}

bool failover_abort(void) {
    settle();
    if (failover_state() == NO_FAILOVER) return false;
    give_up("Failover manually aborted");
    return true;
}

/* ---- of another server ---- */

const char *failover_accept(struct slice id, const char *peer) {
    LOG_NOTICE("Failover request received for replid %.*s.", id.len < 100 ? (int)id.len : 100, id.ptr);
    if (!primary_is_set()) return "ERR PSYNC FAILOVER can't be sent to a master.";
    bool matches = slice_equal_nocase(id, slice_make(replication_ids.now, REPLID_CHARS));
    if (!matches || !primary_data_is_known()) return "ERR PSYNC FAILOVER replid must match my replid.";
    (void)primary_leave();
    LOG_NOTICE("MASTER MODE enabled (failover request from '%s')", peer);
    return NULL;
}
