/* fixture.c: the shared server is reset between tests by FLUSHALL, not restarted: starting costs more than
 * all tests. */
#include "fixture.h"

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

int fixture_open(void **state) {
    shared.client = server_connect(shared.server);
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
