/* saving.c: see saving.h.
 *
 * A snapshot's thread reports its end by a letter to worker 0, which closes the gate, closes the snapshot and
 * begins what is scheduled. A rewrite of the AOF begins on the background thread (a file has to be made
 * durable), goes on with a letter that switches files and begins the snapshot at one instant, and ends as any
 * snapshot. */
#include "saving_file.h"
#include "trivet/base/background.h"
#include "trivet/base/clock.h"
#include "trivet/base/lock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/keyspace/counters.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"

#define RETRY_AFTER_MS 5000 /* a save point tries again after a failure */
#define BACK_OFF_MAX_MS ((int64_t)3600 * 1000)

struct saving_status saving_status;

/* What is being done; beside the status. */
static enum { NOTHING, SNAPSHOT, PREPARING, REWRITING } doing;
static struct {
    int64_t tried_ms; /* when the last snapshot, or rewrite, began */
    int64_t rewrite_tried_ms;
    uint64_t changes;       /* at the snapshot's instant */
    bool rewrite_cancelled; /* while preparing */
} now;

void saving_init(int64_t now_ms) {
    saving_file_remove_leftovers();
    saving_status.last_save_s = now_ms / 1000;
    saving_status.snapshot.last_ok = saving_status.rewrite.last_ok = true;
    saving_status.snapshot.last_took_s = saving_status.rewrite.last_took_s = -1;
}

uint64_t saving_changes(void) { return (uint64_t)COUNTER_SUM(dirty) - saving_status.changes_saved; }

static bool say(struct buf *text, bool result, const char *words) {
    buf_append(text, slice_of(words));
    return result;
}

/* As with other servers a failure is the caller's business only: it is background saving whose failure has
 * writes refused. */
static bool write_now(struct buf *error) {
    uint64_t changes = (uint64_t)COUNTER_SUM(dirty);
    if (!saving_file_write(error)) return false;
    saving_status.changes_saved = changes;
    saving_status.last_save_s = clock_wall_ms() / 1000;
    saving_status.snapshot.last_ok = true;
    obstacle_set(OBSTACLE_SAVE, false);
    saving_status.snapshot.done++;
    return true;
}

/* ---- the end of a snapshot ---- */

struct report {
    struct letter letter;
    enum snapshot_end how;
    struct buf why;
};

static void note_end(struct saving_kind *k, enum snapshot_end how) {
    struct snapshot_progress p;
    snapshot_progress(&p);
    k->last_took_s = (clock_wall_ms() - k->began_ms) / 1000;
    k->began_ms = 0;
    k->last_side_bytes = p.side_peak;
    if (how == SNAPSHOT_CANCELLED) return;
    k->last_ok = how == SNAPSHOT_SAVED;
    k->done += how == SNAPSHOT_SAVED;
    k->failures = how == SNAPSHOT_SAVED ? 0 : k->failures + 1;
}

static void log_end(enum snapshot_end how, struct slice why) {
    const char *what = doing == SNAPSHOT ? "Background saving" : "Background AOF rewrite";
    if (how == SNAPSHOT_SAVED)
        LOG_NOTICE("%s terminated with success", what);
    else if (how == SNAPSHOT_CANCELLED)
        LOG_WARNING("%s was cancelled", what);
    else
        LOG_WARNING("%s failed: %.*s", what, SLICE_ARG(why));
}

static void begin_scheduled(void);

/* Letters to worker 0 from threads that may outlive it: none comes any more once `stopped` is set. */
static struct {
    struct lock lock;
    bool stopped; /* under lock */
} post = { .lock = LOCK_INIT(LOCK_RANK_LEAF) };

static void post_report(struct report *r) {
    lock_take(&post.lock);
    bool posted = !post.stopped;
    if (posted) worker_post(0, &r->letter);
    lock_drop(&post.lock);
    if (posted) return;
    buf_release(&r->why);
    mem_free(r);
}

static bool has_stopped(void) {
    lock_take(&post.lock);
    bool stopped = post.stopped;
    lock_drop(&post.lock);
    return stopped;
}

/* What was posted before the end is read after it: nothing may begin then. */
static bool drop_if_stopped(struct report *r) {
    if (!has_stopped()) return false;
    buf_release(&r->why);
    mem_free(r);
    return true;
}

static void snapshot_has_ended(struct letter *l) {
    struct report *r = CONTAINER_OF(l, struct report, letter);
    if (drop_if_stopped(r)) return;
    exclusive_begin();
    struct saving_kind *kind = doing == SNAPSHOT ? &saving_status.snapshot : &saving_status.rewrite;
    log_end(r->how, buf_slice(&r->why));
    note_end(kind, r->how);
    if (doing == SNAPSHOT && r->how == SNAPSHOT_SAVED) {
        saving_status.last_save_s = clock_wall_ms() / 1000;
        saving_status.changes_saved = now.changes;
    }
    snapshot_close();
    doing = NOTHING;
    obstacle_set(OBSTACLE_SNAPSHOT, false);
    aof_pause_sync(false);
    saving_file_end();
    obstacle_set(OBSTACLE_SAVE, !saving_status.snapshot.last_ok);
    begin_scheduled();
    exclusive_end();
    buf_release(&r->why);
    mem_free(r);
}

/* On the snapshot's thread. */
static void ended(void *arg, enum snapshot_end how, struct slice why) {
    (void)arg;
    struct report *r = mem_alloc_zero(sizeof *r);
    r->letter.run = snapshot_has_ended;
    r->how = how;
    buf_append(&r->why, why);
    post_report(r);
}

static void begin_snapshot(struct snapshot_plan *plan) {
    plan->ended = ended;
    snapshot_begin(plan);
    obstacle_set(OBSTACLE_SNAPSHOT, true);
    aof_pause_sync(options.no_appendfsync_on_rewrite);
}

/* ---- SAVE and BGSAVE ---- */

bool saving_save(struct buf *text) {
    if (doing == SNAPSHOT) return say(text, false, "ERR Background save already in progress");
    struct buf error = { 0 };
    change_flush_quietly();
    bool done = write_now(&error);
    buf_release(&error);
    return say(text, done, done ? "OK" : "ERR");
}

static void begin_file(void) {
    now.changes = (uint64_t)COUNTER_SUM(dirty);
    struct snapshot_plan plan = saving_file_begin();
    saving_status.snapshot.began_ms = now.tried_ms = plan.now_ms;
    saving_status.snapshot.scheduled = false;
    doing = SNAPSHOT;
    begin_snapshot(&plan);
    LOG_NOTICE("Background saving started");
}

bool saving_begin(bool may_schedule, bool later, struct buf *text) {
    if (doing == SNAPSHOT) return say(text, false, "ERR Background save already in progress");
    if (doing == NOTHING && !later) {
        begin_file();
        return say(text, true, "Background saving started");
    }
    if (!may_schedule && !later)
        return say(
            text, false,
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
            "order to schedule a BGSAVE whenever possible.");
    saving_status.snapshot.scheduled = true;
    return say(text, true, "Background saving scheduled");
}

bool saving_cancel(struct buf *text) {
    if (doing == SNAPSHOT) {
        snapshot_cancel();
        return say(text, true, "Background saving cancelled");
    }
    if (!saving_status.snapshot.scheduled)
        return say(text, false, "ERR Background saving is currently not in progress or scheduled");
    saving_status.snapshot.scheduled = false;
    return say(text, true, "Scheduled background saving cancelled");
}

/* Before an older snapshot could take its place. */
static void supersede(void) {
    if (doing != SNAPSHOT) return;
    snapshot_cancel();
    saving_file_supersede();
}

void saving_all_flushed(void) {
    supersede();
    struct buf error = { 0 };
    if (options.save.count > 0) (void)write_now(&error); /* which logs what goes wrong */
    buf_release(&error);
}

bool saving_save_finally(void) {
    supersede();
    struct buf error = { 0 };
    bool done = write_now(&error);
    buf_release(&error);
    return done;
}

/* ---- rewriting the AOF ---- */

/* Of the base that is being written. */
static struct {
    uint64_t first_incr;
    bool is_rdb;
} base;

static bool publish_base(void *arg, struct buf *error) {
    (void)arg;
    return aof_rewrite_publish(base.first_incr, base.is_rdb, error);
}

static void rewrite_failed(const char *what, struct slice why) {
    LOG_WARNING("Background AOF rewrite: %s: %.*s", what, SLICE_ARG(why));
    saving_status.rewrite.began_ms = 0;
    saving_status.rewrite.last_ok = false;
    saving_status.rewrite.failures++;
    doing = NOTHING;
}

static struct snapshot_plan plan_base(const char *path) {
    struct snapshot_plan plan = saving_plan(path);
    plan.incremental_sync = options.aof_rewrite_incremental_fsync;
    plan.as_commands = !options.aof_use_rdb_preamble;
    plan.is_aof_base = true;
    return plan;
}

bool saving_write_base(void *arg, const char *path, struct buf *error) {
    (void)arg;
    struct snapshot_plan plan = plan_base(path);
    return snapshot_write_now(&plan, error);
}

/* The journal just began with a new file: this is the instant of its base. */
static void begin_base(void) {
    struct buf path = { 0 };
    struct snapshot_plan plan = plan_base(aof_path_of_new_base(&path));
    plan.publish = publish_base;
    base.first_incr = aof_incr_in_use();
    base.is_rdb = options.aof_use_rdb_preamble;
    if (saving_status.rewrite.began_ms == 0) saving_status.rewrite.began_ms = plan.now_ms;
    doing = REWRITING;
    begin_snapshot(&plan);
    LOG_NOTICE("Background append only file rewriting started");
    buf_release(&path);
}

/* The next file is there: the instant of the rewrite is now. */
static void begin_rewriting(void) {
    struct buf error = { 0 };
    change_flush_quietly();
    if (!journal_on || now.rewrite_cancelled) {
        LOG_WARNING("Background AOF rewrite was cancelled: the append only file was turned off");
        aof_rewrite_drop();
        saving_status.rewrite.began_ms = 0;
        doing = NOTHING;
    } else if (!aof_rewrite_switch(&error)) {
        rewrite_failed("cannot write the present file", buf_slice(&error));
    } else {
        begin_base();
    }
    buf_release(&error);
}

static void rewrite_is_prepared(struct letter *l) {
    struct report *r = CONTAINER_OF(l, struct report, letter);
    if (drop_if_stopped(r)) return;
    exclusive_begin();
    if (r->how == SNAPSHOT_SAVED)
        begin_rewriting();
    else
        rewrite_failed("cannot make the next file", buf_slice(&r->why));
    if (doing == NOTHING) begin_scheduled();
    exclusive_end();
    buf_release(&r->why);
    mem_free(r);
}

/* On the background thread. */
static void prepare(void *arg) {
    (void)arg;
    struct report *r = mem_alloc_zero(sizeof *r);
    r->letter.run = rewrite_is_prepared;
    r->how = aof_rewrite_prepare(&r->why) ? SNAPSHOT_SAVED : SNAPSHOT_FAILED;
    post_report(r);
}

static void begin_rewrite(void) {
    doing = PREPARING;
    saving_status.rewrite.scheduled = false;
    saving_status.rewrite.began_ms = now.rewrite_tried_ms = clock_wall_ms();
    now.rewrite_cancelled = false;
    background_post(prepare, NULL, 0);
}

bool saving_rewrite(bool later, struct buf *text) {
    if (doing == PREPARING || doing == REWRITING)
        return say(text, false, "ERR Background append only file rewriting already in progress");
    if (!journal_on) {
        LOG_WARNING("BGREWRITEAOF: the append only file is off (appendonly no), there is nothing to rewrite");
        return say(text, false,
                   "ERR Can't execute an AOF background rewriting. Please check the server logs for more "
                   "information.");
    }
    if (doing == NOTHING && !later) {
        begin_rewrite();
        return say(text, true, "Background append only file rewriting started");
    }
    saving_status.rewrite.scheduled = true;
    return say(text, true, "Background append only file rewriting scheduled");
}

bool saving_start_journal(struct buf *why) {
    change_flush_quietly();
    if (!aof_begin_anew(why)) return false;
    now.rewrite_tried_ms = clock_wall_ms();
    if (doing == NOTHING)
        begin_base();
    else
        saving_status.rewrite.scheduled = true;
    return true;
}

void saving_journal_ends(void) {
    saving_status.rewrite.scheduled = false;
    now.rewrite_cancelled = true;
    if (doing == REWRITING) snapshot_cancel();
}

/* ---- by itself ---- */

static bool save_point_is_reached(int64_t now_ms) {
    uint64_t changes = saving_changes();
    int64_t quiet_s = now_ms / 1000 - saving_status.last_save_s;
    if (!saving_status.snapshot.last_ok && now_ms - now.tried_ms < RETRY_AFTER_MS) return false;
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
    uint64_t failures = saving_status.rewrite.failures;
    if (failures == 0) return false;
    int64_t wait_ms = failures > 6 ? BACK_OFF_MAX_MS : (int64_t)60000 << (failures - 1);
    return now_ms - now.rewrite_tried_ms < (wait_ms < BACK_OFF_MAX_MS ? wait_ms : BACK_OFF_MAX_MS);
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

static void begin_scheduled(void) {
    if (saving_status.rewrite.scheduled && journal_on)
        begin_rewrite();
    else if (saving_status.snapshot.scheduled)
        begin_file();
}

void saving_cron(int64_t now_ms) {
    if (doing != NOTHING || obstacle_is_set(OBSTACLE_LOADING)) return;
    bool scheduled = saving_status.rewrite.scheduled || saving_status.snapshot.scheduled;
    bool save = !scheduled && save_point_is_reached(now_ms);
    bool rewrite = !scheduled && !save && journal_wants_rewrite(now_ms);
    if (!scheduled && !save && !rewrite) return;
    exclusive_begin();
    /* While the gate was being closed, another worker's command may have begun something. */
    if (doing != NOTHING) save = rewrite = false;
    if (save)
        begin_file();
    else if (rewrite)
        begin_rewrite();
    else if (doing == NOTHING)
        begin_scheduled();
    exclusive_end();
}

void saving_stop(void) {
    lock_take(&post.lock);
    post.stopped = true;
    lock_drop(&post.lock);
}

void saving_end(void) {
    snapshot_abandon();
    aof_rewrite_drop();
    saving_file_end();
}
