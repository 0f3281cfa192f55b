/* Rewriting, stopped at each system call: by SIGKILL, by a power cut, by a call that fails.
 *
 * A story runs in a process of its own: it opens the AOF, rewrites it twice and appends DEL k1, DEL k2 ...
 * all the time. A base says the same commands as the incrementals that it replaces, so whatever is loaded
 * later must be k1 to kn without a gap, and n says how much was kept: at least what was promised. */
#include "folder.h"
#include "trivet/persist/journal_sink.h"
#define POWER_FAIL(...) fail_msg(__VA_ARGS__)
#include "../../../faults/power_cut.h"
#include "trivet/base/thread.h"
#include "trivet/persist/journal.h"
#include <sys/mman.h>

/* The sanitizers take their time for each process: they look at every third call. */
#ifdef TRIVET_SANITIZE
#define STRIDE 3
#else
#define STRIDE 1
#endif

#ifdef __SANITIZE_THREAD__
/* It would let each process sleep a second at its end. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "atexit_sleep_ms=0"; }
#endif

/* Written by the story, read when its process is gone. */
static struct seen {
    int appended, acked, safe; /* numbers of the last key appended, acknowledged, promised to survive a cut */
} * seen;

static struct disk_log disk = { .fd = -1 };
static struct power power;
static char side[80];
static enum fsync_policy policy;

/* ---- system calls that are logged; nothing waits for a real disk ---- */

static int logged_open(const char *path, int flags, mode_t mode) {
    bool is_new = disk_log_is_new(path);
    int fd = faulty_open(path, flags, mode);
    if (fd >= 0 && (flags & O_ACCMODE) != O_RDONLY) disk_log_opened(&disk, path, fd, is_new, flags & O_TRUNC);
    return fd;
}

static int logged_fsync(int fd) {
    unsigned long long size = disk_log_size(fd);
    if (goes_wrong(CALL_SYNC)) return -1;
    disk_log_synced(&disk, fd, size);
    return 0;
}

static int logged_ftruncate(int fd, off_t length) {
    int result = faulty_ftruncate(fd, length);
    if (result == 0) disk_log_cut(&disk, fd, length);
    return result;
}

static int logged_rename(const char *from, const char *to) {
    int result = faulty_rename(from, to);
    if (result == 0) disk_log_renamed(&disk, from, to);
    return result;
}

static int logged_unlink(const char *path) {
    int result = faulty_unlink(path);
    if (result == 0) disk_log_removed(&disk, path);
    return result;
}

static int logged_mkdir(const char *path, mode_t mode) {
    int result = faulty_mkdir(path, mode);
    if (result == 0) disk_log_made(&disk, path);
    return result;
}

static int setup(void **state) {
    thread_worker_count = 1;
    faults_install();
    file_io.open = logged_open;
    file_io.fsync = file_io.fdatasync = logged_fsync;
    file_io.ftruncate = logged_ftruncate;
    file_io.rename = logged_rename;
    file_io.unlink = logged_unlink;
    file_io.mkdir = logged_mkdir;
    atomic_store(&faults.countdown, -1);
    atomic_store(&faults.broken, 0);
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(seen != MAP_FAILED);
    (void)state;
    log_set_level(LOG_LEVEL_NOTHING);
    /* In memory if possible: thousands of files are made here. */
    strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/trivet-XXXXXX" : "/tmp/trivet-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(side, sizeof side, "%s.side", folder);
    return mkdir(side, 0755);
}

static int teardown(void **state) {
    munmap(seen, sizeof *seen);
    power_empty(side);
    rmdir(side);
    return folder_remove(state);
}

/* ---- the story ---- */

static void append_next(void) {
    char key[16];
    struct effects e = { 0 };
    int number = ++seen->appended;
    snprintf(key, sizeof key, "k%d", number);
    struct slice argv[2] = { LIT("DEL"), slice_of(key) };
    effects_add(&e, 0, argv, 2);
    uint64_t offset = journal_append(&e, (struct copied){ 0 });
    effects_release(&e);
    if (aof_commit(offset) != COMMITTED) return;
    seen->acked = number;
    if (policy == FSYNC_ALWAYS) seen->safe = number;
}

static void sync_now(void) {
    if (!aof_sync_now()) return;
    seen->acked = seen->safe = seen->appended;
}

/* All that was appended so far. */
static bool write_base(int keys) {
    struct buf path = { 0 }, bytes = { 0 };
    for (int i = 1; i <= keys; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        struct slice argv[2] = { LIT("DEL"), slice_of(key) };
        wire_command(&bytes, argv, 2);
    }
    int fd = file_io.open(aof_path_of_new_base(&path), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bool done = fd >= 0 && file_write_all(fd, buf_slice(&bytes)) && file_io.fsync(fd) == 0;
    if (fd >= 0) close(fd);
    buf_release(&path);
    buf_release(&bytes);
    return done;
}

static bool rewrite(void) {
    struct buf error = { 0 };
    bool done = aof_rewrite_prepare(&error);
    append_next();
    done = done && aof_rewrite_switch(&error);
    int keys = seen->appended;
    uint64_t first = aof_incr_in_use();
    append_next();
    done = done && write_base(keys) && aof_rewrite_publish(first, false, &error);
    append_next();
    buf_release(&error);
    return done;
}

static bool open_aof(void) {
    struct buf error = { 0 };
    bool done = aof_open(&error);
    buf_release(&error);
    return done;
}

/* A call that fails fails once, so a second try succeeds. */
static void tell_story(void) {
    disk_log_open(&disk, folder, side);
    if (!open_aof() && !open_aof()) abort();
    append_next();
    append_next();
    sync_now();
    append_next();
    if (!rewrite() && !rewrite()) abort();
    append_next();
    if (!rewrite() && !rewrite()) abort();
    append_next();
}

/* The AOF is turned on while the server runs, after a time without: what it had before, k1 to k3, is old.
 * Keys up to `seen->safe` must be there, or k1 to k3 only as long as it has no base. */
static void begin_anew(void) {
    struct buf error = { 0 };
    disk_log_open(&disk, folder, side);
    if (!open_aof() && !open_aof()) abort();
    append_next();
    append_next();
    append_next();
    sync_now();
    sync_now();
    (void)aof_close();
    int promised = seen->safe;
    bool begun = aof_begin_anew(&error) || aof_begin_anew(&error);
    int keys = seen->appended;
    uint64_t first = aof_incr_in_use();
    append_next();
    bool published = begun && write_base(keys) && aof_rewrite_publish(first, false, &error);
    if (!published) {
        seen->acked = seen->safe = promised;
        if (!rewrite() && !rewrite()) abort();
    }
    append_next();
    sync_now();
    buf_release(&error);
}

/* ---- what is there afterwards ---- */

/* Loads; the number of the last key. Fails if there is a gap. */
static int load_keys(void) {
    struct ran ran = { 0 };
    struct aof_load how = loader(&ran);
    int last = 0;
    enum aof_loaded loaded = aof_load(&how);
    assert_int_not_equal(loaded, AOF_REFUSED);
    buf_append_byte(&ran.text, '\0');
    for (char *at = strtok(ran.text.ptr, ";"); at; at = strtok(NULL, ";")) {
        int number;
        if (strcmp(at, "SELECT 0") == 0) continue;
        assert_int_equal(sscanf(at, "DEL k%d", &number), 1);
        assert_int_equal(number, last + 1);
        last = number;
    }
    buf_release(&ran.text);
    return last;
}

static void assert_kept(int least, int n, const char *after) {
    int last = load_keys();
    if (last < least || last > seen->appended)
        fail_msg("%s call %d: k1 to k%d are there, k1 to k%d were promised, k%d was the last", after, n, last,
                 least, seen->appended);
}

static void begin_afresh(void) {
    power_empty(folder);
    memset(seen, 0, sizeof *seen);
    power_begin(&power, folder, side);
}

static const struct power_plan plans[] = {
    { KEEP_NOTHING, KEEP_NOTHING, false }, { KEEP_NOTHING, KEEP_SOME, false },
    { KEEP_NOTHING, KEEP_SOME, true },     { KEEP_NOTHING, KEEP_ALL, false },
    { KEEP_SOME, KEEP_NOTHING, false },    { KEEP_SOME, KEEP_SOME, true },
    { KEEP_SOME, KEEP_ALL, false },        { KEEP_ALL, KEEP_NOTHING, false },
    { KEEP_ALL, KEEP_NOTHING, true },      { KEEP_ALL, KEEP_SOME, false },
    { KEEP_ALL, KEEP_SOME, true },
};

/* Whatever a cut leaves, it has what was promised. */
static void assert_survives_cuts(int n, const char *after) {
    for (size_t i = 0; i < COUNT_OF(plans); i++) {
        power_cut(&power, plans[i]);
        assert_kept(seen->safe, n, after);
    }
}

static const enum fsync_policy policies[] = { FSYNC_ALWAYS, FSYNC_EVERYSEC };

static void use_policy(size_t i) {
    policy = policies[i];
    configure(policy, true, 0);
}

/* ---- the tests ---- */

static void killed_at_any_call_nothing_acknowledged_is_lost(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        use_policy(i);
        int n = 0;
        for (bool killed = true; killed; n += STRIDE) {
            begin_afresh();
            killed = killed_at(n, tell_story);
            assert_kept(seen->acked, n, "killed at");
        }
        assert_true(n > 50);
        assert_false(has_file("aofdir/temp-rewrite.aof"));
    }
}

static void a_power_cut_at_any_call_leaves_what_was_synced(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        use_policy(i);
        bool killed = true;
        for (int n = 0; killed; n += STRIDE) {
            begin_afresh();
            killed = killed_at(n, tell_story);
            assert_survives_cuts(n, "power cut at");
        }
    }
}

/* Goes on where another process was killed, as a start does: load, open, append. */
static void go_on(void) {
    disk_log_open(&disk, folder, side);
    seen->appended = load_keys();
    if (!open_aof()) abort();
    append_next();
    append_next();
}

static void a_power_cut_after_the_start_that_follows_a_kill_loses_nothing_either(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        use_policy(i);
        bool killed = true;
        for (int n = 0; killed; n += STRIDE) {
            begin_afresh();
            killed = killed_at(n, tell_story);
            seen->appended = seen->acked;
            killed_at(-1, go_on);
            assert_survives_cuts(n, "power cut after a kill at");
        }
    }
}

static void with_one_failed_call(void) {
    tell_story();
    (void)aof_sync_now(); /* as the sync thread does soon */
    sync_now();
    struct stat facts;
    if (aof_is_failing() || seen->acked != seen->appended) abort();
    if (stat(path_of("aofdir/temp-rewrite.aof"), &facts) == 0) abort();
}

/* The base takes long: the story ends before it is published. */
static void without_publishing(void) {
    struct buf error = { 0 };
    disk_log_open(&disk, folder, side);
    if (!open_aof() && !open_aof()) abort();
    append_next();
    bool prepared = aof_rewrite_prepare(&error) || aof_rewrite_prepare(&error);
    if (!prepared) abort();
    if (!aof_rewrite_switch(&error) && (!aof_rewrite_prepare(&error) || !aof_rewrite_switch(&error))) abort();
    append_next();
    sync_now();
    sync_now();
    buf_release(&error);
}

/* Runs a story with a failing n-th call, to its end. False if it had no such call. */
static bool told_with_failure_at(int n, void (*story)(void)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        faults.fault = FAULT_ERROR;
        atomic_store(&faults.countdown, n);
        story();
        _exit(atomic_load(&faults.countdown) < 0 ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status)) fail_msg("with a failure at call %d the story did not come to its end", n);
    return WEXITSTATUS(status) == 1;
}

static void fail_anywhere(void (*story)(void)) {
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        use_policy(i);
        bool failed = true;
        for (int n = 0; failed; n += STRIDE) {
            begin_afresh();
            failed = told_with_failure_at(n, story);
            assert_kept(seen->appended, n, "failure at");
            assert_survives_cuts(n, "power cut after a failure at");
        }
    }
}

static void any_call_may_fail_once_and_the_next_try_succeeds(void **state) {
    (void)state;
    fail_anywhere(with_one_failed_call);
}

static void after_a_failed_call_the_next_file_is_durable_before_it_is_used(void **state) {
    (void)state;
    fail_anywhere(without_publishing);
}

/* More zeros than the longest annotation has bytes. */
static void zeros_that_begin_within_an_annotation_are_cut_off(void **state) {
    (void)state;
    use_policy(1);
    begin_afresh();
    killed_at(-1, go_on);
    struct buf bytes = get_file("aofdir/a.aof.1.incr.aof");
    size_t whole = bytes.len;
    buf_append(&bytes, LIT("#SUM:4"));
    memset(buf_reserve(&bytes, 300000), 0, 300000);
    bytes.len += 300000;
    put_file("aofdir/a.aof.1.incr.aof", buf_slice(&bytes));
    assert_int_equal(load_keys(), 2);
    buf_release(&bytes);
    bytes = get_file("aofdir/a.aof.1.incr.aof");
    assert_int_equal(bytes.len, whole);
    buf_release(&bytes);
}

/* Before there is a base nothing new is promised: then acknowledged means nothing yet. */
static void turned_on_while_it_runs_it_may_be_killed_anywhere(void **state) {
    (void)state;
    bool killed = true;
    use_policy(1);
    for (int n = 0; killed; n += STRIDE) {
        begin_afresh();
        killed = killed_at(n, begin_anew);
        assert_kept(seen->safe, n, "killed at");
        seen->appended = seen->acked = seen->safe;
        killed_at(-1, go_on);
        assert_survives_cuts(n, "power cut after a kill at");
    }
}

static void turned_on_while_it_runs_any_call_may_fail(void **state) {
    (void)state;
    use_policy(1);
    bool failed = true;
    for (int n = 0; failed; n += STRIDE) {
        begin_afresh();
        failed = told_with_failure_at(n, begin_anew);
        assert_kept(seen->appended, n, "failure at");
        assert_survives_cuts(n, "power cut after a failure at");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(killed_at_any_call_nothing_acknowledged_is_lost),
        TEST(a_power_cut_at_any_call_leaves_what_was_synced),
        TEST(a_power_cut_after_the_start_that_follows_a_kill_loses_nothing_either),
        TEST(any_call_may_fail_once_and_the_next_try_succeeds),
        TEST(after_a_failed_call_the_next_file_is_durable_before_it_is_used),
        TEST(zeros_that_begin_within_an_annotation_are_cut_off),
        TEST(turned_on_while_it_runs_it_may_be_killed_anywhere),
        TEST(turned_on_while_it_runs_any_call_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
