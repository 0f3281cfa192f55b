/* Globs, against a table and against a naive model on random patterns. */
#include "trivet/base/compiler.h"
#include "trivet/base/glob.h"
#include "trivet/base/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void patterns_match_as_in_redis(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        { "", "", true },
        { "", "a", false },
        { "a", "", false },
        { "*", "", false },
        { "*", "anything", true },
        { "**", "x", true },
        { "h?llo", "hello", true },
        { "h?llo", "hllo", false },
        { "h*llo", "hllo", true },
        { "h*llo", "heeeello", true },
        { "h*llo", "heeeellx", false },
        { "h[ae]llo", "hallo", true },
        { "h[ae]llo", "hillo", false },
        { "h[^e]llo", "hallo", true },
        { "h[^e]llo", "hello", false },
        { "h[a-b]llo", "hbllo", true },
        { "h[b-a]llo", "hallo", true },
        { "h[a-b]llo", "hcllo", false },
        { "[a-]", "a", true },
        { "[]", "a", false },
        { "[^]", "a", true },
        { "[]a]", "a]", false },
        { "a\\*b", "a*b", true },
        { "a\\*b", "axb", false },
        { "[\\]]", "]", true },
        { "[\\-]", "-", true },
        { "a\\", "a\\", true },
        { "a\\", "a", false },
        { "[abc", "b", true },
        { "[abc", "d", false },
        { "[abc", "bb", false },
        { "[", "[", false },
        { "[^", "x", true },
        { "*[", "x", false },
        { "news.*", "news.", true },
        { "news.*", "new", false },
        { "a*b*c", "aXbXbXc", true },
        { "a*b*c", "aXbXbX", false },
        { "*a", "ba", true },
        { "*a", "ab", false },
        { "A", "a", false },
        { "\\", "\\", true },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (glob_match(slice_of(rows[i].pattern), slice_of(rows[i].text)) != rows[i].matches)
            fail_msg("'%s' on '%s'", rows[i].pattern, rows[i].text);
    }
}

static void letters_match_in_either_case_on_request(void **state) {
    (void)state;
    assert_true(glob_match_nocase(LIT("MAX*"), LIT("maxmemory")));
    assert_true(glob_match_nocase(LIT("max*"), LIT("MAXMEMORY")));
    assert_true(glob_match_nocase(LIT("[A-C]x"), LIT("bX")));
    assert_true(glob_match_nocase(LIT("\\Q"), LIT("q")));
    assert_false(glob_match_nocase(LIT("[^a]"), LIT("A")));
    assert_false(glob_match_nocase(LIT("@"), LIT("`"))); /* 32 apart like letters, but none */
}

static void zero_bytes_are_bytes_like_others(void **state) {
    (void)state;
    assert_true(glob_match(LIT("a\0*"), LIT("a\0b")));
    assert_false(glob_match(LIT("a"), LIT("a\0")));
    assert_true(glob_match(LIT("[\0-\1]"), LIT("\1")));
    assert_true(glob_match(LIT("\xff"), LIT("\xff")));
    assert_true(glob_match(LIT("[\x80-\xff]"), LIT("\xa0")));
}

/* The definition, with a recursion for each star: right, and exponentially slow. */
static bool model(const char *p, const char *pe, const char *t, const char *te) {
    if (p == pe) return t == te;
    if (*p == '*') return model(p + 1, pe, t, te) || (t < te && model(p, pe, t + 1, te));
    if (t == te) return false;
    char c = *p++;
    if (c == '?') return model(p, pe, t + 1, te);
    if (c == '\\' && p < pe)
        c = *p++;
    else if (c == '[') {
        bool inverted = p < pe && *p == '^', found = false;
        if (inverted) p++;
        while (p < pe && *p != ']') {
            if (*p == '\\' && pe - p >= 2) {
                found = found || p[1] == *t;
                p += 2;
            } else if (pe - p >= 3 && p[1] == '-') {
                found = found || (*t >= p[0] && *t <= p[2]) || (*t >= p[2] && *t <= p[0]);
                p += 3;
            } else {
                found = found || *p == *t;
                p++;
            }
        }
        if (p < pe) p++;
        return found != inverted && model(p, pe, t + 1, te);
    }
    return c == *t && model(p, pe, t + 1, te);
}

static void random_patterns_agree_with_the_naive_model(void **state) {
    (void)state;
    static const char alphabet[] = "aabbc*?[]^-\\";
    size_t matches = 0;
    for (int i = 0; i < 200000; i++) {
        char pattern[12], text[10];
        size_t pattern_len = random_below(sizeof pattern), text_len = random_below(sizeof text);
        for (size_t k = 0; k < pattern_len; k++) pattern[k] = alphabet[random_below(sizeof alphabet - 1)];
        for (size_t k = 0; k < text_len; k++) text[k] = alphabet[random_below(5)];
        bool expected = text_len == 0 ? pattern_len == 0 /* Redis looks no further then */
                                      : model(pattern, pattern + pattern_len, text, text + text_len);
        matches += expected;
        if (glob_match(slice_make(pattern, pattern_len), slice_make(text, text_len)) != expected)
            fail_msg("'%.*s' on '%.*s'", (int)pattern_len, pattern, (int)text_len, text);
    }
    assert_true(matches > 1000); /* the patterns are not all hopeless */
}

static void a_hostile_pattern_ends(void **state) {
    (void)state;
    /* The naive way would need more steps than there are atoms; this test would never end. */
    static char pattern[2000], text[20000];
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = i % 2 ? 'a' : '*';
    pattern[sizeof pattern - 1] = 'b';
    memset(text, 'a', sizeof text);
    assert_false(glob_match(slice_make(pattern, sizeof pattern), slice_make(text, sizeof text)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_in_redis),
        cmocka_unit_test(letters_match_in_either_case_on_request),
        cmocka_unit_test(zero_bytes_are_bytes_like_others),
        cmocka_unit_test(random_patterns_agree_with_the_naive_model),
        cmocka_unit_test(a_hostile_pattern_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
