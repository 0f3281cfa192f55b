/* table.c: the hash table, built around one cache line.
 *
 * A bucket has an 8-byte head and seven item pointers. The head holds a tag for each slot (the top
 * byte of the item's hash, never 0; 0 says the slot is empty) and a byte of marks. A look-up compares all
 * seven tags in a few instructions and touches an item only when its tag fits: a hit costs two cache
 * misses, a miss one. When an eighth item comes, slot 6 becomes a link to another bucket. Chains are kept
 * dense: every bucket but the last is full, and the last has at least two items, as one would fit in the
 * slot of the link.
 *
 *     head: tag0 tag1 tag2 tag3 tag4 tag5 tag6 marks | slot0 slot1 slot2 slot3 slot4 slot5 slot6-or-link
 *
 * The low bits of the hash choose the bucket, bits 56..63 are the tag, and the bits between are the caller's.
 *
 * While the table moves, half[0] is the old array and half[1] the new one. Buckets move in rising order,
 * and an item is put where its old bucket is: in half[0] if that has not moved, else in half[1]. So each item
 * has one place at any moment, and a look-up pays one comparison for it (`moved` is 0 in a table at rest).
 * Growing rehashes the items of a bucket, after prefetching them; shrinking knows the new index from the old
 * one and touches no item.
 *
 * Frozen, the table has a bit for each chain there was then: handed over by a change. The walk hands over the
 * others in the order of the row. Whatever adds to a chain, takes from it or moves it away hands it over
 * before; arrays that are made later hold nothing that was not handed over, so the table moves as it would
 * anyway. */
#include "trivet/types/structures/table.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include <string.h>

#define SLOTS 7
#define LINK 6 /* the slot that a chained bucket uses as a link */
#define MARK_CHAINED 1u
#define MARK_WALKED 2u /* set by table_mark, in the first bucket of a chain only */

#define EACH_BYTE 0x0101010101010101ULL
#define LOW_BITS 0x7f7f7f7f7f7f7f7fULL
#define TAG_TOPS 0x0080808080808080ULL /* the top bit of each tag, none of the marks */
#define LINK_TOP 0x0080000000000000ULL
#define HEAD_CHAINED ((uint64_t)MARK_CHAINED << 56)

/* Items a bucket, on average, before the table grows. At 7, four buckets of ten are chained and an item costs
 * 13 bytes of buckets; look-ups were measured as fast as with 6, which takes a tenth more memory. */
#define FILL_MAX TABLE_FILL_MAX
/* After shrinking: in the middle between growing and shrinking again. */
#define FILL_SHRUNK 3
/* Up to 1 << this many buckets are moved at once. */
#define EXPONENT_AT_ONCE 2
#define EXPONENT_MAX 36
/* Buckets moved by one change. Growing is through after half as many inserts as there were buckets, a
 * fourteenth of those to the next growing. A shrinking table has less than one item a bucket, and must be
 * through long before these are gone. */
#define GROW_STEP 2
#define SHRINK_STEP 8
/* A frozen table moves the least that lets growing end before the next: a change hands over what it moves. */
#define FROZEN_STEP 1
/* The most doublings between the two arrays: bounds the buckets that one table_scan has to read. */
#define RATIO_MAX 4
/* From here on, the allocator is asked for zeros, which it may take fresh from the system for nothing. */
#define LAZY_ZERO_BYTES (64 * 1024)
/* Throws of the dice before table_random takes the next item it finds. */
#define RANDOM_TRIES 128

struct bucket {
    union {
        uint64_t head;
        struct {
            uint8_t tags[SLOTS]; /* top byte of each item's hash; 0: empty, or the link */
            uint8_t marks;
        };
    };
    void *slots[SLOTS];
};
static_assert(sizeof(struct bucket) == CACHE_LINE, "a bucket is one cache line");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a tag's place in the head is that of its slot");

/* ---- One bucket ---- */

/* The top bit of each tag that equals `tag`. Exact: a slot whose tag differs is never named. */
static inline uint64_t slots_tagged(uint64_t head, uint8_t tag) {
    uint64_t differ = head ^ (tag * EACH_BYTE);
    return ~(((differ & LOW_BITS) + LOW_BITS) | differ) & TAG_TOPS;
}

static inline uint64_t slots_used(uint64_t head) {
    return (((head & LOW_BITS) + LOW_BITS) | head) & TAG_TOPS;
}

static inline bool is_chained(const struct bucket *b) { return b->marks & MARK_CHAINED; }

static inline uint64_t slots_empty(const struct bucket *b) {
    return ~slots_used(b->head) & (is_chained(b) ? TAG_TOPS ^ LINK_TOP : TAG_TOPS);
}

/* The slot of the lowest of such bits. */
static inline size_t slot_first(uint64_t tops) { return (size_t)__builtin_ctzll(tops) / 8; }
static inline size_t slots_count(uint64_t tops) { return (size_t)__builtin_popcountll(tops); }

static inline uint8_t hash_tag(uint64_t hash) {
    uint8_t tag = (uint8_t)(hash >> 56);
    return tag ? tag : 1;
}

static inline struct bucket *bucket_next(const struct bucket *b) {
    return is_chained(b) ? (struct bucket *)b->slots[LINK] : NULL;
}

static inline void bucket_put(struct bucket *b, size_t slot, void *item, uint8_t tag) {
    b->slots[slot] = item;
    b->tags[slot] = tag;
}

static inline void bucket_clear(struct bucket *b, size_t slot) { bucket_put(b, slot, NULL, 0); }

static inline void prefetch_items(const struct bucket *b) {
    for (uint64_t used = slots_used(b->head); used; used &= used - 1)
        __builtin_prefetch(b->slots[slot_first(used)]);
}

static struct bucket *buckets_new(size_t count) {
    size_t size = count * sizeof(struct bucket);
    if (size >= LAZY_ZERO_BYTES) {
        void *lazy = mem_alloc_zero(size);
        if ((uintptr_t)lazy % CACHE_LINE == 0) return lazy;
        mem_free(lazy); /* an allocator (a sanitizer's) that does not align powers of two by itself */
    }
    void *b = mem_alloc_aligned(CACHE_LINE, size);
    memset(b, 0, size);
    return b;
}

/* ---- One chain ---- */

static void chain_add(struct table *t, struct bucket *b, void *item, uint8_t tag) {
    while (is_chained(b)) b = bucket_next(b);
    uint64_t room = slots_empty(b);
    if (UNLIKELY(!room)) {
        struct bucket *more = buckets_new(1);
        bucket_put(more, 0, b->slots[LINK], b->tags[LINK]);
        bucket_put(b, LINK, more, 0);
        b->marks |= MARK_CHAINED;
        t->chained++;
        b = more;
        room = slots_empty(b);
    }
    bucket_put(b, slot_first(room), item, tag);
}

/* Frees the buckets behind `last`, which is not chained after. The items there were moved elsewhere. */
static void chain_cut(struct table *t, struct bucket *last) {
    struct bucket *next = bucket_next(last);
    if (!next) return;
    last->marks &= (uint8_t)~MARK_CHAINED;
    bucket_clear(last, LINK);
    while (next) {
        struct bucket *after = bucket_next(next);
        mem_free(next);
        t->chained--;
        next = after;
    }
}

/* Empties a slot of the chain that starts at `first`, filling the hole from the chain's last bucket. */
static void chain_take(struct table *t, struct bucket *first, struct bucket *b, size_t slot) {
    bucket_clear(b, slot);
    if (LIKELY(!is_chained(first))) return;
    struct bucket *before = NULL, *last = first;
    for (; is_chained(last); last = bucket_next(last)) before = last;
    if (b != last) {
        size_t filler = slot_first(slots_used(last->head));
        bucket_put(b, slot, last->slots[filler], last->tags[filler]);
        bucket_clear(last, filler);
    }
    uint64_t left = slots_used(last->head);
    if (left & (left - 1)) return;
    size_t lone = slot_first(left);
    void *item = last->slots[lone];
    uint8_t tag = last->tags[lone];
    chain_cut(t, before);
    bucket_put(before, LINK, item, tag);
}

/* Makes a chain dense again after items were cleared out of the middle of it. */
static void chain_close_holes(struct table *t, struct bucket *first) {
    struct bucket *before = NULL, *to = first;
    for (struct bucket *b = first; b; b = bucket_next(b)) {
        for (uint64_t used = slots_used(b->head); used; used &= used - 1) {
            size_t slot = slot_first(used);
            void *item = b->slots[slot];
            uint8_t tag = b->tags[slot];
            bucket_clear(b, slot);
            if (!slots_empty(to)) {
                before = to;
                to = bucket_next(to);
            }
            bucket_put(to, slot_first(slots_empty(to)), item, tag);
        }
    }
    chain_cut(t, to);
    uint64_t left = slots_used(to->head);
    if (!before || slots_count(left) > 1) return;
    void *item = to->slots[slot_first(left)];
    uint8_t tag = to->tags[slot_first(left)];
    chain_cut(t, before);
    bucket_put(before, LINK, item, tag);
}

static size_t chain_count(const struct bucket *b) {
    size_t items = 0;
    for (; b; b = bucket_next(b)) items += slots_count(slots_used(b->head));
    return items;
}

static void chain_visit(const struct bucket *b, void (*visit)(void *arg, void *item), void *arg) {
    prefetch_items(b);
    for (; b; b = bucket_next(b))
        for (uint64_t used = slots_used(b->head); used; used &= used - 1)
            visit(arg, b->slots[slot_first(used)]);
}

/* ---- Both halves ---- */

static inline size_t half_size(const struct table *t, int half) {
    return t->half[half] ? (size_t)1 << t->exponent[half] : 0;
}

static inline uint64_t half_mask(const struct table *t, int half) {
    return ((uint64_t)1 << t->exponent[half]) - 1;
}

/* The first bucket of the chain where an item of this hash is or would be; half[0] must be there. */
static inline struct bucket *home_of(const struct table *t, uint64_t hash) {
    size_t index = hash & half_mask(t, 0);
    if (LIKELY(index >= t->moved)) return &t->half[0][index];
    return &t->half[1][hash & half_mask(t, 1)];
}

/* All first buckets in one row, half[1] after half[0]; those before `moved` are empty. */
static inline size_t row_size(const struct table *t) { return half_size(t, 0) + half_size(t, 1); }

static inline struct bucket *row_bucket(const struct table *t, size_t place) {
    size_t old = half_size(t, 0);
    return place < old ? &t->half[0][place] : &t->half[1][place - old];
}

/* Where in the row that bucket is. */
static inline size_t place_of(const struct table *t, uint64_t hash) {
    size_t index = hash & half_mask(t, 0);
    return index >= t->moved ? index : half_size(t, 0) + (hash & half_mask(t, 1));
}

/* ---- Frozen ---- */

struct table_freeze {
    void (*visit)(void *arg, void *item);
    void *arg;
    size_t row;        /* how long the row was */
    size_t gone;       /* so much of its front is given up: place 0 was place `gone` then */
    size_t next;       /* the walk has been at the places before this one */
    uint64_t handed[]; /* a bit a place: handed over by a change */
};

static inline size_t bitmap_bytes(size_t row) { return (row + 63) / 64 * sizeof(uint64_t); }

static inline bool was_handed(const struct table_freeze *f, size_t then) {
    return then < f->next || then >= f->row || ((f->handed[then / 64] >> then % 64) & 1);
}

/* Before the chain at this place changes. */
static __attribute__((noinline)) void hand_over(const struct table *t, size_t place) {
    struct table_freeze *f = t->freeze;
    size_t then = place + f->gone;
    if (was_handed(f, then)) return;
    f->handed[then / 64] |= (uint64_t)1 << then % 64;
    chain_visit(row_bucket(t, place), f->visit, f->arg);
}

static inline void before_change(const struct table *t, uint64_t hash) {
    if (UNLIKELY(t->freeze)) hand_over(t, place_of(t, hash));
}

/* The first `places` of the row are about to be given up; nothing in them is left to hand over. */
static void row_gives_up(struct table *t, size_t places) {
    if (t->freeze) t->freeze->gone += places;
}

static void halves_free(struct table *t) {
    row_gives_up(t, row_size(t));
    mem_free(t->half[0]);
    mem_free(t->half[1]);
    *t = (struct table){ .ops = t->ops, .freeze = t->freeze };
}

void table_freeze(struct table *t, void (*visit)(void *arg, void *item), void *arg) {
    assert(!t->paused && !t->freeze);
    size_t row = row_size(t);
    t->freeze = mem_alloc_zero(sizeof *t->freeze + bitmap_bytes(row));
    t->freeze->visit = visit;
    t->freeze->arg = arg;
    t->freeze->row = row;
}

void *table_frozen_for(const struct table *t) { return t->freeze ? t->freeze->arg : NULL; }

bool table_freeze_walk(struct table *t, size_t buckets) {
    struct table_freeze *f = t->freeze;
    if (f->next < f->gone) f->next = f->gone;
    for (; f->next < f->row && buckets > 0; f->next++, buckets--) {
        if (f->next + 1 < f->row) prefetch_items(row_bucket(t, f->next + 1 - f->gone));
        if (!was_handed(f, f->next)) chain_visit(row_bucket(t, f->next - f->gone), f->visit, f->arg);
    }
    return f->next < f->row;
}

void table_touch(struct table *t, uint64_t hash) {
    if (UNLIKELY(t->freeze && t->half[0])) hand_over(t, place_of(t, hash));
}

size_t table_freeze_memory(const struct table *t) { return mem_size(t->freeze); }

void table_thaw(struct table *t) {
    mem_free(t->freeze);
    t->freeze = NULL;
}

/* ---- The whole ---- */

atomic_bool table_may_resize = true;
void table_init(struct table *t, const struct table_ops *ops) { *t = (struct table){ .ops = ops }; }

void table_release(struct table *t, void (*free_item)(void *item)) {
    assert(!t->paused && !t->freeze);
    size_t row = free_item || t->chained ? row_size(t) : 0;
    for (size_t place = t->moved; place < row; place++) {
        struct bucket *first = row_bucket(t, place);
        if (free_item && place + 1 < row) prefetch_items(row_bucket(t, place + 1));
        for (struct bucket *b = first; b && free_item; b = bucket_next(b))
            for (uint64_t used = slots_used(b->head); used; used &= used - 1)
                free_item(b->slots[slot_first(used)]);
        chain_cut(t, first);
    }
    halves_free(t);
}

size_t table_memory(const struct table *t) { return (row_size(t) + t->chained) * sizeof(struct bucket); }

/* ---- Moving ---- */

static void move_bucket(struct table *t, size_t index) {
    if (UNLIKELY(t->freeze)) hand_over(t, index);
    struct bucket *from = &t->half[0][index];
    bool growing = t->exponent[1] > t->exponent[0];
    unsigned marked = from->marks & MARK_WALKED;
    if (growing) {
        prefetch_items(from);
        if (index + 1 < half_size(t, 0)) prefetch_items(from + 1); /* for the next call */
    }
    for (struct bucket *b = from; b; b = bucket_next(b)) {
        for (uint64_t used = slots_used(b->head); used; used &= used - 1) {
            size_t slot = slot_first(used);
            uint64_t hash = growing ? hash_bytes(t->ops->key(b->slots[slot])) : index;
            size_t place = hash & half_mask(t, 1);
            if (UNLIKELY(t->freeze)) hand_over(t, half_size(t, 0) + place);
            struct bucket *to = &t->half[1][place];
            chain_add(t, to, b->slots[slot], b->tags[slot]);
            to->marks |= (uint8_t)marked;
        }
    }
    chain_cut(t, from);
    memset(from, 0, sizeof *from);
}

/* Moves up to `buckets` buckets; the last one ends the moving. */
static void move_on(struct table *t, size_t buckets) {
    size_t size = half_size(t, 0);
    for (; buckets > 0 && t->moved < size; buckets--) {
        move_bucket(t, t->moved);
        t->moved++;
    }
    if (t->moved < size) return;
    row_gives_up(t, size);
    mem_free(t->half[0]);
    t->half[0] = t->half[1];
    t->exponent[0] = t->exponent[1];
    t->half[1] = NULL;
    t->moved = 0;
}

static inline void move_step(struct table *t) {
    if (LIKELY(!table_is_moving(t))) return;
    size_t step = t->exponent[1] > t->exponent[0] ? GROW_STEP : SHRINK_STEP;
    move_on(t, t->freeze ? FROZEN_STEP : step);
}

static void resize(struct table *t, unsigned exponent) {
    if (t->half[0] && !atomic_load_explicit(&table_may_resize, memory_order_relaxed)) return;
    assert(!table_is_moving(t) && exponent <= EXPONENT_MAX);
    t->half[1] = buckets_new((size_t)1 << exponent);
    t->exponent[1] = (uint8_t)exponent;
    if (!t->half[0]) {
        t->half[0] = t->half[1];
        t->half[1] = NULL;
        t->exponent[0] = (uint8_t)exponent;
    } else if (t->exponent[0] <= EXPONENT_AT_ONCE) {
        move_on(t, half_size(t, 0));
    }
}

/* How many items 1 << exponent buckets take before they grow. */
static inline size_t fill_limit(unsigned exponent) { return (size_t)FILL_MAX << exponent; }

static unsigned exponent_for(size_t count) {
    unsigned exponent = 0;
    while (fill_limit(exponent) < count) exponent++;
    return exponent;
}

/* After items were taken out: gives everything back when empty, and begins to shrink under an eighth. */
static void settle(struct table *t) {
    if (t->count == 0) {
        halves_free(t);
        return;
    }
    if (table_is_moving(t) || t->count * 8 >= half_size(t, 0) * SLOTS) return;
    unsigned now = t->exponent[0], wanted = now, least = now > RATIO_MAX ? now - RATIO_MAX : 0;
    while (wanted > least && t->count <= (size_t)FILL_SHRUNK << (wanted - 1)) wanted--;
    if (wanted < now) resize(t, wanted);
}

void table_reserve(struct table *t, size_t count) {
    assert(!t->paused);
    unsigned wanted = exponent_for(count);
    if (t->freeze) return;
    if (t->half[0] && wanted <= t->exponent[table_is_moving(t)]) return;
    if (table_is_moving(t)) move_on(t, half_size(t, 0));
    bool far = t->half[0] && wanted > t->exponent[0] + (unsigned)RATIO_MAX;
    resize(t, wanted);
    if (far && table_is_moving(t)) move_on(t, half_size(t, 0)); /* little beside the load to come */
}

bool table_move_some(struct table *t, size_t buckets) {
    if (!table_is_moving(t) || t->paused || t->freeze) return table_is_moving(t);
    move_on(t, buckets);
    if (!table_is_moving(t)) settle(t);
    return table_is_moving(t);
}

/* ---- Finding ---- */

/* The bucket and, in *slot, the slot of this key. */
static inline struct bucket *find(const struct table *t, struct slice key, uint64_t hash, size_t *slot) {
    if (UNLIKELY(!t->half[0])) return NULL;
    uint8_t tag = hash_tag(hash);
    struct bucket *b = home_of(t, hash);
    for (;;) {
        uint64_t head = b->head;
        for (uint64_t hits = slots_tagged(head, tag); hits; hits &= hits - 1) {
            *slot = slot_first(hits);
            if (LIKELY(slice_equal(t->ops->key(b->slots[*slot]), key))) return b;
        }
        if (LIKELY(!(head & HEAD_CHAINED))) return NULL;
        b = b->slots[LINK];
    }
}

/* The same for an item that must be there, by its address. */
static struct bucket *find_item(const struct table *t, const void *item, uint64_t hash, size_t *slot) {
    struct bucket *b = t->half[0] ? home_of(t, hash) : NULL;
    for (; b; b = bucket_next(b)) {
        for (uint64_t hits = slots_tagged(b->head, hash_tag(hash)); hits; hits &= hits - 1) {
            *slot = slot_first(hits);
            if (b->slots[*slot] == item) return b;
        }
    }
    assert(!"the item is in the table");
    return NULL;
}

void *table_find(const struct table *t, struct slice key, uint64_t hash) {
    size_t slot;
    struct bucket *b = find(t, key, hash, &slot);
    return b ? b->slots[slot] : NULL;
}

void **table_find_slot(struct table *t, struct slice key, uint64_t hash) {
    size_t slot;
    struct bucket *b = find(t, key, hash, &slot);
    if (b) before_change(t, hash);
    return b ? &b->slots[slot] : NULL;
}

void **table_slot_of(struct table *t, const void *item, uint64_t hash) {
    size_t slot = 0;
    struct bucket *b = find_item(t, item, hash, &slot);
    before_change(t, hash);
    return &b->slots[slot];
}

void table_prefetch_bucket(const struct table *t, uint64_t hash) {
    if (t->half[0]) __builtin_prefetch(home_of(t, hash));
}

void table_prefetch_item(const struct table *t, uint64_t hash) {
    if (!t->half[0]) return;
    const struct bucket *b = home_of(t, hash);
    uint64_t hits = slots_tagged(b->head, hash_tag(hash));
    if (hits)
        __builtin_prefetch(b->slots[slot_first(hits)]);
    else if (is_chained(b))
        __builtin_prefetch(b->slots[LINK]);
}

/* ---- Changing ---- */

void table_insert(struct table *t, void *item, uint64_t hash) {
    assert(!t->paused);
#ifdef TRIVET_DEBUG
    assert(hash_bytes(t->ops->key(item)) == hash && !table_find(t, t->ops->key(item), hash));
#endif
    move_step(t);
    bool full = t->count >= fill_limit(t->exponent[0]);
    if (UNLIKELY(!t->half[0]))
        resize(t, 0);
    else if (UNLIKELY(full) && !table_is_moving(t))
        resize(t, t->exponent[0] + 1u);
    before_change(t, hash);
    chain_add(t, home_of(t, hash), item, hash_tag(hash));
    t->count++;
}

static void take_out(struct table *t, struct bucket *b, size_t slot, uint64_t hash) {
    before_change(t, hash);
    chain_take(t, home_of(t, hash), b, slot);
    t->count--;
    settle(t);
}

void *table_remove(struct table *t, struct slice key, uint64_t hash) {
    assert(!t->paused);
    move_step(t);
    size_t slot;
    struct bucket *b = find(t, key, hash, &slot);
    if (!b) return NULL;
    void *item = b->slots[slot];
    take_out(t, b, slot, hash);
    return item;
}

void table_remove_item(struct table *t, const void *item, uint64_t hash) {
    assert(!t->paused);
    move_step(t);
    size_t slot = 0;
    struct bucket *b = find_item(t, item, hash, &slot);
    take_out(t, b, slot, hash);
}

/* ---- Walking ---- */

/* Asks `visit` about each item of a chain and takes out those to remove, at once, so that a look-up by the
 * callback never meets an item that it gave away. True if some item is to keep the mark. */
static bool chain_filter(struct table *t, size_t place, enum table_verdict (*visit)(void *arg, void *item),
                         void *arg) {
    struct bucket *first = row_bucket(t, place);
    bool keep = false, holes = false;
    prefetch_items(first);
    for (struct bucket *b = first; b; b = bucket_next(b)) {
        for (uint64_t used = slots_used(b->head); used; used &= used - 1) {
            size_t slot = slot_first(used);
            enum table_verdict verdict = visit(arg, b->slots[slot]);
            if (verdict == TABLE_KEEP) keep = true;
            if (verdict != TABLE_REMOVE) continue;
            if (UNLIKELY(t->freeze)) hand_over(t, place);
            bucket_clear(b, slot);
            t->count--;
            holes = true;
        }
    }
    if (holes && is_chained(first)) chain_close_holes(t, first);
    return keep;
}

void table_mark(struct table *t, const void *item, uint64_t hash) {
    size_t slot;
    (void)find_item(t, item, hash, &slot); /* which asserts that it is there */
    home_of(t, hash)->marks |= MARK_WALKED;
}

size_t table_walk_marked(struct table *t, size_t cursor, size_t buckets,
                         enum table_verdict (*visit)(void *arg, void *item), void *arg) {
    assert(!t->paused);
    size_t row = row_size(t);
    if (cursor < t->moved) cursor = t->moved;
    t->paused++;
    for (; cursor < row && buckets > 0; cursor++, buckets--) {
        struct bucket *first = row_bucket(t, cursor);
        if (!(first->marks & MARK_WALKED)) continue;
        if (!chain_filter(t, cursor, visit, arg)) first->marks &= (uint8_t)~MARK_WALKED;
    }
    t->paused--;
    settle(t);
    return cursor < row ? cursor : 0;
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
    struct remove_if how = { remove, arg };
    size_t before = t->count, row = row_size(t);
    t->paused++;
    for (size_t place = t->moved; place < row; place++) {
        if (place + 1 < row) prefetch_items(row_bucket(t, place + 1));
        if (UNLIKELY(t->freeze)) hand_over(t, place); /* now: the callback may free what it removes */
        chain_filter(t, place, remove_if_verdict, &how);
    }
    t->paused--;
    size_t removed = before - t->count;
    settle(t);
    return removed;
}

bool table_each(const struct table *t, bool (*visit)(void *arg, void *item), void *arg) {
    size_t row = row_size(t);
    for (size_t place = t->moved; place < row; place++) {
        if (place + 1 < row) prefetch_items(row_bucket(t, place + 1));
        for (const struct bucket *b = row_bucket(t, place); b; b = bucket_next(b))
            for (uint64_t used = slots_used(b->head); used; used &= used - 1)
                if (!visit(arg, b->slots[slot_first(used)])) return false;
    }
    return true;
}

static uint64_t bits_reversed(uint64_t x) {
    x = ((x >> 1) & 0x5555555555555555ULL) | ((x & 0x5555555555555555ULL) << 1);
    x = ((x >> 2) & 0x3333333333333333ULL) | ((x & 0x3333333333333333ULL) << 2);
    x = ((x >> 4) & 0x0f0f0f0f0f0f0f0fULL) | ((x & 0x0f0f0f0f0f0f0f0fULL) << 4);
    return __builtin_bswap64(x);
}

/* Counts from the mask's highest bit downwards. So the buckets that a bucket splits into when the table grows
 * follow each other, and a cursor names the same part of all hashes in a table of any size. */
static uint64_t cursor_next(uint64_t cursor, uint64_t mask) {
    return bits_reversed(bits_reversed(cursor | ~mask) + 1);
}

uint64_t table_scan(struct table *t, uint64_t cursor, void (*visit)(void *arg, void *item), void *arg) {
    if (t->count == 0) return 0;
    t->paused++;
    uint64_t old_mask = half_mask(t, 0);
    if (!table_is_moving(t)) {
        chain_visit(&t->half[0][cursor & old_mask], visit, arg);
        cursor = cursor_next(cursor, old_mask);
        __builtin_prefetch(&t->half[0][cursor]);
        t->paused--;
        return cursor;
    }
    uint64_t new_mask = half_mask(t, 1);
    uint64_t wide = old_mask | new_mask, narrow = old_mask & new_mask;
    const struct bucket *small = &t->half[wide == old_mask][cursor & narrow];
    const struct bucket *large = t->half[wide != old_mask];
    chain_visit(small, visit, arg);
    do {
        chain_visit(&large[cursor & wide], visit, arg);
        cursor = cursor_next(cursor, wide);
    } while (cursor & (wide ^ narrow));
    t->paused--;
    return cursor;
}

/* ---- Chance ---- */

/* One of `count` things, from the upper bits of `random`. */
static inline size_t scaled(uint64_t random, size_t count) {
    return (size_t)(((unsigned __int128)random * count) >> 64);
}

/* The next of a row of random numbers that starts from the caller's (Vigna's splitmix64). */
static inline uint64_t random_next(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static void *chain_item(const struct bucket *b, size_t nth) {
    uint64_t used = slots_used(b->head);
    for (; nth >= slots_count(used); used = slots_used(b->head)) {
        nth -= slots_count(used);
        b = bucket_next(b);
    }
    while (nth-- > 0) used &= used - 1;
    return b->slots[slot_first(used)];
}

/* The next place in the row that may hold items. */
static inline size_t row_after(const struct table *t, size_t place, size_t row) {
    return place + 1 < row ? place + 1 : t->moved;
}

void *table_random(const struct table *t, uint64_t random) {
    if (t->count == 0) return NULL;
    size_t row = row_size(t), place = t->moved;
    size_t sides = t->chained ? 2 * SLOTS : SLOTS;
    if (row - t->moved == 1) sides = 1;
    for (int tries = 0; tries < RANDOM_TRIES; tries++) {
        place = t->moved + scaled(random_next(&random), row - t->moved);
        size_t items = chain_count(row_bucket(t, place));
        size_t die = scaled(random_next(&random), items > sides ? items : sides);
        if (die < items) return chain_item(row_bucket(t, place), die);
    }
    while (!slots_used(row_bucket(t, place)->head)) place = row_after(t, place, row);
    const struct bucket *b = row_bucket(t, place);
    return chain_item(b, scaled(random_next(&random), chain_count(b)));
}

/* Copies the items from number `from` to before number `to` of a chain, as many as there is room for. */
static size_t chain_copy(const struct bucket *b, size_t from, size_t to, void **out, size_t room) {
    size_t nth = 0, got = 0;
    for (; b; b = bucket_next(b)) {
        for (uint64_t used = slots_used(b->head); used; used &= used - 1, nth++) {
            if (nth < from) continue;
            if (nth >= to || got == room) return got;
            out[got++] = b->slots[slot_first(used)];
        }
    }
    return got;
}

size_t table_sample(const struct table *t, uint64_t random, void **out, size_t max) {
    if (max == 0 || t->count == 0) return 0;
    size_t row = row_size(t);
    size_t place = t->moved + scaled(random_next(&random), row - t->moved);
    while (!slots_used(row_bucket(t, place)->head)) place = row_after(t, place, row);
    /* Starts anywhere in the first chain, so that the end of a long chain has its chance too. */
    const struct bucket *first = row_bucket(t, place);
    size_t skip = scaled(random_next(&random), chain_count(first));
    size_t got = chain_copy(first, skip, SIZE_MAX, out, max);
    /* A wide row with few items would mean a long search: what so many buckets gave is enough then. */
    size_t patience = 64 + 2 * max, start = place;
    for (place = row_after(t, place, row); place != start; place = row_after(t, place, row)) {
        if (got == max || patience-- == 0) return got;
        got += chain_copy(row_bucket(t, place), 0, SIZE_MAX, out + got, max - got);
    }
    return got + chain_copy(first, 0, skip, out + got, max - got);
}

/* ---- Checking ---- */

static void check_item(const struct table *t, const struct bucket *first, const struct bucket *b,
                       size_t slot) {
    assert(b->slots[slot] && (uintptr_t)b->slots[slot] % 2 == 0);
    struct slice key = t->ops->key(b->slots[slot]);
    uint64_t hash = hash_bytes(key);
    assert(b->tags[slot] == hash_tag(hash));
    assert(home_of(t, hash) == first);
    /* Finding it by key finds itself, not an earlier one: so no key is there twice. */
    size_t found = SLOTS;
    assert(find(t, key, hash, &found) == b && found == slot);
}

static size_t check_chain(const struct table *t, const struct bucket *first, size_t *chained) {
    size_t items = 0;
    for (const struct bucket *b = first; b; b = bucket_next(b)) {
        assert((uintptr_t)b % CACHE_LINE == 0 && (b == first || mem_size(b) == sizeof *b));
        assert((b->marks & ~(b == first ? MARK_CHAINED | MARK_WALKED : MARK_CHAINED)) == 0);
        uint64_t used = slots_used(b->head);
        if (is_chained(b))
            assert(!slots_empty(b) && b->slots[LINK] && b->tags[LINK] == 0);
        else if (b != first)
            assert(slots_count(used) >= 2);
        for (size_t slot = 0; slot < SLOTS - (size_t)is_chained(b); slot++) {
            if (b->tags[slot])
                check_item(t, first, b, slot);
            else
                assert(!b->slots[slot]);
        }
        items += slots_count(used);
        *chained += b != first;
    }
    return items;
}

void table_check(const struct table *t) {
    size_t items = 0, chained = 0;
    for (size_t place = 0; place < row_size(t); place++) {
        size_t here = check_chain(t, row_bucket(t, place), &chained);
        assert(place >= t->moved || here == 0);
        items += here;
    }
    assert(items == t->count && chained == t->chained && (t->half[0] || (!t->half[1] && items == 0)));
    size_t held = (t->half[0] ? mem_size(t->half[0]) : 0) + (t->half[1] ? mem_size(t->half[1]) : 0);
    assert(table_memory(t) == held + chained * sizeof(struct bucket));
    assert(table_is_moving(t) ? t->moved < half_size(t, 0) && t->exponent[0] != t->exponent[1] : !t->moved);
}
