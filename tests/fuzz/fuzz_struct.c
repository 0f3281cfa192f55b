/* fuzz_struct.c: random formats over random data: a position, the format's length, the format, the data.
 *
 * Where a format has no c0, which drops values, what was unpacked is packed to as many bytes as were read,
 * and unpacked again the same. Numbers that a double does not hold exactly are not compared. */
#include "script/lua/libraries.h"
#include "scripted.h"

static const char chunk[] =
    "local format, data, position = ... "
    "pcall(struct.unpack, format, data, position) "
    "pcall(struct.pack, format, data, data, position, position, data, position, position, data) "
    "pcall(struct.pack, format, position, position, data, data, position, position, position, data) "
    "local sized, size = pcall(struct.size, format) "
    "local values = list(pcall(struct.unpack, format, data)) "
    "if not values[1] then return end "
    "local behind = values[values.n] "
    "assert(behind >= 1 and behind <= #data + 1, 'behind the data') "
    "if sized then assert(size == behind - 1, 'size') end "
    "if format:find('c0') then return end "
    "local packed = struct.pack(format, unpack(values, 2, values.n - 1)) "
    "assert(#packed == behind - 1, 'bytes of pack') "
    "local again = list(pcall(struct.unpack, format, packed)) "
    "for i = 1, values.n do "
    "  local v = values[i] "
    "  if type(v) == 'number' and math.abs(v) > 2^53 then again[i] = v end "
    "end "
    "assert(same_list(values, again, 1), 'there and back') ";

static lua_State *L;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    L = scripted_begin(open_struct, "struct");
    scripted_load(L, chunk);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const char *rest = (const char *)data + 2;
    size_t len = data[1] < size - 2 ? data[1] : size - 2;
    lua_pushlstring(L, rest, len);
    lua_pushlstring(L, rest + len, size - 2 - len);
    lua_pushinteger(L, (int8_t)data[0]);
    scripted_run(L, 3);
    return 0;
}
