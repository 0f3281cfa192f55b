/* migrate_link.h: MIGRATE's connection to the target: small, blocking, and never for longer than its
 * timeout.
 *
 * The timeout is for a standstill, not for the whole: it begins anew with every byte that could be written,
 * and with every line that is waited for. While writing, the target's replies are taken in, so that it never
 * waits for us. Thread: one at a time. */
#ifndef COMMANDS_KEYS_MIGRATE_LINK_H
#define COMMANDS_KEYS_MIGRATE_LINK_H

#include "trivet/base/buf.h"

struct migrate_link {
    int fd;
    int64_t timeout_us;
    struct buf in, out;
    size_t taken; /* bytes of `in` that were handed out */
};

/* REFUSED: the host is there, but nobody listens. Only an OPEN link is to be closed. */
enum migrate_link_result { LINK_OPEN, LINK_REFUSED, LINK_UNREACHABLE };

/* `timeout_ms` is positive. Looking up a name may take longer. */
MUST_CHECK enum migrate_link_result migrate_link_open(struct migrate_link *l, struct slice host,
                                                      struct slice port, int64_t timeout_ms);
void migrate_link_close(struct migrate_link *l);

/* One command is a header with the number of its words, then the words; flush at the end. False: the target
 * is gone or takes nothing any more. */
MUST_CHECK bool migrate_link_header(struct migrate_link *l, size_t words);
MUST_CHECK bool migrate_link_word(struct migrate_link *l, struct slice word);
MUST_CHECK bool migrate_link_flush(struct migrate_link *l);

/* The next line without its end, valid until the next call. False: none came in time. */
MUST_CHECK bool migrate_link_line(struct migrate_link *l, struct slice *line);

#endif
