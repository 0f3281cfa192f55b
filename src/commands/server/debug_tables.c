/* debug_tables.c: DEBUG's subcommands about hash tables and list nodes. */
#include "debug.h"
#include "trivet/base/buf.h"
#include "trivet/base/number.h"
#include "trivet/keyspace/keyspace.h"

#define PLACES 7      /* items in a bucket */
#define CHAINS_MAX 16 /* longer chains are counted as this long */
#define THRESHOLD_MAX (UINT64_C(4) << 30)

/* Of one table, or of all tables of a database. */
struct shape {
    size_t buckets, target_buckets; /* where it is, and where it moves to */
    size_t items;
    size_t marked, expiring;       /* buckets and items with an expiry */
    size_t chains[CHAINS_MAX + 1]; /* by buckets that hold items */
};

static void add_table(struct shape *s, const struct table *t) {
    if (t->half[0]) s->buckets += (size_t)1 << t->exponent[0];
    if (t->half[1]) s->target_buckets += (size_t)1 << t->exponent[1];
    s->items += table_count(t);
}

static void count_item(void *arg, void *item) {
    (void)item;
    ++*(size_t *)arg;
}

static void add_chains(struct shape *s, const struct table *t) {
    uint64_t cursor = 0;
    do {
        size_t items = 0;
        cursor = table_scan((struct table *)(uintptr_t)t, cursor, count_item, &items);
        size_t length = (items + PLACES - 1) / PLACES;
        s->chains[length < CHAINS_MAX ? length : CHAINS_MAX]++;
    } while (cursor != 0);
}

static enum table_verdict keep(void *arg, void *item) {
    (void)item;
    *(bool *)arg = true;
    return TABLE_KEEP;
}

/* The expiry search walks over these buckets only. */
static void add_marked(struct shape *s, struct table *t) {
    size_t cursor = 0;
    do {
        bool marked = false;
        cursor = table_walk_marked(t, cursor, 1, keep, &marked);
        s->marked += marked;
    } while (cursor != 0);
}

static void write_head(struct buf *out, int number, const char *what, size_t buckets, size_t items) {
    buf_printf(out, "Hash table %d stats (%s):\n table size: %zu\n number of entries: %zu\n", number, what,
               buckets * PLACES, items);
}

static void write_chains(struct buf *out, const struct shape *s) {
    size_t used = 0, longest = 0, total = 0;
    for (size_t i = 0; i <= CHAINS_MAX; i++) {
        total += s->chains[i];
        if (i > 0) used += s->chains[i];
        if (s->chains[i]) longest = i;
    }
    buf_printf(out, " buckets: %zu\n different slots: %zu\n max chain length: %zu\n", s->buckets, used,
               longest);
    buf_printf(out, " avg chain length (counted): %.02f\n Chain length distribution:\n",
               used ? (double)s->items / PLACES / (double)used : 0);
    for (size_t i = 0; i <= CHAINS_MAX; i++)
        if (s->chains[i])
            buf_printf(out, "   %zu: %zu (%.02f%%)\n", i, s->chains[i],
                       (double)s->chains[i] * 100 / (double)total);
}

static void write_shape(struct buf *out, const struct shape *s, bool full) {
    write_head(out, 0, "main hash table", s->buckets, s->items);
    buf_printf(out, " rehashing index: %d\n", s->target_buckets ? 0 : -1);
    if (full) write_chains(out, s);
    if (s->target_buckets) write_head(out, 1, "rehashing target", s->target_buckets, s->items);
}

static bool read_full(struct call *c, bool *full) {
    *full = c->argc == 4;
    if (!*full || call_is(c, 3, "FULL")) return true;
    reply_error(c->out, ERR_SYNTAX);
    return false;
}

/* DEBUG HTSTATS db [FULL] */
static void debug_htstats(struct call *c) {
    int64_t db;
    bool full;
    if (!read_full(c, &full)) return;
    if (!int64_parse(c->argv[2], &db)) {
        reply_error(c->out, ERR_NOT_INT);
        return;
    }
    if (db < 0 || db >= keyspace_databases()) {
        reply_error_text(c->out, LIT("ERR Out of range database"));
        return;
    }
    struct shape s = { 0 };
    for (uint32_t i = 0; i < shard_count; i++) {
        struct keydb *kdb = shard_db(&shards[i], (uint32_t)db);
        if (!kdb) continue;
        add_table(&s, &kdb->table);
        add_marked(&s, &kdb->table);
        s.expiring += kdb->expires;
        if (full) add_chains(&s, &kdb->table);
    }
    struct buf text = { 0 };
    buf_append(&text, LIT("[Dictionary HT]\n"));
    write_shape(&text, &s, full);
    /* There is no second table: an entry holds its time, and its bucket is marked. */
    buf_append(&text, LIT("\n[Expires HT]\n"));
    write_head(&text, 0, "main hash table", s.marked, s.expiring);
    buf_append(&text, LIT(" rehashing index: -1\n"));
    reply_verbatim(c->out, "txt", buf_slice(&text));
    buf_release(&text);
}

/* DEBUG HTSTATS-KEY key [FULL] */
static void debug_htstats_key(struct call *c) {
    bool full;
    if (!read_full(c, &full)) return;
    const struct entry *e = keyspace_peek(&c->view, c->argv[2]);
    if (!e) {
        reply_error(c->out, ERR_NO_KEY);
        return;
    }
    const struct table *t = e->type == TYPE_STRING ? NULL : value_table(entry_value(e));
    if (!t) {
        reply_error_text(
            c->out, LIT("ERR The value stored at the specified key is not represented using an hash table"));
        return;
    }
    struct shape s = { 0 };
    struct buf text = { 0 };
    add_table(&s, t);
    if (full) add_chains(&s, t);
    write_shape(&text, &s, full);
    reply_verbatim(c->out, "txt", buf_slice(&text));
    buf_release(&text);
}

/* DEBUG DICT-RESIZING 0 | 1 */
static void debug_dict_resizing(struct call *c) {
    bool on;
    if (!debug_read_switch(c, &on)) return;
    atomic_store(&table_may_resize, on);
    reply_ok(c->out);
}

/* DEBUG QUICKLIST-PACKED-THRESHOLD size. A node takes what list-max-listpack-size says, and a bigger element
 * is a node of its own, so there is no second threshold to set. */
static void debug_packed_threshold(struct call *c) {
    uint64_t size;
    if (memory_size_parse(c->argv[2], &size) && size < THRESHOLD_MAX)
        reply_ok(c->out);
    else
        reply_error_text(c->out,
                         LIT("ERR argument must be a memory value bigger than 1 and smaller than 4gb"));
}

const struct debug_subcommand debug_table_rows[] = {
    { "DICT-RESIZING", 3, 3, debug_dict_resizing, "<0|1>", "Let no table (0) grow or shrink." },
    { "HTSTATS", 3, 4, debug_htstats, "<db> [FULL]", "Tell of the tables of a database." },
    { "HTSTATS-KEY", 3, 4, debug_htstats_key, "<key> [FULL]", "Tell of the table of a value." },
    { "QUICKLIST-PACKED-THRESHOLD", 3, 3, debug_packed_threshold, "<size>",
      "Taken without effect: a node's limit is list-max-listpack-size." },
    { NULL },
};
