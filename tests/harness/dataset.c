/* dataset.c: see dataset.h. Keys are compared a batch at a time, by DEBUG DIGEST-VALUE and PEXPIRETIME; what
 * no digest knows of streams and functions is compared as text. */
#include "dataset.h"
#include "fail.h"
#include <stdio.h>
#include <stdlib.h>

#define DATABASES 16
#define SHOWN 600 /* bytes of a value in a message */

struct sides {
    struct client *a, *b;
    unsigned without;
    int database;
    struct text *difference;
};

/* ---- one key ---- */

static void queue_about(struct client *c, const char *before, const struct text *key) {
    struct words w = { 0 };
    if (!words_split(&w, before)) abort();
    words_add(&w, key->ptr, key->len);
    client_queue_words(c, &w);
    words_release(&w);
}

static struct node *ask_about(struct client *c, const char *before, const struct text *key) {
    queue_about(c, before, key);
    client_flush(c);
    return client_read(c);
}

static void add_reply(struct text *out, struct client *c, const char *before, const struct text *key) {
    struct node *reply = ask_about(c, before, key);
    struct text text = { 0 };
    node_describe(reply, &text);
    text_printf(out, " %.*s", SHOWN, text_str(&text));
    text_release(&text);
    node_free(reply);
}

static void describe_side(struct text *out, struct client *c, const char *which, const struct text *key) {
    struct node *type = ask_about(c, "TYPE", key);
    const char *name = text_str(&type->bytes);
    text_printf(out, "\n  the %s:", which);
    add_reply(out, c, "TYPE", key);
    add_reply(out, c, "OBJECT ENCODING", key);
    add_reply(out, c, "PEXPIRETIME", key);
    add_reply(out, c, "DEBUG DIGEST-VALUE", key);
    if (strcmp(name, "string") == 0) add_reply(out, c, "GET", key);
    if (strcmp(name, "hash") == 0) add_reply(out, c, "HGETALL", key);
    if (strcmp(name, "set") == 0) add_reply(out, c, "SMEMBERS", key);
    if (strcmp(name, "list") == 0) add_reply(out, c, "SORT", key);
    if (strcmp(name, "stream") == 0) add_reply(out, c, "XINFO STREAM", key);
    if (strcmp(name, "zset") == 0) add_reply(out, c, "ZCARD", key);
    node_free(type);
}

static void report_key(const struct sides *s, const struct text *key) {
    text_printf(s->difference, "database %d, key ", s->database);
    text_append_quoted(s->difference, text_slice(key));
    describe_side(s->difference, s->a, "one", key);
    describe_side(s->difference, s->b, "other", key);
}

/* ---- streams and functions ---- */

/* Leaves the ids, and the consumers, of what is pending. */
static void drop_deliveries(struct node *n) {
    for (size_t i = 0; i < n->count; i++) drop_deliveries(n->items[i]);
    bool entry = n->count > 2 && n->items[n->count - 1]->kind == ':' && n->items[n->count - 2]->kind == ':';
    if (!entry) return;
    node_free(n->items[--n->count]);
    node_free(n->items[--n->count]);
}

/* Without what each server counts in its own way, and what is never replicated. */
static void describe_stream(struct client *c, const struct text *key, unsigned without, struct text *out) {
    static const char *const own[] = { "radix-tree-keys", "radix-tree-nodes", "seen-time", "active-time",
                                       NULL };
    static const char *const counts[] = { "entries-read", "lag", NULL };
    struct words w = { 0 };
    words_add_str(&w, "XINFO");
    words_add_str(&w, "STREAM");
    words_add(&w, key->ptr, key->len);
    words_add_str(&w, "FULL");
    words_add_str(&w, "COUNT");
    words_add_str(&w, "0");
    client_queue_words(c, &w);
    client_flush(c);
    struct node *all = client_read(c);
    node_drop_fields(all, own);
    if (without & DATASET_WITHOUT_COUNTS) node_drop_fields(all, counts);
    if (without & DATASET_WITHOUT_DELIVERIES) drop_deliveries(all);
    text_clear(out);
    node_describe(all, out);
    node_free(all);
    words_release(&w);
}

/* Where two texts part, with what stands around there. */
static void describe_parting(const struct text *a, const struct text *b, struct text *difference) {
    size_t at = 0;
    while (at < a->len && at < b->len && a->ptr[at] == b->ptr[at]) at++;
    size_t from = at < 200 ? 0 : at - 200;
    text_printf(difference, "\n  the one: ...%.*s", SHOWN, text_str(a) + from);
    text_printf(difference, "\n  the other: ...%.*s", SHOWN, text_str(b) + from);
}

static bool same_stream(const struct sides *s, const struct text *key) {
    struct text one = { 0 }, other = { 0 };
    describe_stream(s->a, key, s->without, &one);
    describe_stream(s->b, key, s->without, &other);
    bool same = slice_equal(text_slice(&one), text_slice(&other));
    if (!same) {
        text_printf(s->difference, "database %d, stream ", s->database);
        text_append_quoted(s->difference, text_slice(key));
        describe_parting(&one, &other, s->difference);
    }
    text_release(&one);
    text_release(&other);
    return same;
}

static void describe_functions(struct client *c, struct text *out) {
    struct node *all = client_ask_node(c, "FUNCTION LIST WITHCODE");
    node_sort_deep(all);
    node_describe(all, out);
    node_free(all);
}

static bool same_functions(const struct sides *s) {
    struct text one = { 0 }, other = { 0 };
    describe_functions(s->a, &one);
    describe_functions(s->b, &other);
    bool same = slice_equal(text_slice(&one), text_slice(&other));
    if (!same) {
        text_append_str(s->difference, "functions");
        describe_parting(&one, &other, s->difference);
    }
    text_release(&one);
    text_release(&other);
    return same;
}

/* ---- keys ---- */

/* The digests of all keys, then time and type of each. */
static void queue_batch(struct client *c, const struct node *keys) {
    struct words w = { 0 };
    words_add_str(&w, "DEBUG");
    words_add_str(&w, "DIGEST-VALUE");
    for (size_t i = 0; i < keys->count; i++)
        words_add(&w, keys->items[i]->bytes.ptr, keys->items[i]->bytes.len);
    client_queue_words(c, &w);
    for (size_t i = 0; i < keys->count; i++) {
        queue_about(c, "PEXPIRETIME", &keys->items[i]->bytes);
        queue_about(c, "TYPE", &keys->items[i]->bytes);
    }
    client_flush(c);
    words_release(&w);
}

static bool same_texts(const struct node *a, const struct node *b) {
    return a->kind == b->kind && a->number == b->number &&
           slice_equal(text_slice(&a->bytes), text_slice(&b->bytes));
}

/* Index of the first key that differs, or their number; notes which are streams. */
static size_t read_batch(struct client *a, struct client *b, size_t count, bool *is_stream) {
    struct node *one = client_read(a), *other = client_read(b);
    if (one->kind != '*' || other->kind != '*' || one->count != count || other->count != count)
        HARNESS_FAIL("DEBUG DIGEST-VALUE does not answer as it should: %c %c", one->kind, other->kind);
    size_t first = count;
    for (size_t i = 0; i < count; i++) {
        struct node *times[] = { client_read(a), client_read(b) };
        struct node *types[] = { client_read(a), client_read(b) };
        bool same = same_texts(one->items[i], other->items[i]) && same_texts(times[0], times[1]) &&
                    same_texts(types[0], types[1]);
        is_stream[i] = strcmp(text_str(&types[0]->bytes), "stream") == 0;
        if (!same && first == count) first = i;
        for (size_t j = 0; j < 2; j++) node_free(times[j]), node_free(types[j]);
    }
    node_free(one);
    node_free(other);
    return first;
}

static bool same_batch(const struct sides *s, const struct node *keys) {
    if (keys->count == 0) return true;
    bool *is_stream = calloc(keys->count, sizeof is_stream[0]);
    if (!is_stream) abort();
    queue_batch(s->a, keys);
    queue_batch(s->b, keys);
    size_t first = read_batch(s->a, s->b, keys->count, is_stream);
    bool same = first == keys->count;
    if (!same) report_key(s, &keys->items[first]->bytes);
    for (size_t i = 0; i < keys->count && same; i++)
        if (is_stream[i]) same = same_stream(s, &keys->items[i]->bytes);
    free(is_stream);
    return same;
}

/* All keys that `from` has are the same on both. */
static bool same_keys(const struct sides *s, struct client *from) {
    struct text cursor = { 0 };
    text_append_char(&cursor, '0');
    bool same = true;
    do {
        struct node *page = client_ask_node(from, "SCAN %s COUNT 1000", text_str(&cursor));
        if (page->kind != '*' || page->count != 2) HARNESS_FAIL("SCAN: %s", text_str(&page->bytes));
        text_clear(&cursor);
        text_append_str(&cursor, text_str(&page->items[0]->bytes));
        same = same_batch(s, page->items[1]);
        node_free(page);
    } while (same && strcmp(text_str(&cursor), "0") != 0);
    text_release(&cursor);
    return same;
}

static bool same_database(const struct sides *s) {
    client_ask(s->a, "SELECT %d", s->database);
    client_ask(s->b, "SELECT %d", s->database);
    if (!same_keys(s, s->a)) return false;
    int64_t one = client_ask_int(s->a, "DBSIZE"), other = client_ask_int(s->b, "DBSIZE");
    if (one == other) return true;
    if (!same_keys(s, s->b)) return false;
    text_printf(s->difference, "database %d: %lld keys and %lld", s->database, (long long)one,
                (long long)other);
    return false;
}

static bool same_digest(const struct sides *s) {
    char one[48];
    snprintf(one, sizeof one, "%s", client_ask(s->a, "DEBUG DIGEST"));
    const char *other = client_ask(s->b, "DEBUG DIGEST");
    if (one[0] == '+' && strcmp(one, other) == 0) return true;
    text_printf(s->difference, "DEBUG DIGEST %s and %s, though all keys are the same", one, other);
    return false;
}

bool dataset_same(struct client *a, struct client *b, unsigned without, struct text *difference) {
    struct sides s = { .a = a, .b = b, .without = without, .difference = difference };
    text_clear(difference);
    for (; s.database < DATABASES; s.database++)
        if (!same_database(&s)) return false;
    return same_functions(&s) && same_digest(&s);
}

void dataset_fill(struct client *c, int keys) {
    for (int i = 0; i < keys; i++) client_queue(c, "SET key:%d value:%d", i, i);
    client_flush(c);
    client_skip(c, (size_t)keys);
}
