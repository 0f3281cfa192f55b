/* utf8.c: see utf8.h. */
#include "trivet/base/utf8.h"
#include <assert.h>

static size_t length_by_first(unsigned char first) {
    if (first < 0x80) return 1;
    if (first < 0xc2) return 0; /* the middle of a character, or a longer form of ASCII */
    if (first < 0xe0) return 2;
    if (first < 0xf0) return 3;
    return first < 0xf5 ? 4 : 0;
}

/* What the first two bytes say beyond the first. */
static bool is_in_range(unsigned char first, unsigned char second) {
    switch (first) {
    case 0xe0: return second >= 0xa0; /* else a longer form */
    case 0xed: return second <= 0x9f; /* else a surrogate */
    case 0xf0: return second >= 0x90; /* else a longer form */
    case 0xf4: return second <= 0x8f; /* else beyond U+10FFFF */
    default: return true;
    }
}

size_t utf8_length(struct slice bytes) {
    assert(bytes.len > 0);
    const unsigned char *at = (const unsigned char *)bytes.ptr;
    size_t len = length_by_first(at[0]);
    if (len > bytes.len) return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    return len < 2 || is_in_range(at[0], at[1]) ? len : 0;
}
