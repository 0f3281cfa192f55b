/* groups.h: every table of commands, and the list of them that setup registers.
 *
 * A table is an array of rows at the end of the file that has the functions, ended by a row without a name.
 * Several tables may belong to one group; its name is the one of the public documentation (COMMAND DOCS).
 * Thread: constant. */
#ifndef TRIVET_COMMANDS_GROUPS_H
#define TRIVET_COMMANDS_GROUPS_H

#include "trivet/base/buf.h"
#include "trivet/engine/command/command.h"

struct command_group {
    const char *name; /* NULL ends the list */
    const struct command *rows;
};
extern const struct command_group command_groups[];

extern const struct command string_commands[];
extern const struct command string_number_commands[];
extern const struct command string_multi_commands[];
extern const struct command bitmap_commands[];
extern const struct command bitfield_commands[];
extern const struct command hyperloglog_commands[];
extern const struct command set_commands[];
extern const struct command set_combine_commands[];
extern const struct command list_commands[];
extern const struct command list_blocking_commands[];
extern const struct command zset_commands[];
extern const struct command zset_pop_commands[];
extern const struct command zset_range_commands[];
extern const struct command zset_combine_commands[];
extern const struct command hash_commands[];
extern const struct command hash_walk_commands[];
extern const struct command hash_expire_commands[];
extern const struct command geo_commands[];
extern const struct command geo_search_commands[];
extern const struct command key_commands[];
extern const struct command expire_commands[];
extern const struct command scan_commands[];
extern const struct command dump_commands[];
extern const struct command migrate_commands[];
extern const struct command sort_commands[];
extern const struct command restore_asking_commands[];
extern const struct command stream_commands[];
extern const struct command stream_read_commands[];
extern const struct command stream_group_commands[];
extern const struct command stream_claim_commands[];
extern const struct command stream_info_commands[];
extern const struct command database_commands[];
extern const struct command connection_commands[];
extern const struct command acl_commands[];
extern const struct command client_commands[];
extern const struct command transaction_commands[];
extern const struct command wait_commands[];
extern const struct command eval_commands[];
extern const struct command fcall_commands[];
extern const struct command script_commands[];
extern const struct command function_commands[];
extern const struct command pubsub_commands[];
extern const struct command monitor_commands[];
extern const struct command replication_commands[];
extern const struct command readonly_commands[];
extern const struct command cluster_commands[];
extern const struct command failover_commands[];
extern const struct command config_commands[];
extern const struct command info_commands[];
extern const struct command command_commands[];
extern const struct command memory_commands[];
extern const struct command slowlog_commands[];
extern const struct command latency_commands[];
extern const struct command saving_commands[];
extern const struct command server_commands[];
extern const struct command lolwut_commands[];
extern const struct command debug_commands[];
extern const struct command module_commands[];

/* Registers the rows that INFO prints (engine/watch/metrics.h). */
void info_register(void);
/* Appends the section of INFO with that number, from 0; false if there are not so many. */
bool info_write_section(size_t index, int64_t now_ms, struct buf *out);

#endif
