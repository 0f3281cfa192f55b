/* cluster_setslot.c: CLUSTER SETSLOT: by its steps tools move a slot, key by key.
 *
 * Replicas take each step first (engine/cluster/open_slots.h). The client waits until they have acknowledged
 * it, like one in WAIT, and only then this node takes the step; if they do not, it does not. */
#include "cluster.h"
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include "trivet/engine/cluster/migrations.h"
#include "trivet/engine/cluster/open_slots.h"
#include "trivet/engine/replication/waiters.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/persist/backlog.h"

#define WAIT_MS 2000 /* without TIMEOUT */

/* What is to be done when the replicas have it. */
struct plan {
    struct slot_step step;
    size_t name_len;
    char name[]; /* of the node, as it was given */
};

/* ---- the arguments ---- */

/* TIMEOUT may stand last; *argc is where the rest ends. */
static bool read_timeout(struct call *c, size_t *argc, int64_t *timeout_ms) {
    *timeout_ms = WAIT_MS;
    if (call_is(c, *argc - 1, "timeout")) {
        reply_error_text(c->out, LIT("ERR Missing timeout value"));
        return false;
    }
    if (*argc < 6 || !call_is(c, *argc - 2, "timeout")) return true;
    *argc -= 2;
    return blocking_parse_ms(c, c->argv[*argc + 1], timeout_ms);
}

static bool read_way(struct call *c, size_t argc, enum slot_way *way) {
    if (argc == 5 && call_is(c, 3, "migrating"))
        *way = SLOT_MIGRATES;
    else if (argc == 5 && call_is(c, 3, "importing"))
        *way = SLOT_IMPORTS;
    else if (argc == 5 && call_is(c, 3, "node"))
        *way = SLOT_GOES_TO;
    else if (argc == 4 && call_is(c, 3, "stable"))
        *way = SLOT_IS_STABLE;
    else
        reply_error_text(c->out,
                         LIT("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP"));
    return !c->out->failed;
}

/* A name that cannot be one is of no node, which is told in its turn. */
static bool read_step(struct call *c, struct slot_step *step, int64_t *timeout_ms) {
    size_t argc = c->argc;
    *step = (struct slot_step){ .by_primary = (c->client->flags & CLIENT_PRIMARY) != 0 };
    if (node_is_replica(member->state.self) && !step->by_primary) return true; /* refused whatever it says */
    if (!read_timeout(c, &argc, timeout_ms) || !slot_argument(c, 2, &step->slot)) return false;
    if (!read_way(c, argc, &step->way)) return false;
    if (argc == 5 && !node_id_parse(c->argv[4], &step->node)) step->node = (struct node_id){ { 0 } };
    return true;
}

/* ---- the answer ---- */

/* In the rules' errors # stands for the slot and @ for the node. */
static void reply_refusal(struct reply *out, const char *error, unsigned slot, struct slice name) {
    struct buf text = { 0 };
    buf_append(&text, LIT("ERR "));
    for (const char *at = error; *at; at++) {
        if (*at == '#')
            buf_printf(&text, "%u", slot);
        else if (*at == '@')
            buf_append(&text, name);
        else
            buf_append(&text, slice_make(at, 1));
    }
    reply_error_text(out, buf_slice(&text));
    buf_release(&text);
}

/* Gate closed. */
static void take_step(struct reply *out, const struct slot_step *step, struct slice name) {
    const char *error = cluster_set_slot(member, step, turn_now_ms);
    cluster_save_changes(member);
    member_act();
    if (error)
        reply_refusal(out, error, step->slot, name);
    else
        reply_ok(out);
}

/* ---- replicas first ---- */

static void wait_end(struct client *c, enum unblock_reason reason, void *arg) {
    struct wait_goal *goal = arg;
    const struct plan *plan = goal->plan;
    if (reason == UNBLOCK_ERROR) {
        blocking_reply_unblocked(&c->reply);
    } else if (!wait_goal_is_reached(goal)) {
        reply_error_text(&c->reply, LIT("NOREPLICAS Not enough good replicas to write."));
    } else {
        exclusive_begin();
        take_step(&c->reply, &plan->step, slice_make(plan->name, plan->name_len));
        exclusive_end();
    }
}

static void wait_for_replicas(struct call *c, const struct slot_step *step, struct slice name,
                              size_t replicas, int64_t timeout_ms) {
    struct wait_goal goal = { .stream = backlog_offset(), .replicas = (int64_t)replicas };
    struct plan *plan = mem_alloc(sizeof *plan + name.len);
    plan->step = *step;
    plan->name_len = name.len;
    if (name.len > 0) memcpy(plan->name, name.ptr, name.len);
    goal.plan = plan;
    waiters_begin(c, timeout_ms, &goal, wait_end);
}

/* CLUSTER SETSLOT slot MIGRATING id | IMPORTING id | NODE id | STABLE [TIMEOUT ms] */
void cmd_cluster_setslot(struct call *c) {
    struct slot_step step;
    int64_t timeout_ms;
    if (!is_node(c) || !read_step(c, &step, &timeout_ms)) return;
    if (migrations_import(step.slot) || migrations_export(step.slot)) {
        reply_error_printf(c->out, "ERR Slot %s in progress.",
                           migrations_import(step.slot) ? "import" : "export");
        return;
    }
    struct slice name = c->argc > 4 ? c->argv[4] : LIT("");
    const char *error = cluster_slot_step_refused(member, &step);
    if (error) {
        reply_refusal(c->out, error, step.slot, name);
        return;
    }
    size_t replicas = step.by_primary ? 0 : open_slots_tell(&step);
    if (replicas > 0 && c->origin->may_wait)
        wait_for_replicas(c, &step, name, replicas, timeout_ms);
    else
        take_step(c->out, &step, name);
}

/* The stream must stand still while writes are paused. */
uint32_t flags_of_setslot(const struct command *command, const struct slice *argv, size_t argc) {
    (void)argv, (void)argc;
    return command->flags | MAY_REPLICATE;
}
