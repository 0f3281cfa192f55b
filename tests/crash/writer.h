/* writer.h: one client that writes to keys of its own, and knows what a server owes it that comes back after
 * a crash, or that takes over.
 *
 * It knows three things, in the order in which it sent them: the state that all steps made of which it was
 * promised that they stay (`kept`); the steps that were acknowledged since (`recent`); the steps that were
 * sent and not answered (`flying`). One connection's commands have one order. So what there is must be `kept`
 * with the first n of recent and flying on top, for one n and all keys of the writer at once.
 *
 * Thread: its own between writer_start and writer_join, else the caller's. */
#ifndef TESTS_CRASH_WRITER_H
#define TESTS_CRASH_WRITER_H

#include "marks.h"
#include "model.h"
#include <pthread.h>
#include <stdatomic.h>

#define DEPTH_MOST 100
#define KEPT_BY_MARKS (INT64_MAX / 2) /* as young_ms: nothing gets old, writer_keep says what stays */

struct acknowledged {
    struct step step;
    int64_t at_ms;
};

struct writer {
    /* set by the caller */
    int index;
    size_t depth; /* steps sent before the answers are read */
    bool own;     /* has the database `index` for itself, and empties it now and then */
    uint64_t random;
    int64_t young_ms; /* what was acknowledged before must stay; 0: all that was acknowledged */
    enum asking asking;
    const atomic_bool *over; /* it ends after the answers that it waits for; may be NULL */
    atomic_ulong *answers;   /* how many steps were answered, of all writers */

    struct client *client;
    pthread_t thread;
    int64_t next;
    struct state kept;
    int64_t raises;              /* of the common counter, within `kept`, since the last writer_settle */
    struct acknowledged *recent; /* a queue in an array: from first to first + count */
    size_t recent_first, recent_count, recent_room;
    struct marks marks; /* in `recent` */
    struct step flying[DEPTH_MOST];
    size_t flying_count;
    struct text problem; /* what went wrong on this thread, for the main thread to report */
};

void writer_release(struct writer *w);
/* Writes until the connection ends, or it is over. Takes the client. */
void writer_start(struct writer *w, struct client *c);
/* Waits for the end, and fails the test if there was a problem. */
void writer_join(struct writer *w);
/* What must stay is what was acknowledged before this time, or before this mark. */
void writer_keep_old(struct writer *w, int64_t now_ms);
size_t writer_keep(struct writer *w, enum owed owed); /* returns how many steps that are */

/* How often it raised the common counter, surely and perhaps. */
void writer_raises(const struct writer *w, int64_t *least, int64_t *most);
/* Fails if the server lost what it owes. From then on it owes what it has. Returns how many steps are lost
 * that were acknowledged. */
size_t writer_settle(struct writer *w, struct client *c);

#endif
