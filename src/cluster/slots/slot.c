/* slot.c: the hash of keys that all nodes and clients of a cluster agree on. */
#include "trivet/cluster/slots/slot.h"
#include "trivet/base/crc.h"

struct slice slot_tag(struct slice key) {
    const char *open = key.len ? memchr(key.ptr, '{', key.len) : NULL;
    if (!open) return key;
    struct slice rest = slice_from(key, (size_t)(open + 1 - key.ptr));
    const char *close = rest.len ? memchr(rest.ptr, '}', rest.len) : NULL;
    if (!close || close == rest.ptr) return key;
    return slice_between(rest.ptr, close);
}

unsigned slot_of_key(struct slice key) { return crc16(slot_tag(key)) % SLOT_COUNT; }
