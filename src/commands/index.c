/* index.c: the list of all command tables; a new table gets its line here and in groups.h. */
#include "trivet/commands/groups.h"
#include <stddef.h>

const struct command_group command_groups[] = {
    { "string", string_commands },
    { "string", string_number_commands },
    { "string", string_multi_commands },
    { "bitmap", bitmap_commands },
    { "bitmap", bitfield_commands },
    { "set", set_commands },
    { "set", set_combine_commands },
    { "list", list_commands },
    { "list", list_blocking_commands },
    { "generic", key_commands },
    { "generic", expire_commands },
    { "generic", scan_commands },
    { "server", database_commands },
    { "connection", connection_commands },
    { "connection", client_commands },
    { "transactions", transaction_commands },
    { "generic", wait_commands },
    { "pubsub", pubsub_commands },
    { "server", monitor_commands },
    { "server", config_commands },
    { "server", info_commands },
    { "server", command_commands },
    { "server", memory_commands },
    { "server", slowlog_commands },
    { "server", latency_commands },
    { "server", server_commands },
    { "server", debug_commands },
    { NULL, NULL },
};
