/* set.c: the three forms of a set behind one face.
 *
 * Each function has a branch for each form. A member of a table is one allocation: its length and its bytes.
 */
#include "trivet/types/set.h"
#include "trivet/base/hash.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/types/intset.h"
#include "trivet/types/listpack.h"
#include "trivet/types/table.h"
#include "types/packed_private.h"

static struct slice member_key(const void *item) { return packed_read(item); }
static const struct table_ops member_ops = { .key = member_key };

static void *member_new(struct slice text) {
    char *item = mem_alloc(packed_size(text.len));
    packed_write(item, text);
    return item;
}

static bool is_integer(struct slice text, int64_t *n) {
    return text.len > 0 && text.len < INT64_TEXT_MAX && int64_parse(text, n);
}

static struct slice integer_text(const unsigned char *is, size_t index, char *scratch) {
    return slice_make(scratch, int64_format(scratch, intset_at(is, index)));
}

/* ---- making and changing forms ---- */

static struct table *table_new(size_t expected) {
    struct table *t = mem_alloc(sizeof *t);
    table_init(t, &member_ops);
    if (expected) table_reserve(t, expected);
    return t;
}

struct value set_new_empty(void) {
    return (struct value){ intset_new(), ENCODING_INTSET };
}

static size_t int_limit(void) {
    return encoding_limits.set_ints < INTSET_COUNT_MAX ? encoding_limits.set_ints : INTSET_COUNT_MAX;
}

struct value set_new(struct slice first, size_t expected) {
    int64_t n;
    if (expected <= encoding_limits.set_ints && is_integer(first, &n)) return set_new_empty();
    if (expected <= encoding_limits.set_entries) return (struct value){ listpack_new(), ENCODING_LISTPACK };
    return (struct value){ table_new(expected), ENCODING_TABLE };
}

static bool insert_member(void *arg, struct slice member) {
    table_insert(arg, member_new(member), hash_bytes(member));
    return true;
}

static void free_value(struct value v) {
    switch (v.encoding) {
    case ENCODING_INTSET: intset_free(v.ptr); break;
    case ENCODING_LISTPACK: listpack_free(v.ptr); break;
    default: table_release(v.ptr, mem_free); mem_free(v.ptr);
    }
}

static void become_table(struct value *v, size_t expected) {
    size_t count = set_count(*v);
    struct table *t = table_new(expected > count ? expected : count);
    (void)set_each(*v, insert_member, t);
    free_value(*v);
    *v = (struct value){ t, ENCODING_TABLE };
}

static void become_listpack(struct value *v) {
    unsigned char *lp = listpack_new();
    for (size_t i = 0; i < intset_count(v->ptr); i++) lp = listpack_append_number(lp, intset_at(v->ptr, i));
    intset_free(v->ptr);
    *v = (struct value){ lp, ENCODING_LISTPACK };
}

void set_expect(struct value *v, size_t coming) {
    bool too_many = (v->encoding == ENCODING_LISTPACK && coming > encoding_limits.set_entries) ||
                    (v->encoding == ENCODING_INTSET && coming > encoding_limits.set_ints);
    if (too_many) become_table(v, coming);
}

void set_shrink(struct value *v) {
    if (v->encoding == ENCODING_LISTPACK) v->ptr = listpack_shrink(v->ptr);
}

/* ---- asking ---- */

size_t set_count(struct value v) {
    switch (v.encoding) {
    case ENCODING_INTSET: return intset_count(v.ptr);
    case ENCODING_LISTPACK: return listpack_count(v.ptr);
    default: return table_count(v.ptr);
    }
}

bool set_contains(struct value v, struct slice member) {
    int64_t n;
    switch (v.encoding) {
    case ENCODING_INTSET: return is_integer(member, &n) && intset_contains(v.ptr, n);
    case ENCODING_LISTPACK: return listpack_find(v.ptr, listpack_first(v.ptr), member, 0) != NULL;
    default: return table_find(v.ptr, member, hash_bytes(member)) != NULL;
    }
}

/* ---- adding ---- */

static bool add_to_table(struct value *v, struct slice member) {
    uint64_t hash = hash_bytes(member);
    if (table_find(v->ptr, member, hash)) return false;
    table_insert(v->ptr, member_new(member), hash);
    return true;
}

/* May one more member of this length be in a listpack that has `count`? */
static bool fits_listpack(size_t count, size_t len) {
    return count < encoding_limits.set_entries && len <= encoding_limits.set_value;
}

static bool add_to_listpack(struct value *v, struct slice member) {
    if (listpack_find(v->ptr, listpack_first(v->ptr), member, 0)) return false;
    size_t count = listpack_count(v->ptr);
    if (!fits_listpack(count, member.len) || !listpack_has_room(v->ptr, listpack_element_bytes(member))) {
        become_table(v, count + 1);
        return add_to_table(v, member);
    }
    v->ptr = listpack_append(v->ptr, member);
    return true;
}

/* Digits of the longest integer, which is the first or the last. */
static size_t longest_integer(const unsigned char *is) {
    char scratch[INT64_TEXT_MAX];
    size_t count = intset_count(is);
    if (count == 0) return 0;
    size_t first = integer_text(is, 0, scratch).len, last = integer_text(is, count - 1, scratch).len;
    return first > last ? first : last;
}

/* A member that is no integer ends the intset. */
static bool add_text_to_intset(struct value *v, struct slice member) {
    size_t count = intset_count(v->ptr);
    if (fits_listpack(count, member.len) && longest_integer(v->ptr) <= encoding_limits.set_value) {
        become_listpack(v);
        v->ptr = listpack_append(v->ptr, member);
        return true;
    }
    become_table(v, count + 1);
    return add_to_table(v, member);
}

static bool add_to_intset(struct value *v, struct slice member) {
    int64_t n;
    bool added;
    if (!is_integer(member, &n)) return add_text_to_intset(v, member);
    v->ptr = intset_add(v->ptr, n, &added);
    if (added && intset_count(v->ptr) > int_limit()) become_table(v, 0);
    return added;
}

bool set_add(struct value *v, struct slice member) {
    switch (v->encoding) {
    case ENCODING_INTSET: return add_to_intset(v, member);
    case ENCODING_LISTPACK: return add_to_listpack(v, member);
    default: return add_to_table(v, member);
    }
}

/* ---- removing ---- */

bool set_remove(struct value *v, struct slice member) {
    int64_t n;
    bool removed = false;
    switch (v->encoding) {
    case ENCODING_INTSET:
        if (is_integer(member, &n)) v->ptr = intset_remove(v->ptr, n, &removed);
        return removed;
    case ENCODING_LISTPACK: {
        unsigned char *at = listpack_find(v->ptr, listpack_first(v->ptr), member, 0);
        if (at) v->ptr = listpack_delete(v->ptr, at, 1, NULL);
        return at != NULL;
    }
    default: {
        void *item = table_remove(v->ptr, member, hash_bytes(member));
        mem_free(item);
        return item != NULL;
    }
    }
}

/* ---- walking ---- */

struct each {
    bool (*visit)(void *arg, struct slice member);
    void *arg;
};

static bool each_item(void *arg, void *item) {
    const struct each *e = arg;
    return e->visit(e->arg, packed_read(item));
}

bool set_each(struct value v, bool (*visit)(void *arg, struct slice member), void *arg) {
    char scratch[INT64_TEXT_MAX];
    if (v.encoding == ENCODING_TABLE) return table_each(v.ptr, each_item, &(struct each){ visit, arg });
    if (v.encoding == ENCODING_INTSET) {
        for (size_t i = 0; i < intset_count(v.ptr); i++)
            if (!visit(arg, integer_text(v.ptr, i, scratch))) return false;
        return true;
    }
    for (unsigned char *at = listpack_first(v.ptr); at; at = listpack_next(v.ptr, at))
        if (!visit(arg, listpack_text(at, scratch))) return false;
    return true;
}

struct scanning {
    void (*visit)(void *arg, struct slice member);
    void *arg;
    size_t seen;
};

static void scan_item(void *arg, void *item) {
    struct scanning *s = arg;
    s->seen++;
    s->visit(s->arg, packed_read(item));
}

static bool scan_member(void *arg, struct slice member) {
    struct scanning *s = arg;
    s->visit(s->arg, member);
    return true;
}

#define SCAN_CALLS_A_MEMBER 10 /* a sparse table is not searched further than that */

uint64_t set_scan(struct value v, uint64_t cursor, size_t count,
                  void (*visit)(void *arg, struct slice member), void *arg) {
    struct scanning s = { visit, arg, 0 };
    if (v.encoding != ENCODING_TABLE) {
        (void)set_each(v, scan_member, &s);
        return 0;
    }
    size_t calls = count < SIZE_MAX / SCAN_CALLS_A_MEMBER ? count * SCAN_CALLS_A_MEMBER : SIZE_MAX;
    do {
        cursor = table_scan(v.ptr, cursor, scan_item, &s);
    } while (cursor && --calls > 0 && s.seen < count);
    return cursor;
}

/* ---- chance ---- */

struct slice set_random(struct value v, char *scratch) {
    if (v.encoding == ENCODING_TABLE) return packed_read(table_random(v.ptr, random_u64()));
    size_t index = (size_t)random_below(set_count(v));
    if (v.encoding == ENCODING_INTSET) return integer_text(v.ptr, index, scratch);
    return listpack_text(listpack_at(v.ptr, (int64_t)index), scratch);
}

/* Chooses `wanted` of the next `left`, each set of them as likely as another. */
struct choice {
    size_t wanted, left;
    void (*visit)(void *arg, struct slice member);
    void *arg;
};

static bool chosen(struct choice *c) {
    bool yes = c->wanted > 0 && random_below(c->left) < c->wanted;
    c->left--;
    c->wanted -= yes;
    return yes;
}

static bool visit_chosen(void *arg, struct slice member) {
    struct choice *c = arg;
    if (chosen(c)) c->visit(c->arg, member);
    return c->wanted > 0;
}

static bool take_chosen(void *arg, void *item) {
    struct choice *c = arg;
    if (!chosen(c)) return false;
    c->visit(c->arg, packed_read(item));
    mem_free(item);
    return true;
}

/* A share of a table below one in FEW is found by dice; above, going through it all is cheaper. */
#define FEW 4

/* The addresses that the dice have shown, in a table of their own: false if this one was seen. */
static bool note_new(const void **seen, size_t mask, const void *item) {
    size_t place = (size_t)(((uintptr_t)item >> 4) * 0x9e3779b97f4a7c15ULL >> 20) & mask;
    while (seen[place] && seen[place] != item) place = (place + 1) & mask;
    if (seen[place]) return false;
    seen[place] = item;
    return true;
}

static void sample_by_dice(const struct table *t, struct choice *c) {
    size_t room = 16;
    while (room < 2 * c->wanted) room *= 2;
    const void **seen = mem_alloc_zero(room * sizeof *seen);
    while (c->wanted > 0) {
        const void *item = table_random(t, random_u64());
        if (!note_new(seen, room - 1, item)) continue;
        c->visit(c->arg, packed_read(item));
        c->wanted--;
    }
    mem_free(seen);
}

void set_sample(struct value v, size_t count, void (*visit)(void *arg, struct slice member), void *arg) {
    size_t all = set_count(v);
    struct choice c = { count < all ? count : all, all, visit, arg };
    if (v.encoding == ENCODING_TABLE && c.wanted <= all / FEW)
        sample_by_dice(v.ptr, &c);
    else if (c.wanted > 0)
        (void)set_each(v, visit_chosen, &c);
}

static void take_from_intset(struct value *v, struct choice *c) {
    char scratch[INT64_TEXT_MAX];
    for (size_t i = 0; c->wanted > 0;) {
        if (!chosen(c)) {
            i++;
            continue;
        }
        c->visit(c->arg, integer_text(v->ptr, i, scratch));
        v->ptr = intset_remove_at(v->ptr, i);
    }
}

static void take_from_listpack(struct value *v, struct choice *c) {
    char scratch[INT64_TEXT_MAX];
    for (unsigned char *at = listpack_first(v->ptr); c->wanted > 0;) {
        if (!chosen(c)) {
            at = listpack_next(v->ptr, at);
            continue;
        }
        c->visit(c->arg, listpack_text(at, scratch));
        v->ptr = listpack_delete(v->ptr, at, 1, &at);
    }
}

static void take_by_dice(struct table *t, struct choice *c) {
    for (; c->wanted > 0; c->wanted--) {
        void *item = table_random(t, random_u64());
        struct slice member = packed_read(item);
        c->visit(c->arg, member);
        table_remove_item(t, item, hash_bytes(member));
        mem_free(item);
    }
}

void set_take(struct value *v, size_t count, void (*visit)(void *arg, struct slice member), void *arg) {
    size_t all = set_count(*v);
    struct choice c = { count < all ? count : all, all, visit, arg };
    if (v->encoding == ENCODING_INTSET)
        take_from_intset(v, &c);
    else if (v->encoding == ENCODING_LISTPACK)
        take_from_listpack(v, &c);
    else if (c.wanted <= all / FEW)
        take_by_dice(v->ptr, &c);
    else
        (void)table_remove_if(v->ptr, take_chosen, &c);
}

/* ---- what the keyspace asks ---- */

static bool copy_member(void *arg, struct slice member) { return insert_member(arg, member); }

static struct value copy_value(struct value v) {
    if (v.encoding == ENCODING_INTSET) return (struct value){ intset_copy(v.ptr), ENCODING_INTSET };
    if (v.encoding == ENCODING_LISTPACK) return (struct value){ listpack_copy(v.ptr), ENCODING_LISTPACK };
    struct table *t = table_new(table_count(v.ptr));
    (void)set_each(v, copy_member, t);
    return (struct value){ t, ENCODING_TABLE };
}

struct weighing {
    size_t bytes, weighed, wanted;
};

static bool weigh_item(void *arg, void *item) {
    struct weighing *w = arg;
    w->bytes += mem_size(item);
    w->weighed++;
    return w->weighed != w->wanted;
}

static size_t value_memory(struct value v, size_t samples) {
    if (v.encoding != ENCODING_TABLE) return mem_size(v.ptr);
    struct weighing w = { .wanted = samples };
    size_t all = table_count(v.ptr), bytes = mem_size(v.ptr) + table_memory(v.ptr);
    (void)table_each(v.ptr, weigh_item, &w);
    return bytes + (w.weighed ? (size_t)((double)w.bytes / (double)w.weighed * (double)all) : 0);
}

static size_t value_effort(struct value v) { return v.encoding == ENCODING_TABLE ? table_count(v.ptr) : 1; }

const struct value_ops set_value_ops = {
    .free = free_value, .copy = copy_value, .memory = value_memory, .effort = value_effort
};

/* ---- payloads from outside, and tests ---- */

static bool add_once(void *arg, const unsigned char *at, size_t index) {
    char scratch[INT64_TEXT_MAX];
    (void)index;
    return add_to_table(arg, listpack_text(at, scratch));
}

bool set_listpack_is_valid(const unsigned char *bytes, size_t len) {
    struct value seen = { table_new(0), ENCODING_TABLE };
    bool valid = listpack_is_valid(bytes, len, add_once, &seen) && set_count(seen) > 0;
    free_value(seen);
    return valid;
}

void set_check(struct value v) {
    if (v.encoding == ENCODING_TABLE)
        table_check(v.ptr);
    else if (v.encoding == ENCODING_INTSET)
        assert(intset_is_valid(v.ptr, intset_bytes(v.ptr)) && intset_count(v.ptr) <= int_limit());
    else
        assert(v.encoding == ENCODING_LISTPACK &&
               listpack_is_valid(v.ptr, listpack_bytes(v.ptr), NULL, NULL) &&
               (listpack_count(v.ptr) == 0 || set_listpack_is_valid(v.ptr, listpack_bytes(v.ptr))));
}
