/* test_client.c: CLIENT and its subcommands over the wire, with four workers and with one.
 * TRACKING and its like have a file of their own, and so has PAUSE. */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_ERROR "-ERR Client names cannot contain spaces, newlines or special characters."
#define SYNTAX "-ERR syntax error"

static struct server *server_of(void **state) { return ((struct fixture *)*state)->server; }
/* A connection of that name, and its id. */
static struct client *connect_named(struct server *s, const char *name, int64_t *id) {
    struct client *c = server_connect(s);
    assert_string_equal(client_ask(c, "CLIENT SETNAME %s", name), "+OK");
    *id = client_ask_int(c, "CLIENT ID");
    return c;
}

/* The names in CLIENT LIST with these filters, separated by spaces. */
static const char *names_listed(struct client *c, const char *filters) {
    static char names[1024];
    struct node *n = client_ask_node(c, "CLIENT LIST %s", filters);
    if (node_is_error(n)) HARNESS_FAIL("CLIENT LIST %s: %s", filters, text_str(&n->bytes));
    names[0] = '\0';
    for (const char *at = strstr(text_str(&n->bytes), " name="); at; at = strstr(at + 1, " name=")) {
        size_t len = strcspn(at + 6, " ");
        if (names[0]) strcat(names, " ");
        strncat(names, at + 6, len);
    }
    node_free(n);
    return names;
}

/* ---- the own connection ---- */

static void a_connection_has_an_id_and_can_have_names(void **state) {
    static const struct exchange rows[] = {
        { "CLIENT GETNAME", "$-1" },
        { "CLIENT SETNAME bob", "+OK" },
        { "CLIENT GETNAME", "$\"bob\"" },
        { "CLIENT SETNAME \"a b\"", NAME_ERROR },
        { "CLIENT SETNAME \"a\\nb\"", NAME_ERROR },
        { "CLIENT SETNAME \"\\xc3\\xa4\"", NAME_ERROR },
        { "CLIENT GETNAME", "$\"bob\"" },
        { "CLIENT SETNAME \"\"", "+OK" },
        { "CLIENT GETNAME", "$-1" },
        { "CLIENT SETINFO LIB-NAME redis-rb", "+OK" },
        { "CLIENT SETINFO lib-ver 5.4.0", "+OK" },
        { "CLIENT INFO", "$\"... lib-name=redis-rb lib-ver=5.4.0 ...\"" },
        { "CLIENT SETINFO LIB-NAME \"a b\"",
          "-ERR LIB-NAME cannot contain spaces, newlines or special characters." },
        { "CLIENT SETINFO FOO x", "-ERR Unrecognized option 'FOO'" },
        { "CLIENT SETINFO LIB-NAME \"\"", "+OK" },
        { "CLIENT INFO", "$\"... lib-name= lib-ver=5.4.0 ...\"" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state), *next = connect_another(state);
    assert_exchanges(c, rows);
    assert_true(client_ask_int(next, "CLIENT ID") > client_ask_int(c, "CLIENT ID"));
    client_close(next);
}

static void switches_show_in_the_flags(void **state) {
    static const struct exchange rows[] = {
        { "CLIENT INFO", "$\"... flags=U capa= ...\"" },
        { "CLIENT NO-EVICT ON", "+OK" },
        { "CLIENT NO-TOUCH on", "+OK" },
        { "CLIENT CAPA foo redirect", "+OK" },
        { "CLIENT INFO", "$\"... flags=UeT capa=r ...\"" },
        { "CLIENT NO-EVICT OFF", "+OK" },
        { "CLIENT NO-TOUCH off", "+OK" },
        { "CLIENT INFO", "$\"... flags=U capa=r ...\"" },
        { "CLIENT NO-EVICT FOO", SYNTAX },
        { "CLIENT NO-TOUCH FOO", SYNTAX },
        { "CLIENT IMPORT-SOURCE ON", "-ERR Server is not in import mode" },
        { "CLIENT IMPORT-SOURCE FOO", "-ERR Server is not in import mode" },
        { "CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP." },
        { "CLIENT", "-ERR wrong number of arguments for 'client' command" },
        { "CLIENT KILL", "-ERR wrong number of arguments for 'client|kill' command" },
        { "CLIENT HELP", "*[+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, ..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void info_is_one_line_about_the_caller(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SELECT 2", "+OK");
    assert_reply(
        c, "CLIENT INFO",
        "$\"id=... addr=/... laddr=/... fd=... name= age=... idle=0 flags=U capa= db=2 sub=0 psub=0 ssub=0 "
        "multi=-1 watch=0 qbuf=... qbuf-free=... argv-mem=... multi-mem=0 rbs=... rbp=... obl=0 oll=0 "
        "omem=0 tot-mem=... events=r cmd=client|info user=default redir=-1 resp=2 lib-name= lib-ver= "
        "tot-net-in=... tot-net-out=... tot-cmds=...\\n\"");
    (void)client_ask(c, "HELLO 3");
    assert_reply(c, "CLIENT INFO", "=\"txt:id=...\"");
}

/* One number of the line of the client with this id. */
static int64_t number_of(struct client *watcher, int64_t id, const char *field) {
    char mark[32];
    struct node *n = client_ask_node(watcher, "CLIENT LIST ID %lld", (long long)id);
    snprintf(mark, sizeof mark, " %s=", field);
    const char *at = strstr(text_str(&n->bytes), mark);
    if (!at) HARNESS_FAIL("no %s in '%s'", field, text_str(&n->bytes));
    int64_t number = atoll(at + strlen(mark));
    node_free(n);
    return number;
}

static void assert_line(struct client *watcher, int64_t id, const char *expected) {
    char command[64];
    snprintf(command, sizeof command, "CLIENT LIST ID %lld", (long long)id);
    assert_reply_soon(watcher, command, expected);
}

static void the_letters_of_flags_have_an_order(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *many = connect_named(server_of(state), "many", &id);
    client_send(many, "HELLO 3");
    node_free(client_read(many));
    assert_reply(many, "CLIENT TRACKING ON BCAST", "+OK");
    assert_reply(many, "CLIENT NO-EVICT ON", "+OK");
    assert_reply(many, "CLIENT NO-TOUCH ON", "+OK");
    assert_reply(many, "SUBSCRIBE x", ">[...");
    assert_reply(many, "WATCH k", "+OK");
    assert_reply(many, "MULTI", "+OK");
    assert_reply(c, "SET k 1", "+OK");
    assert_line(c, id, "$\"... flags=PxtBdUeT capa= ...\"");
    client_close(many);
}

static void held_clients_are_shown_as_blocked_in_what_they_may_not_do(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *held = connect_named(server_of(state), "held", &id);
    assert_reply(held, "GET k", "$-1");
    assert_reply(c, "CLIENT PAUSE 100000 WRITE", "+OK");
    client_send(held, "SET k v");
    assert_line(c, id, "$\"... flags=bU ... cmd=set ... tot-cmds=3\\n\"");
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_next(held, "+OK");
    assert_line(c, id, "$\"... flags=U ... cmd=set ... tot-cmds=4\\n\"");
    client_close(held);
}

static void bytes_count_when_read_and_commands_when_done(void **state) {
    struct client *c = connect_another(state);
    client_send_raw(c, "*2\r\n$6\r\nCLIENT\r\n$4\r\nINFO\r\n");
    assert_next(c, "$\"... argv-mem=10 ... tot-net-in=26 tot-net-out=0 tot-cmds=0\\n\"");
    client_send_raw(c, "*2\r\n$6\r\nCLIENT\r\n$4\r\nINFO\r\n");
    assert_next(c, "$\"... argv-mem=10 ... tot-net-in=52 tot-net-out=... tot-cmds=1\\n\"");
    client_close(c);
}

static void a_waiting_client_holds_its_command(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *waits = connect_named(server_of(state), "waits", &id);
    int64_t before = number_of(c, id, "tot-mem");
    client_send(waits, "BLPOP %0100d 0", 0);
    assert_line(c, id, "$\"... flags=bU ... argv-mem=106 ... cmd=blpop ... tot-cmds=2\\n\"");
    assert_in_range(number_of(c, id, "tot-mem"), before + 106, before + 2000);
    client_queue(c, "LPUSH %0100d x", 0);
    client_flush(c);
    assert_next(c, ":1");
    node_free(client_read(waits));
    assert_line(c, id, "$\"... flags=U ... argv-mem=0 ... tot-cmds=3\\n\"");
    client_close(waits);
}

static void multi_mem_is_the_bytes_of_queued_arguments(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *other = connect_named(server_of(state), "other", &id);
    assert_reply(other, "WATCH a b c", "+OK");
    assert_line(c, id, "$\"... multi=-1 watch=3 ... multi-mem=0 ...\"");
    assert_reply(other, "MULTI", "+OK");
    assert_reply(other, "SET key value", "+QUEUED");
    assert_reply(other, "GET key", "+QUEUED");
    assert_line(c, id, "$\"... multi=2 watch=3 ... multi-mem=17 ...\"");
    assert_reply(other, "CLIENT INFO", "+QUEUED");
    assert_reply(other, "EXEC", "*[+OK, $\"value\", $\"... cmd=exec ...\"]");
    client_close(other);
}

static void a_big_argument_counts_as_it_grows(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *slow = connect_named(server_of(state), "slow", &id);
    char *zeros = calloc(1, 2000000);
    assert_non_null(zeros);
    client_send_raw(slow, "*2\r\n$4\r\nECHO\r\n$3000000\r\n");
    client_queue_raw(slow, zeros, 2000000);
    client_flush(slow);
    for (int tries = 0; number_of(c, id, "tot-mem") < 2000000; tries++) assert_true(tries < 100000);
    assert_true(info_number(c, "memory", "mem_clients_normal") > 2000000);
    assert_true(info_number(c, "memory", "used_memory_overhead") > 2000000);
    free(zeros);
    client_close(slow);
}

/* What a client does not read: the first block of replies, and those behind it. */
static void replies_that_wait_are_shown_block_by_block(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *slow = connect_named(server_of(state), "slow", &id);
    assert_reply(slow, "SETRANGE small 999 x", ":1000");
    assert_int_equal(number_of(c, id, "rbs") + number_of(c, id, "obl") + number_of(c, id, "omem"), 0);
    assert_in_range(number_of(c, id, "rbp"), 1, 16384);
    struct text wire = { 0 };
    for (int i = 0; i < 2000; i++) text_append_str(&wire, "GET small\r\n");
    /* All have run, and then the end of the turn has found the socket full. */
    int64_t all = number_of(c, id, "tot-cmds") + 2000;
    assert_int_equal(send(client_fd(slow), wire.ptr, wire.len, MSG_NOSIGNAL), wire.len);
    text_release(&wire);
    for (int tries = 0; number_of(c, id, "tot-cmds") < all; tries++) assert_true(tries < 100000);
    for (int64_t waits = -1; number_of(c, id, "tot-net-out") != waits;)
        waits = number_of(c, id, "tot-net-out");
    assert_true(number_of(c, id, "oll") > 0);
    assert_in_range(number_of(c, id, "obl"), 1, 16384);
    assert_int_equal(number_of(c, id, "rbs"), 16384);
    assert_int_equal(number_of(c, id, "omem"), number_of(c, id, "oll") * 16384);
    assert_true(number_of(c, id, "tot-mem") > number_of(c, id, "omem"));
    /* Its worker counts it at the end of the turn. */
    assert_soon(info_number(c, "clients", "client_recent_max_output_buffer") >= number_of(c, id, "omem"));
    client_abandon(slow);
}

static void reply_off_and_skip_silence_and_on_answers(void **state) {
    struct client *c = fixture_client(state);
    client_queue(c, "CLIENT REPLY SKIP");
    client_queue(c, "SET k 1");
    client_queue(c, "GET k");
    client_queue(c, "CLIENT REPLY SKIP");
    client_queue(c, "NOSUCH");
    client_queue(c, "CLIENT REPLY SKIP");
    client_queue(c, "CLIENT REPLY SKIP");
    client_queue(c, "PING silent");
    client_queue(c, "PING a");
    client_queue(c, "CLIENT REPLY OFF");
    client_queue(c, "INCR k");
    client_queue(c, "CLIENT REPLY FOO");
    client_queue(c, "CLIENT REPLY SKIP");
    client_queue(c, "PING");
    client_queue(c, "CLIENT REPLY ON");
    client_queue(c, "GET k");
    client_queue(c, "CLIENT REPLY SKIP");
    client_queue(c, "CLIENT REPLY ON");
    client_queue(c, "PING b");
    assert_true(client_flush(c));
    assert_next(c, "$\"1\"");
    assert_next(c, "$\"a\"");
    assert_next(c, "+OK");
    assert_next(c, "$\"2\"");
    assert_next(c, "+OK");
    assert_next(c, "$\"b\"");
    assert_reply(c, "CLIENT REPLY FOO", SYNTAX);
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "CLIENT REPLY OFF", "-ERR Command 'client|reply' not allowed inside a transaction");
}

static void skip_leaves_out_one_answer_in_a_transaction_too(void **state) {
    struct client *c = fixture_client(state);
    client_queue(c, "MULTI");
    client_queue(c, "SET k 1");
    client_queue(c, "EXEC");
    client_queue(c, "CLIENT REPLY SKIP");
    client_queue(c, "MULTI");
    client_queue(c, "GET k");
    client_queue(c, "EXEC");
    assert_true(client_flush(c));
    assert_next(c, "+OK");
    assert_next(c, "+QUEUED");
    assert_next(c, "*[+OK]");
    assert_next(c, "+QUEUED"); /* only MULTI's own answer is left out */
    assert_next(c, "*[$\"1\"]");
}

/* ---- LIST ---- */

static void list_shows_clients_of_all_workers_oldest_first(void **state) {
    int64_t id[3];
    struct client *c = fixture_client(state);
    struct client *others[] = { connect_named(server_of(state), "one", &id[0]),
                                connect_named(server_of(state), "two", &id[1]),
                                connect_named(server_of(state), "three", &id[2]) };
    assert_reply(c, "CLIENT SETNAME me", "+OK");
    assert_string_equal(names_listed(c, ""), "me one two three");
    assert_string_equal(names_listed(others[2], "SKIPME yes"), "me one two");
    client_close(others[1]);
    char list[64];
    snprintf(list, sizeof list, "CLIENT LIST ID %lld", (long long)id[1]);
    assert_reply_soon(c, list, "$\"\"");
    assert_string_equal(names_listed(c, ""), "me one three");
    client_close(others[0]);
    client_close(others[2]);
}

struct filter_case {
    const char *filters, *names;
};

static void filters_choose_clients_and_all_must_fit(void **state) {
    static const struct filter_case cases[] = {
        { "NAME one", "one" },
        { "NOT-NAME one", "me two" },
        { "NAME none", "" },
        { "DB 3", "one" },
        { "not-db 3", "me two" },
        { "LIB-NAME lib", "two" },
        { "NOT-LIB-NAME lib", "me one" },
        { "LIB-VER 1.2", "two" },
        { "NOT-LIB-VER 1.2", "me one" },
        { "CAPA r", "one" },
        { "NOT-CAPA r", "me two" },
        { "FLAGS xU", "two" },
        { "FLAGS U", "me one two" },
        { "NOT-FLAGS x", "me one" },
        { "FLAGS N", "" },
        { "TYPE normal", "me one two" },
        { "TYPE PUBSUB", "" },
        { "TYPE replica", "" },
        { "TYPE slave", "" },
        { "TYPE master", "" },
        { "TYPE primary", "" },
        { "NOT-TYPE pubsub", "me one two" },
        { "USER default", "me one two" },
        { "NOT-USER default", "" },
        { "IP 127.0.0.1", "" },
        { "NOT-IP 127.0.0.1", "me one two" },
        { "ADDR 1.2.3.4:5", "" },
        { "NOT-ADDR 1.2.3.4:5", "me one two" },
        { "LADDR 1.2.3.4:5", "" },
        { "MAXAGE 100000", "" },
        { "IDLE 100000", "" },
        { "SKIPME yes", "one two" },
        { "SKIPME no", "me one two" },
        { "SKIPME yes NOT-NAME two", "one" },
        { "NAME one DB 3 LIB-NAME lib", "" },
        { "NAME one NAME two", "two" },
    };
    int64_t id[2];
    char text[128];
    struct client *c = fixture_client(state);
    struct client *one = connect_named(server_of(state), "one", &id[0]);
    struct client *two = connect_named(server_of(state), "two", &id[1]);
    assert_reply(c, "CLIENT SETNAME me", "+OK");
    assert_reply(one, "SELECT 3", "+OK");
    assert_reply(one, "CLIENT CAPA redirect", "+OK");
    assert_reply(two, "CLIENT SETINFO LIB-NAME lib", "+OK");
    assert_reply(two, "CLIENT SETINFO LIB-VER 1.2", "+OK");
    assert_reply(two, "MULTI", "+OK");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *names = names_listed(c, cases[i].filters);
        if (strcmp(names, cases[i].names) != 0)
            HARNESS_FAIL("CLIENT LIST %s showed '%s', not '%s'", cases[i].filters, names, cases[i].names);
    }
    snprintf(text, sizeof text, "ID %lld 999999 %lld", (long long)id[1], (long long)id[0]);
    assert_string_equal(names_listed(c, text), "one two");
    snprintf(text, sizeof text, "ID %lld NOT-DB 3 ID %lld", (long long)id[1], (long long)id[0]);
    assert_string_equal(names_listed(c, text), "two");
    snprintf(text, sizeof text, "NOT-ID %lld", (long long)id[0]);
    assert_string_equal(names_listed(c, text), "me two");
    snprintf(text, sizeof text, "CLIENT LIST ID %lld MAXAGE 1", (long long)id[0]);
    assert_reply_soon(c, text, "$\"id=...");
    snprintf(text, sizeof text, "CLIENT LIST ID %lld IDLE 1", (long long)id[0]);
    assert_reply_soon(c, text, "$\"id=...");
    client_close(one);
    client_close(two);
}

static void wrong_filters_are_named(void **state) {
    static const struct exchange rows[] = {
        { "CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'" },
        { "CLIENT LIST ID a", SYNTAX },
        { "CLIENT LIST ID", SYNTAX },
        { "CLIENT LIST ID 0", "-ERR client-id should be greater than 0" },
        { "CLIENT LIST NOT-ID -1", "-ERR client-id should be greater than 0" },
        { "CLIENT LIST FOO", SYNTAX },
        { "CLIENT LIST FOO bar", SYNTAX },
        { "CLIENT LIST NAME", SYNTAX },
        { "CLIENT LIST USER nosuch", "-ERR No such user 'nosuch'" },
        { "CLIENT LIST SKIPME maybe", SYNTAX },
        { "CLIENT LIST NOT-SKIPME yes", SYNTAX },
        { "CLIENT LIST NOT-MAXAGE 1", SYNTAX },
        { "CLIENT LIST NOT-IDLE 1", SYNTAX },
        { "CLIENT LIST MAXAGE a", "-ERR maxage is not an integer or out of range" },
        { "CLIENT LIST MAXAGE 0", "-ERR maxage should be greater than 0" },
        { "CLIENT LIST IDLE a", "-ERR idle is not an integer or out of range" },
        { "CLIENT LIST IDLE -1", "-ERR idle should be greater than 0" },
        { "CLIENT LIST DB a", "-ERR DB is not an integer or out of range" },
        { "CLIENT LIST DB 16", "-ERR DB number should be between 0 and 15" },
        { "CLIENT LIST FLAGS xZ", "-ERR Unknown flags found in the provided filter: xZ" },
        { "CLIENT LIST CAPA q", "-ERR Unknown capa found in the provided filter: q" },
        { "CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'" },
        { "CLIENT KILL ID a", SYNTAX },
        { "CLIENT KILL USER nosuch", "-ERR No such user 'nosuch'" },
        { "CLIENT KILL ADDR", "-ERR No such client" },
        { "CLIENT KILL 1.2.3.4:5", "-ERR No such client" },
        { "CLIENT KILL ID 999999", ":0" },
        { "CLIENT KILL ID 0", "-ERR client-id should be greater than 0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- KILL ---- */

static void a_killed_client_is_gone_at_once(void **state) {
    struct client *c = fixture_client(state);
    for (int i = 0; i < 8; i++) { /* on every worker */
        int64_t id;
        struct client *victim = connect_named(server_of(state), "victim", &id);
        assert_int_equal(client_ask_int(c, "CLIENT KILL ID %lld", (long long)id), 1);
        assert_string_equal(names_listed(c, "NAME victim"), "");
        assert_int_equal(client_ask_int(c, "CLIENT KILL ID %lld", (long long)id), 0);
        assert_ended(victim);
        client_close(victim);
    }
}

static void kill_counts_all_that_fit_but_the_caller(void **state) {
    struct client *c = fixture_client(state), *victims[5];
    int64_t id;
    assert_reply(c, "CLIENT SETNAME victim", "+OK");
    for (int i = 0; i < 5; i++) victims[i] = connect_named(server_of(state), "victim", &id);
    assert_reply(c, "CLIENT KILL NAME victim NOT-DB 0", ":0");
    assert_reply(c, "CLIENT KILL NAME victim", ":5");
    for (int i = 0; i < 5; i++) {
        assert_ended(victims[i]);
        client_close(victims[i]);
    }
    assert_reply(c, "PING", "+PONG");
}

static void a_client_that_kills_itself_gets_its_reply_and_runs_nothing_more(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    long long id = client_ask_int(c, "CLIENT ID");
    client_queue(c, "SET k before");
    client_queue(c, "CLIENT KILL ID %lld SKIPME no", id);
    client_queue(c, "SET k after");
    assert_true(client_flush(c));
    assert_next(c, "+OK");
    assert_next(c, ":1");
    assert_ended(c);
    assert_reply(other, "GET k", "$\"before\"");
    client_close(other);
}

static void kill_by_address_knows_both_forms(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .tcp = true });
    struct client *c = server_connect(s), *old = server_connect_tcp(s), *new = server_connect_tcp(s);
    char address[64], wanted[256];
    assert_reply(new, "PING", "+PONG"); /* now the server has taken it in */
    struct node *info = client_ask_node(old, "CLIENT INFO");
    const char *at = strstr(text_str(&info->bytes), " addr=") + 6;
    snprintf(address, sizeof address, "%.*s", (int)strcspn(at, " "), at);
    node_free(info);
    snprintf(wanted, sizeof wanted, "$\"id=... addr=%s laddr=127.0.0.1:%d ... flags=N ...\"", address,
             server_port(s));
    char list[128];
    snprintf(list, sizeof list, "CLIENT LIST ADDR %s IP 127.0.0.1 FLAGS N", address);
    assert_reply(c, list, wanted);
    assert_string_equal(client_ask(c, "CLIENT KILL %s", address), "+OK");
    assert_ended(old);
    assert_string_equal(client_ask(c, "CLIENT KILL %s", address), "-ERR No such client");
    assert_int_equal(client_ask_int(c, "CLIENT KILL LADDR 127.0.0.1:%d", server_port(s)), 1);
    assert_ended(new);
    client_close(old);
    client_close(new);
    client_close(c);
    server_free(s);
}

/* The victim has a long pipeline under way when it is killed: once the reply is there, none of it runs. */
static void after_the_reply_to_kill_the_victim_runs_no_command(void **state) {
    enum { ROUNDS = 40, COMMANDS = 4000 };
    static const char incr[] = "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n";
    struct client *c = fixture_client(state);
    struct text pipeline = { 0 };
    for (int i = 0; i < COMMANDS; i++) text_append_str(&pipeline, incr);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t id;
        struct client *victim = connect_named(server_of(state), "victim", &id);
        ssize_t sent = write(client_fd(victim), pipeline.ptr, pipeline.len);
        assert_true(sent > 0);
        client_queue(c, "MULTI");
        client_queue(c, "CLIENT KILL ID %lld", (long long)id);
        client_queue(c, "SET n 0");
        client_queue(c, "EXEC");
        assert_true(client_flush(c));
        client_skip(c, 3);
        assert_next(c, "*[:1, +OK]");
        for (int look = 0; look < 3; look++) assert_reply(c, "GET n", "$\"0\"");
        client_close(victim);
    }
    text_release(&pipeline);
}

/* ---- UNBLOCK ---- */

static void unblock_ends_a_wait_as_a_timeout_or_an_error(void **state) {
    static const struct exchange cases[] = {
        { "", ":0" },
        { "TIMEOUT", ":0" },
        { "error", "-UNBLOCKED client unblocked via CLIENT UNBLOCK" },
    };
    struct client *c = fixture_client(state);
    for (int i = 0; i < 12; i++) {
        int64_t id;
        struct client *waiter = connect_named(server_of(state), "waiter", &id);
        char unblock[64];
        snprintf(unblock, sizeof unblock, "CLIENT UNBLOCK %lld %s", (long long)id, cases[i % 3].command);
        assert_reply(c, unblock, ":0");
        client_queue(waiter, "WAIT 1 0");
        client_queue(waiter, "PING");
        assert_true(client_flush(waiter));
        assert_reply_soon(c, unblock, ":1");
        assert_next(waiter, cases[i % 3].reply);
        assert_next(waiter, "+PONG");
        client_close(waiter);
    }
}

static void two_unblocks_of_one_wait_do_not_both_succeed(void **state) {
    int64_t id;
    struct client *c = fixture_client(state), *waiter = connect_named(server_of(state), "waiter", &id);
    char unblock[64], list[64];
    snprintf(unblock, sizeof unblock, "CLIENT UNBLOCK %lld", (long long)id);
    snprintf(list, sizeof list, "CLIENT LIST ID %lld FLAGS b", (long long)id);
    client_send(waiter, "WAIT 1 0");
    assert_reply_soon(c, list, "$\"id=...");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, unblock, "+QUEUED");
    assert_reply(c, unblock, "+QUEUED");
    assert_reply(c, "EXEC", "*[:1, :0]");
    assert_next(waiter, ":0");
    client_close(waiter);
}

static void unblock_refuses_what_it_does_not_know(void **state) {
    static const struct exchange rows[] = {
        { "CLIENT UNBLOCK 999999", ":0" },
        { "CLIENT UNBLOCK a", "-ERR value is not an integer or out of range" },
        { "CLIENT UNBLOCK 1 ERROR x",
          "-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP." },
        { "CLIENT UNBLOCK 1 FOO", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_connection_has_an_id_and_can_have_names),
        FIXTURE_TEST(switches_show_in_the_flags),
        FIXTURE_TEST(info_is_one_line_about_the_caller),
        FIXTURE_TEST(the_letters_of_flags_have_an_order),
        FIXTURE_TEST(held_clients_are_shown_as_blocked_in_what_they_may_not_do),
        FIXTURE_TEST(bytes_count_when_read_and_commands_when_done),
        FIXTURE_TEST(a_waiting_client_holds_its_command),
        FIXTURE_TEST(multi_mem_is_the_bytes_of_queued_arguments),
        FIXTURE_TEST(a_big_argument_counts_as_it_grows),
        FIXTURE_TEST(replies_that_wait_are_shown_block_by_block),
        FIXTURE_TEST(reply_off_and_skip_silence_and_on_answers),
        FIXTURE_TEST(skip_leaves_out_one_answer_in_a_transaction_too),
        FIXTURE_TEST(list_shows_clients_of_all_workers_oldest_first),
        FIXTURE_TEST(filters_choose_clients_and_all_must_fit),
        FIXTURE_TEST(wrong_filters_are_named),
        FIXTURE_TEST(a_killed_client_is_gone_at_once),
        FIXTURE_TEST(kill_counts_all_that_fit_but_the_caller),
        FIXTURE_TEST(a_client_that_kills_itself_gets_its_reply_and_runs_nothing_more),
        FIXTURE_TEST(kill_by_address_knows_both_forms),
        FIXTURE_TEST(after_the_reply_to_kill_the_victim_runs_no_command),
        FIXTURE_TEST(unblock_ends_a_wait_as_a_timeout_or_an_error),
        FIXTURE_TEST(two_unblocks_of_one_wait_do_not_both_succeed),
        FIXTURE_TEST(unblock_refuses_what_it_does_not_know),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
