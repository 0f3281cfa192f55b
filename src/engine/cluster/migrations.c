/* migrations.c: the list of migrations, and what both ends of one have in common. See migrations.h. */
#include "trivet/engine/cluster/migrations.h"
#include "migration.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/base/random.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/link.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/persist/journal_sink.h"

#define SIGN_OF_LIFE_MS 1000

struct chain migrations;

static const char *const state_names[] = {
    [EXPORT_CONNECTING] = "connecting",
    [EXPORT_SENDING_AUTH] = "sending-auth-command",
    [EXPORT_READING_AUTH] = "reading-auth-response",
    [EXPORT_SENDING_ESTABLISH] = "sending-establish-command",
    [EXPORT_READING_ESTABLISH] = "reading-establish-response",
    [EXPORT_WAITING] = "waiting-to-snapshot",
    [EXPORT_SNAPSHOTTING] = "snapshotting",
    [EXPORT_REPLICATING] = "replicating",
    [EXPORT_WAITING_TO_PAUSE] = "waiting-to-pause",
    [EXPORT_PAUSED] = "failover-paused",
    [EXPORT_GRANTED] = "failover-granted",
    [IMPORT_SNAPSHOT] = "receiving-snapshot",
    [IMPORT_WAITING_FOR_PAUSED] = "waiting-for-paused",
    [IMPORT_REQUESTED] = "failover-requested",
    [IMPORT_GRANTED] = "failover-granted",
    [IMPORT_OF_PRIMARY] = "occurring-on-primary",
    [MIGRATION_SUCCESS] = "success",
    [MIGRATION_FAILED] = "failed",
    [MIGRATION_CANCELLED] = "cancelled",
};

#define MIGRATIONS_EACH(m) CHAIN_EACH(&migrations, struct migration, in_all, m)

/* ---- the list ---- */

static void name_at_random(struct migration *m) {
    struct node_id id = member_new_id();
    memcpy(m->name, id.text, MIGRATION_NAME_LEN);
}

struct migration *migration_new(bool is_import, const struct node_id *source, const struct node_id *target,
                                const struct slot_set *slots, struct slice name) {
    struct migration *m = mem_alloc_zero(sizeof *m);
    m->is_import = is_import;
    m->source = *source;
    m->target = *target;
    m->slots = *slots;
    m->created_s = m->updated_s = clock_wall_ms() / 1000;
    m->heard_ms = m->said_ms = clock_wall_ms();
    if (name.len == MIGRATION_NAME_LEN)
        memcpy(m->name, name.ptr, name.len);
    else
        name_at_random(m);
    chain_insert_first(&migrations, &m->in_all);
    return m;
}

static void forget(struct migration *m) {
    chain_remove(&migrations, &m->in_all);
    buf_release(&m->message);
    mem_free(m);
}

/* cluster-slot-migration-log-max-len bounds those that are over. */
static void trim(void) {
    int64_t over = 0;
    MIGRATIONS_EACH(m)
    if (migration_is_over(m) && ++over > options.cluster_slot_migration_log_max_len) forget(m);
}

bool migration_touches(const struct migration *m, const struct slot_set *slots) {
    for (size_t i = 0; i < sizeof slots->bits; i++)
        if (m->slots.bits[i] & slots->bits[i]) return true;
    return false;
}

struct migration *migration_of_client(const struct client *c) {
    MIGRATIONS_EACH(m)
    if (m->client == c->id && !migration_is_over(m)) return m;
    return NULL;
}

static bool is_on_its_way(unsigned slot, bool is_import) {
    MIGRATIONS_EACH(m)
    if (m->is_import == is_import && !migration_is_over(m) && slot_set_has(&m->slots, slot)) return true;
    return false;
}

static bool arrives(const struct migration *m) { return m->is_import && !migration_is_over(m); }

bool migrations_any_import(void) {
    MIGRATIONS_EACH(m)
    if (arrives(m)) return true;
    return false;
}

void migrations_each_import(void (*visit)(void *arg, struct slice name, struct slice ends), void *arg) {
    MIGRATIONS_EACH(m) {
        struct buf ends = { 0 };
        unsigned first, last;
        if (!arrives(m)) continue;
        for (unsigned from = 0; slot_set_next_range(&m->slots, from, &first, &last); from = last + 1) {
            const uint16_t pair[2] = { (uint16_t)first, (uint16_t)last };
            buf_append(&ends, slice_make((const char *)pair, sizeof pair));
        }
        visit(arg, slice_make(m->name, MIGRATION_NAME_LEN), buf_slice(&ends));
        buf_release(&ends);
    }
}

bool migrations_export(unsigned slot) { return is_on_its_way(slot, false); }
bool migrations_import(unsigned slot) { return is_on_its_way(slot, true); }

static const char *state_of(const struct migration *m) {
    if (m->dial) return state_names[atomic_load(&m->dial->stage)];
    return state_names[m->state];
}

void migrations_each(void (*visit)(void *arg, const struct migration_facts *facts), void *arg) {
    MIGRATIONS_EACH(m) {
        const struct migration_facts facts = {
            .name = slice_make(m->name, MIGRATION_NAME_LEN),
            .is_import = m->is_import,
            .is_primarys = m->is_import && node_id_is_none(&m->target),
            .slots = &m->slots,
            .source = m->source,
            .target = m->target,
            .created_s = m->created_s,
            .updated_s = m->updated_s,
            .acknowledged_s = m->heard_ms / 1000,
            .state = state_of(m),
            .message = buf_slice(&m->message),
        };
        visit(arg, &facts);
    }
}

/* ---- states ---- */

static const char *kind_of(const struct migration *m) { return m->is_import ? "import" : "export"; }

void migration_go_to(struct migration *m, enum migration_state state) {
    m->state = state;
    m->updated_s = clock_wall_ms() / 1000;
    LOG_NOTICE("Slot %s %.*s: %s", kind_of(m), MIGRATION_NAME_LEN, m->name, state_names[state]);
}

/* Who has taken over leaves the closing to the source, which then has heard of it by the bus. */
static void close_link(struct migration *m) {
    if (m->is_import && m->state == MIGRATION_SUCCESS) return;
    struct client *c = m->client ? client_find_anywhere(m->client) : NULL;
    m->client = 0;
    if (c && !(c->flags & CLIENT_CLOSING)) client_kill(c, NULL, "the slot migration is over");
}

void migration_end(struct migration *m, enum migration_state state, const char *why) {
    assert(exclusive_is_mine() && state >= MIGRATION_SUCCESS);
    if (migration_is_over(m)) return;
    buf_append(&m->message, slice_of(why));
    m->state = state;
    m->updated_s = clock_wall_ms() / 1000;
    if (state == MIGRATION_SUCCESS)
        LOG_NOTICE("Slot %s %.*s succeeded", kind_of(m), MIGRATION_NAME_LEN, m->name);
    else
        LOG_WARNING("Slot %s %.*s %s: %s. The slots stay where they are.", kind_of(m), MIGRATION_NAME_LEN,
                    m->name, state_names[state], why);
    close_link(m);
    if (m->is_import)
        import_release(m);
    else
        export_release(m);
}

void migration_fail(struct migration *m, const char *why) {
    exclusive_begin();
    migration_end(m, MIGRATION_FAILED, why);
    exclusive_end();
}

bool migrations_cancel(void) {
    bool any = false;
    MIGRATIONS_EACH(m) {
        if (m->is_import || migration_is_over(m)) continue;
        any = true;
        migration_end(m, MIGRATION_CANCELLED, "Cancelled by CLUSTER CANCELSLOTMIGRATIONS");
    }
    return any;
}

/* ---- words ---- */

void migration_establish(const struct migration *m,
                         void (*emit)(void *arg, const struct slice *argv, size_t argc), void *arg) {
    const struct slice head[] = { LIT_INIT("CLUSTER"),
                                  LIT_INIT("SYNCSLOTS"),
                                  LIT_INIT("ESTABLISH"),
                                  LIT_INIT("SOURCE"),
                                  node_id_slice(&m->source),
                                  LIT_INIT("NAME"),
                                  slice_make(m->name, MIGRATION_NAME_LEN),
                                  LIT_INIT("SLOTSRANGE") };
    size_t most = COUNT_OF(head) + slot_set_count(&m->slots) * 2, argc = COUNT_OF(head);
    struct slice *argv = mem_alloc(most * sizeof *argv);
    char *digits = mem_alloc(most * INT64_TEXT_MAX), *at = digits;
    unsigned first, last;
    memcpy(argv, head, sizeof head);
    for (unsigned from = 0; slot_set_next_range(&m->slots, from, &first, &last); from = last + 1) {
        const unsigned ends[2] = { first, last };
        for (size_t i = 0; i < 2; i++) {
            size_t len = uint64_format(at, ends[i]);
            argv[argc++] = slice_make(at, len);
            at += len;
        }
    }
    emit(arg, argv, argc);
    mem_free(digits);
    mem_free(argv);
}

void migration_send(struct client *c, struct slice wire) {
    bool was_muted = c->reply.muted;
    c->reply.muted = false;
    reply_raw(&c->reply, wire);
    c->reply.muted = was_muted;
    client_hooks.output(c);
}

void migration_say(struct client *c, const char *word) {
    struct buf wire = { 0 };
    const struct slice argv[] = { LIT_INIT("CLUSTER"), LIT_INIT("SYNCSLOTS"), slice_of(word) };
    wire_command(&wire, argv, 3);
    migration_send(c, buf_slice(&wire));
    buf_release(&wire);
}

void migrations_hear(struct client *c, enum migration_word word) {
    struct migration *m = migration_of_client(c);
    if (!m) return; /* it is over, and the link is being closed */
    m->heard_ms = clock_wall_ms();
    if (m->is_import)
        import_hear(m, c, word);
    else
        export_hear(m, word);
}

/* ---- what may happen to all ---- */

static void look_at_all(void (*look)(struct migration *m)) {
    MIGRATIONS_EACH(m)
    if (!migration_is_over(m)) look(m);
}

/* What has arrived is gone with everything else. It is seen with the next tick, or at the end. */
static void note_flush(void) {
    MIGRATIONS_EACH(m)
    m->was_flushed |= m->is_import;
}

static void look_at_owners(struct migration *m) {
    if (m->is_import)
        import_owners_changed(m);
    else
        export_owners_changed(m);
}

void migrations_routes_changed(void) {
    if (!chain_is_empty(&migrations)) look_at_all(look_at_owners);
}

void migrations_link_lost(const struct client *c) {
    exclusive_begin();
    struct migration *m = migration_of_client(c);
    export_forget_link(c);
    if (m) m->client = 0; /* it is being closed already */
    /* Once the failover is granted the target may have the slots: then the bus says so, or the time is up. */
    if (m && m->state != EXPORT_GRANTED) migration_end(m, MIGRATION_FAILED, "The connection was lost");
    exclusive_end();
}

/* The other end answered with an error, or could not run what it was sent. */
static void link_failed(struct client *c, struct slice why) {
    char text[200];
    size_t len = why.len < sizeof text ? why.len : sizeof text - 1;
    memcpy(text, why.ptr, len);
    text[len] = '\0';
    exclusive_begin();
    struct migration *m = migration_of_client(c);
    if (m) migration_end(m, MIGRATION_FAILED, text);
    exclusive_end();
}

static void tick(struct migration *m) {
    int64_t now_ms = turn_now_ms;
    bool has_link = m->client != 0, is_due = now_ms - m->said_ms >= SIGN_OF_LIFE_MS;
    if (has_link && now_ms - m->heard_ms > options.repl_timeout_s * 1000) {
        migration_fail(m, "The other node was silent for repl-timeout");
        return;
    }
    if (m->was_flushed && m->state != IMPORT_OF_PRIMARY) {
        migration_fail(m, "The data was flushed");
        return;
    }
    if (is_due) m->said_ms = now_ms;
    if (m->is_import)
        import_tick(m, is_due);
    else
        export_tick(m, is_due);
}

void migrations_cron(void) {
    if (chain_is_empty(&migrations)) return;
    trim();
    look_at_all(tick);
}

void migrations_start(void) {
    slot_link_failed = link_failed;
    slot_data_flushed = note_flush;
    export_start();
}

void migrations_stop(void) {
    dials_stop();
    gate_enter();
    exclusive_begin();
    MIGRATIONS_EACH(m) {
        m->dial = NULL; /* its letter frees it */
        if (!migration_is_over(m)) migration_end(m, MIGRATION_FAILED, "This node ends");
    }
    MIGRATIONS_EACH(m) forget(m);
    exclusive_end();
    gate_leave();
}
