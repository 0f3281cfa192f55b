/* convert.c: replies to Lua values, and Lua values to replies, by the tables of the public documentation. */
#include "parts.h"
#include "trivet/base/number.h"
#include "trivet/engine/settings/options.h"
#include "trivet/resp/reader.h"
#include <math.h>

/* What an item takes, with a buffer of luaL_Buffer. Each level of nesting asks for as much again. */
#define STACK_FOR_ITEM LUA_MINSTACK

/* ---- a reply becomes a value ---- */

struct source {
    struct slice wire;
    size_t at;
    uint8_t protocol;
};

static void push_next(lua_State *L, struct source *s);

static void push_slice(lua_State *L, struct slice text) { lua_pushlstring(L, text.ptr, text.len); }

/* { name = the value on top } in its place. */
static void wrap(lua_State *L, const char *name) {
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
}

static void push_wrapped(lua_State *L, const char *name, struct slice text) {
    push_slice(L, text);
    wrap(L, name);
}

static void push_null(lua_State *L, const struct source *s) {
    if (s->protocol == 2)
        lua_pushboolean(L, false);
    else
        lua_pushnil(L);
}

static void need_level(lua_State *L) { luaL_checkstack(L, STACK_FOR_ITEM, "a reply is nested too deeply"); }

static void push_array(lua_State *L, struct source *s, int64_t count) {
    need_level(L);
    lua_createtable(L, (int)count, 0);
    for (int64_t i = 1; i <= count; i++) {
        push_next(L, s);
        lua_rawseti(L, -2, (int)i);
    }
}

static void push_map(lua_State *L, struct source *s, int64_t count) {
    need_level(L);
    lua_createtable(L, 0, (int)count);
    for (int64_t i = 0; i < count; i++) {
        push_next(L, s);
        push_next(L, s);
        if (lua_isnil(L, -2)) /* no key of a table; no command sends one */
            lua_pop(L, 2);
        else
            lua_rawset(L, -3);
    }
    wrap(L, "map");
}

static void push_set(lua_State *L, struct source *s, int64_t count) {
    need_level(L);
    lua_createtable(L, 0, (int)count);
    for (int64_t i = 0; i < count; i++) {
        push_next(L, s);
        lua_pushboolean(L, true);
        lua_rawset(L, -3);
    }
    wrap(L, "set");
}

static void push_double(lua_State *L, struct slice text) {
    double n;
    if (!double_parse(text, &n)) n = NAN; /* "nan" is the one text that is no number */
    lua_pushnumber(L, n);
    wrap(L, "double");
}

static void push_verbatim(lua_State *L, const struct reply_item *item) {
    lua_createtable(L, 0, 2);
    push_slice(L, item->text);
    lua_setfield(L, -2, "string");
    lua_pushlstring(L, item->format, sizeof item->format);
    lua_setfield(L, -2, "format");
    wrap(L, "verbatim_string");
}

/* What comes before a reply and is not of it. */
static void skip_attribute(lua_State *L, struct source *s, int64_t pairs) {
    need_level(L);
    for (int64_t i = 0; i < pairs * 2; i++) {
        push_next(L, s);
        lua_pop(L, 1);
    }
    push_next(L, s);
}

static void push_item(lua_State *L, struct source *s, const struct reply_item *item) {
    switch (item->kind) {
    case REPLY_STATUS: push_wrapped(L, "ok", item->text); break;
    case REPLY_ERROR: push_counted_error(L, item->text); break;
    case REPLY_INTEGER: lua_pushnumber(L, (lua_Number)item->number); break;
    case REPLY_BULK: push_slice(L, item->text); break;
    case REPLY_NULL:
    case REPLY_NULL_ARRAY: push_null(L, s); break;
    case REPLY_ARRAY:
    case REPLY_PUSH: push_array(L, s, item->number); break;
    case REPLY_MAP: push_map(L, s, item->number); break;
    case REPLY_SET: push_set(L, s, item->number); break;
    case REPLY_ATTRIBUTE: skip_attribute(L, s, item->number); break;
    case REPLY_DOUBLE: push_double(L, item->text); break;
    case REPLY_BOOLEAN: lua_pushboolean(L, item->number != 0); break;
    case REPLY_BIG_NUMBER: push_wrapped(L, "big_number", item->text); break;
    case REPLY_VERBATIM: push_verbatim(L, item); break;
    }
}

static void push_next(lua_State *L, struct source *s) {
    struct reply_item item;
    enum reply_read read = reply_read(s->wire, &s->at, &item);
    assert(read == REPLY_READY); /* we wrote it ourselves */
    push_item(L, s, &item);
}

void push_reply(lua_State *L, struct slice wire, uint8_t protocol) {
    struct source s = { wire, 0, protocol };
    push_next(L, &s);
    assert(s.at == wire.len);
}

/* ---- a value becomes a reply ---- */

/* A small table that holds itself twice, and so on, stands for a reply without end. So the first part that
 * cannot be written becomes an error, and all that would follow it is null. */
struct target {
    struct reply *out;
    uint8_t protocol; /* that the script chose with setresp */
    size_t most;      /* bytes that `out` may have */
    bool gave_up;
};

static void write_top(lua_State *L, struct target *t);

/* Pushes the field of the table on top if it has this type. */
static bool push_field(lua_State *L, const char *name, int type) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    if (lua_type(L, -1) == type) return true;
    lua_pop(L, 1);
    return false;
}

static struct slice text_at(lua_State *L, int index) {
    size_t len = 0;
    const char *text = lua_tolstring(L, index, &len);
    return slice_make(text, len);
}

/* Of a line only what comes before a NUL. */
static struct slice line_at(lua_State *L, int index) { return slice_of(lua_tostring(L, index)); }

static void write_number(struct reply *out, lua_Number n) {
    bool fits = n >= -0x1p63 && n < 0x1p63;
    reply_int(out, fits ? (int64_t)n : INT64_MIN);
}

static void write_boolean(struct target *t, bool yes) {
    if (t->protocol == 3)
        reply_bool(t->out, yes);
    else if (yes)
        reply_int(t->out, 1);
    else
        reply_null(t->out);
}

/* The pairs of the table on top, or its keys only. */
static size_t write_pairs(lua_State *L, struct target *t, bool values) {
    size_t count = 0;
    lua_pushnil(L);
    for (; lua_next(L, -2); count++) {
        lua_pushvalue(L, -2); /* a copy: converting the key itself would confuse lua_next */
        write_top(L, t);
        if (values)
            write_top(L, t);
        else
            lua_pop(L, 1);
    }
    return count;
}

static void write_map(lua_State *L, struct target *t) {
    struct chunk *at = reply_later(t->out);
    reply_later_map(t->out, at, write_pairs(L, t, true));
}

static void write_set(lua_State *L, struct target *t) {
    struct chunk *at = reply_later(t->out);
    reply_later_set(t->out, at, write_pairs(L, t, false));
}

/* Line ends would end the reply early. */
static void write_big_number(lua_State *L, struct target *t) {
    struct slice text = text_at(L, -1);
    luaL_Buffer clean;
    luaL_buffinit(L, &clean);
    for (size_t i = 0; i < text.len; i++)
        luaL_addchar(&clean, text.ptr[i] == '\r' || text.ptr[i] == '\n' ? ' ' : text.ptr[i]);
    luaL_pushresult(&clean);
    reply_big_number(t->out, text_at(L, -1));
    lua_pop(L, 1);
}

static bool write_verbatim(lua_State *L, struct target *t) {
    if (!push_field(L, "format", LUA_TSTRING)) return false;
    lua_insert(L, -2);
    bool is_whole = push_field(L, "string", LUA_TSTRING);
    if (is_whole) {
        char format[3] = { ' ', ' ', ' ' };
        struct slice given = text_at(L, -3);
        memcpy(format, given.ptr, given.len < 3 ? given.len : 3);
        reply_verbatim(t->out, format, text_at(L, -1));
        lua_pop(L, 1);
    }
    lua_remove(L, -2);
    return is_whole;
}

static void write_array(lua_State *L, struct target *t) {
    int count = 0;
    for (;; count++) {
        lua_rawgeti(L, -1, count + 1);
        bool ends = lua_isnil(L, -1);
        lua_pop(L, 1);
        if (ends) break;
    }
    reply_array(t->out, (size_t)count);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        write_top(L, t);
    }
}

static void write_error(lua_State *L, struct target *t) {
    reply_error_text(t->out, line_at(L, -1));
    lua_pop(L, 1);
    t->out->error_counted = was_counted(L);
    lua_pushnil(L); /* for the caller, who drops the field */
}

/* Tables that stand for one value, by the name of their field. The order counts. */
static bool write_special(lua_State *L, struct target *t) {
    if (push_field(L, "err", LUA_TSTRING))
        write_error(L, t);
    else if (push_field(L, "ok", LUA_TSTRING))
        reply_simple(t->out, line_at(L, -1));
    else if (push_field(L, "double", LUA_TNUMBER))
        reply_double(t->out, lua_tonumber(L, -1));
    else if (push_field(L, "big_number", LUA_TSTRING))
        write_big_number(L, t);
    else
        return false;
    lua_pop(L, 1);
    return true;
}

static bool write_collection(lua_State *L, struct target *t) {
    if (push_field(L, "map", LUA_TTABLE))
        write_map(L, t);
    else if (push_field(L, "set", LUA_TTABLE))
        write_set(L, t);
    else
        return false;
    lua_pop(L, 1);
    return true;
}

static void write_table(lua_State *L, struct target *t) {
    if (!lua_checkstack(L, STACK_FOR_ITEM)) {
        reply_error_text(t->out, LIT("ERR reached lua stack limit"));
        t->gave_up = true;
        return;
    }
    if (write_special(L, t)) return;
    if (push_field(L, "verbatim_string", LUA_TTABLE)) {
        bool done = write_verbatim(L, t);
        lua_pop(L, 1);
        if (done) return;
    }
    if (!write_collection(L, t)) write_array(L, t);
}

/* False after writing something in place of the value: a table that holds itself twice would never end. */
static bool may_go_on(struct target *t) {
    if (LIKELY(!t->gave_up && t->out->bytes <= t->most)) return true;
    if (t->gave_up)
        reply_null(t->out);
    else
        reply_error_text(t->out, LIT("ERR the reply is larger than 'script-memory-limit'"));
    t->gave_up = true;
    return false;
}

/* Writes what is on top, and pops it. */
static void write_top(lua_State *L, struct target *t) {
    if (UNLIKELY(!may_go_on(t))) {
        lua_pop(L, 1);
        return;
    }
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: reply_bulk(t->out, text_at(L, -1)); break;
    case LUA_TNUMBER: write_number(t->out, lua_tonumber(L, -1)); break;
    case LUA_TBOOLEAN: write_boolean(t, lua_toboolean(L, -1)); break;
    case LUA_TTABLE: write_table(L, t); break;
    default: reply_null(t->out);
    }
    lua_pop(L, 1);
}

void write_value(lua_State *L, struct reply *out, uint8_t protocol_of_script) {
    struct target t = { .out = out,
                        .protocol = protocol_of_script,
                        .most = out->bytes + options.script_memory_limit };
    write_top(L, &t);
}
