/* info.h: the sections of INFO: tables of rows, and functions for those whose lines have no fixed names.
 * Thread: any worker. */
#ifndef COMMANDS_SERVER_INFO_H
#define COMMANDS_SERVER_INFO_H

#include "trivet/base/buf.h"
#include "trivet/engine/watch/metrics.h"

#define CRLF "\r\n"

extern const struct metric_table info_server, info_clients, info_memory, info_saving, info_aof, info_loading,
    info_stats, info_replication, info_cpu, info_cpu_main, info_cpu_active, info_cluster;

void info_commandstats(struct buf *out);
void info_errorstats(struct buf *out);
void info_latencystats(struct buf *out);

#endif
