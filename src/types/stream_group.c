/* stream_group.c: groups, consumers and pending entries. See stream.h.
 *
 * A pending entry stands twice: in the group's map with all that is known of it, in its owner's with nothing
 * but the id, so that one consumer's can be listed in order. */
#include "trivet/base/mem.h"
#include "trivet/types/stream.h"
#include <assert.h>

/* ---- lists by name ---- */

/* Where the name is (*found) or would be. */
static uint32_t name_place(const struct name_list *list, struct slice name, bool *found) {
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_compare(name_text(list->items[middle]), name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static struct name *name_find(const struct name_list *list, struct slice name) {
    bool found;
    uint32_t at = name_place(list, name, &found);
    return found ? list->items[at] : NULL;
}

static void name_insert(struct name_list *list, uint32_t at, struct name *item, size_t *held) {
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 1;
        list->items = mem_realloc_in(held, list->items, list->room * sizeof(struct name *));
    }
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof(struct name *));
    list->items[at] = item;
    list->count++;
}

static void name_remove(struct name_list *list, const struct name *item) {
    bool found;
    uint32_t at = name_place(list, name_text(item), &found);
    assert(found && list->items[at] == item);
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof(struct name *));
}

/* `bytes` of zeros that begin with the name, which stands behind them. */
static void *named_new(size_t bytes, struct slice name, size_t *held) {
    struct name *item = mem_alloc_in(held, bytes + name.len);
    memset(item, 0, bytes);
    item->len = name.len;
    item->text = (char *)item + bytes;
    if (name.len) memcpy(item->text, name.ptr, name.len);
    return item;
}

/* ---- consumers ---- */

struct stream_consumer *stream_consumer_find(const struct stream_group *g, struct slice name) {
    return (struct stream_consumer *)name_find(&g->consumers, name);
}

struct stream_consumer *stream_consumer_create(struct stream_group *g, struct slice name, int64_t now_ms) {
    bool found;
    uint32_t at = name_place(&g->consumers, name, &found);
    if (found) return NULL;
    struct stream_consumer *c = named_new(sizeof *c, name, g->held);
    c->seen_ms = now_ms;
    c->active_ms = -1;
    id_map_init(&c->pending, 0, g->held);
    name_insert(&g->consumers, at, &c->name, g->held);
    return c;
}

static void consumer_free(struct stream_group *g, struct stream_consumer *c) {
    id_map_release(&c->pending);
    mem_free_in(g->held, c);
}

void stream_consumer_delete(struct stream_group *g, struct stream_consumer *c) {
    struct id_cursor at = id_map_first(&c->pending);
    for (; id_map_has(&c->pending, at); at = id_map_next(&c->pending, at))
        id_map_remove(&g->pending, id_map_id(&c->pending, at));
    name_remove(&g->consumers, &c->name);
    consumer_free(g, c);
}

/* ---- pending entries ---- */

struct stream_pending *stream_pending_give(struct stream_group *g, struct stream_id id,
                                           struct stream_consumer *owner) {
    bool fresh, fresh_to_owner;
    struct stream_pending *p = id_map_put(&g->pending, id, &fresh);
    if (p->owner == owner) return p;
    if (p->owner) id_map_remove(&p->owner->pending, id);
    p->owner = owner;
    id_map_put(&owner->pending, id, &fresh_to_owner);
    assert(fresh_to_owner);
    return p;
}

bool stream_pending_remove(struct stream_group *g, struct stream_id id) {
    const struct stream_pending *p = id_map_find(&g->pending, id);
    if (!p) return false;
    id_map_remove(&p->owner->pending, id);
    id_map_remove(&g->pending, id);
    return true;
}

/* ---- groups ---- */

struct stream_group *stream_group_find(const struct stream *s, struct slice name) {
    return (struct stream_group *)name_find(&s->groups, name);
}

struct stream_group *stream_group_create(struct stream *s, struct slice name, struct stream_id last_id,
                                         int64_t entries_read) {
    bool found;
    uint32_t at = name_place(&s->groups, name, &found);
    if (found) return NULL;
    struct stream_group *g = named_new(sizeof *g, name, &s->held);
    g->last_id = last_id;
    g->entries_read = entries_read;
    g->held = &s->held;
    id_map_init(&g->pending, sizeof(struct stream_pending), g->held);
    name_insert(&s->groups, at, &g->name, g->held);
    return g;
}

static void group_free(struct stream_group *g) {
    for (uint32_t i = 0; i < g->consumers.count; i++) consumer_free(g, stream_consumer_at(g, i));
    mem_free_in(g->held, g->consumers.items);
    id_map_release(&g->pending);
    mem_free_in(g->held, g);
}

void stream_group_delete(struct stream *s, struct stream_group *g) {
    name_remove(&s->groups, &g->name);
    group_free(g);
}

/* ---- how far a group has read ---- */

/* Was an entry at or after `start` deleted, so that counting by the stream's totals would be wrong? */
static bool has_holes_from(const struct stream *s, struct stream_id start) {
    if (s->length == 0 || stream_id_equal(s->max_deleted_id, STREAM_ID_MIN)) return false;
    bool gone = stream_id_compare(s->first_id, s->max_deleted_id) > 0; /* all before it is trimmed as well */
    return !gone && stream_id_compare(start, s->max_deleted_id) <= 0;
}

/* How many entries were ever added up to `id`, where that can be told from the stream's totals. */
static int64_t count_up_to(const struct stream *s, struct stream_id id) {
    if (s->entries_added == 0) return 0;
    int order = stream_id_compare(id, s->last_id);
    if (s->length == 0 && order <= 0) return (int64_t)s->entries_added;
    if (order == 0) return (int64_t)s->entries_added;
    if (order > 0) return ENTRIES_READ_UNKNOWN;
    bool whole = stream_id_equal(s->max_deleted_id, STREAM_ID_MIN) ||
                 stream_id_compare(s->max_deleted_id, s->first_id) < 0;
    int to_first = stream_id_compare(id, s->first_id);
    if (!whole || to_first > 0) return ENTRIES_READ_UNKNOWN;
    return (int64_t)(s->entries_added - s->length) + (to_first == 0);
}

/* May the group's count be trusted, and go up by one with the next entry? Not if entries that it has not got
 * yet were trimmed or deleted. */
static bool count_holds(const struct stream *s, const struct stream_group *g) {
    return g->entries_read != ENTRIES_READ_UNKNOWN && stream_id_compare(g->last_id, s->first_id) >= 0 &&
           !has_holes_from(s, g->last_id);
}

void stream_group_advance(const struct stream *s, struct stream_group *g, struct stream_id id) {
    if (count_holds(s, g))
        g->entries_read = (int64_t)stream_count_one((uint64_t)g->entries_read);
    else if (s->entries_added > 0)
        g->entries_read = count_up_to(s, id);
    g->last_id = id;
}

bool stream_group_lag(const struct stream *s, const struct stream_group *g, int64_t *lag) {
    *lag = 0;
    if (s->length == 0) return true;
    int64_t read = count_holds(s, g) ? g->entries_read : count_up_to(s, g->last_id);
    if (read == ENTRIES_READ_UNKNOWN) return false;
    *lag = (int64_t)(s->entries_added - (uint64_t)read);
    return true;
}

/* ---- all groups of a stream ---- */

void stream_groups_release(struct stream *s) {
    for (uint32_t i = 0; i < s->groups.count; i++) group_free(stream_group_at(s, i));
    mem_free_in(&s->held, s->groups.items);
    s->groups = (struct name_list){ 0 };
}

static void group_copy(struct stream *to, const struct stream_group *from) {
    struct stream_group *g =
        stream_group_create(to, name_text(&from->name), from->last_id, from->entries_read);
    for (uint32_t i = 0; i < from->consumers.count; i++) {
        const struct stream_consumer *c = stream_consumer_at(from, i);
        struct stream_consumer *copy = stream_consumer_create(g, name_text(&c->name), c->seen_ms);
        copy->active_ms = c->active_ms;
        id_map_copy(&copy->pending, &c->pending, g->held);
    }
    id_map_copy(&g->pending, &from->pending, g->held);
    struct id_cursor at = id_map_first(&g->pending);
    for (; id_map_has(&g->pending, at); at = id_map_next(&g->pending, at)) {
        struct stream_pending *p = id_map_payload(&g->pending, at);
        p->owner = stream_consumer_find(g, name_text(&p->owner->name));
    }
}

void stream_groups_copy(struct stream *to, const struct stream *from) {
    for (uint32_t i = 0; i < from->groups.count; i++) group_copy(to, stream_group_at(from, i));
}

size_t stream_groups_effort(const struct stream *s) {
    size_t effort = s->groups.count;
    for (uint32_t i = 0; i < s->groups.count; i++) {
        const struct stream_group *g = stream_group_at(s, i);
        effort += g->consumers.count + 2 * id_map_pages(&g->pending);
    }
    return effort;
}

/* The check returns the bytes of the list, here, and of the whole group, below. */
static size_t check_names(const struct name_list *list) {
    assert(list->count <= list->room);
    for (uint32_t i = 1; i < list->count; i++)
        assert(slice_compare(name_text(list->items[i - 1]), name_text(list->items[i])) < 0);
    return list->items ? mem_size(list->items) : 0;
}

static size_t group_check(const struct stream_group *g) {
    uint64_t owned = 0;
    size_t bytes = mem_size(g) + check_names(&g->consumers) + id_map_check(&g->pending);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *c = stream_consumer_at(g, i);
        bytes += mem_size(c) + id_map_check(&c->pending);
        owned += c->pending.count;
        struct id_cursor at = id_map_first(&c->pending);
        for (; id_map_has(&c->pending, at); at = id_map_next(&c->pending, at)) {
            const struct stream_pending *p = stream_pending_find(g, id_map_id(&c->pending, at));
            assert(p && p->owner == c);
        }
    }
    assert(owned == g->pending.count);
    return bytes;
}

size_t stream_groups_check(const struct stream *s) {
    size_t bytes = check_names(&s->groups);
    for (uint32_t i = 0; i < s->groups.count; i++) bytes += group_check(stream_group_at(s, i));
    return bytes;
}
