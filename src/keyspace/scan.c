/* scan.c: cursors over the shards, see scan.h. */
#include "trivet/keyspace/scan.h"
#include "keyspace_private.h"
#include "trivet/base/hashing.h"
#include "trivet/keyspace/hidden.h"

#define STALE_MAX 64 /* deleted after each look into the table; those beyond stay, unseen, for later */

/* One call of keyspace_scan. */
struct scanning {
    struct keyspace_view *view;
    const struct scan_visitor *visitor;
    uint64_t met;
    size_t stale_count;
    struct entry *stale[STALE_MAX];
};

static void visit_item(void *arg, void *item) {
    struct scanning *s = arg;
    const struct scan_visitor *v = s->visitor;
    struct entry *e = item;
    s->met++;
    if (v->wants && !v->wants(v->arg, e)) return;
    if (!keyspace_hides(s->view, e))
        v->visit(v->arg, e);
    else if (s->view->expiry == EXPIRY_DELETES && s->stale_count < STALE_MAX)
        s->stale[s->stale_count++] = e;
}

/* Only after the look into the table, which must not be disturbed. */
static void delete_stale(struct scanning *s, struct keydb *kdb) {
    for (size_t i = 0; i < s->stale_count; i++) {
        struct entry *e = s->stale[i];
        table_remove_item(&kdb->table, e, key_hash(entry_key(e)));
        keyspace_vanish(s->view, kdb, e, VANISHED_EXPIRED, true);
    }
    if (s->stale_count > 0 && s->visitor->flush) s->visitor->flush();
    s->stale_count = 0;
}

static unsigned shard_bits(void) { return (unsigned)__builtin_ctz(shard_count); }

uint64_t keyspace_scan(struct keyspace_view *view, uint64_t cursor, uint64_t count,
                       const struct scan_visitor *visitor) {
    struct scanning s = { .view = view, .visitor = visitor };
    uint32_t shard = (uint32_t)(cursor & (shard_count - 1));
    uint64_t inner = cursor >> shard_bits();
    uint64_t looks = count < UINT64_MAX / 10 ? count * 10 : UINT64_MAX;
    while (shard < shard_count) {
        shard_lock(&shards[shard]);
        struct keydb *kdb = slot_is_hidden(shard) ? NULL : shard_db(&shards[shard], view->db);
        do {
            if (!kdb || table_count(&kdb->table) == 0) {
                inner = 0;
                break;
            }
            inner = table_scan(&kdb->table, inner, visit_item, &s);
            delete_stale(&s, kdb);
            if (looks > 0) looks--;
        } while (inner != 0 && s.met < count && looks > 0);
        shard_unlock(&shards[shard]);
        if (inner == 0) shard++;
        if (s.met >= count || looks == 0) break;
    }
    return shard == shard_count ? 0 : inner << shard_bits() | shard;
}

struct each {
    bool (*visit)(void *arg, struct entry *e);
    void *arg;
};

static bool each_item(void *arg, void *item) {
    struct each *each = arg;
    return each->visit(each->arg, item);
}

static bool visit_each(uint32_t db, bool with_hidden, struct each *each) {
    for (uint32_t i = 0; i < shard_count; i++) {
        if (!with_hidden && slot_is_hidden(i)) continue;
        shard_lock(&shards[i]);
        struct keydb *kdb = shard_db(&shards[i], db);
        bool on = !kdb || table_each(&kdb->table, each_item, each);
        shard_unlock(&shards[i]);
        if (!on) return false;
    }
    return true;
}

bool keyspace_each(uint32_t db, bool (*visit)(void *arg, struct entry *e), void *arg) {
    struct each each = { visit, arg };
    return visit_each(db, true, &each);
}

bool keyspace_each_seen(uint32_t db, bool (*visit)(void *arg, struct entry *e), void *arg) {
    struct each each = { visit, arg };
    return visit_each(db, false, &each);
}
