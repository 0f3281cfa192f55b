/* table_private.h: how a hash table lies in memory; for the files of table.h only.
 *
 * A *line* is a bucket of one cache line: eight items of 6 bytes (an address has 48 bits), eight tags (the
 * top byte of an item's hash, never 0; 0 says that the slot is empty), and for each item seven more bits of
 * its hash, its *choice*. The top bits of the choices are the line's flags.
 *
 * Some lines make a *group*. The low 32 bits of a hash, read from the top, choose the group, and the choice
 * chooses the line in it, the item's home. If the home is full, the item goes to the next line of the group
 * with room, round about, and the lines it passed are flagged: so a look-up leaves the home only if some item
 * did. When all lines of the group are full, the slot 7 of its last line links to a chained bucket. Because
 * tag and choice are known without the item, items of a group find new homes without being touched.
 *
 *     items 0..7 of 6 bytes | tags 0..7 | choices 0..7, each with a flag on top
 *
 * A table has 1 << level groups, all of 1 to 7 lines or, past level 0, of 4 to 7: that is its *shape*. The
 * next shape has a line more in each group, or twice the groups with 4 lines each. While the table goes from
 * a shape to the next or back, it is of both: its groups before `border` have shape 0, the others shape 1.
 *
 * Groups lie in a row in blocks of up to BLOCK_GROUPS; past one block, `base` is a list of blocks. One block
 * at most is between two shapes; it has the size for the larger one, and its groups move inside it. */
#ifndef TYPES_STRUCTURES_TABLE_PRIVATE_H
#define TYPES_STRUCTURES_TABLE_PRIVATE_H

#include "trivet/types/structures/table.h"
#include <string.h>

#define SLOTS 8
#define LINK 7       /* the slot that a chained bucket uses as a link */
#define ITEM_BYTES 6 /* of an address */
#define ITEM_BITS ((UINT64_C(1) << 8 * ITEM_BYTES) - 1)

#define EACH_BYTE 0x0101010101010101ULL
#define LOW_BITS 0x7f7f7f7f7f7f7f7fULL
#define TOP_BITS 0x8080808080808080ULL
#define LINK_TOP 0x8000000000000000ULL

/* Flags, in `choices`. */
#define PASSED 0x80ULL     /* some item is behind this line that has, or had, its home here or before */
#define CHAINED 0x8000ULL  /* slot LINK is a link; then the line is PASSED, too */
#define WALKED 0x800000ULL /* set by table_mark: the line holds the item, or one that moved along with it */

/* The bits of a hash that a table uses; the others are the caller's, who may change them. */
#define OWN_BITS 0xff00007fffffffffULL
#define CHOICE_BITS 7
#define PREFIX_BITS 32
#define GROUP_LINES_LEAST 4 /* past level 0 */
#define GROUP_LINES_MOST 7
#define BLOCK_LEVEL 9
#define BLOCK_GROUPS ((size_t)1 << BLOCK_LEVEL)
#define LEVEL_MAX 30

struct bucket {
    unsigned char items[SLOTS * ITEM_BYTES];
    union {
        uint64_t tags;
        uint8_t tag[SLOTS];
    };
    union {
        uint64_t choices;
        uint8_t choice[SLOTS];
    };
};
static_assert(sizeof(struct bucket) == CACHE_LINE, "a bucket is one cache line");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a tag's place in the word is that of its slot");

/* ---- one bucket ---- */

static inline uint8_t hash_tag(uint64_t hash) {
    uint8_t tag = (uint8_t)(hash >> 56);
    return tag ? tag : 1;
}

static inline uint8_t hash_choice(uint64_t hash) {
    return (uint8_t)(hash >> PREFIX_BITS & ((1u << CHOICE_BITS) - 1));
}

/* The top bit of each slot whose tag and choice are those of the hash. Exact: no other slot is named. */
static inline uint64_t slots_like(const struct bucket *b, uint64_t hash) {
    uint64_t differ = (b->tags ^ (hash_tag(hash) * EACH_BYTE)) |
                      ((b->choices ^ (hash_choice(hash) * EACH_BYTE)) & LOW_BITS);
    return ~(((differ & LOW_BITS) + LOW_BITS) | differ) & TOP_BITS;
}

static inline uint64_t slots_used(const struct bucket *b) {
    return (((b->tags & LOW_BITS) + LOW_BITS) | b->tags) & TOP_BITS;
}

static inline bool is_chained(const struct bucket *b) { return b->choices & CHAINED; }

static inline uint64_t slots_empty(const struct bucket *b) {
    return (slots_used(b) ^ TOP_BITS) & (is_chained(b) ? ~LINK_TOP : TOP_BITS);
}

/* The slot of the lowest of such bits. */
static inline size_t slot_first(uint64_t tops) { return (size_t)__builtin_ctzll(tops) / 8; }
static inline size_t slots_count(uint64_t tops) { return (size_t)__builtin_popcountll(tops); }

static inline void *bucket_item(const struct bucket *b, size_t slot) {
    uint64_t bytes; /* two more than the item has: after the last come tags */
    memcpy(&bytes, b->items + slot * ITEM_BYTES, sizeof bytes);
    return (void *)(uintptr_t)(bytes & ITEM_BITS);
}

static inline void bucket_set_item(struct bucket *b, size_t slot, const void *item) {
    uint64_t bytes = (uintptr_t)item;
    memcpy(b->items + slot * ITEM_BYTES, &bytes, ITEM_BYTES);
}

static inline uint8_t bucket_choice(const struct bucket *b, size_t slot) {
    return b->choice[slot] & ((1u << CHOICE_BITS) - 1);
}

static inline void bucket_put(struct bucket *b, size_t slot, const void *item, uint8_t tag, uint8_t choice) {
    bucket_set_item(b, slot, item);
    b->tag[slot] = tag;
    b->choice[slot] = (uint8_t)((b->choice[slot] & 0x80) | choice);
}

static inline void bucket_clear(struct bucket *b, size_t slot) { bucket_put(b, slot, NULL, 0, 0); }

static inline struct bucket *bucket_next(const struct bucket *b) {
    return is_chained(b) ? bucket_item(b, LINK) : NULL;
}

static inline void prefetch_items(const struct bucket *b) {
    for (uint64_t used = slots_used(b); used; used &= used - 1)
        __builtin_prefetch(bucket_item(b, slot_first(used)));
}

/* ---- groups ---- */

struct group {
    struct bucket *first;
    uint32_t lines;
    uint8_t side;    /* of which shape it is */
    uint64_t number; /* in that shape */
};

static inline unsigned shape_level(const struct table *t, unsigned side) {
    return PREFIX_BITS - t->shift[side];
}

static inline size_t choice_line(uint8_t choice, size_t lines) { return choice * lines >> CHOICE_BITS; }

static inline struct bucket *group_first(const struct table *t, unsigned side, uint64_t number) {
    size_t lines = t->lines[side];
    if (LIKELY(t->shift[side] >= PREFIX_BITS - BLOCK_LEVEL))
        return (struct bucket *)t->base[side] + number * lines;
    struct bucket **blocks = t->base[side];
    return blocks[number / BLOCK_GROUPS] + number % BLOCK_GROUPS * lines;
}

/* The group of hashes with this prefix; the table must have one. */
static inline struct group group_of(const struct table *t, uint64_t prefix) {
    unsigned side = prefix >> t->shift[0] >= t->border;
    uint64_t number = prefix >> t->shift[side];
    return (struct group){ group_first(t, side, number), t->lines[side], (uint8_t)side, number };
}

static inline uint64_t group_prefix(const struct table *t, const struct group *g) {
    return g->number << t->shift[g->side];
}

/* The first prefix behind the group's. */
static inline uint64_t group_end(const struct table *t, const struct group *g) {
    return (g->number + 1) << t->shift[g->side];
}

#define PREFIX_END (UINT64_C(1) << PREFIX_BITS)

static inline struct bucket *group_last(const struct group *g) { return g->first + g->lines - 1; }

/* A place on the way that a look-up takes through a group. */
struct probe {
    struct bucket *at;
    struct bucket *first;
    uint32_t lines, left; /* lines of the group; those that are still to come, with this one */
};

static inline struct probe probe_of(const struct table *t, uint64_t hash) {
    struct group g = group_of(t, (uint32_t)hash);
    return (struct probe){ g.first + choice_line(hash_choice(hash), g.lines), g.first, g.lines, g.lines };
}

/* Goes on behind a line that is PASSED; false at the end. */
static inline bool probe_next(struct probe *p) {
    if (p->left > 1) {
        p->left--;
        if (++p->at == p->first + p->lines) p->at = p->first;
        return true;
    }
    if (p->left == 1) { /* all lines were seen: now the chain, which begins at the last of the row */
        p->left = 0;
        p->at = p->first + p->lines - 1;
    }
    struct bucket *next = bucket_next(p->at);
    if (next) p->at = next;
    return next != NULL;
}

/* Every bucket of a group, the chained ones after the lines: starts with its first line, NULL after the last.
 */
static inline struct bucket *group_after(const struct group *g, struct bucket *b) {
    bool is_line = b >= g->first && b < group_last(g);
    return is_line ? b + 1 : bucket_next(b);
}
#define GROUP_EACH(g, b) for (struct bucket *b = (g)->first; b; b = group_after((g), b))

/* table_group.c */

/* An item beside what a bucket knows of its hash. */
struct filed {
    void *item;
    uint8_t tag, choice;
};

/* Puts an item at home or, if that is full, behind it; says where. */
struct bucket *group_place(struct table *t, struct bucket *first, uint32_t lines, struct filed f);
/* Brings every item as near to its home as there is room, after some were taken out. */
void group_tidy(struct table *t, const struct group *g);

/* The same where one item was taken out of a bucket of the group; `choice` was its. While more than one
 * bucket is chained the hole is only filled, which takes the same time however many there are. */
void group_mend(struct table *t, const struct group *g, struct bucket *hole, uint8_t choice);

/* Groups that become others, over the same memory or not. If `to_groups` is two, the hashes' bit `split` says
 * in which of them an item goes. */
struct regrouping {
    struct bucket *from, *to;
    uint32_t from_lines, to_lines; /* of each group */
    uint32_t from_groups, to_groups;
    uint64_t split;
};
void groups_move(struct table *t, const struct regrouping *r);

void bucket_visit(const struct bucket *b, void (*visit)(void *arg, void *item), void *arg);
void group_visit(const struct group *g, void (*visit)(void *arg, void *item), void *arg);
void group_free_chain(struct table *t, const struct group *g);

/* table_size.c */

/* Before an insert when count >= grow_at. */
void table_make_room(struct table *t);
/* After items were taken out: up to `steps` steps to a smaller table, none if it is not due. */
void table_settle(struct table *t, size_t steps);
/* Lines of all groups. */
size_t table_lines(const struct table *t);
/* table_memory() as the allocator counts it; for tests. */
size_t table_memory_held(const struct table *t);
/* Frees all buckets but not the chained ones. */
void table_free_blocks(struct table *t);

/* table_freeze.c */

/* Hands over what was there when the table was frozen, before the group of this prefix changes. */
void freeze_hand_over(const struct table *t, uint64_t prefix);
/* The same before groups of this shape, from this prefix on, become others. */
void freeze_before_move(const struct table *t, uint64_t prefix, unsigned level, unsigned groups);
/* The table is empty. */
void freeze_nothing_left(struct table *t);

static inline void before_change(const struct table *t, uint64_t hash) {
    if (UNLIKELY(t->freeze)) freeze_hand_over(t, (uint32_t)hash);
}

#endif
