/* sandbox.c: what scripts see of Lua, and why nothing of it can be changed.
 *
 * Scripts share one interpreter, so a table that one script could change would be a way to reach into the
 * others. Lua 5.1 has no read-only tables. So a script never gets hold of a shared table: it gets an empty
 * one in front of it, whose metatable reads from the real one and refuses every assignment. Functions that go
 * past metatables (rawset, next, table.insert, ...) are replaced by ones that know such fronts.
 *
 * What is not named in this file, scripts do not have: the libraries are opened in a table that is thrown
 * away, and only the names of the lists below are taken over. */
#include "libraries.h"
#include "parts.h"
#include <lua-bitop.h>
#include <lua-cjson.h>
#include <lualib.h>
#include <string.h>

/* The key, by its address, under which the metatable of a front holds the real table. */
static char behind_key;

/* ---- fronts ---- */

int refuse_change(lua_State *L) { return luaL_error(L, "Attempt to modify a readonly table"); }

bool push_behind(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) return false;
    lua_pushlightuserdata(L, &behind_key);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    if (!lua_isnil(L, -1)) return true;
    lua_pop(L, 1);
    return false;
}

static bool is_front(lua_State *L, int index) {
    if (!push_behind(L, index)) return false;
    lua_pop(L, 1);
    return true;
}

/* Makes the metatable on top point to the real table below it; pops neither. */
static void point_to(lua_State *L, int real) {
    lua_pushvalue(L, real);
    lua_setfield(L, -2, "__index");
    lua_pushlightuserdata(L, &behind_key);
    lua_pushvalue(L, real);
    lua_rawset(L, -3);
}

void push_read_only(lua_State *L) {
    int real = lua_gettop(L);
    lua_newtable(L);
    lua_newtable(L);
    point_to(L, real);
    lua_pushcfunction(L, refuse_change);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_remove(L, real);
}

void show_behind(lua_State *L, int front, int real) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, real);
    lua_rawgeti(L, LUA_REGISTRYINDEX, front);
    lua_getmetatable(L, -1);
    point_to(L, lua_gettop(L) - 2);
    lua_pop(L, 3);
}

static int unknown_field(lua_State *L) {
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    return luaL_error(L, "Script attempted to access nonexistent global variable '%s'", name);
}

void refuse_unknown_fields(lua_State *L) {
    lua_newtable(L);
    lua_pushcfunction(L, unknown_field);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/* Changing a shared table without an assignment: the error has no position then. */
static void refuse_front(lua_State *L, int index) {
    if (!is_front(L, index)) return;
    lua_pushliteral(L, "Attempt to modify a readonly table");
    lua_error(L);
}

/* ---- Lua's functions that go past metatables ---- */

static int safe_next(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (push_behind(L, 1)) lua_replace(L, 1);
    if (lua_next(L, 1)) return 2;
    lua_pushnil(L);
    return 1;
}

/* pairs(t): next, t and nil. */
static int safe_pairs(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int safe_rawget(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (push_behind(L, 1)) lua_replace(L, 1);
    lua_rawget(L, 1);
    return 1;
}

static int safe_rawset(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    refuse_front(L, 1);
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 1;
}

static int safe_getmetatable(lua_State *L) {
    luaL_checkany(L, 1);
    if (is_front(L, 1) || !lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    luaL_getmetafield(L, 1, "__metatable"); /* pushes nothing if there is none */
    return 1;
}

static int safe_setmetatable(lua_State *L) {
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
    refuse_front(L, 1);
    if (luaL_getmetafield(L, 1, "__metatable")) return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* table.insert(t, [position,] value) */
static int safe_insert(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    refuse_front(L, 1);
    int end = (int)lua_objlen(L, 1) + 1, at = end;
    if (lua_gettop(L) == 3) {
        at = luaL_checkint(L, 2);
        if (at > end) end = at;
        for (int i = end; i > at; i--) {
            lua_rawgeti(L, 1, i - 1);
            lua_rawseti(L, 1, i);
        }
    } else if (lua_gettop(L) != 2) {
        return luaL_error(L, "wrong number of arguments to " LUA_QL("insert"));
    }
    lua_rawseti(L, 1, at);
    return 0;
}

/* ---- Lua's functions that load code ---- */

/* What Lua says of a text that begins like compiled code. */
static int refuse_compiled(lua_State *L, const char *name) {
    lua_pushnil(L);
    if (*name == '@' || *name == '=')
        lua_pushfstring(L, "%s:1: unexpected symbol near 'char(27)'", name + 1);
    else
        lua_pushfstring(L, "[string \"%s\"]:1: unexpected symbol near 'char(27)'", name);
    return 2;
}

/* A function, or nil and the error that is on top. */
static int loaded(lua_State *L, int status) {
    if (status == 0) return 1;
    pass_on_stop(L);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* loadstring(text [, name]) */
static int safe_loadstring(lua_State *L) {
    size_t len;
    const char *source = luaL_checklstring(L, 1, &len);
    const char *name = luaL_optstring(L, 2, source);
    if (len > 0 && *source == LUA_SIGNATURE[0]) return refuse_compiled(L, name);
    return loaded(L, luaL_loadbuffer(L, source, len, name));
}

/* The pieces that a script's function hands out, for load(). */
struct pieces {
    bool began, is_compiled;
};

/* As lua_Reader wants it. The piece stays at stack position 3, or it could be collected. */
static const char *next_piece(lua_State *L, void *arg, size_t *len) {
    struct pieces *p = arg;
    *len = 0;
    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) return NULL;
    if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
    lua_replace(L, 3);
    const char *piece = lua_tolstring(L, 3, len);
    if (!p->began && *len > 0) {
        p->began = true;
        p->is_compiled = *piece == LUA_SIGNATURE[0];
    }
    if (!p->is_compiled) return piece;
    *len = 0;
    return NULL;
}

/* load(function [, name]) */
static int safe_load(lua_State *L) {
    const char *name = luaL_optstring(L, 2, "=(load)");
    struct pieces p = { false, false };
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 3);
    int status = lua_load(L, next_piece, &p, name);
    return p.is_compiled ? refuse_compiled(L, name) : loaded(L, status);
}

/* ---- others ---- */

/* pcall gives what failed as a text, also for errors of redis.call, which are tables. */
static int safe_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (status != 0) pass_on_stop(L);
    if (status != 0 && lua_istable(L, -1)) {
        lua_pushliteral(L, "err");
        lua_rawget(L, -2);
        if (lua_isstring(L, -1))
            lua_replace(L, -2);
        else
            lua_pop(L, 1);
    }
    lua_pushboolean(L, status == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* xpcall(function, handler). Lua would run the handler where the error was raised, and if that was the look
 * around, no further look would come before the handler ends. So a handler that never ends could not be
 * stopped. It runs after the error left the function instead; only one of ours, which ends, looks at where it
 * was raised. */
static int safe_xpcall(lua_State *L) {
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    bool is_ours = lua_tocfunction(L, 2) == handle_error;
    lua_insert(L, 1);
    int status = lua_pcall(L, 0, LUA_MULTRET, is_ours ? 1 : 0);
    if (status != 0) pass_on_stop(L);
    if (status == LUA_ERRRUN && !is_ours) {
        lua_pushvalue(L, 1);
        lua_insert(L, 2);
        if (!lua_isfunction(L, 1) || lua_pcall(L, 1, 1, 0) != 0) {
            pass_on_stop(L);
            lua_settop(L, 1);
            lua_pushliteral(L, "error in error handling");
        }
    }
    lua_pushboolean(L, status == 0);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* coroutine.resume(coroutine, ...) by Lua's own, which also catches errors. */
static int safe_resume(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    if (!lua_toboolean(L, 1)) pass_on_stop(L);
    return lua_gettop(L);
}

#define COROUTINES_BETWEEN_LOOKS 32

/* coroutine.create and coroutine.wrap. Each coroutine counts its own instructions, so a script of many short
 * ones would never be looked at. Lua's function is the upvalue and runs in our place. */
static int safe_create(lua_State *L) {
    struct interpreter *in = interpreter_of(L);
    if (++in->coroutines % COROUTINES_BETWEEN_LOOKS == 0) look_around_now(L);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* collectgarbage([option [, argument]]): what it sets counts for this run only. */
static int safe_collectgarbage(lua_State *L) {
    static const char *const names[] = { "stop", "restart",  "collect",    "count",
                                         "step", "setpause", "setstepmul", NULL };
    static const int actions[] = { LUA_GCSTOP, LUA_GCRESTART,  LUA_GCCOLLECT,   LUA_GCCOUNT,
                                   LUA_GCSTEP, LUA_GCSETPAUSE, LUA_GCSETSTEPMUL };
    int action = actions[luaL_checkoption(L, 1, "collect", names)];
    int result = lua_gc(L, action, luaL_optint(L, 2, 0));
    interpreter_of(L)->was_tuned = true;
    if (action == LUA_GCSTEP)
        lua_pushboolean(L, result);
    else if (action == LUA_GCCOUNT)
        lua_pushnumber(L, result + (lua_Number)lua_gc(L, LUA_GCCOUNTB, 0) / 1024);
    else
        lua_pushinteger(L, result);
    return 1;
}

/* ---- what is taken over ---- */

static const char *const base_names[] = { "_VERSION", "assert",   "error",    "gcinfo", "ipairs", "rawequal",
                                          "select",   "tonumber", "tostring", "type",   NULL };
static const char *const coroutine_names[] = {
    "create", "resume", "running", "status", "wrap", "yield", NULL
};
static const char *const string_names[] = { "byte",    "char", "dump",  "find",  "format", "gfind",
                                            "gmatch",  "gsub", "len",   "lower", "match",  "rep",
                                            "reverse", "sub",  "upper", NULL };
static const char *const table_names[] = { "concat", "foreach", "foreachi", "getn", "maxn",
                                           "remove", "setn",    "sort",     NULL };
static const char *const math_names[] = { "abs",   "acos", "asin",  "atan",   "atan2",      "ceil",  "cos",
                                          "cosh",  "deg",  "exp",   "floor",  "fmod",       "frexp", "huge",
                                          "ldexp", "log",  "log10", "max",    "min",        "mod",   "modf",
                                          "pi",    "pow",  "rad",   "random", "randomseed", "sin",   "sinh",
                                          "sqrt",  "tan",  "tanh",  NULL };
static const char *const os_names[] = { "clock", NULL };
static const char *const cjson_names[] = { "encode",
                                           "decode",
                                           "new",
                                           "null",
                                           "encode_sparse_array",
                                           "encode_max_depth",
                                           "decode_max_depth",
                                           "encode_number_precision",
                                           "encode_keep_buffer",
                                           "encode_invalid_numbers",
                                           "decode_invalid_numbers",
                                           "_NAME",
                                           "_VERSION",
                                           NULL };
static const char *const bit_names[] = { "arshift", "band", "bnot",   "bor",   "bswap", "bxor", "lshift",
                                         "rol",     "ror",  "rshift", "tobit", "tohex", NULL };

static const luaL_Reg safe_functions[] = {
    { "collectgarbage", safe_collectgarbage },
    { "getmetatable", safe_getmetatable }, { "load", safe_load },     { "loadstring", safe_loadstring },
    { "next", safe_next },                 { "pcall", safe_pcall },   { "rawget", safe_rawget },
    { "rawset", safe_rawset },             { "setmetatable", safe_setmetatable },
    { "xpcall", safe_xpcall },
    { "unpack", mended_unpack },
    { "__redis__err__handler", handle_error }, { "__server__err__handler", handle_error },
    { NULL, NULL },
};

/* Copies the fields with these names from one table to another; both by absolute position. */
static void take_over(lua_State *L, int from, int to, const char *const *names) {
    for (; *names; names++) {
        lua_getfield(L, from, *names);
        lua_setfield(L, to, *names);
    }
}

/* The library on top is replaced by its allowed part, and that gets its name among the globals. */
static void add_library(lua_State *L, int globals, const char *name, const char *const *names) {
    int all = lua_gettop(L);
    lua_newtable(L);
    take_over(L, all, all + 1, names);
    if (strcmp(name, "table") == 0) {
        lua_pushcfunction(L, safe_insert);
        lua_setfield(L, -2, "insert");
    } else if (strcmp(name, "coroutine") == 0) {
        wrap_function(L, "resume", safe_resume);
        wrap_function(L, "create", safe_create);
        wrap_function(L, "wrap", safe_create);
    }
    mend_library(L, name);
    push_read_only(L);
    lua_setfield(L, globals, name);
    lua_pop(L, 1);
}

static void add_opened(lua_State *L, int globals, const char *name, const char *const *names) {
    lua_getglobal(L, name);
    add_library(L, globals, name, names);
}

static void add_returned(lua_State *L, int globals, lua_CFunction open, const char *name,
                         const char *const *names) {
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
    add_library(L, globals, name, names);
}

static void open_libraries(lua_State *L) {
    static const lua_CFunction open[] = { luaopen_base, luaopen_table, luaopen_string, luaopen_math,
                                          luaopen_os };
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        lua_pushcfunction(L, open[i]);
        lua_call(L, 0, 0);
    }
    open_random(L);
}

static void add_functions(lua_State *L, int globals) {
    take_over(L, LUA_GLOBALSINDEX, globals, base_names);
    for (const luaL_Reg *f = safe_functions; f->name; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, globals, f->name);
    }
    lua_getfield(L, globals, "next");
    lua_pushcclosure(L, safe_pairs, 1);
    lua_setfield(L, globals, "pairs");
}

static void add_own(lua_State *L, int globals) {
    open_cmsgpack(L);
    push_read_only(L);
    lua_setfield(L, globals, "cmsgpack");
    open_struct(L);
    push_read_only(L);
    lua_setfield(L, globals, "struct");
    push_api(L);
    push_read_only(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, globals, "redis");
    lua_setfield(L, globals, "server");
}

/* ("x"):upper() finds its function by the metatable of strings: it too is shown by a front only. */
static void protect_strings(lua_State *L, int globals) {
    lua_pushliteral(L, "");
    lua_newtable(L);
    lua_getfield(L, globals, "string");
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -1);
    push_read_only(L);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* The globals of a script. */
static void push_globals(lua_State *L) {
    open_libraries(L);
    lua_newtable(L);
    int globals = lua_gettop(L);
    add_functions(L, globals);
    add_opened(L, globals, "coroutine", coroutine_names);
    add_opened(L, globals, "string", string_names);
    add_opened(L, globals, "table", table_names);
    add_opened(L, globals, "math", math_names);
    add_opened(L, globals, "os", os_names);
    add_returned(L, globals, luaopen_cjson, "cjson", cjson_names);
    add_returned(L, globals, luaopen_bit, "bit", bit_names);
    add_own(L, globals);
    protect_strings(L, globals);
    refuse_unknown_fields(L);
}

/* The globals of a library's code while it loads: nearly nothing. */
static void push_load_globals(lua_State *L) {
    lua_newtable(L);
    push_load_api(L);
    refuse_unknown_fields(L);
    push_read_only(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "redis");
    lua_setfield(L, -2, "server");
    refuse_unknown_fields(L);
}

void open_sandbox(struct interpreter *in, lua_State *L) {
    push_globals(L);
    lua_pushvalue(L, -1);
    in->globals = luaL_ref(L, LUA_REGISTRYINDEX);
    push_load_globals(L);
    in->load_globals = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1); /* the front of the globals is what _G is, and what all code has for its globals */
    push_read_only(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "_G");
    lua_pushvalue(L, -1);
    in->front = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_replace(L, LUA_GLOBALSINDEX);
    lua_pop(L, 1);
    lua_pushcfunction(L, handle_error);
    in->error_handler = luaL_ref(L, LUA_REGISTRYINDEX);
}
