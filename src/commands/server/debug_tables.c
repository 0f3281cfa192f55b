/* debug_tables.c: DEBUG's subcommands about hash tables and list nodes. */
#include "debug.h"
#include "trivet/base/buf.h"
#include "trivet/base/number.h"
#include "trivet/keyspace/keyspace.h"

#define PLACES 8 /* items in a bucket */
#define THRESHOLD_MAX (UINT64_C(4) << 30)

static void write_head(struct buf *out, int number, const char *what, size_t buckets, size_t items) {
    buf_printf(out, "Hash table %d stats (%s):\n table size: %zu\n number of entries: %zu\n", number, what,
               buckets * PLACES, items);
}

/* What is called a chain is the way of a look-up that does not find its key. */
static void write_chains(struct buf *out, const struct table_survey *s) {
    size_t longest = 0, ways = 0, read = 0;
    for (size_t i = 0; i < TABLE_WAYS; i++) {
        ways += s->ways[i];
        read += (i + 1) * s->ways[i];
        if (s->ways[i]) longest = i + 1;
    }
    buf_printf(out, " buckets: %zu\n different slots: %zu\n max chain length: %zu\n", s->buckets, s->used,
               longest);
    buf_printf(out, " avg chain length (counted): %.02f\n Chain length distribution:\n",
               ways ? (double)read / (double)ways : 0);
    for (size_t i = 0; i < TABLE_WAYS; i++)
        if (s->ways[i])
            buf_printf(out, "   %zu: %zu (%.02f%%)\n", i + 1, s->ways[i],
                       (double)s->ways[i] * 100 / (double)ways);
}

static void write_survey(struct buf *out, const struct table_survey *s, bool full) {
    write_head(out, 0, "main hash table", s->buckets, s->items);
    buf_append(out, LIT(" rehashing index: -1\n")); /* a table never moves to another array */
    if (full) write_chains(out, s);
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
    struct table_survey s = { 0 };
    size_t expiring = 0;
    for (uint32_t i = 0; i < shard_count; i++) {
        struct keydb *kdb = shard_db(&shards[i], (uint32_t)db);
        if (!kdb) continue;
        table_survey(&kdb->table, &s);
        expiring += kdb->expires;
    }
    struct buf text = { 0 };
    buf_append(&text, LIT("[Dictionary HT]\n"));
    write_survey(&text, &s, full);
    /* There is no second table: an entry holds its time, and its bucket is marked. */
    buf_append(&text, LIT("\n[Expires HT]\n"));
    write_head(&text, 0, "main hash table", s.marked, expiring);
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
    struct table_survey s = { 0 };
    struct buf text = { 0 };
    table_survey(t, &s);
    write_survey(&text, &s, full);
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
