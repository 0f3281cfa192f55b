/* table_walk.c: visiting the items of a hash table, see table.h.
 *
 * All walks go by prefix, from 0 up. A cursor is a prefix, too, and so it means the same in a table of any
 * shape: all items before it were visited. */
#include "table_private.h"
#include "trivet/base/hashing.h"

/* ---- all items ---- */

static bool group_each(const struct group *g, bool (*visit)(void *arg, void *item), void *arg) {
    for (uint32_t i = 0; i < g->lines; i++) prefetch_items(g->first + i);
    GROUP_EACH(g, b) {
        for (uint64_t used = slots_used(b); used; used &= used - 1)
            if (!visit(arg, bucket_item(b, slot_first(used)))) return false;
    }
    return true;
}

bool table_each(const struct table *t, bool (*visit)(void *arg, void *item), void *arg) {
    for (uint64_t prefix = 0; t->count > 0 && prefix < PREFIX_END;) {
        struct group g = group_of(t, prefix);
        if (!group_each(&g, visit, arg)) return false;
        prefix = group_end(t, &g);
    }
    return true;
}

struct filter {
    enum table_verdict (*visit)(void *arg, void *item);
    void *arg;
    bool only_marked;
};

/* Asks about the items of one bucket and takes out those to remove, at once, so that a look-up by the
 * callback never meets an item that it gave away. */
static void bucket_filter(struct table *t, struct bucket *b, uint64_t prefix, const struct filter *f) {
    bool keep = false;
    prefetch_items(b);
    for (uint64_t used = slots_used(b); used; used &= used - 1) {
        size_t slot = slot_first(used);
        enum table_verdict verdict = f->visit(f->arg, bucket_item(b, slot));
        if (verdict == TABLE_KEEP) keep = true;
        if (verdict != TABLE_REMOVE) continue;
        if (UNLIKELY(t->freeze)) freeze_hand_over(t, prefix);
        bucket_clear(b, slot);
        t->count--;
    }
    if (!keep) b->choices &= ~WALKED;
}

static void group_filter(struct table *t, const struct group *g, const struct filter *f) {
    size_t before = t->count;
    bool passed = false;
    GROUP_EACH(g, b) {
        passed |= (b->choices & PASSED) != 0;
        if (!f->only_marked || b->choices & WALKED) bucket_filter(t, b, group_prefix(t, g), f);
    }
    if (passed && t->count < before) group_tidy(t, g);
}

size_t table_walk_marked(struct table *t, size_t cursor, size_t buckets,
                         enum table_verdict (*visit)(void *arg, void *item), void *arg) {
    assert(!t->paused);
    if (t->count == 0) return 0;
    struct filter f = { visit, arg, true };
    uint64_t prefix = cursor < PREFIX_END ? cursor : PREFIX_END;
    size_t before = t->count;
    t->paused++;
    while (prefix < PREFIX_END && buckets > 0) {
        struct group g = group_of(t, prefix);
        group_filter(t, &g, &f);
        prefix = group_end(t, &g);
        buckets -= buckets < g.lines ? buckets : g.lines;
    }
    t->paused--;
    table_settle(t, before - t->count);
    return prefix < PREFIX_END && t->count > 0 ? (size_t)prefix : 0;
}

struct remove_if {
    bool (*remove)(void *arg, void *item);
    void *arg;
};

static enum table_verdict remove_if_verdict(void *arg, void *item) {
    const struct remove_if *r = arg;
    return r->remove(r->arg, item) ? TABLE_REMOVE : TABLE_KEEP;
}

size_t table_remove_if(struct table *t, bool (*remove)(void *arg, void *item), void *arg) {
    assert(!t->paused);
    if (t->count == 0) return 0;
    struct remove_if how = { remove, arg };
    struct filter f = { remove_if_verdict, &how, false };
    size_t before = t->count;
    t->paused++;
    for (uint64_t prefix = 0; prefix < PREFIX_END;) {
        struct group g = group_of(t, prefix);
        if (UNLIKELY(t->freeze)) freeze_hand_over(t, prefix); /* now: the callback may free what it removes */
        group_filter(t, &g, &f);
        prefix = group_end(t, &g);
    }
    t->paused--;
    size_t removed = before - t->count;
    table_settle(t, removed);
    return removed;
}

/* ---- SCAN ----
 *
 * A call visits the items whose home is one line, wherever they are, since they may move nearer to it between
 * two calls. Inside a group the order is that of the choices, so a cursor is the group's first prefix,
 * how many prefixes it had, and the first choice that is not through. When groups have been cut since, it
 * goes on with the first piece from that choice on, and through all of the others. When they have been
 * joined, it begins with the larger group from its start.
 *
 *     bits 7..: 2 * prefix + prefixes in the group (a power of 2: the lowest bit that is set) | 0..6: choice
 */

struct place {
    uint64_t prefix, size;
    unsigned choice;
};

static struct place place_of(uint64_t cursor) {
    uint64_t sum = cursor >> CHOICE_BITS & (2 * PREFIX_END - 1);
    if (sum == 0) return (struct place){ .size = PREFIX_END };
    uint64_t size = sum & -sum;
    return (struct place){ (sum - size) / 2, size, (unsigned)(cursor & ((1u << CHOICE_BITS) - 1)) };
}

static uint64_t cursor_of(uint64_t prefix, uint64_t size, size_t choice) {
    if (prefix == 0 && choice == 0) return 0;
    return (2 * prefix + size) << CHOICE_BITS | choice;
}

static void visit_home(const struct group *g, size_t line, void (*visit)(void *arg, void *item), void *arg) {
    struct probe p = { g->first + line, g->first, g->lines, g->lines };
    do {
        prefetch_items(p.at);
        for (uint64_t used = slots_used(p.at); used; used &= used - 1) {
            size_t slot = slot_first(used);
            if (choice_line(bucket_choice(p.at, slot), g->lines) == line) visit(arg, bucket_item(p.at, slot));
        }
    } while (p.at->choices & PASSED && probe_next(&p));
}

uint64_t table_scan(struct table *t, uint64_t cursor, void (*visit)(void *arg, void *item), void *arg) {
    if (t->count == 0) return 0;
    struct place from = place_of(cursor);
    struct group g = group_of(t, from.prefix);
    uint64_t prefix = group_prefix(t, &g), end = group_end(t, &g), size = end - prefix;
    if (size > from.size) from.choice = 0;
    size_t line = choice_line((uint8_t)from.choice, g.lines);
    t->paused++;
    visit_home(&g, line, visit, arg);
    t->paused--;
    if (++line == g.lines) return end == PREFIX_END ? 0 : cursor_of(end, size, 0);
    __builtin_prefetch(g.first + line);
    return cursor_of(prefix, size, ((line << CHOICE_BITS) + g.lines - 1) / g.lines);
}

/* ---- in order ----
 *
 * A group holds the items of a range of prefixes. Where a walk goes on is the first prefix that it has not
 * seen, which means the same in any shape. If groups were joined meanwhile, it lies inside of one. */

static void visit_bucket_from(const struct table *t, const struct bucket *b, uint64_t from,
                              void (*visit)(void *arg, void *item), void *arg) {
    prefetch_items(b);
    for (uint64_t used = slots_used(b); used; used &= used - 1) {
        void *item = bucket_item(b, slot_first(used));
        if (from == 0 || table_order(hash_bytes(t->ops->key(item))) >= from) visit(arg, item);
    }
}

uint64_t table_visit_from(struct table *t, uint64_t from, void (*visit)(void *arg, void *item), void *arg) {
    assert(from < TABLE_ORDER_END);
    if (t->count == 0) return TABLE_ORDER_END;
    struct group g = group_of(t, from);
    bool is_whole = group_prefix(t, &g) == from;
    t->paused++;
    GROUP_EACH(&g, b) visit_bucket_from(t, b, is_whole ? 0 : from, visit, arg);
    t->paused--;
    return group_end(t, &g);
}

/* ---- figures ---- */

void table_survey(const struct table *t, struct table_survey *sum) {
    sum->items += t->count;
    for (uint64_t prefix = 0; t->base[0] && prefix < PREFIX_END;) {
        struct group g = group_of(t, prefix);
        prefix = group_end(t, &g);
        sum->buckets += g.lines;
        GROUP_EACH(&g, b) {
            sum->used += b->tags != 0;
            sum->marked += (b->choices & WALKED) != 0;
        }
        for (uint32_t line = 0; line < g.lines; line++) {
            struct probe p = { g.first + line, g.first, g.lines, g.lines };
            size_t way = 1;
            while (p.at->choices & PASSED && probe_next(&p)) way++;
            sum->ways[way < TABLE_WAYS ? way - 1 : TABLE_WAYS - 1]++;
        }
    }
}
