/* world.c: see world.h. */
#include "world.h"
#include "trivet/base/grow.h"
#include "trivet/base/hashing.h"
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

void world_random_id(struct world *w, struct node_id *id) {
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

/* ---- clocks ---- */

int64_t world_clock(const struct world *w, const struct sim_node *n) {
    return n->clock.shown_ms + (w->now_ms - n->clock.since_ms) * n->clock.rate / 1000;
}

void world_set_clock(struct world *w, struct sim_node *n, int64_t by_ms, int64_t rate) {
    n->clock = (struct sim_clock){ w->now_ms, world_clock(w, n) + by_ms, rate };
    n->had_clock_trouble = true;
    world_say(w, "the clock of node %zu jumps by %" PRId64 " ms, rate %" PRId64, n->number, by_ms, rate);
}

/* ---- names ---- */

static uint64_t hash_of_name(const struct node_id *id) { return hash_bytes(node_id_slice(id)); }

struct sim_node *world_named(const struct world *w, const struct node_id *id) {
    MAP_EACH_OF(&w->names, hash_of_name(id), struct sim_node, by_name, n)
    if (node_id_equal(&n->id, id)) return n;
    return NULL;
}

struct sim_node *world_told(const struct world *w, const struct node_id *id, uint16_t cport) {
    size_t place = cport - 1u;
    if (place < w->count && node_id_equal(&w->nodes[place].id, id)) return unconst(&w->nodes[place]);
    return world_named(w, id);
}

void world_rename(struct world *w, struct sim_node *n, const struct node_id *id) {
    GROW(w->dead_names, w->dead_count, &w->dead_room, 4);
    w->dead_names[w->dead_count++] = n->id;
    map_remove(&w->names, &n->by_name);
    n->id = *id;
    map_insert(&w->names, &n->by_name, hash_of_name(id));
    for (size_t i = 0; i < w->count; i++) {
        w->nodes[i].seen_failed[n->number] = w->nodes[i].seen_suspected[n->number] = false;
        w->nodes[i].heard_of_ms[n->number] = 0;
    }
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

/* What `a` sends gets to `b`. */
static bool reaches(const struct world *w, size_t a, size_t b) {
    return w->nodes[a].up && w->nodes[b].up && w->nodes[a].group == w->nodes[b].group && !w->deaf[b][a];
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
    if (!m.light) ledger_note_header(w, n, &m);
    if (!m.light) witness_note_sent(w, n, &m);
    if (!m.light && m.header.type == MESSAGE_AUTH_ACK)
        ledger_note_vote(w, n, k ? &w->nodes[k->node[!from]] : NULL, m.header.current_epoch);
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

static void save(struct sim_node *n, bool sync) {
    buf_clear(&n->disk);
    nodes_file_write(&n->disk, &n->rules.state, (struct nodes_file_rules){ 0 });
    if (!sync) return;
    buf_clear(&n->synced);
    buf_append(&n->synced, buf_slice(&n->disk));
    n->synced_vote = n->rules.state.last_vote_epoch;
    n->synced_epoch = n->rules.state.current_epoch;
}

/* With the primary's consent: it must have stopped writing, and everything must have come over. */
static void check_handover(struct world *w, struct sim_node *n) {
    struct sim_node *before = &w->nodes[n->handover.from];
    bool agreed = n->handover.asked && n->request.forced;
    n->handover.asked = false;
    if (!agreed || !before->up || before->life != n->handover.life || before->follows != SIZE_MAX) return;
    if (before->had_clock_trouble || n->had_clock_trouble) return;
    if (before->offset != n->offset)
        world_fail(w, "node %zu takes over at offset %" PRIu64 ", node %zu has written %" PRIu64, n->number,
                   n->offset, before->number, before->offset);
    before->handover.given = true;
    before->handover.offset = before->offset;
    before->handover.until_ms = before->paused_until_ms;
}

static void lead(struct world *w, struct sim_node *n) {
    n->follows = SIZE_MAX;
    w->elections++;
    world_say(w, "node %zu leads in epoch %" PRIu64, n->number, n->rules.state.self->config_epoch);
    if (!n->leads_unasked) {
        ledger_note_winner(w, n, n->rules.state.self->config_epoch);
        check_handover(w, n);
    }
    /* Keys that its primary gave away without having told it. */
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
        if (n->rules.state.owners[slot] != n->rules.state.self) slot_set_remove(&n->keys, slot);
}

static void follow(struct world *w, struct sim_node *n, const struct cluster_action *a) {
    if (a->port == 0 || a->port > w->count) world_fail(w, "node %zu is to follow nobody", n->number);
    struct sim_node *primary = &w->nodes[a->port - 1u];
    if (n->handover.given && world_clock(w, n) <= n->handover.until_ms && n->offset != n->handover.offset)
        world_fail(w, "node %zu has written after its replica took over", n->number);
    n->handover.given = false;
    /* It has none of that one's data, however new its own is. */
    if (n->follows != primary->number) n->heard_ms = INT64_MIN / 4;
    n->follows = primary->number;
    world_say(w, "node %zu follows %zu", n->number, primary->number);
}

static void drop_keys(struct sim_node *n, struct slice set) {
    struct slot_set slots;
    memcpy(&slots, set.ptr, sizeof slots);
    SLOT_SET_EACH(&slots, slot) slot_set_remove(&n->keys, slot);
}

/* Other workers write until the gate is closed. */
static void hold_writes(struct world *w, struct sim_node *n, int64_t until_ms) {
    if (n->rules.is_sound) n->offset += world_below(w, 3);
    n->paused_until_ms = until_ms;
    cluster_writes_held(&n->rules, world_clock(w, n));
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
    case ACTION_SAVE: save(n, a->sync); break;
    case ACTION_CHANGED: break;
    case ACTION_LEAD: lead(w, n); break;
    case ACTION_FOLLOW: follow(w, n, a); break;
    case ACTION_DROP_KEYS: drop_keys(n, a->bytes); break;
    case ACTION_STATE: world_say(w, "node %zu: state %s", n->number, a->sound ? "ok" : "fail"); break;
    case ACTION_PAUSE: hold_writes(w, n, a->until_ms); break;
    case ACTION_RESUME: n->paused_until_ms = 0; break;
    case ACTION_LOG: world_say(w, "node %zu: %.*s", n->number, SLICE_ARG(a->bytes)); break;
    }
}

void world_act(struct world *w, struct sim_node *n) {
    struct cluster_action a;
    bool changed = false;
    while (cluster_next_action(&n->rules, &a)) {
        act_on(w, n, &a);
        changed |= a.kind == ACTION_CHANGED;
        if (n->dies_after == 0 || --n->dies_after > 0) continue;
        world_crash(w, n);
        return;
    }
    ledger_look(w, n, changed);
    if (changed) witness_look(w, n);
}

void world_reply(struct world *w, struct sim_node *n) {
    cluster_save_changes(&n->rules);
    world_act(w, n);
}

/* A primary takes a write, a replica copies what its primary has. */
static void replicate(struct world *w, struct sim_node *n) {
    if (n->follows == SIZE_MAX) {
        if (n->rules.is_sound && world_clock(w, n) >= n->paused_until_ms) n->offset++;
        return;
    }
    struct sim_node *primary = &w->nodes[n->follows];
    bool talks = reaches(w, n->number, n->follows) && reaches(w, n->follows, n->number);
    if (!talks || primary->frozen) return;
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
        .arg = n,
    };
    settings.node_timeout_ms = SIM_NODE_TIMEOUT_MS;
    settings.replica_validity_factor = n->validity_factor;
    settings.port = settings.cport = (uint16_t)(n->number + 1);
    settings.announce_ip = node_ip_make(LIT("10.0.0.1"));
    cluster_init(&n->rules, state, &settings, &hooks, world_clock(w, n));
    n->up = true;
    n->frozen = false;
    n->dies_after = 0;
    ledger_note_start(w, n);
    witness_note_start(w, n);
    world_act(w, n);
    tick_later(w, n);
}

/* The file, or a new node if there is none. */
static void read_disk(struct world *w, struct sim_node *n, struct cluster_state *state) {
    struct buf error = { 0 };
    struct nodes_file_rules rules = { 0 };
    if (n->disk.len == 0)
        cluster_state_init(state, &n->id, &n->shard_id, world_clock(w, n));
    else if (!nodes_file_read(state, buf_slice(&n->disk), rules, world_clock(w, n), &error))
        world_fail(w, "node %zu cannot read its file: %s", n->number, buf_cstr(&error));
    buf_release(&error);
}

void world_start(struct world *w, struct sim_node *n) {
    struct cluster_state state;
    assert(!n->up);
    read_disk(w, n, &state);
    n->heard_ms = INT64_MIN / 4; /* what was written since it stopped is not in its data */
    n->paused_until_ms = 0;
    n->handover = (struct handover){ 0 };
    const struct cluster_node *primary = state.self->primary;
    n->follows = primary && primary->cport > 0 ? primary->cport - 1u : SIZE_MAX;
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
    n->dies_after = 0;
    if (n->synced.len == 0 || world_below(w, 2)) return; /* the system had the time to write it */
    buf_clear(&n->disk);
    buf_append(&n->disk, buf_slice(&n->synced));
}

void world_wipe(struct world *w, struct sim_node *n) {
    struct node_id id;
    assert(!n->up);
    world_say(w, "node %zu loses its disk", n->number);
    world_random_id(w, &id);
    world_rename(w, n, &id);
    world_random_id(w, &n->shard_id);
    buf_clear(&n->disk);
    buf_clear(&n->synced);
    n->keys = (struct slot_set){ { 0 } };
    n->offset = n->synced_vote = n->synced_epoch = n->voted_epoch = 0;
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
    bool there = k->node[1] < w->count && !w->nodes[k->node[1]].frozen &&
                 reaches(w, k->node[0], k->node[1]) && reaches(w, k->node[1], k->node[0]);
    if (!there) {
        tell_closed(w, k, 0);
        connection_close(w, k, 0);
        return;
    }
    struct sim_node *to = &w->nodes[k->node[1]];
    struct node_ip ip = node_ip_make(LIT("10.0.0.1"));
    name_end(w, k, 1, cluster_link_accepted(&to->rules, ip, ip, world_clock(w, to)));
    world_act(w, to);
    cluster_link_opened(&from->rules, k->link[0], world_clock(w, from));
    world_act(w, from);
}

static void deliver(struct world *w, const struct event *e) {
    struct connection *k = w->connections[e->connection];
    struct sim_node *n = &w->nodes[e->node];
    if (!k->open || !reaches(w, k->node[!e->link], k->node[e->link])) return;
    w->delivered++;
    w->digest = (w->digest ^ (uint64_t)e->at_ms ^ e->node ^ e->size) * UINT64_C(0x100000001b3);
    struct slice packet = slice_make(e->bytes, e->size);
    struct message m;
    cluster_receive(&n->rules, k->link[e->link], packet, world_clock(w, n));
    if (message_decode(packet, &m)) world_fail(w, "a packet changed on its way");
    if (!m.light) witness_note(w, n, &m, k->link[e->link], e->link == 0);
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
        cluster_tick(&n->rules, world_clock(w, n));
        world_act(w, n);
        if (n->up) tick_later(w, n);
    } else if (e->kind == EVENT_CONNECT) {
        connect_now(w, e->connection);
    } else if (e->kind == EVENT_PACKET) {
        deliver(w, e);
    } else if (e->kind == EVENT_CLOSED) {
        cluster_link_closed(&n->rules, e->link, world_clock(w, n));
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
    witness_init(w);
    for (size_t i = 0; i < count; i++) {
        struct sim_node *n = &w->nodes[i];
        n->world = w;
        n->number = i;
        n->follows = SIZE_MAX;
        n->clock = (struct sim_clock){ w->now_ms, w->now_ms, 1000 };
        n->validity_factor = cluster_settings_default.replica_validity_factor;
        world_random_id(w, &n->id);
        world_random_id(w, &n->shard_id);
        map_insert(&w->names, &n->by_name, hash_of_name(&n->id));
        struct cluster_state state;
        read_disk(w, n, &state);
        start_rules(w, n, &state);
    }
}

void world_release(struct world *w) {
    for (size_t i = 0; i < w->count; i++) {
        if (w->nodes[i].up) cluster_release(&w->nodes[i].rules);
        buf_release(&w->nodes[i].disk);
        buf_release(&w->nodes[i].synced);
    }
    map_release(&w->names);
    mem_free(w->dead_names);
    for (size_t i = 0; i < w->heap_count; i++) mem_free(w->heap[i].bytes);
    mem_free(w->heap);
    for (size_t i = 0; i < w->connection_count; i++) mem_free(w->connections[i]);
    mem_free(w->connections);
    map_release(&w->links);
    ledger_release(w);
    witness_release(w);
}
