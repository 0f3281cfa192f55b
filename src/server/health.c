/* health.c: see health.h.
 *
 * Live is a server that answers: also with an error, for a process that can say LOADING or NOAUTH is not to
 * be killed. Ready is one that would serve. PING tells nearly all of it, because servers refuse it while they
 * load, while a script holds them, while a replica without its primary keeps silent and while a primary
 * cannot write to its disk. INFO tells the rest: a file that cannot be written on a replica, and the link to
 * the primary. What a role, permissions or a full memory refuse is no matter of health.
 *
 * The words are those of the server's own probes (readiness.h). All of it has one deadline. An alarm stands
 * behind it, for looking up a name cannot be told to hurry. */
#include "trivet/server/health.h"
#include "health_plan.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/engine/process/readiness.h"
#include "trivet/resp/reader.h"
#include "trivet/transport/link.h"
#include "trivet/transport/tls_contexts.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)1 << 20)
#define ALARM_LATER_MS 200 /* than the deadline, which has better words */

enum { HEALTHY = 0, UNHEALTHY = 1, WRONG_QUESTION = 2 };

struct visit {
    const struct health_plan *plan;
    int64_t deadline_us;
    struct link link;
    bool is_open;
    struct buf in;   /* replies */
    size_t taken;    /* bytes of `in` that were handed out: the reply that was read last */
    struct buf why;  /* why it is not healthy */
    struct buf note; /* what could not be asked */
};

static bool unhealthy(struct visit *v, const char *format, ...) PRINTF_LIKE(2, 3);
static bool unhealthy(struct visit *v, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(&v->why, format, args);
    va_end(args);
    return false;
}

static bool is_late(const struct visit *v) { return clock_steady_us() >= v->deadline_us; }

static bool unhealthy_late(struct visit *v) {
    return unhealthy(v, "no answer within %lld ms", (long long)v->plan->timeout_ms);
}

/* The link may take what is left of the time for its next step. */
static bool has_time(struct visit *v) {
    v->link.timeout_us = v->deadline_us - clock_steady_us();
    return v->link.timeout_us > 0 || unhealthy_late(v);
}

/* ---- the alarm ---- */

static char alarm_line[128]; /* the words of unhealthy_late */

static void on_alarm(int sig) {
    (void)sig;
    ssize_t wrote = write(STDERR_FILENO, alarm_line, strlen(alarm_line));
    (void)wrote; /* there is nobody else to tell */
    _exit(UNHEALTHY);
}

static void set_alarm(const struct health_plan *p) {
    int64_t after_ms = p->timeout_ms + ALARM_LATER_MS;
    struct sigaction action = { .sa_handler = on_alarm };
    struct itimerval when = { .it_value = { after_ms / 1000, after_ms % 1000 * 1000 } };
    snprintf(alarm_line, sizeof alarm_line, "not %s: no answer within %lld ms\n", p->live ? "live" : "ready",
             (long long)p->timeout_ms);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &when, NULL);
}

/* ---- connecting ---- */

static bool prepare_tls(struct visit *v) {
    const struct health_plan *p = v->plan;
    const struct tls_settings settings = { .cert_file = p->cert,
                                           .key_file = p->key,
                                           .key_file_pass = "",
                                           .client_cert_file = "",
                                           .client_key_file = "",
                                           .client_key_file_pass = "",
                                           .ca_cert_file = p->cacert,
                                           .ca_cert_dir = "",
                                           .dh_params_file = "",
                                           .protocols = "",
                                           .ciphers = "",
                                           .ciphersuites = "",
                                           .links = true,
                                           .only_links = true,
                                           .trust_anybody = p->insecure };
    struct tls_contexts *c = tls_contexts_build(&settings, &v->why);
    if (c) tls_contexts_install_take(c);
    return c != NULL;
}

static bool connect_to_server(struct visit *v) {
    const struct health_plan *p = v->plan;
    const struct link_target target = { .host = slice_of(p->host), .port = slice_of(p->port), .source = "" };
    enum link_result result;
    if (p->unix_path[0])
        result = link_open_unix(&v->link, p->unix_path, p->timeout_ms);
    else
        result = link_open(&v->link, &target, p->timeout_ms, NULL);
    v->is_open = result == LINK_OPEN;
    if (!v->is_open) return is_late(v) ? unhealthy_late(v) : unhealthy(v, "%s", v->link.why);
    if (!has_time(v)) return false;
    if (!p->tls) return true;
    v->is_open = link_secure(&v->link, p->sni);
    return v->is_open || (is_late(v) ? unhealthy_late(v) : unhealthy(v, "%s", v->link.why));
}

/* ---- asking ---- */

/* The connection gave nothing; errno is 0, or says what the last call on the socket met. */
static bool unhealthy_link(struct visit *v) {
    if (is_late(v)) return unhealthy_late(v);
    if (errno != EPROTO && errno != ECONNRESET) return unhealthy(v, "the server closed the connection");
    return unhealthy(v, "the connection broke: %s", socket_error(&v->link.socket));
}

/* The next whole reply: its first item, valid until the next one is read. */
static bool read_reply(struct visit *v, struct reply_item *item) {
    buf_drop_front(&v->in, v->taken);
    v->taken = 0;
    for (;;) {
        size_t end = 0, at = 0;
        enum reply_read read = reply_skip(buf_slice(&v->in), &end);
        if (read == REPLY_READY) {
            v->taken = end;
            return reply_read(buf_slice(&v->in), &at, item) == REPLY_READY;
        }
        if (read == REPLY_BROKEN || v->in.len > ANSWER_MAX)
            return unhealthy(v, "what answers is no server of this protocol");
        struct slice more;
        if (!has_time(v)) return false;
        errno = 0;
        if (!link_bytes(&v->link, ANSWER_MAX, &more)) return unhealthy_link(v);
        buf_append(&v->in, more);
    }
}

/* Sends a command, its words ended by one without bytes' address, and reads the reply. */
static bool ask(struct visit *v, const struct slice *words, struct reply_item *item) {
    size_t count = 0;
    while (words[count].ptr) count++;
    if (!has_time(v)) return false;
    bool sent = link_header(&v->link, count);
    for (size_t i = 0; sent && i < count; i++) sent = link_word(&v->link, words[i]);
    (void)(sent && link_flush(&v->link));
    /* A server that turns clients away says why before it closes: the reply may be here though not all was
     * sent. */
    return read_reply(v, item);
}
#define ASK(v, item, ...) ask((v), (const struct slice[]){ __VA_ARGS__, { NULL, 0 } }, (item))

/* ---- what errors mean ---- */

static bool says(struct slice error, const char *code) {
    struct slice word = slice_of(code);
    return slice_starts_with(error, word) && (error.len == word.len || error.ptr[word.len] == ' ');
}

static const char *user_of(const struct visit *v) { return v->plan->user[0] ? v->plan->user : "default"; }

/* The reason that an error gives, in the words of probes where there are some. */
static bool unhealthy_error(struct visit *v, struct slice error) {
    static const struct {
        const char *code, *why;
    } known[] = {
        { "LOADING", UNREADY_LOADING },
        { "BUSY", UNREADY_BUSY },
        { "MASTERDOWN", UNREADY_STALE },
        { "NOAUTH", "a password is needed: give --password-file, or $REDISCLI_AUTH" },
        { "WRONGPASS", "the password is wrong, or there is no such user" },
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (says(error, known[i].code)) return unhealthy(v, "%s", known[i].why);
    const char *before = says(error, "MISCONF") ? UNREADY_DISK : "";
    return unhealthy(v, "%s%.*s", before, SLICE_ARG(error));
}

/* ---- ready ---- */

/* A password for a server that wants none is no fault: one environment serves all containers. */
static bool log_in(struct visit *v) {
    const struct health_plan *p = v->plan;
    struct reply_item item;
    if (!p->has_password && !p->user[0]) return true;
    struct slice password = p->password.len ? buf_slice(&p->password) : LIT("");
    bool asked = p->user[0] ? ASK(v, &item, LIT("AUTH"), slice_of(p->user), password)
                            : ASK(v, &item, LIT("AUTH"), password);
    if (!asked) return false;
    if (item.kind != REPLY_ERROR) return true;
    static const char *const needless[] = { "without any password configured", "no password is set" };
    for (size_t i = 0; i < COUNT_OF(needless); i++)
        if (memmem(item.text.ptr, item.text.len, needless[i], strlen(needless[i]))) return true;
    return unhealthy_error(v, item.text);
}

static bool ping(struct visit *v) {
    struct reply_item item;
    if (!ASK(v, &item, LIT("PING"))) return false;
    if (item.kind == REPLY_STATUS && slice_equal(item.text, LIT("PONG"))) return true;
    if (item.kind != REPLY_ERROR) return unhealthy(v, "PING was answered by something else than PONG");
    if (says(item.text, "NOPERM"))
        return unhealthy(v, "user '%s' may not run PING: give it +ping", user_of(v));
    return unhealthy_error(v, item.text);
}

/* The value of a field of INFO; empty if it is not there. */
static struct slice field_of(struct slice info, const char *name) {
    size_t len = strlen(name);
    const char *end = info.ptr + info.len;
    for (const char *at = info.ptr; at < end;) {
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        if (!stop) stop = end;
        if ((size_t)(stop - at) > len && memcmp(at, name, len) == 0 && at[len] == ':')
            return slice_between(at + len + 1, stop);
        at = stop + 2 < end ? stop + 2 : end;
    }
    return LIT("");
}

static bool field_is(struct slice info, const char *name, const char *value) {
    return slice_equal(field_of(info, name), slice_of(value));
}

/* A user for health checks only may lack the permission: then PING's word stands, and a note says so. */
static bool info(struct visit *v, struct slice section, struct slice *text) {
    struct reply_item item;
    *text = LIT("");
    if (!ASK(v, &item, LIT("INFO"), section)) return false;
    if (item.kind == REPLY_BULK || item.kind == REPLY_VERBATIM) {
        *text = item.text;
        return true;
    }
    if (item.kind != REPLY_ERROR) return unhealthy(v, "INFO was answered by something else than text");
    if (!says(item.text, "NOPERM")) return unhealthy_error(v, item.text);
    buf_clear(&v->note);
    buf_printf(&v->note, "user '%s' may not run INFO: give it +info", user_of(v));
    return true;
}

static bool check_disk(struct visit *v) {
    struct slice text;
    if (!info(v, LIT("persistence"), &text)) return false;
    if (field_is(text, "loading", "1")) return unhealthy(v, "%s", UNREADY_LOADING);
    if (field_is(text, "aof_last_write_status", "err"))
        return unhealthy(v, UNREADY_DISK "the append-only file can't be written");
    return true;
}

static bool check_link(struct visit *v) {
    struct slice text;
    if (!info(v, LIT("replication"), &text)) return false;
    if (v->note.len) return unhealthy(v, "%.*s", SLICE_ARG(buf_slice(&v->note)));
    if (!field_is(text, "role", "slave") || field_is(text, "master_link_status", "up")) return true;
    return unhealthy(v, "%s", UNREADY_LINK);
}

static bool is_ready(struct visit *v) {
    return log_in(v) && ping(v) && check_disk(v) && (!v->plan->replica || check_link(v));
}

static bool is_live(struct visit *v) {
    struct reply_item item;
    return ASK(v, &item, LIT("PING"));
}

/* ---- the command ---- */

static int pay_visit(const struct health_plan *p) {
    struct visit v = { .plan = p, .deadline_us = clock_steady_us() + p->timeout_ms * 1000 };
    bool can_ask = !p->tls || prepare_tls(&v);
    bool healthy = can_ask && connect_to_server(&v) && (p->live ? is_live(&v) : is_ready(&v));
    if (healthy && v.note.len)
        printf("ready, says PING; %.*s\n", SLICE_ARG(buf_slice(&v.note)));
    else if (healthy)
        puts(p->live ? "live" : "ready");
    else if (!can_ask)
        fprintf(stderr, "trivet-server health: %.*s\n", SLICE_ARG(buf_slice(&v.why)));
    else
        fprintf(stderr, "not %s: %.*s\n", p->live ? "live" : "ready", SLICE_ARG(buf_slice(&v.why)));
    if (v.is_open) link_close(&v.link);
    tls_contexts_release();
    tls_thread_release();
    buf_release(&v.in);
    buf_release(&v.why);
    buf_release(&v.note);
    return healthy ? HEALTHY : can_ask ? UNHEALTHY : WRONG_QUESTION;
}

int health(int argc, char **argv) {
    struct health_plan plan;
    struct buf error = { 0 };
    int status = WRONG_QUESTION;
    log_set_level(LOG_LEVEL_NOTHING); /* the one line is all */
    if (!health_plan_read(&plan, argc, argv, &error)) {
        fprintf(stderr, "trivet-server health: %.*s\n", SLICE_ARG(buf_slice(&error)));
    } else if (plan.help) {
        health_plan_tell_usage();
        status = HEALTHY;
    } else {
        set_alarm(&plan);
        status = pay_visit(&plan);
    }
    health_plan_release(&plan);
    buf_release(&error);
    return status;
}
