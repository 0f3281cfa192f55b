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

#define USUAL_TIMEOUT_MS "3000"
#define HOPS_MAX 5

/* ---- one node ---- */

struct server *peer_start_node(enum peer kind, const char *timeout_ms, const char *const *args,
                               int *bus_port) {
    int port = server_free_port();
    char conf[160];
    snprintf(conf, sizeof conf,
             "cluster-enabled yes\ncluster-port %d\ncluster-node-timeout %s\nrepl-diskless-sync-delay 0\n",
             port, timeout_ms);
    if (bus_port) *bus_port = port;
    return peer_start_with(kind, conf, args);
}

void peer_copy_id(struct client *c, const char *command, char id[NODE_NAME_SIZE]) {
    struct node *n = client_ask_node(c, "%s", command);
    assert_int_equal(n->bytes.len, NODE_NAME_SIZE - 1);
    memcpy(id, text_str(&n->bytes), NODE_NAME_SIZE);
    node_free(n);
}

bool peer_says(struct client *c, const char *command, const char *part) {
    return strstr(client_ask(c, "%s", command), part) != NULL;
}

bool peer_is_up(struct client *c) { return peer_says(c, "CLUSTER INFO", "cluster_state:ok"); }

bool peer_is_linked_replica(struct client *c) {
    return peer_says(c, "INFO replication", "role:slave") &&
           peer_says(c, "INFO replication", "master_link_status:up");
}

/* ---- several ---- */

size_t nodes_add(struct nodes *n, enum peer kind) {
    assert_true(n->count < NODES_MAX);
    size_t i = n->count++;
    n->server[i] = peer_start_node(kind, USUAL_TIMEOUT_MS, NULL, NULL);
    n->client[i] = server_connect(n->server[i]);
    return i;
}

void nodes_start(struct nodes *n, const enum peer *kinds, size_t count) {
    *n = (struct nodes){ .count = 0 };
    for (size_t i = 0; i < count; i++) nodes_add(n, kinds[i]);
}

void nodes_start_cluster(struct nodes *n, enum peer kind, size_t count, int replicas) {
    *n = (struct nodes){ .count = 0 };
    for (size_t i = 0; i < count; i++) nodes_add(n, kind);
    nodes_create(n, replicas);
}

void nodes_end(struct nodes *n) {
    for (size_t i = 0; i < n->count; i++) {
        client_close(n->client[i]);
        server_free(n->server[i]);
    }
}

void nodes_create(struct nodes *n, int replicas) {
    struct text addresses = { 0 };
    for (size_t i = 0; i < n->count; i++) text_printf(&addresses, "127.0.0.1:%d ", server_port(n->server[i]));
    assert_cli("create %s --cluster-replicas %d --cluster-yes", text_str(&addresses), replicas);
    text_release(&addresses);
    assert_soon(nodes_are_up(n));
    assert_soon(nodes_linked_replicas(n) * (size_t)(replicas + 1) == n->count * (size_t)replicas);
}

bool nodes_are_up(struct nodes *n) {
    for (size_t i = 0; i < n->count; i++)
        if (n->client[i] && !peer_is_up(n->client[i])) return false;
    return true;
}

bool nodes_agree(const struct nodes *n, size_t node) {
    struct text said = { 0 };
    bool agree = cluster_cli(&said, "check 127.0.0.1:%d", server_port(n->server[node])) == 0;
    text_release(&said);
    return agree;
}

size_t nodes_linked_replicas(struct nodes *n) {
    size_t count = 0;
    for (size_t i = 0; i < n->count; i++) count += n->client[i] && peer_is_linked_replica(n->client[i]);
    return count;
}

size_t nodes_replica_of(struct nodes *n, size_t primary) {
    char id[NODE_NAME_SIZE], line[80];
    peer_copy_id(n->client[primary], "CLUSTER MYID", id);
    snprintf(line, sizeof line, "myself,slave %s", id);
    for (size_t i = 0; i < n->count; i++)
        if (n->client[i] && peer_says(n->client[i], "CLUSTER NODES", line)) return i;
    fail_msg("it has no replica");
    return 0;
}

size_t nodes_slots_of(struct nodes *n, size_t node) {
    char id[NODE_NAME_SIZE];
    size_t count = 0;
    peer_copy_id(n->client[node], "CLUSTER MYID", id);
    struct node *slots = client_ask_node(n->client[node], "CLUSTER SLOTS");
    for (size_t i = 0; i < slots->count; i++) {
        struct node **range = slots->items[i]->items;
        bool own = strcmp(text_str(&range[2]->items[2]->bytes), id) == 0;
        if (own) count += (size_t)(range[1]->number - range[0]->number + 1);
    }
    node_free(slots);
    return count;
}

void nodes_kill(struct nodes *n, size_t node) {
    client_close(n->client[node]);
    n->client[node] = NULL;
    server_kill(n->server[node]);
}

void nodes_bring_back(struct nodes *n, size_t node) {
    server_restart(n->server[node]);
    n->client[node] = server_connect(n->server[node]);
}

void nodes_move_slots(struct nodes *n, size_t from, size_t to, int count) {
    char source[NODE_NAME_SIZE], target[NODE_NAME_SIZE];
    peer_copy_id(n->client[from], "CLUSTER MYID", source);
    peer_copy_id(n->client[to], "CLUSTER MYID", target);
    assert_cli("reshard 127.0.0.1:%d --cluster-from %s --cluster-to %s --cluster-slots %d --cluster-yes",
               server_port(n->server[from]), source, target, count);
}

/* ---- a client of clusters ---- */

static struct client *client_at(const struct nodes *n, const char *redirection) {
    int port = atoi(strrchr(redirection, ':') + 1);
    for (size_t i = 0; i < n->count; i++)
        if (server_port(n->server[i]) == port) return n->client[i];
    HARNESS_FAIL("nobody has port %d", port);
}

const char *nodes_ask(struct nodes *n, const char *format, ...) {
    struct text command = { 0 };
    va_list args;
    va_start(args, format);
    text_vprintf(&command, format, args);
    va_end(args);
    size_t first = 0;
    while (!n->client[first]) first++;
    const char *reply = client_ask(n->client[first], "%s", text_str(&command));
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
