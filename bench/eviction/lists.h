/* lists.h: doubly linked lists of keys, for the policies that keep their keys in an order.
 *
 * A key is in one list at most; the links of all lists of a policy are two arrays by key. */
#ifndef BENCH_EVICTION_LISTS_H
#define BENCH_EVICTION_LISTS_H

#include "trivet/base/mem.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NO_KEY UINT32_MAX

struct links {
    uint32_t *newer, *older;
    uint8_t *list_of; /* by key: the policy's number of its list, or 0 */
};

struct list {
    uint8_t number;
    uint32_t newest, oldest;
    size_t count, bytes;
};

static inline struct links links_new(uint32_t key_count) {
    return (struct links){ mem_alloc(key_count * sizeof(uint32_t)), mem_alloc(key_count * sizeof(uint32_t)),
                           mem_alloc_zero(key_count) };
}

static inline void links_release(struct links *l) {
    mem_free(l->newer);
    mem_free(l->older);
    mem_free(l->list_of);
}

static inline struct list list_empty(uint8_t number) { return (struct list){ number, NO_KEY, NO_KEY, 0, 0 }; }

static inline void list_push(struct list *list, struct links *l, uint32_t key, size_t bytes) {
    l->newer[key] = NO_KEY;
    l->older[key] = list->newest;
    if (list->newest == NO_KEY)
        list->oldest = key;
    else
        l->newer[list->newest] = key;
    list->newest = key;
    l->list_of[key] = list->number;
    list->count++;
    list->bytes += bytes;
}

static inline void list_remove(struct list *list, struct links *l, uint32_t key, size_t bytes) {
    uint32_t newer = l->newer[key], older = l->older[key];
    if (newer == NO_KEY)
        list->newest = older;
    else
        l->older[newer] = older;
    if (older == NO_KEY)
        list->oldest = newer;
    else
        l->newer[older] = newer;
    l->list_of[key] = 0;
    list->count--;
    list->bytes -= bytes;
}

#endif
