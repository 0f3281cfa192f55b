/* hash.c: the two forms of a hash behind one face.
 *
 * A field of a table is one allocation:
 *
 *     marks (1) | name, packed | value, packed | expiry_ms (8, if DATED)
 *
 * The name stands at a fixed place, because look-ups read it. The time stands last, so a hash without
 * expiries pays nothing for it. Buckets that hold a dated field are marked, so the search for expired ones
 * skips the rest. */
#include "trivet/types/hash.h"
#include "elements.h"
#include "freeze_private.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/types/structures/listpack.h"
#include "trivet/types/structures/packed.h"
#include "trivet/types/structures/table.h"

#define DATED 1
#define NEVER INT64_MAX

/* The big form. */
struct fields {
    struct elements elements;
    size_t dated;
    int64_t due_ms; /* no field expires earlier; NEVER if dated is 0 */
    /* The search for expired fields goes round in passes; what it learns becomes due_ms at the end of one. */
    size_t cursor;
    int64_t kept_ms; /* the earliest time that this pass has met or that was set since it began */
};
static_assert(offsetof(struct fields, elements.table) == 0, "where freeze_private.h wants it");

/* ---- fields ---- */

static struct slice field_name(const void *item) { return packed_read((const char *)item + 1); }

static bool field_is_dated(const void *item) { return *(const unsigned char *)item & DATED; }

static struct hash_field field_read(const void *item) {
    struct hash_field f = { .name = field_name(item), .expiry_ms = HASH_NO_EXPIRY };
    f.value = packed_read(f.name.ptr + f.name.len);
    if (field_is_dated(item)) memcpy(&f.expiry_ms, f.value.ptr + f.value.len, sizeof f.expiry_ms);
    return f;
}

static void field_describe(const void *item, struct frozen_element *e) {
    struct hash_field f = field_read(item);
    e->name = f.name;
    e->value = f.value;
    e->expiry_ms = f.expiry_ms;
}

static const struct element_ops field_ops = {
    .table = { .key = field_name },
    .describe = field_describe,
};

static size_t field_size(struct slice name, struct slice value, int64_t expiry_ms) {
    return 1 + packed_size(name.len) + packed_size(value.len) +
           (expiry_ms == HASH_NO_EXPIRY ? 0 : sizeof expiry_ms);
}

/* All of a field but its name. */
static void field_write_rest(char *item, char *at, struct slice value, int64_t expiry_ms) {
    *item = expiry_ms == HASH_NO_EXPIRY ? 0 : DATED;
    at = packed_write(at, value);
    if (expiry_ms != HASH_NO_EXPIRY) memcpy(at, &expiry_ms, sizeof expiry_ms);
}

static void *field_new(struct elements *of, struct slice name, struct slice value, int64_t expiry_ms) {
    char *item = element_new(of, field_size(name, value, expiry_ms));
    field_write_rest(item, packed_write(item + 1, name), value, expiry_ms);
    return item;
}

/* ---- the big form ---- */

static struct fields *fields_new(size_t expected) {
    struct fields *h = mem_alloc_zero(sizeof *h);
    table_init(&h->elements.table, &field_ops.table);
    h->due_ms = h->kept_ms = NEVER;
    if (expected) table_reserve(&h->elements.table, expected);
    return h;
}

static void note_date(struct fields *h, const void *item, uint64_t hash, int64_t expiry_ms) {
    if (expiry_ms == HASH_NO_EXPIRY) return;
    table_mark(&h->elements.table, item, hash);
    h->dated++;
    if (expiry_ms < h->due_ms) h->due_ms = expiry_ms;
    if (expiry_ms < h->kept_ms) h->kept_ms = expiry_ms;
}

static void forget_date(struct fields *h, bool was_dated) {
    if (!was_dated) return;
    if (--h->dated == 0) h->due_ms = h->kept_ms = NEVER;
}

static void fields_add(struct fields *h, struct slice name, struct slice value, int64_t expiry_ms,
                       uint64_t hash) {
    void *item = field_new(&h->elements, name, value, expiry_ms);
    table_insert(&h->elements.table, item, hash);
    note_date(h, item, hash, expiry_ms);
}

/* Gives a field another value and time, in its place if it fits there well. `value` may be its own. */
static void fields_change(struct fields *h, char *item, struct slice value, int64_t expiry_ms,
                          uint64_t hash) {
    struct slice name = field_name(item);
    bool was_dated = field_is_dated(item);
    size_t need = field_size(name, value, expiry_ms);
    bool is_own = value.ptr >= item && value.ptr < item + mem_size(item);
    char *fresh = item;
    if (!is_own && mem_good_size(need) == mem_size(item)) {
        table_touch(&h->elements.table, hash);
        field_write_rest(item, item + (name.ptr + name.len - item), value, expiry_ms);
    } else {
        fresh = field_new(&h->elements, name, value, expiry_ms);
        table_swap(&h->elements.table, item, fresh, hash);
        element_free(&h->elements, item);
    }
    forget_date(h, was_dated);
    note_date(h, fresh, hash, expiry_ms);
}

/* ---- making and changing forms ---- */

struct value hash_new(void) {
    return (struct value){ listpack_new_roomy(), ENCODING_LISTPACK };
}

static bool add_copy(void *arg, const struct hash_field *f) {
    fields_add(arg, f->name, f->value, f->expiry_ms, hash_bytes(f->name));
    return true;
}

static void fields_free(struct fields *h) {
    elements_release(&h->elements);
    mem_free(h);
}

static void free_value(struct value v) {
    if (v.encoding == ENCODING_LISTPACK)
        listpack_free(v.ptr);
    else
        fields_free(v.ptr);
}

static void become_table(struct value *v, size_t expected) {
    struct fields *h = fields_new(expected);
    (void)hash_each(*v, add_copy, h);
    listpack_free(v->ptr);
    *v = (struct value){ h, ENCODING_TABLE };
}

static bool too_long(struct slice text) { return text.len > encoding_limits.hash_value; }

void hash_expect(struct value *v, const struct slice *pairs, size_t count) {
    if (v->encoding != ENCODING_LISTPACK) return;
    bool leave = count > encoding_limits.hash_entries;
    size_t bytes = 0;
    for (size_t i = 0; i < 2 * count && !leave; i++) {
        leave = too_long(pairs[i]);
        bytes += pairs[i].len;
    }
    if (leave || !listpack_has_room(v->ptr, bytes)) become_table(v, count);
}

/* ---- asking ---- */

size_t hash_count(struct value v) {
    if (v.encoding == ENCODING_LISTPACK) return listpack_count(v.ptr) / 2;
    return table_count(&((struct fields *)v.ptr)->elements.table);
}

static unsigned char *find_name(unsigned char *lp, struct slice name) {
    return listpack_find(lp, listpack_first(lp), name, 1);
}

static struct hash_field pair_at(unsigned char *lp, unsigned char *at, struct hash_scratch *scratch) {
    return (struct hash_field){ .name = listpack_text(at, scratch->name),
                                .value = listpack_text(listpack_next(lp, at), scratch->value),
                                .expiry_ms = HASH_NO_EXPIRY };
}

bool hash_find(struct value v, struct slice name, struct hash_field *out, struct hash_scratch *scratch) {
    if (v.encoding == ENCODING_LISTPACK) {
        unsigned char *at = find_name(v.ptr, name);
        if (!at) return false;
        struct slice value = listpack_text(listpack_next(v.ptr, at), scratch->value);
        *out = (struct hash_field){ name, value, HASH_NO_EXPIRY };
        return true;
    }
    struct fields *h = v.ptr;
    void *item = table_find(&h->elements.table, name, hash_bytes(name));
    if (item) *out = field_read(item);
    return item != NULL;
}

size_t hash_dated(struct value v) {
    return v.encoding == ENCODING_TABLE ? ((struct fields *)v.ptr)->dated : 0;
}

int64_t hash_due_ms(struct value v) {
    return v.encoding == ENCODING_TABLE ? ((struct fields *)v.ptr)->due_ms : NEVER;
}

/* ---- changing ---- */

/* False if the listpack cannot hold it; the caller makes it a table then. */
static bool set_in_listpack(struct value *v, struct slice name, struct slice value, bool *added) {
    size_t bytes = listpack_element_bytes(name) + listpack_element_bytes(value);
    if (too_long(name) || too_long(value) || !listpack_has_room(v->ptr, bytes)) return false;
    unsigned char *at = find_name(v->ptr, name);
    *added = !at;
    if (at) {
        at = listpack_next(v->ptr, at);
        v->ptr = listpack_replace(v->ptr, &at, value);
        return true;
    }
    v->ptr = listpack_append(v->ptr, name);
    v->ptr = listpack_append(v->ptr, value);
    if (hash_count(*v) > encoding_limits.hash_entries) become_table(v, hash_count(*v));
    return true;
}

static bool set_in_table(struct fields *h, struct slice name, struct slice value, int64_t expiry_ms) {
    uint64_t hash = hash_bytes(name);
    void *item = table_find(&h->elements.table, name, hash);
    if (!item) {
        fields_add(h, name, value, expiry_ms == HASH_KEEP_EXPIRY ? HASH_NO_EXPIRY : expiry_ms, hash);
        return true;
    }
    if (expiry_ms == HASH_KEEP_EXPIRY) expiry_ms = field_read(item).expiry_ms;
    fields_change(h, item, value, expiry_ms, hash);
    return false;
}

bool hash_set(struct value *v, struct slice name, struct slice value, int64_t expiry_ms) {
    bool added;
    if (v->encoding == ENCODING_LISTPACK) {
        bool plain = expiry_ms < 0;
        if (plain && set_in_listpack(v, name, value, &added)) return added;
        become_table(v, hash_count(*v) + 1);
    }
    return set_in_table(v->ptr, name, value, expiry_ms);
}

bool hash_set_expiry(struct value *v, struct slice name, int64_t expiry_ms) {
    if (v->encoding == ENCODING_LISTPACK) {
        if (!find_name(v->ptr, name)) return false;
        if (expiry_ms == HASH_NO_EXPIRY) return true;
        become_table(v, 0);
    }
    struct fields *h = v->ptr;
    uint64_t hash = hash_bytes(name);
    void *item = table_find(&h->elements.table, name, hash);
    if (item) fields_change(h, item, field_read(item).value, expiry_ms, hash);
    return item != NULL;
}

bool hash_remove(struct value *v, struct slice name) {
    if (v->encoding == ENCODING_LISTPACK) {
        unsigned char *at = find_name(v->ptr, name);
        if (at) v->ptr = listpack_delete(v->ptr, at, 2, NULL);
        return at != NULL;
    }
    struct fields *h = v->ptr;
    void *item = table_remove(&h->elements.table, name, hash_bytes(name));
    if (!item) return false;
    forget_date(h, field_is_dated(item));
    element_free(&h->elements, item);
    return true;
}

/* ---- walking ---- */

struct each {
    bool (*visit)(void *arg, const struct hash_field *f);
    void *arg;
};

static bool each_item(void *arg, void *item) {
    const struct each *e = arg;
    struct hash_field f = field_read(item);
    return e->visit(e->arg, &f);
}

bool hash_each(struct value v, bool (*visit)(void *arg, const struct hash_field *f), void *arg) {
    if (v.encoding == ENCODING_TABLE)
        return table_each(&((struct fields *)v.ptr)->elements.table, each_item, &(struct each){ visit, arg });
    struct hash_scratch scratch;
    for (unsigned char *at = listpack_first(v.ptr); at;) {
        struct hash_field f = pair_at(v.ptr, at, &scratch);
        if (!visit(arg, &f)) return false;
        at = listpack_next(v.ptr, listpack_next(v.ptr, at));
    }
    return true;
}

/* Where scanning and sampling bring the fields. */
struct visiting {
    void (*visit)(void *arg, const struct hash_field *f);
    void *arg;
    struct choice choice;
};

static void visit_item(void *arg, void *item) {
    const struct visiting *s = arg;
    struct hash_field f = field_read(item);
    s->visit(s->arg, &f);
}

static bool visit_field(void *arg, const struct hash_field *f) {
    const struct visiting *s = arg;
    s->visit(s->arg, f);
    return true;
}

uint64_t hash_scan(struct value v, uint64_t cursor, size_t count,
                   void (*visit)(void *arg, const struct hash_field *f), void *arg) {
    struct visiting s = { .visit = visit, .arg = arg };
    if (v.encoding == ENCODING_TABLE)
        return elements_scan(&((struct fields *)v.ptr)->elements.table, cursor, count, visit_item, &s);
    (void)hash_each(v, visit_field, &s);
    return 0;
}

/* ---- chance ---- */

void hash_random(struct value v, struct hash_field *out, struct hash_scratch *scratch) {
    if (v.encoding == ENCODING_LISTPACK) {
        size_t index = (size_t)random_below(hash_count(v));
        *out = pair_at(v.ptr, listpack_at(v.ptr, (int64_t)(2 * index)), scratch);
    } else {
        *out = field_read(table_random(&((struct fields *)v.ptr)->elements.table, random_u64()));
    }
}

static bool visit_chosen(void *arg, const struct hash_field *f) {
    struct visiting *s = arg;
    if (choose(&s->choice)) s->visit(s->arg, f);
    return s->choice.wanted > 0;
}

void hash_sample(struct value v, size_t count, void (*visit)(void *arg, const struct hash_field *f),
                 void *arg) {
    struct visiting s = { visit, arg, choice_of(count, hash_count(v)) };
    if (v.encoding == ENCODING_TABLE && choice_is_small(&s.choice))
        elements_by_dice(&((struct fields *)v.ptr)->elements.table, s.choice.wanted, visit_item, &s);
    else if (s.choice.wanted > 0)
        (void)hash_each(v, visit_chosen, &s);
}

/* ---- fields whose time has come ---- */

#define SEARCH_BUCKETS 512 /* a call looks at that many, marked or not */

struct search {
    struct fields *fields;
    int64_t now_ms;
    struct gone *gone;
};

static enum table_verdict look_at(void *arg, void *item) {
    struct search *s = arg;
    if (!field_is_dated(item)) return TABLE_UNMARK;
    struct hash_field f = field_read(item);
    if (!hash_field_is_expired(&f, s->now_ms) || s->gone->count == GONE_MAX) {
        if (f.expiry_ms < s->fields->kept_ms) s->fields->kept_ms = f.expiry_ms;
        return TABLE_KEEP;
    }
    element_detach(&s->fields->elements, item);
    s->gone->items[s->gone->count] = item;
    s->gone->names[s->gone->count++] = f.name;
    return TABLE_REMOVE;
}

/* The walk met every dated field that was there when it began; the later ones are in kept_ms as well. */
static void end_pass(struct fields *h) { h->due_ms = h->dated == 0 ? NEVER : h->kept_ms; }

void hash_take_due(struct value *v, int64_t now_ms, struct gone *out) {
    out->count = 0;
    if (hash_due_ms(*v) >= now_ms) return;
    struct fields *h = v->ptr;
    if (h->cursor == 0) h->kept_ms = NEVER;
    struct search s = { h, now_ms, out };
    h->cursor = table_walk_marked(&h->elements.table, h->cursor, SEARCH_BUCKETS, look_at, &s);
    h->dated -= out->count;
    if (h->cursor == 0) end_pass(h);
    if (h->dated == 0) h->due_ms = NEVER;
}

/* ---- what the keyspace asks ---- */

static struct value copy_value(struct value v) {
    if (v.encoding == ENCODING_LISTPACK) return (struct value){ listpack_copy(v.ptr), ENCODING_LISTPACK };
    struct fields *h = fields_new(hash_count(v));
    (void)hash_each(v, add_copy, h);
    return (struct value){ h, ENCODING_TABLE };
}

static size_t value_bytes(struct value v) {
    if (v.encoding == ENCODING_LISTPACK) return mem_size(v.ptr);
    struct fields *h = v.ptr;
    return mem_size(h) + elements_bytes(&h->elements);
}

static size_t value_effort(struct value v) { return v.encoding == ENCODING_TABLE ? hash_count(v) : 1; }

const struct value_ops hash_value_ops = {
    .free = free_value,
    .copy = copy_value,
    .bytes = value_bytes,
    .effort = value_effort,
    .count = hash_count,
    .due_ms = hash_due_ms,
    .take_due = hash_take_due,
};

/* ---- payloads from outside, and tests ---- */

struct validating {
    struct fields *seen;
    size_t count;
};

static bool name_is_new(void *arg, const unsigned char *at, size_t index) {
    struct validating *s = arg;
    char scratch[INT64_TEXT_MAX];
    s->count++;
    if (index % 2 == 1) return true;
    struct slice name = listpack_text(at, scratch);
    return set_in_table(s->seen, name, LIT(""), HASH_NO_EXPIRY);
}

bool hash_listpack_is_valid(const unsigned char *bytes, size_t len) {
    struct validating s = { fields_new(0), 0 };
    bool valid = listpack_is_valid(bytes, len, name_is_new, &s) && s.count > 0 && s.count % 2 == 0;
    fields_free(s.seen);
    return valid;
}

struct checking {
    int64_t due_ms;
    size_t dated;
};

static bool check_field(void *arg, const struct hash_field *f) {
    struct checking *k = arg;
    k->dated += f->expiry_ms != HASH_NO_EXPIRY;
    assert(f->expiry_ms == HASH_NO_EXPIRY || f->expiry_ms >= k->due_ms);
    return true;
}

void hash_check(struct value v) {
    if (v.encoding == ENCODING_LISTPACK) {
        assert(listpack_count(v.ptr) == 0 || hash_listpack_is_valid(v.ptr, listpack_bytes(v.ptr)));
        return;
    }
    struct fields *h = v.ptr;
    struct checking k = { h->due_ms, 0 };
    elements_check(&h->elements);
    (void)hash_each(v, check_field, &k);
    assert(k.dated == h->dated && (h->dated > 0) == (h->due_ms != NEVER));
}
