/* permission.h: may this user run this command, on these keys and channels, in this database?
 *
 * Yes, if one of its selectors permits all of it. If not, the denial that came closest is told: of a
 * selector that permits the command but not the key, rather than of one that does not permit the command.
 *
 * Pure. Thread: any worker. */
#ifndef TRIVET_ENGINE_ACCESS_PERMISSION_H
#define TRIVET_ENGINE_ACCESS_PERMISSION_H

#include "trivet/base/buf.h"
#include "trivet/engine/access/user.h"
#include "trivet/engine/command/command.h"

/* In the order in which a selector is asked. */
enum denial { DENIED_NOTHING, DENIED_DATABASE, DENIED_COMMAND, DENIED_KEY, DENIED_CHANNEL, DENIALS };

struct verdict {
    enum denial denial;
    size_t argument; /* the key, the channel, the database; 0 for the command itself */
};

/* The arguments are as many as the command wants. `db` is the database in which it would run. */
struct verdict permission_ask(const struct user *u, const struct command *command, const struct slice *argv,
                              size_t argc, uint32_t db);
/* Only about the command, whatever else it needs; there may be fewer arguments than it wants. */
bool permission_for_command(const struct user *u, const struct command *command, const struct slice *argv,
                            size_t argc);
/* The short way for most commands, which have one key or none: true if the first selector permits it without
 * a look at more. False: it has to be asked properly. */
bool permission_at_once(const struct user *u, const struct command *command, const struct slice *argv,
                        size_t argc);
/* The same question as the first one, and every key there may be, to be read (SORT looks up keys by the
 * values it finds). */
bool permission_to_read_all(const struct user *u, const struct command *command, const struct slice *argv,
                            size_t argc);
/* May one of its selectors use the channel (or pattern)? Of those who have subscribed already. */
bool permission_to_listen(const struct user *u, struct slice channel, bool is_pattern);

/* What a client is told: "No permissions to access a key", without NOPERM. */
void denial_tell(const struct user *u, const struct command *command, struct verdict v, struct buf *out);
/* What ACL DRYRUN says: "User u has no permissions to access the 'x' key". */
void denial_explain(const struct user *u, const struct command *command, const struct slice *argv,
                    struct verdict v, struct buf *out);

#endif
