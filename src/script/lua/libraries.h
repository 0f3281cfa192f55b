/* libraries.h: what scripts find in their interpreter besides Lua's own libraries: cmsgpack, struct, and the
 * random numbers of `math`. They answer as redis-server 7.0 does, down to the texts of their errors.
 *
 * Owner: the interpreter; whatever is allocated, is allocated by it, so nothing leaks when an error jumps
 * out. Thread: the interpreter's. Only the state of the random numbers is one for all interpreters, and
 * atomic. Errors: as Lua errors, out of the functions that scripts call; memory may run out in any of them.
 */
#ifndef SCRIPT_LUA_LIBRARIES_H
#define SCRIPT_LUA_LIBRARIES_H

#include <lua.h>

/* Each leaves the table of its library on the stack, makes no global, and returns 1, as lua_CFunctions do. */
int open_cmsgpack(lua_State *L);
int open_struct(lua_State *L);
/* Replaces random and randomseed in the global table `math`, which must exist. */
void open_random(lua_State *L);

/* ---- mended.c: what crashes in the installed libraries ---- */

int mended_unpack(lua_State *L);
/* The function of that name in the table on top becomes the upvalue of `with`, which takes its place. */
void wrap_function(lua_State *L, const char *name, lua_CFunction with);
/* Replaces such functions of the library on top of the stack, which has this name. */
void mend_library(lua_State *L, const char *name);

#endif
