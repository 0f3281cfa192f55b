/* hash_expire.c: the time to live of single fields.
 *
 * Whatever the unit, the journal gets an instant in milliseconds (HPEXPIREAT, HSETEX ... PXAT), or HDEL if it
 * is past; only the fields that changed are named there. */
#include "hash.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/expire_condition.h"
#include "trivet/commands/arguments/expiry_option.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/keyspace/counters.h"

/* ---- FIELDS count field ... ---- */

/* The arguments at the end of each command here. */
struct field_list {
    size_t word;  /* the argument FIELDS; options stand before it */
    size_t first; /* the first field */
    size_t count;
    size_t step; /* 2 if values stand between the fields */
};

static bool refuse_count(struct call *c) {
    reply_error_text(c->out,
                     LIT("ERR numfields should be greater than 0 and match the provided number of fields"));
    return false;
}

/* Looks for the word from argument `from` on; false after replying that it or the count is wrong. */
static bool find_fields(struct call *c, size_t from, size_t step, struct field_list *list) {
    size_t at = from;
    while (at + 1 < c->argc && !call_is(c, at, "FIELDS")) at++;
    if (at + 1 >= c->argc) return refuse_count(c);
    *list = (struct field_list){ .word = at, .first = at + 2, .step = step };
    return true;
}

/* The count behind the word; read after the options, as they are reported first. */
static bool count_fields(struct call *c, struct field_list *list) {
    int64_t n;
    if (!integer_argument(c, list->word + 1, &n)) return false;
    size_t given = c->argc - list->first;
    list->count = given / list->step;
    if (n < 1 || given % list->step != 0 || (uint64_t)n != list->count) return refuse_count(c);
    return true;
}

/* Of commands that take no options: the word must be argument 2. */
static bool read_plain_fields(struct call *c, struct field_list *list) {
    if (!find_fields(c, 2, 1, list)) return false;
    if (list->word != 2) {
        return refuse_syntax(c);
    }
    return count_fields(c, list);
}

static struct slice field_at(const struct call *c, const struct field_list *list, size_t i) {
    return c->argv[list->first + i * list->step];
}

/* ---- what the journal gets ---- */

/* A command about some of the fields, built as they turn out to change. */
struct effect_builder {
    struct slice *argv;
    size_t argc, head; /* head: words before the fields */
    char instant[INT64_TEXT_MAX], number[INT64_TEXT_MAX];
};

#define HEAD_MAX 5 /* HPEXPIREAT key time FIELDS count */

static void effect_begin(struct effect_builder *b, const struct field_list *list) {
    b->argv = mem_alloc((HEAD_MAX + list->count * list->step) * sizeof *b->argv);
    b->head = b->argc = HEAD_MAX;
}

static void effect_add(struct effect_builder *b, struct slice word) { b->argv[b->argc++] = word; }

/* The words before the fields, written right before them. */
static struct effect effect_finish(struct effect_builder *b, const struct slice *words, size_t count) {
    struct slice *at = b->argv + b->head - count;
    for (size_t i = 0; i < count; i++) at[i] = words[i];
    return (struct effect){ at, b->argc - b->head + count };
}

static struct slice digits_of(char *room, int64_t n) { return slice_make(room, int64_format(room, n)); }

static struct effect effect_hdel(struct effect_builder *b, struct slice key) {
    const struct slice words[] = { LIT_INIT("HDEL"), key };
    return effect_finish(b, words, COUNT_OF(words));
}

static struct effect effect_hpexpireat(struct effect_builder *b, struct slice key, int64_t at_ms) {
    const struct slice words[] = { LIT_INIT("HPEXPIREAT"), key, digits_of(b->instant, at_ms),
                                   LIT_INIT("FIELDS"), digits_of(b->number, (int64_t)(b->argc - b->head)) };
    return effect_finish(b, words, COUNT_OF(words));
}

static struct effect effect_hpersist(struct effect_builder *b, struct slice key) {
    const struct slice words[] = { LIT_INIT("HPERSIST"), key, LIT_INIT("FIELDS"),
                                   digits_of(b->number, (int64_t)(b->argc - b->head)) };
    return effect_finish(b, words, COUNT_OF(words));
}

/* ---- one change of several fields ---- */

struct field_change {
    struct call *call;
    struct keyspace_change h;
    struct field_list list;
    struct effect_builder effect; /* names the fields that did change */
    /* Of commands that set a time. */
    int64_t at_ms;
    unsigned conditions;
    bool persist; /* HGETEX takes the time away instead */
};

/* Those that have expired go first. */
static void settle(struct field_change *w, bool will_set) {
    hash_settle(w->call, &w->h,
                (struct field_names){ w->call->argv + w->list.first, w->list.count, w->list.step }, will_set);
}

/* Changes field by field; `change` says with true that this one did. */
static void change_fields(struct field_change *w, bool (*change)(struct field_change *w, struct slice name)) {
    settle(w, false);
    effect_begin(&w->effect, &w->list);
    for (size_t i = 0; i < w->list.count; i++) {
        struct slice name = field_at(w->call, &w->list, i);
        if (change(w, name)) effect_add(&w->effect, name);
    }
}

static size_t fields_changed(const struct field_change *w) { return w->effect.argc - w->effect.head; }

static void end_change(struct field_change *w, const char *event, struct effect effect) {
    change_close(w->call, &w->h, fields_changed(w), event, effect);
    mem_free(w->effect.argv);
}

/* ---- setting ---- */

enum { FIELD_MISSING = -2, FIELD_NO_EXPIRY = -1, FIELD_REFUSED = 0, FIELD_DONE = 1, FIELD_EXPIRED = 2 };

static bool is_past(const struct call *c, int64_t at_ms) { return keyspace_is_past(&c->view, at_ms); }

static bool read_instant(struct call *c, struct slice text, struct expire_unit unit, int64_t *at_ms) {
    int64_t n;
    if (int64_parse(text, &n) && n < 0) {
        reply_invalid_expiry(c);
        return false;
    }
    return expire_instant_read(c, text, unit, at_ms);
}

/* Gives one field the time, or removes it if that is past. The condition is judged first. */
static int expire_field(struct field_change *w, struct slice name) {
    struct keyspace_change *h = &w->h;
    struct hash_field f;
    struct hash_scratch scratch;
    if (!hash_find_live(w->call, h->value, name, &f, &scratch)) return FIELD_MISSING;
    int64_t old_ms = f.expiry_ms == HASH_NO_EXPIRY ? NO_EXPIRY : f.expiry_ms;
    if (!expire_conditions_hold(w->conditions, old_ms, w->at_ms)) return FIELD_REFUSED;
    if (is_past(w->call, w->at_ms)) {
        (void)hash_remove(&h->value, name);
        return FIELD_EXPIRED;
    }
    (void)hash_set_expiry(&h->value, name, w->at_ms);
    return FIELD_DONE;
}

static bool expire_and_reply(struct field_change *w, struct slice name) {
    int result = expire_field(w, name);
    reply_int(w->call->out, result);
    return result > FIELD_REFUSED;
}

static void count_expired(size_t fields) { COUNTER_ADD(counters_mine()->expired_fields, fields); }

static void end_expiring(struct field_change *w) {
    if (!is_past(w->call, w->at_ms)) {
        end_change(w, "hexpire", effect_hpexpireat(&w->effect, w->h.key, w->at_ms));
        return;
    }
    count_expired(fields_changed(w));
    end_change(w, "hexpired", effect_hdel(&w->effect, w->h.key));
}

static void hash_expire(struct call *c, struct expire_unit unit) {
    struct field_change w = { .call = c, .at_ms = NO_EXPIRY };
    if (!find_fields(c, 3, 1, &w.list) || !expire_conditions_read(c, 3, w.list.word, &w.conditions)) return;
    if (!count_fields(c, &w.list) || !read_instant(c, c->argv[2], unit, &w.at_ms)) return;
    if (!hash_open(c, &w.h)) return;
    reply_array(c->out, w.list.count);
    change_fields(&w, expire_and_reply);
    end_expiring(&w);
}

/* HEXPIRE key seconds [NX | XX | GT | LT] FIELDS count field [field ...] */
static void cmd_hexpire(struct call *c) { hash_expire(c, (struct expire_unit){ true, true }); }

/* HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS count field [field ...] */
static void cmd_hpexpire(struct call *c) { hash_expire(c, (struct expire_unit){ false, true }); }

/* HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS count field [field ...] */
static void cmd_hexpireat(struct call *c) { hash_expire(c, (struct expire_unit){ true, false }); }

/* HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS count field [field ...] */
static void cmd_hpexpireat(struct call *c) { hash_expire(c, (struct expire_unit){ false, false }); }

/* Takes one field's time away. */
static int persist_field(struct field_change *w, struct slice name) {
    struct keyspace_change *h = &w->h;
    struct hash_field f;
    struct hash_scratch scratch;
    if (!hash_find_live(w->call, h->value, name, &f, &scratch)) return FIELD_MISSING;
    if (f.expiry_ms == HASH_NO_EXPIRY) return FIELD_NO_EXPIRY;
    (void)hash_set_expiry(&h->value, name, HASH_NO_EXPIRY);
    return FIELD_DONE;
}

static bool persist_and_reply(struct field_change *w, struct slice name) {
    int result = persist_field(w, name);
    reply_int(w->call->out, result);
    return result == FIELD_DONE;
}

static void end_persisting(struct field_change *w) {
    end_change(w, "hpersist", effect_hpersist(&w->effect, w->h.key));
}

/* HPERSIST key FIELDS count field [field ...] */
static void cmd_hpersist(struct call *c) {
    struct field_change w = { .call = c };
    if (!read_plain_fields(c, &w.list) || !hash_open(c, &w.h)) return;
    reply_array(c->out, w.list.count);
    change_fields(&w, persist_and_reply);
    end_persisting(&w);
}

/* ---- asking ---- */

static int64_t in_unit(const struct call *c, int64_t ms, struct expire_unit unit) {
    if (unit.relative) ms = ms > c->view.now_ms ? ms - c->view.now_ms : 0;
    return unit.in_seconds ? ms / 1000 + (ms % 1000 >= 500) : ms;
}

static void reply_times(struct call *c, struct expire_unit unit) {
    struct field_list list;
    struct value v;
    bool missing;
    if (!read_plain_fields(c, &list)) return;
    if (!hash_read(c, &v, &missing) && !missing) return;
    reply_array(c->out, list.count);
    for (size_t i = 0; i < list.count; i++) {
        struct hash_field f;
        struct hash_scratch scratch;
        if (missing || !hash_find_live(c, v, field_at(c, &list, i), &f, &scratch))
            reply_int(c->out, FIELD_MISSING);
        else if (f.expiry_ms == HASH_NO_EXPIRY)
            reply_int(c->out, FIELD_NO_EXPIRY);
        else
            reply_int(c->out, in_unit(c, f.expiry_ms, unit));
    }
}

/* HTTL key FIELDS count field [field ...] */
static void cmd_httl(struct call *c) { reply_times(c, (struct expire_unit){ true, true }); }

/* HPTTL key FIELDS count field [field ...] */
static void cmd_hpttl(struct call *c) { reply_times(c, (struct expire_unit){ false, true }); }

/* HEXPIRETIME key FIELDS count field [field ...] */
static void cmd_hexpiretime(struct call *c) { reply_times(c, (struct expire_unit){ true, false }); }

/* HPEXPIRETIME key FIELDS count field [field ...] */
static void cmd_hpexpiretime(struct call *c) { reply_times(c, (struct expire_unit){ false, false }); }

/* ---- with values ---- */

/* The instant that EX, PX, EXAT or PXAT gives; past ones are fine. */
static bool option_instant(struct call *c, struct expiry_option *o) {
    o->at_ms = NO_EXPIRY;
    if (!expiry_option_has_time(o)) return true;
    struct expire_unit unit = { .in_seconds = o->word == EXPIRY_EX || o->word == EXPIRY_EXAT,
                                .relative = o->word == EXPIRY_EX || o->word == EXPIRY_PX };
    return read_instant(c, o->amount, unit, &o->at_ms);
}

static bool remove_field(struct field_change *w, struct slice name) {
    return hash_remove_live(w->call, &w->h.value, name);
}

static bool reply_and_remove(struct field_change *w, struct slice name) {
    hash_reply_value(w->call, &w->h.value, name);
    return remove_field(w, name);
}

/* HGETDEL key FIELDS count field [field ...] */
static void cmd_hgetdel(struct call *c) {
    struct field_change w = { .call = c };
    if (!read_plain_fields(c, &w.list) || !hash_open(c, &w.h)) return;
    reply_array(c->out, w.list.count);
    change_fields(&w, reply_and_remove);
    end_change(&w, "hdel", effect_hdel(&w.effect, w.h.key));
}

static bool reply_and_set_time(struct field_change *w, struct slice name) {
    hash_reply_value(w->call, &w->h.value, name);
    if (w->persist) return persist_field(w, name) == FIELD_DONE;
    return w->at_ms != NO_EXPIRY && expire_field(w, name) > FIELD_REFUSED;
}

/* HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS count field [field ...] */
static void cmd_hgetex(struct call *c) {
    struct field_change w = { .call = c, .at_ms = NO_EXPIRY };
    struct expiry_option expiry = { .word = EXPIRY_NONE };
    if (!find_fields(c, 2, 1, &w.list)) return;
    for (size_t at = 2; at < w.list.word;) {
        if (expiry_option_read(c, &at, EXPIRY_KEEPTTL, &expiry) == EXPIRY_READ && at <= w.list.word) continue;
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!count_fields(c, &w.list) || !hash_open(c, &w.h)) return;
    if (!option_instant(c, &expiry)) {
        change_close(c, &w.h, 0, NULL, EFFECT_NONE);
        return;
    }
    w.at_ms = expiry.at_ms;
    w.persist = expiry.word == EXPIRY_PERSIST;
    reply_array(c->out, w.list.count);
    change_fields(&w, reply_and_set_time);
    if (w.persist)
        end_persisting(&w);
    else
        end_expiring(&w);
}

struct hsetex_plan {
    struct field_change change;
    struct expiry_option expiry;
    bool key_missing, key_present;       /* NX, XX */
    bool fields_missing, fields_present; /* FNX: none of them is there; FXX: all are */
};

static bool read_hsetex_options(struct call *c, struct hsetex_plan *plan) {
    const struct {
        const char *word;
        bool *flag;
    } words[] = { { "NX", &plan->key_missing },
                  { "XX", &plan->key_present },
                  { "FNX", &plan->fields_missing },
                  { "FXX", &plan->fields_present } };
    for (size_t at = 2; at < plan->change.list.word;) {
        enum expiry_read read = expiry_option_read(c, &at, EXPIRY_PERSIST, &plan->expiry);
        if (read == EXPIRY_REFUSED || at > plan->change.list.word) return false;
        if (read == EXPIRY_READ) continue;
        size_t i = 0;
        while (i < COUNT_OF(words) && !call_is(c, at, words[i].word)) i++;
        if (i == COUNT_OF(words)) return false;
        *words[i].flag = true;
        at++;
    }
    return !(plan->key_missing && plan->key_present) && !(plan->fields_missing && plan->fields_present);
}

static bool hsetex_may_go_on(const struct hsetex_plan *plan) {
    const struct call *c = plan->change.call;
    const struct keyspace_change *h = &plan->change.h;
    const struct field_list *list = &plan->change.list;
    if ((plan->key_missing && h->entry) || (plan->key_present && !h->entry)) return false;
    if (!plan->fields_missing && !plan->fields_present) return true;
    for (size_t i = 0; i < list->count; i++) {
        struct hash_field f;
        struct hash_scratch scratch;
        bool found = hash_find_live(c, h->value, field_at(c, list, i), &f, &scratch);
        if (found ? plan->fields_missing : plan->fields_present) return false;
    }
    return true;
}

/* The time is past. Listeners are told as if the fields had lived for an instant; those that were there
 * go. */
static void hsetex_expire(struct field_change *w) {
    struct call *c = w->call;
    bool was_missing = !w->h.entry;
    change_fields(w, remove_field);
    notify(c->view.db, NOTIFY_HASH, "hset", w->h.key);
    notify(c->view.db, NOTIFY_HASH, "hexpire", w->h.key);
    if (fields_changed(w) == 0) notify(c->view.db, NOTIFY_HASH, "hexpired", w->h.key);
    count_expired(w->list.count);
    end_change(w, "hexpired", effect_hdel(&w->effect, w->h.key));
    if (was_missing) notify(c->view.db, NOTIFY_GENERIC, "del", w->h.key);
}

/* Without the conditions, and with an absolute time. Without any time it is a plain HSET. */
static struct effect hsetex_effect(struct effect_builder *b, const struct hsetex_plan *plan) {
    struct slice words[6] = { LIT_INIT("HSET"), plan->change.h.key };
    size_t count = 2;
    if (plan->expiry.word != EXPIRY_NONE) {
        words[0] = LIT("HSETEX");
        if (plan->expiry.word == EXPIRY_KEEPTTL) {
            words[count++] = LIT("KEEPTTL");
        } else {
            words[count++] = LIT("PXAT");
            words[count++] = digits_of(b->instant, plan->expiry.at_ms);
        }
        words[count++] = LIT("FIELDS");
        words[count++] = digits_of(b->number, (int64_t)plan->change.list.count);
    }
    return effect_finish(b, words, count);
}

static void hsetex_set(struct hsetex_plan *plan) {
    struct keyspace_change *h = &plan->change.h;
    struct call *c = plan->change.call;
    const struct slice *pairs = c->argv + plan->change.list.first;
    size_t count = plan->change.list.count;
    int64_t expiry_ms = plan->expiry.at_ms;
    if (plan->expiry.word == EXPIRY_KEEPTTL) expiry_ms = HASH_KEEP_EXPIRY;
    if (plan->expiry.word == EXPIRY_NONE) expiry_ms = HASH_NO_EXPIRY;
    settle(&plan->change, true);
    hash_expect(&h->value, pairs, count);
    struct effect_builder b;
    b.argv = mem_alloc((HEAD_MAX + 1 + 2 * count) * sizeof *b.argv);
    b.head = b.argc = HEAD_MAX + 1;
    for (size_t i = 0; i < 2 * count; i += 2) {
        (void)hash_set(&h->value, pairs[i], pairs[i + 1], expiry_ms);
        effect_add(&b, pairs[i]);
        effect_add(&b, pairs[i + 1]);
    }
    change_close(c, h, count, "hset", hsetex_effect(&b, plan));
    if (expiry_option_has_time(&plan->expiry)) notify(c->view.db, NOTIFY_HASH, "hexpire", h->key);
    mem_free(b.argv);
}

/* HSETEX key [NX | XX] [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS count field value ...
 */
static void cmd_hsetex(struct call *c) {
    struct hsetex_plan plan = { .change = { .call = c }, .expiry = { .word = EXPIRY_NONE } };
    struct field_change *w = &plan.change;
    if (!find_fields(c, 2, 2, &w->list)) return;
    if (!read_hsetex_options(c, &plan)) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!count_fields(c, &w->list) || !hash_open(c, &w->h)) return;
    bool ok = option_instant(c, &plan.expiry);
    if (!ok || !hsetex_may_go_on(&plan)) {
        if (ok) reply_int(c->out, 0);
        change_close(c, &w->h, 0, NULL, EFFECT_NONE);
        return;
    }
    if (expiry_option_has_time(&plan.expiry) && is_past(c, plan.expiry.at_ms))
        hsetex_expire(w);
    else
        hsetex_set(&plan);
    reply_int(c->out, 1);
}

/* ---- the table ---- */

#define FIELD_FACTS \
    .kind = KEYED, .categories = CAT_HASH, .complexity = "O(N) where N is the number of fields named."
#define EXPIRING \
    FIELD_FACTS, .arity = -6, .flags = WRITES | FAST, .keys = { KEY(KEY_RW | KEY_UPDATE) }, .since = "9.0.0"
#define ASKING \
    FIELD_FACTS, .arity = -5, .flags = READS | FAST, .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "9.0.0"
#define FIELDS "FIELDS numfields field [field ...]"

const struct command hash_expire_commands[] = {
    { .name = "HEXPIRE", .run = cmd_hexpire, EXPIRING,
      .summary = "Sets after how many seconds fields expire.",
      .syntax = "key seconds [NX | XX | GT | LT] " FIELDS },
    { .name = "HEXPIREAT", .run = cmd_hexpireat, EXPIRING,
      .summary = "Sets the time, in seconds since 1970, at which fields expire.",
      .syntax = "key unix-time-seconds [NX | XX | GT | LT] " FIELDS },
    { .name = "HEXPIRETIME", .run = cmd_hexpiretime, ASKING,
      .summary = "Returns the times, in seconds since 1970, at which fields expire.",
      .syntax = "key " FIELDS },
    { .name = "HGETDEL", .run = cmd_hgetdel, .arity = -5, FIELD_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_DELETE) }, .since = "9.1.0",
      .summary = "Returns the values of fields and deletes them.", .syntax = "key " FIELDS },
    { .name = "HGETEX", .run = cmd_hgetex, .arity = -5, FIELD_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(KEY_RW | KEY_ACCESS) }, .since = "9.0.0",
      .summary = "Returns the values of fields and sets or removes their expiration time.",
      .syntax = "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
                "PERSIST] " FIELDS },
    { .name = "HPERSIST", .run = cmd_hpersist, .arity = -5, FIELD_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(KEY_RW | KEY_UPDATE) }, .since = "9.0.0",
      .summary = "Takes the expiration time of fields away.",
      .syntax = "key " FIELDS },
    { .name = "HPEXPIRE", .run = cmd_hpexpire, EXPIRING,
      .summary = "Sets after how many milliseconds fields expire.",
      .syntax = "key milliseconds [NX | XX | GT | LT] " FIELDS },
    { .name = "HPEXPIREAT", .run = cmd_hpexpireat, EXPIRING,
      .summary = "Sets the time, in milliseconds since 1970, at which fields expire.",
      .syntax = "key unix-time-milliseconds [NX | XX | GT | LT] " FIELDS },
    { .name = "HPEXPIRETIME", .run = cmd_hpexpiretime, ASKING,
      .summary = "Returns the times, in milliseconds since 1970, at which fields expire.",
      .syntax = "key " FIELDS },
    { .name = "HPTTL", .run = cmd_hpttl, ASKING, .summary = "Returns the milliseconds until fields expire.",
      .syntax = "key " FIELDS },
    { .name = "HSETEX", .run = cmd_hsetex, .arity = -6, FIELD_FACTS, .flags = WRITES | GROWS | FAST,
      .keys = { KEY(KEY_RW | KEY_INSERT) }, .since = "9.0.0",
      .summary = "Sets the values of fields and their expiration time.",
      .syntax = "key [NX | XX] [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
                "PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]" },
    { .name = "HTTL", .run = cmd_httl, ASKING, .summary = "Returns the seconds until fields expire.",
      .syntax = "key " FIELDS },
    { .name = NULL },
};
