/* user.h: a user: a name, passwords, and the selectors that say what it may do.
 *
 * Rules come as words ("on", ">password", "~key:*", "+@read"), as in ACL SETUSER, in files and in the
 * configuration. They are applied to a user that nobody else sees yet, all of them or none. The users of the
 * server are in users.h.
 *
 * Owner: whoever made it, until users_put. Thread: users of the server are changed with the gate closed, and
 * read by all. */
#ifndef TRIVET_ENGINE_ACCESS_USER_H
#define TRIVET_ENGINE_ACCESS_USER_H

#include "trivet/base/buf.h"
#include "trivet/base/sha.h"

struct selector;

struct user {
    char *name; /* any bytes but blanks and NUL; may be "" */
    bool is_on; /* may log in */
    bool needs_no_password;
    bool skips_sanitizing; /* RESTORE does not look into its payloads */
    bool is_unlimited;     /* its first selector permits everything */
    uint8_t (*passwords)[SHA256_SIZE];
    size_t password_count, password_room;
    struct selector **selectors; /* the first one takes the rules outside of parentheses */
    size_t selector_count, selector_room;
};

#define USER_DEFAULT "default"

bool user_name_is_valid(struct slice name);
/* It is off and may do nothing. */
struct user *user_new(struct slice name);
struct user *user_copy(const struct user *u);
void user_free(struct user *u);

/* Applies rules in their order. On false, `error` has what is wrong, and the user is to be thrown away:
 * "Error in ACL SETUSER modifier '+foo': Unknown ...", with `prefix` in place of the first words. */
MUST_CHECK bool user_set_rules(struct user *u, const struct slice *rules, size_t count, const char *prefix,
                               struct buf *error);
/* Applies one rule, a selector in parentheses as one word. NULL, or the reason, which is a constant text;
 * then nothing has changed. */
MUST_CHECK const char *user_set(struct user *u, struct slice rule);
/* After the last user_set. */
void user_compile(struct user *u);

/* Joins the words of each selector: "(+get" "~a)" becomes one rule. False, with the text, if a parenthesis
 * has no match. The caller frees what it gets with rules_release. */
struct rules {
    struct slice *at;
    size_t count;
    struct buf text;
};
MUST_CHECK bool rules_join(const struct slice *words, size_t count, struct rules *out, struct buf *error);
void rules_release(struct rules *r);

bool user_has_password(const struct user *u, const uint8_t digest[SHA256_SIZE]);
void user_add_password(struct user *u, struct slice password);
void user_forget_passwords(struct user *u);

/* The rules that make an equal user, as ACL LIST prints them behind "user <name> ". */
void user_describe(const struct user *u, struct buf *out);
/* All of ACL LIST's line, without a line end. */
void user_describe_line(const struct user *u, struct buf *out);
/* One part of what a selector permits, as ACL GETUSER shows it. */
enum permission_part { PART_COMMANDS, PART_KEYS, PART_CHANNELS, PART_DATABASES, PERMISSION_PARTS };
extern const char *const permission_part_names[PERMISSION_PARTS];
void user_describe_part(const struct user *u, size_t selector, enum permission_part part, struct buf *out);

#endif
