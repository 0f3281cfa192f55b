/* An array has room when it is asked for, and doubles only when it is full. */
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void an_array_doubles_when_it_is_full(void **state) {
    (void)state;
    static const size_t rooms[] = { 0, 3, 3, 3, 6, 6, 6, 12, 12 }; /* by count, after growing for that many */
    int *array = NULL;
    size_t count = 0, room = 0;
    while (count + 1 < COUNT_OF(rooms)) {
        GROW(array, count, &room, 3);
        array[count] = (int)count;
        count++;
        assert_int_equal(room, rooms[count]);
    }
    for (size_t i = 0; i < count; i++) assert_int_equal(array[i], i);
    mem_free(array);
}

static void a_room_may_be_narrower_than_a_size(void **state) {
    (void)state;
    struct {
        char **at;
        uint8_t count, room;
    } names = { 0 };
    for (; names.count < 100; names.count++) {
        GROW(names.at, names.count, &names.room, 1);
        names.at[names.count] = NULL;
    }
    assert_int_equal(names.room, 128);
    mem_free(names.at);
}

static void grow_past_a_narrow_room(void) {
    char *array = NULL;
    uint8_t room = 0;
    GROW(array, room, &room, 128);
    GROW(array, room, &room, 128);
}

static void grow_past_all_memory(void) {
    size_t room = SIZE_MAX / 8;
    grow_array(NULL, 8, &room, 1);
}

static void a_room_that_overflows_is_an_assert(void **state) {
    (void)state;
    static void (*const overflows[])(void) = { grow_past_a_narrow_room, grow_past_all_memory };
    for (size_t i = 0; i < COUNT_OF(overflows); i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            close(STDERR_FILENO); /* what the assert says is not this test's output */
            overflows[i]();
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_doubles_when_it_is_full),
        cmocka_unit_test(a_room_may_be_narrower_than_a_size),
        cmocka_unit_test(a_room_that_overflows_is_an_assert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
