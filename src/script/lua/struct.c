/* struct.c: Lua values to and from C structs, as a format describes them.
 *
 * A format is read letter by letter, and ends at a NUL:
 *
 *   > <          big or little endian from here on (little at the start)
 *   ! !n         align what follows to its size, at most to n (8; no alignment at the start)
 *   b B h H l L  1, 2 and 8 bytes; small letters are signed
 *   T            as L
 *   i I in In    4 or n bytes, at most 32
 *   f d          floating point of 4 and 8 bytes
 *   s            a string up to its NUL
 *   c cn c0      a string of 1 or n bytes; c0: all of the string when packed, and when unpacked as many as
 *                the value before says, which is dropped
 *   x            one byte of padding
 *   blank        nothing
 *
 * The format comes from scripts, and so do data and position: each size is checked before it counts. */
#include "libraries.h"
#include "trivet/base/compiler.h"
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define INTEGER_SIZE_MAX 32
#define NATIVE_ALIGNMENT 8

/* How far a format is read, and what its last '<', '>' and '!' said. */
struct format {
    lua_State *L;
    const char *at;
    bool big_endian;
    size_t alignment; /* a power of two */
};

/* KIND_NONE: what is no value, known or not. */
enum kind { KIND_NONE, KIND_INTEGER, KIND_FLOAT, KIND_STRING, KIND_PADDING };

struct shape {
    enum kind kind;
    size_t size;
};

static const struct shape shapes[UCHAR_MAX + 1] = {
    ['b'] = { KIND_INTEGER, 1 },
    ['B'] = { KIND_INTEGER, 1 },
    ['h'] = { KIND_INTEGER, 2 },
    ['H'] = { KIND_INTEGER, 2 },
    ['i'] = { KIND_INTEGER, 4 }, /* or as many as the format says */
    ['I'] = { KIND_INTEGER, 4 },
    ['l'] = { KIND_INTEGER, 8 },
    ['L'] = { KIND_INTEGER, 8 },
    ['T'] = { KIND_INTEGER, 8 },
    ['f'] = { KIND_FLOAT, 4 },
    ['d'] = { KIND_FLOAT, 8 },
    ['c'] = { KIND_STRING, 1 }, /* or as many as the format says */
    ['s'] = { KIND_STRING, 0 },
    ['x'] = { KIND_PADDING, 1 },
};

struct option {
    char letter;
    enum kind kind;
    size_t size;    /* 0: not fixed, or no value */
    size_t padding; /* how many bytes go before it */
};

/* Not those of <ctype.h>, which depend on the locale. */
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

static size_t read_size(struct format *f, size_t otherwise) {
    if (!is_digit(*f->at)) return otherwise;
    int size = 0;
    for (; is_digit(*f->at); f->at++) {
        int digit = *f->at - '0';
        if (size > (INT_MAX - digit) / 10) luaL_error(f->L, "integral size overflow");
        size = size * 10 + digit;
    }
    return (size_t)size;
}

static size_t size_of_option(struct format *f, char letter) {
    size_t size = shapes[(unsigned char)letter].size;
    if (letter != 'c' && letter != 'i' && letter != 'I') return size;
    size = read_size(f, size);
    if (letter != 'c' && size > INTEGER_SIZE_MAX)
        luaL_error(f->L, "integral size %d is larger than limit of %d", (int)size, INTEGER_SIZE_MAX);
    return size;
}

/* Sizes that are no power of two are aligned too, to what the mask of their size gives. */
static size_t padding_of(const struct format *f, char letter, size_t size, size_t pos) {
    if (size == 0 || letter == 'c') return 0;
    size_t unit = size < f->alignment ? size : f->alignment;
    return (unit - (pos & (unit - 1))) & (unit - 1);
}

/* False at the end of the format. `pos` is how many bytes the options before it took. */
static bool next_option(struct format *f, size_t pos, struct option *out) {
    if (*f->at == '\0') return false;
    out->letter = *f->at++;
    out->kind = shapes[(unsigned char)out->letter].kind;
    out->size = size_of_option(f, out->letter);
    out->padding = padding_of(f, out->letter, out->size, pos);
    return true;
}

static void change_alignment(struct format *f) {
    size_t alignment = read_size(f, NATIVE_ALIGNMENT);
    if (alignment == 0 || (alignment & (alignment - 1)) != 0)
        luaL_error(f->L, "alignment %d is not a power of 2", (int)alignment);
    f->alignment = alignment;
}

/* An option that is no value: it changes how the next ones are read, or is unknown. */
static void change_format(struct format *f, char letter) {
    switch (letter) {
    case ' ': return;
    case '>': f->big_endian = true; return;
    case '<': f->big_endian = false; return;
    case '!': change_alignment(f); return;
    default: luaL_argerror(f->L, 1, lua_pushfstring(f->L, "invalid format option '%c'", letter));
    }
}

/* ---- pack ---- */

/* Where in `size` bytes the one stands that counts for 256 to the power of `i`. */
static size_t place_of_byte(size_t i, size_t size, bool big_endian) { return big_endian ? size - 1 - i : i; }

/* Bytes beyond the eighth are zero, for negative numbers too. */
static void add_bits(luaL_Buffer *b, uint64_t bits, size_t size, bool big_endian) {
    char bytes[INTEGER_SIZE_MAX];
    for (size_t i = 0; i < size; i++) {
        bytes[place_of_byte(i, size, big_endian)] = (char)(bits & 0xff);
        bits >>= 8;
    }
    luaL_addlstring(b, bytes, size);
}

static void add_zeros(luaL_Buffer *b, size_t count) {
    while (count-- > 0) luaL_addchar(b, '\0');
}

/* What a 64-bit machine makes of a number that no cast is defined for: too small and NaN give the smallest,
 * too big gives zero. */
static uint64_t integer_bits(double n) {
    if (n >= 0) return n < 0x1p64 ? (uint64_t)n : 0;
    return n >= -0x1p63 ? (uint64_t)(int64_t)n : UINT64_C(1) << 63;
}

static uint64_t float_bits(double n, size_t size) {
    uint64_t bits = 0;
    if (size == sizeof(float)) {
        float narrow = (float)n;
        uint32_t narrow_bits;
        memcpy(&narrow_bits, &narrow, sizeof narrow);
        return narrow_bits;
    }
    memcpy(&bits, &n, sizeof n);
    return bits;
}

/* The size that the string took. */
static size_t add_string(luaL_Buffer *b, const struct format *f, int arg, struct option option) {
    size_t len;
    const char *text = luaL_checklstring(f->L, arg, &len);
    size_t size = option.size == 0 ? len : option.size;
    luaL_argcheck(f->L, len >= size, arg + 1, "string too short");
    luaL_addlstring(b, text, size);
    if (option.letter != 's') return size;
    luaL_addchar(b, '\0');
    return size + 1;
}

/* pack(format, ...) */
static int struct_pack(lua_State *L) {
    struct format f = { L, luaL_checkstring(L, 1), false, 1 };
    struct option option;
    luaL_Buffer b;
    size_t pos = 0;
    int arg = 2;
    lua_pushnil(L); /* what a missing argument is, and not a piece of the buffer */
    luaL_buffinit(L, &b);
    while (next_option(&f, pos, &option)) {
        add_zeros(&b, option.padding);
        pos += option.padding + option.size;
        switch (option.kind) {
        case KIND_INTEGER:
            add_bits(&b, integer_bits(luaL_checknumber(L, arg++)), option.size, f.big_endian);
            break;
        case KIND_FLOAT:
            add_bits(&b, float_bits(luaL_checknumber(L, arg++), option.size), option.size, f.big_endian);
            break;
        case KIND_STRING: pos += add_string(&b, &f, arg++, option) - option.size; break;
        case KIND_PADDING: luaL_addchar(&b, '\0'); break;
        case KIND_NONE: change_format(&f, option.letter);
        }
    }
    luaL_pushresult(&b);
    return 1;
}

/* ---- unpack ---- */

/* Of an integer of more than eight bytes the upper ones do not count. */
static uint64_t get_bits(const char *bytes, size_t size, bool big_endian) {
    uint64_t bits = 0;
    for (size_t i = size; i-- > 0;)
        bits = bits << 8 | (unsigned char)bytes[place_of_byte(i, size, big_endian)];
    return bits;
}

static void push_integer(lua_State *L, uint64_t bits, const struct option *option) {
    if (is_upper(option->letter)) {
        lua_pushnumber(L, (double)bits);
        return;
    }
    /* The sign of 9 to 31 bytes would be above the 64 bits: it is looked for where a machine's shift, which
     * counts modulo 64, puts it, since that is the number that scripts get from other servers. */
    uint64_t sign_and_above = UINT64_MAX << ((option->size * 8 - 1) & 63);
    if (bits & sign_and_above) bits |= sign_and_above;
    lua_pushnumber(L, (double)(int64_t)bits);
}

static void push_float(lua_State *L, uint64_t bits, size_t size) {
    double n;
    if (size == sizeof(float)) {
        uint32_t narrow_bits = (uint32_t)bits;
        float narrow;
        memcpy(&narrow, &narrow_bits, sizeof narrow);
        n = (double)narrow;
    } else {
        memcpy(&n, &bits, sizeof n);
    }
    lua_pushnumber(L, n);
}

struct data {
    const char *bytes;
    size_t len, pos;
    int values; /* on the stack */
};

static void check_left(lua_State *L, const struct data *in, size_t size) {
    luaL_argcheck(L, size <= in->len && in->pos <= in->len - size, 2, "data string too short");
}

/* For c0: how many bytes the value before says, which leaves the stack. */
static size_t pop_size(lua_State *L, struct data *in) {
    if (in->values == 0 || !lua_isnumber(L, -1)) luaL_error(L, "format 'c0' needs a previous size");
    uint64_t size = integer_bits(lua_tonumber(L, -1));
    lua_pop(L, 1);
    in->values--;
    check_left(L, in, size);
    return size;
}

/* Returns how many bytes the string took. */
static size_t push_string(lua_State *L, struct data *in, const struct option *option) {
    size_t size = option->size;
    if (option->letter == 'c') {
        if (size == 0) size = pop_size(L, in);
        lua_pushlstring(L, in->bytes + in->pos, size);
        return size;
    }
    const char *begin = in->bytes + in->pos;
    const char *end = memchr(begin, '\0', in->len - in->pos);
    if (!end) luaL_error(L, "unfinished string in data");
    lua_pushlstring(L, begin, (size_t)(end - begin));
    return (size_t)(end - begin) + 1;
}

/* Pushes the value of an option; false if it has none. Changes in->pos. */
static bool push_value(struct format *f, struct data *in, const struct option *option) {
    lua_State *L = f->L;
    const char *at = in->bytes + in->pos;
    switch (option->kind) {
    case KIND_INTEGER: push_integer(L, get_bits(at, option->size, f->big_endian), option); break;
    case KIND_FLOAT: push_float(L, get_bits(at, option->size, f->big_endian), option->size); break;
    case KIND_STRING: in->pos += push_string(L, in, option); return true;
    case KIND_PADDING: in->pos += option->size; return false;
    case KIND_NONE: change_format(f, option->letter); return false;
    }
    in->pos += option->size;
    return true;
}

/* unpack(format, data[, position]): the values, then the position behind them. A position counts from 1, and
 * as an unsigned number: a negative one is far beyond the end. */
static int struct_unpack(lua_State *L) {
    struct format f = { L, luaL_checkstring(L, 1), false, 1 };
    struct option option;
    struct data in = { .values = 0 };
    in.bytes = luaL_checklstring(L, 2, &in.len);
    size_t position = (size_t)luaL_optinteger(L, 3, 1);
    luaL_argcheck(L, position > 0, 3, "offset must be 1 or greater");
    in.pos = position - 1;
    while (next_option(&f, in.pos, &option)) {
        in.pos += option.padding;
        check_left(L, &in, option.size);
        luaL_checkstack(L, 2, "too many results");
        if (push_value(&f, &in, &option)) in.values++;
    }
    lua_pushinteger(L, (lua_Integer)(in.pos + 1));
    return in.values + 1;
}

/* ---- size ---- */

/* size(format). Letters and digits that are no option take no room here; pack and unpack refuse them. */
static int struct_size(lua_State *L) {
    struct format f = { L, luaL_checkstring(L, 1), false, 1 };
    struct option option;
    size_t pos = 0;
    while (next_option(&f, pos, &option)) {
        char letter = option.letter;
        luaL_argcheck(L, letter != 's', 1, "option 's' has no fixed size");
        luaL_argcheck(L, letter != 'c' || option.size > 0, 1, "option 'c0' has no fixed size");
        if (!is_lower(letter) && !is_upper(letter) && !is_digit(letter)) change_format(&f, letter);
        pos += option.padding + option.size;
    }
    lua_pushinteger(L, (lua_Integer)pos);
    return 1;
}

int open_struct(lua_State *L) {
    static const luaL_Reg functions[] = {
        { "pack", struct_pack },
        { "unpack", struct_unpack },
        { "size", struct_size },
        { NULL, NULL },
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
