/* replication_pair.h: a primary and its replica, each a server of ours or a redis-server; and a connection
 * that plays a replica by hand. */
#ifndef TESTS_COMMANDS_REPLICATION_PAIR_H
#define TESTS_COMMANDS_REPLICATION_PAIR_H

#include "../harness/fixture.h"
#include <stdio.h>
#include <string.h>

struct pair {
    struct server *primary_server, *replica_server;
    struct client *primary, *replica;
};

#define OURS NULL
#define REDIS "redis-server"

static inline struct server *pair_launch(const char *program, const char *const *extra) {
    const char *args[16] = { "--repl-diskless-sync-delay", "0", "--save", "" };
    for (size_t i = 4; extra && *extra; i++) args[i] = *extra++;
    struct server_plan plan = { .program = program, .bare = program != OURS, .tcp = true, .args = args };
    return server_launch(&plan);
}

static inline void pair_await_link(struct pair *p) {
    char role[128];
    snprintf(role, sizeof role, "*[$\"slave\", $\"127.0.0.1\", :%d, $\"connected\", :...]",
             server_port(p->primary_server));
    assert_reply_soon(p->replica, "ROLE", role);
    assert_reply_soon(p->primary, "ROLE", "*[$\"master\", :..., *[*[$\"127.0.0.1\", $\"...\", $\"...\"]]]");
}

static inline void pair_follow(struct pair *p) {
    char command[64];
    snprintf(command, sizeof command, "REPLICAOF 127.0.0.1 %d", server_port(p->primary_server));
    assert_reply(p->replica, command, "+OK");
    pair_await_link(p);
}

/* `extra`: arguments for both. */
static inline struct pair pair_start(const char *primary, const char *replica, const char *const *extra) {
    struct pair p = { .primary_server = pair_launch(primary, extra),
                      .replica_server = pair_launch(replica, extra) };
    p.primary = server_connect(p.primary_server);
    p.replica = server_connect(p.replica_server);
    pair_follow(&p);
    return p;
}

static inline void pair_stop(struct pair *p) {
    client_close(p->primary);
    client_close(p->replica);
    server_free(p->replica_server);
    server_free(p->primary_server);
}

/* The server keeps a history from now on. */
static inline void open_backlog(struct server *s, struct client *c) {
    struct client *first = server_connect(s);
    client_send(first, "PSYNC ? -1");
    while (info_number(c, "replication", "repl_backlog_active") == 0) {
    }
    client_abandon(first);
    while (info_number(c, "replication", "connected_slaves") > 0) {
    }
}

/* A connection that is an online replica and goes on with the stream from its present end. */
static inline struct client *play_replica(struct server *s, struct client *c) {
    char id[64];
    struct client *r = server_connect(s);
    snprintf(id, sizeof id, "%s", info_field(c, "replication", "master_replid"));
    assert_reply(r, "REPLCONF listening-port 7 capa psync2", "+OK");
    const char *answer = client_ask(r, "PSYNC %s %lld", id,
                                    (long long)info_number(c, "replication", "master_repl_offset") + 1);
    assert_int_equal(strncmp(answer, "+CONTINUE ", 10), 0);
    return r;
}

#endif
