/* test_migrate.c: MIGRATE to another server of ours, to a redis-server, and to targets that do not behave. */
#include "../harness/fixture.h"
#include "../harness/wire.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READING "-IOERR error or timeout reading to target instance"
#define WRITING "-IOERR error or timeout writing to target instance"
#define TARGET_SAYS "-ERR Target instance replied with error: "

/* The patience that tests with a target that answers give it: never to be used up. */
#define PATIENT "60000"

static struct server *here_server, *there_server;
static struct client *here, *there;

static int start_servers(void **state) {
    (void)state;
    const char *here_args[] = { "--appendonly", "yes", NULL };
    here_server = server_launch(&(struct server_plan){ .tcp = true, .args = here_args });
    there_server = server_launch(&(struct server_plan){ .tcp = true });
    return 0;
}

static int stop_servers(void **state) {
    (void)state;
    server_stop(here_server);
    server_stop(there_server);
    return 0;
}

static int open_both(void **state) {
    (void)state;
    here = server_connect(here_server);
    there = server_connect(there_server);
    assert_reply(here, "FLUSHALL", "+OK");
    assert_reply(there, "FLUSHALL", "+OK");
    return 0;
}

static int close_both(void **state) {
    (void)state;
    client_close(here);
    client_close(there);
    return 0;
}

/* MIGRATE to a port of this machine; `rest` begins with the key. */
static void check_migrate(int port, const char *rest, const char *expected) {
    char command[512];
    snprintf(command, sizeof command, "MIGRATE 127.0.0.1 %d %s", port, rest);
    assert_reply(here, command, expected);
}

static void check_to_there(const char *rest, const char *expected) {
    check_migrate(server_port(there_server), rest, expected);
}

static void a_key_moves_with_its_time_to_live(void **state) {
    (void)state;
    assert_reply(here, "SET k v PX 500000", "+OK");
    assert_reply(here, "SET forever v", "+OK");
    check_to_there("k 3 " PATIENT, "+OK");
    check_to_there("forever 3 " PATIENT, "+OK");
    assert_exchanges(there, ((const struct exchange[]){ { "SELECT 3", "+OK" },
                                                        { "GET k", "$\"v\"" },
                                                        { "PTTL k", ":300000..500000" },
                                                        { "TTL forever", ":-1" },
                                                        { NULL, NULL } }));
    assert_reply(here, "DBSIZE", ":0");
}

static void values_of_every_type_and_size_move(void **state) {
    (void)state;
    static const char *const makers[] = { "SETRANGE big 3000000 end", "RPUSH l a b 3",  "SADD s 1 2 x",
                                          "ZADD z 1 a 2.5 b",         "HSET h f v g 2", "XADD x 1-1 f v" };
    static const char all[] = "\"\" 0 " PATIENT " KEYS big l s z h x";
    for (size_t i = 0; i < COUNT_OF(makers); i++) client_ask(here, "%s", makers[i]);
    struct node *before = client_ask_node(here, "DEBUG DIGEST");
    check_to_there(all, "+OK");
    struct node *after = client_ask_node(there, "DEBUG DIGEST");
    assert_string_equal(text_str(&before->bytes), text_str(&after->bytes));
    node_free(before);
    node_free(after);
    assert_reply(here, "DBSIZE", ":0");
    assert_reply(there, "STRLEN big", ":3000003");
}

static void very_many_keys_move_in_one_command(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    struct words w = { 0 };
    words_printf(&w, "MIGRATE");
    words_printf(&w, "localhost");
    words_printf(&w, "%d", server_port(there_server));
    words_add(&w, "", 0);
    words_printf(&w, "0");
    words_printf(&w, PATIENT);
    words_printf(&w, "KEYS");
    for (int i = 0; i < COUNT; i++) {
        client_queue(here, "SET key:%d value:%d", i, i);
        words_printf(&w, "key:%d", i);
    }
    client_skip(here, COUNT);
    client_queue_words(here, &w);
    client_flush(here);
    assert_next(here, "+OK");
    words_release(&w);
    assert_reply(here, "DBSIZE", ":0");
    assert_reply(there, "DBSIZE", ":20000");
    assert_reply(there, "GET key:19999", "$\"value:19999\"");
}

static void missing_keys_are_passed_over(void **state) {
    (void)state;
    assert_reply(here, "MSET a 1 b 2", "+OK");
    check_to_there("\"\" 0 " PATIENT " KEYS none a nothing b", "+OK");
    assert_reply(there, "MGET a b", "*[$\"1\", $\"2\"]");
    assert_reply(there, "DBSIZE", ":2");
    check_to_there("\"\" 0 " PATIENT " KEYS a b", "+NOKEY");
    check_to_there("a 0 " PATIENT, "+NOKEY");
    check_to_there("\"\" 0 " PATIENT " KEYS", "+NOKEY");
}

static void the_empty_key_is_a_key(void **state) {
    (void)state;
    assert_reply(here, "SET \"\" v", "+OK");
    check_to_there("\"\" 0 " PATIENT, "+OK");
    assert_reply(there, "GET \"\"", "$\"v\"");
    assert_reply(here, "DBSIZE", ":0");
}

static void with_copy_the_keys_stay(void **state) {
    (void)state;
    assert_reply(here, "SET k v", "+OK");
    check_to_there("k 0 0 COPY", "+OK");
    assert_reply(here, "GET k", "$\"v\"");
    assert_reply(there, "GET k", "$\"v\"");
}

static void a_key_that_the_target_has_stays_unless_replace(void **state) {
    (void)state;
    assert_reply(here, "MSET a new b new c new", "+OK");
    assert_reply(there, "SET b old", "+OK");
    check_to_there("\"\" 0 " PATIENT " KEYS a b c", TARGET_SAYS "BUSYKEY Target key name already exists.");
    assert_reply(here, "KEYS *", "*[$\"b\"]");
    assert_reply(there, "MGET a b c", "*[$\"new\", $\"old\", $\"new\"]");
    check_to_there("b 0 " PATIENT " REPLACE", "+OK");
    assert_reply(here, "DBSIZE", ":0");
    assert_reply(there, "GET b", "$\"new\"");
}

static void a_key_named_twice_goes_once(void **state) {
    (void)state;
    assert_reply(here, "SET k v", "+OK");
    check_to_there("\"\" 0 " PATIENT " REPLACE KEYS k k", "+OK");
    assert_reply(here, "EXISTS k", ":0");
    assert_reply(there, "GET k", "$\"v\"");
}

static void a_database_that_is_not_there_takes_nothing(void **state) {
    (void)state;
    assert_reply(here, "SET k v", "+OK");
    check_to_there("k 9999 " PATIENT, TARGET_SAYS "ERR DB index is out of range");
    assert_reply(here, "GET k", "$\"v\"");
}

static void passwords_are_shown_to_the_target(void **state) {
    (void)state;
    static const char denied[] = TARGET_SAYS "WRONGPASS invalid username-password pair or user is disabled.";
    assert_reply(there, "CONFIG SET requirepass right", "+OK");
    assert_reply(here, "MSET a 1 b 2", "+OK");
    check_to_there("a 0 " PATIENT, TARGET_SAYS "NOAUTH Authentication required.");
    check_to_there("a 0 " PATIENT " AUTH wrong", denied);
    check_to_there("a 0 " PATIENT " AUTH2 default wrong", denied);
    check_to_there("a 0 " PATIENT " AUTH2 nobody right", denied);
    assert_reply(here, "DBSIZE", ":2");
    check_to_there("a 0 " PATIENT " AUTH right", "+OK");
    check_to_there("\"\" 0 " PATIENT " AUTH2 default right KEYS b", "+OK");
    assert_reply(here, "DBSIZE", ":0");
    struct client *known = server_connect(there_server);
    assert_reply(known, "AUTH right", "+OK");
    assert_reply(known, "MGET a b", "*[$\"1\", $\"2\"]");
    assert_reply(known, "CONFIG SET requirepass \"\"", "+OK");
    client_close(known);
}

/* Accepts connections into its backlog, where nobody ever answers. */
static int silent_listener(int *port) {
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void a_target_that_never_answers_gets_a_timeout(void **state) {
    (void)state;
    int port, fd = silent_listener(&port);
    assert_reply(here, "CONFIG SET rdbcompression no", "+OK"); /* more than the sockets hold */
    client_ask(here, "SETRANGE big 50000000 end");
    assert_reply(here, "SET k v", "+OK");
    check_migrate(port, "k 0 50", READING);
    check_migrate(port, "big 0 50", WRITING);
    close(fd);
    check_migrate(port, "k 0 50", WRITING); /* nobody listens any more */
    assert_reply(here, "MIGRATE 127.0.0.1 port k 0 50", "-IOERR error or timeout connecting to the client");
    assert_reply(here, "DBSIZE", ":2");
    assert_reply(here, "CONFIG SET rdbcompression yes", "+OK");
}

static void begin_migrate(const struct wire_listener *target, const char *rest) {
    client_send(here, "MIGRATE 127.0.0.1 %d %s", wire_port(target), rest);
}

static void expect_command(struct wire *w, const char *begin) {
    const char *command = wire_next(w);
    assert_non_null(command);
    if (strncmp(command, begin, strlen(begin)) != 0) fail_msg("%s, not %s", command, begin);
}

/* The next one is migrated over a link that is kept from this one. */
static struct wire *keep_a_link(struct wire_listener *target, const char *rest) {
    begin_migrate(target, rest);
    struct wire *w = wire_accept(target);
    expect_command(w, "SELECT 0");
    expect_command(w, "RESTORE first 0 ");
    wire_say(w, "+OK\r\n+OK\r\n");
    assert_next(here, "+OK");
    return w;
}

static void a_kept_link_that_ends_just_then_is_replaced_once(void **state) {
    (void)state;
    struct wire_listener *target = wire_listen();
    assert_reply(here, "MSET first 1 second 2 third 3", "+OK");
    struct wire *kept = keep_a_link(target, "first 0 " PATIENT);
    begin_migrate(target, "\"\" 0 " PATIENT " KEYS second third");
    expect_command(kept, "RESTORE second 0 ");
    expect_command(kept, "RESTORE third 0 ");
    wire_close(kept);
    struct wire *fresh = wire_accept(target);
    expect_command(fresh, "SELECT 0");
    expect_command(fresh, "RESTORE second 0 ");
    expect_command(fresh, "RESTORE third 0 ");
    wire_say(fresh, "+OK\r\n+OK\r\n-BUSYKEY it is there\r\n");
    assert_next(here, TARGET_SAYS "BUSYKEY it is there");
    assert_reply(here, "KEYS *", "*[$\"third\"]");
    /* Now that one is kept, and it is the new one that ends. */
    begin_migrate(target, "third 0 " PATIENT);
    expect_command(fresh, "RESTORE third 0 ");
    wire_close(fresh);
    fresh = wire_accept(target);
    expect_command(fresh, "SELECT 0");
    wire_close(fresh);
    assert_next(here, READING);
    assert_reply(here, "EXISTS third", ":1");
    wire_listener_close(target);
}

static void no_kept_link_is_replaced_that_was_heard_or_is_silent(void **state) {
    (void)state;
    struct wire_listener *target = wire_listen();
    assert_reply(here, "MSET first 1 second 2 third 3", "+OK");
    struct wire *kept = keep_a_link(target, "first 0 " PATIENT);
    begin_migrate(target, "\"\" 0 " PATIENT " KEYS second third");
    expect_command(kept, "RESTORE second 0 ");
    expect_command(kept, "RESTORE third 0 ");
    wire_say(kept, "+OK\r\n");
    wire_finish(kept);
    assert_next(here, READING);
    assert_reply(here, "KEYS *", "*[$\"third\"]");
    assert_reply(here, "SET first 1", "+OK");
    kept = keep_a_link(target, "first 0 " PATIENT);
    begin_migrate(target, "third 0 50");
    expect_command(kept, "RESTORE third 0 ");
    assert_next(here, READING);
    assert_reply(here, "EXISTS third", ":1");
    wire_close(kept);
    /* Nobody connected meanwhile: the next connection is this one. */
    assert_reply(here, "SET first 1", "+OK");
    wire_close(keep_a_link(target, "first 0 " PATIENT));
    wire_listener_close(target);
}

static size_t count_replies(struct client *const *clients, size_t count) {
    size_t replies = 0;
    for (size_t i = 0; i < count; i++) replies += client_has_reply(clients[i]);
    return replies;
}

/* Clients are spread over the workers, so two of these are with the migrating one's at most; they wait. */
static void other_clients_and_keys_do_not_wait_for_a_silent_target(void **state) {
    (void)state;
    enum { CLIENTS = 7, FREE = 4, KEYS = 400 };
    const char *workers = getenv("TRIVET_IO_THREADS");
    if (workers && atoi(workers) < 4) return;
    /* Those that are being closed still would count where the new ones are spread. */
    assert_info_soon(here, "clients", "connected_clients", "1");
    struct client *others[CLIENTS], *migrating = server_connect(here_server), *good[CLIENTS];
    size_t count = 0;
    struct words w = { 0 };
    int port, fd = silent_listener(&port);
    assert_reply(here, "SET k v", "+OK");
    for (size_t i = 0; i < CLIENTS; i++) others[i] = server_connect(here_server);
    for (size_t i = 0; i < CLIENTS; i++) assert_reply(others[i], "PING", "+PONG");
    for (int i = 0; i < KEYS; i++) client_queue(here, "SET key:%d v PX 100", i);
    client_skip(here, KEYS);
    /* Missing keys are locked too: so there are busy shards in every worker's part. */
    assert_true(words_split(&w, "MIGRATE 127.0.0.1 PORT \"\" 0 " PATIENT " KEYS k"));
    text_clear(&w.items[2]);
    text_printf(&w.items[2], "%d", port);
    for (int i = 0; i < 40; i++) words_printf(&w, "none:%d", i);
    client_queue_words(migrating, &w);
    client_flush(migrating);
    words_release(&w);
    assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, CLIENT_PATIENCE_MS), 1);
    for (size_t i = 0; i < CLIENTS; i++) client_send(others[i], "PING");
    assert_soon(count_replies(others, CLIENTS) >= FREE);
    for (size_t i = 0; i < CLIENTS; i++)
        if (client_has_reply(others[i])) good[count++] = others[i];
    for (size_t i = 0; i < count; i++) assert_next(good[i], "+PONG");
    /* The search for what has expired passes by the busy shards too, but for those of the busy worker. */
    assert_soon(client_ask_int(good[0], "DBSIZE") <= KEYS / 2);
    for (size_t i = 0; i < count; i++) assert_reply(good[i], "PING", "+PONG");
    /* Few of these keys, if any, are in a busy shard. */
    for (size_t i = 1; i < count; i++) client_send(good[i], "SET other:%zu v", i);
    assert_soon(count_replies(good + 1, count - 1) >= 2);
    client_send(good[0], "GET k");
    assert_false(client_has_reply(migrating));
    assert_false(client_has_reply(good[0]));
    close(fd);
    assert_next(migrating, READING);
    assert_next(good[0], "$\"v\"");
    for (size_t i = 0; i < CLIENTS; i++) client_close(others[i]);
    client_close(migrating);
}

static void a_server_that_is_its_own_target_does_not_hang(void **state) {
    (void)state;
    assert_reply(here, "SET k v", "+OK");
    check_migrate(server_port(here_server), "k 1 50", READING);
    assert_reply(here, "GET k", "$\"v\"");
    assert_reply(here, "PING", "+PONG");
}

static void wrong_arguments_are_refused_before_anything_is_sent(void **state) {
    (void)state;
    static const struct exchange rows[] = {
        { "MIGRATE h 1 k 0", "-ERR wrong number of arguments for 'migrate' command" },
        { "MIGRATE h 1 k 0 10 AUTH", "-ERR syntax error" },
        { "MIGRATE h 1 k 0 10 AUTH2 a", "-ERR syntax error" },
        { "MIGRATE h 1 k x 10 FOO", "-ERR syntax error" },
        { "MIGRATE h 1 k x 10", "-ERR value is not an integer or out of range" },
        { "MIGRATE h 1 k 0 y", "-ERR value is not an integer or out of range" },
        { "MIGRATE h 1 k 0 10 KEYS a",
          "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string" },
        { "COMMAND GETKEYS MIGRATE h 1 k 0 0", "*[$\"k\"]" },
        { "COMMAND GETKEYS MIGRATE h 1 \"\" 0 0 AUTH2 auth keys KEYS a b", "*[$\"a\", $\"b\"]" },
        { "COMMAND GETKEYS MIGRATE h 1 \"\" 0 0 AUTH", "*[$\"\"]" },
        { NULL, NULL },
    };
    assert_exchanges(here, rows);
}

static void passwords_show_nowhere(void **state) {
    (void)state;
    struct client *m = server_connect(here_server);
    assert_reply(here, "CONFIG SET slowlog-log-slower-than 0", "+OK");
    assert_reply(m, "MONITOR", "+OK");
    assert_reply(here, "MIGRATE h 1 \"\" 0 9 COPY AUTH2 me pw KEYS auth k", "+NOKEY");
    assert_next(m, "+... \"COPY\" \"AUTH2\" \"(redacted)\" \"(redacted)\" \"KEYS\" \"auth\" \"k\"");
    assert_reply(
        here, "SLOWLOG GET 1",
        "*[*[...\"9\", $\"COPY\", $\"AUTH2\", $\"(redacted)\", $\"(redacted)\", $\"KEYS\", $\"auth\", "
        "$\"k\"]...");
    assert_reply(here, "MIGRATE h 1 a 0 9 AUTH pw", "+NOKEY");
    assert_next(m, "+... \"a\" \"0\" \"9\" \"AUTH\" \"(redacted)\"");
    assert_reply(here, "CONFIG SET slowlog-log-slower-than 10000", "+OK");
    client_close(m);
}

static void what_has_gone_stays_gone_after_a_kill(void **state) {
    (void)state;
    assert_reply(here, "MSET a 1 b 2", "+OK");
    assert_reply(here, "CONFIG SET notify-keyspace-events KEA", "+OK");
    struct client *listener = server_connect(here_server);
    assert_reply(listener, "PSUBSCRIBE __keyevent*", "*[$\"psubscribe\", $\"__keyevent*\", :1]");
    check_to_there("\"\" 0 " PATIENT " KEYS a", "+OK");
    assert_next(listener, "*[$\"pmessage\", $\"__keyevent*\", $\"__keyevent@0__:del\", $\"a\"]");
    client_close(listener);
    client_close(here);
    server_kill(here_server);
    server_restart(here_server);
    here = server_connect(here_server);
    assert_reply(here, "KEYS *", "*[$\"b\"]");
}

static void a_redis_server_is_a_target(void **state) {
    (void)state;
    const char *args[] = { "--save", "", NULL };
    struct server *redis = server_launch(
        &(struct server_plan){ .program = "redis-server", .bare = true, .tcp = true, .args = args });
    struct client *r = server_connect(redis);
    static const char *const makers[] = { "SET t v EX 1000", "RPUSH l a b 3",  "SADD s 1 2 x",
                                          "ZADD z 1 a",      "HSET h f v g 2", "XADD x 1-1 f v" };
    assert_reply(here, "CONFIG SET rdb-write-version 10", "+OK");
    for (size_t i = 0; i < COUNT_OF(makers); i++) client_ask(here, "%s", makers[i]);
    check_migrate(server_port(redis), "\"\" 2 " PATIENT " KEYS t l s z h x none", "+OK");
    assert_reply(here, "CONFIG SET rdb-write-version auto", "+OK");
    assert_exchanges(r, ((const struct exchange[]){ { "SELECT 2", "+OK" },
                                                    { "DBSIZE", ":6" },
                                                    { "TTL t", ":900..1000" },
                                                    { "LRANGE l 0 -1", "*[$\"a\", $\"b\", $\"3\"]" },
                                                    { "HGETALL h", "*[$\"f\", $\"v\", $\"g\", $\"2\"]" },
                                                    { NULL, NULL } }));
    assert_reply(here, "DBSIZE", ":0");
    client_close(r);
    server_free(redis);
}

#define BOTH_TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH_TEST(a_key_moves_with_its_time_to_live),
        BOTH_TEST(values_of_every_type_and_size_move),
        BOTH_TEST(very_many_keys_move_in_one_command),
        BOTH_TEST(missing_keys_are_passed_over),
        BOTH_TEST(the_empty_key_is_a_key),
        BOTH_TEST(with_copy_the_keys_stay),
        BOTH_TEST(a_key_that_the_target_has_stays_unless_replace),
        BOTH_TEST(a_key_named_twice_goes_once),
        BOTH_TEST(a_database_that_is_not_there_takes_nothing),
        BOTH_TEST(passwords_are_shown_to_the_target),
        BOTH_TEST(a_target_that_never_answers_gets_a_timeout),
        BOTH_TEST(a_kept_link_that_ends_just_then_is_replaced_once),
        BOTH_TEST(no_kept_link_is_replaced_that_was_heard_or_is_silent),
        BOTH_TEST(other_clients_and_keys_do_not_wait_for_a_silent_target),
        BOTH_TEST(a_server_that_is_its_own_target_does_not_hang),
        BOTH_TEST(wrong_arguments_are_refused_before_anything_is_sent),
        BOTH_TEST(passwords_show_nowhere),
        BOTH_TEST(what_has_gone_stays_gone_after_a_kill),
        BOTH_TEST(a_redis_server_is_a_target),
    };
    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
