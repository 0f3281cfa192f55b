/* test_script.c: EVAL, EVALSHA and SCRIPT over the wire: the cache, the first line, what a script may do, and
 * what all others see of it. */
#include "../harness/fixture.h"
#include "../harness/scripts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- calling, and the cache ---- */

static void arguments_are_checked(void **state) {
    static const struct exchange rows[] = {
        { "EVAL", "-ERR wrong number of arguments for 'eval' command" },
        { "EVAL \"return 1\"", "-ERR wrong number of arguments for 'eval' command" },
        { "EVAL_RO x", "-ERR wrong number of arguments for 'eval_ro' command" },
        { "EVALSHA x", "-ERR wrong number of arguments for 'evalsha' command" },
        { "EVALSHA_RO x", "-ERR wrong number of arguments for 'evalsha_ro' command" },
        { "EVAL return a", "-ERR value is not an integer or out of range" },
        { "EVAL return 1.5", "-ERR value is not an integer or out of range" },
        { "EVAL return -1", "-ERR Number of keys can't be negative" },
        { "EVAL return 2 a", "-ERR Number of keys can't be greater than number of args" },
        { "EVAL \"bad bad\" 2 a", "-ERR Number of keys can't be greater than number of args" },
        { "EVALSHA x a", "-NOSCRIPT No matching script." },
        { "EVALSHA x 0", "-NOSCRIPT No matching script." },
        { "EVALSHA 0000000000000000000000000000000000000000 0", "-NOSCRIPT No matching script." },
        { "EVALSHA_RO ffffffffffffffffffffffffffffffffffffffff 0", "-NOSCRIPT No matching script." },
        { "SCRIPT", "-ERR wrong number of arguments for 'script' command" },
        { "SCRIPT FOO", "-ERR unknown subcommand 'FOO'. Try SCRIPT HELP." },
        { "SCRIPT LOAD", "-ERR wrong number of arguments for 'script|load' command" },
        { "SCRIPT EXISTS", "-ERR wrong number of arguments for 'script|exists' command" },
        { "SCRIPT FLUSH FOO", "-ERR SCRIPT FLUSH only support SYNC|ASYNC option" },
        { "SCRIPT FLUSH SYNC x", "-ERR SCRIPT FLUSH only support SYNC|ASYNC option" },
        { "SCRIPT SHOW x", "-NOSCRIPT No matching script." },
        { "SCRIPT KILL", "-NOTBUSY No scripts in execution right now." },
        { "SCRIPT DEBUG FOO", "-ERR Use SCRIPT DEBUG YES/SYNC/NO" },
        { "SCRIPT DEBUG NO", "+OK" },
        { "SCRIPT DEBUG YES", "-ERR There is no script debugger in this server..." },
        { "SCRIPT DEBUG sync", "-ERR There is no script debugger in this server..." },
        { "SCRIPT HELP", "*[+SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, +DEBUG ..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

#define COMPILING "-ERR Error compiling script (new function): user_script:"

static void what_is_no_lua_is_refused(void **state) {
    static const struct script_row rows[] = {
        { "foo bar", COMPILING "1: '=' expected near 'bar'" },
        { "return (", COMPILING "1: unexpected symbol near '<eof>'" },
        { "\n\nreturn return", COMPILING "3: unexpected symbol near 'return'" },
        { "#!lua\nreturn (", COMPILING "2: unexpected symbol near '<eof>'" },
        { "return 'open", COMPILING "1: unfinished string near '<eof>'" },
        { "", "$-1" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_evals(c, rows);
    for (const struct script_row *row = rows; row->reply[0] == '-'; row++) {
        assert_script(c, "SCRIPT LOAD", row->script, "", row->reply);
        assert_script(c, "EVAL_RO", row->script, "0", row->reply);
    }
}

static void keys_and_arguments_are_tables_of_the_run(void **state) {
    static const struct script_row rows[] = {
        { "return {KEYS[1],KEYS[2],ARGV[1],ARGV[2],#KEYS,#ARGV,KEYS[3]}",
          "*[$\"k1\", $\"k2\", $\"a1\", $\"a2\", :2, :2]" },
        { "KEYS[1]='x' ARGV[7]='y' table.insert(KEYS,'z') return {KEYS[1],KEYS[3],ARGV[7]}",
          "*[$\"x\", $\"z\", $\"y\"]" },
        { "return KEYS[1]", "$\"k1\"" },
        { "KEYS={}", "-ERR user_script:1: Attempt to modify a readonly table" AT(1) },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_evals(c, rows);
    assert_script(c, "EVAL", "return {#KEYS,#ARGV}", "0", "*[:0, :0]");
    assert_script(c, "EVAL", "return {ARGV[1],ARGV[2]}", "0 \"a\\x00b\" \"\"", "*[$\"a\\x00b\", $\"\"]");
}

#define NO_SUCH "0000000000000000000000000000000000000000"
#define SHA_OF_1 "e0e1f9fabfc9d4800c877a703b823ac0578ff8db" /* "return 1" */

static void scripts_are_found_by_their_sha1(void **state) {
    static const struct exchange rows[] = {
        { "SCRIPT FLUSH", "+OK" },
        { "SCRIPT EXISTS " SHA_OF_1, "*[:0]" },
        { "SCRIPT LOAD \"return 1\"", "$\"" SHA_OF_1 "\"" },
        { "SCRIPT LOAD \"return 1\"", "$\"" SHA_OF_1 "\"" },
        { "SCRIPT EXISTS " SHA_OF_1 " " NO_SUCH " x " SHA_OF_1, "*[:1, :0, :0, :1]" },
        { "EVALSHA " SHA_OF_1 " 0", ":1" },
        { "EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0", ":1" },
        { "EVALSHA_RO " SHA_OF_1 " 0", ":1" },
        { "SCRIPT EXISTS E0E1f9fabfc9d4800c877a703b823ac0578ff8db", "*[:1]" },
        { "SCRIPT SHOW " SHA_OF_1, "$\"return 1\"" },
        { "FLUSHALL", "+OK" },
        { "EVALSHA " SHA_OF_1 " 0", ":1" },
        { "SCRIPT FLUSH SYNC", "+OK" },
        { "EVALSHA " SHA_OF_1 " 0", "-NOSCRIPT No matching script." },
        { "EVAL \"return 1\" 0", ":1" },
        { "EVALSHA " SHA_OF_1 " 0", ":1" },
        { "SCRIPT FLUSH ASYNC", "+OK" },
        { "SCRIPT EXISTS " SHA_OF_1, "*[:0]" },
        { "SCRIPT SHOW " SHA_OF_1, "-NOSCRIPT No matching script." },
        { "EVAL_RO \"return 1\" 0", ":1" },
        { "SCRIPT EXISTS " SHA_OF_1, "*[:1]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static bool is_cached(struct client *c, const char *script) {
    char command[80];
    snprintf(command, sizeof command, "SCRIPT EXISTS %s", script_sha(script));
    return strcmp(client_ask(c, "%s", command), "*[:1]") == 0;
}

static void of_scripts_that_came_by_eval_the_500_used_last_stay(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SCRIPT FLUSH", "+OK");
    int64_t evicted = info_number(c, "stats", "evicted_scripts");
    assert_reply(c, "SCRIPT LOAD \"return 'stays'\"", "$\"...\"");
    assert_reply(c, "EVAL \"return 'made to stay'\" 0", "$\"made to stay\"");
    assert_reply(c, "SCRIPT LOAD \"return 'made to stay'\"", "$\"...\"");
    for (int i = 0; i < 500; i++) {
        client_queue(c, "EVAL \"return %d\" 0", i);
        client_flush(c);
    }
    client_skip(c, 500);
    assert_int_equal(info_number(c, "memory", "number_of_cached_scripts"), 502);
    assert_int_equal(info_number(c, "stats", "evicted_scripts"), evicted);
    assert_reply(c, "EVAL \"return 0\" 0", ":0"); /* used again: the oldest is 1 now, then 2 */
    client_ask(c, "EVALSHA %s 0", script_sha("return 1"));
    assert_reply(c, "EVAL \"return 'new'\" 0", "$\"new\"");
    assert_true(is_cached(c, "return 0"));
    assert_true(is_cached(c, "return 1"));
    assert_false(is_cached(c, "return 2"));
    assert_true(is_cached(c, "return 3"));
    assert_true(is_cached(c, "return 'stays'"));
    assert_true(is_cached(c, "return 'made to stay'"));
    assert_int_equal(info_number(c, "memory", "number_of_cached_scripts"), 502);
    assert_int_equal(info_number(c, "stats", "evicted_scripts"), evicted + 1);
    assert_reply(c, "SCRIPT FLUSH SYNC", "+OK");
    assert_int_equal(info_number(c, "memory", "number_of_cached_scripts"), 0);
}

static void info_tells_of_the_memory_of_scripts(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SCRIPT FLUSH", "+OK");
    int64_t before = info_number(c, "memory", "used_memory_scripts_eval");
    assert_eval(c, "local t={} for i=1,10000 do t[i]={} end return #t", ":10000");
    assert_true(info_number(c, "memory", "used_memory_scripts_eval") > before);
    assert_true(info_number(c, "memory", "used_memory_lua") > 10000);
    assert_int_equal(info_number(c, "memory", "used_memory_lua"),
                     info_number(c, "memory", "used_memory_vm_eval"));
    assert_true(info_number(c, "memory", "used_memory_vm_functions") > 0);
    assert_int_equal(info_number(c, "memory", "used_memory_vm_total"),
                     info_number(c, "memory", "used_memory_vm_eval") +
                         info_number(c, "memory", "used_memory_vm_functions"));
    assert_string_equal(info_field(c, "memory", "number_of_functions"), "0");
    assert_string_equal(info_field(c, "memory", "number_of_libraries"), "0");
    assert_string_not_equal(info_field(c, "memory", "used_memory_functions"), "");
    assert_true(info_number(c, "memory", "used_memory_scripts") > 0);
}

/* ---- the first line ---- */

#define REFUSED_WRITE "-ERR Write commands are not allowed from read-only scripts."

static void the_first_line_may_name_flags(void **state) {
    static const struct script_row rows[] = {
        { "#!lua\nreturn 1", ":1" },
        { "#!lua \nreturn 1", ":1" },
        { "#!lua flags=\nreturn 1", ":1" },
        { "#!lua flags=no-writes\nreturn 1", ":1" },
        { "#!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nreturn 1", ":1" },
        { "#!lua flags=no-writes flags=allow-oom\nreturn 1", ":1" },
        { "#!lua\n\nerror('x')", "-ERR user_script:3: x" AT(3) },
        { "#!lua", "-ERR Invalid script shebang" },
        { "#!", "-ERR Invalid script shebang" },
        { "#!foo\nreturn 1", "-ERR Unexpected engine in script shebang: #!foo" },
        { "#!\nreturn 1", "-ERR Unexpected engine in script shebang: #!" },
        { "#!lua name=x\nreturn 1", "-ERR Unknown lua shebang option: name=x" },
        { "#!lua flags=foo\nreturn 1", "-ERR Unexpected flag in script shebang: foo" },
        { "#!lua flags=no-writes,foo\nreturn 1", "-ERR Unexpected flag in script shebang: foo" },
        { "#!lua flags=NO-WRITES\nreturn 1", "-ERR Unexpected flag in script shebang: NO-WRITES" },
        { "#!lua flags=no-writes\nreturn redis.call('set','k1','v')", REFUSED_WRITE AT(2) },
        { "#!lua flags=no-writes\nreturn redis.pcall('del','k1')", REFUSED_WRITE },
        { "#!lua flags=no-writes\nreturn redis.pcall('publish','c','m')", REFUSED_WRITE },
        { "#!lua flags=no-writes\nreturn redis.pcall('spublish','c','m')", REFUSED_WRITE },
        { "#!lua flags=no-writes\nreturn redis.call('get','k1')", "$-1" },
        { "#!lua\nreturn redis.call('set','k1','v')", "+OK" },
        { "# no first line\nreturn 1", COMPILING "1: unexpected symbol near '#'" },
        { NULL, NULL },
    };
    assert_evals(fixture_client(state), rows);
}

static void read_only_forms_run_what_does_not_write(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SET k1 v", "+OK");
    assert_script(c, "EVAL_RO", "return redis.call('get',KEYS[1])", "1 k1", "$\"v\"");
    assert_script(c, "EVAL_RO", "return redis.call('set','k1','w')", "0", REFUSED_WRITE AT(1));
    assert_script(c, "EVAL_RO", "return redis.pcall('publish','c','m')", "0", REFUSED_WRITE);
    assert_script(c, "EVAL_RO", "#!lua\nreturn 1", "0",
                  "-ERR Can not execute a script with write flag using *_ro command.");
    assert_script(c, "EVAL_RO", "#!lua flags=no-writes\nreturn redis.call('get','k1')", "0", "$\"v\"");
    char command[80];
    snprintf(command, sizeof command, "EVALSHA_RO %s 0", script_sha("#!lua\nreturn 1"));
    assert_reply(c, command, "-ERR Can not execute a script with write flag using *_ro command.");
    assert_reply(c, "GET k1", "$\"v\"");
}

#define OOM "-OOM command not allowed when used memory > 'maxmemory'."

static void full_memory_stops_the_first_write_only(void **state) {
    static const struct script_row rows[] = {
        { "return redis.call('set','k','v')", OOM AT(1) },
        { "return redis.pcall('set','k','v')", OOM },
        { "return redis.call('get','k')", "$-1" },
        { "redis.call('del','k') redis.call('set','k','v') return redis.call('get','k')", "$\"v\"" },
        { "redis.pcall('set','k','w') return redis.call('get','k')", "$\"v\"" },
        { "#!lua\nreturn 1", OOM },
        { "#!lua flags=allow-stale\nreturn 1", OOM },
        { "#!lua flags=allow-oom\nreturn redis.call('set','k','v2')", "+OK" },
        { "#!lua flags=no-writes\nreturn redis.call('get','k')", "$\"v2\"" },
        { "#!lua flags=no-writes\nreturn redis.call('set','k','v')", REFUSED_WRITE AT(2) },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG SET maxmemory 1", "+OK");
    assert_evals(c, rows);
    assert_script(c, "EVAL_RO", "return redis.call('get','k')", "0", "$\"v2\"");
    assert_reply(c, "CONFIG SET maxmemory 0", "+OK");
    assert_eval(c, "#!lua\nreturn redis.call('set','k','v')", "+OK");
}

/* The state is taken when the script starts. */
static void memory_that_fills_up_does_not_stop_a_running_script(void **state) {
    struct client *c = fixture_client(state);
    char command[64];
    snprintf(command, sizeof command, "CONFIG SET maxmemory %lld",
             (long long)info_number(c, "memory", "used_memory") + 2000000);
    assert_reply(c, command, "+OK");
    assert_eval(c, "for i=1,40 do redis.call('set','k'..i,string.rep('x',100000)) end return 1", ":1");
    assert_reply(c, "SET k v", OOM);
    assert_eval(c, "return redis.call('set','k','v')", OOM AT(1));
    assert_reply(c, "CONFIG SET maxmemory 0", "+OK");
}

/* ---- what a script does in the server ---- */

static void select_counts_for_the_run_only(void **state) {
    static const struct exchange rows[] = {
        { "EVAL \"redis.call('select',5) redis.call('set','k','five') return redis.call('get','k')\" 0",
          "$\"five\"" },
        { "GET k", "$-1" },
        { "EVAL \"redis.call('select',5) error('x')\" 0", "-ERR ..." },
        { "SET k zero", "+OK" },
        { "EVAL \"return redis.call('get','k')\" 0", "$\"zero\"" },
        { "SELECT 5", "+OK" },
        { "GET k", "$\"five\"" },
        { "EVAL \"return redis.pcall('select',99)\" 0", "-ERR DB index is out of range" },
        { "MULTI", "+OK" },
        { "EVAL \"return redis.call('select',0)\" 0", "+QUEUED" },
        { "GET k", "+QUEUED" },
        { "EXEC", "*[+OK, $\"five\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

#define WORK "local t={} for i=1,300000 do t[i%10]={} end "

static void time_stands_still(void **state) {
    static const struct script_row rows[] = {
        { "local a=redis.call('time') " WORK "local b=redis.call('time') return a[1]==b[1] and a[2]==b[2]",
          ":1" },
        { "redis.call('set','k','v','px',2) " WORK WORK "return redis.call('get','k')", "$\"v\"" },
        { "redis.call('set','k','v','px',200) " WORK "return redis.call('pttl','k')", ":200" },
        { "redis.call('set','k','v','px',1) redis.call('set','k2','v','pxat',1) "
          "return {redis.call('exists','k'),redis.call('exists','k2')}",
          "*[:1, :0]" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_evals(c, rows);
    assert_reply_soon(c, "EXISTS k", ":0");
}

static void commands_that_wait_do_not_wait_in_a_script(void **state) {
    static const struct script_row rows[] = {
        { "return redis.call('blpop','k1',0)", "$-1" },
        { "return redis.call('brpop','k1',0)", "$-1" },
        { "return redis.call('brpoplpush','k1','k2',0)", "$-1" },
        { "return redis.call('blmove','k1','k2','left','left',0)", "$-1" },
        { "return redis.call('blmpop',0,1,'k1','left')", "$-1" },
        { "return redis.call('bzpopmin','k1',0)", "$-1" },
        { "return redis.call('bzpopmax','k1',0)", "$-1" },
        { "return redis.call('bzmpop',0,1,'k1','min')", "$-1" },
        { "return redis.call('xread','block',0,'streams','k1','$')", "$-1" },
        { "redis.call('xgroup','create','k1','g','$','mkstream') "
          "return redis.call('xreadgroup','group','g','c','block',0,'streams','k1','>')",
          "$-1" },
        { "return redis.call('wait',1,0)", ":0" },
        { "return redis.call('waitaof',0,1,0)", "*[:0, :0]" },
        { "redis.call('rpush','k2','x') return redis.call('blpop','k2',0)", "*[$\"k2\", $\"x\"]" },
        { "return redis.pcall('blpop','k2','abc')", "-ERR timeout is not a float or out of range" },
        { NULL, NULL },
    };
    assert_evals(fixture_client(state), rows);
}

static void scripts_run_in_transactions_and_break_watches(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    static const struct exchange rows[] = {
        { "WATCH k1", "+OK" },
        { "MULTI", "+OK" },
        { "EVAL \"return redis.call('set',KEYS[1],'v')\" 1 k1", "+QUEUED" },
        { "EVAL \"return {1,{2}}\" 0", "+QUEUED" },
        { "EVAL \"error('x')\" 0", "+QUEUED" },
        { "EVALSHA x 0", "+QUEUED" },
        { "EVAL \"return redis.call('incr','n')\" 0", "+QUEUED" },
        { "EXEC", "*[+OK, *[:1, *[:2]], -ERR user_script:1: x script: "
                  "9851144f39f03a0d597a980c5aa79c80cb696891, "
                  "on @user_script:1., -NOSCRIPT No matching script., :1]" },
        { "WATCH k1 n", "+OK" },
        { "EVAL \"return redis.call('set','k1','w')\" 0", "+OK" },
        { "MULTI", "+OK" },
        { "EXEC", "*-1" },
        { "WATCH n", "+OK" },
        { "EVAL \"return redis.call('get','n')\" 0", "$\"1\"" },
        { "MULTI", "+OK" },
        { "EXEC", "*[]" },
        { "WATCH n", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_reply(other, "EVAL \"return redis.call('incr','n')\" 0", ":2");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "EXEC", "*-1");
    client_close(other);
}

static void a_script_serves_clients_that_wait(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state),
                  *second = connect_another(state);
    send_and_wait(c, waiter, "BLPOP k1 0");
    send_and_wait(c, second, "BZPOPMIN z 0");
    /* It is served when the script is done, not in the middle of it. */
    assert_eval(c,
                "redis.call('rpush','k1','a') redis.call('lset','k1',0,'b') redis.call('rpush','k1','c') "
                "redis.call('zadd','z',1,'m') return redis.call('llen','k1')",
                ":2");
    assert_next(waiter, "*[$\"k1\", $\"b\"]");
    assert_next(second, "*[$\"z\", $\"m\", $\"1\"]");
    send_and_wait(c, waiter, "BLPOP k2 0");
    assert_eval(c, "redis.call('rpush','k2','a') redis.call('del','k2') return 1", ":1");
    assert_eval(c, "return redis.call('rpush','k2','z')", ":1");
    assert_next(waiter, "*[$\"k2\", $\"z\"]");
    client_close(waiter);
    client_close(second);
}

static void scripts_publish_messages_and_events(void **state) {
    struct client *c = fixture_client(state), *listener = connect_another(state);
    assert_reply(c, "CONFIG SET notify-keyspace-events KEA", "+OK");
    assert_reply(listener, "SUBSCRIBE news __keyevent@0__:set __keyevent@2__:del", "*...");
    client_skip(listener, 2);
    assert_eval(c, "return redis.call('publish','news','hello')", ":1");
    assert_next(listener, "*[$\"message\", $\"news\", $\"hello\"]");
    assert_eval(c,
                "redis.call('set','k1','v') redis.call('publish','news','2') redis.call('select',2) "
                "redis.call('set','x','y') redis.call('del','x') return 1",
                ":1");
    assert_next(listener, "*[$\"message\", $\"__keyevent@0__:set\", $\"k1\"]");
    assert_next(listener, "*[$\"message\", $\"news\", $\"2\"]");
    assert_next(listener, "*[$\"message\", $\"__keyevent@2__:del\", $\"x\"]");
    assert_reply(c, "CONFIG SET notify-keyspace-events \"\"", "+OK");
    client_close(listener);
}

static void tracking_knows_what_scripts_read_and_write(void **state) {
    struct client *c = fixture_client(state), *reader = connect_another(state);
    assert_reply(c, "MSET k1 a k2 b k3 c", "+OK");
    assert_reply(reader, "HELLO 3", "%{...}");
    assert_reply(reader, "CLIENT TRACKING on", "+OK");
    assert_reply(reader, "GET k1", "$\"a\"");
    assert_eval(c, "return redis.call('set','k1','z')", "+OK");
    assert_next(reader, ">[$\"invalidate\", *[$\"k1\"]]");
    assert_script(reader, "EVAL_RO", "return redis.call('mget','k2','k3')", "1 k2", "*[$\"b\", $\"c\"]");
    assert_reply(c, "SET k3 x", "+OK");
    assert_next(reader, ">[$\"invalidate\", *[$\"k3\"]]");
    assert_reply(c, "SET k2 x", "+OK");
    assert_next(reader, ">[$\"invalidate\", *[$\"k2\"]]");
    client_close(reader);
}

/* ---- who looks on ---- */

static void monitors_see_the_script_and_then_its_commands(void **state) {
    struct client *c = fixture_client(state), *m = connect_another(state);
    assert_reply(m, "MONITOR", "+OK");
    assert_script(c, "EVAL",
                  "redis.call('set',KEYS[1],'v') redis.call('select',2) return redis.call('get','k')", "1 k1",
                  "$-1");
    assert_next(m, "+... [0 unix:...] \"EVAL\" \"redis.call(...\" \"1\" \"k1\"");
    assert_next(m, "+... [0 lua] \"set\" \"k1\" \"v\"");
    assert_next(m, "+... [2 lua] \"select\" \"2\"");
    assert_next(m, "+... [2 lua] \"get\" \"k\"");
    assert_reply(c, "PING", "+PONG");
    assert_next(m, "+... [0 unix:...] \"PING\"");
    assert_reply(c, "EVAL \"return redis.pcall('nosuch')\" 0", "-ERR ...");
    assert_next(m, "+... \"EVAL\" ...");
    assert_reply(c, "PING", "+PONG");
    assert_next(m, "+... \"PING\"");
    client_close(m);
}

static void the_slow_log_has_the_script_after_its_commands(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG SET slowlog-log-slower-than 0", "+OK");
    assert_reply(c, "SLOWLOG RESET", "+OK");
    assert_reply(c, "EVAL \"return redis.call('set','k','v')\" 0", "+OK");
    assert_reply(c, "CONFIG SET slowlog-log-slower-than 10000", "+OK");
    assert_reply(c, "SLOWLOG GET 2",
                 "*[*[:..., :..., :..., *[$\"EVAL\", $\"return redis.call('set','k','v')\", $\"0\"], "
                 "$\"/...\", $\"\"], *[:..., :..., :..., *[$\"set\", $\"k\", $\"v\"], $\"?:0\", $\"\"]]");
    assert_reply(c, "SLOWLOG RESET", "+OK");
}

static void statistics_count_each_command_and_each_error_once(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    static const struct exchange rows[] = {
        { "EVAL \"redis.call('set','k','x') return redis.pcall('incr','k')\" 0", "-ERR value..." },
        { "EVAL \"return redis.call('incr','k')\" 0", "-ERR value..." },
        { "EVAL \"local e=redis.pcall('incr','k') return e.err\" 0", "$\"ERR value...\"" },
        { "EVAL \"redis.pcall('incr','k') error('mine')\" 0", "-ERR user_script:1: mine..." },
        { "EVAL \"return redis.pcall('get')\" 0", "-ERR Wrong..." },
        { "EVAL \"return redis.pcall('lpush','k','x')\" 0", "-WRONGTYPE..." },
        { "EVAL \"return redis.error_reply('MY x')\" 0", "-MY x" },
        { "EVAL \"return {err='MY y'}\" 0", "-MY y" },
        { "EVALSHA x 0", "-NOSCRIPT..." },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    static const struct {
        const char *section, *field, *value;
    } counts[] = {
        { "errorstats", "errorstat_ERR", "count=6" },
        { "errorstats", "errorstat_WRONGTYPE", "count=1" },
        { "errorstats", "errorstat_MY", "count=2" },
        { "errorstats", "errorstat_NOSCRIPT", "count=1" },
        { "commandstats", "cmdstat_eval", "calls=8,...,rejected_calls=0,failed_calls=7" },
        { "commandstats", "cmdstat_evalsha", "calls=1,...,rejected_calls=0,failed_calls=1" },
        { "commandstats", "cmdstat_set", "calls=1,...,rejected_calls=0,failed_calls=0" },
        { "commandstats", "cmdstat_incr", "calls=4,...,rejected_calls=0,failed_calls=4" },
        { "commandstats", "cmdstat_get", "calls=0,...,rejected_calls=1,failed_calls=0" },
        { "commandstats", "cmdstat_lpush", "calls=1,...,rejected_calls=0,failed_calls=1" },
        { "stats", "total_error_replies", "10" },
    };
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        const char *got = info_field(c, counts[i].section, counts[i].field);
        if (!text_matches(counts[i].value, got)) fail_msg("%s: %s", counts[i].field, got);
    }
}

/* ---- effects ---- */

/* How many changes this script counts as. */
static int64_t changes_of(struct client *c, const char *script) {
    int64_t before = info_number(c, "persistence", "rdb_changes_since_last_save");
    assert_eval(c, script, "...");
    return info_number(c, "persistence", "rdb_changes_since_last_save") - before;
}

static void changes_are_counted_as_those_of_the_commands(void **state) {
    struct client *c = fixture_client(state);
    assert_int_equal(changes_of(c, "return 1"), 0);
    assert_int_equal(changes_of(c, "return redis.call('get','k')"), 0);
    assert_int_equal(changes_of(c, "return redis.call('set','k','v')"), 1);
    assert_int_equal(changes_of(c, "redis.call('rpush','l','a','b','c') redis.call('del','k') return 1"), 4);
    assert_int_equal(changes_of(c, "redis.call('set','k','v') error('x')"), 1);
}

/* The words of the journal, without lengths and checksums. */
static void read_journal(struct server *s, struct text *out) {
    FILE *f = fopen(server_path(s, "appendonlydir/appendonly.aof.1.incr.aof"), "r");
    assert_non_null(f);
    char line[256];
    text_clear(out);
    while (fgets(line, sizeof line, f)) {
        if (strchr("*$#", line[0])) continue;
        text_append(out, line, strcspn(line, "\r\n"));
        text_append_char(out, ' ');
    }
    fclose(f);
}

static void effects_are_journalled_as_one_transaction(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--appendfsync", "always", NULL);
    struct client *c = server_connect(s);
    struct text journal = { 0 };
    static const struct script_row rows[] = {
        { "return redis.call('get','none')", "$-1" },
        { "return redis.call('set','one','1')", "+OK" },
        { "redis.call('set','two','2') redis.call('incr','two') return 1", ":1" },
        { "redis.call('set','three','3') redis.call('select',4) redis.call('set','four','4') error('x')",
          "-ERR ..." },
        { "redis.call('set','expires','x','ex',1000) return redis.call('spop','none')", "$-1" },
        { NULL, NULL },
    };
    assert_evals(c, rows);
    assert_reply(c, "SET after 5", "+OK");
    read_journal(s, &journal);
    if (!text_matches(
            "SELECT 0 set one 1 MULTI set two 2 incr two EXEC MULTI set three 3 SELECT 4 set four 4 "
            "EXEC SELECT 0 SET expires x PXAT 1... SET after 5 ",
            text_str(&journal)))
        fail_msg("%s", text_str(&journal));
    text_release(&journal);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "MGET one two three after", "*[$\"1\", $\"3\", $\"3\", $\"5\"]");
    assert_reply(c, "TTL expires", ":900..1000");
    assert_reply(c, "SELECT 4", "+OK");
    assert_reply(c, "GET four", "$\"4\"");
    client_close(c);
    server_free(s);
}

static void set_repl_keeps_effects_out_of_the_journal(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    static const struct script_row rows[] = {
        { "redis.set_repl(redis.REPL_NONE) redis.call('set','none','x') redis.set_repl(redis.REPL_ALL) "
          "redis.call('set','all','x') redis.set_repl(redis.REPL_REPLICA) redis.call('set','replica','x') "
          "redis.set_repl(redis.REPL_AOF) return redis.call('set','aof','x')",
          "+OK" },
        { "redis.set_repl(redis.REPL_NONE) return redis.call('set','alone','x')", "+OK" },
        { "return redis.call('set','next','x')", "+OK" }, /* it counts for its own run only */
        { NULL, NULL },
    };
    assert_evals(c, rows);
    assert_reply(c, "EXISTS none all replica aof alone next", ":6");
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply_sorted(c, "KEYS *", "*[$\"all\", $\"aof\", $\"next\"]");
    client_close(c);
    server_free(s);
}

static void scripts_do_not_outlive_a_restart(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SCRIPT LOAD \"return 1\"", "$\"" SHA_OF_1 "\"");
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "EVALSHA " SHA_OF_1 " 0", "-NOSCRIPT No matching script.");
    client_close(c);
    server_free(s);
}

/* ---- at the same time ---- */

static void scripts_of_many_clients_are_atomic(void **state) {
    enum { ROUNDS = 300, MOVERS = 6 };
    struct client *c = fixture_client(state), *mover[MOVERS];
    assert_reply(c, "MSET a 1000 b 1000", "+OK");
    for (int i = 0; i < MOVERS; i++) mover[i] = connect_another(state);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < MOVERS; i++) {
            script_queue(mover[i], "EVAL",
                         "redis.call('incrby','a',ARGV[1]) redis.call('decrby','b',ARGV[1]) "
                         "return redis.call('get','a')+redis.call('get','b')",
                         i % 2 ? "0 1" : "0 -1");
            if (round % 20 == 0) client_queue(mover[i], "SCRIPT LOAD \"return %d\"", round * MOVERS + i);
            if (round % 50 == 25) client_queue(mover[i], i == 0 ? "SCRIPT FLUSH" : "PING");
        }
    for (int i = 0; i < MOVERS; i++) assert_true(client_flush(mover[i]));
    for (int i = 0; i < MOVERS; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            assert_next(mover[i], ":2000");
            if (round % 20 == 0) assert_next(mover[i], "$\"...\"");
            if (round % 50 == 25) assert_next(mover[i], "+...");
        }
        client_close(mover[i]);
    }
    assert_reply(c, "MGET a b", "*[$\"1000\", $\"1000\"]");
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(arguments_are_checked),
        FIXTURE_TEST(what_is_no_lua_is_refused),
        FIXTURE_TEST(keys_and_arguments_are_tables_of_the_run),
        FIXTURE_TEST(scripts_are_found_by_their_sha1),
        FIXTURE_TEST(of_scripts_that_came_by_eval_the_500_used_last_stay),
        FIXTURE_TEST(info_tells_of_the_memory_of_scripts),
        FIXTURE_TEST(the_first_line_may_name_flags),
        FIXTURE_TEST(read_only_forms_run_what_does_not_write),
        FIXTURE_TEST(full_memory_stops_the_first_write_only),
        FIXTURE_TEST(memory_that_fills_up_does_not_stop_a_running_script),
        FIXTURE_TEST(select_counts_for_the_run_only),
        FIXTURE_TEST(time_stands_still),
        FIXTURE_TEST(commands_that_wait_do_not_wait_in_a_script),
        FIXTURE_TEST(scripts_run_in_transactions_and_break_watches),
        FIXTURE_TEST(a_script_serves_clients_that_wait),
        FIXTURE_TEST(scripts_publish_messages_and_events),
        FIXTURE_TEST(tracking_knows_what_scripts_read_and_write),
        FIXTURE_TEST(monitors_see_the_script_and_then_its_commands),
        FIXTURE_TEST(the_slow_log_has_the_script_after_its_commands),
        FIXTURE_TEST(statistics_count_each_command_and_each_error_once),
        FIXTURE_TEST(changes_are_counted_as_those_of_the_commands),
        FIXTURE_TEST(effects_are_journalled_as_one_transaction),
        FIXTURE_TEST(set_repl_keeps_effects_out_of_the_journal),
        FIXTURE_TEST(scripts_do_not_outlive_a_restart),
        FIXTURE_TEST(scripts_of_many_clients_are_atomic),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
