/* shard.c: the shards themselves: made once, freed at exit. */
#include "trivet/keyspace/shard.h"
#include "trivet/base/mem.h"
#include "trivet/keyspace/entry.h"

struct shard shards[SHARD_COUNT] CACHE_ALIGNED;

static struct slice entry_key_of(const void *item) { return entry_key(item); }
const struct table_ops entry_table_ops = { .key = entry_key_of };

void shards_init(void) {
    for (uint32_t i = 0; i < SHARD_COUNT; i++) {
        lock_init(&shards[i].lock, LOCK_RANK_SHARD);
        table_init(&shards[i].first.table, &entry_table_ops);
    }
}

static void free_entry(void *item) { entry_free(item); }

void shards_release(void) {
    for (uint32_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *s = &shards[i];
        table_release(&s->first.table, free_entry);
        s->first.expires = s->first.expiry_cursor = 0;
        for (uint32_t db = 0; db < s->other_count; db++) {
            if (s->others[db]) table_release(&s->others[db]->table, free_entry);
            mem_free(s->others[db]);
        }
        mem_free(s->others);
        s->others = NULL;
        s->other_count = 0;
        lock_release(&s->lock);
    }
}

struct keydb *shard_db_make(struct shard *s, uint32_t db) {
    if (db == 0) return &s->first;
    if (db > s->other_count) {
        s->others = mem_realloc(s->others, db * sizeof(struct keydb *));
        for (uint32_t i = s->other_count; i < db; i++) s->others[i] = NULL;
        s->other_count = db;
    }
    struct keydb **place = &s->others[db - 1];
    if (!*place) {
        *place = mem_alloc_zero(sizeof **place);
        table_init(&(*place)->table, &entry_table_ops);
    }
    return *place;
}
