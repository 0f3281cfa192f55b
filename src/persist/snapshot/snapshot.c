/* snapshot.c: the thread that walks over the keyspace, and the data that commands hand over to it.
 *
 * The thread visits the databases that had keys at the instant: shard by shard, a slice at a time. After each
 * slice it takes what commands left for it: images (`side`), big values (`parts`), flushed databases. Only
 * the thread writes. SWAPDB may change the number of a database meanwhile: `origin` says which
 * number it had at the instant.
 *
 * When the snapshot is given up (its sink failed, or snapshot_cancel), the walk goes on without writing. It
 * marks all entries as saved, so that all marks are equal when the next snapshot begins. That is quick.
 *
 * The thread does not close the snapshot itself: the keyspace may stop calling us only while the gate is
 * closed. */
#include "trivet/persist/snapshot/snapshot.h"
#include "snapshot_private.h"
#include "trivet/base/background.h"
#include "trivet/base/hashing.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include "trivet/keyspace/walk.h"
#include <errno.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <unistd.h>

#define SLICE_BYTES ((size_t)32 * 1024) /* of images, under one shard's lock */
#define SLICE_LOOKS 64                  /* entries looked at */
#define SIDE_MAX ((size_t)32 * 1024 * 1024)
#define WALKER_NICE 10 /* below the workers */
#define DELAY_STEP_US 5000

/* Tables and entries that commands handed over. They wait in a list for the thread, or for the end. */
struct waiting_tables {
    struct waiting_tables *next;
    const struct image_form *form;
    uint32_t db; /* at the instant */
    struct keyspace_flushed *tables;
};
struct waiting_entry {
    struct waiting_entry *next;
    struct entry *entry;
};

enum state { CLOSED, SAVING, BROKEN, CANCELLED, ABANDONED };

/* Changed with the gate closed, or by the thread as said. */
static struct {
    struct snapshot_plan plan;
    struct image_form
        forms[HINT_COUNT];         /* they differ in what eviction knows of entries: by enum image_hint */
    struct snapshot_writer writer; /* the thread's */
    pthread_t thread;
    uint32_t databases;
    uint32_t *origin; /* by present number: the number at the instant. Changed with the gate closed; read
                         under a shard's lock or inside walk_enter() */
    bool *had_keys;   /* by number at the instant */
    bool *left_out;   /* likewise */
} run;

/* The thread is started first, because that may fail, and waits until all else is done. */
static sem_t begun;

static _Atomic enum state state;
atomic_bool snapshot_is_pressed;

/* What commands hand over. */
static struct {
    struct lock lock;
    struct rdb_out images;
    uint32_t db;        /* of the last image */
    struct part *parts; /* to be written; the thread works at the first */
    struct part **parts_end;
    struct waiting_tables *flushed;
    struct waiting_entry *adopted; /* freed when no part is left */
} side = { .lock = LOCK_INIT(LOCK_RANK_SNAPSHOT) };

static struct {
    atomic_uint_fast64_t keys_total, keys_done, bytes, side_bytes, side_peak;
    atomic_uint_fast64_t in_images, in_parts; /* which together are side_bytes */
    atomic_int version;
} seen;

static bool is_saving(void) { return atomic_load_explicit(&state, memory_order_relaxed) == SAVING; }
static bool is_abandoned(void) { return atomic_load_explicit(&state, memory_order_relaxed) == ABANDONED; }

/* ---- what commands hand over ---- */

static void note_side(void) {
    uint64_t bytes = atomic_load_explicit(&seen.in_images, memory_order_relaxed) +
                     atomic_load_explicit(&seen.in_parts, memory_order_relaxed);
    atomic_store_explicit(&seen.side_bytes, bytes, memory_order_relaxed);
    if (bytes > atomic_load_explicit(&seen.side_peak, memory_order_relaxed))
        atomic_store_explicit(&seen.side_peak, bytes, memory_order_relaxed);
    bool pressed = bytes > SIDE_MAX && !run.plan.no_pressure;
    atomic_store_explicit(&snapshot_is_pressed, pressed, memory_order_relaxed);
}

static void note_images(size_t bytes) {
    atomic_store_explicit(&seen.in_images, bytes, memory_order_relaxed);
    note_side();
}

void snapshot_note_part(size_t before, size_t now) {
    atomic_fetch_add_explicit(&seen.in_parts, now - before, memory_order_relaxed);
    note_side();
}

static void add_part(struct part *p) {
    lock_take(&side.lock);
    *side.parts_end = p;
    side.parts_end = &p->next;
    lock_drop(&side.lock);
}

static const struct image_form *form_for(uint32_t db) { return &run.forms[snapshot_hint(db)]; }

static void before_change(uint32_t db, struct entry *e) {
    if (!is_saving()) return;
    uint32_t origin = run.origin[db];
    if (run.left_out[origin]) return;
    const struct image_form *form = form_for(db);
    atomic_fetch_add_explicit(&seen.keys_done, 1, memory_order_relaxed);
    if (part_suits(form, e)) {
        struct part *p = part_new(form, e, origin, SHARD_OF(key_hash(entry_key(e))));
        part_keeps_blob(p);
        add_part(p);
        return;
    }
    lock_take(&side.lock);
    if (side.db != origin) image_put_database(form, &side.images, origin);
    side.db = origin;
    image_put_entry(form, &side.images, e);
    note_images(side.images.bytes.len);
    lock_drop(&side.lock);
}

static void placed(const struct entry *e, uint32_t shard) {
    struct frozen *f = value_frozen(entry_value(e));
    if (!f) return;
    lock_take(&side.lock);
    for (struct part *p = side.parts; p; p = p->next)
        if (p->frozen == f) atomic_store_explicit(&p->shard, shard, memory_order_release);
    lock_drop(&side.lock);
}

static bool adopted(struct entry *e) {
    if (!value_frozen(entry_value(e))) return false;
    struct waiting_entry *w = mem_alloc(sizeof *w);
    lock_take(&side.lock);
    *w = (struct waiting_entry){ side.adopted, e };
    side.adopted = w;
    lock_drop(&side.lock);
    return true;
}

static void flushed(uint32_t db, struct keyspace_flushed *f) {
    struct waiting_tables *w = mem_alloc(sizeof *w);
    lock_take(&side.lock);
    *w = (struct waiting_tables){ side.flushed, form_for(db), run.origin[db], f };
    side.flushed = w;
    lock_drop(&side.lock);
}

static void swapped(uint32_t a, uint32_t b) {
    uint32_t old = run.origin[a];
    run.origin[a] = run.origin[b];
    run.origin[b] = old;
}

static const struct keyspace_saver saver = { before_change, placed, adopted, flushed, swapped };

void snapshot_wait_for_room(void) {
    for (int i = 0; i < 100 && atomic_load_explicit(&snapshot_is_pressed, memory_order_relaxed); i++)
        usleep(100);
}

/* ---- taking it along: the thread, no lock held ---- */

static void take_images(void) {
    struct buf full = { 0 };
    lock_take(&side.lock);
    full = side.images.bytes;
    side.images.bytes = (struct buf){ 0 };
    side.db = NO_DATABASE;
    note_images(0);
    lock_drop(&side.lock);
    if (full.len > 0 && is_saving()) {
        snapshot_writer_put(&run.writer, buf_slice(&full));
        run.writer.db = NO_DATABASE;
    }
    buf_release(&full);
}

/* The first part stays in the list until its value is let go, so that `placed` finds it. */
static bool take_part(void) {
    lock_take(&side.lock);
    struct part *p = side.parts;
    lock_drop(&side.lock);
    if (!p) return false;
    part_finish(p, &run.writer, !is_saving());
    lock_take(&side.lock);
    side.parts = p->next;
    if (!side.parts) side.parts_end = &side.parts;
    lock_drop(&side.lock);
    part_free(p);
    return true;
}

static void free_adopted(void) {
    lock_take(&side.lock);
    struct waiting_entry *w = side.parts ? NULL : side.adopted;
    if (w) side.adopted = NULL;
    lock_drop(&side.lock);
    while (w) {
        struct waiting_entry *next = w->next;
        entry_free(w->entry);
        mem_free(w);
        w = next;
    }
}

struct slice_walk {
    const struct image_form *form;
    uint32_t origin, shard;
    size_t looks, saved;
};

/* Writes an unsaved entry that the walk found: under its shard's lock, or in tables of the snapshot. */
static void save(struct entry *e, const struct slice_walk *w) {
    e->epoch = keyspace_epoch;
    if (!is_saving() || run.left_out[w->origin]) return;
    atomic_fetch_add_explicit(&seen.keys_done, 1, memory_order_relaxed);
    if (part_suits(w->form, e)) {
        add_part(part_new(w->form, e, w->origin, w->shard));
        return;
    }
    snapshot_writer_select(&run.writer, w->form, w->origin);
    image_put_entry(w->form, &run.writer.out, e);
}

static void give_up_if_failed(void) {
    enum state saving = SAVING;
    if (run.writer.failed) atomic_compare_exchange_strong(&state, &saving, BROKEN);
}

/* ---- the walk ---- */

static void visit(void *arg, void *item) {
    struct slice_walk *w = arg;
    struct entry *e = item;
    w->looks++;
    if (e->epoch == keyspace_epoch) return;
    w->saved++;
    save(e, w);
}

static void take_flushed(struct waiting_tables *w) {
    for (uint32_t i = 0; i < w->tables->count && !is_abandoned(); i++) {
        struct slice_walk walk = { .form = w->form, .origin = w->db, .shard = i };
        uint64_t cursor = 0;
        do {
            if (table_count(&w->tables->tables[i]) == 0) break;
            cursor = table_scan(&w->tables->tables[i], cursor, visit, &walk);
            snapshot_writer_flush(&run.writer, false);
            give_up_if_failed();
        } while (cursor != 0);
        while (take_part()) give_up_if_failed();
    }
    keyspace_flushed_free(w->tables);
    mem_free(w);
}

static bool take_one_flushed(void) {
    lock_take(&side.lock);
    struct waiting_tables *w = side.flushed;
    if (w) side.flushed = w->next;
    lock_drop(&side.lock);
    if (!w) return false;
    while (take_part()) give_up_if_failed();
    take_flushed(w);
    return true;
}

/* Takes all that commands have left by now. */
static void take_along(void) {
    take_images();
    while (take_part()) give_up_if_failed();
    while (take_one_flushed()) continue;
    free_adopted();
    snapshot_writer_flush(&run.writer, false);
    give_up_if_failed();
    atomic_store_explicit(&seen.bytes, run.writer.written, memory_order_relaxed);
}

/* The number that a database has now; inside walk_enter(). */
static uint32_t present_number(uint32_t origin) {
    uint32_t db = 0;
    while (run.origin[db] != origin) db++;
    return db;
}

/* Some entries of a shard; *cursor is 0 after the last. */
static size_t walk_slice(uint32_t origin, uint32_t shard, uint64_t *cursor) UNCHECKED;
static size_t walk_slice(uint32_t origin, uint32_t shard, uint64_t *cursor) {
    struct slice_walk w = { .origin = origin, .shard = shard };
    size_t before = run.writer.out.bytes.len;
    walk_enter();
    latch_take(&shards[shard].lock);
    uint32_t present = present_number(origin);
    struct keydb *kdb = shard_db(&shards[shard], present);
    w.form = form_for(present);
    do {
        if (!kdb || table_count(&kdb->table) == 0) {
            *cursor = 0;
            break;
        }
        *cursor = table_scan(&kdb->table, *cursor, visit, &w);
    } while (*cursor != 0 && w.looks < SLICE_LOOKS && run.writer.out.bytes.len - before < SLICE_BYTES);
    latch_drop(&shards[shard].lock);
    walk_leave();
    return w.saved;
}

static void delay(size_t keys) {
    int64_t each = run.plan.key_delay_us;
    static size_t owed;
    if (each == 0 || keys == 0 || !is_saving()) return;
    if (each > 0) {
        for (int64_t left = each * (int64_t)keys; left > 0 && is_saving(); left -= DELAY_STEP_US)
            usleep((useconds_t)(left < DELAY_STEP_US ? left : DELAY_STEP_US));
        return;
    }
    owed += keys;
    if (owed < (size_t)-each) return;
    owed = 0;
    usleep(1);
}

static void walk_database(uint32_t origin) {
    for (uint32_t shard = 0; shard < shard_count && !is_abandoned(); shard++) {
        uint64_t cursor = 0;
        do {
            size_t saved = walk_slice(origin, shard, &cursor);
            delay(saved);
            take_along();
        } while (cursor != 0 && !is_abandoned());
    }
}

/* ---- from begin to close ---- */

/* The sink of a cancelled snapshot may have failed as well, because it was stopped: that is no failure. */
static enum snapshot_end end_writer(void) {
    if (!is_saving())
        snapshot_writer_drop(&run.writer);
    else if (snapshot_writer_end(&run.writer))
        return SNAPSHOT_SAVED;
    enum state now = atomic_load(&state);
    return now == SAVING || now == BROKEN ? SNAPSHOT_FAILED : SNAPSHOT_CANCELLED;
}

static void finish(void) {
    enum snapshot_end how = end_writer();
    atomic_store_explicit(&seen.bytes, run.writer.written, memory_order_relaxed);
    struct slice why = how == SNAPSHOT_FAILED ? buf_slice(&run.writer.error) : LIT("");
    if (!is_abandoned()) run.plan.ended(run.plan.arg, how, why);
}

static void *walk_all(void *arg) {
    while (sem_wait(&begun) != 0) continue;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), WALKER_NICE); /* only a courtesy */
    snapshot_writer_flush(&run.writer, true); /* a sink that cannot begin is known before the walk */
    give_up_if_failed();
    for (uint32_t db = 0; db < run.databases; db++)
        if (run.had_keys[db]) walk_database(db);
    take_along();
    finish();
    return arg;
}

static bool start_thread(struct buf *error) {
    int failed = sem_init(&begun, 0, 0);
    assert(failed == 0);
    if (thread_start(&run.thread, "snapshot", walk_all, NULL)) return true;
    buf_printf(error, "cannot start a thread: %s", strerrordesc_np(errno));
    sem_destroy(&begun);
    return false;
}

bool snapshot_begin(const struct snapshot_plan *plan, struct buf *error) {
    assert(!snapshot_is_open() && plan->contents == SNAPSHOT_EVERYTHING);
    if (!start_thread(error)) {
        plan->sink->drop(plan->sink);
        return false;
    }
    run.plan = *plan;
    for (enum image_hint hint = HINT_NONE; hint < HINT_COUNT; hint++) {
        run.forms[hint] = snapshot_form(plan);
        run.forms[hint].hint = hint;
    }
    run.databases = keyspace_numbers(); /* the second set is empty, but may change places with the first */
    run.origin = mem_alloc(run.databases * sizeof *run.origin);
    run.had_keys = mem_alloc(run.databases * sizeof *run.had_keys);
    run.left_out = mem_alloc(run.databases * sizeof *run.left_out);
    uint64_t keys = 0;
    for (uint32_t db = 0; db < run.databases; db++) {
        run.origin[db] = db;
        run.had_keys[db] = keyspace_count(db) > 0;
        run.left_out[db] = snapshot_leaves_out(plan, db);
        if (!run.left_out[db]) keys += keyspace_count(db);
    }
    atomic_store(&seen.keys_total, keys);
    atomic_store(&seen.keys_done, 0);
    atomic_store(&seen.bytes, 0);
    atomic_store(&seen.side_peak, 0);
    side.db = NO_DATABASE;
    side.parts_end = &side.parts;
    snapshot_writer_begin(&run.writer, &run.plan);
    atomic_store(&seen.version, run.writer.version);
    atomic_store(&state, SAVING);
    keyspace_walk_begin(&saver);
    sem_post(&begun);
    return true;
}

bool snapshot_is_open(void) { return atomic_load(&state) != CLOSED; }

static void stop_sink(void) {
    if (run.plan.sink->stop) run.plan.sink->stop(run.plan.sink);
}

void snapshot_cancel(void) {
    enum state saving = SAVING;
    if (atomic_compare_exchange_strong(&state, &saving, CANCELLED)) stop_sink();
}

/* Frees what came after the thread's last look; nothing in it is unsaved. */
static void free_tables_later(void *arg) { keyspace_flushed_free(arg); }

void snapshot_close(void) {
    pthread_join(run.thread, NULL);
    sem_destroy(&begun);
    keyspace_walk_end();
    assert(!side.parts && !side.adopted && side.images.bytes.len == 0);
    while (side.flushed) {
        struct waiting_tables *w = side.flushed;
        side.flushed = w->next;
        background_post(free_tables_later, w->tables, 1);
        mem_free(w);
    }
    buf_release(&side.images.bytes);
    buf_release(&run.writer.error);
    mem_free(run.origin);
    mem_free(run.had_keys);
    mem_free(run.left_out);
    atomic_store(&state, CLOSED);
}

void snapshot_abandon(void) {
    if (!snapshot_is_open()) return;
    atomic_store(&state, ABANDONED);
    stop_sink();
    snapshot_close();
}

void snapshot_progress(struct snapshot_progress *out) {
    *out = (struct snapshot_progress){ .open = snapshot_is_open(),
                                       .version = atomic_load(&seen.version),
                                       .keys_total = atomic_load(&seen.keys_total),
                                       .keys_done = atomic_load(&seen.keys_done),
                                       .bytes_written = atomic_load(&seen.bytes),
                                       .side_bytes = atomic_load(&seen.side_bytes),
                                       .side_peak = atomic_load(&seen.side_peak) };
}
