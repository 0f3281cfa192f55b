/* The facts of this process, and how far loading is. */
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include "trivet/engine/process/server_hooks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_is_id(const char *id) {
    assert_int_equal(strlen(id), 40);
    assert_int_equal(strspn(id, "0123456789abcdef"), 40);
}

static void the_ids_are_drawn_anew_for_each_process(void **state) {
    (void)state;
    char before[41];
    server_facts_init();
    assert_is_id(server_facts.run_id);
    memcpy(before, server_facts.run_id, sizeof before);
    server_facts_init();
    assert_string_not_equal(server_facts.run_id, before);
}

static void the_start_is_now_and_here(void **state) {
    (void)state;
    int64_t before_ms = clock_wall_ms(), before_us = clock_steady_us();
    server_facts_init();
    assert_in_range(server_facts.started_ms, before_ms, clock_wall_ms());
    assert_in_range(server_facts.started_steady_us, before_us, clock_steady_us());
    assert_int_equal(server_facts.executable[0], '/');
    assert_int_equal(access(server_facts.executable, X_OK), 0);
    assert_non_null(strstr(server_facts.executable, "test_server_hooks"));
}

static void the_memory_of_the_start_is_what_is_used_then(void **state) {
    (void)state;
    server_facts_ready();
    size_t before = server_facts.startup_memory;
    void *more = mem_alloc(100000);
    server_facts_ready();
    assert_true(server_facts.startup_memory >= before + 100000);
    mem_free(more);
}

static void loading_begins_at_nothing_and_keeps_what_it_found(void **state) {
    (void)state;
    assert_int_equal(loading_progress.started_s, 0);
    loading_begin(1234);
    assert_int_equal(loading_progress.started_s, 1234);
    loading_note(NULL, 50, 200);
    loading_note_keys(7, 3);
    assert_int_equal(loading_progress.loaded, 50);
    assert_int_equal(loading_progress.total, 200);
    loading_end();
    assert_int_equal(loading_progress.started_s, 0);
    assert_int_equal(loading_progress.last_keys_loaded, 7); /* INFO shows them afterwards */
    assert_int_equal(loading_progress.last_keys_expired, 3);
    loading_begin(2345);
    assert_int_equal(loading_progress.loaded, 0);
    assert_int_equal(loading_progress.total, 0);
    loading_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ids_are_drawn_anew_for_each_process),
        cmocka_unit_test(the_start_is_now_and_here),
        cmocka_unit_test(the_memory_of_the_start_is_what_is_used_then),
        cmocka_unit_test(loading_begins_at_nothing_and_keeps_what_it_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
