/* test_replication_restart.c: a server that starts again goes on where its data on disk stands: a replica
 * asks its primary for what comes next, and replicas of a primary that was away continue. Nobody gets all
 * data once more, and in the end both have the same. */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 60
#define EVERYSEC "--appendonly", "yes", "--appendfsync", "everysec"
#define ALWAYS "--appendonly", "yes", "--appendfsync", "always"
#define NO_FILE "--appendonly", "no", "--save", "3600 1"

/* ---- two servers ---- */

struct pair {
    struct server *primary, *replica;
};

static time_t deadline(void) { return time(NULL) + PATIENCE_S; }

static void digest_of(struct server *s, char digest[DIGEST_TEXT]) {
    struct client *c = server_connect(s);
    saves_digest(c, digest);
    client_close(c);
}

static int64_t stat_of(struct server *s, const char *field) {
    struct client *c = server_connect(s);
    int64_t n = info_number(c, "stats", field);
    client_close(c);
    return n;
}

/* Nobody writes. Waits until the number of synchronizations that the primary counts is there. */
static void await_count(struct server *primary, const char *field, int64_t least) {
    for (time_t end = deadline(); stat_of(primary, field) < least; usleep(2000))
        if (time(NULL) > end) HARNESS_FAIL("%s never came to %lld", field, (long long)least);
}

/* Nobody writes. */
static void await_same(const struct pair *p) {
    char a[DIGEST_TEXT], b[DIGEST_TEXT];
    for (time_t end = deadline();; usleep(5000)) {
        digest_of(p->primary, a);
        digest_of(p->replica, b);
        if (strcmp(a, b) == 0) return;
        if (time(NULL) > end) HARNESS_FAIL("the replica has %s, the primary %s", b, a);
    }
}

static void run(struct server *s, const char *command, const char *expected) {
    struct client *c = server_connect(s);
    assert_reply(c, command, expected);
    client_close(c);
}

/* The arguments of a kind of persistence, with those of all. */
static struct server *start(const char *const *kind, const char *replicaof) {
    const char *args[24] = { "--repl-diskless-sync-delay", "0",   "--repl-backlog-size", "200mb",
                             "--repl-ping-replica-period", "3600" };
    size_t count = 6;
    while (*kind) args[count++] = *kind++;
    if (replicaof) {
        args[count++] = "--replicaof";
        args[count++] = replicaof;
    }
    return server_launch(&(struct server_plan){ .args = args, .tcp = true });
}

static void fill(struct server *s, int from) {
    struct client *c = server_connect(s);
    assert_reply(c, "SELECT 7", "+OK");
    for (int i = from; i < from + 300; i++) {
        client_queue(c, "SET key:%d value-%d", i, i);
        client_queue(c, "RPUSH list a%d b%d", i, i);
    }
    client_queue(c, "MULTI");
    client_queue(c, "SET x %d", from);
    client_queue(c, "SELECT 3");
    client_queue(c, "SADD s m%d", from);
    client_queue(c, "EXEC");
    client_queue(c, "SET y %d", from); /* in database 3 */
    client_skip(c, 606);
    client_close(c);
}

/* Both are up, have the same, and the replica has had all data once. */
static struct pair start_pair(const char *const *kind) {
    char address[64];
    struct pair p = { .primary = start(kind, NULL) };
    fill(p.primary, 0);
    snprintf(address, sizeof address, "127.0.0.1 %d", server_port(p.primary));
    p.replica = start(kind, address);
    await_count(p.primary, "sync_full", 1);
    await_same(&p);
    fill(p.primary, 300);
    await_same(&p);
    return p;
}

static void free_pair(struct pair *p) {
    server_free(p->replica);
    server_free(p->primary);
}

/* ---- a replica ---- */

/* A base on disk that belongs to what a full synchronization has brought. */
static void await_file(struct server *replica) {
    struct client *c = server_connect(replica);
    saves_await(c);
    client_close(c);
}

static void end(struct server *s, bool by_kill) {
    if (by_kill)
        server_kill(s);
    else
        server_stop(s);
}

/* The replica was away while the primary wrote. */
static void check_replica(const char *const *kind, bool by_kill) {
    struct pair p = start_pair(kind);
    await_file(p.replica);
    if (by_kill && strcmp(kind[1], "no") == 0) run(p.replica, "SAVE", "+OK");
    end(p.replica, by_kill);
    fill(p.primary, 600);
    server_restart(p.replica);
    await_count(p.primary, "sync_partial_ok", 1);
    await_same(&p);
    fill(p.primary, 900); /* it goes on in the right database */
    await_same(&p);
    assert_int_equal(stat_of(p.primary, "sync_full"), 1);
    free_pair(&p);
}

static const char *const everysec[] = { EVERYSEC, NULL }, *const always[] = { ALWAYS, NULL },
                         *const no_file[] = { NO_FILE, NULL };

static void a_replica_continues_after_an_orderly_end(void **state) {
    (void)state;
    check_replica(everysec, false);
    check_replica(always, false);
    check_replica(no_file, false);
}

static void a_replica_continues_after_it_was_killed(void **state) {
    (void)state;
    check_replica(everysec, true);
    check_replica(always, true);
    check_replica(no_file, true);
}

/* ---- a primary ---- */

static void check_primary(const char *const *kind, bool by_kill) {
    struct pair p = start_pair(kind);
    end(p.primary, by_kill);
    server_restart(p.primary);
    await_count(p.primary, "sync_partial_ok", 1);
    fill(p.primary, 600);
    await_same(&p);
    end(p.primary, by_kill); /* and once more, with an older name of the history */
    server_restart(p.primary);
    await_count(p.primary, "sync_partial_ok", 1);
    await_same(&p);
    assert_int_equal(stat_of(p.primary, "sync_full"), 0);
    free_pair(&p);
}

static void replicas_continue_after_an_orderly_end_of_their_primary(void **state) {
    (void)state;
    check_primary(everysec, false);
    check_primary(always, false);
    check_primary(no_file, false);
}

static void replicas_continue_after_their_primary_was_killed(void **state) {
    (void)state;
    check_primary(everysec, true);
    check_primary(always, true);
}

/* Its data is older than what the replica has: that must not stay. */
static void a_primary_that_lost_data_does_not_pretend(void **state) {
    (void)state;
    struct pair p = start_pair(no_file);
    run(p.primary, "SAVE", "+OK");
    fill(p.primary, 600);
    await_same(&p);
    server_kill(p.primary);
    server_restart(p.primary);
    await_count(p.primary, "sync_full", 1);
    await_same(&p);
    assert_int_equal(stat_of(p.primary, "sync_partial_ok"), 0);
    free_pair(&p);
}

/* What only replicas get counts in the offset too. */
static void published_messages_do_not_break_the_history(void **state) {
    (void)state;
    struct pair p = start_pair(everysec);
    for (int i = 0; i < 20; i++) run(p.primary, "PUBLISH channel message", ":0");
    await_same(&p);
    server_kill(p.primary);
    server_restart(p.primary);
    await_count(p.primary, "sync_partial_ok", 1);
    fill(p.primary, 600);
    await_same(&p);
    assert_int_equal(stat_of(p.primary, "sync_full"), 0);
    free_pair(&p);
}

static void rewrites_keep_the_place(void **state) {
    (void)state;
    struct pair p = start_pair(everysec);
    struct server *both[] = { p.primary, p.replica };
    for (size_t i = 0; i < 2; i++) {
        struct client *c = server_connect(both[i]);
        saves_rewrite(c);
        client_close(c);
    }
    server_kill(p.replica);
    server_restart(p.replica);
    await_count(p.primary, "sync_partial_ok", 1);
    server_kill(p.primary);
    server_restart(p.primary);
    await_count(p.primary, "sync_partial_ok", 1);
    fill(p.primary, 600);
    await_same(&p);
    assert_int_equal(stat_of(p.primary, "sync_full"), 0);
    free_pair(&p);
}

/* ---- under load ---- */

struct writer {
    struct server *server;
    pthread_t thread;
    atomic_bool stop;
    atomic_size_t answered;
};

/* Until it is stopped, or the server is. */
static void *write_on(void *arg) {
    struct writer *w = arg;
    struct client *c = server_connect(w->server);
    for (unsigned i = 0; !atomic_load(&w->stop); i++) {
        for (unsigned k = 0; k < 20; k++) client_queue(c, "APPEND log:%u %u,", (i * 20 + k) % 1000, i);
        if (!client_flush(c)) break;
        struct node *reply = NULL;
        for (int k = 0; k < 20 && (reply = client_read_or_end(c)); k++) node_free(reply);
        if (!reply) break;
        atomic_fetch_add(&w->answered, 20);
    }
    client_close(c);
    return NULL;
}

static void writer_start(struct writer *w, struct server *s) {
    *w = (struct writer){ .server = s };
    assert_int_equal(pthread_create(&w->thread, NULL, write_on, w), 0);
}

static void writer_await(struct writer *w, size_t more) {
    size_t goal = atomic_load(&w->answered) + more;
    for (time_t end_time = deadline(); atomic_load(&w->answered) < goal; usleep(1000))
        if (time(NULL) > end_time) HARNESS_FAIL("the writer is not answered");
}

static void writer_stop(struct writer *w) {
    atomic_store(&w->stop, true);
    pthread_join(w->thread, NULL);
}

static void check_replica_under_load(const char *const *kind, bool by_kill) {
    static struct writer w; /* its thread outlives a test that fails */
    struct pair p = start_pair(kind);
    await_file(p.replica);
    writer_start(&w, p.primary);
    for (int round = 1; round <= 3; round++) {
        writer_await(&w, 2000);
        end(p.replica, by_kill);
        server_restart(p.replica);
        await_count(p.primary, "sync_partial_ok", round);
    }
    writer_stop(&w);
    await_same(&p);
    assert_int_equal(stat_of(p.primary, "sync_full"), 1);
    free_pair(&p);
}

static void a_replica_continues_under_load(void **state) {
    (void)state;
    check_replica_under_load(everysec, true);
    check_replica_under_load(always, true);
    check_replica_under_load(everysec, false);
}

/* The replica is behind when the primary is killed, so the stream that it lacks comes from the file. */
static void check_primary_under_load(const char *const *kind) {
    static struct writer w; /* its thread outlives a test that fails */
    struct pair p = start_pair(kind);
    for (int round = 0; round < 3; round++) {
        writer_start(&w, p.primary);
        writer_await(&w, 2000);
        server_kill(p.primary);
        writer_stop(&w);
        server_restart(p.primary);
        await_count(p.primary, "sync_partial_ok", 1);
        await_same(&p);
        assert_int_equal(stat_of(p.primary, "sync_full"), 0);
    }
    free_pair(&p);
}

static void replicas_continue_after_their_primary_was_killed_under_load(void **state) {
    (void)state;
    check_primary_under_load(everysec);
    check_primary_under_load(always);
}

/* ---- DEBUG RELOAD ---- */

static void a_reload_of_the_same_data_goes_unnoticed_and_of_other_data_does_not(void **state) {
    (void)state;
    struct pair p = start_pair(everysec);
    run(p.primary, "SET gone v PX 1", "+OK");
    run(p.primary, "DEBUG RELOAD", "+OK");
    fill(p.primary, 600);
    await_same(&p);
    assert_int_equal(stat_of(p.primary, "sync_full"), 1);
    run(p.primary, "FLUSHALL", "+OK");
    run(p.primary, "DEBUG RELOAD NOSAVE", "+OK");
    await_count(p.primary, "sync_full", 2);
    await_same(&p);
    await_file(p.primary);
    server_kill(p.primary);
    server_restart(p.primary);
    await_count(p.primary, "sync_partial_ok", 1);
    await_same(&p);
    run(p.replica, "DEBUG RELOAD NOSAVE", "...");
    free_pair(&p);
}

/* ---- what a replica has on its disk ---- */

static void waitaof_hears_of_the_replicas_disk(void **state) {
    (void)state;
    static const char *const never[] = { "--appendonly", "yes", "--appendfsync", "no", NULL };
    const char *const *kinds[] = { everysec, always, never };
    for (size_t i = 0; i < 3; i++) {
        struct pair p = start_pair(kinds[i]);
        await_file(p.replica);
        struct client *c = server_connect(p.primary);
        for (int k = 0; k < 30; k++) {
            client_queue(c, "SET key:%d other", k);
            client_skip(c, 1);
            assert_reply(c, "WAITAOF 1 1 60000", "*[:1, :1]");
        }
        client_close(c);
        free_pair(&p);
    }
}

/* Without a file it has nothing on disk, whatever it acknowledges. */
static void a_replica_without_a_file_does_not_count_for_waitaof(void **state) {
    (void)state;
    struct pair p = start_pair(no_file);
    struct client *c = server_connect(p.primary);
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "WAIT 1 60000", ":1");
    assert_reply(c, "WAITAOF 0 1 100", "*[:0, :0]");
    client_close(c);
    free_pair(&p);
}

/* ---- other servers ---- */

/* Redis 7.0 skips the notes: it has the same data, and its tool finds nothing wrong. */
static void redis_loads_files_with_positions(void **state) {
    (void)state;
    static const char *const kind[] = { EVERYSEC, "--rdb-write-version", "10", NULL };
    struct pair p = start_pair(kind);
    struct server *both[] = { p.primary, p.replica };
    await_file(p.replica);
    for (size_t i = 0; i < 2; i++) {
        char command[512], ours[DIGEST_TEXT], theirs[DIGEST_TEXT];
        digest_of(both[i], ours);
        server_stop(both[i]);
        snprintf(command, sizeof command, "grep -q '^#POS:' %sappendonlydir/*.incr.aof",
                 server_path(both[i], ""));
        assert_int_equal(system(command), 0);
        snprintf(command, sizeof command, "redis-check-aof %s > /dev/null",
                 server_path(both[i], "appendonlydir/appendonly.aof.manifest"));
        assert_int_equal(system(command), 0);
        const char *args[] = { "--dir", server_folder(both[i]),   "--appendonly",
                               "yes",   "--enable-debug-command", "yes",
                               NULL };
        struct server *redis =
            server_launch(&(struct server_plan){ .program = "redis-server", .args = args, .bare = true });
        digest_of(redis, theirs);
        assert_string_equal(theirs, ours);
        server_free(redis);
    }
    free_pair(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_continues_after_an_orderly_end),
        cmocka_unit_test(a_replica_continues_after_it_was_killed),
        cmocka_unit_test(replicas_continue_after_an_orderly_end_of_their_primary),
        cmocka_unit_test(replicas_continue_after_their_primary_was_killed),
        cmocka_unit_test(a_primary_that_lost_data_does_not_pretend),
        cmocka_unit_test(published_messages_do_not_break_the_history),
        cmocka_unit_test(rewrites_keep_the_place),
        cmocka_unit_test(a_replica_continues_under_load),
        cmocka_unit_test(replicas_continue_after_their_primary_was_killed_under_load),
        cmocka_unit_test(a_reload_of_the_same_data_goes_unnoticed_and_of_other_data_does_not),
        cmocka_unit_test(waitaof_hears_of_the_replicas_disk),
        cmocka_unit_test(a_replica_without_a_file_does_not_count_for_waitaof),
        cmocka_unit_test(redis_loads_files_with_positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
