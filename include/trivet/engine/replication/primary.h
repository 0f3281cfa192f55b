/* primary.h: the server's own primary, if it is a replica: REPLICAOF, the link, and what INFO tells of it.
 *
 * A thread makes the link: it connects, introduces this server, asks for the stream, and if need be receives
 * an RDB file; then worker 0 loads that, and the link becomes a connection of worker 0 (CLIENT_PRIMARY) whose
 * commands are applied (apply.h). When the link breaks, a new try follows, at the earliest a second later.
 * Thread: a worker with the gate closed, unless said. */
#ifndef TRIVET_ENGINE_REPLICATION_PRIMARY_H
#define TRIVET_ENGINE_REPLICATION_PRIMARY_H

#include "trivet/base/buf.h"
#include "trivet/engine/client/client.h"
#include "trivet/transport/socket.h"

enum primary_link { LINK_NONE, LINK_CONNECT, LINK_CONNECTING, LINK_HANDSHAKE, LINK_SYNC, LINK_CONNECTED };

/* An RDB file from the primary. */
struct primary_load {
    int fd;
    const char *path; /* of the file, which may be renamed; NULL: it lies in memory */
    int64_t db;       /* in which the stream goes on, as the file says; the loader sets it; -1: not told */
    bool beside;      /* load it beside the old data, which stays if that fails */
    bool serves;      /* and let clients read the old data meanwhile: it has the same history */
    /* The old data goes now. Gate closed. */
    void (*drops)(const struct primary_load *load);
    /* All of it is loaded. Gate closed, before anything is journaled or clients are served. */
    void (*done)(const struct primary_load *load);
};

/* What the layers above do for it; filled at start-up. */
struct primary_hooks {
    /* Puts a file that was verified in the place of all data: on worker 0 between two turns, its gate open,
     * OBSTACLE_LOADING or OBSTACLE_LOADING_BESIDE set. False with the reason in `why`: if `drops` was called,
     * there is no data at all then. */
    bool (*load)(struct primary_load *load, struct buf *why);
    /* The link becomes a connection of the calling worker, 0; `received` are bytes of the stream that came
     * with the answer. NULL, and the socket is closed, if the server ends. */
    struct client *(*adopt)(struct socket socket, struct slice received);
    /* The name of this server in its cluster; empty: it is in none. Gate closed. NULL: likewise. */
    struct slice (*node_id)(void);
    /* Runs this on worker 0 between two turns, its gate open: it may take long and give clients a turn. Any
     * thread. */
    void (*run_between_turns)(void (*task)(void *arg), void *arg);
};
extern struct primary_hooks primary_hooks;

/* True while it is a replica. Read with a gate held. */
bool primary_is_set(void);
/* False if the data is of no history: loading what the primary sent has failed. */
bool primary_data_is_known(void);
/* Its address as it was given. */
const char *primary_host(void);
int primary_port(void);
enum primary_link primary_link(void);

/* REPLICAOF host port. False if that is its primary already. */
bool primary_follow(struct slice host, int port);
/* REPLICAOF NO ONE. False if it had no primary. */
bool primary_leave(void);
/* For failover.h: as primary_follow, but whoever waits goes on waiting, and the new primary is asked at once,
 * with PSYNC ... FAILOVER. It had no primary. Outside of commands. */
void primary_follow_for_failover(const char *host, int port);
/* That was in vain: a primary again, as if nothing had been. */
void primary_leave_unchanged(void);
/* What blocked clients wait for will not happen on a replica. */
void primary_end_waits(void);
/* The data is not the primary's any more: the link is made anew, and all data is asked for. */
void primary_ask_for_all(const char *why);
/* The client of the link, or NULL. */
struct client *primary_client(void);
/* The link's connection is closed; the client's worker, 0. */
void primary_lost(struct client *c);
/* So many bytes came over the link. Likewise. */
void primary_note_read(size_t bytes);
/* A load goes on: the primary gets a sign of life now and then. Worker 0. */
void primary_note_loading(void);
/* May commands be answered from old data? Looks anew: the setting or the link has changed. */
void primary_check_stale(void);
/* Timeouts, new tries, acknowledgements. Worker 0, its own gate. */
void primary_cron(int64_t now_ms);
/* The settings say so: at start-up, before clients are served. */
void primary_start(void);
/* The process ends: no attempt runs after this. Main thread, before the workers' letters are read for the
 * last time. */
void primary_stop(void);

/* For INFO and ROLE. Worker's gate held. */
struct primary_facts {
    enum primary_link link;
    int64_t io_ms;                    /* wall clock of the last byte that came; 0: none */
    int64_t down_since_ms;            /* 0: it was never up */
    uint64_t received;                /* offset of the stream, with what is not applied yet */
    uint64_t rdb_total, rdb_received; /* bytes; total 0: not known (diskless) */
    int64_t rdb_io_ms;
};
void primary_facts(struct primary_facts *out);

#endif
