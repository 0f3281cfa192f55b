/* member.h: this server as a node of a cluster: it holds the rules (cluster/rules) and does what they want
 * done.
 *
 * The rules say what to do as actions. Whoever has called them calls member_act() next, which saves
 * nodes.conf, changes role and routes, and hands the rest, what concerns links, to the bus (net/bus.h).
 * Thread: worker 0 with its own gate (ticks and packets), or any worker with the gate closed (commands). So
 * workers read the rules' state with the gate closed only; what every command has to know is in routes.h. */
#ifndef TRIVET_ENGINE_CLUSTER_MEMBER_H
#define TRIVET_ENGINE_CLUSTER_MEMBER_H

#include "trivet/base/compiler.h"
#include "trivet/cluster/rules/cluster.h"

/* NULL: this server is not a node. */
extern struct cluster *member;

struct bus_facts {
    size_t links, memory;
    uint64_t over_limit; /* links that were closed because their output grew too big */
};

/* One link for CLUSTER LINKS. */
struct bus_link_facts {
    int64_t made_ms;
    bool writes;       /* output waits */
    size_t room, used; /* bytes of output: memory, and waiting */
};

/* What is done to links, in order; on worker 0, its gate held. The facts: there, or with the gate closed. All
 * NULL while the bus is closed: so it is while data is loaded. */
struct bus_hooks {
    void (*open)(uint64_t link, struct slice ip, uint16_t port);
    void (*close)(uint64_t link);
    void (*send)(uint64_t link, struct slice packet);
    void (*facts)(struct bus_facts *out);
    bool (*link_facts)(uint64_t link, struct bus_link_facts *out); /* false: there is none */
};
extern struct bus_hooks bus_hooks;

/* Reads nodes.conf, or begins a cluster of its own, and locks the file. Main thread, before data is loaded.
 * False with the reason in `error`. */
MUST_CHECK bool member_start(struct buf *error);
/* The data is there, the workers run: the role that nodes.conf says begins. Main thread. */
void member_begin(void);
void member_stop(void);
/* The settings have changed. Gate closed. */
void member_settings_changed(void);

/* Does all actions that wait. */
void member_act(void);
/* Sends a message to the other nodes, or (sharded) to those of this shard. Any worker, its own gate held. */
void member_publish(bool sharded, struct slice channel, struct slice payload);
/* CLUSTER SAVECONFIG. */
MUST_CHECK bool member_save(struct buf *error);
/* This node's name; empty outside of a cluster. Gate closed. */
struct slice member_name(void);
/* A name that nobody has. */
struct node_id member_new_id(void);
/* The port of the bus. */
uint16_t member_bus_port(void);
/* The host and port that clients of this kind are told for a node: by cluster-preferred-endpoint-type. The
 * slice is valid until the node changes; `known` false: the host is not to be told at all. */
struct slice member_endpoint(const struct cluster_node *n, bool *known);
uint16_t member_port(const struct cluster_node *n, bool tls);

#endif
