/* test_acl_files.c: users in files: the aclfile with ACL LOAD and SAVE, `user` lines of the configuration,
 * and CONFIG REWRITE. */
#include "../faults/server_disk.h"
#include "../harness/fixture.h"
#include "files.h"
#include <dirent.h>
#include <stdlib.h>

static char folder[] = "/tmp/trivet-acl-XXXXXX";
static char path[64]; /* of the aclfile in it */

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/users.acl", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? 0 : -1;
}

static void write_users(const char *text) {
    struct text t = { 0 };
    text_append_str(&t, text);
    file_write(path, &t);
    text_release(&t);
}

static void assert_users_file(const char *expected) {
    struct text t = { 0 };
    file_read(path, &t);
    if (!text_matches(expected, text_str(&t))) fail_msg("expected %s\ngot      %s", expected, text_str(&t));
    text_release(&t);
}

/* More arguments: up to three. */
static struct server *start_with(const char *users, const char *a, const char *b, const char *c) {
    const char *args[] = { "--aclfile", path, a, b, c, NULL };
    write_users(users);
    return server_launch(&(struct server_plan){ .args = args });
}

static struct server *start(const char *users) { return start_with(users, NULL, NULL, NULL); }

static void end(struct server *s, struct client *c) {
    client_close(c);
    server_free(s);
}

/* "<path>" stands for the aclfile's. The caller frees it. */
static char *with_path(const char *text) {
    struct text out = { 0 };
    for (const char *mark; (mark = strstr(text, "<path>")); text = mark + 6) {
        text_append(&out, text, (size_t)(mark - text));
        text_append_str(&out, path);
    }
    text_append_str(&out, text);
    return out.ptr;
}

/* Does the server refuse to start, saying this? */
static void refuses(const struct server_plan *plan, const char *expected) {
    struct text log = { 0 };
    char *wanted = with_path(expected);
    assert_int_equal(server_run_to_end(plan, &log), 1);
    if (!strstr(text_str(&log), wanted)) fail_msg("expected %s\nin       %s", wanted, text_str(&log));
    free(wanted);
    text_release(&log);
}

#define DEFAULT_LINE "user default on nopass sanitize-payload ~* &* +@all"
#define HASH_OF_P "148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940"

/* ---- the aclfile at start ---- */

static void the_file_has_the_users(void **state) {
    (void)state;
    struct server *s = start("# a comment\n"
                             "\n"
                             "   \t\n"
                             "  # another\n"
                             "user alice on >p ~a* &c* +@read -get (+set ~b) \r\n"
                             "user  on nopass +ping\n" /* the unnamed one */
                             "user bob   off    (+get ~x  %R~y)\n"
                             "user carol ON NOPASS ALLKEYS +@ALL db=1,2");
    struct client *c = server_connect(s);
    assert_reply(c, "ACL LIST",
                 "*[$\"user  on nopass sanitize-payload resetchannels -@all +ping\", "
                 "$\"user alice on sanitize-payload #" HASH_OF_P
                 " ~a* resetchannels &c* -@all +@read -get (~b resetchannels -@all +set)\", "
                 "$\"user bob off sanitize-payload resetchannels -@all (~x %R~y resetchannels -@all +get)\", "
                 "$\"user carol on nopass sanitize-payload ~* resetchannels db=1,2 +@all\", "
                 "$\"" DEFAULT_LINE "\"]");
    assert_reply(c, "AUTH alice p", "+OK");
    assert_reply(c, "SET b 1", "+OK");
    end(s, c);
}

static void an_empty_file_has_the_default_user_alone(void **state) {
    (void)state;
    struct server *s = start("");
    struct client *c = server_connect(s);
    assert_reply(c, "ACL LIST", "*[$\"" DEFAULT_LINE "\"]");
    assert_reply(c, "CONFIG SET aclfile x", "-ERR CONFIG SET failed...can't set immutable config");
    end(s, c);
}

struct bad_file {
    const char *users, *errors;
};

#define NO_CHANGE "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
#define NO_KEYWORD(line) "<path>:" line " should start with user keyword followed by the username. "
#define UNKNOWN(line, rule) \
    "<path>:" line ": Error in applying operation '" rule "': Unknown command or category name in ACL. "

static const struct bad_file bad_files[] = {
    { "user\n", NO_KEYWORD("1") NO_CHANGE },
    { "\n\nusr a on\n", NO_KEYWORD("3") NO_CHANGE },
    { "USER a on\n", NO_KEYWORD("1") NO_CHANGE },
    { "alice on\n", NO_KEYWORD("1") NO_CHANGE },
    { "user a\xc2 on foo\n", "<path>:1: Syntax error. " NO_CHANGE },
    { "user a\tb on\n", "<path>:1: username 'a\tb' contains invalid characters. " NO_CHANGE },
    { "user a +foo -@bar\n", UNKNOWN("1", "+foo") UNKNOWN("1", "-@bar") NO_CHANGE },
    { "user a (+foo)\n", UNKNOWN("1", "(+foo)") NO_CHANGE },
    { "user a foo bar +baz\n", "<path>:1: Syntax error. " UNKNOWN("1", "+baz") NO_CHANGE },
    { "user a <p\n",
      "<path>:1: The password you are trying to remove from the user does not exist. " NO_CHANGE },
    { "user a ~* ~x\n",
      "<path>:1: Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and "
                        "does not have any effect. Try 'resetkeys' to start with an empty list of patterns. "
                        NO_CHANGE },
    { "user a (+get\nuser b on\n", "<path>:1: Unmatched parenthesis in selector definition." NO_CHANGE },
    { "# comment\nuser a (+get\n", "<path>:2: Unmatched parenthesis in selector definition." NO_CHANGE },
    { "user a on\nuser a off\n", "WARNING: Duplicate user 'a' found on line 2. " NO_CHANGE },
    { "user a on\nuser b +foo\nuser a off\nnonsense\nuser c (\n",
      UNKNOWN("2", "+foo") "WARNING: Duplicate user 'a' found on line 3. " NO_KEYWORD("4")
      "<path>:5: Unmatched parenthesis in selector definition." NO_CHANGE },
};

static void a_file_with_errors_stops_the_start(void **state) {
    (void)state;
    static const char *const args[] = { "--aclfile", path, NULL };
    const struct server_plan plan = { .args = args };
    for (size_t i = 0; i < COUNT_OF(bad_files); i++) {
        char wanted[1024];
        snprintf(wanted, sizeof wanted, "Aborting Trivet startup because of ACL errors: %s",
                 bad_files[i].errors);
        write_users(bad_files[i].users);
        refuses(&plan, wanted);
    }
    assert_int_equal(unlink(path), 0);
    refuses(&plan, "Aborting Trivet startup because of ACL errors: Error loading ACLs, opening file '<path>'"
                   ": No such file or directory");
}

/* ---- LOAD ---- */

static void load_takes_all_users_or_none(void **state) {
    (void)state;
    struct server *s = start("user a on nopass +get ~a\nuser b on nopass +@all ~*\n");
    struct client *c = server_connect(s), *a = server_connect(s), *b = server_connect(s);
    assert_reply(a, "AUTH a x", "+OK");
    assert_reply(b, "AUTH b x", "+OK");
    for (size_t i = 0; i < COUNT_OF(bad_files); i++) {
        char wanted[1024];
        char *errors = with_path(bad_files[i].errors);
        snprintf(wanted, sizeof wanted, "-ERR %s", errors);
        write_users(bad_files[i].users);
        assert_reply(c, "ACL LOAD", wanted);
        free(errors);
    }
    assert_reply(c, "ACL LIST",
                 "*[$\"user a on nopass sanitize-payload ~a resetchannels -@all +get\", "
                 "$\"user b on nopass sanitize-payload ~* resetchannels +@all\", "
                 "$\"" DEFAULT_LINE "\"]");
    assert_reply(a, "GET a", "$-1");
    assert_reply(b, "GET b", "$-1");
    assert_int_equal(unlink(path), 0);
    assert_reply(c, "ACL LOAD", "-ERR Error loading ACLs, opening file '...': No such file or directory");
    assert_reply(b, "GET b", "$-1");
    client_close(a);
    client_close(b);
    end(s, c);
}

static void load_closes_who_is_no_more_and_changes_the_others(void **state) {
    (void)state;
    struct server *s = start("user a on nopass +@all ~* &*\nuser b on nopass +@all ~* &*\n"
                             "user c on nopass +@all ~* &*\n");
    struct client *c = server_connect(s), *kept = server_connect(s), *gone = server_connect(s);
    struct client *waits = server_connect(s), *listens = server_connect(s), *may = server_connect(s);
    assert_reply(kept, "AUTH a x", "+OK");
    assert_reply(gone, "AUTH b x", "+OK");
    assert_reply(waits, "AUTH b x", "+OK");
    assert_reply(listens, "AUTH c x", "+OK");
    assert_reply(may, "AUTH c x", "+OK");
    send_and_wait(c, waits, "BLPOP list 0");
    assert_reply(listens, "PSUBSCRIBE c*", "*[$\"psubscribe\", $\"c*\", :1]");
    assert_reply(may, "SUBSCRIBE c1", "*[$\"subscribe\", $\"c1\", :1]");
    assert_reply(c, "ACL SETUSER not-in-the-file on", "+OK");
    write_users("user a off +get ~a\nuser c on nopass +@all &c1\nuser d on\n");
    assert_reply(c, "ACL LOAD", "+OK");
    assert_ended(gone);
    assert_ended(waits);
    assert_ended(listens);
    assert_reply(kept, "GET a", "$-1");
    assert_reply(kept, "GET b", "-NOPERM No permissions to access a key");
    assert_reply(may, "PING", "*[$\"pong\", $\"\"]");
    assert_reply(c, "ACL USERS", "*[$\"a\", $\"c\", $\"d\", $\"default\"]");
    assert_reply(c, "RPUSH list a", ":1");
    assert_reply(c, "ACL LOAD", "+OK"); /* again, the same */
    assert_reply(kept, "GET a", "$-1");
    client_close(kept);
    client_close(gone);
    client_close(waits);
    client_close(listens);
    client_close(may);
    end(s, c);
}

static void who_is_no_more_after_its_own_load_gets_the_reply_first(void **state) {
    (void)state;
    struct server *s = start("user a on nopass +@all\n");
    struct client *a = server_connect(s);
    assert_reply(a, "AUTH a x", "+OK");
    write_users("user b on\n");
    assert_reply(a, "ACL LOAD", "+OK");
    assert_ended(a);
    end(s, a);
}

static void load_and_save_want_a_file(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ 0 });
    struct client *c = server_connect(s);
#define NO_FILE                                                                                              \
    "-ERR This instance is not configured to use an ACL file. You may want to specify users via the ACL "    \
    "SETUSER command and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order " \
    "to store users in the configuration."
    assert_reply(c, "ACL LOAD", NO_FILE);
    assert_reply(c, "ACL SAVE", NO_FILE);
    assert_reply(c, "ACL LOAD x", "-ERR wrong number of arguments for 'acl|load' command");
    assert_reply(c, "ACL SAVE x", "-ERR wrong number of arguments for 'acl|save' command");
    end(s, c);
}

/* ---- the default user ---- */

static void requirepass_counts_if_the_file_has_no_default_user(void **state) {
    (void)state;
    struct server *s = start_with("user a on\n", "--requirepass", "secret", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "PING", "-NOAUTH Authentication required.");
    assert_reply(c, "AUTH secret", "+OK");
    assert_reply(c, "ACL SETUSER default >more", "+OK");
    assert_reply(c, "ACL LOAD", "+OK");
    assert_reply(c, "AUTH more", "-WRONGPASS...");
    assert_reply(c, "AUTH secret", "+OK");
    write_users("user default on nopass ~x +@all\n");
    assert_reply(c, "ACL LOAD", "+OK");
    assert_reply(c, "ACL LIST", "*[$\"user default on nopass sanitize-payload ~x resetchannels +@all\"]");
    write_users("");
    assert_reply(c, "ACL LOAD", "+OK");
    assert_reply(c, "ACL GETUSER default", "*[$\"flags\", *[$\"on\", $\"sanitize-payload\"], ...");
    end(s, c);
}

static void requirepass_is_ignored_if_the_file_has_a_default_user(void **state) {
    (void)state;
    struct server *s = start_with("user default on >p ~* +@all\n", "--requirepass", "secret", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "AUTH secret", "-WRONGPASS...");
    assert_reply(c, "AUTH p", "+OK");
    server_await_log(s, "requirepass is ignored: the user 'default' is defined in the ACL file", 1);
    end(s, c);
}

static void channels_of_users_in_a_file_are_as_the_setting_says(void **state) {
    (void)state;
    struct server *s = start_with("user a on (+get)\nuser b on resetchannels &c\n", "--acl-pubsub-default",
                                  "allchannels", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "ACL LIST",
                 "*[$\"user a on sanitize-payload &* -@all (&* -@all +get)\", "
                 "$\"user b on sanitize-payload resetchannels &c -@all\", "
                 "$\"" DEFAULT_LINE "\"]");
    assert_reply(c, "CONFIG GET acl-pubsub-default", "*[$\"acl-pubsub-default\", $\"allchannels\"]");
    end(s, c);
}

/* ---- SAVE ---- */

/* Users that a careless writer would not bring back. */
static void add_odd_users(struct client *c) {
    static const char *const commands[] = {
        "ACL SETUSER \"\" on nopass +get ~*",
        "ACL SETUSER \"q\\\"uo'te\" on >p \"~a\\\"b\" \"~c'd\" &e\\f +@all",
        "ACL SETUSER #x off ~# (+get ~x &y db=3) (+set|foo %W~z) db=0,1",
        "ACL SETUSER \"\\x01\\xff\" on",
        "ACL SETUSER user resetdbs skip-sanitize-payload -@all +@read -get +config|get ~) ~(",
        "ACL SETUSER default -flushall >pw",
    };
    for (size_t i = 0; i < COUNT_OF(commands); i++) assert_reply(c, commands[i], "+OK");
}

static char *users_now(struct client *c) {
    const char *list = client_ask(c, "ACL LIST");
    assert_int_equal(list[0], '*');
    return strdup(list);
}

static void assert_same_users(struct client *c, char *before) {
    assert_string_equal(client_ask(c, "ACL LIST"), before);
    free(before);
}

static void what_save_writes_is_read_again(void **state) {
    (void)state;
    struct server *s = start("");
    struct client *c = server_connect(s);
    add_odd_users(c);
    char *before = users_now(c);
    assert_reply(c, "ACL SAVE", "+OK");
    assert_users_file("user  on nopass sanitize-payload ~* resetchannels -@all +get\n"
                      "user \x01\xff on sanitize-payload resetchannels -@all\n"
                      "...\nuser default on sanitize-payload #... ~* &* +@all -flushall\n...");
    assert_reply(c, "ACL LOAD", "+OK");
    assert_reply(c, "AUTH default pw", "+OK");
    client_close(c);
    server_stop(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "AUTH pw", "+OK");
    assert_same_users(c, before);
    end(s, c);
}

static mode_t rights_of(const char *file) {
    struct stat facts;
    assert_int_equal(stat(file, &facts), 0);
    return facts.st_mode & 0777;
}

static size_t files_in(const char *where) {
    size_t count = 0;
    DIR *d = opendir(where);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static void save_keeps_the_rights_of_the_file(void **state) {
    (void)state;
    struct server *s = start("user a on\n");
    struct client *c = server_connect(s);
    assert_int_equal(chmod(path, 0640), 0);
    assert_reply(c, "ACL SETUSER b on", "+OK");
    assert_reply(c, "ACL SAVE", "+OK");
    assert_int_equal(rights_of(path), 0640);
    assert_users_file("user a on ...\nuser b on ...\n" DEFAULT_LINE "\n");
    assert_int_equal(unlink(path), 0);
    assert_reply(c, "ACL SAVE", "+OK");
    assert_int_equal(rights_of(path), 0600);
    assert_int_equal(files_in(folder), 1);
    end(s, c);
}

#define NOT_SAVED \
    "-ERR There was an error trying to save the ACLs. Please check the server logs for more information"

static void save_fails_where_there_is_no_folder(void **state) {
    (void)state;
    char moved[80];
    snprintf(moved, sizeof moved, "%s.moved", folder);
    struct server *s = start("user a on\n");
    struct client *c = server_connect(s);
    assert_int_equal(rename(folder, moved), 0);
    assert_reply(c, "ACL SAVE", NOT_SAVED);
    assert_int_equal(rename(moved, folder), 0);
    server_await_log(s, "The users could not be written to the ACL file", 1);
    server_await_log(s, "No such file or directory", 1);
    assert_reply(c, "ACL SAVE", "+OK");
    end(s, c);
}

static void a_failing_disk_leaves_the_old_file(void **state) {
    (void)state;
    static const struct {
        int sorts, error;
        const char *text;
    } faults[] = {
        { DISK_OPEN, EACCES, "Permission denied" },
        { DISK_WRITE, ENOSPC, "No space left on device" },
        { DISK_SYNC, EIO, "Input/output error" },
        { DISK_RENAME, EROFS, "Read-only file system" },
    };
    disk_watch(folder, "");
    struct server *s = start("user a on\n");
    struct client *c = server_connect(s);
    assert_reply(c, "ACL SETUSER b on", "+OK");
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        disk_fail(faults[i].sorts, "", faults[i].error);
        assert_reply(c, "ACL SAVE", NOT_SAVED);
        assert_true(atomic_load(&disk_now->failed) > 0);
        disk_heal();
        assert_users_file("user a on\n");
        assert_int_equal(files_in(folder), 1);
        server_await_log(s, faults[i].text, 1);
    }
    assert_reply(c, "ACL SAVE", "+OK");
    assert_users_file("user a on ...\nuser b on ...\n" DEFAULT_LINE "\n");
    end(s, c);
    disk_release();
}

/* ---- `user` lines ---- */

static void lines_of_the_configuration_make_users(void **state) {
    (void)state;
    static const char conf[] = "user alice on >p ~a* +@read (+set ~b)\n"
                               "USER bob on nopass \"~x\\\"y\" +get\n"
                               "user \"\" on nopass +ping\n"
                               "user off-one +get\n";
    static const char *const args[] = { "--user", "carol", "on", "nopass", "+@all", NULL };
    struct server *s = server_launch(&(struct server_plan){ .conf = conf, .args = args });
    struct client *c = server_connect(s);
    assert_reply(c, "ACL LIST",
                 "*[$\"user  on nopass sanitize-payload resetchannels -@all +ping\", "
                 "$\"user alice on sanitize-payload #" HASH_OF_P
                 " ~a* resetchannels -@all +@read (~b resetchannels -@all +set)\", "
                 "$\"user bob on nopass sanitize-payload ~x\\\"y resetchannels -@all +get\", "
                 "$\"user carol on nopass sanitize-payload resetchannels +@all\", "
                 "$\"" DEFAULT_LINE "\", "
                 "$\"user off-one off sanitize-payload resetchannels -@all +get\"]");
    server_await_log(s,
                     "The user 'off-one' is disabled (there is no 'on' modifier in the user description). "
                     "Make sure this is not a configuration error.",
                     1);
    assert_null(strstr(server_log(s), "The user 'alice' is disabled"));
    end(s, c);
}

static void a_wrong_line_stops_the_start(void **state) {
    (void)state;
    static const struct {
        const char *conf, *error;
    } rows[] = {
        { "user a +foo\n",
          "Error loading ACL rule '+foo' for the user named 'a': Unknown command or category name in ACL" },
        { "user a on foo\n", "Error loading ACL rule 'foo' for the user named 'a': Syntax error" },
        { "user a (+get ~* ~x)\n", "Error loading ACL rule '(+get ~* ~x)' for the user named 'a': Adding a "
                                   "pattern after the * pattern" },
        { "user a on\nuser b on\nuser a off\n",
          "Error in user declaration 'a': Duplicate user found. A user can only be defined once in config "
          "files" },
        { "user \"a b\" on\n", "Error in user declaration 'a b': Usernames can't contain spaces or null "
                               "characters" },
        { "user a (+get\n", "Unmatched parenthesis in acl selector starting at '(+get'." },
        { "user\n", "Bad directive or wrong number of arguments" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        refuses(&(struct server_plan){ .conf = rows[i].conf }, rows[i].error);
}

static void lines_and_a_file_exclude_each_other(void **state) {
    (void)state;
    static const char *const args[] = { "--aclfile", path, NULL };
    write_users("user b on\n");
    refuses(&(struct server_plan){ .conf = "user a on\n", .args = args },
            "Configuring Trivet with users defined in the configuration file and at the same setting an ACL "
            "file path is invalid. ");
}

static void requirepass_is_ignored_if_a_line_has_the_default_user(void **state) {
    (void)state;
    static const char conf[] = "requirepass secret\nuser default on >p ~* +@all\n";
    struct server *s = server_launch(&(struct server_plan){ .conf = conf });
    struct client *c = server_connect(s);
    assert_reply(c, "AUTH secret", "-WRONGPASS...");
    assert_reply(c, "AUTH p", "+OK");
    server_await_log(s, "requirepass is ignored: the user 'default' is defined by a 'user' line", 1);
    end(s, c);
}

/* ---- CONFIG REWRITE ---- */

static void conf_of(struct server *s, struct text *out) { file_read(server_path(s, "server.conf"), out); }

static void rewrite_writes_users_that_come_back(void **state) {
    (void)state;
    static const char conf[] = "# first\nuser alice on >p ~a* +@read (+set ~b)\nhz 12\nuser bob on\n";
    struct server *s = server_launch(&(struct server_plan){ .conf = conf });
    struct client *c = server_connect(s);
    add_odd_users(c);
    assert_reply(c, "ACL DELUSER bob", ":1");
    char *before = users_now(c);
    for (int round = 0; round < 2; round++) {
        struct text written = { 0 };
        assert_reply(c, "CONFIG REWRITE", "+OK");
        conf_of(s, &written);
        assert_true(text_matches("# first\nuser ...\nuser alice on ...\nhz 12\n...", text_str(&written)));
        assert_null(strstr(text_str(&written), "bob"));
        assert_null(strstr(text_str(&written), "requirepass"));
        text_release(&written);
        client_close(c);
        server_stop(s);
        server_restart(s);
        c = server_connect(s);
        assert_reply(c, "AUTH pw", "+OK");
    }
    assert_same_users(c, before);
    end(s, c);
}

static void rewrite_writes_no_line_for_a_plain_default_user(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .conf = "hz 12\n" });
    struct client *c = server_connect(s);
    struct text written = { 0 };
    assert_reply(c, "CONFIG SET requirepass secret", "+OK");
    assert_reply(c, "CONFIG REWRITE", "+OK");
    conf_of(s, &written);
    assert_null(strstr(text_str(&written), "user "));
    assert_non_null(strstr(text_str(&written), "\nrequirepass "));
    assert_reply(c, "ACL SETUSER default -flushall", "+OK");
    assert_reply(c, "CONFIG REWRITE", "+OK");
    conf_of(s, &written);
    assert_non_null(strstr(text_str(&written), "\nuser default on sanitize-payload #"));
    client_close(c);
    server_stop(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "AUTH secret", "+OK");
    assert_reply(c, "FLUSHALL", "-NOPERM User default has no permissions to run the 'flushall' command");
    assert_reply(c, "ACL SETUSER default +@all", "+OK");
    assert_reply(c, "CONFIG REWRITE", "+OK");
    conf_of(s, &written);
    assert_null(strstr(text_str(&written), "\nuser "));
    text_release(&written);
    end(s, c);
}

static void rewrite_leaves_users_to_the_file(void **state) {
    (void)state;
    static const char *const args[] = { "--aclfile", path, NULL };
    write_users("user a on\n");
    struct server *s = server_launch(&(struct server_plan){ .conf = "hz 12\n", .args = args });
    struct client *c = server_connect(s);
    struct text written = { 0 };
    assert_reply(c, "ACL SETUSER b on", "+OK");
    assert_reply(c, "CONFIG REWRITE", "+OK");
    conf_of(s, &written);
    assert_null(strstr(text_str(&written), "user "));
    assert_non_null(strstr(text_str(&written), "aclfile "));
    assert_users_file("user a on\n");
    client_close(c);
    server_stop(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "ACL USERS", "*[$\"a\", $\"default\"]");
    text_release(&written);
    end(s, c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_has_the_users),
        cmocka_unit_test(an_empty_file_has_the_default_user_alone),
        cmocka_unit_test(a_file_with_errors_stops_the_start),
        cmocka_unit_test(load_takes_all_users_or_none),
        cmocka_unit_test(load_closes_who_is_no_more_and_changes_the_others),
        cmocka_unit_test(who_is_no_more_after_its_own_load_gets_the_reply_first),
        cmocka_unit_test(load_and_save_want_a_file),
        cmocka_unit_test(requirepass_counts_if_the_file_has_no_default_user),
        cmocka_unit_test(requirepass_is_ignored_if_the_file_has_a_default_user),
        cmocka_unit_test(channels_of_users_in_a_file_are_as_the_setting_says),
        cmocka_unit_test(what_save_writes_is_read_again),
        cmocka_unit_test(save_keeps_the_rights_of_the_file),
        cmocka_unit_test(save_fails_where_there_is_no_folder),
        cmocka_unit_test(a_failing_disk_leaves_the_old_file),
        cmocka_unit_test(lines_of_the_configuration_make_users),
        cmocka_unit_test(a_wrong_line_stops_the_start),
        cmocka_unit_test(lines_and_a_file_exclude_each_other),
        cmocka_unit_test(requirepass_is_ignored_if_a_line_has_the_default_user),
        cmocka_unit_test(rewrite_writes_users_that_come_back),
        cmocka_unit_test(rewrite_writes_no_line_for_a_plain_default_user),
        cmocka_unit_test(rewrite_leaves_users_to_the_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
