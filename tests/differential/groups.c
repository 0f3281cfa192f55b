/* groups.c: the list of command groups that take part. */
#include "differential.h"

const struct generator *const all_generators[] = {
    connection_generators, server_generators,      string_generators,
    generic_generators,    transaction_generators, zset_generators,
    hash_generators,       hyperloglog_generators, sort_generators,
    geo_generators,        bitmap_generators,      set_generators,
    list_generators,       stream_generators,      wrapped_generators,
    lua_generators,        function_generators,    acl_generators,         NULL,
};

const struct probe *const all_probes[] = { stream_probes,  zset_probes,     set_probes,  hash_probes,
                                           generic_probes, pubsub_probes,   dump_probes, blocking_probes,
                                           session_probes, function_probes, acl_probes,  NULL };
