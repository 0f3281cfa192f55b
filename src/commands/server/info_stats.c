/* info_stats.c: INFO stats: what was done since the start, or since CONFIG RESETSTAT. */
#include "info.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/watch/rates.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/expiry.h"

static void write_number(struct buf *out, const char *name, uint64_t n) {
    buf_printf(out, "%s:%llu" CRLF, name, (unsigned long long)n);
}

static void write_zeros(struct buf *out, const char *const *names) {
    for (; *names; names++) buf_printf(out, "%s:0" CRLF, *names);
}

static void write_traffic(struct buf *out) {
    write_number(out, "total_connections_received", STATS_SUM(connections));
    write_number(out, "total_commands_processed", STATS_SUM(commands));
    write_number(out, "instantaneous_ops_per_sec", stats_rate(RATE_COMMANDS));
    write_number(out, "total_net_input_bytes", STATS_SUM(net_in));
    write_number(out, "total_net_output_bytes", STATS_SUM(net_out));
    write_number(out, "total_net_repl_input_bytes", 0);
    write_number(out, "total_net_repl_output_bytes", 0);
    buf_printf(out, "instantaneous_input_kbps:%.2f" CRLF, (double)stats_rate(RATE_NET_IN) / 1024);
    buf_printf(out, "instantaneous_output_kbps:%.2f" CRLF, (double)stats_rate(RATE_NET_OUT) / 1024);
    buf_printf(out, "instantaneous_input_repl_kbps:0.00" CRLF "instantaneous_output_repl_kbps:0.00" CRLF);
    write_number(out, "rejected_connections", STATS_SUM(rejected));
    static const char *const syncs[] = { "sync_full", "sync_partial_ok", "sync_partial_err", NULL };
    write_zeros(out, syncs);
}

static void write_keys(struct buf *out) {
    write_number(out, "expired_keys", COUNTER_SUM(expired));
    write_number(out, "expired_fields", COUNTER_SUM(expired_fields));
    buf_printf(out, "expired_stale_perc:%.2f" CRLF, expiry_stale_percent());
    write_number(out, "expired_time_cap_reached_count", COUNTER_SUM(expiry_cap_reached));
    write_number(out, "expire_cycle_cpu_milliseconds", COUNTER_SUM(expiry_us) / 1000);
    write_number(out, "evicted_keys", COUNTER_SUM(evicted));
    write_number(out, "evicted_clients", STATS_SUM(evicted_clients));
    write_number(out, "evicted_scripts", 0);
    write_number(out, "total_eviction_exceeded_time", COUNTER_SUM(eviction_us) / 1000);
    write_number(out, "current_eviction_exceeded_time", (uint64_t)eviction_exceeded_us() / 1000);
    write_number(out, "keyspace_hits", COUNTER_SUM(hits));
    write_number(out, "keyspace_misses", COUNTER_SUM(misses));
    write_number(out, "pubsub_channels", pubsub_names(PUBSUB_CHANNEL));
    write_number(out, "pubsub_patterns", pubsub_names(PUBSUB_PATTERN));
    write_number(out, "pubsubshard_channels", pubsub_names(PUBSUB_SHARD));
}

/* What this server does without: forks, migration between nodes, defragmentation by moving values. */
static void write_never(struct buf *out) {
    static const char *const names[] = {
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
        NULL,
    };
    write_zeros(out, names);
}

/* Workers other than the main thread are what Valkey calls I/O threads. */
static void write_threads(struct buf *out) {
    uint64_t reads = STATS_SUM(reads), writes = STATS_SUM(writes);
    write_number(out, "total_reads_processed", reads);
    write_number(out, "total_writes_processed", writes);
    uint64_t main_reads = atomic_load_explicit(&worker_stats[0].reads, memory_order_relaxed);
    uint64_t main_writes = atomic_load_explicit(&worker_stats[0].writes, memory_order_relaxed);
    write_number(out, "io_threaded_reads_processed", reads > main_reads ? reads - main_reads : 0);
    write_number(out, "io_threaded_writes_processed", writes > main_writes ? writes - main_writes : 0);
    write_number(out, "io_threaded_total_prefetch_batches", STATS_SUM(prefetch_batches));
    write_number(out, "io_threaded_total_prefetch_entries", STATS_SUM(prefetch_entries));
}

static void write_loops(struct buf *out) {
    write_number(out, "client_query_buffer_limit_disconnections", STATS_SUM(query_limit_closed));
    write_number(out, "client_output_buffer_limit_disconnections", STATS_SUM(output_limit_closed));
    write_number(out, "eventloop_cycles", STATS_SUM(turns));
    write_number(out, "eventloop_duration_sum", STATS_SUM(turn_us));
    write_number(out, "eventloop_duration_cmd_sum", stats_command_us());
    write_number(out, "instantaneous_eventloop_cycles_per_sec", stats_rate(RATE_TURNS));
    write_number(out, "instantaneous_eventloop_duration_usec", stats_rate(RATE_TURN_US));
}

void info_stats(const struct call *c, struct buf *out) {
    (void)c;
    buf_append(out, LIT("# Stats" CRLF));
    write_traffic(out);
    write_keys(out);
    write_never(out);
    write_number(out, "tracking_total_keys", tracking_total_keys());
    write_number(out, "tracking_total_items", tracking_total_items());
    write_number(out, "tracking_total_prefixes", tracking_total_prefixes());
    write_number(out, "unexpected_error_replies", STATS_SUM(unexpected_errors));
    write_number(out, "total_error_replies", STATS_SUM(error_replies));
    write_number(out, "dump_payload_sanitizations", 0);
    write_threads(out);
    write_loops(out);
    write_number(out, "acl_access_denied_auth", STATS_SUM(auth_denied));
    static const char *const denied[] = { "acl_access_denied_cmd", "acl_access_denied_key",
                                          "acl_access_denied_channel", NULL };
    write_zeros(out, denied);
}
