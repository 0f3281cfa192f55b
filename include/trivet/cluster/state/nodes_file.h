/* nodes_file.h: nodes.conf, the file in which a node keeps what it knows, in the format of Redis and Valkey.
 *
 * One line a node: "id ip:port@busport,hostname,name=value... flags primary ping-sent pong-received epoch
 * link slots...", then "vars currentEpoch N lastVoteEpoch N". CLUSTER NODES prints the same lines without the
 * name=value fields. Reading understands the files of Redis 7.0 (no comma part) to Valkey 9. Locking and
 * writing the file is the caller's (base/file.h). Thread: the state's owner. */
#ifndef TRIVET_CLUSTER_STATE_NODES_FILE_H
#define TRIVET_CLUSTER_STATE_NODES_FILE_H

#include "trivet/cluster/state/state.h"

enum node_line_form {
    NODE_LINE_FILE,       /* with all that is known */
    NODE_LINE_CLIENT,     /* for CLUSTER NODES: port 0 or plain port */
    NODE_LINE_TLS_CLIENT, /* the same with the TLS port */
};

struct nodes_file_rules {
    bool ports_are_tls; /* cluster_node.port is the TLS port and pport the plain one */
};

/* Without the line's end. */
void node_line_write(struct buf *out, const struct cluster_state *s, const struct cluster_node *n,
                     enum node_line_form form, struct nodes_file_rules rules);
/* "myself,master,fail". */
void node_flags_write(struct buf *out, unsigned flags);
/* All nodes but those in handshake, and the variables. */
void nodes_file_write(struct buf *out, const struct cluster_state *s, struct nodes_file_rules rules);
/* Fills a state from a file's text. False: the text is no such file, `error` says why, and the state is
 * released. `s` need not be initialized. */
MUST_CHECK bool nodes_file_read(struct cluster_state *s, struct slice text, struct nodes_file_rules rules,
                                int64_t now_ms, struct buf *error);

#endif
