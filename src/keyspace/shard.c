/* shard.c: the shards themselves: made once, freed at exit. */
#include "trivet/keyspace/shard.h"
#include "trivet/base/mem.h"
#include "trivet/keyspace/entry.h"

struct shard shards[SHARD_MAX] CACHE_ALIGNED;
uint32_t shard_count = SHARDS_WITHOUT_SLOTS;
bool shards_are_shared;
_Thread_local bool shards_are_mine;
uint16_t shard_keeper[SHARD_MAX];
atomic_int shards_kept;

static struct slice entry_key_of(const void *item) { return entry_key(item); }
const struct table_ops entry_table_ops = { .key = entry_key_of };

void shards_init(bool by_slot) {
    shard_count = by_slot ? SLOT_COUNT : SHARDS_WITHOUT_SLOTS;
    for (uint32_t i = 0; i < shard_count; i++) {
        latch_init(&shards[i].lock, LOCK_RANK_SHARD);
        table_init(&shards[i].first.table, &entry_table_ops);
    }
}

static void free_entry(void *item) { entry_free(item); }

void shards_release(void) {
    for (uint32_t i = 0; i < shard_count; i++) {
        struct shard *s = &shards[i];
        table_release(&s->first.table, free_entry);
        s->first.expires = s->first.expiry_cursor = 0;
        for (uint32_t db = 1; db <= shard_last_db(s); db++) {
            struct keydb *other = shard_db(s, db);
            if (other) table_release(&other->table, free_entry);
            mem_free(other);
        }
        mem_free(s->others);
        s->others = NULL;
    }
}

struct keydb *shard_db_make(struct shard *s, uint32_t db) {
    if (db == 0) return &s->first;
    uint32_t before = shard_last_db(s);
    if (db > before) {
        s->others = mem_realloc(s->others, sizeof *s->others + db * sizeof(struct keydb *));
        for (uint32_t i = before; i < db; i++) s->others->at[i] = NULL;
        s->others->count = db;
    }
    struct keydb **place = &s->others->at[db - 1];
    if (!*place) {
        *place = mem_alloc_zero(sizeof **place);
        table_init(&(*place)->table, &entry_table_ops);
    }
    return *place;
}
