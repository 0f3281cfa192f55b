/* scripted.h: fuzzers of what scripts see. A chunk of Lua does the calls and asserts what must hold; an error
 * that leaves it is a finding. One interpreter serves all inputs. */
#ifndef TESTS_FUZZ_SCRIPTED_H
#define TESTS_FUZZ_SCRIPTED_H

#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* same(a, b, depth) compares two values; tables deeper than `depth` are not looked at. Of keys that are
 * tables, and so equal to nothing, only the number is. */
static const char scripted_prelude[] =
    "function same(a, b, depth) "
    "  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b or (a ~= a and b ~= b) end "
    "  if depth == 0 then return true end "
    "  local count_a, count_b = 0, 0 "
    "  for k, v in pairs(a) do "
    "    count_a = count_a + 1 "
    "    if type(k) ~= 'table' and not same(v, b[k], depth - 1) then return false end "
    "  end "
    "  for _ in pairs(b) do count_b = count_b + 1 end "
    "  return count_a == count_b "
    "end "
    "function same_list(a, b, depth) "
    "  if a.n ~= b.n then return false end "
    "  for i = 1, a.n do if not same(a[i], b[i], depth) then return false end end "
    "  return true "
    "end "
    "function list(...) return { n = select('#', ...), ... } end ";

static inline void scripted_give_up(lua_State *L) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
}

/* Makes the interpreter; `open` leaves the library on the stack, which becomes the global `name`. */
static inline lua_State *scripted_begin(lua_CFunction open, const char *name) {
    lua_State *L = luaL_newstate();
    if (!L) abort();
    luaL_openlibs(L);
    open(L);
    lua_setglobal(L, name);
    lua_settop(L, 0);
    if (luaL_dostring(L, scripted_prelude)) scripted_give_up(L);
    return L;
}

/* Sets the function that each input is given to. It stays on the stack. */
static inline void scripted_load(lua_State *L, const char *chunk) {
    if (luaL_loadstring(L, chunk)) scripted_give_up(L);
}

/* Calls it with the `count` values on top of it. */
static inline void scripted_run(lua_State *L, int count) {
    lua_pushvalue(L, 1);
    lua_insert(L, 2);
    if (lua_pcall(L, count, 0, 0)) scripted_give_up(L);
    lua_settop(L, 1);
}

#endif
