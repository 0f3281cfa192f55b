/* info_server.c: INFO's sections about the process and its connections: server, clients, cluster. */
#include "info.h"
#include "trivet/base/clock.h"
#include "trivet/base/version.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/settings/options.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- server ---- */

struct server_sample {
    char os_text[256], gcc_text[32];
    const char *redis_version, *server_name, *trivet_version, *git_sha1, *build_id, *mode, *os, *clock, *api,
        *gcc, *supervised, *run_id, *executable, *config_file, *zone;
    int64_t git_dirty, arch_bits, pid, port, time_us, up_s, up_days, hz, clients_hz, lru_clock,
        threads_active;
};

static const char *supervised_name(void) {
    switch (options.supervised) {
    case SUPERVISED_SYSTEMD: return "systemd";
    case SUPERVISED_UPSTART: return "upstart";
    case SUPERVISED_AUTO: return getenv("NOTIFY_SOCKET") ? "systemd" : "no";
    default: return "no";
    }
}

/* What this program is and how it was made. */
static void sample_build(struct server_sample *s) {
    struct utsname system;
    if (uname(&system) != 0) system = (struct utsname){ .sysname = "unknown" };
    snprintf(s->os_text, sizeof s->os_text, "%s %s %s", system.sysname, system.release, system.machine);
    snprintf(s->gcc_text, sizeof s->gcc_text, "%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    s->redis_version = TRIVET_REDIS_VERSION;
    s->server_name = "trivet";
    s->trivet_version = TRIVET_VERSION;
    s->git_sha1 = "00000000"; /* not known to the build */
    s->build_id = server_facts.build_id;
    s->mode = options.cluster_enabled ? "cluster" : "standalone";
    s->os = s->os_text;
    s->arch_bits = (int64_t)sizeof(void *) * 8;
    s->clock = clock_source();
    s->api = "epoll";
    s->gcc = s->gcc_text;
}

static bool sample_server(int64_t now_ms, void *into) {
    struct server_sample *s = into;
    sample_build(s);
    s->pid = getpid();
    s->supervised = supervised_name();
    s->run_id = server_facts.run_id;
    s->port = options.port ? options.port : options.tls_port;
    s->time_us = clock_wall_us();
    s->up_s = (clock_steady_us() - server_facts.started_steady_us) / 1000000;
    s->up_days = s->up_s / 86400;
    s->hz = options.hz;
    s->clients_hz = server_facts.clients_hz;
    s->lru_clock = now_ms / 1000 & 0xffffff;
    s->executable = server_facts.executable;
    s->config_file = options_file();
    s->threads_active = thread_is_parallel();
    s->zone = options.availability_zone;
    return true;
}

#define TEXT(field) .kind = METRIC_TEXT, .form = FORM_STRING, SAMPLED(struct server_sample, field)
#define FACT(field) .kind = METRIC_GAUGE, .form = FORM_SIGNED, SAMPLED(struct server_sample, field)

static const struct metric server_rows[] = {
    { "redis_version", "The version of Redis whose commands this server has.", TEXT(redis_version) },
    { "server_name", "The name of this server.", TEXT(server_name) },
    { "trivet_version", "The version of this server.", TEXT(trivet_version) },
    { "redis_git_sha1", "The commit it was built from.", TEXT(git_sha1) },
    { "redis_git_dirty", "1 if the commit does not tell all.", FACT(git_dirty) },
    { "redis_build_id", "Different for each build.", TEXT(build_id) },
    { "redis_mode", "standalone.", TEXT(mode) },
    { "server_mode", "standalone.", TEXT(mode) },
    { "os", "The operating system.", TEXT(os) },
    { "arch_bits", "Bits of a pointer.", "bits", FACT(arch_bits) },
    { "monotonic_clock", "The clock that durations are measured by.", TEXT(clock) },
    { "multiplexing_api", "How events of sockets are waited for.", TEXT(api) },
    { "gcc_version", "The compiler.", TEXT(gcc) },
    { "process_id", "The number of the process.", FACT(pid) },
    { "process_supervised", "Who supervises it.", TEXT(supervised) },
    { "run_id", "Drawn at each start.", TEXT(run_id) },
    { "tcp_port", "The port, or else the TLS port; 0 if there is neither.", FACT(port) },
    { "server_time_usec", "The wall clock, unix time.", "microseconds", FACT(time_us) },
    { "uptime_in_seconds", "Time since the start.", "seconds", FACT(up_s) },
    { "uptime_in_days", "Time since the start.", "days", FACT(up_days) },
    { "hz", "How often a second the periodic work is done.", FACT(hz) },
    { "configured_hz", "The setting hz.", FACT(hz) },
    { "clients_hz", "How often a second each client is looked after.", FACT(clients_hz) },
    { "lru_clock", "The clock of the eviction, modulo 2^24.", "seconds", FACT(lru_clock) },
    { "executable", "The path of the program.", TEXT(executable) },
    { "config_file", "The path of the configuration file.", TEXT(config_file) },
    { "io_threads_active", "1 if there are several workers.", FACT(threads_active) },
    { "availability_zone", "The setting availability-zone.", TEXT(zone) },
    { NULL },
};
#undef TEXT
#undef FACT

const struct metric_table info_server = { "Server", server_rows, sizeof(struct server_sample), sample_server,
                                          NULL };

/* ---- while a shutdown waits for replicas ---- */

static bool sample_shutdown(int64_t now_ms, void *into) {
    int64_t left_ms = server_hooks.shutdown_left_ms(now_ms);
    if (left_ms >= 0) *(int64_t *)into = left_ms;
    return left_ms >= 0;
}

static const struct metric shutdown_rows[] = {
    { "shutdown_in_milliseconds", "How long a shutdown still waits for replicas.",
      "milliseconds", .kind = METRIC_GAUGE,
      .form = FORM_SIGNED, .source = FROM_SAMPLE },
    { NULL },
};

const struct metric_table info_shutdown = { "Server", shutdown_rows, sizeof(int64_t), sample_shutdown, NULL };

/* ---- clients ---- */

struct clients_sample {
    uint64_t connected, maxclients, blocked, tracking, subscribed, watching, timeouts, watched_keys,
        strangers, blocking_keys, blocking_keys_on_nokey, paused_ms, recent_input, recent_output;
    const char *paused_reason, *paused;
};

static uint64_t clients_but_replicas(void) {
    size_t clients = client_count(), replicas = replicas_count(); /* not of one moment */
    return clients > replicas ? clients - replicas : 0;
}

static bool sample_clients(int64_t now_ms, void *into) {
    static const char *const paused[] = {
        [PAUSE_OFF] = "none", [PAUSE_WRITES] = "write", [PAUSE_ALL] = "all"
    };
    static const char *const reasons[] = { [PAUSE_BY_CLIENT] = "client_pause",
                                           [PAUSE_FOR_SHUTDOWN] = "shutdown_in_progress",
                                           [PAUSE_FOR_FAILOVER] = "failover_in_progress",
                                           [PAUSE_PURPOSES] = "none" };
    enum pause_mode mode = pause_mode_now(now_ms);
    *(struct clients_sample *)into = (struct clients_sample){
        .connected = clients_but_replicas(),
        .strangers = (uint64_t)atomic_load(&client_strangers),
        .maxclients = (uint64_t)options.maxclients,
        .recent_input = clients_recent_max_input(),
        .recent_output = clients_recent_max_output(),
        .blocked = blocking_count(),
        .tracking = atomic_load(&tracking_clients),
        .subscribed = pubsub_clients(),
        .watching = transaction_watching_clients(),
        .timeouts = blocking_timeout_count(),
        .watched_keys = transaction_watched_keys(),
        .blocking_keys = blocking_keys_count(),
        .blocking_keys_on_nokey = blocking_absence_keys_count(),
        .paused_reason = reasons[pause_purpose_now(now_ms)],
        .paused = paused[mode],
        .paused_ms = mode == PAUSE_OFF ? 0 : (uint64_t)pause_left_ms(now_ms),
    };
    return true;
}

#define GAUGE(field) .kind = METRIC_GAUGE, .form = FORM_NUMBER, SAMPLED(struct clients_sample, field)

static const struct metric client_rows[] = {
    { "connected_clients", "Connections but those of replicas.", GAUGE(connected) },
    { "cluster_connections", "Connections to and from other nodes.", .kind = METRIC_GAUGE,
      .source = FROM_NOTHING },
    { "maxclients", "The setting maxclients.", GAUGE(maxclients) },
    { "client_recent_max_input_buffer", "The biggest input of a client, lately.", "bytes",
      GAUGE(recent_input) },
    { "client_recent_max_output_buffer", "The biggest output of a client, lately.", "bytes",
      GAUGE(recent_output) },
    { "blocked_clients", "Clients that wait in a blocking command.", GAUGE(blocked) },
    { "tracking_clients", "Clients that track keys.", GAUGE(tracking) },
    { "pubsub_clients", "Clients with subscriptions.", GAUGE(subscribed) },
    { "watching_clients", "Clients that watch keys.", GAUGE(watching) },
    { "clients_in_timeout_table", "Blocked clients with a timeout.", GAUGE(timeouts) },
    { "total_watched_keys", "Keys that are watched.", GAUGE(watched_keys) },
    { "total_blocking_keys", "Keys that are waited for.", GAUGE(blocking_keys) },
    { "total_blocking_keys_on_nokey", "Keys whose end is waited for.", GAUGE(blocking_keys_on_nokey) },
    { "paused_reason", "Why commands are held back.", .kind = METRIC_TEXT, .form = FORM_STRING,
      SAMPLED(struct clients_sample, paused_reason) },
    { "paused_actions", "What CLIENT PAUSE holds back: none, write, all.", .kind = METRIC_TEXT,
      .form = FORM_STRING, SAMPLED(struct clients_sample, paused) },
    { "paused_timeout_milliseconds", "What is left of CLIENT PAUSE.", "milliseconds", GAUGE(paused_ms) },
    /* Trivet's own. */
    { "unauthenticated_clients", "Clients that must authenticate and have not.", GAUGE(strangers) },
    { NULL },
};
#undef GAUGE

const struct metric_table info_clients = { "Clients", client_rows, sizeof(struct clients_sample),
                                           sample_clients, NULL };

/* ---- cluster ---- */

static bool sample_cluster(int64_t now_ms, void *into) {
    (void)now_ms;
    *(uint64_t *)into = options.cluster_enabled;
    return true;
}

static const struct metric cluster_rows[] = {
    { "cluster_enabled", "The setting cluster-enabled.", .kind = METRIC_GAUGE, .source = FROM_SAMPLE },
    { NULL },
};

const struct metric_table info_cluster = { "Cluster", cluster_rows, sizeof(uint64_t), sample_cluster, NULL };
