/* change.h: THE call after a write: it tells the journal, the watchers, the tracking clients and the
 * keyspace notifications. A command that changed something calls changed() once for each key, and nothing
 * else. Commands on collections have it called by change_close.
 *
 * Thread: as the running command. */
#ifndef TRIVET_ENGINE_RUN_CHANGE_H
#define TRIVET_ENGINE_RUN_CHANGE_H

#include "trivet/engine/command/call.h"
#include "trivet/engine/settings/events.h"
#include "trivet/keyspace/change.h"

/* What the journal gets: a command that has the same effect at any time it is replayed. */
struct effect {
    const struct slice *argv;
    size_t argc;
};
#define EFFECT(...)                                          \
    ((struct effect){ (const struct slice[]){ __VA_ARGS__ }, \
                      sizeof((const struct slice[]){ __VA_ARGS__ }) / sizeof(struct slice) })
/* The command as it came. */
#define EFFECT_SAME(c) ((struct effect){ (c)->argv, (c)->argc })
/* Another changed() of this command carries the effect. */
#define EFFECT_NONE ((struct effect){ NULL, 0 })

/* ---- collections ---- */

/* Opens the collection at `key` to change it; false after replying that it has another type. If the key is
 * missing (out->entry is NULL) the command may make a value. Close it after a change; without a change that
 * may be left out. */
MUST_CHECK bool change_open(struct call *c, struct slice key, enum value_type type,
                            struct keyspace_change *out);
/* Closes it and reports `times` changes (0: none) with this event; a collection that lost its last element
 * reports "del" after it. */
void change_close(struct call *c, struct keyspace_change *change, size_t times, const char *event,
                  struct effect effect);

/* The same for the second key of one change (the target of a move): reported, but not counted or journaled.
 */
void change_close_quietly(struct call *c, struct keyspace_change *change, const char *event);

/* Stores the result of a command like SUNIONSTORE: takes over `v` and puts it in the place of whatever `key`
 * holds; an empty `v` deletes the key. */
void change_store(struct call *c, struct slice key, enum value_type type, struct value v, size_t times,
                  const char *event);
/* The same for a finished entry; NULL deletes the key. */
void change_store_entry(struct call *c, struct slice key, struct entry *fresh, size_t times,
                        enum notify_class class, const char *event);

/* ---- keys ---- */

/* `key` of the call's database changed; `event` is the notification's name ("set", "del"), NULL for none. */
void changed(struct call *c, struct slice key, enum notify_class class, const char *event,
             struct effect effect);
/* The same for several changes at once, as `rdb_changes_since_last_save` counts them: elements that were
 * added, removed or set. 0: it belongs to the change of another key, which is reported too. */
void changed_times(struct call *c, struct slice key, size_t times, enum notify_class class, const char *event,
                   struct effect effect);
/* A key of another database than the call's changed (MOVE, COPY DB); journal_effect tells the journal. */
void changed_in(struct call *c, uint32_t db, struct slice key, size_t times, enum notify_class class,
                const char *event);
/* Whole databases (FLUSHDB: the same twice; SWAPDB). The gate is closed. Before the change: breaks the
 * watchers of their keys. */
void changing_databases(struct call *c, uint32_t db, uint32_t other);
/* After it, for each: tells the tracking clients and the clients that wait for keys. Counts as `times`
 * changes. */
void changed_database(struct call *c, uint32_t db, size_t times, struct effect effect);
/* All data goes, or was replaced by other data: breaks all watches, tells the tracking clients and those that
 * wait for keys. The journal is not told. Gate closed. */
void changed_everything(void);
/* Only an effect, or only a notification: what changed() is made of. */
void journal_effect(struct call *c, struct effect effect);
/* The same for an effect in another database than the call's. */
void journal_effect_in(struct call *c, uint32_t db, struct effect effect);
/* Counts changes for save points. */
void count_changes(uint32_t db, size_t times);
void notify(uint32_t db, enum notify_class class, const char *event, struct slice key);

/* An effect for replicas only (PUBLISH); the file never has it. */
void change_for_replicas(const struct slice *argv, size_t argc);
/* The command that is about to run came in these bytes of the primary's stream: they go into the stream for
 * replicas of this server when its effects go into the journal. Until then they stay where they are. `*db` is
 * read then: the database in which the stream is after them. */
void change_copies(struct slice stream, const uint32_t *db);
/* They have not gone there yet: the command had no effects. */
bool change_has_copies(void);

/* Has anything gathered that is not in the journal yet? */
bool change_has_effects(void);
/* False: change_flush() would find nothing to do. The calling worker's. */
extern _Thread_local bool change_must_flush;
/* Puts the effects gathered on this worker into the journal; the dispatcher calls it before it drops the
 * locks. Returns the journal's offset that covers them, 0 if there were none. */
uint64_t change_flush(void);
/* Forgets them, and what else the command does until that: the server ends in the middle of a script. */
void change_drop(void);
/* For expiry and eviction, which need no offset. */
void change_flush_quietly(void);
/* A worker may run a turn in the middle of a command (worker_turn_meanwhile). What the command has gathered
 * so far, effects and keys that clients wait for, is set aside for that time: the commands, the cron and the
 * letters of that turn flush what they gather, and with it half of this command would go to the journal and
 * to waiting clients. Taken back when the turn is over and has flushed its own. */
struct change_aside;
MUST_CHECK struct change_aside *change_set_aside(void);
void change_take_back(struct change_aside *aside);
/* The functions behind keyspace_hooks.made, .vanished, .elements_vanished and .missed. */
void change_made(struct keyspace_view *view, struct slice key);
void change_vanished(struct keyspace_view *view, struct slice key, enum vanish_reason reason);
void change_elements_vanished(struct keyspace_view *view, struct slice key, const struct gone *gone,
                              bool emptied);
void change_missed(struct keyspace_view *view, struct slice key);
void change_thread_release(void);

#endif
