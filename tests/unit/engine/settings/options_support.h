/* options_support.h: what the tests of the settings share: a folder of their own, a fresh set of settings for
 * each test, and checks that speak in names and texts. Every test file includes it once. */
#ifndef TRIVET_TESTS_UNIT_ENGINE_OPTIONS_SUPPORT_H
#define TRIVET_TESTS_UNIT_ENGINE_OPTIONS_SUPPORT_H

#include "engine/settings/rows.h"

#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/eviction.h"
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HELP __attribute__((unused)) static

HELP const struct options_caller remote = { 0 };
HELP char home[] = "/tmp/trivet-options-XXXXXX"; /* files of the tests */
HELP char start_folder[PATH_MAX];

HELP int fresh(void **state) {
    (void)state;
    if (chdir(home) != 0) return -1;
    memset(&options_hooks, 0, sizeof options_hooks);
    options_init();
    return 0;
}

HELP int release(void **state) {
    (void)state;
    options_release();
    return 0;
}

static const char *text_of(struct buf *b) {
    buf_append_byte(b, '\0');
    b->len--;
    return b->ptr;
}

HELP void assert_shown(const char *name, const char *expected) {
    struct buf out = { 0 };
    const struct option *o = options_find(slice_of(name));
    assert_non_null(o);
    option_get(o, &out);
    assert_string_equal(text_of(&out), expected);
    buf_release(&out);
}

/* NULL: must succeed. */
HELP void assert_set_by(const char *name, const char *value, struct options_caller who, const char *error) {
    struct slice pair[2] = { slice_of(name), slice_of(value) };
    struct buf out = { 0 };
    bool done = options_set(pair, 1, who, &out);
    assert_string_equal(text_of(&out), error ? error : "");
    assert_int_equal(done, error == NULL);
    buf_release(&out);
}

HELP void assert_set(const char *name, const char *value) { assert_set_by(name, value, remote, NULL); }

HELP void assert_refused(const char *name, const char *value, const char *why) {
    struct buf expected = { 0 };
    buf_printf(&expected, "ERR CONFIG SET failed (possibly related to argument '%s') - %s", name, why);
    assert_set_by(name, value, remote, text_of(&expected));
    buf_release(&expected);
}

HELP void write_file(const char *name, const char *text) {
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0); /* else passwords in it are warned about */
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

HELP void assert_file(const char *name, const char *expected) {
    struct buf out = { 0 };
    assert_true(options_read_file(name, &out));
    assert_string_equal(text_of(&out), expected);
    buf_release(&out);
}

#define WORDS_MAX 16

/* Loads a command line given as words up to NULL. */
HELP bool load_words(struct buf *warnings, struct buf *error, const char *const *word) {
    char *argv[WORDS_MAX] = { mem_strdup("trivet-server") };
    int argc = 1;
    for (; word[argc - 1]; argc++) argv[argc] = mem_strdup(word[argc - 1]);
    bool loaded = options_load(argc, argv, warnings, error);
    for (int i = 0; i < argc; i++) mem_free(argv[i]);
    return loaded;
}

HELP void assert_load(const char *const *word, const char *warnings, const char *error) {
    struct buf told = { 0 }, failed = { 0 };
    bool loaded = load_words(&told, &failed, word);
    assert_string_equal(text_of(&failed), error ? error : "");
    assert_string_equal(text_of(&told), warnings);
    assert_int_equal(loaded, error == NULL);
    buf_release(&told);
    buf_release(&failed);
}

#define LOADS(...) assert_load((const char *const[]){ __VA_ARGS__, NULL }, "", NULL)
#define LOADS_WARNING(warnings, ...) assert_load((const char *const[]){ __VA_ARGS__, NULL }, warnings, NULL)
#define FAILS(error, ...) assert_load((const char *const[]){ __VA_ARGS__, NULL }, "", error)
#define FATAL "*** FATAL CONFIG FILE ERROR (Trivet) ***\n"

HELP int make_home(void **state) {
    (void)state;
    return getcwd(start_folder, sizeof start_folder) && mkdtemp(home) ? 0 : -1;
}

HELP int remove_home(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", home);
    return chdir(start_folder) == 0 && system(command) == 0 ? 0 : -1;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fresh, release)

#endif
