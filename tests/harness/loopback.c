/* loopback.c: see loopback.h. It is to the engine what net/conn.c is: it parses nothing, because the test's
 * lines are words already, and writes nothing, because the test reads the replies. */
#include "loopback.h"
#include "engine.h"
#include "fail.h"
#include "node.h"
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/run/dispatch.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/persist/journal_sink.h"
#include "trivet/resp/parser.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct loopback {
    struct client client;
    struct loopback *next;
    struct slice *postponed; /* a command that waits for the end of a pause */
    size_t postponed_argc;
    char *postponed_text;
    int64_t due_ms; /* of its timer; 0: none */
    bool resumed;
    enum dispatched dispatched; /* how the last command ended */
    struct text heard;
};

static struct loopback *all;
static struct text journaled;

static struct loopback *loopback_of(struct client *c) { return CONTAINER_OF(c, struct loopback, client); }

/* ---- what the engine asks of a connection ---- */

static void on_output(struct client *c) { (void)c; }

static void on_close(struct client *c, const char *why) {
    (void)why;
    c->flags |= CLIENT_CLOSING;
    blocking_cancel(c);
}

static void on_resume(struct client *c) { loopback_of(c)->resumed = true; }

static void on_timer(struct client *c, int64_t in_ms) {
    loopback_of(c)->due_ms = in_ms < 0 ? 0 : turn_now_ms + in_ms;
}

/* ---- the server ---- */

int loopback_start(void **state) {
    (void)state;
    const struct client_hooks hooks = {
        .output = on_output, .close = on_close, .resume = on_resume, .timer = on_timer
    };
    if (!engine_start(1, &hooks)) HARNESS_FAIL("the modules do not start");
    gate_enter();
    return 0;
}

int loopback_stop(void **state) {
    (void)state;
    loopback_turn();
    gate_leave();
    return engine_stop() ? 0 : -1;
}

int loopback_empty(void **state) {
    (void)state;
    assert_null(all);
    turn_now_ms = clock_wall_ms();
    struct loopback *l = loopback_open();
    assert_says(l, "FLUSHALL", "+OK");
    loopback_close(l);
    return 0;
}

/* ---- the journal ---- */

void loopback_keep_journal(bool on) {
    journal_set_on(on);
    journal_restart();
    text_release(&journaled);
    journaled = (struct text){ 0 };
}

static void append_words(const struct node *n) {
    for (size_t i = 0; i < n->count; i++)
        text_printf(&journaled, "%s%s", i ? " " : "", text_str(&n->items[i]->bytes));
}

const char *loopback_journal(void) {
    struct buf wire = { 0 };
    journal_swap(&wire);
    text_clear(&journaled);
    for (size_t at = 0, used; at < wire.len; at += used) {
        struct node *n;
        assert_int_equal(node_parse(slice_make(wire.ptr + at, wire.len - at), &n, &used), NODE_READY);
        if (at > 0) text_append_str(&journaled, "\n");
        append_words(n);
        node_free(n);
    }
    buf_release(&wire);
    return text_str(&journaled);
}

/* ---- a client ---- */

struct loopback *loopback_open(void) {
    struct loopback *l = mem_alloc_zero(sizeof *l);
    client_init(&l->client, CLIENT_UNIX_SOCKET);
    l->client.authenticated = options.password[0] == '\0';
    l->next = all;
    all = l;
    return l;
}

static void drop_postponed(struct loopback *l) {
    mem_free(l->postponed);
    mem_free(l->postponed_text);
    l->postponed = NULL;
    l->postponed_text = NULL;
}

void loopback_close(struct loopback *l) {
    struct loopback **at = &all;
    while (*at != l) at = &(*at)->next;
    *at = l->next;
    loopback_turn();
    client_release(&l->client);
    drop_postponed(l);
    text_release(&l->heard);
    mem_free(l);
}

struct client *loopback_client(struct loopback *l) {
    return &l->client;
}
bool loopback_is_closing(const struct loopback *l) { return l->client.flags & CLIENT_CLOSING; }
enum dispatched loopback_dispatched(const struct loopback *l) { return l->dispatched; }

/* Runs the command; true if it is to be run again later. */
static bool run(struct loopback *l, struct slice *argv, size_t argc) {
    struct args args = { .argv = argv, .argc = argc };
    struct prepared p = { 0 };
    dispatch_prepare(argv, argc, &p);
    dispatch_prefetch(&l->client, &p, 1);
    l->dispatched = dispatch_run(&l->client, &args, &p, (struct slice){ 0 });
    while (l->dispatched == DISPATCH_UNFINISHED) l->dispatched = dispatch_go_on(&l->client, &args, &p);
    prepared_release(&p);
    return l->dispatched == DISPATCH_POSTPONED;
}

static void run_postponed(struct loopback *l) {
    struct slice *argv = l->postponed;
    char *text = l->postponed_text;
    l->postponed = NULL;
    l->postponed_text = NULL;
    if (run(l, argv, l->postponed_argc)) {
        l->postponed = argv;
        l->postponed_text = text;
        return;
    }
    mem_free(argv);
    mem_free(text);
}

/* Letters and own messages: how many of the former there were, and one for the latter. */
static size_t drain(void) {
    size_t count = mailbox_drain(&worker_mailboxes[0]);
    if (!pubsub_has_own()) return count;
    pubsub_deliver();
    return count + 1;
}

void loopback_turn(void) {
    drain();
    for (struct loopback *l = all; l; l = l->next) {
        if (!l->resumed) continue;
        l->resumed = false;
        if (l->postponed) run_postponed(l);
    }
    tracking_turn_ends();
    /* Letters may post letters: an invalidation that is redirected, and finds nobody, takes three. */
    while (drain() > 0) tracking_turn_ends();
}

void loopback_advance(int64_t ms) {
    turn_now_ms += ms;
    for (struct loopback *l = all; l; l = l->next) {
        if (l->due_ms == 0 || l->due_ms > turn_now_ms) continue;
        l->due_ms = 0;
        blocking_timeout(&l->client);
    }
    loopback_turn();
}

const char *loopback_next(struct loopback *l) {
    struct reply *r = &l->client.reply;
    struct buf wire = { 0 };
    while (!reply_is_empty(r)) {
        struct iovec part;
        assert_int_equal(reply_vectors(r, &part, 1), 1);
        buf_append(&wire, slice_make(part.iov_base, part.iov_len));
        reply_sent(r, part.iov_len);
    }
    text_release(&l->heard);
    l->heard = (struct text){ 0 };
    for (size_t at = 0, used; at < wire.len; at += used) {
        struct node *n;
        assert_int_equal(node_parse(slice_make(wire.ptr + at, wire.len - at), &n, &used), NODE_READY);
        if (at > 0) text_append_str(&l->heard, "\n");
        node_describe(n, &l->heard);
        node_free(n);
    }
    buf_release(&wire);
    return text_str(&l->heard);
}

const char *loopback_ask(struct loopback *l, const char *format, ...) {
    char line[4096];
    struct slice *argv;
    char *text;
    size_t argc;
    va_list list;
    va_start(list, format);
    int len = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    assert_in_range(len, 1, sizeof line - 1);
    assert_null(l->postponed);
    assert_true(split_line(slice_make(line, (size_t)len), &argv, &argc, &text));
    if (run(l, argv, argc)) {
        l->postponed = argv;
        l->postponed_argc = argc;
        l->postponed_text = text;
    } else {
        mem_free(argv);
        mem_free(text);
    }
    loopback_turn();
    return loopback_next(l);
}
