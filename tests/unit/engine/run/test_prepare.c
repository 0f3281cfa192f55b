/* The first steps of a batch: commands are found, keys resolved, and nothing is locked. */
#include "../../../harness/loopback.h"
#include "trivet/base/mem.h"
#include "trivet/engine/command/registry.h"
#include "trivet/resp/parser.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct line {
    struct slice *argv;
    size_t argc;
    char *text;
};

static struct line line_of(const char *words) {
    struct line l;
    assert_true(split_line(slice_of(words), &l.argv, &l.argc, &l.text));
    return l;
}

static void line_release(struct line *l) {
    mem_free(l->argv);
    mem_free(l->text);
}

/* A key is what hashing it would give, and lies where its argument is. */
static void assert_keys(const struct prepared *p, const struct line *l, const char *expected) {
    char found[256] = "";
    for (size_t i = 0; i < p->keys.count; i++) {
        const struct keyref *key = &p->keys.at[i];
        struct keyref right = keyref_of(key->key);
        size_t len = strlen(found);
        snprintf(found + len, sizeof found - len, "%s%.*s", len ? " " : "", SLICE_ARG(key->key));
        assert_int_equal(key->hash, right.hash);
        assert_int_equal(key->shard, right.shard);
        assert_ptr_equal(key->key.ptr, l->argv[key->argument].ptr);
    }
    assert_string_equal(found, expected);
}

static void commands_and_their_keys_are_found(void **state) {
    (void)state;
    static const struct {
        const char *line, *command, *keys; /* command NULL: none */
    } rows[] = {
        { "GET k", "get", "k" },
        { "get k", "get", "k" },
        { "GET", "get", "" },
        { "GET k too many", "get", "k" },
        { "PING k", "ping", "" },
        { "NOSUCH k", NULL, "" },
        { "MGET a b c", "mget", "a b c" },
        { "MSET a 1 b 2", "mset", "a b" },
        { "BLPOP a b 0", "blpop", "a b" },
        { "LMOVE from to LEFT RIGHT", "lmove", "from to" },
        { "ZUNION 2 a b", "zunion", "a b" },
        { "ZUNION 3 a b", "zunion", "" },
        { "ZUNION x a b", "zunion", "" },
        { "ZUNION -1 a b", "zunion", "" },
        { "ZUNIONSTORE to 2 a b", "zunionstore", "to a b" },
        { "XREAD COUNT 1 STREAMS a b 0 0", "xread", "a b" },
        { "SORT k STORE to", "sort", "k to" },
        { "CONFIG GET port", "config|get", "" },
        { "CONFIG NOSUCH", NULL, "" },
        { "OBJECT ENCODING k", "object|encoding", "k" },
        { "FLUSHALL", "flushall", "" },
    };
    struct prepared p = { 0 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct line l = line_of(rows[i].line);
        dispatch_prepare(l.argv, l.argc, &p);
        assert_string_equal(p.command ? p.command->full_name : "-", rows[i].command ? rows[i].command : "-");
        assert_keys(&p, &l, rows[i].keys);
        line_release(&l);
    }
    prepared_release(&p);
}

/* The last look-up is remembered by name: a container's subcommands must not be. */
static void a_repeated_name_is_found_again(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        { "GET k", "get" },          { "GET k", "get" },          { "GETDEL k", "getdel" },
        { "GETX k", NULL },          { "GETX k", NULL },          { "OBJECT FREQ k", "object|freq" },
        { "OBJECT HELP", "object|help" }, { "GET k", "get" },
    };
    struct prepared p = { 0 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct line l = line_of(rows[i][0]);
        dispatch_prepare(l.argv, l.argc, &p);
        assert_ptr_equal(p.command, rows[i][1] ? registry_find_full(slice_of(rows[i][1])) : NULL);
        line_release(&l);
    }
    prepared_release(&p);
}

static void memory_for_many_keys_is_used_again(void **state) {
    (void)state;
    struct line many = line_of("MGET a b c d e f g h"), fewer = line_of("MGET a b c d e f"),
                one = line_of("GET k");
    struct prepared p = { 0 };
    dispatch_prepare(many.argv, many.argc, &p);
    const struct keyref *at = p.keys.at;
    assert_keys(&p, &many, "a b c d e f g h");
    assert_ptr_not_equal(at, p.keys.inside);
    dispatch_prepare(fewer.argv, fewer.argc, &p);
    assert_ptr_equal(p.keys.at, at);
    assert_keys(&p, &fewer, "a b c d e f");
    dispatch_prepare(one.argv, one.argc, &p);
    assert_keys(&p, &one, "k");
    prepared_release(&p);
    line_release(&many);
    line_release(&fewer);
    line_release(&one);
}

#define MANY 3000

static void a_command_may_have_thousands_of_keys(void **state) {
    (void)state;
    struct slice *argv = mem_alloc((MANY + 1) * sizeof *argv);
    char(*names)[8] = mem_alloc(MANY * sizeof *names);
    argv[0] = LIT("DEL");
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "k%zu", i);
        argv[i + 1] = slice_of(names[i]);
    }
    struct prepared p = { 0 };
    dispatch_prepare(argv, MANY + 1, &p);
    assert_int_equal(p.keys.count, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(p.keys.at[i].argument, i + 1);
        assert_int_equal(p.keys.at[i].hash, keyref_of(argv[i + 1]).hash);
    }
    /* So much is not kept for the next command. */
    dispatch_prepare(argv, 3, &p);
    assert_int_equal(p.keys.count, 2);
    assert_true(p.keys.room < MANY);
    prepared_release(&p);
    mem_free(argv);
    mem_free(names);
}

/* Fetching ahead looks at tables only: no hit is counted, nothing expires, no lock is left behind. */
static void prefetching_changes_nothing(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    static const char *const lines[] = { "GET s", "HGET h f", "MGET s h none" };
    struct line words[COUNT_OF(lines)];
    struct prepared batch[COUNT_OF(lines)] = { 0 };
    assert_says(l, "SET s v PX 10", "+OK");
    assert_says(l, "HSET h f v", ":1");
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        words[i] = line_of(lines[i]);
        dispatch_prepare(words[i].argv, words[i].argc, &batch[i]);
    }
    loopback_advance(11);
    dispatch_prefetch(loopback_client(l), batch, COUNT_OF(lines));
    assert_int_equal(keyspace_count(0), 2);
    assert_says(l, "SELECT 5", "+OK"); /* a database in which nothing ever was */
    dispatch_prefetch(loopback_client(l), batch, COUNT_OF(lines));
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        line_release(&words[i]);
        prepared_release(&batch[i]);
    }
    loopback_close(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(commands_and_their_keys_are_found),
        LOOPBACK_TEST(a_repeated_name_is_found_again),
        LOOPBACK_TEST(memory_for_many_keys_is_used_again),
        LOOPBACK_TEST(a_command_may_have_thousands_of_keys),
        LOOPBACK_TEST(prefetching_changes_nothing),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
