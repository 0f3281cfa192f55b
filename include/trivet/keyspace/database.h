/* database.h: what single databases have of their own: a limit of memory, a policy of eviction, and whether
 * files hold them. What is not set for a database is the instance's.
 *
 * All of it belongs to the number: SWAPDB exchanges what is in two databases, and their limits stay.
 * Owner: the process. Thread: changes with the gate closed; any worker reads with its gate held. */
#ifndef TRIVET_KEYSPACE_DATABASE_H
#define TRIVET_KEYSPACE_DATABASE_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct database {
    uint64_t maxmemory; /* bytes that its entries, keys and values may take; 0: no limit of its own */
    unsigned policy;    /* enum eviction_policy: its own, or the instance's */
    bool is_volatile;   /* neither snapshots nor the append-only file hold it; replicas do */
};

/* What some database has of its own: one word, so that an instance without any has one test to make. */
enum database_difference {
    DATABASES_HAVE_LIMITS = 1,
    DATABASES_HAVE_POLICIES = 2,
    SOME_ARE_VOLATILE = 4,
};
extern unsigned database_differences;

/* After keyspace_init(): `rows` is one for each database of the first set (the second has the same), and is
 * copied; NULL: none has anything of its own. eviction_settings_changed() must follow. */
void databases_set(const struct database *rows);
/* At the end. */
void databases_release(void);

/* Of a database of either set. Only while there are differences. */
const struct database *database_at(uint32_t db);

static inline bool database_is_volatile(uint32_t db) {
    return UNLIKELY(database_differences & SOME_ARE_VOLATILE) && database_at(db)->is_volatile;
}

#endif
