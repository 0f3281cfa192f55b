/* test_server.c: TIME, LASTSAVE, ROLE and SHUTDOWN over the wire. */
#include "../harness/fixture.h"
#include <stdlib.h>
#include <time.h>

static void time_is_now(void **state) {
    struct timespec before, after; /* time() is a tick late */
    clock_gettime(CLOCK_REALTIME, &before);
    struct node *reply = client_ask_node(fixture_client(state), "TIME");
    clock_gettime(CLOCK_REALTIME, &after);
    assert_int_equal(reply->count, 2);
    long long seconds = atoll(text_str(&reply->items[0]->bytes)),
              us = atoll(text_str(&reply->items[1]->bytes));
    assert_true(seconds >= before.tv_sec && seconds <= after.tv_sec);
    assert_true(us >= 0 && us < 1000000);
    node_free(reply);
}

static void lastsave_is_the_start(void **state) {
    struct client *c = fixture_client(state);
    int64_t at = client_ask_int(c, "LASTSAVE");
    assert_true(at <= time(NULL) && at > time(NULL) - 24 * 3600);
    assert_int_equal(at, info_number(c, "persistence", "rdb_last_save_time"));
}

static void role_is_that_of_a_lone_primary(void **state) {
    assert_reply(fixture_client(state), "ROLE", "*[$\"master\", :0, *[]]");
}

static void shutdown_checks_its_words(void **state) {
    static const struct exchange rows[] = {
        { "SHUTDOWN FOO", "-ERR syntax error" },
        { "SHUTDOWN SAVE NOSAVE", "-ERR syntax error" },
        { "SHUTDOWN ABORT NOW", "-ERR syntax error" },
        { "SHUTDOWN ABORT", "-ERR No shutdown in progress." },
        { "MULTI", "+OK" },
        { "SHUTDOWN", "-ERR Command 'shutdown' not allowed inside a transaction" },
        { "DISCARD", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* The connection ends without a reply, the process with status 0. */
static void shutdown_ends_the_server(void **state) {
    (void)state;
    static const char *const words[] = { "SHUTDOWN", "SHUTDOWN NOSAVE NOW FORCE", "shutdown safe" };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        struct server *s = server_launch(&(struct server_plan){ 0 });
        struct client *c = server_connect(s), *other = server_connect(s);
        assert_reply(other, "PING", "+PONG");
        client_send(c, "%s", words[i]);
        assert_ended(c);
        assert_ended(other);
        server_await_end(s);
        client_close(c);
        client_close(other);
        server_free(s);
    }
}

static void shutdown_keeps_what_the_append_only_file_has(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    client_send(c, "SHUTDOWN");
    assert_ended(c);
    server_await_end(s);
    client_close(c);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "GET k", "$\"v\"");
    client_close(c);
    server_free(s);
}

static void lolwut_shows_a_picture_and_the_version(void **state) {
    static const struct exchange rows[] = {
        { "LOLWUT", "$\"...cable...Trivet ver. ...\\n\"" },
        { "LOLWUT VERSION 1", "$\"...cable...Trivet ver. ...\\n\"" },
        { "lolwut version 999 a b", "$\"Trivet ver. ...\\n\"" },
        { "LOLWUT VERSION -1", "$\"Trivet ver. ...\\n\"" },
        { "LOLWUT VERSION x", "-ERR value is not an integer or out of range" },
        { "HELLO 3", "..." },
        { "LOLWUT VERSION 999", "=\"txt:Trivet ver. ...\\n\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(time_is_now),
        FIXTURE_TEST(lastsave_is_the_start),
        FIXTURE_TEST(role_is_that_of_a_lone_primary),
        FIXTURE_TEST(lolwut_shows_a_picture_and_the_version),
        FIXTURE_TEST(shutdown_checks_its_words),
        FIXTURE_TEST(shutdown_ends_the_server),
        FIXTURE_TEST(shutdown_keeps_what_the_append_only_file_has),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
