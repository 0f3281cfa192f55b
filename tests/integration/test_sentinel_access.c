/* test_sentinel_access.c: Sentinel, replicas and clients that must show who they are: failovers in groups
 * with a password, with users of few rights, with names instead of addresses, and with TLS only. */
#include "../harness/tls.h"
#include "sentinel_group.h"

static void a_group_with_a_password_fails_over(void **state) {
    (void)state;
    kill_and_come_back(&(struct group_plan){ .programs = { NULL, GROUP_PEER, NULL },
                                             .common_conf = "requirepass secret\nmasterauth secret",
                                             .sentinel_conf = "sentinel auth-pass " GROUP_NAME " secret",
                                             .log_in = "AUTH secret" });
}

/* Sentinel and the replicas may do what they have to, and nothing else: no refusal is logged. */
static void users_of_the_least_rights_suffice(void **state) {
    (void)state;
    static const char *const users = "user default on >all ~* &* +@all\n"
                                     "user sentinel on >watch resetchannels &__sentinel__:hello -@all "
                                     "+subscribe +publish +script|kill +ping +info "
                                     "+multi +slaveof +config|rewrite +client|setname +client|kill +exec\n"
                                     "user replica on >copy -@all +psync +replconf +ping\n"
                                     "masteruser replica\nmasterauth copy";
    struct group *g =
        group_start(&(struct group_plan){ .common_conf = users,
                                          .sentinel_conf = "sentinel auth-user " GROUP_NAME " sentinel\n"
                                                           "sentinel auth-pass " GROUP_NAME " watch",
                                          .log_in = "AUTH all" });
    server_kill(group_server(g, 0));
    int now = group_await_other_primary(g, 0);
    server_restart(group_server(g, 0));
    group_await_primary(g, now);
    assert_confs(g, now);
    for (int i = 0; i < GROUP_SERVERS; i++) assert_asked(g, i, "ACL LOG", "*[]");
    group_stop(g);
}

/* The address that a replica announces, and that Sentinel says in SLAVEOF, may be a name, and stays one. */
static void servers_go_by_their_names(void **state) {
    (void)state;
    struct group *g = group_start(
        &(struct group_plan){ .host = "localhost", .conf = { NULL, NULL, "replica-priority 0" } });
    assert_asked(g, 0, "INFO replication", "...:ip=localhost,port=...:ip=localhost,port=...");
    group_fail_over(g, 1);
    char address[64];
    snprintf(address, sizeof address, "*[$\"localhost\", $\"%d\"]", group_port(g, 1));
    sentinel_does(g, "SENTINEL GET-MASTER-ADDR-BY-NAME " GROUP_NAME, address);
    assert_string_equal(group_info(g, 0, "master_host"), "localhost");
    group_stop(g);
}

static void a_group_that_speaks_only_tls_fails_over(void **state) {
    (void)state;
    tls_make_usual();
    kill_and_come_back(&(struct group_plan){ .tls = true });
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_with_a_password_fails_over),
        cmocka_unit_test(users_of_the_least_rights_suffice),
        cmocka_unit_test(servers_go_by_their_names),
        cmocka_unit_test(a_group_that_speaks_only_tls_fails_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
