/* Scripts in a cluster: what is said of the keys that they use. Slots: near 11741, b 3300, far 3845, go 4084.
 */
#include "../../../harness/engine.h"
#include "../../../harness/loopback.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/routes.h"
#include "trivet/engine/turn/locks.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FAR 3845
#define NOBODYS 2094
#define GOING 4084

static const struct node_id nobody;

static struct routes *usual(void) {
    struct routes *r = routes_new();
    (void)routes_add(r, &nobody, LIT("10.0.0.1"), 7001, 0);
    uint16_t other = routes_add(r, &nobody, LIT("10.0.0.2"), 7002, 0);
    r->is_up = true;
    for (uint32_t i = 0; i < SLOT_COUNT; i++) r->owner[i] = ROUTE_MYSELF;
    r->owner[FAR] = other;
    r->owner[NOBODYS] = ROUTE_NOBODY;
    return r;
}

static void use(struct routes *r) {
    exclusive_begin();
    routes_replace(r);
    exclusive_end();
}

/* The error of a script, up to where it names the script. */
static void assert_refused(struct loopback *l, const char *script, const char *error) {
    const char *reply = loopback_ask(l, script);
    if (strncmp(reply, error, strlen(error)) != 0) assert_string_equal(reply, error);
}

static void a_script_may_use_what_this_node_serves(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    use(usual());
    assert_says(l, "EVAL \"return redis.call('SET', KEYS[1], 1)\" 1 near", "+OK");
    assert_says(l, "EVAL \"return redis.call('GET', 'b') or redis.call('GET', 'near')\" 0", "$\"1\"");
    assert_says(l, "EVAL \"return 1\" 1 far", "-MOVED 3845 10.0.0.2:7002");
    assert_says(l, "EVAL \"return 1\" 2 near b", "-CROSSSLOT Keys in request don't hash to the same slot");
    assert_refused(l, "EVAL \"return redis.call('GET', 'far')\" 0",
                   "-ERR Script attempted to access a non local key in a cluster node");
    assert_refused(l, "EVAL \"return redis.call('GET', 'nobody')\" 0",
                   "-ERR Script attempted to access a slot not served");
    assert_refused(l, "EVAL \"return redis.call('MGET', 'near', 'b')\" 0",
                   "-ERR Command 'mget' in script attempted to access keys that don't hash to the same slot");
    loopback_close(l);
}

static void a_script_that_says_so_may_use_several_slots(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    use(usual());
    static const char crossing[] = "-ERR Script attempted to access keys that do not hash to the same slot";
    assert_refused(l, "EVAL \"#!lua\\nreturn redis.call('GET', 'b')\" 1 near", crossing);
    assert_refused(l, "EVAL \"#!lua\\nredis.call('GET', 'b') return redis.call('GET', 'near')\" 0", crossing);
    assert_says(l,
                "EVAL \"#!lua flags=allow-cross-slot-keys\\nredis.call('SET', 'b', 7) "
                "return redis.call('GET', 'b')\" 1 near",
                "$\"7\"");
    assert_says(l, "EVAL \"#!lua\\nredis.call('GET', '{near}2') return 5\" 1 near", ":5");
    assert_says(l, "EVAL \"#!lua flags=no-cluster\\nreturn 1\" 0",
                "-ERR Can not run script on cluster, 'no-cluster' flag is set.");
    loopback_close(l);
}

static void while_the_cluster_is_down_a_script_touches_no_key(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    struct routes *r = usual();
    r->is_up = false;
    use(r);
    assert_says(l, "EVAL \"return 1\" 0", ":1");
    assert_refused(l, "EVAL \"return redis.call('GET', 'near')\" 0",
                   "-ERR Script attempted to execute a command while the cluster is down");
    options.cluster_allow_reads_when_down = true;
    assert_says(l, "EVAL \"return redis.call('EXISTS', 'near')\" 0", ":0");
    assert_refused(l, "EVAL \"return redis.call('SET', 'near', 1)\" 0",
                   "-ERR Script attempted to execute a write command while the cluster is down and readonly");
    options.cluster_allow_reads_when_down = false;
    loopback_close(l);
}

static void while_a_slot_moves_its_keys_must_be_here(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    use(usual());
    assert_says(l, "SET {go}here 1", "+OK");
    struct routes *r = usual();
    r->moving[GOING] = 2;
    r->moving_count = 1;
    use(r);
    assert_says(l, "EVAL \"return redis.call('GET', KEYS[1])\" 1 {go}here", "$\"1\"");
    assert_says(l, "EVAL \"return redis.call('GET', KEYS[1])\" 1 {go}gone", "-ASK 4084 10.0.0.2:7002");
    assert_refused(
        l, "EVAL \"return redis.call('GET', '{go}gone')\" 1 {go}here",
        "-ERR Unable to execute command 'get' in script because undeclared keys were accessed during "
        "rehashing of the slot");
    loopback_close(l);
}

static void be_a_node(void) { options.cluster_enabled = true; }

int main(void) {
    engine_configure = be_a_node;
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(a_script_may_use_what_this_node_serves),
        LOOPBACK_TEST(a_script_that_says_so_may_use_several_slots),
        LOOPBACK_TEST(while_the_cluster_is_down_a_script_touches_no_key),
        LOOPBACK_TEST(while_a_slot_moves_its_keys_must_be_here),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
