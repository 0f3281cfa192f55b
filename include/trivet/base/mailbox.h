/* mailbox.h: how one thread asks another to do something: a letter is a function to run there.
 *
 * Any thread posts, without a lock; the owner drains, in the order of posting. Posting writes the
 * eventfd only if the box was empty, so a burst costs one wake-up. A letter is part of a larger struct that
 * the poster allocates and the letter's function frees. */
#ifndef TRIVET_BASE_MAILBOX_H
#define TRIVET_BASE_MAILBOX_H

#include "trivet/base/compiler.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct letter {
    struct letter *next; /* the mailbox's own */
    void (*run)(struct letter *self);
};

struct mailbox {
    _Atomic(struct letter *) newest; /* a stack; draining turns it over */
    int wake_fd;                     /* eventfd for the owner's event loop: readable while letters wait */
};

/* False (errno) if the system has no file descriptor left. */
MUST_CHECK bool mailbox_init(struct mailbox *box);
/* Does not free letters that are still inside: drain it first. */
void mailbox_release(struct mailbox *box);
void mailbox_post(struct mailbox *box, struct letter *letter);
/* The same without waking the owner: for the owner itself, which is about to drain. */
void mailbox_post_quietly(struct mailbox *box, struct letter *letter);
/* Runs all letters that were there at the call; returns how many. Owner only. */
size_t mailbox_drain(struct mailbox *box);
/* A cheap test, for the owner between two batches of commands. */
static inline bool mailbox_has_letters(struct mailbox *box) {
    return atomic_load_explicit(&box->newest, memory_order_acquire) != NULL;
}

#endif
