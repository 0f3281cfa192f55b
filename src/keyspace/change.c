/* change.c: see change.h. */
#include "trivet/keyspace/change.h"
#include "keyspace_private.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/intset.h"
#include "trivet/types/structures/listpack.h"

/* ---- lifting ----
 *
 * To the types layer a lifted value is one like any other, in a block that is its own: it may be grown, freed
 * on the way to another form, or become a node of a big list. So at closing the spare has its block back only
 * if it still is the value's. */

#define SPARE_BYTES ((size_t)1024)
static_assert(SPARE_BYTES >= 2 * ENTRY_INSIDE_MAX, "few changes outgrow it");
static_assert(SPARE_BYTES <= LISTPACK_KEEPS && SPARE_BYTES <= INTSET_KEEPS,
              "removing elements does not shrink it");

struct keyspace_spare {
    void *block;               /* of at least SPARE_BYTES, or NULL */
    const struct entry *holds; /* whose value was lifted into it last */
};

static _Thread_local struct {
    struct keyspace_spare at[KEYSPACE_OPEN_MAX];
    unsigned next; /* in turn, because changes may be left open */
} spares;

static void lift(struct keyspace_change *change) {
    struct value inside = entry_value(change->entry);
    struct slice bytes = value_packed(inside);
    struct keyspace_spare *spare = &spares.at[spares.next++ % KEYSPACE_OPEN_MAX];
    if (UNLIKELY(!spare->block)) spare->block = mem_alloc(SPARE_BYTES);
    spare->holds = change->entry;
    memcpy(spare->block, bytes.ptr, bytes.len);
    change->spare = spare;
    change->value = (struct value){ spare->block, inside.encoding };
}

/* Is the block still the one that was lent, and not another at its address? See MEM_SMALL_MAX. */
static bool is_spare(const struct keyspace_spare *spare, const void *block) {
    return block == spare->block && (SPARE_BYTES <= MEM_SMALL_MAX || mem_size(block) >= SPARE_BYTES);
}

/* The packed value is not needed any more. */
static void put_back(struct keyspace_change *change) {
    struct keyspace_spare *spare = change->spare;
    void *block = change->value.ptr;
    if (LIKELY(spare && is_spare(spare, block))) return;
    if (spare) spare->block = NULL;
    mem_free(block);
}

void keyspace_change_thread_release(void) {
    for (size_t i = 0; i < KEYSPACE_OPEN_MAX; i++) {
        mem_free(spares.at[i].block);
        spares.at[i].block = NULL;
    }
}

/* ---- opening and closing ---- */

bool keyspace_open(struct keyspace_view *view, struct slice key, enum value_type type,
                   struct keyspace_change *out) {
    struct entry *e = keyspace_write(view, key);
    if (UNLIKELY(e && e->type != type)) return false;
    *out = (struct keyspace_change){ .key = key, .type = type, .entry = e };
    if (!e) return true;
    if (entry_is_inside(e))
        lift(out);
    else
        keyspace_reopen(out);
    return true;
}

/* The cheap answer for a small collection, which is one block: a small block at the same address has the same
 * size, see MEM_SMALL_MAX. */
static bool is_as_heavy(const struct keyspace_change *change) {
    return value_is_packed(change->value) && change->value.ptr == change->address &&
           change->weight <= MEM_SMALL_MAX;
}

/* Only a hash that is a table has fields that expire; one that had some is marked. */
static bool may_be_dated(const struct keyspace_change *change) {
    const struct value_ops *ops = value_ops[change->type];
    if (!ops->due_ms) return false;
    return keyspace_was_dated(change->entry) ||
           (change->value.encoding == ENCODING_TABLE && ops->due_ms(change->value) != INT64_MAX);
}

/* An empty stream stays: it remembers its last id. */
static bool is_emptied(const struct keyspace_change *change) {
    return change->type != TYPE_STREAM && value_ops[change->type]->count(change->value) == 0;
}

static enum keyspace_closed close_missing(struct keyspace_view *view, struct keyspace_change *change) {
    if (!change->value.ptr) return CLOSED_NOTHING;
    if (change->drops || is_emptied(change)) {
        value_ops[change->type]->free(change->value);
        return CLOSED_NOTHING;
    }
    keyspace_insert(view, entry_new_value(change->key, change->type, change->value, NO_EXPIRY));
    return CLOSED_MADE;
}

/* One that had a block of its own comes back inside when it has become much smaller, lest it comes and goes
 * with every change. */
static bool belongs_inside(const struct keyspace_change *change) {
    if (!value_is_packed(change->value)) return false;
    return value_packed(change->value).len <= (change->spare ? ENTRY_INSIDE_MAX : ENTRY_INSIDE_MAX / 2);
}

/* The value goes inside, or comes out, or the entry is too small or too big for it. */
static void store_elsewhere(struct keyspace_view *view, struct keyspace_change *change, bool inside) {
    struct entry *e = change->entry;
    size_t before = entry_block_size(e) + change->weight;
    const void *address = e;
    if (inside) {
        e = entry_with_inside(e, change->value);
        put_back(change);
    } else {
        change->spare->block = NULL;
        e = entry_with_pointer(e, change->value);
    }
    keyspace_relocate(view, address, e);
    keyspace_weigh(view->db, before, entry_memory(e));
    change->entry = e;
}

static void store_pointer(struct keyspace_view *view, struct keyspace_change *change) {
    entry_set_value(change->entry, change->value);
    if (!is_as_heavy(change))
        keyspace_weigh(view->db, change->weight, value_ops[change->type]->bytes(change->value));
}

static void store(struct keyspace_view *view, struct keyspace_change *change) {
    bool inside = belongs_inside(change);
    if (LIKELY(inside && change->spare) && LIKELY(entry_overwrite_inside(change->entry, change->value)))
        put_back(change);
    else if (inside || change->spare)
        store_elsewhere(view, change, inside);
    else
        store_pointer(view, change);
}

static void delete (struct keyspace_view *view, struct keyspace_change *change) {
    if (!change->spare) {
        store_pointer(view, change);
    } else if (value_is_packed(change->value)) {
        put_back(change);
    } else {
        change->spare->block = NULL;
        value_ops[change->type]->free(change->value);
    }
    keyspace_delete(view, change->entry, true);
}

enum keyspace_closed keyspace_close(struct keyspace_view *view, struct keyspace_change *change) {
    if (!change->entry) return close_missing(view, change);
    assert(change->entry->type == change->type && change->value.ptr);
    assert(!change->spare || change->spare->holds == change->entry);
    if (UNLIKELY(change->drops || is_emptied(change))) {
        delete (view, change);
        return CLOSED_DELETED;
    }
    store(view, change);
    if (UNLIKELY(may_be_dated(change))) keyspace_note_elements(view, change->entry);
    return CLOSED_KEPT;
}
