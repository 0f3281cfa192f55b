/* btree.c: see btree.h.
 *
 * Leaves are half a kilobyte and linked in order. An inner node holds for each child its first item (score
 * and pointer) and how many items are below it; both are exact at all times, so a descent compares with items
 * that are there, and a rank is a sum over the way down.
 *
 * Nodes split in halves when full; at both ends of the tree they split so that items that come in order leave
 * full leaves behind. A node that falls to a quarter is merged with a neighbour if the two fit well into one;
 * an empty node goes. Nothing is ever moved between neighbours just to balance them: the depth cannot grow by
 * removing.
 *
 * Every change records the way from the root in a struct path, from the leaf's parent (level 0) upwards. */
#include "trivet/types/structures/btree.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"
#include <string.h>

#define LEAF_MAX 30
#define INNER_MAX 63
/* Levels of inner nodes: each has two children on average at the very least, and counts are 32 bits. */
#define DEPTH_MAX 32

struct btree_leaf {
    struct btree_leaf *previous, *next;
    uint32_t count;
    double scores[LEAF_MAX];
    struct scored *items[LEAF_MAX];
};
static_assert(sizeof(struct btree_leaf) <= 512, "a leaf fits a size class of the allocator");

struct inner {
    uint32_t count;
    uint32_t below[INNER_MAX];        /* items under each child */
    double scores[INNER_MAX];         /* of `firsts` */
    struct scored *firsts[INNER_MAX]; /* the first item under each child */
    void *children[INNER_MAX];
};
static_assert(sizeof(struct inner) <= 1792, "an inner node fits a size class of the allocator");

struct path {
    struct {
        struct inner *node;
        uint32_t at; /* which child */
    } level[DEPTH_MAX];
};

void scored_write(struct scored *s, struct slice text, double score) {
    assert(text.len <= UINT32_MAX);
    s->score = score;
    s->len = (uint32_t)text.len;
    if (text.len) memcpy(s->text, text.ptr, text.len);
}

struct scored *scored_new(struct slice text, double score) {
    struct scored *s = mem_alloc(scored_size(text));
    scored_write(s, text, score);
    return s;
}

int scored_compare(const struct scored *a, const struct scored *b) {
    if (a->score != b->score) return a->score < b->score ? -1 : 1;
    return slice_compare(scored_text(a), scored_text(b));
}

/* ---- searching ---- */

/* How many of the sorted scores are below `score`; without branches, as no processor could predict them. */
static inline uint32_t scores_below(const double *scores, uint32_t count, double score) {
    const double *base = scores;
    uint32_t left = count;
    while (left > 1) {
        uint32_t half = left / 2;
        base += base[half - 1] < score ? half : 0;
        left -= half;
    }
    return (uint32_t)(base - scores) + (left == 1 && *base < score);
}

static inline bool is_before(const struct btree_bound *b, double score, const struct scored *item) {
    if (b->by != BTREE_BY_TEXT) {
        if (score != b->score) return score < b->score;
        if (b->by == BTREE_BY_SCORE) return b->after;
    }
    int order = slice_compare(scored_text(item), b->text);
    return order < 0 || (order == 0 && b->after);
}

/* How many of a node's sorted items are before the bound. */
static inline uint32_t count_before(const struct btree_bound *b, const double *scores,
                                    struct scored *const *items, uint32_t count) {
    uint32_t low = 0, high = count;
    if (LIKELY(b->by != BTREE_BY_TEXT)) {
        low = scores_below(scores, count, b->score);
        if (low == count || scores[low] != b->score) return low;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (is_before(b, scores[middle], items[middle]))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline void prefetch_scores(const void *node, const double *scores, size_t count) {
    __builtin_prefetch(node);
    for (size_t i = 0; i < count; i += CACHE_LINE / sizeof *scores) __builtin_prefetch(&scores[i]);
}

static inline void prefetch_child(const void *child, uint32_t level) {
    if (level > 0)
        prefetch_scores(child, ((const struct inner *)child)->scores, INNER_MAX);
    else
        prefetch_scores(child, ((const struct btree_leaf *)child)->scores, LEAF_MAX);
}

/* The leaf of the last item before the bound (the first leaf if there is none), and in *at its place plus
 * one: so many items of the leaf are before the bound. `path` may be NULL. */
static struct btree_leaf *descend(const struct btree *t, const struct btree_bound *b, struct path *path,
                                  uint32_t *at) {
    void *node = t->root;
    for (uint32_t level = t->depth; level-- > 0;) {
        struct inner *n = node;
        uint32_t child = count_before(b, n->scores, n->firsts, n->count);
        if (child > 0) child--;
        path->level[level].node = n;
        path->level[level].at = child;
        node = n->children[child];
        prefetch_child(node, level);
    }
    struct btree_leaf *leaf = node;
    *at = count_before(b, leaf->scores, leaf->items, leaf->count);
    return leaf;
}

/* The leaf of the item at this rank, which must be there. */
static struct btree_leaf *descend_to_rank(const struct btree *t, size_t rank, struct path *path,
                                          uint32_t *at) {
    assert(rank < t->count);
    void *node = t->root;
    for (uint32_t level = t->depth; level-- > 0;) {
        struct inner *n = node;
        uint32_t child = 0;
        while (rank >= n->below[child]) rank -= n->below[child++];
        path->level[level].node = n;
        path->level[level].at = child;
        node = n->children[child];
    }
    *at = (uint32_t)rank;
    return node;
}

size_t btree_before(const struct btree *t, const struct btree_bound *b) {
    if (t->count == 0) return 0;
    struct path path;
    uint32_t at;
    descend(t, b, &path, &at);
    size_t before = at;
    for (uint32_t level = 0; level < t->depth; level++)
        for (uint32_t i = 0; i < path.level[level].at; i++) before += path.level[level].node->below[i];
    return before;
}

struct btree_place btree_at(const struct btree *t, size_t rank) {
    if (rank >= t->count) return (struct btree_place){ NULL, 0 };
    if (rank == 0) return (struct btree_place){ t->first, 0 };
    struct path path;
    uint32_t at;
    struct btree_leaf *leaf = descend_to_rank(t, rank, &path, &at);
    return (struct btree_place){ leaf, at };
}

struct scored *btree_item(struct btree_place p) {
    return p.leaf->items[p.at];
}

static struct btree_place enter_leaf(struct btree_leaf *leaf, uint32_t at) {
    for (uint32_t i = 0; i < leaf->count; i++) __builtin_prefetch(leaf->items[i]);
    return (struct btree_place){ leaf, at };
}

struct btree_place btree_next(struct btree_place p) {
    if (p.at + 1 < p.leaf->count) return (struct btree_place){ p.leaf, p.at + 1 };
    struct btree_leaf *next = p.leaf->next;
    if (!next) return (struct btree_place){ NULL, 0 };
    __builtin_prefetch(next->next);
    return enter_leaf(next, 0);
}

struct btree_place btree_previous(struct btree_place p) {
    if (p.at > 0) return (struct btree_place){ p.leaf, p.at - 1 };
    struct btree_leaf *previous = p.leaf->previous;
    if (!previous) return (struct btree_place){ NULL, 0 };
    __builtin_prefetch(previous->previous);
    return enter_leaf(previous, previous->count - 1);
}

/* ---- keeping inner nodes exact ---- */

static void count_on_path(const struct btree *t, const struct path *path, int64_t change) {
    for (uint32_t i = 0; i < t->depth; i++) {
        uint32_t *below = &path->level[i].node->below[path->level[i].at];
        *below = (uint32_t)(*below + change);
    }
}

/* The first item under the child on the path at `level` changed: there, and above as far as it is the first
 * too. */
static void first_changed(const struct btree *t, const struct path *path, uint32_t level,
                          struct scored *first) {
    for (; level < t->depth; level++) {
        uint32_t at = path->level[level].at;
        path->level[level].node->scores[at] = first->score;
        path->level[level].node->firsts[at] = first;
        if (at > 0) return;
    }
}

#define MOVE(array, to, from, count) memmove(&(array)[to], &(array)[from], (count) * sizeof(array)[0])
#define COPY(to, at, source, from, count) memcpy(&(to)[at], &(source)[from], (count) * sizeof(to)[0])

/* Opens (to > from) or closes a gap in front of the child at `from`. */
static void inner_shift(struct inner *n, uint32_t to, uint32_t from) {
    size_t count = n->count - from;
    MOVE(n->below, to, from, count);
    MOVE(n->scores, to, from, count);
    MOVE(n->firsts, to, from, count);
    MOVE(n->children, to, from, count);
    n->count = n->count + to - from;
}

/* Moves the children of `from` from `start` on behind those of `to`. */
static void inner_give(struct inner *to, struct inner *from, uint32_t start) {
    uint32_t count = from->count - start;
    COPY(to->below, to->count, from->below, start, count);
    COPY(to->scores, to->count, from->scores, start, count);
    COPY(to->firsts, to->count, from->firsts, start, count);
    COPY(to->children, to->count, from->children, start, count);
    to->count += count;
    from->count = start;
}

static void leaf_give(struct btree_leaf *to, struct btree_leaf *from, uint32_t start) {
    uint32_t count = from->count - start;
    COPY(to->scores, to->count, from->scores, start, count);
    COPY(to->items, to->count, from->items, start, count);
    to->count += count;
    from->count = start;
}

/* ---- inserting ---- */

/* A child to be put somewhere: a new right neighbour of a node that was split. */
struct newcomer {
    void *node;
    struct scored *first;
    uint32_t below;
};

static void inner_put(struct inner *n, uint32_t at, const struct newcomer *child) {
    inner_shift(n, at + 1, at);
    n->below[at] = child->below;
    n->scores[at] = child->first->score;
    n->firsts[at] = child->first;
    n->children[at] = child->node;
}

static uint32_t inner_below(const struct inner *n) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n->count; i++) sum += n->below[i];
    return sum;
}

static struct inner *inner_new(struct btree *t) {
    struct inner *n = mem_alloc_in(&t->held, sizeof *n);
    n->count = 0;
    return n;
}

/* The root was split: a level more. */
static void grow_root(struct btree *t, struct scored *first, const struct newcomer *right) {
    assert(t->depth < DEPTH_MAX);
    struct inner *root = inner_new(t);
    inner_put(root, 0, &(struct newcomer){ t->root, first, (uint32_t)t->count - right->below });
    inner_put(root, 1, right);
    t->root = root;
    t->depth++;
}

/* Puts `child` behind the path's child at `level`, splitting upwards. The counts on the path include its
 * items already. */
static void add_child(struct btree *t, const struct path *path, uint32_t level, struct newcomer child) {
    for (; level < t->depth; level++) {
        struct inner *n = path->level[level].node;
        uint32_t at = path->level[level].at + 1;
        n->below[at - 1] -= child.below;
        if (n->count < INNER_MAX) {
            inner_put(n, at, &child);
            return;
        }
        struct inner *right = inner_new(t);
        if (at < n->count) inner_give(right, n, n->count / 2);
        if (at <= n->count && right->count > 0)
            inner_put(n, at, &child);
        else
            inner_put(right, at - n->count, &child);
        child = (struct newcomer){ right, right->firsts[0], inner_below(right) };
    }
    grow_root(t, t->first->items[0], &child);
}

static struct btree_leaf *leaf_new(struct btree *t, struct btree_leaf *previous, struct btree_leaf *next) {
    struct btree_leaf *leaf = mem_alloc_in(&t->held, sizeof *leaf);
    leaf->count = 0;
    leaf->previous = previous;
    leaf->next = next;
    return leaf;
}

static void leaf_put(struct btree_leaf *leaf, uint32_t at, struct scored *item) {
    size_t behind = leaf->count - at;
    MOVE(leaf->scores, at + 1, at, behind);
    MOVE(leaf->items, at + 1, at, behind);
    leaf->scores[at] = item->score;
    leaf->items[at] = item;
    leaf->count++;
}

/* Where a full leaf is cut so that item `at` can come. */
static uint32_t split_point(const struct btree *t, const struct btree_leaf *leaf, uint32_t at) {
    if (leaf == t->last && at == LEAF_MAX) return LEAF_MAX;
    if (leaf == t->first && at == 0) return 0;
    return LEAF_MAX / 2;
}

static void split_and_put(struct btree *t, const struct path *path, struct btree_leaf *leaf, uint32_t at,
                          struct scored *item) {
    struct btree_leaf *right = leaf_new(t, leaf, leaf->next);
    leaf_give(right, leaf, split_point(t, leaf, at));
    if (right->next)
        right->next->previous = right;
    else
        t->last = right;
    leaf->next = right;
    if (at <= leaf->count && right->count > 0)
        leaf_put(leaf, at, item);
    else
        leaf_put(right, at - leaf->count, item);
    if (at == 0) first_changed(t, path, 0, item);
    add_child(t, path, 0, (struct newcomer){ right, right->items[0], right->count });
}

static void insert_first(struct btree *t, struct scored *item) {
    struct btree_leaf *leaf = leaf_new(t, NULL, NULL);
    leaf_put(leaf, 0, item);
    t->root = t->first = t->last = leaf;
    t->count = 1;
}

void btree_insert(struct btree *t, struct scored *item) {
    if (t->count == 0) {
        insert_first(t, item);
        return;
    }
    assert(t->count < UINT32_MAX);
    struct btree_bound b = { BTREE_BY_BOTH, false, item->score, scored_text(item) };
    struct path path;
    uint32_t at;
    struct btree_leaf *leaf = descend(t, &b, &path, &at);
    t->count++;
    count_on_path(t, &path, +1);
    if (UNLIKELY(leaf->count == LEAF_MAX)) {
        split_and_put(t, &path, leaf, at, item);
        return;
    }
    leaf_put(leaf, at, item);
    if (UNLIKELY(at == 0)) first_changed(t, &path, 0, item);
}

/* ---- removing ---- */

/* Is a node of `count` so empty, and its neighbour too, that one is enough? Some room stays. */
static bool should_merge(uint32_t count, uint32_t neighbour, uint32_t max) {
    return count <= max / 4 && count + neighbour <= max / 4 * 3;
}

static void node_free(struct btree *t, void *node) { mem_free_in(&t->held, node); }

static void leaf_unlink(struct btree *t, struct btree_leaf *leaf) {
    if (leaf->previous)
        leaf->previous->next = leaf->next;
    else
        t->first = leaf->next;
    if (leaf->next)
        leaf->next->previous = leaf->previous;
    else
        t->last = leaf->previous;
    node_free(t, leaf);
}

/* Takes child `at` out of the parent, whose own place is path level `level`; the child's items are gone or
 * moved to its left neighbour, and it is freed. A parent that becomes too empty goes the same way. */
static void remove_child(struct btree *t, const struct path *path, uint32_t level, uint32_t at) {
    for (;; level++) {
        struct inner *n = path->level[level].node;
        inner_shift(n, at, at + 1);
        if (level + 1 == t->depth) return;
        struct inner *parent = path->level[level + 1].node;
        uint32_t place = path->level[level + 1].at;
        if (n->count == 0) {
            node_free(t, n);
            at = place;
            continue;
        }
        if (at == 0) first_changed(t, path, level + 1, n->firsts[0]);
        uint32_t left;
        if (place > 0 &&
            should_merge(n->count, ((struct inner *)parent->children[place - 1])->count, INNER_MAX))
            left = place - 1;
        else if (place + 1 < parent->count &&
                 should_merge(n->count, ((struct inner *)parent->children[place + 1])->count, INNER_MAX))
            left = place;
        else
            return;
        inner_give(parent->children[left], parent->children[left + 1], 0);
        node_free(t, parent->children[left + 1]);
        parent->below[left] += parent->below[left + 1];
        at = left + 1;
    }
}

/* A root with one child, or none, is not needed. */
static void shrink_root(struct btree *t) {
    while (t->depth > 0 && ((struct inner *)t->root)->count <= 1) {
        struct inner *root = t->root;
        t->root = root->count == 1 ? root->children[0] : NULL;
        t->depth = t->root ? t->depth - 1 : 0;
        node_free(t, root);
    }
}

static void settle_leaf(struct btree *t, const struct path *path, struct btree_leaf *leaf) {
    if (leaf->count == 0) {
        leaf_unlink(t, leaf);
        if (t->depth > 0)
            remove_child(t, path, 0, path->level[0].at);
        else
            t->root = NULL;
    } else if (t->depth > 0) {
        struct inner *parent = path->level[0].node;
        uint32_t left = path->level[0].at;
        if (left > 0 && should_merge(leaf->count, leaf->previous->count, LEAF_MAX))
            left--;
        else if (left + 1 == parent->count || !should_merge(leaf->count, leaf->next->count, LEAF_MAX))
            return;
        leaf_give(parent->children[left], parent->children[left + 1], 0);
        leaf_unlink(t, parent->children[left + 1]);
        parent->below[left] += parent->below[left + 1];
        remove_child(t, path, 0, left + 1);
    }
    shrink_root(t);
}

/* Takes items at..at+count out of the leaf, which the path leads to. */
static void remove_at(struct btree *t, const struct path *path, struct btree_leaf *leaf, uint32_t at,
                      uint32_t count) {
    size_t behind = leaf->count - at - count;
    MOVE(leaf->scores, at, at + count, behind);
    MOVE(leaf->items, at, at + count, behind);
    leaf->count -= count;
    t->count -= count;
    count_on_path(t, path, -(int64_t)count);
    if (at == 0 && leaf->count > 0) first_changed(t, path, 0, leaf->items[0]);
    if (UNLIKELY(leaf->count <= LEAF_MAX / 4)) settle_leaf(t, path, leaf);
}

/* Finds the item itself. */
static struct btree_leaf *descend_to_item(const struct btree *t, const struct scored *item, struct path *path,
                                          uint32_t *at) {
    assert(t->count > 0);
    struct btree_bound b = { BTREE_BY_BOTH, true, item->score, scored_text(item) };
    struct btree_leaf *leaf = descend(t, &b, path, at);
    assert(*at > 0 && leaf->items[*at - 1] == item);
    --*at;
    return leaf;
}

void btree_remove(struct btree *t, const struct scored *item) {
    struct path path;
    uint32_t at;
    struct btree_leaf *leaf = descend_to_item(t, item, &path, &at);
    remove_at(t, &path, leaf, at, 1);
}

/* Would the leaf's item `at` still be in order with this score, as far as the leaf can tell? */
static bool may_stay(const struct btree *t, const struct btree_leaf *leaf, uint32_t at, double score) {
    if (at == 0 ? leaf != t->first : leaf->scores[at - 1] >= score) return false;
    return at + 1 == leaf->count ? leaf == t->last : score < leaf->scores[at + 1];
}

void btree_rescore(struct btree *t, struct scored *item, double score) {
    struct path path;
    uint32_t at;
    struct btree_leaf *leaf = descend_to_item(t, item, &path, &at);
    if (may_stay(t, leaf, at, score)) {
        item->score = leaf->scores[at] = score;
        if (at == 0) first_changed(t, &path, 0, item);
        return;
    }
    remove_at(t, &path, leaf, at, 1);
    item->score = score;
    btree_insert(t, item);
}

void btree_remove_range(struct btree *t, size_t rank, size_t count,
                        void (*gone)(void *arg, struct scored *item), void *arg) {
    while (count > 0) {
        struct path path;
        uint32_t at;
        struct btree_leaf *leaf = descend_to_rank(t, rank, &path, &at);
        struct scored *items[LEAF_MAX];
        uint32_t here = leaf->count - at;
        if (here > count) here = (uint32_t)count;
        memcpy(items, &leaf->items[at], here * sizeof items[0]);
        remove_at(t, &path, leaf, at, here);
        for (uint32_t i = 0; i < here; i++) gone(arg, items[i]);
        count -= here;
    }
}

/* ---- whole trees ---- */

void btree_init(struct btree *t) { *t = (struct btree){ .root = NULL }; }

static void free_inner(struct btree *t, void *node, unsigned depth) {
    if (depth == 0) return;
    struct inner *n = node;
    for (uint32_t i = 0; i < n->count; i++) free_inner(t, n->children[i], depth - 1);
    node_free(t, n);
}

void btree_release(struct btree *t, void (*free_item)(struct scored *item)) {
    free_inner(t, t->root, t->depth);
    for (struct btree_leaf *leaf = t->first, *next; leaf; leaf = next) {
        next = leaf->next;
        if (free_item)
            for (uint32_t i = 0; i < leaf->count; i++) free_item(leaf->items[i]);
        node_free(t, leaf);
    }
    assert(t->held == 0);
    btree_init(t);
}

size_t btree_nodes(const struct btree *t) { return t->count / (LEAF_MAX / 2) + 1; }

/* ---- checking ---- */

/* Returns the items below; *first is the first of them. */
static size_t check_node(const struct btree *t, const void *node, unsigned depth,
                         const struct btree_leaf **leaf, struct scored **first) {
    if (depth == 0) {
        const struct btree_leaf *l = node;
        assert(l == *leaf && l->count > 0 && l->count <= LEAF_MAX);
        assert(l->next ? l->next->previous == l : t->last == l);
        for (uint32_t i = 0; i < l->count; i++) {
            assert(l->scores[i] == l->items[i]->score);
            if (i > 0) assert(scored_compare(l->items[i - 1], l->items[i]) < 0);
        }
        const struct btree_leaf *left = l->previous;
        if (left) assert(scored_compare(left->items[left->count - 1], l->items[0]) < 0);
        *first = l->items[0];
        *leaf = l->next;
        return l->count;
    }
    const struct inner *n = node;
    assert(n->count > 0 && n->count <= INNER_MAX);
    size_t sum = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        struct scored *child_first = NULL;
        size_t below = check_node(t, n->children[i], depth - 1, leaf, &child_first);
        assert(below == n->below[i] && child_first == n->firsts[i] && child_first->score == n->scores[i]);
        sum += below;
    }
    *first = n->firsts[0];
    return sum;
}

static size_t walked_bytes(const void *node, unsigned depth) {
    size_t bytes = mem_size(node);
    const struct inner *n = node;
    for (uint32_t i = 0; depth > 0 && i < n->count; i++) bytes += walked_bytes(n->children[i], depth - 1);
    return bytes;
}

void btree_check(const struct btree *t) {
    const struct btree_leaf *leaf = t->first;
    if (t->count == 0) {
        assert(!t->root && !t->first && !t->last && t->depth == 0 && t->held == 0);
        return;
    }
    struct scored *first;
    assert(!leaf->previous && (t->depth == 0 || ((const struct inner *)t->root)->count > 1));
    size_t count = check_node(t, t->root, t->depth, &leaf, &first);
    assert(count == t->count && !leaf);
    assert(walked_bytes(t->root, t->depth) == t->held);
}
