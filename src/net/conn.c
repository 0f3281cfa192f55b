/* conn.c: reads bytes, runs commands, writes bytes.
 *
 * All connections of a worker read into one shared buffer. Only what is left of an incomplete command moves
 * to the connection's own buffer, so an idle connection owns none. A pipelined buffer is parsed into a batch
 * of commands. Their keys are hashed and prefetched, then they run. A big argument is read straight into its
 * blob.
 *
 * Replies wait for the end of the worker's turn (conns_flush): one writev for all that a connection got in
 * it. */
#include "trivet/net/conn.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/run/dispatch.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/net/listener.h"
#include "trivet/net/socket.h"
#include "trivet/net/worker.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"
#include "trivet/resp/parser.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE (64 * 1024) /* the worker's shared input buffer */
#define BATCH 64              /* commands parsed ahead */
#define WRITE_VECTORS 64
#define WRITE_AT_ONCE (1024 * 1024)    /* bytes for one connection before the others get their turn */
#define CHECK_OUTPUT_FROM (256 * 1024) /* bytes from which a pipeline's replies meet the limits */
#define UNAUTHENTICATED_OUTPUT 1024    /* bytes that may wait for a client that has not authenticated */
#define PEAK_EVERY_MS 5000             /* the peak of the first block of replies covers this time */
#define READ_ASIDE_MAX (1024 * 1024)   /* input kept for a blocked client */
#define KEEP_INPUT_ROOM (16 * 1024)    /* an empty input buffer larger than this is given back */

/* No command of such a client may run now. */
#define STOPPED (CLIENT_CLOSING | CLIENT_BLOCKED | CLIENT_POSTPONED)

struct conn {
    struct client client;
    struct event readable, writable;
    struct event timer;
    int64_t timer_due_us; /* by the steady clock */
    struct buf in;        /* bytes of a command that is not complete, or may not run yet */
    struct args args;     /* that command, as far as it is parsed; the worker's slots have it while a batch is
                             parsed and run */
    bool args_ready;      /* args is complete and was postponed (only for commands with big arguments) */
    bool trusted;         /* it was authenticated once */
    bool reading;         /* `readable` is added */
    bool writing;         /* `writable` is added: the socket was full */
    bool queued;          /* on the worker's list of connections with output */
    bool marked;          /* on the worker's list of those to be closed */
    bool resumed;         /* on the worker's list of those that go on with their input */
    struct conn *next_output, *next_marked, *next_resumed;
};

/* One worker's part. */
static _Thread_local struct {
    struct conn *output; /* have something to write, newest first */
    struct conn *marked;
    struct conn *resumed;
    char *shared; /* READ_SIZE bytes */
    bool ended;   /* conns_end ran: refuse new connections */
    struct args slots[BATCH];
    struct prepared prepared[BATCH];
} here;

static struct conn *conn_of(struct client *c) { return CONTAINER_OF(c, struct conn, client); }

/* ---- marking for the end of the turn ---- */

static void queue_output(struct conn *conn) {
    if (conn->queued || conn->writing) return;
    conn->queued = true;
    conn->next_output = here.output;
    here.output = conn;
}

static void mark_for_closing(struct conn *conn) {
    conn->client.flags |= CLIENT_CLOSING;
    blocking_cancel(&conn->client); /* from now on no change of a key serves it */
    if (conn->marked) return;
    assert(conn->client.worker == worker_self());
    conn->marked = true;
    conn->next_marked = here.marked;
    here.marked = conn;
}

static void close_soon(struct client *c, const char *why) {
    struct conn *conn = conn_of(c);
    if (why && !conn->marked)
        LOG_VERBOSE("Closing client %s (id %llu): %s", c->peer, (unsigned long long)c->id, why);
    mark_for_closing(conn);
}

/* Waits for an event of the connection. If that fails, the connection could never be served again, so it is
 * closed. */
static void wait_for(struct conn *conn, struct event *event, const struct timeval *timeout) {
    if (event_add(event, timeout) == 0) return;
    LOG_WARNING("Error registering fd event for client %s (id %llu): %s", conn->client.peer,
                (unsigned long long)conn->client.id, strerror(errno));
    mark_for_closing(conn);
}

static void set_reading(struct conn *conn, bool on) {
    if (conn->reading == on) return;
    conn->reading = on;
    if (on)
        wait_for(conn, &conn->readable, NULL);
    else
        event_del(&conn->readable);
}

static void set_writing(struct conn *conn, bool on) {
    if (conn->writing == on) return;
    conn->writing = on;
    if (on)
        wait_for(conn, &conn->writable, NULL);
    else
        event_del(&conn->writable);
}

/* ---- output limits ---- */

static void close_for_output(struct conn *conn, const char *limit) {
    struct buf line = { 0 };
    client_describe(&conn->client, turn_now_ms, &line);
    LOG_WARNING("Client closed for overcoming of output buffer limits: the %s output buffer limit "
                "(client-output-buffer-limit): %.*s",
                limit, SLICE_ARG(buf_slice(&line)));
    buf_release(&line);
    COUNTER_ADD(stats_mine()->output_limit_closed, 1);
    mark_for_closing(conn);
}

/* The hard limit at once, the soft limit once it has been passed for its time. */
static void check_output(struct conn *conn) {
    struct client *c = &conn->client;
    const struct output_limit *limit = &options.client_output_buffer_limit[client_class(c)];
    size_t waiting = c->reply.memory;
    if (c->flags & CLIENT_CLOSING) return;
    if (limit->hard_bytes && waiting >= limit->hard_bytes) {
        close_for_output(conn, "hard");
        return;
    }
    if (!limit->soft_bytes || waiting < limit->soft_bytes) {
        c->soft_limit_since_ms = 0;
    } else if (c->soft_limit_since_ms == 0) {
        c->soft_limit_since_ms = turn_now_ms;
    } else if (turn_now_ms - c->soft_limit_since_ms > limit->soft_seconds * 1000) {
        close_for_output(conn, "soft");
    }
}

static void on_output(struct client *c) {
    struct conn *conn = conn_of(c);
    check_output(conn);
    queue_output(conn);
    if (conn->writing) client_recount_if_changed(c); /* no flush will see it soon */
}

/* ---- a batch of commands ----
 *
 * The worker's slots own the arguments of all commands of a pass over the input. A command that was not
 * complete comes from its connection into slot 0 (take_partial) and what is not complete afterwards goes back
 * to it (give_back). All other commands in the slots are released in one place, drop_from. */

/* What one parsing pass over the input found. */
struct batch {
    size_t count;           /* complete commands */
    enum parse ended;       /* why it stopped: READY means that the batch is full or the input ended */
    size_t consumed[BATCH]; /* bytes of the input up to and with command i */
    size_t used;            /* the same for the last one */
};

static void swap_args(struct args *a, struct args *b) {
    struct args was = *a;
    *a = *b;
    *b = was;
}

static void take_partial(struct conn *conn) {
    assert(args_is_idle(&here.slots[0]) && !conn->args_ready);
    if (!args_is_idle(&conn->args)) swap_args(&here.slots[0], &conn->args);
}

static void give_back(struct conn *conn, size_t slot) {
    assert(args_is_idle(&conn->args));
    if (!args_is_idle(&here.slots[slot])) swap_args(&here.slots[slot], &conn->args);
}

/* Empties the slots from `first` to the incomplete one, if there is one. */
static void drop_from(const struct batch *b, size_t first) {
    for (size_t i = first; i < b->count; i++) args_reset(&here.slots[i]);
    if (b->ended != PARSE_READY) args_reset(&here.slots[b->count]);
}

static struct parse_limits limits_of(struct conn *conn) {
    if (LIKELY(conn->client.authenticated)) {
        conn->trusted = true;
        return (struct parse_limits){ options.proto_max_bulk_len, INT32_MAX };
    }
    return (struct parse_limits){ PARSE_UNAUTHENTICATED_BULK, PARSE_UNAUTHENTICATED_ARGS };
}

/* Parses commands into the worker's slots; the one that is not complete, if any, is in slots[count]. */
static void parse_batch(struct conn *conn, struct slice input, struct batch *b) {
    struct parse_limits limits = limits_of(conn);
    b->count = 0;
    b->used = 0;
    b->ended = PARSE_READY;
    take_partial(conn); /* goes on where the last read ended */
    while (b->count < BATCH) {
        struct args *a = &here.slots[b->count];
        struct slice rest = slice_make(input.ptr + b->used, input.len - b->used);
        b->ended = parse_command(a, rest, &limits);
        if (b->ended != PARSE_READY) return;
        b->used += a->used;
        if (a->argc == 0) {
            args_reset(a);
            continue;
        }
        b->consumed[b->count] = b->used;
        dispatch_prepare(a->argv, a->argc, &here.prepared[b->count]);
        b->count++;
        if (a->blobs || !conn->client.authenticated) return; /* AUTH changes the limits for what follows */
    }
}

/* ---- running commands ---- */

#define ATTACK_LOG_EVERY_MS 60000

/* A line of HTTP: a web page may have made a browser send commands in the body of a request. Close before
 * they run. */
static bool speaks_http(const struct args *a, const struct prepared *p) {
    return UNLIKELY(!p->command) &&
           (slice_equal_nocase(a->argv[0], LIT("POST")) || slice_equal_nocase(a->argv[0], LIT("host:")));
}

static enum dispatched refuse_browser(struct conn *conn) {
    static atomic_int_fast64_t logged_ms;
    int64_t before = atomic_load_explicit(&logged_ms, memory_order_relaxed);
    if (before == 0 || turn_now_ms - before > ATTACK_LOG_EVERY_MS) {
        atomic_store_explicit(&logged_ms, turn_now_ms, memory_order_relaxed);
        LOG_WARNING(
            "Possible SECURITY ATTACK detected: POST or Host: came as a command, as when a web page makes "
            "a browser talk to this server. The connection from %s is cut off.",
            conn->client.peer);
    }
    close_soon(&conn->client, "it speaks HTTP");
    return DISPATCH_CLOSE;
}

static enum dispatched run_one(struct conn *conn, struct args *a, const struct prepared *p) {
    struct client *c = &conn->client;
    assert(!(c->flags & STOPPED)); /* a command that closes or stops the client ends the batch */
    if (speaks_http(a, p)) return refuse_browser(conn);
    c->running = a;
    enum dispatched d = dispatch_run(c, a, p);
    c->running = NULL;
    if (UNLIKELY(c->reply.full || c->reply.memory > CHECK_OUTPUT_FROM)) check_output(conn);
    return d;
}

/* After a command that is done: may the next one run? */
static enum dispatched go_to_next(const struct client *c) {
    gate_yield(); /* before the look at the flag: CLIENT KILL of another worker runs here */
    return UNLIKELY(c->flags & CLIENT_CLOSING) ? DISPATCH_CLOSE : DISPATCH_DONE;
}

/* Runs the batch and empties it. Returns how many bytes of the input were used; *held says why it stopped
 * before the end. The incomplete command stays in its slot if all others ran. */
static size_t run_batch(struct conn *conn, const struct batch *b, enum dispatched *held) {
    struct client *c = &conn->client;
    size_t i = 0;
    *held = DISPATCH_DONE;
    if (b->count > 0) dispatch_prefetch(c, here.prepared, b->count);
    reply_set_max(&c->reply, options.client_output_buffer_limit[client_class(c)].hard_bytes);
    for (; i < b->count; i++) {
        *held = run_one(conn, &here.slots[i], &here.prepared[i]);
        if (UNLIKELY(*held != DISPATCH_DONE)) break;
        args_reset(&here.slots[i]);
        *held = go_to_next(c);
        if (UNLIKELY(*held != DISPATCH_DONE)) break;
    }
    reply_set_max(&c->reply, 0);
    if (LIKELY(i == b->count)) return b->used;
    bool postponed = *held == DISPATCH_POSTPONED;
    if (postponed) c->held_input = here.slots[i].used;
    if (postponed && here.slots[i].blobs) { /* its arguments are not all in the input: keep it as it is */
        give_back(conn, i);
        conn->args_ready = true;
    }
    drop_from(b, i);
    if (!postponed) return b->consumed[i];
    return i ? b->consumed[i - 1] : 0;
}

static void protocol_error(struct conn *conn, const char *why) {
    struct client *c = &conn->client;
    LOG_VERBOSE("Protocol error (%s) from client %s", why, c->peer);
    reply_error_printf(&c->reply, "ERR %s", why);
    stats_error("ERR");
    c->flags |= CLIENT_CLOSE_AFTER;
    set_reading(conn, false);
}

static bool write_some(struct conn *conn);

/* A client that has not authenticated gets its replies at once, or is closed: it must not fill the memory by
 * not reading them. Its commands changed no key, so there is no write to wait for. */
static void check_unauthenticated(struct conn *conn) {
    struct client *c = &conn->client;
    if (c->reply.bytes <= UNAUTHENTICATED_OUTPUT || (c->flags & CLIENT_CLOSING)) return;
    if (!write_some(conn))
        close_soon(c, strerror(errno));
    else if (c->reply.bytes > UNAUTHENTICATED_OUTPUT)
        close_for_output(conn, "unauthenticated");
}

/* Parses and runs all of `input`; returns how many bytes of it were used. */
static size_t run_input(struct conn *conn, struct slice input) {
    size_t done = 0;
    for (;;) {
        struct batch b;
        enum dispatched held;
        parse_batch(conn, slice_make(input.ptr + done, input.len - done), &b);
        done += run_batch(conn, &b, &held);
        if (UNLIKELY(!conn->trusted)) {
            check_unauthenticated(conn);
            if (held == DISPATCH_DONE && (conn->client.flags & CLIENT_CLOSING)) {
                drop_from(&b, b.count);
                held = DISPATCH_CLOSE;
            }
        }
        if (held == DISPATCH_BLOCKED || held == DISPATCH_POSTPONED) return done;
        if (held == DISPATCH_CLOSE) {
            set_reading(conn, false);
            return input.len;
        }
        if (b.ended == PARSE_BROKEN) {
            protocol_error(conn, here.slots[b.count].error);
            drop_from(&b, b.count);
            return input.len;
        }
        if (b.ended != PARSE_READY) give_back(conn, b.count);
        if (b.ended != PARSE_READY || done == input.len) return done;
    }
}

/* A postponed command with big arguments runs again. False if it still may not. */
static bool run_postponed(struct conn *conn) {
    struct args *a = &conn->args;
    struct prepared p = { 0 };
    args_rebase(a, conn->in.ptr);
    size_t used = a->used;
    dispatch_prepare(a->argv, a->argc, &p);
    enum dispatched d = run_one(conn, a, &p);
    prepared_release(&p);
    if (d == DISPATCH_POSTPONED) {
        conn->client.held_input = used;
        return false;
    }
    args_release(a);
    conn->args_ready = false;
    buf_drop_front(&conn->in, used);
    conn->client.input_pending = conn->in.len;
    return d == DISPATCH_DONE;
}

static void over_query_limit(struct conn *conn) {
    struct buf line = { 0 };
    client_describe(&conn->client, turn_now_ms, &line);
    LOG_WARNING("Closing client that reached the query buffer limit (client-query-buffer-limit): %.*s",
                SLICE_ARG(buf_slice(&line)));
    buf_release(&line);
    COUNTER_ADD(stats_mine()->query_limit_closed, 1);
    mark_for_closing(conn);
}

/* Tells the client how much memory its input takes now, and checks it against the limit. */
static void note_input(struct conn *conn) {
    struct client *c = &conn->client;
    c->input_pending = conn->in.len;
    c->input_room = conn->in.room;
    c->arguments_memory = args_memory(&conn->args);
    size_t queued = c->flags & CLIENT_IN_MULTI ? transaction_memory(c) : 0;
    if (c->input_pending + c->arguments_memory + queued > options.client_query_buffer_limit)
        over_query_limit(conn);
}

/* The input left over stays with the connection. */
static void keep_input(struct conn *conn, struct slice input, size_t done) {
    assert(done <= input.len);
    if (conn->in.ptr && input.ptr == conn->in.ptr) {
        if (done > 0) buf_drop_front(&conn->in, done);
    } else if (done < input.len) {
        buf_append(&conn->in, slice_make(input.ptr + done, input.len - done));
    }
    if (conn->in.len == 0 && conn->in.room > KEEP_INPUT_ROOM) buf_release(&conn->in);
    note_input(conn);
}

static void after_input(struct conn *conn) {
    struct client *c = &conn->client;
    if (!reply_is_empty(&c->reply) || (c->flags & CLIENT_CLOSE_AFTER)) queue_output(conn);
    check_output(conn);
    if (!conn->queued) client_recount_if_changed(c); /* else the flush does */
}

static void process(struct conn *conn, struct slice input) {
    assert(!(conn->client.flags & STOPPED) && !conn->args_ready);
    keep_input(conn, input, run_input(conn, input));
    after_input(conn);
}

/* ---- reading ---- */

/* Before the bytes are looked at: a command sees its own among them. */
static void note_read(struct conn *conn, size_t got) {
    struct client *c = &conn->client;
    c->active_ms = turn_now_ms;
    c->bytes_in += (uint64_t)got;
    COUNTER_ADD(stats_mine()->net_in, (uint64_t)got);
}

/* Reads into the big argument that is being filled and, if its end is in reach, what comes after it into the
 * connection's own buffer. Returns what read returned. */
static ssize_t read_big(struct conn *conn) {
    assert(!conn->args_ready);
    struct parse_room room = parse_big_room(&conn->args);
    char *behind = buf_reserve(&conn->in, KEEP_INPUT_ROOM / 4);
    struct iovec to[2] = { { room.ptr, room.len }, { behind, KEEP_INPUT_ROOM / 4 } };
    ssize_t got = socket_read_vectors(conn->client.fd, to, room.is_last ? 2 : 1);
    if (got <= 0) return got;
    note_read(conn, (size_t)got);
    size_t into_big = (size_t)got < room.len ? (size_t)got : room.len;
    conn->in.len += (size_t)got - into_big;
    parse_big_filled(&conn->args, into_big);
    if (into_big == room.len) {
        process(conn, buf_slice(&conn->in));
    } else {
        note_input(conn);
        client_recount_if_changed(&conn->client);
    }
    return got;
}

static ssize_t read_plain(struct conn *conn) {
    assert(!conn->args.big && here.shared);
    char *to = here.shared;
    if (conn->in.len > 0) to = buf_reserve(&conn->in, READ_SIZE / 4);
    size_t room = conn->in.len > 0 ? conn->in.room - conn->in.len : READ_SIZE;
    ssize_t got = socket_read(conn->client.fd, to, room);
    if (got <= 0) return got;
    note_read(conn, (size_t)got);
    if (to == here.shared) {
        process(conn, slice_make(to, (size_t)got));
    } else {
        conn->in.len += (size_t)got;
        process(conn, buf_slice(&conn->in));
    }
    return got;
}

/* Keeps what a blocked client sends for later, up to a limit. It reads only to notice a hang-up. */
static ssize_t read_aside(struct conn *conn) {
    ssize_t got = socket_read(conn->client.fd, buf_reserve(&conn->in, KEEP_INPUT_ROOM), KEEP_INPUT_ROOM);
    if (got > 0) {
        note_read(conn, (size_t)got);
        conn->in.len += (size_t)got;
    }
    note_input(conn);
    client_recount_if_changed(&conn->client);
    if (conn->in.len > READ_ASIDE_MAX) set_reading(conn, false);
    return got;
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct conn *conn = arg;
    struct client *c = &conn->client;
    worker_begin_turn();
    if (mailbox_has_letters(&worker_mailboxes[worker_self()]))
        mailbox_drain(&worker_mailboxes[worker_self()]);
    tracking_deliver();
    if (c->flags & CLIENT_CLOSING) return;
    COUNTER_ADD(stats_mine()->reads, 1);
    ssize_t got;
    if ((c->flags & STOPPED) || conn->resumed) /* what it was stopped with goes first: see go_on */
        got = read_aside(conn);
    else
        got = conn->args.big ? read_big(conn) : read_plain(conn);
    if (got == 0)
        mark_for_closing(conn);
    else if (got < 0 && errno != EAGAIN && errno != EINTR)
        close_soon(c, strerror(errno));
}

/* Another client's command or a timer lets this client go on. Its input waits for the end of the turn,
 * because the worker's slots may be in use now. */
static void resume(struct client *c) {
    struct conn *conn = conn_of(c);
    if (conn->resumed) return;
    conn->resumed = true;
    conn->next_resumed = here.resumed;
    here.resumed = conn;
}

static void go_on(struct conn *conn) {
    struct client *c = &conn->client;
    assert(!(c->flags & CLIENT_BLOCKED) == !c->blocked);
    if (c->flags & STOPPED) return;
    bool ran = !conn->args_ready || run_postponed(conn);
    if (ran && !(c->flags & (STOPPED | CLIENT_CLOSE_AFTER))) {
        set_reading(conn, true);
        if (conn->in.len > 0) process(conn, buf_slice(&conn->in));
    }
    after_input(conn);
}

void conns_resume(void) {
    while (here.resumed) {
        struct conn *conn = here.resumed;
        here.resumed = conn->next_resumed;
        assert(conn->resumed);
        conn->resumed = false;
        go_on(conn);
    }
}

/* ---- writing ---- */

/* Writes as much as the socket takes, up to a fair share. False if the connection broke. */
static bool write_some(struct conn *conn) {
    struct reply *r = &conn->client.reply;
    size_t written = 0;
    while (!reply_is_empty(r) && written < WRITE_AT_ONCE) {
        struct iovec vectors[WRITE_VECTORS];
        int count = reply_vectors(r, vectors, WRITE_VECTORS);
        assert(count > 0); /* it is not empty */
        ssize_t n = socket_write_vectors(conn->client.fd, vectors, count);
        COUNTER_ADD(stats_mine()->writes, 1);
        if (n < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN;
        }
        size_t before = r->bytes;
        reply_sent(r, (size_t)n);
        written += (size_t)n;
        if ((size_t)n < before && count < WRITE_VECTORS) break; /* the socket is full */
    }
    conn->client.bytes_out += written;
    COUNTER_ADD(stats_mine()->net_out, written);
    return true;
}

/* CLIENT LIST shows how full the first block of replies was lately. */
static void note_reply_peak(struct client *c) {
    size_t waits = c->reply.bytes < REPLY_CHUNK ? c->reply.bytes : REPLY_CHUNK;
    if (waits > c->reply_peak) c->reply_peak = waits;
}

static void flush(struct conn *conn) {
    struct client *c = &conn->client;
    if (c->flags & CLIENT_CLOSING) return;
    note_reply_peak(c);
    if (!write_some(conn)) {
        close_soon(c, strerror(errno));
        return;
    }
    bool more = !reply_is_empty(&c->reply);
    if (!more && (c->flags & CLIENT_CLOSE_AFTER)) mark_for_closing(conn);
    if (UNLIKELY(c->soft_limit_since_ms != 0)) check_output(conn); /* below it again? */
    client_recount_if_changed(c);
    set_writing(conn, more);
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct conn *conn = arg;
    worker_begin_turn();
    assert(conn->writing);
    /* Replies added since may depend on a write that is not durable yet. Then all wait for the flush. */
    if (journal_on && !aof_is_committed(conn->client.journal_offset)) {
        set_writing(conn, false);
        queue_output(conn);
        return;
    }
    flush(conn);
}

bool conns_have_output(void) { return here.output != NULL; }

void conns_flush(uint64_t durable) {
    struct conn *list = here.output;
    here.output = NULL;
    while (list) {
        struct conn *conn = list;
        list = conn->next_output;
        assert(conn->queued);
        conn->queued = false;
        if (conn->client.journal_offset <= durable || aof_is_committed(conn->client.journal_offset))
            flush(conn);
        else
            queue_output(conn); /* tried again in each turn, at the latest by the cron */
    }
}

/* ---- opening and closing ---- */

static void arm_timer(struct conn *conn, int64_t in_us) {
    struct timeval in = { in_us / 1000000, in_us % 1000000 };
    wait_for(conn, &conn->timer, &in);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct conn *conn = arg;
    int64_t left_us = conn->timer_due_us - clock_steady_us();
    if (left_us > 0) { /* libevent's clock is coarse: it may call some milliseconds early */
        arm_timer(conn, left_us);
        return;
    }
    worker_begin_turn();
    blocking_timeout(&conn->client);
}

static void set_timer(struct client *c, int64_t in_ms) {
    struct conn *conn = conn_of(c);
    if (in_ms < 0) {
        event_del(&conn->timer);
        return;
    }
    static const int64_t most_ms = INT64_MAX / 4000; /* as good as never */
    int64_t in_us = (in_ms < most_ms ? in_ms : most_ms) * 1000;
    conn->timer_due_us = clock_steady_us() + in_us;
    arm_timer(conn, in_us);
}

void conn_fill_hooks(struct client_hooks *hooks) {
    *hooks = (struct client_hooks){
        .output = on_output, .close = close_soon, .resume = resume, .timer = set_timer
    };
}

bool conn_open(int fd, bool is_unix) {
    if (here.ended) {
        close(fd);
        return false;
    }
    struct event_base *base = worker_base(worker_self());
    struct conn *conn = mem_alloc_zero(sizeof *conn);
    if (!here.shared) here.shared = mem_alloc(READ_SIZE);
    client_init(&conn->client, is_unix ? CLIENT_UNIX_SOCKET : 0);
    conn->client.fd = fd;
    conn->client.authenticated = options.password[0] == '\0';
    socket_addresses(fd, is_unix ? options.unixsocket : NULL, conn->client.peer, conn->client.local);
    args_init(&conn->args);
    event_assign(&conn->readable, base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    event_assign(&conn->writable, base, fd, EV_WRITE | EV_PERSIST, on_writable, conn);
    event_assign(&conn->timer, base, -1, 0, on_timer, conn);
    client_recount(&conn->client);
    COUNTER_ADD(stats_mine()->connections, 1);
    set_reading(conn, true);
    return true;
}

static void leave_lists(struct conn *conn) {
    for (struct conn **at = &here.output; conn->queued && *at; at = &(*at)->next_output)
        if (*at == conn) {
            *at = conn->next_output;
            break;
        }
    for (struct conn **at = &here.resumed; conn->resumed && *at; at = &(*at)->next_resumed)
        if (*at == conn) {
            *at = conn->next_resumed;
            break;
        }
}

static void conn_close(struct conn *conn) {
    assert(conn->client.worker == worker_self() && !conn->client.running);
    leave_lists(conn);
    event_del(&conn->readable);
    event_del(&conn->writable);
    event_del(&conn->timer);
    listeners_count_client(worker_self(),
                           -1); /* before INFO tells that one is gone: its place is free then */
    client_release(&conn->client);
    close(conn->client.fd);
    buf_release(&conn->in);
    args_release(&conn->args);
    mem_free(conn);
    listeners_resume();
}

void conns_close_marked(void) {
    while (here.marked) {
        struct conn *conn = here.marked;
        here.marked = conn->next_marked;
        assert(conn->marked && (conn->client.flags & CLIENT_CLOSING));
        conn_close(conn);
    }
}

void conns_end(void) {
    conns_close_marked();
    CLIENTS_OF(worker_self(), c) {
        struct conn *conn = conn_of(c);
        if (!reply_is_empty(&c->reply) && (!journal_on || aof_is_committed(c->journal_offset)))
            write_some(conn);
        conn_close(conn);
    }
    for (size_t i = 0; i < BATCH; i++) {
        args_release(&here.slots[i]);
        prepared_release(&here.prepared[i]);
    }
    mem_free(here.shared);
    here.shared = NULL;
    here.ended = true;
}

/* ---- now and then ---- */

static bool is_idle_too_long(const struct client *c, int64_t now_ms) {
    uint32_t spared = CLIENT_SUBSCRIBED | CLIENT_BLOCKED | CLIENT_MONITORING | CLIENT_POSTPONED;
    return options.timeout_s > 0 && !(c->flags & spared) && now_ms - c->active_ms > options.timeout_s * 1000;
}

/* A connection at rest owns no input buffer. */
static void drop_empty_input(struct conn *conn) {
    if (conn->in.len > 0 || !conn->in.ptr) return;
    assert(args_is_idle(&conn->args)); /* else its arguments are there */
    buf_release(&conn->in);
    conn->client.input_room = 0;
}

void conns_cron(int64_t now_ms) {
    static _Thread_local int64_t peaks_ms;
    bool new_peaks = now_ms - peaks_ms >= PEAK_EVERY_MS || now_ms < peaks_ms;
    if (new_peaks) peaks_ms = now_ms;
    clients_forget_peaks(now_ms);
    CLIENTS_OF(worker_self(), c) {
        if (is_idle_too_long(c, now_ms)) close_soon(c, "idle for longer than timeout");
        check_output(conn_of(c));
        drop_empty_input(conn_of(c));
        client_recount(c);
        if (new_peaks) c->reply_peak = 0;
    }
}

void conns_keepalive(void) {
    CLIENTS_OF(worker_self(), c)
    if (!(c->flags & CLIENT_UNIX_SOCKET)) socket_keepalive(c->fd, options.tcp_keepalive_s);
}
