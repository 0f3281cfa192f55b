/* random.c: math.random and math.randomseed, by the public generator drand48(3).
 *
 * Scripts see the same numbers on every machine and after every start, as they do on other servers: a script
 * that was tested with one seed gives the same result here. All interpreters draw from one state, whose step
 * is one compare-and-swap, so that no number is given out twice while workers run scripts side by side. */
#include "libraries.h"
#include <lauxlib.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>

#define STATE_MASK ((UINT64_C(1) << 48) - 1)
#define MULTIPLIER UINT64_C(0x5DEECE66D)
#define INCREMENT 0xB
/* What is below the seed's 32 bits. */
#define SEED_TAIL 0x330E

static _Atomic uint64_t state = UINT64_C(0x1234ABCD330E);

/* The upper 31 of the 48 bits: the lower ones of such a generator have short periods. */
static uint32_t draw(void) {
    uint64_t now = atomic_load(&state), next;
    do next = (now * MULTIPLIER + INCREMENT) & STATE_MASK;
    while (!atomic_compare_exchange_weak(&state, &now, next));
    return (uint32_t)(next >> 17);
}

static double draw_fraction(void) { return (double)(draw() % INT32_MAX) / INT32_MAX; }

static int32_t check_int32(lua_State *L, int arg) { return (int32_t)luaL_checkinteger(L, arg); }

/* A whole number of low..high. Their distance wraps at 32 bits, as scripts see it elsewhere. */
static int push_between(lua_State *L, double fraction, int32_t low, int32_t high) {
    int32_t count = (int32_t)((uint32_t)high - (uint32_t)low + 1);
    lua_pushnumber(L, floor(fraction * count) + low);
    return 1;
}

/* random(), random(high), random(low, high): a number is drawn even if the arguments are refused then. */
static int math_random(lua_State *L) {
    double fraction = draw_fraction();
    int32_t low = 1, high;
    switch (lua_gettop(L)) {
    case 0: lua_pushnumber(L, fraction); return 1;
    case 1:
        high = check_int32(L, 1);
        luaL_argcheck(L, low <= high, 1, "interval is empty");
        return push_between(L, fraction, low, high);
    case 2:
        low = check_int32(L, 1);
        high = check_int32(L, 2);
        luaL_argcheck(L, low <= high, 2, "interval is empty");
        return push_between(L, fraction, low, high);
    default: return luaL_error(L, "wrong number of arguments");
    }
}

/* randomseed(seed) */
static int math_randomseed(lua_State *L) {
    uint64_t seed = (uint32_t)check_int32(L, 1);
    atomic_store(&state, seed << 16 | SEED_TAIL);
    return 0;
}

void open_random(lua_State *L) {
    lua_getglobal(L, "math");
    lua_pushcfunction(L, math_random);
    lua_setfield(L, -2, "random");
    lua_pushcfunction(L, math_randomseed);
    lua_setfield(L, -2, "randomseed");
    lua_pop(L, 1);
}
