/* fixture.h: expressions of scripts, beside what they give.
 *
 * A result is written as text: strings in quotes, with <ff> for a byte that is not printable; tables with
 * their keys in order; several values with blanks between them; "error: " and the text without its position.
 * All results are those of redis-server 7.0. */
#ifndef TESTS_UNIT_SCRIPT_LUA_FIXTURE_H
#define TESTS_UNIT_SCRIPT_LUA_FIXTURE_H

#include "script/lua/libraries.h"
#include "trivet/base/compiler.h"
#include <lauxlib.h>
#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct example {
    const char *expression, *result;
};

/* show(...) writes values as the examples have them; attempt(f) what f returns or raises. */
static const char fixture_prelude[] =
    "local function byte(c) return string.format('<%02x>', string.byte(c)) end "
    "local show "
    "local function pairs_of(t) "
    "  local out = {} "
    "  for k, v in pairs(t) do out[#out + 1] = show(k) .. '=' .. show(v) end "
    "  table.sort(out) "
    "  return '{' .. table.concat(out, ', ') .. '}' "
    "end "
    "function show(v) "
    "  if type(v) == 'string' then return \"'\" .. v:gsub('[^ -;=?-~]', byte) .. \"'\" end "
    "  if type(v) == 'number' then return string.format('%.17g', v) end "
    "  if type(v) == 'table' then return pairs_of(v) end "
    "  return tostring(v) "
    "end "
    "local function all(ok, ...) "
    "  if not ok then return 'error: ' .. tostring((...)):gsub('^[%w_]+:%d+: ', '') end "
    "  local out = {} "
    "  for i = 1, select('#', ...) do out[i] = show((select(i, ...))) end "
    "  return table.concat(out, ' ') "
    "end "
    "function attempt(f) return (all(pcall(f))) end ";

/* Where the interpreter's memory comes from: the heap, until `left` blocks were given out. */
struct allowance {
    size_t left;
};

static inline void *allowed_alloc(void *user, void *old, size_t old_size, size_t size) {
    struct allowance *a = user;
    if (size == 0) {
        free(old);
        return NULL;
    }
    if (size > old_size && a->left-- == 0) {
        a->left = 0;
        return NULL;
    }
    return realloc(old, size);
}

static inline lua_State *new_interpreter(struct allowance *allowance) {
    allowance->left = SIZE_MAX;
    lua_State *L = lua_newstate(allowed_alloc, allowance);
    assert_non_null(L);
    luaL_openlibs(L);
    assert_int_equal(open_cmsgpack(L), 1);
    lua_setglobal(L, "cmsgpack");
    assert_int_equal(open_struct(L), 1);
    lua_setglobal(L, "struct");
    open_random(L);
    assert_int_equal(lua_gettop(L), 0);
    if (luaL_dostring(L, fixture_prelude)) fail_msg("%s", lua_tostring(L, -1));
    return L;
}

/* Pushes the result of an expression, as text. */
static inline const char *result_of(lua_State *L, const char *expression) {
    lua_pushfstring(L, "return attempt(function() return %s end)", expression);
    if (luaL_loadbuffer(L, lua_tostring(L, -1), lua_objlen(L, -1), "=test") || lua_pcall(L, 0, 1, 0))
        fail_msg("%s: %s", expression, lua_tostring(L, -1));
    return lua_tostring(L, -1);
}

static inline void check_examples(const struct example *examples, size_t count) {
    struct allowance allowance;
    lua_State *L = new_interpreter(&allowance);
    for (size_t i = 0; i < count; i++) {
        const char *result = result_of(L, examples[i].expression);
        if (strcmp(result, examples[i].result) != 0)
            fail_msg("%s gives\n  %s, not\n  %s", examples[i].expression, result, examples[i].result);
        lua_settop(L, 0);
    }
    lua_close(L);
}

/* Runs a chunk with memory for no block, for one, for two..., until it ends well. */
static inline void check_out_of_memory(const char *chunk) {
    struct allowance allowance;
    int status = LUA_ERRMEM;
    for (size_t blocks = 0; status == LUA_ERRMEM; blocks++) {
        lua_State *L = new_interpreter(&allowance);
        assert_int_equal(luaL_loadstring(L, chunk), 0);
        allowance.left = blocks;
        status = lua_pcall(L, 0, 0, 0);
        lua_close(L);
    }
    assert_int_equal(status, 0);
}

#endif
