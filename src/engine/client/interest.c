/* interest.c: see interest.h. */
#include "trivet/engine/client/interest.h"
#include "trivet/base/buf.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"

#define SMALL_ID 256

static struct slice interest_id(const void *item) {
    const struct interest *i = item;
    return slice_make(i->id, i->id_len);
}
static const struct table_ops interest_table_ops = { .key = interest_id };

/* The id in `small`, or in `*heap` (the caller frees it) if it is long. */
static struct slice make_id(uint32_t db, struct slice key, char small[SMALL_ID], char **heap) {
    size_t len = sizeof db + key.len;
    *heap = len > SMALL_ID ? mem_alloc(len) : NULL;
    char *id = *heap ? *heap : small;
    memcpy(id, &db, sizeof db);
    if (key.len) memcpy(id + sizeof db, key.ptr, key.len);
    return slice_make(id, len);
}

struct interest *interest_find(const struct shard *s, uint32_t db, struct slice key) {
    if (!s->interests) return NULL;
    char small[SMALL_ID], *heap;
    struct slice id = make_id(db, key, small, &heap);
    struct interest *found = table_find(&s->interests->keys, id, hash_bytes(id));
    mem_free(heap);
    return found;
}

struct interest *interest_make(uint32_t shard, uint32_t db, struct slice key) {
    assert(shard < shard_count);
    struct shard *s = &shards[shard];
    struct interest *i = interest_find(s, db, key);
    if (i) return i;
    if (!s->interests) {
        s->interests = mem_alloc_zero(sizeof *s->interests);
        table_init(&s->interests->keys, &interest_table_ops);
    }
    i = mem_alloc_zero(sizeof *i + sizeof db + key.len);
    i->shard = shard;
    i->id_len = (uint32_t)(sizeof db + key.len);
    memcpy(i->id, &db, sizeof db);
    if (key.len) memcpy(i->id + sizeof db, key.ptr, key.len);
    i->hash = hash_bytes(interest_id(i));
    table_insert(&s->interests->keys, i, i->hash);
    return i;
}

void interest_drop(struct interest *i) {
    if (!chain_is_empty(&i->watchers) || !chain_is_empty(&i->waiting)) return;
    struct shard *s = &shards[i->shard];
    table_remove_item(&s->interests->keys, i, i->hash);
    mem_free(i);
    if (table_count(&s->interests->keys) > 0) return;
    assert(s->interests->exclusive_waiters == 0);
    table_release(&s->interests->keys, NULL);
    mem_free(s->interests);
    s->interests = NULL;
}

struct slice interest_key(const struct interest *i, uint32_t *db) {
    memcpy(db, i->id, sizeof *db);
    return slice_make(i->id + sizeof *db, i->id_len - sizeof *db);
}

struct each {
    void (*visit)(void *arg, struct interest *i);
    void *arg;
};

static bool each_item(void *arg, void *item) {
    struct each *each = arg;
    each->visit(each->arg, item);
    return true;
}

void interest_each(const struct shard *s, void (*visit)(void *arg, struct interest *i), void *arg) {
    struct each each = { visit, arg };
    if (s->interests) table_each(&s->interests->keys, each_item, &each);
}
