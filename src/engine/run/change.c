/* change.c: what follows a write, in one place: watchers, tracking, notifications, the journal.
 *
 * Effects gather in a buffer of the worker (`gathered`) while a command runs; the dispatcher appends them to
 * the journal in one piece before the locks go, so the journal's order is the order in which the locks were
 * held. */
#include "trivet/engine/run/change.h"
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/export.h"
#include "trivet/engine/slots/link.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/database.h"
#include "trivet/keyspace/hidden.h"
#include "trivet/persist/journal.h"

_Thread_local bool change_must_flush;
static _Thread_local struct effects gathered;
static _Thread_local struct slice copied;       /* bytes of the primary's stream, see change_copies */
static _Thread_local const uint32_t *copied_db; /* its database, once they are applied */
static _Thread_local bool is_dropped;           /* what gathers until the command ends is not to be kept */

/* `by`: whose command it was, to whom its own changes need not be reported (NOLOOP); NULL: nobody's. */
static inline void key_changed(struct keyspace_view *view, const struct client *by, uint32_t db,
                               struct slice key) {
    struct shard *s = &shards[keyspace_shard(view, key)];
    if (UNLIKELY(s->interests != NULL)) {
        transaction_touch(s, db, key);
        blocking_key_changed(s, db, key);
    }
    if (UNLIKELY(atomic_load_explicit(&tracking_clients, memory_order_relaxed) > 0))
        tracking_invalidate(by, key);
}

void notify(uint32_t db, enum notify_class class, const char *event, struct slice key) {
    unsigned wanted = (unsigned)options.notify_keyspace_events;
    if (LIKELY(wanted == 0) || !(wanted & class)) return;
    assert(!(class & (NOTIFY_KEYSPACE | NOTIFY_KEYEVENT))); /* ways of telling, not what happened */
    struct buf channel = { 0 };
    if (wanted & NOTIFY_KEYSPACE) {
        buf_printf(&channel, "__keyspace@%u__:", db);
        buf_append(&channel, key);
        pubsub_publish(PUBSUB_CHANNEL, buf_slice(&channel), slice_of(event));
    }
    if (wanted & NOTIFY_KEYEVENT) {
        buf_clear(&channel);
        buf_printf(&channel, "__keyevent@%u__:%s", db, event);
        pubsub_publish(PUBSUB_CHANNEL, buf_slice(&channel), key);
    }
    buf_release(&channel);
}

/* Of a database that files do not hold, only replicas get the effects. */
RARE static void gather_unsaved(uint32_t db, struct effect effect) {
    if (!effects_apart_are_wanted) return;
    effects_add_unsaved(&gathered, db, effect.argv, effect.argc);
    change_must_flush = true;
}

static void gather(uint32_t db, struct effect effect, bool unsaved) {
    if (!effects_are_wanted || effect.argc == 0) return;
    if (UNLIKELY(unsaved)) {
        gather_unsaved(db, effect);
        return;
    }
    effects_add(&gathered, db, effect.argv, effect.argc);
    change_must_flush = true;
}

static void gather_as_it_came(struct call *c, bool unsaved) {
    if (LIKELY(!unsaved))
        effects_add_wire(&gathered, c->view.db, c->wire);
    else if (effects_apart_are_wanted)
        effects_add_unsaved_wire(&gathered, c->view.db, c->wire);
    else
        return;
    change_must_flush = true;
}

/* Does its effect concern only what files do not hold? FLUSHALL and FUNCTION LOAD concern more than the
 * client's database, SWAPDB others. */
static bool is_unsaved(const struct call *c) {
    if (LIKELY(!(database_differences & SOME_ARE_VOLATILE))) return false;
    const struct command *command = c->command;
    int64_t named;
    if (command->flags & NAMES_ITS_DATABASES)
        return int64_parse(c->argv[1], &named) && database_is_volatile((uint32_t)named);
    bool concerns_all =
        (command->flags & ALL_DATABASES) || ((command->categories & CAT_SCRIPTING) && !command->names_keys);
    return !concerns_all && database_is_volatile(c->view.db);
}

/* The command as it came, but under the name by which every journal's reader knows it. */
RARE static void gather_declared(struct call *c, bool unsaved) {
    struct slice *argv = mem_alloc(c->argc * sizeof *argv);
    memcpy(argv, c->argv, c->argc * sizeof *argv);
    argv[0] = slice_of(command_top(c->command)->full_name);
    gather(c->view.db, (struct effect){ argv, c->argc }, unsaved);
    mem_free(argv);
}

void journal_effect(struct call *c, struct effect effect) {
    if (!effects_are_wanted || c->origin->is_journaled || c->origin->is_silent) return;
    bool unsaved = is_unsaved(c);
    if (UNLIKELY(command_is_renamed(c->command)) && effect.argv == c->argv && effect.argc > 0)
        gather_declared(c, unsaved);
    else if (LIKELY(effect.argv == c->argv && effect.argc == c->argc && c->wire.len > 0))
        gather_as_it_came(c, unsaved);
    else
        gather(c->view.db, effect, unsaved);
}

void journal_effect_in(struct call *c, uint32_t db, struct effect effect) {
    if (c->origin->is_journaled || c->origin->is_silent) return;
    gather(db, effect, database_is_volatile(db));
}

/* Save points count what a file would have. */
void count_changes(uint32_t db, size_t times) {
    if (LIKELY(!database_is_volatile(db))) COUNTER_ADD(counters_mine()->dirty, times);
}

ALWAYS_INLINE void tell(struct call *c, uint32_t db, struct slice key, size_t times, enum notify_class class,
                        const char *event) {
    count_changes(db, times);
    key_changed(&c->view, c->client, db, key);
    if (UNLIKELY(options.notify_keyspace_events != 0) && event) notify(db, class, event, key);
}

void changed_in(struct call *c, uint32_t db, struct slice key, size_t times, enum notify_class class,
                const char *event) {
    tell(c, db, key, times, class, event);
}

void changed_times(struct call *c, struct slice key, size_t times, enum notify_class class, const char *event,
                   struct effect effect) {
    tell(c, c->view.db, key, times, class, event);
    journal_effect(c, effect);
}

void changed(struct call *c, struct slice key, enum notify_class class, const char *event,
             struct effect effect) {
    tell(c, c->view.db, key, 1, class, event);
    journal_effect(c, effect);
}

/* ---- collections ---- */

static const enum notify_class class_of_type[TYPE_COUNT] = {
    [TYPE_LIST] = NOTIFY_LIST, [TYPE_SET] = NOTIFY_SET,       [TYPE_HASH] = NOTIFY_HASH,
    [TYPE_ZSET] = NOTIFY_ZSET, [TYPE_STREAM] = NOTIFY_STREAM,
};

bool change_open(struct call *c, struct slice key, enum value_type type, struct keyspace_change *out) {
    if (LIKELY(keyspace_open(&c->view, key, type, out))) return true;
    reply_error(c->out, ERR_WRONGTYPE);
    return false;
}

void change_close_quietly(struct call *c, struct keyspace_change *change, const char *event) {
    (void)keyspace_close(&c->view, change);
    changed_times(c, change->key, 0, class_of_type[change->type], event, EFFECT_NONE);
}

void change_close(struct call *c, struct keyspace_change *change, size_t times, const char *event,
                  struct effect effect) {
    assert(times == 0 || event);
    enum keyspace_closed closed = keyspace_close(&c->view, change);
    if (times > 0) changed_times(c, change->key, times, class_of_type[change->type], event, effect);
    if (UNLIKELY(closed == CLOSED_DELETED)) notify(c->view.db, NOTIFY_GENERIC, "del", change->key);
}

void change_store_entry(struct call *c, struct slice key, struct entry *fresh, size_t times,
                        enum notify_class class, const char *event) {
    struct entry *old = keyspace_write(&c->view, key);
    if (!fresh) {
        if (!old) return;
        keyspace_delete(&c->view, old, options.lazyfree_lazy_server_del);
        changed(c, key, NOTIFY_GENERIC, "del", EFFECT(LIT("DEL"), key));
        return;
    }
    if (old)
        keyspace_replace(&c->view, old, fresh);
    else
        keyspace_insert(&c->view, fresh);
    changed_times(c, key, times, class, event, EFFECT_SAME(c));
}

void change_store(struct call *c, struct slice key, enum value_type type, struct value v, size_t times,
                  const char *event) {
    struct entry *fresh = NULL;
    if (value_ops[type]->count(v) == 0)
        value_ops[type]->free(v);
    else
        fresh = entry_new_value(key, type, v, NO_EXPIRY);
    change_store_entry(c, key, fresh, times, class_of_type[type], event);
}

/* ---- what nobody's command did ---- */

void change_made(struct keyspace_view *view, struct slice key) { notify(view->db, NOTIFY_NEW, "new", key); }

void changing_databases(struct call *c, uint32_t db, uint32_t other) {
    transaction_touch_database(&c->view, db, other);
}

void changed_database(struct call *c, uint32_t db, size_t times, struct effect effect) {
    assert(exclusive_is_mine() && db < keyspace_databases());
    if (UNLIKELY(hidden_slots > 0)) slot_data_flushed();
    count_changes(db, times);
    blocking_databases_changed(db, db);
    if (atomic_load_explicit(&tracking_clients, memory_order_relaxed) > 0) tracking_invalidate_all();
    journal_effect(c, effect);
}

void changed_everything(void) {
    assert(exclusive_is_mine());
    transaction_touch_everything();
    for (uint32_t db = 0; db < keyspace_databases(); db++) blocking_databases_changed(db, db);
    if (atomic_load_explicit(&tracking_clients, memory_order_relaxed) > 0) tracking_invalidate_all();
}

void change_vanished(struct keyspace_view *view, struct slice key, enum vanish_reason reason) {
    if (reason != VANISHED_OVERWRITTEN) key_changed(view, NULL, view->db, key);
    if (reason == VANISHED_SLOT) count_changes(view->db, 1);
    if (reason == VANISHED_EXPIRED) notify(view->db, NOTIFY_EXPIRED, "expired", key);
    if (reason == VANISHED_SLOT) notify(view->db, NOTIFY_GENERIC, "del", key);
    if (reason == VANISHED_EVICTED) notify(view->db, NOTIFY_EVICTED, "evicted", key);
    const struct slice argv[] = { LIT_INIT("DEL"), key };
    gather(view->db, (struct effect){ argv, 2 }, database_is_volatile(view->db));
}

void change_elements_vanished(struct keyspace_view *view, struct slice key, const struct gone *gone,
                              bool emptied) {
    assert(gone->count > 0 && gone->count <= GONE_MAX);
    struct slice argv[2 + GONE_MAX] = { LIT_INIT("HDEL"), key };
    for (size_t i = 0; i < gone->count; i++) argv[2 + i] = gone->names[i];
    key_changed(view, NULL, view->db, key);
    notify(view->db, NOTIFY_HASH, "hexpired", key);
    if (emptied) notify(view->db, NOTIFY_GENERIC, "del", key);
    gather(view->db, (struct effect){ argv, 2 + gone->count }, database_is_volatile(view->db));
}

void change_missed(struct keyspace_view *view, struct slice key) {
    notify(view->db, NOTIFY_KEY_MISS, "keymiss", key);
}

static uint64_t flush(struct copied stream) {
    if (UNLIKELY(is_dropped)) {
        effects_clear(&gathered);
        is_dropped = false;
    }
    if (LIKELY(gathered.count == 0 && stream.bytes.len == 0)) return 0;
    if (UNLIKELY(slot_exports_are_on)) slot_exports_follow(&gathered);
    return journal_append(&gathered, stream);
}

uint64_t change_flush(void) {
    struct copied stream = { copied, copied_db ? *copied_db : 0 };
    change_copies((struct slice){ 0 }, NULL);
    change_must_flush = false;
    return flush(stream);
}

bool change_has_effects(void) { return gathered.count > 0; }

void change_copies(struct slice stream, const uint32_t *db) {
    copied = stream;
    copied_db = db;
    change_must_flush = true;
}

bool change_has_copies(void) { return copied.len > 0; }

void change_for_replicas(const struct slice *argv, size_t argc) {
    if (LIKELY(!effects_apart_are_wanted)) return;
    effects_add_apart(&gathered, argv, argc);
    change_must_flush = true;
}

void change_drop(void) {
    is_dropped = true;
    change_must_flush = true;
}

void change_flush_quietly(void) {
    if (UNLIKELY(blocking_has_work())) blocking_serve();
    blocking_deliver(flush((struct copied){ 0 })); /* what is copied waits for the end of its command */
}

struct change_aside {
    struct effects effects;
    struct slice copied;
    const uint32_t *copied_db;
    bool is_dropped;
    struct blocking_work *waiting;
};

struct change_aside *change_set_aside(void) {
    struct change_aside *aside = mem_alloc(sizeof *aside);
    *aside = (struct change_aside){ gathered, copied, copied_db, is_dropped, blocking_set_aside() };
    gathered = (struct effects){ 0 };
    change_copies((struct slice){ 0 }, NULL);
    is_dropped = false;
    return aside;
}

void change_take_back(struct change_aside *aside) {
    assert(gathered.count == 0);
    effects_release(&gathered);
    gathered = aside->effects;
    change_copies(aside->copied, aside->copied_db);
    is_dropped = aside->is_dropped;
    blocking_take_back(aside->waiting);
    mem_free(aside);
}

void change_thread_release(void) {
    assert(gathered.count == 0);
    effects_release(&gathered);
    blocking_thread_release();
    keyspace_change_thread_release();
}
