/* Clients without connections: the workers' lists, the sums of their memory, and the line that describes one.
 */
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include "trivet/engine/access/users.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/resp/parser.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1700000000000)

static size_t closed;

static void close_now(struct client *c, const char *why) {
    (void)why;
    c->flags |= CLIENT_CLOSING;
    closed++;
}

static int begin(void **state) {
    (void)state;
    thread_worker_index = 0;
    thread_worker_count = 1;
    options_init();
    gates_init();
    users_init();
    client_hooks = (struct client_hooks){ .close = close_now };
    closed = 0;
    gate_enter();
    return mailbox_init(&worker_mailboxes[0]) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    gate_leave();
    users_release();
    mailbox_release(&worker_mailboxes[0]);
    options_release();
    return 0;
}

static struct client *new_client(void) {
    struct client *c = mem_alloc_zero(sizeof *c);
    client_init(c, 0);
    strcpy(c->peer, "1.2.3.4:5");
    strcpy(c->local, "6.7.8.9:10");
    c->created_ms = c->active_ms = NOW_MS;
    client_recount(c);
    return c;
}

static void free_client(struct client *c) {
    client_release(c);
    mem_free(c);
}

static void assert_has(const struct client *c, const char *part) {
    struct buf line = { 0 };
    client_describe(c, NOW_MS, &line);
    buf_append_byte(&line, '\0');
    if (!strstr(line.ptr, part)) fail_msg("no '%s' in '%s'", part, line.ptr);
    buf_release(&line);
}

/* ---- lists ---- */

static void clients_are_found_by_their_id_while_they_live(void **state) {
    (void)state;
    enum { COUNT = 100 };
    struct client *c[COUNT];
    for (int i = 0; i < COUNT; i++) c[i] = new_client();
    assert_int_equal(client_count(), COUNT);
    for (int i = 1; i < COUNT; i++) assert_true(c[i]->id > c[i - 1]->id);
    uint64_t gone = c[50]->id;
    free_client(c[50]);
    assert_null(client_find_here(gone));
    size_t seen = 0;
    CLIENTS_OF(0, one) {
        assert_ptr_equal(client_find_anywhere(one->id), one);
        seen++;
    }
    assert_int_equal(seen, COUNT - 1);
    for (int i = 0; i < COUNT; i++)
        if (i != 50) free_client(c[i]);
    assert_int_equal(client_count(), 0);
    assert_null(client_first(0));
}

static void note_letter(struct client *c, void *arg) { *(struct client **)arg = c; }

static void a_letter_to_one_who_left_arrives_without_a_client(void **state) {
    (void)state;
    struct client *c = new_client(), *got = NULL;
    client_post(0, c->id, note_letter, &got);
    mailbox_drain(&worker_mailboxes[0]);
    assert_ptr_equal(got, c);
    client_post(0, c->id, note_letter, &got);
    free_client(c);
    mailbox_drain(&worker_mailboxes[0]);
    assert_null(got);
}

/* ---- the line ---- */

static void letters_stand_in_their_order(void **state) {
    (void)state;
    static const struct {
        uint32_t flags;
        bool broken;
        const char *shown;
    } rows[] = {
        { 0, false, " flags=N capa= " },
        { 0, true, " flags=d capa= " },
        { CLIENT_POSTPONED, false, " flags=b " },
        { CLIENT_UNBLOCKING | CLIENT_REPLY_OFF, false, " flags=N " },
        { CLIENT_NO_TOUCH | CLIENT_NO_EVICT | CLIENT_IN_MULTI, true, " flags=xdeT " },
        { CLIENT_CAPA_REDIRECT | CLIENT_UNIX_SOCKET, false, " flags=U capa=r " },
        { CLIENT_MONITORING | CLIENT_SUBSCRIBED | CLIENT_IN_MULTI | CLIENT_POSTPONED | CLIENT_TRACKING |
              CLIENT_TRACKING_BROKEN_REDIRECT | CLIENT_CLOSE_AFTER | CLIENT_CLOSING | CLIENT_UNIX_SOCKET |
              CLIENT_READONLY_SLOT | CLIENT_NO_EVICT | CLIENT_NO_TOUCH | CLIENT_IMPORT_SOURCE,
          true, " flags=OPxbtRdcAUreTI " },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client *c = new_client();
        c->flags = rows[i].flags;
        atomic_store(&c->watch_broken, rows[i].broken);
        assert_has(c, rows[i].shown);
        c->flags = 0;
        free_client(c);
    }
}

static void the_line_tells_who_it_is_and_for_how_long(void **state) {
    (void)state;
    struct client *c = new_client();
    client_set_text(&c->name, LIT("bob"));
    c->fd = 7;
    c->created_ms = NOW_MS - 61999;
    c->active_ms = NOW_MS - 2000;
    assert_has(c, " addr=1.2.3.4:5 laddr=6.7.8.9:10 fd=7 name=bob age=61 idle=2 flags=N ");
    assert_has(c, " cmd=NULL user=default redir=-1 resp=2 lib-name= lib-ver= ");
    client_set_text(&c->name, LIT(""));
    assert_has(c, " name= age=61 ");
    free_client(c);
}

static void arguments_are_those_of_the_command_in_hand(void **state) {
    (void)state;
    struct client *c = new_client();
    struct slice argv[] = { LIT_INIT("SET"), LIT_INIT("key"), LIT_INIT("value") };
    struct args args = { .argv = argv, .argc = 3 };
    assert_has(c, " argv-mem=0 ");
    c->arguments_memory = 1000; /* an incomplete one */
    assert_has(c, " argv-mem=1000 ");
    c->running = &args;
    assert_has(c, " argv-mem=11 ");
    c->running = NULL;
    c->arguments_memory = 0;
    free_client(c);
}

static void replies_are_shown_as_a_first_block_and_the_rest(void **state) {
    (void)state;
    struct client *c = new_client();
    struct blob *big = blob_new(100000, 100000);
    memset(big->bytes, 'x', 100000);
    assert_has(c, " rbs=0 rbp=0 obl=0 oll=0 omem=0 ");
    reply_ok(&c->reply);
    assert_has(c, " rbs=16384 rbp=0 obl=5 oll=0 omem=0 ");
    assert_has(c, " events=rw ");
    reply_raw_blob(&c->reply, big);
    assert_has(c, " obl=5 oll=1 ");
    client_recount(c);
    assert_true(clients_memory_shared() >= 100000);
    assert_true(clients_recent_max_output() >= 100000);
    reply_sent(&c->reply, 5); /* now the blob is the first: no block of text */
    assert_has(c, " rbs=0 rbp=0 obl=0 oll=1 ");
    reply_release(&c->reply);
    client_recount(c);
    assert_int_equal(clients_memory_shared(), 0);
    blob_unref(big);
    free_client(c);
}

/* ---- memory ---- */

static void sums_follow_the_clients(void **state) {
    (void)state;
    struct client *a = new_client(), *b = new_client();
    size_t both = clients_memory(CLASS_NORMAL);
    assert_int_equal(both, client_memory(a) + client_memory(b));
    a->input_room = 5000;
    client_recount_if_changed(a);
    assert_int_equal(clients_memory(CLASS_NORMAL), both + 5000);
    assert_int_equal(clients_recent_max_input(), 5000);
    a->flags |= CLIENT_SUBSCRIBED; /* another class: it moves over */
    client_recount(a);
    assert_int_equal(clients_memory(CLASS_NORMAL), client_memory(b));
    assert_int_equal(clients_memory(CLASS_PUBSUB), client_memory(a));
    a->flags = 0;
    free_client(a);
    free_client(b);
    assert_int_equal(clients_memory(CLASS_NORMAL) + clients_memory(CLASS_PUBSUB), 0);
}

static void peaks_are_forgotten_after_two_windows(void **state) {
    (void)state;
    struct client *c = new_client();
    clients_forget_peaks(NOW_MS);
    c->input_room = 777777;
    client_recount(c);
    c->input_room = 0;
    client_recount(c);
    clients_forget_peaks(NOW_MS + 1000);
    assert_int_equal(clients_recent_max_input(), 777777);
    clients_forget_peaks(NOW_MS + 5000);
    assert_int_equal(clients_recent_max_input(), 777777);
    clients_forget_peaks(NOW_MS + 10000);
    assert_int_equal(clients_recent_max_input(), 0);
    free_client(c);
}

static void the_limit_may_be_a_part_of_maxmemory(void **state) {
    (void)state;
    static const struct {
        int64_t limit;
        uint64_t maxmemory;
        size_t bytes;
    } rows[] = { { 0, 100, 0 }, { 5000, 0, 5000 }, { -5, 1000000, 50000 }, { -100, 7, 7 }, { -5, 0, 0 } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        options.maxmemory_clients = rows[i].limit;
        options.maxmemory = rows[i].maxmemory;
        assert_int_equal(clients_memory_limit(), rows[i].bytes);
    }
}

static void the_biggest_go_until_the_rest_fits(void **state) {
    (void)state;
    struct client *c[5];
    for (int i = 0; i < 5; i++) {
        c[i] = new_client();
        c[i]->input_room = (size_t)(i + 1) * 1000000;
        client_recount(c[i]);
    }
    c[4]->flags |= CLIENT_NO_EVICT;
    c[3]->flags |= CLIENT_SUBSCRIBED;
    options.maxmemory_clients = 0;
    assert_int_equal(clients_keep_limit(), 0);
    options.maxmemory_clients = 20000000;
    assert_int_equal(clients_keep_limit(), 0);
    options.maxmemory_clients = 8500000; /* 15 million: without 4 and 3 it is 8 */
    assert_int_equal(clients_keep_limit(), 2);
    assert_int_equal(closed, 2);
    for (int i = 0; i < 5; i++) assert_int_equal(!!(c[i]->flags & CLIENT_CLOSING), i == 2 || i == 3);
    assert_int_equal(clients_keep_limit(), 0); /* those two are on their way out */
    for (int i = 0; i < 5; i++) {
        c[i]->flags = 0;
        free_client(c[i]);
    }
}

#define CLIENT_TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(clients_are_found_by_their_id_while_they_live),
        CLIENT_TEST(a_letter_to_one_who_left_arrives_without_a_client),
        CLIENT_TEST(letters_stand_in_their_order),
        CLIENT_TEST(the_line_tells_who_it_is_and_for_how_long),
        CLIENT_TEST(arguments_are_those_of_the_command_in_hand),
        CLIENT_TEST(replies_are_shown_as_a_first_block_and_the_rest),
        CLIENT_TEST(sums_follow_the_clients),
        CLIENT_TEST(peaks_are_forgotten_after_two_windows),
        CLIENT_TEST(the_limit_may_be_a_part_of_maxmemory),
        CLIENT_TEST(the_biggest_go_until_the_rest_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
