/* node.c: what one node says of itself. */
#include "trivet/cluster/state/node.h"
#include "trivet/base/mem.h"

struct slice node_text(const struct cluster_node *n, enum node_text which) {
    assert(which < NODE_TEXT_COUNT);
    return n->texts[which] ? slice_of(n->texts[which]) : LIT("");
}

bool node_set_text(struct cluster_node *n, enum node_text which, struct slice text) {
    if (text.len > NODE_TEXT_MAX) text.len = NODE_TEXT_MAX;
    if (slice_equal(node_text(n, which), text)) return false;
    mem_free(n->texts[which]);
    n->texts[which] = text.len ? slice_to_cstr(text) : NULL;
    return true;
}

size_t node_working_replicas(const struct cluster_node *n) {
    size_t working = 0;
    for (size_t i = 0; i < n->replica_count; i++) working += !node_is_failed(n->replicas[i]);
    return working;
}
