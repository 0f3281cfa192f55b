/* value.c: the operations by type. */
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

/* Their big forms begin with it. */
struct table *value_table(struct value v) {
    return v.encoding == ENCODING_TABLE || v.encoding == ENCODING_BTREE ? v.ptr : NULL;
}
