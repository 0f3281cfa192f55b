/* options.h: the server's settings: CONFIG GET and SET, config files, the command line.
 *
 * Every setting is one row (struct option) that names its text form, its limits and where its value lives: a
 * typed field of the one `options` below, or, for settings that have no effect here, a cell of its own. Text
 * is read and written through the rows; code reads the fields.
 *
 * Thread: values change at start-up, before any worker, and later only in exclusive commands (every other
 * worker parked), so workers read fields without a lock. Strings are owned here, never NULL, and valid until
 * the next change: to keep one longer than a command, copy it. */
#ifndef TRIVET_ENGINE_SETTINGS_OPTIONS_H
#define TRIVET_ENGINE_SETTINGS_OPTIONS_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include "trivet/engine/settings/client_class.h"
#include <stdbool.h>
#include <stdint.h>

enum appendfsync { APPENDFSYNC_EVERYSEC, APPENDFSYNC_ALWAYS, APPENDFSYNC_NO };
enum supervised { SUPERVISED_NO, SUPERVISED_UPSTART, SUPERVISED_SYSTEMD, SUPERVISED_AUTO };
/* Who may use a guarded command or setting. */
enum guard { GUARD_NO, GUARD_YES, GUARD_LOCAL };
/* What an error does that answers a command of the primary's stream, or of the append-only file. */
enum propagation_error { PROPAGATION_IGNORE, PROPAGATION_PANIC, PROPAGATION_PANIC_ON_REPLICAS };
enum diskless_load { DISKLESS_DISABLED, DISKLESS_EMPTY_DB, DISKLESS_SWAPDB, DISKLESS_FLUSH };
/* The certificate's field that names the user. */
enum tls_user { TLS_USER_OFF, TLS_USER_CN, TLS_USER_URI };
enum sanitize_dump { SANITIZE_NO, SANITIZE_YES, SANITIZE_CLIENTS };
enum rdb_write_version { RDB_WRITE_AUTO = 0, RDB_WRITE_10 = 10, RDB_WRITE_11 = 11, RDB_WRITE_80 = 80 };

/* shutdown-on-sigint and -sigterm: bits; 0 is "default" (save if there are save points). */
enum shutdown_on_signal {
    SHUTDOWN_ON_SAVE = 1,
    SHUTDOWN_ON_NOSAVE = 2,
    SHUTDOWN_ON_NOW = 4,
    SHUTDOWN_ON_FORCE = 8,
    SHUTDOWN_ON_SAFE = 16,
    SHUTDOWN_ON_FAILOVER = 32,
};

struct output_limit {
    uint64_t hard_bytes; /* 0: no limit */
    uint64_t soft_bytes; /* 0: no limit */
    int64_t soft_seconds;
};

#define OPTIONS_BIND_MAX 16
struct bind_list {
    /* As written: "*", "-::*", "127.0.0.1"; a leading '-' forgives failure. */
    char *address[OPTIONS_BIND_MAX];
    size_t count; /* 0: no TCP at all */
};

#define OPTIONS_SAVE_MAX 64
struct save_point {
    int64_t seconds;
    int64_t changes;
};
struct save_list {
    struct save_point point[OPTIONS_SAVE_MAX];
    size_t count;
};

#define OPTIONS_PERCENTILES_MAX 64
struct percentile_list {
    double percent[OPTIONS_PERCENTILES_MAX];
    size_t count;
};

/* A setting that single databases have, by number: sorted, each number once. Databases that are not in it
 * have the default. */
struct database_value {
    int64_t db;
    uint64_t number; /* what the setting is about: bytes, a policy, yes (1) or no (0) */
    char *text;      /* or a text, owned; else NULL */
};
struct database_list {
    struct database_value *value; /* owned */
    size_t count;
};

/* More than 30 fields because it is the one list of all settings. Plain integers are int64_t, sizes in bytes
 * uint64_t; an int holds a value of the enum named beside it. */
/* What clients are told as the host of a node. */
enum cluster_endpoint { ENDPOINT_IP, ENDPOINT_HOSTNAME, ENDPOINT_UNKNOWN };

struct options {
    /* Network. */
    struct bind_list bind;
    int64_t port; /* 0: none */
    char *unixsocket;
    char *unixsocketgroup;
    int64_t unixsocketperm; /* 0: as the umask says */
    int64_t tcp_backlog;
    int64_t tcp_keepalive_s;
    int64_t timeout_s; /* 0: never */
    bool protected_mode;
    int64_t maxclients;
    int64_t max_unauthenticated_clients; /* 0: no limit of its own */
    int64_t unauthenticated_timeout_s;   /* 0: never */
    int64_t max_new_connections_per_cycle;
    int64_t io_threads;        /* number of workers, 1..64; follows from io_threads_wanted */
    int64_t io_threads_wanted; /* 0: one for each core, at most 4 */
    char *bind_source_addr;
    char *availability_zone;

    /* Metrics over HTTP. */
    int64_t metrics_port; /* 0: none */
    struct bind_list metrics_bind;
    char *metrics_password_file; /* path; the password is its first line */
    char *metrics_password;      /* from the file; "": users and their passwords count */

    /* TLS. Its files and words are read by transport/tls_contexts.h. */
    int64_t tls_port; /* 0: none */
    int64_t max_new_tls_connections_per_cycle;
    int64_t tls_handshake_timeout_ms;
    int64_t tls_max_handshakes;
    char *tls_cert_file, *tls_key_file, *tls_key_file_pass;
    char *tls_client_cert_file, *tls_client_key_file, *tls_client_key_file_pass;
    char *tls_ca_cert_file, *tls_ca_cert_dir;
    char *tls_dh_params_file;
    char *tls_protocols, *tls_ciphers, *tls_ciphersuites;
    bool tls_prefer_server_ciphers;
    int tls_auth_clients;      /* enum tls_clients */
    int tls_auth_clients_user; /* enum tls_user */
    bool tls_replication;
    bool tls_cluster;
    bool tls_verify_host;
    bool tls_session_caching;
    int64_t tls_session_cache_size;
    int64_t tls_session_cache_timeout_s;
    int64_t tls_auto_reload_interval_s; /* 0: only by CONFIG SET */

    /* Process. */
    bool daemonize;
    int supervised; /* enum supervised */
    char *pidfile;
    char *dir; /* the working directory, absolute */
    bool set_proc_title;
    bool crash_log_enabled;
    char *proc_title_template;
    int64_t hz;
    int64_t shutdown_timeout_s;
    int shutdown_on_sigint;  /* bits of enum shutdown_on_signal */
    int shutdown_on_sigterm; /* the same */
    char *locale_collate;
    bool extended_redis_compatibility;
    int64_t databases;
    int64_t busy_reply_threshold_ms;
    uint64_t script_memory_limit; /* bytes */
    char *ignore_warnings;

    /* Log. */
    char *logfile; /* "": stdout */
    int loglevel;  /* enum log_level */
    int log_format;
    int log_timestamp_format;
    bool hide_user_data_from_log;
    bool syslog_enabled;
    char *syslog_ident;
    int syslog_facility; /* LOG_LOCAL0 and its like */

    /* Access. */
    char *requirepass;            /* as configured */
    char *requirepass_file;       /* path; the password is its first line */
    char *password;               /* the default user's: from requirepass or the file; "": none */
    int acl_pubsub_resetchannels; /* 1: a new user may use no channels */
    char *aclfile;
    int64_t acllog_max_len;
    int enable_debug_command;     /* enum guard */
    int enable_module_command;    /* enum guard */
    int enable_protected_configs; /* enum guard */

    /* Memory. */
    uint64_t maxmemory;   /* 0: no limit */
    int maxmemory_policy; /* enum eviction_policy */
    int64_t maxmemory_samples;
    int64_t maxmemory_eviction_tenacity;
    struct database_list db_maxmemory;        /* bytes, never 0 */
    struct database_list db_maxmemory_policy; /* enum eviction_policy */
    struct database_list db_persistence;      /* those that files do not hold: 0 */
    struct database_list db_name;
    int64_t maxmemory_clients; /* bytes; negative: percent of maxmemory; 0: no limit */
    int64_t lfu_log_factor;
    int64_t lfu_decay_time_min;
    int64_t active_expire_effort; /* 1..10 */
    bool jemalloc_bg_thread;
    /* Compaction: see keyspace/compaction.h. */
    bool activedefrag;
    uint64_t active_defrag_ignore_bytes;
    int64_t active_defrag_threshold_lower, active_defrag_threshold_upper; /* percent */
    int64_t active_defrag_cycle_min, active_defrag_cycle_max;             /* percent of a worker's time */
    int64_t active_defrag_cycle_us;
    bool lazyfree_lazy_eviction;
    bool lazyfree_lazy_expire;
    bool lazyfree_lazy_server_del;
    bool lazyfree_lazy_user_del;
    bool lazyfree_lazy_user_flush;
    struct output_limit client_output_buffer_limit[CLASS_COUNT]; /* by enum client_class */
    uint64_t client_query_buffer_limit;
    uint64_t proto_max_bulk_len;
    int64_t tracking_table_max_keys;
    bool import_mode;

    /* Encodings. */
    int64_t hash_max_listpack_entries;
    uint64_t hash_max_listpack_value;
    int64_t list_max_listpack_size; /* positive: entries; -1..-5: 4 kb..64 kb */
    int64_t list_compress_depth;
    int64_t set_max_intset_entries;
    int64_t set_max_listpack_entries;
    int64_t set_max_listpack_value;
    int64_t zset_max_listpack_entries;
    uint64_t zset_max_listpack_value;
    uint64_t hll_sparse_max_bytes;
    uint64_t stream_node_max_bytes;
    int64_t stream_node_max_entries;

    /* Append-only file. */
    bool appendonly;
    int appendfsync; /* enum appendfsync */
    char *appendfilename;
    char *appenddirname;
    bool aof_load_truncated;
    uint64_t aof_load_corrupt_tail_max_size; /* 0: only a torn or zero-filled tail is cut */
    bool aof_use_rdb_preamble;
    bool aof_timestamp_enabled;
    bool aof_checksums;
    bool aof_rewrite_incremental_fsync;
    bool no_appendfsync_on_rewrite;
    int64_t auto_aof_rewrite_percentage;
    uint64_t auto_aof_rewrite_min_size;

    /* Snapshots. */
    struct save_list save;
    char *dbfilename;
    bool rdbcompression;
    bool rdbchecksum;
    int rdb_version_check; /* 0 strict, 1 relaxed */
    int rdb_write_version; /* RDB_WRITE_AUTO, or the version */
    bool rdb_del_sync_files;
    bool rdb_save_incremental_fsync;
    int64_t rdb_key_save_delay_us, key_load_delay_us;
    bool stop_writes_on_bgsave_error;
    int sanitize_dump_payload; /* enum sanitize_dump */

    /* What is watched. */
    int notify_keyspace_events; /* bits of change.h: NOTIFY_... */
    int64_t slow_execution_us;  /* commandlog-execution-slower-than; -1: off */
    int64_t slow_execution_max_len;
    int64_t large_request_bytes; /* -1: off */
    int64_t large_request_max_len;
    int64_t large_reply_bytes; /* -1: off */
    int64_t large_reply_max_len;
    int64_t latency_monitor_threshold_ms; /* 0: off */
    bool latency_tracking;
    struct percentile_list latency_tracking_info_percentiles;

    /* Replication: values only, until there is replication. */
    char *replicaof; /* "host port" or "" */
    char *primaryuser;
    char *primaryauth;
    char *replica_announce_ip;
    int64_t replica_announce_port;
    bool replica_announced;
    bool replica_ignore_disk_write_errors;
    bool replica_ignore_maxmemory;
    bool replica_lazy_flush;
    int64_t replica_priority;
    bool replica_read_only;
    bool replica_serve_stale_data;
    uint64_t repl_backlog_size;
    int64_t repl_backlog_ttl_s;
    bool repl_disable_tcp_nodelay;
    int repl_diskless_load;         /* enum diskless_load */
    int propagation_error_behavior; /* enum propagation_error */
    bool repl_diskless_sync;
    int64_t repl_diskless_sync_delay_s;
    int64_t repl_diskless_sync_max_replicas;
    int64_t repl_ping_replica_period_s;
    int64_t repl_timeout_s;
    int64_t min_replicas_to_write;
    int64_t min_replicas_max_lag_s;
    /* A node of a cluster. */
    bool cluster_enabled, cluster_slot_stats_enabled;
    int64_t cluster_databases; /* of a node; elsewhere `databases` counts */
    char *cluster_config_file;
    int cluster_config_save_behavior; /* 1: a failure to write it is logged and lived with */
    int64_t cluster_port;             /* 0: the clients' port plus 10000 */
    char *cluster_announce_ip, *cluster_announce_hostname, *cluster_announce_human_nodename;
    char *cluster_announce_client_ipv4, *cluster_announce_client_ipv6;
    int64_t cluster_announce_port, cluster_announce_tls_port, cluster_announce_bus_port;
    int64_t cluster_announce_client_port, cluster_announce_client_tls_port;
    int cluster_preferred_endpoint_type; /* enum cluster_endpoint */
    int64_t cluster_node_timeout_ms, cluster_ping_interval_ms, cluster_manual_failover_timeout_ms;
    int64_t cluster_slot_migration_log_max_len, slot_migration_max_failover_repl_bytes;
    int64_t cluster_blacklist_ttl_s, cluster_replica_validity_factor, cluster_migration_barrier;
    bool cluster_require_full_coverage, cluster_replica_no_failover, cluster_allow_replica_migration;
    bool cluster_allow_reads_when_down, cluster_allow_pubsubshard_when_down;
    uint64_t cluster_link_sendbuf_limit; /* bytes; 0: none */
};
extern struct options options;

/* Of this database; NULL if it has the default. */
const struct database_value *database_value_of(const struct database_list *list, int64_t db);

/* As maxmemory-policy says it; `policy` is an enum eviction_policy. */
const char *option_policy_name(unsigned policy);

/* What a changed setting causes outside this module. setup.c fills them once at start-up; NULL does nothing.
 * A hook that returns bool may refuse with false and say why; then the old values are restored and the hook
 * is called again. */
struct options_hooks {
    /* The directive rename-command, at start-up: an empty `fresh` takes the command away. */
    bool (*rename_command)(struct slice name, struct slice fresh, struct buf *why);
    /* The directive user, at start-up: its words after the first. */
    bool (*user_line)(const struct slice *words, size_t count, struct buf *why);
    /* For CONFIG REWRITE: the users that such lines have to make, with their rules. */
    void (*each_user)(void (*visit)(void *arg, struct slice name, struct slice rules), void *arg);
    void (*password_changed)(void);           /* requirepass or its file */
    bool (*rebind)(void);                     /* bind or port changed: adapt the listeners */
    bool (*tls_changed)(struct buf *why);     /* tls-port, certificates or rules changed */
    bool (*metrics_changed)(struct buf *why); /* metrics-port or metrics-bind */
    bool (*maxclients_changed)(struct buf *why);
    bool (*appendonly_changed)(bool on, struct buf *why);
    bool (*databases_changed)(struct buf *why); /* what single databases have of their own */
    void (*maxmemory_changed)(void); /* limits, policies, samples, tenacity, lfu-*, lazy eviction */
    void (*keepalive_changed)(void);
    void (*timers_changed)(void);      /* hz, active-expire-effort, shutdown-timeout, save points */
    void (*allocator_changed)(void);   /* jemalloc-bg-thread */
    void (*compaction_changed)(void);  /* activedefrag, active-defrag-* */
    void (*encodings_changed)(void);   /* limits of compact encodings; lazyfree-* but eviction */
    void (*logs_changed)(void);        /* lengths of the command logs and ACL log, latency settings */
    void (*appendfsync_changed)(void); /* aof-timestamp-enabled too */
    void (*tracking_changed)(void);    /* tracking-table-max-keys */
    void (*title_changed)(void);       /* proc-title-template */
    void (*cluster_changed)(void);
    void (*replication_changed)(void); /* what decides whether data may be read and written */
};
extern struct options_hooks options_hooks;

enum option_kind {
    OPTION_BOOL,
    OPTION_INT,
    OPTION_OCTAL,
    OPTION_MEMORY,  /* "1gb"; shown as bytes */
    OPTION_PERCENT, /* a memory value, or "10%", kept as -10 */
    OPTION_ENUM,
    OPTION_BITS, /* several names of an enum table; the first name is 0 and cannot be combined */
    OPTION_STRING,
    OPTION_SPECIAL, /* its own functions */
};

enum option_flag {
    OPTION_IMMUTABLE = 1 << 0,   /* only at start-up */
    OPTION_PROTECTED = 1 << 1,   /* CONFIG SET needs enable-protected-configs */
    OPTION_HIDDEN = 1 << 2,      /* patterns do not find it, its exact name does */
    OPTION_SENSITIVE = 1 << 3,   /* its value must not appear in logs and MONITOR */
    OPTION_MULTI_ARG = 1 << 4,   /* a value of several words */
    OPTION_NO_EFFECT = 1 << 5,   /* kept and shown, nothing more */
    OPTION_NOT_LOADING = 1 << 6, /* CONFIG SET refuses while data is loading */
    OPTION_REPEATS = 1 << 7,     /* a second line in a file adds to the first */
};

struct option_name {
    const char *name; /* NULL ends a table */
    int value;
};

/* A setting with a form of its own. `set` changes nothing unless it returns true; `get` appends what `set`
 * reads. */
struct option_special {
    bool (*set)(const struct slice *argv, size_t argc, struct buf *why);
    void (*get)(struct buf *out);
    void (*release)(void); /* may be NULL */
    size_t words_per_line; /* for CONFIG REWRITE: 0 is one line for all */
};

struct option {
    const char *name;
    const char *alias_of; /* this row is only another name */
    enum option_kind kind;
    unsigned flags;
    const char *initial; /* the default as text */
    int64_t min;
    uint64_t max;
    const struct option_name *names; /* ENUM, BITS */
    union {                          /* where the value lives, by kind */
        bool *flag;
        int64_t *number;
        uint64_t *size;
        int *choice;
        char **text;
        const struct option_special *special;
    };
    bool (*check)(struct slice value, struct buf *why); /* refuses a well-formed value */
    bool (*apply)(struct buf *why);                     /* after CONFIG SET stored it */
    void (*show)(struct buf *out); /* CONFIG GET shows something else than what is stored */
};

/* Gives every setting its default; once, before all else. options_release frees the strings (tests). */
void options_init(void);
void options_release(void);

/* Reads the command line: [file | -] [--directive value ...] [-]. Values run to the next --word. The
 * warnings are lines, each with its '\n'. On false, `error` is the whole message to print before giving up.
 */
MUST_CHECK bool options_load(int argc, char **argv, struct buf *warnings, struct buf *error);
/* The default user's password was changed by other means: requirepass is empty then. Gate closed. */
void options_forget_password(void);
/* Absolute path of the file given on the command line, or "". */
const char *options_file(void);

/* The row of a name in any case, aliases followed; NULL if there is none. */
const struct option *options_find(struct slice name);
/* Is the value of this directive a secret? Directives that are no settings ("user") too. */
bool options_is_secret(struct slice name);
/* Appends the value as CONFIG GET prints it. */
void option_get(const struct option *o, struct buf *out);
/* Calls each(arg, name, row) once for every name that one of the patterns matches, in the order of names. A
 * pattern without * ? [ is a name: it finds hidden settings too, and is reported as it was written. */
void options_each(const struct slice *patterns, size_t count,
                  void (*each)(void *arg, struct slice name, const struct option *o), void *arg);

/* Where a change comes from. */
struct options_caller {
    bool is_local; /* over the loopback or a unix socket: guards that say "local" let it pass */
    bool loading;  /* the data set is being loaded */
};
/* CONFIG SET: `pairs` holds `count` names and values, alternating. All are set or none. `error` gets the
 * reply's text without '-' and line end. */
MUST_CHECK bool options_set(const struct slice *pairs, size_t count, struct options_caller caller,
                            struct buf *error);

/* CONFIG REWRITE: brings the config file up to date: comments, order and lines that are still true stay as
 * they are. `error` as for options_set. */
MUST_CHECK bool options_rewrite(struct buf *error);
/* The same with every setting, also those at their default. */
MUST_CHECK bool options_rewrite_all(struct buf *error);

#endif
