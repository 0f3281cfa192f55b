/* login.c: see login.h. */
#include "trivet/engine/client/login.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"

void client_log_in(struct client *c, struct user *u) {
    c->user = u;
    c->authenticated = true;
}

void client_log_out(struct client *c) {
    c->user = user_default;
    c->authenticated = users_admit_strangers();
}

/* ---- what goes into ACL LOG ---- */

static enum access_context context_of(const struct client *c, enum access_context context) {
    return context == ACCESS_TOPLEVEL && (c->flags & CLIENT_IN_MULTI) ? ACCESS_MULTI : context;
}

static void note(const struct client *c, struct access_event event) {
    struct buf line = { 0 };
    client_describe(c, turn_now_ms, &line);
    event.context = context_of(c, event.context);
    event.client = buf_slice(&line);
    event.now_ms = turn_now_ms;
    access_log_note(&event);
    buf_release(&line);
}

bool client_authenticate(struct client *c, struct slice name, struct slice password, struct slice word) {
    struct user *u = users_authenticate(name, password);
    if (u)
        client_log_in(c, u);
    else
        note(c, (struct access_event){ .reason = ACCESS_LOGIN, .object = word, .username = name });
    return u != NULL;
}

bool client_log_in_by_certificate(struct client *c, struct slice name) {
    struct user *u = users_find(name);
    if (!u || !u->is_on) return false;
    client_log_in(c, u);
    return true;
}

void client_note_certificate(const struct client *c, struct slice name) {
    note(c, (struct access_event){ .reason = ACCESS_CERTIFICATE, .object = name, .username = name });
}

void client_note_denial(const struct client *c, const struct command *command, const struct slice *argv,
                        struct verdict v, enum access_context context) {
    static const enum access_reason reasons[DENIALS] = { [DENIED_DATABASE] = ACCESS_DATABASE,
                                                         [DENIED_COMMAND] = ACCESS_COMMAND,
                                                         [DENIED_KEY] = ACCESS_KEY,
                                                         [DENIED_CHANNEL] = ACCESS_CHANNEL };
    assert(v.denial != DENIED_NOTHING);
    bool is_command = v.denial == DENIED_COMMAND;
    note(c, (struct access_event){ .reason = reasons[v.denial],
                                   .context = context,
                                   .object = is_command ? slice_of(command->full_name) : argv[v.argument],
                                   .username = slice_of(c->user->name) });
}

struct verdict client_ask_permission(const struct client *c, const struct command *command,
                                     const struct slice *argv, size_t argc, uint32_t db,
                                     enum access_context context) {
    struct verdict v = permission_ask(c->user, command, argv, argc, db);
    if (v.denial) client_note_denial(c, command, argv, v, context);
    return v;
}

/* ---- users change ---- */

void clients_lose_user(const struct user *u, struct client *caller) {
    assert(exclusive_is_mine());
    for (int worker = 0; worker < thread_worker_count; worker++) CLIENTS_OF(worker, c) {
            if (c->user != u) continue;
            c->user = user_default;
            c->authenticated = false;
            client_kill(c, caller, "its user was removed");
        }
}

struct listener {
    const struct user *user;
    bool may_not;
};

static void ask_subscription(void *arg, enum pubsub_kind kind, struct slice name) {
    struct listener *l = arg;
    l->may_not |= !permission_to_listen(l->user, name, kind == PUBSUB_PATTERN);
}

void clients_check_subscriptions(const struct user *u, struct client *caller) {
    assert(exclusive_is_mine());
    for (int worker = 0; worker < thread_worker_count; worker++) CLIENTS_OF(worker, c) {
            struct listener l = { .user = c->user };
            if ((u && c->user != u) || c->user->is_unlimited || !(c->flags & CLIENT_SUBSCRIBED)) continue;
            pubsub_each_of(c, ask_subscription, &l);
            if (l.may_not) client_kill(c, caller, "its user may not listen to its channels any more");
        }
}
