/* Where commands are sent, by a table of routes that the test draws up: slots of this node, of others, of
 * nobody, and slots that move. */
#include "../../../harness/engine.h"
#include "../../../harness/loopback.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/routes.h"
#include "trivet/engine/turn/locks.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { OTHER = 2, THIRD = 3 };

static const struct node_id nobody;

static uint16_t slot(const char *key) { return slot_of_key(slice_of(key)); }

/* All slots are ours but that of "far" (another's) and that of "nobody". */
static struct routes *usual(void) {
    struct routes *r = routes_new();
    assert_int_equal(routes_add(r, &nobody, LIT("10.0.0.1"), 7001, 0), ROUTE_MYSELF);
    assert_int_equal(routes_add(r, &nobody, LIT("10.0.0.2"), 7002, 7102), OTHER);
    assert_int_equal(routes_add(r, &nobody, LIT(""), 7003, 0), THIRD);
    r->is_up = true;
    for (uint32_t i = 0; i < SLOT_COUNT; i++) r->owner[i] = ROUTE_MYSELF;
    r->owner[slot("far")] = OTHER;
    r->owner[slot("hostless")] = THIRD;
    r->owner[slot("nobody")] = ROUTE_NOBODY;
    return r;
}

static void use(struct routes *r) {
    exclusive_begin();
    routes_replace(r);
    exclusive_end();
}

static void moves(struct routes *r, const char *key, uint16_t node) {
    r->moving[slot(key)] = node;
    r->moving_count++;
}

struct dialogue {
    const char *say, *hear;
};

static void hold(struct loopback *l, const struct dialogue *lines) {
    for (; lines->say; lines++) assert_says(l, lines->say, lines->hear);
}

#define CROSS "-CROSSSLOT Keys in request don't hash to the same slot"
#define ABORT "-EXECABORT Transaction discarded because of previous errors."
#define TRY "-TRYAGAIN Multiple keys request during rehashing of slot"

static void slots_decide(void **state) {
    (void)state;
    static const struct dialogue lines[] = {
        { "SET near 1", "+OK" },
        { "PING", "+PONG" },
        { "SET far 1", "-MOVED 3845 10.0.0.2:7002" },
        { "GET hostless", "-MOVED 232 :7003" },
        { "GET nobody", "-CLUSTERDOWN Hash slot not served" },
        { "MGET near {near}2", "*[$\"1\", $-1]" },
        { "MGET near b", CROSS },
        { "MGET {far}a {far}b", "-MOVED 3845 10.0.0.2:7002" },
        { "SPUBLISH far m", "-MOVED 3845 10.0.0.2:7002" },
        { "SPUBLISH near m", ":0" },
        { "SSUBSCRIBE near b", CROSS },
        { "PUBLISH far m", ":0" },
        { "READONLY", "+OK" },
        { "GET far", "-MOVED 3845 10.0.0.2:7002" },
        { NULL, NULL },
    };
    struct loopback *l = loopback_open();
    use(usual());
    hold(l, lines);
    loopback_close(l);
}

static void a_transaction_is_redirected_when_it_is_queued(void **state) {
    (void)state;
    static const struct dialogue lines[] = {
        { "MULTI", "+OK" },
        { "SET far 1", "-MOVED 3845 10.0.0.2:7002" },
        { "SET near 1", "+QUEUED" },
        { "EXEC", ABORT },
        { "MULTI", "+OK" },
        { "SET near 1", "+QUEUED" },
        { "SET b 1", "+QUEUED" },
        { "EXEC", CROSS },
        { "EXEC", "-ERR EXEC without MULTI" },
        { NULL, NULL },
    };
    struct loopback *l = loopback_open();
    use(usual());
    hold(l, lines);
    loopback_close(l);
}

static void a_replica_serves_reads_that_may_be_old(void **state) {
    (void)state;
    static const struct dialogue lines[] = {
        { "GET far", "-MOVED 3845 10.0.0.2:7002" },
        { "SSUBSCRIBE far", "*[$\"ssubscribe\", $\"far\", :1]" },
        { "SUNSUBSCRIBE", "*[$\"sunsubscribe\", $\"far\", :0]" },
        { "READONLY", "+OK" },
        { "GET far", "$-1" },
        { "SET far 1", "-MOVED 3845 10.0.0.2:7002" },
        { "READWRITE", "+OK" },
        { "GET far", "-MOVED 3845 10.0.0.2:7002" },
        { NULL, NULL },
    };
    struct loopback *l = loopback_open();
    struct routes *r = usual();
    r->primary = OTHER;
    use(r);
    hold(l, lines);
    loopback_close(l);
}

static void a_cluster_that_is_down_serves_what_it_is_told_to(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    struct routes *r = usual();
    r->is_up = false;
    use(r);
    assert_says(l, "GET near", "-CLUSTERDOWN The cluster is down");
    assert_says(l, "GET nobody", "-CLUSTERDOWN Hash slot not served");
    assert_says(l, "SPUBLISH near m", ":0");
    assert_says(l, "CONFIG SET cluster-allow-reads-when-down yes cluster-allow-pubsubshard-when-down no",
                "+OK");
    assert_says(l, "GET near", "$-1");
    assert_says(l, "SET near 1", "-CLUSTERDOWN The cluster is down and only accepts read commands");
    assert_says(l, "SPUBLISH near m", "-CLUSTERDOWN The cluster is down");
    assert_says(l, "CONFIG SET cluster-allow-reads-when-down no cluster-allow-pubsubshard-when-down yes",
                "+OK");
    loopback_close(l);
}

static void of_a_slot_that_leaves_keys_may_be_gone(void **state) {
    (void)state;
    static const struct dialogue lines[] = {
        { "SET {go}here 1", "+OK" },
        { "GET {go}gone", "-ASK 4084 10.0.0.2:7002" },
        { "SET {go}new 1", "-ASK 4084 10.0.0.2:7002" },
        { "GET {go}here", "$\"1\"" },
        { "MGET {go}here {go}gone", TRY },
        { "MGET {go}gone {go}too", "-ASK 4084 10.0.0.2:7002" },
        { "MULTI", "+OK" },
        { "GET {go}gone", "+QUEUED" },
        { "EXEC", "-ASK 4084 10.0.0.2:7002" },
        { "MULTI", "+OK" },
        { "GET {go}here", "+QUEUED" },
        { "EXEC", "*[$\"1\"]" },
        { NULL, NULL },
    };
    struct loopback *l = loopback_open();
    use(usual());
    assert_says(l, "SET {go}here 1", "+OK");
    struct routes *r = usual();
    moves(r, "go", OTHER);
    use(r);
    hold(l, lines);
    loopback_close(l);
}

static void a_slot_that_comes_serves_who_asks(void **state) {
    (void)state;
    static const struct dialogue lines[] = {
        { "SET {far}a 1", "-MOVED 3845 10.0.0.2:7002" },
        { "ASKING", "+OK" },
        { "SET {far}a 1", "+OK" },
        { "GET {far}a", "-MOVED 3845 10.0.0.2:7002" },
        { "ASKING", "+OK" },
        { "MGET {far}a {far}b", TRY },
        { "ASKING", "+OK" },
        { "MGET {far}a {far}a", "*[$\"1\", $\"1\"]" },
        { "ASKING", "+OK" },
        { "GET {far}b", "$-1" },
        { "ASKING", "+OK" },
        { "MULTI", "+OK" },
        { "SET {far}a 2", "+QUEUED" },
        { "GET {far}a", "+QUEUED" },
        { "EXEC", "*[+OK, $\"2\"]" },
        { "GET {far}a", "-MOVED 3845 10.0.0.2:7002" },
        { "ASKING", "+OK" },
        { "PING", "+PONG" },
        { "GET {far}a", "-MOVED 3845 10.0.0.2:7002" },
        { NULL, NULL },
    };
    struct loopback *l = loopback_open();
    struct routes *r = usual();
    moves(r, "far", OTHER);
    use(r);
    hold(l, lines);
    loopback_close(l);
}

static void a_client_over_tls_gets_the_port_for_it(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    use(usual());
    loopback_client(l)->flags |= CLIENT_TLS;
    assert_says(l, "GET far", "-MOVED 3845 10.0.0.2:7102");
    assert_says(l, "GET hostless", "-MOVED 232 :7003");
    loopback_close(l);
}

static void outside_a_cluster_nobody_asks(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    use(NULL);
    options.cluster_enabled = false;
    assert_says(l, "MSET a 1 b 2 far 3", "+OK");
    assert_says(l, "ASKING", "-ERR This instance has cluster support disabled");
    options.cluster_enabled = true;
    loopback_close(l);
}

static void be_a_node(void) { options.cluster_enabled = true; }

int main(void) {
    engine_configure = be_a_node;
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(slots_decide),
        LOOPBACK_TEST(a_transaction_is_redirected_when_it_is_queued),
        LOOPBACK_TEST(a_replica_serves_reads_that_may_be_old),
        LOOPBACK_TEST(a_cluster_that_is_down_serves_what_it_is_told_to),
        LOOPBACK_TEST(of_a_slot_that_leaves_keys_may_be_gone),
        LOOPBACK_TEST(a_slot_that_comes_serves_who_asks),
        LOOPBACK_TEST(a_client_over_tls_gets_the_port_for_it),
        LOOPBACK_TEST(outside_a_cluster_nobody_asks),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
