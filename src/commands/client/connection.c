/* connection.c: a client about its own connection: who it is, which protocol and database, is anybody there.
 */
#include "trivet/base/number.h"
#include "trivet/base/version.h"
#include "trivet/commands/arguments/database_argument.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/settings/options.h"

/* What HELLO calls this server, beside TRIVET_REDIS_VERSION. Clients choose code paths by these two: some
 * refuse any server but "redis", and the version is the last one whose commands and replies Redis and Valkey
 * share, the one that Valkey itself reports as redis_version. The server's own name and version are in INFO.
 */
#define HELLO_SERVER "redis"

/* PING [message] */
static void cmd_ping(struct call *c) {
    if (c->argc > 2) {
        reply_error_text(c->out, LIT("ERR wrong number of arguments for 'ping' command"));
        return;
    }
    /* A RESP2 subscriber tells replies from messages by their form, so its PING is answered in that form. */
    if ((c->client->flags & CLIENT_SUBSCRIBED) && c->out->protocol == 2) {
        reply_array(c->out, 2);
        reply_bulk(c->out, LIT("pong"));
        reply_bulk(c->out, c->argc == 2 ? c->argv[1] : LIT(""));
    } else if (c->argc == 2) {
        reply_bulk(c->out, c->argv[1]);
    } else {
        reply_simple(c->out, LIT("PONG"));
    }
}

/* ECHO message */
static void cmd_echo(struct call *c) { reply_bulk(c->out, c->argv[1]); }

static size_t select_database(const struct slice *argv, size_t argc, size_t at[DATABASE_ARGUMENTS_MAX]) {
    (void)argv, (void)argc;
    at[0] = 1;
    return 1;
}

/* SELECT index */
static void cmd_select(struct call *c) {
    uint32_t db;
    if (!database_argument(c, 1, &db)) return;
    c->client->db = db;
    reply_ok(c->out);
}

/* QUIT */
static void cmd_quit(struct call *c) {
    c->client->flags |= CLIENT_CLOSE_AFTER;
    reply_ok(c->out);
}

/* RESET */
static void cmd_reset(struct call *c) {
    if (c->client->flags & (CLIENT_REPLICA | CLIENT_PRIMARY)) {
        reply_error_text(c->out, LIT("ERR can only reset normal client connections"));
        return;
    }
    client_reset(c->client);
    c->out->muted = false; /* CLIENT REPLY is back to ON, for this answer already */
    reply_simple(c->out, LIT("RESET"));
}

/* ---- who is it ---- */

/* False after replying the refusal. */
static bool log_in(struct call *c, struct slice user, struct slice password) {
    if (client_authenticate(c->client, user, password, c->argv[0])) return true;
    reply_error_text(c->out, LIT("WRONGPASS invalid username-password pair or user is disabled."));
    return false;
}

static bool auth_secret(const struct slice *argv, size_t argc, size_t index) {
    (void)argv, (void)argc;
    return index >= 1;
}

/* AUTH [username] password */
static void cmd_auth(struct call *c) {
    if (c->argc > 3) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (c->argc == 2 && user_default->needs_no_password) {
        reply_error_text(c->out,
                         LIT("ERR AUTH <password> called without any password configured for the default "
                             "user. Are you sure your configuration is correct?"));
        return;
    }
    struct slice user = c->argc == 3 ? c->argv[1] : LIT("default");
    if (log_in(c, user, c->argv[c->argc - 1])) reply_ok(c->out);
}

/* ---- HELLO ---- */

/* The two behind AUTH. */
static bool hello_secret(const struct slice *argv, size_t argc, size_t index) {
    (void)argc;
    for (size_t back = 1; back <= 2; back++)
        if (index >= 2 + back && slice_equal_nocase(argv[index - back], LIT("AUTH"))) return true;
    return false;
}

struct hello {
    int64_t protocol;
    bool has_login, has_name;
    struct slice user, password, name;
};

static bool hello_option_error(struct call *c, size_t i) {
    reply_error_printf(c->out, "ERR Syntax error in HELLO option '%.*s'", SLICE_ARG(c->argv[i]));
    return false;
}

/* Reads all options before any of them takes effect; false after replying what is wrong. */
static bool hello_read(struct call *c, struct hello *h) {
    h->protocol = c->out->protocol;
    if (c->argc > 1 && !int64_parse(c->argv[1], &h->protocol)) {
        reply_error_text(c->out, LIT("ERR Protocol version is not an integer or out of range"));
        return false;
    }
    if (h->protocol != 2 && h->protocol != 3) {
        reply_error_text(c->out, LIT("NOPROTO unsupported protocol version"));
        return false;
    }
    for (size_t i = 2; i < c->argc; i++) {
        size_t values = c->argc - 1 - i;
        if (call_is(c, i, "AUTH") && values >= 2) {
            h->has_login = true;
            h->user = c->argv[i + 1];
            h->password = c->argv[i + 2];
            i += 2;
        } else if (call_is(c, i, "SETNAME") && values >= 1) {
            h->has_name = true;
            h->name = c->argv[++i];
            if (client_name_is_valid(h->name)) continue;
            reply_error_text(c->out,
                             LIT("ERR Client names cannot contain spaces, newlines or special characters."));
            return false;
        } else {
            return hello_option_error(c, i);
        }
    }
    return true;
}

static void hello_reply(struct call *c) {
    bool has_zone = options.availability_zone[0] != '\0';
    reply_map(c->out, has_zone ? 8 : 7);
    reply_bulk(c->out, LIT("server"));
    reply_bulk(c->out, LIT(HELLO_SERVER));
    reply_bulk(c->out, LIT("version"));
    reply_bulk(c->out, LIT(TRIVET_REDIS_VERSION));
    reply_bulk(c->out, LIT("proto"));
    reply_int(c->out, c->out->protocol);
    reply_bulk(c->out, LIT("id"));
    reply_int(c->out, (int64_t)c->client->id);
    reply_bulk(c->out, LIT("mode"));
    reply_bulk(c->out, options.cluster_enabled ? LIT("cluster") : LIT("standalone"));
    reply_bulk(c->out, LIT("role"));
    reply_bulk(c->out, primary_is_set() ? LIT("replica") : LIT("master"));
    reply_bulk(c->out, LIT("modules"));
    reply_array(c->out, 0);
    if (!has_zone) return;
    reply_bulk(c->out, LIT("availability_zone"));
    reply_bulk(c->out, slice_of(options.availability_zone));
}

/* HELLO [protover [AUTH username password] [SETNAME clientname]] */
static void cmd_hello(struct call *c) {
    struct hello h = { 0 };
    if (!hello_read(c, &h)) return;
    if (h.has_login && !log_in(c, h.user, h.password)) return;
    if (client_must_log_in(c->client)) {
        reply_error_text(c->out,
                         LIT("NOAUTH HELLO must be called with the client already authenticated, otherwise "
                             "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                             "client and select the RESP protocol version at the same time"));
        return;
    }
    if (h.has_name) client_set_text(&c->client->name, h.name);
    c->out->protocol = (uint8_t)h.protocol;
    hello_reply(c);
}

#define ANY_TIME (NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY)

/* clang-format off */
const struct command connection_commands[] = {
    { .name = "AUTH", .run = cmd_auth, .arity = -2, .kind = LOCAL, .flags = ANY_TIME,
      .secret = auth_secret,
      .categories = CAT_CONNECTION, .since = "1.0.0", .summary = "Logs the connection in.",
      .complexity = "O(N) where N is the number of passwords of the user.", .syntax = "[username] password" },
    { .name = "ECHO", .run = cmd_echo, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE | FAST,
      .categories = CAT_CONNECTION, .since = "1.0.0", .summary = "Returns the given string.",
      .complexity = "O(1)", .syntax = "message" },
    { .name = "HELLO", .run = cmd_hello, .arity = -1, .kind = LOCAL, .flags = ANY_TIME,
      .secret = hello_secret,
      .categories = CAT_CONNECTION, .since = "6.0.0",
      .summary = "Chooses the protocol version and introduces client and server to each other.",
      .complexity = "O(1)", .syntax = "[protover [AUTH username password] [SETNAME clientname]]" },
    { .name = "PING", .run = cmd_ping, .arity = -1, .kind = LOCAL,
      .flags = FAST | RUNS_SUBSCRIBED | HEEDS_DISK,
      .categories = CAT_CONNECTION, .since = "1.0.0", .summary = "Tells whether the server is there.",
      .complexity = "O(1)", .syntax = "[message]",
      .tips = "request_policy:all_shards,response_policy:all_succeeded" },
    { .name = "QUIT", .run = cmd_quit, .arity = -1, .kind = LOCAL,
      .flags = ANY_TIME | RUNS_IN_MULTI | RUNS_SUBSCRIBED | DEPRECATED, .categories = CAT_CONNECTION,
      .since = "1.0.0", .summary = "Ends the connection.", .complexity = "O(1)", .deprecated_since = "7.2.0",
      .replaced_by = "just closing the connection" },
    { .name = "RESET", .run = cmd_reset, .arity = 1, .kind = LOCAL,
      .flags = ANY_TIME | RUNS_IN_MULTI | RUNS_SUBSCRIBED, .categories = CAT_CONNECTION, .since = "6.2.0",
      .summary = "Brings the connection back to the state of a new one.", .complexity = "O(1)" },
    { .name = "SELECT", .run = cmd_select, .arity = 2, .kind = LOCAL,
      .flags = LOADING | STALE | FAST | SWITCHES_DATABASE, .database_arguments = select_database,
      .categories = CAT_CONNECTION, .since = "1.0.0", .summary = "Chooses the connection's database.",
      .complexity = "O(1)", .syntax = "index" },
    { .name = NULL },
};
/* clang-format on */
