/* node.c: reads replies strictly: a wrong byte anywhere is NODE_BROKEN, which fails the test. */
#include "node.h"
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 64

struct cursor {
    struct slice in;
    size_t at;
    int depth;
};

static enum node_result parse_any(struct cursor *c, struct node **out);

void node_free(struct node *n) {
    if (!n) return;
    for (size_t i = 0; i < n->count; i++) node_free(n->items[i]);
    free(n->items);
    node_free(n->described);
    text_release(&n->bytes);
    free(n);
}

static struct node *node_new(char kind) {
    struct node *n = calloc(1, sizeof(*n));
    if (!n) abort();
    n->kind = kind;
    return n;
}

/* The line at the cursor without its CRLF; moves past it. */
static enum node_result read_line(struct cursor *c, struct slice *line) {
    const char *begin = c->in.ptr + c->at;
    const char *end = memchr(begin, '\n', c->in.len - c->at);
    if (!end) return NODE_MORE;
    if (end == begin || end[-1] != '\r') return NODE_BROKEN;
    *line = slice_between(begin, end - 1);
    c->at += (size_t)(end + 1 - begin);
    return NODE_READY;
}

static bool parse_number(struct slice line, int64_t *out) {
    char digits[32], *end;
    if (line.len == 0 || line.len >= sizeof(digits)) return false;
    memcpy(digits, line.ptr, line.len);
    digits[line.len] = '\0';
    *out = strtoll(digits, &end, 10);
    return *end == '\0' && digits[0] != '+' && digits[0] != ' ';
}

static enum node_result parse_bulk(struct cursor *c, struct node *n, int64_t len) {
    if (len == -1 && n->kind == '$') {
        n->null = true;
        return NODE_READY;
    }
    if (len < 0) return NODE_BROKEN;
    if (c->in.len - c->at < (size_t)len + 2) return NODE_MORE;
    const char *begin = c->in.ptr + c->at;
    if (memcmp(begin + len, "\r\n", 2) != 0) return NODE_BROKEN;
    text_append(&n->bytes, begin, (size_t)len);
    c->at += (size_t)len + 2;
    return NODE_READY;
}

static enum node_result parse_items(struct cursor *c, struct node *n, int64_t count) {
    if (count == -1 && n->kind == '*') {
        n->null = true;
        return NODE_READY;
    }
    if (count < 0 || c->depth >= DEPTH_MAX) return NODE_BROKEN;
    size_t wanted = (size_t)count * (n->kind == '%' || n->kind == '|' ? 2 : 1);
    if (wanted > c->in.len) return NODE_MORE; /* each item takes at least one byte */
    n->items = calloc(wanted + 1, sizeof(n->items[0]));
    if (!n->items) abort();
    c->depth++;
    for (; n->count < wanted; n->count++) {
        enum node_result result = parse_any(c, &n->items[n->count]);
        if (result != NODE_READY) return result;
    }
    c->depth--;
    return n->kind == '|' ? parse_any(c, &n->described) : NODE_READY;
}

static enum node_result parse_body(struct cursor *c, struct node *n, struct slice line) {
    int64_t number = 0;
    switch (n->kind) {
    case '+':
    case '-':
    case ',':
    case '(': text_append(&n->bytes, line.ptr, line.len); return NODE_READY;
    case '_': return line.len == 0 ? NODE_READY : NODE_BROKEN;
    case '#':
        text_append(&n->bytes, line.ptr, line.len);
        return line.len == 1 && (line.ptr[0] == 't' || line.ptr[0] == 'f') ? NODE_READY : NODE_BROKEN;
    case ':': return parse_number(line, &n->number) ? NODE_READY : NODE_BROKEN;
    case '$':
    case '=':
    case '!': return parse_number(line, &number) ? parse_bulk(c, n, number) : NODE_BROKEN;
    case '*':
    case '~':
    case '>':
    case '%':
    case '|': return parse_number(line, &number) ? parse_items(c, n, number) : NODE_BROKEN;
    default: return NODE_BROKEN;
    }
}

static enum node_result parse_any(struct cursor *c, struct node **out) {
    if (c->at == c->in.len) return NODE_MORE;
    char kind = c->in.ptr[c->at];
    if (!strchr("+-,(_#:$=!*~>%|", kind) || kind == '\0') return NODE_BROKEN;
    c->at++;
    struct slice line;
    enum node_result result = read_line(c, &line);
    if (result != NODE_READY) return result;
    struct node *n = node_new(kind);
    result = parse_body(c, n, line);
    if (result == NODE_READY)
        *out = n;
    else
        node_free(n);
    return result;
}

enum node_result node_parse(struct slice bytes, struct node **out, size_t *used) {
    struct cursor c = { .in = bytes };
    enum node_result result = parse_any(&c, out);
    if (result == NODE_READY) *used = c.at;
    return result;
}

static void describe_pairs(const struct node *n, struct text *out) {
    text_printf(out, "%c{", n->kind);
    for (size_t i = 0; i < n->count; i++) {
        if (i > 0) text_append_str(out, i % 2 ? ": " : ", ");
        node_describe(n->items[i], out);
    }
    text_append_char(out, '}');
    if (!n->described) return;
    text_append_char(out, ' ');
    node_describe(n->described, out);
}

static void describe_items(const struct node *n, struct text *out) {
    text_printf(out, "%c[", n->kind);
    for (size_t i = 0; i < n->count; i++) {
        if (i > 0) text_append_str(out, ", ");
        node_describe(n->items[i], out);
    }
    text_append_char(out, ']');
}

void node_describe(const struct node *n, struct text *out) {
    if (n->null) {
        text_printf(out, "%c-1", n->kind);
        return;
    }
    switch (n->kind) {
    case ':': text_printf(out, ":%lld", (long long)n->number); break;
    case '_': text_append_char(out, '_'); break;
    case '$':
    case '=':
    case '!':
        text_append_char(out, n->kind);
        text_append_quoted(out, text_slice(&n->bytes));
        break;
    case '*':
    case '~':
    case '>': describe_items(n, out); break;
    case '%':
    case '|': describe_pairs(n, out); break;
    default: text_printf(out, "%c%s", n->kind, text_str(&n->bytes));
    }
}

static int compare_nodes(const void *a, const void *b) {
    struct text left = { 0 }, right = { 0 };
    node_describe(*(struct node *const *)a, &left);
    node_describe(*(struct node *const *)b, &right);
    int order = slice_compare(text_slice(&left), text_slice(&right));
    text_release(&left);
    text_release(&right);
    return order;
}

void node_sort(struct node *n) {
    if (n->kind != '%' && n->kind != '|' && n->count > 1)
        qsort(n->items, n->count, sizeof(n->items[0]), compare_nodes);
}

bool node_is_error(const struct node *n) { return n->kind == '-' || n->kind == '!'; }

const struct node *node_lookup(const struct node *n, const char *key) {
    for (size_t i = 0; i + 1 < n->count; i += 2)
        if (slice_equal(text_slice(&n->items[i]->bytes), slice_of(key))) return n->items[i + 1];
    return NULL;
}

static int compare_pairs(const void *a, const void *b) {
    struct text left = { 0 }, right = { 0 };
    for (size_t i = 0; i < 2; i++) node_describe(((struct node *const *)a)[i], &left);
    for (size_t i = 0; i < 2; i++) node_describe(((struct node *const *)b)[i], &right);
    int order = slice_compare(text_slice(&left), text_slice(&right));
    text_release(&left);
    text_release(&right);
    return order;
}

void node_sort_deep(struct node *n) {
    for (size_t i = 0; i < n->count; i++) node_sort_deep(n->items[i]);
    if (n->kind == '%')
        qsort(n->items, n->count / 2, 2 * sizeof n->items[0], compare_pairs);
    else
        node_sort(n);
}

static bool is_named(const struct node *n, const char *const *names) {
    for (; *names; names++)
        if (n->kind == '$' && slice_equal(text_slice(&n->bytes), slice_of(*names))) return true;
    return false;
}

static void drop_pair(struct node *n, size_t at) {
    node_free(n->items[at]);
    node_free(n->items[at + 1]);
    n->count -= 2;
    for (size_t i = at; i < n->count; i++) n->items[i] = n->items[i + 2];
}

void node_drop_fields(struct node *n, const char *const *names) {
    for (size_t i = 0; i + 1 < n->count;) {
        if (is_named(n->items[i], names))
            drop_pair(n, i);
        else
            i++;
    }
    for (size_t i = 0; i < n->count; i++) node_drop_fields(n->items[i], names);
}
