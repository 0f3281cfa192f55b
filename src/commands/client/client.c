/* client.c: CLIENT: connections as things that can be named, listed, muted, paused and closed.
 *
 * What concerns the own connection is LOCAL. What looks at others is EXCLUSIVE: with the gate closed every
 * client may be read, but only its own worker may touch its event loop and lists, so closing and unblocking
 * are posted there as letters; a flag set while the gate is closed makes the decision hold at once. */
#include "client.h"
#include "client_filter.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/settings/options.h"
#include <stdlib.h>

static void refuse_syntax(struct call *c) { reply_error(c->out, ERR_SYNTAX); }

/* ---- the own connection ---- */

/* CLIENT ID */
static void cmd_client_id(struct call *c) { reply_int(c->out, (int64_t)c->client->id); }

/* CLIENT GETNAME */
static void cmd_client_getname(struct call *c) {
    if (c->client->name)
        reply_bulk(c->out, slice_of(c->client->name));
    else
        reply_null(c->out);
}

/* CLIENT SETNAME connection-name */
static void cmd_client_setname(struct call *c) {
    if (!client_name_is_valid(c->argv[2])) {
        reply_error_text(c->out,
                         LIT("ERR Client names cannot contain spaces, newlines or special characters."));
        return;
    }
    client_set_text(&c->client->name, c->argv[2]);
    reply_ok(c->out);
}

/* CLIENT SETINFO LIB-NAME libname | LIB-VER libver */
static void cmd_client_setinfo(struct call *c) {
    struct slice option = c->argv[2];
    char **field = call_is(c, 2, "LIB-NAME") ? &c->client->lib_name : &c->client->lib_version;
    if (!call_is(c, 2, "LIB-NAME") && !call_is(c, 2, "LIB-VER")) {
        reply_error_printf(c->out, "ERR Unrecognized option '%.*s'", SLICE_ARG(option));
        return;
    }
    if (!client_name_is_valid(c->argv[3])) {
        reply_error_printf(c->out, "ERR %.*s cannot contain spaces, newlines or special characters.",
                           SLICE_ARG(option));
        return;
    }
    client_set_text(field, c->argv[3]);
    reply_ok(c->out);
}

/* CLIENT INFO */
static void cmd_client_info(struct call *c) {
    struct buf line = { 0 };
    client_describe(c->client, c->view.now_ms, &line);
    buf_append_byte(&line, '\n');
    reply_verbatim(c->out, "txt", buf_slice(&line));
    buf_release(&line);
}

/* Sets or clears a flag by ON or OFF, the only argument. */
static void switch_flag(struct call *c, enum client_flag flag) {
    if (call_is(c, 2, "ON")) {
        c->client->flags |= (uint32_t)flag;
    } else if (call_is(c, 2, "OFF")) {
        c->client->flags &= ~(uint32_t)flag;
    } else {
        refuse_syntax(c);
        return;
    }
    reply_ok(c->out);
}

/* CLIENT NO-EVICT ON | OFF */
static void cmd_client_no_evict(struct call *c) { switch_flag(c, CLIENT_NO_EVICT); }

/* CLIENT NO-TOUCH ON | OFF */
static void cmd_client_no_touch(struct call *c) { switch_flag(c, CLIENT_NO_TOUCH); }

/* CLIENT IMPORT-SOURCE ON | OFF. A tool may leave the state after the operator has ended import mode. */
static void cmd_client_import_source(struct call *c) {
    if (options.import_mode || call_is(c, 2, "OFF"))
        switch_flag(c, CLIENT_IMPORT_SOURCE);
    else
        reply_error_text(c->out, LIT("ERR Server is not in import mode"));
}

/* CLIENT CAPA capability [capability ...] */
static void cmd_client_capa(struct call *c) {
    for (size_t i = 2; i < c->argc; i++) /* unknown ones are those of servers to come */
        if (call_is(c, i, "REDIRECT")) c->client->flags |= CLIENT_CAPA_REDIRECT;
    reply_ok(c->out);
}

/* CLIENT REPLY ON | OFF | SKIP
 * The dispatcher mutes a command by the flags as they are before it runs; this one's own answer goes by the
 * new state: OFF and SKIP have none, ON has one. */
static void cmd_client_reply(struct call *c) {
    struct client *client = c->client;
    if (call_is(c, 2, "ON")) {
        client->flags &= ~(uint32_t)(CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT);
        c->out->muted = false;
        reply_ok(c->out);
    } else if (call_is(c, 2, "OFF")) {
        client->flags |= CLIENT_REPLY_OFF;
    } else if (call_is(c, 2, "SKIP")) {
        if (!(client->flags & CLIENT_REPLY_OFF)) client->flags |= CLIENT_REPLY_SKIP_NEXT;
    } else {
        refuse_syntax(c);
    }
}

/* ---- all connections ---- */

static int compare_by_id(const void *a, const void *b) {
    const struct client *const *x = a, *const *y = b;
    return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/* Those who fit, oldest first; the caller frees the array. Gate closed. */
static struct client **find_clients(const struct call *c, const struct client_filter *f, size_t *count) {
    struct client **found = mem_alloc(client_count() * sizeof *found + sizeof *found);
    *count = 0;
    for (int worker = 0; worker < thread_worker_count; worker++) CLIENTS_OF(worker, one)
    if (client_filter_fits(f, c, one)) found[(*count)++] = one;
    qsort(found, *count, sizeof(struct client *), compare_by_id);
    return found;
}

/* CLIENT LIST [filter value ...] */
static void cmd_client_list(struct call *c) {
    struct client_filter f = { 0 };
    if (client_filter_read(c, 2, &f)) {
        struct buf lines = { 0 };
        size_t count;
        struct client **found = find_clients(c, &f, &count);
        for (size_t i = 0; i < count; i++) {
            client_describe(found[i], c->view.now_ms, &lines);
            buf_append_byte(&lines, '\n');
        }
        reply_verbatim(c->out, "txt", buf_slice(&lines));
        mem_free(found);
        buf_release(&lines);
    }
    client_filter_release(&f);
}

static size_t kill_fitting(struct call *c, const struct client_filter *f) {
    size_t count;
    struct client **found = find_clients(c, f, &count);
    for (size_t i = 0; i < count; i++) client_kill(found[i], c->client, "CLIENT KILL");
    mem_free(found);
    return count;
}

/* CLIENT KILL ip:port, or CLIENT KILL filter value [filter value ...] */
static void cmd_client_kill(struct call *c) {
    struct client_filter f = { 0 };
    if (c->argc == 3) { /* the old form, which may hit the caller too */
        client_filter_set_address(&f, c->argv[2]);
        if (kill_fitting(c, &f) > 0)
            reply_ok(c->out);
        else
            reply_error_text(c->out, LIT("ERR No such client"));
    } else {
        f.skip_me = true;
        if (client_filter_read(c, 2, &f)) reply_int(c->out, (int64_t)kill_fitting(c, &f));
    }
    client_filter_release(&f);
}

/* ---- waiting ---- */

struct unblocking {
    enum unblock_reason reason;
    uint64_t command; /* client->commands then: tells the wait that was meant from a later one */
};

/* On the client's worker. */
static void unblock_letter(struct client *client, void *arg) {
    struct unblocking *u = arg;
    if (client) {
        client->flags &= ~(uint32_t)CLIENT_UNBLOCKING;
        if (client->commands == u->command) blocking_finish(client, u->reason);
    }
    mem_free(u);
}

static bool can_be_unblocked(const struct client *client) {
    uint32_t flags = client->flags;
    return (flags & CLIENT_BLOCKED) && !(flags & (CLIENT_CLOSING | CLIENT_UNBLOCKING));
}

/* Is there at most one word after the argument? Else the error is sent. */
static bool at_most_one_more(struct call *c) {
    if (c->argc <= 4) return true;
    reply_subcommand_error(c);
    return false;
}

/* CLIENT UNBLOCK client-id [TIMEOUT | ERROR] */
static void cmd_client_unblock(struct call *c) {
    int64_t id;
    if (!at_most_one_more(c)) return;
    bool by_error = c->argc > 3 && call_is(c, 3, "ERROR");
    if (c->argc > 3 && !by_error && !call_is(c, 3, "TIMEOUT")) {
        reply_error_text(c->out, LIT("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        return;
    }
    if (!integer_argument(c, 2, &id)) return;
    struct client *target = client_find_anywhere((uint64_t)id);
    if (!target || !can_be_unblocked(target) || !blocking_cancel(target)) {
        reply_int(c->out, 0);
        return;
    }
    struct unblocking *u = mem_alloc(sizeof *u);
    *u = (struct unblocking){ by_error ? UNBLOCK_ERROR : UNBLOCK_TIMEOUT, target->commands };
    target->flags |= CLIENT_UNBLOCKING;
    client_post(target->worker, target->id, unblock_letter, u);
    reply_int(c->out, 1);
}

/* CLIENT PAUSE timeout [WRITE | ALL] */
static void cmd_client_pause(struct call *c) {
    enum pause_mode mode = PAUSE_ALL;
    int64_t ms;
    if (!at_most_one_more(c)) return;
    if (c->argc > 3 && call_is(c, 3, "WRITE")) {
        mode = PAUSE_WRITES;
    } else if (c->argc > 3 && !call_is(c, 3, "ALL")) {
        reply_error_text(c->out, LIT("ERR CLIENT PAUSE mode must be WRITE or ALL"));
        return;
    }
    if (!blocking_parse_ms(c, c->argv[2], &ms)) return;
    pause_begin(PAUSE_BY_CLIENT, mode, ms);
    reply_ok(c->out);
}

/* CLIENT UNPAUSE */
static void cmd_client_unpause(struct call *c) {
    pause_end(PAUSE_BY_CLIENT);
    reply_ok(c->out);
}

/* ---- help ---- */

static const char *const help[] = {
    "CACHING (YES|NO)",
    "    Whether the keys of the next command are tracked, in OPTIN and OPTOUT mode.",
    "CAPA <capability> [<capability> ...]",
    "    Tell the server what this client can do: REDIRECT.",
    "GETNAME",
    "    Return the name of this connection.",
    "GETREDIR",
    "    Return the id of the client that gets this one's invalidation messages.",
    "ID",
    "    Return the id of this connection.",
    "IMPORT-SOURCE (ON|OFF)",
    "    Mark this connection as the source of an import (in import-mode).",
    "INFO",
    "    Return the line of CLIENT LIST for this connection.",
    "KILL <ip:port>",
    "    Close the connection from that address.",
    "KILL <filter> <value> [<filter> <value> ...]",
    "    Close all connections that fit. Filters are those of LIST; SKIPME is yes unless told.",
    "LIST [<filter> <value> ...]",
    "    Return a line for each connection that fits. Filters are:",
    "    * ID <id> [<id> ...]",
    "    * ADDR, LADDR <ip:port>: the client's and the server's end",
    "    * IP <ip>",
    "    * TYPE (NORMAL|PRIMARY|REPLICA|PUBSUB)",
    "    * USER, NAME, LIB-NAME, LIB-VER <text>",
    "    * DB <index>",
    "    * FLAGS <letters>: has all of them",
    "    * CAPA <letters>",
    "    * MAXAGE, IDLE <seconds>: at least so old, or silent for so long",
    "    * SKIPME (YES|NO): leave out this connection",
    "    All but the last three also exist with NOT- before them.",
    "NO-EVICT (ON|OFF)",
    "    Keep this connection when clients are closed to save memory.",
    "NO-TOUCH (ON|OFF)",
    "    Let this connection's reads leave the keys' age alone.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Hold all commands, or those that write, for that many milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Answer this connection always, never, or not for the next command.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Tell the server which client library this is.",
    "SETNAME <name>",
    "    Name this connection.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> ...] [OPTIN] [OPTOUT] [NOLOOP]",
    "    Tell this client when keys that it has read change.",
    "TRACKINGINFO",
    "    Return how this connection tracks.",
    "UNBLOCK <id> [TIMEOUT|ERROR]",
    "    End the wait of a blocked client, as if its time were up or with an error.",
    "UNPAUSE",
    "    End the pause.",
    NULL,
};

/* CLIENT HELP */
static void cmd_client_help(struct call *c) { reply_help(c, help); }

/* ---- the table ---- */

#define ANY_TIME (NOSCRIPT | LOADING | STALE)
#define FILTER_SYNTAX                                                                                   \
    "[[NOT-]ID client-id [client-id ...]] [[NOT-]TYPE <normal | primary | replica | pubsub>] "          \
    "[[NOT-]ADDR ip:port] [[NOT-]LADDR ip:port] [[NOT-]IP ip] [[NOT-]USER username] [[NOT-]NAME name] " \
    "[[NOT-]LIB-NAME lib-name] [[NOT-]LIB-VER lib-version] [[NOT-]FLAGS flags] [[NOT-]CAPA capa] "      \
    "[[NOT-]DB db] [MAXAGE seconds] [IDLE seconds] [SKIPME <yes | no>]"

/* Rows about the own connection, and about any. */
#define OWN(title, function, args)                                                                    \
    .name = (title), .run = (function), .arity = (args), .kind = LOCAL, .categories = CAT_CONNECTION, \
    .flags = ANY_TIME
#define ANY(title, function, args)                                                                        \
    .name = (title), .run = (function), .arity = (args), .kind = EXCLUSIVE, .categories = CAT_CONNECTION, \
    .flags = ANY_TIME

/* clang-format off */
static const struct command subcommands[] = {
    { OWN("CACHING", cmd_client_caching, 3), .since = "6.0.0", .complexity = "O(1)", .syntax = "<yes | no>",
      .summary = "Says whether the keys of the next command are tracked." },
    { OWN("CAPA", cmd_client_capa, -3), .since = "8.0.0", .complexity = "O(1)",
      .syntax = "capability [capability ...]", .summary = "Tells the server what this client can do." },
    { OWN("GETNAME", cmd_client_getname, 2), .since = "2.6.9", .complexity = "O(1)",
      .summary = "Returns the name of the connection." },
    { OWN("GETREDIR", cmd_client_getredir, 2), .since = "6.0.0", .complexity = "O(1)",
      .summary = "Returns the client to which invalidation messages are redirected." },
    { .name = "HELP", .run = cmd_client_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .categories = CAT_CONNECTION, .since = "5.0.0", .complexity = "O(1)",
      .summary = "Returns a text about the subcommands." },
    { OWN("ID", cmd_client_id, 2), .since = "5.0.0", .complexity = "O(1)",
      .summary = "Returns the id of the connection." },
    { OWN("IMPORT-SOURCE", cmd_client_import_source, 3), .since = "8.1.0", .complexity = "O(1)",
      .syntax = "<on | off>", .summary = "Marks the connection as the source of an import." },
    { OWN("INFO", cmd_client_info, 2), .since = "6.2.0", .complexity = "O(1)",
      .tips = "nondeterministic_output", .summary = "Describes the connection." },
    { ANY("KILL", cmd_client_kill, -3) | ADMIN, .since = "2.4.0",
      .complexity = "O(N) where N is the number of clients.", .syntax = "<ip:port | " FILTER_SYNTAX ">",
      .summary = "Closes connections." },
    { ANY("LIST", cmd_client_list, -2) | ADMIN, .since = "2.4.0",
      .complexity = "O(N) where N is the number of clients.", .syntax = FILTER_SYNTAX,
      .tips = "nondeterministic_output", .summary = "Describes connections." },
    { OWN("NO-EVICT", cmd_client_no_evict, 3) | ADMIN, .since = "7.0.0", .complexity = "O(1)",
      .syntax = "<on | off>", .summary = "Says whether the connection may be closed to save memory." },
    { OWN("NO-TOUCH", cmd_client_no_touch, 3), .since = "7.2.0", .complexity = "O(1)", .syntax = "<on | off>",
      .summary = "Says whether reads of this connection leave the age of keys alone." },
    { ANY("PAUSE", cmd_client_pause, -3) | ADMIN, .since = "3.0.0", .complexity = "O(1)",
      .syntax = "timeout [WRITE | ALL]", .summary = "Holds commands of all clients for a time." },
    /* Not in a transaction, whose reply is one array. */
    { OWN("REPLY", cmd_client_reply, 3) | NO_MULTI, .since = "3.2.0", .complexity = "O(1)",
      .syntax = "<ON | OFF | SKIP>", .summary = "Says whether commands are answered." },
    { OWN("SETINFO", cmd_client_setinfo, 4), .since = "7.2.0", .complexity = "O(1)",
      .syntax = "<LIB-NAME libname | LIB-VER libver>",
      .tips = "request_policy:all_nodes,response_policy:all_succeeded",
      .summary = "Tells the server about the client library." },
    { OWN("SETNAME", cmd_client_setname, 3), .since = "2.6.9", .complexity = "O(1)",
      .syntax = "connection-name", .tips = "request_policy:all_nodes,response_policy:all_succeeded",
      .summary = "Names the connection." },
    { ANY("TRACKING", cmd_client_tracking, -3), .since = "6.0.0",
      .complexity = "O(1), or O(N) where N is the number of prefixes.",
      .syntax = "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] "
                "[OPTOUT] [NOLOOP]",
      .summary = "Tells the client when keys that it has read change." },
    { OWN("TRACKINGINFO", cmd_client_trackinginfo, 2), .since = "6.2.0", .complexity = "O(1)",
      .summary = "Returns how the connection tracks." },
    { ANY("UNBLOCK", cmd_client_unblock, -3) | ADMIN, .since = "5.0.0", .complexity = "O(1)",
      .syntax = "client-id [TIMEOUT | ERROR]", .summary = "Ends the wait of a blocked client." },
    { ANY("UNPAUSE", cmd_client_unpause, 2) | ADMIN | RUNS_PAUSED, .since = "6.2.0",
      .complexity = "O(N) where N is the number of held clients.", .summary = "Ends a pause." },
    { .name = NULL },
};

const struct command client_commands[] = {
    { .name = "CLIENT", .arity = -2, .kind = LOCAL, .flags = KEEPS_CACHING,
      .subcommands = subcommands, .since = "2.4.0",
      .summary = "Holds the commands about connections.", .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
/* clang-format on */
