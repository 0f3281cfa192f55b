/* history.c: remembers the last commands and prints them when the sides differ. */
#include "differential.h"
#include <stdio.h>
#include <stdlib.h>

#define HISTORY 60
#define REPLY_SHOWN 200

static struct text lines[HISTORY];
static size_t noted;

static void append_reply(struct text *out, const struct node *reply, size_t room) {
    struct text text = { 0 };
    if (reply)
        node_describe(reply, &text);
    else
        text_append_str(&text, "(nothing)");
    text_append(out, text.ptr, text.len > room ? room : text.len);
    if (text.len > room) text_printf(out, "...(%zu)", text.len);
    text_release(&text);
}

void history_note(const char *connection, const struct words *command, const struct node *reference) {
    struct text *line = &lines[noted++ % HISTORY];
    text_clear(line);
    text_printf(line, "%-10s ", connection);
    words_describe(command, line);
    if (!reference) return;
    text_append_str(line, "   -> ");
    append_reply(line, reference, REPLY_SHOWN);
}

void report_difference(const struct words *command, const struct node *reference, const struct node *trivet,
                       const char *where) {
    struct text text = { 0 };
    printf("\nThe last commands and the reference's replies:\n");
    for (size_t i = noted > HISTORY ? noted - HISTORY : 0; i < noted; i++)
        printf("  %s\n", text_str(&lines[i % HISTORY]));
    words_describe(command, &text);
    printf("\nDIFFERENT on %s: %s\n", where, text_str(&text));
    text_clear(&text);
    append_reply(&text, reference, 4000);
    printf("  reference: %s\n", text_str(&text));
    text_clear(&text);
    append_reply(&text, trivet, 4000);
    printf("  trivet:    %s\n", text_str(&text));
    fflush(stdout);
    exit(EXIT_FAILURE);
}
