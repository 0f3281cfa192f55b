/* debug_crash.c: DEBUG's subcommands that end the process, begin it anew, or lose memory. */
#include "debug.h"
#include "trivet/base/buf.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/process/server_hooks.h"
#include <stdlib.h>
#include <sys/mman.h>

/* DEBUG ASSERT */
static void debug_assert(struct call *c) { assert(c->argc == 0 && "DEBUG ASSERT was asked for"); }

/* DEBUG PANIC */
static void debug_panic(struct call *c) {
    (void)c;
    LOG_WARNING("=== PANIC === DEBUG PANIC was asked for");
    abort();
}

/* DEBUG SEGFAULT */
static void debug_segfault(struct call *c) {
    volatile char *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED) *page = 'x';
    reply_error_text(c->out, LIT("ERR The memory could be written"));
}

/* The frames are big, and none of them may become a loop. */
RARE static int recurse(volatile char *from) {
    volatile char frame[4096];
    frame[0] = *from;
    if (frame[0]) return 0; /* never; but the compiler wants an end */
    return recurse(frame) + frame[0];
}

/* DEBUG STACK-OVERFLOW */
static void debug_stack_overflow(struct call *c) {
    volatile char start = 0;
    reply_int(c->out, recurse(&start));
}

/* DEBUG OOM */
static void debug_oom(struct call *c) {
    volatile size_t too_much = SIZE_MAX / 4;
    mem_free(mem_alloc(too_much));
    reply_ok(c->out);
}

/* DEBUG LEAK text */
static void debug_leak(struct call *c) {
    const char *leaked = slice_to_cstr(c->argv[2]);
    (void)leaked; /* that is the point */
    reply_ok(c->out);
}

#define DELAY_MAX_MS 3600000

static void restart(struct call *c, bool save) {
    int64_t delay_ms = 0;
    if (c->argc == 3 && (!int64_parse(c->argv[2], &delay_ms) || delay_ms < 0 || delay_ms > DELAY_MAX_MS)) {
        reply_error(c->out, ERR_OUT_OF_RANGE);
        return;
    }
    struct buf error = { 0 };
    server_hooks.restart(save, delay_ms, &error);
    reply_error_text(c->out, buf_slice(&error));
    buf_release(&error);
}

/* DEBUG RESTART [ms] */
static void debug_restart(struct call *c) { restart(c, true); }

/* DEBUG CRASH-AND-RECOVER [ms] */
static void debug_crash_and_recover(struct call *c) { restart(c, false); }

const struct debug_subcommand debug_crash_rows[] = {
    { "ASSERT", 2, 2, debug_assert, "", "Crash by an assertion." },
    { "CRASH-AND-RECOVER", 2, 3, debug_crash_and_recover, "[<milliseconds>]",
      "End at once as a crash does, wait, and start anew." },
    { "LEAK", 3, 3, debug_leak, "<text>", "Lose the memory of a copy of the text." },
    { "OOM", 2, 2, debug_oom, "", "Crash by asking for more memory than there is." },
    { "PANIC", 2, 2, debug_panic, "", "Crash by giving up." },
    { "RESTART", 2, 3, debug_restart, "[<milliseconds>]", "End as SHUTDOWN does, wait, and start anew." },
    { "SEGFAULT", 2, 2, debug_segfault, "", "Crash by touching memory that is protected." },
    { "STACK-OVERFLOW", 2, 2, debug_stack_overflow, "", "Crash by recursing until the stack is full." },
    { NULL },
};
