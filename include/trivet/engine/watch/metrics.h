/* metrics.h: the facts that the server reports about itself, as rows: a name, the sort of number, and where
 * to read it. INFO prints the rows of a section in their order; another page may print the same rows in its
 * own form.
 *
 * Rows are in tables beside the code that they describe. Setup registers the tables at start-up; the order of
 * registration is the order of lines. Readers take no lock except those that a row's source takes itself.
 * Thread: any worker reads, its gate held. */
#ifndef TRIVET_ENGINE_WATCH_METRICS_H
#define TRIVET_ENGINE_WATCH_METRICS_H

#include "trivet/base/buf.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/counters.h"
#include <stddef.h>
#include <stdint.h>

enum metric_kind {
    METRIC_COUNTER, /* only rises, until the server restarts or its statistics are reset */
    METRIC_GAUGE,
    METRIC_TEXT,
};

enum metric_form {
    FORM_NUMBER,  /* uint64_t */
    FORM_SIGNED,  /* int64_t */
    FORM_REAL,    /* double, two decimals */
    FORM_PERCENT, /* double, two decimals and "%" */
    FORM_SECONDS, /* uint64_t microseconds, as seconds with six decimals */
    FORM_BYTES,   /* uint64_t; a second line `<name>_human` */
    FORM_STRING,  /* const char * */
};

union metric_value {
    uint64_t number;
    int64_t whole;
    double real;
    const char *text; /* valid as long as the sample */
};

enum metric_source {
    FROM_SAMPLE,   /* a field of the table's sample, at `offset` */
    FROM_STATS,    /* a counter of struct stats, summed over the workers */
    FROM_KEYSPACE, /* the same of struct keyspace_counters */
    FROM_NOTHING,  /* always 0 here; the name is there for tools that expect it */
};

struct metric {
    const char *name; /* NULL ends a table */
    const char *help; /* one line */
    const char *unit; /* "bytes", "seconds", ...; NULL: a count, or a text */
    enum metric_kind kind;
    enum metric_form form;
    enum metric_source source;
    size_t offset;
};

struct metric_table {
    const char *section; /* as INFO writes it: "Memory" */
    const struct metric *rows;
    size_t sample_size;
    /* Fills the sample (zeroed before) from which the rows read. False: these rows are not shown now. NULL if
     * no row needs it. */
    bool (*sample)(int64_t now_ms, void *into);
    /* Appends lines of INFO that are no rows, such as one for each replica; they come behind the rows. NULL:
     * none. */
    void (*lines)(int64_t now_ms, struct buf *out);
};

/* For rows. A field must have 8 bytes: size_t, int64_t, double, a pointer. */
#define METRIC_FIELD(type, field) \
    .offset = offsetof(type, field) + 0 * sizeof(char[sizeof(((type *)NULL)->field) == 8 ? 1 : -1])
#define SAMPLED(type, field) .source = FROM_SAMPLE, METRIC_FIELD(type, field)
#define COUNTED(field) .kind = METRIC_COUNTER, .source = FROM_STATS, METRIC_FIELD(struct stats, field)
#define COUNTED_KEYS(field) \
    .kind = METRIC_COUNTER, .source = FROM_KEYSPACE, METRIC_FIELD(struct keyspace_counters, field)

/* Tables stay the caller's. At start-up, or with the gate closed. */
void metrics_register(const struct metric_table *table);
void metrics_release(void);

typedef void metric_visitor(void *arg, const struct metric_table *table, const struct metric *m,
                            union metric_value value);
/* All rows that are shown now, of one section or (NULL) of all. */
void metrics_each(const char *section, int64_t now_ms, metric_visitor *visit, void *arg);

/* The lines of INFO. */
void metrics_print(const char *section, int64_t now_ms, struct buf *out);

#endif
