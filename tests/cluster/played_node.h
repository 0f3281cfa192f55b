/* played_node.h: nodes of a cluster that a test plays by hand, and the server whose bus they speak to.
 *
 * Each listens; the server dials it after a MEET, and both talk on a link of their own. What does not come
 * within the harness's patience fails the test. Every packet that is read must come out of our writer as it
 * came in, byte for byte. Thread: the test's. */
#ifndef TESTS_CLUSTER_PLAYED_NODE_H
#define TESTS_CLUSTER_PLAYED_NODE_H

#include "../harness/check.h"
#include "../harness/cluster.h"
#include "../harness/wire.h"
#include "trivet/cluster/message/message.h"

struct played_bus {
    struct cnode node;
    struct node_id id;
};

/* A node of this kind; more arguments, ended by NULL. */
void played_bus_open(struct played_bus *b, enum peer kind, const char *const *args);
void played_bus_close(struct played_bus *b);

struct played_node {
    struct message_header self;
    struct slot_set slots;
    struct wire_listener *listener;
    struct wire *to, *from; /* dialled by us, and by the server */
    struct text packet;     /* the last one on `from` */
};

/* Makes a node, whose name is this letter forty times, and has the server know it: MEET, its PONG, its own
 * link with a PING, our PONG. `primary` may be NULL. */
void played_join(struct played_bus *b, struct played_node *n, char letter, const struct played_node *primary);
void played_leave(struct played_node *n);
/* Tells the server what the node is now; its PONG says that it knows. */
void played_announce(struct played_node *n);
/* A message that has a header and no body. */
void played_say(struct played_node *n, struct wire *w, enum message_type type);
/* One packet; valid as long as `packet` is. */
void played_read(struct wire *w, struct text *packet, struct message *m);
/* Reads what the server says, answering its PINGs, until it is of this type. Valid until the next call. */
struct message played_await(struct played_node *n, enum message_type type);

#endif
