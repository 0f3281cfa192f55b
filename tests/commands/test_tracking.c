/* test_tracking.c: client-side caching over the wire: who is told that a key changed, once, and in which
 * form.
 *
 * Connections go to different workers. A PING to the reader shows that nothing more came: what a write caused
 * is on its way before the write is answered. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>

#define INVALID(keys) ">[$\"invalidate\", *[" keys "]]"
#define TOLD(keys) "*[$\"message\", $\"__redis__:invalidate\", *[" keys "]]"
#define SWITCH_MODE \
    "before disabling tracking for this client, and then re-enabling it with a different mode."

static struct client *connect_to(void **state) { return connect_another(state); }

static struct client *reader_with(void **state, const char *options) {
    struct client *c = connect_to(state);
    char command[256];
    snprintf(command, sizeof command, "CLIENT TRACKING ON %s", options);
    assert_reply(c, "HELLO 3", "%{...}");
    assert_reply(c, command, "+OK");
    return c;
}

static void assert_quiet(struct client *c) { assert_reply(c, "PING quiet", "$\"quiet\""); }

/* A notice to a redirected client takes two steps between workers, so that a PING may overtake it; something
 * that is told for certain, by the same way, shows the same. */
static void assert_flag_soon(struct client *c, const char *flag) {
    char expected[128];
    snprintf(expected, sizeof expected, "...$\"%s\"...", flag);
    assert_reply_soon(c, "CLIENT TRACKINGINFO", expected);
}

/* ---- the default mode ---- */

static void a_reader_is_told_once_for_each_key_it_read(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "");
    assert_reply(c, "GET a", "_");
    assert_reply(c, "MGET b c", "*[_, _]");
    assert_reply(writer, "SET a 1", "+OK");
    assert_next(c, INVALID("$\"a\""));
    assert_reply(writer, "SET a 2", "+OK");
    assert_reply(writer, "SET unread 2", "+OK");
    assert_quiet(c);
    assert_reply(writer, "MSET b 1 c 1", "+OK");
    assert_next(c, INVALID("$\"b\""));
    assert_next(c, INVALID("$\"c\""));
    assert_reply(c, "GET a", "$\"2\"");
    assert_reply(writer, "DEL a", ":1");
    assert_next(c, INVALID("$\"a\""));
    assert_quiet(c);
    client_close(c);
}

static void all_readers_of_a_key_are_told(void **state) {
    enum { READERS = 20 };
    struct client *writer = fixture_client(state), *readers[READERS];
    for (int i = 0; i < READERS; i++) {
        readers[i] = reader_with(state, "");
        assert_reply(readers[i], "GET a", "_");
        assert_reply(readers[i], "GET a", "_");
    }
    assert_reply(writer, "SET a 1", "+OK");
    for (int i = 0; i < READERS; i++) assert_next(readers[i], INVALID("$\"a\""));
    for (int i = 0; i < READERS; i++) assert_quiet(readers[i]);
    for (int i = 0; i < READERS; i++) client_close(readers[i]);
}

static void its_own_write_is_told_after_the_reply(void **state) {
    struct client *c = reader_with(state, "");
    assert_reply(c, "GET a", "_");
    assert_reply(c, "SET a 1", "+OK");
    assert_next(c, INVALID("$\"a\""));
    client_close(c);
}

static void noloop_leaves_out_its_own_writes(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "NOLOOP");
    assert_reply(c, "GET a", "_");
    assert_reply(c, "SET a 1", "+OK");
    assert_quiet(c);
    assert_reply(c, "GET a", "$\"1\"");
    assert_reply(writer, "SET a 2", "+OK");
    assert_next(c, INVALID("$\"a\""));
    client_close(c);
}

static void only_reads_are_remembered(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "");
    assert_reply(c, "SET a 1", "+OK");
    assert_reply(c, "INCR n", ":1");
    assert_reply(writer, "SET a 2", "+OK");
    assert_reply(writer, "SET n 2", "+OK");
    assert_quiet(c);
    client_close(c);
}

static void reads_in_a_transaction_are_remembered(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "GET a", "+QUEUED");
    assert_reply(c, "EXEC", "*[_]");
    assert_reply(writer, "SET a 1", "+OK");
    assert_next(c, INVALID("$\"a\""));
    client_close(c);
}

static void expired_keys_are_told(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "");
    /* The read must come before the end of the key: a longer life is tried until it does. */
    bool read_in_time = false;
    for (int life_ms = 4; !read_in_time; life_ms *= 2) {
        assert_string_equal(client_ask(writer, "SET a 1 PX %d", life_ms), "+OK");
        client_send(c, "GET a");
        const char *got = client_read_text(c);
        while (got[0] == '>') got = client_read_text(c); /* the SET that replaced an earlier one */
        read_in_time = strcmp(got, "_") != 0;
    }
    assert_next(c, INVALID("$\"a\""));
    assert_reply(c, "GET a", "_");
    client_close(c);
}

static void flushing_makes_everything_invalid(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, ""),
                  *wide = reader_with(state, "BCAST");
    assert_reply(c, "GET a", "_");
    assert_reply(writer, "FLUSHALL", "+OK");
    assert_next(c, ">[$\"invalidate\", _]");
    assert_next(wide, ">[$\"invalidate\", _]");
    assert_reply(writer, "SET a 1", "+OK");
    assert_quiet(c);
    client_close(c);
    client_close(wide);
}

static void off_ends_it(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "");
    assert_reply(c, "GET a", "_");
    assert_reply(c, "CLIENT TRACKING OFF", "+OK");
    assert_reply(writer, "SET a 1", "+OK");
    assert_quiet(c);
    assert_reply(c, "CLIENT TRACKING OFF", "+OK");
    client_close(c);
}

static void a_reader_that_went_does_no_harm(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, ""),
                  *stays = reader_with(state, "");
    assert_reply(c, "GET a", "_");
    assert_reply(stays, "GET a", "_");
    client_abandon(c);
    assert_reply(writer, "SET a 1", "+OK");
    assert_next(stays, INVALID("$\"a\""));
    client_close(stays);
}

/* ---- CACHING ---- */

static void optin_remembers_only_after_caching_yes(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "OPTIN");
    assert_reply(c, "GET a", "_");
    assert_reply(c, "CLIENT CACHING YES", "+OK");
    assert_reply(c, "GET b", "_");
    assert_reply(c, "GET c", "_");
    assert_reply(writer, "MSET a 1 b 1 c 1", "+OK");
    assert_next(c, INVALID("$\"b\""));
    assert_quiet(c);
    client_close(c);
}

static void optout_forgets_only_after_caching_no(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "OPTOUT");
    assert_reply(c, "GET a", "_");
    assert_reply(c, "CLIENT CACHING NO", "+OK");
    assert_reply(c, "GET b", "_");
    assert_reply(writer, "MSET b 1 a 1", "+OK");
    assert_next(c, INVALID("$\"a\""));
    assert_quiet(c);
    client_close(c);
}

static void caching_counts_for_a_whole_transaction(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "OPTIN");
    assert_reply(c, "CLIENT CACHING YES", "+OK");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "GET a", "+QUEUED");
    assert_reply(c, "GET b", "+QUEUED");
    assert_reply(c, "EXEC", "*[_, _]");
    assert_reply(c, "GET c", "_");
    assert_reply(writer, "MSET a 1 b 1 c 1", "+OK");
    assert_next(c, INVALID("$\"a\""));
    assert_next(c, INVALID("$\"b\""));
    assert_quiet(c);
    client_close(c);
}

/* ---- BCAST ---- */

static void broadcast_tells_of_prefixes_without_reading(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "BCAST PREFIX user: PREFIX item:");
    assert_reply(writer, "MSET user:1 a item:2 b other:3 c", "+OK");
    assert_next(c, INVALID("$\"user:1\""));
    assert_next(c, INVALID("$\"item:2\""));
    assert_reply(writer, "SET user:1 b", "+OK");
    assert_next(c, INVALID("$\"user:1\""));
    assert_reply(c, "GET other:3", "$\"c\"");
    assert_reply(writer, "SET other:3 d", "+OK");
    assert_quiet(c);
    client_close(c);
    struct client *all = reader_with(state, "BCAST NOLOOP");
    assert_reply(writer, "SET other:3 e", "+OK");
    assert_next(all, INVALID("$\"other:3\""));
    assert_reply(all, "SET other:3 f", "+OK");
    assert_quiet(all);
    client_close(all);
}

/* The next message must name just these keys, in any order. */
static void assert_told(struct client *c, const char *expected) {
    struct node *n = client_read(c);
    struct text got = { 0 };
    struct node *keys = n->items[n->count - 1];
    node_sort(keys);
    node_describe(keys, &got);
    if (strcmp(text_str(&got), expected) != 0) fail_msg("%s, not %s", text_str(&got), expected);
    text_release(&got);
    node_free(n);
}

static void a_broadcast_tells_of_all_that_changed_in_a_turn(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "BCAST"),
                  *prefixes = reader_with(state, "BCAST PREFIX a: PREFIX b:");
    assert_reply(writer, "MSET a 1 b 2 c 3", "+OK");
    assert_told(c, "*[$\"a\", $\"b\", $\"c\"]");
    assert_reply(writer, "MULTI", "+OK");
    client_queue(writer, "INCR a:1");
    client_queue(writer, "INCR a:2");
    client_queue(writer, "INCR a:1");
    client_queue(writer, "INCR b:1");
    client_queue(writer, "INCR c:1");
    client_send(writer, "EXEC");
    client_skip(writer, 6);
    assert_told(c, "*[$\"a:1\", $\"a:2\", $\"b:1\", $\"c:1\"]");
    assert_told(prefixes, "*[$\"a:1\", $\"a:2\"]");
    assert_told(prefixes, "*[$\"b:1\"]");
    assert_quiet(c);
    assert_quiet(prefixes);
    client_close(c);
    client_close(prefixes);
}

static void a_broadcast_comes_after_the_replies(void **state) {
    struct client *c = reader_with(state, "BCAST");
    client_queue(c, "SET a 1");
    client_queue(c, "SET b 1");
    client_send(c, "SET a 2");
    for (int i = 0; i < 3; i++) assert_next(c, "+OK");
    assert_told(c, "*[$\"a\", $\"b\"]");
    assert_quiet(c);
    client_close(c);
}

static void noloop_leaves_its_own_keys_out_of_a_broadcast(void **state) {
    struct client *c = reader_with(state, "BCAST NOLOOP"), *other = reader_with(state, "BCAST NOLOOP");
    assert_reply(c, "MSET a 1 b 1", "+OK");
    assert_told(other, "*[$\"a\", $\"b\"]");
    assert_quiet(c);
    assert_reply(other, "SET a 2", "+OK");
    assert_told(c, "*[$\"a\"]");
    assert_quiet(other);
    client_close(c);
    client_close(other);
}

/* ---- REDIRECT ---- */

static long long id_of(struct client *c) { return (long long)client_ask_int(c, "CLIENT ID"); }

static void a_resp2_subscriber_gets_messages(void **state) {
    struct client *c = fixture_client(state), *target = connect_to(state), *writer = connect_to(state);
    long long id = id_of(target);
    assert_string_equal(client_ask(c, "CLIENT TRACKING ON REDIRECT %lld", id), "+OK");
    assert_int_equal(client_ask_int(c, "CLIENT GETREDIR"), id);
    assert_reply(target, "SUBSCRIBE __redis__:invalidate", "*[...]");
    assert_reply(c, "GET a", "$-1");
    assert_reply(writer, "SET a 1", "+OK");
    assert_next(target, TOLD("$\"a\""));
    assert_reply(writer, "FLUSHALL", "+OK");
    assert_next(target, "*[$\"message\", $\"__redis__:invalidate\", $-1]");
    assert_reply(c, "PING", "+PONG");
    client_close(target);
    client_close(writer);
}

static void a_resp3_target_gets_pushes(void **state) {
    struct client *c = fixture_client(state), *target = connect_to(state), *writer = connect_to(state);
    assert_reply(target, "HELLO 3", "%{...}");
    assert_string_equal(client_ask(c, "CLIENT TRACKING ON BCAST REDIRECT %lld", id_of(target)), "+OK");
    assert_reply(writer, "SET a 1", "+OK");
    assert_next(target, INVALID("$\"a\""));
    client_close(target);
    client_close(writer);
}

static void a_broken_redirect_is_reported(void **state) {
    struct client *writer = fixture_client(state), *target = connect_to(state), *c = connect_to(state);
    long long id = id_of(target);
    char expected[96];
    snprintf(expected, sizeof expected, ">[$\"tracking-redir-broken\", :%lld]", id);
    assert_reply(c, "HELLO 3", "%{...}");
    assert_string_equal(client_ask(c, "CLIENT TRACKING ON REDIRECT %lld", id), "+OK");
    assert_reply(c, "GET a", "_");
    assert_reply(target, "QUIT", "+OK");
    assert_ended(target);
    client_close(target);
    assert_reply(writer, "SET a 1", "+OK");
    assert_next(c, expected);
    assert_flag_soon(c, "broken_redirect");
    assert_reply(c, "CLIENT TRACKING ON", "+OK");
    assert_reply(c, "CLIENT TRACKINGINFO",
                 "%{$\"flags\": ~[$\"on\"], $\"redirect\": :0, $\"prefixes\": *[]}");
    client_close(c);
}

static void resp2_without_redirect_is_told_nothing(void **state) {
    struct client *c = fixture_client(state), *writer = connect_to(state);
    assert_reply(c, "CLIENT TRACKING ON", "+OK");
    assert_reply(c, "GET a", "$-1");
    assert_reply(writer, "SET a 1", "+OK");
    assert_reply(c, "PING", "+PONG");
    client_close(writer);
}

/* ---- options ---- */

static void options_are_checked(void **state) {
    static const struct exchange rows[] = {
        { "CLIENT CACHING YES",
          "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
          "OPTOUT mode enabled" },
        { "CLIENT TRACKING FOO", "-ERR syntax error" },
        { "CLIENT TRACKING ON FOO", "-ERR syntax error" },
        { "CLIENT TRACKING ON PREFIX", "-ERR syntax error" },
        { "CLIENT TRACKING OFF REDIRECT", "-ERR syntax error" },
        { "CLIENT TRACKING ON PREFIX a", "-ERR PREFIX option requires BCAST mode to be enabled" },
        { "CLIENT TRACKING ON OPTIN OPTOUT", "-ERR You can't specify both OPTIN mode and OPTOUT mode" },
        { "CLIENT TRACKING ON BCAST OPTIN", "-ERR OPTIN and OPTOUT are not compatible with BCAST" },
        { "CLIENT TRACKING ON REDIRECT 999999", "-ERR The client ID you want redirect to does not exist" },
        { "CLIENT TRACKING ON REDIRECT x", "-ERR value is not an integer or out of range" },
        { "CLIENT TRACKING ON BCAST PREFIX a PREFIX ab",
          "-ERR Prefix 'a' overlaps with another provided prefix 'ab'. "
          "Prefixes for a single client must not overlap." },
        { "CLIENT TRACKINGINFO", "*[$\"flags\", *[$\"off\"], $\"redirect\", :-1, $\"prefixes\", *[]]" },
        { "CLIENT GETREDIR", ":-1" },
        { "CLIENT TRACKING ON", "+OK" },
        { "CLIENT CACHING FOO", "-ERR syntax error" },
        { "CLIENT CACHING YES",
          "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode." },
        { "CLIENT CACHING NO",
          "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode." },
        { "CLIENT TRACKING ON BCAST", "-ERR You can't switch BCAST mode on/off " SWITCH_MODE },
        { "CLIENT TRACKING ON OPTIN", "+OK" },
        { "CLIENT TRACKING ON OPTOUT", "-ERR You can't switch OPTIN/OPTOUT mode " SWITCH_MODE },
        { "CLIENT CACHING YES", "+OK" },
        { "CLIENT TRACKINGINFO",
          "*[$\"flags\", *[$\"on\", $\"optin\", $\"caching-yes\"], $\"redirect\", :0, $\"prefixes\", *[]]" },
        { "PING", "+PONG" },
        { "CLIENT TRACKINGINFO",
          "*[$\"flags\", *[$\"on\", $\"optin\"], $\"redirect\", :0, $\"prefixes\", *[]]" },
        { "CLIENT TRACKING OFF", "+OK" },
        { "CLIENT TRACKING ON BCAST PREFIX y PREFIX x NOLOOP", "+OK" },
        { "CLIENT TRACKING ON BCAST PREFIX xx", "-ERR Prefix 'xx' overlaps with an existing prefix 'x'. "
                                                "Prefixes for a single client must not overlap." },
        { "CLIENT TRACKING ON BCAST PREFIX z", "+OK" },
        { "CLIENT TRACKINGINFO", "*[$\"flags\", *[$\"on\", $\"bcast\"], $\"redirect\", :0, $\"prefixes\", "
                                 "*[$\"x\", $\"y\", $\"z\"]]" },
        { "RESET", "+RESET" },
        { "CLIENT TRACKINGINFO", "*[$\"flags\", *[$\"off\"], $\"redirect\", :-1, $\"prefixes\", *[]]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void what_leaves_a_full_table_is_told_before_the_next_reply(void **state) {
    struct client *writer = fixture_client(state), *c = reader_with(state, "");
    assert_reply(c, "MGET 1 2", "*[_, _]");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(writer, "CONFIG SET tracking-table-max-keys 1", "+OK");
    client_queue(c, "PING");
    client_send(c, "EXEC");
    assert_next(c, INVALID("..."));
    assert_next(c, "+QUEUED");
    assert_next(c, "*[+PONG]");
    client_queue(c, "GET 3");
    client_send(c, "PING");
    assert_next(c, "_");
    assert_next(c, INVALID("..."));
    assert_next(c, "+PONG");
    assert_reply(writer, "CONFIG SET tracking-table-max-keys 1000000", "+OK");
    client_close(c);
}

static void evicted_keys_are_told_before_the_reply_that_needed_the_room(void **state) {
    struct client *c = reader_with(state, "");
    char limit[64];
    assert_reply(c, "SETEX vk 10000 x", "+OK");
    assert_reply(c, "GET vk", "$\"x\"");
    assert_reply(c, "CONFIG SET maxmemory-policy volatile-random", "+OK");
    snprintf(limit, sizeof limit, "CONFIG SET maxmemory %lld",
             (long long)info_number(c, "memory", "used_memory") + 100000);
    assert_reply(c, limit, "+OK");
    assert_reply(c, "SETBIT big 16000000 0", ":0");
    assert_reply(c, "GETBIT big 0", INVALID("$\"vk\""));
    assert_next(c, ":0");
    assert_reply(c, "CONFIG SET maxmemory 0 maxmemory-policy noeviction", "+OK");
    client_close(c);
}

static void the_table_is_kept_under_its_limit(void **state) {
    enum { LIMIT = 10, KEYS = 50 };
    (void)state;
    struct server *server = server_start("--tracking-table-max-keys", "10", NULL);
    struct client *c = server_connect(server);
    assert_reply(c, "HELLO 3", "%{...}");
    assert_reply(c, "CLIENT TRACKING ON", "+OK");
    int told = 0;
    for (int i = 0; i < KEYS; i++) {
        client_send(c, "GET key:%d", i);
        struct node *n = client_read(c);
        for (; n->kind == '>'; n = client_read(c), told++) node_free(n);
        node_free(n);
    }
    /* The others were forgotten, and the reader was told of each. */
    while (told < KEYS - LIMIT) {
        assert_next(c, INVALID("$\"key:...\""));
        told++;
    }
    assert_quiet(c);
    client_close(c);
    server_free(server);
}

/* As with LMOVE done at once; what the one who pushes invalidates comes before. */
static void a_served_command_is_answered_before_what_it_invalidated(void **state) {
    struct client *c = fixture_client(state);
    struct client *h = connect_another(state);
    assert_reply(c, "RPUSH l2 a", ":1");
    assert_reply(h, "HELLO 3", "%{...}");
    assert_reply(h, "CLIENT TRACKING ON", "+OK");
    assert_reply(h, "LRANGE l2 0 -1", "*[$\"a\"]");
    client_send(h, "BLMOVE l1 l2 LEFT LEFT 0");
    assert_reply_soon(c, "INFO clients", "$\"...blocked_clients:1...");
    assert_reply(c, "RPUSH l1 foo", ":1");
    assert_next(h, "$\"foo\"");
    assert_next(h, ">[$\"invalidate\", *[$\"l2\"]]");
    client_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_reader_is_told_once_for_each_key_it_read),
        FIXTURE_TEST(all_readers_of_a_key_are_told),
        FIXTURE_TEST(its_own_write_is_told_after_the_reply),
        FIXTURE_TEST(noloop_leaves_out_its_own_writes),
        FIXTURE_TEST(only_reads_are_remembered),
        FIXTURE_TEST(reads_in_a_transaction_are_remembered),
        FIXTURE_TEST(expired_keys_are_told),
        FIXTURE_TEST(flushing_makes_everything_invalid),
        FIXTURE_TEST(off_ends_it),
        FIXTURE_TEST(a_reader_that_went_does_no_harm),
        FIXTURE_TEST(optin_remembers_only_after_caching_yes),
        FIXTURE_TEST(optout_forgets_only_after_caching_no),
        FIXTURE_TEST(caching_counts_for_a_whole_transaction),
        FIXTURE_TEST(broadcast_tells_of_prefixes_without_reading),
        FIXTURE_TEST(a_broadcast_tells_of_all_that_changed_in_a_turn),
        FIXTURE_TEST(a_broadcast_comes_after_the_replies),
        FIXTURE_TEST(noloop_leaves_its_own_keys_out_of_a_broadcast),
        FIXTURE_TEST(a_resp2_subscriber_gets_messages),
        FIXTURE_TEST(a_resp3_target_gets_pushes),
        FIXTURE_TEST(a_broken_redirect_is_reported),
        FIXTURE_TEST(resp2_without_redirect_is_told_nothing),
        FIXTURE_TEST(options_are_checked),
        FIXTURE_TEST(what_leaves_a_full_table_is_told_before_the_next_reply),
        FIXTURE_TEST(evicted_keys_are_told_before_the_reply_that_needed_the_room),
        FIXTURE_TEST(the_table_is_kept_under_its_limit),
        FIXTURE_TEST(a_served_command_is_answered_before_what_it_invalidated),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
