/* zset.c: see zset.h. The first half is about pairs in a listpack, the second about table and tree; the calls
 * of the header choose between them. */
#include "trivet/types/zset.h"
#include "elements.h"
#include "freeze_private.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/listpack.h"
#include "trivet/types/structures/table.h"
#include <math.h>

/* ---- the small form ---- */

static double read_score(const unsigned char *at) {
    struct listpack_item item = listpack_get(at);
    if (!item.text.ptr) return (double)item.number;
    double score = 0;
    bool readable = double_parse(item.text, &score);
    assert(readable); /* written by us, or checked by the loader */
    return score;
}

/* As text, of which the listpack makes an integer where it is one: so minus zero becomes zero (adding zero
 * does it). */
static struct slice score_text(double score, char *scratch) {
    return slice_make(scratch, double_format(scratch, score + 0.0));
}

static unsigned char *score_of(const unsigned char *lp, const unsigned char *member) {
    return listpack_next(lp, member);
}

static unsigned char *pair_after(const unsigned char *lp, const unsigned char *member) {
    return listpack_next(lp, score_of(lp, member));
}

static unsigned char *pair_before(const unsigned char *lp, const unsigned char *member) {
    const unsigned char *score = listpack_previous(lp, member);
    return score ? listpack_previous(lp, score) : NULL;
}

static unsigned char *find_pair(const unsigned char *lp, struct slice member) {
    return listpack_find(lp, listpack_first(lp), member, 1);
}

/* The bound's place: the first pair that is not before it, or NULL; *rank is how many are. */
static unsigned char *small_seek(const unsigned char *lp, const struct btree_bound *b, size_t *rank) {
    char scratch[INT64_TEXT_MAX];
    *rank = 0;
    unsigned char *at = listpack_first(lp), *next;
    for (; at; at = next, ++*rank) {
        const unsigned char *score_at = score_of(lp, at);
        next = listpack_next(lp, score_at);
        double score = b->by == BTREE_BY_TEXT ? 0 : read_score(score_at);
        if (b->by != BTREE_BY_TEXT && score != b->score) {
            if (score > b->score) break;
            continue;
        }
        int order = b->by == BTREE_BY_SCORE ? 0 : slice_compare(listpack_text(at, scratch), b->text);
        if (order > 0 || (order == 0 && !b->after)) break;
    }
    return at;
}

static unsigned char *small_insert(unsigned char *lp, struct slice member, double score) {
    struct btree_bound b = { BTREE_BY_BOTH, false, score, member };
    size_t rank;
    unsigned char *at = small_seek(lp, &b, &rank);
    char scratch[DOUBLE_TEXT_MAX];
    struct slice text = score_text(score, scratch);
    if (!at) return listpack_append(listpack_append(lp, member), text);
    size_t offset = (size_t)(at - lp);
    lp = listpack_insert(lp, at, text);
    return listpack_insert(lp, lp + offset, member);
}

/* In place if it stays between its neighbours, as most small changes do. */
static unsigned char *small_rescore(unsigned char *lp, unsigned char *at, struct slice member, double score) {
    unsigned char *before = pair_before(lp, at), *after = pair_after(lp, at);
    bool stays = (!before || read_score(score_of(lp, before)) < score) &&
                 (!after || score < read_score(score_of(lp, after)));
    if (stays) {
        char scratch[DOUBLE_TEXT_MAX];
        unsigned char *old = score_of(lp, at);
        return listpack_replace(lp, &old, score_text(score, scratch));
    }
    return small_insert(listpack_delete(lp, at, 2, NULL), member, score);
}

/* ---- the big form ---- */

struct zset {
    struct elements members; /* owns the items */
    struct btree order;
};
static_assert(offsetof(struct zset, members.table) == 0, "where freeze_private.h wants it");

static struct slice item_key(const void *item) { return scored_text(item); }
static void describe_item(const void *item, struct frozen_element *e) {
    const struct scored *member = item;
    e->name = scored_text(member);
    e->score = member->score;
}

static const struct element_ops member_ops = { .table = { .key = item_key }, .describe = describe_item };

static struct zset *big_of(struct value v) {
    assert(v.encoding == ENCODING_BTREE);
    return v.ptr;
}

static struct zset *big_new(void) {
    struct zset *z = mem_alloc_zero(sizeof *z);
    table_init(&z->members.table, &member_ops.table);
    btree_init(&z->order);
    return z;
}

static void big_append(struct zset *z, struct slice member, double score, uint64_t hash) {
    struct scored *item = element_new(&z->members, scored_size(member));
    scored_write(item, member, score);
    table_insert(&z->members.table, item, hash);
    btree_insert(&z->order, item);
}

/* Members that are not in it yet. */
static void append_all(struct zset *z, struct value from) {
    table_reserve(&z->members.table, table_count(&z->members.table) + zset_count(from));
    struct zset_walk w;
    zset_walk_all(&w, from);
    while (zset_walk_next(&w)) big_append(z, w.member, w.score, hash_bytes(w.member));
}

static void convert(struct value *v) {
    struct zset *z = big_new();
    append_all(z, *v);
    listpack_free(v->ptr);
    *v = (struct value){ z, ENCODING_BTREE };
}

static bool is_small(struct value v) {
    assert(v.encoding == ENCODING_LISTPACK || v.encoding == ENCODING_BTREE);
    return v.encoding == ENCODING_LISTPACK;
}

/* May a member of this length be added to a listpack of so many pairs? */
static bool fits_small(const unsigned char *lp, size_t count, size_t len) {
    if (count >= encoding_limits.zset_entries || len > encoding_limits.zset_value) return false;
    return listpack_has_room(lp, len + 64); /* 64: both elements' heads and the score */
}

static struct scored *big_find(const struct zset *z, struct slice member) {
    return table_find(&z->members.table, member, hash_bytes(member));
}

static void forget_item(void *arg, struct scored *item) {
    struct zset *z = arg;
    table_remove_item(&z->members.table, item, hash_bytes(scored_text(item)));
    element_free(&z->members, item);
}

/* ---- making and reading ---- */

struct value zset_new(void) {
    return (struct value){ listpack_new_roomy(), ENCODING_LISTPACK };
}

struct value zset_of_listpack(unsigned char *owned) {
    struct value v = { owned, ENCODING_LISTPACK };
    bool fits = zset_count(v) <= encoding_limits.zset_entries;
    for (unsigned char *at = listpack_first(owned); fits && at; at = pair_after(owned, at)) {
        struct slice text = listpack_get(at).text;
        fits = !text.ptr || text.len <= encoding_limits.zset_value;
    }
    if (!fits) convert(&v);
    return v;
}

size_t zset_count(struct value v) {
    return is_small(v) ? listpack_count(v.ptr) / 2 : table_count(&big_of(v)->members.table);
}

bool zset_score(struct value v, struct slice member, double *score) {
    if (is_small(v)) {
        const unsigned char *at = find_pair(v.ptr, member);
        if (at) *score = read_score(score_of(v.ptr, at));
        return at;
    }
    const struct scored *item = big_find(big_of(v), member);
    if (item) *score = item->score;
    return item;
}

bool zset_rank(struct value v, struct slice member, size_t *rank, double *score) {
    double found;
    if (is_small(v)) {
        *rank = 0;
        unsigned char *at = listpack_first(v.ptr);
        while (at && !listpack_equals(at, member)) {
            at = pair_after(v.ptr, at);
            ++*rank;
        }
        if (at && score) *score = read_score(score_of(v.ptr, at));
        return at;
    }
    if (!zset_score(v, member, &found)) return false;
    struct btree_bound b = { BTREE_BY_BOTH, false, found, member };
    *rank = btree_before(&big_of(v)->order, &b);
    if (score) *score = found;
    return true;
}

/* ---- changing ---- */

/* What becomes of a member that has the score `old`; *score is the wish, and then the outcome's. */
static enum zset_outcome decide(double old, double *score, unsigned conditions) {
    if (conditions & ZSET_IF_MISSING) return ZSET_REFUSED;
    double wish = conditions & ZSET_ADD_TO ? old + *score : *score;
    if (isnan(wish)) return ZSET_NAN;
    if ((conditions & ZSET_IF_GREATER) && wish <= old) return ZSET_REFUSED;
    if ((conditions & ZSET_IF_LESS) && wish >= old) return ZSET_REFUSED;
    *score = wish;
    return wish == old ? ZSET_SAME : ZSET_UPDATED;
}

static enum zset_outcome small_put(struct value *v, struct slice member, double *score, unsigned conditions) {
    unsigned char *lp = v->ptr, *at = find_pair(lp, member);
    if (at) {
        enum zset_outcome outcome = decide(read_score(score_of(lp, at)), score, conditions);
        if (outcome == ZSET_UPDATED) v->ptr = small_rescore(lp, at, member, *score);
        return outcome;
    }
    if (conditions & ZSET_IF_PRESENT) return ZSET_REFUSED;
    if (fits_small(lp, zset_count(*v), member.len)) {
        v->ptr = small_insert(lp, member, *score);
    } else {
        convert(v);
        big_append(v->ptr, member, *score, hash_bytes(member));
    }
    return ZSET_ADDED;
}

static enum zset_outcome big_put(struct zset *z, struct slice member, double *score, unsigned conditions) {
    uint64_t hash = hash_bytes(member);
    struct scored *item = table_find(&z->members.table, member, hash);
    if (item) {
        enum zset_outcome outcome = decide(item->score, score, conditions);
        if (outcome != ZSET_UPDATED) return outcome;
        table_touch(&z->members.table, hash);
        btree_rescore(&z->order, item, *score);
        return outcome;
    }
    if (conditions & ZSET_IF_PRESENT) return ZSET_REFUSED;
    big_append(z, member, *score, hash);
    return ZSET_ADDED;
}

enum zset_outcome zset_put(struct value *v, struct slice member, double *score, unsigned conditions) {
    if (isnan(*score)) return ZSET_NAN;
    if (is_small(*v)) return small_put(v, member, score, conditions);
    return big_put(big_of(*v), member, score, conditions);
}

void zset_add(struct value *v, struct slice member, double score) {
    enum zset_outcome outcome = zset_put(v, member, &score, 0);
    assert(outcome != ZSET_NAN);
}

void zset_reserve(struct value *v, size_t count, size_t longest) {
    bool small = count <= encoding_limits.zset_entries && longest <= encoding_limits.zset_value;
    if (is_small(*v) && !small) convert(v);
    if (!is_small(*v)) table_reserve(&big_of(*v)->members.table, count);
}

bool zset_remove(struct value *v, struct slice member) {
    if (is_small(*v)) {
        unsigned char *at = find_pair(v->ptr, member);
        if (at) v->ptr = listpack_delete(v->ptr, at, 2, NULL);
        return at;
    }
    struct zset *z = big_of(*v);
    struct scored *item = table_remove(&z->members.table, member, hash_bytes(member));
    if (!item) return false;
    btree_remove(&z->order, item);
    element_free(&z->members, item);
    return true;
}

void zset_remove_range(struct value *v, size_t rank, size_t count) {
    assert(rank + count <= zset_count(*v));
    if (count == 0) return;
    if (is_small(*v))
        v->ptr = listpack_delete(v->ptr, listpack_at(v->ptr, (int64_t)(2 * rank)), 2 * count, NULL);
    else
        btree_remove_range(&big_of(*v)->order, rank, count, forget_item, v->ptr);
}

/* ---- ranges ---- */

static size_t count_before(struct value v, const struct btree_bound *b) {
    if (!is_small(v)) return btree_before(&big_of(v)->order, b);
    size_t rank;
    (void)small_seek(v.ptr, b, &rank);
    return rank;
}

size_t zset_before_score(struct value v, double score, bool equal_too) {
    struct btree_bound b = { BTREE_BY_SCORE, equal_too, score, LIT_INIT("") };
    return count_before(v, &b);
}

size_t zset_before_text(struct value v, struct slice text, bool equal_too) {
    struct btree_bound b = { BTREE_BY_TEXT, equal_too, 0, text };
    return count_before(v, &b);
}

void zset_walk_begin(struct zset_walk *w, struct value v, size_t rank, size_t count, bool down) {
    w->of = v;
    w->down = down;
    w->left = count;
    if (count == 0) return;
    assert(rank < zset_count(v));
    if (is_small(v))
        w->at = listpack_at(v.ptr, (int64_t)(2 * rank));
    else
        w->place = btree_at(&big_of(v)->order, rank);
}

bool zset_walk_next(struct zset_walk *w) {
    if (w->left == 0) return false;
    w->left--;
    if (w->of.encoding == ENCODING_BTREE) {
        const struct scored *item = btree_item(w->place);
        w->member = scored_text(item);
        w->score = item->score;
        if (w->left > 0) w->place = w->down ? btree_previous(w->place) : btree_next(w->place);
        return true;
    }
    const unsigned char *lp = w->of.ptr;
    w->member = listpack_text(w->at, w->scratch);
    const unsigned char *score = score_of(lp, w->at);
    w->score = read_score(score);
    if (w->left > 0) w->at = w->down ? pair_before(lp, w->at) : listpack_next(lp, score);
    return true;
}

struct scan {
    void (*visit)(void *arg, struct slice member, double score);
    void *arg;
    size_t seen;
};

static void scan_item(void *arg, void *item) {
    struct scan *s = arg;
    const struct scored *member = item;
    s->visit(s->arg, scored_text(member), member->score);
    s->seen++;
}

/* Buckets looked at for each member wanted, lest a nearly empty table is walked in one call. */
#define SCAN_PATIENCE 10

uint64_t zset_scan(struct value v, uint64_t cursor, size_t count,
                   void (*visit)(void *arg, struct slice member, double score), void *arg) {
    if (!is_small(v)) {
        struct scan s = { visit, arg, 0 };
        size_t buckets = 0;
        do {
            cursor = table_scan(&big_of(v)->members.table, cursor, scan_item, &s);
            buckets++;
        } while (cursor != 0 && s.seen < count && buckets / SCAN_PATIENCE < count);
        return cursor;
    }
    struct zset_walk w;
    zset_walk_all(&w, v);
    while (zset_walk_next(&w)) visit(arg, w.member, w.score);
    return 0;
}

/* ---- what the keyspace asks ---- */

static void free_item(struct scored *item) { mem_free(item); }

static void zset_free(struct value v) {
    if (is_small(v)) {
        listpack_free(v.ptr);
        return;
    }
    struct zset *z = big_of(v);
    table_release(&z->members.table, NULL);
    btree_release(&z->order, free_item);
    mem_free(z);
}

static struct value zset_copy(struct value v) {
    if (is_small(v)) return (struct value){ listpack_copy(v.ptr), ENCODING_LISTPACK };
    struct zset *z = big_new();
    append_all(z, v);
    return (struct value){ z, ENCODING_BTREE };
}

static size_t zset_bytes(struct value v) {
    if (is_small(v)) return mem_size(v.ptr);
    const struct zset *z = big_of(v);
    return mem_size(z) + elements_bytes(&z->members) + btree_memory(&z->order);
}

static size_t zset_effort(struct value v) {
    return is_small(v) ? 1 : zset_count(v) + btree_nodes(&big_of(v)->order);
}

const struct value_ops zset_value_ops = {
    .free = zset_free, .copy = zset_copy, .bytes = zset_bytes, .effort = zset_effort, .count = zset_count
};

/* ---- checking ---- */

static bool check_item(void *arg, void *item) {
    struct btree *order = arg;
    struct btree_bound b = { BTREE_BY_BOTH, false, ((struct scored *)item)->score, scored_text(item) };
    assert(btree_item(btree_at(order, btree_before(order, &b))) == item);
    return true;
}

static void check_small(const unsigned char *lp) {
    bool valid = listpack_is_valid(lp, listpack_bytes(lp), NULL, NULL);
    assert(valid && listpack_count(lp) % 2 == 0);
    for (unsigned char *at = listpack_first(lp), *next; at; at = next) {
        next = pair_after(lp, at);
        if (!next) return;
        char scratch[2][INT64_TEXT_MAX];
        double here = read_score(score_of(lp, at)), there = read_score(score_of(lp, next));
        assert(here < there || (here == there && slice_compare(listpack_text(at, scratch[0]),
                                                               listpack_text(next, scratch[1])) < 0));
    }
}

void zset_check(struct value v) {
    if (is_small(v)) {
        check_small(v.ptr);
        return;
    }
    struct zset *z = big_of(v);
    elements_check(&z->members);
    btree_check(&z->order);
    assert(table_count(&z->members.table) == z->order.count);
    table_each(&z->members.table, check_item, &z->order);
}
