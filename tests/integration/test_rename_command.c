/* test_rename_command.c: the directive rename-command: clients know a command by another name or not at all,
 * while its row, its statistics and the append-only file keep the declared one. */
#include "../harness/fixture.h"
#include "files.h"

#define INCR_FILE "appendonlydir/appendonly.aof.1.incr.aof"

static const char conf[] = "# names\n"
                           "rename-command GET \"\"\n"
                           "rename-command FLUSHALL xYz\n"
                           "rename-command Set MySet\n"
                           "rename-command CONFIG conf\n"
                           "rename-command XGROUP xg\n"
                           "rename-command RPUSH push\n"
                           "rename-command push r2\n"
                           "rename-command DEL del\n"
                           "rename-command EXEC go\n";

static struct server *start(void) {
    static const char *const args[] = { "--appendonly", "yes", "--rename-command", "INCR", "", NULL };
    return server_launch(&(struct server_plan){ .conf = conf, .args = args });
}

static void a_renamed_command_has_only_its_new_name(void **state) {
    (void)state;
    struct server *s = start();
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "myset k v", "+OK" },
        { "MYSET k v", "+OK" },
        { "SET k v", "-ERR unknown command 'SET', with args beginning with: 'k' 'v' " },
        { "GET k", "-ERR unknown command 'GET', with args beginning with: 'k' " },
        { "INCR k", "-ERR unknown command 'INCR', with args beginning with: 'k' " },
        { "RPUSH l a", "-ERR unknown command 'RPUSH'..." },
        { "push l a", "-ERR unknown command 'push'..." },
        { "r2 l a", ":1" },
        { "DEL l", ":1" },
        { "FLUSHALL", "-ERR unknown command 'FLUSHALL', with args beginning with: " },
        { "xyz a b", "-ERR syntax error" },
        { "myset k", "-ERR wrong number of arguments for 'set' command" },
        { "conf get", "-ERR wrong number of arguments for 'config|get' command" },
        { "conf get maxmemory-samples", "*[$\"maxmemory-samples\", $\"5\"]" },
        { "Conf help", "*[+CONF <subcommand> [<arg> [value] [opt] ...]. Subcommands are:..." },
        { "xg create x g 0 huh",
          "-ERR unknown subcommand or wrong number of arguments for 'create'. Try XG HELP." },
        { "EVAL \"return redis.call('set', 'a', 'b')\" 0",
          "-ERR Unknown command called from script..." },
        { "EVAL \"return redis.call('myset', 'a', 'b')\" 0", "+OK" },
        { "MULTI", "+OK" },
        { "EXEC", "-ERR unknown command 'EXEC'..." },
        { "go", "-EXECABORT Transaction discarded because of previous errors." },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    client_close(c);
    server_free(s);
}

/* As Redis 7: whoever asks says the current name and is told the declared one. */
static void facts_are_under_the_declared_name(void **state) {
    (void)state;
    struct server *s = start();
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "myset k v", "+OK" },
        { "COMMAND LIST FILTERBY PATTERN myset", "*[]" },
        { "COMMAND LIST FILTERBY PATTERN set", "*[$\"set\"]" },
        { "COMMAND LIST FILTERBY PATTERN get", "*[]" },
        { "COMMAND LIST FILTERBY PATTERN config|set", "*[$\"config|set\"]" },
        { "COMMAND INFO xyz", "*[*[$\"flushall\"..." },
        { "COMMAND INFO flushall", "*[$-1]" },
        { "COMMAND INFO conf|get", "*[*[$\"config|get\"..." },
        { "COMMAND DOCS xyz", "*[$\"flushall\"..." },
        { "COMMAND DOCS get", "*[]" },
        { "COMMAND GETKEYS myset a b", "*[$\"a\"]" },
        { "COMMAND GETKEYS set a b", "-ERR Invalid command specified" },
        { "LATENCY HISTOGRAM set", "*[]" },
        { "LATENCY HISTOGRAM myset", "*[$\"set\"..." },
        { NULL, NULL },
    };
    int64_t all = client_ask_int(c, "COMMAND COUNT");
    assert_exchanges(c, rows);
    assert_non_null(strstr(client_ask(c, "INFO commandstats"), "cmdstat_set:calls=1"));
    client_close(c);
    server_free(s);
    s = server_start("--appendonly", "yes", NULL);
    c = server_connect(s);
    assert_int_equal(client_ask_int(c, "COMMAND COUNT"), all + 2); /* GET and INCR */
    client_close(c);
    server_free(s);
}

static void write_in_all_ways(struct client *c) {
    static const struct exchange rows[] = {
        { "myset k v", "+OK" },
        { "r2 l a b c", ":3" },
        { "XADD x 1-0 f v", "$\"1-0\"" },
        { "xg create x g 0", "+OK" },
        { "MULTI", "+OK" },
        { "r2 l d", "+QUEUED" },
        { "myset in-transaction yes", "+QUEUED" },
        { "go", "*[:4, +OK]" },
        { "EVAL \"redis.call('r2', KEYS[1], 'e') "
          "return redis.call('MYSET', 'from-script', 'yes')\" 1 l",
          "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void assert_all_is_there(struct client *c) {
    static const struct exchange rows[] = {
        { "LRANGE l 0 -1", "*[$\"a\", $\"b\", $\"c\", $\"d\", $\"e\"]" },
        { "MGET k in-transaction from-script", "*[$\"v\", $\"yes\", $\"yes\"]" },
        { "XINFO GROUPS x", "*[*[$\"name\", $\"g\"..." },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void the_journal_has_declared_names(void **state) {
    (void)state;
    struct server *s = start();
    struct client *c = server_connect(s);
    write_in_all_ways(c);
    client_close(c);
    server_stop(s);
    struct text file = { 0 };
    file_read(server_path(s, INCR_FILE), &file);
    static const char *const absent[] = { "\nmyset\r", "\nMYSET\r", "\nr2\r", "\nxg\r", "\ngo\r" };
    for (size_t i = 0; i < COUNT_OF(absent); i++) assert_null(strstr(file.ptr, absent[i]));
    assert_non_null(strstr(file.ptr, "$5\r\nrpush\r\n$1\r\nl\r\n$1\r\na\r\n"));
    text_release(&file);
    server_restart(s); /* these names are not those of clients */
    c = server_connect(s);
    assert_all_is_there(c);
    client_close(c);
    server_free(s);
}

/* Commands that no client can call any more are replayed all the same, and what Redis and Valkey journaled
 * under new names is understood where these names are given. */
static void files_of_others_are_replayed(void **state) {
    (void)state;
    struct server *s = start();
    server_stop(s);
    struct text file = { 0 };
    text_append_str(&file,
                    "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
                    "*3\r\n$5\r\nmyset\r\n$1\r\nk\r\n$1\r\n1\r\n"
                    "*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"
                    "*3\r\n$3\r\nSET\r\n$1\r\nj\r\n$1\r\n2\r\n"
                    "*1\r\n$5\r\nMULTI\r\n*3\r\n$2\r\nr2\r\n$1\r\nl\r\n$1\r\na\r\n*1\r\n$4\r\nEXEC\r\n");
    file_write(server_path(s, INCR_FILE), &file);
    text_release(&file);
    server_restart(s);
    struct client *c = server_connect(s);
    assert_reply(c, "MGET k j", "*[$\"2\", $\"2\"]");
    assert_reply(c, "LRANGE l 0 -1", "*[$\"a\"]");
    client_close(c);
    server_free(s);
}

static void config_rewrite_keeps_the_lines(void **state) {
    (void)state;
    struct server *s = start();
    struct client *c = server_connect(s);
    assert_reply(c, "conf set maxmemory 100mb", "+OK");
    assert_reply(c, "conf rewrite", "+OK");
    struct text text = { 0 };
    file_read(server_path(s, "server.conf"), &text);
    assert_int_equal(strncmp(text.ptr, conf, strlen(conf)), 0);
    assert_null(strstr(text.ptr, "INCR")); /* from the command line */
    text_release(&text);
    client_close(c);
    server_stop(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "conf get maxmemory", "*[$\"maxmemory\", $\"104857600\"]");
    client_close(c);
    server_free(s);
}

static void wrong_lines_are_refused(void **state) {
    (void)state;
    static const struct { const char *conf, *reason; } cases[] = {
        { "rename-command NOSUCH x\n", "No such command in rename-command" },
        { "rename-command \"config|get\" x\n", "No such command in rename-command" },
        { "rename-command GET \"\"\nrename-command GET x\n", "No such command in rename-command" },
        { "rename-command GET Set\n", "Target command name already exists" },
        { "rename-command GET x\nrename-command SET X\n", "Target command name already exists" },
        { "rename-command GET\n", "Bad directive or wrong number of arguments" },
        { "rename-command GET a b\n", "Bad directive or wrong number of arguments" },
        { "rename-command GET \"a\\nb\"\n", "Target command name is too long" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct text log = { 0 };
        assert_int_equal(server_run_to_end(&(struct server_plan){ .conf = cases[i].conf }, &log), 1);
        if (!strstr(text_str(&log), cases[i].reason)) fail_msg("%s: %s", cases[i].conf, text_str(&log));
        text_release(&log);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_renamed_command_has_only_its_new_name),
        cmocka_unit_test(facts_are_under_the_declared_name),
        cmocka_unit_test(the_journal_has_declared_names),
        cmocka_unit_test(files_of_others_are_replayed),
        cmocka_unit_test(config_rewrite_keeps_the_lines),
        cmocka_unit_test(wrong_lines_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
