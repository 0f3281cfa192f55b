/* mended.c: functions of the installed Lua 5.1 and its libraries by which a script could crash the server or
 * take all memory: the same functions, without that. */
#include "libraries.h"
#include "trivet/base/compiler.h"
#include "trivet/engine/settings/options.h"
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* unpack(list [, from [, to]]): Lua's own counts the values in an int, which overflows. */
int mended_unpack(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int from = luaL_optint(L, 2, 1);
    int to = lua_isnoneornil(L, 3) ? (int)lua_objlen(L, 1) : luaL_checkint(L, 3);
    int64_t count = (int64_t)to - from + 1;
    if (count <= 0) return 0;
    if (count >= INT_MAX || !lua_checkstack(L, (int)count))
        return luaL_error(L, "too many results to unpack");
    for (int64_t i = 0; i < count; i++) lua_rawgeti(L, 1, (int)(from + i));
    return (int)count;
}

/* ---- patterns ---- */

#define PATTERN_STEPS_MAX 2000

/* Lua matches by recursion, as deep as the pattern has captures and repetitions, on the stack of the thread.
 */
static void check_pattern(lua_State *L) {
    static const char recursive[] = "()?*+-";
    if (lua_type(L, 2) != LUA_TSTRING) return; /* no pattern: the function complains, or it is a number */
    size_t len, steps = 0;
    const char *pattern = lua_tolstring(L, 2, &len);
    if (len <= PATTERN_STEPS_MAX) return;
    for (size_t i = 0; i < len; i++) steps += memchr(recursive, pattern[i], sizeof recursive - 1) != NULL;
    if (steps > PATTERN_STEPS_MAX) luaL_error(L, "pattern too complex");
}

/* The function is the upvalue. It runs in our place, so that its errors name it. */
static int with_pattern(lua_State *L) {
    check_pattern(L);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* find(text, pattern [, from [, plain]]) */
static int find(lua_State *L) {
    if (!lua_toboolean(L, 4)) check_pattern(L);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* ---- bit ---- */

/* tohex(number [, digits]): the library's own negates the number of digits, which the lowest int has no
 * negative of. */
static int tohex(lua_State *L) {
    if (lua_isnumber(L, 2) && !(lua_tonumber(L, 2) > -9 && lua_tonumber(L, 2) < 9)) {
        bool upper = lua_tonumber(L, 2) < 0;
        lua_settop(L, 1);
        lua_pushinteger(L, upper ? -8 : 8); /* what all that are longer mean */
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* ---- cjson ---- */

/* Its own, the same in every interpreter. */
static lua_CFunction cjson_encode, cjson_new;

#define VALUE_BYTES 16 /* what a value counts at least */

/* Takes what the value on top will have as text, about, from *left; false if there is not so much. A table
 * may be met many times, so a small one can become a long text. */
static bool weigh(lua_State *L, size_t *left) {
    size_t bytes = VALUE_BYTES + (lua_type(L, -1) == LUA_TSTRING ? lua_objlen(L, -1) : 0);
    if (bytes > *left) return false;
    *left -= bytes;
    if (!lua_istable(L, -1) || !lua_checkstack(L, 3)) return true; /* too deep: the library refuses it */
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (weigh(L, left)) continue;
        lua_pop(L, 2);
        return false;
    }
    return true;
}

/* cjson.encode(value): the library's own writes into memory that is not the interpreter's. */
static int encode(lua_State *L) {
    size_t left = options.script_memory_limit;
    if (lua_gettop(L) == 1 && lua_istable(L, 1) && !weigh(L, &left)) {
        lua_pushliteral(L, "not enough memory");
        return lua_error(L);
    }
    return cjson_encode(L);
}

/* Of the library on top. Our function gets the settings of the library's, its upvalue, and runs in its place.
 */
static void mend_cjson(lua_State *L) {
    lua_getfield(L, -1, "encode");
    cjson_encode = lua_tocfunction(L, -1);
    const char *has_settings = lua_getupvalue(L, -1, 1);
    assert(cjson_encode && has_settings);
    lua_pushcclosure(L, encode, 1);
    lua_setfield(L, -3, "encode");
    lua_pop(L, 1);
}

/* cjson.new() */
static int new_cjson(lua_State *L) {
    int results = cjson_new(L);
    mend_cjson(L);
    return results;
}

/* ---- putting them in place ---- */

void wrap_function(lua_State *L, const char *name, lua_CFunction with) {
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, with, 1);
    lua_setfield(L, -2, name);
}

void mend_library(lua_State *L, const char *name) {
    static const char *const with_patterns[] = { "match", "gmatch", "gfind", "gsub" };
    if (strcmp(name, "bit") == 0) wrap_function(L, "tohex", tohex);
    if (strcmp(name, "cjson") == 0) {
        mend_cjson(L);
        lua_getfield(L, -1, "new");
        cjson_new = lua_tocfunction(L, -1);
        lua_pop(L, 1);
        lua_pushcfunction(L, new_cjson);
        lua_setfield(L, -2, "new");
    }
    if (strcmp(name, "string") != 0) return;
    wrap_function(L, "find", find);
    for (size_t i = 0; i < sizeof with_patterns / sizeof *with_patterns; i++)
        wrap_function(L, with_patterns[i], with_pattern);
}
