/* saving.c: who asks for a writing of all data: commands, save points, the growth of the AOF, the end of the
 * process. See saving.h. */
#include "aof_base.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/saving/rdb_file.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/database.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal.h"
#include <string.h>

#define RETRY_AFTER_MS 5000 /* a save point tries again after a failure */
#define JOURNAL_RETRY_MS 1000
#define BACK_OFF_MAX_MS ((int64_t)3600 * 1000)

struct saving_status saving_status;

void saving_init(int64_t now_ms) {
    rdb_file_remove_leftovers();
    saving_status.last_save_s = now_ms / 1000;
    saving_status.snapshot.last_ok = saving_status.rewrite.last_ok = true;
    saving_status.snapshot.last_took_s = saving_status.rewrite.last_took_s = -1;
}

uint64_t saving_changes(void) { return (uint64_t)COUNTER_SUM(dirty) - saving_status.changes_saved; }

/* Other servers expect a database: if the stream is in none it selects one next, whatever this says. */
static struct stream_position position_now(void) {
    struct stream_position p;
    backlog_position(&p);
    if (p.db < 0) p.db = 0;
    return p;
}

/* A file without some databases is no state of the history. */
struct snapshot_plan saving_plan(void) {
    struct snapshot_plan plan = saving_plan_for_replicas();
    plan.for_files = true;
    plan.tells_imports = false; /* what arrives is deleted when this node starts again */
    if (database_differences & SOME_ARE_VOLATILE) plan.position.known = false;
    return plan;
}

struct snapshot_plan saving_plan_for_replicas(void) {
    return (struct snapshot_plan){ .version = options.rdb_write_version,
                                   .position = position_now(),
                                   .compress = options.rdbcompression,
                                   .checksum = options.rdbchecksum,
                                   .tells_imports = true,
                                   .key_delay_us = options.rdb_key_save_delay_us,
                                   .now_ms = clock_wall_ms() };
}

static bool say(struct buf *text, bool result, const char *words) {
    buf_append(text, slice_of(words));
    return result;
}

/* ---- SAVE and BGSAVE ---- */

bool saving_save(struct buf *text) {
    if (rdb_file_is_being_written()) return say(text, false, "ERR Background save already in progress");
    struct buf error = { 0 };
    change_flush_quietly();
    bool done = rdb_file_write(&error);
    buf_release(&error);
    return say(text, done, done ? "OK" : "ERR");
}

/* The log says more. */
static bool begin_now(const struct job_kind *kind, const char *begun, const char *failed, struct buf *text) {
    struct buf why = { 0 };
    bool done = save_job_begin(kind, &why);
    buf_release(&why);
    return say(text, done, done ? begun : failed);
}

bool saving_begin(bool may_schedule, bool later, struct buf *text) {
    if (rdb_file_is_being_written()) return say(text, false, "ERR Background save already in progress");
    if (save_job_is_idle() && !later)
        return begin_now(&job_rdb_file, "Background saving started", "ERR", text);
    if (!may_schedule && !later)
        return say(
            text, false,
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
            "order to schedule a BGSAVE whenever possible.");
    save_job_enqueue(&job_rdb_file);
    return say(text, true, "Background saving scheduled");
}

bool saving_cancel(struct buf *text) {
    if (rdb_file_is_being_written()) {
        rdb_file_cancel();
        return say(text, true, "Background saving cancelled");
    }
    if (!save_job_is_queued(&job_rdb_file))
        return say(text, false, "ERR Background saving is currently not in progress or scheduled");
    save_job_dequeue(&job_rdb_file);
    return say(text, true, "Scheduled background saving cancelled");
}

void saving_all_flushed(void) {
    struct buf error = { 0 };
    rdb_file_supersede();
    if (options.save.count > 0) (void)rdb_file_write(&error); /* which logs what goes wrong */
    buf_release(&error);
}

bool saving_save_finally(void) {
    struct buf error = { 0 };
    rdb_file_supersede();
    bool done = rdb_file_write(&error);
    buf_release(&error);
    return done;
}

/* ---- the append-only file ---- */

static enum fsync_policy fsync_policy(void) {
    static const enum fsync_policy policies[] = { [APPENDFSYNC_NO] = FSYNC_NO,
                                                  [APPENDFSYNC_EVERYSEC] = FSYNC_EVERYSEC,
                                                  [APPENDFSYNC_ALWAYS] = FSYNC_ALWAYS };
    return policies[options.appendfsync];
}

void saving_tune_journal(void) {
    aof_set_fsync(fsync_policy());
    aof_set_timestamps(options.aof_timestamp_enabled);
    aof_set_checksums(options.aof_checksums);
}

void saving_configure_journal(void) {
    aof_configure(&(struct aof_settings){
        .dir = options.dir,
        .dirname = options.appenddirname,
        .filename = options.appendfilename,
        .fsync = fsync_policy(),
        .load_truncated = options.aof_load_truncated,
        .corrupt_tail_max = options.aof_load_corrupt_tail_max_size,
        .timestamps = options.aof_timestamp_enabled,
        .checksums = options.aof_checksums,
    });
}

bool saving_rewrite(bool later, struct buf *text) {
    if (save_job_of(&job_aof_base))
        return say(text, false, "ERR Background append only file rewriting already in progress");
    if (save_job_is_idle() && !later)
        return begin_now(
            &job_aof_base, "Background append only file rewriting started",
            "ERR Can't execute an AOF background rewriting. Please check the server logs for more "
            "information.",
            text);
    save_job_enqueue(&job_aof_base);
    return say(text, true, "Background append only file rewriting scheduled");
}

bool saving_start_journal(struct buf *why) {
    change_flush_quietly();
    saving_configure_journal();
    if (!aof_begin_anew(why)) return false;
    if (!save_job_is_idle() || obstacle_is_set(OBSTACLE_LOADING_BESIDE)) {
        save_job_enqueue(&job_aof_base);
        return true;
    }
    if (aof_base_begin_now(why)) return true;
    /* Nothing was journaled yet: the files on disk are unchanged. */
    (void)aof_close();
    return false;
}

void saving_journal_ends(void) { aof_base_call_off(); }

/* ---- other data ---- */

/* An AOF that is turned on and could not begin. */
static struct {
    bool is_due;
    unsigned failures;
    int64_t next_try_ms;
} missing;

static void begin_missing_journal(int64_t now_ms) {
    struct buf why = { 0 };
    missing.is_due = options.appendonly && !journal_on;
    if (missing.is_due) {
        missing.is_due = !saving_start_journal(&why);
        missing.failures++;
        missing.next_try_ms = now_ms + JOURNAL_RETRY_MS;
        if (missing.is_due)
            LOG_WARNING("The append only file can't be begun, try %u: %.*s", missing.failures,
                        SLICE_ARG(buf_slice(&why)));
    }
    if (!missing.is_due) missing.failures = 0;
    buf_release(&why);
}

void saving_data_goes(void) {
    change_flush_quietly();
    rdb_file_supersede();
    saving_journal_ends();
    missing.is_due = false;
    missing.failures = 0;
    if (journal_on && !aof_close()) LOG_WARNING("The append only file could not be written to its end");
}

void saving_data_came(bool in_file, uint64_t keys) {
    if (in_file)
        saving_status.changes_saved = (uint64_t)COUNTER_SUM(dirty);
    else
        COUNTER_ADD(counters_mine()->dirty, keys);
    begin_missing_journal(clock_wall_ms());
}

/* ---- by itself ---- */

static bool save_point_is_reached(int64_t now_ms) {
    const struct saving_kind *status = &saving_status.snapshot;
    uint64_t changes = saving_changes();
    int64_t quiet_s = now_ms / 1000 - saving_status.last_save_s;
    if (!status->last_ok && now_ms - status->tried_ms < RETRY_AFTER_MS) return false;
    for (size_t i = 0; i < options.save.count; i++) {
        const struct save_point *p = &options.save.point[i];
        if (changes < (uint64_t)p->changes || quiet_s <= p->seconds) continue;
        LOG_NOTICE("%lld changes in %lld seconds. Saving...", (long long)p->changes, (long long)p->seconds);
        return true;
    }
    return false;
}

/* After failures it waits a minute, then two, four ... up to an hour: each try leaves a file behind. */
static bool is_backing_off(int64_t now_ms) {
    const struct saving_kind *status = &saving_status.rewrite;
    if (status->failures == 0) return false;
    int64_t wait_ms = status->failures > 6 ? BACK_OFF_MAX_MS : (int64_t)60000 << (status->failures - 1);
    return now_ms - status->tried_ms < (wait_ms < BACK_OFF_MAX_MS ? wait_ms : BACK_OFF_MAX_MS);
}

static bool journal_wants_rewrite(int64_t now_ms) {
    if (!journal_on) return false;
    if (aof_lacks_base()) return !is_backing_off(now_ms);
    if (options.auto_aof_rewrite_percentage == 0) return false;
    struct aof_info aof;
    aof_info(&aof);
    if (aof.current_size <= options.auto_aof_rewrite_min_size || is_backing_off(now_ms)) return false;
    uint64_t before = aof.base_size ? aof.base_size : 1;
    uint64_t growth = aof.current_size * 100 / before;
    if (growth < 100 + (uint64_t)options.auto_aof_rewrite_percentage) return false;
    LOG_NOTICE("Starting automatic rewriting of AOF on %llu%% growth", (unsigned long long)(growth - 100));
    return true;
}

/* Queues what is due and not in the queue yet. */
static const struct job_kind *what_is_due(int64_t now_ms) {
    if (save_point_is_reached(now_ms)) return &job_rdb_file;
    return journal_wants_rewrite(now_ms) ? &job_aof_base : NULL;
}

void saving_cron(int64_t now_ms) {
    if (obstacle_is_set(OBSTACLE_BUSY)) return;
    save_job_read_late_reports();
    if (obstacles_now() & (OBSTACLE_LOADING | OBSTACLE_LOADING_BESIDE)) return;
    if (missing.is_due && now_ms >= missing.next_try_ms) {
        exclusive_begin();
        begin_missing_journal(now_ms);
        exclusive_end();
    }
    if (!save_job_is_idle()) return;
    const struct job_kind *due = save_job_anything_waits() ? NULL : what_is_due(now_ms);
    if (!due && !save_job_anything_waits()) return;
    exclusive_begin();
    /* While this worker closed the gate, another worker's command may have begun a job, or a script. */
    if (due && save_job_is_idle()) save_job_enqueue(due);
    if (!obstacle_is_set(OBSTACLE_BUSY)) save_job_begin_next();
    exclusive_end();
}

void saving_stop(void) { save_job_stop_reports(); }

void saving_end(void) {
    snapshot_abandon();
    aof_rewrite_drop();
    rdb_file_release();
}
