/* test_failover.c: FAILOVER: two servers change roles, of either kind and under load; what goes wrong on the
 * way, with a replica or a target that the test plays; and what clients see of it. */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/wire.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define READONLY "-READONLY You can't write against a read only replica."
#define NO_TARGET "-ERR FAILOVER target HOST and PORT is not a replica."
#define BY_FORCE "-ERR FAILOVER with force option requires both a timeout and target HOST and IP."
#define IS_REPLICA "-ERR FAILOVER is not valid when server is a replica."
#define IS_ON "-ERR FAILOVER already in progress."

static const enum peer kinds[] = { PEER_TRIVET, PEER_REDIS };

static void assert_state(struct client *c, const char *state) {
    assert_info(c, "replication", "master_failover_state", state);
}
static void await_state(struct client *c, const char *state) {
    assert_info_soon(c, "replication", "master_failover_state", state);
}
static void assert_role(struct client *c, const char *role) { assert_info(c, "replication", "role", role); }
static void await_role(struct client *c, const char *role) {
    assert_info_soon(c, "replication", "role", role);
}
static void await_link_of(struct client *c) {
    assert_info_soon(c, "replication", "master_link_status", "up");
}

/* A primary, its replica by hand, and the place where it finds that replica when it is told to follow it. */
struct scene {
    struct server *server;
    struct client *c, *writer;
    struct wire *replica;
    struct wire_listener *listener;
    int port;
    struct wire *visitor; /* the old primary's link to the target; NULL: none yet */
    struct text psync;    /* what it asked for */
};

static void scene_open(struct scene *s) {
    *s = (struct scene){ .server = TRIVET(), .listener = wire_listen() };
    s->c = server_connect(s->server);
    s->writer = server_connect(s->server);
    s->port = wire_port(s->listener);
    assert_reply(s->c, "SET k 1", "+OK");
    s->replica = wire_join(s->server, s->port);
    assert_reply(s->c, "SET k 2", "+OK"); /* so that there is an offset */
}

/* Nobody is there any more, nor listens. */
static void leave(struct scene *s) {
    wire_close(s->visitor);
    wire_listener_close(s->listener);
    s->visitor = NULL;
    s->listener = NULL;
}

static void scene_close(struct scene *s) {
    leave(s);
    text_release(&s->psync);
    wire_close(s->replica);
    client_close(s->writer);
    client_close(s->c);
    server_free(s->server);
}

/* The replica has everything. */
static void acknowledge(struct scene *s) {
    wire_tell(s->replica, "REPLCONF ACK %lld", (long long)replication_offset(s->c));
}

/* The old primary comes as a replica, perhaps once more; its PSYNC. */
static const char *receive(struct scene *s) {
    wire_close(s->visitor);
    s->visitor = wire_accept_psync(s->listener, &s->psync);
    return text_str(&s->psync);
}

/* FAILOVER to the replica, which has acknowledged everything; returns when it is asked. */
static const char *hand_over(struct scene *s, const char *more) {
    assert_string_equal(client_ask(s->c, "FAILOVER TO 127.0.0.1 %d %s", s->port, more), "+OK");
    acknowledge(s);
    return receive(s);
}

static void answer(struct scene *s, const char *line) { wire_say(s->visitor, "%s\r\n", line); }

/* A primary as before: under the same id, and its replica was not even disconnected. */
static void assert_nothing_has_changed(struct scene *s, const char *id) {
    await_state(s->c, "no-failover");
    assert_role(s->c, "master");
    assert_string_equal(info_field(s->c, "replication", "master_replid"), id);
    assert_int_equal(info_number(s->c, "replication", "connected_slaves"), 1);
    assert_reply(s->c, "SET k 4", "+OK");
}

/* ---- what is refused ---- */

static void each_error_has_its_text(void **state) {
    (void)state;
    static const struct exchange alone[] = {
        { "FAILOVER", "-ERR FAILOVER requires connected replicas." },
        { "FAILOVER ABORT", "-ERR No failover in progress." },
        { "FAILOVER FOO", "-ERR syntax error" },
        { "FAILOVER TO 127.0.0.1", "-ERR syntax error" },
        { "FAILOVER TO a 1 TO a 1", "-ERR syntax error" },
        { "FAILOVER TO a x", "-ERR value is not an integer or out of range" },
        { "FAILOVER TIMEOUT", "-ERR syntax error" },
        { "FAILOVER TIMEOUT x", "-ERR value is not an integer or out of range" },
        { "FAILOVER TIMEOUT -1", "-ERR FAILOVER timeout must be greater than 0" },
        { "FAILOVER TIMEOUT 0", "-ERR FAILOVER timeout must be greater than 0" },
        { "FAILOVER FORCE", "-ERR FAILOVER requires connected replicas." },
        { "FAILOVER FORCE FORCE", "-ERR syntax error" },
        { "FAILOVER ABORT FORCE", "-ERR syntax error" },
        { "FAILOVER TO 127.0.0.1 1", "-ERR FAILOVER requires connected replicas." },
        { "PSYNC a 1 FAILOVER", "-ERR PSYNC FAILOVER can't be sent to a master." },
        { NULL, NULL },
    };
    static const struct exchange with_replica[] = {
        { "FAILOVER TO 1.2.3.4 1", NO_TARGET },
        { "FAILOVER TO 127.0.0.1 99999", NO_TARGET },
        { "FAILOVER FORCE", BY_FORCE },
        { "FAILOVER FORCE TIMEOUT 10", BY_FORCE },
        { "FAILOVER TO 127.0.0.1 1 FORCE", BY_FORCE },
        { "FAILOVER ABORT", "-ERR No failover in progress." },
        { NULL, NULL },
    };
    static const struct exchange on_replica[] = {
        { "FAILOVER", IS_REPLICA },
        { "FAILOVER TO 1.2.3.4 1", IS_REPLICA },
        { "PSYNC 0123456789012345678901234567890123456789 1 FAILOVER",
          "-ERR PSYNC FAILOVER replid must match my replid." },
        { NULL, NULL },
    };
    for (size_t i = 0; i < 2; i++) {
        struct server *primary = peer_start(kinds[i], NULL), *replica = peer_start(kinds[i], NULL);
        struct client *p = server_connect(primary), *r = server_connect(replica);
        assert_exchanges(p, alone);
        replication_follow(replica, server_port(primary));
        replication_await_link(replica);
        assert_exchanges(p, with_replica);
        assert_exchanges(r, on_replica);
        assert_role(r, "slave");
        client_close(p);
        client_close(r);
        server_free(replica);
        server_free(primary);
    }
}

static void a_target_must_be_online(void **state) {
    (void)state;
    struct server *s = TRIVET("--repl-diskless-sync-delay", "1000");
    struct client *c = server_connect(s), *r = server_connect_tcp(s);
    assert_reply(r, "REPLCONF listening-port 7 capa eof", "+OK");
    client_send(r, "PSYNC ? -1");
    assert_info_soon(c, "replication", "connected_slaves", "1");
    assert_reply(c, "FAILOVER TO 127.0.0.1 7", "-ERR FAILOVER target replica is not online.");
    client_close(r);
    client_close(c);
    server_free(s);
}

static void what_a_failover_under_way_refuses(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s);
    assert_reply(s.c, "FAILOVER", "+OK");
    assert_state(s.c, "waiting-for-sync");
    for (int i = 0; i < 2; i++) {
        struct client *other = server_connect(s.server);
        assert_reply(s.c, "FAILOVER", IS_ON);
        assert_reply(s.c, "FAILOVER TO 1.2.3.4 1", IS_ON);
        assert_reply(s.c, "REPLICAOF NO ONE", "-ERR REPLICAOF not allowed while failing over.");
        assert_reply(s.c, "REPLICAOF 127.0.0.1 1", "-ERR REPLICAOF not allowed while failing over.");
        assert_reply(other, "PSYNC ? -1", "-NOMASTERLINK Can't SYNC while failing over");
        assert_reply(other, "SYNC", "-NOMASTERLINK Can't SYNC while failing over");
        client_close(other);
        if (i == 1) break;
        acknowledge(&s);
        receive(&s);
        assert_state(s.c, "failover-in-progress");
        assert_role(s.c, "slave");
    }
    assert_reply(s.c, "FAILOVER ABORT", "+OK");
    scene_close(&s);
}

/* ---- two servers ---- */

struct writer {
    pthread_t thread;
    struct server *server;
    const char *key, *command;
    int64_t done; /* acknowledged so far */
};

static void writer_check(struct writer *w, const char *reply) {
    bool counts = reply[0] == ':' || strncmp(reply, "*[:", 3) == 0;
    if (counts)
        w->done = strtoll(strchr(reply, ':') + 1, NULL, 10);
    else if (strncmp(reply, "-READONLY", 9) != 0 && strncmp(reply, "-EXECABORT", 10) != 0)
        HARNESS_FAIL("%s: %s", w->command, reply);
}

/* Counts up until it is told that this is no primary any more. */
static void *writer_main(void *arg) {
    struct writer *w = arg;
    struct client *c = server_connect(w->server);
    for (const char *reply = ""; reply[0] != '-';) {
        bool is_transaction = strcmp(w->command, "EXEC") == 0;
        if (is_transaction) client_ask(c, "MULTI");
        if (is_transaction && client_ask(c, "INCR %s", w->key)[0] == '-') break;
        reply = client_ask(c, "%s", w->command);
        writer_check(w, reply);
    }
    client_close(c);
    return NULL;
}

#define WRITERS 4

static void start_writers(struct writer *writers, struct server *s) {
    static const char *const commands[WRITERS][2] = {
        { "a", "INCR a" },
        { "b", "INCR b" },
        { "c", "EXEC" },
        { "d", "EVAL \"return redis.call('incr', 'd')\" 0" }, /* not a declared key: with the gate closed */
    };
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .server = s, .key = commands[i][0], .command = commands[i][1] };
        pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]);
    }
}

static int64_t count_of(struct client *c, const char *key) {
    struct node *reply = client_ask_node(c, "GET %s", key);
    int64_t n = reply->null ? 0 : strtoll(text_str(&reply->bytes), NULL, 10);
    node_free(reply);
    return n;
}

static void await_counts(struct client *c, const struct writer *writers, int64_t at_least) {
    for (int i = 0; i < WRITERS; i++) assert_soon(count_of(c, writers[i].key) >= at_least);
}

/* What was acknowledged is there, and nothing else: what was refused has not happened. */
static void assert_counts(struct client *c, struct writer *writers) {
    for (int i = 0; i < WRITERS; i++) {
        char command[32], expected[64];
        pthread_join(writers[i].thread, NULL);
        snprintf(command, sizeof command, "GET %s", writers[i].key);
        snprintf(expected, sizeof expected, "$\"%lld\"", (long long)writers[i].done);
        assert_reply(c, command, expected);
        assert_true(writers[i].done > 0);
    }
}

static void change_roles_under_load(enum peer primary_kind, enum peer replica_kind, bool names_target) {
    struct server *a = peer_start(primary_kind, NULL), *b = peer_start(replica_kind, NULL);
    struct client *ca = server_connect(a), *cb = server_connect(b);
    struct writer writers[WRITERS];
    assert_reply(ca, "DEBUG POPULATE 1000", "+OK");
    replication_follow(b, server_port(a));
    replication_await_link(b);
    start_writers(writers, a);
    await_counts(ca, writers, 100);
    if (names_target)
        client_queue(ca, "FAILOVER TO 127.0.0.1 %d TIMEOUT 60000", server_port(b));
    else
        client_queue(ca, "FAILOVER");
    client_flush(ca);
    assert_next(ca, "+OK");
    assert_counts(cb, writers);
    assert_role(ca, "slave");
    assert_role(cb, "master");
    replication_await_link(a);
    assert_state(ca, "no-failover");
    assert_reply(cb, "SET after 1", "+OK");
    assert_reply_soon(ca, "GET after", "$\"1\"");
    replication_assert_same(b, a);
    assert_int_equal(info_number(cb, "stats", "sync_full"), 0);
    assert_int_equal(info_number(cb, "stats", "sync_partial_ok"), 1);
    client_close(ca);
    client_close(cb);
    server_free(a);
    server_free(b);
}

static void two_of_ours_change_roles(void **state) {
    (void)state;
    change_roles_under_load(PEER_TRIVET, PEER_TRIVET, false);
    change_roles_under_load(PEER_TRIVET, PEER_TRIVET, true);
}

static void a_replica_of_redis_takes_over(void **state) {
    (void)state;
    change_roles_under_load(PEER_TRIVET, PEER_REDIS, false);
}

static void a_primary_of_redis_hands_over(void **state) {
    (void)state;
    change_roles_under_load(PEER_REDIS, PEER_TRIVET, false);
}

/* There and back, again and again: ids and offsets add up. */
static void roles_change_often(void **state) {
    (void)state;
    struct server *members[2] = { TRIVET(), TRIVET() };
    replication_follow(members[1], server_port(members[0]));
    replication_await_link(members[1]);
    for (int i = 0; i < 6; i++) {
        struct server *from = members[i % 2], *to = members[(i + 1) % 2];
        struct client *f = server_connect(from), *t = server_connect(to);
        assert_reply(f, "INCR n", "...");
        assert_reply(f, "FAILOVER", "+OK");
        await_role(t, "master");
        await_link_of(f);
        await_state(f, "no-failover");
        assert_int_equal(info_number(t, "stats", "sync_full"), i % 2);
        client_close(f);
        client_close(t);
    }
    struct client *c = server_connect(members[0]);
    assert_reply(c, "GET n", "$\"6\"");
    client_close(c);
    replication_assert_same(members[0], members[1]);
    server_free(members[0]);
    server_free(members[1]);
}

static void other_replicas_go_on_below_the_old_primary(void **state) {
    (void)state;
    struct server *a = TRIVET(), *b = TRIVET(), *below = TRIVET();
    struct client *ca = server_connect(a), *cb = server_connect(b), *c = server_connect(below);
    replication_follow(b, server_port(a));
    replication_follow(below, server_port(a));
    replication_await_link(b);
    replication_await_link(below);
    assert_reply(ca, "SET k 1", "+OK");
    assert_string_equal(client_ask(ca, "FAILOVER TO 127.0.0.1 %d", server_port(b)), "+OK");
    await_role(cb, "master");
    assert_reply(cb, "SET k 2", "+OK");
    assert_reply_soon(c, "GET k", "$\"2\"");
    replication_assert_same(b, below);
    assert_int_equal(info_number(ca, "stats", "sync_full"), 2); /* those of the beginning */
    assert_int_equal(info_number(cb, "stats", "sync_full"), 0);
    client_close(ca);
    client_close(cb);
    client_close(c);
    server_free(below);
    server_free(a);
    server_free(b);
}

/* ---- what goes wrong ---- */

static void a_target_that_lacks_a_byte_is_given_up(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s);
    char id[64];
    snprintf(id, sizeof id, "%s", info_field(s.c, "replication", "master_replid"));
    wire_tell(s.replica, "REPLCONF ACK %lld", (long long)replication_offset(s.c) - 1);
    assert_reply(s.c, "FAILOVER TIMEOUT 300", "+OK");
    assert_state(s.c, "waiting-for-sync");
    send_and_wait(s.c, s.writer, "SET k 3");
    assert_string_equal(info_field(s.c, "clients", "paused_reason"), "failover_in_progress");
    assert_reply(s.c, "GET k", "$\"2\"");
    assert_next(s.writer, "+OK");
    assert_reply(s.c, "GET k", "$\"3\"");
    assert_nothing_has_changed(&s, id);
    server_await_log(s.server, "Replica never caught up before timeout", 1);
    scene_close(&s);
}

static void nothing_is_sent_while_a_target_is_waited_for(void **state) {
    (void)state;
    struct server *s = TRIVET("--repl-ping-replica-period", "1");
    struct client *c = server_connect(s);
    struct wire *r = wire_join(s, 7);
    assert_info_soon(c, "replication", "master_repl_offset", "14"); /* a ping */
    assert_reply(c, "PSETEX short 100 v", "+OK");
    assert_reply(c, "FAILOVER TIMEOUT 2500", "+OK");
    int64_t offset = replication_offset(c), seen = offset;
    assert_true(offset > 14);
    for (int64_t deadline_ms = deadline_after(AWAIT_PATIENCE_MS);;) {
        assert_int_equal(seen, offset);
        seen = replication_offset(c);
        if (strcmp(info_field(c, "replication", "master_failover_state"), "waiting-for-sync") != 0) break;
        assert_false(deadline_has_passed(deadline_ms));
    }
    server_await_log(s, "Replica never caught up before timeout", 1);
    assert_reply_soon(c, "EXISTS short", ":0");
    assert_soon(replication_offset(c) > offset); /* only now it goes on: by a DEL and a ping */
    wire_close(r);
    client_close(c);
    server_free(s);
}

static void a_failover_is_called_back_in_each_state(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s);
    char id[64];
    snprintf(id, sizeof id, "%s", info_field(s.c, "replication", "master_replid"));
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            assert_reply(s.c, "FAILOVER", "+OK");
        else
            hand_over(&s, "");
        assert_state(s.c, i == 0 ? "waiting-for-sync" : "failover-in-progress");
        send_and_wait(s.c, s.writer, "SET k 3");
        assert_reply(s.c, "FAILOVER ABORT", "+OK");
        assert_next(s.writer, "+OK");
        assert_nothing_has_changed(&s, id);
        assert_reply(s.c, "FAILOVER ABORT", "-ERR No failover in progress.");
    }
    scene_close(&s);
}

static void a_target_may_refuse(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s);
    struct client *waiter = server_connect(s.server);
    char id[64], expected[128];
    snprintf(id, sizeof id, "%s", info_field(s.c, "replication", "master_replid"));
    send_and_wait(s.c, waiter, "BLPOP list 0");
    const char *asked = hand_over(&s, "");
    snprintf(expected, sizeof expected, "PSYNC %s %lld FAILOVER", id, (long long)replication_offset(s.c) + 1);
    assert_string_equal(asked, expected);
    send_and_wait(s.c, s.writer, "SET k 3");
    answer(&s, "-ERR not today");
    assert_next(s.writer, "+OK");
    assert_nothing_has_changed(&s, id);
    server_await_log(s.server, "Failover target rejected psync request", 1);
    assert_reply(s.c, "RPUSH list a", ":1"); /* who waited goes on waiting */
    assert_next(waiter, "*[$\"list\", $\"a\"]");
    client_close(waiter);
    scene_close(&s);
}

/* The target was asked, and went away: perhaps it has taken over. It has. */
static void an_answer_that_got_lost_is_asked_for_again(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s);
    assert_true(strstr(hand_over(&s, "TIMEOUT 100"), "FAILOVER"));
    send_and_wait(s.c, s.writer, "SET k 3");
    assert_true(strstr(receive(&s), "FAILOVER"));
    assert_state(s.c, "failover-in-progress"); /* though the time is up */
    answer(&s, "-ERR PSYNC FAILOVER can't be sent to a master.");
    assert_next(s.writer, READONLY);
    assert_false(strstr(receive(&s), "FAILOVER"));
    answer(&s, "+CONTINUE 0123456789abcdef0123456789abcdef01234567");
    await_link_of(s.c);
    assert_state(s.c, "no-failover");
    assert_string_equal(info_field(s.c, "replication", "master_replid"),
                        "0123456789abcdef0123456789abcdef01234567");
    scene_close(&s);
}

static void a_target_out_of_reach_is_given_up_when_the_time_is_up(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s);
    char id[64];
    snprintf(id, sizeof id, "%s", info_field(s.c, "replication", "master_replid"));
    leave(&s);
    assert_string_equal(client_ask(s.c, "FAILOVER TO 127.0.0.1 %d TIMEOUT 100 FORCE", s.port), "+OK");
    send_and_wait(s.c, s.writer, "SET k 3");
    assert_next(s.writer, "+OK");
    assert_nothing_has_changed(&s, id);
    server_await_log(s.server, "The target can't be reached", 1);
    scene_close(&s);
}

/* By force also a target takes over that lacks something; what it lacks is lost. */
static void by_force_a_target_takes_over_that_lags(void **state) {
    (void)state;
    struct server *a = TRIVET(), *b = TRIVET();
    struct client *ca = server_connect(a), *cb = server_connect(b);
    replication_follow(b, server_port(a));
    replication_await_link(b);
    kill(server_pid(b), SIGSTOP);
    assert_reply(ca, "SET k 1", "+OK");
    assert_string_equal(client_ask(ca, "FAILOVER TO 127.0.0.1 %d TIMEOUT 100 FORCE", server_port(b)), "+OK");
    await_state(ca, "failover-in-progress");
    kill(server_pid(b), SIGCONT);
    await_role(cb, "master");
    await_state(ca, "no-failover");
    replication_await_link(a);
    assert_reply(cb, "SET after 1", "+OK");
    assert_reply_soon(ca, "GET after", "$\"1\"");
    replication_assert_same(b, a);
    client_close(ca);
    client_close(cb);
    server_free(a);
    server_free(b);
}

/* ---- what clients see ---- */

/* Two servers have changed roles; `c` is of the old primary. */
static void change_roles(struct server *replica, struct client *c) {
    struct client *r = server_connect(replica);
    assert_reply(c, "FAILOVER", "+OK");
    await_role(r, "master");
    await_link_of(c);
    await_state(c, "no-failover");
    client_close(r);
}

static void who_waits_is_told_when_the_roles_have_changed(void **state) {
    (void)state;
    struct server *a = TRIVET(), *b = TRIVET();
    struct client *c = server_connect(a), *waiter = server_connect(a);
    replication_follow(b, server_port(a));
    replication_await_link(b);
    send_and_wait(c, waiter, "BLPOP list 0");
    change_roles(b, c);
    assert_next(waiter, "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
                        "replica?)");
    assert_ended(waiter);
    client_close(waiter);
    client_close(c);
    server_free(a);
    server_free(b);
}

static void held_commands_meet_the_new_role(void **state) {
    (void)state;
    struct server *a = TRIVET(), *b = TRIVET();
    struct client *c = server_connect(a), *writer = server_connect(a), *other = server_connect(a);
    replication_follow(b, server_port(a));
    replication_await_link(b);
    assert_reply(other, "MULTI", "+OK");
    assert_reply(other, "SET k 1", "+QUEUED");
    assert_reply(c, "CLIENT PAUSE 1000000 WRITE", "+OK");
    send_and_wait(c, writer, "SET k 2");
    client_send(other, "EXEC");
    assert_info_soon(c, "clients", "blocked_clients", "2");
    change_roles(b, c);
    assert_string_equal(info_field(c, "clients", "paused_reason"), "client_pause"); /* the user's goes on */
    assert_false(client_has_reply(writer));
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_next(writer, READONLY);
    assert_next(other, "-EXECABORT Transaction discarded because of: READONLY You can't write against a read "
                       "only replica.");
    assert_reply(c, "EXISTS k", ":0");
    client_close(other);
    client_close(writer);
    client_close(c);
    server_free(a);
    server_free(b);
}

static void pauses_of_users_and_of_a_failover_end_each_by_itself(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s);
    struct client *reader = server_connect(s.server);
    assert_reply(s.c, "FAILOVER", "+OK");
    send_and_wait(s.c, s.writer, "SET k 3");
    assert_reply(s.c, "CLIENT UNPAUSE", "+OK");
    assert_reply(s.c, "CLIENT PAUSE 100 ALL", "+OK");
    client_send(reader, "GET k");
    assert_next(reader, "$\"2\""); /* the stricter pause is over, the other is not */
    assert_state(s.c, "waiting-for-sync");
    assert_false(client_has_reply(s.writer));
    assert_reply(s.c, "CLIENT PAUSE 1000000 WRITE", "+OK");
    assert_reply(s.c, "FAILOVER ABORT", "+OK");
    assert_string_equal(info_field(s.c, "clients", "paused_reason"), "client_pause");
    assert_false(client_has_reply(s.writer));
    assert_reply(s.c, "CLIENT UNPAUSE", "+OK");
    assert_next(s.writer, "+OK");
    client_close(reader);
    scene_close(&s);
}

/* They learn of it when it is known who the primary is, not before. */
static void who_follows_redirections_is_sent_to_the_new_primary(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s);
    struct client *reader = server_connect(s.server), *waiter = server_connect(s.server);
    struct client *all[] = { s.writer, reader, waiter };
    char redirect[64];
    snprintf(redirect, sizeof redirect, "-REDIRECT 127.0.0.1:%d", s.port);
    for (size_t i = 0; i < 3; i++) assert_reply(all[i], "CLIENT CAPA redirect", "+OK");
    send_and_wait(s.c, waiter, "BLPOP list 0");
    hand_over(&s, "");
    send_and_wait(s.c, s.writer, "SET k 3");
    assert_reply(reader, "GET k", "$\"2\"");
    answer(&s, "+CONTINUE 0123456789abcdef0123456789abcdef01234567");
    assert_next(s.writer, redirect);
    assert_next(waiter, redirect);
    assert_reply(reader, "GET k", redirect);
    client_close(waiter);
    client_close(reader);
    scene_close(&s);
}

/* Old data may not be served, but in a failover it is not old. */
static void reads_go_on_during_a_failover(void **state) {
    (void)state;
    struct scene s;
    scene_open(&s);
    assert_reply(s.c, "CONFIG SET replica-serve-stale-data no", "+OK");
    hand_over(&s, "");
    assert_reply(s.c, "GET k", "$\"2\"");
    answer(&s, "+CONTINUE 0123456789abcdef0123456789abcdef01234567");
    await_link_of(s.c);
    leave(&s);
    assert_reply_soon(s.c, "GET k",
                      "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.");
    scene_close(&s);
}

struct flood {
    pthread_t thread;
    struct server *server;
    atomic_bool is_over;
};

/* Writes with the gate closed, whatever the server says to it. */
static void *flood_main(void *arg) {
    struct flood *f = arg;
    struct client *c = server_connect(f->server);
    while (!atomic_load(&f->is_over)) {
        static const char *const commands[] = { "MULTI", "INCR n", "SWAPDB 5 6", "EXEC" };
        for (int i = 0; i < 40; i++) client_queue(c, "%s", commands[i % 4]);
        client_flush(c);
        for (int i = 0; i < 40; i++) client_read_text(c);
    }
    client_close(c);
    return NULL;
}

/* A command that was admitted on a primary, and then had to wait while another one made it a replica. */
static void who_waited_for_the_gate_meets_the_new_role(void **state) {
    (void)state;
    struct server *s = TRIVET();
    struct client *c = server_connect(s);
    struct flood floods[3] = { 0 };
    for (int i = 0; i < 3; i++) {
        floods[i].server = s;
        pthread_create(&floods[i].thread, NULL, flood_main, &floods[i]);
    }
    for (int i = 0; i < 200; i++) {
        assert_reply_soon(c, "EXISTS n", ":1");
        client_queue(c, "MULTI");
        client_queue(c, "REPLICAOF 127.0.0.1 1");
        client_queue(c, "GET n");
        client_queue(c, "EXEC");
        client_skip(c, 3);
        char first[64];
        const char *reply = client_read_text(c);
        assert_non_null(strchr(reply, '$'));
        snprintf(first, sizeof first, "%.*s", (int)strcspn(strchr(reply, '$'), "]"), strchr(reply, '$'));
        for (int j = 0; j < 5; j++) assert_reply(c, "GET n", first);
        assert_reply(c, "REPLICAOF NO ONE", "+OK");
        assert_reply(c, "DEL n", "...");
    }
    for (int i = 0; i < 3; i++) {
        atomic_store(&floods[i].is_over, true);
        pthread_join(floods[i].thread, NULL);
    }
    client_close(c);
    server_free(s);
}

/* As a Sentinel of Valkey 9 asks for it. */
static void a_failover_may_be_asked_for_in_a_transaction(void **state) {
    (void)state;
    struct server *a = TRIVET(), *b = TRIVET();
    struct client *c = server_connect(a), *r = server_connect(b), *writer = server_connect(a);
    replication_follow(b, server_port(a));
    replication_await_link(b);
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "CLIENT PAUSE 1000000 WRITE", "+QUEUED");
    assert_string_equal(client_ask(c, "FAILOVER TO 127.0.0.1 %d TIMEOUT 60000", server_port(b)), "+QUEUED");
    assert_reply(c, "EXEC", "*[+OK, +OK]");
    send_and_wait(c, writer, "SET k 1");
    await_role(r, "master");
    await_state(c, "no-failover");
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_next(writer, READONLY);
    client_close(writer);
    client_close(r);
    client_close(c);
    server_free(a);
    server_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_its_text),
        cmocka_unit_test(a_target_must_be_online),
        cmocka_unit_test(what_a_failover_under_way_refuses),
        cmocka_unit_test(two_of_ours_change_roles),
        cmocka_unit_test(a_replica_of_redis_takes_over),
        cmocka_unit_test(a_primary_of_redis_hands_over),
        cmocka_unit_test(roles_change_often),
        cmocka_unit_test(other_replicas_go_on_below_the_old_primary),
        cmocka_unit_test(a_target_that_lacks_a_byte_is_given_up),
        cmocka_unit_test(nothing_is_sent_while_a_target_is_waited_for),
        cmocka_unit_test(a_failover_is_called_back_in_each_state),
        cmocka_unit_test(a_target_may_refuse),
        cmocka_unit_test(an_answer_that_got_lost_is_asked_for_again),
        cmocka_unit_test(a_target_out_of_reach_is_given_up_when_the_time_is_up),
        cmocka_unit_test(by_force_a_target_takes_over_that_lags),
        cmocka_unit_test(who_waits_is_told_when_the_roles_have_changed),
        cmocka_unit_test(held_commands_meet_the_new_role),
        cmocka_unit_test(pauses_of_users_and_of_a_failover_end_each_by_itself),
        cmocka_unit_test(who_follows_redirections_is_sent_to_the_new_primary),
        cmocka_unit_test(who_waited_for_the_gate_meets_the_new_role),
        cmocka_unit_test(reads_go_on_during_a_failover),
        cmocka_unit_test(a_failover_may_be_asked_for_in_a_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
