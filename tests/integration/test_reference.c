/* test_reference.c: conf/trivet.conf tells the truth: it has every directive once, with its default, says
 * which are fixed at start and which have no effect, and a server takes it, as it is and with all of its
 * lines in force. */
#include "../harness/fixture.h"
#include "engine/settings/rows.h"
#include "trivet/base/file.h"
#include "trivet/base/mem.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFERENCE "conf/trivet.conf" /* tests run in the root of the sources */
#define LINES_MAX 4000

static struct {
    char *text, *line[LINES_MAX]; /* each without its end */
    size_t count;
} file;

static int read_reference(void **state) {
    (void)state;
    struct buf whole = { 0 };
    int fd = open(REFERENCE, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !file_read_all(fd, 1 << 20, &whole)) return -1;
    close(fd);
    file.text = slice_to_cstr(buf_slice(&whole));
    buf_release(&whole);
    for (char *at = strtok(file.text, "\n"); at && file.count < LINES_MAX; at = strtok(NULL, "\n"))
        file.line[file.count++] = at;
    options_init();
    return 0;
}

static int forget_reference(void **state) {
    (void)state;
    options_release();
    mem_free(file.text);
    return 0;
}

/* The value in a line "# name value"; NULL if it is another line. */
static const char *value_in(const char *line, const char *name) {
    size_t len = strlen(name);
    bool is_it = strncmp(line, "# ", 2) == 0 && strncmp(line + 2, name, len) == 0 && line[2 + len] == ' ';
    return is_it ? line + 2 + len + 1 : NULL;
}

/* Where the directive stands; it must be there once. */
static size_t find_line(const char *name) {
    size_t found = LINES_MAX;
    for (size_t i = 0; i < file.count; i++) {
        if (!value_in(file.line[i], name)) continue;
        if (found != LINES_MAX) fail_msg("%s is there twice, or a sentence begins with it", name);
        found = i;
    }
    if (found == LINES_MAX) fail_msg("%s is not in " REFERENCE, name);
    return found;
}

static const struct option *row_of_line(const char *line) {
    struct slice word = slice_of(line);
    if (strncmp(line, "# ", 2) != 0) return NULL;
    word = slice_from(word, 2);
    for (size_t len = 0; len < word.len; len++)
        if (word.ptr[len] == ' ') word.len = len;
    return options_row_named(word);
}

/* The sentences right above a directive's line, in one piece. */
static void sentences_above(size_t at, struct buf *out) {
    size_t first = at;
    while (first > 0 && strncmp(file.line[first - 1], "# ", 2) == 0 && !row_of_line(file.line[first - 1]))
        first--;
    for (size_t i = first; i < at; i++) buf_printf(out, "%s%s", i == first ? "" : " ", file.line[i] + 2);
}

/* As a config file reads it: in quotes or as one or more words. */
static void assert_is_default(const struct option *o, const char *value) {
    struct buf why = { 0 }, stored = { 0 };
    struct slice text = slice_of(value);
    bool is_quoted = text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"';
    if (is_quoted) text = slice_make(text.ptr + 1, text.len - 2);
    if (!option_store_text(o, text, &why)) fail_msg("%s %s: %s", o->name, value, buf_cstr(&why));
    option_stored(o, &stored);
    if (!option_is_initial(o))
        fail_msg("%s is %s by default, and not %s", o->name, option_initial(o), buf_cstr(&stored));
    option_reset(o);
    buf_release(&stored);
    buf_release(&why);
}

static void every_directive_is_there_once_with_its_default(void **state) {
    (void)state;
    for (size_t i = 0; i < options_row_count(); i++) {
        const struct option *o = options_row(i);
        if (!o->alias_of) assert_is_default(o, value_in(file.line[find_line(o->name)], o->name));
    }
}

static void nothing_is_in_force_and_nothing_is_invented(void **state) {
    (void)state;
    for (size_t i = 0; i < file.count; i++) {
        if (file.line[i][0] != '#') fail_msg("'%s' is no comment", file.line[i]);
        if (strlen(file.line[i]) > 120) fail_msg("'%s' is too long", file.line[i]);
    }
}

static bool has_effect(const struct option *o) {
    return !o->alias_of && !(o->flags & (OPTION_NO_EFFECT | OPTION_HIDDEN));
}

static void what_has_an_effect_is_explained_and_says_if_it_is_fixed_at_start(void **state) {
    (void)state;
    for (size_t i = 0; i < options_row_count(); i++) {
        const struct option *o = options_row(i);
        if (!has_effect(o)) continue;
        struct buf above = { 0 };
        sentences_above(find_line(o->name), &above);
        const char *text = buf_cstr(&above);
        if (above.len < 15 || text[above.len - 1] != '.')
            fail_msg("%s is not explained: '%s'", o->name, text);
        bool says = strstr(text, "At start only.") != NULL, is = (o->flags & OPTION_IMMUTABLE) != 0;
        if (says != is) fail_msg("%s %s only be set at start", o->name, is ? "can" : "need not");
        buf_release(&above);
    }
}

static size_t find_heading(const char *words) {
    for (size_t i = 0; i < file.count; i++)
        if (strstr(file.line[i], words)) return i;
    fail_msg("there is no '%s' in " REFERENCE, words);
    return 0;
}

static void what_has_none_stands_under_that_heading(void **state) {
    (void)state;
    size_t begin = find_heading("---- Accepted without effect ----"),
           end = find_heading("---- Older names ----");
    for (size_t i = 0; i < options_row_count(); i++) {
        const struct option *o = options_row(i);
        if (o->alias_of) continue;
        size_t at = find_line(o->name);
        bool is_under = at > begin && at < end, has_none = (o->flags & OPTION_NO_EFFECT) != 0;
        if (is_under != has_none) fail_msg("%s has %s effect", o->name, has_none ? "no" : "an");
    }
}

static void every_older_name_is_said_to_mean_the_newer_one(void **state) {
    (void)state;
    for (size_t i = 0; i < options_row_count(); i++) {
        const struct option *o = options_row(i);
        size_t found = 0;
        for (size_t j = find_heading("---- Older names ----"); o->alias_of && j < file.count; j++) {
            char old[80] = "", new[80] = "";
            bool is_pair = sscanf(file.line[j], "# %79s -> %79s", old, new) == 2;
            found += is_pair && strcmp(old, o->name) == 0 && strcmp(new, o->alias_of) == 0;
        }
        if (o->alias_of && found != 1) fail_msg("'%s -> %s' is there %zu times", o->name, o->alias_of, found);
    }
}

/* ---- a server on it ---- */

static void assert_all_settings_are_at_their_default(struct client *c) {
    for (size_t i = 0; i < options_row_count(); i++) {
        const struct option *o = options_row(i);
        static const char *const of_the_test[] = { "dir", "port", "unixsocket", "io-threads" };
        bool skipped = o->alias_of != NULL;
        for (size_t j = 0; j < COUNT_OF(of_the_test); j++) skipped |= strcmp(o->name, of_the_test[j]) == 0;
        if (skipped) continue;
        struct buf expected = { 0 };
        option_get(o, &expected); /* of this process, where nothing was set */
        struct node *reply = client_ask_node(c, "CONFIG GET %s", o->name);
        assert_int_equal(reply->count, 2);
        if (strcmp(text_str(&reply->items[1]->bytes), buf_cstr(&expected)) != 0)
            fail_msg("%s is '%s', not '%s'", o->name, text_str(&reply->items[1]->bytes), buf_cstr(&expected));
        node_free(reply);
        buf_release(&expected);
    }
}

static void assert_served_with(const struct buf *conf, bool has_warnings) {
    char *text = slice_to_cstr(buf_slice(conf));
    struct server *s = server_launch(&(struct server_plan){ .conf = text, .bare = true });
    struct client *c = server_connect(s);
    assert_all_settings_are_at_their_default(c);
    assert_reply(c, "SET k v", "+OK");
    assert_int_equal(strstr(server_log(s), "'activerehashing' is accepted but has no effect") != NULL,
                     has_warnings);
    client_close(c);
    server_free(s);
    mem_free(text);
}

static void a_server_takes_it_as_it_is(void **state) {
    (void)state;
    struct buf conf = { 0 };
    for (size_t i = 0; i < file.count; i++) buf_printf(&conf, "%s\n", file.line[i]);
    assert_served_with(&conf, false);
    buf_release(&conf);
}

static void a_server_takes_all_its_lines_in_force_at_once(void **state) {
    (void)state;
    struct buf conf = { 0 };
    size_t in_force = 0;
    for (size_t i = 0; i < file.count; i++) {
        bool is_directive = row_of_line(file.line[i]) != NULL;
        buf_printf(&conf, "%s\n", file.line[i] + (is_directive ? 2 : 0));
        in_force += is_directive;
    }
    assert_true(in_force > 200);
    assert_served_with(&conf, true);
    buf_release(&conf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_directive_is_there_once_with_its_default),
        cmocka_unit_test(nothing_is_in_force_and_nothing_is_invented),
        cmocka_unit_test(what_has_an_effect_is_explained_and_says_if_it_is_fixed_at_start),
        cmocka_unit_test(what_has_none_stands_under_that_heading),
        cmocka_unit_test(every_older_name_is_said_to_mean_the_newer_one),
        cmocka_unit_test(a_server_takes_it_as_it_is),
        cmocka_unit_test(a_server_takes_all_its_lines_in_force_at_once),
    };
    return cmocka_run_group_tests(tests, read_reference, forget_reference);
}
