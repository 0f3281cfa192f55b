/* ACL LOG: what is like another entry raises its count, within a minute and among ten; the oldest fall out.
 */
#include "access_support.h"
#include "trivet/engine/access/access_log.h"
#include <pthread.h>

static int begin_log(void **state) {
    begin(state);
    options.acllog_max_len = 128;
    access_log_reset_counts();
    return 0;
}

static int end_log(void **state) {
    access_log_reset();
    return end(state);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, begin_log, end_log)

static void note(enum access_reason reason, const char *object, const char *username, int64_t now_ms) {
    char client[64];
    snprintf(client, sizeof client, "client at %lld", (long long)now_ms);
    access_log_note(&(struct access_event){ .reason = reason,
                                            .object = slice_of(object),
                                            .username = slice_of(username),
                                            .client = slice_of(client),
                                            .now_ms = now_ms });
}

static void note_key(const char *key, int64_t now_ms) { note(ACCESS_KEY, key, "u", now_ms); }

static void append(void *arg, const struct access_entry *entry) {
    struct buf *out = arg;
    const struct access_event *e = &entry->event;
    buf_printf(out, "%s%.*s*%llu", out->len ? " " : "", SLICE_ARG(e->object),
               (unsigned long long)entry->count);
}

/* Objects and counts, the newest first. */
static void assert_log(size_t max, const char *expected) {
    struct buf out = { 0 };
    access_log_each(max, append, &out);
    assert_string_equal(text_of(&out), expected);
    buf_release(&out);
}

static void entries_come_newest_first(void **state) {
    (void)state;
    assert_log(10, "");
    note_key("a", 1000);
    note_key("b", 1001);
    note_key("c", 1002);
    assert_log(10, "c*1 b*1 a*1");
    assert_log(2, "c*1 b*1");
    assert_log(0, "");
    access_log_reset();
    assert_log(10, "");
}

static void what_differs_in_anything_is_another_entry(void **state) {
    (void)state;
    note(ACCESS_KEY, "x", "u", 1000);
    note(ACCESS_CHANNEL, "x", "u", 1000);
    note(ACCESS_KEY, "x", "v", 1000);
    note(ACCESS_KEY, "X", "u", 1000);
    access_log_note(&(struct access_event){ .reason = ACCESS_KEY,
                                            .context = ACCESS_LUA,
                                            .object = LIT("x"),
                                            .username = LIT("u"),
                                            .now_ms = 1000 });
    assert_log(10, "x*1 X*1 x*1 x*1 x*1");
}

static void look_at_first(void *arg, const struct access_entry *entry) {
    struct access_entry *out = arg;
    *out = *entry;
}

static void the_same_again_renews_time_and_client_and_goes_to_the_front(void **state) {
    (void)state;
    struct access_entry e;
    note_key("a", 1000);
    note_key("b", 1001);
    note_key("a", 1500);
    assert_log(10, "a*2 b*1");
    access_log_each(1, look_at_first, &e);
    assert_int_equal(e.created_ms, 1000);
    assert_int_equal(e.event.now_ms, 1500);
    assert_true(slice_equal(e.event.client, LIT("client at 1500")));
    uint64_t id = e.id;
    note_key("c", 1501);
    access_log_each(1, look_at_first, &e);
    assert_int_equal(e.id, id + 2);
}

static void a_minute_after_its_last_time_an_entry_is_left_alone(void **state) {
    (void)state;
    note_key("a", 1000);
    note_key("a", 60999);
    assert_log(10, "a*2");
    note_key("a", 60999 + 59999);
    assert_log(10, "a*3");
    note_key("a", 60999 + 59999 + 60000);
    assert_log(10, "a*1 a*3");
}

static void only_the_ten_newest_are_looked_at(void **state) {
    (void)state;
    char key[16];
    for (int i = 0; i < 11; i++) {
        snprintf(key, sizeof key, "%d", i);
        note_key(key, 1000);
    }
    note_key("1", 1000);
    assert_log(3, "1*2 10*1 9*1");
    note_key("0", 1000);
    assert_log(3, "0*1 1*2 10*1");
}

static void the_oldest_fall_out(void **state) {
    (void)state;
    options.acllog_max_len = 2;
    note_key("a", 1000);
    note_key("b", 1000);
    note_key("c", 1000);
    assert_log(10, "c*1 b*1");
    options.acllog_max_len = 1;
    access_log_trim();
    assert_log(10, "c*1");
    options.acllog_max_len = 0;
    access_log_trim();
    assert_log(10, "");
    note_key("d", 1000);
    assert_log(10, "");
    assert_int_equal(access_log_count(ACCESS_KEY), 4);
}

static void events_are_counted_by_their_reason(void **state) {
    (void)state;
    for (int reason = 0; reason < ACCESS_REASONS; reason++)
        for (int i = 0; i <= reason; i++) note((enum access_reason)reason, "x", "u", 1000);
    access_log_reset();
    for (int reason = 0; reason < ACCESS_REASONS; reason++)
        assert_int_equal(access_log_count((enum access_reason)reason), reason + 1);
    access_log_reset_counts();
    assert_int_equal(access_log_count(ACCESS_KEY), 0);
}

static void texts_may_have_any_bytes(void **state) {
    (void)state;
    struct access_entry e;
    access_log_note(&(struct access_event){
        .reason = ACCESS_KEY, .object = slice_make("a\0b", 3), .username = LIT(""), .now_ms = 1000 });
    access_log_note(&(struct access_event){
        .reason = ACCESS_KEY, .object = slice_make("a\0c", 3), .username = LIT(""), .now_ms = 1000 });
    access_log_each(1, look_at_first, &e);
    assert_int_equal(e.count, 1);
    assert_true(slice_equal(e.event.object, slice_make("a\0c", 3)));
}

enum { THREADS = 4, EVENTS = 2000 };

static void *note_many(void *arg) {
    char key[32];
    for (int i = 0; i < EVENTS; i++) {
        snprintf(key, sizeof key, "%d", i % 30);
        note(ACCESS_KEY, key, arg, 1000);
    }
    return NULL;
}

static void count_all(void *arg, const struct access_entry *entry) {
    assert_true(entry->count > 0);
    ++*(size_t *)arg;
}

static void any_worker_may_note_and_look(void **state) {
    (void)state;
    static char names[THREADS][2] = { "a", "b", "c", "d" };
    pthread_t threads[THREADS];
    options.acllog_max_len = 20;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, note_many, names[i]), 0);
    for (int i = 0; i < 100; i++) {
        size_t seen = 0;
        access_log_each(1000, count_all, &seen);
        assert_true(seen <= 20);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(access_log_count(ACCESS_KEY), THREADS * EVENTS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOG_TEST(entries_come_newest_first),
        LOG_TEST(what_differs_in_anything_is_another_entry),
        LOG_TEST(the_same_again_renews_time_and_client_and_goes_to_the_front),
        LOG_TEST(a_minute_after_its_last_time_an_entry_is_left_alone),
        LOG_TEST(only_the_ten_newest_are_looked_at),
        LOG_TEST(the_oldest_fall_out),
        LOG_TEST(events_are_counted_by_their_reason),
        LOG_TEST(texts_may_have_any_bytes),
        LOG_TEST(any_worker_may_note_and_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
