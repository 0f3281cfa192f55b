/* set.c: the three forms of a set behind one face.
 *
 * Each function has a branch for each form. A member of a table is one allocation: its length and its bytes.
 */
#include "trivet/types/set.h"
#include "elements.h"
#include "freeze_private.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/types/structures/intset.h"
#include "trivet/types/structures/listpack.h"
#include "trivet/types/structures/packed.h"
#include "trivet/types/structures/table.h"

static struct slice member_key(const void *item) { return packed_read(item); }
static void member_describe(const void *item, struct frozen_element *e) { e->name = packed_read(item); }

static const struct element_ops member_ops = {
    .table = { .key = member_key },
    .describe = member_describe,
};

static void *member_new(struct elements *of, struct slice text) {
    char *item = element_new(of, packed_size(text.len));
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

static_assert(offsetof(struct elements, table) == 0, "where freeze_private.h wants it");

static struct elements *elements_new(size_t expected) {
    struct elements *of = mem_alloc_zero(sizeof *of);
    table_init(&of->table, &member_ops.table);
    if (expected) table_reserve(&of->table, expected);
    return of;
}

static struct elements *elements_of(struct value v) {
    assert(v.encoding == ENCODING_TABLE);
    return v.ptr;
}

static struct table *table_of(struct value v) { return &elements_of(v)->table; }

static void add_member(struct elements *of, struct slice member, uint64_t hash) {
    table_insert(&of->table, member_new(of, member), hash);
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
    if (expected <= encoding_limits.set_entries)
        return (struct value){ listpack_new_roomy(), ENCODING_LISTPACK };
    return (struct value){ elements_new(expected), ENCODING_TABLE };
}

static bool insert_member(void *arg, struct slice member) {
    add_member(arg, member, hash_bytes(member));
    return true;
}

static void free_value(struct value v) {
    switch (v.encoding) {
    case ENCODING_INTSET: intset_free(v.ptr); break;
    case ENCODING_LISTPACK: listpack_free(v.ptr); break;
    default: elements_release(v.ptr); mem_free(v.ptr);
    }
}

static void become_table(struct value *v, size_t expected) {
    size_t count = set_count(*v);
    struct elements *of = elements_new(expected > count ? expected : count);
    (void)set_each(*v, insert_member, of);
    free_value(*v);
    *v = (struct value){ of, ENCODING_TABLE };
}

static void become_listpack(struct value *v) {
    unsigned char *lp = listpack_new_roomy();
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
    default: return table_count(table_of(v));
    }
}

bool set_contains(struct value v, struct slice member) {
    int64_t n;
    switch (v.encoding) {
    case ENCODING_INTSET: return is_integer(member, &n) && intset_contains(v.ptr, n);
    case ENCODING_LISTPACK: return listpack_find(v.ptr, listpack_first(v.ptr), member, 0) != NULL;
    default: return table_find(table_of(v), member, hash_bytes(member)) != NULL;
    }
}

/* ---- adding ---- */

static bool add_to_table(struct value *v, struct slice member) {
    uint64_t hash = hash_bytes(member);
    if (table_find(table_of(*v), member, hash)) return false;
    add_member(elements_of(*v), member, hash);
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
        void *item = table_remove(table_of(*v), member, hash_bytes(member));
        element_free(elements_of(*v), item);
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
    if (v.encoding == ENCODING_TABLE) return table_each(table_of(v), each_item, &(struct each){ visit, arg });
    if (v.encoding == ENCODING_INTSET) {
        for (size_t i = 0; i < intset_count(v.ptr); i++)
            if (!visit(arg, integer_text(v.ptr, i, scratch))) return false;
        return true;
    }
    for (unsigned char *at = listpack_first(v.ptr); at; at = listpack_next(v.ptr, at))
        if (!visit(arg, listpack_text(at, scratch))) return false;
    return true;
}

/* Where scanning, sampling and taking bring the members. */
struct visiting {
    void (*visit)(void *arg, struct slice member);
    void *arg;
    struct choice choice;
    struct elements *from; /* taking members of a table: whose they are */
};

static void visit_item(void *arg, void *item) {
    const struct visiting *s = arg;
    s->visit(s->arg, packed_read(item));
}

static bool visit_member(void *arg, struct slice member) {
    const struct visiting *s = arg;
    s->visit(s->arg, member);
    return true;
}

uint64_t set_scan(struct value v, uint64_t cursor, size_t count,
                  void (*visit)(void *arg, struct slice member), void *arg) {
    struct visiting s = { .visit = visit, .arg = arg };
    if (v.encoding == ENCODING_TABLE) return elements_scan(table_of(v), cursor, count, visit_item, &s);
    (void)set_each(v, visit_member, &s);
    return 0;
}

/* ---- chance ---- */

struct slice set_random(struct value v, char *scratch) {
    if (v.encoding == ENCODING_TABLE) return packed_read(table_random(table_of(v), random_u64()));
    size_t index = (size_t)random_below(set_count(v));
    if (v.encoding == ENCODING_INTSET) return integer_text(v.ptr, index, scratch);
    return listpack_text(listpack_at(v.ptr, (int64_t)index), scratch);
}

static bool visit_chosen(void *arg, struct slice member) {
    struct visiting *s = arg;
    if (choose(&s->choice)) s->visit(s->arg, member);
    return s->choice.wanted > 0;
}

void set_sample(struct value v, size_t count, void (*visit)(void *arg, struct slice member), void *arg) {
    struct visiting s = { .visit = visit, .arg = arg, .choice = choice_of(count, set_count(v)) };
    if (v.encoding == ENCODING_TABLE && choice_is_small(&s.choice))
        elements_by_dice(table_of(v), s.choice.wanted, visit_item, &s);
    else if (s.choice.wanted > 0)
        (void)set_each(v, visit_chosen, &s);
}

static void take_from_intset(struct value *v, struct visiting *s) {
    char scratch[INT64_TEXT_MAX];
    for (size_t i = 0; s->choice.wanted > 0;) {
        if (!choose(&s->choice)) {
            i++;
            continue;
        }
        s->visit(s->arg, integer_text(v->ptr, i, scratch));
        v->ptr = intset_remove_at(v->ptr, i);
    }
}

static void take_from_listpack(struct value *v, struct visiting *s) {
    char scratch[INT64_TEXT_MAX];
    for (unsigned char *at = listpack_first(v->ptr); s->choice.wanted > 0;) {
        if (!choose(&s->choice)) {
            at = listpack_next(v->ptr, at);
            continue;
        }
        s->visit(s->arg, listpack_text(at, scratch));
        v->ptr = listpack_delete(v->ptr, at, 1, &at);
    }
}

static void take_by_dice(struct elements *of, struct visiting *s) {
    for (size_t i = 0; i < s->choice.wanted; i++) {
        void *item = table_random(&of->table, random_u64());
        visit_item(s, item);
        table_remove_item(&of->table, item, hash_bytes(packed_read(item)));
        element_free(of, item);
    }
}

static bool take_chosen(void *arg, void *item) {
    struct visiting *s = arg;
    if (!choose(&s->choice)) return false;
    visit_item(s, item);
    element_free(s->from, item);
    return true;
}

static void take_from_table(struct elements *of, struct visiting *s) {
    s->from = of;
    if (choice_is_small(&s->choice))
        take_by_dice(of, s);
    else
        (void)table_remove_if(&of->table, take_chosen, s);
}

void set_take(struct value *v, size_t count, void (*visit)(void *arg, struct slice member), void *arg) {
    struct visiting s = { .visit = visit, .arg = arg, .choice = choice_of(count, set_count(*v)) };
    if (v->encoding == ENCODING_INTSET)
        take_from_intset(v, &s);
    else if (v->encoding == ENCODING_LISTPACK)
        take_from_listpack(v, &s);
    else
        take_from_table(elements_of(*v), &s);
}

/* ---- what the keyspace asks ---- */

static struct value copy_value(struct value v) {
    if (v.encoding == ENCODING_INTSET) return (struct value){ intset_copy(v.ptr), ENCODING_INTSET };
    if (v.encoding == ENCODING_LISTPACK) return (struct value){ listpack_copy(v.ptr), ENCODING_LISTPACK };
    struct elements *of = elements_new(table_count(table_of(v)));
    (void)set_each(v, insert_member, of);
    return (struct value){ of, ENCODING_TABLE };
}

static size_t value_bytes(struct value v) {
    if (v.encoding != ENCODING_TABLE) return mem_size(v.ptr);
    return mem_size(v.ptr) + elements_bytes(v.ptr);
}

static size_t value_effort(struct value v) {
    return v.encoding == ENCODING_TABLE ? table_count(table_of(v)) : 1;
}

const struct value_ops set_value_ops = {
    .free = free_value, .copy = copy_value, .bytes = value_bytes, .effort = value_effort, .count = set_count
};

/* ---- payloads from outside, and tests ---- */

static bool add_once(void *arg, const unsigned char *at, size_t index) {
    char scratch[INT64_TEXT_MAX];
    (void)index;
    return add_to_table(arg, listpack_text(at, scratch));
}

bool set_listpack_is_valid(const unsigned char *bytes, size_t len) {
    struct value seen = { elements_new(0), ENCODING_TABLE };
    bool valid = listpack_is_valid(bytes, len, add_once, &seen) && set_count(seen) > 0;
    free_value(seen);
    return valid;
}

void set_check(struct value v) {
    if (v.encoding == ENCODING_TABLE)
        elements_check(v.ptr);
    else if (v.encoding == ENCODING_INTSET)
        assert(intset_is_valid(v.ptr, intset_bytes(v.ptr)) && intset_count(v.ptr) <= int_limit());
    else
        assert(v.encoding == ENCODING_LISTPACK &&
               listpack_is_valid(v.ptr, listpack_bytes(v.ptr), NULL, NULL) &&
               (listpack_count(v.ptr) == 0 || set_listpack_is_valid(v.ptr, listpack_bytes(v.ptr))));
}
