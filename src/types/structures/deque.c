/* deque.c: see deque_private.h. First the nodes, each by itself; then what a freeze shares with them; then
 * the ring; then the elements. */
#include "trivet/types/structures/deque.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/encoding_limits.h"
#include <assert.h>
#include <liblzf/lzf.h>

#define ROOM_MIN 4
#define COMPRESS_MIN 48      /* smaller nodes are not worth it */
#define COMPRESS_GAIN_MIN 16 /* bytes that compressing has to save */

/* With a limit in elements, big ones do not share a node beyond this. */
#define COUNTED_NODE_BYTES 8192

/* ---- limits ---- */

/* Bytes of a node if the limit is in bytes (-1: 4 KiB ... -5: 64 KiB), else 0. */
static size_t byte_limit(void) {
    int64_t size = encoding_limits.list_size;
    if (size >= 0) return 0;
    return (size_t)2048 << (size < -5 ? 5 : -size);
}

bool deque_node_fits(size_t bytes, size_t count) {
    size_t limit = byte_limit();
    if (limit) return bytes <= limit;
    int64_t size = encoding_limits.list_size;
    return bytes <= COUNTED_NODE_BYTES && count <= (size == 0 ? 1 : (size_t)size);
}

bool deque_is_big(size_t len) {
    size_t limit = byte_limit();
    return len > (limit ? limit : COUNTED_NODE_BYTES);
}

static bool is_half(size_t bytes, size_t count) {
    size_t limit = byte_limit();
    return limit ? bytes <= limit / 2 : count <= (size_t)encoding_limits.list_size / 2;
}

/* ---- one node ---- */

static bool is_compressed(const struct deque_node *n) {
    return n->kind == NODE_PACKED_COMPRESSED || n->kind == NODE_PLAIN_COMPRESSED;
}

static bool is_plain(const struct deque_node *n) {
    return n->kind == NODE_PLAIN || n->kind == NODE_PLAIN_COMPRESSED;
}

static struct deque_node packed_node(unsigned char *lp) {
    return (struct deque_node){ .data = lp, .count = (uint32_t)listpack_count(lp), .kind = NODE_PACKED };
}

/* A node with this one element. */
static struct deque_node single_node(struct slice text) {
    if (!deque_is_big(text.len))
        return (struct deque_node){ .data = listpack_append(listpack_new(), text),
                                    .count = 1,
                                    .kind = NODE_PACKED };
    struct deque_plain *p = mem_alloc(sizeof *p + text.len);
    p->len = text.len;
    memcpy(p->bytes, text.ptr, text.len);
    return (struct deque_node){ .data = p, .count = 1, .kind = NODE_PLAIN };
}

static struct slice raw_bytes(const struct deque_node *n) {
    if (n->kind == NODE_PACKED) return slice_make(n->data, listpack_bytes(n->data));
    const struct deque_plain *p = n->data;
    return slice_make(p->bytes, p->len);
}

/* What a freeze needs of a deque, and who sees it. */
struct deque_freeze {
    void (*visit)(void *arg, const struct deque_view *node);
    void *arg;
    struct deque_node *nodes; /* as they were; `shared` is 0 once the deque has left the data to the freeze */
    uint32_t length, next;    /* those before `next` are visited, and nobody's business any more */
    size_t left_bytes;        /* in data that was left to it */
    struct buf scratch;
};

/* The freeze's slot that has the same data and still needs it, or NULL. The node shares nothing after. */
static struct deque_node *part_with_freeze(struct deque *d, struct deque_node *n) {
    uint32_t place = n->shared;
    n->shared = 0;
    if (place == 0 || place <= d->freeze->next) return NULL;
    return &d->freeze->nodes[place - 1];
}

static void leave_to_freeze(struct deque *d, struct deque_node *kept) {
    size_t bytes = mem_size(kept->data);
    kept->shared = 0;
    d->freeze->left_bytes += bytes;
    d->held -= bytes;
}

/* Frees a node's data, or leaves it to a freeze. The node has no data after. */
static void drop_data(struct deque *d, struct deque_node *n) {
    struct deque_node *kept = UNLIKELY(d->freeze) ? part_with_freeze(d, n) : NULL;
    if (kept)
        leave_to_freeze(d, kept);
    else
        mem_free(n->data);
}

static void *data_copy(const struct deque_node *n) {
    size_t bytes;
    if (n->kind == NODE_PACKED)
        bytes = listpack_bytes(n->data);
    else if (n->kind == NODE_PLAIN)
        bytes = sizeof(struct deque_plain) + ((const struct deque_plain *)n->data)->len;
    else
        bytes = sizeof(struct deque_compressed) + ((const struct deque_compressed *)n->data)->size;
    return memcpy(mem_alloc(bytes), n->data, bytes);
}

static __attribute__((noinline)) void *shared_copy(struct deque *d, struct deque_node *n) {
    struct deque_node *kept = part_with_freeze(d, n);
    if (!kept) return n->data;
    leave_to_freeze(d, kept);
    return data_copy(n);
}

/* Before a node's data is changed where it is. */
static inline void before_change(struct deque *d, struct deque_node *n) {
    if (UNLIKELY(d->freeze)) n->data = shared_copy(d, n);
}

static void compress(struct deque *d, struct deque_node *n) {
    if (is_compressed(n)) return;
    struct slice raw = raw_bytes(n);
    if (raw.len < COMPRESS_MIN || raw.len > LISTPACK_BYTES_MAX) return;
    size_t most = raw.len - COMPRESS_GAIN_MIN;
    struct deque_compressed *c = mem_alloc(sizeof *c + most);
    unsigned size = lzf_compress(raw.ptr, (unsigned)raw.len, c->bytes, (unsigned)most);
    if (size == 0) {
        mem_free(c);
        return;
    }
    c->raw = (uint32_t)raw.len;
    c->size = size;
    drop_data(d, n);
    n->data = mem_realloc(c, sizeof *c + size);
    n->kind = is_plain(n) ? NODE_PLAIN_COMPRESSED : NODE_PACKED_COMPRESSED;
}

static void inflate(const struct deque_compressed *c, void *to) {
    unsigned size = lzf_decompress(c->bytes, c->size, to, c->raw);
    assert(size == c->raw);
}

static void decompress(struct deque *d, struct deque_node *n) {
    if (!is_compressed(n)) return;
    struct deque_compressed *c = n->data;
    void *raw;
    if (is_plain(n)) {
        struct deque_plain *p = raw = mem_alloc(sizeof *p + c->raw);
        p->len = c->raw;
        inflate(c, p->bytes);
    } else {
        raw = mem_alloc(c->raw);
        inflate(c, raw);
    }
    n->kind = is_plain(n) ? NODE_PLAIN : NODE_PACKED;
    drop_data(d, n);
    n->data = raw;
}

static struct deque_node node_copy(const struct deque_node *n) {
    struct deque_node copy = *n;
    copy.data = data_copy(n);
    copy.shared = 0;
    return copy;
}

/* Could one more element join this node? It is not compressed then. */
static bool has_room(const struct deque_node *n, struct slice text) {
    if (n->kind != NODE_PACKED || deque_is_big(text.len)) return false;
    /* The room of an element is counted at its most: its text, and what stands around it. */
    return deque_node_fits(listpack_bytes(n->data) + text.len + 11, (size_t)n->count + 1);
}

/* `before`: the offset the element will have. */
static void node_insert(struct deque *d, struct deque_node *n, uint32_t before, struct slice text) {
    before_change(d, n);
    unsigned char *lp = n->data;
    n->data = listpack_insert(lp, before == n->count ? NULL : listpack_at(lp, before), text);
    n->count++;
}

static void node_delete(struct deque *d, struct deque_node *n, uint32_t offset, uint32_t count) {
    before_change(d, n);
    n->data = listpack_delete(n->data, listpack_at(n->data, offset), count, NULL);
    n->count -= count;
}

/* Takes the elements from `offset` on out of the node, which keeps some, and returns them as another. */
static struct deque_node node_split(struct deque *d, struct deque_node *n, uint32_t offset) {
    assert(n->kind == NODE_PACKED && offset > 0 && offset < n->count);
    struct deque_node tail = node_copy(n);
    node_delete(d, &tail, 0, offset);
    node_delete(d, n, offset, n->count - offset);
    return tail;
}

/* ---- the ring ---- */

struct deque *deque_new(void) {
    struct deque *d = mem_alloc_zero(sizeof *d);
    d->room = ROOM_MIN;
    d->ring = mem_alloc_in(&d->held, ROOM_MIN * sizeof *d->ring);
    return d;
}

void deque_free(struct deque *d) {
    assert(!d->freeze);
    for (uint32_t i = 0; i < d->length; i++) mem_free(deque_at(d, i)->data);
    mem_free(d->ring);
    mem_free(d);
}

/* Another ring with so many slots, node 0 in the first. */
static void ring_resize(struct deque *d, uint32_t room) {
    struct deque_node *ring = mem_alloc(room * sizeof *ring);
    uint32_t to_end = d->room - d->first, head = d->length < to_end ? d->length : to_end;
    memcpy(ring, d->ring + d->first, head * sizeof *ring);
    memcpy(ring + head, d->ring, (d->length - head) * sizeof *ring);
    mem_free(d->ring);
    d->ring = ring;
    d->room = room;
    d->first = 0;
}

static void ring_shrink(struct deque *d) {
    uint32_t room = d->room;
    while (room > ROOM_MIN && d->length <= room / 4) room /= 2;
    if (room != d->room) ring_resize(d, room);
}

/* Opens a slot so that `n` becomes node `i`; the slots on the shorter side move. */
static void ring_insert(struct deque *d, uint32_t i, struct deque_node n) {
    if (d->length == d->room) {
        assert(d->room <= UINT32_MAX / 2);
        ring_resize(d, d->room * 2);
    }
    d->length++;
    if (i < d->length / 2) {
        d->first = (d->first - 1) & (d->room - 1);
        for (uint32_t k = 0; k < i; k++) *deque_at(d, k) = *deque_at(d, k + 1);
    } else {
        for (uint32_t k = d->length - 1; k > i; k--) *deque_at(d, k) = *deque_at(d, k - 1);
    }
    *deque_at(d, i) = n;
}

/* Frees `count` nodes from `from` on and closes the gap. */
static void ring_remove(struct deque *d, uint32_t from, uint32_t count) {
    for (uint32_t k = from; k < from + count; k++) drop_data(d, deque_at(d, k));
    uint32_t behind = d->length - from - count;
    if (from < behind) {
        for (uint32_t k = from; k > 0; k--) *deque_at(d, k - 1 + count) = *deque_at(d, k - 1);
        d->first = (d->first + count) & (d->room - 1);
    } else {
        for (uint32_t k = 0; k < behind; k++) *deque_at(d, from + k) = *deque_at(d, from + count + k);
    }
    d->length -= count;
    ring_shrink(d);
}

struct deque *deque_copy(const struct deque *d) {
    struct deque *copy = mem_alloc(sizeof *copy);
    *copy = *d;
    copy->first = 0;
    copy->freeze = NULL;
    copy->held = 0;
    copy->ring = mem_alloc_in(&copy->held, d->room * sizeof *copy->ring);
    for (uint32_t i = 0; i < d->length; i++)
        MEM_COUNT_IN(&copy->held, copy->ring[i] = node_copy(deque_at(d, i)));
    return copy;
}

size_t deque_bytes(const struct deque *d) { return mem_size(d) + d->held; }

void deque_check(const struct deque *d) {
    size_t bytes = mem_size(d->ring), count = 0;
    assert(d->length <= d->room);
    for (uint32_t i = 0; i < d->length; i++) {
        bytes += mem_size(deque_at(d, i)->data);
        count += deque_at(d, i)->count;
    }
    assert(bytes == d->held && count == d->count);
}

struct deque_place deque_find(const struct deque *d, size_t index) {
    assert(index < d->count);
    if (index < d->count / 2) {
        uint32_t i = 0;
        for (; index >= deque_at(d, i)->count; i++) index -= deque_at(d, i)->count;
        return (struct deque_place){ i, (uint32_t)index };
    }
    size_t behind = d->count - index; /* elements from here to the tail, this one included */
    uint32_t i = d->length - 1;
    for (; behind > deque_at(d, i)->count; i--) behind -= deque_at(d, i)->count;
    return (struct deque_place){ i, (uint32_t)(deque_at(d, i)->count - behind) };
}

static struct deque_view node_view(const struct deque_node *n, struct buf *scratch) {
    const void *data = n->data;
    if (n->kind == NODE_PACKED) return (struct deque_view){ .lp = data };
    if (n->kind == NODE_PLAIN) return (struct deque_view){ .plain = raw_bytes(n) };
    const struct deque_compressed *c = data;
    buf_clear(scratch);
    char *to = buf_reserve(scratch, c->raw);
    inflate(c, to);
    scratch->len = c->raw;
    if (is_plain(n)) return (struct deque_view){ .plain = buf_slice(scratch) };
    return (struct deque_view){ .lp = (const unsigned char *)to };
}

struct deque_view deque_view(const struct deque *d, uint32_t node, struct buf *scratch) {
    return node_view(deque_at(d, node), scratch);
}

/* ---- compression ---- */

static bool is_inner(const struct deque *d, uint32_t i) {
    size_t depth = encoding_limits.list_compress_depth;
    return depth > 0 && i >= depth && d->length - 1 - i >= depth;
}

/* After node `i` changed. */
static void settle_node(struct deque *d, uint32_t i) {
    if (i < d->length && is_inner(d, i)) compress(d, deque_at(d, i));
}

/* After nodes came or went: those near the ends are read and changed most; those that just left their
 * neighbourhood are compressed. */
static void settle_ends(struct deque *d) {
    size_t depth = encoding_limits.list_compress_depth;
    if (depth == 0) return;
    for (uint32_t k = 0; k < depth && k < d->length; k++) {
        decompress(d, deque_at(d, k));
        decompress(d, deque_at(d, d->length - 1 - k));
    }
    if (d->length <= 2 * depth) return;
    settle_node(d, (uint32_t)depth);
    settle_node(d, d->length - 1 - (uint32_t)depth);
}

/* ---- elements ---- */

static inline __attribute__((always_inline)) void push(struct deque *d, bool at_tail, struct slice text) {
    d->count++;
    if (d->length > 0) {
        struct deque_node *end = deque_at(d, at_tail ? d->length - 1 : 0);
        decompress(d, end);
        if (has_room(end, text)) {
            before_change(d, end);
            end->data = listpack_insert(end->data, at_tail ? NULL : listpack_first(end->data), text);
            end->count++;
            return;
        }
    }
    ring_insert(d, at_tail ? d->length : 0, single_node(text));
    settle_ends(d);
}

static void adopt(struct deque *d, unsigned char *lp) {
    struct deque_node n = packed_node(lp);
    assert(n.count > 0);
    d->held += mem_size(lp);
    ring_insert(d, d->length, n);
    d->count += n.count;
    settle_ends(d);
}

/* Joins node i + 1 to node i if one node may hold both. */
static bool try_join(struct deque *d, uint32_t i) {
    if (i >= d->length || d->length - i < 2) return false;
    struct deque_node *a = deque_at(d, i), *b = deque_at(d, i + 1);
    if (a->kind != NODE_PACKED || b->kind != NODE_PACKED) return false;
    size_t bytes = listpack_bytes(a->data) + listpack_bytes(b->data) - LISTPACK_EMPTY_BYTES;
    if (!deque_node_fits(bytes, (size_t)a->count + b->count)) return false;
    before_change(d, a);
    a->data = listpack_join(a->data, b->data);
    a->count += b->count;
    ring_remove(d, i + 1, 1);
    return true;
}

/* The neighbours of a place where something was taken out or cut. */
static void join_around(struct deque *d, uint32_t i) {
    try_join(d, i);
    if (i > 0) try_join(d, i - 1);
}

/* The element does not fit into its node: it goes to a neighbour, or between two nodes. */
static void insert_beside(struct deque *d, struct deque_place at, struct slice text) {
    struct deque_node *n = deque_at(d, at.node);
    if (at.offset == 0 && at.node > 0 && has_room(deque_at(d, at.node - 1), text)) {
        struct deque_node *previous = deque_at(d, at.node - 1);
        node_insert(d, previous, previous->count, text);
        return;
    }
    if (at.offset == 0) {
        ring_insert(d, at.node, single_node(text));
        return;
    }
    struct deque_node tail = node_split(d, n, at.offset), fresh = single_node(text);
    if (has_room(&tail, text)) {
        mem_free(fresh.data);
        node_insert(d, &tail, 0, text);
        ring_insert(d, at.node + 1, tail);
        try_join(d, at.node + 1);
    } else {
        ring_insert(d, at.node + 1, tail);
        ring_insert(d, at.node + 1, fresh);
    }
    if (at.node > 0) try_join(d, at.node - 1);
}

static void insert(struct deque *d, size_t index, struct slice text) {
    if (index == 0 || index == d->count) {
        push(d, index > 0, text);
        return;
    }
    struct deque_place at = deque_find(d, index);
    struct deque_node *n = deque_at(d, at.node);
    decompress(d, n);
    d->count++;
    if (has_room(n, text)) {
        node_insert(d, n, at.offset, text);
        settle_node(d, at.node);
        return;
    }
    insert_beside(d, at, text);
    for (uint32_t k = at.node > 0 ? at.node - 1 : 0; k <= at.node + 2; k++) settle_node(d, k);
    settle_ends(d);
}

static inline __attribute__((always_inline)) void delete_range(struct deque *d, size_t index, size_t count) {
    if (count == 0) return;
    struct deque_place at = deque_find(d, index);
    uint32_t touched = at.node, whole = 0, length = d->length;
    d->count -= count;
    if (at.offset > 0) {
        struct deque_node *n = deque_at(d, at.node);
        uint32_t here = count < n->count - at.offset ? (uint32_t)count : n->count - at.offset;
        decompress(d, n);
        node_delete(d, n, at.offset, here);
        count -= here;
        at.node++;
    }
    while (count > 0 && count >= deque_at(d, at.node + whole)->count) {
        count -= deque_at(d, at.node + whole)->count;
        whole++;
    }
    if (count > 0) {
        struct deque_node *n = deque_at(d, at.node + whole);
        decompress(d, n);
        node_delete(d, n, 0, (uint32_t)count);
    }
    if (whole > 0) ring_remove(d, at.node, whole);
    if (touched > 0 && touched + 1 < d->length)
        join_around(d, touched); /* at the ends it would be done at each pop */
    for (uint32_t k = touched > 0 ? touched - 1 : 0; k <= touched + 1; k++) settle_node(d, k);
    if (length != d->length) settle_ends(d);
}

static void replace(struct deque *d, size_t index, struct slice text) {
    struct deque_place at = deque_find(d, index);
    struct deque_node *n = deque_at(d, at.node);
    decompress(d, n);
    if (n->kind == NODE_PACKED && (n->count == 1 ? !deque_is_big(text.len) : has_room(n, text))) {
        before_change(d, n);
        unsigned char *element = listpack_at(n->data, at.offset);
        n->data = listpack_replace(n->data, &element, text);
        settle_node(d, at.node);
        return;
    }
    if (n->count == 1) {
        drop_data(d, n);
        *n = single_node(text);
        settle_node(d, at.node);
        return;
    }
    insert(d, index, text);
    delete_range(d, index + 1, 1);
}

/* ---- removing what equals a text ---- */

unsigned char *deque_remove_packed(unsigned char *lp, struct slice text, size_t limit, bool backward,
                                   size_t *removed) {
    unsigned char *at = backward ? listpack_last(lp) : listpack_find(lp, listpack_first(lp), text, 0);
    *removed = 0;
    while (at && *removed < limit) {
        unsigned char *previous = backward ? listpack_previous(lp, at) : NULL;
        size_t before = previous ? (size_t)(previous - lp) : 0;
        if (!listpack_equals(at, text)) { /* only on the way back: forward, find comes to those that are */
            at = previous;
            continue;
        }
        lp = listpack_delete(lp, at, 1, &at);
        ++*removed;
        if (backward)
            at = previous ? lp + before : NULL;
        else
            at = at ? listpack_find(lp, at, text, 0) : NULL;
    }
    return lp;
}

/* Leaves an empty node behind if nothing is left of it. */
static size_t remove_in(struct deque *d, uint32_t i, struct slice text, size_t limit, bool backward) {
    struct deque_node *n = deque_at(d, i);
    if (is_plain(n)) {
        struct buf scratch = { 0 };
        bool same = slice_equal(deque_view(d, i, &scratch).plain, text);
        buf_release(&scratch);
        n->count = !same;
        return same;
    }
    bool was_compressed = is_compressed(n);
    if (was_compressed || d->freeze) { /* look first: most nodes of a long list have no match */
        struct buf scratch = { 0 };
        const unsigned char *lp = deque_view(d, i, &scratch).lp;
        bool found = listpack_find(lp, listpack_first(lp), text, 0) != NULL;
        buf_release(&scratch);
        if (!found) return 0;
        decompress(d, n);
        before_change(d, n);
    }
    size_t removed;
    n->data = deque_remove_packed(n->data, text, limit, backward, &removed);
    n->count -= (uint32_t)removed;
    if (was_compressed && n->count > 0) compress(d, n);
    return removed;
}

/* Closes the ring over all empty nodes at once, joining what has become small. */
static void drop_empty_nodes(struct deque *d) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->length; i++) {
        struct deque_node n = *deque_at(d, i);
        if (n.count == 0)
            drop_data(d, &n);
        else
            *deque_at(d, kept++) = n;
    }
    d->length = kept;
    ring_shrink(d);
}

static void join_all(struct deque *d) {
    uint32_t kept = 0;
    for (uint32_t i = 1; i < d->length; i++) {
        struct deque_node *a = deque_at(d, kept), *b = deque_at(d, i);
        bool join = a->kind == NODE_PACKED && b->kind == NODE_PACKED &&
                    deque_node_fits(listpack_bytes(a->data) + listpack_bytes(b->data) - LISTPACK_EMPTY_BYTES,
                                    (size_t)a->count + b->count);
        if (!join) {
            *deque_at(d, ++kept) = *b;
            continue;
        }
        before_change(d, a);
        a->data = listpack_join(a->data, b->data);
        a->count += b->count;
        drop_data(d, b);
    }
    if (d->length > 0) d->length = kept + 1;
    ring_shrink(d);
}

static size_t remove_equal(struct deque *d, struct slice text, size_t limit, bool backward) {
    size_t removed = 0;
    for (uint32_t k = 0; k < d->length && removed < limit; k++)
        removed += remove_in(d, backward ? d->length - 1 - k : k, text, limit - removed, backward);
    if (removed == 0) return 0;
    d->count -= removed;
    drop_empty_nodes(d);
    join_all(d);
    settle_ends(d);
    return removed;
}

/* ---- changes from outside ----
 *
 * Nodes are made, resized and freed in many places above. What that does to the bytes of the deque is counted
 * here, by what the thread allocates and frees meanwhile. What comes from outside or is left to a freeze is
 * counted where that happens. Pushes and pops are inlined, so that counting them costs no call. */

void deque_push(struct deque *d, bool at_tail, struct slice text) {
    MEM_COUNT_IN(&d->held, push(d, at_tail, text));
}

void deque_adopt(struct deque *d, unsigned char *lp) { MEM_COUNT_IN(&d->held, adopt(d, lp)); }

void deque_insert(struct deque *d, size_t index, struct slice text) {
    MEM_COUNT_IN(&d->held, insert(d, index, text));
}

void deque_replace(struct deque *d, size_t index, struct slice text) {
    MEM_COUNT_IN(&d->held, replace(d, index, text));
}

void deque_delete(struct deque *d, size_t index, size_t count) {
    MEM_COUNT_IN(&d->held, delete_range(d, index, count));
}

size_t deque_remove(struct deque *d, struct slice text, size_t limit, bool backward) {
    size_t removed;
    MEM_COUNT_IN(&d->held, removed = remove_equal(d, text, limit, backward));
    return removed;
}

static unsigned char *detach_single(struct deque *d, bool half) {
    struct deque_node *n = deque_at(d, 0);
    decompress(d, n);
    size_t bytes = listpack_bytes(n->data);
    if (half ? !is_half(bytes, n->count) : !deque_node_fits(bytes, n->count)) return NULL;
    d->length = 0;
    return n->data;
}

unsigned char *deque_detach_single(struct deque *d, bool half) {
    unsigned char *lp;
    if (d->length != 1 || is_plain(deque_at(d, 0)) || d->freeze) return NULL;
    MEM_COUNT_IN(&d->held, lp = detach_single(d, half));
    if (lp) deque_free(d);
    return lp;
}

/* ---- freezing ---- */

void deque_freeze(struct deque *d, void (*visit)(void *arg, const struct deque_view *node), void *arg) {
    assert(!d->freeze && deque_can_freeze(d));
    struct deque_freeze *f = mem_alloc(sizeof *f);
    *f = (struct deque_freeze){ .visit = visit, .arg = arg, .length = d->length };
    if (d->length > 0) f->nodes = mem_alloc(d->length * sizeof *f->nodes);
    for (uint32_t i = 0; i < d->length; i++) {
        deque_at(d, i)->shared = (i + 1) & DEQUE_SHARED_MAX;
        f->nodes[i] = *deque_at(d, i);
    }
    d->freeze = f;
}

void *deque_frozen_for(const struct deque *d) { return d->freeze ? d->freeze->arg : NULL; }

/* Node `next` is not needed any more. */
static void freeze_advance(struct deque_freeze *f) {
    struct deque_node *n = &f->nodes[f->next++];
    if (n->shared) return;
    f->left_bytes -= mem_size(n->data);
    mem_free(n->data);
}

bool deque_freeze_walk(struct deque *d, size_t nodes) {
    struct deque_freeze *f = d->freeze;
    for (; f->next < f->length && nodes > 0; nodes--) {
        struct deque_view view = node_view(&f->nodes[f->next], &f->scratch);
        f->visit(f->arg, &view);
        freeze_advance(f);
    }
    return f->next < f->length;
}

size_t deque_freeze_memory(const struct deque *d) {
    const struct deque_freeze *f = d->freeze;
    size_t slots = f->nodes ? mem_size(f->nodes) : 0;
    return mem_size(f) + slots + f->left_bytes + f->scratch.room;
}

void deque_thaw(struct deque *d) {
    struct deque_freeze *f = d->freeze;
    d->freeze = NULL;
    while (f->next < f->length) freeze_advance(f);
    buf_release(&f->scratch);
    mem_free(f->nodes);
    mem_free(f);
}
