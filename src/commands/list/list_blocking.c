/* list_blocking.c: popping and moving that waits for an element if there is none.
 *
 * A command first does its work, as its sister in list.c does. Finding nothing it waits (blocking_on_keys);
 * whoever fills one of the keys runs it again for the waiting client. The journal knows only what was taken:
 * LPOP, RPOP, LMOVE. */
#include "list.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"

/* The timeout counts from the first run; for a waiting client it is no matter any more. */
static bool read_timeout(struct call *c, size_t index, int64_t *timeout_ms) {
    return c->origin->waits_already || blocking_parse_seconds(c, c->argv[index], timeout_ms);
}

/* ---- popping ---- */

static void pop_or_wait(struct call *c, enum list_end end) {
    int64_t timeout_ms = 0;
    size_t keys = c->argc - 2;
    if (!read_timeout(c, c->argc - 1, &timeout_ms)) return;
    for (size_t i = 1; i <= keys; i++) {
        struct keyspace_change list;
        struct slice key = c->argv[i];
        if (!call_may_touch(c, i)) continue;
        if (!change_open(c, key, TYPE_LIST, &list)) return;
        if (!list.entry) continue;
        reply_array(c->out, 2);
        reply_bulk(c->out, key);
        list_pop_one(c, &list, end, EFFECT(list_pop_name(end), key));
        return;
    }
    struct key_range range = { .first = 1, .count = keys, .only = TYPE_LIST };
    blocking_on_keys(c, range, timeout_ms, BLOCKED_NULL_ARRAY);
}

/* BLPOP key [key ...] timeout */
static void cmd_blpop(struct call *c) { pop_or_wait(c, LIST_HEAD); }

/* BRPOP key [key ...] timeout */
static void cmd_brpop(struct call *c) { pop_or_wait(c, LIST_TAIL); }

/* BLMPOP timeout numkeys key [key ...] LEFT | RIGHT [COUNT count] */
static void cmd_blmpop(struct call *c) {
    struct list_mpop m;
    int64_t timeout_ms = 0;
    if (!list_read_mpop(c, 2, &m) || !read_timeout(c, 1, &timeout_ms) || list_mpop(c, &m)) return;
    struct key_range range = { .first = m.first_key, .count = m.keys, .only = TYPE_LIST };
    blocking_on_keys(c, range, timeout_ms, BLOCKED_NULL_ARRAY);
}

/* ---- moving ---- */

static void move_or_wait(struct call *c, const struct list_move *m, size_t timeout, struct effect effect) {
    int64_t timeout_ms = 0;
    if (!read_timeout(c, timeout, &timeout_ms)) return;
    struct keyspace_change source;
    if (!change_open(c, m->from, TYPE_LIST, &source)) return;
    struct key_range range = { .first = 1, .count = 1, .needs_others = true, .only = TYPE_LIST };
    if (source.entry)
        list_move(c, m, &source, effect);
    else if (c->origin->is_nested)
        reply_null(c->out); /* a null of another kind than the one after the timeout, as clients know it */
    else
        blocking_on_keys(c, range, timeout_ms, BLOCKED_NULL_ARRAY);
}

/* BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout */
static void cmd_blmove(struct call *c) {
    struct list_move m = { .from = c->argv[1], .to = c->argv[2] };
    if (!list_read_end(c, 3, &m.from_end) || !list_read_end(c, 4, &m.to_end)) return;
    move_or_wait(c, &m, 5, EFFECT(LIT("LMOVE"), m.from, m.to, c->argv[3], c->argv[4]));
}

/* BRPOPLPUSH source destination timeout */
static void cmd_brpoplpush(struct call *c) {
    struct list_move m = { c->argv[1], c->argv[2], LIST_TAIL, LIST_HEAD };
    move_or_wait(c, &m, 3, EFFECT(LIT("RPOPLPUSH"), m.from, m.to));
}

/* ---- the table ---- */

#define LIST_FACTS .kind = KEYED, .categories = CAT_LIST
#define TAKES_OUT KEY_RW | KEY_ACCESS | KEY_DELETE
#define POPPING                                                                                              \
    LIST_FACTS, .arity = -3, .flags = WRITES | BLOCKS, .keys = { KEYS(TAKES_OUT, -2, 1) }, .since = "2.0.0", \
                .complexity = "O(N) where N is the number of keys.", .syntax = "key [key ...] timeout"

const struct command list_blocking_commands[] = {
    { .name = "BLMOVE",
      .run = cmd_blmove,
      .arity = 6,
      LIST_FACTS,
      .flags = WRITES | GROWS | BLOCKS,
      .keys = { KEY(TAKES_OUT), KEY_AT(2, KEY_RW | KEY_INSERT) },
      .since = "6.2.0",
      .summary = "Moves an element from one list to another and returns it; waits for one if there is none.",
      .complexity = "O(1)",
      .syntax = "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout" },
    { .name = "BLMPOP",
      .run = cmd_blmpop,
      .arity = -5,
      LIST_FACTS,
      .flags = WRITES | BLOCKS | MOVABLE_KEYS,
      .keys = { KEYNUM_AT(2, TAKES_OUT) },
      .since = "7.0.0",
      .summary =
          "Takes elements from the first of several lists that has some; waits for one if there are none.",
      .complexity = "O(N+M) where N is the number of keys and M the number of elements returned.",
      .syntax = "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]" },
    { .name = "BLPOP",
      .run = cmd_blpop,
      POPPING,
      .summary = "Takes the first element of the first list that has one; waits for one if there is none." },
    { .name = "BRPOP",
      .run = cmd_brpop,
      POPPING,
      .summary = "Takes the last element of the first list that has one; waits for one if there is none." },
    { .name = "BRPOPLPUSH",
      .run = cmd_brpoplpush,
      .arity = 4,
      LIST_FACTS,
      .flags = WRITES | GROWS | BLOCKS | DEPRECATED,
      .keys = { KEY(TAKES_OUT), KEY_AT(2, KEY_RW | KEY_INSERT) },
      .since = "2.2.0",
      .summary = "Moves the last element of a list to the head of another; waits for one if there is none.",
      .complexity = "O(1)",
      .syntax = "source destination timeout",
      .deprecated_since = "6.2.0",
      .replaced_by = "`BLMOVE` with the `RIGHT` and `LEFT` arguments" },
    { .name = NULL },
};
