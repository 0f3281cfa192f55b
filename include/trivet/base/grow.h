/* grow.h: arrays that double when they are full.
 *
 *     GROW(t->queue, t->count, &t->room, 8);
 *     t->queue[t->count++] = item;
 *
 * The owner frees the array with mem_free(). Thread: the owner's. Errors: as mem_realloc(); a size that no
 * size_t holds is an assert. */
#ifndef TRIVET_BASE_GROW_H
#define TRIVET_BASE_GROW_H

#include "trivet/base/compiler.h"
#include <stddef.h>

/* The array with *room doubled, or `least` if it had none. `item_size` is in bytes. */
void *grow_array(void *array, size_t item_size, size_t *room, size_t least) __attribute__((returns_nonnull));

/* Makes sure that `array` has room for one item more than `count`. `*(room)` is how many fit now, in any
 * unsigned type; the array may move. `array` must be an lvalue without side effects, and `room` a pointer to
 * one. */
#define GROW(array, count, room, least)                                           \
    do {                                                                          \
        if ((count) == *(room)) {                                                 \
            size_t grow_room_ = *(room);                                          \
            (array) = grow_array((array), sizeof *(array), &grow_room_, (least)); \
            *(room) = (__typeof__(*(room)))grow_room_;                            \
            assert(*(room) == grow_room_);                                        \
        }                                                                         \
    } while (0)

#endif
