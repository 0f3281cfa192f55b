/* fuzz_cmsgpack.c: random bytes as MessagePack. What is taken must come one by one as it came at once, and be
 * the same after it was packed and unpacked, as deep as packing goes. */
#include "script/lua/libraries.h"
#include "scripted.h"

static const char chunk[] =
    "local bytes, offset, limit = ... "
    "pcall(cmsgpack.unpack_limit, bytes, limit, offset) "
    "local values = list(pcall(cmsgpack.unpack, bytes)) "
    "if not values[1] then return end "
    /* One by one. */
    "local at, singles = 0, { n = 1, true } "
    "while at >= 0 do "
    "  local got = list(cmsgpack.unpack_one(bytes, at)) "
    "  at = got[1] "
    "  if got.n == 2 then singles.n = singles.n + 1; singles[singles.n] = got[2] end "
    "end "
    "assert(same_list(values, singles, 16), 'one by one') "
    /* There and back; more than some thousand values do not fit on the stack twice. */
    "if values.n == 1 or values.n > 1000 then return end "
    "local packed = cmsgpack.pack(unpack(values, 2, values.n)) "
    "local again = list(pcall(cmsgpack.unpack, packed)) "
    /* A key that was a table in too many others became nil. */
    "if again[1] == false and again[2] == 'table index is nil' then return end "
    "assert(same_list(values, again, 15), 'there and back') ";

static lua_State *L;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    L = scripted_begin(open_cmsgpack, "cmsgpack");
    scripted_load(L, chunk);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    lua_pushlstring(L, (const char *)data + 2, size - 2);
    lua_pushinteger(L, (int8_t)data[0]);
    lua_pushinteger(L, (int8_t)data[1]);
    scripted_run(L, 3);
    return 0;
}
