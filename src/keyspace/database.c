/* database.c: see database.h. */
#include "trivet/keyspace/database.h"
#include "trivet/base/mem.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/keyspace.h"
#include <string.h>

unsigned database_differences;
static struct database *table; /* of the first set; NULL: no differences */

static unsigned difference_of(const struct database *d) {
    unsigned policy = eviction_settings.policy & ~(unsigned)EVICT_VARIES;
    return (d->maxmemory > 0 ? DATABASES_HAVE_LIMITS : 0u) |
           (d->policy != policy ? DATABASES_HAVE_POLICIES : 0u) | (d->is_volatile ? SOME_ARE_VOLATILE : 0u);
}

void databases_set(const struct database *rows) {
    uint32_t count = keyspace_databases();
    databases_release();
    for (uint32_t db = 0; rows && db < count; db++) database_differences |= difference_of(&rows[db]);
    if (database_differences == 0) return;
    table = mem_alloc(count * sizeof *table);
    memcpy(table, rows, count * sizeof *table);
}

void databases_release(void) {
    mem_free(table);
    table = NULL;
    database_differences = 0;
}

const struct database *database_at(uint32_t db) {
    uint32_t count = keyspace_databases();
    assert(table && db < keyspace_numbers());
    return &table[db < count ? db : db - count];
}
