/* fuzz_stream.c: a primary's stream, applied by a replica: by the first byte plain bytes, or commands that
 * are built from the names of all commands and from likely words.
 *
 * Whatever comes, the bytes in this server's own stream are those of the primary's, unchanged: of each
 * command when it has run, of a transaction when it has ended. */
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/replication/apply.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal_sink.h"
#include "trivet/resp/parser.h"
#include "trivet/server/setup.h"
#include <stdlib.h>
#include <sys/uio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define NAMES_MAX 512
#define SCRIPT_MEMORY (16 << 20)

static struct slice names[NAMES_MAX];
static size_t name_count;

/* ---- the replica ---- */

static void on_output(struct client *c) { (void)c; }
static void on_resume(struct client *c) { (void)c; }
static void on_timer(struct client *c, int64_t in_ms) { (void)c, (void)in_ms; }

static void on_close(struct client *c, const char *why) {
    (void)why;
    c->flags |= CLIENT_CLOSING;
    blocking_cancel(c);
}

/* Administration and MIGRATE reach outside. The others make a string as long as the primary says, which has
 * looked at its limits already: any amount of memory. */
static bool is_left_out(const struct command *command) {
    static const char *const others[] = { "MIGRATE", "SETRANGE", "SETBIT", "BITFIELD" };
    if (!command) return false;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (slice_equal_nocase(slice_of(command->name), slice_of(others[i]))) return true;
    return command->flags & ADMIN;
}

static void gather_names(void) {
    for (const struct command_group *g = command_groups; g->name; g++)
        for (const struct command *row = g->rows; row->name; row++)
            if (name_count < NAMES_MAX && !is_left_out(row)) names[name_count++] = slice_of(row->name);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    struct slice nothing[] = { LIT_INIT("save"), LIT_INIT("") };
    struct buf error = { 0 };
    clock_init();
    options_init();
    if (!options_set(nothing, 1, (struct options_caller){ 0 }, &error)) abort();
    options.script_memory_limit = SCRIPT_MEMORY;
    log_set_level(LOG_LEVEL_NOTHING);
    thread_worker_index = 0;
    thread_worker_count = 1;
    if (!setup_modules() || !mailbox_init(&worker_mailboxes[0])) abort();
    client_hooks = (struct client_hooks){
        .output = on_output, .close = on_close, .resume = on_resume, .timer = on_timer
    };
    obstacle_set(OBSTACLE_LOADING, false);
    gate_enter();
    backlog_open();
    backlog_set_copied(true);
    obstacle_set(OBSTACLE_REPLICA, true);
    gather_names();
    return 0;
}

static void link_open(struct client *c) {
    turn_now_ms = clock_wall_ms();
    client_init(c, 0);
    c->flags |= CLIENT_PRIMARY;
    c->authenticated = true;
    c->reply.muted = true;
}

static void link_close(struct client *c) {
    apply_forget();
    client_release(c);
    while (mailbox_drain(&worker_mailboxes[0]) > 0) continue;
}

/* ---- what its own stream must be ---- */

struct expected {
    uint64_t start; /* the offset before the first byte */
    struct buf bytes;
    struct buf held; /* of a transaction that has not ended */
};

/* The bytes on the tape are those that were expected, each of them. */
static void check_stream(const struct expected *e) {
    struct tape_reader reader = { 0 };
    struct iovec part;
    size_t at = 0;
    if (backlog_offset() != e->start + e->bytes.len) abort();
    if (!backlog_read_from(&reader, e->start)) abort();
    while (tape_vectors(&reader, backlog_offset(), &part, 1) == 1) {
        if (part.iov_len > e->bytes.len - at || memcmp(part.iov_base, e->bytes.ptr + at, part.iov_len) != 0)
            abort();
        at += part.iov_len;
        tape_advance(&reader, part.iov_len);
    }
    if (at != e->bytes.len) abort();
    tape_reader_close(&reader);
}

static void expect(struct expected *e, const struct client *c, struct slice wire) {
    buf_append(&e->held, wire);
    if (!(c->flags & CLIENT_IN_MULTI)) {
        buf_append(&e->bytes, buf_slice(&e->held));
        buf_clear(&e->held);
    }
    if (backlog_offset() != e->start + e->bytes.len) abort();
}

/* ---- applying ---- */

/* False if the link has to be closed. */
static bool run_one(struct client *c, struct args *args, struct slice wire, struct expected *e) {
    struct prepared p = { 0 };
    bool goes_on = true;
    dispatch_prepare(args->argv, args->argc, &p);
    if (!is_left_out(p.command)) {
        dispatch_prefetch(c, &p, 1);
        enum dispatched d = apply_run(c, args, &p, wire);
        if (d == DISPATCH_BLOCKED || d == DISPATCH_POSTPONED) abort(); /* a stream waits for nobody */
        goes_on = d == DISPATCH_DONE;
        if (wire.ptr[0] == '*') expect(e, c, wire);
    }
    prepared_release(&p);
    mailbox_drain(&worker_mailboxes[0]);
    return goes_on;
}

/* As far as it is whole. */
static void run_all(struct client *c, struct slice stream, struct expected *e) {
    const struct parse_limits limits = { .bulk_max = 1 << 20, .args_max = INT32_MAX };
    struct args args;
    args_init(&args);
    for (size_t at = 0; at < stream.len; args_reset(&args)) {
        struct slice rest = slice_make(stream.ptr + at, stream.len - at);
        if (parse_command(&args, rest, &limits) != PARSE_READY) break;
        at += args.used;
        if (args.argc > 0 && !run_one(c, &args, slice_make(rest.ptr, args.used), e)) break;
    }
    args_release(&args);
}

/* Nothing is left of the input before. */
static void begin_anew(struct client *c, struct expected *e) {
    static const struct slice commands =
        LIT_INIT("*2\r\n$8\r\nFLUSHALL\r\n$4\r\nSYNC\r\n*2\r\n$8\r\nFUNCTION\r\n$5\r\nFLUSH\r\n");
    link_open(c);
    e->start = backlog_offset();
    run_all(c, commands, e);
    buf_clear(&e->bytes);
    e->start = backlog_offset();
}

/* ---- a stream of likely commands ---- */

static const char *const words[] = {
    "a",     "b",     "c",      "{t}a",   "",        "0",     "1",       "-1",       "2",    "100",
    "1.5",   "inf",   "(1",     "[a",     "+",       "-",     "$",       "*",        ">",    "1-1",
    "2-0",   "NX",    "XX",     "GET",    "EX",      "PX",    "PXAT",    "KEEPTTL",  "1000", "99999999999999",
    "COUNT", "LEFT",  "RIGHT",  "MIN",    "STREAMS", "GROUP", "CREATE",  "MKSTREAM", "g",    "MAXLEN",
    "~",     "=",     "BLOCK",  "FIELDS", "STORE",   "BY",    "WEIGHTS", "ASYNC",    "u8",   "SET",
    "9223372036854775807",      "f",      "v",       "return redis.call('SET', KEYS[1], ARGV[1])",
};

struct source {
    const uint8_t *at, *end;
};

static uint8_t next_byte(struct source *s) { return s->at < s->end ? *s->at++ : 0; }

static struct slice next_word(struct source *s) {
    uint8_t choice = next_byte(s);
    if (choice < 224) return slice_of(words[choice % COUNT_OF(words)]);
    size_t len = (size_t)(s->end - s->at) < choice % 16u ? (size_t)(s->end - s->at) : choice % 16u;
    struct slice word = slice_make((const char *)s->at, len);
    s->at += len;
    return word;
}

/* Transactions often: they are what the stream's bytes are held for. */
static struct slice next_name(struct source *s) {
    uint8_t choice = next_byte(s);
    if (choice < 24) return LIT("MULTI");
    if (choice < 48) return LIT("EXEC");
    return names[(size_t)(choice << 8 | next_byte(s)) % name_count];
}

static void make_stream(struct source *s, struct buf *out) {
    while (s->at < s->end) {
        struct slice argv[8] = { next_name(s) };
        size_t argc = 1;
        for (size_t more = next_byte(s) % COUNT_OF(argv); argc <= more; argc++) argv[argc] = next_word(s);
        wire_command(out, argv, argc);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    struct source source = { data + 1, data + size };
    struct client *c = mem_alloc_zero(sizeof *c); /* its memory is counted: not on the stack */
    struct expected e = { 0 };
    struct buf stream = { 0 };
    if (data[0] & 1)
        make_stream(&source, &stream);
    else
        buf_append(&stream, slice_make((const char *)data + 1, size - 1));
    begin_anew(c, &e);
    run_all(c, buf_slice(&stream), &e);
    check_stream(&e);
    link_close(c);
    buf_clear(&e.bytes);
    buf_clear(&e.held);
    begin_anew(c, &e); /* the leak sanitizer cannot see the pointers in entries, which are not aligned */
    link_close(c);
    mem_free(c);
    buf_release(&stream);
    buf_release(&e.bytes);
    buf_release(&e.held);
    return 0;
}
