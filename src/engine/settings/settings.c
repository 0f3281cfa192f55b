/* settings.c: the machinery under the rows: finding one, turning text into its value and back, and CONFIG
 * SET.
 *
 * CONFIG SET is all or nothing. It stores every new value first (a bad one puts all back), then calls each
 * row's effect once; nobody sees the values in between, because no other worker runs meanwhile. If an effect
 * refuses, the old values are put back and the effects called again with them. */
#include "rows.h"

#include "trivet/base/glob.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include <inttypes.h>
#include <stdlib.h>

struct options options;
struct options_hooks options_hooks;

#define ROWS_MAX 384

/* What this module remembers about a row, beside its value. */
struct row_state {
    char *initial; /* the default in stored form; NULL for an alias */
    bool is_included;
};
static const struct option *rows[ROWS_MAX];
static struct row_state row_states[ROWS_MAX];
static size_t row_count;

/* ---- Finding rows ---- */

static int compare_names(struct slice a, const char *b) {
    int order = strncasecmp(a.ptr, b, a.len);
    return order != 0 ? order : -(b[a.len] != '\0');
}

static int compare_rows(const void *a, const void *b) {
    const struct option *left = *(const struct option *const *)a, *right = *(const struct option *const *)b;
    return strcmp(left->name, right->name);
}

static void collect(const struct option *table) {
    for (const struct option *o = table; o->name; o++) {
        assert(row_count < ROWS_MAX);
        rows[row_count++] = o;
    }
}

size_t options_row_count(void) { return row_count; }

const struct option *options_row(size_t index) {
    assert(index < row_count);
    return rows[index];
}

const struct option *options_row_named(struct slice name) {
    size_t low = 0, high = row_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_names(name, rows[middle]->name);
        if (order == 0) return rows[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct option *options_find(struct slice name) {
    const struct option *o = options_row_named(name);
    if (!o || !o->alias_of) return o;
    const struct option *meant = options_row_named(slice_of(o->alias_of));
    assert(meant && !meant->alias_of);
    return meant;
}

bool options_is_secret(struct slice name) {
    const struct option *o = options_find(name);
    return (o && (o->flags & OPTION_SENSITIVE)) || slice_equal_nocase(name, LIT("user"));
}

size_t options_row_index(const struct option *o) {
    const struct option **at = bsearch(&o, rows, row_count, sizeof rows[0], compare_rows);
    assert(at);
    return (size_t)(at - rows);
}

/* ---- Words and strings ---- */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct option_words option_words_split(struct slice text) {
    struct option_words w = { .item = mem_alloc(sizeof(struct slice) * (text.len / 2 + 1)), .count = 0 };
    size_t at = 0;
    while (at < text.len) {
        if (is_space(text.ptr[at])) {
            at++;
            continue;
        }
        size_t begin = at;
        while (at < text.len && !is_space(text.ptr[at])) at++;
        w.item[w.count++] = slice_make(text.ptr + begin, at - begin);
    }
    return w;
}

void option_words_release(struct option_words *w) {
    mem_free(w->item);
    *w = (struct option_words){ 0 };
}

void text_replace(char **field, struct slice text) {
    assert(!text.len || !memchr(text.ptr, '\0', text.len));
    if (*field && slice_equal(slice_of(*field), text)) return;
    char *copy = slice_to_cstr(text);
    mem_free(*field);
    *field = copy;
}

/* ---- Text to value ---- */

static bool refuse_range(const struct option *o, struct buf *why) {
    assert(o->min < 0 || (uint64_t)o->min <= o->max);
    if (o->kind == OPTION_OCTAL)
        buf_printf(why, "argument must be between %" PRIo64 " and %" PRIo64 " inclusive", (uint64_t)o->min,
                   o->max);
    else
        buf_printf(why, "argument must be between %" PRId64 " and %" PRIu64 " inclusive", o->min, o->max);
    return false;
}

static bool store_bool(const struct option *o, struct slice text, struct buf *why) {
    bool on = slice_equal_nocase(text, LIT("yes"));
    if (!on && !slice_equal_nocase(text, LIT("no"))) {
        buf_append(why, LIT("argument must be 'yes' or 'no'"));
        return false;
    }
    *o->flag = on;
    return true;
}

static bool store_int(const struct option *o, struct slice text, struct buf *why) {
    int64_t n;
    if (!int64_parse(text, &n)) {
        buf_append(why, LIT("argument couldn't be parsed into an integer"));
        return false;
    }
    if (n < o->min || (n > 0 && (uint64_t)n > o->max)) return refuse_range(o, why);
    *o->number = n;
    return true;
}

static bool store_octal(const struct option *o, struct slice text, struct buf *why) {
    uint64_t n = 0;
    bool is_octal = text.len > 0 && text.len <= 20;
    for (size_t i = 0; is_octal && i < text.len; i++) {
        is_octal = text.ptr[i] >= '0' && text.ptr[i] <= '7';
        n = n * 8 + (uint64_t)(text.ptr[i] - '0');
    }
    if (!is_octal) {
        buf_append(why, LIT("argument couldn't be parsed as an octal number"));
        return false;
    }
    if (n > o->max) return refuse_range(o, why);
    *o->number = (int64_t)n;
    return true;
}

static bool store_memory(const struct option *o, struct slice text, struct buf *why) {
    uint64_t bytes;
    if (!memory_size_parse(text, &bytes)) {
        buf_append(why, LIT("argument must be a memory value"));
        return false;
    }
    if (bytes < (uint64_t)o->min || bytes > o->max) return refuse_range(o, why);
    *o->size = bytes;
    return true;
}

static bool store_percent(const struct option *o, struct slice text, struct buf *why) {
    uint64_t bytes;
    int64_t percent;
    bool is_percent = text.len > 1 && text.ptr[text.len - 1] == '%' &&
                      int64_parse(slice_make(text.ptr, text.len - 1), &percent) && percent >= 0;
    if (!is_percent && !memory_size_parse(text, &bytes)) {
        buf_append(why, LIT("argument must be a memory or percent value"));
        return false;
    }
    if (is_percent && percent > -o->min) {
        buf_printf(why, "percentage argument must be less or equal to %" PRId64, -o->min);
        return false;
    }
    if (!is_percent && bytes > o->max) return refuse_range(o, why);
    *o->number = is_percent ? -percent : (int64_t)bytes;
    return true;
}

static const struct option_name *find_choice(const struct option *o, struct slice text) {
    for (const struct option_name *n = o->names; n->name; n++)
        if (slice_equal_nocase(text, slice_of(n->name))) return n;
    return NULL;
}

/* ENUM takes one word, BITS one or more. */
static bool store_choice(const struct option *o, const struct slice *argv, size_t argc, struct buf *why) {
    int value = 0;
    bool known = argc > 0;
    for (size_t i = 0; known && i < argc; i++) {
        const struct option_name *found = find_choice(o, argv[i]);
        known = found != NULL;
        if (found) value |= found->value;
    }
    if (known) {
        *o->choice = value;
        return true;
    }
    buf_append(why, LIT("argument(s) must be one of the following: "));
    for (const struct option_name *n = o->names; n->name; n++)
        buf_printf(why, "%s%s", n == o->names ? "" : ", ", n->name);
    return false;
}

static bool store_string(const struct option *o, struct slice text, struct buf *why) {
    if (text.len > 0 && memchr(text.ptr, '\0', text.len)) {
        buf_append(why, LIT("argument must not contain a NUL byte"));
        return false;
    }
    text_replace(o->text, text);
    return true;
}

bool option_store(const struct option *o, const struct slice *argv, size_t argc, struct buf *why) {
    assert(!o->alias_of);
    if (!(o->flags & OPTION_MULTI_ARG) && argc != 1) {
        buf_append(why, LIT("wrong number of arguments"));
        return false;
    }
    for (size_t i = 0; o->check && i < argc; i++)
        if (!o->check(argv[i], why)) return false;
    switch (o->kind) {
    case OPTION_BOOL: return store_bool(o, argv[0], why);
    case OPTION_INT: return store_int(o, argv[0], why);
    case OPTION_OCTAL: return store_octal(o, argv[0], why);
    case OPTION_MEMORY: return store_memory(o, argv[0], why);
    case OPTION_PERCENT: return store_percent(o, argv[0], why);
    case OPTION_ENUM:
    case OPTION_BITS: return store_choice(o, argv, argc, why);
    case OPTION_STRING: return store_string(o, argv[0], why);
    case OPTION_SPECIAL: return o->special->set(argv, argc, why);
    }
    assert(!"every kind has its case");
    return false;
}

bool option_store_text(const struct option *o, struct slice text, struct buf *why) {
    if (!(o->flags & OPTION_MULTI_ARG)) return option_store(o, &text, 1, why);
    struct option_words w = option_words_split(text);
    bool stored = option_store(o, w.item, w.count, why);
    option_words_release(&w);
    return stored;
}

/* ---- Value to text ---- */

static void append_choice(const struct option *o, struct buf *out) {
    int value = *o->choice;
    bool is_first = true;
    for (const struct option_name *n = o->names; n->name; n++) {
        bool fits = o->kind == OPTION_ENUM || value == 0 ? n->value == value : (n->value & value) != 0;
        if (!fits) continue;
        buf_printf(out, "%s%s", is_first ? "" : " ", n->name);
        is_first = false;
        if (o->kind == OPTION_ENUM) break; /* if two names mean the same, the first is shown */
    }
    assert(!is_first);
}

void option_stored(const struct option *o, struct buf *out) {
    assert(!o->alias_of);
    switch (o->kind) {
    case OPTION_BOOL: buf_append(out, *o->flag ? LIT("yes") : LIT("no")); return;
    case OPTION_INT: buf_append_int(out, *o->number); return;
    case OPTION_OCTAL: buf_printf(out, "%" PRIo64, (uint64_t)*o->number); return;
    case OPTION_MEMORY: buf_printf(out, "%" PRIu64, *o->size); return;
    case OPTION_PERCENT:
        if (*o->number < 0)
            buf_printf(out, "%" PRId64 "%%", -*o->number);
        else
            buf_append_int(out, *o->number);
        return;
    case OPTION_ENUM:
    case OPTION_BITS: append_choice(o, out); return;
    case OPTION_STRING: buf_append(out, slice_of(*o->text)); return;
    case OPTION_SPECIAL: o->special->get(out); return;
    }
    assert(!"every kind has its case");
}

void option_get(const struct option *o, struct buf *out) {
    if (o->show)
        o->show(out);
    else
        option_stored(o, out);
}

void option_restore(const struct option *o, struct slice stored) {
    struct buf why = { 0 };
    /* This can fail only if the old working directory was deleted; then the process stays in the new one. */
    if (!option_store_text(o, stored, &why))
        LOG_WARNING("The old value of '%s' cannot be put back: %.*s", o->name, SLICE_ARG(buf_slice(&why)));
    buf_release(&why);
}

const char *option_initial(const struct option *o) {
    assert(!o->alias_of);
    return row_states[options_row_index(o)].initial;
}

bool option_is_initial(const struct option *o) {
    struct buf now = { 0 };
    option_stored(o, &now);
    bool same = slice_equal(buf_slice(&now), slice_of(option_initial(o)));
    buf_release(&now);
    return same;
}

void option_reset(const struct option *o) { option_restore(o, slice_of(option_initial(o))); }

void option_mark_included(const struct option *o) { row_states[options_row_index(o)].is_included = true; }
bool option_is_included(const struct option *o) { return row_states[options_row_index(o)].is_included; }

/* ---- Start and end ---- */

static void initialise(size_t index) {
    const struct option *o = rows[index];
    if (o->alias_of) return;
    struct buf text = { 0 };
    /* The default is ours: a row whose default its own rules refuse is a mistake in the table. */
    bool stored = option_store_text(o, slice_of(o->initial), &text);
    assert(stored);
    buf_clear(&text);
    option_stored(o, &text);
    row_states[index] = (struct row_state){ .initial = slice_to_cstr(buf_slice(&text)) };
    buf_release(&text);
}

void options_init(void) {
    row_count = 0;
    collect(options_table_server);
    collect(options_table_tls);
    collect(options_table_data);
    collect(options_table_cluster);
    collect(options_table_ignored);
    qsort(rows, row_count, sizeof rows[0], compare_rows);
    for (size_t i = 1; i < row_count; i++) assert(strcmp(rows[i - 1]->name, rows[i]->name) != 0);
    options.password = mem_strdup("");
    options.metrics_password = mem_strdup("");
    for (size_t i = 0; i < row_count; i++) initialise(i);
    struct buf why = { 0 };
    bool settled = options_settle(NULL, &why);
    assert(settled);
    buf_release(&why);
}

void options_release(void) {
    for (size_t i = 0; i < row_count; i++) {
        const struct option *o = rows[i];
        if (o->alias_of) continue;
        if (o->kind == OPTION_STRING) {
            mem_free(*o->text);
            *o->text = NULL;
        }
        if (o->kind == OPTION_SPECIAL && o->special->release) o->special->release();
        mem_free(row_states[i].initial);
    }
    mem_free(options.password);
    mem_free(options.metrics_password);
    options.password = options.metrics_password = NULL;
    row_count = 0;
}

/* ---- CONFIG GET ---- */

static bool has_glob(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (strchr("*?[", s.ptr[i]) && s.ptr[i] != '\0') return true;
    return false;
}

/* True if one of the patterns finds the row; *name is then the name to report. */
static bool pattern_finds(const struct option *o, const struct slice *patterns, size_t count,
                          struct slice *name) {
    struct slice own = slice_of(o->name);
    for (size_t i = 0; i < count; i++) {
        bool is_glob = has_glob(patterns[i]);
        bool found = is_glob ? !(o->flags & OPTION_HIDDEN) && glob_match_nocase(patterns[i], own)
                             : slice_equal_nocase(patterns[i], own);
        if (!found) continue;
        *name = is_glob ? own : patterns[i];
        return true;
    }
    return false;
}

void options_each(const struct slice *patterns, size_t count,
                  void (*each)(void *arg, struct slice name, const struct option *o), void *arg) {
    for (size_t i = 0; i < row_count; i++) {
        struct slice name;
        if (pattern_finds(rows[i], patterns, count, &name))
            each(arg, name, options_find(slice_of(rows[i]->name)));
    }
}

/* ---- CONFIG SET ---- */

/* One CONFIG SET under way. Arrays of `count`, owned by options_set. */
struct change {
    const struct slice *pairs;
    size_t count;
    const struct option **row; /* what to change, aliases followed */
    const char **name;         /* what to call it in an error */
    struct buf *old;           /* the stored text before */
    struct buf *error;
};

static bool fail_set(struct change *c, struct slice name, struct slice why) {
    buf_printf(c->error, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %.*s",
               SLICE_ARG(name), SLICE_ARG(why));
    return false;
}

static bool may_change(struct change *c, size_t i, struct options_caller caller) {
    const struct option *o = c->row[i];
    struct slice typed = c->pairs[2 * i];
    if (o->flags & OPTION_IMMUTABLE) return fail_set(c, typed, LIT("can't set immutable config"));
    int guard = options.enable_protected_configs;
    bool passes = guard == GUARD_YES || (guard == GUARD_LOCAL && caller.is_local);
    if ((o->flags & OPTION_PROTECTED) && !passes)
        return fail_set(c, typed, LIT("can't set protected config"));
    if ((o->flags & OPTION_NOT_LOADING) && caller.loading) {
        buf_append(c->error, LIT("LOADING Valkey is loading the dataset in memory"));
        return false;
    }
    for (size_t j = 0; j < i; j++)
        if (c->row[j] == o) return fail_set(c, typed, LIT("duplicate parameter"));
    return true;
}

/* An unknown name is reported before any other error. */
static bool find_rows(struct change *c, struct options_caller caller) {
    for (size_t i = 0; i < c->count; i++) {
        struct slice typed = c->pairs[2 * i];
        c->row[i] = options_find(typed);
        if (!c->row[i]) {
            buf_printf(c->error, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                       SLICE_ARG(typed));
            return false;
        }
        c->name[i] = options_row_named(typed)->name;
    }
    for (size_t i = 0; i < c->count; i++)
        if (!may_change(c, i, caller)) return false;
    return true;
}

static void put_back(struct change *c, size_t stored) {
    assert(stored <= c->count);
    for (size_t i = stored; i-- > 0;) option_restore(c->row[i], buf_slice(&c->old[i]));
}

static bool store_all(struct change *c) {
    struct buf why = { 0 };
    size_t i = 0;
    for (; i < c->count; i++) {
        option_stored(c->row[i], &c->old[i]);
        if (!option_store_text(c->row[i], c->pairs[2 * i + 1], &why)) break;
    }
    if (i < c->count) {
        put_back(c, i);
        fail_set(c, slice_of(c->name[i]), buf_slice(&why));
    }
    buf_release(&why);
    return i == c->count;
}

static bool is_applied_before(const struct change *c, size_t i) {
    for (size_t j = 0; j < i; j++)
        if (c->row[j]->apply == c->row[i]->apply) return true;
    return false;
}

/* Calls the effects of rows 0..count-1, each once; returns how far it came. */
static size_t apply_some(struct change *c, size_t count, struct buf *why) {
    for (size_t i = 0; i < count; i++) {
        if (!c->row[i]->apply || is_applied_before(c, i)) continue;
        if (!c->row[i]->apply(why)) return i;
    }
    return count;
}

static bool apply_all(struct change *c) {
    struct buf why = { 0 };
    size_t failed = apply_some(c, c->count, &why);
    if (failed < c->count) {
        fail_set(c, slice_of(c->name[failed]), buf_slice(&why));
        put_back(c, c->count);
        buf_clear(&why);
        if (apply_some(c, failed + 1, &why) <= failed)
            LOG_WARNING("After a failed CONFIG SET the old settings could not be applied again: %.*s",
                        SLICE_ARG(buf_slice(&why)));
    }
    buf_release(&why);
    return failed == c->count;
}

bool options_set(const struct slice *pairs, size_t count, struct options_caller caller, struct buf *error) {
    assert(count > 0);
    struct change c = {
        .pairs = pairs,
        .count = count,
        .row = mem_alloc_zero(count * sizeof *c.row),
        .name = mem_alloc_zero(count * sizeof *c.name),
        .old = mem_alloc_zero(count * sizeof *c.old),
        .error = error,
    };
    bool done = find_rows(&c, caller) && store_all(&c) && apply_all(&c);
    for (size_t i = 0; i < count; i++) buf_release(&c.old[i]);
    mem_free(c.old);
    mem_free(c.name);
    mem_free(c.row);
    return done;
}
