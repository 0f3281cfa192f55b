/* The forms of a log line, letter by letter, and where lines go. */
#include <syslog.h>
/* After <syslog.h>, whose LOG_DEBUG, LOG_NOTICE and LOG_WARNING it replaces. */
#include "trivet/base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/trivet-log-XXXXXX";
static char path[64];

static int set_up(void **state) {
    (void)state;
    unlink(path);
    log_set_level(LOG_LEVEL_NOTICE);
    log_set_form(LOG_FORMAT_LEGACY, LOG_TIMESTAMP_LEGACY);
    log_set_role('M');
    return log_set_file(path) ? 0 : -1;
}

/* The whole log file; valid until the next call. */
static const char *read_log(void) {
    static char text[1 << 20];
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(got >= 0);
    text[got] = '\0';
    return text;
}

static void assert_matches(const char *text, const char *pattern) {
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int result = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    if (result != 0) fail_msg("'%s' is not '%s'", text, pattern);
}

#define MONTH "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
#define LEGACY_TIME "[0-9]{2} " MONTH " 20[0-9]{2} [0-9:]{8}[.][0-9]{3}"
#define ISO_TIME "20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}[+-][0-9]{2}:[0-9]{2}"

static void a_line_has_valkeys_form(void **state) {
    (void)state;
    LOG_NOTICE("Ready to accept %s", "connections");
    char pattern[200];
    snprintf(pattern, sizeof pattern, "^%d:M " LEGACY_TIME " [*] Ready to accept connections\n$",
             (int)getpid());
    assert_matches(read_log(), pattern);
}

static void each_level_has_its_mark(void **state) {
    (void)state;
    log_set_level(LOG_LEVEL_DEBUG);
    LOG_DEBUG("one");
    LOG_VERBOSE("two");
    LOG_NOTICE("three");
    log_set_role('S');
    LOG_WARNING("four");
    assert_matches(read_log(), "^[0-9]+:M " LEGACY_TIME " [.] one\n"
                               "[0-9]+:M " LEGACY_TIME " - two\n"
                               "[0-9]+:M " LEGACY_TIME " [*] three\n"
                               "[0-9]+:S " LEGACY_TIME " # four\n$");
}

static void lines_below_the_level_are_not_written(void **state) {
    (void)state;
    log_set_level(LOG_LEVEL_WARNING);
    assert_false(log_wants(LOG_LEVEL_NOTICE));
    LOG_NOTICE("not this");
    LOG_WARNING("but this");
    assert_matches(read_log(), "^[^\n]*# but this\n$");
    log_set_level(LOG_LEVEL_NOTHING);
    assert_false(log_wants(LOG_LEVEL_WARNING));
}

static void timestamps_come_in_three_forms(void **state) {
    (void)state;
    log_set_form(LOG_FORMAT_LEGACY, LOG_TIMESTAMP_ISO8601);
    LOG_NOTICE("iso");
    log_set_form(LOG_FORMAT_LEGACY, LOG_TIMESTAMP_MILLISECONDS);
    LOG_NOTICE("ms");
    assert_matches(read_log(), "^[0-9]+:M " ISO_TIME " [*] iso\n[0-9]+:M [0-9]{13} [*] ms\n$");
}

static void the_offset_of_a_time_zone_is_written_out(void **state) {
    (void)state;
    static const struct {
        const char *zone, *offset;
    } rows[] = { { "UTC0", "[+]00:00" }, { "IST-5:30", "[+]05:30" }, { "NST3:30", "-03:30" } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unlink(path);
        setenv("TZ", rows[i].zone, 1);
        tzset();
        log_set_form(LOG_FORMAT_LEGACY, LOG_TIMESTAMP_ISO8601);
        LOG_NOTICE("x");
        char pattern[100];
        snprintf(pattern, sizeof pattern, "T[0-9:]{8}[.][0-9]{3}%s [*] x\n$", rows[i].offset);
        assert_matches(read_log(), pattern);
    }
    setenv("TZ", "UTC0", 1);
    tzset();
}

static void logfmt_is_logfmt_whatever_the_message_holds(void **state) {
    (void)state;
    log_set_form(LOG_FORMAT_LOGFMT, LOG_TIMESTAMP_ISO8601);
    log_set_level(LOG_LEVEL_DEBUG);
    LOG_VERBOSE("a \"quoted\"\r\nline");
    log_set_role('S');
    LOG_WARNING("plain");
    log_set_role('X');
    LOG_DEBUG("%s", "");
    char pattern[600];
    snprintf(pattern, sizeof pattern,
             "^pid=%d role=primary timestamp=\"" ISO_TIME "\" level=info message=\"a 'quoted'  line\"\n"
             "pid=%d role=replica timestamp=\"" ISO_TIME "\" level=warning message=\"plain\"\n"
             "pid=%d role=sentinel timestamp=\"" ISO_TIME "\" level=debug message=\"\"\n$",
             (int)getpid(), (int)getpid(), (int)getpid());
    assert_matches(read_log(), pattern);
}

static void assert_json_message(const char *message, const char *expected) {
    unlink(path);
    log_set_form(LOG_FORMAT_JSON, LOG_TIMESTAMP_ISO8601);
    LOG_NOTICE("%s", message);
    const char *text = read_log(), *at = strstr(text, ",\"message\":");
    assert_non_null(at);
    assert_string_equal(at + strlen(",\"message\":"), expected);
}

static void json_is_one_object_a_line(void **state) {
    (void)state;
    log_set_level(LOG_LEVEL_DEBUG);
    log_set_form(LOG_FORMAT_JSON, LOG_TIMESTAMP_ISO8601);
    LOG_VERBOSE("plain, 100%% \"so\"");
    log_set_role('S');
    log_set_form(LOG_FORMAT_JSON, LOG_TIMESTAMP_MILLISECONDS);
    LOG_WARNING("%s", "");
    char pattern[600];
    snprintf(pattern, sizeof pattern,
             "^[{]\"pid\":%d,\"role\":\"primary\",\"timestamp\":\"" ISO_TIME
             "\",\"level\":\"info\",\"message\":\"plain, 100%% \\\\\"so\\\\\"\"[}]\n"
             "[{]\"pid\":%d,\"role\":\"replica\",\"timestamp\":\"[0-9]{13}\",\"level\":\"warning\","
             "\"message\":\"\"[}]\n$",
             (int)getpid(), (int)getpid());
    assert_matches(read_log(), pattern);
}

static void json_strings_hold_any_bytes(void **state) {
    (void)state;
    static const struct {
        const char *message, *expected;
    } rows[] = {
        { "a\nb\rc\td\be\ff\\g\"h", "\"a\\nb\\rc\\td\\be\\ff\\\\g\\\"h\"}\n" },
        { "\x01\x1f\x7f\x1b[31m", "\"\\u0001\\u001f\\u007f\\u001b[31m\"}\n" },
        { "Gr\xc3\xb6\xc3\x9f"
          "e \xe2\x82\xac \xf0\x9f\x98\x80",
          "\"Gr\xc3\xb6\xc3\x9f"
          "e \xe2\x82\xac \xf0\x9f\x98\x80\"}\n" },
        { "\xff\x80 \xc3", "\"\\ufffd\\ufffd \\ufffd\"}\n" }, /* never, stray, cut off */
        { "\xc0\xaf \xe0\x80\xaf", "\"\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd\"}\n" }, /* longer than needed */
        { "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"}\n" },            /* half a surrogate pair */
        { "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"}\n" }, /* beyond U+10FFFF */
        { "\xe2\x82"
          "a\xf0\x9f\x98",
          "\"\\ufffd\\ufffda\\ufffd\\ufffd\\ufffd\"}\n" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) assert_json_message(rows[i].message, rows[i].expected);
}

/* The cut must not go through an escape or a character, whatever stands in front of it. */
static void a_long_json_line_is_cut_between_two_characters(void **state) {
    (void)state;
    static const char *const units[] = { "\x01", "\xe2\x82\xac", "\"", "\xff", "x" };
    static const char *const written[] = { "\\u0001", "\xe2\x82\xac", "\\\"", "\\ufffd", "x" };
    for (size_t i = 0; i < COUNT_OF(units) * 8; i++) {
        char message[5000];
        const char *unit = units[i / 8], *seen = written[i / 8];
        size_t shift = i % 8, len = strlen(unit), seen_len = strlen(seen);
        memset(message, 'y', shift);
        for (size_t at = shift; at + len < sizeof message; at += len) memcpy(message + at, unit, len + 1);
        unlink(path);
        log_set_form(LOG_FORMAT_JSON, LOG_TIMESTAMP_ISO8601);
        LOG_NOTICE("%s", message);
        const char *text = read_log(), *body = strstr(text, "\"message\":\"") + strlen("\"message\":\"");
        size_t whole = strlen(text);
        assert_in_range(whole, len == 3 ? 900 : LOG_LINE_MAX - 6, LOG_LINE_MAX);
        assert_string_equal(text + whole - 3, "\"}\n");
        for (body += shift; body < text + whole - 3; body += seen_len)
            assert_memory_equal(body, seen, seen_len);
        assert_ptr_equal(body, text + whole - 3);
    }
}

/* ---- syslog: the C library's functions, as this program sees them ---- */

static struct {
    int opened, closed, option, facility, priority;
    char ident[64], message[256];
} syslog_calls;

void openlog(const char *ident, int option, int facility) {
    syslog_calls.opened++;
    syslog_calls.option = option;
    syslog_calls.facility = facility;
    snprintf(syslog_calls.ident, sizeof syslog_calls.ident, "%s", ident);
}

void closelog(void) { syslog_calls.closed++; }

void syslog(int priority, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(syslog_calls.message, sizeof syslog_calls.message, format, args);
    va_end(args);
    syslog_calls.priority = priority;
}

static void syslog_gets_each_line_under_its_name_and_priority(void **state) {
    (void)state;
    static const struct {
        enum log_level level;
        int priority;
    } rows[] = {
        { LOG_LEVEL_DEBUG, 7 }, { LOG_LEVEL_VERBOSE, 6 }, { LOG_LEVEL_NOTICE, 5 }, { LOG_LEVEL_WARNING, 4 }
    };
    memset(&syslog_calls, 0, sizeof syslog_calls);
    log_set_level(LOG_LEVEL_DEBUG);
    log_set_form(LOG_FORMAT_JSON, LOG_TIMESTAMP_ISO8601);
    LOG_WARNING("before");
    assert_int_equal(syslog_calls.opened, 0);
    assert_string_equal(syslog_calls.message, "");
    log_set_syslog("house-cache", LOG_LOCAL3);
    assert_string_equal(syslog_calls.ident, "house-cache");
    assert_int_equal(syslog_calls.facility, LOG_LOCAL3);
    assert_true(syslog_calls.option & LOG_PID);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        log_line(rows[i].level, "line %zu of \"%s\"", i, "100%s");
        char expected[64];
        snprintf(expected, sizeof expected, "line %zu of \"100%%s\"", i);
        assert_string_equal(syslog_calls.message, expected);
        assert_int_equal(syslog_calls.priority, rows[i].priority);
    }
    assert_non_null(strstr(read_log(), "line 3 of")); /* the file gets it too */
    log_set_syslog(NULL, 0);
    LOG_WARNING("after");
    assert_string_equal(syslog_calls.message, "line 3 of \"100%s\"");
    assert_true(syslog_calls.closed > 0);
}

static void a_long_line_is_cut_and_still_ends(void **state) {
    (void)state;
    static char message[5000];
    memset(message, 'x', sizeof message - 1);
    LOG_NOTICE("%s", message);
    const char *text = read_log();
    assert_int_equal(strlen(text), LOG_LINE_MAX);
    assert_int_equal(text[LOG_LINE_MAX - 1], '\n');
    unlink(path);
    log_set_form(LOG_FORMAT_LOGFMT, LOG_TIMESTAMP_LEGACY);
    LOG_NOTICE("%s", message);
    text = read_log();
    assert_int_equal(strlen(text), LOG_LINE_MAX);
    assert_string_equal(text + LOG_LINE_MAX - 3, "x\"\n");
}

static void a_rotated_file_is_made_anew(void **state) {
    (void)state;
    LOG_NOTICE("before");
    unlink(path);
    LOG_NOTICE("after");
    assert_matches(read_log(), "^[^\n]*after\n$");
}

static void a_file_that_cannot_be_opened_is_refused_and_nothing_changes(void **state) {
    (void)state;
    assert_false(log_set_file("/no/such/directory/log"));
    assert_int_equal(errno, ENOENT);
    static char long_path[8192];
    memset(long_path, 'x', sizeof long_path - 1);
    assert_false(log_set_file(long_path));
    assert_int_equal(errno, ENAMETOOLONG);
    LOG_NOTICE("still here");
    assert_matches(read_log(), "still here");
}

static void logging_leaves_errno_alone(void **state) {
    (void)state;
    errno = EPIPE;
    LOG_NOTICE("%s", strerror(errno));
    assert_int_equal(errno, EPIPE);
}

static void an_empty_path_is_stdout(void **state) {
    (void)state;
    fflush(stdout);
    int saved = dup(STDOUT_FILENO), file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(saved >= 0 && file >= 0);
    bool set = log_set_file("");
    dup2(file, STDOUT_FILENO);
    LOG_NOTICE("to stdout");
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(file);
    assert_true(set);
    assert_matches(read_log(), "to stdout\n$");
}

#define WRITERS 4
#define LINES_EACH 500

static void *write_lines(void *arg) {
    for (int i = 0; i < LINES_EACH; i++) LOG_NOTICE("<%0100d>", i);
    return arg;
}

static void lines_of_several_threads_do_not_mix(void **state) {
    (void)state;
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    for (int i = 0; i < 100; i++) assert_true(log_set_file(path));
    for (int i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
    const char *text = read_log();
    size_t lines = 0;
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1, lines++) {
        assert_int_equal(end[-1], '>');
        assert_int_equal(end[-102], '<');
    }
    assert_int_equal(lines, WRITERS * LINES_EACH);
}

int main(void) {
    if (!mkdtemp(directory)) return 1;
    snprintf(path, sizeof path, "%s/log", directory);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_valkeys_form, set_up),
        cmocka_unit_test_setup(each_level_has_its_mark, set_up),
        cmocka_unit_test_setup(lines_below_the_level_are_not_written, set_up),
        cmocka_unit_test_setup(timestamps_come_in_three_forms, set_up),
        cmocka_unit_test_setup(the_offset_of_a_time_zone_is_written_out, set_up),
        cmocka_unit_test_setup(logfmt_is_logfmt_whatever_the_message_holds, set_up),
        cmocka_unit_test_setup(json_is_one_object_a_line, set_up),
        cmocka_unit_test_setup(json_strings_hold_any_bytes, set_up),
        cmocka_unit_test_setup(a_long_json_line_is_cut_between_two_characters, set_up),
        cmocka_unit_test_setup(syslog_gets_each_line_under_its_name_and_priority, set_up),
        cmocka_unit_test_setup(a_long_line_is_cut_and_still_ends, set_up),
        cmocka_unit_test_setup(a_rotated_file_is_made_anew, set_up),
        cmocka_unit_test_setup(a_file_that_cannot_be_opened_is_refused_and_nothing_changes, set_up),
        cmocka_unit_test_setup(logging_leaves_errno_alone, set_up),
        cmocka_unit_test_setup(an_empty_path_is_stdout, set_up),
        cmocka_unit_test_setup(lines_of_several_threads_do_not_mix, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(directory);
    return failed;
}
