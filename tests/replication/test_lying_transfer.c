/* test_lying_transfer.c: what a replica does with a primary whose dumps are damaged, unfinished or none at
 * all: it must live, try again, and have its old data until there are whole new ones. */
#include "../harness/check.h"
#include "../harness/fixture.h"
#include "false_primary.h"
#include <stdlib.h>

#define MARK "abcdefghijabcdefghijabcdefghijabcdefghij"

static const char *const loads[] = { "disabled", "swapdb" };

/* Each way to load has two replicas. */
static struct scene *scene_in_turn(struct scene scenes[TURNS], size_t turn, size_t load) {
    return &scenes[turn % (TURNS / COUNT_OF(loads)) * COUNT_OF(loads) + load];
}

static const char *const both_ways[TURNS] = { "disabled", "swapdb", "disabled", "swapdb" };

static void send_rdb(struct wire *w, struct slice rdb, bool by_mark) {
    if (!by_mark) {
        wire_send_rdb(w, rdb);
        return;
    }
    wire_say(w, "$EOF:" MARK "\r\n");
    wire_send(w, rdb.ptr, rdb.len);
    wire_say(w, MARK);
}

static void broken_headers_are_tried_again(void **state) {
    (void)state;
    static const char *const headers[] = {
        "$\r\n",   "$abc\r\n", "$-1\r\n", "$99999999999999999999999\r\n", "$9223372036854775807\r\nREDIS0010",
        "$EOF:short\r\n", "$EOF:" MARK "k\r\n", "-ERR no dump\r\n", "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n",
        "garbage\r\n", "$5\r\nREDIS", "$0\r\n",
    };
    struct scene scenes[TURNS];
    scenes_open(scenes, both_ways);
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        for (size_t load = 0; load < COUNT_OF(loads); load++) {
            struct scene *scene = scene_in_turn(scenes, i, load);
            struct wire *w = scene_await_psync(scene);
            wire_say(w, "+FULLRESYNC " ID " 5\r\n%s", headers[i]);
            wire_close(w);
            scene_assert_unharmed(scene);
        }
    scenes_close(scenes);
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

/* To disk by length, to memory by mark. */
static void damaged_dump_is_not_taken(struct scene *scene, size_t which, bool by_mark) {
    struct text rdb = { 0 };
    text_append(&rdb, scene->rdb.ptr, scene->rdb.len);
    spoil_dump(&rdb, which);
    struct wire *w = scene_await_psync(scene);
    wire_say(w, "+FULLRESYNC " ID " 5\r\n");
    send_rdb(w, text_slice(&rdb), by_mark);
    wire_await_end(w);
    wire_close(w);
    scene_assert_unharmed(scene);
    text_release(&rdb);
}

static void damaged_dumps_are_not_taken(void **state) {
    (void)state;
    struct scene scenes[TURNS];
    scenes_open(scenes, both_ways);
    for (size_t which = 0; which < 12; which++)
        for (size_t load = 0; load < COUNT_OF(loads); load++)
            damaged_dump_is_not_taken(scene_in_turn(scenes, which, load), which, load == 1);
    scenes_close(scenes);
}

/* The mark never comes, or another. */
static void dump_without_its_mark_is_not_taken(struct scene *scene, const char *end) {
    struct wire *w = scene_await_psync(scene);
    wire_say(w, "+FULLRESYNC " ID " 5\r\n$EOF:" MARK "\r\n");
    wire_send(w, scene->rdb.ptr, scene->rdb.len);
    wire_say(w, "%s", end);
    wire_close(w);
    scene_assert_unharmed(scene);
}

/* So many fifths of the dump. */
static void part_of_a_dump_is_not_taken(struct scene *scene, size_t fifths) {
    struct wire *w = scene_await_psync(scene);
    wire_say(w, "+FULLRESYNC " ID " 5\r\n$%zu\r\n", scene->rdb.len);
    wire_send(w, scene->rdb.ptr, scene->rdb.len * fifths / 5);
    wire_close(w);
    scene_assert_unharmed(scene);
}

static void unfinished_dumps_are_not_taken(void **state) {
    (void)state;
    static const char *const ends[] = { "", "abcdefghij", "jihgfedcbajihgfedcbajihgfedcbajihgfedcba",
                                        "abcdefghijabcdefghijabcdefghijabcdefghiX" };
    struct scene scenes[TURNS];
    scenes_open(scenes, both_ways);
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        for (size_t load = 0; load < COUNT_OF(loads); load++)
            dump_without_its_mark_is_not_taken(scene_in_turn(scenes, i, load), ends[i]);
    for (size_t fifths = 0; fifths < 5; fifths++)
        for (size_t load = 0; load < COUNT_OF(loads); load++)
            part_of_a_dump_is_not_taken(scene_in_turn(scenes, fifths, load), fifths);
    scenes_close(scenes);
}

static void dumps_may_come_byte_by_byte(void **state) {
    (void)state;
    for (size_t load = 0; load < COUNT_OF(loads); load++)
        for (int by_mark = 0; by_mark < 2; by_mark++) {
            struct scene scene;
            scene_open(&scene, loads[load]);
            struct wire *w = scene_await_psync(&scene);
            wire_send_singly(w);
            wire_say(w, "\n\n+FULLRESYNC " ID " 5\r\n\n\n");
            send_rdb(w, text_slice(&scene.rdb), by_mark == 1);
            wire_await_ack(w, 5); /* behind a mark the stream waits for that */
            wire_tell(w, "SELECT 0");
            wire_tell(w, "SET after 1");
            assert_reply_soon(scene.client, "EXISTS new after old", ":2");
            wire_close(w);
            scene_close(&scene);
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_headers_are_tried_again),
        cmocka_unit_test(damaged_dumps_are_not_taken),
        cmocka_unit_test(unfinished_dumps_are_not_taken),
        cmocka_unit_test(dumps_may_come_byte_by_byte),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
