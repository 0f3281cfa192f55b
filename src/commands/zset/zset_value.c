/* zset_value.c: see zset_value_private.h. */
#include "zset_value.h"

void reply_members(struct reply *out, enum member_form form, size_t count) {
    reply_array(out, form == MEMBER_FLAT ? 2 * count : count);
}

void reply_member(struct reply *out, enum member_form form, struct slice member, double score) {
    if (form == MEMBER_NESTED) reply_array(out, 2);
    reply_bulk(out, member);
    if (form != MEMBER_ALONE) reply_double(out, score);
}

void reply_member_range(struct reply *out, enum member_form form, struct zset_walk *from) {
    reply_members(out, form, from->left);
    while (zset_walk_next(from)) reply_member(out, form, from->member, from->score);
}

bool zset_argument(struct call *c, size_t index, struct value *v, void (*missing_reply)(struct call *c)) {
    struct entry *e = keyspace_read(&c->view, c->argv[index]);
    if (!e) {
        missing_reply(c);
        return false;
    }
    if (!is_type_or_missing(c, e, TYPE_ZSET)) return false;
    *v = entry_value(e);
    return true;
}

void reply_zero(struct call *c) { reply_int(c->out, 0); }
void reply_nothing(struct call *c) { reply_null(c->out); }
void reply_empty_array(struct call *c) { reply_array(c->out, 0); }

void zset_store(struct call *c, struct slice key, struct value v, size_t times, const char *event) {
    reply_int(c->out, (int64_t)zset_count(v));
    change_store(c, key, TYPE_ZSET, v, times, event);
}
