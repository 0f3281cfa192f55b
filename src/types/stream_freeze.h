/* stream_freeze.h: the part of freeze.h that streams do, for their nodes; groups and numbers are
 * whose freeze it is to look at when it begins.
 *
 * Freezing costs the same for every stream, as nothing is copied: ids only rise, so the frozen nodes are the
 * live ones up to the last id of then, but for those that were changed or removed since. What such a node
 * held stands in a map of its own, and the walk takes from both, in order. Before the stream changes or frees
 * a node's listpack it asks whether the freeze still needs that; then the listpack is the freeze's, and the
 * stream goes on with a copy or without.
 *
 *     frozen      A B C D E         visited: A; C was changed, D removed, F is new
 *     live        A B C' E F
 *     kept            C D
 *
 * Thread: the stream's owner. */
#ifndef TYPES_STREAM_FREEZE_H
#define TYPES_STREAM_FREEZE_H

#include "trivet/base/mem.h"
#include "trivet/types/stream.h"

typedef void stream_node_visit(void *arg, struct stream_id master, const unsigned char *listpack);

void stream_freeze(struct stream *s, stream_node_visit *visit, void *arg);
/* The `arg` of a frozen stream, else NULL. */
void *stream_frozen_for(const struct stream *s);
/* Visits up to `nodes` nodes as they were, in order; true while there are more. */
bool stream_freeze_walk(struct stream *s, size_t nodes);
/* Bytes of what the freeze keeps that the stream has no more, and of the map. */
size_t stream_freeze_memory(const struct stream *s);
void stream_thaw(struct stream *s);

bool stream_freeze_takes(struct stream_freeze *f, struct stream_id master, unsigned char *listpack);
void stream_freeze_excludes(struct stream_freeze *f, struct stream_id master);

/* A live node's listpack is about to be changed where it is, or freed. True: it belongs to the freeze from
 * now on, which frees it, but not during this change; the stream does not count it any more. */
static inline bool stream_leave_to_freeze(struct stream *s, struct stream_id master,
                                          unsigned char *listpack) {
    if (LIKELY(!s->freeze) || !stream_freeze_takes(s->freeze, master, listpack)) return false;
    s->held -= mem_size(listpack);
    return true;
}

/* The stream gets a new last node. */
static inline void stream_tell_freeze(const struct stream *s, struct stream_id master) {
    if (UNLIKELY(s->freeze != NULL)) stream_freeze_excludes(s->freeze, master);
}

#endif
