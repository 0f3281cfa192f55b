/* expiry_option.c: see expiry_option_private.h. */
#include "trivet/commands/arguments/expiry_option.h"
#include "trivet/base/number.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/counters.h"

static enum expiry_word word_at(const struct call *c, size_t at) {
    static const struct {
        struct slice text;
        enum expiry_word word;
    } words[] = {
        { LIT_INIT("EX"), EXPIRY_EX },           { LIT_INIT("PX"), EXPIRY_PX },
        { LIT_INIT("EXAT"), EXPIRY_EXAT },       { LIT_INIT("PXAT"), EXPIRY_PXAT },
        { LIT_INIT("KEEPTTL"), EXPIRY_KEEPTTL }, { LIT_INIT("PERSIST"), EXPIRY_PERSIST },
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (slice_equal_nocase(c->argv[at], words[i].text)) return words[i].word;
    return EXPIRY_NONE;
}

enum expiry_read expiry_option_read(const struct call *c, size_t *at, enum expiry_word unwelcome,
                                    struct expiry_option *o) {
    enum expiry_word word = word_at(c, *at);
    if (word == EXPIRY_NONE) return EXPIRY_UNKNOWN;
    if (word == unwelcome || (o->word != EXPIRY_NONE && o->word != word)) return EXPIRY_REFUSED;
    bool has_amount = word <= EXPIRY_PXAT;
    if (has_amount && *at + 1 >= c->argc) return EXPIRY_REFUSED;
    o->word = word;
    if (has_amount) o->amount = c->argv[*at + 1];
    *at += has_amount ? 2 : 1;
    return EXPIRY_READ;
}

void reply_invalid_expiry(struct call *c) {
    reply_error_printf(c->out, "ERR invalid expire time in '%s' command", c->command->full_name);
}

bool expiry_option_resolve(struct call *c, struct expiry_option *o) {
    o->at_ms = NO_EXPIRY;
    if (!expiry_option_has_time(o)) return true;
    int64_t n;
    if (!int64_parse(o->amount, &n)) {
        reply_error(c->out, ERR_NOT_INT);
        return false;
    }
    bool in_seconds = o->word == EXPIRY_EX || o->word == EXPIRY_EXAT;
    bool relative = o->word == EXPIRY_EX || o->word == EXPIRY_PX;
    if (n <= 0 || (in_seconds && __builtin_mul_overflow(n, 1000, &n)) ||
        (relative && __builtin_add_overflow(n, c->view.now_ms, &n))) {
        reply_invalid_expiry(c);
        return false;
    }
    o->at_ms = n;
    return true;
}

void expire_at_once(struct call *c, struct slice key, struct entry *e) {
    keyspace_delete(&c->view, e, options.lazyfree_lazy_expire);
    COUNTER_ADD(counters_mine()->expired, 1);
    changed(c, key, NOTIFY_EXPIRED, "expired", EFFECT(LIT("DEL"), key));
}
