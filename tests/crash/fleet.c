/* fleet.c: see fleet.h. */
#include "fleet.h"
#include "../harness/check.h"
#include "../harness/fail.h"
#include "rounds.h"
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 90000
#define EXPIRY_PATIENCE_MS 20000 /* for keys that are past their time to go everywhere */
#define PAUSE_US 5000

/* ---- starting ---- */

/* Below the ports that the system gives to who connects: one of these may get a dead node's port, or a
 * replica that tries it its own. */
#define PORT_FIRST 20000
#define PORTS 12000

static bool is_free(int port) {
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) close(fd);
    return good;
}

int fleet_port(void) {
    static int next;
    if (next == 0) next = (int)getpid() * 37 % PORTS;
    for (int tries = 0; tries < PORTS; tries++) {
        next = (next + 1) % PORTS;
        if (is_free(PORT_FIRST + next)) return PORT_FIRST + next;
    }
    HARNESS_FAIL("no free port");
}

void fleet_start(struct fleet *f, const struct fleet_plan *plan) {
    *f = (struct fleet){ 0 };
    for (int i = 0; i < NODES; i++) {
        bool redis = plan->kinds[i] == 'r';
        const char *args[64] = { "--save", "", "--enable-debug-command", "yes" };
        size_t count = 4;
        if (!redis) {
            args[count++] = "--io-threads";
            args[count++] = "3";
        }
        for (const char *const *a = plan->args; *a && count < COUNT_OF(args) - 1; a++) args[count++] = *a;
        struct server_plan server = { .program = redis ? "redis-server" : NULL,
                                      .conf = "# a node\n",
                                      .args = args,
                                      .tcp = true,
                                      .port = fleet_port(),
                                      .bare = true };
        f->nodes[i] = (struct node_of_fleet){ server_launch(&server), redis, NODE_RUNS, i };
    }
    for (int i = 1; i < NODES; i++) fleet_follow(f, i, 0, false);
    fleet_await_links(f);
}

void fleet_free(struct fleet *f) {
    for (int i = 0; i < NODES; i++) {
        fleet_revive(f, i);
        server_free(f->nodes[i].server);
    }
}

struct client *fleet_connect(const struct fleet *f, int node) {
    return server_connect(f->nodes[node].server);
}

void fleet_tell(const struct fleet *f, int node, const char *command, const char *reply) {
    struct client *c = fleet_connect(f, node);
    assert_reply(c, command, reply);
    client_close(c);
}

bool fleet_is_redis(const struct fleet *f) {
    for (int i = 0; i < NODES; i++)
        if (f->nodes[i].is_redis) return true;
    return false;
}

/* ---- what happens to them ---- */

void fleet_kill(struct fleet *f, int node) {
    server_kill(f->nodes[node].server);
    f->nodes[node].state = NODE_DEAD;
}

void fleet_stop(struct fleet *f, int node) {
    int status;
    pid_t pid = server_pid(f->nodes[node].server);
    if (kill(pid, SIGSTOP) != 0 || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
        HARNESS_FAIL("node %d cannot be stopped", node);
    f->nodes[node].state = NODE_STOPPED;
}

void fleet_resume(struct fleet *f, int node) {
    if (kill(server_pid(f->nodes[node].server), SIGCONT) != 0)
        HARNESS_FAIL("node %d cannot be resumed", node);
    f->nodes[node].state = NODE_RUNS;
}

void fleet_revive(struct fleet *f, int node) {
    struct node_of_fleet *n = &f->nodes[node];
    if (n->state == NODE_STOPPED) fleet_resume(f, node);
    if (n->state == NODE_DEAD) server_restart(n->server);
    n->state = NODE_RUNS;
}

void fleet_follow(struct fleet *f, int node, int of, bool lasting) {
    struct client *c = fleet_connect(f, node);
    char command[64] = "REPLICAOF NO ONE";
    if (of != node)
        snprintf(command, sizeof command, "REPLICAOF 127.0.0.1 %d", server_port(f->nodes[of].server));
    const char *said = client_ask(c, "%s", command);
    for (int64_t began = now_ms(); strncmp(said, "-LOADING", 8) == 0; said = client_ask(c, "%s", command)) {
        if (now_ms() - began > PATIENCE_MS) HARNESS_FAIL("node %d loads for too long", node);
        nap(PAUSE_US);
    }
    if (!text_matches("+OK...", said)) HARNESS_FAIL("node %d to REPLICAOF: %s", node, said);
    if (lasting) assert_reply(c, "CONFIG REWRITE", "+OK");
    f->nodes[node].follows = of;
    client_close(c);
}

void fleet_promote(struct fleet *f, int node, bool lasting) {
    fleet_follow(f, node, node, lasting);
    f->primary = node;
}

/* ---- looking at them ---- */

static bool is_replica(const struct fleet *f, int node) {
    const struct node_of_fleet *n = &f->nodes[node];
    return n->state == NODE_RUNS && n->follows != node;
}

static int64_t own_offset(struct client *c) { return info_number(c, "replication", "master_repl_offset"); }
static int64_t read_offset(struct client *c) { return info_number(c, "replication", "slave_repl_offset"); }

int fleet_most_advanced(const struct fleet *f) {
    int best = -1;
    int64_t most = -1;
    for (int i = 0; i < NODES; i++) {
        if (!is_replica(f, i)) continue;
        struct client *c = fleet_connect(f, i);
        int64_t offset = read_offset(c);
        bool loads = info_number(c, "persistence", "loading") != 0;
        client_close(c);
        if (loads || offset <= most) continue;
        most = offset;
        best = i;
    }
    if (best < 0) HARNESS_FAIL("there is no replica to promote");
    return best;
}

static bool has_link(const struct fleet *f, int node) {
    struct client *c = fleet_connect(f, node);
    bool up = strcmp(info_field(c, "replication", "master_link_status"), "up") == 0;
    client_close(c);
    return up;
}

static bool all_linked(const struct fleet *f) {
    for (int i = 0; i < NODES; i++)
        if (is_replica(f, i) && !has_link(f, i)) return false;
    return true;
}

static bool all_orphaned(const struct fleet *f) {
    for (int i = 0; i < NODES; i++)
        if (is_replica(f, i) && f->nodes[i].follows == f->primary && has_link(f, i)) return false;
    return true;
}

static void describe(const struct fleet *f, struct text *out) {
    for (int i = 0; i < NODES; i++) {
        if (f->nodes[i].state != NODE_RUNS) continue;
        struct client *c = fleet_connect(f, i);
        text_printf(out, "\n---- node %d (%s)\n%s", i, f->nodes[i].is_redis ? "redis-server" : "trivet",
                    client_ask(c, "INFO replication"));
        text_printf(out, "\ndigest %s", client_ask(c, "DEBUG DIGEST"));
        client_close(c);
    }
}

static void await(const struct fleet *f, bool (*holds)(const struct fleet *f), const char *what) {
    struct text nodes = { 0 };
    for (int64_t began = now_ms(); now_ms() - began < PATIENCE_MS; nap(PAUSE_US))
        if (holds(f)) return;
    describe(f, &nodes);
    HARNESS_FAIL("not within %d ms: %s%s", PATIENCE_MS, what, text_str(&nodes));
}

void fleet_await_links(const struct fleet *f) { await(f, all_linked, "each replica has a link"); }
void fleet_await_orphans(const struct fleet *f) { await(f, all_orphaned, "each replica has lost its link"); }

/* On a new connection each time: a node's clients may be cut when its role changes. */
static void await_answer(const struct fleet *f, int node, const char *wanted) {
    for (int64_t began = now_ms();; nap(PAUSE_US)) {
        struct client *c = fleet_connect(f, node);
        const char *said = client_ask(c, "ROLE");
        bool good = text_matches(wanted, said);
        if (!good && now_ms() - began > PATIENCE_MS)
            HARNESS_FAIL("the role of node %d is %s, not %s", node, said, wanted);
        client_close(c);
        if (good) return;
    }
}

void fleet_await_role(const struct fleet *f, int node, const char *role) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "*[$\"%s\", ...]", role);
    await_answer(f, node, wanted);
}

void fleet_await_followers(struct fleet *f, int primary) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "*[$\"slave\", $\"127.0.0.1\", :%d, $\"connected\", ...]",
             server_port(f->nodes[primary].server));
    f->primary = f->nodes[primary].follows = primary;
    for (int i = 0; i < NODES; i++) {
        if (i == primary) continue;
        await_answer(f, i, wanted);
        f->nodes[i].follows = primary;
    }
}

static int64_t wanted_offset;

static bool all_caught_up(const struct fleet *f) {
    for (int i = 0; i < NODES; i++) {
        if (!is_replica(f, i)) continue;
        if (!has_link(f, i)) return false;
        struct client *c = fleet_connect(f, i);
        bool there = read_offset(c) >= wanted_offset;
        client_close(c);
        if (!there) return false;
    }
    return true;
}

void fleet_await_caught_up(const struct fleet *f) {
    /* With a link, so that the offsets are those of one history. */
    fleet_await_links(f);
    struct client *c = fleet_connect(f, f->primary);
    wanted_offset = own_offset(c);
    client_close(c);
    await(f, all_caught_up, "each replica has what the primary has");
}

static bool has_key(const struct node *keys, const struct node *key) {
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(text_str(&keys->items[i]->bytes), text_str(&key->bytes)) == 0) return true;
    return false;
}

/* Keys of which one node has something else than the other, in one database. */
static void describe_differences(const struct fleet *f, int database, int other, struct text *out) {
    struct client *a = fleet_connect(f, f->primary), *b = fleet_connect(f, other);
    client_ask(a, "SELECT %d", database);
    client_ask(b, "SELECT %d", database);
    struct node *keys = client_ask_node(a, "KEYS *"), *others = client_ask_node(b, "KEYS *");
    for (size_t i = 0; i < others->count; i++)
        if (!has_key(keys, others->items[i]))
            text_printf(out, "\nonly on %d: db %d %s", other, database, text_str(&others->items[i]->bytes));
    for (size_t i = 0; i < keys->count; i++) {
        const char *key = text_str(&keys->items[i]->bytes);
        if (!has_key(others, keys->items[i]))
            text_printf(out, "\nonly on %d: db %d %s", f->primary, database, key);
        const char *mine = client_ask(a, "DEBUG DIGEST-VALUE %s", key);
        const char *theirs = client_ask(b, "DEBUG DIGEST-VALUE %s", key);
        if (strcmp(mine, theirs) == 0) continue;
        text_printf(out, "\ndb %d %s: %.200s on %d, %.200s on %d", database, key,
                    client_ask(a, "GET %s", key), f->primary, client_ask(b, "GET %s", key), other);
    }
    node_free(keys);
    node_free(others);
    client_close(a);
    client_close(b);
}

static bool all_equal(const struct fleet *f) {
    struct client *c = fleet_connect(f, f->primary);
    struct text digest = { 0 };
    bool same = true;
    text_append_str(&digest, client_ask(c, "DEBUG DIGEST"));
    client_close(c);
    for (int i = 0; same && i < NODES; i++) {
        if (!is_replica(f, i)) continue;
        c = fleet_connect(f, i);
        same = strcmp(client_ask(c, "DEBUG DIGEST"), text_str(&digest)) == 0;
        client_close(c);
    }
    text_release(&digest);
    return same;
}

void fleet_await_equal(const struct fleet *f) {
    fleet_await_caught_up(f);
    /* Keys may still expire, on the primary first. */
    struct text differences = { 0 };
    for (int64_t began = now_ms(); now_ms() - began < EXPIRY_PATIENCE_MS; nap(PAUSE_US))
        if (all_equal(f)) return;
    for (int i = 0; i < NODES; i++)
        for (int database = 0; i != f->primary && database < 8; database++)
            describe_differences(f, database, i, &differences);
    describe(f, &differences);
    HARNESS_FAIL("the nodes have different data: %s", text_str(&differences));
}
