/* index.c: the list of all command tables; a new table gets its line here and in groups.h. */
#include "trivet/commands/groups.h"
#include <stddef.h>

const struct command_group command_groups[] = {
    { "string", string_commands },
    { "string", string_number_commands },
    { "string", string_multi_commands },
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
    { NULL, NULL },
};
