/* fuzz_function_restore.c: payloads for FUNCTION RESTORE, always with a right footer, of two kinds by the
 * first byte, which also says the policy.
 *
 * Even: the bytes are the payload. Odd: they are the code of libraries, with a zero between them; of each all
 * but the name is random. What is loaded must come out and in again as it was; if anything is wrong, all is
 * as it was before. */
#include "trivet/base/clock.h"
#include "trivet/base/hashing.h"
#include "trivet/base/log.h"
#include "trivet/engine/settings/options.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/persist/rdb/payload.h"
#include "trivet/script/store/functions.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MEMORY_LIMIT (16 << 20)
#define FIXED "#!lua name=fixed\nredis.register_function('fix', function() return 1 end)"

static const char *const names[] = { "a", "b", "fixed", "c" };

/* A new interpreter takes long: mostly the old one stays. */
static void begin_anew(void) {
    static unsigned times;
    struct slice fixed = LIT(FIXED);
    struct buf error = { 0 };
    if (times++ % 256 == 0) functions_flush(false);
    if (!functions_load_all(&fixed, 1, RESTORE_FLUSH, &error)) abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    clock_init();
    hash_init();
    options_init();
    options.script_memory_limit = MEMORY_LIMIT;
    log_set_level(LOG_LEVEL_NOTHING);
    functions_init();
    begin_anew();
    return 0;
}

/* ---- payloads ---- */

static void put_libraries(struct rdb_out *out, struct slice bytes) {
    size_t count = 0;
    for (size_t at = 0; at < bytes.len; count++) {
        const char *zero = memchr(bytes.ptr + at, 0, bytes.len - at);
        size_t end = zero ? (size_t)(zero - bytes.ptr) : bytes.len;
        struct buf code = { 0 };
        buf_printf(&code, "#!lua name=%s", names[count % 4]);
        buf_append(&code, slice_make(bytes.ptr + at, end - at));
        buf_append_byte(&out->bytes, (char)RDB_OP_FUNCTION2);
        rdb_put_string(out, buf_slice(&code));
        buf_release(&code);
        at = end + 1;
    }
}

/* ---- what must hold ---- */

/* Each function is found by its name, and the counts are right. */
static void check_all(void) {
    struct functions_info info;
    size_t libraries = 0, functions = 0;
    for (const struct library *l = functions_first(); l; l = functions_after(l)) {
        libraries++;
        if (chain_is_empty(&l->functions)) abort();
        FUNCTIONS_OF(l, f) {
            functions++;
            if (functions_find(slice_of(f->name)) != f || f->library != l) abort();
        }
    }
    functions_info(&info);
    if (info.libraries != libraries || info.functions != functions) abort();
    if (info.interpreter > 2 * (size_t)MEMORY_LIMIT) abort();
}

static struct buf dump(void) {
    struct buf out = { 0 };
    functions_dump(&out);
    return out;
}

static void check_same(const struct buf *expected) {
    struct buf now = dump();
    if (!slice_equal(buf_slice(&now), buf_slice(expected))) abort();
    buf_release(&now);
}

/* Code that was loaded is loaded again, unless it took nearly all the memory or time that there was. */
static void check_round_trip(void) {
    struct buf all = dump(), error = { 0 };
    if (functions_restore(buf_slice(&all), RESTORE_FLUSH, &error)) check_same(&all);
    check_all();
    buf_release(&all);
    buf_release(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    struct rdb_out payload = { .compress = data[0] & 8 };
    struct slice bytes = slice_make(data + 1, size - 1);
    struct buf before = dump(), error = { 0 };
    if (data[0] & 1)
        put_libraries(&payload, bytes);
    else
        buf_append(&payload.bytes, bytes);
    rdb_payload_end(&payload, RDB_VERSION_MAX);
    enum restore_policy policy = (enum restore_policy)((data[0] >> 1) % 3);
    bool loaded = functions_restore(buf_slice(&payload.bytes), policy, &error);
    if (loaded != (error.len == 0)) abort();
    check_all();
    if (loaded) {
        check_round_trip();
        begin_anew();
    } else {
        check_same(&before);
    }
    buf_release(&before);
    buf_release(&error);
    buf_release(&payload.bytes);
    return 0;
}
