/* setup.c: the one file that knows every layer. It fills the hooks through which lower layers reach higher
 * ones, registers the commands, and carries the settings to the modules that keep copies of them. */
#include "trivet/server/setup.h"
#include "trivet/base/background.h"
#include "trivet/base/clock.h"
#include "trivet/base/hashing.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/engine/watch/commandlog.h"
#include "trivet/engine/watch/metrics.h"
#include "trivet/engine/watch/peaks.h"
#include "trivet/engine/watch/rates.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/expiry.h"
#include "trivet/net/conn.h"
#include "trivet/net/listener.h"
#include "trivet/net/worker.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/persist/snapshot/snapshot.h"
#include "trivet/server/load.h"
#include "trivet/types/structures/encoding_limits.h"
#include <event2/event.h>
#include <openssl/crypto.h>
#include <string.h>

/* ---- settings that modules keep copies of ---- */

static void apply_maxmemory(void) {
    eviction_settings = (struct eviction_settings){
        .maxmemory = options.maxmemory,
        .policy = (unsigned)options.maxmemory_policy,
        .samples = (int)options.maxmemory_samples,
        .tenacity = (int)options.maxmemory_eviction_tenacity,
        .lfu_log_factor = (int)options.lfu_log_factor,
        .lfu_decay_minutes = (int)options.lfu_decay_time_min,
        .lazily = options.lazyfree_lazy_eviction,
    };
    obstacle_set(OBSTACLE_MEMORY_LIMIT, options.maxmemory > 0);
}

static bool apply_appendonly(bool on, struct buf *why) {
    if (on == journal_on) return true;
    if (on) return saving_start_journal(why);
    saving_journal_ends();
    return aof_close();
}

static void apply_encodings(void) {
    encoding_limits = (struct encoding_limits){
        .hash_entries = (size_t)options.hash_max_listpack_entries,
        .hash_value = (size_t)options.hash_max_listpack_value,
        .set_ints = (size_t)options.set_max_intset_entries,
        .set_entries = (size_t)options.set_max_listpack_entries,
        .set_value = (size_t)options.set_max_listpack_value,
        .zset_entries = (size_t)options.zset_max_listpack_entries,
        .zset_value = (size_t)options.zset_max_listpack_value,
        .list_size = options.list_max_listpack_size,
        .list_compress_depth = (size_t)options.list_compress_depth,
        .stream_node_bytes = (size_t)options.stream_node_max_bytes,
        .stream_node_entries = (size_t)options.stream_node_max_entries,
        .hll_sparse_bytes = (size_t)options.hll_sparse_max_bytes,
    };
}

static void trim_logs(void) { commandlog_trim(); }

static void keepalive_letter(struct letter *l) {
    mem_free(l);
    conns_keepalive();
}

static void apply_keepalive(void) {
    for (int i = 0; i < thread_worker_count; i++) {
        struct letter *l = mem_alloc(sizeof *l);
        l->run = keepalive_letter;
        worker_post(i, l);
    }
}

/* CONFIG SET maxclients needs as many file descriptors. */
static bool apply_maxclients(struct buf *why) {
    int64_t fit = process_files_for_clients(options.maxclients);
    if (fit == options.maxclients) return true;
    buf_printf(why,
               "The operating system is not able to handle the specified number of clients, try with %lld",
               (long long)fit);
    return false;
}

/* ---- what each worker does now and then ---- */

/* Expiry takes at most a quarter of a worker's time; the cycle stops early when little has expired. */
static int64_t expiry_budget_us(void) {
    int64_t hz = options.hz < 1 ? 1 : options.hz;
    return (25 + 2 * (options.active_expire_effort - 1)) * 10000 / hz;
}

static void cron(int64_t now_ms) {
    bool loading = obstacle_is_set(OBSTACLE_LOADING);
    if (!loading && !data_stands_still(now_ms)) {
        expiry_cycle(now_ms, expiry_budget_us(), change_flush_quietly);
        /* Evicts down to a lowered limit even if no command runs that would do it. */
        if (obstacle_is_set(OBSTACLE_MEMORY_LIMIT)) (void)eviction_make_room(now_ms, change_flush_quietly);
    }
    tracking_trim();
    if (worker_self() != 0) return;
    obstacle_set(OBSTACLE_DISK, journal_on && aof_is_failing());
    saving_cron(now_ms);
    stats_sample(clock_steady_us());
    stats_note_memory(mem_used(), now_ms);
}

/* ---- the data ---- */

bool setup_data(void) {
    struct buf error = { 0 };
    if (options.appendonly) saving_configure_journal();
    bool from_rdb = false, loaded = load_data(&from_rdb), opened = !options.appendonly;
    gate_enter();
    exclusive_begin();
    if (loaded && options.appendonly)
        opened = from_rdb ? aof_start_anew(saving_write_base, NULL, options.aof_use_rdb_preamble, &error)
                          : aof_open(&error);
    /* Not earlier: a write that no journal takes would be acknowledged and lost. */
    if (loaded && opened) obstacle_set(OBSTACLE_LOADING, false);
    exclusive_end();
    gate_leave();
    if (loaded && !opened) LOG_WARNING("Can't open the append only file: %.*s", SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
    return loaded && opened;
}

/* Bytes on their way to the disk are not data: evicting because of them would only add more. */
static size_t bytes_for_the_disk(void) {
    if (!journal_on && !snapshot_is_open()) return 0;
    struct snapshot_progress snapshot;
    struct aof_info aof;
    snapshot_progress(&snapshot);
    aof_info(&aof);
    return (size_t)aof.buffer_length + (size_t)snapshot.side_bytes;
}

/* ---- hooks ---- */

static void fill_hooks(void) {
    keyspace_hooks = (struct keyspace_hooks){ .made = change_made,
                                              .vanished = change_vanished,
                                              .elements_vanished = change_elements_vanished,
                                              .missed = change_missed };
    eviction_not_counted = bytes_for_the_disk;
    conn_fill_hooks(&client_hooks);
    blocking_hooks = (struct blocking_hooks){ .run = command_run, .done = command_done };
    options_hooks = (struct options_hooks){
        .rebind = listeners_reopen,
        .maxclients_changed = apply_maxclients,
        .appendonly_changed = apply_appendonly,
        .maxmemory_changed = apply_maxmemory,
        .keepalive_changed = apply_keepalive,
        .timers_changed = workers_retime,
        .logs_changed = trim_logs,
        .encodings_changed = apply_encodings,
        .appendfsync_changed = saving_tune_journal,
        .tracking_changed = tracking_trim,
    };
    server_hooks.describe_listeners = listeners_describe;
    server_hooks.reload_aof = load_aof_anew;
    server_hooks.reload_rdb = load_rdb_anew;
    shutdown_fill_hooks(&server_hooks);
    worker_set_cron(cron);
    worker_set_acceptor(listeners_accept);
}

static void *crypto_alloc(size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return size ? mem_alloc(size) : NULL;
}

static void *crypto_realloc(void *ptr, size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    if (size > 0) return mem_realloc(ptr, size);
    mem_free(ptr);
    return NULL;
}

static void crypto_free(void *ptr, const char *file, int line) {
    (void)file;
    (void)line;
    mem_free(ptr);
}

static void *event_alloc(size_t size) { return mem_alloc(size); }
static void *event_realloc(void *ptr, size_t size) { return mem_realloc(ptr, size); }

/* The libraries' memory counts too. Before they allocate anything. */
static void count_library_memory(void) {
    event_set_mem_functions(event_alloc, event_realloc, mem_free);
    if (!CRYPTO_set_mem_functions(crypto_alloc, crypto_realloc, crypto_free))
        LOG_DEBUG("OpenSSL had allocated memory before; its memory is not counted");
}

static void register_commands(void) {
    for (const struct command_group *g = command_groups; g->name; g++) {
        bool added = registry_add(g->name, g->rows);
        assert(added); /* two rows of ours share a name */
    }
}

bool setup_modules(void) {
    count_library_memory();
    server_facts_init();
    hash_init();
    clock_init();
    gates_init();
    if (!background_start()) return false;
    turn_now_ms = clock_wall_ms();
    keyspace_init((uint32_t)options.databases);
    register_commands();
    info_register();
    server_facts.clients_hz = CONNS_HZ;
    stats_init(registry_ids());
    fill_hooks();
    apply_maxmemory();
    apply_encodings();
    server_facts_ready();
    saving_init(server_facts.started_ms);
    obstacle_set(OBSTACLE_LOADING, true); /* until setup_data is done */
    return true;
}

/* ---- the end ---- */

bool setup_end(void) {
    saving_end();
    bool saved = !journal_on || aof_close();
    background_stop();
    rdb_libraries_clear();
    keyspace_release();
    stats_release();
    registry_release();
    metrics_release();
    return saved;
}
