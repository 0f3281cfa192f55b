/* info_stats.c: INFO stats: what was done since the start, or since CONFIG RESETSTAT. */
#include "info.h"
#include "trivet/base/background.h"
#include "trivet/engine/access/access_log.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/replication/local_keys.h"
#include "trivet/engine/watch/rates.h"
#include "trivet/keyspace/compaction.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/expiry.h"
#include "trivet/resp/reply.h"
#include "trivet/script/store/scripts.h"

struct stats_sample {
    uint64_t ops, cycles_per_s, cycle_us, expiry_ms, eviction_ms, eviction_now_ms, compaction_ms,
        compaction_now_ms, channels, patterns, shard_channels, tracked_keys, tracked_items, tracked_prefixes,
        local_keys, reads_aside, writes_aside, freed, accepted_aside, polled_aside, buffers_shrunk,
        buffers_grown, commands_us, hits, misses, evicted, denied[ACCESS_REASONS];
    double in_kb, out_kb, repl_in_kb, repl_out_kb, stale_percent, fields_stale_percent;
    struct scripts_info scripts;
    struct pubsub_messages messages;
};

/* What the workers but the main thread did: to other servers they are I/O threads. */
#define ASIDE(field) (STATS_SUM(field) - counter_read(&worker_stats[0].field))

static void sample_workers(struct stats_sample *s) {
    struct reply_blocks blocks = reply_blocks_sum();
    s->reads_aside = ASIDE(reads);
    s->writes_aside = ASIDE(writes);
    s->accepted_aside = ASIDE(connections);
    s->polled_aside = ASIDE(turns);
    s->freed = background_done();
    s->buffers_grown = blocks.taken;
    s->buffers_shrunk = blocks.returned;
    s->commands_us = stats_command_us();
}

static bool sample_stats(int64_t now_ms, void *into) {
    struct stats_sample *s = into;
    s->compaction_ms = (uint64_t)compaction_total_ms(now_ms);
    s->compaction_now_ms = (uint64_t)compaction_current_ms(now_ms);
    scripts_info(&s->scripts);
    s->ops = stats_rate(RATE_COMMANDS);
    s->in_kb = (double)stats_rate(RATE_NET_IN) / 1024;
    s->out_kb = (double)stats_rate(RATE_NET_OUT) / 1024;
    s->repl_in_kb = (double)stats_rate(RATE_REPL_IN) / 1024;
    s->repl_out_kb = (double)stats_rate(RATE_REPL_OUT) / 1024;
    s->cycles_per_s = stats_rate(RATE_TURNS);
    s->cycle_us = stats_rate(RATE_TURN_US);
    s->stale_percent = expiry_stale_percent();
    s->fields_stale_percent = expiry_fields_stale_percent();
    s->hits = COUNTER_SUM_ALL_USES(hits);
    s->misses = COUNTER_SUM_ALL_USES(misses);
    s->evicted = COUNTER_SUM_ALL_USES(evicted);
    s->expiry_ms = COUNTER_SUM(expiry_us) / 1000;
    s->eviction_ms = COUNTER_SUM(eviction_us) / 1000;
    s->eviction_now_ms = (uint64_t)eviction_exceeded_us() / 1000;
    s->channels = pubsub_names(PUBSUB_CHANNEL);
    s->patterns = pubsub_names(PUBSUB_PATTERN);
    s->messages = pubsub_messages();
    s->shard_channels = pubsub_names(PUBSUB_SHARD);
    s->tracked_keys = tracking_total_keys();
    s->tracked_items = tracking_total_items();
    s->tracked_prefixes = tracking_total_prefixes();
    s->local_keys = local_keys_count();
    for (enum access_reason r = 0; r < ACCESS_REASONS; r++) s->denied[r] = access_log_count(r);
    sample_workers(s);
    return true;
}

#define GAUGE(field) .kind = METRIC_GAUGE, .form = FORM_NUMBER, SAMPLED(struct stats_sample, field)
#define COUNTER(field) .kind = METRIC_COUNTER, .form = FORM_NUMBER, SAMPLED(struct stats_sample, field)
#define REAL(field) .kind = METRIC_GAUGE, .form = FORM_REAL, SAMPLED(struct stats_sample, field)
#define NEVER .kind = METRIC_COUNTER, .source = FROM_NOTHING

static const struct metric stats_rows[] = {
    { "total_connections_received", "Connections accepted.", COUNTED(connections) },
    { "total_commands_processed", "Commands run or queued.", COUNTED(commands) },
    { "instantaneous_ops_per_sec", "Commands a second, of late.", GAUGE(ops) },
    { "total_net_input_bytes", "Read from clients.", "bytes", COUNTED(net_in) },
    { "total_net_output_bytes", "Written to clients.", "bytes", COUNTED(net_out) },
    { "total_net_repl_input_bytes", "Read from a primary.", "bytes", COUNTED(repl_in) },
    { "total_net_repl_output_bytes", "Written to replicas.", "bytes", COUNTED(repl_out) },
    { "instantaneous_input_kbps", "Read from clients a second, of late.", "kilobytes a second", REAL(in_kb) },
    { "instantaneous_output_kbps", "Written to clients a second, of late.",
      "kilobytes a second", REAL(out_kb) },
    { "instantaneous_input_repl_kbps", "Read from a primary a second, of late.", "kilobytes a second",
      REAL(repl_in_kb) },
    { "instantaneous_output_repl_kbps", "Written to replicas a second, of late.", "kilobytes a second",
      REAL(repl_out_kb) },
    { "rejected_connections", "Connections refused because of maxclients.", COUNTED(rejected) },
    { "sync_full", "Replicas that asked for data and got all of it.", COUNTED(sync_full) },
    { "sync_partial_ok", "Replicas that asked for data and went on where they were.",
      COUNTED(sync_partial_ok) },
    { "sync_partial_err", "Replicas that asked to go on where they were and could not.",
      COUNTED(sync_partial_err) },
    { "expired_keys", "Keys whose time came.", COUNTED_KEYS(expired) },
    { "expired_fields", "Fields of hashes whose time came.", COUNTED_KEYS(expired_fields) },
    { "expired_keys_with_volatile_items_stale_perc", "Hashes with expired fields still in them, an estimate.",
      "percent", REAL(fields_stale_percent) },
    { "expired_stale_perc", "Expired keys still there, an estimate.", "percent", REAL(stale_percent) },
    { "expired_time_cap_reached_count", "Searches for expired keys that ran out of time.",
      COUNTED_KEYS(expiry_cap_reached) },
    { "expire_cycle_cpu_milliseconds", "Time of searches for expired keys.",
      "milliseconds", COUNTER(expiry_ms) },
    { "evicted_keys", "Keys that made room.", NULL, COUNTER(evicted) },
    { "evicted_clients", "Clients closed for maxmemory-clients.", COUNTED(evicted_clients) },
    { "evicted_scripts", "Scripts that made room.", NULL, COUNTER(scripts.evicted) },
    { "total_eviction_exceeded_time", "Time over maxmemory.", "milliseconds", COUNTER(eviction_ms) },
    { "current_eviction_exceeded_time", "Time over maxmemory, while it lasts.",
      "milliseconds", GAUGE(eviction_now_ms) },
    { "keyspace_hits", "Reads that found a key.", NULL, COUNTER(hits) },
    { "keyspace_misses", "Reads that found none.", NULL, COUNTER(misses) },
    { "pubsub_channels", "Channels with subscribers.", GAUGE(channels) },
    { "pubsub_patterns", "Patterns with subscribers.", GAUGE(patterns) },
    { "pubsubshard_channels", "Shard channels with subscribers.", GAUGE(shard_channels) },
    { "pubsub_messages_delivered", "Messages for subscribers, counted once for each.",
      NULL, COUNTER(messages.delivered) },
    { "pubsub_messages_dropped",
      "Of the delivered messages, at most so many were lost with connections that were closed.",
      NULL, COUNTER(messages.dropped) },
    /* What this server does without: forks, migration between nodes. */
    { "latest_fork_usec", "What the last fork took.", "microseconds", NEVER },
    { "total_forks", "Forks.", NEVER },
    { "migrate_cached_sockets", "Connections kept for MIGRATE.", NEVER },
    { "slave_expires_tracked_keys", "Keys that a writable replica lets expire.", GAUGE(local_keys) },
    { "active_defrag_hits", "Blocks that compaction moved.", COUNTED_KEYS(moved) },
    { "active_defrag_misses", "Blocks that it looked at and left.", COUNTED_KEYS(stayed) },
    { "active_defrag_key_hits", "Keys that compaction moved.", COUNTED_KEYS(moved) },
    { "active_defrag_key_misses", "Keys that it looked at and left.", COUNTED_KEYS(stayed) },
    { "total_active_defrag_time", "How long passes of compaction took.", "milliseconds",
      COUNTER(compaction_ms) },
    { "current_active_defrag_time", "How long the one under way takes by now.", "milliseconds",
      GAUGE(compaction_now_ms) },
    { "tracking_total_keys", "Keys that clients may have cached.", GAUGE(tracked_keys) },
    { "tracking_total_items", "Keys that clients may have cached, once for each client.",
      GAUGE(tracked_items) },
    { "tracking_total_prefixes", "Prefixes that clients track in broadcast mode.", GAUGE(tracked_prefixes) },
    { "unexpected_error_replies", "Errors while the journal or a stream was replayed.",
      COUNTED(unexpected_errors) },
    { "total_error_replies", "Error replies.", COUNTED(error_replies) },
    { "dump_payload_sanitizations", "Payloads looked at more than was needed.", NEVER },
    { "total_reads_processed", "Reads of sockets.", COUNTED(reads) },
    { "total_writes_processed", "Writes to sockets.", COUNTED(writes) },
    { "io_threaded_reads_processed", "Reads by other threads than the main one.", COUNTER(reads_aside) },
    { "io_threaded_writes_processed", "Writes by other threads than the main one.", COUNTER(writes_aside) },
    { "io_threaded_freed_objects", "Objects freed by other threads.", COUNTER(freed) },
    { "io_threaded_accept_processed", "Connections set up by other threads.", COUNTER(accepted_aside) },
    { "io_threaded_poll_processed", "Waits for events by other threads.", COUNTER(polled_aside) },
    { "io_threaded_total_prefetch_batches", "Batches of commands whose keys were fetched ahead.",
      COUNTED(prefetch_batches) },
    { "io_threaded_total_prefetch_entries", "Keys that were fetched ahead.", COUNTED(prefetch_entries) },
    { "client_query_buffer_limit_disconnections", "Clients closed for client-query-buffer-limit.",
      COUNTED(query_limit_closed) },
    { "client_output_buffer_limit_disconnections", "Clients closed for client-output-buffer-limit.",
      COUNTED(output_limit_closed) },
    { "reply_buffer_shrinks", "Blocks of memory that replies gave back.", COUNTER(buffers_shrunk) },
    { "reply_buffer_expands", "Blocks of memory that replies took.", COUNTER(buffers_grown) },
    { "eventloop_cycles", "Turns of the event loops.", COUNTED(turns) },
    { "eventloop_duration_sum", "Time of the event loops' turns.", "microseconds", COUNTED(turn_us) },
    { "eventloop_duration_cmd_sum", "Time of commands, all together.", "microseconds", COUNTER(commands_us) },
    { "instantaneous_eventloop_cycles_per_sec", "Turns a second, of late.", GAUGE(cycles_per_s) },
    { "instantaneous_eventloop_duration_usec", "Time of a turn, of late.", "microseconds", GAUGE(cycle_us) },
    { "acl_access_denied_auth", "Wrong passwords.", COUNTER(denied[ACCESS_LOGIN]) },
    { "acl_access_denied_cmd", "Commands that a user may not run.", COUNTER(denied[ACCESS_COMMAND]) },
    { "acl_access_denied_key", "Keys that a user may not touch.", COUNTER(denied[ACCESS_KEY]) },
    { "acl_access_denied_channel", "Channels that a user may not use.", COUNTER(denied[ACCESS_CHANNEL]) },
    { "acl_access_denied_tls_cert", "Certificates of users who may not log in.",
      COUNTER(denied[ACCESS_CERTIFICATE]) },
    { "acl_access_denied_db", "Databases that a user may not use.", COUNTER(denied[ACCESS_DATABASE]) },
    /* Trivet's own. */
    { "unauthenticated_clients_timed_out", "Clients closed for unauthenticated-timeout.",
      COUNTED(strangers_timed_out) },
    { "unauthenticated_clients_evicted", "Clients closed for max-unauthenticated-clients.",
      COUNTED(strangers_evicted) },
    { NULL },
};

const struct metric_table info_stats = { "Stats", stats_rows, sizeof(struct stats_sample), sample_stats,
                                         NULL };
