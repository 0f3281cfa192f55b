/* test_protocol.c: bytes on the wire: both protocol versions, inline commands, every protocol error, commands
 * cut anywhere, deep pipelines and big arguments. What a single command means is told in tests/commands. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TRIVET_SANITIZE
#define DEEP 20000
#define HUGE_SIZE (8 << 20)
#else
#define DEEP 100000
#define HUGE_SIZE (64 << 20)
#endif
#define ARGUMENTS 100000
#define MEGABYTE (1 << 20)

static struct server *server_of(void **state) { return ((struct fixture *)*state)->server; }

static char *filled(size_t len, unsigned seed) {
    char *bytes = malloc(len ? len : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (char)(seed >> 24);
    }
    return bytes;
}

static void queue_bulk(struct client *c, const void *bytes, size_t len) {
    char line[32];
    client_queue_raw(c, line, (size_t)snprintf(line, sizeof line, "$%zu\r\n", len));
    client_queue_raw(c, bytes, len);
    client_queue_raw(c, "\r\n", 2);
}

static void queue_text(struct client *c, const char *text) { client_queue_raw(c, text, strlen(text)); }

static void assert_bulk(struct client *c, const void *bytes, size_t len) {
    struct node *reply = client_read(c);
    assert_int_equal(reply->kind, '$');
    assert_int_equal(reply->bytes.len, len);
    assert_memory_equal(text_str(&reply->bytes), bytes, len);
    node_free(reply);
}

/* ---- errors ---- */

struct wire {
    const char *bytes, *reply; /* reply NULL: closed without a word */
};

/* Each on a connection of its own, which the server closes. */
static void assert_breaks(struct server *s, const struct wire *rows) {
    for (; rows->bytes; rows++) {
        struct client *c = server_connect(s);
        client_send_raw(c, rows->bytes);
        if (rows->reply) assert_next(c, rows->reply);
        assert_ended(c);
        client_close(c);
    }
}

static void every_protocol_error_has_its_text_and_ends_the_connection(void **state) {
#define BAD_COUNT "-ERR Protocol error: invalid multibulk length"
#define BAD_LENGTH "-ERR Protocol error: invalid bulk length"
#define BAD_END "-ERR Protocol error: invalid CRLF in request"
#define BAD_QUOTES "-ERR Protocol error: unbalanced quotes in request"
    static const struct wire rows[] = {
        { "*a\r\n", BAD_COUNT },
        { "*\r\nPING\r\n", BAD_COUNT },
        { "*2147483648\r\n", BAD_COUNT },
        { "*99999999999\r\n", BAD_COUNT },
        { "*18446744073709551617\r\n", BAD_COUNT },
        { "*01\r\n$4\r\nPING\r\n", BAD_COUNT },
        { "*+1\r\n$4\r\nPING\r\n", BAD_COUNT },
        { "*1 \r\n$4\r\nPING\r\n", BAD_COUNT },
        { "*1\r\nfoo\r\n", "-ERR Protocol error: expected '$', got 'f'" },
        { "*1\r\n+PING\r\n", "-ERR Protocol error: expected '$', got '+'" },
        { "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'" },
        { "*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "-ERR Protocol error: expected '$', got 'f'" },
        { "*1\r\n$a\r\n", BAD_LENGTH },
        { "*1\r\n$\r\n", BAD_LENGTH },
        { "*1\r\n$-1\r\n", BAD_LENGTH },
        { "*1\r\n$-10\r\n", BAD_LENGTH },
        { "*1\r\n$536870913\r\n", BAD_LENGTH },
        { "*1\r\n$2147483648\r\n", BAD_LENGTH },
        { "*1\r\n$04\r\nPING\r\n", BAD_LENGTH },
        { "*1\r\n$+4\r\nPING\r\n", BAD_LENGTH },
        { "*1\r\n$ 4\r\nPING\r\n", BAD_LENGTH },
        { "*1\r\n$4\r\nPINGxx", BAD_END },
        { "*1\r\n$4\rxPING\r\n", BAD_END },
        { "*1\rx$4\r\nPING\r\n", BAD_END },
        { "*2\r\n$3\r\nGET\r\n$1\r\nk$1\r\nx\r\n", BAD_END },
        { "SET k \"unbalanced\r\n", BAD_QUOTES },
        { "GET \"a\"b'\r\n", BAD_QUOTES },
        { "GET 'a\r\n", BAD_QUOTES },
        { NULL, NULL },
    };
    assert_breaks(server_of(state), rows);
    assert_reply(fixture_client(state), "EXISTS k x", ":0");
}

static void a_line_without_an_end_is_refused_at_64_kilobytes(void **state) {
    static const struct wire rows[] = {
        { "x", "-ERR Protocol error: too big inline request" },
        { "*", "-ERR Protocol error: too big mbulk count string" },
        { "*1\r\n$", "-ERR Protocol error: too big bulk count string" },
        { NULL, NULL },
    };
    char digits[70000];
    memset(digits, '1', sizeof digits);
    for (const struct wire *row = rows; row->bytes; row++) {
        struct client *c = server_connect(server_of(state));
        queue_text(c, row->bytes);
        client_queue_raw(c, digits, sizeof digits);
        client_flush(c);
        assert_next(c, row->reply);
        assert_ended(c);
        client_close(c);
    }
}

static void what_was_right_before_an_error_is_answered_and_nothing_after_it(void **state) {
    struct client *c = server_connect(server_of(state));
    client_send_raw(c, "SET before 1\r\n*1\r\n$a\r\nSET after 1\r\n");
    assert_next(c, "+OK");
    assert_next(c, BAD_LENGTH);
    assert_ended(c);
    client_close(c);
    assert_reply(fixture_client(state), "MGET before after", "*[$\"1\", $-1]");
}

static void odd_but_valid_bytes_are_understood(void **state) {
    static const struct wire rows[] = {
        { "*-1\r\nPING\r\n", "+PONG" },
        { "*0\r\nPING\r\n", "+PONG" },
        { "*-10\r\nPING\r\n", "+PONG" },
        { "\r\nPING\r\n", "+PONG" },
        { "\n\n\r\n   \r\nPING\r\n", "+PONG" },
        { "   PING   \r\n", "+PONG" },
        { "PING\n", "+PONG" },
        { "ECHO \"\\x41\\n b\"\r\n", "$\"A\\n b\"" },
        { "ECHO 'it\\'s \\x41'\r\n", "$\"it's \\\\x41\"" },
        { "ECHO \"\"\r\n", "$\"\"" },
        { "ECHO \"a\"b\r\n", "$\"ab\"" },
        { "ECHO 'a'\"b\"c\r\n", "$\"abc\"" },
        { "ECHO x'y z'w\r\n", "$\"xy zw\"" },
        { "echo plain\r\n", "$\"plain\"" },
        { "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "$\"\"" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    for (const struct wire *row = rows; row->bytes; row++) {
        client_send_raw(c, row->bytes);
        assert_next(c, row->reply);
    }
    assert_reply(c, "PING", "+PONG");
}

static void a_browser_that_is_made_to_talk_to_the_server_is_cut_off(void **state) {
    static const struct wire rows[] = {
        { "POST / HTTP/1.1\r\nSET attacked 1\r\n", NULL },
        { "post / HTTP/1.1\r\nSET attacked 1\r\n", NULL },
        { "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nSET attacked 1\r\n", NULL },
        { "host: x\r\nSET attacked 1\r\n", NULL },
        { NULL, NULL },
    };
    assert_breaks(server_of(state), rows);
    assert_reply(fixture_client(state), "EXISTS attacked", ":0");
    server_await_log(server_of(state), "Possible SECURITY ATTACK detected", 1);
}

/* ---- unauthenticated ---- */

static void before_authentication_commands_are_small(void **state) {
    (void)state;
    struct server *s = server_start("--requirepass", "secret", NULL);
    static const struct wire rows[] = {
        { "*11\r\n", "-ERR Protocol error: unauthenticated multibulk length" },
        { "*2147483647\r\n", "-ERR Protocol error: unauthenticated multibulk length" },
        { "*1\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length" },
        { "*2147483648\r\n", BAD_COUNT },
        { NULL, NULL },
    };
    assert_breaks(s, rows);
    char *value = filled(200000, 7);
    struct client *c = server_connect(s);
    queue_text(c, "*2\r\n$4\r\nECHO\r\n");
    queue_bulk(c, value, 16384);
    queue_text(c, "*10\r\n$4\r\nMGET\r\n");
    for (int i = 0; i < 9; i++) queue_bulk(c, "k", 1);
    client_flush(c);
    assert_next(c, "-NOAUTH Authentication required.");
    assert_next(c, "-NOAUTH Authentication required.");
    /* In one write with AUTH the limits are gone for what follows. */
    queue_text(c, "AUTH secret\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n");
    queue_bulk(c, value, 200000);
    queue_text(c, "*21\r\n$3\r\nDEL\r\n");
    for (int i = 0; i < 20; i++) queue_bulk(c, "none", 4);
    client_send(c, "GET k");
    assert_next(c, "+OK");
    assert_next(c, "+OK");
    assert_next(c, ":0");
    assert_bulk(c, value, 200000);
    free(value);
    client_close(c);
    server_free(s);
}

/* ---- fragments ---- */

/* Returns when the server has read `bytes` bytes of the client with that id. */
static void await_read(struct client *watcher, int64_t id, size_t bytes) {
    char wanted[48];
    snprintf(wanted, sizeof wanted, " tot-net-in=%zu ", bytes);
    for (int tries = 0; tries < 1000000; tries++) {
        struct node *line = client_ask_node(watcher, "CLIENT LIST ID %lld", (long long)id);
        bool there = strstr(text_str(&line->bytes), wanted);
        node_free(line);
        if (there) return;
    }
    fail_msg("the server never read %zu bytes", bytes);
}

static void a_conversation_may_be_cut_at_every_byte(void **state) {
    static const char wire[] =
        "*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$5\r\n\0\r\n\n\xff\r\nPING\r\n*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n"
        "*0\r\n\r\nECHO \"q \\x00\"\r\n*4\r\n$4\r\nMGET\r\n$1\r\nx\r\n$0\r\n\r\n$3\r\na\r\n\r\n";
    for (size_t cut = 1; cut < sizeof wire - 1; cut++) {
        struct client *c = server_connect(server_of(state));
        int64_t id = client_ask_int(c, "CLIENT ID");
        size_t before = sizeof "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n" - 1;
        client_queue_raw(c, wire, cut);
        client_flush(c);
        await_read(fixture_client(state), id, before + cut);
        client_queue_raw(c, wire + cut, sizeof wire - 1 - cut);
        client_flush(c);
        assert_next(c, "+OK");
        assert_next(c, "+PONG");
        assert_bulk(c, "\0\r\n\n\xff", 5);
        assert_bulk(c, "q \0", 3);
        assert_next(c, "*[$-1, $-1, $\"\\x00\\r\\n\\n\\xff\"]");
        client_close(c);
    }
}

static void a_conversation_may_arrive_byte_by_byte(void **state) {
    struct client *c = server_connect(server_of(state));
    int64_t id = client_ask_int(c, "CLIENT ID");
    size_t before = sizeof "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n" - 1;
    static const char wire[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\nGET k\r\n";
    for (size_t i = 0; i < sizeof wire - 1; i++) {
        client_queue_raw(c, wire + i, 1);
        client_flush(c);
        await_read(fixture_client(state), id, before + i + 1);
    }
    assert_next(c, "+OK");
    assert_next(c, "$\"0123456789\"");
    client_close(c);
}

/* A big argument has its own way in: cut around its beginning and its end. */
static void a_big_argument_may_be_cut_anywhere(void **state) {
    enum { SIZE = 40000 };
    char *value = filled(SIZE, 3);
    struct text wire = { 0 };
    text_printf(&wire, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", SIZE);
    size_t begins = wire.len;
    text_append(&wire, value, SIZE);
    text_append_str(&wire, "\r\nGET k\r\n");
    size_t ends = begins + SIZE;
    const size_t cuts[] = { begins - 7, begins - 2, begins - 1, begins,   begins + 1, begins + 20000,
                            ends - 1,   ends,       ends + 1,   ends + 2, ends + 3 };
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        struct client *c = server_connect(server_of(state));
        int64_t id = client_ask_int(c, "CLIENT ID");
        client_queue_raw(c, wire.ptr, cuts[i]);
        client_flush(c);
        await_read(fixture_client(state), id, sizeof "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n" - 1 + cuts[i]);
        client_queue_raw(c, wire.ptr + cuts[i], wire.len - cuts[i]);
        client_flush(c);
        assert_next(c, "+OK");
        assert_bulk(c, value, SIZE);
        client_close(c);
    }
    text_release(&wire);
    free(value);
}

/* ---- depth ---- */

static void a_pipeline_of_any_depth_is_answered_in_order(void **state) {
    struct client *c = fixture_client(state);
    char number[16];
    for (int i = 0; i < DEEP; i++) {
        snprintf(number, sizeof number, "%d", i);
        queue_text(c, "*2\r\n$4\r\nECHO\r\n");
        queue_bulk(c, number, strlen(number));
        queue_text(c, i % 2 ? "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" : "INCR n\r\n");
    }
    assert_true(client_flush(c));
    for (int i = 0; i < DEEP; i++) {
        snprintf(number, sizeof number, "%d", i);
        assert_bulk(c, number, strlen(number));
        struct node *counted = client_read(c);
        assert_int_equal(counted->number, i + 1);
        node_free(counted);
    }
    assert_false(client_has_reply(c));
}

static void a_command_may_have_very_many_arguments(void **state) {
    struct client *c = fixture_client(state);
    char name[32];
    for (int command = 0; command < 2; command++) {
        int words = command == 0 ? 1 + 2 * ARGUMENTS : 1 + ARGUMENTS;
        client_queue_raw(c, name, (size_t)snprintf(name, sizeof name, "*%d\r\n", words));
        queue_text(c, command == 0 ? "$4\r\nMSET\r\n" : "$3\r\nDEL\r\n");
        for (int i = 0; i < ARGUMENTS; i++) {
            queue_bulk(c, name, (size_t)snprintf(name, sizeof name, "key:%d", i));
            if (command == 0) queue_bulk(c, "v", 1);
        }
    }
    client_flush(c);
    assert_next(c, "+OK");
    snprintf(name, sizeof name, ":%d", ARGUMENTS);
    assert_next(c, name);
    assert_reply(c, "DBSIZE", ":0");
    /* Announced and never sent: that costs nothing. */
    struct client *idle = server_connect(server_of(state));
    client_send_raw(idle, "*1048577\r\n");
    assert_reply(c, "PING", "+PONG");
    client_close(idle);
}

/* ---- arguments ---- */

static void arguments_may_have_any_bytes(void **state) {
    struct client *c = fixture_client(state);
    char all[256];
    for (int i = 0; i < 256; i++) all[i] = (char)i;
    for (int version = 2; version <= 3; version++) {
        client_ask(c, "HELLO %d", version);
        for (size_t from = 0; from < 256; from++) {
            queue_text(c, "*3\r\n$3\r\nSET\r\n");
            queue_bulk(c, all + from, 256 - from);
            queue_bulk(c, all, from);
            queue_text(c, "*2\r\n$3\r\nGET\r\n");
            queue_bulk(c, all + from, 256 - from);
        }
        client_flush(c);
        for (size_t from = 0; from < 256; from++) {
            assert_next(c, "+OK");
            assert_bulk(c, all, from);
        }
        assert_reply(c, "DBSIZE", ":256");
    }
}

static void values_of_every_size_class_come_back(void **state) {
    static const size_t sizes[] = { 0,     1,     63,    64,    4095,  16383,  16384,   32767,  32768,
                                    32769, 65533, 65535, 65536, 65537, 131072, 1000000, 5000000 };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *value = filled(sizes[i], (unsigned)i);
        queue_text(c, "PING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n");
        queue_bulk(c, value, sizes[i]);
        queue_text(
            c, "GET k\r\n*4\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\n1\r\n"); /* an odd number of words: an error */
        queue_text(c, "$1\r\nb\r\n");
        queue_text(c, "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n");
        queue_bulk(c, value, sizes[i]);
        queue_text(c, "$1\r\nb\r\n");
        queue_bulk(c, value, sizes[i]);
        queue_text(c, "GET a\r\nGET b\r\nPING\r\n");
        client_flush(c);
        assert_next(c, "+PONG");
        assert_next(c, "+OK");
        assert_bulk(c, value, sizes[i]);
        assert_next(c, "-ERR wrong number of arguments for 'mset' command");
        assert_next(c, "+OK");
        assert_bulk(c, value, sizes[i]);
        assert_bulk(c, value, sizes[i]);
        assert_next(c, "+PONG");
        free(value);
    }
}

static void arguments_are_limited_by_proto_max_bulk_len(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG SET proto-max-bulk-len 1mb", "+OK");
    char *value = filled(MEGABYTE, 5);
    queue_text(c, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n");
    queue_bulk(c, value, MEGABYTE);
    client_flush(c);
    assert_next(c, "+OK");
    static const struct wire rows[] = { { "*2\r\n$3\r\nGET\r\n$1048577\r\n", BAD_LENGTH }, { NULL, NULL } };
    assert_breaks(server_of(state), rows);
    assert_reply(c, "CONFIG SET proto-max-bulk-len 512mb", "+OK");
    client_send(c, "GET k");
    assert_bulk(c, value, MEGABYTE);
    free(value);
}

static void a_huge_value_comes_and_goes_while_others_are_served(void **state) {
    struct client *big = fixture_client(state);
    struct client *others[4];
    for (int i = 0; i < 4; i++) others[i] = server_connect(server_of(state));
    char *value = filled(HUGE_SIZE, 11);
    char head[64];
    snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$%d\r\n", HUGE_SIZE);
    client_send_raw(big, head);
    for (size_t at = 0; at < HUGE_SIZE; at += MEGABYTE) {
        client_queue_raw(big, value + at, MEGABYTE);
        assert_true(client_flush(big));
        assert_reply(others[at / MEGABYTE % 4], "INCR served", ":...");
    }
    client_send_raw(big, "\r\n");
    assert_next(big, "+OK");
    char ran[64];
    snprintf(ran, sizeof ran, "CLIENT LIST ID %lld", (long long)client_ask_int(big, "CLIENT ID"));
    client_send(big, "GET huge"); /* fills the socket; nobody reads it yet */
    assert_reply_soon(others[0], ran, "$\"...cmd=get ...\"");
    for (int i = 0; i < 4; i++) {
        assert_reply(others[i], "STRLEN huge", ":...");
        assert_reply(others[i], "SET small x", "+OK");
    }
    assert_reply(others[0], "SET huge gone", "+OK");
    assert_bulk(big, value, HUGE_SIZE);
    assert_reply(big, "GET huge", "$\"gone\"");
    for (int i = 0; i < 4; i++) client_close(others[i]);
    free(value);
}

static void a_big_command_held_back_by_a_pause_survives_more_input(void **state) {
    enum { SIZE = 100000 };
    struct client *c = server_connect(server_of(state));
    int64_t id = client_ask_int(c, "CLIENT ID");
    size_t sent = sizeof "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n" - 1;
    char *value = filled(SIZE, 13);
    assert_reply(fixture_client(state), "CLIENT PAUSE 100000 WRITE", "+OK");
    static const char head[] = "*3\r\n$3\r\nSET\r\n$9\r\nheld:back\r\n$100000\r\n";
    client_queue_raw(c, head, sizeof head - 1);
    client_queue_raw(c, value, SIZE / 2);
    client_flush(c);
    await_read(fixture_client(state), id, sent + sizeof head - 1 + SIZE / 2);
    client_queue_raw(c, value + SIZE / 2, SIZE / 2);
    queue_text(c, "\r\n");
    for (int i = 0; i < 5000; i++) queue_text(c, "PING\r\n");
    queue_text(c, "GET held:back\r\n");
    client_flush(c);
    assert_reply(fixture_client(state), "EXISTS held:back", ":0");
    assert_reply(fixture_client(state), "CLIENT UNPAUSE", "+OK");
    assert_next(c, "+OK");
    client_skip(c, 5000);
    assert_bulk(c, value, SIZE);
    free(value);
    client_close(c);
}

/* ---- protocol versions ---- */

static void hello_switches_between_the_versions(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "GET none", "$-1" },
        { "HELLO 3", "%{$\"server\": $\"redis\", $\"version\": $\"...\", $\"proto\": :3, $\"id\": :..., "
                     "$\"mode\": $\"standalone\", $\"role\": $\"master\", $\"modules\": *[]...}" },
        { "GET none", "_" },
        { "CONFIG GET maxmemory", "%{$\"maxmemory\": $\"0\"}" },
        { "SET k v", "+OK" },
        { "MGET k none", "*[$\"v\", _]" },
        { "HELLO", "%{..." },
        { "HELLO 4", "-NOPROTO unsupported protocol version" },
        { "HELLO a", "-ERR Protocol version is not an integer or out of range" },
        { "HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'" },
        { "GET none", "_" },
        { "HELLO 2", "*[$\"server\", $\"redis\", $\"version\", $\"...\", $\"proto\", :2, ..." },
        { "GET none", "$-1" },
        { "HELLO", "*[$\"server\"..." },
        { "HELLO 3 SETNAME me", "%{..." },
        { "CLIENT GETNAME", "$\"me\"" },
        { "RESET", "+RESET" },
        { "GET none", "$-1" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void the_version_may_change_within_a_pipeline(void **state) {
    struct client *c = fixture_client(state);
    client_send_raw(c, "GET none\r\nHELLO 3\r\nGET none\r\nSUBSCRIBE ch\r\nGET none\r\nUNSUBSCRIBE\r\nHELLO "
                       "2\r\nGET none\r\n");
    static const char *const replies[] = { "$-1",   "%{...",
                                           "_",     ">[$\"subscribe\", $\"ch\", :1]",
                                           "_",     ">[$\"unsubscribe\", $\"ch\", :0]",
                                           "*[...", "$-1" };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) assert_next(c, replies[i]);
}

static void quit_answers_and_closes_and_leaves_the_rest_unread(void **state) {
    struct client *c = server_connect(server_of(state));
    client_send_raw(c, "SET k 1\r\nQUIT\r\nSET k 2\r\n");
    assert_next(c, "+OK");
    assert_next(c, "+OK");
    assert_ended(c);
    client_close(c);
    assert_reply(fixture_client(state), "GET k", "$\"1\"");
}

static void clients_that_vanish_in_the_middle_leave_nothing_behind(void **state) {
    static const char *const halves[] = { "*",
                                          "*3\r\n$3\r\nSET\r\n",
                                          "*2\r\n$3\r\nSET\r\n$1000000\r\nabc",
                                          "MULTI\r\nSET a 1\r\n",
                                          "SUBSCRIBE a b\r\n",
                                          "WATCH k\r\nGET",
                                          "MONITOR\r\n",
                                          "CLIENT TRACKING on\r\n" };
    for (size_t i = 0; i < 200; i++) {
        struct client *c = server_connect(server_of(state));
        client_send_raw(c, halves[i % (sizeof halves / sizeof halves[0])]);
        if (i % 3 == 0)
            client_abandon(c);
        else
            client_close(c);
    }
    for (int tries = 0; info_number(fixture_client(state), "clients", "connected_clients") > 1; tries++)
        assert_true(tries < 100000);
    assert_reply(fixture_client(state), "EXISTS a", ":0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(every_protocol_error_has_its_text_and_ends_the_connection),
        FIXTURE_TEST(a_line_without_an_end_is_refused_at_64_kilobytes),
        FIXTURE_TEST(what_was_right_before_an_error_is_answered_and_nothing_after_it),
        FIXTURE_TEST(odd_but_valid_bytes_are_understood),
        FIXTURE_TEST(a_browser_that_is_made_to_talk_to_the_server_is_cut_off),
        FIXTURE_TEST(before_authentication_commands_are_small),
        FIXTURE_TEST(a_conversation_may_be_cut_at_every_byte),
        FIXTURE_TEST(a_conversation_may_arrive_byte_by_byte),
        FIXTURE_TEST(a_big_argument_may_be_cut_anywhere),
        FIXTURE_TEST(a_pipeline_of_any_depth_is_answered_in_order),
        FIXTURE_TEST(a_command_may_have_very_many_arguments),
        FIXTURE_TEST(arguments_may_have_any_bytes),
        FIXTURE_TEST(values_of_every_size_class_come_back),
        FIXTURE_TEST(arguments_are_limited_by_proto_max_bulk_len),
        FIXTURE_TEST(a_huge_value_comes_and_goes_while_others_are_served),
        FIXTURE_TEST(a_big_command_held_back_by_a_pause_survives_more_input),
        FIXTURE_TEST(hello_switches_between_the_versions),
        FIXTURE_TEST(the_version_may_change_within_a_pipeline),
        FIXTURE_TEST(quit_answers_and_closes_and_leaves_the_rest_unread),
        FIXTURE_TEST(clients_that_vanish_in_the_middle_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
