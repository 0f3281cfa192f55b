/* encoding_limits.c: Valkey's defaults. */
#include "trivet/types/structures/encoding_limits.h"

struct encoding_limits encoding_limits = {
    .hash_entries = 512,
    .hash_value = 64,
    .set_ints = 512,
    .set_entries = 128,
    .set_value = 64,
    .zset_entries = 128,
    .zset_value = 64,
    .list_size = -2,
    .list_compress_depth = 0,
    .stream_node_bytes = 4096,
    .stream_node_entries = 100,
    .hll_sparse_bytes = 3000,
};
