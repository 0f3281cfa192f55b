/* replication.h: primaries and replicas, each either kind of server, and whether they have become the same.
 *
 * All of them listen on a free port of 127.0.0.1. What has to happen in time fails the test after
 * REPLICATION_PATIENCE_MS and says what both sides thought then. Thread: the test's. */
#ifndef TESTS_HARNESS_REPLICATION_H
#define TESTS_HARNESS_REPLICATION_H

#include "await.h"
#include "server.h"

#define REPLICATION_PATIENCE_MS 60000

/* ---- servers ---- */

enum peer { PEER_TRIVET, PEER_REDIS };

const char *peer_name(enum peer kind);
/* `args` as on the command line, ended by NULL; may be NULL. Later ones win over those for all: diskless
 * transfers begin at once, the backlog has 10 MB. */
struct server *peer_start(enum peer kind, const char *const *args);
/* The same for a whole plan, in which the program is set here. */
struct server *peer_launch(enum peer kind, const struct server_plan *plan);
/* As peer_start(), not waiting until it has loaded. */
struct server *peer_start_unready(enum peer kind, const char *const *args);
/* With these arguments: TRIVET("--appendonly", "yes"). */
#define TRIVET(...) peer_start(PEER_TRIVET, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
#define REDIS(...) peer_start(PEER_REDIS, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

/* What runs is redis-server, also under the name of the other ($TRIVET_SERVER). */
bool peer_is_reference(struct server *s);

/* ---- what INFO says ---- */

struct replication {
    bool is_replica, link_up, syncing, loading;
    char id[41], second_id[41];
    int64_t offset, second_offset;  /* master_repl_offset, second_repl_offset */
    int64_t read_offset, processed; /* of a replica: slave_read_repl_offset, slave_repl_offset */
    int64_t first_byte, histlen;    /* of the backlog */
    int64_t replicas;               /* connected_slaves */
    int64_t full, partial, refused; /* sync_full, sync_partial_ok, sync_partial_err */
};

void replication_look(struct server *s, struct replication *out);
/* master_repl_offset alone. */
int64_t replication_offset(struct client *c);

/* ---- roles ---- */

/* REPLICAOF, also through a proxy's port; returns at once. */
void replication_follow(struct server *replica, int port);
void replication_promote(struct server *s); /* REPLICAOF NO ONE */
/* The server keeps a history from now on: a replica came, and went. */
void replication_open_backlog(struct server *s);

/* ---- waiting and comparing ---- */

/* Until the replica's link is up. */
void replication_await_link(struct server *replica);
/* Until the link is up, with the primary's id, and both offsets are equal. */
void replication_await(struct server *primary, struct server *replica);
/* Until the replica has what the primary has now: by a write of another number to the key `sync-mark` in the
 * clients' database. For clients that had to log in, and behind other replicas. */
void replication_await_write(struct client *primary, struct client *replica);
/* REPLICAOF, and until a write has come through. */
void replication_sync(struct server *primary, struct server *replica);
/* Until replication_await() holds and both have the same data (dataset.h); the test fails with the first
 * difference. Keys may go on expiring, but nobody may write. */
void replication_assert_same(struct server *primary, struct server *replica);

/* Asks `holds` again and again until it says true. `what` is for the message of the failure. */
void replication_await_that(bool (*holds)(const struct replication *), struct server *s, const char *what);

/* ---- a primary, its replica, and a client of each ---- */

struct replica_pair {
    struct server *primary_server, *replica_server;
    struct client *primary, *replica;
};

/* Takes over both servers, which are strangers to each other yet. */
struct replica_pair replica_pair_of(struct server *primary, struct server *replica);
/* Starts both with these arguments and makes them primary and replica. */
struct replica_pair replica_pair_start(enum peer primary, enum peer replica, const char *const *args);
/* REPLICAOF; returns when both sides say that the link is up. */
void replica_pair_follow(struct replica_pair *p);
void replica_pair_await_link(struct replica_pair *p);
void replica_pair_close(struct replica_pair *p);

#endif
