/* racer.c: see racer.h. */
#include "racer.h"
#include "../harness/fail.h"
#include "model.h"
#include "rounds.h"
#include <stdlib.h>

#define PASSES_ONCE_IN 10
#define PASSING_KEYS 100
#define PASSING_MS 400
#define OPS_MOST 2 /* a transaction on two keys is two operations */

void racer_release(struct racer *r) {
    history_release(&r->history);
    text_release(&r->problem);
}

static int64_t value_of(const struct node *n) {
    if (n->null) return NOTHING;
    return n->kind == ':' ? n->number : strtoll(text_str(&n->bytes), NULL, 10);
}

/* ---- commands ---- */

#define CAS_SCRIPT                          \
    "local v = redis.call('GET', KEYS[1]) " \
    "if (v or 'nothing') == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end return v"

static size_t queue_cas(struct client *c, const struct op *op) {
    struct text expected = { 0 };
    if (op->expected == NOTHING)
        text_append_str(&expected, "nothing");
    else
        text_printf(&expected, "%lld", (long long)op->expected);
    client_queue(c, "EVAL \"" CAS_SCRIPT "\" 1 race:%u %s %lld", op->key, text_str(&expected),
                 (long long)op->argument);
    text_release(&expected);
    return 1;
}

/* Reads and writes two keys at once. */
static size_t queue_transaction(struct client *c, const struct op *ops) {
    client_queue(c, "MULTI");
    for (size_t i = 0; i < 2; i++) client_queue(c, "GET race:%u", ops[i].key);
    for (size_t i = 0; i < 2; i++)
        client_queue(c, "SET race:%u %lld", ops[i].key, (long long)ops[i].argument);
    client_queue(c, "EXEC");
    return 6;
}

/* Returns how many replies come. */
static size_t queue_op(struct client *c, const struct op *op) {
    long long n = op->argument;
    switch (op->kind) {
    case OP_READ: client_queue(c, "GET race:%u", op->key); break;
    case OP_WRITE:
        if (op->argument == NOTHING)
            client_queue(c, "DEL race:%u", op->key);
        else
            client_queue(c, "SET race:%u %lld", op->key, n);
        break;
    case OP_ADD: client_queue(c, "INCRBY race:%u %lld", op->key, n); break;
    case OP_SWAP: client_queue(c, "SET race:%u %lld GET", op->key, n); break;
    default: return queue_cas(c, op);
    }
    return 1;
}

/* ---- its thread ---- */

static size_t draw_ops(struct racer *r, struct op *ops) {
    size_t count = 1 + (model_random(&r->random, 6) == 0);
    for (size_t i = 0; i < count; i++) {
        uint32_t key = (uint32_t)model_random(&r->random, RACE_KEYS);
        if (i > 0 && key == ops[0].key) key = (key + 1) % RACE_KEYS;
        struct op op = { .kind = (enum op_kind)model_random(&r->random, OP_CUT), .key = key };
        if (count > 1) op.kind = OP_SWAP;
        op.client = r->number;
        op.argument = op.kind == OP_ADD ? 1 : (++r->next * 16 + r->number) * 1000;
        if (op.kind == OP_WRITE && model_random(&r->random, 4) == 0) op.argument = NOTHING;
        op.expected = r->last[key];
        ops[i] = op;
    }
    return count;
}

static void note_error(struct racer *r, const struct node *reply) {
    if (!is_refusal(reply)) text_printf(&r->problem, "racer %u got -%s", r->number, text_str(&reply->bytes));
}

/* The last reply tells all. False if it did not come or was a refusal. */
static bool read_answer(struct racer *r, struct op *ops, size_t count, size_t replies) {
    struct node *reply = NULL;
    for (size_t i = 0; i < replies; i++) {
        node_free(reply);
        reply = client_read_or_end(r->client);
        if (!reply) return false;
        if (!node_is_error(reply)) continue;
        note_error(r, reply);
        node_free(reply);
        return false;
    }
    int64_t now = now_ns();
    for (size_t i = 0; i < count; i++) {
        ops[i].seen = value_of(count > 1 ? reply->items[i] : reply);
        ops[i].answered_ns = now;
        bool changed = ops[i].kind == OP_SWAP || ops[i].kind == OP_WRITE ||
                       (ops[i].kind == OP_CAS && ops[i].seen == ops[i].expected);
        r->last[ops[i].key] = changed ? ops[i].argument : ops[i].seen;
    }
    node_free(reply);
    return true;
}

static bool race_once(struct racer *r) {
    struct op ops[OPS_MOST];
    size_t count = draw_ops(r, ops);
    size_t replies = count > 1 ? queue_transaction(r->client, ops) : queue_op(r->client, &ops[0]);
    int64_t began = now_ns();
    for (size_t i = 0; i < count; i++) {
        ops[i].invoked_ns = began;
        ops[i].answered_ns = UNANSWERED;
    }
    (void)client_flush(r->client);
    bool answered = read_answer(r, ops, count, replies);
    for (size_t i = 0; i < count; i++) history_add(&r->history, &ops[i]);
    if (answered) atomic_fetch_add(r->answers, 1);
    return answered;
}

/* A key that goes by itself, soon: where it is gone the others must hear of it. */
static bool pass_by(struct racer *r) {
    client_queue(r->client, "SET passing:%u:%d x PX %d", r->number,
                 (int)model_random(&r->random, PASSING_KEYS), 1 + (int)model_random(&r->random, PASSING_MS));
    (void)client_flush(r->client);
    struct node *reply = client_read_or_end(r->client);
    bool good = reply && !node_is_error(reply);
    if (reply && !good) note_error(r, reply);
    node_free(reply);
    return good;
}

static void *race(void *arg) {
    struct racer *r = arg;
    for (bool alive = true; alive && !atomic_load(r->over);) {
        alive = model_random(&r->random, PASSES_ONCE_IN) == 0 ? pass_by(r) : race_once(r);
        if (!alive || !marks_ask(r->client, r->asking, &r->random)) continue;
        (void)client_flush(r->client);
        alive = marks_read(&r->marks, r->client, r->history.count, &r->problem);
    }
    return arg;
}

void racer_start(struct racer *r, struct client *c) {
    r->client = c;
    r->history.count = 0;
    r->marks = (struct marks){ 0 };
    if (pthread_create(&r->thread, NULL, race, r) != 0) HARNESS_FAIL("cannot start a thread");
}

void racer_join(struct racer *r) {
    pthread_join(r->thread, NULL);
    client_close(r->client);
    r->client = NULL;
    if (r->problem.len > 0) HARNESS_FAIL("%s", text_str(&r->problem));
}

/* ---- afterwards ---- */

void racer_tell(struct racer *r, enum owed owed, int64_t demoted_ns, struct history *out) {
    size_t kept = marks_owed(&r->marks, owed, r->history.count);
    for (size_t i = 0; i < r->history.count; i++) {
        struct op op = r->history.ops[i];
        bool only_read = op.kind == OP_READ || (op.kind == OP_CAS && op.seen != op.expected);
        if (op.answered_ns > demoted_ns && only_read) continue;
        op.owed = i < kept && op.answered_ns != UNANSWERED;
        history_add(out, &op);
    }
}

void race_observe(struct client *c, int64_t *values) {
    for (int i = 0; i < RACE_KEYS; i++) client_queue(c, "GET race:%d", i);
    client_flush(c);
    for (int i = 0; i < RACE_KEYS; i++) {
        struct node *reply = client_read(c);
        values[i] = value_of(reply);
        node_free(reply);
    }
}
