/* rows_server.c: the settings of the server itself: network, process, log, access, and what is watched.
 *
 * To add one: a field in struct options, a row here. Rows need no order. Names, defaults, ranges and texts
 * are those of Valkey, so that its config files and clients work; comments mark Trivet's own settings. */
#include "rows.h"

#include "trivet/base/log.h"
#include <syslog.h>

static const struct option_name guards[] = {
    { "no", GUARD_NO }, { "yes", GUARD_YES }, { "local", GUARD_LOCAL }, { NULL, 0 }
};
static const struct option_name supervisors[] = {
    { "upstart", SUPERVISED_UPSTART },
    { "systemd", SUPERVISED_SYSTEMD },
    { "auto", SUPERVISED_AUTO },
    { "no", SUPERVISED_NO },
    { NULL, 0 },
};
static const struct option_name log_levels[] = {
    { "debug", LOG_LEVEL_DEBUG },     { "verbose", LOG_LEVEL_VERBOSE }, { "notice", LOG_LEVEL_NOTICE },
    { "warning", LOG_LEVEL_WARNING }, { "nothing", LOG_LEVEL_NOTHING }, { NULL, 0 },
};
static const struct option_name log_formats[] = {
    { "legacy", LOG_FORMAT_LEGACY }, { "logfmt", LOG_FORMAT_LOGFMT }, { "json", LOG_FORMAT_JSON }, { NULL, 0 }
};
static const struct option_name log_timestamps[] = {
    { "legacy", LOG_TIMESTAMP_LEGACY },
    { "iso8601", LOG_TIMESTAMP_ISO8601 },
    { "milliseconds", LOG_TIMESTAMP_MILLISECONDS },
    { NULL, 0 },
};
static const struct option_name facilities[] = {
    { "user", LOG_USER },     { "local0", LOG_LOCAL0 },
    { "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
    { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },
    { "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 },
    { "local7", LOG_LOCAL7 }, { NULL, 0 },
};
static const struct option_name channels[] = { { "allchannels", 0 }, { "resetchannels", 1 }, { NULL, 0 } };
static const struct option_name shutdowns[] = {
    { "default", 0 },
    { "save", SHUTDOWN_ON_SAVE },
    { "nosave", SHUTDOWN_ON_NOSAVE },
    { "now", SHUTDOWN_ON_NOW },
    { "force", SHUTDOWN_ON_FORCE },
    { "safe", SHUTDOWN_ON_SAFE },
    { "failover", SHUTDOWN_ON_FAILOVER },
    { NULL, 0 },
};

const struct option options_table_server[] = {
    /* Network. */
    { SPECIAL("bind", form_bind, "* -::*"), .flags = OPTION_MULTI_ARG, .apply = apply_bind },
    { INT("port", port, "6379", 0, 65535), .apply = apply_port },
    { STRING("unixsocket", unixsocket, ""), .flags = OPTION_IMMUTABLE },
    { STRING("unixsocketgroup", unixsocketgroup, ""), .flags = OPTION_IMMUTABLE },
    { ROW("unixsocketperm", OPTION_OCTAL, "0"), .number = &options.unixsocketperm, .max = 0777,
      .flags = OPTION_IMMUTABLE },
    { INT("tcp-backlog", tcp_backlog, "511", 0, MAX_INT), .flags = OPTION_IMMUTABLE },
    { INT("tcp-keepalive", tcp_keepalive_s, "300", 0, MAX_INT), .apply = apply_keepalive },
    { INT("timeout", timeout_s, "0", 0, MAX_INT) },
    { BOOL("protected-mode", protected_mode, "yes") },
    { INT("maxclients", maxclients, "10000", 1, UINT32_MAX), .apply = apply_maxclients },
    /* Trivet's own: how many clients that must authenticate and never did there may be, and for how long. */
    { INT("max-unauthenticated-clients", max_unauthenticated_clients, "0", 0, MAX_INT) },
    { INT("unauthenticated-timeout", unauthenticated_timeout_s, "60", 0, MAX_INT) },
    { INT("max-new-connections-per-cycle", max_new_connections_per_cycle, "10", 1, 1000) },
    /* The number of workers. 0: one for each core, at most 4; CONFIG GET shows the resulting number. */
    { INT("io-threads", io_threads_wanted, "0", 0, 256), .flags = OPTION_IMMUTABLE, .show = show_io_threads },
    { STRING("bind-source-addr", bind_source_addr, "") },
    { STRING("availability-zone", availability_zone, ""), .apply = apply_cluster },
    /* Trivet's own: metrics over HTTP. With a file, its first line is the password for them. */
    { INT("metrics-port", metrics_port, "0", 0, 65535), .apply = apply_metrics },
    { SPECIAL("metrics-bind", form_metrics_bind, "127.0.0.1 -::1"), .flags = OPTION_MULTI_ARG,
      .apply = apply_metrics },
    { STRING("metrics-password-file", metrics_password_file, ""), .apply = apply_metrics_password },

    /* Process. */
    { BOOL("daemonize", daemonize, "no"), .flags = OPTION_IMMUTABLE },
    { ENUM("supervised", supervised, "no", supervisors), .flags = OPTION_IMMUTABLE },
    { STRING("pidfile", pidfile, ""), .flags = OPTION_IMMUTABLE },
    { SPECIAL("dir", form_dir, "."), .flags = OPTION_PROTECTED | OPTION_NOT_LOADING },
    { BOOL("crash-log-enabled", crash_log_enabled, "yes") },
    { BOOL("set-proc-title", set_proc_title, "yes"), .flags = OPTION_IMMUTABLE },
    { STRING("proc-title-template", proc_title_template, "{title} {listen-addr} {server-mode}"),
      .check = check_title_template, .apply = apply_title },
    { INT("hz", hz, "10", 0, MAX_INT), .apply = apply_timers },
    { INT("shutdown-timeout", shutdown_timeout_s, "10", 0, MAX_INT) },
    { BITS("shutdown-on-sigint", shutdown_on_sigint, "default", shutdowns), .flags = OPTION_MULTI_ARG,
      .apply = apply_shutdown_on_signal },
    { BITS("shutdown-on-sigterm", shutdown_on_sigterm, "default", shutdowns), .flags = OPTION_MULTI_ARG,
      .apply = apply_shutdown_on_signal },
    { STRING("locale-collate", locale_collate, ""), .check = check_locale, .flags = OPTION_NO_EFFECT },
    { BOOL("extended-redis-compatibility", extended_redis_compatibility, "no") },
    { INT("databases", databases, "16", 1, MAX_INT), .flags = OPTION_IMMUTABLE },
    { INT("busy-reply-threshold", busy_reply_threshold_ms, "5000", 0, MAX_ANY) },
    { ALIAS("lua-time-limit", "busy-reply-threshold") },
    /* Trivet's own: what the interpreter may allocate for a script; more is an error in it. */
    { MEMORY("script-memory-limit", script_memory_limit, "536870912", 1048576, MAX_ANY) },
    { STRING("ignore-warnings", ignore_warnings, ""), .flags = OPTION_NO_EFFECT },

    /* Log. */
    /* Not immutable as with Valkey; but who may change it may write to any file that the server may. */
    { STRING("logfile", logfile, ""), .flags = OPTION_PROTECTED, .apply = apply_logfile },
    { ENUM("loglevel", loglevel, "notice", log_levels), .apply = apply_log_form },
    { ENUM("log-format", log_format, "legacy", log_formats), .apply = apply_log_form },
    { ENUM("log-timestamp-format", log_timestamp_format, "legacy", log_timestamps), .apply = apply_log_form },
    { BOOL("hide-user-data-from-log", hide_user_data_from_log, "yes") },
    { BOOL("syslog-enabled", syslog_enabled, "no"), .flags = OPTION_IMMUTABLE },
    { STRING("syslog-ident", syslog_ident, "trivet"), .flags = OPTION_IMMUTABLE },
    { ENUM("syslog-facility", syslog_facility, "local0", facilities), .flags = OPTION_IMMUTABLE },

    /* Access. requirepass-file is Trivet's own: its first line is the password. */
    { STRING("requirepass", requirepass, ""), .flags = OPTION_SENSITIVE, .apply = apply_password,
      .show = show_password },
    { STRING("requirepass-file", requirepass_file, ""), .apply = apply_password },
    { ENUM("acl-pubsub-default", acl_pubsub_resetchannels, "resetchannels", channels) },
    { STRING("aclfile", aclfile, ""), .flags = OPTION_IMMUTABLE },
    { INT("acllog-max-len", acllog_max_len, "128", 0, MAX_ANY), .apply = apply_logs },
    { ENUM("enable-debug-command", enable_debug_command, "no", guards), .flags = OPTION_IMMUTABLE },
    { ENUM("enable-module-command", enable_module_command, "no", guards), .flags = OPTION_IMMUTABLE },
    { ENUM("enable-protected-configs", enable_protected_configs, "no", guards), .flags = OPTION_IMMUTABLE },

    /* What is watched. */
    { SPECIAL("notify-keyspace-events", form_notify, "") },
    { INT("commandlog-execution-slower-than", slow_execution_us, "10000", -1, MAX_ANY), .apply = apply_logs },
    { INT("commandlog-slow-execution-max-len", slow_execution_max_len, "128", 0, MAX_ANY),
      .apply = apply_logs },
    { INT("commandlog-request-larger-than", large_request_bytes, "1048576", -1, MAX_ANY),
      .apply = apply_logs },
    { INT("commandlog-large-request-max-len", large_request_max_len, "128", 0, MAX_ANY),
      .apply = apply_logs },
    { INT("commandlog-reply-larger-than", large_reply_bytes, "1048576", -1, MAX_ANY), .apply = apply_logs },
    { INT("commandlog-large-reply-max-len", large_reply_max_len, "128", 0, MAX_ANY), .apply = apply_logs },
    { ALIAS("slowlog-log-slower-than", "commandlog-execution-slower-than") },
    { ALIAS("slowlog-max-len", "commandlog-slow-execution-max-len") },
    { INT("latency-monitor-threshold", latency_monitor_threshold_ms, "0", 0, MAX_ANY), .apply = apply_logs },
    { BOOL("latency-tracking", latency_tracking, "yes"), .apply = apply_logs },
    { SPECIAL("latency-tracking-info-percentiles", form_percentiles, "50 99 99.9"),
      .flags = OPTION_MULTI_ARG },
    { .name = NULL },
};
