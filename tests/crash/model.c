/* model.c: see model.h. */
#include "model.h"
#include "../harness/fail.h"
#include <stdlib.h>

#define MSET_KEYS 4  /* the first ones, written by MSET only */
#define PAIR 4       /* this key and the next have equal values, the third goes: by transactions only */
#define COUNTS 7     /* this key and the next are raised together, the third is a mark: by scripts only */
#define FREE_KEYS 10 /* from this one on any command comes */
#define LONG_KEYS 24 /* from this one on values are long and INCR does not come */
#define LONG_MOST 9000
#define AT_ONCE 8      /* elements that one step adds */
#define SOME_TIME (-1) /* the expiry that EX made: only the server knows it */

static const char *const names[COLLECTIONS] = { "hash", "set", "zset", "list", "stream" };

uint64_t model_random(uint64_t *random, uint64_t below) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random % below;
}

/* ---- steps ---- */

static bool is_of_strings(enum kind kind) { return kind <= PERSIST; }

struct step model_draw(uint64_t *random, int64_t value, bool own) {
    struct step step = { .kind = (enum kind)model_random(random, KINDS), .value = value };
    /* What takes everything away comes seldom, or there would be nothing to lose. */
    bool rare = model_random(random, 100) == 0;
    if (step.kind == FLUSH && !(own && rare)) step.kind = HASH_SET;
    if (step.kind == DEL_COLLECTION && !rare) step.kind = ZSET_ADD;
    if (step.kind == INCR_SHARED && own) step.kind = SET_ADD;
    if (is_of_strings(step.kind))
        step.key =
            FREE_KEYS + (size_t)model_random(random, (step.kind == INCR ? LONG_KEYS : KEYS) - FREE_KEYS);
    else
        step.key = (size_t)model_random(random, step.kind == DEL_COLLECTION ? COLLECTIONS : SLOTS);
    if (step.kind == SET_EX) step.expiry_ms = SOME_TIME;
    if (step.kind == SET_PXAT) step.expiry_ms = 4102444800000 + value;
    return step;
}

static void put_elements(struct collection *c, size_t first, int64_t value) {
    for (size_t i = 0; i < AT_ONCE; i++) c->items[(first + i) % SLOTS] = value;
}

static void push_front(struct collection *c, int64_t value) {
    memmove(c->items + AT_ONCE, c->items, (SLOTS - AT_ONCE) * sizeof c->items[0]);
    for (size_t i = 0; i < AT_ONCE; i++) c->items[i] = value;
    c->count = c->count + AT_ONCE < SLOTS ? c->count + AT_ONCE : SLOTS;
}

static void pop_back(struct collection *c) {
    if (c->count > 0) c->items[--c->count] = 0;
}

static void drop_front(struct collection *c, size_t kept) {
    if (c->count <= kept) return;
    memmove(c->items, c->items + (c->count - kept), kept * sizeof c->items[0]);
    memset(c->items + kept, 0, (c->count - kept) * sizeof c->items[0]);
    c->count = kept;
}

static void count_up(struct value *v) {
    v->number = v->there ? v->number + 1 : 1;
    v->expiry_ms = v->there ? v->expiry_ms : 0;
    v->there = true;
}

static void apply_script(struct state *s, int64_t value) {
    count_up(&s->keys[COUNTS]);
    count_up(&s->keys[COUNTS + 1]);
    push_front(&s->collections[LIST], value);
}

static void apply_to_collections(struct collection *c, const struct step *step) {
    switch (step->kind) {
    case HASH_SET: put_elements(&c[HASH], step->key, step->value); return;
    case HASH_DELETE: put_elements(&c[HASH], step->key, 0); return;
    case SET_ADD: put_elements(&c[SET], step->key, 1); return;
    case SET_REMOVE: put_elements(&c[SET], step->key, 0); return;
    case ZSET_ADD: put_elements(&c[ZSET], step->key, step->value); return;
    case ZSET_REMOVE: put_elements(&c[ZSET], step->key, 0); return;
    case LIST_PUSH: push_front(&c[LIST], step->value); return;
    case LIST_POP: pop_back(&c[LIST]); return;
    case STREAM_ADD:
        drop_front(&c[STREAM], SLOTS - 1);
        c[STREAM].items[c[STREAM].count++] = step->value;
        return;
    case STREAM_TRIM: drop_front(&c[STREAM], SLOTS / 2); return;
    case DEL_COLLECTION: c[step->key] = (struct collection){ 0 }; return;
    default: return;
    }
}

void model_apply(struct state *s, const struct step *step) {
    struct value *v = is_of_strings(step->kind) ? &s->keys[step->key] : NULL;
    switch (step->kind) {
    case SET_PLAIN:
    case SET_EX:
    case SET_PXAT: *v = (struct value){ true, step->value, step->expiry_ms }; return;
    case INCR: count_up(v); return;
    case DEL: *v = (struct value){ 0 }; return;
    case PERSIST: v->expiry_ms = 0; return;
    case MSET:
        for (size_t i = 0; i < MSET_KEYS; i++) s->keys[i] = (struct value){ true, step->value, 0 };
        return;
    case TRANSACTION:
        s->keys[PAIR] = s->keys[PAIR + 1] = (struct value){ true, step->value, 0 };
        s->keys[PAIR + 2] = (struct value){ 0 };
        return;
    case SCRIPT: apply_script(s, step->value); return;
    case SCRIPT_TRANSACTION:
        s->keys[COUNTS + 2] = (struct value){ true, step->value, 0 };
        apply_script(s, step->value);
        apply_script(s, step->value);
        return;
    case FLUSH: memset(s, 0, sizeof *s); return;
    default: apply_to_collections(s->collections, step); return;
    }
}

/* ---- on the wire ---- */

/* A long value is its number and a filling whose length follows from it. */
static void print_value(struct text *out, size_t key, int64_t number) {
    text_printf(out, "%lld", (long long)number);
    if (key < LONG_KEYS) return;
    size_t filling = 1 + (size_t)(number * 7919 % LONG_MOST);
    text_append_char(out, ':');
    for (size_t i = 0; i < filling; i++) text_append_char(out, 'x');
}

static void queue_string(struct client *c, int me, const struct step *step) {
    struct text value = { 0 };
    print_value(&value, step->key, step->value);
    const char *text = text_str(&value);
    switch (step->kind) {
    case SET_PLAIN: client_queue(c, "SET w%d:%zu %s", me, step->key, text); break;
    case SET_EX: client_queue(c, "SET w%d:%zu %s EX 100000", me, step->key, text); break;
    case SET_PXAT:
        client_queue(c, "SET w%d:%zu %s PXAT %lld", me, step->key, text, (long long)step->expiry_ms);
        break;
    case INCR: client_queue(c, "INCR w%d:%zu", me, step->key); break;
    case DEL: client_queue(c, "DEL w%d:%zu", me, step->key); break;
    default: client_queue(c, "PERSIST w%d:%zu", me, step->key); break;
    }
    text_release(&value);
}

/* "HSET w1:hash e5 77 e6 77 ...": `format` is one element, `order` what goes before its name. */
static void queue_elements(struct client *c, int me, const char *verb, int type, const struct step *step) {
    struct text line = { 0 };
    text_printf(&line, "%s w%d:%s", verb, me, names[type]);
    for (size_t i = 0; i < AT_ONCE; i++) {
        size_t slot = (step->key + i) % SLOTS;
        if (step->kind == ZSET_ADD) text_printf(&line, " %lld", (long long)step->value);
        text_printf(&line, " e%zu", slot);
        if (step->kind == HASH_SET) text_printf(&line, " %lld", (long long)step->value);
    }
    client_queue_line(c, text_str(&line));
    text_release(&line);
}

static void queue_push(struct client *c, int me, const struct step *step) {
    struct text line = { 0 };
    text_printf(&line, "LPUSH w%d:list", me);
    for (size_t i = 0; i < AT_ONCE; i++) text_printf(&line, " %lld", (long long)step->value);
    client_queue(c, "MULTI");
    client_queue_line(c, text_str(&line));
    client_queue(c, "LTRIM w%d:list 0 %d", me, SLOTS - 1);
    client_queue(c, "EXEC");
    text_release(&line);
}

static void queue_script(struct client *c, int me, int64_t value) {
    client_queue(c,
                 "EVAL \"redis.call('INCR', KEYS[1]) redis.call('INCR', KEYS[2]) "
                 "for i = 1, %d do redis.call('LPUSH', KEYS[3], ARGV[1]) end "
                 "redis.call('LTRIM', KEYS[3], 0, %d)\" 3 w%d:%d w%d:%d w%d:list %lld",
                 AT_ONCE, SLOTS - 1, me, COUNTS, me, COUNTS + 1, me, (long long)value);
}

void model_queue(struct client *c, int me, const struct step *step) {
    long long n = step->value;
    switch (step->kind) {
    case MSET:
        client_queue(c, "MSET w%d:0 %lld w%d:1 %lld w%d:2 %lld w%d:3 %lld", me, n, me, n, me, n, me, n);
        return;
    case TRANSACTION:
        client_queue(c, "MULTI");
        client_queue(c, "SET w%d:4 %lld", me, n);
        client_queue(c, "SET w%d:5 %lld", me, n);
        client_queue(c, "DEL w%d:6", me);
        client_queue(c, "EXEC");
        return;
    case HASH_SET: queue_elements(c, me, "HSET", HASH, step); return;
    case HASH_DELETE: queue_elements(c, me, "HDEL", HASH, step); return;
    case SET_ADD: queue_elements(c, me, "SADD", SET, step); return;
    case SET_REMOVE: queue_elements(c, me, "SREM", SET, step); return;
    case ZSET_ADD: queue_elements(c, me, "ZADD", ZSET, step); return;
    case ZSET_REMOVE: queue_elements(c, me, "ZREM", ZSET, step); return;
    case LIST_PUSH: queue_push(c, me, step); return;
    case LIST_POP: client_queue(c, "RPOP w%d:list", me); return;
    case STREAM_ADD: client_queue(c, "XADD w%d:stream MAXLEN = %d %lld-1 v %lld", me, SLOTS, n, n); return;
    case STREAM_TRIM: client_queue(c, "XTRIM w%d:stream MAXLEN = %d", me, SLOTS / 2); return;
    case DEL_COLLECTION: client_queue(c, "UNLINK w%d:%s", me, names[step->key]); return;
    case SCRIPT: queue_script(c, me, n); return;
    case SCRIPT_TRANSACTION:
        client_queue(c, "MULTI");
        client_queue(c, "SET w%d:%d %lld", me, COUNTS + 2, n);
        queue_script(c, me, n);
        queue_script(c, me, n);
        client_queue(c, "EXEC");
        return;
    case INCR_SHARED: client_queue(c, "INCR shared"); return;
    case FLUSH: client_queue(c, "FLUSHDB"); return;
    default: queue_string(c, me, step); return;
    }
}

size_t model_replies(const struct step *step) {
    if (step->kind == TRANSACTION || step->kind == SCRIPT_TRANSACTION) return 5;
    return step->kind == LIST_PUSH ? 4 : 1;
}

/* ---- what is there ---- */

static void observe_string(struct client *c, int me, size_t key, struct value *v) {
    struct node *value = client_read(c), *expiry = client_read(c);
    v->there = !value->null;
    v->number = strtoll(text_str(&value->bytes), NULL, 10);
    v->expiry_ms = expiry->number > 0 ? expiry->number : 0;
    struct text wanted = { 0 };
    print_value(&wanted, key, v->number);
    if (v->there && strcmp(text_str(&wanted), text_str(&value->bytes)) != 0)
        HARNESS_FAIL("w%d:%zu holds something that was never written", me, key);
    text_release(&wanted);
    node_free(value);
    node_free(expiry);
}

static int64_t number_of(const struct node *n) { return strtoll(text_str(&n->bytes), NULL, 10); }

static size_t slot_of(const struct node *n) {
    size_t slot = strtoul(text_str(&n->bytes) + 1, NULL, 10);
    if (n->bytes.len < 2 || slot >= SLOTS)
        HARNESS_FAIL("an element '%s' was never written", text_str(&n->bytes));
    return slot;
}

/* An entry of a stream is [id, [v, number]] and its id is the number too. */
static int64_t number_of_entry(const struct node *entry) {
    int64_t number = number_of(entry->items[1]->items[1]);
    if (number_of(entry->items[0]) != number) HARNESS_FAIL("an entry of a stream has another's id");
    return number;
}

static void observe_collection(struct client *c, int type, struct collection *out) {
    struct node *all = client_read(c);
    size_t step = type == HASH || type == ZSET ? 2 : 1;
    if (node_is_error(all) || all->count > step * SLOTS)
        HARNESS_FAIL("the %s is not what was written: %zu items %s", names[type], all->count,
                     text_str(&all->bytes));
    for (size_t i = 0; i < all->count; i += step) {
        const struct node *item = all->items[i];
        if (type == SET) out->items[slot_of(item)] = 1;
        if (step == 2) out->items[slot_of(item)] = number_of(all->items[i + 1]);
        if (type == LIST) out->items[out->count++] = number_of(item);
        if (type == STREAM) out->items[out->count++] = number_of_entry(item);
    }
    node_free(all);
}

void model_observe(struct client *c, int me, struct state *out) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < KEYS; i++) {
        client_queue(c, "GET w%d:%zu", me, i);
        client_queue(c, "PEXPIRETIME w%d:%zu", me, i);
    }
    client_queue(c, "HGETALL w%d:hash", me);
    client_queue(c, "SMEMBERS w%d:set", me);
    client_queue(c, "ZRANGE w%d:zset 0 -1 WITHSCORES", me);
    client_queue(c, "LRANGE w%d:list 0 -1", me);
    client_queue(c, "XRANGE w%d:stream - +", me);
    client_flush(c);
    for (size_t i = 0; i < KEYS; i++) observe_string(c, me, i, &out->keys[i]);
    for (int type = 0; type < COLLECTIONS; type++) observe_collection(c, type, &out->collections[type]);
    for (size_t i = 1; i < MSET_KEYS; i++)
        if (out->keys[0].number != out->keys[i].number) HARNESS_FAIL("writer %d: half an MSET is there", me);
    if (out->keys[PAIR].number != out->keys[PAIR + 1].number)
        HARNESS_FAIL("writer %d: half a transaction is there", me);
    if (out->keys[COUNTS].number != out->keys[COUNTS + 1].number)
        HARNESS_FAIL("writer %d: half a script is there", me);
}

static bool is_same_value(const struct value *model, const struct value *real) {
    if (model->there != real->there || (model->there && model->number != real->number)) return false;
    if (model->expiry_ms == SOME_TIME) return real->expiry_ms > 0;
    return model->expiry_ms == real->expiry_ms;
}

bool model_is_same(const struct state *model, const struct state *real) {
    for (size_t i = 0; i < KEYS; i++)
        if (!is_same_value(&model->keys[i], &real->keys[i])) return false;
    return memcmp(model->collections, real->collections, sizeof model->collections) == 0;
}

void model_describe_difference(const struct state *model, const struct state *real, struct text *out) {
    for (size_t i = 0; i < KEYS; i++) {
        const struct value *m = &model->keys[i], *r = &real->keys[i];
        if (is_same_value(m, r)) continue;
        text_printf(out, "key %zu: there=%d %lld expiry %lld; found there=%d %lld expiry %lld; ", i, m->there,
                    (long long)m->number, (long long)m->expiry_ms, r->there, (long long)r->number,
                    (long long)r->expiry_ms);
    }
    for (int type = 0; type < COLLECTIONS; type++) {
        const struct collection *m = &model->collections[type], *r = &real->collections[type];
        size_t at = 0;
        while (at < SLOTS && m->items[at] == r->items[at]) at++;
        if (at == SLOTS) continue;
        text_printf(out, "%s, element %zu: %lld; found %lld; ", names[type], at, (long long)m->items[at],
                    (long long)r->items[at]);
    }
}
