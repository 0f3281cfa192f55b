/* group.c: conf files for a group's servers and Sentinels, and waiting for what all of them agree on.
 *
 * Whatever is asked is asked on a new connection, because Sentinel closes the others when a role changes; an
 * answer that does not come is an answer too, so nothing here fails before the patience ends. */
#include "group.h"
#include "fail.h"
#include "tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAUSE_MS 20
#define PATIENCE_MS 90000

struct group {
    struct group_plan plan;
    struct server *servers[GROUP_SERVERS];
    struct server *sentinels[GROUP_SENTINELS];
    struct text reply; /* of the last question */
};

/* ---- asking ---- */

static struct client *log_in(struct server *s, const char *how) {
    if (server_pid(s) == 0) return NULL;
    struct client *c = server_connect(s);
    if (!how) return c;
    client_queue_line(c, how);
    struct node *reply = client_flush(c) ? client_read_or_end(c) : NULL;
    bool in = reply && !node_is_error(reply);
    node_free(reply);
    if (in) return c;
    client_close(c);
    return NULL;
}

/* NULL if the server does not run or closes before it has answered. */
static struct node *ask_server(struct server *s, const char *how, const char *line) {
    struct client *c = log_in(s, how);
    if (!c) return NULL;
    client_queue_line(c, line);
    struct node *reply = client_flush(c) ? client_read_or_end(c) : NULL;
    client_close(c);
    return reply;
}

static struct node *ask_sentinel(struct group *g, int i, const char *line) {
    return ask_server(g->sentinels[i], NULL, line);
}

const char *group_ask(struct group *g, int i, const char *format, ...) {
    struct text line = { 0 };
    va_list args;
    va_start(args, format);
    text_vprintf(&line, format, args);
    va_end(args);
    struct node *reply = ask_server(g->servers[i], g->plan.log_in, text_str(&line));
    text_clear(&g->reply);
    if (reply)
        node_describe(reply, &g->reply);
    else
        text_append_str(&g->reply, CONNECTION_CLOSED);
    node_free(reply);
    text_release(&line);
    return text_str(&g->reply);
}

const char *group_info(struct group *g, int i, const char *field) {
    struct node *reply = ask_server(g->servers[i], g->plan.log_in, "INFO");
    struct text label = { 0 };
    text_printf(&label, "\n%s:", field);
    const char *at = reply ? strstr(text_str(&reply->bytes), text_str(&label)) : NULL;
    text_clear(&g->reply);
    if (at) {
        at += label.len;
        text_append(&g->reply, at, strcspn(at, "\r\n"));
    }
    text_release(&label);
    node_free(reply);
    return text_str(&g->reply);
}

int64_t group_info_number(struct group *g, int i, const char *field) {
    return strtoll(group_info(g, i, field), NULL, 10);
}

static bool info_is(struct group *g, int i, const char *field, const char *wanted) {
    return strcmp(group_info(g, i, field), wanted) == 0;
}

struct server *group_server(struct group *g, int i) {
    return g->servers[i];
}

int group_port(const struct group *g, int i) {
    return g->plan.tls ? server_tls_port(g->servers[i]) : server_port(g->servers[i]);
}

struct client *group_connect(struct group *g, int i) {
    struct client *c = log_in(g->servers[i], g->plan.log_in);
    if (!c) HARNESS_FAIL("server %d does not let in", i);
    return c;
}

struct client *group_sentinel(struct group *g, int i) {
    return server_connect(g->sentinels[i]);
}

/* ---- what everybody thinks ---- */

static const char *text_of(const struct node *map, const char *key) {
    const struct node *value = map ? node_lookup(map, key) : NULL;
    return value ? text_str(&value->bytes) : "";
}

/* The server that Sentinel `i` names; -1 if it does not answer or names none of them. */
static int primary_of(struct group *g, int i) {
    struct node *reply = ask_sentinel(g, i, "SENTINEL GET-MASTER-ADDR-BY-NAME " GROUP_NAME);
    int port = reply && reply->count == 2 ? atoi(text_str(&reply->items[1]->bytes)) : 0, found = -1;
    node_free(reply);
    for (int s = 0; s < GROUP_SERVERS; s++)
        if (port && port == group_port(g, s)) found = s;
    return found;
}

int group_primary(struct group *g) {
    int primary = primary_of(g, 0);
    for (int i = 1; i < GROUP_SENTINELS; i++)
        if (primary_of(g, i) != primary) return -1;
    return primary >= 0 && info_is(g, primary, "role", "master") ? primary : -1;
}

static bool runs(struct group *g, int i) { return server_pid(g->servers[i]) != 0; }

/* Every other server that runs is a replica of this one, and up. */
static bool all_follow(struct group *g, int primary) {
    char port[16];
    snprintf(port, sizeof port, "%d", group_port(g, primary));
    for (int i = 0; i < GROUP_SERVERS; i++) {
        if (i == primary || !runs(g, i)) continue;
        if (!info_is(g, i, "role", "slave") || !info_is(g, i, "master_port", port) ||
            !info_is(g, i, "master_link_status", "up"))
            return false;
    }
    return true;
}

/* What SENTINEL REPLICAS says of the servers that run: each is up and so is its link, and its last INFO named
 * this primary. Those that are not announced are not in it. */
static bool knows_replicas(struct group *g, int i, int primary) {
    struct node *list = ask_sentinel(g, i, "SENTINEL REPLICAS " GROUP_NAME);
    bool good = list && !node_is_error(list);
    for (size_t r = 0; good && r < list->count; r++) {
        const struct node *replica = list->items[r];
        bool up = false;
        for (int s = 0; s < GROUP_SERVERS; s++)
            up |= atoi(text_of(replica, "port")) == group_port(g, s) && runs(g, s);
        if (!up) continue;
        good = strcmp(text_of(replica, "flags"), "slave") == 0 &&
               strcmp(text_of(replica, "master-link-status"), "ok") == 0 &&
               atoi(text_of(replica, "master-port")) == group_port(g, primary);
    }
    node_free(list);
    return good;
}

static bool knows_sentinels(struct group *g, int i) {
    struct node *list = ask_sentinel(g, i, "SENTINEL SENTINELS " GROUP_NAME);
    bool good = list && list->count == GROUP_SENTINELS - 1;
    for (size_t s = 0; good && s < list->count; s++)
        good = strcmp(text_of(list->items[s], "flags"), "sentinel") == 0;
    node_free(list);
    return good;
}

/* No failover goes on, and nobody is thought to be down who runs. */
static bool sentinel_is_content(struct group *g, int i, int primary) {
    struct node *master = ask_sentinel(g, i, "SENTINEL MASTER " GROUP_NAME);
    bool good = strcmp(text_of(master, "flags"), "master") == 0 &&
                atoi(text_of(master, "num-slaves")) == GROUP_SERVERS - 1;
    node_free(master);
    return good && knows_replicas(g, i, primary) && knows_sentinels(g, i);
}

static bool all_agree(struct group *g, int primary) {
    if (primary < 0 || !all_follow(g, primary)) return false;
    for (int i = 0; i < GROUP_SENTINELS; i++)
        if (!sentinel_is_content(g, i, primary)) return false;
    return true;
}

/* ---- waiting ---- */

static void describe(struct group *g, struct text *out) {
    for (int i = 0; i < GROUP_SERVERS; i++) {
        text_printf(out, "server %d (port %d%s): ", i, group_port(g, i), runs(g, i) ? "" : ", does not run");
        text_printf(out, "role %s", group_info(g, i, "role"));
        text_printf(out, ", of port %s", group_info(g, i, "master_port"));
        text_printf(out, ", link %s\n", group_info(g, i, "master_link_status"));
    }
    for (int i = 0; i < GROUP_SENTINELS; i++) {
        struct node *master = ask_sentinel(g, i, "SENTINEL MASTER " GROUP_NAME);
        text_printf(out, "Sentinel %d: primary %s, %s, %s replicas, %s other Sentinels\n", i,
                    text_of(master, "port"), text_of(master, "flags"), text_of(master, "num-slaves"),
                    text_of(master, "num-other-sentinels"));
        node_free(master);
    }
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A little pause; false when the patience since `began_ms` has ended. */
static bool may_wait(int64_t began_ms) {
    nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
    return now_ms() - began_ms < PATIENCE_MS;
}

NORETURN static void fail_to_agree(struct group *g, const char *on, int server) {
    struct text state = { 0 };
    describe(g, &state);
    HARNESS_FAIL("the group never agreed on %s %d:\n%s", on, server, text_str(&state));
}

int group_await_other_primary(struct group *g, int old) {
    int64_t began_ms = now_ms();
    do {
        int primary = group_primary(g);
        if (primary != old && all_agree(g, primary)) return primary;
    } while (may_wait(began_ms));
    fail_to_agree(g, "a primary other than", old);
}

static bool agree_on(struct group *g, int primary) {
    return group_primary(g) == primary && all_agree(g, primary);
}

void group_await_primary(struct group *g, int primary) {
    int64_t began_ms = now_ms();
    while (!agree_on(g, primary))
        if (!may_wait(began_ms)) fail_to_agree(g, "primary", primary);
}

/* How often Sentinel 0 called a failover off because it had not heard of a good replica for a moment. */
static size_t times_called_off(struct group *g) {
    static const char event[] = "-failover-abort-no-good-slave";
    size_t count = 0;
    for (const char *at = strstr(server_log(g->sentinels[0]), event); at; at = strstr(at + 1, event)) count++;
    return count;
}

/* Such a failover is asked for once more: all other ways to end are faults. */
void group_fail_over(struct group *g, int to) {
    size_t begun = times_called_off(g);
    for (int64_t began_ms = now_ms(); !agree_on(g, to);) {
        if (begun == times_called_off(g)) {
            struct node *reply = ask_sentinel(g, 0, "SENTINEL FAILOVER " GROUP_NAME);
            begun += reply && !node_is_error(reply);
            node_free(reply);
        }
        if (!may_wait(began_ms)) fail_to_agree(g, "primary", to);
    }
}

/* ---- starting ---- */

static const char *host_of(const struct group *g) { return g->plan.host ? g->plan.host : "127.0.0.1"; }

static void add_lines(struct text *conf, const char *lines) {
    if (lines) text_printf(conf, "%s\n", lines);
}

static void add_tls(struct text *conf) {
    text_printf(conf, "tls-cert-file %s\n", tls_path("server.crt"));
    text_printf(conf, "tls-key-file %s\n", tls_path("server.key"));
    text_printf(conf, "tls-ca-cert-file %s\n", tls_path("ca.crt"));
    text_append_str(conf, "tls-replication yes\n");
}

static void start_server(struct group *g, int i) {
    struct text conf = { 0 };
    /* Replicas are not kept waiting for more of them, and a fallen link is tried again soon. */
    text_append_str(&conf, "repl-diskless-sync-delay 0\nrepl-ping-replica-period 1\n");
    if (g->plan.tls) add_tls(&conf);
    if (g->plan.host) text_printf(&conf, "replica-announce-ip %s\n", g->plan.host);
    add_lines(&conf, g->plan.common_conf);
    add_lines(&conf, g->plan.conf[i]);
    if (i > 0) text_printf(&conf, "replicaof %s %d\n", host_of(g), group_port(g, 0));
    g->servers[i] = server_launch(&(struct server_plan){
        .program = g->plan.programs[i], .conf = text_str(&conf), .tcp = !g->plan.tls, .tls = g->plan.tls });
    text_release(&conf);
}

static void start_sentinel(struct group *g, int i) {
    struct text conf = { 0 };
    if (g->plan.tls) add_tls(&conf);
    if (g->plan.host)
        text_append_str(&conf, "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n");
    text_printf(&conf, "sentinel monitor " GROUP_NAME " %s %d 2\n", host_of(g), group_port(g, 0));
    text_append_str(&conf, "sentinel down-after-milliseconds " GROUP_NAME " 1000\n"
                           "sentinel failover-timeout " GROUP_NAME " 5000\n");
    add_lines(&conf, g->plan.sentinel_conf);
    g->sentinels[i] = server_launch(&(struct server_plan){ .program = "redis-sentinel",
                                                           .conf = text_str(&conf),
                                                           .tcp = !g->plan.tls,
                                                           .tls = g->plan.tls,
                                                           .bare = true });
    text_release(&conf);
    /* It looks and speaks oftener, and a busy machine is not taken for a jump of the clock. */
    struct node *reply = ask_sentinel(g, i,
                                      "SENTINEL DEBUG INFO-PERIOD 1000 PUBLISH-PERIOD 400 "
                                      "ASK-PERIOD 200 TILT-TRIGGER 60000");
    if (!reply || node_is_error(reply)) HARNESS_FAIL("SENTINEL DEBUG is refused");
    node_free(reply);
}

struct group *group_start(const struct group_plan *plan) {
    struct group *g = calloc(1, sizeof(*g));
    if (!g) abort();
    g->plan = *plan;
    for (int i = 0; i < GROUP_SERVERS; i++) start_server(g, i);
    /* A Sentinel hears of a replica by INFO of the primary, so they should be there when it starts. */
    for (int64_t began_ms = now_ms(); !all_follow(g, 0);)
        if (!may_wait(began_ms)) fail_to_agree(g, "the first primary,", 0);
    for (int i = 0; i < GROUP_SENTINELS; i++) start_sentinel(g, i);
    group_await_primary(g, 0);
    return g;
}

void group_stop(struct group *g) {
    for (int i = 0; i < GROUP_SENTINELS; i++) server_free(g->sentinels[i]);
    for (int i = 0; i < GROUP_SERVERS; i++) server_free(g->servers[i]);
    text_release(&g->reply);
    free(g);
}
