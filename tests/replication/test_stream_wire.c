/* test_stream_wire.c: what a primary sends for each kind of command: effects instead of requests, SELECT,
 * transactions, PING and GETACK; byte for byte where replicas count bytes.
 *
 * Both kinds of server are asked. Where Redis 7.0 has other words for the same effect, both are given. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/wire.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define MARKER "PUBLISH marker x"

static const enum peer both[] = { PEER_REDIS, PEER_TRIVET };

/* A primary, a client of it, and its replica at the beginning of the stream. */
struct scene {
    enum peer kind;
    struct server *server;
    struct client *client, *waiter;
    struct wire *replica;
    struct wire_sync sync;
    uint64_t before; /* bytes of the link that are not of the stream */
};

static void scene_close(struct scene *scene) {
    client_close(scene->client);
    client_close(scene->waiter);
    wire_close(scene->replica);
    wire_sync_release(&scene->sync);
    server_free(scene->server);
}

/* Where the replica is in the stream. */
static int64_t scene_offset(const struct scene *scene) {
    return scene->sync.offset + (int64_t)(wire_taken(scene->replica) - scene->before);
}

/* The next command but the signs of life. */
static const char *next_effect(struct scene *scene) {
    const char *command;
    do {
        command = wire_next(scene->replica);
        if (!command) HARNESS_FAIL("%s closed the link", peer_name(scene->kind));
    } while (strcasecmp(command, "PING") == 0);
    return command;
}

/* The marker's own SELECT. */
static void drop_last_select(struct text *effects) {
    size_t at = effects->len;
    while (at > 0 && effects->ptr[at - 1] != ' ') at--;
    if (at < 7 || strncmp(effects->ptr + at - 7, "SELECT ", 7) != 0) return;
    effects->len = at - 7;
    if (effects->len >= 2) effects->len -= 2;
    text_append(effects, "", 0);
}

/* All that came up to the marker, joined by "; ". */
static void read_effects(struct scene *scene, struct text *out) {
    text_clear(out);
    client_ask(scene->client, "%s", MARKER);
    for (;;) {
        const char *command = next_effect(scene);
        if (strcmp(command, MARKER) == 0) break;
        if (out->len > 0) text_append_str(out, "; ");
        text_append_str(out, command);
    }
    drop_last_select(out);
}

/* Online, and database 0 selected in the stream. */
static void scene_open(struct scene *scene, enum peer kind, const char *const *args) {
    struct text came = { 0 };
    *scene = (struct scene){ .kind = kind, .server = peer_start(kind, args) };
    scene->client = server_connect(scene->server);
    scene->waiter = server_connect(scene->server);
    struct wire *w = scene->replica = wire_connect(server_port(scene->server));
    wire_tell(w, "REPLCONF listening-port 1 capa eof capa psync2");
    assert_string_equal(wire_line(w), "+OK");
    wire_tell(w, "PSYNC ? -1");
    wire_read_fullresync(w, &scene->sync);
    wire_read_rdb(w, &scene->sync);
    scene->before = wire_taken(w);
    wire_acknowledge(w, scene->sync.offset);
    client_ask(scene->client, "SET before 1");
    read_effects(scene, &came);
    text_release(&came);
}

/* ---- effects ---- */

/* Commands are split at "; ". Prepared is what the effects of are not looked at. "|" parts effects of which
 * any may come. */
static const struct {
    const char *prepared, *commands, *effects;
} rows[] = {
    { "", "SET k v", "SET k v" },
    { "", "sEt k v", "sEt k v" },
    { "SET k v", "GET k", "" },
    { "", "SET k v EX 100", "SET k v PXAT ..." },
    { "", "SET k v PX 100000 NX", "SET k v NX PXAT ...|SET k v PXAT ..." },
    { "", "SET k v NX", "SET k v NX|SET k v" },
    { "SET k v", "SET k w NX", "" },
    { "", "SETEX k 100 v", "SET k v PXAT ..." },
    { "", "PSETEX k 100000 v", "SET k v PXAT ..." },
    { "", "SETNX k v", "SETNX k v" },
    { "SET k v", "EXPIRE k 100", "PEXPIREAT k ..." },
    { "SET k v", "EXPIREAT k 33177117420", "PEXPIREAT k 33177117420000" },
    { "SET k v", "EXPIRE k -1", "DEL k|UNLINK k" },
    { "SET k v", "GETEX k EX 100", "PEXPIREAT k ..." },
    { "SET k v EX 100", "GETEX k PERSIST", "PERSIST k" },
    { "SET k v", "GETEX k PERSIST", "" },
    { "SET k v", "GETDEL k", "DEL k|UNLINK k" },
    { "SET k v", "GETSET k w", "GETSET k w|SET k w" },
    { "", "INCRBYFLOAT k 1.5", "SET k 1.5 KEEPTTL" },
    { "", "HINCRBYFLOAT h f 1.5", "HSET h f 1.5" },
    { "SET k 1", "APPEND k 2", "APPEND k 2" },
    { "", "DEL nosuch", "" },
    { "SET k v", "DEL k nosuch", "DEL k nosuch" },
    { "", "EXPIRE nosuch 10", "" },
    { "SADD s a", "SPOP s", "SREM s a|DEL s|UNLINK s" },
    { "SADD s a b", "SPOP s 5", "DEL s|UNLINK s" },
    { "RPUSH l a b", "BLPOP l 0", "LPOP l" },
    { "RPUSH l a b", "BRPOP l 0", "RPOP l" },
    { "RPUSH l a b", "BLMPOP 0 1 l LEFT COUNT 2", "LPOP l 2" },
    { "RPUSH l a b", "BRPOPLPUSH l m 0", "RPOPLPUSH l m" },
    { "RPUSH l a b", "BLMOVE l m LEFT RIGHT 0", "LMOVE l m LEFT RIGHT|LMOVE l m left right" },
    { "ZADD z 1 a 2 b", "BZPOPMIN z 0", "ZPOPMIN z|ZPOPMIN z 1" },
    { "ZADD z 1 a 2 b", "BZMPOP 0 1 z MAX COUNT 5", "ZPOPMAX z 2" },
    { "", "XADD x 7-1 f v", "XADD x 7-1 f v" },
    { "XADD x 7-1 f v", "XADD x 7-* f v", "XADD x 7-2 f v" },
    { "XADD x 7-1 f v; XADD x 8-1 f v", "XADD x MAXLEN ~ 1000 9-1 f v",
      "XADD x MAXLEN = 3 9-1 f v|XADD x 9-1 f v" },
    { "XADD x 7-1 f v; XGROUP CREATE x g 0", "XREADGROUP GROUP g a NOACK STREAMS x >",
      "...XGROUP SETID x g 7-1 ENTRIESREAD 1..." },
    { "XADD x 7-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g a STREAMS x >; XDEL x 7-1",
      "XREADGROUP GROUP g a STREAMS x 0", "" },
    { "XADD x 7-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g a STREAMS x >; XDEL x 7-1",
      "XCLAIM x g a 0 7-1", "XACK x g 7-1|XCLAIM x g a 0 7-1 ..." },
    { "XADD x 7-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g a STREAMS x >; XDEL x 7-1",
      "XAUTOCLAIM x g a 0 0", "XACK x g 7-1|XCLAIM x g a 0 7-1 ..." },
    { "SET k v", "RENAME k l", "RENAME k l" },
    { "SET k v", "COPY k l", "COPY k l" },
    { "", "FLUSHALL", "FLUSHALL" },
    { "SET k v", "FLUSHDB ASYNC", "FLUSHDB ASYNC" },
    { "", "MSET a 1 b 2", "MSET a 1 b 2" },
    { "", "PUBLISH channel message", "PUBLISH channel message" },
    { "", "SPUBLISH channel message", "SPUBLISH channel message" },
    { "", "SCRIPT LOAD \"return 1\"", "" },
    { "", "CONFIG SET maxmemory 0", "" },
    { "", "PFADD h a b", "PFADD h a b" },
    { "", "EVAL \"return 1\" 0", "" },
    { "", "EVAL \"return redis.call('SET', KEYS[1], 'v')\" 1 k", "SET k v" },
    { "", "EVAL \"redis.call('SET', 'a', 1) redis.call('INCR', 'a')\" 0", "MULTI; SET a 1; INCR a; EXEC" },
    { "", "MULTI; SET a 1; EXEC", "SET a 1" },
    { "", "MULTI; SET a 1; GET a; INCR a; EXEC", "MULTI; SET a 1; INCR a; EXEC" },
    { "", "MULTI; GET a; EXEC", "" },
    { "", "MULTI; SET a 1; DISCARD", "" },
    { "", "MULTI; SET a 1; SELECT 1; SET b 2; SELECT 0; EXEC", "MULTI; SET a 1; SELECT 1; SET b 2; EXEC" },
    { "SELECT 1; SET z 1; SELECT 0; SET z 1", "SELECT 1; SET k v; SELECT 0", "SELECT 1; SET k v" },
    { "", "SELECT 1; SET a 1; SELECT 0; SET k v", "SELECT 1; SET a 1; SELECT 0; SET k v" },
    { "SET k v", "MOVE k 1", "MOVE k 1" },
    { "", "SWAPDB 0 1", "SWAPDB 0 1" },
};

static void ask_each(struct client *c, const char *commands) {
    struct text one = { 0 };
    while (*commands) {
        const char *end = strstr(commands, "; ");
        size_t len = end ? (size_t)(end - commands) : strlen(commands);
        text_clear(&one);
        text_append(&one, commands, len);
        const char *reply = client_ask(c, "%s", text_str(&one));
        if (reply[0] == '-') HARNESS_FAIL("%s: %s", text_str(&one), reply);
        commands += end ? len + 2 : len;
    }
    text_release(&one);
}

static bool matches_any(const char *patterns, const char *text) {
    struct text pattern = { 0 };
    bool found = false;
    for (;;) {
        size_t len = strcspn(patterns, "|");
        text_clear(&pattern);
        text_append(&pattern, patterns, len);
        found = found || text_matches(text_str(&pattern), text);
        if (!patterns[len]) break;
        patterns += len + 1;
    }
    text_release(&pattern);
    return found;
}

static void effects_are_sent_and_not_requests(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct scene scene;
        struct text came = { 0 };
        int wrong = 0;
        scene_open(&scene, both[i], NULL);
        for (size_t row = 0; row < COUNT_OF(rows); row++) {
            ask_each(scene.client, "SELECT 0; FLUSHALL; SET before 1");
            ask_each(scene.client, rows[row].prepared);
            read_effects(&scene, &came);
            ask_each(scene.client, rows[row].commands);
            read_effects(&scene, &came);
            if (matches_any(rows[row].effects, text_str(&came))) continue;
            wrong++;
            fprintf(stderr, "%s\n    command  %s\n    expected %s\n    got      %s\n", peer_name(both[i]),
                    rows[row].commands, rows[row].effects, text_str(&came));
        }
        assert_int_equal(wrong, 0);
        text_release(&came);
        scene_close(&scene);
    }
}

static void a_served_waiter_comes_after_the_push(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct scene scene;
        struct text came = { 0 };
        scene_open(&scene, both[i], NULL);
        client_send(scene.waiter, "BLMOVE from to LEFT RIGHT 0");
        assert_info_soon(scene.client, "clients", "blocked_clients", "1");
        ask_each(scene.client, "RPUSH from a");
        assert_next(scene.waiter, "$\"a\"");
        read_effects(&scene, &came);
        if (!matches_any("RPUSH from a; LMOVE from to left right|RPUSH from a; LMOVE from to LEFT "
                         "RIGHT|MULTI; RPUSH from a; LMOVE from to LEFT "
                         "RIGHT; EXEC",
                         text_str(&came)))
            HARNESS_FAIL("%s sent %s", peer_name(both[i]), text_str(&came));
        text_release(&came);
        scene_close(&scene);
    }
}

static void an_expired_key_is_deleted_in_the_stream(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct scene scene;
        scene_open(&scene, both[i], NULL);
        ask_each(scene.client, "SET k v PX 20");
        assert_memory_equal(next_effect(&scene), "SET k v PXAT ", 13);
        const char *effect = next_effect(&scene);
        assert_true(strcmp(effect, "DEL k") == 0 || strcmp(effect, "UNLINK k") == 0);
        scene_close(&scene);
    }
}

static void evictions_are_deletions_in_the_stream(void **state) {
    (void)state;
    static const char *const small[] = { "--maxmemory-policy", "allkeys-random", NULL };
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct scene scene;
        scene_open(&scene, both[i], small);
        ask_each(scene.client, "DEL before; SET a 1; CONFIG SET maxmemory 1");
        client_ask(scene.client, "SET b 2");
        assert_string_equal(next_effect(&scene), "DEL before");
        assert_string_equal(next_effect(&scene), "SET a 1");
        const char *effect = next_effect(&scene);
        assert_true(strcmp(effect, "DEL a") == 0 || strcmp(effect, "UNLINK a") == 0);
        scene_close(&scene);
    }
}

/* ---- offsets ---- */

static void wait_asks_for_acknowledgements(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct scene scene;
        scene_open(&scene, both[i], NULL);
        ask_each(scene.client, "SET a 1");
        assert_string_equal(next_effect(&scene), "SET a 1");
        client_send(scene.client, "WAIT 1 0");
        assert_string_equal(next_effect(&scene), "REPLCONF GETACK *");
        wire_tell(scene.replica, "REPLCONF ACK %lld", (long long)scene_offset(&scene) - 37);
        assert_next(scene.client, ":1");
        scene_close(&scene);
    }
}

/* PING is in small letters, and counts. */
static void every_byte_of_the_stream_counts(void **state) {
    (void)state;
    static const char *const args[] = { "--repl-ping-replica-period", "1", NULL };
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct scene scene;
        struct text came = { 0 };
        struct replication now;
        scene_open(&scene, both[i], args);
        ask_each(scene.client, "SET a 1; SELECT 2; SET b 2; MULTI; SET a 1; SET c 3; EXEC; SELECT 0");
        read_effects(&scene, &came);
        if (!matches_any("SET a 1; SELECT 2; SET b 2; MULTI; SET a 1; SET c 3; EXEC", text_str(&came)))
            HARNESS_FAIL("%s sent %s", peer_name(both[i]), text_str(&came));
        int64_t before = scene_offset(&scene);
        assert_string_equal(wire_next(scene.replica), "ping");
        assert_int_equal(scene_offset(&scene) - before, 14);
        for (int tries = 0;; tries++) {
            replication_look(scene.server, &now);
            if (now.offset == scene_offset(&scene)) break;
            if (now.offset < scene_offset(&scene) || tries > 50)
                HARNESS_FAIL("%s counts %lld bytes, and sent %lld", peer_name(both[i]), (long long)now.offset,
                             (long long)scene_offset(&scene));
            assert_string_equal(wire_next(scene.replica), "ping");
        }
        text_release(&came);
        scene_close(&scene);
    }
}

/* ---- what a replica says ---- */

static void a_second_psync_is_ignored(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct scene scene;
        scene_open(&scene, both[i], NULL);
        wire_tell(scene.replica, "PSYNC ? -1");
        wire_say(scene.replica, "\n\r\n\n");
        ask_each(scene.client, "SET a 1");
        assert_string_equal(next_effect(&scene), "SET a 1");
        scene_close(&scene);
    }
}

/* A reply would be taken for a part of the stream. */
static void a_replica_that_asks_is_closed(void **state) {
    (void)state;
    static const char *const questions[] = { "PING",   "INFO",  "GET k",       "REPLCONF capa eof", "SET k v",
                                             "NOSUCH", "MULTI", "SUBSCRIBE a", "CLIENT ID" };
    struct scene scene;
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        scene_open(&scene, PEER_TRIVET, NULL);
        if (peer_is_reference(scene.server)) skip();
        ask_each(scene.client, "SET a 1");
        assert_string_equal(next_effect(&scene), "SET a 1");
        wire_tell(scene.replica, "%s", questions[i]);
        const char *came = wire_next(scene.replica);
        if (came) HARNESS_FAIL("%s was answered by %s", questions[i], came);
        assert_reply(scene.client, "PING", "+PONG");
        scene_close(&scene);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effects_are_sent_and_not_requests),
        cmocka_unit_test(a_served_waiter_comes_after_the_push),
        cmocka_unit_test(an_expired_key_is_deleted_in_the_stream),
        cmocka_unit_test(evictions_are_deletions_in_the_stream),
        cmocka_unit_test(wait_asks_for_acknowledgements),
        cmocka_unit_test(every_byte_of_the_stream_counts),
        cmocka_unit_test(a_second_psync_is_ignored),
        cmocka_unit_test(a_replica_that_asks_is_closed),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
