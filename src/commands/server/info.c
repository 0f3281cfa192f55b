/* info.c: INFO: which sections were asked for, in which order they come. The sections themselves are in
 * info_server.c, info_memory.c, info_stats.c and info_commands.c. */
#include "info.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/expiry.h"

static void info_modules(const struct call *c, struct buf *out) {
    (void)c;
    buf_append(out, LIT("# Modules" CRLF));
}

static void info_cluster(const struct call *c, struct buf *out) {
    (void)c;
    buf_printf(out, "# Cluster" CRLF "cluster_enabled:%d" CRLF, options.cluster_enabled);
}

static void info_keyspace(const struct call *c, struct buf *out) {
    (void)c;
    buf_append(out, LIT("# Keyspace" CRLF));
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        size_t keys = keyspace_count(db);
        if (keys == 0) continue;
        size_t expires = keyspace_expires(db);
        buf_printf(out, "db%u:keys=%zu,expires=%zu,avg_ttl=%lld,keys_with_volatile_items=%zu" CRLF, db, keys,
                   expires, (long long)(expires ? expiry_average_ttl_ms(db) : 0), keyspace_dated(db));
    }
}

/* In the order in which they are shown. */
static const struct section {
    const char *name;
    void (*write)(const struct call *c, struct buf *out);
    bool is_default;
} sections[] = {
    { "server", info_server, true },
    { "clients", info_clients, true },
    { "memory", info_memory, true },
    { "persistence", info_persistence, true },
    { "stats", info_stats, true },
    { "replication", info_replication, true },
    { "cpu", info_cpu, true },
    { "modules", info_modules, true },
    { "commandstats", info_commandstats, false },
    { "errorstats", info_errorstats, true },
    { "latencystats", info_latencystats, false },
    { "cluster", info_cluster, true },
    { "keyspace", info_keyspace, true },
};

/* The sections that a word asks for, a bit each; none if it is unknown. */
static unsigned sections_of(struct slice word) {
    bool all = slice_equal_nocase(word, LIT("all")) || slice_equal_nocase(word, LIT("everything"));
    bool defaults = slice_equal_nocase(word, LIT("default"));
    unsigned wanted = 0;
    for (size_t i = 0; i < COUNT_OF(sections); i++) {
        bool named = slice_equal_nocase(word, slice_of(sections[i].name));
        if (all || named || (defaults && sections[i].is_default)) wanted |= 1u << i;
    }
    return wanted;
}

/* INFO [section [section ...]] */
static void cmd_info(struct call *c) {
    struct buf text = { 0 };
    unsigned wanted = c->argc == 1 ? sections_of(LIT("default")) : 0;
    for (size_t i = 1; i < c->argc; i++) wanted |= sections_of(c->argv[i]);
    for (size_t i = 0; i < COUNT_OF(sections); i++) {
        if (!(wanted & 1u << i)) continue;
        if (text.len > 0) buf_append(&text, LIT(CRLF));
        sections[i].write(c, &text);
    }
    reply_verbatim(c->out, "txt", buf_slice(&text));
    buf_release(&text);
}

const struct command info_commands[] = {
    { .name = "INFO", .run = cmd_info, .arity = -1, .kind = LOCAL, .flags = LOADING | STALE,
      .categories = CAT_DANGEROUS, .since = "1.0.0", .summary = "Returns facts and numbers about the server.",
      .complexity = "O(1)", .syntax = "[section [section ...]]",
      .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special" },
    { .name = NULL },
};
