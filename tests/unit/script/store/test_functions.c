/* Libraries come and go as a whole: after an error everything is as it was, whatever the policy. */
#include "../../../harness/loopback.h"
#include "trivet/script/store/functions.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct loopback *client;

static int open_client(void **state) {
    loopback_empty(state);
    functions_flush(false);
    client = loopback_open();
    return 0;
}

static int close_client(void **state) {
    (void)state;
    loopback_close(client);
    return 0;
}

/* The code of a library whose functions return `result`; `names` is a list "f g". Valid for 8 calls. */
#define FUNCTION "redis.register_function('%.*s', function() return %d end)\n"
static struct slice library(const char *name, const char *names, int result) {
    static char codes[8][1024];
    static int next;
    char *code = codes[next++ % 8];
    int len = sprintf(code, "#!lua name=%s\n", name);
    for (const char *at = names; *at;) {
        int word = (int)strcspn(at, " ");
        len += sprintf(code + len, FUNCTION, word, at, result);
        at += word + (at[word] == ' ');
    }
    return slice_make(code, (size_t)len);
}

static const char *load(struct slice code, bool replace) {
    static char said[256];
    struct slice name;
    struct buf error = { 0 };
    if (functions_load(code, replace, &name, &error))
        snprintf(said, sizeof said, "loaded %.*s", SLICE_ARG(name));
    else
        snprintf(said, sizeof said, "%s", buf_cstr(&error));
    buf_release(&error);
    return said;
}

/* "lib: f g; other: h", in the order in which they are kept. */
static void assert_there(const char *expected) {
    char there[512] = "";
    size_t libraries = 0, functions = 0;
    struct functions_info info;
    for (const struct library *l = functions_first(); l; l = functions_after(l)) {
        sprintf(there + strlen(there), "%s%.*s:", libraries++ ? "; " : "", SLICE_ARG(l->name));
        FUNCTIONS_OF(l, f) {
            sprintf(there + strlen(there), " %s", f->name);
            assert_ptr_equal(functions_find(slice_of(f->name)), f);
            assert_ptr_equal(f->library, l);
            functions++;
        }
    }
    assert_string_equal(there, expected);
    functions_info(&info);
    assert_int_equal(info.libraries, libraries);
    assert_int_equal(info.functions, functions);
    assert_true(info.interpreter > 0);
}

/* ---- one library ---- */

static void a_library_has_its_functions_and_its_code(void **state) {
    (void)state;
    struct slice code = library("lib", "f g", 1);
    assert_string_equal(load(code, false), "loaded lib");
    assert_there("lib: f g");
    assert_true(slice_equal(functions_first()->code, code));
    assert_ptr_equal(functions_find(LIT("F")), functions_find(LIT("f")));
    assert_null(functions_find(LIT("")));
    assert_null(functions_find(LIT("fg")));
    assert_says(client, "FCALL g 0", ":1");
}

static void long_names_differ_at_their_ends(void **state) {
    (void)state;
    char names[300], one[140];
    memset(one, 'n', 130);
    one[130] = '\0';
    sprintf(names, "%s1 %s2", one, one);
    assert_string_equal(load(library("lib", names, 1), false), "loaded lib");
    one[130] = '2';
    one[131] = '\0';
    assert_string_equal(functions_find(slice_of(one))->name, one);
    one[130] = '3';
    assert_null(functions_find(slice_of(one)));
    one[0] = 'N';
    one[130] = '1';
    assert_non_null(functions_find(slice_of(one)));
}

#define TWICE "ERR Function already exists in the library"

static void names_that_are_taken_clash(void **state) {
    (void)state;
    load(library("lib", "f g", 1), false);
    load(library("other", "h", 1), false);
    static const struct {
        const char *library, *functions, *says;
        bool replace;
    } rows[] = {
        { "lib", "x", "ERR Library 'lib' already exists", false },
        { "new", "x h", "ERR Function h already exists", false },
        { "new", "H", "ERR Function H already exists", false },
        { "lib", "f h", "ERR Function h already exists", true },
        { "new", "x f", "ERR Function f already exists", true },
        { "new", "x x", TWICE, false },
        { "new", "x X", TWICE, false },
        { "new", "", "ERR No functions registered", false },
        { "new", "a-b",
          "ERR Function names can only contain letters, numbers, or "
          "underscores(_) and must be at least one character long",
          false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice code = library(rows[i].library, rows[i].functions, 2);
        assert_string_equal(load(code, rows[i].replace), rows[i].says);
        assert_there("lib: f g; other: h");
        assert_says(client, "FCALL f 0", ":1");
        assert_says(client, "FCALL h 0", ":1");
    }
    /* Names of libraries are exact. */
    assert_string_equal(load(library("LIB", "x", 1), false), "loaded LIB");
}

static void replacing_takes_the_whole_library_away(void **state) {
    (void)state;
    load(library("lib", "f g", 1), false);
    assert_string_equal(load(library("lib", "g h", 2), true), "loaded lib");
    assert_there("lib: g h");
    assert_null(functions_find(LIT("f")));
    assert_says(client, "FCALL g 0", ":2");
    assert_string_equal(load(library("new", "f", 3), true), "loaded new");
    assert_there("lib: g h; new: f");
}

static void a_library_that_fails_late_leaves_nothing(void **state) {
    (void)state;
    struct functions_info before, after;
    load(library("lib", "f", 1), false);
    functions_info(&before);
    static const char *const codes[] = {
        "#!lua name=lib\nredis.register_function('f', function() return 2 end) nonsense",
        "#!lua name=lib\nredis.register_function('f', function() return 2 end) local x = y",
        "#!lua name=lib\nredis.register_function('f', function() return 2 end) "
        "redis.register_function('g', 1)",
        "#!lua name=lib\nredis.register_function('f', function() return 2 end) for i = 1, 1e12 do end",
    };
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(codes); i++) {
            if (i == 3 && round > 0) continue; /* it takes half a second */
            assert_memory_equal(load(slice_of(codes[i]), true), "ERR Error ", 10);
            assert_there("lib: f");
            assert_says(client, "FCALL f 0", ":1");
        }
    }
    functions_info(&after);
    assert_int_equal(after.memory, before.memory);
}

static void deleting_and_flushing_give_everything_back(void **state) {
    (void)state;
    struct functions_info before, after;
    functions_info(&before);
    assert_false(functions_delete(LIT("lib")));
    for (int i = 0; i < 3; i++) {
        load(library("lib", "f g", 1), false);
        load(library("other", "h", 1), false);
        if (i == 0) {
            assert_false(functions_delete(LIT("LIB")));
            assert_true(functions_delete(LIT("lib")));
            assert_there("other: h");
            assert_true(functions_delete(LIT("other")));
        } else {
            functions_flush(i == 1);
        }
        assert_there("");
        assert_null(functions_find(LIT("h")));
        functions_info(&after);
        assert_int_equal(after.libraries, 0);
        if (i > 0) assert_true(after.memory < 4096);
    }
    assert_says(client, "FCALL f 0", "-ERR Function not found");
}

static void what_a_library_keeps_to_itself_lives_with_it(void **state) {
    (void)state;
    static const char code[] = "#!lua name=lib\nlocal n = 0 "
                               "redis.register_function('count', function() n = n + 1 return n end)";
    load(LIT(code), false);
    assert_says(client, "FCALL count 0", ":1");
    assert_says(client, "FCALL count 0", ":2");
    load(LIT(code), true);
    assert_says(client, "FCALL count 0", ":1");
}

/* ---- several at once ---- */

static const char *load_all(const struct slice *codes, size_t count, enum restore_policy policy) {
    static char said[256];
    struct buf error = { 0 };
    bool good = functions_load_all(codes, count, policy, &error);
    snprintf(said, sizeof said, "%s", good ? "loaded" : buf_cstr(&error));
    buf_release(&error);
    return said;
}

struct many {
    const char *names[4][2]; /* library, functions; what is there before is "lib: f g" and "other: h" */
    const char *append, *replace, *flush;
    const char *appended, *replaced, *flushed; /* what is there then */
};

#define SAME "lib: f g; other: h"

static const struct many many[] = {
    { { { NULL, NULL } }, "loaded", "loaded", "loaded", SAME, SAME, "" },
    { { { "a", "x" }, { "b", "y z" } },
      "loaded",
      "loaded",
      "loaded",
      SAME "; a: x; b: y z",
      SAME "; a: x; b: y z",
      "a: x; b: y z" },
    { { { "a", "x" }, { "lib", "y" } },
      "ERR Library lib already exists",
      "loaded",
      "loaded",
      SAME,
      "other: h; a: x; lib: y",
      "a: x; lib: y" },
    { { { "a", "x" }, { "b", "h" } },
      "ERR Function h already exists",
      "ERR Function h already exists",
      "loaded",
      SAME,
      SAME,
      "a: x; b: h" },
    /* A name moves from one library to another, both of them new. */
    { { { "other", "f" }, { "lib", "h" } },
      "ERR Library other already exists",
      "loaded",
      "loaded",
      SAME,
      "other: f; lib: h",
      "other: f; lib: h" },
    { { { "a", "x" }, { "a", "y" } },
      "ERR Library 'a' already exists",
      "ERR Library 'a' already exists",
      "ERR Library 'a' already exists",
      SAME,
      SAME,
      SAME },
    { { { "a", "x" }, { "b", "y X" } },
      "ERR Function X already exists",
      "ERR Function X already exists",
      "ERR Function X already exists",
      SAME,
      SAME,
      SAME },
    { { { "a", "x" }, { "b", "" } },
      "ERR No functions registered",
      "ERR No functions registered",
      "ERR No functions registered",
      SAME,
      SAME,
      SAME },
};

static void all_are_loaded_or_none(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        const struct many *m = &many[i];
        const char *const says[] = { m->append, m->flush, m->replace };
        const char *const there[] = { m->appended, m->flushed, m->replaced };
        for (enum restore_policy policy = RESTORE_APPEND; policy <= RESTORE_REPLACE; policy++) {
            struct slice codes[4];
            size_t count = 0;
            functions_flush(false);
            load(library("lib", "f g", 1), false);
            load(library("other", "h", 1), false);
            for (; count < 4 && m->names[count][0]; count++)
                codes[count] = library(m->names[count][0], m->names[count][1], 2);
            assert_string_equal(load_all(codes, count, policy), says[policy]);
            assert_there(there[policy]);
        }
    }
}

static void a_payload_brings_back_what_was_dumped(void **state) {
    (void)state;
    struct buf payload = { 0 }, error = { 0 };
    load(library("lib", "f g", 1), false);
    load(library("other", "h", 1), false);
    functions_dump(&payload);
    functions_flush(false);
    assert_true(functions_restore(buf_slice(&payload), RESTORE_APPEND, &error));
    assert_there(SAME);
    assert_says(client, "FCALL h 0", ":1");
    assert_false(functions_restore(buf_slice(&payload), RESTORE_APPEND, &error));
    assert_string_equal(buf_cstr(&error), "ERR Library lib already exists");
    for (size_t len = 0; len < payload.len; len++) {
        buf_clear(&error);
        assert_false(functions_restore(slice_make(payload.ptr, len), RESTORE_FLUSH, &error));
        assert_string_equal(buf_cstr(&error), "ERR DUMP payload version or checksum are wrong");
    }
    assert_there(SAME);
    buf_release(&payload);
    buf_release(&error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_library_has_its_functions_and_its_code),
        TEST(long_names_differ_at_their_ends),
        TEST(names_that_are_taken_clash),
        TEST(replacing_takes_the_whole_library_away),
        TEST(a_library_that_fails_late_leaves_nothing),
        TEST(deleting_and_flushing_give_everything_back),
        TEST(what_a_library_keeps_to_itself_lives_with_it),
        TEST(all_are_loaded_or_none),
        TEST(a_payload_brings_back_what_was_dumped),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
