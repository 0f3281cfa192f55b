/* test_record_write_parts.c: a stream whose record is written in parts, with changes of nodes, groups and
 * numbers in between, against the record that it had as a whole when it was frozen. */
#include "../../chance.h"
#include "trivet/base/mem.h"
#include "trivet/persist/rdb/record_write.h"
#include "trivet/persist/rdb/values.h"
#include "trivet/types/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FAR_MS INT64_C(5000000000000)

struct scene {
    struct image_form form;
    struct entry *entry;
    struct stream *stream;
    struct image_parts parts;
    struct rdb_out out;
};

static struct slice name_of(const char *what, size_t i, char *room) {
    return slice_make(room, (size_t)snprintf(room, 32, "%s%zu", what, i));
}

static struct stream_id random_id(const struct stream *s) {
    return (struct stream_id){ 1 + chance_below(s->last_id.ms + 1), chance_below(2) };
}

static void add_entry(struct stream *s) {
    char room[32];
    struct stream_id id = { s->last_id.ms + 1 + chance_below(2), chance_below(2) };
    struct slice value = name_of("value", chance_below(100), room);
    assert_true(stream_add(s, id, (struct slice[]){ LIT("field"), value }, 1));
}

static void change_entries(struct stream *s) {
    size_t dice = chance_below(40);
    if (dice == 0)
        stream_trim(s, &(struct stream_trim){ .max_length = s->length - chance_below(1 + s->length / 2) });
    else if (dice == 1)
        s->max_deleted_id = s->last_id;
    else if (dice < 20)
        stream_delete(s, random_id(s));
    else
        add_entry(s);
}

static void change_consumer(struct stream_group *g) {
    char room[32];
    struct slice name = name_of("consumer", chance_below(3), room);
    struct stream_consumer *c = stream_consumer_find(g, name);
    if (!c)
        stream_consumer_create(g, name, (int64_t)chance_below(1000));
    else if (chance_below(10) == 0)
        stream_consumer_delete(g, c);
    else
        c->active_ms = c->seen_ms = (int64_t)chance_below(1000);
}

static void change_pending(struct stream *s, struct stream_group *g) {
    struct stream_id id = random_id(s);
    if (chance_below(3) == 0 || g->consumers.count == 0) {
        stream_pending_remove(g, id);
        return;
    }
    struct stream_consumer *c = stream_consumer_at(g, chance_below(g->consumers.count));
    struct stream_pending *p = stream_pending_give(g, id, c);
    p->delivered_ms = (int64_t)chance_below(1000);
    p->deliveries++;
}

static void change_groups(struct stream *s) {
    char room[32];
    struct slice name = name_of("group", chance_below(3), room);
    struct stream_group *g = stream_group_find(s, name);
    size_t dice = chance_below(40);
    if (!g)
        stream_group_create(s, name, random_id(s), (int64_t)chance_below(100));
    else if (dice == 0)
        stream_group_delete(s, g);
    else if (dice < 10)
        change_consumer(g);
    else if (dice == 10)
        stream_group_advance(s, g, s->last_id);
    else
        change_pending(s, g);
}

static void change(struct stream *s, size_t times) {
    for (; times > 0; times--) chance_below(2) ? change_entries(s) : change_groups(s);
}

static void see_element(void *arg, const struct frozen_element *el) {
    struct scene *s = arg;
    image_put_element(&s->form, &s->out, &s->parts, el);
}

/* `steps` of the walk, with as many changes between each two as `pace`. */
static void write_in_parts(struct scene *s, size_t pace) {
    struct rdb_out whole = { 0 };
    image_put_entry(&s->form, &whole, s->entry);
    assert_true(image_can_part(&s->form, s->entry));
    struct frozen *f = value_freeze(entry_value(s->entry), see_element, s);
    image_put_head(&s->form, &s->out, s->entry, f, &s->parts);
    do change(s->stream, chance_below(1 + pace));
    while (frozen_walk(f, 1 + chance_below(4)));
    frozen_end(f);
    change(s->stream, pace);
    image_put_tail(&s->form, &s->out, &s->parts);
    assert_int_equal(s->out.bytes.len, whole.bytes.len);
    assert_memory_equal(s->out.bytes.ptr, whole.bytes.ptr, whole.bytes.len);
    image_parts_release(&s->parts);
    buf_clear(&s->out.bytes);
    buf_release(&whole.bytes);
    stream_check(s->stream);
}

static void a_streams_record_in_parts_is_that_of_the_whole(void **state) {
    (void)state;
    static const int versions[] = { 10, RDB_VERSION_MAX, RDB_VERSION_VALKEY };
    struct encoding_limits before = encoding_limits;
    encoding_limits.stream_node_entries = 5;
    for (size_t round = 0; round < 60; round++) {
        struct scene s = { .stream = stream_new() };
        s.form = (struct image_form){ .version = versions[round % COUNT_OF(versions)], .now_ms = 1 };
        s.entry =
            entry_new_value(LIT("key"), TYPE_STREAM, stream_value(s.stream), round % 2 ? NO_EXPIRY : FAR_MS);
        for (size_t i = 0; i < 10; i++) {
            change(s.stream, chance_below(2000));
            write_in_parts(&s, chance_below(100));
        }
        entry_free(s.entry);
        buf_release(&s.out.bytes);
    }
    encoding_limits = before;
}

static void a_stream_as_commands_is_not_written_in_parts(void **state) {
    (void)state;
    struct stream *s = stream_new();
    struct entry *e = entry_new_value(LIT("key"), TYPE_STREAM, stream_value(s), NO_EXPIRY);
    assert_false(image_can_part(&(struct image_form){ .as_commands = true, .version = 11 }, e));
    assert_true(image_can_part(&(struct image_form){ .version = 11 }, e));
    entry_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_streams_record_in_parts_is_that_of_the_whole),
        cmocka_unit_test(a_stream_as_commands_is_not_written_in_parts),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
