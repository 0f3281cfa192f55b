/* test_stream_group.c: what a group is said to have read, against a list of all entries that were ever added:
 * it may be unknown, but it must not be wrong. */
#include "../chance.h"
#include "trivet/base/mem.h"
#include "trivet/types/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROUNDS 300
#define STEPS 60

static struct stream *s;
static bool is_there[STEPS + 1]; /* entry n has the id n-0 */
static uint64_t added;

static struct stream_id id_of(uint64_t n) { return (struct stream_id){ n, 0 }; }

static void add(void) {
    struct slice pair[2] = { LIT_INIT("f"), LIT_INIT("v") };
    assert_true(stream_add(s, id_of(++added), pair, 1));
    is_there[added] = true;
}

static void delete_any(void) {
    uint64_t n = 1 + chance_below(STEPS);
    assert_int_equal(stream_delete(s, id_of(n)), n <= added && is_there[n]);
    is_there[n] = false;
}

static void trim(void) {
    struct stream_trim how = { .max_length = chance_below(8) };
    uint64_t over = s->length > how.max_length ? s->length - how.max_length : 0;
    assert_int_equal(stream_trim(s, &how), over);
    for (uint64_t n = 1; over > 0; n++) {
        over -= is_there[n];
        is_there[n] = false;
    }
}

static void deliver(struct stream_group *g) {
    uint64_t n = g->last_id.ms + 1;
    while (n <= added && !is_there[n]) n++;
    if (n <= added) stream_group_advance(s, g, id_of(n));
}

/* Every id is used, so that the place of an entry is its number. */
static void check(const struct stream_group *g, bool delivered) {
    int64_t lag, left = 0;
    for (uint64_t n = g->last_id.ms + 1; n <= added; n++) left += is_there[n];
    if (delivered && g->entries_read != ENTRIES_READ_UNKNOWN)
        assert_int_equal(g->entries_read, g->last_id.ms);
    if (stream_group_lag(s, g, &lag)) assert_int_equal(lag, left);
    if (g->last_id.ms == added) assert_true(stream_group_lag(s, g, &lag));
}

static void what_a_group_has_read_is_right_or_unknown(void **state) {
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        s = stream_new();
        added = 0;
        memset(is_there, 0, sizeof is_there);
        struct stream_group *g = stream_group_create(s, LIT("g"), STREAM_ID_MIN, ENTRIES_READ_UNKNOWN);
        bool delivered = false;
        for (int step = 0; step < STEPS; step++) {
            uint64_t what = chance_below(10);
            if (what < 5) add();
            if (what == 5) delete_any();
            if (what == 6 && chance_below(3) == 0) trim();
            if (what > 6 && added > 0) {
                deliver(g);
                delivered = g->last_id.ms > 0;
            }
            check(g, delivered);
        }
        stream_free(s);
    }
}

static void counts_of_delivered_entries_end_at_their_limit(void **state) {
    (void)state;
    s = stream_new();
    added = 0;
    add();
    struct stream_group *g = stream_group_create(s, LIT("g"), id_of(1), INT64_MAX);
    add();
    stream_group_advance(s, g, id_of(2));
    assert_int_equal(g->entries_read, INT64_MAX);
    stream_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_group_has_read_is_right_or_unknown),
        cmocka_unit_test(counts_of_delivered_entries_end_at_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
