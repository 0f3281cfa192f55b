/* expire_condition.c: see expire_condition_private.h. */
#include "trivet/commands/arguments/expire_condition.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/expiry_option.h"

enum expire_condition {
    ONLY_WITHOUT = 1 << 0, /* NX */
    ONLY_WITH = 1 << 1,    /* XX */
    ONLY_LATER = 1 << 2,   /* GT */
    ONLY_EARLIER = 1 << 3, /* LT */
};

bool expire_conditions_read(struct call *c, size_t first, size_t end, unsigned *conditions) {
    for (size_t i = first; i < end; i++) {
        if (call_is(c, i, "NX")) {
            *conditions |= ONLY_WITHOUT;
        } else if (call_is(c, i, "XX")) {
            *conditions |= ONLY_WITH;
        } else if (call_is(c, i, "GT")) {
            *conditions |= ONLY_LATER;
        } else if (call_is(c, i, "LT")) {
            *conditions |= ONLY_EARLIER;
        } else {
            reply_error_printf(c->out, "ERR Unsupported option %.*s", SLICE_ARG(c->argv[i]));
            return false;
        }
    }
    if ((*conditions & ONLY_WITHOUT) && *conditions != ONLY_WITHOUT) {
        reply_error_text(c->out, LIT("ERR NX and XX, GT or LT options at the same time are not compatible"));
        return false;
    }
    if ((*conditions & ONLY_LATER) && (*conditions & ONLY_EARLIER)) {
        reply_error_text(c->out, LIT("ERR GT and LT options at the same time are not compatible"));
        return false;
    }
    return true;
}

bool expire_conditions_hold(unsigned conditions, int64_t old_ms, int64_t new_ms) {
    bool has = old_ms != NO_EXPIRY;
    if ((conditions & ONLY_WITHOUT) && has) return false;
    if ((conditions & ONLY_WITH) && !has) return false;
    if ((conditions & ONLY_LATER) && (!has || new_ms <= old_ms)) return false;
    return !(conditions & ONLY_EARLIER) || !has || new_ms < old_ms;
}

bool expire_instant_read(struct call *c, struct slice text, struct expire_unit unit, int64_t *at_ms) {
    int64_t n;
    if (!int64_parse(text, &n)) {
        reply_error(c->out, ERR_NOT_INT);
        return false;
    }
    if ((unit.in_seconds && __builtin_mul_overflow(n, 1000, &n)) ||
        (unit.relative && __builtin_add_overflow(n, c->view.now_ms, &n))) {
        reply_invalid_expiry(c);
        return false;
    }
    *at_ms = n;
    return true;
}
