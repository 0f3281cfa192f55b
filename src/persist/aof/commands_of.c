/* commands_of.c: see rebuild.h. */
#include "trivet/persist/aof/commands_of.h"
#include "commands_of_types.h"
#include "trivet/base/number.h"
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

void rebuild_list_node(aof_emit *emit, void *arg, struct slice key, struct slice bytes, bool plain) {
    struct slice argv[2 + ELEMENTS_AT_ONCE] = { LIT_INIT("RPUSH"), key };
    char numbers[ELEMENTS_AT_ONCE][INT64_TEXT_MAX];
    if (plain) {
        argv[2] = bytes;
        emit(arg, argv, 3);
        return;
    }
    const unsigned char *lp = (const unsigned char *)bytes.ptr;
    size_t count = 0;
    for (const unsigned char *at = listpack_first(lp); at; at = listpack_next(lp, at)) {
        argv[2 + count] = listpack_text(at, numbers[count]);
        if (++count < ELEMENTS_AT_ONCE) continue;
        emit(arg, argv, 2 + count);
        count = 0;
    }
    if (count > 0) emit(arg, argv, 2 + count);
}

struct list_rebuilding {
    struct rebuilding *r;
    struct slice key;
};

static bool rebuild_next_node(void *arg, const struct list_node *node) {
    struct list_rebuilding *l = arg;
    rebuild_list_node(l->r->emit, l->r->arg, l->key, node->bytes, node->plain);
    return true;
}

void rebuild_entry(aof_emit *emit, void *arg, const struct entry *e, int64_t now_ms) {
    struct rebuilding rebuilding = { emit, arg, now_ms }, *r = &rebuilding;
    if (entry_is_expired(e, now_ms)) return;
    switch (e->type) {
    case TYPE_STRING: rebuild_string(r, e); return;
    case TYPE_LIST: {
        struct list_rebuilding l = { r, entry_key(e) };
        list_nodes(entry_value(e), rebuild_next_node, &l);
        break;
    }
    case TYPE_ZSET: rebuild_zset(r->emit, r->arg, e); break;
    case TYPE_SET: rebuild_set(r->emit, r->arg, e); break;
    case TYPE_HASH: rebuild_hash(r->emit, r->arg, e); break;
    case TYPE_STREAM: rebuild_stream(r->emit, r->arg, e); break;
    default: assert(!"every type can be rebuilt");
    }
    rebuild_expiry(r, e);
}
