/* shebang.c: see shebang.h. */
#include "trivet/script/store/shebang.h"
#include "trivet/base/mem.h"
#include "trivet/resp/parser.h"
#include "trivet/script/lua/interpreter.h"
#include <ctype.h>

/* The words of the line, quoted as in a conf file. */
struct line_words {
    struct slice *word;
    size_t count;
    char *text; /* what the words are parts of */
};

static void words_release(struct line_words *w) {
    mem_free(w->word);
    mem_free(w->text);
}

static bool has_shebang(struct slice text) { return slice_starts_with(text, LIT("#!")); }

/* The first line, if it ends. */
static bool first_line(struct slice text, struct slice *line) {
    const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
    if (end) *line = slice_between(text.ptr, end);
    return end;
}

static struct slice after(struct slice word, struct slice prefix) {
    return slice_make(word.ptr + prefix.len, word.len - prefix.len);
}

/* "a,b,c"; an empty list is legal, an empty name is not. */
static bool read_flags(struct slice list, unsigned *flags, struct buf *error) {
    size_t at = 0;
    while (list.len > 0 && at <= list.len) {
        const char *comma = memchr(list.ptr + at, ',', list.len - at);
        struct slice name = slice_make(list.ptr + at, (comma ? (size_t)(comma - list.ptr) : list.len) - at);
        unsigned flag = script_flag_of(name);
        if (!flag) {
            buf_printf(error, "ERR Unexpected flag in script shebang: %.*s", SLICE_ARG(name));
            return false;
        }
        *flags |= flag;
        at += name.len + 1;
    }
    return true;
}

static bool fail(struct buf *error, const char *text) {
    buf_append(error, slice_of(text));
    return false;
}

static bool read_script_words(const struct line_words *w, unsigned *flags, struct buf *error) {
    if (!slice_equal(w->word[0], LIT("#!lua"))) {
        buf_printf(error, "ERR Unexpected engine in script shebang: %.*s", SLICE_ARG(w->word[0]));
        return false;
    }
    for (size_t i = 1; i < w->count; i++) {
        if (!slice_starts_with(w->word[i], LIT("flags="))) {
            buf_printf(error, "ERR Unknown lua shebang option: %.*s", SLICE_ARG(w->word[i]));
            return false;
        }
        if (!read_flags(after(w->word[i], LIT("flags=")), flags, error)) return false;
    }
    return true;
}

bool shebang_of_script(struct slice source, struct shebang *out, struct buf *error) {
    struct slice line;
    struct line_words words;
    *out = (struct shebang){ .flags = SCRIPT_COMPATIBLE };
    if (!has_shebang(source)) return true;
    if (!first_line(source, &line)) return fail(error, "ERR Invalid script shebang");
    if (!split_line(line, &words.word, &words.count, &words.text))
        return fail(error, "ERR Invalid engine in script shebang");
    unsigned flags = 0;
    bool good = read_script_words(&words, &flags, error);
    if (good) *out = (struct shebang){ .flags = flags, .len = line.len };
    words_release(&words);
    return good;
}

bool script_name_is_valid(struct slice name) {
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '_') return false;
    return name.len > 0;
}

static bool is_name_option(struct slice word) {
    static const struct slice option = LIT_INIT("name=");
    return word.len >= option.len && slice_equal_nocase(slice_make(word.ptr, option.len), option);
}

static bool read_name(const struct line_words *w, struct slice *name, struct buf *error) {
    for (size_t i = 1; i < w->count; i++) {
        if (!is_name_option(w->word[i])) {
            buf_printf(error, "ERR Invalid metadata value given: %.*s", SLICE_ARG(w->word[i]));
            return false;
        }
        if (name->ptr)
            return fail(error, "ERR Invalid metadata value, name argument was given multiple times");
        *name = after(w->word[i], LIT("name="));
    }
    if (!name->ptr) return fail(error, "ERR Library name was not given");
    return script_name_is_valid(*name) ||
           fail(error,
                "ERR Library names can only contain letters, numbers, or underscores(_) and must be at "
                "least one character long");
}

static bool read_library_words(const struct line_words *w, struct slice *name, struct buf *error) {
    if (!read_name(w, name, error)) return false;
    struct slice engine = after(w->word[0], LIT("#!"));
    if (slice_equal_nocase(engine, LIT("lua"))) return true;
    buf_printf(error, "ERR Engine '%.*s' not found", SLICE_ARG(engine));
    return false;
}

bool shebang_of_library(struct slice code, struct shebang *out, struct buf *error) {
    struct slice line, name = { NULL, 0 };
    struct line_words words;
    if (!has_shebang(code)) return fail(error, "ERR Missing library metadata");
    if (!first_line(code, &line) || !split_line(line, &words.word, &words.count, &words.text))
        return fail(error, "ERR Invalid library metadata");
    bool good = read_library_words(&words, &name, error);
    if (good) *out = (struct shebang){ .name = slice_make(slice_to_cstr(name), name.len), .len = line.len };
    words_release(&words);
    return good;
}
