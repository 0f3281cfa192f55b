/* fixture.c: the shared server is reset between tests by FLUSHALL, not restarted: starting costs more than
 * all tests. */
#include "fixture.h"
#include "fail.h"

static struct fixture shared;

int fixture_start(void **state) {
    shared.server = server_launch(&(struct server_plan){ 0 });
    *state = &shared;
    return 0;
}

int fixture_stop(void **state) {
    (void)state;
    server_free(shared.server);
    return 0;
}

/* The connections that the test before has closed are gone from the server too, with all they took part in.
 */
static void await_others_gone(void) {
    enum { TRIES = 100000 };
    for (int tries = 0; info_number(shared.client, "clients", "connected_clients") > 1; tries++)
        if (tries == TRIES) HARNESS_FAIL("a connection of the test before does not end");
}

int fixture_open(void **state) {
    shared.client = server_connect(shared.server);
    await_others_gone();
    assert_reply(shared.client, "FLUSHALL", "+OK");
    *state = &shared;
    return 0;
}

int fixture_close(void **state) {
    (void)state;
    client_close(shared.client);
    shared.client = NULL;
    return 0;
}
