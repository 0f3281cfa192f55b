/* info.c: INFO: which sections were asked for, in which order they come. Their rows are in info_*.c. */
#include "info.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/command/call.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/keyspace/expiry.h"
#include "trivet/keyspace/hidden.h"

static void info_keyspace(struct buf *out) {
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        size_t keys = keyspace_count_seen(db);
        if (keys == 0) continue;
        size_t expires = keyspace_expires_seen(db);
        buf_printf(out, "db%u:keys=%zu,expires=%zu,avg_ttl=%lld,keys_with_volatile_items=%zu" CRLF, db, keys,
                   expires, (long long)(expires ? expiry_average_ttl_ms(db) : 0), keyspace_dated(db));
    }
}

static void info_listeners(struct buf *out) { server_hooks.describe_listeners(out); }

/* In the order in which they are shown. The rows of a section's tables come first. */
static const struct section {
    const char *name;
    void (*more)(struct buf *out); /* lines that are no rows, or NULL */
    bool is_default;
} sections[] = {
    { "Server", info_listeners, true },
    { "Clients", NULL, true },
    { "Memory", NULL, true },
    { "Persistence", NULL, true },
    { "Stats", NULL, true },
    { "Replication", NULL, true },
    { "CPU", NULL, true },
    { "Modules", NULL, true },
    { "Commandstats", info_commandstats, false },
    { "Errorstats", info_errorstats, true },
    { "Latencystats", info_latencystats, false },
    { "TLS", NULL, false },
    { "Cluster", NULL, true },
    { "Databases", info_databases, false },
    { "Keyspace", info_keyspace, true },
};

void info_register(void) {
    static const struct metric_table *const tables[] = {
        &info_server, &info_shutdown, &info_clients, &info_memory, &info_saving, &info_aof, &info_loading,
        &info_stats,
        &info_role, &info_primary, &info_sync, &info_link_down, &info_replica, &info_replicas,
        &info_good_replicas, &info_each_replica, &info_history, &info_cpu, &info_cpu_main, &info_cpu_active,
        &info_cluster, &info_tls,
    };
    for (size_t i = 0; i < COUNT_OF(tables); i++) metrics_register(tables[i]);
}

static void write_section(const struct section *s, int64_t now_ms, struct buf *out) {
    buf_printf(out, "# %s" CRLF, s->name);
    metrics_print(s->name, now_ms, out);
    if (s->more) s->more(out);
}

bool info_write_section(size_t index, int64_t now_ms, struct buf *out) {
    if (index >= COUNT_OF(sections)) return false;
    write_section(&sections[index], now_ms, out);
    return true;
}

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
        write_section(&sections[i], c->view.now_ms, &text);
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
