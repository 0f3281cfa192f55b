/* client.h: what the engine knows of a connection: who it is, which database, what state its conversation is
 * in.
 *
 * The bytes, the socket and the event loop are the net layer's: it embeds a struct client in its connection
 * and fills client_hooks. Owner: the worker it lives on (client->worker); nobody else touches it, except with
 * the gate closed, and except the fields marked atomic. Others reach it by id through its worker's mailbox
 * (client_post). */
#ifndef TRIVET_ENGINE_CLIENT_CLIENT_H
#define TRIVET_ENGINE_CLIENT_CLIENT_H

#include "trivet/base/buf.h"
#include "trivet/base/chain.h"
#include "trivet/base/mailbox.h"
#include "trivet/engine/command/call.h"
#include "trivet/engine/settings/client_class.h"
#include "trivet/resp/reply.h"
#include <stdatomic.h>
#include <stdint.h>

enum client_flag {
    CLIENT_IN_MULTI = 1 << 0,     /* between MULTI and EXEC */
    CLIENT_MULTI_BROKEN = 1 << 1, /* a command could not be queued: EXEC will abort */
    CLIENT_CLOSE_AFTER = 1 << 2,  /* close once the output is sent (QUIT, protocol errors) */
    CLIENT_CLOSING = 1 << 3,      /* closed at the end of the turn, nothing more is read or run */
    CLIENT_MONITORING = 1 << 4,
    CLIENT_SUBSCRIBED = 1 << 5, /* has subscriptions of any sort */
    CLIENT_BLOCKED = 1 << 6,
    CLIENT_POSTPONED = 1 << 7, /* a command waits for the end of CLIENT PAUSE */
    CLIENT_NO_EVICT = 1 << 8,
    CLIENT_NO_TOUCH = 1 << 9,
    CLIENT_REPLY_OFF = 1 << 10,
    CLIENT_REPLY_SKIP_NEXT = 1 << 11,
    CLIENT_UNIX_SOCKET = 1 << 12,
    CLIENT_INTERNAL = 1 << 13, /* no connection: the loader */
    CLIENT_TRACKING = 1 << 14,
    CLIENT_TRACKING_BROKEN_REDIRECT = 1 << 15,
    CLIENT_IMPORT_SOURCE = 1 << 16,
    CLIENT_CAPA_REDIRECT = 1 << 17,
    CLIENT_READONLY_SLOT = 1 << 18,
    CLIENT_UNBLOCKING =
        1 << 19, /* CLIENT UNBLOCK answered 1, its letter is on the way; set with the gate closed */
    CLIENT_REPLICA = 1 << 20, /* it gets the stream, see replicas.h */
    CLIENT_PRIMARY = 1 << 21, /* the link to this server's primary */
    CLIENT_TLS = 1 << 22,
    CLIENT_ASKING = 1 << 23, /* ASKING: the next command, or transaction, may use a slot that comes here */
    CLIENT_UNFINISHED =
        1 << 24, /* a part of its command is done: the next one runs in its worker's next turn */
    CLIENT_SLOT_EXPORT = 1 << 25, /* the link by which slots go to another node, */
    CLIENT_SLOT_IMPORT = 1 << 26, /* or come from one (engine/cluster/migrations.h) */
};

struct args;          /* resp/parser.h */
struct user;          /* access/user.h */
struct transaction;   /* transaction.h */
struct subscriptions; /* pubsub.h */
struct tracking;      /* tracking.h */
struct blocked;       /* blocking.h */
struct replica;       /* replicas.h */

/* What this client adds to its worker's sums (client_memory.h). */
struct client_counted {
    size_t memory, shared;
    size_t buffers; /* the part of `memory` that changes all the time: input, arguments, replies */
    enum client_class class;
};

struct client {
    uint64_t id;
    int worker;
    uint32_t flags; /* enum client_flag */
    uint32_t db;
    bool authenticated;
    struct reply reply;
    uint64_t journal_offset; /* replies must wait until the journal is durable up to here */
    uint64_t stream_offset;  /* the replication offset after its last write: for WAIT */
    const struct command *last_command;
    struct transaction *transaction; /* from the first MULTI or WATCH on, else NULL */
    atomic_bool watch_broken; /* a watched key changed; set by any worker under that key's shard lock */
    struct subscriptions *subscriptions;
    struct tracking *tracking;
    struct blocked *blocked;
    struct replica *replica;             /* NULL: it has said nothing about being one */
    char *name, *lib_name, *lib_version; /* NULL if not set */
    struct user *user;                   /* never NULL; see login.h */
    char peer[64], local[64];            /* "127.0.0.1:50312", or "/path/of.sock:0" */
    int fd;
    int64_t created_ms, active_ms; /* wall clock */
    uint64_t bytes_in, bytes_out, commands;
    uint64_t messages_waiting;         /* published ones that were added to `reply` since it was last empty */
    size_t input_pending, input_room;  /* bytes of query not parsed yet; memory of their buffer; set by net */
    size_t arguments_memory;           /* of the incomplete or postponed command; set by net */
    const struct args *running;        /* the command that runs now, NULL between two; set by net */
    size_t reply_peak;                 /* most bytes that waited in the first block of replies lately */
    size_t held_input, held_arguments; /* of a postponed command: the part of input_pending that it fills (set
                                          by net), and its arguments */
    size_t arguments_done;             /* if it is UNFINISHED: of its command, by the parts so far */
    int64_t unfinished_ns;             /* the time of these parts */
    struct client_counted counted;
    int64_t soft_limit_since_ms; /* when it went over the soft output limit; 0: it is not over */
    struct chain_link in_roster; /* its worker's list */
};

/* What net does for the engine, on the client's own worker. */
struct client_hooks {
    void (*output)(struct client *c); /* something was added to c->reply outside its own command */
    void (*close)(struct client *c,
                  const char *why);   /* close at the end of the turn; `why` for the log, may be NULL */
    void (*resume)(struct client *c); /* it is no longer blocked or postponed: go on with its input */
    void (*timer)(struct client *c,
                  int64_t in_ms); /* call blocking_timeout(c) in that time; negative: cancel that */
    size_t (*behind)(const struct client *c); /* bytes of the stream that a replica has not been sent yet; any
                                                 worker with the gate closed */
    void (*may_delay)(struct client *c);      /* its small packets may wait until they are bigger */
};
extern struct client_hooks client_hooks;

/* "REDIRECT host:port", which clients with that capability are told while this server is a replica; NULL: it
 * is a primary. Changed with the gate closed. */
extern const char *client_redirect_text;

/* Registers a new client with the calling worker, in its zeroed memory. */
void client_init(struct client *c, uint32_t flags);
/* Closes a client of any worker: it runs nothing any more, and its worker does the closing. `caller` itself
 * gets its reply first. `why` is for the log, and constant. Gate closed. */
void client_kill(struct client *target, struct client *caller, const char *why);
/* Leaves transactions, watches, subscriptions, tracking, blocking; frees all it owns. */
void client_release(struct client *c);
/* RESET: back to the state of a new connection. */
void client_reset(struct client *c);

enum client_class client_class(const struct client *c);
/* In the one-line form of CLIENT LIST, without the line end. */
void client_describe(const struct client *c, int64_t now_ms, struct buf *out);
/* True if the name is allowed: no spaces, no control characters. */
bool client_name_is_valid(struct slice name);
/* NULL or "" clears it. */
void client_set_text(char **field, struct slice text);

/* The clients of a worker. Own worker, or with the gate closed. */
struct client *client_first(int worker);
/* The same without asking who calls: for the report of a crash, when all other threads stand still. */
struct client *client_first_standing_still(int worker);
static inline struct client *client_after(const struct client *c) {
    return CHAIN_NEXT(c, struct client, in_roster);
}
struct client *client_find_here(uint64_t id);     /* on the calling worker */
struct client *client_find_anywhere(uint64_t id); /* with the gate closed */
size_t client_count(void);                        /* of all workers, any thread */
size_t client_count_on(int worker);               /* any thread */

/* Connections that must authenticate and never did; net counts them. Any thread. */
extern atomic_int client_strangers;

/* Runs fn(client, arg) on the worker of that client if it still is there, or fn(NULL, arg) if not, so that
 * arg can be freed. `worker` is where it lives (clients never move). */
void client_post(int worker, uint64_t id, void (*fn)(struct client *c, void *arg), void *arg);

#define CLIENTS_OF(worker, c)                                                                      \
    for (struct client *c = client_first(worker), *c##_next; c && (c##_next = client_after(c), 1); \
         c = c##_next)

#endif
