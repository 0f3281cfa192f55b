/* sort.c: SORT and SORT_RO: the elements of a list, set or sorted set, by themselves or by what other keys
 * hold.
 *
 * A pattern ("weight_*", "user:*->age") becomes a key by putting the element in place of its first star;
 * behind "->" stands a field of the hash there. Such keys are not among the arguments, so the command runs
 * alone. All texts are copied into one buffer, and what is sorted are small records that point into it. */
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/access/permission.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/zset.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Where a text is in the buffer. */
struct span {
    size_t at, len;
};

struct sorted {
    struct span text;
    struct span by; /* of ALPHA with BY */
    bool has_by;
    double score; /* without ALPHA */
    size_t place; /* before sorting */
};

struct sort {
    struct call *call;
    bool descending, alpha, unsorted;
    bool of_set;             /* no order of its own: equal weights are told apart by the elements */
    struct slice by, store;  /* ptr NULL: not given */
    int64_t offset, count;   /* of LIMIT; count -1: all */
    size_t *gets, get_count; /* arguments that are GET patterns */
    struct sorted *items;
    size_t item_count, room, begin, end; /* begin..end - 1 is wanted */
    struct buf texts, key;
};

/* ---- arguments ---- */

static bool read_limit(struct sort *s, size_t at) {
    struct call *c = s->call;
    return integer_argument(c, at + 1, &s->offset) && integer_argument(c, at + 2, &s->count);
}

/* A pattern leads to keys that nobody knows before: only who may read them all may use it, and in a cluster
 * they must be in the slot of the key that is sorted. */
static bool may_look_up(struct sort *s, const char *option, struct slice pattern) {
    const struct call *c = s->call;
    const struct user *u = c->client->user;
    bool is_bound = options.cluster_enabled && !c->origin->is_replay && !slice_equal(pattern, LIT("#"));
    if (is_bound && slot_of_pattern(pattern) != (int32_t)slot_of_key(c->argv[1])) {
        reply_error_printf(
            c->out,
            "ERR %s option of SORT denied in Cluster mode when keys formed by the pattern may be in "
            "different slots.",
            option);
        return false;
    }
    if (LIKELY(u->is_unlimited) || c->origin->is_replay) return true;
    if (permission_to_read_all(u, c->command, c->argv, c->argc)) return true;
    reply_error_printf(c->out, "ERR %s option of SORT denied due to insufficient ACL permissions.", option);
    return false;
}

/* One option at *at, which is moved to its last argument. False after replying what is wrong. */
static bool read_option(struct sort *s, size_t *at, bool may_store) {
    struct call *c = s->call;
    size_t i = *at, left = c->argc - i - 1;
    if (call_is(c, i, "ASC")) {
        s->descending = false;
    } else if (call_is(c, i, "DESC")) {
        s->descending = true;
    } else if (call_is(c, i, "ALPHA")) {
        s->alpha = true;
    } else if (call_is(c, i, "LIMIT") && left >= 2) {
        *at += 2;
        return read_limit(s, i);
    } else if (may_store && call_is(c, i, "STORE") && left >= 1) {
        s->store = c->argv[++*at];
    } else if (call_is(c, i, "BY") && left >= 1) {
        s->by = c->argv[++*at];
        s->unsorted |= !memchr(s->by.ptr, '*', s->by.len);
        return s->unsorted || may_look_up(s, "BY", s->by);
    } else if (call_is(c, i, "GET") && left >= 1) {
        struct slice pattern = c->argv[++*at];
        s->gets[s->get_count++] = *at;
        return may_look_up(s, "GET", pattern);
    } else {
        return refuse_syntax(c);
    }
    return true;
}

static bool read_options(struct sort *s, bool may_store) {
    for (size_t at = 2; at < s->call->argc; at++)
        if (!read_option(s, &at, may_store)) return false;
    return true;
}

/* ---- texts ---- */

static struct span keep(struct sort *s, struct slice text) {
    struct span where = { s->texts.len, text.len };
    buf_append(&s->texts, text);
    return where;
}

static struct slice text_at(const struct sort *s, struct span where) {
    return (struct slice){ where.len ? s->texts.ptr + where.at : "", where.len };
}

static void add_item(struct sort *s, struct slice text) {
    if (s->item_count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->items = mem_realloc(s->items, s->room * sizeof *s->items);
    }
    s->items[s->item_count] = (struct sorted){ .text = keep(s, text), .place = s->item_count };
    s->item_count++;
}

/* ---- patterns ---- */

/* Puts the text in place of the star; false if there is none. *field is what is behind "->", or empty. */
static bool make_key(struct sort *s, struct slice pattern, struct slice text, struct slice *field) {
    const char *end = pattern.ptr + pattern.len;
    const char *star = pattern.len ? memchr(pattern.ptr, '*', pattern.len) : NULL;
    if (!star) return false;
    const char *arrow = memmem(star + 1, (size_t)(end - star - 1), "->", 2);
    *field = (struct slice){ NULL, 0 };
    if (arrow && arrow + 2 < end) {
        *field = slice_between(arrow + 2, end);
        end = arrow;
    }
    buf_clear(&s->key);
    buf_append(&s->key, slice_between(pattern.ptr, star));
    buf_append(&s->key, text);
    buf_append(&s->key, slice_between(star + 1, end));
    return true;
}

struct pattern_scratch {
    char number[INT64_TEXT_MAX];
    struct hash_scratch hash;
};

/* What a pattern says of an element: false if nothing. *out is valid until the next key is looked up. */
static bool look_up(struct sort *s, struct slice pattern, struct span element,
                    struct pattern_scratch *scratch, struct slice *out) {
    struct slice field, text = text_at(s, element);
    if (slice_equal(pattern, LIT("#"))) {
        *out = text;
        return true;
    }
    if (!make_key(s, pattern, text, &field)) return false;
    struct entry *e = keyspace_read(&s->call->view, buf_slice(&s->key));
    if (!e) return false;
    if (!field.ptr) {
        if (e->type == TYPE_STRING) *out = entry_text(e, scratch->number);
        return e->type == TYPE_STRING;
    }
    struct hash_field found;
    if (e->type != TYPE_HASH || !hash_find(entry_value(e), field, &found, &scratch->hash)) return false;
    if (hash_field_is_expired(&found, keyspace_now(&s->call->view))) return false;
    *out = found.value;
    return true;
}

/* ---- gathering ---- */

static bool gather_member(void *arg, struct slice member) {
    add_item(arg, member);
    return true;
}

/* All elements; those of lists and sorted sets backwards if that is all there is to do. */
static void gather(struct sort *s, const struct entry *e) {
    struct value v = entry_value(e);
    bool backwards = s->unsorted && s->descending;
    if (e->type == TYPE_SET) {
        set_each(v, gather_member, s);
    } else if (e->type == TYPE_ZSET) {
        struct zset_walk w;
        size_t count = zset_count(v);
        zset_walk_begin(&w, v, backwards ? count - 1 : 0, count, backwards);
        while (zset_walk_next(&w)) add_item(s, w.member);
    } else {
        struct list_walk w;
        struct listpack_item item;
        char digits[INT64_TEXT_MAX];
        list_walk_begin(&w, v, backwards ? list_count(v) - 1 : 0, backwards);
        while (list_walk_next(&w, &item))
            add_item(s, item.text.ptr ? item.text : slice_make(digits, int64_format(digits, item.number)));
        list_walk_end(&w);
    }
}

/* As the C library reads it: spaces before it are fine, and nothing at all is 0. */
static bool read_weight(struct slice text, double *out) {
    char inside[64], *copy = text.len < sizeof inside ? inside : mem_alloc(text.len + 1), *end;
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    *out = strtod(copy, &end);
    bool good = *end == '\0' && errno != ERANGE && !isnan(*out);
    if (copy != inside) mem_free(copy);
    return good;
}

/* Finds out what each element is sorted by; false if that should be a number and is none. */
static bool weigh(struct sort *s) {
    struct pattern_scratch scratch;
    bool good = true;
    for (size_t i = 0; i < s->item_count; i++) {
        struct sorted *item = &s->items[i];
        struct slice weight = text_at(s, item->text);
        if (s->by.ptr && !look_up(s, s->by, item->text, &scratch, &weight)) continue;
        item->has_by = true;
        if (!s->alpha)
            good &= read_weight(weight, &item->score);
        else if (s->by.ptr)
            item->by = keep(s, weight);
    }
    return good;
}

/* ---- sorting ---- */

/* Two texts. What is returned to a client, and not stored, is compared up to the first zero byte, as Valkey
 * does. */
static int compare_texts(const struct sort *s, struct span left, struct span right) {
    struct slice a = text_at(s, left), b = text_at(s, right);
    if (!s->store.ptr) {
        a.len = strnlen(a.ptr, a.len);
        b.len = strnlen(b.ptr, b.len);
    }
    return slice_compare(a, b);
}

static int compare_weights(const struct sort *s, const struct sorted *a, const struct sorted *b) {
    if (!s->alpha) {
        if (a->score != b->score) return a->score < b->score ? -1 : 1;
        return slice_compare(text_at(s, a->text), text_at(s, b->text));
    }
    if (!s->by.ptr) return compare_texts(s, a->text, b->text);
    if (!a->has_by || !b->has_by) return (int)a->has_by - (int)b->has_by;
    return compare_texts(s, a->by, b->by);
}

static int compare_items(const void *left, const void *right, void *arg) {
    const struct sorted *a = left, *b = right;
    const struct sort *s = arg;
    int order = compare_weights(s, a, b);
    if (order != 0) return s->descending ? -order : order;
    if (s->of_set) return slice_compare(text_at(s, a->text), text_at(s, b->text));
    return a->place < b->place ? -1 : a->place > b->place;
}

static void choose_range(struct sort *s) {
    int64_t all = (int64_t)s->item_count, begin = s->offset, count = s->count;
    if (begin < 0) begin = 0;
    if (begin > all) begin = all;
    if (count < 0 || count > all - begin) count = all - begin;
    s->begin = (size_t)begin;
    s->end = (size_t)(begin + count);
}

/* ---- results ---- */

/* Calls out(arg, text) for each result; text.ptr is NULL for what a pattern does not find. */
static void each_result(struct sort *s, void (*out)(void *arg, struct slice text), void *arg) {
    struct pattern_scratch scratch;
    for (size_t i = s->begin; i < s->end; i++) {
        if (s->get_count == 0) out(arg, text_at(s, s->items[i].text));
        for (size_t g = 0; g < s->get_count; g++) {
            struct slice text;
            bool found = look_up(s, s->call->argv[s->gets[g]], s->items[i].text, &scratch, &text);
            out(arg, found ? text : (struct slice){ NULL, 0 });
        }
    }
}

static size_t result_count(const struct sort *s) {
    return (s->end - s->begin) * (s->get_count ? s->get_count : 1);
}

static void reply_result(void *arg, struct slice text) {
    struct call *c = arg;
    if (text.ptr)
        reply_bulk(c->out, text);
    else
        reply_null(c->out);
}

static void push_result(void *arg, struct slice text) {
    list_push(arg, LIST_TAIL, text.ptr ? text : LIT(""));
}

static void store_results(struct sort *s) {
    struct call *c = s->call;
    size_t count = result_count(s);
    struct value v = list_new();
    each_result(s, push_result, &v);
    change_store(c, s->store, TYPE_LIST, v, count, "sortstore");
    reply_int(c->out, (int64_t)count);
}

/* ---- the commands ---- */

static void run_sort(struct sort *s, const struct entry *e) {
    struct call *c = s->call;
    /* what is stored must not depend on the order of a table */
    if (s->unsorted && e && e->type == TYPE_SET && s->store.ptr) {
        s->unsorted = false;
        s->alpha = true;
        s->by = (struct slice){ NULL, 0 };
    }
    s->of_set = e && e->type == TYPE_SET;
    if (e) gather(s, e);
    choose_range(s);
    if (!s->unsorted) {
        if (!weigh(s)) {
            reply_error_text(c->out, LIT("ERR One or more scores can't be converted into double"));
            return;
        }
        if (s->item_count > 1) qsort_r(s->items, s->item_count, sizeof *s->items, compare_items, s);
    }
    if (s->store.ptr) {
        store_results(s);
        return;
    }
    reply_array(c->out, result_count(s));
    each_result(s, reply_result, c);
}

static void sort_key(struct call *c, bool may_store) {
    struct sort s = { .call = c, .count = -1, .gets = mem_alloc(c->argc * sizeof *s.gets) };
    if (read_options(&s, may_store)) {
        struct entry *e = keyspace_read(&c->view, c->argv[1]);
        if (e && e->type != TYPE_LIST && e->type != TYPE_SET && e->type != TYPE_ZSET)
            reply_error(c->out, ERR_WRONGTYPE);
        else
            run_sort(&s, e);
    }
    mem_free(s.gets);
    mem_free(s.items);
    buf_release(&s.texts);
    buf_release(&s.key);
}

/* SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] [STORE destination] */
static void cmd_sort(struct call *c) { sort_key(c, true); }

/* SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] */
static void cmd_sort_ro(struct call *c) { sort_key(c, false); }

/* The key, and that of the last STORE. */
static bool find_sort_keys(const struct slice *argv, size_t argc, struct key_positions *out) {
    size_t store = 0;
    for (size_t i = 2; i < argc; i++) {
        if (slice_equal_nocase(argv[i], LIT("LIMIT")))
            i += 2;
        else if (slice_equal_nocase(argv[i], LIT("BY")) || slice_equal_nocase(argv[i], LIT("GET")))
            i++;
        else if (slice_equal_nocase(argv[i], LIT("STORE")) && i + 1 < argc)
            store = ++i;
    }
    key_positions_add(out, 1, KEY_RO | KEY_ACCESS);
    if (store) key_positions_add(out, store, KEY_OW | KEY_UPDATE);
    return true;
}

#define UNKNOWN_KEYS(f) \
    { .flags = (f), .begin = BEGIN_UNKNOWN, .find = FIND_UNKNOWN }
#define SORT_COMPLEXITY                                                                                \
    "O(N+M*log(M)) where N is the number of elements and M that of returned ones; O(N) if nothing is " \
    "sorted."
#define SORT_SYNTAX \
    "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]"

const struct command sort_commands[] = {
    { .name = "SORT", .run = cmd_sort, .arity = -2, .kind = EXCLUSIVE, .flags = WRITES | GROWS | MOVABLE_KEYS,
      .categories = CAT_SET | CAT_SORTEDSET | CAT_LIST | CAT_DANGEROUS, .find_keys = find_sort_keys,
      .keys = { KEY(KEY_RO | KEY_ACCESS), UNKNOWN_KEYS(KEY_RO | KEY_ACCESS),
                UNKNOWN_KEYS(KEY_OW | KEY_UPDATE) },
      .since = "1.0.0",
      .summary = "Sorts the elements of a list, a set or a sorted set, and may store the result.",
      .complexity = SORT_COMPLEXITY, .syntax = SORT_SYNTAX " [STORE destination]" },
    { .name = "SORT_RO", .run = cmd_sort_ro, .arity = -2, .kind = EXCLUSIVE, .flags = READS | MOVABLE_KEYS,
      .categories = CAT_SET | CAT_SORTEDSET | CAT_LIST | CAT_DANGEROUS,
      .keys = { KEY(KEY_RO | KEY_ACCESS), UNKNOWN_KEYS(KEY_RO | KEY_ACCESS) }, .since = "7.0.0",
      .summary = "Returns the sorted elements of a list, a set or a sorted set.",
      .complexity = SORT_COMPLEXITY, .syntax = SORT_SYNTAX },
    { .name = NULL },
};
