/* parts.h: the parts of an interpreter, for the files of this room.
 *
 * All C functions that scripts can call find their interpreter by interpreter_of(). While `limited` is set
 * the memory of the interpreter is bounded, so that any allocation may end in Lua's error "not enough
 * memory", which jumps out: code that runs then must hold nothing that is not on Lua's stack. */
#ifndef SCRIPT_LUA_PARTS_H
#define SCRIPT_LUA_PARTS_H

#include "trivet/script/lua/interpreter.h"
#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

struct loading {
    register_hook *take;
    void *arg;
    int64_t deadline_ns;
    bool refused; /* by the taker: the error is its text */
};

/* Free blocks of one size, each pointing to the next. */
#define SPARE_STEP 16
#define SPARE_SIZES 16 /* up to 256 bytes */
struct spares {
    void *first;
    size_t bytes;
};

struct interpreter {
    lua_State *lua;
    enum interpreter_kind kind;
    atomic_size_t memory; /* bytes that Lua has; written by the thread that runs it */
    bool limited;
    unsigned coroutines;            /* that scripts made so far */
    size_t churned;                 /* bytes that Lua has allocated since the last look around */
    bool was_tuned;                 /* a script called collectgarbage: its settings are set back */
    unsigned runs;                  /* since the last step of the collector */
    struct script_run *run;         /* NULL: no script runs */
    struct loading *loading;        /* NULL, or a library is being loaded */
    int globals, load_globals;      /* handles: what _G shows, and what it shows while a library loads */
    int front;                      /* _G itself */
    int error_handler;              /* makes a table of every error */
    int name_of_keys, name_of_args; /* "KEYS" and "ARGV" */
    /* The arguments of the command that a script calls; kept for the next one. */
    struct slice *argv;
    size_t argv_room;
    struct buf numbers; /* numbers among them, as text */
    struct reply reply;
    struct buf flat; /* a reply in one piece */
    struct buf why;
    struct spares spares[SPARE_SIZES]; /* of SPARE_STEP bytes, twice that, ... */
    struct buf stopped_by; /* not empty: the run must end with this error, and none may be caught any more */
};

static inline struct interpreter *interpreter_of(lua_State *L) {
    void *in;
    lua_getallocf(L, &in);
    return in;
}

/* ---- memory: allocate.c ---- */

void *interpreter_allocate(void *interpreter, void *ptr, size_t old, size_t wanted);
void release_spares(struct interpreter *in); /* Lua is closed */

/* ---- tables that scripts cannot change: sandbox.c ---- */

/* Replaces the table on top of the stack by one through which it can only be read. */
void push_read_only(lua_State *L);
/* Is it such a table? Then the real one is pushed. */
bool push_behind(lua_State *L, int index);
int refuse_change(lua_State *L); /* raises "Attempt to modify a readonly table" */
/* From now on the front (a handle) shows this table (a handle). */
void show_behind(lua_State *L, int front, int real);
/* Opens the libraries, and makes what scripts see. */
void open_sandbox(struct interpreter *in, lua_State *L);
/* Makes reading an unknown field of the table on top an error. */
void refuse_unknown_fields(lua_State *L);

/* ---- what scripts call: api.c ---- */

void push_api(lua_State *L);      /* the table `redis` */
void push_load_api(lua_State *L); /* the part of it that a library sees while it loads */
int raise_error(lua_State *L, struct slice text);
/* Does what the hook does now and then: takes a turn of the worker if the script runs for long. */
void look_around_now(lua_State *L);
/* Raises an error that no script can catch. */
void stop_script(lua_State *L, struct slice text);
/* An error was caught: raises that of stop_script again, if there was one. */
void pass_on_stop(lua_State *L);
int api_register_function(lua_State *L); /* register.c */

/* ---- values: convert.c ---- */

/* Pushes the reply's value; errors become tables with a field `err`. */
void push_reply(lua_State *L, struct slice wire, uint8_t protocol);
/* Writes the value on top of the stack as a reply, and pops it. */
void write_value(lua_State *L, struct reply *out, uint8_t protocol_of_script);

/* ---- errors: errors.c ---- */

/* Pushes an error as scripts see it: { err = text }. */
void push_error(lua_State *L, struct slice text);
/* The same for an error of a command, which the statistics have counted. */
void push_counted_error(lua_State *L, struct slice text);
/* The handler of uncaught errors: adds where it happened. */
int handle_error(lua_State *L);
/* A field of errors that the statistics have counted already. */
#define COUNTED_FIELD "ignore_error_stats_update"
bool was_counted(lua_State *L); /* the error on top */
/* The reply for the error on top of the stack. */
void reply_uncaught(struct interpreter *in, const struct script_run *run, struct reply *out);

#endif
