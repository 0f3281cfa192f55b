/* fleet.h: the harness's nodes (cluster.h), with a network between them that can be cut (network.h).
 *
 * Node i is a primary of a part of the slots at first, if i < primaries; else the replica of node
 * i - primaries. Every node announces its inlets of the network, so all that nodes send each other passes it;
 * tests speak to the nodes past it. What has to happen in time fails the test. Thread: the test's. */
#ifndef TESTS_CLUSTER_FLEET_H
#define TESTS_CLUSTER_FLEET_H

#include "../harness/cluster.h"
#include "network.h"

/* Sanitizers make servers ten times as slow. */
#ifdef TRIVET_SANITIZE
#define NODE_TIMEOUT_MS 6000
#else
#define NODE_TIMEOUT_MS 2000
#endif

struct fleet_plan {
    size_t primaries, count;
    enum peer kinds[NODES_MAX];
    const char *const *args; /* of all nodes, ended by NULL; may be NULL */
};

struct fleet {
    struct network *network;
    size_t primaries;
    struct nodes nodes;
};

/* Starts them and makes a cluster of them that is sound, with all replicas linked. */
void fleet_start(struct fleet *g, const struct fleet_plan *plan);
/* They must end cleanly. */
void fleet_end(struct fleet *g);

/* ---- looking ---- */

/* Until every node runs, is up, has a primary that works or is one, and a link to each other one, and
 * redis-cli --cluster check agrees. */
void fleet_assert_well(struct fleet *g);
/* The node whose inlet of clients this port is. */
size_t fleet_at_port(const struct fleet *g, int port);
/* A key "<prefix>{n}" in a slot that node i has at first. */
void fleet_key(const struct fleet *g, size_t i, const char *prefix, char key[64]);

/* ---- doing ---- */

/* SIGSTOP and SIGCONT. It has no client meanwhile. */
void fleet_freeze(struct fleet *g, size_t i);
void fleet_thaw(struct fleet *g, size_t i);

#endif
