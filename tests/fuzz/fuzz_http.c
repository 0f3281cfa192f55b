/* fuzz_http.c: the heads of HTTP requests, with what reads their query and their Authorization.
 *
 * Whatever comes: slices lie inside the input; a head is asked to go on only while its end may still come;
 * and a head that is ready is the same with more behind it, and not ready with less. */
#include "web/access.h"
#include "web/request.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void insist(bool holds) {
    if (!holds) abort();
}

static bool is_inside(struct slice part, struct slice whole) {
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void look_at_parts(const struct http_request *r, struct slice input) {
    struct credentials c;
    insist(r->used > 0 && r->used <= input.len && r->used <= HTTP_HEAD_MAX);
    insist(r->path.len > 0 && r->path.ptr[0] == '/');
    insist(is_inside(r->path, input) || slice_equal(r->path, LIT("/"))); /* "http://host" has no path */
    insist(is_inside(r->query, input) && is_inside(r->authorization, input));
    (void)http_query_has(r->query, LIT("replica=1"));
    if (!credentials_read(r->authorization, &c)) return;
    insist(c.are_there && credentials_name(&c).len + credentials_password(&c).len < r->authorization.len);
    credentials_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* A copy that ends where the input ends, so that a look beyond is a fault. */
    char *bytes = malloc(size ? size : 1);
    if (size) memcpy(bytes, data, size);
    struct slice input = { bytes, size };
    struct http_request r = { 0 }, shorter = { 0 };
    struct http_refusal why = { 0 };
    switch (http_request_parse(input, &r, &why)) {
    case HTTP_MORE: insist(size < HTTP_HEAD_MAX); break;
    case HTTP_BAD: insist(why.status >= 400 && why.status < 600 && why.why && *why.why); break;
    case HTTP_READY:
        look_at_parts(&r, input);
        insist(http_request_parse(slice_make(bytes, r.used), &shorter, &why) == HTTP_READY);
        insist(shorter.used == r.used && shorter.keep_alive == r.keep_alive);
        insist(http_request_parse(slice_make(bytes, r.used - 1), &shorter, &why) != HTTP_READY);
        break;
    }
    free(bytes);
    return 0;
}
