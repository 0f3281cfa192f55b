/* test_links.c: what a node tells of the links of its bus, and when it gives one up. */
#include "played_node.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void open_trivet(struct played_bus *b, const char *timeout_ms) {
    const char *const args[] = { "--cluster-node-timeout", timeout_ms, NULL };
    played_bus_open(b, PEER_TRIVET, args);
}

static void links_are_told_while_they_come_and_go(void **state) {
    (void)state;
    struct played_bus b;
    struct played_node one;
    char line[160];
    open_trivet(&b, "120000");
    assert_reply(b.node.client, "CLUSTER LINKS", "*[]");
    played_join(&b, &one, 'a', NULL);
    played_announce(&one);
    for (int i = 0; i < 2; i++) {
        snprintf(line, sizeof line, "$\"direction\", $\"%s\", $\"node\", $\"%.*s\", $\"create-time\", :1",
                 i ? "to" : "from", NODE_ID_ARG(&one.self.sender));
        assert_non_null(strstr(client_ask(b.node.client, "CLUSTER LINKS"), line));
    }
    assert_non_null(strstr(client_ask(b.node.client, "CLUSTER LINKS"), "$\"events\", $\"r\", "));
    played_leave(&one);
    assert_reply_soon(b.node.client, "CLUSTER LINKS", "*[]");
    played_bus_close(&b);
}

/* The limit is for what a node does not take, so a small one is no end of its link. */
static void a_link_that_takes_everything_has_no_limit(void **state) {
    (void)state;
    struct played_bus b;
    struct played_node one;
    open_trivet(&b, "120000");
    assert_reply(b.node.client, "CONFIG SET cluster-link-sendbuf-limit 100", "+OK");
    played_join(&b, &one, 'a', NULL);
    for (int i = 0; i < 20; i++) played_announce(&one);
    assert_reply(b.node.client, "PUBLISH channel hello", ":0");
    (void)played_await(&one, MESSAGE_PUBLISH);
    struct node *info = client_ask_node(b.node.client, "CLUSTER INFO");
    assert_non_null(strstr(text_str(&info->bytes), "total_cluster_links_buffer_limit_exceeded:0\r\n"));
    node_free(info);
    played_leave(&one);
    played_bus_close(&b);
}

static void a_node_timeout_of_nothing_is_taken(void **state) {
    (void)state;
    struct played_bus b;
    open_trivet(&b, "0");
    assert_reply(b.node.client, "CONFIG SET cluster-node-timeout 10", "+OK");
    assert_reply(b.node.client, "CONFIG SET cluster-node-timeout 0", "+OK");
    assert_reply(b.node.client, "CONFIG GET cluster-node-timeout", "*[$\"cluster-node-timeout\", $\"0\"]");
    played_bus_close(&b);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_are_told_while_they_come_and_go),
        cmocka_unit_test(a_link_that_takes_everything_has_no_limit),
        cmocka_unit_test(a_node_timeout_of_nothing_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
