/* Letters from worker to worker: who is woken, and that they are read in order. */
#include "trivet/base/compiler.h"
#include "trivet/engine/turn/workers.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WORKERS 3

static int begin(void **state) {
    (void)state;
    thread_worker_index = 1;
    thread_worker_count = WORKERS;
    for (int i = 0; i < WORKERS; i++)
        if (!mailbox_init(&worker_mailboxes[i])) return -1;
    return 0;
}

static int end(void **state) {
    (void)state;
    for (int i = 0; i < WORKERS; i++) mailbox_release(&worker_mailboxes[i]);
    return 0;
}

struct note {
    struct letter letter;
    int number;
};

static int read_numbers[8], read_count;

static void read_note(struct letter *self) {
    read_numbers[read_count++] = CONTAINER_OF(self, struct note, letter)->number;
}

static bool is_woken(int worker) {
    struct pollfd p = { .fd = worker_mailboxes[worker].wake_fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

static void a_letter_wakes_another_worker_but_not_oneself(void **state) {
    (void)state;
    for (int to = 0; to < WORKERS; to++) {
        struct note n = { .letter = { .run = read_note }, .number = to };
        read_count = 0;
        worker_post(to, &n.letter);
        for (int w = 0; w < WORKERS; w++) {
            assert_int_equal(mailbox_has_letters(&worker_mailboxes[w]), w == to);
            assert_int_equal(is_woken(w), w == to && w != worker_self());
        }
        assert_int_equal(mailbox_drain(&worker_mailboxes[to]), 1);
        assert_int_equal(read_count, 1);
        assert_int_equal(read_numbers[0], to);
        assert_false(is_woken(to));
    }
}

static void letters_are_read_in_the_order_of_posting(void **state) {
    (void)state;
    struct note notes[5];
    read_count = 0;
    for (int i = 0; i < 5; i++) {
        notes[i] = (struct note){ .letter = { .run = read_note }, .number = i };
        worker_post(i % 2, &notes[i].letter);
    }
    assert_int_equal(mailbox_drain(&worker_mailboxes[1]), 2);
    assert_int_equal(mailbox_drain(&worker_mailboxes[0]), 3);
    static const int order[] = { 1, 3, 0, 2, 4 };
    assert_memory_equal(read_numbers, order, sizeof order);
}

static struct note answer = { .letter = { .run = read_note }, .number = 2 };

static void post_another(struct letter *self) {
    read_note(self);
    worker_post(worker_self(), &answer.letter);
}

/* Else a letter that posts itself again would keep a worker from its connections. */
static void what_a_letter_posts_waits_for_the_next_turn(void **state) {
    (void)state;
    struct note first = { .letter = { .run = post_another }, .number = 1 };
    read_count = 0;
    worker_post(worker_self(), &first.letter);
    assert_int_equal(mailbox_drain(&worker_mailboxes[worker_self()]), 1);
    assert_int_equal(read_count, 1);
    assert_int_equal(mailbox_drain(&worker_mailboxes[worker_self()]), 1);
    assert_int_equal(read_numbers[1], 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_wakes_another_worker_but_not_oneself),
        cmocka_unit_test(letters_are_read_in_the_order_of_posting),
        cmocka_unit_test(what_a_letter_posts_waits_for_the_next_turn),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
