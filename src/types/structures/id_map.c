/* id_map.c: see id_map.h. */
#include "trivet/types/structures/id_map.h"
#include "trivet/base/mem.h"
#include <assert.h>
#include <string.h>

#define PAGE_BYTES 4096
#define PAGE_START 2 /* records of a page when it is made */

struct id_page {
    uint32_t count, room;
    unsigned char records[];
};

/* Beyond the end, and before the beginning: no page has this number. */
static const struct id_cursor nowhere = { UINT32_MAX, 0 };

static size_t stride(const struct id_map *m) { return sizeof(struct stream_id) + m->payload; }

static uint32_t page_room_max(const struct id_map *m) {
    return (uint32_t)((PAGE_BYTES - sizeof(struct id_page)) / stride(m));
}

static struct id_directory *directory_at(const struct id_map *m, uint32_t page) {
    return &m->directory[m->front + page];
}

static struct id_page *page_at(const struct id_map *m, uint32_t page) { return directory_at(m, page)->page; }

static unsigned char *record_at(const struct id_map *m, struct id_page *p, uint32_t slot) {
    return p->records + slot * stride(m);
}

static struct stream_id id_in(const struct id_map *m, struct id_page *p, uint32_t slot) {
    struct stream_id id;
    memcpy(&id, record_at(m, p, slot), sizeof id);
    return id;
}

static size_t page_bytes(const struct id_map *m, uint32_t room) {
    return sizeof(struct id_page) + room * stride(m);
}

/* ---- finding ---- */

/* The page in which `id` is or would be; the map has pages. */
static uint32_t page_of(const struct id_map *m, struct stream_id id) {
    uint32_t low = 0, high = m->pages; /* the page is in low..high-1 */
    if (stream_id_compare(directory_at(m, high - 1)->bound, id) <= 0) return high - 1;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (stream_id_compare(directory_at(m, middle)->bound, id) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The first slot of the page whose id is not smaller; its count if there is none. */
static uint32_t slot_of(const struct id_map *m, struct id_page *p, struct stream_id id) {
    if (p->count == 0 || stream_id_compare(id_in(m, p, p->count - 1), id) < 0) return p->count;
    uint32_t low = 0, high = p->count - 1;
    if (stream_id_compare(id_in(m, p, 0), id) >= 0) return 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (stream_id_compare(id_in(m, p, middle), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool locate(const struct id_map *m, struct stream_id id, struct id_cursor *at) {
    if (m->pages == 0) return false;
    at->page = page_of(m, id);
    struct id_page *p = page_at(m, at->page);
    at->slot = slot_of(m, p, id);
    return at->slot < p->count && stream_id_equal(id_in(m, p, at->slot), id);
}

void *id_map_find(const struct id_map *m, struct stream_id id) {
    struct id_cursor at;
    return locate(m, id, &at) ? id_map_payload(m, at) : NULL;
}

/* ---- cursors ---- */

struct stream_id id_map_id(const struct id_map *m, struct id_cursor at) {
    return id_in(m, page_at(m, at.page), at.slot);
}

void *id_map_payload(const struct id_map *m, struct id_cursor at) {
    return record_at(m, page_at(m, at.page), at.slot) + sizeof(struct stream_id);
}

struct id_cursor id_map_first(const struct id_map *m) {
    return m->pages ? (struct id_cursor){ 0, 0 } : nowhere;
}

struct id_cursor id_map_last(const struct id_map *m) {
    if (m->pages == 0) return nowhere;
    return (struct id_cursor){ m->pages - 1, page_at(m, m->pages - 1)->count - 1 };
}

struct id_cursor id_map_next(const struct id_map *m, struct id_cursor at) {
    if (at.slot + 1 < page_at(m, at.page)->count) return (struct id_cursor){ at.page, at.slot + 1 };
    return at.page + 1 < m->pages ? (struct id_cursor){ at.page + 1, 0 } : nowhere;
}

struct id_cursor id_map_previous(const struct id_map *m, struct id_cursor at) {
    if (at.slot > 0) return (struct id_cursor){ at.page, at.slot - 1 };
    return at.page > 0 ? (struct id_cursor){ at.page - 1, page_at(m, at.page - 1)->count - 1 } : nowhere;
}

struct id_cursor id_map_seek(const struct id_map *m, struct stream_id id) {
    struct id_cursor at;
    if (m->pages == 0) return nowhere;
    locate(m, id, &at);
    if (at.slot < page_at(m, at.page)->count) return at;
    return at.page + 1 < m->pages ? (struct id_cursor){ at.page + 1, 0 } : nowhere;
}

struct id_cursor id_map_seek_back(const struct id_map *m, struct stream_id id) {
    struct id_cursor at;
    if (m->pages == 0) return nowhere;
    return locate(m, id, &at) ? at : id_map_previous(m, at);
}

/* ---- changing ---- */

/* Opens a place for a page at `page`. */
static void directory_insert(struct id_map *m, uint32_t page, struct id_directory entry) {
    if (m->front + m->pages == m->room) {
        if (m->front > m->room / 2) {
            memmove(m->directory, directory_at(m, 0), m->pages * sizeof entry);
            m->front = 0;
        } else {
            m->room = m->room ? m->room * 2 : 1;
            m->directory = mem_realloc_in(m->held, m->directory, m->room * sizeof entry);
        }
    }
    memmove(directory_at(m, page + 1), directory_at(m, page), (m->pages - page) * sizeof entry);
    *directory_at(m, page) = entry;
    m->pages++;
}

static void directory_remove(struct id_map *m, uint32_t page) {
    mem_free_in(m->held, page_at(m, page));
    m->pages--;
    if (m->pages == 0) {
        mem_free_in(m->held, m->directory);
        id_map_init(m, m->payload, m->held);
    } else if (page == 0) {
        m->front++;
    } else {
        memmove(directory_at(m, page), directory_at(m, page + 1), (m->pages - page) * sizeof *m->directory);
    }
}

static struct id_page *page_new(const struct id_map *m, uint32_t room) {
    struct id_page *p = mem_alloc_in(m->held, page_bytes(m, room));
    p->count = 0;
    p->room = room;
    return p;
}

static struct id_page *page_make_room(struct id_map *m, uint32_t page) {
    struct id_page *p = page_at(m, page);
    uint32_t most = page_room_max(m), room = p->room * 2 < most ? p->room * 2 : most;
    p = mem_realloc_in(m->held, p, page_bytes(m, room));
    p->room = room;
    directory_at(m, page)->page = p;
    return p;
}

/* A full page is parted; the cursor moves to where the new record goes. At the very end nothing is parted. */
static void split(struct id_map *m, struct id_cursor *at) {
    struct id_page *p = page_at(m, at->page);
    bool at_end = at->page + 1 == m->pages && at->slot == p->count;
    uint32_t keep = at_end ? p->count : p->count / 2, moved = p->count - keep;
    struct id_page *fresh = page_new(m, page_room_max(m));
    memcpy(fresh->records, record_at(m, p, keep), moved * stride(m));
    fresh->count = moved;
    p->count = keep;
    struct id_directory entry = { .page = fresh };
    if (moved > 0) entry.bound = id_in(m, fresh, 0);
    directory_insert(m, at->page + 1, entry);
    if (at->slot < keep || (at->slot == keep && moved > 0)) return;
    at->page++;
    at->slot -= keep;
}

void *id_map_put(struct id_map *m, struct stream_id id, bool *fresh) {
    struct id_cursor at = { 0, 0 };
    *fresh = !locate(m, id, &at);
    if (!*fresh) return id_map_payload(m, at);
    if (m->pages == 0)
        directory_insert(m, 0, (struct id_directory){ .bound = id, .page = page_new(m, PAGE_START) });
    struct id_page *p = page_at(m, at.page);
    if (p->count == p->room) {
        if (p->room < page_room_max(m))
            page_make_room(m, at.page);
        else
            split(m, &at);
        p = page_at(m, at.page);
    }
    unsigned char *record = record_at(m, p, at.slot);
    memmove(record + stride(m), record, (p->count - at.slot) * stride(m));
    memcpy(record, &id, sizeof id);
    memset(record + sizeof id, 0, m->payload);
    p->count++;
    m->count++;
    struct id_directory *entry = directory_at(m, at.page);
    if (p->count == 1 || stream_id_compare(id, entry->bound) < 0) entry->bound = id;
    return record + sizeof id;
}

/* The page after `page` is joined to it if both together leave a quarter free. */
static bool join(struct id_map *m, uint32_t page) {
    if (page + 1 >= m->pages) return false;
    struct id_page *p = page_at(m, page), *next = page_at(m, page + 1);
    uint32_t sum = p->count + next->count;
    if (sum > page_room_max(m) / 4 * 3) return false;
    while (p->room < sum) p = page_make_room(m, page);
    memcpy(record_at(m, p, p->count), next->records, next->count * stride(m));
    p->count = sum;
    directory_remove(m, page + 1);
    return true;
}

bool id_map_remove(struct id_map *m, struct stream_id id) {
    struct id_cursor at;
    if (!locate(m, id, &at)) return false;
    struct id_page *p = page_at(m, at.page);
    unsigned char *record = record_at(m, p, at.slot);
    p->count--;
    m->count--;
    memmove(record, record + stride(m), (p->count - at.slot) * stride(m));
    if (p->count == 0)
        directory_remove(m, at.page);
    else if (p->count < page_room_max(m) / 4 && !join(m, at.page) && at.page > 0)
        join(m, at.page - 1);
    return true;
}

/* ---- as a whole ---- */

void id_map_release(struct id_map *m) {
    for (uint32_t i = 0; i < m->pages; i++) mem_free_in(m->held, page_at(m, i));
    mem_free_in(m->held, m->directory);
    id_map_init(m, m->payload, m->held);
}

void id_map_copy(struct id_map *to, const struct id_map *from, size_t *held) {
    *to = *from;
    to->held = held;
    to->front = 0;
    to->room = from->pages;
    to->directory = from->pages ? mem_alloc_in(held, from->pages * sizeof *to->directory) : NULL;
    for (uint32_t i = 0; i < from->pages; i++) {
        struct id_page *p = page_at(from, i), *copy = page_new(to, p->room);
        memcpy(copy->records, p->records, p->count * stride(from));
        copy->count = p->count;
        to->directory[i] = (struct id_directory){ directory_at(from, i)->bound, copy };
    }
}

size_t id_map_check(const struct id_map *m) {
    uint64_t count = 0;
    size_t bytes = m->directory ? mem_size(m->directory) : 0;
    struct stream_id previous = STREAM_ID_MIN;
    assert(m->front + m->pages <= m->room);
    assert((m->count == 0) == (m->pages == 0));
    for (uint32_t i = 0; i < m->pages; i++) {
        struct id_page *p = page_at(m, i);
        struct stream_id bound = directory_at(m, i)->bound;
        assert(p->count > 0 && p->count <= p->room && p->room <= page_room_max(m));
        assert(i == 0 || stream_id_compare(previous, bound) < 0);
        assert(stream_id_compare(bound, id_in(m, p, 0)) <= 0);
        for (uint32_t slot = 0; slot < p->count; slot++) {
            struct stream_id id = id_in(m, p, slot);
            assert(count == 0 || stream_id_compare(previous, id) < 0);
            previous = id;
            count++;
        }
        bytes += mem_size(p);
    }
    assert(count == m->count);
    return bytes;
}
