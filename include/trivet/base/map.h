/* map.h: a hash map through links that lie inside its items, for what is looked up by name and is few
 * thousands at most: scripts, functions.
 *
 * The map owns the array of its places and nothing else. A zeroed map is empty. The caller hashes and
 * compares: MAP_EACH_OF visits the items of one hash, which may differ in their names.
 *
 *     struct script { struct map_link by_sha; ... };
 *     map_insert(&scripts, &s->by_sha, hash);
 *     MAP_EACH_OF(&scripts, hash, struct script, by_sha, s) if (same(s)) return s;
 *
 * Thread: the owner's; there is no lock inside. */
#ifndef TRIVET_BASE_MAP_H
#define TRIVET_BASE_MAP_H

#include "trivet/base/compiler.h"
#include <stddef.h>
#include <stdint.h>

struct map_link {
    struct map_link *next;
    uint64_t hash;
};

struct map {
    struct map_link **places; /* a power of two of them */
    size_t room, count;
};

void map_insert(struct map *map, struct map_link *link, uint64_t hash);
/* The link must be in this map. */
void map_remove(struct map *map, struct map_link *link);
/* Calls visit for each link, which may free its item; then the map may only be released. */
void map_each(struct map *map, void (*visit)(struct map_link *link));
/* Frees the places. The items stay the caller's. */
void map_release(struct map *map);
/* The first link of that hash, and the next one after `link`; NULL if there is none. */
struct map_link *map_first_of(const struct map *map, uint64_t hash);
struct map_link *map_next_of(const struct map_link *link);
static inline size_t map_memory(const struct map *map) { return map->room * sizeof(struct map_link *); }

#define MAP_ITEM(link, type, member) ((type *)map_item_of((link), offsetof(type, member)))
static inline void *map_item_of(const struct map_link *link, size_t offset) {
    return link ? (char *)unconst(link) - offset : NULL;
}
/* Visits the items of one hash; the body must not remove them. */
#define MAP_EACH_OF(map, hash_, type, member, item)                                       \
    for (type *item = MAP_ITEM(map_first_of((map), (hash_)), type, member); item != NULL; \
         item = MAP_ITEM(map_next_of(&item->member), type, member))

#endif
