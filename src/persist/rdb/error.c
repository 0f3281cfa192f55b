/* error.c: the error texts for bad RDB files, and the names of types. */
#include "scan.h"
#include <stdarg.h>

void rdb_error_release(struct rdb_error *e) {
    buf_release(&e->what);
    buf_release(&e->key);
}

void rdb_error_set(struct rdb_error *e, uint64_t offset, const char *doing, const char *format, ...) {
    va_list args;
    e->offset = offset;
    e->doing = doing;
    buf_clear(&e->what);
    va_start(args, format);
    buf_vprintf(&e->what, format, args);
    va_end(args);
}

void rdb_error_describe(const struct rdb_error *e, struct buf *out) {
    buf_printf(out, "offset %llu", (unsigned long long)e->offset);
    if (e->key.len > 0) buf_printf(out, ", key '%.*s'", SLICE_ARG(buf_slice(&e->key)));
    if (e->type >= 0) buf_printf(out, ", type %d (%s)", e->type, rdb_type_name((unsigned)e->type));
    buf_printf(out, ": %.*s", SLICE_ARG(buf_slice(&e->what)));
}

const char *rdb_type_name(unsigned type) {
    static const char *const names[] = {
        [RDB_STRING] = "string",
        [RDB_LIST] = "list-linked",
        [RDB_SET] = "set-hashtable",
        [RDB_ZSET] = "zset-v1",
        [RDB_HASH] = "hash-hashtable",
        [RDB_ZSET_2] = "zset-v2",
        [RDB_MODULE_OLD] = "module-pre-release",
        [RDB_MODULE_2] = "module-value",
        [RDB_HASH_ZIPMAP] = "hash-zipmap",
        [RDB_LIST_ZIPLIST] = "list-ziplist",
        [RDB_SET_INTSET] = "set-intset",
        [RDB_ZSET_ZIPLIST] = "zset-ziplist",
        [RDB_HASH_ZIPLIST] = "hash-ziplist",
        [RDB_LIST_QUICKLIST] = "quicklist",
        [RDB_STREAM] = "stream",
        [RDB_HASH_LISTPACK] = "hash-listpack",
        [RDB_ZSET_LISTPACK] = "zset-listpack",
        [RDB_LIST_QUICKLIST_2] = "quicklist-v2",
        [RDB_STREAM_2] = "stream-v2",
        [RDB_SET_LISTPACK] = "set-listpack",
        [RDB_STREAM_3] = "stream-v3",
        [RDB_HASH_2] = "hash-expiring-fields",
    };
    return type < COUNT_OF(names) && names[type] ? names[type] : "?";
}
