/* Feeds the reader of HTTP requests, and that of names and passwords, any bytes. A request is the same
 * whatever follows it; before its last byte there is none; what is read of it lies inside; and a buffer of
 * exactly its bytes lets the address sanitizer see every step outside.
 *
 * Built with clang -fsanitize=fuzzer,address,undefined -DTRIVET_SANITIZE from src/web, src/engine and below.
 */
#include "trivet/base/mem.h"
#include "web/access.h"
#include "web/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void assert_inside(struct slice part, struct slice all) {
    if (part.len == 0) return;
    assert(part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len);
}

static bool same(struct slice a, struct slice b) { return slice_equal(a, b); }

static void read_credentials(struct slice field) {
    struct credentials c;
    if (!credentials_read(field, &c)) {
        assert(!c.are_there && !c.text.ptr);
        return;
    }
    assert(c.are_there && credentials_name(&c).len + 1 + credentials_password(&c).len == c.text.len);
    credentials_release(&c);
}

/* The request alone, in a buffer of its own, is the same one; without its last byte it is none. */
static void read_alone(struct slice bytes, const struct http_request *known) {
    char *copy = mem_alloc(known->used);
    struct http_request r;
    struct http_refusal refusal;
    memcpy(copy, bytes.ptr, known->used);
    enum http_parsed parsed = http_request_parse(slice_make(copy, known->used), &r, &refusal);
    assert(parsed == HTTP_READY && r.used == known->used && r.is_head == known->is_head);
    assert(same(r.path, known->path) && same(r.query, known->query));
    assert(same(r.authorization, known->authorization) && r.keep_alive == known->keep_alive);
    parsed = http_request_parse(slice_make(copy, known->used - 1), &r, &refusal);
    assert(parsed == HTTP_MORE);
    mem_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    struct slice bytes = slice_make(input, size);
    struct http_request r;
    struct http_refusal refusal = { 0 };
    read_credentials(bytes);
    switch (http_request_parse(bytes, &r, &refusal)) {
    case HTTP_MORE: assert(size < HTTP_HEAD_MAX); break;
    case HTTP_BAD: assert(refusal.status >= 400 && refusal.status < 600 && refusal.why); break;
    case HTTP_READY:
        assert(r.used > 0 && r.used <= size && r.used <= HTTP_HEAD_MAX && r.path.len > 0 &&
               r.path.ptr[0] == '/');
        assert_inside(r.query, bytes);
        assert_inside(r.authorization, bytes);
        read_alone(bytes, &r);
        read_credentials(r.authorization);
        (void)!http_query_has(r.query, LIT("replica=1"));
        break;
    }
    return 0;
}
