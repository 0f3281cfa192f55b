/* scenario.c: see scenario.h. */
#include "scenario.h"
#include "check.h"
#include "fail.h"
#include <stdio.h>
#include <stdlib.h>

void scenario_send_range(struct client *c, struct words *head, const char *prefix, int from, int to,
                         bool pairs) {
    for (int i = from; i < to; i++) {
        words_printf(head, "%s%d", prefix, i);
        if (pairs) words_printf(head, "%d", i);
    }
    client_queue_words(c, head);
    client_skip(c, 1);
    words_release(head);
}

/* ---- SCAN ---- */

static void note_page(const struct node *elements, size_t stride, bool *seen, size_t count) {
    for (size_t i = 0; i < elements->count; i += stride) {
        const char *element = text_str(&elements->items[i]->bytes);
        size_t number = (size_t)atoi(element + 1);
        if (number >= count) HARNESS_FAIL("'%s' was never added", element);
        seen[number] = true;
    }
}

#define PAGE 20

void scenario_scan(struct client *c, const char *command, size_t count, size_t stride) {
    bool *seen = calloc(count, sizeof *seen);
    struct text cursor = { 0 };
    text_append_str(&cursor, "0");
    do {
        struct node *page = client_ask_node(c, "%s %s COUNT %d", command, text_str(&cursor), PAGE);
        if (node_is_error(page) || page->count != 2) HARNESS_FAIL("%s: no page of a scan", command);
        text_clear(&cursor);
        text_append_str(&cursor, text_str(&page->items[0]->bytes));
        bool is_last = strcmp(text_str(&cursor), "0") == 0;
        if (!is_last && page->items[1]->count < PAGE * stride) HARNESS_FAIL("%s: a short page", command);
        note_page(page->items[1], stride, seen, count);
        node_free(page);
    } while (strcmp(text_str(&cursor), "0") != 0);
    for (size_t i = 0; i < count; i++)
        if (!seen[i]) HARNESS_FAIL("%s: number %zu was not met", command, i);
    text_release(&cursor);
    free(seen);
}

/* ---- events ---- */

static void check_event(struct client *ear, const char *expected) {
    static const char prefix[] = "__keyevent@0__:";
    struct node *n = client_read(ear);
    struct text got = { 0 };
    text_printf(&got, "%s %s", text_str(&n->items[2]->bytes) + strlen(prefix), text_str(&n->items[3]->bytes));
    if (strcmp(text_str(&got), expected) != 0)
        HARNESS_FAIL("event '%s' where '%s' was expected", text_str(&got), expected);
    text_release(&got);
    node_free(n);
}

void scenario_events(struct server *s, const char *classes, const char *const *commands,
                     const char *const *events) {
    struct client *c = server_connect(s), *ear = server_connect(s);
    client_ask(c, "CONFIG SET notify-keyspace-events %s", classes);
    assert_reply(ear, "PSUBSCRIBE __keyevent@0__:*", "*[$\"psubscribe\", ...");
    for (; *commands; commands++) client_ask(c, "%s", *commands);
    for (; *events; events++) check_event(ear, *events);
    assert_reply(c, "CONFIG SET notify-keyspace-events \"\"", "+OK");
    client_close(ear);
    client_close(c);
}

/* ---- the journal ---- */

#define BATCH 50

static void drop_replies(struct client *c, size_t count) {
    client_flush(c);
    for (; count > 0; count--) node_free(client_read(c));
}

void scenario_change(struct client *c, const struct random_changes *changes) {
    size_t templates = 0;
    while (changes->templates[templates]) templates++;
    const unsigned *below = changes->below;
    unsigned seed = 12345;
    for (size_t i = 1; i <= changes->count; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned roll = seed >> 8;
        char line[100];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof line, changes->templates[roll % templates], roll / 16 % below[0],
                 roll / 128 % below[1], roll / 512 % below[2]);
#pragma GCC diagnostic pop
        client_queue_line(c, line);
        if (i % BATCH == 0) drop_replies(c, BATCH);
    }
    drop_replies(c, changes->count % BATCH);
}

void scenario_kill(struct server *s, void (*describe)(struct client *c, struct text *out), size_t least) {
    struct text before = { 0 }, after = { 0 };
    struct client *c = server_connect(s);
    describe(c, &before);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    describe(c, &after);
    client_close(c);
    if (before.len < least) HARNESS_FAIL("only %zu bytes to compare", before.len);
    if (before.len != after.len || memcmp(before.ptr, after.ptr, before.len) != 0)
        HARNESS_FAIL("before\n%s\nafter\n%s", text_str(&before), text_str(&after));
    text_release(&before);
    text_release(&after);
}
