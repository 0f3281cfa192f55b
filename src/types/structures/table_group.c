/* table_group.c: a group of lines is filled, set in order, and made another group.
 *
 * Both the ways to other shapes and the tidying after a removal lift all items of a group out and put them
 * down again, each at its home as long as there is room. What a bucket knows of an item is enough for that;
 * only where one group becomes two, the items are touched, because they alone know their next bit. */
#include "table_private.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"

static struct filed filed_at(const struct bucket *b, size_t slot) {
    return (struct filed){ bucket_item(b, slot), b->tag[slot], bucket_choice(b, slot) };
}

static struct bucket *bucket_fill(struct bucket *b, uint64_t empty, struct filed f) {
    bucket_put(b, slot_first(empty), f.item, f.tag, f.choice);
    return b;
}

/* A chain grows and shrinks at its front: only there are slots empty, so its length costs nothing. It is long
 * where items are taken out in the order of a scan (or put in so): what is left lies in a few groups of a
 * table that shrinks as if it were spread evenly. */
static struct bucket *chain_push(struct table *t, struct bucket *last) {
    struct bucket *front = mem_alloc_aligned(CACHE_LINE, sizeof *front);
    memset(front, 0, sizeof *front);
    if (is_chained(last)) {
        bucket_put(front, LINK, bucket_next(last), 0, 0);
        front->choices |= CHAINED | PASSED;
    } else {
        struct filed f = filed_at(last, LINK);
        bucket_put(front, 0, f.item, f.tag, f.choice);
        front->choices |= last->choices & WALKED;
    }
    bucket_put(last, LINK, front, 0, 0);
    last->choices |= CHAINED | PASSED;
    t->chained++;
    return front;
}

/* All lines are full, and PASSED. */
static struct bucket *chain_place(struct table *t, struct bucket *last, struct filed f) {
    struct bucket *front = bucket_next(last);
    if (!front || !slots_empty(front)) front = chain_push(t, last);
    return bucket_fill(front, slots_empty(front), f);
}

struct bucket *group_place(struct table *t, struct bucket *first, uint32_t lines, struct filed f) {
    struct bucket *b = first + choice_line(f.choice, lines);
    for (uint32_t left = lines; left > 0; left--) {
        uint64_t empty = slots_empty(b);
        if (LIKELY(empty)) return bucket_fill(b, empty, f);
        b->choices |= PASSED;
        if (++b == first + lines) b = first;
    }
    return chain_place(t, first + lines - 1, f);
}

/* ---- lifting and putting down ---- */

#define GROUPS_LIFTED 2
#define LINES_LIFTED (GROUPS_LIFTED * GROUP_LINES_LEAST)
static_assert(LINES_LIFTED > GROUP_LINES_MOST, "one group or two");

struct lifted {
    uint32_t lines, chains;
    struct bucket *chain[GROUPS_LIFTED];
    struct bucket line[LINES_LIFTED];
};

static void lift(struct lifted *l, const struct bucket *group, uint32_t lines) {
    assert(l->lines + lines <= LINES_LIFTED);
    memcpy(l->line + l->lines, group, lines * sizeof *group);
    l->lines += lines;
    struct bucket *last = &l->line[l->lines - 1];
    if (!is_chained(last)) return;
    l->chain[l->chains++] = bucket_next(last);
    bucket_clear(last, LINK);
}

static inline void put_down(struct table *t, const struct bucket *from, const struct regrouping *r) {
    uint64_t walked = from->choices & WALKED;
    for (uint64_t used = slots_used(from); used; used &= used - 1) {
        struct filed f = filed_at(from, slot_first(used));
        struct bucket *group = r->to;
        if (r->split && hash_bytes(t->ops->key(f.item)) & r->split) group += r->to_lines;
        struct bucket *to = group_place(t, group, r->to_lines, f);
        to->choices |= walked;
    }
}

static void put_down_chain(struct table *t, struct bucket *b, const struct regrouping *r) {
    while (b) {
        struct bucket *next = bucket_next(b);
        if (next) bucket_clear(b, LINK);
        put_down(t, b, r);
        mem_free(b);
        t->chained--;
        b = next;
    }
}

void groups_move(struct table *t, const struct regrouping *r) {
    struct lifted l;
    l.lines = l.chains = 0;
    for (uint32_t i = 0; i < r->from_groups; i++) lift(&l, r->from + i * r->from_lines, r->from_lines);
    memset(r->to, 0, r->to_groups * r->to_lines * sizeof *r->to);
    for (uint32_t i = 0; r->split && i < l.lines; i++) prefetch_items(&l.line[i]);
    for (uint32_t i = 0; i < l.lines; i++) put_down(t, &l.line[i], r);
    for (uint32_t i = 0; i < l.chains; i++) put_down_chain(t, l.chain[i], r);
}

void group_tidy(struct table *t, const struct group *g) {
    struct regrouping same = { .from = g->first,
                               .to = g->first,
                               .from_lines = g->lines,
                               .to_lines = g->lines,
                               .from_groups = 1,
                               .to_groups = 1 };
    groups_move(t, &same);
}

/* ---- after a removal ---- */

/* How far this line is behind a home. */
static uint32_t distance(const struct group *g, uint32_t home, uint32_t line) {
    return line >= home ? line - home : line + g->lines - home;
}

static uint32_t line_after(const struct group *g, uint32_t line) {
    return line + 1 < g->lines ? line + 1 : 0;
}

/* Finds an item that passed this line because it was full. */
static bool find_passed(const struct group *g, uint32_t line, uint32_t *where, size_t *slot) {
    for (uint32_t before = line;; before = *where) {
        *where = line_after(g, before);
        if (*where == line || !(g->first[before].choices & PASSED)) return false;
        const struct bucket *b = g->first + *where;
        for (uint64_t used = slots_used(b); used; used &= used - 1) {
            *slot = slot_first(used);
            uint32_t home = (uint32_t)choice_line(bucket_choice(b, *slot), g->lines);
            if (distance(g, home, line) < distance(g, home, *where)) return true;
        }
    }
}

/* Takes the flag from the lines that no item passes any more, from this one to before that one. */
static void clear_flags(const struct group *g, uint32_t line, uint32_t end) {
    uint32_t where;
    size_t slot;
    for (; line != end; line = line_after(g, line))
        if (g->first[line].choices & PASSED && !find_passed(g, line, &where, &slot))
            g->first[line].choices &= ~PASSED;
}

/* The slot of an item whose home is this bucket, if there is one, else of any. */
static size_t slot_for(const struct group *g, const struct bucket *from, const struct bucket *to) {
    uint64_t used = slots_used(from);
    for (uint64_t left = used; left; left &= left - 1) {
        size_t slot = slot_first(left);
        if (g->first + choice_line(bucket_choice(from, slot), g->lines) == to) return slot;
    }
    return slot_first(used);
}

/* An item from the front of the chain fills the hole: wherever it lies, a look-up passes there. */
static void chain_fill(struct table *t, const struct group *g, struct bucket *hole) {
    struct bucket *last = group_last(g), *front = bucket_next(last);
    if (hole != front) {
        size_t slot = slot_for(g, front, hole);
        hole->choices |= front->choices & WALKED;
        (void)bucket_fill(hole, slots_empty(hole), filed_at(front, slot));
        bucket_clear(front, slot);
    }
    if (slots_used(front)) return;
    bucket_put(last, LINK, bucket_next(front), 0, 0);
    mem_free(front);
    t->chained--;
}

void group_mend(struct table *t, const struct group *g, struct bucket *hole, uint8_t choice) {
    const struct bucket *chained = bucket_next(group_last(g));
    if (UNLIKELY(chained)) {
        if (is_chained(chained))
            chain_fill(t, g, hole);
        else
            group_tidy(t, g);
        return;
    }
    uint32_t line = (uint32_t)(hole - g->first), where;
    size_t slot;
    clear_flags(g, (uint32_t)choice_line(choice, g->lines), line);
    while (g->first[line].choices & PASSED) {
        struct bucket *b = g->first + line;
        if (!find_passed(g, line, &where, &slot)) {
            b->choices &= ~PASSED;
            return;
        }
        struct bucket *from = g->first + where;
        b->choices |= from->choices & WALKED;
        (void)bucket_fill(b, slots_empty(b), filed_at(from, slot));
        bucket_clear(from, slot);
        clear_flags(g, line, where);
        line = where;
    }
}

/* ---- looking ---- */

void bucket_visit(const struct bucket *b, void (*visit)(void *arg, void *item), void *arg) {
    for (uint64_t used = slots_used(b); used; used &= used - 1) visit(arg, bucket_item(b, slot_first(used)));
}

void group_visit(const struct group *g, void (*visit)(void *arg, void *item), void *arg) {
    for (uint32_t i = 0; i < g->lines; i++) prefetch_items(g->first + i);
    GROUP_EACH(g, b) bucket_visit(b, visit, arg);
}

void group_free_chain(struct table *t, const struct group *g) {
    struct bucket *last = group_last(g);
    struct bucket *next = bucket_next(last);
    while (next) {
        struct bucket *after = bucket_next(next);
        mem_free(next);
        t->chained--;
        next = after;
    }
}
