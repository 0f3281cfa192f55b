/* member.c: nodes.conf, roles, and who does which action. See member.h. */
#include "trivet/engine/cluster/member.h"
#include "trivet/base/clock.h"
#include "trivet/base/ending.h"
#include "trivet/base/file.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/cluster/state/nodes_file.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/cluster/lost_slots.h"
#include "trivet/engine/cluster/migrations.h"
#include "trivet/engine/cluster/open_slots.h"
#include "trivet/engine/replication/apply.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/departures.h"
#include "trivet/engine/slots/routes.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/keyspace/slot_stats.h"
#include "trivet/persist/backlog.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define BUS_PORT_ABOVE 10000 /* the clients' port */
#define NODES_FILE_MAX ((size_t)64 << 20)

struct cluster *member;
struct bus_hooks bus_hooks;
static struct cluster the_member;
static int nodes_fd = -1; /* holds the lock on nodes.conf */

/* ---- what the rules ask ---- */

static uint64_t ask_random(void *arg) {
    (void)arg;
    return random_u64();
}

static uint64_t ask_offset(void *arg) {
    struct primary_facts facts;
    (void)arg;
    if (!primary_is_set()) return backlog_offset();
    primary_facts(&facts);
    return facts.received;
}

static int64_t ask_data_age(void *arg) {
    struct primary_facts facts;
    (void)arg;
    primary_facts(&facts);
    if (facts.link == LINK_CONNECTED) return facts.io_ms > 0 ? turn_now_ms - facts.io_ms : 0;
    return facts.down_since_ms > 0 ? turn_now_ms - facts.down_since_ms : INT64_MAX / 4;
}

static bool ask_slot_has_keys(void *arg, unsigned slot) {
    (void)arg;
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (keyspace_slot_count(db, (uint16_t)slot) > 0) return true;
    return false;
}

static void tell_published(void *arg, bool sharded, struct slice channel, struct slice payload) {
    (void)arg;
    (void)pubsub_publish(sharded ? PUBSUB_SHARD : PUBSUB_CHANNEL, channel, payload);
}

static const struct cluster_hooks hooks = {
    .random = ask_random,
    .offset = ask_offset,
    .data_age_ms = ask_data_age,
    .slot_has_keys = ask_slot_has_keys,
    .published = tell_published,
};

/* ---- settings ---- */

static const char *text_or_null(const char *text) { return text[0] ? text : NULL; }

/* Where other settings change it stays, as the listeners of the bus do. */
static uint16_t bus_port;

uint16_t member_bus_port(void) { return bus_port; }

static bool choose_bus_port(struct buf *error) {
    int64_t clients = options.tls_cluster && options.tls_port ? options.tls_port : options.port;
    int64_t port = options.cluster_port ? options.cluster_port : clients + BUS_PORT_ABOVE;
    bus_port = (uint16_t)port;
    if (port <= 65535) return true;
    buf_append(
        error,
        LIT("Port number too high for cluster mode: the port of the bus is 10000 above it. Set a lower "
            "port, or cluster-port."));
    return false;
}

static uint16_t first_port(int64_t announced, int64_t own) { return (uint16_t)(announced ? announced : own); }

static struct cluster_settings settings_now(void) {
    struct cluster_settings s = cluster_settings_default;
    uint16_t plain = first_port(options.cluster_announce_port, options.port);
    uint16_t tls = first_port(options.cluster_announce_tls_port, options.tls_port);
    s.node_timeout_ms = options.cluster_node_timeout_ms ? options.cluster_node_timeout_ms : 1;
    s.ping_interval_ms = options.cluster_ping_interval_ms;
    s.repl_ping_period_ms = options.repl_ping_replica_period_s * 1000;
    s.manual_failover_timeout_ms = options.cluster_manual_failover_timeout_ms;
    s.ban_ms = options.cluster_blacklist_ttl_s * 1000;
    s.replica_validity_factor = options.cluster_replica_validity_factor;
    s.migration_barrier = (unsigned)options.cluster_migration_barrier;
    s.require_full_coverage = options.cluster_require_full_coverage;
    s.replica_no_failover = options.cluster_replica_no_failover;
    s.allow_replica_migration = options.cluster_allow_replica_migration;
    s.announce_ip = node_ip_make(slice_of(options.cluster_announce_ip));
    s.port = options.tls_cluster ? tls : plain;
    s.pport = options.tls_cluster ? plain : tls;
    s.cport = first_port(options.cluster_announce_bus_port, member_bus_port());
    s.client_port = (uint16_t)options.cluster_announce_client_port;
    s.client_tls_port = (uint16_t)options.cluster_announce_client_tls_port;
    s.texts[NODE_HOSTNAME] = text_or_null(options.cluster_announce_hostname);
    s.texts[NODE_HUMAN_NAME] = text_or_null(options.cluster_announce_human_nodename);
    s.texts[NODE_CLIENT_IPV4] = text_or_null(options.cluster_announce_client_ipv4);
    s.texts[NODE_CLIENT_IPV6] = text_or_null(options.cluster_announce_client_ipv6);
    s.texts[NODE_ZONE] = text_or_null(options.availability_zone);
    return s;
}

static struct nodes_file_rules file_rules(void) {
    return (struct nodes_file_rules){ .ports_are_tls = options.tls_cluster };
}

/* ---- nodes.conf ---- */

/* Nobody else may use this file: two servers of one name would tear the cluster apart. */
static bool lock_file(struct buf *error) {
    const char *path = options.cluster_config_file;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return file_failed(error, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        buf_printf(error,
                   errno == EWOULDBLOCK ? "%s is used by another server: each node needs a file of its own"
                                        : "cannot lock %s",
                   path);
        close(fd);
        return false;
    }
    if (nodes_fd >= 0) close(nodes_fd);
    nodes_fd = fd;
    return true;
}

bool member_save(struct buf *error) {
    struct buf text = { 0 }, temporary = { 0 };
    nodes_file_write(&text, &member->state, file_rules());
    buf_printf(&temporary, "%s.tmp-%ld", options.cluster_config_file, (long)getpid());
    bool saved =
        file_replace(options.cluster_config_file, buf_cstr(&temporary), buf_slice(&text), 0644, error) &&
        lock_file(error);
    buf_release(&temporary);
    buf_release(&text);
    return saved;
}

/* What is not on the disk may be forgotten by a crash: a vote given twice, an epoch used twice. So a node
 * that cannot write ends, unless it is told to go on. */
static void save_or_end(void) {
    struct buf error = { 0 };
    if (!member_save(&error)) {
        LOG_WARNING("Fatal: can't update cluster config file: %.*s. Free the disk, or set "
                    "cluster-config-save-behavior to best-effort.",
                    SLICE_ARG(buf_slice(&error)));
        if (options.cluster_config_save_behavior == 0) end_in_failure();
    }
    buf_release(&error);
}

static bool read_file(struct cluster_state *state, bool *found, struct buf *error) {
    struct buf text = { 0 };
    bool read = file_read_all(nodes_fd, NODES_FILE_MAX, &text) ||
                file_failed(error, "read", options.cluster_config_file);
    *found = read && text.len > 0;
    if (*found) read = nodes_file_read(state, buf_slice(&text), file_rules(), clock_wall_ms(), error);
    buf_release(&text);
    return read;
}

struct node_id member_new_id(void) {
    struct node_id id;
    for (size_t i = 0; i < NODE_ID_LEN; i++) id.text[i] = "0123456789abcdef"[random_below(16)];
    return id;
}

struct slice member_name(void) {
    return member ? node_id_slice(&member->state.self->id) : LIT("");
}

bool member_start(struct buf *error) {
    struct cluster_state state;
    bool found;
    if (!choose_bus_port(error)) return false;
    if (options.replicaof[0]) {
        buf_append(error, LIT("replicaof directive not allowed in cluster mode"));
        return false;
    }
    if (!lock_file(error) || !read_file(&state, &found, error)) return false;
    if (!found) {
        struct node_id id = member_new_id(), shard = member_new_id();
        cluster_state_init(&state, &id, &shard, clock_wall_ms());
        LOG_NOTICE("No cluster configuration found, I'm %.*s", NODE_ID_ARG(&id));
    } else {
        LOG_NOTICE("Node configuration loaded, I'm %.*s", NODE_ID_ARG(&state.self->id));
    }
    struct cluster_settings settings = settings_now();
    cluster_init(&the_member, &state, &settings, &hooks, clock_wall_ms());
    member = &the_member;
    slot_stats_turn(options.cluster_slot_stats_enabled);
    return member_save(error);
}

void member_stop(void) {
    if (!member) return;
    member = NULL;
    cluster_release(&the_member);
    slot_stats_release();
    if (nodes_fd >= 0) close(nodes_fd);
    nodes_fd = -1;
}

/* ---- routes ---- */

struct slice member_endpoint(const struct cluster_node *n, bool *known) {
    *known = true;
    if (options.cluster_preferred_endpoint_type == ENDPOINT_UNKNOWN) {
        *known = false;
        return LIT("");
    }
    if (options.cluster_preferred_endpoint_type == ENDPOINT_HOSTNAME) {
        struct slice name = node_text(n, NODE_HOSTNAME);
        return name.len > 0 ? name : LIT("?");
    }
    return node_ip_slice(&n->ip);
}

uint16_t member_port(const struct cluster_node *n, bool tls) {
    uint16_t told = tls ? n->client_tls_port : n->client_port;
    if (told) return told;
    return tls == options.tls_cluster ? n->port : n->pport;
}

/* This node is the first, the others follow in the order in which the state has them. */
static uint16_t number_of(const struct cluster_node *n) {
    const struct cluster_node *self = member->state.self;
    if (!n) return ROUTE_NOBODY;
    if (n == self) return ROUTE_MYSELF;
    return (uint16_t)(n->index < self->index ? n->index + 2 : n->index + 1);
}

static uint16_t number_of_primary(void) {
    const struct cluster_node *self = member->state.self;
    return number_of(node_is_replica(self) ? self->primary : NULL);
}

static void add_node(struct routes *r, const struct cluster_node *n) {
    bool known;
    struct slice host = member_endpoint(n, &known);
    (void)routes_add(r, &n->id, host, member_port(n, false), member_port(n, true));
}

static struct routes *draw_routes(void) {
    const struct cluster_state *s = &member->state;
    struct routes *r = routes_new();
    add_node(r, s->self);
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i] != s->self) add_node(r, s->nodes[i]);
    r->is_up = member->is_sound;
    r->primary = number_of_primary();
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) r->owner[slot] = number_of(s->owners[slot]);
    for (size_t i = 0; i < s->open_count; i++) {
        r->moving[s->open[i].slot] = number_of(s->open[i].other);
        r->moving_count++;
    }
    return r;
}

/* ---- is the table still right? ---- */

static bool nodes_are_right(void) {
    const struct cluster_state *s = &member->state;
    if (routes->node_count != s->node_count + 1) return false;
    for (size_t i = 0; i < s->node_count; i++) {
        const struct route_node *r = &routes->nodes[number_of(s->nodes[i])];
        bool known;
        if (!node_id_equal(&r->id, &s->nodes[i]->id)) return false;
        if (!slice_equal(buf_slice(&r->host), member_endpoint(s->nodes[i], &known))) return false;
        if (r->port != member_port(s->nodes[i], false) || r->tls_port != member_port(s->nodes[i], true))
            return false;
    }
    return true;
}

static bool owners_are_right(void) {
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
        if (routes->owner[slot] != number_of(member->state.owners[slot])) return false;
    return true;
}

/* As many open slots as before, and each of them there, are the same ones. */
static bool open_slots_are_right(void) {
    const struct cluster_state *s = &member->state;
    if (routes->moving_count != s->open_count) return false;
    for (size_t i = 0; i < s->open_count; i++)
        if (routes->moving[s->open[i].slot] != number_of(s->open[i].other)) return false;
    return true;
}

/* Most of what changes, such as epochs, is nothing to clients; and a new table stops all workers. */
static bool routes_are_right(void) {
    return routes && routes->is_up == member->is_sound && routes->primary == number_of_primary() &&
           nodes_are_right() && open_slots_are_right() && owners_are_right();
}

static const struct node_id *owner_in(const struct routes *r, unsigned slot) {
    return &r->nodes[r->owner[slot]].id;
}

/* What was counted for a slot was somebody else's. */
static void reset_changed_slots(const struct routes *before, const struct routes *now) {
    if (!slot_stats_on || !before) return;
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
        if (!node_id_equal(owner_in(before, slot), owner_in(now, slot))) slot_stats_reset((uint16_t)slot);
}

static void renew_routes(void) {
    if (routes_are_right()) return;
    exclusive_begin(); /* others may act while this waits, so the table is drawn after it */
    struct routes *now = draw_routes();
    reset_changed_slots(routes, now);
    lost_slots_routes_change(now);
    routes_replace(now);
    departures_tell();
    migrations_routes_changed();
    open_slots_changed();
    exclusive_end();
}

/* ---- roles ---- */

/* Nodes tell two ports, of which the first is that of the bus' kind. */
static uint16_t replication_port(const struct cluster_node *n) {
    return options.tls_replication == options.tls_cluster ? n->port : n->pport;
}

/* The primary may be another one by now, and its address too. */
static void follow(void) {
    const struct cluster_node *p = member->state.self->primary;
    if (!p) return;
    uint16_t port = replication_port(p);
    struct slice ip = node_ip_slice(&p->ip);
    if (port == 0)
        LOG_WARNING("Node %.*s tells no %s port to replicate from, see tls-replication", NODE_ID_ARG(&p->id),
                    options.tls_replication ? "TLS" : "plain");
    exclusive_begin();
    pause_end(PAUSE_FOR_SLOTS);
    if (primary_follow(ip, port))
        LOG_NOTICE("Now a replica of node %.*s at %.*s:%u", NODE_ID_ARG(&p->id), SLICE_ARG(ip), port);
    exclusive_end();
}

static void lead(void) {
    exclusive_begin();
    pause_end(PAUSE_FOR_SLOTS);
    if (primary_leave()) LOG_NOTICE("Now a primary of its shard");
    exclusive_end();
}

/* Whoever asks for them is sent to the new owner first: to find nothing would be a wrong answer. */
static void drop_keys(struct slice slots) {
    assert(slots.len == sizeof(struct slot_set));
    renew_routes();
    exclusive_begin();
    lost_slots_leave((const struct slot_set *)(const void *)slots.ptr);
    exclusive_end();
}

/* Only when no worker is in the middle of a write is the offset the last one. */
static void hold_writes(int64_t until_ms) {
    int64_t for_ms = until_ms - clock_wall_ms();
    exclusive_begin();
    pause_begin(PAUSE_FOR_SLOTS, PAUSE_WRITES, for_ms > 0 ? for_ms : 1);
    cluster_writes_held(member, clock_wall_ms());
    exclusive_end();
}

static void let_writes_go(void) {
    exclusive_begin();
    pause_end(PAUSE_FOR_SLOTS);
    exclusive_end();
}

/* ---- actions ---- */

/* What concerns links, for worker 0. */
struct link_task {
    struct letter letter;
    enum cluster_action_kind kind;
    uint64_t link;
    struct node_ip ip;
    uint16_t port;
    struct buf packet;
};

/* While the bus is closed there is nothing to be done to links. */
static void run_task(struct letter *letter) {
    struct link_task *t = (struct link_task *)letter;
    bool is_open = member && bus_hooks.open;
    if (is_open && t->kind == ACTION_OPEN)
        bus_hooks.open(t->link, node_ip_slice(&t->ip), t->port);
    else if (is_open && t->kind == ACTION_CLOSE)
        bus_hooks.close(t->link);
    else if (is_open)
        bus_hooks.send(t->link, buf_slice(&t->packet));
    buf_release(&t->packet);
    mem_free(t);
}

/* Links are worker 0's. It gets letters from itself too, so that all is done in the order in which the rules
 * wanted it, whoever called them. */
static void act_on_link(const struct cluster_action *a) {
    struct link_task *t = mem_alloc_zero(sizeof *t);
    t->letter.run = run_task;
    t->kind = a->kind;
    t->link = a->link;
    t->ip = a->ip;
    t->port = a->port;
    buf_append(&t->packet, a->bytes);
    worker_post(0, &t->letter);
}

static void act(const struct cluster_action *a, bool *redraw) {
    switch (a->kind) {
    case ACTION_OPEN:
    case ACTION_CLOSE:
    case ACTION_SEND: act_on_link(a); return;
    case ACTION_SAVE: save_or_end(); return;
    case ACTION_CHANGED: break;
    case ACTION_LEAD: lead(); break;
    case ACTION_FOLLOW:
        renew_routes();
        follow();
        break;
    case ACTION_DROP_KEYS: drop_keys(a->bytes); return;
    case ACTION_PAUSE: hold_writes(a->until_ms); return;
    case ACTION_RESUME: let_writes_go(); return;
    case ACTION_LOG: LOG_NOTICE("%.*s", SLICE_ARG(a->bytes)); return;
    case ACTION_STATE: break; /* the routes say it */
    }
    *redraw = true;
}

void member_act(void) {
    struct cluster_action a;
    bool redraw = false;
    while (cluster_next_action(member, &a)) act(&a, &redraw);
    if (redraw) renew_routes();
}

/* ---- publishing ---- */

struct message_letter {
    struct letter letter;
    bool sharded;
    size_t channel_len;
    struct buf text; /* the channel, and the message after it */
};

static void send_message(struct letter *letter) {
    struct message_letter *m = (struct message_letter *)letter;
    struct slice all = buf_slice(&m->text);
    if (member) {
        cluster_publish(member, m->sharded, slice_make(all.ptr, m->channel_len),
                        slice_make(all.ptr + m->channel_len, all.len - m->channel_len), clock_wall_ms());
        member_act();
    }
    buf_release(&m->text);
    mem_free(m);
}

void member_publish(bool sharded, struct slice channel, struct slice payload) {
    struct message_letter *m = mem_alloc_zero(sizeof *m);
    m->letter.run = send_message;
    m->sharded = sharded;
    m->channel_len = channel.len;
    buf_append(&m->text, channel);
    buf_append(&m->text, payload);
    worker_post(0, &m->letter);
}

/* ---- life ---- */

void member_settings_changed(void) {
    if (!member) return;
    slot_stats_turn(options.cluster_slot_stats_enabled);
    struct cluster_settings settings = settings_now();
    cluster_configure(member, &settings, clock_wall_ms());
    member_act();
    if (primary_is_set()) follow(); /* its other port perhaps */
    renew_routes();
}

void member_begin(void) {
    follow();
    cluster_settle_data(member, clock_wall_ms());
    cluster_save_changes(member);
    member_act();
    renew_routes();
}
