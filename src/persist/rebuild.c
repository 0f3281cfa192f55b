/* rebuild.c: see rebuild.h. */
#include "trivet/persist/rebuild.h"
#include "trivet/base/number.h"
#include "trivet/keyspace/scan.h"

struct rebuilding {
    aof_emit *emit;
    void *arg;
    int64_t now_ms;
};

static bool rebuild_entry(void *arg, struct entry *e) {
    struct rebuilding *r = arg;
    if (entry_is_expired(e, r->now_ms)) return true;
    char scratch[INT64_TEXT_MAX], expiry[INT64_TEXT_MAX];
    assert(e->type == TYPE_STRING); /* the only type there is */
    struct slice argv[5] = { LIT_INIT("SET"), entry_key(e), entry_text(e, scratch) };
    size_t argc = 3;
    if (e->has_expiry) {
        argv[argc++] = LIT("PXAT");
        argv[argc++] = slice_make(expiry, int64_format(expiry, entry_expiry_ms(e)));
    }
    r->emit(r->arg, argv, argc);
    return true;
}

void rebuild_all(aof_emit *emit, void *arg, int64_t now_ms) {
    struct rebuilding r = { emit, arg, now_ms };
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        if (keyspace_count(db) == 0) continue;
        char number[INT64_TEXT_MAX];
        struct slice select[2] = { LIT_INIT("SELECT"), slice_make(number, int64_format(number, db)) };
        emit(arg, select, 2);
        keyspace_each(db, rebuild_entry, &r);
    }
}
