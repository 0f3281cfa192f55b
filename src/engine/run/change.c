/* change.c: what follows a write, in one place: watchers, tracking, notifications, the journal.
 *
 * Effects gather in a buffer of the worker (`gathered`) while a command runs; the dispatcher appends them to
 * the journal in one piece before the locks go, so the journal's order is the order in which the locks were
 * held. */
#include "trivet/engine/run/change.h"
#include "trivet/base/buf.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/counters.h"
#include "trivet/persist/journal.h"

static _Thread_local struct effects gathered;

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

static void gather(uint32_t db, struct effect effect) {
    if (journal_on && effect.argc > 0) effects_add(&gathered, db, effect.argv, effect.argc);
}

void journal_effect(struct call *c, struct effect effect) {
    if (!c->origin->is_replay) gather(c->view.db, effect);
}

ALWAYS_INLINE void tell(struct call *c, uint32_t db, struct slice key, size_t times, enum notify_class class,
                        const char *event) {
    COUNTER_ADD(counters_mine()->dirty, times);
    key_changed(&c->view, c->client, db, key);
    if (event) notify(db, class, event, key);
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
    COUNTER_ADD(counters_mine()->dirty, times);
    blocking_databases_changed(db, db);
    if (atomic_load_explicit(&tracking_clients, memory_order_relaxed) > 0) tracking_invalidate_all();
    journal_effect(c, effect);
}

void change_vanished(struct keyspace_view *view, struct slice key, enum vanish_reason reason) {
    if (reason != VANISHED_OVERWRITTEN) key_changed(view, NULL, view->db, key);
    if (reason == VANISHED_EXPIRED) notify(view->db, NOTIFY_EXPIRED, "expired", key);
    if (reason == VANISHED_EVICTED) notify(view->db, NOTIFY_EVICTED, "evicted", key);
    const struct slice argv[] = { LIT_INIT("DEL"), key };
    gather(view->db, (struct effect){ argv, 2 });
}

void change_elements_vanished(struct keyspace_view *view, struct slice key, const struct gone *gone,
                              bool emptied) {
    assert(gone->count > 0 && gone->count <= GONE_MAX);
    struct slice argv[2 + GONE_MAX] = { LIT_INIT("HDEL"), key };
    for (size_t i = 0; i < gone->count; i++) argv[2 + i] = gone->names[i];
    key_changed(view, NULL, view->db, key);
    notify(view->db, NOTIFY_HASH, "hexpired", key);
    if (emptied) notify(view->db, NOTIFY_GENERIC, "del", key);
    gather(view->db, (struct effect){ argv, 2 + gone->count });
}

void change_missed(struct keyspace_view *view, struct slice key) {
    notify(view->db, NOTIFY_KEY_MISS, "keymiss", key);
}

uint64_t change_flush(void) {
    if (LIKELY(gathered.count == 0)) return 0;
    return journal_append(&gathered);
}

void change_flush_quietly(void) {
    if (UNLIKELY(blocking_has_work())) blocking_serve();
    blocking_deliver(change_flush());
}

void change_thread_release(void) {
    assert(gathered.count == 0);
    effects_release(&gathered);
    blocking_thread_release();
}
