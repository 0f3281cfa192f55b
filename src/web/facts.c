/* facts.c: see facts.h. First the rows of INFO, each a family of its own; then what has labels, which INFO
 * shows as lines. */
#include "facts.h"
#include "exposition.h"

static void write_row(void *arg, const struct metric_table *t, const struct metric *m, union metric_value v) {
    (void)t;
    if (m->kind != METRIC_TEXT) exposition_row(arg, m, v);
}

void facts_write(int64_t now_ms, struct buf *out) { metrics_each(NULL, now_ms, write_row, out); }
