/* The open file: what is committed is in it, for one thread and for many, and what a failing disk does. */
#include "folder.h"
#include "trivet/base/clock.h"
#include "trivet/base/thread.h"
#include "trivet/persist/journal.h"
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#define INCR_1 "aofdir/a.aof.1.incr.aof"
#define SELECT_0 "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define DEL_A "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"
#define DEL_B "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n"
#define SUM_43 "#SUM:43:0123456789abcdef\r\n" /* as long as the line that follows 43 bytes */

static int setup(void **state) {
    thread_worker_count = 1;
    faults_install();
    faults.fault = FAULT_ERROR;
    atomic_store(&faults.countdown, -1);
    atomic_store(&faults.broken, 0);
    return folder_make(state);
}

static void open_it(enum fsync_policy fsync_policy) {
    struct buf error = { 0 };
    configure(fsync_policy, true, 0);
    assert_true(aof_open(&error));
    assert_true(journal_on);
}

static uint64_t append_key(struct slice key) {
    struct effects e = { 0 };
    struct slice argv[2] = { LIT("DEL"), key };
    effects_add(&e, 0, argv, 2);
    uint64_t after = journal_append(&e, (struct copied){ 0 });
    effects_release(&e);
    return after;
}

static uint64_t append_del(const char *key) { return append_key(slice_of(key)); }

static enum commit append_and_commit(const char *key) { return aof_commit(append_del(key)); }

static void nap(void) { nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); }

static void assert_failure(const char *text) {
    struct buf out = { 0 };
    aof_failure(&out);
    assert_true(slice_equal(buf_slice(&out), slice_of(text)));
    assert_int_equal(aof_is_failing(), text[0] != '\0');
    buf_release(&out);
}

/* ---- the good path ---- */

static void what_is_committed_is_in_the_file(void **state) {
    (void)state;
    open_it(FSYNC_NO);
    uint64_t first = append_del("a");
    assert_false(aof_is_committed(first));
    assert_commands_in_file(INCR_1, LIT(""));
    assert_int_equal(aof_commit(first), COMMITTED);
    assert_true(aof_is_committed(first));
    assert_commands_in_file(INCR_1, LIT(SELECT_0 DEL_A));
    assert_int_equal(append_and_commit("b"), COMMITTED);
    assert_commands_in_file(INCR_1, LIT(SELECT_0 DEL_A DEL_B));
    assert_true(aof_close());
    assert_false(journal_on);
    assert_file("aofdir/a.aof.manifest", LIT("file a.aof.1.incr.aof seq 1 type i\n"));
    assert_load(AOF_LOADED, "SELECT 0;DEL a;DEL b;");
}

static void closing_writes_what_was_not_committed(void **state) {
    (void)state;
    open_it(FSYNC_EVERYSEC);
    append_del("a");
    assert_true(aof_close());
    assert_int_equal(aof_synced_offset(), journal_offset());
    assert_commands_in_file(INCR_1, LIT(SELECT_0 DEL_A));
    assert_true(aof_close()); /* nothing is open: nothing to do */
}

static void opening_again_goes_on_behind_what_is_there(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        open_it(FSYNC_EVERYSEC);
        assert_int_equal(append_and_commit("a"), COMMITTED);
        assert_true(aof_close());
    }
    assert_commands_in_file(INCR_1, LIT(SELECT_0 DEL_A SELECT_0 DEL_A));
}

static void always_syncs_before_it_says_committed(void **state) {
    (void)state;
    open_it(FSYNC_ALWAYS);
    int before = atomic_load(&faults.syncs);
    uint64_t offset = append_del("a");
    append_del("b");
    assert_int_equal(aof_commit(offset), COMMITTED);
    assert_int_equal(atomic_load(&faults.syncs), before + 1);
    assert_int_equal(aof_synced_offset(), journal_offset());
    assert_int_equal(aof_commit(journal_offset()), COMMITTED); /* b went with a */
    assert_int_equal(atomic_load(&faults.syncs), before + 1);
    assert_true(aof_close());
}

static void no_never_syncs_but_when_asked_and_at_the_end(void **state) {
    (void)state;
    open_it(FSYNC_NO);
    int before = atomic_load(&faults.syncs);
    assert_int_equal(append_and_commit("a"), COMMITTED);
    assert_int_equal(atomic_load(&faults.syncs), before);
    assert_true(aof_sync_now());
    assert_true(aof_sync_now()); /* nothing new: no call */
    assert_int_equal(atomic_load(&faults.syncs), before + 1);
    assert_int_equal(aof_synced_offset(), journal_offset());
    assert_true(aof_close());
    assert_int_equal(atomic_load(&faults.syncs), before + 2);
}

static void everysec_syncs_in_the_background(void **state) {
    (void)state;
    open_it(FSYNC_NO);
    uint64_t offset = append_del("a");
    assert_int_equal(aof_commit(offset), COMMITTED);
    aof_set_fsync(FSYNC_EVERYSEC);
    while (aof_synced_offset() < offset) nap();
    assert_true(aof_close());
}

static void info_counts_bytes(void **state) {
    (void)state;
    struct aof_info info;
    aof_info(&info);
    assert_false(info.enabled);
    open_it(FSYNC_NO);
    append_del("a");
    aof_info(&info);
    assert_true(info.enabled && info.last_write_ok);
    assert_int_equal(info.buffer_length, sizeof SELECT_0 DEL_A - 1);
    assert_int_equal(info.current_size, 0);
    assert_int_equal(aof_commit(journal_offset()), COMMITTED);
    aof_info(&info);
    assert_int_equal(info.buffer_length, 0);
    assert_int_equal(info.current_size, sizeof SELECT_0 DEL_A SUM_43 - 1);
    assert_int_equal(info.base_size, 0);
    assert_true(aof_close());
    open_it(FSYNC_NO);
    aof_info(&info);
    assert_int_equal(info.current_size, sizeof SELECT_0 DEL_A SUM_43 - 1);
    assert_int_equal(info.base_size, sizeof SELECT_0 DEL_A SUM_43 - 1);
    assert_true(aof_close());
}

/* ---- group commit ---- */

#define THREADS 8
#define ROUNDS 300

struct committer {
    pthread_t thread;
    int number;
    uint64_t opened_at; /* the journal's offset when the file was empty */
};

#define FILE_MAX ((size_t)1024 * 1024)

/* At the moment of COMMITTED my record is in the file; the checksum lines moved it behind its offset. */
static void *commit_rounds(void *arg) {
    struct committer *c = arg;
    int fd = open(path_of(INCR_1), O_RDONLY);
    char key[32], *found = malloc(FILE_MAX);
    for (int i = 0; i < ROUNDS; i++) {
        int len = snprintf(key, sizeof key, "%d.%06d\r\n", c->number, i);
        uint64_t offset = append_key(slice_make(key, (size_t)len - 2));
        if (aof_commit(offset) != COMMITTED) abort();
        off_t at = (off_t)(offset - c->opened_at) - len;
        ssize_t got = pread(fd, found, FILE_MAX, at);
        if (got < len || !memmem(found, (size_t)got, key, (size_t)len)) abort();
    }
    free(found);
    close(fd);
    return NULL;
}

static void run_committers(enum fsync_policy fsync_policy) {
    thread_worker_count = THREADS;
    open_it(fsync_policy);
    struct committer committers[THREADS];
    uint64_t opened_at = journal_offset();
    for (int i = 0; i < THREADS; i++) {
        committers[i] = (struct committer){ .number = i, .opened_at = opened_at };
        assert_true(thread_start(&committers[i].thread, "commit", commit_rounds, &committers[i]));
    }
    for (int i = 0; i < THREADS; i++) pthread_join(committers[i].thread, NULL);
    struct aof_info info;
    uint64_t size;
    aof_info(&info);
    assert_true(file_size(path_of(INCR_1), &size));
    assert_int_equal(info.current_size, size);
    assert_true(size > journal_offset() - opened_at);
    assert_true(aof_close());
    thread_worker_count = 1;
}

static void many_threads_find_their_bytes_in_the_file(void **state) {
    (void)state;
    run_committers(FSYNC_EVERYSEC);
}

static void many_threads_share_their_syncs(void **state) {
    (void)state;
    int before = atomic_load(&faults.syncs);
    run_committers(FSYNC_ALWAYS);
    assert_true(atomic_load(&faults.syncs) - before <= THREADS * ROUNDS + 1);
}

/* Threads that commit while the disk fails now and then: nothing is lost, doubled or torn. */
static void *commit_stubbornly(void *arg) {
    struct committer *c = arg;
    char key[32];
    for (int i = 0; i < ROUNDS; i++) {
        int len = snprintf(key, sizeof key, "%d.%06d", c->number, i);
        uint64_t offset = append_key(slice_make(key, (size_t)len));
        while (aof_commit(offset) != COMMITTED) nap();
    }
    return NULL;
}

/* The commands of each thread in the order in which it gave them. */
struct order {
    int next[THREADS];
};

static bool check_order(void *arg, const struct slice *argv, size_t argc, struct buf *error) {
    struct order *order = arg;
    int thread, round;
    char text[32] = { 0 };
    (void)error;
    if (slice_equal(argv[0], LIT("SELECT"))) return true;
    memcpy(text, argv[1].ptr, argv[1].len);
    return argc == 2 && sscanf(text, "%d.%d", &thread, &round) == 2 && order->next[thread]++ == round;
}

static void a_disk_that_fails_now_and_then_loses_nothing(void **state) {
    (void)state;
    static const int kinds[] = { CALL_WRITE, CALL_SYNC, CALL_TRUNCATE | CALL_WRITE };
    thread_worker_count = THREADS;
    open_it(FSYNC_ALWAYS);
    struct committer committers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        committers[i] = (struct committer){ .number = i };
        assert_true(thread_start(&committers[i].thread, "commit", commit_stubbornly, &committers[i]));
    }
    for (size_t i = 0; i < 60; i++) {
        atomic_store(&faults.broken, kinds[i % COUNT_OF(kinds)]);
        nap();
        atomic_store(&faults.broken, 0);
        nap();
    }
    for (int i = 0; i < THREADS; i++) pthread_join(committers[i].thread, NULL);
    assert_false(aof_is_failing());
    assert_true(aof_close());
    thread_worker_count = 1;
    struct order order = { 0 };
    struct aof_load how = { .run = check_order, .arg = &order };
    assert_int_equal(aof_load(&how), AOF_LOADED);
    for (int i = 0; i < THREADS; i++) assert_int_equal(order.next[i], ROUNDS);
}

/* ---- a failing disk ---- */

/* The file after `broken` calls failed while "b" was appended behind "a", and after they worked again. */
static void fail_and_heal(int broken, struct slice meanwhile) {
    open_it(FSYNC_ALWAYS);
    assert_int_equal(append_and_commit("a"), COMMITTED);
    atomic_store(&faults.broken, broken);
    uint64_t offset = append_del("b");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(aof_commit(offset), COMMIT_PENDING);
        assert_false(aof_is_committed(offset));
        assert_failure("Input/output error");
        assert_commands_in_file(INCR_1, meanwhile);
    }
    assert_false(aof_sync_now());
    append_del("a");
    atomic_store(&faults.broken, 0);
    assert_int_equal(aof_commit(offset), COMMITTED);
    assert_failure("");
    assert_int_equal(aof_commit(journal_offset()), COMMITTED);
    assert_commands_in_file(INCR_1, LIT(SELECT_0 DEL_A DEL_B DEL_A));
    assert_true(aof_close());
}

static void a_failed_write_leaves_nothing_and_is_repeated(void **state) {
    (void)state;
    fail_and_heal(CALL_WRITE, LIT(SELECT_0 DEL_A));
}

static void a_failed_sync_under_always_is_written_again(void **state) {
    (void)state;
    fail_and_heal(CALL_SYNC, LIT(SELECT_0 DEL_A));
}

static void half_a_write_that_cannot_be_cut_is_cut_before_the_next(void **state) {
    (void)state;
    /* Half of what was to be written is the command and a part of its checksum line. */
    fail_and_heal(CALL_WRITE | CALL_TRUNCATE, LIT(SELECT_0 DEL_A DEL_B));
}

static void closing_on_a_dead_disk_says_so_and_lets_waiters_go(void **state) {
    (void)state;
    open_it(FSYNC_EVERYSEC);
    assert_int_equal(append_and_commit("a"), COMMITTED);
    atomic_store(&faults.broken, CALL_WRITE);
    uint64_t offset = append_del("b");
    assert_int_equal(aof_commit(offset), COMMIT_PENDING);
    assert_false(aof_close());
    assert_true(aof_is_committed(offset));
    assert_failure("");
    assert_commands_in_file(INCR_1, LIT(SELECT_0 DEL_A));
}

static void a_failed_background_sync_refuses_writes_until_one_succeeds(void **state) {
    (void)state;
    open_it(FSYNC_EVERYSEC);
    atomic_store(&faults.broken, CALL_SYNC);
    uint64_t offset = append_del("a");
    assert_int_equal(aof_commit(offset), COMMITTED);
    while (!aof_is_failing()) nap();
    assert_failure("Input/output error");
    assert_true(aof_synced_offset() < offset);
    assert_int_equal(append_and_commit("b"), COMMITTED); /* written all the same */
    assert_true(aof_is_failing());
    aof_set_fsync(FSYNC_NO); /* the sync thread goes on trying */
    atomic_store(&faults.broken, 0);
    while (aof_is_failing()) nap();
    assert_true(aof_synced_offset() >= offset);
    assert_true(aof_close());
}

/* A real file that may not grow any more, as when a quota is reached. */
static void a_file_at_its_limit_heals_when_the_limit_rises(void **state) {
    (void)state;
    atomic_store(&faults.countdown, -1);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    open_it(FSYNC_EVERYSEC);
    assert_int_equal(append_and_commit("a"), COMMITTED);
    tight = before;
    tight.rlim_cur = sizeof SELECT_0 DEL_A SUM_43 - 1 + 5;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    uint64_t offset = append_del("b");
    assert_int_equal(aof_commit(offset), COMMIT_PENDING);
    assert_failure("File too large");
    assert_commands_in_file(INCR_1, LIT(SELECT_0 DEL_A));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(aof_commit(offset), COMMITTED);
    assert_failure("");
    assert_commands_in_file(INCR_1, LIT(SELECT_0 DEL_A DEL_B));
    assert_true(aof_close());
}

static atomic_int slow; /* the clock jumps 3 s at each look */
static int64_t jumping_clock(void) { return clock_steady_us() + atomic_fetch_add(&slow, 3) * 1000000LL; }

static void a_slow_sync_is_counted(void **state) {
    (void)state;
    struct aof_info info;
    file_io.now_us = jumping_clock;
    open_it(FSYNC_NO);
    aof_info(&info);
    uint64_t before = info.delayed_fsyncs;
    append_del("a");
    assert_true(aof_sync_now());
    aof_info(&info);
    assert_int_equal(info.delayed_fsyncs, before + 1);
    assert_true(aof_close());
    file_io.now_us = clock_steady_us;
}

/* A sync that lasts as long as the test wants. */
static atomic_bool sync_held, sync_began;
static int (*true_fdatasync)(int fd);

static int held_fdatasync(int fd) {
    atomic_store(&sync_began, true);
    while (atomic_load(&sync_held)) nap();
    return true_fdatasync(fd);
}

static void *sync_it(void *arg) {
    (void)arg;
    if (!aof_sync_now()) abort();
    return NULL;
}

static void *commit_it(void *arg) {
    if (aof_commit(*(const uint64_t *)arg) != COMMITTED) abort();
    return NULL;
}

/* Each of those who wait for the sync of the file before has the same batch in mind: one writes it. */
static void what_waits_for_the_file_before_is_written_once(void **state) {
    (void)state;
    pthread_t syncer, committers[THREADS];
    thread_worker_count = THREADS;
    open_it(FSYNC_NO);
    true_fdatasync = file_io.fdatasync;
    file_io.fdatasync = held_fdatasync;
    atomic_store(&sync_began, false);
    atomic_store(&sync_held, true);
    append_del("a");
    assert_true(thread_start(&syncer, "sync", sync_it, NULL));
    while (!atomic_load(&sync_began)) nap();
    int fd = open(path_of("aofdir/next"), O_CREAT | O_RDWR | O_APPEND, 0600);
    assert_true(fd >= 0 && aof_switch_file(fd));
    uint64_t offset = append_del("b");
    for (int i = 0; i < THREADS; i++) assert_true(thread_start(&committers[i], "commit", commit_it, &offset));
    for (int i = 0; i < 50; i++) nap(); /* so that several wait, most likely */
    atomic_store(&sync_held, false);
    for (int i = 0; i < THREADS; i++) pthread_join(committers[i], NULL);
    pthread_join(syncer, NULL);
    assert_commands_in_file("aofdir/next", LIT(SELECT_0 DEL_B));
    assert_true(aof_close());
    file_io.fdatasync = true_fdatasync;
    thread_worker_count = 1;
}

/* ---- opening ---- */

static void opening_fails_at_each_call_and_succeeds_afterwards(void **state) {
    (void)state;
    int n = 0;
    for (;; n++) {
        struct buf error = { 0 };
        folder_remove(NULL);
        assert_int_equal(folder_make(NULL), 0);
        atomic_store(&faults.countdown, n);
        bool opened = aof_open(&error);
        bool failed = atomic_exchange(&faults.countdown, -1) < 0;
        assert_int_equal(opened, !failed);
        assert_int_equal(opened, error.len == 0);
        buf_release(&error);
        if (!opened) open_it(FSYNC_EVERYSEC);
        assert_int_equal(append_and_commit("a"), COMMITTED);
        assert_true(aof_close());
        assert_load(AOF_LOADED, "SELECT 0;DEL a;");
        if (opened) break;
    }
    assert_true(n >= 10);
}

static void open_append_close(void) {
    struct buf error = { 0 };
    if (!aof_open(&error)) return;
    (void)append_and_commit("a");
    (void)aof_close();
}

static void a_first_start_may_be_killed_anywhere(void **state) {
    (void)state;
    for (int n = 0;; n++) {
        folder_remove(NULL);
        assert_int_equal(folder_make(NULL), 0);
        bool killed = killed_at(n, open_append_close);
        assert_load(has_file("aofdir/a.aof.manifest") ? AOF_LOADED : AOF_EMPTY, NULL);
        open_it(FSYNC_EVERYSEC);
        assert_int_equal(append_and_commit("b"), COMMITTED);
        assert_true(aof_close());
        struct buf bytes = get_file(INCR_1);
        struct slice end = LIT(SELECT_0 DEL_B SUM_43);
        assert_true(bytes.len >= end.len);
        assert_memory_equal(bytes.ptr + bytes.len - end.len, end.ptr, sizeof SELECT_0 DEL_B "#SUM:43:" - 1);
        buf_release(&bytes);
        if (!killed) break;
        assert_true(n < 100);
    }
}

static void somebody_elses_bytes_are_not_appended_to(void **state) {
    (void)state;
    struct buf error = { 0 };
    assert_int_equal(mkdir(path_of("aofdir"), 0755), 0);
    put_file(INCR_1, LIT(DEL_A));
    assert_true(aof_open(&error));
    assert_int_equal(append_and_commit("b"), COMMITTED);
    assert_true(aof_close());
    assert_commands_in_file(INCR_1, LIT(DEL_A));
    assert_file("aofdir/a.aof.manifest", LIT("file a.aof.2.incr.aof seq 2 type i\n"));
    buf_release(&error);
}

/* ---- starting on a running server ---- */

static bool write_two_keys(void *arg, const char *path, struct buf *error) {
    (void)arg;
    struct slice text =
        LIT("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$1\r\ny\r\n$1\r\n2\r\n");
    int fd = file_io.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bool done = fd >= 0 && file_write_all(fd, text) && file_io.fsync(fd) == 0;
    if (!done) buf_append(error, LIT("cannot write the base"));
    if (fd >= 0) close(fd);
    return done;
}

static void a_new_base_replaces_what_was_there(void **state) {
    (void)state;
    struct buf error = { 0 };
    open_append_close();
    assert_true(aof_start_anew(write_two_keys, NULL, false, &error));
    assert_int_equal(append_and_commit("b"), COMMITTED);
    struct aof_info info;
    aof_info(&info);
    assert_true(info.current_size > info.base_size && info.base_size > 0);
    assert_true(aof_close());
    assert_load(AOF_LOADED, "SET x 1;SET y 2;SELECT 0;SELECT 0;DEL b;");
    assert_false(has_file(INCR_1)); /* history, removed */
    assert_file("aofdir/a.aof.manifest",
                LIT("file a.aof.2.base.aof seq 2 type b\nfile a.aof.2.incr.aof seq 2 type i\n"));
}

static void start_anew_and_close(void) {
    struct buf error = { 0 };
    if (!aof_start_anew(write_two_keys, NULL, false, &error)) return;
    (void)aof_close();
}

static void starting_anew_may_be_killed_anywhere(void **state) {
    (void)state;
    static const char old[] = "SELECT 0;DEL a;", new[] = "SET x 1;SET y 2;SELECT 0;";
    bool seen_old = false;
    for (int n = 0;; n++) {
        folder_remove(NULL);
        assert_int_equal(folder_make(NULL), 0);
        open_append_close();
        bool killed = killed_at(n, start_anew_and_close);
        struct ran ran = { 0 };
        struct aof_load how = loader(&ran);
        assert_int_equal(aof_load(&how), AOF_LOADED);
        bool is_old = slice_equal(buf_slice(&ran.text), slice_of(old));
        assert_true(is_old || slice_equal(buf_slice(&ran.text), slice_of(new)));
        seen_old |= is_old;
        buf_release(&ran.text);
        struct buf error = { 0 };
        assert_true(aof_open(&error)); /* and removes history that was left */
        assert_true(aof_close());
        assert_load(AOF_LOADED, is_old ? old : new);
        assert_int_equal(has_file(INCR_1), is_old);
        if (!killed) break;
        assert_true(n < 100);
    }
    assert_true(seen_old);
}

static void starting_anew_fails_at_each_call_and_keeps_the_data(void **state) {
    (void)state;
    for (int n = 0;; n++) {
        struct buf error = { 0 };
        folder_remove(NULL);
        assert_int_equal(folder_make(NULL), 0);
        open_append_close();
        atomic_store(&faults.countdown, n);
        bool started = aof_start_anew(write_two_keys, NULL, false, &error);
        bool failed = atomic_exchange(&faults.countdown, -1) < 0;
        assert_int_equal(started, error.len == 0);
        if (started) {
            assert_int_equal(append_and_commit("b"), COMMITTED);
            assert_true(aof_close());
            assert_load(AOF_LOADED, "SET x 1;SET y 2;SELECT 0;SELECT 0;DEL b;");
        } else {
            assert_load(AOF_LOADED, NULL);
            assert_false(journal_on);
        }
        buf_release(&error);
        if (!failed) break;
        assert_true(n < 100);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, folder_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_committed_is_in_the_file),
        TEST(closing_writes_what_was_not_committed),
        TEST(opening_again_goes_on_behind_what_is_there),
        TEST(always_syncs_before_it_says_committed),
        TEST(no_never_syncs_but_when_asked_and_at_the_end),
        TEST(everysec_syncs_in_the_background),
        TEST(info_counts_bytes),
        TEST(many_threads_find_their_bytes_in_the_file),
        TEST(many_threads_share_their_syncs),
        TEST(a_disk_that_fails_now_and_then_loses_nothing),
        TEST(a_failed_write_leaves_nothing_and_is_repeated),
        TEST(a_failed_sync_under_always_is_written_again),
        TEST(half_a_write_that_cannot_be_cut_is_cut_before_the_next),
        TEST(closing_on_a_dead_disk_says_so_and_lets_waiters_go),
        TEST(a_failed_background_sync_refuses_writes_until_one_succeeds),
        TEST(a_file_at_its_limit_heals_when_the_limit_rises),
        TEST(a_slow_sync_is_counted),
        TEST(what_waits_for_the_file_before_is_written_once),
        TEST(opening_fails_at_each_call_and_succeeds_afterwards),
        TEST(a_first_start_may_be_killed_anywhere),
        TEST(somebody_elses_bytes_are_not_appended_to),
        TEST(a_new_base_replaces_what_was_there),
        TEST(starting_anew_may_be_killed_anywhere),
        TEST(starting_anew_fails_at_each_call_and_keeps_the_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
