/* slot.c: see slot.h. */
#include "trivet/keyspace/slot.h"
#include <string.h>

/* The hash tag, or all of it. An empty tag does not count. */
static struct slice what_counts(struct slice key) {
    const char *open = key.len > 0 ? memchr(key.ptr, '{', key.len) : NULL;
    if (!open) return key;
    const char *tag = open + 1, *end = key.ptr + key.len;
    const char *close = tag < end ? memchr(tag, '}', (size_t)(end - tag)) : NULL;
    if (!close || close == tag) return key;
    return (struct slice){ tag, (size_t)(close - tag) };
}

uint16_t slot_of_braced_key(struct slice key) { return crc16(what_counts(key)) % SLOT_COUNT; }

int32_t slot_of_pattern(struct slice pattern) {
    struct slice tag = what_counts(pattern);
    for (const char *p = pattern.ptr; p < tag.ptr + tag.len; p++)
        if (memchr("*?[\\", *p, 4)) return -1;
    return slot_of_key(pattern);
}
