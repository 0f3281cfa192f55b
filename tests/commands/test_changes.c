/* test_changes.c: how many changes a command counts as (rdb_changes_since_last_save), which save points are
 * made of: each element that is added, set or removed is one, and so is a move. And: the bytes of a
 * database's keys and values are known exactly after any of them. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <string.h>

struct row {
    const char *before; /* commands, separated by "; " */
    const char *command;
    int changes;
};

static const struct row rows[] = {
    { "", "SET a 1", 1 },
    { "SET a 1", "SET a 2 EX 100", 1 },
    { "SET a 1 EX 100", "GETEX a PERSIST", 1 },
    { "SET a 1", "GETEX a EX 100", 1 },
    { "SET a 1", "GETDEL a", 1 },
    { "SET a 1", "GETSET a 2", 1 },
    { "", "MSET a 1 b 2 c 3", 3 },
    { "", "MSETNX a 1 b 2", 2 },
    { "", "APPEND a x", 1 },
    { "", "INCR a", 1 },
    { "", "INCRBYFLOAT a 1.5", 1 },
    { "", "SETRANGE a 5 x", 1 },
    { "", "SETBIT a 5 1", 1 },
    { "SETBIT a 5 1", "SETBIT a 5 1", 0 },
    { "", "BITFIELD a SET u8 0 5 SET u8 8 1", 2 },
    { "", "BITFIELD a SET u8 0 5 SET u8 8 1 GET u8 0", 2 },
    { "", "BITFIELD a SET u8 0 0", 1 },
    { "SET b x", "BITOP AND d b", 1 },
    { "", "BITOP AND d b", 0 },
    { "SET d x", "BITOP AND d b", 1 },
    { "", "PFADD a x y", 3 },
    { "PFADD a x", "PFMERGE b a", 1 },
    { "PFADD a x", "PFCOUNT a", 1 },
    { "", "DEL a", 0 },
    { "MSET a 1 b 2", "DEL a b c", 2 },
    { "MSET a 1 b 2", "UNLINK a b", 2 },
    { "SET a 1", "RENAME a b", 1 },
    { "MSET a 1 b 2", "RENAME a b", 1 },
    { "SET a 1", "RENAMENX a b", 1 },
    { "SET a 1", "MOVE a 5", 1 },
    { "SET a 1", "COPY a b", 1 },
    { "SET a 1", "EXPIRE a 100", 1 },
    { "SET a 1", "EXPIRE a -1", 1 },
    { "SET a 1 EX 100", "PERSIST a", 1 },
    { "SET a 1", "FLUSHDB", 1 },
    { "SET a 1", "SWAPDB 0 5", 1 },
    { "", "LPUSH l a b c", 3 },
    { "LPUSH l a", "LPUSHX l b c", 2 },
    { "RPUSH l a b c", "LPOP l", 1 },
    { "RPUSH l a b c", "LPOP l 2", 2 },
    { "RPUSH l a b c", "LPOP l 5", 3 },
    { "RPUSH l a b c", "LMPOP 1 l LEFT COUNT 2", 2 },
    { "RPUSH l a b c", "BLMPOP 0 1 l LEFT COUNT 5", 3 },
    { "RPUSH l a b c", "BLPOP l 0", 1 },
    { "RPUSH l a b c", "LINSERT l BEFORE b x", 1 },
    { "RPUSH l a b c", "LSET l 0 x", 1 },
    { "RPUSH l a b a", "LREM l 0 a", 2 },
    { "RPUSH l a b c", "LTRIM l 1 1", 2 },
    { "RPUSH l a b c", "LTRIM l 5 6", 3 },
    { "RPUSH l a b c", "LMOVE l m LEFT RIGHT", 1 },
    { "RPUSH l a b c", "LMOVE l l LEFT RIGHT", 1 },
    { "RPUSH l a b c", "RPOPLPUSH l m", 1 },
    { "RPUSH l c b a", "SORT l ALPHA STORE d", 3 },
    { "", "SORT l STORE d", 0 },
    { "", "SADD s a b c", 3 },
    { "SADD s a", "SADD s a b", 1 },
    { "SADD s a b c", "SREM s a b z", 2 },
    { "SADD s a b c", "SPOP s", 1 },
    { "SADD s a b c", "SPOP s 2", 2 },
    { "SADD s a b c", "SPOP s 10", 3 },
    { "SADD s a b c", "SMOVE s t a", 2 },
    { "SADD s a b c; SADD t a", "SMOVE s t a", 1 },
    { "SADD s a b c", "SUNIONSTORE d s", 1 },
    { "SADD s a b c", "SINTERSTORE d s t", 0 },
    { "SADD s a b c; SADD d x", "SINTERSTORE d s t", 1 },
    { "", "HSET h f 1 g 2", 2 },
    { "HSET h f 1", "HSET h f 1", 1 },
    { "HSET h f 1 g 2", "HDEL h f g x", 2 },
    { "", "HINCRBY h f 1", 1 },
    { "", "HSETNX h f 1", 1 },
    { "", "HMSET h f 1 g 2", 2 },
    { "", "ZADD z 1 a 2 b", 2 },
    { "ZADD z 1 a", "ZADD z 1 a 2 b", 1 },
    { "ZADD z 1 a", "ZADD z CH 5 a 2 b", 2 },
    { "", "ZINCRBY z 1 a", 1 },
    { "ZADD z 1 a 2 b", "ZREM z a b c", 2 },
    { "ZADD z 1 a 2 b", "ZREMRANGEBYRANK z 0 -1", 2 },
    { "ZADD z 1 a 2 b", "ZREMRANGEBYSCORE z 0 10", 2 },
    { "ZADD z 1 a 2 b", "ZPOPMIN z", 1 },
    { "ZADD z 1 a 2 b", "ZPOPMIN z 2", 2 },
    { "ZADD z 1 a 2 b", "ZMPOP 1 z MIN COUNT 2", 2 },
    { "ZADD z 1 a 2 b", "BZPOPMIN z 0", 1 },
    { "ZADD z 1 a 2 b", "BZMPOP 0 1 z MIN COUNT 2", 2 },
    { "ZADD z 1 a 2 b", "ZUNIONSTORE d 1 z", 1 },
    { "ZADD z 1 a 2 b", "ZRANGESTORE d z 0 -1", 1 },
    { "ZADD d 1 a", "ZUNIONSTORE d 1 z", 1 },
    { "", "GEOADD g 1 1 a 2 2 b", 2 },
    { "GEOADD g 1 1 a 2 2 b", "GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 1000 km", 2 },
    { "", "XADD x 1-1 f v", 1 },
    { "XADD x 1-1 f v", "XADD x MAXLEN 1 2-1 f v", 1 },
    { "XADD x 1-1 f v; XADD x 2-1 f v; XADD x 3-1 f v", "XTRIM x MAXLEN 1", 2 },
    { "XADD x 1-1 f v; XADD x 2-1 f v", "XDEL x 1-1 2-1 3-1", 2 },
    { "XADD x 1-1 f v", "XSETID x 5-5", 1 },
    { "XADD x 1-1 f v", "XGROUP CREATE x g 0", 1 },
    { "", "XGROUP CREATE x g 0 MKSTREAM", 1 },
    { "XADD x 1-1 f v; XGROUP CREATE x g 0", "XGROUP SETID x g 1-1", 1 },
    { "XADD x 1-1 f v; XGROUP CREATE x g 0", "XGROUP DESTROY x g", 1 },
    { "XADD x 1-1 f v; XGROUP CREATE x g 0", "XGROUP CREATECONSUMER x g c", 1 },
    { "XADD x 1-1 f v; XGROUP CREATE x g 0; XGROUP CREATECONSUMER x g c", "XGROUP DELCONSUMER x g c", 1 },
    { "XADD x 1-1 f v; XADD x 2-1 f v; XGROUP CREATE x g 0", "XREADGROUP GROUP g c STREAMS x >", 2 },
    { "XADD x 1-1 f v; XADD x 2-1 f v; XGROUP CREATE x g 0; XGROUP CREATECONSUMER x g c",
      "XREADGROUP GROUP g c STREAMS x >", 1 },
    { "XADD x 1-1 f v; XADD x 2-1 f v; XGROUP CREATE x g 0", "XREADGROUP GROUP g c NOACK STREAMS x >", 2 },
    { "XADD x 1-1 f v; XADD x 2-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >",
      "XACK x g 1-1 2-1", 2 },
    { "XADD x 1-1 f v; XADD x 2-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >",
      "XCLAIM x g d 0 1-1 2-1", 3 },
    { "XADD x 1-1 f v; XADD x 2-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >",
      "XAUTOCLAIM x g d 0 0", 3 },
};

static void ask_all(struct client *c, const char *commands) {
    char text[512];
    snprintf(text, sizeof text, "%s", commands);
    for (char *at = text, *end; *at; at = end) {
        end = strstr(at, "; ");
        if (end) {
            *end = '\0';
            end += 2;
        } else {
            end = at + strlen(at);
        }
        (void)client_ask(c, "%s", at);
    }
}

static void each_change_counts_once(void **state) {
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_reply(c, "FLUSHALL", "+OK");
        ask_all(c, rows[i].before);
        int64_t before = info_number(c, "persistence", "rdb_changes_since_last_save");
        (void)client_ask(c, "%s", rows[i].command);
        int64_t changes = info_number(c, "persistence", "rdb_changes_since_last_save") - before;
        if (changes != rows[i].changes)
            fail_msg("%s; %s: %d changes instead of %d", rows[i].before, rows[i].command, (int)changes,
                     rows[i].changes);
    }
}

static void what_a_waiting_client_takes_counts_too(void **state) {
    static const struct {
        const char *before, *wait, *serve;
        int changes;
    } waits[] = {
        { "PING", "BLMOVE l m LEFT LEFT 0", "LPUSH l a", 2 },
        { "PING", "BLMPOP 0 1 q LEFT COUNT 5", "LPUSH q a b c", 6 },
        { "XGROUP CREATE x g 0 MKSTREAM", "XREADGROUP GROUP g c BLOCK 0 STREAMS x >", "XADD x 1-1 f v", 2 },
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        struct client *waiter = connect_another(state);
        assert_reply(c, "FLUSHALL", "+OK");
        (void)client_ask(c, "%s", waits[i].before);
        client_send(waiter, "%s", waits[i].wait);
        assert_reply_soon(c, "CLIENT LIST FLAGS b", "$\"id=...");
        int64_t before = info_number(c, "persistence", "rdb_changes_since_last_save");
        (void)client_ask(c, "%s", waits[i].serve);
        node_free(client_read(waiter)); /* it may be served after the reply */
        int64_t changes = info_number(c, "persistence", "rdb_changes_since_last_save") - before;
        assert_int_equal(changes, waits[i].changes);
        client_close(waiter);
    }
}

static void assert_bytes_are_exact(struct client *c, const char *after) {
    for (int db = 0; db < 6; db += 5) {
        struct node *n = client_ask_node(c, "DEBUG DATABASE-BYTES %d", db);
        assert_int_equal(n->count, 2);
        if (n->items[0]->number != n->items[1]->number)
            fail_msg("after %s database %d counts %lld bytes, but has %lld", after, db,
                     (long long)n->items[0]->number, (long long)n->items[1]->number);
        node_free(n);
    }
}

static void the_bytes_of_a_database_are_known_after_any_command(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "FLUSHALL", "+OK");
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            /* Not from an empty database: what one row leaves the next one meets. */
            if (round == 0 || i % 7 == 0) assert_reply(c, "FLUSHALL", "+OK");
            ask_all(c, rows[i].before);
            (void)client_ask(c, "%s", rows[i].command);
            assert_bytes_are_exact(c, rows[i].command);
        }
    assert_reply(c, "FLUSHALL", "+OK");
    assert_reply(c, "DEBUG DATABASE-BYTES 0", "*[:0, :0]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(each_change_counts_once),
        FIXTURE_TEST(what_a_waiting_client_takes_counts_too),
        FIXTURE_TEST(the_bytes_of_a_database_are_known_after_any_command),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
