/* client_memory.h: the memory of each client and of all together, and the limit on the whole:
 * maxmemory-clients.
 *
 * Each worker keeps the sum of its clients, so that INFO costs nothing. The sum follows a client whenever its
 * buffers change (client_recount_if_changed), and once a second whatever else it holds (client_recount).
 * Thread: a client's own worker, unless said. Sizes are bytes. */
#ifndef TRIVET_ENGINE_CLIENT_CLIENT_MEMORY_H
#define TRIVET_ENGINE_CLIENT_CLIENT_MEMORY_H

#include "trivet/engine/client/client.h"

/* tot-mem: the record, input, arguments held, queued transaction, replies, subscriptions. Own worker, or any
 * with the gate closed. */
size_t client_memory(const struct client *c);
/* argv-mem: the arguments of the command in hand, complete or not, running or waiting. As above. */
size_t client_argument_bytes(const struct client *c);
/* multi-mem: the queued arguments. As above. */
size_t client_queued_bytes(const struct client *c);

/* Counts it anew in its worker's sums. */
void client_recount(struct client *c);
/* The client is being freed: takes it out of the sums. */
void client_uncount(struct client *c);
/* The same as client_recount, unless nothing can have changed. */
static inline void client_recount_if_changed(struct client *c) {
    size_t buffers = c->reply.memory + c->input_room + c->arguments_memory;
    if (UNLIKELY(buffers != c->counted.buffers || c->transaction || c->blocked)) client_recount(c);
}
/* What else it holds has changed, or its class: the next client_recount_if_changed counts it. */
static inline void client_recount_soon(struct client *c) { c->counted.buffers = SIZE_MAX; }

/* Sums of all workers; any thread. */
size_t clients_memory(enum client_class class);
/* What is counted above more than once, or belongs to the data: values and messages that replies refer to. */
size_t clients_memory_shared(void);
/* The biggest input, and the biggest output beyond its first block, of any client in the last seconds: INFO's
 * client_recent_max_input_buffer and client_recent_max_output_buffer. Any thread. */
size_t clients_recent_max_input(void);
size_t clients_recent_max_output(void);
/* Once a second on each worker: forgets what is too old for the two above. */
void clients_forget_peaks(int64_t now_ms);

/* maxmemory-clients in bytes, a percentage worked out; 0: no limit. */
size_t clients_memory_limit(void);
/* If clients are over the limit, closes the gate and closes the biggest normal and pubsub clients until the
 * others are below it; returns how many. The caller is between two commands and holds its own gate. */
size_t clients_keep_limit(void);

#endif
