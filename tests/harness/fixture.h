/* fixture.h: one server for all tests of a file, and for each test a fresh connection to emptied databases.
 *
 *   int main(void) {
 *       const struct CMUnitTest tests[] = { FIXTURE_TEST(get_of_a_missing_key_is_nil), ... };
 *       return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
 *   }
 *
 * A test's *state is its struct fixture. */
#ifndef TESTS_HARNESS_FIXTURE_H
#define TESTS_HARNESS_FIXTURE_H

#include "check.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct server *server;
    struct client *client;
};

#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int fixture_start(void **state);
int fixture_stop(void **state);
int fixture_open(void **state);
int fixture_close(void **state);

static inline struct client *fixture_client(void **state) { return ((struct fixture *)*state)->client; }
/* Another connection to the same server; the test closes it. */
static inline struct client *connect_another(void **state) {
    return server_connect(((struct fixture *)*state)->server);
}

#endif
