/* The cluster's rules in one cluster with redis-server: a node that is nothing but rules and sockets joins,
 * gossips, votes, hears of failures and takes over. And nodes.conf: each side reads the other's. */
#include "../harness/check.h"
#include "../harness/cluster.h"
#include "../harness/fail.h"
#include "trivet/base/mem.h"
#include "trivet/cluster/rules/cluster.h"
#include "trivet/cluster/state/nodes_file.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LINKS_MAX 64
#define NODE_TIMEOUT "2000"
#define NODE_TIMEOUT_MS 2000

struct socket_link {
    int fd; /* -1: free */
    uint64_t link;
    struct buf in;
};

struct bus_node {
    struct cluster rules;
    int listener;
    struct socket_link links[LINKS_MAX];
    int64_t ticked_ms;
    struct buf saved;
    struct slot_set keys;
    bool leads;
};

/* ---- a node of rules and sockets ---- */

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t hook_random(void *arg) { return (void)arg, (uint64_t)random(); }
static uint64_t hook_offset(void *arg) { return (void)arg, 0; }
static int64_t hook_data_age(void *arg) { return (void)arg, 0; }
static bool hook_has_keys(void *arg, unsigned slot) {
    return slot_set_has(&((struct bus_node *)arg)->keys, slot);
}
static void hook_published(void *arg, bool sharded, struct slice channel, struct slice payload) {
    (void)arg, (void)sharded, (void)channel, (void)payload;
}

static struct socket_link *link_add(struct bus_node *n, int fd, uint64_t link) {
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (n->links[i].fd >= 0) continue;
        n->links[i].fd = fd;
        n->links[i].link = link;
        buf_clear(&n->links[i].in);
        return &n->links[i];
    }
    HARNESS_FAIL("too many links");
}

static struct socket_link *link_named(struct bus_node *n, uint64_t link) {
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (n->links[i].fd >= 0 && n->links[i].link == link) return &n->links[i];
    return NULL;
}

static void link_end(struct socket_link *l) {
    close(l->fd);
    l->fd = -1;
}

static int dial(const struct cluster_action *a) {
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(a->port) };
    inet_pton(AF_INET, a->ip.text, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
    return -1;
}

static void act_on(struct bus_node *n, const struct cluster_action *a, struct cluster_action *opens,
                   size_t *count) {
    struct socket_link *l = link_named(n, a->link);
    switch (a->kind) {
    case ACTION_OPEN:
        if (*count == LINKS_MAX) HARNESS_FAIL("too many links at once");
        opens[(*count)++] = *a;
        break;
    case ACTION_CLOSE:
        if (l) link_end(l);
        break;
    case ACTION_SEND:
        if (l && send(l->fd, a->bytes.ptr, a->bytes.len, MSG_NOSIGNAL) < 0) shutdown(l->fd, SHUT_RDWR);
        break;
    case ACTION_SAVE:
        buf_clear(&n->saved);
        nodes_file_write(&n->saved, &n->rules.state, (struct nodes_file_rules){ 0 });
        break;
    case ACTION_LEAD: n->leads = true; break;
    default: break;
    }
}

static void act(struct bus_node *n) {
    struct cluster_action a, opens[LINKS_MAX];
    size_t count = 0;
    while (cluster_next_action(&n->rules, &a)) act_on(n, &a, opens, &count);
    for (size_t i = 0; i < count; i++) {
        int fd = dial(&opens[i]);
        if (fd < 0) {
            cluster_link_closed(&n->rules, opens[i].link, now_ms());
        } else {
            link_add(n, fd, opens[i].link);
            cluster_link_opened(&n->rules, opens[i].link, now_ms());
        }
        act(n);
    }
}

static void accept_all(struct bus_node *n) {
    int fd;
    while ((fd = accept4(n->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct node_ip ip = node_ip_make(LIT("127.0.0.1"));
        link_add(n, fd, cluster_link_accepted(&n->rules, ip, ip, now_ms()));
    }
}

static void read_some(struct bus_node *n, struct socket_link *l) {
    ssize_t got = recv(l->fd, buf_reserve(&l->in, 65536), 65536, MSG_DONTWAIT);
    if (got <= 0) {
        uint64_t link = l->link;
        link_end(l);
        cluster_link_closed(&n->rules, link, now_ms());
        act(n);
        return;
    }
    l->in.len += (size_t)got;
    size_t length;
    uint64_t link = l->link;
    while (l->fd >= 0 && l->link == link && message_frame(buf_slice(&l->in), &length) == FRAME_READY) {
        cluster_receive(&n->rules, link, slice_make(l->in.ptr, length), now_ms());
        act(n);
        buf_drop_front(&l->in, length);
    }
    if (n->rules.refused) HARNESS_FAIL("a packet of redis-server was refused");
}

/* One turn of at most a few milliseconds; always true, for conditions. */
static bool turn(struct bus_node *n) {
    struct pollfd fds[LINKS_MAX];
    accept_all(n);
    for (size_t i = 0; i < LINKS_MAX; i++) fds[i] = (struct pollfd){ .fd = n->links[i].fd, .events = POLLIN };
    poll(fds, LINKS_MAX, 2);
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (fds[i].revents && n->links[i].fd == fds[i].fd) read_some(n, &n->links[i]);
    if (now_ms() - n->ticked_ms >= CLUSTER_TICK_MS) {
        n->ticked_ms = now_ms();
        cluster_tick(&n->rules, now_ms());
        act(n);
    }
    cluster_state_check(&n->rules.state);
    return true;
}

/* The condition holds at last, while the node lives. */
#define assert_soon_at(node, condition) assert_soon(turn(node) && (condition))

static void node_open(struct bus_node *n, char letter) {
    struct cluster_state state;
    struct node_id id;
    struct cluster_settings settings = cluster_settings_default;
    struct cluster_hooks hooks = {
        hook_random, hook_offset, hook_data_age, hook_has_keys, hook_published, n
    };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    memset(n, 0, sizeof *n);
    for (size_t i = 0; i < LINKS_MAX; i++) n->links[i].fd = -1;
    n->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(n->listener, (struct sockaddr *)&at, sizeof at) || listen(n->listener, 16) ||
        getsockname(n->listener, (struct sockaddr *)&at, &size))
        HARNESS_FAIL("cannot listen");
    memset(id.text, letter, sizeof id.text);
    cluster_state_init(&state, &id, &id, now_ms());
    settings.node_timeout_ms = NODE_TIMEOUT_MS;
    settings.cport = ntohs(at.sin_port);
    settings.port = 1;
    cluster_init(&n->rules, &state, &settings, &hooks, now_ms());
    act(n);
}

static void node_close(struct bus_node *n) {
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (n->links[i].fd >= 0) link_end(&n->links[i]);
        buf_release(&n->links[i].in);
    }
    close(n->listener);
    buf_release(&n->saved);
    cluster_release(&n->rules);
}

static void add_slots(struct bus_node *n, unsigned first, unsigned last) {
    struct slot_set slots = { { 0 } };
    for (unsigned slot = first; slot <= last; slot++) slot_set_add(&slots, slot);
    assert_null(cluster_add_slots(&n->rules, &slots, now_ms()));
    act(n);
}

/* ---- redis-server beside it ---- */

struct neighbour {
    struct cnode node;
    struct node_id id;
};

static void neighbour_open(struct neighbour *r, const char *slots) {
    static const char *const args[] = { "--cluster-node-timeout", NODE_TIMEOUT,
                                        "--cluster-allow-replica-migration", "no", NULL };
    char command[64];
    r->node = cnode_start(PEER_REDIS, args);
    assert_true(node_id_parse(slice_of(r->node.id), &r->id));
    if (!slots) return;
    snprintf(command, sizeof command, "CLUSTER ADDSLOTSRANGE %s", slots);
    assert_reply(r->node.client, command, "+OK");
}

static void neighbour_close(struct neighbour *r) { cnode_end(&r->node); }

static struct cluster_node *seen(struct bus_node *n, const struct neighbour *r) {
    return cluster_node_find(&n->rules.state, &r->id);
}

static void meet(struct bus_node *n, struct neighbour *r) {
    assert_null(cluster_meet(&n->rules, LIT("127.0.0.1"), (uint16_t)server_port(r->node.server),
                             (uint16_t)r->node.bus_port, now_ms()));
    act(n);
    assert_soon_at(n, seen(n, r) && seen(n, r)->inbound && seen(n, r)->link_answered);
}

static bool says(struct neighbour *r, const char *command, const char *part) {
    return cnode_says(&r->node, command, part);
}

/* "<id> 127.0.0.1:1@..." and so on, as far as it does not change. */
static bool lists(struct neighbour *r, const struct bus_node *n, const char *rest) {
    char line[160];
    snprintf(line, sizeof line, "%.*s 127.0.0.1:1@%u %s", NODE_ID_ARG(&n->rules.state.self->id),
             n->rules.state.self->cport, rest);
    return says(r, "CLUSTER NODES", line);
}

/* ---- tests ---- */

static void two_servers_and_the_rules_are_one_cluster(void **state) {
    (void)state;
    struct bus_node n;
    struct neighbour one, two;
    node_open(&n, 'f');
    neighbour_open(&one, "0 5000");
    neighbour_open(&two, "5001 10000");
    add_slots(&n, 10001, 16383);
    meet(&n, &one);
    meet(&n, &two); /* the two hear of each other from the rules */
    assert_soon_at(&n, n.rules.is_sound);
    assert_soon_at(&n, says(&one, "CLUSTER INFO", "cluster_state:ok"));
    assert_soon_at(&n, says(&two, "CLUSTER INFO", "cluster_known_nodes:3"));
    assert_soon_at(&n, lists(&two, &n, "master"));
    assert_int_equal(seen(&n, &one)->slot_count, 5001);
    assert_true(n.rules.state.owners[5001] == seen(&n, &two));
    /* Their epochs were all 0; each has one of its own in the end. */
    assert_soon_at(&n, seen(&n, &one)->config_epoch != seen(&n, &two)->config_epoch &&
                           seen(&n, &one)->config_epoch != n.rules.state.self->config_epoch &&
                           seen(&n, &two)->config_epoch != n.rules.state.self->config_epoch);
    node_close(&n);
    neighbour_close(&one);
    neighbour_close(&two);
}

static void the_rules_help_to_replace_a_dead_primary(void **state) {
    (void)state;
    struct bus_node n;
    struct neighbour dies, lives, replica;
    char command[64];
    node_open(&n, 'f');
    neighbour_open(&dies, "0 5000");
    neighbour_open(&lives, "5001 10000");
    neighbour_open(&replica, NULL);
    add_slots(&n, 10001, 16383);
    meet(&n, &dies);
    meet(&n, &lives);
    meet(&n, &replica);
    assert_soon_at(&n, says(&replica, "CLUSTER INFO", "cluster_known_nodes:4"));
    snprintf(command, sizeof command, "CLUSTER REPLICATE %.*s", NODE_ID_ARG(&dies.id));
    assert_soon_at(&n, strcmp(client_ask(replica.node.client, "%s", command), "+OK") == 0);
    assert_soon_at(&n, says(&replica, "INFO replication", "master_link_status:up"));
    assert_soon_at(&n, n.rules.is_sound && seen(&n, &replica)->primary == seen(&n, &dies));
    cnode_kill(&dies.node);
    assert_soon_at(&n, node_is_failed(seen(&n, &dies)));
    assert_soon_at(&n, n.rules.state.owners[0] == seen(&n, &replica) && n.rules.is_sound);
    assert_true(n.rules.state.last_vote_epoch > 0 && n.rules.sent[MESSAGE_AUTH_ACK] == 1);
    assert_true(seen(&n, &replica)->config_epoch == n.rules.state.last_vote_epoch);
    node_close(&n);
    neighbour_close(&dies);
    neighbour_close(&lives);
    neighbour_close(&replica);
}

static void servers_elect_a_replica_that_is_made_of_rules(void **state) {
    (void)state;
    struct bus_node n;
    struct neighbour one, two;
    char rest[80];
    node_open(&n, 'f');
    neighbour_open(&one, "0 8000");
    neighbour_open(&two, "8001 16383");
    meet(&n, &one);
    meet(&n, &two);
    assert_soon_at(&n, says(&two, "CLUSTER INFO", "cluster_state:ok") && n.rules.is_sound);
    assert_null(cluster_replicate(&n.rules, &one.id, true, now_ms()));
    act(&n);
    snprintf(rest, sizeof rest, "slave %.*s", NODE_ID_ARG(&one.id));
    assert_soon_at(&n, lists(&one, &n, rest) && lists(&two, &n, rest));
    assert_null(cluster_failover(&n.rules, FAILOVER_FORCE, now_ms()));
    act(&n);
    assert_soon_at(&n, n.leads);
    assert_int_equal(n.rules.state.self->slot_count, 8001);
    assert_soon_at(&n, lists(&two, &n, "master") && says(&two, "CLUSTER NODES", "connected 0-8000"));
    snprintf(rest, sizeof rest, "myself,slave %.*s", NODE_ID_ARG(&n.rules.state.self->id));
    assert_soon_at(&n, says(&one, "CLUSTER NODES", rest));
    node_close(&n);
    neighbour_close(&one);
    neighbour_close(&two);
}

static void read_file(const char *path, struct buf *out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, buf_reserve(out, 65536), 65536);
    if (got < 0) HARNESS_FAIL("cannot read %s", path);
    out->len += (size_t)got;
    close(fd);
}

static void write_file(const char *path, struct slice text) {
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0 || write(fd, text.ptr, text.len) != (ssize_t)text.len) HARNESS_FAIL("cannot write %s", path);
    close(fd);
}

static void each_reads_the_nodes_file_of_the_other(void **state) {
    (void)state;
    struct bus_node n;
    struct neighbour r;
    struct buf theirs = { 0 }, ours = { 0 }, error = { 0 };
    struct cluster_state s;
    node_open(&n, 'f');
    neighbour_open(&r, "0 8000");
    meet(&n, &r);
    assert_soon_at(&n, lists(&r, &n, "master"));
    assert_reply(r.node.client, "CLUSTER SAVECONFIG", "+OK");
    char path[256];
    snprintf(path, sizeof path, "%s", server_path(r.node.server, "nodes.conf"));
    read_file(path, &theirs);
    assert_true(nodes_file_read(&s, buf_slice(&theirs), (struct nodes_file_rules){ 0 }, now_ms(), &error));
    cluster_state_check(&s);
    assert_true(node_id_equal(&s.self->id, &r.id) && s.node_count == 2 && s.self->slot_count == 8001);
    nodes_file_write(&ours, &s, (struct nodes_file_rules){ 0 });
    server_stop(r.node.server);
    write_file(path, buf_slice(&ours));
    cnode_restart(&r.node);
    assert_true(says(&r, "CLUSTER NODES", "myself,master"));
    assert_true(says(&r, "CLUSTER NODES", "connected 0-8000"));
    assert_true(says(&r, "CLUSTER INFO", "cluster_known_nodes:2"));
    assert_soon_at(&n, seen(&n, &r)->link_answered && seen(&n, &r)->inbound);
    cluster_state_release(&s);
    buf_release(&theirs);
    buf_release(&ours);
    buf_release(&error);
    node_close(&n);
    neighbour_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_servers_and_the_rules_are_one_cluster),
        cmocka_unit_test(the_rules_help_to_replace_a_dead_primary),
        cmocka_unit_test(servers_elect_a_replica_that_is_made_of_rules),
        cmocka_unit_test(each_reads_the_nodes_file_of_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
