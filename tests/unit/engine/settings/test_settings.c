/* The settings: every row's text forms, CONFIG GET and CONFIG SET. Files: test_options_file.c. */
#include "options_support.h"

/* ---- Rows ---- */

static void every_row_reads_back_what_it_stores(void **state) {
    (void)state;
    for (size_t i = 0; i < options_row_count(); i++) {
        const struct option *o = options_row(i);
        if (o->alias_of) continue;
        struct buf before = { 0 }, after = { 0 }, why = { 0 };
        option_stored(o, &before);
        if (!option_store_text(o, buf_slice(&before), &why)) fail_msg("%s: %s", o->name, text_of(&why));
        option_stored(o, &after);
        assert_string_equal(text_of(&before), text_of(&after));
        if (o->kind != OPTION_SPECIAL) assert_string_equal(text_of(&after), o->initial);
        assert_true(option_is_initial(o));
        buf_release(&before);
        buf_release(&after);
        buf_release(&why);
    }
}

static void every_row_is_found_by_its_name_in_any_case(void **state) {
    (void)state;
    assert_true(options_row_count() > 230);
    for (size_t i = 0; i < options_row_count(); i++) {
        const struct option *o = options_row(i);
        char upper[64];
        size_t len = strlen(o->name);
        for (size_t j = 0; j <= len; j++)
            upper[j] = o->name[j] >= 'a' && o->name[j] <= 'z' ? (char)(o->name[j] - 32) : o->name[j];
        assert_ptr_equal(options_row_named(slice_of(upper)), o);
        const struct option *main = options_find(slice_of(o->name));
        assert_non_null(main);
        assert_null(main->alias_of);
        assert_ptr_not_equal(options_row_named(slice_make(o->name, len - 1)), o);
    }
    assert_null(options_find(LIT("nosuch")));
    assert_null(options_find(LIT("")));
}

/* What each kind of row answers to nonsense. */
static const char *nonsense_answer(const struct option *o) {
    switch (o->kind) {
    case OPTION_BOOL: return "argument must be 'yes' or 'no'";
    case OPTION_INT: return "argument couldn't be parsed into an integer";
    case OPTION_OCTAL: return "argument couldn't be parsed as an octal number";
    case OPTION_MEMORY: return "argument must be a memory value";
    case OPTION_PERCENT: return "argument must be a memory or percent value";
    default: return NULL;
    }
}

static void every_plain_row_refuses_nonsense_in_its_kinds_words(void **state) {
    (void)state;
    for (size_t i = 0; i < options_row_count(); i++) {
        const struct option *o = options_row(i);
        const char *expected = o->alias_of ? NULL : nonsense_answer(o);
        if (!expected) continue;
        struct buf why = { 0 };
        assert_false(option_store_text(o, LIT("no/nsense"), &why));
        assert_string_equal(text_of(&why), expected);
        assert_true(option_is_initial(o));
        buf_release(&why);
    }
}

static void fields_hold_what_was_set(void **state) {
    (void)state;
    assert_int_equal(options.port, 6379);
    assert_true(options.lazyfree_lazy_eviction);
    assert_set("maxmemory", "1gb");
    assert_int_equal(options.maxmemory, 1024 * 1024 * 1024);
    assert_set("maxmemory-policy", "ALLKEYS-LRU");
    assert_int_equal(options.maxmemory_policy, POLICY_ALLKEYS_LRU);
    assert_set("maxmemory-clients", "10%");
    assert_int_equal(options.maxmemory_clients, -10);
    assert_set("save", "60 1 30 2");
    assert_int_equal(options.save.count, 2);
    assert_int_equal(options.save.point[1].seconds, 30);
    assert_set("client-output-buffer-limit", "replica 1mb 2 3");
    assert_int_equal(options.client_output_buffer_limit[1].hard_bytes, 1048576);
    assert_set("bind", "127.0.0.1 -::1");
    assert_string_equal(options.bind.address[1], "-::1");
}

static void values_are_shown_in_their_one_form(void **state) {
    (void)state;
    static const struct {
        const char *name, *value, *shown;
    } cases[] = {
        { "maxmemory", "2KB", "2048" },
        { "appendonly", "YES", "yes" },
        { "maxmemory-policy", "Allkeys-LFU", "allkeys-lfu" },
        { "maxmemory-clients", "1kb", "1024" },
        { "maxmemory-clients", "7%", "7%" },
        { "notify-keyspace-events", "AKEn", "AnKE" },
        { "notify-keyspace-events", "gnmKE", "gnKEm" },
        { "notify-keyspace-events", "Ag", "A" },
        { "notify-keyspace-events", "dtexzhsl$g", "A" },
        { "notify-keyspace-events", "", "" },
        { "save", "", "" },
        { "save", "900 1  60 100", "900 1 60 100" },
        { "latency-tracking-info-percentiles", "50 0.1 99.90", "50 0.1 99.9" },
        { "latency-tracking-info-percentiles", "", "" },
        { "shutdown-on-sigterm", "force now", "now force" },
        { "shutdown-on-sigterm", "default", "default" },
        { "client-output-buffer-limit", "normal 1mb 2 3 replica 5 6 7",
          "normal 1048576 2 3 slave 5 6 7 pubsub 33554432 8388608 60" },
        { "bind", "", "" },
        { "oom-score-adj", "relative", "yes" },
        { "oom-score-adj-values", "1 2 3", "1 2 3" },
        { "hz", "0", "1" },
        { "hz", "1000", "500" },
        { "slowlog-max-len", "5", "5" },
        { "requirepass", "se cret", "se cret" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_set(cases[i].name, cases[i].value);
        assert_shown(cases[i].name, cases[i].shown);
    }
    assert_int_equal(options.slow_execution_max_len, 5);
}

static const struct {
    const char *name, *value, *why;
} refusals[] = {
    { "maxmemory", "abc", "argument must be a memory value" },
    { "maxmemory", "-1", "argument must be a memory value" },
    { "repl-backlog-size", "0", "argument must be between 1 and 9223372036854775807 inclusive" },
    { "maxclients", "0", "argument must be between 1 and 4294967295 inclusive" },
    { "maxclients", "4294967296", "argument must be between 1 and 4294967295 inclusive" },
    { "hash-max-listpack-entries", "-1", "argument must be between 0 and 9223372036854775807 inclusive" },
    { "list-max-listpack-size", "-2147483649",
      "argument must be between -2147483648 and 2147483647 inclusive" },
    { "maxmemory-clients", "101%", "percentage argument must be less or equal to 100" },
    { "maxmemory-clients", "-5%", "argument must be a memory or percent value" },
    { "timeout", " 1", "argument couldn't be parsed into an integer" },
    { "maxmemory-policy", "foo",
      "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, "
      "volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction" },
    { "appendfsync", "", "argument(s) must be one of the following: everysec, always, no" },
    { "shutdown-on-sigterm", "save nosave", "shutdown options SAVE and NOSAVE can't be used simultaneously" },
    { "save", "a b", "Invalid save parameters" },
    { "save", "60", "Invalid save parameters" },
    { "save", "0 1", "Invalid save parameters" },
    { "dir", "/nonexistent", "No such file or directory" },
    { "dbfilename", "a/b", "dbfilename can't be a path, just a filename" },
    { "client-output-buffer-limit", "foo 1 2 3",
      "Invalid client class specified in buffer limit configuration." },
    { "client-output-buffer-limit", "normal 1 2",
      "Wrong number of arguments in buffer limit configuration." },
    { "client-output-buffer-limit", "normal a 2 3",
      "Error in hard, soft or soft_seconds setting in buffer limit configuration." },
    { "notify-keyspace-events", "Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'." },
    { "oom-score-adj-values", "1 2", "wrong number of arguments" },
    { "oom-score-adj-values", "1 2 9999",
      "Invalid oom-score-adj-values, elements must be between -2000 and 2000." },
    { "latency-tracking-info-percentiles", "x", "Invalid latency-tracking-info-percentiles parameters" },
    { "latency-tracking-info-percentiles", "101",
      "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]" },
    { "bind", "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7", "Too many bind addresses specified." },
    { "proc-title-template", "{foo}", "template format is invalid or contains unknown variables" },
    { "locale-collate", "no_SUCH", "Invalid locale name" },
    { "cluster-announce-hostname", "a_b",
      "Hostnames may only contain alphanumeric characters, hyphens or dots" },
    { "cluster-announce-client-ipv4", "1.2.3", "Invalid IPv4 address" },
    { "cluster-announce-client-ipv6", "1.2.3.4", "Invalid IPv6 address" },
    { "rdma-bind", "1.2.3.4", "No RDMA building support." },
    { "tls-auth-clients-user", "DN", "argument(s) must be one of the following: off, CN, URI" },
    { "tls-port", "a", "argument couldn't be parsed into an integer" },
    { "databases", "10", "can't set immutable config" },
    { "slave-priority", "x", "argument couldn't be parsed into an integer" },
    { "requirepass-file", "/nonexistent",
      "cannot read the password file '/nonexistent': No such file or directory" },
};

static void wrong_values_are_refused_with_their_text(void **state) {
    (void)state;
    options.enable_protected_configs = GUARD_YES;
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        const struct option *o = options_find(slice_of(refusals[i].name));
        struct buf before = { 0 }, after = { 0 };
        option_stored(o, &before);
        assert_refused(refusals[i].name, refusals[i].value, refusals[i].why);
        option_stored(o, &after);
        assert_string_equal(text_of(&before), text_of(&after));
        buf_release(&before);
        buf_release(&after);
    }
}

/* ---- CONFIG GET ---- */

static void collect_name(void *arg, struct slice name, const struct option *o) {
    assert_non_null(o);
    buf_printf(arg, "%.*s ", SLICE_ARG(name));
}

static void assert_found(const char *first, const char *second, const char *expected) {
    struct slice patterns[2] = { slice_of(first), slice_of(second) };
    struct buf names = { 0 };
    options_each(patterns, 2, collect_name, &names);
    assert_string_equal(text_of(&names), expected);
    buf_release(&names);
}

static void patterns_find_names_in_order_and_once(void **state) {
    (void)state;
    assert_found("slowlog*", "SLOWLOG-*", "slowlog-log-slower-than slowlog-max-len ");
    assert_found("HZ", "h[z]", "HZ ");
    assert_found("save", "PORT", "PORT save ");
    assert_found("nosuch", "", "");
    assert_found("*-delay", "", "repl-diskless-sync-delay ");
    assert_found("key-load-delay", "", "key-load-delay ");
}

/* ---- CONFIG SET ---- */

static void several_settings_change_together_or_not_at_all(void **state) {
    (void)state;
    struct buf error = { 0 };
    const struct slice wrong[] = { LIT_INIT("timeout"), LIT_INIT("7"),    LIT_INIT("save"),
                                   LIT_INIT("1 1"),     LIT_INIT("port"), LIT_INIT("x") };
    assert_false(options_set(wrong, 3, remote, &error));
    assert_int_equal(options.timeout_s, 0);
    assert_shown("save", "3600 1 300 100 60 10000");
    const struct slice right[] = { LIT_INIT("timeout"), LIT_INIT("7"), LIT_INIT("save"), LIT_INIT("1 1") };
    assert_true(options_set(right, 2, remote, &error));
    assert_int_equal(options.timeout_s, 7);
    assert_shown("save", "1 1");
    buf_release(&error);
}

static void unknown_and_double_names_are_refused(void **state) {
    (void)state;
    static const struct {
        struct slice pairs[4];
        const char *error;
    } cases[] = {
        { { LIT_INIT("maxmemory"), LIT_INIT("1"), LIT_INIT("noSuch"), LIT_INIT("1") },
          "ERR Unknown option or number of arguments for CONFIG SET - 'noSuch'" },
        { { LIT_INIT("databases"), LIT_INIT("1"), LIT_INIT("noSuch"), LIT_INIT("1") },
          "ERR Unknown option or number of arguments for CONFIG SET - 'noSuch'" },
        { { LIT_INIT("maxmemory"), LIT_INIT("1"), LIT_INIT("MAXmemory"), LIT_INIT("2") },
          "ERR CONFIG SET failed (possibly related to argument 'MAXmemory') - duplicate parameter" },
        { { LIT_INIT("PORT"), LIT_INIT("x"), LIT_INIT("hz"), LIT_INIT("2") },
          "ERR CONFIG SET failed (possibly related to argument 'port') - argument couldn't be parsed into an "
          "integer" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf error = { 0 };
        assert_false(options_set(cases[i].pairs, 2, remote, &error));
        assert_string_equal(text_of(&error), cases[i].error);
        assert_int_equal(options.maxmemory, 0);
        buf_release(&error);
    }
}

static void protected_settings_need_their_guard(void **state) {
    (void)state;
    const struct options_caller local = { .is_local = true };
    assert_refused("dir", "/tmp", "can't set protected config");
    options.enable_protected_configs = GUARD_LOCAL;
    assert_refused("dbfilename", "x", "can't set protected config");
    assert_set_by("dbfilename", "x", local, NULL);
    options.enable_protected_configs = GUARD_YES;
    assert_set("dbfilename", "y");
}

static void loading_forbids_what_would_disturb_it(void **state) {
    (void)state;
    const struct options_caller loading = { .loading = true };
    assert_set_by("appendonly", "yes", loading, "LOADING Valkey is loading the dataset in memory");
    assert_set_by("maxmemory", "1", loading, NULL);
}

static int hook_calls;
static bool hook_answer;
static bool count_rebind(void) {
    hook_calls++;
    return hook_answer;
}
static void count_call(void) { hook_calls++; }
static bool refuse_appendonly(bool on, struct buf *why) {
    hook_calls++;
    if (on) buf_append(why, LIT("no room"));
    return !on;
}

static void an_effect_that_refuses_puts_all_back(void **state) {
    (void)state;
    struct buf error = { 0 };
    options_hooks.rebind = count_rebind;
    options_hooks.appendonly_changed = refuse_appendonly;
    hook_calls = 0;
    hook_answer = false;
    assert_refused("bind", "1.2.3.4", "Failed to bind to specified addresses.");
    assert_shown("bind", "* -::*");
    assert_int_equal(hook_calls, 2); /* with the new addresses, and again with the old */
    assert_refused("port", "7", "Unable to listen on this port. Check server logs.");
    hook_answer = true;
    const struct slice pairs[] = { LIT_INIT("port"), LIT_INIT("7"), LIT_INIT("appendonly"), LIT_INIT("yes") };
    assert_false(options_set(pairs, 2, remote, &error));
    assert_string_equal(text_of(&error),
                        "ERR CONFIG SET failed (possibly related to argument 'appendonly') - no room");
    assert_int_equal(options.port, 6379);
    assert_false(options.appendonly);
    buf_release(&error);
}

static void one_effect_runs_once_for_several_settings(void **state) {
    (void)state;
    struct buf error = { 0 };
    options_hooks.maxmemory_changed = count_call;
    hook_calls = 0;
    const struct slice pairs[] = { LIT_INIT("maxmemory"),         LIT_INIT("1gb"),
                                   LIT_INIT("maxmemory-policy"),  LIT_INIT("allkeys-lru"),
                                   LIT_INIT("maxmemory-samples"), LIT_INIT("9") };
    assert_true(options_set(pairs, 3, remote, &error));
    assert_int_equal(hook_calls, 1);
    buf_release(&error);
}

static void a_password_file_gives_its_first_line(void **state) {
    (void)state;
    write_file("secret", "open sesame\r\nsecond line\n");
    write_file("empty", "\nx");
    assert_set("requirepass-file", "secret");
    assert_string_equal(options.password, "open sesame");
    assert_shown("requirepass-file", "secret");
    assert_shown("requirepass", "open sesame");
    assert_refused("requirepass-file", "empty",
                   "the password file 'empty' has no password in its first line");
    assert_refused("requirepass", "x", "requirepass and requirepass-file exclude each other");
    assert_string_equal(options.password, "open sesame");
    const struct slice pairs[] = { LIT_INIT("requirepass"), LIT_INIT("x"), LIT_INIT("requirepass-file"),
                                   LIT_INIT("") };
    struct buf error = { 0 };
    assert_true(options_set(pairs, 2, remote, &error));
    buf_release(&error);
    LOADS("--requirepass-file", "secret", "--requirepass", "");
    assert_string_equal(options.password, "open sesame");
}

static void metrics_may_have_a_password_and_addresses_of_their_own(void **state) {
    (void)state;
    write_file("scrape", "for metrics\r\nsecond line\n");
    write_file("empty", "\nx");
    assert_string_equal(options.metrics_password, "");
    assert_shown("metrics-bind", "127.0.0.1 -::1");
    assert_set("metrics-password-file", "scrape");
    assert_string_equal(options.metrics_password, "for metrics");
    assert_refused("metrics-password-file", "empty",
                   "the password file 'empty' has no password in its first line");
    assert_string_equal(options.metrics_password, "for metrics");
    assert_string_equal(options.password, "");
    assert_set("metrics-password-file", "");
    assert_string_equal(options.metrics_password, "");
    assert_set("metrics-bind", "* -::*");
    assert_int_equal(options.metrics_bind.count, 2);
    assert_shown("bind", "* -::*");
    assert_set("metrics-bind", "10.0.0.1");
    assert_shown("metrics-bind", "10.0.0.1");
    assert_shown("bind", "* -::*");
    assert_refused("metrics-port", "65536", "argument must be between 0 and 65535 inclusive");
}

/* ---- single databases ---- */

static void databases_have_settings_of_their_own(void **state) {
    (void)state;
    static const struct {
        const char *name, *value, *shown;
    } cases[] = {
        { "db-maxmemory", "2 512mb 0 1gb", "0 1073741824 2 536870912" },
        { "db-maxmemory", "15 1kb", "15 1024" }, /* all of it, as `save` */
        { "db-maxmemory", "3 1 3 2 3 4", "3 4" },
        { "db-maxmemory", "3 1 4 1 3 0", "4 1" },
        { "db-maxmemory", "", "" },
        { "db-maxmemory-policy", "1 NoEviction 0 allkeys-LRU", "0 allkeys-lru 1 noeviction" },
        { "db-maxmemory-policy", "", "" },
        { "db-name", "2 session 0 cache-1.x_y 2 sessions", "0 cache-1.x_y 2 sessions" },
        { "db-name", "", "" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_set(cases[i].name, cases[i].value);
        assert_shown(cases[i].name, cases[i].shown);
        assert_set(cases[i].name, cases[i].shown);
        assert_shown(cases[i].name, cases[i].shown);
    }
    assert_set("db-maxmemory", "7 5 1 3");
    assert_null(database_value_of(&options.db_maxmemory, 0));
    assert_int_equal(database_value_of(&options.db_maxmemory, 7)->number, 5);
    assert_null(database_value_of(&options.db_maxmemory, 8));
}

static void what_is_wrong_with_a_databases_setting_is_said(void **state) {
    (void)state;
    static const struct {
        const char *name, *value, *why;
    } cases[] = {
        { "db-maxmemory", "0", "each database's number must have a value behind it" },
        { "db-maxmemory", "0 1gb 1", "each database's number must have a value behind it" },
        { "db-maxmemory", "-1 1gb", "'-1' is not the number of a database" },
        { "db-maxmemory", "1gb 0", "'1gb' is not the number of a database" },
        { "db-maxmemory", "0 -1", "argument must be a memory value" },
        { "db-maxmemory", "0 much", "argument must be a memory value" },
        { "db-maxmemory", "3 1 16 1", "db-maxmemory: there is no database 16, the last one is 15" },
        { "db-maxmemory-policy", "0 lru",
          "the policy must be one of the following: volatile-lru, volatile-lfu, volatile-random, "
          "volatile-ttl, "
          "allkeys-lru, allkeys-lfu, allkeys-random, noeviction" },
        { "db-maxmemory-policy", "99 allkeys-lru",
          "db-maxmemory-policy: there is no database 99, the last one is 15" },
        { "db-name", "0 a/b", "a name is made of 1 to 64 letters, digits, '-', '_' and '.'" },
        { "db-name", "0 a,b", "a name is made of 1 to 64 letters, digits, '-', '_' and '.'" },
        { "db-name", "16 a", "db-name: there is no database 16, the last one is 15" },
    };
    assert_set("db-maxmemory", "5 77");
    assert_set("db-name", "5 five");
    for (size_t i = 0; i < COUNT_OF(cases); i++) assert_refused(cases[i].name, cases[i].value, cases[i].why);
    assert_shown("db-maxmemory", "5 77");
    assert_shown("db-name", "5 five");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(databases_have_settings_of_their_own),
        TEST(what_is_wrong_with_a_databases_setting_is_said),
        TEST(every_row_reads_back_what_it_stores),
        TEST(every_row_is_found_by_its_name_in_any_case),
        TEST(every_plain_row_refuses_nonsense_in_its_kinds_words),
        TEST(fields_hold_what_was_set),
        TEST(values_are_shown_in_their_one_form),
        TEST(wrong_values_are_refused_with_their_text),
        TEST(patterns_find_names_in_order_and_once),
        TEST(several_settings_change_together_or_not_at_all),
        TEST(unknown_and_double_names_are_refused),
        TEST(protected_settings_need_their_guard),
        TEST(loading_forbids_what_would_disturb_it),
        TEST(an_effect_that_refuses_puts_all_back),
        TEST(one_effect_runs_once_for_several_settings),
        TEST(a_password_file_gives_its_first_line),
        TEST(metrics_may_have_a_password_and_addresses_of_their_own),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
