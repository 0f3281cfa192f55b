/* stream_node.c: is a node that came from outside what it claims to be?
 *
 * The elements come one by one; `expected` says what the next one must be. */
#include "stream_node.h"
#include "trivet/types/stream.h"

enum expected {
    LIVE,
    DELETED,
    MASTER_COUNT,
    MASTER_FIELD,
    MASTER_END,
    FLAGS,
    MS,
    SEQUENCE,
    COUNT,
    BODY,
    ELEMENTS
};

struct node_check {
    struct stream_id master, id, last;
    enum expected expected;
    uint64_t live, deleted; /* still to come */
    uint64_t master_count, pairs, left;
    bool first, same_fields, is_deleted;
};

/* A number that can count elements. */
static bool is_count(struct listpack_item item) {
    return !item.text.ptr && item.number >= 0 && item.number <= (int64_t)LISTPACK_BYTES_MAX;
}

static void expect_some(struct node_check *n, enum expected some, uint64_t count, enum expected none) {
    n->left = count;
    n->expected = count > 0 ? some : none;
}

static bool take_flags(struct node_check *n, const unsigned char *at) {
    if (*at > (ENTRY_DELETED | ENTRY_SAME_FIELDS))
        return false; /* in one byte, so that it can be set in place */
    n->is_deleted = *at & ENTRY_DELETED;
    n->same_fields = *at & ENTRY_SAME_FIELDS;
    uint64_t *to_come = n->is_deleted ? &n->deleted : &n->live;
    if (*to_come == 0) return false;
    (*to_come)--;
    n->expected = MS;
    return true;
}

/* Ids rise from the master id on. */
static bool take_sequence(struct node_check *n, uint64_t distance) {
    n->id.seq = n->master.seq + distance;
    int order = stream_id_compare(n->id, n->first ? n->master : n->last);
    if (order < 0 || (order == 0 && !n->first)) return false;
    n->first = false;
    n->last = n->id;
    n->pairs = n->master_count;
    if (n->same_fields)
        expect_some(n, BODY, n->master_count, ELEMENTS);
    else
        n->expected = COUNT;
    return true;
}

static bool take_master(struct node_check *n, struct listpack_item item) {
    if (n->expected != MASTER_FIELD && !is_count(item)) return false;
    uint64_t number = (uint64_t)item.number;
    switch (n->expected) {
    case LIVE:
        n->live = number;
        n->expected = DELETED;
        return number > 0;
    case DELETED:
        n->deleted = number;
        n->expected = MASTER_COUNT;
        return true;
    case MASTER_COUNT:
        n->master_count = number;
        expect_some(n, MASTER_FIELD, number, MASTER_END);
        return true;
    case MASTER_FIELD: expect_some(n, MASTER_FIELD, n->left - 1, MASTER_END); return true;
    default: n->expected = FLAGS; return number == 0;
    }
}

static bool take(void *arg, const unsigned char *at, size_t index) {
    (void)index;
    struct node_check *n = arg;
    struct listpack_item item = listpack_get(at);
    if (n->expected <= MASTER_END) return take_master(n, item);
    if (n->expected != BODY && item.text.ptr) return false;
    switch (n->expected) {
    case FLAGS: return take_flags(n, at);
    case MS:
        n->id.ms = n->master.ms + (uint64_t)item.number;
        n->expected = SEQUENCE;
        return true;
    case SEQUENCE: return take_sequence(n, (uint64_t)item.number);
    case COUNT:
        if (!is_count(item)) return false;
        n->pairs = (uint64_t)item.number;
        expect_some(n, BODY, 2 * n->pairs, ELEMENTS);
        return true;
    case BODY: expect_some(n, BODY, n->left - 1, ELEMENTS); return true;
    default: n->expected = FLAGS; return (uint64_t)item.number == entry_elements(n->same_fields, n->pairs);
    }
}

bool stream_node_is_valid(const unsigned char *bytes, size_t len, struct stream_id master) {
    struct node_check n = { .master = master, .expected = LIVE, .first = true };
    if (!listpack_is_valid(bytes, len, take, &n)) return false;
    return n.expected == FLAGS && !n.first && n.live == 0 && n.deleted == 0;
}
