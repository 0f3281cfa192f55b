/* login.h: which user a client is, and what becomes of clients when users change.
 *
 * Thread: the client's worker; what is for all clients, with the gate closed. */
#ifndef TRIVET_ENGINE_CLIENT_LOGIN_H
#define TRIVET_ENGINE_CLIENT_LOGIN_H

#include "trivet/engine/access/access_log.h"
#include "trivet/engine/access/permission.h"
#include "trivet/engine/access/users.h"
#include "trivet/engine/client/client.h"

/* It is this user from now on. */
void client_log_in(struct client *c, struct user *u);
/* It is what a new connection is: the default user, who may have to say a password first. */
void client_log_out(struct client *c);
/* Logs it in. False: the name or the password is wrong, or the user is off; it is noted in ACL LOG, with the
 * word by which the client asked ("AUTH"), and the client stays who it is. */
MUST_CHECK bool client_authenticate(struct client *c, struct slice name, struct slice password,
                                    struct slice word);
/* The same by a name in a certificate that was checked; false if there is no such user who may log in. */
MUST_CHECK bool client_log_in_by_certificate(struct client *c, struct slice name);
/* Notes in ACL LOG that no name led to a user. */
void client_note_certificate(const struct client *c, struct slice name);
/* May it do nothing but log in? It may have connected before the default user needed no password. */
static inline bool client_must_log_in(const struct client *c) {
    return UNLIKELY(!c->authenticated) && !users_admit_strangers();
}

/* May the client run this command in this database? If not, it is noted in ACL LOG. */
struct verdict client_ask_permission(const struct client *c, const struct command *command,
                                     const struct slice *argv, size_t argc, uint32_t db,
                                     enum access_context context);
/* Notes in ACL LOG what was denied already. */
void client_note_denial(const struct client *c, const struct command *command, const struct slice *argv,
                        struct verdict v, enum access_context context);

/* Closes the connections of a user who is no more, `caller`'s own only after its reply. */
void clients_lose_user(const struct user *u, struct client *caller);
/* Closes those of this user, or of all if it is NULL, who may not listen any more to what they have
 * subscribed to. */
void clients_check_subscriptions(const struct user *u, struct client *caller);

#endif
