/* cluster.h: clusters for tests: a node of either kind of server; several, which redis-cli makes one cluster;
 * and a client that goes where it is sent.
 *
 * All listen on free ports of 127.0.0.1, the bus too, and have a conf file of their own. What goes wrong
 * fails the running test. Thread: the test's. */
#ifndef TESTS_HARNESS_CLUSTER_H
#define TESTS_HARNESS_CLUSTER_H

#include "replication.h"

#define NODES_MAX 8
#define NODE_NAME_SIZE 41

/* ---- one node ---- */

struct cnode {
    struct server *server;
    struct client *client; /* NULL while it is down */
    char id[NODE_NAME_SIZE];
    int bus_port;
};

/* Knows nobody yet. `args` as for peer_start(). */
struct cnode cnode_start(enum peer kind, const char *const *args);
#define CNODE(...) cnode_start(PEER_TRIVET, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
/* The same for a whole plan, in which program, `tcp` and what makes it a node are set here. The plan's conf
 * is what CONFIG REWRITE may change for good: args win again after a restart. */
struct cnode cnode_launch(enum peer kind, const struct server_plan *plan);
/* It must end cleanly, if it still runs. */
void cnode_end(struct cnode *n);
/* The port that nodes tell of each other: with TLS if it has one. */
int cnode_port(const struct cnode *n);

void cnode_kill(struct cnode *n); /* SIGKILL */
void cnode_restart(struct cnode *n);

/* Is `part` in the reply? A node that is down says nothing. */
bool cnode_says(const struct cnode *n, const char *command, const char *part);
bool cnode_is_up(const struct cnode *n); /* cluster_state:ok */
bool cnode_is_primary(const struct cnode *n);
/* With its link up. */
bool cnode_is_linked_replica(const struct cnode *n);
bool cnode_is_linked_replica_of(const struct cnode *n, const struct cnode *primary);
/* By its name, and no handshake goes on. */
bool cnode_knows(const struct cnode *n, const struct cnode *other);
/* What it thinks of the other: its flags in CLUSTER NODES. */
bool cnode_has_flags(const struct cnode *n, const struct cnode *other, const char *flags);

void cnode_take_all_slots(struct cnode *n);
/* Introduces them, and until both know each other; and the latter alone, for those who hear of each other
 * from a third one. */
void cnode_meet(struct cnode *a, struct cnode *b);
void cnode_await_meeting(const struct cnode *a, const struct cnode *b);
/* CLUSTER REPLICATE; and until it has all that was written and the primary has heard that, which waits for no
 * others. */
void cnode_replicate(struct cnode *replica, const struct cnode *primary);
void cnode_follow(struct cnode *replica, const struct cnode *primary);
/* A primary that serves all slots, and its replica. */
void cnode_pair(struct cnode *primary, struct cnode *replica);
/* Until both have the same data. Nobody may write. */
void cnode_await_same(struct cnode *a, struct cnode *b);

/* ---- several ---- */

struct nodes {
    struct cnode at[NODES_MAX];
    size_t count;
    const char *cli_options; /* more words for redis-cli, as for TLS; may be NULL */
};

/* Strangers to each other. */
void nodes_start(struct nodes *n, const enum peer *kinds, size_t count);
/* All of this kind, and one cluster with so many replicas for each primary: those come last. */
void nodes_start_cluster(struct nodes *n, enum peer kind, size_t count, int replicas);
/* One more, which belongs to nobody yet; returns which. */
size_t nodes_add(struct nodes *n, enum peer kind);
void nodes_end(struct nodes *n);

void nodes_create(struct nodes *n, int replicas);
/* Each knows all others, and nobody else. */
bool nodes_know_each_other(const struct nodes *n);
/* Those that run. */
bool nodes_are_up(const struct nodes *n);
/* redis-cli --cluster check, by this node, finds nothing wrong. */
bool nodes_agree(const struct nodes *n, size_t node);
size_t nodes_linked_replicas(const struct nodes *n);
/* The replica of this primary. */
size_t nodes_replica_of(const struct nodes *n, size_t primary);
/* How many slots it has, as it says itself. */
size_t nodes_slots_of(const struct nodes *n, size_t node);

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
