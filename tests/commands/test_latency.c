/* test_latency.c: LATENCY over the wire. */
#include "../harness/fixture.h"

static void spikes_are_recorded_told_and_forgotten(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "LATENCY RESET", ":0");
    assert_reply(c, "LATENCY LATEST", "*[]");
    assert_reply(c, "DEBUG SLEEP 0.02", "+OK");
    assert_reply(c, "LATENCY LATEST", "*[]"); /* the monitor is off */
    assert_reply(c, "CONFIG SET latency-monitor-threshold 10", "+OK");
    assert_reply(c, "DEBUG SLEEP 0.03", "+OK");
    assert_reply(c, "LATENCY LATEST", "*[...*[$\"command\", :..., :..., :..., :..., :...]...]");
    assert_reply(c, "LATENCY HISTORY command", "*[*[:..., :...]...]");
    assert_reply(c, "LATENCY HISTORY nosuch", "*[]");
    assert_reply(c, "LATENCY GRAPH command",
                 "$\"command - high ... ms, low ... ms (all time high ... ms)\\n-----...\"");
    assert_reply(c, "LATENCY DOCTOR", "$\"Latency spikes were seen in ...");
    assert_reply(c, "CONFIG SET latency-monitor-threshold 0", "+OK");
    assert_reply(c, "LATENCY RESET nosuch", ":0");
    assert_reply(c, "LATENCY RESET command nosuch", ":1");
    assert_reply(c, "LATENCY HISTORY command", "*[]");
    assert_true(client_ask_int(c, "LATENCY RESET") >= 0);
    assert_reply(c, "LATENCY LATEST", "*[]");
}

static void histograms_count_calls(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    for (int i = 0; i < 5; i++) assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "CONFIG GET port", "*[$\"port\", ...]");
    assert_reply(c, "LATENCY HISTOGRAM set get nosuch",
                 "*[$\"set\", *[$\"calls\", :5, $\"histogram_usec\", *[...:5]]]");
    assert_reply(c, "LATENCY HISTOGRAM config", "*[$\"config|get\", *[$\"calls\", :1, ...");
    assert_reply(c, "LATENCY HISTOGRAM config|get", "*[$\"config|get\", *[$\"calls\", :1, ...");
    assert_reply(c, "LATENCY HISTOGRAM nosuchcmd", "*[]");
    assert_reply(c, "HELLO 3", "...");
    struct node *all = client_ask_node(c, "LATENCY HISTOGRAM");
    assert_int_equal(all->kind, '%');
    const struct node *set = node_lookup(all, "set");
    assert_non_null(set);
    assert_int_equal(node_lookup(set, "calls")->number, 5);
    assert_null(node_lookup(all, "get"));
    node_free(all);
}

static void arguments_are_checked(void **state) {
    static const struct exchange rows[] = {
        { "LATENCY GRAPH nosuch", "-ERR No samples available for event 'nosuch'" },
        { "LATENCY FOO", "-ERR unknown subcommand 'FOO'. Try LATENCY HELP." },
        { "LATENCY HISTORY", "-ERR wrong number of arguments for 'latency|history' command" },
        { "LATENCY HELP", "*[+LATENCY <subcommand> ..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(spikes_are_recorded_told_and_forgotten),
        FIXTURE_TEST(histograms_count_calls),
        FIXTURE_TEST(arguments_are_checked),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
