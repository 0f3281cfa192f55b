/* stream_value.c: see stream_private.h. */
#include "stream.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/item.h"

bool stream_in_entry(struct call *c, const struct entry *e, struct stream **s) {
    *s = NULL;
    if (!e) return true;
    if (e->type != TYPE_STREAM) {
        reply_error(c->out, ERR_WRONGTYPE);
        return false;
    }
    *s = stream_of(entry_value(e));
    return true;
}

/* ---- ids ---- */

void reply_invalid_id(struct call *c) {
    reply_error_text(c->out, LIT("ERR Invalid stream ID specified as stream command argument"));
}

bool stream_id_argument(struct call *c, struct slice text, uint64_t missing, struct stream_id *id) {
    if (stream_id_parse(text, missing, id, NULL)) return true;
    reply_invalid_id(c);
    return false;
}

bool stream_end_argument(struct call *c, struct slice text, uint64_t missing, struct stream_id *id) {
    bool lowest = slice_equal(text, LIT("-"));
    if (!lowest && !slice_equal(text, LIT("+"))) return stream_id_argument(c, text, missing, id);
    *id = lowest ? STREAM_ID_MIN : STREAM_ID_MAX;
    return true;
}

/* What follows the parenthesis. */
static struct slice without_first(struct slice text) { return slice_make(text.ptr + 1, text.len - 1); }

bool stream_start_argument(struct call *c, struct slice text, struct stream_id *id) {
    if (!slice_starts_with(text, LIT("("))) return stream_end_argument(c, text, 0, id);
    if (!stream_id_argument(c, without_first(text), 0, id)) return false;
    if (stream_id_increment(id)) return true;
    reply_error_text(c->out, LIT("ERR invalid start ID for the interval"));
    return false;
}

bool stream_stop_argument(struct call *c, struct slice text, struct stream_id *id) {
    if (!slice_starts_with(text, LIT("("))) return stream_end_argument(c, text, UINT64_MAX, id);
    if (!stream_id_argument(c, without_first(text), UINT64_MAX, id)) return false;
    if (stream_id_decrement(id)) return true;
    reply_error_text(c->out, LIT("ERR invalid end ID for the interval"));
    return false;
}

bool stream_id_arguments(struct call *c, size_t first, struct stream_id **ids) {
    struct stream_id *read = mem_alloc((c->argc - first) * sizeof *read);
    for (size_t i = first; i < c->argc; i++) {
        if (stream_id_argument(c, c->argv[i], 0, &read[i - first])) continue;
        mem_free(read);
        return false;
    }
    *ids = read;
    return true;
}

/* ---- replies ---- */

void reply_stream_id(struct reply *out, struct stream_id id) {
    struct id_text text;
    reply_bulk(out, stream_id_text(&text, id));
}

void reply_stream_entry(struct reply *out, struct stream_walk *w) {
    reply_array(out, 2);
    reply_stream_id(out, w->id);
    reply_array(out, 2 * w->pairs);
    for (size_t i = 0; i < w->pairs; i++) {
        struct listpack_item field, value;
        stream_walk_pair(w, &field, &value);
        reply_item(out, field);
        reply_item(out, value);
    }
}

bool reply_stream_entry_of(struct reply *out, const struct stream *s, struct stream_id id) {
    struct stream_walk w;
    stream_walk_begin(&w, s, id, id, false);
    if (!stream_walk_next(&w)) return false;
    reply_stream_entry(out, &w);
    return true;
}
