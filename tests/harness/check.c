/* check.c: comparisons of replies that print what they wanted and what they got. */
#include "check.h"
#include "fail.h"
#include <stdio.h>
#include <stdlib.h>

#define SOON_TRIES 3000
#define SOON_PAUSE_MS 10

/* ":90..100" */
static bool matches_range(const char *expected, const char *got) {
    long long low, high, number;
    int expected_used = 0, got_used = 0;
    if (sscanf(expected, ":%lld..%lld%n", &low, &high, &expected_used) != 2 || expected[expected_used])
        return false;
    if (sscanf(got, ":%lld%n", &number, &got_used) != 1 || got[got_used]) return false;
    return number >= low && number <= high;
}

static bool matches(const char *expected, const char *got) {
    return text_matches(expected, got) || matches_range(expected, got);
}

static void compare(const char *command, const char *expected, const char *got, const char *file, int line) {
    if (matches(expected, got)) return;
    harness_fail(file, line, "    command  %s\n    expected %s\n    got      %s", command, expected, got);
}

void check_reply(struct client *c, const char *command, const char *expected, const char *file, int line) {
    client_queue_line(c, command);
    client_flush(c);
    compare(command, expected, client_read_text(c), file, line);
}

void check_reply_sorted(struct client *c, const char *command, const char *expected, const char *file,
                        int line) {
    client_queue_line(c, command);
    client_flush(c);
    struct node *reply = client_read(c);
    struct text got = { 0 };
    node_sort(reply);
    node_describe(reply, &got);
    compare(command, expected, text_str(&got), file, line);
    text_release(&got);
    node_free(reply);
}

void check_next(struct client *c, const char *expected, const char *file, int line) {
    compare("(the next reply)", expected, client_read_text(c), file, line);
}

void check_exchanges(struct client *c, const struct exchange *rows, const char *file, int line) {
    for (; rows->command; rows++) check_reply(c, rows->command, rows->reply, file, line);
}

void check_reply_soon(struct client *c, const char *command, const char *expected, const char *file,
                      int line) {
    const char *got = "";
    for (int i = 0; i < SOON_TRIES; i++) {
        client_queue_line(c, command);
        client_flush(c);
        got = client_read_text(c);
        if (matches(expected, got)) return;
        if (strcmp(got, CONNECTION_CLOSED) == 0) break; /* nothing else will come */
        pause_ms(SOON_PAUSE_MS);
    }
    compare(command, expected, got, file, line);
}

void check_waits(struct client *c, struct client *waiter, const char *command, const char *file, int line) {
    char list[64];
    snprintf(list, sizeof list, "CLIENT LIST ID %lld FLAGS b",
             (long long)client_ask_int(waiter, "CLIENT ID"));
    client_send(waiter, "%s", command);
    check_reply_soon(c, list, "$\"id=...", file, line);
}

void check_ended(struct client *c, const char *file, int line) {
    if (!client_ended(c)) harness_fail(file, line, "the connection goes on: %s", client_read_text(c));
}

const char *info_field(struct client *c, const char *section, const char *field) {
    static struct text value;
    struct node *reply = client_ask_node(c, "INFO %s", section);
    struct text label = { 0 };
    text_printf(&label, "\n%s:", field);
    text_clear(&value);
    const char *at = strstr(text_str(&reply->bytes), text_str(&label));
    if (at) {
        at += label.len;
        text_append(&value, at, strcspn(at, "\r\n"));
    }
    text_release(&label);
    node_free(reply);
    return text_str(&value);
}

int64_t info_number(struct client *c, const char *section, const char *field) {
    return strtoll(info_field(c, section, field), NULL, 10);
}

void check_info(struct client *c, const char *section, const char *field, const char *value, const char *file,
                int line) {
    compare(field, value, info_field(c, section, field), file, line);
}

void check_info_soon(struct client *c, const char *section, const char *field, const char *value,
                     const char *file, int line) {
    int64_t deadline_ms = deadline_after(AWAIT_PATIENCE_MS);
    while (!matches(value, info_field(c, section, field)) && !deadline_has_passed(deadline_ms)) pause_ms(1);
    check_info(c, section, field, value, file, line);
}
