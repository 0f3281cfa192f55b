/* replication.c: see replication.h. */
#include "replication.h"
#include "check.h"
#include "dataset.h"
#include "fail.h"
#include <stdio.h>
#include <stdlib.h>

#define PAUSE_MS 5
#define SETTLE_MS 20000 /* keys that expire may make a difference for so long */
#define ARGS_MAX 64

const char *peer_name(enum peer kind) { return kind == PEER_REDIS ? "redis" : "trivet"; }

static const char *program_of(enum peer kind) {
    const char *reference = getenv("REFERENCE_SERVER");
    if (kind == PEER_TRIVET) return NULL;
    return reference && *reference ? reference : "redis-server";
}

static struct server *launch_unready(enum peer kind, const struct server_plan *plan) {
    const char *all[ARGS_MAX] = { "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "10mb" };
    size_t count = 4;
    for (const char *const *more = plan->args; more && *more; more++) {
        if (count == ARGS_MAX - 1) HARNESS_FAIL("too many arguments");
        all[count++] = *more;
    }
    struct server_plan own = *plan;
    own.program = program_of(kind);
    own.args = all;
    return server_launch_unready(&own);
}

struct server *peer_launch(enum peer kind, const struct server_plan *plan) {
    struct server *s = launch_unready(kind, plan);
    server_await(s);
    return s;
}

struct server *peer_start_unready(enum peer kind, const char *const *args) {
    return launch_unready(kind, &(struct server_plan){ .args = args, .tcp = true });
}

struct server *peer_start(enum peer kind, const char *const *args) {
    return peer_launch(kind, &(struct server_plan){ .args = args, .tcp = true });
}

/* ---- INFO ---- */

static void field_text(const char *info, const char *name, char *out, size_t size) {
    char label[64];
    snprintf(label, sizeof label, "\n%s:", name);
    const char *at = strstr(info, label);
    snprintf(out, size, "%.*s", at ? (int)strcspn(at + strlen(label), "\r\n") : 0,
             at ? at + strlen(label) : "");
}

static int64_t field_number(const char *info, const char *name) {
    char text[32];
    field_text(info, name, text, sizeof text);
    return strtoll(text, NULL, 10);
}

static bool field_is(const char *info, const char *name, const char *wanted) {
    char text[32];
    field_text(info, name, text, sizeof text);
    return strcmp(text, wanted) == 0;
}

void replication_look(struct server *s, struct replication *out) {
    struct client *c = server_connect(s);
    struct node *reply = client_ask_node(c, "INFO everything");
    const char *info = text_str(&reply->bytes);
    *out = (struct replication){
        .is_replica = field_is(info, "role", "slave"),
        .link_up = field_is(info, "master_link_status", "up"),
        .syncing = field_is(info, "master_sync_in_progress", "1"),
        .loading = field_is(info, "loading", "1"),
        .offset = field_number(info, "master_repl_offset"),
        .second_offset = field_number(info, "second_repl_offset"),
        .read_offset = field_number(info, "slave_read_repl_offset"),
        .processed = field_number(info, "slave_repl_offset"),
        .first_byte = field_number(info, "repl_backlog_first_byte_offset"),
        .histlen = field_number(info, "repl_backlog_histlen"),
        .replicas = field_number(info, "connected_slaves"),
        .full = field_number(info, "sync_full"),
        .partial = field_number(info, "sync_partial_ok"),
        .refused = field_number(info, "sync_partial_err"),
    };
    field_text(info, "master_replid", out->id, sizeof out->id);
    field_text(info, "master_replid2", out->second_id, sizeof out->second_id);
    node_free(reply);
    client_close(c);
}

bool peer_is_reference(struct server *s) {
    struct client *c = server_connect(s);
    bool is = *info_field(c, "server", "trivet_version") == '\0';
    client_close(c);
    return is;
}

int64_t replication_offset(struct client *c) { return info_number(c, "replication", "master_repl_offset"); }

/* ---- roles ---- */

static void expect_ok(struct server *s, const char *command) {
    struct client *c = server_connect(s);
    assert_reply(c, command, "+OK...");
    client_close(c);
}

void replication_follow(struct server *replica, int port) {
    char command[64];
    snprintf(command, sizeof command, "REPLICAOF 127.0.0.1 %d", port);
    expect_ok(replica, command);
}

void replication_promote(struct server *s) { expect_ok(s, "REPLICAOF NO ONE"); }

void replication_open_backlog(struct server *s) {
    struct client *c = server_connect(s), *first = server_connect(s);
    client_send(first, "PSYNC ? -1");
    assert_info_soon(c, "replication", "repl_backlog_active", "1");
    client_abandon(first);
    assert_info_soon(c, "replication", "connected_slaves", "0");
    client_close(c);
}

/* ---- waiting and comparing ---- */

static void describe(struct text *out, const char *who, const struct replication *r) {
    text_printf(out,
                "\n  %s: %s, link %s%s%s, id %s, offset %lld, processed %lld, backlog from %lld with %lld, "
                "replicas %lld, sync full %lld partial %lld refused %lld",
                who, r->is_replica ? "replica" : "primary", r->link_up ? "up" : "down",
                r->syncing ? ", syncing" : "", r->loading ? ", loading" : "", r->id, (long long)r->offset,
                (long long)r->processed, (long long)r->first_byte, (long long)r->histlen,
                (long long)r->replicas, (long long)r->full, (long long)r->partial, (long long)r->refused);
}

void replication_await_that(bool (*holds)(const struct replication *), struct server *s, const char *what) {
    struct replication now;
    for (int64_t until = deadline_after(REPLICATION_PATIENCE_MS);;) {
        replication_look(s, &now);
        if (holds(&now)) return;
        if (deadline_has_passed(until)) break;
        pause_ms(PAUSE_MS);
    }
    struct text said = { 0 };
    describe(&said, "server", &now);
    HARNESS_FAIL("%s: not within %d ms%s", what, REPLICATION_PATIENCE_MS, text_str(&said));
}

static bool link_is_up(const struct replication *r) { return r->link_up && !r->loading; }

void replication_await_link(struct server *replica) {
    replication_await_that(link_is_up, replica, "the link to the primary comes up");
}

void replication_await(struct server *primary, struct server *replica) {
    struct replication p, r;
    for (int64_t until = deadline_after(REPLICATION_PATIENCE_MS);;) {
        replication_look(primary, &p);
        replication_look(replica, &r);
        if (link_is_up(&r) && strcmp(p.id, r.id) == 0 && p.offset == r.offset && r.offset == r.processed)
            return;
        if (deadline_has_passed(until)) break;
        pause_ms(PAUSE_MS);
    }
    struct text said = { 0 };
    describe(&said, "primary", &p);
    describe(&said, "replica", &r);
    HARNESS_FAIL("the replica does not catch up%s", text_str(&said));
}

void replication_await_write(struct client *primary, struct client *replica) {
    static int mark;
    char expected[32];
    snprintf(expected, sizeof expected, "$\"%d\"", ++mark);
    const char *reply = client_ask(primary, "SET sync-mark %d", mark);
    if (strcmp(reply, "+OK") != 0) HARNESS_FAIL("the primary takes no write: %s", reply);
    assert_reply_soon(replica, "GET sync-mark", expected);
}

void replication_sync(struct server *primary, struct server *replica) {
    struct client *p = server_connect(primary), *r = server_connect(replica);
    replication_follow(replica, server_port(primary));
    replication_await_write(p, r);
    client_close(p);
    client_close(r);
}

void replication_assert_same(struct server *primary, struct server *replica) {
    struct text difference = { 0 };
    unsigned without =
        (peer_is_reference(primary) ? DATASET_WITHOUT_DELIVERIES | DATASET_WITHOUT_COUNTS : 0) |
        (peer_is_reference(replica) ? DATASET_WITHOUT_COUNTS : 0);
    for (int64_t until = deadline_after(SETTLE_MS);;) {
        replication_await(primary, replica);
        struct client *p = server_connect(primary), *r = server_connect(replica);
        bool same = dataset_same(p, r, without, &difference);
        client_close(p);
        client_close(r);
        if (same) break;
        if (deadline_has_passed(until)) HARNESS_FAIL("the replica has other data: %s", text_str(&difference));
        pause_ms(PAUSE_MS);
    }
    text_release(&difference);
}

/* ---- pairs ---- */

struct replica_pair replica_pair_of(struct server *primary, struct server *replica) {
    return (struct replica_pair){ primary, replica, server_connect(primary), server_connect(replica) };
}

struct replica_pair replica_pair_start(enum peer primary, enum peer replica, const char *const *args) {
    struct replica_pair p = replica_pair_of(peer_start(primary, args), peer_start(replica, args));
    replica_pair_follow(&p);
    return p;
}

void replica_pair_follow(struct replica_pair *p) {
    replication_follow(p->replica_server, server_port(p->primary_server));
    replica_pair_await_link(p);
}

void replica_pair_await_link(struct replica_pair *p) {
    char role[128];
    snprintf(role, sizeof role, "*[$\"slave\", $\"127.0.0.1\", :%d, $\"connected\", :...]",
             server_port(p->primary_server));
    assert_reply_soon(p->replica, "ROLE", role);
    assert_reply_soon(p->primary, "ROLE", "*[$\"master\", :..., *[*[$\"127.0.0.1\", $\"...\", $\"...\"]]]");
}

void replica_pair_close(struct replica_pair *p) {
    client_close(p->primary);
    client_close(p->replica);
    server_free(p->replica_server);
    server_free(p->primary_server);
}
