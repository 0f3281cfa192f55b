/* chain.h: a doubly linked list through links that lie inside its items.
 *
 * The chain owns nothing and allocates nothing. A zeroed chain is empty; a zeroed link is in no chain. The
 * first link's `previous` and the last link's `next` point to the link itself, so a link in a chain never
 * holds NULL there. Inserting or removing it twice fails an assert. A chain may be moved as a struct, its
 * links may not. (The data type of the same shape is types/list.h, hence the other name.)
 *
 *     struct client { struct chain_link in_roster; ... };
 *     chain_insert_first(&roster->clients, &c->in_roster);
 *     CHAIN_EACH(&roster->clients, struct client, in_roster, c) ...
 *
 * Thread: the owner of the chain; there is no lock inside. */
#ifndef TRIVET_BASE_CHAIN_H
#define TRIVET_BASE_CHAIN_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stddef.h>

struct chain_link {
    struct chain_link *previous, *next;
};

struct chain {
    struct chain_link *first, *last;
};

static inline bool chain_is_empty(const struct chain *chain) { return !chain->first; }
/* True while the link is in some chain. */
static inline bool chain_link_is_linked(const struct chain_link *link) { return link->next; }

/* NULL after the last link, and before the first. */
static inline struct chain_link *chain_link_next(const struct chain_link *link) {
    return link->next == link ? NULL : link->next;
}
static inline struct chain_link *chain_link_previous(const struct chain_link *link) {
    return link->previous == link ? NULL : link->previous;
}

static inline void chain_insert_first(struct chain *chain, struct chain_link *link) {
    assert(!chain_link_is_linked(link));
    link->previous = link;
    link->next = chain->first ? chain->first : link;
    if (chain->first)
        chain->first->previous = link;
    else
        chain->last = link;
    chain->first = link;
}

static inline void chain_insert_last(struct chain *chain, struct chain_link *link) {
    assert(!chain_link_is_linked(link));
    link->next = link;
    link->previous = chain->last ? chain->last : link;
    if (chain->last)
        chain->last->next = link;
    else
        chain->first = link;
    chain->last = link;
}

static inline void chain_remove(struct chain *chain, struct chain_link *link) {
    assert(chain_link_is_linked(link));
    struct chain_link *previous = chain_link_previous(link), *next = chain_link_next(link);
    assert(previous ? previous->next == link : chain->first == link);
    assert(next ? next->previous == link : chain->last == link);
    if (previous)
        previous->next = next ? next : previous;
    else
        chain->first = next;
    if (next)
        next->previous = previous ? previous : next;
    else
        chain->last = previous;
    link->previous = link->next = NULL;
}

/* Moves all links of `from` to the end of `chain`; `from` is empty after. */
static inline void chain_append(struct chain *chain, struct chain *from) {
    if (chain_is_empty(from)) return;
    if (chain_is_empty(chain)) {
        chain->first = from->first;
    } else {
        chain->last->next = from->first;
        from->first->previous = chain->last;
    }
    chain->last = from->last;
    from->first = from->last = NULL;
}

/* The item that begins `offset` bytes before its link; NULL for NULL. */
static inline void *chain_item_of(const struct chain_link *link, size_t offset) {
    return link ? (char *)unconst(link) - offset : NULL;
}

#define CHAIN_ITEM(link, type, member) ((type *)chain_item_of((link), offsetof(type, member)))
/* NULL if the chain is empty. */
#define CHAIN_FIRST(chain, type, member) CHAIN_ITEM((chain)->first, type, member)
#define CHAIN_LAST(chain, type, member) CHAIN_ITEM((chain)->last, type, member)
/* The neighbours of an item, NULL at the ends. */
#define CHAIN_NEXT(item, type, member) CHAIN_ITEM(chain_link_next(&(item)->member), type, member)
#define CHAIN_PREVIOUS(item, type, member) CHAIN_ITEM(chain_link_previous(&(item)->member), type, member)

/* Visits all items, first to last. The body may remove and free the item it got, but no other. `item`_next is
 * the item after it, or NULL. */
#define CHAIN_EACH(chain, type, member, item)                         \
    for (type *item = CHAIN_FIRST(chain, type, member), *item##_next; \
         item && (item##_next = CHAIN_NEXT(item, type, member), 1); item = item##_next)

#endif
