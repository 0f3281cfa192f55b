/* fuzz_restore.c: random values in the RDB format, as a client may RESTORE them: a type, then its bytes.
 *
 * What is taken must obey every rule of its type, and come out and in again unchanged. */
#include "trivet/base/hashing.h"
#include "trivet/persist/rdb/values.h"
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/stream.h"
#include "trivet/types/zset.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_init();
    return 0;
}

static void check(const struct entry *e) {
    switch (e->type) {
    case TYPE_LIST: list_check(entry_value(e)); break;
    case TYPE_SET: set_check(entry_value(e)); break;
    case TYPE_ZSET: zset_check(entry_value(e)); break;
    case TYPE_HASH: hash_check(entry_value(e)); break;
    case TYPE_STREAM: stream_check(stream_of(entry_value(e))); break;
    default: break;
    }
}

static void write_value(struct rdb_out *out, const struct entry *e, int version) {
    buf_clear(&out->bytes);
    rdb_put_value(out, e, version, 0);
}

/* Out, in, and out again: the same bytes, unless the order of a table decides, or whether a big sorted set
 * has scores of -0, which a small one does not know. */
static void check_round_trip(const struct entry *e, int version) {
    struct rdb_out first = { .compress = true }, second = { .compress = true };
    write_value(&first, e, version);
    struct rdb_in in = { (unsigned char *)first.bytes.ptr,
                         (unsigned char *)first.bytes.ptr + first.bytes.len };
    bool empty;
    struct entry *again = rdb_take_value(&in, rdb_type_of(e, version), LIT("key"), NO_EXPIRY, &empty);
    if (!again || rdb_left(&in) != 0) abort();
    check(again);
    if (again->type != e->type) abort();
    write_value(&second, again, version);
    bool ordered =
        e->encoding != ENCODING_TABLE && e->encoding != ENCODING_BTREE && e->encoding == again->encoding;
    if (ordered && !slice_equal(buf_slice(&first.bytes), buf_slice(&second.bytes))) abort();
    entry_free(again);
    buf_release(&first.bytes);
    buf_release(&second.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    struct rdb_in in = { data + 1, data + size };
    bool empty;
    struct entry *e = rdb_take_value(&in, data[0], LIT("key"), NO_EXPIRY, &empty);
    if (!e) return 0;
    if (empty) abort();
    check(e);
    check_round_trip(e, rdb_version_of(e));
    entry_free(e);
    return 0;
}
