/* replication.h: primaries and replicas, each either kind of server, and whether they have become the same.
 *
 * All of them listen on a free port of 127.0.0.1. What has to happen in time fails the test after
 * REPLICATION_PATIENCE_MS and says what both sides thought then. Thread: the test's. */
#ifndef TESTS_HARNESS_REPLICATION_H
#define TESTS_HARNESS_REPLICATION_H

#include "server.h"

#define REPLICATION_PATIENCE_MS 60000

enum peer { PEER_TRIVET, PEER_REDIS };

const char *peer_name(enum peer kind);
/* `args` are names of directives and values in turn, ended by NULL; may be NULL. Later ones win over those
 * for all: diskless transfers begin at once, the backlog has 10 MB. */
struct server *peer_start(enum peer kind, const char *const *args);
/* The same, not waiting until it has loaded. */
struct server *peer_start_unready(enum peer kind, const char *const *args);

/* What runs is redis-server, also under the name of the other ($TRIVET_SERVER). */
bool peer_is_reference(struct server *s);

/* What INFO says. */
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

/* REPLICAOF, also through a proxy's port; returns at once. */
void replication_follow(struct server *replica, int port);
void replication_promote(struct server *s); /* REPLICAOF NO ONE */
/* Until the replica's link is up. */
void replication_await_link(struct server *replica);
/* Until the link is up, with the primary's id, and both offsets are equal. */
void replication_await(struct server *primary, struct server *replica);
/* Until it is so and both have the same data (dataset.h); the test fails with the first difference. Keys may
 * go on expiring, but nobody may write. */
void replication_assert_same(struct server *primary, struct server *replica);

/* Asks `holds` again and again until it says true. `what` is for the message of the failure. */
void replication_await_that(bool (*holds)(const struct replication *), struct server *s, const char *what);
void pause_ms(long ms);

#endif
