/* expiry_option.h: the words that give a key its time to live, as SET, GETEX and MSETEX share them:
 * EX seconds, PX milliseconds, EXAT, PXAT, KEEPTTL, PERSIST. At most one of them may stand in a command.
 *
 * Reading and resolving are two steps, because a wrong word anywhere in the command is reported before a
 * wrong time. */
#ifndef TRIVET_COMMANDS_ARGUMENTS_EXPIRY_OPTION_H
#define TRIVET_COMMANDS_ARGUMENTS_EXPIRY_OPTION_H

#include "trivet/base/compiler.h"
#include "trivet/engine/command/call.h"

enum expiry_word {
    EXPIRY_NONE,
    EXPIRY_EX,
    EXPIRY_PX,
    EXPIRY_EXAT,
    EXPIRY_PXAT,
    EXPIRY_KEEPTTL,
    EXPIRY_PERSIST,
};

struct expiry_option {
    enum expiry_word word;
    struct slice amount; /* as written; empty for KEEPTTL and PERSIST */
    int64_t at_ms;       /* wall clock, once resolved; NO_EXPIRY for the words without a time */
};

enum expiry_read {
    EXPIRY_READ,    /* *at was moved behind the option */
    EXPIRY_UNKNOWN, /* argument *at is no such word */
    EXPIRY_REFUSED, /* it is one, but lacks its time, follows another one, or is `unwelcome` here */
};

/* Looks at argument *at. `unwelcome` is the word that this command lacks (GETEX: KEEPTTL, SET: PERSIST). */
MUST_CHECK enum expiry_read expiry_option_read(const struct call *c, size_t *at, enum expiry_word unwelcome,
                                               struct expiry_option *o);

/* Works out at_ms; false after replying that the time is wrong. */
MUST_CHECK bool expiry_option_resolve(struct call *c, struct expiry_option *o);

static inline bool expiry_option_has_time(const struct expiry_option *o) {
    return o->word >= EXPIRY_EX && o->word <= EXPIRY_PXAT;
}

/* The key's time is past: it goes as if it had expired by itself. `e` is from keyspace_write. */
void expire_at_once(struct call *c, struct slice key, struct entry *e);

/* "ERR invalid expire time in 'set' command". */
void reply_invalid_expiry(struct call *c);

#endif
