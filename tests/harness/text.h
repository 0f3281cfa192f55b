/* text.h: a growing string for the tests, always NUL-terminated, with any byte inside.
 *
 * The harness shares no code with the server but slices, so that a fault in the server's own buffers
 * cannot hide itself from the tests. A zeroed struct is an empty text; text_release() frees it. */
#ifndef TESTS_HARNESS_TEXT_H
#define TESTS_HARNESS_TEXT_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdarg.h>

struct text {
    char *ptr;
    size_t len;  /* bytes in use, without the NUL */
    size_t room; /* bytes allocated */
};

void text_release(struct text *t);
void text_clear(struct text *t);
/* Makes room for `extra` more bytes and a NUL; returns where they go. */
char *text_reserve(struct text *t, size_t extra);
void text_append(struct text *t, const void *bytes, size_t len);
void text_append_str(struct text *t, const char *str);
void text_append_char(struct text *t, char c);
void text_printf(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
void text_vprintf(struct text *t, const char *format, va_list args) PRINTF_LIKE(2, 0);
/* In double quotes, with \n \r \t \" \\ and \xHH for the rest that does not print. */
void text_append_quoted(struct text *t, struct slice bytes);
void text_drop_front(struct text *t, size_t count);
/* The contents, never NULL. */
const char *text_str(const struct text *t);

static inline struct slice text_slice(const struct text *t) { return (struct slice){ t->ptr, t->len }; }

/* Does `text` match `pattern`, in which "..." stands for any run of characters? */
bool text_matches(const char *pattern, const char *text);

/* The words of one command. They own their bytes. */
struct words {
    struct text *items;
    size_t count, room;
};

void words_release(struct words *w);
void words_clear(struct words *w); /* keeps the memory for the next command */
void words_add(struct words *w, const void *bytes, size_t len);
void words_add_str(struct words *w, const char *str);
void words_printf(struct words *w, const char *format, ...) PRINTF_LIKE(2, 3);
void words_copy(struct words *to, const struct words *from);
/* Splits a line as redis-cli does: spaces part words, "..." with \xHH \n \r \t escapes, '...' with \' only.
 * False if a quote is left open. */
MUST_CHECK bool words_split(struct words *w, const char *line);
/* The words as one line for messages; long ones are cut in the middle. */
void words_describe(const struct words *w, struct text *out);

#endif
