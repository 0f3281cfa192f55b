/* watchdog.h: a sign of life in the middle of work that leaves nobody else to give one.
 *
 * Whoever supervises this process expects worker 0 to take its turns. Work that may take minutes while all
 * workers wait for it (SAVE, the last snapshot, data that is loaded with the gate closed) calls
 * watchdog_touch() every few milliseconds as long as it gets on. Threads beside the workers must not: they
 * would vouch for workers that hang.
 *
 * Thread: the one that the workers wait for. The hook is set once, before there are workers; NULL: nobody
 * watches. */
#ifndef TRIVET_BASE_WATCHDOG_H
#define TRIVET_BASE_WATCHDOG_H

extern void (*watchdog_hook)(void);

static inline void watchdog_touch(void) {
    if (watchdog_hook) watchdog_hook();
}

#endif
