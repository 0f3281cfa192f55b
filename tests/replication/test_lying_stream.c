/* test_lying_stream.c: what a replica does with a primary whose stream has anything in it, or ends anywhere:
 * it must live, and ask for what comes behind the last that it applied. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "false_primary.h"
#include "load.h"
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_OF_NOISE 60

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
    struct wire *w = scene_feed(&scene, 1000);
    wire_tell(w, "SELECT 0");             /* 23 bytes */
    wire_say(w, "*1\r\n$5\r\nMULTI\r\n"); /* not counted before EXEC */
    wire_tell(w, "SET half 1");
    wire_tell(w, "SET new 2");
    wire_close(w);
    w = scene_await_psync(&scene);
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

/* No primary sends such a thing; but what came counts, or all that follows would have another offset. */
static void a_discarded_transaction_counts(void **state) {
    (void)state;
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = scene_feed(&scene, 1000);
    wire_tell(w, "SELECT 0");    /* 23 bytes */
    wire_tell(w, "MULTI");       /* 15 */
    wire_tell(w, "SET gone 1");  /* 30 */
    wire_tell(w, "DISCARD");     /* 17 */
    wire_tell(w, "SET after 1"); /* 31 */
    assert_reply_soon(scene.client, "EXISTS after", ":1");
    assert_reply(scene.client, "EXISTS gone", ":0");
    wire_close(w);
    w = scene_await_psync(&scene);
    assert_asks_from(&scene, 1000 + 23 + 15 + 30 + 17 + 31 + 1);
    wire_close(w);
    scene_close(&scene);
}

static void a_half_command_is_asked_for_again(void **state) {
    (void)state;
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = scene_feed(&scene, 0);
    wire_tell(w, "SELECT 0");
    wire_say(w, "*3\r\n$3\r\nSET\r\n$4\r\nha");
    wire_close(w);
    w = scene_await_psync(&scene);
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
    struct wire *w = scene_feed(&scene, 0);
    wire_tell(w, "SELECT 0");
    wire_tell(w, "SET after 1");
    assert_reply_soon(scene.client, "EXISTS after", ":1");
    replication_look(scene.replica, &now);
    wire_close(w);
    w = scene_await_psync(&scene);
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
    struct wire *w = scene_feed(&scene, 0);
    for (size_t i = 0; i < COUNT_OF(streams); i++) {
        wire_say(w, "%s", streams[i]);
        wire_await_end(w);
        wire_close(w);
        assert_reply(scene.client, "EXISTS inline new", ":1");
        w = scene_await_psync(&scene);
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
    struct wire *w = scene_feed(&scene, 0);
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        char key[32];
        struct text ask = { 0 };
        snprintf(key, sizeof key, "after%zu", i);
        text_printf(&ask, "EXISTS %s", key);
        wire_send_together(w, true); /* some of them end the link with the turn */
        wire_tell(w, "SELECT 0");
        wire_tell(w, "%s", commands[i]);
        wire_tell(w, "SET same%zu 1", i);
        wire_send_together(w, false);
        wire_finish(w);
        w = scene_await_psync(&scene);
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
    struct wire *w = scene_feed(&scene, 0);
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
    struct wire *w = scene_feed(&scene, 0);
    for (int round = 0; round < ROUNDS_OF_NOISE; round++) {
        add_noise(&stream, &dice);
        wire_send(w, stream.ptr, stream.len);
        wire_close(w);
        w = scene_await_psync(&scene);
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
        cmocka_unit_test(a_half_transaction_is_forgotten),
        cmocka_unit_test(a_discarded_transaction_counts),
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
