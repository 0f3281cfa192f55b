/* fleet.h: a cluster of servers of either kind, with a network between them that can be cut (network.h).
 *
 * Node i is a primary of a part of the slots at first, if i < primaries; else the replica of node
 * i - primaries. Every node announces its inlets of the network, so all that nodes send each other passes it;
 * tests speak to the nodes past it. What has to happen in time fails the test. Thread: the test's. */
#ifndef TESTS_CLUSTER_FLEET_H
#define TESTS_CLUSTER_FLEET_H

#include "../harness/replication.h"
#include "network.h"

/* Sanitizers make servers ten times as slow. */
#ifdef TRIVET_SANITIZE
#define NODE_TIMEOUT_MS 6000
#else
#define NODE_TIMEOUT_MS 1500
#endif

struct fleet_plan {
    size_t primaries, count;
    enum peer kinds[NETWORK_NODES];
    const char *const *args; /* of all nodes, ended by NULL; may be NULL */
};

struct fleet {
    struct network *network;
    size_t primaries, count;
    struct server *server[NETWORK_NODES];
    struct client *client[NETWORK_NODES]; /* NULL: it does not run */
    char id[NETWORK_NODES][41];
};

/* Starts them and makes a cluster of them that is sound, with all replicas linked. */
void fleet_start(struct fleet *g, const struct fleet_plan *plan);
/* They must end cleanly. */
void fleet_end(struct fleet *g);

/* ---- looking ---- */

bool fleet_says(struct fleet *g, size_t i, const char *command, const char *part);
bool fleet_is_primary(struct fleet *g, size_t i);
/* With its link up. */
bool fleet_is_linked_replica(struct fleet *g, size_t i, size_t primary);
/* What node i thinks of the other: its flags in CLUSTER NODES. */
bool fleet_has_flags(struct fleet *g, size_t i, size_t other, const char *flags);
bool fleet_are_sound(struct fleet *g); /* state ok everywhere */
/* Every node runs, is sound, has a primary that works or is one, and a link to each other one; redis-cli
 * --cluster check agrees. */
bool fleet_are_well(struct fleet *g);
/* Says what redis-cli has against it. */
void fleet_assert_well(struct fleet *g);
/* The node whose inlet of clients this port is. */
size_t fleet_at_port(const struct fleet *g, int port);
/* A key "<prefix>{n}" in a slot that node i has at first. */
void fleet_key(const struct fleet *g, size_t i, const char *prefix, char key[64]);

/* ---- doing ---- */

void fleet_kill(struct fleet *g, size_t i);
void fleet_restart(struct fleet *g, size_t i);
/* SIGSTOP and SIGCONT. */
void fleet_freeze(struct fleet *g, size_t i);
void fleet_thaw(struct fleet *g, size_t i);

#endif
