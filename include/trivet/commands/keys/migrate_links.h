/* migrate_links.h: links to other servers that MIGRATE keeps open for some seconds.
 *
 * Owner: the worker that opened them. Errors: none. */
#ifndef TRIVET_COMMANDS_KEYS_MIGRATE_LINKS_H
#define TRIVET_COMMANDS_KEYS_MIGRATE_LINKS_H

#include <stdint.h>

/* Closes those of this worker that were not used lately. */
void migrate_links_cron(int64_t now_ms);
/* Closes those of all workers. Main thread, when they have ended. */
void migrate_links_release(void);

#endif
