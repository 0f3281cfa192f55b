/* conn.c: reads bytes, runs commands.
 *
 * All connections of a worker read into one shared buffer. Only what is left of an incomplete command moves
 * to the connection's own buffer, so an idle connection owns none. A pipelined buffer is parsed into a batch
 * of commands. Their keys are hashed and prefetched, then they run. A big argument is read straight into its
 * blob.
 *
 * Replies wait for the end of the worker's turn (conns_flush in conn_output.c): one writev for all that a
 * connection got in it. */
#include "trivet/net/conn.h"
#include "conn_private.h"
#include "stranger.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/cluster/migrations.h"
#include "trivet/engine/replication/apply.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/run/dispatch.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/net/listener.h"
#include "trivet/net/worker.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"
#include <errno.h>
#include <string.h>

#define READ_SIZE (64 * 1024)          /* the worker's shared input buffer */
#define BATCH 64                       /* commands parsed ahead */
#define CHECK_OUTPUT_FROM (256 * 1024) /* bytes from which a pipeline's replies meet the limits */
#define READ_ASIDE_MAX (1024 * 1024)   /* input kept for a blocked client */
#define LEAVE_AT_ONCE 64               /* channels that a closing connection leaves in one turn */
#define KEEP_INPUT_ROOM (16 * 1024)    /* an empty input buffer larger than this is given back */

/* No command of such a client may run now. */
#define STOPPED (CLIENT_CLOSING | CLIENT_BLOCKED | CLIENT_POSTPONED)

/* Where input is read, parsed and run. The slots are empty between two reads, but for their memory. */
struct workspace {
    struct args slots[BATCH];
    struct prepared prepared[BATCH];
    char shared[READ_SIZE];
};

struct conn_queue {
    struct conn *first, *last;
};

/* One worker's part. */
static _Thread_local struct {
    struct conn_queue ready; /* have something to read, in order of arrival */
    struct conn_queue later; /* the same for the next turn */
    struct conn *marked;
    struct conn *resumed;
    struct workspace *space; /* another one in a turn in the middle of a command */
    struct conn *running;    /* the connection whose commands run, or ran last */
    bool is_meanwhile;       /* this turn is in the middle of a command */
    struct reply pushes;     /* what `running` got in such turns; it belongs behind its reply */
    bool has_leaving;        /* one of `marked` is still leaving channels */
    bool ended;              /* conns_end ran: refuse new connections */
} here;

static struct workspace *space_new(void) {
    struct workspace *w = mem_alloc_aligned(CACHE_LINE, sizeof *w);
    memset(w, 0, offsetof(struct workspace, shared));
    return w;
}

static void space_free(struct workspace *w) {
    for (size_t i = 0; i < BATCH; i++) {
        args_release(&w->slots[i]);
        prepared_release(&w->prepared[i]);
    }
    mem_free(w);
}

/* ---- marking for the end of the turn ---- */

void conn_mark_for_closing(struct conn *conn) {
    conn->client.flags |= CLIENT_CLOSING;
    blocking_cancel(&conn->client); /* from now on no change of a key serves it */
    if (conn->marked) return;
    assert(conn->client.worker == worker_self());
    conn->marked = true;
    conn->next_marked = here.marked;
    here.marked = conn;
}

void conn_close_soon(struct client *c, const char *why) {
    struct conn *conn = conn_of(c);
    if (why && !conn->marked)
        LOG_VERBOSE("Closing client %s (id %llu): %s", c->peer, (unsigned long long)c->id, why);
    conn_mark_for_closing(conn);
}

void conn_wait_for(struct conn *conn, struct event *event, const struct timeval *timeout) {
    if (event_add(event, timeout) == 0) return;
    LOG_WARNING("Error registering fd event for client %s (id %llu): %s", conn->client.peer,
                (unsigned long long)conn->client.id, strerror(errno));
    conn_mark_for_closing(conn);
}

/* It has something to read: in this turn, or in the next one if `later`. */
static void note_ready(struct conn *conn, bool later) {
    if (conn->ready) return;
    struct conn_queue *q = later ? &here.later : &here.ready;
    conn->ready = true;
    conn->next_ready = NULL;
    if (q->first)
        q->last->next_ready = conn;
    else
        q->first = conn;
    q->last = conn;
}

/* No event tells of input that the socket has taken in already. It waits for the next turn, so that a client
 * that keeps sending does not keep the others waiting. */
static void note_pending(struct conn *conn) {
    if (conn->reading && socket_has_pending(&conn->socket)) note_ready(conn, true);
}

static void set_reading(struct conn *conn, bool on) {
    if (conn->reading == on) return;
    conn->reading = on;
    if (on)
        conn_wait_for(conn, &conn->readable, NULL);
    else
        event_del(&conn->readable);
    note_pending(conn);
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
    assert(args_is_idle(&here.space->slots[0]) && !conn->args_ready);
    if (!args_is_idle(&conn->args)) swap_args(&here.space->slots[0], &conn->args);
}

static void give_back(struct conn *conn, size_t slot) {
    assert(args_is_idle(&conn->args));
    if (!args_is_idle(&here.space->slots[slot])) swap_args(&here.space->slots[slot], &conn->args);
}

/* Empties the slots from `first` to the incomplete one, if there is one. */
static void drop_from(const struct batch *b, size_t first) {
    for (size_t i = first; i < b->count; i++) args_reset(&here.space->slots[i]);
    if (b->ended != PARSE_READY) args_reset(&here.space->slots[b->count]);
}

static struct parse_limits limits_of(struct conn *conn) {
    if (!client_must_log_in(&conn->client)) {
        if (UNLIKELY(!conn->trusted)) stranger_may_be_known(conn);
        return (struct parse_limits){ options.proto_max_bulk_len, INT32_MAX };
    }
    return (struct parse_limits){ PARSE_UNAUTHENTICATED_BULK, PARSE_UNAUTHENTICATED_ARGS };
}

/* Parses commands into the worker's slots; the one that is not complete, if any, is in slots[count]. */
static void parse_batch(struct conn *conn, struct slice input, struct batch *b) {
    struct parse_limits limits = limits_of(conn);
    struct workspace *space = here.space;
    b->count = 0;
    b->used = 0;
    b->ended = PARSE_READY;
    take_partial(conn); /* goes on where the last read ended */
    while (b->count < BATCH) {
        struct args *a = &space->slots[b->count];
        struct slice rest = slice_make(input.ptr + b->used, input.len - b->used);
        b->ended = parse_command(a, rest, &limits);
        if (b->ended != PARSE_READY) return;
        b->used += a->used;
        if (a->argc == 0) {
            if (UNLIKELY(conn->client.replica != NULL)) replica_is_there(conn->client.replica);
            args_reset(a);
            continue;
        }
        b->consumed[b->count] = b->used;
        dispatch_prepare(a->argv, a->argc, &space->prepared[b->count]);
        b->count++;
        if (a->blobs || client_must_log_in(&conn->client))
            return; /* AUTH changes the limits for what follows */
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
    conn_close_soon(&conn->client, "it speaks HTTP");
    return DISPATCH_CLOSE;
}

/* `wire`: its bytes, if they are in one piece. */
static enum dispatched run_one(struct conn *conn, struct args *a, const struct prepared *p,
                               struct slice wire) {
    struct client *c = &conn->client;
    assert(!(c->flags & STOPPED)); /* a command that closes or stops the client ends the batch */
    if (speaks_http(a, p)) return refuse_browser(conn);
    c->running = a;
    enum dispatched d =
        LIKELY(!(c->flags & CLIENT_PRIMARY)) ? dispatch_run(c, a, p, wire) : apply_run(c, a, p, wire);
    c->running = NULL;
    if (UNLIKELY(c->reply.full || c->reply.memory > CHECK_OUTPUT_FROM)) conn_check_output(conn);
    return d;
}

/* After a command that is done: may the next one run? */
static enum dispatched go_to_next(const struct client *c) {
    gate_yield(); /* before the look at the flag: CLIENT KILL of another worker runs here */
    return UNLIKELY(c->flags & CLIENT_CLOSING) ? DISPATCH_CLOSE : DISPATCH_DONE;
}

/* Runs the batch and empties it. Returns how many bytes of the input were used; *held says why it stopped
 * before the end. The incomplete command stays in its slot if all others ran. */
static size_t run_batch(struct conn *conn, struct slice input, const struct batch *b, enum dispatched *held) {
    struct client *c = &conn->client;
    struct workspace *space = here.space;
    size_t i = 0;
    *held = DISPATCH_DONE;
    here.running = conn;
    if (b->count > 0) dispatch_prefetch(c, space->prepared, b->count);
    reply_set_max(&c->reply, options.client_output_buffer_limit[client_class(c)].hard_bytes);
    for (; i < b->count; i++) {
        size_t begin = i ? b->consumed[i - 1] : 0;
        struct slice wire = slice_make(input.ptr + begin, b->consumed[i] - begin);
        *held = run_one(conn, &space->slots[i], &space->prepared[i], wire);
        if (UNLIKELY(*held != DISPATCH_DONE)) break;
        args_reset(&space->slots[i]);
        *held = go_to_next(c);
        if (UNLIKELY(*held != DISPATCH_DONE)) break;
    }
    reply_set_max(&c->reply, 0);
    if (LIKELY(i == b->count)) return b->used;
    bool postponed = *held == DISPATCH_POSTPONED, unfinished = *held == DISPATCH_UNFINISHED;
    if (postponed) c->held_input = space->slots[i].used;
    /* Its arguments are not all in the input, or there are too many to be parsed again: keep it as it is. */
    if (unfinished || (postponed && space->slots[i].blobs)) {
        give_back(conn, i);
        conn->args_ready = true;
    }
    if (unfinished) note_ready(conn, true);
    drop_from(b, i);
    if (!postponed && !unfinished) return b->consumed[i];
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

/* Parses and runs all of `input`; returns how many bytes of it were used. */
static size_t run_input(struct conn *conn, struct slice input) {
    size_t done = 0;
    for (;;) {
        struct batch b;
        enum dispatched held;
        struct slice rest = slice_make(input.ptr + done, input.len - done);
        parse_batch(conn, rest, &b);
        done += run_batch(conn, rest, &b, &held);
        if (UNLIKELY(!conn->trusted)) {
            stranger_may_be_known(conn);
            conn_check_unauthenticated(conn);
            if (held == DISPATCH_DONE && (conn->client.flags & CLIENT_CLOSING)) {
                drop_from(&b, b.count);
                held = DISPATCH_CLOSE;
            }
        }
        if (held == DISPATCH_BLOCKED || held == DISPATCH_POSTPONED || held == DISPATCH_UNFINISHED)
            return done;
        if (held == DISPATCH_CLOSE) {
            set_reading(conn, false);
            return input.len;
        }
        if (b.ended == PARSE_BROKEN) {
            protocol_error(conn, here.space->slots[b.count].error);
            drop_from(&b, b.count);
            return input.len;
        }
        if (b.ended != PARSE_READY) give_back(conn, b.count);
        if (b.ended != PARSE_READY || done == input.len) return done;
    }
}

static enum dispatched run_part(struct conn *conn, struct args *a, const struct prepared *p) {
    struct client *c = &conn->client;
    c->running = a;
    enum dispatched d = dispatch_go_on(c, a, p);
    c->running = NULL;
    if (d == DISPATCH_UNFINISHED) note_ready(conn, true);
    return d;
}

/* A command whose arguments are kept goes on: it was postponed, or is unfinished. False if it has to once
 * more. */
static bool run_kept(struct conn *conn) {
    struct args *a = &conn->args;
    struct prepared p = { 0 };
    if (a->base != conn->in.ptr) args_rebase(a, conn->in.ptr);
    size_t used = a->used;
    dispatch_prepare(a->argv, a->argc, &p);
    dispatch_prefetch(&conn->client, &p, 1); /* a batch of one */
    here.running = conn;
    enum dispatched d =
        conn->client.flags & CLIENT_UNFINISHED
            ? run_part(conn, a, &p)
            : run_one(conn, a, &p, (struct slice){ 0 }); /* the primary's are never postponed */
    prepared_release(&p);
    if (d == DISPATCH_POSTPONED) conn->client.held_input = used;
    if (d == DISPATCH_POSTPONED || d == DISPATCH_UNFINISHED) return false;
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
    conn_mark_for_closing(conn);
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

static void add_pushes(struct conn *conn) {
    assert(conn == here.running);
    reply_move(&conn->client.reply, &here.pushes);
    here.pushes = (struct reply){ 0 };
}

static void after_input(struct conn *conn) {
    struct client *c = &conn->client;
    if (UNLIKELY(!reply_is_empty(&here.pushes))) add_pushes(conn);
    if (!reply_is_empty(&c->reply) || (c->flags & CLIENT_CLOSE_AFTER)) conn_queue_output(conn);
    conn_check_output(conn);
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
    if (LIKELY(!(c->flags & CLIENT_PRIMARY))) {
        COUNTER_ADD(stats_mine()->net_in, (uint64_t)got);
    } else {
        COUNTER_ADD(stats_mine()->repl_in, (uint64_t)got);
        primary_note_read(got);
    }
}

/* Reads into the big argument that is being filled and, if its end is in reach, what comes after it into the
 * connection's own buffer. Returns what read returned. */
static ssize_t read_big(struct conn *conn) {
    assert(!conn->args_ready);
    struct parse_room room = parse_big_room(&conn->args);
    char *behind = buf_reserve(&conn->in, KEEP_INPUT_ROOM / 4);
    struct iovec to[2] = { { room.ptr, room.len }, { behind, KEEP_INPUT_ROOM / 4 } };
    ssize_t got = socket_read_vectors(&conn->socket, to, room.is_last ? 2 : 1);
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
    assert(!conn->args.big && here.space);
    char *to = here.space->shared;
    if (conn->in.len > 0) to = buf_reserve(&conn->in, READ_SIZE / 4);
    size_t room = conn->in.len > 0 ? conn->in.room - conn->in.len : READ_SIZE;
    if (room > READ_SIZE) room = READ_SIZE; /* no more of a long command in one turn than of short ones */
    ssize_t got = socket_read(&conn->socket, to, room);
    if (got <= 0) return got;
    note_read(conn, (size_t)got);
    if (to == here.space->shared) {
        process(conn, slice_make(to, (size_t)got));
    } else {
        conn->in.len += (size_t)got;
        process(conn, buf_slice(&conn->in));
    }
    return got;
}

/* Keeps what a blocked client sends for later, up to a limit. It reads only to notice a hang-up. */
static ssize_t read_aside(struct conn *conn) {
    ssize_t got = socket_read(&conn->socket, buf_reserve(&conn->in, KEEP_INPUT_ROOM), KEEP_INPUT_ROOM);
    if (got > 0) {
        note_read(conn, (size_t)got);
        conn->in.len += (size_t)got;
    }
    note_input(conn);
    client_recount_if_changed(&conn->client);
    if (conn->in.len > READ_ASIDE_MAX) set_reading(conn, false);
    return got;
}

/* What TLS may want beside more input. */
static void after_read(struct conn *conn) {
    if (LIKELY(!conn->socket.tls)) return;
    note_pending(conn);
    if (conn->output_waits_for_input || socket_read_waits_to_write(&conn->socket)) conn_queue_output(conn);
}

static void go_on(struct conn *conn);

static void read_ready(struct conn *conn) {
    struct client *c = &conn->client;
    if (mailbox_has_letters(&worker_mailboxes[worker_self()]))
        mailbox_drain(&worker_mailboxes[worker_self()]);
    tracking_deliver();
    if (c->flags & CLIENT_CLOSING) return;
    if (UNLIKELY(c->flags & CLIENT_PRIMARY) && obstacle_is_set(OBSTACLE_BUSY)) {
        note_ready(conn, true); /* in the middle of a script data stands still */
        return;
    }
    if (UNLIKELY(conn->args_ready) && !(c->flags & STOPPED) && !conn->resumed) {
        go_on(conn); /* unfinished: the rest of its input waits */
        return;
    }
    COUNTER_ADD(stats_mine()->reads, 1);
    ssize_t got;
    if ((c->flags & STOPPED) || conn->resumed) /* what it was stopped with goes first: see go_on */
        got = read_aside(conn);
    else
        got = conn->args.big ? read_big(conn) : read_plain(conn);
    if (got == 0)
        conn_mark_for_closing(conn);
    else if (got < 0 && errno != EAGAIN && errno != EINTR)
        conn_close_soon(c, socket_error(&conn->socket));
    else
        after_read(conn);
}

/* Commands do not run in here, inside the event loop: one of them may want to run that loop. */
static void on_readable(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    note_ready(arg, false);
}

void conn_read_soon(struct conn *conn) { note_ready(conn, false); }

static void take_later_ones(void) {
    if (LIKELY(!here.later.first)) return;
    if (here.ready.first)
        here.ready.last->next_ready = here.later.first;
    else
        here.ready.first = here.later.first;
    here.ready.last = here.later.last;
    here.later = (struct conn_queue){ 0 };
}

bool conns_are_due(void) { return here.later.first || here.has_leaving; }

void conns_read(void) {
    take_later_ones();
    if (!here.ready.first && !here.has_leaving) return;
    worker_begin_turn();
    while (here.ready.first) {
        struct conn *conn = here.ready.first;
        here.ready.first = conn->next_ready;
        conn->ready = false;
        if (UNLIKELY(conn->client.running))
            note_ready(conn, true); /* this turn is in the middle of its command */
        else
            read_ready(conn);
    }
}

/* ---- a turn in the middle of a command ---- */

/* The event loop must not look at it either: it would find the same bytes readable in every turn. */
static void stop_events(struct conn *conn) {
    event_del(&conn->readable);
    event_del(&conn->writable);
}

static void start_events(struct conn *conn) {
    if (conn->reading) conn_wait_for(conn, &conn->readable, NULL);
    if (conn->writing) conn_wait_for(conn, &conn->writable, NULL);
}

/* Its reply may be in the middle of an array, so what it is sent meanwhile has a reply of its own. */
static struct reply swap_reply(struct conn *conn) {
    struct reply reply = conn->client.reply;
    conn->client.reply = here.pushes;
    if (reply_is_empty(&here.pushes)) reply_init(&conn->client.reply, reply.protocol);
    here.pushes = (struct reply){ 0 };
    return reply;
}

static void swap_reply_back(struct conn *conn, const struct reply *reply) {
    here.pushes = conn->client.reply;
    conn->client.reply = *reply;
}

void conns_meanwhile(void (*turn)(void)) {
    struct conn *conn = here.running;
    struct workspace *space = here.space;
    assert(!here.is_meanwhile && conn && conn->client.running);
    here.is_meanwhile = true;
    here.space = space_new();
    stop_events(conn);
    struct reply reply = swap_reply(conn);
    turn();
    swap_reply_back(conn, &reply);
    start_events(conn);
    space_free(here.space);
    here.space = space;
    here.running = conn;
    here.is_meanwhile = false;
}

/* ---- going on ---- */

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
    assert(!(c->flags & CLIENT_BLOCKED) == !c->blocked && !c->running);
    if (c->flags & STOPPED) return;
    bool ran = !conn->args_ready || run_kept(conn);
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

/* ---- opening and closing ---- */

static void arm_timer(struct conn *conn, int64_t in_us) {
    struct timeval in = { in_us / 1000000, in_us % 1000000 };
    conn_wait_for(conn, &conn->timer, &in);
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
        .output = conn_output_added, .close = conn_close_soon, .resume = resume, .timer = set_timer
    };
    hooks->may_delay = conn_output_may_delay;
}

struct client *conn_open(struct socket socket, enum listener_kind kind) {
    bool is_unix = kind == LISTEN_UNIX;
    if (here.ended) {
        socket_close(&socket);
        return NULL;
    }
    struct event_base *base = worker_base(worker_self());
    struct conn *conn = mem_alloc_zero(sizeof *conn);
    if (!here.space) here.space = space_new();
    client_init(&conn->client, is_unix ? CLIENT_UNIX_SOCKET : socket.tls ? CLIENT_TLS : 0);
    conn->socket = socket;
    int fd = conn->client.fd = socket.fd;
    socket_addresses(fd, is_unix ? options.unixsocket : NULL, conn->client.peer, conn->client.local);
    args_init(&conn->args);
    event_assign(&conn->readable, base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    event_assign(&conn->writable, base, fd, EV_WRITE | EV_PERSIST, conn_on_writable, conn);
    event_assign(&conn->timer, base, -1, 0, on_timer, conn);
    client_recount(&conn->client);
    set_reading(conn, true);
    stranger_arrives(conn);
    return &conn->client;
}

struct client *conn_adopt(struct socket socket, struct slice received) {
    struct client *c = conn_open(socket, LISTEN_TCP);
    if (!c) return NULL;
    listeners_count_client(worker_self(), 1);
    buf_append(&conn_of(c)->in, received);
    if (received.len > 0) resume(c);
    note_pending(conn_of(c));
    return c;
}

static void leave_queue(struct conn_queue *q, struct conn *conn) {
    struct conn *before = NULL, *at = q->first;
    while (at && at != conn) {
        before = at;
        at = at->next_ready;
    }
    if (!at) return;
    if (before)
        before->next_ready = conn->next_ready;
    else
        q->first = conn->next_ready;
    if (q->last == conn) q->last = before;
}

static void leave_lists(struct conn *conn) {
    conn_leave_output(conn);
    if (UNLIKELY(conn->ready)) {
        leave_queue(&here.ready, conn);
        leave_queue(&here.later, conn);
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
    stranger_goes(conn);
    if (here.running == conn) here.running = NULL;
    if (UNLIKELY(conn->client.replica != NULL)) replica_release(&conn->client);
    if (UNLIKELY(conn->client.flags & CLIENT_PRIMARY)) primary_lost(&conn->client);
    if (UNLIKELY(conn->client.flags & (CLIENT_SLOT_EXPORT | CLIENT_SLOT_IMPORT)))
        migrations_link_lost(&conn->client);
    event_del(&conn->readable);
    event_del(&conn->writable);
    event_del(&conn->timer);
    listeners_count_client(worker_self(), -1); /* its place is free before INFO tells that it is gone */
    client_release(&conn->client);
    socket_close(&conn->socket);
    buf_release(&conn->in);
    args_release(&conn->args);
    mem_free(conn);
    listeners_resume();
}

/* False: not yet. Either this turn is in the middle of its command, or it has so many channels to leave that
 * it does in several turns. */
static bool close_marked(struct conn *conn) {
    assert(conn->marked && (conn->client.flags & CLIENT_CLOSING));
    if (UNLIKELY(conn->client.running != NULL)) return false;
    if (UNLIKELY(!pubsub_leave_some(&conn->client, LEAVE_AT_ONCE))) {
        stop_events(conn);
        here.has_leaving = true;
        return false;
    }
    conn_close(conn);
    return true;
}

void conns_close_marked(void) {
    struct conn *spared = NULL;
    here.has_leaving = false;
    while (here.marked) {
        struct conn *conn = here.marked;
        here.marked = conn->next_marked;
        if (LIKELY(close_marked(conn))) continue;
        conn->next_marked = spared;
        spared = conn;
    }
    here.marked = spared;
}

void conns_end(void) {
    conns_close_marked();
    CLIENTS_OF(worker_self(), c) {
        struct conn *conn = conn_of(c);
        bool has_some = !reply_is_empty(&c->reply) || c->replica;
        if (has_some && (!journal_on || aof_is_committed(c->journal_offset))) conn_write_some(conn);
        conn_close(conn);
    }
    if (here.space) space_free(here.space);
    here.space = NULL;
    here.ended = true;
}
