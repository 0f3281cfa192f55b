/* node_id.c: which bytes may name a node. */
#include "trivet/cluster/message/node_id.h"

bool node_id_parse(struct slice text, struct node_id *out) {
    if (text.len != NODE_ID_LEN) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'))) return false;
    }
    memcpy(out->text, text.ptr, NODE_ID_LEN);
    return true;
}
