/* client_filter.c: one row for each option: how it is read and when a client fits it. See
 * client_filter_private.h. */
#include "client_filter.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/engine/access/users.h"
#include <stdlib.h>

/* ---- reading a value: argument `at`; false after replying ---- */

static bool read_text(struct call *c, size_t at, struct client_condition *to) {
    to->text = c->argv[at];
    return true;
}

static bool read_user(struct call *c, size_t at, struct client_condition *to) {
    to->text = c->argv[at];
    if (users_find(to->text)) return true;
    reply_error_printf(c->out, "ERR No such user '%.*s'", SLICE_ARG(to->text));
    return false;
}

#define TYPE_PRIMARY CLASS_COUNT /* a link to a primary: of no class that a client here can have */

static bool read_type(struct call *c, size_t at, struct client_condition *to) {
    static const struct {
        const char *word;
        int type;
    } types[] = {
        { "normal", CLASS_NORMAL }, { "replica", CLASS_REPLICA }, { "slave", CLASS_REPLICA },
        { "pubsub", CLASS_PUBSUB }, { "primary", TYPE_PRIMARY },  { "master", TYPE_PRIMARY },
    };
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (!call_is(c, at, types[i].word)) continue;
        to->number = types[i].type;
        return true;
    }
    reply_error_printf(c->out, "ERR Unknown client type '%.*s'", SLICE_ARG(c->argv[at]));
    return false;
}

/* A letter set: all of them must be in `known`. */
static bool read_letters(struct call *c, size_t at, const char *what, const char *known, struct slice *to) {
    struct slice text = c->argv[at];
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] && strchr(known, text.ptr[i])) continue;
        reply_error_printf(c->out, "ERR Unknown %s found in the provided filter: %.*s", what,
                           SLICE_ARG(text));
        return false;
    }
    *to = text;
    return true;
}

static bool read_flags(struct call *c, size_t at, struct client_condition *to) {
    return read_letters(c, at, "flags", "OSMPxbtRBdcuAUreTIN", &to->text);
}

static bool read_capa(struct call *c, size_t at, struct client_condition *to) {
    return read_letters(c, at, "capa", "r", &to->text);
}

static bool read_db(struct call *c, size_t at, struct client_condition *to) {
    if (!int64_parse(c->argv[at], &to->number)) {
        reply_error_text(c->out, LIT("ERR DB is not an integer or out of range"));
        return false;
    }
    if (to->number >= 0 && to->number < keyspace_databases()) return true;
    reply_error_printf(c->out, "ERR DB number should be between 0 and %u", keyspace_databases() - 1);
    return false;
}

static bool read_seconds(struct call *c, size_t at, const char *what, int64_t *to) {
    if (!int64_parse(c->argv[at], to)) {
        reply_error_printf(c->out, "ERR %s is not an integer or out of range", what);
        return false;
    }
    if (*to > 0) return true;
    reply_error_printf(c->out, "ERR %s should be greater than 0", what);
    return false;
}

static bool read_maxage(struct call *c, size_t at, struct client_condition *to) {
    return read_seconds(c, at, "maxage", &to->number);
}

static bool read_idle(struct call *c, size_t at, struct client_condition *to) {
    return read_seconds(c, at, "idle", &to->number);
}

/* ---- does a client fit? ---- */

static bool is_text(const char *field, const struct client_condition *want) {
    return field && slice_equal(slice_of(field), want->text);
}

static bool fits_addr(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    return is_text(client->peer, want);
}

static bool fits_laddr(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    return is_text(client->local, want);
}

static bool fits_user(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    return is_text(client->user->name, want);
}

static bool fits_name(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    return is_text(client->name, want);
}

static bool fits_lib_name(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    return is_text(client->lib_name, want);
}

static bool fits_lib_version(const struct client *client, const struct client_condition *want,
                             int64_t now_ms) {
    (void)now_ms;
    return is_text(client->lib_version, want);
}

/* The peer's text is "1.2.3.4:5" or "[::1]:5"; a unix socket has no IP. */
static bool fits_ip(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    const char *colon = strrchr(client->peer, ':');
    if (!colon || (client->flags & CLIENT_UNIX_SOCKET)) return false;
    struct slice ip = slice_between(client->peer, colon);
    bool bracketed = ip.len >= 2 && ip.ptr[0] == '[' && ip.ptr[ip.len - 1] == ']';
    return slice_equal(bracketed ? slice_make(ip.ptr + 1, ip.len - 2) : ip, want->text);
}

/* The letters are those that the client's own description shows, so that no second list of them exists. */
static bool fits_flags(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    struct buf line = { 0 };
    client_describe(client, now_ms, &line);
    buf_append_byte(&line, '\0');
    const char *flags = strstr(line.ptr, " flags=");
    assert(flags);
    flags += strlen(" flags=");
    size_t shown = strcspn(flags, " ");
    bool all = true;
    for (size_t i = 0; i < want->text.len && all; i++) all = memchr(flags, want->text.ptr[i], shown) != NULL;
    buf_release(&line);
    return all;
}

static bool fits_capa(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    return want->text.len == 0 || (client->flags & CLIENT_CAPA_REDIRECT);
}

static bool fits_type(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    bool is_primary = client->flags & CLIENT_PRIMARY;
    return want->number == TYPE_PRIMARY ? is_primary
                                        : !is_primary && client_class(client) == (uint64_t)want->number;
}

static bool fits_db(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    return client->db == (uint64_t)want->number;
}

static bool fits_maxage(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    return (now_ms - client->created_ms) / 1000 >= want->number;
}

static bool fits_idle(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    return (now_ms - client->active_ms) / 1000 >= want->number;
}

static int compare_ids(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool fits_id(const struct client *client, const struct client_condition *want, int64_t now_ms) {
    (void)now_ms;
    return bsearch(&client->id, want->ids, want->id_count, sizeof *want->ids, compare_ids) != NULL;
}

/* ---- the table ---- */

#define ADDR_ROW 2
static const struct {
    const char *word;
    bool (*read)(struct call *c, size_t at,
                 struct client_condition *to); /* NULL: ID, which takes several values */
    bool (*fits)(const struct client *client, const struct client_condition *want, int64_t now_ms);
    bool lacks_not; /* there is no NOT- form */
} words[] = {
    { "ID", NULL, fits_id, false },
    { "TYPE", read_type, fits_type, false },
    [ADDR_ROW] = { "ADDR", read_text, fits_addr, false },
    { "LADDR", read_text, fits_laddr, false },
    { "USER", read_user, fits_user, false },
    { "NAME", read_text, fits_name, false },
    { "FLAGS", read_flags, fits_flags, false },
    { "LIB-NAME", read_text, fits_lib_name, false },
    { "LIB-VER", read_text, fits_lib_version, false },
    { "DB", read_db, fits_db, false },
    { "CAPA", read_capa, fits_capa, false },
    { "IP", read_text, fits_ip, false },
    { "MAXAGE", read_maxage, fits_maxage, true },
    { "IDLE", read_idle, fits_idle, true },
};
static_assert(COUNT_OF(words) == CLIENT_FILTER_WORDS, "a filter has one condition for each row");

/* ---- reading the options ---- */

/* Numbers up to the next word. A second ID option adds to the first; of the others the last one counts. */
static bool read_ids(struct call *c, size_t *at, struct client_condition *to) {
    size_t before = *at;
    to->ids = mem_realloc(to->ids, (to->id_count + c->argc) * sizeof *to->ids);
    for (; *at < c->argc; ++*at) {
        int64_t id;
        if (!int64_parse(c->argv[*at], &id)) break;
        if (id < 1) {
            reply_error_text(c->out, LIT("ERR client-id should be greater than 0"));
            return false;
        }
        to->ids[to->id_count++] = (uint64_t)id;
    }
    qsort(to->ids, to->id_count, sizeof *to->ids, compare_ids);
    return *at > before || refuse_syntax(c);
}

static bool read_skip_me(struct call *c, size_t at, bool *skip_me) {
    if (!call_is(c, at, "YES") && !call_is(c, at, "NO")) return refuse_syntax(c);
    *skip_me = call_is(c, at, "YES");
    return true;
}

/* The option whose word is argument *at; moves *at behind its values. */
static bool read_option(struct call *c, size_t *at, struct client_filter *f) {
    struct slice word = c->argv[*at];
    size_t values = c->argc - 1 - *at;
    if (slice_equal_nocase(word, LIT("SKIPME")) && values >= 1) {
        *at += 2;
        return read_skip_me(c, *at - 1, &f->skip_me);
    }
    bool negated = word.len > 4 && slice_equal_nocase(slice_make(word.ptr, 4), LIT("NOT-"));
    if (negated) word = slice_make(word.ptr + 4, word.len - 4);
    for (size_t i = 0; i < COUNT_OF(words) && values >= 1; i++) {
        if (!slice_equal_nocase(word, slice_of(words[i].word)) || (negated && words[i].lacks_not)) continue;
        struct client_condition *to = negated ? &f->no[i] : &f->yes[i];
        to->set = true;
        *at += 1;
        if (!words[i].read) return read_ids(c, at, to);
        *at += 1;
        return words[i].read(c, *at - 1, to);
    }
    return refuse_syntax(c);
}

bool client_filter_read(struct call *c, size_t first, struct client_filter *f) {
    for (size_t at = first; at < c->argc;)
        if (!read_option(c, &at, f)) return false;
    return true;
}

void client_filter_set_address(struct client_filter *f, struct slice address) {
    f->yes[ADDR_ROW].set = true;
    f->yes[ADDR_ROW].text = address;
}

bool client_filter_fits(const struct client_filter *f, const struct call *c, const struct client *client) {
    if (client->flags & CLIENT_CLOSING) return false;
    if (f->skip_me && client == c->client) return false;
    int64_t now_ms = c->view.now_ms;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (f->yes[i].set && !words[i].fits(client, &f->yes[i], now_ms)) return false;
        if (f->no[i].set && words[i].fits(client, &f->no[i], now_ms)) return false;
    }
    return true;
}

void client_filter_release(struct client_filter *f) {
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        mem_free(f->yes[i].ids);
        mem_free(f->no[i].ids);
    }
}
