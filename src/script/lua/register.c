/* register.c: register_function: how the code of a library names its functions while it loads.
 *
 * It comes in two forms: register_function("name", function), and one table with named fields. */
#include "parts.h"

struct flag_name {
    const char *name;
    unsigned flag;
};
static const struct flag_name flag_names[] = {
    { "no-writes", SCRIPT_NO_WRITES },     { "allow-oom", SCRIPT_ALLOW_OOM },
    { "allow-stale", SCRIPT_ALLOW_STALE }, { "no-cluster", SCRIPT_NO_CLUSTER },
    { "allow-cross-slot-keys", SCRIPT_CROSS_SLOT_KEYS },
};

unsigned script_flag_of(struct slice name) {
    for (size_t i = 0; i < COUNT_OF(flag_names); i++)
        if (slice_equal(name, slice_of(flag_names[i].name))) return flag_names[i].flag;
    return 0;
}

const char *script_flag_name(size_t position, unsigned *flag) {
    if (position >= COUNT_OF(flag_names)) return NULL;
    *flag = flag_names[position].flag;
    return flag_names[position].name;
}

/* The table's fields, by their place on the stack; 0: not given. */
struct named {
    int name, callback, description;
    unsigned flags;
};

/* The list of flags on top. */
static unsigned read_flags(lua_State *L) {
    unsigned flags = 0;
    if (!lua_istable(L, -1))
        raise_error(L, LIT("ERR flags argument to server.register_function must be a table representing "
                           "function flags"));
    for (int i = 1;; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_isnil(L, -1)) break;
        size_t len = 0;
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : "";
        unsigned flag = script_flag_of(slice_make(text, len));
        if (!flag) raise_error(L, LIT("ERR unknown flag given"));
        flags |= flag;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return flags;
}

/* The value on top, which must be what it should be; it stays where it is. */
static int keep(lua_State *L, bool fits, const char *complaint) {
    if (!fits) raise_error(L, slice_of(complaint));
    return lua_gettop(L);
}

/* One field: its key is at `key`, its value on top. */
static void read_field(lua_State *L, int key, struct named *out) {
    if (!lua_isstring(L, key))
        raise_error(L, LIT("ERR named argument key given to server.register_function is not a string"));
    struct slice name = { NULL, 0 }; /* of a number: changed to text, it would confuse lua_next */
    if (lua_type(L, key) == LUA_TSTRING) name = slice_of(lua_tostring(L, key));
    if (slice_equal(name, LIT("function_name")))
        out->name = keep(L, lua_isstring(L, -1),
                         "ERR function_name argument given to server.register_function must be a string");
    else if (slice_equal(name, LIT("description")))
        out->description =
            keep(L, lua_isstring(L, -1),
                 "ERR description argument given to server.register_function must be a string");
    else if (slice_equal(name, LIT("callback")))
        out->callback = keep(L, lua_isfunction(L, -1),
                             "ERR callback argument given to server.register_function must be a function");
    else if (slice_equal(name, LIT("flags")))
        out->flags = read_flags(L);
    else
        raise_error(L, LIT("ERR unknown argument given to server.register_function"));
}

static void read_named(lua_State *L, struct named *out) {
    if (!lua_istable(L, 1))
        raise_error(
            L, LIT("ERR calling server.register_function with a single argument is only applicable to Lua "
                   "table (representing named arguments)."));
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        int key = lua_gettop(L) - 1;
        luaL_checkstack(L, 4, "too many arguments");
        read_field(L, key, out);
        lua_pushvalue(L, key); /* goes on from it; the value stays on the stack */
    }
    if (!out->name) raise_error(L, LIT("ERR server.register_function must get a function name argument"));
    if (!out->callback) raise_error(L, LIT("ERR server.register_function must get a callback argument"));
}

static void read_positional(lua_State *L, struct named *out) {
    if (!lua_isstring(L, 1)) /* a number is one too */
        raise_error(L, LIT("ERR first argument to server.register_function must be a string"));
    if (!lua_isfunction(L, 2))
        raise_error(L, LIT("ERR second argument to server.register_function must be a function"));
    out->name = 1;
    out->callback = 2;
}

static struct slice text_of(lua_State *L, int index) {
    struct slice text = { NULL, 0 };
    if (index) text.ptr = lua_tolstring(L, index, &text.len);
    return text;
}

int api_register_function(lua_State *L) {
    struct interpreter *in = interpreter_of(L);
    struct named named = { 0 };
    int count = lua_gettop(L);
    if (!in->loading) /* the code kept it in a variable of its own */
        raise_error(L, LIT("ERR server.register_function can only be called on FUNCTION LOAD command"));
    if (count == 2)
        read_positional(L, &named);
    else if (count == 1)
        read_named(L, &named);
    else
        raise_error(L, LIT("ERR wrong number of arguments to server.register_function"));
    struct registered_function f = { .name = text_of(L, named.name),
                                     .description = text_of(L, named.description),
                                     .flags = named.flags };
    lua_pushvalue(L, named.callback);
    f.function = luaL_ref(L, LUA_REGISTRYINDEX);
    buf_clear(&in->why);
    if (in->loading->take(in->loading->arg, &f, &in->why)) return 0;
    luaL_unref(L, LUA_REGISTRYINDEX, f.function);
    in->loading->refused = true;
    return raise_error(L, buf_slice(&in->why));
}
