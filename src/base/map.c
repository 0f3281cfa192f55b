/* map.c: see map.h. Items of one place hang on one another; the places double when there are as many items.
 */
#include "trivet/base/map.h"
#include "trivet/base/mem.h"

#define LEAST_PLACES 16

static struct map_link **place_of(const struct map *map, uint64_t hash) {
    return &map->places[hash & (map->room - 1)];
}

static void put(struct map *map, struct map_link *link) {
    struct map_link **place = place_of(map, link->hash);
    link->next = *place;
    *place = link;
}

static void grow(struct map *map) {
    struct map was = *map;
    map->room = was.room ? was.room * 2 : LEAST_PLACES;
    map->places = mem_alloc_zero(map->room * sizeof *map->places);
    for (size_t i = 0; i < was.room; i++) {
        for (struct map_link *link = was.places[i], *next; link; link = next) {
            next = link->next;
            put(map, link);
        }
    }
    mem_free(was.places);
}

void map_insert(struct map *map, struct map_link *link, uint64_t hash) {
    if (map->count == map->room) grow(map);
    link->hash = hash;
    put(map, link);
    map->count++;
}

void map_remove(struct map *map, struct map_link *link) {
    assert(map->count > 0);
    struct map_link **at = place_of(map, link->hash);
    while (*at != link) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = link->next;
    map->count--;
}

void map_each(struct map *map, void (*visit)(struct map_link *link)) {
    for (size_t i = 0; i < map->room; i++) {
        for (struct map_link *link = map->places[i], *next; link; link = next) {
            next = link->next;
            visit(link);
        }
    }
}

void map_release(struct map *map) {
    mem_free(map->places);
    *map = (struct map){ .count = 0 };
}

static struct map_link *same_hash(struct map_link *link, uint64_t hash) {
    while (link && link->hash != hash) link = link->next;
    return link;
}

struct map_link *map_first_of(const struct map *map, uint64_t hash) {
    return map->room ? same_hash(*place_of(map, hash), hash) : NULL;
}

struct map_link *map_next_of(const struct map_link *link) {
    return same_hash(link->next, link->hash);
}
