/* attempt.h: one try to become the replica of a primary, on a thread of its own: connecting, introducing
 * ourselves, asking for the stream, receiving an RDB file if everything is needed.
 *
 * The thread reads only the attempt; when it is done it posts a letter to worker 0, and then no longer
 * touches it. Owner: the maker; who has cancelled it waits for the letter all the same. */
#ifndef ENGINE_REPLICATION_ATTEMPT_H
#define ENGINE_REPLICATION_ATTEMPT_H

#include "trivet/base/buf.h"
#include "trivet/base/chain.h"
#include "trivet/base/mailbox.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/persist/backlog.h"
#include <pthread.h>

enum attempt_outcome {
    ATTEMPT_FAILED,    /* `why`; nothing has changed */
    ATTEMPT_CONTINUES, /* the stream goes on where we are, under the id `id` */
    ATTEMPT_FULL,      /* all data is in `rdb_fd`, as of `id` and `offset` */
};

struct attempt {
    struct letter done;           /* `run` is set by the maker */
    struct chain_link in_running; /* the maker's */
    struct primary_load load;     /* likewise */
    pthread_t thread;
    bool is_started, is_joined;
    /* Set by the maker, owned. */
    char *host, *source, *user, *password, *announce_ip, *rdb_path; /* rdb_path NULL: in memory */
    char *node_id; /* of this server in its cluster; "": it is in none */
    int port, listening_port;
    int64_t timeout_ms;
    bool tls, is_failover;
    bool no_checksum, any_version; /* see struct rdb_rules */
    bool asks_for_all;             /* our data is of no known history */
    char asked_id[REPLID_CHARS + 1];
    int64_t asked_offset; /* the first byte wanted */
    /* While it runs; any thread. */
    atomic_bool is_cancelled;
    _Atomic enum primary_link stage;
    _Atomic uint64_t rdb_total, rdb_received;
    _Atomic int64_t io_ms; /* wall clock of the last byte that came */
    /* When it is done. */
    enum attempt_outcome outcome;
    char id[REPLID_CHARS + 1];
    uint64_t offset;
    bool is_old; /* the primary knows only SYNC: there are no offsets, nothing is acknowledged */
    /* Of PSYNC ... FAILOVER. */
    bool was_asked, was_answered; /* asked, but not answered: nobody knows whether the primary is one now */
    bool refused_failover;        /* the answer was an error */
    bool is_primary_already;      /* namely that it is a primary, without our asking */
    struct socket socket;         /* fd -1: none */
    struct buf received;          /* bytes of the stream */
    int rdb_fd;                   /* -1: none */
    struct buf why;
};

/* False, and nothing has begun, if the system has no thread for it. */
MUST_CHECK bool attempt_start(struct attempt *a);
/* Waits for the end of its thread. */
void attempt_join(struct attempt *a);
/* Its thread has posted the letter, or was never started: frees everything, what it opened included. */
void attempt_free(struct attempt *a);

#endif
