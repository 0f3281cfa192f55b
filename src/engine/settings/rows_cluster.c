/* rows_cluster.c: the settings of a node of a cluster. */
#include "rows.h"

static const struct option_name endpoints[] = {
    { "ip", ENDPOINT_IP }, { "hostname", ENDPOINT_HOSTNAME }, { "unknown-endpoint", ENDPOINT_UNKNOWN },
    { NULL, 0 }
};
static const struct option_name save_behaviors[] = { { "sync", 0 }, { "best-effort", 1 }, { NULL, 0 } };

#define CHANGES .apply = apply_cluster
#define FIXED .flags = OPTION_IMMUTABLE

const struct option options_table_cluster[] = {
    /* Fixed at start. */
    { BOOL("cluster-enabled", cluster_enabled, "no"), FIXED },
    { INT("cluster-databases", cluster_databases, "1", 1, MAX_INT), FIXED },
    { STRING("cluster-config-file", cluster_config_file, "nodes.conf"), FIXED },
    { ENUM("cluster-config-save-behavior", cluster_config_save_behavior, "sync", save_behaviors) },
    { INT("cluster-port", cluster_port, "0", 0, 65535), FIXED },

    /* What others are told. */
    { STRING("cluster-announce-ip", cluster_announce_ip, ""), CHANGES },
    { INT("cluster-announce-port", cluster_announce_port, "0", 0, 65535), CHANGES },
    { INT("cluster-announce-tls-port", cluster_announce_tls_port, "0", 0, 65535), CHANGES },
    { INT("cluster-announce-bus-port", cluster_announce_bus_port, "0", 0, 65535), CHANGES },
    { STRING("cluster-announce-hostname", cluster_announce_hostname, ""), .check = check_hostname, CHANGES },
    { STRING("cluster-announce-human-nodename", cluster_announce_human_nodename, ""), .check = check_hostname,
      CHANGES },
    { STRING("cluster-announce-client-ipv4", cluster_announce_client_ipv4, ""), .check = check_ipv4,
      CHANGES },
    { STRING("cluster-announce-client-ipv6", cluster_announce_client_ipv6, ""), .check = check_ipv6,
      CHANGES },
    { INT("cluster-announce-client-port", cluster_announce_client_port, "0", 0, 65535), CHANGES },
    { INT("cluster-announce-client-tls-port", cluster_announce_client_tls_port, "0", 0, 65535), CHANGES },
    { ENUM("cluster-preferred-endpoint-type", cluster_preferred_endpoint_type, "ip", endpoints), CHANGES },

    /* Who has failed, and what follows. */
    { INT("cluster-node-timeout", cluster_node_timeout_ms, "15000", 0, MAX_ANY), CHANGES },
    { INT("cluster-ping-interval", cluster_ping_interval_ms, "0", 0, MAX_ANY), .flags = OPTION_HIDDEN,
      CHANGES },
    { INT("cluster-blacklist-ttl", cluster_blacklist_ttl_s, "60", 0, MAX_INT), CHANGES },
    { BOOL("cluster-require-full-coverage", cluster_require_full_coverage, "yes"), CHANGES },
    { BOOL("cluster-allow-reads-when-down", cluster_allow_reads_when_down, "no") },
    { BOOL("cluster-allow-pubsubshard-when-down", cluster_allow_pubsubshard_when_down, "yes") },
    { BOOL("cluster-replica-no-failover", cluster_replica_no_failover, "no"), CHANGES },
    { ALIAS("cluster-slave-no-failover", "cluster-replica-no-failover") },
    { INT("cluster-replica-validity-factor", cluster_replica_validity_factor, "10", 0, MAX_INT), CHANGES },
    { ALIAS("cluster-slave-validity-factor", "cluster-replica-validity-factor") },
    { INT("cluster-migration-barrier", cluster_migration_barrier, "1", 0, MAX_INT), CHANGES },
    { BOOL("cluster-allow-replica-migration", cluster_allow_replica_migration, "yes"), CHANGES },
    { INT("cluster-manual-failover-timeout", cluster_manual_failover_timeout_ms, "5000", 1, MAX_INT),
      CHANGES },
    { INT("cluster-slot-migration-log-max-len", cluster_slot_migration_log_max_len, "1000", 0, MAX_ANY) },
    { INT("slot-migration-max-failover-repl-bytes", slot_migration_max_failover_repl_bytes, "0", -1,
          MAX_ANY) },
    { BOOL("cluster-slot-stats-enabled", cluster_slot_stats_enabled, "no"), CHANGES },
    { MEMORY("cluster-link-sendbuf-limit", cluster_link_sendbuf_limit, "0", 0, UINT64_MAX) },
    { .name = NULL },
};
