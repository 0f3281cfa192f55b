/* scan.c: SCAN: walking over the keys of a database, a few at a time. */
#include "trivet/keyspace/scan.h"
#include "trivet/base/glob.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/turn/locks.h"

struct scan_plan {
    bool has_pattern, has_type;
    struct slice pattern;
    enum value_type type;
    uint64_t count;
    struct reply keys; /* the second half of the reply, which must be written first */
    size_t found;
};

static bool read_type(struct call *c, struct slice name, enum value_type *type) {
    for (*type = TYPE_STRING; *type < TYPE_COUNT; ++*type)
        if (slice_equal_nocase(name, slice_of(entry_type_name(*type)))) return true;
    reply_error_printf(c->out, "ERR unknown type name '%.*s'", SLICE_ARG(name));
    return false;
}

/* The option at argument `i` and its value behind it. */
static bool read_scan_option(struct call *c, size_t i, struct scan_plan *plan) {
    if (i + 1 == c->argc) return refuse_syntax(c);
    if (call_is(c, i, "MATCH")) {
        plan->pattern = c->argv[i + 1];
        plan->has_pattern = !slice_equal(plan->pattern, LIT("*"));
        return true;
    }
    if (call_is(c, i, "TYPE")) {
        plan->has_type = true;
        return read_type(c, c->argv[i + 1], &plan->type);
    }
    int64_t count;
    if (!call_is(c, i, "COUNT")) return refuse_syntax(c);
    if (!integer_argument(c, i + 1, &count)) return false;
    if (count < 1) return refuse_syntax(c);
    plan->count = (uint64_t)count;
    return true;
}

static bool wants_entry(void *arg, const struct entry *e) {
    const struct scan_plan *plan = arg;
    if (plan->has_pattern && !glob_match(plan->pattern, entry_key(e))) return false;
    return !plan->has_type || e->type == plan->type;
}

static void visit_entry(void *arg, struct entry *e) {
    struct scan_plan *plan = arg;
    reply_bulk(&plan->keys, entry_key(e));
    plan->found++;
}

/* SCAN cursor [MATCH pattern] [COUNT count] [TYPE type] */
static void cmd_scan(struct call *c) {
    uint64_t cursor;
    struct scan_plan plan = { .count = 10 };
    if (!uint64_parse(c->argv[1], &cursor)) {
        reply_error(c->out, ERR_CURSOR);
        return;
    }
    for (size_t i = 2; i < c->argc; i += 2)
        if (!read_scan_option(c, i, &plan)) return;

    reply_init(&plan.keys, c->out->protocol);
    struct chunk *later = reply_later(&plan.keys);
    struct scan_visitor visitor = { wants_entry, visit_entry, &plan, .flush = change_flush_quietly };
    if (exclusive_is_mine())
        visitor.flush = NULL; /* the dispatcher flushes: a transaction's effects stay one */
    cursor = keyspace_scan(&c->view, cursor, plan.count, &visitor);
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
