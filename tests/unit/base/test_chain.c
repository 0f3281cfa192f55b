/* Items are found in the order they were put, wherever one is taken out, and no link is in a chain twice. */
#include "trivet/base/chain.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct item {
    char name;
    struct chain_link link; /* not the first field: the offset must be taken off */
};

#define ITEMS 5

static struct chain chain;
static struct item items[ITEMS];

static int set_up(void **state) {
    (void)state;
    memset(&chain, 0, sizeof chain);
    memset(items, 0, sizeof items);
    for (int i = 0; i < ITEMS; i++) items[i].name = (char)('a' + i);
    return 0;
}

static void insert_all(void) {
    for (int i = 0; i < ITEMS; i++) chain_insert_last(&chain, &items[i].link);
}

/* Reads the chain in both directions. */
static void assert_chain(const struct chain *l, const char *expected) {
    char forwards[ITEMS + 1] = "", backwards[ITEMS + 1] = "";
    size_t count = 0, len = strlen(expected);
    CHAIN_EACH(l, struct item, link, one) {
        assert_true(count < len);
        forwards[count++] = one->name;
    }
    for (struct item *one = CHAIN_LAST(l, struct item, link); one;
         one = CHAIN_PREVIOUS(one, struct item, link))
        backwards[--count] = one->name;
    assert_int_equal(count, 0);
    assert_string_equal(forwards, expected);
    assert_string_equal(backwards, expected);
    assert_int_equal(chain_is_empty(l), len == 0);
}

static void a_zeroed_chain_is_empty(void **state) {
    (void)state;
    assert_chain(&chain, "");
    assert_null(CHAIN_FIRST(&chain, struct item, link));
    assert_null(CHAIN_LAST(&chain, struct item, link));
}

static void links_are_inserted_at_either_end(void **state) {
    (void)state;
    chain_insert_first(&chain, &items[2].link);
    chain_insert_first(&chain, &items[1].link);
    chain_insert_last(&chain, &items[3].link);
    chain_insert_first(&chain, &items[0].link);
    assert_chain(&chain, "abcd");
}

static void any_link_can_be_removed_and_inserted_again(void **state) {
    (void)state;
    static const char *const without[ITEMS] = { "bcde", "acde", "abde", "abce", "abcd" };
    for (int i = 0; i < ITEMS; i++) {
        set_up(NULL);
        insert_all();
        chain_remove(&chain, &items[i].link);
        assert_false(chain_link_is_linked(&items[i].link));
        assert_chain(&chain, without[i]);
        chain_insert_last(&chain, &items[i].link);
        assert_true(chain_link_is_linked(&items[i].link));
    }
}

static void the_only_link_knows_that_it_is_in_a_chain(void **state) {
    (void)state;
    assert_false(chain_link_is_linked(&items[0].link));
    chain_insert_first(&chain, &items[0].link);
    assert_true(chain_link_is_linked(&items[0].link));
    chain_remove(&chain, &items[0].link);
    assert_false(chain_link_is_linked(&items[0].link));
    assert_chain(&chain, "");
}

static void each_goes_on_when_its_body_removes_the_item(void **state) {
    (void)state;
    insert_all();
    CHAIN_EACH(&chain, struct item, link, one) if (one->name != 'c') chain_remove(&chain, &one->link);
    assert_chain(&chain, "c");
}

static void a_chain_is_appended_to_another(void **state) {
    (void)state;
    struct chain other = { 0 };
    chain_append(&chain, &other);
    assert_chain(&chain, "");
    chain_insert_last(&other, &items[0].link);
    chain_insert_last(&other, &items[1].link);
    chain_append(&chain, &other); /* to an empty one */
    assert_chain(&chain, "ab");
    assert_chain(&other, "");
    chain_insert_last(&other, &items[2].link);
    chain_append(&chain, &other);
    assert_chain(&chain, "abc");
    chain_remove(&chain, &items[2].link);
    assert_chain(&chain, "ab");
}

static void insert_twice(void) {
    chain_insert_last(&chain, &items[0].link);
    struct chain other = { 0 };
    chain_insert_last(&other, &items[0].link);
}

static void remove_twice(void) {
    insert_all();
    chain_remove(&chain, &items[1].link);
    chain_remove(&chain, &items[1].link);
}

static void remove_from_another_chain(void) {
    chain_insert_last(&chain, &items[0].link);
    struct chain other = { 0 };
    chain_remove(&other, &items[0].link);
}

static void misuse_is_an_assert(void **state) {
    (void)state;
    static void (*const misuses[])(void) = { insert_twice, remove_twice, remove_from_another_chain };
    for (size_t i = 0; i < COUNT_OF(misuses); i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            close(STDERR_FILENO); /* what the assert says is not this test's output */
            misuses[i]();
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_zeroed_chain_is_empty, set_up),
        cmocka_unit_test_setup(links_are_inserted_at_either_end, set_up),
        cmocka_unit_test_setup(any_link_can_be_removed_and_inserted_again, set_up),
        cmocka_unit_test_setup(the_only_link_knows_that_it_is_in_a_chain, set_up),
        cmocka_unit_test_setup(each_goes_on_when_its_body_removes_the_item, set_up),
        cmocka_unit_test_setup(a_chain_is_appended_to_another, set_up),
        cmocka_unit_test_setup(misuse_is_an_assert, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
