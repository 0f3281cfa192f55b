/* departures.h: slots went to other nodes, or are served by nobody: who waits for a key there, or listens to
 * a sharded channel, is told where to go.
 *
 * Called with the gate closed, after routes were replaced; each client hears of it on its own worker. */
#ifndef TRIVET_ENGINE_SLOTS_DEPARTURES_H
#define TRIVET_ENGINE_SLOTS_DEPARTURES_H

void departures_tell(void);

#endif
