/* Channels, patterns and sharded channels: who is counted, who hears what, and in which order. */
#include "../../../harness/loopback.h"
#include "../../../harness/text.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/pubsub.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static size_t publish(const char *channel, const char *message) {
    return pubsub_publish(PUBSUB_CHANNEL, slice_of(channel), slice_of(message));
}

static struct loopback *subscriber(const char *command) {
    struct loopback *l = loopback_open();
    loopback_ask(l, "%s", command);
    return l;
}

static void a_message_reaches_its_channel_and_the_patterns_that_fit(void **state) {
    (void)state;
    static const struct {
        const char *subscribe, *hears; /* of "news.art" with the text "m" */
    } rows[] = {
        { "SUBSCRIBE news.art", "*[$\"message\", $\"news.art\", $\"m\"]" },
        { "SUBSCRIBE news.ar", "" },
        { "PSUBSCRIBE news.*", "*[$\"pmessage\", $\"news.*\", $\"news.art\", $\"m\"]" },
        { "PSUBSCRIBE *.sport", "" },
        { "PSUBSCRIBE news.art", "*[$\"pmessage\", $\"news.art\", $\"news.art\", $\"m\"]" },
        { "SSUBSCRIBE news.art", "" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = subscriber(rows[i].subscribe);
        assert_int_equal(publish("news.art", "m"), rows[i].hears[0] != '\0');
        loopback_turn();
        assert_hears(l, rows[i].hears);
        loopback_close(l);
    }
    struct loopback *l = subscriber("SSUBSCRIBE c");
    assert_int_equal(pubsub_publish(PUBSUB_SHARD, LIT("c"), LIT("m")), 1);
    loopback_turn();
    assert_hears(l, "*[$\"smessage\", $\"c\", $\"m\"]");
    loopback_close(l);
}

static void who_subscribed_in_several_ways_hears_it_several_times(void **state) {
    (void)state;
    struct loopback *l = subscriber("SUBSCRIBE c");
    loopback_ask(l, "PSUBSCRIBE c* *");
    loopback_ask(l, "SUBSCRIBE c"); /* once more is no more */
    assert_int_equal(publish("c", "m"), 3);
    loopback_turn();
    assert_hears(l, "*[$\"message\", $\"c\", $\"m\"]\n"
                    "*[$\"pmessage\", $\"c*\", $\"c\", $\"m\"]\n"
                    "*[$\"pmessage\", $\"*\", $\"c\", $\"m\"]");
    loopback_close(l);
}

static void confirmations_count_what_the_client_has(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        { "SUBSCRIBE a b", "*[$\"subscribe\", $\"a\", :1]\n*[$\"subscribe\", $\"b\", :2]" },
        { "SUBSCRIBE a", "*[$\"subscribe\", $\"a\", :2]" },
        { "PSUBSCRIBE p", "*[$\"psubscribe\", $\"p\", :3]" },
        { "SSUBSCRIBE s", "*[$\"ssubscribe\", $\"s\", :1]" },
        { "UNSUBSCRIBE nothing", "*[$\"unsubscribe\", $\"nothing\", :3]" },
        { "UNSUBSCRIBE a", "*[$\"unsubscribe\", $\"a\", :2]" },
        { "UNSUBSCRIBE", "*[$\"unsubscribe\", $\"b\", :1]" },
        { "UNSUBSCRIBE", "*[$\"unsubscribe\", $-1, :1]" },
        { "SUNSUBSCRIBE", "*[$\"sunsubscribe\", $\"s\", :0]" },
        { "PUNSUBSCRIBE", "*[$\"punsubscribe\", $\"p\", :0]" },
    };
    struct loopback *l = loopback_open();
    for (size_t i = 0; i < COUNT_OF(rows); i++) assert_says(l, rows[i][0], rows[i][1]);
    assert_false(loopback_client(l)->flags & CLIENT_SUBSCRIBED);
    assert_null(loopback_client(l)->subscriptions);
    loopback_close(l);
}

/* ---- order ---- */

static void a_client_gets_what_was_published_after_it_subscribed(void **state) {
    (void)state;
    struct loopback *early = subscriber("SUBSCRIBE c"), *late = loopback_open();
    assert_int_equal(publish("c", "1"), 1);
    pubsub_subscribe(loopback_client(late), PUBSUB_CHANNEL, LIT("c"));
    assert_int_equal(publish("c", "2"), 2);
    loopback_turn();
    assert_hears(early, "*[$\"message\", $\"c\", $\"1\"]\n*[$\"message\", $\"c\", $\"2\"]");
    assert_hears(late, "*[$\"subscribe\", $\"c\", :1]\n*[$\"message\", $\"c\", $\"2\"]");
    loopback_close(early);
    loopback_close(late);
}

static void what_counted_a_client_reaches_it_before_it_leaves(void **state) {
    (void)state;
    struct loopback *l = subscriber("SUBSCRIBE c");
    assert_int_equal(publish("c", "m"), 1);
    pubsub_deliver();
    assert_hears(l, "*[$\"message\", $\"c\", $\"m\"]");
    loopback_turn(); /* the letter finds nothing more */
    assert_hears(l, "");
    assert_int_equal(publish("c", "n"), 1); /* and calls again for the next */
    assert_says(l, "UNSUBSCRIBE c", "*[$\"message\", $\"c\", $\"n\"]\n*[$\"unsubscribe\", $\"c\", :0]");
    loopback_close(l);
}

static void a_message_for_somebody_who_has_gone_is_dropped(void **state) {
    (void)state;
    struct loopback *l = subscriber("SUBSCRIBE c"), *closing = subscriber("SUBSCRIBE c");
    assert_int_equal(publish("c", "m"), 2);
    pubsub_leave_all(loopback_client(l));
    loopback_client(closing)->flags |= CLIENT_CLOSE_AFTER;
    loopback_turn();
    assert_hears(l, "");
    assert_hears(closing, "");
    loopback_close(l);
    loopback_close(closing);
    assert_int_equal(publish("c", "m"), 0);
}

static void append_message(struct text *out, const char *format, const char *channel, size_t i) {
    text_printf(out, format, channel, i);
    text_append_char(out, '\n');
}

/* Messages of two channels, and a subscription in the middle: each client hears in the order of publishing
 * what came after it subscribed. `pattern`: one that fits all, or NULL. */
static void check_order(const char *pattern) {
    enum { MESSAGES = 300, LATE = 50 };
    struct loopback *both = subscriber("SUBSCRIBE a b"), *new = loopback_open(), *late = loopback_open();
    struct loopback *one = subscriber("SUBSCRIBE a"), *hears_all = loopback_open(), *twice = loopback_open();
    struct text all = { 0 }, only_a = { 0 }, only_new = { 0 }, after = { 0 }, patterned = { 0 },
                heard = { 0 };
    struct text doubled = { 0 };
    loopback_ask(new, "HELLO 3");
    loopback_ask(new, "SUBSCRIBE a");
    loopback_ask(twice, "SUBSCRIBE a");
    if (pattern) loopback_ask(twice, "PSUBSCRIBE %s", pattern);
    if (pattern) loopback_ask(hears_all, "PSUBSCRIBE %s", pattern);
    for (size_t i = 0; i < MESSAGES; i++) {
        const char *channel = i % 100 < 90 ? "a" : "b";
        char number[32];
        snprintf(number, sizeof number, "%zu", i);
        if (i == LATE) pubsub_subscribe(loopback_client(late), PUBSUB_CHANNEL, LIT("a"));
        publish(channel, number);
        append_message(&all, "*[$\"message\", $\"%s\", $\"%zu\"]", channel, i);
        if (pattern) append_message(&patterned, "*[$\"pmessage\", $\"*\", $\"%s\", $\"%zu\"]", channel, i);
        if (channel[0] == 'a') append_message(&doubled, "*[$\"message\", $\"%s\", $\"%zu\"]", channel, i);
        if (pattern) append_message(&doubled, "*[$\"pmessage\", $\"*\", $\"%s\", $\"%zu\"]", channel, i);
        if (channel[0] == 'b') continue;
        append_message(&only_a, "*[$\"message\", $\"%s\", $\"%zu\"]", channel, i);
        append_message(&only_new, ">[$\"message\", $\"%s\", $\"%zu\"]", channel, i);
        if (i == LATE) text_printf(&after, "*[$\"subscribe\", $\"a\", :1]\n");
        if (i >= LATE) append_message(&after, "*[$\"message\", $\"%s\", $\"%zu\"]", channel, i);
    }
    loopback_turn();
    const struct {
        struct loopback *who;
        const struct text *expected;
    } rows[] = { { both, &all },   { one, &only_a },          { new, &only_new },
                 { late, &after }, { hears_all, &patterned }, { twice, &doubled } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        text_clear(&heard);
        text_printf(&heard, "%s", loopback_next(rows[i].who));
        if (heard.len > 0) text_append_char(&heard, '\n');
        assert_string_equal(text_str(&heard), text_str(rows[i].expected));
        loopback_close(rows[i].who);
    }
    struct text *texts[] = { &all, &only_a, &only_new, &after, &patterned, &doubled, &heard };
    for (size_t i = 0; i < COUNT_OF(texts); i++) text_release(texts[i]);
}

static void messages_keep_their_order_for_each_client(void **state) {
    (void)state;
    check_order(NULL);
    check_order("*");
}

/* The bytes of a run lie once in memory, whoever gets them. */
static void subscribers_of_a_channel_share_its_messages(void **state) {
    (void)state;
    struct loopback *all[3];
    for (size_t i = 0; i < COUNT_OF(all); i++) all[i] = subscriber("SUBSCRIBE c");
    for (size_t i = 0; i < 40; i++) publish("c", "a message of some length, which is not short");
    pubsub_deliver();
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        const struct reply *r = &loopback_client(all[i])->reply;
        assert_int_equal(r->chunks, 1);
        assert_int_equal(r->shared, r->memory);
        assert_int_equal(loopback_client(all[i])->messages_waiting, 40);
    }
    for (size_t i = 0; i < COUNT_OF(all); i++) loopback_close(all[i]);
}

/* ---- forms ---- */

static void messages_of_all_sizes_arrive_whole(void **state) {
    (void)state;
    static const size_t sizes[] = { 0, 1, 1000, 1024, 4095, 4096, 20000 };
    struct loopback *l = subscriber("SUBSCRIBE c"), *new = loopback_open();
    loopback_ask(new, "HELLO 3");
    loopback_ask(new, "PSUBSCRIBE *");
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct text message = { 0 }, expected = { 0 };
        for (size_t k = 0; k < sizes[i]; k++) text_append_char(&message, (char)('a' + k % 26));
        assert_int_equal(pubsub_publish(PUBSUB_CHANNEL, LIT("c"), text_slice(&message)), 2);
        loopback_turn();
        text_printf(&expected, "*[$\"message\", $\"c\", $\"%s\"]", text_str(&message));
        assert_hears(l, text_str(&expected));
        text_clear(&expected);
        text_printf(&expected, ">[$\"pmessage\", $\"*\", $\"c\", $\"%s\"]", text_str(&message));
        assert_hears(new, text_str(&expected));
        text_release(&expected);
        text_release(&message);
    }
    loopback_close(l);
    loopback_close(new);
}

static void any_number_of_patterns_may_fit(void **state) {
    (void)state;
    enum { PATTERNS = 40 };
    struct loopback *l = loopback_open();
    for (int i = 0; i < PATTERNS; i++) {
        char pattern[64];
        snprintf(pattern, sizeof pattern, "%.*s", i + 1, "****************************************");
        pubsub_subscribe(loopback_client(l), PUBSUB_PATTERN, slice_of(pattern));
    }
    loopback_next(l);
    assert_int_equal(publish("c", "m"), PATTERNS);
    loopback_turn();
    size_t lines = 1;
    for (const char *at = loopback_next(l); (at = strchr(at, '\n')); at++) lines++;
    assert_int_equal(lines, PATTERNS);
    loopback_close(l);
}

/* ---- numbers ---- */

static void note_name(void *arg, struct slice name) {
    text_append(arg, name.ptr, name.len);
    text_append_char(arg, ' ');
}

static void names_and_subscribers_are_counted(void **state) {
    (void)state;
    struct loopback *l = subscriber("SUBSCRIBE c"), *other = subscriber("SUBSCRIBE c");
    struct text names = { 0 };
    loopback_ask(other, "PSUBSCRIBE p q");
    loopback_ask(other, "SSUBSCRIBE s");
    assert_int_equal(pubsub_names(PUBSUB_CHANNEL), 1);
    assert_int_equal(pubsub_names(PUBSUB_PATTERN), 2);
    assert_int_equal(pubsub_names(PUBSUB_SHARD), 1);
    assert_int_equal(pubsub_subscribers(PUBSUB_CHANNEL, LIT("c")), 2);
    assert_int_equal(pubsub_subscribers(PUBSUB_CHANNEL, LIT("none")), 0);
    assert_int_equal(pubsub_subscribers(PUBSUB_SHARD, LIT("s")), 1);
    assert_int_equal(pubsub_clients(), 2);
    assert_int_equal(pubsub_counts(loopback_client(other)).patterns, 2);
    pubsub_each(PUBSUB_CHANNEL, note_name, &names);
    assert_string_equal(text_str(&names), "c ");
    text_release(&names);
    assert_true(pubsub_memory(loopback_client(other)) > pubsub_memory(loopback_client(l)));
    loopback_close(l);
    assert_int_equal(pubsub_subscribers(PUBSUB_CHANNEL, LIT("c")), 1);
    loopback_close(other);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) assert_int_equal(pubsub_names((enum pubsub_kind)kind), 0);
    assert_int_equal(pubsub_clients(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(a_message_reaches_its_channel_and_the_patterns_that_fit),
        LOOPBACK_TEST(who_subscribed_in_several_ways_hears_it_several_times),
        LOOPBACK_TEST(confirmations_count_what_the_client_has),
        LOOPBACK_TEST(a_client_gets_what_was_published_after_it_subscribed),
        LOOPBACK_TEST(what_counted_a_client_reaches_it_before_it_leaves),
        LOOPBACK_TEST(a_message_for_somebody_who_has_gone_is_dropped),
        LOOPBACK_TEST(messages_keep_their_order_for_each_client),
        LOOPBACK_TEST(subscribers_of_a_channel_share_its_messages),
        LOOPBACK_TEST(messages_of_all_sizes_arrive_whole),
        LOOPBACK_TEST(any_number_of_patterns_may_fit),
        LOOPBACK_TEST(names_and_subscribers_are_counted),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
