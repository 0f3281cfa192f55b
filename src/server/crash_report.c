/* crash_report.c: the parts of the report of a crash; see crash_report.h.
 *
 * The first parts (registers, stacks, commands) allocate nothing and take no lock. INFO and the list of
 * clients do; they come last. Keys, values and other arguments are written only if hide-user-data-from-log is
 * off, passwords never. */
#include "crash_report.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/thread.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/command/secret.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define FRAMES_MAX 100
#define ARGUMENTS_MAX 32
#define ARGUMENT_MAX 128 /* bytes */
#define CLIENTS_MAX 1000 /* lines for each worker */

int crash_fd = STDERR_FILENO;

void crash_write(const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t wrote = write(crash_fd, bytes, len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return; /* there is no other place to say it */
        bytes += wrote;
        len -= (size_t)wrote;
    }
}

static void write_text(const char *text) { crash_write(text, strlen(text)); }

static void write_title(const char *title) {
    char line[128];
    int len = snprintf(line, sizeof line, "\n------ %s ------\n", title);
    crash_write(line, (size_t)len);
}

/* ---- the processor ---- */

struct named_register {
    const char *name;
    unsigned long long value;
    bool is_plain; /* it points into code or into the stack: no piece of a value */
};

#if defined(__x86_64__)
static size_t read_registers(const ucontext_t *u, struct named_register *out) {
    static const struct { const char *name; int at; bool is_plain; } rows[] = {
        { "RIP", REG_RIP, true },  { "RSP", REG_RSP, true },  { "RBP", REG_RBP, true },
        { "EFL", REG_EFL, true },  { "ERR", REG_ERR, true },  { "TRAPNO", REG_TRAPNO, true },
        { "CR2", REG_CR2, true },  { "RAX", REG_RAX, false }, { "RBX", REG_RBX, false },
        { "RCX", REG_RCX, false }, { "RDX", REG_RDX, false }, { "RDI", REG_RDI, false },
        { "RSI", REG_RSI, false }, { "R8", REG_R8, false },   { "R9", REG_R9, false },
        { "R10", REG_R10, false }, { "R11", REG_R11, false }, { "R12", REG_R12, false },
        { "R13", REG_R13, false }, { "R14", REG_R14, false }, { "R15", REG_R15, false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        out[i] = (struct named_register){ rows[i].name, (unsigned long long)u->uc_mcontext.gregs[rows[i].at],
                                          rows[i].is_plain };
    return COUNT_OF(rows);
}
#elif defined(__aarch64__)
static size_t read_registers(const ucontext_t *u, struct named_register *out) {
    static const char *const names[] = { "X0",  "X1",  "X2",  "X3",  "X4",  "X5",  "X6",  "X7",
                                         "X8",  "X9",  "X10", "X11", "X12", "X13", "X14", "X15",
                                         "X16", "X17", "X18", "X19", "X20", "X21", "X22", "X23",
                                         "X24", "X25", "X26", "X27", "X28", "X29", "X30" };
    const mcontext_t *m = &u->uc_mcontext;
    out[0] = (struct named_register){ "PC", m->pc, true };
    out[1] = (struct named_register){ "SP", m->sp, true };
    out[2] = (struct named_register){ "FAULT", m->fault_address, true };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        out[3 + i] = (struct named_register){ names[i], m->regs[i], i >= 29 };
    return 3 + COUNT_OF(names);
}
#else
static size_t read_registers(const ucontext_t *u, struct named_register *out) {
    (void)u;
    (void)out;
    return 0;
}
#endif

void crash_tell_registers(const void *context) {
    struct named_register registers[64];
    size_t count = read_registers(context, registers);
    write_title("REGISTERS");
    for (size_t i = 0; i < count; i++) {
        char text[64];
        if (!registers[i].is_plain && options.hide_user_data_from_log) continue;
        int len = snprintf(text, sizeof text, "%s:%016llx\n", registers[i].name, registers[i].value);
        crash_write(text, (size_t)len);
    }
    if (options.hide_user_data_from_log)
        write_text("hide-user-data-from-log is on: the others may hold pieces of values\n");
}

/* ---- stacks ---- */

void crash_tell_own_stack(void) {
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    write_title("STACK TRACE");
    write_text("For lines of the source: addr2line -fpe ");
    write_text(server_facts.executable);
    write_text(" OFFSET..., with the offsets in round brackets.\nBacktrace:\n");
    backtrace_symbols_fd(frames, count, crash_fd);
}

/* Another thread: it writes down its own stack when the signal reaches it. */
static struct witness {
    pid_t tid;
    int count;
    atomic_bool has_spoken;
    void *frames[FRAMES_MAX];
} witnesses[WORKERS_MAX + 16];
static atomic_size_t witness_count;

static void stand_still(void) {
    for (;;) pause();
}

static void on_stop(int sig) {
    (void)sig;
    pid_t me = gettid();
    size_t count = atomic_load(&witness_count);
    if (count == 0) return; /* nobody has crashed: somebody else sent it */
    for (size_t i = 0; i < count; i++) {
        struct witness *w = &witnesses[i];
        if (w->tid != me) continue;
        w->count = backtrace(w->frames, FRAMES_MAX);
        atomic_store(&w->has_spoken, true);
    }
    stand_still();
}

void crash_install_stop(void) {
    struct sigaction action = { .sa_handler = on_stop, .sa_flags = SA_ONSTACK | SA_RESTART };
    sigfillset(&action.sa_mask);
    sigaction(THREAD_STOP_SIGNAL, &action, NULL);
}

/* Without the line end; the length, 0 if the thread is gone. */
static size_t read_thread_name(pid_t tid, char *name, size_t room) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, name, room - 1) : 0;
    if (fd >= 0) close(fd);
    while (got > 0 && name[got - 1] == '\n') got--;
    name[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

/* The allocator's own thread blocks all signals for ever, and its stack is none of ours. */
static bool could_answer(pid_t tid) {
    char name[32];
    (void)read_thread_name(tid, name, sizeof name);
    return strcmp(name, "jemalloc_bg_thd") != 0;
}

/* From /proc, without the C library's buffers. */
static size_t find_threads(void) {
    char bytes[4096] __attribute__((aligned(8)));
    size_t count = 0;
    int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t got;
    while (fd >= 0 && (got = getdents64(fd, bytes, sizeof bytes)) > 0)
        for (ssize_t at = 0; at < got;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(bytes + at);
            pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
            bool wanted = tid > 0 && tid != gettid() && could_answer(tid);
            if (wanted && count < COUNT_OF(witnesses)) witnesses[count++].tid = tid;
            at += entry->d_reclen;
        }
    if (fd >= 0) close(fd);
    return count;
}

static bool all_have_spoken(size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!atomic_load(&witnesses[i].has_spoken)) return false;
    return true;
}

static void stop_threads(size_t count) {
    atomic_store(&witness_count, count);
    for (size_t i = 0; i < count; i++) (void)tgkill(getpid(), witnesses[i].tid, THREAD_STOP_SIGNAL);
    struct timespec millisecond = { .tv_nsec = 1000000 };
    for (int ms = 0; ms < 500 && !all_have_spoken(count); ms++) nanosleep(&millisecond, NULL);
}

static void write_thread_name(pid_t tid) {
    char name[32];
    size_t got = read_thread_name(tid, name, sizeof name);
    char line[128];
    int len = snprintf(line, sizeof line, "\n%d %.*s\n", (int)tid, (int)got, name);
    crash_write(line, (size_t)len);
}

void crash_tell_other_threads(void) {
    size_t count = find_threads();
    write_title("OTHER THREADS");
    stop_threads(count);
    for (size_t i = 0; i < count; i++) {
        write_thread_name(witnesses[i].tid);
        if (atomic_load(&witnesses[i].has_spoken))
            backtrace_symbols_fd(witnesses[i].frames, witnesses[i].count, crash_fd);
        else
            write_text("(it did not answer)\n");
    }
}

/* ---- commands and clients ---- */

void crash_tell_commands(void) {
    for (int worker = 0; worker < thread_worker_count; worker++) {
        const struct command *running = command_running(worker);
        crash_line("Worker %d%s: %s", worker, worker == thread_worker_index ? " (which crashed)" : "",
                   running ? running->full_name : "no command");
    }
    if (thread_worker_index == THREAD_NO_WORKER) crash_line("It was no worker that crashed");
}

static void append_argument(struct buf *out, const struct call *c, size_t index) {
    buf_printf(out, "argv[%zu]: ", index);
    if (options.hide_user_data_from_log && index > 0) {
        buf_printf(out, "%zu bytes\n", c->argv[index].len);
        return;
    }
    struct slice text = argument_shown(c->command, c->argv, c->argc, index);
    size_t shown = text.len < ARGUMENT_MAX ? text.len : ARGUMENT_MAX;
    for (size_t i = 0; i < shown; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte >= ' ' && byte <= '~')
            buf_append_byte(out, (char)byte);
        else
            buf_printf(out, "\\x%02x", byte);
    }
    if (shown < text.len) buf_printf(out, "... (%zu more bytes)", text.len - shown);
    buf_append_byte(out, '\n');
}

void crash_tell_current_client(void) {
    int worker = thread_worker_index;
    const struct call *c = worker == THREAD_NO_WORKER ? NULL : call_running(worker);
    if (!c) return;
    struct buf text = { 0 };
    write_title("CURRENT CLIENT INFO");
    client_describe(c->client, clock_wall_ms(), &text);
    buf_printf(&text, "\ncommand: %s\nargc: %zu\n", c->command->full_name, c->argc);
    for (size_t i = 0; i < c->argc && i < ARGUMENTS_MAX; i++) append_argument(&text, c, i);
    crash_write(text.ptr, text.len);
}

void crash_tell_info(void) {
    struct buf text = { 0 };
    write_title("INFO OUTPUT");
    for (size_t i = 0; info_write_section(i, clock_wall_ms(), &text); i++) {
        buf_append_byte(&text, '\n');
        crash_write(text.ptr, text.len);
        buf_clear(&text);
    }
}

static void tell_clients_of(int worker) {
    struct buf text = { 0 };
    size_t count = 0;
    for (struct client *c = client_first_standing_still(worker); c; c = client_after(c)) {
        if (++count > CLIENTS_MAX) continue;
        buf_clear(&text);
        client_describe(c, clock_wall_ms(), &text);
        buf_append_byte(&text, '\n');
        crash_write(text.ptr, text.len);
    }
    if (count <= CLIENTS_MAX) return;
    buf_clear(&text);
    buf_printf(&text, "... and %zu more of worker %d\n", count - CLIENTS_MAX, worker);
    crash_write(text.ptr, text.len);
}

void crash_tell_clients(void) {
    write_title("CLIENT LIST OUTPUT");
    for (int worker = 0; worker < thread_worker_count; worker++) tell_clients_of(worker);
}
