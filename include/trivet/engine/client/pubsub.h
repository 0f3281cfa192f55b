/* pubsub.h: channels, patterns and sharded channels.
 *
 * The registry (who has how many subscribers on which worker) and the order of messages are under one lock.
 * PUBLISH counts the receivers, serializes the message once, and queues it for each worker with subscribers
 * (its own too); each worker delivers to its own clients, to all subscribers of a channel from the same
 * bytes. Every subscription and every message takes a number under the lock: a client gets just the messages
 * published after it subscribed. Thread: subscribe and unsubscribe on the client's worker, or with the gate
 * closed; publish on any. */
#ifndef TRIVET_ENGINE_CLIENT_PUBSUB_H
#define TRIVET_ENGINE_CLIENT_PUBSUB_H

#include "trivet/engine/client/client.h"

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KINDS };

/* Subscribes and writes the confirmation (a push in RESP3) to c->reply. */
void pubsub_subscribe(struct client *c, enum pubsub_kind kind, struct slice name);
/* Unsubscribes likewise; confirms even if the client had no such subscription. */
void pubsub_unsubscribe(struct client *c, enum pubsub_kind kind, struct slice name);
/* Unsubscribes from all of this kind, but no more than `most` at once, with a confirmation each; one with a
 * null name if there were none. False: some are left. */
MUST_CHECK bool pubsub_unsubscribe_all(struct client *c, enum pubsub_kind kind, size_t most);
/* The client is closing: unsubscribes from everything, without a word. */
void pubsub_leave_all(struct client *c);
/* The same with no more than `most` at once. False: some are left. */
MUST_CHECK bool pubsub_leave_some(struct client *c, size_t most);

/* Sends to subscribers of the channel (and, for PUBSUB_CHANNEL, of matching patterns); returns how many
 * receive it. */
size_t pubsub_publish(enum pubsub_kind kind, struct slice channel, struct slice message);

/* Delivers what was published so far to the calling worker's clients. Call it before a subscription ends:
 * then every message that counted the client as a receiver reaches it first. Not while a reply is half
 * written. */
void pubsub_deliver(void);
/* True if the calling worker published something that it has to deliver before its turn ends. */
bool pubsub_has_own(void);

struct pubsub_counts {
    size_t channels, patterns, shard_channels;
};
struct pubsub_counts pubsub_counts(const struct client *c);
size_t pubsub_memory(const struct client *c);
/* Visits what the client has subscribed to. Its worker, or with the gate closed. */
void pubsub_each_of(const struct client *c,
                    void (*visit)(void *arg, enum pubsub_kind kind, struct slice name), void *arg);
/* Of the whole server, for INFO and PUBSUB: channels with a subscriber, patterns, clients of each kind. */
size_t pubsub_names(enum pubsub_kind kind);
size_t pubsub_subscribers(enum pubsub_kind kind, struct slice name);
size_t pubsub_clients(void);

/* Messages, counted once for each subscriber. */
struct pubsub_messages {
    uint64_t delivered; /* added to what is sent to a subscriber */
    uint64_t dropped;   /* at most so many were lost with connections that were closed */
};
struct pubsub_messages pubsub_messages(void); /* any thread */
void pubsub_messages_reset(void);             /* CONFIG RESETSTAT; gate closed */
/* The client is cut off because too much waits for it. Its worker. */
void pubsub_note_cut(const struct client *c);
/* Visits every name of the kind under the lock, so `visit` must be short. */
void pubsub_each(enum pubsub_kind kind, void (*visit)(void *arg, struct slice name), void *arg);
void pubsub_thread_release(void);

#endif
