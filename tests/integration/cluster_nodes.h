/* cluster_nodes.h: small clusters for tests: nodes on free ports of 127.0.0.1, introduced to each other by
 * hand. Thread: the test's. */
#ifndef TESTS_INTEGRATION_CLUSTER_NODES_H
#define TESTS_INTEGRATION_CLUSTER_NODES_H

#include "../harness/check.h"
#include "../harness/replication.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NODE_ARGUMENTS_MAX 24

struct cluster_node_under_test {
    struct server *server;
    struct client *client;
    char id[41];
    int bus_port;
};
#define cnode cluster_node_under_test

static inline void cnode_connect(struct cnode *n) {
    n->client = server_connect(n->server);
    struct node *id = client_ask_node(n->client, "CLUSTER MYID");
    assert_int_equal(id->bytes.len, 40);
    memcpy(n->id, id->bytes.ptr, 40);
    n->id[40] = '\0';
    node_free(id);
}

/* `more` are further arguments, ended by NULL; may be NULL. */
static inline struct cnode cnode_start(enum peer kind, const char *const *more) {
    struct cnode n = { .bus_port = server_free_port() };
    char port[16];
    snprintf(port, sizeof port, "%d", n.bus_port);
    const char *args[NODE_ARGUMENTS_MAX] = { "--cluster-enabled",      "yes",  "--cluster-port", port,
                                             "--cluster-node-timeout", "15000" };
    size_t count = 6;
    for (; more && *more; more++) {
        assert_true(count + 1 < NODE_ARGUMENTS_MAX);
        args[count++] = *more;
    }
    n.server = peer_start(kind, args);
    cnode_connect(&n);
    return n;
}
#define CNODE(...) cnode_start(PEER_TRIVET, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static inline void cnode_end(struct cnode *n) {
    client_close(n->client);
    server_free(n->server);
}

/* Is `part` in the reply? */
static inline bool cnode_says(struct cnode *n, const char *command, const char *part) {
    return strstr(client_ask(n->client, "%s", command), part) != NULL;
}

static inline bool cnode_is_up(struct cnode *n) { return cnode_says(n, "CLUSTER INFO", "cluster_state:ok"); }

static inline void cnode_take_all_slots(struct cnode *n) {
    assert_reply(n->client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    assert_soon(cnode_is_up(n));
}

/* Both know each other, by name and by their links. */
static inline void cnode_meet(struct cnode *a, struct cnode *b) {
    const char *met =
        client_ask(a->client, "CLUSTER MEET 127.0.0.1 %d %d", server_port(b->server), b->bus_port);
    assert_string_equal(met, "+OK");
    assert_soon(cnode_says(a, "CLUSTER NODES", b->id) && !cnode_says(a, "CLUSTER NODES", "handshake"));
    assert_soon(cnode_says(b, "CLUSTER NODES", a->id) && !cnode_says(b, "CLUSTER NODES", "handshake"));
}

/* Follows, has all that was written, and the primary has heard that: it waits for no others. */
static inline void cnode_follow(struct cnode *replica, struct cnode *primary) {
    assert_string_equal(client_ask(replica->client, "CLUSTER REPLICATE %s", primary->id), "+OK");
    replication_await_link(replica->server);
    char line[64];
    snprintf(line, sizeof line, "port=%d,state=online", server_port(replica->server));
    assert_soon(cnode_says(primary, "INFO replication", line));
}

/* Until both have the same data. Nobody may write. */
static inline void cnode_await_same(struct cnode *a, struct cnode *b) {
    char digest[64];
    snprintf(digest, sizeof digest, "%s", client_ask(a->client, "DEBUG DIGEST"));
    assert_reply_soon(b->client, "DEBUG DIGEST", digest);
}

/* A primary that serves all slots, and its replica. */
static inline void cnode_pair(struct cnode *primary, struct cnode *replica) {
    cnode_take_all_slots(primary);
    cnode_meet(primary, replica);
    cnode_follow(replica, primary);
    assert_soon(cnode_is_up(replica));
    char line[80];
    snprintf(line, sizeof line, "slave %s", primary->id);
    assert_soon(cnode_says(primary, "CLUSTER NODES", line));
}

#endif
