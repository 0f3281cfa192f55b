/* sentinels.c: see sentinels.h. */
#include "sentinels.h"
#include "../harness/check.h"
#include "../harness/fail.h"
#include "rounds.h"
#include <stdio.h>
#include <stdlib.h>

#define SENTINELS 3
#define QUORUM 2
#define PATIENCE_MS 90000
#define PAUSE_US 20000
#ifdef TRIVET_SANITIZE
#define DOWN_AFTER_MS 8000
#else
#define DOWN_AFTER_MS                                                                     \
    3000 /* their links are cut when roles change, and they wait a second before the next \
          */
#endif

static struct server *sentinels[SENTINELS];

void sentinels_start(const struct fleet *f) {
    static const char *const args[] = { "--sentinel", NULL };
    char conf[512];
    int port = server_port(f->nodes[f->primary].server);
    snprintf(conf, sizeof conf,
             "sentinel monitor fleet 127.0.0.1 %d %d\nsentinel down-after-milliseconds fleet %d\n"
             "sentinel failover-timeout fleet %d\nsentinel parallel-syncs fleet %d\n",
             port, QUORUM, DOWN_AFTER_MS, 10 * DOWN_AFTER_MS, NODES);
    for (int i = 0; i < SENTINELS; i++) {
        struct server_plan plan = { .program = "redis-server",
                                    .conf = conf,
                                    .args = args,
                                    .tcp = true,
                                    .port = fleet_port(),
                                    .bare = true };
        sentinels[i] = server_launch(&plan);
    }
    sentinels_await_calm(f);
}

void sentinels_free(void) {
    for (int i = 0; i < SENTINELS; i++) server_free(sentinels[i]);
}

/* ---- what they say ---- */

static bool field_is(const struct node *fields, const char *name, const char *wanted) {
    const struct node *value = node_lookup(fields, name);
    return value && strcmp(text_str(&value->bytes), wanted) == 0;
}

static struct node *ask(int sentinel, const char *command) {
    struct client *c = server_connect(sentinels[sentinel]);
    struct node *reply = client_ask_node(c, "%s", command);
    client_close(c);
    return reply;
}

static bool names_primary(int sentinel, const struct fleet *f, int node) {
    char port[16];
    snprintf(port, sizeof port, "%d", server_port(f->nodes[node].server));
    struct node *reply = ask(sentinel, "SENTINEL get-master-addr-by-name fleet");
    bool same = reply->count == 2 && strcmp(text_str(&reply->items[1]->bytes), port) == 0;
    node_free(reply);
    return same;
}

static bool is_calm(int sentinel, const struct fleet *f) {
    struct node *master = ask(sentinel, "SENTINEL master fleet");
    bool calm = names_primary(sentinel, f, f->primary) && field_is(master, "flags", "master") &&
                field_is(master, "num-slaves", "2") && field_is(master, "num-other-sentinels", "2");
    node_free(master);
    struct node *replicas = ask(sentinel, "SENTINEL replicas fleet");
    for (size_t i = 0; i < replicas->count; i++)
        calm = calm && field_is(replicas->items[i], "flags", "slave") &&
               field_is(replicas->items[i], "master-link-status", "ok");
    node_free(replicas);
    return calm;
}

/* ---- waiting ---- */

static NORETURN void give_up(const char *what) {
    struct text said = { 0 };
    for (int i = 0; i < SENTINELS; i++) {
        struct node *master = ask(i, "SENTINEL master fleet"), *replicas = ask(i, "SENTINEL replicas fleet");
        text_printf(&said, "\nsentinel %d: ", i);
        node_describe(master, &said);
        node_describe(replicas, &said);
        node_free(master);
        node_free(replicas);
    }
    HARNESS_FAIL("not within %d ms: %s%s", PATIENCE_MS, what, text_str(&said));
}

void sentinels_await_calm(const struct fleet *f) {
    for (int64_t began = now_ms(); now_ms() - began < PATIENCE_MS; nap(PAUSE_US)) {
        bool calm = true;
        for (int i = 0; i < SENTINELS; i++) calm = calm && is_calm(i, f);
        if (calm) return;
    }
    give_up("the sentinels think well of all nodes");
}

int sentinels_await_failover(const struct fleet *f, int old) {
    for (int64_t began = now_ms(); now_ms() - began < PATIENCE_MS; nap(PAUSE_US)) {
        for (int node = 0; node < NODES; node++) {
            int names = 0;
            for (int i = 0; i < SENTINELS; i++) names += names_primary(i, f, node);
            if (node == old || names < SENTINELS) continue;
            fleet_await_role(f, node, "master");
            return node;
        }
    }
    give_up("the sentinels make another node the primary");
}
