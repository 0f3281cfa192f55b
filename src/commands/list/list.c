/* list.c: lists: pushing and popping at both ends, and looking at what lies between.
 *
 * A list that loses its last element loses its key too, with the event "del" after the command's own. */
#include "list.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/item.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"

/* ---- elements ---- */

/* Replies with `count` elements from `index` on, which are there. */
static void reply_items(struct reply *out, struct value v, size_t index, size_t count, bool backward) {
    struct list_walk w;
    struct listpack_item item;
    list_walk_begin(&w, v, index, backward);
    for (; count > 0 && list_walk_next(&w, &item); count--) reply_item(out, item);
    list_walk_end(&w);
}

bool list_read_end(struct call *c, size_t index, enum list_end *end) {
    if (call_is(c, index, "LEFT")) {
        *end = LIST_HEAD;
    } else if (call_is(c, index, "RIGHT")) {
        *end = LIST_TAIL;
    } else {
        return refuse_syntax(c);
    }
    return true;
}

static const char *push_event(enum list_end end) { return end == LIST_HEAD ? "lpush" : "rpush"; }
static const char *pop_event(enum list_end end) { return end == LIST_HEAD ? "lpop" : "rpop"; }

/* Which elements, all of them there. */
struct range {
    size_t index, count;
};

/* Takes them out; a list that would be empty goes as a whole. */
static void cut(struct keyspace_change *list, struct range r) {
    if (r.count == list_count(list->value))
        list->drops = true;
    else
        list_delete(&list->value, r.index, r.count);
}

/* ---- pushing ---- */

static void push(struct call *c, enum list_end end, bool only_if_there) {
    struct keyspace_change list;
    if (!change_open(c, c->argv[1], TYPE_LIST, &list)) return;
    if (!list.entry && only_if_there) {
        reply_int(c->out, 0);
        return;
    }
    if (!list.entry) list.value = list_new();
    list_expect(&list.value, c->argv + 2, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) list_push(&list.value, end, c->argv[i]);
    reply_int(c->out, (int64_t)list_count(list.value));
    change_close(c, &list, c->argc - 2, push_event(end), EFFECT_SAME(c));
}

/* LPUSH key element [element ...] */
static void cmd_lpush(struct call *c) { push(c, LIST_HEAD, false); }

/* RPUSH key element [element ...] */
static void cmd_rpush(struct call *c) { push(c, LIST_TAIL, false); }

/* LPUSHX key element [element ...] */
static void cmd_lpushx(struct call *c) { push(c, LIST_HEAD, true); }

/* RPUSHX key element [element ...] */
static void cmd_rpushx(struct call *c) { push(c, LIST_TAIL, true); }

/* LINSERT key BEFORE | AFTER pivot element */
static void cmd_linsert(struct call *c) {
    struct keyspace_change list;
    bool after = call_is(c, 2, "AFTER");
    if (!after && !call_is(c, 2, "BEFORE")) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!change_open(c, c->argv[1], TYPE_LIST, &list)) return;
    if (!list.entry) {
        reply_int(c->out, 0);
        return;
    }
    struct list_needle pivot = list_needle(c->argv[3]);
    struct listpack_item item;
    struct list_walk w;
    size_t index = 0;
    list_walk_begin(&w, list.value, 0, false);
    while (list_walk_next(&w, &item) && !list_item_is(item, &pivot)) index++;
    list_walk_end(&w);
    if (index == list_count(list.value)) {
        reply_int(c->out, -1);
        return;
    }
    list_insert(&list.value, index + after, c->argv[4]);
    reply_int(c->out, (int64_t)list_count(list.value));
    change_close(c, &list, 1, "linsert", EFFECT_SAME(c));
}

/* ---- popping ---- */

void list_pop_one(struct call *c, struct keyspace_change *list, enum list_end end, struct effect effect) {
    size_t index = end == LIST_HEAD ? 0 : list_count(list->value) - 1;
    reply_items(c->out, list->value, index, 1, false);
    cut(list, (struct range){ index, 1 });
    change_close(c, list, 1, pop_event(end), effect);
}

void list_pop_many(struct call *c, struct keyspace_change *list, enum list_end end, size_t count,
                   struct effect effect) {
    size_t there = list_count(list->value);
    if (count > there) count = there;
    reply_array(c->out, count);
    if (count == 0) return;
    reply_items(c->out, list->value, end == LIST_HEAD ? 0 : there - 1, count, end == LIST_TAIL);
    cut(list, (struct range){ end == LIST_HEAD ? 0 : there - count, count });
    change_close(c, list, count, pop_event(end), effect);
}

static void pop(struct call *c, enum list_end end) {
    struct keyspace_change list;
    bool many = c->argc == 3;
    int64_t count = 1;
    if (c->argc > 3) {
        reply_error_printf(c->out, "ERR wrong number of arguments for '%s' command", c->command->full_name);
        return;
    }
    if (many && (!int64_parse(c->argv[2], &count) || count < 0)) {
        reply_error(c->out, ERR_NOT_POSITIVE);
        return;
    }
    if (!change_open(c, c->argv[1], TYPE_LIST, &list)) return;
    if (!list.entry && many)
        reply_null_array(c->out);
    else if (!list.entry)
        reply_null(c->out);
    else if (many)
        list_pop_many(c, &list, end, (size_t)count, EFFECT_SAME(c));
    else
        list_pop_one(c, &list, end, EFFECT_SAME(c));
}

/* LPOP key [count] */
static void cmd_lpop(struct call *c) { pop(c, LIST_HEAD); }

/* RPOP key [count] */
static void cmd_rpop(struct call *c) { pop(c, LIST_TAIL); }

bool list_read_mpop(struct call *c, size_t at, struct list_mpop *out) {
    int64_t keys;
    if (!int64_parse(c->argv[at], &keys) || keys <= 0) {
        reply_error_text(c->out, LIT("ERR numkeys should be greater than 0"));
        return false;
    }
    *out = (struct list_mpop){ .first_key = at + 1, .keys = (size_t)keys };
    if (out->keys > c->argc || at + 1 + out->keys >= c->argc) {
        return refuse_syntax(c);
    }
    size_t end = at + 1 + out->keys;
    if (!list_read_end(c, end, &out->end)) return false;
    int64_t count = 0;
    for (size_t i = end + 1; i < c->argc; i += 2) {
        if (count > 0 || !call_is(c, i, "COUNT") || i + 1 == c->argc) {
            return refuse_syntax(c);
        }
        if (!int64_parse(c->argv[i + 1], &count) || count <= 0) {
            reply_error_text(c->out, LIT("ERR count should be greater than 0"));
            return false;
        }
    }
    out->count = count ? (size_t)count : 1;
    return true;
}

bool list_mpop(struct call *c, const struct list_mpop *m) {
    for (size_t i = m->first_key; i < m->first_key + m->keys; i++) {
        struct keyspace_change list;
        struct slice key = c->argv[i];
        if (!call_may_touch(c, i)) continue;
        if (!change_open(c, key, TYPE_LIST, &list)) return true;
        if (!list.entry) continue;
        size_t there = list_count(list.value), count = m->count < there ? m->count : there;
        char digits[INT64_TEXT_MAX];
        struct slice number = slice_make(digits, int64_format(digits, (int64_t)count));
        reply_array(c->out, 2);
        reply_bulk(c->out, key);
        list_pop_many(c, &list, m->end, count, EFFECT(list_pop_name(m->end), key, number));
        return true;
    }
    return false;
}

/* LMPOP numkeys key [key ...] LEFT | RIGHT [COUNT count] */
static void cmd_lmpop(struct call *c) {
    struct list_mpop m;
    if (!list_read_mpop(c, 1, &m)) return;
    if (!list_mpop(c, &m)) reply_null_array(c->out);
}

/* ---- moving ---- */

/* The element at one end, as text in `out`. */
static void copy_item(struct value v, enum list_end end, struct buf *out) {
    struct list_walk w;
    struct listpack_item item;
    list_walk_begin(&w, v, end == LIST_HEAD ? 0 : list_count(v) - 1, false);
    bool found = list_walk_next(&w, &item);
    assert(found);
    if (item.text.ptr)
        buf_append(out, item.text);
    else
        buf_append_int(out, item.number);
    list_walk_end(&w);
}

/* Within one list. */
static void rotate(struct call *c, const struct list_move *m, struct keyspace_change *list,
                   struct slice text) {
    list_delete(&list->value, m->from_end == LIST_HEAD ? 0 : list_count(list->value) - 1, 1);
    list_push(&list->value, m->to_end, text);
    change_close(c, list, 1, push_event(m->to_end), EFFECT_NONE);
    notify(c->view.db, NOTIFY_LIST, pop_event(m->from_end), m->from);
}

/* It counts as one change, though two keys hear of it. */
static void move_over(struct call *c, const struct list_move *m, struct keyspace_change *source,
                      struct keyspace_change *target, struct slice text) {
    if (!target->entry) target->value = list_new();
    list_push(&target->value, m->to_end, text);
    change_close_quietly(c, target, push_event(m->to_end));
    cut(source, (struct range){ m->from_end == LIST_HEAD ? 0 : list_count(source->value) - 1, 1 });
    change_close(c, source, 1, pop_event(m->from_end), EFFECT_NONE);
}

void list_move(struct call *c, const struct list_move *m, struct keyspace_change *source,
               struct effect effect) {
    struct keyspace_change target;
    if (!change_open(c, m->to, TYPE_LIST, &target)) return;
    struct buf text = { 0 };
    copy_item(source->value, m->from_end, &text);
    reply_bulk(c->out, buf_slice(&text));
    if (slice_equal(m->from, m->to))
        rotate(c, m, source, buf_slice(&text));
    else
        move_over(c, m, source, &target, buf_slice(&text));
    journal_effect(c, effect);
    buf_release(&text);
}

static void move_at_once(struct call *c, const struct list_move *m) {
    struct keyspace_change source;
    if (!change_open(c, m->from, TYPE_LIST, &source)) return;
    if (source.entry)
        list_move(c, m, &source, EFFECT_SAME(c));
    else
        reply_null(c->out);
}

/* LMOVE source destination LEFT | RIGHT LEFT | RIGHT */
static void cmd_lmove(struct call *c) {
    struct list_move m = { .from = c->argv[1], .to = c->argv[2] };
    if (!list_read_end(c, 3, &m.from_end) || !list_read_end(c, 4, &m.to_end)) return;
    move_at_once(c, &m);
}

/* RPOPLPUSH source destination */
static void cmd_rpoplpush(struct call *c) {
    struct list_move m = { c->argv[1], c->argv[2], LIST_TAIL, LIST_HEAD };
    move_at_once(c, &m);
}

/* ---- reading ---- */

/* LLEN key */
static void cmd_llen(struct call *c) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (list_or_missing(c, e)) reply_int(c->out, e ? (int64_t)list_count(entry_value(e)) : 0);
}

/* Where an index that may count from the end (-1 is the last) lies; negative if before the first element. */
static int64_t from_start(int64_t index, size_t count) { return index < 0 ? index + (int64_t)count : index; }

/* LINDEX key index */
static void cmd_lindex(struct call *c) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!list_or_missing(c, e)) return;
    int64_t index;
    if (!e) {
        reply_null(c->out);
    } else if (!int64_parse(c->argv[2], &index)) {
        reply_error(c->out, ERR_NOT_INT);
    } else {
        struct value v = entry_value(e);
        size_t count = list_count(v);
        index = from_start(index, count);
        if (index < 0 || index >= (int64_t)count)
            reply_null(c->out);
        else
            reply_items(c->out, v, (size_t)index, 1, false);
    }
}

/* The elements that the arguments 2 and 3 mean, both included; false after replying that they are no numbers.
 */
static bool read_bounds(struct call *c, int64_t *start, int64_t *end) {
    return integer_argument(c, 2, start) && integer_argument(c, 3, end);
}

static struct range range_of(int64_t start, int64_t end, size_t count) {
    start = from_start(start, count);
    end = from_start(end, count);
    if (start < 0) start = 0;
    if (end >= (int64_t)count) end = (int64_t)count - 1;
    if (start > end) return (struct range){ 0, 0 };
    return (struct range){ (size_t)start, (size_t)(end - start) + 1 };
}

/* LRANGE key start stop */
static void cmd_lrange(struct call *c) {
    int64_t start, end;
    if (!read_bounds(c, &start, &end)) return;
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!list_or_missing(c, e)) return;
    struct range r = { 0, 0 };
    if (e) r = range_of(start, end, list_count(entry_value(e)));
    reply_array(c->out, r.count);
    if (r.count > 0) reply_items(c->out, entry_value(e), r.index, r.count, false);
}

/* LPOS: the `rank`-th match (from the end if negative) and those after it, up to `count`, among `max_len`
 * elements. */
struct search {
    int64_t rank, count, max_len; /* count, max_len: 0 is no limit */
    bool many;                    /* COUNT was given: the reply is an array */
};

static bool read_not_negative(struct call *c, size_t index, struct slice complaint, int64_t *out) {
    if (int64_parse(c->argv[index], out) && *out >= 0) return true;
    reply_error_text(c->out, complaint);
    return false;
}

static bool read_rank(struct call *c, size_t index, int64_t *rank) {
    if (!int64_parse(c->argv[index], rank)) {
        reply_error(c->out, ERR_NOT_INT);
    } else if (*rank == INT64_MIN) {
        reply_error_text(c->out, LIT("ERR value is out of range, value must between -9223372036854775807 and "
                                     "9223372036854775807"));
    } else if (*rank == 0) {
        reply_error_text(c->out,
                         LIT("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second "
                             "... or use negative to start from the end of the list"));
    } else {
        return true;
    }
    return false;
}

static bool read_search(struct call *c, struct search *s) {
    *s = (struct search){ .rank = 1, .count = 1 };
    for (size_t i = 3; i < c->argc; i += 2) {
        bool has_value = i + 1 < c->argc, good;
        if (has_value && call_is(c, i, "RANK")) {
            good = read_rank(c, i + 1, &s->rank);
        } else if (has_value && call_is(c, i, "COUNT")) {
            good = read_not_negative(c, i + 1, LIT("ERR COUNT can't be negative"), &s->count);
            s->many = true;
        } else if (has_value && call_is(c, i, "MAXLEN")) {
            good = read_not_negative(c, i + 1, LIT("ERR MAXLEN can't be negative"), &s->max_len);
        } else {
            return refuse_syntax(c);
        }
        if (!good) return false;
    }
    return true;
}

/* Replies with the positions; returns how many there are. */
static size_t reply_matches(struct call *c, struct value v, const struct search *s) {
    size_t count = list_count(v), looked = 0, found = 0;
    bool backward = s->rank < 0;
    int64_t to_skip = (backward ? -s->rank : s->rank) - 1;
    struct list_needle needle = list_needle(c->argv[2]);
    struct list_walk w;
    struct listpack_item item;
    list_walk_begin(&w, v, backward ? count - 1 : 0, backward);
    for (; (!s->max_len || looked < (size_t)s->max_len) && list_walk_next(&w, &item); looked++) {
        if (!list_item_is(item, &needle) || to_skip-- > 0) continue;
        reply_int(c->out, (int64_t)(backward ? count - 1 - looked : looked));
        if (++found == (size_t)s->count) break;
    }
    list_walk_end(&w);
    return found;
}

/* LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len] */
static void cmd_lpos(struct call *c) {
    struct search s;
    if (!read_search(c, &s)) return;
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!list_or_missing(c, e)) return;
    struct chunk *later = s.many ? reply_later(c->out) : NULL;
    size_t found = e ? reply_matches(c, entry_value(e), &s) : 0;
    if (s.many)
        reply_later_array(c->out, later, found);
    else if (found == 0)
        reply_null(c->out);
}

/* ---- changing inside ---- */

/* LSET key index element */
static void cmd_lset(struct call *c) {
    struct keyspace_change list;
    int64_t index;
    if (!change_open(c, c->argv[1], TYPE_LIST, &list)) return;
    if (!list.entry) {
        reply_error(c->out, ERR_NO_KEY);
        return;
    }
    if (!integer_argument(c, 2, &index)) return;
    index = from_start(index, list_count(list.value));
    if (index < 0 || index >= (int64_t)list_count(list.value)) {
        reply_error(c->out, ERR_INDEX);
        return;
    }
    list_replace(&list.value, (size_t)index, c->argv[3]);
    reply_ok(c->out);
    change_close(c, &list, 1, "lset", EFFECT_SAME(c));
}

/* LREM key count element */
static void cmd_lrem(struct call *c) {
    struct keyspace_change list;
    int64_t count;
    if (!integer_argument(c, 2, &count) || !change_open(c, c->argv[1], TYPE_LIST, &list)) return;
    size_t limit = count == 0 ? SIZE_MAX : count < 0 ? (size_t)0 - (size_t)count : (size_t)count;
    size_t removed = list.entry ? list_remove(&list.value, c->argv[3], limit, count < 0) : 0;
    reply_int(c->out, (int64_t)removed);
    change_close(c, &list, removed, "lrem", EFFECT_SAME(c));
}

/* LTRIM key start stop */
static void cmd_ltrim(struct call *c) {
    struct keyspace_change list;
    int64_t start, end;
    if (!read_bounds(c, &start, &end) || !change_open(c, c->argv[1], TYPE_LIST, &list)) return;
    reply_ok(c->out);
    if (!list.entry) return;
    size_t count = list_count(list.value);
    struct range kept = range_of(start, end, count);
    if (kept.count == count) return;
    if (kept.count == 0) {
        list.drops = true;
    } else {
        cut(&list, (struct range){ kept.index + kept.count, count - kept.index - kept.count });
        cut(&list, (struct range){ 0, kept.index });
    }
    change_close(c, &list, count - kept.count, "ltrim", EFFECT_SAME(c));
}

/* ---- the table ---- */

#define LIST_FACTS .kind = KEYED, .categories = CAT_LIST
#define TAKES_OUT KEY_RW | KEY_ACCESS | KEY_DELETE
#define PUSHING                                                                                    \
    LIST_FACTS, .arity = -3, .flags = WRITES | GROWS | FAST, .keys = { KEY(KEY_RW | KEY_INSERT) }, \
                .complexity = "O(1) for every element.", .syntax = "key element [element ...]"
#define POPPING                                                                                           \
    LIST_FACTS, .arity = -2, .flags = WRITES | FAST, .keys = { KEY(TAKES_OUT) }, .syntax = "key [count]", \
                .complexity = "O(N) where N is the number of elements returned."

const struct command list_commands[] = {
    { .name = "LINDEX",
      .run = cmd_lindex,
      .arity = 3,
      LIST_FACTS,
      .flags = READS,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .since = "1.0.0",
      .summary = "Returns the element at an index.",
      .complexity = "O(1) at both ends; else the list's nodes up to the index are counted.",
      .syntax = "key index" },
    { .name = "LINSERT",
      .run = cmd_linsert,
      .arity = 5,
      LIST_FACTS,
      .flags = WRITES | GROWS,
      .keys = { KEY(KEY_RW | KEY_INSERT) },
      .since = "2.2.0",
      .summary = "Inserts an element before or after the first one that equals the pivot.",
      .complexity = "O(N) where N is the number of elements up to the pivot.",
      .syntax = "key <BEFORE | AFTER> pivot element" },
    { .name = "LLEN",
      .run = cmd_llen,
      .arity = 2,
      LIST_FACTS,
      .flags = READS | FAST,
      .keys = { KEY(KEY_RO) },
      .since = "1.0.0",
      .summary = "Returns the number of elements.",
      .complexity = "O(1)",
      .syntax = "key" },
    { .name = "LMOVE",
      .run = cmd_lmove,
      .arity = 5,
      LIST_FACTS,
      .flags = WRITES | GROWS,
      .keys = { KEY(TAKES_OUT), KEY_AT(2, KEY_RW | KEY_INSERT) },
      .since = "6.2.0",
      .summary = "Moves an element from one end of a list to one end of another and returns it.",
      .complexity = "O(1)",
      .syntax = "source destination <LEFT | RIGHT> <LEFT | RIGHT>" },
    { .name = "LMPOP",
      .run = cmd_lmpop,
      .arity = -4,
      LIST_FACTS,
      .flags = WRITES | MOVABLE_KEYS,
      .keys = { KEYNUM_AT(1, TAKES_OUT) },
      .since = "7.0.0",
      .summary = "Takes elements from the first of several lists that has some.",
      .complexity = "O(N+M) where N is the number of keys and M the number of elements returned.",
      .syntax = "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]" },
    { .name = "LPOP",
      .run = cmd_lpop,
      POPPING,
      .since = "1.0.0",
      .summary = "Takes the first elements and returns them." },
    { .name = "LPOS",
      .run = cmd_lpos,
      .arity = -3,
      LIST_FACTS,
      .flags = READS,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .since = "6.0.6",
      .summary = "Returns the indexes of the elements that equal a value.",
      .complexity = "O(N) where N is the number of elements looked at.",
      .syntax = "key element [RANK rank] [COUNT num-matches] [MAXLEN len]" },
    { .name = "LPUSH",
      .run = cmd_lpush,
      PUSHING,
      .since = "1.0.0",
      .summary = "Adds elements at the head; a missing key is created." },
    { .name = "LPUSHX",
      .run = cmd_lpushx,
      PUSHING,
      .since = "2.2.0",
      .summary = "Adds elements at the head of a list that exists." },
    { .name = "LRANGE",
      .run = cmd_lrange,
      .arity = 4,
      LIST_FACTS,
      .flags = READS,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .since = "1.0.0",
      .summary = "Returns the elements between two indexes.",
      .complexity = "O(S+N) where S is the way to the first of them and N their number.",
      .syntax = "key start stop" },
    { .name = "LREM",
      .run = cmd_lrem,
      .arity = 4,
      LIST_FACTS,
      .flags = WRITES,
      .keys = { KEY(KEY_RW | KEY_DELETE) },
      .since = "1.0.0",
      .summary = "Removes elements that equal a value, from the end if the count is negative.",
      .complexity = "O(N) where N is the list's length.",
      .syntax = "key count element" },
    { .name = "LSET",
      .run = cmd_lset,
      .arity = 4,
      LIST_FACTS,
      .flags = WRITES | GROWS,
      .keys = { KEY(KEY_RW | KEY_UPDATE) },
      .since = "1.0.0",
      .summary = "Replaces the element at an index.",
      .complexity = "O(1) at both ends; else the list's nodes up to the index are counted.",
      .syntax = "key index element" },
    { .name = "LTRIM",
      .run = cmd_ltrim,
      .arity = 4,
      LIST_FACTS,
      .flags = WRITES,
      .keys = { KEY(KEY_RW | KEY_DELETE) },
      .since = "1.0.0",
      .summary = "Removes all elements but those between two indexes.",
      .complexity = "O(N) where N is the number of elements removed.",
      .syntax = "key start stop" },
    { .name = "RPOP",
      .run = cmd_rpop,
      POPPING,
      .since = "1.0.0",
      .summary = "Takes the last elements and returns them." },
    { .name = "RPOPLPUSH",
      .run = cmd_rpoplpush,
      .arity = 3,
      LIST_FACTS,
      .flags = WRITES | GROWS | DEPRECATED,
      .keys = { KEY(TAKES_OUT), KEY_AT(2, KEY_RW | KEY_INSERT) },
      .since = "1.2.0",
      .summary = "Moves the last element of a list to the head of another and returns it.",
      .complexity = "O(1)",
      .syntax = "source destination",
      .deprecated_since = "6.2.0",
      .replaced_by = "`LMOVE` with the `RIGHT` and `LEFT` arguments" },
    { .name = "RPUSH",
      .run = cmd_rpush,
      PUSHING,
      .since = "1.0.0",
      .summary = "Adds elements at the tail; a missing key is created." },
    { .name = "RPUSHX",
      .run = cmd_rpushx,
      PUSHING,
      .since = "2.2.0",
      .summary = "Adds elements at the tail of a list that exists." },
    { .name = NULL },
};
