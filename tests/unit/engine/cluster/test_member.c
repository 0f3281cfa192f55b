/* This server as a node, without its bus: when the table of routes is drawn anew. */
#include "../../../harness/engine.h"
#include "../../../harness/folder.h"
#include "../../../harness/loopback.h"
#include "trivet/base/mem.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/routes.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW_MS 1000000

static struct cluster_node *other; /* a node that is known, and whom nobody can reach */

/* Rules are called, and their actions done, as a command does it. */
static void act(void) {
    cluster_save_changes(member);
    member_act();
}

static const struct routes *after(void (*change)(void)) {
    exclusive_begin();
    change();
    act();
    exclusive_end();
    return routes;
}

static void own_slot_seven(void) {
    struct slot_set set = { { 0 } };
    slot_set_add(&set, 7);
    assert_null(cluster_add_slots(member, &set, NOW_MS));
}
static void take_an_epoch(void) {
    uint64_t epoch;
    cluster_node_find(&member->state, &other->id)->config_epoch++;
    assert_true(cluster_bump_epoch(member, &epoch, NOW_MS));
}
static void set_slot_seven(enum slot_way way) {
    struct slot_step step = { .slot = 7, .way = way, .node = other->id };
    assert_null(cluster_set_slot(member, &step, NOW_MS));
}
static void open_slot_seven(void) { set_slot_seven(SLOT_MIGRATES); }
static void close_slot_seven(void) { set_slot_seven(SLOT_IS_STABLE); }
static void move_the_other(void) {
    other->pport = 7399;
    cluster_configure(member, &member->settings, NOW_MS);
}
static void forget_the_other(void) { assert_null(cluster_forget(member, &other->id, NOW_MS)); }

static void an_epoch_alone_draws_no_new_routes(void **state) {
    (void)state;
    const struct routes *before = after(own_slot_seven);
    assert_int_equal(before->owner[7], ROUTE_MYSELF);
    assert_ptr_equal(after(take_an_epoch), before);
    assert_ptr_equal(after(take_an_epoch), before);
}

static void what_clients_are_told_does(void **state) {
    (void)state;
    (void)after(own_slot_seven);
    uint16_t number = ROUTE_MYSELF + 1;
    const struct routes *r = after(open_slot_seven);
    assert_int_equal(r->moving[7], number);
    assert_true(routes_are_moving);
    assert_ptr_equal(after(take_an_epoch), r);
    r = after(close_slot_seven);
    assert_int_equal(r->moving[7], ROUTE_NOBODY);
    assert_false(routes_are_moving);
    assert_int_equal(r->nodes[number].tls_port, 0);
    r = after(move_the_other);
    assert_int_equal(r->nodes[number].tls_port, 7399);
    r = after(forget_the_other);
    assert_int_equal(r->node_count, 2);
    assert_int_equal(r->owner[7], ROUTE_MYSELF);
}

/* ---- a node ---- */

static char folder[FOLDER_PATH];

static void be_a_node(void) { options.cluster_enabled = true; }

static void name_file(void) {
    struct buf path = { 0 };
    buf_printf(&path, "%s/nodes.conf", folder);
    mem_free(options.cluster_config_file);
    options.cluster_config_file = slice_to_cstr(buf_slice(&path));
    buf_release(&path);
}

static int begin(void **state) {
    static const struct node_id name = { "other67890123456789012345678901234567890" };
    struct buf error = { 0 };
    (void)state;
    folder_make(folder, "member");
    name_file();
    if (!member_start(&error)) return -1;
    other = cluster_node_add(&member->state, &name, NODE_PRIMARY, NOW_MS);
    exclusive_begin();
    member_begin();
    exclusive_end();
    return 0;
}

static int end(void **state) {
    (void)state;
    mailbox_drain(&worker_mailboxes[0]);
    exclusive_begin();
    routes_replace(NULL);
    exclusive_end();
    member_stop();
    folder_remove(folder);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    engine_configure = be_a_node;
    const struct CMUnitTest tests[] = {
        TEST(an_epoch_alone_draws_no_new_routes),
        TEST(what_clients_are_told_does),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
