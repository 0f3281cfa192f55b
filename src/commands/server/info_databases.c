/* info_databases.c: INFO databases: what each database holds, its limits, and how it is used. A section of
 * its own, with names of its own, because tools read the lines of INFO keyspace by their form. */
#include "info.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/keyspace.h"

struct database_facts {
    size_t keys;
    uint64_t maxmemory, hits, misses, evicted, refused;
    bool is_named;
};

static struct database_facts facts_of(uint32_t db) {
    const struct database_value *limit = database_value_of(&options.db_maxmemory, db);
    return (struct database_facts){
        .keys = keyspace_count(db),
        .maxmemory = limit ? limit->number : 0,
        .hits = COUNTER_SUM_USES(hits, db),
        .misses = COUNTER_SUM_USES(misses, db),
        .evicted = COUNTER_SUM_USES(evicted, db),
        .refused = COUNTER_SUM_USES(refused, db),
        .is_named = limit || database_value_of(&options.db_maxmemory_policy, db) ||
                    database_value_of(&options.db_name, db) || database_is_volatile(db),
    };
}

static bool is_told(uint32_t db, const struct database_facts *f) {
    bool is_used = f->keys || f->hits || f->misses || f->evicted || f->refused;
    return db == 0 || f->is_named || is_used;
}

void info_databases(struct buf *out) {
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        struct database_facts f = facts_of(db);
        if (!is_told(db, &f)) continue;
        const struct database_value *name = database_value_of(&options.db_name, db);
        buf_printf(out, "database%u:name=%s,keys=%zu,bytes=%zu,maxmemory=%llu,policy=%s", db,
                   name ? name->text : "", f.keys, keyspace_bytes(db), (unsigned long long)f.maxmemory,
                   option_policy_name(eviction_policy(db)));
        buf_printf(out, ",persistence=%s,hits=%llu,misses=%llu,evicted=%llu,refused=%llu" CRLF,
                   database_is_volatile(db) ? "no" : "yes", (unsigned long long)f.hits,
                   (unsigned long long)f.misses, (unsigned long long)f.evicted,
                   (unsigned long long)f.refused);
    }
}
