/* test_volatile_databases.c: db-persistence N no, on servers of four workers and of one: what is in such a
 * database is in no file, and on every replica; what goes from it to another one, or back, is in the files as
 * it should be. */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/saves.h"
#include <stdlib.h>
#include <string.h>

#define PERSISTENCE "--save", "", "--db-persistence", "1", "no", "--db-persistence", "2", "no"
#define UNLIKE \
    "-ERR SWAPDB of a database that files hold with one that they do not (db-persistence) is not possible"

/* In databases 0 (which files hold), 1 and 2 (which they do not). */
static const struct exchange writes[] = {
    { "SET kept 1", "+OK" },
    { "SET moved away", "+OK" },
    { "MOVE moved 1", ":1" },
    { "HSET copied f v", ":1" },
    { "COPY copied copied DB 2", ":1" },
    { "SELECT 1", "+OK" },
    { "SET lost 1", "+OK" },
    { "RPUSH list a b c", ":3" },
    { "PEXPIREAT list 9000000000000", ":1" },
    { "MOVE list 0", ":1" },
    { "SADD set a b c", ":3" },
    { "COPY set set DB 0", ":1" },
    { "COPY set set2", ":1" },
    { "MULTI", "+OK" },
    { "SET lost2 2", "+QUEUED" },
    { "SELECT 0", "+QUEUED" },
    { "INCR kept", "+QUEUED" },
    { "SELECT 1", "+QUEUED" },
    { "INCR lost", "+QUEUED" },
    { "SELECT 0", "+QUEUED" },
    { "INCR kept", "+QUEUED" },
    { "EXEC", "*[+OK, +OK, :2, +OK, :2, +OK, :3]" },
    { "EVAL \"redis.call('SET', 'script', 1) redis.call('SELECT', 1) "
      "redis.call('SET', 'script', 2)\" 0",
      "$-1" },
    { "SELECT 1", "+OK" },
    { "FUNCTION LOAD '#!lua name=f\nredis.register_function(\"f\", function() return 1 end)'", "$\"f\"" },
    { "SWAPDB 1 2", "+OK" },
    { "SWAPDB 0 1", UNLIKE },
    { "SWAPDB 2 0", UNLIKE },
    { "SELECT 0", "+OK" },
    { NULL, NULL },
};

/* What is left of it when only files are. */
static const struct exchange held_by_files[] = {
    { "SELECT 0", "+OK" },
    { "GET kept", "$\"3\"" },
    { "EXISTS moved", ":0" },
    { "HGETALL copied", "*[$\"f\", $\"v\"]" },
    { "LRANGE list 0 -1", "*[$\"a\", $\"b\", $\"c\"]" },
    { "PEXPIRETIME list", ":9000000000000" },
    { "SCARD set", ":3" },
    { "GET script", "$\"1\"" },
    { "DBSIZE", ":5" },
    { "FCALL_RO f 0", "..." },
    { "SELECT 1", "+OK" },
    { "DBSIZE", ":0" },
    { "SELECT 2", "+OK" },
    { "DBSIZE", ":0" },
    { "SELECT 0", "+OK" },
    { NULL, NULL },
};

static void assert_all_there(struct client *c) {
    static const struct exchange rows[] = {
        { "DBSIZE", ":5" },
        { "SELECT 1", "+OK" },
        { "HGETALL copied", "*[$\"f\", $\"v\"]" },
        { "DBSIZE", ":1" },
        { "SELECT 2", "+OK" },
        { "GET lost", "$\"2\"" },
        { "GET moved", "$\"away\"" },
        { "GET script", "$\"2\"" },
        { "DBSIZE", ":6" },
        { "SELECT 0", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void restart(struct server *s, struct client **c, bool kills) {
    client_close(*c);
    if (kills)
        server_kill(s);
    else
        server_stop(s);
    server_restart(s);
    *c = server_connect(s);
}

/* All is there until the server is killed; then what files hold. */
static void assert_kept(struct server *s, struct client **c) {
    assert_all_there(*c);
    restart(s, c, true);
    assert_exchanges(*c, held_by_files);
}

static void end(struct server *s, struct client *c) {
    client_close(c);
    server_stop(s);
    server_free(s);
}

static void the_append_only_file_holds_the_others(void **state) {
    (void)state;
    struct server *s = server_start(PERSISTENCE, "--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_exchanges(c, writes);
    assert_kept(s, &c);
    assert_reply(c, "SET after x", "+OK");
    assert_reply(c, "DEL after", ":1");
    assert_reply(c, "DEBUG LOADAOF", "+OK");
    assert_exchanges(c, held_by_files);
    end(s, c);
}

static void a_rewritten_file_holds_the_others(void **state) {
    (void)state;
    static const char *const preambles[] = { "yes", "no" };
    for (size_t i = 0; i < COUNT_OF(preambles); i++) {
        struct server *s =
            server_start(PERSISTENCE, "--appendonly", "yes", "--aof-use-rdb-preamble", preambles[i], NULL);
        struct client *c = server_connect(s);
        assert_exchanges(c, writes);
        assert_reply(c, "BGREWRITEAOF", "...");
        assert_info_soon(c, "persistence", "aof_rewrite_in_progress", "0");
        assert_reply(c, "BGREWRITEAOF", "..."); /* the epoch of what was left out is as it should be */
        assert_info_soon(c, "persistence", "aof_rewrite_in_progress", "0");
        assert_kept(s, &c);
        end(s, c);
    }
}

static void snapshots_hold_the_others(void **state) {
    (void)state;
    struct server *s = server_start(PERSISTENCE, NULL);
    struct client *c = server_connect(s);
    assert_exchanges(c, writes);
    assert_reply(c, "BGSAVE", "...");
    assert_info_soon(c, "persistence", "rdb_bgsave_in_progress", "0");
    assert_kept(s, &c);
    assert_reply(c, "FLUSHALL", "+OK");
    assert_reply(c, "FUNCTION FLUSH", "+OK");
    assert_exchanges(c, writes);
    assert_reply(c, "SAVE", "+OK");
    assert_all_there(c);
    assert_reply(c, "DEBUG RELOAD", "+OK"); /* as a restart */
    assert_exchanges(c, held_by_files);
    end(s, c);
}

static void what_changes_there_is_no_change_for_save_points(void **state) {
    (void)state;
    struct server *s = server_start(PERSISTENCE, NULL);
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "SELECT 1", "+OK" },
        { "SET a 1", "+OK" },
        { "XADD x 1-1 f v", "$\"1-1\"" },
        { "XGROUP CREATE x g 0", "+OK" },
        { "FLUSHDB", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_info(c, "persistence", "rdb_changes_since_last_save", "0");
    assert_reply(c, "SET a 1", "+OK");
    assert_reply(c, "MOVE a 0", ":1");
    assert_info(c, "persistence", "rdb_changes_since_last_save", "1");
    /* What begins to be saved is a change. */
    assert_reply(c, "MSET a 1 b 2 c 3", "+OK");
    assert_reply(c, "CONFIG SET db-persistence '2 no'", "+OK");
    assert_info(c, "persistence", "rdb_changes_since_last_save", "4");
    assert_reply(c, "SAVE", "+OK");
    restart(s, &c, true);
    assert_reply(c, "SELECT 1", "+OK");
    assert_reply(c, "DBSIZE", ":0"); /* the command line says no again */
    end(s, c);
}

static void flushing_all_is_in_the_file_from_wherever_it_comes(void **state) {
    (void)state;
    struct server *s = server_start(PERSISTENCE, "--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET a 1", "+OK");
    assert_reply(c, "SELECT 1", "+OK");
    assert_reply(c, "FLUSHDB", "+OK");
    restart(s, &c, true);
    assert_reply(c, "GET a", "$\"1\"");
    assert_reply(c, "SELECT 1", "+OK");
    assert_reply(c, "FLUSHALL", "+OK");
    restart(s, &c, true);
    assert_reply(c, "EXISTS a", ":0");
    end(s, c);
}

static void it_changes_only_while_there_is_no_append_only_file(void **state) {
    (void)state;
    struct server *s = server_start("--save", "", "--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "SELECT 1", "+OK" },
        { "SET a 1", "+OK" },
        { "CONFIG SET db-persistence '1 no'",
          "-ERR CONFIG SET failed (possibly related to argument 'db-persistence') - db-persistence can only "
          "change while appendonly is no" },
        { "CONFIG GET db-persistence", "*[$\"db-persistence\", $\"\"]" },
        { "CONFIG SET maxmemory 1gb db-persistence '1 no'", "-ERR CONFIG SET failed ..." },
        { "CONFIG SET db-maxmemory '1 1gb' db-persistence '1 yes'", "+OK" },
        { "CONFIG SET appendonly no db-persistence '1 no'", "+OK" },
        { "CONFIG GET db-persistence", "*[$\"db-persistence\", $\"1 no\"]" },
        { "CONFIG SET appendonly yes", "+OK" },
        { "SELECT 0", "+OK" },
        { "SET b 1", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_info_soon(c, "persistence", "aof_rewrite_in_progress", "0");
    assert_reply(c, "DEBUG LOADAOF", "+OK");
    assert_reply(c, "GET b", "$\"1\"");
    assert_reply(c, "SELECT 1", "+OK");
    assert_reply(c, "EXISTS a", ":0");
    end(s, c);
}

static void replicas_have_all_of_it(void **state) {
    (void)state;
    struct server *primary = TRIVET(PERSISTENCE, "--appendonly", "yes", "--repl-diskless-sync", "no");
    struct server *replica = TRIVET("--appendonly", "yes", "--save", "");
    struct replica_pair p = replica_pair_of(primary, replica);
    assert_exchanges(p.primary, writes); /* before: a full synchronization has it */
    replica_pair_follow(&p);
    replication_await_write(p.primary, p.replica);
    replication_assert_same(primary, replica);
    assert_reply(p.primary, "FLUSHALL", "+OK");
    assert_reply(p.primary, "FUNCTION FLUSH", "+OK");
    assert_exchanges(p.primary, writes); /* and after: the stream has it */
    replication_await_write(p.primary, p.replica);
    replication_assert_same(primary, replica);
    replica_pair_close(&p);
}

/* The files are no state of the history: after a restart a replica gets all, and both are the same. */
static void a_restart_gives_replicas_all_data(void **state) {
    (void)state;
    struct server *primary = TRIVET(PERSISTENCE, "--appendonly", "yes");
    struct server *replica = TRIVET("--appendonly", "yes", "--save", "");
    struct replica_pair p = replica_pair_of(primary, replica);
    replica_pair_follow(&p);
    assert_exchanges(p.primary, writes);
    replication_await_write(p.primary, p.replica);
    restart(primary, &p.primary, true);
    replica_pair_await_link(&p);
    replication_assert_same(primary, replica);
    struct replication seen;
    replication_look(primary, &seen);
    assert_int_equal(seen.full, 1);
    assert_int_equal(seen.partial, 0);
    assert_reply(p.replica, "SELECT 2", "+OK");
    assert_reply(p.replica, "DBSIZE", ":0");
    replica_pair_close(&p);
}

/* A swap by its primary, which knows nothing of it, is in its file; and when it has loaded that, it takes all
 * data once more, also what its files do not hold. */
static void a_replica_may_have_such_databases_of_its_own(void **state) {
    (void)state;
    struct server *primary = TRIVET("--save", ""), *replica = TRIVET(PERSISTENCE, "--appendonly", "yes");
    struct replica_pair p = replica_pair_of(primary, replica);
    replica_pair_follow(&p);
    static const struct exchange rows[] = {
        { "SELECT 1", "+OK" },   { "SET one 1", "+OK" },  { "RPUSH list a b", ":2" }, { "SELECT 0", "+OK" },
        { "SET zero 0", "+OK" }, { "SWAPDB 0 1", "+OK" }, { "APPEND one 1", ":2" },   { NULL, NULL },
    };
    assert_exchanges(p.primary, rows);
    replication_await_write(p.primary, p.replica);
    replication_assert_same(primary, replica);
    saves_await(p.replica); /* its file begins anew with what it has got */
    assert_reply(p.replica, "DEBUG LOADAOF", "+OK");
    replica_pair_await_link(&p);
    replication_assert_same(primary, replica);
    saves_await(p.replica);
    restart(replica, &p.replica, true);
    assert_reply(p.replica, "EXISTS one", ":1"); /* from its file */
    assert_reply(p.replica, "GET one", "$\"11\"");
    assert_reply(p.replica, "SELECT 1", "+OK");
    assert_reply(p.replica, "DBSIZE", ":0");
    replica_pair_follow(&p);
    replication_assert_same(primary, replica);
    replica_pair_close(&p);
}

static void waiting_for_the_file_does_not_wait_for_what_it_does_not_get(void **state) {
    (void)state;
    struct server *s = server_start(PERSISTENCE, "--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SELECT 1", "+OK");
    assert_reply(c, "SET a 1", "+OK");
    assert_reply(c, "WAITAOF 1 0 0", "*[:1, :0]");
    end(s, c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_append_only_file_holds_the_others),
        cmocka_unit_test(a_rewritten_file_holds_the_others),
        cmocka_unit_test(snapshots_hold_the_others),
        cmocka_unit_test(what_changes_there_is_no_change_for_save_points),
        cmocka_unit_test(flushing_all_is_in_the_file_from_wherever_it_comes),
        cmocka_unit_test(it_changes_only_while_there_is_no_append_only_file),
        cmocka_unit_test(replicas_have_all_of_it),
        cmocka_unit_test(a_restart_gives_replicas_all_data),
        cmocka_unit_test(a_replica_may_have_such_databases_of_its_own),
        cmocka_unit_test(waiting_for_the_file_does_not_wait_for_what_it_does_not_get),
    };
    int failed = cmocka_run_group_tests_name("four workers", tests, NULL, NULL);
    setenv("TRIVET_IO_THREADS", "1", 1);
    return failed + cmocka_run_group_tests_name("one worker", tests, NULL, NULL);
}
