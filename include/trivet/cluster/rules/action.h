/* action.h: what the rules want done. They touch no socket, no file and no key themselves; after each call of
 * cluster.h the caller takes the actions away and does them, in their order: a vote must be on the disk
 * before it is sent. */
#ifndef TRIVET_CLUSTER_RULES_ACTION_H
#define TRIVET_CLUSTER_RULES_ACTION_H

#include "trivet/cluster/message/message.h"

enum cluster_action_kind {
    ACTION_OPEN,    /* connect `link` to ip and port, the bus port; then cluster_link_opened() or _closed() */
    ACTION_CLOSE,   /* close `link`: its number is not used again, neither here nor there */
    ACTION_SEND,    /* `bytes` on `link` */
    ACTION_SAVE,    /* write nodes.conf; with `sync` it must have reached the disk before the next action */
    ACTION_CHANGED, /* what clients are told of nodes and slots may be another now */
    ACTION_LEAD,    /* this node is a primary now: replicate nobody, serve writes */
    ACTION_FOLLOW,  /* replicate the node `node` at ip and port, its client port */
    ACTION_DROP_KEYS, /* `bytes` is a slot_set: slots that went to others; their keys have to go */
    ACTION_STATE,     /* the cluster is `sound` for this node, or is not */
    ACTION_PAUSE,  /* hold writes back until `until_ms`, then cluster_writes_held(): a replica takes over */
    ACTION_RESUME, /* no more of that */
    ACTION_LOG,    /* `bytes` is a line for the log */
};

struct cluster_action {
    enum cluster_action_kind kind;
    bool sync, sound;
    uint16_t port;
    uint64_t link;
    struct node_ip ip;
    struct node_id node;
    int64_t until_ms;
    struct slice bytes;
};

#endif
