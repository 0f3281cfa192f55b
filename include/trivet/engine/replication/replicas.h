/* replicas.h: the replicas of this server: what they told of themselves, how far they are, and what is sent
 * to each.
 *
 * A replica is a client: REPLCONF makes its struct replica, PSYNC turns the conversation around. From then on
 * its worker sends first what waits in the client's reply, then the transfer (an RDB file, if it needs one),
 * then the stream from the backlog, each byte of which lies in memory once, whatever the number of replicas.
 *
 * Owner: the client. Thread: its worker, or any with the gate closed; the atomic fields may be read by
 * anybody who got the struct from replicas_each(). */
#ifndef TRIVET_ENGINE_REPLICATION_REPLICAS_H
#define TRIVET_ENGINE_REPLICATION_REPLICAS_H

#include "trivet/base/chain.h"
#include "trivet/base/tape.h"
#include "trivet/engine/client/client.h"
#include <stdatomic.h>
#include <sys/uio.h>

enum replica_state {
    REPLICA_INTRODUCED, /* it has told something of itself, but wants no data yet */
    REPLICA_WAITS,      /* for a snapshot to begin, or to be written to disk */
    REPLICA_RECEIVES,   /* the transfer */
    REPLICA_ONLINE,     /* it has the data and gets the stream */
    REPLICA_SERVED,     /* it wanted an RDB file alone, and has it */
};

enum replica_capability { REPLICA_CAN_EOF = 1, REPLICA_CAN_PSYNC2 = 2 };

/* rdb-filter-only: what of the data it wants. */
enum replica_filter { FILTER_NOTHING_LEFT_OUT, FILTER_FUNCTIONS_ONLY, FILTER_EVERYTHING };

struct transfer;

struct replica {
    struct chain_link in_list; /* of all replicas */
    struct client *client;
    char ip[256]; /* as it announced itself; "": its peer address */
    int port;     /* likewise; 0: not told */
    unsigned capabilities;
    enum replica_filter filter;
    bool is_rdb_only; /* close when it has the file */
    bool speaks_sync; /* SYNC: it knows no offsets and never acknowledges */
    int version[3];   /* of the software, 0.0.0: not told */
    char node_id[41]; /* in the cluster; "": not told */
    _Atomic enum replica_state state;
    _Atomic uint64_t acked;       /* the offset that it has processed */
    _Atomic uint64_t synced;      /* and that it has on disk */
    _Atomic int64_t acked_ms;     /* when it said so; wall clock */
    atomic_bool has_acked;        /* it has said so: 0 bytes may be all there are */
    _Atomic int64_t since_ms;     /* of its present state */
    struct transfer *transfer;    /* a reference; NULL: none */
    struct tape_reader rdb;       /* its place in the transfer */
    _Atomic uint64_t rdb_sent;    /* bytes */
    _Atomic int64_t rdb_moved_ms; /* when it last took some */
    struct tape_reader stream;    /* its place in the backlog; closed: not yet */
    _Atomic uint64_t stream_sent; /* the offset of the last byte that was sent */
    bool stream_is_held;          /* until it acknowledges the transfer */
    size_t lag_max;               /* until it has caught up with all data: see replica_may_lag */
    bool waits_for_file;          /* which is being written; its place in the stream is known */
    bool knows_open_slots;        /* the stream has told it, or will, of slots that move; gate closed */
};

/* The client's record, made at the first call. */
struct replica *replica_of(struct client *c);
/* The client goes. Its worker, or the gate is closed. */
void replica_release(struct client *c);
/* It gets nothing more, and its connection will be closed. Gate closed. */
void replica_cut_off(struct replica *r, const char *why);
/* All that have asked for data. */
void replicas_cut_off_all(const char *why);

void replica_set_state(struct replica *r, enum replica_state state);
/* It has said something, be it an empty line. */
void replica_is_there(struct replica *r);
/* REPLCONF ACK. */
void replica_acknowledges(struct replica *r, uint64_t offset, uint64_t synced);
/* It has processed all of the stream up to here, and has said so. Nobody knows of one that speaks SYNC. */
bool replica_is_in_sync(const struct replica *r, uint64_t offset);
/* Is its software of this version or a later one? False if it has not told. */
bool replica_is_of(const struct replica *r, int major, int minor);
/* Its address, as others are told. */
const char *replica_ip(const struct replica *r, char room[64]);

/* Visits all that have asked for data, oldest first, under the list's lock: `visit` must be quick. Any worker
 * with its gate. */
void replicas_each(void (*visit)(void *arg, struct replica *r), void *arg);
/* Their number, whatever their state. Any thread. */
size_t replicas_count(void);
/* How many are online and have processed, or synced, everything up to this offset. */
size_t replicas_acked(uint64_t offset);
size_t replicas_synced(uint64_t offset);
/* How many are online and have acknowledged lately: see min-replicas-max-lag. */
size_t replicas_good(int64_t now_ms);

/* Who waits for acknowledgements: `look` is called on worker 0 soon after one came, or a replica went. */
struct acknowledgement_watch {
    struct chain_link in_list;
    void (*look)(void);
};
/* Gate closed; each twice does no harm. */
void replicas_watch(struct acknowledgement_watch *w);
void replicas_unwatch(struct acknowledgement_watch *w);
/* They are called soon in any case. Any worker. */
void replicas_look_soon(void);

/* ---- what is sent: the replica's worker ---- */

/* Fills vectors with what comes next of transfer and stream. 0: nothing for now. -1: there will be nothing
 * more, close the connection. */
int replica_vectors(struct replica *r, struct iovec *vectors, int max);
/* So many bytes of them are on their way. */
void replica_sent(struct replica *r, size_t bytes);
/* Bytes of the stream that it has not been sent yet. */
size_t replica_lag(const struct replica *r);
/* client_hooks.behind */
size_t replica_client_lag(const struct client *c);
/* It needs all data, and has not caught up since: it may lag by as many bytes as the data has, because
 * starting once more would cost more. */
bool replica_may_lag(struct replica *r);
/* Do not send beyond this offset of the stream: what lies behind is not in the append-only file yet. */
void replicas_may_send(uint64_t offset);
/* Is there more of the stream than may be sent? */
bool replicas_wait_for_flush(void);

/* Something was added to the stream or a transfer: each worker with replicas sends it. Any thread. */
void replicas_wake(void);
/* At the end of each worker's turn: if the stream has grown in it, all workers with replicas are told. */
void replicas_turn_ends(void);
/* Does this worker have replicas? */
bool replicas_here(void);

#endif
