/* scan.h: stepping over parts of an RDB file whose bytes may not all be in the window yet. */
#ifndef PERSIST_RDB_SCAN_H
#define PERSIST_RDB_SCAN_H

#include "trivet/persist/rdb/file.h"

/* A window on a file, `in.end` being the window's end and `end` the file's. A function below that returns
 * false either ran into the window's end, or says `bad`: the bytes make no sense, or the file ends too soon
 * (`short_of`). */
struct rdb_scan {
    struct rdb_in in;
    const unsigned char *end;
    bool bad, short_of;
};

/* scan.c: each steps over one thing and reads only its lengths. */
MUST_CHECK bool rdb_scan_bytes(struct rdb_scan *s, uint64_t count);
MUST_CHECK bool rdb_scan_length(struct rdb_scan *s, uint64_t *n);
MUST_CHECK bool rdb_scan_string(struct rdb_scan *s);
MUST_CHECK bool rdb_scan_value(struct rdb_scan *s, unsigned type);
/* The words of a module up to RDB_MODULE_EOF. */
MUST_CHECK bool rdb_scan_module(struct rdb_scan *s);

/* Values that modules made. Nothing but their framing is known. */
enum { RDB_MODULE_OLD = 6, RDB_MODULE_2 = 7 };
/* The nine letters of a module's type, by the id in the file. */
#define RDB_MODULE_NAME_LEN 9
void rdb_module_name(uint64_t id, char out[RDB_MODULE_NAME_LEN + 1]);

/* record.c */
void rdb_error_set(struct rdb_error *e, uint64_t offset, const char *doing, const char *format, ...)
    PRINTF_LIKE(4, 5);

#endif
