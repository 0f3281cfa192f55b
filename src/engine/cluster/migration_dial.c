/* migration_dial.c: the source's link to the target, until the target has taken the slots on. */
#include "migration.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/base/thread.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/persist/journal_sink.h"
#include "trivet/transport/link.h"
#include "trivet/transport/tls.h"

#define SHOWN_MAX 200 /* bytes of an answer that is repeated */

static struct chain dials; /* those that may have a thread */

static bool fail(struct migration_dial *d, const char *what, struct slice answer) {
    size_t shown = answer.len < SHOWN_MAX ? answer.len : SHOWN_MAX;
    buf_append(&d->why, slice_of(what));
    if (shown > 0) buf_printf(&d->why, ": %.*s", (int)shown, answer.ptr);
    return false;
}

static bool send_bytes(struct link *l, struct slice wire) {
    buf_append(&l->out, wire);
    return link_flush(l);
}

/* Sends a command and waits for "+OK". */
static bool ask(struct migration_dial *d, struct link *l, struct slice wire, enum migration_state sending) {
    struct slice line;
    atomic_store(&d->stage, sending);
    if (!send_bytes(l, wire)) return fail(d, "The target takes no bytes", LIT(""));
    atomic_store(&d->stage, sending + 1);
    if (!link_line(l, &line)) return fail(d, "No answer from the target", LIT(""));
    return slice_equal(line, LIT("+OK")) || fail(d, "The target refused", line);
}

static bool log_in(struct migration_dial *d, struct link *l) {
    struct buf wire = { 0 };
    struct slice words[3] = { LIT("AUTH"), slice_of(d->user), slice_of(d->password) };
    if (!d->password[0]) return true;
    if (!d->user[0]) words[1] = words[2];
    wire_command(&wire, words, d->user[0] ? 3 : 2);
    bool done = ask(d, l, buf_slice(&wire), EXPORT_SENDING_AUTH);
    buf_release(&wire);
    return done;
}

static bool open_link(struct migration_dial *d, struct link *l) {
    char digits[INT64_TEXT_MAX];
    const struct link_target target = {
        .host = slice_of(d->host),
        .port = slice_make(digits, int64_format(digits, d->port)),
        .source = d->source_address,
        .tls = d->tls,
    };
    enum link_result result = link_open(l, &target, d->timeout_ms, &d->is_cancelled);
    if (result == LINK_OPEN) return true;
    return fail(d, "Cannot connect to the target",
                result == LINK_REFUSED ? LIT("Connection refused") : LIT("the host cannot be reached"));
}

static void *dial_main(void *arg) {
    struct migration_dial *d = arg;
    struct link link;
    if (open_link(d, &link)) {
        if (log_in(d, &link) && ask(d, &link, buf_slice(&d->establish), EXPORT_SENDING_ESTABLISH))
            link_give(&link, &d->socket, &d->received);
        else
            link_close(&link);
    }
    tls_thread_release();
    worker_post(0, &d->done);
    return NULL;
}

static void emit(void *wire, const struct slice *argv, size_t argc) { wire_command(wire, argv, argc); }

struct migration_dial *dial_start(const struct migration *m, const char *host, uint16_t port,
                                  void (*done)(struct letter *letter)) {
    struct migration_dial *d = mem_alloc_zero(sizeof *d);
    d->done.run = done;
    d->host = mem_strdup(host);
    d->port = port;
    d->source_address = mem_strdup(options.bind_source_addr);
    d->user = mem_strdup(options.primaryuser);
    d->password = mem_strdup(options.primaryauth);
    d->timeout_ms = options.repl_timeout_s * 1000;
    d->tls = options.tls_replication;
    d->socket.fd = -1;
    migration_establish(m, emit, &d->establish);
    atomic_init(&d->stage, EXPORT_CONNECTING);
    d->is_started = thread_start(&d->thread, "slot-link", dial_main, d);
    if (d->is_started) chain_insert_last(&dials, &d->in_dials);
    if (d->is_started) return d;
    dial_free(d);
    return NULL;
}

static void join(struct migration_dial *d) {
    if (d->is_started) pthread_join(d->thread, NULL);
    d->is_started = false;
}

void dials_stop(void) {
    CHAIN_EACH(&dials, struct migration_dial, in_dials, d) {
        atomic_store(&d->is_cancelled, true);
        join(d);
    }
}

void dial_free(struct migration_dial *d) {
    if (chain_link_is_linked(&d->in_dials)) chain_remove(&dials, &d->in_dials);
    join(d);
    if (d->socket.fd >= 0) socket_close(&d->socket);
    mem_free(d->host);
    mem_free(d->source_address);
    mem_free(d->user);
    mem_free(d->password);
    buf_release(&d->establish);
    buf_release(&d->received);
    buf_release(&d->why);
    mem_free(d);
}
