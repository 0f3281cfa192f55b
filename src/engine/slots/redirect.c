/* redirect.c: the rules by which a command is sent elsewhere, in the order in which the public specification
 * has them: one slot, served by somebody, in a cluster that is up, by this node. */
#include "trivet/engine/slots/redirect.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/command/kept.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/routes.h"
#include "trivet/keyspace/hidden.h"

/* What one command, or all that EXEC runs, has to do with slots. */
struct slots_look {
    bool any, several;
    uint16_t slot; /* of the first key */
    bool channels; /* of sharded pub/sub only */
    uint32_t flags;
};

static void look_at_slot(struct slots_look *l, uint16_t slot) {
    if (!l->any) l->slot = slot;
    l->several |= l->any && l->slot != slot;
    l->any = true;
}

/* Sharded channels stand where keys do, but are none: such commands have no keys in their call. */
static void look_at_channels(struct slots_look *l, const struct command *command, const struct slice *argv,
                             size_t argc) {
    struct key_positions found = { 0 };
    (void)command_key_positions(command, argv, argc, &found);
    for (size_t i = 0; i < found.count; i++) look_at_slot(l, slot_of_key(argv[found.at[i].index]));
    l->channels = found.count > 0;
    key_positions_release(&found);
}

static void look_at_command(struct slots_look *l, const struct command *command, const struct slice *argv,
                            size_t argc, const struct command_keys *keys) {
    l->flags |= command_flags(command, argv, argc);
    for (size_t i = 0; i < keys->count; i++) look_at_slot(l, keys->at[i].shard);
    if (keys->count == 0 && command->keys[0].flags & KEY_NOT_KEY) look_at_channels(l, command, argv, argc);
}

static struct slots_look look(const struct call *call) {
    struct slots_look l = { 0 };
    if (!(call->command->flags & RUNS_QUEUE)) {
        look_at_command(&l, call->command, call->argv, call->argc, call->keys);
        return l;
    }
    for (size_t i = 0; i < transaction_length(call->client); i++) {
        const struct kept *k = transaction_at(call->client, i);
        look_at_command(&l, k->command, k->argv, k->argc, &k->keys);
    }
    return l;
}

int32_t slot_of_call(const struct call *call) {
    struct slots_look l = look(call);
    return l.any && !l.several ? l.slot : -1;
}

/* The cluster is down: is this served all the same? */
static enum redirect when_down(const struct slots_look *l) {
    if (l->channels) return options.cluster_allow_pubsubshard_when_down ? REDIRECT_NONE : REDIRECT_DOWN;
    if (!options.cluster_allow_reads_when_down) return REDIRECT_DOWN;
    return l->flags & WRITES ? REDIRECT_DOWN_READS : REDIRECT_NONE;
}

/* This node's, or its primary's. */
static bool is_of_this_shard(uint16_t slot) {
    uint16_t owner = routes->owner[slot];
    return owner == ROUTE_MYSELF || (owner != ROUTE_NOBODY && owner == routes->primary);
}

/* The slot is another node's. */
static bool may_run_elsewhere(const struct call *call, const struct slots_look *l) {
    const struct client *c = call->client;
    bool arrives = routes->moving[l->slot] != ROUTE_NOBODY && !is_of_this_shard(l->slot);
    bool asks = c->flags & CLIENT_ASKING || call->command->flags & ASKING;
    if (arrives && (asks || call->command->moves_keys)) return true;
    if (!is_of_this_shard(l->slot)) return false;
    return l->channels || (c->flags & CLIENT_READONLY_SLOT && !(l->flags & WRITES));
}

/* The source of slots that come here sends their keys and writes before they are this node's. */
static bool is_arriving(const struct call *call, const struct slots_look *l) {
    return call->client->flags & CLIENT_SLOT_IMPORT && !l->several &&
           slot_is_hidden_as(l->slot, SLOT_ARRIVES);
}

struct redirection redirect_of(const struct call *call) {
    struct slots_look l = look(call);
    struct redirection r = { .what = REDIRECT_NONE, .slot = l.slot, .node = routes->owner[l.slot] };
    if (!l.any || UNLIKELY(is_arriving(call, &l))) return r;
    if (l.several)
        r.what = REDIRECT_CROSSSLOT;
    else if (r.node == ROUTE_NOBODY)
        r.what = REDIRECT_UNSERVED;
    else if (!routes->is_up)
        r.what = when_down(&l);
    if (r.what != REDIRECT_NONE) return r;
    if (r.node != ROUTE_MYSELF && !may_run_elsewhere(call, &l)) r.what = REDIRECT_MOVED;
    return r;
}

/* ---- under the locks ---- */

/* The keys of a command or a transaction, while their slot moves. */
struct keys_look {
    struct keyspace_view view;
    const struct keyref *first;
    bool several; /* more than one key, by name */
    size_t here, missing;
};

static void look_for_keys(struct keys_look *l, const struct command_keys *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        const struct keyref *ref = &keys->at[i];
        if (!l->first) l->first = ref;
        l->several |= !slice_equal(l->first->key, ref->key);
        bool here = keyspace_holds(&l->view, ref);
        l->here += here;
        l->missing += !here;
    }
}

/* A queued SELECT: those after it look into that database. A wrong number is refused when it runs. */
static void follow_select(struct keys_look *l, const struct kept *k) {
    size_t at[DATABASE_ARGUMENTS_MAX];
    int64_t db;
    if (!(k->command->flags & SWITCHES_DATABASE) || k->command->database_arguments(k->argv, k->argc, at) == 0)
        return;
    if (int64_parse(k->argv[at[0]], &db) && db >= 0 && db < (int64_t)keyspace_databases())
        l->view.db = (uint32_t)db;
}

static struct keys_look keys_of(const struct call *call) {
    struct keys_look l = { .view = call->view };
    if (!(call->command->flags & RUNS_QUEUE)) {
        look_for_keys(&l, call->keys);
        return l;
    }
    for (size_t i = 0; i < transaction_length(call->client); i++) {
        const struct kept *k = transaction_at(call->client, i);
        follow_select(&l, k);
        look_for_keys(&l, &k->keys);
    }
    return l;
}

/* MOVE, COPY DB: the other databases' keys of the slot may be elsewhere already. */
static bool names_databases(const struct command *command, const struct slice *argv, size_t argc) {
    size_t at[DATABASE_ARGUMENTS_MAX];
    return command->database_arguments && command->database_arguments(argv, argc, at) > 0;
}

static bool crosses_databases(const struct call *call) {
    if (!(call->command->flags & RUNS_QUEUE))
        return call->keys->count > 0 && names_databases(call->command, call->argv, call->argc);
    for (size_t i = 0; i < transaction_length(call->client); i++) {
        const struct kept *k = transaction_at(call->client, i);
        if (k->keys.count > 0 && names_databases(k->command, k->argv, k->argc)) return true;
    }
    return false;
}

struct redirection redirect_of_keys(const struct call *call) {
    struct redirection r = { .what = REDIRECT_NONE };
    if (!routes || call->origin->is_replay || call->origin->has_locks || call->command->moves_keys) return r;
    struct keys_look l = keys_of(call);
    if (!l.first) return r;
    r.slot = l.first->shard;
    r.node = routes->moving[r.slot];
    if (r.node == ROUTE_NOBODY) return r;
    if (crosses_databases(call)) {
        r.what = REDIRECT_TRYAGAIN;
        return r;
    }
    if (l.missing == 0) return r;
    if (is_of_this_shard(r.slot))
        r.what = l.here > 0 ? REDIRECT_TRYAGAIN : REDIRECT_ASK;
    else if (l.several)
        r.what = REDIRECT_TRYAGAIN;
    return r;
}

/* ---- words ---- */

static void tell_address(struct redirection r, const char *code, const struct client *c, struct buf *text) {
    const struct route_node *n = &routes->nodes[r.node];
    uint16_t port = c->flags & CLIENT_TLS && n->tls_port ? n->tls_port : n->port;
    buf_printf(text, "%s %u %.*s:%u", code, r.slot, SLICE_ARG(buf_slice(&n->host)), port);
}

void redirect_tell(struct redirection r, const struct client *c, struct buf *text) {
    static const char *const words[] = {
        [REDIRECT_CROSSSLOT] = "CROSSSLOT Keys in request don't hash to the same slot",
        [REDIRECT_UNSERVED] = "CLUSTERDOWN Hash slot not served",
        [REDIRECT_DOWN] = "CLUSTERDOWN The cluster is down",
        [REDIRECT_DOWN_READS] = "CLUSTERDOWN The cluster is down and only accepts read commands",
        [REDIRECT_TRYAGAIN] = "TRYAGAIN Multiple keys request during rehashing of slot",
    };
    assert(r.what != REDIRECT_NONE);
    if (r.what == REDIRECT_MOVED)
        tell_address(r, "MOVED", c, text);
    else if (r.what == REDIRECT_ASK)
        tell_address(r, "ASK", c, text);
    else
        buf_append(text, slice_of(words[r.what]));
}
