/* Feeds the parser any bytes, twice: all at once, and in pieces with the buffer moved between them. Both must
 * give the same commands and the same error. Each buffer is an allocation of exactly its bytes, so the
 * address sanitizer sees every step outside.
 *
 * The input's first byte seeds the sizes of the pieces and chooses the limits; the rest is the wire. A byte
 * 0xff in the wire stands for PARSE_BIG bytes, so that big arguments are reached from small inputs. Built
 * with clang -fsanitize=fuzzer,address,undefined -DTRIVET_SANITIZE from src/resp and src/base. */
#include "trivet/base/mem.h"
#include "trivet/resp/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

struct run {
    struct slice wire;
    uint32_t seed;  /* 0: all at once */
    size_t arrived; /* bytes of the wire that were handed out */
    char *buffer;   /* what has arrived of the current command, big arguments left out */
    size_t buffered;
    uint64_t print; /* hash of all commands and of how it ended */
    size_t commands;
};

static void print(struct run *r, const void *bytes, size_t len) {
    const unsigned char *b = bytes;
    for (size_t i = 0; i < len; i++) r->print = (r->print ^ b[i]) * 1099511628211u;
}

static void print_number(struct run *r, uint64_t n) { print(r, &n, sizeof n); }

static size_t next_piece(struct run *r, size_t most) {
    if (r->seed == 0) return most;
    r->seed = r->seed * 1664525u + 1013904223u;
    size_t reach = (r->seed >> 16) % 7 == 0 ? 40000 : 9;
    size_t piece = 1 + (r->seed >> 8) % reach;
    return piece < most ? piece : most;
}

/* Replaces the buffer by one without its first `drop` bytes and with `more` bytes of the wire. */
static void move_buffer(struct run *r, size_t drop, size_t more) {
    size_t keep = r->buffered - drop;
    char *moved = mem_alloc(keep + more ? keep + more : 1);
    if (keep) memcpy(moved, r->buffer + drop, keep);
    if (more) memcpy(moved + keep, r->wire.ptr + r->arrived, more);
    mem_free(r->buffer);
    r->buffer = moved;
    r->buffered = keep + more;
    r->arrived += more;
}

static void fill_big(struct run *r, struct args *a, size_t left) {
    struct parse_room room = parse_big_room(a);
    assert(room.len > 0);
    size_t count = next_piece(r, left < room.len ? left : room.len);
    memcpy(room.ptr, r->wire.ptr + r->arrived, count);
    r->arrived += count;
    parse_big_filled(a, count);
}

static void take_command(struct run *r, struct args *a) {
    print_number(r, a->argc);
    print_number(r, a->bytes);
    for (size_t i = 0; i < a->argc; i++) {
        print_number(r, a->argv[i].len);
        print(r, a->argv[i].ptr, a->argv[i].len);
    }
    r->commands++;
    move_buffer(r, a->used, 0);
    args_reset(a);
    assert(args_is_idle(a));
}

static void parse_all(struct run *r, const struct parse_limits *limits) {
    struct args a;
    args_init(&a);
    r->print = 14695981039346656037u;
    for (;;) {
        enum parse got = parse_command(&a, slice_make(r->buffer, r->buffered), limits);
        size_t left = r->wire.len - r->arrived;
        if (got == PARSE_READY) {
            take_command(r, &a);
        } else if (got == PARSE_BROKEN) {
            print(r, a.error, strlen(a.error));
            break;
        } else if (left == 0) {
            break;
        } else if (got == PARSE_BIG_BULK) {
            fill_big(r, &a, left);
        } else {
            move_buffer(r, 0, next_piece(r, left));
        }
    }
    args_release(&a);
    mem_free(r->buffer);
    r->buffer = NULL;
}

static struct slice expand(const uint8_t *input, size_t size) {
    size_t len = 0, at = 0;
    for (size_t i = 0; i < size; i++) len += input[i] == 0xff ? PARSE_BIG : 1;
    char *wire = mem_alloc(len + 1);
    for (size_t i = 0; i < size; i++) {
        size_t count = input[i] == 0xff ? PARSE_BIG : 1;
        memset(wire + at, input[i] == 0xff ? 'b' : input[i], count);
        at += count;
    }
    return slice_make(wire, len);
}

static void try_split_line(struct slice line) {
    struct slice *argv;
    size_t argc;
    char *text;
    if (!split_line(line, &argv, &argc, &text)) return;
    for (size_t i = 0; i < argc; i++) assert(argv[i].ptr[argv[i].len] == '\0');
    mem_free(argv);
    mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    static const struct parse_limits open_limits = { 512ull * 1024 * 1024, INT32_MAX };
    static const struct parse_limits early_limits = { PARSE_UNAUTHENTICATED_BULK,
                                                      PARSE_UNAUTHENTICATED_ARGS };
    if (size < 1 || size > 4096) return 0;
    const struct parse_limits *limits = input[0] & 1 ? &early_limits : &open_limits;
    struct slice wire = expand(input + 1, size - 1);
    struct run whole = { .wire = wire };
    struct run pieces = { .wire = wire, .seed = input[0] + 1u };
    parse_all(&whole, limits);
    parse_all(&pieces, limits);
    assert(whole.commands == pieces.commands && whole.print == pieces.print);
    if (wire.len < 4096) try_split_line(wire);
    mem_free((char *)(uintptr_t)wire.ptr);
    return 0;
}
