/* history.c: the search of Wing and Gong, with Lowe's memory of where it was.
 *
 * Invocations and answers of a key's operations stand in one list in the order of time. Operations whose
 * invocation comes before the first answer in the list could be next: one that fits the value is taken out,
 * with its answer, and the search goes on from the front. At an answer that is still there nothing more can
 * be next: the last operation taken goes back, and the search goes on behind it. Where the search comes to,
 * is the set of operations taken and the value; it never goes on twice from one of these. They are remembered
 * as 128 bits of a hash, so that one in 2^90 searches may be wrong.
 *
 * An unanswered operation has no answer in the list, so it may stay there to the end. */
#include "history.h"
#include <stdlib.h>
#include <string.h>

#define PLACES_MOST (6u << 20) /* how many the search may come to */

struct event {
    int64_t at_ns;
    size_t op;
    bool answer;
    size_t next, before, partner; /* indexes; partner: an invocation's answer, 0: none */
};

struct place {
    uint64_t bits[2];
};

struct taken {
    size_t event;
    int64_t value; /* before it */
};

struct search {
    const struct op *ops; /* of one key */
    size_t count;
    struct event *events; /* [0] is the list's head */
    int64_t value;
    size_t answered, owed; /* how many of these are still in the list */
    bool cut;
    struct place hash; /* of the operations taken */
    struct taken *taken;
    size_t depth;
    struct place *places; /* open addressing; zeros are free */
    size_t places_count, places_room;
    struct taken *deepest; /* for the message */
    size_t deepest_depth, stuck;
    int64_t deepest_value;
};

static void *must(void *memory) {
    if (!memory) abort();
    return memory;
}

/* ---- histories ---- */

void history_add(struct history *h, const struct op *op) {
    if (h->count == h->room) {
        h->room = h->room ? h->room * 2 : 1024;
        h->ops = must(realloc(h->ops, h->room * sizeof h->ops[0]));
    }
    h->ops[h->count++] = *op;
}

void history_append(struct history *to, const struct history *from) {
    for (size_t i = 0; i < from->count; i++) history_add(to, &from->ops[i]);
}

void history_release(struct history *h) {
    free(h->ops);
    *h = (struct history){ 0 };
}

bool rises(int64_t *floor, int64_t seen) {
    if (seen < *floor) return false;
    *floor = seen;
    return true;
}

/* ---- where the search was ---- */

static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static struct place place_with(struct place p, uint64_t what, uint64_t salt) {
    return (struct place){ { p.bits[0] ^ mix(what * 4 + salt), p.bits[1] ^ mix(~what * 4 + salt) } };
}

static bool place_store(struct place *places, size_t room, struct place p) {
    size_t i = p.bits[0] & (room - 1);
    for (; places[i].bits[0] | places[i].bits[1]; i = (i + 1) & (room - 1))
        if (places[i].bits[0] == p.bits[0] && places[i].bits[1] == p.bits[1]) return false;
    places[i] = p;
    return true;
}

static void places_grow(struct search *s) {
    size_t room = s->places_room ? s->places_room * 2 : 1024;
    struct place *places = must(calloc(room, sizeof places[0]));
    for (size_t i = 0; i < s->places_room; i++)
        if (s->places[i].bits[0] | s->places[i].bits[1]) (void)place_store(places, room, s->places[i]);
    free(s->places);
    s->places = places;
    s->places_room = room;
}

/* False if the search was there before. */
static bool is_new(struct search *s, size_t op, int64_t value) {
    struct place p = place_with(place_with(s->hash, op, 1), (uint64_t)value, 2);
    if (s->places_count * 2 >= s->places_room) places_grow(s);
    if (!place_store(s->places, s->places_room, p)) return false;
    s->places_count++;
    return true;
}

/* ---- the list ---- */

static int compare_events(const void *a, const void *b) {
    const struct event *x = a, *y = b;
    if (x->at_ns != y->at_ns) return x->at_ns < y->at_ns ? -1 : 1;
    return x->answer - y->answer; /* at one time: as if they overlapped */
}

static void list_events(struct search *s) {
    struct event *events = must(calloc(2 * s->count + 1, sizeof events[0]));
    size_t *invocations = must(calloc(s->count, sizeof invocations[0])), n = 1;
    for (size_t i = 0; i < s->count; i++) {
        const struct op *op = &s->ops[i];
        events[n++] = (struct event){ .at_ns = op->invoked_ns, .op = i };
        if (op->answered_ns != UNANSWERED)
            events[n++] = (struct event){ .at_ns = op->answered_ns, .op = i, .answer = true };
    }
    qsort(events + 1, n - 1, sizeof events[0], compare_events);
    for (size_t i = 0; i < n; i++) {
        events[i].before = i ? i - 1 : n - 1;
        events[i].next = i + 1 < n ? i + 1 : 0;
        if (i == 0) continue;
        if (events[i].answer)
            events[invocations[events[i].op]].partner = i;
        else
            invocations[events[i].op] = i;
    }
    free(invocations);
    s->events = events;
}

static void unlink_event(struct event *events, size_t i) {
    events[events[i].before].next = events[i].next;
    events[events[i].next].before = events[i].before;
}

static void link_event(struct event *events, size_t i) {
    events[events[i].before].next = events[events[i].next].before = i;
}

/* ---- the search ---- */

/* The value after the operation; false if it does not fit the one before. */
static bool apply(const struct search *s, const struct op *op, int64_t *value) {
    int64_t before = *value;
    bool known = op->answered_ns != UNANSWERED;
    switch (op->kind) {
    case OP_READ: break;
    case OP_WRITE: *value = op->argument; return true;
    case OP_ADD:
        *value = (before == NOTHING ? 0 : before) + op->argument;
        return !known || op->seen == *value;
    case OP_SWAP: *value = op->argument; break;
    case OP_CAS:
        if (before == op->expected) *value = op->argument;
        break;
    case OP_CUT: return s->owed == 0 && op->seen == before;
    }
    return !known || op->seen == before;
}

static void count_taken(struct search *s, const struct op *op, int sign) {
    s->answered -= (size_t)((op->answered_ns != UNANSWERED) * sign);
    s->owed -= (size_t)(op->owed * sign);
    if (op->kind == OP_CUT) s->cut = sign < 0;
}

static void take(struct search *s, size_t i, int64_t value) {
    struct event *e = &s->events[i];
    s->taken[s->depth++] = (struct taken){ i, s->value };
    s->value = value;
    s->hash = place_with(s->hash, e->op, 1);
    count_taken(s, &s->ops[e->op], 1);
    unlink_event(s->events, i);
    if (e->partner) unlink_event(s->events, e->partner);
}

/* The event after the operation that goes back. */
static size_t put_back(struct search *s) {
    struct taken last = s->taken[--s->depth];
    struct event *e = &s->events[last.event];
    if (e->partner) link_event(s->events, e->partner);
    link_event(s->events, last.event);
    count_taken(s, &s->ops[e->op], -1);
    s->hash = place_with(s->hash, e->op, 1);
    s->value = last.value;
    return e->next;
}

static void note_deepest(struct search *s, size_t at) {
    if (s->depth <= s->deepest_depth) return;
    s->deepest_depth = s->depth;
    s->deepest_value = s->value;
    s->stuck = at;
    memcpy(s->deepest, s->taken, s->depth * sizeof s->taken[0]);
}

static bool search_run(struct search *s) {
    size_t at = s->events[0].next;
    while (s->answered > 0 || s->cut) {
        if (s->places_count > PLACES_MOST) return false;
        const struct event *e = &s->events[at];
        if (at == 0 || e->answer) {
            note_deepest(s, at);
            if (s->depth == 0) return false;
            at = put_back(s);
            continue;
        }
        int64_t value = s->value;
        if (apply(s, &s->ops[e->op], &value) && is_new(s, e->op, value)) {
            take(s, at, value);
            at = s->events[0].next;
        } else {
            at = e->next;
        }
    }
    return true;
}

/* ---- messages ---- */

static void print_number(struct text *out, int64_t value) {
    if (value == NOTHING)
        text_append_str(out, "nothing");
    else
        text_printf(out, "%lld", (long long)value);
}

static void print_op(struct text *out, const struct op *op) {
    static const char *const names[] = { "read", "write", "add", "swap", "cas", "cut" };
    text_printf(out, "  client %u %s", op->client, names[op->kind]);
    if (op->kind == OP_CAS) {
        text_append_str(out, " ");
        print_number(out, op->expected);
        text_append_str(out, " to");
    }
    if (op->kind != OP_READ && op->kind != OP_CUT) {
        text_append_str(out, " ");
        print_number(out, op->argument);
    }
    if (op->kind != OP_WRITE && op->answered_ns != UNANSWERED) {
        text_append_str(out, " saw ");
        print_number(out, op->seen);
    }
    if (op->kind == OP_CUT) print_number(out, op->seen);
    text_printf(out, ", %lld us to ", (long long)op->invoked_ns / 1000);
    if (op->answered_ns == UNANSWERED)
        text_append_str(out, "unanswered");
    else
        text_printf(out, "%lld us", (long long)op->answered_ns / 1000);
    text_append_str(out, op->owed ? ", owed\n" : "\n");
}

#define SHOWN 12

static void explain(const struct search *s, struct text *why) {
    size_t depth = s->deepest_depth, shown = 0;
    bool *is_taken = must(calloc(s->count, sizeof is_taken[0]));
    if (s->places_count > PLACES_MOST) text_append_str(why, "undecided, the search grew too long; ");
    text_printf(why, "key %u: %zu operations, the best order ends after %zu, with ", s->ops[0].key, s->count,
                depth);
    print_number(why, s->deepest_value);
    text_append_str(why, ":\n");
    for (size_t i = 0; i < depth; i++) is_taken[s->events[s->deepest[i].event].op] = true;
    for (size_t i = depth > SHOWN ? depth - SHOWN : 0; i < depth; i++)
        print_op(why, &s->ops[s->events[s->deepest[i].event].op]);
    text_append_str(why, " what could have come next:\n");
    for (size_t i = 1; i < s->stuck || (s->stuck == 0 && i <= s->count); i++) {
        if (s->events[i].answer || is_taken[s->events[i].op] || shown++ >= SHOWN) continue;
        print_op(why, &s->ops[s->events[i].op]);
    }
    free(is_taken);
}

/* ---- all keys ---- */

static bool check_key(const struct op *ops, size_t count, const struct ends *ends, struct text *why) {
    struct search s = { .ops = ops, .count = count, .value = ends->first, .cut = ends->cut };
    for (size_t i = 0; i < count; i++) {
        s.answered += ops[i].answered_ns != UNANSWERED;
        s.owed += ops[i].owed;
    }
    s.taken = must(calloc(count + 1, sizeof s.taken[0]));
    s.deepest = must(calloc(count + 1, sizeof s.deepest[0]));
    list_events(&s);
    bool fits = search_run(&s);
    if (!fits) explain(&s, why);
    free(s.taken);
    free(s.deepest);
    free(s.events);
    free(s.places);
    return fits;
}

static int compare_ops(const void *a, const void *b) {
    const struct op *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->invoked_ns > y->invoked_ns) - (x->invoked_ns < y->invoked_ns);
}

bool history_check(struct history *h, const struct ends *ends, size_t keys, struct text *why) {
    for (uint32_t k = 0; k < keys; k++) {
        if (!ends[k].cut) continue;
        /* It could have come before anything, as far as its time goes. */
        struct op cut = {
            .kind = OP_CUT, .key = k, .seen = ends[k].last, .invoked_ns = INT64_MIN, .answered_ns = UNANSWERED
        };
        history_add(h, &cut);
    }
    if (h->count > 0) qsort(h->ops, h->count, sizeof h->ops[0], compare_ops);
    for (size_t from = 0, to; from < h->count; from = to) {
        uint32_t key = h->ops[from].key;
        for (to = from; to < h->count && h->ops[to].key == key; to++) continue;
        if (key >= keys) abort();
        if (!check_key(h->ops + from, to - from, &ends[key], why)) return false;
    }
    return true;
}
