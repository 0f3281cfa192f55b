/* slot.c: see slot.h. */
#include "trivet/keyspace/slot.h"
#include <string.h>

/* The hash tag that may begin behind this brace, or all of the key. An empty tag does not count. */
ALWAYS_INLINE struct slice what_counts(struct slice key, size_t brace) {
    const char *tag = key.ptr + brace + 1, *end = key.ptr + key.len;
    const char *close = tag < end ? memchr(tag, '}', (size_t)(end - tag)) : NULL;
    return close && close != tag ? slice_between(tag, close) : key;
}

uint16_t slot_of_braced_key(struct slice key, size_t brace) {
    return crc16(what_counts(key, brace)) % SLOT_COUNT;
}

int32_t slot_of_pattern(struct slice pattern) {
    const char *brace = pattern.len > 0 ? memchr(pattern.ptr, '{', pattern.len) : NULL;
    struct slice tag = brace ? what_counts(pattern, (size_t)(brace - pattern.ptr)) : pattern;
    for (const char *p = pattern.ptr; p < tag.ptr + tag.len; p++)
        if (memchr("*?[\\", *p, 4)) return -1;
    return slot_of_key(pattern);
}
