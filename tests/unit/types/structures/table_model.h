/* table_model.h: the hash table beside a plain array that knows what should be in it; for its test programs.
 */
#ifndef TESTS_UNIT_TYPES_STRUCTURES_TABLE_MODEL_H
#define TESTS_UNIT_TYPES_STRUCTURES_TABLE_MODEL_H

#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEY_ROOM 24

struct item {
    uint32_t id;
    uint32_t key_len;
    char key[KEY_ROOM];
};

static inline struct slice item_key(const void *item) {
    const struct item *i = item;
    return slice_make(i->key, i->key_len);
}

static const struct table_ops ops = { item_key };

static uint64_t chance_state;
static inline uint64_t chance(void) {
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    return chance_state ^= chance_state << 17;
}
static inline uint32_t chance_below(uint64_t bound) { return (uint32_t)((chance() >> 20) % bound); }

/* The same secret in every run, so that a failure can be repeated. */
static inline int fix_the_secret(void **state) {
    (void)state;
    chance_state = 0x9e3779b97f4a7c15ULL;
    for (size_t i = 0; i < HASH_SECRET_SIZE; i++) hash_secret[i] = (unsigned char)(chance() >> 32);
    return 0;
}

static inline void *new_item(uint32_t id, uint32_t number) {
    struct item *i = mem_alloc(sizeof *i);
    i->id = id;
    i->key_len = (uint32_t)snprintf(i->key, KEY_ROOM, "key:%u", number);
    return i;
}

static inline uint64_t item_hash(const void *item) { return hash_bytes(item_key(item)); }
static inline uint64_t number_hash(uint32_t number) {
    char text[KEY_ROOM];
    return hash_bytes(slice_make(text, (size_t)snprintf(text, sizeof text, "key:%u", number)));
}

/* ---- The model: `items[id]` is the item that should be in the table, or NULL ---- */

struct model {
    struct table table;
    struct item **items;
    const uint32_t *numbers; /* number of the key of each id; NULL: the id itself */
    uint32_t ids;
    size_t count;
};

static inline void model_init(struct model *m, uint32_t ids, const uint32_t *numbers) {
    *m = (struct model){ .numbers = numbers, .ids = ids };
    m->items = mem_alloc_zero(ids * sizeof(struct item *));
    table_init(&m->table, &ops);
}

static inline void model_release(struct model *m) {
    table_release(&m->table, mem_free);
    assert_int_equal(table_count(&m->table), 0);
    assert_int_equal(table_memory(&m->table), 0);
    mem_free(m->items);
}

static inline void model_insert(struct model *m, uint32_t id) {
    if (m->items[id]) return;
    m->items[id] = new_item(id, m->numbers ? m->numbers[id] : id);
    table_insert(&m->table, m->items[id], item_hash(m->items[id]));
    m->count++;
}

static inline void model_forget(struct model *m, uint32_t id) {
    mem_free(m->items[id]);
    m->items[id] = NULL;
    m->count--;
}

static inline void model_remove(struct model *m, uint32_t id) {
    struct item *i = m->items[id];
    if (!i) return;
    assert_ptr_equal(table_remove(&m->table, item_key(i), item_hash(i)), i);
    assert_null(table_remove(&m->table, item_key(i), item_hash(i)));
    model_forget(m, id);
}

static inline void model_remove_item(struct model *m, uint32_t id) {
    struct item *i = m->items[id];
    if (!i) return;
    table_remove_item(&m->table, i, item_hash(i));
    model_forget(m, id);
}

static inline void model_replace(struct model *m, uint32_t id) {
    struct item *old = m->items[id];
    if (!old) return;
    struct item *other = new_item(id, m->numbers ? m->numbers[id] : id);
    table_swap(&m->table, old, other, item_hash(old));
    mem_free(old);
    m->items[id] = other;
}

static inline void model_look(struct model *m, uint32_t id) {
    struct item *probe = new_item(id, m->numbers ? m->numbers[id] : id);
    uint64_t hash = item_hash(probe);
    table_prefetch_bucket(&m->table, hash);
    table_prefetch_item(&m->table, hash);
    assert_ptr_equal(table_find(&m->table, item_key(probe), hash), m->items[id]);
    mem_free(probe);
}

static inline bool id_is_odd_third(void *arg, void *item) {
    struct model *m = arg;
    struct item *i = item;
    assert_ptr_equal(m->items[i->id], i);
    if (i->id % 3 != 1) return false;
    model_forget(m, i->id);
    return true;
}

static inline void model_check(const struct model *m) {
    table_check(&m->table);
    assert_int_equal(table_count(&m->table), m->count);
}

static inline void model_check_all(struct model *m) {
    model_check(m);
    for (uint32_t id = 0; id < m->ids; id++) model_look(m, id);
}

/* One random thing; `growing` of 100 insert, most others remove. */
static inline void model_step(struct model *m, uint32_t growing) {
    uint32_t id = chance_below(m->ids), dice = chance_below(100);
    if (dice < growing)
        model_insert(m, id);
    else if (dice < 93)
        chance() & 65536 ? model_remove(m, id) : model_remove_item(m, id);
    else if (dice < 95)
        model_look(m, id);
    else if (dice < 97)
        model_replace(m, id);
    else if (dice < 99)
        table_move_some(&m->table, chance_below(4));
    else if (chance_below(40) == 0)
        table_reserve(&m->table, m->count + chance_below(200));
    else if (chance_below(40) == 0)
        table_remove_if(&m->table, id_is_odd_third, m);
}

/* Numbers of keys whose hashes agree in all bits of `mask` with the first one found. */
static inline void colliding_numbers(uint32_t *numbers, size_t count, uint64_t mask, uint64_t want) {
    uint32_t number = 0;
    for (size_t got = 0; got < count; number++)
        if ((number_hash(number) & mask) == want) numbers[got++] = number;
}

static inline bool is_moving(const struct table *t) { return t->base[1] != NULL; }

#endif
