/* info_server.c: INFO's sections about the process: server, clients, persistence, replication, cpu. */
#include "info.h"
#include "trivet/base/clock.h"
#include "trivet/base/lock.h"
#include "trivet/base/version.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/counters.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/snapshot/snapshot.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *supervised_name(void) {
    switch (options.supervised) {
    case SUPERVISED_SYSTEMD: return "systemd";
    case SUPERVISED_UPSTART: return "upstart";
    case SUPERVISED_AUTO: return getenv("NOTIFY_SOCKET") ? "systemd" : "no";
    default: return "no";
    }
}

/* What this program is and how it was made. */
static void write_build(struct buf *out) {
    struct utsname system;
    if (uname(&system) != 0) system = (struct utsname){ .sysname = "unknown" };
    buf_printf(out, "redis_version:%s" CRLF "server_name:trivet" CRLF "trivet_version:%s" CRLF,
               TRIVET_REDIS_VERSION, TRIVET_VERSION);
    buf_printf(out, "redis_git_sha1:00000000" CRLF "redis_git_dirty:0" CRLF);
    buf_printf(out, "redis_mode:standalone" CRLF "server_mode:standalone" CRLF);
    buf_printf(out, "os:%s %s %s" CRLF "arch_bits:%zu" CRLF, system.sysname, system.release, system.machine,
               sizeof(void *) * 8);
    buf_printf(out, "monotonic_clock:%s" CRLF "multiplexing_api:epoll" CRLF, clock_source());
    buf_printf(out, "gcc_version:%d.%d.%d" CRLF, __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
}

void info_server(const struct call *c, struct buf *out) {
    int64_t now_us = clock_wall_us();
    int64_t up_s = (clock_steady_us() - server_facts.started_steady_us) / 1000000;
    buf_append(out, LIT("# Server" CRLF));
    write_build(out);
    buf_printf(out, "process_id:%d" CRLF "process_supervised:%s" CRLF, (int)getpid(), supervised_name());
    buf_printf(out, "run_id:%s" CRLF "tcp_port:%lld" CRLF, server_facts.run_id, (long long)options.port);
    buf_printf(out, "server_time_usec:%lld" CRLF, (long long)now_us);
    buf_printf(out, "uptime_in_seconds:%lld" CRLF "uptime_in_days:%lld" CRLF, (long long)up_s,
               (long long)(up_s / 86400));
    buf_printf(out, "hz:%lld" CRLF "configured_hz:%lld" CRLF, (long long)options.hz, (long long)options.hz);
    buf_printf(out, "lru_clock:%lld" CRLF, (long long)(c->view.now_ms / 1000 & 0xffffff));
    buf_printf(out, "executable:%s" CRLF "config_file:%s" CRLF, server_facts.executable, options_file());
    buf_printf(out, "io_threads_active:%d" CRLF "availability_zone:%s" CRLF, thread_is_parallel(),
               options.availability_zone);
    server_hooks.describe_listeners(out);
}

void info_clients(const struct call *c, struct buf *out) {
    static const char *const paused[] = {
        [PAUSE_OFF] = "none", [PAUSE_WRITES] = "write", [PAUSE_ALL] = "all"
    };
    int64_t now_ms = c->view.now_ms;
    enum pause_mode mode = pause_mode_now(now_ms);
    buf_append(out, LIT("# Clients" CRLF));
    buf_printf(out, "connected_clients:%zu" CRLF "cluster_connections:0" CRLF, client_count());
    buf_printf(out, "maxclients:%lld" CRLF, (long long)options.maxclients);
    buf_printf(out, "client_recent_max_input_buffer:%zu" CRLF "client_recent_max_output_buffer:%zu" CRLF,
               clients_recent_max_input(), clients_recent_max_output());
    buf_printf(out, "blocked_clients:%zu" CRLF "tracking_clients:%zu" CRLF, blocking_count(),
               atomic_load(&tracking_clients));
    buf_printf(out, "pubsub_clients:%zu" CRLF "watching_clients:%zu" CRLF, pubsub_clients(),
               transaction_watching_clients());
    buf_printf(out, "clients_in_timeout_table:%zu" CRLF, blocking_timeout_count());
    buf_printf(out, "total_watched_keys:%zu" CRLF, transaction_watched_keys());
    buf_printf(out, "total_blocking_keys:%zu" CRLF, blocking_keys_count());
    buf_printf(out, "total_blocking_keys_on_nokey:0" CRLF);
    buf_printf(out, "paused_actions:%s" CRLF "paused_timeout_milliseconds:%lld" CRLF, paused[mode],
               (long long)(mode == PAUSE_OFF ? 0 : pause_left_ms(now_ms)));
}

/* ---- persistence ---- */

static void write_loading(struct buf *out, int64_t started_s, int64_t now_s) {
    uint64_t total = atomic_load_explicit(&loading_progress.total, memory_order_relaxed);
    uint64_t loaded = atomic_load_explicit(&loading_progress.loaded, memory_order_relaxed);
    if (total < loaded) total = loaded;
    uint64_t elapsed_s = now_s > started_s ? (uint64_t)(now_s - started_s) : 0;
    uint64_t eta_s = loaded ? (uint64_t)((double)elapsed_s * (double)(total - loaded) / (double)loaded) : 1;
    buf_printf(out, "loading_start_time:%lld" CRLF, (long long)started_s);
    buf_printf(out, "loading_total_bytes:%llu" CRLF "loading_loaded_bytes:%llu" CRLF,
               (unsigned long long)total, (unsigned long long)loaded);
    buf_printf(out, "loading_loaded_perc:%.2f" CRLF "loading_eta_seconds:%llu" CRLF,
               total ? (double)loaded / (double)total * 100 : 0, (unsigned long long)eta_s);
}

/* Nothing is forked: the names that clients know show the walk's progress, and the memory that it holds
 * beside the data. */
static void write_walk(struct buf *out) {
    struct snapshot_progress p;
    snapshot_progress(&p);
    unsigned long long total = p.open ? p.keys_total : 0, done = p.open ? p.keys_done : 0;
    buf_printf(out, "async_loading:0" CRLF "current_cow_peak:%llu" CRLF "current_cow_size:%llu" CRLF,
               p.open ? (unsigned long long)p.side_peak : 0, p.open ? (unsigned long long)p.side_bytes : 0);
    buf_printf(out, "current_cow_size_age:0" CRLF "current_fork_perc:%.2f" CRLF,
               total ? (double)done / (double)total * 100 : 0);
    buf_printf(out, "current_save_keys_processed:%llu" CRLF "current_save_keys_total:%llu" CRLF, done, total);
}

static long long running_s(const struct saving_kind *k, int64_t now_ms) {
    return k->began_ms ? (now_ms - k->began_ms) / 1000 : -1;
}

static const char *status_word(bool ok) { return ok ? "ok" : "err"; }

static void write_snapshots(struct buf *out, int64_t now_ms) {
    const struct saving_kind *k = &saving_status.snapshot;
    write_walk(out);
    buf_printf(out, "rdb_changes_since_last_save:%llu" CRLF "rdb_bgsave_in_progress:%d" CRLF,
               (unsigned long long)saving_changes(), k->began_ms != 0);
    buf_printf(out, "rdb_last_save_time:%lld" CRLF "rdb_last_bgsave_status:%s" CRLF,
               (long long)saving_status.last_save_s, status_word(k->last_ok));
    buf_printf(out, "rdb_last_bgsave_time_sec:%lld" CRLF "rdb_current_bgsave_time_sec:%lld" CRLF,
               (long long)k->last_took_s, running_s(k, now_ms));
    buf_printf(out, "rdb_saves:%llu" CRLF "rdb_last_cow_size:%llu" CRLF, (unsigned long long)k->done,
               (unsigned long long)k->last_side_bytes);
    uint64_t expired = atomic_load_explicit(&loading_progress.last_keys_expired, memory_order_relaxed);
    uint64_t loaded = atomic_load_explicit(&loading_progress.last_keys_loaded, memory_order_relaxed);
    buf_printf(out, "rdb_last_load_keys_expired:%llu" CRLF "rdb_last_load_keys_loaded:%llu" CRLF,
               (unsigned long long)expired, (unsigned long long)loaded);
}

static void write_rewrites(struct buf *out, bool enabled, int64_t now_ms) {
    const struct saving_kind *k = &saving_status.rewrite;
    buf_printf(out, "aof_enabled:%d" CRLF "aof_rewrite_in_progress:%d" CRLF "aof_rewrite_scheduled:%d" CRLF,
               enabled, k->began_ms != 0, k->scheduled);
    buf_printf(out, "aof_last_rewrite_time_sec:%lld" CRLF "aof_current_rewrite_time_sec:%lld" CRLF,
               (long long)k->last_took_s, running_s(k, now_ms));
    buf_printf(out, "aof_last_bgrewrite_status:%s" CRLF "aof_rewrites:%llu" CRLF, status_word(k->last_ok),
               (unsigned long long)k->done);
    buf_printf(out, "aof_rewrites_consecutive_failures:%llu" CRLF, (unsigned long long)k->failures);
}

static void write_aof(struct buf *out, int64_t now_ms) {
    struct aof_info aof;
    aof_info(&aof);
    bool enabled = aof.enabled || options.appendonly; /* also while the file is being loaded */
    write_rewrites(out, enabled, now_ms);
    buf_printf(out, "aof_last_write_status:%s" CRLF "aof_last_cow_size:%llu" CRLF,
               status_word(aof.last_write_ok), (unsigned long long)saving_status.rewrite.last_side_bytes);
    buf_printf(out, "module_fork_in_progress:0" CRLF "module_fork_last_cow_size:0" CRLF);
    if (!enabled) return;
    buf_printf(out, "aof_current_size:%llu" CRLF "aof_base_size:%llu" CRLF,
               (unsigned long long)aof.current_size, (unsigned long long)aof.base_size);
    buf_printf(out, "aof_pending_rewrite:%d" CRLF "aof_buffer_length:%llu" CRLF,
               saving_status.rewrite.scheduled, (unsigned long long)aof.buffer_length);
    buf_printf(out, "aof_pending_bio_fsync:%d" CRLF "aof_delayed_fsync:%llu" CRLF, aof.fsync_pending,
               (unsigned long long)aof.delayed_fsyncs);
}

void info_persistence(const struct call *c, struct buf *out) {
    int64_t loading_s = atomic_load_explicit(&loading_progress.started_s, memory_order_relaxed);
    buf_printf(out, "# Persistence" CRLF "loading:%d" CRLF, loading_s != 0);
    write_snapshots(out, c->view.now_ms);
    write_aof(out, c->view.now_ms);
    if (loading_s) write_loading(out, loading_s, c->view.now_ms / 1000);
}

/* ---- replication ---- */

/* Of a primary that never had a replica: nothing was sent, no backlog was made. */
void info_replication(const struct call *c, struct buf *out) {
    (void)c;
    buf_printf(out,
               "# Replication" CRLF "role:master" CRLF "connected_slaves:0" CRLF
               "replicas_waiting_psync:0" CRLF "master_failover_state:no-failover" CRLF
               "master_replid:%s" CRLF,
               server_facts.replid);
    buf_printf(out, "master_replid2:%040d" CRLF "master_repl_offset:0" CRLF "second_repl_offset:-1" CRLF, 0);
    buf_printf(out,
               "repl_backlog_active:0" CRLF "repl_backlog_size:%llu" CRLF
               "repl_backlog_first_byte_offset:0" CRLF "repl_backlog_histlen:0" CRLF,
               (unsigned long long)options.repl_backlog_size);
}

/* ---- cpu ---- */

static void write_times(struct buf *out, struct timeval system, struct timeval user, const char *suffix) {
    buf_printf(out, "used_cpu_sys%s:%ld.%06ld" CRLF, suffix, (long)system.tv_sec, (long)system.tv_usec);
    buf_printf(out, "used_cpu_user%s:%ld.%06ld" CRLF, suffix, (long)user.tv_sec, (long)user.tv_usec);
}

static struct timeval from_ticks(unsigned long ticks) {
    unsigned long per_second = (unsigned long)sysconf(_SC_CLK_TCK);
    return (struct timeval){ .tv_sec = (time_t)(ticks / per_second),
                             .tv_usec = (suseconds_t)(ticks % per_second * 1000000 / per_second) };
}

/* The main thread's own times, which only it could ask for directly: from its file in /proc. */
static bool read_main_thread(struct timeval *system, struct timeval *user) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
    FILE *f = fopen(path, "r");
    if (!f) return false;
    size_t len = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[len] = '\0';
    /* Field 2 is the name in parentheses and may hold anything; fields 14 and 15 are the times. */
    const char *behind_name = strrchr(line, ')');
    unsigned long user_ticks, system_ticks;
    if (!behind_name || sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                               &user_ticks, &system_ticks) != 2)
        return false;
    *user = from_ticks(user_ticks);
    *system = from_ticks(system_ticks);
    return true;
}

#define MAIN_THREAD_MAX_AGE_MS 100

/* The last reading, for clients that ask all at once. */
static struct {
    struct lock lock;
    int64_t read_ms;
    struct timeval system, user;
    bool known;
} main_thread = { .lock = LOCK_INIT(LOCK_RANK_LEAF) };

static bool main_thread_times(int64_t now_ms, struct timeval *system, struct timeval *user) {
    lock_take(&main_thread.lock);
    if (now_ms - main_thread.read_ms >= MAIN_THREAD_MAX_AGE_MS || now_ms < main_thread.read_ms) {
        main_thread.known = read_main_thread(&main_thread.system, &main_thread.user);
        main_thread.read_ms = now_ms;
    }
    *system = main_thread.system;
    *user = main_thread.user;
    bool known = main_thread.known;
    lock_drop(&main_thread.lock);
    return known;
}

void info_cpu(const struct call *c, struct buf *out) {
    struct rusage self = { 0 }, children = { 0 };
    struct timeval system, user;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    buf_append(out, LIT("# CPU" CRLF));
    write_times(out, self.ru_stime, self.ru_utime, "");
    write_times(out, children.ru_stime, children.ru_utime, "_children");
    if (main_thread_times(c->view.now_ms, &system, &user)) write_times(out, system, user, "_main_thread");
}
