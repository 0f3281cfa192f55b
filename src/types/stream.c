/* stream.c: entries in nodes, their ids, walking, trimming. See stream.h for the form of a node. */
#include "trivet/types/stream.h"
#include "stream_freeze.h"
#include "stream_node.h"
#include "trivet/base/mem.h"
#include <assert.h>

/* ---- ids ---- */

bool stream_id_increment(struct stream_id *id) {
    if (id->seq < UINT64_MAX) {
        id->seq++;
        return true;
    }
    if (id->ms == UINT64_MAX) return false;
    *id = (struct stream_id){ id->ms + 1, 0 };
    return true;
}

bool stream_id_decrement(struct stream_id *id) {
    if (id->seq > 0) {
        id->seq--;
        return true;
    }
    if (id->ms == 0) return false;
    *id = (struct stream_id){ id->ms - 1, UINT64_MAX };
    return true;
}

size_t stream_id_format(char *out, struct stream_id id) {
    size_t len = uint64_format(out, id.ms);
    out[len++] = '-';
    return len + uint64_format(out + len, id.seq);
}

/* Digits, leading zeros allowed. */
static bool parse_part(struct slice text, uint64_t *out) {
    while (text.len > 1 && text.ptr[0] == '0') text = slice_make(text.ptr + 1, text.len - 1);
    return uint64_parse(text, out);
}

bool stream_id_parse(struct slice text, uint64_t missing, struct stream_id *id, bool *any_seq) {
    const char *dash = text.len ? memchr(text.ptr, '-', text.len) : NULL;
    struct stream_id read = { .seq = missing };
    if (!dash) {
        if (!parse_part(text, &read.ms)) return false;
        *id = read;
        return true;
    }
    struct slice seq = slice_between(dash + 1, text.ptr + text.len);
    if (!parse_part(slice_between(text.ptr, dash), &read.ms)) return false;
    if (any_seq && slice_equal(seq, LIT("*"))) {
        read.seq = 0;
        *any_seq = true;
    } else if (!parse_part(seq, &read.seq)) {
        return false;
    }
    *id = read;
    return true;
}

/* ---- nodes ---- */

static unsigned char **node_slot(const struct stream *s, struct id_cursor at) {
    return id_map_payload(&s->nodes, at);
}

static const unsigned char *second(const unsigned char *lp) { return listpack_next(lp, listpack_first(lp)); }

static uint64_t live_count(const unsigned char *lp) { return node_number(listpack_first(lp)); }

static uint64_t deleted_count(const unsigned char *lp) { return node_number(second(lp)); }

/* The node's listpack, that it may be changed where it is. */
static unsigned char *own_node(struct stream *s, struct id_cursor at) {
    unsigned char **slot = node_slot(s, at);
    if (stream_leave_to_freeze(s, id_map_id(&s->nodes, at), *slot))
        MEM_COUNT_IN(&s->held, *slot = listpack_copy(*slot));
    return *slot;
}

/* Some entries of the node, which is the stream's own, were marked as deleted. */
static void move_counts(struct stream *s, struct id_cursor at, uint64_t deleted) {
    unsigned char **slot = node_slot(s, at), *lp = *slot, *place = listpack_first(lp);
    uint64_t live = live_count(lp) - deleted, gone = deleted_count(lp) + deleted;
    MEM_COUNT_IN(&s->held, lp = listpack_replace_number(lp, &place, (int64_t)live));
    place = listpack_next(lp, place);
    MEM_COUNT_IN(&s->held, *slot = listpack_replace_number(lp, &place, (int64_t)gone));
    s->length -= deleted;
}

/* Returns how many entries went with it. */
static uint64_t remove_node(struct stream *s, struct id_cursor at) {
    unsigned char *lp = *node_slot(s, at);
    struct stream_id master = id_map_id(&s->nodes, at);
    uint64_t count = live_count(lp);
    if (!stream_leave_to_freeze(s, master, lp)) mem_free_in(&s->held, lp);
    id_map_remove(&s->nodes, master);
    s->length -= count;
    return count;
}

/* ---- the whole ---- */

struct stream *stream_new(void) {
    struct stream *s = mem_alloc_zero(sizeof *s);
    id_map_init(&s->nodes, sizeof(unsigned char *), &s->held);
    return s;
}

void stream_free(struct stream *s) {
    assert(!s->freeze);
    struct id_cursor at = id_map_first(&s->nodes);
    for (; id_map_has(&s->nodes, at); at = id_map_next(&s->nodes, at)) listpack_free(*node_slot(s, at));
    id_map_release(&s->nodes);
    stream_groups_release(s);
    mem_free(s);
}

struct stream *stream_copy(const struct stream *s) {
    struct stream *copy = mem_alloc(sizeof *copy);
    *copy = *s;
    copy->held = 0;
    id_map_copy(&copy->nodes, &s->nodes, &copy->held);
    struct id_cursor at = id_map_first(&copy->nodes);
    for (; id_map_has(&copy->nodes, at); at = id_map_next(&copy->nodes, at)) {
        unsigned char **slot = node_slot(copy, at);
        MEM_COUNT_IN(&copy->held, *slot = listpack_copy(*slot));
    }
    copy->freeze = NULL;
    copy->groups = (struct name_list){ 0 };
    stream_groups_copy(copy, s);
    return copy;
}

static void value_free(struct value v) { stream_free(stream_of(v)); }

static struct value value_copy(struct value v) { return stream_value(stream_copy(stream_of(v))); }

static size_t value_bytes(struct value v) { return mem_size(v.ptr) + stream_of(v)->held; }

static size_t value_count(struct value v) { return stream_of(v)->length; }

static size_t value_effort(struct value v) {
    const struct stream *s = stream_of(v);
    return s->nodes.count + id_map_pages(&s->nodes) + stream_groups_effort(s);
}

const struct value_ops stream_value_ops = {
    .free = value_free,
    .copy = value_copy,
    .bytes = value_bytes,
    .effort = value_effort,
    .count = value_count,
};

/* ---- walking ---- */

void stream_walk_begin(struct stream_walk *w, const struct stream *s, struct stream_id start,
                       struct stream_id end, bool backwards) {
    *w = (struct stream_walk){ .stream = s, .start = start, .end = end, .backwards = backwards };
    w->node = id_map_seek_back(&s->nodes, backwards ? end : start);
    if (!backwards && !id_map_has(&s->nodes, w->node)) w->node = id_map_first(&s->nodes);
}

static bool enter_node(struct stream_walk *w) {
    const struct id_map *nodes = &w->stream->nodes;
    if (w->listpack) w->node = w->backwards ? id_map_previous(nodes, w->node) : id_map_next(nodes, w->node);
    if (!id_map_has(nodes, w->node)) return false;
    w->master = id_map_id(nodes, w->node);
    w->listpack = *node_slot(w->stream, w->node);
    const unsigned char *lp = w->listpack, *at = listpack_next(lp, second(lp));
    w->master_count = node_number(at);
    at = w->master_fields = listpack_next(lp, at);
    for (size_t i = 0; i < w->master_count; i++) at = listpack_next(lp, at);
    w->next = w->backwards ? listpack_last(lp) : listpack_next(lp, at);
    return true;
}

/* Reads the head of the entry whose flags are at `at`. False if it is deleted. */
static bool open_entry(struct stream_walk *w, const unsigned char *at) {
    const unsigned char *lp = w->listpack;
    w->flags = at;
    uint64_t flags = node_number(at);
    at = listpack_next(lp, at);
    w->id.ms = w->master.ms + node_number(at);
    at = listpack_next(lp, at);
    w->id.seq = w->master.seq + node_number(at);
    at = listpack_next(lp, at);
    w->same_fields = flags & ENTRY_SAME_FIELDS;
    if (w->same_fields) {
        w->pairs = w->unread = w->master_count;
        w->field = w->master_fields;
    } else {
        w->pairs = node_number(at);
        w->unread = 2 * w->pairs;
        at = listpack_next(lp, at);
    }
    w->at = at;
    w->open = true;
    return !(flags & ENTRY_DELETED);
}

/* Forwards: over what was not read of the current entry, and its count. */
static void skip_rest(struct stream_walk *w) {
    const unsigned char *at = w->at;
    for (; w->unread > 0; w->unread--) at = listpack_next(w->listpack, at);
    w->next = listpack_next(w->listpack, at);
}

/* Backwards: from the count at an entry's end to its flags. NULL at the master entry, whose count is 0. */
static const unsigned char *entry_start(const struct stream_walk *w) {
    const unsigned char *at = w->next;
    uint64_t elements = node_number(at);
    if (elements == 0) return NULL;
    for (; elements > 0; elements--) at = listpack_previous(w->listpack, at);
    return at;
}

bool stream_walk_next(struct stream_walk *w) {
    for (;;) {
        if (w->open && !w->backwards) skip_rest(w);
        if (w->open && w->backwards) w->next = listpack_previous(w->listpack, w->flags);
        w->open = false;
        const unsigned char *at = w->next;
        if (at && w->backwards) at = entry_start(w);
        if (!at) {
            w->next = NULL;
            if (!enter_node(w)) return false;
            continue;
        }
        bool there = open_entry(w, at);
        int to_start = stream_id_compare(w->id, w->start), to_end = stream_id_compare(w->id, w->end);
        if (w->backwards ? to_start < 0 : to_end > 0) return false;
        if (there && to_start >= 0 && to_end <= 0) return true;
    }
}

void stream_walk_pair(struct stream_walk *w, struct listpack_item *field, struct listpack_item *value) {
    assert(w->open && w->unread > 0);
    const unsigned char *lp = w->listpack;
    if (w->same_fields) {
        *field = listpack_get(w->field);
        w->field = listpack_next(lp, w->field);
    } else {
        *field = listpack_get(w->at);
        w->at = listpack_next(lp, w->at);
        w->unread--;
    }
    *value = listpack_get(w->at);
    w->at = listpack_next(lp, w->at);
    w->unread--;
}

bool stream_has(const struct stream *s, struct stream_id id) {
    struct stream_walk w;
    stream_walk_begin(&w, s, id, id, false);
    return stream_walk_next(&w);
}

struct stream_id stream_last_entry(const struct stream *s) {
    struct stream_walk w;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, true);
    return stream_walk_next(&w) ? w.id : STREAM_ID_MIN;
}

void stream_find_first(struct stream *s) {
    struct stream_walk w;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    s->first_id = stream_walk_next(&w) ? w.id : STREAM_ID_MIN;
}

/* ---- adding ---- */

bool stream_next_id(const struct stream *s, uint64_t now_ms, struct stream_id *id) {
    if (now_ms > s->last_id.ms) {
        *id = (struct stream_id){ now_ms, 0 };
        return true;
    }
    struct stream_id next = s->last_id;
    if (!stream_id_increment(&next)) return false;
    *id = next;
    return true;
}

/* The most that these elements take, with what stands around them. */
static size_t bytes_at_most(const struct slice *fields, size_t pairs) {
    size_t bytes = 128 + pairs * 2 * 11;
    for (size_t i = 0; i < pairs * 2; i++) bytes += fields[i].len;
    return bytes;
}

static size_t text_bytes(const struct slice *fields, size_t pairs) {
    size_t bytes = 0;
    for (size_t i = 0; i < pairs * 2; i++) bytes += fields[i].len;
    return bytes;
}

/* Must the next entry begin a new node? */
static bool node_is_full(const unsigned char *lp, const struct slice *fields, size_t pairs) {
    size_t most = encoding_limits.stream_node_bytes, entries = encoding_limits.stream_node_entries;
    if (most == 0 || most > LISTPACK_BYTES_MAX) most = LISTPACK_BYTES_MAX;
    if (listpack_bytes(lp) + text_bytes(fields, pairs) >= most) return true;
    if (!listpack_has_room(lp, bytes_at_most(fields, pairs))) return true;
    return entries > 0 && live_count(lp) + deleted_count(lp) >= entries;
}

static unsigned char *new_node(const struct slice *fields, size_t pairs) {
    unsigned char *lp = listpack_new();
    lp = listpack_append_number(lp, 0);
    lp = listpack_append_number(lp, 0);
    lp = listpack_append_number(lp, (int64_t)pairs);
    for (size_t i = 0; i < pairs; i++) lp = listpack_append(lp, fields[2 * i]);
    return listpack_append_number(lp, 0);
}

/* Are the entry's fields those of the node's master entry? */
static bool has_master_fields(const unsigned char *lp, const struct slice *fields, size_t pairs) {
    const unsigned char *at = listpack_next(lp, second(lp));
    if (node_number(at) != pairs) return false;
    for (size_t i = 0; i < pairs; i++) {
        at = listpack_next(lp, at);
        if (!listpack_equals(at, fields[2 * i])) return false;
    }
    return true;
}

static unsigned char *append_entry(unsigned char *lp, struct stream_id master, struct stream_id id,
                                   const struct slice *fields, size_t pairs) {
    unsigned char *count = listpack_first(lp);
    lp = listpack_replace_number(lp, &count, (int64_t)live_count(lp) + 1);
    bool same = has_master_fields(lp, fields, pairs);
    lp = listpack_append_number(lp, same ? ENTRY_SAME_FIELDS : 0);
    lp = listpack_append_number(lp, (int64_t)(id.ms - master.ms));
    lp = listpack_append_number(lp, (int64_t)(id.seq - master.seq));
    if (!same) lp = listpack_append_number(lp, (int64_t)pairs);
    for (size_t i = 0; i < pairs; i++) {
        if (!same) lp = listpack_append(lp, fields[2 * i]);
        lp = listpack_append(lp, fields[2 * i + 1]);
    }
    return listpack_append_number(lp, (int64_t)entry_elements(same, pairs));
}

bool stream_add(struct stream *s, struct stream_id id, const struct slice *fields, size_t pairs) {
    assert(stream_id_compare(id, s->last_id) > 0 && pairs > 0);
    if (bytes_at_most(fields, pairs) > LISTPACK_BYTES_MAX) return false;
    struct id_cursor at = id_map_last(&s->nodes);
    unsigned char **slot = id_map_has(&s->nodes, at) ? node_slot(s, at) : NULL;
    struct stream_id master = id;
    if (slot && node_is_full(*slot, fields, pairs)) {
        MEM_COUNT_IN(&s->held, *slot = listpack_shrink(*slot));
        slot = NULL;
    }
    if (slot) {
        master = id_map_id(&s->nodes, at);
        own_node(s, at);
    } else {
        bool fresh;
        stream_tell_freeze(s, id);
        slot = id_map_put(&s->nodes, id, &fresh);
        assert(fresh);
        MEM_COUNT_IN(&s->held, *slot = new_node(fields, pairs));
    }
    MEM_COUNT_IN(&s->held, *slot = append_entry(*slot, master, id, fields, pairs));
    s->length++;
    s->entries_added = stream_count_one(s->entries_added);
    s->last_id = id;
    if (s->length == 1) s->first_id = id;
    return true;
}

/* ---- deleting and trimming ---- */

/* A flag is a number of one byte, so it can be set in its place. The walk can go on inside the node, even if
 * that is a copy now. */
static void mark_deleted(struct stream *s, const struct stream_walk *w) {
    own_node(s, w->node)[w->flags - w->listpack] |= ENTRY_DELETED;
}

bool stream_delete(struct stream *s, struct stream_id id) {
    struct stream_walk w;
    stream_walk_begin(&w, s, id, id, false);
    if (!stream_walk_next(&w)) return false;
    if (live_count(w.listpack) == 1) {
        remove_node(s, w.node);
    } else {
        mark_deleted(s, &w);
        move_counts(s, w.node, 1);
    }
    if (stream_id_compare(id, s->max_deleted_id) > 0) s->max_deleted_id = id;
    if (stream_id_equal(id, s->first_id)) stream_find_first(s);
    return true;
}

/* Where the deleted entries at the node's end begin whose ids are greater than `id`; NULL if there are none.
 */
static const unsigned char *tail_behind(const struct stream *s, struct id_cursor at, struct stream_id id,
                                        uint64_t *entries, size_t *elements) {
    struct stream_walk w = { .stream = s, .backwards = true, .node = at };
    const unsigned char *tail = NULL, *start;
    bool entered = enter_node(&w);
    assert(entered);
    *entries = *elements = 0;
    while ((start = entry_start(&w)) != NULL) {
        if (open_entry(&w, start) || stream_id_compare(w.id, id) <= 0) break;
        tail = start;
        ++*entries;
        *elements += node_number(w.next) + 1;
        w.next = listpack_previous(w.listpack, start);
    }
    return tail;
}

void stream_set_last_id(struct stream *s, struct stream_id id) {
    uint64_t entries;
    size_t elements;
    struct id_cursor at = id_map_last(&s->nodes);
    s->last_id = id;
    if (!id_map_has(&s->nodes, at)) return;
    const unsigned char *tail = tail_behind(s, at, id, &entries, &elements);
    if (!tail) return;
    size_t offset = (size_t)(tail - *node_slot(s, at));
    unsigned char *lp = own_node(s, at);
    lp = listpack_delete(lp, lp + offset, elements, NULL);
    unsigned char *deleted = listpack_next(lp, listpack_first(lp));
    *node_slot(s, at) = listpack_replace_number(lp, &deleted, (int64_t)(deleted_count(lp) - entries));
}

/* The id of the node's last entry, deleted or not. */
static struct stream_id node_last_id(const struct stream *s, struct id_cursor at) {
    struct stream_walk w = { .stream = s, .backwards = true, .node = at };
    bool entered = enter_node(&w);
    assert(entered);
    open_entry(&w, entry_start(&w));
    return w.id;
}

/* May the whole first node go? */
static bool node_may_go(const struct stream *s, const struct stream_trim *how, uint64_t count) {
    struct id_cursor first = id_map_first(&s->nodes);
    if (how->by_id) return stream_id_compare(node_last_id(s, first), how->min_id) < 0;
    return s->length - count >= how->max_length;
}

/* Marks entries at the front of the first node, of which some must stay. */
static uint64_t trim_inside(struct stream *s, const struct stream_trim *how) {
    struct stream_walk w;
    uint64_t marked = 0;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_walk_next(&w)) {
        bool stop =
            how->by_id ? stream_id_compare(w.id, how->min_id) >= 0 : s->length - marked <= how->max_length;
        if (stop) break;
        mark_deleted(s, &w);
        marked++;
    }
    if (marked > 0) move_counts(s, id_map_first(&s->nodes), marked);
    return marked;
}

uint64_t stream_trim(struct stream *s, const struct stream_trim *how) {
    uint64_t gone = 0;
    while (s->nodes.count > 0 && (how->by_id || s->length > how->max_length)) {
        struct id_cursor first = id_map_first(&s->nodes);
        uint64_t count = live_count(*node_slot(s, first));
        if (how->limit > 0 && gone + count > how->limit) break;
        if (node_may_go(s, how, count)) {
            gone += remove_node(s, first);
            continue;
        }
        if (!how->whole_nodes) gone += trim_inside(s, how);
        break;
    }
    if (gone > 0) stream_find_first(s);
    return gone;
}

/* ---- loading ---- */

bool stream_load_node(struct stream *s, struct stream_id master, unsigned char *listpack) {
    assert(!s->freeze);
    struct id_cursor last = id_map_last(&s->nodes);
    if (id_map_has(&s->nodes, last) && stream_id_compare(master, node_last_id(s, last)) <= 0) return false;
    bool fresh;
    unsigned char **slot = id_map_put(&s->nodes, master, &fresh);
    *slot = listpack;
    s->held += mem_size(listpack);
    s->length += live_count(listpack);
    return true;
}

/* ---- checking ---- */

void stream_check(const struct stream *s) {
    uint64_t length = 0, walked = 0;
    struct stream_id last = STREAM_ID_MIN;
    size_t bytes = id_map_check(&s->nodes);
    struct id_cursor at = id_map_first(&s->nodes);
    for (; id_map_has(&s->nodes, at); at = id_map_next(&s->nodes, at)) {
        const unsigned char *lp = *node_slot(s, at);
        assert(stream_node_is_valid(lp, listpack_bytes(lp), id_map_id(&s->nodes, at)));
        length += live_count(lp);
        bytes += mem_size(lp);
    }
    struct stream_walk w;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    for (; stream_walk_next(&w); walked++) {
        assert(walked == 0 ? stream_id_equal(w.id, s->first_id) : stream_id_compare(last, w.id) < 0);
        last = w.id;
    }
    assert(length == s->length && walked == length);
    assert(length > 0 || stream_id_equal(s->first_id, STREAM_ID_MIN));
    assert(stream_id_equal(last, stream_last_entry(s)) && stream_id_compare(last, s->last_id) <= 0);
    bytes += stream_groups_check(s);
    assert(bytes == s->held && s->nodes.held == &s->held);
}
