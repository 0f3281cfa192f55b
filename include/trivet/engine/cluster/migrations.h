/* migrations.h: slots that go to another node, or come from one, as a whole: CLUSTER MIGRATESLOTS.
 *
 * The source dials the target's port for clients and says ESTABLISH; from then on the connection carries the
 * keys and the writes of these slots (engine/slots/export.h), and a few words by which both agree on the end:
 *
 *     source                                  target
 *     keys, SNAPSHOT-EOF, writes ...    ->    REQUEST-PAUSE when it has the keys
 *     holds writes, PAUSED              <-
 *                                       ->    REQUEST-FAILOVER: it has everything
 *     FAILOVER-GRANTED                  <-
 *                                       ->    serves the slots, and says so on the bus
 *     deletes its keys, lets writes go
 *
 * Until then the source serves the slots and the target hides their keys. Whatever goes wrong ends the
 * migration, and the slots stay where they are. Format: that of Valkey 9. The target's replicas hear of it
 * through the stream, and hide the keys likewise.
 *
 * Thread: worker 0 with its own gate, or any worker with the gate closed, unless said. */
#ifndef TRIVET_ENGINE_CLUSTER_MIGRATIONS_H
#define TRIVET_ENGINE_CLUSTER_MIGRATIONS_H

#include "trivet/cluster/message/node_id.h"
#include "trivet/cluster/slots/slot_set.h"
#include "trivet/engine/client/client.h"

struct migration_facts {
    struct slice name; /* 40 characters */
    bool is_import;
    bool is_primarys; /* the primary's, which this replica follows: it knows neither node */
    const struct slot_set *slots;
    struct node_id source, target;
    int64_t created_s, updated_s, acknowledged_s; /* Unix time */
    const char *state;
    struct slice message; /* why it ended so */
};
/* Those that go on and those that ended, the latest first. */
void migrations_each(void (*visit)(void *arg, const struct migration_facts *facts), void *arg);

/* For the files that replicas get (persist/rdb/file.h, which says what `ends` is): what is on its way here.
 * Gate closed. */
bool migrations_any_import(void);
void migrations_each_import(void (*visit)(void *arg, struct slice name, struct slice ends), void *arg);

/* Is the slot on its way to another node, or here? */
bool migrations_export(unsigned slot);
bool migrations_import(unsigned slot);

/* Begins to send slots of this node to `target`, another primary. */
void migrations_begin(const struct slot_set *slots, const struct node_id *target);
/* Ends those that go away. False: there are none. */
bool migrations_cancel(void);

/* ESTABLISH: the client is the source's link from now on. Returns NULL, or a constant text why not. */
const char *migrations_accept(struct client *c, const struct node_id *source, struct slice name,
                              const struct slot_set *slots);
/* What the other end says on its link. */
enum migration_word {
    WORD_SNAPSHOT_EOF,
    WORD_REQUEST_PAUSE,
    WORD_PAUSED,
    WORD_REQUEST_FAILOVER,
    WORD_FAILOVER_GRANTED,
    WORD_ACK,
    WORD_COUNT
};
void migrations_hear(struct client *c, enum migration_word word);

/* A replica hears from its primary, or a file tells, that slots come to it; and that this has ended. */
void migrations_note_begin(const struct node_id *source, struct slice name, const struct slot_set *slots);
void migrations_note_end(struct slice name, struct slice state, struct slice message);

/* Slots have other owners, or this node another role, and routes say so. Gate closed. */
void migrations_routes_changed(void);
/* A link of a migration is being closed: on the client's worker. */
void migrations_link_lost(const struct client *c);

/* Every tenth of a second. Worker 0. */
void migrations_cron(void);
/* A chore of worker 0: keys are read and sent. are_due is asked without a gate. */
bool migrations_are_due(void);
void migrations_go_on(int64_t now_ms, int64_t slice_us);
void migrations_start(void);
/* The process ends. Main thread, before the workers' letters are read for the last time. */
void migrations_stop(void);

#endif
