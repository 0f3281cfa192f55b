/* value.c: the operations by type, and the limits with Valkey's defaults. */
#include "trivet/types/value.h"
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/stream.h"
#include "trivet/types/zset.h"

const struct value_ops *const value_ops[TYPE_COUNT] = {
    [TYPE_LIST] = &list_value_ops,
    [TYPE_SET] = &set_value_ops,
    [TYPE_HASH] = &hash_value_ops,
    [TYPE_ZSET] = &zset_value_ops,
    [TYPE_STREAM] = &stream_value_ops,
};

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
