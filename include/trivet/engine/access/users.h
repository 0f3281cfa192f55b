/* users.h: the server's users by name, and logging in as one of them.
 *
 * There is always a user "default": what a connection is that has not said who it is. A user's address stays
 * the same from users_put to users_remove, so clients point to theirs.
 *
 * Thread: changes need the gate closed; every worker reads without a lock. */
#ifndef TRIVET_ENGINE_ACCESS_USERS_H
#define TRIVET_ENGINE_ACCESS_USERS_H

#include "trivet/base/compiler.h"
#include "trivet/engine/access/user.h"

extern struct user *user_default;

/* After the commands are registered: makes the default user, who needs no password and may do everything. */
void users_init(void);
void users_release(void);

struct user *users_find(struct slice name);
/* In the order of their names. */
size_t users_count(void);
struct user *users_at(size_t index);

/* Takes the user over. If there is one of that name, it takes over what `u` is; else `u` is the new one.
 * Returns the one that is in the table. */
struct user *users_put(struct user *u);
/* Detaches it; the caller frees it when no client points to it any more. Not the default user. */
void users_remove(struct user *u);

/* Users that are not the server's yet, or not any more. */
struct user_list {
    struct user **at;
    size_t count, room;
};
void user_list_add(struct user_list *list, struct user *taken);
struct user *user_list_find(const struct user_list *list, struct slice name);
void user_list_release(struct user_list *list); /* with its users */

/* From now on the server has these users, which it takes over, and no others. Without a default user among
 * them there is the one that users_init makes, with requirepass for a password. Users who are no more go to
 * `gone`; the caller frees them when no client points to them. */
void users_replace(struct user_list *list, struct slice requirepass, struct user_list *gone);

/* The user, if it may log in with this password, or NULL. It takes as long for a user who is not there. */
struct user *users_authenticate(struct slice name, struct slice password);
/* A new connection is the default user's without a word. */
static inline bool users_admit_strangers(void) {
    return user_default->is_on && user_default->needs_no_password;
}

/* requirepass: this is the default user's only password from now on; "": it needs none. */
void users_set_default_password(struct slice password);
/* Is the default user what it is at start-up with this requirepass? */
bool users_default_is_plain(struct slice requirepass);

#endif
