/* api.c: the tables `redis` and `server`: what scripts call.
 *
 * Each function raises Lua errors, which jump out: what it holds lies on Lua's stack or belongs to the
 * interpreter. The texts are Valkey's. */
#include "parts.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/base/sha.h"
#include "trivet/base/version.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/command/registry.h"
#include <limits.h>
#include <math.h>
#include <string.h>

#define NUMBER_TEXT_MAX 64 /* the shortest form of a double, or an integer */

int raise_error(lua_State *L, struct slice text) {
    push_error(L, text);
    return lua_error(L);
}

/* ---- call and pcall ---- */

static size_t format_number(char *out, lua_Number n) {
    if (isnan(n)) return (size_t)sprintf(out, "%s", signbit(n) ? "-nan" : "nan");
    if (n >= -0x1p63 && n < 0x1p63 && n == (lua_Number)(int64_t)n) return int64_format(out, (int64_t)n);
    return double_format(out, n);
}

static void make_room(struct interpreter *in, size_t count) {
    buf_clear(&in->numbers);
    if (LIKELY(count <= in->argv_room)) return;
    in->argv = mem_realloc(in->argv, count * 2 * sizeof *in->argv);
    in->argv_room = count * 2;
}

/* A number as text. The texts must not move: the first one makes room for all, `left` with itself. */
static struct slice number_text(struct interpreter *in, lua_Number n, size_t left) {
    char *to = buf_reserve(&in->numbers, left * DOUBLE_TEXT_MAX);
    size_t len = format_number(to, n);
    in->numbers.len += len;
    return slice_make(to, len);
}

/* Strings are not copied: they are on Lua's stack until the command has run. */
static bool gather_arguments(struct interpreter *in, lua_State *L, int count) {
    make_room(in, (size_t)count);
    for (int i = 1; i <= count; i++) {
        struct slice *arg = &in->argv[i - 1];
        int type = lua_type(L, i);
        if (LIKELY(type == LUA_TSTRING)) {
            arg->ptr = lua_tolstring(L, i, &arg->len);
        } else if (type == LUA_TNUMBER) {
            *arg = number_text(in, lua_tonumber(L, i), (size_t)(count - i) + 1);
        } else {
            return false;
        }
    }
    return true;
}

/* The reply in one piece; most are. */
static struct slice reply_in_one_piece(struct interpreter *in) {
    struct iovec v[16];
    int count = reply_vectors(&in->reply, v, 2);
    if (LIKELY(count == 1)) return slice_make(v[0].iov_base, v[0].iov_len);
    buf_clear(&in->flat);
    while (!reply_is_empty(&in->reply)) {
        size_t bytes = in->flat.len;
        count = reply_vectors(&in->reply, v, COUNT_OF(v));
        for (int i = 0; i < count; i++) buf_append(&in->flat, slice_make(v[i].iov_base, v[i].iov_len));
        reply_sent(&in->reply, in->flat.len - bytes);
    }
    return buf_slice(&in->flat);
}

#define KEEP_FLAT (64 * 1024) /* a bigger reply in one piece is not kept */

static void forget_reply(struct interpreter *in) {
    reply_sent(&in->reply, in->reply.bytes);
    if (in->flat.room > KEEP_FLAT) buf_release(&in->flat);
    if (in->numbers.room > KEEP_FLAT) buf_release(&in->numbers);
}

/* The reply of the command as a value. Making the value may fail for lack of memory, and jump out of here;
 * then the reply waits for the next command, which drops it. */
static bool push_result(struct interpreter *in, lua_State *L) {
    struct slice wire = reply_in_one_piece(in);
    bool failed = wire.ptr[0] == '-';
    push_reply(L, wire, in->run->protocol);
    forget_reply(in);
    return failed;
}

/* Pushes what came of the command. True if it is an error. */
static bool run_command(struct interpreter *in, lua_State *L) {
    int count = lua_gettop(L);
    buf_clear(&in->why);
    if (UNLIKELY(!reply_is_empty(&in->reply)))
        forget_reply(in); /* before the arguments: it drops their numbers */
    if (count == 0) {
        push_counted_error(L, LIT("ERR Please specify at least one argument for this call"));
        return true;
    }
    if (!gather_arguments(in, L, count)) {
        push_counted_error(L, LIT("ERR Command arguments must be strings or integers"));
        return true;
    }
    in->reply.protocol = in->run->protocol;
    enum script_ran ran = script_run_command(in->run, in->argv, (size_t)count, &in->reply, &in->why);
    if (ran == SCRIPT_RAN) return push_result(in, L);
    if (ran == SCRIPT_STOPPED) stop_script(L, buf_slice(&in->why));
    push_counted_error(L, buf_slice(&in->why));
    return true;
}

/* redis.call(command, ...) */
static int api_call(lua_State *L) {
    if (run_command(interpreter_of(L), L)) return lua_error(L);
    return 1;
}

/* redis.pcall(command, ...) */
static int api_pcall(lua_State *L) {
    run_command(interpreter_of(L), L);
    return 1;
}

/* ---- replies ---- */

/* redis.error_reply(text): a leading '-' is dropped, and a single word gets a code. */
static int api_error_reply(lua_State *L) {
    if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING) {
        push_error(L, LIT("ERR wrong number or type of arguments"));
        return 1;
    }
    const char *text = lua_tostring(L, 1);
    if (*text == '-') text++;
    if (!strchr(text, ' ')) text = lua_pushfstring(L, "ERR %s", text);
    push_error(L, slice_of(text));
    return 1;
}

/* redis.status_reply(text) */
static int api_status_reply(lua_State *L) {
    if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING) {
        push_error(L, LIT("ERR wrong number or type of arguments"));
        return 1;
    }
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "ok");
    return 1;
}

/* ---- helpers ---- */

/* redis.sha1hex(text) */
static int api_sha1hex(lua_State *L) {
    char text[SHA1_HEX];
    if (lua_gettop(L) != 1) return raise_error(L, LIT("ERR wrong number of arguments"));
    size_t len = 0;
    const char *bytes = lua_tolstring(L, 1, &len);
    sha1_hex(slice_make(bytes, len), text);
    lua_pushlstring(L, text, sizeof text);
    return 1;
}

/* Cut towards zero; what is no number is 0, what does not fit is INT_MIN. */
static int int_at(lua_State *L, int index) {
    lua_Number n = lua_tonumber(L, index);
    return n > -0x1p31 && n < 0x1p31 ? (int)n : INT_MIN;
}

/* redis.log(level, text, ...) */
static int api_log(lua_State *L) {
    int count = lua_gettop(L);
    if (count < 2) return raise_error(L, LIT("ERR server.log() requires two arguments or more."));
    if (!lua_isnumber(L, 1)) return raise_error(L, LIT("ERR First argument must be a number (log level)."));
    int level = int_at(L, 1);
    if (level < LOG_LEVEL_DEBUG || level > LOG_LEVEL_WARNING)
        return raise_error(L, LIT("ERR Invalid log level."));
    if (!log_wants((enum log_level)level)) return 0;
    luaL_Buffer line;
    bool any = false;
    luaL_buffinit(L, &line);
    for (int i = 2; i <= count; i++) {
        if (!lua_isstring(L, i)) continue;
        if (any) luaL_addchar(&line, ' ');
        any = true;
        lua_pushvalue(L, i);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    log_line((enum log_level)level, "%s", lua_tostring(L, -1));
    return 0;
}

/* redis.setresp(version) */
static int api_setresp(lua_State *L) {
    if (lua_gettop(L) != 1) return raise_error(L, LIT("ERR server.setresp() requires one argument."));
    int version = int_at(L, 1);
    if (version != 2 && version != 3) return raise_error(L, LIT("ERR RESP version must be 2 or 3."));
    interpreter_of(L)->run->protocol = (uint8_t)version;
    return 0;
}

/* redis.set_repl(where) */
static int api_set_repl(lua_State *L) {
    if (lua_gettop(L) != 1) return raise_error(L, LIT("ERR server.set_repl() requires one argument."));
    int where = int_at(L, 1);
    if (where < EFFECTS_NONE || where > EFFECTS_TO_ALL)
        return raise_error(
            L, LIT("ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."));
    interpreter_of(L)->run->effects = (unsigned)where;
    return 0;
}

/* redis.replicate_commands(): scripts are always replicated by their effects. */
static int api_replicate_commands(lua_State *L) {
    lua_pushboolean(L, true);
    return 1;
}

/* Scripts may ask about a command's name alone: then its keys and channels are not there to be looked at. */
static bool may_caller_run(const struct client *c, const struct command *command, const struct slice *argv,
                           size_t argc) {
    if (!command_arity_fits(command, argc)) return permission_for_command(c->user, command, argv, argc);
    return permission_ask(c->user, command, argv, argc, c->db).denial == DENIED_NOTHING;
}

/* redis.acl_check_cmd(command, ...): may the caller run it? */
static int api_acl_check_cmd(lua_State *L) {
    struct interpreter *in = interpreter_of(L);
    int count = lua_gettop(L);
    if (count == 0) return raise_error(L, LIT("ERR Please specify at least one argument for this call"));
    if (!gather_arguments(in, L, count))
        return raise_error(L, LIT("ERR Command arguments must be strings or integers"));
    const struct command *container, *command = registry_resolve(in->argv, (size_t)count, &container);
    if (!command) return raise_error(L, LIT("ERR Invalid command passed to server.acl_check_cmd()"));
    lua_pushboolean(L, may_caller_run(in->run->caller->client, command, in->argv, (size_t)count));
    return 1;
}

/* redis.breakpoint(): there is no debugger that could stop here. */
static int api_breakpoint(lua_State *L) {
    lua_pushboolean(L, false);
    return 1;
}

/* redis.debug(...): prints to a debugger only. */
static int api_debug(lua_State *L) {
    (void)L;
    return 0;
}

/* ---- the tables ---- */

static const luaL_Reg functions[] = {
    { "call", api_call },
    { "pcall", api_pcall },
    { "error_reply", api_error_reply },
    { "status_reply", api_status_reply },
    { "sha1hex", api_sha1hex },
    { "log", api_log },
    { "setresp", api_setresp },
    { "set_repl", api_set_repl },
    { "replicate_commands", api_replicate_commands },
    { "acl_check_cmd", api_acl_check_cmd },
    { "breakpoint", api_breakpoint },
    { "debug", api_debug },
    { NULL, NULL },
};

static const struct {
    const char *name;
    int value;
} log_constants[] = { { "LOG_DEBUG", LOG_LEVEL_DEBUG },
                      { "LOG_VERBOSE", LOG_LEVEL_VERBOSE },
                      { "LOG_NOTICE", LOG_LEVEL_NOTICE },
                      { "LOG_WARNING", LOG_LEVEL_WARNING } },
  effect_constants[] = { { "REPL_NONE", EFFECTS_NONE },
                         { "REPL_AOF", EFFECTS_TO_AOF },
                         { "REPL_SLAVE", EFFECTS_TO_REPLICAS },
                         { "REPL_REPLICA", EFFECTS_TO_REPLICAS },
                         { "REPL_ALL", EFFECTS_TO_ALL } };

/* "7.2.4" as 0x00070204. */
static int version_number(const char *text) {
    int major = 0, minor = 0, patch = 0;
    int read = sscanf(text, "%d.%d.%d", &major, &minor, &patch);
    assert(read == 3);
    return major << 16 | minor << 8 | patch;
}

static void set_text(lua_State *L, const char *name, const char *text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, int n) {
    lua_pushinteger(L, n);
    lua_setfield(L, -2, name);
}

/* What is there while a library loads too. */
static void add_common(lua_State *L) {
    for (size_t i = 0; i < COUNT_OF(log_constants); i++)
        set_number(L, log_constants[i].name, log_constants[i].value);
    set_text(L, "REDIS_VERSION", TRIVET_REDIS_VERSION);
    set_number(L, "REDIS_VERSION_NUM", version_number(TRIVET_REDIS_VERSION));
    set_text(L, "SERVER_NAME", "trivet");
    set_text(L, "VALKEY_VERSION", TRIVET_VALKEY_VERSION);
    set_number(L, "VALKEY_VERSION_NUM", version_number(TRIVET_VALKEY_VERSION));
    lua_pushcfunction(L, api_log);
    lua_setfield(L, -2, "log");
}

void push_api(lua_State *L) {
    lua_newtable(L);
    add_common(L);
    for (size_t i = 0; i < COUNT_OF(effect_constants); i++)
        set_number(L, effect_constants[i].name, effect_constants[i].value);
    luaL_register(L, NULL, functions);
}

void push_load_api(lua_State *L) {
    lua_newtable(L);
    add_common(L);
    lua_pushcfunction(L, api_register_function);
    lua_setfield(L, -2, "register_function");
}
