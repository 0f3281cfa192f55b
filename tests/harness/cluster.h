/* cluster.h: clusters for tests: nodes of either kind of server, made one cluster by redis-cli, and a client
 * that goes where it is sent.
 *
 * All listen on free ports of 127.0.0.1, the bus too, and have a conf file of their own. What goes wrong
 * fails the running test. Thread: the test's. */
#ifndef TESTS_HARNESS_CLUSTER_H
#define TESTS_HARNESS_CLUSTER_H

#include "replication.h"

#define NODES_MAX 8
#define NODE_NAME_SIZE 41

/* ---- one node ---- */

/* A server in cluster mode that knows nobody; *bus_port may be NULL. `args` as for peer_start(), may be NULL.
 */
struct server *peer_start_node(enum peer kind, const char *timeout_ms, const char *const *args,
                               int *bus_port);
/* CLUSTER MYID, CLUSTER MYSHARDID. */
void peer_copy_id(struct client *c, const char *command, char id[NODE_NAME_SIZE]);
/* Does the reply contain this? */
bool peer_says(struct client *c, const char *command, const char *part);
bool peer_is_up(struct client *c);
bool peer_is_linked_replica(struct client *c);

/* ---- several ---- */

struct nodes {
    struct server *server[NODES_MAX];
    struct client *client[NODES_MAX]; /* NULL while it is down */
    size_t count;
};

/* Strangers to each other. */
void nodes_start(struct nodes *n, const enum peer *kinds, size_t count);
/* All of this kind, and one cluster with so many replicas for each primary: those come last. */
void nodes_start_cluster(struct nodes *n, enum peer kind, size_t count, int replicas);
/* One more, which belongs to nobody yet; returns which. */
size_t nodes_add(struct nodes *n, enum peer kind);
void nodes_end(struct nodes *n);

void nodes_create(struct nodes *n, int replicas);
bool nodes_are_up(struct nodes *n);
/* redis-cli --cluster check, by this node, finds nothing wrong. */
bool nodes_agree(const struct nodes *n, size_t node);
size_t nodes_linked_replicas(struct nodes *n);
/* The replica of this primary. */
size_t nodes_replica_of(struct nodes *n, size_t primary);
/* How many slots it has, as it says itself. */
size_t nodes_slots_of(struct nodes *n, size_t node);

void nodes_kill(struct nodes *n, size_t node);
void nodes_bring_back(struct nodes *n, size_t node);
void nodes_move_slots(struct nodes *n, size_t from, size_t to, int count);

/* Sends a command to the first node, and goes where that sends it, also by ASK; valid until the next call. */
const char *nodes_ask(struct nodes *n, const char *format, ...) PRINTF_LIKE(2, 3);
/* SET key:<i> value:<i>, in all slots alike; and that they are there. */
void nodes_write_keys(struct nodes *n, int count);
void nodes_assert_keys(struct nodes *n, int count);

/* ---- redis-cli --cluster ---- */

/* Runs it, and says yes to whatever it asks; its exit status, and what it said in *said, which is cleared
 * first and may be NULL. */
int cluster_cli(struct text *said, const char *format, ...) PRINTF_LIKE(2, 3);
/* It must be content. If it is not, what it said is shown. */
#define assert_cli(...) assert_true(cluster_cli(NULL, __VA_ARGS__) == 0)

#endif
