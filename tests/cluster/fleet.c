/* fleet.c: see fleet.h. */
#include "fleet.h"
#include "../harness/check.h"
#include "../harness/fail.h"
#include "trivet/base/crc16.h"
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SLOTS 16384

/* ---- whether it is well ---- */

static bool is_well(const struct cnode *n) {
    return cnode_is_up(n) && (cnode_is_primary(n) || cnode_is_linked_replica(n)) &&
           !cnode_says(n, "CLUSTER NODES", " disconnected");
}

/* What is wrong is in `said`. */
static bool look(const struct fleet *g, struct text *said) {
    for (size_t i = 0; i < g->nodes.count; i++) {
        struct client *c = g->nodes.at[i].client;
        if (is_well(&g->nodes.at[i])) continue;
        text_clear(said);
        text_printf(said, "node %zu: %s\n", i, c ? client_ask(c, "CLUSTER NODES") : "does not run");
        return false;
    }
    return cluster_cli(said, "check 127.0.0.1:%d", server_port(g->nodes.at[0].server)) == 0;
}

static bool are_well(const struct fleet *g) {
    struct text said = { 0 };
    bool well = look(g, &said);
    text_release(&said);
    return well;
}

void fleet_assert_well(struct fleet *g) {
    struct text said = { 0 };
    int64_t until_ms = deadline_after(AWAIT_PATIENCE_MS);
    while (!look(g, &said)) {
        if (deadline_has_passed(until_ms)) HARNESS_FAIL("the cluster is not well: %s", text_str(&said));
        pause_ms(20);
    }
    text_release(&said);
}

/* ---- starting ---- */

static_assert(NETWORK_NODES >= NODES_MAX, "each node has its inlets");

static struct cnode start_node(const struct fleet *g, size_t i, const struct fleet_plan *plan) {
    char inlet[16], bus_inlet[16], timeout[16];
    const char *args[48] = { "--cluster-announce-ip",       "127.0.0.1", "--cluster-announce-port", inlet,
                             "--cluster-announce-bus-port", bus_inlet,   "--cluster-node-timeout",  timeout,
                             "--repl-ping-replica-period",  "1" };
    size_t count = 10;
    snprintf(inlet, sizeof inlet, "%d", network_port(g->network, i, INLET_CLIENTS));
    snprintf(bus_inlet, sizeof bus_inlet, "%d", network_port(g->network, i, INLET_BUS));
    snprintf(timeout, sizeof timeout, "%d", NODE_TIMEOUT_MS);
    for (size_t k = 0; plan->args && plan->args[k]; k++) args[count++] = plan->args[k];
    struct cnode n = cnode_start(plan->kinds[i], args);
    network_place(g->network, i, server_port(n.server), n.bus_port);
    network_name(g->network, i, n.id);
    return n;
}

static void set_timeouts(struct fleet *g, int ms) {
    char command[64];
    snprintf(command, sizeof command, "CONFIG SET cluster-node-timeout %d", ms);
    for (size_t i = 0; i < g->nodes.count; i++) assert_reply(g->nodes.at[i].client, command, "+OK");
}

static size_t first_slot(const struct fleet *g, size_t primary) { return SLOTS * primary / g->primaries; }

static void give_slots(struct fleet *g) {
    char command[96];
    for (size_t i = 0; i < g->primaries; i++) {
        snprintf(command, sizeof command, "CLUSTER ADDSLOTSRANGE %zu %zu", first_slot(g, i),
                 first_slot(g, i + 1) - 1);
        assert_reply(g->nodes.at[i].client, command, "+OK");
        snprintf(command, sizeof command, "CLUSTER SET-CONFIG-EPOCH %zu", i + 1);
        assert_reply(g->nodes.at[i].client, command, "+OK");
    }
}

static void introduce(struct fleet *g) {
    char command[96];
    for (size_t i = 1; i < g->nodes.count; i++) {
        snprintf(command, sizeof command, "CLUSTER MEET 127.0.0.1 %d %d",
                 network_port(g->network, 0, INLET_CLIENTS), network_port(g->network, 0, INLET_BUS));
        assert_reply(g->nodes.at[i].client, command, "+OK");
    }
    assert_soon(nodes_know_each_other(&g->nodes));
}

/* Every node knows of each replica that it is one. */
static bool all_know_replicas(const struct fleet *g) {
    const struct cnode *node = g->nodes.at;
    for (size_t i = 0; i < g->nodes.count; i++)
        for (size_t replica = g->primaries; replica < g->nodes.count; replica++)
            if (!cnode_has_flags(&node[i], &node[replica], i == replica ? "myself,slave" : "slave"))
                return false;
    return true;
}

static void give_replicas(struct fleet *g) {
    struct cnode *node = g->nodes.at;
    for (size_t i = g->primaries; i < g->nodes.count; i++) cnode_replicate(&node[i], &node[i - g->primaries]);
    assert_soon(are_well(g) && all_know_replicas(g));
}

void fleet_start(struct fleet *g, const struct fleet_plan *plan) {
    *g = (struct fleet){ .primaries = plan->primaries, .nodes.count = plan->count };
    g->network = network_start(plan->count);
    for (size_t i = 0; i < plan->count; i++) g->nodes.at[i] = start_node(g, i, plan);
    set_timeouts(g,
                 3 * NODE_TIMEOUT_MS); /* many servers that start at once have not the time to be punctual */
    give_slots(g);
    introduce(g);
    give_replicas(g);
    set_timeouts(g, NODE_TIMEOUT_MS);
}

void fleet_end(struct fleet *g) {
    nodes_end(&g->nodes);
    network_stop(g->network);
}

/* ---- keys and ports ---- */

size_t fleet_at_port(const struct fleet *g, int port) {
    for (size_t i = 0; i < g->nodes.count; i++)
        if (network_port(g->network, i, INLET_CLIENTS) == port) return i;
    return g->nodes.count;
}

void fleet_key(const struct fleet *g, size_t i, const char *prefix, char key[64]) {
    char tag[16];
    for (unsigned n = 0;; n++) {
        size_t len = (size_t)snprintf(tag, sizeof tag, "%u", n);
        size_t slot = crc16((struct slice){ tag, len }) % SLOTS;
        if (slot < first_slot(g, i) || slot >= first_slot(g, i + 1)) continue;
        snprintf(key, 64, "%s{%s}", prefix, tag);
        return;
    }
}

/* ---- doing ---- */

void fleet_freeze(struct fleet *g, size_t i) {
    struct cnode *n = &g->nodes.at[i];
    client_close(n->client);
    n->client = NULL;
    if (kill(server_pid(n->server), SIGSTOP) != 0) HARNESS_FAIL("cannot stop node %zu", i);
}

void fleet_thaw(struct fleet *g, size_t i) {
    struct cnode *n = &g->nodes.at[i];
    if (kill(server_pid(n->server), SIGCONT) != 0) HARNESS_FAIL("cannot wake node %zu", i);
    n->client = server_connect(n->server);
}
