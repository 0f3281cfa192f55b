/* test_databases.c: databases with limits and policies of their own, on servers of four workers and of one:
 * who is refused, whose keys go, and that the neighbours notice nothing. */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/scripts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OOM "-OOM command not allowed when used memory > 'maxmemory'."
#define SIZE 1000

static char value[SIZE + 1];

#define START(...) server_start("--save", "", __VA_OPT__(__VA_ARGS__, ) NULL)

/* One number of the database's line in INFO. */
static int64_t fact(struct client *c, int db, const char *name) {
    char field[32], key[32];
    snprintf(field, sizeof field, "database%d", db);
    snprintf(key, sizeof key, ",%s=", name);
    const char *line = info_field(c, "databases", field), *at = strstr(line, key);
    if (!at) HARNESS_FAIL("INFO databases has no %s in '%s'", name, line);
    return atoll(at + strlen(key));
}

/* `count` SETs in the database; returns how many were refused with OOM. */
static int fill(struct client *c, int db, int count) {
    int refused = 0;
    memset(value, 'v', SIZE);
    client_queue(c, "SELECT %d", db);
    for (int i = 0; i < count; i++) client_queue(c, "SET key:%d %s", i, value);
    client_flush(c);
    client_skip(c, 1);
    for (int i = 0; i < count; i++) {
        const char *reply = client_read_text(c);
        if (strcmp(reply, OOM) == 0)
            refused++;
        else if (strcmp(reply, "+OK") != 0)
            HARNESS_FAIL("SET: %s", reply);
    }
    return refused;
}

static void end(struct server *s, struct client *c) {
    client_close(c);
    server_stop(s);
    server_free(s);
}

static void a_full_database_refuses_and_the_others_go_on(void **state) {
    (void)state;
    struct server *s = START("--db-maxmemory", "2 200kb", "--db-maxmemory", "3 300kb",
                             "--db-maxmemory-policy", "3 allkeys-lru");
    struct client *c = server_connect(s);
    int refused = fill(c, 2, 500);
    assert_in_range(refused, 250, 400);
    assert_int_equal(fill(c, 0, 500), 0);
    assert_int_equal(fill(c, 3, 500), 0);
    assert_int_equal(fact(c, 0, "keys"), 500);
    assert_int_equal(fact(c, 2, "keys"), 500 - refused);
    assert_int_equal(fact(c, 2, "refused"), refused);
    assert_int_equal(fact(c, 3, "evicted"), 500 - fact(c, 3, "keys"));
    assert_in_range(fact(c, 3, "bytes"), 250 * 1024, 300 * 1024 + 2 * SIZE);
    assert_in_range(fact(c, 2, "bytes"), 200 * 1024, 200 * 1024 + 2 * SIZE);
    assert_int_equal(fact(c, 0, "refused") + fact(c, 0, "evicted") + fact(c, 3, "refused"), 0);
    assert_int_equal(info_number(c, "stats", "evicted_keys"), fact(c, 3, "evicted"));
    end(s, c);
}

/* The very commands that maxmemory refuses, and no others. */
static void what_a_full_database_refuses_is_what_grows(void **state) {
    (void)state;
    struct server *s = START("--db-maxmemory", "1 100kb");
    struct client *c = server_connect(s);
    assert_true(fill(c, 1, 200) > 0);
    static const struct exchange rows[] = {
        { "SET a 1", OOM },
        { "APPEND key:1 x", OOM },
        { "LPUSH list x", OOM },
        { "HSET hash f v", OOM },
        { "SORT nothing STORE there", OOM },
        { "COPY key:1 key:a", OOM },
        { "BLMOVE list other LEFT LEFT 1", OOM },
        { "MULTI", "+OK" },
        { "SET a 1", OOM },
        { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
        { "GET none", "$-1" },
        { "STRLEN key:1", ":1000" },
        { "EXPIRE key:1 100", ":1" },
        { "PERSIST key:1", ":1" },
        { "RENAME key:1 key:b", "+OK" },
        { "SORT_RO nothing", "*[]" },
        { "PUBLISH channel x", ":0" },
        { "COPY key:b key:b DB 0", ":1" }, /* it grows there */
        { "FUNCTION LOAD '#!lua name=f\nredis.register_function(\"f\", function() return 1 end)'", "$\"f\"" },
        { "FCALL_RO f 0", "..." },
        { "SELECT 0", "+OK" },
        { "SET a 1", "+OK" },
        { "COPY a a DB 1", OOM },
        { "MOVE a 1", OOM },
        { "COPY a a DB 2", ":1" },
        { "MOVE a 2", ":0" },
        { "SELECT 1", "+OK" },
        { "MOVE key:b 3", ":1" },
        { "DEL key:2 key:3 key:4", ":3" },
        { "SET a 1", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    end(s, c);
}

static void a_transaction_finds_room_in_each_of_its_databases(void **state) {
    (void)state;
    struct server *s = START("--db-maxmemory", "1 100kb");
    struct client *c = server_connect(s), *other = server_connect(s);
    static const struct exchange queued[] = {
        { "MULTI", "+OK" }, { "SET a 1", "+QUEUED" }, { "SELECT 1", "+QUEUED" }, { "SET b 2", "+QUEUED" },
        { NULL, NULL },
    };
    assert_exchanges(c, queued);
    assert_true(fill(other, 1, 200) > 0);
    assert_reply(c, "SET c 3", OOM);
    assert_reply(c, "DISCARD", "+OK");
    assert_reply(other, "DEL key:1 key:2 key:3 key:4", ":4");
    assert_exchanges(c, queued);
    assert_true(fill(other, 1, 200) > 0);
    assert_reply(c, "EXEC",
                 "-EXECABORT Transaction discarded because of: OOM command not allowed when used "
                 "memory > 'maxmemory'.");
    assert_reply(c, "EXISTS a", ":0");
    /* What only reads there, or removes, may run. */
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "SET a 1", "+QUEUED");
    assert_reply(c, "SELECT 1", "+QUEUED");
    assert_reply(c, "DEL key:9", "+QUEUED");
    assert_reply(c, "EXEC", "*[+OK, +OK, :1]");
    client_close(other);
    end(s, c);
}

static void scripts_are_refused_where_they_write(void **state) {
    (void)state;
    struct server *s = START("--db-maxmemory", "1 100kb");
    struct client *c = server_connect(s);
    assert_true(fill(c, 1, 200) > 0);
    static const struct exchange rows[] = {
        { "EVAL \"return redis.call('SET', KEYS[1], 1)\" 1 a",
          "-OOM command not allowed when used memory > 'maxmemory'...." },
        { "EVAL \"return redis.call('GET', KEYS[1])\" 1 a", "$-1" },
        { "SELECT 0", "+OK" },
        { "EVAL \"return redis.call('SET', KEYS[1], 1)\" 1 a", "+OK" },
        { "EVAL \"redis.call('SELECT', 1) return redis.pcall('SET', KEYS[1], 1)\" 1 b",
          "-OOM command not allowed when used memory > 'maxmemory'...." },
        { "EVAL \"return redis.pcall('MOVE', KEYS[1], 1)\" 1 a",
          "-OOM command not allowed when used memory > 'maxmemory'...." },
        /* After its first write it goes on: half a script would be worse. */
        { "EVAL \"redis.call('SET', KEYS[1], 2) redis.call('SELECT', 1) "
          "return redis.call('SET', KEYS[1], 1)\" 1 a",
          "+OK" },
        { "SELECT 1", "+OK" },
        { "GET a", "$\"1\"" },
        { "EVAL \"#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], 3)\" 1 a", "+OK" },
        { "EVAL \"#!lua\nreturn 1\" 0", "-OOM ..." },
        { "EVAL \"return redis.call('DEL', KEYS[1])\" 1 key:7", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    end(s, c);
}

static void a_blocked_client_is_served_in_a_full_database(void **state) {
    (void)state;
    struct server *s = START("--db-maxmemory", "1 100kb");
    struct client *c = server_connect(s), *waiter = server_connect(s);
    assert_reply(waiter, "SELECT 1", "+OK");
    send_and_wait(c, waiter, "BLMOVE from to LEFT RIGHT 0");
    assert_true(fill(c, 1, 200) > 0);
    assert_reply(c, "LPUSH from x", OOM);
    assert_reply(c, "EVAL \"#!lua flags=allow-oom\nreturn redis.call('LPUSH', KEYS[1], 'x')\" 1 from", ":1");
    assert_next(waiter, "$\"x\"");
    assert_reply(c, "LRANGE to 0 -1", "*[$\"x\"]");
    client_close(waiter);
    end(s, c);
}

static void limits_stay_with_their_numbers(void **state) {
    (void)state;
    struct server *s = START("--db-maxmemory", "1 100kb 4 100kb", "--db-maxmemory-policy", "4 allkeys-lru");
    struct client *c = server_connect(s);
    assert_int_equal(fill(c, 0, 300), 0);
    assert_reply(c, "SWAPDB 0 1", "+OK");
    assert_reply(c, "SELECT 1", "+OK");
    assert_reply(c, "SET a 1", OOM);
    assert_int_equal(fact(c, 1, "keys"), 300);
    assert_int_equal(fill(c, 0, 300), 0);
    assert_reply(c, "SWAPDB 1 4", "+OK");
    assert_reply(c, "SELECT 4", "+OK");
    assert_reply(c, "GET none", "$-1"); /* the next command there makes room */
    assert_reply_soon(c, "EVAL \"return redis.call('DBSIZE') < 101\" 0", ":1");
    assert_reply(c, "SELECT 1", "+OK");
    assert_reply(c, "SET a 1", "+OK");
    end(s, c);
}

static void flushing_one_leaves_the_others(void **state) {
    (void)state;
    struct server *s = START("--db-maxmemory", "1 100kb 2 100kb");
    struct client *c = server_connect(s);
    assert_true(fill(c, 1, 200) > 0);
    assert_true(fill(c, 2, 200) > 0);
    assert_int_equal(fill(c, 0, 10), 0);
    assert_reply(c, "SELECT 1", "+OK");
    assert_reply(c, "FLUSHDB", "+OK");
    assert_reply(c, "SET a 1", "+OK");
    assert_int_equal(fact(c, 0, "keys"), 10);
    assert_true(fact(c, 2, "bytes") > 90 * 1024);
    assert_reply(c, "SELECT 2", "+OK");
    assert_reply(c, "SET a 1", OOM);
    assert_reply(c, "FLUSHALL", "+OK");
    assert_reply(c, "SET a 1", "+OK");
    end(s, c);
}

static void a_lowered_limit_evicts_without_any_command(void **state) {
    (void)state;
    struct server *s = START();
    struct client *c = server_connect(s);
    assert_int_equal(fill(c, 5, 500), 0);
    assert_int_equal(fill(c, 6, 500), 0);
    assert_reply(c, "CONFIG SET db-maxmemory '5 100kb' db-maxmemory-policy '5 allkeys-random'", "+OK");
    assert_reply(c, "SELECT 5", "+OK");
    assert_reply_soon(c, "EVAL \"return redis.call('DBSIZE') < 101\" 0", ":1");
    assert_reply(c, "CONFIG SET db-maxmemory ''", "+OK");
    assert_int_equal(fill(c, 5, 500), 0);
    assert_int_equal(fact(c, 5, "keys"), 500);
    assert_int_equal(fact(c, 6, "keys"), 500);
    end(s, c);
}

/* The instance's own limit stands above: a cache gives, a database of noeviction does not, whoever asks. */
static void the_instances_limit_stands_above(void **state) {
    (void)state;
    struct server *s = START("--db-maxmemory-policy", "0 allkeys-lru");
    struct client *c = server_connect(s);
    assert_int_equal(fill(c, 0, 4000), 0);
    assert_int_equal(fill(c, 1, 1000), 0);
    char command[64];
    snprintf(command, sizeof command, "CONFIG SET maxmemory %lld",
             (long long)info_number(c, "memory", "used_memory") + 100000);
    assert_reply(c, command, "+OK");
    memset(value, 'w', SIZE);
    int refused = 0;
    for (int i = 0; i < 2000; i++) client_queue(c, "SET more:%d %s", i, value);
    client_flush(c);
    for (int i = 0; i < 2000; i++) refused += client_read_text(c)[0] == '-';
    assert_int_equal(refused, 0);
    assert_int_equal(fact(c, 1, "keys"), 3000);
    assert_true(fact(c, 0, "evicted") > 1000);
    assert_int_equal(fact(c, 1, "evicted"), 0);
    end(s, c);
}

static void each_database_has_its_own_sort_of_clock(void **state) {
    (void)state;
    struct server *s = START("--maxmemory-policy", "allkeys-lru", "--db-maxmemory-policy", "1 allkeys-lfu");
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "OBJECT IDLETIME k", ":0..5" },
        { "OBJECT FREQ k", "-ERR An LFU maxmemory policy is not selected..." },
        { "SELECT 1", "+OK" },
        { "SET k v", "+OK" },
        { "OBJECT FREQ k", ":5" },
        { "OBJECT IDLETIME k", "-ERR An LFU maxmemory policy is selected..." },
        { "MOVE k 2", ":1" },
        { "COPY k k DB 0", ":0" },
        { "SELECT 2", "+OK" },
        { "OBJECT IDLETIME k", ":0..120" },
        { "MOVE k 1", ":1" },
        { "SELECT 1", "+OK" },
        { "OBJECT FREQ k", ":4..5" },
        { "SELECT 0", "+OK" },
        { "COPY k twin DB 1", ":1" },
        { "SWAPDB 0 1", "+OK" },
        { "OBJECT IDLETIME twin", ":0..120" },
        { "SELECT 1", "+OK" },
        { "OBJECT FREQ k", ":4..5" },
        { "CONFIG SET db-maxmemory-policy '0 allkeys-lfu'", "+OK" },
        { "OBJECT IDLETIME k", ":0..180" },
        { "SELECT 0", "+OK" },
        { "OBJECT FREQ twin", ":3..5" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    end(s, c);
}

/* A file tells idle times of one database and counters of the other. */
static void files_keep_what_eviction_knows(void **state) {
    (void)state;
    struct server *s = START("--maxmemory-policy", "allkeys-lru", "--db-maxmemory-policy", "1 allkeys-lfu");
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET lfu-decay-time 0 lfu-log-factor 0", "+OK");
    for (int db = 0; db < 2; db++) {
        client_queue(c, "SELECT %d", db);
        client_queue(c, "SET k v");
        for (int i = 0; i < 40; i++) client_queue(c, "GET k");
        client_skip(c, 42);
    }
    assert_reply(c, "OBJECT FREQ k", ":45");
    assert_reply(c, "SELECT 0", "+OK");
    struct node *dump = client_ask_node(c, "DUMP k");
    struct words words = { 0 };
    words_add(&words, "RESTORE", 7);
    words_add(&words, "idle", 4);
    words_add(&words, "0", 1);
    words_add(&words, text_str(&dump->bytes), dump->bytes.len);
    words_add(&words, "IDLETIME", 8);
    words_add(&words, "5000", 4);
    client_queue_words(c, &words);
    client_skip(c, 1);
    assert_reply(c, "BGSAVE", "...");
    assert_info_soon(c, "persistence", "rdb_bgsave_in_progress", "0");
    assert_reply(c, "DEBUG RELOAD NOSAVE", "+OK");
    assert_reply(c, "OBJECT IDLETIME idle", ":5000..5060");
    assert_reply(c, "SELECT 1", "+OK");
    assert_reply(c, "OBJECT FREQ k", ":45");
    assert_reply(c, "DEBUG RELOAD", "+OK"); /* SAVE writes them, too */
    assert_reply(c, "OBJECT FREQ k", ":45");
    assert_reply(c, "SELECT 0", "+OK");
    assert_reply(c, "OBJECT IDLETIME idle", ":5000..5060");
    node_free(dump);
    words_release(&words);
    end(s, c);
}

static bool is_small(struct client *c) { return fact(c, 1, "bytes") <= 100 * 1024; }

static void a_replica_heeds_its_limits_only_if_told(void **state) {
    (void)state;
    struct server *primary = TRIVET(),
                  *replica = TRIVET("--db-maxmemory", "1 100kb", "--db-maxmemory-policy", "1 allkeys-lru");
    struct replica_pair p = replica_pair_of(primary, replica);
    assert_int_equal(fill(p.primary, 1, 300), 0);
    assert_reply(p.primary, "SELECT 0", "+OK");
    replica_pair_follow(&p);
    replication_await_write(p.primary, p.replica);
    assert_int_equal(fact(p.replica, 1, "keys"), fact(p.primary, 1, "keys"));
    assert_true(fact(p.replica, 1, "bytes") > 200 * 1024);
    assert_reply(p.replica, "CONFIG SET replica-ignore-maxmemory no", "+OK");
    assert_soon(is_small(p.replica));
    assert_true(fact(p.primary, 1, "keys") >= 300);
    replica_pair_close(&p);
}

/* Loading knows no limit: what was saved comes back, and the next write is refused. */
static void loading_is_not_refused(void **state) {
    (void)state;
    struct server *s = START("--appendonly", "yes");
    struct client *c = server_connect(s);
    assert_int_equal(fill(c, 1, 300), 0);
    assert_reply(c, "CONFIG SET db-maxmemory '1 100kb'", "+OK");
    assert_reply(c, "DEBUG LOADAOF", "+OK");
    assert_int_equal(fact(c, 1, "keys"), 300);
    assert_reply(c, "DEBUG RELOAD", "+OK");
    assert_int_equal(fact(c, 1, "keys"), 300);
    assert_reply(c, "SET a 1", OOM);
    end(s, c);
}

static void numbers_are_reset_and_read_in_info(void **state) {
    (void)state;
    struct server *s =
        START("--db-name", "0 cache", "--db-maxmemory", "0 1gb", "--db-maxmemory-policy", "7 allkeys-lfu");
    struct client *c = server_connect(s);
    assert_info(c, "databases", "database0",
                "name=cache,keys=0,bytes=0,maxmemory=1073741824,policy=noeviction,persistence=yes,hits=0,"
                "misses=0,evicted=0,refused=0");
    assert_info(c, "databases", "database7",
                "name=,keys=0,bytes=0,maxmemory=0,policy=allkeys-lfu,persistence=yes,hits=0,misses=0,"
                "evicted=0,refused=0");
    assert_info(c, "databases", "database1", "");
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },   { "GET k", "$\"v\"" },   { "GET none", "$-1" }, { "SELECT 9", "+OK" },
        { "GET none", "$-1" }, { "GET none", "$-1" }, { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_int_equal(fact(c, 0, "hits"), 1);
    assert_int_equal(fact(c, 0, "misses"), 1);
    assert_int_equal(fact(c, 9, "misses"), 2);
    assert_int_equal(info_number(c, "stats", "keyspace_misses"), 3);
    assert_reply(c, "SWAPDB 0 9", "+OK"); /* uses stay, keys go */
    assert_int_equal(fact(c, 9, "misses"), 2);
    assert_int_equal(fact(c, 9, "keys"), 1);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    assert_int_equal(fact(c, 0, "hits") + fact(c, 0, "misses") + fact(c, 9, "misses"), 0);
    assert_int_equal(info_number(c, "stats", "keyspace_misses"), 0);
    end(s, c);
}

static void a_file_and_rewrite_keep_them(void **state) {
    (void)state;
    struct server_plan plan = { .conf =
                                    "db-maxmemory 0 1gb\ndb-maxmemory 2 512mb\n# mine\ndb-name 2 session\n" };
    struct server *s = server_launch(&plan);
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "CONFIG GET db-maxmemory", "*[$\"db-maxmemory\", $\"0 1073741824 2 536870912\"]" },
        { "CONFIG SET db-maxmemory '0 2gb 3 1mb' db-maxmemory-policy '0 allkeys-lru'", "+OK" },
        { "CONFIG SET db-maxmemory '99 1'",
          "-ERR CONFIG SET failed (possibly related to argument 'db-maxmemory') - db-maxmemory: there is no "
          "database 99, the last one is 15" },
        { "CONFIG REWRITE", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    client_close(c);
    server_stop(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "CONFIG GET db-*",
                 "*[$\"db-maxmemory\", $\"0 2147483648 3 1048576\", $\"db-maxmemory-policy\", "
                 "$\"0 allkeys-lru\", $\"db-name\", $\"2 session\", $\"db-persistence\", $\"\"]");
    end(s, c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_database_refuses_and_the_others_go_on),
        cmocka_unit_test(what_a_full_database_refuses_is_what_grows),
        cmocka_unit_test(a_transaction_finds_room_in_each_of_its_databases),
        cmocka_unit_test(scripts_are_refused_where_they_write),
        cmocka_unit_test(a_blocked_client_is_served_in_a_full_database),
        cmocka_unit_test(limits_stay_with_their_numbers),
        cmocka_unit_test(flushing_one_leaves_the_others),
        cmocka_unit_test(a_lowered_limit_evicts_without_any_command),
        cmocka_unit_test(the_instances_limit_stands_above),
        cmocka_unit_test(each_database_has_its_own_sort_of_clock),
        cmocka_unit_test(files_keep_what_eviction_knows),
        cmocka_unit_test(a_replica_heeds_its_limits_only_if_told),
        cmocka_unit_test(loading_is_not_refused),
        cmocka_unit_test(numbers_are_reset_and_read_in_info),
        cmocka_unit_test(a_file_and_rewrite_keep_them),
    };
    int failed = cmocka_run_group_tests_name("four workers", tests, NULL, NULL);
    setenv("TRIVET_IO_THREADS", "1", 1);
    return failed + cmocka_run_group_tests_name("one worker", tests, NULL, NULL);
}
