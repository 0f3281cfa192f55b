/* stream.h: what all commands on streams share: finding one, ids as arguments and replies, entries as
 * replies. Thread: as the running command (its key's shard is locked). */
#ifndef COMMANDS_STREAM_STREAM_H
#define COMMANDS_STREAM_STREAM_H

#include "trivet/engine/run/change.h"
#include "trivet/types/stream.h"

/* The stream of an entry (NULL for none). False after replying WRONGTYPE. */
MUST_CHECK bool stream_in_entry(struct call *c, const struct entry *e, struct stream **s);

/* The stream at `key`, open to be changed (NULL if the key is not there). False after replying WRONGTYPE. */
MUST_CHECK static inline bool stream_open(struct call *c, struct slice key, struct keyspace_change *change,
                                          struct stream **s) {
    if (!change_open(c, key, TYPE_STREAM, change)) return false;
    *s = change->entry ? stream_of(change->value) : NULL;
    return true;
}
/* Closes it after changes that were told of by themselves, as those of groups are. */
static inline void stream_close(struct call *c, struct keyspace_change *change) {
    change_close(c, change, 0, NULL, EFFECT_NONE);
}

/* ---- ids as arguments; false after replying the error ---- */

/* "<ms>" or "<ms>-<seq>". */
MUST_CHECK bool stream_id_argument(struct call *c, struct slice text, uint64_t missing, struct stream_id *id);
/* The same or "-" or "+", which are the ends. */
MUST_CHECK bool stream_end_argument(struct call *c, struct slice text, uint64_t missing,
                                    struct stream_id *id);
/* The end of an interval: also "(<id>", which is not in it. */
MUST_CHECK bool stream_start_argument(struct call *c, struct slice text, struct stream_id *id);
MUST_CHECK bool stream_stop_argument(struct call *c, struct slice text, struct stream_id *id);
/* Arguments from `first` on, all of them ids; the caller frees *ids with mem_free. */
MUST_CHECK bool stream_id_arguments(struct call *c, size_t first, struct stream_id **ids);
void reply_invalid_id(struct call *c);

/* An id as text, for effects. */
struct id_text {
    char bytes[STREAM_ID_TEXT_MAX];
};
static inline struct slice stream_id_text(struct id_text *t, struct stream_id id) {
    return slice_make(t->bytes, stream_id_format(t->bytes, id));
}

/* ---- replies ---- */

void reply_stream_id(struct reply *out, struct stream_id id);
/* The entry at which the walk stands: its id and its fields and values. */
void reply_stream_entry(struct reply *out, struct stream_walk *w);
/* The entry of this id; false if there is none. */
bool reply_stream_entry_of(struct reply *out, const struct stream *s, struct stream_id id);
/* Milliseconds since then, never negative. */
static inline int64_t stream_idle_ms(const struct call *c, int64_t since_ms) {
    return c->view.now_ms > since_ms ? c->view.now_ms - since_ms : 0;
}

/* ---- changes of groups (stream_group.c) ----
 *
 * They count as `times` changes and are journaled, but neither watchers nor waiting clients hear of them: the
 * stream's entries are the same. `event` may be NULL. */
void stream_group_changed(struct call *c, struct slice key, size_t times, const char *event,
                          struct effect effect);
/* The consumer, made and journaled if need be; it was seen now. */
struct stream_consumer *stream_consumer_of(struct call *c, struct slice key, struct stream_group *g,
                                           struct slice name);
/* Journals a pending entry as it is now; it is no change of its own. */
void stream_pending_changed(struct call *c, struct slice key, const struct stream_group *g,
                            struct stream_id id, const struct stream_pending *p);
/* Journals how far the group has got; likewise. */
void stream_group_moved(struct call *c, struct slice key, const struct stream_group *g);
/* "-NOGROUP No such key 'k' or consumer group 'g'" and what is to follow. */
void reply_no_group(struct call *c, struct slice key, struct slice group, const char *rest);

#endif
