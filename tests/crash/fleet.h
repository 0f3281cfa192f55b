/* fleet.h: a primary and its replicas, each Trivet or redis-server, and what an operator does to them.
 *
 * A node that is killed or stopped stays so until it is restarted or resumed. What is asked of a node that
 * does not answer, or waited for and does not come, fails the test. Thread: the test's. */
#ifndef TESTS_CRASH_FLEET_H
#define TESTS_CRASH_FLEET_H

#include "../harness/server.h"
#include <stdint.h>

#define NODES 3

enum node_state { NODE_RUNS, NODE_STOPPED, NODE_DEAD };

struct node_of_fleet {
    struct server *server;
    bool is_redis;
    enum node_state state;
    int follows; /* whose replica it was told to be; itself: nobody's */
};

struct fleet {
    struct node_of_fleet nodes[NODES];
    int primary;
};

struct fleet_plan {
    const char *kinds;       /* a letter a node: t is Trivet, r redis-server */
    const char *const *args; /* for all nodes, ended by NULL */
};

/* Starts all nodes; the first is the primary, and the others have its (empty) data. */
void fleet_start(struct fleet *f, const struct fleet_plan *plan);
void fleet_free(struct fleet *f);

/* A free port that neither the system nor a replica that looks for its primary takes. */
int fleet_port(void);
struct client *fleet_connect(const struct fleet *f, int node);
/* One command on a connection of its own, whose reply must be this one; "..." stands for anything. */
void fleet_tell(const struct fleet *f, int node, const char *command, const char *reply);
bool fleet_is_redis(const struct fleet *f); /* is there one among them? */

void fleet_kill(struct fleet *f, int node);
void fleet_stop(struct fleet *f, int node); /* SIGSTOP */
void fleet_resume(struct fleet *f, int node);
/* Does what it takes that the node runs. A dead one is restarted as its files say. */
void fleet_revive(struct fleet *f, int node);
/* REPLICAOF; `of` is itself: NO ONE. Also writes it to the conf file if `lasting`. */
void fleet_follow(struct fleet *f, int node, int of, bool lasting);
/* NO ONE, and it is the primary from now on. */
void fleet_promote(struct fleet *f, int node, bool lasting);

/* The replica with the highest offset among those that run and answer. */
int fleet_most_advanced(const struct fleet *f);
/* Waits until no running replica has a link to the (dead) primary any more, so its offset is its last. */
void fleet_await_orphans(const struct fleet *f);
/* Waits until each replica has a link. */
void fleet_await_links(const struct fleet *f);
/* Waits until each replica has what the primary has now. */
void fleet_await_caught_up(const struct fleet *f);
/* Waits until all have the same data; nobody may write. */
void fleet_await_equal(const struct fleet *f);
/* Waits until each other node says that it follows this one, whoever told it, and notes that. */
void fleet_await_followers(struct fleet *f, int primary);
void fleet_await_role(const struct fleet *f, int node, const char *role);

#endif
