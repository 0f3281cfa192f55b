/* rebuild.c: see rebuild.h. */
#include "trivet/persist/rebuild.h"
#include "rebuild_private.h"
#include "trivet/base/number.h"
#include "trivet/keyspace/scan.h"
#include "trivet/types/list.h"

struct rebuilding {
    aof_emit *emit;
    void *arg;
    int64_t now_ms;
};

static void rebuild_string(struct rebuilding *r, const struct entry *e) {
    char scratch[INT64_TEXT_MAX], expiry[INT64_TEXT_MAX];
    struct slice argv[5] = { LIT_INIT("SET"), entry_key(e), entry_text(e, scratch) };
    size_t argc = 3;
    if (e->has_expiry) {
        argv[argc++] = LIT("PXAT");
        argv[argc++] = slice_make(expiry, int64_format(expiry, entry_expiry_ms(e)));
    }
    r->emit(r->arg, argv, argc);
}

/* Of types other than strings: after the value. */
static void rebuild_expiry(struct rebuilding *r, const struct entry *e) {
    if (!e->has_expiry) return;
    char expiry[INT64_TEXT_MAX];
    struct slice argv[3] = { LIT_INIT("PEXPIREAT"), entry_key(e),
                             slice_make(expiry, int64_format(expiry, entry_expiry_ms(e))) };
    r->emit(r->arg, argv, 3);
}

/* ---- lists ---- */

#define ELEMENTS_AT_ONCE 64 /* of a collection, in one command */

struct list_rebuilding {
    struct rebuilding *r;
    struct slice key;
};

static bool rebuild_list_node(void *arg, const struct list_node *node) {
    struct list_rebuilding *l = arg;
    struct slice argv[2 + ELEMENTS_AT_ONCE] = { LIT_INIT("RPUSH"), l->key };
    char numbers[ELEMENTS_AT_ONCE][INT64_TEXT_MAX];
    if (node->plain) {
        argv[2] = node->bytes;
        l->r->emit(l->r->arg, argv, 3);
        return true;
    }
    const unsigned char *lp = (const unsigned char *)node->bytes.ptr;
    size_t count = 0;
    for (const unsigned char *at = listpack_first(lp); at; at = listpack_next(lp, at)) {
        argv[2 + count] = listpack_text(at, numbers[count]);
        if (++count < ELEMENTS_AT_ONCE) continue;
        l->r->emit(l->r->arg, argv, 2 + count);
        count = 0;
    }
    if (count > 0) l->r->emit(l->r->arg, argv, 2 + count);
    return true;
}

static bool rebuild_entry(void *arg, struct entry *e) {
    struct rebuilding *r = arg;
    if (entry_is_expired(e, r->now_ms)) return true;
    switch (e->type) {
    case TYPE_STRING: rebuild_string(r, e); return true;
    case TYPE_LIST: {
        struct list_rebuilding l = { r, entry_key(e) };
        list_nodes(entry_value(e), rebuild_list_node, &l);
        break;
    }
    case TYPE_ZSET: rebuild_zset(r->emit, r->arg, e); break;
    case TYPE_SET: rebuild_set(r->emit, r->arg, e); break;
    case TYPE_HASH: rebuild_hash(r->emit, r->arg, e); break;
    case TYPE_STREAM: rebuild_stream(r->emit, r->arg, e); break;
    default: assert(!"every type can be rebuilt");
    }
    rebuild_expiry(r, e);
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
