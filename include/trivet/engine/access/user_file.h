/* user_file.h: users in files: the aclfile, and `user` lines of the configuration.
 *
 * An aclfile has a line "user <name> <rule> ..." for each user, with one blank before each word. Empty
 * lines and those that begin with '#' are nothing. It is the public format of Redis and Valkey. Thread: at
 * start-up, or with the gate closed. */
#ifndef TRIVET_ENGINE_ACCESS_USER_FILE_H
#define TRIVET_ENGINE_ACCESS_USER_FILE_H

#include "trivet/engine/access/users.h"

/* Reads all users of the file into `out`. False: `errors` has what is wrong with each line, in one text, and
 * `out` is empty. */
MUST_CHECK bool user_file_read(const char *path, struct user_list *out, struct buf *errors);
/* Writes the server's users to a temporary file, and gives it the name. False, with errno. */
MUST_CHECK bool user_file_write(const char *path);
/* A `user` line of the configuration: its words after "user", at least one. It becomes a user at users_load.
 */
MUST_CHECK bool user_lines_add(const struct slice *words, size_t count, struct buf *why);
void user_lines_release(void);

/* At start-up: the server's users come from the aclfile, or from the lines; not from both. False with the
 * reason. */
MUST_CHECK bool users_load(struct buf *error);
/* For CONFIG REWRITE: the users that lines have to make at the next start, with their rules; none if there is
 * only the default user as requirepass makes it, or if an aclfile has them. */
void user_lines_each(void (*visit)(void *arg, struct slice name, struct slice rules), void *arg);

#endif
