/* test_sink.c: what a snapshot does with its sink, whatever that answers, and which bytes it gives. */
#include "../../keyspace/fixture.h"
#include "trivet/base/file.h"
#include "trivet/persist/snapshot/file_sink.h"
#include "trivet/persist/snapshot/snapshot.h"
#include <errno.h>
#include <semaphore.h>
#include <unistd.h>

#define BIG_STRINGS 40 /* of BIG_STRING bytes: some sixteen puts */
#define BIG_STRING 100000
#define SMALL_STRINGS 1000
#define HISTORY "0123456789abcdef0123456789abcdef01234567"
#define FACTS "redis-ver redis-bits ctime used-mem "
#define LIBRARY_CODE "#!lua name=lib\nredis.register_function('f', function() return 1 end)"

/* ---- a sink that takes notes ---- */

struct probe {
    struct snapshot_sink sink;
    int fails_at; /* this put fails; 0: none */
    bool end_fails;
    bool waits;      /* each put waits for a `go` or for the stop */
    int puts;        /* that were called */
    struct buf told; /* a letter for each call but `put`, in their order */
    struct buf bytes;
    sem_t is_waiting, go;
    atomic_bool is_stopped;
};

static struct probe *probe_of(struct snapshot_sink *s) { return CONTAINER_OF(s, struct probe, sink); }

static bool probe_put(struct snapshot_sink *s, struct slice bytes, struct buf *error) {
    struct probe *p = probe_of(s);
    p->puts++;
    assert_int_equal(p->told.len, 0); /* nothing comes after the end */
    if (p->waits) {
        sem_post(&p->is_waiting);
        while (sem_wait(&p->go) != 0) continue;
        if (p->is_stopped) {
            buf_append(error, LIT("stopped"));
            return false;
        }
    }
    buf_append(&p->bytes, bytes);
    if (p->puts == p->fails_at) buf_printf(error, "put %d", p->puts);
    return p->puts != p->fails_at;
}

static bool probe_end(struct snapshot_sink *s, struct buf *error) {
    struct probe *p = probe_of(s);
    buf_append_byte(&p->told, 'e');
    if (p->end_fails) buf_append(error, LIT("end"));
    return !p->end_fails;
}

static void probe_drop(struct snapshot_sink *s) { buf_append_byte(&probe_of(s)->told, 'd'); }

static void probe_stop(struct snapshot_sink *s) {
    probe_of(s)->is_stopped = true;
    sem_post(&probe_of(s)->go);
}

static void probe_init(struct probe *p) {
    memset(p, 0, sizeof *p);
    p->sink = (struct snapshot_sink){ probe_put, probe_end, probe_drop, probe_stop };
    sem_init(&p->is_waiting, 0, 0);
    sem_init(&p->go, 0, 0);
}

static void probe_release(struct probe *p) {
    buf_release(&p->told);
    buf_release(&p->bytes);
    sem_destroy(&p->is_waiting);
    sem_destroy(&p->go);
}

/* ---- snapshots ---- */

static struct {
    sem_t come;
    enum snapshot_end how;
    struct buf why;
} ending;

static void has_ended(void *arg, enum snapshot_end how, struct slice why) {
    (void)arg;
    ending.how = how;
    buf_clear(&ending.why);
    buf_append(&ending.why, why);
    sem_post(&ending.come);
}

static struct snapshot_plan plan_for(struct snapshot_sink *sink) {
    return (struct snapshot_plan){ .sink = sink, .checksum = true, .now_ms = NOW_MS, .ended = has_ended };
}

static void begin(struct probe *p, bool no_pressure) {
    struct snapshot_plan plan = plan_for(&p->sink);
    struct buf error = { 0 };
    plan.no_pressure = no_pressure;
    assert_true(snapshot_begin(&plan, &error));
}

static enum snapshot_end await_end(void) {
    while (sem_wait(&ending.come) != 0) continue;
    snapshot_close();
    return ending.how;
}

/* In the background, or as SAVE does; the reason of a failure is in ending.why. */
static enum snapshot_end write_all(struct probe *p, bool now) {
    struct snapshot_plan plan = plan_for(&p->sink);
    if (!now) {
        begin(p, false);
        return await_end();
    }
    buf_clear(&ending.why);
    return snapshot_write_now(&plan, &ending.why) ? SNAPSHOT_SAVED : SNAPSHOT_FAILED;
}

/* ---- libraries, of which there is one ---- */

static void each_library(void (*visit)(void *arg, struct slice code), void *arg) {
    visit(arg, LIT(LIBRARY_CODE));
}

static int start(void **state) {
    sem_init(&ending.come, 0, 0);
    rdb_libraries.each = each_library;
    return keyspace_start(state);
}

static int end(void **state) {
    sem_destroy(&ending.come);
    buf_release(&ending.why);
    rdb_libraries.each = NULL;
    return keyspace_end(state);
}

static void fill_with(size_t count, size_t bytes) {
    char key[KEY_ROOM];
    char *text = mem_alloc(bytes);
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < bytes; at++) text[at] = (char)(at * i + i);
        put(0, NOW_MS, key_text(key, "big", i), slice_make(text, bytes), NO_EXPIRY);
    }
    mem_free(text);
}

static void fill(void) {
    char key[KEY_ROOM];
    fill_with(BIG_STRINGS, BIG_STRING);
    for (size_t i = 0; i < SMALL_STRINGS; i++) put(1, NOW_MS, key_text(key, "small", i), LIT("v"), NO_EXPIRY);
}

/* What a file holds, an item a word: "aux-name", "lib", "sizes", "db". Returns how many keys. */
static size_t read_back(struct slice bytes, struct buf *words, struct stream_position *position,
                        int *version) {
    struct rdb_reader *r = rdb_reader_over(bytes, (struct rdb_rules){ 0 });
    struct rdb_item item;
    size_t keys = 0;
    enum rdb_event event;
    while ((event = rdb_reader_next(r, &item)) != RDB_EVENT_END) {
        assert_int_not_equal(event, RDB_EVENT_BROKEN);
        if (event == RDB_EVENT_RECORD) keys++;
        if (event == RDB_EVENT_AUX) buf_printf(words, "%.*s ", SLICE_ARG(item.name));
        if (event == RDB_EVENT_LIBRARY) buf_printf(words, "[%.*s] ", SLICE_ARG(item.value));
        if (event == RDB_EVENT_SIZES) buf_append(words, LIT("sizes "));
    }
    assert_int_equal(rdb_reader_sum(r), RDB_SUM_RIGHT);
    if (position) *position = rdb_reader_facts(r)->position;
    if (version) *version = rdb_reader_version(r);
    rdb_reader_close(r);
    return keys;
}

static size_t count_keys(struct slice bytes) {
    struct buf words = { 0 };
    size_t keys = read_back(bytes, &words, NULL, NULL);
    buf_release(&words);
    return keys;
}

/* ---- the calls ---- */

static void a_sink_that_takes_all_is_ended(void **state) {
    (void)state;
    fill();
    for (int now = 0; now < 2; now++) {
        struct probe p;
        probe_init(&p);
        assert_int_equal(write_all(&p, now), SNAPSHOT_SAVED);
        assert_true(p.puts > 10);
        assert_string_equal(buf_cstr(&p.told), "e");
        assert_int_equal(ending.why.len, 0);
        assert_int_equal(count_keys(buf_slice(&p.bytes)), BIG_STRINGS + SMALL_STRINGS);
        probe_release(&p);
    }
}

static void whichever_put_fails_no_other_follows_and_the_sink_is_dropped(void **state) {
    (void)state;
    char expected[32];
    fill();
    for (int now = 0; now < 2; now++) {
        for (int n = 1;; n++) {
            struct probe p;
            probe_init(&p);
            p.fails_at = n;
            enum snapshot_end how = write_all(&p, now);
            bool failed = p.puts == n;
            assert_int_equal(how, failed ? SNAPSHOT_FAILED : SNAPSHOT_SAVED);
            assert_string_equal(buf_cstr(&p.told), failed ? "d" : "e");
            snprintf(expected, sizeof expected, failed ? "put %d" : "", n);
            assert_string_equal(buf_cstr(&ending.why), expected);
            /* A failure leaves no mark on any entry: the next snapshot is whole. */
            if (!failed) assert_int_equal(count_keys(buf_slice(&p.bytes)), BIG_STRINGS + SMALL_STRINGS);
            probe_release(&p);
            if (!failed) break;
            assert_true(n < 100);
        }
    }
}

static void a_sink_whose_end_fails_is_dropped(void **state) {
    (void)state;
    fill();
    for (int now = 0; now < 2; now++) {
        struct probe p;
        probe_init(&p);
        p.end_fails = true;
        assert_int_equal(write_all(&p, now), SNAPSHOT_FAILED);
        assert_string_equal(buf_cstr(&p.told), "ed");
        assert_string_equal(buf_cstr(&ending.why), "end");
        probe_release(&p);
    }
}

static void a_put_that_waits_is_stopped_by_the_cancellation(void **state) {
    (void)state;
    struct probe p;
    fill();
    probe_init(&p);
    p.waits = true;
    begin(&p, false);
    while (sem_wait(&p.is_waiting) != 0) continue;
    snapshot_cancel();
    assert_int_equal(await_end(), SNAPSHOT_CANCELLED); /* not failed: somebody wanted it */
    assert_true(p.is_stopped);
    assert_string_equal(buf_cstr(&p.told), "d");
    assert_int_equal(ending.why.len, 0);
    probe_release(&p);
}

static void a_put_that_waits_is_stopped_by_the_end_of_the_process(void **state) {
    (void)state;
    struct probe p;
    fill();
    probe_init(&p);
    p.waits = true;
    begin(&p, false);
    while (sem_wait(&p.is_waiting) != 0) continue;
    snapshot_abandon();
    assert_false(snapshot_is_open());
    assert_string_equal(buf_cstr(&p.told), "d");
    assert_int_equal(sem_trywait(&ending.come), -1); /* nobody is left to be told */
    probe_release(&p);
}

/* ---- writers that are faster than the sink ---- */

/* Overwrites 42 MB while the sink waits with its first bytes. */
static bool is_pressed_with(bool no_pressure) {
    enum { COUNT = 700, BYTES = 60000 };
    struct probe p;
    struct snapshot_progress progress;
    char key[KEY_ROOM];
    fill_with(COUNT, BYTES);
    probe_init(&p);
    p.waits = true;
    begin(&p, no_pressure);
    while (sem_wait(&p.is_waiting) != 0) continue;
    for (size_t i = 0; i < COUNT; i++) put(0, NOW_MS, key_text(key, "big", i), LIT("new"), NO_EXPIRY);
    bool pressed = snapshot_is_pressed;
    snapshot_progress(&progress);
    assert_true(progress.side_bytes > (size_t)COUNT * BYTES);
    snapshot_cancel();
    assert_int_equal(await_end(), SNAPSHOT_CANCELLED);
    assert_false(snapshot_is_pressed);
    probe_release(&p);
    return pressed;
}

static void commands_wait_for_a_slow_sink_unless_told_not_to(void **state) {
    (void)state;
    assert_true(is_pressed_with(false));
    assert_false(is_pressed_with(true));
}

/* ---- the bytes ---- */

static void the_head_tells_the_position_in_a_history_if_there_is_one(void **state) {
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct probe p;
        struct stream_position position;
        struct buf words = { 0 };
        probe_init(&p);
        struct snapshot_plan plan = plan_for(&p.sink);
        plan.compress = true;
        plan.contents = SNAPSHOT_NOTHING;
        plan.position = (struct stream_position){ known, HISTORY, INT64_MAX, 15 };
        assert_true(snapshot_write_now(&plan, &ending.why));
        assert_int_equal(read_back(buf_slice(&p.bytes), &words, &position, NULL), 0);
        assert_string_equal(buf_cstr(&words),
                            known ? FACTS "repl-stream-db repl-id repl-offset aof-base " : FACTS "aof-base ");
        assert_int_equal(position.known, known);
        assert_string_equal(position.id, known ? HISTORY : "");
        assert_true(position.offset == (known ? INT64_MAX : -1) && position.db == (known ? 15 : -1));
        buf_release(&words);
        probe_release(&p);
    }
}

static void a_part_of_the_contents_can_be_asked_for(void **state) {
    (void)state;
    static const struct {
        enum snapshot_contents contents;
        int asked, version;
        size_t keys;
        const char *words;
    } rows[] = {
        { SNAPSHOT_EVERYTHING, 0, 11, BIG_STRINGS + SMALL_STRINGS, "[" LIBRARY_CODE "] sizes sizes " },
        { SNAPSHOT_FUNCTIONS, 0, 11, 0, "[" LIBRARY_CODE "] " },
        { SNAPSHOT_FUNCTIONS, 10, 10, 0, "[" LIBRARY_CODE "] " },
        { SNAPSHOT_NOTHING, 10, 10, 0, "" },
        { SNAPSHOT_NOTHING, 80, 80, 0, "" },
    };
    fill();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct probe p;
        struct buf words = { 0 };
        int version;
        probe_init(&p);
        struct snapshot_plan plan = plan_for(&p.sink);
        plan.contents = rows[i].contents;
        plan.version = rows[i].asked;
        assert_true(snapshot_write_now(&plan, &ending.why));
        assert_int_equal(read_back(buf_slice(&p.bytes), &words, NULL, &version), rows[i].keys);
        assert_int_equal(version, rows[i].version);
        assert_string_equal(strstr(buf_cstr(&words), "aof-base ") + strlen("aof-base "), rows[i].words);
        buf_release(&words);
        probe_release(&p);
    }
}

/* ---- the sink that is a file ---- */

static char folder[] = "/tmp/trivet-sink-XXXXXX";
static char temporary[64], path[64], nowhere[] = "/nowhere/dump";

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(temporary, sizeof temporary, "%s/temporary", folder);
    snprintf(path, sizeof path, "%s/dump", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

static bool publish(void *arg, struct buf *error) { return file_rename(temporary, arg, error); }

static bool write_file(struct file_sink *f, const struct file_sink_plan *file, bool as_commands,
                       struct buf *error) {
    file_sink_init(f, file);
    struct snapshot_plan plan = plan_for(&f->sink);
    plan.as_commands = as_commands;
    return snapshot_write_now(&plan, error);
}

static bool is_there(const char *name) { return access(name, F_OK) == 0; }

static void a_file_takes_its_place_when_it_is_whole(void **state) {
    (void)state;
    struct file_sink f;
    struct buf bytes = { 0 }, error = { 0 };
    fill();
    struct file_sink_plan plan = {
        .path = temporary, .incremental_sync = true, .stays_open = true, .publish = publish, .arg = path
    };
    assert_true(write_file(&f, &plan, false, &error));
    assert_true(is_there(path) && !is_there(temporary));
    assert_int_equal(unlink(path), 0); /* the file itself stays in reach */
    int fd = file_sink_detach(&f);
    assert_true(fd >= 0);
    assert_int_equal(file_sink_detach(&f), -1);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_true(file_read_all(fd, SIZE_MAX / 2, &bytes));
    assert_int_equal(count_keys(buf_slice(&bytes)), BIG_STRINGS + SMALL_STRINGS);
    close(fd);
    plan.stays_open = false;
    assert_true(write_file(&f, &plan, false, &error));
    assert_int_equal(file_sink_detach(&f), -1);
    assert_int_equal(unlink(path), 0);
    buf_release(&bytes);
}

static void a_file_that_cannot_be_made_is_named(void **state) {
    (void)state;
    struct file_sink f;
    struct buf error = { 0 };
    char expected[160];
    struct file_sink_plan plan = { .path = nowhere, .not_opened = "Not opened: ", .not_written = "No: " };

    assert_false(write_file(&f, &plan, false, &error));
    snprintf(expected, sizeof expected, "Not opened: cannot create %s: %s", nowhere, file_errno_text(ENOENT));
    assert_string_equal(buf_cstr(&error), expected);
    buf_release(&error);
}

static int fails_with_eio(int fd) {
    (void)fd;
    errno = EIO;
    return -1;
}

static void nothing_is_left_of_a_file_that_failed(void **state) {
    (void)state;
    struct file_sink f;
    struct buf error = { 0 };
    char expected[160];
    struct file_io real = file_io;
    fill();
    struct file_sink_plan plan = { .path = temporary, .not_opened = "No: ", .not_written = "Not written: " };
    snprintf(expected, sizeof expected, "Not written: cannot fsync %s: %s", temporary, file_errno_text(EIO));
    for (int incremental = 0; incremental < 2; incremental++) {
        if (incremental) fill_with(100, BIG_STRING); /* from 4 MB on */
        plan.incremental_sync = incremental;
        file_io.fdatasync = incremental ? fails_with_eio : real.fdatasync;
        file_io.fsync = incremental ? real.fsync : fails_with_eio;
        bool done = write_file(&f, &plan, false, &error);
        file_io = real;
        assert_false(done);
        assert_string_equal(buf_cstr(&error), expected);
        assert_false(is_there(temporary));
        buf_clear(&error);
    }
    plan.publish = publish;
    plan.arg = nowhere;
    assert_false(write_file(&f, &plan, false, &error));
    assert_false(is_there(temporary));
    buf_release(&error);
}

/* A base of commands of an empty data set has no bytes. */
static void of_no_bytes_an_empty_file_is_made(void **state) {
    (void)state;
    struct file_sink f;
    struct buf error = { 0 };
    uint64_t size = 1;
    rdb_libraries.each = NULL;
    struct file_sink_plan plan = { .path = path };
    assert_true(write_file(&f, &plan, true, &error));
    assert_true(file_size(path, &size) && size == 0);
    assert_int_equal(unlink(path), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_sink_that_takes_all_is_ended),
        TEST(whichever_put_fails_no_other_follows_and_the_sink_is_dropped),
        TEST(a_sink_whose_end_fails_is_dropped),
        TEST(a_put_that_waits_is_stopped_by_the_cancellation),
        TEST(a_put_that_waits_is_stopped_by_the_end_of_the_process),
        TEST(commands_wait_for_a_slow_sink_unless_told_not_to),
        TEST(the_head_tells_the_position_in_a_history_if_there_is_one),
        TEST(a_part_of_the_contents_can_be_asked_for),
        TEST(a_file_takes_its_place_when_it_is_whole),
        TEST(a_file_that_cannot_be_made_is_named),
        TEST(nothing_is_left_of_a_file_that_failed),
        TEST(of_no_bytes_an_empty_file_is_made),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
