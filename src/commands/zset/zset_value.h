/* zset_value.h: what all commands on sorted sets do with one: reply with members, store one back,
 * store a result. Thread: as the running command (its keys' shards are locked). */
#ifndef COMMANDS_ZSET_ZSET_VALUE_H
#define COMMANDS_ZSET_ZSET_VALUE_H

#include "trivet/base/compiler.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/typed.h"
#include "trivet/engine/run/change.h"
#include "trivet/types/zset.h"

/* How members go into a reply. */
enum member_form {
    MEMBER_ALONE,
    MEMBER_FLAT,   /* member, score */
    MEMBER_NESTED, /* [member, score] */
};

/* Scores stand beside the members in RESP2, and make pairs of their own in RESP3. */
static inline enum member_form member_form(const struct call *c, bool with_scores) {
    if (!with_scores) return MEMBER_ALONE;
    return c->out->protocol == 2 ? MEMBER_FLAT : MEMBER_NESTED;
}

/* The array's header, then each member. */
void reply_members(struct reply *out, enum member_form form, size_t count);
void reply_member(struct reply *out, enum member_form form, struct slice member, double score);
/* Both, for `count` members from `rank` on, upwards or downwards. */
void reply_member_range(struct reply *out, enum member_form form, struct zset_walk *from);

/* The sorted set of argument `index`, to read. False after replying: `missing_reply` writes the reply for a
 * key that is not there. */
MUST_CHECK bool zset_argument(struct call *c, size_t index, struct value *v,
                              void (*missing_reply)(struct call *c));
void reply_zero(struct call *c);
void reply_nothing(struct call *c); /* null */
void reply_empty_array(struct call *c);

/* The result of a command that stores: takes over `v`, puts it in the place of whatever the key has (an empty
 * one: deletes the key), tells `event` of `times` changes, and replies with the number of members. */
void zset_store(struct call *c, struct slice key, struct value v, size_t times, const char *event);

#endif
