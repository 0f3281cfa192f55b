/* migration_export.c: slots that leave this node. Its link is a client of worker 0. */
#include "migration.h"
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"

#define ALWAYS_ALLOWED ((size_t)64 * 1024)   /* bytes that hold nobody up: with writers, some always wait */
#define OUTPUT_MAX ((size_t)2 * 1024 * 1024) /* more is given to the link only when so much has gone */

static atomic_int walking;            /* exports whose keys are being read */
static _Atomic(struct client *) full; /* a link that takes nothing more: a client of worker 0 */

/* ---- bytes on their way ---- */

static bool has_room(const struct client *c) { return c->reply.bytes <= OUTPUT_MAX; }

/* Gives the link what waits. */
static void pump(struct migration *m) {
    static struct buf spare;
    struct client *c = m->client ? client_find_here(m->client) : NULL;
    if (!c || !m->export || slot_export_waiting(m->export) == 0) return;
    if (!has_room(c)) {
        full = c;
        return;
    }
    slot_export_take(m->export, &spare);
    migration_send(c, buf_slice(&spare));
    buf_clear(&spare);
}

static void say(struct migration *m, const char *word) {
    const struct slice argv[] = { LIT_INIT("CLUSTER"), LIT_INIT("SYNCSLOTS"), slice_of(word) };
    slot_export_put(m->export, argv, 3);
}

static void pump_all(void) {
    CHAIN_EACH(&migrations, struct migration, in_all, m)
    if (!m->is_import && !migration_is_over(m)) pump(m);
}

static void on_bytes(struct letter *letter) {
    mem_free(letter);
    pump_all();
}

/* From any worker, under a shard's lock. */
static void wake(void) {
    struct letter *letter = mem_alloc(sizeof *letter);
    letter->run = on_bytes;
    worker_post(0, letter);
}

void export_start(void) { slot_export_wakes = wake; }

void export_forget_link(const struct client *c) {
    if (atomic_load(&full) == c) atomic_store(&full, NULL);
}

/* ---- reading ---- */

bool migrations_are_due(void) {
    if (worker_self() != 0) return false;
    const struct client *waits = atomic_load_explicit(&full, memory_order_relaxed);
    if (UNLIKELY(waits != NULL)) return has_room(waits);
    return UNLIKELY(atomic_load_explicit(&walking, memory_order_relaxed) > 0);
}

static void read_keys(struct migration *m, int64_t now_ms, int64_t slice_us) {
    pump(m);
    if (full || slot_export_walk(m->export, now_ms, slice_us)) return;
    atomic_fetch_sub(&walking, 1);
    migration_go_to(m, EXPORT_REPLICATING);
    say(m, "SNAPSHOT-EOF");
}

void migrations_go_on(int64_t now_ms, int64_t slice_us) {
    if (worker_self() != 0) return;
    full = NULL;
    CHAIN_EACH(&migrations, struct migration, in_all, m) {
        if (m->state == EXPORT_SNAPSHOTTING) read_keys(m, now_ms, slice_us);
        if (!m->is_import && !migration_is_over(m)) pump(m);
    }
}

/* ---- beginning ---- */

static struct migration *with_dial(const struct migration_dial *d) {
    CHAIN_EACH(&migrations, struct migration, in_all, m)
    if (m->dial == d) return m;
    return NULL;
}

/* The target has agreed: from this instant on nothing of the slots is missed. */
static void adopt(struct migration *m, struct migration_dial *d) {
    struct client *c = primary_hooks.adopt(d->socket, buf_slice(&d->received));
    d->socket.fd = -1;
    if (!c) {
        migration_end(m, MIGRATION_FAILED, "The link cannot become a connection");
        return;
    }
    c->flags |= CLIENT_SLOT_EXPORT;
    c->authenticated = true;
    c->reply.muted = true;
    m->client = c->id;
    m->heard_ms = clock_wall_ms();
    m->export = slot_export_begin(&m->slots);
    atomic_fetch_add(&walking, 1);
    migration_go_to(m, EXPORT_SNAPSHOTTING);
}

static void dial_done(struct letter *letter) {
    struct migration_dial *d = CONTAINER_OF(letter, struct migration_dial, done);
    exclusive_begin();
    struct migration *m = with_dial(d);
    if (m) m->dial = NULL;
    if (m && d->socket.fd >= 0)
        adopt(m, d);
    else if (m)
        migration_end(m, MIGRATION_FAILED, buf_cstr(&d->why));
    exclusive_end();
    dial_free(d);
}

void migrations_begin(const struct slot_set *slots, const struct node_id *target) {
    const struct node_id *self = &member->state.self->id;
    const struct cluster_node *to = cluster_node_find(&member->state, target);
    struct migration *m = migration_new(false, self, target, slots, LIT(""));
    char host[NODE_IP_SIZE];
    struct slice ip = node_ip_slice(&to->ip);
    memcpy(host, ip.ptr, ip.len);
    host[ip.len] = '\0';
    migration_go_to(m, EXPORT_CONNECTING);
    m->dial = dial_start(m, host, member_port(to, options.tls_replication), dial_done);
    if (!m->dial) migration_end(m, MIGRATION_FAILED, "There is no thread for the link");
}

/* ---- the end ---- */

static bool is_drained(const struct migration *m) {
    int64_t allowed = options.slot_migration_max_failover_repl_bytes;
    const struct client *c = client_find_anywhere(m->client);
    size_t left = slot_export_waiting(m->export) + (c ? c->reply.bytes : 0);
    return allowed < 0 || left <= (size_t)allowed || left <= ALWAYS_ALLOWED;
}

/* What was written before is on its way when PAUSED is. Gate closed. */
static void pause_if_drained(struct migration *m) {
    if (!is_drained(m)) return;
    int64_t for_ms = options.cluster_manual_failover_timeout_ms;
    pause_begin(PAUSE_FOR_MIGRATION, PAUSE_WRITES, for_ms);
    m->paused_until_ms = clock_wall_ms() + for_ms;
    migration_go_to(m, EXPORT_PAUSED);
    say(m, "PAUSED");
}

void export_hear(struct migration *m, enum migration_word word) {
    if (word == WORD_ACK) return;
    if (word == WORD_REQUEST_PAUSE && m->state == EXPORT_REPLICATING) {
        migration_go_to(m, EXPORT_WAITING_TO_PAUSE);
        pause_if_drained(m);
    } else if (word == WORD_REQUEST_FAILOVER && m->state == EXPORT_PAUSED) {
        migration_go_to(m, EXPORT_GRANTED);
        say(m, "FAILOVER-GRANTED");
    } else {
        migration_end(m, MIGRATION_FAILED, "The target said something that does not belong here");
    }
}

static bool owns_all(const struct migration *m, const struct node_id *id) {
    SLOT_SET_EACH(&m->slots, slot) {
        const struct cluster_node *owner = member->state.owners[slot];
        if (!owner || !node_id_equal(&owner->id, id)) return false;
    }
    return true;
}

void export_owners_changed(struct migration *m) {
    if (owns_all(m, &m->target))
        migration_end(m, MIGRATION_SUCCESS, "");
    else if (!node_is_primary(member->state.self))
        migration_end(m, MIGRATION_FAILED, "This node is a replica now");
    else if (!owns_all(m, &m->source))
        migration_end(m, MIGRATION_FAILED, "Slots went to another node");
    else if (!cluster_node_find(&member->state, &m->target))
        migration_end(m, MIGRATION_FAILED, "The target was forgotten");
}

static bool is_too_far_behind(const struct migration *m) {
    uint64_t most = options.client_output_buffer_limit[CLASS_REPLICA].hard_bytes;
    return most > 0 && slot_export_waiting(m->export) > most;
}

void export_tick(struct migration *m, bool speaks) {
    if (!m->export) return;
    bool holds = m->state == EXPORT_PAUSED || m->state == EXPORT_GRANTED;
    if (slot_export_failure(m->export)) {
        migration_fail(m, slot_export_failure(m->export));
    } else if (is_too_far_behind(m)) {
        migration_fail(m, "The target is too far behind: client-output-buffer-limit replica was reached");
    } else if (holds && turn_now_ms >= m->paused_until_ms) {
        migration_fail(m, "The target did not take over within cluster-manual-failover-timeout");
    } else if (m->state == EXPORT_WAITING_TO_PAUSE) {
        exclusive_begin();
        pause_if_drained(m);
        exclusive_end();
    }
    if (speaks && !migration_is_over(m)) say(m, "ACK");
}

static bool somebody_holds_writes(void) {
    CHAIN_EACH(&migrations, struct migration, in_all, m)
    if (m->state == EXPORT_PAUSED || m->state == EXPORT_GRANTED) return true;
    return false;
}

void export_release(struct migration *m) {
    if (m->dial) atomic_store(&m->dial->is_cancelled, true);
    m->dial = NULL;
    if (m->export && slot_export_is_walking(m->export)) atomic_fetch_sub(&walking, 1);
    if (m->export) slot_export_end(m->export);
    m->export = NULL;
    atomic_store(&full, NULL);
    if (m->paused_until_ms > 0 && !somebody_holds_writes()) pause_end(PAUSE_FOR_MIGRATION);
}
