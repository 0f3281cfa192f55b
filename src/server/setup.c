/* setup.c: the one file that knows every layer. It fills the hooks through which lower layers reach higher
 * ones, registers the commands, and carries the settings to the modules that keep copies of them. */
#include "trivet/server/setup.h"
#include "trivet/base/background.h"
#include "trivet/base/clock.h"
#include "trivet/base/hashing.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/slab.h"
#include "trivet/commands/groups.h"
#include "trivet/commands/keys/migrate_links.h"
#include "trivet/engine/access/access_log.h"
#include "trivet/engine/access/user_file.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/cluster/lost_slots.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/cluster/migrations.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/replication/failover.h"
#include "trivet/engine/replication/heartbeat.h"
#include "trivet/engine/replication/history.h"
#include "trivet/engine/replication/local_keys.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/sync.h"
#include "trivet/engine/replication/transfer.h"
#include "trivet/engine/replication/waiters.h"
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
#include "trivet/keyspace/compaction.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/expiry.h"
#include "trivet/keyspace/leaving.h"
#include "trivet/net/conn.h"
#include "trivet/net/listener.h"
#include "trivet/net/worker.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/persist/snapshot/snapshot.h"
#include "trivet/script/run/busy.h"
#include "trivet/script/store/functions.h"
#include "trivet/script/store/scripts.h"
#include "trivet/server/load.h"
#include "trivet/transport/tls.h"
#include "trivet/transport/tls_contexts.h"
#include "trivet/types/structures/encoding_limits.h"
#include "trivet/web/server.h"
#include <event2/event.h>
#include <openssl/crypto.h>
#include <string.h>

/* ---- settings that modules keep copies of ---- */

static uint64_t value_of(const struct database_list *list, uint32_t db, uint64_t otherwise) {
    const struct database_value *v = database_value_of(list, db);
    return v ? v->number : otherwise;
}

/* The caller's to free. Whether files hold a database is said by the setting if that is to be in force now,
 * and else it stays as it is. */
static struct database *own_settings(bool persistence_too) {
    struct database *rows = mem_alloc_zero(keyspace_databases() * sizeof *rows);
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        rows[db] = (struct database){
            .maxmemory = value_of(&options.db_maxmemory, db, 0),
            .policy =
                (unsigned)value_of(&options.db_maxmemory_policy, db, (uint64_t)options.maxmemory_policy),
            .is_volatile = persistence_too ? database_value_of(&options.db_persistence, db) != NULL
                                           : database_is_volatile(db),
        };
    return rows;
}

static void apply_memory(bool persistence_too) {
    if (options.maxmemory != eviction_settings.maxmemory) process_warn_about_memory();
    struct database *own = own_settings(persistence_too);
    struct eviction_settings settings = {
        .maxmemory = options.maxmemory,
        .policy = (unsigned)options.maxmemory_policy,
        .samples = (int)options.maxmemory_samples,
        .tenacity = (int)options.maxmemory_eviction_tenacity,
        .lfu_log_factor = (int)options.lfu_log_factor,
        .lfu_decay_minutes = (int)options.lfu_decay_time_min,
        .lazily = options.lazyfree_lazy_eviction,
    };
    eviction_configure(&settings, own, turn_now_ms);
    mem_free(own);
    obstacle_set(OBSTACLE_MEMORY_LIMIT, options.maxmemory > 0 || options.db_maxmemory.count > 0);
}

static void apply_maxmemory(void) { apply_memory(false); }

/* What is in a database when it begins to be saved is a change: no file has it. */
static bool apply_databases(struct buf *why) {
    bool changes = false;
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        bool was = database_is_volatile(db), is = database_value_of(&options.db_persistence, db);
        changes |= was != is;
        if (was && !is && !journal_on) COUNTER_ADD(counters_mine()->dirty, keyspace_count(db));
    }
    if (changes && journal_on) {
        buf_append(why, LIT("db-persistence can only change while appendonly is no"));
        return false;
    }
    apply_memory(true);
    aof_set_positions(!(database_differences & SOME_ARE_VOLATILE));
    return true;
}

static void apply_compaction(void) {
    compaction_settings = (struct compaction_settings){
        .active = options.activedefrag,
        .ignore_bytes = options.active_defrag_ignore_bytes,
        .lower = options.active_defrag_threshold_lower,
        .upper = options.active_defrag_threshold_upper,
        .cycle_min = options.active_defrag_cycle_min,
        .cycle_max = options.active_defrag_cycle_max,
        .bite_us = options.active_defrag_cycle_us,
    };
}

static bool apply_appendonly(bool on, struct buf *why) {
    if (on == journal_on) return true;
    if (on) return saving_start_journal(why);
    saving_journal_ends();
    bool closed = aof_close();
    waiters_wake(); /* who waits for the file waits in vain */
    return closed;
}

/* On the background thread, because the allocator's thread gets the priority of the one that starts it. */
static void set_purging(void *arg) { mem_purge_aside(arg != NULL); }

static void apply_allocator(void) {
    background_post(set_purging, options.jemalloc_bg_thread ? &options.jemalloc_bg_thread : NULL, 0);
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

static void apply_replication(void) {
    heartbeat_check_replicas();
    primary_check_stale();
}

static void trim_logs(void) {
    commandlog_trim();
    access_log_trim();
}

static void apply_password(void) { users_set_default_password(slice_of(options.password)); }

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

/* CONFIG SET metrics-port or metrics-bind. */
static bool apply_metrics(struct buf *why) {
    if (process_files_for_clients(options.maxclients) < options.maxclients)
        LOG_WARNING("The limit of open files is too low for maxclients and %d connections for metrics: raise "
                    "it with 'ulimit -n'.",
                    WEB_CONNECTIONS_MAX);
    struct buf reason = { 0 };
    bool done = web_listen(&reason);
    if (!done) buf_append(why, buf_slice(&reason));
    buf_release(&reason);
    return done;
}

static void describe_listeners(struct buf *out) {
    listeners_describe(out);
    web_describe(out);
}

static bool rename_command(struct slice name, struct slice fresh, struct buf *why) {
    static const char *const texts[] = {
        [RENAME_UNKNOWN] = "No such command in rename-command",
        [RENAME_TAKEN] = "Target command name already exists",
        [RENAME_IMPOSSIBLE] = "Target command name is too long, or has a zero byte or a line end",
    };
    enum registry_renamed outcome = registry_rename(name, fresh);
    if (outcome != RENAME_DONE) buf_append(why, slice_of(texts[outcome]));
    return outcome == RENAME_DONE;
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

/* Expiry takes at most a quarter of a worker's time; a cycle stops early when little has expired. */
static int64_t expiry_budget_us(void) {
    int64_t hz = options.hz < 1 ? 1 : options.hz;
    return (25 + 2 * (options.active_expire_effort - 1)) * 10000 / hz;
}

/* A replica may have a lower limit than its primary, if it is told to heed it. */
static bool replica_evicts(int64_t now_ms) {
    unsigned now = obstacles_now();
    return (now & OBSTACLE_REPLICA) && (now & OBSTACLE_MEMORY_LIMIT) && !options.replica_ignore_maxmemory &&
           !(now & OBSTACLE_BUSY) && !options.import_mode && pause_mode_now(now_ms) == PAUSE_OFF;
}

/* A replica that became a primary could not begin its append-only file: its writes would be lost. */
static bool journal_is_missing(void) {
    return options.appendonly && !primary_is_set() && !obstacle_is_set(OBSTACLE_LOADING);
}

static void cron(int64_t now_ms) {
    bool loading = obstacle_is_set(OBSTACLE_LOADING);
    if (!loading && !data_stands_still(now_ms)) {
        leaving_begin();
        expiry_begin(now_ms, expiry_budget_us());
        /* Evicts down to a lowered limit even if no command runs that would do it. */
        if (obstacle_is_set(OBSTACLE_MEMORY_LIMIT) && eviction_is_needed()) eviction_begin();
    } else if (!loading && replica_evicts(now_ms)) {
        eviction_make_room_everywhere(now_ms, change_flush_quietly);
    }
    tracking_trim();
    waiters_cron();
    migrate_links_cron(now_ms);
    if (worker_self() != 0) return;
    obstacle_set(OBSTACLE_DISK, journal_on ? aof_is_failing() : journal_is_missing());
    failover_cron(now_ms);
    primary_cron(now_ms);
    migrations_cron();
    lost_slots_cron();
    if (!loading && !(obstacles_now() & (OBSTACLE_BUSY | OBSTACLE_PAUSE))) local_keys_expire(now_ms);
    heartbeat_cron(now_ms);
    sync_cron(now_ms);
    saving_cron(now_ms);
    certificates_cron(now_ms);
    shutdown_cron();
    compaction_cron(now_ms);
    stats_sample(clock_steady_us());
    stats_note_memory(mem_used(), now_ms);
}

static bool chores_are_due(void) {
    return expiry_is_due() || eviction_is_due() || leaving_is_due() || migrations_are_due();
}

#define LEAVING_MOST_US 1000 /* nobody waits for these keys to go, however long the last turn was */

static void go_on_with_chores(int64_t now_ms, int64_t slice_us) {
    migrations_go_on(now_ms, slice_us);
    if (obstacle_is_set(OBSTACLE_LOADING) || data_stands_still(now_ms)) {
        expiry_give_up();
        eviction_give_up();
        leaving_give_up();
        return;
    }
    leaving_go_on(now_ms, slice_us < LEAVING_MOST_US ? slice_us : LEAVING_MOST_US,
                  options.lazyfree_lazy_server_del, change_flush_quietly);
    expiry_go_on(now_ms, slice_us, change_flush_quietly);
    eviction_go_on(now_ms, slice_us, change_flush_quietly);
    change_flush_quietly();
}

/* Entries move also while a pause or a primary keeps the data as it is: that does not change it. But not
 * while a script is in the middle of a command, and not before everything is loaded. */
static int64_t compact(int64_t now_ms) {
    if (obstacles_now() & (OBSTACLE_LOADING | OBSTACLE_BUSY)) return 0;
    return compaction_step(now_ms);
}

/* ---- the data ---- */

bool setup_data(void) {
    struct buf error = { 0 };
    struct loaded_data data;
    if (options.appendonly) saving_configure_journal();
    bool loaded = load_data(&data), opened = !options.appendonly;
    gate_enter();
    exclusive_begin();
    if (loaded) forget_volatile_databases();
    if (loaded && data.position.known && !(database_differences & SOME_ARE_VOLATILE))
        history_resume(&data.position, buf_slice(&data.stream), buf_slice(&data.unnoted));
    if (loaded && options.appendonly)
        opened = data.from_rdb ? aof_start_anew(saving_write_base, NULL, options.aof_use_rdb_preamble, &error)
                               : aof_open(&error);
    /* Not earlier: a write that no journal takes would be acknowledged and lost. */
    if (loaded && opened) obstacle_set(OBSTACLE_LOADING, false);
    if (loaded && opened) primary_start();
    if (loaded && opened && member) member_begin();
    exclusive_end();
    gate_leave();
    if (loaded && !opened) LOG_WARNING("Can't open the append only file: %.*s", SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
    buf_release(&data.stream);
    buf_release(&data.unnoted);
    return loaded && opened;
}

#define TAPE_SLACK ((size_t)128 * 1024) /* what blocks that are kept whole may add */

/* Of the stream, the backlog's own size counts: it is always there. */
static size_t bytes_for_replicas(void) {
    size_t stream = backlog_memory(), kept = (size_t)options.repl_backlog_size + TAPE_SLACK;
    return (stream > kept ? stream - kept : 0) + transfers_memory();
}

static size_t bytes_for_the_disk(void) {
    if (!journal_on && !snapshot_is_open()) return 0;
    struct snapshot_progress snapshot;
    struct aof_info aof;
    snapshot_progress(&snapshot);
    aof_info(&aof);
    return (size_t)aof.buffer_length + (size_t)snapshot.side_bytes;
}

/* Bytes on their way to the disk or to replicas are not data: evicting because of them would only add more.
 */
static size_t bytes_on_their_way(void) {
    size_t bytes = bytes_for_the_disk();
    return LIKELY(!backlog_is_open() && replicas_count() == 0) ? bytes : bytes + bytes_for_replicas();
}

/* ---- hooks ---- */

/* rdb_libraries.each. */
static void each_library(void (*visit)(void *arg, struct slice code), void *arg) {
    for (struct library *l = functions_first(); l; l = functions_after(l)) visit(arg, l->code);
}

static bool take_library(struct slice code, struct buf *error) {
    struct slice name;
    return functions_load(code, true, &name, error);
}

static void clear_libraries(void) { functions_flush(false); }

static bool replace_libraries(const struct slice *codes, size_t count, struct buf *error) {
    return functions_load_all(codes, count, RESTORE_FLUSH, error);
}

static void fill_hooks(void) {
    keyspace_hooks = (struct keyspace_hooks){ .made = change_made,
                                              .vanished = change_vanished,
                                              .elements_vanished = change_elements_vanished,
                                              .dated = local_keys_note,
                                              .missed = change_missed };
    eviction_not_counted = bytes_on_their_way;
    conn_fill_hooks(&client_hooks);
    client_hooks.behind = replica_client_lag;
    blocking_hooks = (struct blocking_hooks){ .run = command_run, .done = command_done };
    options_hooks = (struct options_hooks){
        .rename_command = rename_command,
        .user_line = user_lines_add,
        .each_user = user_lines_each,
        .password_changed = apply_password,
        .rebind = listeners_reopen,
        .tls_changed = certificates_changed,
        .metrics_changed = apply_metrics,
        .maxclients_changed = apply_maxclients,
        .appendonly_changed = apply_appendonly,
        .databases_changed = apply_databases,
        .maxmemory_changed = apply_maxmemory,
        .compaction_changed = apply_compaction,
        .keepalive_changed = apply_keepalive,
        .timers_changed = workers_retime,
        .logs_changed = trim_logs,
        .allocator_changed = apply_allocator,
        .encodings_changed = apply_encodings,
        .appendfsync_changed = saving_tune_journal,
        .tracking_changed = tracking_trim,
        .title_changed = process_set_title,
        .cluster_changed = member_settings_changed,
        .replication_changed = apply_replication,
    };
    rdb_libraries = (struct rdb_libraries){
        .each = each_library, .take = take_library, .clear = clear_libraries, .replace = replace_libraries
    };
    rdb_imports = (struct rdb_imports){ .any = migrations_any_import, .each = migrations_each_import };
    script_hooks =
        (struct script_hooks){ .take_turn = worker_turn_meanwhile, .is_shutting_down = shutdown_has_begun };
    server_hooks.describe_listeners = describe_listeners;
    primary_hooks = (struct primary_hooks){ .load = load_from_primary,
                                            .adopt = conn_adopt,
                                            .node_id = member_name,
                                            .run_between_turns = worker_run_between_turns };
    server_hooks.reload_aof = load_aof_anew;
    server_hooks.reload_rdb = load_rdb_anew;
    shutdown_fill_hooks(&server_hooks);
    migrations_start();
    worker_set_cron(cron);
    worker_set_chores((struct worker_chores){ .are_due = chores_are_due, .go_on = go_on_with_chores });
    worker_set_slow_chore(compact);
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

void setup_commands(void) {
    assert(registry_count() == 0);
    count_library_memory();
    hash_init();
    register_commands();
    fill_hooks();
}

/* Under a sanitizer each entry is a block of malloc's, so that it sees who uses one that was freed. */
static void reserve_slabs(void) {
#ifndef TRIVET_SANITIZE
    if (!slab_init(slab_reserve_by_default()))
        LOG_WARNING(
            "The system has no address space for slabs (is there a ulimit -v?): keys take more memory");
#endif
}

bool setup_modules(void) {
    if (registry_count() == 0) setup_commands();
    server_facts_init();
    clock_init();
    gates_init();
    if (!background_start()) return false;
    turn_now_ms = clock_wall_ms();
    bool is_node = options.cluster_enabled;
    reserve_slabs();
    keyspace_init((uint32_t)(is_node ? options.cluster_databases : options.databases), is_node);
    users_init();
    apply_password();
    info_register();
    server_facts.clients_hz = CONNS_HZ;
    stats_init(registry_ids());
    struct buf why = { 0 };
    bool applied = apply_databases(&why);
    assert(applied); /* no append-only file is open yet */
    apply_allocator();
    apply_compaction();
    apply_encodings();
    server_facts_ready();
    scripts_init();
    functions_init();
    replication_ids_renew();
    saving_init(server_facts.started_ms);
    obstacle_set(OBSTACLE_LOADING, true); /* until setup_data is done */
    return true;
}

/* ---- the end ---- */

bool setup_end(void) {
    saving_end();
    web_release();
    member_stop();
    migrate_links_release();
    bool saved = !journal_on || aof_close();
    background_stop();
    users_release();
    user_lines_release();
    access_log_reset();
    functions_release();
    scripts_release();
    local_keys_forget();
    keyspace_release();
    stats_release();
    registry_release();
    metrics_release();
    tls_thread_release(); /* of links that were closed here */
    tls_contexts_release();
    return saved;
}
