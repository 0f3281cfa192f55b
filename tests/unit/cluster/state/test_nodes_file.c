/* nodes.conf: files of the other servers are read, ours are read again, and damaged ones are refused. */
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/cluster/state/nodes_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"
#define NOW_MS 1700000000000

static const struct nodes_file_rules plain = { 0 };

/* As redis-server 7.0 writes it. */
static const char old_form[] = B " 127.0.0.1:17002@27002 slave " A " 0 1700000000001 3 connected\n" //
    A " 127.0.0.1:17001@27001 myself,master - 0 0 3 connected 0-5 7 [7->-" C "] [9-<-" C "]\n"      //
    C " :0@0 master,fail,noaddr - 1700000000002 1700000000001 2 disconnected 9 16383\n"
                                 "vars currentEpoch 4 lastVoteEpoch 2\n";

/* As Valkey 9 writes it. */
static const char new_form[] =
    A " 127.0.0.1:8101@8151,one.example,availability-zone=z,client-tls-port=2,client-tcp-port=1,client-ipv6=:"
      ":1,"
      "client-ipv4=1.2.3.4,tls-port=8102,nodename=first,shard-id=" C " myself,master - 0 0 1 connected 0\n" B
      " 127.0.0.1:8201@8251,,tls-port=0,shard-id=" B " master,nofailover - 0 0 2 disconnected 1-16383\n"
      "vars currentEpoch 2 lastVoteEpoch 0\n";

static struct cluster_node *named(const struct cluster_state *s, const char *id) {
    struct node_id name;
    assert_true(node_id_parse(slice_of(id), &name));
    return cluster_node_find(s, &name);
}

static void a_file_of_redis_is_read(void **state) {
    (void)state;
    struct cluster_state s;
    struct buf error = { 0 };
    assert_true(nodes_file_read(&s, LIT(old_form), plain, NOW_MS, &error));
    cluster_state_check(&s);
    struct cluster_node *a = named(&s, A), *b = named(&s, B), *c = named(&s, C);
    assert_true(s.self == a && s.node_count == 3);
    assert_true(s.current_epoch == 4 && s.last_vote_epoch == 2);
    assert_true(cluster_same_shard(a, b) && !cluster_same_shard(a, c));
    assert_true(b->config_epoch == 0 && a->config_epoch == 3); /* the replica's line has its primary's */
    assert_true(b->primary == a && node_is_replica(b) && b->port == 17002 && b->cport == 27002);
    assert_int_equal(a->slot_count, 7);
    assert_true(s.owners[5] == a && s.owners[6] == NULL && s.owners[16383] == c);
    assert_true(cluster_slot_migrating(&s, 7) == c && cluster_slot_importing(&s, 9) == c);
    assert_int_equal(c->flags, NODE_PRIMARY | NODE_FAIL | NODE_NOADDR);
    assert_true(c->fail_ms == NOW_MS && c->config_epoch == 2);
    cluster_state_release(&s);
    buf_release(&error);
}

static void a_file_of_valkey_comes_out_as_it_came_in(void **state) {
    (void)state;
    struct cluster_state s;
    struct buf error = { 0 }, out = { 0 };
    assert_true(nodes_file_read(&s, LIT(new_form), plain, NOW_MS, &error));
    struct cluster_node *a = named(&s, A);
    assert_true(slice_equal(node_text(a, NODE_HOSTNAME), LIT("one.example")));
    assert_true(slice_equal(node_text(a, NODE_HUMAN_NAME), LIT("first")));
    assert_true(slice_equal(node_text(a, NODE_ZONE), LIT("z")));
    assert_true(a->client_port == 1 && a->client_tls_port == 2 && a->pport == 8102);
    assert_true(slice_equal(node_id_slice(&a->shard_id), LIT(C)));
    nodes_file_write(&out, &s, plain);
    assert_string_equal(buf_cstr(&out), new_form);
    cluster_state_release(&s);
    buf_release(&error);
    buf_release(&out);
}

static void clients_get_the_lines_without_what_is_for_the_file(void **state) {
    (void)state;
    struct cluster_state s;
    struct buf error = { 0 }, out = { 0 };
    assert_true(nodes_file_read(&s, LIT(new_form), plain, NOW_MS, &error));
    node_line_write(&out, &s, s.self, NODE_LINE_CLIENT, plain);
    assert_string_equal(buf_cstr(&out),
                        A " 127.0.0.1:8101@8151,one.example myself,master - 0 0 1 connected 0");
    buf_clear(&out);
    node_line_write(&out, &s, s.self, NODE_LINE_TLS_CLIENT, plain);
    assert_string_equal(buf_cstr(&out),
                        A " 127.0.0.1:8102@8151,one.example myself,master - 0 0 1 connected 0");
    cluster_state_release(&s);
    buf_release(&error);
    buf_release(&out);
}

static void what_was_written_is_read_and_written_the_same(void **state) {
    (void)state;
    struct cluster_state s;
    struct buf error = { 0 }, once = { 0 }, twice = { 0 };
    assert_true(nodes_file_read(&s, LIT(old_form), plain, NOW_MS, &error));
    struct node_id id;
    assert_true(node_id_parse(LIT("dddddddddddddddddddddddddddddddddddddddd"), &id));
    cluster_node_add(&s, &id, NODE_HANDSHAKE, NOW_MS); /* is not written */
    nodes_file_write(&once, &s, plain);
    cluster_state_release(&s);
    assert_true(nodes_file_read(&s, buf_slice(&once), plain, NOW_MS, &error));
    assert_true(s.node_count == 3 && s.open_count == 2);
    nodes_file_write(&twice, &s, plain);
    assert_string_equal(buf_cstr(&once), buf_cstr(&twice));
    cluster_state_release(&s);
    buf_release(&error);
    buf_release(&once);
    buf_release(&twice);
}

static void what_is_no_file_is_refused_with_its_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *error;
    } rows[] = {
        { "", "line 0: cut off: ''" },
        { "vars currentEpoch 1 lastVoteEpoch 0\n", "line 1: no node is this one: ''" },
        { "abc\n", "line 1: no name of a node: 'abc'" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected 0", "line 0: cut off: ''" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1\n", "line 1: a line that ends early: '" A "'" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 x connected\n", "line 1: no epoch: 'x'" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected 16384\n", "line 1: no slots: '16384'" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected 5-4\n", "line 1: no slots: '5-4'" },
        { A " 127.0.0.1:1@2 myself,king - 0 0 1 connected\n", "line 1: no flags: 'myself,king'" },
        { A " 127.0.0.1:1@2 myself - 0 0 1 connected\n",
          "line 1: this node is neither primary nor replica: ''" },
        { A " 127.0.0.1:1@2 myself,slave " A " 0 0 1 connected\n", "line 1: a replica of itself: '" A "'" },
        { A " 127.0.0.1:1@2 myself,slave - 0 0 1 connected 4\n", "line 1: no slots: '4'" },
        { A " 127.0.0.1:99999@2 myself,master - 0 0 1 connected\n",
          "line 1: no address: '127.0.0.1:99999@2'" },
        { A " 127.0.0.1:1@2,h,shard-id=x myself,master - 0 0 1 connected\n",
          "line 1: no field of an address: 'shard-id=x'" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected\n", "line 1: no variables: ''" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected\nvars currentEpoch x\n",
          "line 2: no variable: 'currentEpoch'" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected\n" A " 127.0.0.1:1@2 master - 0 0 1 connected\n",
          "line 2: a node twice: '" A "'" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cluster_state s;
        struct buf error = { 0 };
        assert_false(nodes_file_read(&s, slice_of(rows[i].text), plain, NOW_MS, &error));
        assert_string_equal(buf_cstr(&error), rows[i].error);
        buf_release(&error);
    }
}

static void damaged_files_are_read_or_refused(void **state) {
    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t size = sizeof old_form - 1;
        char *copy = mem_alloc(size);
        memcpy(copy, old_form, size);
        for (int i = 0; i < 2; i++) copy[random_below(size)] = old_form[random_below(size)];
        struct cluster_state s;
        struct buf error = { 0 };
        if (nodes_file_read(&s, slice_make(copy, size), plain, NOW_MS, &error)) {
            cluster_state_check(&s);
            cluster_state_release(&s);
        } else {
            assert_true(error.len > 0);
        }
        buf_release(&error);
        mem_free(copy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_redis_is_read),
        cmocka_unit_test(a_file_of_valkey_comes_out_as_it_came_in),
        cmocka_unit_test(clients_get_the_lines_without_what_is_for_the_file),
        cmocka_unit_test(what_was_written_is_read_and_written_the_same),
        cmocka_unit_test(what_is_no_file_is_refused_with_its_line),
        cmocka_unit_test(damaged_files_are_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
