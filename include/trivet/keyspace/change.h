/* change.h: the third door: a collection is opened, its value changed, and closed.
 *
 * The command does what comes in between. Closing does what no command may forget: it stores the value back,
 * or makes a key of it; it deletes a key whose collection lost its last element; it tells the expiry cycle
 * about elements that expire; it keeps the sum of the database's bytes. (A string is part of its entry, so it
 * has no value to close: its changes end in keyspace_moved and keyspace_replace.)
 *
 * A value that lies inside its entry is *lifted*: opening copies its bytes into a spare block of the thread,
 * with room to grow, and closing copies them back. So a change that is not closed never was; and closing may
 * move the entry.
 *
 * Thread: as the doors of keyspace.h. Lifetime: between opening and closing nothing else may change the key;
 * a thread has at most KEYSPACE_OPEN_MAX changes open. */
#ifndef TRIVET_KEYSPACE_CHANGE_H
#define TRIVET_KEYSPACE_CHANGE_H

#include "trivet/keyspace/keyspace.h"

#define KEYSPACE_OPEN_MAX 4

struct keyspace_spare;

struct keyspace_change {
    struct slice key;
    enum value_type type;
    struct entry *entry;          /* NULL: the key is not there */
    struct value value;           /* the entry's, or made for a missing key; NULL ptr: nothing yet */
    struct keyspace_spare *spare; /* of a lifted value: what it was lifted into */
    const void *address;          /* of any other: where it was at opening, */
    size_t weight;                /* and its bytes then */
    bool drops; /* delete the key whatever the value holds: quicker than removing each element */
};

enum keyspace_closed {
    CLOSED_NOTHING, /* there was no key, and there is none */
    CLOSED_MADE,    /* the key is new */
    CLOSED_KEPT,    /* it is there with what the value holds now */
    CLOSED_DELETED, /* it lost its last element and was deleted */
};

/* Opens the key for a change; false if it holds another type (then nothing is open). */
MUST_CHECK bool keyspace_open(struct keyspace_view *view, struct slice key, enum value_type type,
                              struct keyspace_change *out);
/* Another change of the same key, a stream, open at the same time, was closed meanwhile. */
static inline void keyspace_reopen(struct keyspace_change *change) {
    assert(!entry_is_inside(change->entry));
    change->value = entry_value(change->entry);
    change->address = change->value.ptr;
    change->weight = value_ops[change->type]->bytes(change->value);
}
/* Takes over the value. */
enum keyspace_closed keyspace_close(struct keyspace_view *view, struct keyspace_change *change);

/* Frees the thread's spare blocks: before it ends. */
void keyspace_change_thread_release(void);

#endif
