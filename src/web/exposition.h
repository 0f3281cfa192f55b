/* exposition.h: writes the text format of Prometheus, version 0.0.4. Pure. Thread: any.
 *
 *     exposition_family(out, "trivet_db_keys", "gauge", "Keys.");
 *     exposition_begin(out, "trivet_db_keys");
 *     exposition_label(out, "db", LIT("0"));
 *     exposition_number(out, 17);
 *
 * All samples of a family follow on its head. */
#ifndef WEB_EXPOSITION_H
#define WEB_EXPOSITION_H

#include "trivet/base/buf.h"
#include "trivet/engine/watch/metrics.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define EXPOSITION_PREFIX "trivet_"

/* HELP and TYPE; `type` is counter, gauge or histogram. */
void exposition_family(struct buf *out, const char *name, const char *type, const char *help);
/* One sample: its name, its labels, its value, in this order. */
void exposition_begin(struct buf *out, const char *name);
void exposition_label(struct buf *out, const char *name, struct slice value);
void exposition_number(struct buf *out, uint64_t value);
void exposition_signed(struct buf *out, int64_t value);
void exposition_real(struct buf *out, double value);

/* ---- rows of INFO ---- */

/* The family's name of a row: its own with the prefix, its unit in the base unit of Prometheus (seconds,
 * bytes, a ratio of 0 to 1), and "_total" for a counter. False if the row has no family: it is a text, or
 * always 0 here, or says in another unit what another row says. */
MUST_CHECK bool exposition_name(const struct metric *m, struct buf *out);
/* The whole family of such a row. */
void exposition_row(struct buf *out, const struct metric *m, union metric_value v);

#endif
