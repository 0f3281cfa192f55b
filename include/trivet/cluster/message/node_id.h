/* node_id.h: the name of a node, and of a shard: 40 characters of 0-9 and a-z. A value, compared by its
 * bytes, which is also the order that rules between equals. All zero bytes: no name. Thread: any. */
#ifndef TRIVET_CLUSTER_MESSAGE_NODE_ID_H
#define TRIVET_CLUSTER_MESSAGE_NODE_ID_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"

#define NODE_ID_LEN 40

struct node_id {
    char text[NODE_ID_LEN];
};

static inline bool node_id_equal(const struct node_id *a, const struct node_id *b) {
    return memcmp(a, b, sizeof *a) == 0;
}
static inline int node_id_compare(const struct node_id *a, const struct node_id *b) {
    return memcmp(a, b, sizeof *a);
}
static inline bool node_id_is_none(const struct node_id *id) { return id->text[0] == '\0'; }
static inline struct slice node_id_slice(const struct node_id *id) {
    return slice_make(id->text, sizeof id->text);
}
/* False if the text is no name. *out changes only on success. */
MUST_CHECK bool node_id_parse(struct slice text, struct node_id *out);

/* For printf's "%.*s". */
#define NODE_ID_ARG(id) NODE_ID_LEN, (id)->text

#endif
