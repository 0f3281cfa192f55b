/* attempt.c: see attempt.h. The lines that go over the wire are those of Redis 7 and Valkey. */
#include "attempt.h"
#include "trivet/base/clock.h"
#include "trivet/base/file.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/base/thread.h"
#include "trivet/base/version.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/transport/link.h"
#include "trivet/transport/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHOWN_MAX 200 /* bytes of an answer that the log repeats */
#define MARK_CHARS 40
#define SYNC_EVERY ((uint64_t)8 * 1024 * 1024) /* bytes of the file between two fsyncs */

struct work {
    struct attempt *a;
    struct link link;
};

/* Always false, for `return`. */
static bool fail(struct work *w, const char *what, struct slice answer) {
    if (w->a->why.len > 0) return false;
    size_t shown = answer.len < SHOWN_MAX ? answer.len : SHOWN_MAX;
    buf_append(&w->a->why, slice_of(what));
    if (shown > 0) buf_printf(&w->a->why, ": %.*s", (int)shown, answer.ptr);
    return false;
}

static void note_io(struct work *w) { atomic_store(&w->a->io_ms, clock_wall_ms()); }

/* ---- questions and answers ---- */

static bool send_words(struct work *w, const struct slice *words, size_t count) {
    bool sent = link_header(&w->link, count);
    for (size_t i = 0; i < count && sent; i++) sent = link_word(&w->link, words[i]);
    return (sent && link_flush(&w->link)) || fail(w, "the primary takes no more bytes", LIT(""));
}

/* The next line that is not empty: an empty one is a sign of life. */
static bool read_answer(struct work *w, struct slice *line) {
    do {
        if (!link_line(&w->link, line)) return fail(w, "no answer from the primary", LIT(""));
        note_io(w);
    } while (line->len == 0);
    return true;
}

static bool is_error(struct slice line) { return line.len > 0 && line.ptr[0] == '-'; }

#define ASK(w, line, ...)                                                                \
    (send_words((w), (const struct slice[]){ __VA_ARGS__ },                              \
                sizeof((const struct slice[]){ __VA_ARGS__ }) / sizeof(struct slice)) && \
     read_answer((w), (line)))

static bool greet(struct work *w) {
    struct slice line;
    if (!ASK(w, &line, LIT("PING"))) return false;
    bool alive = line.ptr[0] == '+' || slice_starts_with(line, LIT("-NOAUTH")) ||
                 slice_starts_with(line, LIT("-NOPERM")) ||
                 slice_starts_with(line, LIT("-ERR operation not permitted"));
    return alive || fail(w, "Error reply to PING from master", line);
}

static bool log_in(struct work *w) {
    const struct attempt *a = w->a;
    struct slice line;
    if (!a->password[0]) return true;
    bool asked = a->user[0] ? ASK(w, &line, LIT("AUTH"), slice_of(a->user), slice_of(a->password))
                            : ASK(w, &line, LIT("AUTH"), slice_of(a->password));
    if (!asked) return false;
    return !is_error(line) || fail(w, "Unable to AUTH to MASTER", line);
}

/* An older primary may refuse some of it, which does not matter. */
static void log_refusal(const char *what, struct slice line) {
    if (is_error(line))
        LOG_NOTICE("(Non critical) Master does not understand REPLCONF %s: %.*s", what, SLICE_ARG(line));
}

static bool introduce(struct work *w) {
    const struct attempt *a = w->a;
    struct slice line;
    char port[INT64_TEXT_MAX];
    struct slice port_text = slice_make(port, int64_format(port, a->listening_port));
    if (!ASK(w, &line, LIT("REPLCONF"), LIT("listening-port"), port_text)) return false;
    log_refusal("listening-port", line);
    if (a->announce_ip[0]) {
        if (!ASK(w, &line, LIT("REPLCONF"), LIT("ip-address"), slice_of(a->announce_ip))) return false;
        log_refusal("ip-address", line);
    }
    if (!ASK(w, &line, LIT("REPLCONF"), LIT("capa"), LIT("eof"), LIT("capa"), LIT("psync2"))) return false;
    log_refusal("capa", line);
    if (!ASK(w, &line, LIT("REPLCONF"), LIT("version"), LIT(TRIVET_VALKEY_VERSION))) return false;
    log_refusal("version", line);
    if (!a->node_id[0]) return true;
    if (!ASK(w, &line, LIT("REPLCONF"), LIT("SET-CLUSTER-NODE-ID"), slice_of(a->node_id))) return false;
    log_refusal("SET-CLUSTER-NODE-ID", line);
    return true;
}

/* ---- the answer to PSYNC ---- */

/* "FULLRESYNC <id> <offset>" */
static bool read_full(struct work *w, struct slice line) {
    struct attempt *a = w->a;
    struct slice rest = slice_from(line, sizeof "+FULLRESYNC");
    int64_t offset;
    bool good = line.len > sizeof "+FULLRESYNC" + REPLID_CHARS && rest.ptr[REPLID_CHARS] == ' ' &&
                replid_is_valid(slice_make(rest.ptr, REPLID_CHARS)) &&
                int64_parse(slice_from(rest, REPLID_CHARS + 1), &offset) && offset >= 0;
    if (!good) return fail(w, "Master replied with wrong +FULLRESYNC syntax", line);
    memcpy(a->id, rest.ptr, REPLID_CHARS);
    a->offset = (uint64_t)offset;
    a->outcome = ATTEMPT_FULL;
    LOG_NOTICE("Full resync from master: %s:%llu", a->id, (unsigned long long)a->offset);
    return true;
}

/* "CONTINUE" or "CONTINUE <id>" */
static bool read_continue(struct work *w, struct slice line) {
    struct attempt *a = w->a;
    memcpy(a->id, a->asked_id, sizeof a->id);
    a->outcome = ATTEMPT_CONTINUES;
    if (line.len == sizeof "+CONTINUE" - 1) return true;
    struct slice id = slice_from(line, sizeof "+CONTINUE");
    if (!replid_is_valid(id)) return fail(w, "Master replied with wrong +CONTINUE syntax", line);
    memcpy(a->id, id.ptr, REPLID_CHARS);
    return true;
}

static bool is_transient(struct slice line) {
    return slice_starts_with(line, LIT("-NOMASTERLINK")) || slice_starts_with(line, LIT("-LOADING"));
}

/* The primary knows no PSYNC. Its answer to SYNC is the file. */
static bool ask_the_old_way(struct work *w, struct slice answer) {
    LOG_NOTICE("Master does not support PSYNC or is in error state (reply: %.*s). Retrying with SYNC...",
               SLICE_ARG(answer));
    w->a->is_old = true;
    w->a->outcome = ATTEMPT_FULL;
    return send_words(w, (const struct slice[]){ LIT("SYNC") }, 1);
}

static bool ask(struct work *w) {
    struct attempt *a = w->a;
    struct slice line;
    char digits[INT64_TEXT_MAX];
    int64_t first = a->asks_for_all ? -1 : a->asked_offset;
    const struct slice words[] = { LIT_INIT("PSYNC"), slice_of(a->asks_for_all ? "?" : a->asked_id),
                                   slice_make(digits, int64_format(digits, first)), LIT_INIT("FAILOVER") };
    a->was_asked = true;
    if (!send_words(w, words, a->is_failover ? 4 : 3) || !read_answer(w, &line)) return false;
    a->was_answered = true;
    if (slice_starts_with(line, LIT("+FULLRESYNC "))) return read_full(w, line);
    if (slice_starts_with(line, LIT("+CONTINUE"))) return read_continue(w, line);
    if (a->is_failover) {
        a->refused_failover = true;
        a->is_primary_already = slice_starts_with(line, LIT("-ERR PSYNC FAILOVER can't be sent to a "));
        return fail(w, "the failover was refused", line);
    }
    if (is_transient(line))
        return fail(w, "Master is currently unable to PSYNC but should be in the future", line);
    return is_error(line) ? ask_the_old_way(w, line) : fail(w, "Unexpected reply to PSYNC from master", line);
}

/* ---- the RDB file ---- */

static bool open_file(struct work *w) {
    struct attempt *a = w->a;
    a->rdb_fd = a->rdb_path ? file_io.open(a->rdb_path, O_RDWR | O_CREAT | O_TRUNC, 0644)
                            : memfd_create("replication-rdb", MFD_CLOEXEC);
    if (a->rdb_fd >= 0) return true;
    return fail(w, "Opening the temp file needed for MASTER <-> REPLICA synchronization",
                slice_of(file_errno_text(errno)));
}

struct download {
    bool has_length;
    uint64_t left;         /* bytes, if it has a length */
    char mark[MARK_CHARS]; /* else the file ends before this */
    char tail[MARK_CHARS]; /* the last bytes that came */
    size_t tail_len;
    uint64_t synced;
};

/* "$<length>" or "$EOF:<mark>" */
static bool read_header(struct work *w, struct download *d) {
    struct slice line;
    int64_t length;
    if (!read_answer(w, &line)) return false;
    if (is_error(line)) return fail(w, "MASTER aborted replication with an error", line);
    if (slice_starts_with(line, LIT("$EOF:")) && line.len == sizeof "$EOF:" - 1 + MARK_CHARS) {
        memcpy(d->mark, line.ptr + sizeof "$EOF:" - 1, MARK_CHARS);
        LOG_NOTICE("MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF %s",
                   w->a->rdb_path ? "to disk" : "to memory");
        return true;
    }
    d->has_length = line.ptr[0] == '$' && int64_parse(slice_from(line, 1), &length) && length >= 0;
    if (!d->has_length) return fail(w, "Bad protocol from MASTER, the first byte is not '$'", line);
    d->left = (uint64_t)length;
    atomic_store(&w->a->rdb_total, d->left);
    LOG_NOTICE("MASTER <-> REPLICA sync: receiving %lld bytes from master %s", (long long)length,
               w->a->rdb_path ? "to disk" : "to memory");
    return true;
}

static bool store(struct work *w, struct download *d, struct slice bytes) {
    struct attempt *a = w->a;
    bool stored = file_write_all(a->rdb_fd, bytes);
    uint64_t received = atomic_fetch_add(&a->rdb_received, bytes.len) + bytes.len;
    if (stored && a->rdb_path && received - d->synced >= SYNC_EVERY) {
        stored = file_io.fdatasync(a->rdb_fd) == 0;
        d->synced = received;
    }
    if (stored) return true;
    return fail(w, "Write error while storing the RDB file of the master", slice_of(file_errno_text(errno)));
}

/* Keeps the last bytes that came, of this piece and those before. */
static void note_tail(struct download *d, struct slice bytes) {
    if (bytes.len >= MARK_CHARS) {
        memcpy(d->tail, bytes.ptr + bytes.len - MARK_CHARS, MARK_CHARS);
        d->tail_len = MARK_CHARS;
        return;
    }
    size_t kept = MARK_CHARS - bytes.len < d->tail_len ? MARK_CHARS - bytes.len : d->tail_len;
    memmove(d->tail, d->tail + d->tail_len - kept, kept);
    memcpy(d->tail + kept, bytes.ptr, bytes.len);
    d->tail_len = kept + bytes.len;
}

static bool is_complete(const struct download *d) {
    if (d->has_length) return d->left == 0;
    return d->tail_len == MARK_CHARS && memcmp(d->tail, d->mark, MARK_CHARS) == 0;
}

static bool receive_piece(struct work *w, struct download *d) {
    struct slice bytes;
    if (!link_bytes(&w->link, d->has_length ? d->left : UINT64_MAX, &bytes))
        return fail(w, "I/O error trying to sync with MASTER: connection lost", LIT(""));
    note_io(w);
    if (d->has_length)
        d->left -= bytes.len;
    else
        note_tail(d, bytes);
    return store(w, d, bytes);
}

/* Takes the mark off, and makes the file safe. */
static bool finish_file(struct work *w, const struct download *d) {
    struct attempt *a = w->a;
    off_t size = (off_t)atomic_load(&a->rdb_received) - (d->has_length ? 0 : MARK_CHARS);
    bool done = file_io.ftruncate(a->rdb_fd, size) == 0 && (!a->rdb_path || file_io.fsync(a->rdb_fd) == 0);
    return done || fail(w, "the received RDB file cannot be written", slice_of(file_errno_text(errno)));
}

/* A damaged file must not cost the data that is there. */
static bool verify_file(struct work *w) {
    struct buf path = { 0 }, why = { 0 };
    struct rdb_rules rules = { .no_checksum = w->a->no_checksum, .relaxed = w->a->any_version };
    if (w->a->rdb_path)
        buf_append(&path, slice_of(w->a->rdb_path));
    else
        buf_printf(&path, "/proc/self/fd/%d", w->a->rdb_fd);
    bool sound = rdb_verify(buf_cstr(&path), rules, &why);
    if (!sound) fail(w, "The RDB file of the master is damaged; nothing was changed", buf_slice(&why));
    buf_release(&path);
    buf_release(&why);
    return sound;
}

static bool receive_file(struct work *w) {
    struct download d = { 0 };
    atomic_store(&w->a->stage, LINK_SYNC);
    if (!read_header(w, &d) || !open_file(w)) return false;
    while (!is_complete(&d))
        if (!receive_piece(w, &d)) return false;
    return finish_file(w, &d) && verify_file(w);
}

/* ---- the thread ---- */

static bool connect_to(struct work *w) {
    struct attempt *a = w->a;
    char digits[INT64_TEXT_MAX];
    struct slice port = slice_make(digits, int64_format(digits, a->port));
    const struct link_target target = {
        .host = slice_of(a->host), .port = port, .source = a->source, .tls = a->tls
    };
    enum link_result result = link_open(&w->link, &target, a->timeout_ms, &a->is_cancelled);
    if (result == LINK_OPEN) return true;
    return fail(w, "Error condition on socket for SYNC",
                result == LINK_REFUSED ? LIT("Connection refused") : LIT("the host cannot be reached"));
}

static bool converse(struct work *w) {
    atomic_store(&w->a->stage, LINK_HANDSHAKE);
    LOG_NOTICE("MASTER <-> REPLICA sync started");
    if (!greet(w) || !log_in(w) || !introduce(w) || !ask(w)) return false;
    return w->a->outcome != ATTEMPT_FULL || receive_file(w);
}

static void *attempt_main(void *arg) {
    struct work w = { .a = arg };
    struct attempt *a = w.a;
    atomic_store(&a->stage, LINK_CONNECTING);
    if (connect_to(&w)) {
        if (converse(&w)) {
            link_give(&w.link, &a->socket, &a->received);
        } else {
            a->outcome = ATTEMPT_FAILED;
            link_close(&w.link);
        }
    }
    tls_thread_release();
    worker_post(0, &a->done);
    return NULL;
}

bool attempt_start(struct attempt *a) {
    a->socket.fd = a->rdb_fd = -1;
    a->is_started = thread_start(&a->thread, "replica-link", attempt_main, a);
    return a->is_started;
}

void attempt_join(struct attempt *a) {
    if (a->is_started && !a->is_joined) pthread_join(a->thread, NULL);
    a->is_joined = true;
}

void attempt_free(struct attempt *a) {
    attempt_join(a);
    if (a->socket.fd >= 0) socket_close(&a->socket);
    if (a->rdb_fd >= 0) close(a->rdb_fd);
    if (a->rdb_path && a->rdb_fd >= 0) (void)file_io.unlink(a->rdb_path); /* it may have its final name */
    buf_release(&a->received);
    buf_release(&a->why);
    char *texts[] = { a->host, a->source, a->user, a->password, a->announce_ip, a->node_id, a->rdb_path };
    for (size_t i = 0; i < COUNT_OF(texts); i++) mem_free(texts[i]);
    mem_free(a);
}
