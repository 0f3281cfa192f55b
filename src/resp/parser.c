/* parser.c: bytes to commands, in one pass that can stop anywhere.
 *
 * Little is kept between two calls: the number of arguments still to come, the length of the current one if
 * its line has been read, and how much of an unfinished line has been searched. So each byte is looked at
 * once, however the command is cut. Nearly all traffic takes take_whole_command(), which reads a command of
 * up to nine short arguments that is complete in the buffer, and take_whole_arguments(), which does so for
 * arguments. They leave anything else untouched for the careful path after them, which knows the rare cases
 * and all the errors.
 *
 * CR LF must follow every length and every argument: if two bytes were skipped unchecked, one command could
 * run on into the next. "*0" and "*-1" are commands of no arguments, as in Redis. */
#include "trivet/resp/parser.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include <stdio.h>

#define ARGS_FIRST_ROOM 16             /* slices that argv begins with */
#define ARGS_KEEP_ROOM 256             /* argv is kept for the next command up to this size */
#define BIG_FIRST_ROOM (1024 * 1024ul) /* a big argument's blob grows from here as its bytes arrive */
#define SHORT_LENGTH_DIGITS 9          /* this many digits cannot overflow 32 bits */

void args_init(struct args *a) { *a = (struct args){ .args_left = -1, .bulk_length = -1 }; }

static void drop_blobs(struct args *a) {
    if (a->blobs) {
        for (size_t i = 0; i < a->argc; i++) blob_unref(a->blobs[i]);
        mem_free(a->blobs);
        a->blobs = NULL;
    }
    a->blob_memory = 0;
    blob_unref(a->big);
    a->big = NULL;
    a->big_filled = 0;
}

void args_reset(struct args *a) {
    if (UNLIKELY(a->blobs || a->big)) drop_blobs(a);
    if (UNLIKELY(a->inline_text != NULL)) {
        mem_free(a->inline_text);
        a->inline_text = NULL;
    }
    if (UNLIKELY(a->room > ARGS_KEEP_ROOM)) {
        mem_free(a->argv);
        a->argv = NULL;
        a->room = 0;
    }
    a->argc = 0;
    a->used = 0;
    a->bytes = 0;
    a->error = NULL;
    a->args_left = -1;
    a->bulk_length = -1;
    a->scanned = 0;
}

void args_release(struct args *a) {
    args_reset(a);
    mem_free(a->argv);
    args_init(a);
}

bool args_is_idle(const struct args *a) { return a->used == 0 && a->scanned == 0 && a->error == NULL; }

size_t args_memory(const struct args *a) {
    if (args_is_idle(a)) return 0;
    size_t each = sizeof *a->argv + (a->blobs ? sizeof(struct blob *) : 0);
    return a->room * each + a->blob_memory + (a->big ? sizeof *a->big + a->big->room : 0);
}

size_t args_text_bytes(const struct args *a) {
    size_t sum = 0;
    for (size_t i = 0; i < a->argc; i++) sum += a->argv[i].len;
    return sum;
}

static enum parse broken_request(struct args *a, const char *why) {
    a->error = why;
    return PARSE_BROKEN;
}

static enum parse broken_line_end(struct args *a) {
    return broken_request(a, "Protocol error: invalid CRLF in request");
}

/* One comparison of two bytes: it is made twice for each argument. */
static inline bool is_line_end(const char *at) { return memcmp(at, "\r\n", 2) == 0; }

/* Doubles argv. The count that a client announces allocates nothing: only arguments that have arrived do. */
static void grow_argv(struct args *a) {
    size_t room = a->room ? a->room * 2 : ARGS_FIRST_ROOM;
    a->argv = mem_realloc(a->argv, room * sizeof *a->argv);
    if (a->blobs) {
        a->blobs = mem_realloc(a->blobs, room * sizeof *a->blobs);
        memset(a->blobs + a->room, 0, (room - a->room) * sizeof *a->blobs);
    }
    a->room = room;
}

static void push_argument(struct args *a, struct slice text) {
    if (a->argc == a->room) grow_argv(a);
    a->argv[a->argc++] = text;
}

static void push_blob(struct args *a, struct blob *owned) {
    push_argument(a, blob_slice(owned));
    if (!a->blobs) a->blobs = mem_alloc_zero(a->room * sizeof *a->blobs);
    a->blobs[a->argc - 1] = owned;
    a->blob_memory += sizeof *owned + owned->room;
}

/* The old address is only used as a number. */
void args_rebase(struct args *a, const char *base) {
    for (size_t i = 0; i < a->argc; i++) {
        if (a->blobs && a->blobs[i]) continue;
        a->argv[i].ptr = base + ((uintptr_t)a->argv[i].ptr - (uintptr_t)a->base);
    }
    a->base = base;
}

/* Searches the line at a->used for its end, from where the last call stopped. READY: *line ends before it. */
static enum parse find_line(struct args *a, struct slice bytes, char end, const char *too_big,
                            struct slice *line) {
    const char *start = bytes.ptr + a->used;
    size_t left = bytes.len - a->used;
    size_t reach = left <= PARSE_LINE_MAX ? left : PARSE_LINE_MAX + 1;
    const char *found = memchr(start + a->scanned, end, reach - a->scanned);
    size_t length = found ? (size_t)(found - start) : reach;
    if (length > PARSE_LINE_MAX) return broken_request(a, too_big);
    a->scanned = length;
    if (!found) return PARSE_MORE;
    *line = slice_make(start, length);
    return PARSE_READY;
}

/* ---- Length lines: "*3" and "$16" ---- */

/* A length line as nearly every client sends it: the mark, 1 to 9 digits, CR LF, and all of it there.
 * Returns the bytes of the line, or 0 if it looks any different. */
static inline size_t short_length_line(const char *line, size_t left, char mark, uint32_t *length) {
    if (left < 4 || line[0] != mark) return 0;
    uint32_t number = (uint32_t)(unsigned char)line[1] - '0';
    if (number > 9) return 0;
    size_t last = left - 2 < SHORT_LENGTH_DIGITS + 1 ? left - 2 : SHORT_LENGTH_DIGITS + 1;
    size_t at = 2;
    for (; at <= last; at++) {
        uint32_t digit = (uint32_t)(unsigned char)line[at] - '0';
        if (digit > 9) break;
        number = number * 10 + digit;
    }
    if (at > last || !is_line_end(line + at)) return 0;
    if (line[1] == '0' && at > 2) return 0;
    *length = number;
    return at + 2;
}

static enum parse broken_mark(struct args *a, char mark, char got) {
    snprintf(a->error_text, sizeof a->error_text, "Protocol error: expected '%c', got '%c'", mark, got);
    return broken_request(a, a->error_text);
}

/* Any length line. READY: *text is what follows the mark, perhaps no number, and the line is used. The byte
 * after its CR is checked after the number: see ends_well. */
static enum parse length_line(struct args *a, struct slice bytes, char mark, const char *too_big,
                              struct slice *text) {
    struct slice line;
    enum parse found = find_line(a, bytes, '\r', too_big, &line);
    if (found != PARSE_READY) return found;
    if (line.len + 2 > bytes.len - a->used) return PARSE_MORE;
    if (line.ptr[0] != mark) return broken_mark(a, mark, line.ptr[0]);
    *text = slice_make(line.ptr + 1, line.len - 1);
    a->used += line.len + 2;
    a->scanned = 0;
    return PARSE_READY;
}

/* The line that was used last. */
static bool ends_well(const struct args *a, struct slice bytes) {
    assert(a->used >= 2);
    return bytes.ptr[a->used - 1] == '\n';
}

static bool unauthenticated(const struct parse_limits *limits) { return limits->args_max < INT32_MAX; }

static enum parse read_count(struct args *a, struct slice bytes, const struct parse_limits *limits) {
    int64_t count;
    uint32_t small;
    size_t line = short_length_line(bytes.ptr, bytes.len, '*', &small);
    if (LIKELY(line != 0)) {
        count = small;
        a->used = line;
        a->scanned = 0;
    } else {
        struct slice text;
        enum parse found = length_line(a, bytes, '*', "Protocol error: too big mbulk count string", &text);
        if (found != PARSE_READY) return found;
        if (!int64_parse(text, &count)) return broken_request(a, "Protocol error: invalid multibulk length");
    }
    if (UNLIKELY(count > limits->args_max)) {
        bool early = unauthenticated(limits) && count <= INT32_MAX;
        return broken_request(a, early ? "Protocol error: unauthenticated multibulk length"
                                       : "Protocol error: invalid multibulk length");
    }
    if (UNLIKELY(!ends_well(a, bytes))) return broken_line_end(a);
    a->args_left = count > 0 ? count : 0;
    return PARSE_READY;
}

static enum parse read_bulk_length(struct args *a, struct slice bytes, const struct parse_limits *limits) {
    struct slice text;
    enum parse found = length_line(a, bytes, '$', "Protocol error: too big bulk count string", &text);
    if (found != PARSE_READY) return found;
    int64_t length;
    if (!int64_parse(text, &length) || length < 0)
        return broken_request(a, "Protocol error: invalid bulk length");
    if ((uint64_t)length > limits->bulk_max)
        return broken_request(a, unauthenticated(limits) ? "Protocol error: unauthenticated bulk length"
                                                         : "Protocol error: invalid bulk length");
    if (!ends_well(a, bytes)) return broken_line_end(a);
    a->bulk_length = length;
    return PARSE_READY;
}

/* ---- Big arguments ---- */

/* Moves the part of the current argument that is in the buffer to a blob. The rest is read there. */
static enum parse begin_big(struct args *a, struct slice bytes) {
    size_t have = bytes.len - a->used;
    size_t whole = (size_t)a->bulk_length + 2;
    size_t room = whole < BIG_FIRST_ROOM ? whole : BIG_FIRST_ROOM;
    if (room < have) room = have;
    a->big = blob_new(0, room);
    memcpy(a->big->bytes, bytes.ptr + a->used, have);
    a->big_filled = have;
    a->used += have;
    return PARSE_BIG_BULK;
}

struct parse_room parse_big_room(struct args *a) {
    assert(a->big);
    size_t whole = (size_t)a->bulk_length + 2;
    if (a->big_filled == a->big->room) {
        a->big->len = a->big_filled;
        a->big = blob_grow(a->big, whole / 2 < a->big_filled ? whole : a->big_filled * 2);
    }
    size_t room = a->big->room < whole ? a->big->room : whole;
    return (struct parse_room){ a->big->bytes + a->big_filled, room - a->big_filled, room == whole };
}

void parse_big_filled(struct args *a, size_t count) {
    assert(a->big);
    size_t whole = (size_t)a->bulk_length + 2;
    assert(count <= whole - a->big_filled && count <= a->big->room - a->big_filled);
    a->big_filled += count;
    a->bytes += count;
    if (a->big_filled < whole) return;
    struct blob *done = a->big;
    if (!is_line_end(done->bytes + a->bulk_length)) {
        broken_line_end(a);
        return;
    }
    done->len = (size_t)a->bulk_length;
    a->big = NULL;
    a->big_filled = 0;
    push_blob(a, done);
    a->bulk_length = -1;
    a->args_left--;
}

/* ---- The arguments ---- */

/* The hot path: takes arguments while they are complete, have short length lines, are allowed, and fit into
 * argv. */
static void take_whole_arguments(struct args *a, struct slice bytes, uint64_t bulk_max) {
    const char *at = bytes.ptr + a->used;
    const char *end = bytes.ptr + bytes.len;
    size_t space = a->room - a->argc;
    size_t most = (uint64_t)a->args_left < space ? (size_t)a->args_left : space;
    struct slice *out = a->argv + a->argc;
    size_t taken = 0;
    for (; taken < most; taken++) {
        uint32_t length;
        size_t left = (size_t)(end - at);
        size_t line = short_length_line(at, left, '$', &length);
        if (line == 0 || left - line < (size_t)length + 2 || length > bulk_max) break;
        if (!is_line_end(at + line + length)) break;
        out[taken] = slice_make(at + line, length);
        at += line + length + 2;
    }
    if (taken > 0) a->scanned = 0;
    a->used = (size_t)(at - bytes.ptr);
    a->argc += taken;
    a->args_left -= (int64_t)taken;
}

#define LINE_END_WORD 0x0a0du
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte of a word is its lowest");
static_assert(PARSE_UNAUTHENTICATED_ARGS > 9 && PARSE_UNAUTHENTICATED_BULK > 99, "no limit forbids these");

/* "$9\r\n" or "$99\r\n" in a word of eight bytes. Returns the bytes of the line, or 0 if it is another. */
static inline size_t tiny_length(uint64_t word, size_t *length) {
    size_t first = (size_t)(word >> 8 & 0xff) - '0', second = (size_t)(word >> 16 & 0xff) - '0';
    if ((word & 0xffff00ff) == ('$' | LINE_END_WORD << 16) && first <= 9) {
        *length = first;
        return 4;
    }
    if ((word & 0xffff0000ff) != ('$' | (uint64_t)LINE_END_WORD << 24)) return 0;
    *length = first * 10 + second;
    return first - 1 <= 8 && second <= 9 ? 5 : 0;
}

/* A whole command of one to nine arguments below 100 bytes; false, and nothing has changed, if it is not one.
 * Lines are looked at as words, so one that ends less than eight bytes before the end is not for here. */
static inline bool take_whole_command(struct args *a, struct slice bytes) {
    uint32_t head;
    if (bytes.len < sizeof head) return false;
    const char *at = bytes.ptr, *end = bytes.ptr + bytes.len; /* without bytes there may be no address */
    memcpy(&head, at, sizeof head);
    size_t count = (size_t)(head >> 8 & 0xff) - '0';
    if ((head & 0xffff00ff) != ('*' | LINE_END_WORD << 16) || count - 1 > 8 || count > a->room) return false;
    at += sizeof head;
    for (size_t i = 0; i < count; i++) {
        uint64_t word;
        size_t length, left = (size_t)(end - at);
        if (left < sizeof word) return false;
        memcpy(&word, at, sizeof word);
        size_t line = tiny_length(word, &length);
        if (line == 0 || left < line + length + 2 || !is_line_end(at + line + length)) return false;
        a->argv[i] = slice_make(at + line, length);
        at += line + length + 2;
    }
    a->argc = count;
    a->used = a->bytes = (size_t)(at - bytes.ptr);
    a->args_left = 0;
    a->base = bytes.ptr;
    return true;
}

/* One argument, in whatever state it is. READY: it is complete. */
static enum parse read_argument(struct args *a, struct slice bytes, const struct parse_limits *limits) {
    if (a->bulk_length < 0) {
        enum parse read = read_bulk_length(a, bytes, limits);
        if (read != PARSE_READY) return read;
    }
    size_t length = (size_t)a->bulk_length;
    if (bytes.len - a->used < length + 2) return length >= PARSE_BIG ? begin_big(a, bytes) : PARSE_MORE;
    if (!is_line_end(bytes.ptr + a->used + length)) return broken_line_end(a);
    push_argument(a, slice_make(bytes.ptr + a->used, length));
    a->used += length + 2;
    a->bulk_length = -1;
    a->args_left--;
    return PARSE_READY;
}

static enum parse read_arguments(struct args *a, struct slice bytes, const struct parse_limits *limits) {
    for (;;) {
        if (a->argc == a->room) grow_argv(a);
        if (a->bulk_length < 0) take_whole_arguments(a, bytes, limits->bulk_max);
        if (a->args_left == 0) return PARSE_READY;
        enum parse read = read_argument(a, bytes, limits);
        if (read != PARSE_READY) return read;
    }
}

/* ---- Inline commands ---- */

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* A line without quotes: its words are slices of it. Vertical tab and form feed only count before a word, as
 * in Redis. */
static void split_plain(struct args *a, struct slice line) {
    const char *at = line.ptr;
    const char *end = line.ptr + line.len;
    for (;;) {
        while (at < end && is_blank(*at)) at++;
        if (at == end) return;
        const char *word = at;
        while (at < end && *at != ' ' && *at != '\t' && *at != '\r' && *at != '\n') at++;
        push_argument(a, slice_between(word, at));
    }
}

static enum parse split_quoted(struct args *a, struct slice line) {
    struct slice *argv;
    size_t argc;
    if (!split_line(line, &argv, &argc, &a->inline_text))
        return broken_request(a, "Protocol error: unbalanced quotes in request");
    mem_free(a->argv);
    a->argv = argv;
    a->argc = a->room = argc;
    return PARSE_READY;
}

static enum parse read_inline(struct args *a, struct slice bytes) {
    struct slice line;
    enum parse found = find_line(a, bytes, '\n', "Protocol error: too big inline request", &line);
    if (found != PARSE_READY) return found;
    a->used = line.len + 1;
    a->scanned = 0;
    a->args_left = 0;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
    if (memchr(line.ptr, '"', line.len) || memchr(line.ptr, '\'', line.len)) return split_quoted(a, line);
    split_plain(a, line);
    return PARSE_READY;
}

/* ---- The whole ---- */

static enum parse read_on(struct args *a, struct slice bytes, const struct parse_limits *limits) {
    if (UNLIKELY(a->big != NULL)) return PARSE_BIG_BULK;
    if (a->args_left < 0) {
        if (bytes.len == 0) return PARSE_MORE;
        if (UNLIKELY(bytes.ptr[0] != '*')) return read_inline(a, bytes);
        enum parse read = read_count(a, bytes, limits);
        if (UNLIKELY(read != PARSE_READY)) return read;
    }
    if (UNLIKELY(a->args_left == 0)) return PARSE_READY;
    return read_arguments(a, bytes, limits);
}

enum parse parse_command(struct args *a, struct slice bytes, const struct parse_limits *limits) {
    assert(bytes.len >= a->used + a->scanned);
    bool is_fresh = a->args_left < 0 && a->scanned == 0 && !a->error;
    if (LIKELY(is_fresh) && LIKELY(take_whole_command(a, bytes))) return PARSE_READY;
    if (UNLIKELY(a->error != NULL)) return PARSE_BROKEN;
    if (a->base != bytes.ptr) args_rebase(a, bytes.ptr);
    size_t used_before = a->used;
    enum parse read = read_on(a, bytes, limits);
    a->bytes += a->used - used_before;
    return read;
}
