/* rows.h: what the files of the options module share: the tables of rows, storing and reading a
 * value as text, and the words that write a row. Thread: as options.h. */
#ifndef ENGINE_SETTINGS_ROWS_H
#define ENGINE_SETTINGS_ROWS_H

#include "trivet/engine/settings/options.h"

/* The tables; each ends with a row without a name. */
extern const struct option options_table_server[]; /* network, process, log, access, watching */
extern const struct option options_table_tls[];
extern const struct option options_table_data[]; /* memory, encodings, files, replication */
extern const struct option options_table_cluster[];
extern const struct option options_table_ignored[]; /* without effect here; kept and shown */

/* How a row is written: { BOOL("appendonly", appendonly, "no"), .flags = ..., .apply = ... }. The union's
 * typed pointers let the compiler check that the field has the kind's type. */
#define ROW(text, sort, value) .name = (text), .kind = (sort), .initial = (value)
#define BOOL(text, field, value) ROW(text, OPTION_BOOL, value), .flag = &options.field
#define INT(text, field, value, low, high) \
    ROW(text, OPTION_INT, value), .number = &options.field, .min = (low), .max = (high)
#define MEMORY(text, field, value, low, high) \
    ROW(text, OPTION_MEMORY, value), .size = &options.field, .min = (low), .max = (high)
#define ENUM(text, field, value, table) \
    ROW(text, OPTION_ENUM, value), .choice = &options.field, .names = (table)
#define BITS(text, field, value, table) \
    ROW(text, OPTION_BITS, value), .choice = &options.field, .names = (table)
#define STRING(title, field, value) ROW(title, OPTION_STRING, value), .text = &options.field
#define SPECIAL(text, form, value) ROW(text, OPTION_SPECIAL, value), .special = &(form)
#define ALIAS(text, main) .name = (text), .alias_of = (main)
#define MAX_INT INT32_MAX
#define MAX_ANY INT64_MAX

/* All rows, aliases too, in the order of their names. */
size_t options_row_count(void);
const struct option *options_row(size_t index);
size_t options_row_index(const struct option *o);
/* The row of exactly this name in any case: perhaps an alias. NULL if there is none. */
const struct option *options_row_named(struct slice name);

/* Says why a value is refused. Always false, for `return`. */
static inline bool option_refuse(struct buf *why, const char *text) {
    buf_append(why, slice_of(text));
    return false;
}

/* Stores a value, its words already split. Changes nothing and says why on false. Applies nothing. */
MUST_CHECK bool option_store(const struct option *o, const struct slice *argv, size_t argc, struct buf *why);
/* The same for a value in one piece; a MULTI_ARG row splits it at spaces. */
MUST_CHECK bool option_store_text(const struct option *o, struct slice text, struct buf *why);
/* Appends what is stored, as option_store_text reads it. */
void option_stored(const struct option *o, struct buf *out);
/* Puts back what option_stored gave; that cannot fail. */
void option_restore(const struct option *o, struct slice stored);
/* True if the stored value is the one that options_init gave. */
bool option_is_initial(const struct option *o);
const char *option_initial(const struct option *o); /* that value in stored form */
void option_reset(const struct option *o);

/* A setting that came from an included file must be written out even at its default: else the next start
 * reads the included file's value again. */
void option_mark_included(const struct option *o);
bool option_is_included(const struct option *o);

/* Words of a text, split at runs of white space: slices into it. */
struct option_words {
    struct slice *item; /* owned array */
    size_t count;
};
struct option_words option_words_split(struct slice text);
void option_words_release(struct option_words *w);

/* Replaces an owned string; if the text is the same, the old pointer stays valid. */
void text_replace(char **field, struct slice text);
/* Appends `word` so that split_line reads it back: in double quotes if it needs them. */
void word_append(struct buf *out, struct slice word);
/* Reads a whole file; false and errno on failure. */
MUST_CHECK bool options_read_file(const char *path, struct buf *out);

/* Adds a warning if others than the server can read this file, which holds `held`. "": there is none. */
void options_warn_readable(const char *what, const char *path, const char *held, struct buf *warnings);

/* What depends on several settings: effective workers, clamped hz, the password. False: `why` names the
 * contradiction. */
MUST_CHECK bool options_settle(struct buf *warnings, struct buf *why);
/* Do all databases exist that settings name? */
MUST_CHECK bool options_settle_databases(struct buf *why);

/* The forms of special rows (forms.c). */
extern const struct option_special form_bind, form_metrics_bind, form_save, form_output_limit, form_notify,
    form_percentiles, form_replicaof, form_dir, form_oom_values, form_rdma_bind;
/* The same for single databases (database_forms.c): "0 1gb 2 512mb". */
extern const struct option_special form_db_maxmemory, form_db_maxmemory_policy, form_db_persistence,
    form_db_name;
/* The names of maxmemory-policy. */
extern const struct option_name option_policies[];

/* Refusals (effects.c). */
bool check_appendfilename(struct slice value, struct buf *why);
bool check_appenddirname(struct slice value, struct buf *why);
bool check_dbfilename(struct slice value, struct buf *why);
bool check_title_template(struct slice value, struct buf *why);
bool check_locale(struct slice value, struct buf *why);
bool apply_cluster(struct buf *why);
bool check_ipv4(struct slice value, struct buf *why);
bool check_ipv6(struct slice value, struct buf *why);
bool check_hostname(struct slice value, struct buf *why);

/* Effects (effects.c). */
bool apply_bind(struct buf *why);
bool apply_port(struct buf *why);
bool apply_tls(struct buf *why);
bool apply_metrics(struct buf *why);
bool apply_metrics_password(struct buf *why);
bool apply_maxclients(struct buf *why);
bool apply_appendonly(struct buf *why);
bool apply_password(struct buf *why);
bool apply_maxmemory(struct buf *why);
bool apply_compaction(struct buf *why);
bool apply_databases(struct buf *why);
bool apply_keepalive(struct buf *why);
bool apply_timers(struct buf *why);
bool apply_allocator(struct buf *why);
bool apply_encodings(struct buf *why);
bool apply_logs(struct buf *why);
bool apply_log_form(struct buf *why);
bool apply_logfile(struct buf *why);
bool apply_appendfsync(struct buf *why);
bool apply_tracking(struct buf *why);
bool apply_replication(struct buf *why);
bool apply_title(struct buf *why);
bool apply_shutdown_on_signal(struct buf *why);

/* What CONFIG GET shows instead of what is stored (effects.c). */
void show_io_threads(struct buf *out);
void show_password(struct buf *out);

#endif
