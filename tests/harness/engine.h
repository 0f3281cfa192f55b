/* engine.h: the server without its sockets, in this process: for tests and benchmarks that drive the
 * dispatcher themselves, through clients without connections.
 *
 * The settings are those of a server started with `save ""`. Whoever starts it is worker 0. Other workers are
 * threads of the caller's own, which call engine_thread_begin first and engine_thread_end last. */
#ifndef TESTS_HARNESS_ENGINE_H
#define TESTS_HARNESS_ENGINE_H

#include "trivet/base/compiler.h"
#include "trivet/engine/client/client.h"
#include <stdbool.h>

/* NULL, or run by engine_start after the settings got their defaults: for those that are fixed later. */
extern void (*engine_configure)(void);
/* False if something is missing; the log says what. No gate is held after. */
MUST_CHECK bool engine_start(int workers, const struct client_hooks *hooks);
/* The other workers have ended, the caller's gate is open. False if the data could not be closed. */
MUST_CHECK bool engine_stop(void);

void engine_thread_begin(int worker);
/* Frees what the rooms keep for this thread. */
void engine_thread_end(void);

#endif
