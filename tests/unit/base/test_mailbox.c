/* Letters arrive once each, in each poster's order, and the owner is woken. */
#include "trivet/base/mailbox.h"
#include "trivet/base/mem.h"
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define POSTERS 4
#define LETTERS_EACH 20000

struct numbered {
    struct letter letter;
    int poster, number;
};

static struct mailbox box;
static int next_of_poster[POSTERS]; /* the owner's */

static void receive(struct letter *self) {
    struct numbered *n = CONTAINER_OF(self, struct numbered, letter);
    assert_int_equal(n->number, next_of_poster[n->poster]);
    next_of_poster[n->poster]++;
    mem_free(n);
}

static void post_numbered(int poster, int number) {
    struct numbered *n = mem_alloc(sizeof *n);
    *n = (struct numbered){ .letter.run = receive, .poster = poster, .number = number };
    mailbox_post(&box, &n->letter);
}

static void *post_many(void *arg) {
    for (int i = 0; i < LETTERS_EACH; i++) post_numbered((int)(uintptr_t)arg, i);
    return NULL;
}

static bool is_readable(int fd, int timeout_ms) {
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, timeout_ms) == 1;
}

static int set_up(void **state) {
    (void)state;
    memset(next_of_poster, 0, sizeof next_of_poster);
    return mailbox_init(&box) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    mailbox_release(&box);
    return 0;
}

static void letters_run_once_in_the_order_of_posting(void **state) {
    (void)state;
    assert_false(mailbox_has_letters(&box));
    for (int i = 0; i < 5; i++) post_numbered(0, i);
    assert_true(mailbox_has_letters(&box));
    assert_int_equal(next_of_poster[0], 0); /* nothing runs in the poster */
    assert_int_equal(mailbox_drain(&box), 5);
    assert_int_equal(next_of_poster[0], 5);
    assert_int_equal(mailbox_drain(&box), 0);
}

static void the_owner_is_woken_until_it_drains(void **state) {
    (void)state;
    assert_false(is_readable(box.wake_fd, 0));
    post_numbered(0, 0);
    post_numbered(0, 1);
    assert_true(is_readable(box.wake_fd, 0));
    mailbox_drain(&box);
    assert_false(is_readable(box.wake_fd, 0));
    post_numbered(0, 2);
    assert_true(is_readable(box.wake_fd, 0));
    mailbox_drain(&box);
}

static void post_another(struct letter *self) {
    (void)self;
    post_numbered(0, 0);
}

static void a_letter_posted_while_draining_waits_for_the_next_time(void **state) {
    (void)state;
    struct letter poster = { .run = post_another };
    mailbox_post(&box, &poster);
    assert_int_equal(mailbox_drain(&box), 1);
    assert_int_equal(next_of_poster[0], 0);
    assert_true(is_readable(box.wake_fd, 0));
    assert_int_equal(mailbox_drain(&box), 1);
    assert_int_equal(next_of_poster[0], 1);
}

/* Ends only if no wake-up is ever lost: the owner sleeps without a timeout. */
static void many_posters_lose_neither_letters_nor_order_nor_wakeups(void **state) {
    (void)state;
    pthread_t threads[POSTERS];
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, (void *)(uintptr_t)i), 0);
    for (size_t got = 0; got < (size_t)POSTERS * LETTERS_EACH;) {
        assert_true(is_readable(box.wake_fd, -1));
        got += mailbox_drain(&box);
    }
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(next_of_poster[i], LETTERS_EACH);
    }
    assert_int_equal(mailbox_drain(&box), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(letters_run_once_in_the_order_of_posting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_owner_is_woken_until_it_drains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_letter_posted_while_draining_waits_for_the_next_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_posters_lose_neither_letters_nor_order_nor_wakeups, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
