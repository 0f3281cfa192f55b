/* The journal's bytes: what goes before, between and behind the effects, and that nothing is torn by threads.
 */
#include "aof/folder.h"
#include "trivet/base/thread.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal_sink.h"

#define SELECT_0 "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define SELECT_7 "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"
#define DEL_A "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"
#define DEL_B "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n"

static int begin(void **state) {
    (void)state;
    thread_worker_count = 1;
    journal_set_on(true);
    journal_restart();
    return 0;
}

static void add_del(struct effects *e, uint32_t db, struct slice key) {
    struct slice argv[2] = { LIT("DEL"), key };
    effects_add(e, db, argv, 2);
}

static void assert_journal(const char *expected) {
    struct buf out = { 0 };
    journal_swap(&out);
    buf_append_byte(&out, '\0');
    assert_string_equal(out.ptr, expected);
    buf_release(&out);
}

struct effect {
    uint32_t db;
    const char *key; /* NULL: append what was added so far */
};

static void effects_stand_as_they_were_added(void **state) {
    (void)state;
    static const struct {
        struct effect effects[6];
        const char *wire;
    } cases[] = {
        { { { 0, "a" }, { 0, NULL } }, SELECT_0 DEL_A },
        { { { 0, "a" }, { 0, NULL }, { 0, "b" }, { 0, NULL } }, SELECT_0 DEL_A DEL_B },
        { { { 0, "a" }, { 0, "b" }, { 0, NULL } }, SELECT_0 MULTI DEL_A DEL_B EXEC },
        { { { 7, "a" }, { 0, NULL }, { 0, "b" }, { 0, NULL } }, SELECT_7 DEL_A SELECT_0 DEL_B },
        { { { 0, "a" }, { 7, "b" }, { 0, NULL }, { 7, "a" }, { 0, NULL } },
          SELECT_0 MULTI DEL_A SELECT_7 DEL_B EXEC DEL_A },
        { { { 0, NULL }, { 0, NULL } }, "" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        begin(NULL);
        struct effects e = { 0 };
        uint64_t before = journal_offset();
        for (size_t k = 0; k < 5; k++) {
            const struct effect *effect = &cases[i].effects[k];
            if (effect->key) {
                add_del(&e, effect->db, slice_of(effect->key));
                continue;
            }
            uint64_t after = journal_append(&e, (struct copied){ 0 });
            assert_int_equal(after, journal_offset());
        }
        assert_int_equal(journal_offset() - before, strlen(cases[i].wire));
        assert_journal(cases[i].wire);
        effects_release(&e);
    }
}

static void arguments_may_hold_any_bytes(void **state) {
    (void)state;
    struct effects e = { 0 };
    struct slice argv[3] = { LIT("SET"), { "a\r\n\0b", 5 }, { NULL, 0 } };
    effects_add(&e, 0, argv, 3);
    journal_append(&e, (struct copied){ 0 });
    struct buf out = { 0 };
    journal_swap(&out);
    struct slice expected = LIT(SELECT_0 "*3\r\n$3\r\nSET\r\n$5\r\na\r\n\0b\r\n$0\r\n\r\n");
    assert_true(slice_equal(buf_slice(&out), expected));
    buf_release(&out);
    effects_release(&e);
}

static void a_sink_that_opens_gets_the_database_first(void **state) {
    (void)state;
    struct effects e = { 0 };
    add_del(&e, 0, LIT("a"));
    journal_append(&e, (struct copied){ 0 });
    journal_restart();
    add_del(&e, 0, LIT("b"));
    journal_append(&e, (struct copied){ 0 });
    assert_journal(SELECT_0 DEL_B);
    effects_release(&e);
}

static void without_a_sink_nothing_is_kept(void **state) {
    (void)state;
    struct effects e = { 0 };
    uint64_t before = journal_offset();
    add_del(&e, 0, LIT("a"));
    journal_set_on(false);
    assert_int_equal(journal_append(&e, (struct copied){ 0 }), before);
    journal_set_on(true);
    assert_int_equal(e.count, 0);
    assert_journal("");
    effects_release(&e);
}

#define THREADS 4
#define ROUNDS 2000

/* Each round is a transaction of two commands that say who and when. */
static void *append_rounds(void *arg) {
    struct effects e = { 0 };
    char text[32];
    for (int i = 0; i < ROUNDS; i++) {
        int len = snprintf(text, sizeof text, "%d.%d", *(int *)arg, i);
        add_del(&e, 0, slice_make(text, (size_t)len));
        add_del(&e, (uint32_t) * (int *)arg, slice_make(text, (size_t)len));
        journal_append(&e, (struct copied){ 0 });
    }
    effects_release(&e);
    return NULL;
}

static struct slice next_argument(struct slice *wire, struct aof_record *r, size_t index) {
    assert_int_equal(aof_parse_record(r, *wire), AOF_RECORD);
    wire->ptr += r->used;
    wire->len -= r->used;
    return r->argv[index];
}

static void what_one_worker_appends_stands_together(void **state) {
    (void)state;
    thread_worker_count = THREADS;
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i + 1;
        assert_true(thread_start(&threads[i], "append", append_rounds, &numbers[i]));
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    struct buf out = { 0 };
    uint64_t end = journal_swap(&out).end;
    assert_int_equal(end, journal_offset());
    struct slice wire = buf_slice(&out);
    struct aof_record r = { 0 };
    size_t blocks = 0;
    for (; wire.len > 0; blocks++) {
        assert_true(slice_equal(next_argument(&wire, &r, 0), LIT("SELECT")));
        assert_true(slice_equal(next_argument(&wire, &r, 0), LIT("MULTI")));
        struct slice key = next_argument(&wire, &r, 1);
        assert_int_equal(next_argument(&wire, &r, 1).ptr[0], key.ptr[0]); /* SELECT of this thread */
        assert_true(slice_equal(next_argument(&wire, &r, 1), key));
        assert_true(slice_equal(next_argument(&wire, &r, 0), LIT("EXEC")));
    }
    assert_int_equal(blocks, THREADS * ROUNDS);
    aof_record_release(&r);
    buf_release(&out);
}

/* Whoever commits has left its gate: what others change with the gate closed is looked at all the same. */
static void *swap_rounds(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct buf out = { 0 };
        struct journal_piece piece = journal_swap(&out);
        assert_true(piece.position.known && (piece.position.db == -1 || piece.position.db == 3));
        buf_release(&out);
    }
    return NULL;
}

static void the_place_in_the_stream_changes_while_another_commits(void **state) {
    (void)state;
    thread_worker_count = THREADS;
    pthread_t committer;
    backlog_open();
    assert_true(thread_start(&committer, "commit", swap_rounds, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        backlog_restart(backlog_offset(), 3);
        assert_int_equal(backlog_database(), 3);
        replication_ids_shift(LIT(""));
        backlog_forget_database();
        assert_int_equal(backlog_database(), -1);
    }
    pthread_join(committer, NULL);
    backlog_close();
}

/* ---- what files do not hold ---- */

static void add_unsaved_del(struct effects *e, uint32_t db, const char *key) {
    effects_add_unsaved(e, db, (const struct slice[]){ LIT("DEL"), slice_of(key) }, 2);
}

/* What the stream got from this offset on. */
static void assert_stream(uint64_t from, const char *expected) {
    struct tape_reader r = { 0 };
    struct iovec part;
    assert_true(backlog_read_from(&r, from));
    assert_int_equal(backlog_offset() - from, strlen(expected));
    int parts = tape_vectors(&r, backlog_offset(), &part, 1);
    assert_int_equal(parts, strlen(expected) > 0);
    if (parts > 0) assert_memory_equal(part.iov_base, expected, strlen(expected));
    tape_reader_close(&r);
}

static void an_unsaved_effect_is_in_the_stream_and_not_in_the_file(void **state) {
    (void)state;
    static const struct {
        struct effect effects[4]; /* those of database 7 are not saved */
        const char *file, *stream;
    } cases[] = {
        { { { 7, "a" } }, "", SELECT_7 DEL_A },
        { { { 7, "a" }, { 7, "b" } }, "", SELECT_7 MULTI DEL_A DEL_B EXEC },
        { { { 0, "a" }, { 7, "b" } }, SELECT_0 DEL_A, SELECT_0 MULTI DEL_A SELECT_7 DEL_B EXEC },
        { { { 7, "a" }, { 0, "b" } }, SELECT_0 DEL_B, SELECT_7 MULTI DEL_A SELECT_0 DEL_B EXEC },
        { { { 0, "a" }, { 7, "a" }, { 0, "b" }, { 7, "b" } },
          SELECT_0 MULTI DEL_A DEL_B EXEC,
          SELECT_0 MULTI DEL_A SELECT_7 DEL_A SELECT_0 DEL_B SELECT_7 DEL_B EXEC },
    };
    backlog_open();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct effects e = { 0 };
        begin(NULL);
        backlog_forget_database();
        uint64_t from = backlog_offset();
        for (size_t k = 0; k < 4 && cases[i].effects[k].key; k++) {
            const struct effect *effect = &cases[i].effects[k];
            if (effect->db == 7)
                add_unsaved_del(&e, 7, effect->key);
            else
                add_del(&e, effect->db, slice_of(effect->key));
        }
        journal_append(&e, (struct copied){ 0 });
        assert_journal(cases[i].file);
        assert_stream(from, cases[i].stream);
        effects_release(&e);
    }
    backlog_close();
}

/* As it came, alone or before others. */
static void an_unsaved_command_as_it_came_is_not_in_the_file(void **state) {
    (void)state;
    backlog_open();
    for (int more = 0; more < 2; more++) {
        struct effects e = { 0 };
        begin(NULL);
        backlog_forget_database();
        uint64_t from = backlog_offset();
        effects_add_unsaved_wire(&e, 7, LIT(DEL_A));
        if (more) effects_add_wire(&e, 0, LIT(DEL_B));
        journal_append(&e, (struct copied){ 0 });
        assert_journal(more ? SELECT_0 DEL_B : "");
        assert_stream(from, more ? SELECT_7 MULTI DEL_A SELECT_0 DEL_B EXEC : SELECT_7 DEL_A);
        effects_release(&e);
    }
    backlog_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(effects_stand_as_they_were_added, begin),
        cmocka_unit_test_setup(arguments_may_hold_any_bytes, begin),
        cmocka_unit_test_setup(a_sink_that_opens_gets_the_database_first, begin),
        cmocka_unit_test_setup(without_a_sink_nothing_is_kept, begin),
        cmocka_unit_test_setup(what_one_worker_appends_stands_together, begin),
        cmocka_unit_test_setup(the_place_in_the_stream_changes_while_another_commits, begin),
        cmocka_unit_test_setup(an_unsaved_effect_is_in_the_stream_and_not_in_the_file, begin),
        cmocka_unit_test_setup(an_unsaved_command_as_it_came_is_not_in_the_file, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
