/* fleet.c: see fleet.h. */
#include "fleet.h"
#include "../harness/check.h"
#include "../harness/fail.h"
#include "trivet/base/crc16.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SLOTS 16384

/* ---- starting ---- */

static struct server *start_node(const struct fleet *g, size_t i, const struct fleet_plan *plan) {
    char bus[16], inlet[16], bus_inlet[16], timeout[16];
    const char *args[64] = { "--cluster-enabled",
                             "yes",
                             "--cluster-port",
                             bus,
                             "--cluster-announce-ip",
                             "127.0.0.1",
                             "--cluster-announce-port",
                             inlet,
                             "--cluster-announce-bus-port",
                             bus_inlet,
                             "--cluster-node-timeout",
                             timeout,
                             "--repl-diskless-sync-delay",
                             "0",
                             "--repl-ping-replica-period",
                             "1" };
    size_t count = 16;
    int bus_port = server_free_port();
    snprintf(bus, sizeof bus, "%d", bus_port);
    snprintf(inlet, sizeof inlet, "%d", network_port(g->network, i, INLET_CLIENTS));
    snprintf(bus_inlet, sizeof bus_inlet, "%d", network_port(g->network, i, INLET_BUS));
    snprintf(timeout, sizeof timeout, "%d", NODE_TIMEOUT_MS);
    for (size_t k = 0; plan->args && plan->args[k]; k++) args[count++] = plan->args[k];
    struct server *s = peer_start(plan->kinds[i], args);
    network_place(g->network, i, server_port(s), bus_port);
    return s;
}

static void learn_id(struct fleet *g, size_t i) {
    struct node *id = client_ask_node(g->client[i], "CLUSTER MYID");
    if (id->bytes.len != 40) HARNESS_FAIL("CLUSTER MYID has %zu bytes", id->bytes.len);
    snprintf(g->id[i], sizeof g->id[i], "%s", text_str(&id->bytes));
    node_free(id);
    network_name(g->network, i, g->id[i]);
}

static bool all_know_all(struct fleet *g) {
    char known[64];
    snprintf(known, sizeof known, "cluster_known_nodes:%zu\\r", g->count);
    for (size_t i = 0; i < g->count; i++) {
        if (!fleet_says(g, i, "CLUSTER INFO", known) || fleet_says(g, i, "CLUSTER NODES", "handshake"))
            return false;
        for (size_t k = 0; k < g->count; k++)
            if (!fleet_says(g, i, "CLUSTER NODES", g->id[k])) return false;
    }
    return true;
}

static size_t first_slot(const struct fleet *g, size_t primary) { return SLOTS * primary / g->primaries; }

static void give_slots(struct fleet *g) {
    char command[96];
    for (size_t i = 0; i < g->primaries; i++) {
        snprintf(command, sizeof command, "CLUSTER ADDSLOTSRANGE %zu %zu", first_slot(g, i),
                 first_slot(g, i + 1) - 1);
        assert_reply(g->client[i], command, "+OK");
        snprintf(command, sizeof command, "CLUSTER SET-CONFIG-EPOCH %zu", i + 1);
        assert_reply(g->client[i], command, "+OK");
    }
}

static void introduce(struct fleet *g) {
    char command[96];
    for (size_t i = 1; i < g->count; i++) {
        snprintf(command, sizeof command, "CLUSTER MEET 127.0.0.1 %d %d",
                 network_port(g->network, 0, INLET_CLIENTS), network_port(g->network, 0, INLET_BUS));
        assert_reply(g->client[i], command, "+OK");
    }
    assert_soon(all_know_all(g));
}

/* Every node knows of each replica that it is one. */
static bool all_know_replicas(struct fleet *g) {
    for (size_t i = 0; i < g->count; i++)
        for (size_t replica = g->primaries; replica < g->count; replica++)
            if (!fleet_has_flags(g, i, replica, i == replica ? "myself,slave" : "slave")) return false;
    return true;
}

static void give_replicas(struct fleet *g) {
    char command[96];
    for (size_t i = g->primaries; i < g->count; i++) {
        snprintf(command, sizeof command, "CLUSTER REPLICATE %s", g->id[i - g->primaries]);
        assert_reply_soon(g->client[i], command, "+OK");
    }
    assert_soon(fleet_are_well(g) && all_know_replicas(g));
}

void fleet_start(struct fleet *g, const struct fleet_plan *plan) {
    *g = (struct fleet){ .primaries = plan->primaries, .count = plan->count };
    g->network = network_start(plan->count);
    for (size_t i = 0; i < g->count; i++) {
        g->server[i] = start_node(g, i, plan);
        g->client[i] = server_connect(g->server[i]);
        learn_id(g, i);
    }
    give_slots(g);
    introduce(g);
    give_replicas(g);
}

void fleet_end(struct fleet *g) {
    for (size_t i = 0; i < g->count; i++) {
        client_close(g->client[i]);
        server_free(g->server[i]);
    }
    network_stop(g->network);
}

/* ---- looking ---- */

bool fleet_says(struct fleet *g, size_t i, const char *command, const char *part) {
    return g->client[i] && strstr(client_ask(g->client[i], "%s", command), part) != NULL;
}

bool fleet_is_primary(struct fleet *g, size_t i) {
    return fleet_says(g, i, "CLUSTER NODES", "myself,master");
}

bool fleet_is_linked_replica(struct fleet *g, size_t i, size_t primary) {
    char line[80];
    snprintf(line, sizeof line, "myself,slave %s ", g->id[primary]);
    return fleet_says(g, i, "CLUSTER NODES", line) &&
           fleet_says(g, i, "INFO replication", "master_link_status:up");
}

bool fleet_has_flags(struct fleet *g, size_t i, size_t other, const char *flags) {
    const char *line = strstr(client_ask(g->client[i], "CLUSTER NODES"), g->id[other]);
    /* The name may stand in a replica's line as its primary first. */
    while (line && !(line[40] == ' ' && line[41] == '1')) line = strstr(line + 40, g->id[other]);
    const char *at = line ? strchr(line + 41, ' ') : NULL;
    return at && strncmp(at + 1, flags, strlen(flags)) == 0 && at[1 + strlen(flags)] == ' ';
}

bool fleet_are_sound(struct fleet *g) {
    for (size_t i = 0; i < g->count; i++)
        if (!fleet_says(g, i, "CLUSTER INFO", "cluster_state:ok")) return false;
    return true;
}

static bool has_a_place(struct fleet *g, size_t i) {
    return fleet_is_primary(g, i) || fleet_says(g, i, "INFO replication", "master_link_status:up");
}

/* True if redis-cli --cluster check is content. */
static bool redis_cli_agrees(struct fleet *g, struct text *said) {
    char command[128], line[512];
    snprintf(command, sizeof command, "timeout 60 redis-cli --cluster check 127.0.0.1:%d 2>&1",
             server_port(g->server[0]));
    FILE *pipe = popen(command, "r");
    if (!pipe) HARNESS_FAIL("cannot run %s", command);
    text_clear(said);
    while (fgets(line, sizeof line, pipe)) text_append_str(said, line);
    return pclose(pipe) == 0;
}

static bool look(struct fleet *g, struct text *said) {
    for (size_t i = 0; i < g->count; i++) {
        if (fleet_says(g, i, "CLUSTER INFO", "cluster_state:ok") && has_a_place(g, i) &&
            !fleet_says(g, i, "CLUSTER NODES", " disconnected"))
            continue;
        text_clear(said);
        text_printf(said, "node %zu: %s\n", i,
                    g->client[i] ? client_ask(g->client[i], "CLUSTER NODES") : "does not run");
        return false;
    }
    return redis_cli_agrees(g, said);
}

bool fleet_are_well(struct fleet *g) {
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

size_t fleet_at_port(const struct fleet *g, int port) {
    for (size_t i = 0; i < g->count; i++)
        if (network_port(g->network, i, INLET_CLIENTS) == port) return i;
    return g->count;
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

static void lose_client(struct fleet *g, size_t i) {
    client_close(g->client[i]);
    g->client[i] = NULL;
}

void fleet_kill(struct fleet *g, size_t i) {
    lose_client(g, i);
    server_kill(g->server[i]);
}

void fleet_restart(struct fleet *g, size_t i) {
    server_restart(g->server[i]);
    g->client[i] = server_connect(g->server[i]);
}

void fleet_freeze(struct fleet *g, size_t i) {
    lose_client(g, i);
    if (kill(server_pid(g->server[i]), SIGSTOP) != 0) HARNESS_FAIL("cannot stop node %zu", i);
}

void fleet_thaw(struct fleet *g, size_t i) {
    if (kill(server_pid(g->server[i]), SIGCONT) != 0) HARNESS_FAIL("cannot wake node %zu", i);
    g->client[i] = server_connect(g->server[i]);
}
