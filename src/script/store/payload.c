/* payload.c: all libraries in one string: FUNCTION DUMP and FUNCTION RESTORE. */
#include "trivet/persist/rdb/payload.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/script/store/functions.h"

#define RDB_VERSION_WITH_FUNCTIONS 10 /* the lowest, so that any server that has functions reads it */

void functions_dump(struct buf *out) {
    bool any =
        options.rdb_write_version == RDB_WRITE_AUTO || options.rdb_write_version < RDB_VERSION_WITH_FUNCTIONS;
    struct rdb_out dump = { .compress = options.rdbcompression };
    for (struct library *l = functions_first(); l; l = functions_after(l)) {
        buf_append_byte(&dump.bytes, (char)RDB_OP_FUNCTION2);
        rdb_put_string(&dump, l->code);
    }
    rdb_payload_end(&dump, any ? RDB_VERSION_WITH_FUNCTIONS : options.rdb_write_version);
    *out = dump.bytes;
}

/* The code of each library, as copies. */
struct codes {
    struct slice *at;
    size_t count, room;
};

static bool take_one(struct rdb_in *in, struct codes *codes, struct buf *error) {
    struct slice byte, code;
    struct buf scratch = { 0 };
    if (!rdb_take_bytes(in, 1, &byte) || (unsigned char)*byte.ptr != RDB_OP_FUNCTION2) {
        buf_append(error, LIT("ERR given type is not a function"));
        return false;
    }
    bool taken = rdb_take_string(in, &scratch, &code);
    if (taken) {
        GROW(codes->at, codes->count, &codes->room, 8);
        codes->at[codes->count++] = slice_make(slice_to_cstr(code), code.len);
    } else {
        buf_append(error, LIT("ERR failed loading the given functions payload"));
    }
    buf_release(&scratch);
    return taken;
}

static void release(struct codes *codes) {
    for (size_t i = 0; i < codes->count; i++) mem_free(unconst(codes->at[i].ptr));
    mem_free(codes->at);
}

bool functions_restore(struct slice payload, enum restore_policy policy, struct buf *error) {
    struct slice body;
    if (!rdb_payload_open(payload, options.rdb_version_check != 0, &body)) {
        buf_append(error, LIT("ERR DUMP payload version or checksum are wrong"));
        return false;
    }
    struct rdb_in in = { (const unsigned char *)body.ptr, (const unsigned char *)body.ptr + body.len };
    struct codes codes = { 0 };
    bool good = true;
    while (good && rdb_left(&in) > 0) good = take_one(&in, &codes, error);
    if (good) good = functions_load_all(codes.at, codes.count, policy, error);
    release(&codes);
    return good;
}
