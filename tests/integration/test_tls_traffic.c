/* test_tls_traffic.c: under TLS everything goes as on plain sockets: big values, pipelines, waiting,
 * messages, limits. */
#include "tls_server.h"
#include <sys/socket.h>

#ifdef TRIVET_SANITIZE
#define SCALE 32
#else
#define SCALE 1
#endif
#define HUGE_VALUE ((size_t)(512 * 1024 * 1024) / SCALE)

static struct server *server;

static int start(void **state) {
    make_certificates(state);
    server = LAUNCH("--tls-auth-clients", "yes", "--client-query-buffer-limit", "2gb");
    return 0;
}

static int stop(void **state) {
    (void)state;
    server_free(server);
    return 0;
}

static int empty(void **state) {
    (void)state;
    struct client *c = server_connect(server);
    assert_reply(c, "FLUSHALL", "+OK");
    client_close(c);
    return 0;
}

/* Bytes that tell where they are. */
static char *make_value(size_t len) {
    char *value = malloc(len);
    assert_non_null(value);
    for (size_t i = 0; i < len; i++) value[i] = (char)(i * 31 + (i >> 14) * 7);
    return value;
}

static void put(struct client *c, const char *key, const char *value, size_t len) {
    struct words words = { 0 };
    words_add_str(&words, "SET");
    words_add_str(&words, key);
    words_add(&words, value, len);
    client_queue_words(c, &words);
    words_release(&words);
    assert_true(client_flush(c));
}

static void assert_got(struct client *c, const char *value, size_t len) {
    struct node *reply = client_read(c);
    assert_int_equal(reply->kind, '$');
    assert_int_equal(reply->bytes.len, len);
    assert_true(memcmp(reply->bytes.ptr, value, len) == 0);
    node_free(reply);
}

/* Around the sizes at which something changes: records, chunks, blobs, buffers. */
static void values_of_all_sizes_come_through_both_ways(void **state) {
    (void)state;
    static const size_t sizes[] = {
        0,     1,     100,   4095,  8191,  8192,  16000, 16383,  16384,   16385,
        16400, 32767, 32768, 32769, 65535, 65536, 65537, 131072, 1000000, 5000000
    };
    struct client *c = connect_tls(server);
    char *value = make_value(5000000);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        put(c, "k", value, sizes[i]);
        assert_next(c, "+OK");
        client_send(c, "GET k");
        assert_got(c, value, sizes[i]);
    }
    /* All of them in one pipeline. */
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char key[32];
        snprintf(key, sizeof key, "k%zu", i);
        put(c, key, value, sizes[i]);
        client_queue(c, "GET %s", key);
    }
    assert_true(client_flush(c));
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_next(c, "+OK");
        assert_got(c, value, sizes[i]);
    }
    free(value);
    client_close(c);
}

static void a_value_of_512_megabytes_comes_through_both_ways(void **state) {
    (void)state;
    struct client *c = connect_tls(server);
    char *value = make_value(HUGE_VALUE);
    put(c, "huge", value, HUGE_VALUE);
    assert_next(c, "+OK");
    client_send(c, "GET huge");
    assert_got(c, value, HUGE_VALUE);
    assert_reply(c, "DEL huge", ":1");
    free(value);
    client_close(c);
}

static void ten_thousand_commands_at_once_are_answered_in_order(void **state) {
    (void)state;
    struct client *c = connect_tls(server);
    for (int i = 0; i < 10000; i++) client_queue(c, "ECHO %d", i);
    assert_true(client_flush(c));
    for (int i = 0; i < 10000; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "$\"%d\"", i);
        assert_next(c, expected);
    }
    client_close(c);
}

/* Records of one byte, and records that end in the middle of everything. */
static void records_may_cut_commands_anywhere(void **state) {
    (void)state;
    static const char wire[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    struct client *c = connect_tls(server);
    for (size_t step = 1; step < sizeof wire; step += step < 4 ? 1 : 7) {
        for (size_t at = 0; at < sizeof wire - 1; at += step) {
            size_t len = sizeof wire - 1 - at < step ? sizeof wire - 1 - at : step;
            client_queue_raw(c, wire + at, len);
            assert_true(client_flush(c));
        }
        assert_next(c, "+OK");
        assert_next(c, "$\"hello\"");
    }
    client_close(c);
}

/* One write on the socket, many records: no event tells of the later ones. */
static void many_records_in_one_piece_are_all_answered(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    struct client *c = connect_tls(server), *feeder = connect_tls(server);
    BIO *pipe = BIO_new(BIO_s_mem());
    BIO_up_ref(SSL_get_wbio(client_ssl(c)));
    BIO *real = SSL_get_wbio(client_ssl(c));
    SSL_set0_wbio(client_ssl(c), pipe);
    for (int i = 0; i < COUNT; i++) assert_int_equal(SSL_write(client_ssl(c), "PING\r\n", 6), 6);
    char *bytes;
    long len = BIO_get_mem_data(pipe, &bytes);
    for (long sent = 0; sent < len;) {
        ssize_t n = send(client_fd(c), bytes + sent, (size_t)(len - sent), MSG_NOSIGNAL);
        if (n > 0) sent += n;
    }
    SSL_set0_wbio(client_ssl(c), real);
    for (int i = 0; i < COUNT; i++) assert_next(c, "+PONG");
    assert_reply(feeder, "PING", "+PONG");
    client_close(c);
    client_close(feeder);
}

/* ---- waiting, and what others cause ---- */

static void blocked_clients_are_served_and_their_later_input_waits(void **state) {
    (void)state;
    struct client *waiter = connect_tls(server), *c = connect_tls(server);
    client_queue(waiter, "BLPOP list 0");
    for (int i = 0; i < 500; i++) client_queue(waiter, "ECHO %0100d", i);
    assert_true(client_flush(waiter));
    assert_reply_soon(c, "CLIENT LIST", "$\"...cmd=blpop...\"");
    assert_reply(c, "RPUSH list x", ":1");
    assert_next(waiter, "*[$\"list\", $\"x\"]");
    for (int i = 0; i < 500; i++) assert_next(waiter, "$\"0...\"");
    /* One that hangs up while it waits is gone. */
    client_send(waiter, "BLPOP list 0");
    assert_reply_soon(c, "CLIENT LIST", "$\"...cmd=blpop...\"");
    client_close(waiter);
    assert_info_soon(c, "clients", "blocked_clients", "0");
    client_close(c);
}

static void input_past_what_is_kept_for_a_blocked_client_is_not_lost(void **state) {
    (void)state;
    enum { COUNT = 40 };
    struct client *waiter = connect_tls(server), *c = connect_tls(server);
    char *value = make_value(100000);
    client_queue(waiter, "BLPOP list 0");
    assert_true(client_flush(waiter));
    assert_reply_soon(c, "CLIENT LIST", "$\"...cmd=blpop...\"");
    /* 4 MB: the server stops reading at one, and the rest waits in the sockets and with us. */
    struct text wire = { 0 };
    for (int i = 0; i < COUNT; i++) {
        text_printf(&wire, "*3\r\n$3\r\nSET\r\n$2\r\n%02d\r\n$100000\r\n", i);
        text_append(&wire, value, 100000);
        text_append_str(&wire, "\r\n");
    }
    size_t sent = 0;
    for (bool served = false; sent < wire.len;) {
        int n = SSL_write(client_ssl(waiter), wire.ptr + sent, (int)(wire.len - sent));
        if (n > 0) {
            sent += (size_t)n;
        } else if (!served) {
            assert_reply(c, "RPUSH list x", ":1"); /* it is full: let it go on */
            served = true;
        }
    }
    text_release(&wire);
    client_send(c, "RPUSH list y"); /* if everything went into the sockets' buffers */
    assert_next(c, "...");
    assert_next(waiter, "*[$\"list\", $\"...\"]");
    for (int i = 0; i < COUNT; i++) assert_next(waiter, "+OK");
    client_send(waiter, "GET %02d", COUNT - 1);
    assert_got(waiter, value, 100000);
    free(value);
    client_close(waiter);
    client_close(c);
}

static void messages_reach_subscribers_of_both_sorts(void **state) {
    (void)state;
    enum { EACH = 20, MESSAGES = 50, LEN = 50000 };
    struct client *subscribers[2 * EACH], *c = connect_tls(server);
    char *value = make_value(LEN);
    for (int i = 0; i < 2 * EACH; i++) {
        subscribers[i] = i % 2 ? connect_tls(server) : server_connect(server);
        client_send(subscribers[i], "SUBSCRIBE news");
        assert_next(subscribers[i], "*[$\"subscribe\", $\"news\", :1]");
    }
    for (int i = 0; i < MESSAGES; i++) {
        struct words words = { 0 };
        words_add_str(&words, "PUBLISH");
        words_add_str(&words, "news");
        words_add(&words, value, (size_t)(i % 2 ? LEN : 10));
        client_queue_words(c, &words);
        words_release(&words);
        assert_true(client_flush(c));
        assert_next(c, ":40");
        for (int j = 0; j < 2 * EACH; j++) {
            struct node *message = client_read(subscribers[j]);
            assert_int_equal(message->count, 3);
            const struct text *got = &message->items[2]->bytes;
            assert_int_equal(got->len, i % 2 ? LEN : 10);
            assert_true(memcmp(got->ptr, value, got->len) == 0);
            node_free(message);
        }
    }
    for (int i = 0; i < 2 * EACH; i++) client_close(subscribers[i]);
    free(value);
    client_close(c);
}

static void a_transaction_and_a_script_answer_as_ever(void **state) {
    (void)state;
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },
        { "SET k 1", "+QUEUED" },
        { "INCR k", "+QUEUED" },
        { "EXEC", "*[+OK, :2]" },
        { "EVAL \"return redis.call('GET', KEYS[1])\" 1 k", "$\"2\"" },
        { "HELLO 3", "..." },
        { "CLIENT TRACKING ON", "+OK" },
        { "GET k", "$\"2\"" },
        { "RESET", "..." },
        { NULL, NULL },
    };
    struct client *c = connect_tls(server);
    assert_exchanges(c, rows);
    client_close(c);
}

/* ---- limits ---- */

static void a_reader_that_is_too_slow_is_cut_off(void **state) {
    (void)state;
    struct client *c = connect_tls(server), *slow = connect_tls(server);
    char *value = make_value(1000000);
    assert_reply(c, "CONFIG SET client-output-buffer-limit \"normal 20mb 0 0\"", "+OK");
    put(c, "big", value, 1000000);
    assert_next(c, "+OK");
    struct text wire = { 0 };
    for (int i = 0; i < 200; i++) text_append_str(&wire, "GET big\r\n");
    assert_int_equal(SSL_write(client_ssl(slow), wire.ptr, (int)wire.len), (int)wire.len);
    text_release(&wire);
    server_await_log(server, "Client closed for overcoming of output buffer limits", 1);
    assert_reply(c, "CONFIG SET client-output-buffer-limit \"normal 0 0 0\"", "+OK");
    assert_info_soon(c, "clients", "connected_clients", "1");
    client_abandon(slow);
    free(value);
    client_close(c);
}

/* A slow reader is waited for, and gets everything in the end. */
static void a_slow_reader_gets_everything(void **state) {
    (void)state;
    struct client *slow = connect_tls(server), *c = connect_tls(server);
    char *value = make_value(3000000);
    put(c, "big", value, 3000000);
    assert_next(c, "+OK");
    struct text wire = { 0 };
    for (int i = 0; i < 10; i++) text_append_str(&wire, "GET big\r\nPING\r\n");
    assert_int_equal(SSL_write(client_ssl(slow), wire.ptr, (int)wire.len), (int)wire.len);
    text_release(&wire);
    assert_reply_soon(c, "CLIENT LIST", "$\"...events=rw...\""); /* it is full */
    for (int i = 0; i < 10; i++) {
        assert_got(slow, value, 3000000);
        assert_next(slow, "+PONG");
    }
    free(value);
    client_close(slow);
    client_close(c);
}

/* What was sent before the end is answered; then the server says farewell. */
static void quit_is_answered_before_the_end(void **state) {
    (void)state;
    struct client *c = connect_tls(server);
    for (int i = 0; i < 100; i++) client_queue(c, "PING");
    client_queue(c, "QUIT");
    assert_true(client_flush(c));
    for (int i = 0; i < 100; i++) assert_next(c, "+PONG");
    assert_next(c, "+OK");
    check_ended(c, __FILE__, __LINE__);
    assert_int_equal(SSL_get_shutdown(client_ssl(c)) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    client_close(c);
}

static void connections_at_rest_give_their_buffers_back(void **state) {
    (void)state;
    enum { COUNT = 50, EACH = 30000 };
    struct client *c = server_connect(server), *many[COUNT];
    for (int i = 0; i < COUNT; i++) many[i] = connect_tls(server);
    /* The first ones may be at rest when the last one comes: so all of them at once. */
    for (int i = 0; i < COUNT; i++) client_queue(many[i], "PING");
    for (int i = 0; i < COUNT; i++) client_flush(many[i]);
    for (int i = 0; i < COUNT; i++) assert_string_equal(client_read_text(many[i]), "+PONG");
    int64_t busy = info_number(c, "memory", "used_memory"), now = busy;
    for (int tries = 0; now > busy - COUNT * EACH; tries++) {
        if (tries == 4000) fail_msg("%lld bytes after %lld", (long long)now, (long long)busy);
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
        now = info_number(c, "memory", "used_memory");
    }
    for (int i = 0; i < COUNT; i++) {
        assert_reply(many[i], "PING", "+PONG");
        client_close(many[i]);
    }
    client_close(c);
}

#define TRAFFIC_TEST(name) cmocka_unit_test_setup(name, empty)

int main(void) {
    const struct CMUnitTest tests[] = {
        TRAFFIC_TEST(values_of_all_sizes_come_through_both_ways),
        TRAFFIC_TEST(a_value_of_512_megabytes_comes_through_both_ways),
        TRAFFIC_TEST(ten_thousand_commands_at_once_are_answered_in_order),
        TRAFFIC_TEST(records_may_cut_commands_anywhere),
        TRAFFIC_TEST(many_records_in_one_piece_are_all_answered),
        TRAFFIC_TEST(blocked_clients_are_served_and_their_later_input_waits),
        TRAFFIC_TEST(input_past_what_is_kept_for_a_blocked_client_is_not_lost),
        TRAFFIC_TEST(messages_reach_subscribers_of_both_sorts),
        TRAFFIC_TEST(a_transaction_and_a_script_answer_as_ever),
        TRAFFIC_TEST(a_reader_that_is_too_slow_is_cut_off),
        TRAFFIC_TEST(a_slow_reader_gets_everything),
        TRAFFIC_TEST(connections_at_rest_give_their_buffers_back),
        TRAFFIC_TEST(quit_is_answered_before_the_end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
