/* encoding_limits.h: up to which size a collection stays small. They are settings; setup copies them here.
 * Thread: changed with the gate closed. */
#ifndef TRIVET_TYPES_STRUCTURES_ENCODING_LIMITS_H
#define TRIVET_TYPES_STRUCTURES_ENCODING_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct encoding_limits {
    size_t hash_entries, hash_value;         /* hash-max-listpack-* */
    size_t set_ints, set_entries, set_value; /* set-max-intset-entries, set-max-listpack-* */
    size_t zset_entries, zset_value;
    int64_t list_size; /* list-max-listpack-size: entries, or -1..-5 for 4..64 KiB */
    size_t list_compress_depth;
    size_t stream_node_bytes, stream_node_entries;
    size_t hll_sparse_bytes;
};
extern struct encoding_limits encoding_limits; /* Valkey's defaults until setup changes them */

#endif
