/* test_info.c: INFO over the wire: which sections come, and that the numbers are true. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *info(struct client *c, const char *sections) {
    struct node *n = client_ask_node(c, "INFO %s", sections);
    char *text = strdup(text_str(&n->bytes));
    node_free(n);
    return text;
}

/* The names of the sections in the reply, in order. */
static void assert_sections(struct client *c, const char *asked, const char *expected) {
    struct text got = { 0 };
    char *text = info(c, asked);
    for (const char *at = text; (at = strstr(at, "# ")); at++) {
        if (at != text && at[-1] != '\n') continue;
        text_append(&got, at + 2, strcspn(at + 2, "\r"));
        text_append_char(&got, ' ');
    }
    if (strcmp(text_str(&got), expected) != 0) fail_msg("INFO %s: %s", asked, text_str(&got));
    free(text);
    text_release(&got);
}

#define DEFAULTS \
    "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace "
#define ALL                                                                                                 \
    "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats " \
    "TLS "                                                                                                  \
    "Cluster Databases Keyspace "

static void sections_come_as_asked_in_a_fixed_order(void **state) {
    static const struct { const char *asked, *expected; } cases[] = {
        { "", DEFAULTS },
        { "default", DEFAULTS },
        { "all", ALL },
        { "everything", ALL },
        { "default commandstats latencystats tls databases", ALL },
        { "CPU server", "Server CPU " },
        { "keyspace nosuch KeySpace", "Keyspace " },
        { "nosuch", "" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_sections(fixture_client(state), cases[i].asked, cases[i].expected);
}

static void lines_end_in_crlf_and_sections_in_an_empty_line(void **state) {
    char *text = info(fixture_client(state), "everything");
    const char *line = text;
    for (const char *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        assert_true(end > line && end[-1] == '\r');
        size_t len = (size_t)(end - 1 - line);
        bool plain = len == 0 || line[0] == '#' || memchr(line, ':', len);
        if (!plain) fail_msg("a line without a colon: %.*s", (int)len, line);
        if (line[0] == '#' && line != text) assert_memory_equal(line - 4, "\r\n\r\n", 4);
    }
    free(text);
}

static void resp3_gets_a_verbatim_string(void **state) {
    assert_reply(fixture_client(state), "HELLO 3", "...");
    assert_reply(fixture_client(state), "INFO cluster", "=\"txt:# Cluster\\r\\ncluster_enabled:0\\r\\n\"");
}

static void server_tells_who_it_is(void **state) {
    struct client *c = fixture_client(state);
    struct server *s = ((struct fixture *)*state)->server;
    assert_string_equal(info_field(c, "server", "redis_version"), "7.2.4");
    assert_string_equal(info_field(c, "server", "server_name"), "trivet");
    assert_string_equal(info_field(c, "server", "redis_mode"), "standalone");
    assert_int_equal(info_number(c, "server", "process_id"), server_pid(s));
    assert_int_equal(info_number(c, "server", "tcp_port"), 0);
    assert_int_equal(strlen(info_field(c, "server", "run_id")), 40);
    assert_non_null(strstr(info_field(c, "server", "executable"), "/trivet-server"));
    assert_non_null(strstr(info_field(c, "server", "listener1"), "name=unix,bind=/"));
}

static void clients_are_counted(void **state) {
    struct client *c = fixture_client(state);
    struct server *s = ((struct fixture *)*state)->server;
    assert_int_equal(info_number(c, "clients", "connected_clients"), 1);
    struct client *other = server_connect(s);
    assert_reply(other, "WATCH a b", "+OK");
    assert_int_equal(info_number(c, "clients", "connected_clients"), 2);
    assert_int_equal(info_number(c, "clients", "watching_clients"), 1);
    assert_int_equal(info_number(c, "clients", "total_watched_keys"), 2);
    assert_reply(other, "SUBSCRIBE news", "...");
    assert_int_equal(info_number(c, "clients", "pubsub_clients"), 1);
    assert_int_equal(info_number(c, "stats", "pubsub_channels"), 1);
    client_close(other);
}

static void memory_grows_with_data(void **state) {
    struct client *c = fixture_client(state);
    int64_t before = info_number(c, "memory", "used_memory");
    assert_reply(c, "DEBUG POPULATE 20 big 1000000", "+OK");
    int64_t after = info_number(c, "memory", "used_memory");
    assert_true(after - before >= 20000000 && after - before < 30000000);
    assert_true(info_number(c, "memory", "used_memory_peak") >= after);
    assert_true(info_number(c, "memory", "used_memory_dataset") >= 20000000);
    assert_true(info_number(c, "memory", "used_memory_startup") < before);
    assert_true(info_number(c, "memory", "used_memory_rss") > 0);
    assert_string_equal(info_field(c, "memory", "maxmemory_policy"), "noeviction");
}

static void keyspace_lists_databases_with_keys(void **state) {
    struct client *c = fixture_client(state);
    assert_string_equal(info_field(c, "keyspace", "db0"), "");
    assert_reply(c, "MSET a 1 b 2 c 3", "+OK");
    assert_reply(c, "EXPIRE a 1000", ":1");
    assert_reply(c, "SELECT 9", "+OK");
    assert_reply(c, "SET x y", "+OK");
    assert_true(strncmp(info_field(c, "keyspace", "db0"), "keys=3,expires=1,avg_ttl=", 25) == 0);
    assert_string_equal(info_field(c, "keyspace", "db9"),
                        "keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=0");
}

static void stats_count_what_happens(void **state) {
    struct client *c = fixture_client(state);
    int64_t hits = info_number(c, "stats", "keyspace_hits"),
            misses = info_number(c, "stats", "keyspace_misses");
    int64_t commands = info_number(c, "stats", "total_commands_processed");
    int64_t errors = info_number(c, "stats", "total_error_replies");
    int64_t bytes = info_number(c, "stats", "total_net_input_bytes");
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "GET k", "$\"v\"");
    assert_reply(c, "GET none", "$-1");
    assert_reply(c, "INCR k", "-ERR...");
    assert_int_equal(info_number(c, "stats", "keyspace_hits") - hits, 1);
    assert_int_equal(info_number(c, "stats", "keyspace_misses") - misses, 1);
    assert_int_equal(info_number(c, "stats", "total_error_replies") - errors, 1);
    assert_true(info_number(c, "stats", "total_commands_processed") - commands >= 4);
    assert_true(info_number(c, "stats", "total_net_input_bytes") > bytes);
}

static void commandstats_and_errorstats_tell_calls_and_failures(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "INCR k", "-ERR...");
    assert_reply(c, "INCR", "-ERR...");
    assert_reply(c, "SELECT 99", "-ERR...");
    assert_true(text_matches("calls=1,usec=...,usec_per_call=...,rejected_calls=1,failed_calls=1",
                             info_field(c, "commandstats", "cmdstat_incr")));
    assert_true(text_matches("calls=1,usec=...,usec_per_call=...,rejected_calls=0,failed_calls=0",
                             info_field(c, "commandstats", "cmdstat_config|resetstat")));
    assert_string_equal(info_field(c, "errorstats", "errorstat_ERR"), "count=3");
    assert_true(text_matches("p50=...,p99=...,p99.9=...",
                             info_field(c, "latencystats", "latency_percentiles_usec_set")));
    assert_reply(c, "CONFIG SET latency-tracking-info-percentiles \"90 99.99\"", "+OK");
    assert_true(
        text_matches("p90=...,p99.99=...", info_field(c, "latencystats", "latency_percentiles_usec_set")));
    assert_reply(c, "CONFIG SET latency-tracking-info-percentiles \"50 99 99.9\"", "+OK");
}

static void replication_is_that_of_a_lone_primary(void **state) {
    struct client *c = fixture_client(state);
    assert_string_equal(info_field(c, "replication", "role"), "master");
    assert_int_equal(info_number(c, "replication", "connected_slaves"), 0);
    assert_int_equal(strlen(info_field(c, "replication", "master_replid")), 40);
    assert_string_equal(info_field(c, "replication", "master_replid2"),
                        "0000000000000000000000000000000000000000");
}

static void work_beside_the_main_thread_is_told(void **state) {
    struct client *c = fixture_client(state), *others[8];
    struct server *s = ((struct fixture *)*state)->server;
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        others[i] = server_connect(s);
        for (int k = 0; k < 20; k++) client_queue(others[i], "GET key:%d", k);
        client_flush(others[i]);
        client_skip(others[i], 20);
    }
    bool parallel = info_number(c, "server", "io_threads_active") == 1;
    assert_int_equal(info_number(c, "stats", "io_threaded_accept_processed") > 0, parallel);
    assert_int_equal(info_number(c, "stats", "io_threaded_poll_processed") > 0, parallel);
    assert_true(info_number(c, "stats", "io_threaded_total_prefetch_batches") >= 8);
    assert_true(info_number(c, "stats", "io_threaded_total_prefetch_entries") >= 8 * 20);
    int64_t grown = info_number(c, "stats", "reply_buffer_expands");
    assert_true(grown >= 8 && info_number(c, "stats", "reply_buffer_shrinks") >= 8);
    assert_reply(c, "DEBUG POPULATE 1 big 100000", "+OK");
    client_queue(c, "GET big:0");
    client_queue(c, "GET big:0");
    client_flush(c);
    client_skip(c, 2);
    assert_true(info_number(c, "stats", "reply_buffer_expands") > grown + 2);
    for (size_t i = 0; i < COUNT_OF(others); i++) client_close(others[i]);
}

static void what_is_freed_in_the_background_is_counted(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    assert_reply(c, "DEBUG POPULATE 1000", "+OK");
    assert_reply(c, "FLUSHALL ASYNC", "+OK");
    for (int tries = 0; info_number(c, "stats", "io_threaded_freed_objects") < 1000; tries++)
        assert_true(tries < 100000);
}

static void the_active_time_of_the_main_thread_only_grows(void **state) {
    struct client *c = fixture_client(state);
    double before = atof(info_field(c, "cpu", "used_active_time_main_thread"));
    assert_true(before > 0);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    assert_true(atof(info_field(c, "cpu", "used_active_time_main_thread")) >= before);
}

static void each_build_has_an_id(void **state) {
    struct client *c = fixture_client(state);
    const char *id = info_field(c, "server", "redis_build_id");
    assert_int_equal(strlen(id), 16);
    assert_string_not_equal(id, "0000000000000000");
    assert_int_equal(info_number(c, "server", "clients_hz"), 1);
}

static void persistence_tells_of_the_append_only_file(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    assert_int_equal(info_number(c, "persistence", "loading"), 0);
    assert_int_equal(info_number(c, "persistence", "aof_enabled"), 1);
    assert_true(info_number(c, "persistence", "aof_current_size") > 0);
    assert_string_equal(info_field(c, "persistence", "aof_last_write_status"), "ok");
    assert_int_equal(info_number(c, "persistence", "rdb_changes_since_last_save"), 1);
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(sections_come_as_asked_in_a_fixed_order),
        FIXTURE_TEST(lines_end_in_crlf_and_sections_in_an_empty_line),
        FIXTURE_TEST(resp3_gets_a_verbatim_string),
        FIXTURE_TEST(server_tells_who_it_is),
        FIXTURE_TEST(clients_are_counted),
        FIXTURE_TEST(memory_grows_with_data),
        FIXTURE_TEST(keyspace_lists_databases_with_keys),
        FIXTURE_TEST(stats_count_what_happens),
        FIXTURE_TEST(commandstats_and_errorstats_tell_calls_and_failures),
        FIXTURE_TEST(replication_is_that_of_a_lone_primary),
        FIXTURE_TEST(work_beside_the_main_thread_is_told),
        FIXTURE_TEST(what_is_freed_in_the_background_is_counted),
        FIXTURE_TEST(the_active_time_of_the_main_thread_only_grows),
        FIXTURE_TEST(each_build_has_an_id),
        FIXTURE_TEST(persistence_tells_of_the_append_only_file),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
