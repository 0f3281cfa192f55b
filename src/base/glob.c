/* glob.c: glob patterns over bytes, in bounded work.
 *
 * Every element of a pattern but the star matches exactly one byte. So when a match fails, only the last star
 * is tried again, one byte further: an earlier star reaches nothing that the last one cannot. Hence there is
 * no recursion, and there are at most pattern times text steps.
 *
 * Odd patterns mean what they mean in Redis: a class without its ']' ends with the pattern, a
 * range may be written downwards, "[]" matches nothing, a backslash at the end is itself. */
#include "trivet/base/glob.h"

static unsigned char fold(unsigned char byte, bool nocase) {
    return nocase && byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + ('a' - 'A')) : byte;
}

/* One member of a class at *at: a byte, an escaped byte or a range. Steps *at over it. */
static bool member_matches(struct slice p, size_t *at, unsigned char byte, bool nocase) {
    const unsigned char *bytes = (const unsigned char *)p.ptr;
    size_t left = p.len - *at;
    if (bytes[*at] == '\\' && left >= 2) {
        *at += 2;
        return fold(bytes[*at - 1], nocase) == byte;
    }
    if (left >= 3 && bytes[*at + 1] == '-') {
        unsigned char low = fold(bytes[*at], nocase), high = fold(bytes[*at + 2], nocase);
        *at += 3;
        return low <= high ? low <= byte && byte <= high : high <= byte && byte <= low;
    }
    *at += 1;
    return fold(bytes[*at - 1], nocase) == byte;
}

/* *at points after the '['; on return it points after the ']', or to the end. */
static bool class_matches(struct slice p, size_t *at, unsigned char byte, bool nocase) {
    bool inverted = *at < p.len && p.ptr[*at] == '^';
    if (inverted) ++*at;
    bool found = false;
    while (*at < p.len && p.ptr[*at] != ']') {
        if (member_matches(p, at, byte, nocase)) found = true;
    }
    if (*at < p.len) ++*at;
    return found != inverted;
}

/* The element at *at, which is not a star, against one byte. Steps *at over the element. */
static bool element_matches(struct slice p, size_t *at, unsigned char byte, bool nocase) {
    char c = p.ptr[*at];
    ++*at;
    if (c == '?') return true;
    if (c == '[') return class_matches(p, at, byte, nocase);
    if (c == '\\' && *at < p.len) {
        c = p.ptr[*at];
        ++*at;
    }
    return fold((unsigned char)c, nocase) == byte;
}

static bool match(struct slice p, struct slice text, bool nocase) {
    size_t at = 0, i = 0;
    size_t after_star = 0, star_text = 0; /* after_star is 0 until there is a star */
    for (;;) {
        if (at < p.len && p.ptr[at] == '*') {
            after_star = ++at;
            star_text = i;
            if (at == p.len) return true;
            continue;
        }
        if (i == text.len) return at == p.len;
        if (at < p.len && element_matches(p, &at, fold((unsigned char)text.ptr[i], nocase), nocase)) {
            i++;
            continue;
        }
        if (after_star == 0) return false;
        at = after_star;
        i = ++star_text;
    }
}

/* As in Redis, only the empty pattern matches the empty text: a star needs at least one byte there. */
static bool match_any(struct slice pattern, struct slice text, bool nocase) {
    return text.len > 0 ? match(pattern, text, nocase) : pattern.len == 0;
}

bool glob_match(struct slice pattern, struct slice text) { return match_any(pattern, text, false); }
bool glob_match_nocase(struct slice pattern, struct slice text) { return match_any(pattern, text, true); }
