/* info_persistence.c: INFO persistence: loading, snapshots, the append-only file.
 *
 * Nothing is forked: the names that clients know show the walk's progress, and the memory that it holds
 * beside the data. */
#include "info.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/snapshot/snapshot.h"

static const char *status_word(bool ok) { return ok ? "ok" : "err"; }

static int64_t running_s(const struct saving_kind *k, int64_t now_ms) {
    return k->began_ms ? (now_ms - k->began_ms) / 1000 : -1;
}

static uint64_t relaxed(const atomic_uint_fast64_t *number) {
    return atomic_load_explicit(number, memory_order_relaxed);
}

static int64_t loading_since_s(void) {
    return atomic_load_explicit(&loading_progress.started_s, memory_order_relaxed);
}

static bool aof_is_wanted(const struct aof_info *aof) {
    return aof->enabled || options.appendonly; /* also while the file is being loaded */
}

struct saving_sample {
    uint64_t loading, beside, cow_peak, cow_size, keys_done, keys_total, changes, rdb_running, rdb_saves,
        rdb_cow, load_expired, load_loaded, aof_enabled, aof_running, aof_scheduled, aof_rewrites,
        aof_failures, aof_cow;
    int64_t last_save_s, rdb_took_s, rdb_running_s, aof_took_s, aof_running_s;
    double done_percent;
    const char *rdb_status, *aof_status, *aof_write_status;
};

static void sample_walk(struct saving_sample *s) {
    struct snapshot_progress p;
    snapshot_progress(&p);
    if (!p.open) return;
    s->cow_peak = p.side_peak;
    s->cow_size = p.side_bytes;
    s->keys_done = p.keys_done;
    s->keys_total = p.keys_total;
    s->done_percent = p.keys_total ? (double)p.keys_done / (double)p.keys_total * 100 : 0;
}

static void sample_snapshots(struct saving_sample *s, int64_t now_ms) {
    const struct saving_kind *k = &saving_status.snapshot;
    s->changes = saving_changes();
    s->rdb_running = k->began_ms != 0;
    s->last_save_s = saving_status.last_save_s;
    s->rdb_status = status_word(k->last_ok);
    s->rdb_took_s = k->last_took_s;
    s->rdb_running_s = running_s(k, now_ms);
    s->rdb_saves = k->done;
    s->rdb_cow = k->last_side_bytes;
    s->load_expired = relaxed(&loading_progress.last_keys_expired);
    s->load_loaded = relaxed(&loading_progress.last_keys_loaded);
}

static void sample_rewrites(struct saving_sample *s, int64_t now_ms) {
    const struct saving_kind *k = &saving_status.rewrite;
    struct aof_info aof;
    aof_info(&aof);
    s->aof_enabled = aof_is_wanted(&aof);
    s->aof_running = k->began_ms != 0;
    s->aof_scheduled = k->scheduled;
    s->aof_took_s = k->last_took_s;
    s->aof_running_s = running_s(k, now_ms);
    s->aof_status = status_word(k->last_ok);
    s->aof_rewrites = k->done;
    s->aof_failures = k->failures;
    s->aof_write_status = status_word(aof.last_write_ok);
    s->aof_cow = k->last_side_bytes;
}

static bool sample_saving(int64_t now_ms, void *into) {
    struct saving_sample *s = into;
    s->beside = obstacle_is_set(OBSTACLE_LOADING_BESIDE);
    s->loading = loading_since_s() != 0 && !s->beside;
    sample_walk(s);
    sample_snapshots(s, now_ms);
    sample_rewrites(s, now_ms);
    return true;
}

#define NUMBER(field) .kind = METRIC_GAUGE, .form = FORM_NUMBER, SAMPLED(struct saving_sample, field)
#define COUNTER(field) .kind = METRIC_COUNTER, .form = FORM_NUMBER, SAMPLED(struct saving_sample, field)
#define SIGNED(field) .kind = METRIC_GAUGE, .form = FORM_SIGNED, SAMPLED(struct saving_sample, field)
#define TEXT(field) .kind = METRIC_TEXT, .form = FORM_STRING, SAMPLED(struct saving_sample, field)
#define NEVER .kind = METRIC_GAUGE, .source = FROM_NOTHING

static const struct metric saving_rows[] = {
    { "loading", "1 while the data set is being loaded.", NUMBER(loading) },
    { "async_loading", "1 while a replica loads beside its old data.", NUMBER(beside) },
    { "current_cow_peak", "The most that a running snapshot held beside the data.", "bytes",
      NUMBER(cow_peak) },
    { "current_cow_size", "What a running snapshot holds beside the data.", "bytes", NUMBER(cow_size) },
    { "current_cow_size_age", "Age of that number; it is always the present one.", "seconds", NEVER },
    { "current_fork_perc", "The share of keys that a running snapshot has written.",
      "percent", .kind = METRIC_GAUGE,
      .form = FORM_REAL, SAMPLED(struct saving_sample, done_percent) },
    { "current_save_keys_processed", "Keys that a running snapshot has written.", NUMBER(keys_done) },
    { "current_save_keys_total", "Keys that a running snapshot has to write.", NUMBER(keys_total) },
    { "rdb_changes_since_last_save", "Changes that no file has but the journal.", NUMBER(changes) },
    { "rdb_bgsave_in_progress", "1 while BGSAVE runs.", NUMBER(rdb_running) },
    { "rdb_last_save_time", "The last good SAVE or BGSAVE, unix time.", "seconds", SIGNED(last_save_s) },
    { "rdb_last_bgsave_status", "ok or err.", TEXT(rdb_status) },
    { "rdb_last_bgsave_time_sec", "What the last BGSAVE took; -1: none.", "seconds", SIGNED(rdb_took_s) },
    { "rdb_current_bgsave_time_sec", "How long BGSAVE has run; -1: it does not.", "seconds",
      SIGNED(rdb_running_s) },
    { "rdb_saves", "Good snapshots since the start.", COUNTER(rdb_saves) },
    { "rdb_last_cow_size", "The most that the last BGSAVE held beside the data.", "bytes", NUMBER(rdb_cow) },
    { "rdb_last_load_keys_expired", "Keys of the RDB file that was loaded last whose time was over.",
      NUMBER(load_expired) },
    { "rdb_last_load_keys_loaded", "Keys of the RDB file that was loaded last.", NUMBER(load_loaded) },
    { "aof_enabled", "1 if there is an append-only file.", NUMBER(aof_enabled) },
    { "aof_rewrite_in_progress", "1 while the append-only file is being rewritten.", NUMBER(aof_running) },
    { "aof_rewrite_scheduled", "1 if a rewrite follows on the running snapshot.", NUMBER(aof_scheduled) },
    { "aof_last_rewrite_time_sec", "What the last rewrite took; -1: none.", "seconds", SIGNED(aof_took_s) },
    { "aof_current_rewrite_time_sec", "How long a rewrite has run; -1: none does.", "seconds",
      SIGNED(aof_running_s) },
    { "aof_last_bgrewrite_status", "ok or err.", TEXT(aof_status) },
    { "aof_rewrites", "Good rewrites of the append-only file since the start.", COUNTER(aof_rewrites) },
    { "aof_rewrites_consecutive_failures", "Failed rewrites since the last good one.", NUMBER(aof_failures) },
    { "aof_last_write_status", "ok or err.", TEXT(aof_write_status) },
    { "aof_last_cow_size", "The most that the last rewrite held beside the data.", "bytes", NUMBER(aof_cow) },
    { "module_fork_in_progress", "1 while a module's child runs.", NEVER },
    { "module_fork_last_cow_size", "The memory that the last one took.", "bytes", NEVER },
    { NULL },
};
#undef NUMBER
#undef COUNTER
#undef SIGNED
#undef TEXT
#undef NEVER

const struct metric_table info_saving = { "Persistence", saving_rows, sizeof(struct saving_sample),
                                          sample_saving, NULL };

/* ---- while there is an append-only file ---- */

struct aof_sample {
    uint64_t size, base_size, pending, buffer, fsync_pending, delayed, fsync_us;
};

static bool sample_aof(int64_t now_ms, void *into) {
    struct aof_info aof;
    (void)now_ms;
    aof_info(&aof);
    *(struct aof_sample *)into = (struct aof_sample){
        .size = aof.current_size,
        .base_size = aof.base_size,
        .pending = saving_status.rewrite.scheduled,
        .buffer = aof.buffer_length,
        .fsync_pending = (uint64_t)aof.fsync_pending,
        .delayed = aof.delayed_fsyncs,
        .fsync_us = aof.last_fsync_us,
    };
    return aof_is_wanted(&aof);
}

#define NUMBER(field) .kind = METRIC_GAUGE, .form = FORM_NUMBER, SAMPLED(struct aof_sample, field)

static const struct metric aof_rows[] = {
    { "aof_current_size", "Size of the append-only file, all its parts together.", "bytes", NUMBER(size) },
    { "aof_base_size", "Its size at the start, or after the last rewrite.", "bytes", NUMBER(base_size) },
    { "aof_pending_rewrite", "1 if a rewrite follows on the running snapshot.", NUMBER(pending) },
    { "aof_buffer_length", "What the append-only file has not written yet.", "bytes", NUMBER(buffer) },
    { "aof_pending_bio_fsync", "Syncs of the append-only file under way.", NUMBER(fsync_pending) },
    { "aof_delayed_fsync", "Syncs of the append-only file that others had to wait for.",
      .kind = METRIC_COUNTER, .form = FORM_NUMBER,
      SAMPLED(struct aof_sample, delayed) },
    { "aof_last_fsync_usec", "What the last sync of the append-only file took.",
      "microseconds", NUMBER(fsync_us) },
    { NULL },
};
#undef NUMBER

const struct metric_table info_aof = { "Persistence", aof_rows, sizeof(struct aof_sample), sample_aof, NULL };

/* ---- while the data set is being loaded ---- */

struct loading_sample {
    uint64_t total, loaded, eta_s;
    int64_t started_s;
    double percent;
};

static bool sample_loading(int64_t now_ms, void *into) {
    struct loading_sample *s = into;
    int64_t now_s = now_ms / 1000;
    s->started_s = loading_since_s();
    s->total = relaxed(&loading_progress.total);
    s->loaded = relaxed(&loading_progress.loaded);
    if (s->total < s->loaded) s->total = s->loaded;
    uint64_t elapsed_s = now_s > s->started_s ? (uint64_t)(now_s - s->started_s) : 0;
    double left = (double)(s->total - s->loaded);
    s->percent = s->total ? (double)s->loaded / (double)s->total * 100 : 0;
    s->eta_s = s->loaded ? (uint64_t)((double)elapsed_s * left / (double)s->loaded) : 1;
    return s->started_s != 0;
}

#define NUMBER(field) .kind = METRIC_GAUGE, .form = FORM_NUMBER, SAMPLED(struct loading_sample, field)

static const struct metric loading_rows[] = {
    { "loading_start_time", "When loading began, unix time.", "seconds", NUMBER(started_s) },
    { "loading_total_bytes", "Size of the files to load.", "bytes", NUMBER(total) },
    { "loading_loaded_bytes", "How much of the files was read.", "bytes", NUMBER(loaded) },
    { "loading_loaded_perc", "The share of the files that was read.",
      "percent", .kind = METRIC_GAUGE, .form = FORM_REAL,
      SAMPLED(struct loading_sample, percent) },
    { "loading_eta_seconds", "Time that loading will still take, going by what is done.",
      "seconds", NUMBER(eta_s) },
    { NULL },
};
#undef NUMBER

const struct metric_table info_loading = { "Persistence", loading_rows, sizeof(struct loading_sample),
                                           sample_loading, NULL };
