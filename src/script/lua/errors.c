/* errors.c: errors as scripts see them, and what becomes of one that no script catches.
 *
 * An error of the server is a table { err = "CODE text" }. Lua's own errors are texts. What reaches the
 * client is always a text that begins with a code and ends with where it happened:
 * "ERR user_script:1: boom script: <name>, on @user_script:1." */
#include "parts.h"
#include <string.h>

void push_error(lua_State *L, struct slice text) {
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, text.ptr, text.len);
    lua_setfield(L, -2, "err");
}

void push_counted_error(lua_State *L, struct slice text) {
    push_error(L, text);
    lua_pushboolean(L, true);
    lua_setfield(L, -2, COUNTED_FIELD);
}

/* Replaces the error at 1, if it is a text or something else without a field `err`, by a table. */
static void make_table(lua_State *L) {
    if (lua_istable(L, 1) && !push_behind(L, 1)) return;
    lua_settop(L, 1);
    if (lua_istable(L, 1))
        lua_pushliteral(L, "unknown error");
    else if (lua_isstring(L, 1))
        lua_pushvalue(L, 1);
    else if (lua_isboolean(L, 1))
        lua_pushstring(L, lua_toboolean(L, 1) ? "true" : "false");
    else
        lua_pushstring(L, luaL_typename(L, 1));
    lua_pushliteral(L, "ERR ");
    lua_insert(L, -2);
    lua_concat(L, 2);
    lua_createtable(L, 0, 3);
    lua_insert(L, -2);
    lua_setfield(L, -2, "err");
    lua_replace(L, 1);
}

/* The Lua code that was running: the function that raised the error, or its caller if that is one of ours. */
static bool find_place(lua_State *L, lua_Debug *place) {
    for (int level = 1; level <= 2; level++) {
        if (!lua_getstack(L, level, place)) return false;
        lua_getinfo(L, "Sl", place);
        if (strcmp(place->what, "C") != 0) return true;
    }
    return true;
}

static void set_field(lua_State *L, const char *name) {
    lua_pushstring(L, name);
    lua_insert(L, -2);
    lua_rawset(L, 1);
}

int handle_error(lua_State *L) {
    lua_Debug place;
    lua_settop(L, 1);
    make_table(L);
    if (find_place(L, &place)) {
        lua_pushstring(L, place.source);
        set_field(L, "source");
        lua_pushinteger(L, place.currentline);
        set_field(L, "line");
    }
    return 1;
}

/* ---- the reply ---- */

/* The field of the error on top as text, or an empty slice; it stays valid as long as the error. */
static struct slice field_of(lua_State *L, const char *name) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    size_t len = 0;
    const char *text = lua_tolstring(L, -1, &len);
    struct slice s = { text, len };
    if (lua_isnumber(L, -1)) { /* the text was made of it just now: keep it with the error */
        lua_pushstring(L, name);
        lua_pushvalue(L, -2);
        lua_rawset(L, -4);
    }
    lua_pop(L, 1);
    return s;
}

bool was_counted(lua_State *L) {
    lua_pushstring(L, COUNTED_FIELD);
    lua_rawget(L, -2);
    bool yes = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return yes;
}

static void append_place(struct interpreter *in, const struct script_run *run) {
    struct slice source = field_of(in->lua, "source"), line = field_of(in->lua, "line");
    if (source.len > 0 && line.len > 0)
        buf_printf(&in->why, " script: %s, on %.*s:%.*s.", run->subject->name, SLICE_ARG(source),
                   SLICE_ARG(line));
    else
        buf_printf(&in->why, " script: %s", run->subject->name);
}

void reply_uncaught(struct interpreter *in, const struct script_run *run, struct reply *out) {
    lua_State *L = in->lua;
    buf_clear(&in->why);
    bool counted = false;
    if (lua_istable(L, -1)) {
        struct slice text = field_of(L, "err");
        buf_append(&in->why, text.ptr ? slice_of(text.ptr) : LIT("ERR unknown error")); /* up to a NUL */
        append_place(in, run);
        counted = was_counted(L);
    } else { /* Lua could not call the handler: there was no memory, or no stack, left */
        size_t len = 0;
        const char *text = lua_tolstring(L, -1, &len);
        buf_append(&in->why, LIT("ERR "));
        buf_append(&in->why, slice_make(text, len));
        buf_printf(&in->why, " script: %s", run->subject->name);
    }
    reply_error_text(out, buf_slice(&in->why));
    out->error_counted = counted;
}
