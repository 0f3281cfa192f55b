/* acl.c: ACL: who may do what. The users and their rules are the engine's (engine/access/users.h). What asks
 * is LOCAL; what changes users runs with the gate closed. */
#include "trivet/base/buf.h"
#include "trivet/base/log.h"
#include "trivet/base/number.h"
#include "trivet/base/random.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/access/user_file.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include <errno.h>

/* ---- about users ---- */

static void reply_text(struct call *c, struct buf *text) {
    reply_bulk(c->out, buf_slice(text));
    buf_release(text);
}

/* ACL WHOAMI */
static void cmd_acl_whoami(struct call *c) { reply_bulk(c->out, slice_of(c->client->user->name)); }

/* ACL USERS */
static void cmd_acl_users(struct call *c) {
    reply_array(c->out, users_count());
    for (size_t i = 0; i < users_count(); i++) reply_bulk(c->out, slice_of(users_at(i)->name));
}

/* ACL LIST */
static void cmd_acl_list(struct call *c) {
    reply_array(c->out, users_count());
    for (size_t i = 0; i < users_count(); i++) {
        struct buf text = { 0 };
        user_describe_line(users_at(i), &text);
        reply_text(c, &text);
    }
}

static void reply_flags(struct call *c, const struct user *u) {
    reply_bulk(c->out, LIT("flags"));
    reply_set(c->out, u->needs_no_password ? 3 : 2);
    reply_bulk(c->out, u->is_on ? LIT("on") : LIT("off"));
    if (u->needs_no_password) reply_bulk(c->out, LIT("nopass"));
    reply_bulk(c->out, u->skips_sanitizing ? LIT("skip-sanitize-payload") : LIT("sanitize-payload"));
}

static void reply_passwords(struct call *c, const struct user *u) {
    reply_bulk(c->out, LIT("passwords"));
    reply_array(c->out, u->password_count);
    for (size_t i = 0; i < u->password_count; i++) {
        char hex[SHA256_HEX];
        hex_format(u->passwords[i], SHA256_SIZE, hex);
        reply_bulk(c->out, slice_make(hex, sizeof hex));
    }
}

static void reply_permissions(struct call *c, const struct user *u, size_t selector) {
    for (enum permission_part part = 0; part < PERMISSION_PARTS; part++) {
        struct buf text = { 0 };
        user_describe_part(u, selector, part, &text);
        reply_bulk(c->out, slice_of(permission_part_names[part]));
        reply_text(c, &text);
    }
}

/* ACL GETUSER username */
static void cmd_acl_getuser(struct call *c) {
    const struct user *u = users_find(c->argv[2]);
    if (!u) {
        reply_null(c->out);
        return;
    }
    reply_map(c->out, 3 + PERMISSION_PARTS);
    reply_flags(c, u);
    reply_passwords(c, u);
    reply_permissions(c, u, 0);
    reply_bulk(c->out, LIT("selectors"));
    reply_array(c->out, u->selector_count - 1);
    for (size_t i = 1; i < u->selector_count; i++) {
        reply_map(c->out, PERMISSION_PARTS);
        reply_permissions(c, u, i);
    }
}

static bool setuser_secret(const struct slice *argv, size_t argc, size_t index) {
    (void)argv, (void)argc;
    return index >= 2;
}

/* requirepass is what CONFIG GET shows as the default user's password: not one that is no longer valid. */
static void forget_cleared_password(struct call *c) {
    for (size_t i = 3; i < c->argc; i++)
        if (call_is(c, i, "resetpass") || call_is(c, i, "reset")) options_forget_password();
}

/* ACL SETUSER username [rule [rule ...]] */
static void cmd_acl_setuser(struct call *c) {
    struct slice name = c->argv[2];
    if (!user_name_is_valid(name)) {
        reply_error_text(c->out, LIT("ERR Usernames can't contain spaces or null characters"));
        return;
    }
    const struct user *old = users_find(name);
    struct user *u = old ? user_copy(old) : user_new(name);
    struct buf error = { 0 };
    buf_append(&error, LIT("ERR "));
    if (user_set_rules(u, c->argv + 3, c->argc - 3, "Error in ACL SETUSER modifier", &error)) {
        u = users_put(u);
        if (u == user_default) forget_cleared_password(c);
        clients_check_subscriptions(u, c->client);
        reply_ok(c->out);
    } else {
        user_free(u);
        reply_error_text(c->out, buf_slice(&error));
    }
    buf_release(&error);
}

/* ACL DELUSER username [username ...] */
static void cmd_acl_deluser(struct call *c) {
    int64_t removed = 0;
    for (size_t i = 2; i < c->argc; i++)
        if (slice_equal(c->argv[i], LIT(USER_DEFAULT))) {
            reply_error_text(c->out, LIT("ERR The 'default' user cannot be removed"));
            return;
        }
    for (size_t i = 2; i < c->argc; i++) {
        struct user *u = users_find(c->argv[i]);
        if (!u) continue;
        users_remove(u);
        clients_lose_user(u, c->client);
        user_free(u);
        removed++;
    }
    reply_int(c->out, removed);
}

/* ---- files ---- */

static bool has_file(struct call *c) {
    if (options.aclfile[0]) return true;
    reply_error_text(
        c->out,
        LIT("ERR This instance is not configured to use an ACL file. You may want to specify users via the "
            "ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a configuration file "
            "set) in order to store users in the configuration."));
    return false;
}

/* ACL LOAD */
static void cmd_acl_load(struct call *c) {
    struct user_list users = { 0 }, gone = { 0 };
    struct buf errors = { 0 };
    if (!has_file(c)) return;
    buf_append(&errors, LIT("ERR "));
    if (user_file_read(options.aclfile, &users, &errors)) {
        users_replace(&users, slice_of(options.password), &gone);
        for (size_t i = 0; i < gone.count; i++) clients_lose_user(gone.at[i], c->client);
        clients_check_subscriptions(NULL, c->client);
        user_list_release(&gone);
        reply_ok(c->out);
    } else {
        reply_error_text(c->out, buf_slice(&errors));
    }
    buf_release(&errors);
}

/* ACL SAVE */
static void cmd_acl_save(struct call *c) {
    if (!has_file(c)) return;
    if (user_file_write(options.aclfile)) {
        reply_ok(c->out);
        return;
    }
    LOG_WARNING("The users could not be written to the ACL file %s: %s", options.aclfile, strerror(errno));
    reply_error_text(c->out, LIT("ERR There was an error trying to save the ACLs. Please check the server "
                                 "logs for more information"));
}

/* ---- what is permitted ---- */

static void reply_commands_of(struct call *c, uint32_t category) {
    struct chunk *at = reply_later(c->out);
    size_t count = 0;
    for (uint32_t id = 0; id < registry_ids(); id++) {
        const struct command *command = registry_by_id(id);
        if (!command || !(command->categories & category)) continue;
        reply_bulk(c->out, slice_of(command->full_name));
        count++;
    }
    reply_later_array(c->out, at, count);
}

/* ACL CAT [category] */
static void cmd_acl_cat(struct call *c) {
    if (c->argc > 3) {
        reply_subcommand_error(c);
        return;
    }
    if (c->argc == 2) reply_array(c->out, CATEGORY_COUNT);
    for (size_t i = 0; i < CATEGORY_COUNT; i++) {
        if (c->argc == 2) {
            reply_bulk(c->out, slice_of(category_names[i]));
        } else if (call_is(c, 2, category_names[i])) {
            reply_commands_of(c, 1u << i);
            return;
        }
    }
    if (c->argc == 3) reply_error_printf(c->out, "ERR Unknown category '%.*s'", SLICE_ARG(c->argv[2]));
}

/* What the command itself would hide. */
static bool dryrun_secret(const struct slice *argv, size_t argc, size_t index) {
    const struct command *container, *command;
    if (index < 4) return false;
    command = registry_resolve(argv + 3, argc - 3, &container);
    return command && command->secret && command->secret(argv + 3, argc - 3, index - 3);
}

/* ACL DRYRUN username command [argument ...] */
static void cmd_acl_dryrun(struct call *c) {
    const struct user *u = users_find(c->argv[2]);
    if (!u) {
        reply_error_printf(c->out, "ERR User '%.*s' not found", SLICE_ARG(c->argv[2]));
        return;
    }
    const struct slice *argv = c->argv + 3;
    size_t argc = c->argc - 3;
    const struct command *container, *command = registry_resolve(argv, argc, &container);
    if (!command) {
        reply_error_printf(c->out, "ERR Command '%.*s' not found", SLICE_ARG(argv[0]));
        return;
    }
    if (!command_arity_fits(command, argc)) {
        reply_error_printf(c->out, "ERR wrong number of arguments for '%s' command", command->full_name);
        return;
    }
    struct verdict v = permission_ask(u, command, argv, argc, c->client->db);
    struct buf text = { 0 };
    if (v.denial) {
        denial_explain(u, command, argv, v, &text);
        reply_text(c, &text);
    } else {
        reply_ok(c->out);
    }
}

#define GENPASS_BITS 256
#define GENPASS_BITS_MAX 4096

/* ACL GENPASS [bits] */
static void cmd_acl_genpass(struct call *c) {
    int64_t bits = GENPASS_BITS;
    if (c->argc > 3) {
        reply_subcommand_error(c);
        return;
    }
    if (c->argc == 3 && !integer_argument(c, 2, &bits)) return;
    if (bits <= 0 || bits > GENPASS_BITS_MAX) {
        reply_error_text(c->out, LIT("ERR ACL GENPASS argument must be the number of bits for the output "
                                     "password, a positive number up to 4096"));
        return;
    }
    char digits[GENPASS_BITS_MAX / 4 + 1];
    size_t len = ((size_t)bits + 3) / 4;
    random_hex(digits, len);
    reply_bulk(c->out, slice_make(digits, len));
}

/* ---- what was not ---- */

#define LOG_SHOWN 10

struct listing {
    struct call *call;
    size_t count;
};

static void reply_pair(struct call *c, const char *name, struct slice text) {
    reply_bulk(c->out, slice_of(name));
    reply_bulk(c->out, text);
}

static void reply_number(struct call *c, const char *name, int64_t n) {
    reply_bulk(c->out, slice_of(name));
    reply_int(c->out, n);
}

static void list_entry(void *arg, const struct access_entry *entry) {
    static const char *const reasons[ACCESS_REASONS] = {
        [ACCESS_LOGIN] = "auth",       [ACCESS_COMMAND] = "command",   [ACCESS_KEY] = "key",
        [ACCESS_CHANNEL] = "channel",  [ACCESS_DATABASE] = "database", [ACCESS_CERTIFICATE] = "tls-cert",
    };
    static const char *const contexts[ACCESS_CONTEXTS] = { "toplevel", "multi", "lua" };
    struct listing *l = arg;
    struct call *c = l->call;
    const struct access_event *e = &entry->event;
    reply_map(c->out, 10);
    reply_number(c, "count", (int64_t)entry->count);
    reply_pair(c, "reason", slice_of(reasons[e->reason]));
    reply_pair(c, "context", slice_of(contexts[e->context]));
    reply_pair(c, "object", e->object);
    reply_pair(c, "username", e->username);
    reply_bulk(c->out, LIT("age-seconds"));
    reply_double(c->out, (double)(c->view.now_ms - e->now_ms) / 1000);
    reply_pair(c, "client-info", e->client);
    reply_number(c, "entry-id", (int64_t)entry->id);
    reply_number(c, "timestamp-created", entry->created_ms);
    reply_number(c, "timestamp-last-updated", e->now_ms);
    l->count++;
}

/* ACL LOG [count | RESET] */
static void cmd_acl_log(struct call *c) {
    int64_t most = LOG_SHOWN;
    if (c->argc > 3) {
        reply_subcommand_error(c);
        return;
    }
    if (c->argc == 3 && call_is(c, 2, "RESET")) {
        access_log_reset();
        reply_ok(c->out);
        return;
    }
    if (c->argc == 3 && !integer_argument(c, 2, &most)) return;
    struct listing l = { .call = c };
    struct chunk *at = reply_later(c->out);
    access_log_each(most > 0 ? (size_t)most : 0, list_entry, &l);
    reply_later_array(c->out, at, l.count);
}

/* ACL HELP */
static void cmd_acl_help(struct call *c) {
    static const char *const lines[] = {
        "CAT [<category>]",
        "    The categories, or the commands of one.",
        "DELUSER <username> [<username> ...]",
        "    Remove users and close their connections.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    May the user run this command? Nothing is run.",
        "GENPASS [<bits>]",
        "    A random password of 256 bits, or as many as asked for.",
        "GETUSER <username>",
        "    A user's flags, passwords and permissions.",
        "LIST",
        "    All users as lines of an ACL file.",
        "LOAD",
        "    Take all users from the ACL file.",
        "LOG [<count> | RESET]",
        "    What was denied of late, or forget it.",
        "SAVE",
        "    Write all users to the ACL file.",
        "SETUSER <username> [<rule> ...]",
        "    Make or change a user.",
        "USERS",
        "    The names of all users.",
        "WHOAMI",
        "    The user of this connection.",
        NULL,
    };
    reply_help(c, lines);
}

#define AT_ANY_TIME (NOSCRIPT | LOADING | STALE)
#define ASKS(word, function, args) .name = (word), .run = (function), .arity = (args), .kind = LOCAL
#define CHANGES(word, function, args) .name = (word), .run = (function), .arity = (args), .kind = EXCLUSIVE
#define TO_ALL .tips = "request_policy:all_nodes,response_policy:all_succeeded"

static const struct command acl_subcommands[] = {
    { ASKS("CAT", cmd_acl_cat, -2), .flags = AT_ANY_TIME, .since = "6.0.0",
      .summary = "Lists the ACL categories, or the commands in one.",
      .complexity = "O(1), or O(N) with N the number of commands.", .syntax = "[category]" },
    { CHANGES("DELUSER", cmd_acl_deluser, -3), .flags = AT_ANY_TIME | ADMIN, .since = "6.0.0",
      .summary = "Removes users and closes their connections.",
      .complexity = "O(N) where N is the number of connections.", .syntax = "username [username ...]",
      TO_ALL },
    { ASKS("DRYRUN", cmd_acl_dryrun, -4), .flags = AT_ANY_TIME | ADMIN, .secret = dryrun_secret,
      .since = "7.0.0", .summary = "Tells whether a user may run a command, without running it.",
      .complexity = "O(1)", .syntax = "username command [arg [arg ...]]" },
    { ASKS("GENPASS", cmd_acl_genpass, -2), .flags = AT_ANY_TIME, .since = "6.0.0",
      .summary = "Makes a random password.", .complexity = "O(1)", .syntax = "[bits]" },
    { ASKS("GETUSER", cmd_acl_getuser, 3), .flags = AT_ANY_TIME | ADMIN, .since = "6.0.0",
      .summary = "Returns the rules of a user.", .complexity = "O(N) where N is the number of rules.",
      .syntax = "username" },
    { ASKS("HELP", cmd_acl_help, 2), .flags = LOADING | STALE, .since = "6.0.0",
      .summary = "Explains the subcommands.", .complexity = "O(1)" },
    { ASKS("LIST", cmd_acl_list, 2), .flags = AT_ANY_TIME | ADMIN, .since = "6.0.0",
      .summary = "Returns all users in the form of an ACL file.",
      .complexity = "O(N) where N is the number of users." },
    { CHANGES("LOAD", cmd_acl_load, 2), .flags = AT_ANY_TIME | ADMIN, .since = "6.0.0",
      .summary = "Takes all users from the ACL file.",
      .complexity = "O(N) where N is the number of users and of connections." },
    { ASKS("LOG", cmd_acl_log, -2), .flags = AT_ANY_TIME | ADMIN, .since = "6.0.0",
      .summary = "Returns what users tried and were not permitted.",
      .complexity = "O(N) where N is the number of entries.", .syntax = "[count | RESET]" },
    { ASKS("SAVE", cmd_acl_save, 2), .flags = AT_ANY_TIME | ADMIN, .since = "6.0.0",
      .summary = "Writes all users to the ACL file.",
      .complexity = "O(N) where N is the number of users.", TO_ALL },
    { CHANGES("SETUSER", cmd_acl_setuser, -3), .flags = AT_ANY_TIME | ADMIN, .secret = setuser_secret,
      .since = "6.0.0", .summary = "Makes or changes a user.",
      .complexity = "O(N) where N is the number of rules and of connections.",
      .syntax = "username [rule [rule ...]]", TO_ALL },
    { ASKS("USERS", cmd_acl_users, 2), .flags = AT_ANY_TIME | ADMIN, .since = "6.0.0",
      .summary = "Returns the names of all users.", .complexity = "O(N) where N is the number of users." },
    { ASKS("WHOAMI", cmd_acl_whoami, 2), .flags = AT_ANY_TIME, .since = "6.0.0",
      .summary = "Returns the user of the connection.", .complexity = "O(1)" },
    { .name = NULL },
};

const struct command acl_commands[] = {
    { .name = "ACL", .arity = -2, .kind = LOCAL, .subcommands = acl_subcommands, .since = "6.0.0",
      .summary = "Holds the commands about users and their permissions.",
      .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
