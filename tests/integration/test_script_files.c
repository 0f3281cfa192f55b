/* test_script_files.c: functions in RDB files, append-only files and payloads, also those that redis-server
 * 7.0 writes and reads; and append-only files of older servers that hold scripts as they were sent. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "../harness/saves.h"
#include "files.h"
#include "tools.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#define RDB "dump.rdb"
#define FOLDER "appendonlydir/"
#define PEER "redis-server"
#define ARGS_MAX 24

/* Libraries as words for a command line: quoted, with the line end escaped. */
#define LIBRARY(name, functions) "\"#!lua name=" name "\\n" functions "\""
#define MATHS                                                                                               \
    LIBRARY("maths", "redis.register_function('add', function(keys, args) return args[1] + args[2] end)"    \
                     "redis.register_function{function_name='twice', callback=function(keys, args) return " \
                     "args[1] * 2 end, description='what it says', flags={'no-writes', 'allow-stale'}}")
#define STORE                                                                                  \
    LIBRARY("store", "local count = 0 "                                                        \
                     "redis.register_function('keep', function(keys, args) count = count + 1 " \
                     "redis.call('SET', keys[1], args[1]) return redis.call('GET', keys[1]) end)")
#define OTHER_STORE LIBRARY("store", "redis.register_function('keep', function() return 'new' end)")
#define GONE LIBRARY("gone", "redis.register_function('gone', function() return 1 end)")

/* What is called after loading. */
static const struct exchange calls[] = {
    { "FCALL add 0 40 2", ":42" },
    { "FCALL_RO twice 0 21", ":42" },
    { "FCALL keep 1 kept value", "$\"value\"" },
    { "GET kept", "$\"value\"" },
    { "FCALL gone 0", "-ERR Function not found" },
    { NULL, NULL },
};

static void load_two(struct client *c) {
    static const struct exchange rows[] = {
        { "FUNCTION LOAD " MATHS, "$\"maths\"" }, { "FUNCTION LOAD " STORE, "$\"store\"" }, { NULL, NULL }
    };
    assert_exchanges(c, rows);
}

/* FUNCTION LIST WITHCODE, sorted: servers give no order. */
static void describe(struct server *s, struct text *out) {
    struct client *c = server_connect(s);
    struct node *list = client_ask_node(c, "FUNCTION LIST WITHCODE");
    for (size_t i = 0; i < list->count; i++) node_sort(list->items[i]->items[5]);
    for (size_t i = 0; i < list->count; i++)
        for (size_t f = 0; f < list->items[i]->items[5]->count; f++)
            node_sort(list->items[i]->items[5]->items[f]->items[5]);
    node_sort(list);
    text_clear(out);
    node_describe(list, out);
    node_free(list);
    client_close(c);
}

static void assert_same(struct server *s, const struct text *before) {
    struct text after = { 0 };
    describe(s, &after);
    assert_string_equal(text_str(&after), text_str(before));
    text_release(&after);
}

static void assert_called(struct server *s) {
    struct client *c = server_connect(s);
    assert_exchanges(c, calls);
    client_close(c);
}

static struct server *launch(const char *program, const char *folder, const char *const *more) {
    const char *args[ARGS_MAX];
    size_t count = 0;
    args[count++] = "--save";
    args[count++] = "";
    if (folder) {
        args[count++] = "--dir";
        args[count++] = folder;
    }
    for (size_t i = 0; more && more[i]; i++) args[count++] = more[i];
    args[count] = NULL;
    return server_launch(&(struct server_plan){ .program = program, .args = args, .bare = program != NULL });
}

static void restore(struct client *c, const struct node *payload, const char *policy, const char *expected) {
    struct words w = { 0 };
    words_add_str(&w, "FUNCTION");
    words_add_str(&w, "RESTORE");
    words_add(&w, payload->bytes.ptr, payload->bytes.len);
    if (policy) words_add_str(&w, policy);
    client_queue_words(c, &w);
    client_flush(c);
    assert_next(c, expected);
    words_release(&w);
}

/* ---- RDB files ---- */

static void libraries_are_in_rdb_files(void **state) {
    (void)state;
    static const char *const saves[] = { "SAVE", "BGSAVE" };
    for (size_t i = 0; i < COUNT_OF(saves); i++) {
        struct server *s = server_start(NULL, NULL);
        struct client *c = server_connect(s);
        struct text before = { 0 };
        load_two(c);
        assert_reply(c, "FUNCTION LOAD " GONE, "$\"gone\"");
        assert_reply(c, "FUNCTION DELETE gone", "+OK");
        describe(s, &before);
        assert_reply(c, saves[i], "+...");
        saves_await(c);
        assert_int_equal(info_number(c, "persistence", "rdb_changes_since_last_save"), 0);
        client_close(c);
        server_kill(s);
        server_restart(s);
        assert_same(s, &before);
        assert_called(s);
        text_release(&before);
        server_free(s);
    }
}

static void a_changed_library_is_a_change_to_be_saved(void **state) {
    (void)state;
    static const struct exchange rows[] = {
        { "FUNCTION LOAD " MATHS, "$\"maths\"" },
        { "FUNCTION LOAD REPLACE " MATHS, "$\"maths\"" },
        { "FUNCTION LOAD " MATHS, "-ERR Library 'maths' already exists" },
        { "FUNCTION DELETE maths", "+OK" },
        { "FUNCTION DELETE maths", "-ERR Library not found" },
        { "FUNCTION FLUSH", "+OK" },
        { NULL, NULL },
    };
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    assert_exchanges(c, rows);
    assert_int_equal(info_number(c, "persistence", "rdb_changes_since_last_save"), 4);
    client_close(c);
    server_free(s);
}

static void they_survive_debug_reload(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    struct text before = { 0 };
    load_two(c);
    describe(s, &before);
    assert_reply(c, "SET k v", "+OK");
    static const char *const reloads[] = { "DEBUG RELOAD", "DEBUG RELOAD NOFLUSH MERGE", "DEBUG LOADAOF" };
    for (size_t i = 0; i < COUNT_OF(reloads); i++) {
        assert_reply(c, reloads[i], "+OK");
        assert_same(s, &before);
        assert_reply(c, "GET k", "$\"v\"");
        assert_called(s);
    }
    /* What is in memory alone is lost by a reload that does not save first. */
    assert_reply(c, "CONFIG SET appendonly no", "+OK");
    assert_reply(c, "SAVE", "+OK");
    assert_reply(c, "FUNCTION LOAD " GONE, "$\"gone\"");
    assert_reply(c, "FUNCTION DELETE maths", "+OK");
    assert_reply(c, "DEBUG RELOAD NOSAVE", "+OK");
    assert_same(s, &before);
    client_close(c);
    text_release(&before);
    server_free(s);
}

static void functions_belong_to_no_database(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SELECT 5", "+OK");
    load_two(c);
    assert_reply(c, "FLUSHALL", "+OK");
    assert_reply(c, "SAVE", "+OK");
    client_close(c);
    server_kill(s);
    server_restart(s);
    assert_called(s);
    server_free(s);
}

/* The bytes of a file with one library of this code. */
static void write_rdb(struct server *s, const char *code, size_t len) {
    struct text file = { 0 };
    text_append(&file, "REDIS0011\xf5", 10);
    text_append_char(&file, (char)(0x40 | (len >> 8)));
    text_append_char(&file, (char)(len & 255));
    text_append(&file, code, len);
    text_append(&file, "\xfe\0\0\1k\1v\xff\0\0\0\0\0\0\0\0", 16);
    file_write(server_path(s, RDB), &file);
    text_release(&file);
}

static void a_broken_library_refuses_the_start(void **state) {
    (void)state;
    static const struct {
        const char *code, *says;
    } rows[] = {
        { "#!lua name=l\nif", "Failed loading a library of functions: ERR Error compiling function: "
                              "user_function:2: unexpected symbol near '<eof>'" },
        { "#!lua name=l\nreturn 1", "Failed loading a library of functions: ERR No functions registered" },
        { "return 1", "Failed loading a library of functions: ERR Missing library metadata" },
        { "#!lua name=l\nredis.call('PING')", "Failed loading a library of functions: ERR Error registering "
                                              "functions: " },
        { "#!js name=l\nx", "Failed loading a library of functions: ERR Engine 'js' not found" },
    };
    struct server *s = server_start(NULL, NULL);
    struct text log = { 0 };
    server_stop(s);
    const char *args[] = { "--dir", server_folder(s), NULL };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_rdb(s, rows[i].code, strlen(rows[i].code));
        text_clear(&log);
        assert_int_equal(server_run_to_end(&(struct server_plan){ .args = args }, &log), 1);
        if (!strstr(text_str(&log), rows[i].says))
            fail_msg("%s\nshould say: %s", text_str(&log), rows[i].says);
        assert_non_null(strstr(text_str(&log), "dump.rdb: Internal error in RDB reading offset "));
        assert_non_null(strstr(text_str(&log), "the data could not be loaded"));
    }
    text_release(&log);
    server_free(s);
}

/* FUNCTION LOAD would say that it takes too long. */
static void a_library_that_loads_slowly_is_loaded_all_the_same(void **state) {
    (void)state;
    static const char code[] = "#!lua name=slow\nfor i = 1, 2e8 do end "
                               "redis.register_function('slow', function() return 1 end)";
    struct server *s = server_start("--appendonly", "no", NULL);
    server_stop(s);
    write_rdb(s, code, sizeof code - 1);
    server_restart(s);
    struct client *c = server_connect(s);
    assert_reply(c, "FCALL slow 0", ":1");
    assert_reply(c, "CONFIG SET appendonly yes aof-use-rdb-preamble no", "+OK");
    saves_await(c);
    assert_reply(c, "DEBUG LOADAOF", "+OK");
    assert_reply(c, "FCALL slow 0", ":1");
    client_close(c);
    server_free(s);
}

static void the_check_tool_counts_them_not_as_keys(void **state) {
    (void)state;
    char tool[PATH_MAX], command[2 * PATH_MAX], line[1024];
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    struct text out = { 0 };
    load_two(c);
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "SAVE", "+OK");
    client_close(c);
    tool_find(tool, "trivet-check-rdb");
    snprintf(command, sizeof command, "%s %s 2>&1", tool, server_path(s, RDB));
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    while (fgets(line, sizeof line, pipe)) text_append_str(&out, line);
    assert_int_equal(pclose(pipe), 0);
    if (!strstr(text_str(&out), "1 keys read") || !strstr(text_str(&out), "looks OK"))
        fail_msg("%s", text_str(&out));
    text_release(&out);
    server_free(s);
}

/* ---- append-only files ---- */

static void what_changes_libraries_is_journaled(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    struct text before = { 0 };
    assert_reply(c, "FUNCTION LOAD " GONE, "$\"gone\"");
    assert_reply(c, "FUNCTION FLUSH ASYNC", "+OK");
    load_two(c);
    struct node *payload = client_ask_node(c, "FUNCTION DUMP");
    assert_reply(c, "FUNCTION FLUSH SYNC", "+OK");
    restore(c, payload, NULL, "+OK");
    node_free(payload);
    assert_reply(c, "FUNCTION LOAD REPLACE " OTHER_STORE, "$\"store\"");
    assert_reply(c, "FUNCTION LOAD REPLACE " STORE, "$\"store\"");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "FUNCTION LOAD " GONE, "+QUEUED");
    assert_reply(c, "SET k v", "+QUEUED");
    assert_reply(c, "FUNCTION DELETE gone", "+QUEUED");
    assert_reply(c, "EXEC", "*[$\"gone\", +OK, +OK]");
    assert_reply(c, "FUNCTION LOAD REPLACE \"#!lua name=store\\nsyntax error\"", "-ERR ...");
    describe(s, &before);
    client_close(c);
    for (int i = 0; i < 2; i++) {
        server_kill(s);
        server_restart(s);
        assert_same(s, &before);
        assert_called(s);
    }
    text_release(&before);
    server_free(s);
}

static void read_last_base(struct server *s, struct text *out) {
    char name[64] = "", path[128];
    file_read(server_path(s, FOLDER "appendonly.aof.manifest"), out);
    assert_int_equal(sscanf(text_str(out), "file %60s", name), 1);
    snprintf(path, sizeof path, FOLDER "%s", name);
    file_read(server_path(s, path), out);
}

static void a_rewritten_base_has_them_before_the_keys(void **state) {
    (void)state;
    static const char *const preambles[] = { "yes", "no" };
    for (size_t i = 0; i < COUNT_OF(preambles); i++) {
        struct server *s = server_start("--appendonly", "yes", "--aof-use-rdb-preamble", preambles[i], NULL);
        struct client *c = server_connect(s);
        struct text before = { 0 }, bytes = { 0 };
        assert_reply(c, "SET k v", "+OK");
        load_two(c);
        describe(s, &before);
        saves_rewrite(c);
        assert_reply(c, "FUNCTION DELETE store", "+OK");
        assert_reply(c, "FUNCTION LOAD " STORE, "$\"store\"");
        client_close(c);
        read_last_base(s, &bytes);
        static const char commands[] = "*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$";
        if (i == 1) assert_memory_equal(bytes.ptr, commands, sizeof commands - 1);
        if (i == 0) assert_memory_equal(bytes.ptr, "REDIS", 5);
        server_kill(s);
        server_restart(s);
        assert_same(s, &before);
        assert_called(s);
        text_release(&before);
        text_release(&bytes);
        server_free(s);
    }
}

/* ---- between the servers ---- */

static const char *const for_peer[] = { "--rdb-write-version", "10", NULL };
static const char *const for_peer_aof[] = { "--rdb-write-version", "10", "--appendonly", "yes", NULL };
static const char *const for_peer_commands[] = {
    "--rdb-write-version", "10", "--appendonly", "yes", "--aof-use-rdb-preamble", "no", NULL
};
static const char *const aof[] = { "--appendonly", "yes", NULL };
static const char *const aof_commands[] = { "--appendonly", "yes", "--aof-use-rdb-preamble", "no", NULL };

/* One server writes, the other loads. Without `rewrite` the AOF has the commands as they came. */
static void check_move(const char *from, const char *const *from_args, const char *to,
                       const char *const *to_args, bool rewrite) {
    struct server *s = launch(from, NULL, from_args);
    struct client *c = server_connect(s);
    struct text before = { 0 };
    load_two(c);
    assert_reply(c, "EVAL \"return redis.call('SET', 'k', 'v')\" 0", "+OK");
    if (to_args && rewrite) {
        assert_reply(c, "BGREWRITEAOF", "+...");
        assert_reply_soon(c, "INFO persistence", "...aof_rewrite_in_progress:0...aof_rewrite_scheduled:0...");
    }
    if (!to_args) assert_reply(c, "SAVE", "+OK");
    client_close(c);
    describe(s, &before);
    server_stop(s);
    struct server *other = launch(to, server_folder(s), to_args);
    assert_same(other, &before);
    assert_called(other);
    c = server_connect(other);
    assert_reply(c, "GET k", "$\"v\"");
    client_close(c);
    server_free(other);
    server_free(s);
    text_release(&before);
}

static void rdb_files_move_both_ways(void **state) {
    (void)state;
    check_move(NULL, for_peer, PEER, NULL, false);
    check_move(PEER, NULL, NULL, NULL, false);
}

static void append_only_folders_move_both_ways(void **state) {
    (void)state;
    for (int rewrite = 0; rewrite < 2; rewrite++) {
        check_move(NULL, for_peer_aof, PEER, aof, rewrite);
        check_move(NULL, for_peer_commands, PEER, aof_commands, rewrite);
        check_move(PEER, aof, NULL, aof, rewrite);
        check_move(PEER, aof_commands, NULL, aof_commands, rewrite);
    }
}

static void payloads_move_both_ways(void **state) {
    (void)state;
    struct server *s = launch(NULL, NULL, NULL), *peer = launch(PEER, NULL, NULL);
    struct server *const from[] = { s, peer }, *const to[] = { peer, s };
    for (size_t i = 0; i < 2; i++) {
        struct client *giver = server_connect(from[i]), *taker = server_connect(to[i]);
        struct text before = { 0 };
        assert_reply(giver, "FUNCTION FLUSH", "+OK");
        assert_reply(taker, "FUNCTION FLUSH", "+OK");
        load_two(giver);
        describe(from[i], &before);
        struct node *payload = client_ask_node(giver, "FUNCTION DUMP");
        restore(taker, payload, NULL, "+OK");
        assert_same(to[i], &before);
        assert_called(to[i]);
        restore(taker, payload, "APPEND", "-ERR Library ... already exists");
        restore(taker, payload, "REPLACE", "+OK");
        assert_reply(taker, "FUNCTION LOAD " GONE, "$\"gone\"");
        restore(taker, payload, "REPLACE", "+OK");
        assert_reply(taker, "FCALL gone 0", ":1");
        restore(taker, payload, "FLUSH", "+OK");
        assert_same(to[i], &before);
        node_free(payload);
        assert_reply(giver, "FUNCTION FLUSH", "+OK");
        payload = client_ask_node(giver, "FUNCTION DUMP");
        assert_int_equal(payload->bytes.len, 10);
        restore(taker, payload, NULL, "+OK");
        assert_same(to[i], &before);
        restore(taker, payload, "FLUSH", "+OK");
        assert_reply(taker, "FUNCTION LIST", "*[]");
        node_free(payload);
        client_close(giver);
        client_close(taker);
        text_release(&before);
    }
    server_free(s);
    server_free(peer);
}

/* ---- scripts as older servers wrote them ---- */

static void append_command(struct text *out, const char *line) {
    struct words w = { 0 };
    assert_true(words_split(&w, line));
    text_printf(out, "*%zu\r\n", w.count);
    for (size_t i = 0; i < w.count; i++) {
        text_printf(out, "$%zu\r\n", w.items[i].len);
        text_append(out, w.items[i].ptr, w.items[i].len);
        text_append_str(out, "\r\n");
    }
    words_release(&w);
}

static void scripts_of_older_files_are_run_again(void **state) {
    (void)state;
    static const char *const lines[] = {
        "SELECT 0",
        "SET n 1",
        "SCRIPT LOAD \"return redis.call('INCRBY', KEYS[1], ARGV[1])\"",
        "EVALSHA 5f5c5a1b0f4f8b8d4f5b8e2d7f6c5d4e3c2b1a09 1 n 1", /* of a script that is not there */
        "EVAL \"return redis.call('INCRBY', KEYS[1], ARGV[1])\" 1 n 10",
        "EVALSHA %s 1 n 100",
        "MULTI",
        "EVAL \"redis.call('SELECT', '3') redis.call('SET', 'three', 'v')\" 0",
        "EVAL \"redis.replicate_commands() redis.call('RPUSH', 'l', 'a', 'b')\" 0",
        "EXEC",
        "EVAL \"redis.call('INCR', 'n') error('boom')\" 0",
        "EVAL \"for i = 1, 3e7 do end redis.call('INCR', 'n')\" 0", /* slow: nobody is told BUSY */
    };
    struct server *s = server_start("--appendonly", "yes", "--busy-reply-threshold", "1", NULL);
    struct client *c = server_connect(s);
    struct text file = { 0 }, sha = { 0 };
    text_append_str(&sha, client_ask(c, "SCRIPT LOAD \"return redis.call('INCRBY', KEYS[1], ARGV[1])\""));
    client_close(c);
    server_stop(s);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        char line[256];
        const char *percent = strstr(lines[i], "%s");
        snprintf(line, sizeof line, "%.*s%.*s%s", percent ? (int)(percent - lines[i]) : 255, lines[i],
                 percent ? 40 : 0, text_str(&sha) + 2, percent ? percent + 2 : "");
        append_command(&file, line);
    }
    file_write(server_path(s, FOLDER "appendonly.aof.1.incr.aof"), &file);
    for (int i = 0; i < 2; i++) {
        server_restart(s);
        c = server_connect(s);
        assert_reply(c, "GET n", "$\"113\"");
        assert_reply(c, "LRANGE l 0 -1", "*[$\"a\", $\"b\"]");
        assert_reply(c, "GET three", "$-1");
        assert_reply(c, "SELECT 3", "+OK");
        assert_reply(c, "GET three", "$\"v\"");
        client_close(c);
        server_kill(s);
    }
    text_release(&file);
    text_release(&sha);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libraries_are_in_rdb_files),
        cmocka_unit_test(a_changed_library_is_a_change_to_be_saved),
        cmocka_unit_test(they_survive_debug_reload),
        cmocka_unit_test(functions_belong_to_no_database),
        cmocka_unit_test(a_broken_library_refuses_the_start),
        cmocka_unit_test(a_library_that_loads_slowly_is_loaded_all_the_same),
        cmocka_unit_test(the_check_tool_counts_them_not_as_keys),
        cmocka_unit_test(what_changes_libraries_is_journaled),
        cmocka_unit_test(a_rewritten_base_has_them_before_the_keys),
        cmocka_unit_test(rdb_files_move_both_ways),
        cmocka_unit_test(append_only_folders_move_both_ways),
        cmocka_unit_test(payloads_move_both_ways),
        cmocka_unit_test(scripts_of_older_files_are_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
