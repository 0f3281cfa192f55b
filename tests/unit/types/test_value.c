/* test_value.c: what all types promise alike: each value knows its bytes. They are compared with what the
 * allocator gave, after every one of many random changes: nothing else is allocated meanwhile. */
#include "../chance.h"
#include "trivet/base/mem.h"
#include "trivet/types/freeze.h"
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/stream.h"
#include "trivet/types/zset.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT_ROOM 12000

/* One change of a value: of the element `id`, to something that `dice` says; adding, or rather removing. */
typedef void change_value(struct value *v, size_t id, size_t dice, bool adding);

static struct slice name_of(size_t id, char *room) {
    return slice_make(room, (size_t)snprintf(room, 64, id % 4 ? "%zu" : "a name of some length %zu", id));
}

/* Mostly short; some are big enough for a node or an allocation of their own. */
static struct slice text_of(size_t dice, char *room) {
    size_t len = dice % 997 == 0 ? dice % TEXT_ROOM : dice % 61;
    memset(room, 'a' + (int)(dice % 7), len);
    return slice_make(room, len);
}

static void change_hash(struct value *v, size_t id, size_t dice, bool adding) {
    char name[64], text[TEXT_ROOM];
    struct gone gone;
    if (!adding)
        (void)hash_remove(v, name_of(id, name));
    else if (dice % 10 == 0)
        (void)hash_set_expiry(v, name_of(id, name), (int64_t)(dice % 1000));
    else
        (void)hash_set(v, name_of(id, name), text_of(dice, text),
                       dice % 3 ? HASH_KEEP_EXPIRY : HASH_NO_EXPIRY);
    if (dice % 50 != 0) return;
    hash_take_due(v, (int64_t)(dice % 1000), &gone);
    for (size_t i = 0; i < gone.count; i++) mem_free(gone.items[i]);
}

static void ignore(void *arg, struct slice member) { (void)arg, (void)member; }

static void change_set(struct value *v, size_t id, size_t dice, bool adding) {
    char name[64];
    if (adding)
        (void)set_add(v, name_of(id, name));
    else
        (void)set_remove(v, name_of(id, name));
    if (dice % 200 == 0) set_take(v, dice % (1 + set_count(*v) / (dice % 3 + 1)), ignore, NULL);
}

static void change_zset(struct value *v, size_t id, size_t dice, bool adding) {
    char name[64];
    if (adding)
        zset_add(v, name_of(id, name), (double)(dice % 500));
    else
        (void)zset_remove(v, name_of(id, name));
    size_t count = zset_count(*v);
    if (dice % 200 == 0 && count > 0) zset_remove_range(v, dice % count, (count - dice % count) / 3);
}

static void change_list(struct value *v, size_t id, size_t dice, bool adding) {
    char text[TEXT_ROOM];
    size_t count = list_count(*v);
    if (adding && dice % 3)
        list_push(v, dice % 2 ? LIST_HEAD : LIST_TAIL, text_of(dice, text));
    else if (adding)
        list_insert(v, dice % (count + 1), text_of(dice, text));
    else if (count > 0)
        list_delete(v, id % count, 1);
    count = list_count(*v);
    if (count > 0 && dice % 4 == 0) list_replace(v, id % count, text_of(dice * 3, text));
    if (dice % 300 == 0) (void)list_remove(v, text_of(dice, text), 3, dice % 2);
    if (dice % 500 == 0 && count > 0) list_delete(v, dice % count, (list_count(*v) - dice % count) / 2);
    if (list_count(*v) < 10) list_settle(v);
}

static void change_groups(struct stream *s, size_t id, size_t dice, bool adding) {
    char names[2][64];
    struct slice group = name_of(id % 3, names[0]), consumer = name_of(id % 7, names[1]);
    struct stream_group *g = stream_group_find(s, group);
    if (!g) g = stream_group_create(s, group, STREAM_ID_MIN, 0);
    struct stream_consumer *c = stream_consumer_find(g, consumer);
    if (!c) c = stream_consumer_create(g, consumer, 0);
    if (adding)
        (void)stream_pending_give(g, (struct stream_id){ id, 0 }, c);
    else
        (void)stream_pending_remove(g, (struct stream_id){ id, 0 });
    if (dice % 300 == 0) stream_consumer_delete(g, c);
    if (dice % 1000 == 0) stream_group_delete(s, g);
}

static void change_stream(struct value *v, size_t id, size_t dice, bool adding) {
    char text[TEXT_ROOM];
    struct stream *s = stream_of(*v);
    struct slice fields[] = { LIT("field"), text_of(dice, text) };
    struct stream_id last = s->last_id;
    assert_true(stream_id_increment(&last));
    if (dice % 2 == 0)
        change_groups(s, id, dice / 2, adding);
    else if (adding)
        assert_true(stream_add(s, last, fields, 1));
    else
        (void)stream_delete(s, (struct stream_id){ 0, last.seq - 1 - id % (1 + s->length) });
    if (dice % 100 == 0)
        (void)stream_trim(s, &(struct stream_trim){ .max_length = s->length - s->length / 10,
                                                    .whole_nodes = dice % 200 == 0 });
}

static struct value make_stream(void) { return stream_value(stream_new()); }

static struct value make_big_set(void) { return set_new(LIT("a"), encoding_limits.set_entries + 1); }

static const struct kind {
    enum value_type type;
    struct value (*make)(void);
    change_value *change;
} kinds[] = {
    { TYPE_HASH, hash_new, change_hash },   { TYPE_SET, set_new_empty, change_set },
    { TYPE_SET, make_big_set, change_set }, { TYPE_ZSET, zset_new, change_zset },
    { TYPE_LIST, list_new, change_list },   { TYPE_STREAM, make_stream, change_stream },
};

static void expect_bytes(const struct kind *k, struct value v, size_t before, size_t beside) {
    assert_int_equal(value_ops[k->type]->bytes(v) + beside, mem_used_exact() - before);
}

/* ---- the plain life ---- */

static void play(const struct kind *k, size_t ids) {
    size_t before = mem_used_exact();
    struct value v = k->make();
    expect_bytes(k, v, before, 0);
    for (size_t step = 0; step < 6000; step++) {
        bool adding = chance_below(100) < (step / 1500 % 2 ? 30 : 75);
        k->change(&v, chance_below(ids), chance_below(1000000), adding);
        expect_bytes(k, v, before, 0);
    }
    size_t one = mem_used_exact();
    struct value copy = value_ops[k->type]->copy(v);
    expect_bytes(k, copy, one, 0);
    value_ops[k->type]->free(v);
    expect_bytes(k, copy, before, 0);
    k->change(&copy, 1, 7, true);
    expect_bytes(k, copy, before, 0);
    value_ops[k->type]->free(copy);
    assert_int_equal(mem_used_exact(), before);
}

static void a_value_knows_its_bytes_after_every_change(void **state) {
    static const size_t ids[] = { 5, 100, 3000 };
    (void)state;
    for (size_t depth = 0; depth < 2; depth++) {
        encoding_limits.list_compress_depth = depth;
        for (size_t i = 0; i < COUNT_OF(kinds); i++)
            for (size_t k = 0; k < COUNT_OF(ids); k++) play(&kinds[i], ids[k]);
    }
    encoding_limits.list_compress_depth = 0;
}

/* ---- frozen ---- */

static void look(void *arg, const struct frozen_element *e) { (void)arg, (void)e; }

static void play_frozen(const struct kind *k) {
    size_t before = mem_used_exact();
    struct value v = k->make();
    for (size_t step = 0; !value_can_freeze(v) || step < 2000; step++)
        k->change(&v, chance_below(2000), chance_below(1000000), true);
    struct frozen *f = value_freeze(v, look, NULL);
    for (size_t step = 0; step < 3000; step++) {
        expect_bytes(k, v, before, frozen_memory(f));
        k->change(&v, chance_below(2000), chance_below(1000000), chance_below(2));
        if (step % 100 == 0) (void)frozen_walk(f, 1);
    }
    frozen_end(f);
    expect_bytes(k, v, before, 0);
    value_ops[k->type]->free(v);
    assert_int_equal(mem_used_exact(), before);
}

static void what_a_freeze_keeps_is_not_the_values(void **state) {
    (void)state;
    for (size_t depth = 0; depth < 2; depth++) {
        encoding_limits.list_compress_depth = depth;
        for (size_t i = 0; i < COUNT_OF(kinds); i++) play_frozen(&kinds[i]);
    }
    encoding_limits.list_compress_depth = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_knows_its_bytes_after_every_change),
        cmocka_unit_test(what_a_freeze_keeps_is_not_the_values),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
