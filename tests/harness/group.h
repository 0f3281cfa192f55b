/* group.h: a group as Sentinel sees it: a primary, two replicas, and three Sentinels (Debian's
 * redis-sentinel) that watch them with a quorum of two. Each server may be the one under test or another
 * program, so that mixed groups can be tried.
 *
 * Sentinels work as always, but they look more often (SENTINEL DEBUG), so that a failover takes two seconds.
 * All of them write conf files, in folders of their own. What fails here fails the running test, with the
 * view of everybody in the message. Thread: the main one. */
#ifndef TESTS_HARNESS_GROUP_H
#define TESTS_HARNESS_GROUP_H

#include "server.h"

#define GROUP_NAME "sessions"
#define GROUP_SERVERS 3
#define GROUP_SENTINELS 3
#define GROUP_PEER "redis-server" /* what a mixed group is mixed with */

struct group_plan {
    const char *programs[GROUP_SERVERS]; /* the primary's first; NULL: the server under test */
    const char *conf[GROUP_SERVERS];     /* more lines for one server's conf file; may be NULL */
    const char *common_conf;             /* more lines for all of them; may be NULL */
    const char *sentinel_conf;           /* more lines for each Sentinel; may be NULL */
    const char *log_in; /* how the tests' own connections log in ("AUTH x"); NULL: not at all */
    const char *host;   /* the name that all are known by; NULL: 127.0.0.1 */
    bool tls;           /* all speak TLS only, with the certificates of tls_make_usual() */
};

struct group;

/* Starts them and waits until every replica's link is up and every Sentinel knows all the others. */
struct group *group_start(const struct group_plan *plan);
/* Stops all of them; each must end cleanly. */
void group_stop(struct group *g);

/* Server `i` is the one of plan->programs[i], whichever role it has by now. */
struct server *group_server(struct group *g, int i);
/* The port by which the others and the Sentinels know it. */
int group_port(const struct group *g, int i);
/* A connection that has logged in; Sentinel closes it when the server changes its role. */
struct client *group_connect(struct group *g, int i);
struct client *group_sentinel(struct group *g, int i);

/* One command on a connection of its own; the reply's text, valid until the next call, CONNECTION_CLOSED if
 * the server closed before it answered. */
const char *group_ask(struct group *g, int i, const char *format, ...) PRINTF_LIKE(3, 4);
/* The value of an INFO field ("" if it is absent or nobody answers); valid until the next call. */
const char *group_info(struct group *g, int i, const char *field);
int64_t group_info_number(struct group *g, int i, const char *field);

/* The server that all Sentinels name as primary, and that says so too; -1 if they differ. */
int group_primary(struct group *g);
/* Waits until it is another one than `old`, the other servers that run follow it with their links up, and all
 * Sentinels have seen that; returns which. */
int group_await_other_primary(struct group *g, int old);
/* Waits until just this server is primary, and the rest as above. */
void group_await_primary(struct group *g, int primary);
/* SENTINEL FAILOVER by hand, after which all must agree on this one. */
void group_fail_over(struct group *g, int to);

#endif
