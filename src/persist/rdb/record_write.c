/* record_write.c: see image_private.h. */
#include "trivet/persist/rdb/record_write.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/persist/aof/commands_of.h"
#include "trivet/persist/journal_sink.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/persist/rdb/values.h"
#include "trivet/types/hash.h"
#include "values_private.h"

static void put_byte(struct rdb_out *out, unsigned byte) { buf_append_byte(&out->bytes, (char)byte); }

/* One command into the bytes: an aof_emit. */
static void emit(void *arg, const struct slice *argv, size_t argc) {
    struct rdb_out *out = arg;
    wire_command(&out->bytes, argv, argc);
    rdb_may_drain(out);
}

void image_put_database(const struct image_form *form, struct rdb_out *out, uint32_t db) {
    if (form->as_commands) {
        char digits[INT64_TEXT_MAX];
        struct slice argv[2] = { LIT_INIT("SELECT"), slice_make(digits, int64_format(digits, db)) };
        emit(out, argv, 2);
        return;
    }
    put_byte(out, RDB_OP_SELECTDB);
    rdb_put_length(out, db);
}

/* Expiry, hint, type and key: all of an RDB record but the value. */
static void put_record_head(const struct image_form *form, struct rdb_out *out, const struct entry *e,
                            enum rdb_type type) {
    if (e->has_expiry) {
        put_byte(out, RDB_OP_EXPIRETIME_MS);
        rdb_put_u64(out, (uint64_t)entry_expiry_ms(e));
    }
    if (form->hint == HINT_IDLE) {
        put_byte(out, RDB_OP_IDLE);
        rdb_put_length(out, (uint64_t)eviction_idle_ms(e->access, form->now_ms) / 1000);
    } else if (form->hint == HINT_FREQUENCY) {
        put_byte(out, RDB_OP_FREQ);
        put_byte(out, eviction_frequency(e->access, form->now_ms));
    }
    put_byte(out, (unsigned)type);
    rdb_put_string(out, entry_key(e));
}

void image_put_entry(const struct image_form *form, struct rdb_out *out, const struct entry *e) {
    if (form->as_commands) {
        rebuild_entry(emit, out, e, form->now_ms);
        return;
    }
    put_record_head(form, out, e, rdb_type_of(e, form->version));
    rdb_put_value(out, e, form->version, form->now_ms);
}

void image_put_string_head(const struct image_form *form, struct rdb_out *out, const struct entry *e) {
    put_record_head(form, out, e, RDB_STRING);
}

/* ---- in parts ---- */

/* An older RDB version leaves out expired fields, so the number of fields is not known in advance. */
bool image_can_part(const struct image_form *form, const struct entry *e) {
    if (!value_can_freeze(entry_value(e))) return false;
    if (e->type == TYPE_STREAM) return !form->as_commands;
    bool dated = e->type == TYPE_HASH && hash_dated(entry_value(e)) > 0;
    return form->as_commands || !dated || form->version >= RDB_VERSION_VALKEY;
}

void image_put_head(const struct image_form *form, struct rdb_out *out, const struct entry *e,
                    const struct frozen *f, struct image_parts *parts) {
    struct slice key = entry_key(e);
    *parts = (struct image_parts){
        .type = e->type, .key = mem_alloc(key.len + 1), .key_len = key.len, .expiry_ms = entry_expiry_ms(e)
    };
    memcpy(parts->key, key.ptr, key.len);
    if (form->as_commands) return;
    enum rdb_type type = rdb_type_of(e, form->version);
    parts->with_expiry = type == RDB_HASH_2;
    put_record_head(form, out, e, type);
    rdb_put_length(out, frozen_count(f));
    if (e->type != TYPE_STREAM) return;
    struct rdb_out rest = { .compress = out->compress };
    rdb_put_stream_rest(&rest, stream_of(entry_value(e)), rdb_stream_form(type));
    parts->rest = rest.bytes;
}

static void put_rdb_element(struct rdb_out *out, const struct image_parts *parts,
                            const struct frozen_element *el) {
    if (parts->type == TYPE_LIST) {
        rdb_put_list_node(out, el->value, el->plain);
        return;
    }
    if (parts->type == TYPE_STREAM) {
        rdb_put_stream_node(out, el->master, el->value);
        return;
    }
    rdb_put_string(out, el->name);
    if (parts->type == TYPE_ZSET) rdb_put_double(out, el->score);
    if (parts->type != TYPE_HASH) return;
    rdb_put_string(out, el->value);
    if (parts->with_expiry) rdb_put_u64(out, (uint64_t)el->expiry_ms);
}

static void put_field_commands(struct rdb_out *out, struct slice key, const struct frozen_element *el) {
    struct slice set[] = { LIT_INIT("HSET"), key, el->name, el->value };
    emit(out, set, COUNT_OF(set));
    if (el->expiry_ms == HASH_NO_EXPIRY) return;
    char digits[INT64_TEXT_MAX];
    struct slice date[] = {
        LIT_INIT("HPEXPIREAT"), key,      slice_make(digits, int64_format(digits, el->expiry_ms)),
        LIT_INIT("FIELDS"),     LIT("1"), el->name
    };
    emit(out, date, COUNT_OF(date));
}

static void put_element_commands(struct rdb_out *out, const struct image_parts *parts,
                                 const struct frozen_element *el) {
    struct slice key = slice_make(parts->key, parts->key_len);
    char digits[DOUBLE_TEXT_MAX];
    switch (parts->type) {
    case TYPE_LIST: rebuild_list_node(emit, out, key, el->value, el->plain); return;
    case TYPE_HASH: put_field_commands(out, key, el); return;
    case TYPE_SET: emit(out, (struct slice[]){ LIT("SADD"), key, el->name }, 3); return;
    case TYPE_ZSET: {
        struct slice score = slice_make(digits, double_format(digits, el->score));
        emit(out, (struct slice[]){ LIT("ZADD"), key, score, el->name }, 4);
        return;
    }
    default: assert(!"only these can be frozen");
    }
}

void image_put_element(const struct image_form *form, struct rdb_out *out, const struct image_parts *parts,
                       const struct frozen_element *el) {
    if (!form->as_commands)
        put_rdb_element(out, parts, el);
    else if (parts->expiry_ms == NO_EXPIRY || parts->expiry_ms >= form->now_ms)
        put_element_commands(out, parts, el);
}

void image_put_tail(const struct image_form *form, struct rdb_out *out, const struct image_parts *parts) {
    buf_append(&out->bytes, buf_slice(&parts->rest));
    if (!form->as_commands || parts->expiry_ms == NO_EXPIRY || parts->expiry_ms < form->now_ms) return;
    char digits[INT64_TEXT_MAX];
    struct slice argv[] = { LIT_INIT("PEXPIREAT"), slice_make(parts->key, parts->key_len),
                            slice_make(digits, int64_format(digits, parts->expiry_ms)) };
    emit(out, argv, COUNT_OF(argv));
}

void image_parts_release(struct image_parts *parts) {
    mem_free(parts->key);
    buf_release(&parts->rest);
}
