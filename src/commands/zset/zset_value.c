/* zset_value.c: see zset_value_private.h. */
#include "zset_value.h"
#include "trivet/commands/arguments/create.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/eviction.h"

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

void zset_taken_from(struct call *c, struct slice key, struct entry *e, struct value v, const char *event,
                     struct effect effect) {
    entry_set_value(e, v);
    bool emptied = zset_count(v) == 0;
    if (emptied) keyspace_delete(&c->view, e, false);
    changed(c, key, NOTIFY_ZSET, event, effect);
    if (emptied) notify(c->view.db, NOTIFY_GENERIC, "del", key);
}

static struct entry *new_entry(struct call *c, struct slice key, struct value v) {
    return entry_new_value(key, TYPE_ZSET, v, NO_EXPIRY, eviction_access_new(c->view.now_ms));
}

void zset_create(struct call *c, struct slice key, struct value v) {
    create_key(c, key, new_entry(c, key, v));
}

void zset_store(struct call *c, struct slice key, struct value v, const char *event) {
    size_t count = zset_count(v);
    struct entry *old = keyspace_write(&c->view, key);
    reply_int(c->out, (int64_t)count);
    if (count == 0) {
        zset_value_ops.free(v);
        if (!old) return;
        keyspace_delete(&c->view, old, options.lazyfree_lazy_server_del);
        changed(c, key, NOTIFY_GENERIC, "del", EFFECT(LIT("DEL"), key));
        return;
    }
    if (old)
        keyspace_replace(&c->view, old, new_entry(c, key, v));
    else
        zset_create(c, key, v);
    changed(c, key, NOTIFY_ZSET, event, EFFECT_SAME(c));
}
