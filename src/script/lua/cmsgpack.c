/* cmsgpack.c: Lua values to and from MessagePack, the public binary format.
 *
 * Packed, a value takes the shortest form that keeps it: whole numbers become integers, other numbers a float
 * of 4 bytes if that is exact. A table whose keys are 1 to n is an array, any other a map; what stands deeper
 * than DEPTH_MAX tables, and what has no form here (functions, threads, userdata), is nil. Unpacked, integers
 * become Lua's numbers, and one above 2^63 comes out negative. The bin and ext types are refused.
 *
 * Announced lengths are never believed: what is not there yet is an error, and a table grows by what came.
 * The stack of a Lua function ends at 8000 values, and scripts see at which call: so the calls of
 * luaL_checkstack stand where other servers have them, and name their functions. */
#include "libraries.h"
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DEPTH_MAX 16

/* First bytes. Those that hold a length or a number themselves are followed by others up to the next. */
enum tag {
    TAG_MAP = 0x80,
    TAG_ARRAY = 0x90,
    TAG_STRING = 0xa0,
    TAG_NIL = 0xc0,
    TAG_FALSE = 0xc2,
    TAG_TRUE = 0xc3,
    TAG_FLOAT = 0xca,
    TAG_DOUBLE = 0xcb,
    TAG_UINT8 = 0xcc, /* then of 16, 32 and 64 bits */
    TAG_INT8 = 0xd0,  /* then of 16, 32 and 64 bits */
    TAG_STRING8 = 0xd9,
    TAG_STRING16 = 0xda,
    TAG_STRING32 = 0xdb,
    TAG_ARRAY16 = 0xdc,
    TAG_ARRAY32 = 0xdd,
    TAG_MAP16 = 0xde,
    TAG_MAP32 = 0xdf,
    TAG_NEGATIVE = 0xe0,
};

/* ---- pack ---- */

/* The bytes so far. They are in `first` until they need more room, then in a userdata that stands in a place
 * of the stack, since an error may jump out of any call. */
struct packer {
    lua_State *L;
    char *bytes;
    size_t len, room;
    int place;
    int packed; /* arguments that are done */
    char first[512];
};

/* luaL_checkstack of a packer that would keep the packed arguments on the stack, as that of other servers
 * does: one value each, where this one has its place. */
static void need_stack(const struct packer *p, int values, const char *function) {
    int more = p->packed > 0 ? p->packed - 1 : 0;
    luaL_checkstack(p->L, values + more, function);
}

static void grow(struct packer *p, size_t more) {
    size_t room = p->room;
    while (room - p->len < more) room *= 2;
    luaL_checkstack(p->L, 1, "in function pack");
    char *bytes = lua_newuserdata(p->L, room);
    memcpy(bytes, p->bytes, p->len);
    lua_replace(p->L, p->place);
    p->bytes = bytes;
    p->room = room;
}

static void put(struct packer *p, const void *bytes, size_t len) {
    if (p->room - p->len < len) grow(p, len);
    memcpy(p->bytes + p->len, bytes, len);
    p->len += len;
}

/* A first byte and a big endian number of `size` bytes. */
static void put_tag(struct packer *p, int tag, uint64_t number, int size) {
    unsigned char bytes[9] = { (unsigned char)tag };
    for (int i = size; i > 0; i--) {
        bytes[i] = (unsigned char)(number & 0xff);
        number >>= 8;
    }
    put(p, bytes, (size_t)size + 1);
}

static void check_length(const struct packer *p, size_t length) {
    if (length > UINT32_MAX) luaL_error(p->L, "Value is too long for MessagePack.");
}

/* The head of an array or a map. */
static void put_count(struct packer *p, size_t count, enum tag fixed, enum tag wide) {
    check_length(p, count);
    if (count <= 15)
        put_tag(p, (int)fixed | (int)count, 0, 0);
    else if (count <= UINT16_MAX)
        put_tag(p, (int)wide, count, 2);
    else
        put_tag(p, (int)wide + 1, count, 4);
}

static void pack_string(struct packer *p) {
    size_t len;
    const char *text = lua_tolstring(p->L, -1, &len);
    check_length(p, len);
    if (len <= 31)
        put_tag(p, TAG_STRING | (int)len, 0, 0);
    else if (len <= UINT8_MAX)
        put_tag(p, TAG_STRING8, len, 1);
    else if (len <= UINT16_MAX)
        put_tag(p, TAG_STRING16, len, 2);
    else
        put_tag(p, TAG_STRING32, len, 4);
    put(p, text, len);
}

static void pack_integer(struct packer *p, int64_t n) {
    uint64_t bits = (uint64_t)n;
    int power;
    if (n >= -32 && n <= INT8_MAX) {
        put_tag(p, (int)(bits & 0xff), 0, 0);
    } else if (n >= 0) {
        power = n <= UINT8_MAX ? 0 : n <= UINT16_MAX ? 1 : n <= UINT32_MAX ? 2 : 3;
        put_tag(p, TAG_UINT8 + power, bits, 1 << power);
    } else {
        power = n >= INT8_MIN ? 0 : n >= INT16_MIN ? 1 : n >= INT32_MIN ? 2 : 3;
        put_tag(p, TAG_INT8 + power, bits, 1 << power);
    }
}

static void pack_float(struct packer *p, double n) {
    float narrow = (float)n;
    uint32_t narrow_bits;
    uint64_t bits;
    if ((double)narrow == n) {
        memcpy(&narrow_bits, &narrow, sizeof narrow);
        put_tag(p, TAG_FLOAT, narrow_bits, sizeof narrow);
    } else {
        memcpy(&bits, &n, sizeof n);
        put_tag(p, TAG_DOUBLE, bits, sizeof n);
    }
}

static void pack_number(struct packer *p, double n) {
    bool in_range = n >= -0x1p63 && n < 0x1p63;
    if (in_range && (double)(int64_t)n == n)
        pack_integer(p, (int64_t)n);
    else
        pack_float(p, n);
}

/* How many pairs the table on top has, and whether their keys are 1 to that number. */
static size_t count_pairs(const struct packer *p, bool *is_array) {
    lua_State *L = p->L;
    size_t count = 0;
    double highest = 0;
    bool whole = true;
    need_stack(p, 2, "in function table_is_an_array");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (key <= 0 || key != floor(key)) whole = false;
        if (key > highest) highest = key;
        count++;
    }
    *is_array = whole && highest == (double)count;
    return count;
}

static void pack_value(struct packer *p, int depth);

static void pack_array(struct packer *p, size_t count, int depth) {
    put_count(p, count, TAG_ARRAY, TAG_ARRAY16);
    for (size_t i = 1; i <= count; i++) {
        lua_pushnumber(p->L, (double)i);
        lua_rawget(p->L, -2);
        pack_value(p, depth);
    }
}

static void pack_map(struct packer *p, size_t count, int depth) {
    lua_State *L = p->L;
    need_stack(p, 3, "in function mp_encode_lua_table_as_map");
    put_count(p, count, TAG_MAP, TAG_MAP16);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        pack_value(p, depth); /* the key's copy: lua_next needs the key */
        pack_value(p, depth);
    }
}

static void pack_table(struct packer *p, int depth) {
    bool is_array;
    size_t count = count_pairs(p, &is_array);
    if (is_array)
        pack_array(p, count, depth);
    else
        pack_map(p, count, depth);
}

/* Packs the value on top of the stack, and pops it. `depth` is how many tables it is in. */
static void pack_value(struct packer *p, int depth) {
    lua_State *L = p->L;
    int type = lua_type(L, -1);
    if (type == LUA_TTABLE && depth == DEPTH_MAX) type = LUA_TNIL;
    switch (type) {
    case LUA_TSTRING: pack_string(p); break;
    case LUA_TBOOLEAN: put_tag(p, lua_toboolean(L, -1) ? TAG_TRUE : TAG_FALSE, 0, 0); break;
    case LUA_TNUMBER: pack_number(p, lua_tonumber(L, -1)); break;
    case LUA_TTABLE: pack_table(p, depth + 1); break;
    default: put_tag(p, TAG_NIL, 0, 0); break;
    }
    lua_pop(L, 1);
}

/* pack(...): the values one after the other, as one string. */
static int cmsgpack_pack(lua_State *L) {
    int count = lua_gettop(L);
    struct packer p = { .L = L, .bytes = p.first, .room = sizeof p.first, .place = count + 1 };
    if (count == 0) return luaL_argerror(L, 0, "MessagePack pack needs input.");
    if (!lua_checkstack(L, count)) return luaL_argerror(L, 0, "Too many arguments for MessagePack pack.");
    lua_pushnil(L);
    for (; p.packed < count; p.packed++) {
        lua_pushvalue(L, p.packed + 1);
        pack_value(&p, 0);
    }
    lua_pushlstring(L, p.bytes, p.len);
    return 1;
}

/* ---- unpack ---- */

struct reader {
    lua_State *L;
    const unsigned char *at, *end;
};

static size_t bytes_left(const struct reader *r) { return (size_t)(r->end - r->at); }

static const unsigned char *take(struct reader *r, size_t len) {
    if (bytes_left(r) < len) luaL_error(r->L, "Missing bytes in input.");
    const unsigned char *bytes = r->at;
    r->at += len;
    return bytes;
}

static uint64_t take_number(struct reader *r, size_t size) {
    const unsigned char *bytes = take(r, size);
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) number = number << 8 | bytes[i];
    return number;
}

static void unpack_string(struct reader *r, size_t len) {
    lua_pushlstring(r->L, (const char *)take(r, len), len);
}

static void unpack_value(struct reader *r);

static void unpack_array(struct reader *r, size_t count) {
    luaL_checkstack(r->L, 2, "in function mp_decode_to_lua_array");
    lua_newtable(r->L);
    for (size_t i = 1; i <= count; i++) {
        lua_pushnumber(r->L, (double)i);
        unpack_value(r);
        lua_rawset(r->L, -3);
    }
}

/* A key of nil or NaN is an error of Lua's. */
static void unpack_map(struct reader *r, size_t count) {
    luaL_checkstack(r->L, 1, "in function mp_decode_to_lua_hash");
    lua_newtable(r->L);
    for (size_t i = 0; i < count; i++) {
        unpack_value(r);
        unpack_value(r);
        lua_rawset(r->L, -3);
    }
}

/* Of 64 bits the uppermost is the sign, whatever the tag says. */
static void unpack_unsigned(struct reader *r, size_t size) {
    lua_pushnumber(r->L, (double)(int64_t)take_number(r, size));
}

static void unpack_signed(struct reader *r, size_t size) {
    int above = 64 - 8 * (int)size;
    uint64_t raised = take_number(r, size) << above;
    lua_pushnumber(r->L, (double)((int64_t)raised >> above));
}

static void unpack_float(struct reader *r) {
    uint32_t bits = (uint32_t)take_number(r, sizeof bits);
    float n;
    memcpy(&n, &bits, sizeof n);
    lua_pushnumber(r->L, (double)n);
}

static void unpack_double(struct reader *r) {
    uint64_t bits = take_number(r, sizeof bits);
    double n;
    memcpy(&n, &bits, sizeof n);
    lua_pushnumber(r->L, n);
}

/* A value whose first byte holds neither its length nor its number. */
static void unpack_tagged(struct reader *r, unsigned char tag) {
    switch (tag) {
    case TAG_NIL: lua_pushnil(r->L); return;
    case TAG_FALSE:
    case TAG_TRUE: lua_pushboolean(r->L, tag == TAG_TRUE); return;
    case TAG_FLOAT: unpack_float(r); return;
    case TAG_DOUBLE: unpack_double(r); return;
    case TAG_UINT8:
    case TAG_UINT8 + 1:
    case TAG_UINT8 + 2:
    case TAG_UINT8 + 3: unpack_unsigned(r, (size_t)1 << (tag - TAG_UINT8)); return;
    case TAG_INT8:
    case TAG_INT8 + 1:
    case TAG_INT8 + 2:
    case TAG_INT8 + 3: unpack_signed(r, (size_t)1 << (tag - TAG_INT8)); return;
    case TAG_STRING8:
    case TAG_STRING16:
    case TAG_STRING32: unpack_string(r, take_number(r, (size_t)1 << (tag - TAG_STRING8))); return;
    case TAG_ARRAY16:
    case TAG_ARRAY32: unpack_array(r, take_number(r, (size_t)2 << (tag - TAG_ARRAY16))); return;
    case TAG_MAP16:
    case TAG_MAP32: unpack_map(r, take_number(r, (size_t)2 << (tag - TAG_MAP16))); return;
    default: luaL_error(r->L, "Bad data format in input.");
    }
}

/* Pushes one value. */
static void unpack_value(struct reader *r) {
    unsigned char tag = *take(r, 1);
    luaL_checkstack(r->L, 1, "too many return values at once; use unpack_one or unpack_limit instead.");
    if (tag < TAG_MAP)
        lua_pushnumber(r->L, tag);
    else if (tag < TAG_ARRAY)
        unpack_map(r, tag & 0x0f);
    else if (tag < TAG_STRING)
        unpack_array(r, tag & 0x0f);
    else if (tag < TAG_NIL)
        unpack_string(r, tag & 0x1f);
    else if (tag < TAG_NEGATIVE)
        unpack_tagged(r, tag);
    else
        lua_pushnumber(r->L, (double)tag - 256);
}

/* Pushes up to `limit` values, from `offset` on, and before them where the next one begins, or -1 at the end.
 * Without a limit and from the start on: all values, and nothing before them. Returns how many it pushed. */
static int unpack_some(lua_State *L, lua_Integer limit, lua_Integer offset) {
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);
    bool all = limit == 0 && offset == 0;
    int count = 0;
    if (offset < 0 || limit < 0)
        luaL_error(L, "Invalid request to unpack with offset of %d and limit of %d.", (int)offset, (int)len);
    if ((size_t)offset > len)
        luaL_error(L, "Start offset %d greater than input length %d.", (int)offset, (int)len);

    const unsigned char *begin = (const unsigned char *)bytes;
    struct reader r = { L, begin + offset, begin + len };
    for (; bytes_left(&r) > 0 && (all || count < limit); count++) unpack_value(&r);
    if (all) return count;
    luaL_checkstack(L, 1, "in function mp_unpack_full");
    lua_pushinteger(L, bytes_left(&r) == 0 ? -1 : (lua_Integer)(r.at - begin));
    lua_insert(L, 2);
    return count + 1;
}

/* Leaves only the bytes on the stack: what is behind them would be taken for values. */
static void drop_options(lua_State *L) {
    if (lua_gettop(L) > 1) lua_settop(L, 1);
}

/* unpack(bytes) */
static int cmsgpack_unpack(lua_State *L) { return unpack_some(L, 0, 0); }

/* unpack_one(bytes[, offset]) */
static int cmsgpack_unpack_one(lua_State *L) {
    lua_Integer offset = luaL_optinteger(L, 2, 0);
    drop_options(L);
    return unpack_some(L, 1, offset);
}

/* unpack_limit(bytes, limit[, offset]) */
static int cmsgpack_unpack_limit(lua_State *L) {
    lua_Integer limit = luaL_checkinteger(L, 2);
    lua_Integer offset = luaL_optinteger(L, 3, 0);
    drop_options(L);
    return unpack_some(L, limit, offset);
}

static void set_field(lua_State *L, const char *name, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

/* The fields say what scripts may look for: with whose library this one agrees, and in which version. */
int open_cmsgpack(lua_State *L) {
    static const luaL_Reg functions[] = {
        { "pack", cmsgpack_pack },
        { "unpack", cmsgpack_unpack },
        { "unpack_one", cmsgpack_unpack_one },
        { "unpack_limit", cmsgpack_unpack_limit },
        { NULL, NULL },
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    set_field(L, "_NAME", "cmsgpack");
    set_field(L, "_VERSION", "lua-cmsgpack 0.4.0");
    set_field(L, "_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo");
    set_field(L, "_DESCRIPTION", "MessagePack C implementation for Lua");
    return 1;
}
