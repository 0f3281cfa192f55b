/* file.c: settings from a config file, from standard input and from the command line.
 *
 * All three are the same text: one directive a line, a name and its values, quoted as redis-cli does. The
 * command line is turned into such a text first. A later line wins over an earlier one, and the command line
 * over the files. Reading stops at the first wrong line. What was read until then stays set: the server does
 * not start anyway. */
#include "rows.h"

#include "trivet/base/file.h"
#include "trivet/base/mem.h"
#include "trivet/resp/parser.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define INCLUDE_DEPTH_MAX 16

/* One options_load under way. */
struct loader {
    struct buf *warnings;
    struct buf *error;
    bool *is_named; /* by row: the directive has occurred before */
    unsigned depth; /* of includes */
};

/* One text being read. */
struct source {
    bool holds_password; /* found so far */
    const char *title;   /* what the error message calls it: "the configuration file" */
    bool has_lines;      /* false for the command line, which has no line numbers */
};

static char *config_path; /* absolute; NULL: none */

const char *options_file(void) { return config_path ? config_path : ""; }

/* ---- Reading and quoting ---- */

bool options_read_file(const char *path, struct buf *out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool done = file_read_all(fd, SIZE_MAX, out);
    int reason = errno;
    close(fd);
    errno = reason;
    return done;
}

/* The group that the server itself belongs to may read it: it is how a file of root's is given to it. In a
 * container, where there are no others, secrets lie in this folder, readable by all. */
void options_warn_readable(const char *what, const char *path, const char *held, struct buf *warnings) {
    struct stat facts;
    if (!warnings || slice_starts_with(slice_of(path), LIT("/run/secrets/"))) return;
    if (!path[0] || stat(path, &facts) != 0) return;
    bool by_group = (facts.st_mode & S_IRGRP) && facts.st_gid != getegid();
    if (!by_group && !(facts.st_mode & S_IROTH)) return;
    buf_printf(warnings,
               "The %s '%s' holds %s, and other users of this machine can read it. To keep it from "
               "them: chmod %s '%s'\n",
               what, path, held, by_group ? "go-r" : "o-r", path);
}

static bool is_plain(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_./:-*%,@+=$~", c));
}

static void quoted_append(struct buf *out, struct slice word) {
    static const char codes[] = "\n\r\t\a\b\\\"", letters[] = "nrtab\\\"";
    buf_append_byte(out, '"');
    for (size_t i = 0; i < word.len; i++) {
        unsigned char c = (unsigned char)word.ptr[i];
        const char *code = c ? strchr(codes, c) : NULL;
        if (code)
            buf_printf(out, "\\%c", letters[code - codes]);
        else if (c >= ' ' && c < 0x7f)
            buf_append_byte(out, (char)c);
        else
            buf_printf(out, "\\x%02x", c);
    }
    buf_append_byte(out, '"');
}

void word_append(struct buf *out, struct slice word) {
    bool plain = word.len > 0;
    for (size_t i = 0; plain && i < word.len; i++) plain = is_plain((unsigned char)word.ptr[i]);
    if (plain)
        buf_append(out, word);
    else
        quoted_append(out, word);
}

/* ---- One line ---- */

static const struct {
    const char *name;
    const char *why;
} refused[] = {
    { "loadmodule", "modules are not supported" },
    { "sentinel", "Sentinel mode is not built in" },
};

/* Settings that Valkey accepts only for old config files. They are not rows. */
static const char *const retired[] = {
    "io-threads-do-reads",
    "lua-replicate-commands",
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
};

static void warn_no_effect(struct loader *l, const char *name) {
    if (l->warnings) buf_printf(l->warnings, "'%s' is accepted but has no effect in Trivet\n", name);
}

/* A second `save` line adds to the first; an empty one starts afresh. */
static bool store_added(const struct option *o, struct slice *argv, size_t argc, struct buf *why) {
    struct buf text = { 0 };
    assert(o->flags & OPTION_MULTI_ARG);
    option_stored(o, &text);
    for (size_t i = 0; i < argc; i++) {
        buf_append_byte(&text, ' ');
        buf_append(&text, argv[i]);
    }
    bool stored = option_store_text(o, buf_slice(&text), why);
    buf_release(&text);
    return stored;
}

static bool load_option(struct loader *l, const struct option *o, struct slice *argv, size_t argc,
                        struct buf *why) {
    static struct slice nothing = LIT_INIT("");
    if (argc == 0 && (o->flags & OPTION_REPEATS)) { /* `save` alone is `save ""` */
        argv = &nothing;
        argc = 1;
    }
    bool *is_named = &l->is_named[options_row_index(o)];
    bool adds = (o->flags & OPTION_REPEATS) && *is_named && !(argc == 1 && argv[0].len == 0);
    if ((o->flags & OPTION_NO_EFFECT) && !*is_named) warn_no_effect(l, o->name);
    *is_named = true;
    if (l->depth > 0) option_mark_included(o);
    if (argc == 0) return option_refuse(why, "wrong number of arguments");
    if (adds) return store_added(o, argv, argc, why);
    return argc == 1 ? option_store_text(o, argv[0], why) : option_store(o, argv, argc, why);
}

static bool include(struct loader *l, struct slice pattern, struct buf *why);

static bool rename_command(struct slice name, struct slice fresh, struct buf *why) {
    if (!options_hooks.rename_command) return option_refuse(why, "No such command in rename-command");
    return options_hooks.rename_command(name, fresh, why);
}

static bool add_user(const struct slice *words, size_t count, struct buf *why) {
    return !options_hooks.user_line || options_hooks.user_line(words, count, why);
}

static bool load_words(struct loader *l, struct slice *argv, size_t argc, struct buf *why) {
    const struct option *o = options_find(argv[0]);
    if (o) return load_option(l, o, argv + 1, argc - 1, why);
    if (slice_equal_nocase(argv[0], LIT("include")) && argc == 2) return include(l, argv[1], why);
    if (slice_equal_nocase(argv[0], LIT("rename-command")) && argc == 3)
        return rename_command(argv[1], argv[2], why);
    if (slice_equal_nocase(argv[0], LIT("user")) && argc > 1) return add_user(argv + 1, argc - 1, why);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        if (slice_equal_nocase(argv[0], slice_of(refused[i].name))) return option_refuse(why, refused[i].why);
    for (size_t i = 0; i < COUNT_OF(retired); i++) {
        if (!slice_equal_nocase(argv[0], slice_of(retired[i])) || argc != 2) continue;
        warn_no_effect(l, retired[i]);
        return true;
    }
    return option_refuse(why, "Bad directive or wrong number of arguments");
}

static struct slice trim_blanks(struct slice s) {
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[0]) && s.ptr[0]) s.ptr++, s.len--;
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[s.len - 1]) && s.ptr[s.len - 1]) s.len--;
    return s;
}

static bool load_line(struct loader *l, struct slice line, struct buf *why) {
    if (line.len == 0 || line.ptr[0] == '#') return true;
    struct slice *argv;
    size_t argc;
    char *text;
    if (!split_line(line, &argv, &argc, &text))
        return option_refuse(why, "Unbalanced quotes in configuration line");
    bool loaded = argc == 0 || load_words(l, argv, argc, why);
    mem_free(argv);
    mem_free(text);
    return loaded;
}

/* ---- One text ---- */

/* The directive's name if the line may hold a password, else nothing. What we write to standard error may end
 * in the log of whoever started us. */
static struct slice secret_name(struct slice line) {
    struct slice name = slice_make(line.ptr, 0);
    while (name.len < line.len && !strchr(" \t\"'", line.ptr[name.len])) name.len++;
    bool has_password = !slice_equal_nocase(name, LIT("user")) || memchr(line.ptr, '>', line.len) ||
                        memchr(line.ptr, '<', line.len);
    if (!options_is_secret(name) || !has_password) name.len = 0;
    return name;
}

/* An empty one is none. */
static bool says_password(struct slice line) {
    struct slice name = secret_name(line), value = line;
    if (name.len == 0) return false;
    value.ptr += name.len, value.len -= name.len;
    value = trim_blanks(value);
    return value.len > 0 && !slice_equal(value, LIT("\"\"")) && !slice_equal(value, LIT("''"));
}

/* An error in an included file was reported already, with that file's own line. */
static void tell(struct loader *l, const struct source *s, size_t number, struct slice line,
                 struct slice why) {
    assert(why.len > 0 || l->error->len > 0); /* who refuses says why */
    if (l->error->len > 0) return;
    buf_printf(l->error, "*** FATAL CONFIG FILE ERROR (Trivet) ***\nReading %s", s->title);
    if (s->has_lines) buf_printf(l->error, ", at line %zu", number);
    struct slice name = secret_name(line);
    struct slice shown = name.len ? name : line;
    buf_printf(l->error, "\n>>> '%.*s%s'\n%.*s", SLICE_ARG(shown), name.len ? " (redacted)" : "",
               SLICE_ARG(why));
}

static bool load_text(struct loader *l, struct source *s, struct slice text) {
    struct buf why = { 0 };
    bool loaded = true;
    const char *at = text.ptr, *end = text.ptr + text.len;
    for (size_t number = 1; loaded && at < end; number++) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end) line_end = end;
        struct slice line = trim_blanks(slice_between(at, line_end));
        loaded = load_line(l, line, &why);
        s->holds_password |= says_password(line);
        if (!loaded) tell(l, s, number, line, buf_slice(&why));
        at = line_end + 1;
    }
    buf_release(&why);
    return loaded;
}

static bool load_file(struct loader *l, const char *path, const char *title) {
    struct buf text = { 0 };
    bool loaded = options_read_file(path, &text);
    if (!loaded && l->error->len == 0)
        buf_printf(l->error, "Fatal error, can't open config file '%s': %s", path, strerror(errno));
    struct source s = { .title = title, .has_lines = true };
    loaded = loaded && load_text(l, &s, buf_slice(&text));
    buf_release(&text);
    if (loaded && s.holds_password)
        options_warn_readable("configuration file", path, "a password", l->warnings);
    return loaded;
}

static bool load_included(struct loader *l, const char *path) {
    struct buf title = { 0 };
    buf_printf(&title, "the included configuration file '%s'", path);
    buf_append_byte(&title, '\0');
    bool loaded = load_file(l, path, title.ptr);
    buf_release(&title);
    return loaded;
}

/* A pattern that matches no file includes nothing; a plain name must exist. */
static bool include(struct loader *l, struct slice pattern, struct buf *why) {
    assert(l->depth <= INCLUDE_DEPTH_MAX);
    if (l->depth == INCLUDE_DEPTH_MAX) return option_refuse(why, "too many nested includes");
    char *path = slice_to_cstr(pattern);
    glob_t found = { 0 };
    int result = glob(path, 0, NULL, &found);
    bool is_pattern = strpbrk(path, "*?[") != NULL;
    bool loaded = true;
    l->depth++;
    if (result != 0 && !(is_pattern && result == GLOB_NOMATCH)) loaded = load_included(l, path);
    for (size_t i = 0; result == 0 && loaded && i < found.gl_pathc; i++)
        loaded = load_included(l, found.gl_pathv[i]);
    l->depth--;
    globfree(&found);
    mem_free(path);
    return loaded;
}

/* ---- The command line ---- */

static bool is_option_word(const char *word) { return word[0] == '-' && word[1] == '-'; }
static bool is_dash(const char *word) { return strcmp(word, "-") == 0; }

static bool has_value_inside(const char *word) {
    struct option_words w = option_words_split(slice_of(word));
    bool has = w.count > 1;
    option_words_release(&w);
    return has;
}

/* Turns "--name value ..." into lines. The word after a name is its value even if it begins with "--", except
 * that
 * `--save` without a value means "no save points", as scripts have relied on for long. */
static void join_words(int argc, char **argv, struct buf *text) {
    bool wants_value = false;
    for (int i = 0; i < argc; i++) {
        if (!is_option_word(argv[i]) || wants_value) {
            buf_append_byte(text, ' ');
            quoted_append(text, slice_of(argv[i]));
            wants_value = false;
            continue;
        }
        if (text->len > 0) buf_append_byte(text, '\n');
        buf_append(text, slice_of(argv[i] + 2));
        wants_value = !has_value_inside(argv[i]);
        bool is_last = i + 1 == argc || is_option_word(argv[i + 1]);
        if (strcasecmp(argv[i], "--save") != 0 || !is_last) continue;
        buf_append(text, LIT(" \"\""));
        wants_value = false;
    }
}

static bool load_config_file(struct loader *l, const char *path) {
    char *absolute = realpath(path, NULL);
    if (!absolute) {
        buf_printf(l->error, "Fatal error, can't open config file '%s': %s", path, strerror(errno));
        return false;
    }
    mem_free(config_path);
    config_path = mem_strdup(absolute);
    free(absolute); /* NOLINT: the C library's own allocation */
    return load_file(l, config_path, "the configuration file");
}

static bool load_stdin(struct loader *l) {
    struct buf text = { 0 };
    bool loaded = file_read_all(STDIN_FILENO, SIZE_MAX, &text);
    if (!loaded) buf_printf(l->error, "Fatal error, can't read the configuration: %s", strerror(errno));
    struct source s = { .title = "the configuration from standard input", .has_lines = true };
    loaded = loaded && load_text(l, &s, buf_slice(&text));
    buf_release(&text);
    return loaded;
}

static bool load_words_after_file(struct loader *l, int argc, char **argv) {
    struct buf text = { 0 };
    join_words(argc, argv, &text);
    struct source s = { .title = "the command line", .has_lines = false };
    bool loaded = load_text(l, &s, buf_slice(&text));
    buf_release(&text);
    return loaded;
}

static bool load_sources(struct loader *l, int argc, char **argv) {
    int first = 1;
    bool from_stdin = false;
    if (first < argc && argv[first][0] != '-' && !load_config_file(l, argv[first++])) return false;
    if (first < argc && first == 1 && is_dash(argv[first])) {
        from_stdin = true;
        first++;
    }
    if (first < argc && is_dash(argv[argc - 1])) {
        from_stdin = true;
        argc--;
    }
    if (from_stdin && !load_stdin(l)) return false;
    return load_words_after_file(l, argc - first, argv + first);
}

bool options_load(int argc, char **argv, struct buf *warnings, struct buf *error) {
    mem_free(config_path);
    config_path = NULL;
    struct loader l = { .warnings = warnings, .error = error };
    l.is_named = mem_alloc_zero(options_row_count() * sizeof *l.is_named);
    bool loaded = load_sources(&l, argc, argv);
    struct buf why = { 0 };
    if (loaded && !options_settle(warnings, &why)) {
        buf_printf(error, "*** FATAL CONFIG FILE ERROR (Trivet) ***\n%.*s", SLICE_ARG(buf_slice(&why)));
        loaded = false;
    }
    buf_release(&why);
    mem_free(l.is_named);
    return loaded;
}
