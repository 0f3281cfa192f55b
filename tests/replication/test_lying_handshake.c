/* test_lying_handshake.c: what a replica does with a primary whose answers before the transfer are none: it
 * must live, try again, and keep its old data. What a primary may do, though it seldom does, is here too:
 * such as newlines before its answers, or one byte at a time. */
#include "../harness/fixture.h"
#include "false_primary.h"
#include <stdlib.h>
#include <strings.h>

static const char *const from_disk[TURNS] = { "disabled", "disabled", "disabled", "disabled" };

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
    struct scene scenes[TURNS];
    scenes_open(scenes, from_disk);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct scene *scene = &scenes[i % TURNS];
        struct wire *w = wire_accept(scene->listener);
        const char *first = wire_next(w);
        assert_non_null(first);
        assert_int_equal(strcasecmp(first, "PING"), 0);
        wire_say(w, "%s", answers[i]);
        wire_close(w);
        scene_assert_unharmed(scene);
    }
    scenes_close(scenes);
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
    struct scene scenes[TURNS];
    scenes_open(scenes, from_disk);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct scene *scene = &scenes[i % TURNS];
        struct wire *w = scene_await_psync(scene);
        wire_say(w, "%s", answers[i]);
        /* What would be the dump, if it believed the answer. */
        if (answers[i][0] == '+' && answers[i][1] == 'F') wire_send_rdb(w, text_slice(&scene->rdb));
        wire_close(w);
        scene_assert_unharmed(scene);
    }
    scenes_close(scenes);
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
    w = scene_await_psync(&scene);
    wire_say(w, "+FULLRESYNC ");
    wire_send(w, much.ptr, much.len);
    wire_await_end(w);
    wire_close(w);
    scene_assert_unharmed(&scene);
    scene_assert_comes_back(&scene);
    text_release(&much);
    scene_close(&scene);
}

/* A primary of old days knows no PSYNC. */
static void a_primary_without_psync_is_asked_for_sync(void **state) {
    (void)state;
    struct scene scene;
    scene_open(&scene, "disabled");
    struct wire *w = scene_await_psync(&scene);
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

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_handshakes_are_tried_again),
        cmocka_unit_test(refusals_of_options_do_not_matter),
        cmocka_unit_test(answers_to_psync_that_are_none_are_tried_again),
        cmocka_unit_test(endless_lines_are_cut),
        cmocka_unit_test(a_primary_without_psync_is_asked_for_sync),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
