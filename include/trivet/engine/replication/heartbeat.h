/* heartbeat.h: what a server does for its replicas now and then: signs of life, timeouts, how much of the
 * stream is kept. Thread: worker 0, its own gate. */
#ifndef TRIVET_ENGINE_REPLICATION_HEARTBEAT_H
#define TRIVET_ENGINE_REPLICATION_HEARTBEAT_H

#include <stdint.h>

void heartbeat_cron(int64_t now_ms);
/* A replica that had acknowledged so much has lost its link: for a while the stream is kept from there. Any
 * worker. */
void heartbeat_note_lost(uint64_t acked);
/* GETACK: each says at once how far it is. Not during a failover, when the offset must stand still. Any
 * worker with its gate. */
void heartbeat_ask_for_acknowledgements(void);

/* Are there too few good replicas for writes? Looks anew: they, the settings or the role have changed. Any
 * worker with its gate. */
void heartbeat_check_replicas(void);

#endif
