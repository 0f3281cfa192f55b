/* info.h: the sections of INFO: tables of rows, and functions for those whose lines have no fixed names.
 * Thread: any worker. */
#ifndef COMMANDS_SERVER_INFO_H
#define COMMANDS_SERVER_INFO_H

#include "trivet/base/buf.h"
#include "trivet/engine/watch/metrics.h"

#define CRLF "\r\n"

extern const struct metric_table info_server, info_shutdown, info_clients, info_memory, info_saving, info_aof,
    info_loading, info_stats, info_cpu, info_cpu_main, info_cpu_active, info_cluster, info_tls;
/* INFO replication, in this order. */
extern const struct metric_table info_role, info_primary, info_sync, info_link_down, info_replica,
    info_replicas, info_good_replicas, info_each_replica, info_history;

void info_databases(struct buf *out);
void info_commandstats(struct buf *out);
void info_errorstats(struct buf *out);
void info_latencystats(struct buf *out);

#endif
