/* scan_option.c: see scan_option_private.h. */
#include "trivet/commands/arguments/scan_option.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"

#define COUNT_UNLESS_TOLD 10

bool collection_scan_cursor(struct call *c, struct collection_scan *s) {
    *s = (struct collection_scan){ .count = COUNT_UNLESS_TOLD };
    if (uint64_parse(c->argv[2], &s->cursor)) return true;
    reply_error(c->out, ERR_CURSOR);
    return false;
}

/* The word at argument `i` asks for names alone; false after replying that this type has nothing else. */
static bool read_only_names(struct call *c, size_t i, enum value_type type, struct collection_scan *s) {
    bool of_hash = call_is(c, i, "NOVALUES");
    s->only_names = type == (of_hash ? TYPE_HASH : TYPE_ZSET);
    if (s->only_names) return true;
    reply_error_text(c->out, of_hash ? LIT("ERR NOVALUES option can only be used in HSCAN")
                                     : LIT("ERR NOSCORES option can only be used in ZSCAN"));
    return false;
}

bool collection_scan_options(struct call *c, enum value_type type, struct collection_scan *s) {
    for (size_t i = 3; i < c->argc; i++) {
        int64_t count;
        if (call_is(c, i, "NOVALUES") || call_is(c, i, "NOSCORES")) {
            if (!read_only_names(c, i, type, s)) return false;
            continue;
        }
        if (i + 1 == c->argc) return refuse_syntax(c);
        if (call_is(c, i, "MATCH")) {
            s->pattern = c->argv[++i];
            s->has_pattern = !slice_equal(s->pattern, LIT("*"));
            continue;
        }
        if (!call_is(c, i, "COUNT")) return refuse_syntax(c);
        if (!integer_argument(c, ++i, &count)) return false;
        if (count < 1) return refuse_syntax(c);
        s->count = (size_t)count;
    }
    return true;
}

void collection_scan_begin(struct call *c, struct collection_scan *s) {
    reply_init(&s->elements, c->out->protocol);
    s->header = reply_later(&s->elements);
}

void collection_scan_end(struct call *c, struct collection_scan *s, uint64_t next) {
    char digits[INT64_TEXT_MAX];
    reply_later_array(&s->elements, s->header, s->found);
    reply_array(c->out, 2);
    reply_bulk(c->out, slice_make(digits, uint64_format(digits, next)));
    reply_move(c->out, &s->elements);
    reply_release(&s->elements);
}

void collection_scan_nothing(struct call *c) {
    reply_array(c->out, 2);
    reply_bulk(c->out, LIT("0"));
    reply_array(c->out, 0);
}
