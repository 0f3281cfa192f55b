/* scan.c: cursors over the shards, see scan.h. */
#include "trivet/keyspace/scan.h"

struct visitor {
    void (*visit)(void *arg, struct entry *e);
    void *arg;
    uint64_t seen;
};

static void visit_item(void *arg, void *item) {
    struct visitor *v = arg;
    v->seen++;
    v->visit(v->arg, item);
}

uint64_t keyspace_scan(uint32_t db, uint64_t cursor, uint64_t count,
                       void (*visit)(void *arg, struct entry *e), void *arg) {
    struct visitor v = { visit, arg, 0 };
    uint32_t shard = (uint32_t)(cursor & (SHARD_COUNT - 1));
    uint64_t inner = cursor >> SHARD_BITS;
    uint64_t looks = count < UINT64_MAX / 10 ? count * 10 : UINT64_MAX;
    while (shard < SHARD_COUNT) {
        shard_lock(&shards[shard]);
        struct keydb *kdb = shard_db(&shards[shard], db);
        do {
            if (!kdb || table_count(&kdb->table) == 0) {
                inner = 0;
                break;
            }
            inner = table_scan(&kdb->table, inner, visit_item, &v);
            if (looks > 0) looks--;
        } while (inner != 0 && v.seen < count && looks > 0);
        shard_unlock(&shards[shard]);
        if (inner == 0) shard++;
        if (v.seen >= count || looks == 0) break;
    }
    return shard == SHARD_COUNT ? 0 : inner << SHARD_BITS | shard;
}

struct each {
    bool (*visit)(void *arg, struct entry *e);
    void *arg;
};

static bool each_item(void *arg, void *item) {
    struct each *each = arg;
    return each->visit(each->arg, item);
}

bool keyspace_each(uint32_t db, bool (*visit)(void *arg, struct entry *e), void *arg) {
    struct each each = { visit, arg };
    for (uint32_t i = 0; i < SHARD_COUNT; i++) {
        shard_lock(&shards[i]);
        struct keydb *kdb = shard_db(&shards[i], db);
        bool on = !kdb || table_each(&kdb->table, each_item, &each);
        shard_unlock(&shards[i]);
        if (!on) return false;
    }
    return true;
}
