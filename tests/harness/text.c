/* text.c: growing strings, and command lines split and quoted as redis-cli does. */
#include "text.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define WORD_SHOWN_MAX 100 /* bytes of one word that a message shows */

void text_release(struct text *t) {
    free(t->ptr);
    *t = (struct text){ 0 };
}

void text_clear(struct text *t) {
    t->len = 0;
    if (t->ptr) t->ptr[0] = '\0';
}

char *text_reserve(struct text *t, size_t extra) {
    size_t needed = t->len + extra + 1;
    if (needed > t->room) {
        size_t room = t->room * 2 > needed ? t->room * 2 : needed;
        t->ptr = realloc(t->ptr, room < 32 ? 32 : room);
        if (!t->ptr) abort();
        t->room = room < 32 ? 32 : room;
        t->ptr[t->len] = '\0';
    }
    return t->ptr + t->len;
}

void text_append(struct text *t, const void *bytes, size_t len) {
    char *end = text_reserve(t, len);
    if (len) memcpy(end, bytes, len);
    t->len += len;
    t->ptr[t->len] = '\0';
}

void text_append_str(struct text *t, const char *str) { text_append(t, str, strlen(str)); }

void text_append_char(struct text *t, char c) { text_append(t, &c, 1); }

void text_vprintf(struct text *t, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0) abort();
    vsnprintf(text_reserve(t, (size_t)len), (size_t)len + 1, format, args);
    t->len += (size_t)len;
}

void text_printf(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_vprintf(t, format, args);
    va_end(args);
}

static void append_escaped(struct text *t, unsigned char c) {
    switch (c) {
    case '\n': text_append_str(t, "\\n"); break;
    case '\r': text_append_str(t, "\\r"); break;
    case '\t': text_append_str(t, "\\t"); break;
    case '"': text_append_str(t, "\\\""); break;
    case '\\': text_append_str(t, "\\\\"); break;
    default:
        if (c >= ' ' && c < 127)
            text_append_char(t, (char)c);
        else
            text_printf(t, "\\x%02x", c);
    }
}

void text_append_quoted(struct text *t, struct slice bytes) {
    text_append_char(t, '"');
    for (size_t i = 0; i < bytes.len; i++) append_escaped(t, (unsigned char)bytes.ptr[i]);
    text_append_char(t, '"');
}

void text_drop_front(struct text *t, size_t count) {
    if (count == 0) return;
    memmove(t->ptr, t->ptr + count, t->len - count + 1);
    t->len -= count;
}

const char *text_str(const struct text *t) { return t->ptr ? t->ptr : ""; }

bool text_matches(const char *pattern, const char *text) {
    const char *any = strstr(pattern, "...");
    if (!any) return strcmp(pattern, text) == 0;
    size_t head = (size_t)(any - pattern);
    if (strncmp(pattern, text, head) != 0) return false;
    for (const char *rest = text + head;; rest++) {
        if (text_matches(any + 3, rest)) return true;
        if (*rest == '\0') return false;
    }
}

void words_release(struct words *w) {
    for (size_t i = 0; i < w->room; i++) text_release(&w->items[i]);
    free(w->items);
    *w = (struct words){ 0 };
}

void words_clear(struct words *w) { w->count = 0; }

/* An empty new word at the end; its memory may be that of an earlier command's word. */
static struct text *words_next(struct words *w) {
    if (w->count == w->room) {
        size_t room = w->room ? w->room * 2 : 8;
        w->items = realloc(w->items, room * sizeof(w->items[0]));
        if (!w->items) abort();
        memset(w->items + w->room, 0, (room - w->room) * sizeof(w->items[0]));
        w->room = room;
    }
    struct text *word = &w->items[w->count++];
    text_reserve(word, 0);
    text_clear(word);
    return word;
}

void words_add(struct words *w, const void *bytes, size_t len) { text_append(words_next(w), bytes, len); }

void words_add_str(struct words *w, const char *str) { words_add(w, str, strlen(str)); }

void words_printf(struct words *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_vprintf(words_next(w), format, args);
    va_end(args);
}

void words_copy(struct words *to, const struct words *from) {
    words_clear(to);
    for (size_t i = 0; i < from->count; i++) words_add(to, from->items[i].ptr, from->items[i].len);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads the escape that follows a backslash at `at`; returns the first byte after it. */
static const char *read_escape(struct text *word, const char *at) {
    if (at[0] == 'x' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
        text_append_char(word, (char)(hex_digit(at[1]) * 16 + hex_digit(at[2])));
        return at + 3;
    }
    static const char names[] = "nrtba", bytes[] = "\n\r\t\b\a";
    const char *name = strchr(names, at[0]);
    text_append_char(word, name && *name ? bytes[name - names] : at[0]);
    return at + 1;
}

/* Reads up to the closing quote; returns the byte after it, NULL if there is none. */
static const char *read_quoted(struct text *word, const char *at, char quote) {
    while (*at && *at != quote) {
        if (*at != '\\' || at[1] == '\0') {
            text_append_char(word, *at++);
        } else if (quote == '"') {
            at = read_escape(word, at + 1);
        } else {
            bool escaped_quote = at[1] == '\'';
            text_append_char(word, escaped_quote ? '\'' : '\\');
            at += escaped_quote ? 2 : 1;
        }
    }
    return *at == quote ? at + 1 : NULL;
}

static const char *read_word(struct text *word, const char *at) {
    while (at && *at && !isspace((unsigned char)*at)) {
        if (*at == '"' || *at == '\'')
            at = read_quoted(word, at + 1, *at);
        else
            text_append_char(word, *at++);
    }
    return at;
}

bool words_split(struct words *w, const char *line) {
    words_clear(w);
    for (;;) {
        while (isspace((unsigned char)*line)) line++;
        if (*line == '\0') return true;
        line = read_word(words_next(w), line);
        if (!line) return false;
    }
}

static bool needs_quotes(struct slice word) {
    if (word.len == 0) return true;
    for (size_t i = 0; i < word.len; i++)
        if (!isgraph((unsigned char)word.ptr[i]) || strchr("\"'\\", word.ptr[i])) return true;
    return false;
}

static void describe_word(struct slice word, struct text *out) {
    struct slice shown = { word.ptr, word.len > WORD_SHOWN_MAX ? WORD_SHOWN_MAX : word.len };
    if (needs_quotes(shown))
        text_append_quoted(out, shown);
    else
        text_append(out, shown.ptr, shown.len);
    if (shown.len < word.len) text_printf(out, "...(%zu bytes)", word.len);
}

void words_describe(const struct words *w, struct text *out) {
    for (size_t i = 0; i < w->count; i++) {
        if (i > 0) text_append_char(out, ' ');
        describe_word(text_slice(&w->items[i]), out);
    }
}
