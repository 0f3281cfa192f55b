/* routes.h: which node serves each slot, as far as commands need to know it: a table that is drawn up anew
 * from the cluster's state whenever that changes (by the bus, on worker 0).
 *
 * Owner: the process. Thread: workers read it under their own gate, it changes with the gate closed. */
#ifndef TRIVET_ENGINE_SLOTS_ROUTES_H
#define TRIVET_ENGINE_SLOTS_ROUTES_H

#include "trivet/base/buf.h"
#include "trivet/cluster/message/node_id.h"
#include "trivet/keyspace/slot.h"
#include <stdbool.h>
#include <stdint.h>

/* Nodes have numbers in the table. Two of them are fixed. */
#define ROUTE_NOBODY 0
#define ROUTE_MYSELF 1

struct route_node {
    struct node_id id;
    struct buf host; /* what clients are told; empty: the host that they know already */
    uint16_t port, tls_port;
};

struct routes {
    bool is_up;       /* the cluster's state as this node sees it */
    uint16_t primary; /* of this node if it is a replica, else ROUTE_NOBODY */
    uint16_t owner[SLOT_COUNT];
    uint16_t
        moving[SLOT_COUNT]; /* the node where the slot goes, or where it comes from; mostly ROUTE_NOBODY */
    uint32_t moving_count;
    struct route_node *nodes;
    uint16_t node_count;
};

/* NULL: this server is not a node of a cluster. */
extern struct routes *routes;
/* Is some slot being moved? Then commands look once more under the locks of their keys (redirect.h). */
extern bool routes_are_moving;

/* Bit n: slot n is this node's, and the cluster is up. Every command asks, so it is small enough for the
 * nearest cache, and of one load. */
extern uint64_t routes_served[SLOT_COUNT / 64];
static inline bool routes_serve(uint16_t slot) { return routes_served[slot / 64] >> slot % 64 & 1; }

/* An empty table: no slot is served. */
struct routes *routes_new(void);
/* Adds a node and returns its number. The first one is this node. */
uint16_t routes_add(struct routes *r, const struct node_id *id, struct slice host, uint16_t port,
                    uint16_t tls_port);
/* Is there a node of this name? */
bool routes_know(const struct routes *r, const struct node_id *id);
void routes_free(struct routes *r);
/* Puts it (NULL: none) in the place of the table in use, which is freed. Gate closed. */
void routes_replace(struct routes *r);

#endif
