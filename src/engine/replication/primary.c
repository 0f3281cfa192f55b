/* primary.c: see primary.h.
 *
 *     NONE -> CONNECT -> an attempt on its thread -> CONNECTED -> the link breaks -> CONNECT ...
 *
 * An attempt that was cancelled goes on until it notices, and what it brings is thrown away. */
#include "trivet/engine/replication/primary.h"
#include "attempt.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/replication/apply.h"
#include "trivet/engine/replication/failover.h"
#include "trivet/engine/replication/heartbeat.h"
#include "trivet/engine/replication/local_keys.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/persist/journal.h"
#include <string.h>
#include <unistd.h>

#define RETRY_MS 1000
#define ACKNOWLEDGE_MS 1000
#define SIGN_OF_LIFE_MS 1000

struct primary_hooks primary_hooks;

/* Changed with the gate closed, unless said. */
static struct {
    char *host; /* NULL: this server is no replica */
    int port;
    bool asks_for_all;       /* the data is of no known history: a load was broken off */
    struct attempt *attempt; /* the present one; NULL: none */
    struct chain running;    /* all whose threads run, cancelled ones too */
    struct client *client;   /* the link; NULL: down */
    bool is_old;             /* the link's primary knows only SYNC */
    int64_t down_since_ms;   /* 0: the link was never up */
    /* Worker 0's. */
    int64_t next_try_ms, acknowledged_ms, sign_of_life_ms;
    /* Written by worker 0, read by any. */
    _Atomic int64_t io_ms;
    _Atomic uint64_t received;
} primary;

bool primary_is_set(void) { return primary.host != NULL; }
bool primary_data_is_known(void) { return !primary.asks_for_all; }
const char *primary_host(void) { return primary.host; }
int primary_port(void) { return primary.port; }
struct client *primary_client(void) {
    return primary.client;
}

enum primary_link primary_link(void) {
    if (!primary.host) return LINK_NONE;
    if (primary.client) return LINK_CONNECTED;
    return primary.attempt ? atomic_load(&primary.attempt->stage) : LINK_CONNECT;
}

/* ---- trying ---- */

static int listening_port(void) {
    if (options.replica_announce_port) return (int)options.replica_announce_port;
    return (int)(options.tls_replication && options.tls_port ? options.tls_port : options.port);
}

static bool has_keys(void) {
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (keyspace_count(db) > 0) return true;
    return false;
}

/* Where the file is received; NULL: in memory. */
static char *rdb_path(void) {
    bool in_memory = options.repl_diskless_load != DISKLESS_DISABLED;
    if (options.repl_diskless_load == DISKLESS_EMPTY_DB) in_memory = !has_keys();
    if (in_memory) return NULL;
    struct buf path = { 0 };
    buf_printf(&path, "%s/temp-%lld.%d.rdb", options.dir, (long long)(turn_now_ms / 1000), (int)getpid());
    char *text = slice_to_cstr(buf_slice(&path));
    buf_release(&path);
    return text;
}

static void attempt_done(struct letter *l);

static struct attempt *attempt_new(void) {
    struct attempt *a = mem_alloc_zero(sizeof *a);
    a->done.run = attempt_done;
    a->host = mem_strdup(primary.host);
    a->port = primary.port;
    a->source = mem_strdup(options.bind_source_addr);
    a->user = mem_strdup(options.primaryuser);
    a->password = mem_strdup(options.primaryauth);
    a->announce_ip = mem_strdup(options.replica_announce_ip);
    a->node_id = slice_to_cstr(primary_hooks.node_id ? primary_hooks.node_id() : LIT(""));
    a->rdb_path = rdb_path();
    a->load.beside = options.repl_diskless_load == DISKLESS_SWAPDB;
    a->listening_port = listening_port();
    a->timeout_ms = options.repl_timeout_s * 1000;
    a->tls = options.tls_replication;
    a->no_checksum = !options.rdbchecksum;
    a->any_version = options.rdb_version_check != 0;
    a->asks_for_all = primary.asks_for_all;
    a->is_failover = failover_state() == FAILOVER_IN_PROGRESS;
    memcpy(a->asked_id, replication_ids.now, sizeof a->asked_id);
    a->asked_offset = (int64_t)backlog_offset() + 1;
    atomic_init(&a->stage, LINK_CONNECTING);
    return a;
}

static void try_now(void) {
    LOG_NOTICE("Connecting to MASTER %s:%d", primary.host, primary.port);
    struct attempt *a = attempt_new();
    if (attempt_start(a)) {
        primary.attempt = a;
        chain_insert_last(&primary.running, &a->in_running);
        return;
    }
    attempt_free(a); /* the log says that there is no thread */
    primary.next_try_ms = turn_now_ms + RETRY_MS;
}

static void cancel_attempt(void) {
    if (!primary.attempt) return;
    atomic_store(&primary.attempt->is_cancelled, true);
    primary.attempt = NULL;
}

static void attempt_over(struct attempt *a) {
    if (primary.attempt == a) {
        primary.attempt = NULL;
        primary.next_try_ms = turn_now_ms + RETRY_MS;
    }
    chain_remove(&primary.running, &a->in_running);
    attempt_free(a);
}

/* ---- the link is up ---- */

static void become_link(struct client *c, const struct attempt *a) {
    int64_t db = backlog_database();
    c->flags |= CLIENT_PRIMARY;
    c->authenticated = true;
    c->db = db < 0 ? 0 : (uint32_t)db;
    c->reply.muted = true;
    primary.client = c;
    primary.is_old = a->is_old;
    atomic_store(&primary.io_ms, turn_now_ms);
    atomic_store(&primary.received, backlog_offset() + a->received.len);
    primary_check_stale();
    if (!a->is_old) apply_acknowledge(c);
}

static void adopt(struct attempt *a) {
    struct client *c = primary_hooks.adopt(a->socket, buf_slice(&a->received));
    a->socket.fd = -1;
    if (c) become_link(c, a);
    attempt_over(a);
}

static void go_on_with_stream(struct attempt *a) {
    struct slice id = slice_make(a->id, REPLID_CHARS);
    LOG_NOTICE("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
    if (!slice_equal_nocase(id, slice_make(replication_ids.now, REPLID_CHARS))) {
        replication_ids_shift(id);
        LOG_NOTICE("Master replication ID changed to %s", replication_ids.now);
        replicas_cut_off_all("the history has a new id");
    }
    bool is_failover = a->is_failover;
    adopt(a);
    if (is_failover) failover_succeeded();
}

/* ---- all data is new ---- */

/* Worker 0, in a turn after the loading. */
static void after_load(struct letter *l) {
    struct attempt *a = CONTAINER_OF(l, struct attempt, done);
    exclusive_begin();
    if (primary.attempt == a && a->outcome == ATTEMPT_FULL)
        adopt(a);
    else
        attempt_over(a);
    exclusive_end();
}

/* primary_load.drops */
static void drop_history(const struct primary_load *load) {
    (void)load;
    replicas_cut_off_all("all data is replaced by the master's");
    local_keys_forget();
    primary.asks_for_all = true; /* until the new data is loaded */
}

/* primary_load.done */
static void take_history(const struct primary_load *load) {
    const struct attempt *a = CONTAINER_OF(load, struct attempt, load);
    if (a->is_old)
        replication_ids_renew();
    else
        replication_ids_adopt(slice_make(a->id, REPLID_CHARS));
    backlog_restart(a->is_old ? 0 : a->offset, load->db);
    primary.asks_for_all = false;
}

/* Worker 0, between two turns. */
static void load(void *arg) {
    struct attempt *a = arg;
    struct buf why = { 0 };
    LOG_NOTICE("MASTER <-> REPLICA sync: Loading DB in memory");
    if (primary_hooks.load(&a->load, &why)) {
        LOG_NOTICE("MASTER <-> REPLICA sync: Finished with success");
    } else {
        LOG_WARNING("Failed trying to load the MASTER synchronization DB from %s: %.*s",
                    a->rdb_path ? "disk" : "memory", SLICE_ARG(buf_slice(&why)));
        a->outcome = ATTEMPT_FAILED;
    }
    buf_release(&why);
    a->done.run = after_load;
    worker_post(0, &a->done);
}

/* Is our data an older state of what comes? */
static bool is_of_our_history(const struct attempt *a) {
    struct slice id = slice_make(a->id, REPLID_CHARS);
    if (a->is_old || primary.asks_for_all) return false;
    return slice_equal_nocase(id, slice_make(replication_ids.now, REPLID_CHARS)) ||
           slice_equal_nocase(id, slice_make(replication_ids.before, REPLID_CHARS));
}

static void replace_data(struct attempt *a) {
    struct primary_load *l = &a->load;
    if (a->is_failover) failover_succeeded();
    l->fd = a->rdb_fd;
    l->path = a->rdb_path;
    l->serves = l->beside && is_of_our_history(a);
    l->drops = drop_history;
    l->done = take_history;
    obstacle_set(l->serves ? OBSTACLE_LOADING_BESIDE : OBSTACLE_LOADING, true);
    primary_hooks.run_between_turns(load, a);
}

/* ---- the end of an attempt ---- */

static void attempt_failed(struct attempt *a) {
    LOG_WARNING("MASTER <-> REPLICA sync: %.*s", SLICE_ARG(buf_slice(&a->why)));
    bool is_failover = a->is_failover, refused = a->refused_failover, knows = a->is_primary_already;
    bool is_open = a->was_asked && !a->was_answered;
    attempt_over(a);
    if (is_failover && refused)
        failover_refused(knows);
    else if (is_failover)
        failover_unanswered(is_open);
}

static void attempt_unwanted(struct attempt *a) {
    if (a->is_failover && a->outcome != ATTEMPT_FAILED)
        LOG_WARNING("The failover was aborted, but %s:%d had taken over already: it is a primary, too",
                    a->host, a->port);
    attempt_over(a);
}

/* On worker 0. */
static void attempt_done(struct letter *l) {
    struct attempt *a = CONTAINER_OF(l, struct attempt, done);
    exclusive_begin();
    if (primary.attempt != a) {
        attempt_unwanted(a);
    } else if (a->outcome == ATTEMPT_CONTINUES) {
        go_on_with_stream(a);
    } else if (a->outcome == ATTEMPT_FULL) {
        replace_data(a);
    } else {
        attempt_failed(a);
    }
    exclusive_end();
}

/* ---- the link is down ---- */

static void close_link(const char *why) {
    if (primary.client) client_kill(primary.client, NULL, why);
    primary.client = NULL;
    apply_forget();
}

void primary_lost(struct client *c) {
    exclusive_begin();
    if (primary.client == c) {
        LOG_NOTICE("Connection with master lost.");
        primary.client = NULL;
        primary.down_since_ms = turn_now_ms;
        primary.next_try_ms = 0;
        primary_check_stale();
        apply_forget();
    }
    exclusive_end();
}

void primary_note_read(size_t bytes) {
    atomic_store_explicit(&primary.io_ms, turn_now_ms, memory_order_relaxed);
    atomic_fetch_add_explicit(&primary.received, bytes, memory_order_relaxed);
}

/* ---- roles ---- */

static void note_setting(void) {
    if (options.cluster_enabled) return; /* nodes.conf says it there */
    struct buf text = { 0 };
    if (primary.host) buf_printf(&text, "%s %d", primary.host, primary.port);
    mem_free(options.replicaof);
    options.replicaof = slice_to_cstr(buf_slice(&text));
    buf_release(&text);
}

static void end_wait(struct client *c, void *arg) {
    (void)arg;
    if (c && c->blocked) (void)blocking_finish(c, UNBLOCK_ROLE);
}

static void note_redirect(void) {
    static char *text;
    struct buf now = { 0 };
    if (primary.host) buf_printf(&now, "REDIRECT %s:%d", primary.host, primary.port);
    mem_free(text);
    text = primary.host ? slice_to_cstr(buf_slice(&now)) : NULL;
    client_redirect_text = text;
    buf_release(&now);
}

void primary_check_stale(void) {
    bool is_stale = primary.host && !primary.client && failover_state() == NO_FAILOVER;
    bool must_refuse = is_stale && !options.replica_serve_stale_data;
    if (obstacle_is_set(OBSTACLE_STALE) != must_refuse) obstacle_set(OBSTACLE_STALE, must_refuse);
}

/* What follows from host, port and link. */
static void note_primary(void) {
    note_setting();
    note_redirect();
    primary_check_stale();
    heartbeat_check_replicas();
}

/* It reads, here is as good as at the primary, and it knows. */
static bool may_go_on_waiting(const struct client *c) {
    uint32_t needed = CLIENT_CAPA_REDIRECT | CLIENT_READONLY_SLOT;
    return (c->flags & needed) == needed && (c->last_command->flags & READS);
}

void primary_end_waits(void) {
    for (int worker = 0; worker < thread_worker_count; worker++) CLIENTS_OF(worker, c)
    if ((c->flags & CLIENT_BLOCKED) && !may_go_on_waiting(c)) client_post(worker, c->id, end_wait, NULL);
}

static void become_replica(void) {
    change_flush_quietly();
    if (!backlog_is_open()) backlog_open();
    backlog_set_copied(true);
    obstacle_set(OBSTACLE_REPLICA, true);
    log_set_role('S');
}

static void set_primary(struct slice host, int port) {
    cancel_attempt();
    close_link("another master was named");
    mem_free(primary.host);
    primary.host = slice_to_cstr(host);
    primary.port = port;
    primary.down_since_ms = 0;
    primary.next_try_ms = 0;
    note_primary();
}

bool primary_follow(struct slice host, int port) {
    assert(exclusive_is_mine());
    if (primary.host && port == primary.port && slice_equal_nocase(host, slice_of(primary.host)))
        return false;
    if (!primary.host) {
        become_replica();
        primary_end_waits();
    }
    set_primary(host, port);
    return true;
}

void primary_follow_for_failover(const char *host, int port) {
    assert(exclusive_is_mine() && !primary.host);
    become_replica();
    set_primary(slice_of(host), port);
    try_now();
}

void primary_ask_for_all(const char *why) {
    assert(exclusive_is_mine() && primary.host);
    cancel_attempt();
    close_link(why);
    primary.asks_for_all = true;
    primary.down_since_ms = turn_now_ms;
    primary.next_try_ms = 0;
}

static void forget_primary(void) {
    cancel_attempt();
    close_link("the server is no replica any more");
    mem_free(primary.host);
    primary.host = NULL;
    note_primary();
}

static void become_primary(void) {
    backlog_set_copied(false);
    obstacle_set(OBSTACLE_REPLICA, false);
    log_set_role('M');
    local_keys_forget();
    saving_data_came(false, 0); /* a load that failed had turned the append-only file off */
}

void primary_leave_unchanged(void) {
    assert(exclusive_is_mine() && primary.host && !primary.client);
    forget_primary();
    become_primary();
}

bool primary_leave(void) {
    assert(exclusive_is_mine());
    if (!primary.host) return false;
    forget_primary();
    if (primary.asks_for_all)
        replication_ids_renew();
    else
        replication_ids_shift(LIT(""));
    primary.asks_for_all = false;
    replicas_cut_off_all("the history has a new id");
    become_primary();
    backlog_forget_database();
    return true;
}

/* ---- now and then ---- */

static void tend_link(struct client *c, int64_t now_ms) {
    if (now_ms - atomic_load(&primary.io_ms) > options.repl_timeout_s * 1000) {
        LOG_WARNING("MASTER timeout: no data nor PING received...");
        client_hooks.close(c, "the master is silent");
    } else if (!primary.is_old && now_ms - primary.acknowledged_ms >= ACKNOWLEDGE_MS) {
        primary.acknowledged_ms = now_ms;
        apply_acknowledge(c);
    }
}

void primary_cron(int64_t now_ms) {
    if (!primary.host) return;
    if (primary.client) {
        tend_link(primary.client, now_ms);
    } else if (!primary.attempt && now_ms >= primary.next_try_ms && !obstacle_is_set(OBSTACLE_LOADING)) {
        exclusive_begin();
        if (primary.host && !primary.attempt && !primary.client) try_now();
        exclusive_end();
    }
}

void primary_note_loading(void) {
    struct attempt *a = primary.attempt;
    if (!a || turn_now_ms - primary.sign_of_life_ms < SIGN_OF_LIFE_MS) return;
    primary.sign_of_life_ms = turn_now_ms;
    struct iovec newline = { unconst("\n"), 1 };
    (void)socket_write_vectors(&a->socket, &newline, 1); /* a link that broke is noticed later */
}

void primary_start(void) {
    const char *space = strrchr(options.replicaof, ' ');
    if (!space) return;
    int64_t port;
    struct slice host = slice_between(options.replicaof, space);
    bool good = int64_parse(slice_of(space + 1), &port);
    assert(good); /* the setting was checked */
    struct buf copy = { 0 };
    buf_append(&copy, host);
    (void)primary_follow(buf_slice(&copy), (int)port);
    buf_release(&copy);
}

void primary_stop(void) {
    failover_stop();
    CHAIN_EACH(&primary.running, struct attempt, in_running, a) {
        atomic_store(&a->is_cancelled, true);
        attempt_join(a);
    }
    primary.attempt = NULL;
}

void primary_facts(struct primary_facts *out) {
    const struct attempt *a = primary.attempt;
    *out = (struct primary_facts){ .link = primary_link(),
                                   .io_ms = atomic_load(&primary.io_ms),
                                   .down_since_ms = primary.down_since_ms,
                                   .received =
                                       primary.client ? atomic_load(&primary.received) : backlog_offset() };
    if (!a) return;
    out->rdb_total = atomic_load(&a->rdb_total);
    out->rdb_received = atomic_load(&a->rdb_received);
    out->rdb_io_ms = atomic_load(&a->io_ms);
}
