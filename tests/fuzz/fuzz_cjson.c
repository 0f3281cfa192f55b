/* fuzz_cjson.c: JSON, for the library that scripts get: the bytes themselves, and a text that they describe.
 *
 * The library is compiled without the fuzzer's feedback, so plain bytes seldom get past its first token. A
 * text that is built from them by the grammar does, and then one byte of it is damaged, or none. What was
 * decoded and encoded is decoded and encoded once more, and is the same. */
#include "scripted.h"
#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <lua-cjson.h>

static const char chunk[] = "local text = ... "
                            "local ok, value = pcall(cjson.decode, text) "
                            "if not ok then return end "
                            /* NaN and infinite numbers are taken, but not written. */
                            "local written, first = pcall(cjson.encode, value) "
                            "if not written then return end "
                            "local once = cjson.decode(first) "
                            "assert(same(once, cjson.decode(cjson.encode(once)), 2000), 'there and back') ";

/* Forms that a parser may trip over. The first stands for all that is missing. */
static const char *const atoms[] = {
    "null", "true", "false", "nul", "0", "-0", "-", "00", "1e5", "1E+400", "-1.5e-300", "0x1F", "1.", ".5",
    "nan", "-inf", "Infinity", "123456789012345678901234567890", "0.1000000000000000055511151231257827",
    "\"\"", "\"\\u00e9\\uD83D\\uDE00\"", "\"\\ud800\"", "\"\\ude00\\ud83d\"", "\"\\u0000\"",
    "\"\\/\\b\\f\\n\\r\\t\\\\\\\"\"", "\"\\x\"", "\"\\u12\"", "\"\x7f\x1f\xff\"", "\"1\"", "[]", "{}", "\"",
};

struct source {
    const uint8_t *at, *end;
};

static uint8_t next_byte(struct source *s) { return s->at < s->end ? *s->at++ : 0; }

static void write_text(struct buf *out, const char *text) { buf_append(out, slice_of(text)); }

static void write_atom(struct source *s, struct buf *out) {
    write_text(out, atoms[next_byte(s) % COUNT_OF(atoms)]);
}

/* Any bytes in quotes, so also a quote. */
static void write_string(struct source *s, struct buf *out) {
    write_text(out, "\"");
    for (int left = next_byte(s) % 16; left > 0; left--) {
        char byte = (char)next_byte(s);
        buf_append(out, slice_make(&byte, 1));
    }
    write_text(out, "\"");
}

static void write_value(struct source *s, struct buf *out) {
    int kind = next_byte(s) % 6;
    if (kind < 2) {
        write_atom(s, out);
        return;
    }
    if (kind == 2) {
        write_string(s, out);
        return;
    }
    int count = next_byte(s) % 4;
    write_text(out, kind == 3 ? "{" : "[");
    for (int i = 0; i < count; i++) {
        if (i > 0) write_text(out, ", ");
        if (kind == 3) {
            write_string(s, out);
            write_text(out, ":");
        }
        write_value(s, out);
    }
    write_text(out, kind == 3 ? "}" : "]");
}

static void damage(struct source *s, struct buf *text) {
    if (next_byte(s) % 2 == 0) return;
    size_t place = (size_t)next_byte(s) << 8 | next_byte(s);
    text->ptr[place % text->len] = (char)next_byte(s);
}

static lua_State *L;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    L = scripted_begin(luaopen_cjson, "cjson");
    scripted_load(L, chunk);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct source s = { data, data + size };
    struct buf text = { 0 };
    lua_pushlstring(L, (const char *)data, size);
    scripted_run(L, 1);
    write_value(&s, &text);
    damage(&s, &text);
    lua_pushlstring(L, text.ptr, text.len);
    buf_release(&text);
    scripted_run(L, 1);
    return 0;
}
