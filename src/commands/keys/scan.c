/* scan.c: SCAN: walking over the keys of a database, a few at a time. */
#include "trivet/keyspace/scan.h"
#include "trivet/base/glob.h"
#include "trivet/base/number.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/command/call.h"

struct scan_plan {
    const struct keyspace_view *view;
    bool has_pattern, has_type;
    struct slice pattern, type;
    uint64_t count;
    struct reply keys; /* the second half of the reply, which must be written first */
    size_t found;
};

static bool refuse(struct call *c, enum error error) {
    reply_error(c->out, error);
    return false;
}

/* The option at argument `i` and its value behind it. */
static bool read_scan_option(struct call *c, size_t i, struct scan_plan *plan) {
    if (i + 1 == c->argc) return refuse(c, ERR_SYNTAX);
    if (call_is(c, i, "MATCH")) {
        plan->pattern = c->argv[i + 1];
        plan->has_pattern = !slice_equal(plan->pattern, LIT("*"));
        return true;
    }
    if (call_is(c, i, "TYPE")) {
        plan->type = c->argv[i + 1];
        plan->has_type = true;
        return true;
    }
    int64_t count;
    if (!call_is(c, i, "COUNT")) return refuse(c, ERR_SYNTAX);
    if (!int64_parse(c->argv[i + 1], &count)) return refuse(c, ERR_NOT_INT);
    if (count < 1) return refuse(c, ERR_SYNTAX);
    plan->count = (uint64_t)count;
    return true;
}

static bool has_type(const struct entry *e, struct slice name) {
    return slice_equal_nocase(name, slice_of(entry_type_name((enum value_type)e->type)));
}

static void visit_entry(void *arg, struct entry *e) {
    struct scan_plan *plan = arg;
    struct slice key = entry_key(e);
    if (entry_is_expired(e, plan->view->now_ms) && !plan->view->keep_expired) return;
    if (plan->has_pattern && !glob_match(plan->pattern, key)) return;
    if (plan->has_type && !has_type(e, plan->type)) return;
    reply_bulk(&plan->keys, key);
    plan->found++;
}

/* SCAN cursor [MATCH pattern] [COUNT count] [TYPE type] */
static void cmd_scan(struct call *c) {
    uint64_t cursor;
    struct scan_plan plan = { .view = &c->view, .count = 10 };
    if (!uint64_parse(c->argv[1], &cursor)) {
        reply_error(c->out, ERR_CURSOR);
        return;
    }
    for (size_t i = 2; i < c->argc; i += 2)
        if (!read_scan_option(c, i, &plan)) return;

    reply_init(&plan.keys, c->out->protocol);
    struct chunk *later = reply_later(&plan.keys);
    cursor = keyspace_scan(c->view.db, cursor, plan.count, visit_entry, &plan);
    reply_later_array(&plan.keys, later, plan.found);

    char digits[INT64_TEXT_MAX];
    reply_array(c->out, 2);
    reply_bulk(c->out, slice_make(digits, uint64_format(digits, cursor)));
    reply_move(c->out, &plan.keys);
    reply_release(&plan.keys);
}

const struct command scan_commands[] = {
    { .name = "SCAN", .run = cmd_scan, .arity = -2, .kind = LOCAL, .flags = READS, .categories = CAT_KEYSPACE,
      .since = "2.8.0", .summary = "Walks over the keys of the database.",
      .complexity = "O(1) a call, O(N) for the whole walk, where N is the number of keys in the database.",
      .syntax = "cursor [MATCH pattern] [COUNT count] [TYPE type]",
      .tips = "nondeterministic_output,request_policy:special,response_policy:special" },
    { .name = NULL },
};
