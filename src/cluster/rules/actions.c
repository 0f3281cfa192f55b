/* actions.c: the queue of what is to be done, and the frame around each call. */
#include "rules.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"

const struct cluster_settings cluster_settings_default = {
    .node_timeout_ms = 15000,
    .repl_ping_period_ms = 10000,
    .manual_failover_timeout_ms = 5000,
    .ban_ms = 60000,
    .replica_validity_factor = 10,
    .migration_barrier = 1,
    .require_full_coverage = true,
    .allow_replica_migration = true,
};

static void describe_self(struct cluster *c) {
    struct cluster_node *self = c->state.self;
    const struct cluster_settings *set = &c->settings;
    self->flags |= NODE_EXTENSIONS | NODE_LIGHT_PUBLISH | NODE_LIGHT_MODULE;
    self->flags = set->replica_no_failover ? self->flags | NODE_NOFAILOVER : self->flags & ~NODE_NOFAILOVER;
    if (node_ip_slice(&set->announce_ip).len > 0) self->ip = set->announce_ip;
    self->port = set->port;
    self->pport = set->pport;
    self->cport = set->cport;
    self->client_port = set->client_port;
    self->client_tls_port = set->client_tls_port;
    for (unsigned i = 0; i < NODE_TEXT_COUNT; i++)
        node_set_text(self, (enum node_text)i, slice_of(set->texts[i] ? set->texts[i] : ""));
}

void cluster_init(struct cluster *c, struct cluster_state *state, const struct cluster_settings *settings,
                  const struct cluster_hooks *hooks, int64_t now_ms) {
    memset(c, 0, sizeof *c);
    c->state = *state;
    memset(state, 0, sizeof *state);
    c->hooks = *hooks;
    c->now_ms = c->began_ms = now_ms;
    cluster_configure(c, settings, now_ms);
}

void cluster_release(struct cluster *c) {
    for (size_t i = 0; i < c->link_count; i++) mem_free(c->links[i]);
    mem_free(c->links);
    mem_free(c->actions);
    buf_release(&c->bytes);
    cluster_state_release(&c->state);
    memset(c, 0, sizeof *c);
}

void cluster_configure(struct cluster *c, const struct cluster_settings *settings, int64_t now_ms) {
    assert(settings->node_timeout_ms > 0);
    rules_begin(c, now_ms);
    c->settings = *settings;
    describe_self(c);
    memset(c->settings.texts, 0, sizeof c->settings.texts); /* the node has copies */
    c->must_announce = c->must_look = true;
    rules_save_later(c, false);
    rules_finish(c);
}

void rules_begin(struct cluster *c, int64_t now_ms) {
    now_ms += c->ahead_ms;
    if (now_ms < c->now_ms) {
        c->ahead_ms += c->now_ms - now_ms;
        now_ms = c->now_ms;
    }
    c->now_ms = now_ms;
    if (c->actions_taken < c->action_count) return;
    c->action_count = c->actions_taken = 0;
    buf_clear(&c->bytes);
}

void rules_finish(struct cluster *c) {
    if (c->must_look) {
        c->must_look = false;
        rules_look_at_state(c);
    }
    /* What may be learnt again is written once a tick at most; what is announced may not be lost. */
    c->must_sync |= c->must_announce;
    if (c->must_save && (c->must_sync || c->in_tick)) {
        struct cluster_action *a = action_add(c, ACTION_SAVE);
        a->sync = c->must_sync;
        c->must_save = false;
    }
    c->must_sync = false;
    if (c->must_tell) {
        c->must_tell = false;
        action_add(c, ACTION_CHANGED);
    }
    if (c->must_announce) {
        c->must_announce = false;
        send_pong_to_all(c);
    }
}

void rules_save_now(struct cluster *c) {
    action_add(c, ACTION_SAVE)->sync = true;
    c->must_save = c->must_sync = false;
    c->must_tell = true;
}

void cluster_save_changes(struct cluster *c) {
    if (c->must_save) rules_save_now(c);
    rules_finish(c);
}

struct cluster_action *action_add(struct cluster *c, enum cluster_action_kind kind) {
    GROW(c->actions, c->action_count, &c->action_room, 16);
    struct cluster_action *a = &c->actions[c->action_count++];
    *a = (struct cluster_action){ .kind = kind };
    return a;
}

/* The bytes from `at` to the end. The buffer may still move, so the slice holds the offset plus one in place
 * of the address. */
static void set_bytes(struct cluster *c, struct cluster_action *a, size_t at) {
    a->bytes = (struct slice){ (const char *)(at + 1), c->bytes.len - at };
}

void action_send(struct cluster *c, struct cluster_node *to, size_t at) {
    struct cluster_action *a = action_add(c, ACTION_SEND);
    a->link = to->link;
    set_bytes(c, a, at);
}

void action_log(struct cluster *c, const char *format, ...) {
    size_t at = c->bytes.len;
    va_list args;
    va_start(args, format);
    buf_vprintf(&c->bytes, format, args);
    va_end(args);
    set_bytes(c, action_add(c, ACTION_LOG), at);
}

bool cluster_next_action(struct cluster *c, struct cluster_action *out) {
    if (c->actions_taken == c->action_count) return false;
    *out = c->actions[c->actions_taken++];
    if (out->bytes.len) out->bytes.ptr = c->bytes.ptr + ((uintptr_t)out->bytes.ptr - 1);
    return true;
}
