/* commands_of_stream.c: writes a stream as commands that restore it: its entries, its numbers, its groups,
 * its pending entries. Other servers do not take a pending entry that was deleted from the stream; Trivet
 * does when it loads (cmd_xclaim). */
#include "commands_of_types.h"
#include "trivet/base/mem.h"
#include "trivet/types/stream.h"

struct emitting {
    aof_emit *emit;
    void *arg;
    struct slice key;
};

static struct slice id_text(char *room, struct stream_id id) {
    return slice_make(room, stream_id_format(room, id));
}

static struct slice int_text(char *room, int64_t n) { return slice_make(room, int64_format(room, n)); }

static struct slice item_text(char *room, struct listpack_item item) {
    return item.text.ptr ? item.text : int_text(room, item.number);
}

static void emit_entry(const struct emitting *e, struct stream_walk *w) {
    size_t argc = 3 + 2 * w->pairs;
    struct slice *argv = mem_alloc(argc * sizeof *argv);
    char *numbers = mem_alloc((2 * w->pairs + 1) * INT64_TEXT_MAX);
    char id[STREAM_ID_TEXT_MAX];
    argv[0] = LIT("XADD");
    argv[1] = e->key;
    argv[2] = id_text(id, w->id);
    for (size_t i = 3; i < argc; i += 2) {
        struct listpack_item field, value;
        stream_walk_pair(w, &field, &value);
        argv[i] = item_text(numbers + (i - 3) * INT64_TEXT_MAX, field);
        argv[i + 1] = item_text(numbers + (i - 2) * INT64_TEXT_MAX, value);
    }
    e->emit(e->arg, argv, argc);
    mem_free(numbers);
    mem_free(argv);
}

static void emit_entries(const struct emitting *e, const struct stream *s) {
    struct stream_walk w;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_walk_next(&w)) emit_entry(e, &w);
    if (s->length > 0) return;
    /* An empty stream needs an entry that is deleted again. */
    const struct slice argv[] = { LIT_INIT("XADD"), e->key,        LIT_INIT("MAXLEN"), LIT_INIT("0"),
                                  LIT_INIT("0-1"),  LIT_INIT("x"), LIT_INIT("y") };
    e->emit(e->arg, argv, COUNT_OF(argv));
}

static void emit_numbers(const struct emitting *e, const struct stream *s) {
    char last[STREAM_ID_TEXT_MAX], deleted[STREAM_ID_TEXT_MAX], added[INT64_TEXT_MAX];
    const struct slice argv[] = {
        LIT_INIT("XSETID"),       e->key,
        id_text(last, s->last_id), LIT_INIT("ENTRIESADDED"),
        int_text(added, (int64_t)s->entries_added), LIT_INIT("MAXDELETEDID"),
        id_text(deleted, s->max_deleted_id),
    };
    e->emit(e->arg, argv, COUNT_OF(argv));
}

static void emit_pending(const struct emitting *e, const struct stream_group *g, struct stream_id entry,
                         const struct stream_pending *p) {
    char id[STREAM_ID_TEXT_MAX], when[INT64_TEXT_MAX], often[INT64_TEXT_MAX];
    const struct slice argv[] = {
        LIT_INIT("XCLAIM"), e->key, name_text(&g->name), name_text(&p->owner->name), LIT_INIT("0"),
        id_text(id, entry), LIT_INIT("TIME"), int_text(when, p->delivered_ms), LIT_INIT("RETRYCOUNT"),
        int_text(often, (int64_t)p->deliveries), LIT_INIT("JUSTID"), LIT_INIT("FORCE"),
    };
    e->emit(e->arg, argv, COUNT_OF(argv));
}

static void emit_group(const struct emitting *e, const struct stream_group *g) {
    char last[STREAM_ID_TEXT_MAX], read[INT64_TEXT_MAX];
    struct slice group = name_text(&g->name);
    const struct slice create[] = { LIT_INIT("XGROUP"),
                                    LIT_INIT("CREATE"),
                                    e->key,
                                    group,
                                    id_text(last, g->last_id),
                                    LIT_INIT("ENTRIESREAD"),
                                    int_text(read, g->entries_read) };
    e->emit(e->arg, create, COUNT_OF(create));
    for (size_t i = 0; i < g->consumers.count; i++) {
        const struct slice consumer[] = { LIT_INIT("XGROUP"), LIT_INIT("CREATECONSUMER"), e->key, group,
                                          name_text(&stream_consumer_at(g, i)->name) };
        e->emit(e->arg, consumer, COUNT_OF(consumer));
    }
    struct id_cursor at = id_map_first(&g->pending);
    for (; id_map_has(&g->pending, at); at = id_map_next(&g->pending, at))
        emit_pending(e, g, id_map_id(&g->pending, at), id_map_payload(&g->pending, at));
}

void rebuild_stream(aof_emit *emit, void *arg, const struct entry *entry) {
    const struct stream *s = stream_of(entry_value(entry));
    struct emitting e = { emit, arg, entry_key(entry) };
    emit_entries(&e, s);
    emit_numbers(&e, s);
    for (size_t i = 0; i < s->groups.count; i++) emit_group(&e, stream_group_at(s, i));
}
