/* interpreter.c: the life of an interpreter, and how it runs a script; see interpreter.h.
 *
 * Lua's interface is safe outside of lua_pcall only where no allocation can fail. So the memory limit holds
 * only while a script runs (`limited`), inside lua_pcall; what this file does before and after it may use as
 * much as it needs. */
#include "parts.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/script/run/busy.h"
#include <stdlib.h>

#define INSTRUCTIONS_BETWEEN_LOOKS 100000
#define LITTLE_MEMORY (2 * 1024 * 1024)
#define RUNS_BETWEEN_STEPS 50 /* of the garbage collector, above that */
#define STEP_SIZE 50
#define LOAD_LIMIT_NS (500 * INT64_C(1000000)) /* for the code of a library */

/* ---- its garbage ---- */

/* A script may have stopped the collector or changed its pace: the next one must not suffer from it. */
static void reset_collector(struct interpreter *in) {
    lua_gc(in->lua, LUA_GCSETPAUSE, 200);
    lua_gc(in->lua, LUA_GCSETSTEPMUL, 200);
    lua_gc(in->lua, LUA_GCRESTART, 0);
    in->was_tuned = false;
}

/* Lua's own pace, which follows what scripts allocate, is enough while there is little. After a script that
 * made much garbage, small ones would take for ever to clear it away. */
static void collect(struct interpreter *in) {
    size_t now = interpreter_memory(in);
    if (UNLIKELY(in->was_tuned)) reset_collector(in);
    if (UNLIKELY(now > options.script_memory_limit / 2)) {
        lua_gc(in->lua, LUA_GCCOLLECT, 0);
    } else if (UNLIKELY(now > LITTLE_MEMORY) && ++in->runs >= RUNS_BETWEEN_STEPS) {
        lua_gc(in->lua, LUA_GCSTEP, STEP_SIZE);
        in->runs = 0;
    }
}

/* ---- its life ---- */

/* Only a mistake of ours leads here: an error outside of lua_pcall. */
static int panic(lua_State *L) {
    LOG_WARNING("The Lua interpreter raised an error outside of any script: %s", lua_tostring(L, -1));
    abort();
}

static int handle_of_name(lua_State *L, const char *name) {
    lua_pushstring(L, name);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

struct interpreter *interpreter_new(enum interpreter_kind kind) {
    struct interpreter *in = mem_alloc_zero(sizeof *in);
    in->kind = kind;
    in->lua = lua_newstate(interpreter_allocate, in);
    assert(in->lua); /* it only fails where memory does */
    lua_atpanic(in->lua, panic);
    reply_init(&in->reply, 2);
    open_sandbox(in, in->lua);
    in->name_of_keys = handle_of_name(in->lua, "KEYS");
    in->name_of_args = handle_of_name(in->lua, "ARGV");
    assert(lua_gettop(in->lua) == 0);
    return in;
}

void interpreter_free(struct interpreter *in) {
    if (!in) return;
    assert(!in->run && !in->loading);
    lua_close(in->lua);
    assert(interpreter_memory(in) == 0);
    release_spares(in);
    mem_free(in->argv);
    buf_release(&in->numbers);
    buf_release(&in->flat);
    buf_release(&in->why);
    buf_release(&in->stopped_by);
    reply_release(&in->reply);
    mem_free(in);
}

/* ---- compiling ---- */

static const char *chunk_of(const struct interpreter *in) {
    return in->kind == INTERPRETER_EVAL ? "@user_script" : "@user_function";
}

/* Leaves the function, or the message, on the stack. Compiled code is refused: it can be made to do
 * anything. */
static bool load_text(struct interpreter *in, struct slice source) {
    if (source.len > 0 && source.ptr[0] == LUA_SIGNATURE[0]) {
        lua_pushfstring(in->lua, "%s:1: unexpected symbol near 'char(27)'", chunk_of(in) + 1);
        return false;
    }
    return luaL_loadbuffer(in->lua, source.ptr, source.len, chunk_of(in)) == 0;
}

static void append_value(struct buf *out, lua_State *L, int index) {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    if (text) buf_append(out, slice_make(text, len));
}

int interpreter_compile(struct interpreter *in, struct slice source, struct buf *error) {
    lua_State *L = in->lua;
    if (load_text(in, source)) return luaL_ref(L, LUA_REGISTRYINDEX);
    append_value(error, L, -1);
    lua_settop(L, 0);
    return NO_HANDLE;
}

void interpreter_forget(struct interpreter *in, int function) {
    luaL_unref(in->lua, LUA_REGISTRYINDEX, function);
}

/* ---- running ---- */

static void look_around(lua_State *L, lua_Debug *event);

/* pcall and its like pass it on. What else catches it gets it again at each line from now on. */
void stop_script(lua_State *L, struct slice text) {
    struct interpreter *in = interpreter_of(L);
    buf_clear(&in->stopped_by);
    buf_append(&in->stopped_by, text);
    lua_sethook(L, look_around, LUA_MASKLINE, 0);
    push_error(L, text);
    lua_error(L);
}

void pass_on_stop(lua_State *L) {
    struct interpreter *in = interpreter_of(L);
    if (in->stopped_by.len > 0) raise_error(L, buf_slice(&in->stopped_by));
}

void look_around_now(lua_State *L) {
    struct interpreter *in = interpreter_of(L);
    if (in->loading) {
        if (clock_ticks_ns() > in->loading->deadline_ns) stop_script(L, LIT("ERR FUNCTION LOAD timeout"));
        return;
    }
    in->churned = 0;
    if (lua_gethookcount(L) == 1) lua_sethook(L, look_around, LUA_MASKCOUNT, INSTRUCTIONS_BETWEEN_LOOKS);
    const char *why = script_look_around(in->run);
    if (why) stop_script(L, slice_of(why));
}

static void look_around(lua_State *L, lua_Debug *event) {
    (void)event;
    look_around_now(L);
}

static void push_strings(lua_State *L, const struct slice *strings, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(L, strings[i].ptr, strings[i].len);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* In the table on top; the name is a handle. */
static void set_strings(lua_State *L, int name, const struct slice *strings, size_t count) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, name);
    push_strings(L, strings, count);
    lua_rawset(L, -3);
}

/* Scripts find them as globals, functions get them as arguments. Returns how many arguments were pushed. */
static int push_arguments(struct interpreter *in, const struct slice *keys, size_t key_count,
                          const struct slice *args, size_t arg_count) {
    lua_State *L = in->lua;
    if (in->kind == INTERPRETER_FUNCTIONS) {
        push_strings(L, keys, key_count);
        push_strings(L, args, arg_count);
        return 2;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->globals);
    set_strings(L, in->name_of_keys, keys, key_count);
    set_strings(L, in->name_of_args, args, arg_count);
    lua_pop(L, 1);
    return 0;
}

/* Calls the function below its arguments; the error handler lies below both. */
static bool call_limited(struct interpreter *in, int arguments, int results) {
    lua_State *L = in->lua;
    int handler = lua_gettop(L) - arguments - 1;
    lua_sethook(L, look_around, LUA_MASKCOUNT, INSTRUCTIONS_BETWEEN_LOOKS);
    in->limited = true;
    buf_clear(&in->stopped_by);
    int status = lua_pcall(L, arguments, results, handler);
    in->limited = false;
    lua_sethook(L, NULL, 0, 0);
    return status == 0;
}

void interpreter_run(struct interpreter *in, int function, struct script_run *run, const struct slice *keys,
                     size_t key_count, const struct slice *args, size_t arg_count) {
    lua_State *L = in->lua;
    assert(!in->run && lua_gettop(L) == 0);
    in->run = run;
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->error_handler);
    lua_rawgeti(L, LUA_REGISTRYINDEX, function);
    int arguments = push_arguments(in, keys, key_count, args, arg_count);
    if (LIKELY(call_limited(in, arguments, 1)))
        write_value(L, run->caller->out, run->protocol);
    else
        reply_uncaught(in, run, run->caller->out);
    lua_settop(L, 0);
    in->run = NULL;
    collect(in);
}

/* ---- loading a library ---- */

static void append_error(struct buf *out, lua_State *L) {
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "err");
        append_value(out, L, -1);
        lua_pop(L, 1);
    } else {
        append_value(out, L, -1);
    }
}

bool interpreter_load(struct interpreter *in, struct slice code, register_hook *take, void *arg,
                      struct buf *error) {
    lua_State *L = in->lua;
    assert(!in->loading && !in->run && lua_gettop(L) == 0);
    /* What is in a file was good once: a slow disk or machine is no reason to refuse the data. */
    int64_t limit_ns = obstacle_is_set(OBSTACLE_LOADING) ? INT64_MAX : clock_ticks_ns() + LOAD_LIMIT_NS;
    struct loading loading = { take, arg, limit_ns, false };
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->error_handler);
    bool done = load_text(in, code);
    if (!done) {
        buf_append(error, LIT("Error compiling function: "));
        append_value(error, L, -1);
    } else {
        in->loading = &loading;
        show_behind(L, in->front, in->load_globals);
        done = call_limited(in, 0, 0);
        show_behind(L, in->front, in->globals);
        in->loading = NULL;
        if (!done) {
            if (!loading.refused) buf_append(error, LIT("Error registering functions: "));
            append_error(error, L);
        }
    }
    lua_settop(L, 0);
    collect(in);
    return done;
}
