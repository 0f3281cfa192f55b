/* world.c: see world.h. */
#include "world.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/cluster/state/nodes_file.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define START_MS INT64_C(1700000000000)
#define TICK_JITTER_MS 5
#define LATE_MOST_MS 3000

enum event_kind { EVENT_TICK, EVENT_WAKE, EVENT_CONNECT, EVENT_PACKET, EVENT_CLOSED };

struct event {
    int64_t at_ms;
    uint64_t order; /* of two at one time */
    enum event_kind kind;
    size_t node, connection;
    unsigned life; /* of the node: a tick and a CLOSED are for that one alone */
    uint64_t link; /* at that node: what a CLOSED is about; the end that a PACKET goes to */
    char *bytes;
    size_t size;
};

struct end {
    struct map_link by_link;
    struct connection *of;
    int which;
};

/* Ends 0 and 1: who dialled, and who was dialled. */
struct connection {
    struct end ends[2];
    size_t number, node[2];
    uint64_t link[2]; /* 0: it does not know of the connection yet */
    bool open;
    int64_t last_ms[2]; /* what travels to that end arrives in order, unless the weather is bad */
};

/* ---- chance ---- */

static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

uint64_t world_random(struct world *w) {
    uint64_t *s = w->chance, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t world_below(struct world *w, uint64_t bound) { return world_random(w) % bound; }

static bool happens(struct world *w, unsigned thousandths) {
    return thousandths && world_below(w, 1000) < thousandths;
}

static void random_id(struct world *w, struct node_id *id) {
    for (size_t i = 0; i < NODE_ID_LEN; i++) id->text[i] = "0123456789abcdef"[world_below(w, 16)];
}

/* ---- messages ---- */

static void print(const struct world *w, const char *format, va_list args) {
    fprintf(stderr, "seed %" PRIu64 ", %" PRId64 " ms: ", w->seed, w->now_ms - START_MS);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void world_fail(struct world *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    print(w, format, args);
    va_end(args);
    abort();
}

void world_say(struct world *w, const char *format, ...) {
    if (!w->verbose) return;
    va_list args;
    va_start(args, format);
    print(w, format, args);
    va_end(args);
}

/* ---- events ---- */

static bool comes_before(const struct event *a, const struct event *b) {
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void event_add(struct world *w, struct event e) {
    GROW(w->heap, w->heap_count, &w->heap_room, 64);
    e.order = w->events++;
    size_t at = w->heap_count++;
    for (; at > 0 && comes_before(&e, &w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        w->heap[at] = w->heap[(at - 1) / 2];
    w->heap[at] = e;
}

static struct event event_take(struct world *w) {
    struct event first = w->heap[0], last = w->heap[--w->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= w->heap_count) break;
        if (child + 1 < w->heap_count && comes_before(&w->heap[child + 1], &w->heap[child])) child++;
        if (!comes_before(&w->heap[child], &last)) break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    if (w->heap_count > 0) w->heap[at] = last;
    return first;
}

static void tick_later(struct world *w, struct sim_node *n) {
    int64_t at_ms = w->now_ms + CLUSTER_TICK_MS + (int64_t)world_below(w, TICK_JITTER_MS);
    event_add(w, (struct event){ .at_ms = at_ms, .kind = EVENT_TICK, .node = n->number, .life = n->life });
}

/* ---- the network ---- */

static bool reaches(const struct world *w, size_t a, size_t b) {
    return w->nodes[a].up && w->nodes[b].up && w->nodes[a].group == w->nodes[b].group;
}

static int64_t delay_ms(struct world *w) {
    return 1 + (int64_t)world_below(w, (uint64_t)w->weather.delay_most_ms);
}

static void tell_closed(struct world *w, struct connection *k, int end) {
    event_add(w, (struct event){ .at_ms = w->now_ms + delay_ms(w),
                                 .kind = EVENT_CLOSED,
                                 .node = k->node[end],
                                 .link = k->link[end],
                                 .life = w->nodes[k->node[end]].life });
}

/* The links of two nodes may have one number, so the node counts too. */
static uint64_t hash_of(size_t node, uint64_t link) {
    return (link * 131 + node) * UINT64_C(0x9e3779b97f4a7c15);
}

static void name_end(struct world *w, struct connection *k, int which, uint64_t link) {
    k->link[which] = link;
    k->ends[which] = (struct end){ .of = k, .which = which };
    map_insert(&w->links, &k->ends[which].by_link, hash_of(k->node[which], link));
}

static struct connection *connection_of(struct world *w, size_t node, uint64_t link, int *which) {
    MAP_EACH_OF(&w->links, hash_of(node, link), struct end, by_link, e) {
        *which = e->which;
        if (e->of->open && e->of->node[e->which] == node && e->of->link[e->which] == link) return e->of;
    }
    return NULL;
}

static void connection_close(struct world *w, struct connection *k, int by) {
    if (!k->open) return;
    k->open = false;
    for (int end = 0; end < 2; end++)
        if (k->link[end]) map_remove(&w->links, &k->ends[end].by_link);
    if (k->link[!by]) tell_closed(w, k, !by);
}

static void connection_dial(struct world *w, struct sim_node *n, const struct cluster_action *a) {
    size_t target = a->port - 1u;
    GROW(w->connections, w->connection_count, &w->connection_room, 64);
    struct connection *k = mem_alloc_zero(sizeof *k);
    *k = (struct connection){ .number = w->connection_count, .node = { n->number, target }, .open = true };
    w->connections[w->connection_count++] = k;
    name_end(w, k, 0, a->link);
    event_add(w, (struct event){ .at_ms = w->now_ms + delay_ms(w),
                                 .kind = EVENT_CONNECT,
                                 .node = n->number,
                                 .connection = k->number });
}

static void post(struct world *w, size_t connection, int to, struct slice bytes) {
    struct connection *k = w->connections[connection];
    int64_t at_ms = w->now_ms + delay_ms(w);
    if (happens(w, w->weather.late))
        at_ms += (int64_t)world_below(w, LATE_MOST_MS);
    else if (at_ms < k->last_ms[to])
        at_ms = k->last_ms[to];
    if (at_ms < w->now_ms + LATE_MOST_MS / 10 && at_ms > k->last_ms[to]) k->last_ms[to] = at_ms;
    char *copy = mem_alloc(bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    event_add(w, (struct event){ .at_ms = at_ms,
                                 .kind = EVENT_PACKET,
                                 .node = k->node[to],
                                 .connection = connection,
                                 .link = (uint64_t)to,
                                 .bytes = copy,
                                 .size = bytes.len });
}

static void send_packet(struct world *w, struct sim_node *n, const struct cluster_action *a) {
    int from;
    struct connection *k = connection_of(w, n->number, a->link, &from);
    struct message m;
    if (message_decode(a->bytes, &m)) world_fail(w, "node %zu sends what it cannot read", n->number);
    if (!m.light && m.header.type == MESSAGE_AUTH_ACK) ledger_note_vote(w, n, m.header.current_epoch);
    if (!k || happens(w, w->weather.lost)) return;
    if (happens(w, w->weather.broken)) {
        tell_closed(w, k, from);
        connection_close(w, k, from);
        return;
    }
    post(w, k->number, !from, a->bytes);
    if (happens(w, w->weather.doubled)) post(w, k->number, !from, a->bytes);
}

/* ---- a node ---- */

static uint64_t hook_random(void *arg) { return world_random(((struct sim_node *)arg)->world); }
static uint64_t hook_offset(void *arg) { return ((struct sim_node *)arg)->offset; }

static int64_t hook_data_age(void *arg) {
    struct sim_node *n = arg;
    return n->world->now_ms - n->heard_ms;
}

static bool hook_has_keys(void *arg, unsigned slot) {
    return slot_set_has(&((struct sim_node *)arg)->keys, slot);
}

static void hook_published(void *arg, bool sharded, struct slice channel, struct slice payload) {
    (void)arg, (void)sharded, (void)channel, (void)payload;
}
static void hook_module(void *arg, const struct node_id *sender, const struct message *m) {
    (void)arg, (void)sender, (void)m;
}

struct sim_node *world_named(struct world *w, const struct node_id *id) {
    for (size_t i = 0; i < w->count; i++)
        if (node_id_equal(&w->nodes[i].id, id)) return &w->nodes[i];
    return NULL;
}

static void save(struct sim_node *n) {
    buf_clear(&n->disk);
    nodes_file_write(&n->disk, &n->rules.state, (struct nodes_file_rules){ 0 });
    n->disk_vote_epoch = n->rules.state.last_vote_epoch;
}

static void lead(struct world *w, struct sim_node *n) {
    n->follows = SIZE_MAX;
    w->elections++;
    world_say(w, "node %zu leads in epoch %" PRIu64, n->number, n->rules.state.self->config_epoch);
    if (!n->takes_over) ledger_note_winner(w, n, n->rules.state.self->config_epoch);
}

static void follow(struct world *w, struct sim_node *n, const struct cluster_action *a) {
    struct sim_node *primary = world_named(w, &a->node);
    if (!primary) world_fail(w, "node %zu is to follow somebody who is not there", n->number);
    if (n->follows != primary->number) n->heard_ms = w->now_ms;
    n->follows = primary->number;
    world_say(w, "node %zu follows %zu", n->number, primary->number);
}

static void drop_keys(struct sim_node *n, struct slice set) {
    struct slot_set slots;
    memcpy(&slots, set.ptr, sizeof slots);
    SLOT_SET_EACH(&slots, slot) slot_set_remove(&n->keys, slot);
}

static void act_on(struct world *w, struct sim_node *n, const struct cluster_action *a) {
    int end;
    struct connection *k;
    switch (a->kind) {
    case ACTION_OPEN: connection_dial(w, n, a); break;
    case ACTION_CLOSE:
        k = connection_of(w, n->number, a->link, &end);
        if (k) connection_close(w, k, end);
        break;
    case ACTION_SEND: send_packet(w, n, a); break;
    case ACTION_SAVE: save(n); break;
    case ACTION_CHANGED: break;
    case ACTION_LEAD: lead(w, n); break;
    case ACTION_FOLLOW: follow(w, n, a); break;
    case ACTION_DROP_KEYS: drop_keys(n, a->bytes); break;
    case ACTION_STATE: world_say(w, "node %zu: state %s", n->number, a->sound ? "ok" : "fail"); break;
    case ACTION_PAUSE: n->paused_until_ms = a->until_ms; break;
    case ACTION_RESUME: n->paused_until_ms = 0; break;
    case ACTION_LOG: world_say(w, "node %zu: %.*s", n->number, SLICE_ARG(a->bytes)); break;
    }
}

void world_act(struct world *w, struct sim_node *n) {
    struct cluster_action a;
    while (cluster_next_action(&n->rules, &a)) act_on(w, n, &a);
    ledger_look(w, n);
}

/* A primary takes a write, a replica copies what its primary has. */
static void replicate(struct world *w, struct sim_node *n) {
    if (n->follows == SIZE_MAX) {
        if (n->rules.is_sound && w->now_ms >= n->paused_until_ms) n->offset++;
        return;
    }
    struct sim_node *primary = &w->nodes[n->follows];
    if (!reaches(w, n->number, n->follows) || primary->frozen) return;
    n->offset = primary->offset;
    n->keys = primary->keys;
    n->heard_ms = w->now_ms;
}

static void start_rules(struct world *w, struct sim_node *n, struct cluster_state *state) {
    struct cluster_settings settings = cluster_settings_default;
    struct cluster_hooks hooks = {
        .random = hook_random,
        .offset = hook_offset,
        .data_age_ms = hook_data_age,
        .slot_has_keys = hook_has_keys,
        .published = hook_published,
        .module = hook_module,
        .arg = n,
    };
    settings.node_timeout_ms = SIM_NODE_TIMEOUT_MS;
    settings.port = settings.cport = (uint16_t)(n->number + 1);
    settings.announce_ip = node_ip_make(LIT("10.0.0.1"));
    cluster_init(&n->rules, state, &settings, &hooks, w->now_ms);
    n->up = true;
    n->frozen = false;
    n->seen_config = 0;
    world_act(w, n);
    tick_later(w, n);
}

void world_start(struct world *w, struct sim_node *n) {
    struct cluster_state state;
    struct buf error = { 0 };
    assert(!n->up);
    if (!nodes_file_read(&state, buf_slice(&n->disk), (struct nodes_file_rules){ 0 }, w->now_ms, &error))
        world_fail(w, "node %zu cannot read its file: %s", n->number, buf_cstr(&error));
    buf_release(&error);
    n->heard_ms = w->now_ms;
    n->paused_until_ms = 0;
    const struct cluster_node *primary = state.self->primary;
    struct sim_node *known = primary ? world_named(w, &primary->id) : NULL;
    n->follows = known ? known->number : SIZE_MAX;
    world_say(w, "node %zu starts", n->number);
    start_rules(w, n, &state);
}

void world_crash(struct world *w, struct sim_node *n) {
    assert(n->up);
    world_say(w, "node %zu crashes", n->number);
    for (size_t i = 0; i < w->connection_count; i++) {
        struct connection *k = w->connections[i];
        for (int end = 0; end < 2; end++)
            if (k->node[end] == n->number) connection_close(w, k, end);
    }
    cluster_release(&n->rules);
    n->up = false;
    n->life++;
}

void world_freeze(struct world *w, struct sim_node *n, int64_t ms) {
    world_say(w, "node %zu freezes", n->number);
    n->frozen = true;
    n->wakes_ms = w->now_ms + ms;
    event_add(w, (struct event){ .at_ms = n->wakes_ms, .kind = EVENT_WAKE, .node = n->number });
}

/* ---- the clock ---- */

static void connect_now(struct world *w, size_t connection) {
    struct connection *k = w->connections[connection];
    struct sim_node *from = &w->nodes[k->node[0]];
    if (!k->open) return;
    if (k->node[1] >= w->count || !reaches(w, k->node[0], k->node[1]) || w->nodes[k->node[1]].frozen) {
        tell_closed(w, k, 0);
        connection_close(w, k, 0);
        return;
    }
    struct sim_node *to = &w->nodes[k->node[1]];
    struct node_ip ip = node_ip_make(LIT("10.0.0.1"));
    name_end(w, k, 1, cluster_link_accepted(&to->rules, ip, ip, w->now_ms));
    world_act(w, to);
    cluster_link_opened(&from->rules, k->link[0], w->now_ms);
    world_act(w, from);
}

static void deliver(struct world *w, const struct event *e) {
    struct connection *k = w->connections[e->connection];
    struct sim_node *n = &w->nodes[e->node];
    if (!k->open || !reaches(w, k->node[0], k->node[1])) return;
    w->delivered++;
    w->digest = (w->digest ^ (uint64_t)e->at_ms ^ e->node ^ e->size) * UINT64_C(0x100000001b3);
    cluster_receive(&n->rules, k->link[e->link], slice_make(e->bytes, e->size), w->now_ms);
    world_act(w, n);
}

static void handle(struct world *w, struct event *e) {
    struct sim_node *n = &w->nodes[e->node];
    if (e->kind == EVENT_WAKE) {
        if (n->wakes_ms == w->now_ms) n->frozen = false;
        return;
    }
    bool of_another_life = (e->kind == EVENT_TICK || e->kind == EVENT_CLOSED) && e->life != n->life;
    if (!n->up || of_another_life) {
        mem_free(e->bytes);
        return;
    }
    if (n->frozen) { /* later, in the order of now */
        e->at_ms = n->wakes_ms + 1;
        event_add(w, *e);
        return;
    }
    if (e->kind == EVENT_TICK) {
        replicate(w, n);
        cluster_tick(&n->rules, w->now_ms);
        world_act(w, n);
        tick_later(w, n);
    } else if (e->kind == EVENT_CONNECT) {
        connect_now(w, e->connection);
    } else if (e->kind == EVENT_PACKET) {
        deliver(w, e);
    } else if (e->kind == EVENT_CLOSED) {
        cluster_link_closed(&n->rules, e->link, w->now_ms);
        world_act(w, n);
    }
    mem_free(e->bytes);
}

static void step_to(struct world *w, int64_t until_ms) {
    while (w->heap_count > 0 && w->heap[0].at_ms <= until_ms) {
        struct event e = event_take(w);
        w->now_ms = e.at_ms;
        handle(w, &e);
    }
    w->now_ms = until_ms;
}

void world_run(struct world *w, int64_t ms) { step_to(w, w->now_ms + ms); }

bool world_run_until(struct world *w, bool (*holds)(const struct world *), int64_t most_ms) {
    for (int64_t until_ms = w->now_ms + most_ms; w->now_ms < until_ms;) {
        if (holds(w)) return true;
        world_run(w, 100);
    }
    return holds(w);
}

void world_init(struct world *w, uint64_t seed, size_t count, bool verbose) {
    assert(count <= SIM_NODES_MAX);
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->verbose = verbose;
    w->now_ms = START_MS;
    w->count = count;
    w->weather.delay_most_ms = 5;
    for (int i = 0; i < 4; i++) w->chance[i] = (seed + (uint64_t)i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < 16; i++) world_random(w);
    ledger_init(w);
    for (size_t i = 0; i < count; i++) {
        struct sim_node *n = &w->nodes[i];
        n->world = w;
        n->number = i;
        n->follows = SIZE_MAX;
        random_id(w, &n->id);
        random_id(w, &n->shard_id);
        struct cluster_state state;
        cluster_state_init(&state, &n->id, &n->shard_id, w->now_ms);
        start_rules(w, n, &state);
    }
}

void world_release(struct world *w) {
    for (size_t i = 0; i < w->count; i++) {
        if (w->nodes[i].up) cluster_release(&w->nodes[i].rules);
        buf_release(&w->nodes[i].disk);
    }
    for (size_t i = 0; i < w->heap_count; i++) mem_free(w->heap[i].bytes);
    mem_free(w->heap);
    for (size_t i = 0; i < w->connection_count; i++) mem_free(w->connections[i]);
    mem_free(w->connections);
    map_release(&w->links);
    ledger_release(w);
}
