/* network.h: the network between the nodes of a cluster, which can be cut, one way too, slowed down, and
 * mended.
 *
 * Each node has two inlets here, which it announces as its ports: one of its clients' port, one of its bus.
 * What comes to an inlet is carried to the node. Who dialled is told by the first packet of the bus (its
 * sender), and on the other inlet by REPLCONF listening-port: so what replicas get is cut together with the
 * bus. Who says neither is a client and is always carried.
 *
 * A way that is silent loses nothing: what was sent waits, and is delivered when the way is open again, as
 * TCP does it; the ends of connections too. Orders hold for all connections, the present ones too. Thread: a
 * thread of its own carries the bytes; orders come from any other. */
#ifndef TESTS_CLUSTER_NETWORK_H
#define TESTS_CLUSTER_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORK_NODES 8

enum network_inlet { INLET_CLIENTS, INLET_BUS, INLETS };

struct network;

/* With the inlets of so many nodes. */
struct network *network_start(size_t nodes);
void network_stop(struct network *n); /* may be NULL */
int network_port(const struct network *n, size_t node, enum network_inlet inlet);
/* Where the node itself listens. */
void network_place(struct network *n, size_t node, int clients_port, int bus_port);
/* Its name, once it has one. */
void network_name(struct network *n, size_t node, const char *id);

/* What `from` sends to `to` does not arrive. */
void network_silence(struct network *n, size_t from, size_t to, bool on);
/* It arrives so much later. */
void network_delay(struct network *n, size_t from, size_t to, int64_t ms);
/* No connection between these two lives, nor is a new one made. */
void network_refuse(struct network *n, size_t one, size_t other, bool on);
/* Sets of nodes, as bits: all ways between the two are silent. */
void network_part(struct network *n, unsigned some, unsigned others);
/* All is as it was at first. */
void network_heal(struct network *n);

/* Bytes that arrived. */
uint64_t network_carried(struct network *n, size_t from, size_t to);

#endif
