/* node.h: a node of the cluster as this one knows it. Owned by its cluster_state, which alone makes and frees
 * nodes and changes what nodes say of each other (primary and replicas, slots). Times are milliseconds of
 * Unix time as the caller tells them, 0: never. Thread: the owner's. */
#ifndef TRIVET_CLUSTER_STATE_NODE_H
#define TRIVET_CLUSTER_STATE_NODE_H

#include "trivet/base/map.h"
#include "trivet/cluster/message/message.h"

/* What a node says of itself in words, for clients and people. */
enum node_text {
    NODE_HOSTNAME,
    NODE_HUMAN_NAME,
    NODE_CLIENT_IPV4,
    NODE_CLIENT_IPV6,
    NODE_ZONE,
    NODE_TEXT_COUNT,
};
#define NODE_TEXT_MAX 255u /* characters */

/* "This primary, with slots, told me that the node does not answer." */
struct failure_report {
    struct cluster_node *by;
    int64_t at_ms;
};

struct cluster_node {
    struct map_link by_id;
    size_t index; /* in cluster_state.nodes */
    struct node_id id, shard_id;
    unsigned flags; /* NODE_... */
    uint64_t config_epoch;

    struct node_ip ip;
    uint16_t port, pport, cport;           /* as in a packet */
    uint16_t client_port, client_tls_port; /* what clients are told instead; 0: nothing */
    char *texts[NODE_TEXT_COUNT];          /* NULL: empty */

    struct cluster_node *primary;   /* of a replica; NULL if it is not known */
    struct cluster_node **replicas; /* those whose primary this node is */
    size_t replica_count, replica_room;
    struct slot_set slots;
    unsigned slot_count;

    int64_t made_ms, ping_sent_ms, pong_received_ms, data_received_ms, fail_ms;
    int64_t orphaned_ms; /* since then a primary with slots has no working replica */
    uint64_t offset;     /* of replication, as it said last */
    struct failure_report *reports;
    size_t report_count, report_room;

    uint64_t link, inbound; /* the links to it and from it, 0: none; see cluster.h */
    bool link_is_open;      /* `link` is connected */
    bool link_answered;     /* something was heard on it */
    int64_t dialled_ms;     /* the last try to connect */
    int64_t link_opened_ms;
    int64_t no_inbound_ms;  /* since then it has no link to this node */
    uint64_t gossip_mark;   /* the last packet that spoke of it */
    uint64_t counted_epoch; /* the election in which its vote was counted */
};

static inline bool node_is_primary(const struct cluster_node *n) { return (n->flags & NODE_PRIMARY) != 0; }
static inline bool node_is_replica(const struct cluster_node *n) { return (n->flags & NODE_REPLICA) != 0; }
static inline bool node_is_failed(const struct cluster_node *n) { return (n->flags & NODE_FAIL) != 0; }
static inline bool node_is_suspected(const struct cluster_node *n) { return (n->flags & NODE_PFAIL) != 0; }
static inline bool node_is_in_handshake(const struct cluster_node *n) {
    return (n->flags & NODE_HANDSHAKE) != 0;
}
/* Only such nodes vote, and count for a majority. */
static inline bool node_votes(const struct cluster_node *n) {
    return node_is_primary(n) && n->slot_count > 0;
}
/* The text, empty if there is none; valid until it changes. */
struct slice node_text(const struct cluster_node *n, enum node_text which);
/* Cuts what is longer than NODE_TEXT_MAX; true if the text is another one now. */
bool node_set_text(struct cluster_node *n, enum node_text which, struct slice text);
size_t node_working_replicas(const struct cluster_node *n);

#endif
