/* test_house.c: moving house. A data folder that Debian's redis-server 7.0 wrote is Trivet's from the next
 * start, and one that Trivet wrote with rdb-write-version 10 is redis-server's: as a dump, as an AOF with a
 * base of either kind, and as the single AOF of older days. The fingerprint (DEBUG DIGEST) of both is the
 * same for the same data; what it does not cover is compared as text. */
#include "../harness/churn.h"
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include "files.h"
#include <stdio.h>
#include <stdlib.h>

#define PEER "redis-server"

static bool peer_is_there(void) { return system("command -v " PEER " >/dev/null 2>&1") == 0; }

/* A server of this program (NULL: Trivet) on a folder (NULL: a new one). `more` comes in pairs, ended by
 * NULL. */
static struct server *start_on(const char *program, const char *folder, const char *const *more) {
    const char *args[24];
    size_t count = 0;
    if (folder) args[count++] = "--dir", args[count++] = folder;
    if (!program) args[count++] = "--rdb-write-version", args[count++] = "10";
    for (; more && *more; more++) args[count++] = *more;
    args[count] = NULL;
    return server_launch(&(struct server_plan){ .program = program, .args = args });
}

/* ---- what is moved ---- */

/* Of every type in every form that a file knows; both servers take these commands. */
static const char *const facts[] = {
    "SET int 12345",
    "SET negative -7",
    "SET big-int 9223372036854775807",
    "SET embedded text",
    "SET empty \"\"",
    "SET binary \"\\x00\\xff\\r\\n\\x80\"",
    "SET \"key \\x00\\xfe\" v",
    "APPEND raw raw",
    "SET long %0100000d",
    "SETRANGE sparse 70000 end",
    "SETBIT bitmap 100001 1",
    "SET expiring v PXAT 99999999999999",
    "PFADD sparse-hll a b c",
    "PFADD hll-2 d e f g",
    "PFMERGE hll sparse-hll hll-2",
    "RPUSH list a 1 -70000 \"\" \"\\x00\\x01\" 123456789012345",
    "RPUSH expiring-list a b",
    "PEXPIREAT expiring-list 99999999999999",
    "RPUSH plain %030000d short %030001d",
    "SADD ints 1 2 -3",
    "SADD middle-ints 1 -70000",
    "SADD big-ints 1 5000000000",
    "SADD set a b \"\" 12 \"\\xfe\"",
    "HSET hash a 1 b text \"\" empty \"\\x00\" \"\\xff\"",
    "HSET wide-hash f %0200d",
    "ZADD zset 1 a -2.5 b inf c -inf d 1e300 e 0.1 f -0 g 123456789 h",
    "ZADD wide-zset 1 %0200d",
    "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "XADD stream 1-1 a 1 b 2",
    "XADD stream 1-2 a 3 b 4",
    "XADD stream 2-0 other field",
    "XDEL stream 1-2",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group alice COUNT 1 STREAMS stream >",
    "XREADGROUP GROUP group bob COUNT 1 STREAMS stream >",
    "XGROUP CREATE stream idle $",
    "XSETID stream 9-9",
    "XGROUP CREATECONSUMER stream group carol",
    "XADD emptied 1-1 a b",
    "XDEL emptied 1-1",
    "XGROUP CREATE emptied g 0",
    "SELECT 3",
    "SET elsewhere v",
    "RPUSH l 1 2 3",
    "SELECT 15",
    "SADD last a",
    "SELECT 0",
    NULL,
};
/* After the base was written: these are in the increment. */
static const char *const later[] = {
    "SET int 54321",
    "DEL embedded",
    "LPUSH list front",
    "LSET plain 1 longer",
    "SREM set a",
    "HDEL hash a",
    "HINCRBYFLOAT hash b2 1.5",
    "ZINCRBY zset 2 a",
    "XADD stream 9-10 new entry",
    "XACK stream group 1-1",
    "PEXPIREAT set 99999999999999",
    "PERSIST expiring",
    "SPOP s0",
    "LPOP l0 3",
    "RENAME z0 z9",
    "SELECT 15",
    "SADD last b",
    "SELECT 0",
    "MULTI",
    "SET t 1",
    "INCR t",
    "EXEC",
    NULL,
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void run(struct client *c, const char *const *commands) {
    for (; *commands; commands++) {
        const char *reply = client_ask(c, *commands, 1, 2);
        if (reply[0] == '-') HARNESS_FAIL("%s: %s", *commands, reply);
    }
}
#pragma GCC diagnostic pop

/* The fingerprints of the keys that the commands are about, so that a difference has a name. */
static void describe_keys(struct client *c, const char *const *commands, struct text *out) {
    for (; *commands; commands++) {
        struct words command = { 0 }, question = { 0 };
        assert_true(words_split(&command, *commands));
        words_add_str(&question, "DEBUG");
        words_add_str(&question, "DIGEST-VALUE");
        words_add(&question, command.items[1].ptr, command.items[1].len);
        client_queue_words(c, &question);
        client_flush(c);
        text_printf(out, "%s: %s\n", *commands, client_read_text(c));
        words_release(&command);
        words_release(&question);
    }
}

/* The fingerprint, and what it leaves out. */
static void describe(struct server *s, struct text *out) {
    static const char *const questions[] = {
        "DEBUG DIGEST",          "DBSIZE",
        "PEXPIRETIME expiring",  "PEXPIRETIME expiring-list",
        "PEXPIRETIME set",       "XINFO GROUPS stream",
        "XRANGE stream - +",     "XREVRANGE emptied + -",
        "XPENDING stream group", "XINFO GROUPS emptied",
        "XINFO GROUPS x0",       "XPENDING x0 g",
        "OBJECT ENCODING ints",  "OBJECT ENCODING hash",
        "OBJECT ENCODING h0",    "OBJECT ENCODING wide-zset",
        "OBJECT ENCODING int",   "OBJECT ENCODING raw",
        "GEOPOS geo Palermo",
    };
    struct client *c = server_connect(s);
    /* First: it may put the count into the value. */
    text_printf(out, "PFCOUNT: %s\n", client_ask(c, "PFCOUNT hll"));
    describe_keys(c, facts, out);
    for (size_t i = 0; i < COUNT_OF(questions); i++)
        text_printf(out, "%s: %s\n", questions[i], client_ask(c, "%s", questions[i]));
    client_close(c);
}

/* Line by line, so that the first difference is all that is printed. */
static void assert_same(struct server *s, const struct text *wanted) {
    struct text got = { 0 };
    describe(s, &got);
    const char *a = text_str(wanted), *b = text_str(&got);
    while (*a && *b) {
        size_t len = strcspn(a, "\n"), other = strcspn(b, "\n");
        if (len != other || memcmp(a, b, len) != 0)
            HARNESS_FAIL("before\n%.*s\nafter\n%.*s", (int)len, a, (int)other, b);
        a += len + 1;
        b += other + 1;
    }
    assert_int_equal(got.len, wanted->len);
    text_release(&got);
}

/* ---- the move ---- */

struct move {
    const char *writer[10], *reader[10]; /* their arguments */
    bool rewrites;                       /* before `later` comes */
};

static void write_folder(struct server *s, const struct move *m, struct text *wanted) {
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET list-compress-depth 1", "+OK");
    run(c, facts);
    churn_fill(c);
    if (m->rewrites) saves_rewrite(c);
    run(c, later);
    describe(s, wanted);
    if (!m->rewrites) assert_reply(c, "SAVE", "+OK");
    client_close(c);
    server_kill(s);
}

/* There, and after the first start once more: what the new owner wrote. */
static void move_house(const char *from, const char *to, const struct move *m) {
    struct text wanted = { 0 };
    struct server *old = start_on(from, NULL, m->writer);
    write_folder(old, m, &wanted);
    struct server *new = start_on(to, server_folder(old), m->reader);
    assert_same(new, &wanted);
    struct client *c = server_connect(new);
    if (m->rewrites)
        saves_rewrite(c);
    else
        assert_reply(c, "SAVE", "+OK");
    client_close(c);
    server_kill(new);
    server_restart(new);
    assert_same(new, &wanted);
    server_free(new);
    server_free(old);
    text_release(&wanted);
}

static const struct move moves[] = {
    { .writer = { NULL }, .reader = { NULL } },
    { .writer = { "--rdbcompression", "no", "--rdbchecksum", "no" }, .reader = { NULL } },
    { .writer = { "--maxmemory-policy", "allkeys-lfu" }, .reader = { "--maxmemory-policy", "allkeys-lru" } },
    { .writer = { "--appendonly", "yes" }, .reader = { "--appendonly", "yes" }, .rewrites = true },
    { .writer = { "--appendonly", "yes", "--aof-use-rdb-preamble", "no" },
      .reader = { "--appendonly", "yes" },
      .rewrites = true },
    { .writer = { "--appendonly", "yes", "--aof-timestamp-enabled", "yes" },
      .reader = { "--appendonly", "yes", "--aof-use-rdb-preamble", "no" },
      .rewrites = true },
};

static void a_folder_of_redis_is_ours(void **state) {
    (void)state;
    if (!peer_is_there()) skip();
    for (size_t i = 0; i < COUNT_OF(moves); i++) move_house(PEER, NULL, &moves[i]);
}

static void our_folder_is_one_of_redis(void **state) {
    (void)state;
    if (!peer_is_there()) skip();
    for (size_t i = 0; i < COUNT_OF(moves); i++) move_house(NULL, PEER, &moves[i]);
}

/* What BGSAVE writes beside running commands has another order than SAVE's, and parts. */
static void a_background_dump_under_load_is_one_of_redis(void **state) {
    (void)state;
    if (!peer_is_there()) skip();
    char digest[DIGEST_TEXT];
    struct server *s = start_on(NULL, NULL, NULL), *peer;
    struct client *c = server_connect(s);
    churn_fill(c);
    run(c, facts);
    saves_begin(c, digest);
    for (int i = 0; i < 100; i++) client_queue(c, "HSET h0 e%d changed", i);
    client_flush(c);
    run(c, (const char *const[]){ "DEL z0", "SWAPDB 0 3", "FLUSHDB", NULL });
    client_close(c);
    c = server_connect(s);
    saves_await(c);
    client_close(c);
    peer = start_on(PEER, server_folder(s), NULL);
    c = server_connect(peer);
    assert_reply(c, "DEBUG DIGEST", digest);
    client_close(c);
    server_free(peer);
    server_free(s);
}

/* ---- one file, as before there were folders ---- */

static void a_single_old_file_is_taken_over(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct text bytes = { 0 };
    server_kill(s);
    text_append_str(&bytes, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
                            "*5\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    const char *args[] = { "--dir", NULL, "--appendonly", "yes", NULL };
    char folder[200];
    snprintf(folder, sizeof folder, "%s/old", server_folder(s));
    mkdir(folder, 0755);
    file_write(server_path(s, "old/appendonly.aof"), &bytes);
    args[1] = folder;
    struct server *other = server_launch(&(struct server_plan){ .args = args });
    static const struct exchange rows[] = { { "GET k", "$\"v\"" },
                                            { "LRANGE l 0 -1", "*[$\"a\", $\"b\", $\"c\"]" },
                                            { NULL, NULL } };
    struct client *c = server_connect(other);
    assert_exchanges(c, rows);
    saves_rewrite(c);
    client_close(c);
    server_kill(other);
    server_restart(other);
    c = server_connect(other);
    assert_exchanges(c, rows);
    client_close(c);
    assert_false(file_exists(server_path(s, "old/appendonly.aof")));
    text_release(&bytes);
    server_free(other);
    server_free(s);
}

/* Redis 4 to 6 wrote one file: a dump and commands behind it. */
static void a_single_old_file_with_a_preamble_is_taken_over(void **state) {
    (void)state;
    if (!peer_is_there()) skip();
    struct server *peer = start_on(PEER, NULL, (const char *const[]){ "--appendonly", "yes", NULL });
    struct client *c = server_connect(peer);
    struct text base = { 0 }, incr = { 0 }, wanted = { 0 };
    churn_fill(c);
    run(c, facts);
    saves_rewrite(c);
    run(c, later);
    describe(peer, &wanted);
    client_close(c);
    server_kill(peer);
    file_read(server_path(peer, "appendonlydir/appendonly.aof.2.base.rdb"), &base);
    file_read(server_path(peer, "appendonlydir/appendonly.aof.2.incr.aof"), &incr);
    text_append(&base, incr.ptr, incr.len);
    char folder[200];
    snprintf(folder, sizeof folder, "%s/old", server_folder(peer));
    mkdir(folder, 0755);
    file_write(server_path(peer, "old/appendonly.aof"), &base);
    struct server *s = start_on(NULL, folder, (const char *const[]){ "--appendonly", "yes", NULL });
    assert_same(s, &wanted);
    c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    client_close(c);
    saves_assert_survives(s);
    text_release(&base);
    text_release(&incr);
    text_release(&wanted);
    server_free(s);
    server_free(peer);
}

/* Functions are not run here yet, but they must not get lost on the way. */
static void functions_move_along(void **state) {
    (void)state;
    if (!peer_is_there()) skip();
    struct server *first = start_on(PEER, NULL, NULL);
    struct client *c = server_connect(first);
    assert_reply(c,
                 "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function() return 7 end)\"",
                 "$\"lib\"");
    assert_reply(c, "SAVE", "+OK");
    client_close(c);
    server_kill(first);
    struct server *s = start_on(NULL, server_folder(first), NULL);
    c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    saves_save(c);
    client_close(c);
    server_kill(s);
    struct server *last = start_on(PEER, server_folder(first), NULL);
    c = server_connect(last);
    assert_reply(c, "FCALL f 0", ":7");
    assert_reply(c, "GET k", "$\"v\"");
    client_close(c);
    server_free(last);
    server_free(s);
    server_free(first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_of_redis_is_ours),
        cmocka_unit_test(our_folder_is_one_of_redis),
        cmocka_unit_test(a_background_dump_under_load_is_one_of_redis),
        cmocka_unit_test(a_single_old_file_is_taken_over),
        cmocka_unit_test(a_single_old_file_with_a_preamble_is_taken_over),
        cmocka_unit_test(functions_move_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
