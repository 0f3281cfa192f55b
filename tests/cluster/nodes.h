/* nodes.h: a cluster of servers of either kind, with a network between them that can be cut (network.h).
 *
 * Node i is a primary of a part of the slots at first, if i < primaries; else the replica of node
 * i - primaries. Every node announces its inlets of the network, so all that nodes send each other passes it;
 * tests speak to the nodes past it. What has to happen in time fails the test. Thread: the test's. */
#ifndef TESTS_CLUSTER_NODES_H
#define TESTS_CLUSTER_NODES_H

#include "../harness/replication.h"
#include "network.h"

/* Sanitizers make servers ten times as slow. */
#ifdef TRIVET_SANITIZE
#define NODE_TIMEOUT_MS 6000
#else
#define NODE_TIMEOUT_MS 1500
#endif

struct nodes_plan {
    size_t primaries, count;
    enum peer kinds[NETWORK_NODES];
    const char *const *args; /* of all nodes, ended by NULL; may be NULL */
};

struct nodes {
    struct network *network;
    size_t primaries, count;
    struct server *server[NETWORK_NODES];
    struct client *client[NETWORK_NODES]; /* NULL: it does not run */
    char id[NETWORK_NODES][41];
};

/* Starts them and makes a cluster of them that is sound, with all replicas linked. */
void nodes_start(struct nodes *g, const struct nodes_plan *plan);
/* They must end cleanly. */
void nodes_end(struct nodes *g);

/* ---- looking ---- */

bool nodes_says(struct nodes *g, size_t i, const char *command, const char *part);
bool nodes_is_primary(struct nodes *g, size_t i);
/* With its link up. */
bool nodes_is_linked_replica(struct nodes *g, size_t i, size_t primary);
/* What node i thinks of the other: its flags in CLUSTER NODES. */
bool nodes_has_flags(struct nodes *g, size_t i, size_t other, const char *flags);
bool nodes_are_sound(struct nodes *g); /* state ok everywhere */
/* Every node runs, is sound, has a primary that works or is one, and a link to each other one; redis-cli
 * --cluster check agrees. */
bool nodes_are_well(struct nodes *g);
/* Says what redis-cli has against it. */
void nodes_assert_well(struct nodes *g);
/* The node whose inlet of clients this port is. */
size_t nodes_at_port(const struct nodes *g, int port);
/* A key "<prefix>{n}" in a slot that node i has at first. */
void nodes_key(const struct nodes *g, size_t i, const char *prefix, char key[64]);

/* ---- doing ---- */

void nodes_kill(struct nodes *g, size_t i);
void nodes_restart(struct nodes *g, size_t i);
/* SIGSTOP and SIGCONT. */
void nodes_freeze(struct nodes *g, size_t i);
void nodes_thaw(struct nodes *g, size_t i);

#endif
