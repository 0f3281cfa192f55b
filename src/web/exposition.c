/* exposition.c: see exposition.h. */
#include "exposition.h"
#include "trivet/base/number.h"
#include "trivet/base/utf8.h"
#include <math.h>

/* ---- text ---- */

/* Values must be UTF-8. What is not, and control characters, are shown as \xHH: clients can bring any byte
 * into the code of an error. */
static void append_escaped(struct buf *out, struct slice s, bool quotes) {
    while (s.len > 0) {
        char c = s.ptr[0];
        size_t len = utf8_length(s);
        if (c == '\\')
            buf_append(out, LIT("\\\\"));
        else if (c == '\n')
            buf_append(out, LIT("\\n"));
        else if (c == '"' && quotes)
            buf_append(out, LIT("\\\""));
        else if (len == 0 || (unsigned char)c < ' ' || c == 127)
            buf_printf(out, "\\\\x%02x", (unsigned char)c);
        else
            buf_append(out, slice_make(s.ptr, len));
        s = slice_from(s, len ? len : 1);
    }
}

void exposition_family(struct buf *out, const char *name, const char *type, const char *help) {
    buf_printf(out, "# HELP %s ", name);
    append_escaped(out, slice_of(help), false);
    buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

void exposition_begin(struct buf *out, const char *name) { buf_append(out, slice_of(name)); }

/* The labels of a sample end with '}', which the next one takes back. */
void exposition_label(struct buf *out, const char *name, struct slice value) {
    bool is_first = out->ptr[out->len - 1] != '}';
    if (!is_first) out->len--;
    buf_append_byte(out, is_first ? '{' : ',');
    buf_append(out, slice_of(name));
    buf_append(out, LIT("=\""));
    append_escaped(out, value, true);
    buf_append(out, LIT("\"}"));
}

void exposition_number(struct buf *out, uint64_t value) {
    char digits[INT64_TEXT_MAX];
    buf_append_byte(out, ' ');
    buf_append(out, slice_make(digits, uint64_format(digits, value)));
    buf_append_byte(out, '\n');
}

void exposition_signed(struct buf *out, int64_t value) {
    buf_append_byte(out, ' ');
    buf_append_int(out, value);
    buf_append_byte(out, '\n');
}

void exposition_real(struct buf *out, double value) {
    char text[DOUBLE_TEXT_MAX];
    buf_append_byte(out, ' ');
    if (isnan(value))
        buf_append(out, LIT("NaN"));
    else if (isinf(value))
        buf_append(out, value > 0 ? LIT("+Inf") : LIT("-Inf"));
    else
        buf_append(out, slice_make(text, double_format(text, value)));
    buf_append_byte(out, '\n');
}

/* ---- rows ---- */

/* How units of rows become base units. */
static const struct unit {
    const char *name, *suffix;
    const char *abbreviation; /* an ending of rows that the suffix replaces; NULL: none */
    double per_base;          /* how many are one of the base unit */
} units[] = {
    { "bytes", "_bytes", NULL, 1 },
    { "kilobytes a second", "_bytes_per_second", "_kbps", 1.0 / 1024 },
    { "seconds", "_seconds", "_sec", 1 },
    { "milliseconds", "_seconds", "_milliseconds", 1000 },
    { "microseconds", "_seconds", "_usec", 1000000 },
    { "percent", "_ratio", "_perc", 100 },
    { "ratio", "_ratio", NULL, 1 },
};

static const struct unit *unit_of(const struct metric *m) {
    for (size_t i = 0; m->unit && i < COUNT_OF(units); i++)
        if (strcmp(units[i].name, m->unit) == 0) return &units[i];
    return NULL;
}

static bool ends_with(struct slice s, const char *end) {
    size_t len = strlen(end);
    return s.len >= len && memcmp(s.ptr + s.len - len, end, len) == 0;
}

/* "_seconds" at the end or before another word. */
static bool has_words(struct slice name, const char *words) {
    size_t len = strlen(words);
    for (size_t i = 0; i + len <= name.len; i++)
        if (memcmp(name.ptr + i, words, len) == 0 && (i + len == name.len || name.ptr[i + len] == '_'))
            return true;
    return false;
}

#define TOTAL "_total"

bool exposition_name(const struct metric *m, struct buf *out) {
    const struct unit *u = unit_of(m);
    if (m->kind == METRIC_TEXT || m->source == FROM_NOTHING || (m->unit && !u)) return false;
    struct slice name = slice_of(m->name);
    if (u && u->abbreviation && ends_with(name, u->abbreviation)) name.len -= strlen(u->abbreviation);
    buf_append(out, LIT(EXPOSITION_PREFIX));
    buf_append(out, name);
    if (u && !has_words(name, u->suffix)) buf_append(out, slice_of(u->suffix));
    bool is_total = ends_with(buf_slice(out), TOTAL);
    if (m->kind == METRIC_COUNTER && !is_total) buf_append(out, LIT(TOTAL));
    if (m->kind != METRIC_COUNTER && is_total) out->len -= sizeof TOTAL - 1; /* only counters end so */
    return true;
}

static double real_of(const struct metric *m, union metric_value v) {
    switch (m->form) {
    case FORM_NUMBER:
    case FORM_BYTES: return (double)v.number;
    case FORM_SIGNED: return (double)v.whole;
    case FORM_REAL:
    case FORM_PERCENT: return v.real;
    case FORM_SECONDS: return (double)v.number / 1000000;
    case FORM_STRING: break;
    }
    assert(!"a text has no family");
    return 0;
}

static void append_value(struct buf *out, const struct metric *m, union metric_value v) {
    const struct unit *u = unit_of(m);
    if ((m->form == FORM_NUMBER || m->form == FORM_BYTES) && (!u || u->per_base == 1))
        exposition_number(out, v.number);
    else if (m->form == FORM_SIGNED && (!u || u->per_base == 1 || v.whole < 0))
        exposition_signed(out, v.whole); /* -1 says in any unit that there is nothing */
    else
        exposition_real(out, real_of(m, v) / (u ? u->per_base : 1));
}

void exposition_row(struct buf *out, const struct metric *m, union metric_value v) {
    struct buf name = { 0 };
    if (exposition_name(m, &name)) {
        exposition_family(out, buf_cstr(&name), m->kind == METRIC_COUNTER ? "counter" : "gauge", m->help);
        exposition_begin(out, name.ptr);
        append_value(out, m, v);
    }
    buf_release(&name);
}
