/* latency.c: LATENCY: spikes that the monitor recorded, and how long commands take. */
#include "trivet/engine/watch/latency.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/watch/stats.h"

/* ---- spikes ---- */

struct listing {
    struct reply *out;
    size_t count;
};

static void add_latest(void *arg, const struct latency_event *e) {
    struct listing *list = arg;
    const struct latency_sample *last = &e->samples[e->count - 1];
    list->count++;
    reply_array(list->out, 6);
    reply_bulk(list->out, slice_of(e->name));
    reply_int(list->out, last->time_s);
    reply_int(list->out, last->ms);
    reply_int(list->out, e->max_ms);
    reply_int(list->out, e->sum_ms);
    reply_int(list->out, (int64_t)e->total);
}

/* LATENCY LATEST */
static void cmd_latency_latest(struct call *c) {
    struct listing list = { .out = c->out };
    struct chunk *at = reply_later(c->out);
    latency_each(add_latest, &list);
    reply_later_array(c->out, at, list.count);
}

/* LATENCY HISTORY event */
static void cmd_latency_history(struct call *c) {
    struct latency_event e;
    if (!latency_get(c->argv[2], &e)) e.count = 0;
    reply_array(c->out, e.count);
    for (size_t i = 0; i < e.count; i++) {
        reply_array(c->out, 2);
        reply_int(c->out, e.samples[i].time_s);
        reply_int(c->out, e.samples[i].ms);
    }
}

/* LATENCY RESET [event ...] */
static void cmd_latency_reset(struct call *c) {
    size_t gone = 0;
    if (c->argc == 2) gone = latency_reset(LIT(""));
    for (size_t i = 2; i < c->argc; i++)
        if (c->argv[i].len > 0) gone += latency_reset(c->argv[i]);
    reply_int(c->out, (int64_t)gone);
}

/* LATENCY GRAPH event */
static void cmd_latency_graph(struct call *c) {
    struct buf text = { 0 };
    if (latency_graph(c->argv[2], c->view.now_ms / 1000, &text))
        reply_verbatim(c->out, "txt", buf_slice(&text));
    else
        reply_error_printf(c->out, "ERR No samples available for event '%.*s'", SLICE_ARG(c->argv[2]));
    buf_release(&text);
}

/* LATENCY DOCTOR */
static void cmd_latency_doctor(struct call *c) {
    struct buf text = { 0 };
    latency_doctor(&text);
    reply_verbatim(c->out, "txt", buf_slice(&text));
    buf_release(&text);
}

/* ---- commands ---- */

/* The command's name and its histogram, if it ever ran; returns whether it did. */
static bool add_histogram(struct reply *out, const struct command *command) {
    struct histogram_row rows[HISTOGRAM_ROWS_MAX];
    size_t count = stats_command_histogram(command, rows, COUNT_OF(rows));
    if (count == 0) return false;
    reply_bulk(out, slice_of(command->full_name));
    reply_map(out, 2);
    reply_bulk(out, LIT("calls"));
    reply_int(out, (int64_t)rows[count - 1].count);
    reply_bulk(out, LIT("histogram_usec"));
    reply_map(out, count);
    for (size_t i = 0; i < count; i++) {
        reply_int(out, (int64_t)rows[i].us);
        reply_int(out, (int64_t)rows[i].count);
    }
    return true;
}

static size_t add_with_children(struct reply *out, const struct command *command) {
    size_t count = add_histogram(out, command);
    for (uint32_t i = 0; i < command->child_count; i++) count += add_histogram(out, &command->children[i]);
    return count;
}

/* LATENCY HISTOGRAM [command ...] */
static void cmd_latency_histogram(struct call *c) {
    size_t count = 0;
    struct chunk *at = reply_later(c->out);
    for (size_t i = 0; c->argc == 2 && i < registry_count(); i++)
        count += add_with_children(c->out, registry_at(i));
    for (size_t i = 2; i < c->argc; i++) {
        const struct command *command = registry_find_full(c->argv[i]);
        if (command) count += add_with_children(c->out, command);
    }
    reply_later_map(c->out, at, count);
}

static void cmd_latency_help(struct call *c) {
    static const char *const lines[] = {
        "DOCTOR",
        "    Explain the recorded spikes in words.",
        "GRAPH <event>",
        "    Draw the recorded spikes of an event.",
        "HISTOGRAM [<command> ...]",
        "    Return how many calls of each command took how many microseconds at most.",
        "HISTORY <event>",
        "    Return time and milliseconds of the recorded spikes of an event.",
        "LATEST",
        "    Return each event's name, time and milliseconds of its last spike, the longest",
        "    of all time, the sum and the number of all.",
        "RESET [<event> ...]",
        "    Forget the spikes of these events, or of all.",
        NULL,
    };
    reply_help(c, lines);
}

#define LATENCY_FLAGS (ADMIN | NOSCRIPT | LOADING | STALE)
#define LATENCY_TIPS "nondeterministic_output,request_policy:all_nodes,response_policy:special"

static const struct command latency_subcommands[] = {
    { .name = "DOCTOR", .run = cmd_latency_doctor, .arity = 2, .kind = LOCAL, .flags = LATENCY_FLAGS,
      .since = "2.8.13", .summary = "Explains the recorded latency spikes.", .complexity = "O(1)",
      .tips = LATENCY_TIPS },
    { .name = "GRAPH", .run = cmd_latency_graph, .arity = 3, .kind = LOCAL, .flags = LATENCY_FLAGS,
      .since = "2.8.13", .summary = "Draws the latency spikes of an event.", .complexity = "O(1)",
      .syntax = "event", .tips = LATENCY_TIPS },
    { .name = "HELP", .run = cmd_latency_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .since = "2.8.13", .summary = "Tells about the subcommands.", .complexity = "O(1)" },
    { .name = "HISTOGRAM", .run = cmd_latency_histogram, .arity = -2, .kind = LOCAL, .flags = LATENCY_FLAGS,
      .since = "7.0.0", .summary = "Returns how long commands took, as cumulative counts.",
      .complexity = "O(N) where N is the number of commands that ran.", .syntax = "[command [command ...]]",
      .tips = LATENCY_TIPS },
    { .name = "HISTORY", .run = cmd_latency_history, .arity = 3, .kind = LOCAL, .flags = LATENCY_FLAGS,
      .since = "2.8.13", .summary = "Returns the latency spikes of an event.", .complexity = "O(1)",
      .syntax = "event", .tips = LATENCY_TIPS },
    { .name = "LATEST", .run = cmd_latency_latest, .arity = 2, .kind = LOCAL, .flags = LATENCY_FLAGS,
      .since = "2.8.13", .summary = "Returns the last latency spike of each event.", .complexity = "O(1)",
      .tips = LATENCY_TIPS },
    { .name = "RESET", .run = cmd_latency_reset, .arity = -2, .kind = LOCAL, .flags = LATENCY_FLAGS,
      .since = "2.8.13", .summary = "Forgets the latency spikes of some or all events.", .complexity = "O(1)",
      .syntax = "[event [event ...]]", .tips = "request_policy:all_nodes,response_policy:agg_sum" },
    { .name = NULL },
};

const struct command latency_commands[] = {
    { .name = "LATENCY", .arity = -2, .kind = LOCAL, .subcommands = latency_subcommands, .since = "2.8.13",
      .summary = "Holds the commands for latency.", .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
