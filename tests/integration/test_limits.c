/* test_limits.c: what clients may hold: query and output limits, strangers, and the memory of all together.
 */
#include "../harness/fixture.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define NOAUTH "-NOAUTH Authentication required."

/* Sends pieces until the server has had enough; at most `times` of them. */
static void send_until_cut(struct client *c, const char *piece, size_t len, int times) {
    for (int i = 0; i < times; i++) {
        client_queue_raw(c, piece, len);
        if (!client_flush(c)) return;
    }
    fail_msg("the server took it all");
}

static void a_command_bigger_than_the_query_limit_is_cut_off(void **state) {
    (void)state;
    struct server *s = server_start("--client-query-buffer-limit", "1mb", NULL);
    static const struct {
        const char *head, *piece;
    } rows[] = {
        { "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\n", NULL }, /* one big argument */
        { "*1000000\r\n$3\r\nDEL\r\n", "$10\r\n0123456789\r\n" }, /* many small ones */
        { "MULTI\r\n",
          "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\n" }, /* many small commands, queued */
    };
    char zeros[10000];
    memset(zeros, '0', sizeof zeros);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client *c = server_connect(s);
        client_send_raw(c, rows[i].head);
        send_until_cut(c, rows[i].piece ? rows[i].piece : zeros,
                       rows[i].piece ? strlen(rows[i].piece) : sizeof zeros, 100000);
        client_close(c);
        server_await_log(s, "client-query-buffer-limit", i + 1);
    }
    struct client *c = server_connect(s);
    assert_int_equal(info_number(c, "stats", "client_query_buffer_limit_disconnections"), 3);
    assert_reply(c, "EXISTS k", ":0");
    client_close(c);
    server_free(s);
}

static void a_client_that_does_not_read_is_cut_at_the_hard_limit(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "normal 1mb 0 0", NULL);
    struct client *c = server_connect(s), *slow = server_connect(s);
    assert_reply(c, "SETRANGE k 99999 x", ":100000");
    assert_reply(slow, "CLIENT SETNAME the-slow-one", "+OK");
    /* Not client_flush: that reads. 7 kB fit into any socket. */
    struct text wire = { 0 };
    for (int i = 0; i < 1000; i++) text_append_str(&wire, "GET k\r\n");
    assert_int_equal(send(client_fd(slow), wire.ptr, wire.len, MSG_NOSIGNAL), wire.len);
    text_release(&wire);
    server_await_log(s, "name=the-slow-one", 1);
    server_await_log(
        s, "overcoming of output buffer limits: the hard output buffer limit (client-output-buffer-limit)",
        1);
    assert_int_equal(info_number(c, "stats", "client_output_buffer_limit_disconnections"), 1);
    client_close(slow);
    client_close(c);
    server_free(s);
}

/* Publishes `count` messages of 10 kB; a fast subscriber gets all, in order; a slow one reads nothing. */
static void publish_to_fast_and_slow(struct server *s, int count) {
    struct client *publisher = server_connect(s), *fast = server_connect(s), *slow = server_connect(s);
    char *padding = calloc(1, 10001);
    assert_non_null(padding);
    memset(padding, 'p', 10000);
    assert_reply(slow, "CLIENT SETNAME the-slow-one", "+OK");
    assert_reply(slow, "SUBSCRIBE ch", "*[...");
    assert_reply(fast, "SUBSCRIBE ch", "*[...");
    for (int i = 0; i < count; i++) {
        struct node *reply = client_ask_node(publisher, "PUBLISH ch %d-%s", i, padding);
        assert_in_range(reply->number, 1, 2);
        node_free(reply);
        struct node *message = client_read(fast);
        assert_int_equal(atoi(text_str(&message->items[2]->bytes)), i);
        node_free(message);
    }
    server_await_log(s, "name=the-slow-one", 1);
    assert_info_soon(publisher, "clients", "pubsub_clients", "1");
    assert_reply(publisher, "PUBLISH ch last", ":1");
    assert_next(fast, "*[$\"message\", $\"ch\", $\"last\"]");
    assert_int_equal(info_number(publisher, "stats", "client_output_buffer_limit_disconnections"), 1);
    free(padding);
    client_close(slow);
    client_close(fast);
    client_close(publisher);
}

static void a_slow_subscriber_is_cut_at_the_hard_limit_and_the_fast_lose_nothing(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "pubsub 1mb 0 0", NULL);
    publish_to_fast_and_slow(s, 300);
    server_await_log(
        s, "overcoming of output buffer limits: the hard output buffer limit (client-output-buffer-limit)",
        1);
    server_free(s);
}

static void a_slow_subscriber_is_cut_when_the_soft_limit_lasts(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "pubsub 0 100kb 1", NULL);
    publish_to_fast_and_slow(s, 200);
    server_await_log(
        s, "overcoming of output buffer limits: the soft output buffer limit (client-output-buffer-limit)",
        1);
    server_free(s);
}

static void a_subscriber_below_its_limits_stays(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "pubsub 64mb 32mb 1", NULL);
    struct client *publisher = server_connect(s), *late = server_connect(s);
    assert_reply(late, "SUBSCRIBE ch", "*[...");
    for (int i = 0; i < 3000; i++) client_queue(publisher, "PUBLISH ch %d-%01000d", i, 0);
    client_skip(publisher, 3000);
    for (int i = 0; i < 3000; i++) {
        struct node *message = client_read(late);
        assert_int_equal(atoi(text_str(&message->items[2]->bytes)), i);
        node_free(message);
    }
    client_close(late);
    client_close(publisher);
    server_free(s);
}

/* The soft limit's time is one without a break: who reads everything at once begins anew. */
static void a_subscriber_that_catches_up_begins_its_soft_time_anew(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "pubsub 0 100kb 1", NULL);
    struct client *publisher = server_connect(s), *c = server_connect(s);
    char *big = calloc(1, 1000001);
    assert_non_null(big);
    memset(big, 'x', 1000000);
    assert_reply(c, "SUBSCRIBE ch", "*[...");
    for (int i = 0; i < 2; i++) {
        client_queue(publisher, "PUBLISH ch %s", big);
        client_flush(publisher);
        assert_next(publisher, ":1");
        node_free(client_read(c));
        if (i == 0) nanosleep(&(struct timespec){ .tv_sec = 2, .tv_nsec = 200000000 }, NULL);
    }
    assert_reply(publisher, "PUBLISH ch last", ":1");
    assert_next(c, "*[$\"message\", $\"ch\", $\"last\"]");
    free(big);
    client_close(c);
    client_close(publisher);
    server_free(s);
}

/* Sends the same until the server ends the connection. */
static void send_and_never_read(int fd, const char *line) {
    for (;;) {
        if (send(fd, line, strlen(line), MSG_NOSIGNAL) >= 0) continue;
        if (errno != EAGAIN) return;
        assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, CLIENT_PATIENCE_MS), 1);
    }
}

static void who_never_authenticated_gets_answers_but_no_memory(void **state) {
    (void)state;
    struct server *s = server_start("--requirepass", "pw", NULL);
    struct client *polite = server_connect(s), *rude = server_connect(s), *late = server_connect(s);
    for (int i = 0; i < 1000; i++) client_queue(polite, "GET k");
    client_flush(polite);
    for (int i = 0; i < 1000; i++) assert_next(polite, NOAUTH);
    assert_reply(polite, "AUTH pw", "+OK");
    send_and_never_read(client_fd(rude), "GET k\r\n");
    server_await_log(s, "the unauthenticated output buffer limit", 1);
    assert_in_range(info_number(polite, "memory", "used_memory_peak"), 1, 8 << 20);
    /* RESET takes the rights away, but not the trust: what waits is more than a stranger may have. */
    assert_reply(polite, "SETRANGE k 9999999 x", ":10000000");
    assert_reply(late, "AUTH pw", "+OK");
    assert_int_equal(send(client_fd(late), "GET k\r\nRESET\r\n", 14, MSG_NOSIGNAL), 14);
    node_free(client_read(late));
    assert_next(late, "+RESET");
    client_close(late);
    client_close(rude);
    client_close(polite);
    server_free(s);
}

/* ---- strangers ---- */

static void who_does_not_authenticate_in_time_is_closed(void **state) {
    (void)state;
    struct server *s = server_start("--requirepass", "pw", "--unauthenticated-timeout", "1", NULL);
    struct client *known = server_connect(s), *reset = server_connect(s), *talks = server_connect(s);
    struct client *silent = server_connect(s), *half = server_connect(s);
    assert_reply(known, "AUTH pw", "+OK");
    assert_reply(reset, "AUTH pw", "+OK");
    assert_reply(reset, "RESET", "+RESET");
    assert_reply(talks, "AUTH wrong", "-WRONGPASS ...");
    client_send_raw(half, "*2\r\n$4\r\nAUTH\r\n$2\r\np");
    assert_ended(talks);
    assert_ended(silent);
    assert_ended(half);
    assert_int_equal(info_number(known, "stats", "unauthenticated_clients_timed_out"), 3);
    assert_int_equal(info_number(known, "clients", "unauthenticated_clients"), 0);
    assert_reply(reset, "PING", NOAUTH); /* it has shown who it is */
    /* Without a limit, and without a password, nobody is closed. */
    assert_reply(known, "CONFIG SET unauthenticated-timeout 0", "+OK");
    struct client *other = server_connect(s);
    assert_reply(known, "BLPOP none 2.2", "*-1"); /* meanwhile the cron has looked twice */
    assert_reply(other, "PING", NOAUTH);
    assert_reply(known, "CONFIG SET requirepass \"\" unauthenticated-timeout 1", "+OK");
    struct client *free_one = server_connect(s);
    assert_reply(known, "BLPOP none 2.2", "*-1");
    assert_reply(other, "PING", "+PONG"); /* it was asked for one when it came, and is not any more */
    assert_reply(free_one, "PING", "+PONG");
    assert_int_equal(info_number(known, "stats", "unauthenticated_clients_timed_out"), 3);
    struct client *all[] = { known, reset, talks, silent, half, other, free_one };
    for (size_t i = 0; i < COUNT_OF(all); i++) client_close(all[i]);
    server_free(s);
}

static void too_many_strangers_make_room_for_newcomers(void **state) {
    (void)state;
    struct server *s = server_start("--requirepass", "pw", "--unauthenticated-timeout", "0",
                                    "--max-unauthenticated-clients", "3", "--io-threads", "1", NULL);
    struct client *known = server_connect(s), *strangers[5];
    assert_reply(known, "AUTH pw", "+OK");
    for (size_t i = 0; i < COUNT_OF(strangers); i++) {
        strangers[i] = server_connect(s);
        assert_reply(strangers[i], "PING", NOAUTH);
    }
    assert_ended(strangers[0]);
    assert_ended(strangers[1]);
    assert_int_equal(info_number(known, "clients", "unauthenticated_clients"), 3);
    assert_int_equal(info_number(known, "stats", "unauthenticated_clients_evicted"), 2);
    assert_reply(strangers[2], "AUTH pw", "+OK"); /* the oldest is in, and another may come */
    struct client *newcomer = server_connect(s);
    assert_reply(newcomer, "PING", NOAUTH);
    assert_reply(strangers[3], "PING", NOAUTH);
    assert_int_equal(info_number(known, "clients", "unauthenticated_clients"), 3);
    assert_reply(known, "CONFIG SET max-unauthenticated-clients 1", "+OK");
    assert_ended(strangers[3]);
    assert_ended(strangers[4]);
    assert_reply(newcomer, "AUTH pw", "+OK");
    assert_int_equal(info_number(known, "clients", "unauthenticated_clients"), 0);
    client_close(newcomer);
    client_close(known);
    for (size_t i = 0; i < COUNT_OF(strangers); i++) client_close(strangers[i]);
    server_free(s);
}

/* Each worker closes only its own, so for a moment there are a few more. */
static void a_flood_of_strangers_keeps_nobody_out(void **state) {
    (void)state;
    enum { FLOOD = 300, MAX = 8, WORKERS = 4 };
    struct server *s = server_start("--requirepass", "pw", "--max-unauthenticated-clients", "8", NULL);
    struct client *known = server_connect(s), *strangers[FLOOD];
    assert_reply(known, "AUTH pw", "+OK");
    for (size_t i = 0; i < FLOOD; i++) {
        strangers[i] = server_connect(s);
        assert_non_null(strangers[i]);
        if (i % 10 != 0) continue;
        struct client *honest = server_connect(s);
        assert_reply(honest, "AUTH pw", "+OK");
        client_close(honest);
        assert_in_range(info_number(known, "clients", "unauthenticated_clients"), 0, MAX + WORKERS);
    }
    assert_in_range(info_number(known, "stats", "unauthenticated_clients_evicted"),
                    FLOOD - MAX - WORKERS - 30, FLOOD + 30);
    for (size_t i = 0; i < FLOOD; i++) client_close(strangers[i]);
    client_close(known);
    server_free(s);
}

/* A count that would fill any memory: the reply ends at the limit, and so does the command, locks and all. */
static void a_reply_without_end_stops_at_the_hard_limit(void **state) {
    (void)state;
    static const char *const rows[] = {
        "SRANDMEMBER s -9223372036854775807",
        "ZRANDMEMBER z -9223372036854775807",
        "ZRANDMEMBER z -4611686018427387903 WITHSCORES",
        "HRANDFIELD h -9223372036854775807",
        "HRANDFIELD h -4611686018427387903 WITHVALUES",
    };
    struct server *s = server_start("--client-output-buffer-limit", "normal 1mb 0 0", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SADD s member", ":1");
    assert_reply(c, "ZADD z 1 member", ":1");
    assert_reply(c, "HSET h member value", ":1");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client *greedy = server_connect(s);
        client_send(greedy, "%s", rows[i]);
        assert_ended(greedy);
        client_close(greedy);
        /* The same with nobody to hear it is over at once. */
        client_send(c, "CLIENT REPLY SKIP");
        client_send(c, "%s", rows[i]);
        assert_reply(c, "PING", "+PONG");
    }
    /* A transaction is not cut in two: what comes behind the long reply has happened. */
    struct client *greedy = server_connect(s);
    assert_reply(greedy, "MULTI", "+OK");
    assert_reply(greedy, rows[0], "+QUEUED");
    assert_reply(greedy, "SET after 1", "+QUEUED");
    client_send(greedy, "EXEC");
    assert_ended(greedy);
    client_close(greedy);
    assert_reply(c, "GET after", "$\"1\"");
    server_await_log(s, "the hard output buffer limit", sizeof rows / sizeof rows[0] + 1);
    assert_in_range(info_number(c, "memory", "used_memory_peak"), 1, 16 << 20);
    client_close(c);
    server_free(s);
}

/* ---- memory of all clients ---- */

/* Someone who holds so many bytes of an unfinished argument, on whichever worker. */
static struct client *open_hoarder(struct server *s, size_t bytes, bool spared) {
    struct client *c = server_connect(s);
    char *zeros = calloc(1, bytes);
    assert_non_null(zeros);
    if (spared) assert_reply(c, "CLIENT NO-EVICT ON", "+OK");
    assert_reply(c, "CLIENT SETNAME hoarder", "+OK");
    client_send_raw(c, "*2\r\n$4\r\nECHO\r\n$30000000\r\n");
    client_queue_raw(c, zeros, bytes);
    client_flush(c);
    free(zeros);
    return c;
}

static void maxmemory_clients_closes_the_biggest_first_and_spares_no_evict(void **state) {
    (void)state;
    struct server *s = server_start("--maxmemory", "100mb", NULL);
    struct client *c = server_connect(s);
    struct client *small = open_hoarder(s, 1000000, false), *big = open_hoarder(s, 5000000, false),
                  *spared = open_hoarder(s, 2000000, true);
    assert_soon(info_number(c, "memory", "mem_clients_normal") >= 9000000);
    assert_true(info_number(c, "memory", "mem_clients_normal") >
                info_number(c, "clients", "client_recent_max_input_buffer"));
    assert_true(info_number(c, "clients", "client_recent_max_input_buffer") >= 5000000);
    assert_reply(c, "CONFIG SET maxmemory-clients 8%", "+OK");
    assert_ended(big);
    assert_int_equal(info_number(c, "stats", "evicted_clients"), 1);
    server_await_log(s, "Evicting client: ", 1);
    assert_reply_soon(c, "CONFIG SET maxmemory-clients 2900000", "+OK");
    assert_ended(small);
    assert_int_equal(info_number(c, "stats", "evicted_clients"), 2);
    assert_reply(c, "CONFIG SET maxmemory-clients 0", "+OK");
    client_close(small);
    client_close(big);
    client_close(spared);
    assert_info_soon(c, "clients", "connected_clients", "1");
    assert_in_range(info_number(c, "memory", "mem_clients_normal"), 1, 100000);
    client_close(c);
    server_free(s);
}

static void ask_big(struct client *c, const char *format, const char *big, const char *expected) {
    const char *reply = client_ask(c, format, big);
    if (!text_matches(expected, reply)) fail_msg("%s: %s", format, reply);
}

/* Queued commands, watched keys and prefixes are a client's memory as much as its buffers. */
static void maxmemory_clients_sees_all_that_clients_keep(void **state) {
    (void)state;
    struct server *s = server_start("--maxmemory-clients", "5mb", NULL);
    struct client *c = server_connect(s);
    char *big = malloc(1000001);
    assert_non_null(big);
    memset(big, 'x', 1000000);
    big[1000000] = '\0';
    static const struct { const char *first, *reply, *then, *then_reply; } ways[] = {
        { "MULTI", "+OK", "SET k %s", "+QUEUED" },
        { "PING", "+PONG", "WATCH %s", "+OK" },
        { "HELLO 3", "%{...", "CLIENT TRACKING ON BCAST PREFIX %s", "+OK" },
    };
    for (size_t way = 0; way < COUNT_OF(ways); way++) {
        struct client *greedy = server_connect(s);
        assert_reply(greedy, ways[way].first, ways[way].reply);
        for (int i = 0; i < 4; i++) {
            big[0] = (char)('a' + i); /* another key, and a prefix that overlaps with none */
            ask_big(greedy, ways[way].then, big, ways[way].then_reply);
        }
        assert_int_equal(info_number(c, "stats", "evicted_clients"), (int)way);
        for (int i = 4; i < 6; i++) {
            big[0] = (char)('a' + i);
            client_queue(greedy, ways[way].then, big);
            client_flush(greedy);
        }
        assert_soon(info_number(c, "stats", "evicted_clients") > (int64_t)way);
        client_close(greedy);
    }
    free(big);
    client_close(c);
    server_free(s);
}

/* A percentage is one of maxmemory; of no limit it is no limit. */
static void maxmemory_clients_in_percent_follows_maxmemory(void **state) {
    (void)state;
    struct server *s = server_start("--maxmemory-clients", "5%", NULL);
    struct client *c = server_connect(s), *hoarder = open_hoarder(s, 6000000, false);
    assert_soon(info_number(c, "memory", "mem_clients_normal") >= 6000000);
    assert_reply(c, "CONFIG GET maxmemory-clients", "*[$\"maxmemory-clients\", $\"5%\"]");
    assert_reply(c, "CONFIG SET maxmemory 2gb", "+OK");
    assert_reply(c, "CLIENT NO-TOUCH OFF", "+OK");
    assert_int_equal(info_number(c, "stats", "evicted_clients"), 0);
    assert_reply(c, "CONFIG SET maxmemory 100mb", "+OK");
    assert_ended(hoarder);
    assert_int_equal(info_number(c, "stats", "evicted_clients"), 1);
    client_close(hoarder);
    client_close(c);
    server_free(s);
}

/* What waits for a reader counts too, and subscribers do. */
static void maxmemory_clients_closes_who_does_not_read(void **state) {
    (void)state;
    struct server *s =
        server_start("--maxmemory-clients", "20mb", "--client-output-buffer-limit", "pubsub 0 0 0", NULL);
    struct client *c = server_connect(s), *slow = server_connect(s);
    char *big = calloc(1, 1000001);
    assert_non_null(big);
    memset(big, 'x', 1000000);
    assert_reply(slow, "SUBSCRIBE ch", "*[...");
    for (int i = 0; info_number(c, "stats", "evicted_clients") == 0; i++) {
        assert_true(i < 100);
        node_free(client_ask_node(c, "PUBLISH ch %s", big));
    }
    assert_reply_soon(c, "PUBLISH ch x", ":0");
    free(big);
    client_close(slow);
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_bigger_than_the_query_limit_is_cut_off),
        cmocka_unit_test(a_client_that_does_not_read_is_cut_at_the_hard_limit),
        cmocka_unit_test(a_slow_subscriber_is_cut_at_the_hard_limit_and_the_fast_lose_nothing),
        cmocka_unit_test(a_slow_subscriber_is_cut_when_the_soft_limit_lasts),
        cmocka_unit_test(a_subscriber_below_its_limits_stays),
        cmocka_unit_test(a_subscriber_that_catches_up_begins_its_soft_time_anew),
        cmocka_unit_test(who_never_authenticated_gets_answers_but_no_memory),
        cmocka_unit_test(who_does_not_authenticate_in_time_is_closed),
        cmocka_unit_test(too_many_strangers_make_room_for_newcomers),
        cmocka_unit_test(a_flood_of_strangers_keeps_nobody_out),
        cmocka_unit_test(a_reply_without_end_stops_at_the_hard_limit),
        cmocka_unit_test(maxmemory_clients_closes_the_biggest_first_and_spares_no_evict),
        cmocka_unit_test(maxmemory_clients_sees_all_that_clients_keep),
        cmocka_unit_test(maxmemory_clients_in_percent_follows_maxmemory),
        cmocka_unit_test(maxmemory_clients_closes_who_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
