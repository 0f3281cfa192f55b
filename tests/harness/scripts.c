/* scripts.c: see scripts.h. */
#include "scripts.h"
#include "fail.h"
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

void script_queue(struct client *c, const char *before, const char *script, const char *after) {
    struct words w = { 0 }, rest = { 0 };
    if (!words_split(&w, before) || !words_split(&rest, after)) HARNESS_FAIL("a quote is left open");
    words_add_str(&w, script);
    for (size_t i = 0; i < rest.count; i++) words_add(&w, rest.items[i].ptr, rest.items[i].len);
    client_queue_words(c, &w);
    words_release(&w);
    words_release(&rest);
}

const char *script_sha(const char *script) {
    static char hex[2 * SHA_DIGEST_LENGTH + 1];
    unsigned char sum[SHA_DIGEST_LENGTH];
    SHA1((const unsigned char *)script, strlen(script), sum);
    for (size_t i = 0; i < sizeof sum; i++) snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    return hex;
}

/* `expected` with the SHA1 of the script in place of each "<sha>". */
static void fill_in(struct text *out, const char *expected, const char *script) {
    static const char mark[] = "<sha>";
    const char *end;
    for (; (end = strstr(expected, mark)); expected = end + strlen(mark)) {
        text_append(out, expected, (size_t)(end - expected));
        text_append_str(out, script_sha(script));
    }
    text_append_str(out, expected);
}

void check_script(struct client *c, const char *before, const char *script, const char *after,
                  const char *expected, const char *file, int line) {
    struct text wanted = { 0 };
    fill_in(&wanted, expected, script);
    script_queue(c, before, script, after);
    client_flush(c);
    const char *got = client_read_text(c);
    if (!text_matches(text_str(&wanted), got))
        harness_fail(file, line, "    %s\n    %s\n    %s\n    expected %s\n    got      %s", before, script,
                     after, text_str(&wanted), got);
    text_release(&wanted);
}

void check_evals(struct client *c, const struct script_row *rows, const char *file, int line) {
    for (; rows->script; rows++)
        check_script(c, "EVAL", rows->script, "2 k1 k2 a1 a2", rows->reply, file, line);
}

void check_loads(struct client *c, const struct script_row *rows, const char *file, int line) {
    for (; rows->script; rows++) check_script(c, "FUNCTION LOAD", rows->script, "", rows->reply, file, line);
}
