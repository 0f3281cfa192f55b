/* access_log.h: ACL LOG: what users tried and were not permitted, and logins that failed.
 *
 * Thread: any worker, under a lock of its own. */
#ifndef TRIVET_ENGINE_ACCESS_ACCESS_LOG_H
#define TRIVET_ENGINE_ACCESS_ACCESS_LOG_H

#include "trivet/base/slice.h"
#include <stddef.h>
#include <stdint.h>

enum access_reason {
    ACCESS_LOGIN,
    ACCESS_COMMAND,
    ACCESS_KEY,
    ACCESS_CHANNEL,
    ACCESS_DATABASE,
    ACCESS_CERTIFICATE, /* a client's certificate names a user that may not log in */
    ACCESS_REASONS
};
enum access_context { ACCESS_TOPLEVEL, ACCESS_MULTI, ACCESS_LUA, ACCESS_CONTEXTS };

struct access_event {
    enum access_reason reason;
    enum access_context context;
    struct slice object; /* the command, the key, the channel, the word AUTH as it was sent */
    struct slice username;
    struct slice client; /* its line of CLIENT LIST */
    int64_t now_ms;      /* wall clock */
};

/* Counts it, and keeps it. An event that is like one of the newest ten, whose last time was less
 * than a minute ago, only raises that one's count. */
void access_log_note(const struct access_event *event);

struct access_entry {
    struct access_event event; /* the texts are the log's; now_ms is the last time */
    uint64_t id, count;
    int64_t created_ms;
};
/* The newest first, at most `max`; under the log's lock. */
void access_log_each(size_t max, void (*visit)(void *arg, const struct access_entry *entry), void *arg);
void access_log_reset(void);
void access_log_trim(void); /* acllog-max-len changed */
/* For INFO: how many events there were of each kind, whatever the log keeps. */
uint64_t access_log_count(enum access_reason reason);
void access_log_reset_counts(void); /* CONFIG RESETSTAT */

#endif
