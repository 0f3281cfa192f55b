/* info.h: the sections of INFO, each a function that appends its lines, the heading included.
 * Thread: any worker. */
#ifndef COMMANDS_SERVER_INFO_H
#define COMMANDS_SERVER_INFO_H

#include "trivet/base/buf.h"
#include "trivet/engine/command/call.h"

#define CRLF "\r\n"

void info_server(const struct call *c, struct buf *out);
void info_clients(const struct call *c, struct buf *out);
void info_memory(const struct call *c, struct buf *out);
void info_persistence(const struct call *c, struct buf *out);
void info_stats(const struct call *c, struct buf *out);
void info_replication(const struct call *c, struct buf *out);
void info_cpu(const struct call *c, struct buf *out);
void info_commandstats(const struct call *c, struct buf *out);
void info_errorstats(const struct call *c, struct buf *out);
void info_latencystats(const struct call *c, struct buf *out);

#endif
