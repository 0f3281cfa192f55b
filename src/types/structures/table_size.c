/* table_size.c: how a hash table gets its lines and gives them back.
 *
 * Going up or down, a step makes one group of the larger shape out of one of the smaller, or the other way
 * round: one line more, or one less. Growing, steps go from the last group to the first, so that the groups
 * of a block have room behind them; shrinking, from the first to the last. A block is resized when its first
 * step comes and when it was its last, and then all its steps are done, one for each change of the table:
 * what lies between is one block at most. So a change costs one step of up to 56 items, and never more than
 * one block of 256 KB is copied.
 *
 * Blocks of all sizes fill a class of the allocator: it has four to each doubling, as there are shapes. */
#include "table_private.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"

/* Items a line, on average, past which the table grows. Simulated: with 6.25 an item costs 10.4 bytes and a
 * hit 1.12 lines; just after growing from 4 lines a group to 5, 12.6 bytes and 1.04 lines. */
#define FILL_MOST_QUARTERS 25
/* It shrinks below. Then 4 to 5 items are in a line, so that it is far from growing again. */
#define FILL_LEAST 4
/* From here on, the allocator is asked for zeros, which it may take fresh from the system for nothing. */
#define LAZY_ZERO_BYTES (64 * 1024)

atomic_bool table_may_resize = true;

/* ---- shapes ---- */

struct shape {
    unsigned level;
    uint32_t lines;
};

static struct shape shape_of(const struct table *t, unsigned side) {
    return (struct shape){ shape_level(t, side), t->lines[side] };
}

static struct shape shape_above(struct shape s) {
    if (s.lines < GROUP_LINES_MOST) return (struct shape){ s.level, s.lines + 1 };
    return (struct shape){ s.level + 1, GROUP_LINES_LEAST };
}

static struct shape shape_below(struct shape s) {
    if (s.level > 0 && s.lines == GROUP_LINES_LEAST) return (struct shape){ s.level - 1, GROUP_LINES_MOST };
    return (struct shape){ s.level, s.lines - 1 };
}

static size_t shape_lines(struct shape s) { return (size_t)s.lines << s.level; }

/* How many items so many lines take. */
static size_t fill_limit(size_t lines) { return lines == 1 ? SLOTS : lines * FILL_MOST_QUARTERS / 4; }

static struct shape shape_for(size_t count) {
    struct shape s = { 0, 1 };
    while (fill_limit(shape_lines(s)) < count && s.level < LEVEL_MAX) s = shape_above(s);
    return s;
}

static void set_shape(struct table *t, unsigned side, struct shape s, void *base) {
    t->base[side] = base;
    t->shift[side] = (uint8_t)(PREFIX_BITS - s.level);
    t->lines[side] = (uint8_t)s.lines;
}

static uint32_t groups_below(const struct table *t) { return (uint32_t)1 << shape_level(t, 0); }
static bool is_at_rest(const struct table *t) { return !t->base[1]; }
/* Does a group of shape 0 become two of shape 1? */
static bool is_doubling(const struct table *t) { return t->shift[1] < t->shift[0]; }

size_t table_lines(const struct table *t) {
    if (!t->base[0]) return 0;
    return (size_t)groups_below(t) * (t->lines[0] + 1u) - t->border;
}

/* ---- blocks ---- */

static bool is_list(unsigned level) { return level > BLOCK_LEVEL; }
static size_t blocks_of(unsigned level) { return is_list(level) ? (size_t)1 << (level - BLOCK_LEVEL) : 1; }
static size_t list_bytes(unsigned level) { return blocks_of(level) * sizeof(struct bucket *); }

/* Groups of shape 0 in one of its blocks. */
static uint32_t block_groups(const struct table *t) {
    unsigned level = shape_level(t, 0);
    return (uint32_t)1 << (is_list(level) ? BLOCK_LEVEL : level);
}

/* Lines of a block of shape 0, and of the same block when it holds shape 1. */
static size_t block_lines(const struct table *t) { return (size_t)block_groups(t) * t->lines[0]; }
static size_t block_lines_above(const struct table *t) { return block_lines(t) + block_groups(t); }

static struct bucket *block_get(const struct table *t, unsigned side, size_t block) {
    return is_list(shape_level(t, side)) ? ((struct bucket **)t->base[side])[block] : t->base[side];
}

static void block_set(struct table *t, unsigned side, size_t block, struct bucket *b) {
    if (is_list(shape_level(t, side)))
        ((struct bucket **)t->base[side])[block] = b;
    else
        t->base[side] = b;
}

/* When a block of shape 0 becomes two of shape 1: these are halves of it while it changes. */
static bool is_cutting(const struct table *t) { return is_doubling(t) && is_list(shape_level(t, 1)); }

static struct bucket *buckets_zeroed(size_t count) {
    size_t size = count * sizeof(struct bucket);
    if (size >= LAZY_ZERO_BYTES) {
        void *lazy = mem_alloc_zero(size);
        if ((uintptr_t)lazy % CACHE_LINE == 0) return lazy;
        mem_free(lazy); /* an allocator (a sanitizer's) that does not align such sizes by itself */
    }
    void *b = mem_alloc_aligned(CACHE_LINE, size);
    memset(b, 0, size);
    return b;
}

/* What is behind the old content is not set. */
static struct bucket *buckets_resize(struct bucket *b, size_t from, size_t to) {
    struct bucket *moved = mem_realloc(b, to * sizeof *b);
    if (LIKELY((uintptr_t)moved % CACHE_LINE == 0)) return moved;
    struct bucket *aligned = mem_alloc_aligned(CACHE_LINE, to * sizeof *b);
    memcpy(aligned, moved, (from < to ? from : to) * sizeof *b);
    mem_free(moved);
    return aligned;
}

static void block_halves(struct table *t, size_t block, struct bucket *first, struct bucket *second) {
    block_set(t, 1, 2 * block, first);
    block_set(t, 1, 2 * block + 1, second);
}

static void enter_up(struct table *t, size_t block) {
    struct bucket *b = buckets_resize(block_get(t, 0, block), block_lines(t), block_lines_above(t));
    block_set(t, 0, block, b);
    if (is_cutting(t))
        block_halves(t, block, b, b + block_lines_above(t) / 2);
    else
        block_set(t, 1, block, b);
}

static void leave_up(struct table *t, size_t block) {
    if (!is_cutting(t)) return;
    struct bucket *b = block_get(t, 0, block);
    size_t lines = block_lines_above(t), half = lines / 2;
    struct bucket *second = mem_alloc_aligned(CACHE_LINE, half * sizeof *b);
    memcpy(second, b + half, half * sizeof *b);
    block_halves(t, block, buckets_resize(b, lines, half), second);
    block_set(t, 0, block, NULL);
}

static void enter_down(struct table *t, size_t block) {
    if (!is_cutting(t)) {
        block_set(t, 0, block, block_get(t, 1, block));
        return;
    }
    struct bucket *second = block_get(t, 1, 2 * block + 1);
    size_t lines = block_lines_above(t), half = lines / 2;
    struct bucket *b = buckets_resize(block_get(t, 1, 2 * block), half, lines);
    memcpy(b + half, second, half * sizeof *b);
    mem_free(second);
    block_halves(t, block, b, b + half);
    block_set(t, 0, block, b);
}

static void leave_down(struct table *t, size_t block) {
    struct bucket *b = buckets_resize(block_get(t, 0, block), block_lines_above(t), block_lines(t));
    if (is_cutting(t))
        block_halves(t, block, NULL, NULL);
    else
        block_set(t, 1, block, b);
    block_set(t, 0, block, b);
}

/* ---- steps ---- */

static bool has_own_list(const struct table *t, unsigned side) {
    return is_list(shape_level(t, side)) && t->base[0] != t->base[1];
}

static void begin_up(struct table *t) {
    struct shape s = shape_above(shape_of(t, 0));
    bool new_list = s.level > shape_level(t, 0) && is_list(s.level);
    set_shape(t, 1, s, new_list ? mem_alloc_zero(list_bytes(s.level)) : t->base[0]);
}

static void end_up(struct table *t) {
    if (has_own_list(t, 0)) mem_free(t->base[0]);
    set_shape(t, 0, shape_of(t, 1), t->base[1]);
    t->base[1] = NULL;
    t->border = groups_below(t);
}

static void begin_down(struct table *t) {
    struct shape s = shape_below(shape_of(t, 0));
    bool new_base = s.level < shape_level(t, 0) && is_list(shape_level(t, 0));
    set_shape(t, 1, shape_of(t, 0), t->base[0]);
    if (new_base)
        set_shape(t, 0, s, is_list(s.level) ? mem_alloc_zero(list_bytes(s.level)) : NULL);
    else
        set_shape(t, 0, s, t->base[1]);
    t->border = 0;
}

static void end_down(struct table *t) {
    if (has_own_list(t, 1)) mem_free(t->base[1]);
    t->base[1] = NULL;
}

/* From this group of shape 0 to what is in its place in shape 1, or back; `border` tells of it after. */
static void move_group(struct table *t, uint64_t number, bool up) {
    unsigned level = shape_level(t, 0), doubling = is_doubling(t);
    freeze_before_move(t, number << t->shift[0], level + (!up && doubling), !up && doubling ? 2 : 1);
    struct regrouping r = {
        .from = group_first(t, 0, number), .from_lines = t->lines[0], .from_groups = 1,
        .to = group_first(t, 1, number << doubling), .to_lines = t->lines[1], .to_groups = 1 + doubling,
    };
    if (up) {
        r.split = doubling ? UINT64_C(1) << t->shift[1] : 0;
    } else {
        r = (struct regrouping){
            .from = r.to,
            .from_lines = r.to_lines,
            .from_groups = r.to_groups,
            .to = r.from,
            .to_lines = r.from_lines,
            .to_groups = 1,
        };
    }
    groups_move(t, &r);
}

static void step_up(struct table *t) {
    if (is_at_rest(t)) begin_up(t);
    uint32_t groups = block_groups(t);
    size_t block = (t->border - 1) / groups;
    if (t->border % groups == 0) enter_up(t, block);
    move_group(t, t->border - 1, true);
    t->border--;
    if (t->border % groups == 0) leave_up(t, block);
    if (t->border == 0) end_up(t);
}

static void step_down(struct table *t) {
    if (is_at_rest(t)) begin_down(t);
    uint32_t groups = block_groups(t);
    size_t block = t->border / groups;
    if (t->border % groups == 0) enter_down(t, block);
    move_group(t, t->border, false);
    t->border++;
    if (t->border % groups == 0) leave_down(t, block);
    if (t->border == groups_below(t)) end_down(t);
}

static bool is_inside_block(const struct table *t) { return t->border % block_groups(t) != 0; }

static void step(struct table *t) {
    if (t->shrinking)
        step_down(t);
    else
        step_up(t);
    t->grow_at = is_inside_block(t) ? 0 : fill_limit(table_lines(t));
}

static bool may_resize(void) { return atomic_load_explicit(&table_may_resize, memory_order_relaxed); }

static void make_blocks(struct table *t, struct shape s) {
    set_shape(t, 0, s, is_list(s.level) ? mem_alloc_zero(list_bytes(s.level)) : NULL);
    for (size_t b = 0; b < blocks_of(s.level); b++) block_set(t, 0, b, buckets_zeroed(block_lines(t)));
    t->border = groups_below(t);
    t->grow_at = fill_limit(table_lines(t));
}

void table_make_room(struct table *t) {
    if (!t->base[0]) {
        make_blocks(t, (struct shape){ 0, 1 });
        return;
    }
    if (!may_resize() || shape_level(t, 0) == LEVEL_MAX) return;
    if (!is_inside_block(t)) t->shrinking = false;
    step(t);
}

/* A block that was begun is to be ended, in the same direction. */
static bool is_step_due(const struct table *t) {
    if (t->count == 0 || !may_resize()) return false;
    return is_inside_block(t) || (t->count < FILL_LEAST * table_lines(t) && table_lines(t) > 1);
}

void table_settle(struct table *t, size_t steps) {
    if (t->count == 0) {
        table_free_blocks(t);
        freeze_nothing_left(t);
    }
    for (; steps > 0 && is_step_due(t); steps--) {
        if (!is_inside_block(t)) t->shrinking = true;
        step(t);
    }
}

bool table_move_some(struct table *t, size_t steps) {
    if (t->paused || t->freeze || !t->base[0]) return false;
    table_settle(t, steps);
    return is_step_due(t);
}

/* ---- the whole ---- */

/* Calls `take` with each allocation that holds lines or lists them. */
static size_t each_allocation(const struct table *t, size_t (*take)(void *ptr)) {
    size_t sum = 0, below = (t->border + block_groups(t) - 1) / block_groups(t);
    for (size_t block = 0; block < below; block++) sum += take(block_get(t, 0, block));
    size_t pieces = !is_at_rest(t) && is_cutting(t) ? 2 : 1, all = blocks_of(shape_level(t, 0));
    for (size_t block = below * pieces; block < all * pieces; block++) sum += take(block_get(t, 1, block));
    if (!is_at_rest(t) && has_own_list(t, 1)) sum += take(t->base[1]);
    if (is_list(shape_level(t, 0))) sum += take(t->base[0]);
    return sum;
}

static size_t free_it(void *ptr) {
    mem_free(ptr);
    return 0;
}

void table_free_blocks(struct table *t) {
    if (t->base[0]) (void)each_allocation(t, free_it);
    *t = (struct table){ .ops = t->ops, .freeze = t->freeze };
}

static size_t size_of_it(void *ptr) { return mem_size(ptr); }

size_t table_memory_held(const struct table *t) {
    return t->base[0] ? each_allocation(t, size_of_it) + t->chained * sizeof(struct bucket) : 0;
}

size_t table_memory(const struct table *t) {
    if (!t->base[0]) return 0;
    size_t below = t->border / block_groups(t), above = blocks_of(shape_level(t, 0)) - below;
    size_t lines = below * block_lines(t) + above * block_lines_above(t) + t->chained;
    size_t lists = is_list(shape_level(t, 0)) ? list_bytes(shape_level(t, 0)) : 0;
    if (!is_at_rest(t) && has_own_list(t, 1)) lists += list_bytes(shape_level(t, 1));
    return lines * sizeof(struct bucket) + lists;
}

size_t table_memory_for(size_t count) {
    return count ? shape_lines(shape_for(count)) * sizeof(struct bucket) : 0;
}

/* Puts everything into a new table of this shape. */
static void rebuild(struct table *t, struct shape s) {
    struct table fresh = { .ops = t->ops, .count = t->count };
    make_blocks(&fresh, s);
    for (uint64_t prefix = 0; prefix < PREFIX_END;) {
        struct group g = group_of(t, prefix);
        prefix = group_end(t, &g);
        GROUP_EACH(&g, b) {
            for (uint64_t used = slots_used(b); used; used &= used - 1) {
                void *item = bucket_item(b, slot_first(used));
                uint64_t hash = hash_bytes(t->ops->key(item));
                struct group to = group_of(&fresh, (uint32_t)hash);
                struct filed f = { item, hash_tag(hash), hash_choice(hash) };
                group_place(&fresh, to.first, to.lines, f)->choices |= b->choices & WALKED;
            }
        }
        group_free_chain(t, &g);
    }
    table_free_blocks(t);
    *t = fresh;
}

void table_reserve(struct table *t, size_t count) {
    assert(!t->paused);
    struct shape s = shape_for(count);
    if (t->freeze || count == 0) return;
    if (!t->base[0])
        make_blocks(t, s);
    else if (may_resize() && shape_lines(s) > 2 * table_lines(t))
        rebuild(t, s); /* little beside the load to come */
}
