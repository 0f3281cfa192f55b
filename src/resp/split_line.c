/* split_line.c: a line of words and quotes to arguments, as inline commands and config files write them.
 *
 * Outside quotes a word is any bytes but blanks. "..." knows \n \r \t \b \a, \xHH and \ before any other
 * byte; '...' knows only \'. Quoted and bare parts that touch are one word, as in a shell.
 *
 * A word with its NUL is never longer than what was written for it, separator included; the last word may
 * take one byte more. So the text of all words fits in one allocation made at the start. */
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/resp/parser.h"

struct option_words {
    const char *at;
    const char *end;
    char *out; /* where the next byte of text goes */
};

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool ends_word(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static char escaped(char c) {
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
    }
}

/* One escape of a double-quoted word; w->at is after the backslash and before the end. */
static void read_escape(struct option_words *w) {
    int high = -1, low = -1;
    if (*w->at == 'x' && w->end - w->at >= 3) {
        high = hex_digit(w->at[1]);
        low = hex_digit(w->at[2]);
    }
    if (high >= 0 && low >= 0) {
        *w->out++ = (char)(high * 16 + low);
        w->at += 3;
    } else {
        *w->out++ = escaped(*w->at++);
    }
}

/* The rest of a quoted part; w->at is after the opening quote. False if the quote is not closed. */
static bool read_quoted(struct option_words *w, char quote) {
    while (w->at < w->end && *w->at != quote) {
        bool more = w->end - w->at >= 2;
        if (quote == '"' && *w->at == '\\' && more) {
            w->at++;
            read_escape(w);
        } else if (quote == '\'' && *w->at == '\\' && more && w->at[1] == '\'') {
            *w->out++ = '\'';
            w->at += 2;
        } else {
            *w->out++ = *w->at++;
        }
    }
    if (w->at == w->end) return false;
    w->at++;
    return true;
}

/* The word at w->at, which is not a blank. After a closing quote, vertical tab and form feed end it too. */
static bool read_word(struct option_words *w, struct slice *word) {
    char *start = w->out;
    while (w->at < w->end && !ends_word(*w->at)) {
        char c = *w->at++;
        if (c != '"' && c != '\'') {
            *w->out++ = c;
            continue;
        }
        if (!read_quoted(w, c)) return false;
        if (w->at < w->end && is_blank(*w->at)) break;
    }
    *word = slice_between(start, w->out);
    *w->out++ = '\0';
    return true;
}

static void push_word(struct slice **argv, size_t *argc, size_t *room, struct slice word) {
    GROW(*argv, *argc, room, 16);
    (*argv)[(*argc)++] = word;
}

bool split_line(struct slice line, struct slice **argv, size_t *argc, char **text) {
    struct slice *list = NULL;
    size_t count = 0, room = 0;
    char *store = mem_alloc(line.len + 1);
    struct option_words w = { line.ptr, line.ptr + line.len, store };
    for (;;) {
        while (w.at < w.end && is_blank(*w.at)) w.at++;
        if (w.at == w.end) break;
        struct slice word;
        if (!read_word(&w, &word)) {
            mem_free(list);
            mem_free(store);
            return false;
        }
        push_word(&list, &count, &room, word);
    }
    if (count == 0) {
        mem_free(store);
        store = NULL;
    }
    *argv = list;
    *argc = count;
    *text = store;
    return true;
}
