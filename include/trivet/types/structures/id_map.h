/* id_map.h: an ordered map from 128-bit stream ids to a few bytes: the nodes of a stream, the pending entries
 * of a consumer group and of its consumers.
 *
 * Records (id, payload) stand sorted in pages of at most 4 KiB; a directory lists the pages in order, each
 * with a lower bound of its ids. Finding is two binary searches; ids nearly always come at the end and go at
 * the front, and both cost no search at all. A page that runs empty goes, two that are nearly empty become
 * one.
 *
 * Payloads are zero when fresh; the map does not know what they mean and frees nothing they point to. A
 * pointer to a payload and a cursor are valid until the next call that changes the map. What a map allocates
 * is added to a count of its owner's, which may be that of several maps. Thread: the owner's. */
#ifndef TRIVET_TYPES_STRUCTURES_ID_MAP_H
#define TRIVET_TYPES_STRUCTURES_ID_MAP_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_id {
    uint64_t ms, seq;
};
#define STREAM_ID_MIN ((struct stream_id){ 0, 0 })
#define STREAM_ID_MAX ((struct stream_id){ UINT64_MAX, UINT64_MAX })

static inline int stream_id_compare(struct stream_id a, struct stream_id b) {
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

static inline bool stream_id_equal(struct stream_id a, struct stream_id b) {
    return a.ms == b.ms && a.seq == b.seq;
}

struct id_page;
struct id_directory {
    struct stream_id bound; /* no id of the page is smaller, all of the page before are */
    struct id_page *page;
};

struct id_map {
    struct id_directory *directory;
    uint32_t front; /* unused places of the directory before the first page */
    uint32_t pages;
    uint32_t room;    /* places of the directory */
    uint32_t payload; /* bytes, a multiple of 8 */
    uint64_t count;
    size_t *held; /* the owner's count of bytes */
};

/* A place in the map: of a record, or beyond the end (or before the beginning). */
struct id_cursor {
    uint32_t page, slot;
};

static inline void id_map_init(struct id_map *m, size_t payload, size_t *held) {
    *m = (struct id_map){ .payload = (uint32_t)payload, .held = held };
}
void id_map_release(struct id_map *m);
/* `to` is uninitialised. Payloads are copied byte by byte. */
void id_map_copy(struct id_map *to, const struct id_map *from, size_t *held);
static inline size_t id_map_pages(const struct id_map *m) { return m->pages; }

/* The payload, or NULL. */
void *id_map_find(const struct id_map *m, struct stream_id id);
/* The payload of a record that is made if it is not there (*fresh says so). */
void *id_map_put(struct id_map *m, struct stream_id id, bool *fresh);
bool id_map_remove(struct id_map *m, struct stream_id id);

/* The first record not smaller than `id`; the last one not greater; the outermost ones. */
struct id_cursor id_map_seek(const struct id_map *m, struct stream_id id);
struct id_cursor id_map_seek_back(const struct id_map *m, struct stream_id id);
struct id_cursor id_map_first(const struct id_map *m);
struct id_cursor id_map_last(const struct id_map *m);
static inline bool id_map_has(const struct id_map *m, struct id_cursor at) { return at.page < m->pages; }
struct stream_id id_map_id(const struct id_map *m, struct id_cursor at);
void *id_map_payload(const struct id_map *m, struct id_cursor at);
struct id_cursor id_map_next(const struct id_map *m, struct id_cursor at);
struct id_cursor id_map_previous(const struct id_map *m, struct id_cursor at);

/* Asserts order, bounds and counts, and returns what the map has to have added to *held; for tests. */
size_t id_map_check(const struct id_map *m);

#endif
