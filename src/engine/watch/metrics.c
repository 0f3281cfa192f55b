/* metrics.c: see metrics.h. */
#include "trivet/engine/watch/metrics.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include <string.h>

#define TABLES_MAX 32

static const struct metric_table *tables[TABLES_MAX];
static size_t table_count;

void metrics_register(const struct metric_table *table) {
    assert(table_count < TABLES_MAX);
    tables[table_count++] = table;
}

void metrics_release(void) { table_count = 0; }

static union metric_value value_of(const struct metric *m, const void *sample) {
    union metric_value v = { .number = 0 };
    assert(sample || m->source != FROM_SAMPLE);
    switch (m->source) {
    case FROM_SAMPLE: memcpy(&v, (const char *)sample + m->offset, sizeof v); break;
    case FROM_STATS: v.number = stats_sum(m->offset); break;
    case FROM_KEYSPACE: v.number = counters_sum(m->offset); break;
    case FROM_NOTHING: break;
    }
    return v;
}

static void visit_table(const struct metric_table *t, int64_t now_ms, metric_visitor *visit, void *arg) {
    void *sample = t->sample ? mem_alloc_zero(t->sample_size) : NULL;
    if (!sample || t->sample(now_ms, sample))
        for (const struct metric *m = t->rows; m->name; m++) visit(arg, t, m, value_of(m, sample));
    mem_free(sample);
}

static bool is_of(const struct metric_table *t, const char *section) {
    return !section || strcmp(t->section, section) == 0;
}

void metrics_each(const char *section, int64_t now_ms, metric_visitor *visit, void *arg) {
    for (size_t i = 0; i < table_count; i++)
        if (is_of(tables[i], section)) visit_table(tables[i], now_ms, visit, arg);
}

/* ---- INFO ---- */

static void append_value(struct buf *out, enum metric_form form, union metric_value v) {
    switch (form) {
    case FORM_BYTES:
    case FORM_NUMBER: buf_printf(out, "%llu", (unsigned long long)v.number); break;
    case FORM_SIGNED: buf_printf(out, "%lld", (long long)v.whole); break;
    case FORM_REAL: buf_printf(out, "%.2f", v.real); break;
    case FORM_PERCENT: buf_printf(out, "%.2f%%", v.real); break;
    case FORM_STRING: buf_append(out, slice_of(v.text)); break;
    case FORM_SECONDS:
        buf_printf(out, "%llu.%06llu", (unsigned long long)(v.number / 1000000),
                   (unsigned long long)(v.number % 1000000));
        break;
    }
}

static void print_line(void *arg, const struct metric_table *t, const struct metric *m,
                       union metric_value v) {
    struct buf *out = arg;
    (void)t;
    buf_printf(out, "%s:", m->name);
    append_value(out, m->form, v);
    buf_append(out, LIT("\r\n"));
    if (m->form != FORM_BYTES) return;
    char human[32];
    memory_size_human(human, v.number);
    buf_printf(out, "%s_human:%s\r\n", m->name, human);
}

void metrics_print(const char *section, int64_t now_ms, struct buf *out) {
    for (size_t i = 0; i < table_count; i++) {
        const struct metric_table *t = tables[i];
        if (!is_of(t, section)) continue;
        visit_table(t, now_ms, print_line, out);
        if (t->lines) t->lines(now_ms, out);
    }
}
