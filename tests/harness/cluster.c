/* cluster.c: see cluster.h. */
#include "cluster.h"
#include "check.h"
#include "fail.h"
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define CREATED_CONF "cluster-node-timeout 3000\n" /* of those that redis-cli makes a cluster */
#define HOPS_MAX 5

/* ---- one node ---- */

struct cnode cnode_launch(enum peer kind, const struct server_plan *plan) {
    struct cnode n = { .bus_port = server_free_port() };
    struct server_plan own = *plan;
    char conf[256];
    snprintf(conf, sizeof conf, "cluster-enabled yes\ncluster-port %d\n%s", n.bus_port,
             plan->conf ? plan->conf : "");
    own.conf = conf;
    own.tcp = true;
    n.server = peer_launch(kind, &own);
    n.client = server_connect(n.server);
    struct node *id = client_ask_node(n.client, "CLUSTER MYID");
    assert_int_equal(id->bytes.len, NODE_NAME_SIZE - 1);
    memcpy(n.id, text_str(&id->bytes), NODE_NAME_SIZE);
    node_free(id);
    return n;
}

struct cnode cnode_start(enum peer kind, const char *const *args) {
    return cnode_launch(kind, &(struct server_plan){ .args = args });
}

int cnode_port(const struct cnode *n) {
    int tls_port = server_tls_port(n->server);
    return tls_port ? tls_port : server_port(n->server);
}

static void lose_client(struct cnode *n) {
    client_close(n->client);
    n->client = NULL;
}

void cnode_end(struct cnode *n) {
    lose_client(n);
    server_free(n->server);
}

void cnode_kill(struct cnode *n) {
    lose_client(n);
    server_kill(n->server);
}

void cnode_restart(struct cnode *n) {
    lose_client(n);
    server_restart(n->server);
    n->client = server_connect(n->server);
}

bool cnode_says(const struct cnode *n, const char *command, const char *part) {
    return n->client && strstr(client_ask(n->client, "%s", command), part) != NULL;
}

bool cnode_is_up(const struct cnode *n) { return cnode_says(n, "CLUSTER INFO", "cluster_state:ok"); }

bool cnode_is_primary(const struct cnode *n) { return cnode_says(n, "CLUSTER NODES", "myself,master"); }

bool cnode_is_linked_replica(const struct cnode *n) {
    return cnode_says(n, "INFO replication", "role:slave") &&
           cnode_says(n, "INFO replication", "master_link_status:up");
}

bool cnode_is_linked_replica_of(const struct cnode *n, const struct cnode *primary) {
    char line[80];
    snprintf(line, sizeof line, "myself,slave %s ", primary->id);
    return cnode_says(n, "CLUSTER NODES", line) && cnode_is_linked_replica(n);
}

bool cnode_knows(const struct cnode *n, const struct cnode *other) {
    return cnode_says(n, "CLUSTER NODES", other->id) && !cnode_says(n, "CLUSTER NODES", "handshake");
}

bool cnode_has_flags(const struct cnode *n, const struct cnode *other, const char *flags) {
    const char *line = strstr(client_ask(n->client, "CLUSTER NODES"), other->id);
    /* The name may stand in a replica's line as its primary first. */
    while (line && !(line[40] == ' ' && line[41] == '1')) line = strstr(line + 40, other->id);
    const char *at = line ? strchr(line + 41, ' ') : NULL;
    return at && strncmp(at + 1, flags, strlen(flags)) == 0 && at[1 + strlen(flags)] == ' ';
}

void cnode_take_all_slots(struct cnode *n) {
    assert_reply(n->client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    assert_soon(cnode_is_up(n));
}

void cnode_await_meeting(const struct cnode *a, const struct cnode *b) {
    assert_soon(cnode_knows(a, b));
    assert_soon(cnode_knows(b, a));
}

void cnode_meet(struct cnode *a, struct cnode *b) {
    const char *met = client_ask(a->client, "CLUSTER MEET 127.0.0.1 %d %d", cnode_port(b), b->bus_port);
    assert_string_equal(met, "+OK");
    cnode_await_meeting(a, b);
}

void cnode_replicate(struct cnode *replica, const struct cnode *primary) {
    char command[80];
    snprintf(command, sizeof command, "CLUSTER REPLICATE %s", primary->id);
    assert_reply_soon(replica->client, command, "+OK");
}

void cnode_follow(struct cnode *replica, const struct cnode *primary) {
    char line[64];
    cnode_replicate(replica, primary);
    replication_await_link(replica->server);
    snprintf(line, sizeof line, "port=%d,state=online", server_port(replica->server));
    assert_soon(cnode_says(primary, "INFO replication", line));
}

void cnode_pair(struct cnode *primary, struct cnode *replica) {
    cnode_take_all_slots(primary);
    cnode_meet(primary, replica);
    cnode_follow(replica, primary);
    assert_soon(cnode_is_up(replica));
    assert_soon(cnode_has_flags(primary, replica, "slave"));
}

void cnode_await_same(struct cnode *a, struct cnode *b) {
    char digest[64];
    snprintf(digest, sizeof digest, "%s", client_ask(a->client, "DEBUG DIGEST"));
    assert_reply_soon(b->client, "DEBUG DIGEST", digest);
}

/* ---- several ---- */

static int port_of(const struct nodes *n, size_t node) { return cnode_port(&n->at[node]); }

static const char *options_of(const struct nodes *n) { return n->cli_options ? n->cli_options : ""; }

size_t nodes_add(struct nodes *n, enum peer kind) {
    assert_true(n->count < NODES_MAX);
    size_t i = n->count++;
    n->at[i] = cnode_launch(kind, &(struct server_plan){ .conf = CREATED_CONF });
    return i;
}

void nodes_start(struct nodes *n, const enum peer *kinds, size_t count) {
    *n = (struct nodes){ 0 };
    for (size_t i = 0; i < count; i++) nodes_add(n, kinds[i]);
}

void nodes_start_cluster(struct nodes *n, enum peer kind, size_t count, int replicas) {
    *n = (struct nodes){ 0 };
    for (size_t i = 0; i < count; i++) nodes_add(n, kind);
    nodes_create(n, replicas);
}

void nodes_end(struct nodes *n) {
    for (size_t i = 0; i < n->count; i++) cnode_end(&n->at[i]);
}

void nodes_create(struct nodes *n, int replicas) {
    struct text addresses = { 0 };
    for (size_t i = 0; i < n->count; i++) text_printf(&addresses, "127.0.0.1:%d ", port_of(n, i));
    assert_cli("create %s --cluster-replicas %d --cluster-yes %s", text_str(&addresses), replicas,
               options_of(n));
    text_release(&addresses);
    assert_soon(nodes_are_up(n) && nodes_know_each_other(n));
    assert_soon(nodes_linked_replicas(n) * (size_t)(replicas + 1) == n->count * (size_t)replicas);
}

static bool knows_all(const struct nodes *n, size_t node) {
    char known[64];
    snprintf(known, sizeof known, "cluster_known_nodes:%zu\\r", n->count);
    if (!cnode_says(&n->at[node], "CLUSTER INFO", known)) return false;
    const char *list = client_ask(n->at[node].client, "CLUSTER NODES");
    for (size_t i = 0; i < n->count; i++)
        if (!strstr(list, n->at[i].id)) return false;
    return !strstr(list, "handshake");
}

bool nodes_know_each_other(const struct nodes *n) {
    for (size_t i = 0; i < n->count; i++)
        if (!knows_all(n, i)) return false;
    return true;
}

bool nodes_are_up(const struct nodes *n) {
    for (size_t i = 0; i < n->count; i++)
        if (n->at[i].client && !cnode_is_up(&n->at[i])) return false;
    return true;
}

bool nodes_agree(const struct nodes *n, size_t node) {
    struct text said = { 0 };
    bool agree = cluster_cli(&said, "check 127.0.0.1:%d %s", port_of(n, node), options_of(n)) == 0;
    text_release(&said);
    return agree;
}

size_t nodes_linked_replicas(const struct nodes *n) {
    size_t count = 0;
    for (size_t i = 0; i < n->count; i++) count += cnode_is_linked_replica(&n->at[i]);
    return count;
}

size_t nodes_replica_of(const struct nodes *n, size_t primary) {
    char line[80];
    snprintf(line, sizeof line, "myself,slave %s", n->at[primary].id);
    for (size_t i = 0; i < n->count; i++)
        if (cnode_says(&n->at[i], "CLUSTER NODES", line)) return i;
    fail_msg("it has no replica");
    return 0;
}

size_t nodes_slots_of(const struct nodes *n, size_t node) {
    size_t count = 0;
    struct node *slots = client_ask_node(n->at[node].client, "CLUSTER SLOTS");
    for (size_t i = 0; i < slots->count; i++) {
        struct node **range = slots->items[i]->items;
        bool own = strcmp(text_str(&range[2]->items[2]->bytes), n->at[node].id) == 0;
        if (own) count += (size_t)(range[1]->number - range[0]->number + 1);
    }
    node_free(slots);
    return count;
}

void nodes_move_slots(struct nodes *n, size_t from, size_t to, int count) {
    assert_cli("reshard 127.0.0.1:%d --cluster-from %s --cluster-to %s --cluster-slots %d --cluster-yes %s",
               port_of(n, from), n->at[from].id, n->at[to].id, count, options_of(n));
}

/* ---- a client of clusters ---- */

static struct client *client_at(const struct nodes *n, const char *redirection) {
    int port = atoi(strrchr(redirection, ':') + 1);
    for (size_t i = 0; i < n->count; i++)
        if (port_of(n, i) == port) return n->at[i].client;
    HARNESS_FAIL("nobody has port %d", port);
}

const char *nodes_ask(struct nodes *n, const char *format, ...) {
    struct text command = { 0 };
    va_list args;
    va_start(args, format);
    text_vprintf(&command, format, args);
    va_end(args);
    size_t first = 0;
    while (!n->at[first].client) first++;
    const char *reply = client_ask(n->at[first].client, "%s", text_str(&command));
    for (int hops = 0; hops < HOPS_MAX; hops++) {
        bool asks = strncmp(reply, "-ASK ", 5) == 0;
        if (!asks && strncmp(reply, "-MOVED ", 7) != 0) break;
        struct client *next = client_at(n, reply);
        if (!next) break;
        if (asks) assert_reply(next, "ASKING", "+OK");
        reply = client_ask(next, "%s", text_str(&command));
    }
    text_release(&command);
    return reply;
}

void nodes_write_keys(struct nodes *n, int count) {
    for (int i = 0; i < count; i++) assert_string_equal(nodes_ask(n, "SET key:%d value:%d", i, i), "+OK");
}

void nodes_assert_keys(struct nodes *n, int count) {
    char expected[64];
    for (int i = 0; i < count; i++) {
        snprintf(expected, sizeof expected, "$\"value:%d\"", i);
        assert_string_equal(nodes_ask(n, "GET key:%d", i), expected);
    }
}

/* ---- redis-cli --cluster ---- */

static int run(const char *command, struct text *said) {
    char line[512];
    FILE *pipe = popen(command, "r");
    if (!pipe) HARNESS_FAIL("cannot run %s", command);
    while (fgets(line, sizeof line, pipe)) text_append_str(said, line);
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int cluster_cli(struct text *said, const char *format, ...) {
    struct text command = { 0 }, own = { 0 };
    va_list args;
    text_append_str(&command, "yes yes 2>/dev/null | timeout 240 redis-cli --cluster ");
    va_start(args, format);
    text_vprintf(&command, format, args);
    va_end(args);
    text_append_str(&command, " 2>&1");
    if (said) text_clear(said);
    int status = run(text_str(&command), said ? said : &own);
    size_t skipped = own.len > 4096 ? own.len - 4096 : 0;
    if (!said && status != 0) printf("%s\n%s\n", text_str(&command), text_str(&own) + skipped);
    text_release(&command);
    text_release(&own);
    return status;
}
