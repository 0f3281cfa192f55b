/* gen_pubsub.c: short random lives of a subscriber and a publisher.
 *
 * After each step the subscriber sends a command that there is not, which every user may, and reads until its
 * error comes back, so both sides are read to the same point. In half of the lives both are users who may not
 * use all channels, and what they may changes: then a subscriber's connection may end. Messages are compared
 * apart from replies, each in their order: a client that publishes to itself gets the push before the reply
 * in 7.0 and after it since 7.2. */
#include "differential.h"
#include <stdio.h>
#include <stdlib.h>

#define STEPS 40
#define SUBSCRIBER "sub" /* users */
#define PUBLISHER "pub"

struct batch {
    struct node *replies[64], *messages[64];
    size_t reply_count, message_count;
    bool ended; /* the connection is closed */
};

struct session {
    struct side *side;
    struct client *subscriber, *publisher;
    struct batch batch;
};

static bool is_message(const struct node *n) {
    static const char *const names[] = { "message", "pmessage", "smessage" };
    if ((n->kind != '*' && n->kind != '>') || n->count < 3) return false;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(text_str(&n->items[0]->bytes), names[i]) == 0) return true;
    return false;
}

/* The error of the command that there is not. */
static bool is_sentinel(const struct node *n, const char *mark) {
    return node_is_error(n) && strstr(text_str(&n->bytes), mark);
}

static void batch_release(struct batch *b) {
    for (size_t i = 0; i < b->reply_count; i++) node_free(b->replies[i]);
    for (size_t i = 0; i < b->message_count; i++) node_free(b->messages[i]);
    b->reply_count = b->message_count = 0;
}

/* Reads to the sentinel, and on until `messages` have come: another worker may deliver a moment later. */
static void collect(struct session *s, const char *mark, size_t messages) {
    struct batch *b = &s->batch;
    bool reached = false;
    batch_release(b);
    while ((!reached || b->message_count < messages) && b->reply_count < 64 && b->message_count < 64) {
        struct node *n = client_read_or_end(s->subscriber);
        if (!n) {
            b->ended = true;
            return;
        }
        if (is_message(n)) {
            b->messages[b->message_count++] = n;
        } else if (is_sentinel(n, mark)) {
            reached = true;
            node_free(n);
        } else {
            b->replies[b->reply_count++] = n;
        }
    }
}

/* Several patterns that match one message are served in an order of their own. */
static void sort_messages(struct batch *b) {
    struct node all = { .kind = '*', .items = b->messages, .count = b->message_count };
    node_sort(&all);
}

/* UNSUBSCRIBE of everything goes through the channels in an order of its own. */
static void hide_channel(struct node *n) {
    if (n->count != 3 || n->items[1]->null) return;
    text_clear(&n->items[1]->bytes);
}

static void compare_lists(const struct words *command, struct node **reference, size_t reference_count,
                          struct node **trivet, size_t trivet_count) {
    for (size_t i = 0; i < reference_count || i < trivet_count; i++) {
        struct node *r = i < reference_count ? reference[i] : NULL;
        struct node *t = i < trivet_count ? trivet[i] : NULL;
        if (r && t && command->count == 1) {
            hide_channel(r);
            hide_channel(t);
        }
        if (t) reword_denials(t, SUBSCRIBER);
        if (!replies_match(command, COMPARE_EXACT, r, t)) report_difference(command, r, t, "subscriber");
    }
}

static void make_subscriber_step(struct chance *c, struct words *w) {
    static const char *const names[] = { "SUBSCRIBE",   "SUBSCRIBE",    "PSUBSCRIBE",   "SSUBSCRIBE",
                                         "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", NULL };
    static const char *const others[] = { "PING",           "PING x",          "GET k",
                                          "PUBLISH c1 own", "SPUBLISH c2 own", "RESET",
                                          "SUBSCRIBE",      "CLIENT GETNAME",  "MULTI x",
                                          "PUBSUB NUMPAT",  "ECHO a",          NULL };
    static const char *const channels[] = { "c1", "c2", "c3", "\"\"", NULL };
    static const char *const patterns[] = { "c*", "c?", "*", "c[12]", "none*", NULL };
    if (chance_of(c, 25)) {
        if (!words_split(w, chance_pick(c, others))) abort();
        return;
    }
    const char *name = chance_pick(c, names);
    bool may_be_bare = strstr(name, "UNSUB") != NULL;
    words_add_str(w, name);
    size_t count = may_be_bare && chance_of(c, 30) ? 0 : 1 + chance_below(c, 3);
    while (count-- > 0) words_add_str(w, chance_pick(c, name[0] == 'P' ? patterns : channels));
}

static enum compare make_publisher_step(struct chance *c, struct words *w) {
    static const char *const sorted[] = { "PUBSUB CHANNELS", "PUBSUB CHANNELS c*", "PUBSUB SHARDCHANNELS",
                                          NULL };
    static const char *const exact[] = { "PUBSUB NUMPAT", "PUBSUB NUMSUB c1 c2 none",
                                         "PUBSUB NUMSUB", "PUBSUB SHARDNUMSUB c1 c2",
                                         "PUBSUB FOO",    "PUBLISH c1",
                                         "SPUBLISH",      NULL };
    static const char *const channels[] = { "c1", "c2", "c3", "other", "", NULL };
    size_t roll = chance_below(c, 100);
    if (roll < 75) {
        words_add_str(w, chance_of(c, 75) ? "PUBLISH" : "SPUBLISH");
        words_add_str(w, chance_pick(c, channels));
        add_value(c, w);
        return COMPARE_EXACT;
    }
    const char *line = chance_pick(c, roll < 85 ? sorted : exact);
    if (!words_split(w, line)) abort();
    return roll < 85 ? COMPARE_SORTED : COMPARE_EXACT;
}

static void subscriber_step(struct session *both, struct chance *c, struct words *w, const char *mark) {
    make_subscriber_step(c, w);
    for (int i = 0; i < 2; i++) {
        client_queue_words(both[i].subscriber, w);
        client_queue(both[i].subscriber, "%s", mark);
        client_flush(both[i].subscriber);
    }
}

static void publisher_step(struct session *both, struct chance *c, struct words *w, const char *mark) {
    enum compare compare = make_publisher_step(c, w);
    struct node *replies[2];
    for (int i = 0; i < 2; i++) {
        client_queue_words(both[i].publisher, w);
        client_flush(both[i].publisher);
        replies[i] = client_read(both[i].publisher);
        client_send(both[i].subscriber, "%s", mark);
    }
    reword_denials(replies[1], PUBLISHER);
    if (!replies_match(w, compare, replies[0], replies[1]))
        report_difference(w, replies[0], replies[1], "publisher");
    history_note("publisher", w, replies[0]);
    node_free(replies[0]);
    node_free(replies[1]);
}

/* ---- rights ---- */

static void make_rights_step(struct chance *c, struct words *w) {
    static const char *const rules[] = { "resetchannels",
                                         "resetchannels",
                                         "&c*",
                                         "&c1",
                                         "&c[12]",
                                         "&*",
                                         "&",
                                         "&c?",
                                         "&*",
                                         "off",
                                         "on",
                                         "nopass",
                                         "+@all",
                                         "-@pubsub",
                                         "+ping",
                                         "-psubscribe",
                                         "allchannels",
                                         NULL };
    if (!words_split(w, "ACL SETUSER")) abort();
    words_add_str(w, chance_of(c, 70) ? SUBSCRIBER : PUBLISHER);
    for (size_t i = 1 + chance_below(c, 3); i > 0; i--) words_add_str(w, chance_pick(c, rules));
}

static void rights_step(struct pair *p, struct session *both, struct chance *c, struct words *w,
                        const char *mark) {
    make_rights_step(c, w);
    node_free(ask_both(p, COMPARE_EXACT, w));
    for (int i = 0; i < 2; i++) client_send(both[i].subscriber, "%s", mark);
}

static void make_users(struct pair *p) {
    ask_line(p, COMPARE_EXACT, "ACL SETUSER " SUBSCRIBER " reset on nopass ~* +@all &c*");
    ask_line(p, COMPARE_EXACT, "ACL SETUSER " PUBLISHER " reset on nopass ~* +@all &c1 &c2");
}

static void forget_users(struct pair *p) {
    ask_line(p, COMPARE_EXACT, "ACL DELUSER " SUBSCRIBER " " PUBLISHER);
}

/* ---- a life ---- */

static void session_open(struct session *s, struct side *side, bool resp3, bool limited) {
    *s = (struct session){ .side = side };
    s->subscriber = server_connect(side->server);
    s->publisher = server_connect(side->server);
    if (resp3) node_free(client_ask_node(s->subscriber, "HELLO 3"));
    if (!limited) return;
    node_free(client_ask_node(s->subscriber, "AUTH " SUBSCRIBER " x"));
    node_free(client_ask_node(s->publisher, "AUTH " PUBLISHER " x"));
}

static void session_close(struct session *s) {
    client_close(s->subscriber);
    client_close(s->publisher);
    batch_release(&s->batch);
}

/* One step, and what came of it; false if the subscriber's connection has ended. */
static bool take_step(struct pair *p, struct session *both, struct chance *c, struct words *w, bool limited) {
    static size_t marks;
    char mark[32];
    struct batch *r = &both[0].batch, *t = &both[1].batch;
    snprintf(mark, sizeof(mark), "mark-%zu-end", marks++);
    words_clear(w);
    bool subscriber = chance_of(c, 55);
    if (limited && chance_of(c, 20))
        rights_step(p, both, c, w, mark);
    else
        (subscriber ? subscriber_step : publisher_step)(both, c, w, mark);
    collect(&both[0], mark, 0);
    collect(&both[1], mark, r->message_count);
    if (subscriber) history_note("subscriber", w, NULL);
    sort_messages(r);
    sort_messages(t);
    compare_lists(w, r->replies, r->reply_count, t->replies, t->reply_count);
    compare_lists(w, r->messages, r->message_count, t->messages, t->message_count);
    if (r->ended != t->ended)
        report_difference(w, NULL, NULL, r->ended ? "the reference's end" : "Trivet's end");
    return !r->ended;
}

static void probe_pubsub(struct pair *p, struct chance *c) {
    struct session both[2];
    struct words w = { 0 };
    bool resp3 = chance_of(c, 50), limited = chance_of(c, 50), goes_on = true;
    if (limited) make_users(p);
    session_open(&both[0], &p->reference, resp3, limited);
    session_open(&both[1], &p->trivet, resp3, limited);
    for (int step = 0; step < STEPS && goes_on; step++) goes_on = take_step(p, both, c, &w, limited);
    session_close(&both[0]);
    session_close(&both[1]);
    if (limited) forget_users(p);
    words_release(&w);
}

const struct probe pubsub_probes[] = { { "pub/sub", probe_pubsub }, { NULL, NULL } };
