/* test_lying_primary.c: what a replica does with a primary that is broken, or lies: answers that are none,
 * dumps with damaged bytes, streams with anything in them, links that end anywhere.
 *
 * It must live, try again, and have its old data until there are whole new ones. What a primary may do,
 * though it seldom does, is here too: such as newlines before its answers, or one byte at a time. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/wire.h"
#include "../integration/files.h"
#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define ID WIRE_ID
#define MARK "abcdefghijabcdefghijabcdefghijabcdefghij"
#define ROUNDS_OF_NOISE 60

/* A replica with data of its own, and its false primary. */
struct scene {
    struct server *replica;
    struct client *client;
    struct wire_listener *listener;
    struct text rdb; /* a dump that is right: SET new 1, and some more */
    struct text psync;
};

static void make_dump(struct text *out) {
    struct server *s = peer_start(PEER_REDIS, NULL);
    struct client *c = server_connect(s);
    client_ask(c, "SET new 1");
    client_ask(c, "DEBUG POPULATE 300");
    client_ask(c, "RPUSH list a b c");
    client_ask(c, "HSET hash f v");
    assert_reply(c, "SAVE", "+OK");
    file_read(server_path(s, "dump.rdb"), out);
    client_close(c);
    server_free(s);
}

static void scene_open(struct scene *scene, const char *diskless_load) {
    const char *args[] = { "--repl-diskless-load", diskless_load, NULL };
    *scene = (struct scene){ .replica = peer_start(PEER_TRIVET, args), .listener = wire_listen() };
    make_dump(&scene->rdb);
    scene->client = server_connect(scene->replica);
    client_ask(scene->client, "SET old 1");
    replication_follow(scene->replica, wire_port(scene->listener));
}

static void scene_close(struct scene *scene) {
    client_close(scene->client);
    server_free(scene->replica);
    wire_listener_close(scene->listener);
    text_release(&scene->rdb);
    text_release(&scene->psync);
}

static struct wire *await_psync(struct scene *scene) {
    return wire_accept_psync(scene->listener, &scene->psync);
}

/* It has the dump, and is in the stream at `offset`. */
static struct wire *feed(struct scene *scene, int64_t offset) {
    struct wire *w = await_psync(scene);
    wire_send_fullresync(w, ID, offset, text_slice(&scene->rdb));
    assert_reply_soon(scene->client, "EXISTS new", ":1");
    replication_await_link(scene->replica);
    return w;
}

/* It has nothing of what was sent, and is well. */
static void assert_unharmed(struct scene *scene) {
    assert_reply(scene->client, "EXISTS old new", ":1");
    assert_reply(scene->client, "GET old", "$\"1\"");
}

/* Waits for its next try and serves it well. */
static void assert_comes_back(struct scene *scene) {
    struct wire *w = await_psync(scene);
    wire_send_fullresync(w, ID, 100, text_slice(&scene->rdb));
    wire_tell(w, "SET after 1");
    assert_reply_soon(scene->client, "EXISTS new after old", ":2");
    wire_close(w);
}

/* ---- before the transfer ---- */

static void broken_handshakes_are_tried_again(void **state) {
    (void)state;
    static const char *const answers[] = {
        "",
        "-LOADING wait\r\n",
        "-MASTERDOWN wait\r\n",
        "\r\n",
        "+PONG",
        ":1\r\n",
        "*1\r\n$4\r\nPONG\r\n",
        "$4\r\nPONG\r\n",
        "\x00\x01\x02\xff\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
    };
    struct scene scene;
    scene_open(&scene, "disabled");
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct wire *w = wire_accept(scene.listener);
        const char *first = wire_next(w);
        assert_non_null(first);
        assert_int_equal(strcasecmp(first, "PING"), 0);
        wire_say(w, "%s", answers[i]);
        wire_close(w);
        assert_unharmed(&scene);
    }
    assert_comes_back(&scene);
    scene_close(&scene);
}

/* Errors for what it tells of itself are no reason to stop. */
static void refusals_of_options_do_not_matter(void **state) {
    (void)state;
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = wire_accept(scene.listener);
    const char *command;
    wire_send_singly(w);
    while ((command = wire_next(w)) && strncasecmp(command, "PSYNC", 5) != 0)
        wire_say(w, strcasecmp(command, "PING") == 0 ? "-NOAUTH no\r\n" : "-ERR no such option\r\n");
    assert_non_null(command);
    wire_say(w, "\n\n\n+FULLRESYNC " ID " 7\r\n\n\n");
    wire_send_rdb(w, text_slice(&scene.rdb));
    wire_tell(w, "SET after 1");
    assert_reply_soon(scene.client, "EXISTS new after old", ":2");
    wire_close(w);
    scene_close(&scene);
}

static void answers_to_psync_that_are_none_are_tried_again(void **state) {
    (void)state;
    static const char *const answers[] = {
        "+FULLRESYNC\r\n",
        "+FULLRESYNC " ID "\r\n",
        "+FULLRESYNC 0123456789abcdef0123456789abcdef0123456 1\r\n",
        "+FULLRESYNC " ID "8 1\r\n",
        "+FULLRESYNC " ID " -5\r\n",
        "+FULLRESYNC " ID " abc\r\n",
        "+FULLRESYNC " ID " 99999999999999999999999\r\n",
        "+FULLRESYNC " ID " 1 2\r\n",
        "+CONTINUE 12\r\n",
        "+CONTINUE " ID "ab\r\n",
        "+OK\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n",
        "-NOMASTERLINK wait\r\n",
        "-LOADING wait\r\n",
        "garbage",
        "",
    };
    struct scene scene;
    scene_open(&scene, "disabled");
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct wire *w = await_psync(&scene);
        wire_say(w, "%s", answers[i]);
        /* What would be the dump, if it believed the answer. */
        if (answers[i][0] == '+' && answers[i][1] == 'F') wire_send_rdb(w, text_slice(&scene.rdb));
        wire_close(w);
        assert_unharmed(&scene);
    }
    assert_comes_back(&scene);
    scene_close(&scene);
}

/* A line without an end is not gathered for ever. */
static void endless_lines_are_cut(void **state) {
    (void)state;
    struct scene scene;
    struct text much = { 0 };
    memset(text_reserve(&much, 1000000), 'x', 1000000);
    much.len = 1000000;
    scene_open(&scene, "disabled");
    struct wire *w = wire_accept(scene.listener);
    assert_non_null(wire_next(w));
    wire_say(w, "+");
    wire_send(w, much.ptr, much.len);
    wire_await_end(w);
    wire_close(w);
    w = await_psync(&scene);
    wire_say(w, "+FULLRESYNC ");
    wire_send(w, much.ptr, much.len);
    wire_await_end(w);
    wire_close(w);
    assert_unharmed(&scene);
    assert_comes_back(&scene);
    text_release(&much);
    scene_close(&scene);
}

/* A primary of old days knows no PSYNC. */
static void a_primary_without_psync_is_asked_for_sync(void **state) {
    (void)state;
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = await_psync(&scene);
    wire_say(w, "-ERR unknown command 'PSYNC'\r\n");
    const char *line = wire_line(w);
    if (line[0] == '*') { /* as an array */
        wire_line(w);
        line = wire_line(w);
    }
    assert_int_equal(strcasecmp(line, "SYNC"), 0);
    wire_send_rdb(w, text_slice(&scene.rdb));
    wire_tell(w, "SELECT 0");
    wire_tell(w, "SET after 1");
    assert_reply_soon(scene.client, "EXISTS new after old", ":2");
    wire_close(w);
    scene_close(&scene);
}

/* ---- the transfer ---- */

static const char *const loads[] = { "disabled", "swapdb" };

static void broken_headers_are_tried_again(void **state) {
    (void)state;
    static const char *const headers[] = {
        "$\r\n",   "$abc\r\n", "$-1\r\n", "$99999999999999999999999\r\n", "$9223372036854775807\r\nREDIS0010",
        "$EOF:short\r\n", "$EOF:" MARK "k\r\n", "-ERR no dump\r\n", "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n",
        "garbage\r\n", "$5\r\nREDIS", "$0\r\n",
    };
    for (size_t load = 0; load < COUNT_OF(loads); load++) {
        struct scene scene;
        scene_open(&scene, loads[load]);
        for (size_t i = 0; i < COUNT_OF(headers); i++) {
            struct wire *w = await_psync(&scene);
            wire_say(w, "+FULLRESYNC " ID " 5\r\n%s", headers[i]);
            wire_close(w);
            assert_unharmed(&scene);
        }
        assert_comes_back(&scene);
        scene_close(&scene);
    }
}

/* Another way in which each is not right. */
static void spoil_dump(struct text *rdb, size_t which) {
    size_t at = rdb->len * which / 12;
    switch (which) {
    case 0: memcpy(rdb->ptr, "REDIS9999", 9); break;
    case 1: memcpy(rdb->ptr, "GARBAGE!!", 9); break;
    case 2: rdb->len = 9; break;
    case 3: rdb->len -= 1; break;
    case 4: rdb->len -= 9; break;
    case 11: rdb->ptr[rdb->len - 1] = (char)~rdb->ptr[rdb->len - 1]; break;
    default: rdb->ptr[at] = (char)~rdb->ptr[at];
    }
}

/* To disk by length, to memory by mark: each try takes the replica a second. */
static void damaged_dumps_are_not_taken(void **state) {
    (void)state;
    for (size_t load = 0; load < COUNT_OF(loads); load++) {
        bool by_mark = load == 1;
        struct scene scene;
        scene_open(&scene, loads[load]);
        for (size_t which = 0; which < 12; which++) {
            struct text rdb = { 0 };
            text_append(&rdb, scene.rdb.ptr, scene.rdb.len);
            spoil_dump(&rdb, which);
            struct wire *w = await_psync(&scene);
            wire_say(w, "+FULLRESYNC " ID " 5\r\n");
            if (by_mark) wire_say(w, "$EOF:" MARK "\r\n");
            if (by_mark) wire_send(w, rdb.ptr, rdb.len);
            if (by_mark) wire_say(w, MARK);
            if (!by_mark) wire_send_rdb(w, text_slice(&rdb));
            wire_await_end(w);
            wire_close(w);
            assert_unharmed(&scene);
            text_release(&rdb);
        }
        assert_comes_back(&scene);
        scene_close(&scene);
    }
}

/* The mark never comes, or another; the dump breaks off. */
static void unfinished_dumps_are_not_taken(void **state) {
    (void)state;
    static const char *const ends[] = { "", "abcdefghij", "jihgfedcbajihgfedcbajihgfedcbajihgfedcba",
                                        "abcdefghijabcdefghijabcdefghijabcdefghiX" };
    for (size_t load = 0; load < COUNT_OF(loads); load++) {
        struct scene scene;
        scene_open(&scene, loads[load]);
        for (size_t i = 0; i < COUNT_OF(ends); i++) {
            struct wire *w = await_psync(&scene);
            wire_say(w, "+FULLRESYNC " ID " 5\r\n$EOF:" MARK "\r\n");
            wire_send(w, scene.rdb.ptr, scene.rdb.len);
            wire_say(w, "%s", ends[i]);
            wire_close(w);
            assert_unharmed(&scene);
        }
        for (size_t part = 0; part < 5; part++) {
            struct wire *w = await_psync(&scene);
            wire_say(w, "+FULLRESYNC " ID " 5\r\n$%zu\r\n", scene.rdb.len);
            wire_send(w, scene.rdb.ptr, scene.rdb.len * part / 5);
            wire_close(w);
            assert_unharmed(&scene);
        }
        assert_comes_back(&scene);
        scene_close(&scene);
    }
}

static void dumps_may_come_byte_by_byte(void **state) {
    (void)state;
    for (size_t load = 0; load < COUNT_OF(loads); load++)
        for (int by_mark = 0; by_mark < 2; by_mark++) {
            struct scene scene;
            scene_open(&scene, loads[load]);
            struct wire *w = await_psync(&scene);
            wire_send_singly(w);
            wire_say(w, "\n\n+FULLRESYNC " ID " 5\r\n\n\n");
            if (by_mark) wire_say(w, "$EOF:" MARK "\r\n");
            if (by_mark) wire_send(w, scene.rdb.ptr, scene.rdb.len);
            if (by_mark) wire_say(w, MARK);
            if (!by_mark) wire_send_rdb(w, text_slice(&scene.rdb));
            wire_await_ack(w, 5); /* behind a mark the stream waits for that */
            wire_tell(w, "SELECT 0");
            wire_tell(w, "SET after 1");
            assert_reply_soon(scene.client, "EXISTS new after old", ":2");
            wire_close(w);
            scene_close(&scene);
        }
}

/* ---- the stream ---- */

/* PSYNC asks for the byte behind the last that was applied. */
static void assert_asks_from(const struct scene *scene, long long offset) {
    struct text wanted = { 0 };
    text_printf(&wanted, "PSYNC " ID " %lld", offset);
    assert_string_equal(text_str(&scene->psync), text_str(&wanted));
    text_release(&wanted);
}

static void a_half_transaction_is_forgotten(void **state) {
    (void)state;
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = feed(&scene, 1000);
    wire_tell(w, "SELECT 0");             /* 23 bytes */
    wire_say(w, "*1\r\n$5\r\nMULTI\r\n"); /* not counted before EXEC */
    wire_tell(w, "SET half 1");
    wire_tell(w, "SET new 2");
    wire_close(w);
    w = await_psync(&scene);
    assert_asks_from(&scene, 1000 + 23 + 1);
    assert_reply(scene.client, "EXISTS half", ":0");
    assert_reply(scene.client, "GET new", "$\"1\"");
    wire_say(w, "+CONTINUE\r\n");
    wire_say(w, "*1\r\n$5\r\nMULTI\r\n");
    wire_tell(w, "SET half 1");
    wire_tell(w, "SET new 2");
    wire_tell(w, "EXEC");
    assert_reply_soon(scene.client, "MGET half new", "*[$\"1\", $\"2\"]");
    wire_close(w);
    scene_close(&scene);
}

static void a_half_command_is_asked_for_again(void **state) {
    (void)state;
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = feed(&scene, 0);
    wire_tell(w, "SELECT 0");
    wire_say(w, "*3\r\n$3\r\nSET\r\n$4\r\nha");
    wire_close(w);
    w = await_psync(&scene);
    assert_asks_from(&scene, 24);
    wire_say(w, "+CONTINUE " ID "\r\n");
    wire_tell(w, "SET half 1");
    assert_reply_soon(scene.client, "EXISTS half", ":1");
    wire_close(w);
    scene_close(&scene);
}

/* CONTINUE may bring another id: the next PSYNC asks by it. */
static void a_new_id_is_taken_over(void **state) {
    (void)state;
    struct scene scene;
    struct replication now;
    scene_open(&scene, "disabled");
    struct wire *w = feed(&scene, 0);
    wire_tell(w, "SELECT 0");
    wire_tell(w, "SET after 1");
    assert_reply_soon(scene.client, "EXISTS after", ":1");
    replication_look(scene.replica, &now);
    wire_close(w);
    w = await_psync(&scene);
    wire_say(w, "+CONTINUE ffffffffffffffffffffffffffffffffffffffff\r\n");
    wire_tell(w, "SET again 1");
    assert_reply_soon(scene.client, "EXISTS again", ":1");
    struct replication later;
    replication_look(scene.replica, &later);
    assert_string_equal(later.id, "ffffffffffffffffffffffffffffffffffffffff");
    assert_string_equal(later.second_id, ID);
    assert_int_equal(later.second_offset, now.offset + 1);
    wire_close(w);
    scene_close(&scene);
}

/* Each ends the link; the replica comes again, with what it had. */
static void streams_that_are_none_end_the_link(void **state) {
    (void)state;
    static const char *const streams[] = {
        "SET inline 1\r\n",
        "*3\r\n$3\r\nSET\r\n$6\r\ninline\r\n:1\r\n",
        "*1000000000000\r\n",
        "*-5\r\n$3\r\nSET\r\n",
        "*3\r\n$99999999999999999999\r\n",
        "*3\r\n$-3\r\nSET\r\n",
        "*a\r\n",
        "+OK\r\n",
        "$5\r\nhello\r\n",
        "\xff\xfe\xfd\r\n",
    };
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = feed(&scene, 0);
    for (size_t i = 0; i < COUNT_OF(streams); i++) {
        wire_say(w, "%s", streams[i]);
        wire_await_end(w);
        wire_close(w);
        assert_reply(scene.client, "EXISTS inline new", ":1");
        w = await_psync(&scene);
        wire_say(w, "+CONTINUE\r\n");
        replication_await_link(scene.replica);
    }
    wire_tell(w, "SET after 1");
    assert_reply_soon(scene.client, "EXISTS after", ":1");
    wire_close(w);
    scene_close(&scene);
}

/* Commands that no stream has, or that fail, or would wait: the replica lives, and what comes behind is
 * applied, on this link and on the next. */
static void commands_that_do_not_belong_there_do_no_harm(void **state) {
    (void)state;
    static const char *const commands[] = {
        "NOSUCH a b",      "SET new",           "LPUSH new a",     "GET new",          "EXEC",
        "DISCARD",         "MULTI",             "BLPOP none 0",    "SUBSCRIBE channel", "MONITOR",
        "WATCH new",       "SELECT 99",         "SELECT x",        "AUTH wrong",       "HELLO 3",
        "RESET",           "QUIT",              "CLIENT REPLY OFF", "CLIENT KILL TYPE master",
        "PSYNC ? -1",      "SYNC",              "REPLCONF ACK 5",  "REPLCONF capa eof", "REPLCONF nosuch 1",
        "WAIT 1 0",        "CLIENT PAUSE 50",   "EVAL \"return redis.call('NOSUCH')\" 0", "EVAL \"x\" 0",
        "XREAD BLOCK 0 STREAMS none $", "CLIENT TRACKING ON", "FAILOVER", "SHUTDOWN ABORT", "PING a b c",
        "CLIENT LIST",     "INFO",              "DEBUG SLEEP 0",   "REPLCONF",         "REPLCONF GETACK",
    };
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = feed(&scene, 0);
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        char key[32];
        struct text ask = { 0 };
        snprintf(key, sizeof key, "after%zu", i);
        text_printf(&ask, "EXISTS %s", key);
        wire_tell(w, "SELECT 0");
        wire_tell(w, "%s", commands[i]);
        wire_tell(w, "SET same%zu 1", i);
        wire_finish(w);
        w = await_psync(&scene);
        wire_say(w, "+CONTINUE\r\n");
        wire_tell(w, "SELECT 0");
        wire_tell(w, "SET %s 1", key);
        printf("behind %s\n", commands[i]);
        fflush(stdout);
        assert_reply_soon(scene.client, text_str(&ask), ":1");
        bool queues = strcmp(commands[i], "MULTI") == 0;
        assert_int_equal(client_ask_int(scene.client, "EXISTS same%zu", i), queues ? 0 : 1);
        text_release(&ask);
    }
    assert_reply(scene.client, "GET new", "$\"1\"");
    wire_close(w);
    scene_close(&scene);
}

static uint64_t roll(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static char noise(uint64_t *dice) {
    static const char likely[] = "\r\n*$0129-";
    return roll(dice) % 3 ? likely[roll(dice) % (sizeof likely - 1)] : (char)roll(dice);
}

/* A stream that was right, and of which some bytes are not. */
static void add_noise(struct text *stream, uint64_t *dice) {
    text_clear(stream);
    for (int i = 0; i < 20; i++) {
        unsigned key = (unsigned)(roll(dice) % 100);
        text_printf(stream, "*3\r\n$4\r\nSADD\r\n$3\r\ns%02u\r\n$1\r\n%u\r\n", key, key % 10);
        if (i % 7 == 3) text_append_str(stream, "*1\r\n$5\r\nMULTI\r\n");
        if (i % 7 == 6) text_append_str(stream, "*1\r\n$4\r\nEXEC\r\n");
    }
    for (size_t i = 1 + roll(dice) % 4; i > 0; i--) stream->ptr[roll(dice) % stream->len] = noise(dice);
    if (roll(dice) % 2) stream->len = 1 + roll(dice) % stream->len;
}

static void a_transaction_inside_another_does_no_harm(void **state) {
    (void)state;
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = feed(&scene, 0);
    wire_tell(w, "MULTI");
    wire_tell(w, "MULTI");
    wire_tell(w, "SET nested 1");
    wire_tell(w, "EXEC");
    assert_reply_soon(scene.client, "EXISTS nested", ":1");
    wire_close(w);
    scene_close(&scene);
}

/* What it asks for next is answered by CONTINUE, whatever it is. */
static void noise_in_the_stream_does_no_harm(void **state) {
    (void)state;
    struct scene scene;
    struct text stream = { 0 };
    uint64_t dice = load_seed() | 1;
    scene_open(&scene, "disabled");
    struct wire *w = feed(&scene, 0);
    for (int round = 0; round < ROUNDS_OF_NOISE; round++) {
        add_noise(&stream, &dice);
        wire_send(w, stream.ptr, stream.len);
        wire_close(w);
        w = await_psync(&scene);
        wire_say(w, strstr(text_str(&scene.psync), " ? ") ? "" : "+CONTINUE\r\n");
        if (strstr(text_str(&scene.psync), " ? ")) HARNESS_FAIL("it forgot where it was");
    }
    assert_reply(scene.client, "PING", "+PONG");
    wire_tell(w, "SELECT 0");
    wire_tell(w, "SET after 1");
    assert_reply_soon(scene.client, "EXISTS after", ":1");
    wire_close(w);
    text_release(&stream);
    scene_close(&scene);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_handshakes_are_tried_again),
        cmocka_unit_test(refusals_of_options_do_not_matter),
        cmocka_unit_test(answers_to_psync_that_are_none_are_tried_again),
        cmocka_unit_test(endless_lines_are_cut),
        cmocka_unit_test(a_primary_without_psync_is_asked_for_sync),
        cmocka_unit_test(broken_headers_are_tried_again),
        cmocka_unit_test(damaged_dumps_are_not_taken),
        cmocka_unit_test(unfinished_dumps_are_not_taken),
        cmocka_unit_test(dumps_may_come_byte_by_byte),
        cmocka_unit_test(a_half_transaction_is_forgotten),
        cmocka_unit_test(a_half_command_is_asked_for_again),
        cmocka_unit_test(a_new_id_is_taken_over),
        cmocka_unit_test(streams_that_are_none_end_the_link),
        cmocka_unit_test(commands_that_do_not_belong_there_do_no_harm),
        cmocka_unit_test(a_transaction_inside_another_does_no_harm),
        cmocka_unit_test(noise_in_the_stream_does_no_harm),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
