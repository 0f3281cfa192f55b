/* test_pubsub.c: channels, patterns and sharded channels over the wire: confirmations, delivery, counting,
 * order.
 *
 * Connections go to different workers, so nearly every message here crosses threads. After a PUBLISH was
 * answered its messages are on their way to each receiver, before anything that receiver asks later: a PING
 * shows that nothing more came. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>

static struct client *connect_to(void **state) { return server_connect(((struct fixture *)*state)->server); }

static struct client *connect_resp3(void **state) {
    struct client *c = connect_to(state);
    assert_reply(c, "HELLO 3", "%{...}");
    return c;
}

/* Nothing came that was not read yet. */
static void assert_quiet(struct client *c) { assert_reply(c, "PING quiet", "*[$\"pong\", $\"quiet\"]"); }

/* ---- confirmations ---- */

static void each_subscription_is_confirmed_with_its_count(void **state) {
    static const struct exchange rows[] = {
        { "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]" },
        { "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]" },
        { "PSUBSCRIBE p*", "*[$\"psubscribe\", $\"p*\", :2]" },
        { "SSUBSCRIBE s", "*[$\"ssubscribe\", $\"s\", :1]" },
        { "UNSUBSCRIBE none", "*[$\"unsubscribe\", $\"none\", :2]" },
        { "UNSUBSCRIBE a", "*[$\"unsubscribe\", $\"a\", :1]" },
        { "PUNSUBSCRIBE", "*[$\"punsubscribe\", $\"p*\", :0]" },
        { "GET k", "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / ..." },
        { "SUNSUBSCRIBE", "*[$\"sunsubscribe\", $\"s\", :0]" },
        { "GET k", "$-1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void leaving_nothing_is_answered_with_one_null(void **state) {
    static const struct exchange rows[] = {
        { "UNSUBSCRIBE", "*[$\"unsubscribe\", $-1, :0]" },
        { "PUNSUBSCRIBE", "*[$\"punsubscribe\", $-1, :0]" },
        { "SUNSUBSCRIBE", "*[$\"sunsubscribe\", $-1, :0]" },
        { "PSUBSCRIBE *", "*[$\"psubscribe\", $\"*\", :1]" },
        { "UNSUBSCRIBE", "*[$\"unsubscribe\", $-1, :1]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void several_names_get_a_confirmation_each(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SUBSCRIBE a b \"\" a", "*[$\"subscribe\", $\"a\", :1]");
    assert_next(c, "*[$\"subscribe\", $\"b\", :2]");
    assert_next(c, "*[$\"subscribe\", $\"\", :3]");
    assert_next(c, "*[$\"subscribe\", $\"a\", :3]");
    assert_reply(c, "UNSUBSCRIBE", "*[$\"unsubscribe\", $\"...\", :2]");
    assert_next(c, "*[$\"unsubscribe\", $\"...\", :1]");
    assert_next(c, "*[$\"unsubscribe\", $\"...\", :0]");
    assert_reply(c, "PING", "+PONG");
}

static void resp3_confirmations_and_messages_are_pushes(void **state) {
    struct client *c = connect_resp3(state), *publisher = fixture_client(state);
    assert_reply(c, "SUBSCRIBE a", ">[$\"subscribe\", $\"a\", :1]");
    assert_reply(c, "PSUBSCRIBE a*", ">[$\"psubscribe\", $\"a*\", :2]");
    assert_reply(c, "SSUBSCRIBE a", ">[$\"ssubscribe\", $\"a\", :1]");
    assert_reply(publisher, "PUBLISH a hi", ":2");
    assert_next(c, ">[$\"message\", $\"a\", $\"hi\"]");
    assert_next(c, ">[$\"pmessage\", $\"a*\", $\"a\", $\"hi\"]");
    assert_reply(publisher, "SPUBLISH a there", ":1");
    assert_next(c, ">[$\"smessage\", $\"a\", $\"there\"]");
    assert_reply(c, "GET k", "_");
    assert_reply(c, "UNSUBSCRIBE a b", ">[$\"unsubscribe\", $\"a\", :1]");
    assert_next(c, ">[$\"unsubscribe\", $\"b\", :1]");
    assert_reply(c, "UNSUBSCRIBE", ">[$\"unsubscribe\", _, :1]");
    client_close(c);
}

static void confirmations_come_although_replies_are_off(void **state) {
    struct client *c = fixture_client(state);
    client_send(c, "CLIENT REPLY OFF");
    assert_reply(c, "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]");
    struct client *publisher = connect_to(state);
    assert_reply(publisher, "PUBLISH a hi", ":1");
    assert_next(c, "*[$\"message\", $\"a\", $\"hi\"]");
    client_close(publisher);
}

static void a_transaction_subscribes_inside_its_reply(void **state) {
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },
        { "SUBSCRIBE a", "+QUEUED" },
        { "PUBLISH a x", "+QUEUED" },
        { "UNSUBSCRIBE", "+QUEUED" },
        { "EXEC", "*[*[$\"subscribe\", $\"a\", :1], :1, *[$\"unsubscribe\", $\"a\", :0]]" },
        { "PING", "+PONG" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_transaction_subscribes_to_no_sharded_channel(void **state) {
    struct client *c = fixture_client(state);
    for (int protocol = 2; protocol <= 3; protocol++) {
        node_free(client_ask_node(c, "HELLO %d", protocol));
        assert_reply(c, "MULTI", "+OK");
        assert_reply(c, "SSUBSCRIBE x", "+QUEUED");
        assert_reply(c, "PING", "+QUEUED");
        assert_reply(c, "EXEC", "*[-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client, +PONG]");
        assert_reply(c, "PUBSUB SHARDNUMSUB x", "*[$\"x\", :0]");
    }
}

/* ---- very many names ---- */

enum {
    MANY = 5000,
    PART = 32,
    LEAVE = 64
}; /* a turn's part of the names, and of those that a closing client leaves */

static void queue_many(struct client *c, const char *command, size_t count) {
    char text[64];
    int len = snprintf(text, sizeof text, "*%zu\r\n$%zu\r\n%s\r\n", count + 1, strlen(command), command);
    client_queue_raw(c, text, (size_t)len);
    for (size_t i = 0; i < count; i++) {
        len = snprintf(text, sizeof text, "$9\r\nname:%04zu\r\n", i);
        client_queue_raw(c, text, (size_t)len);
    }
}

static void assert_confirmed(struct client *c, const char *word, size_t count, bool rising) {
    for (size_t i = 0; i < count; i++) {
        char expected[96];
        snprintf(expected, sizeof expected, "*[$\"%s\", $\"name:%04zu\", :%zu]", word, i,
                 rising ? i + 1 : count - i - 1);
        assert_next(c, expected);
    }
}

static int64_t turns(struct client *c) { return info_number(c, "stats", "eventloop_cycles"); }

/* What stands behind the command waits for all of its parts; others do not, and statistics see one command.
 */
static void a_long_command_runs_in_parts_and_in_its_place(void **state) {
    struct client *c = fixture_client(state), *other = connect_to(state);
    node_free(client_ask_node(other, "CONFIG RESETSTAT"));
    int64_t before = turns(other);
    queue_many(c, "SUBSCRIBE", MANY);
    client_queue(c, "SUBSCRIBE last");
    queue_many(c, "UNSUBSCRIBE", MANY);
    client_queue(c, "PING");
    client_queue(c, "UNSUBSCRIBE");
    client_queue(c, "PING");
    assert_true(client_flush(c));
    assert_confirmed(c, "subscribe", MANY, true);
    assert_next(c, "*[$\"subscribe\", $\"last\", :5001]");
    for (size_t i = 0; i < MANY; i++) node_free(client_read(c));
    assert_next(c, "*[$\"pong\", $\"\"]");
    assert_next(c, "*[$\"unsubscribe\", $\"last\", :0]");
    assert_next(c, "+PONG");
    assert_true(turns(other) - before >= 2 * MANY / PART);
    assert_non_null(strstr(client_ask(other, "INFO commandstats"), "cmdstat_subscribe:calls=2,"));
    assert_non_null(strstr(client_ask(other, "INFO commandstats"), "cmdstat_unsubscribe:calls=2,"));
    client_close(other);
}

static void leaving_very_many_is_done_in_parts_too(void **state) {
    struct client *c = fixture_client(state), *other = connect_to(state);
    queue_many(c, "SUBSCRIBE", MANY);
    assert_true(client_flush(c));
    assert_confirmed(c, "subscribe", MANY, true);
    int64_t before = turns(other);
    client_queue(c, "UNSUBSCRIBE");
    client_queue(c, "PING");
    assert_true(client_flush(c));
    for (size_t i = 0; i < MANY; i++) {
        char count[32];
        snprintf(count, sizeof count, ", :%zu]", MANY - i - 1);
        assert_non_null(strstr(client_read_text(c), count));
    }
    assert_next(c, "+PONG");
    assert_true(turns(other) - before >= MANY / LEAVE);
    client_close(other);
}

static void who_closes_leaves_very_many_in_parts(void **state) {
    struct client *other = fixture_client(state), *c = connect_to(state);
    queue_many(c, "SUBSCRIBE", MANY);
    queue_many(c, "PSUBSCRIBE", MANY);
    assert_true(client_flush(c));
    assert_confirmed(c, "subscribe", MANY, true);
    for (size_t i = 0; i < MANY; i++) node_free(client_read(c));
    assert_int_equal(client_ask_int(other, "PUBSUB NUMPAT"), MANY);
    int64_t before = turns(other);
    client_close(c);
    assert_soon(client_ask_int(other, "PUBSUB NUMPAT") == 0);
    assert_soon(info_number(other, "clients", "connected_clients") == 1);
    assert_reply(other, "PUBSUB CHANNELS", "*[]");
    assert_true(turns(other) - before >= 2 * MANY / LEAVE / 2);
}

static void a_client_is_killed_in_the_middle_of_its_command(void **state) {
    struct client *other = fixture_client(state), *c = connect_to(state);
    int64_t id = client_ask_int(c, "CLIENT ID");
    queue_many(c, "SUBSCRIBE", MANY);
    client_queue(c, "PING");
    assert_true(client_flush(c));
    assert_int_equal(client_ask_int(other, "CLIENT KILL ID %lld", (long long)id), 1);
    assert_soon(info_number(other, "clients", "connected_clients") == 1);
    assert_reply(other, "PUBSUB CHANNELS", "*[]");
    client_close(c);
}

static void in_a_transaction_a_long_command_is_one_piece(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "MULTI", "+OK");
    queue_many(c, "SUBSCRIBE", 100);
    client_queue(c, "PUBLISH name:0099 x");
    client_queue(c, "EXEC");
    assert_true(client_flush(c));
    assert_next(c, "+QUEUED");
    assert_next(c, "+QUEUED");
    /* The array has two elements, of which the first is a hundred confirmations. */
    assert_next(c, "*[*[$\"subscribe\", $\"name:0000\", :1], *[$\"subscribe\", $\"name:0001\", :2]]");
    for (size_t i = 2; i < 100; i++) node_free(client_read(c));
    assert_next(c, ":1");
    assert_next(c, "*[$\"message\", $\"name:0099\", $\"x\"]");
}

/* ---- delivery ---- */

static void a_message_reaches_every_kind_of_match_and_counts_each(void **state) {
    struct client *publisher = fixture_client(state), *c = connect_to(state);
    assert_reply(c, "SUBSCRIBE news", "*[$\"subscribe\", $\"news\", :1]");
    assert_reply(c, "PSUBSCRIBE n* ?ews", "*[$\"psubscribe\", $\"n*\", :2]");
    assert_next(c, "*[$\"psubscribe\", $\"?ews\", :3]");
    assert_reply(publisher, "PUBLISH news \"two\\r\\nlines\"", ":3");
    assert_next(c, "*[$\"message\", $\"news\", $\"two\\r\\nlines\"]");
    /* Patterns are served in an order of their own. */
    assert_next(c, "*[$\"pmessage\", $\"...\", $\"news\", $\"two\\r\\nlines\"]");
    assert_next(c, "*[$\"pmessage\", $\"...\", $\"news\", $\"two\\r\\nlines\"]");
    assert_reply(publisher, "PUBLISH views x", ":0");
    assert_reply(publisher, "SPUBLISH news x", ":0");
    assert_reply(publisher, "PUBLISH n \"\"", ":1");
    assert_next(c, "*[$\"pmessage\", $\"n*\", $\"n\", $\"\"]");
    assert_quiet(c);
    client_close(c);
}

static void messages_are_counted_for_each_subscriber(void **state) {
    struct client *publisher = fixture_client(state), *one = connect_to(state), *two = connect_to(state);
    int64_t before = info_number(publisher, "stats", "pubsub_messages_delivered");
    assert_reply(one, "SUBSCRIBE news", "*[...:1]");
    assert_reply(two, "SUBSCRIBE news", "*[...:1]");
    assert_reply(publisher, "PUBLISH news x", ":2");
    assert_reply(publisher, "PUBLISH views x", ":0");
    assert_next(one, "*[$\"message\", $\"news\", $\"x\"]");
    assert_next(two, "*[$\"message\", $\"news\", $\"x\"]");
    assert_int_equal(info_number(publisher, "stats", "pubsub_messages_delivered") - before, 2);
    assert_int_equal(info_number(publisher, "stats", "pubsub_messages_dropped"), 0);
    client_close(one);
    client_close(two);
}

static void the_empty_channel_matches_only_the_empty_pattern(void **state) {
    struct client *publisher = fixture_client(state), *c = connect_to(state);
    assert_reply(c, "PSUBSCRIBE * \"\"", "*[...:1]");
    assert_next(c, "*[...:2]");
    assert_reply(publisher, "PUBLISH \"\" x", ":1");
    assert_next(c, "*[$\"pmessage\", $\"\", $\"\", $\"x\"]");
    assert_quiet(c);
    client_close(c);
}

static void sharded_channels_are_a_world_of_their_own(void **state) {
    struct client *publisher = fixture_client(state), *c = connect_to(state);
    assert_reply(c, "SSUBSCRIBE s", "*[$\"ssubscribe\", $\"s\", :1]");
    assert_reply(publisher, "PUBLISH s x", ":0");
    assert_reply(publisher, "SPUBLISH s x", ":1");
    assert_next(c, "*[$\"smessage\", $\"s\", $\"x\"]");
    assert_quiet(c);
    client_close(c);
}

static void messages_come_up_to_the_end_of_the_subscription_and_not_after(void **state) {
    struct client *publisher = fixture_client(state), *c = connect_to(state);
    assert_reply(c, "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]");
    assert_reply(publisher, "PUBLISH a 1", ":1");
    client_send(c, "UNSUBSCRIBE a");
    assert_next(c, "*[$\"message\", $\"a\", $\"1\"]");
    assert_next(c, "*[$\"unsubscribe\", $\"a\", :0]");
    assert_reply(publisher, "PUBLISH a 2", ":0");
    assert_reply(c, "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]");
    assert_reply(publisher, "PUBLISH a 3", ":1");
    assert_next(c, "*[$\"message\", $\"a\", $\"3\"]");
    client_close(c);
}

static void a_client_hears_itself_after_the_reply(void **state) {
    struct client *c = connect_resp3(state);
    assert_reply(c, "SUBSCRIBE a", ">[$\"subscribe\", $\"a\", :1]");
    assert_reply(c, "PUBLISH a x", ":1");
    assert_next(c, ">[$\"message\", $\"a\", $\"x\"]");
    /* In one pipeline: the message was counted, so it comes before the subscription ends. */
    client_queue(c, "PUBLISH a y");
    client_queue(c, "UNSUBSCRIBE a");
    client_queue(c, "PUBLISH a z");
    client_flush(c);
    assert_next(c, ":1");
    assert_next(c, ">[$\"message\", $\"a\", $\"y\"]");
    assert_next(c, ">[$\"unsubscribe\", $\"a\", :0]");
    assert_next(c, ":0");
    client_close(c);
}

/* The message is still on its way to the others of its worker when the subscription begins. */
static void a_new_subscriber_gets_no_earlier_message(void **state) {
    enum { OTHERS = 8 };
    struct client *c = connect_resp3(state), *others[OTHERS];
    for (int i = 0; i < OTHERS; i++) {
        others[i] = connect_to(state);
        assert_reply(others[i], "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]");
    }
    client_queue(c, "PUBLISH a early");
    client_queue(c, "SUBSCRIBE a");
    client_queue(c, "PUBLISH a late");
    client_flush(c);
    assert_next(c, ":8");
    assert_next(c, ">[$\"subscribe\", $\"a\", :1]");
    assert_next(c, ":9");
    assert_next(c, ">[$\"message\", $\"a\", $\"late\"]");
    for (int i = 0; i < OTHERS; i++) {
        assert_next(others[i], "*[$\"message\", $\"a\", $\"early\"]");
        assert_next(others[i], "*[$\"message\", $\"a\", $\"late\"]");
        client_close(others[i]);
    }
    client_close(c);
}

static void a_big_message_arrives_whole_in_both_protocols(void **state) {
    enum { SIZE = 300000 };
    struct client *publisher = fixture_client(state), *two = connect_to(state), *three = connect_resp3(state);
    assert_reply(two, "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]");
    assert_reply(three, "SUBSCRIBE a", ">[$\"subscribe\", $\"a\", :1]");
    char *big = malloc(SIZE + 1);
    for (size_t i = 0; i < SIZE; i++) big[i] = (char)('a' + i % 26);
    big[SIZE] = '\0';
    struct client *receivers[] = { two, three };
    for (int round = 0; round < 3; round++) {
        assert_int_equal(client_ask_int(publisher, "PUBLISH a %s", big), 2);
        for (size_t i = 0; i < COUNT_OF(receivers); i++) {
            struct node *n = client_read(receivers[i]);
            assert_int_equal(n->kind, i == 0 ? '*' : '>');
            assert_int_equal(n->items[2]->bytes.len, SIZE);
            assert_memory_equal(n->items[2]->bytes.ptr, big, SIZE);
            node_free(n);
        }
    }
    free(big);
    client_close(two);
    client_close(three);
}

static void more_matching_patterns_than_a_few_are_all_served(void **state) {
    enum { PATTERNS = 100 };
    struct client *publisher = fixture_client(state), *c = connect_to(state);
    for (int i = 0; i < PATTERNS; i++) client_queue(c, "PSUBSCRIBE ch*%d*", i);
    client_flush(c);
    client_skip(c, PATTERNS);
    struct text channel = { 0 };
    text_append_str(&channel, "ch");
    for (int i = 0; i < PATTERNS; i++) text_printf(&channel, "-%d", i);
    assert_int_equal(client_ask_int(publisher, "PUBLISH %s x", text_str(&channel)), PATTERNS);
    client_skip(c, PATTERNS);
    assert_quiet(c);
    text_release(&channel);
    client_close(c);
}

enum { LISTENERS = 12, SENDERS = 4, MESSAGES = 500 };

/* All subscribers of all workers see all messages, and in the same order. */
static void everybody_hears_the_same_order(void **state) {
    struct client *listeners[LISTENERS], *senders[SENDERS];
    for (int i = 0; i < LISTENERS; i++) {
        listeners[i] = connect_to(state);
        assert_reply(listeners[i], "SUBSCRIBE order", "*[$\"subscribe\", $\"order\", :1]");
    }
    for (int i = 0; i < SENDERS; i++) senders[i] = connect_to(state);
    for (int m = 0; m < MESSAGES; m++)
        for (int i = 0; i < SENDERS; i++) client_queue(senders[i], "PUBLISH order %d-%d", i, m);
    for (int i = 0; i < SENDERS; i++) client_flush(senders[i]);
    for (int i = 0; i < SENDERS; i++) client_skip(senders[i], MESSAGES);
    for (int m = 0; m < MESSAGES * SENDERS; m++) {
        struct text first = { 0 };
        text_append_str(&first, client_read_text(listeners[0]));
        for (int i = 1; i < LISTENERS; i++)
            assert_string_equal(client_read_text(listeners[i]), text_str(&first));
        text_release(&first);
    }
    for (int i = 0; i < SENDERS; i++) client_close(senders[i]);
    for (int i = 0; i < LISTENERS; i++) client_close(listeners[i]);
}

/* ---- leaving ---- */

static void a_client_that_goes_is_forgotten(void **state) {
    struct client *asks = fixture_client(state), *c = connect_to(state);
    assert_reply(c, "SUBSCRIBE gone", "*[$\"subscribe\", $\"gone\", :1]");
    assert_reply(c, "PSUBSCRIBE gone*", "*[$\"psubscribe\", $\"gone*\", :2]");
    assert_reply(c, "SSUBSCRIBE gone", "*[$\"ssubscribe\", $\"gone\", :1]");
    assert_reply(asks, "PUBSUB NUMSUB gone", "*[$\"gone\", :1]");
    client_abandon(c);
    assert_reply_soon(asks, "PUBSUB NUMSUB gone", "*[$\"gone\", :0]");
    assert_reply_soon(asks, "PUBSUB NUMPAT", ":0");
    assert_reply_soon(asks, "PUBSUB SHARDNUMSUB gone", "*[$\"gone\", :0]");
    assert_reply(asks, "PUBLISH gone x", ":0");
}

static void reset_ends_all_subscriptions(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]");
    assert_reply(c, "RESET", "+RESET");
    assert_reply(c, "PUBSUB CHANNELS", "*[]");
    assert_reply(c, "PUBLISH a x", ":0");
}

static void a_subscriber_that_does_not_read_is_cut_off(void **state) {
    enum { SIZE = 64 * 1024 };
    (void)state;
    struct server *server = server_start("--client-output-buffer-limit", "pubsub", "1mb", "0", "0", NULL);
    struct client *publisher = server_connect(server), *slow = server_connect(server),
                  *good = server_connect(server);
    assert_reply(slow, "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]");
    assert_reply(good, "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :1]");
    char *big = calloc(1, SIZE + 1);
    memset(big, 'x', SIZE);
    int64_t receivers = 2;
    while (receivers == 2) {
        receivers = client_ask_int(publisher, "PUBLISH a %s", big);
        struct node *n = client_read(good);
        assert_int_equal(n->items[2]->bytes.len, SIZE);
        node_free(n);
    }
    assert_int_equal(receivers, 1);
    free(big);
    /* `good` had them all; what `slow` lost is a part of what it was sent. */
    int64_t delivered = info_number(publisher, "stats", "pubsub_messages_delivered"),
            dropped = info_number(publisher, "stats", "pubsub_messages_dropped");
    assert_true(dropped >= 8 && dropped < delivered);
    assert_reply(publisher, "CONFIG RESETSTAT", "+OK");
    assert_int_equal(info_number(publisher, "stats", "pubsub_messages_dropped"), 0);
    client_close(slow);
    client_close(good);
    client_close(publisher);
    server_free(server);
}

/* ---- PUBSUB ---- */

static void pubsub_shows_names_and_numbers(void **state) {
    struct client *asks = fixture_client(state), *one = connect_to(state), *two = connect_to(state);
    assert_reply(one, "SUBSCRIBE apple", "*[...:1]");
    assert_reply(one, "SSUBSCRIBE shard", "*[...:1]");
    assert_reply(one, "PSUBSCRIBE x*", "*[...:2]");
    assert_reply(two, "SUBSCRIBE apple pear", "*[...:1]");
    assert_next(two, "*[...:2]");
    assert_reply(two, "PSUBSCRIBE x* y*", "*[...:3]");
    assert_next(two, "*[...:4]");
    assert_reply_sorted(asks, "PUBSUB CHANNELS", "*[$\"apple\", $\"pear\"]");
    static const struct exchange rows[] = {
        { "PUBSUB CHANNELS p*", "*[$\"pear\"]" },
        { "PUBSUB CHANNELS none", "*[]" },
        { "PUBSUB NUMSUB apple pear none", "*[$\"apple\", :2, $\"pear\", :1, $\"none\", :0]" },
        { "PUBSUB NUMSUB", "*[]" },
        { "PUBSUB NUMPAT", ":2" },
        { "PUBSUB SHARDCHANNELS", "*[$\"shard\"]" },
        { "PUBSUB SHARDCHANNELS apple", "*[]" },
        { "PUBSUB SHARDNUMSUB shard apple", "*[$\"shard\", :1, $\"apple\", :0]" },
        { "PUBSUB SHARDNUMSUB", "*[]" },
        { "PUBSUB CHANNELS a b", "-ERR wrong number of arguments for 'pubsub|channels' command" },
        { "PUBSUB", "-ERR wrong number of arguments for 'pubsub' command" },
        { "PUBSUB FOO", "-ERR unknown subcommand 'FOO'. Try PUBSUB HELP." },
        { "PUBSUB HELP", "*[+PUBSUB <subcommand> ...]" },
        { "PSUBSCRIBE", "-ERR wrong number of arguments for 'psubscribe' command" },
        { "PUBLISH a", "-ERR wrong number of arguments for 'publish' command" },
        { NULL, NULL },
    };
    assert_exchanges(asks, rows);
    client_close(one);
    client_close(two);
}

static void keyspace_events_are_messages(void **state) {
    (void)state;
    struct server *server = server_start("--notify-keyspace-events", "KEA", NULL);
    struct client *c = server_connect(server), *listens = server_connect(server);
    assert_reply(listens, "PSUBSCRIBE __key*__:*", "*[...:1]");
    assert_reply(c, "SET k v", "+OK");
    assert_next(listens, "*[$\"pmessage\", $\"__key*__:*\", $\"__keyspace@0__:k\", $\"set\"]");
    assert_next(listens, "*[$\"pmessage\", $\"__key*__:*\", $\"__keyevent@0__:set\", $\"k\"]");
    client_close(c);
    client_close(listens);
    server_free(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(each_subscription_is_confirmed_with_its_count),
        FIXTURE_TEST(leaving_nothing_is_answered_with_one_null),
        FIXTURE_TEST(several_names_get_a_confirmation_each),
        FIXTURE_TEST(resp3_confirmations_and_messages_are_pushes),
        FIXTURE_TEST(confirmations_come_although_replies_are_off),
        FIXTURE_TEST(a_transaction_subscribes_inside_its_reply),
        FIXTURE_TEST(a_transaction_subscribes_to_no_sharded_channel),
        FIXTURE_TEST(a_long_command_runs_in_parts_and_in_its_place),
        FIXTURE_TEST(leaving_very_many_is_done_in_parts_too),
        FIXTURE_TEST(who_closes_leaves_very_many_in_parts),
        FIXTURE_TEST(a_client_is_killed_in_the_middle_of_its_command),
        FIXTURE_TEST(in_a_transaction_a_long_command_is_one_piece),
        FIXTURE_TEST(a_message_reaches_every_kind_of_match_and_counts_each),
        FIXTURE_TEST(messages_are_counted_for_each_subscriber),
        FIXTURE_TEST(the_empty_channel_matches_only_the_empty_pattern),
        FIXTURE_TEST(sharded_channels_are_a_world_of_their_own),
        FIXTURE_TEST(messages_come_up_to_the_end_of_the_subscription_and_not_after),
        FIXTURE_TEST(a_client_hears_itself_after_the_reply),
        FIXTURE_TEST(a_new_subscriber_gets_no_earlier_message),
        FIXTURE_TEST(a_big_message_arrives_whole_in_both_protocols),
        FIXTURE_TEST(more_matching_patterns_than_a_few_are_all_served),
        FIXTURE_TEST(everybody_hears_the_same_order),
        FIXTURE_TEST(a_client_that_goes_is_forgotten),
        FIXTURE_TEST(reset_ends_all_subscriptions),
        FIXTURE_TEST(a_subscriber_that_does_not_read_is_cut_off),
        FIXTURE_TEST(pubsub_shows_names_and_numbers),
        FIXTURE_TEST(keyspace_events_are_messages),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
