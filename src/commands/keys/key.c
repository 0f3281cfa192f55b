/* key.c: commands on keys whatever they hold: deleting, renaming, copying, looking at them.
 *
 * A key's shard does not depend on the database, so MOVE and COPY DB reach the other database under the lock
 * they have: through a second view with the same hashes. */
#include "dump.h"
#include "trivet/base/buf.h"
#include "trivet/base/glob.h"
#include "trivet/commands/arguments/database_argument.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/database.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/scan.h"

/* ---- deleting and counting ---- */

static void delete_keys(struct call *c, bool lazily) {
    int64_t deleted = 0;
    for (size_t i = 1; i < c->argc; i++) {
        struct entry *e = keyspace_write(&c->view, c->argv[i]);
        if (!e) continue;
        keyspace_delete(&c->view, e, lazily);
        changed(c, c->argv[i], NOTIFY_GENERIC, "del", EFFECT_NONE);
        deleted++;
    }
    if (deleted > 0) journal_effect(c, EFFECT_SAME(c));
    reply_int(c->out, deleted);
}

/* DEL key [key ...] */
static void cmd_del(struct call *c) { delete_keys(c, options.lazyfree_lazy_user_del); }

/* UNLINK key [key ...] */
static void cmd_unlink(struct call *c) { delete_keys(c, true); }

static void count_keys(struct call *c, struct entry *(*look)(struct keyspace_view *view, struct slice key)) {
    int64_t count = 0;
    for (size_t i = 1; i < c->argc; i++) count += look(&c->view, c->argv[i]) != NULL;
    reply_int(c->out, count);
}

/* EXISTS key [key ...] */
static void cmd_exists(struct call *c) { count_keys(c, keyspace_peek); }

/* TOUCH key [key ...] */
static void cmd_touch(struct call *c) { count_keys(c, keyspace_read); }

/* TYPE key */
static void cmd_type(struct call *c) {
    struct entry *e = keyspace_peek(&c->view, c->argv[1]);
    reply_simple(c->out, slice_of(e ? entry_type_name((enum value_type)e->type) : "none"));
}

/* ---- giving another name or place ---- */

static void rename_key(struct call *c, struct entry *e, struct entry *in_the_way) {
    struct slice from = c->argv[1], to = c->argv[2];
    if (in_the_way) keyspace_delete(&c->view, in_the_way, options.lazyfree_lazy_server_del);
    keyspace_detach(&c->view, e);
    keyspace_insert(&c->view, entry_renamed(e, to));
    changed_times(c, from, 0, NOTIFY_GENERIC, "rename_from", EFFECT_NONE);
    changed(c, to, NOTIFY_GENERIC, "rename_to", EFFECT(LIT("RENAME"), from, to));
}

/* RENAME key newkey */
static void cmd_rename(struct call *c) {
    struct entry *e = keyspace_write(&c->view, c->argv[1]);
    if (!e) {
        reply_error(c->out, ERR_NO_KEY);
        return;
    }
    if (!slice_equal(c->argv[1], c->argv[2])) rename_key(c, e, keyspace_write(&c->view, c->argv[2]));
    reply_ok(c->out);
}

/* RENAMENX key newkey */
static void cmd_renamenx(struct call *c) {
    struct entry *e = keyspace_write(&c->view, c->argv[1]);
    if (!e) {
        reply_error(c->out, ERR_NO_KEY);
        return;
    }
    bool is_free = !keyspace_write(&c->view, c->argv[2]);
    if (is_free) rename_key(c, e, NULL);
    reply_int(c->out, is_free);
}

/* Do files hold either both databases or none? Else what goes from one to the other is the end of a key here,
 * and a whole value there. */
static bool files_hold_alike(const struct call *c, const struct keyspace_view *there) {
    return database_is_volatile(c->view.db) == database_is_volatile(there->db);
}

/* MOVE key db */
static void cmd_move(struct call *c) {
    struct slice key = c->argv[1];
    struct keyspace_view there = c->view;
    if (!database_argument(c, 2, &there.db)) return;
    if (there.db == c->view.db) {
        reply_error(c->out, ERR_SAME_OBJECT);
        return;
    }
    struct entry *e = keyspace_write(&c->view, key);
    if (!e || keyspace_write(&there, key)) {
        reply_int(c->out, 0);
        return;
    }
    keyspace_detach(&c->view, e);
    e->access = eviction_access_moved(c->view.db, there.db, e->access, c->view.now_ms) & ENTRY_ACCESS_MASK;
    keyspace_insert(&there, e);
    if (LIKELY(files_hold_alike(c, &there))) {
        changed(c, key, NOTIFY_GENERIC, "move_from", EFFECT_SAME(c));
    } else {
        changed(c, key, NOTIFY_GENERIC, "move_from", EFFECT(LIT("DEL"), key));
        journal_value(c, there.db, e);
    }
    changed_in(c, there.db, key, files_hold_alike(c, &there) ? 0 : 1, NOTIFY_GENERIC, "move_to");
    reply_int(c->out, 1);
}

struct copy_plan {
    uint32_t db;
    bool replace;
};

/* The number after the last DB. */
static size_t copy_databases(const struct slice *argv, size_t argc, size_t at[DATABASE_ARGUMENTS_MAX]) {
    size_t found = 0;
    for (size_t i = 3; i + 1 < argc; i++)
        if (slice_equal_nocase(argv[i], LIT("DB"))) {
            at[0] = ++i;
            found = 1;
        }
    return found;
}

static size_t move_databases(const struct slice *argv, size_t argc, size_t at[DATABASE_ARGUMENTS_MAX]) {
    (void)argv, (void)argc;
    at[0] = 2;
    return 1;
}

static bool read_copy_options(struct call *c, struct copy_plan *plan) {
    for (size_t i = 3; i < c->argc; i++) {
        if (call_is(c, i, "REPLACE")) {
            plan->replace = true;
        } else if (call_is(c, i, "DB") && i + 1 < c->argc) {
            if (!database_argument(c, ++i, &plan->db)) return false;
        } else {
            return refuse_syntax(c);
        }
    }
    if (plan->db != c->view.db || !slice_equal(c->argv[1], c->argv[2])) return true;
    reply_error(c->out, ERR_SAME_OBJECT);
    return false;
}

/* COPY source destination [DB destination-db] [REPLACE] */
static void cmd_copy(struct call *c) {
    struct slice from = c->argv[1], to = c->argv[2];
    struct copy_plan plan = { .db = c->view.db };
    if (!read_copy_options(c, &plan)) return;
    struct keyspace_view there = c->view;
    there.db = plan.db;

    struct entry *e = keyspace_read(&c->view, from);
    struct entry *in_the_way = e ? keyspace_write(&there, to) : NULL;
    if (!e || (in_the_way && !plan.replace)) {
        reply_int(c->out, 0);
        return;
    }
    if (in_the_way) keyspace_delete(&there, in_the_way, options.lazyfree_lazy_server_del);
    struct entry *twin = entry_copy(e, to, entry_expiry_ms(e));
    twin->access = eviction_access_moved(c->view.db, there.db, e->access, c->view.now_ms) & ENTRY_ACCESS_MASK;
    keyspace_insert(&there, twin);
    changed_in(c, there.db, to, 1, NOTIFY_GENERIC, "copy_to");
    if (LIKELY(files_hold_alike(c, &there)))
        journal_effect(c, EFFECT_SAME(c));
    else
        journal_value(c, there.db, twin);
    reply_int(c->out, 1);
}

/* ---- finding keys ---- */

/* RANDOMKEY */
static void cmd_randomkey(struct call *c) {
    struct buf key = { 0 };
    if (keyspace_random_key(&c->view, &key))
        reply_bulk(c->out, buf_slice(&key));
    else
        reply_null(c->out);
    buf_release(&key);
}

struct key_search {
    struct call *call;
    bool all; /* the pattern is "*" */
    size_t found;
};

static bool search_entry(void *arg, struct entry *e) {
    struct key_search *search = arg;
    struct call *c = search->call;
    struct slice key = entry_key(e);
    bool hidden = keyspace_hides(&c->view, e);
    if (hidden || (!search->all && !glob_match(c->argv[1], key))) return true;
    reply_bulk(c->out, key);
    search->found++;
    return true;
}

/* KEYS pattern */
static void cmd_keys(struct call *c) {
    struct key_search search = { .call = c, .all = slice_equal(c->argv[1], LIT("*")) };
    struct chunk *later = reply_later(c->out);
    keyspace_each_seen(c->view.db, search_entry, &search);
    reply_later_array(c->out, later, search.found);
}

/* ---- OBJECT ---- */

/* The entry of the key that OBJECT asks about, or NULL after replying null. */
static struct entry *object_entry(struct call *c) {
    struct entry *e = keyspace_peek(&c->view, c->argv[2]);
    if (!e) reply_null(c->out);
    return e;
}

/* OBJECT ENCODING key */
static void cmd_object_encoding(struct call *c) {
    struct entry *e = object_entry(c);
    if (e) reply_bulk(c->out, slice_of(entry_encoding_name(e)));
}

/* OBJECT REFCOUNT key: nothing is ever shared between keys. */
static void cmd_object_refcount(struct call *c) {
    if (object_entry(c)) reply_int(c->out, 1);
}

#define POLICY_HINT                                                                  \
    " Please note that when switching between policies at runtime LRU and LFU data " \
    "will take some time to adjust."

/* OBJECT IDLETIME key */
static void cmd_object_idletime(struct call *c) {
    struct entry *e = object_entry(c);
    if (!e) return;
    if (eviction_counts_uses(c->view.db))
        reply_error_text(c->out,
                         LIT("ERR An LFU maxmemory policy is selected, idle time not tracked." POLICY_HINT));
    else
        reply_int(c->out, eviction_idle_ms(e->access, c->view.now_ms) / 1000);
}

/* OBJECT FREQ key */
static void cmd_object_freq(struct call *c) {
    struct entry *e = object_entry(c);
    if (!e) return;
    if (eviction_counts_uses(c->view.db))
        reply_int(c->out, eviction_frequency(e->access, c->view.now_ms));
    else
        reply_error_text(c->out, LIT("ERR An LFU maxmemory policy is not selected, access frequency not "
                                     "tracked." POLICY_HINT));
}

/* OBJECT HELP */
static void cmd_object_help(struct call *c) {
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        NULL,
    };
    reply_help(c, lines);
}

/* ---- the table ---- */

#define OBJECT_FACTS                                                                                      \
    .arity = 3, .kind = KEYED, .flags = READS, .categories = CAT_KEYSPACE, .keys = { KEY_AT(2, KEY_RO) }, \
    .complexity = "O(1)", .syntax = "key", .tips = "nondeterministic_output"

static const struct command object_commands[] = {
    { .name = "ENCODING", .run = cmd_object_encoding, OBJECT_FACTS, .since = "2.2.3",
      .summary = "Returns the name of the form in which a value is kept." },
    { .name = "FREQ", .run = cmd_object_freq, OBJECT_FACTS, .since = "4.0.0",
      .summary = "Returns the logarithm of how often a key is used, under an LFU policy." },
    { .name = "HELP", .run = cmd_object_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .categories = CAT_KEYSPACE, .since = "6.2.0", .summary = "Lists the subcommands.",
      .complexity = "O(1)" },
    { .name = "IDLETIME", .run = cmd_object_idletime, OBJECT_FACTS, .since = "2.2.3",
      .summary = "Returns the seconds since the last use of a key." },
    { .name = "REFCOUNT", .run = cmd_object_refcount, OBJECT_FACTS, .since = "2.2.3",
      .summary = "Returns how many references a value has." },
    { .name = NULL },
};

const struct command key_commands[] = {
    { .name = "COPY", .run = cmd_copy, .arity = -3, .kind = KEYED, .flags = WRITES | GROWS,
      .categories = CAT_KEYSPACE, .keys = { KEY(KEY_RO | KEY_ACCESS), KEY_AT(2, KEY_OW | KEY_UPDATE) },
      .database_arguments = copy_databases, .since = "6.2.0",
      .summary = "Copies the value and expiration time of a key to another key.",
      .complexity = "O(N) where N is the number of the value's elements, O(1) for strings.",
      .syntax = "source destination [DB destination-db] [REPLACE]" },
    { .name = "DEL", .run = cmd_del, .arity = -2, .kind = KEYED, .flags = WRITES, .categories = CAT_KEYSPACE,
      .keys = { KEYS(KEY_RM | KEY_DELETE, -1, 1) }, .since = "1.0.0", .summary = "Deletes keys.",
      .complexity = "O(N) where N is the number of keys; values with many elements add theirs.",
      .syntax = "key [key ...]", .tips = "request_policy:multi_shard,response_policy:agg_sum" },
    { .name = "EXISTS", .run = cmd_exists, .arity = -2, .kind = KEYED, .flags = READS | FAST,
      .categories = CAT_KEYSPACE, .keys = { KEYS(KEY_RO, -1, 1) }, .since = "1.0.0",
      .summary = "Counts how many of the keys exist.", .complexity = "O(N) where N is the number of keys.",
      .syntax = "key [key ...]", .tips = "request_policy:multi_shard,response_policy:agg_sum" },
    { .name = "KEYS", .run = cmd_keys, .arity = 2, .kind = LOCAL, .flags = READS,
      .categories = CAT_KEYSPACE | CAT_DANGEROUS, .since = "1.0.0",
      .summary = "Returns all keys that match a pattern.",
      .complexity = "O(N) where N is the number of keys in the database.", .syntax = "pattern",
      .tips = "request_policy:all_shards,nondeterministic_output_order" },
    { .name = "MOVE", .run = cmd_move, .arity = 3, .kind = KEYED, .flags = WRITES | FAST,
      .categories = CAT_KEYSPACE, .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE) },
      .database_arguments = move_databases, .since = "1.0.0",
      .summary = "Moves a key to another database.", .complexity = "O(1)", .syntax = "key db" },
    { .name = "OBJECT", .arity = -2, .kind = KEYED, .subcommands = object_commands, .since = "2.2.3",
      .summary = "Holds the commands that look at the inner form of values.",
      .complexity = "Depends on the subcommand." },
    { .name = "RANDOMKEY", .run = cmd_randomkey, .arity = 1, .kind = LOCAL, .flags = READS,
      .categories = CAT_KEYSPACE, .since = "1.0.0", .summary = "Returns a random key of the database.",
      .complexity = "O(1)",
      .tips = "request_policy:all_shards,response_policy:special,nondeterministic_output" },
    { .name = "RENAME", .run = cmd_rename, .arity = 3, .kind = KEYED, .flags = WRITES,
      .categories = CAT_KEYSPACE,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_OW | KEY_UPDATE) }, .since = "1.0.0",
      .summary = "Gives a key another name; a key that has it already goes.", .complexity = "O(1)",
      .syntax = "key newkey" },
    { .name = "RENAMENX", .run = cmd_renamenx, .arity = 3, .kind = KEYED, .flags = WRITES | FAST,
      .categories = CAT_KEYSPACE,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_OW | KEY_INSERT) }, .since = "1.0.0",
      .summary = "Gives a key another name that no key has.", .complexity = "O(1)", .syntax = "key newkey" },
    { .name = "TOUCH", .run = cmd_touch, .arity = -2, .kind = KEYED, .flags = READS | FAST,
      .categories = CAT_KEYSPACE, .keys = { KEYS(KEY_RO, -1, 1) }, .since = "3.2.1",
      .summary = "Counts how many of the keys exist, and marks them as used now.",
      .complexity = "O(N) where N is the number of keys.", .syntax = "key [key ...]",
      .tips = "request_policy:multi_shard,response_policy:agg_sum" },
    { .name = "TYPE", .run = cmd_type, .arity = 2, .kind = KEYED, .flags = READS | FAST,
      .categories = CAT_KEYSPACE, .keys = { KEY(KEY_RO) }, .since = "1.0.0",
      .summary = "Returns the type of the value of a key.", .complexity = "O(1)", .syntax = "key" },
    { .name = "UNLINK", .run = cmd_unlink, .arity = -2, .kind = KEYED, .flags = WRITES | FAST,
      .categories = CAT_KEYSPACE, .keys = { KEYS(KEY_RM | KEY_DELETE, -1, 1) }, .since = "4.0.0",
      .summary = "Deletes keys; big values are freed in the background.",
      .complexity = "O(N) where N is the number of keys.", .syntax = "key [key ...]",
      .tips = "request_policy:multi_shard,response_policy:agg_sum" },
    { .name = NULL },
};
