/* The settings in files: reading them, the command line, CONFIG REWRITE. */
#include "options_support.h"
#include "trivet/base/file.h"
#include <errno.h>

/* ---- Files and the command line ---- */

static void a_file_sets_what_it_names(void **state) {
    (void)state;
    write_file("a.conf", "# a comment\n\n  port 7000  \r\nMAXMEMORY 1gb\nslave-priority 7\n"
                         "bind 127.0.0.1 -::1\nsave 60 1\nsave 30 2\n"
                         "client-output-buffer-limit pubsub 1mb 1kb 5\n"
                         "proc-title-template \"{title} \\x41\"\nunixsocketperm 0700\nreplicaof no one");
    LOADS("a.conf", "--port", "7001");
    assert_shown("port", "7001");
    assert_shown("maxmemory", "1073741824");
    assert_shown("replica-priority", "7");
    assert_shown("bind", "127.0.0.1 -::1");
    assert_shown("save", "60 1 30 2");
    assert_shown("client-output-buffer-limit",
                 "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 1024 5");
    assert_shown("proc-title-template", "{title} A");
    assert_shown("unixsocketperm", "700");
    assert_int_equal(options.unixsocketperm, 0700);
    char expected[PATH_MAX + 8];
    snprintf(expected, sizeof expected, "%s/a.conf", home);
    assert_string_equal(options_file(), expected);
}

static void a_wrong_line_is_named(void **state) {
    (void)state;
    static const struct {
        const char *line, *why;
    } cases[] = {
        { "maxmemry 1gb", "Bad directive or wrong number of arguments" },
        { "maxmemory", "wrong number of arguments" },
        { "maxmemory 1 2", "wrong number of arguments" },
        { "bind", "wrong number of arguments" },
        { "port \"a", "Unbalanced quotes in configuration line" },
        { "appendfilename a/b", "appendfilename can't be a path, just a filename" },
        { "appendfilename \"\"", "appendfilename can't be empty" },
        { "appenddirname a/b", "appenddirname can't be a path, just a dirname" },
        { "unixsocketperm 8", "argument couldn't be parsed as an octal number" },
        { "unixsocketperm 1000", "argument must be between 0 and 777 inclusive" },
        { "io-threads 257", "argument must be between 0 and 256 inclusive" },
        { "dir /nonexistent", "No such file or directory" },
        { "replicaof a", "wrong number of arguments" },
        { "slaveof localhost 65536", "Invalid master port" },
        { "rename-command FLUSHALL \"\" x", "Bad directive or wrong number of arguments" },
        { "loadmodule /x.so", "modules are not supported" },
        { "user", "Bad directive or wrong number of arguments" },
        { "include", "Bad directive or wrong number of arguments" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text = { 0 }, error = { 0 }, told = { 0 };
        buf_printf(&text, "hz 5\n# x\n%s\nport 1\n", cases[i].line);
        write_file("bad.conf", text_of(&text));
        buf_printf(&error, FATAL "Reading the configuration file, at line 3\n>>> '%s'\n%s", cases[i].line,
                   cases[i].why);
        struct buf warnings = { 0 };
        assert_false(load_words(&warnings, &told, (const char *const[]){ "bad.conf", NULL }));
        assert_string_equal(text_of(&told), text_of(&error));
        buf_release(&text);
        buf_release(&error);
        buf_release(&told);
        buf_release(&warnings);
    }
}

static void included_files_are_read_in_place(void **state) {
    (void)state;
    write_file("inc1.part", "port 1\nhz 11\n");
    write_file("inc2.part", "hz 12\n");
    write_file("main.conf", "hz 10\ninclude inc*.part\ninclude none*.part\nport 2\n");
    LOADS("main.conf");
    assert_shown("port", "2");
    assert_shown("hz", "12");
    write_file("main.conf", "include missing.part\n");
    FAILS("Fatal error, can't open config file 'missing.part': No such file or directory", "main.conf");
    write_file("loop.conf", "include loop.conf\n");
    FAILS(FATAL "Reading the included configuration file 'loop.conf', at line 1\n"
                ">>> 'include loop.conf'\ntoo many nested includes",
          "loop.conf");
    write_file("inc2.part", "hz 12\nfoo\n");
    write_file("main.conf", "include inc2.part\n");
    FAILS(FATAL "Reading the included configuration file 'inc2.part', at line 2\n"
                ">>> 'foo'\nBad directive or wrong number of arguments",
          "main.conf");
}

static void settings_without_effect_are_warned_about_once(void **state) {
    (void)state;
    LOADS_WARNING("'active-defrag-max-scan-fields' is accepted but has no effect in Trivet\n"
                  "'io-threads-do-reads' is accepted but has no effect in Trivet\n",
                  "--active-defrag-max-scan-fields", "5", "--active-defrag-max-scan-fields", "6",
                  "--io-threads-do-reads", "yes", "--hz", "5");
    assert_shown("active-defrag-max-scan-fields", "6");
}

static void workers_are_counted_from_io_threads(void **state) {
    (void)state;
    assert_in_range(options.io_threads, 1, 4);
    LOADS("--io-threads", "7");
    assert_shown("io-threads", "7");
    LOADS_WARNING("'io-threads 200' is more than this server can use; it takes 64\n", "--io-threads", "200");
    assert_shown("io-threads", "64");
    assert_refused("io-threads", "3", "can't set immutable config");
}

static void the_command_line_has_its_quirks(void **state) {
    (void)state;
    LOADS("--port 0", "--save", "", "--maxmemory", "1gb", "--bind", "1.1.1.1", "2.2.2.2");
    assert_shown("port", "0");
    assert_shown("save", "");
    assert_shown("maxmemory", "1073741824");
    assert_shown("bind", "1.1.1.1 2.2.2.2");
    LOADS("--save", "60", "1", "--save", "30 2");
    assert_shown("save", "60 1 30 2");
    LOADS("--save", "--port", "1");
    assert_shown("save", "");
    LOADS("--port", "2", "--save");
    LOADS("--requirepass", "--x", "--hz", "7");
    assert_shown("requirepass", "--x");
    LOADS("--proc-title-template", "a \"b\"\n\x01");
    assert_shown("proc-title-template", "a \"b\"\n\x01");
    assert_string_equal(options_file(), "");
}

static void a_wrong_word_of_the_command_line_is_named(void **state) {
    (void)state;
    FAILS(FATAL
          "Reading the command line\n>>> 'maxmemry \"1gb\"'\nBad directive or wrong number of arguments",
          "--port", "1", "--maxmemry", "1gb");
    FAILS(FATAL "Reading the command line\n>>> 'port \"1\" \"2\"'\nwrong number of arguments", "--port", "1",
          "2");
    FAILS(FATAL "Reading the command line\n>>> 'port'\nwrong number of arguments", "--port");
    FAILS(FATAL "Reading the command line\n>>> '\"-p\" \"1\"'\nBad directive or wrong number of arguments",
          "-p", "1");
    FAILS(FATAL "Reading the command line\n>>> 'maxmemory \"x\"'\nargument must be a memory value",
          "--maxmemory", "x");
    FAILS("Fatal error, can't open config file 'none.conf': No such file or directory", "none.conf");
    FAILS(FATAL "requirepass and requirepass-file exclude each other", "--requirepass", "a",
          "--requirepass-file", "b");
}

static void standard_input_can_be_the_file(void **state) {
    (void)state;
    write_file("stdin.conf", "hz 33\nport 5\n");
    for (int last = 0; last < 2; last++) {
        int fd = open("stdin.conf", O_RDONLY), old = dup(STDIN_FILENO);
        assert_true(fd >= 0 && old >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
        options_release();
        options_init();
        if (last)
            LOADS("--port", "6", "-");
        else
            LOADS("-", "--port", "6");
        assert_shown("hz", "33");
        assert_shown("port", "6");
        assert_true(dup2(old, STDIN_FILENO) == STDIN_FILENO);
        close(old);
        close(fd);
    }
}

/* ---- CONFIG REWRITE ---- */

static void assert_rewrite(const char *error) {
    struct buf out = { 0 };
    bool done = options_rewrite(&out);
    assert_string_equal(text_of(&out), error ? error : "");
    assert_int_equal(done, error == NULL);
    buf_release(&out);
}

static void rewriting_leaves_true_lines_alone(void **state) {
    (void)state;
    static const char text[] = "# my server\n  MAXMEMORY   1GB\n\nsave 60 1\n# points\nsave 30 2\n"
                               "slave-priority 100\nclient-output-buffer-limit pubsub 1mb 0 0\n"
                               "requirepass 'a b'\nbind 127.0.0.1  -::1\n";
    write_file("keep.conf", text);
    LOADS("keep.conf");
    for (int i = 0; i < 2; i++) {
        assert_rewrite(NULL);
        assert_file("keep.conf", text);
    }
    assert_shown("save", "60 1 30 2");
    assert_shown("maxmemory", "1073741824");
}

static int failing_fsync(int fd) {
    (void)fd;
    errno = EIO;
    return -1;
}

static int failing_rename(const char *from, const char *to) {
    (void)from;
    (void)to;
    errno = ENOSPC;
    return -1;
}

static void a_rewrite_that_fails_leaves_the_old_file(void **state) {
    (void)state;
    struct file_io real = file_io;
    write_file("old.conf", "hz 20\n");
    LOADS("old.conf");
    assert_set("hz", "30");
    file_io.fsync = failing_fsync;
    assert_rewrite("ERR Rewriting config file: Input/output error");
    file_io = real;
    file_io.rename = failing_rename;
    assert_rewrite("ERR Rewriting config file: No space left on device");
    file_io = real;
    assert_file("old.conf", "hz 20\n");
    assert_rewrite(NULL);
    assert_file("old.conf", "hz 30\n");
}

static void save_with_nothing_behind_it_is_an_empty_one(void **state) {
    (void)state;
    write_file("save.conf", "save 60 1\nsave\n");
    LOADS("save.conf");
    assert_shown("save", "");
    assert_rewrite(NULL);
    assert_file("save.conf", "save 60 1\nsave\n");
    assert_set("save", "10 1");
    assert_rewrite(NULL);
    assert_file("save.conf", "save 10 1\n");
    write_file("save.conf", "save\nsave 60 1\n");
    LOADS("save.conf");
    assert_shown("save", "60 1");
}

static void rewriting_updates_removes_and_appends(void **state) {
    (void)state;
    write_file("change.conf", "# head\nmaxmemory 1gb\nsave 60 1\nport 7000\nsave 30 2\nslave-priority 5\n"
                              "timeout 9\nsave 20 3\nhz 20");
    LOADS("change.conf", "--tcp-keepalive", "5", "--client-output-buffer-limit", "pubsub", "1mb", "0", "0");
    assert_int_equal(chmod("change.conf", 0640), 0);
    assert_set("maxmemory", "1536mb");
    assert_set("save", "10 1 5 2");
    assert_set("replica-priority", "6");
    assert_set("timeout", "0");
    assert_set("requirepass", "a \"b\" \x01");
    assert_set("latency-tracking-info-percentiles", "");
    static const char expected[] =
        "# head\nmaxmemory 1536mb\nsave 10 1\nsave 5 2\nport 7000\nreplica-priority 6\nhz 20\n"
        "# Generated by CONFIG REWRITE\n"
        "client-output-buffer-limit normal 0 0 0\n"
        "client-output-buffer-limit slave 268435456 67108864 60\n"
        "client-output-buffer-limit pubsub 1048576 0 0\n"
        "latency-tracking-info-percentiles \"\"\n"
        "requirepass \"a \\\"b\\\" \\x01\"\n"
        "tcp-keepalive 5\n";
    for (int i = 0; i < 2; i++) {
        assert_rewrite(NULL);
        assert_file("change.conf", expected);
    }
    struct stat is;
    assert_int_equal(stat("change.conf", &is), 0);
    assert_int_equal(is.st_mode & 0777, 0640);
    options_release();
    options_init();
    LOADS("change.conf");
    assert_shown("requirepass", "a \"b\" \x01");
    assert_shown("save", "10 1 5 2");
    assert_shown("latency-tracking-info-percentiles", "");
    assert_rewrite(NULL);
    assert_file("change.conf", expected);
    assert_set("save", "");
    assert_set("timeout", "8");
    assert_rewrite(NULL);
    options_release();
    options_init();
    LOADS("change.conf");
    assert_shown("save", "");
    assert_shown("timeout", "8");
}

static void what_an_included_file_says_can_be_overruled(void **state) {
    (void)state;
    write_file("over.part", "hz 50\n");
    write_file("over.conf", "include over.part\n");
    LOADS("over.conf");
    assert_set("hz", "10");
    assert_rewrite(NULL);
    assert_file("over.conf", "include over.part\n# Generated by CONFIG REWRITE\nhz 10\n");
}

static void rewriting_keeps_a_folder_that_still_is_meant(void **state) {
    (void)state;
    assert_int_equal(mkdir("sub", 0700), 0);
    write_file("dir.conf", "dir ./sub\n");
    LOADS("dir.conf");
    assert_rewrite(NULL);
    assert_file("../dir.conf", "dir ./sub\n");
    options.enable_protected_configs = GUARD_YES;
    assert_set("dir", "/");
    options.enable_protected_configs = GUARD_NO;
    assert_rewrite(NULL);
    assert_int_equal(chdir(home), 0);
    assert_file("dir.conf", "dir /\n");
    assert_int_equal(rmdir("sub"), 0);
}

static void a_password_from_a_file_is_not_written_out(void **state) {
    (void)state;
    write_file("secret", "sesame\n");
    write_file("pw.conf", "port 1\n");
    LOADS("pw.conf", "--requirepass-file", "secret");
    assert_rewrite(NULL);
    assert_file("pw.conf", "port 1\n# Generated by CONFIG REWRITE\nrequirepass-file secret\n");
}

static void rewriting_says_why_it_cannot(void **state) {
    (void)state;
    LOADS("--port", "1");
    assert_rewrite("ERR The server is running without a config file");
    assert_int_equal(mkdir("gone", 0700), 0);
    write_file("gone/a.conf", "port 1\n");
    LOADS("gone/a.conf");
    assert_int_equal(unlink("gone/a.conf"), 0);
    assert_rewrite(NULL); /* made anew */
    assert_file("gone/a.conf", "# Generated by CONFIG REWRITE\nport 1\n");
    assert_int_equal(unlink("gone/a.conf"), 0);
    assert_int_equal(rmdir("gone"), 0);
    assert_rewrite("ERR Rewriting config file: No such file or directory");
}

static void the_working_directory_is_a_setting(void **state) {
    (void)state;
    options.enable_protected_configs = GUARD_YES;
    assert_shown("dir", home);
    assert_int_equal(mkdir("sub", 0700), 0);
    assert_set("dir", "sub");
    char expected[PATH_MAX];
    snprintf(expected, sizeof expected, "%s/sub", home);
    assert_shown("dir", expected);
    const struct slice pairs[] = { LIT_INIT("dir"), LIT_INIT("/"), LIT_INIT("port"), LIT_INIT("x") };
    struct buf error = { 0 };
    assert_false(options_set(pairs, 2, remote, &error));
    char now[PATH_MAX];
    assert_string_equal(getcwd(now, sizeof now), expected);
    buf_release(&error);
    assert_int_equal(chdir(home), 0);
    assert_int_equal(rmdir("sub"), 0);
}

static void the_three_roles_have_sound_files(void **state) {
    (void)state;
    static const struct {
        const char *name, *port, *policy, *appendonly;
    } roles[] = {
        { "cache", "6379", "allkeys-lru", "no" },
        { "cable", "6380", "noeviction", "no" },
        { "session", "6381", "noeviction", "yes" },
    };
    for (size_t i = 0; i < COUNT_OF(roles); i++) {
        char path[PATH_MAX + 64];
        snprintf(path, sizeof path, "%s/conf/%s.conf", start_folder, roles[i].name);
        options_release();
        options_init();
        LOADS(path);
        assert_shown("port", roles[i].port);
        assert_shown("maxmemory-policy", roles[i].policy);
        assert_shown("appendonly", roles[i].appendonly);
        assert_shown("save", "");
        assert_true(options.maxmemory > 0);
    }
}

/* ---- single databases ---- */

static void lines_for_databases_add_up_and_are_written_back(void **state) {
    (void)state;
    write_file("one.conf",
               "db-maxmemory 0 1gb\nport 1\ndb-maxmemory 2 512mb\ndb-maxmemory-policy 0 allkeys-lru\n"
               "db-name 0 cache\ndb-maxmemory 0 2gb\n");
    LOADS("one.conf", "--db-name", "2", "session");
    assert_shown("db-maxmemory", "0 2147483648 2 536870912");
    assert_shown("db-maxmemory-policy", "0 allkeys-lru");
    assert_shown("db-name", "0 cache 2 session");
    struct buf error = { 0 };
    assert_true(options_rewrite(&error));
    assert_file("one.conf",
                "db-maxmemory 0 1gb\nport 1\ndb-maxmemory 2 512mb\ndb-maxmemory-policy 0 allkeys-lru\n"
                "db-name 0 cache\ndb-name 2 session\ndb-maxmemory 0 2gb\n");
    assert_set("db-maxmemory", "1 4kb 0 1gb");
    assert_set("db-maxmemory-policy", "");
    assert_true(options_rewrite(&error));
    assert_file("one.conf", "db-maxmemory 0 1073741824\ndb-maxmemory 1 4096\nport 1\n"
                            "db-name 0 cache\ndb-name 2 session\n");
    buf_release(&error);
}

/* How many there are may stand behind. */
static void a_database_that_a_file_names_must_be_there(void **state) {
    (void)state;
    write_file("more.conf", "db-maxmemory 20 1mb\ndatabases 21\n");
    LOADS("more.conf");
    assert_shown("db-maxmemory", "20 1048576");
    options_release();
    options_init();
    struct buf error = { 0 };
    char *argv[] = { (char *)"server", (char *)"more.conf", (char *)"--databases", (char *)"20", NULL };
    assert_false(options_load(4, argv, NULL, &error));
    assert_string_equal(text_of(&error), FATAL "db-maxmemory: there is no database 20, the last one is 19");
    buf_release(&error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(lines_for_databases_add_up_and_are_written_back),
        TEST(a_database_that_a_file_names_must_be_there),
        TEST(a_file_sets_what_it_names),
        TEST(a_wrong_line_is_named),
        TEST(included_files_are_read_in_place),
        TEST(settings_without_effect_are_warned_about_once),
        TEST(workers_are_counted_from_io_threads),
        TEST(the_command_line_has_its_quirks),
        TEST(a_wrong_word_of_the_command_line_is_named),
        TEST(standard_input_can_be_the_file),
        TEST(rewriting_leaves_true_lines_alone),
        TEST(a_rewrite_that_fails_leaves_the_old_file),
        TEST(save_with_nothing_behind_it_is_an_empty_one),
        TEST(rewriting_updates_removes_and_appends),
        TEST(what_an_included_file_says_can_be_overruled),
        TEST(rewriting_keeps_a_folder_that_still_is_meant),
        TEST(a_password_from_a_file_is_not_written_out),
        TEST(rewriting_says_why_it_cannot),
        TEST(the_working_directory_is_a_setting),
        TEST(the_three_roles_have_sound_files),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
