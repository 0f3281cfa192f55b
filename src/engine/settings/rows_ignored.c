/* rows_ignored.c: settings of Valkey that have no effect here. They are read, checked, kept and shown, so
 * that config files and tools work; naming one at start-up logs a warning. Each row has an unnamed cell for
 * its value. */
#include "rows.h"

#define KEPT(more) .flags = OPTION_NO_EFFECT | (more)
#define FIXED OPTION_IMMUTABLE
#define KEEP_BOOL(text, value) \
    ROW(text, OPTION_BOOL, value), .flag = &(bool) { false }
#define KEEP_INT(text, value, low, high) \
    ROW(text, OPTION_INT, value), .number = &(int64_t){ 0 }, .min = (low), .max = (high)
#define KEEP_MEMORY(text, value, low, high) \
    ROW(text, OPTION_MEMORY, value), .size = &(uint64_t){ 0 }, .min = (low), .max = (high)
#define KEEP_ENUM(title, value, table) ROW(title, OPTION_ENUM, value), .choice = &(int){ 0 }, .names = (table)
#define KEEP_STRING(title, value) \
    ROW(title, OPTION_STRING, value), .text = &(char *) { NULL }

static const struct option_name oom_choices[] = {
    { "no", 0 }, { "yes", 1 }, { "relative", 1 }, { "absolute", 2 }, { NULL, 0 }
};

const struct option options_table_ignored[] = {
    /* Tables and allocator take care of themselves; compaction moves whole entries, not fields. */
    { KEEP_INT("active-defrag-max-scan-fields", "1000", 1, MAX_ANY), KEPT(0) },
    { KEEP_BOOL("activerehashing", "yes"), KEPT(0) },
    { KEEP_STRING("hash-seed", ""), KEPT(FIXED) },

    /* Threads and processes: workers are chosen by io-threads, and nothing forks. */
    { KEEP_STRING("aof-rewrite-cpulist", ""), KEPT(FIXED) },
    { KEEP_STRING("bgsave-cpulist", ""), KEPT(FIXED) },
    { KEEP_STRING("bio-cpulist", ""), KEPT(FIXED) },
    { KEEP_STRING("server-cpulist", ""), KEPT(FIXED) },
    { ALIAS("aof_rewrite_cpulist", "aof-rewrite-cpulist") },
    { ALIAS("bgsave_cpulist", "bgsave-cpulist") },
    { ALIAS("bio_cpulist", "bio-cpulist") },
    { ALIAS("server_cpulist", "server-cpulist") },
    { KEEP_INT("prefetch-batch-max-size", "16", 0, 128), KEPT(0) },
    { KEEP_INT("events-per-io-thread", "2", 0, MAX_INT), KEPT(OPTION_HIDDEN) },
    { KEEP_BOOL("io-threads-always-active", "no"), KEPT(OPTION_HIDDEN) },
    { KEEP_INT("min-io-threads-avoid-copy-reply", "7", 0, MAX_INT), KEPT(OPTION_HIDDEN) },
    { KEEP_INT("min-string-size-avoid-copy-reply", "16384", 0, MAX_INT), KEPT(OPTION_HIDDEN) },
    { KEEP_INT("min-string-size-avoid-copy-reply-threaded", "65536", 0, MAX_INT), KEPT(OPTION_HIDDEN) },
    { KEEP_BOOL("dynamic-hz", "yes"), KEPT(0) },
    { KEEP_STRING("bgsave-default-method", "fork"), KEPT(0) },
    { KEEP_BOOL("forkless-infrastructure-enabled", "no"), KEPT(0) },
    { KEEP_ENUM("oom-score-adj", "no", oom_choices), KEPT(0) },
    { SPECIAL("oom-score-adj-values", form_oom_values, "0 200 800"), KEPT(OPTION_MULTI_ARG) },
    { KEEP_BOOL("disable-thp", "yes"), KEPT(FIXED) },
    { KEEP_BOOL("always-show-logo", "no"), KEPT(FIXED) },
    { KEEP_BOOL("crash-memcheck-enabled", "yes"), KEPT(0) },
    { KEEP_INT("watchdog-period", "0", 0, MAX_INT), KEPT(OPTION_HIDDEN) },
    { KEEP_BOOL("use-exit-on-panic", "no"), KEPT(OPTION_HIDDEN) },
    { KEEP_BOOL("enable-debug-assert", "no"), KEPT(FIXED | OPTION_HIDDEN) },
    { KEEP_STRING("debug-context", ""), KEPT(OPTION_HIDDEN) },
    { KEEP_BOOL("aof-disable-auto-gc", "no"), KEPT(OPTION_HIDDEN) },
    { KEEP_INT("loading-process-events-interval-bytes", "2097152", 1024, MAX_INT), KEPT(OPTION_HIDDEN) },

    /* Transports that are not built in. */
    { KEEP_INT("socket-mark-id", "0", 0, UINT32_MAX), KEPT(FIXED) },
    { KEEP_BOOL("mptcp", "no"), KEPT(FIXED) },
    { KEEP_BOOL("repl-mptcp", "no"), KEPT(0) },
    { SPECIAL("rdma-bind", form_rdma_bind, ""), KEPT(OPTION_MULTI_ARG) },
    { KEEP_INT("rdma-completion-vector", "-1", -1, 1024), KEPT(FIXED) },
    { KEEP_INT("rdma-port", "0", 0, 65535), KEPT(0) },
    { KEEP_INT("rdma-rx-size", "1048576", 65536, 16777216), KEPT(FIXED) },

    /* Cluster, and replication beyond one stream. */
    { KEEP_BOOL("dual-channel-replication-enabled", "no"), KEPT(0) },
    { .name = NULL },
};
