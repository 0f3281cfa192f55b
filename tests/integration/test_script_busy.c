/* test_script_busy.c: scripts that run for longer than busy-reply-threshold: what others are told, what they
 * may do, and that the script's own effects are whole. With one worker, two and four.
 *
 * A script that is to end by itself ends when a connection is closed: so the tests decide when, and no clock
 * does. The others are at least two connections for each worker. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "files.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BUSY "-BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
#define BUSY_FUNCTION \
    "-BUSY Valkey is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
#define KILLED "-ERR Script killed by user with SCRIPT KILL. script: ..."
#define UNKILLABLE                                                                                      \
    "-UNKILLABLE Sorry the script already executed write commands against the dataset. You can either " \
    "wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
#define NOT_BUSY "-NOTBUSY No scripts in execution right now."
#define SLOW "Slow script detected: still in execution after "

/* Lua, without quotes of the double kind: it computes until the number of connections changes. */
#define UNTIL_RELEASED                                                                                       \
    " local count = function() return redis.call('INFO', 'clients'):match('connected_clients:([0-9]+)') end" \
    " local before = count() repeat for i = 1, 250000 do end until count() ~= before "
#define FOR_EVER " while true do end "

#define OTHERS 8
#define THRESHOLD "10"

struct busy {
    struct server *server;
    struct client *runner, *c, *others[OTHERS];
    struct client *token; /* the script ends when it is closed */
};

static struct busy b;

static int start(void **state) {
    (void)state;
    b.server = server_start("--appendonly", "yes", "--busy-reply-threshold", THRESHOLD, NULL);
    return 0;
}

static int stop(void **state) {
    (void)state;
    server_free(b.server);
    return 0;
}

static void connect_all(void) {
    b.runner = server_connect(b.server);
    b.token = server_connect(b.server);
    for (size_t i = 0; i < OTHERS; i++) b.others[i] = server_connect(b.server);
    b.c = b.others[0];
    for (size_t i = 0; i < OTHERS; i++) assert_reply(b.others[i], "PING", "+PONG");
    assert_reply(b.token, "PING", "+PONG");
    assert_reply(b.runner, "PING", "+PONG");
}

static void close_all(void) {
    client_close(b.runner);
    client_close(b.token);
    for (size_t i = 0; i < OTHERS; i++) client_close(b.others[i]);
}

static int open_test(void **state) {
    (void)state;
    struct client *c = server_connect(b.server);
    if (strcmp(client_ask(c, "PING"), "+PONG") != 0) { /* the test before failed in the middle of a script */
        client_close(c);
        server_kill(b.server);
        server_restart(b.server);
        c = server_connect(b.server);
    }
    assert_reply_soon(c, "INFO clients", "...connected_clients:1\\r\\n...");
    assert_reply(c, "FLUSHALL", "+OK");
    assert_reply(c, "FUNCTION FLUSH", "+OK");
    assert_reply(c, "CONFIG SET busy-reply-threshold " THRESHOLD " extended-redis-compatibility no", "+OK");
    client_close(c);
    connect_all();
    return 0;
}

static int close_test(void **state) {
    (void)state;
    close_all();
    return 0;
}

static void await_busy(const char *text) { assert_reply_soon(b.c, "PING", text); }

/* The runner sends it; returns when it is busy. */
static void begin(const char *lua) {
    client_send(b.runner, "EVAL \"%s\" 0", lua);
    await_busy(BUSY);
}

/* The script that waits for it ends. */
static void release(void) {
    client_close(b.token);
    b.token = NULL;
}

static void kill_script(void) { assert_reply(b.c, "SCRIPT KILL", "+OK"); }

static void load_function(const char *lua) {
    client_send(
        b.runner,
        "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function(keys, args) %s end)\"", lua);
    assert_next(b.runner, "$\"lib\"");
}

/* ---- what others are told ---- */

static void all_clients_of_all_workers_are_told(void **state) {
    (void)state;
    begin(FOR_EVER);
    for (size_t i = 0; i < OTHERS; i++) {
        assert_reply(b.others[i], "PING", BUSY);
        assert_reply(b.others[i], "GET k", BUSY);
    }
    struct client *late = server_connect(b.server);
    assert_reply(late, "PING", BUSY);
    client_close(late);
    kill_script();
    assert_next(b.runner, KILLED);
    for (size_t i = 0; i < OTHERS; i++) assert_reply(b.others[i], "PING", "+PONG");
}

static void for_a_function_they_are_told_of_its_kill(void **state) {
    (void)state;
    load_function(FOR_EVER);
    client_send(b.runner, "FCALL f 0");
    await_busy(BUSY_FUNCTION);
    for (size_t i = 0; i < OTHERS; i++) assert_reply(b.others[i], "PING", BUSY_FUNCTION);
    assert_reply(b.c, "SCRIPT KILL", BUSY_FUNCTION);
    assert_reply(b.c, "FUNCTION KILL", "+OK");
    assert_next(b.runner, "-ERR Script killed by user with FUNCTION KILL. script: f, on @user_function:2.");
    assert_reply(b.c, "PING", "+PONG");
}

static void the_servers_name_is_a_matter_of_setting(void **state) {
    (void)state;
    assert_reply(b.c, "CONFIG SET extended-redis-compatibility yes", "+OK");
    client_send(b.runner, "EVAL \"" FOR_EVER "\" 0");
    await_busy("-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");
    kill_script();
    assert_next(b.runner, KILLED);
    load_function(FOR_EVER);
    client_send(b.runner, "FCALL f 0");
    await_busy("-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.");
    assert_reply(b.c, "FUNCTION KILL", "+OK");
    assert_next(b.runner, "-ERR Script killed by user with FUNCTION KILL. script: ...");
}

static const struct exchange refused[] = {
    { "PING", BUSY },
    { "GET k", BUSY },
    { "SET k v", BUSY },
    { "INFO", BUSY },
    { "EVAL 'return 1' 0", BUSY },
    { "FCALL f 0", BUSY },
    { "SCRIPT LOAD 'return 1'", BUSY },
    { "SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db", BUSY },
    { "SCRIPT FLUSH", BUSY },
    { "FUNCTION LIST", BUSY },
    { "FUNCTION DUMP", BUSY },
    { "FUNCTION FLUSH", BUSY },
    { "FUNCTION KILL", BUSY },
    { "FUNCTION STATS", BUSY },
    { "CONFIG SET busy-reply-threshold 0", BUSY },
    { "CLIENT ID", BUSY },
    { "SUBSCRIBE ch", BUSY },
    { "SAVE", BUSY },
    { "BGSAVE", BUSY },
    { "BGREWRITEAOF", BUSY },
    { "DEBUG SLEEP 0", BUSY },
    { "FLUSHALL", BUSY },
    { "SHUTDOWN", BUSY },
    { "SHUTDOWN SAVE", BUSY },
    { "SHUTDOWN NOW FORCE", BUSY },
    { "UNKNOWN", "-ERR unknown command 'UNKNOWN', with args beginning with: ..." },
    { "GET", "-ERR wrong number of arguments for 'get' command" },
    { NULL, NULL },
};

static const struct exchange allowed[] = {
    { "AUTH default any", "+OK" },
    { "AUTH default", "-ERR AUTH <password> called without any password configured for the default user. "
                      "Are you sure your configuration is correct?" },
    { "HELLO 3", "%{...}" },
    { "PING", BUSY },
    { "HELLO 2 SETNAME me", "*[...]" },
    { "WATCH k", "+OK" },
    { "UNWATCH", "+OK" },
    { "MULTI", "+OK" },
    { "WATCH k", "-ERR Command 'watch' not allowed inside a transaction" },
    { "DISCARD", "+OK" },
    { "DISCARD", "-ERR DISCARD without MULTI" },
    { "RESET", "+RESET" },
    { NULL, NULL },
};

static void most_commands_are_refused_and_a_few_are_not(void **state) {
    (void)state;
    begin(FOR_EVER);
    for (size_t i = 0; i < 5; i++) {
        assert_exchanges(b.others[i], refused);
        assert_exchanges(b.others[i], allowed);
    }
    assert_reply(b.others[7], "QUIT", "+OK");
    assert_ended(b.others[7]);
    kill_script();
    assert_next(b.runner, KILLED);
    assert_reply(b.c, "EXISTS k", ":0");
}

static void a_transaction_is_not_begun_nor_executed(void **state) {
    (void)state;
    static const struct exchange before[] = {
        { "MULTI", "+OK" }, { "SET queued v", "+QUEUED" }, { NULL, NULL }
    };
    static const struct exchange meanwhile[] = {
        { "SET other v", BUSY },
        { "EXEC", "-EXECABORT Transaction discarded because of: BUSY Valkey is busy running a script. You "
                  "can only call SCRIPT KILL or SHUTDOWN NOSAVE." },
        { "EXEC", "-EXECABORT ..." },
        { NULL, NULL },
    };
    assert_exchanges(b.others[1], before);
    assert_exchanges(b.others[2], before);
    assert_exchanges(b.others[3], before);
    begin(FOR_EVER);
    assert_exchanges(b.others[1], meanwhile);
    assert_reply(b.others[2], "SET other v", BUSY);
    assert_reply(b.others[4], "MULTI", "+OK");
    kill_script();
    assert_next(b.runner, KILLED);
    assert_reply(b.others[1], "EXEC", "-ERR EXEC without MULTI");
    assert_reply(b.others[2], "EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    assert_reply(b.others[3], "EXEC", "*[+OK]");
    assert_reply(b.others[4], "SET k v", "+QUEUED");
    assert_reply(b.others[4], "EXEC", "*[+OK]");
    assert_reply(b.c, "EXISTS queued other k", ":2");
}

/* ---- to kill it ---- */

static void nothing_is_there_to_be_killed_when_no_script_is_busy(void **state) {
    (void)state;
    assert_reply(b.c, "SCRIPT KILL", NOT_BUSY);
    assert_reply(b.c, "FUNCTION KILL", NOT_BUSY);
    begin(FOR_EVER);
    kill_script();
    assert_next(b.runner, KILLED);
    assert_reply(b.c, "SCRIPT KILL", NOT_BUSY);
    assert_reply(b.runner, "EVAL 'return redis.pcall(\"SCRIPT\", \"KILL\")' 0",
                 "-ERR This Redis command is not allowed from script...");
}

/* Whatever it does, it ends, and the next script runs as if nothing had been. */
static void a_script_cannot_withstand_its_kill(void **state) {
    (void)state;
    static const char *const scripts[] = {
        FOR_EVER,
        "local i = 0 while true do i = i + 1 redis.call('GET', 'k') end",
        "while true do redis.pcall('GET', 'k') end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(redis.call, 'GET', 'k') end",
        "local function f() pcall(f) while true do end end while true do pcall(f) end",
        "while true do pcall(pcall, pcall, function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function(e) return e end) end",
        "while true do xpcall(function() while true do end end, function(e) while true do end end) end",
        "coroutine.wrap(function() while true do end end)()",
        "while true do string.rep('x', 1e7) end",
        "while true do coroutine.wrap(function() for i = 1, 9e4 do end end)() end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "coroutine.wrap(function() while true do "
        "coroutine.resume(coroutine.create(function() while true do end end)) end end)()",
        "local co = coroutine.wrap(function() while true do pcall(coroutine.wrap(function() "
        "while true do end end)) end end) while true do pcall(co) end",
        "while true do pcall(coroutine.wrap(function() pcall(function() while true do end end) "
        "while true do coroutine.yield() end end)) end",
        "local co = coroutine.wrap(function() while true do coroutine.yield(redis.call('PING')) end end) "
        "while true do co() end",
        "local t = setmetatable({}, {__index = function() while true do end end}) "
        "while true do pcall(function() return t.x end) end",
        "local t = {} for i = 1, 100 do t[i] = i end "
        "while true do pcall(table.sort, t, function(a, b) for i = 1, 1000 do end return a > b end) end",
        "while true do (('x'):rep(1000)):gsub('x', function() for i = 1, 1000 do end end) end",
        "while true do pcall(loadstring('while true do end')) end",
        "while true do pcall(load(function() while true do end end)) end",
        "collectgarbage('stop') while true do pcall(error, {err = 'x'}) end",
        "while true do pcall(string.rep, 'x', -1) pcall(cjson.decode, '[') end",
    };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        begin(scripts[i]);
        assert_reply(b.others[i % OTHERS], "SCRIPT KILL", "+OK");
        assert_next(b.runner, KILLED);
        assert_reply(b.c,
                     "EVAL 'local ok, e = pcall(function() for i = 1, 300000 do end return 7 end) "
                     "return {tostring(ok), e}' 0",
                     "*[$\"true\", :7]");
    }
}

static void inside_a_transaction_only_the_script_ends(void **state) {
    (void)state;
    assert_reply(b.runner, "MULTI", "+OK");
    assert_reply(b.runner, "SET before 1", "+QUEUED");
    assert_reply(b.runner, "EVAL '" FOR_EVER "' 0", "+QUEUED");
    assert_reply(b.runner, "SET after 1", "+QUEUED");
    client_send(b.runner, "EXEC");
    await_busy(BUSY);
    kill_script();
    assert_next(b.runner, "*[+OK, " KILLED ", +OK]");
    assert_reply(b.c, "MGET before after", "*[$\"1\", $\"1\"]");
}

static void a_script_that_has_written_is_not_killed(void **state) {
    (void)state;
    begin("redis.call('SET', 'k', '1') " UNTIL_RELEASED " return 'done'");
    assert_reply(b.c, "SCRIPT KILL", UNKILLABLE);
    assert_reply(b.c, "FUNCTION KILL", BUSY);
    release();
    assert_next(b.runner, "$\"done\"");
    assert_reply(b.c, "GET k", "$\"1\"");
    load_function("redis.call('SET', 'k', '2') " UNTIL_RELEASED " return 'done'");
    b.token = server_connect(b.server);
    assert_reply(b.token, "PING", "+PONG");
    client_send(b.runner, "FCALL f 0");
    await_busy(BUSY_FUNCTION);
    assert_reply(b.c, "FUNCTION KILL", UNKILLABLE);
    assert_reply(b.c, "SCRIPT KILL", BUSY_FUNCTION);
    release();
    assert_next(b.runner, "$\"done\"");
    assert_reply(b.c, "GET k", "$\"2\"");
}

static void stats_tell_which_function_runs(void **state) {
    (void)state;
    assert_reply(b.c, "FUNCTION STATS",
                 "*[$\"running_script\", $-1, $\"engines\", *[$\"LUA\", *[$\"libraries_count\", :0, "
                 "$\"functions_count\", :0]]]");
    load_function(FOR_EVER);
    client_send(b.runner, "FCALL F 1 k 'an argument'");
    await_busy(BUSY_FUNCTION);
    for (size_t i = 0; i < OTHERS; i++)
        assert_reply(
            b.others[i], "FUNCTION STATS",
            "*[$\"running_script\", *[$\"name\", $\"f\", $\"command\", *[$\"FCALL\", $\"F\", $\"1\", "
            "$\"k\", $\"an argument\"], $\"duration_ms\", :...], $\"engines\", *[$\"LUA\", "
            "*[$\"libraries_count\", :1, $\"functions_count\", :1]]]");
    assert_reply(b.c, "FUNCTION KILL", "+OK");
    assert_next(b.runner, "-ERR Script killed by user with FUNCTION KILL. ...");
    assert_reply(b.c, "FUNCTION STATS", "*[$\"running_script\", $-1, ...");
}

/* ---- a script that ends by itself ---- */

static void effects_and_reply_are_whole(void **state) {
    (void)state;
    begin("redis.call('SET', KEYS and 'a' or 'b', '1') " UNTIL_RELEASED
          " redis.call('RPUSH', 'l', 'x', 'y') return {redis.call('GET', 'a'), 7, 'text'}");
    for (size_t i = 0; i < OTHERS; i++) assert_reply(b.others[i], "GET a", BUSY);
    release();
    assert_next(b.runner, "*[$\"1\", :7, $\"text\"]");
    for (size_t i = 0; i < OTHERS; i++) assert_reply(b.others[i], "GET a", "$\"1\"");
    assert_reply(b.c, "LRANGE l 0 -1", "*[$\"x\", $\"y\"]");
}

static void what_was_pipelined_behind_it_follows_in_order(void **state) {
    (void)state;
    client_queue(b.runner, "SET n 1");
    client_queue(b.runner,
                 "EVAL \"redis.call('INCR', 'n') " UNTIL_RELEASED " return redis.call('INCR', 'n')\" 0");
    client_queue(b.runner, "INCR n");
    client_queue(b.runner, "ECHO last");
    client_flush(b.runner);
    await_busy(BUSY);
    client_send(b.runner, "INCR n"); /* arrives while it is busy */
    for (size_t i = 0; i < OTHERS; i++) assert_reply(b.others[i], "PING", BUSY);
    release();
    assert_next(b.runner, "+OK");
    assert_next(b.runner, ":3");
    assert_next(b.runner, ":4");
    assert_next(b.runner, "$\"last\"");
    assert_next(b.runner, ":5");
}

static void clients_that_waited_are_served_at_its_end(void **state) {
    (void)state;
    send_and_wait(b.c, b.others[1], "BLPOP l 0");
    send_and_wait(b.c, b.others[2], "BLPOP l m 0");
    send_and_wait(b.c, b.others[3], "BLMOVE l m LEFT RIGHT 0");
    begin("redis.call('RPUSH', 'l', 'x', 'y') " UNTIL_RELEASED
          " redis.call('RPUSH', 'l', 'z') return 'done'");
    for (size_t i = 1; i <= 3; i++) assert_false(client_has_reply(b.others[i]));
    release();
    assert_next(b.runner, "$\"done\"");
    assert_next(b.others[1], "*[$\"l\", $\"x\"]");
    assert_next(b.others[2], "*[$\"l\", $\"y\"]");
    assert_next(b.others[3], "$\"z\"");
    assert_reply(b.c, "LRANGE m 0 -1", "*[$\"z\"]");
}

static void inside_a_transaction_all_is_one_piece(void **state) {
    (void)state;
    send_and_wait(b.c, b.others[1], "BLPOP l 0");
    assert_reply(b.others[2], "WATCH k", "+OK");
    assert_reply(b.runner, "MULTI", "+OK");
    assert_reply(b.runner, "RPUSH l x", "+QUEUED");
    assert_reply(b.runner, "EVAL \"redis.call('SET', 'k', '1') " UNTIL_RELEASED " return 'done'\" 0",
                 "+QUEUED");
    assert_reply(b.runner, "LPOP l", "+QUEUED");
    client_send(b.runner, "EXEC");
    await_busy(BUSY);
    release();
    assert_next(b.runner, "*[:1, $\"done\", $\"x\"]");
    assert_reply(b.others[2], "MULTI", "+OK");
    assert_reply(b.others[2], "GET k", "+QUEUED");
    assert_reply(b.others[2], "EXEC", "*-1");
    assert_false(client_has_reply(b.others[1]));
    assert_reply(b.c, "RPUSH l y", ":1");
    assert_next(b.others[1], "*[$\"l\", $\"y\"]");
}

static void its_client_may_go_meanwhile(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        begin("redis.call('INCR', 'n') " UNTIL_RELEASED " redis.call('INCR', 'm') return ('x'):rep(100000)");
        if (how == 0) client_abandon(b.runner);
        if (how == 1) client_close(b.runner);
        if (how < 2) b.runner = NULL;
        assert_reply(b.c, "PING", "...");
        release();
        assert_reply_soon(b.c, "PING", "+PONG");
        if (how == 2) {
            assert_next(b.runner, "...");
            break;
        }
        assert_reply_soon(b.c, "INFO clients", "...connected_clients:8\\r\\n...");
        b.runner = server_connect(b.server);
        b.token = server_connect(b.server);
        assert_reply(b.token, "PING", "+PONG");
    }
    assert_reply(b.c, "MGET n m", "*[$\"3\", $\"3\"]");
}

/* CLIENT KILL comes before it is busy: it waits for the gate, or is refused later. */
static void a_client_that_is_killed_ends_after_its_script(void **state) {
    (void)state;
    int64_t id = client_ask_int(b.runner, "CLIENT ID");
    begin("redis.call('INCR', 'n') " UNTIL_RELEASED " return 1");
    client_queue(b.c, "CLIENT KILL ID %lld", (long long)id);
    client_flush(b.c);
    assert_next(b.c, BUSY);
    release();
    assert_next(b.runner, ":1");
    client_send(b.c, "CLIENT KILL ID %lld", (long long)id);
    assert_next(b.c, ":1");
    assert_ended(b.runner);
    assert_reply(b.c, "GET n", "$\"1\"");
}

/* ---- time ---- */

static void other_clients_waits_end_in_time(void **state) {
    (void)state;
    for (size_t i = 1; i < 5; i++) send_and_wait(b.c, b.others[i], "BLPOP nothing 0.2");
    send_and_wait(b.c, b.others[5], "WAIT 1 200");
    begin(FOR_EVER);
    for (size_t i = 1; i < 5; i++) assert_next(b.others[i], "*-1");
    assert_next(b.others[5], ":0");
    kill_script();
    assert_next(b.runner, KILLED);
}

static void keys_do_not_expire_in_the_middle(void **state) {
    (void)state;
    assert_reply(b.c, "SET gone v PX 150", "+OK");
    assert_reply(b.c, "HSET h f v", ":1");
    assert_reply(b.c, "HPEXPIRE h 150 FIELDS 1 f", "*[:1]");
    send_and_wait(b.c, b.others[1], "BLPOP nothing 0.4");
    begin(
        "local function look() return {redis.call('GET', 'gone'), redis.call('HGET', 'h', 'f'), "
        "redis.call('TIME')} end local first = look()" UNTIL_RELEASED
        "local last = look() return {tostring(cjson.encode(first) == cjson.encode(last)), last[1], last[2]}");
    assert_next(b.others[1], "*-1"); /* now their time is over */
    release();
    assert_next(b.runner, "*[$\"true\", $\"v\", $\"v\"]");
    assert_reply(b.c, "GET gone", "$-1");
    assert_reply(b.c, "HGET h f", "$-1");
}

static void the_append_only_file_is_synced_meanwhile(void **state) {
    (void)state;
    assert_reply(b.c, "CONFIG SET appendfsync everysec", "+OK");
    assert_reply(b.c, "SET before v", "+OK");
    begin("redis.call('SET', 'k', 'v') " UNTIL_RELEASED);
    release();
    assert_next(b.runner, "$-1");
    assert_reply(b.c, "GET k", "$\"v\"");
    assert_reply_soon(b.c, "INFO persistence", "...aof_pending_bio_fsync:0...");
    assert_int_equal(info_number(b.c, "persistence", "aof_buffer_length"), 0);
    assert_string_equal(info_field(b.c, "persistence", "aof_last_write_status"), "ok");
}

/* A snapshot that is under way goes on; what the script changes is saved as it was. */
static void a_snapshot_goes_on_meanwhile(void **state) {
    (void)state;
    assert_reply(b.c, "DEBUG POPULATE 2000 key 50", "+OK");
    assert_reply(b.c, "SET k before", "+OK");
    assert_reply(b.c, "CONFIG SET rdb-key-save-delay 100", "+OK");
    assert_reply(b.c, "BGSAVE", "+Background saving started");
    begin("redis.call('SET', 'k', 'after') for i = 0, 1999, 7 do redis.call('DEL', 'key:' .. i) "
          "end" UNTIL_RELEASED);
    release();
    assert_next(b.runner, "$-1");
    assert_reply(b.c, "CONFIG SET rdb-key-save-delay 0", "+OK");
    assert_reply_soon(b.c, "INFO persistence", "...rdb_bgsave_in_progress:0...rdb_last_bgsave_status:ok...");
    const char *args[] = { "--dir", server_folder(b.server), NULL };
    struct server *loaded = server_launch(&(struct server_plan){ .args = args });
    struct client *c = server_connect(loaded);
    assert_reply(c, "GET k", "$\"before\"");
    assert_reply(c, "DBSIZE", ":2001");
    client_close(c);
    server_free(loaded);
}

/* ---- settings and the log ---- */

static void a_threshold_of_0_means_never(void **state) {
    (void)state;
    assert_reply(b.c, "CONFIG SET lua-time-limit 0", "+OK");
    assert_reply(b.c, "CONFIG GET busy-reply-threshold", "*[$\"busy-reply-threshold\", $\"0\"]");
    assert_reply(b.c, "CONFIG GET lua-time-limit", "*[$\"lua-time-limit\", $\"0\"]");
    client_send(b.runner, "EVAL \"local t = os.clock() while os.clock() - t < 0.2 do end return 1\" 0");
    for (size_t i = 0; i < OTHERS; i++) client_queue(b.others[i], "PING");
    for (size_t i = 0; i < OTHERS; i++) client_flush(b.others[i]);
    for (size_t i = 0; i < OTHERS; i++) assert_next(b.others[i], "+PONG");
    assert_next(b.runner, ":1");
    assert_reply(b.c, "CONFIG SET lua-time-limit 10", "+OK");
    assert_reply(b.c, "CONFIG GET busy-reply-threshold", "*[$\"busy-reply-threshold\", $\"10\"]");
    begin(FOR_EVER);
    kill_script();
    assert_next(b.runner, KILLED);
}

static size_t times(const char *text, const char *needle) {
    size_t count = 0;
    for (; (text = strstr(text, needle)); text++) count++;
    return count;
}

static void a_slow_script_is_logged_once(void **state) {
    (void)state;
    size_t before = times(server_log(b.server), SLOW);
    assert_reply(b.runner, "SCRIPT LOAD 'while true do end'",
                 "$\"694a5fe1ddb97a4c6a1bf299d9537c7d3d0f84e7\"");
    client_send(b.runner, "EVALSHA 694A5FE1DDB97A4C6A1BF299D9537C7D3D0F84E7 0");
    await_busy(BUSY);
    for (size_t i = 0; i < OTHERS; i++) assert_reply(b.others[i], "PING", BUSY);
    kill_script();
    assert_next(b.runner, KILLED);
    assert_int_equal(times(server_log(b.server), SLOW), before + 1);
    server_await_log(b.server,
                     " milliseconds. You can try killing the script using the SCRIPT KILL command. Script "
                     "name is: 694a5fe1ddb97a4c6a1bf299d9537c7d3d0f84e7.",
                     1);
}

/* ---- the end of the server ---- */

static void restart(void) {
    close_all();
    server_await_end(b.server);
    server_restart(b.server);
    connect_all();
}

/* The file that the server wrote last. */
static void read_last_increment(struct text *out) {
    char name[64] = "", path[128];
    file_read(server_path(b.server, "appendonlydir/appendonly.aof.manifest"), out);
    for (const char *line = text_str(out); line; line = strstr(line + 1, "file "))
        if (sscanf(line, "file %60s", name) != 1) fail();
    snprintf(path, sizeof path, "appendonlydir/%s", name);
    file_read(server_path(b.server, path), out);
}

static void assert_file_lacks(const char *needle) {
    struct text bytes = { 0 };
    read_last_increment(&bytes);
    assert_non_null(memmem(bytes.ptr, bytes.len, "kept", 4)); /* there are zeros in it */
    assert_null(memmem(bytes.ptr, bytes.len, needle, strlen(needle)));
    text_release(&bytes);
}

static void shutdown_nosave_leaves_nothing_of_the_script(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) { /* on the worker of the runner, or another */
        assert_reply(b.c, "SET kept v", "+OK");
        begin("for i = 1, 1000 do redis.call('RPUSH', 'half-written', i) end " FOR_EVER);
        assert_reply(b.c, "SCRIPT KILL", UNKILLABLE);
        client_send(b.others[i], "SHUTDOWN NOSAVE");
        assert_ended(b.others[i]);
        restart();
        assert_reply(b.c, "KEYS *", "*[$\"kept\"]");
        assert_file_lacks("half-written");
    }
}

static void not_even_of_its_transaction(void **state) {
    (void)state;
    assert_reply(b.c, "SET kept v", "+OK");
    client_queue(b.runner, "MULTI");
    client_queue(b.runner, "SET half-written v");
    client_queue(b.runner, "EVAL \"redis.call('SET', 'half-written2', 'v') " FOR_EVER "\" 0");
    client_queue(b.runner, "SET half-written3 v");
    client_queue(b.runner, "EXEC");
    client_flush(b.runner);
    await_busy(BUSY);
    client_send(b.c, "SHUTDOWN NOSAVE");
    assert_ended(b.c);
    restart();
    assert_reply(b.c, "KEYS *", "*[$\"kept\"]");
    assert_file_lacks("half-written");
}

/* Even if the script calls commands, and catches every error. */
static void a_script_that_goes_on_calling_ends_too(void **state) {
    (void)state;
    assert_reply(b.c, "SET kept v", "+OK");
    begin("while true do pcall(redis.call, 'RPUSH', 'half-written', 'x') end");
    client_send(b.c, "SHUTDOWN NOSAVE");
    assert_ended(b.c);
    restart();
    assert_reply(b.c, "KEYS *", "*[$\"kept\"]");
    assert_file_lacks("half-written");
}

/* Nobody may save in the middle: the signal waits. */
static void a_signal_waits_for_the_end_of_the_script(void **state) {
    (void)state;
    begin("redis.call('SET', 'first', 'v') " UNTIL_RELEASED " redis.call('SET', 'second', 'v')");
    if (kill(server_pid(b.server), SIGTERM) != 0) fail();
    server_await_log(b.server, "Received SIGTERM scheduling shutdown...", 1);
    assert_reply(b.c, "PING", BUSY);
    release();
    restart();
    assert_reply(b.c, "MGET first second", "*[$\"v\", $\"v\"]");
}

#define BUSY_TEST(name) cmocka_unit_test_setup_teardown(name, open_test, close_test)

int main(void) {
    static const char *const workers[] = { "1", "2", "4" };
    const struct CMUnitTest tests[] = {
        BUSY_TEST(all_clients_of_all_workers_are_told),
        BUSY_TEST(for_a_function_they_are_told_of_its_kill),
        BUSY_TEST(the_servers_name_is_a_matter_of_setting),
        BUSY_TEST(most_commands_are_refused_and_a_few_are_not),
        BUSY_TEST(a_transaction_is_not_begun_nor_executed),
        BUSY_TEST(nothing_is_there_to_be_killed_when_no_script_is_busy),
        BUSY_TEST(a_script_cannot_withstand_its_kill),
        BUSY_TEST(inside_a_transaction_only_the_script_ends),
        BUSY_TEST(a_script_that_has_written_is_not_killed),
        BUSY_TEST(stats_tell_which_function_runs),
        BUSY_TEST(effects_and_reply_are_whole),
        BUSY_TEST(what_was_pipelined_behind_it_follows_in_order),
        BUSY_TEST(clients_that_waited_are_served_at_its_end),
        BUSY_TEST(inside_a_transaction_all_is_one_piece),
        BUSY_TEST(its_client_may_go_meanwhile),
        BUSY_TEST(a_client_that_is_killed_ends_after_its_script),
        BUSY_TEST(other_clients_waits_end_in_time),
        BUSY_TEST(keys_do_not_expire_in_the_middle),
        BUSY_TEST(the_append_only_file_is_synced_meanwhile),
        BUSY_TEST(a_snapshot_goes_on_meanwhile),
        BUSY_TEST(a_threshold_of_0_means_never),
        BUSY_TEST(a_slow_script_is_logged_once),
        BUSY_TEST(shutdown_nosave_leaves_nothing_of_the_script),
        BUSY_TEST(not_even_of_its_transaction),
        BUSY_TEST(a_script_that_goes_on_calling_ends_too),
        BUSY_TEST(a_signal_waits_for_the_end_of_the_script),
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT_OF(workers); i++) {
        setenv("TRIVET_IO_THREADS", workers[i], 1);
        failed += cmocka_run_group_tests_name(workers[i], tests, start, stop);
    }
    return failed;
}
