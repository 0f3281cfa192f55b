/* migrate_links_private.h: links that MIGRATE keeps open for some seconds: the keys of a slot go to one
 * target in many small commands, and each would have to connect, shake hands and log in.
 *
 * Owner: the worker that opened them. Thread: any worker, its gate held; each sees its own. A link is offered
 * again only where it would be opened in the same way: to the same host and port, with the same certificates,
 * for the same user. */
#ifndef COMMANDS_KEYS_MIGRATE_LINKS_PRIVATE_H
#define COMMANDS_KEYS_MIGRATE_LINKS_PRIVATE_H

#include "trivet/transport/link.h"

/* What a link was opened for. Texts are borrowed; ptr NULL: not given. */
struct migrate_way {
    struct link_target target;
    struct slice user, password;
};

/* Hands over a kept link, and the number of the database that is selected there. False: there is none. */
MUST_CHECK bool migrate_link_find(const struct migrate_way *way, struct link *out, int64_t *db);
/* Keeps a link that has no reply under way. */
void migrate_link_keep_take(const struct migrate_way *way, struct link *link, int64_t db, int64_t now_ms);

#endif
